use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// What every code means and what to do about it, one paragraph each. The documentation prints the same file.
const EXPLANATIONS: &str = include_str!("explain/codes.md");

/// Say what an error code means and what to do
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArguments {
    /// The code, as in `error[bundle.too_large]`; without one, all are listed
    code: Option<String>,
}

pub(crate) fn run(arguments: &ExplainArguments, terminal: &Terminal) -> Result<(), Failure> {
    let Some(code) = &arguments.code else {
        let codes: Vec<&str> = explanations().map(|(code, _)| code).collect();
        terminal.result("uuk.cli/explain/v1", &serde_json::json!({ "codes": codes }), codes.join("\n"));
        return Ok(());
    };
    let Some((_, text)) = explanations().find(|(known, _)| known == code) else {
        return Err(Failure::new(ExitCode::Usage, "explain.unknown_code", format!("no code is `{code}`"))
            .help("`uuk explain` lists all codes"));
    };
    let value = serde_json::json!({ "code": code, "explanation": text });
    terminal.result("uuk.cli/explain/v1", &value, format!("{code}\n\n{text}"));
    Ok(())
}

/// Code and text of each section `## code`.
fn explanations() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXPLANATIONS.split("\n## ").skip(1).filter_map(|section| {
        let (code, text) = section.split_once('\n')?;
        Some((code.trim(), text.trim()))
    })
}
