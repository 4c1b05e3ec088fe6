//! `cargo xtask plugins`: the project's adapters, as components for `wasm32-wasip2`.
//!
//! The component of mappings is part of `uuk`, which a machine without this compiler builds too: its bytes are in the
//! tree, without the paths of the machine that made them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::run as run_command;
use crate::prepare;
use crate::project::Project;

/// Build the adapters of examples/ and tests/components/ and print their sizes
#[derive(Debug, clap::Args)]
pub(crate) struct PluginsOptions {}

pub(crate) fn run(project: &Project) -> Result<()> {
    prepare::toolchain(project)?;
    let mut build = project.cargo(&["build", "--locked", "--target", "wasm32-wasip2", "--profile", "guest"]);
    build.args(["--package", "uuk-test-components", "--lib", "--examples"]);
    for folder in examples(project)? {
        // Package and folder have one name; a mapping is no package.
        if folder.join("Cargo.toml").is_file() {
            build.arg("--package").args(folder.file_name());
        }
    }
    run_command(&mut build)?;
    declarative(project)?;

    let built = project.target.join("wasm32-wasip2/guest");
    for component in [components(&built)?, components(&built.join("examples"))?].concat() {
        let kibibytes = fs::metadata(&component)?.len().div_ceil(1024);
        println!("{kibibytes:>6} KiB  {}", project.shown(&component));
    }
    Ok(())
}

/// Builds the examples that are not in Rust, with the `uuk` of a profile.
pub(crate) fn build_others(project: &Project, profile: &str) -> Result<()> {
    let path = prepare::languages(project)?;
    for folder in examples(project)? {
        if !folder.join("Cargo.toml").is_file() {
            let mut uuk = project.command(project.target.join(profile).join("uuk"));
            run_command(uuk.args(["adapter", "build", "--project"]).arg(&folder).env("PATH", &path))?;
        }
    }
    Ok(())
}

/// Builds the component of mappings without a trace of this machine, and puts it where `uuk` takes it from.
fn declarative(project: &Project) -> Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("there is no home folder")?;
    let remapped = files(&home.join("registry/src"))?.into_iter();
    let remapped =
        remapped.map(|folder| format!("{:?}", format!("--remap-path-prefix={}=crates", folder.display())));
    let flags = remapped.collect::<Vec<_>>().join(",");
    let mut build = project.cargo(&["build", "--locked", "--target", "wasm32-wasip2", "--profile", "guest"]);
    build.args(["--package", "declarative", "--config"]);
    run_command(build.arg(format!("target.wasm32-wasip2.rustflags=[{flags}]")))?;
    let (built, kept) = ("wasm32-wasip2/guest/declarative.wasm", "plugins/declarative/declarative.wasm");
    fs::copy(project.target.join(built), project.root.join(kept))?;
    Ok(())
}

/// The folders of the adapters in `examples/`.
pub(crate) fn examples(project: &Project) -> Result<Vec<PathBuf>> {
    let folders = files(&project.root.join("examples"))?;
    Ok(folders.into_iter().filter(|folder| folder.join("plugin.toml").is_file()).collect())
}

fn components(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files(folder)?;
    files.retain(|file| {
        // Cargo keeps each example twice, the second with a hash behind `-`, which no crate has in its name.
        let is_second = file.file_stem().is_some_and(|name| name.to_string_lossy().contains('-'));
        file.extension() == Some(OsStr::new("wasm")) && !is_second
    });
    Ok(files)
}

/// What is in `folder`, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
