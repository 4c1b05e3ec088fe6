//! In what an adapter is written, and what its tools are given.

use uuk_bundle::{MAPPING, Manifest};

use super::core_module;
use super::project::{Project, write_file};
use crate::terminal::Failure;

/// The contract with the host.
const CONTRACT: &str = include_str!("../../../../../wit/adapter-0.1/adapter.wit");
/// What the tools of a language are given is in this folder of the project: with each build that of this program, so that
/// contract and SDK agree.
const KIT: &str = "target/uuk";
const PYTHON_SDK: &[(&str, &str)] = &[
    ("python/uuk_adapter/__init__.py", include_str!("../../../../../sdk/python/uuk_adapter/__init__.py")),
    ("python/uuk_adapter/http.py", include_str!("../../../../../sdk/python/uuk_adapter/http.py")),
    ("python/uuk_adapter/sql.py", include_str!("../../../../../sdk/python/uuk_adapter/sql.py")),
];

const JAVASCRIPT_SDK: &[(&str, &str)] = &[
    ("javascript/http.js", include_str!("../../../../../sdk/javascript/http.js")),
    ("javascript/index.js", include_str!("../../../../../sdk/javascript/index.js")),
    ("javascript/sql.js", include_str!("../../../../../sdk/javascript/sql.js")),
    ("javascript/utf8.js", include_str!("../../../../../sdk/javascript/utf8.js")),
];

const C_SDK: &[(&str, &str)] = &[
    ("c/uuk.c", include_str!("../../../../../sdk/c/uuk.c")),
    ("c/uuk.h", include_str!("../../../../../sdk/c/uuk.h")),
    ("c/uuk_json.c", include_str!("../../../../../sdk/c/uuk_json.c")),
];
const C_SQL: (&str, &str) = ("c/uuk_sql.c", include_str!("../../../../../sdk/c/uuk_sql.c"));
const C_HTTP: (&str, &str) = ("c/uuk_http.c", include_str!("../../../../../sdk/c/uuk_http.c"));

const GO_SDK: &[(&str, &str)] = &[
    ("go/go.mod", include_str!("../../../../../sdk/go/go.mod")),
    ("go/adapter.go", include_str!("../../../../../sdk/go/adapter.go")),
    ("go/fault.go", include_str!("../../../../../sdk/go/fault.go")),
    ("go/http/http.go", include_str!("../../../../../sdk/go/http/http.go")),
    ("go/internal/abi/abi.go", include_str!("../../../../../sdk/go/internal/abi/abi.go")),
    ("go/sql/sql.go", include_str!("../../../../../sdk/go/sql/sql.go")),
];

/// In what an adapter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    Rust,
    Javascript,
    Python,
    C,
    Go,
    /// No code: what a statement or upstream gives becomes the answer by a table of paths
    Mapping,
}

impl Language {
    /// The language of a project, told by the file that it begins with.
    pub(super) fn of(project: &Project) -> Option<Self> {
        let beginnings = [
            (Self::Mapping, MAPPING),
            (Self::Rust, "Cargo.toml"),
            (Self::Javascript, "adapter.js"),
            (Self::Python, "adapter.py"),
            (Self::C, "adapter.c"),
            (Self::Go, "adapter.go"),
        ];
        let found = beginnings.into_iter().find(|(_, file)| project.path(file).is_file());
        found.map(|(language, _)| language)
    }

    /// Where the generated types are, in the project.
    pub(super) fn generated(self) -> Option<&'static str> {
        match self {
            Self::Rust => Some("src/generated.rs"),
            Self::Javascript => Some("generated.js"),
            Self::Python => Some("generated.py"),
            Self::C => Some("generated.h"),
            Self::Go => Some("generated.go"),
            Self::Mapping => None,
        }
    }

    /// Writes what the language's tools need beside the project's own files.
    pub(super) fn write_kit(self, project: &Project) -> Result<(), Failure> {
        let contract = narrowed(&project.manifest);
        let mut files: Vec<(String, String)> = Vec::new();
        let mut add = |sdk: &[(&str, &str)]| {
            files.extend(sdk.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        };
        match self {
            // Cargo brings the SDK, which has the contract.
            Self::Rust | Self::Mapping => return Ok(()),
            Self::Javascript => add(JAVASCRIPT_SDK),
            Self::Python => add(PYTHON_SDK),
            Self::Go => add(GO_SDK),
            Self::C => {
                add(C_SDK);
                // What the world lacks has no bindings, which these would not compile without.
                let Manifest { statements, upstreams, .. } = &project.manifest;
                if !statements.is_empty() {
                    add(&[C_SQL]);
                }
                if !upstreams.is_empty() {
                    add(&[C_HTTP]);
                }
                let bindings = core_module::c_bindings(&contract)?;
                files.extend(bindings.into_iter().map(|(name, text)| (format!("c/{name}"), text)));
            }
        }
        files.push(("wit/adapter.wit".to_owned(), contract));
        files
            .into_iter()
            .try_for_each(|(path, text)| write_file(&project.path(&format!("{KIT}/{path}")), text))
    }
}

/// The contract with what the manifest asks for and no more: tools that import a whole world then say the truth.
pub(super) fn narrowed(manifest: &Manifest) -> String {
    let is_asked = |line: &&str| match *line {
        "  import sql;" => !manifest.statements.is_empty(),
        "  import http;" => !manifest.upstreams.is_empty(),
        "  import config;" => manifest.config_schema.is_some(),
        "  import sql-adhoc;" => false,
        _ => true,
    };
    CONTRACT.lines().filter(is_asked).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::adapter::project::ProjectOptions;

    #[test]
    fn the_contract_is_narrowed_to_what_the_manifest_asks_for() {
        let folder = format!("{}/../../examples/vehicles", env!("CARGO_MANIFEST_DIR"));
        let project = Project::open(&ProjectOptions::at(folder)).expect("the example is sound");
        let contract = narrowed(&project.manifest);
        let imports: Vec<_> = contract.lines().filter(|line| line.starts_with("  import ")).collect();
        assert_eq!(imports, ["  import log;", "  import call;", "  import blobs;", "  import http;"]);
    }
}
