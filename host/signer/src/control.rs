//! Where operators' commands reach the server: a Unix socket beside the tokens that only the server's user can open.
//!
//! One JSON object per connection in each direction: an [`Order`], and what came of it.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::order::{Order, Outcome, Problem};
use crate::signer::Signer;

/// Name of the socket in the folder of the tokens.
const SOCKET: &str = "control.sock";
/// An order with a certificate fits easily.
const ORDER_BYTES_MAX: u64 = 256 << 10;
/// A list of hundreds of keys fits easily.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Who asks on the same machine is not slower.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10);
/// Devices take their time to make an RSA key.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);

/// The server's end of the socket.
pub struct Control {
    socket: UnixListener,
    path: PathBuf,
    signer: Signer,
}

/// Why the socket cannot be used, or the order was refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "keys.")]
#[non_exhaustive]
pub enum ControlError {
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No server answers.
    #[error("no server answers at {}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What the server answered cannot be read.
    #[error("the server's answer is not readable")]
    Malformed(#[source] serde_json::Error),
    /// The server refused the order.
    #[error("{}", _0.text)]
    Refused(Problem),
}

impl ControlError {
    /// The stable code of the reason: the server's, if it refused.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(problem) => &problem.code,
            other => other.into(),
        }
    }
}

/// What goes back over the socket.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Outcome),
    Refused(Problem),
}

impl Control {
    /// Binds the socket in the signer's folder. The folder is locked by this server, so that a socket found there was
    /// left behind by one that was killed.
    ///
    /// # Errors
    /// [`ControlError::Bind`].
    pub fn bind(signer: Signer) -> Result<Self, ControlError> {
        let path = signer.folder().join(SOCKET);
        let failed = |source| ControlError::Bind { path: path.clone(), source };
        let _ = std::fs::remove_file(&path);
        let socket = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { socket, path, signer })
    }

    /// Carries out orders, one after the other, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(self.socket.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    // What has been ordered is carried out even if nobody can be told any more.
                    if let Some(Err(error)) = stop.run_until_cancelled(self.exchange(stream)).await {
                        warn!(%error, "A command about keys broke off");
                    }
                }
                // Running out of descriptors passes.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        let _ = std::fs::remove_file(&self.path);
    }

    async fn exchange(&self, mut stream: UnixStream) -> std::io::Result<()> {
        let mut order = Vec::new();
        let mut bounded = (&mut stream).take(ORDER_BYTES_MAX);
        tokio::time::timeout(ORDER_TIMEOUT, bounded.read_to_end(&mut order)).await??;
        let answer = match serde_json::from_slice(&order) {
            Ok(order) => self.answer(order).await,
            Err(error) => {
                Answer::Refused(Problem { code: "keys.malformed".to_owned(), text: error.to_string() })
            }
        };
        stream.write_all(&serde_json::to_vec(&answer)?).await?;
        stream.shutdown().await
    }

    async fn answer(&self, order: Order) -> Answer {
        match self.signer.order(order).await {
            Ok(outcome) => Answer::Done(outcome),
            Err(error) => {
                let problem = Problem::new(error.code(), &error);
                info!(error = %problem.text, "An order about keys was refused");
                Answer::Refused(problem)
            }
        }
    }

    /// Gives an order to the server whose tokens are in `folder`, and waits until it is carried out.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn ask(folder: &Path, order: &Order) -> Result<Outcome, ControlError> {
        let path = folder.join(SOCKET);
        let exchanged = (|| {
            let mut stream = BlockingStream::connect(&path)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.set_write_timeout(Some(ORDER_TIMEOUT))?;
            stream.write_all(&serde_json::to_vec(order)?)?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut answer = Vec::new();
            stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
            Ok(answer)
        })();
        let answer = exchanged.map_err(|source| ControlError::Unreachable { path, source })?;
        match serde_json::from_slice(&answer).map_err(ControlError::Malformed)? {
            Answer::Done(outcome) => Ok(outcome),
            Answer::Refused(problem) => Err(ControlError::Refused(problem)),
        }
    }
}
