//! Where archives go: a folder, or a bucket of an object store that speaks S3.
//!
//! Either way a file appears whole or not at all, and is durable when it is said to be there.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{ClientOptions, ObjectStoreExt, PutPayload};
use serde::Deserialize;
use uuk_pki::Sha256;
use uuk_transport::{Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};

/// A bucket may take this long for one archive.
const PUT_TIME_MAX: Duration = Duration::from_secs(600);
/// S3 answers a PUT with nothing, or with an error of a few hundred bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// By which S3 checks what it got. It is signed too.
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// A bucket of an object store that speaks S3.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketConfig {
    /// The object store: `https://host[:port]`, without a path.
    pub upstream: UpstreamConfig,
    /// The bucket's name.
    pub name: String,
    /// Its region. Default: `us-east-1`.
    #[serde(default = "BucketConfig::default_region")]
    pub region: String,
    /// In front of the names of files, such as `ss1/`. Default: nothing.
    #[serde(default)]
    pub prefix: String,
    /// Who we are to the object store.
    pub access_key_id: String,
    /// File of the secret that goes with it; a line end after it is ignored.
    pub secret_access_key_file: PathBuf,
}

impl BucketConfig {
    fn default_region() -> String {
        "us-east-1".to_owned()
    }

    pub(crate) fn resolve(&mut self, folder: &FilePath) {
        self.upstream.resolve(folder);
        self.secret_access_key_file = folder.join(&self.secret_access_key_file);
    }
}

/// Why archives cannot go where they should.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "archive_place.")]
#[non_exhaustive]
pub enum ArchivePlaceError {
    /// The folder cannot be made, read or written.
    #[error("the folder cannot be used")]
    Folder(#[source] object_store::Error),
    /// The file of the secret cannot be read.
    #[error("cannot read the secret key from `{}`", path.display())]
    Secret {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address of the object store has a path.
    #[error("the address of the object store has a path")]
    AddressWithPath,
    /// The object store is described wrongly.
    #[error("the object store cannot be used")]
    Upstream(#[from] UpstreamBuildError),
    /// The request cannot be signed.
    #[error("a request to the object store cannot be made")]
    Request(#[source] object_store::Error),
    /// The object store cannot be reached.
    #[error("the object store does not answer")]
    Unreachable(#[source] UpstreamError),
    /// The object store refuses.
    #[error("the object store answers with status {status}")]
    Status {
        /// Its status.
        status: StatusCode,
    },
}

impl ArchivePlaceError {
    /// The stable code: `archive_place.unreachable`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Where archives go.
#[derive(Debug)]
pub(crate) enum ArchivePlace {
    Folder(LocalFileSystem),
    Bucket(Box<Bucket>),
}

impl ArchivePlace {
    pub(crate) fn folder(folder: &FilePath) -> Result<Self, ArchivePlaceError> {
        let unusable = |source: std::io::Error| {
            ArchivePlaceError::Folder(object_store::Error::Generic { store: "folder", source: source.into() })
        };
        // What bodies say is nobody else's to read.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        let folder = LocalFileSystem::new_with_prefix(folder).map_err(ArchivePlaceError::Folder)?;
        Ok(Self::Folder(folder.with_fsync(true)))
    }

    pub(crate) fn bucket(config: &BucketConfig) -> Result<Self, ArchivePlaceError> {
        Ok(Self::Bucket(Box::new(Bucket::new(config)?)))
    }

    /// Puts a file there, in place of what has its name.
    pub(crate) async fn put(&self, file_name: &str, file: Vec<u8>) -> Result<(), ArchivePlaceError> {
        match self {
            Self::Folder(folder) => {
                let put = folder.put(&Path::from(file_name), PutPayload::from(file)).await;
                put.map_err(ArchivePlaceError::Folder)?;
                Ok(())
            }
            Self::Bucket(bucket) => bucket.put(file_name, file).await,
        }
    }
}

/// A bucket: requests are signed by the library and sent by our own HTTP, so that there is one TLS in the program.
#[derive(Debug)]
pub(crate) struct Bucket {
    upstream: Upstream,
    signer: AmazonS3,
    prefix: String,
}

impl Bucket {
    fn new(config: &BucketConfig) -> Result<Self, ArchivePlaceError> {
        let base = config.upstream.base.trim_end_matches('/');
        if base.split_once("://").is_some_and(|(_, rest)| rest.contains('/')) {
            return Err(ArchivePlaceError::AddressWithPath);
        }
        let path = &config.secret_access_key_file;
        let secret = std::fs::read_to_string(path)
            .map_err(|source| ArchivePlaceError::Secret { path: path.clone(), source })?;
        let signer = AmazonS3Builder::new()
            .with_endpoint(base)
            .with_allow_http(true)
            .with_bucket_name(&config.name)
            .with_region(&config.region)
            .with_access_key_id(&config.access_key_id)
            .with_secret_access_key(secret.trim_end_matches(['\r', '\n']))
            .with_http_connector(Unconnected)
            .build()
            .map_err(ArchivePlaceError::Request)?;
        let upstream = Upstream::build(&config.upstream)?;
        Ok(Self { upstream, signer, prefix: config.prefix.clone() })
    }

    async fn put(&self, file_name: &str, file: Vec<u8>) -> Result<(), ArchivePlaceError> {
        let checksum = BASE64.encode(Sha256::of(&file).as_bytes());
        let checksum = HeaderValue::from_str(&checksum).unwrap_or(HeaderValue::from_static(""));
        let mut options = SignedUrlOptions::default();
        options.signed_headers = HeaderMap::from_iter([(CHECKSUM, checksum.clone())]);
        let path = Path::from(format!("{}{file_name}", self.prefix));
        let url = self
            .signer
            .signed_url_opts(Method::PUT, &path, PUT_TIME_MAX, &options)
            .await
            .map_err(ArchivePlaceError::Request)?;

        let mut request = Request::new(Bytes::from(file));
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = url.as_str().parse().unwrap_or_default();
        request.headers_mut().insert(CHECKSUM, checksum);
        let deadline = Instant::now() + PUT_TIME_MAX;
        let response = self
            .upstream
            .send(request, deadline, ANSWER_BYTES_MAX)
            .await
            .map_err(ArchivePlaceError::Unreachable)?;
        match response.status() {
            StatusCode::OK | StatusCode::CREATED => Ok(()),
            status => Err(ArchivePlaceError::Status { status }),
        }
    }
}

/// Stands where the library would have an HTTP client of its own. Signing needs none.
#[derive(Debug)]
struct Unconnected;

impl HttpConnector for Unconnected {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

#[async_trait]
impl HttpService for Unconnected {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::new(HttpErrorKind::Connect, std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }
}
