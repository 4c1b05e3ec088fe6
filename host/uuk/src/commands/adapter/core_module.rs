//! Core modules, as compilers of C and Go leave them: their bindings, and how they become components.

use uuk_plugin_host::COMPONENT_BYTES_MAX;
use wasmparser::{Parser, Payload};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::{Resolve, WorldId};
use wit_component::{ComponentEncoder, StringEncoding};

use crate::exit_code::ExitCode;
use crate::terminal::Failure;

const WORLD: &str = "adapter";
const CAUSES_SHOWN: usize = 8;

/// What standard libraries ask of WASI, answered within the component: nothing of the machine is behind it.
const EMPTY_WASI: &str = include_str!("core_module/wasi_snapshot_preview1.wat");

/// Whether `bytes` begin as a core module does.
pub(super) fn is_core_module(bytes: &[u8]) -> bool {
    matches!(Parser::new(0).parse_all(bytes).next(), Some(Ok(Payload::Version { encoding, .. }))
        if encoding == wasmparser::Encoding::Module)
}

/// The component that a core module makes, in the world of `contract`: it imports the interfaces that the module calls.
pub(super) fn component(module: Vec<u8>, contract: &str) -> Result<Vec<u8>, Failure> {
    encode(module, contract).map_err(|error| {
        failed("what the command left does not fit the contract with the host", &error)
            .help("export what the SDK exports, and call what the manifest asks for; see the SDK's page")
    })
}

fn encode(mut module: Vec<u8>, contract: &str) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(module.len() <= COMPONENT_BYTES_MAX, "it is larger than {COMPONENT_BYTES_MAX} bytes");
    let (resolve, world) = world(contract)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module)?.adapter("wasi_snapshot_preview1", &wat::parse_str(EMPTY_WASI)?)?;
    encoder.encode()
}

/// The bindings of `contract` in C: names of files with their texts.
pub(super) fn c_bindings(contract: &str) -> Result<Vec<(String, String)>, Failure> {
    generate_c(contract).map_err(|error| failed("cannot write the bindings in C", &error))
}

fn generate_c(contract: &str) -> anyhow::Result<Vec<(String, String)>> {
    let (mut resolve, world) = world(contract)?;
    let options = wit_bindgen_c::Opts {
        no_object_file: true,
        rename_world: Some("bindings".to_owned()),
        ..wit_bindgen_c::Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    files.iter().map(|(name, bytes)| Ok((name.to_owned(), String::from_utf8(bytes.to_vec())?))).collect()
}

fn failed(message: &str, error: &anyhow::Error) -> Failure {
    let failure = Failure::new(ExitCode::CheckFailed, "adapter.build_failed", message);
    error.chain().take(CAUSES_SHOWN).fold(failure, Failure::note)
}

fn world(contract: &str) -> anyhow::Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("adapter.wit", contract)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    Ok((resolve, world))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = include_str!("../../../../../wit/adapter-0.1/adapter.wit");

    #[test]
    fn tells_a_core_module_from_a_component() {
        assert!(is_core_module(&wat::parse_str("(module)").unwrap()));
        assert!(!is_core_module(&wat::parse_str("(component)").unwrap()));
        assert!(!is_core_module(b"<html>"));
    }

    #[test]
    fn refuses_a_core_module_without_the_exports_of_the_world() {
        let module = wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap();
        let failure = component(module, CONTRACT).expect_err("it answers nothing");
        assert_eq!(failure.exit_code(), ExitCode::CheckFailed);
    }

    #[test]
    fn refuses_a_core_module_that_imports_what_no_host_has() {
        let module = wat::parse_str(r#"(module (import "env" "puts" (func (param i32))))"#).unwrap();
        component(module, CONTRACT).expect_err("there is no `env`");
    }

    #[test]
    fn bindings_in_c_are_those_of_the_contract() {
        let files = c_bindings(CONTRACT).unwrap_or_else(|_| panic!("the contract is sound"));
        assert_eq!(
            files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["bindings.c", "bindings.h"]
        );
    }
}
