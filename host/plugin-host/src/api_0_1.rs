//! Version 0.1 of the contract with adapters, converted to and from this crate's own values.
//!
//! Only conversion happens here. Whether something is allowed is decided below, in `capabilities/`, once for every
//! version of the contract.

mod blobs;
mod call;
mod config;
mod http;
mod log;
mod sql;

use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::exports::uuk::adapter::{handler, probe as guest_probe};
use crate::bindings::uuk::adapter::{exchange, types};
use crate::call::{Call, CallContext, Fault, FaultKind, FieldProblem, Outcome, Payload};
use crate::capabilities::log::{Field, Level, LogBudget, PluginLog};
use crate::component::bounded;
use crate::instance::{CallState, Finding};
use crate::limits::CallLimits;

impl types::Host for CallState {}
impl exchange::Host for CallState {}

/// Offers every interface of the contract; which of them a component may import is checked when it is loaded.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    use crate::bindings::uuk::adapter as interfaces;
    fn own(state: &mut CallState) -> &mut CallState {
        state
    }
    types::add_to_linker::<_, HasSelf<CallState>>(linker, own)?;
    exchange::add_to_linker::<_, HasSelf<CallState>>(linker, own)?;
    interfaces::blobs::add_to_linker::<_, HasSelf<CallState>>(linker, own)?;
    interfaces::call::add_to_linker::<_, HasSelf<CallState>>(linker, own)?;
    interfaces::config::add_to_linker::<_, HasSelf<CallState>>(linker, own)?;
    interfaces::http::add_to_linker::<_, HasSelf<CallState>>(linker, own)?;
    interfaces::log::add_to_linker::<_, HasSelf<CallState>>(linker, own)?;
    interfaces::sql::add_to_linker::<_, HasSelf<CallState>>(linker, own)
}

/// Asks the adapter to answer `call`.
pub(crate) async fn handle(
    store: &mut Store<CallState>,
    guest: &handler::Guest,
    call: &Call,
) -> wasmtime::Result<Outcome> {
    let request = handler::Request {
        body: types::PayloadParam { media_type: "application/json", data: &call.document },
        attachments: &[],
    };
    let context = context(&call.context, call.deadline);
    let answer = guest.call_handle(&mut *store, context, request).await?;
    Ok(match answer {
        Ok(response) => {
            Outcome::Answer(Payload { media_type: response.body.media_type, data: response.body.data })
        }
        Err(guest_fault) => {
            let fault = fault(guest_fault);
            let state = store.data();
            log_diagnostic(&state.environment.log, &state.limits, &state.context.exchange_id, &fault);
            Outcome::Fault(fault)
        }
    })
}

/// What a fault says to the operator. It has a budget of its own: an adapter that wrote too much before it failed is the
/// one whose reason is wanted.
fn log_diagnostic(log: &PluginLog, limits: &CallLimits, exchange_id: &str, fault: &Fault) {
    let Some(diagnostic) = &fault.diagnostic else { return };
    let code = ("fault.code".to_owned(), Field::Text(fault.code.clone()));
    log.emit(&mut LogBudget::of(limits), exchange_id, Level::Warn, diagnostic, std::iter::once(code));
}

/// Asks the adapter whether it could answer.
pub(crate) async fn probe(
    store: &mut Store<CallState>,
    guest: &guest_probe::Guest,
    deep: bool,
) -> wasmtime::Result<Vec<Finding>> {
    let depth = if deep { guest_probe::Depth::Deep } else { guest_probe::Depth::Shallow };
    let findings = guest.call_run(&mut *store, depth).await?;
    Ok(findings
        .into_iter()
        .take(64)
        .map(|finding| Finding {
            check: bounded(&finding.check),
            ok: finding.ok,
            detail: bounded(&finding.detail),
        })
        .collect())
}

fn context(context: &CallContext, deadline: Instant) -> types::Context<'_> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    types::Context {
        exchange_id: &context.exchange_id,
        client: &context.client,
        user: context.user.as_deref(),
        represented_party: context.represented_party.as_deref(),
        issue: context.issue.as_deref(),
        purpose: context.purpose.as_deref(),
        service: types::ServiceId {
            provider: &context.provider,
            code: &context.service_code,
            version: &context.service_version,
            operation: &context.operation,
        },
        traceparent: context.traceparent.as_deref(),
        idempotency_key: context.idempotency_key.as_deref(),
        attempt: 1,
        received_at: &context.received_at,
        deadline_ms: milliseconds(remaining),
        locale: context.locale.as_deref(),
        extensions: &[],
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn fault(fault: types::Fault) -> Fault {
    use types::FaultKind as Guest;
    Fault {
        kind: match fault.kind {
            Guest::BadInput => FaultKind::BadInput,
            Guest::NotFound => FaultKind::NotFound,
            Guest::Forbidden => FaultKind::Forbidden,
            Guest::Conflict => FaultKind::Conflict,
            Guest::Precondition => FaultKind::Precondition,
            Guest::RateLimited => FaultKind::RateLimited,
            Guest::UpstreamUnavailable => FaultKind::UpstreamUnavailable,
            Guest::UpstreamTimeout => FaultKind::UpstreamTimeout,
            Guest::Internal => FaultKind::Internal,
        },
        code: bounded(&fault.code),
        message: bounded(&fault.message),
        problems: fault.problems.into_iter().take(64).map(|problem| field_problem(&problem)).collect(),
        retry_after: fault.retry_after_ms.map(|ms| Duration::from_millis(u64::from(ms))),
        diagnostic: fault.diagnostic.as_deref().map(bounded),
    }
}

fn field_problem(problem: &types::FieldProblem) -> FieldProblem {
    FieldProblem {
        pointer: bounded(&problem.pointer),
        code: bounded(&problem.code),
        message: bounded(&problem.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_diagnostic_of_a_fault_for_the_operator() {
        let log = PluginLog::new("kg.example.people".into(), "1.0.0".into());
        let fault = fault(types::Fault {
            kind: types::FaultKind::Internal,
            code: "internal".into(),
            message: "something failed".into(),
            problems: vec![],
            retry_after_ms: None,
            diagnostic: Some("column `name`\nis missing".into()),
        });
        log_diagnostic(&log, &CallLimits::CEILING, "KG-7f3a", &fault);
        let lines = log.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].level, &*lines[0].message), (Level::Warn, "column `name` is missing"));
        assert_eq!(lines[0].exchange_id, "KG-7f3a");
        assert_eq!(lines[0].fields, [("fault.code".to_owned(), "internal".to_owned())]);
    }
}
