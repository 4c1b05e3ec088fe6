//! `uuk adapter record`, as an integrator uses it before real sources: the fixtures replay, and nobody is named in them.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuk_e2e::{Server, project_root};
use uuk_testkit::upstream::{Behaviour, UpstreamOptions, VehiclesUpstream};

/// What stands in the register, and may stand in no fixture.
const PLANTED: [&str; 9] = [
    "10101194000123",
    "20202195500456",
    "Зымырыкова",
    "Зымырыков",
    "Гүлзатай",
    "Өскөнбай",
    "Тынчтыковна",
    "1940-01-31",
    "1955-02-28",
];

const PEOPLE: &str = "CREATE TABLE people (pin TEXT, surname TEXT, name TEXT, patronymic TEXT, birth_date TEXT, sex TEXT,
  citizenship TEXT, marital_status TEXT, region TEXT, district TEXT, settlement TEXT, registered_on TEXT, died_on TEXT);
INSERT INTO people (pin, surname, name, patronymic, birth_date, sex) VALUES
  ('10101194000123', 'Зымырыкова', 'Гүлзатай', 'Тынчтыковна', '1940-01-31', 'female'),
  ('20202195500456', 'Зымырыков', 'Өскөнбай', NULL, '1955-02-28', 'male');";

fn uuk(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(Server::program()?).arg("adapter").args(arguments).arg("-C").arg(folder).output()?)
}

/// An example in a folder of its own.
fn example(name: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let example = project_root().join("examples").join(name);
    // It shares files with the other examples, by links.
    ensure!(Command::new("cp").arg("-rL").arg(example.join(".")).arg(folder.path()).status()?.success());
    Ok(folder)
}

/// The people adapter as a mapping, and a register.
async fn people() -> Result<tempfile::TempDir> {
    let folder = example("people-mapping")?;
    in_register(folder.path(), PEOPLE).await?;
    Ok(folder)
}

async fn in_register(project: &Path, statements: &'static str) -> Result<()> {
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(project.join("people.db")).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await?;
    sqlx::raw_sql(statements).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

fn register(project: &Path) -> String {
    format!("registry=sqlite:{}", project.join("people.db").display())
}

/// The command at work.
struct Recording {
    process: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Recording {
    fn start(project: &Path, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(Server::program()?)
            .args(["adapter", "record", "--no-color"])
            .args(arguments)
            .arg("-C")
            .arg(project)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(process.stderr.take().context("no standard error")?).lines();
        Ok(Self { process, said })
    }

    /// The next error of a call.
    fn until_refused(&mut self) -> Result<String> {
        let said = self.until("recorded");
        let refused = said.err().context("a fixture was recorded")?.to_string();
        ensure!(refused.contains("adapter.not_recordable"), "{refused}");
        Ok(refused)
    }

    /// The rest of the next line that begins with `verb`; an error line ends the search.
    fn until(&mut self, verb: &str) -> Result<String> {
        for line in self.said.by_ref() {
            let line = line?;
            ensure!(!line.starts_with("error["), "{line}");
            if let Some(rest) = line.trim_start().strip_prefix(verb) {
                return Ok(rest.trim().to_owned());
            }
        }
        anyhow::bail!("it ended without `{verb}`")
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn curl(address: &str) -> Result<String> {
    let output = Command::new("curl").args(["--silent", "--show-error", address]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn recorded_calls_replay_and_name_nobody() -> Result<()> {
    let project = people().await?;
    let description = project_root().join("tests/e2e/examples/demo/catalog/person.toml");
    let description = description.to_str().context("a path")?;
    let mut recording = Recording::start(
        project.path(),
        &["--datasource", &register(project.path()), "--description", description],
    )?;
    let base = recording.until("ready")?;
    for (request, given) in [
        ("people/10101194000123", "Гүлзатай"),
        ("people?surname=%D0%97%D1%8B%D0%BC%D1%8B&page_size=1", "Зымырыкова"),
        ("people/10101194099999", "PERSON_NOT_FOUND"),
    ] {
        let answer = curl(&format!("{base}/person/{request}"))?;
        ensure!(answer.contains(given), "the client is answered as ever: {answer}");
        let fixture = fs::read_to_string(recording.until("recorded")?)?;
        let left = PLANTED.iter().find(|planted| fixture.contains(**planted));
        ensure!(left.is_none(), "{left:?} is left in {fixture}");
        ensure!(!fixture.contains("10101194099999"), "{fixture}");
    }
    recorded_replay(project.path(), 3)
}

/// The recorded fixtures, and that many, pass as tests.
fn recorded_replay(project: &Path, count: u64) -> Result<()> {
    let tested = uuk(project, &["test", "--fixtures-only", "--filter", "recorded", "--json"])?;
    ensure!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let result: Value = serde_json::from_slice(&tested.stdout)?;
    ensure!(result.get("passed").and_then(Value::as_u64) == Some(count), "{result}");
    Ok(())
}

/// The description of people, with the fields of vehicles.
fn description_of_vehicles(project: &Path) -> Result<String> {
    let people = fs::read_to_string(project_root().join("tests/e2e/examples/demo/catalog/person.toml"))?;
    let (head, _) = people.split_once("[classification]").context("the fields of people")?;
    let fields = r#"[classification]
"/check/request/plate" = "personal"
"/check/answer/plate" = "personal"
"/check/answer/make" = "none"
"/check/answer/model" = "none"
"/check/answer/year" = "none"
"/check/answer/colour" = "none"
"#;
    let path = project.join("description.toml");
    fs::write(&path, [head, fields].concat())?;
    Ok(path.to_string_lossy().into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_gave_beyond_the_contract_names_nobody() -> Result<()> {
    let upstream = VehiclesUpstream::start(UpstreamOptions::default()).await?;
    let vehicle: Value = serde_json::from_str(&curl(&format!("{}/vehicles/01KG123AAA", upstream.base()))?)?;
    let of_vehicle = |field: &str| vehicle.get(field).and_then(Value::as_str).unwrap_or_default();
    let project = example("vehicles-mapping")?;
    let description = description_of_vehicles(project.path())?;
    let base = format!("registry-api=http://{}", upstream.address());
    let mut recording =
        Recording::start(project.path(), &["--upstream", &base, "--description", &description])?;
    let base = recording.until("ready")?;

    let answer = curl(&format!("{base}/vehicle/vehicles/01KG123AAA"))?;
    ensure!(answer.contains("01KG123AAA"), "{answer}");
    let fixture = fs::read_to_string(recording.until("recorded")?)?;
    for named in ["01KG123AAA", of_vehicle("owner_pin")] {
        ensure!(!named.is_empty() && !fixture.contains(named), "{named:?} is left in {fixture}");
    }
    ensure!(fixture.contains(of_vehicle("make")), "what says nothing of a person stays: {fixture}");
    recorded_replay(project.path(), 1)?;

    upstream.behave(Behaviour::BreakOff);
    curl(&format!("{base}/vehicle/vehicles/01KG124AAA"))?;
    let refused = recording.until_refused()?;
    ensure!(
        refused.contains("`registry-api` did not answer") && !refused.contains("01KG124AAA"),
        "{refused}"
    );
    recorded_replay(project.path(), 1)
}

#[tokio::test]
async fn a_call_whose_statement_fails_becomes_no_fixture() -> Result<()> {
    let project = people().await?;
    let mut recording = Recording::start(
        project.path(),
        &["--datasource", &register(project.path()), "--keep-personal-data"],
    )?;
    let base = recording.until("ready")?;
    in_register(project.path(), "DROP TABLE people").await?;
    curl(&format!("{base}/person/people/10101194000123"))?;
    let refused = recording.until_refused()?;
    ensure!(refused.contains("failed") && !refused.contains("10101194000123"), "{refused}");
    for fixture in fs::read_dir(project.path().join("fixtures"))? {
        let name = fixture?.file_name();
        ensure!(!name.to_string_lossy().contains("recorded"), "{name:?} was kept");
    }
    Ok(())
}

#[tokio::test]
async fn a_value_for_which_the_contract_leaves_no_other_becomes_no_fixture() -> Result<()> {
    let project = people().await?;
    let contract = project.path().join("contracts/person.yaml");
    let text = fs::read_to_string(&contract)?;
    // One person only has this number.
    fs::write(&contract, text.replace("^[0-9]{14}$", "^10101194000123$"))?;
    let description = project_root().join("tests/e2e/examples/demo/catalog/person.toml");
    let description = description.to_str().context("a path")?;
    let mut recording = Recording::start(
        project.path(),
        &["--datasource", &register(project.path()), "--description", description],
    )?;
    let base = recording.until("ready")?;
    curl(&format!("{base}/person/people/10101194000123"))?;
    let refused = recording.until_refused()?;
    ensure!(refused.contains("/get/request/pin") && !refused.contains("10101194000123"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn refuses_to_record_without_a_description_unless_told_to_keep_personal_data() -> Result<()> {
    let project = people().await?;
    let refused = uuk(project.path(), &["record"])?;
    assert_eq!(refused.status.code(), Some(2));
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("--description"), "{refused:?}");

    let mut recording = Recording::start(
        project.path(),
        &["--datasource", &register(project.path()), "--keep-personal-data"],
    )?;
    let base = recording.until("ready")?;
    curl(&format!("{base}/person/people/10101194000123"))?;
    let fixture = fs::read_to_string(recording.until("recorded")?)?;
    ensure!(fixture.contains("Зымырыкова"), "{fixture}");
    Ok(())
}
