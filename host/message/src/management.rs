//! Management requests: what security servers ask of the central server, and how signatures stand beside them.
//!
//! Source: X-Road's request.xsd; `certs.md` §6 of the reference notes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uppsala::{Document, NodeId, Parser};
use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};
use uuk_pki::{CertificateError, Der, DigestAlgorithm, SignatureAlgorithm, SignatureScheme};

use crate::{Header, PartHeaders, SoapMessage};

const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
/// An envelope nests six levels.
const DEPTH_MAX: u32 = 16;

/// As the header of a part is called that says how it was signed. X-Road looks for exactly these letters.
const ALGORITHM: &str = "signature-algorithm-id";

/// Why something is no management request, or no answer to one.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "management.")]
#[non_exhaustive]
pub enum ManagementRequestError {
    /// No request of X-Road's is called so.
    #[error("no such request is taken here")]
    UnknownService,
    /// Something in its body is missing or wrong.
    #[error("`{what}` in the body of the request is missing or wrong")]
    Body {
        /// What.
        what: &'static str,
    },
    /// The certificate that it is about.
    #[error("the certificate in the request cannot be used")]
    Certificate(#[from] CertificateError),
}

impl ManagementRequestError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.code(),
            other => other.into(),
        }
    }
}

/// What a security server asks of the central server. The names are those of X-Road's services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum ManagementRequest {
    /// Registers an authentication certificate, and the server with it if it is new.
    AuthCertReg {
        /// Whose.
        server: ServerId,
        /// Where other servers find it.
        address: Option<String>,
        /// The certificate.
        certificate: Der,
    },
    /// Ends that.
    AuthCertDeletion {
        /// Whose.
        server: ServerId,
        /// The certificate.
        certificate: Der,
    },
    /// Registers a client, and the subsystem with it if it is new.
    ClientReg {
        /// Where.
        server: ServerId,
        /// Who.
        client: ClientId,
        /// What a new subsystem is called.
        name: Option<String>,
    },
    /// Ends that.
    ClientDeletion {
        /// Where.
        server: ServerId,
        /// Who.
        client: ClientId,
    },
    /// Has a client rest.
    ClientDisable {
        /// Where.
        server: ServerId,
        /// Who.
        client: ClientId,
    },
    /// Has it go on.
    ClientEnable {
        /// Where.
        server: ServerId,
        /// Who.
        client: ClientId,
    },
    /// Gives a subsystem another name.
    ClientRename {
        /// Where it is a client.
        server: ServerId,
        /// Which.
        client: ClientId,
        /// The new name.
        name: String,
    },
    /// Gives the server to another of its members.
    OwnerChange {
        /// Which.
        server: ServerId,
        /// To whom.
        client: ClientId,
    },
    /// Moves the server.
    AddressChange {
        /// Which.
        server: ServerId,
        /// Where to.
        address: String,
    },
    /// Says that the server is being maintained.
    MaintenanceModeEnable {
        /// Which.
        server: ServerId,
        /// Why, for people.
        message: Option<String>,
    },
    /// Says that it no longer is.
    MaintenanceModeDisable {
        /// Which.
        server: ServerId,
    },
}

impl ManagementRequest {
    /// Reads the body of an envelope; also says whether it is only to be looked at.
    ///
    /// # Errors
    /// [`ManagementRequestError`].
    pub fn read(envelope: &[u8]) -> Result<(Self, bool), ManagementRequestError> {
        let malformed = || ManagementRequestError::Body { what: "XML" };
        let text = std::str::from_utf8(envelope).map_err(|_| malformed())?;
        let parser = Parser::new().with_max_depth(DEPTH_MAX).with_forbid_dtd(true);
        let document = parser.parse(text).map_err(|_| malformed())?;
        let root = document.document_element().ok_or_else(malformed)?;
        let body = Element { document: &document, node: root }.child("Body").ok_or_else(malformed)?;
        let body = body.children().next().ok_or_else(malformed)?;
        let dry_run = body.text("dryRun").is_some_and(|text| matches!(text.trim(), "true" | "1"));
        Ok((body.request()?, dry_run))
    }

    /// The service by which it is asked for.
    pub fn service(&self) -> &'static str {
        self.into()
    }

    /// The security server that it is about.
    pub fn server(&self) -> &ServerId {
        match self {
            Self::AuthCertReg { server, .. }
            | Self::AuthCertDeletion { server, .. }
            | Self::ClientReg { server, .. }
            | Self::ClientDeletion { server, .. }
            | Self::ClientDisable { server, .. }
            | Self::ClientEnable { server, .. }
            | Self::ClientRename { server, .. }
            | Self::OwnerChange { server, .. }
            | Self::AddressChange { server, .. }
            | Self::MaintenanceModeEnable { server, .. }
            | Self::MaintenanceModeDisable { server } => server,
        }
    }

    /// The member whose signature proves that it is wanted; `None` where nobody gains by it.
    pub fn signer(&self) -> Option<&MemberId> {
        match self {
            Self::AuthCertDeletion { .. } | Self::ClientDeletion { .. } => None,
            Self::ClientReg { client, .. }
            | Self::ClientDisable { client, .. }
            | Self::ClientEnable { client, .. }
            | Self::ClientRename { client, .. }
            | Self::OwnerChange { client, .. } => Some(client.member()),
            Self::AuthCertReg { server, .. }
            | Self::AddressChange { server, .. }
            | Self::MaintenanceModeEnable { server, .. }
            | Self::MaintenanceModeDisable { server } => Some(&server.owner),
        }
    }

    /// Whether an operator decides on it: of what would let someone in.
    pub fn needs_approval(&self) -> bool {
        matches!(self, Self::AuthCertReg { .. } | Self::ClientReg { .. } | Self::OwnerChange { .. })
    }

    /// The element that asks for it; with `dry_run`, which only registration knows, it is only looked at.
    pub fn to_xml(&self, dry_run: bool) -> String {
        let dry_run = if dry_run { field("dryRun", "true") } else { String::new() };
        self.element("", &dry_run)
    }

    /// The element that answers it: itself, with the number under which the central server knows it.
    pub fn answer(&self, number: u64) -> String {
        self.element("Response", &field("requestId", &number.to_string()))
    }

    /// The number in an answer.
    ///
    /// # Errors
    /// If there is none.
    pub fn number(answer: &SoapMessage) -> Result<u64, ManagementRequestError> {
        let texts = answer.body_texts(["requestId"]).ok();
        let number = texts.and_then(|[number]| number?.trim().parse().ok());
        number.ok_or(ManagementRequestError::Body { what: "requestId" })
    }

    fn element(&self, suffix: &str, last: &str) -> String {
        let mut fields = server_element(self.server());
        match self {
            Self::AuthCertReg { address, certificate, .. } => {
                fields += &address.as_ref().map(|address| field("address", address)).unwrap_or_default();
                fields += &field("authCert", &STANDARD.encode(certificate.as_bytes()));
            }
            Self::AuthCertDeletion { certificate, .. } => {
                fields += &field("authCert", &STANDARD.encode(certificate.as_bytes()));
            }
            Self::ClientReg { client, name, .. } => {
                fields += &client_element(client);
                fields += &name.as_ref().map(|name| field("subsystemName", name)).unwrap_or_default();
            }
            Self::ClientRename { client, name, .. } => {
                fields += &client_element(client);
                fields += &field("subsystemName", name);
            }
            Self::ClientDeletion { client, .. }
            | Self::ClientDisable { client, .. }
            | Self::ClientEnable { client, .. }
            | Self::OwnerChange { client, .. } => fields += &client_element(client),
            Self::AddressChange { address, .. } => fields += &field("address", address),
            Self::MaintenanceModeEnable { message, .. } => {
                fields += &message.as_ref().map(|message| field("message", message)).unwrap_or_default();
            }
            Self::MaintenanceModeDisable { .. } => {}
        }
        let name = format!("xroad:{}{suffix}", self.service());
        format!("<{name} xmlns:xroad=\"{XROAD}\" xmlns:id=\"{IDENTIFIERS}\">{fields}{last}</{name}>")
    }
}

/// The headers of a part that is a signature of the envelope.
pub fn signature_headers(algorithm: SignatureAlgorithm) -> PartHeaders {
    let digest = match algorithm.digest {
        DigestAlgorithm::Sha256 => "SHA256",
        DigestAlgorithm::Sha384 => "SHA384",
        DigestAlgorithm::Sha512 => "SHA512",
    };
    let scheme = match algorithm.scheme {
        SignatureScheme::RsaPkcs1 => "RSA",
        SignatureScheme::RsaPss => "RSAandMGF1",
        SignatureScheme::Ecdsa => "ECDSA",
    };
    let mut headers = PartHeaders::of_type("application/octet-stream");
    headers.others.push(Header::new(ALGORITHM, format!("{digest}with{scheme}")));
    headers
}

/// How a part was signed, by the name that Java has for it; `None` if that is not accepted.
pub fn signature_algorithm(headers: &PartHeaders) -> Option<SignatureAlgorithm> {
    let named = headers.others.iter().find(|header| header.name == ALGORITHM)?;
    let (digest, scheme) = named.value.split_once("with")?;
    Some(SignatureAlgorithm {
        digest: match digest {
            "SHA256" => DigestAlgorithm::Sha256,
            "SHA384" => DigestAlgorithm::Sha384,
            "SHA512" => DigestAlgorithm::Sha512,
            _ => return None,
        },
        scheme: match scheme {
            "RSA" => SignatureScheme::RsaPkcs1,
            "RSAandMGF1" => SignatureScheme::RsaPss,
            "ECDSA" => SignatureScheme::Ecdsa,
            _ => return None,
        },
    })
}

fn field(name: &str, value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<xroad:{name}>{value}</xroad:{name}>")
}

fn pieces(element: &str, object_type: &str, pieces: &[(&str, &str)]) -> String {
    // None of the characters that XML escapes but `&` may stand in an identifier; escaped all the same.
    let pieces = pieces.iter().map(|(name, value)| field(name, value).replace("xroad:", "id:"));
    let pieces = pieces.collect::<String>();
    format!("<xroad:{element} id:objectType=\"{object_type}\">{pieces}</xroad:{element}>")
}

fn server_element(server: &ServerId) -> String {
    let ServerId { owner, code } = server;
    let known = [
        ("xRoadInstance", owner.instance.as_str()),
        ("memberClass", &owner.class),
        ("memberCode", &owner.code),
        ("serverCode", code),
    ];
    pieces("server", "SERVER", &known)
}

fn client_element(client: &ClientId) -> String {
    let member = client.member();
    let mut known = vec![
        ("xRoadInstance", member.instance.as_str()),
        ("memberClass", &member.class),
        ("memberCode", &member.code),
    ];
    match client {
        ClientId::Member(_) => pieces("client", "MEMBER", &known),
        ClientId::Subsystem(subsystem) => {
            known.push(("subsystemCode", &subsystem.code));
            pieces("client", "SUBSYSTEM", &known)
        }
    }
}

/// An element, whose children are looked up by local name, as X-Road does.
#[derive(Clone, Copy)]
struct Element<'d> {
    document: &'d Document<'d>,
    node: NodeId,
}

impl<'d> Element<'d> {
    fn name(self) -> &'d str {
        self.document.element(self.node).map_or("", |element| &*element.name.local_name)
    }

    fn children(self) -> impl Iterator<Item = Element<'d>> {
        let document = self.document;
        let elements = document.children_iter(self.node).filter(|node| document.element(*node).is_some());
        elements.map(move |node| Element { document, node })
    }

    /// The child of this name, if there is exactly one: of two, readers could take different ones.
    fn child(self, name: &str) -> Option<Element<'d>> {
        let mut found = self.children().filter(|child| child.name() == name);
        found.next().filter(|_| found.next().is_none())
    }

    fn text(self, name: &str) -> Option<String> {
        let child = self.child(name)?;
        Some(self.document.text_content_deep(child.node))
    }

    fn required(self, name: &'static str) -> Result<String, ManagementRequestError> {
        self.text(name).ok_or(ManagementRequestError::Body { what: name })
    }

    fn request(self) -> Result<ManagementRequest, ManagementRequestError> {
        use ManagementRequest as Request;

        let server = self.server()?;
        let name = || self.text("subsystemName");
        Ok(match self.name() {
            "authCertReg" => {
                let (address, certificate) = (self.text("address"), self.certificate()?);
                Request::AuthCertReg { server, address, certificate }
            }
            "authCertDeletion" => Request::AuthCertDeletion { server, certificate: self.certificate()? },
            "clientReg" => Request::ClientReg { server, client: self.client()?, name: name() },
            "clientDeletion" => Request::ClientDeletion { server, client: self.client()? },
            "clientDisable" => Request::ClientDisable { server, client: self.client()? },
            "clientEnable" => Request::ClientEnable { server, client: self.client()? },
            "clientRename" => Request::ClientRename {
                server,
                client: self.client()?,
                name: self.required("subsystemName")?,
            },
            "ownerChange" => Request::OwnerChange { server, client: self.client()? },
            "addressChange" => Request::AddressChange { server, address: self.required("address")? },
            "maintenanceModeEnable" => {
                Request::MaintenanceModeEnable { server, message: self.text("message") }
            }
            "maintenanceModeDisable" => Request::MaintenanceModeDisable { server },
            _ => return Err(ManagementRequestError::UnknownService),
        })
    }

    fn certificate(self) -> Result<Der, ManagementRequestError> {
        let mut text = self.required("authCert")?;
        text.retain(|character| !character.is_ascii_whitespace());
        let bytes = STANDARD.decode(text).map_err(|_| ManagementRequestError::Body { what: "authCert" })?;
        Ok(Der::new(&bytes)?)
    }

    fn member(self) -> Result<MemberId, ManagementRequestError> {
        Ok(MemberId {
            instance: self.required("xRoadInstance")?,
            class: self.required("memberClass")?,
            code: self.required("memberCode")?,
        })
    }

    fn server(self) -> Result<ServerId, ManagementRequestError> {
        let wrong = || ManagementRequestError::Body { what: "server" };
        let server = self.child("server").ok_or_else(wrong)?;
        let id = ServerId { owner: server.member()?, code: server.required("serverCode")? };
        id.checked().map_err(|_| wrong())
    }

    fn client(self) -> Result<ClientId, ManagementRequestError> {
        let wrong = || ManagementRequestError::Body { what: "client" };
        let client = self.child("client").ok_or_else(wrong)?;
        let member = client.member()?;
        let id = match client.text("subsystemCode") {
            None => ClientId::Member(member),
            Some(code) => ClientId::Subsystem(SubsystemId { member, code }),
        };
        id.checked().map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use uuk_testkit::authority::Authority;

    use super::*;
    use crate::Soap;

    fn certificate() -> Der {
        let today = jiff::civil::date(2026, 11, 24);
        let authority = Authority::new("Authority", today).unwrap();
        Der::new(&authority.der()).unwrap()
    }

    fn requests() -> Vec<ManagementRequest> {
        use ManagementRequest as Request;

        let server: ServerId = "KG/GOV/70000001/ss1".parse().unwrap();
        let client: ClientId = "KG/GOV/70000001/a&b".parse().unwrap();
        let (name, certificate) = ("Papers & <maps>".to_owned(), certificate());
        vec![
            Request::AuthCertReg { server: server.clone(), address: None, certificate: certificate.clone() },
            Request::AuthCertReg {
                server: server.clone(),
                address: Some("ss1.example.kg".to_owned()),
                certificate: certificate.clone(),
            },
            Request::AuthCertDeletion { server: server.clone(), certificate },
            Request::ClientReg { server: server.clone(), client: client.clone(), name: None },
            Request::ClientReg { server: server.clone(), client: client.clone(), name: Some(name.clone()) },
            Request::ClientDeletion { server: server.clone(), client: client.clone() },
            Request::ClientDisable { server: server.clone(), client: client.clone() },
            Request::ClientEnable { server: server.clone(), client: client.clone() },
            Request::ClientRename { server: server.clone(), client, name },
            Request::OwnerChange { server: server.clone(), client: "KG/GOV/70000002".parse().unwrap() },
            Request::AddressChange { server: server.clone(), address: "10.0.0.1".to_owned() },
            Request::MaintenanceModeEnable { server: server.clone(), message: None },
            Request::MaintenanceModeEnable { server: server.clone(), message: Some("until noon".to_owned()) },
            Request::MaintenanceModeDisable { server },
        ]
    }

    fn envelope(body: &str) -> String {
        format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>{body}</e:Body></e:Envelope>"
        )
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for request in requests() {
            for dry_run in [false, true] {
                let written = envelope(&request.to_xml(dry_run));
                let read = ManagementRequest::read(written.as_bytes()).unwrap();
                assert_eq!(read, (request.clone(), dry_run), "{written}");
            }
        }
    }

    #[test]
    fn an_answer_has_the_number() {
        let party = "<i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
                     <i:memberCode>1</i:memberCode>";
        for request in requests() {
            let service = request.service();
            let answer = |body: &str| {
                let header = format!(
                    "<x:client i:objectType='MEMBER'>{party}</x:client><x:service i:objectType='SERVICE'>{party}\
                     <i:serviceCode>{service}</i:serviceCode></x:service><x:id>1</x:id>\
                     <x:protocolVersion>4.0</x:protocolVersion>"
                );
                let xml = format!(
                    "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' xmlns:x='{XROAD}' \
                     xmlns:i='{IDENTIFIERS}'><e:Header>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>"
                );
                match Soap::read("text/xml", xml).unwrap() {
                    Soap::Message(message) => message,
                    Soap::Fault(fault) => panic!("{fault:?}"),
                }
            };
            assert_eq!(ManagementRequest::number(&answer(&request.answer(17))).unwrap(), 17);
            let without = format!("<x:{service}Response/>");
            assert_eq!(ManagementRequest::number(&answer(&without)).unwrap_err().code(), "management.body");
            let twice = format!(
                "<x:{service}Response><x:requestId>1</x:requestId><x:requestId>2</x:requestId></x:{service}Response>"
            );
            assert_eq!(ManagementRequest::number(&answer(&twice)).unwrap_err().code(), "management.body");
        }
    }

    #[test]
    fn refuses_bodies_that_readers_could_take_differently() {
        let server = "<server><xRoadInstance>KG</xRoadInstance><memberClass>GOV</memberClass>\
                      <memberCode>1</memberCode><serverCode>ss1</serverCode></server>";
        for (body, code) in [
            ("<formatDisk/>".to_owned(), "management.body"),
            (format!("<formatDisk>{server}</formatDisk>"), "management.unknown_service"),
            (format!("<maintenanceModeDisable>{server}{server}</maintenanceModeDisable>"), "management.body"),
            (format!("<addressChange>{server}</addressChange>"), "management.body"),
            (
                format!("<authCertDeletion>{server}<authCert>!</authCert></authCertDeletion>"),
                "management.body",
            ),
            ("<maintenanceModeDisable>".to_owned(), "management.body"),
        ] {
            let error = ManagementRequest::read(envelope(&body).as_bytes()).unwrap_err();
            assert_eq!(error.code(), code, "{body}");
        }
        let with_type = format!("<!DOCTYPE e>{}", envelope(""));
        assert_eq!(ManagementRequest::read(with_type.as_bytes()).unwrap_err().code(), "management.body");
    }

    #[test]
    fn algorithms_have_the_names_that_java_has() {
        for (name, digest, scheme) in [
            ("SHA512withRSA", DigestAlgorithm::Sha512, SignatureScheme::RsaPkcs1),
            ("SHA256withECDSA", DigestAlgorithm::Sha256, SignatureScheme::Ecdsa),
            ("SHA384withRSAandMGF1", DigestAlgorithm::Sha384, SignatureScheme::RsaPss),
        ] {
            let headers = signature_headers(SignatureAlgorithm { digest, scheme });
            assert_eq!(headers.others, [Header::new("signature-algorithm-id", name)]);
            assert_eq!(signature_algorithm(&headers), Some(SignatureAlgorithm { digest, scheme }));
        }
        for name in ["SHA1withRSA", "SHA512withDSA", "SHA512", ""] {
            let headers = PartHeaders { content_type: None, others: vec![Header::new(ALGORITHM, name)] };
            assert_eq!(signature_algorithm(&headers), None, "{name}");
        }
    }
}
