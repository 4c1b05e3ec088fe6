//! Versions of the global configuration.

use std::fmt;

/// A version of the global configuration. A security server of X-Road 7.8 takes all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Version {
    V2,
    V3,
    V4,
    V5,
    V6,
}

impl Version {
    /// All, newest first: the order in which a source is asked.
    pub const NEWEST_FIRST: [Self; 5] = [Self::V6, Self::V5, Self::V4, Self::V3, Self::V2];

    /// The version with this number, as the directory's header `Version` has it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::NEWEST_FIRST.into_iter().find(|version| version.number() == number)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
            Self::V5 => 5,
            Self::V6 => 6,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(formatter)
    }
}
