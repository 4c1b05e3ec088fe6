use std::collections::BTreeMap;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use uuk_bundle::{Role, Trust};
use uuk_pki::{Anchors, CertificateError, Der, Sha256};

use super::tier::Tier;
use crate::registry::{Edit, Refusal, Registry, check_text, compare, put};

const AUTHOR: &str = "author_certificate";
const VETTING: &str = "vetting_certificate";
const REVOKED: &str = "revoked_bundle";
const MINIMUM_VERSION: &str = "minimum_version";
const TIER: &str = "vetting_tier";

/// What decides over bundles at every server that takes its trust from the instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BundleTrust {
    /// Whose signatures count as author's, by the digest of the certificate.
    pub authors: BTreeMap<Sha256, BundleSigner>,
    /// Whose signatures count as vetter's, likewise.
    pub vetters: BTreeMap<Sha256, BundleSigner>,
    /// Bundles that may not serve, by the digest of the file or of the contents.
    pub revoked: BTreeMap<Sha256, Revocation>,
    /// What older versions of a plugin may not serve, by its id.
    pub minimum_versions: BTreeMap<String, MinimumVersion>,
    /// How closely bundles are reviewed, by names of the operator's; see [`BundleTrust::tiers`].
    pub(crate) tiers: BTreeMap<String, Tier>,
}

/// An authority of signers, or a signer's own certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleSigner {
    /// The certificate.
    pub certificate: Der,
}

/// A bundle may not serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// Versions of a plugin before this one may not serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinimumVersion {
    /// The first that may.
    pub version: Version,
}

impl Registry {
    /// What decides over bundles.
    pub fn bundle_trust(&self) -> &BundleTrust {
        &self.bundle_trust
    }

    /// Lets the signatures of a certificate, or of those that its authority vouches for, count on bundles.
    ///
    /// # Errors
    /// If it counts already, or is no certificate.
    pub fn trust_bundle_signer(&mut self, role: Role, certificate: Der) -> Result<(), Refusal> {
        certificate.certificate()?;
        let (what, signers) = self.bundle_trust.signers(role);
        let digest = certificate.sha256();
        if signers.contains_key(&digest) {
            return Err(Refusal::already(what, digest));
        }
        signers.insert(digest, BundleSigner { certificate });
        Ok(())
    }

    /// Lets nothing count any more that rests on a certificate.
    ///
    /// # Errors
    /// If it does not count as it is.
    pub fn distrust_bundle_signer(&mut self, role: Role, certificate: &Sha256) -> Result<(), Refusal> {
        let (what, signers) = self.bundle_trust.signers(role);
        signers.remove(certificate).map(drop).ok_or_else(|| Refusal::unknown(what, certificate))
    }

    /// Revokes a bundle: within one refresh it serves nowhere.
    ///
    /// # Errors
    /// If it is revoked already, or the reason is no text.
    pub fn revoke_bundle(&mut self, bundle: Sha256, reason: &str, now: Timestamp) -> Result<(), Refusal> {
        check_text("reason", reason)?;
        if self.bundle_trust.revoked.contains_key(&bundle) {
            return Err(Refusal::already("revoked bundle", bundle));
        }
        self.bundle_trust.revoked.insert(bundle, Revocation { reason: reason.to_owned(), at: now });
        Ok(())
    }

    /// Lets a bundle serve again that was revoked.
    ///
    /// # Errors
    /// If it was not.
    pub fn restore_bundle(&mut self, bundle: &Sha256) -> Result<(), Refusal> {
        let restored = self.bundle_trust.revoked.remove(bundle);
        restored.map(drop).ok_or_else(|| Refusal::unknown("revoked bundle", bundle))
    }

    /// Lets no version of a plugin serve that is older; without a version, any may.
    ///
    /// # Errors
    /// If the plugin's id is no text, or there is nothing to lift.
    pub fn set_minimum_version(&mut self, plugin: &str, version: Option<Version>) -> Result<(), Refusal> {
        check_text("plugin", plugin)?;
        let minimum_versions = &mut self.bundle_trust.minimum_versions;
        match version {
            Some(version) => {
                minimum_versions.insert(plugin.to_owned(), MinimumVersion { version });
                Ok(())
            }
            None => {
                let lifted = minimum_versions.remove(plugin);
                lifted.map(drop).ok_or_else(|| Refusal::unknown("minimum version of", plugin))
            }
        }
    }

    /// Lets bundles be approved in a tier, or changes what the tier means for those approved from now on.
    ///
    /// # Errors
    /// If its name is no text, or an approval in it would never or always count.
    pub fn set_tier(&mut self, name: &str, tier: Tier) -> Result<(), Refusal> {
        check_text("tier", name)?;
        if !(1..=Tier::VALID_DAYS_MAX).contains(&tier.valid_days) {
            return Err(Refusal::TierDays { days_max: Tier::VALID_DAYS_MAX });
        }
        self.bundle_trust.tiers.insert(name.to_owned(), tier);
        Ok(())
    }

    /// Lets no more bundles be approved in a tier.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn remove_tier(&mut self, name: &str) -> Result<(), Refusal> {
        let removed = self.bundle_trust.tiers.remove(name);
        removed.map(drop).ok_or_else(|| Refusal::unknown("tier", name))
    }
}

impl BundleTrust {
    /// The tiers by name: those of the operator, or one if there are none.
    pub fn tiers(&self) -> BTreeMap<String, Tier> {
        match self.tiers.is_empty() {
            true => BTreeMap::from([(Tier::STANDARD.to_owned(), Tier::standard())]),
            false => self.tiers.clone(),
        }
    }

    /// What a server that obeys it goes by.
    pub(crate) fn trust(&self) -> Result<Trust, CertificateError> {
        let anchors = |signers: &BTreeMap<_, BundleSigner>| {
            let certificates = signers.values().map(|signer| signer.certificate.certificate());
            certificates.collect::<Result<Vec<_>, _>>().map(Anchors::new)
        };
        let minimum = self.minimum_versions.iter();
        Ok(Trust {
            author_anchors: anchors(&self.authors)?,
            vetting_anchors: anchors(&self.vetters)?,
            revoked: self.revoked.keys().copied().collect(),
            minimum_versions: minimum.map(|(plugin, one)| (plugin.clone(), one.version.clone())).collect(),
        })
    }

    fn signers(&mut self, role: Role) -> (&'static str, &mut BTreeMap<Sha256, BundleSigner>) {
        match role {
            Role::Author => ("author's certificate", &mut self.authors),
            Role::Vetting => ("vetting certificate", &mut self.vetters),
        }
    }

    /// Takes in a stored row, if it is of here.
    pub(crate) fn put(&mut self, kind: &str, id: &str, content: &str) -> Option<()> {
        match kind {
            AUTHOR => put(&mut self.authors, id, content),
            VETTING => put(&mut self.vetters, id, content),
            REVOKED => put(&mut self.revoked, id, content),
            MINIMUM_VERSION => put(&mut self.minimum_versions, id, content),
            TIER => put(&mut self.tiers, id, content),
            _ => None,
        }
    }

    /// Adds what makes `self` of `before`.
    pub(crate) fn compare(&self, before: &Self, edits: &mut Vec<Edit>) -> serde_json::Result<()> {
        compare(AUTHOR, &before.authors, &self.authors, edits)?;
        compare(VETTING, &before.vetters, &self.vetters, edits)?;
        compare(REVOKED, &before.revoked, &self.revoked, edits)?;
        compare(MINIMUM_VERSION, &before.minimum_versions, &self.minimum_versions, edits)?;
        compare(TIER, &before.tiers, &self.tiers, edits)
    }
}
