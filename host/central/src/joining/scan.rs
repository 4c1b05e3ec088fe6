use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuk_pki::Sha256;

use super::refusal::JoiningRefusal;

/// A few scanned pages are smaller.
const BYTES_MAX: usize = 10 << 20;

/// A file that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// What it is, with number and date: a power of attorney, a list of resources.
    pub title: String,
    /// Of the file.
    #[schemars(with = "String")]
    pub file: Sha256,
    /// What the file is.
    pub kind: ScanKind,
}

/// The printed application with the head's signature, as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCopy {
    /// Of the application that was printed, as it stands on the paper.
    pub application: Sha256,
    /// Of the file.
    pub file: Sha256,
    /// What the file is.
    pub kind: ScanKind,
}

/// What a scanner or camera makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ScanKind {
    /// A document of pages.
    Pdf,
    /// A photograph.
    Jpeg,
    /// A picture.
    Png,
}

impl Attachment {
    /// Of a file.
    ///
    /// # Errors
    /// As [`ScanKind::of`].
    pub fn of(title: &str, file: &[u8]) -> Result<Self, JoiningRefusal> {
        let kind = ScanKind::of(file)?;
        Ok(Self { title: title.to_owned(), file: Sha256::of(file), kind })
    }
}

impl SignedCopy {
    /// Of a file.
    ///
    /// # Errors
    /// As [`ScanKind::of`].
    pub fn of(application: Sha256, file: &[u8]) -> Result<Self, JoiningRefusal> {
        Ok(Self { application, kind: ScanKind::of(file)?, file: Sha256::of(file) })
    }
}

impl ScanKind {
    /// Of a file, by what it begins with; what it shows is for people to see.
    ///
    /// # Errors
    /// [`JoiningRefusal::FileTooLarge`], [`JoiningRefusal::FileKind`].
    pub fn of(file: &[u8]) -> Result<Self, JoiningRefusal> {
        if file.len() > BYTES_MAX {
            return Err(JoiningRefusal::FileTooLarge { bytes_max: BYTES_MAX });
        }
        let kinds = [Self::Pdf, Self::Jpeg, Self::Png];
        kinds.into_iter().find(|kind| file.starts_with(kind.magic())).ok_or(JoiningRefusal::FileKind)
    }

    /// How a file of this kind begins.
    fn magic(self) -> &'static [u8] {
        match self {
            Self::Pdf => b"%PDF-",
            Self::Jpeg => b"\xff\xd8\xff",
            Self::Png => b"\x89PNG\r\n\x1a\n",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    /// How names of such files end: `pdf`.
    pub fn extension(self) -> &'static str {
        self.into()
    }
}
