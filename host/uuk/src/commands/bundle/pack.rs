//! `uuk bundle pack`: the files of an adapter's project become one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use uuk_asic::Profile;
use uuk_bundle::{Bundle, BundleDigest, COMPONENT, MANIFEST, MAPPING, Manifest, pack};

use super::{read_file, refusal, write_file};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

const FIXTURES: &str = "fixtures";
const BILL_OF_MATERIALS: &str = "sbom.json";

/// Pack an adapter's project into an unsigned bundle
///
/// Takes plugin.toml, the files it refers to, map.toml, fixtures/ and sbom.json if they are there, and the component from
/// `[build].artifact` or adapter.wasm. The same files give the same bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct PackOptions {
    /// Folder with the plugin.toml
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Where to write the bundle [default: NAME-VERSION.asice]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Packed<'a> {
    file: &'a Path,
    digest: BundleDigest,
    content_digest: BundleDigest,
    bytes: usize,
}

pub(super) fn run(options: &PackOptions, terminal: &Terminal) -> Result<(), Failure> {
    let folder = &options.folder;
    let manifest_path = folder.join(MANIFEST);
    let manifest_bytes = read_file(&manifest_path, Manifest::BYTES_MAX)?;
    let manifest = Manifest::parse(&manifest_bytes).map_err(|error| {
        Failure::new(ExitCode::CheckFailed, error.code(), format!("{}: {error}", folder.display()))
    })?;

    let part_bytes_max = Profile::bundle().limits.entry_bytes_max;
    let mut parts = BTreeMap::from([(MANIFEST.to_owned(), manifest_bytes)]);
    parts.insert(COMPONENT.to_owned(), read_file(&find_component(folder, &manifest)?, part_bytes_max)?);
    for name in manifest.files() {
        parts.insert(name.to_owned(), read_file(&folder.join(name), part_bytes_max)?);
    }
    for name in find_optional(folder)? {
        let bytes = read_file(&folder.join(&name), part_bytes_max)?;
        parts.insert(name, bytes);
    }

    let output = options.output.clone().unwrap_or_else(|| default_output(&manifest));
    let packed = pack(parts).map_err(|error| refusal(&manifest_path, &error))?;
    let bundle =
        Bundle::read(&packed, &Profile::bundle().limits).map_err(|error| refusal(&output, &error))?;
    write_file(&output, &packed)?;
    let result = Packed {
        file: &output,
        digest: bundle.digest(),
        content_digest: bundle.content_digest(),
        bytes: packed.len(),
    };
    terminal.step("packed", format_args!("{} parts, {} bytes", bundle.parts().count(), packed.len()));
    terminal.step("next", format_args!("uuk bundle sign {} --role author …", output.display()));
    let text = format!("{}  {}", result.digest, output.display());
    terminal.result("uuk.cli/bundle-pack/v1", &result, text);
    Ok(())
}

fn find_component(folder: &Path, manifest: &Manifest) -> Result<PathBuf, Failure> {
    let built = manifest.build.as_ref().map(|build| folder.join(&build.artifact));
    let candidates: Vec<_> = built.into_iter().chain([folder.join(COMPONENT)]).collect();
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let mut failure =
        Failure::new(ExitCode::Environment, "bundle.no_component", "the component is not built");
    for path in &candidates {
        failure = failure.note(format_args!("there is no `{}`", path.display()));
    }
    Err(failure.help("uuk adapter build"))
}

/// The names of the parts that a project may have without the manifest saying so.
fn find_optional(folder: &Path) -> Result<Vec<String>, Failure> {
    let mut names: Vec<_> = [MAPPING, BILL_OF_MATERIALS].map(str::to_owned).into();
    names.retain(|name| folder.join(name).is_file());
    let fixtures = folder.join(FIXTURES);
    if !fixtures.is_dir() {
        return Ok(names);
    }
    let unreadable = |error: &std::io::Error| {
        let message = format!("cannot read `{}`", fixtures.display());
        Failure::new(ExitCode::Remote, "bundle.file_unreadable", message).note(error)
    };
    for file in std::fs::read_dir(&fixtures).map_err(|error| unreadable(&error))? {
        let file = file.map_err(|error| unreadable(&error))?;
        let name = file.file_name().to_string_lossy().into_owned();
        // Editors and systems leave hidden files.
        if file.path().is_file() && !name.starts_with('.') {
            names.push(format!("{FIXTURES}/{name}"));
        }
    }
    Ok(names)
}

fn default_output(manifest: &Manifest) -> PathBuf {
    let plugin = &manifest.plugin;
    let name = plugin.id.rsplit('.').next().unwrap_or(&plugin.id);
    PathBuf::from(format!("{name}-{}.asice", plugin.version))
}
