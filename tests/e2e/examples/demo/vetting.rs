//! How bundles are vetted: the operator hands in what authors have signed, and two reviewers approve it in the browser.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::FutureExt;
use uuk_e2e::Central;
use uuk_testkit::browser::Browser;
use uuk_testkit::joining::accept;

use crate::album::Album;
use crate::joining::invite;

const REVIEWERS: [(&str, &str); 2] = [("chon", "C. Chon"), ("duysheev", "D. Duysheev")];
/// The program calls each adapter with its fixtures and odd requests first; in a debug build.
const PATIENCE: Duration = Duration::from_secs(120);
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// Gives the bundles as they are signed once both reviewers have approved them. Each comes with the name of its file.
pub(crate) async fn vet<const N: usize>(
    central: &Central,
    console: &str,
    album: &Album,
    bundles: [(&str, Vec<u8>); N],
) -> Result<[Vec<u8>; N]> {
    for (name, bundle) in &bundles {
        let file = central.path(name);
        fs::write(&file, bundle)?;
        central.run(&["vetting", "submit", &file.display().to_string()])?;
    }
    // Browsers panic where they do not get on.
    let approved = AssertUnwindSafe(approve(central, console, album, N)).catch_unwind().await;
    approved.unwrap_or_else(|_| bail!("the adapters are not approved"))?;
    let mut vetted = [const { Vec::new() }; N];
    for (number, bundle) in (1..).zip(&mut vetted) {
        *bundle = fetch(central, number).await?;
    }
    Ok(vetted)
}

async fn approve(central: &Central, console: &str, album: &Album, bundles: usize) -> Result<()> {
    let browser = Browser::start(console, "en").await.context("there is no browser")?;
    let [first, second] = REVIEWERS;
    accept(&browser, &invite(central, first, &["reviewer"])?).await;
    for number in 1..=bundles {
        examined(&browser, number).await?;
        browser.fill("/grants", "to read the register, nothing else").await;
        if number == 1 {
            album.take(&browser, "vetting").await;
        }
        browser.step("approve").await;
    }
    browser.follow("form.person button").await;
    accept(&browser, &invite(central, second, &["reviewer"])?).await;
    for number in 1..=bundles {
        examined(&browser, number).await?;
        browser.step("approve").await;
    }
    Ok(())
}

/// Opens the page of a bundle, as soon as it can be approved.
async fn examined(browser: &Browser, number: usize) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        browser.open(&format!("/vetting/{number}")).await;
        if browser.run("return document.querySelector(\"form[action$='/approve']\") !== null").await == true {
            return Ok(());
        }
        ensure!(Instant::now() < until, "bundle {number} cannot be approved: {}", browser.text().await);
        tokio::time::sleep(ASKED_EVERY).await;
    }
}

/// The bundle, as soon as the central server has signed it.
async fn fetch(central: &Central, number: u32) -> Result<Vec<u8>> {
    let (file, until) = (central.path("vetted.asice"), Instant::now() + PATIENCE);
    loop {
        let (number, output) = (number.to_string(), file.display().to_string());
        match central.run(&["vetting", "fetch", &number, "--output", &output]) {
            Ok(_) => break,
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => tokio::time::sleep(ASKED_EVERY).await,
        }
    }
    let bundle = fs::read(&file)?;
    fs::remove_file(&file)?;
    Ok(bundle)
}
