//! Connections: the listener that serves HTTP to clients, the connector that calls one fixed upstream, and the TLS
//! under both.
//!
//! Knows nothing of messages, services or plugins: it moves requests and says who is at the other end. What a client
//! certificate permits is decided by whoever reads [`Peer`]. Start with [`Listener`] and [`Upstream`].

#![warn(missing_docs)]

mod body;
mod connector;
mod listener;
mod peer;
mod tls;

pub use body::{BodyError, read_body};
pub use connector::{Authentication, Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError};
pub use listener::{
    ClientAuthentication, HEADER_BYTES_MAX, Listener, ListenerConfig, ListenerError, ListenerLimits,
    ListenerTls,
};
pub use peer::{ClientCertificate, Peer};
pub use tls::{IdentityFiles, TlsError};
