//! Archives of the message log: a zip file of containers, and what links it to the archive before.

use std::sync::Arc;

use uuk_pki::DigestAlgorithm;

use crate::container::writer::ZipWriter;
use crate::container::{Container, ContainerError, Entry, Limits, Mimetype, Profile, Required};
use crate::linking_info::{ArchiveError, LINKING_INFO, LinkingInfo, PreviousArchive};

/// Larger archives are refused, in bytes: sixteen times what servers write unless told otherwise.
pub const ARCHIVE_BYTES_MAX: usize = 512 << 20;

/// As many as the format can count.
const CONTAINERS_MAX: usize = u16::MAX as usize - 2;

impl Profile {
    /// Archives of the message log, as X-Road's servers write them.
    pub const fn archive() -> Self {
        Self {
            limits: Limits {
                container_bytes_max: ARCHIVE_BYTES_MAX,
                entries_max: CONTAINERS_MAX + 1,
                entry_bytes_max: 64 << 20,
                content_bytes_max: ARCHIVE_BYTES_MAX,
                compression_ratio_max: 200,
            },
            mimetype: Mimetype::Absent,
            encoded_names: true,
            comment: None,
            required: &[Required { what: LINKING_INFO, is: |name| name.as_str() == LINKING_INFO }],
            ..Self::message()
        }
    }
}

/// An archive as it was read; nothing is verified yet.
#[derive(Debug, Clone)]
pub struct Archive {
    linking_info: Arc<[u8]>,
    containers: Vec<Entry>,
}

impl Archive {
    /// Reads an archive.
    ///
    /// # Errors
    /// As [`ContainerError`] says; [`ContainerError::MissingEntry`] if it is a zip file without linking information.
    pub fn read(bytes: &[u8]) -> Result<Self, ContainerError> {
        let zip = Container::read(bytes, &Profile::archive())?;
        let (linking, containers): (Vec<_>, Vec<_>) =
            zip.entries().iter().cloned().partition(|entry| entry.name.as_str() == LINKING_INFO);
        let linking =
            linking.into_iter().next().ok_or(ContainerError::MissingEntry { what: LINKING_INFO })?;
        Ok(Self { linking_info: linking.bytes, containers })
    }

    /// Verifies that it holds exactly the containers that it lists, as they were archived, and, if `previous` is given,
    /// that it continues the archive with that last digest. What the containers prove is another question.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn verify(&self, previous: Option<&str>) -> Result<LinkingInfo, ArchiveError> {
        let linking = LinkingInfo::read(&self.linking_info)?;
        let digest = |entry: &Entry| DigestAlgorithm::Sha512.digest(&entry.bytes);
        let containers = self.containers.iter().map(|entry| (entry.name.as_str(), digest(entry)));
        linking.verify(previous, containers)?;
        Ok(linking)
    }

    /// The containers in the order of the file.
    pub fn containers(&self) -> &[Entry] {
        &self.containers
    }
}

/// An archive in the making.
#[derive(Debug)]
pub struct ArchiveWriter {
    zip: ZipWriter,
    linking: LinkingInfo,
}

impl ArchiveWriter {
    /// Begins an archive that continues `previous`.
    pub fn new(previous: Option<PreviousArchive>) -> Self {
        Self { zip: ZipWriter::default(), linking: LinkingInfo::new(previous) }
    }

    /// Adds a container under a name that [`container_file_name`](crate::container_file_name) gave. It is not compressed:
    /// what is in it is already.
    pub fn push(&mut self, file_name: String, container: &[u8]) {
        self.zip.push_level_0(&file_name, container);
        self.linking.push(file_name, &DigestAlgorithm::Sha512.digest(container));
    }

    /// Whether no further container fits into the format.
    pub fn is_full(&self) -> bool {
        self.zip.entries() >= CONTAINERS_MAX
    }

    /// Its size so far, in bytes.
    pub fn bytes(&self) -> usize {
        self.zip.bytes()
    }

    /// The digest that the next archive starts from.
    pub fn last_digest(&self) -> &str {
        self.linking.last_digest()
    }

    /// The file. The same containers in the same order give the same bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.zip.push_level_0(LINKING_INFO, self.linking.write().as_bytes());
        self.zip.finish("")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::linking_info::{ContainedMessage, container_file_name};

    fn archive() -> ArchiveWriter {
        let mut archive = ArchiveWriter::new(None);
        for (id, content) in [("one", "a".repeat(100_000)), ("two/ü", "b".to_owned())] {
            archive.push(container_file_name(id, ContainedMessage::Request, 7), content.as_bytes());
        }
        archive
    }

    /// The file with `what` replaced, in the same length.
    fn replaced(file: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
        assert_eq!(what.len(), with.len());
        let mut changed = file.to_vec();
        for position in 0..=file.len() - what.len() {
            if file[position..].starts_with(what) {
                changed[position..][..with.len()].copy_from_slice(with);
            }
        }
        changed
    }

    #[test]
    fn reads_what_it_writes() {
        let written = archive();
        let last_digest = written.last_digest().to_owned();
        let read = Archive::read(&written.finish()).unwrap();
        let linking = read.verify(Some("")).unwrap();
        assert_eq!(linking.last_digest(), last_digest);
        let names: Vec<_> = read.containers().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["one-request-7.asice", "two%2F%C3%BC-request-7.asice"]);
    }

    #[test]
    fn other_tools_read_it_too() {
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive().finish())).unwrap();
        assert_eq!(zip.len(), 3);
        let mut entry = zip.by_index(0).unwrap();
        assert_eq!(entry.compression(), zip::CompressionMethod::Deflated);
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, "a".repeat(100_000));
    }

    #[test]
    fn refuses_another_archive_before() {
        let read = Archive::read(&archive().finish()).unwrap();
        let error = read.verify(Some(archive().last_digest())).unwrap_err();
        assert_eq!(error.code(), "archive.not_linked");
    }

    #[test]
    fn refuses_a_container_under_another_name() {
        let file = replaced(&archive().finish(), b"one-request", b"two-request");
        // Its name in the list was replaced with it, and the digests do not hold names: X-Road's format.
        assert!(Archive::read(&file).is_err_and(|error| error.code() == "container.content_mismatch"));
    }

    #[test]
    fn refuses_a_zip_file_without_linking_information() {
        let mut zip = ZipWriter::default();
        zip.push_level_0("one-request-7.asice", b"a");
        let error = Archive::read(&zip.finish("")).unwrap_err();
        assert!(matches!(error, ContainerError::MissingEntry { what: LINKING_INFO }), "{error}");
    }

    #[test]
    fn refuses_names_that_climb_out() {
        let mut zip = ZipWriter::default();
        zip.push_level_0("../one", b"a");
        assert_eq!(Archive::read(&zip.finish("")).unwrap_err().code(), "container.name_traversal");
    }
}
