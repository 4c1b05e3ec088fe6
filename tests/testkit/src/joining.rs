//! How an institution joins by the rules of `tunduk-2018`, as its head and the operator do it, each in a browser of their own.
//! Tests and the demo go through it step by step, and look at the pages between.

use crate::browser::Browser;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";

/// The items of the checklist.
pub const CHECKLIST: [&str; 7] = [
    "information-system",
    "server",
    "key-carrier",
    "signed-by-head",
    "authority-documents",
    "services-described",
    "contacts-confirmed",
];

/// Procedure 1 of a central server. Each step leaves the browsers where its result is to be seen.
#[derive(Debug)]
pub struct Joining {
    /// The head of the institution, who reads Russian.
    pub head: Browser,
    /// The operator, who reads English.
    pub desk: Browser,
}

/// Somebody new sets a password, with the invitation that the operator handed over.
pub async fn accept(browser: &Browser, invitation: &str) {
    browser.open("/invitation").await;
    browser.fill("invitation", invitation).await;
    browser.fill("password", PASSWORD).await;
    browser.follow("main button").await;
    assert_eq!(browser.path().await, "/procedures");
}

impl Joining {
    /// Two browsers that nobody has signed in with; `None` if there are none on this machine.
    pub async fn start(site: &str) -> Option<Self> {
        let (head, desk) = tokio::join!(Browser::start(site, "ru"), Browser::start(site, "en"));
        Some(Self { head: head?, desk: desk? })
    }

    /// The head, who is called `name`, writes the application.
    pub async fn write(&self, name: &str) {
        let head = &self.head;
        head.open("/procedures").await;
        head.follow("main form button").await;
        assert_eq!(head.path().await, "/procedures/1/application");
        for (field, text) in [
            ("names/ky", "Мамлекеттик кызматтар порталы"),
            ("names/ru", "Портал государственных услуг"),
            ("names/en", "Portal of public services"),
            ("address", "Bishkek, Manas 1"),
            ("persons/0/name", name),
            ("persons/0/position", "Директор"),
            ("persons/0/authority/title", "Приказ № 12 от 01.02.2026"),
            ("systems/0/name", "Портал"),
            ("systems/0/purpose", "Отвечает на запросы граждан"),
        ] {
            head.fill(&format!("/application/{field}"), text).await;
        }
        head.fill_day("/application/persons/0/valid_until:optional", "2027-12-31").await;
        for duty in 0..4 {
            head.click(&format!("[name='/application/persons/0/duties/{duty}']")).await;
        }
        head.step("write").await;
    }

    /// The head submits it.
    pub async fn submit(&self) {
        self.head.open("/procedures/1").await;
        self.head.step("submit").await;
    }

    /// The operator takes it up, and finds everything met.
    pub async fn review(&self) {
        self.desk.open("/procedures/1").await;
        self.desk.step("review").await;
        self.find_all_met().await;
    }

    /// The operator ticks the whole checklist.
    pub async fn find_all_met(&self) {
        for item in CHECKLIST {
            self.desk.click(&format!("[name='/review/items/{item}:truth'][value=yes]")).await;
        }
    }

    /// The operator approves it; the head is to sign the agreement.
    pub async fn approve(&self) {
        self.desk.step("approve").await;
        self.head.open("/procedures/1").await;
        self.head.fill_day("/effective", "2026-12-01").await;
    }

    /// Both sign the agreement. The operator writes technical instructions and approves them.
    pub async fn agree(&self, instructions: &str) {
        self.head.step("sign").await;
        self.desk.open("/procedures/1").await;
        self.desk.step("sign").await;
        self.desk.fill("/text", instructions).await;
        self.desk.step("propose").await;
        self.desk.step("consent").await;
        self.head.open("/procedures/1").await;
    }

    /// The head approves them, too, and reports a server with keys.
    pub async fn prepare(&self) {
        self.head.step("consent").await;
        self.head.fill("/report", "uuk doctor: all is well").await;
        for report in ["report_host", "report_keys", "report_requests"] {
            self.head.step(report).await;
        }
    }

    /// The head hands in the certificates of authentication and of signing, in PEM, and the operator looks at them.
    pub async fn hand_in(&self, [authentication, signing]: [&str; 2]) {
        self.head.fill("/authentication", authentication).await;
        self.head.fill("/signing/0", signing).await;
        self.head.step("submit_certificates").await;
        self.desk.open("/procedures/1").await;
    }

    /// The operator finds that they fit.
    pub async fn verify(&self) {
        self.desk.step("verify_certificates").await;
    }

    /// The operator confirms that the server is registered, which it has to be.
    pub async fn register(&self) {
        self.desk.step("register_certificates").await;
    }

    /// The operator confirms a call, by the digest of its record, and the catalog. The head sees that all is ready.
    pub async fn finish(&self, record: &str) {
        self.desk.fill("/record", record).await;
        self.desk.step("confirm_connection").await;
        self.desk.step("confirm_catalog").await;
        self.head.open("/procedures/1").await;
    }
}
