//! X-Road's own programs, as judges of what uuk makes. None of them comes with uuk: environment variables say where they
//! are, and without them there is nothing to run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// X-Road's `asicverifier`, which judges a container by a global configuration.
#[derive(Debug, Clone)]
pub struct AsicVerifier(String);

/// What it said.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it took the container for evidence.
    pub accepted: bool,
    /// In its words.
    pub said: String,
}

impl AsicVerifier {
    /// The one that `ASIC_VERIFIER` names: a class path for Java, such as `/usr/share/xroad/jlib/asicverifier.jar`.
    pub fn find() -> Option<Self> {
        std::env::var("ASIC_VERIFIER").ok().map(Self)
    }

    /// Has it judge `container` by the global configuration in the folder `configuration`.
    pub fn judge(&self, configuration: &Path, container: &Path) -> Result<Verdict> {
        let java = std::env::var_os("JAVA_HOME")
            .map_or_else(|| "java".into(), |home| Path::new(&home).join("bin/java"));
        let mut command = Command::new(java);
        command.args(["-cp", &self.0, "org.niis.xroad.asic.verifier.cli.AsicVerifierMain"]);
        // It asks whether to extract the files; nobody answers.
        let output = command.arg(configuration).arg(container).stdin(Stdio::null()).output();
        let output = output.context("cannot run java")?;
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let said = said.concat();
        Ok(Verdict { accepted: said.contains("Verification successful."), said })
    }
}
