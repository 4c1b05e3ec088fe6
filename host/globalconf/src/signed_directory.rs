//! The signed directory of a configuration: which files count now, each with its digest, until when.

mod error;
mod file_entry;
mod sign;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use uuk_pki::{Certificate, Digest, DigestAlgorithm, SignatureAlgorithm};

pub use error::DirectoryError;
pub use file_entry::FileEntry;
pub use sign::{ListedFile, Listing, SignDirectoryError};

use crate::Version;
use crate::anchor::VerificationCertificate;
use crate::multipart::{Fault, Part, Value};
use crate::xml::cut;

/// A directory lists a handful of files in some 5 KiB.
const DIRECTORY_BYTES_MAX: usize = 256 << 10;

/// The name of the shared parameters in a directory.
pub const SHARED_PARAMETERS: &str = "SHARED-PARAMETERS";
/// The name of the private parameters in a directory.
pub const PRIVATE_PARAMETERS: &str = "PRIVATE-PARAMETERS";

/// A directory whose signature and date hold: there is no other way to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedDirectory {
    version: Version,
    expires: Timestamp,
    files: Vec<FileEntry>,
}

fn malformed(reason: Fault) -> DirectoryError {
    DirectoryError::Malformed { reason }
}

impl SignedDirectory {
    /// Verifies that one of the source's `certificates` signed `directory`, and that it counts at `now`.
    ///
    /// `directory` is what was downloaded, headers of MIME included; what HTTP said about it does not matter. Of the
    /// signed part nothing is looked at before its signature holds.
    ///
    /// # Errors
    /// [`DirectoryError`] says what does not hold.
    ///
    /// # Source
    /// X-Road PR-GCONF: downloading configuration.
    pub fn verify(
        directory: &[u8],
        certificates: &[VerificationCertificate],
        now: Timestamp,
    ) -> Result<Self, DirectoryError> {
        if directory.len() > DIRECTORY_BYTES_MAX {
            return Err(DirectoryError::TooLarge { bytes_max: DIRECTORY_BYTES_MAX });
        }
        let envelope = Part::read(directory).map_err(malformed)?;
        let (parts, closed) = envelope.parts().map_err(malformed)?;
        let (signed, signature) = match (parts.as_slice(), closed) {
            ([], _) => return Err(DirectoryError::MissingSignedPart),
            ([signed, signature], true) => (*signed, *signature),
            ([_] | [_, _], _) => return Err(DirectoryError::MissingSignature),
            _ => return Err(malformed("something follows the signature")),
        };
        let signed = Part::read(signed).map_err(malformed)?;
        verify_signature(signed.body, &Part::read(signature).map_err(malformed)?, certificates)?;
        Self::read(&signed, now)
    }

    /// Reads the part whose signature holds.
    fn read(signed: &Part<'_>, now: Timestamp) -> Result<Self, DirectoryError> {
        let (parts, _) = signed.parts().map_err(malformed)?;
        let (head, entries) =
            parts.split_first().ok_or(DirectoryError::MissingHeader { header: EXPIRE_DATE })?;
        let head = Part::read(head).map_err(malformed)?;
        let expires = required(&head, EXPIRE_DATE)?.parse::<Timestamp>();
        let expires = expires.map_err(|_| wrong(EXPIRE_DATE, "a date with time"))?;
        if now > expires {
            return Err(DirectoryError::Expired { expires });
        }
        let mut listed = HashSet::new();
        let mut files = Vec::new();
        for entry in entries {
            let file = FileEntry::read(&Part::read(entry).map_err(malformed)?)?;
            if !listed.insert((file.instance().to_owned(), file.file_name().to_owned())) {
                return Err(DirectoryError::FileTwice { identifier: cut(file.identifier()) });
            }
            files.push(file);
        }
        Ok(Self { version: version(&head)?, expires, files })
    }

    /// The version of its files.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The last instant at which it, and what it lists, counts.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The files that count, in its order.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }
}

const EXPIRE_DATE: &str = "Expire-date";
const VERSION: &str = "Version";
const CONTENT_TYPE: &str = "Content-Type";
const CONTENT_TRANSFER_ENCODING: &str = "Content-Transfer-Encoding";
const CONTENT_IDENTIFIER: &str = "Content-identifier";
const CONTENT_LOCATION: &str = "Content-location";
const CONTENT_FILE_NAME: &str = "Content-file-name";
const HASH_ALGORITHM: &str = "Hash-algorithm-id";
const SIGNATURE_ALGORITHM: &str = "Signature-Algorithm-Id";
const CERTIFICATE_HASH: &str = "Verification-certificate-hash";

fn verify_signature(
    signed: &[u8],
    part: &Part<'_>,
    certificates: &[VerificationCertificate],
) -> Result<(), DirectoryError> {
    check_base64_headers(part)?;
    let algorithm = required(part, SIGNATURE_ALGORITHM)?;
    let certificate = verification_certificate(required(part, CERTIFICATE_HASH)?, certificates)?;
    let key = Certificate::from_der(&certificate.0).and_then(|certificate| certificate.public_key());
    let key = key.map_err(DirectoryError::UnusableCertificate)?;
    let unsupported = || wrong(SIGNATURE_ALGORITHM, "an algorithm of the key, with SHA-256, 384 or 512");
    let algorithm = SignatureAlgorithm::from_uri(algorithm).filter(|known| key.signs_by(known.scheme));
    let algorithm = algorithm.ok_or_else(unsupported)?;
    let value = base64(part.body).ok_or(DirectoryError::SignatureEncoding)?;
    key.verify_der(algorithm, signed, &value).map_err(DirectoryError::WrongSignature)
}

fn verification_certificate<'c>(
    header: &str,
    certificates: &'c [VerificationCertificate],
) -> Result<&'c VerificationCertificate, DirectoryError> {
    let header = Value::parse(header);
    let parameter = "hash-algorithm-id";
    let algorithm = header.parameter(parameter);
    let algorithm =
        algorithm.ok_or(DirectoryError::MissingParameter { header: CERTIFICATE_HASH, parameter })?;
    let algorithm = DigestAlgorithm::from_uri(algorithm).ok_or_else(|| wrong(CERTIFICATE_HASH, SHA_2))?;
    let digest = base64(header.main.as_bytes()).and_then(|value| Digest::new(algorithm, value));
    let certificate =
        digest.and_then(|digest| certificates.iter().find(|certificate| certificate.has(&digest)));
    certificate.ok_or_else(|| DirectoryError::UnknownCertificate { digest: cut(header.main) })
}

const SHA_2: &str = "SHA-256, 384 or 512";

fn version(head: &Part<'_>) -> Result<Version, DirectoryError> {
    // V2 says nothing about its version.
    let Some(number) = head.header(VERSION) else { return Ok(Version::V2) };
    let known = number.parse().ok().and_then(Version::from_number);
    known.ok_or_else(|| wrong(VERSION, "a version from 2 to 6"))
}

fn check_base64_headers(part: &Part<'_>) -> Result<(), DirectoryError> {
    for (header, expected) in
        [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_TRANSFER_ENCODING, "base64")]
    {
        if !required(part, header)?.eq_ignore_ascii_case(expected) {
            return Err(wrong(header, expected));
        }
    }
    Ok(())
}

fn required<'a>(part: &Part<'a>, header: &'static str) -> Result<&'a str, DirectoryError> {
    part.header(header).ok_or(DirectoryError::MissingHeader { header })
}

fn wrong(header: &'static str, expected: &'static str) -> DirectoryError {
    DirectoryError::WrongHeader { header, expected }
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}
