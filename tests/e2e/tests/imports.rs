//! What is refused before any of it runs: components that are none, that want more than their manifest says, and
//! manifests that want more than the agency grants.

use anyhow::{Context, Result};
use uuk_e2e::{Guest, Operator, Parts, Server, Site};

const ECHO: Guest = Guest::Component { name: "echo_v1", folder: "echo" };
const HOSTILE: Guest = Guest::Component { name: "hostile", folder: "hostile" };
const ADHOC_SQL: Guest = Guest::Component { name: "imports_adhoc_sql", folder: "hostile" };
const SOCKETS: Guest = Guest::Component { name: "imports_sockets", folder: "echo" };
const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n";

const DATABASE: &str = "[datasource.registry]\nengine = \"sqlite\"\nurl = \"sqlite:visits.db\"\n\n";
const OTHER_ENGINE: &str =
    "[datasource.registry]\nengine = \"mariadb\"\nurl = \"mariadb://127.0.0.1/visits\"\nuser = \"uuk\"\n\n";
const UPSTREAM: &str = "[upstream.api]\nbase = \"http://127.0.0.1:9\"\n\n";

/// A bundle, its grant, and the code it is refused with.
struct Case {
    name: &'static str,
    parts: Parts,
    grant: String,
    code: &'static str,
}

/// The manifest of the honest adapter with another component.
fn component(name: &'static str, bytes: impl Into<Vec<u8>>, code: &'static str) -> Result<Case> {
    let mut parts = Parts::of(ECHO)?;
    parts.0.insert("adapter.wasm".to_owned(), bytes.into());
    Ok(Case { name, parts, grant: String::new(), code })
}

fn text(name: &'static str, text: &str, code: &'static str) -> Result<Case> {
    component(name, wat::parse_str(text)?, code)
}

fn grant(name: &'static str, parts: Parts, grant: &str, code: &'static str) -> Case {
    Case { name, parts, grant: grant.to_owned(), code }
}

/// Drops all into the folder of one server, and sees each refused by its code, and the honest adapter serve.
async fn all_are_refused(cases: Vec<Case>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
    site.catalogue(ECHO)?;
    site.grant("kg.example.echo", "")?;
    site.drop_bundle("echo.asice", &site.bundle(ECHO, None)?)?;
    for Case { name, parts, grant, .. } in &cases {
        let plugin = format!("kg.example.{name}");
        site.grant(&plugin, grant)?;
        site.drop_bundle(&format!("{name}.asice"), &site.sign(parts.clone().with_names(&plugin, name)?)?)?;
    }
    let _server = Server::start(&site)?;
    let operator = Operator::of(&site);
    operator.sees_version("kg.example.echo", "1.0.0", "active").await?;
    for Case { name, code, .. } in &cases {
        assert_eq!(operator.sees_refused(&format!("{name}.asice")).await?, *code, "{name}");
    }
    Ok(())
}

/// Compiled code as it would lie in a bundle: what a server keeps of the honest adapter, without the code in front
/// that vouches for it.
async fn precompiled() -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
    site.grant("kg.example.echo", "")?;
    site.drop_bundle("echo.asice", &site.bundle(ECHO, None)?)?;
    let _server = Server::start(&site)?;
    Operator::of(&site).sees_version("kg.example.echo", "1.0.0", "active").await?;
    let mut entries = std::fs::read_dir(folder.path().join("state/compiled"))?.flatten();
    let entry = entries.find(|entry| entry.file_name() != "key").context("nothing is kept")?;
    Ok(std::fs::read(entry.path())?.split_off(32))
}

#[tokio::test]
async fn refuses_what_is_no_component_of_the_contract() -> Result<()> {
    const FUNCTIONS: usize = 60_001;
    // Different ones: a container does not hold what is compressed too well.
    let functions: String = (0..FUNCTIONS).map(|number| format!("(func i32.const {number} drop)")).collect();
    let too_many = format!("(component (core module {functions}))");
    let utf16 = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "say") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "say") (param "text" string)
            (canon lift (core func $i "say") string-encoding=utf16
                (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;
    let whole = std::fs::read(ECHO.build()?)?;
    let truncated = whole.get(..whole.len() / 2).context("the component is empty")?;
    all_are_refused(vec![
        component("random-bytes", b"not WebAssembly at all".as_slice(), "component.invalid")?,
        component("truncated", truncated, "component.invalid")?,
        component("trailing-garbage", [&whole, b"garbage".as_slice()].concat(), "component.invalid")?,
        component("precompiled", precompiled().await?, "component.precompiled")?,
        text("core-module", "(module)", "component.core_module")?,
        text("utf16-strings", utf16, "component.string_encoding")?,
        text("latin1-strings", &utf16.replace("utf16", "latin1+utf16"), "component.string_encoding")?,
        text("too-many-functions", &too_many, "component.too_many_functions")?,
        text("memory64", "(component (core module (memory i64 1)))", "component.invalid")?,
        text("threads", "(component (core module (memory 1 1 shared)))", "component.invalid")?,
        text("no-handler", "(component)", "component.no_handler")?,
        text(
            "unknown-api-version",
            r#"(component (import "uuk:adapter/log@9.9.9" (instance (export "emit" (func)))))"#,
            "component.mismatch",
        )?,
        text(
            "other-types",
            r#"(component (import "uuk:adapter/log@0.1.0" (instance (export "emit" (func (param "shout" u8))))))"#,
            "component.mismatch",
        )?,
    ])
    .await
}

#[test]
fn an_adapter_in_rust_imports_nothing_of_the_machine() -> Result<()> {
    let component = std::fs::read(Guest::People.build()?)?;
    let wasi = component.windows(5).position(|bytes| bytes == b"wasi:");
    assert_eq!(wasi, None, "its imports are what it can do");
    Ok(())
}

#[tokio::test]
async fn refuses_imports_that_the_manifest_does_not_ask_for() -> Result<()> {
    let mut sql = Parts::of(ECHO)?;
    sql.0.insert("adapter.wasm".to_owned(), std::fs::read(HOSTILE.build()?)?);
    let stranger = r#"(component (import "evil:host/keys" (instance (export "sign" (func)))))"#;
    all_are_refused(vec![
        grant(
            "free-sql",
            Parts::of(ADHOC_SQL)?,
            &[DATABASE, UPSTREAM].concat(),
            "component.import_forbidden",
        ),
        grant("sockets", Parts::of(SOCKETS)?, "", "component.import_forbidden"),
        text("stranger", stranger, "component.import_forbidden")?,
        grant("sql-and-http", sql, "", "component.import_not_asked"),
    ])
    .await
}

#[tokio::test]
async fn refuses_what_the_grant_does_not_cover() -> Result<()> {
    let hostile = Parts::of(HOSTILE)?;
    let writing = hostile.clone().with_manifest("access = \"read\"", "access = \"write\"")?;
    all_are_refused(vec![
        grant("no-database", hostile.clone(), UPSTREAM, "grant.datasource_not_granted"),
        grant("no-upstream", hostile.clone(), DATABASE, "grant.upstream_not_granted"),
        grant("may-not-write", writing, &[DATABASE, UPSTREAM].concat(), "grant.write_not_granted"),
        grant("other-engine", hostile, &[OTHER_ENGINE, UPSTREAM].concat(), "grant.engine"),
        grant("undeclared-configuration", Parts::of(ECHO)?, "[config]\na = 1\n", "plugin.configuration"),
    ])
    .await
}
