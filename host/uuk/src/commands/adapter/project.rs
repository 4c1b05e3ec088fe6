//! An adapter's project: its folder, manifest and contracts.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use uuk_bundle::{COMPONENT, MANIFEST, MAPPING, Manifest};
use uuk_contract::Contract;

use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// A file of a project that is larger than this is not one an author wrote.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where the project is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ProjectOptions {
    /// Folder with the plugin.toml
    #[arg(short = 'C', long = "project", value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// A project whose manifest and contracts have been read.
#[derive(Debug)]
pub(super) struct Project {
    folder: PathBuf,
    pub(super) manifest: Manifest,
    /// The contracts of the manifest's services, in its order.
    pub(super) contracts: Vec<Contract>,
    /// The files of its bundle, once they are held.
    held: Option<BTreeMap<String, Vec<u8>>>,
}

impl ProjectOptions {
    /// Where the project is, or should be.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Project {
    /// Reads the manifest and the contracts it names.
    pub(super) fn open(options: &ProjectOptions) -> Result<Self, Failure> {
        let folder = options.folder.clone();
        let path = folder.join(MANIFEST);
        if !path.is_file() {
            let message = format!("there is no plugin.toml in `{}`", folder.display());
            return Err(Failure::new(ExitCode::Usage, "adapter.no_project", message)
                .help("go to the adapter's folder, name it with -C, or make one: uuk adapter new NAME"));
        }
        let manifest = Manifest::parse(read_text(&path)?.as_bytes()).map_err(|error| {
            let message = format!("`{}` is not a valid manifest: {error}", path.display());
            Failure::new(ExitCode::CheckFailed, error.code(), message).causes(&error)
        })?;
        let mut project = Self { folder, manifest, contracts: Vec::new(), held: None };
        for service in &project.manifest.services {
            let path = project.path(&service.contract);
            let contract = Contract::read(read_text(&path)?.as_bytes()).map_err(|error| {
                let message = format!("`{}` is not a usable contract: {error}", path.display());
                Failure::new(ExitCode::CheckFailed, error.code(), message).causes(&error)
            })?;
            project.contracts.push(contract);
        }
        Ok(project)
    }

    #[cfg(test)]
    pub(super) fn move_to(&mut self, folder: &Path) {
        self.folder = folder.to_owned();
    }

    /// The project's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest as the author wrote it.
    pub(super) fn manifest_text(&self) -> Result<String, Failure> {
        match self.held.as_ref().and_then(|held| held.get(MANIFEST)) {
            Some(held) => Ok(String::from_utf8_lossy(held).into_owned()),
            None => read_text(&self.path(MANIFEST)),
        }
    }

    /// Whether it is a mapping, which this program's own component runs.
    pub(super) fn is_mapped(&self) -> bool {
        self.path(MAPPING).is_file()
    }

    /// Where the build leaves the component.
    pub(super) fn artifact(&self) -> Result<PathBuf, Failure> {
        match &self.manifest.build {
            Some(build) => Ok(self.path(&build.artifact)),
            None if self.is_mapped() => Ok(self.path(COMPONENT)),
            None => Err(Failure::new(
                ExitCode::Usage,
                "adapter.no_build",
                "plugin.toml does not say how the component is built, nor is there a map.toml",
            )
            .help("add `[build]` with `command` and `artifact`, or write a mapping")),
        }
    }

    /// The files of its bundle but the component, by their names there.
    pub(super) fn parts(&self) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        if let Some(held) = &self.held {
            return Ok(held.clone());
        }
        let mapping = self.is_mapped().then_some(MAPPING);
        let names = self.manifest.files().chain([MANIFEST]).chain(mapping);
        names.map(|name| Ok((name.to_owned(), read_text(&self.path(name))?.into_bytes()))).collect()
    }

    /// Keeps the files of its bundle as they are now, so that later edits do not show in this project.
    pub(super) fn hold(&mut self) -> Result<(), Failure> {
        self.held = Some(self.parts()?);
        Ok(())
    }

    /// A file of the project, by its path in the bundle.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        // People are shown paths; `./` before each tells them nothing.
        if self.folder == Path::new(".") { relative.into() } else { self.folder.join(relative) }
    }
}

/// Reads a file an author wrote.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    let size_bytes = std::fs::metadata(path).map_err(|error| unreadable(path, error))?.len();
    if size_bytes > FILE_BYTES_MAX {
        let reason = format!("it has {size_bytes} bytes; at most {FILE_BYTES_MAX} are read");
        return Err(unreadable(path, reason));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

pub(super) fn unreadable(path: &Path, reason: impl Display) -> Failure {
    let message = format!("cannot read `{}`", path.display());
    Failure::new(ExitCode::Environment, "adapter.file_unreadable", message).note(reason)
}

/// Writes a file of the project, and its folder if need be.
pub(super) fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, bytes)).map_err(|error| {
        let message = format!("cannot write `{}`", path.display());
        Failure::new(ExitCode::Environment, "adapter.file_unwritable", message).note(error)
    })
}
