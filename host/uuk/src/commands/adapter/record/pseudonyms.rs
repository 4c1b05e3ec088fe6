//! Stand-ins for personal values: at random, of the same shape, and the same for the same value in all of one fixture.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};
use serde_json::{Number, Value};
use uuk_contract::percent;

/// Texts tried before one is looked for letter by letter.
const TRIES: usize = 16;
/// Longer texts are not tried letter by letter: each try is a check of the whole document.
const BY_LETTER_CHARS_MAX: usize = 256;
/// Shorter ones stand by chance in any text, so they are not looked for.
const LOOKED_FOR_CHARS_MIN: usize = 4;
/// A day moves by at most about ten years.
const DAYS_MAX: i32 = 3650;

/// What stands for what. Null, true, false and texts without letters and digits stand for themselves.
pub(super) struct Pseudonyms {
    stand_ins: BTreeMap<String, String>,
    /// Values that say nothing of a person.
    kept: BTreeSet<String>,
    /// The lists of values in the contract: for one of them stands any of the same list.
    lists: Vec<Vec<String>>,
}

impl Pseudonyms {
    pub(super) fn new(lists: Vec<Vec<String>>) -> Self {
        Self { stand_ins: BTreeMap::new(), kept: BTreeSet::new(), lists }
    }

    /// Finds stand-ins for what is personal in a document of the contract, so that the document still fits.
    ///
    /// # Errors
    /// The pointer of the first value for which there is none.
    pub(super) fn learn(
        &mut self,
        document: &Value,
        is_personal: impl Fn(&str) -> bool,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<(), String> {
        let mut leaves = Vec::new();
        collect(document, String::new(), &mut leaves);
        for (pointer, leaf) in leaves {
            let Some(original) = text(leaf) else { continue };
            if !is_personal(&pointer) {
                self.kept.insert(original);
                continue;
            }
            let fits = |candidate: &Value| {
                let mut document = document.clone();
                if let Some(place) = document.pointer_mut(&pointer) {
                    *place = candidate.clone();
                }
                fits(&document)
            };
            self.stand_in(leaf, &original, fits).ok_or(pointer)?;
        }
        Ok(())
    }

    /// The same value with stand-ins for all of it that is not known to say nothing of a person; nothing if a value has none.
    pub(super) fn replace(&mut self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::Array(items) => items.iter().map(|item| self.replace(item)).collect::<Option<_>>()?,
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| Some((name.clone(), self.replace(value)?)));
                Value::Object(members.collect::<Option<_>>()?)
            }
            leaf => match text(leaf) {
                None => leaf.clone(),
                Some(original)
                    if self.kept.contains(&original) && !self.stand_ins.contains_key(&original) =>
                {
                    leaf.clone()
                }
                Some(original) => self.stand_in(leaf, &original, |_| true)?,
            },
        })
    }

    /// Whether `fixture` contains a value that something stands for.
    pub(super) fn is_betrayed_by(&self, fixture: &str) -> bool {
        let is_public = |original: &String| self.lists.iter().any(|list| list.contains(original));
        let mut originals = self
            .stand_ins
            .keys()
            .filter(|original| original.chars().count() >= LOOKED_FOR_CHARS_MIN && !is_public(original));
        originals.any(|original| {
            let quoted = Value::from(original.as_str()).to_string();
            fixture.contains(quoted.trim_matches('"')) || fixture.contains(&*percent::encode(original))
        })
    }

    fn stand_in(&mut self, leaf: &Value, original: &str, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(known) = self.stand_ins.get(original) {
            return like(leaf, known);
        }
        let fits = |candidate: &str| {
            is_same_kind(original, candidate) && like(leaf, candidate).is_some_and(|value| fits(&value))
        };
        let found = match self.lists.iter().find(|list| list.iter().any(|code| code == original)) {
            Some(list) => fastrand::choice(list)?.clone(),
            None => invented(original, fits)?,
        };
        let value = like(leaf, &found)?;
        self.stand_ins.insert(original.to_owned(), found);
        Some(value)
    }
}

fn collect<'a>(value: &'a Value, pointer: String, leaves: &mut Vec<(String, &'a Value)>) {
    let below = |step: &str| format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| collect(value, below(name), leaves));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| collect(item, below(&index.to_string()), leaves));
        }
        leaf => leaves.push((pointer, leaf)),
    }
}

/// The value in writing, if it may say something of a person.
fn text(leaf: &Value) -> Option<String> {
    let text = match leaf {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    text.contains(char::is_alphanumeric).then_some(text)
}

/// `text` as a value of the type of `leaf`.
fn like(leaf: &Value, text: &str) -> Option<Value> {
    match leaf {
        Value::Number(_) => text.parse::<Number>().ok().map(Value::Number),
        _ => Some(Value::from(text)),
    }
}

fn is_same_kind(original: &str, candidate: &str) -> bool {
    fn both<T: std::str::FromStr>(original: &str, candidate: &str) -> bool {
        original.parse::<T>().is_err() || candidate.parse::<T>().is_ok()
    }
    both::<i64>(original, candidate)
        && both::<Date>(original, candidate)
        && both::<Time>(original, candidate)
        && both::<Timestamp>(original, candidate)
}

/// Another text of the same shape that fits.
fn invented(original: &str, fits: impl Fn(&str) -> bool) -> Option<String> {
    let is_hexadecimal = original.chars().all(|letter| matches!(letter, '0'..='9' | 'a'..='f' | '-'));
    for _ in 0..TRIES {
        let (day, rest) = another_day(original).unwrap_or((String::new(), original));
        let (mut candidate, mut before) = (day, ' ');
        for letter in rest.chars() {
            candidate.push(another(letter, before, is_hexadecimal));
            before = letter;
        }
        if fits(&candidate) {
            return Some(candidate);
        }
    }
    if original.chars().count() > BY_LETTER_CHARS_MAX {
        return None;
    }
    let (mut found, mut before, mut exchanged) = (original.to_owned(), ' ', 0);
    for (at, letter) in original.chars().enumerate() {
        let candidates =
            (0..TRIES).map(|_| another(letter, before, is_hexadecimal)).filter(|new| *new != letter);
        let mut candidates = candidates.map(|new| {
            let letters = found.chars().enumerate();
            letters.map(|(index, old)| if index == at { new } else { old }).collect::<String>()
        });
        if let Some(candidate) = candidates.find(|candidate| fits(candidate)) {
            found = candidate;
            exchanged += 1;
        }
        before = letter;
    }
    // What is left of the original must not tell whose it is.
    let of = original.chars().filter(|letter| letter.is_alphanumeric()).count();
    (exchanged * 2 >= of).then_some(found)
}

/// Another day in the place of the one that `text` begins with, and what follows it.
fn another_day(text: &str) -> Option<(String, &str)> {
    let (day, rest) = text.split_at_checked("YYYY-MM-DD".len())?;
    let days = fastrand::i32(1..=DAYS_MAX) * if fastrand::bool() { 1 } else { -1 };
    let moved = day.parse::<Date>().ok()?.checked_add(days.days()).ok()?;
    Some((moved.to_string(), rest))
}

/// Another of the same sort. A number that does not begin with zero does not begin with it afterwards.
fn another(letter: char, before: char, is_hexadecimal: bool) -> char {
    let sort = match letter {
        '1'..='9' if !before.is_ascii_digit() => '1'..='9',
        '0'..='9' => '0'..='9',
        'a'..='f' if is_hexadecimal => 'a'..='f',
        '\u{400}'..='\u{52f}' if letter.is_uppercase() => 'А'..='Я',
        '\u{400}'..='\u{52f}' => 'а'..='я',
        _ if letter.is_uppercase() => 'A'..='Z',
        _ if letter.is_alphabetic() => 'a'..='z',
        _ => return letter,
    };
    std::iter::repeat_with(|| fastrand::char(sort.clone())).find(|new| *new != letter).unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_value_has_the_same_stand_in_of_the_same_shape() {
        let mut pseudonyms = Pseudonyms::new(vec![]);
        let original = json!(["Asanova-Ы", "1940-01-31", 10_101_194, "Asanova-Ы", null, true]);
        let replaced = pseudonyms.replace(&original).expect("there is one");
        let at = |index: usize| replaced.get(index).expect("as many").clone();
        assert_eq!(at(0), at(3));
        let name: Vec<char> = at(0).as_str().expect("a text").chars().collect();
        assert!(name.len() == 9 && name.first().is_some_and(char::is_ascii_uppercase), "{name:?}");
        assert!(at(1).as_str().is_some_and(|day| day.parse::<Date>().is_ok() && day != "1940-01-31"));
        assert!(at(2).as_u64().is_some_and(|number| number.to_string().len() == 8 && number != 10_101_194));
        assert_eq!((at(4), at(5)), (Value::Null, json!(true)));
    }

    #[test]
    fn refuses_a_value_for_which_the_contract_leaves_no_other() {
        let mut pseudonyms = Pseudonyms::new(vec![]);
        let document = json!({"code": "ABCD"});
        let refused = pseudonyms.learn(&document, |_| true, |candidate| *candidate == document);
        assert_eq!(refused, Err("/code".to_owned()));
    }

    #[test]
    fn keeps_what_the_contract_demands_of_a_number_of_a_plate() {
        let mut pseudonyms = Pseudonyms::new(vec![]);
        let starts_with_kg = |document: &Value| document.as_str().is_some_and(|text| text.starts_with("KG"));
        pseudonyms.learn(&json!("KG123456"), |_| true, starts_with_kg).expect("digits are left");
        let replaced = pseudonyms.replace(&json!("KG123456")).expect("it is known");
        assert!(starts_with_kg(&replaced) && replaced != json!("KG123456"), "{replaced}");
    }

    #[test]
    fn an_original_in_a_fixture_is_seen_even_percent_encoded() {
        let mut pseudonyms = Pseudonyms::new(vec![]);
        pseudonyms.replace(&json!("Асанова")).expect("there is one");
        assert!(pseudonyms.is_betrayed_by("{\"a\": \"Асанова\"}"));
        assert!(pseudonyms.is_betrayed_by("/people/%D0%90%D1%81%D0%B0%D0%BD%D0%BE%D0%B2%D0%B0"));
        assert!(!pseudonyms.is_betrayed_by("{}"));
    }
}
