//! Letters to people about what is for them to do, kept until a mail server has taken them.
//!
//! A letter is kept with the change that it tells of, both or neither. It holds what happened; who writes it out in its
//! reader's language reads [`Notice`].

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuk_identifiers::{ClientId, MemberId, ServiceId};
use uuk_pki::Sha256;

use crate::central::{Central, CentralError};
use crate::joining::{Party, Phase, Stage, Timeliness, Turn};
use crate::people::{MailAddress, Person, Role};

/// Who has taken a letter sends it or says why not within this time, or others take it.
const SENDING_TIME_MAX: Duration = Duration::from_secs(300);
const FIRST_DELAY: Duration = Duration::from_secs(60);
const DELAY_MAX: Duration = Duration::from_secs(6 * 3600);
/// Five days: what a mail server gives another.
const ATTEMPTS_MAX: u32 = 24;
/// By then nobody writes the same letter again.
const KEPT_TIME: Duration = Duration::from_secs(400 * 24 * 3600);
const HINDRANCE_CHARS_MAX: usize = 500;

/// What somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Notice {
    /// A procedure of joining is at another stage, or it is another's turn.
    Stage {
        /// Its number.
        procedure: u64,
        /// Who joins.
        member: MemberId,
        /// How far it is.
        stage: Stage,
        /// Whose turn it is.
        turn: Turn,
    },
    /// The last day that the law sets the operator is near, or over.
    Deadline {
        /// The number of the procedure.
        procedure: u64,
        /// Who joins.
        member: MemberId,
        /// What must be done.
        phase: Phase,
        /// The last day.
        due: Date,
        /// Whether it is over.
        timeliness: Timeliness,
    },
    /// Who joins asks for help.
    Asked {
        /// The number of the procedure.
        procedure: u64,
        /// Who joins.
        member: MemberId,
    },
    /// The operator has answered.
    Answered {
        /// The number of the procedure.
        procedure: u64,
        /// Who joins.
        member: MemberId,
    },
    /// A service that the reader's institution may call has another edition.
    Edition {
        /// Which service.
        service: ServiceId,
        /// The number of the edition that counts now.
        edition: u32,
    },
    /// A service that the reader's institution may call is no longer there.
    Withdrawn {
        /// Which service.
        service: ServiceId,
    },
    /// The description of a service of the reader's institution was not looked through for long.
    Unconfirmed {
        /// Which service.
        service: ServiceId,
        /// When somebody last did.
        since: Timestamp,
    },
    /// A consumer asks the reader's institution for access.
    AccessAsked {
        /// The number of the request.
        access: u64,
        /// To which service.
        service: ServiceId,
        /// Who asks.
        consumer: ClientId,
    },
    /// A consumer waits for longer than the provider promised.
    AccessOverdue {
        /// The number of the request.
        access: u64,
        /// To which service.
        service: ServiceId,
        /// Who waits.
        consumer: ClientId,
    },
    /// A provider has decided on a request of the reader's institution, or taken a grant back.
    AccessDecided {
        /// The number of the request.
        access: u64,
        /// To which service.
        service: ServiceId,
        /// Whether the consumer may call now.
        granted: bool,
    },
}

/// Whom a notice is for.
pub(crate) enum Readers {
    /// Who has one of these roles at the operator.
    Operator(&'static [Role]),
    /// Who has one of these roles at the member.
    Member(MemberId, &'static [Role]),
}

/// A notice with its name, which says why it is written.
pub(crate) struct Telling {
    pub(crate) name: String,
    pub(crate) notice: Notice,
    pub(crate) readers: Readers,
}

/// A letter as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct LetterRow {
    pub(crate) name: String,
    pub(crate) person: String,
    pub(crate) notice: String,
    pub(crate) due_at: i64,
    pub(crate) attempts: i64,
    pub(crate) hindrance: Option<String>,
}

/// A letter that is to be sent now.
#[derive(Debug, Clone)]
pub struct Letter {
    name: String,
    attempts: u32,
    /// Where to.
    pub address: MailAddress,
    /// Who reads it.
    pub person: Person,
    /// What it says.
    pub notice: Notice,
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A mail server has it.
    Taken,
    /// It is to be tried again later; why.
    Delayed(String),
    /// No mail server will ever take it; why.
    Refused(String),
}

/// A letter that is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnsentLetter {
    /// Who is to read it, by the name to sign in.
    pub person: String,
    /// What it says.
    pub notice: Notice,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; `None` if it was given up.
    pub next: Option<Timestamp>,
    /// Why it is not sent yet.
    pub hindrance: Option<String>,
}

impl Readers {
    fn has(&self, person: &Person) -> bool {
        let (member, roles) = match self {
            Self::Operator(roles) => (None, roles),
            Self::Member(member, roles) => (Some(member), roles),
        };
        person.active
            && person.member.as_ref() == member
            && roles.iter().any(|role| person.roles.contains(role))
    }

    /// Who describes a member's services, or decides on access.
    pub(crate) fn of_catalog(member: &MemberId) -> Self {
        Self::Member(member.clone(), &[Role::Head, Role::CatalogEditor])
    }

    /// Who answers for what a member calls.
    pub(crate) fn of_calls(member: &MemberId) -> Self {
        Self::Member(member.clone(), &[Role::Head, Role::Specialist, Role::CatalogEditor])
    }

    /// Who works on joining for a party.
    pub(crate) fn of(party: Party, member: &MemberId) -> Self {
        match party {
            Party::Applicant => Self::Member(member.clone(), &[Role::Head, Role::Specialist]),
            Party::Operator => Self::Operator(&[Role::Operator, Role::Reviewer]),
        }
    }
}

impl Letter {
    /// The same for the same letter, whoever sends it and however often: by it a reader's program knows it again.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(self.name.as_bytes())
    }
}

impl Central {
    /// The letters that tell the readers of each telling, as they are kept.
    pub(crate) async fn letters_of(&self, tellings: &[Telling]) -> Result<Vec<LetterRow>, CentralError> {
        if tellings.is_empty() {
            return Ok(Vec::new());
        }
        let people = self.people().await?;
        let due_at = self.clock().now().as_second();
        let mut rows = Vec::new();
        for Telling { name, notice, readers } in tellings {
            let notice = serde_json::to_string(notice).map_err(CentralError::Unwritable)?;
            let reachable = people.iter().filter(|person| person.mail.is_some() && readers.has(person));
            rows.extend(reachable.map(|person| LetterRow {
                name: format!("{name} to {}", person.name),
                person: person.name.clone(),
                notice: notice.clone(),
                due_at,
                attempts: 0,
                hindrance: None,
            }));
        }
        Ok(rows)
    }

    /// Writes to the operator's people about each procedure whose last day is near or over, and to providers about each
    /// service that nobody has looked through for long, once for each. Forgets letters that have long been sent.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn remind(&self) -> Result<(), CentralError> {
        let (now, calendars) = (self.clock().now(), self.calendars().await?);
        let mut tellings = Vec::new();
        for case in self.joinings().await? {
            // Rules that this program no longer has are told wherever the procedure is looked at.
            let (Ok(profile), Ok(calendar)) = (case.profile(), case.calendar(&calendars)) else { continue };
            let Some(deadline) = case.procedure.deadline(profile, calendar, now) else { continue };
            let (Some(due), Timeliness::DueSoon | Timeliness::Overdue) = (deadline.due, deadline.timeliness)
            else {
                continue;
            };
            let (procedure, phase, timeliness) = (case.number, deadline.phase, deadline.timeliness);
            let readers = match timeliness {
                // Then it is no longer only for those who should have done it.
                Timeliness::Overdue => &[Role::Operator, Role::Reviewer, Role::Auditor][..],
                _ => &[Role::Operator, Role::Reviewer],
            };
            tellings.push(Telling {
                name: format!("procedure {procedure} {phase} {due} {timeliness}"),
                notice: Notice::Deadline { procedure, member: case.member, phase, due, timeliness },
                readers: Readers::Operator(readers),
            });
        }
        tellings.extend(self.snapshot().await?.registry.catalog().reminders(now));
        let letters = self.letters_of(&tellings).await?;
        self.store().write_letters(&letters).await?;
        Ok(self.store().forget_letters((now - KEPT_TIME).as_second()).await?)
    }

    /// Takes a letter that is due: whoever has it says soon what became of it, with [`Central::settle_letter`].
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn take_letter(&self) -> Result<Option<Letter>, CentralError> {
        loop {
            let now = self.clock().now();
            let until = (now + SENDING_TIME_MAX).as_second();
            let Some(row) = self.store().take_letter(now.as_second(), until).await? else { return Ok(None) };
            let person: Option<Person> = self.record(&row.person).await?;
            let person = person.filter(|person| person.acts_at(now));
            let address = person.as_ref().and_then(|person| person.mail.clone());
            let notice = serde_json::from_str(&row.notice);
            match (person, address, notice) {
                (Some(person), Some(address), Ok(notice)) => {
                    let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
                    return Ok(Some(Letter { name: row.name, attempts, address, person, notice }));
                }
                (_, _, Err(_)) => self.give_up(&row.name, "a newer program has written it").await?,
                (None, ..) => self.give_up(&row.name, "its reader has gone").await?,
                (_, None, _) => self.give_up(&row.name, "its reader wants no letters any more").await?,
            }
        }
    }

    /// Notes what became of a letter.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn settle_letter(&self, letter: &Letter, delivery: &Delivery) -> Result<(), CentralError> {
        match delivery {
            Delivery::Taken => Ok(self.store().settle_letter(&letter.name, "sent", None, None).await?),
            Delivery::Delayed(why) if letter.attempts < ATTEMPTS_MAX => {
                let next = self.clock().now() + delay_after(letter.attempts);
                let (due_at, why) = (Some(next.as_second()), Some(shortened(why)));
                Ok(self.store().settle_letter(&letter.name, "waiting", due_at, why).await?)
            }
            Delivery::Delayed(why) | Delivery::Refused(why) => self.give_up(&letter.name, why).await,
        }
    }

    /// The letters that wait or were given up, the newest first, at most `letters_max`.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn unsent_letters(&self, letters_max: u32) -> Result<Vec<UnsentLetter>, CentralError> {
        let rows = self.store().unsent_letters(letters_max).await?;
        let unsent = rows.into_iter().filter_map(|(waits, row)| {
            Some(UnsentLetter {
                person: row.person,
                notice: serde_json::from_str(&row.notice).ok()?,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                next: Timestamp::from_second(row.due_at).ok().filter(|_| waits),
                hindrance: row.hindrance,
            })
        });
        Ok(unsent.collect())
    }

    async fn give_up(&self, name: &str, why: &str) -> Result<(), CentralError> {
        Ok(self.store().settle_letter(name, "given-up", None, Some(shortened(why))).await?)
    }
}

/// Four times as long each time.
fn delay_after(attempts: u32) -> Duration {
    let times = 4u32.saturating_pow(attempts.saturating_sub(1));
    FIRST_DELAY.saturating_mul(times).min(DELAY_MAX)
}

fn shortened(text: &str) -> String {
    text.chars().take(HINDRANCE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_but_not_for_ever() {
        let minutes = |attempts| delay_after(attempts).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 6, 24].map(minutes), [1, 4, 16, 64, 256, 360, 360]);
        let in_all: u64 = (1..ATTEMPTS_MAX).map(minutes).sum();
        assert!((4 * 24 * 60..6 * 24 * 60).contains(&in_all), "{in_all}");
    }
}
