use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;
use uuk_transport::{ClientAuthentication, IdentityFiles, ListenerConfig, ListenerLimits};

use crate::openid::OpenIdConfig;

/// Section `[console]`: pages and API for people.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// Address and port. Without `identity` on loopback only, for this machine or a reverse proxy with TLS. Port 0 lets
    /// the system choose. Default: `127.0.0.1:8090`.
    pub address: SocketAddr,
    /// Certificate and key, with which it is served over TLS. Default: none, plain HTTP.
    pub identity: Option<IdentityFiles>,
    /// Bounds on what visitors may hold.
    pub limits: ListenerLimits,
    /// The provider with which people may sign in. Default: none, passwords only.
    pub openid: Option<OpenIdConfig>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 8090));
        Self { address, identity: None, limits: ListenerLimits::default(), openid: None }
    }
}

impl ConsoleConfig {
    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(identity) = &mut self.identity {
            identity.resolve(folder);
        }
        if let Some(openid) = &mut self.openid {
            openid.resolve(folder);
        }
    }

    /// What the types cannot say.
    pub fn problems(&self) -> Vec<String> {
        self.openid.as_ref().map(OpenIdConfig::problems).unwrap_or_default()
    }

    pub(crate) fn listener(self) -> ListenerConfig {
        let Self { address, identity, limits, openid: _ } = self;
        let authentication = match identity {
            Some(_) => ClientAuthentication::Tls,
            None => ClientAuthentication::None,
        };
        let (client_certificates, client_authorities) = Default::default();
        ListenerConfig { address, authentication, identity, client_certificates, client_authorities, limits }
    }
}
