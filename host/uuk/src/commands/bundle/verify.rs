//! `uuk bundle verify`: everything a server checks before it runs a bundle, said in words.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use uuk_asic::Profile;
use uuk_bundle::{BundleDigest, Step, verify_in_steps};
use uuk_process::Clock;

use super::{read_file, refusal, trust};
use crate::terminal::{Failure, Terminal};

/// Check whether a bundle may run
///
/// Goes the way that a server goes and says what each step proved. What is refused ends with exit code 4, a file that
/// is no sound bundle with 1.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Trust file: whose signatures count, what is revoked
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// At which time: 2026-11-22T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Verified {
    verdict: &'static str,
    digest: BundleDigest,
    plugin: String,
    version: String,
    at: Timestamp,
    steps: Vec<String>,
}

pub(super) fn run(options: &VerifyOptions, terminal: &Terminal) -> Result<(), Failure> {
    let trust = trust::read(&options.trust)?;
    let bytes = read_file(&options.file, Profile::bundle().limits.container_bytes_max)?;
    let at = options.at.unwrap_or_else(|| Clock::system().now());
    let mut steps = Vec::new();
    let verified = verify_in_steps(&bytes, &trust, at, |step| {
        let (what, proven) = explain(step);
        terminal.step(what, &proven);
        steps.push(proven);
    })
    .map_err(|error| refusal(&options.file, &error))?;

    let plugin = &verified.bundle().manifest().plugin;
    let result = Verified {
        verdict: "vetted",
        digest: verified.bundle().digest(),
        plugin: plugin.id.clone(),
        version: plugin.version.to_string(),
        at,
        steps,
    };
    let text = format!("{} {} may run: {}", result.plugin, result.version, result.digest);
    terminal.result("uuk.cli/bundle-verify/v1", &result, text);
    Ok(())
}

/// What a step is about, and what it proved.
fn explain(step: Step<'_>) -> (&'static str, String) {
    match step {
        Step::Sound(bundle) => {
            let plugin = &bundle.manifest().plugin;
            (
                "sound",
                format!(
                    "{} {}, {} parts, each in its place",
                    plugin.id,
                    plugin.version,
                    bundle.parts().count()
                ),
            )
        }
        Step::Admitted(bundle) => {
            ("admitted", format!("{} is not revoked, and the version is not too old", bundle.digest()))
        }
        Step::VettingTrusted(signature) => (
            "vetting",
            format!(
                "signed at {} by `{}`, whose certificate is trusted, over every part and the author's signature",
                signature.claimed_time,
                signature.signer.subject()
            ),
        ),
        Step::VettingInForce(statement) => {
            let reviewers = statement.reviewers.join(" and ");
            ("in force", format!("reviewed by {reviewers} ({}), until {}", statement.tier, statement.expires))
        }
        Step::AuthorTrusted(signature) => (
            "author",
            format!(
                "signed at {} by `{}`, whose certificate was trusted when it was vetted",
                signature.claimed_time,
                signature.signer.subject()
            ),
        ),
        _ => ("step", "proven".to_owned()),
    }
}
