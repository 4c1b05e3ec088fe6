//! A bundle on its way through the vetting: what may happen to it, and who may do that.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuk_bundle::{AuthoredBundle, BundleError};
use uuk_identifiers::MemberId;
use uuk_pki::Sha256;

use super::tier::{BeyondTier, Tier};
use crate::audit::Actor;
use crate::central::{CentralError, Recorded};

/// People who must approve a bundle.
const REVIEWERS: usize = 2;
/// An explanation, or what may be granted, of more belongs into a document.
const TEXT_CHARS_MAX: usize = 4000;

/// A bundle that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// By which everybody names it.
    pub number: u64,
    /// The plugin's id.
    pub plugin: String,
    /// Its version.
    pub version: Version,
    /// The digest of the file that was handed in: what reviewers approve.
    pub bundle: Sha256,
    /// The digest of its contents, which no signature changes: what is revoked.
    pub contents: Sha256,
    /// Whom the author's certificate names.
    pub author: String,
    /// Who handed it in.
    pub submitter: Actor,
    /// For whom, unless for the operator.
    pub member: Option<MemberId>,
    /// When.
    pub submitted_at: Timestamp,
    /// The digest of what a program found in it, once it has looked.
    pub report: Option<Sha256>,
    /// What the first reviewer approved it for, and the others must mean too.
    pub terms: Option<Terms>,
    /// Who approved it.
    pub approvals: Vec<Approval>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// For what a bundle is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How closely it was reviewed.
    pub tier: String,
    /// What agencies may grant, in words.
    pub grants: String,
}

/// Somebody approved a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub reviewer: Actor,
    /// As it will stand in the vetting.
    pub full_name: String,
    /// When.
    pub at: Timestamp,
}

/// How a submission ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A reviewer said no.
    Refused {
        /// Who.
        reviewer: Actor,
        /// Why.
        explanation: String,
        /// When.
        at: Timestamp,
    },
    /// Whoever handed it in took it back.
    Withdrawn {
        /// When.
        at: Timestamp,
    },
    /// The vetted bundle can be had.
    Vetted {
        /// The digest of its file.
        file: Sha256,
        /// When a time-stamping authority saw the signature.
        stamped_at: Timestamp,
        /// Until when it may serve.
        expires: Timestamp,
    },
}

/// Where a submission is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SubmissionStage {
    /// A program looks at it.
    Examination,
    /// People look at it.
    Review,
    /// Approved; it is being signed.
    Signing,
    /// It can be had.
    Vetted,
    /// A reviewer said no.
    Refused,
    /// It was taken back.
    Withdrawn,
}

/// What a person does with a submission.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, strum::EnumDiscriminants)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
#[strum_discriminants(
    name(VettingStepName),
    derive(Serialize, strum::Display, strum::EnumIter),
    serde(rename_all = "snake_case"),
    strum(serialize_all = "snake_case"),
    doc = "The name of a step."
)]
pub enum VettingStep {
    /// Approves exactly this file, on these terms; the second reviewer approves the same.
    Approve {
        /// Its digest.
        #[schemars(with = "String")]
        bundle: Sha256,
        /// How closely it was reviewed.
        tier: String,
        /// What agencies may grant, in words.
        grants: String,
    },
    /// Refuses this file.
    Refuse {
        /// Its digest.
        #[schemars(with = "String")]
        bundle: Sha256,
        /// Why, for its author.
        explanation: String,
    },
    /// Takes it back.
    Withdraw,
    /// Stops the bundle at every server, within one refresh.
    Revoke {
        /// Why, for people.
        reason: String,
    },
}

/// Who acts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doer<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) full_name: &'a str,
    pub(crate) now: Timestamp,
}

/// Why a bundle is not taken, or a submission does not go on.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "vetting.")]
#[non_exhaustive]
pub enum VettingError {
    /// The bundle is unsound, or nobody who is trusted signed it as its author.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// One of the same file is on its way.
    #[error("the bundle was handed in already, as submission {number}")]
    AlreadySubmitted {
        /// Which.
        number: u64,
    },
    /// The reviewers have enough to do.
    #[error("{open} submissions wait already")]
    QueueFull {
        /// How many.
        open: usize,
    },
    /// Others want to be reviewed, too.
    #[error("{open} submissions of this member wait already")]
    MemberQueueFull {
        /// How many.
        open: usize,
    },
    /// What it holds may not serve, whoever signs it.
    #[error("the contents of the bundle were revoked: {reason}")]
    Revoked {
        /// Why.
        reason: String,
    },
    /// There is none of that number.
    #[error("there is no such submission")]
    Unknown,
    /// It is elsewhere on its way.
    #[error("the submission is not at this step")]
    Stage {
        /// Where.
        stage: SubmissionStage,
    },
    /// Whoever handed it in does not review it.
    #[error("who handed a bundle in does not review it")]
    OwnSubmission,
    /// Nobody else takes it back.
    #[error("only who handed a bundle in takes it back")]
    NotYours,
    /// Nothing is known of it that people could approve.
    #[error("the program that looks at bundles failed on this one")]
    Unexamined,
    /// Reviewed was another file.
    #[error("the digest is not that of the bundle that was handed in")]
    OtherBundle,
    /// Two different people must.
    #[error("this reviewer, or one of the same name, has approved it already")]
    SameReviewer,
    /// Both reviewers must mean the same.
    #[error("the first reviewer approved it on other terms")]
    OtherTerms,
    /// There is no such tier.
    #[error("there is no such tier")]
    Tier,
    /// The bundle asks for more.
    #[error(transparent)]
    BeyondTier(#[from] BeyondTier),
    /// Nothing is said, or too much.
    #[error("a text has 1 to {TEXT_CHARS_MAX} characters")]
    Text,
    /// The database cannot be used.
    #[error(transparent)]
    Central(#[from] CentralError),
}

impl VettingError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bundle(error) => error.code(),
            Self::Central(error) => error.code(),
            other => other.into(),
        }
    }
}

impl Recorded for Submission {
    const KIND: &'static str = "submission";

    fn told(&self) -> Value {
        let Self { plugin, version, bundle, report, terms, approvals, outcome, .. } = self;
        let reviewers: Vec<_> = approvals.iter().map(|approval| &approval.reviewer).collect();
        json!({
            "plugin": plugin, "version": version, "bundle": bundle, "stage": self.stage(), "report": report,
            "terms": terms, "approved_by": reviewers, "outcome": outcome,
        })
    }
}

impl Submission {
    pub(crate) fn new(number: u64, bundle: &AuthoredBundle, by: Doer<'_>, member: Option<MemberId>) -> Self {
        let plugin = &bundle.bundle().manifest().plugin;
        Self {
            number,
            plugin: plugin.id.clone(),
            version: plugin.version.clone(),
            bundle: bundle.bundle().digest(),
            contents: bundle.bundle().content_digest(),
            author: bundle.author().signer.subject().to_owned(),
            submitter: by.actor.clone(),
            member,
            submitted_at: by.now,
            report: None,
            terms: None,
            approvals: Vec::new(),
            outcome: None,
        }
    }

    /// Where it is.
    pub fn stage(&self) -> SubmissionStage {
        match &self.outcome {
            Some(Outcome::Refused { .. }) => SubmissionStage::Refused,
            Some(Outcome::Withdrawn { .. }) => SubmissionStage::Withdrawn,
            Some(Outcome::Vetted { .. }) => SubmissionStage::Vetted,
            None if self.report.is_none() => SubmissionStage::Examination,
            None if self.approvals.len() < REVIEWERS => SubmissionStage::Review,
            None => SubmissionStage::Signing,
        }
    }

    /// Whether something is still to be done.
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// What somebody can do next, as far as the submission decides it.
    pub fn open_steps(&self, actor: &Actor) -> Vec<VettingStepName> {
        use VettingStepName::{Approve, Refuse, Revoke, Withdraw};
        let is_own = self.submitter == *actor;
        let has_approved = self.approvals.iter().any(|approval| approval.reviewer == *actor);
        match self.stage() {
            SubmissionStage::Examination | SubmissionStage::Review if is_own => vec![Withdraw],
            SubmissionStage::Review if !has_approved => vec![Approve, Refuse],
            SubmissionStage::Review => vec![Refuse],
            // What cannot be signed would wait for ever.
            SubmissionStage::Signing if !is_own => vec![Refuse],
            SubmissionStage::Vetted => vec![Revoke],
            _ => Vec::new(),
        }
    }

    /// The digest of the vetted bundle's file, if there is one.
    pub fn vetted_file(&self) -> Option<Sha256> {
        match &self.outcome {
            Some(Outcome::Vetted { file, .. }) => Some(*file),
            _ => None,
        }
    }

    pub(crate) fn reported(&mut self, report: Sha256) -> Result<(), VettingError> {
        self.check_stage(SubmissionStage::Examination)?;
        self.report = Some(report);
        Ok(())
    }

    /// `tier` is that of the terms.
    pub(crate) fn approve(
        &mut self,
        by: Doer<'_>,
        bundle: &Sha256,
        terms: Terms,
        tier: &Tier,
        asked: &uuk_bundle::Manifest,
    ) -> Result<(), VettingError> {
        self.check_reviewer(&by, bundle, &[SubmissionStage::Review])?;
        check_text(&terms.grants)?;
        tier.check(asked)?;
        // The vetting names people, and two of one name would look like one.
        let name = by.full_name.trim().to_lowercase();
        let mut names: BTreeSet<_> =
            self.approvals.iter().map(|approval| approval.full_name.trim().to_lowercase()).collect();
        let has_approved = self.approvals.iter().any(|approval| approval.reviewer == *by.actor);
        if has_approved || !names.insert(name) {
            return Err(VettingError::SameReviewer);
        }
        if self.terms.as_ref().is_some_and(|agreed| *agreed != terms) {
            return Err(VettingError::OtherTerms);
        }
        self.terms = Some(terms);
        let Doer { actor, full_name, now } = by;
        self.approvals.push(Approval { reviewer: actor.clone(), full_name: full_name.to_owned(), at: now });
        Ok(())
    }

    pub(crate) fn refuse(
        &mut self,
        by: Doer<'_>,
        bundle: &Sha256,
        explanation: String,
    ) -> Result<(), VettingError> {
        self.check_reviewer(&by, bundle, &[SubmissionStage::Review, SubmissionStage::Signing])?;
        check_text(&explanation)?;
        self.outcome = Some(Outcome::Refused { reviewer: by.actor.clone(), explanation, at: by.now });
        Ok(())
    }

    pub(crate) fn withdraw(&mut self, by: Doer<'_>) -> Result<(), VettingError> {
        if *by.actor != self.submitter {
            return Err(VettingError::NotYours);
        }
        match self.stage() {
            SubmissionStage::Examination | SubmissionStage::Review => {
                self.outcome = Some(Outcome::Withdrawn { at: by.now });
                Ok(())
            }
            stage => Err(VettingError::Stage { stage }),
        }
    }

    pub(crate) fn vetted(&mut self, outcome: Outcome) -> Result<(), VettingError> {
        self.check_stage(SubmissionStage::Signing)?;
        self.outcome = Some(outcome);
        Ok(())
    }

    fn check_reviewer(
        &self,
        by: &Doer<'_>,
        bundle: &Sha256,
        stages: &[SubmissionStage],
    ) -> Result<(), VettingError> {
        if *by.actor == self.submitter {
            return Err(VettingError::OwnSubmission);
        }
        let stage = self.stage();
        if !stages.contains(&stage) {
            return Err(VettingError::Stage { stage });
        }
        if *bundle == self.bundle { Ok(()) } else { Err(VettingError::OtherBundle) }
    }

    pub(crate) fn check_stage(&self, wanted: SubmissionStage) -> Result<(), VettingError> {
        let stage = self.stage();
        if stage == wanted { Ok(()) } else { Err(VettingError::Stage { stage }) }
    }
}

fn check_text(text: &str) -> Result<(), VettingError> {
    let is_text = !text.trim().is_empty() && text.chars().count() <= TEXT_CHARS_MAX;
    if is_text { Ok(()) } else { Err(VettingError::Text) }
}
