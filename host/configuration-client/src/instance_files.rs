use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tracing::warn;
use uuk_globalconf::{
    Dated, DirectoryError, Extensions, FileMetadata, GOVERNANCE, GOVERNANCE_FILE, InstanceGovernance,
    InstanceParameters, PRIVATE_PARAMETERS, ParametersError, PrivateParameters, SHARED_PARAMETERS,
    SharedParameters, Version,
};
use uuk_process::ErrorChain;

use crate::error::SourceError;

pub(crate) const SHARED_FILE: &str = "shared-params.xml";
pub(crate) const PRIVATE_FILE: &str = "private-params.xml";

/// More files of one instance are refused; a central server lists two, and some more for what is optional.
pub(crate) const FILES_MAX: usize = 32;
/// Larger files are refused; those of a country have a few megabytes.
pub(crate) const FILE_BYTES_MAX: usize = 32 << 20;

type ReadExtension = fn(&mut Extensions, &[u8]) -> Result<(), ParametersError>;

/// X-Road's optional parts.
const EXTENSIONS: [(&str, ReadExtension); 3] = [
    ("nextupdate-params.xml", Extensions::read_next_update),
    ("fetchinterval-params.xml", Extensions::read_fetch_interval),
    ("monitoring-params.xml", Extensions::read_monitoring),
];

/// The files of an instance that count, with its parameters read from them: they fit together, whoever said so.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFiles {
    files: BTreeMap<String, KeptFile>,
    parameters: InstanceParameters,
    extensions: Extensions,
}

/// A file and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct KeptFile {
    pub(crate) content: Bytes,
    pub(crate) metadata: FileMetadata,
    pub(crate) version: Version,
}

impl InstanceFiles {
    /// Reads the parameters of `instance` among `files`, which are by name. What `known` holds already is not read again.
    pub(crate) fn read(
        instance: &str,
        files: BTreeMap<String, KeptFile>,
        known: Option<&Self>,
    ) -> Result<Self, SourceError> {
        let shared = files.get(SHARED_FILE).ok_or(SourceError::NoSharedParameters)?;
        let is_known = |name: &str| {
            known.is_some_and(|known| match (files.get(name), known.files.get(name)) {
                (Some(new), Some(old)) => new.content == old.content && new.version == old.version,
                (new, old) => new.is_none() && old.is_none(),
            })
        };
        let mut parameters = match known {
            Some(known) if is_known(SHARED_FILE) && is_known(PRIVATE_FILE) => known.parameters.clone(),
            _ => read_parameters(shared, files.get(PRIVATE_FILE))?,
        };
        check_instance(SHARED_PARAMETERS, &parameters.shared.content.instance, instance)?;
        parameters.shared.expires = shared.metadata.expiration_date;
        if let (Some(private), Some(file)) = (&mut parameters.private, files.get(PRIVATE_FILE)) {
            check_instance(PRIVATE_PARAMETERS, &private.content.instance, instance)?;
            private.expires = file.metadata.expiration_date;
        }
        let extensions = match known {
            Some(known) if EXTENSIONS.iter().all(|(name, _)| is_known(name)) && is_known(GOVERNANCE_FILE) => {
                known.extensions.clone()
            }
            _ => read_extensions(instance, &files),
        };
        Ok(Self { files, parameters, extensions })
    }

    /// By name.
    pub(crate) fn files(&self) -> &BTreeMap<String, KeptFile> {
        &self.files
    }

    pub(crate) fn parameters(&self) -> &InstanceParameters {
        &self.parameters
    }

    pub(crate) fn instance(&self) -> &str {
        &self.parameters.shared.content.instance
    }

    /// The last instant at which all parameters count; none if that is always.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        let private = self.parameters.private.as_ref().and_then(|private| private.expires);
        [self.parameters.shared.expires, private].into_iter().flatten().min()
    }

    /// What the optional files say.
    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

fn read_parameters(shared: &KeptFile, private: Option<&KeptFile>) -> Result<InstanceParameters, SourceError> {
    let unreadable = |file: &str| {
        let file = file.to_owned();
        move |source| SourceError::Parameters { file, source }
    };
    let content = SharedParameters::read(&shared.content, shared.version).map_err(unreadable(SHARED_FILE))?;
    let shared = Dated { content, expires: None };
    let private = private.map(|file| PrivateParameters::read(&file.content)).transpose();
    let private = private.map_err(unreadable(PRIVATE_FILE))?;
    Ok(InstanceParameters { shared, private: private.map(|content| Dated { content, expires: None }) })
}

/// One that cannot be read is passed over: it must not stop a country's exchange. Without the part about governance, no
/// plugin that rests on it serves: nobody knows what was revoked.
fn read_extensions(instance: &str, files: &BTreeMap<String, KeptFile>) -> Extensions {
    let pass_over = |name: &str, error: &dyn Error| {
        warn!(error = %ErrorChain(error), "`{name}` of the global configuration is passed over");
    };
    let mut extensions = Extensions::default();
    for (name, read) in EXTENSIONS {
        if let Some(file) = files.get(name)
            && let Err(error) = read(&mut extensions, &file.content)
        {
            pass_over(name, &error);
        }
    }
    if let Some(file) = files.get(GOVERNANCE_FILE) {
        match read_governance(instance, &file.content) {
            Ok(governance) => extensions.governance = Some(Arc::new(governance)),
            Err(error) => pass_over(GOVERNANCE_FILE, error.as_ref()),
        }
    }
    extensions
}

fn read_governance(instance: &str, file: &[u8]) -> Result<InstanceGovernance, Box<dyn Error>> {
    let governance = InstanceGovernance::read(file)?;
    check_instance(GOVERNANCE, &governance.instance, instance)?;
    Ok(governance)
}

fn check_instance(identifier: &str, inside: &str, expected: &str) -> Result<(), DirectoryError> {
    if inside == expected {
        return Ok(());
    }
    Err(DirectoryError::WrongInstance { identifier: identifier.to_owned(), instance: expected.to_owned() })
}
