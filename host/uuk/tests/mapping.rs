//! From a database or service to an answered call, as a new user goes: the transcripts in the documentation of mappings are
//! made here.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p uuk --test mapping -- --test-threads 1` writes them anew.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

const PEOPLE: &str = include_str!("../../../examples/people/data/sqlite.sql");
const OPENAPI: &str = include_str!("mapping/vehicles.yaml");
const WSDL: &str = include_str!("mapping/vehicles.wsdl");

/// What the services on loopback answer, by the first line of a request and what its body has to hold.
const ANSWERS: [(&str, &str, &str, &str); 5] = [
    (
        "GET /v2/vehicles/01KG123AAA?on=2026-01-31 ",
        "",
        "200 OK",
        r#"{"plate":"01KG123AAA","year":2013,"colour":null,"owner":{"name":"Асанова"}}"#,
    ),
    ("GET /v2/vehicles/01KG124AAA ", "", "404 Not Found", r#"{"error":"unknown"}"#),
    ("GET /v2/vehicles/01KG123AAA/owners ", "", "200 OK", r#"[{"name":"Асанова"},{"name":"Усенов"}]"#),
    ("POST /v2/inspections ", r#"{"plate":"01KG123AAA"}"#, "201 Created", r#"{"number":7}"#),
    (
        "POST /services/vehicles ",
        r#"<b:checkVehicle xmlns:b="urn:vehicles"><b:request><b:plate>01KG123AAA</b:plate></b:request></b:checkVehicle>"#,
        "200 OK",
        r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><checkVehicleResponse xmlns="urn:vehicles">
           <year>2013</year><stolen>0</stolen><periods><period source="x"><from>2013-05-01</from><mass>1.50</mass></period></periods>
           </checkVehicleResponse></e:Body></e:Envelope>"#,
    ),
];

#[test]
fn a_table_is_answered_from_without_editing_more_than_the_mapping() {
    let folder = tempfile::tempdir().unwrap();
    run("sqlite3 people.db", folder.path(), PEOPLE);
    let typed = [
        "uuk adapter new people --from database --datasource sqlite:people.db",
        "cd people",
        "uuk adapter build",
        "uuk adapter test",
        "sed -i '/died_on/d' map.toml",
        r#"echo '{"pin":"10101194000000"}' | uuk adapter call --quiet --op get --datasource registry=sqlite:../people.db"#,
    ];
    compare("database", &transcript(&typed, folder.path()));
}

#[test]
fn a_service_that_openapi_describes_is_asked_without_editing_anything() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vehicles.yaml"), OPENAPI).unwrap();
    let service = format!("--upstream service={}", service());
    let call = |operation: &str, request: &str| {
        format!("echo '{request}' | uuk adapter call --quiet --op {operation} {service}")
    };
    let typed = [
        "uuk adapter new vehicles --from openapi vehicles.yaml",
        "cd vehicles",
        "uuk adapter build",
        "uuk adapter check",
        "cat map.toml",
        &call("vehicles_check", r#"{"plate":"01KG123AAA","on":"2026-01-31"}"#),
    ];
    compare("openapi", &transcript(&typed, folder.path()));

    let project = folder.path().join("vehicles");
    let answers = [
        ("vehicles_check", r#"{"plate":"01KG124AAA"}"#, r#""code": "NOT_FOUND""#),
        ("get_v2_vehicles_plate_owners", r#"{"plate":"01KG123AAA"}"#, r#""name": "Усенов""#),
        ("inspect", r#"{"body":{"plate":"01KG123AAA"}}"#, r#""number": 7"#),
    ];
    for (operation, request, expected) in answers {
        let said = run(&call(operation, request), &project, "");
        assert!(said.contains(expected), "{operation}: {said}");
    }
}

#[test]
fn a_service_in_soap_is_asked_without_editing_anything() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vehicles.wsdl"), WSDL).unwrap();
    let call = format!(
        r#"echo '{{"body":{{"request":{{"plate":"01KG123AAA"}}}}}}' | uuk adapter call --quiet --op checkVehicle --upstream service={}"#,
        service()
    );
    let typed = [
        "uuk adapter new vehicles --from wsdl vehicles.wsdl",
        "cd vehicles",
        "uuk adapter build",
        "uuk adapter check",
        "cat map.toml",
        &call,
    ];
    compare("wsdl", &transcript(&typed, folder.path()));
}

#[test]
fn refuses_a_description_of_nothing_that_a_mapping_can_send() {
    let folder = tempfile::tempdir().unwrap();
    let (before, rest) = OPENAPI.split_once("  /v2/vehicles/{plate}:").unwrap();
    let (_, photos) = rest.split_once("  /v2/photos:").unwrap();
    fs::write(folder.path().join("photos.yaml"), format!("{before}  /v2/photos:{photos}")).unwrap();
    let line = "uuk adapter new photos --from openapi photos.yaml || true";
    let said = run(line, folder.path(), "");
    assert!(
        said.contains("adapter.nothing_mapped") && said.contains("photo: its answer is not JSON"),
        "{said}"
    );
}

/// Address of a service on loopback that gives [`ANSWERS`].
fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap()).unwrap()));
    format!("http://{address}")
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    let known = ANSWERS.iter().find(|(request, held, ..)| first.starts_with(request) && body.contains(held));
    let (status, said) = known.map_or(("501 Not Implemented", ""), |(_, _, status, said)| (status, said));
    let length = said.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{said}"
    )
}

/// What a reader sees who types these lines in `folder`.
fn transcript(typed: &[&str], folder: &Path) -> String {
    let (mut transcript, mut before) = (String::new(), String::new());
    for line in typed {
        let said = run(&format!("{before}{line}"), folder, "");
        if line.starts_with("cd ") {
            before = format!("{line} && ");
        }
        transcript += &format!("$ {line}\n{said}");
    }
    masked(&transcript)
}

/// What a line of the shell leaves on both outputs; it has to succeed.
fn run(line: &str, folder: &Path, input: &str) -> String {
    let path = Path::new(env!("CARGO_BIN_EXE_uuk")).parent().unwrap();
    let path = std::env::join_paths(
        [path.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let script = folder.join("input");
    fs::write(&script, input).unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {line}")])
        .env("PATH", path.unwrap())
        .current_dir(folder)
        .stdin(fs::File::open(script).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{line}: {said}");
    said
}

/// Without what differs from run to run: how long a call took, how large the component is, where a service listens.
fn masked(transcript: &str) -> String {
    let mask = |line: &str| match (line.ends_with(" ms"), line.split_once(" KiB · ")) {
        (true, _) => format!("{}\n", line.rsplitn(3, ' ').last().unwrap().trim_end()),
        (false, Some((file, imports))) => {
            format!("{}… KiB · {imports}\n", file.trim_end_matches(|digit: char| digit.is_ascii_digit()))
        }
        (false, None) => match line.split_once("http://127.0.0.1:") {
            Some((before, _)) => format!("{before}http://127.0.0.1:8099\n"),
            None => format!("{line}\n"),
        },
    };
    transcript.lines().map(mask).collect()
}

fn compare(name: &str, transcript: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/declarative/README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(&format!("<!-- transcript: {name} -->\n")).unwrap();
    let (_, after) = rest.split_once("<!-- end of transcript -->").unwrap();
    let expected = format!(
        "{before}<!-- transcript: {name} -->\n```console\n{transcript}```\n<!-- end of transcript -->{after}"
    );
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == expected,
        "{} differs; now it reads:\n{transcript}",
        path.display()
    );
}
