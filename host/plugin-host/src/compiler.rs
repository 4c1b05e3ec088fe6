//! Where components become machine code.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::runtime::Handle;

use crate::component::{COMPONENT_BYTES_MAX, ComponentError, bounded, reason};
use crate::engine::Engine;

/// The largest component that is vetted for, Python's, takes ten seconds on a slow machine.
const COMPILE_TIME_MAX: Duration = Duration::from_secs(120);

/// Who turns components into machine code.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// This process: for commands that end soon.
    #[default]
    Here,
    /// A process of its own for each component, which runs [`compile_standard_input`].
    ///
    /// A compiler is a large program that reads what strangers wrote: what it takes in memory goes when it ends, and
    /// what goes wrong in it ends nothing else.
    Apart {
        /// The program.
        program: PathBuf,
        /// What makes it compile.
        arguments: Vec<String>,
    },
}

impl Compiler {
    /// Compiles a component that [`crate::check_bytes`] has passed. It takes seconds: call it where blocking is allowed.
    pub(crate) fn compile(&self, engine: &Engine, component: &[u8]) -> Result<Vec<u8>, ComponentError> {
        let Self::Apart { program, arguments } = self else {
            let compiled = engine.wasmtime().precompile_component(component);
            return compiled.map_err(|error| ComponentError::Compile { reason: reason(&error) });
        };
        let mut command = Command::new(program);
        // It reads what strangers wrote, and needs nothing that this process knows.
        command.args(arguments).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let ended =
            Handle::current().block_on(tokio::time::timeout(COMPILE_TIME_MAX, ended(command, component)));
        let failed = |reason: String| ComponentError::Compiler { reason };
        let output = ended
            .map_err(|_| failed(format!("it took longer than {COMPILE_TIME_MAX:?}")))?
            .map_err(|error| failed(error.to_string()))?;
        match output.stdout.split_first() {
            Some((&COMPILED, code)) if output.status.success() => Ok(code.to_vec()),
            Some((&REFUSED, reason)) if output.status.success() => {
                Err(ComponentError::Compile { reason: bounded(&String::from_utf8_lossy(reason)) })
            }
            _ => Err(failed(output.status.to_string())),
        }
    }
}

/// What the answer of a compiling process begins with; machine code or a reason follows.
const COMPILED: u8 = 0;
const REFUSED: u8 = 1;

/// It reads the whole component before it writes anything.
async fn ended(mut command: Command, component: &[u8]) -> std::io::Result<std::process::Output> {
    let mut compiler = command.kill_on_drop(true).spawn()?;
    if let Some(mut input) = compiler.stdin.take() {
        input.write_all(component).await?;
    }
    compiler.wait_with_output().await
}

/// The whole of a compiling process: a component comes in on standard input, the answer goes out on standard output.
///
/// # Errors
/// If one of the two breaks; whoever asked is gone then.
pub fn compile_standard_input() -> std::io::Result<()> {
    let mut component = Vec::new();
    std::io::stdin().take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut component)?;
    let compiled = crate::engine::for_compiling().and_then(|engine| engine.precompile_component(&component));
    let mut answer = std::io::stdout();
    match compiled {
        Ok(code) => answer.write_all(&[COMPILED]).and_then(|()| answer.write_all(&code)),
        Err(error) => answer.write_all(&[REFUSED]).and_then(|()| answer.write_all(reason(&error).as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineConfig;

    /// What becomes of a component that `program` is to compile.
    async fn compiled_by(program: &str, arguments: &[&str]) -> Result<Vec<u8>, ComponentError> {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let compiler = Compiler::Apart { program: program.into(), arguments };
        let engine = Engine::new(EngineConfig { instances_max: 1, ..EngineConfig::default() }).unwrap();
        let compiling = move || compiler.compile(&engine, b"(component)");
        tokio::task::spawn_blocking(compiling).await.unwrap()
    }

    #[tokio::test]
    async fn a_compiler_that_cannot_be_started_is_no_fault_of_the_component() {
        let error = compiled_by("/no/such/program", &[]).await.unwrap_err();
        assert_eq!(error.code(), "component.compiler");
    }

    #[tokio::test]
    async fn a_compiler_that_dies_is_no_fault_of_the_component() {
        for program in ["exit 1", "kill -9 $$", "true"] {
            let error = compiled_by("/bin/sh", &["-c", program]).await.unwrap_err();
            assert_eq!(error.code(), "component.compiler", "{program}: {error}");
        }
    }

    #[tokio::test]
    async fn what_the_compiler_refuses_is_refused_with_its_reason() {
        let refuses = r"cat > /dev/null; printf '\001too deep'";
        let error = compiled_by("/bin/sh", &["-c", refuses]).await.unwrap_err();
        assert_eq!(error.to_string(), "component does not compile: too deep");
    }

    #[tokio::test]
    async fn what_the_compiler_makes_is_taken_as_it_is() {
        let compiles = r"printf '\000'; cat";
        assert_eq!(compiled_by("/bin/sh", &["-c", compiles]).await.unwrap(), b"(component)");
    }
}
