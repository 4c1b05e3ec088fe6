use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uppsala::{Document, NodeId, Parser};
use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};

use super::error::ManagementError;
use crate::der::Der;

const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
/// An envelope nests six levels.
const DEPTH_MAX: u32 = 16;

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
    pub(super) fn read(envelope: &[u8]) -> Result<(Self, bool), ManagementError> {
        let malformed = || ManagementError::Body { what: "XML" };
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
    pub(super) fn signer(&self) -> Option<&MemberId> {
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

    /// The element that answers it: itself, with the number under which it is known here.
    pub(super) fn answer(&self, number: u64) -> String {
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
        fields += &field("requestId", &number.to_string());
        let service = self.service();
        format!(
            "<xroad:{service}Response xmlns:xroad=\"{XROAD}\" xmlns:id=\"{IDENTIFIERS}\">{fields}</xroad:{service}Response>"
        )
    }
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

    fn required(self, name: &'static str) -> Result<String, ManagementError> {
        self.text(name).ok_or(ManagementError::Body { what: name })
    }

    fn request(self) -> Result<ManagementRequest, ManagementError> {
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
            _ => return Err(ManagementError::UnknownService),
        })
    }

    fn certificate(self) -> Result<Der, ManagementError> {
        let mut text = self.required("authCert")?;
        text.retain(|character| !character.is_ascii_whitespace());
        let bytes = STANDARD.decode(text).map_err(|_| ManagementError::Body { what: "authCert" })?;
        Ok(Der::new(&bytes)?)
    }

    fn member(self) -> Result<MemberId, ManagementError> {
        Ok(MemberId {
            instance: self.required("xRoadInstance")?,
            class: self.required("memberClass")?,
            code: self.required("memberCode")?,
        })
    }

    fn server(self) -> Result<ServerId, ManagementError> {
        let wrong = || ManagementError::Body { what: "server" };
        let server = self.child("server").ok_or_else(wrong)?;
        let id = ServerId { owner: server.member()?, code: server.required("serverCode")? };
        id.checked().map_err(|_| wrong())
    }

    fn client(self) -> Result<ClientId, ManagementError> {
        let wrong = || ManagementError::Body { what: "client" };
        let client = self.child("client").ok_or_else(wrong)?;
        let member = client.member()?;
        let id = match client.text("subsystemCode") {
            None => ClientId::Member(member),
            Some(code) => ClientId::Subsystem(SubsystemId { member, code }),
        };
        id.checked().map_err(|_| wrong())
    }
}
