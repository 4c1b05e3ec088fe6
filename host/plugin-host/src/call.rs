use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// One call of an adapter: values in.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks, for what.
    pub context: Arc<CallContext>,
    /// The request document: JSON that the contract has accepted.
    pub document: Bytes,
    /// Nobody waits for the answer after this.
    pub deadline: Instant,
}

/// Who asks, on whose behalf, for what: authenticated and logged before the adapter is entered.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    /// Identifier of the exchange, the `X-Road-Id`.
    pub exchange_id: String,
    /// The client's identifier.
    pub client: String,
    /// The person behind the request.
    pub user: Option<String>,
    /// The party on whose behalf the client asks.
    pub represented_party: Option<String>,
    /// Case or document number on whose account the client asks.
    pub issue: Option<String>,
    /// Purpose of the request.
    pub purpose: Option<String>,
    /// Identifier of the providing subsystem.
    pub provider: String,
    /// Service code.
    pub service_code: String,
    /// Version of the contract.
    pub service_version: String,
    /// Operation identifier.
    pub operation: String,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The client's key for repeating a request safely.
    pub idempotency_key: Option<String>,
    /// When the request arrived, RFC 3339.
    pub received_at: String,
    /// The language the client prefers.
    pub locale: Option<String>,
}

/// What an adapter answered: values out. Not yet checked against the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A document.
    Answer(Payload),
    /// A fault for the client.
    Fault(Fault),
}

/// A document with its media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// As the adapter states it.
    pub media_type: String,
    /// The bytes, at most the plugin's response limit.
    pub data: Vec<u8>,
}

/// A fault as the adapter states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind, from which the status on the wire follows.
    pub kind: FaultKind,
    /// A code that the contract declares.
    pub code: String,
    /// For the client.
    pub message: String,
    /// Fields at fault.
    pub problems: Vec<FieldProblem>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// For the plugin's log only.
    pub diagnostic: Option<String>,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldProblem {
    /// JSON Pointer into the request document.
    pub pointer: String,
    /// What is wrong, for programs.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
}

/// The kinds of `uuk:adapter/types.fault-kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
#[expect(missing_docs, reason = "the WIT describes them")]
pub enum FaultKind {
    BadInput,
    NotFound,
    Forbidden,
    Conflict,
    Precondition,
    RateLimited,
    UpstreamUnavailable,
    UpstreamTimeout,
    Internal,
}

impl FaultKind {
    /// Whether it is about the means and not about the matter: no contract need declare that a database may be down.
    pub fn is_technical(self) -> bool {
        matches!(self, Self::RateLimited | Self::UpstreamUnavailable | Self::UpstreamTimeout | Self::Internal)
    }
}

/// What a call used, measured by the host.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Usage {
    /// Time from instance to answer, in microseconds.
    pub wall_us: u64,
    /// Of it, time spent in host calls that wait: SQL and HTTP.
    pub host_us: u64,
    /// SQL and HTTP calls.
    pub host_calls: u32,
    /// Largest linear memory, in bytes.
    pub memory_bytes: u64,
    /// Bytes of the answer.
    pub response_bytes: u64,
}

/// Why a call gave no outcome.
#[derive(Debug, Clone, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "plugin.")]
#[non_exhaustive]
pub enum CallError {
    /// All places of the plugin are taken, and none became free in time, or too many wait for one.
    #[error("plugin is at its limit of {concurrency_max} calls")]
    Busy {
        /// Calls in progress at once.
        concurrency_max: u32,
    },
    /// The whole call took longer than allowed, most of it waiting for a database or upstream.
    #[error("call took longer than {wall_time_max:?}")]
    WallTime {
        /// The limit, or what was left until the client's deadline.
        wall_time_max: Duration,
    },
    /// The guest computed longer than allowed.
    #[error("adapter computed longer than {guest_time_max:?}")]
    GuestTime {
        /// The limit, or what it computed until the call's deadline.
        guest_time_max: Duration,
    },
    /// The guest wanted more memory than allowed.
    #[error("adapter needs more memory than {memory_bytes_max} bytes")]
    Memory {
        /// The limit.
        memory_bytes_max: u64,
    },
    /// The guest passed more bytes to the host than a call may.
    #[error("adapter passed more data to the host than a call may")]
    HostCallBytes,
    /// The answer is longer than allowed.
    #[error("answer is longer than {response_bytes_max} bytes")]
    Response {
        /// The limit.
        response_bytes_max: u64,
    },
    /// The guest trapped.
    #[error("adapter trapped: {reason}")]
    Trap {
        /// wasmtime's reason, bounded.
        reason: String,
    },
    /// The guest used the host's interfaces wrongly, such as a handle it does not own.
    #[error("adapter misused the host: {reason}")]
    Misuse {
        /// What was wrong, bounded.
        reason: String,
    },
    /// Our own fault: a panic inside the host while serving this call.
    #[error("host failed while serving the adapter")]
    Host,
}

impl CallError {
    /// The stable code: `plugin.wall_time`.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// Whether the plugin is to blame, so that it counts towards rollback and quarantine.
    pub fn blames_plugin(&self) -> bool {
        !matches!(self, Self::Busy { .. } | Self::WallTime { .. } | Self::Host)
    }
}
