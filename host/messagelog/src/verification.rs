//! Judging evidence, whoever made it: a container or an archive, by a global configuration, without any database.

use std::time::Duration;

use jiff::Timestamp;
use uuk_asic::{
    Archive, ArchiveError, Check, ContainerError, Evidence, EvidenceError, Examination, LINKING_INFO,
    MessageContainer, Outcome, STAMPED_WITHIN, Step, examine,
};
use uuk_globalconf::GlobalConfiguration;
use uuk_identifiers::MemberId;
use uuk_message::{RestError, RestRequest, RestResponse, Soap, SoapError};

use crate::record::Direction;

/// By what a file is judged.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// Who may sign, certify and stamp.
    pub configuration: &'a GlobalConfiguration,
    /// Last digest of the archive that this one must continue, of the first of all archives an empty one; `None` if
    /// nobody asks.
    pub previous: Option<&'a str>,
    /// How late a time-stamp may be for the signature's own word about its time to be believed. See [`examine`].
    pub stamped_within: Duration,
}

impl<'a> Judge<'a> {
    /// By a configuration alone.
    pub fn by(configuration: &'a GlobalConfiguration) -> Self {
        Self { configuration, previous: None, stamped_within: STAMPED_WITHIN }
    }
}

/// What a file proves.
#[derive(Debug)]
pub struct Report {
    /// What was found out about the archive, if it is one.
    pub archive: Option<Result<ArchiveReport, ArchiveError>>,
    /// What was found out about the containers, in the order of the file.
    pub containers: Vec<ContainerReport>,
}

/// An archive that holds exactly what was archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveReport {
    /// File name and last digest of the archive that it continues, by its own word.
    pub previous: Option<(String, String)>,
    /// The digest that the archive after it continues.
    pub last_digest: String,
    /// How many containers it has.
    pub containers: usize,
}

/// What was found out about a container.
#[derive(Debug)]
pub struct ContainerReport {
    /// Its name in the archive.
    pub file_name: Option<String>,
    /// What the message says about itself.
    pub message: Option<MessageNames>,
    /// The checks in their order, each with what it found.
    pub steps: Vec<ExplainedStep>,
    /// What it proves, or why it proves nothing.
    pub verdict: Result<Evidence, Disproof>,
}

/// One check, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedStep {
    /// What was asked.
    pub check: String,
    /// What was found.
    pub outcome: Outcome,
}

/// Whom a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageNames {
    /// Which message of the exchange it is.
    pub direction: Direction,
    /// Whose signature it must have: in a request the client's, in a response the service's provider's.
    pub sender: MemberId,
    /// The client, as it is written.
    pub client: String,
    /// The service, as it is written.
    pub service: String,
    /// The identifier of the message.
    pub id: String,
}

/// Why a container proves nothing.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "evidence.")]
#[non_exhaustive]
pub enum Disproof {
    /// It cannot be read.
    #[error("the file is no container of a message")]
    Container(#[source] ContainerError),
    /// The message is neither of X-Road's protocols, so that nobody knows who must have signed it.
    #[error("the message names no sender: as SOAP, {soap}; as REST, {rest}")]
    Unreadable {
        /// What is wrong with it as SOAP.
        soap: SoapError,
        /// What is wrong with it as REST.
        rest: RestError,
    },
    /// The message names an instance of which the configuration knows nothing.
    #[error("the global configuration knows no instance `{instance}`")]
    UnknownInstance {
        /// The instance.
        instance: String,
    },
    /// A check failed.
    #[error(transparent)]
    Evidence(EvidenceError),
}

impl Disproof {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Container(error) => error.code(),
            Self::Evidence(error) => error.code(),
            other => other.into(),
        }
    }

    /// The code that X-Road 7.8 has for it.
    pub fn xroad_code(&self) -> String {
        match self {
            Self::Container(error) => error.xroad_code().unwrap_or("malformed_signature").to_owned(),
            Self::Unreadable { soap, .. } => soap.xroad_code().to_owned(),
            Self::UnknownInstance { .. } => "unknown_member".to_owned(),
            Self::Evidence(error) => error.xroad_code(),
        }
    }
}

impl Report {
    /// Whether the archive and every container in it, or the container alone, is what it should be.
    pub fn is_valid(&self) -> bool {
        let is_sound = |archive: &Result<_, _>| archive.is_ok();
        self.archive.as_ref().is_none_or(is_sound)
            && self.containers.iter().all(|container| container.verdict.is_ok())
    }
}

/// Finds out what a file proves: a container or an archive.
///
/// Everything is judged as of the time-stamps, so that it does not matter whether the configuration counts today.
///
/// # Errors
/// [`ContainerError`] if the file is an archive that cannot be read. A container that cannot be read is in the report.
pub fn verify(file: &[u8], judge: &Judge<'_>) -> Result<Report, ContainerError> {
    let archive = match Archive::read(file) {
        Ok(archive) => archive,
        // It is not a broken archive but a container, or nothing known.
        Err(ContainerError::MissingEntry { what: LINKING_INFO } | ContainerError::TrailingData { .. }) => {
            let containers = vec![verify_container(None, file, judge)];
            return Ok(Report { archive: None, containers });
        }
        Err(error) => return Err(error),
    };
    let linking = archive.verify(judge.previous).map(|linking| ArchiveReport {
        previous: linking.previous.clone().map(|previous| (previous.file_name, previous.last_digest)),
        last_digest: linking.last_digest().to_owned(),
        containers: linking.entries.len(),
    });
    let containers = archive.containers().iter();
    let containers =
        containers.map(|entry| verify_container(Some(entry.name.to_string()), &entry.bytes, judge));
    Ok(Report { archive: Some(linking), containers: containers.collect() })
}

fn verify_container(file_name: Option<String>, file: &[u8], judge: &Judge<'_>) -> ContainerReport {
    let mut steps = Vec::new();
    let mut message = None;
    let verdict = examine_file(file, judge, &mut steps, &mut message);
    if let Err(disproof @ (Disproof::Container(_) | Disproof::Unreadable { .. })) = &verdict {
        steps.push(failed(steps.len(), disproof));
    } else if let Err(disproof @ Disproof::UnknownInstance { .. }) = &verdict {
        steps.push(ExplainedStep {
            check: "instance".to_owned(),
            outcome: Outcome::Failed(disproof.to_string()),
        });
    }
    ContainerReport { file_name, message, steps, verdict }
}

fn failed(made: usize, disproof: &Disproof) -> ExplainedStep {
    let check = if made == 0 { "container" } else { "message" };
    let words = uuk_process::ErrorChain(disproof).to_string();
    ExplainedStep { check: check.to_owned(), outcome: Outcome::Failed(words) }
}

fn examine_file(
    file: &[u8],
    judge: &Judge<'_>,
    steps: &mut Vec<ExplainedStep>,
    message: &mut Option<MessageNames>,
) -> Result<Evidence, Disproof> {
    let container = MessageContainer::read(file).map_err(Disproof::Container)?;
    let mut passed = |check: &str, words: String| {
        steps.push(ExplainedStep { check: check.to_owned(), outcome: Outcome::Passed(words) });
    };
    let attachments = match container.attachments.len() {
        0 => "no attachment".to_owned(),
        1 => "one attachment".to_owned(),
        count => format!("{count} attachments"),
    };
    passed("container", format!("a message with its signature and {attachments}"));
    let names = read_names(&container.message)?;
    let MessageNames { direction, sender, client, service, id } = &names;
    passed("message", format!("the {direction} `{id}` of {client} to {service}"));
    // A configuration that has expired still says whom one could trust when the message was stamped.
    let instance = judge
        .configuration
        .instance(&sender.instance, Timestamp::MIN)
        .ok_or_else(|| Disproof::UnknownInstance { instance: sender.instance.clone() })?;
    let Examination { steps: made, verdict } =
        examine(&container, sender, instance.authorities(), judge.stamped_within);
    steps.extend(made.into_iter().map(ExplainedStep::from));
    *message = Some(names);
    verdict.map_err(Disproof::Evidence)
}

impl From<Step> for ExplainedStep {
    fn from(Step { check, outcome }: Step) -> Self {
        let check: Check = check;
        Self { check: check.to_string(), outcome }
    }
}

/// Whom the message names: SOAP if it is that, else REST, as X-Road's verifier tells them apart.
fn read_names(message: &[u8]) -> Result<MessageNames, Disproof> {
    let soap = match Soap::read("text/xml; charset=UTF-8", message.to_vec()) {
        Ok(Soap::Message(soap)) => {
            let header = soap.header();
            let (direction, sender) = match soap.is_response() {
                true => (Direction::Response, header.service.provider.member()),
                false => (Direction::Request, header.client.member()),
            };
            return Ok(MessageNames {
                direction,
                sender: sender.clone(),
                client: header.client.titled().to_string(),
                service: header.service.titled().to_string(),
                id: header.id.clone(),
            });
        }
        Ok(Soap::Fault(_)) => SoapError::MissingHeader,
        Err(error) => error,
    };
    let names = match message.first() {
        // A response begins with its status.
        Some(b'1'..=b'9') => RestResponse::read(message.to_vec()).and_then(|response| {
            let head = response.head();
            let missing = |name| RestError::MissingHeader { name };
            let service = head.service.as_ref().ok_or(missing("x-road-service"))?;
            let client = head.client.as_ref().ok_or(missing("x-road-client"))?;
            Ok(MessageNames {
                direction: Direction::Response,
                sender: service.provider.member.clone(),
                client: client.titled().to_string(),
                service: service.titled().to_string(),
                id: head.id.clone(),
            })
        }),
        _ => RestRequest::read(message.to_vec()).map(|request| {
            let head = request.head();
            MessageNames {
                direction: Direction::Request,
                sender: head.client.member().clone(),
                client: head.client.titled().to_string(),
                service: head.service.titled().to_string(),
                id: head.id.clone(),
            }
        }),
    };
    names.map_err(|rest| Disproof::Unreadable { soap, rest })
}
