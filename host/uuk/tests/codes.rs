//! Every code that the host can give out has an explanation, and every explanation is about such a code.
//!
//! Codes come from two places in the sources: enums with `#[strum(… prefix = "bundle.")]`, whose variants they are, and
//! texts such as `"proxy.no_client"`. Reading the sources finds those that nobody thought of here.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const EXPLANATIONS: &str = include_str!("../src/commands/explain/codes.md");

/// Variants that pass on the code of their cause, and never give out their own.
const PASSED_ON: [&str; 90] = [
    "bundle.container",
    "bundle.manifest",
    "bundle.sign",
    "bundle.signature",
    "bundle.signer",
    "calendar.calendar",
    "calendar.central",
    "catalog_publishing.central",
    "central.audit",
    "central.refused",
    "central.store",
    "certificate_path.status",
    "certificate_request.key",
    "configuration_client.configuration",
    "configuration_client.courier",
    "configuration_client.store",
    "configuration_client.unavailable",
    "configuration_files.configuration",
    "configuration_files.zip",
    "configuration_source.directory",
    "contract.wsdl",
    "evidence.container",
    "evidence.evidence",
    "evidence.signature",
    "evidence.time_stamp",
    "evidence.time_stamp_hash_chain",
    "joining.central",
    "joining.certificate",
    "joining.refused",
    "keys.certificate",
    "keys.key",
    "keys.not_accepted",
    "keys.profile",
    "keys.refused",
    "keys.request",
    "keys.token",
    "mail.password",
    "management.central",
    "management.certificate",
    "management.certificate_path",
    "management.message",
    "management.ocsp",
    "management.profile",
    "management.refused",
    "management.unreadable",
    "message_log.archive_place",
    "message_log.archive_unwritable",
    "message_log.authority",
    "message_log.container",
    "message_log.encryption",
    "message_log.export",
    "message_log.store",
    "message_log.time_stamping",
    "message_signature.certificate",
    "message_signature.hash_chain",
    "message_signature.no_member",
    "message_signature.ocsp_answer",
    "message_signature.signature",
    "ocsp_answers.multipart",
    "openid.secret",
    "peer.untrusted",
    "people.central",
    "publisher.central",
    "publisher.key",
    "publisher.listener",
    "publisher.publication",
    "registration.exchange",
    "registration.key",
    "registry.anchor",
    "registry.certificate",
    "registry.certificate_path",
    "registry.profile",
    "related.multipart",
    "related.soap",
    "signer.no_usable_certificate",
    "signer.path",
    "signer.token",
    "statement.text",
    "transport.multipart",
    "transport.rest",
    "transport.soap",
    "vetter.bundle",
    "vetter.certificate",
    "vetter.key",
    "vetter.password",
    "vetter.time_stamping",
    "vetter.time_stamping_address",
    "vetter.token",
    "vetting.bundle",
    "vetting.central",
];
/// Texts of the same form that are something else: files, hosts, X-Road's own codes, a field of a plugin's log,
/// and tables of a mapping.
const OTHER_ENDINGS: [&str; 26] = [
    ".asice", ".c", ".css", ".db", ".der", ".example", ".go", ".gpg", ".h", ".io", ".js", ".json", ".md",
    ".mod", ".part", ".pem", ".py", ".rs", ".sock", ".sql", ".toml", ".txt", ".wasm", ".wit", ".xml",
    ".yaml",
];
/// Families of X-Road's codes, and those of its codes whose family is also one of ours.
const XROAD: [&str; 9] = [
    "client.",
    "invalid_cert_path.",
    "malformed_signature.",
    "mlog.",
    "server.",
    "service_failed.",
    "signer.cannot_sign",
    "signer.internal_error",
    "signer.unknown_member",
];
const LOG_FIELD: &str = "fault.code";
const MAPPING_TABLES: &str = "map.";

#[test]
fn every_code_is_explained() {
    let (given_out, explained) = (codes_given_out(), codes_explained());
    let missing: Vec<_> = given_out.difference(&explained).collect();
    assert!(missing.is_empty(), "codes.md does not explain {missing:#?}");
}

#[test]
fn every_explanation_is_about_a_code() {
    let (given_out, explained) = (codes_given_out(), codes_explained());
    let stray: Vec<_> = explained.difference(&given_out).collect();
    assert!(stray.is_empty(), "codes.md explains what nothing gives out: {stray:#?}");
}

#[test]
fn every_code_is_explained_once_and_in_order() {
    let headings: Vec<_> = EXPLANATIONS.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(headings.is_sorted(), "headings of codes.md are not in order");
    let codes = headings.iter().flat_map(|heading| heading.split(", "));
    assert_eq!(codes.count(), codes_explained().len(), "a code is explained twice");
}

fn codes_explained() -> BTreeSet<String> {
    let headings = EXPLANATIONS.lines().filter_map(|line| line.strip_prefix("## "));
    headings.flat_map(|heading| heading.split(", ")).map(str::to_owned).collect()
}

fn codes_given_out() -> BTreeSet<String> {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut codes = BTreeSet::new();
    for crate_folder in fs::read_dir(host).unwrap() {
        let sources = crate_folder.unwrap().path().join("src");
        if sources.is_dir() {
            read_sources(&sources, &mut codes);
        }
    }
    assert!(codes.len() > 200, "the scan found only {}", codes.len());
    PASSED_ON.iter().for_each(|code| assert!(codes.remove(*code), "{code} is gone"));
    codes
}

fn read_sources(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, codes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            codes.extend(texts(&source));
            codes.extend(variants(&source));
        }
    }
}

/// Texts of the form `family.reason`.
fn texts(source: &str) -> impl Iterator<Item = String> {
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_code = move |text: &&str| {
        let pieces = text.split_once('.');
        pieces.is_some_and(|(family, reason)| plain(family) && plain(reason) && !reason.ends_with('_'))
            && !XROAD.iter().any(|theirs| text.starts_with(theirs))
            && *text != LOG_FIELD
            && !text.starts_with(MAPPING_TABLES)
            && !OTHER_ENDINGS.iter().any(|ending| text.ends_with(ending))
    };
    source.split('"').filter(is_code).map(str::to_owned)
}

/// The variants of enums that have a prefix, as strum writes them.
fn variants(source: &str) -> Vec<String> {
    let mut codes = Vec::new();
    for part in source.split("prefix = \"").skip(1) {
        let (prefix, rest) = part.split_once('"').unwrap();
        let body = rest.lines().skip_while(|line| !line.starts_with("pub enum ")).skip(1);
        let names = body.take_while(|line| *line != "}").filter_map(|line| line.strip_prefix("    "));
        // Variants stand one step in; their fields and documentation do not begin with a capital there.
        let names = names.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
        codes.extend(names.map(|line| format!("{prefix}{}", snake_case(line))));
    }
    codes
}

/// `NotAContainer { …` as `not_a_container`.
fn snake_case(line: &str) -> String {
    let name = line.split(|other: char| !other.is_ascii_alphanumeric()).next().unwrap();
    let mut snake = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
