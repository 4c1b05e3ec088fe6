use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use sqlx::Connection;
use uuk_asic::Signer;
use uuk_bundle::{Bundle, Manifest, VettingStatement};
use uuk_pki::{Certificate, Password, SoftwareKey};
use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};

use crate::guests::Guest;

/// The subsystem whose services the site answers.
pub const PROVIDER: &str = "KG/GOV/70000001/registry";
/// The client that may call them.
pub const CLIENT: &str = "KG/GOV/70000002/portal";

/// An agency's folder, as `uuk serve` reads it: plain HTTP on loopback ports that the system chooses.
#[derive(Debug)]
pub struct Site {
    /// Environment variables that its server has besides ours.
    pub environment: BTreeMap<String, String>,
    folder: PathBuf,
    author: Identity,
    vetter: Identity,
    services: BTreeMap<String, uuk_bundle::BundleDigest>,
    /// Where the information systems are that answer services themselves.
    backends: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Identity {
    key: SoftwareKey,
    certificate: Certificate,
}

impl Site {
    /// Makes the folder with keys, trust and a configuration; `settings` are further lines of `uuk.toml`.
    pub fn new(folder: &Path, address: &str, operations: &str, settings: &str) -> Result<Self> {
        Self::of_server("KG/GOV/70000001/ss1", folder, address, operations, settings)
    }

    /// As [`Site::new`], of another security server.
    pub fn of_server(
        server: &str,
        folder: &Path,
        address: &str,
        operations: &str,
        settings: &str,
    ) -> Result<Self> {
        for part in ["plugins", "grants", "keys"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let today = jiff::Zoned::now().date();
        let authors = Authority::new("Integrators' Authority", today)?;
        let operator = Authority::new("Operator's Authority", today)?;
        fs::write(folder.join("author-ca.pem"), authors.pem())?;
        fs::write(folder.join("vetting-ca.pem"), operator.pem())?;
        fs::write(
            folder.join("trust.toml"),
            "author_certificates = [\"author-ca.pem\"]\nvetting_certificates = [\"vetting-ca.pem\"]\n",
        )?;
        fs::write(
            folder.join("uuk.toml"),
            format!(
                "[server]\nid = \"{server}\"\n\n\
                 [listener]\naddress = \"{address}\"\n# Plain HTTP: on loopback only, and only because this says so.\n\
                 authentication = \"none\"\n\n[operations]\naddress = \"{operations}\"\n\n{settings}"
            ),
        )?;
        let site = Self {
            environment: BTreeMap::new(),
            folder: folder.to_owned(),
            author: Identity::keep(&authors.issue("Example Integrator", KeyKind::P256)?, folder, "author")?,
            vetter: Identity::keep(&operator.issue("Vetting 2026", KeyKind::P256)?, folder, "vetting")?,
            services: BTreeMap::new(),
            backends: BTreeMap::new(),
        };
        site.write_governance()?;
        Ok(site)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Packs, signs and vets the adapter, as version `version` if one is given.
    pub fn bundle(&self, guest: Guest, version: Option<&str>) -> Result<Vec<u8>> {
        let parts = Parts::of(guest)?;
        self.sign(match version {
            Some(version) => parts.with_version(version)?,
            None => parts,
        })
    }

    /// Packs, signs and vets these parts, for a year.
    pub fn sign(&self, parts: Parts) -> Result<Vec<u8>> {
        self.sign_for(parts, Duration::from_secs(365 * 24 * 3600))
    }

    /// As [`Site::sign`]; the vetting expires after `lifetime`.
    pub fn sign_for(&self, parts: Parts, lifetime: Duration) -> Result<Vec<u8>> {
        let now = Timestamp::now();
        let authored = Bundle::read(&self.author(parts)?, &uuk_asic::Profile::bundle().limits)?;
        let plugin = &authored.manifest().plugin;
        let statement = VettingStatement {
            plugin: plugin.id.clone(),
            version: plugin.version.clone(),
            reviewers: vec!["A. Asanova".into(), "B. Bekov".into()],
            tier: "standard".into(),
            grants: "as asked for in the manifest".into(),
            expires: now.checked_add(lifetime)?,
        };
        Ok(uuk_bundle::vet(&authored, &statement, &self.vetter.signer(), now)?)
    }

    /// Packs these parts and signs them as their author; nobody vets them.
    pub fn author(&self, parts: Parts) -> Result<Vec<u8>> {
        let bundle = Bundle::read(&uuk_bundle::pack(parts.0)?, &uuk_asic::Profile::bundle().limits)?;
        Ok(uuk_bundle::sign_author(&bundle, &self.author.signer(), Timestamp::now())?)
    }

    /// Puts a bundle into the plugin folder the way a careful operator does: written beside, then renamed.
    pub fn drop_bundle(&self, file: &str, bundle: &[u8]) -> Result<()> {
        let folder = self.folder.join("plugins");
        let partial = folder.join(format!(".{file}.part"));
        fs::write(&partial, bundle)?;
        fs::rename(partial, folder.join(file))?;
        Ok(())
    }

    /// Catalogues every service of `guest` under [`PROVIDER`] and gives [`CLIENT`] the right to call it.
    pub fn catalogue(&mut self, guest: Guest) -> Result<()> {
        self.catalogue_parts(&Parts::of(guest)?)
    }

    /// Catalogues every service of these parts likewise.
    pub fn catalogue_parts(&mut self, parts: &Parts) -> Result<()> {
        for service in &parts.manifest()?.services {
            let contract = parts.0.get(&service.contract).context("no contract")?;
            let id = format!("{PROVIDER}/{}", service.code);
            self.services.insert(id, uuk_bundle::BundleDigest::of(contract));
        }
        self.write_governance()
    }

    /// Lets the information system at `base` answer a service of [`PROVIDER`] by itself, and gives [`CLIENT`] the right to
    /// call it.
    pub fn backend(&mut self, service: &str, base: &str) -> Result<()> {
        self.backends.insert(format!("{PROVIDER}/{service}"), base.to_owned());
        self.write_governance()
    }

    /// Writes the grant of a plugin; `grants` are the lines after `plugin` and `provider`.
    pub fn grant(&self, plugin: &str, grants: &str) -> Result<()> {
        let text = format!("plugin = \"{plugin}\"\nprovider = \"{PROVIDER}\"\n\n{grants}");
        Ok(fs::write(self.folder.join("grants").join(format!("{plugin}.toml")), text)?)
    }

    /// Makes an SQLite database in the grants' folder from a script.
    pub async fn sqlite(&self, name: &str, script: &Path) -> Result<()> {
        let path = self.folder.join("grants").join(name);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await?;
        let script = sqlx::AssertSqlSafe(fs::read_to_string(script)?);
        sqlx::raw_sql(script).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Furnishes the site for the people adapter: its service in the catalog, its register in SQLite, and the grant.
    pub async fn people(&mut self) -> Result<()> {
        self.catalogue(Guest::People)?;
        self.sqlite("people.db", &Guest::People.folder().join("data/sqlite.sql")).await?;
        let grant = "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:people.db\"\n";
        self.grant("kg.example.people", grant)
    }

    fn write_governance(&self) -> Result<()> {
        let mut catalog = String::new();
        for (id, contract) in &self.services {
            writeln!(catalog, "[[service]]\nid = \"{id}\"\ncontract = \"{contract}\"\n")?;
        }
        fs::write(self.folder.join("catalog.toml"), catalog)?;
        let mut backends = String::new();
        for (id, base) in &self.backends {
            writeln!(backends, "[[backend]]\nservice = \"{id}\"\nupstream.base = \"{base}\"\n")?;
        }
        if !backends.is_empty() {
            fs::write(self.folder.join("backends.toml"), backends)?;
        }
        let services = self.services.keys().chain(self.backends.keys());
        let services: Vec<String> = services.map(|id| format!("\"{id}\"")).collect();
        let clients = format!(
            "[[client]]\nid = \"{PROVIDER}\"\n\n[[client]]\nid = \"{CLIENT}\"\nservices = [{}]\n",
            services.join(", ")
        );
        Ok(fs::write(self.folder.join("clients.toml"), clients)?)
    }
}

/// What a bundle is made of, by the names in the bundle, to be changed before it is signed.
#[derive(Debug, Clone)]
pub struct Parts(pub BTreeMap<String, Vec<u8>>);

impl Parts {
    /// The parts of an adapter of this project, its component built.
    pub fn of(guest: Guest) -> Result<Self> {
        let folder = guest.folder();
        let manifest = fs::read(folder.join("plugin.toml"))?;
        let mut parts = BTreeMap::from([("adapter.wasm".to_owned(), fs::read(guest.build()?)?)]);
        for name in Manifest::parse(&manifest)?.files() {
            let bytes = fs::read(folder.join(name)).with_context(|| format!("part {name}"))?;
            parts.insert(name.to_owned(), bytes);
        }
        parts.insert("plugin.toml".to_owned(), manifest);
        Ok(Self(parts))
    }

    /// With the fixtures of an adapter of this project.
    pub fn with_fixtures(mut self, guest: Guest) -> Result<Self> {
        for file in fs::read_dir(guest.folder().join("fixtures"))? {
            let file = file?;
            let name = format!("fixtures/{}", file.file_name().to_string_lossy());
            self.0.insert(name, fs::read(file.path())?);
        }
        Ok(self)
    }

    /// The manifest.
    pub fn manifest(&self) -> Result<Manifest> {
        Ok(Manifest::parse(self.0.get("plugin.toml").context("no manifest")?)?)
    }

    /// With another version.
    pub fn with_version(self, version: &str) -> Result<Self> {
        let now = self.manifest()?.plugin.version;
        self.with_manifest(&format!("version = \"{now}\""), &format!("version = \"{version}\""))
    }

    /// As another plugin, answering another service.
    pub fn with_names(self, plugin: &str, service: &str) -> Result<Self> {
        let manifest = self.manifest()?;
        let code = &manifest.services.first().context("no service")?.code;
        self.with_manifest(&format!("id = \"{}\"", manifest.plugin.id), &format!("id = \"{plugin}\""))?
            .with_manifest(&format!("code = \"{code}\""), &format!("code = \"{service}\""))
    }

    /// With the first `from` in the manifest replaced by `to`.
    pub fn with_manifest(mut self, from: &str, to: &str) -> Result<Self> {
        let manifest = self.0.get_mut("plugin.toml").context("no manifest")?;
        let text = std::str::from_utf8(manifest)?;
        anyhow::ensure!(text.contains(from), "the manifest has no `{from}`");
        *manifest = text.replacen(from, to, 1).into_bytes();
        Ok(self)
    }

    /// With another part, or other bytes in one.
    #[must_use]
    pub fn with_part(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(name.to_owned(), bytes.into());
        self
    }

    /// With a custom section of this name in the component: other bytes, the same behaviour.
    pub fn with_custom_section(mut self, name: &str) -> Result<Self> {
        let component = self.0.get_mut("adapter.wasm").context("no component")?;
        let length = u8::try_from(name.len())?;
        anyhow::ensure!(length < 127, "the name is too long for a length of one byte");
        component.extend([0, length + 1, length]);
        component.extend(name.as_bytes());
        Ok(self)
    }
}

impl Identity {
    /// Also leaves the key and certificate in the folder, for the commands that people try.
    fn keep(issued: &SigningIdentity, folder: &Path, name: &str) -> Result<Self> {
        let keys = folder.join("keys");
        fs::write(keys.join(format!("{name}.pem")), issued.encrypted_key_pem("demo")?)?;
        fs::write(keys.join(format!("{name}-certificate.pem")), issued.pem())?;
        fs::write(keys.join("password"), "demo\n")?;
        let password = Password::new(b"demo".to_vec());
        Ok(Self {
            key: SoftwareKey::from_encrypted_pem(issued.encrypted_key_pem("demo")?.as_bytes(), &password)?,
            certificate: Certificate::from_der(&issued.der())?,
        })
    }

    fn signer(&self) -> Signer<'_> {
        Signer { key: &self.key, certificate: &self.certificate, intermediates: &[] }
    }
}
