//! Private parameters: what an instance tells only its own members.

use std::time::Duration;

use uuk_identifiers::ClientId;

use crate::anchor::Anchor;
use crate::xml::{self, Element, ParametersError, Writer};

/// `private-params.xml` of an instance; V2 and V3 differ only in what is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateParameters {
    /// The instance it is about.
    pub instance: String,
    /// Where the configurations of federated instances come from.
    pub federated: Vec<Anchor>,
    /// How to register with the central server.
    pub management_service: ManagementService,
    /// How long a message may wait for its time-stamp.
    pub time_stamping_interval: Duration,
}

/// The central server's service for registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementService {
    /// Where requests to register authentication certificates go.
    pub registration_url: Option<String>,
    /// DER of the certificate that the central server shows there.
    pub registration_certificate: Option<Vec<u8>>,
    /// Who answers all other management requests.
    pub provider: ClientId,
}

impl PrivateParameters {
    /// Reads `private-params.xml` of any version.
    ///
    /// # Errors
    /// [`ParametersError`] names the line and what is wrong there.
    ///
    /// # Source
    /// X-Road's private-parameters.xsd, V2 and V3.
    pub fn read(file: &[u8]) -> Result<Self, ParametersError> {
        let document = xml::parse(file)?;
        let root = Element::root(&document, "conf")?;
        let service = root.required("managementService")?;
        let certificate = service.optional("authCertRegServiceCert")?;
        let interval = root.required("timeStampingIntervalSeconds")?;
        Ok(Self {
            instance: root.required_text("instanceIdentifier")?,
            federated: root.all("configurationAnchor").map(Anchor::from_element).collect::<Result<_, _>>()?,
            management_service: ManagementService {
                registration_url: service.optional_text("authCertRegServiceAddress")?,
                registration_certificate: certificate.map(|element| element.base64()).transpose()?,
                provider: service.required("managementRequestServiceProviderId")?.client_id()?,
            },
            time_stamping_interval: Duration::from_secs(interval.seconds()?.into()),
        })
    }

    /// The parameters as a file, which fits V2 and V3.
    pub fn write(&self) -> String {
        let mut writer = Writer::new("conf");
        writer.text("instanceIdentifier", &self.instance);
        for anchor in &self.federated {
            writer.element("configurationAnchor", |writer| anchor.write_content(writer));
        }
        let service = &self.management_service;
        writer.element("managementService", |writer| {
            writer.optional_text("authCertRegServiceAddress", service.registration_url.as_deref());
            if let Some(certificate) = &service.registration_certificate {
                writer.base64("authCertRegServiceCert", certificate);
            }
            writer.client_id("managementRequestServiceProviderId", &service.provider);
        });
        writer.text("timeStampingIntervalSeconds", &self.time_stamping_interval.as_secs().to_string());
        writer.finish()
    }
}
