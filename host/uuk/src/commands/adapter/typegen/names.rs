//! Names of the contract and the manifest as Rust spells them.

use std::collections::HashSet;

/// Words that can be names only as `r#…`.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
/// Words that cannot be names at all.
const NEVER_NAMES: &[&str] = &["crate", "self", "super"];

/// A field, function or module: `birthDate`, `birth-date` → `birth_date`; `type` → `r#type`.
pub(super) fn snake_case(name: &str) -> String {
    let name = words(name).join("_");
    if KEYWORDS.contains(&name.as_str()) {
        format!("r#{name}")
    } else if NEVER_NAMES.contains(&name.as_str()) {
        format!("{name}_")
    } else {
        beginning_with_a_letter(name, '_')
    }
}

/// A type or variant: `PERSON_NOT_FOUND`, `person-not-found` → `PersonNotFound`.
pub(super) fn pascal_case(name: &str) -> String {
    let name = words(name).iter().map(|word| capitalised(word)).collect();
    // The one keyword that is spelled like a type.
    if name == "Self" { "Self_".to_owned() } else { beginning_with_a_letter(name, 'N') }
}

/// A constant: `registry-api` → `REGISTRY_API`.
pub(super) fn upper_case(name: &str) -> String {
    beginning_with_a_letter(words(name).join("_").to_uppercase(), 'N')
}

/// Names already given in one place.
#[derive(Debug, Default)]
pub(super) struct Given(HashSet<String>);

impl Given {
    /// `name` itself if it is free, else the first of `name_2`, `name_3`, … that is.
    pub(super) fn give(&mut self, name: String, separator: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}{separator}{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(name);
        self.0.insert(free.clone());
        free
    }
}

/// The words of a name in lower case; what Rust cannot spell without risk separates words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        let begins = !character.is_ascii_alphanumeric() || (after_lower && character.is_ascii_uppercase());
        if begins {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(character.to_ascii_lowercase());
        }
        after_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() { vec!["unnamed".to_owned()] } else { words }
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

fn beginning_with_a_letter(name: String, prefix: char) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("{prefix}{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_fields_as_rust_does() {
        let cases = [
            ("birthDate", "birth_date"),
            ("birth-date", "birth_date"),
            ("PIN_LSS", "pin_lss"),
            ("type", "r#type"),
            ("self", "self_"),
            ("2fa", "_2fa"),
            ("имя", "unnamed"),
            ("v1Plate", "v1_plate"),
        ];
        for (name, expected) in cases {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }

    #[test]
    fn spells_types_and_constants_as_rust_does() {
        assert_eq!(pascal_case("PERSON_NOT_FOUND"), "PersonNotFound");
        assert_eq!(pascal_case("maritalStatus"), "MaritalStatus");
        assert_eq!(pascal_case("self"), "Self_");
        assert_eq!(pascal_case("01"), "N01");
        assert_eq!(upper_case("registry-api"), "REGISTRY_API");
    }

    #[test]
    fn gives_no_name_twice() {
        let mut given = Given::default();
        assert_eq!(given.give("a_b".into(), "_"), "a_b");
        assert_eq!(given.give("a_b".into(), "_"), "a_b_2");
        assert_eq!(given.give("a_b".into(), "_"), "a_b_3");
    }
}
