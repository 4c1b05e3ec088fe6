//! Adapters answer SOAP by the operations that JSON calls.

use std::time::Instant;

use uuk_contract::{FieldProblem, Operation, SoapCall};
use uuk_identifiers::GlobalGroupId;
use uuk_message::{RelatedError, SoapHeader, SoapMessage};
use uuk_plugin_host::Arm;
use uuk_serverconf::ServicePath;

use crate::backend::BackendError;
use crate::exchange::{Attachment, ExchangeError};
use crate::fault::{self, Record, Refusal};
use crate::incoming::IncomingError;
use crate::provider::{Conditions, Provider};
use crate::related::Related;
use crate::stages::answer::Answered;
use crate::stages::authorize;
use crate::stages::receive::Head;

/// The adapter that answers a SOAP request, and the operation that the service is.
pub(super) struct Adapter {
    arm: Arm,
    head: Head,
    operation: String,
}

impl Adapter {
    /// Finds what answers the service, if an adapter does.
    pub(super) fn find(
        provider: &Provider,
        conditions: &Conditions,
        asked: &SoapHeader,
    ) -> Result<Option<Self>, Refusal> {
        let Some((service, _)) = provider.soap_service(conditions, &asked.service) else { return Ok(None) };
        let head = Head::of_soap(asked, service);
        let arm = provider.find(conditions, &head)?;
        Ok(Some(Self { arm, head, operation: asked.service.code.clone() }))
    }

    /// Checks the client's right to the operation, and that it says what for: as for the same call in REST.
    pub(super) fn authorize(
        &self,
        conditions: &Conditions,
        is_in_global_group: impl Fn(&GlobalGroupId) -> bool,
    ) -> Result<(), Refusal> {
        let operation = self.operation()?;
        let rights = conditions.clients.rights(&self.head.client, &self.head.service, is_in_global_group);
        let path = ServicePath::of_operation(operation.path());
        if !rights.cover(operation.method().into(), &path) {
            return Err(Refusal::AccessDenied);
        }
        authorize::purpose(&conditions.catalog, &self.head.service, self.head.says_purpose())
    }

    /// Answers with an envelope like the request's, or with the fault that REST would get as a problem.
    pub(super) async fn answer(
        &self,
        provider: &Provider,
        request: &Related,
        record: &mut Record,
    ) -> Result<SoapMessage, ExchangeError> {
        let answered = self.call(provider, request, record).await;
        let element = answered
            .map_err(|refusal| refusal.problem())
            .and_then(|(operation, answered)| answered.into_soap(&self.arm.contract, operation));
        match element {
            Ok(element) => {
                let answer = request.message.with_body(&element);
                answer.map_err(|error| IncomingError::from(RelatedError::from(error)).into())
            }
            Err(problem) => Err(BackendError::Fault(Box::new(fault::of_adapter(&problem))).into()),
        }
    }

    async fn call(
        &self,
        provider: &Provider,
        request: &Related,
        record: &mut Record,
    ) -> Result<(&Operation, Answered), Refusal> {
        let started = Instant::now();
        let operation = self.operation()?;
        let envelope = std::str::from_utf8(request.message.bytes()).map_err(|_| {
            let problem = FieldProblem::new("", "encoding", "is not UTF-8, which adapters ask for");
            Refusal::Contract(uuk_contract::Refusal::Invalid { problems: vec![problem] })
        })?;
        let mut attachments = Vec::new();
        for Attachment { headers, content } in &request.attachments {
            let id = headers.others.iter().find(|header| header.name.eq_ignore_ascii_case("content-id"));
            let id = id.map_or("", |header| header.value.trim().trim_matches(['<', '>']));
            attachments.push((id, provider.body(Some(content)).await?));
        }
        let attachments: Vec<(&str, &[u8])> =
            attachments.iter().map(|(id, content)| (*id, content.as_ref())).collect();
        let message = SoapCall { envelope, attachments: &attachments };
        let answered =
            provider.call_soap(&self.arm, operation, &self.head, &message, started, record).await?;
        Ok((operation, answered))
    }

    fn operation(&self) -> Result<&Operation, Refusal> {
        self.arm.contract.operation(&self.operation).ok_or(Refusal::UnknownService)
    }
}
