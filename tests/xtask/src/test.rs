//! `cargo xtask test`: every check and test, the quick ones first.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::command::{capture, run as run_command};
use crate::prepare::{self, CARGO_DENY};
use crate::project::Project;
use crate::{fuzz, layers, plugins};

/// Run every check and test, after installing what they need
#[derive(Debug, clap::Args)]
pub(crate) struct TestOptions {
    /// Run only this step
    #[arg(long, value_name = "STEP")]
    only: Option<String>,
    /// Name the steps and run none
    #[arg(long, conflicts_with = "only")]
    list: bool,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Project) -> Result<()>,
}

/// What the program is built without unless asked.
const WITH_ODBC: [&str; 5] = ["--package", "uuk-plugin-host", "--features", "odbc", "--locked"];

const STEPS: [Step; 11] = [
    Step { name: "prepare", what: "what is missing on this machine is installed", run: prepare::for_tests },
    Step { name: "format", what: "the code is formatted", run: format },
    Step { name: "layers", what: "crates stand on each other as the layer table says", run: layers::check },
    Step { name: "clippy", what: "nothing to warn about", run: clippy },
    Step { name: "rustdoc", what: "the documentation has no broken links", run: rustdoc },
    Step { name: "plugins", what: "examples and test components are built", run: plugins::run },
    Step { name: "tests", what: "unit, integration, end-to-end and documentation tests", run: tests },
    Step { name: "examples", what: "generated files are current, fixtures are answered", run: examples },
    Step { name: "pages", what: "what the page of each language has people type works", run: pages },
    Step { name: "deny", what: "licences, sources and homes of dependencies", run: deny },
    Step { name: "fuzz", what: "ten seconds of each fuzz target", run: fuzz::run },
];

pub(crate) fn run(options: &TestOptions, project: &Project) -> Result<()> {
    if options.list {
        for step in &STEPS {
            println!("{:<9} {}", step.name, step.what);
        }
        return Ok(());
    }
    let wanted = |step: &&Step| options.only.as_ref().is_none_or(|only| only == step.name);
    let steps: Vec<&Step> = STEPS.iter().filter(wanted).collect();
    ensure!(!steps.is_empty(), "there is no such step; `cargo xtask test --list` names them");

    let mut times = Vec::new();
    for step in steps {
        times.push((step.name, step.take(project)?));
    }
    let total = times.iter().map(|(_, time)| *time).sum();
    println!();
    for (name, time) in times.into_iter().chain([("total", total)]) {
        println!("{name:<9} {}", Minutes(time));
    }
    Ok(())
}

impl Step {
    /// Runs the step between two lines that tell where it begins and ends, and gives the time it took.
    fn take(&self, project: &Project) -> Result<Duration> {
        println!("\n=== {}: {}", self.name, self.what);
        let started = Instant::now();
        let before = tree(project)?;
        (self.run)(project)
            .with_context(|| format!("{} failed after {}", self.name, Minutes(started.elapsed())))?;
        if tree(project)? != before {
            bail!("{} changed files that git knows of; see `git status`", self.name);
        }
        println!("=== {}: passed in {}", self.name, Minutes(started.elapsed()));
        Ok(started.elapsed())
    }
}

/// All that differs from the last commit.
fn tree(project: &Project) -> Result<String> {
    let status = capture(project.command("git").args(["status", "--porcelain"]))?;
    Ok(status + &capture(project.command("git").args(["diff", "HEAD"]))?)
}

fn format(project: &Project) -> Result<()> {
    run_command(&mut project.cargo(&["fmt", "--all", "--check"]))
}

fn clippy(project: &Project) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
    run_command(&mut project.cargo(&arguments))?;
    run_command(
        project.cargo(&["clippy", "--all-targets"]).args(WITH_ODBC).args(["--", "--deny", "warnings"]),
    )
}

fn rustdoc(project: &Project) -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"];
    run_command(project.cargo(&arguments).env("RUSTDOCFLAGS", "--deny warnings"))
}

fn tests(project: &Project) -> Result<()> {
    let path = prepare::client_generators(project)?;
    run_command(project.cargo(&["test", "--workspace", "--locked"]).env("PATH", path))?;
    run_command(project.cargo(&["test", "--test", "sql"]).args(WITH_ODBC).arg("odbc"))
}

/// As an integrator would, with the program.
fn examples(project: &Project) -> Result<()> {
    program(project)?;
    plugins::build_others(project, "debug")?;
    for folder in plugins::examples(project)? {
        println!("{}", project.shown(&folder));
        for command in ["check", "test"] {
            let mut uuk = project.command(project.target.join("debug/uuk"));
            run_command(uuk.args(["adapter", command, "--project"]).arg(&folder))?;
        }
    }
    Ok(())
}

fn pages(project: &Project) -> Result<()> {
    program(project)?;
    crate::pages::follow(project)
}

fn program(project: &Project) -> Result<()> {
    // By itself, it would have its dependencies with fewer features than the tests have, built once more.
    run_command(&mut project.cargo(&["build", "--workspace", "--bin", "uuk", "--locked"]))
}

fn deny(project: &Project) -> Result<()> {
    prepare::tool(CARGO_DENY, project)?;
    let mut deny = project.command(project.tools().join("bin/cargo-deny"));
    deny.args(["--offline", "--locked", "--log-level", "error", "--config", ".deny.toml"]);
    run_command(deny.args(["check", "bans", "licenses", "sources"]))
}

/// A time as people say it.
struct Minutes(Duration);

impl std::fmt::Display for Minutes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        if seconds < 60 {
            write!(formatter, "{:.1} s", self.0.as_secs_f32())
        } else {
            write!(formatter, "{} min {} s", seconds / 60, seconds % 60)
        }
    }
}
