//! `cargo xtask layers`: whether crates depend on each other as `[workspace.metadata.layers]` of the root's Cargo.toml
//! allows.
//!
//! Dev-dependencies ship nowhere, so that only one rule speaks of them: what host crates may use of `tests/`.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use crate::project::Project;

/// The only crate of `tests/` that host crates may use.
const TESTKIT: &str = "uuk-testkit";

/// Check that crates depend on each other as the layer table allows
#[derive(Debug, clap::Args)]
pub(crate) struct LayersOptions {
    /// The Cargo.toml of another workspace to check
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

pub(crate) fn run(options: &LayersOptions, project: &Project) -> Result<()> {
    check_workspace(options.manifest_path.clone().unwrap_or_else(|| project.root.join("Cargo.toml")))
}

/// Checks the project itself.
pub(crate) fn check(project: &Project) -> Result<()> {
    check_workspace(project.root.join("Cargo.toml"))
}

fn check_workspace(manifest: PathBuf) -> Result<()> {
    let metadata =
        MetadataCommand::new().manifest_path(manifest).exec().context("cannot read the workspace")?;
    let workspace = Workspace::new(&metadata)?;
    let violations = workspace.violations();
    if !violations.is_empty() {
        bail!("the layer table in Cargo.toml does not allow this:\n  {}", violations.join("\n  "));
    }
    println!("{} crates stand as the layer table says", workspace.members.len());
    Ok(())
}

/// `[workspace.metadata.layers]`.
#[derive(Debug, serde::Deserialize)]
struct Table {
    /// Layers from low to high.
    order: Vec<String>,
    /// `user -> used`: the only arrows inside a layer.
    within: Vec<String>,
    /// Layers and crates that are pure.
    pure: Vec<String>,
    /// What may not stand beneath pure crates.
    impure: Vec<String>,
    /// The host crates of each layer.
    #[serde(flatten)]
    layers: BTreeMap<String, Vec<String>>,
}

/// What a crate is there for, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `host/`: the program.
    Host,
    /// `sdk/`, `examples/`, `plugins/`: adapters and what they depend on.
    Guest,
    /// `tests/`: what does not ship.
    Tests,
}

struct Workspace<'a> {
    table: Table,
    members: BTreeMap<&'a str, (&'a Package, Part)>,
    metadata: &'a Metadata,
}

impl<'a> Workspace<'a> {
    fn new(metadata: &'a Metadata) -> Result<Self> {
        let table = metadata.workspace_metadata.get("layers").cloned().unwrap_or_default();
        let table = serde_json::from_value(table).context("[workspace.metadata.layers]")?;
        let mut members = BTreeMap::new();
        for package in metadata.workspace_packages() {
            let folder = package.manifest_path.strip_prefix(&metadata.workspace_root)?.components().next();
            let part = match folder.map(|folder| folder.as_str()) {
                Some("host") => Part::Host,
                Some("sdk" | "examples" | "plugins") => Part::Guest,
                Some("tests") => Part::Tests,
                _ => bail!("`{}` is in none of the folders that are known", package.name),
            };
            members.insert(package.name.as_str(), (package, part));
        }
        Ok(Self { table, members, metadata })
    }

    /// Every breach, as a sentence that names the crates and the rule.
    fn violations(&self) -> Vec<String> {
        let mut violations = self.table_violations();
        for (package, part) in self.members.values() {
            let edges = package.dependencies.iter();
            violations.extend(edges.filter_map(|dependency| self.edge_violation(package, *part, dependency)));
            violations.extend(self.purity_violations(package));
        }
        violations
    }

    /// The table and the folder `host/` name the same crates.
    fn table_violations(&self) -> Vec<String> {
        let hosts = self.members.iter().filter(|(_, (_, part))| *part == Part::Host);
        let without_layer = hosts
            .filter(|(name, _)| self.layer(name).is_none())
            .map(|(name, _)| format!("`{name}` stands in no layer: every host crate stands in one"));
        let listed =
            self.table.layers.iter().flat_map(|(layer, names)| names.iter().map(move |name| (layer, name)));
        let without_crate = listed
            .filter(|(_, name)| !self.members.contains_key(name.as_str()))
            .map(|(layer, name)| format!("layer {layer} lists `{name}`, which is no crate of the workspace"));
        without_layer.chain(without_crate).collect()
    }

    /// What is wrong with a dependency that stands in the manifest of `package`.
    fn edge_violation(&self, package: &Package, part: Part, dependency: &Dependency) -> Option<String> {
        let (user, used) = (package.name.as_str(), dependency.name.as_str());
        let (_, used_part) = self.members.get(used)?;
        let for_tests = dependency.kind == DependencyKind::Development;
        match (part, used_part) {
            (Part::Host, Part::Tests) if for_tests && used == TESTKIT => None,
            (Part::Host, Part::Tests) => Some(format!(
                "`{user}` depends on `{used}`: of tests/, host crates use only `{TESTKIT}`, as a dev-dependency"
            )),
            _ if for_tests => None,
            (Part::Host, Part::Host) => self.layer_violation(user, used),
            (Part::Host, Part::Guest) | (Part::Guest, Part::Host) => {
                Some(format!("`{user}` depends on `{used}`: host and guests share nothing but wit/"))
            }
            (Part::Guest, Part::Tests) => {
                Some(format!("`{user}` depends on `{used}`: nothing of tests/ ships"))
            }
            (Part::Guest, Part::Guest) | (Part::Tests, _) => None,
        }
    }

    /// What is wrong with a host crate that depends on another.
    fn layer_violation(&self, user: &str, used: &str) -> Option<String> {
        // A crate without a layer is a violation of its own.
        let ((user_height, user_layer), (used_height, used_layer)) = (self.layer(user)?, self.layer(used)?);
        let arrow = format!("{user} -> {used}");
        let edge = format!("`{user}` ({user_layer}) depends on `{used}` ({used_layer})");
        if user_height < used_height {
            Some(format!("{edge}: a crate depends on lower layers only"))
        } else if user_height == used_height && !self.table.within.contains(&arrow) {
            Some(format!("{edge}: inside a layer, only along the arrows of `within`"))
        } else {
            None
        }
    }

    /// What stands beneath a pure crate, however deep, and is not pure.
    fn purity_violations(&self, package: &Package) -> Vec<String> {
        let name = package.name.as_str();
        let is_pure = |name: &str| self.table.pure.iter().any(|pure| pure == name);
        if !is_pure(name) && !self.layer(name).is_some_and(|(_, layer)| is_pure(layer)) {
            return Vec::new();
        }
        let paths = self.paths_beneath(package);
        let impure = paths.into_iter().filter(|path| {
            path.last().is_some_and(|used| self.table.impure.iter().any(|impure| impure == used))
        });
        impure
            .map(|path| format!("`{}`: nothing of `impure` stands beneath a pure crate", path.join("` → `")))
            .collect()
    }

    /// Each package beneath `package`, as the shortest way to it, through dependencies that are part of the program.
    fn paths_beneath(&self, package: &Package) -> Vec<Vec<&str>> {
        let nodes = self.metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let nodes: BTreeMap<&PackageId, _> = nodes.map(|node| (&node.id, node)).collect();
        let mut ways: BTreeMap<&PackageId, Vec<&str>> = BTreeMap::new();
        let mut open = VecDeque::from([(&package.id, Vec::new())]);
        while let Some((id, mut way)) = open.pop_front() {
            if ways.contains_key(id) {
                continue;
            }
            way.push(self.metadata[id].name.as_str());
            for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
                if dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                    open.push_back((&dependency.pkg, way.clone()));
                }
            }
            ways.insert(id, way);
        }
        ways.into_values().filter(|way| way.len() > 1).collect()
    }

    /// The layer of a host crate and how high it is.
    fn layer(&self, name: &str) -> Option<(usize, &str)> {
        let holds = |layer: &&String| {
            let crates = self.table.layers.get(layer.as_str());
            crates.is_some_and(|crates| crates.iter().any(|other| other == name))
        };
        let mut layers = self.table.order.iter().enumerate();
        layers.find(|(_, layer)| holds(layer)).map(|(height, layer)| (height, layer.as_str()))
    }
}
