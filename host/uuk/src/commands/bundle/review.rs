//! `uuk bundle review`: what the reviewers have to look at, and what is as it was when they last approved it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use uuk_asic::Profile;
use uuk_bundle::{Bundle, BundleDigest, BundleSignature, COMPONENT, MANIFEST, MAPPING, Statement, ValueType};
use uuk_central::vetting::{Change, Component, Difference, Report, Vulnerability};
use uuk_process::harmless;

use super::advisories::look_up;
use super::{read_file, refusal, trust, write_file};
use crate::commands::adapter::{capabilities, examine};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Say what of a bundle the reviewers have to look at
///
/// Compares imports, SQL, upstreams, databases, limits, contracts and a mapping with the version that was approved last;
/// without one, all of it is new. Ends with 1 if anything must be looked at, what the adapter did wrong in a trial included.
#[derive(Debug, clap::Args)]
pub(crate) struct ReviewOptions {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The version that was approved last
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Trust file: whose signatures count as author's
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Also call the adapter with its fixtures, and with odd requests made of them
    #[arg(long)]
    trial: bool,
    /// Folder with advisories in OSV's format: what of the bill of materials is known to be vulnerable must be looked at, too
    #[arg(long, value_name = "FOLDER")]
    advisories: Option<PathBuf>,
    /// Write all that was found into this file, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

const BILL_OF_MATERIALS: &str = "sbom.json";
/// Components of a bill of materials that are told.
const COMPONENTS_MAX: usize = 20_000;

pub(super) fn run(options: &ReviewOptions, terminal: &Terminal) -> Result<(), Failure> {
    let bundle = read(&options.file)?;
    let author = verify_author(options, &bundle)?;
    let approved = options.against.as_deref().map(read).transpose()?;
    let plugin = &bundle.manifest().plugin;
    if let Some(approved) = &approved
        && approved.manifest().plugin.id != plugin.id
    {
        let message = format!("`{}` is no version of {}", approved.manifest().plugin.id, plugin.id);
        return Err(Failure::new(ExitCode::Usage, "bundle.review_other_plugin", message));
    }
    let components = components(&bundle);
    let advisories = options.advisories.as_deref().map(|folder| look_up(folder, &components)).transpose();
    let advisories = advisories.map_err(|error| {
        Failure::new(ExitCode::Environment, "bundle.advisories_unreadable", &error).causes(&error)
    })?;
    let report = Report {
        plugin: plugin.id.clone(),
        version: plugin.version.clone(),
        digest: bundle.digest(),
        author: author.signer.subject().to_owned(),
        differences: differences(&aspects(&bundle), &approved.as_ref().map(aspects).unwrap_or_default()),
        against: approved.map(|approved| approved.manifest().plugin.version.clone()),
        unexamined: None,
        trial: options.trial.then(|| examine(&bundle)),
        components,
        advisories,
    };
    if let Some(path) = &options.report {
        let json = serde_json::to_vec(&report).map_err(|error| {
            Failure::new(ExitCode::Remote, "bundle.file_unwritable", "cannot write the report").note(error)
        })?;
        write_file(path, &json)?;
    }
    verdict(&report, terminal)
}

/// Whether people have to look.
fn verdict(report: &Report, terminal: &Terminal) -> Result<(), Failure> {
    let wrong = report.trial.iter().filter(|trial| !trial.passed()).flat_map(|trial| {
        let fixtures = trial.fixtures.iter().flat_map(|fixture| &fixture.problems);
        trial.problem.iter().chain(fixtures).chain(&trial.wrong_answers)
    });
    let vulnerable = report.advisories.iter().flat_map(|advisories| &advisories.found).map(vulnerability);
    let differences = report.differences.iter().map(line);
    let lines: Vec<_> = differences.chain(vulnerable).chain(wrong.map(|wrong| harmless(wrong))).collect();
    if lines.is_empty() {
        terminal.result("uuk.cli/bundle-review/v1", report, "nothing to look at: as it was approved");
        return Ok(());
    }
    let message = format!("{} {}: {} to look at", report.plugin, report.version, lines.len());
    let failure = Failure::new(ExitCode::CheckFailed, "bundle.review_needed", message).help(
        "`uuk bundle inspect` shows the whole; two people approve, then `uuk bundle sign --role vetting`",
    );
    Err(lines.into_iter().fold(failure, Failure::note))
}

fn read(path: &Path) -> Result<Bundle, Failure> {
    let limits = Profile::bundle().limits;
    let bytes = read_file(path, limits.container_bytes_max)?;
    Bundle::read(&bytes, &limits).map_err(|error| refusal(path, &error))
}

/// The author's signature, which holds, and is trusted if there is a list of whom to trust.
fn verify_author(options: &ReviewOptions, bundle: &Bundle) -> Result<BundleSignature, Failure> {
    let refused = |error| refusal(&options.file, &error);
    match &options.trust {
        Some(path) => {
            let anchors = trust::read(path)?.author_anchors;
            let now = uuk_process::Clock::system().now();
            let authored = uuk_bundle::AuthoredBundle::verify(bundle.clone(), &anchors, now);
            Ok(authored.map_err(refused)?.author().clone())
        }
        None => {
            let missing = uuk_bundle::BundleError::AuthorSignatureMissing;
            bundle.signatures().author.unwrap_or(Err(missing)).map_err(refused)
        }
    }
}

/// What the bundle says that it is made of, in CycloneDX, with what that is made of.
fn components(bundle: &Bundle) -> Vec<Component> {
    #[derive(Deserialize)]
    struct Bill {
        #[serde(default)]
        components: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(flatten)]
        itself: Component,
        #[serde(default)]
        components: Vec<Entry>,
    }
    let bill = bundle.part(BILL_OF_MATERIALS).and_then(|bytes| serde_json::from_slice::<Bill>(bytes).ok());
    let mut entries = bill.map(|bill| bill.components).unwrap_or_default();
    let mut components = Vec::new();
    while let Some(Entry { itself, components: parts }) = entries.pop() {
        entries.extend(parts);
        components.push(itself);
    }
    components.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    components.truncate(COMPONENTS_MAX);
    components
}

type Aspects = BTreeMap<(&'static str, String), String>;

/// Everything that gives a plugin power, or decides what it answers, as text to compare.
fn aspects(bundle: &Bundle) -> Aspects {
    let manifest = bundle.manifest();
    let mut aspects = Aspects::new();
    let mut add = |what, name: &str, detail: String| {
        aspects.insert((what, name.to_owned()), detail);
    };
    for import in capabilities(bundle.component()) {
        add("import", &import, String::new());
    }
    for (name, statement) in &manifest.statements {
        let text = bundle.sql(name).map_or("", |text| text.trim_end());
        add("sql", name, format!("{}:\n{text}", declared(statement)));
    }
    for (name, upstream) in &manifest.upstreams {
        let (methods, paths) = (upstream.methods.join(","), upstream.paths.join(" "));
        add("upstream", name, format!("{methods} {paths}, {} bytes", upstream.response_bytes_max));
    }
    for (name, datasource) in &manifest.datasources {
        let engines: BTreeSet<_> = datasource.engine.iter().map(ToString::to_string).collect();
        let engines = engines.into_iter().collect::<Vec<_>>().join(",");
        add("database", name, format!("{} on {engines}", datasource.access));
    }
    for service in &manifest.services {
        let contract = bundle.part(&service.contract).unwrap_or_default();
        add("contract", &service.code, BundleDigest::of(contract).to_string());
    }
    let limits = &manifest.limits;
    for (name, limit) in [
        ("memory", format!("{} KiB", limits.memory_bytes_max >> 10)),
        ("guest_time", format!("{:?}", limits.guest_time_max)),
        ("wall", format!("{:?}", limits.wall_time_max)),
        ("response", format!("{} KiB", limits.response_bytes_max >> 10)),
        ("host_calls", limits.host_calls_max.to_string()),
        ("concurrency", limits.concurrency_max.to_string()),
    ] {
        add("limit", name, limit);
    }
    if let Some(reuse) = manifest.reuse {
        add("reuse", "instances", format!("{} calls, idle {:?}", reuse.calls_max, reuse.idle_time_max));
    }
    if let Some(Ok(signature)) = bundle.signatures().author {
        add("author", "signature", signature.signer.subject().to_owned());
    }
    add("component", COMPONENT, BundleDigest::of(bundle.component()).to_string());
    // Contracts and statements are above.
    let shown: BTreeSet<_> = manifest.files().collect();
    for part in bundle.authored_parts() {
        let digest = || BundleDigest::of(part.bytes).to_string();
        match part.name.as_str() {
            MANIFEST | COMPONENT | BILL_OF_MATERIALS => {}
            MAPPING => add("mapping", MAPPING, String::from_utf8_lossy(part.bytes).trim_end().to_owned()),
            name if manifest.config_schema.as_deref() == Some(name) => add("configuration", name, digest()),
            name if name.starts_with("fixtures/") || shown.contains(name) => {}
            // Whatever a bundle may hold one day, it is not passed over.
            name => add("part", name, digest()),
        }
    }
    aspects
}

/// All that the manifest says of a statement.
fn declared(statement: &Statement) -> String {
    let Statement { datasource, mode, params, row, rows_max, bytes_max, timeout, .. } = statement;
    let (params, row) = (typed(params), typed(row));
    format!(
        "{datasource} ({mode}), params ({params}), row ({row}), {rows_max} rows, {bytes_max} bytes, {timeout:?}"
    )
}

fn typed(names: &[(String, ValueType)]) -> String {
    let one = |(name, kind): &(String, ValueType)| {
        format!("{name} {}{}", kind.scalar, if kind.nullable { "?" } else { "" })
    };
    names.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn differences(now: &Aspects, before: &Aspects) -> Vec<Difference> {
    let of = |(what, name): &(&'static str, String), change, detail: &str| Difference {
        what: (*what).to_owned(),
        name: name.clone(),
        change,
        detail: detail.to_owned(),
    };
    let here = now.iter().filter_map(|(key, detail)| match before.get(key) {
        None => Some(of(key, Change::New, detail)),
        Some(old) if old != detail => Some(of(key, Change::Changed, detail)),
        Some(_) => None,
    });
    let gone = before.iter().filter(|(key, _)| !now.contains_key(key));
    here.chain(gone.map(|(key, detail)| of(key, Change::Gone, detail))).collect()
}

fn line(difference: &Difference) -> String {
    let Difference { what, name, change, detail } = difference;
    let detail: String = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{change} {what} `{}`  {}", harmless(name), harmless(&detail)).trim_end().to_owned()
}

fn vulnerability(found: &Vulnerability) -> String {
    let Vulnerability { component, version, advisory, summary, fixed_in } = found;
    let mended = fixed_in.as_ref().map(|fixed| format!("; mended in {fixed}")).unwrap_or_default();
    harmless(&format!("vulnerable component `{component}` {version}  {advisory}: {summary}{mended}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aspects(entries: &[(&'static str, &str, &str)]) -> Aspects {
        let entry = |(what, name, detail): &(&'static str, &str, &str)| {
            ((*what, (*name).to_owned()), (*detail).to_owned())
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn names_what_is_new_changed_and_gone() {
        let before =
            aspects(&[("sql", "find", "SELECT 1"), ("import", "log", ""), ("upstream", "api", "GET /")]);
        let now = aspects(&[("sql", "find", "SELECT *"), ("import", "log", ""), ("import", "http", "")]);
        let lines: Vec<_> = differences(&now, &before).iter().map(line).collect();
        assert_eq!(
            lines,
            ["new import `http`", "changed sql `find`  SELECT *", "gone upstream `api`  GET /"]
        );
        assert_eq!(differences(&now, &now), []);
    }

    #[test]
    fn without_an_approved_version_everything_is_new() {
        let now = aspects(&[("sql", "find", "SELECT 1")]);
        assert!(matches!(&*differences(&now, &Aspects::new()), [one] if one.change == Change::New));
    }
}
