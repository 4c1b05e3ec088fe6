use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuk_pki::Sha256;

use super::profile::Profile;

const TEXT_CHARS_MAX: usize = 1000;
const PERSONS_MAX: usize = 50;
const SYSTEMS_MAX: usize = 200;

/// What an institution says of itself when it wants to join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name in each language: `ky`, `ru`, …
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// Its postal address.
    pub address: String,
    /// Who answers for what.
    #[serde(default)]
    pub persons: Vec<ResponsiblePerson>,
    /// What it wants to connect. Without any it may be submitted, and not approved.
    #[serde(default)]
    pub systems: Vec<InformationSystem>,
}

/// Someone who answers for a part of the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponsiblePerson {
    /// In full.
    pub name: String,
    /// At the applicant.
    pub position: String,
    /// What for.
    #[serde(default)]
    pub duties: BTreeSet<Duty>,
    /// An order or power of attorney that says so.
    pub authority: Document,
    /// The last day on which that counts; none if it has no end.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub valid_until: Option<Date>,
}

/// What a person answers for.
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
pub enum Duty {
    /// Maintains and administers the information system.
    MaintainsSystems,
    /// Answers for what is entered being so.
    AnswersForAccuracy,
    /// Connects, and exchanges information.
    ConnectsAndExchanges,
    /// May sign the agreement.
    SignsAgreement,
}

/// A document that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What it is called, with number and date.
    pub title: String,
    /// Of the attachment that it is; none if it is handed in on paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sha256: Option<Sha256>,
}

/// An information system to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InformationSystem {
    /// For people.
    pub name: String,
    /// What it is for.
    pub purpose: String,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: a JSON pointer, such as `/persons/0/name`.
    pub field: String,
    /// What.
    pub problem: &'static str,
}

impl Application {
    /// All that is wrong with it by the rules of `profile`, as of `today`.
    pub fn problems(&self, profile: &Profile, today: Date) -> Vec<Problem> {
        let mut check = Check::default();
        for language in &profile.languages {
            check.text(format!("/names/{language}"), self.names.get(language).map_or("", String::as_str));
        }
        if let Some(other) = self.names.keys().find(|language| !profile.languages.contains(*language)) {
            check.problem(format!("/names/{}", cut(other)), "is not asked for");
        }
        check.text("/address".to_owned(), &self.address);
        check.count("/persons", self.persons.len(), PERSONS_MAX);
        check.count("/systems", self.systems.len(), SYSTEMS_MAX);
        for (index, person) in self.persons.iter().enumerate().take(PERSONS_MAX) {
            let field = |name| format!("/persons/{index}/{name}");
            check.text(field("name"), &person.name);
            check.text(field("position"), &person.position);
            check.text(field("authority/title"), &person.authority.title);
            if !person.is_authorised_at(today) {
                check.problem(field("valid_until"), "is over");
            }
        }
        for (index, system) in self.systems.iter().enumerate().take(SYSTEMS_MAX) {
            check.text(format!("/systems/{index}/name"), &system.name);
            check.text(format!("/systems/{index}/purpose"), &system.purpose);
        }
        let covered: BTreeSet<_> = self.persons.iter().flat_map(|person| &person.duties).collect();
        if profile.duties.iter().any(|duty| !covered.contains(duty)) {
            check.problem("/persons".to_owned(), "leave a duty to nobody");
        }
        check.0
    }

    /// Whether it names a person so whose authority is in force on a day.
    pub fn authorises(&self, name: &str, today: Date) -> bool {
        self.persons.iter().any(|person| person.name == name && person.is_authorised_at(today))
    }

    /// Whether a person of this name has a duty, and still may, on a day.
    pub fn has_duty(&self, name: &str, duty: Duty, today: Date) -> bool {
        let named = |person: &&ResponsiblePerson| person.name == name && person.duties.contains(&duty);
        self.persons.iter().find(named).is_some_and(|person| person.is_authorised_at(today))
    }
}

impl ResponsiblePerson {
    fn is_authorised_at(&self, today: Date) -> bool {
        self.valid_until.is_none_or(|until| today <= until)
    }
}

/// All that is wrong with the title of a file.
pub(super) fn title_problems(title: &str) -> Vec<Problem> {
    let mut check = Check::default();
    check.text("/title".to_owned(), title);
    check.0
}

#[derive(Default)]
struct Check(Vec<Problem>);

impl Check {
    fn text(&mut self, field: String, text: &str) {
        if text.trim().is_empty() {
            self.problem(field, "is missing");
        } else if text.chars().count() > TEXT_CHARS_MAX {
            self.problem(field, "is too long");
        } else if text.chars().any(|character| character.is_control() && character != '\n') {
            self.problem(field, "has a control character");
        }
    }

    fn count(&mut self, field: &str, count: usize, count_max: usize) {
        if count > count_max {
            self.problem(field.to_owned(), "are too many");
        }
    }

    fn problem(&mut self, field: String, problem: &'static str) {
        self.0.push(Problem { field, problem });
    }
}

fn cut(text: &str) -> String {
    text.chars().take(20).collect()
}
