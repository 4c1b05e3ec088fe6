use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::report::Report;
use super::submission::Submission;

/// Compiling a large component takes ten seconds, and its fixtures some minutes at most.
const TIME_MAX: Duration = Duration::from_secs(600);
const REPORT_BYTES_MAX: u64 = 16 << 20;
/// Of what it says when it fails.
const SAID_BYTES_MAX: u64 = 2000;

/// A process of its own that looks at a bundle: what a bundle does to it reaches no key and no registry.
///
/// It runs in a folder with `bundle.asice` and perhaps `approved.asice`, the version that was approved last, and leaves
/// `report.json`, a [`Report`].
#[derive(Debug, Clone)]
pub struct Examiner {
    /// The program.
    pub program: PathBuf,
    /// What makes it examine `bundle.asice`.
    pub arguments: Vec<OsString>,
    /// What makes it compare with `approved.asice`.
    pub against: Vec<OsString>,
}

/// Why nothing was found out about a bundle, which is no fault of the bundle.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "examiner.")]
#[non_exhaustive]
pub enum ExaminerError {
    /// There is no folder for it, or it cannot be started.
    #[error("the examiner of bundles cannot be started")]
    Start(#[from] std::io::Error),
}

impl ExaminerError {
    /// The stable code: `examiner.start`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Examiner {
    /// What it finds in a bundle. A bundle on which it fails is reported as one that was not examined.
    pub(super) async fn examine(
        &self,
        submission: &Submission,
        bundle: &[u8],
        approved: Option<&[u8]>,
    ) -> Result<Report, ExaminerError> {
        let folder = tempfile::tempdir()?;
        tokio::fs::write(folder.path().join("bundle.asice"), bundle).await?;
        let mut command = Command::new(&self.program);
        // It reads what strangers wrote, and needs nothing that this process knows.
        command.args(&self.arguments).env_clear().current_dir(folder.path()).kill_on_drop(true);
        // What it unpacks goes with the folder, however it ends.
        command.env("TMPDIR", folder.path());
        if let Some(approved) = approved {
            tokio::fs::write(folder.path().join("approved.asice"), approved).await?;
            command.args(&self.against);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let ended = async {
            let mut said = Vec::new();
            if let Some(mut errors) = process.stderr.take() {
                (&mut errors).take(SAID_BYTES_MAX).read_to_end(&mut said).await?;
                tokio::io::copy(&mut errors, &mut tokio::io::sink()).await?;
            }
            let status = process.wait().await?;
            Ok::<_, std::io::Error>(format!("{status}: {}", String::from_utf8_lossy(&said).trim()))
        };
        let said = match tokio::time::timeout(TIME_MAX, ended).await {
            Ok(said) => said?,
            Err(_) => {
                process.kill().await?;
                format!("it took longer than {TIME_MAX:?}")
            }
        };
        let mut report = Vec::new();
        if let Ok(file) = tokio::fs::File::open(folder.path().join("report.json")).await {
            file.take(REPORT_BYTES_MAX).read_to_end(&mut report).await?;
        }
        let read = serde_json::from_slice::<Report>(&report).ok();
        let of_this = read.filter(|report| report.digest == submission.bundle);
        Ok(of_this.unwrap_or_else(|| unexamined(submission, said)))
    }
}

fn unexamined(submission: &Submission, said: String) -> Report {
    Report {
        plugin: submission.plugin.clone(),
        version: submission.version.clone(),
        digest: submission.bundle,
        author: submission.author.clone(),
        against: None,
        unexamined: Some(said),
        differences: Vec::new(),
        trial: None,
        components: Vec::new(),
        advisories: None,
    }
}
