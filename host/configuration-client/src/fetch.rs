use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use uuk_transport::{Upstream, UpstreamConfig, UpstreamError, split_url};

use crate::error::SourceError;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// For a whole answer.
const READ_TIME_MAX: Duration = Duration::from_secs(30);
/// An instance has a few central servers, and so have those that it is federated with.
const SERVERS_MAX: usize = 64;

/// Gets files from sources.
#[derive(Debug)]
pub(crate) struct Fetcher {
    authorities: PathBuf,
    /// By scheme and host.
    servers: Mutex<HashMap<String, Arc<Upstream>>>,
}

impl Fetcher {
    pub(crate) fn new(authorities: PathBuf) -> Self {
        Self { authorities, servers: Mutex::default() }
    }

    /// The file at `url`, `None` if it is not there.
    pub(crate) async fn find(
        &self,
        url: &str,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Option<Bytes>, SourceError> {
        let response = self.ask(url, bytes_max, deadline).await?;
        match response.status() {
            StatusCode::OK => Ok(Some(response.into_body())),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(SourceError::Status { status, path: split_url(url).1.to_owned() }),
        }
    }

    /// The file at `url`.
    pub(crate) async fn get(
        &self,
        url: &str,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Bytes, SourceError> {
        let not_found =
            || SourceError::Status { status: StatusCode::NOT_FOUND, path: split_url(url).1.to_owned() };
        self.find(url, bytes_max, deadline).await?.ok_or_else(not_found)
    }

    async fn ask(
        &self,
        url: &str,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Response<Bytes>, SourceError> {
        let (base, path) = split_url(url);
        let server = self.server(base)?;
        let malformed = |_| SourceError::Status { status: StatusCode::BAD_REQUEST, path: path.to_owned() };
        let request = Request::get(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") });
        let request = request.body(Bytes::new()).map_err(malformed)?;
        let deadline = deadline.min(Instant::now() + CONNECT_TIME_MAX + READ_TIME_MAX);
        let response = server.send(request, deadline, bytes_max as u64).await;
        response.map_err(|error| match error {
            UpstreamError::TooLarge { .. } => SourceError::TooLarge { path: path.to_owned(), bytes_max },
            other => SourceError::Unreachable(other),
        })
    }

    fn server(&self, base: &str) -> Result<Arc<Upstream>, SourceError> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(base) {
            return Ok(server.clone());
        }
        let config = UpstreamConfig {
            authorities: Some(self.authorities.clone()),
            // The anchor is the operator's word, and many central servers stand in private networks.
            networks: vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())],
            connect_timeout: CONNECT_TIME_MAX,
            response_bytes_max: u64::MAX,
            ..UpstreamConfig::new(base)
        };
        let server = Arc::new(Upstream::build(&config).map_err(SourceError::Address)?);
        if servers.len() >= SERVERS_MAX {
            servers.clear();
        }
        servers.insert(base.to_owned(), server.clone());
        Ok(server)
    }
}
