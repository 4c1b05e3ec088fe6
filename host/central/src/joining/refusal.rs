use super::application::Problem;
use super::stage::{Party, Stage};

/// Why an act of a party is refused; the procedure is where it was.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "joining.")]
#[non_exhaustive]
pub enum JoiningRefusal {
    /// It has no place at this point.
    #[error("`{act}` has no place while the application is {stage}")]
    WrongStage {
        /// What was tried.
        act: &'static str,
        /// Where the procedure is.
        stage: Stage,
    },
    /// Only the other party may do that.
    #[error("`{act}` is not for the {party} to do")]
    NotYours {
        /// What was tried.
        act: &'static str,
        /// By whom.
        party: Party,
    },
    /// Fields are missing or wrong.
    #[error("{} fields of the application are missing or wrong", problems.len())]
    Incomplete {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// What was printed and signed is not what is written now.
    #[error("the application is not the one of that digest any more")]
    OtherApplication,
    /// Nobody needs so many tries.
    #[error("a signed copy was handed in {count_max} times already")]
    TooManySignedCopies {
        /// How often it may be.
        count_max: usize,
    },
    /// More than a few pages.
    #[error("the file has more than {bytes_max} bytes")]
    FileTooLarge {
        /// What it may have.
        bytes_max: usize,
    },
    /// Nothing that a scanner makes.
    #[error("the file is neither PDF, JPEG nor PNG")]
    FileKind,
    /// Nobody has so much to hand in.
    #[error("files were attached {count_max} times already")]
    TooManyAttachments {
        /// How often it may be.
        count_max: usize,
    },
    /// It is not there, or was removed.
    #[error("no attachment is a file of that digest")]
    NoSuchAttachment,
    /// The law lets none connect that has nothing to connect.
    #[error("the applicant has no information system")]
    NoInformationSystem,
    /// An item of the checklist is not decided, or is not one of it.
    #[error("the review does not decide `{item}` of the checklist, or that is none")]
    Checklist {
        /// Which.
        item: String,
    },
    /// Approved against the checklist.
    #[error("`{item}` of the checklist is not met")]
    NotMet {
        /// Which.
        item: String,
    },
    /// A refusal without any of the grounds that the law has.
    #[error("a refusal names at least one ground of the law")]
    NoGround,
    /// Words are missing, or too many: of a refusal or a return.
    #[error("an explanation is missing, or too long")]
    NoExplanation,
    /// Who signs may not.
    #[error("`{person}` is not authorised to sign the agreement")]
    NotAuthorised {
        /// Who.
        person: String,
    },
    /// The agreement ends before it begins.
    #[error("the agreement ends before it takes effect")]
    AgreementDates,
    /// The other party has signed another agreement.
    #[error("the other party has signed another agreement")]
    OtherAgreement,
    /// The text is not the one that is proposed now.
    #[error("this is not the text of the technical instructions as proposed now")]
    OtherText,
    /// It goes back and forth without end.
    #[error("too much has happened in this procedure; withdraw it and begin anew")]
    TooManyActs,
    /// Who asks so often is better called.
    #[error("{count_max} questions were asked already")]
    TooManyQuestions {
        /// How many may be.
        count_max: usize,
    },
    /// Nothing waits for an answer.
    #[error("no question waits for an answer")]
    NoQuestion,
    /// One of both certificates is missing.
    #[error("the certificate of the server and that of the system belong together")]
    CertificateMissing,
    /// The certificates do not fit the application.
    #[error("the certificates differ from the application in {count} fields")]
    CertificateMismatch {
        /// In how many.
        count: usize,
    },
}

impl JoiningRefusal {
    /// The stable code: `joining.no_ground`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
