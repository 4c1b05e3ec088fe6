//! `uuk client …`: what those need who write programs that call services.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use uuk_contract::{Contract, Operation};

use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Of what a generator said that failed, this much is shown.
const LINES_SHOWN: usize = 20;

/// Write programs that call services
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ClientCommand {
    Generate(GenerateOptions),
}

/// Generate a client of a service from its contract, OpenAPI or WSDL
///
/// A contract given as WSDL becomes OpenAPI first: the client posts JSON, and its base address is that of the security server
/// with /json/SERVICE/VERSION. That of others has /r1/SERVICE. Security servers give contracts out at /json/SERVICE.
#[derive(Debug, clap::Args)]
pub(crate) struct GenerateOptions {
    /// What the client is written in
    #[arg(short, long)]
    lang: Language,
    /// File with the contract
    #[arg(long, value_name = "FILE")]
    contract: PathBuf,
    /// Folder to write the client into; it must not be there yet
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Language {
    Typescript,
    Python,
    Java,
    Csharp,
}

/// A program that generates clients, which is not ours.
struct Generator {
    program: &'static str,
    /// Before the two paths.
    arguments: &'static [&'static str],
    /// What come before contract and folder.
    paths: [&'static str; 2],
    /// The command that installs it.
    install: &'static str,
}

impl Language {
    fn generator(self) -> Generator {
        let openapi_generator = |arguments| Generator {
            program: "openapi-generator-cli",
            arguments,
            paths: ["--input-spec", "--output"],
            install: "pip install openapi-generator-cli (it needs Java: apt-get install default-jre-headless)",
        };
        match self {
            Self::Typescript => Generator {
                program: "openapi-ts",
                arguments: &["--client", "@hey-api/client-fetch"],
                paths: ["--input", "--output"],
                install: "npm install --global @hey-api/openapi-ts@0.84.4 typescript@5",
            },
            Self::Python => Generator {
                program: "openapi-python-client",
                arguments: &["generate"],
                paths: ["--path", "--output-path"],
                install: "pip install openapi-python-client",
            },
            Self::Java => openapi_generator(&["generate", "--generator-name", "java", "--library", "native"]),
            Self::Csharp => {
                openapi_generator(&["generate", "--generator-name", "csharp", "--library", "httpclient"])
            }
        }
    }
}

pub(crate) fn run(command: &ClientCommand, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        ClientCommand::Generate(options) => generate(options, terminal),
    }
}

fn generate(options: &GenerateOptions, terminal: &Terminal) -> Result<(), Failure> {
    let GenerateOptions { lang, contract: path, out } = options;
    if out.exists() {
        let message = format!("`{}` is there already", out.display());
        return Err(Failure::new(ExitCode::Usage, "generator.folder_exists", message)
            .help("name another folder with --out, or remove it"));
    }
    let contract = read(path)?;
    let (media_type, document) = contract.openapi();
    let extension = if media_type.ends_with("json") { "json" } else { "yaml" };
    let folder = tempfile::tempdir().map_err(|error| unwritable(&error))?;
    let openapi = folder.path().join(format!("contract.{extension}"));
    std::fs::write(&openapi, document).map_err(|error| unwritable(&error))?;

    let generator = lang.generator();
    terminal.step("generate", generator.program);
    generator.run(&openapi, out)?;
    let operations: Vec<_> = contract.operations().iter().map(Operation::id).collect();
    let text = format!("{}: {}", out.display(), operations.join(", "));
    terminal.result("uuk.cli/client-generate/v1", &json!({ "folder": out, "operations": operations }), text);
    Ok(())
}

fn read(path: &Path) -> Result<Contract, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        let message = format!("cannot read `{}`", path.display());
        Failure::new(ExitCode::Environment, "generator.contract_unreadable", message).note(error)
    })?;
    Contract::read(&bytes).map_err(|error| {
        let message = format!("`{}` is not a usable contract: {error}", path.display());
        Failure::new(ExitCode::CheckFailed, error.code(), message).causes(&error)
    })
}

impl Generator {
    fn run(&self, openapi: &Path, out: &Path) -> Result<(), Failure> {
        let [input, output] = self.paths;
        let paths = [OsString::from(input), openapi.into(), output.into(), out.into()];
        let ran = match Command::new(self.program).args(self.arguments).args(paths).output() {
            Ok(ran) => ran,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = format!("the generator `{}` is not installed", self.program);
                return Err(Failure::new(ExitCode::Environment, "generator.missing", message)
                    .help(format_args!("install it: {}", self.install)));
            }
            Err(error) => return Err(self.failed(&error.to_string(), "")),
        };
        if ran.status.success() {
            return Ok(());
        }
        let said = [ran.stdout, ran.stderr].concat();
        Err(self.failed(&ran.status.to_string(), &String::from_utf8_lossy(&said)))
    }

    fn failed(&self, how: &str, said: &str) -> Failure {
        let message = format!("the generator `{}` failed: {how}", self.program);
        let failure = Failure::new(ExitCode::CheckFailed, "generator.failed", message);
        let lines: Vec<_> = said.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN));
        last.fold(failure, Failure::note).help(format_args!("or install another version: {}", self.install))
    }
}

fn unwritable(error: &std::io::Error) -> Failure {
    let message = "cannot write the contract for the generator";
    Failure::new(ExitCode::Environment, "generator.contract_unwritable", message).note(error)
}
