use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{constant_time, digest, hmac, rand};

use crate::component::OwnCompiled;
use crate::engine::Engine;

/// Bytes of the authentication code in front of each entry.
const CODE_BYTES: usize = 32;
/// An entry that nothing has loaded for this long is of a version that is gone.
const UNUSED_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why the cache can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The folder or its key can not be made or read.
    #[error("cannot use the compiled-code cache at {}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key has the wrong length.
    #[error("the key at {} is not 32 bytes; remove the folder to start anew", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
}

/// Compiled components on disk, so that a restart or an activation need not compile again.
///
/// An entry is machine code: whoever writes one owns the process. So each carries an authentication code over its
/// bytes and its name, made with a key that only this server's user can read, and one that does not check is removed
/// and compiled anew. The name covers the component, the compiler and its settings.
#[derive(Debug)]
pub struct CompiledCache {
    folder: PathBuf,
    key: hmac::Key,
}

impl CompiledCache {
    /// Opens the cache in `folder`, making the folder (0700) and its key (0600) at first, and removes old entries.
    ///
    /// A key that others could read is replaced: they could have made entries with it.
    ///
    /// # Errors
    /// [`CacheError`] if the folder or key can not be made or read.
    pub fn open(folder: &Path) -> Result<Self, CacheError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Folder { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed(folder))?;
        let path = folder.join("key");
        let key = match read_key(&path).map_err(failed(&path))? {
            Some(key) => key,
            None => make_key(&path).map_err(failed(&path))?,
        };
        if key.len() != CODE_BYTES {
            return Err(CacheError::Key { path });
        }
        remove_unused(folder, &path, SystemTime::now());
        Ok(Self { folder: folder.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// The compiled form of `component`, if an entry is there and authentic.
    pub(crate) fn load(&self, engine: &Engine, component: &[u8]) -> Option<OwnCompiled> {
        let name = entry_name(engine, component);
        let path = self.folder.join(&name);
        let entry = std::fs::read(&path).ok()?;
        let authentic = entry.split_at_checked(CODE_BYTES).filter(|(code, compiled)| {
            constant_time::verify_slices_are_equal(code, self.code(&name, compiled).as_ref()).is_ok()
        });
        match authentic {
            Some((_, compiled)) => {
                mark_used(&path);
                Some(OwnCompiled(Arc::from(compiled)))
            }
            None => {
                tracing::warn!(entry = %name, "Removed a compiled component that this server did not make");
                let _ = std::fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps the compiled form of `component`. A full disk costs only time at the next start.
    pub(crate) fn store(&self, engine: &Engine, component: &[u8], compiled: &OwnCompiled) {
        let name = entry_name(engine, component);
        let code = self.code(&name, &compiled.0);
        if let Err(error) = write_whole(&self.folder.join(&name), &[code.as_ref(), &compiled.0]) {
            tracing::warn!(%error, "Cannot keep a compiled component; it will be compiled again");
        }
    }

    fn code(&self, name: &str, compiled: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(name.as_bytes());
        context.update(compiled);
        context.sign()
    }
}

/// The key, if there is one that only its owner can read.
fn read_key(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let key = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        key => key?,
    };
    let is_private = std::fs::metadata(path)?.permissions().mode() & 0o077 == 0;
    if !is_private {
        tracing::warn!("Others could read {}: it is replaced, and plugins are compiled anew", path.display());
    }
    Ok(is_private.then_some(key))
}

fn make_key(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut key = vec![0; CODE_BYTES];
    rand::fill(&mut key).map_err(|_| std::io::Error::other("no randomness"))?;
    write_whole(path, &[&key])?;
    Ok(key)
}

/// Removes entries that were last used long ago. What can not be removed costs only space.
fn remove_unused(folder: &Path, key: &Path, now: SystemTime) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.path() != key) {
        let used = entry.metadata().and_then(|metadata| metadata.modified());
        if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|unused| unused > UNUSED_MAX)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn mark_used(entry: &Path) {
    let opened = OpenOptions::new().append(true).open(entry);
    let _ = opened.and_then(|file: File| file.set_modified(SystemTime::now()));
}

fn entry_name(engine: &Engine, component: &[u8]) -> String {
    let mut compiler = DefaultHasher::new();
    engine.wasmtime().precompile_compatibility_hash().hash(&mut compiler);
    // What is compiled has passed the checks of this version; another may check more.
    env!("CARGO_PKG_VERSION").hash(&mut compiler);
    let component = digest::digest(&digest::SHA256, component);
    format!("{}-{:016x}", hex::encode(component), compiler.finish())
}

/// Writes a file that is either whole or not there, readable by its owner only.
pub(crate) fn write_whole(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let partial = path.with_extension("part");
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_data()?;
        std::fs::rename(&partial, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component;
    use crate::engine::EngineConfig;

    /// The smallest component, and one that differs by a custom section.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const OTHER: &[u8] = b"\0asm\x0d\0\x01\0\0\x02\x01x";

    struct Place {
        folder: tempfile::TempDir,
        engine: Arc<Engine>,
    }

    impl Place {
        fn new() -> Self {
            let config = EngineConfig { instances_max: 1, ..EngineConfig::default() };
            Self { folder: tempfile::tempdir().unwrap(), engine: Engine::new(config).unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("compiled")
        }

        fn open(&self) -> CompiledCache {
            CompiledCache::open(&self.path()).unwrap()
        }

        /// A cache that holds `component`, opened again as after a restart.
        fn holding(&self, component: &[u8]) -> CompiledCache {
            let compiled = OwnCompiled(self.engine.compiler.compile(&self.engine, component).unwrap().into());
            self.open().store(&self.engine, component, &compiled);
            self.open()
        }

        fn entry(&self, component: &[u8]) -> PathBuf {
            self.path().join(entry_name(&self.engine, component))
        }

        fn mode(&self, path: &Path) -> u32 {
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777
        }
    }

    #[test]
    fn an_entry_is_used_after_a_restart() {
        let place = Place::new();
        let compiled = place.holding(COMPONENT).load(&place.engine, COMPONENT).unwrap();
        assert!(component::deserialize(&place.engine, &compiled).is_ok());
    }

    #[test]
    fn a_flipped_bit_removes_the_entry() {
        let place = Place::new();
        let cache = place.holding(COMPONENT);
        let path = place.entry(COMPONENT);
        let whole = std::fs::read(&path).unwrap();
        for position in [0, CODE_BYTES - 1, CODE_BYTES, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[position] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            assert!(cache.load(&place.engine, COMPONENT).is_none(), "bit at {position}");
            assert!(!path.exists(), "bit at {position}");
        }
    }

    #[test]
    fn a_cut_entry_is_removed() {
        let place = Place::new();
        let cache = place.holding(COMPONENT);
        std::fs::write(place.entry(COMPONENT), b"short").unwrap();
        assert!(cache.load(&place.engine, COMPONENT).is_none());
    }

    #[test]
    fn the_entry_of_another_component_is_refused() {
        let place = Place::new();
        place.holding(COMPONENT);
        let cache = place.holding(OTHER);
        std::fs::copy(place.entry(OTHER), place.entry(COMPONENT)).unwrap();
        assert!(cache.load(&place.engine, COMPONENT).is_none());
        assert!(cache.load(&place.engine, OTHER).is_some());
    }

    #[test]
    fn the_entry_of_another_server_is_refused() {
        let (place, other) = (Place::new(), Place::new());
        let cache = place.holding(COMPONENT);
        other.holding(COMPONENT);
        std::fs::copy(other.entry(COMPONENT), place.entry(COMPONENT)).unwrap();
        assert!(cache.load(&place.engine, COMPONENT).is_none());
    }

    #[test]
    fn a_key_of_the_wrong_length_is_an_error() {
        let place = Place::new();
        place.open();
        std::fs::write(place.path().join("key"), b"short").unwrap();
        assert!(matches!(CompiledCache::open(&place.path()), Err(CacheError::Key { .. })));
    }

    #[test]
    fn the_folder_and_what_is_in_it_are_private() {
        let place = Place::new();
        std::fs::create_dir(place.path()).unwrap();
        place.holding(COMPONENT);
        assert_eq!(place.mode(&place.path()), 0o700);
        assert_eq!(place.mode(&place.path().join("key")), 0o600);
        assert_eq!(place.mode(&place.entry(COMPONENT)), 0o600);
    }

    #[test]
    fn a_key_that_others_could_read_is_replaced() {
        let place = Place::new();
        place.holding(COMPONENT);
        std::fs::set_permissions(place.path().join("key"), Permissions::from_mode(0o640)).unwrap();
        let cache = place.open();
        assert_eq!(place.mode(&place.path().join("key")), 0o600);
        assert!(cache.load(&place.engine, COMPONENT).is_none(), "made with the old key");
    }

    #[test]
    fn entries_unused_for_long_are_forgotten() {
        let place = Place::new();
        place.holding(COMPONENT);
        let old = SystemTime::now() - UNUSED_MAX - Duration::from_secs(60);
        let entry = OpenOptions::new().append(true).open(place.entry(COMPONENT)).unwrap();
        entry.set_modified(old).unwrap();
        // Loading it would have marked it as used.
        assert!(place.holding(OTHER).load(&place.engine, OTHER).is_some());
        assert!(!place.entry(COMPONENT).exists());
    }
}
