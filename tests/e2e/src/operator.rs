use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::guests::target_folder;
use crate::site::Site;

/// How long a server under test may take for anything an operator waits for: compiling in a debug build, mostly.
const PATIENCE: Duration = Duration::from_secs(60);

/// Someone at the terminal of a server, with `uuk plugin …`.
#[derive(Debug, Clone)]
pub struct Operator {
    program: PathBuf,
    config: PathBuf,
}

/// A line of `uuk plugin list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The plugin's identifier, empty if the bundle could not be read.
    pub plugin: String,
    /// Its version, empty likewise.
    pub version: String,
    /// The bundle, empty if it could not be read.
    pub digest: String,
    /// `active`, `rejected`, …
    pub stage: String,
    /// Code of what is wrong, empty if nothing is.
    pub code: String,
    /// Name of the file in the plugin folder, empty if it is gone.
    pub file: String,
}

impl Operator {
    /// The operator of the server on `site`, which has been started.
    pub fn of(site: &Site) -> Self {
        Self { program: target_folder().join("debug/uuk"), config: site.folder().join("uuk.toml") }
    }

    /// `uuk plugin …`: what it prints with `--json`.
    pub fn plugin(&self, arguments: &[&str]) -> Result<Value> {
        let output = Command::new(&self.program)
            .args(["--json", "plugin"])
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .output()
            .context("cannot run uuk")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "uuk plugin {}: {printed}", arguments.join(" "));
        if printed.trim().is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&printed)?) }
    }

    /// `uuk plugin list`.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let answer = self.plugin(&["list"])?;
        let plugins = answer.get("plugins").and_then(Value::as_array).context("no list")?;
        let listed = plugins.iter().map(|plugin| {
            let text = |pointer: &str| {
                plugin.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            Listed {
                plugin: text("/plugin"),
                version: text("/version"),
                digest: text("/digest"),
                stage: text("/stage"),
                code: text("/reason/0"),
                file: text("/file").rsplit('/').next().unwrap_or_default().to_owned(),
            }
        });
        Ok(listed.collect())
    }

    /// The lines that the plugin has logged.
    pub fn logs(&self, plugin: &str) -> Result<Vec<Value>> {
        let answer = self.plugin(&["logs", plugin])?;
        Ok(answer.get("lines").and_then(Value::as_array).context("no lines")?.clone())
    }

    /// Waits until a line of the list is as asked for, and gives it.
    pub async fn sees(&self, what: &str, wanted: impl Fn(&Listed) -> bool) -> Result<Listed> {
        let began = Instant::now();
        loop {
            let list = self.list()?;
            if let Some(found) = list.iter().find(|one| wanted(one)) {
                return Ok(found.clone());
            }
            if began.elapsed() > PATIENCE {
                bail!("{what}: not within {PATIENCE:?}: {list:#?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a version of a plugin is at a stage.
    pub async fn sees_version(&self, plugin: &str, version: &str, stage: &str) -> Result<Listed> {
        let what = format!("{plugin} {version} is {stage}");
        self.sees(&what, |one| one.plugin == plugin && one.version == version && one.stage == stage).await
    }

    /// Waits until the bundle in a file is refused, and gives the code.
    pub async fn sees_refused(&self, file: &str) -> Result<String> {
        let what = format!("{file} is refused");
        Ok(self.sees(&what, |one| one.file == file && one.stage == "rejected").await?.code)
    }
}
