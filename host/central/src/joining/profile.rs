use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuk_globalconf::{Malformed, from_toml};

use super::application::Duty;
use super::deadline::Phase;

/// The rules of a country by which an institution joins. What began under one ends under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What applications name it by.
    pub id: String,
    /// Which edition of it.
    pub version: u32,
    /// For people.
    pub title: String,
    /// The country whose working days count.
    pub calendar: String,
    /// The languages in which an applicant gives its name.
    pub languages: BTreeSet<String>,
    /// The duties that responsible persons must have between them.
    pub duties: BTreeSet<Duty>,
    /// How long the operator may take.
    pub deadlines: Deadlines,
    /// What the grounds of refusal are called.
    pub grounds: BTreeMap<Ground, String>,
    /// What is looked at in a review.
    pub checklist: Vec<ChecklistItem>,
}

/// Working days that the operator may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// Until the decision.
    pub review: u32,
    /// Until the technical instructions.
    pub instructions: u32,
    /// Until the connection.
    pub connection: u32,
    /// With so many left, the operator is reminded.
    pub remind: u32,
}

/// On what an application may be refused, and on nothing else.
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
    JsonSchema,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Ground {
    /// The information system does not meet the technical requirements.
    TechnicalRequirements,
    /// Somebody without authority supplied the information.
    UnauthorisedPerson,
    /// What the catalog is told is incomplete or unreliable.
    CatalogData,
}

/// Something that is looked at in a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChecklistItem {
    /// What reviews name it by.
    pub id: String,
    /// For people.
    pub text: String,
    /// On which ground it speaks against the applicant if it is not so.
    pub ground: Ground,
}

impl Profile {
    /// Reads a profile in TOML, of the shape that those of this program have.
    ///
    /// # Errors
    /// [`Malformed`] says where.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        from_toml(text)
    }

    /// A profile of this program: `tunduk-2018` or `uz-iip`.
    pub fn of(id: &str) -> Option<&'static Self> {
        Self::all().iter().find(|profile| profile.id == id)
    }

    /// The profiles of this program.
    pub fn all() -> &'static [Self] {
        static KNOWN: LazyLock<Vec<Profile>> = LazyLock::new(|| {
            let files = [include_str!("profiles/tunduk-2018.toml"), include_str!("profiles/uz-iip.toml")];
            #[expect(
                clippy::expect_used,
                reason = "the texts are part of the program, and a test reads them all"
            )]
            files.map(|text| Profile::read(text).expect("a profile of ours")).into()
        });
        &KNOWN
    }

    /// The working days that the operator may take for a phase.
    pub(super) fn days_max(&self, phase: Phase) -> u32 {
        match phase {
            Phase::Review => self.deadlines.review,
            Phase::Instructions => self.deadlines.instructions,
            Phase::Connection => self.deadlines.connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;
    use crate::joining::calendar::Calendar;

    #[test]
    fn the_profiles_of_this_program_can_be_used() {
        for id in ["tunduk-2018", "uz-iip"] {
            let profile = Profile::of(id).unwrap();
            assert!(Calendar::of(&profile.calendar).is_some(), "{id}");
            assert!(Ground::iter().all(|ground| profile.grounds.contains_key(&ground)), "{id}");
            let ids: BTreeSet<_> = profile.checklist.iter().map(|item| &item.id).collect();
            assert_eq!(ids.len(), profile.checklist.len(), "{id}: an item stands twice");
            let Deadlines { review, instructions, connection, .. } = profile.deadlines;
            assert_eq!([review, instructions, connection], [7, 7, 5], "{id}");
        }
        assert!(Profile::of("kg-2030").is_none());
    }

    #[test]
    fn refuses_a_misspelt_key() {
        let text = include_str!("profiles/uz-iip.toml").replace("calendar =", "calender =");
        assert!(Profile::read(&text).unwrap_err().reason.contains("calender"));
    }
}
