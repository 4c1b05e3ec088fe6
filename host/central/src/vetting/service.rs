use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuk_process::ErrorChain;

use super::examiner::{Examiner, ExaminerError};
use super::submission::{Submission, SubmissionStage, VettingError};
use crate::audit::Actor;
use crate::central::Central;

/// How often it looks whether something has been handed in or approved.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failure it waits, since what failed will fail again for a while.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// What of the vetting is done without people: looking at what was handed in, and signing what was approved.
#[derive(Debug)]
pub struct VettingService {
    central: Arc<Central>,
    examiner: Examiner,
    actor: Actor,
}

/// Why a submission does not go on by itself.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Examiner(#[from] ExaminerError),
    #[error(transparent)]
    Vetting(#[from] VettingError),
}

impl Trouble {
    fn code(&self) -> &'static str {
        match self {
            Self::Examiner(error) => error.code(),
            Self::Vetting(error) => error.code(),
        }
    }
}

impl VettingService {
    /// Nothing is begun yet.
    pub fn build(central: Arc<Central>, examiner: Examiner, actor: Actor) -> Self {
        Self { central, examiner, actor }
    }

    /// Works until `stop`; a bundle that is being looked at then is looked at anew later.
    pub async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let Some(troubled) = stop.run_until_cancelled(self.look()).await else { return };
            if troubled && stop.run_until_cancelled(tokio::time::sleep(RETRY_AFTER)).await.is_none() {
                return;
            }
        }
    }

    /// Takes every submission as far as it goes; whether one does not go on.
    async fn look(&self) -> bool {
        let open = match self.central.submissions().await {
            Ok(submissions) => submissions.into_iter().filter(Submission::is_open).collect(),
            Err(error) => {
                warn!(error = %ErrorChain(&error), "Submissions cannot be read");
                Vec::new()
            }
        };
        let mut troubled = false;
        for submission in open {
            if let Err(trouble) = self.go_on(&submission).await {
                let (number, told) = (submission.number, ErrorChain(&trouble).to_string());
                warn!(error = %told, fault.code = trouble.code(), "Submission {number} does not go on: {told}");
                troubled = true;
            }
        }
        troubled
    }

    async fn go_on(&self, submission: &Submission) -> Result<(), Trouble> {
        match submission.stage() {
            SubmissionStage::Examination => self.examine(submission).await,
            _ => Ok(()),
        }
    }

    async fn examine(&self, submission: &Submission) -> Result<(), Trouble> {
        let (central, number) = (&self.central, submission.number);
        let file = central.bundle_file(&submission.bundle).await.map_err(VettingError::from)?;
        let file = file.ok_or(VettingError::Unknown)?;
        let approved = central.approved_before(&submission.plugin).await.map_err(VettingError::from)?;
        let approved = match approved.and_then(|one| one.vetted_file()) {
            Some(digest) => central.bundle_file(&digest).await.map_err(VettingError::from)?,
            None => None,
        };
        let report = self.examiner.examine(submission, &file, approved.as_deref()).await?;
        match central.note_report(&self.actor, number, &report).await {
            // Another central server was faster, or it was withdrawn.
            Ok(_) | Err(VettingError::Stage { .. }) => {
                info!("Submission {number}, {} {}, has been examined", report.plugin, report.version);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
