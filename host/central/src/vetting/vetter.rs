use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use uuk_asic::Signer;
use uuk_bundle::{Bundle, BundleError, Trust, VettingStatement, prepare_vetting};
use uuk_messagelog::{BuildError, TimeStampingAuthority, TimeStampingError};
use uuk_pki::{Authorities, Certificate, CertificateError, KeyError, KeyFile, Password, SigningKey};
use uuk_signer::{Pkcs11Config, TokenError, open_device_key};
use uuk_transport::UpstreamConfig;

use crate::central::{CentralError, read_password};
use crate::registry::TimeStampingService;

/// Key files and chains are a few kilobytes.
const FILE_BYTES_MAX: u64 = 512 << 10;

/// Section `[vetting]`: with which key bundles are signed that two people have approved.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VettingConfig {
    /// The key's certificate, then those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// File of the key, encrypted PKCS#8 in PEM, or PKCS#12. Default: none; then it is in the device.
    pub key: Option<PathBuf>,
    /// Table with `module`, the vendor's library, and `label`, that of the token. Default: none.
    pub pkcs11: Option<Pkcs11Config>,
    /// File with the password of the key file, or the PIN of the device, in its first line.
    pub password_file: PathBuf,
    /// Folder with advisories in OSV's format, in which what a bundle is made of is looked up. Default: none.
    pub advisories: Option<PathBuf>,
}

impl VettingConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        let files = [&mut self.certificate, &mut self.password_file];
        for file in files.into_iter().chain(&mut self.key).chain(&mut self.advisories) {
            *file = folder.join(&*file);
        }
    }

    /// What the types cannot say.
    pub fn problems(&self) -> Vec<String> {
        match self.key.is_some() == self.pkcs11.is_some() {
            true => vec!["vetting: the key is either in a file, `key`, or in a device, `pkcs11`".to_owned()],
            false => Vec::new(),
        }
    }
}

/// Why an approved bundle is not signed.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "vetter.")]
#[non_exhaustive]
pub enum VetterError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] CentralError),
    /// There is no certificate, or none that can be read.
    #[error("the vetting certificate cannot be used")]
    Certificate(#[from] CertificateError),
    /// The key file cannot be used.
    #[error("the vetting key cannot be used")]
    Key(#[from] KeyError),
    /// The device cannot be used.
    #[error("the vetting key cannot be used")]
    Token(#[from] TokenError),
    /// There is no section `[vetting]`.
    #[error("no vetting key is configured")]
    NoKey,
    /// The instance approves no time-stamping service.
    #[error("no time-stamping service is approved")]
    NoTimeStamping,
    /// The address of a time-stamping service is none.
    #[error("the time-stamping service cannot be asked")]
    TimeStampingAddress(#[from] BuildError),
    /// No approved service stamps.
    #[error("the signature is not time-stamped")]
    TimeStamping(#[from] TimeStampingError),
    /// The bundle cannot be signed, or servers would refuse what was signed.
    #[error("no bundle came of it that servers accept")]
    Bundle(#[from] BundleError),
    /// The thread of the signature was lost.
    #[error("the signature broke off")]
    Interrupted,
}

impl VetterError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Password(error) => error.code(),
            Self::Certificate(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::TimeStampingAddress(error) => error.code(),
            Self::TimeStamping(error) => error.code(),
            Self::Bundle(error) => error.code(),
            other => other.into(),
        }
    }
}

/// The key that signs what two people have approved.
#[derive(Clone)]
pub struct Vetter {
    key: Arc<dyn SigningKey>,
    certificates: Arc<[Certificate]>,
}

/// By whom and by what a vetting is judged.
pub(super) struct Judges {
    pub(super) time_stamping: Vec<TimeStampingService>,
    pub(super) authorities: Authorities,
    pub(super) trust: Trust,
}

/// A bundle that servers accept.
pub(super) struct VettedFile {
    pub(super) content: Vec<u8>,
    pub(super) stamped_at: Timestamp,
}

impl std::fmt::Debug for Vetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vetter").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

impl Vetter {
    /// Opens the key. It may block.
    ///
    /// # Errors
    /// [`VetterError`] says what is missing.
    pub fn open(config: &VettingConfig) -> Result<Self, VetterError> {
        let certificates = Certificate::chain_from_pem(&read(&config.certificate)?)?;
        let certificate = certificates.first().ok_or(VetterError::NoKey)?;
        let key: Arc<dyn SigningKey> = match (&config.key, &config.pkcs11) {
            (Some(file), _) => {
                let password = read_password(&config.password_file)?;
                let password = Password::new(password.expose().clone().into_bytes());
                Arc::new(KeyFile::read(&read(file)?, &password)?.key)
            }
            (None, Some(device)) => open_device_key(device, &config.password_file, certificate)?,
            (None, None) => return Err(VetterError::NoKey),
        };
        Ok(Self { key, certificates: certificates.into() })
    }

    /// Signs a bundle, has the signature time-stamped, and looks at it as a server will.
    pub(super) async fn vet(
        &self,
        bundle: Arc<Bundle>,
        statement: VettingStatement,
        judges: &Judges,
        now: Timestamp,
    ) -> Result<VettedFile, VetterError> {
        let (own, trust) = (self.clone(), judges.trust.clone());
        let signing = tokio::task::spawn_blocking(move || {
            let (certificate, intermediates) = own.certificates.split_first().ok_or(VetterError::NoKey)?;
            let signer = Signer { key: &*own.key, certificate, intermediates };
            let signed = prepare_vetting(&bundle, &statement, &signer, now)?;
            // A time-stamp costs, and makes nothing valid that is not.
            uuk_bundle::verify(&signed.unstamped()?, &trust, now)?;
            Ok::<_, VetterError>(signed)
        });
        let signed = signing.await.map_err(|_| VetterError::Interrupted)??;
        let mut failure = VetterError::NoTimeStamping;
        for service in &judges.time_stamping {
            let authority = TimeStampingAuthority::build(&UpstreamConfig::new(&service.url))?;
            match authority.stamp(signed.imprint(), &judges.authorities).await {
                Ok((token, stamped_at)) => {
                    let content = signed.complete(&token)?;
                    uuk_bundle::verify(&content, &judges.trust, now)?;
                    return Ok(VettedFile { content, stamped_at });
                }
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, VetterError> {
    use std::io::Read;

    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|source| VetterError::Read { path: path.to_owned(), source })
}
