use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuk_central::{
    AccessRequest, Drift, DriftKind, InformationSystem, PublishingError, ServiceDescription, Survey,
};
use uuk_globalconf::from_toml;
use uuk_identifiers::{ServiceId, SubsystemId};

use super::{Operator, failure, read_file};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// Longer files are no descriptions.
const FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Describe an information system, or describe it anew
    System {
        /// The subsystem as which it exchanges messages
        system: SubsystemId,
        /// Its description, TOML
        description: PathBuf,
    },
    /// Keep a description and its contract as the draft of a service
    Draft {
        /// The description, TOML
        description: PathBuf,
        /// The contract, OpenAPI or WSDL
        contract: PathBuf,
    },
    /// Say what keeps a draft from being published, and what its consumers would lose by it
    Lint {
        /// The service
        service: ServiceId,
    },
    /// Let a draft count at every server that takes its catalog from the instance
    Publish {
        /// The service
        service: ServiceId,
        /// Even if consumers lose what they rely on
        #[arg(long)]
        breaking: bool,
    },
    /// Take a service out of the catalog
    Withdraw {
        /// The service
        service: ServiceId,
    },
    /// Find published services by the beginnings of words
    Search {
        /// The words
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Say where security servers were found to offer other services than the catalog says
    Drift,
    /// Ask for access to a service in the name of a consumer
    Ask {
        /// What is asked for, TOML
        request: PathBuf,
    },
    /// Let a consumer have what it asks for
    Grant {
        /// The number of the request
        number: u64,
        /// On what conditions
        #[arg(long)]
        note: String,
    },
    /// Refuse a consumer what it asks for, or take back what it was granted
    Refuse {
        /// The number of the request
        number: u64,
        /// Why
        #[arg(long)]
        note: String,
    },
}

pub(super) fn run(command: &CatalogCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    let now = operator.central.clock().now();
    match command {
        CatalogCommand::System { system, description } => {
            let description: InformationSystem = read_toml(description)?;
            operator.change("set-information-system", |registry| {
                registry.set_information_system(system, description.clone())
            })
        }
        CatalogCommand::Draft { description, contract } => {
            let (description, contract) = (read_toml(description)?, read_file(contract, FILE_BYTES_MAX)?);
            draft(operator, description, &contract)
        }
        CatalogCommand::Lint { service } => lint(operator, service),
        CatalogCommand::Publish { service, breaking } => publish(operator, service, *breaking),
        CatalogCommand::Withdraw { service } => {
            operator.change("withdraw-service", |registry| registry.withdraw_service(service))
        }
        CatalogCommand::Search { words } => search(operator, &words.join(" ")),
        CatalogCommand::Drift => drift(operator),
        CatalogCommand::Ask { request } => {
            let request: AccessRequest = read_toml(request)?;
            ask(operator, &request)
        }
        CatalogCommand::Grant { number, note } => {
            operator.change("grant-access", |registry| registry.decide_access(*number, true, note, now))
        }
        CatalogCommand::Refuse { number, note } => {
            operator.change("refuse-access", |registry| registry.decide_access(*number, false, note, now))
        }
    }
}

fn draft(operator: &Operator<'_>, description: ServiceDescription, contract: &[u8]) -> Result<(), Failure> {
    let service = description.service.clone();
    let drafting = operator.central.draft_service(&operator.actor, description, contract);
    operator.runtime.block_on(drafting).map_err(|error| refused(&error))?;
    let result = json!({ "act": "draft-service" });
    operator.terminal.step("next", format_args!("uuk central catalog lint {service}"));
    operator.terminal.result("uuk.cli/central-change/v1", &result, "draft-service");
    Ok(())
}

fn drift(operator: &Operator<'_>) -> Result<(), Failure> {
    let surveys = operator.runtime.block_on(operator.central.surveys()).map_err(|error| failure(&error))?;
    let mut text = String::new();
    for Survey { system, at, silence, drifts } in &surveys {
        let at = at.strftime("%Y-%m-%d %H:%M");
        if let Some(silence) = silence {
            let _ = writeln!(text, "{system}: {silence}, {at}");
        }
        for Drift { service, kind } in drifts {
            let told = match kind {
                DriftKind::Undescribed => "is offered, and not in the catalog",
                DriftKind::NotOffered => "is in the catalog, and not offered",
                DriftKind::OtherContract => "goes by another contract than the catalog's",
            };
            let _ = writeln!(text, "{system}/{service} {told}, {at}");
        }
    }
    if text.is_empty() {
        text = match surveys.len() {
            0 => "no information system was asked yet: `[survey]` of central.toml says through which server"
                .to_owned(),
            asked => format!("information systems asked: {asked}; none differs from the catalog"),
        };
    }
    let result = json!({ "surveys": surveys });
    operator.terminal.result("uuk.cli/central-catalog-drift/v1", &result, text.trim_end());
    Ok(())
}

fn ask(operator: &Operator<'_>, request: &AccessRequest) -> Result<(), Failure> {
    let now = operator.central.clock().now();
    let asking = operator
        .central
        .change(&operator.actor, "request-access", |registry| registry.request_access(request.clone(), now));
    let number = operator.runtime.block_on(asking).map_err(|error| failure(&error))?;
    operator.terminal.step("next", format_args!("uuk central catalog grant {number} --note …"));
    operator.terminal.result("uuk.cli/central-catalog-ask/v1", &json!({ "number": number }), number);
    Ok(())
}

fn lint(operator: &Operator<'_>, service: &ServiceId) -> Result<(), Failure> {
    let reviewing = operator.central.review_draft(service);
    let (_, flaws, breakages) = operator.runtime.block_on(reviewing).map_err(|error| refused(&error))?;
    let service = Box::new(service.clone());
    if !flaws.is_empty() {
        return Err(refused(&PublishingError::Unfit { service, flaws }));
    }
    if !breakages.is_empty() {
        return Err(refused(&PublishingError::Breaks { service, breakages }));
    }
    let text = "fit to be published";
    operator.terminal.result("uuk.cli/central-catalog-lint/v1", &json!({ "fit": true }), text);
    Ok(())
}

fn publish(operator: &Operator<'_>, service: &ServiceId, breaking: bool) -> Result<(), Failure> {
    let publishing = operator.central.publish_service(&operator.actor, service, breaking);
    let edition = operator.runtime.block_on(publishing).map_err(|error| refused(&error))?;
    let text = format!("edition {edition} of {service} counts");
    operator.terminal.result("uuk.cli/central-catalog-publish/v1", &json!({ "edition": edition }), text);
    Ok(())
}

fn search(operator: &Operator<'_>, words: &str) -> Result<(), Failure> {
    let searching = operator.central.search_catalog(words);
    let found = operator.runtime.block_on(searching).map_err(|error| failure(&error))?;
    let mut text = String::new();
    for service in &found {
        // Writing into a string does not fail.
        let title = service.title.get("en").map(String::as_str).unwrap_or_default();
        let _ = writeln!(text, "{}  {title}", service.service);
    }
    operator.terminal.result("uuk.cli/central-catalog-search/v1", &json!({ "services": found }), text);
    Ok(())
}

/// Everything that is wrong is told at once.
fn refused(error: &PublishingError) -> Failure {
    match error {
        PublishingError::Central(error) => failure(error),
        PublishingError::Unfit { flaws, .. } => {
            let failure = Failure::new(ExitCode::CheckFailed, error.code(), error);
            flaws.iter().fold(failure, |failure, flaw| failure.note(uuk_process::ErrorChain(flaw)))
        }
        PublishingError::Breaks { breakages, .. } => {
            let failure = Failure::new(ExitCode::CheckFailed, error.code(), error)
                .help("give it another service code, or publish with --breaking once consumers know");
            breakages.iter().fold(failure, Failure::note)
        }
        _ => Failure::new(ExitCode::Usage, error.code(), error),
    }
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let bytes = read_file(path, FILE_BYTES_MAX)?;
    let invalid = |reason: &dyn std::fmt::Display| {
        let message = format!("`{}` is not usable", path.display());
        Failure::new(ExitCode::Usage, "central.file_invalid", message).note(reason)
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| invalid(&error))?;
    from_toml(text).map_err(|error| invalid(&error))
}
