//! The trust file: whose signatures count, by names of PEM files beside it.

use std::path::Path;

use uuk_bundle::Trust;
use uuk_globalconf::TrustList;
use uuk_pki::{Anchors, Certificate};

use super::read_file;
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads a trust file and the certificates that it names, relative to its own folder.
pub(super) fn read(path: &Path) -> Result<Trust, Failure> {
    let wrong = |error: &dyn std::error::Error| {
        let message = format!("`{}`: {error}", path.display());
        Failure::new(ExitCode::Usage, "trust.unreadable", message).causes(error)
    };
    let bytes = read_file(path, FILE_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| wrong(&error.utf8_error()))?;
    let list = TrustList::parse(&text).map_err(|error| wrong(&error))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(Trust {
        author_anchors: read_anchors(folder, &list.author_certificates)?,
        vetting_anchors: read_anchors(folder, &list.vetting_certificates)?,
        revoked: list.revoked.into_iter().collect(),
        minimum_versions: list.minimum_versions,
    })
}

fn read_anchors(folder: &Path, files: &[String]) -> Result<Anchors, Failure> {
    let mut certificates = Vec::new();
    for file in files {
        let path = folder.join(file);
        let read = Certificate::chain_from_pem(&read_file(&path, FILE_BYTES_MAX)?).map_err(|error| {
            let message = format!("`{}`: {error}", path.display());
            Failure::new(ExitCode::Usage, error.code(), message).causes(&error)
        })?;
        certificates.extend(read);
    }
    Ok(Anchors::new(certificates))
}
