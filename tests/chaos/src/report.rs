use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::load::{Call, Outcome};
use crate::plan::{Fault, Plan};

/// Of what was wrong, this much is shown in the table.
const VIOLATIONS_SHOWN: usize = 20;

/// What happened, and what is wrong with it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    events: usize,
    /// How often each thing failed.
    faults: BTreeMap<String, usize>,
    /// What cannot fail here, and why.
    left_out: Vec<String>,
    calls: usize,
    answered: usize,
    /// Refused calls by code.
    faults_of_the_service: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
    /// Calls whose connection broke with the callers' own server.
    lost: usize,
    /// How long exchanges took to be possible again.
    recovered_ms: Option<u128>,
    /// Records judged, by log.
    records: BTreeMap<&'static str, usize>,
    pub(crate) violations: Vec<String>,
}

impl Report {
    pub(crate) fn new(plan: &Plan, impossible: &BTreeMap<Fault, &str>) -> Self {
        let mut faults = BTreeMap::new();
        for fault in plan.events.iter().flat_map(|event| &event.faults) {
            if !impossible.contains_key(fault) {
                *faults.entry(fault.to_string()).or_default() += 1;
            }
        }
        Self {
            seed: plan.seed,
            events: plan.events.len(),
            faults,
            left_out: impossible.iter().map(|(fault, why)| format!("{fault}: {why}")).collect(),
            calls: 0,
            answered: 0,
            faults_of_the_service: BTreeMap::new(),
            refused: BTreeMap::new(),
            lost: 0,
            recovered_ms: None,
            records: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    pub(crate) fn record(&mut self, log: &'static str) {
        *self.records.entry(log).or_default() += 1;
    }

    pub(crate) fn recovered(&mut self, time: Option<Duration>) {
        self.recovered_ms = time.map(|time| time.as_millis());
        if time.is_none() {
            self.violation("exchanges did not become possible again".to_owned());
        }
    }

    /// Counts calls; a connection may break only while the callers' own server is not there.
    pub(crate) fn called(&mut self, calls: &[Call], outages: &[(Instant, Instant)]) {
        self.calls = calls.len();
        for call in calls {
            match &call.outcome {
                Outcome::Answered => self.answered += 1,
                Outcome::Fault(code) => {
                    *self.faults_of_the_service.entry(code.clone()).or_default() += 1;
                }
                Outcome::Refused(code) => *self.refused.entry(code.clone()).or_default() += 1,
                Outcome::Lost => {
                    self.lost += 1;
                    if !outages.iter().any(|(from, to)| call.started <= *to && *from <= call.ended) {
                        self.violation(format!("{}: the connection broke without a reason", call.id));
                    }
                }
                Outcome::Unclear(what) => self.violation(format!("{}: {what}", call.id)),
            }
        }
        if self.answered == 0 {
            self.violation("no call was answered".to_owned());
        }
    }

    pub(crate) fn json(&self) -> String {
        let mut document = serde_json::json!({ "schema": "uuk.chaos/v1" });
        if let (Some(document), Ok(serde_json::Value::Object(report))) =
            (document.as_object_mut(), serde_json::to_value(self))
        {
            document.extend(report);
        }
        document.to_string()
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!("chaos, seed {}, {} events\n", self.seed, self.events);
        let mut line = |count: usize, what: &str| {
            let _ = writeln!(table, "  {count:>7}  {what}");
        };
        for (fault, count) in &self.faults {
            line(*count, fault);
        }
        line(self.calls, "calls");
        line(self.answered, "  answered");
        for (code, count) in &self.faults_of_the_service {
            line(*count, &format!("  answered with the fault {code}"));
        }
        for (code, count) in &self.refused {
            line(*count, &format!("  refused with {code}"));
        }
        line(self.lost, "  lost with the client's own server");
        for (log, count) in &self.records {
            line(*count, &format!("records of the {log} log, each verified"));
        }
        line(self.violations.len(), "violations");
        for violation in self.violations.iter().take(VIOLATIONS_SHOWN) {
            let _ = writeln!(table, "           {violation}");
        }
        for what in &self.left_out {
            let _ = writeln!(table, "  left out: {what}");
        }
        if let Some(time) = self.recovered_ms {
            let _ = writeln!(table, "  exchanges were possible again after {time} ms");
        }
        table
    }
}
