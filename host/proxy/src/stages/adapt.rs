//! The adapter's turn.

use std::sync::Arc;
use std::time::Instant;

use uuk_contract::{Document, Operation};
use uuk_plugin_host::{Arm, Call, CallContext, CallError, Outcome};
use uuk_process::Clock;

use crate::stages::receive::Head;

/// Calls the adapter with the checked document.
pub(crate) async fn call(
    arm: &Arm,
    operation: &Operation,
    head: &Head,
    document: Document,
    deadline: Instant,
    clock: &Clock,
) -> Result<Outcome, CallError> {
    let context = CallContext {
        exchange_id: head.id.clone(),
        client: head.client.to_string(),
        user: head.user.clone(),
        represented_party: head.represented_party.clone(),
        issue: head.issue.clone(),
        purpose: head.purpose.clone(),
        provider: head.service.provider.to_string(),
        service_code: head.service.code.clone(),
        service_version: arm.contract.version().to_owned(),
        operation: operation.id().to_owned(),
        traceparent: head.traceparent.clone(),
        idempotency_key: head.idempotency_key.clone(),
        received_at: clock.now().to_string(),
        locale: head.locale.clone(),
    };
    let document = document.into_bytes().into();
    arm.plugin.call(Call { context: Arc::new(context), document, deadline }).await.0
}
