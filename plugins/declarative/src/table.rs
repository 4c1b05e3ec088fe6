//! Reading the tables of `map.toml`, so that whatever is refused is named by its key.

use std::fmt;

use crate::node::{Members, Node};

/// Why a mapping is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("map.toml: {key}: {reason}")]
pub struct Refusal {
    /// The key, dotted as TOML writes it: `get.answer.sex`.
    pub key: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What may be wrong with a key of `map.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing of this name can stand here.
    #[error("means nothing here")]
    Unknown,
    /// Something has to stand here.
    #[error("is missing")]
    Missing,
    /// A value of another type.
    #[error("has to be {0}")]
    NotA(&'static str),
    /// None of these keys, or more than one.
    #[error("has to have one of {0}, and only one")]
    NotOneOf(&'static str),
    /// No JSON Pointer.
    #[error("is no path: `/name`, or {{ value = … }} for the text itself")]
    Path,
    /// No pattern of a date.
    #[error("is no pattern of a date: `yyyy`, `mm` and `dd` once each, such as dd.mm.yyyy")]
    DatePattern,
    /// No table of codes has this name.
    #[error("there is no table [codes.{0}]")]
    UnknownCodes(String),
    /// None of the kinds of fault that the adapter contract has.
    #[error(
        "is no kind of fault: bad-input, not-found, forbidden, conflict, precondition, rate-limited, \
             upstream-unavailable, upstream-timeout or internal"
    )]
    FaultKind,
    /// Lists within lists within lists.
    #[error("is nested more than {0} deep")]
    TooDeep(usize),
    /// An operation with too many fields.
    #[error("is one field too many: an operation has at most {0}")]
    TooMany(usize),
    /// The manifest declares nothing of this name.
    #[error("plugin.toml has no {what} `{name}`")]
    Undeclared {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A parameter without which the statement cannot run.
    #[error("the statement needs the parameter `{0}`, which is not null")]
    ParameterMissing(String),
    /// `row` of a statement that may give more.
    #[error("the statement may give more than one row: say `rows`, or `max_rows = 1` in plugin.toml")]
    SeveralRows,
    /// A column of octets.
    #[error("column `{0}` holds bytes, which an answer cannot")]
    Bytes(String),
}

/// A key of `map.toml`, with the tables it stands in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    within: Option<&'a Key<'a>>,
    name: &'a str,
}

impl<'a> Key<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        Self { within: None, name }
    }

    pub(crate) fn child<'c>(&'c self, name: &'c str) -> Key<'c> {
        Key { within: Some(self), name }
    }

    pub(crate) fn refuse(&self, reason: Reason) -> Refusal {
        Refusal { key: self.to_string(), reason }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = self.within {
            write!(formatter, "{within}.")?;
        }
        // A name is the author's, in a file of bounded size: shown as it is, but on one line.
        write!(formatter, "{}", self.name.escape_debug())
    }
}

/// A table being read. What was not taken from it when it ends means nothing and is refused.
pub(crate) struct Table<'a> {
    pub(crate) key: Key<'a>,
    members: &'a Members<'a>,
    taken: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(crate) fn read(key: Key<'a>, node: &'a Node<'a>) -> Result<Self, Refusal> {
        Ok(Self { key, members: members(key, node)?, taken: Vec::new() })
    }

    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a Node<'a>> {
        self.taken.push(name);
        self.members.iter().find(|(member, _)| member == name).map(|(_, node)| node)
    }

    pub(crate) fn required(&mut self, name: &'static str) -> Result<&'a Node<'a>, Refusal> {
        self.take(name).ok_or_else(|| self.key.child(name).refuse(Reason::Missing))
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.key.child(name).refuse(Reason::NotA("a text"))),
        }
    }

    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<&'a str, Refusal> {
        self.text(name)?.ok_or_else(|| self.key.child(name).refuse(Reason::Missing))
    }

    pub(crate) fn end(self) -> Result<(), Refusal> {
        match self.members.iter().find(|(name, _)| !self.taken.contains(&name.as_ref())) {
            Some((name, _)) => Err(self.key.child(name).refuse(Reason::Unknown)),
            None => Ok(()),
        }
    }
}

/// The members of a table at `key`.
pub(crate) fn members<'a>(key: Key<'_>, node: &'a Node<'a>) -> Result<&'a Members<'a>, Refusal> {
    match node {
        Node::Table(members) => Ok(members),
        _ => Err(key.refuse(Reason::NotA("a table"))),
    }
}
