//! What the calls of each operation use, in the process's metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::{Counter, Histogram};
use uuk_contract::Contract;

use crate::call::{CallError, Outcome, Usage};

/// The metrics of one plugin. They are looked up when it is loaded: looking them up costs more than counting.
pub(crate) struct Meters(BTreeMap<String, Meter>);

struct Meter {
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
            seconds: metrics::histogram!("uuk_adapter_seconds", &labels),
            memory_bytes: metrics::histogram!("uuk_adapter_memory_bytes", &labels),
            host_calls: metrics::counter!("uuk_adapter_host_calls_total", &labels),
            faults: metrics::counter!("uuk_adapter_faults_total", &labels),
        }
    }
}
