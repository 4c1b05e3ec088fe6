//! The private keys that sign the global configuration: files, encrypted under one password.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use aws_lc_rs::rand;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::pem::LineEnding;
use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::pkcs5::scrypt;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use uuk_pki::{Der, KeyError, KeyFile, Password, Sha256, SoftwareKey};
use uuk_process::{Secret, write_whole};

/// What a guess at the password costs: as for the keys of security servers.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);
/// Of the certificate only the key counts. Some readers may look all the same.
const VALID_YEARS: i32 = 20;
/// A key of 3072 bits, encrypted, has some 2.5 KiB.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Why a key for the configuration cannot be made or used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "signing_key.")]
#[non_exhaustive]
pub enum KeyFolderError {
    /// Nothing came of it.
    #[error("no signing key could be generated")]
    Generation,
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be read, or is not there.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is damaged, or of another password.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
}

impl KeyFolderError {
    /// The stable code: `signing_key.unusable`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// A folder of keys, each in a file named by the digest of its certificate.
#[derive(Debug, Clone)]
pub struct KeyFolder {
    folder: PathBuf,
    password: Secret<String>,
}

impl KeyFolder {
    /// The keys in `folder`, under `password`. Nothing is read yet.
    pub fn new(folder: PathBuf, password: Secret<String>) -> Self {
        Self { folder, password }
    }

    /// Makes a key, keeps it, and answers with its certificate.
    ///
    /// # Errors
    /// [`KeyFolderError::Generation`] or [`KeyFolderError::Write`].
    pub fn generate(&self, instance: &str, now: Timestamp) -> Result<Der, KeyFolderError> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072);
        let key = key.map_err(|_| KeyFolderError::Generation)?;
        let certificate = certify(&key, instance, now).ok_or(KeyFolderError::Generation)?;
        let path = self.path(&certificate.sha256());
        let pem = self.encrypt(&Secret::new(key.serialize_der())).ok_or(KeyFolderError::Generation)?;
        let folder = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        let written = folder.and_then(|()| write_whole(&path, pem.as_bytes()));
        written.map_err(|source| KeyFolderError::Write { path, source })?;
        Ok(certificate)
    }

    /// Opens a key. It takes a tenth of a second, so that guessing the password does too.
    ///
    /// # Errors
    /// [`KeyFolderError::Read`] or [`KeyFolderError::Unusable`].
    pub fn open(&self, id: &Sha256) -> Result<SoftwareKey, KeyFolderError> {
        let path = self.path(id);
        let read = File::open(&path).and_then(|file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(file, FILE_BYTES_MAX), &mut bytes)?;
            Ok(bytes)
        });
        let bytes = read.map_err(|source| KeyFolderError::Read { path: path.clone(), source })?;
        let password = Password::new(self.password.expose().clone().into_bytes());
        let file = KeyFile::read(&bytes, &password);
        file.map(|file| file.key).map_err(|source| KeyFolderError::Unusable { path, source })
    }

    fn path(&self, id: &Sha256) -> PathBuf {
        let name = id.to_string();
        self.folder.join(name.trim_start_matches("sha256:")).with_extension("pem")
    }

    fn encrypt(&self, pkcs8: &Secret<Vec<u8>>) -> Option<String> {
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        rand::fill(&mut salt).and_then(|()| rand::fill(&mut iv)).ok()?;
        let (log_n, r, p) = SCRYPT;
        let scrypt = scrypt::Params::new(log_n, r, p).ok()?;
        let scheme = Parameters::generate_scrypt_aes256cbc(scrypt, &salt, iv).ok()?;
        let key = PrivateKeyInfoRef::try_from(pkcs8.expose().as_slice()).ok()?;
        let encrypted = key.encrypt_with_params(scheme, self.password.expose()).ok()?;
        Some(encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).ok()?.to_string())
    }
}

/// A certificate by which the key vouches for itself: members have it from their anchor.
fn certify(key: &KeyPair, instance: &str, now: Timestamp) -> Option<Der> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let (year, month) = (i32::from(today.year()), u8::try_from(today.month()).ok()?);
    let mut certificate = CertificateParams::default();
    certificate.not_before = rcgen::date_time_ymd(year, month, 1);
    certificate.not_after = rcgen::date_time_ymd(year + VALID_YEARS, month, 1);
    certificate.distinguished_name = rcgen::DistinguishedName::new();
    certificate.distinguished_name.push(DnType::CommonName, format!("Configuration of {instance}"));
    Der::new(certificate.self_signed(key).ok()?.der()).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use uuk_pki::{DigestAlgorithm, SigningKey};

    use super::*;

    fn folder(folder: &Path, password: &str) -> KeyFolder {
        KeyFolder::new(folder.join("keys"), Secret::new(password.to_owned()))
    }

    #[test]
    fn a_key_that_was_kept_signs_for_its_certificate() {
        let temporary = tempfile::tempdir().unwrap();
        let keys = folder(temporary.path(), "long enough");
        let certificate = keys.generate("KG", "2026-11-22T12:00:00Z".parse().unwrap()).unwrap();
        let key = keys.open(&certificate.sha256()).unwrap();
        let digest = DigestAlgorithm::Sha512.digest(b"directory");
        let signature = key.sign_digest(&digest).unwrap();
        let public = certificate.certificate().unwrap().public_key().unwrap();
        assert!(public.verify(key.scheme(), &digest, &signature).is_ok());
        let found = folder(temporary.path(), "another").open(&certificate.sha256());
        assert!(matches!(found, Err(KeyFolderError::Unusable { source: KeyError::Locked, .. })), "{found:?}");
    }

    #[test]
    fn refuses_a_key_that_is_not_there() {
        let temporary = tempfile::tempdir().unwrap();
        let found = folder(temporary.path(), "long enough").open(&Sha256::of(b"no such key"));
        assert!(matches!(found, Err(KeyFolderError::Read { .. })), "{found:?}");
    }
}
