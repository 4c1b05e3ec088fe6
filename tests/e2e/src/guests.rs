use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

/// An adapter of this project: its folder with `plugin.toml`, and how its component is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guest {
    /// `examples/people`.
    People,
    /// `examples/vehicles`.
    Vehicles,
    /// One of `tests/components`, by the name of its file and the folder of its manifest.
    Component {
        /// Such as `echo_v1`.
        name: &'static str,
        /// Such as `echo`.
        folder: &'static str,
    },
}

/// The root of the project's tree.
pub fn project_root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

/// Cargo writes into one folder; tests of one process ask it once each.
static BUILT: Mutex<BTreeMap<Guest, PathBuf>> = Mutex::new(BTreeMap::new());

impl Guest {
    /// The folder with its `plugin.toml`, contracts and SQL.
    pub fn folder(self) -> PathBuf {
        match self {
            Self::People => project_root().join("examples/people"),
            Self::Vehicles => project_root().join("examples/vehicles"),
            Self::Component { folder, .. } => project_root().join("tests/components").join(folder),
        }
    }

    /// Builds the component and gives the path of the file.
    pub fn build(self) -> Result<PathBuf> {
        let mut built = BUILT.lock().map_err(|_| anyhow::anyhow!("an earlier build panicked"))?;
        if let Some(path) = built.get(&self) {
            return Ok(path.clone());
        }
        let (arguments, file): (&[&str], String) = match self {
            Self::People => (&["--package", "people"], "people.wasm".into()),
            Self::Vehicles => (&["--package", "vehicles"], "vehicles.wasm".into()),
            Self::Component { name, .. } => {
                (&["--package", "uuk-test-components", "--examples"], format!("examples/{name}.wasm"))
            }
        };
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(project_root())
            .args(["build", "--quiet", "--locked", "--target", "wasm32-wasip2", "--profile", "guest"])
            .args(arguments)
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "building {self:?} failed");
        let path = target_folder().join("wasm32-wasip2/guest").join(file);
        ensure!(path.is_file(), "cargo left no {}", path.display());
        built.insert(self, path.clone());
        Ok(path)
    }
}

/// Where cargo builds.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project_root().join("target"), PathBuf::from)
}
