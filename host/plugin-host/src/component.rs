use std::sync::Arc;

use wasmparser::{CanonicalOption, Encoding, Parser, Payload as Section, Validator, WasmFeatures};
use wasmtime::component::{Component, InstancePre};

use uuk_bundle::Manifest;

use crate::bindings::exports::uuk::adapter::{handler, probe};
use crate::engine::Engine;
use crate::instance::CallState;

/// The largest component that is looked at. Python's are 18 MiB; compiling grows with the size.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;

/// Functions in all core modules of a component together. Python's have about 20,000.
const FUNCTIONS_MAX: u64 = 60_000;

/// Interfaces of WASI that answer with nothing: toolchains import them without their author asking.
const INERT_WASI: [&str; 5] = ["wasi:cli/", "wasi:clocks/", "wasi:io/", "wasi:random/", "wasi:filesystem/"];

/// Why a component is not loaded.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "component.")]
#[non_exhaustive]
pub enum ComponentError {
    /// Larger than [`COMPONENT_BYTES_MAX`].
    #[error("component is larger than {COMPONENT_BYTES_MAX} bytes")]
    TooLarge,
    /// More functions than are compiled.
    #[error("component has more than {FUNCTIONS_MAX} functions")]
    TooManyFunctions,
    /// Compiled code, which would run outside the sandbox.
    #[error("component is already compiled; only WebAssembly is accepted")]
    Precompiled,
    /// A core module where a component is needed.
    #[error("this is a core module, not a component")]
    CoreModule,
    /// Not valid with the features that are on.
    #[error("component is not valid: {reason}")]
    Invalid {
        /// The validator's reason with its offset.
        reason: String,
    },
    /// Strings that are not UTF-8: their conversion has been a way out of the sandbox (CVE-2026-35195).
    #[error("component passes strings that are not UTF-8")]
    StringEncoding,
    /// An import of the adapter contract that the manifest does not ask for.
    #[error("component imports `{import}`, which its manifest does not ask for: {remedy}")]
    ImportNotAsked {
        /// The interface.
        import: String,
        /// What the manifest would need.
        remedy: &'static str,
    },
    /// An import that no adapter may have.
    #[error("component imports `{import}`, which no adapter may have")]
    ImportForbidden {
        /// The interface.
        import: String,
    },
    /// Neither door is exported.
    #[error("component exports neither `uuk:adapter/handler` nor `wasi:http/incoming-handler`")]
    NoHandler,
    /// The manifest asks that instances answer several calls, and this door gives each call its own.
    #[error(
        "instances of a component that exports `wasi:http/incoming-handler` answer one call: take `[reuse]` away"
    )]
    NotReusable,
    /// The contract's version or a type does not fit.
    #[error("component does not fit adapter contract {}: {reason}", crate::API_VERSION)]
    Mismatch {
        /// wasmtime's reason.
        reason: String,
    },
    /// The compiler gave up.
    #[error("component does not compile: {reason}")]
    Compile {
        /// wasmtime's reason.
        reason: String,
    },
    /// The compiler could not be run, or ended before it had a result.
    #[error("the compiler failed: {reason}")]
    Compiler {
        /// What became of it.
        reason: String,
    },
}

impl ComponentError {
    /// The stable code: `component.import_forbidden`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// A compiled component with its imports resolved, ready to be instantiated.
#[derive(Clone)]
pub(crate) enum Entry {
    /// Exports `uuk:adapter/handler`.
    Adapter(Box<AdapterEntry>),
    /// Exports `wasi:http/incoming-handler`.
    Http(wasmtime_wasi_http::p2::bindings::ProxyPre<CallState>),
}

impl Entry {
    /// Resolves the imports of `component` against the host.
    pub(crate) fn link(engine: &Engine, component: &Component) -> Result<Self, ComponentError> {
        let mismatch = |error: wasmtime::Error| ComponentError::Mismatch { reason: reason(&error) };
        let instance: InstancePre<CallState> =
            engine.linker().instantiate_pre(component).map_err(mismatch)?;
        match door(engine, component)? {
            Door::Adapter => {
                AdapterEntry::new(instance).map(|entry| Self::Adapter(entry.into())).map_err(mismatch)
            }
            Door::Http => {
                wasmtime_wasi_http::p2::bindings::ProxyPre::new(instance).map(Self::Http).map_err(mismatch)
            }
        }
    }
}

/// A component with the places of its two exports: a call loads only the one that it enters.
#[derive(Clone)]
pub(crate) struct AdapterEntry {
    pub(crate) component: InstancePre<CallState>,
    pub(crate) handler: handler::GuestIndices,
    pub(crate) probe: probe::GuestIndices,
}

impl AdapterEntry {
    fn new(component: InstancePre<CallState>) -> wasmtime::Result<Self> {
        let (handler, probe) =
            (handler::GuestIndices::new(&component)?, probe::GuestIndices::new(&component)?);
        Ok(Self { component, handler, probe })
    }
}

/// Which of the two contracts a component answers.
enum Door {
    Adapter,
    Http,
}

fn door(engine: &Engine, component: &Component) -> Result<Door, ComponentError> {
    let r#type = component.component_type();
    let exports = |interface: &str| {
        r#type
            .exports(engine.wasmtime())
            .any(|(name, _)| name.strip_prefix(interface).is_some_and(|rest| rest.starts_with('@')))
    };
    if exports("uuk:adapter/handler") {
        Ok(Door::Adapter)
    } else if exports("wasi:http/incoming-handler") {
        Ok(Door::Http)
    } else {
        Err(ComponentError::NoHandler)
    }
}

/// Reads all of `bytes` before anything is compiled: size, kind, features, string encodings.
///
/// # Errors
/// The first [`ComponentError`] found.
pub fn check_bytes(bytes: &[u8]) -> Result<(), ComponentError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(ComponentError::TooLarge);
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(ComponentError::Precompiled);
    }
    let invalid =
        |error: wasmparser::BinaryReaderError| ComponentError::Invalid { reason: error.to_string() };
    let mut functions = 0u64;
    for (index, section) in Parser::new(0).parse_all(bytes).enumerate() {
        match section.map_err(invalid)? {
            Section::Version { encoding: Encoding::Module, .. } if index == 0 => {
                return Err(ComponentError::CoreModule);
            }
            Section::FunctionSection(section) => functions += u64::from(section.count()),
            Section::ComponentCanonicalSection(section) => {
                for function in section {
                    if canonical_options(&function.map_err(invalid)?).iter().any(not_utf8) {
                        return Err(ComponentError::StringEncoding);
                    }
                }
            }
            _ => {}
        }
        if functions > FUNCTIONS_MAX {
            return Err(ComponentError::TooManyFunctions);
        }
    }
    Validator::new_with_features(features()).validate_all(bytes).map_err(invalid)?;
    Ok(())
}

fn canonical_options(function: &wasmparser::CanonicalFunction) -> &[CanonicalOption] {
    match function {
        wasmparser::CanonicalFunction::Lift { options, .. }
        | wasmparser::CanonicalFunction::Lower { options, .. } => options,
        _ => &[],
    }
}

fn not_utf8(option: &CanonicalOption) -> bool {
    matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16)
}

/// What vetted languages use, and no more.
fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::GC_TYPES
}

/// Checks that every import is one the manifest asks for, or inert.
///
/// # Errors
/// [`ComponentError::ImportNotAsked`] or [`ComponentError::ImportForbidden`] for the first that is not.
pub(crate) fn check_imports(
    engine: &Engine,
    component: &Component,
    manifest: &Manifest,
    is_mapped: bool,
) -> Result<(), ComponentError> {
    let r#type = component.component_type();
    r#type.imports(engine.wasmtime()).try_for_each(|(name, _)| check_import(name, manifest, is_mapped))
}

/// One import, such as `uuk:adapter/sql@0.1.0`. The component of a mapping is the same for all mappings, so that it
/// imports what this one may not ask for; then there is no statement or upstream that it could name.
pub fn check_import(import: &str, manifest: &Manifest, is_mapped: bool) -> Result<(), ComponentError> {
    let interface = import.split('@').next().unwrap_or(import);
    let asked = |has: bool, remedy: &'static str| match has {
        true => Ok(()),
        false => Err(ComponentError::ImportNotAsked { import: import.to_owned(), remedy }),
    };
    match interface {
        "uuk:adapter/types"
        | "uuk:adapter/exchange"
        | "uuk:adapter/log"
        | "uuk:adapter/config"
        | "uuk:adapter/call"
        | "uuk:adapter/blobs"
        | "wasi:http/types" => Ok(()),
        "uuk:adapter/sql" | "uuk:adapter/http" if is_mapped => Ok(()),
        "uuk:adapter/sql" => asked(!manifest.statements.is_empty(), "add the statements as `[sql.NAME]`"),
        "uuk:adapter/http" | "wasi:http/outgoing-handler" => {
            asked(!manifest.upstreams.is_empty(), "add the upstreams as `[upstream.NAME]`")
        }
        _ if INERT_WASI.iter().any(|inert| interface.starts_with(inert)) => Ok(()),
        _ => Err(ComponentError::ImportForbidden { import: import.to_owned() }),
    }
}

/// Reads what [`crate::Compiler`] made.
#[expect(unsafe_code, reason = "compiled code is native code: the caller vouches for its origin")]
pub(crate) fn deserialize(engine: &Engine, compiled: &OwnCompiled) -> Result<Component, ComponentError> {
    // SAFETY: `OwnCompiled` is only made from the output of this very program's compiler, or from a cache entry whose
    // authentication code, made with a key that only this server has, was checked over these very bytes.
    unsafe { Component::deserialize(engine.wasmtime(), &compiled.0) }
        .map_err(|error| ComponentError::Compile { reason: reason(&error) })
}

/// Compiled code that this server made itself.
pub(crate) struct OwnCompiled(pub(crate) Arc<[u8]>);

/// wasmtime's error on one line, bounded: it can quote what a guest chose.
pub(crate) fn reason(error: &wasmtime::Error) -> String {
    bounded(&format!("{error:#}"))
}

pub(crate) fn bounded(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    if text.chars().nth(400).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component of one core module with memories of no size.
    fn with_memories(count: u8) -> Vec<u8> {
        let memories = [vec![count], vec![0; 2 * usize::from(count)]].concat();
        let module = [b"\0asm\x01\0\0\0\x05".as_slice(), &[memories.len() as u8], &memories].concat();
        [b"\0asm\x0d\0\x01\0\x01".as_slice(), &[module.len() as u8], &module].concat()
    }

    #[test]
    fn refuses_a_module_with_two_memories() {
        check_bytes(&with_memories(1)).unwrap();
        let error = check_bytes(&with_memories(2)).unwrap_err();
        assert!(matches!(error, ComponentError::Invalid { .. }), "{error}");
    }

    #[test]
    fn refuses_a_component_too_large_to_look_at() {
        assert!(matches!(check_bytes(&vec![0; COMPONENT_BYTES_MAX + 1]), Err(ComponentError::TooLarge)));
    }
}
