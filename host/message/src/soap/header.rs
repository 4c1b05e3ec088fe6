//! Reading the header of a SOAP message, one function per field.

use super::*;

pub(super) const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
const REPRESENTATION: &str = "http://x-road.eu/xsd/representation.xsd";

const INSTANCE: &str = "xRoadInstance";
const MEMBER_CLASS: &str = "memberClass";
const MEMBER_CODE: &str = "memberCode";
const SUBSYSTEM_CODE: &str = "subsystemCode";
const SERVICE_CODE: &str = "serviceCode";
const SERVICE_VERSION: &str = "serviceVersion";
const SERVER_CODE: &str = "serverCode";
const PARTY_CLASS: &str = "partyClass";
const PARTY_CODE: &str = "partyCode";

/// The fields that were found so far.
#[derive(Default)]
pub(super) struct HeaderReader {
    client: Option<ClientId>,
    service: Option<SoapServiceId>,
    id: Option<String>,
    protocol_version: Option<String>,
    security_server: Option<ServerId>,
    user_id: Option<String>,
    issue: Option<String>,
    represented_party: Option<RepresentedParty>,
    request_hash: Option<Option<RequestHash>>,
    place: TextPlace,
}

/// Like [`HashPlace`], in the text.
#[derive(Default)]
pub(super) struct TextPlace {
    pub(super) at: usize,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) stale: Option<Range<usize>>,
}

impl HeaderReader {
    /// Reads the element `Header`, which was entered. What it does not know it leaves to others.
    pub(super) fn read(xml: &mut XmlReader<'_>) -> Result<Self, SoapError> {
        let mut header = Self::default();
        let mut indent = None;
        while let Some(tag) = xml.child()? {
            if indent.is_none() && !xml.text_before.is_empty() {
                indent = Some(xml.text_before.to_string()).filter(|text| text.trim_ascii().is_empty());
            }
            header.read_field(xml, &tag, indent.as_deref().unwrap_or_default())?;
        }
        Ok(header)
    }

    fn read_field(&mut self, xml: &mut XmlReader<'_>, tag: &Tag<'_>, indent: &str) -> Result<(), SoapError> {
        if tag.is(REPRESENTATION, "representedParty") {
            return set(&mut self.represented_party, "representedParty", represented_party(xml)?);
        }
        if tag.name.namespace_uri.as_deref() != Some(XROAD) {
            xml.skip()?;
            return Ok(());
        }
        match &*tag.name.local_name {
            "client" => set(&mut self.client, "client", client(xml, tag)?),
            "service" => set(&mut self.service, "service", service(xml, tag)?),
            "securityServer" => set(&mut self.security_server, "securityServer", server(xml, tag)?),
            "userId" => set(&mut self.user_id, "userId", value(xml, "userId")?.0),
            "issue" => set(&mut self.issue, "issue", value(xml, "issue")?.0),
            "protocolVersion" => {
                let (version, _) = value(xml, "protocolVersion")?;
                if !version.starts_with("4.") {
                    return Err(SoapError::ProtocolVersion);
                }
                set(&mut self.protocol_version, "protocolVersion", version)
            }
            "id" => {
                let (id, end) = value(xml, "id")?;
                self.place.follow(tag, end, indent);
                set(&mut self.id, "id", id)
            }
            "requestHash" => {
                let (hash, end) = value(xml, "requestHash")?;
                self.place.stale = Some(tag.start..end);
                set(&mut self.request_hash, "requestHash", RequestHash::parse(&hash))
            }
            _ => {
                xml.skip()?;
                Ok(())
            }
        }
    }

    /// The header, if it is complete.
    pub(super) fn finish(self) -> Result<(SoapHeader, TextPlace), SoapError> {
        let missing = |field| SoapError::MissingField { field };
        let header = SoapHeader {
            protocol_version: self.protocol_version.ok_or(missing("protocolVersion"))?,
            client: self.client.ok_or(missing("client"))?,
            id: self.id.ok_or(missing("id"))?,
            service: self.service.ok_or(missing("service"))?,
            security_server: self.security_server,
            user_id: self.user_id,
            issue: self.issue,
            represented_party: self.represented_party,
            request_hash: self.request_hash.flatten(),
        };
        Ok((header, self.place))
    }
}

impl TextPlace {
    /// The place behind the element `id`, which tells the prefix: where it declares that itself, so does the hash.
    fn follow(&mut self, id: &Tag<'_>, end: usize, indent: &str) {
        let name = match &id.name.prefix {
            Some(prefix) => format!("{prefix}:requestHash"),
            None => "requestHash".to_owned(),
        };
        let declarations = id.namespaces.iter().map(|(prefix, uri)| match &**prefix {
            "" => format!(" xmlns=\"{}\"", escape(uri)),
            prefix => format!(" xmlns:{prefix}=\"{}\"", escape(uri)),
        });
        let declarations: String = declarations.collect();
        self.at = end;
        self.before = format!("{indent}<{name}{declarations} algorithmId=\"{SHA512}\">");
        self.after = format!("</{name}>");
    }
}

fn set<T>(field: &mut Option<T>, name: &'static str, value: T) -> Result<(), SoapError> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(SoapError::RepeatedField { field: name }),
    }
}

/// The text of an element that has nothing else, and where it ends.
fn value(xml: &mut XmlReader<'_>, field: &'static str) -> Result<(String, usize), SoapError> {
    let text = xml.text()?;
    if text.has_children { Err(SoapError::FieldContent { field }) } else { Ok((text.own, text.end)) }
}

/// The texts of the children called `names`, each at most once, as they come in `names`.
pub(super) fn pieces<const N: usize>(
    xml: &mut XmlReader<'_>,
    namespace: &str,
    names: [&'static str; N],
) -> Result<[Option<String>; N], SoapError> {
    let mut pieces = [const { None }; N];
    while let Some(tag) = xml.child()? {
        let place = names.iter().zip(&mut pieces).find(|(name, _)| tag.is(namespace, name));
        match place {
            Some((name, piece)) => set(piece, name, value(xml, name)?.0)?,
            None => drop(xml.skip()?),
        }
    }
    Ok(pieces)
}

fn check_type(tag: &Tag<'_>, field: &'static str, types: &[&str]) -> Result<(), SoapError> {
    match tag.attribute(IDENTIFIERS, "objectType") {
        Some(object_type) if types.contains(&object_type) => Ok(()),
        _ => Err(SoapError::ObjectType { field }),
    }
}

fn present(piece: Option<String>, field: &'static str) -> Result<String, SoapError> {
    piece.ok_or(SoapError::MissingField { field })
}

/// A client by its pieces. X-Road goes by the pieces too, whatever `objectType` says of a subsystem.
fn client_id([instance, class, code, subsystem]: [Option<String>; 4]) -> Result<ClientId, SoapError> {
    let member = MemberId {
        instance: present(instance, INSTANCE)?,
        class: present(class, MEMBER_CLASS)?,
        code: present(code, MEMBER_CODE)?,
    };
    Ok(match subsystem {
        Some(code) => SubsystemId { member, code }.into(),
        None => member.into(),
    })
}

fn client(xml: &mut XmlReader<'_>, tag: &Tag<'_>) -> Result<ClientId, SoapError> {
    check_type(tag, "client", &["MEMBER", "SUBSYSTEM"])?;
    let pieces = pieces(xml, IDENTIFIERS, [INSTANCE, MEMBER_CLASS, MEMBER_CODE, SUBSYSTEM_CODE])?;
    client_id(pieces)?.checked().map_err(|source| SoapError::Identifier { field: "client", source })
}

fn service(xml: &mut XmlReader<'_>, tag: &Tag<'_>) -> Result<SoapServiceId, SoapError> {
    check_type(tag, "service", &["SERVICE"])?;
    let names = [INSTANCE, MEMBER_CLASS, MEMBER_CODE, SUBSYSTEM_CODE, SERVICE_CODE, SERVICE_VERSION];
    let [instance, class, member, subsystem, code, version] = pieces(xml, IDENTIFIERS, names)?;
    let provider = client_id([instance, class, member, subsystem])?;
    let service = SoapServiceId { provider, code: present(code, SERVICE_CODE)?, version };
    service.checked().map_err(|source| SoapError::Identifier { field: "service", source })
}

fn server(xml: &mut XmlReader<'_>, tag: &Tag<'_>) -> Result<ServerId, SoapError> {
    check_type(tag, "securityServer", &["SERVER"])?;
    let names = [INSTANCE, MEMBER_CLASS, MEMBER_CODE, SERVER_CODE];
    let [instance, class, member, code] = pieces(xml, IDENTIFIERS, names)?;
    let owner = MemberId {
        instance: present(instance, INSTANCE)?,
        class: present(class, MEMBER_CLASS)?,
        code: present(member, MEMBER_CODE)?,
    };
    let server = ServerId { owner, code: present(code, SERVER_CODE)? };
    server.checked().map_err(|source| SoapError::Identifier { field: "securityServer", source })
}

fn represented_party(xml: &mut XmlReader<'_>) -> Result<RepresentedParty, SoapError> {
    let [class, code] = pieces(xml, REPRESENTATION, [PARTY_CLASS, PARTY_CODE])?;
    let party = RepresentedParty { class, code: present(code, PARTY_CODE)? };
    party.checked().map_err(|source| SoapError::Identifier { field: "representedParty", source })
}
