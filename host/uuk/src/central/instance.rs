use std::fmt::Write;
use std::path::PathBuf;

use serde_json::json;
use uuk_central::{Audience, KeyFolderError, Registry, Settings};
use uuk_globalconf::Anchor;
use uuk_identifiers::ClientId;

use super::{Operator, failure, unusable};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// Found an instance, with a key that signs its configuration
#[derive(Debug, clap::Args)]
pub(crate) struct InitOptions {
    /// The identifier that all names begin with, such as KG; it never changes
    instance: String,
    /// Where members download the configuration: HOST or HOST:PORT; may be repeated
    #[arg(long, value_name = "ADDRESS", required = true)]
    source: Vec<String>,
    /// Who answers management requests: KG/GOV/10000001/management
    #[arg(long, value_name = "CLIENT")]
    management: ClientId,
    /// Where requests to register authentication certificates go, if not to port 4001 of the first source
    #[arg(long, value_name = "URL")]
    registration: Option<String>,
}

/// Change where the instance is found: by its members, and by those who register
///
/// What is not given stays. Servers learn of it with the next global configuration; new ones need a new anchor.
#[derive(Debug, clap::Args)]
pub(crate) struct SettingsOptions {
    /// Where members download the configuration, in place of all before: HOST or HOST:PORT; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    source: Vec<String>,
    /// Who answers management requests: KG/GOV/10000001/management
    #[arg(long, value_name = "CLIENT")]
    management: Option<ClientId>,
    /// Where requests to register authentication certificates go
    #[arg(long, value_name = "URL")]
    registration: Option<String>,
}

/// Write the anchor that members are handed to begin with
#[derive(Debug, clap::Args)]
pub(crate) struct AnchorOptions {
    /// For other instances, which are told less
    #[arg(long)]
    external: bool,
    /// Where to write it
    #[arg(short, long, value_name = "FILE", default_value = "anchor.xml")]
    output: PathBuf,
}

pub(super) fn init(options: &InitOptions, operator: &Operator<'_>) -> Result<(), Failure> {
    let InitOptions { instance, source, management, registration } = options;
    let now = operator.central.clock().now();
    let first = source.first().map_or("", String::as_str);
    let mut settings = Settings::new(instance, first, management.clone());
    settings.sources.clone_from(source);
    if let Some(url) = registration {
        settings.registration_url.clone_from(url);
    }
    let founding = async {
        // Not to leave a key behind that nobody needs.
        operator.central.check_empty().await.map_err(|error| failure(&error))?;
        let keys = operator.config.keys()?;
        let certificate = keys.generate(instance, now).map_err(unusable(KeyFolderError::code))?;
        let registry = Registry::new(settings, certificate, now).map_err(|error| failure(&error.into()))?;
        operator.central.found(&operator.actor, registry).await.map_err(|error| failure(&error))
    };
    operator.runtime.block_on(founding)?;
    operator.terminal.step("founded", format_args!("the instance {instance}; next: uuk central anchor"));
    operator.terminal.result("uuk.cli/central-init/v1", &json!({ "instance": instance }), instance);
    Ok(())
}

pub(super) fn settings(options: &SettingsOptions, operator: &Operator<'_>) -> Result<(), Failure> {
    let SettingsOptions { source, management, registration } = options;
    operator.change("set-settings", |registry| {
        let mut settings = registry.settings().clone();
        if !source.is_empty() {
            settings.sources.clone_from(source);
        }
        if let Some(client) = management {
            settings.management_provider.clone_from(client);
        }
        if let Some(url) = registration {
            settings.registration_url.clone_from(url);
        }
        registry.set_settings(settings)
    })
}

pub(super) fn anchor(options: &AnchorOptions, operator: &Operator<'_>) -> Result<(), Failure> {
    let snapshot = operator.runtime.block_on(operator.central.snapshot()).map_err(|error| failure(&error))?;
    let audience = if options.external { Audience::OtherInstances } else { Audience::Members };
    let anchor = snapshot.registry.anchor(audience, operator.central.clock().now()).write();
    let hash = Anchor::displayed_hash(anchor.as_bytes());
    std::fs::write(&options.output, &anchor).map_err(|error| {
        let message = format!("cannot write `{}`", options.output.display());
        Failure::new(ExitCode::Remote, "central.file_unwritable", message).note(error)
    })?;
    operator.terminal.step("wrote", options.output.display());
    let result = json!({ "file": options.output, "sha224": hash });
    operator.terminal.result("uuk.cli/central-anchor/v1", &result, &hash);
    Ok(())
}

pub(super) fn show(operator: &Operator<'_>) -> Result<(), Failure> {
    let snapshot = operator.runtime.block_on(operator.central.snapshot()).map_err(|error| failure(&error))?;
    let registry = &snapshot.registry;
    let mut text = format!("instance {}\n", registry.settings().instance);
    // Writing into a string does not fail.
    for (id, member) in registry.members() {
        let _ = writeln!(text, "member {id}  {}", member.name);
        for (id, subsystem) in registry.subsystems().iter().filter(|(one, _)| one.member == *id) {
            let _ =
                writeln!(text, "  subsystem {}  {}", id.code, subsystem.name.as_deref().unwrap_or_default());
        }
    }
    for (id, server) in registry.servers() {
        let _ = writeln!(text, "server {id}  {}", server.address.as_deref().unwrap_or("without address"));
        for certificate in &server.certificates {
            let _ = writeln!(text, "  certificate {}", certificate.sha256());
        }
        for client in server.clients.keys() {
            let _ = writeln!(text, "  client {client}");
        }
    }
    for instance in registry.federated().keys() {
        let _ = writeln!(text, "federated with {instance}");
    }
    let trust = registry.bundle_trust();
    for (role, signers) in [("author", &trust.authors), ("vetting", &trust.vetters)] {
        for digest in signers.keys() {
            let _ = writeln!(text, "{role} certificate {digest}");
        }
    }
    for (digest, revocation) in &trust.revoked {
        let _ = writeln!(text, "revoked {digest}  {}", revocation.reason);
    }
    for (plugin, minimum) in &trust.minimum_versions {
        let _ = writeln!(text, "minimum {plugin}  {}", minimum.version);
    }
    operator.terminal.result("uuk.cli/central-show/v1", registry.as_ref(), text);
    Ok(())
}

pub(super) fn audit(operator: &Operator<'_>) -> Result<(), Failure> {
    let mut entries = Vec::new();
    let read = operator.runtime.block_on(operator.central.audit(|entry| entries.push(entry)));
    let mut text = String::new();
    for entry in &entries {
        let changed: Vec<_> = entry.edits.iter().map(|edit| format!("{} {}", edit.kind, edit.id)).collect();
        let (number, at, actor, act) = (entry.number, entry.at, &entry.actor, &entry.act);
        let _ = writeln!(text, "{number:>6}  {at:.0}  {actor}  {act}  {}", changed.join(", "));
    }
    operator.terminal.result("uuk.cli/central-audit/v1", &json!({ "entries": entries }), text);
    read.map_err(|error| failure(&error))
}
