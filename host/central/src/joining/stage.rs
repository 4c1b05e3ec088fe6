use serde::{Deserialize, Serialize};

use super::deadline::Phase;

/// Who takes part.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Party {
    /// The institution that joins.
    Applicant,
    /// The institution that runs the exchange.
    Operator,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Turn {
    /// The applicant's; no clock runs.
    Applicant,
    /// The operator's, whose clock runs.
    Operator,
    /// It is over.
    Nobody,
}

/// How far an application is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Being written.
    Draft,
    /// Handed in.
    Submitted,
    /// Handed back, to be mended.
    Returned,
    /// Looked at by someone.
    InReview,
    /// Refused, on a ground of the law.
    Refused,
    /// Given up by the applicant.
    Withdrawn,
    /// The agreement was ended; what came after it counts no more.
    Terminated,
    /// Accepted; the agreement is to be signed.
    Approved,
    /// Both have signed; the technical instructions are to be agreed on.
    AgreementSigned,
    /// Both have approved the same text; the applicant prepares its server.
    InstructionsAgreed,
    /// The server is fit; keys are to be made.
    HostReady,
    /// The keys are on their carrier; certificates are to be requested.
    KeysReady,
    /// The certification centre has the requests.
    CertificatesRequested,
    /// The operator has the certificates.
    CertificatesSubmitted,
    /// They fit the application.
    CertificatesVerified,
    /// All servers know of them.
    CertificatesRegistered,
    /// A test call has come through.
    Connected,
    /// All is done.
    Ready,
}

impl Stage {
    /// Which period the law sets for what happens in it.
    pub fn phase(self) -> Option<Phase> {
        match self {
            Self::Submitted | Self::InReview | Self::Returned => Some(Phase::Review),
            Self::AgreementSigned => Some(Phase::Instructions),
            Self::InstructionsAgreed
            | Self::HostReady
            | Self::KeysReady
            | Self::CertificatesRequested
            | Self::CertificatesSubmitted
            | Self::CertificatesVerified
            | Self::CertificatesRegistered => Some(Phase::Connection),
            Self::Draft
            | Self::Refused
            | Self::Withdrawn
            | Self::Terminated
            | Self::Approved
            | Self::Connected
            | Self::Ready => None,
        }
    }

    /// Whether both have signed an agreement that is in force.
    pub fn is_bound(self) -> bool {
        self >= Self::AgreementSigned
    }

    /// Whether it has come to its end: nothing more will happen, unless what is ready is terminated.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Refused | Self::Withdrawn | Self::Terminated | Self::Ready)
    }
}
