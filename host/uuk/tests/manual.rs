//! The manual names every key, metric and exit code that the program has, and none that it has not; the front page
//! shows what the example has.
//!
//! Which keys a section takes, the program says itself when it refuses one that it does not know.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const CONFIGURATION: &str = include_str!("../../docs/operating/configuration.md");
const FILES: &str = include_str!("../../docs/operating/files.md");
const METRICS: &str = include_str!("../../docs/operating/metrics-and-logs.md");
const EXIT_CODES: &str = include_str!("../../docs/operating/exit-codes.md");

/// No key of ours is called so.
const UNKNOWN: &str = "unknown-key = 0";
const LEAST: &str = "[server]\nid = 'KG/GOV/70000001/ss1'\n[listener]\naddress = '127.0.0.1:0'\n";
const EXCHANGE: &str = "authentication = 'none'\n[exchange]\ncertificate_profiles = 'profiles.toml'\n\
                        [exchange.global_configuration]\nanchor = 'anchor.xml'\n";
const GRANT: &str = "plugin = 'kg.example.people'\nprovider = 'KG/GOV/70000001/registry'\n";

#[test]
fn every_key_of_the_configuration_is_described() {
    let least = |section: &str| LEAST.replace(&format!("{section}\n"), &format!("{section}\n{UNKNOWN}\n"));
    let cases = [
        ("[server]", least("[server]")),
        ("[listener]", least("[listener]")),
        ("[listener.identity]", within("[listener.identity]")),
        ("[listener.limits]", within("[listener.limits]")),
        ("[operations]", within("[operations]")),
        ("[files]", within("[files]")),
        ("[governance]", within("[governance]")),
        ("[plugins]", within("[plugins]")),
        ("[requests]", within("[requests]")),
        ("[exchange]", within("[exchange]")),
        ("[exchange.listener]", within("[exchange.listener]")),
        ("[exchange.certificate_answers]", within("[exchange.certificate_answers]")),
        ("[exchange.connector]", within("[exchange.connector]")),
        ("[exchange.global_configuration]", within("[exchange.global_configuration]")),
        ("[signer]", within("[signer]")),
        ("[signer.tokens.NAME]", within("[signer.tokens.NAME]")),
        ("[signer.tokens.NAME.pkcs11]", within("[signer.tokens.NAME.pkcs11]")),
        ("[message_log]", within("[message_log]")),
        ("[[message_log.encryption_keys]]", within("[[message_log.encryption_keys]]")),
        ("[message_log.time_stamping]", within("[message_log.time_stamping]")),
        ("[message_log.archive]", within("[message_log.archive]")),
        ("[message_log.archive.bucket]", within("[message_log.archive.bucket]")),
        ("[log]", within("[log]")),
    ];
    for (section, text) in cases {
        let known = keys_known(&[("uuk.toml", &text)]);
        assert_eq!(keys_described(CONFIGURATION, section), known, "{section}");
    }
}

#[test]
fn sections_that_take_the_keys_of_another_have_the_same() {
    let cases = [
        ("[governance.global_configuration]", CONFIGURATION, "[exchange.global_configuration]"),
        ("[exchange.listener.limits]", CONFIGURATION, "[listener.limits]"),
        ("[exchange.certificate_answers.limits]", CONFIGURATION, "[listener.limits]"),
        ("[behind]", CONFIGURATION, "[listener]"),
        ("[[message_log.time_stamping.authorities]]", FILES, "[upstream.NAME] of a grant"),
        ("[message_log.archive.bucket.upstream]", FILES, "[upstream.NAME] of a grant"),
    ];
    for (section, manual, described) in cases {
        let known = keys_known(&[("uuk.toml", &within(section))]);
        assert_eq!(keys_described(manual, described), known, "{section}");
    }
}

#[test]
fn every_section_of_the_configuration_is_described() {
    let known = keys_known(&[("uuk.toml", UNKNOWN)]);
    let sections = headings(CONFIGURATION).filter_map(|heading| heading.strip_prefix('[')?.strip_suffix(']'));
    let described: BTreeSet<String> =
        sections.filter(|name| !name.contains('.')).map(str::to_owned).collect();
    assert_eq!(described, known);
}

#[test]
fn every_key_of_the_files_that_decide_is_described() {
    let grant = |rest: &str| format!("{GRANT}{rest}");
    let authentication = |kind: &str| {
        grant(&format!(
            "[upstream.api]\nbase = 'https://a'\nauthentication = {{ kind = '{kind}', {UNKNOWN} }}"
        ))
    };
    let cases = [
        ("[[service]] of catalog.toml", "catalog.toml", format!("[[service]]\n{UNKNOWN}")),
        ("keys of trust.toml", "trust.toml", UNKNOWN.to_owned()),
        ("[[client]] of clients.toml", "clients.toml", format!("[[client]]\n{UNKNOWN}")),
        ("[[local_group]] of clients.toml", "clients.toml", format!("[[local_group]]\n{UNKNOWN}")),
        ("[[access_right]] of clients.toml", "clients.toml", format!("[[access_right]]\n{UNKNOWN}")),
        ("[[profile]] of the certificate profiles", "profiles.toml", format!("[[profile]]\n{UNKNOWN}")),
        (
            "member of a profile",
            "profiles.toml",
            format!("[[profile]]\nname = 'a'\nmember = [{{ {UNKNOWN} }}]"),
        ),
        ("[[backend]] of backends.toml", "backends.toml", format!("[[backend]]\n{UNKNOWN}")),
        ("a grant", "grants/x.toml", UNKNOWN.to_owned()),
        ("[datasource.NAME] of a grant", "grants/x.toml", grant(&format!("[datasource.a]\n{UNKNOWN}"))),
        ("[upstream.NAME] of a grant", "grants/x.toml", grant(&format!("[upstream.a]\n{UNKNOWN}"))),
        ("authentication of an upstream, kind basic", "grants/x.toml", authentication("basic")),
        ("authentication of an upstream, kind oauth2", "grants/x.toml", authentication("oauth2")),
    ];
    for (section, file, text) in cases {
        let known = keys_known(&[("uuk.toml", &format!("{LEAST}{EXCHANGE}")), (file, &text)]);
        assert_eq!(keys_described(FILES, section), known, "{section}");
    }
}

#[test]
fn every_metric_is_described() {
    let mut emitted = BTreeSet::new();
    // Templates of adapters have functions with that prefix.
    let is_metric = |name: &&str| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    let mut see = |source: &str| {
        let names = source.split("!(\"uuk_").skip(1).filter_map(|rest| rest.split('"').next());
        emitted.extend(names.filter(is_metric).map(|name| format!("uuk_{name}")));
    };
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for crate_folder in std::fs::read_dir(host).unwrap() {
        for_each_source(&crate_folder.unwrap().path().join("src"), &mut see);
    }
    let described: BTreeSet<String> = first_cells(METRICS, "Metrics").collect();
    assert!(!emitted.is_empty());
    assert_eq!(described, emitted);
}

#[test]
fn every_exit_code_is_described() {
    let numbers: Vec<&str> = include_str!("../src/exit_code.rs")
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ").map(|(_, number)| number))
        .collect();
    let first_cells = EXIT_CODES.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let described: Vec<&str> = first_cells.filter(|cell| cell.parse::<u8>().is_ok()).collect();
    assert_eq!(described, numbers);
}

#[test]
fn the_front_page_shows_the_code_that_the_example_has() {
    let (front, example) =
        (include_str!("../../../README.md"), include_str!("../../../examples/people/README.md"));
    for language in ["rust", "sql", "toml"] {
        let shown = |page: &'static str| page.split("```").find_map(|block| block.strip_prefix(language));
        assert!(shown(front).is_some());
        assert_eq!(shown(front), shown(example), "{language}");
    }
}

#[test]
fn every_command_shown_exists() {
    let folder = tempfile::tempdir().unwrap();
    let mut shown = 0;
    for page in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating")).unwrap() {
        let page = std::fs::read_to_string(page.unwrap().path()).unwrap().replace("\\\n", " ");
        for command in page.lines().filter_map(|line| line.strip_prefix("$ uuk ")) {
            // What stands before `--help` is read first, and refused if there is no such thing.
            let typed = format!("\"$0\" {command} --help");
            let shell = ["-c", &typed, env!("CARGO_BIN_EXE_uuk")];
            let output = Command::new("sh").args(shell).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            shown += 1;
        }
    }
    assert!(shown > 20, "only {shown} commands were found");
}

/// The least configuration, with an unknown key in one more section.
fn within(section: &str) -> String {
    format!("{LEAST}{section}\n{UNKNOWN}\n")
}

fn for_each_source(folder: &Path, see: &mut impl FnMut(&str)) {
    // Not every folder beside the crates is one.
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_source(&path, see);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            see(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The keys that the program offers in place of the unknown one in one of `files`.
fn keys_known(files: &[(&str, &str)]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let trust = "author_certificates = []\nvetting_certificates = []\n";
    let usual = [("catalog.toml", ""), ("clients.toml", ""), ("trust.toml", trust)];
    for part in ["plugins", "grants"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
    }
    for (name, text) in usual.iter().chain(files) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let said = refusal(folder.path());
    let (_, offered) = said.split_once("unknown field `unknown-key`, expected ").ok_or(&said).unwrap();
    let offered = offered.lines().next().unwrap_or_default();
    offered.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn refusal(folder: &Path) -> String {
    let serve = ["serve", "--check"];
    let output = Command::new(env!("CARGO_BIN_EXE_uuk")).args(serve).current_dir(folder).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

fn keys_described(text: &str, section: &str) -> BTreeSet<String> {
    let keys: BTreeSet<String> = first_cells(text, section).collect();
    assert!(!keys.is_empty(), "the manual has no section {section}");
    keys
}

/// What stands in backquotes at the beginning of the rows of a section's table.
fn first_cells(text: &str, section: &str) -> impl Iterator<Item = String> {
    let is_heading =
        move |line: &&str| line.starts_with('#') && line.trim_start_matches('#').trim() == section;
    let lines = text.lines().skip_while(move |line| !is_heading(line)).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
}
