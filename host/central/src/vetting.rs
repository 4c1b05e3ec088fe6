//! Which plugin bundles may serve in the instance: what is handed in, who approves it, whose signatures count, and what
//! was revoked.
//!
//! A [`Submission`] waits until a program has looked at it ([`Examiner`]) and two people have approved it; then the
//! [`VettingService`] has it signed and time-stamped by a [`Vetter`].

mod desk;
mod examiner;
mod report;
mod service;
mod submission;
mod tier;
mod trust;
mod vetter;

pub use desk::BUNDLE_BYTES_MAX;
pub use examiner::{Examiner, ExaminerError};
pub use report::{Advisories, Change, Component, Difference, Replay, Report, Trial, Vulnerability};
pub use service::VettingService;
pub use submission::{
    Approval, Outcome, Submission, SubmissionStage, Terms, VettingError, VettingStep, VettingStepName,
};
pub use tier::{BeyondTier, Tier};
pub use trust::{BundleSigner, BundleTrust, MinimumVersion, Revocation};
pub use vetter::{Vetter, VetterError, VettingConfig};
