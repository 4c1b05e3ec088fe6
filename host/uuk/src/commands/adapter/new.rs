//! `uuk adapter new`: a project that builds and whose tests pass, from templates within this program, or one for a database
//! or service that is there.

mod database;
mod openapi;
mod service;
mod wsdl;

use std::path::{Path, PathBuf};

use uuk_bundle::Manifest;
use uuk_contract::Contract;

use super::language::Language;
use super::project::write_file;
use super::typegen;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// The files of every project, with `{{…}}` where the project's name belongs.
const COMMON: &[(&str, &str)] = &[
    ("contracts/{{name}}.yaml", include_str!("new/contract.yaml.template")),
    ("sql/find-item.sql", include_str!("new/find-item.sql.template")),
    ("fixtures/get-found.json", include_str!("new/get-found.json.template")),
    ("fixtures/get-not-found.json", include_str!("new/get-not-found.json.template")),
];
const MANIFEST: &str = include_str!("new/plugin.toml.template");

const RUST_BUILD: &str = include_str!("new/rust/build.toml.template");
const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new/rust/Cargo.toml.template")),
    ("src/lib.rs", include_str!("new/rust/lib.rs.template")),
    ("README.md", include_str!("new/rust/README.md.template")),
    (".cargo/config.toml", include_str!("new/rust/cargo-config.toml.template")),
    (".gitignore", include_str!("new/rust/gitignore.template")),
];

const JAVASCRIPT_BUILD: &str = include_str!("new/javascript/build.toml.template");
const JAVASCRIPT: &[(&str, &str)] = &[
    ("adapter.js", include_str!("new/javascript/adapter.js.template")),
    ("README.md", include_str!("new/javascript/README.md.template")),
    (".gitignore", include_str!("new/javascript/gitignore.template")),
];

const PYTHON_BUILD: &str = include_str!("new/python/build.toml.template");
const PYTHON: &[(&str, &str)] = &[
    ("adapter.py", include_str!("new/python/adapter.py.template")),
    ("README.md", include_str!("new/python/README.md.template")),
    (".gitignore", include_str!("new/python/gitignore.template")),
];

const C_BUILD: &str = include_str!("new/c/build.toml.template");
const C: &[(&str, &str)] = &[
    ("adapter.c", include_str!("new/c/adapter.c.template")),
    ("README.md", include_str!("new/c/README.md.template")),
    (".gitignore", include_str!("new/c/gitignore.template")),
];

const GO_BUILD: &str = include_str!("new/go/build.toml.template");
const GO: &[(&str, &str)] = &[
    ("adapter.go", include_str!("new/go/adapter.go.template")),
    ("go.mod", include_str!("new/go/go.mod.template")),
    ("README.md", include_str!("new/go/README.md.template")),
    (".gitignore", include_str!("new/go/gitignore.template")),
];

const MAPPING: &[(&str, &str)] = &[
    ("map.toml", include_str!("new/mapping/map.toml.template")),
    ("README.md", include_str!("new/mapping/README.md.template")),
    (".gitignore", include_str!("new/mapping/gitignore.template")),
];

/// Start an adapter: a folder with a contract, a statement, code or a mapping, fixtures and passing tests
#[derive(Debug, clap::Args)]
pub(crate) struct NewOptions {
    /// Name of the adapter and of its folder: small letters, digits and hyphens
    name: String,
    /// Language of the adapter
    #[arg(short, long, value_enum, default_value_t = Language::Rust, conflicts_with = "from")]
    lang: Language,
    /// Folder of the SDK, if not the published one [default: the one this folder is in, if it is in uuk's repository]
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    sdk_path: Option<PathBuf>,
    /// Write contract, statements and mapping for what is there already
    #[arg(long, value_enum)]
    from: Option<Origin>,
    /// The service's description, for `--from openapi` and `--from wsdl`
    #[arg(value_name = "FILE", requires = "from", required_if_eq_any([("from", "openapi"), ("from", "wsdl")]))]
    description: Option<PathBuf>,
    #[command(flatten)]
    database: database::DatabaseOptions,
}

/// What a project can begin with.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Origin {
    /// A table: one row by its key, and all by pages
    Database,
    /// A service that an OpenAPI document describes
    Openapi,
    /// A service in SOAP that a WSDL describes
    Wsdl,
}

pub(super) fn run(options: &NewOptions, terminal: &Terminal) -> Result<(), Failure> {
    let name = checked_name(&options.name)?;
    let folder = Path::new(name);
    if folder.exists() {
        let message = format!("there is already something called `{name}` here");
        return Err(Failure::new(ExitCode::Usage, "adapter.folder_exists", message)
            .help("choose another name, or remove what is there"));
    }
    let project = match (options.from, options.lang) {
        (Some(Origin::Database), _) => database::project(name, &options.database, terminal)?,
        (Some(Origin::Openapi), _) => {
            service::project(name, service::OPENAPI, options.description.as_ref(), terminal)?
        }
        (Some(Origin::Wsdl), _) => {
            service::project(name, service::WSDL, options.description.as_ref(), terminal)?
        }
        (None, Language::Rust) => rust_project(name, &sdk_dependency(options.sdk_path.as_deref())?)?,
        (None, Language::Javascript) => {
            with_types(name, Language::Javascript, filled(name, JAVASCRIPT_BUILD, JAVASCRIPT))?
        }
        (None, Language::Python) => with_types(name, Language::Python, filled(name, PYTHON_BUILD, PYTHON))?,
        (None, Language::C) => with_types(name, Language::C, filled(name, C_BUILD, C))?,
        (None, Language::Go) => with_types(name, Language::Go, filled(name, GO_BUILD, GO))?,
        (None, Language::Mapping) => filled(name, "", MAPPING),
    };
    for (path, text) in &project {
        write_file(&folder.join(path), text)?;
        terminal.step("created", format_args!("{name}/{path}"));
    }
    let paths: Vec<_> = project.iter().map(|(path, _)| path).collect();
    let result = serde_json::json!({ "folder": name, "files": paths });
    let has_fixture = project.iter().any(|(path, _)| path.starts_with("fixtures/"));
    let proof = if has_fixture { "test" } else { "check" };
    let next = format!("next: cd {name} && uuk adapter build && uuk adapter {proof}");
    terminal.result("uuk.cli/adapter-new/v1", &result, next);
    Ok(())
}

/// The paths and texts of a new project: those of every project, and those of a language.
fn filled(name: &str, build: &str, language: &[(&str, &str)]) -> Vec<(String, String)> {
    let manifest = [MANIFEST, build].join(if build.is_empty() { "" } else { "\n" });
    let files = [("plugin.toml", manifest.as_str())].into_iter();
    let files = files.chain(COMMON.iter().copied()).chain(language.iter().copied());
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{crate_name}}", &name.replace('-', "_"));
    files.map(|(path, text)| (fill(path), fill(text))).collect()
}

fn rust_project(name: &str, sdk: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut project = filled(name, RUST_BUILD, RUST);
    for (_, text) in &mut project {
        *text = text.replace("{{sdk}}", sdk);
    }
    with_types(name, Language::Rust, project)
}

/// A new project and its generated types.
fn with_types(
    name: &str,
    language: Language,
    mut project: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, Failure> {
    let text = |wanted: &str| {
        let file = project.iter().find(|(path, _)| path == wanted);
        file.map(|(_, text)| text.as_bytes()).unwrap_or_default()
    };
    let broken = |error: &dyn std::fmt::Display| {
        Failure::new(ExitCode::Environment, "adapter.template_broken", "this program's template is broken")
            .note(error)
    };
    let manifest = Manifest::parse(text("plugin.toml")).map_err(|error| broken(&error))?;
    let contract = Contract::from_openapi(text(&format!("contracts/{name}.yaml")));
    let contracts = [contract.map_err(|error| broken(&error))?];
    if let Some(path) = language.generated() {
        project.push((path.to_owned(), typegen::generate(language, &manifest, &contracts)?));
    }
    Ok(project)
}

/// A name that is a crate, a folder and a part of an identifier.
fn checked_name(name: &str) -> Result<&str, Failure> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 40
        && name.bytes().all(is_plain)
        && !name.ends_with('-');
    if is_name {
        return Ok(name);
    }
    let message = format!("`{}` cannot be an adapter's name", name.escape_default());
    Err(Failure::new(ExitCode::Usage, "adapter.name_unusable", message)
        .help("use at most 40 small letters, digits and hyphens, beginning with a letter: people-registry"))
}

/// The dependency on the SDK, as Cargo.toml writes it.
fn sdk_dependency(sdk_path: Option<&Path>) -> Result<String, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::new(ExitCode::Environment, "adapter.sdk_not_found", "cannot find the SDK").note(error)
    };
    let folder = match sdk_path {
        Some(path) => Some(path.canonicalize().map_err(unusable)?),
        None => sdk_of_repository(&std::env::current_dir().map_err(unusable)?),
    };
    Ok(match folder {
        Some(folder) => format!("{{ path = {} }}", toml::Value::from(folder.display().to_string())),
        None => format!("{:?}", env!("CARGO_PKG_VERSION")),
    })
}

/// The SDK of the repository that `folder` is in.
fn sdk_of_repository(folder: &Path) -> Option<PathBuf> {
    let sdk = folder.ancestors().map(|ancestor| ancestor.join("sdk/rust"));
    sdk.into_iter().find(|sdk| sdk.join("wit/adapter.wit").is_file())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::super::project::{Project, ProjectOptions};
    use super::*;

    fn written(files: Vec<(String, String)>) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            write_file(&folder.path().join(path), &text).expect("it can be written");
        }
        let project =
            Project::open(&ProjectOptions::at(folder.path())).expect("manifest and contract are valid");
        let fixtures = Fixture::read_all(&project).expect("its fixtures are valid");
        assert_eq!(fixtures.iter().map(Fixture::name).collect::<Vec<_>>(), ["get-found", "get-not-found"]);
        (folder, project)
    }

    #[test]
    fn a_new_project_is_sound() {
        let files = rust_project("land-register", "\"0.1.0\"").expect("the templates are sound");
        let (_folder, project) = written(files);
        typegen::check(&project).expect("its types are current");
        let artifact = project.artifact().expect("it says where the component is");
        assert!(artifact.ends_with("target/wasm32-wasip2/release/land_register.wasm"));
    }

    #[test]
    fn a_new_project_in_another_language_is_sound() {
        let name = "land-register";
        for (language, files) in [
            (Language::Javascript, filled(name, JAVASCRIPT_BUILD, JAVASCRIPT)),
            (Language::Python, filled(name, PYTHON_BUILD, PYTHON)),
            (Language::C, filled(name, C_BUILD, C)),
            (Language::Go, filled(name, GO_BUILD, GO)),
        ] {
            let files = with_types(name, language, files).expect("the templates are sound");
            let (_folder, project) = written(files);
            assert_eq!(Language::of(&project), Some(language));
            typegen::check(&project).expect("its types are current");
        }
    }

    #[test]
    fn a_new_mapping_is_sound() {
        let (_folder, project) = written(filled("land-register", "", MAPPING));
        assert!(project.artifact().is_ok_and(|artifact| artifact.ends_with("adapter.wasm")));
    }

    #[test]
    fn refuses_names_that_are_no_crates() {
        for name in ["", "-a", "a-", "1a", "People", "a_b", "../a", "a b", "ä", &"a".repeat(41)] {
            assert!(checked_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_sdk_is_a_path_within_the_repository_and_a_version_elsewhere() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(sdk_of_repository(here).is_some_and(|sdk| sdk.join("Cargo.toml").is_file()));
        assert_eq!(sdk_of_repository(Path::new("/")), None);
    }
}
