//! The source of an instance's global configuration, as a central server publishes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuk_globalconf::{
    Anchor, ListedFile, Listing, MirrorSource, PRIVATE_PARAMETERS, PrivateParameters, SHARED_PARAMETERS,
    SharedParameters, Source, VerificationCertificate, Version,
};
use uuk_identifiers::ServerId;
use uuk_pki::{Certificate, DigestAlgorithm};
use uuk_process::Clock;

use super::http_server::{Answer, BoundServer, Fault, HttpServer, refusal, success};
use super::identity::Identity;
use super::lock;
use crate::tls_authority::TlsFiles;
use crate::upstream::acceptor;

/// More than any client takes.
static OVERSIZED: LazyLock<Bytes> = LazyLock::new(|| vec![b' '; 40 << 20].into());

/// What a source publishes.
#[derive(Debug, Clone)]
pub struct Content {
    /// The shared parameters, without what is filled in when they are published: version, sources, and the digests of
    /// servers' certificates.
    pub shared: SharedParameters,
    /// The private parameters.
    pub private: PrivateParameters,
    /// The registered authentication certificates.
    pub certificates: BTreeMap<ServerId, Vec<Certificate>>,
    /// Further files.
    pub extra: Vec<ExtraPart>,
}

/// A file that a directory lists beside the parameters.
#[derive(Debug, Clone)]
pub struct ExtraPart {
    /// What the directory calls it, such as `NEXTUPDATE`.
    pub identifier: String,
    /// What it is called on disk.
    pub file_name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// How a source publishes.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Where it listens; 0 lets the system choose.
    pub port: u16,
    /// Its identity for those who ask with `https`, at the same port; without, they are not answered.
    pub tls: Option<TlsFiles>,
    /// The newest version it knows; what is newer is not found, as with older central servers.
    pub newest: Version,
    /// How long a directory counts.
    pub lifetime: Duration,
    /// How long the same directory is given out.
    pub interval: Duration,
}

impl Default for SourceOptions {
    /// As X-Road's central server 7.8.
    fn default() -> Self {
        Self {
            port: 0,
            tls: None,
            newest: Version::V6,
            lifetime: Duration::from_secs(600),
            interval: Duration::from_secs(60),
        }
    }
}

/// What is wrong with what a source publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceFault {
    /// Nothing.
    #[default]
    None,
    /// The directory expired a second ago.
    Expired,
    /// Someone else signed the directory.
    ForeignSignature,
    /// The directory was changed after it was signed.
    AlteredDirectory,
    /// The directory ends in its middle.
    TruncatedDirectory,
    /// The directory is far too large.
    OversizedDirectory,
    /// The files are of another instance.
    OtherInstance,
    /// The directory says the right instance, and the files another.
    OtherInstanceInside,
    /// The files are others than those listed.
    AlteredFiles,
    /// The files end in their middle.
    TruncatedFiles,
    /// The files are far too large.
    OversizedFiles,
    /// The files are not there.
    MissingFiles,
    /// The directory does not list the shared parameters.
    NoSharedParameters,
    /// The shared parameters cannot be read.
    UnreadableParameters,
}

/// A source: `GET /internalconf?version=N` for members, `/externalconf?version=N` for other instances, and below
/// `/VN/` the files.
#[derive(Debug)]
pub struct ConfigurationSource {
    server: HttpServer,
    publisher: Arc<Publisher>,
}

/// Whom a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Members,
    OtherInstances,
}

#[derive(Debug)]
struct Publisher {
    clock: Clock,
    options: SourceOptions,
    address: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    content: Content,
    fault: SourceFault,
    /// Who may sign, in the order in which they came.
    signers: Vec<Identity>,
    /// Who signs.
    active: usize,
    generation: u64,
    made: Timestamp,
    /// The files of this generation and the last, by path, so that who read the last directory finds them.
    files: HashMap<String, Bytes>,
}

impl ConfigurationSource {
    /// Starts a source.
    pub async fn start(options: SourceOptions, content: Content, clock: &Clock) -> Result<Self> {
        let socket = BoundServer::bind(options.port).await?;
        let state = State {
            content,
            fault: SourceFault::None,
            signers: vec![new_signer(clock)?],
            active: 0,
            generation: 0,
            made: clock.now(),
            files: HashMap::new(),
        };
        let publisher = Arc::new(Publisher {
            clock: clock.clone(),
            options,
            address: socket.url().replace("http://", ""),
            state: Mutex::new(state),
        });
        publisher.generate(&mut lock(&publisher.state))?;
        let tls = publisher.options.tls.as_ref().map(|files| acceptor(files, None)).transpose()?;
        let answering = publisher.clone();
        let server = socket.serve_with(tls, move |request| answering.answer(request));
        Ok(Self { server, publisher })
    }

    /// The root of its URLs.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The anchor for members.
    pub fn anchor(&self) -> Anchor {
        self.publisher.anchor(Audience::Members)
    }

    /// The anchor for other instances.
    pub fn external_anchor(&self) -> Anchor {
        self.publisher.anchor(Audience::OtherInstances)
    }

    /// Changes what is published, at once.
    pub fn change(&self, change: impl FnOnce(&mut Content)) -> Result<()> {
        let mut state = lock(&self.publisher.state);
        change(&mut state.content);
        self.publisher.generate(&mut state)
    }

    /// What it publishes now.
    pub fn content(&self) -> Content {
        lock(&self.publisher.state).content.clone()
    }

    /// Announces a new key, which does not sign yet, in anchors and shared parameters.
    pub fn announce_key(&self) -> Result<()> {
        let signer = new_signer(&self.publisher.clock)?;
        let mut state = lock(&self.publisher.state);
        state.signers.push(signer);
        self.publisher.generate(&mut state)
    }

    /// Signs with the newest key.
    pub fn use_newest_key(&self) -> Result<()> {
        let mut state = lock(&self.publisher.state);
        state.active = state.signers.len() - 1;
        self.publisher.generate(&mut state)
    }

    /// Makes something wrong with what it publishes.
    pub fn publish(&self, fault: SourceFault) -> Result<()> {
        let mut state = lock(&self.publisher.state);
        state.fault = fault;
        self.publisher.generate(&mut state)
    }

    /// What it does with requests from now on.
    pub fn fail(&self, fault: Fault) {
        self.server.fail(fault);
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.server.requests()
    }
}

impl Publisher {
    fn answer(&self, request: &Request<Bytes>) -> Answer {
        if request.method() != Method::GET {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "GET the configuration");
        }
        let audience = match request.uri().path() {
            "/internalconf" => Audience::Members,
            "/externalconf" => Audience::OtherInstances,
            path => {
                let file = lock(&self.state).files.get(path).cloned();
                return file.map_or_else(not_found, |file| success("text/xml", file));
            }
        };
        let asked = request.uri().query().and_then(|query| query.strip_prefix("version="));
        let version = asked.map_or(Some(Version::V2), |number| Version::from_number(number.parse().ok()?));
        let Some(version) = version.filter(|version| *version <= self.options.newest) else {
            return not_found();
        };
        match self.directory(audience, version) {
            Ok(directory) => success("multipart/related", directory),
            Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
        }
    }

    fn directory(&self, audience: Audience, version: Version) -> Result<Bytes> {
        let mut state = lock(&self.state);
        let now = self.clock.now();
        if state.made + self.options.interval <= now {
            self.generate(&mut state)?;
        }
        let State { content, fault, signers, active, generation, made, .. } = &*state;
        let expires = match fault {
            SourceFault::Expired => now - Duration::from_secs(1),
            _ => *made + self.options.lifetime,
        };
        let files = self.files(content, *fault, version, *generation, signers)?;
        let instance = match fault {
            SourceFault::OtherInstance => "OTHER",
            _ => content.shared.instance.as_str(),
        };
        let listed = files.iter().filter(|file| match file.identifier.as_str() {
            SHARED_PARAMETERS => *fault != SourceFault::NoSharedParameters,
            _ => audience == Audience::Members,
        });
        let files = listed.map(|file| ListedFile {
            identifier: &file.identifier,
            instance,
            location: &file.location,
            content: &file.content,
        });
        let listing = Listing { version, expires, files: files.collect() };

        let signer = signers.get(*active).context("no key signs")?;
        let stranger;
        let key = if *fault == SourceFault::ForeignSignature {
            stranger = new_signer(&self.clock)?;
            stranger.signing_key()?
        } else {
            signer.signing_key()?
        };
        let mut directory = listing.sign(&key, &verification_certificate(signer))?.into_bytes();
        match fault {
            SourceFault::AlteredDirectory => {
                directory = String::from_utf8(directory)?.replace("shared-params", "other-params").into();
            }
            SourceFault::TruncatedDirectory => directory.truncate(directory.len() / 2),
            SourceFault::OversizedDirectory => return Ok(OVERSIZED.clone()),
            _ => {}
        }
        Ok(directory.into())
    }

    /// Publishes the files anew, under new paths.
    fn generate(&self, state: &mut State) -> Result<()> {
        state.generation += 1;
        // Dates of central servers have no fractions of a second.
        state.made = Timestamp::from_second(self.clock.now().as_second())?;
        let (last, generation) = (state.generation - 1, state.generation);
        state.files.retain(|path, _| path.contains(&format!("/{last}/")));
        if state.fault == SourceFault::MissingFiles {
            return Ok(());
        }
        for version in Version::NEWEST_FIRST {
            for file in self.files(&state.content, state.fault, version, generation, &state.signers)? {
                let mut content = Bytes::from(file.content);
                match state.fault {
                    SourceFault::AlteredFiles => content = [&content, &b"<!-- -->"[..]].concat().into(),
                    SourceFault::TruncatedFiles => content.truncate(content.len() / 2),
                    SourceFault::OversizedFiles => content = OVERSIZED.clone(),
                    _ => {}
                }
                state.files.insert(file.location, content);
            }
        }
        Ok(())
    }

    fn files(
        &self,
        content: &Content,
        fault: SourceFault,
        version: Version,
        generation: u64,
        signers: &[Identity],
    ) -> Result<Vec<File>> {
        let mut shared = content.shared_in(version);
        let mut private = content.private.clone();
        if version >= Version::V3 {
            let certificates: Vec<_> = signers.iter().map(verification_certificate).collect();
            shared.sources = vec![MirrorSource {
                address: self.address.clone(),
                internal_certificates: certificates.clone(),
                external_certificates: certificates,
            }];
        }
        if fault == SourceFault::OtherInstanceInside {
            (shared.instance, private.instance) = ("OTHER".into(), "OTHER".into());
        }
        let mut shared = shared.write()?;
        if fault == SourceFault::UnreadableParameters {
            shared.insert(0, '<');
        }
        let file = |identifier: &str, name: &str, content: Vec<u8>| File {
            identifier: identifier.into(),
            location: format!("/V{version}/{generation}/{name}"),
            content,
        };
        let mut files = vec![
            file(SHARED_PARAMETERS, "shared-params.xml", shared.into_bytes()),
            file(PRIVATE_PARAMETERS, "private-params.xml", private.write().into_bytes()),
        ];
        let extra = content.extra.iter();
        files.extend(extra.map(|part| file(&part.identifier, &part.file_name, part.content.clone())));
        Ok(files)
    }

    fn anchor(&self, audience: Audience) -> Anchor {
        let state = lock(&self.state);
        let path = match audience {
            Audience::Members => "internalconf",
            Audience::OtherInstances => "externalconf",
        };
        Anchor {
            generated_at: Some(state.made),
            instance: state.content.shared.instance.clone(),
            sources: vec![Source {
                url: format!("http://{}/{path}", self.address),
                certificates: state.signers.iter().map(verification_certificate).collect(),
            }],
        }
    }
}

impl Content {
    /// The shared parameters as a file of `version` has them, except for the sources.
    fn shared_in(&self, version: Version) -> SharedParameters {
        let hash = |certificate: &Certificate| match version {
            Version::V2 => digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.der()).as_ref().to_vec(),
            _ => certificate.digest(DigestAlgorithm::Sha256).as_bytes().to_vec(),
        };
        let mut shared = SharedParameters { version, ..self.shared.clone() };
        for server in &mut shared.security_servers {
            let registered = self.certificates.get(&server.id).into_iter().flatten();
            server.certificate_hashes = registered.map(hash).collect();
        }
        shared
    }
}

#[derive(Debug)]
struct File {
    identifier: String,
    location: String,
    content: Vec<u8>,
}

fn new_signer(clock: &Clock) -> Result<Identity> {
    Identity::self_signed("Central server", clock.now().to_zoned(TimeZone::UTC).date())
}

fn verification_certificate(signer: &Identity) -> VerificationCertificate {
    VerificationCertificate(signer.certificate().der().to_vec())
}

fn not_found() -> Answer {
    refusal(StatusCode::NOT_FOUND, "not found")
}
