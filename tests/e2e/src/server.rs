use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::guests::{project_root, target_folder};
use crate::site::Site;

/// A running `uuk serve`, ended when dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    address: String,
    behind: Option<String>,
    operations: String,
}

impl Server {
    /// Builds the program, starts it on `site` and waits until it says where it listens.
    pub fn start(site: &Site) -> Result<Self> {
        Self::start_program(&Self::program()?, site, Stdio::null())
    }

    /// Builds the program, and says where it is.
    pub fn program() -> Result<PathBuf> {
        build()?;
        Ok(target_folder().join("debug/uuk"))
    }

    /// Starts the program as it was built; it ends with the calling thread, even if this process is killed.
    pub fn start_with_us(site: &Site) -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(target_folder().join("debug/uuk"));
        Self::start_command(command, site, Stdio::null())
    }

    /// Starts `program` on `site`; its log goes to `log`.
    pub fn start_program(program: &Path, site: &Site, log: Stdio) -> Result<Self> {
        Self::start_command(Command::new(program), site, log)
    }

    fn start_command(mut command: Command, site: &Site, log: Stdio) -> Result<Self> {
        // What it says of itself is on standard error, together with the log: both are read until it is ready.
        let keep_log = site.folder().join("server.log");
        let mut process = command
            .args(["serve", "--no-color", "--config"])
            .arg(site.folder().join("uuk.toml"))
            .envs(&site.environment)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let errors = process.stderr.take().context("no standard error")?;
        let mut lines = BufReader::new(errors).lines();
        let mut told = Vec::new();
        let (mut address, mut behind, mut operations) = (None, None, None);
        while address.is_none() || operations.is_none() {
            let Some(line) = lines.next().transpose()? else {
                bail!("the server ended before it was ready:\n{}", told.join("\n"));
            };
            let url = |line: &str| line.split("://").nth(1)?.split('/').next().map(str::to_owned);
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.first() {
                Some(&"ready") => address = url(&line),
                Some(&"behind") => behind = url(&line),
                Some(&"watch") => operations = url(&line),
                _ => {}
            }
            told.push(line);
        }
        std::thread::spawn(move || {
            let lines = told.into_iter().chain(lines.map_while(Result::ok));
            let Ok(mut file) = std::fs::File::create(keep_log) else { return };
            for line in lines {
                let _ = std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes());
            }
        });
        let (Some(address), Some(operations)) = (address, operations) else { bail!("no address") };
        Ok(Self { process, address, behind, operations })
    }

    /// `host:port` where clients connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `host:port` where an X-Road security server connects, if the site has that door.
    pub fn behind(&self) -> Option<&str> {
        self.behind.as_deref()
    }

    /// `host:port` of liveness, readiness and metrics.
    pub fn operations(&self) -> &str {
        &self.operations
    }

    /// The process, for measuring and killing.
    pub fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    /// Waits until `condition` holds, asking every few milliseconds, for at most `limit`.
    pub async fn until<F: Future<Output = bool>>(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut() -> F,
    ) -> Result<()> {
        let start = Instant::now();
        while !condition().await {
            ensure!(start.elapsed() < limit, "{what}: not within {limit:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// Builds the program, once for all tests of this process.
fn build() -> Result<()> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let mut built = BUILT.lock().map_err(|_| anyhow::anyhow!("an earlier build panicked"))?;
    if !*built {
        // By itself, the program would have its dependencies with fewer features than the tests have, built once more.
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(project_root())
            .args(["build", "--quiet", "--locked", "--workspace", "--bin", "uuk"])
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "building uuk failed");
        *built = true;
    }
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
