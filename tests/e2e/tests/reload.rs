//! From a file in the folder to a version that serves, and back: whatever happens to the folder, the disk, the version
//! or the policy, what is good keeps answering.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use tempfile::TempDir;
use uuk_e2e::{Client, Guest, Operator, Parts, Reply, Server, Site};

const ECHO: &str = "kg.example.echo";
const FIRST: Guest = Guest::Component { name: "echo_v1", folder: "echo" };
const SECOND: Guest = Guest::Component { name: "echo_v2", folder: "echo" };
/// Traps if the message is `traps`.
const FAILING: Guest = Guest::Component { name: "wasi_http_misbehaves", folder: "echo" };
const UNFIT: Guest = Guest::Component { name: "unfit", folder: "echo" };

const AT_ONCE: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n";
const ON_TRIAL: &str = "[plugins]\ncanary_percent = 50\ncanary_time = \"1h\"\nrescan_every = \"200ms\"\n";
const UPSTREAM: &str = "[upstream.api]\nbase = \"http://127.0.0.1:9\"\n";

/// A server with a place for the echo adapter: catalogued, granted, not yet there.
struct Place {
    site: Site,
    server: Server,
    operator: Operator,
    folder: TempDir,
}

impl Place {
    fn new(settings: &str) -> Result<Self> {
        Self::furnished(settings, |_| Ok(()))
    }

    /// As `furnish` leaves the site before the server starts.
    fn furnished(settings: &str, furnish: impl FnOnce(&mut Site) -> Result<()>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", settings)?;
        site.catalogue(FIRST)?;
        site.grant(ECHO, UPSTREAM)?;
        furnish(&mut site)?;
        let server = Server::start(&site)?;
        let operator = Operator::of(&site);
        Ok(Self { site, server, operator, folder })
    }

    /// Puts a version into a file and waits until it is at a stage.
    async fn install(&self, file: &str, guest: Guest, version: &str, stage: &str) -> Result<()> {
        self.site.drop_bundle(file, &self.bundle(guest, version)?)?;
        self.operator.sees_version(ECHO, version, stage).await?;
        Ok(())
    }

    fn bundle(&self, guest: Guest, version: &str) -> Result<Vec<u8>> {
        let parts = Parts::of(guest)?.with_version(version)?;
        let asks = "[upstream.api]\nmethods = [\"GET\"]\npaths = [\"/v1/*\"]\n\n[build]";
        self.site.sign(if guest == FAILING { parts.with_manifest("[build]", asks)? } else { parts })
    }

    async fn call(&self, message: &str) -> Result<Reply> {
        Client::new(self.server.address()).get("echo", &format!("/echo/{message}")).await
    }

    /// Which component answers.
    async fn answers(&self) -> Result<String> {
        self.call("hello").await?.text("version")
    }

    async fn until_status(&self, status: StatusCode) -> Result<()> {
        let is = || async { self.call("hello").await.is_ok_and(|reply| reply.status == status) };
        self.server.until(&format!("status {status}"), Duration::from_secs(30), is).await
    }

    /// Kills the server, lets `meanwhile` happen, and starts it again.
    fn restart(&mut self, meanwhile: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.server.process().kill()?;
        self.server.process().wait()?;
        meanwhile(self.folder.path())?;
        self.server = Server::start(&self.site)?;
        Ok(())
    }

    fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    fn stage_of(&self, version: &str) -> Result<String> {
        let list = self.operator.list()?;
        let found = list.into_iter().find(|one| one.plugin == ECHO && one.version == version);
        Ok(found.with_context(|| format!("{version} is not listed"))?.stage)
    }
}

#[tokio::test]
async fn a_new_version_replaces_the_old() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    assert_eq!(place.call("hello").await?.status, StatusCode::SERVICE_UNAVAILABLE);
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    assert_eq!(place.answers().await?, "1.0.0");
    place.install("echo.asice", SECOND, "2.0.0", "active").await?;
    assert_eq!(place.answers().await?, "2.0.0");
    assert_eq!(place.stage_of("1.0.0")?, "standby");
    Ok(())
}

#[tokio::test]
async fn an_older_version_put_in_its_place_replaces_the_newer() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", SECOND, "2.0.0", "active").await?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_half_written_file_stops_nothing_and_is_taken_once_complete() -> Result<()> {
    const GRACE: Duration = Duration::from_millis(500);
    let place = Place::new(&format!("{AT_ONCE}removal_grace = \"{}ms\"\n", GRACE.as_millis()))?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    let second = place.bundle(SECOND, "2.0.0")?;
    let (half, rest) = second.split_at(second.len() / 2);
    // Over the very file that serves, as a careless copy does.
    fs::write(place.plugins().join("echo.asice"), half)?;
    let code = place.operator.sees_refused("echo.asice").await?;
    assert!(code.starts_with("container."), "{code}");
    // However slow the copy is: its file is not removed.
    tokio::time::sleep(3 * GRACE).await;
    assert_eq!(place.answers().await?, "1.0.0");
    fs::write(place.plugins().join("echo.asice"), [half, rest].concat())?;
    place.operator.sees_version(ECHO, "2.0.0", "active").await?;
    assert_eq!(place.answers().await?, "2.0.0");
    Ok(())
}

#[tokio::test]
async fn a_swap_of_the_folder_behind_a_link_is_seen() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    let plugins = place.plugins();
    for (folder, guest, version) in [("..first", FIRST, "1.0.0"), ("..second", SECOND, "2.0.0")] {
        fs::create_dir(plugins.join(folder))?;
        fs::write(plugins.join(folder).join("echo.asice"), place.bundle(guest, version)?)?;
    }
    // As Kubernetes shows a volume: the file is a link through `..data`, which is what gets replaced.
    symlink("..first", plugins.join("..data"))?;
    symlink("..data/echo.asice", plugins.join("echo.asice"))?;
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    symlink("..second", plugins.join("..data_tmp"))?;
    fs::rename(plugins.join("..data_tmp"), plugins.join("..data"))?;
    place.operator.sees_version(ECHO, "2.0.0", "active").await?;
    assert_eq!(place.answers().await?, "2.0.0");
    Ok(())
}

#[tokio::test]
async fn a_storm_of_files_is_weathered() -> Result<()> {
    const FILES: u32 = 200;
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    let plugins = place.plugins();
    let storm = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        for number in 0..FILES {
            fs::write(plugins.join(format!("junk-{number}.asice")), format!("junk {number}"))?;
            if number % 2 == 0 {
                fs::remove_file(plugins.join(format!("junk-{number}.asice")))?;
            }
            std::thread::sleep((Duration::from_millis(10) * (number + 1)).saturating_sub(began.elapsed()));
        }
        Ok::<_, std::io::Error>(())
    });
    let mut calls = 0;
    while !storm.is_finished() {
        assert_eq!(place.answers().await?, "1.0.0");
        calls += 1;
    }
    storm.await??;
    assert!(calls > 20, "{calls} calls in two seconds");
    // And the folder is still followed, under the last of the junk.
    place.operator.sees_refused(&format!("junk-{}.asice", FILES - 1)).await?;
    place.install("zecho.asice", SECOND, "2.0.0", "active").await?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_keeps_a_new_version_waiting() -> Result<()> {
    let mut disk = None;
    let place = Place::furnished(AT_ONCE, |site| {
        disk = SmallDisk::mount(&site.folder().join("state"))?;
        Ok(())
    })?;
    let Some(disk) = disk else {
        println!("skipped: mounting a small disk needs the rights of root");
        return Ok(());
    };
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    disk.fill()?;
    place.site.drop_bundle("echo.asice", &place.bundle(SECOND, "2.0.0")?)?;
    assert_eq!(place.operator.sees_refused("echo.asice").await?, "plugin.store");
    assert_eq!(place.answers().await?, "1.0.0");
    disk.empty()?;
    place.operator.sees_version(ECHO, "2.0.0", "active").await?;
    drop(place);
    Ok(())
}

/// A disk of a few MiB in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "uuk-test"])
            .arg(folder)
            .output();
        Ok(mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned())))
    }

    fn fill(&self) -> Result<()> {
        let block = vec![0; 64 << 10];
        let mut filler = fs::File::create(self.0.join("filler"))?;
        while std::io::Write::write_all(&mut filler, &block).is_ok() {}
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still be in it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_bad_bundle_next_to_a_good_one_stops_nothing() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    let mut tampered = place.bundle(SECOND, "2.0.0")?;
    let middle = tampered.len() / 2;
    for byte in tampered.iter_mut().skip(middle).take(16) {
        *byte ^= 0xff;
    }
    place.site.drop_bundle("bad.asice", &tampered)?;
    place.site.drop_bundle("unfit.asice", &place.bundle(UNFIT, "3.0.0")?)?;
    place.install("good.asice", FIRST, "1.0.0", "active").await?;
    let code = place.operator.sees_refused("bad.asice").await?;
    assert!(code.starts_with("container.") || code.starts_with("asic."), "{code}");
    assert_eq!(place.operator.sees_refused("unfit.asice").await?, "plugin.probe");
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_refused_bundle_is_forgotten_with_its_file_and_judged_anew_when_it_comes_again() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    let unfit = place.bundle(UNFIT, "1.0.0")?;
    for _ in 0..2 {
        place.site.drop_bundle("unfit.asice", &unfit)?;
        assert_eq!(place.operator.sees_refused("unfit.asice").await?, "plugin.probe");
        fs::remove_file(place.plugins().join("unfit.asice"))?;
        let operator = place.operator.clone();
        let forgotten = || async { operator.list().is_ok_and(|list| list.is_empty()) };
        place.server.until("forgotten", Duration::from_secs(30), forgotten).await?;
        let copies = fs::read_dir(place.folder.path().join("state/bundles"))?.flatten();
        let copies = copies.filter(|entry| entry.path().extension().is_some_and(|end| end == "asice"));
        assert_eq!(copies.count(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_bundle_serves_once_it_is_granted_and_no_longer_than_that() -> Result<()> {
    let place = Place::furnished(AT_ONCE, |site| {
        Ok(fs::remove_file(site.folder().join(format!("grants/{ECHO}.toml")))?)
    })?;
    place.site.drop_bundle("echo.asice", &place.bundle(FIRST, "1.0.0")?)?;
    assert_eq!(place.operator.sees_refused("echo.asice").await?, "plugin.not_granted");
    place.site.grant(ECHO, "")?;
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    fs::remove_file(place.folder.path().join(format!("grants/{ECHO}.toml")))?;
    assert_eq!(place.operator.sees_refused("echo.asice").await?, "plugin.not_granted");
    assert_eq!(place.call("hello").await?.status, StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

#[tokio::test]
async fn a_grant_that_no_longer_covers_the_manifest_stops_the_version() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FAILING, "1.0.0", "active").await?;
    place.site.grant(ECHO, "")?;
    assert_eq!(place.operator.sees_refused("echo.asice").await?, "grant.upstream_not_granted");
    assert_eq!(place.call("hello").await?.status, StatusCode::SERVICE_UNAVAILABLE);
    place.site.grant(ECHO, UPSTREAM)?;
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    Ok(())
}

#[tokio::test]
async fn a_change_of_grants_does_not_interrupt_what_they_still_allow() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    place.install("echo.asice", SECOND, "2.0.0", "active").await?;
    let log = place.folder.path().join("server.log");
    for change in 1..=2 {
        place.site.grant(ECHO, &UPSTREAM.replace(":9", &format!(":{}", 10 + change)))?;
        let read = || async {
            let answered = place.answers().await.is_ok_and(|version| version == "2.0.0");
            let text = fs::read_to_string(&log).unwrap_or_default();
            assert!(answered);
            text.matches("were read anew").count() == change
        };
        place.server.until("the grants are read", Duration::from_secs(30), read).await?;
    }
    // What stands by stood the change as well.
    place.operator.plugin(&["rollback", ECHO])?;
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_contract_other_than_the_catalogued_one_is_refused() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    let mut parts = Parts::of(SECOND)?.with_version("2.0.0")?;
    let contract = parts.0.get_mut("contracts/echo.yaml").context("no contract")?;
    contract.extend(b"# and something small besides\n");
    place.site.drop_bundle("other.asice", &place.site.sign(parts)?)?;
    assert_eq!(place.operator.sees_refused("other.asice").await?, "plugin.contract_differs");
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_service_that_another_plugin_answers_is_not_taken_from_it() -> Result<()> {
    let place = Place::furnished(AT_ONCE, |site| site.grant("kg.example.rival", ""))?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    let rival = Parts::of(SECOND)?.with_names("kg.example.rival", "echo")?;
    place.site.drop_bundle("rival.asice", &place.site.sign(rival)?)?;
    assert_eq!(place.operator.sees_refused("rival.asice").await?, "plugin.service_taken");
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn one_bundle_in_two_files_outlives_one_of_them() -> Result<()> {
    let place = Place::new(&format!("{AT_ONCE}removal_grace = \"300ms\"\n"))?;
    let bundle = place.bundle(FIRST, "1.0.0")?;
    place.site.drop_bundle("one.asice", &bundle)?;
    place.site.drop_bundle("two.asice", &bundle)?;
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    assert_eq!(place.operator.list()?.len(), 1);
    fs::remove_file(place.plugins().join("one.asice"))?;
    place.operator.sees("the other file", |one| one.file == "two.asice").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn of_two_bundles_with_one_version_the_one_that_serves_stays() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    for _ in 0..3 {
        place.install("echo.asice", FIRST, "1.0.0", "active").await?;
        // Of both orders of digests one is likely among three.
        place.install("other.asice", SECOND, "1.0.0", "superseded").await?;
        assert_eq!(place.answers().await?, "1.0.0");
        fs::remove_file(place.plugins().join("other.asice"))?;
        let gone = || async {
            place.operator.list().is_ok_and(|list| list.iter().all(|one| one.file != "other.asice"))
        };
        place.server.until("the other is gone", Duration::from_secs(30), gone).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_whose_file_is_removed_is_retired_after_the_grace() -> Result<()> {
    let place = Place::new(&format!("{AT_ONCE}removal_grace = \"1s\"\n"))?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    let bundle = fs::read(place.plugins().join("echo.asice"))?;
    // Away and back, as a remount does.
    fs::remove_file(place.plugins().join("echo.asice"))?;
    let removed = Instant::now();
    place.operator.sees("the file is gone", |one| one.file.is_empty()).await?;
    ensure!(removed.elapsed() < Duration::from_secs(1), "the machine is too slow to tell");
    assert_eq!(place.answers().await?, "1.0.0");
    place.site.drop_bundle("echo.asice", &bundle)?;
    place.operator.sees("the file is back", |one| one.file == "echo.asice").await?;
    // Away for good.
    fs::remove_file(place.plugins().join("echo.asice"))?;
    place.until_status(StatusCode::SERVICE_UNAVAILABLE).await
}

#[tokio::test]
async fn a_restart_brings_back_what_served_whatever_became_of_the_folder() -> Result<()> {
    const GRACE: Duration = Duration::from_millis(500);
    let mut place = Place::new(&format!("{AT_ONCE}removal_grace = \"{}ms\"\n", GRACE.as_millis()))?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    place.install("echo.asice", SECOND, "2.0.0", "active").await?;
    place.restart(|folder| Ok(fs::rename(folder.join("plugins"), folder.join("unmounted"))?))?;
    place.until_status(StatusCode::OK).await?;
    // A folder that is not there is not an empty one, however long.
    tokio::time::sleep(3 * GRACE).await;
    assert_eq!(place.answers().await?, "2.0.0");
    // Without its compiled form, too, and with what stood by.
    place.restart(|folder| {
        fs::rename(folder.join("unmounted"), folder.join("plugins"))?;
        Ok(fs::remove_dir_all(folder.join("state/compiled"))?)
    })?;
    place.operator.sees_version(ECHO, "2.0.0", "active").await?;
    place.operator.sees_version(ECHO, "1.0.0", "standby").await?;
    place.operator.plugin(&["rollback", ECHO])?;
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_damaged_copy_is_not_brought_back() -> Result<()> {
    let mut place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    place.restart(|folder| {
        for entry in fs::read_dir(folder.join("state/bundles"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "asice") {
                fs::write(path, b"not what was kept")?;
            }
        }
        Ok(())
    })?;
    // The file in the folder is still good, and is taken in its place.
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    assert!(fs::read_to_string(place.folder.path().join("server.log"))?.contains("the copy is damaged"));
    Ok(())
}

#[tokio::test]
async fn a_canary_takes_its_share_and_is_promoted_when_its_time_is_over() -> Result<()> {
    const TIME: Duration = Duration::from_secs(4);
    let place = Place::new(&ON_TRIAL.replace("1h", &format!("{}s", TIME.as_secs())))?;
    place.install("one.asice", FIRST, "1.0.0", "active").await?;
    place.install("two.asice", SECOND, "2.0.0", "canary").await?;
    let began = Instant::now();
    let mut by_canary = 0;
    for _ in 0..20 {
        by_canary += u32::from(place.answers().await? == "2.0.0");
        // Tables are published anew meanwhile, which must not begin the share again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(began.elapsed() < TIME, "the machine is too slow to tell");
    assert!((9..=11).contains(&by_canary), "{by_canary} of 20");
    place.operator.sees_version(ECHO, "2.0.0", "active").await?;
    assert_eq!(place.answers().await?, "2.0.0");
    assert_eq!(place.stage_of("1.0.0")?, "standby");
    Ok(())
}

#[tokio::test]
async fn a_failing_canary_is_quarantined_and_stays_so_after_a_restart() -> Result<()> {
    let mut place = Place::new(ON_TRIAL)?;
    place.install("one.asice", FIRST, "1.0.0", "active").await?;
    place.install("two.asice", FAILING, "2.0.0", "canary").await?;
    let mut failed = 0;
    while place.stage_of("2.0.0")? != "quarantined" {
        failed += u32::from(place.call("traps").await?.status == StatusCode::BAD_GATEWAY);
        assert!(failed <= 6, "a call or two may be on their way when the fifth fails");
    }
    for _ in 0..10 {
        assert_eq!(place.call("traps").await?.text("version")?, "1.0.0");
    }
    place.restart(|_| Ok(()))?;
    place.operator.sees_version(ECHO, "2.0.0", "quarantined").await?;
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_version_that_fails_while_it_serves_gives_way_to_the_one_before() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    place.install("echo.asice", FAILING, "2.0.0", "active").await?;
    for _ in 0..5 {
        assert_eq!(place.call("traps").await?.status, StatusCode::BAD_GATEWAY);
    }
    place.operator.sees_version(ECHO, "2.0.0", "quarantined").await?;
    assert_eq!(place.call("traps").await?.text("version")?, "1.0.0");
    assert_eq!(place.stage_of("1.0.0")?, "active");
    Ok(())
}

#[tokio::test]
async fn a_failing_version_with_nothing_to_go_back_to_pauses_longer_each_time() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FAILING, "1.0.0", "active").await?;
    let mut pauses = Vec::new();
    while !pauses.contains(&3) {
        let reply = place.call("traps").await?;
        if reply.status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(reply.text("code")?, "proxy.suspended");
            let seconds: u64 = reply.headers["retry-after"].to_str()?.parse()?;
            if pauses.last() != Some(&seconds) {
                pauses.push(seconds);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(pauses.first(), Some(&1), "pauses grow: {pauses:?}");
    // Nobody gives it up: it answers again by itself.
    assert_eq!(place.stage_of("1.0.0")?, "suspended");
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    Ok(())
}

#[tokio::test]
async fn a_version_whose_vetting_expires_stops_serving() -> Result<()> {
    let place = Place::new(&format!("{AT_ONCE}verify_every = \"1s\"\n"))?;
    let bundle = place.site.sign_for(Parts::of(FIRST)?.with_version("1.0.0")?, Duration::from_secs(4))?;
    place.site.drop_bundle("echo.asice", &bundle)?;
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    assert_eq!(place.answers().await?, "1.0.0");

    let refused = place.operator.sees_version(ECHO, "1.0.0", "rejected").await?;
    assert_eq!(refused.code, "bundle.vetting_expired");
    assert_eq!(place.call("hello").await?.text("code")?, "proxy.no_plugin");
    Ok(())
}

#[tokio::test]
async fn a_new_version_ends_a_pause_at_once() -> Result<()> {
    let place = Place::new(ON_TRIAL)?;
    place.install("echo.asice", FAILING, "1.0.0", "active").await?;
    let began = Instant::now();
    while place.stage_of("1.0.0")? != "suspended" || began.elapsed() < Duration::from_secs(2) {
        place.call("traps").await?;
    }
    // Though new versions are to be on trial first: beside one that pauses there is nothing to compare with.
    place.site.drop_bundle("echo.asice", &place.bundle(FIRST, "2.0.0")?)?;
    let keep_failing = async {
        loop {
            place.call("traps").await?;
        }
        #[expect(unreachable_code, reason = "gives the loop its type")]
        Ok::<(), anyhow::Error>(())
    };
    tokio::select! {
        failed = keep_failing => failed?,
        seen = place.operator.sees_version(ECHO, "2.0.0", "active") => { seen?; }
    }
    assert_eq!(place.answers().await?, "1.0.0", "the honest component in the bundle 2.0.0");
    Ok(())
}

#[tokio::test]
async fn a_bundle_waits_for_approval_where_that_is_asked_for() -> Result<()> {
    let place = Place::new(&format!("{AT_ONCE}approval = \"manual\"\n"))?;
    place.install("echo.asice", FIRST, "1.0.0", "awaits_approval").await?;
    assert_eq!(place.call("hello").await?.status, StatusCode::SERVICE_UNAVAILABLE);
    place.operator.plugin(&["approve", &format!("{ECHO}@1.0.0")])?;
    place.operator.sees_version(ECHO, "1.0.0", "active").await?;
    // Approval is of a bundle, not of a plugin.
    place.install("echo.asice", SECOND, "2.0.0", "awaits_approval").await?;
    assert_eq!(place.answers().await?, "1.0.0");
    Ok(())
}

#[tokio::test]
async fn a_revoked_version_stops_and_what_stands_by_serves() -> Result<()> {
    let place = Place::new(AT_ONCE)?;
    place.install("echo.asice", FIRST, "1.0.0", "active").await?;
    place.install("echo.asice", SECOND, "2.0.0", "active").await?;
    let revoke = |digests: &[&str]| {
        let path = place.folder.path().join("trust.toml");
        let trust = fs::read_to_string(&path)?;
        let list: Vec<String> = digests.iter().map(|digest| format!("\"{digest}\"")).collect();
        let kept = trust.lines().filter(|line| !line.starts_with("revoked")).collect::<Vec<_>>().join("\n");
        Ok::<_, anyhow::Error>(fs::write(path, format!("revoked = [{}]\n{kept}\n", list.join(", ")))?)
    };
    let digest = |version: &str| {
        let list = place.operator.list()?;
        let found = list.into_iter().find(|one| one.version == version).context("not listed")?;
        Ok::<_, anyhow::Error>(found.digest)
    };
    let (first, second) = (digest("1.0.0")?, digest("2.0.0")?);

    let revoked = Instant::now();
    revoke(&[&second])?;
    let back = || async { place.answers().await.is_ok_and(|version| version == "1.0.0") };
    place.server.until("back to the first", Duration::from_secs(10), back).await?;
    println!("stopped {:?} after the revocation", revoked.elapsed());
    assert_eq!(place.operator.sees_refused("echo.asice").await?, "bundle.revoked");

    revoke(&[&first, &second])?;
    place.until_status(StatusCode::SERVICE_UNAVAILABLE).await
}

#[tokio::test]
async fn operators_choose_a_version_go_back_and_take_one_out() -> Result<()> {
    let place = Place::new(ON_TRIAL)?;
    let (first, second) = (format!("{ECHO}@1.0.0"), format!("{ECHO}@2.0.0"));
    place.install("one.asice", FIRST, "1.0.0", "active").await?;
    place.install("two.asice", SECOND, "2.0.0", "canary").await?;

    // What an operator chooses serves at once, and when the command ends it does.
    place.operator.plugin(&["activate", &second])?;
    assert_eq!(place.answers().await?, "2.0.0");
    place.operator.plugin(&["rollback", ECHO])?;
    assert_eq!(place.answers().await?, "1.0.0");

    // The older one stays, until a better version comes that nobody knew of.
    place.site.drop_bundle("unfit.asice", &place.bundle(UNFIT, "2.5.0")?)?;
    assert_eq!(place.operator.sees_refused("unfit.asice").await?, "plugin.probe");
    assert_eq!(place.stage_of("1.0.0")?, "active");
    assert_eq!(place.stage_of("2.0.0")?, "standby");
    place.install("three.asice", SECOND, "3.0.0", "canary").await?;
    place.operator.plugin(&["activate", &format!("{ECHO}@3.0.0")])?;

    place.operator.plugin(&["quarantine", &format!("{ECHO}@3.0.0"), "--reason", "looks odd"])?;
    assert_eq!(place.stage_of("3.0.0")?, "quarantined");
    assert_eq!(place.stage_of("1.0.0")?, "active");
    let refused = place.operator.plugin(&["activate", &format!("{ECHO}@3.0.0")]).unwrap_err().to_string();
    assert!(refused.contains("plugin.order_refused") && refused.contains("release it first"), "{refused}");
    place.operator.plugin(&["release", &format!("{ECHO}@3.0.0")])?;
    place.operator.sees_version(ECHO, "3.0.0", "canary").await?;

    let refused = place.operator.plugin(&["release", &first]).unwrap_err().to_string();
    assert!(refused.contains("is not quarantined"), "{refused}");
    let refused = place.operator.plugin(&["rollback", "kg.example.nobody"]).unwrap_err().to_string();
    assert!(refused.contains("no earlier version"), "{refused}");
    let unknown = format!("sha256:{}", "0".repeat(64));
    let refused = place.operator.plugin(&["approve", &unknown]).unwrap_err().to_string();
    assert!(refused.contains("no usable bundle"), "{refused}");
    Ok(())
}

/// A call as a caller saw it.
struct Seen {
    began: Instant,
    ended: Instant,
    version: String,
}

/// Calls with messages of its own until told to stop; every call must be answered, and with its own message.
async fn call_until(
    stopped: tokio::sync::watch::Receiver<bool>,
    address: String,
    caller: usize,
) -> Result<Vec<Seen>> {
    let client = Client::new(&address);
    let mut seen = Vec::new();
    while !*stopped.borrow() {
        let message = format!("caller-{caller}-{}", seen.len());
        let began = Instant::now();
        let reply = client.get("echo", &format!("/echo/{message}")).await?;
        ensure!(reply.text("message")? == message, "{reply:?}");
        seen.push(Seen { began, ended: Instant::now(), version: reply.text("version")? });
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_swaps_under_load_lose_mix_and_delay_no_call() -> Result<()> {
    const SWAPS: usize = 50;
    const CALLERS: usize = 8;
    /// How long a version is left alone, so that calls begin and end under it alone.
    const REST: Duration = Duration::from_millis(50);
    let place = Place::new(AT_ONCE)?;
    let guest = |number: usize| if number.is_multiple_of(2) { FIRST } else { SECOND };
    let answer_of = |number: usize| if number.is_multiple_of(2) { "1.0.0" } else { "2.0.0" };
    place.install("echo.asice", guest(0), "1.0.0", "active").await?;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(call_until(stopped.clone(), place.server.address().to_owned(), caller)))
        .collect();
    let mut swaps = Vec::new();
    for number in 1..=SWAPS {
        let version = format!("1.0.{number}");
        let bundle = place.bundle(guest(number), &version)?;
        let dropped = Instant::now();
        place.site.drop_bundle("echo.asice", &bundle)?;
        place.operator.sees_version(ECHO, &version, "active").await?;
        swaps.push((dropped, Instant::now()));
        tokio::time::sleep(REST).await;
    }
    stop.send_replace(true);

    let (mut calls, mut alone) = (0, 0);
    for caller in callers {
        for Seen { began, ended, version } in caller.await?? {
            calls += 1;
            let reported = swaps.iter().filter(|(_, reported)| *reported <= began).count();
            let undisturbed = swaps.get(reported).is_none_or(|(dropped, _)| ended < *dropped);
            if undisturbed {
                alone += 1;
                assert_eq!(version, answer_of(reported), "after swap {reported}");
            }
        }
    }
    assert!(alone > SWAPS, "{alone} of {calls} calls lay under one version alone");
    Ok(())
}
