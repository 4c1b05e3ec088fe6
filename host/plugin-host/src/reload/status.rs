use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use uuk_bundle::BundleDigest;
use uuk_process::ErrorChain;

use super::bundles::KnownBundle;
use super::{Approval, RefusalReason, Reload};

/// Where a bundle is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Verified, and waiting for an operator's approval.
    AwaitsApproval,
    /// Being compiled and probed.
    Preparing,
    /// Answers its share of calls.
    Canary,
    /// Answers.
    Active,
    /// Served before, kept ready for a rollback.
    Standby,
    /// Active, but pausing after failures.
    Suspended,
    /// May not serve until released.
    Quarantined,
    /// Does not pass a check.
    Rejected,
    /// Verified, and a better version serves.
    Superseded,
}

/// One line of `uuk plugin list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// The plugin's identifier, empty if the bundle could not be read.
    pub plugin: String,
    /// Its version, empty likewise.
    pub version: String,
    /// SHA-256 of the bundle; absent if it could not be read.
    pub digest: Option<BundleDigest>,
    /// Where it is.
    pub stage: Stage,
    /// File it came from, if it is still there.
    pub file: Option<PathBuf>,
    /// Code and text of what is wrong.
    pub reason: Option<(String, String)>,
}

impl Reload {
    /// All bundles known, by plugin and version, then what could not be read.
    pub(super) fn statuses(&self) -> Vec<PluginStatus> {
        let mut known: Vec<(&BundleDigest, &KnownBundle)> = self.bundles.iter().collect();
        known.sort_by_key(|(_, known)| (&known.plugin, &known.version));
        let known = known.into_iter().map(|(digest, known)| self.status_of(*digest, known));
        // At the start, what served before is on its way back and has not been read yet.
        let coming_back = self.preparations.iter().filter(|(digest, _)| !self.bundles.contains(digest));
        let coming_back = coming_back.map(|(digest, plugin)| PluginStatus {
            plugin: plugin.to_owned(),
            version: String::new(),
            digest: Some(*digest),
            stage: Stage::Preparing,
            file: None,
            reason: None,
        });
        let unusable = self.inbox.unusable().map(|(path, digest, reason)| PluginStatus {
            plugin: String::new(),
            version: String::new(),
            digest,
            stage: Stage::Rejected,
            file: Some(path.to_owned()),
            reason: Some(told(reason)),
        });
        known.chain(coming_back).chain(unusable).collect()
    }

    fn status_of(&self, digest: BundleDigest, known: &KnownBundle) -> PluginStatus {
        let quarantined = self.ledger.quarantined.get(&digest);
        let not_granted = RefusalReason::NotGranted { plugin: known.plugin.clone() };
        let refused = match &known.refusal {
            _ if self.in_force.deployment(&known.plugin).is_none() => Some(&not_granted),
            refusal => refusal.as_ref().map(|refusal| &refusal.reason),
        };
        PluginStatus {
            plugin: known.plugin.clone(),
            version: known.version.to_string(),
            digest: Some(digest),
            stage: self.stage_of(digest, known, refused.is_some()),
            file: self.inbox.file_of(digest).map(ToOwned::to_owned),
            reason: match quarantined {
                Some(reason) => Some(("plugin.quarantined".to_owned(), reason.clone())),
                None => refused.map(told),
            },
        }
    }

    fn stage_of(&self, digest: BundleDigest, known: &KnownBundle, is_refused: bool) -> Stage {
        let installed = self.plugins.get(&known.plugin);
        if self.ledger.quarantined.contains_key(&digest) {
            return Stage::Quarantined;
        }
        if let Some(stage) = installed.and_then(|installed| installed.stage_of(digest, Instant::now())) {
            return stage;
        }
        if self.preparations.contains(&digest) {
            Stage::Preparing
        } else if is_refused {
            Stage::Rejected
        } else if self.config.approval == Approval::Manual && !self.ledger.approved.contains_key(&digest) {
            Stage::AwaitsApproval
        } else {
            Stage::Superseded
        }
    }
}

fn told(reason: &RefusalReason) -> (String, String) {
    (reason.code().to_owned(), ErrorChain(reason).to_string())
}
