//! What of a description and its contract would tell the public of people.
//!
//! Both are public to the byte, so this is looked for before they are published: mail addresses, telephone numbers, the
//! names of those who help, a contract's contact, and examples in the contract of a service that gives out personal data.

use serde_json::Value;
use uuk_contract::Contract;

use super::description::{InformationSystem, ServiceDescription, Texts};
use super::lint::Flaw;

/// Telephone numbers in Kyrgyzstan and Uzbekistan have nine digits after the country's code.
const PHONE_DIGITS: usize = 9;
const COUNTRY_CODES: [&str; 2] = ["996", "998"];
const EXAMPLES: [&str; 2] = ["example", "examples"];

/// Everything that the public must not see.
pub(super) fn privacy_flaws(description: &ServiceDescription, contract: &Contract) -> Vec<Flaw> {
    // A single word is an office rather than a person, and found everywhere.
    let names = description.support.iter().map(|contact| contact.name.trim().to_lowercase());
    let search = Search { names: names.filter(|name| name.contains(' ')).collect() };
    let mut places = Vec::new();
    for (at, texts) in [("title", &description.title), ("description", &description.description)] {
        places.extend(search.texts(at, texts));
    }
    for (at, text) in [("legal_basis", &description.legal_basis), ("tariff", &description.tariff)] {
        places.extend(search.finds(text).then(|| at.to_owned()));
    }
    let document = contract.openapi_tree();
    if document.pointer("/info/contact").is_some() {
        places.push("/info/contact".to_owned());
    }
    search.walk(&document, "", description.is_personal(), &mut places);
    // Comments are in no tree. What the tree names is found in its line as well, and is named once.
    if places.is_empty() {
        let source = String::from_utf8_lossy(contract.source());
        let lines = source.lines().enumerate().filter(|(_, line)| search.finds(line));
        places.extend(lines.map(|(index, _)| format!("line {} of the contract", index + 1)));
    }
    places.into_iter().map(|at| Flaw::TellsOfPeople { at }).collect()
}

/// Where the texts of an information system tell of people.
pub(super) fn system_privacy_flaws(system: &InformationSystem) -> Vec<Flaw> {
    let search = Search { names: Vec::new() };
    let of_resource = |(code, resource): (&String, &super::Resource)| {
        search.texts(&format!("resources.{code}.title"), &resource.title)
    };
    let mut places = search.texts("title", &system.title);
    places.extend(search.texts("description", &system.description));
    places.extend(system.resources.iter().flat_map(of_resource));
    places.into_iter().map(|at| Flaw::TellsOfPeople { at }).collect()
}

struct Search {
    /// In small letters.
    names: Vec<String>,
}

impl Search {
    fn texts(&self, at: &str, texts: &Texts) -> Vec<String> {
        let found = texts.iter().filter(|(_, text)| self.finds(text));
        found.map(|(language, _)| format!("{at}.{language}")).collect()
    }

    fn walk(&self, value: &Value, pointer: &str, is_personal: bool, places: &mut Vec<String>) {
        match value {
            Value::String(text) if self.finds(text) => places.push(pointer.to_owned()),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{pointer}/{index}"), is_personal, places);
                }
            }
            Value::Object(fields) => {
                // Beneath `properties`, a name is that of a field.
                let has_keywords = !pointer.ends_with("/properties");
                for (name, value) in fields {
                    let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    if is_personal && has_keywords && EXAMPLES.contains(&name.as_str()) {
                        places.push(at);
                    } else {
                        self.walk(value, &at, is_personal, places);
                    }
                }
            }
            _ => {}
        }
    }

    fn finds(&self, text: &str) -> bool {
        let small = text.to_lowercase();
        has_mail(text) || has_phone(text) || self.names.iter().any(|name| small.contains(name))
    }
}

/// `somebody@example.kg`
fn has_mail(text: &str) -> bool {
    let words = text.split(|it: char| !(it.is_alphanumeric() || "@._-+".contains(it)));
    words.into_iter().filter_map(|word| word.split_once('@')).any(|(user, host)| {
        let host = host.trim_end_matches('.');
        !user.is_empty()
            && host.split_once('.').is_some_and(|(name, rest)| !name.is_empty() && !rest.is_empty())
    })
}

/// `+996 (312) 00-00-00`, `0312 00 00 00`, `998901234567`, `90 123-45-67`
fn has_phone(text: &str) -> bool {
    let is_of_number = |it: char| it.is_ascii_digit() || "+ -()".contains(it);
    // Digits within a word, a date or an amount are none of a telephone.
    let ends = |it: Option<char>| it.is_none_or(|it| !it.is_alphanumeric() && !"_/\\{".contains(it));
    let mut rest = text;
    while let Some(start) = rest.find(|it: char| it.is_ascii_digit() || it == '+' || it == '(') {
        let (before, from) = rest.split_at(start);
        let end = from.find(|it| !is_of_number(it)).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        let stands_alone = ends(before.chars().next_back()) && ends(after.chars().next());
        if number.split('+').skip(1).any(|number| digits(number).len() >= PHONE_DIGITS)
            || stands_alone && is_local_phone(number.trim())
        {
            return true;
        }
        rest = after;
    }
    false
}

/// A number without `+`, by how it begins or by the groups in which it is written.
fn is_local_phone(number: &str) -> bool {
    let all = digits(number);
    let after = |prefix: &str| all.strip_prefix(prefix).is_some_and(|rest| rest.len() == PHONE_DIGITS);
    let groups: Vec<_> =
        number.split(|it: char| !it.is_ascii_digit()).map(str::len).filter(|it| *it > 0).collect();
    after("0")
        || COUNTRY_CODES.into_iter().any(after)
        || matches!(groups.as_slice(), [2, 3, 2, 2] | [3, 2, 2, 2])
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mail_addresses_telephones_and_names() {
        let search = Search { names: vec!["asan uulu".to_owned()] };
        for text in ["Write to a.b@example.kg.", "+996 (312) 00-00-00", "<a@b.kg>", "by Asan Uulu"] {
            assert!(search.finds(text), "{text}");
        }
        for text in ["call 0312 62-06-20.", "(0555) 12 34 56", "996555123456", "tel: 90 123-45-67"] {
            assert!(search.finds(text), "{text}");
        }
        for text in ["urn:a@b", "1 + 1", "+7 days", "Law 12 of 2020", r"^\+996\d{9}$", "@", "Asan", "a@.kg"] {
            assert!(!search.finds(text), "{text}");
        }
        for text in
            ["2026-11-23 10:00", "21201199012345", "id0312620620", "1000000000 som", "v0.1.2", r"^0\d{9}$"]
        {
            assert!(!search.finds(text), "{text}");
        }
    }
}
