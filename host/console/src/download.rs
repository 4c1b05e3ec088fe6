//! Files that are handed out: how many at once, and under which name.

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use uuk_pki::Sha256;

use crate::desk::Desk;
use crate::problem::Problem;

/// A file to hand out.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) name: String,
    pub(crate) media_type: &'static str,
    pub(crate) content: Bytes,
}

/// Bytes with their place in memory.
struct Held {
    content: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Desk {
    /// A file that somebody may have, which keeps its place among the downloads until it is sent.
    pub(crate) async fn hand_out(
        &self,
        name: String,
        media_type: &'static str,
        digest: &Sha256,
    ) -> Result<Download, Problem> {
        let place = self.downloads.clone().try_acquire_owned().map_err(|_| Problem::Busy)?;
        let content = self.central.file(digest).await?.ok_or(Problem::NoSuchPage)?;
        Ok(Download { name, media_type, content: Bytes::from_owner(Held { content, _place: place }) })
    }
}
