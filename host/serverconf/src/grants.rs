use std::collections::BTreeMap;

use serde::Deserialize;
use uuk_bundle::{Access, Engine};
use uuk_globalconf::{Malformed, from_toml};
use uuk_identifiers::SubsystemId;
use uuk_transport::UpstreamConfig;

/// A grant as the agency writes it, one file per plugin: the only source of a plugin's power.
///
/// Files and databases it names are opened by the program; paths are relative to the grant's own folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantFile {
    /// The plugin's identifier.
    pub plugin: String,
    /// The subsystem whose services it answers.
    pub provider: SubsystemId,
    /// Whether an instance may answer several calls, if the manifest asks for it; no if left out. What the adapter keeps
    /// of one call, it then has in the next of the same client.
    #[serde(default)]
    pub reuse_instances: bool,
    /// Databases, by the manifest's names.
    #[serde(default)]
    pub datasource: BTreeMap<String, DatasourceGrant>,
    /// Upstreams, by the manifest's names.
    #[serde(default)]
    pub upstream: BTreeMap<String, UpstreamConfig>,
    /// Values for the plugin, checked against its schema.
    #[serde(default)]
    pub config: Option<serde_json::Value>,
}

/// Section `[datasource.NAME]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasourceGrant {
    /// Kind of database.
    pub engine: Engine,
    /// `sqlite:FILE`, `postgres://host/db`, `mariadb://host/db`, or `odbc:` and a connection string, without a password.
    pub url: String,
    /// Login name.
    #[serde(default)]
    pub user: Option<String>,
    /// File that holds the password.
    #[serde(default)]
    pub password_file: Option<String>,
    /// Whether the plugin may write.
    #[serde(default)]
    pub access: Access,
    /// Connections open at once; 8 if left out.
    #[serde(default)]
    pub connections_max: Option<u32>,
}

/// Why a grant is refused; the one in force stays.
#[derive(Debug, thiserror::Error)]
#[error("grant is not readable")]
pub struct GrantError(#[source] Malformed);

impl GrantFile {
    /// Reads a grant.
    ///
    /// # Errors
    /// [`GrantError`] names the line.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        from_toml(text).map_err(GrantError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "plugin = 'kg.example.people'\nprovider = 'KG/GOV/70000001/registry'\n";

    #[test]
    fn grants_read_access_unless_it_says_write() {
        let text = format!("{HEAD}[datasource.registry]\nengine = 'sqlite'\nurl = 'sqlite:people.db'");
        assert_eq!(GrantFile::parse(&text).unwrap().datasource["registry"].access, Access::Read);
    }

    #[test]
    fn refuses_a_password_in_the_file_without_repeating_it() {
        let text =
            format!("{HEAD}[datasource.registry]\nengine = 'postgres'\nurl = 'x'\npassword = 'hunter2'");
        let GrantError(malformed) = GrantFile::parse(&text).unwrap_err();
        assert_eq!(malformed.line, 6);
        assert!(
            malformed.reason.contains("`password`") && !malformed.reason.contains("hunter2"),
            "{malformed}"
        );
    }

    #[test]
    fn refuses_an_unknown_kind_of_authentication() {
        let text =
            format!("{HEAD}[upstream.api]\nbase = 'https://a'\nauthentication = {{ kind = 'trust-me' }}");
        assert!(GrantFile::parse(&text).is_err());
    }
}
