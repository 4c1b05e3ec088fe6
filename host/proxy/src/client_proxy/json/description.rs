//! The descriptions of other members' services: asked for once, and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use uuid::Uuid;
use uuk_contract::{Contract, percent};
use uuk_identifiers::{ClientId, SoapServiceId};
use uuk_message::{Header, RestMethod, RestRequest, SoapHeader};

use super::not_in_soap;
use crate::client_proxy::{ClientProxy, envelope};
use crate::exchange::ExchangeError;
use crate::fault::Refusal;
use crate::incoming::IncomingError;
use crate::metaservices::{XML_NAMESPACES, element};

/// A service that changes its description answers by the new one after this.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// Descriptions kept at once; each can be some megabytes.
const KEPT_MAX: usize = 64;
/// As long as a contract may be.
const DESCRIPTION_BYTES_MAX: u64 = 4 << 20;

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Rest,
    Soap,
}

/// How a service is called.
pub(super) struct Description {
    pub(super) protocol: Protocol,
    pub(super) contract: Contract,
}

/// The descriptions that are known, and since when.
#[derive(Default)]
pub(in crate::client_proxy) struct Descriptions(Mutex<HashMap<SoapServiceId, (Instant, Arc<Description>)>>);

impl Descriptions {
    fn find(&self, service: &SoapServiceId) -> Option<Arc<Description>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, description) = known.get(service)?;
        (since.elapsed() < KEPT_FOR).then(|| Arc::clone(description))
    }

    fn keep(&self, service: SoapServiceId, description: Arc<Description>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (since, _)| since.elapsed() < KEPT_FOR);
        if known.len() >= KEPT_MAX {
            let oldest = known.iter().min_by_key(|(_, (since, _))| *since);
            let oldest = oldest.map(|(service, _)| service.clone());
            oldest.and_then(|service| known.remove(&service));
        }
        known.insert(service, (Instant::now(), description));
    }
}

impl ClientProxy {
    /// How `service` is called: as its provider says, or said a short time ago. It is asked in the name of `client`.
    pub(super) async fn describe(
        self: &Arc<Self>,
        client: &ClientId,
        service: &SoapServiceId,
    ) -> Result<Arc<Description>, Refusal> {
        if let Some(known) = self.descriptions.find(service) {
            return Ok(known);
        }
        let rest = match service.version {
            None => self.openapi(client, service).await?.map(|found| (Protocol::Rest, found)),
            Some(_) => None,
        };
        let (protocol, document) = match rest {
            Some(rest) => rest,
            None => (Protocol::Soap, self.wsdl(client, service).await?.ok_or(Refusal::NoDescription)?),
        };
        let read = tokio::task::spawn_blocking(move || Contract::read(&document)).await;
        let contract = read.map_err(|_| ExchangeError::GivenUp)?.map_err(Refusal::Description)?;
        let description = Arc::new(Description { protocol, contract });
        self.descriptions.keep(service.clone(), Arc::clone(&description));
        Ok(description)
    }

    /// The OpenAPI document that the provider gives out, if it does.
    async fn openapi(
        self: &Arc<Self>,
        client: &ClientId,
        service: &SoapServiceId,
    ) -> Result<Option<Bytes>, Refusal> {
        let code = percent::encode(&service.code);
        let target = format!("/r1/{}/getOpenAPI?serviceCode={code}", service.provider);
        let headers = [Header::new("X-Road-Client", client.to_string())];
        let [id, request_id] = [(); 2].map(|()| Uuid::new_v4().to_string());
        let request = RestRequest::compose(RestMethod::Get, &target, &headers, &request_id, &id);
        let response = match self.carry(request.map_err(ExchangeError::from)?, None).await {
            Ok(response) if response.status() == StatusCode::OK => response,
            Ok(_) | Err(ExchangeError::Incoming(IncomingError::Fault(_))) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let body = Limited::new(response.into_body(), DESCRIPTION_BYTES_MAX as usize).collect().await;
        let too_large = |_| ExchangeError::from(IncomingError::TooLarge { bytes_max: DESCRIPTION_BYTES_MAX });
        Ok(Some(body.map_err(too_large)?.to_bytes()))
    }

    /// The WSDL that the provider gives out, if it does.
    async fn wsdl(
        self: &Arc<Self>,
        client: &ClientId,
        service: &SoapServiceId,
    ) -> Result<Option<Bytes>, Refusal> {
        let SoapServiceId { provider, code, version } = service;
        let mut body = format!("<xroad:getWsdl {XML_NAMESPACES}>");
        element(&mut body, "xroad:serviceCode", code);
        if let Some(version) = version {
            element(&mut body, "xroad:serviceVersion", version);
        }
        let asked = SoapServiceId { provider: provider.clone(), code: "getWsdl".to_owned(), version: None };
        let header = SoapHeader::new(client.clone(), asked, Uuid::new_v4().to_string());
        let request = envelope::write(&header, &(body + "</xroad:getWsdl>")).map_err(not_in_soap)?;
        let answer = match self.send_soap(envelope::MEDIA_TYPE, request).await {
            Ok(answer) => answer,
            Err(ExchangeError::Incoming(IncomingError::Fault(_))) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(wsdl) = answer.attachments.first() else { return Ok(None) };
        if wsdl.content.size_bytes() > DESCRIPTION_BYTES_MAX {
            let error = IncomingError::TooLarge { bytes_max: DESCRIPTION_BYTES_MAX };
            return Err(ExchangeError::from(error).into());
        }
        Ok(Some(wsdl.content.read().await.map_err(ExchangeError::Spool)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = r#"{"openapi": "3.1.0", "info": {"title": "t", "version": "1.0.0"}, "paths": {"/x": {"get":
        {"operationId": "x", "responses": {"204": {"description": "d"}}}}}}"#;

    #[test]
    fn keeps_so_many_descriptions_and_no_more() {
        let contract = || Contract::read(CONTRACT.as_bytes()).unwrap();
        let service = |code: usize| SoapServiceId {
            provider: "KG/GOV/70000001/registry".parse().unwrap(),
            code: code.to_string(),
            version: None,
        };
        let known = Descriptions::default();
        for code in 0..=KEPT_MAX {
            let description = Description { protocol: Protocol::Rest, contract: contract() };
            known.keep(service(code), Arc::new(description));
        }
        assert!(known.find(&service(0)).is_none(), "the oldest makes room");
        assert!((1..=KEPT_MAX).all(|code| known.find(&service(code)).is_some()));
    }
}
