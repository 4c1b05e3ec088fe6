//! The component that a build leaves, and whether a server would load it.

use std::path::PathBuf;

use uuk_plugin_host::{API_VERSION, ComponentError, check_bytes, check_import};
use wasmparser::{Parser, Payload};

use super::project::{Project, unreadable};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// A component read from its file.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// What a component that was checked is made of.
#[derive(Debug, serde::Serialize)]
pub(super) struct Findings {
    pub(super) path: PathBuf,
    pub(super) size_bytes: usize,
    /// The interfaces of the contract that it calls.
    pub(super) capabilities: Vec<String>,
}

impl Component {
    /// The component that a build leaves.
    pub(super) fn read(project: &Project) -> Result<Self, Failure> {
        let path = project.artifact()?;
        if !path.is_file() {
            let message = format!("the component `{}` is not there", path.display());
            return Err(Failure::new(ExitCode::Environment, "adapter.not_built", message)
                .help("run `uuk adapter build`"));
        }
        let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, error))?;
        Ok(Self { path, bytes })
    }

    /// Checks what a server checks before it compiles: form, world, and that every import is asked for.
    pub(super) fn check(&self, project: &Project) -> Result<Findings, Failure> {
        let refused = |error: ComponentError| {
            let message = format!("a server would not load `{}`: {error}", self.path.display());
            Failure::new(ExitCode::CheckFailed, error.code(), message)
        };
        check_bytes(&self.bytes).map_err(refused)?;
        let interface = interface(&self.bytes);
        if let Some(mismatch) = mismatch(&project.manifest.plugin.api, &interface) {
            let help = format!(
                "build with an SDK of {API_VERSION} and write `api = \"{API_VERSION}\"`, or install the `uuk` of that contract"
            );
            return Err(Failure::new(ExitCode::CheckFailed, "adapter.api_version", mismatch).help(help));
        }
        let Interface { imports, exports } = interface;
        for import in &imports {
            check_import(import, &project.manifest, project.is_mapped()).map_err(refused)?;
        }
        let doors = ["uuk:adapter/handler@", "wasi:http/incoming-handler@"];
        if !exports.iter().any(|export| doors.iter().any(|door| export.starts_with(door))) {
            return Err(refused(ComponentError::NoHandler)
                .help("end the adapter with `uuk_adapter::adapter!(…)`, naming its operations"));
        }
        let capabilities = imports.iter().filter_map(|import| capability(import)).collect();
        Ok(Findings { path: self.path.clone(), size_bytes: self.bytes.len(), capabilities })
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kibibytes = self.size_bytes.div_ceil(1024);
        write!(
            formatter,
            "{} · {kibibytes} KiB · imports {}",
            self.path.display(),
            self.capabilities.join(", ")
        )
    }
}

/// Both versions in one sentence, if plugin.toml or the component are of another contract than this program's.
fn mismatch(asked: &str, interface: &Interface) -> Option<String> {
    let ours = format!("this program speaks adapter contract {API_VERSION}");
    if asked != API_VERSION {
        return Some(format!("plugin.toml asks for adapter contract {asked}, and {ours}"));
    }
    let imports = interface.imports.iter().map(|name| ("imports", name));
    let exports = interface.exports.iter().map(|name| ("exports", name));
    imports.chain(exports).find_map(|(does, name)| {
        let (_, version) = name.strip_prefix("uuk:adapter/")?.split_once('@')?;
        let rest = version.strip_prefix(API_VERSION);
        let is_ours = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        (!is_ours).then(|| format!("the component {does} `{name}`, and {ours}"))
    })
}

/// What a component may call on, by its imports: `sql`, `http`. The bytes need not have been found valid.
pub(in crate::commands) fn capabilities(bytes: &[u8]) -> Vec<String> {
    interface(bytes).imports.iter().filter_map(|import| capability(import)).collect()
}

/// The name of an import that reaches beyond the call itself. Other interfaces of WASI answer with nothing.
fn capability(import: &str) -> Option<String> {
    let name = import.split('@').next()?;
    match name.strip_prefix("uuk:adapter/") {
        Some("types" | "exchange") => None,
        Some(name) => Some(name.to_owned()),
        None => name.starts_with("wasi:http/").then(|| name.to_owned()),
    }
}

struct Interface {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// The imports and exports of the outermost component of `bytes`.
fn interface(bytes: &[u8]) -> Interface {
    let mut interface = Interface { imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                interface
                    .imports
                    .extend(section.into_iter().flatten().map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                interface
                    .exports
                    .extend(section.into_iter().flatten().map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    interface
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: &str, component: &str, sentence: Option<&str>) {
        let bytes = wat::parse_str(format!("(component {component})")).expect("a component");
        assert_eq!(mismatch(asked, &interface(&bytes)).as_deref(), sentence);
    }

    #[test]
    fn a_mismatch_of_versions_is_one_sentence_with_both() {
        check(API_VERSION, r#"(import "uuk:adapter/sql@0.1.7" (instance))"#, None);
        check(API_VERSION, r#"(import "wasi:io/streams@0.2.6" (instance))"#, None);
        check(
            API_VERSION,
            r#"(import "uuk:adapter/sql@0.10.0" (instance))"#,
            Some(
                "the component imports `uuk:adapter/sql@0.10.0`, and this program speaks adapter contract 0.1",
            ),
        );
        check(
            "1.4",
            "",
            Some("plugin.toml asks for adapter contract 1.4, and this program speaks adapter contract 0.1"),
        );
    }
}
