//! `cargo xtask interop`: what X-Road's own programs say of what uuk makes. They are brought by whoever runs it.

use anyhow::Result;

use crate::command::run as run_command;
use crate::prepare;
use crate::project::Project;

/// Let X-Road's own programs judge what uuk makes
///
/// Needs X-Road's `asicverifier` of 7.8 and the Java that it runs on: `ASIC_VERIFIER` is a class path with it, such as
/// `/usr/share/xroad/jlib/asicverifier.jar` where X-Road is installed, and `JAVA_HOME` names the Java unless it is on the
/// path.
#[derive(Debug, clap::Args)]
pub(crate) struct InteropOptions {}

pub(crate) fn run(project: &Project) -> Result<()> {
    prepare::asic_verifier()?;
    prepare::toolchain(project)?;
    run_command(&mut project.cargo(&["test", "--locked", "--package", "uuk-interop", "--", "--nocapture"]))
}
