use std::collections::HashMap;

use uuk_identifiers::ClientId;

use super::{ApprovedCa, CaInfo, Cost, GlobalGroup, Member, MirrorSource, SecurityServer, SharedParameters};
use crate::Version;
use crate::xml::Writer;

impl SharedParameters {
    /// The parameters as a file of their version, leaving out what it has no place for.
    ///
    /// Before V5 nothing says that a server is being maintained, so its subsystems are left out as its clients, as
    /// X-Road's central server does: nobody calls it then.
    ///
    /// # Errors
    /// [`Unregistered`] if a server's owner or client is not among the members.
    pub fn write(&self) -> Result<String, Unregistered> {
        let ids = self.ids();
        let mut writer = Writer::new("conf");
        writer.text("instanceIdentifier", &self.instance);
        if self.version >= Version::V3 {
            self.sources.iter().for_each(|source| write_source(source, &mut writer));
        }
        self.approved_cas.iter().for_each(|ca| self.write_ca(ca, &mut writer));
        for tsa in &self.approved_tsas {
            writer.element("approvedTSA", |writer| {
                writer.text("name", &tsa.name);
                writer.text("url", &tsa.url);
                writer.base64("cert", &tsa.certificate);
                self.write_cost(tsa.cost, writer);
            });
        }
        self.members.iter().for_each(|member| self.write_member(member, &ids, &mut writer));
        for server in &self.security_servers {
            self.write_server(server, &ids, &mut writer)?;
        }
        self.global_groups.iter().for_each(|group| write_group(group, &mut writer));
        writer.element("globalSettings", |writer| {
            for class in &self.member_classes {
                write_class(&class.code, &class.description, writer);
            }
            writer.text("ocspFreshnessSeconds", &self.ocsp_freshness.as_secs().to_string());
        });
        Ok(writer.finish())
    }

    /// An XML id for each member and subsystem.
    fn ids(&self) -> HashMap<ClientId, String> {
        let parties = self.members.iter().flat_map(|member| {
            let subsystems = member.subsystems.iter().map(|one| ClientId::Subsystem(one.id.clone()));
            std::iter::once(ClientId::Member(member.id.clone())).chain(subsystems)
        });
        parties.enumerate().map(|(number, party)| (party, format!("id{number}"))).collect()
    }

    fn write_ca(&self, ca: &ApprovedCa, writer: &mut Writer) {
        writer.element("approvedCA", |writer| {
            writer.text("name", &ca.name);
            writer.text("authenticationOnly", if ca.authentication_only { "true" } else { "false" });
            self.write_ca_info("topCA", &ca.top, writer);
            for intermediate in &ca.intermediates {
                self.write_ca_info("intermediateCA", intermediate, writer);
            }
            writer.text("certificateProfileInfo", &ca.certificate_profile);
            if self.version >= Version::V6 {
                writer.optional_text("defaultCsrFormat", ca.csr_format.as_deref());
            }
            let Some(acme) = ca.acme_server.as_ref().filter(|_| self.version >= Version::V3) else { return };
            writer.element("acmeServer", |writer| {
                writer.text("directoryURL", &acme.directory_url);
                writer.optional_text("ipAddress", acme.ip_address.as_deref());
                if self.version >= Version::V4 {
                    let authentication = acme.authentication_profile.as_deref();
                    writer.optional_text("authenticationCertificateProfileId", authentication);
                    writer.optional_text("signingCertificateProfileId", acme.signing_profile.as_deref());
                }
            });
        });
    }

    fn write_ca_info(&self, name: &str, ca: &CaInfo, writer: &mut Writer) {
        writer.element(name, |writer| {
            writer.base64("cert", &ca.certificate);
            for responder in &ca.ocsp {
                writer.element("ocsp", |writer| {
                    writer.text("url", &responder.url);
                    if let Some(certificate) = &responder.certificate {
                        writer.base64("cert", certificate);
                    }
                    self.write_cost(responder.cost, writer);
                });
            }
        });
    }

    fn write_cost(&self, cost: Cost, writer: &mut Writer) {
        if self.version >= Version::V6 && cost != Cost::Undefined {
            writer.text("costType", cost.into());
        }
    }

    fn write_member(&self, member: &Member, ids: &HashMap<ClientId, String>, writer: &mut Writer) {
        let id = |party: ClientId| ids.get(&party).map(String::as_str).unwrap_or_default();
        writer.element(&format!("member id=\"{}\"", id(ClientId::Member(member.id.clone()))), |writer| {
            write_class(&member.id.class, &member.class_description, writer);
            writer.text("memberCode", &member.id.code);
            writer.text("name", &member.name);
            for subsystem in &member.subsystems {
                let id = id(ClientId::Subsystem(subsystem.id.clone()));
                writer.element(&format!("subsystem id=\"{id}\""), |writer| {
                    writer.text("subsystemCode", &subsystem.id.code);
                    if self.version >= Version::V5 {
                        writer.optional_text("subsystemName", subsystem.name.as_deref());
                    }
                });
            }
        });
    }

    fn write_server(
        &self,
        server: &SecurityServer,
        ids: &HashMap<ClientId, String>,
        writer: &mut Writer,
    ) -> Result<(), Unregistered> {
        let registered = |party: &ClientId| {
            let unregistered = || Unregistered { server: server.id.code.clone(), party: party.to_string() };
            ids.get(party).ok_or_else(unregistered)
        };
        let owner = registered(&ClientId::Member(server.id.owner.clone()))?;
        let maintenance = server.maintenance.as_ref();
        let told = self.version >= Version::V5 || maintenance.is_none();
        let clients = server.clients.iter().filter(|client| told || matches!(client, ClientId::Member(_)));
        let clients: Vec<_> = clients.map(registered).collect::<Result<_, _>>()?;
        writer.element("securityServer", |writer| {
            writer.text("owner", owner);
            writer.text("serverCode", &server.id.code);
            writer.optional_text("address", server.address.as_deref());
            for hash in &server.certificate_hashes {
                writer.base64("authCertHash", hash);
            }
            for client in clients {
                writer.text("client", client);
            }
            if let Some(maintenance) = maintenance.filter(|_| self.version >= Version::V5) {
                writer.element("inMaintenanceMode", |writer| {
                    writer.optional_text("message", maintenance.message.as_deref());
                });
            }
        });
        Ok(())
    }
}

/// A server to be written belongs to, or serves, someone who is not among the members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{party}` of the security server `{server}` is not among the members")]
pub struct Unregistered {
    /// The server's code.
    pub server: String,
    /// The owner or client.
    pub party: String,
}

fn write_source(source: &MirrorSource, writer: &mut Writer) {
    writer.element("source", |writer| {
        writer.text("address", &source.address);
        for certificate in &source.internal_certificates {
            writer.base64("internalVerificationCert", &certificate.0);
        }
        for certificate in &source.external_certificates {
            writer.base64("externalVerificationCert", &certificate.0);
        }
    });
}

fn write_group(group: &GlobalGroup, writer: &mut Writer) {
    writer.element("globalGroup", |writer| {
        writer.text("groupCode", &group.code);
        writer.text("description", &group.description);
        for member in &group.members {
            writer.client_id("groupMember", member);
        }
    });
}

fn write_class(code: &str, description: &str, writer: &mut Writer) {
    writer.element("memberClass", |writer| {
        writer.text("code", code);
        writer.text("description", description);
    });
}
