use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use semver::Version;
use serde_json::json;
use uuk_bundle::{BundleDigest, Role};
use uuk_central::vetting::{BUNDLE_BYTES_MAX, Submission, Tier, VettingError};
use uuk_pki::Sha256;

use super::{Operator, failure, read_certificate};
use crate::commands::bundle::{read_file, write_file};
use crate::exit_code::ExitCode;
use crate::terminal::Failure;

/// What is done about plugin bundles at the terminal; approving is for two people, in the browser or by API.
#[derive(Debug, Subcommand)]
pub(crate) enum VettingCommand {
    /// Hand in a bundle that its author has signed, for two reviewers to approve
    Submit {
        /// The bundle
        bundle: PathBuf,
    },
    /// Show what was handed in, and how far it is
    Queue,
    /// Write a vetted bundle into a file
    Fetch {
        /// The number of the submission
        number: u64,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// How closely bundles are reviewed, and for how long that counts
    #[command(subcommand)]
    Tier(TierCommand),
    /// Let the signatures of a certificate count on bundles, or of those that its authority vouches for
    Trust {
        /// Whose it is
        role: SignerRole,
        /// The certificate, DER or PEM
        certificate: PathBuf,
    },
    /// Let nothing count any more that rests on a certificate
    Distrust {
        /// Whose it is
        role: SignerRole,
        /// Its digest, as `uuk central show` prints it
        certificate: Sha256,
    },
    /// Stop a bundle wherever it serves, within one refresh
    Revoke {
        /// The digest of the file or of its contents, as `uuk bundle inspect` prints them
        bundle: BundleDigest,
        /// Why, for people
        #[arg(long)]
        reason: String,
    },
    /// Let a bundle serve again that was revoked
    Restore {
        /// The digest that was revoked
        bundle: BundleDigest,
    },
    /// Stop all versions of a plugin before one
    Minimum {
        /// The plugin, such as kg.example.people
        plugin: String,
        /// The first version that may serve; without one, any may
        lowest: Option<Version>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TierCommand {
    /// Let bundles be approved in a tier; without any, there is `standard`, for a year
    Set {
        /// Its name, as it will stand in the vettings
        name: String,
        /// For how many days an approval counts
        #[arg(long)]
        days: u32,
        /// Memory of one call at most, in MiB
        #[arg(long, default_value_t = Tier::standard().memory_mib_max)]
        memory_mib: u32,
        /// Computing time of one call at most, in milliseconds
        #[arg(long, default_value_t = Tier::standard().guest_time_ms_max)]
        guest_time_ms: u32,
        /// Only bundles that write into no database
        #[arg(long)]
        read_only: bool,
    },
    /// Let no more bundles be approved in a tier
    Remove {
        /// Its name
        name: String,
    },
}

/// Whose a certificate is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SignerRole {
    /// Of those who write plugins
    Author,
    /// Of those who review them for the operator
    Vetting,
}

impl From<SignerRole> for Role {
    fn from(role: SignerRole) -> Self {
        match role {
            SignerRole::Author => Self::Author,
            SignerRole::Vetting => Self::Vetting,
        }
    }
}

pub(super) fn run(command: &VettingCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        VettingCommand::Submit { bundle } => submit(bundle, operator),
        VettingCommand::Queue => queue(operator),
        VettingCommand::Fetch { number, output } => fetch(*number, output, operator),
        VettingCommand::Tier(TierCommand::Set { name, days, memory_mib, guest_time_ms, read_only }) => {
            let tier = Tier {
                valid_days: *days,
                memory_mib_max: *memory_mib,
                guest_time_ms_max: *guest_time_ms,
                may_write: !read_only,
            };
            operator.change("set-tier", |registry| registry.set_tier(name, tier.clone()))
        }
        VettingCommand::Tier(TierCommand::Remove { name }) => {
            operator.change("remove-tier", |registry| registry.remove_tier(name))
        }
        VettingCommand::Trust { role, certificate } => {
            let certificate = read_certificate(certificate)?;
            operator.change("trust-bundle-signer", |registry| {
                registry.trust_bundle_signer((*role).into(), certificate.clone())
            })
        }
        VettingCommand::Distrust { role, certificate } => operator
            .change("distrust-bundle-signer", |registry| {
                registry.distrust_bundle_signer((*role).into(), certificate)
            }),
        VettingCommand::Revoke { bundle, reason } => {
            let now = operator.central.clock().now();
            operator.change("revoke-bundle", |registry| registry.revoke_bundle(*bundle, reason, now))
        }
        VettingCommand::Restore { bundle } => {
            operator.change("restore-bundle", |registry| registry.restore_bundle(bundle))
        }
        VettingCommand::Minimum { plugin, lowest } => operator
            .change("set-minimum-version", |registry| registry.set_minimum_version(plugin, lowest.clone())),
    }
}

fn submit(path: &Path, operator: &Operator<'_>) -> Result<(), Failure> {
    let file = read_file(path, BUNDLE_BYTES_MAX)?;
    let submitting = operator.central.submit_bundle(&operator.actor, None, file.into());
    let submission = operator.runtime.block_on(submitting).map_err(|error| refusal(&error))?;
    let Submission { number, plugin, version, .. } = &submission;
    let text = format!("submission {number}: {plugin} {version}");
    operator.terminal.result("uuk.cli/central-vetting-submit/v1", &submission, text);
    Ok(())
}

fn queue(operator: &Operator<'_>) -> Result<(), Failure> {
    let submissions = operator.runtime.block_on(operator.central.submissions());
    let submissions = submissions.map_err(|error| failure(&error))?;
    let lines: Vec<_> = submissions
        .iter()
        .map(|one| format!("{:>4}  {:<12} {} {}", one.number, one.stage(), one.plugin, one.version))
        .collect();
    let told = submissions.iter().map(|one| json!({ "stage": one.stage(), "submission": one }));
    let value = json!({ "submissions": told.collect::<Vec<_>>() });
    operator.terminal.result("uuk.cli/central-vetting-queue/v1", &value, lines.join("\n"));
    Ok(())
}

fn fetch(number: u64, output: &Path, operator: &Operator<'_>) -> Result<(), Failure> {
    let central = &operator.central;
    let fetching = async {
        let submission = central.submission(number).await?;
        let digest = submission.vetted_file().ok_or(VettingError::Stage { stage: submission.stage() })?;
        Ok((digest, central.file(&digest).await?.ok_or(VettingError::Unknown)?))
    };
    let (digest, file) = operator.runtime.block_on(fetching).map_err(|error| refusal(&error))?;
    write_file(output, &file)?;
    let text = format!("{digest}  {}", output.display());
    let value = json!({ "file": output, "digest": digest });
    operator.terminal.result("uuk.cli/central-vetting-fetch/v1", &value, text);
    Ok(())
}

fn refusal(error: &VettingError) -> Failure {
    match error {
        VettingError::Central(error) => failure(error),
        other => Failure::new(ExitCode::Refused, other.code(), other).causes(other),
    }
}
