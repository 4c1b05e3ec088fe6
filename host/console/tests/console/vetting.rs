//! Bundles from being handed in to being signed: by API, and in browsers of a submitter and two reviewers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuk_asic::{Profile, Signer};
use uuk_bundle::{Bundle, Trust, pack, sign_author};
use uuk_central::vetting::{Examiner, Vetter, VettingConfig, VettingService};
use uuk_central::{Invited, Role, TimeStampingService};
use uuk_pki::{Anchors, Authorities, Certificate, Der, SoftwareKey, TimeStampToken};
use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};

use crate::browser::Browser;
use crate::joining::{accept, look};
use crate::world::{MEMBER, World, digest, operator};

pub(crate) const SUBMISSIONS: &str = "/api/v1/submissions";
const MANIFEST: &str = r#"
[plugin]
id = "kg.example.people"
version = "VERSION"
api = "0.1"

[[service]]
code = "person"
contract = "contracts/person.yaml"

[datasource.registry]
engine = ["sqlite"]

[sql.find-person]
datasource = "registry"
file = "sql/find-person.sql"
params = { pin = "text" }
row = { pin = "text", surname = "text" }
"#;
/// A second for the service to look, and some for a busy machine.
const TRIES_MAX: usize = 300;

/// A world where bundles are vetted.
pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) author: SigningIdentity,
    pub(crate) anchors: [Certificate; 2],
    _stop: DropGuard,
}

impl Office {
    pub(crate) async fn new() -> Self {
        // What the examiner is, a test of the whole program shows; here it finds the same in every bundle.
        let examine = "echo \"$0\" | sed s/DIGEST/$(sha256sum bundle.asice | cut -c1-64)/ > report.json";
        Self::with_examiner("/bin/sh", &["-c", examine, &report().to_string()]).await
    }

    pub(crate) async fn with_examiner(program: &str, arguments: &[&str]) -> Self {
        let world = World::new().await;
        let today = jiff::civil::date(2026, 11, 23);
        let authorities = ["Authors", "Vetters"].map(|name| Authority::new(name, today).unwrap());
        let vetter = authorities[1].issue("Vetting 2026", KeyKind::P256).unwrap();
        let anchors = authorities.each_ref().map(|one| Certificate::from_der(&one.der()).unwrap());
        let stamper = TimeStampingService {
            url: world.instance.time_stamping.url(),
            certificate: Der::from(world.instance.time_stamping.certificate().clone()),
        };
        let furnish = |registry: &mut uuk_central::Registry| {
            let [author, vetting] = anchors.clone().map(Der::from);
            registry.trust_bundle_signer(uuk_bundle::Role::Author, author)?;
            registry.trust_bundle_signer(uuk_bundle::Role::Vetting, vetting)?;
            registry.set_time_stamping_service("Stamper", stamper.clone())
        };
        world.central.change(&operator(), "furnish", furnish).await.unwrap();

        let file = |name: &str, text: &str| {
            let path = world.folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let config = VettingConfig {
            certificate: file("vetting.pem", &vetter.pem()),
            key: Some(file("vetting-key.pem", &vetter.encrypted_key_pem("demo").unwrap())),
            pkcs11: None,
            password_file: file("vetting-password", "demo\n"),
            advisories: None,
        };
        let arguments = arguments.iter().map(Into::into).collect();
        let examiner = Examiner { program: program.into(), arguments, against: Vec::new() };
        let vetter = Vetter::open(&config).unwrap();
        let actor = "central-server".parse().unwrap();
        let service = VettingService::build(Arc::clone(&world.central), examiner, Some(vetter), actor);
        let stop = CancellationToken::new();
        tokio::spawn(service.run(stop.clone()));
        let author = authorities[0].issue("Example Integrator", KeyKind::P256).unwrap();
        Self { world, author, anchors, _stop: stop.drop_guard() }
    }

    pub(crate) fn bundle(&self, version: &str) -> Bytes {
        signed(&unsigned(version), &self.author)
    }

    /// A token of an operator who reviews, too.
    async fn operator_who_reviews(&self) -> String {
        let invited = Invited {
            name: "bekov".to_owned(),
            full_name: "B. Bekov".to_owned(),
            roles: [Role::Operator, Role::Reviewer].into(),
            member: None,
            mail: None,
            language: None,
            until: None,
        };
        let central = &self.world.central;
        central.invite(&operator(), &invited).await.unwrap();
        central.issue_token(&operator(), "bekov", "test", 300).await.unwrap().expose().clone()
    }

    pub(crate) async fn submit(&self, token: &str, bundle: Bytes) -> (StatusCode, Value) {
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("content-type", "application/vnd.etsi.asic-e+zip".to_owned()),
        ];
        let (parts, body) = self.world.exchange("POST", SUBMISSIONS, &headers, bundle).await;
        (parts.status, serde_json::from_slice(&body).unwrap())
    }

    pub(crate) async fn step(&self, token: &str, step: Value) -> (StatusCode, Value) {
        self.world.post(token, &format!("{SUBMISSIONS}/1/steps"), &step).await
    }

    /// Submission 1, once it is at a stage.
    pub(crate) async fn at(&self, token: &str, stage: &str) -> Value {
        for _ in 0..TRIES_MAX {
            let (_, shown) = self.world.get(token, &format!("{SUBMISSIONS}/1")).await;
            if shown["stage"] == stage {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {stage}: {:?}", self.world.get(token, &format!("{SUBMISSIONS}/1")).await);
    }

    async fn acts(&self) -> Vec<String> {
        let entries = self.world.audit().await.into_iter();
        entries
            .map(|entry| entry.act)
            .filter(|act| act.contains("vetting") || act.contains("bundle"))
            .collect()
    }
}

fn unsigned(version: &str) -> Bundle {
    unsigned_of(version, b"\0asm\x0d\0\x01\0".to_vec())
}

pub(crate) fn unsigned_of(version: &str, component: Vec<u8>) -> Bundle {
    let parts = [
        ("plugin.toml", MANIFEST.replace("VERSION", version).into_bytes()),
        ("adapter.wasm", component),
        ("contracts/person.yaml", b"openapi: 3.1.0\n".to_vec()),
        ("sql/find-person.sql", b"SELECT pin, surname FROM person WHERE pin = :pin\n".to_vec()),
    ];
    read(&pack(parts.map(|(name, bytes)| (name.to_owned(), bytes)).into()).unwrap())
}

fn read(bytes: &[u8]) -> Bundle {
    Bundle::read(bytes, &Profile::bundle().limits).unwrap()
}

pub(crate) fn signed(bundle: &Bundle, author: &SigningIdentity) -> Bytes {
    let key = SoftwareKey::from_pkcs8(&author.key_der()).unwrap();
    let certificate = Certificate::from_der(&author.der()).unwrap();
    let signer = Signer { key: &key, certificate: &certificate, intermediates: &[] };
    sign_author(bundle, &signer, "2026-11-23T05:00:00Z".parse().unwrap()).unwrap().into()
}

pub(crate) fn report() -> Value {
    let fixture = |name: &str, problems: Value| {
        json!({
            "name": name, "problems": problems, "wall_us": 1400, "memory_bytes": 1_310_720, "host_calls": 1,
            "response_bytes": 212,
        })
    };
    let sql = "registry (read): SELECT pin, surname FROM person WHERE pin = :pin";
    json!({
        "plugin": "kg.example.people", "version": "1.2.0", "digest": "sha256:DIGEST",
        "author": "CN=Example Integrator", "against": null,
        "differences": [
            { "what": "import", "name": "sql", "change": "new", "detail": "" },
            { "what": "sql", "name": "find-person", "change": "new", "detail": sql },
        ],
        "trial": {
            "problem": null, "fixtures": [fixture("found", json!([])), fixture("not-found", json!([]))],
            "odd_requests": 112, "wrong_answers": [],
        },
        "components": [{ "name": "uuk-adapter", "version": "0.1.0" }],
    })
}

pub(crate) fn approve(bundle: &Value, grants: &str) -> Value {
    json!({ "act": "approve", "bundle": bundle, "tier": "standard", "grants": grants })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_people_approve_is_signed_and_servers_accept_it() {
    let office = Office::new().await;
    let world = &office.world;
    let specialist = &world.token("asanova", Role::Specialist, MEMBER).await;
    let [first, second] =
        [world.token("chon", Role::Reviewer, "").await, world.token("duysheev", Role::Reviewer, "").await];
    let (status, submitted) = office.submit(specialist, office.bundle("1.2.0")).await;
    assert_eq!((status, &submitted["stage"]), (StatusCode::CREATED, &json!("examination")), "{submitted}");
    let bundle = &submitted["bundle"];
    let shown = office.at(&first, "review").await;
    assert_eq!(shown["findings"]["differences"].as_array().unwrap().len(), 2);
    assert_eq!(shown["steps"], json!(["approve", "refuse"]));

    let terms = approve(bundle, "the register of people");
    assert_eq!(office.step(&first, terms.clone()).await.0, StatusCode::OK);
    for (token, step, code) in [
        (&first, terms.clone(), "vetting.same_reviewer"),
        (&second, approve(bundle, "everything"), "vetting.other_terms"),
        (&second, approve(&json!(digest("another")), "the register of people"), "vetting.other_bundle"),
    ] {
        let (status, refused) = office.step(token, step).await;
        assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!(code)));
    }
    let (status, refused) = world.get(specialist, &format!("{SUBMISSIONS}/1/vetted")).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("vetting.stage")));
    assert_eq!(office.step(&second, terms).await.0, StatusCode::OK);
    office.at(specialist, "vetted").await;

    let bearer = [("authorization", format!("Bearer {specialist}"))];
    let path = format!("{SUBMISSIONS}/1/vetted");
    let (parts, file) = world.exchange("GET", &path, &bearer, Bytes::new()).await;
    let disposition = parts.headers["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename=\"kg.example.people-1.2.0.asice\"");
    let [author_anchors, vetting_anchors] = office.anchors.clone().map(|one| Anchors::new(vec![one]));
    let trust = Trust { author_anchors, vetting_anchors, ..Trust::default() };
    let vetted = uuk_bundle::verify(&file, &trust, world.clock.now()).unwrap();
    assert_eq!(vetted.statement().reviewers, ["Person chon", "Person duysheev"]);
    let expires = world.clock.now() + Duration::from_secs(365 * 24 * 3600);
    assert_eq!(vetted.statement().expires, expires);
    let stamp = vetted.vetter().time_stamp.clone().unwrap();
    let stamper = world.instance.time_stamping.certificate().clone();
    let authorities = Authorities {
        certification: Vec::new(),
        time_stamping: vec![stamper],
        ocsp_freshness: Duration::ZERO,
        verify_next_update: false,
    };
    TimeStampToken::from_der(&stamp.token).unwrap().verify(&stamp.imprint, &authorities).unwrap();

    let (status, _) = office.step(&first, json!({ "act": "revoke", "reason": "wrong dates" })).await;
    assert_eq!(status, StatusCode::OK);
    let registry = world.central.snapshot().await.unwrap().registry;
    assert!(registry.bundle_trust().revoked.contains_key(&read(&file).content_digest()));
    assert_eq!(
        office.acts().await,
        [
            "vetting-submit",
            "vetting-examine",
            "vetting-approve",
            "vetting-approve",
            "vetting-sign",
            "revoke-bundle"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_ends_it() {
    let office = Office::new().await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    let [first, second] =
        [office.world.token("chon", Role::Reviewer, "").await, office.operator_who_reviews().await];
    let (_, submitted) = office.submit(head, office.bundle("1.2.0")).await;
    office.at(&first, "review").await;
    office.step(&first, approve(&submitted["bundle"], "all")).await;
    let refuse = |explanation: &str| json!({ "act": "refuse", "bundle": submitted["bundle"], "explanation": explanation });
    let (status, refused) = office.step(&second, refuse(" ")).await;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("vetting.text")));
    assert_eq!(office.step(&second, refuse("It reads too much")).await.0, StatusCode::OK);
    let shown = office.at(head, "refused").await;
    assert_eq!(shown["outcome"]["explanation"], "It reads too much");
    let (status, refused) = office.step(&second, approve(&submitted["bundle"], "all")).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("vetting.stage")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_handed_a_bundle_in_does_not_review_it_and_others_do_not_take_it_back() {
    let office = Office::new().await;
    let own = &office.operator_who_reviews().await;
    let other = &office.world.token("duysheev", Role::Operator, "").await;
    let (_, submitted) = office.submit(own, office.bundle("1.2.0")).await;
    assert_eq!(office.at(own, "review").await["steps"], json!(["withdraw"]));
    for (token, step) in [(own, approve(&submitted["bundle"], "all")), (other, json!({ "act": "withdraw" }))]
    {
        let (status, refused) = office.step(token, step).await;
        assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("console.denied")));
    }
    let denied = ["denied-vetting-approve", "denied-vetting-withdraw"];
    assert_eq!(office.acts().await, [&["vetting-submit", "vetting-examine"][..], &denied].concat());
    assert_eq!(office.step(own, json!({ "act": "withdraw" })).await.1["stage"], "withdrawn");
    let stranger = &office.world.token("ergeshov", Role::Specialist, "KG/GOV/70000009").await;
    let (status, _) = office.world.get(stranger, &format!("{SUBMISSIONS}/1")).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "it is not of this member");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_bundle_of_a_trusted_author_is_not_taken() {
    let office = Office::new().await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    let today = jiff::civil::date(2026, 11, 23);
    let stranger = Authority::new("Strangers", today).unwrap().issue("Stranger", KeyKind::P256).unwrap();
    let unsigned_file =
        pack(unsigned("1.2.0").parts().map(|part| (part.name.to_string(), part.bytes.to_vec())).collect());
    for (bundle, code) in [
        (Bytes::from_static(b"PK"), "container.not_a_container"),
        (unsigned_file.unwrap().into(), "bundle.author_signature_missing"),
        (signed(&unsigned("1.2.0"), &stranger), "chain.untrusted"),
    ] {
        let (status, refused) = office.submit(head, bundle).await;
        assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)));
    }
    assert_eq!(office.submit(head, office.bundle("1.2.0")).await.0, StatusCode::CREATED);
    let (status, refused) = office.submit(head, office.bundle("1.2.0")).await;
    // ECDSA signs otherwise each time, so that this is another file.
    assert_eq!((status, &refused["number"]), (StatusCode::CREATED, &json!(2)));
    let same = office.bundle("1.3.0");
    office.submit(head, same.clone()).await;
    let (status, refused) = office.submit(head, same).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("vetting.already_submitted")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_as_large_as_a_bundle_is_taken_only_from_those_who_may_hand_one_in() {
    let office = Office::new().await;
    let large = || Bytes::from(vec![0; 1 << 20]);
    let auditor = &office.world.token("auditor", Role::Auditor, "").await;
    assert_eq!(office.submit(auditor, large()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(office.submit("nobody.00", large()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(office.acts().await, ["denied-vetting-submit"]);
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    assert_eq!(office.submit(head, Bytes::from(vec![0; 33 << 20])).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    // What is announced need not be waited for.
    let announced = format!(
        "POST {SUBMISSIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {head}\r\nContent-Length: {}\r\n\r\n",
        64 << 20
    );
    let (_connection, first_line) = office.world.begin(&announced).await;
    assert_eq!(first_line, "HTTP/1.1 413 Payload Too Large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_beyond_its_tier_is_not_approved() {
    let office = Office::new().await;
    let small = uuk_central::vetting::Tier { memory_mib_max: 32, ..uuk_central::vetting::Tier::standard() };
    let set = |registry: &mut uuk_central::Registry| registry.set_tier("small", small.clone());
    office.world.central.change(&operator(), "set-tier", set).await.unwrap();
    let own = &office.world.token("asanova", Role::Head, MEMBER).await;
    let reviewer = &office.world.token("chon", Role::Reviewer, "").await;
    let (_, submitted) = office.submit(own, office.bundle("1.2.0")).await;
    office.at(reviewer, "review").await;
    for (tier, code) in [("small", "vetting.beyond_tier"), ("standard", "vetting.tier")] {
        let mut step = approve(&submitted["bundle"], "all");
        step["tier"] = json!(tier);
        let (status, refused) = office.step(reviewer, step).await;
        assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_on_which_the_examiner_fails_is_not_approved() {
    let said = "test \"$TMPDIR\" = \"$PWD\" && echo out of memory >&2; exit 101";
    for (program, arguments, ending) in [
        ("/bin/false", &[][..], "exit status: 1: "),
        ("/bin/sh", &["-c", said], "exit status: 101: out of memory"),
    ] {
        let office = Office::with_examiner(program, arguments).await;
        let head = &office.world.token("asanova", Role::Head, MEMBER).await;
        let reviewer = &office.world.token("chon", Role::Reviewer, "").await;
        let (_, submitted) = office.submit(head, office.bundle("1.2.0")).await;
        let shown = office.at(reviewer, "review").await;
        assert_eq!((&shown["findings"]["unexamined"], &shown["steps"]), (&json!(ending), &json!(["refuse"])));
        let (status, refused) = office.step(reviewer, approve(&submitted["bundle"], "all")).await;
        assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("vetting.unexamined")));

        let cookie = ("cookie", office.world.sign_in("duysheev", Role::Reviewer, "").await);
        let headers = [cookie, ("accept-language", "en".to_owned())];
        let page = office.world.send("GET", "/vetting/1", &headers, "").await.text;
        assert!(page.contains("what has changed is not known, and it cannot be approved"), "{page}");
        assert!(page.contains(ending) && !page.contains("Nothing has changed"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitter_and_two_reviewers_vet_a_bundle_in_the_browser() {
    let office = Office::new().await;
    let world = &office.world;
    let Some(submitter) = Browser::start(&world.address, "ru").await else { return };
    let Some(first) = Browser::start(&world.address, "ru").await else { return };
    let Some(second) = Browser::start(&world.address, "en").await else { return };
    accept(&submitter, &world.invite("asanova", Role::Specialist, MEMBER).await).await;
    accept(&first, &world.invite("chon", Role::Reviewer, "").await).await;
    accept(&second, &world.invite("duysheev", Role::Reviewer, "").await).await;

    submitter.open("/vetting").await;
    let file = world.folder.path().join("people.asice");
    std::fs::write(&file, "no bundle").unwrap();
    submitter.choose_file("bundle", &file).await;
    submitter.follow("main form button").await;
    assert!(submitter.text().await.contains("container."), "{}", submitter.text().await);
    std::fs::write(&file, office.bundle("1.2.0")).unwrap();
    submitter.choose_file("bundle", &file).await;
    look(&submitter, "21-hand-in").await;
    submitter.follow("main form button").await;
    assert_eq!(submitter.path().await, "/vetting/1");
    look(&submitter, "22-handed-in").await;

    let reviewer = &world.token("looks", Role::Auditor, "").await;
    office.at(reviewer, "review").await;
    first.open("/vetting").await;
    look(&first, "23-queue").await;
    first.open("/vetting/1").await;
    assert!(first.text().await.contains("SELECT pin, surname"), "{}", first.text().await);
    look(&first, "24-review").await;
    first.fill("/grants", "реестр населения, только чтение").await;
    first.step("approve").await;
    second.open("/vetting/1").await;
    assert!(second.text().await.contains("реестр населения"), "{}", second.text().await);
    look(&second, "25-second-review").await;
    second.step("approve").await;

    office.at(reviewer, "vetted").await;
    submitter.open("/vetting/1").await;
    assert!(submitter.text().await.contains("Одобрен и подписан"), "{}", submitter.text().await);
    look(&submitter, "26-vetted").await;
    second.open("/vetting/1").await;
    second.click("details:has(form) summary").await;
    second.fill("/reason", "It gives wrong dates").await;
    look(&second, "27-revoke").await;
    second.step("revoke").await;
    assert!(second.text().await.contains("Revoked on 2026-11-23"), "{}", second.text().await);
    look(&second, "28-revoked").await;
}
