//! The signed directory of a configuration: which files count now, each with its digest, until when.

mod algorithm;
mod sign;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use uuk_pki::{Certificate, CertificateError, Digest, WrongSignature};

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

/// A file that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    identifier: String,
    instance: String,
    location: String,
    file_name: String,
    digest: Digest,
}

/// Why a directory, or a file it lists, is refused; the configuration in force stays.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "signed_directory.")]
#[non_exhaustive]
pub enum DirectoryError {
    /// Larger than any directory.
    #[error("the directory is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not the parts that a directory is made of.
    #[error("the directory is malformed: {reason}")]
    Malformed {
        /// In words.
        reason: &'static str,
    },
    /// There is no first part, whose bytes are signed.
    #[error("the directory has no signed part")]
    MissingSignedPart,
    /// There is no second part with a signature, or it is not whole.
    #[error("the directory has no signature, or ends before it does")]
    MissingSignature,
    /// A header is not there, or blank.
    #[error("the header `{header}` is missing")]
    MissingHeader {
        /// Its name.
        header: &'static str,
    },
    /// A header says something that is not supported.
    #[error("the header `{header}` does not say {expected}")]
    WrongHeader {
        /// Its name.
        header: &'static str,
        /// What it should say, in words.
        expected: &'static str,
    },
    /// A header lacks a parameter.
    #[error("the header `{header}` has no parameter `{parameter}`")]
    MissingParameter {
        /// The header's name.
        header: &'static str,
        /// The parameter's name.
        parameter: &'static str,
    },
    /// The signature is not base64.
    #[error("the signature is not base64")]
    SignatureEncoding,
    /// None of the source's certificates has the digest that the directory names.
    #[error("the source has no verification certificate with the digest `{digest}`")]
    UnknownCertificate {
        /// As the directory writes it, cut.
        digest: String,
    },
    /// The verification certificate or its key cannot be used.
    #[error("the verification certificate cannot be used")]
    UnusableCertificate(#[source] CertificateError),
    /// The signature was made by another key or over other bytes.
    #[error("the signature of the directory is wrong")]
    WrongSignature(#[source] WrongSignature),
    /// The directory no longer counts.
    #[error("the directory expired at {expires}")]
    Expired {
        /// Its last instant.
        expires: Timestamp,
    },
    /// Two entries are about the same file.
    #[error("the directory lists `{identifier}` twice")]
    FileTwice {
        /// The file's identifier, cut.
        identifier: String,
    },
    /// A file's location is no path, or its last piece is no name for a file.
    #[error("the directory has a file at `{location}`, which is no path to a file")]
    Location {
        /// The location, cut.
        location: String,
    },
    /// A downloaded file is not the one that was listed.
    #[error("the file `{identifier}` is not the one that the directory lists")]
    WrongFile {
        /// The file's identifier, cut.
        identifier: String,
    },
    /// A file is about another instance than the one asked for.
    #[error("the file `{identifier}` is about another instance than `{instance}`")]
    WrongInstance {
        /// The file's identifier, cut.
        identifier: String,
        /// The instance asked for.
        instance: String,
    },
}

impl DirectoryError {
    /// The stable code: `signed_directory.expired`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// What X-Road 7.8 calls it. A directory without whole signature has no date there, since the date is read after
    /// the signature is verified.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::FileTwice { .. }
            | Self::Location { .. } => "global_conf_parsing_downloaded_conf_directory_failure",
            Self::MissingSignedPart => "global_conf_missing_signed_data",
            Self::MissingSignature => "global_conf_missing_signed_data_expiration_date",
            Self::MissingHeader { .. } => "global_conf_header_field_missing",
            Self::WrongHeader { .. } => "global_conf_header_field_wrong_value",
            Self::MissingParameter { .. } => "global_conf_header_field_missing_parameter",
            Self::SignatureEncoding => "global_conf_signature_decode_failure",
            Self::UnknownCertificate { .. } => "global_conf_missing_verification_cert",
            Self::UnusableCertificate(_) | Self::WrongSignature(_) => {
                "global_conf_signature_verification_failure"
            }
            Self::Expired { .. } => "global_conf_outdated",
            Self::WrongFile { .. } => "global_conf_part_downloaded_file_integrity_failure",
            Self::WrongInstance { .. } => "global_conf_part_invalid_instance_identifier",
        }
    }
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
            if !listed.insert((file.instance.clone(), file.file_name.clone())) {
                return Err(DirectoryError::FileTwice { identifier: cut(&file.identifier) });
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
    let algorithm = algorithm::signature(algorithm, &key).ok_or_else(unsupported)?;
    let value = base64(part.body).ok_or(DirectoryError::SignatureEncoding)?;
    algorithm.verify(signed, &value).map_err(|_| DirectoryError::WrongSignature(WrongSignature))
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
    let algorithm = algorithm::digest(algorithm).ok_or_else(|| wrong(CERTIFICATE_HASH, SHA_2))?;
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

impl FileEntry {
    fn read(part: &Part<'_>) -> Result<Self, DirectoryError> {
        check_base64_headers(part)?;
        let (identifier, instance) = content_identifier(part)?;
        let location = required(part, CONTENT_LOCATION)?;
        let name = match identifier {
            SHARED_PARAMETERS => "shared-params.xml",
            PRIVATE_PARAMETERS => "private-params.xml",
            _ => part
                .header(CONTENT_FILE_NAME)
                .or_else(|| location.rsplit('/').next())
                .filter(|name| is_file_name(name))
                .ok_or_else(|| DirectoryError::Location { location: cut(location) })?,
        };
        if !is_path(location) {
            return Err(DirectoryError::Location { location: cut(location) });
        }
        let algorithm =
            algorithm::digest(required(part, HASH_ALGORITHM)?).ok_or_else(|| wrong(HASH_ALGORITHM, SHA_2))?;
        let digest = base64(part.body).and_then(|value| Digest::new(algorithm, value));
        Ok(Self {
            identifier: identifier.to_owned(),
            instance: instance.to_owned(),
            location: location.to_owned(),
            file_name: name.to_owned(),
            digest: digest.ok_or(malformed("a file's digest is not base64 of its length"))?,
        })
    }

    /// What it is, such as [`SHARED_PARAMETERS`]; empty if the directory does not say.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The instance it is about; empty if the directory does not say.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The absolute path at which it is, on the server that the directory came from.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What it is called when kept in a folder of its instance: never a path.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Whether `content` is the file that is listed: then it need not be downloaded again.
    ///
    /// # Errors
    /// [`DirectoryError::WrongFile`] if it is not.
    pub fn check(&self, content: &[u8]) -> Result<(), DirectoryError> {
        if self.digest.algorithm().digest(content) == self.digest {
            return Ok(());
        }
        Err(DirectoryError::WrongFile { identifier: cut(&self.identifier) })
    }

    /// Whether it is about `instance`: the one asked for, and the one that the file itself says.
    ///
    /// # Errors
    /// [`DirectoryError::WrongInstance`] if it is not.
    pub fn check_instance(&self, instance: &str) -> Result<(), DirectoryError> {
        if self.instance == instance {
            return Ok(());
        }
        Err(DirectoryError::WrongInstance {
            identifier: cut(&self.identifier),
            instance: instance.to_owned(),
        })
    }
}

/// `SHARED-PARAMETERS; instance='DEV'`; the two known ones must name their instance.
fn content_identifier<'a>(part: &Part<'a>) -> Result<(&'a str, &'a str), DirectoryError> {
    let value = Value::parse(part.header(CONTENT_IDENTIFIER).unwrap_or_default());
    let parameter = "instance";
    match value.parameter(parameter) {
        None if [SHARED_PARAMETERS, PRIVATE_PARAMETERS].contains(&value.main) => {
            Err(DirectoryError::MissingParameter { header: CONTENT_IDENTIFIER, parameter })
        }
        instance => Ok((value.main, instance.unwrap_or_default())),
    }
}

/// A path from the root of the server, so that a directory cannot send a reader to another one.
fn is_path(location: &str) -> bool {
    location.starts_with('/')
        && !location.starts_with("//")
        && location.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 100
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}
