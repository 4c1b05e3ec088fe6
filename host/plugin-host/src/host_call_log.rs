//! What the calls of a plugin asked of databases and upstreams, for whoever makes fixtures of real calls. A server keeps no
//! such log: it holds what the law protects.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::capabilities::sql::{RowSet, Value};

/// A host call and what came of it.
#[derive(Clone)]
pub enum HostCall {
    /// A statement was run.
    Statement {
        /// Its name in the manifest.
        name: String,
        /// What it was given.
        parameters: Vec<(String, Value)>,
        /// The rows it gave; nothing if it failed.
        rows: Option<RowSet>,
    },
    /// A request was sent.
    Upstream {
        /// The upstream's name in the manifest.
        upstream: String,
        /// HTTP method.
        method: String,
        /// Path and query below the upstream's base.
        path_and_query: String,
        /// Status and body of the response; nothing if none came.
        response: Option<(u16, Bytes)>,
    },
    /// Something whose result does not come whole, and so is not kept: what it was, in words.
    InParts(&'static str),
}

/// Host calls, as they ended. Clones share one log.
#[derive(Clone, Default)]
pub struct HostCallLog(Arc<Mutex<Vec<HostCall>>>);

impl HostCallLog {
    /// Takes what was kept so far.
    pub fn take(&self) -> Vec<HostCall> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn push(&self, call: HostCall) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// Without the content, which may be personal data.
impl std::fmt::Debug for HostCallLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HostCallLog").finish_non_exhaustive()
    }
}
