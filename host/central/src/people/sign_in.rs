use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{info, warn};
use uuk_pki::Sha256;
use uuk_process::Secret;

use super::{PeopleError, Person, is_name, name_in, new_token};
use crate::central::{Central, CentralError, Recorded};

/// As many wrong passwords in a row lock an account.
const FAILURES_MAX: u32 = 5;
pub(super) const LOCK_TIME: Duration = Duration::from_secs(15 * 60);
/// A session that nobody uses ends.
const IDLE_TIME: Duration = Duration::from_secs(30 * 60);
/// Every session ends, after a working day.
const SESSION_TIME: Duration = Duration::from_secs(12 * 3600);
/// That a session is used is written down this often.
const TOUCH_TIME: Duration = Duration::from_secs(60);

/// Somebody who has proven who they are.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Who.
    pub person: Person,
    /// What they show from now on.
    pub session: Secret<String>,
}

/// Named by the digest of what is shown.
#[derive(Debug, Serialize, Deserialize)]
struct Session {
    person: String,
    begun: Timestamp,
    seen: Timestamp,
}

impl Session {
    fn counts_at(&self, now: Timestamp) -> bool {
        now < self.begun + SESSION_TIME && now < self.seen + IDLE_TIME
    }
}

impl Recorded for Session {
    const KIND: &'static str = "session";

    fn told(&self) -> Value {
        json!({ "person": self.person })
    }
}

/// Wrong passwords and codes of a person, since the last right ones.
#[derive(Debug, Serialize, Deserialize)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Recorded for Failures {
    const KIND: &'static str = "sign_in_failures";

    fn told(&self) -> Value {
        json!({ "count": self.count })
    }
}

impl Person {
    /// Whether what `proven` has shown still lets them in.
    fn signs_in_as(&self, proven: &Self, now: Timestamp) -> bool {
        self.acts_at(now) && self.password == proven.password && self.openid == proven.openid
    }

    fn is_invited_by(&self, shown: &Sha256, now: Timestamp) -> bool {
        self.acts_at(now) && self.invitation.as_ref().is_some_and(|it| it.token == *shown && now < it.expires)
    }
}

impl Central {
    /// Sets the password of who was invited, and lets them in.
    ///
    /// # Errors
    /// [`PeopleError::Invitation`] or [`PeopleError::Password`], or if the database cannot be used.
    pub async fn accept_invitation(
        &self,
        invitation: &str,
        password: Secret<String>,
    ) -> Result<Passed, PeopleError> {
        // Before a password is hashed, which takes a while.
        let invited = self.invited(invitation).await?;
        let hashed = self.hashers().hash(password).await?;
        let set = |person: &mut Person| person.password = Some(hashed.clone());
        let person = self.accept(&invited, invitation, "set-password", set).await?;
        self.begin_session(person).await
    }

    /// Who was invited so, and has not accepted yet.
    pub(super) async fn invited(&self, invitation: &str) -> Result<Person, PeopleError> {
        let (shown, now) = (Sha256::of(invitation.as_bytes()), self.clock().now());
        let person: Option<Person> = match is_name(name_in(invitation)) {
            true => self.record(name_in(invitation)).await?,
            false => None,
        };
        person.filter(|person| person.is_invited_by(&shown, now)).ok_or(PeopleError::Invitation)
    }

    /// Uses an invitation up for what `set` gives the person to sign in with.
    pub(super) async fn accept(
        &self,
        invited: &Person,
        invitation: &str,
        act: &str,
        set: impl Fn(&mut Person),
    ) -> Result<Person, PeopleError> {
        let actor = invited.actor().map_err(|_| PeopleError::Name)?;
        let (shown, now) = (Sha256::of(invitation.as_bytes()), self.clock().now());
        let person = self.change_person(&actor, act, &invited.name, |person| {
            // Again: somebody else may have used it in between.
            if !person.is_invited_by(&shown, now) {
                return Err(PeopleError::Invitation);
            }
            set(person);
            person.invitation = None;
            Ok(())
        });
        person.await
    }

    /// Lets somebody in who knows their password and, if they have a second factor, shows a code of it. Nobody is told
    /// which of these was wrong.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`], [`PeopleError::Locked`], [`PeopleError::Busy`], or if the database cannot be used.
    pub async fn sign_in(
        &self,
        name: &str,
        password: Secret<String>,
        code: &str,
    ) -> Result<Passed, PeopleError> {
        if !is_name(name) {
            return Err(PeopleError::Wrong);
        }
        let now = self.clock().now();
        self.failures(name, now).await?;
        let person: Option<Person> = self.record(name).await?;
        let person = person.filter(|person| person.acts_at(now));
        let hashed = person.as_ref().and_then(|person| person.password.clone());
        let is_right = self.hashers().verify(password, hashed).await?;
        // Again: others may have guessed while this one waited.
        let counting = self.counting().await;
        let failures = self.failures(name, now).await?;
        let Some(person) = person.filter(|_| is_right) else {
            // Of names that nobody has, nothing is kept: anyone could fill the table.
            if self.record::<Person>(name).await?.is_some() {
                self.note_failure(name, failures, now).await?;
            }
            return Err(PeopleError::Wrong);
        };
        drop(counting);
        if person.has_second_factor() {
            let actor = person.actor().map_err(|_| PeopleError::Name)?;
            self.with_code(&actor, "sign-in", name, code, |_| Ok(())).await?;
        }
        self.keep::<Failures>(name, None).await?;
        self.begin_session(person).await
    }

    pub(super) async fn note_failure(
        &self,
        name: &str,
        failures: u32,
        now: Timestamp,
    ) -> Result<(), PeopleError> {
        self.keep(name, Some(&Failures { count: failures + 1, last: now })).await?;
        warn!(person = name, "A wrong password or code for {name}");
        Ok(())
    }

    /// How many wrong passwords and codes came for `name`, unless they lock the account.
    pub(super) async fn failures(&self, name: &str, now: Timestamp) -> Result<u32, PeopleError> {
        let failures: Option<Failures> = self.record(name).await?;
        match failures.filter(|failures| now < failures.last + LOCK_TIME).map_or(0, |it| it.count) {
            FAILURES_MAX.. => Err(PeopleError::Locked),
            count => Ok(count),
        }
    }

    /// Who shows this session, if it still counts.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn session(&self, shown: &str) -> Result<Option<Person>, CentralError> {
        let (id, now) = (Sha256::of(shown.as_bytes()).to_string(), self.clock().now());
        let session: Option<Session> = self.record(&id).await?;
        let Some(session) = session.filter(|session| session.counts_at(now)) else { return Ok(None) };
        if session.seen + TOUCH_TIME < now {
            self.renew(&id, &Session { seen: now, person: session.person.clone(), ..session }).await?;
        }
        let person: Option<Person> = self.record(&session.person).await?;
        Ok(person.filter(|person| person.acts_at(now)))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn sign_out(&self, shown: &str) -> Result<(), CentralError> {
        self.keep::<Session>(&Sha256::of(shown.as_bytes()).to_string(), None).await
    }

    /// For whom a program acts that shows this token, if it still counts.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn token_holder(&self, shown: &str) -> Result<Option<Person>, CentralError> {
        let (digest, now) = (Sha256::of(shown.as_bytes()), self.clock().now());
        let person: Option<Person> = match is_name(name_in(shown)) {
            true => self.record(name_in(shown)).await?,
            false => None,
        };
        let counts = |person: &Person| {
            person.acts_at(now) && person.tokens.values().any(|it| it.token == digest && now < it.expires)
        };
        Ok(person.filter(counts))
    }

    pub(super) async fn begin_session(&self, person: Person) -> Result<Passed, PeopleError> {
        let now = self.clock().now();
        // Whoever comes sweeps up after those who did not sign out.
        self.drop_sessions(|session| !session.counts_at(now)).await?;
        let (session, digest) = new_token(&person.name)?;
        let begun = Session { person: person.name.clone(), begun: now, seen: now };
        self.keep(&digest.to_string(), Some(&begun)).await?;
        // Whoever was dismissed or invited anew meanwhile had their sessions ended before this one began.
        let as_it_is: Option<Person> = self.record(&person.name).await?;
        if !as_it_is.is_some_and(|it| it.signs_in_as(&person, now)) {
            self.keep::<Session>(&digest.to_string(), None).await?;
            return Err(PeopleError::Wrong);
        }
        info!(person = person.name, "{} signs in", person.name);
        Ok(Passed { person, session })
    }

    pub(super) async fn end_sessions(&self, name: &str) -> Result<(), CentralError> {
        self.drop_sessions(|session| session.person == name).await
    }

    async fn drop_sessions(&self, is_over: impl Fn(&Session) -> bool) -> Result<(), CentralError> {
        for (id, session) in self.records::<Session>().await? {
            if is_over(&session) {
                self.keep::<Session>(&id, None).await?;
            }
        }
        Ok(())
    }
}
