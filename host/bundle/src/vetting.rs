//! The operator's vetting: a statement, and a signature over it and everything else.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use semver::Version;
use serde::{Deserialize, Serialize};
use uuk_asic::{Entry, EntryName, PendingTimeStamp, Profile, Signer, Stamped};
use uuk_pki::Digest;

use crate::author::AuthoredBundle;
use crate::contents::{Bundle, VETTING_STATEMENT, assemble};
use crate::error::{BundleError, Role};
use crate::signature::BundleSignature;
use crate::trust::Trust;

/// Larger statements are refused.
const STATEMENT_BYTES_MAX: usize = 64 << 10;
/// How far the vetter's clock may be ahead of ours.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What the operator's reviewers state about a bundle: `vetting.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VettingStatement {
    /// The plugin reviewed.
    pub plugin: String,
    /// The version reviewed.
    pub version: Version,
    /// Names of the people who reviewed it, at least two.
    pub reviewers: Vec<String>,
    /// How closely it was reviewed, in the operator's own words: `standard`.
    pub tier: String,
    /// What the reviewers agreed the plugin may be granted, for the agencies' people to read.
    pub grants: String,
    /// The last instant at which the bundle may be activated or run.
    pub expires: Timestamp,
}

/// A bundle that may run: signed by an author and vetted by reviewers who are both trusted, neither expired, revoked
/// nor too old.
#[derive(Debug, Clone)]
pub struct VettedBundle {
    authored: AuthoredBundle,
    statement: VettingStatement,
    signature: BundleSignature,
}

impl VettedBundle {
    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        self.authored.bundle()
    }

    /// The author's signature.
    pub fn author(&self) -> &BundleSignature {
        self.authored.author()
    }

    /// The vetters' signature.
    pub fn vetter(&self) -> &BundleSignature {
        &self.signature
    }

    /// What the vetters state.
    pub fn statement(&self) -> &VettingStatement {
        &self.statement
    }
}

/// What has been proven on the way to a [`VettedBundle`], in this order.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The container is sound, the manifest valid, and every part has its place.
    Sound(&'a Bundle),
    /// Neither the file nor its contents are revoked, and the version is not too old.
    Admitted(&'a Bundle),
    /// The vetting signature holds, covers everything, and its certificate is trusted now.
    VettingTrusted(&'a BundleSignature),
    /// The vetting statement is about this plugin and version, by two reviewers, and in force.
    VettingInForce(&'a VettingStatement),
    /// The author's signature holds, covers every part of the author's, and its certificate was trusted when the
    /// bundle was vetted.
    AuthorTrusted(&'a BundleSignature),
}

/// Verifies the file of a bundle all the way: sound, not revoked, not too old, vetted, and signed by its author.
///
/// The vetter's certificate must be valid `now`. The author's must have been valid when the vetter signed, which the
/// vetter vouches for: an author's certificate that runs out later takes no vetted bundle with it.
///
/// # Errors
/// As [`BundleError`] says, the first reason in the order of [`Step`].
pub fn verify(bytes: &[u8], trust: &Trust, now: Timestamp) -> Result<VettedBundle, BundleError> {
    verify_in_steps(bytes, trust, now, |_| {})
}

/// The same as [`verify()`], and calls `reached` after each step, for those who want to see how far it goes.
///
/// # Errors
/// As [`verify()`].
pub fn verify_in_steps(
    bytes: &[u8],
    trust: &Trust,
    now: Timestamp,
    mut reached: impl FnMut(Step<'_>),
) -> Result<VettedBundle, BundleError> {
    let bundle = Bundle::read(bytes, &Profile::bundle().limits)?;
    reached(Step::Sound(&bundle));
    check_admitted(&bundle, trust)?;
    reached(Step::Admitted(&bundle));
    let signature = bundle.verify_signature(Role::Vetting)?;
    signature.check_signer(&trust.vetting_anchors, now)?;
    reached(Step::VettingTrusted(&signature));
    let statement = read_statement(&bundle)?;
    check_time(&statement, &signature, now)?;
    reached(Step::VettingInForce(&statement));
    let authored = AuthoredBundle::verify(bundle, &trust.author_anchors, signature.claimed_time)?;
    if authored.author().signer == signature.signer {
        return Err(BundleError::SelfVetted { subject: signature.signer.subject().to_owned() });
    }
    reached(Step::AuthorTrusted(authored.author()));
    Ok(VettedBundle { authored, statement, signature })
}

fn check_admitted(bundle: &Bundle, trust: &Trust) -> Result<(), BundleError> {
    let digests = [bundle.digest(), bundle.content_digest()];
    if let Some(digest) = digests.into_iter().find(|digest| trust.revoked.contains(digest)) {
        return Err(BundleError::Revoked { digest });
    }
    let plugin = &bundle.manifest().plugin;
    match trust.minimum_versions.get(&plugin.id) {
        Some(minimum) if plugin.version < *minimum => Err(BundleError::BelowMinimumVersion {
            plugin: plugin.id.clone(),
            version: plugin.version.clone(),
            minimum: minimum.clone(),
        }),
        _ => Ok(()),
    }
}

fn read_statement(bundle: &Bundle) -> Result<VettingStatement, BundleError> {
    let bytes =
        bundle.part(VETTING_STATEMENT).ok_or(BundleError::VettingMissing { name: VETTING_STATEMENT })?;
    let wrong = |reason: String| BundleError::VettingStatement { reason };
    if bytes.len() > STATEMENT_BYTES_MAX {
        return Err(wrong(format!("it is larger than {STATEMENT_BYTES_MAX} bytes")));
    }
    let statement: VettingStatement =
        serde_json::from_slice(bytes).map_err(|error| wrong(format!("line {}", error.line())))?;
    check_statement(bundle, &statement)?;
    Ok(statement)
}

fn check_statement(bundle: &Bundle, statement: &VettingStatement) -> Result<(), BundleError> {
    let plugin = &bundle.manifest().plugin;
    if statement.plugin != plugin.id || statement.version != plugin.version {
        return Err(BundleError::VettingForOther {
            plugin: statement.plugin.clone(),
            version: statement.version.clone(),
        });
    }
    let mut reviewers: Vec<_> = statement.reviewers.iter().map(|name| name.trim().to_lowercase()).collect();
    reviewers.retain(|name| !name.is_empty());
    reviewers.sort();
    reviewers.dedup();
    if reviewers.len() < 2 {
        return Err(BundleError::TooFewReviewers);
    }
    Ok(())
}

fn check_time(
    statement: &VettingStatement,
    signature: &BundleSignature,
    now: Timestamp,
) -> Result<(), BundleError> {
    let claimed = signature.claimed_time;
    if now > statement.expires {
        return Err(BundleError::VettingExpired { expires: statement.expires });
    }
    if claimed.duration_since(now) > CLOCK_SKEW_MAX {
        return Err(BundleError::VettingInFuture { claimed });
    }
    Ok(())
}

/// A bundle that its vetter has signed, and whose signature may be time-stamped.
#[derive(Debug)]
pub struct PendingVetting {
    parts: Vec<Entry>,
    author: Entry,
    signature: Entry,
    time_stamp: PendingTimeStamp,
}

impl PendingVetting {
    /// What an authority is to stamp, SHA-512.
    pub fn imprint(&self) -> &Digest {
        self.time_stamp.imprint()
    }

    /// The new file, with the DER `token`, already verified, in the signature.
    ///
    /// # Errors
    /// [`BundleError::Signature`] or [`BundleError::Container`].
    pub fn complete(self, token: &[u8]) -> Result<Vec<u8>, BundleError> {
        let refused = |source| BundleError::Signature { role: Role::Vetting, source };
        let Self { parts, author, mut signature, time_stamp } = self;
        if let [Stamped::Inside(stamped)] = time_stamp.complete(token).map_err(refused)?.as_slice() {
            signature.bytes = Arc::from(stamped.as_slice());
        }
        assemble(parts, vec![author, signature])
    }

    /// The new file, without a time-stamp: what keeps servers from taking this keeps them from taking the stamped one.
    ///
    /// # Errors
    /// [`BundleError::Container`].
    pub fn unstamped(&self) -> Result<Vec<u8>, BundleError> {
        assemble(self.parts.clone(), vec![self.author.clone(), self.signature.clone()])
    }
}

/// Adds `statement` to a bundle, signs everything as its vetter and returns the new file. An earlier vetting is
/// replaced.
///
/// The author's signature must hold; whether its certificate is trusted is for the reviewer to judge beforehand, with
/// [`AuthoredBundle::verify`].
///
/// # Errors
/// Those of the author's signature, [`BundleError::VettingForOther`], [`BundleError::TooFewReviewers`],
/// [`BundleError::VettingExpired`] or [`BundleError::Sign`].
pub fn vet(
    bundle: &Bundle,
    statement: &VettingStatement,
    signer: &Signer<'_>,
    time: Timestamp,
) -> Result<Vec<u8>, BundleError> {
    prepare_vetting(bundle, statement, signer, time)?.unstamped()
}

/// The same as [`vet`], for a time-stamp in the signature.
///
/// # Errors
/// As [`vet`].
pub fn prepare_vetting(
    bundle: &Bundle,
    statement: &VettingStatement,
    signer: &Signer<'_>,
    time: Timestamp,
) -> Result<PendingVetting, BundleError> {
    let author = bundle.verify_signature(Role::Author)?;
    if author.signer == *signer.certificate {
        return Err(BundleError::SelfVetted { subject: author.signer.subject().to_owned() });
    }
    check_statement(bundle, statement)?;
    if time > statement.expires {
        return Err(BundleError::VettingExpired { expires: statement.expires });
    }

    let mut json = serde_json::to_vec_pretty(statement)
        .map_err(|error| BundleError::VettingStatement { reason: error.to_string() })?;
    json.push(b'\n');
    let json = Entry { name: EntryName::new(VETTING_STATEMENT)?, bytes: Arc::from(json) };
    let author =
        bundle.container().entries().iter().find(|entry| entry.name.as_str() == Role::Author.entry());
    let author = author.cloned().ok_or(BundleError::AuthorSignatureMissing)?;
    let parts: Vec<_> = bundle
        .authored_parts()
        .map(|part| Entry { name: part.name.clone(), bytes: part.bytes.clone() })
        .chain([json])
        .collect();

    // The signature covers the parts as they will be, so it is made over the bundle that already has the statement.
    let stated = assemble(parts.clone(), vec![author.clone()])?;
    let stated = Bundle::read(&stated, &Profile::bundle().limits)?;
    let signature = stated.sign(Role::Vetting, signer, time)?;
    let missing = BundleError::VettingMissing { name: Role::Vetting.entry() };
    let time_stamp = PendingTimeStamp::new(&[&signature.bytes])
        .map_err(|source| BundleError::Signature { role: Role::Vetting, source })?
        .ok_or(missing)?;
    Ok(PendingVetting { parts, author, signature, time_stamp })
}

#[cfg(test)]
mod tests;
