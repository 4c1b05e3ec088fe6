//! Encryption of message bodies in the database.
//!
//! AES-256-GCM-SIV under a key from a file, with a random nonce in front of each ciphertext. X-Road's counter mode hides
//! the content but lets anyone who reaches the database change it unnoticed; and GCM alone would have to change its key
//! after some four billion random nonces, which a busy server reaches in weeks. What says which record a body belongs
//! to is authenticated with it, so that bodies cannot change places. Signatures and hash chains stay readable: they
//! hold digests, not content, and the time-stamping works on them.

use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Deserialize;
use uuk_identifiers::ClientId;

use crate::record::Direction;

const KEY_BYTES: usize = 32;

/// A key for message bodies in the database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptionKey {
    /// Its name, which is stored with what it encrypts.
    pub id: String,
    /// File of 32 random bytes: `openssl rand -out FILE 32`.
    pub file: PathBuf,
}

/// Why bodies cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_log.")]
#[non_exhaustive]
pub enum EncryptionError {
    /// The file of a key cannot be read.
    #[error("cannot read the key of the message log `{}`", path.display())]
    KeyUnreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no key.
    #[error("the key of the message log `{}` does not have {KEY_BYTES} bytes", path.display())]
    KeyLength {
        /// Which file.
        path: PathBuf,
    },
    /// Two keys have the same name, so that nobody knows which was meant.
    #[error("two keys of the message log are called `{id}`")]
    KeyTwice {
        /// Their name.
        id: String,
    },
    /// A body was encrypted with a key that the configuration no longer names.
    #[error("a body is encrypted with the key `{id}`, which the configuration does not name")]
    KeyMissing {
        /// Its name.
        id: String,
    },
    /// A body is not what was encrypted, or stood in another record.
    #[error(
        "a body cannot be decrypted: it was changed, moved, or encrypted with another key of the same name"
    )]
    BodyModified,
    /// The system gives no random numbers, or the body is beyond any limit.
    #[error("a body cannot be encrypted")]
    Encrypt,
}

impl EncryptionError {
    /// The stable code: `message_log.key_missing`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// The keys: the first encrypts, all decrypt.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<(String, LessSafeKey)>);

/// What a body belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) party: &'a ClientId,
    pub(crate) direction: Direction,
    pub(crate) query_id: &'a str,
    /// 0 for the message, else the attachment's number.
    pub(crate) part: usize,
}

impl Keys {
    pub(crate) fn load(keys: &[EncryptionKey]) -> Result<Self, EncryptionError> {
        let mut loaded = Self::default();
        for EncryptionKey { id, file } in keys {
            if loaded.find(id).is_some() {
                return Err(EncryptionError::KeyTwice { id: id.clone() });
            }
            loaded.0.push((id.clone(), load_key(file)?));
        }
        Ok(loaded)
    }

    /// Whether anything is encrypted, and with which key.
    pub(crate) fn current(&self) -> Option<&str> {
        self.0.first().map(|(id, _)| id.as_str())
    }

    /// The ciphertext of `body`, or `body` itself if there is no key.
    pub(crate) fn encrypt(&self, body: &[u8], place: Place<'_>) -> Result<Vec<u8>, EncryptionError> {
        let Some((_, key)) = self.0.first() else { return Ok(body.to_vec()) };
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| EncryptionError::Encrypt)?;
        let mut ciphertext = body.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.authenticated()),
            &mut ciphertext,
        )
        .map_err(|_| EncryptionError::Encrypt)?;
        ciphertext.splice(..0, nonce);
        Ok(ciphertext)
    }

    /// What [`encrypt`](Self::encrypt) was given with the key called `key_id`.
    pub(crate) fn decrypt(
        &self,
        key_id: Option<&str>,
        mut body: Vec<u8>,
        place: Place<'_>,
    ) -> Result<Vec<u8>, EncryptionError> {
        let Some(id) = key_id else { return Ok(body) };
        let key = self.find(id).ok_or_else(|| EncryptionError::KeyMissing { id: id.to_owned() })?;
        let modified = || EncryptionError::BodyModified;
        let (nonce, ciphertext) = body.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(modified)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.open_in_place(nonce, Aad::from(place.authenticated()), ciphertext);
        Ok(plain.map_err(|_| modified())?.to_vec())
    }

    fn find(&self, id: &str) -> Option<&LessSafeKey> {
        self.0.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }
}

impl Place<'_> {
    fn authenticated(&self) -> Vec<u8> {
        let Self { party, direction, query_id, part } = self;
        // No two places have the same text: the two lines before the identifier and the one after it are only one each.
        format!("{party}\n{direction}\n{query_id}\n{part}").into_bytes()
    }
}

fn load_key(path: &Path) -> Result<LessSafeKey, EncryptionError> {
    let bytes = std::fs::read(path)
        .map_err(|source| EncryptionError::KeyUnreadable { path: path.to_owned(), source })?;
    let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes);
    key.map(LessSafeKey::new).map_err(|_| EncryptionError::KeyLength { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"what was asked";

    fn party() -> ClientId {
        "KG/GOV/70000001/people".parse().unwrap()
    }

    fn keys(named: &[(&str, u8)]) -> Keys {
        let folder = tempfile::tempdir().unwrap();
        let files = named.iter().map(|(id, byte)| {
            let file = folder.path().join(id);
            std::fs::write(&file, [*byte; KEY_BYTES]).unwrap();
            EncryptionKey { id: (*id).to_owned(), file }
        });
        Keys::load(&files.collect::<Vec<_>>()).unwrap()
    }

    fn place(party: &ClientId) -> Place<'_> {
        Place { party, direction: Direction::Request, query_id: "q", part: 0 }
    }

    #[test]
    fn gives_back_what_it_was_given() {
        let party = party();
        let old = keys(&[("a", 1)]);
        let body = old.encrypt(BODY, place(&party)).unwrap();
        assert!(!body.windows(4).any(|window| window == b"what"));
        // A new key comes in front of the old one.
        let new = keys(&[("b", 2), ("a", 1)]);
        assert_eq!(new.current(), Some("b"));
        assert_eq!(new.decrypt(Some("a"), body, place(&party)).unwrap(), BODY);
    }

    #[test]
    fn without_a_key_bodies_stay_as_they_are() {
        let party = party();
        let none = Keys::default();
        let body = none.encrypt(BODY, place(&party)).unwrap();
        assert_eq!((none.current(), body.as_slice()), (None, BODY));
        assert_eq!(none.decrypt(None, body, place(&party)).unwrap(), BODY);
    }

    #[test]
    fn refuses_a_changed_body() {
        let (party, keys) = (party(), keys(&[("a", 1)]));
        for position in 0..keys.encrypt(BODY, place(&party)).unwrap().len() {
            let mut body = keys.encrypt(BODY, place(&party)).unwrap();
            body[position] ^= 1;
            let error = keys.decrypt(Some("a"), body, place(&party)).unwrap_err();
            assert_eq!(error.code(), "message_log.body_modified");
        }
        assert!(keys.decrypt(Some("a"), vec![1], place(&party)).is_err());
    }

    #[test]
    fn refuses_a_body_in_another_place() {
        let (party, keys) = (party(), keys(&[("a", 1)]));
        let body = keys.encrypt(BODY, place(&party)).unwrap();
        for other in [
            Place { direction: Direction::Response, ..place(&party) },
            Place { query_id: "p", ..place(&party) },
            Place { part: 1, ..place(&party) },
        ] {
            let error = keys.decrypt(Some("a"), body.clone(), other).unwrap_err();
            assert_eq!(error.code(), "message_log.body_modified");
        }
    }

    #[test]
    fn refuses_a_body_whose_key_is_missing() {
        let party = party();
        let body = keys(&[("a", 1)]).encrypt(BODY, place(&party)).unwrap();
        let error = keys(&[("b", 1)]).decrypt(Some("a"), body, place(&party)).unwrap_err();
        assert_eq!(error.code(), "message_log.key_missing");
    }

    #[test]
    fn refuses_keys_of_another_length_and_names_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let key = EncryptionKey { id: "a".to_owned(), file: file.clone() };
        let code = |keys: &[EncryptionKey]| Keys::load(keys).unwrap_err().code();
        assert_eq!(code(std::slice::from_ref(&key)), "message_log.key_unreadable");
        std::fs::write(&file, [1; 16]).unwrap();
        assert_eq!(code(std::slice::from_ref(&key)), "message_log.key_length");
        std::fs::write(&file, [1; 32]).unwrap();
        assert_eq!(code(&[key.clone(), key]), "message_log.key_twice");
    }
}
