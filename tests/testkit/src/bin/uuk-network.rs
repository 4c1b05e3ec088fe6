//! `uuk-network serve FOLDER`: an instance as `FOLDER/network.toml` describes it, until Ctrl-C.
//!
//! Writes into the folder what members are given: `anchor.xml`, the authorities' certificates, and for each server a
//! folder with its keys and certificates. All keys are new each time, and not encrypted: they protect nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use uuk_identifiers::ClientId;
use uuk_testkit::authority::KeyKind;
use uuk_testkit::network::{
    CertificationOptions, Instance, InstanceOptions, Server, SourceOptions, certificate_pem,
};

/// `network.toml`. Members, subsystems and servers are named without the instance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// The name of the instance.
    instance: String,
    /// What keys are made.
    #[serde(default)]
    keys: Keys,
    /// How certificates name members: `Basic`, `Ejbca`, `FiVRK`, …
    #[serde(default = "Plan::default_profile")]
    profile: String,
    /// Whether an authority below the top one issues the certificates.
    #[serde(default)]
    intermediate: bool,
    #[serde(default)]
    ports: Ports,
    #[serde(default)]
    server: Vec<ServerPlan>,
    #[serde(default)]
    group: Vec<GroupPlan>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
enum Keys {
    #[default]
    #[serde(rename = "p256")]
    P256,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
}

/// Where the servers listen on 127.0.0.1; 0 lets the system choose.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Ports {
    authority: u16,
    ocsp: u16,
    time_stamping: u16,
    configuration: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerPlan {
    /// Such as `GOV/70000001/SS1`.
    id: String,
    /// Where other servers find it.
    address: String,
    /// The members and subsystems that exchange through it.
    #[serde(default)]
    clients: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupPlan {
    code: String,
    members: Vec<String>,
}

impl Plan {
    fn default_profile() -> String {
        "Basic".to_owned()
    }

    fn options(&self) -> InstanceOptions {
        InstanceOptions {
            keys: match self.keys {
                Keys::P256 => KeyKind::P256,
                Keys::Rsa2048 => KeyKind::Rsa2048,
            },
            certification: CertificationOptions {
                profile: self.profile.clone(),
                intermediate: self.intermediate,
                port: self.ports.authority,
                ocsp_port: self.ports.ocsp,
                ..CertificationOptions::new(&format!("{} authority", self.instance))
            },
            time_stamping_port: self.ports.time_stamping,
            source: SourceOptions { port: self.ports.configuration, ..SourceOptions::default() },
            ..InstanceOptions::default()
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [command, folder] = arguments.as_slice() else { bail!("usage: uuk-network serve FOLDER") };
    if command != "serve" {
        bail!("usage: uuk-network serve FOLDER");
    }
    let folder = PathBuf::from(folder);
    let plan = folder.join("network.toml");
    let text = fs::read_to_string(&plan).with_context(|| format!("cannot read {}", plan.display()))?;
    let plan: Plan = toml::from_str(&text).with_context(|| format!("cannot use {}", plan.display()))?;

    let instance = Instance::start_with(&plan.instance, plan.options()).await?;
    for planned in &plan.server {
        let mut server = instance.server(&planned.id, &planned.address)?;
        for client in &planned.clients {
            server = server.client(client)?;
        }
        write_server(&folder, &plan.instance, &server, planned)?;
    }
    for group in &plan.group {
        let members: Vec<_> = group.members.iter().map(String::as_str).collect();
        instance.group(&group.code, &members)?;
    }
    fs::write(folder.join("top.pem"), certificate_pem(instance.authority.top())?)?;
    fs::write(folder.join("time-stamping.pem"), certificate_pem(instance.time_stamping.certificate())?)?;
    // Last: who waits for it finds everything else.
    fs::write(folder.join("anchor.xml"), instance.anchor().write())?;

    println!("configuration  {}", instance.source.url());
    println!("authority      {}", instance.authority.url());
    println!("OCSP           {}", instance.authority.ocsp().url());
    println!("time-stamping  {}", instance.time_stamping.url());
    println!("anchor         {}", folder.join("anchor.xml").display());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Writes the server's authentication key and a signing key for each member that exchanges through it, as
/// `servers/CLASS-CODE-SERVER/authentication.key` and `signing-CLASS-CODE.key`, with a `.pem` beside each.
fn write_server(folder: &Path, instance: &str, server: &Server, planned: &ServerPlan) -> Result<()> {
    let folder = folder.join("servers").join(planned.id.replace('/', "-"));
    fs::create_dir_all(&folder)?;
    server.authentication().write(&folder, "authentication")?;
    let owner = &server.id().owner;
    let mut members = BTreeSet::from([format!("{}/{}", owner.class, owner.code)]);
    for client in &planned.clients {
        let client: ClientId = format!("{instance}/{client}").parse()?;
        members.insert(format!("{}/{}", client.member().class, client.member().code));
    }
    for member in members {
        server.signing(&member)?.write(&folder, &format!("signing-{}", member.replace('/', "-")))?;
    }
    Ok(())
}
