//! Bodies and attachments on their way: small ones in memory, large ones in a file without a name, so that no size of a
//! message fills the memory, and a crash leaves nothing behind.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use uuk_message::Sha512;
use uuk_pki::{Digest, DigestAlgorithm};

/// What is kept in memory of one part.
const MEMORY_BYTES_MAX: usize = 256 << 10;
/// What is read of a file at once.
const CHUNK_BYTES: usize = 128 << 10;

/// A part that came whole, and its digest.
#[derive(Debug, Clone)]
pub(crate) struct Spooled {
    content: Content,
    size_bytes: u64,
    sha512: Digest,
}

#[derive(Debug, Clone)]
enum Content {
    Memory(Bytes),
    File(Arc<File>),
}

impl Spooled {
    /// A part that is in memory already.
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self {
            size_bytes: bytes.len() as u64,
            sha512: DigestAlgorithm::Sha512.digest(&bytes),
            content: Content::Memory(bytes),
        }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn sha512(&self) -> &Digest {
        &self.sha512
    }

    /// The same, as a response names its request.
    pub(crate) fn hash(&self) -> Option<Sha512> {
        Sha512::try_from(self.sha512.as_bytes()).ok()
    }

    /// All of it in memory; the caller has looked at its size.
    pub(crate) async fn read(&self) -> std::io::Result<Bytes> {
        match &self.content {
            Content::Memory(bytes) => Ok(bytes.clone()),
            Content::File(file) => {
                let size = usize::try_from(self.size_bytes).map_err(std::io::Error::other)?;
                read_at(Arc::clone(file), 0, size).await
            }
        }
    }

    /// All of it, piece by piece.
    pub(crate) fn stream(&self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
        let (content, size_bytes) = (self.content.clone(), self.size_bytes);
        stream::try_unfold(0, move |offset: u64| {
            let content = content.clone();
            async move {
                let left = usize::try_from(size_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
                if left == 0 {
                    return Ok(None);
                }
                let piece = match content {
                    Content::Memory(bytes) => bytes,
                    Content::File(file) => read_at(file, offset, left.min(CHUNK_BYTES)).await?,
                };
                let next = offset + piece.len() as u64;
                Ok(Some((piece, next)))
            }
        })
    }
}

async fn read_at(file: Arc<File>, offset: u64, size: usize) -> std::io::Result<Bytes> {
    let read = move || {
        let mut piece = vec![0; size];
        file.read_exact_at(&mut piece, offset).map(|()| Bytes::from(piece))
    };
    tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)?
}

/// Takes a part as it comes; whoever reads it makes the digest.
pub(crate) struct Spool {
    folder: PathBuf,
    /// What is not yet in the file.
    memory: BytesMut,
    file: Option<Arc<File>>,
    size_bytes: u64,
}

impl Spool {
    /// `folder` is where files are made once they are needed.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), memory: BytesMut::new(), file: None, size_bytes: 0 }
    }

    /// What has come so far.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) async fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.memory.extend_from_slice(bytes);
        self.size_bytes += bytes.len() as u64;
        if self.memory.len() > MEMORY_BYTES_MAX { self.write_down().await } else { Ok(()) }
    }

    /// The part is complete, and this is its digest.
    pub(crate) async fn finish(mut self, sha512: Digest) -> std::io::Result<Spooled> {
        if self.file.is_some() {
            self.write_down().await?;
        }
        let content = match self.file {
            Some(file) => Content::File(file),
            None => Content::Memory(self.memory.freeze()),
        };
        Ok(Spooled { content, size_bytes: self.size_bytes, sha512 })
    }

    async fn write_down(&mut self) -> std::io::Result<()> {
        let (folder, file, memory) = (self.folder.clone(), self.file.take(), self.memory.split());
        let write = move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(tempfile::tempfile_in(folder)?),
            };
            (&*file).write_all(&memory)?;
            Ok::<_, std::io::Error>(file)
        };
        self.file = Some(tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)??);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn spooled(folder: &Path, bytes: &[u8]) -> Spooled {
        let mut spool = Spool::new(folder);
        for piece in bytes.chunks(100_000) {
            spool.push(piece).await.unwrap();
        }
        spool.finish(DigestAlgorithm::Sha512.digest(bytes)).await.unwrap()
    }

    #[tokio::test]
    async fn what_goes_in_comes_out_whether_small_or_large() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX + 1, 3 * MEMORY_BYTES_MAX + 7] {
            let bytes: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let spooled = spooled(folder.path(), &bytes).await;
            assert_eq!(spooled.size_bytes(), size as u64);
            assert_eq!(matches!(spooled.content, Content::File(_)), size > MEMORY_BYTES_MAX, "{size}");
            assert!(spooled.read().await.unwrap() == bytes, "{size}");
            for _ in 0..2 {
                let pieces: Vec<Bytes> = spooled.stream().try_collect().await.unwrap();
                assert!(pieces.concat() == bytes, "{size}");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files without names");
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_an_error_and_no_panic() {
        let mut spool = Spool::new(Path::new("/no/such/folder"));
        assert!(spool.push(&vec![0; MEMORY_BYTES_MAX + 1]).await.is_err());
    }
}
