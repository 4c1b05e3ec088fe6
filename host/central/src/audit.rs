//! The audit log: who did what, with everything as it was before and after, each entry bound to the one before it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::registry::Edit;

/// Names of people, tokens and servers are shorter.
const ACTOR_BYTES_MAX: usize = 1024;

/// Who did something: a user of the machine, a token of the API, a security server, or this program itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor(String);

/// A name that cannot stand in an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an actor has a name of 1 to {ACTOR_BYTES_MAX} bytes, without control characters")]
pub struct NoActor;

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// From one, without gaps.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What it did, in words for programs: `add-member`.
    pub act: String,
    /// What that changed.
    pub edits: Vec<Edit>,
}

/// Entries of the audit log as they are stored, newest first.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// They are not checked against those before them: that takes the whole log, by [`Central::audit`].
    ///
    /// [`Central::audit`]: crate::Central::audit
    pub entries: Vec<AuditEntry>,
    /// Below which number to go on; nothing if there is nothing older.
    pub next: Option<i64>,
}

/// The end of the chain: the number of the last entry, and the digest over it and all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: i64,
    pub(crate) digest: Vec<u8>,
}

/// An entry as it is stored.
#[derive(Debug)]
pub(crate) struct AuditRow {
    pub(crate) number: i64,
    /// The entry in JSON, to the byte.
    pub(crate) content: String,
    pub(crate) digest: Vec<u8>,
}

/// What does not hold in an audit log.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "audit.")]
#[non_exhaustive]
pub enum AuditError {
    /// An entry was taken out.
    #[error("entry {number} of the audit log is missing")]
    Missing {
        /// Which.
        number: i64,
    },
    /// An entry is not what was written, or one before it was changed with its own digest.
    #[error("entry {number} of the audit log was changed")]
    Altered {
        /// Which.
        number: i64,
    },
}

impl AuditError {
    /// The stable code: `audit.altered`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl FromStr for Actor {
    type Err = NoActor;

    fn from_str(name: &str) -> Result<Self, NoActor> {
        let is_name =
            !name.is_empty() && name.len() <= ACTOR_BYTES_MAX && !name.chars().any(char::is_control);
        if is_name { Ok(Self(name.to_owned())) } else { Err(NoActor) }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<(i64, String, Vec<u8>)> for AuditRow {
    fn from((number, content, digest): (i64, String, Vec<u8>)) -> Self {
        Self { number, content, digest }
    }
}

impl Head {
    /// The end of an empty log.
    pub(crate) fn start() -> Self {
        Self { number: 0, digest: Vec::new() }
    }

    /// The row that follows, of an entry in JSON.
    pub(crate) fn follow(&self, content: String) -> AuditRow {
        let mut context = Context::new(&SHA256);
        context.update(&self.digest);
        context.update(content.as_bytes());
        AuditRow { number: self.number + 1, digest: context.finish().as_ref().to_vec(), content }
    }

    /// Reads the row that should follow, and moves on to it.
    pub(crate) fn verify(&mut self, row: AuditRow) -> Result<AuditEntry, AuditError> {
        let number = self.number + 1;
        if row.number != number {
            return Err(AuditError::Missing { number });
        }
        let altered = AuditError::Altered { number };
        let expected = self.follow(row.content);
        let entry = serde_json::from_str::<AuditEntry>(&expected.content).ok();
        let Some(entry) = entry.filter(|entry| entry.number == number && expected.digest == row.digest)
        else {
            return Err(altered);
        };
        *self = Self { number, digest: expected.digest };
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<AuditRow> {
        let mut head = Head::start();
        let mut rows = Vec::new();
        for act in ["init", "add-member", "remove-member"] {
            let actor: Actor = "cli:asanova".parse().unwrap();
            let (number, at) = (head.number + 1, Timestamp::UNIX_EPOCH);
            let entry = AuditEntry { number, at, actor, act: act.into(), edits: Vec::new() };
            let row = head.follow(serde_json::to_string(&entry).unwrap());
            head = Head { number, digest: row.digest.clone() };
            rows.push(row);
        }
        rows
    }

    fn check(rows: Vec<AuditRow>) -> Result<Vec<AuditEntry>, AuditError> {
        let mut head = Head::start();
        rows.into_iter().map(|row| head.verify(row)).collect()
    }

    #[test]
    fn an_untouched_log_holds() {
        let acts: Vec<_> = check(rows()).unwrap().into_iter().map(|entry| entry.act).collect();
        assert_eq!(acts, ["init", "add-member", "remove-member"]);
    }

    #[test]
    fn refuses_an_entry_that_was_changed() {
        let mut rows = rows();
        rows[1].content = rows[1].content.replace("asanova", "bekov");
        assert!(matches!(check(rows), Err(AuditError::Altered { number: 2 })));
    }

    #[test]
    fn refuses_a_change_with_its_own_digest_mended() {
        let mut rows = rows();
        let changed = rows[1].content.replace("asanova", "bekov");
        let before = Head { number: 1, digest: rows[0].digest.clone() };
        rows[1] = before.follow(changed);
        assert!(matches!(check(rows), Err(AuditError::Altered { number: 3 })));
    }

    #[test]
    fn refuses_a_gap() {
        let mut rows = rows();
        rows.remove(1);
        assert!(matches!(check(rows), Err(AuditError::Missing { number: 2 })));
    }

    #[test]
    fn refuses_an_actor_without_a_name() {
        assert_eq!("".parse::<Actor>(), Err(NoActor));
        assert_eq!("a\nb".parse::<Actor>(), Err(NoActor));
    }
}
