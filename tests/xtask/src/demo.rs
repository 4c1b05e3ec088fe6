//! `cargo xtask demo`: an operator and two agencies with their security servers, from a clean clone to requests answered.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::command::{become_command, run as run_command};
use crate::prepare;
use crate::project::Project;

/// Let two agencies exchange with all examples, and print requests to paste; Ctrl-C ends it and leaves nothing behind
#[derive(Debug, clap::Args)]
pub(crate) struct DemoOptions {
    /// Keep the register of people in PostgreSQL instead of SQLite
    #[arg(long)]
    postgres: bool,
    /// Port for requests; the next two above are for metrics and the pages of the operator
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..65534))]
    port: u16,
    /// Write pictures of the pages on the way into this folder
    #[arg(long, value_name = "FOLDER", hide = true)]
    pictures: Option<PathBuf>,
}

pub(crate) fn run(options: &DemoOptions, project: &Project) -> Result<()> {
    // First what only its user can mend.
    for port in options.port..=options.port.saturating_add(2) {
        ensure_free(port)?;
    }
    let mut packages = vec![
        prepare::CHROMIUM,
        prepare::CHROMIUM_DRIVER,
        prepare::CURL,
        prepare::OPENSSL_HEADERS,
        prepare::PKG_CONFIG,
    ];
    if options.postgres {
        packages.push(prepare::POSTGRESQL);
    }
    prepare::packages(&packages)?;
    prepare::toolchain(project)?;
    // Together: one after the other, what they share would be built twice, with other features.
    run_command(&mut project.cargo(&[
        "build",
        "--locked",
        "--workspace",
        "--bin",
        "uuk",
        "--example",
        "demo",
    ]))?;
    let mut demo = project.command(project.target.join("debug/examples/demo"));
    demo.env("CARGO_TARGET_DIR", &project.target).arg(format!("--port={}", options.port));
    if options.postgres {
        demo.arg("--postgres");
    }
    if let Some(folder) = &options.pictures {
        demo.arg("--pictures").arg(std::path::absolute(folder)?);
    }
    Err(become_command(&mut demo))
}

fn ensure_free(port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} is taken, by another demo or something else; end that (`ss -tlnp sport = :{port}` names it), \
             or choose another with --port"
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on port {port}")),
    }
}
