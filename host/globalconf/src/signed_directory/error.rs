use jiff::Timestamp;
use uuk_pki::{CertificateError, WrongSignature};

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
