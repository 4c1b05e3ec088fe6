use std::str::FromStr;

use serde::{Deserialize, Serialize};

const BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;

/// Where a person gets mail: `LOCAL@DOMAIN` as RFC 5321 has it, in ASCII and without quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailAddress(String);

/// This is no mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no mail address: {{LOCAL}}@{{DOMAIN}}, in ASCII, at most {BYTES_MAX} characters")]
pub struct NoMailAddress;

impl MailAddress {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MailAddress {
    type Err = NoMailAddress;

    fn from_str(text: &str) -> Result<Self, NoMailAddress> {
        let (local, domain) = text.rsplit_once('@').ok_or(NoMailAddress)?;
        let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        let is_local = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atom);
        let is_label = |label: &str| {
            let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(may_stand)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let fits = text.len() <= BYTES_MAX && local.len() <= LOCAL_BYTES_MAX;
        match fits && local.split('.').all(is_local) && domain.split('.').all(is_label) {
            true => Ok(Self(text.to_owned())),
            false => Err(NoMailAddress),
        }
    }
}

impl TryFrom<String> for MailAddress {
    type Error = NoMailAddress;

    fn try_from(text: String) -> Result<Self, NoMailAddress> {
        text.parse()
    }
}

impl From<MailAddress> for String {
    fn from(address: MailAddress) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_and_nothing_that_says_more_to_a_mail_server() {
        for good in ["a.asanova@registry.gov.kg", "o'neil+uuk@localhost"] {
            assert_eq!(good.parse::<MailAddress>().unwrap().as_str(), good);
        }
        let long = format!("{}@example.kg", "a".repeat(65));
        for bad in [
            "",
            "asanova",
            "@example.kg",
            "a@",
            "a@.kg",
            "a..b@example.kg",
            "a b@example.kg",
            "a@-x.kg",
            "a@b@example.kg",
            "\"a b\"@example.kg",
            "a@example.kg\r\nRCPT TO:<b@c>",
            "а@example.kg",
            "a@b>,<c@d.kg",
            long.as_str(),
        ] {
            assert_eq!(bad.parse::<MailAddress>(), Err(NoMailAddress), "{bad}");
        }
    }
}
