use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;
use http::StatusCode;
use tempfile::TempDir;
use uuk_pki::CertificateUse;
use uuk_signer::KeyAlgorithm;

use crate::client::Client;
use crate::guests::Guest;
use crate::network::{Enrolled, Network};
use crate::server::Server;

/// New versions of adapters take over at once.
const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n\n";
/// How long both servers may take until they know of each other, in a debug build.
const PATIENCE: Duration = Duration::from_secs(90);

/// Two agencies of a [`Network`]: one that asks, and one that answers from its register of people.
pub struct Pair {
    /// Whose client asks, as [`crate::CLIENT`].
    pub consumer: Enrolled,
    /// Who has the register, as [`crate::PROVIDER`].
    pub provider: Enrolled,
    /// Who knows them both.
    pub network: Network,
    _folders: [TempDir; 2],
}

impl Pair {
    /// Registers both and furnishes their folders. `settings` are further lines of the `uuk.toml` of each: of the one
    /// that asks, and of the one that answers.
    pub async fn enrol(network: Network, settings: [&str; 2]) -> Result<Self> {
        let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
        let [asking, answering] = &folders;
        let [of_asking, of_answering] = settings.map(|settings| format!("{SETTINGS}{settings}"));
        let consumer = network.enrol("GOV/70000002/ss2", "GOV/70000002/portal", asking.path(), &of_asking)?;
        let mut provider =
            network.enrol("GOV/70000001/ss1", "GOV/70000001/registry", answering.path(), &of_answering)?;
        let site = &mut provider.site;
        site.people().await?;
        site.drop_bundle("people.asice", &site.bundle(Guest::People, None)?)?;
        Ok(Self { consumer, provider, network, _folders: folders })
    }

    /// Starts `program` for both, with keys of `algorithm`, and waits until a request for `path` is answered. The server
    /// of the one that asks comes first.
    pub async fn start(&self, program: &Path, algorithm: KeyAlgorithm, path: &str) -> Result<[Server; 2]> {
        let start = |side: &Enrolled| {
            let server = Server::start_program(program, &side.site, Stdio::null())?;
            side.certify(&self.network, CertificateUse::Authentication, algorithm)?;
            side.certify(&self.network, CertificateUse::Signing, algorithm)?;
            Ok::<_, anyhow::Error>(server)
        };
        let (provider, consumer) = (start(&self.provider)?, start(&self.consumer)?);
        let client = Client::new(consumer.address());
        let answers =
            || async { client.get("person", path).await.is_ok_and(|reply| reply.status == StatusCode::OK) };
        consumer.until("the exchange answers", PATIENCE, answers).await?;
        Ok([consumer, provider])
    }
}
