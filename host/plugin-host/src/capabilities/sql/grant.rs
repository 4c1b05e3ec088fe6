use std::time::Duration;

use uuk_bundle::{Access, Engine};
use uuk_process::Secret;

use super::ConnectError;
use super::session::SessionOptions;

/// What an agency grants for one datasource of one plugin: which database, and how much of it.
#[derive(Debug, Clone)]
pub struct DatabaseGrant {
    /// Name of the datasource in the plugin's manifest.
    pub datasource: String,
    /// What the address leads to.
    pub engine: Engine,
    /// `sqlite:/var/lib/people.db`, `postgres://db.example.kg/people` or `mysql://db.example.kg/people`, without
    /// password. Servers on other machines are verified by their certificate, unless a parameter `sslmode` says
    /// otherwise; `sslrootcert` (MariaDB: `ssl-ca`) names the authority.
    ///
    /// Or `odbc:` and a connection string without `PWD`, for any engine: then TLS is the driver's affair.
    pub url: String,
    /// The database's user; must be given for servers.
    pub user: Option<String>,
    /// The user's password; servers may know the user by other means.
    pub password: Option<Secret<String>>,
    /// [`Access::Read`] makes the database refuse every write, whatever a statement says.
    pub access: Access,
    /// Whether the plugin may send SQL that its manifest does not contain. It reads only, whatever `access` is.
    pub free_sql: bool,
    /// Connections at once, at least one. One more is opened while a statement is being cancelled.
    pub connections_max: usize,
    /// How long a call waits for a connection, and for locks of SQLite.
    pub acquire_time_max: Duration,
    /// A server itself ends statements after this, should the host fail to.
    pub statement_time_max: Duration,
    /// How the connections are called in the database's own lists: `uuk:kg.example.people@1.2.0`.
    pub application_name: String,
    /// Whether each statement runs with `uuk.client`, `uuk.user` and `uuk.purpose` set, for row-level security.
    /// PostgreSQL only; it costs three more exchanges with the server.
    pub session_variables: bool,
}

impl DatabaseGrant {
    /// Checks it without connecting.
    ///
    /// # Errors
    /// What [`super::Database::connect`] would refuse.
    pub fn check(&self) -> Result<(), ConnectError> {
        SessionOptions::of(self).map(drop)
    }

    /// Checks what does not depend on the engine's notation of addresses.
    pub(super) fn check_login(&self) -> Result<(), ConnectError> {
        let datasource = || self.datasource.clone();
        if self.connections_max == 0 {
            return Err(ConnectError::NoConnections { datasource: datasource() });
        }
        if self.session_variables && (self.engine != Engine::Postgres || self.odbc().is_some()) {
            return Err(ConnectError::SessionVariables { datasource: datasource(), engine: self.engine });
        }
        if let Some(connection) = self.odbc() {
            let names_password = |attribute: &str| {
                let name = attribute.split('=').next().unwrap_or_default().trim();
                ["pwd", "password"].iter().any(|password| name.eq_ignore_ascii_case(password))
            };
            if connection.split(';').any(names_password) {
                return Err(ConnectError::PasswordInAddress { datasource: datasource() });
            }
        } else if self.engine != Engine::Sqlite {
            if self.user.is_none() {
                return Err(ConnectError::NoUser { datasource: datasource() });
            }
            let authority = self.url.split_once("://").map_or("", |(_, rest)| rest);
            let authority = authority.split(['/', '?']).next().unwrap_or_default();
            let user_info = authority.rsplit_once('@').map_or("", |(user_info, _)| user_info);
            if user_info.contains(':') || self.url.contains("password=") {
                return Err(ConnectError::PasswordInAddress { datasource: datasource() });
            }
        }
        Ok(())
    }

    /// The connection string, if the database is reached by ODBC.
    pub(super) fn odbc(&self) -> Option<&str> {
        self.url.strip_prefix("odbc:")
    }

    pub(super) fn wrong_address(&self) -> ConnectError {
        ConnectError::Address { datasource: self.datasource.clone(), engine: self.engine }
    }

    /// Whether the server must prove who it is: it is on another machine, and the address does not say otherwise.
    pub(super) fn must_verify_server(&self, host: &str) -> bool {
        let is_here = matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]") || host.starts_with('/');
        let is_told = self.url.contains("sslmode=") || self.url.contains("ssl-mode=");
        !is_here && !is_told
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::super::postgres;
    use super::*;

    impl DatabaseGrant {
        /// Leave to read, for tests.
        pub(crate) fn reading(engine: Engine, url: &str) -> Self {
            Self {
                datasource: "registry".into(),
                engine,
                url: url.into(),
                user: None,
                password: None,
                access: Access::Read,
                free_sql: false,
                connections_max: 1,
                acquire_time_max: Duration::from_secs(1),
                statement_time_max: Duration::from_secs(1),
                application_name: "uuk".into(),
                session_variables: false,
            }
        }
    }

    fn ssl_mode(url: &str) -> String {
        let grant =
            DatabaseGrant { user: Some("reader".into()), ..DatabaseGrant::reading(Engine::Postgres, url) };
        grant.check_login().unwrap();
        format!("{:?}", postgres::options(&grant).unwrap().get_ssl_mode())
    }

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is() {
        let verified = format!("{:?}", PgSslMode::VerifyFull);
        for url in ["postgres://db.example.kg/people", "postgres://10.0.0.7:5433/people?sslrootcert=ca.pem"] {
            assert_eq!(ssl_mode(url), verified, "{url}");
        }
        for url in ["postgres://127.0.0.1/people", "postgres://%2Frun%2Fpostgresql/people"] {
            assert_ne!(ssl_mode(url), verified, "{url}");
        }
    }

    #[test]
    fn an_operator_may_say_otherwise() {
        let url = "postgres://db.example.kg/people?sslmode=disable";
        assert_eq!(ssl_mode(url), format!("{:?}", PgSslMode::Disable));
    }
}
