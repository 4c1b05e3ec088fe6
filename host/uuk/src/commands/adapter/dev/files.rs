//! The files of a project that its author edits, and which of them have changed.
//!
//! They are looked at again and again instead of waiting for events of the file system: it does not matter then by which
//! path a file is reached, how an editor saves it, or whether the folder is on a network.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuk_bundle::{COMPONENT, MANIFEST, MAPPING};

use crate::commands::adapter::project::{Project, unreadable};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// More files than this are no project, or one whose `[build].watch` leaves out too little.
const FILES_MAX: usize = 5_000;
const DEPTH_MAX: usize = 16;
/// Where tools keep what they make.
const MADE: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// Which files those are.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// `[build].watch`, and whatever else a server reads of a project.
    patterns: Vec<String>,
    /// What the build leaves, by its path below the folder: nobody edits it.
    artifact: String,
}

/// What they held at one time, by their paths below the project's folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Snapshot(BTreeMap<String, Stamp>);

#[derive(Debug, Clone, Copy)]
struct Stamp {
    modified: Option<SystemTime>,
    size_bytes: u64,
    hash: u64,
}

/// A file that was only touched, or written again as it was, is the same.
impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        (self.size_bytes, self.hash) == (other.size_bytes, other.hash)
    }
}

impl Files {
    /// Those of a project that cannot be read yet: all in its folder.
    pub(super) fn all(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), patterns: vec!["**".to_owned()], artifact: COMPONENT.to_owned() }
    }

    pub(super) fn of(project: &Project) -> Self {
        let build = project.manifest.build.as_ref();
        let watched = build.map(|build| build.watch.clone()).filter(|watched| !watched.is_empty());
        // The manifest itself, and all that it names, count whatever `watch` says.
        let named = project.manifest.files().chain([MANIFEST, MAPPING, "fixtures/*.json"]);
        let patterns = watched.unwrap_or_else(|| vec!["**".to_owned()]);
        let patterns = patterns.into_iter().chain(named.map(str::to_owned)).collect();
        let artifact = build.map_or(COMPONENT, |build| build.artifact.trim_start_matches("./"));
        Self { folder: project.folder().to_owned(), patterns, artifact: artifact.to_owned() }
    }

    /// What they hold now. Only those are read that look otherwise than `before`.
    pub(super) fn look(&self, before: &Snapshot) -> Result<Snapshot, Failure> {
        let mut found = Snapshot::default();
        self.walk(&self.folder, "", 0, before, &mut found)?;
        Ok(found)
    }

    fn walk(
        &self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        before: &Snapshot,
        found: &mut Snapshot,
    ) -> Result<(), Failure> {
        let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, relative) = (entry.path(), format!("{prefix}{name}"));
            // Links to folders may lead anywhere, also back.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < DEPTH_MAX && !name.starts_with('.') && !MADE.contains(&name.as_str()) {
                    self.walk(&path, &format!("{relative}/"), depth + 1, before, found)?;
                }
                continue;
            }
            let is_watched = self.patterns.iter().any(|pattern| matches(pattern, &relative));
            if !is_watched || name.starts_with('.') || relative == self.artifact {
                continue;
            }
            if found.0.len() >= FILES_MAX {
                let message = format!("there are more than {FILES_MAX} files to watch");
                return Err(Failure::new(ExitCode::Usage, "adapter.too_many_files", message)
                    .help("name the ones you edit in plugin.toml: [build] watch = [\"src/**\"]"));
            }
            // One that is gone by now was no file to speak of.
            if let Some(stamp) = Stamp::of(&path, before.0.get(&relative)) {
                found.0.insert(relative, stamp);
            }
        }
        Ok(())
    }
}

impl Stamp {
    fn of(path: &Path, before: Option<&Self>) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let (modified, size_bytes) = (metadata.modified().ok(), metadata.len());
        let is_as_before = |before: &&Self| before.modified == modified && before.size_bytes == size_bytes;
        if let Some(before) = before.filter(is_as_before) {
            return Some(*before);
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(&std::fs::read(path).ok()?);
        Some(Self { modified, size_bytes, hash: hasher.finish() })
    }
}

impl Snapshot {
    /// The files that were changed, added or removed since `before`.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<String> {
        let other = |(path, stamp): &(&String, &Stamp)| before.0.get(*path) != Some(*stamp);
        let removed = before.0.keys().filter(|path| !self.0.contains_key(*path));
        let mut changed: Vec<_> =
            self.0.iter().filter(other).map(|(path, _)| path).chain(removed).cloned().collect();
        changed.sort();
        changed
    }
}

/// Whether a path fits a pattern: `*` is any part of a name, `**` any number of folders.
fn matches(pattern: &str, path: &str) -> bool {
    fn folders(pattern: &[&str], path: &[&str]) -> bool {
        match pattern.split_first() {
            None => path.is_empty(),
            Some((&"**", rest)) => {
                (0..=path.len()).any(|left_out| path.get(left_out..).is_some_and(|path| folders(rest, path)))
            }
            Some((first, rest)) => {
                path.split_first().is_some_and(|(name, path)| fits(first, name) && folders(rest, path))
            }
        }
    }
    fn fits(pattern: &str, name: &str) -> bool {
        let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
        name.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(index, _)| index).chain([rest.len()]);
            ends.filter_map(|end| rest.get(end..)).any(|rest| fits(after, rest))
        })
    }
    let pieces = |text| -> Vec<&str> { str::split(text, '/').collect() };
    folders(&pieces(pattern.strip_prefix("./").unwrap_or(pattern)), &pieces(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_files_as_in_a_shell() {
        for (pattern, path, expected) in [
            ("src/**", "src/lib.rs", true),
            ("src/**", "src/a/b.rs", true),
            ("./src/**", "src/lib.rs", true),
            ("src/*.rs", "src/lib.rs", true),
            ("src/*.rs", "src/a/lib.rs", false),
            ("**/*.sql", "find.sql", true),
            ("**/*.sql", "sql/a/find.sql", true),
            ("**/*.sql", "sql/find.sql.bak", false),
            ("plugin.toml", "plugin.toml", true),
            ("plugin.toml", "a/plugin.toml", false),
            ("**", "a/b", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_file_written_as_it_was_has_not_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a");
        let files = Files::all(folder.path());
        std::fs::write(&file, "1").expect("it can be written");
        let before = files.look(&Snapshot::default()).expect("a look");
        let later = SystemTime::now() + std::time::Duration::from_secs(9);
        std::fs::write(&file, "1").expect("it can be written");
        std::fs::File::options()
            .append(true)
            .open(&file)
            .and_then(|file| file.set_modified(later))
            .expect("times");
        assert_eq!(files.look(&before).expect("a look").changed_since(&before), Vec::<String>::new());
        std::fs::write(&file, "2").expect("it can be written");
        assert_eq!(files.look(&before).expect("a look").changed_since(&before), ["a"]);
        std::fs::remove_file(&file).expect("it can be removed");
        assert_eq!(files.look(&before).expect("a look").changed_since(&before), ["a"]);
    }
}
