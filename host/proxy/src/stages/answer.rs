//! What leaves: an answer or fault that the contract declares, and nothing else.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use uuk_contract::{Answer, Contract, FieldProblem, Limits, Operation, PROBLEM_MEDIA_TYPE, Problem};
use uuk_plugin_host::{Arm, CallError, Fault, FaultKind, Outcome, Registry, Verdict};

use crate::fault::{Record, Refusal, whole_seconds};

/// An answer that may leave.
pub(crate) struct Answered {
    status: u16,
    media_type: Option<&'static str>,
    body: Vec<u8>,
    retry_after: Option<Duration>,
}

/// Checks the adapter's outcome against the contract, and tells the registry how the version did.
pub(crate) fn check(
    registry: &Registry,
    arm: &Arm,
    operation: &Operation,
    outcome: Result<Outcome, CallError>,
) -> Result<Answered, Refusal> {
    let body_bytes_max = usize::try_from(arm.plugin.limits().response_bytes_max).unwrap_or(usize::MAX);
    let limits = Limits { body_bytes_max, ..Limits::default() };
    let checked = match outcome {
        Ok(Outcome::Answer(payload)) => operation
            .answer(&payload.media_type, payload.data, &limits)
            .map(|answer| Answered::of(answer, None))
            .map_err(Refusal::Answer),
        Ok(Outcome::Fault(fault)) if fault.kind.is_technical() => Ok(Answered::technical(&fault)),
        Ok(Outcome::Fault(fault)) => operation
            .fault(&problem(&fault))
            .map(|answer| Answered::of(answer, Some(&fault)))
            .map_err(Refusal::Answer),
        Err(error) => Err(Refusal::Call(error)),
    };
    registry.record(&arm.plugin, verdict(&checked));
    checked
}

fn verdict(checked: &Result<Answered, Refusal>) -> Verdict {
    match checked {
        Err(Refusal::Answer(_)) => Verdict::Bad,
        Err(Refusal::Call(error)) if error.blames_plugin() => Verdict::Bad,
        Ok(_) | Err(_) => Verdict::Good,
    }
}

/// An adapter's fault as a client gets it, if its contract declares it.
pub fn problem(fault: &Fault) -> Problem {
    let fields = fault
        .problems
        .iter()
        .map(|problem| FieldProblem::new(&problem.pointer, problem.code.clone(), problem.message.clone()));
    Problem::new(status(fault.kind), fault.code.clone(), fault.message.clone()).with_fields(fields.collect())
}

fn status(kind: FaultKind) -> u16 {
    match kind {
        FaultKind::BadInput => 400,
        FaultKind::Forbidden => 403,
        FaultKind::NotFound => 404,
        FaultKind::Conflict => 409,
        FaultKind::Precondition => 422,
        FaultKind::RateLimited => 429,
        FaultKind::Internal => 500,
        FaultKind::UpstreamUnavailable => 503,
        FaultKind::UpstreamTimeout => 504,
    }
}

impl Answered {
    fn of(answer: Answer, fault: Option<&Fault>) -> Self {
        Self {
            status: answer.status(),
            media_type: answer.media_type(),
            body: answer.into_body(),
            retry_after: fault.and_then(|fault| fault.retry_after),
        }
    }

    /// A fault that no contract need declare. Its text is ours: nothing has checked what the adapter wrote.
    fn technical(fault: &Fault) -> Self {
        let (code, detail) = match fault.kind {
            FaultKind::RateLimited => ("service.rate_limited", "the service takes no more requests for now"),
            FaultKind::UpstreamUnavailable => {
                ("service.upstream_unavailable", "a system that the service depends on is not available")
            }
            FaultKind::UpstreamTimeout => {
                ("service.upstream_timeout", "a system that the service depends on did not answer in time")
            }
            _ => ("service.internal", "the service failed"),
        };
        let problem = Problem::new(status(fault.kind), code, detail);
        Self {
            status: problem.status,
            media_type: Some(PROBLEM_MEDIA_TYPE),
            body: problem.to_json(),
            retry_after: fault.retry_after,
        }
    }

    /// As the element of a SOAP response, or the problem for a fault.
    pub(crate) fn into_soap(self, contract: &Contract, operation: &Operation) -> Result<String, Problem> {
        if self.status < 400 {
            let element = contract.soap_answer(operation, &self.body);
            return element.map_err(|problem| Refusal::Answer(problem).problem());
        }
        let unknown = || Problem::new(self.status, "service.internal", "the service failed");
        Err(Problem::read(&self.body).unwrap_or_else(unknown))
    }

    /// As it goes to the client.
    pub(crate) fn into_response(self, record: &Record) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(media_type) = self.media_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        record.name_exchange(headers);
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
        }
        *response.body_mut() = Full::new(self.body.into());
        response
    }
}
