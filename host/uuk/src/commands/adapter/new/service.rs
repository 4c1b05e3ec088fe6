//! `uuk adapter new --from openapi|wsdl`: a service that is there becomes the upstream of a mapping, which offers the same.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use uuk_contract::ContractError;

use super::{MAPPING, openapi, wsdl};
use crate::commands::adapter::project::read_text;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// What a service's own description tells about it.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// How the contract's file ends.
    pub(super) extension: &'static str,
    pub(super) contract: String,
    /// Where it listens.
    pub(super) address: Option<String>,
    /// Method and path of each request that is sent, the latter as the manifest writes it.
    pub(super) requests: BTreeSet<(String, String)>,
    /// The text of map.toml.
    pub(super) mapping: String,
    /// What the mapping does not have, with the reason.
    pub(super) left_out: Vec<String>,
}

/// How a description is read.
pub(super) type Reader = fn(&[u8]) -> Result<Service, ContractError>;

pub(super) const OPENAPI: Reader = openapi::read;
pub(super) const WSDL: Reader = wsdl::read;

/// The paths and texts of the project.
pub(super) fn project(
    name: &str,
    read: Reader,
    file: Option<&PathBuf>,
    terminal: &Terminal,
) -> Result<Vec<(String, String)>, Failure> {
    let file = file.map(PathBuf::as_path).unwrap_or(Path::new(""));
    let service = read(read_text(file)?.as_bytes()).map_err(|error| {
        let message = format!("`{}` does not describe a usable service: {error}", file.display());
        Failure::new(ExitCode::CheckFailed, error.code(), message).causes(&error)
    })?;
    for left_out in &service.left_out {
        terminal.step("left out", left_out);
    }
    if service.requests.is_empty() {
        let message = format!("nothing that `{}` describes can be mapped", file.display());
        return Err(Failure::new(ExitCode::CheckFailed, "adapter.nothing_mapped", message)
            .help("write an adapter in a language: uuk adapter new --lang …"));
    }
    Ok(service.files(name))
}

impl Service {
    fn files(&self, name: &str) -> Vec<(String, String)> {
        let contract = format!("contracts/{name}.{}", self.extension);
        let own = [
            ("plugin.toml".to_owned(), self.manifest(name, &contract)),
            ("map.toml".to_owned(), self.mapping.clone()),
            (contract, self.contract.clone()),
        ];
        let fill = |(path, text): &(&str, &str)| ((*path).to_owned(), text.replace("{{name}}", name));
        own.into_iter().chain(MAPPING.iter().filter(|(path, _)| *path != "map.toml").map(fill)).collect()
    }

    fn manifest(&self, name: &str, contract: &str) -> String {
        let methods = list(self.requests.iter().map(|(method, _)| method));
        let paths = list(self.requests.iter().map(|(_, path)| path));
        let address = match &self.address {
            Some(address) => format!("; its description says {}", address.escape_debug()),
            None => String::new(),
        };
        format!(
            r#"[plugin]
id = "org.example.{name}"
version = "0.1.0"
api = "0.1"

[[service]]
code = "{name}"
contract = "{contract}"

# Where it is, says the agency that installs this{address}.
[upstream.service]
methods = [{methods}]
paths = [{paths}]
"#
        )
    }
}

/// Each text once, as TOML lists them.
fn list<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let texts: BTreeSet<_> = texts.map(|one| text(one)).collect();
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

/// Lines `name = expression`, the names as wide as the widest.
pub(super) fn lines(fields: &[(String, String)]) -> String {
    let width = fields.iter().map(|(name, _)| key(name).chars().count()).max().unwrap_or_default();
    fields.iter().fold(String::new(), |mut text, (name, expression)| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{:<width$} = {expression}", key(name));
        text
    })
}

/// `{ name = expression, … }`
pub(super) fn table(fields: &[(String, String)]) -> String {
    let fields = fields.iter().map(|(name, expression)| format!("{} = {expression}", key(name)));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

/// A text as TOML writes it.
pub(super) fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The path to a member below `parent`, as JSON Pointer.
pub(super) fn pointer(parent: &str, member: &str) -> String {
    format!("{parent}/{}", member.replace('~', "~0").replace('/', "~1"))
}

fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { text(name) }
}

/// A path of literal segments, as mapping and manifest can write it.
pub(super) fn is_plain_segment(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}
