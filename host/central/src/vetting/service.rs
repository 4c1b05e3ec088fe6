use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuk_bundle::VettingStatement;
use uuk_process::ErrorChain;

use super::examiner::{Examiner, ExaminerError};
use super::submission::{Submission, SubmissionStage, Terms, VettingError};
use super::vetter::{Judges, Vetter, VetterError};
use crate::audit::Actor;
use crate::central::{Central, CentralError, Recorded};

/// How often it looks whether something has been handed in or approved.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What failed will fail again for a while; what fails again, for twice as long.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// What of the vetting is done without people: looking at what was handed in, and signing what was approved.
#[derive(Debug)]
pub struct VettingService {
    central: Arc<Central>,
    examiner: Examiner,
    /// Without one, what is approved waits.
    vetter: Option<Vetter>,
    actor: Actor,
}

/// What keeps a submission from going on by itself, for the operator.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hindrance(pub(super) String);

impl Recorded for Hindrance {
    const KIND: &'static str = "vetting_hindrance";

    fn told(&self) -> Value {
        Value::Null
    }
}

/// A submission that is tried again later.
struct Hindered {
    told: String,
    pause: Duration,
    retry_at: Instant,
}

/// Why a submission does not go on by itself.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Examiner(#[from] ExaminerError),
    #[error(transparent)]
    Vetter(#[from] VetterError),
    #[error(transparent)]
    Vetting(#[from] VettingError),
}

impl From<CentralError> for Trouble {
    fn from(error: CentralError) -> Self {
        Self::Vetting(error.into())
    }
}

impl Trouble {
    fn code(&self) -> &'static str {
        match self {
            Self::Examiner(error) => error.code(),
            Self::Vetter(error) => error.code(),
            Self::Vetting(error) => error.code(),
        }
    }
}

impl Central {
    /// Checks that a program has looked at a submission: what nobody could compare, nobody approves.
    ///
    /// # Errors
    /// [`VettingError::Unexamined`], or if the database cannot be used.
    pub async fn check_examined(&self, submission: &Submission) -> Result<(), VettingError> {
        match self.report(submission).await? {
            Some(report) if report.unexamined.is_some() => Err(VettingError::Unexamined),
            _ => Ok(()),
        }
    }
}

impl VettingService {
    /// Nothing is begun yet. `actor` is how the audit log names it.
    pub fn build(central: Arc<Central>, examiner: Examiner, vetter: Option<Vetter>, actor: Actor) -> Self {
        Self { central, examiner, vetter, actor }
    }

    /// Works until `stop`; a bundle that is being looked at then is looked at anew later.
    pub async fn run(self, stop: CancellationToken) {
        let mut hindered = BTreeMap::new();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if stop.run_until_cancelled(self.look(&mut hindered)).await.is_none() {
                return;
            }
        }
    }

    /// Takes every submission as far as it goes, unless it is one of `hindered` whose time has not come.
    async fn look(&self, hindered: &mut BTreeMap<u64, Hindered>) {
        let open: Vec<_> = match self.central.submissions().await {
            Ok(submissions) => submissions.into_iter().filter(Submission::is_open).collect(),
            Err(error) => return warn!(error = %ErrorChain(&error), "Submissions cannot be read"),
        };
        hindered.retain(|number, _| open.iter().any(|submission| submission.number == *number));
        for submission in open {
            let before = hindered.remove(&submission.number);
            let after = match before {
                Some(before) if Instant::now() < before.retry_at => Some(before),
                before => self.try_on(&submission, before).await,
            };
            hindered.extend(after.map(|after| (submission.number, after)));
        }
    }

    /// Takes a submission as far as it goes. What keeps it from going on is kept for the operator, and answered; the log
    /// has it unless it is the same as `before`.
    async fn try_on(&self, submission: &Submission, before: Option<Hindered>) -> Option<Hindered> {
        let number = submission.number;
        let trouble = self.go_on(submission).await.err();
        let told = trouble.as_ref().map(|trouble| ErrorChain(trouble).to_string());
        if told.as_ref() != before.as_ref().map(|before| &before.told) {
            if let (Some(trouble), Some(told)) = (&trouble, &told) {
                let code = trouble.code();
                warn!(error = %told, fault.code = code, "Submission {number} does not go on: {told}");
            }
            let kept = told.clone().map(Hindrance);
            // What cannot be kept is in the log.
            let _ = self.central.keep(&number.to_string(), kept.as_ref()).await;
        }
        let pause = before.map_or(RETRY_AFTER, |before| (before.pause * 2).min(RETRY_AFTER_MAX));
        told.map(|told| Hindered { told, pause, retry_at: Instant::now() + pause })
    }

    async fn go_on(&self, submission: &Submission) -> Result<(), Trouble> {
        let done = match submission.stage() {
            SubmissionStage::Examination => self.examine(submission).await,
            SubmissionStage::Signing => self.sign(submission).await,
            _ => Ok(()),
        };
        match done {
            // Another central server was faster, or it was withdrawn.
            Err(Trouble::Vetting(VettingError::Stage { .. })) => Ok(()),
            done => done,
        }
    }

    async fn examine(&self, submission: &Submission) -> Result<(), Trouble> {
        let central = &self.central;
        let file = central.file(&submission.bundle).await?.ok_or(VettingError::Unknown)?;
        let approved = central.approved_before(&submission.plugin).await?;
        let approved = match approved.and_then(|one| one.vetted_file()) {
            Some(digest) => central.file(&digest).await?,
            None => None,
        };
        let report = self.examiner.examine(submission, &file, approved.as_deref()).await?;
        central.note_report(&self.actor, submission.number, &report).await?;
        info!("Submission {}, {} {}, is examined", submission.number, report.plugin, report.version);
        Ok(())
    }

    async fn sign(&self, submission: &Submission) -> Result<(), Trouble> {
        let Submission { number, plugin, version, approvals, terms, .. } = submission;
        let vetter = self.vetter.as_ref().ok_or(VetterError::NoKey)?;
        let central = &self.central;
        central.check_examined(submission).await?;
        let (registry, now) = (central.snapshot().await?.registry, central.clock().now());
        let trust = registry.bundle_trust();
        let Terms { tier, grants } = terms.clone().ok_or(VettingError::Tier)?;
        let days = trust.tiers().get(&tier).ok_or(VettingError::Tier)?.valid_days;
        let expires = now + Duration::from_secs(u64::from(days) * 24 * 3600);
        let statement = VettingStatement {
            plugin: plugin.clone(),
            version: version.clone(),
            reviewers: approvals.iter().map(|approval| approval.full_name.clone()).collect(),
            tier,
            grants,
            expires,
        };
        let judges = Judges {
            time_stamping: registry.time_stamping.values().cloned().collect(),
            authorities: registry.authorities(),
            trust: trust.trust().map_err(VetterError::from)?,
        };
        let bundle = central.submitted(submission).await?;
        let vetted = vetter.vet(bundle, statement, &judges, now).await?;
        let times = (vetted.stamped_at, expires);
        central.note_vetted(&self.actor, *number, vetted.content.into(), times).await?;
        info!("Submission {number}, {plugin} {version}, is signed");
        Ok(())
    }
}
