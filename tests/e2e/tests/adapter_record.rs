//! `uuk adapter record`, as an integrator uses it before real sources: the fixtures replay, and nobody is named in them.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuk_e2e::{Server, project_root};

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

/// The people adapter as a mapping, and a register, in a folder of their own.
async fn project() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let example = project_root().join("examples/people-mapping");
    // It shares files with the other examples, by links.
    ensure!(Command::new("cp").arg("-rL").arg(example.join(".")).arg(folder.path()).status()?.success());
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("people.db"))
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await?;
    sqlx::raw_sql(PEOPLE).execute(&pool).await?;
    pool.close().await;
    Ok(folder)
}

/// The command at work.
struct Recording {
    process: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Recording {
    fn start(project: &Path, arguments: &[&str]) -> Result<Self> {
        let database = format!("registry=sqlite:{}", project.join("people.db").display());
        let mut process = Command::new(Server::program()?)
            .args(["adapter", "record", "--no-color", "--datasource", &database])
            .args(arguments)
            .arg("-C")
            .arg(project)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(process.stderr.take().context("no standard error")?).lines();
        Ok(Self { process, said })
    }

    /// The rest of the next line that begins with `verb`, or with an error.
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
    let project = project().await?;
    let description = project_root().join("tests/e2e/examples/demo/catalog/person.toml");
    let description = description.to_str().context("a path")?;
    let mut recording = Recording::start(project.path(), &["--description", description])?;
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
    let tested = uuk(project.path(), &["test", "--fixtures-only", "--filter", "recorded", "--json"])?;
    ensure!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let result: Value = serde_json::from_slice(&tested.stdout)?;
    ensure!(result.get("passed").and_then(Value::as_u64) == Some(3), "{result}");
    Ok(())
}

#[tokio::test]
async fn refuses_to_record_without_a_description_unless_told_to_keep_personal_data() -> Result<()> {
    let project = project().await?;
    let refused = uuk(project.path(), &["record"])?;
    assert_eq!(refused.status.code(), Some(2));
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("--description"), "{refused:?}");

    let mut recording = Recording::start(project.path(), &["--keep-personal-data"])?;
    let base = recording.until("ready")?;
    curl(&format!("{base}/person/people/10101194000123"))?;
    let fixture = fs::read_to_string(recording.until("recorded")?)?;
    ensure!(fixture.contains("Зымырыкова"), "{fixture}");
    Ok(())
}
