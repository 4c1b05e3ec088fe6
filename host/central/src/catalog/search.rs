//! The words by which services are found.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::description::CatalogService;

/// A service has no more words, a question none beyond these.
const WORDS_OF_SERVICE_MAX: usize = 400;
const WORDS_OF_QUESTION_MAX: usize = 6;
/// One letter finds everything.
const WORD_CHARS_MIN: usize = 2;
/// What is longer is cut, in a question too.
const WORD_CHARS_MAX: usize = 40;

/// The words of a service as the registry stores it; none unless it is published.
pub(crate) fn words_of_service(service: Option<&Value>) -> BTreeSet<String> {
    let service = service.and_then(|service| CatalogService::deserialize(service).ok());
    let Some(published) = service.and_then(|service| service.published) else { return BTreeSet::new() };
    let description = published.edition.description;
    let id = description.service.to_string();
    let texts = description.title.values().chain(description.description.values());
    let fields = description.classification.keys();
    let texts = [&id, &description.legal_basis].into_iter().chain(texts).chain(fields);
    texts.flat_map(|text| words(text)).take(WORDS_OF_SERVICE_MAX).collect()
}

/// The words of a question, each of which must begin a word of what is found.
pub(super) fn words_of_question(text: &str) -> Vec<String> {
    let words: BTreeSet<String> = words(text).take(WORDS_OF_QUESTION_MAX).collect();
    words.into_iter().collect()
}

/// In small letters; Uzbek's `oʻ` and `gʻ` as people type them, without the sign, and `ё` as `е`.
fn words(text: &str) -> impl Iterator<Item = String> {
    let is_sign = |character: char| "'`ʻʼ‘’".contains(character);
    let text: String = text.chars().filter(|character| !is_sign(*character)).collect();
    let text = text.to_lowercase().replace('ё', "е");
    let words: Vec<String> = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| word.chars().count() >= WORD_CHARS_MIN)
        .map(|word| word.chars().take(WORD_CHARS_MAX).collect())
        .collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_people_type() {
        assert_eq!(words_of_question("Oʻzbekiston, УЧЁТ a"), ["ozbekiston", "учет"]);
        assert_eq!(words_of_question("- a ."), [""; 0]);
    }
}
