use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuk_globalconf::FileMetadata;

use crate::error::StoreError;
use crate::instance_files::{FILE_BYTES_MAX, FILES_MAX, InstanceFiles, KeptFile, SHARED_FILE};

/// Which instance is the main one.
const MAIN_FILE: &str = "instance-identifier";
const METADATA_ENDING: &str = ".metadata";
/// Ending of files that are being written. One that stays behind is written over.
const UNFINISHED_ENDING: &str = ".new";
/// More instances are not read from a folder.
const INSTANCES_MAX: usize = 64;

/// What Java's `URLEncoder` keeps, by which X-Road names the folders of instances.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_');

/// The folder of the configuration, in the layout of X-Road's configuration client: for each instance a folder with
/// files, each with `NAME.metadata` beside it.
///
/// A file is replaced whole or not at all, and before its metadata. Whoever reads in between, or after the power failed
/// there, finds the new file with the old date of expiry.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) main: Option<String>,
    pub(crate) instances: BTreeMap<String, InstanceFiles>,
    /// Why some instances are not among them.
    pub(crate) problems: Vec<StoreError>,
}

impl Store {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Reads all instances. One that is not readable leaves the others usable.
    pub(crate) fn read(&self) -> Result<Stored, StoreError> {
        let mut stored = Stored { main: self.read_main()?, ..Stored::default() };
        let folders = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(stored),
            folders => folders.map_err(unreadable(&self.folder))?,
        };
        for folder in folders.take(INSTANCES_MAX) {
            let folder = folder.map_err(unreadable(&self.folder))?.path();
            if !folder.is_dir() {
                continue;
            }
            match read_instance(&folder) {
                Ok(Some(files)) => drop(stored.instances.insert(files.instance().to_owned(), files)),
                Ok(None) => {}
                Err(problem) => stored.problems.push(problem),
            }
        }
        Ok(stored)
    }

    fn read_main(&self) -> Result<Option<String>, StoreError> {
        let path = self.folder.join(MAIN_FILE);
        match read_bounded(&path) {
            Ok(main) => Ok(Some(String::from_utf8_lossy(&main).trim().to_owned())),
            Err(StoreError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes `files` what the folder of their instance holds.
    pub(crate) fn write(&self, files: &InstanceFiles) -> Result<(), StoreError> {
        let folder = self.folder.join(folder_name(files.instance()));
        fs::create_dir_all(&folder).map_err(unwritable(&folder))?;
        for (name, file) in files.files() {
            replace(&folder.join(name), &file.content)?;
            let path = beside(&folder.join(name), METADATA_ENDING);
            let metadata = file.metadata.write();
            let metadata = metadata.map_err(|source| StoreError::Metadata { path: path.clone(), source })?;
            replace(&path, metadata.as_bytes())?;
        }
        remove_unlisted(&folder, files)
    }

    /// Says which instance is the main one.
    pub(crate) fn write_main(&self, main: &str) -> Result<(), StoreError> {
        replace(&self.folder.join(MAIN_FILE), main.as_bytes())
    }

    /// Removes the folders of all instances but these. What else is there is not ours.
    pub(crate) fn retain<'i>(&self, instances: impl Iterator<Item = &'i str>) -> Result<(), StoreError> {
        let kept: Vec<_> = instances.map(|instance| self.folder.join(folder_name(instance))).collect();
        for folder in fs::read_dir(&self.folder).map_err(unreadable(&self.folder))? {
            let folder = folder.map_err(unreadable(&self.folder))?.path();
            if folder.join(SHARED_FILE).is_file() && !kept.contains(&folder) {
                fs::remove_dir_all(&folder).map_err(unwritable(&folder))?;
            }
        }
        Ok(())
    }
}

/// The name of an instance's folder. `.` and `..`, which Java would keep, are no names of folders here.
pub(crate) fn folder_name(instance: &str) -> String {
    let name = utf8_percent_encode(instance, KEPT).to_string().replace("%20", "+");
    if name.bytes().all(|byte| byte == b'.') { name.replace('.', "%2E") } else { name }
}

/// The instance whose files are in `folder`, if it has any.
fn read_instance(folder: &Path) -> Result<Option<InstanceFiles>, StoreError> {
    let mut files = BTreeMap::new();
    let entries = fs::read_dir(folder).map_err(unreadable(folder))?;
    for entry in entries {
        let path = entry.map_err(unreadable(folder))?.path();
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        let is_part = !name.ends_with(METADATA_ENDING) && !name.ends_with(UNFINISHED_ENDING);
        if is_part && path.is_file() && files.len() < FILES_MAX {
            files.insert(name.to_owned(), read_file(&path)?);
        }
    }
    let Some(shared) = files.get(SHARED_FILE) else { return Ok(None) };
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let instance = shared.metadata.instance_identifier.clone().unwrap_or(name);
    match InstanceFiles::read(&instance, files, None) {
        Ok(files) => Ok(Some(files)),
        Err(source) => Err(StoreError::Unusable { instance, source: Box::new(source) }),
    }
}

fn read_file(path: &Path) -> Result<KeptFile, StoreError> {
    let content = read_bounded(path)?.into();
    let path = beside(path, METADATA_ENDING);
    let metadata = FileMetadata::read(&read_bounded(&path)?);
    let metadata = metadata.map_err(|source| StoreError::Metadata { path: path.clone(), source })?;
    let version = metadata.version().ok_or(StoreError::Version { path })?;
    Ok(KeptFile { content, metadata, version })
}

/// The file called as `path` and `ending` together.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(unreadable(path))?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut content).map_err(unreadable(path))?;
    if content.len() > FILE_BYTES_MAX {
        return Err(unreadable(path)(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(content)
}

fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let unfinished = beside(path, UNFINISHED_ENDING);
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        // Else a power failure could leave the new name with nothing in it.
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(unwritable(path))
}

fn remove_unlisted(folder: &Path, files: &InstanceFiles) -> Result<(), StoreError> {
    let is_listed =
        |name: &str| files.files().contains_key(name.strip_suffix(METADATA_ENDING).unwrap_or(name));
    for file in fs::read_dir(folder).map_err(unreadable(folder))? {
        let file = file.map_err(unreadable(folder))?.path();
        if file.is_file() && !file.file_name().and_then(OsStr::to_str).is_some_and(is_listed) {
            fs::remove_file(&file).map_err(unwritable(&file))?;
        }
    }
    Ok(())
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Read { path, source }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_folders_as_x_road_does_and_never_leaves_its_own() {
        for (instance, name) in [
            ("KG", "KG"),
            ("KG test", "KG+test"),
            ("ee-dev_1.*", "ee-dev_1.*"),
            ("a/b", "a%2Fb"),
            ("Ö", "%C3%96"),
            (".", "%2E"),
            ("..", "%2E%2E"),
        ] {
            assert_eq!(folder_name(instance), name);
        }
    }
}
