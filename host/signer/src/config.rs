use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// Section `[signer]`: where keys are, and how they sign.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignerConfig {
    /// Folder of the tokens: one folder for each, with its encrypted keys and what is known of their certificates, and
    /// one for OCSP answers. Default: `keys`.
    pub folder: PathBuf,
    /// The tokens by name. Default: one software token called `software`, opened by `uuk keys login`; if any are named,
    /// it has to be among them to be there.
    pub tokens: BTreeMap<String, TokenConfig>,
    /// Messages that may wait for the keys of one token; further ones are refused. Default: 1024.
    pub waiting_max: usize,
    /// Messages that share one signature at most. Default: 64.
    pub batch_messages_max: usize,
    /// A message waits no longer for its signature. Default: 30 s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub signature_timeout: Duration,
    /// PEM file of the authorities that may vouch for OCSP responders whose address begins with `https`. Default:
    /// none; such responders are passed over.
    pub ocsp_authorities: Option<PathBuf>,
}

impl Default for SignerConfig {
    fn default() -> Self {
        Self {
            folder: "keys".into(),
            tokens: BTreeMap::from([("software".to_owned(), TokenConfig::default())]),
            waiting_max: 1024,
            batch_messages_max: 64,
            signature_timeout: Duration::from_secs(30),
            ocsp_authorities: None,
        }
    }
}

/// A section `[signer.tokens.NAME]`: one place that holds keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenConfig {
    /// The device, if the token is one. Default: keys are files, encrypted under the PIN.
    pub pkcs11: Option<Pkcs11Config>,
    /// File with the PIN in its first line, such as one of systemd's credentials: the server opens the token by itself.
    /// Default: none; `uuk keys login` opens it after each start.
    pub pin_file: Option<PathBuf>,
    /// Whether messages that come to a key together, or wait for it, share a signature. Default: true.
    pub batch_signing: bool,
    /// Signatures that may be in progress at once; sessions, for a device. Default: 4 for a device, half of the
    /// processors for software, which leaves the others to everything else.
    pub signatures_at_once: Option<usize>,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self { pkcs11: None, pin_file: None, batch_signing: true, signatures_at_once: None }
    }
}

/// A token that is reached through a PKCS#11 module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Config {
    /// The vendor's library, such as `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// The token's label, which must be unique among those of the module.
    pub label: String,
}

impl SignerConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        let pins = self.tokens.values_mut().filter_map(|token| token.pin_file.as_mut());
        for file in pins.chain([&mut self.folder]).chain(self.ocsp_authorities.as_mut()) {
            *file = folder.join(&*file);
        }
    }

    /// What types cannot say, each problem with its key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.tokens.values().all(|token| token.pkcs11.is_some()) {
            problems.push(
                "signer.tokens: a token without `pkcs11` is needed, for authentication keys are kept in software"
                    .to_owned(),
            );
        }
        for (name, token) in &self.tokens {
            let plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
            if !(1..=64).contains(&name.len()) || !name.chars().all(plain) {
                problems
                    .push(format!("signer.tokens: `{name}` is no name; use letters, digits, `-` and `_`"));
            }
            if token.signatures_at_once.is_some_and(|at_once| !(1..=64).contains(&at_once)) {
                problems.push(format!("signer.tokens.{name}.signatures_at_once: from 1 to 64"));
            }
        }
        if !(1..=65_536).contains(&self.waiting_max) {
            problems.push("signer.waiting_max: from 1 to 65536".to_owned());
        }
        if !(1..=1024).contains(&self.batch_messages_max) {
            problems.push("signer.batch_messages_max: from 1 to 1024".to_owned());
        }
        problems
    }
}

impl TokenConfig {
    pub(crate) fn signatures_at_once(&self) -> usize {
        let default = || match self.pkcs11 {
            Some(_) => 4,
            None => std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2)),
        };
        self.signatures_at_once.unwrap_or_else(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_device_and_a_software_token() {
        let text = "[tokens.hsm]\npkcs11 = { module = '/lib/hsm.so', label = 'uuk' }\npin_file = 'pin'\n\
                    batch_signing = false\n[tokens.software]\n";
        let mut config: SignerConfig = toml::from_str(text).unwrap();
        config.resolve(Path::new("/etc/uuk"));
        assert!(config.problems().is_empty());
        assert_eq!(config.tokens["hsm"].pin_file.as_deref(), Some(Path::new("/etc/uuk/pin")));
        assert_eq!(config.tokens["hsm"].signatures_at_once(), 4);
        assert_eq!(config.tokens["software"], TokenConfig::default());
    }

    #[test]
    fn reports_every_problem_at_once() {
        let text = "waiting_max = 0\nbatch_messages_max = 0\n[tokens.'../x']\nsignatures_at_once = 0\n\
                    pkcs11 = { module = '/lib/hsm.so', label = 'uuk' }\n";
        let config: SignerConfig = toml::from_str(text).unwrap();
        assert_eq!(config.problems().len(), 5, "{:?}", config.problems());
    }

    #[test]
    fn refuses_a_misspelt_key() {
        assert!(toml::from_str::<SignerConfig>("[tokens.software]\npin = '1234'\n").is_err());
    }
}
