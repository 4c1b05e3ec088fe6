//! `uuk client generate`: clients in other languages, by generators that are not ours.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use uuk_e2e::{Server, project_root};
use uuk_testkit::fixtures;

fn generate(lang: &str, contract: &Path, out: &Path, path: Option<&Path>) -> Result<Output> {
    let mut command = Command::new(Server::program()?);
    command.args(["client", "generate", "--lang", lang, "--contract"]).arg(contract).arg("--out").arg(out);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    Ok(command.output()?)
}

#[test]
fn a_missing_generator_is_named_with_the_command_that_installs_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contract = project_root().join("examples/people/contracts/person.yaml");
    for (lang, install) in [
        ("typescript", "npm install --global @hey-api/openapi-ts@0.84.4"),
        ("python", "pip install openapi-python-client"),
        ("java", "pip install openapi-generator-cli"),
        ("csharp", "pip install openapi-generator-cli"),
    ] {
        let told = generate(lang, &contract, &folder.path().join("out"), Some(folder.path()))?;
        let said = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(3), "{said}");
        ensure!(said.contains("error[generator.missing]") && said.contains(install), "{said}");
    }
    Ok(())
}

#[test]
fn nothing_that_is_there_is_written_over() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contract = project_root().join("examples/people/contracts/person.yaml");
    let told = generate("python", &contract, folder.path(), None)?;
    assert_eq!(told.status.code(), Some(2));
    ensure!(String::from_utf8_lossy(&told.stderr).contains("error[generator.folder_exists]"));
    Ok(())
}

/// What a generator makes of one operation, by its file.
#[test]
fn generators_that_are_installed_take_openapi_and_wsdl() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wsdl = folder.path().join("vehicles.wsdl");
    fs::write(&wsdl, include_str!("vehicles.wsdl"))?;
    let openapi = project_root().join("examples/people/contracts/person.yaml");
    let languages = [
        ("typescript", "openapi-ts"),
        ("python", "openapi-python-client"),
        ("java", "openapi-generator-cli"),
        ("csharp", "openapi-generator-cli"),
    ];
    for (lang, program) in languages {
        if !Command::new(program).arg("--help").output().is_ok_and(|ran| ran.status.success()) {
            fixtures::skip(&format!("{program} is not installed; `uuk client generate` names the command"));
            continue;
        }
        for (contract, operation) in [(&openapi, "search"), (&wsdl, "checkvehicle")] {
            let out = folder.path().join(format!("{lang}-{operation}"));
            let told = generate(lang, contract, &out, None)?;
            ensure!(told.status.success(), "{lang}: {}", String::from_utf8_lossy(&told.stderr));
            let found = Command::new("grep")
                .args(["--ignore-case", "-rl"])
                .arg(operation.replace("check", "check.\\?"))
                .arg(&out)
                .output()?;
            ensure!(found.status.success(), "{lang} has no {operation}");
        }
    }
    Ok(())
}
