//! Connections: the listener that serves HTTP to clients, the connector that calls one fixed upstream, and the listener
//! and connector by which security servers reach each other, with the TLS under all of them.
//!
//! Knows nothing of messages, services or plugins: it moves requests and says who is at the other end. What a
//! certificate permits is decided by whoever reads [`Peer`] or [`ServerPeer`], or verifies [`PeerCertificates`]. Start
//! with [`Listener`] and [`Upstream`]; between servers, with [`PeerListener`] and [`PeerConnector`].

#![warn(missing_docs)]

mod body;
mod connection;
mod connector;
mod lingering;
mod listener;
mod listening_socket;
mod peer;
mod peer_connector;
mod peer_listener;
mod peer_tls;
mod public_listener;
mod received_body;
mod tls;

pub use body::{BodyError, read_body};
pub use connector::{Authentication, Upstream, UpstreamBuildError, UpstreamConfig, UpstreamError, split_url};
pub use listener::{ClientAuthentication, Listener, ListenerConfig, ListenerError, ListenerTls};
pub use listening_socket::{HEADER_BYTES_MAX, ListenerLimits};
pub use peer::{ClientCertificate, Peer};
pub use peer_connector::{Destination, PeerAddress, PeerConnector, PeerConnectorConfig, PeerError};
pub use peer_listener::{PeerListener, PeerListenerConfig, ServerPeer};
pub use peer_tls::{Admit, PeerCertificates, PeerCiphers, PeerIdentity};
pub use public_listener::{PublicListener, PublicListenerConfig};
pub use received_body::ReceivedBody;
pub use tls::{IdentityFiles, TlsError};
