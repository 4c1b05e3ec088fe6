//! What people do about plugin bundles, as far as they may.

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use uuk_central::vetting::{
    Report, Submission, SubmissionStage, Tier, VettingError, VettingStep, VettingStepName,
};
use uuk_central::{Person, Revocation};
use uuk_pki::Sha256;

use crate::authorize::{Action, may};
use crate::desk::{Desk, actor};
use crate::problem::Problem;

/// A submission as a person sees it.
#[derive(Debug, Serialize)]
pub(crate) struct SubmissionView {
    #[serde(flatten)]
    pub(crate) submission: Submission,
    pub(crate) stage: SubmissionStage,
    /// What this person can do now.
    pub(crate) steps: Vec<VettingStepName>,
    /// What a program found in it.
    pub(crate) findings: Option<Report>,
    /// What keeps this server from examining or signing it, for the operator.
    pub(crate) hindrance: Option<String>,
    /// If it was revoked, why.
    pub(crate) revocation: Option<Revocation>,
    /// In which it can be approved, by name.
    pub(crate) tiers: Vec<(String, Tier)>,
}

/// A file to hand out.
#[derive(Debug)]
pub(crate) struct BundleFile {
    pub(crate) name: String,
    pub(crate) content: Bytes,
}

/// Bytes with their place in memory.
struct Held {
    content: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Desk {
    /// Lets somebody send a bundle, for as long as the permit is held.
    pub(crate) async fn admit_upload(&self, person: &Person) -> Result<OwnedSemaphorePermit, Problem> {
        self.check(person, Action::SubmitBundle, "submissions").await?;
        self.uploads.clone().try_acquire_owned().map_err(|_| Problem::Busy)
    }

    pub(crate) async fn submit(&self, person: &Person, bundle: Bytes) -> Result<SubmissionView, Problem> {
        let actor = self.check(person, Action::SubmitBundle, "submissions").await?;
        let submission = self.central.submit_bundle(&actor, person.member.as_ref(), bundle).await?;
        self.view_submission(person, submission).await
    }

    pub(crate) async fn submissions(&self, person: &Person) -> Result<Vec<Submission>, Problem> {
        self.check(person, Action::SeeSubmissions, "submissions").await?;
        let mut submissions = self.central.submissions().await?;
        submissions.retain(|submission| is_for(person, submission));
        Ok(submissions)
    }

    pub(crate) async fn submission(&self, person: &Person, number: u64) -> Result<SubmissionView, Problem> {
        let submission = self.find_submission(person, Action::SeeSubmissions, number).await?;
        self.view_submission(person, submission).await
    }

    pub(crate) async fn vet(
        &self,
        person: &Person,
        number: u64,
        step: VettingStep,
    ) -> Result<SubmissionView, Problem> {
        let action = Action::Vet(VettingStepName::from(&step));
        self.find_submission(person, action, number).await?;
        match self.central.vetting_step(person, number, step).await {
            Ok(submission) => self.view_submission(person, submission).await,
            Err(VettingError::OwnSubmission | VettingError::NotYours) => {
                Err(self.denied(person, action, &object(number)).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The file as it was handed in.
    pub(crate) async fn submitted_file(&self, person: &Person, number: u64) -> Result<BundleFile, Problem> {
        let submission = self.find_submission(person, Action::SeeSubmissions, number).await?;
        self.read_file(&submission, "-submitted", &submission.bundle).await
    }

    /// The file with the operator's signature.
    pub(crate) async fn vetted_file(&self, person: &Person, number: u64) -> Result<BundleFile, Problem> {
        let submission = self.find_submission(person, Action::SeeSubmissions, number).await?;
        let digest = submission.vetted_file().ok_or(VettingError::Stage { stage: submission.stage() })?;
        self.read_file(&submission, "", &digest).await
    }

    /// A file to hand out, which keeps its place among the downloads until it is sent.
    async fn read_file(
        &self,
        submission: &Submission,
        mark: &str,
        digest: &Sha256,
    ) -> Result<BundleFile, Problem> {
        let place = self.downloads.clone().try_acquire_owned().map_err(|_| Problem::Busy)?;
        let content = self.central.bundle_file(digest).await?.ok_or(Problem::NoSuchPage)?;
        let name = format!("{}-{}{mark}.asice", submission.plugin, submission.version);
        Ok(BundleFile { name, content: Bytes::from_owner(Held { content, _place: place }) })
    }

    async fn find_submission(
        &self,
        person: &Person,
        action: Action,
        number: u64,
    ) -> Result<Submission, Problem> {
        self.check(person, action, &object(number)).await?;
        let submission = self.central.submission(number).await?;
        match is_for(person, &submission) {
            true => Ok(submission),
            false => Err(self.denied(person, action, &object(number)).await?),
        }
    }

    async fn view_submission(
        &self,
        person: &Person,
        submission: Submission,
    ) -> Result<SubmissionView, Problem> {
        let registry = self.central.snapshot().await?.registry;
        let trust = registry.bundle_trust();
        let revocation = trust.revoked.get(&submission.contents).cloned();
        let mut steps = submission.open_steps(&actor(person)?);
        steps.retain(|step| may(person, Action::Vet(*step)));
        if revocation.is_some() {
            steps.retain(|step| *step != VettingStepName::Revoke);
        }
        let findings = self.central.report(&submission).await?;
        if findings.as_ref().is_some_and(|report| report.unexamined.is_some()) {
            steps.retain(|step| *step != VettingStepName::Approve);
        }
        Ok(SubmissionView {
            stage: submission.stage(),
            steps,
            findings,
            hindrance: match (submission.stage(), &person.member) {
                (SubmissionStage::Examination | SubmissionStage::Signing, None) => {
                    self.central.hindrance(&submission).await?
                }
                _ => None,
            },
            revocation,
            tiers: trust.tiers().into_iter().collect(),
            submission,
        })
    }
}

/// Members see their own.
fn is_for(person: &Person, submission: &Submission) -> bool {
    person.member.is_none() || person.member == submission.member
}

fn object(number: u64) -> String {
    format!("submission {number}")
}
