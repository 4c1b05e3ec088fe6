use jiff::Timestamp;
use uuk_globalconf::ParametersError;
use uuk_identifiers::{ClientId, IdentifierError, MemberId, ServerId, SubsystemId};
use uuk_pki::{CertificateError, PathError, ProfileError, Sha256};

/// Why a change of the registry is refused; nothing has changed.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "registry.")]
#[non_exhaustive]
pub enum Refusal {
    /// A name or description with nothing in it.
    #[error("the {what} is blank")]
    Blank {
        /// Of what.
        what: &'static str,
    },
    /// A name or description for nobody to read.
    #[error("the {what} is longer than {chars_max} characters")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// The limit.
        chars_max: usize,
    },
    /// A character that would not survive a file or a screen.
    #[error("the {what} has a control character")]
    ControlCharacter {
        /// Of what.
        what: &'static str,
    },
    /// A code that no identifier may have.
    #[error("this is no identifier")]
    Identifier(#[from] IdentifierError),
    /// A name of another instance.
    #[error("only names of the instance `{instance}` are registered here")]
    OtherInstance {
        /// This instance.
        instance: String,
    },
    /// Not where another instance publishes its configuration.
    #[error("this is no anchor")]
    Anchor(#[from] ParametersError),
    /// An anchor names a few sources.
    #[error("an anchor is a text of at most {bytes_max} bytes")]
    AnchorTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Nobody is federated with themselves.
    #[error("this is the anchor of `{instance}` itself")]
    OwnAnchor {
        /// This instance.
        instance: String,
    },
    /// Not where a server can be.
    #[error("`{address}` is neither a host name nor an IP address, perhaps with a port")]
    Address {
        /// The beginning of what was given.
        address: String,
    },
    /// Not where a service can be.
    #[error("`{url}` is no URL of `http` or `https`")]
    Url {
        /// The beginning of what was given.
        url: String,
    },
    /// Members could not download the configuration.
    #[error("an instance has at least one central server")]
    NoSource,
    /// There is one already.
    #[error("the {what} `{name}` is registered already")]
    AlreadyRegistered {
        /// Of which kind.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// There is none.
    #[error("there is no {what} `{name}`")]
    NotRegistered {
        /// Of which kind.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// Members of it would be of no class.
    #[error("the member class `{class}` has members")]
    ClassInUse {
        /// The class.
        class: String,
    },
    /// Its subsystems would be nobody's.
    #[error("the member `{member}` has subsystems")]
    MemberHasSubsystems {
        /// The member.
        member: MemberId,
    },
    /// Its security servers would be nobody's.
    #[error("the member `{member}` owns security servers, or is a client of one")]
    MemberHasServers {
        /// The member.
        member: MemberId,
    },
    /// Who is in it is not for anyone to say.
    #[error("the group `{code}` is there always, and has the owners of all security servers")]
    OwnersGroup {
        /// Which.
        code: String,
    },
    /// Messages would come from nowhere.
    #[error("the subsystem `{subsystem}` is a client of `{server}`")]
    SubsystemInUse {
        /// The subsystem.
        subsystem: Box<SubsystemId>,
        /// Where.
        server: Box<ServerId>,
    },
    /// The owner is a client of its server without being registered as one.
    #[error("`{server}` has the client `{client}` by belonging to it")]
    OwnerIsClient {
        /// The server.
        server: Box<ServerId>,
        /// Its owner.
        client: Box<ClientId>,
    },
    /// Only who exchanges messages through a server may own it.
    #[error("`{client}` is no client of `{server}`")]
    NoClient {
        /// The server.
        server: Box<ServerId>,
        /// Who is not.
        client: Box<ClientId>,
    },
    /// Not DER of one certificate, or of a key that may not be used.
    #[error("this is no certificate that can be used")]
    Certificate(#[from] CertificateError),
    /// No approved authority vouches for it, or not for this use, or not now.
    #[error("the certificate is not accepted")]
    CertificatePath(#[from] PathError),
    /// One certificate would identify two servers.
    #[error("the certificate {certificate} is that of `{server}` already")]
    CertificateTaken {
        /// The certificate.
        certificate: Sha256,
        /// Whose it is.
        server: Box<ServerId>,
    },
    /// More than a server has while one certificate follows another.
    #[error("`{server}` has {count_max} certificates; delete one first")]
    TooManyCertificates {
        /// The server.
        server: Box<ServerId>,
        /// The limit.
        count_max: usize,
    },
    /// No profile of that name says whom certificates name.
    #[error("the certificate profile is not known")]
    Profile(#[from] ProfileError),
    /// A certification service without authority certifies nothing.
    #[error("a certification service has at least one authority")]
    NoAuthority,
    /// A text for people is not in all languages.
    #[error("{reason}")]
    Text {
        /// Which is missing.
        reason: String,
    },
    /// What is asked for would count no more.
    #[error("{until} is over")]
    Over {
        /// When it would have ended.
        until: Timestamp,
    },
    /// An approval that would never count, or always.
    #[error("an approval counts for 1 to {days_max} days")]
    TierDays {
        /// The limit.
        days_max: u32,
    },
    /// Someone floods the operator.
    #[error("{count_max} requests wait already")]
    TooManyRequests {
        /// The limit.
        count_max: usize,
    },
    /// More than anybody decides on.
    #[error("{count_max} requests for access are kept already")]
    TooManyAccesses {
        /// The limit.
        count_max: usize,
    },
    /// Who wrote this did not see it.
    #[error("the {what} `{name}` was changed meanwhile")]
    ChangedMeanwhile {
        /// Of which kind.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// Members that have not heard of the key would refuse the configuration.
    #[error("not all members know the signing key {key} before {known_at}")]
    SigningKeyNew {
        /// The key.
        key: Sha256,
        /// When all do that have not lost touch.
        known_at: Timestamp,
    },
    /// Nothing would sign the configuration.
    #[error("the signing key {key} signs the configuration; let another one do so first")]
    SigningKeyActive {
        /// The key.
        key: Sha256,
    },
}

impl Refusal {
    /// The stable code of the reason: of the certificate's, if that is it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.code(),
            Self::CertificatePath(error) => error.code(),
            Self::Profile(error) => error.code(),
            Self::Anchor(error) => error.code(),
            other => other.into(),
        }
    }

    pub(super) fn no_client(server: &ServerId, client: &ClientId) -> Self {
        Self::NoClient { server: Box::new(server.clone()), client: Box::new(client.clone()) }
    }

    pub(crate) fn already(what: &'static str, name: impl ToString) -> Self {
        Self::AlreadyRegistered { what, name: name.to_string() }
    }

    pub(crate) fn unknown(what: &'static str, name: impl ToString) -> Self {
        Self::NotRegistered { what, name: name.to_string() }
    }
}
