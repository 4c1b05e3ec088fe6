use std::collections::HashMap;
use std::time::Duration;

use uuk_identifiers::{ClientId, MemberId, ServerId, SubsystemId};

use super::{
    AcmeServer, ApprovedCa, ApprovedTsa, CaInfo, Cost, GlobalGroup, Maintenance, Member, MemberClass,
    MirrorSource, OcspResponder, SecurityServer, SharedParameters, Subsystem,
};
use crate::Version;
use crate::anchor::VerificationCertificate;
use crate::xml::{self, Element, ParametersError, cut};

impl SharedParameters {
    /// Reads `shared-params.xml`. The file does not say its version; the directory that lists it does.
    ///
    /// Elements are found by name in any order and unknown ones are passed over, since each version adds some.
    ///
    /// # Errors
    /// [`ParametersError`] names the line and what is wrong there.
    ///
    /// # Source
    /// X-Road's shared-parameters.xsd, V2 to V6.
    pub fn read(file: &[u8], version: Version) -> Result<Self, ParametersError> {
        let document = xml::parse(file)?;
        let root = Element::root(&document, "conf")?;
        let instance = root.required_text("instanceIdentifier")?;
        let settings = root.required("globalSettings")?;
        let mut parties = Parties::default();
        let members = root.all("member").map(|member| parties.member(member, &instance));
        Ok(Self {
            version,
            sources: root.all("source").map(source).collect::<Result<_, _>>()?,
            approved_cas: root.all("approvedCA").map(approved_ca).collect::<Result<_, _>>()?,
            approved_tsas: root.all("approvedTSA").map(approved_tsa).collect::<Result<_, _>>()?,
            members: members.collect::<Result<_, _>>()?,
            security_servers: root
                .all("securityServer")
                .map(|server| security_server(server, &parties))
                .collect::<Result<_, _>>()?,
            global_groups: root.all("globalGroup").map(global_group).collect::<Result<_, _>>()?,
            member_classes: settings.all("memberClass").map(member_class).collect::<Result<_, _>>()?,
            ocsp_freshness: Duration::from_secs(settings.required("ocspFreshnessSeconds")?.seconds()?.into()),
            instance,
        })
    }
}

/// Members and subsystems by their `id` in the file, by which servers refer to them.
#[derive(Default)]
struct Parties(HashMap<String, ClientId>);

impl Parties {
    fn member(&mut self, element: Element<'_>, instance: &str) -> Result<Member, ParametersError> {
        let class = member_class(element.required("memberClass")?)?;
        let code = element.required_text("memberCode")?;
        let id = MemberId { instance: instance.to_owned(), class: class.code, code };
        self.add(element, ClientId::Member(id.clone()))?;
        let subsystems = element.all("subsystem").map(|subsystem| self.subsystem(subsystem, &id));
        Ok(Member {
            subsystems: subsystems.collect::<Result<_, _>>()?,
            class_description: class.description,
            name: element.required("name")?.text(),
            id,
        })
    }

    fn subsystem(&mut self, element: Element<'_>, member: &MemberId) -> Result<Subsystem, ParametersError> {
        let id = SubsystemId { member: member.clone(), code: element.required_text("subsystemCode")? };
        self.add(element, ClientId::Subsystem(id.clone()))?;
        Ok(Subsystem { id, name: element.optional_text("subsystemName")? })
    }

    fn add(&mut self, element: Element<'_>, party: ClientId) -> Result<(), ParametersError> {
        let id = element.attribute("id").ok_or_else(|| element.wrong("an attribute `id`"))?;
        match self.0.insert(id.to_owned(), party) {
            None => Ok(()),
            Some(_) => Err(ParametersError::DuplicateId { line: element.line(), id: cut(id) }),
        }
    }

    fn referred(&self, reference: Element<'_>) -> Result<&ClientId, ParametersError> {
        let id = reference.text();
        let unknown = || ParametersError::UnknownReference { line: reference.line(), id: cut(&id) };
        self.0.get(id.trim()).ok_or_else(unknown)
    }
}

fn security_server(element: Element<'_>, parties: &Parties) -> Result<SecurityServer, ParametersError> {
    let owner = parties.referred(element.required("owner")?)?.member().clone();
    let clients = element.all("client").map(|client| parties.referred(client).cloned());
    let maintenance = element.optional("inMaintenanceMode")?;
    Ok(SecurityServer {
        id: ServerId { owner, code: element.required_text("serverCode")? },
        address: element.optional_text("address")?.map(|address| address.trim().to_owned()),
        certificate_hashes: element.all_base64("authCertHash")?,
        clients: clients.collect::<Result<_, _>>()?,
        maintenance: maintenance
            .map(|mode| Ok(Maintenance { message: mode.optional_text("message")? }))
            .transpose()?,
    })
}

fn source(element: Element<'_>) -> Result<MirrorSource, ParametersError> {
    let certificates =
        |name| Ok(element.all_base64(name)?.into_iter().map(VerificationCertificate).collect());
    Ok(MirrorSource {
        address: element.required_text("address")?.trim().to_owned(),
        internal_certificates: certificates("internalVerificationCert")?,
        external_certificates: certificates("externalVerificationCert")?,
    })
}

fn approved_ca(element: Element<'_>) -> Result<ApprovedCa, ParametersError> {
    let authentication_only = element.optional("authenticationOnly")?;
    let acme_server = element.optional("acmeServer")?;
    Ok(ApprovedCa {
        name: element.required("name")?.text(),
        authentication_only: authentication_only.map(|only| only.boolean()).transpose()?.unwrap_or(false),
        top: ca_info(element.required("topCA")?)?,
        intermediates: element.all("intermediateCA").map(ca_info).collect::<Result<_, _>>()?,
        certificate_profile: element.required_text("certificateProfileInfo")?.trim().to_owned(),
        csr_format: element.optional_text("defaultCsrFormat")?,
        acme_server: acme_server.map(self::acme_server).transpose()?,
    })
}

fn acme_server(element: Element<'_>) -> Result<AcmeServer, ParametersError> {
    Ok(AcmeServer {
        directory_url: element.required_text("directoryURL")?,
        ip_address: element.optional_text("ipAddress")?,
        authentication_profile: element.optional_text("authenticationCertificateProfileId")?,
        signing_profile: element.optional_text("signingCertificateProfileId")?,
    })
}

fn ca_info(element: Element<'_>) -> Result<CaInfo, ParametersError> {
    let ocsp = element.all("ocsp").map(|responder| {
        Ok(OcspResponder {
            url: responder.required_text("url")?.trim().to_owned(),
            certificate: responder.optional("cert")?.map(certificate).transpose()?,
            cost: cost(responder)?,
        })
    });
    Ok(CaInfo { certificate: certificate(element.required("cert")?)?, ocsp: ocsp.collect::<Result<_, _>>()? })
}

fn approved_tsa(element: Element<'_>) -> Result<ApprovedTsa, ParametersError> {
    Ok(ApprovedTsa {
        name: element.required("name")?.text(),
        url: element.required_text("url")?.trim().to_owned(),
        certificate: certificate(element.required("cert")?)?,
        cost: cost(element)?,
    })
}

/// DER, or what central servers hand on when someone uploaded PEM: the base64 of a PEM file.
fn certificate(element: Element<'_>) -> Result<Vec<u8>, ParametersError> {
    let bytes = element.base64()?;
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes);
    }
    let certificates = uuk_pki::Certificate::chain_from_pem(&bytes);
    let first = certificates.ok().and_then(|certificates| certificates.into_iter().next());
    first.map(|certificate| certificate.der().to_vec()).ok_or_else(|| element.wrong("a certificate"))
}

fn cost(service: Element<'_>) -> Result<Cost, ParametersError> {
    let Some(element) = service.optional("costType")? else { return Ok(Cost::default()) };
    element.text().trim().parse().map_err(|_| element.wrong("`FREE`, `PAID` or `UNDEFINED`"))
}

fn global_group(element: Element<'_>) -> Result<GlobalGroup, ParametersError> {
    Ok(GlobalGroup {
        code: element.required_text("groupCode")?,
        description: element.required("description")?.text(),
        members: element.all("groupMember").map(|member| member.client_id()).collect::<Result<_, _>>()?,
    })
}

fn member_class(element: Element<'_>) -> Result<MemberClass, ParametersError> {
    Ok(MemberClass {
        code: element.required_text("code")?,
        description: element.required("description")?.text(),
    })
}
