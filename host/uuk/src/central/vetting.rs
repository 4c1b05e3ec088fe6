use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use semver::Version;
use uuk_bundle::{BundleDigest, Role};
use uuk_pki::Sha256;

use super::{Operator, read_certificate};
use crate::terminal::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum VettingCommand {
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
