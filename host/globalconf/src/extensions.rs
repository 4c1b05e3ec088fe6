//! Optional parts that a central server may add. Unlike in the parameters, an unknown element is refused, as X-Road's
//! schemas do: each of these files says one thing.

use std::sync::Arc;
use std::time::Duration;

use uuk_identifiers::ClientId;

use crate::InstanceGovernance;
use crate::xml::{self, Element, ParametersError};

/// The shortest time between two questions to an OCSP responder.
const OCSP_FETCH_INTERVAL_MIN: Duration = Duration::from_secs(60);

/// What the optional parts say, or what holds without them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extensions {
    /// Whether an OCSP answer is refused past its `nextUpdate`; yes if nothing is said.
    pub verify_next_update: bool,
    /// How often OCSP answers are fetched; 20 minutes if nothing is said, never more often than once a minute.
    pub ocsp_fetch_interval: Duration,
    /// Who may ask any server for its state and load.
    pub monitoring_client: Option<ClientId>,
    /// Catalog and trust, if the instance says them.
    pub governance: Option<Arc<InstanceGovernance>>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            verify_next_update: true,
            ocsp_fetch_interval: Duration::from_secs(1200),
            monitoring_client: None,
            governance: None,
        }
    }
}

impl Extensions {
    /// Reads `nextupdate-params.xml`.
    ///
    /// # Errors
    /// [`ParametersError`] names the line and what is wrong there.
    pub fn read_next_update(&mut self, file: &[u8]) -> Result<(), ParametersError> {
        self.verify_next_update = read_one(file, "verifyNextUpdate", |element| element.boolean())?;
        Ok(())
    }

    /// Reads `fetchinterval-params.xml`.
    ///
    /// # Errors
    /// [`ParametersError`] names the line and what is wrong there.
    pub fn read_fetch_interval(&mut self, file: &[u8]) -> Result<(), ParametersError> {
        let seconds = read_one(file, "ocspFetchInterval", |element| element.seconds())?;
        self.ocsp_fetch_interval = Duration::from_secs(seconds.into()).max(OCSP_FETCH_INTERVAL_MIN);
        Ok(())
    }

    /// Reads `monitoring-params.xml`.
    ///
    /// # Errors
    /// [`ParametersError`] names the line and what is wrong there.
    pub fn read_monitoring(&mut self, file: &[u8]) -> Result<(), ParametersError> {
        self.monitoring_client = read_one(file, "monitoringClient", |client| {
            client.only(&["monitoringClientId"])?;
            client.optional("monitoringClientId")?.map(|id| id.client_id()).transpose()
        })?;
        Ok(())
    }
}

fn read_one<T>(
    file: &[u8],
    name: &'static str,
    read: impl FnOnce(Element<'_>) -> Result<T, ParametersError>,
) -> Result<T, ParametersError> {
    let document = xml::parse(file)?;
    let root = Element::root(&document, "conf")?;
    root.only(&[name])?;
    read(root.required(name)?)
}
