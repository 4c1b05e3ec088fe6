//! Where submissions are kept, and what people want of them becomes an act.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use uuk_asic::Profile;
use uuk_bundle::{AuthoredBundle, Bundle, BundleError};
use uuk_identifiers::MemberId;
use uuk_pki::Sha256;

use super::report::Report;
use super::service::Hindrance;
use super::submission::{Doer, Outcome, Submission, SubmissionStage, Terms, VettingError, VettingStep};
use crate::audit::Actor;
use crate::central::{Central, CentralError, Recorded};
use crate::people::Person;
use crate::registry::Refusal;
use crate::store::{FileEdit, StoreError};

/// Submissions on their way at once, of one member or of the operator.
const OPEN_OF_MEMBER_MAX: usize = 20;
/// Likewise, of all: their files stand in the database.
const OPEN_MAX: usize = 400;

/// The largest bundle that is taken, in bytes.
pub const BUNDLE_BYTES_MAX: usize = Profile::bundle().limits.container_bytes_max;

impl Recorded for Report {
    const KIND: &'static str = "report";

    fn told(&self) -> Value {
        Value::Null
    }
}

impl Central {
    /// Takes a bundle in for vetting, if somebody whom the instance trusts signed it as its author.
    ///
    /// # Errors
    /// [`VettingError::Bundle`], [`VettingError::Revoked`], [`VettingError::AlreadySubmitted`],
    /// [`VettingError::MemberQueueFull`], [`VettingError::QueueFull`], or if the database cannot be used.
    pub async fn submit_bundle(
        &self,
        actor: &Actor,
        member: Option<&MemberId>,
        file: Bytes,
    ) -> Result<Submission, VettingError> {
        let (registry, now) = (self.snapshot().await?.registry, self.clock().now());
        let anchors = registry.bundle_trust().trust().map_err(Refusal::from).map_err(CentralError::from)?;
        let read = file.clone();
        let bundle = off_thread(move || {
            let bundle = Bundle::read(&read, &Profile::bundle().limits)?;
            AuthoredBundle::verify(bundle, &anchors.author_anchors, now)
        });
        let bundle = bundle.await?;
        let (digest, contents) = (bundle.bundle().digest(), bundle.bundle().content_digest());
        let revoked = &registry.bundle_trust().revoked;
        if let Some(revocation) = revoked.get(&contents).or_else(|| revoked.get(&digest)) {
            return Err(VettingError::Revoked { reason: revocation.reason.clone() });
        }
        // What ran out may be handed in again as it was.
        let holds = |one: &Submission| match &one.outcome {
            Some(Outcome::Vetted { expires, .. }) => now < *expires,
            _ => one.is_open(),
        };
        let by = Doer { actor, full_name: "", now };
        self.add_record(actor, "vetting-submit", &[FileEdit::Keep(digest, file)], |number, known| {
            let is_same = |one: &&Submission| one.bundle == digest && holds(one);
            if let Some(Submission { number, .. }) = known.iter().find(is_same) {
                return Err(VettingError::AlreadySubmitted { number: *number });
            }
            check_queue(&known, member)?;
            Ok(Submission::new(number, &bundle, by, member.cloned()))
        })
        .await
    }

    /// All submissions, in the order in which they came.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn submissions(&self) -> Result<Vec<Submission>, CentralError> {
        let mut submissions: Vec<Submission> =
            self.records().await?.into_iter().map(|(_, submission)| submission).collect();
        submissions.sort_by_key(|submission| submission.number);
        Ok(submissions)
    }

    /// A submission.
    ///
    /// # Errors
    /// [`VettingError::Unknown`], or if the database cannot be used.
    pub async fn submission(&self, number: u64) -> Result<Submission, VettingError> {
        self.record(&number.to_string()).await?.ok_or(VettingError::Unknown)
    }

    /// What a program found in a submission, once it has looked.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn report(&self, submission: &Submission) -> Result<Option<Report>, CentralError> {
        match &submission.report {
            None => Ok(None),
            Some(digest) => self.record(&digest.to_string()).await,
        }
    }

    /// What keeps a submission from being examined or signed, if something does.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn hindrance(&self, submission: &Submission) -> Result<Option<String>, CentralError> {
        let hindrance = self.record::<Hindrance>(&submission.number.to_string()).await?;
        Ok(hindrance.map(|hindrance| hindrance.0))
    }

    /// The file of a bundle that was handed in or vetted, by its digest.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn file(&self, digest: &Sha256) -> Result<Option<Bytes>, CentralError> {
        Ok(self.store().file(digest).await?)
    }

    /// Does what a person wants of a submission.
    ///
    /// # Errors
    /// [`VettingError`]; the submission is where it was.
    pub async fn vetting_step(
        &self,
        person: &Person,
        number: u64,
        step: VettingStep,
    ) -> Result<Submission, VettingError> {
        let actor = person.actor().map_err(|_| VettingError::Unknown)?;
        let by = Doer { actor: &actor, full_name: &person.full_name, now: self.clock().now() };
        match step {
            VettingStep::Approve { bundle, tier, grants } => {
                let submission = self.submission(number).await?;
                submission.check_stage(SubmissionStage::Review)?;
                self.check_examined(&submission).await?;
                let registry = self.snapshot().await?.registry;
                let tiers = registry.bundle_trust().tiers();
                let rules = tiers.get(&tier).ok_or(VettingError::Tier)?;
                let asked = self.submitted(&submission).await?;
                let terms = Terms { tier, grants };
                self.change_submission(&actor, "vetting-approve", number, &[], |submission| {
                    submission.approve(by, &bundle, terms.clone(), rules, asked.manifest())
                })
                .await
            }
            VettingStep::Refuse { bundle, explanation } => {
                let files = self.files_of(number).await?;
                self.change_submission(&actor, "vetting-refuse", number, &files, |submission| {
                    submission.refuse(by, &bundle, explanation.clone())
                })
                .await
            }
            VettingStep::Withdraw => {
                let files = self.files_of(number).await?;
                self.change_submission(&actor, "vetting-withdraw", number, &files, |one| one.withdraw(by))
                    .await
            }
            VettingStep::Revoke { reason } => {
                let submission = self.submission(number).await?;
                submission.check_stage(SubmissionStage::Vetted)?;
                let revoke = self.change(&actor, "revoke-bundle", |registry| {
                    registry.revoke_bundle(submission.contents, &reason, by.now)
                });
                revoke.await?;
                Ok(submission)
            }
        }
    }

    /// The bundle of a submission.
    pub(super) async fn submitted(&self, submission: &Submission) -> Result<Arc<Bundle>, VettingError> {
        let file = self.file(&submission.bundle).await?.ok_or(VettingError::Unknown)?;
        Ok(Arc::new(off_thread(move || Bundle::read(&file, &Profile::bundle().limits)).await?))
    }

    /// The version of a plugin that was vetted last. What was wrong with a revoked one must not pass as known.
    pub(super) async fn approved_before(&self, plugin: &str) -> Result<Option<Submission>, CentralError> {
        let registry = self.snapshot().await?.registry;
        let revoked = &registry.bundle_trust().revoked;
        let mut submissions = self.submissions().await?;
        submissions.retain(|one| one.plugin == plugin && !revoked.contains_key(&one.contents));
        let vetted_at = |one: &Submission| match &one.outcome {
            Some(Outcome::Vetted { stamped_at, .. }) => Some(*stamped_at),
            _ => None,
        };
        Ok(submissions.into_iter().filter(|one| vetted_at(one).is_some()).max_by_key(vetted_at))
    }

    pub(super) async fn note_report(
        &self,
        actor: &Actor,
        number: u64,
        report: &Report,
    ) -> Result<Submission, VettingError> {
        let content = serde_json::to_vec(report).map_err(CentralError::Unwritable)?;
        let digest = Sha256::of(&content);
        self.keep(&digest.to_string(), Some(report)).await?;
        self.change_submission(actor, "vetting-examine", number, &[], |one| one.reported(digest)).await
    }

    pub(super) async fn note_vetted(
        &self,
        actor: &Actor,
        number: u64,
        file: Bytes,
        (stamped_at, expires): (Timestamp, Timestamp),
    ) -> Result<Submission, VettingError> {
        let digest = Sha256::of(&file);
        let outcome = Outcome::Vetted { file: digest, stamped_at, expires };
        let files = [FileEdit::Keep(digest, file)];
        self.change_submission(actor, "vetting-sign", number, &files, |one| one.vetted(outcome.clone())).await
    }

    /// What goes when a submission ends without being vetted: its file, unless a vetted one is of the same. No other that
    /// is open can be.
    async fn files_of(&self, number: u64) -> Result<Vec<FileEdit>, VettingError> {
        let submissions = self.submissions().await?;
        let ended = submissions.iter().find(|one| one.number == number).ok_or(VettingError::Unknown)?;
        let is_needed =
            submissions.iter().any(|one| one.bundle == ended.bundle && one.vetted_file().is_some());
        Ok(if is_needed { Vec::new() } else { vec![FileEdit::Drop(ended.bundle)] })
    }

    async fn change_submission(
        &self,
        actor: &Actor,
        act: &str,
        number: u64,
        files: &[FileEdit],
        mut change: impl FnMut(&mut Submission) -> Result<(), VettingError>,
    ) -> Result<Submission, VettingError> {
        let change = |submission: Option<Submission>| {
            let mut submission = submission.ok_or(VettingError::Unknown)?;
            change(&mut submission)?;
            Ok(submission)
        };
        self.change_record_and_files(actor, act, &number.to_string(), files, change).await
    }
}

/// Refuses one more submission for `member` if enough of its own, or of all, wait.
fn check_queue(known: &[Submission], member: Option<&MemberId>) -> Result<(), VettingError> {
    let open = || known.iter().filter(|one| one.is_open());
    let own = open().filter(|one| one.member.as_ref() == member).count();
    if own >= OPEN_OF_MEMBER_MAX {
        return Err(VettingError::MemberQueueFull { open: own });
    }
    let all = open().count();
    if all >= OPEN_MAX { Err(VettingError::QueueFull { open: all }) } else { Ok(()) }
}

/// Reading and verifying a large bundle takes a while, in which others are answered.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BundleError> + Send + 'static,
) -> Result<T, VettingError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(CentralError::Store(StoreError::Busy).into()),
    }
}
