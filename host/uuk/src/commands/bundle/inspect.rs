//! `uuk bundle inspect`: what is in a bundle, whoever signed it and whether or not it is sound.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use uuk_asic::{Container, Profile};
use uuk_bundle::{Bundle, BundleDigest, BundleError, BundleSignature, Role};
use uuk_process::harmless;

use super::read_file;
use crate::commands::adapter::capabilities;
use crate::terminal::{Failure, Terminal};

/// Show what is in a bundle: manifest, parts, SQL, signatures
///
/// Trusts nobody and shows as much as can be read, also of a file that is no sound bundle; `uuk bundle verify` judges.
#[derive(Debug, clap::Args)]
pub(crate) struct InspectOptions {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// The result; what could not be read is missing.
#[derive(Serialize)]
struct Inspection {
    file: PathBuf,
    bytes: usize,
    digest: BundleDigest,
    /// `vetted`, `author-signed`, `unsigned` or `invalid`; the first two say nothing about trust.
    status: &'static str,
    problem: Option<Problem>,
    plugin: Option<Plugin>,
    statements: Vec<Statement>,
    upstreams: Vec<Upstream>,
    parts: Vec<Part>,
    signatures: Vec<Signature>,
}

#[derive(Serialize)]
struct Problem {
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Plugin {
    id: String,
    version: String,
    api: String,
    content_digest: BundleDigest,
    services: Vec<String>,
    imports: Vec<String>,
    /// Calls that an instance asks to answer; without it, one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reuse_calls_max: Option<u32>,
}

#[derive(Serialize)]
struct Statement {
    name: String,
    datasource: String,
    mode: String,
    text: String,
}

#[derive(Serialize)]
struct Upstream {
    name: String,
    methods: Vec<String>,
    paths: Vec<String>,
}

#[derive(Serialize)]
struct Part {
    name: String,
    bytes: usize,
    digest: BundleDigest,
}

#[derive(Serialize)]
struct Signature {
    role: Role,
    signer: Option<String>,
    issuer: Option<String>,
    serial: Option<String>,
    claimed_time: Option<String>,
    problem: Option<Problem>,
}

pub(super) fn run(options: &InspectOptions, terminal: &Terminal) -> Result<(), Failure> {
    let limits = Profile::bundle().limits;
    let bytes = read_file(&options.file, limits.container_bytes_max)?;
    let mut inspection = Inspection {
        file: options.file.clone(),
        bytes: bytes.len(),
        digest: BundleDigest::of(&bytes),
        status: "invalid",
        problem: None,
        plugin: None,
        statements: Vec::new(),
        upstreams: Vec::new(),
        parts: Vec::new(),
        signatures: Vec::new(),
    };
    if let Ok(container) = Container::read(&bytes, &Profile::bundle()) {
        inspection.parts = list_parts(&container);
    }
    match Bundle::read(&bytes, &limits) {
        Ok(bundle) => inspection.describe(&bundle),
        Err(error) => inspection.problem = Some(Problem::new(&error)),
    }
    terminal.result("uuk.cli/bundle-inspect/v1", &inspection, inspection.text());
    Ok(())
}

fn list_parts(container: &Container) -> Vec<Part> {
    container
        .entries()
        .iter()
        .map(|entry| Part {
            name: entry.name.to_string(),
            bytes: entry.bytes.len(),
            digest: BundleDigest::of(&entry.bytes),
        })
        .collect()
}

impl Inspection {
    fn describe(&mut self, bundle: &Bundle) {
        let manifest = bundle.manifest();
        self.plugin = Some(Plugin {
            id: manifest.plugin.id.clone(),
            version: manifest.plugin.version.to_string(),
            api: manifest.plugin.api.clone(),
            content_digest: bundle.content_digest(),
            services: manifest.services.iter().map(|service| service.code.clone()).collect(),
            imports: capabilities(bundle.component()),
            reuse_calls_max: manifest.reuse.map(|reuse| reuse.calls_max),
        });
        self.statements = manifest
            .statements
            .iter()
            .map(|(name, statement)| Statement {
                name: name.clone(),
                datasource: statement.datasource.clone(),
                mode: statement.mode.to_string(),
                text: bundle.sql(name).map_or_else(String::new, |text| text.trim_end().to_owned()),
            })
            .collect();
        self.upstreams = manifest
            .upstreams
            .iter()
            .map(|(name, upstream)| Upstream {
                name: name.clone(),
                methods: upstream.methods.clone(),
                paths: upstream.paths.clone(),
            })
            .collect();

        let found = bundle.signatures();
        let holds = |signature: &Option<Result<_, _>>| matches!(signature, Some(Ok(_)));
        self.status = match (&found.author, &found.vetting) {
            (None, None) => "unsigned",
            (author, vetting) if holds(author) && holds(vetting) => "vetted",
            (author, None) if holds(author) => "author-signed",
            _ => "invalid",
        };
        let roles = [(Role::Author, found.author), (Role::Vetting, found.vetting)];
        self.signatures = roles
            .into_iter()
            .filter_map(|(role, signature)| Some(Signature::new(role, &signature?)))
            .collect();
    }

    fn text(&self) -> String {
        let mut text = format!("bundle      {}\n", self.file.display());
        // Writing into a string does not fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "digest      {}  {} bytes", self.digest, self.bytes)?;
        writeln!(text, "status      {}", self.status)?;
        if let Some(problem) = &self.problem {
            writeln!(text, "problem     {}", harmless(&problem.message))?;
        }
        if let Some(plugin) = &self.plugin {
            writeln!(text, "plugin      {} {}  (adapter API {})", plugin.id, plugin.version, plugin.api)?;
            writeln!(text, "content     {}", plugin.content_digest)?;
            writeln!(text, "services    {}", plugin.services.join(", "))?;
            writeln!(text, "imports     {}", harmless(&plugin.imports.join(", ")))?;
            if let Some(calls_max) = plugin.reuse_calls_max {
                writeln!(
                    text,
                    "reuse       an instance asks to answer {calls_max} calls: state can survive a call"
                )?;
            }
        }
        for upstream in &self.upstreams {
            let (methods, paths) = (upstream.methods.join(","), upstream.paths.join(" "));
            writeln!(text, "upstream    {}  {methods} {paths}", upstream.name)?;
        }
        for signature in &self.signatures {
            let signer = signature.signer.as_deref().unwrap_or("unknown");
            match (&signature.problem, &signature.claimed_time) {
                (Some(problem), _) => writeln!(text, "{:<11} ✗ {}", signature.role, problem.message)?,
                (None, time) => {
                    writeln!(text, "{:<11} {signer}, {}", signature.role, time.as_deref().unwrap_or(""))?;
                }
            }
        }
        if !self.parts.is_empty() {
            writeln!(text, "\nparts")?;
        }
        for part in &self.parts {
            writeln!(text, "  {:>9}  {}  {}", part.bytes, part.digest, part.name)?;
        }
        for statement in &self.statements {
            writeln!(text, "\nsql {} ({}, {})", statement.name, statement.datasource, statement.mode)?;
            for line in statement.text.lines() {
                writeln!(text, "  │ {}", harmless(line))?;
            }
        }
        Ok(())
    }
}

impl Problem {
    fn new(error: &BundleError) -> Self {
        Self { code: error.code(), message: uuk_process::ErrorChain(error).to_string() }
    }
}

impl Signature {
    fn new(role: Role, signature: &Result<BundleSignature, BundleError>) -> Self {
        let found = signature.as_ref().ok();
        Self {
            role,
            signer: found.map(|found| found.signer.subject().to_owned()),
            issuer: found.map(|found| found.signer.issuer().to_owned()),
            serial: found.map(|found| found.signer.serial().to_owned()),
            claimed_time: found.map(|found| found.claimed_time.to_string()),
            problem: signature.as_ref().err().map(Problem::new),
        }
    }
}
