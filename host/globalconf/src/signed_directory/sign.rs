use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use uuk_pki::{DigestAlgorithm, KeyError, SignatureAlgorithm, SigningKey, sign_der};

use super::file_entry::is_path;
use super::{
    CERTIFICATE_HASH, CONTENT_IDENTIFIER, CONTENT_LOCATION, EXPIRE_DATE, HASH_ALGORITHM, SIGNATURE_ALGORITHM,
    VERSION,
};
use crate::Version;
use crate::anchor::VerificationCertificate;

/// The digest that is made here.
const DIGEST: DigestAlgorithm = DigestAlgorithm::Sha512;

/// Nothing else in a directory begins with two hyphens, so that boundaries need no chance.
const OUTER: &str = "envelopeofdirectory0";
const INNER: &str = "contentofdirectory00";

/// What a directory is to say.
#[derive(Debug, Clone)]
pub struct Listing<'a> {
    /// The version of the files.
    pub version: Version,
    /// Until when they count. Central servers say ten minutes, and say so anew each minute.
    pub expires: Timestamp,
    /// The files.
    pub files: Vec<ListedFile<'a>>,
}

/// A file that is to count.
#[derive(Debug, Clone, Copy)]
pub struct ListedFile<'a> {
    /// What it is, such as [`SHARED_PARAMETERS`](crate::SHARED_PARAMETERS).
    pub identifier: &'a str,
    /// The instance it is about.
    pub instance: &'a str,
    /// The absolute path at which it is published.
    pub location: &'a str,
    /// Its bytes.
    pub content: &'a [u8],
}

/// Why a directory could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignDirectoryError {
    /// A name that would not be read back from a header.
    #[error("`{name}` cannot stand in a directory")]
    Name {
        /// The name.
        name: String,
    },
    /// The key did not sign.
    #[error("the directory could not be signed")]
    Key(#[from] KeyError),
}

impl Listing<'_> {
    /// The directory, signed by `key`, whose `certificate` readers have from their anchor.
    ///
    /// # Errors
    /// [`SignDirectoryError`] if a name cannot stand in a header, or the key does not sign.
    pub fn sign(
        &self,
        key: &dyn SigningKey,
        certificate: &VerificationCertificate,
    ) -> Result<String, SignDirectoryError> {
        let signed = self.signed_part()?;
        let signature = STANDARD.encode(sign_der(key, DIGEST, signed.as_bytes())?);
        let algorithm = SignatureAlgorithm { scheme: key.scheme(), digest: DIGEST }.uri();
        let (sha512, certificate) = (DIGEST.uri(), sha512_base64(&certificate.0));
        Ok([
            &format!("Content-Type: multipart/related; charset=UTF-8; boundary={OUTER}"),
            "",
            &format!("--{OUTER}"),
            &format!("Content-Type: multipart/mixed; charset=UTF-8; boundary={INNER}"),
            "",
            &signed,
            &format!("--{OUTER}"),
            "Content-Type: application/octet-stream",
            "Content-Transfer-Encoding: base64",
            &format!("{SIGNATURE_ALGORITHM}: {algorithm}"),
            &format!("{CERTIFICATE_HASH}: {certificate}; hash-algorithm-id=\"{sha512}\""),
            "",
            &signature,
            &format!("--{OUTER}--"),
            "",
        ]
        .join("\r\n"))
    }

    fn signed_part(&self) -> Result<String, SignDirectoryError> {
        let mut part = format!("--{INNER}\r\n{EXPIRE_DATE}: {}\r\n", self.expires);
        if self.version > Version::V2 {
            let _ = write!(part, "{VERSION}: {}\r\n", self.version);
        }
        for file in &self.files {
            let ListedFile { identifier, instance, location, content } = file;
            for name in [identifier, instance] {
                if name.chars().any(|character| character.is_control() || "'\";".contains(character)) {
                    return Err(SignDirectoryError::Name { name: (*name).to_owned() });
                }
            }
            if !is_path(location) {
                return Err(SignDirectoryError::Name { name: (*location).to_owned() });
            }
            let lines = [
                &format!("--{INNER}"),
                "Content-type: application/octet-stream",
                "Content-transfer-encoding: base64",
                &format!("{CONTENT_IDENTIFIER}: {identifier}; instance='{instance}'"),
                &format!("{CONTENT_LOCATION}: {location}"),
                &format!("{HASH_ALGORITHM}: {}", DIGEST.uri()),
                "",
                &sha512_base64(content),
                "",
            ];
            part.push_str(&lines.join("\r\n"));
        }
        let _ = write!(part, "--{INNER}--\r\n");
        Ok(part)
    }
}

fn sha512_base64(bytes: &[u8]) -> String {
    STANDARD.encode(DIGEST.digest(bytes).as_bytes())
}
