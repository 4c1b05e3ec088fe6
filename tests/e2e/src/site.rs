use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::{Timestamp, ToSpan};
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
    folder: PathBuf,
    author: Identity,
    vetter: Identity,
    services: BTreeMap<String, uuk_bundle::BundleDigest>,
}

#[derive(Debug)]
struct Identity {
    key: SoftwareKey,
    certificate: Certificate,
}

impl Site {
    /// Makes the folder with keys, trust and a configuration; `settings` are further lines of `uuk.toml`.
    pub fn new(folder: &Path, address: &str, operations: &str, settings: &str) -> Result<Self> {
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
                "[server]\nid = \"KG/GOV/70000001/ss1\"\n\n\
                 [listener]\naddress = \"{address}\"\n# Plain HTTP: on loopback only, and only because this says so.\n\
                 authentication = \"none\"\n\n[operations]\naddress = \"{operations}\"\n\n{settings}"
            ),
        )?;
        let site = Self {
            folder: folder.to_owned(),
            author: Identity::keep(&authors.issue("Example Integrator", KeyKind::P256)?, folder, "author")?,
            vetter: Identity::keep(&operator.issue("Vetting 2026", KeyKind::P256)?, folder, "vetting")?,
            services: BTreeMap::new(),
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
        let folder = guest.folder();
        let mut manifest = fs::read_to_string(folder.join("plugin.toml"))?;
        if let Some(version) = version {
            let now = Manifest::parse(manifest.as_bytes())?.plugin.version;
            manifest =
                manifest.replacen(&format!("version = \"{now}\""), &format!("version = \"{version}\""), 1);
        }
        let mut parts = BTreeMap::from([
            ("plugin.toml".to_owned(), manifest.clone().into_bytes()),
            ("adapter.wasm".to_owned(), fs::read(guest.build()?)?),
        ]);
        for name in Manifest::parse(manifest.as_bytes())?.files() {
            let bytes = fs::read(folder.join(name)).with_context(|| format!("part {name}"))?;
            parts.insert(name.to_owned(), bytes);
        }
        self.sign(parts)
    }

    /// Signs and vets a bundle of these parts.
    pub fn sign(&self, parts: BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
        let now = Timestamp::now();
        let bundle = Bundle::read(&uuk_bundle::pack(parts)?, &uuk_asic::Profile::bundle().limits)?;
        let authored = uuk_bundle::sign_author(&bundle, &self.author.signer(), now)?;
        let authored = Bundle::read(&authored, &uuk_asic::Profile::bundle().limits)?;
        let plugin = &authored.manifest().plugin;
        let statement = VettingStatement {
            plugin: plugin.id.clone(),
            version: plugin.version.clone(),
            reviewers: vec!["A. Asanova".into(), "B. Bekov".into()],
            tier: "standard".into(),
            grants: "as asked for in the manifest".into(),
            expires: now.checked_add(8760.hours())?,
        };
        Ok(uuk_bundle::vet(&authored, &statement, &self.vetter.signer(), now)?)
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
        let folder = guest.folder();
        let manifest = Manifest::parse(&fs::read(folder.join("plugin.toml"))?)?;
        for service in &manifest.services {
            let contract = fs::read(folder.join(&service.contract))?;
            let id = format!("{PROVIDER}/{}", service.code);
            self.services.insert(id, uuk_bundle::BundleDigest::of(&contract));
        }
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

    fn write_governance(&self) -> Result<()> {
        let mut catalog = String::new();
        for (id, contract) in &self.services {
            writeln!(catalog, "[[service]]\nid = \"{id}\"\ncontract = \"{contract}\"\n")?;
        }
        fs::write(self.folder.join("catalog.toml"), catalog)?;
        let services: Vec<String> = self.services.keys().map(|id| format!("\"{id}\"")).collect();
        let clients = format!("[[client]]\nid = \"{CLIENT}\"\nservices = [{}]\n", services.join(", "));
        Ok(fs::write(self.folder.join("clients.toml"), clients)?)
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
