//! Keys in files, encrypted under the token's PIN.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair, RsaKeyPair};
use der::pem::LineEnding;
use pkcs8::der::zeroize::Zeroizing;
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};
use uuk_pki::{PublicKey, SigningKey, SoftwareKey};
use uuk_process::{Secret, write_whole};

use crate::device::Device;
use crate::error::TokenError;
use crate::pin::Pin;
use crate::token::{KeyAlgorithm, KeyId, KeyRecord};

/// What a guess at a PIN costs: 16 MiB, the most that OpenSSL grants scrypt in a key file, five times over. That is what
/// OWASP's password storage recommendations ask of scrypt.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// A folder of encrypted PKCS#8 files.
///
/// Each key is encrypted under the PIN, with scrypt and AES-256, so that OpenSSL reads it too. A token without keys has
/// no PIN yet: it takes the one it is opened with.
pub(crate) struct SoftwareToken {
    name: String,
    folder: PathBuf,
    opened: RwLock<Option<Opened>>,
}

struct Opened {
    pin: Pin,
    keys: HashMap<KeyId, OpenKey>,
}

struct OpenKey {
    signing: Arc<SoftwareKey>,
    pkcs8: Secret<Vec<u8>>,
}

impl SoftwareToken {
    pub(crate) fn new(name: &str, folder: &Path) -> Self {
        Self { name: name.to_owned(), folder: folder.to_owned(), opened: RwLock::new(None) }
    }

    fn path(&self, id: &KeyId) -> PathBuf {
        self.folder.join(id.to_string()).with_extension("pem")
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Opened>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Opened>> {
        self.opened.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> TokenError {
        TokenError::Locked { token: self.name.clone() }
    }

    /// Decrypts a key; `None` if the PIN does not open it, or it is damaged or another one than its record says.
    fn decrypt(&self, record: &KeyRecord, pin: &Pin) -> Option<OpenKey> {
        let pem = std::fs::read_to_string(self.path(&record.id)).ok()?;
        let (label, document) = SecretDocument::from_pem(&pem).ok()?;
        let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).ok()?;
        let key = encrypted.decrypt(pin.expose()).ok().filter(|_| label == ENCRYPTED)?;
        OpenKey::new(key.as_bytes()).filter(|key| key.signing.public_key() == record.public())
    }

    fn encrypt(&self, id: &KeyId, pkcs8: &[u8], pin: &Pin) -> Result<(), TokenError> {
        let pem = encrypted_pem(pkcs8, pin).ok_or(TokenError::Generation)?;
        let path = self.path(id);
        write_whole(&path, pem.as_bytes()).map_err(|source| TokenError::Write { path, source })
    }
}

impl OpenKey {
    fn new(pkcs8: &[u8]) -> Option<Self> {
        let signing = Arc::new(SoftwareKey::from_pkcs8(pkcs8).ok()?);
        Some(Self { signing, pkcs8: Secret::new(pkcs8.to_vec()) })
    }
}

impl Device for SoftwareToken {
    fn open(&self, pin: &Pin, keys: &[KeyRecord]) -> Result<(), TokenError> {
        let open = |key: &KeyRecord| Some((key.id.clone(), self.decrypt(key, pin)?));
        let opened: HashMap<_, _> = keys.iter().filter_map(open).collect();
        // One damaged file must not keep the other keys from signing.
        if opened.is_empty() && !keys.is_empty() {
            return Err(TokenError::WrongPin { token: self.name.clone() });
        }
        *self.write() = Some(Opened { pin: pin.clone(), keys: opened });
        Ok(())
    }

    fn close(&self) {
        *self.write() = None;
    }

    fn is_open(&self) -> bool {
        self.read().is_some()
    }

    fn generate(&self, id: &KeyId, algorithm: KeyAlgorithm) -> Result<PublicKey, TokenError> {
        let pin = self.read().as_ref().map(|opened| opened.pin.clone()).ok_or_else(|| self.locked())?;
        let (public, pkcs8) = generate(algorithm).ok_or(TokenError::Generation)?;
        let key = OpenKey::new(pkcs8.expose()).ok_or(TokenError::Generation)?;
        self.encrypt(id, pkcs8.expose(), &pin)?;
        if let Some(opened) = self.write().as_mut() {
            opened.keys.insert(id.clone(), key);
        }
        Ok(public)
    }

    fn key(&self, key: &KeyRecord) -> Result<Arc<dyn SigningKey>, TokenError> {
        let opened = self.read();
        let keys = &opened.as_ref().ok_or_else(|| self.locked())?.keys;
        let found = keys.get(&key.id).map(|open| open.signing.clone() as Arc<dyn SigningKey>);
        found.ok_or_else(|| TokenError::KeyMissing { key: key.id.clone(), token: self.name.clone() })
    }

    fn private_key(&self, id: &KeyId) -> Option<Secret<Vec<u8>>> {
        Some(self.read().as_ref()?.keys.get(id)?.pkcs8.clone())
    }

    fn destroy(&self, id: &KeyId) -> Result<(), TokenError> {
        if let Some(opened) = self.write().as_mut() {
            opened.keys.remove(id);
        }
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(TokenError::Write { path, source }),
            _ => Ok(()),
        }
    }
}

fn encrypted_pem(pkcs8: &[u8], pin: &Pin) -> Option<Zeroizing<String>> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rand::fill(&mut salt).and_then(|()| rand::fill(&mut iv)).ok()?;
    let scrypt = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).ok()?;
    let scheme = Parameters::generate_scrypt_aes256cbc(scrypt, &salt, iv).ok()?;
    let key = PrivateKeyInfoRef::try_from(pkcs8).ok()?;
    key.encrypt_with_params(scheme, pin.expose()).ok()?.to_pem(ENCRYPTED, LineEnding::LF).ok()
}

/// A new key: its public half, and all of it as PKCS#8 DER.
fn generate(algorithm: KeyAlgorithm) -> Option<(PublicKey, Secret<Vec<u8>>)> {
    let rsa = |size| {
        let pair = RsaKeyPair::generate(size).ok()?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let public = PublicKey::Rsa(pair.public_key().as_ref().to_vec());
        Some((public, Secret::new(pkcs8.as_ref().to_vec())))
    };
    match algorithm {
        KeyAlgorithm::Rsa2048 => rsa(KeySize::Rsa2048),
        KeyAlgorithm::Rsa3072 => rsa(KeySize::Rsa3072),
        KeyAlgorithm::Rsa4096 => rsa(KeySize::Rsa4096),
        KeyAlgorithm::EcP256 => {
            let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
            let pkcs8 = pair.to_pkcs8v1().ok()?;
            let public = PublicKey::EcP256(pair.public_key().as_ref().to_vec());
            Some((public, Secret::new(pkcs8.as_ref().to_vec())))
        }
    }
}
