//! What is in a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use uuk_asic::{Container, Entry, EntryName, Limits, Profile, opendocument_manifest};

use crate::BundleDigest;
use crate::error::BundleError;
use crate::manifest::{Manifest, Service};
use crate::mapping::{self, MAPPING};

/// The component, in every bundle.
pub const COMPONENT: &str = "adapter.wasm";
/// The manifest, in every bundle.
pub const MANIFEST: &str = "plugin.toml";
/// What the vetters state, in vetted bundles.
pub const VETTING_STATEMENT: &str = "vetting.json";

/// Recorded calls and their answers lie in this folder.
const FIXTURES: &str = "fixtures/";
/// The software bill of materials, optional.
const BILL_OF_MATERIALS: &str = "sbom.json";
const CONTAINER_MANIFEST: &str = "META-INF/manifest.xml";
const MIMETYPE: &str = "mimetype";

/// A complete and well-formed bundle. Nothing is said about who made it.
#[derive(Debug, Clone)]
pub struct Bundle {
    digest: BundleDigest,
    manifest: Manifest,
    component: Arc<[u8]>,
    sql: BTreeMap<String, Arc<str>>,
    mapping: Option<Map<String, Value>>,
    container: Container,
}

/// One part of a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its name, such as `sql/find-person.sql`.
    pub name: &'a EntryName,
    /// Its content.
    pub bytes: &'a Arc<[u8]>,
    /// Its media type, which follows from the name.
    pub media_type: &'static str,
}

impl Bundle {
    /// Reads a bundle from the bytes of its file: a sound container with a valid manifest, the component, every file
    /// that the manifest refers to and nothing else but a mapping, fixtures, bill of materials, vetting statement and signatures.
    ///
    /// # Errors
    /// [`BundleError`], of the variants up to [`BundleError::ContainerManifest`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, BundleError> {
        let profile = Profile { limits: *limits, ..Profile::bundle() };
        let container = Container::read(bytes, &profile)?;
        let part = |name: &str| {
            container.entry(name).ok_or_else(|| BundleError::MissingPart { name: name.to_owned() })
        };

        let manifest = Manifest::parse(part(MANIFEST)?)?;
        let component = Arc::clone(part(COMPONENT)?);
        for name in manifest.files() {
            part(name)?;
        }
        let mut sql = BTreeMap::new();
        for (name, statement) in &manifest.statements {
            let text = std::str::from_utf8(part(&statement.file)?)
                .map_err(|_| BundleError::NotText { name: statement.file.clone() })?;
            sql.insert(name.clone(), Arc::from(text));
        }
        let mapping = container.entry(MAPPING).map(|mapping| mapping::tables(part(MANIFEST)?, mapping));
        let mapping = mapping.transpose()?;
        if mapping.is_some() && manifest.config_schema.is_some() {
            return Err(BundleError::MappingAndConfiguration);
        }

        let bundle = Self { digest: BundleDigest::of(bytes), manifest, component, sql, mapping, container };
        bundle.check_no_stray_part()?;
        if bundle.container.entry(CONTAINER_MANIFEST).map(|bytes| &**bytes)
            != Some(list_parts(bundle.parts()).as_bytes())
        {
            return Err(BundleError::ContainerManifest);
        }
        Ok(bundle)
    }

    fn check_no_stray_part(&self) -> Result<(), BundleError> {
        let referred: BTreeSet<&str> = self.manifest.files().collect();
        let stray = self.parts().find(|part| {
            let name = part.name.as_str();
            !(is_reserved(part.name) || referred.contains(name))
        });
        match stray {
            Some(part) => Err(BundleError::StrayPart { name: part.name.clone() }),
            None => Ok(()),
        }
    }

    /// The digest of the file, which is the bundle's identity.
    pub fn digest(&self) -> BundleDigest {
        self.digest
    }

    /// The digest of what the author wrote, whatever signatures and vetting were added: over a line per part with
    /// its SHA-256 digest and name, ordered by name.
    pub fn content_digest(&self) -> BundleDigest {
        let mut parts: Vec<_> = self.authored_parts().collect();
        parts.sort_by_key(|part| part.name);
        let lines: String =
            parts.iter().map(|part| format!("{} {}\n", BundleDigest::of(part.bytes), part.name)).collect();
        BundleDigest::of(lines.as_bytes())
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The component's bytes.
    pub fn component(&self) -> &Arc<[u8]> {
        &self.component
    }

    /// The OpenAPI document of one of the manifest's services; empty for a service of another manifest.
    pub fn contract(&self, service: &Service) -> &[u8] {
        self.container.entry(&service.contract).map_or(&[], |bytes| bytes)
    }

    /// The SQL text of the statement called `name`.
    pub fn sql(&self, name: &str) -> Option<&Arc<str>> {
        self.sql.get(name)
    }

    /// The JSON Schema of the plugin's configuration, if it has one.
    pub fn config_schema(&self) -> Option<&[u8]> {
        self.manifest.config_schema.as_deref().and_then(|name| self.part(name))
    }

    /// What a mapping's component is told as its configuration, if the bundle has a mapping: the tables of `map.toml` as
    /// `map.NAME`, and the manifest's statements and upstreams as `sql.NAME` and `upstream.NAME`.
    pub fn mapping(&self) -> Option<&Map<String, Value>> {
        self.mapping.as_ref()
    }

    /// The files in `fixtures/`.
    pub fn fixtures(&self) -> impl Iterator<Item = Part<'_>> {
        self.parts().filter(|part| part.name.as_str().starts_with(FIXTURES))
    }

    /// The content of any part.
    pub fn part(&self, name: &str) -> Option<&[u8]> {
        self.container.entry(name).map(|bytes| &**bytes)
    }

    /// All parts but `mimetype` and those in `META-INF`, in the container's order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.container
            .entries()
            .iter()
            .filter(|entry| !entry.name.is_meta() && entry.name.as_str() != MIMETYPE)
            .map(|entry| Part::new(&entry.name, &entry.bytes))
    }

    /// The parts that the author made: all but the vetting statement.
    pub fn authored_parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.parts().filter(|part| part.name.as_str() != VETTING_STATEMENT)
    }

    pub(crate) fn container(&self) -> &Container {
        &self.container
    }
}

impl<'a> Part<'a> {
    pub(crate) fn new(name: &'a EntryName, bytes: &'a Arc<[u8]>) -> Self {
        Self { name, bytes, media_type: media_type(name) }
    }
}

/// Whether a name has its own meaning in a bundle, so that the manifest may not give it another.
pub(crate) fn is_reserved(name: &EntryName) -> bool {
    name.is_meta()
        || matches!(
            name.as_str(),
            MIMETYPE | MANIFEST | COMPONENT | MAPPING | VETTING_STATEMENT | BILL_OF_MATERIALS
        )
        || name.as_str().starts_with(FIXTURES)
}

fn media_type(name: &EntryName) -> &'static str {
    match name.as_str().rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => "application/json",
        Some("sql") => "application/sql",
        Some("toml") => "application/toml",
        Some("wasm") => "application/wasm",
        Some("xml") => "text/xml",
        Some("yaml" | "yml") => "application/yaml",
        _ => "application/octet-stream",
    }
}

/// Assembles a container: the parts, then their list, then `signatures`.
pub(crate) fn assemble(parts: Vec<Entry>, signatures: Vec<Entry>) -> Result<Vec<u8>, BundleError> {
    let list = list_parts(parts.iter().map(|entry| Part::new(&entry.name, &entry.bytes)));
    let list = Entry { name: EntryName::new(CONTAINER_MANIFEST)?, bytes: Arc::from(list.into_bytes()) };
    let entries = parts.into_iter().chain([list]).chain(signatures);
    Ok(Container::new(entries)?.write())
}

fn list_parts<'a>(parts: impl Iterator<Item = Part<'a>>) -> String {
    opendocument_manifest(parts.map(|part| (part.name, part.media_type)))
}

#[cfg(test)]
mod tests;
