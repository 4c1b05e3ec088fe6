//! The people who work with a central server: who they are, and how they prove it.
//!
//! What a role may do is decided by whoever asks. Passwords are kept as argon2id hashes, everything else that is shown to
//! prove oneself as a digest of random bits, so that no copy of the database lets anyone in. The key of a second factor is
//! kept as it is: it lets nobody in without the password.

mod mail_address;
mod openid;
mod password;
mod second_factor;
mod sign_in;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuk_identifiers::MemberId;
use uuk_pki::Sha256;
use uuk_process::Secret;

use self::second_factor::SecondFactor;
use crate::audit::{Actor, NoActor};
use crate::catalog::LANGUAGES;
use crate::central::{Central, CentralError, Recorded};

pub use mail_address::{MailAddress, NoMailAddress};
pub use openid::OpenIdIdentity;
pub(crate) use password::PasswordHashers;
pub use sign_in::Passed;

/// How long an invitation counts.
const INVITATION_TIME: Duration = Duration::from_secs(7 * 24 * 3600);
const NAME_BYTES_MAX: usize = 64;
const FULL_NAME_CHARS_MAX: usize = 255;
/// A person needs one for each program that acts for them.
const TOKENS_MAX: usize = 20;
const TOKEN_DAYS_MAX: u32 = 366;

/// Someone who works with the central server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// By which they sign in; it never changes.
    pub name: String,
    /// As it stands in documents.
    pub full_name: String,
    /// What they do here.
    pub roles: BTreeSet<Role>,
    /// For whom they act, unless for the operator.
    pub member: Option<MemberId>,
    /// Where letters about their work go, if they want any.
    #[serde(default)]
    pub mail: Option<MailAddress>,
    /// In which language, by its code.
    #[serde(default)]
    pub language: Option<String>,
    /// Whether they may sign in.
    pub active: bool,
    /// The last day on which they may, if their designation ends; by UTC.
    #[serde(default)]
    pub until: Option<Date>,
    password: Option<String>,
    /// The digest of whom an OpenID provider knows them as: it need not say here who that is.
    #[serde(default)]
    openid: Option<Sha256>,
    invitation: Option<Invitation>,
    #[serde(default)]
    second_factor: Option<SecondFactor>,
    tokens: BTreeMap<String, ApiToken>,
}

/// What someone does here.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Runs the exchange.
    Operator,
    /// Reviews applications for the operator.
    Reviewer,
    /// Heads a member, or an institution that joins, and answers for it.
    Head,
    /// Does the work of joining for a member.
    Specialist,
    /// Describes a member's services in the catalog.
    CatalogEditor,
    /// Sees everything and changes nothing.
    Auditor,
}

impl Role {
    /// Whether it is a role at a member, and not at the operator.
    pub fn is_at_member(self) -> bool {
        matches!(self, Self::Head | Self::Specialist | Self::CatalogEditor)
    }
}

/// The right to set a password, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Invitation {
    token: Sha256,
    expires: Timestamp,
}

/// By which a program acts for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ApiToken {
    token: Sha256,
    expires: Timestamp,
}

/// Who is to be invited.
#[derive(Debug, Clone)]
pub struct Invited {
    /// By which they will sign in: small letters, digits and hyphens.
    pub name: String,
    /// As it stands in documents.
    pub full_name: String,
    /// At least one.
    pub roles: BTreeSet<Role>,
    /// For whom they act, unless for the operator.
    pub member: Option<MemberId>,
    /// Where letters about their work go, if they want any.
    pub mail: Option<MailAddress>,
    /// In which language: `ky`, `ru`, `uz` or `en`.
    pub language: Option<String>,
    /// The last day of their designation, by UTC; none if it has no end.
    pub until: Option<Date>,
}

/// Why somebody is not let in, or cannot be invited.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "people.")]
#[non_exhaustive]
pub enum PeopleError {
    /// Not a name to sign in by.
    #[error("a name to sign in by has 1 to {NAME_BYTES_MAX} small letters, digits and hyphens")]
    Name,
    /// No name for documents.
    #[error("a full name has 1 to {FULL_NAME_CHARS_MAX} characters, none of control")]
    FullName,
    /// Who has no role can do nothing.
    #[error("a person has at least one role")]
    NoRole,
    /// One person acts for one side.
    #[error("roles at a member need the member, and do not go with roles at the operator")]
    Sides,
    /// No language of letters.
    #[error("letters are written in one of {}", LANGUAGES.join(", "))]
    Language,
    /// There is nobody of that name.
    #[error("there is no person `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Name or password is wrong, or the person may not sign in. Which of these, nobody is told.
    #[error("name, password or code is wrong")]
    Wrong,
    /// Too many wrong passwords.
    #[error("too many attempts; try again in {} minutes", sign_in::LOCK_TIME.as_secs() / 60)]
    Locked,
    /// It was set up already, or nobody has begun to.
    #[error("there is a second factor already, or none")]
    SecondFactor,
    /// It was used, or is too old, or there was none.
    #[error("the invitation is used up or too old")]
    Invitation,
    /// Whom the OpenID provider knows, nobody here has accepted an invitation as.
    #[error("nobody here signs in as whom the OpenID provider knows you")]
    UnknownIdentity,
    /// Two accounts of one person could approve what two people must.
    #[error("somebody else here signs in as whom the OpenID provider knows you")]
    TakenIdentity,
    /// Easily guessed, or no text.
    #[error("a password has {} to {} characters", password::CHARS_MIN, password::BYTES_MAX)]
    Password,
    /// Others sign in all the time.
    #[error("too many people sign in at once; try again")]
    Busy,
    /// Tokens are given for a time, under a label, and not by the thousand.
    #[error(
        "a token has a label of 1 to {NAME_BYTES_MAX} characters and 1 to {TOKEN_DAYS_MAX} days; a person has at most {TOKENS_MAX}"
    )]
    Token,
    /// Without, a token could be guessed.
    #[error("this machine gives no random numbers")]
    NoRandomness,
    /// The database cannot be used.
    #[error(transparent)]
    Central(#[from] CentralError),
}

impl PeopleError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Central(error) => error.code(),
            other => other.into(),
        }
    }
}

impl Recorded for Person {
    const KIND: &'static str = "person";

    fn told(&self) -> Value {
        let tokens: Vec<_> = self.tokens.keys().collect();
        json!({
            "full_name": self.full_name, "roles": self.roles, "member": self.member, "active": self.active, "until": self.until,
            "has_password": self.password.is_some(), "has_openid": self.openid.is_some(),
            "is_invited": self.invitation.is_some(), "tokens": tokens,
            "has_second_factor": self.has_second_factor(), "has_mail": self.mail.is_some(),
        })
    }
}

impl Person {
    /// As the audit log names them.
    ///
    /// # Errors
    /// Never for a name that was checked when they were invited.
    pub fn actor(&self) -> Result<Actor, NoActor> {
        format!("person:{}", self.name).parse()
    }

    /// Whether they may sign in and act at `now`.
    pub fn acts_at(&self, now: Timestamp) -> bool {
        let today = now.to_zoned(TimeZone::UTC).date();
        self.active && self.until.is_none_or(|last| today <= last)
    }

    /// Whether they sign in with a password.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether they sign in with an OpenID provider.
    pub fn has_openid(&self) -> bool {
        self.openid.is_some()
    }

    /// Whether they show a code beside their password.
    pub fn has_second_factor(&self) -> bool {
        self.second_factor.as_ref().is_some_and(|factor| factor.is_confirmed)
    }
}

impl Invited {
    fn check(&self) -> Result<(), PeopleError> {
        if !is_name(&self.name) {
            return Err(PeopleError::Name);
        }
        let chars = self.full_name.chars().count();
        let is_full_name = !self.full_name.trim().is_empty()
            && chars <= FULL_NAME_CHARS_MAX
            && !self.full_name.chars().any(char::is_control);
        if !is_full_name {
            return Err(PeopleError::FullName);
        }
        if self.roles.is_empty() {
            return Err(PeopleError::NoRole);
        }
        check_language(self.language.as_deref())?;
        let sides_fit = self.roles.iter().all(|role| role.is_at_member() == self.member.is_some());
        if sides_fit { Ok(()) } else { Err(PeopleError::Sides) }
    }
}

impl Central {
    /// Invites somebody, anew if they are known: what they had to sign in counts no more. The token that is returned
    /// lets them set a password, once, within a week.
    ///
    /// # Errors
    /// If they cannot be such a person, or the database cannot be used.
    pub async fn invite(&self, actor: &Actor, invited: &Invited) -> Result<Secret<String>, PeopleError> {
        invited.check()?;
        let (token, digest) = new_token(&invited.name)?;
        let invitation = Invitation { token: digest, expires: self.clock().now() + INVITATION_TIME };
        let Invited { name, full_name, roles, member, mail, language, until } = invited.clone();
        let person = Person {
            name,
            full_name,
            roles,
            member,
            mail,
            language,
            active: true,
            until,
            password: None,
            openid: None,
            invitation: Some(invitation),
            second_factor: None,
            tokens: BTreeMap::new(),
        };
        self.change_record(actor, "invite-person", &invited.name, |_| Ok::<_, PeopleError>(person.clone()))
            .await?;
        self.end_sessions(&invited.name).await?;
        Ok(token)
    }

    /// Lets somebody in no longer.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`], or if the database cannot be used.
    pub async fn dismiss(&self, actor: &Actor, name: &str) -> Result<(), PeopleError> {
        self.change_person(actor, "dismiss-person", name, |person| {
            *person = Person {
                mail: None,
                active: false,
                password: None,
                openid: None,
                invitation: None,
                second_factor: None,
                tokens: BTreeMap::new(),
                ..person.clone()
            };
            Ok(())
        })
        .await?;
        Ok(self.end_sessions(name).await?)
    }

    /// Sends a person's letters elsewhere, or none any more.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`] or [`PeopleError::Language`], or if the database cannot be used.
    pub async fn set_mail(
        &self,
        actor: &Actor,
        name: &str,
        mail: Option<MailAddress>,
        language: Option<String>,
    ) -> Result<Person, PeopleError> {
        check_language(language.as_deref())?;
        self.change_person(actor, "set-mail", name, |person| {
            (person.mail, person.language) = (mail.clone(), language.clone());
            Ok(())
        })
        .await
    }

    /// Everybody, by name.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn people(&self) -> Result<Vec<Person>, CentralError> {
        let mut people: Vec<Person> = self.records().await?.into_iter().map(|(_, person)| person).collect();
        people.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(people)
    }

    /// Gives a program the means to act for a person, for some days.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`] or [`PeopleError::Token`], or if the database cannot be used.
    pub async fn issue_token(
        &self,
        actor: &Actor,
        name: &str,
        label: &str,
        days: u32,
    ) -> Result<Secret<String>, PeopleError> {
        let is_label =
            (1..=NAME_BYTES_MAX).contains(&label.chars().count()) && !label.chars().any(char::is_control);
        if !is_label || !(1..=TOKEN_DAYS_MAX).contains(&days) {
            return Err(PeopleError::Token);
        }
        let now = self.clock().now();
        let expires = now + Duration::from_secs(u64::from(days) * 24 * 3600);
        let (token, digest) = new_token(name)?;
        self.change_person(actor, "issue-token", name, |person| {
            person.tokens.retain(|_, token| now < token.expires);
            if !person.acts_at(now) || person.tokens.len() >= TOKENS_MAX {
                return Err(PeopleError::Token);
            }
            person.tokens.insert(label.to_owned(), ApiToken { token: digest, expires });
            Ok(())
        })
        .await?;
        Ok(token)
    }

    async fn change_person(
        &self,
        actor: &Actor,
        act: &str,
        name: &str,
        mut change: impl FnMut(&mut Person) -> Result<(), PeopleError>,
    ) -> Result<Person, PeopleError> {
        self.change_record(actor, act, name, |person: Option<Person>| {
            let unknown = || PeopleError::Unknown { name: name.chars().take(NAME_BYTES_MAX).collect() };
            let mut person = person.ok_or_else(unknown)?;
            change(&mut person)?;
            Ok(person)
        })
        .await
    }
}

fn check_language(language: Option<&str>) -> Result<(), PeopleError> {
    match language.is_none_or(|language| LANGUAGES.contains(&language)) {
        true => Ok(()),
        false => Err(PeopleError::Language),
    }
}

fn is_name(name: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(may_stand)
}

/// 256 random bits after the name of whom they stand for, and their digest.
fn new_token(name: &str) -> Result<(Secret<String>, Sha256), PeopleError> {
    let mut bits = [0; 32];
    aws_lc_rs::rand::fill(&mut bits).map_err(|_| PeopleError::NoRandomness)?;
    let token = format!("{name}.{}", hex::encode(bits));
    let digest = Sha256::of(token.as_bytes());
    Ok((Secret::new(token), digest))
}

/// The name in a token.
fn name_in(token: &str) -> &str {
    token.rsplit_once('.').map_or("", |(name, _)| name)
}
