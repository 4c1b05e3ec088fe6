use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use tracing::{error, info};
use uuk_central::joining::{CalendarError, JoiningRefusal, Problem as FieldProblem};
use uuk_central::vetting::VettingError;
use uuk_central::{CalendarChangeError, CentralError, JoiningError, PeopleError, PublishingError};
use uuk_process::ErrorChain;
use uuk_transport::BodyError;

use crate::openid::OpenIdError;
use crate::reply::Reply;

/// Why somebody does not get what they ask for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// Nobody in particular asks.
    #[error("sign in first")]
    NotSignedIn,
    /// The role does not include it, or it is another institution's.
    #[error("your role does not include this")]
    Denied,
    /// The form does not come from this session.
    #[error("the form is not from this session; load the page anew")]
    Forged,
    /// As many files are on their way as memory is set aside for.
    #[error("too many bundles are being sent at the moment; try again")]
    Busy,
    /// There is nothing of that name.
    #[error("there is no such page")]
    NoSuchPage,
    /// Not what can be done with it.
    #[error("only {allowed} can be done here")]
    Method {
        /// The methods.
        allowed: String,
    },
    /// The body is not what is read here.
    #[error("the body is not of type {expected}")]
    MediaType {
        /// What is.
        expected: &'static str,
    },
    /// The body says nothing that can be done.
    #[error("the request cannot be read: {reason}")]
    Malformed {
        /// Where and why.
        reason: String,
    },
    /// The body did not come whole.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The procedure does not go on.
    #[error(transparent)]
    Joining(#[from] JoiningError),
    /// The bundle does not go on.
    #[error(transparent)]
    Vetting(#[from] VettingError),
    /// Somebody is not let in, or cannot be invited.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The OpenID provider does not say who somebody is.
    #[error(transparent)]
    OpenId(#[from] OpenIdError),
    /// A service is not described or published.
    #[error(transparent)]
    Publishing(#[from] PublishingError),
    /// A calendar is not changed.
    #[error(transparent)]
    Calendar(#[from] CalendarChangeError),
    /// The database cannot be used.
    #[error(transparent)]
    Central(#[from] CentralError),
    /// Ours.
    #[error("this program made a mistake")]
    Internal,
}

/// RFC 9457.
#[derive(Debug, Serialize)]
struct Details<'a> {
    status: u16,
    code: &'static str,
    title: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [FieldProblem],
}

impl Problem {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NotSignedIn => "console.not_signed_in",
            Self::Denied => "console.denied",
            Self::Forged => "console.forged",
            Self::Busy => "console.busy",
            Self::NoSuchPage => "console.no_such_page",
            Self::Method { .. } => "console.method",
            Self::MediaType { .. } => "console.media_type",
            Self::Malformed { .. } => "console.malformed",
            Self::Internal => "console.internal",
            Self::Body(error) => error.code(),
            Self::Joining(error) => error.code(),
            Self::Vetting(error) => error.code(),
            Self::People(error) => error.code(),
            Self::OpenId(error) => error.code(),
            Self::Publishing(error) => error.code(),
            Self::Calendar(error) => error.code(),
            Self::Central(error) => error.code(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::Denied | Self::Forged => StatusCode::FORBIDDEN,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoSuchPage
            | Self::Joining(JoiningError::Unknown)
            | Self::Vetting(VettingError::Unknown) => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed { .. } | Self::Body(BodyError::Broken(_)) => StatusCode::BAD_REQUEST,
            Self::Body(BodyError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Joining(JoiningError::Refused(JoiningRefusal::FileKind)) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Joining(JoiningError::Refused(JoiningRefusal::FileTooLarge { .. })) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Joining(JoiningError::Refused(_) | JoiningError::AlreadyBegun { .. })
            | Self::Joining(JoiningError::NotRegistered { .. }) => StatusCode::CONFLICT,
            Self::Joining(JoiningError::Central(error))
            | Self::Vetting(VettingError::Central(error))
            | Self::People(PeopleError::Central(error))
            | Self::Publishing(PublishingError::Central(error))
            | Self::Calendar(CalendarChangeError::Central(error))
            | Self::Central(error) => of_central(error),
            Self::Calendar(CalendarChangeError::Unknown { .. }) => StatusCode::NOT_FOUND,
            Self::Calendar(_) | Self::Publishing(PublishingError::NoContract) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Publishing(_) => StatusCode::CONFLICT,
            Self::Joining(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Vetting(VettingError::OwnSubmission | VettingError::NotYours) => StatusCode::FORBIDDEN,
            Self::Vetting(VettingError::QueueFull { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Vetting(
                VettingError::Bundle(_)
                | VettingError::Revoked { .. }
                | VettingError::Tier
                | VettingError::BeyondTier(_)
                | VettingError::Text,
            ) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Vetting(_) => StatusCode::CONFLICT,
            Self::People(PeopleError::Wrong | PeopleError::Invitation | PeopleError::UnknownIdentity) => {
                StatusCode::UNAUTHORIZED
            }
            Self::People(PeopleError::TakenIdentity) => StatusCode::CONFLICT,
            Self::OpenId(OpenIdError::Refused { .. }) => StatusCode::FORBIDDEN,
            Self::OpenId(OpenIdError::Stale) => StatusCode::BAD_REQUEST,
            Self::OpenId(OpenIdError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::OpenId(_) => StatusCode::BAD_GATEWAY,
            Self::People(PeopleError::SecondFactor) => StatusCode::CONFLICT,
            Self::People(PeopleError::Locked) => StatusCode::TOO_MANY_REQUESTS,
            Self::People(PeopleError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::People(PeopleError::Unknown { .. }) => StatusCode::NOT_FOUND,
            Self::People(PeopleError::NoRandomness) | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::People(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// What of it is wrong, as it was written, where people could not see it otherwise.
    pub(crate) fn culprit(&self) -> Option<String> {
        let Self::Calendar(CalendarChangeError::Calendar(error)) = self else { return None };
        Some(match error {
            CalendarError::Day { day } => day.clone(),
            CalendarError::Date { date } => date.clone(),
            CalendarError::OtherYear { date, .. } | CalendarError::Contradiction { date } => date.to_string(),
            CalendarError::YearTwice { year } => year.to_string(),
            CalendarError::Offset { hours } => hours.to_string(),
            _ => return None,
        })
    }

    /// The fields that are missing or wrong.
    pub(crate) fn fields(&self) -> &[FieldProblem] {
        match self {
            Self::Joining(JoiningError::Refused(JoiningRefusal::Incomplete { problems })) => problems,
            _ => &[],
        }
    }

    /// As programs read it.
    pub(crate) fn reply(&self) -> Reply {
        self.log();
        let (status, code) = (self.status(), self.code());
        let details =
            Details { status: status.as_u16(), code, title: self.to_string(), problems: self.fields() };
        let reply = Reply::new(status, "application/problem+json", json!(details).to_string());
        match self {
            Self::Method { allowed } => reply.header("allow", allowed),
            Self::NotSignedIn => reply.header("www-authenticate", "Bearer"),
            _ => reply,
        }
    }

    pub(crate) fn log(&self) {
        let told = ErrorChain(self).to_string();
        match self.status().is_server_error() {
            true => error!(error = %told, fault.code = self.code(), "The console cannot answer: {told}"),
            false => info!(error = %told, fault.code = self.code(), "The console refuses: {told}"),
        }
    }
}

/// What only concerns this machine is no fault of who asks.
fn of_central(error: &CentralError) -> StatusCode {
    match error {
        CentralError::Refused(_) => StatusCode::CONFLICT,
        CentralError::NoInstance | CentralError::Busy | CentralError::Store(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
