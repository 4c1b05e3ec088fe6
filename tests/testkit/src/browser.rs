//! Chromium without a screen, driven over WebDriver: JSON over HTTP, for which no library is needed.
//!
//! What the browser or the page does not let it do panics, with what the page says.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "who drives a browser reports where it did not get on"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// As WebDriver names the reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const STARTS_MAX: usize = 5;
const SESSION_END_MAX: Duration = Duration::from_secs(10);
/// Tenths of a second; a busy machine takes some.
const TRIES_MAX: usize = 300;

/// One browser, with cookies of its own.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    /// Of the session.
    url: String,
    /// Of the site.
    site: String,
}

impl Browser {
    /// A browser that likes a language; `None` if there is none on this machine.
    pub async fn start(site: &str, language: &str) -> Option<Self> {
        let started = (0..STARTS_MAX).map(|_| start_driver()).find(|started| !matches!(started, Ok(None)));
        let (driver, port) = match started.expect("no port was free") {
            Ok(started) => started?,
            Err(error) => {
                eprintln!("skipped: no chromedriver ({error}); it is in Debian's package chromium-driver");
                return None;
            }
        };
        let url = format!("http://127.0.0.1:{port}/session");
        let options = json!({
            // No sandbox inside of what is one already, as where tests run; and nothing from outside, whatever a page asks for.
            "args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
            ],
            "prefs": { "intl.accept_languages": language },
        });
        let capabilities = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let begun = send("POST", &url, &capabilities).await;
        let url = format!("{url}/{}", begun["sessionId"].as_str().unwrap());
        let browser = Self { driver, url, site: format!("http://{site}") };
        browser.post("timeouts", &json!({ "implicit": 0, "pageLoad": 30_000 })).await;
        Some(browser)
    }

    /// Goes to a page of the site.
    pub async fn open(&self, path: &str) {
        self.post("url", &json!({ "url": format!("{}{path}", self.site) })).await;
    }

    /// The path of the page.
    pub async fn path(&self) -> String {
        let url = send("GET", &format!("{}/url", self.url), &Value::Null).await;
        url.as_str().unwrap().strip_prefix(&self.site).unwrap().to_owned()
    }

    /// What the page says.
    pub async fn text(&self) -> String {
        let body = self.find("body").await;
        let text = send("GET", &format!("{}/element/{body}/text", self.url), &Value::Null).await;
        text.as_str().unwrap().to_owned()
    }

    /// Fills in a field.
    pub async fn fill(&self, name: &str, text: &str) {
        let field = self.find(&format!("[name='{name}']:not([type=hidden])")).await;
        self.post(&format!("element/{field}/clear"), &json!({})).await;
        self.post(&format!("element/{field}/value"), &json!({ "text": text })).await;
    }

    /// Chooses a file of this machine.
    pub async fn choose_file(&self, name: &str, file: &Path) {
        let field = self.find(&format!("[name='{name}']")).await;
        self.post(&format!("element/{field}/value"), &json!({ "text": file })).await;
    }

    /// Sets the day of a field, whatever the order of its parts in the browser's language.
    pub async fn fill_day(&self, name: &str, day: &str) {
        let set = "document.querySelector(arguments[0]).value = arguments[1]";
        let arguments = json!([format!("[name='{name}']"), day]);
        self.post("execute/sync", &json!({ "script": set, "args": arguments })).await;
    }

    /// Clicks on what a selector finds.
    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.post(&format!("element/{element}/click"), &json!({})).await;
    }

    /// Sends the form of a step.
    pub async fn step(&self, step: &str) {
        self.follow(&format!("form[action$='/{step}'] button[type=submit]")).await;
    }

    /// Clicks on what leads to another page, and waits until this one is gone.
    pub async fn follow(&self, selector: &str) {
        let page = self.find("html").await;
        self.click(selector).await;
        let name = format!("{}/element/{page}/name", self.url);
        for _ in 0..TRIES_MAX {
            if request("GET", &name, &Value::Null).await.get("error").is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("`{selector}` leads nowhere: {}", self.text().await);
    }

    /// Waits until the page is this one.
    pub async fn wait_for_path(&self, path: &str) {
        for _ in 0..TRIES_MAX {
            if self.path().await == path {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} is not {path}", self.path().await);
    }

    /// A picture of the whole page, as wide as a screen of so many pixels.
    pub async fn picture(&self, width: u32, file: &Path) {
        self.post("window/rect", &json!({ "width": width, "height": 900 })).await;
        self.capture([width, 0], file).await;
    }

    /// A picture of the beginning of the page, as on a screen of so many pixels.
    pub async fn picture_of_screen(&self, size: [u32; 2], file: &Path) {
        self.run("scrollTo(0, 0)").await;
        self.capture(size, file).await;
    }

    /// As high as the page, if the height is 0.
    async fn capture(&self, [width, height]: [u32; 2], file: &Path) {
        let metrics = json!({ "mobile": false, "width": width, "height": height, "deviceScaleFactor": 1 });
        self.command("Emulation.setDeviceMetricsOverride", &metrics).await;
        let whole = json!({ "captureBeyondViewport": height == 0 });
        let shot = self.command("Page.captureScreenshot", &whole).await;
        let png = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, png).unwrap();
    }

    /// By how many pixels the page is wider than the screen.
    pub async fn overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.run(script).await.as_i64().unwrap()
    }

    /// Runs a script in the page, whatever the page allows itself, and gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// As [`Browser::run`], for a script that calls its last argument with what it gives.
    pub async fn run_until_done(&self, script: &str) -> Value {
        self.post("execute/async", &json!({ "script": script, "args": [] })).await
    }

    /// Where the links of the page lead within the site.
    pub async fn links(&self) -> Vec<String> {
        let links = self.run("return [...document.links].map(link => link.getAttribute('href'))").await;
        let links: Vec<String> = serde_json::from_value(links).unwrap();
        links.into_iter().filter(|link| link.starts_with('/')).collect()
    }

    async fn command(&self, name: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": name, "params": parameters })).await
    }

    async fn find(&self, selector: &str) -> String {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector })).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        send("POST", &format!("{}/{path}", self.url), body).await
    }
}

/// The driver and its port; `None` if the port that it chose was taken.
fn start_driver() -> std::io::Result<Option<(Child, String)>> {
    let mut command = Command::new("chromedriver");
    let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines
        .find_map(|line| Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()));
    std::thread::spawn(move || lines.for_each(drop));
    match port {
        Some(port) => Ok(Some((driver, port))),
        None => driver.wait().map(|_| None),
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Only whoever ends the session ends the browser; killing the driver leaves it running.
        let _ = end_session(&self.url);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Asks the driver for the end of a session, without a runtime.
fn end_session(url: &str) -> std::io::Result<()> {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap_or_default();
    let mut driver = TcpStream::connect(host)?;
    driver.set_read_timeout(Some(SESSION_END_MAX))?;
    write!(driver, "DELETE /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    driver.read_to_end(&mut Vec::new()).map(drop)
}

/// What the driver answers, which is no error.
async fn send(method: &str, url: &str, body: &Value) -> Value {
    let value = request(method, url, body).await;
    assert!(value.get("error").is_none(), "{url} {body}: {value}");
    value
}

async fn request(method: &str, url: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let request = request.body(Full::<bytes::Bytes>::from(body)).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answered = tokio::time::timeout(Duration::from_secs(120), client.request(request)).await.unwrap();
    let answered = answered.unwrap().into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice::<Value>(&answered).unwrap()["value"].take()
}
