use std::fmt;
use std::str::FromStr;

use crate::IdentifierError;
use crate::piece;

/// On whose behalf a client calls, if not on its own: `[class/]code`.
///
/// It need not be a member of anything, so that any text will do but control characters.
///
/// Source: X-Road PR-REST 4.3, and `representation.xsd` of PR-MESS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepresentedParty {
    /// Its class, if the code alone does not say who it is.
    pub class: Option<String>,
    /// Its code.
    pub code: String,
}

impl RepresentedParty {
    fn pieces(&self) -> impl Iterator<Item = &str> {
        self.class.as_deref().into_iter().chain([self.code.as_str()])
    }

    /// This party, if its class and code, which came from elsewhere than a text, can be ones.
    ///
    /// # Errors
    /// If one is empty, too long or has a control character; positions count from 1.
    pub fn checked(self) -> Result<Self, IdentifierError> {
        self.pieces().enumerate().try_for_each(|(index, text)| piece::check_text(index + 1, text))?;
        Ok(self)
    }
}

impl FromStr for RepresentedParty {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let party = match *text.split('/').collect::<Vec<_>>() {
            [code] => Self { class: None, code: piece::decode(1, code)? },
            [class, code] => Self { class: Some(piece::decode(1, class)?), code: piece::decode(2, code)? },
            ref pieces => {
                return Err(IdentifierError::Pieces { expected: "1 or 2", found: pieces.len() });
            }
        };
        party.checked()
    }
}

impl fmt::Display for RepresentedParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        piece::write(f, self.pieces())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_with_and_without_class() {
        for text in ["70000001", "COM/70000001", "person%3AKG/1%2F2"] {
            assert_eq!(text.parse::<RepresentedParty>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_three_pieces_an_empty_one_and_controls() {
        let refused = |text: &str| text.parse::<RepresentedParty>().unwrap_err();
        assert_eq!(refused("a/b/c"), IdentifierError::Pieces { expected: "1 or 2", found: 3 });
        assert_eq!(refused("/b"), IdentifierError::Empty { position: 1 });
        assert_eq!(refused("a%0A"), IdentifierError::Forbidden { position: 1, character: '\n' });
    }
}
