//! What pages say, in each language.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use strum::{EnumIter, EnumString, IntoEnumIterator, IntoStaticStr};
use uuk_globalconf::from_toml;

/// A language of the pages, by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, EnumString, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Language {
    Ky,
    Ru,
    Uz,
    En,
}

type Texts = BTreeMap<String, BTreeMap<String, String>>;

impl Language {
    /// The code of the language.
    pub(crate) fn code(self) -> &'static str {
        self.into()
    }

    /// What the language calls itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ky => "Кыргызча",
            Self::Ru => "Русский",
            Self::Uz => "O‘zbekcha",
            Self::En => "English",
        }
    }

    /// The language that was chosen, or that a browser likes best of those that there are.
    pub(crate) fn choose(chosen: Option<&str>, accepted: Option<&str>) -> Self {
        let known = |code: &str| code.trim().to_ascii_lowercase().parse().ok();
        if let Some(language) = chosen.and_then(known) {
            return language;
        }
        // `ru-RU;q=0.9`: what comes first is liked best, as every browser writes it.
        let ranges = accepted.unwrap_or_default().split(',');
        let mut codes = ranges.filter_map(|range| range.split([';', '-']).next());
        codes.find_map(known).unwrap_or(Self::En)
    }

    /// The text of a key such as `stage/draft`.
    pub(crate) fn text(self, key: &str) -> String {
        self.find(key).unwrap_or(key).to_owned()
    }

    /// The text of a key, with `{0}` replaced.
    pub(crate) fn fill(self, key: &str, value: impl ToString) -> String {
        self.text(key).replace("{0}", &value.to_string())
    }

    /// The text of a key, with each `{name}` replaced. What it is replaced with is not looked through again.
    pub(crate) fn fill_in(self, key: &str, values: &[(&str, String)]) -> String {
        let text = self.text(key);
        let (mut filled, mut rest) = (String::new(), text.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            let named = after.split_once('}').and_then(|(name, after)| {
                let (_, value) = values.iter().find(|(one, _)| *one == name)?;
                Some((value.as_str(), after))
            });
            let (value, after) = named.unwrap_or(("{", after));
            filled.extend([before, value]);
            rest = after;
        }
        filled + rest
    }

    /// The text of a key, or what another source says.
    pub(crate) fn text_or(self, key: &str, otherwise: &str) -> String {
        self.find(key).unwrap_or(otherwise).to_owned()
    }

    /// The text of a key, if there is one.
    pub(crate) fn find(self, key: &str) -> Option<&'static str> {
        let (table, name) = key.split_once('/')?;
        texts(self)?.get(table)?.get(name).map(String::as_str)
    }
}

fn texts(language: Language) -> Option<&'static Texts> {
    static TEXTS: LazyLock<BTreeMap<Language, Texts>> = LazyLock::new(|| {
        let read = |language: Language| {
            let text = match language {
                Language::Ky => include_str!("../texts/ky.toml"),
                Language::Ru => include_str!("../texts/ru.toml"),
                Language::Uz => include_str!("../texts/uz.toml"),
                Language::En => include_str!("../texts/en.toml"),
            };
            // Part of the program; a test reads them all.
            Some((language, from_toml(text).ok()?))
        };
        Language::iter().filter_map(read).collect()
    });
    TEXTS.get(&language)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(language: Language) -> BTreeSet<String> {
        let texts = texts(language).unwrap();
        let of_table = |(table, texts): (&String, &BTreeMap<String, String>)| {
            texts.keys().map(|name| format!("{table}/{name}")).collect::<Vec<_>>()
        };
        texts.iter().flat_map(of_table).collect()
    }

    #[test]
    fn every_language_has_every_text() {
        for language in Language::iter() {
            assert_eq!(keys(language), keys(Language::En), "{language:?}");
            for key in keys(language) {
                let text = language.text(&key);
                assert!(!text.trim().is_empty(), "{language:?} {key}");
                let has_place = |language: Language| language.text(&key).contains("{0}");
                assert_eq!(has_place(language), has_place(Language::En), "{language:?} {key}");
            }
        }
    }

    #[test]
    fn chooses_what_was_chosen_then_what_is_liked() {
        let choose = |chosen, accepted| Language::choose(chosen, accepted);
        assert_eq!(choose(Some("uz"), Some("ru")), Language::Uz);
        assert_eq!(choose(None, Some("de-DE,ru-RU;q=0.8,en;q=0.5")), Language::Ru);
        assert_eq!(choose(Some("tlh"), Some("*")), Language::En);
        assert_eq!(choose(None, None), Language::En);
    }
}
