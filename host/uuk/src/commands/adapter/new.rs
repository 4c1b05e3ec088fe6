//! `uuk adapter new`: a project that builds and whose tests pass, from templates within this program.

use std::path::{Path, PathBuf};

use uuk_bundle::Manifest;
use uuk_contract::Contract;

use super::project::write_file;
use super::typegen::{self, GENERATED};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// The files of a project in Rust, with `{{…}}` where the project's name and the SDK belong.
const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new/rust/Cargo.toml.template")),
    ("plugin.toml", include_str!("new/rust/plugin.toml.template")),
    ("contracts/{{name}}.yaml", include_str!("new/rust/contract.yaml.template")),
    ("sql/find-item.sql", include_str!("new/rust/find-item.sql.template")),
    ("src/lib.rs", include_str!("new/rust/lib.rs.template")),
    ("fixtures/get-found.json", include_str!("new/rust/get-found.json.template")),
    ("fixtures/get-not-found.json", include_str!("new/rust/get-not-found.json.template")),
    ("README.md", include_str!("new/rust/README.md.template")),
    (".cargo/config.toml", include_str!("new/rust/cargo-config.toml.template")),
    (".gitignore", include_str!("new/rust/gitignore.template")),
];

/// Start an adapter: a folder with a contract, a statement, code, fixtures and passing tests
#[derive(Debug, clap::Args)]
pub(crate) struct NewOptions {
    /// Name of the adapter and of its folder: small letters, digits and hyphens
    name: String,
    /// Language of the adapter
    #[arg(short, long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// Folder of the SDK, if not the published one [default: the one this folder is in, if it is in uuk's repository]
    #[arg(long, value_name = "DIR")]
    sdk_path: Option<PathBuf>,
}

/// A language with an SDK.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Language {
    Rust,
}

pub(super) fn run(options: &NewOptions, terminal: &Terminal) -> Result<(), Failure> {
    let name = checked_name(&options.name)?;
    let folder = Path::new(name);
    if folder.exists() {
        let message = format!("there is already something called `{name}` here");
        return Err(Failure::new(ExitCode::Usage, "adapter.folder_exists", message)
            .help("choose another name, or remove what is there"));
    }
    let project = match options.lang {
        Language::Rust => rust_project(name, &sdk_dependency(options.sdk_path.as_deref())?)?,
    };
    for (path, text) in &project {
        write_file(&folder.join(path), text)?;
        terminal.step("created", format_args!("{name}/{path}"));
    }
    let paths: Vec<_> = project.iter().map(|(path, _)| path).collect();
    let result = serde_json::json!({ "folder": name, "files": paths });
    let next = format!("next: cd {name} && uuk adapter build && uuk adapter test");
    terminal.result("uuk.cli/adapter-new/v1", &result, next);
    Ok(())
}

/// The paths and texts of a new project, generated types included.
fn rust_project(name: &str, sdk: &str) -> Result<Vec<(String, String)>, Failure> {
    let fill = |template: &str| {
        template
            .replace("{{name}}", name)
            .replace("{{crate_name}}", &name.replace('-', "_"))
            .replace("{{sdk}}", sdk)
    };
    let mut project: Vec<_> = RUST.iter().map(|(path, text)| (fill(path), fill(text))).collect();
    let text = |wanted: &str| {
        let file = project.iter().find(|(path, _)| *path == fill(wanted));
        file.map(|(_, text)| text.as_bytes()).unwrap_or_default()
    };
    let broken = |error: &dyn std::fmt::Display| {
        Failure::new(ExitCode::Environment, "adapter.template_broken", "this program's template is broken")
            .note(error)
    };
    let manifest = Manifest::parse(text("plugin.toml")).map_err(|error| broken(&error))?;
    let contract = Contract::from_openapi(text("contracts/{{name}}.yaml")).map_err(|error| broken(&error))?;
    let generated = typegen::generate(&manifest, &[contract])?;
    project.push((GENERATED.to_owned(), generated));
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

    #[test]
    fn a_new_project_is_sound() {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in rust_project("land-register", "\"0.1.0\"").expect("the templates are sound") {
            write_file(&folder.path().join(path), &text).expect("it can be written");
        }
        let project =
            Project::open(&ProjectOptions::at(folder.path())).expect("manifest and contract are valid");
        typegen::check(&project).expect("its types are current");
        let fixtures = Fixture::read_all(&project).expect("its fixtures are valid");
        assert_eq!(fixtures.iter().map(Fixture::name).collect::<Vec<_>>(), ["get-found", "get-not-found"]);
        let artifact = project.artifact().expect("it says where the component is");
        assert!(artifact.ends_with("target/wasm32-wasip2/release/land_register.wasm"));
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
