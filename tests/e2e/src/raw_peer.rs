use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tokio::sync::watch;
use uuk_asic::{MessageSigner, PendingSignature, SignatureDocuments};
use uuk_message::{
    Boundary, Header, MessageKind, Part, PartHeaders, RestMethod, RestRequest, SoapFault, TransportWriter,
};
use uuk_pki::{Certificate, CertificateId, DigestAlgorithm, OcspRequest, SigningKey};
use uuk_process::Secret;
use uuk_testkit::network::{CertificationAuthority, Identity, Server as Registered};
use uuk_transport::{
    Destination, PeerAddress, PeerConnector, PeerConnectorConfig, PeerIdentity, ReceivedBody,
};

use crate::network::Network;
use crate::site::CLIENT;

/// A security server without scruples: registered, with keys and certificates, it sends what it is given.
pub struct RawPeer {
    /// What the instance knows of it.
    pub registered: Registered,
    /// With what its messages are signed.
    pub signing: Identity,
    connector: PeerConnector,
    _identity: watch::Sender<Option<Arc<PeerIdentity>>>,
}

/// A request as a peer gets it, to be changed after it was signed.
#[derive(Debug, Clone)]
pub struct RawMessage {
    /// What it says that it is.
    pub kind: MessageKind,
    /// About the certificate of the connection.
    pub ocsp_answers: Vec<Bytes>,
    /// The part that is signed first.
    pub request: Bytes,
    /// The part that is signed second, of REST.
    pub body: Option<Bytes>,
    /// The signature.
    pub signature: SignatureDocuments,
}

impl RawPeer {
    /// Registers the security server `GOV/70000002/ss2` with [`CLIENT`] and one more client, `GOV/70000002/office`.
    pub fn join(network: &Network) -> Result<Self> {
        let registered = network.instance.server("GOV/70000002/ss2", "127.0.0.1:1")?;
        let registered = registered.client("GOV/70000002/portal")?.client("GOV/70000002/office")?;
        let signing = registered.signing("GOV/70000002")?;
        let identity = registered.authentication();
        let certificates = vec![Bytes::copy_from_slice(identity.certificate().der())];
        let shown = Arc::new(PeerIdentity { certificates, key: Secret::new(identity.key_der().to_vec()) });
        let (sender, shown) = watch::channel(Some(shown));
        let connector = PeerConnector::new(PeerConnectorConfig::default(), shown);
        Ok(Self { registered, signing, connector, _identity: sender })
    }

    /// A sound request of [`CLIENT`] for `path`.
    pub async fn message(&self, network: &Network, path: &str, body: &'static [u8]) -> Result<RawMessage> {
        self.message_of(network, CLIENT, path, body).await
    }

    /// As [`RawPeer::message`], in the name of another client.
    pub async fn message_of(
        &self,
        network: &Network,
        client: &str,
        path: &str,
        body: &'static [u8],
    ) -> Result<RawMessage> {
        let id = Timestamp::now().as_nanosecond().to_string();
        let client = Header::new("X-Road-Client", client);
        let request = RestRequest::compose(RestMethod::Post, path, &[client], &id, &id)?.bytes().clone();
        self.sign(network, MessageKind::Rest, request, Some(Bytes::from_static(body))).await
    }

    /// A SOAP request without attachments.
    pub async fn soap_message(&self, network: &Network, envelope: String) -> Result<RawMessage> {
        self.sign(network, MessageKind::Soap, envelope.into(), None).await
    }

    async fn sign(
        &self,
        network: &Network,
        kind: MessageKind,
        request: Bytes,
        body: Option<Bytes>,
    ) -> Result<RawMessage> {
        let authority = &network.instance.authority;
        let ocsp_answers =
            vec![ocsp_answer(authority, self.registered.authentication().certificate()).await?];
        let of_signer = ocsp_answer(authority, self.signing.certificate()).await?;
        let key = self.signing.signing_key()?;
        let signer = MessageSigner {
            scheme: key.scheme(),
            certificate: self.signing.certificate(),
            intermediates: &[],
            ocsp_answers: &[of_signer.to_vec()],
        };
        let parts = std::iter::once(&request).chain(&body);
        let parts = parts.map(|part| DigestAlgorithm::Sha512.digest(part)).collect();
        let pending = PendingSignature::new(&signer, &[parts], Timestamp::now())?;
        let value = key.sign_digest(pending.digest())?;
        let signature = pending.complete(&value)?.into_iter().next().context("no signature")?;
        Ok(RawMessage { kind, ocsp_answers, request, body, signature })
    }

    /// Sends a message to the security server at `port`: gives the code of its fault, or `ok`.
    pub async fn send(&self, port: u16, message: &RawMessage) -> Result<String> {
        let (content_type, bytes) = message.write();
        self.send_body(port, message.kind, &content_type, Full::new(bytes)).await
    }

    /// Sends a body that may come as slowly as it likes.
    pub async fn send_body<B>(
        &self,
        port: u16,
        kind: MessageKind,
        content_type: &str,
        body: B,
    ) -> Result<String>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let request = Request::post("/")
            .header(CONTENT_TYPE, content_type)
            .header("x-hash-algorithm", "SHA-512")
            .header("x-proxy-version", "7.8.0");
        let request = match kind {
            MessageKind::Rest => request.header("x-road-message-type", "REST"),
            MessageKind::Soap => request.header("x-original-content-type", "text/xml"),
        };
        let request = request.body(body)?;
        let addresses = [PeerAddress { host: "127.0.0.1".into(), port }];
        let destination = Destination { addresses: &addresses, provider: "any" };
        let anyone = |_, _| async { Ok::<(), Infallible>(()) };
        let response: http::Response<ReceivedBody> =
            self.connector.send(destination, anyone, request).await?;
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).context("no media type")?.to_str()?.to_owned();
        let body = body.collect().await?.to_bytes();
        if content_type.starts_with("multipart/mixed") {
            return Ok("ok".to_owned());
        }
        let fault = SoapFault::read(&content_type, body)?.context("neither message nor fault")?;
        println!("{}: {}", fault.code, fault.string);
        Ok(fault.code)
    }
}

impl RawMessage {
    /// Its media type and bytes.
    pub fn write(&self) -> (String, Bytes) {
        let boundary = Boundary::random([7; 30]);
        let content_type = boundary.content_type();
        let (mut writer, mut out) = (TransportWriter::new(boundary), Vec::new());
        for answer in &self.ocsp_answers {
            writer.write(&mut out, Part::OcspResponse, answer);
        }
        let envelope = PartHeaders::of_type("text/xml; charset=UTF-8");
        let part = match self.kind {
            MessageKind::Rest => Part::RestRequest,
            MessageKind::Soap => Part::Soap(&envelope),
        };
        writer.write(&mut out, part, &self.request);
        if let Some(body) = &self.body {
            writer.write(&mut out, Part::RestBody, body);
        }
        if let Some(chain) = &self.signature.hash_chain {
            writer.write(&mut out, Part::HashChainResult, &chain.result);
            writer.write(&mut out, Part::HashChain, &chain.chain);
        }
        writer.write(&mut out, Part::Signature, &self.signature.signatures);
        writer.finish(&mut out);
        (content_type, out.into())
    }
}

/// What the authority's responder says now.
async fn ocsp_answer(authority: &CertificationAuthority, certificate: &Certificate) -> Result<Bytes> {
    let request = OcspRequest { certificate: CertificateId::new(certificate, authority.top())? }.to_der()?;
    let request = Request::post(authority.ocsp().url()).body(Full::new(Bytes::from(request)))?;
    let http = HyperClient::builder(TokioExecutor::new()).build_http();
    Ok(http.request(request).await?.into_body().collect().await?.to_bytes())
}
