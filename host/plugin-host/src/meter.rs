//! What the calls of each operation use, and how requests end, in the process's metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Histogram, Label};
use uuk_contract::Contract;

use crate::call::{CallError, Outcome, Usage};

/// The metrics of one plugin. They are looked up when it is loaded: looking them up costs more than counting.
pub(crate) struct Meters(BTreeMap<String, Meter>);

struct Meter {
    answered: RequestMeter,
    seconds: Histogram,
    memory_bytes: Histogram,
    host_calls: Counter,
    faults: Counter,
}

impl Meters {
    pub(crate) fn new(plugin: &str, contracts: &BTreeMap<String, Arc<Contract>>) -> Self {
        let operations = contracts.values().flat_map(|contract| contract.operations());
        Self(operations.map(|one| (one.id().to_owned(), Meter::new(plugin, one.id()))).collect())
    }

    /// Of the requests to `operation` that were answered.
    pub(crate) fn answered(&self, operation: &str) -> Option<&RequestMeter> {
        self.0.get(operation).map(|meter| &meter.answered)
    }

    /// Counts a call that has ended.
    pub(crate) fn count(&self, operation: &str, ended: &Result<Outcome, CallError>, usage: &Usage) {
        let Some(meter) = self.0.get(operation) else { return };
        meter.seconds.record(usage.wall_us as f64 / 1e6);
        meter.memory_bytes.record(usage.memory_bytes as f64);
        meter.host_calls.increment(u64::from(usage.host_calls));
        if matches!(ended, Ok(Outcome::Fault(_))) {
            meter.faults.increment(1);
        }
    }
}

impl Meter {
    fn new(plugin: &str, operation: &str) -> Self {
        let labels = [("plugin", plugin.to_owned()), ("operation", operation.to_owned())];
        Self {
            answered: RequestMeter::new(plugin, operation, "ok"),
            seconds: metrics::histogram!("uuk_adapter_seconds", &labels),
            memory_bytes: metrics::histogram!("uuk_adapter_memory_bytes", &labels),
            host_calls: metrics::counter!("uuk_adapter_host_calls_total", &labels),
            faults: metrics::counter!("uuk_adapter_faults_total", &labels),
        }
    }
}

/// The metrics of requests that end in one way, whoever answers them.
pub struct RequestMeter {
    requests: Counter,
    seconds: Histogram,
}

impl RequestMeter {
    /// Looks up the metrics of requests to `operation`, answered by `plugin` if any, that end with `code`.
    pub fn new(plugin: &str, operation: &str, code: &'static str) -> Self {
        let labels = [
            Label::new("plugin", plugin.to_owned()),
            Label::new("operation", operation.to_owned()),
            Label::from_static_parts("code", code),
        ];
        Self {
            requests: metrics::counter!("uuk_requests_total", labels.iter()),
            seconds: metrics::histogram!("uuk_request_seconds", labels.iter()),
        }
    }

    /// Counts a request that took `time`, from its head to its answer.
    pub fn count(&self, time: Duration) {
        self.requests.increment(1);
        self.seconds.record(time.as_secs_f64());
    }
}
