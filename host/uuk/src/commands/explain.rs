use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// What every code means and what to do about it: a heading with the codes it is about, then a paragraph.
const EXPLANATIONS: &str = include_str!("explain/codes.md");

/// Say what an error code means and what to do
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArguments {
    /// The code, as in `error[bundle.revoked]`; without one, all are listed
    code: Option<String>,
}

pub(crate) fn run(arguments: &ExplainArguments, terminal: &Terminal) -> Result<(), Failure> {
    let Some(code) = &arguments.code else {
        let mut codes: Vec<&str> = explanations().map(|(code, _)| code).collect();
        codes.sort_unstable();
        terminal.result("uuk.cli/explain/v1", &serde_json::json!({ "codes": codes }), codes.join("\n"));
        return Ok(());
    };
    let Some(text) = explanation(code) else {
        return Err(Failure::new(ExitCode::Usage, "explain.unknown_code", format!("no code is `{code}`"))
            .help("`uuk explain` lists all codes"));
    };
    let value = serde_json::json!({ "code": code, "explanation": text });
    terminal.result("uuk.cli/explain/v1", &value, format!("{code}\n\n{text}"));
    Ok(())
}

/// What `code` means, if it is one of ours.
pub(super) fn explanation(code: &str) -> Option<&'static str> {
    explanations().find(|(known, _)| *known == code).map(|(_, text)| text)
}

/// Each code with the text below its heading.
fn explanations() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXPLANATIONS
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .flat_map(|(codes, text)| codes.split(", ").map(move |code| (code, text.trim())))
}
