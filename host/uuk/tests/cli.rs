//! The program from the shell's side: what it prints, for people and for programs, and how it ends.
//!
//! What people read is kept in `snapshots/`; `UPDATE_SNAPSHOTS=1 cargo test -p uuk --test cli` writes it anew.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Each snapshot is of one test; files that no test compares fail [`every_snapshot_is_compared`].
const SNAPSHOTS: [&str; 8] = [
    "call_answered",
    "call_refused",
    "config_invalid",
    "config_missing",
    "explain",
    "explain_unknown",
    "help",
    "plugin_list_without_server",
];

const CLIENT: &str = "KG/GOV/70000002/portal";
const SERVICE: &str = "KG/GOV/70000001/registry/person";

/// A folder to run the program in, with a configuration in it.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["plugins", "grants", "state"] {
            std::fs::create_dir(desk.path(folder)).unwrap();
        }
        std::fs::set_permissions(desk.path("state"), PermissionsExt::from_mode(0o700)).unwrap();
        desk.write("catalog.toml", "");
        desk.write("clients.toml", "");
        desk.write("trust.toml", "author_certificates = []\nvetting_certificates = []\n");
        desk.write(
            "uuk.toml",
            "[server]\nid = 'KG/GOV/70000001/ss1'\n\n[listener]\naddress = '127.0.0.1:0'\nauthentication = 'none'\n\n\
             [operations]\naddress = '127.0.0.1:0'\n",
        );
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let output = uuk().current_dir(self.folder.path()).args(arguments).output().unwrap();
        Ended::new(output)
    }
}

fn uuk() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uuk"));
    command.stdin(Stdio::null());
    command
}

/// How a command ended, and what it left on its two outputs.
struct Ended {
    code: i32,
    result: String,
    talk: String,
}

impl Ended {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            result: String::from_utf8(output.stdout).unwrap(),
            talk: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.result).unwrap()
    }

    /// Both outputs, as people see them in a terminal.
    fn seen(&self) -> String {
        format!("{}{}", self.talk, self.result)
    }
}

/// Compares with the snapshot, or writes it where the environment asks for it.
fn check(name: &str, text: &str) {
    assert!(SNAPSHOTS.contains(&name), "{name} is not listed in SNAPSHOTS");
    let path = snapshots().join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{} differs; now it reads:\n{text}", path.display());
}

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

#[test]
fn every_snapshot_is_compared() {
    let mut files: Vec<String> = std::fs::read_dir(snapshots())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, SNAPSHOTS.map(|name| format!("{name}.txt")));
}

#[test]
fn help_lists_the_commands() {
    let ended = Desk::new().run(&["--help"]);
    assert_eq!(ended.code, 0);
    check("help", &ended.result);
}

#[test]
fn every_command_says_its_version() {
    for arguments in [["--version"].as_slice(), &["serve", "--version"]] {
        let ended = Desk::new().run(arguments);
        assert_eq!(ended.code, 0);
        assert!(ended.result.contains(env!("CARGO_PKG_VERSION")), "{}", ended.result);
    }
}

#[test]
fn explains_a_code() {
    let ended = Desk::new().run(&["explain", "proxy.access_denied"]);
    assert_eq!(ended.code, 0);
    check("explain", &ended.result);
}

#[test]
fn an_unknown_code_is_a_usage_error() {
    let ended = Desk::new().run(&["explain", "proxy.acess_denied"]);
    assert_eq!(ended.code, 2);
    check("explain_unknown", &ended.talk);
}

#[test]
fn a_failure_is_one_json_object_on_request() {
    let ended = Desk::new().run(&["--json", "explain", "nonsense"]);
    assert_eq!(ended.code, 2);
    assert_eq!(ended.talk, "");
    let failure = ended.json();
    assert_eq!(failure["schema"], "uuk.cli/failure/v1");
    assert_eq!(failure["code"], "explain.unknown_code");
    assert_eq!(failure["exit_code"], 2);
}

#[test]
fn pipes_and_no_color_get_no_colour() {
    let desk = Desk::new();
    let piped = desk.run(&["explain", "nonsense"]);
    assert!(!piped.talk.contains('\x1b'), "{}", piped.talk);
    // `script` gives the program a terminal, where it would colour.
    for (asked, is_coloured) in [("", true), ("NO_COLOR=1 ", false)] {
        let line = format!("{asked}'{}' explain nonsense", env!("CARGO_BIN_EXE_uuk"));
        let output =
            Command::new("script").args(["-qec", &line, "/dev/null"]).env_remove("NO_COLOR").output();
        let Ok(output) = output else { return println!("skipped: there is no `script`") };
        let seen = String::from_utf8(output.stdout).unwrap();
        assert_eq!(seen.contains('\x1b'), is_coloured, "{asked}{seen}");
    }
}

#[test]
fn completions_are_there_for_three_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = Desk::new().run(&["completion", shell]);
        assert_eq!(ended.code, 0);
        assert!(ended.result.contains("explain"), "{shell}: {}", ended.result);
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["man", "pages"]).code, 0);
    for page in ["uuk.1", "uuk-serve.1", "uuk-plugin-list.1", "uuk-doctor.1"] {
        assert!(std::fs::read_to_string(desk.path("pages").join(page)).unwrap().contains("uuk"), "{page}");
    }
    desk.write("file", "");
    assert_eq!(desk.run(&["man", "file/pages"]).code, 5);
}

#[test]
fn a_missing_configuration_is_named() {
    let ended = Desk::new().run(&["serve", "--config", "other.toml"]);
    assert_eq!(ended.code, 2);
    check("config_missing", &ended.talk);
}

#[test]
fn every_problem_of_a_configuration_is_reported_at_once() {
    let desk = Desk::new();
    desk.write(
        "uuk.toml",
        "[server]\nid = 'KG/GOV/70000001/ss1'\n[listener]\naddress = '127.0.0.1:0'\n[plugins]\ncanary_percent = 200\n\
         rescan_every = '1ms'\ninstances_max = 0\n[operations]\naddress = '0.0.0.0:8081'\n",
    );
    let ended = desk.run(&["serve"]);
    assert_eq!(ended.code, 2);
    check("config_invalid", &ended.talk);
}

#[test]
fn serve_check_reads_every_file_and_leaves_the_state_alone() {
    let desk = Desk::new();
    std::fs::remove_dir(desk.path("state")).unwrap();
    assert_eq!(desk.run(&["serve", "--check"]).code, 0);
    assert!(!desk.path("state").exists());
    desk.write("clients.toml", "[[client]]");
    let ended = desk.run(&["--json", "serve", "--check"]);
    assert_eq!((ended.code, &ended.json()["code"]), (2, &"config.governance".into()));
}

#[test]
fn a_server_without_a_plugin_folder_does_not_start() {
    let desk = Desk::new();
    std::fs::remove_dir(desk.path("plugins")).unwrap();
    let ended = desk.run(&["--json", "serve"]);
    assert_eq!((ended.code, &ended.json()["code"]), (3, &"serve.folders".into()));
}

#[test]
fn a_state_folder_in_use_is_left_alone() {
    let desk = Desk::new();
    let _other = std::os::unix::net::UnixListener::bind(desk.path("state/admin.sock")).unwrap();
    let ended = desk.run(&["--json", "serve"]);
    assert_eq!((ended.code, &ended.json()["code"]), (3, &"serve.administration".into()));
    assert_eq!(std::fs::read_dir(desk.path("state")).unwrap().count(), 1, "only the other server's socket");
}

#[test]
fn plugins_of_a_server_that_does_not_run_cannot_be_listed() {
    let ended = Desk::new().run(&["plugin", "list"]);
    assert_eq!(ended.code, 5);
    check("plugin_list_without_server", &ended.talk);
}

#[test]
fn doctor_finds_a_sound_configuration_fit() {
    let ended = Desk::new().run(&["--json", "doctor"]);
    assert_eq!(ended.code, 0, "{}", ended.seen());
    let report = ended.json();
    let findings = report["findings"].as_array().unwrap();
    for what in ["encryption", "memory", "engine", "configuration", "state folder", "listener", "governance"]
    {
        let found = findings.iter().find(|finding| finding["what"] == what).unwrap();
        assert_ne!(found["state"], "fail", "{found}");
    }
}

#[test]
fn doctor_says_what_to_do_about_a_database_that_does_not_answer() {
    let desk = Desk::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    desk.write(
        "grants/people.toml",
        &format!(
            "plugin = 'kg.example.people'\nprovider = 'KG/GOV/70000001/registry'\n[datasource.registry]\n\
             engine = 'postgres'\nurl = 'postgres://{nobody}/people'\nuser = 'uuk'\n"
        ),
    );
    let ended = desk.run(&["doctor"]);
    assert_eq!(ended.code, 3);
    for said in
        ["`registry` of kg.example.people", "uuk explain sql.unavailable", "error[doctor.failed]: 1 of"]
    {
        assert!(ended.talk.contains(said), "no `{said}` in:\n{}", ended.talk);
    }
}

#[test]
fn doctor_warns_of_a_state_folder_that_others_may_enter() {
    let desk = Desk::new();
    std::fs::set_permissions(desk.path("state"), PermissionsExt::from_mode(0o755)).unwrap();
    let ended = desk.run(&["doctor"]);
    assert_eq!(ended.code, 0);
    assert!(ended.talk.contains("chmod 700"), "{}", ended.talk);
}

#[test]
fn doctor_warns_of_what_can_be_reached_from_anywhere() {
    let desk = Desk::new();
    assert!(desk.run(&["doctor"]).talk.contains("listens on private addresses only"));
    let config = desk.path("uuk.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let behind = "\n[behind]\naddress = '0.0.0.0:0'\nauthentication = 'none'\n";
    std::fs::write(&config, format!("{text}{behind}")).unwrap();
    let ended = desk.run(&["doctor"]);
    assert!(ended.talk.contains("can be reached from anywhere: behind.address 0.0.0.0:0"), "{}", ended.talk);
}

#[test]
fn call_prints_the_answer() {
    let server = answering("200 OK", r#"{"pin":"10101194000000","surname":"Асанова"}"#);
    let ended = call(&server.url, &[]);
    assert_eq!(ended.code, 0);
    check("call_answered", &ended.result);
    let request = server.request();
    assert!(request.starts_with(&format!("GET /r1/{SERVICE}/people/10101194000000 HTTP/1.1")), "{request}");
    assert!(request.contains(&format!("x-road-client: {CLIENT}")), "{request}");
}

#[test]
fn call_sends_a_body_as_json() {
    let server = answering("200 OK", "{}");
    assert_eq!(call(&server.url, &["-d", r#"{"a":1}"#, "-X", "PUT"]).code, 0);
    let request = server.request();
    assert!(request.starts_with("PUT ") && request.ends_with(r#"{"a":1}"#), "{request}");
    assert!(request.contains("content-type: application/json"), "{request}");
}

#[test]
fn call_names_every_bad_field() {
    let problem = r#"{"detail":"the request does not fit the contract","code":"contract.request_invalid","problems":
        [{"pointer":"/pin","code":"pattern","message":"must match ^[0-9]{14}$"},
         {"pointer":"/colour","code":"unknown","message":"is not in the contract"}]}"#;
    let ended = call(&answering("400 Bad Request", problem).url, &[]);
    assert_eq!(ended.code, 1);
    check("call_refused", &ended.talk);
}

#[test]
fn call_tells_a_fault_of_the_service_from_codes_that_are_explained() {
    let problem = r#"{"detail":"nobody bears this number","code":"PERSON_NOT_FOUND"}"#;
    let ended = call(&answering("404 Not Found", problem).url, &["--json"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.json()["code"], "call.fault");
    assert_eq!(ended.json()["notes"][0], "code PERSON_NOT_FOUND");
}

#[test]
fn call_ends_with_4_where_policy_forbids_it() {
    let problem = r#"{"detail":"client has no right to call this service","code":"proxy.access_denied"}"#;
    let ended = call(&answering("403 Forbidden", problem).url, &["--json"]);
    assert_eq!((ended.code, &ended.json()["code"]), (4, &"proxy.access_denied".into()));
}

#[test]
fn call_ends_with_5_where_nobody_answers_or_not_in_the_protocol() {
    let nobody = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let ended = call(&nobody, &["--json"]);
    assert_eq!((ended.code, &ended.json()["code"]), (5, &"call.unreachable".into()));
    let ended = call(&answering("502 Bad Gateway", "<html>").url, &["--json"]);
    assert_eq!((ended.code, &ended.json()["code"]), (5, &"call.http".into()));
}

#[test]
fn call_finds_a_service_by_its_code_if_the_catalog_has_it_once() {
    let desk = Desk::new();
    let arguments = ["--json", "call", "--url", "http://127.0.0.1:1", "--as", CLIENT, "person", "/x"];
    assert_eq!(desk.run(&arguments).json()["code"], "call.service");
    let digest = "0".repeat(64);
    let entry = |subsystem: &str| {
        format!("[[service]]\nid = 'KG/GOV/70000001/{subsystem}/person'\ncontract = 'sha256:{digest}'\n")
    };
    desk.write("catalog.toml", &entry("registry"));
    assert_eq!(desk.run(&arguments).json()["code"], "call.unreachable");
    desk.write("catalog.toml", &(entry("registry") + &entry("archive")));
    assert_eq!(desk.run(&arguments).json()["code"], "call.service");
}

fn call(url: &str, further: &[&str]) -> Ended {
    let mut arguments = vec!["call", "--url", url, "--as", CLIENT, SERVICE, "/people/10101194000000"];
    arguments.extend(further);
    Desk::new().run(&arguments)
}

/// A server that answers one request.
struct Answering {
    url: String,
    thread: std::thread::JoinHandle<String>,
}

impl Answering {
    /// What it was asked.
    fn request(self) -> String {
        self.thread.join().unwrap()
    }
}

fn answering(status: &str, body: &str) -> Answering {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let size_bytes = body.len();
    let response =
        format!("HTTP/1.1 {status}\r\ncontent-length: {size_bytes}\r\nconnection: close\r\n\r\n{body}");
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !is_whole(&request) {
            let size_bytes = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(buffer.get(..size_bytes).unwrap());
        }
        stream.write_all(response.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    Answering { url, thread }
}

/// Whether head and body have come; a request without a length has no body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}
