//! What people do about plugin bundles, as far as they may.

use bytes::Bytes;
use serde::Serialize;
use uuk_central::vetting::{
    Report, Submission, SubmissionStage, Tier, VettingError, VettingStep, VettingStepName,
};
use uuk_central::{Person, Revocation};
use uuk_pki::Sha256;

use crate::authorize::{Action, may};
use crate::desk::{Desk, actor};
use crate::download::Download;
use crate::problem::Problem;
use crate::reply::MIMETYPE;

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

impl Desk {
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
    pub(crate) async fn submitted_file(&self, person: &Person, number: u64) -> Result<Download, Problem> {
        let submission = self.find_submission(person, Action::SeeSubmissions, number).await?;
        self.read_file(&submission, "-submitted", &submission.bundle).await
    }

    /// The file with the operator's signature.
    pub(crate) async fn vetted_file(&self, person: &Person, number: u64) -> Result<Download, Problem> {
        let submission = self.find_submission(person, Action::SeeSubmissions, number).await?;
        let digest = submission.vetted_file().ok_or(VettingError::Stage { stage: submission.stage() })?;
        self.read_file(&submission, "", &digest).await
    }

    async fn read_file(
        &self,
        submission: &Submission,
        mark: &str,
        digest: &Sha256,
    ) -> Result<Download, Problem> {
        let name = format!("{}-{}{mark}.asice", submission.plugin, submission.version);
        self.hand_out(name, MIMETYPE, digest).await
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
