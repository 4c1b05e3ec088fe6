//! `uuk adapter new --from database`: what a table holds becomes a contract, two statements and a mapping.

use std::fmt::Write;
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;
use uuk_bundle::{Access, Datasource, Engine, Scalar};
use uuk_plugin_host::CallContext;
use uuk_plugin_host::capabilities::sql::{Database, DatabaseGrant, SqlError, Value};

use super::MAPPING;
use crate::commands::adapter::trial::{block_on, database};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// A list of tables takes no longer, even far away.
const READING_TIME_MAX: Duration = Duration::from_secs(20);

/// Where a project made from a database takes its statements from.
#[derive(Debug, clap::Args)]
pub(super) struct DatabaseOptions {
    /// The database: sqlite:./people.db or postgres://user@localhost/people
    #[arg(long, value_name = "URL", requires = "from", required_if_eq("from", "database"))]
    datasource: Option<String>,
    /// Its table or view, if there is more than one
    #[arg(long, value_name = "NAME", requires = "from")]
    table: Option<String>,
    /// The column by which one row is found [default: the primary key]
    #[arg(long, value_name = "COLUMN", requires = "from")]
    key: Option<String>,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: String,
    scalar: Scalar,
    nullable: bool,
    in_primary_key: bool,
}

/// The paths and texts of the project.
pub(super) fn project(
    name: &str,
    options: &DatabaseOptions,
    terminal: &Terminal,
) -> Result<Vec<(String, String)>, Failure> {
    let url = options.datasource.as_deref().unwrap_or_default();
    let asked = Datasource { engine: Vec::new(), access: Access::Read };
    let grant = DatabaseGrant { free_sql: true, ..database("registry", url, &asked) };
    let engine = grant.engine;
    let tables = block_on(read_tables(grant))?;
    for table in &tables {
        terminal.step("table", table);
    }
    let table = chosen(&tables, options.table.as_deref())?;
    let key = key_of(table, options.key.as_deref())?;
    Ok(Draft { name, engine, table, key }.files())
}

async fn read_tables(grant: DatabaseGrant) -> Result<Vec<Table>, Failure> {
    let unreadable = |error: &dyn std::error::Error| {
        let message = format!("cannot read which tables there are: {error}");
        Failure::new(ExitCode::Remote, "adapter.database_unreadable", message).causes(error)
    };
    let text = columns_sql(grant.engine);
    let tasks = TaskTracker::new();
    let database = Database::connect(grant, tasks.clone()).map_err(|error| unreadable(&error))?;
    let deadline = Instant::now() + READING_TIME_MAX;
    let rows = database.query_text(text, Vec::new(), deadline, &CallContext::default()).await;
    drop(database);
    tasks.close();
    tasks.wait().await;
    let rows = rows.map_err(|error: SqlError| unreadable(&error))?.rows;
    Ok(tables_of(rows))
}

/// For each column in its order: table, column, type, whether it may be null, whether it is in the primary key.
fn columns_sql(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "SELECT m.name, c.name, lower(c.type), c.\"notnull\" = 0 AND c.pk = 0, c.pk > 0
             FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY m.name, c.cid"
        }
        Engine::Mariadb => {
            "SELECT table_name, column_name, data_type, CAST(is_nullable = 'YES' AS SIGNED),
                    CAST(column_key = 'PRI' AS SIGNED)
             FROM information_schema.columns WHERE table_schema = database() ORDER BY table_name, ordinal_position"
        }
        // No address that is given here names one of the others.
        _ => {
            "SELECT t.relname::text, c.attname::text, format_type(c.atttypid, NULL),
                    (NOT c.attnotnull)::int::bigint, (c.attnum = ANY (coalesce(i.indkey, '')))::int::bigint
             FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
             LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary
             WHERE t.relkind IN ('r', 'v', 'm', 'p') AND t.relnamespace = current_schema()::regnamespace
             ORDER BY t.relname, c.attnum"
        }
    }
}

fn tables_of(rows: Vec<Vec<Value>>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let [Value::Text(table), Value::Text(name), Value::Text(r#type), nullable, key] = row.as_slice()
        else {
            continue;
        };
        let is_true = |value: &Value| matches!(value, Value::Integer(1) | Value::Boolean(true));
        if tables.last().is_none_or(|last| last.name != *table) {
            tables.push(Table { name: table.clone(), columns: Vec::new() });
        }
        if let Some(table) = tables.last_mut() {
            table.columns.push(Column {
                name: name.clone(),
                scalar: scalar(r#type),
                nullable: is_true(nullable),
                in_primary_key: is_true(key),
            });
        }
    }
    tables
}

/// The manifest's type for a type of a database; text where there is no better one.
fn scalar(r#type: &str) -> Scalar {
    let has = |parts: &[&str]| parts.iter().any(|part| r#type.contains(part));
    match () {
        () if has(&["interval", "point"]) => Scalar::Text,
        () if has(&["int", "serial"]) => Scalar::Integer,
        () if has(&["bool"]) => Scalar::Boolean,
        () if has(&["numeric", "decimal"]) => Scalar::Decimal,
        () if has(&["real", "double", "float"]) => Scalar::Float,
        () if has(&["timestamp", "datetime"]) => Scalar::Timestamp,
        () if has(&["date"]) => Scalar::Date,
        () if has(&["time"]) => Scalar::Time,
        () if has(&["uuid"]) => Scalar::Uuid,
        () if has(&["json"]) => Scalar::Json,
        () if has(&["blob", "bytea", "binary"]) => Scalar::Bytes,
        () => Scalar::Text,
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.columns.iter().map(|column| column.name.as_str());
        write!(formatter, "{} ({})", self.name, columns.collect::<Vec<_>>().join(", "))
    }
}

fn chosen<'t>(tables: &'t [Table], wanted: Option<&str>) -> Result<&'t Table, Failure> {
    let refused = |code: &str, message: String| {
        let names = tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>().join(", ");
        Failure::new(ExitCode::Usage, code, message).note(format_args!("tables: {names}"))
    };
    match (tables, wanted) {
        (tables, Some(wanted)) => tables.iter().find(|table| table.name == wanted).ok_or_else(|| {
            refused("adapter.table_unknown", format!("the database has no table `{}`", wanted.escape_debug()))
        }),
        ([table], None) => Ok(table),
        (_, None) => {
            let message = format!("the database has {} tables", tables.len());
            Err(refused("adapter.table_unnamed", message).help("name one with --table"))
        }
    }
}

fn key_of<'t>(table: &'t Table, wanted: Option<&str>) -> Result<&'t Column, Failure> {
    let is_key = |column: &&Column| match wanted {
        Some(wanted) => column.name == wanted,
        None => column.in_primary_key,
    };
    let mut keys = table.columns.iter().filter(is_key);
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key),
        _ => {
            let message = format!("table `{}` has no single column by which a row is found", table.name);
            Err(Failure::new(ExitCode::Usage, "adapter.key_unknown", message)
                .note(table)
                .help("name a column that is unique with --key"))
        }
    }
}

/// A project in the making.
struct Draft<'a> {
    name: &'a str,
    engine: Engine,
    table: &'a Table,
    key: &'a Column,
}

impl Draft<'_> {
    fn files(&self) -> Vec<(String, String)> {
        let own = [
            ("plugin.toml".to_owned(), self.manifest()),
            (format!("contracts/{}.yaml", self.name), self.contract()),
            ("sql/find.sql".to_owned(), self.sql("WHERE {key} = :{param}")),
            (
                "sql/page.sql".to_owned(),
                self.sql("WHERE :after IS NULL OR {key} > :after\nORDER BY {key}\nLIMIT :rows"),
            ),
            ("map.toml".to_owned(), self.mapping()),
            ("fixtures/get-not-found.json".to_owned(), self.fixture()),
        ];
        let fill = |(path, text): &(&str, &str)| ((*path).to_owned(), text.replace("{{name}}", self.name));
        own.into_iter().chain(MAPPING.iter().filter(|(path, _)| *path != "map.toml").map(fill)).collect()
    }

    /// The columns that an answer can hold.
    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.table.columns.iter().filter(|column| column.scalar != Scalar::Bytes)
    }

    fn param(&self) -> String {
        field(&self.key.name)
    }

    fn manifest(&self) -> String {
        let row = self.columns().map(|column| {
            let mark = if column.nullable { "?" } else { "" };
            format!("{} = \"{}{mark}\"\n", field(&column.name), column.scalar)
        });
        let row = row.collect::<String>();
        let Self { name, engine, .. } = self;
        let (param, scalar) = (self.param(), self.key.scalar);
        format!(
            r#"[plugin]
id = "org.example.{name}"
version = "0.1.0"
api = "0.1"

[[service]]
code = "{name}"
contract = "contracts/{name}.yaml"

[datasource.registry]
engine = ["{engine}"]

[sql.find]
datasource = "registry"
file = "sql/find.sql"
params = {{ {param} = "{scalar}" }}
max_rows = 1

[sql.find.row]
{row}
[sql.page]
datasource = "registry"
file = "sql/page.sql"
params = {{ after = "{scalar}?", rows = "integer" }}
max_rows = 201
max_bytes = "1MiB"

[sql.page.row]
{row}"#
        )
    }

    fn sql(&self, rest: &str) -> String {
        let column = |column: &Column| match (self.quoted(&column.name), field(&column.name)) {
            (quoted, field) if quoted == field => field,
            (quoted, field) => format!("{quoted} AS {field}"),
        };
        let columns = self.columns().map(column).collect::<Vec<_>>().join(", ");
        let rest = rest.replace("{key}", &self.quoted(&self.key.name)).replace("{param}", &self.param());
        format!("SELECT {columns}\nFROM {}\n{rest}\n", self.quoted(&self.table.name))
    }

    /// A name of the database, quoted unless it is plain.
    fn quoted(&self, name: &str) -> String {
        let quote = if self.engine == Engine::Mariadb { "`" } else { "\"" };
        // Longer plain names are no words of SQL that matter; the short ones that are, stand in this list.
        let is_word = ["order", "group", "user", "table", "select", "from", "to", "end", "key", "index"]
            .contains(&name);
        let is_plain = field(name) == name && name == name.to_lowercase() && !is_word;
        if is_plain {
            name.to_owned()
        } else {
            format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)))
        }
    }

    fn mapping(&self) -> String {
        let width = self.columns().map(|column| field(&column.name).len()).max().unwrap_or_default();
        let fields = |from: &str| {
            self.columns().fold(String::new(), |mut text, column| {
                let name = field(&column.name);
                // Writing to a text cannot fail.
                let _ = writeln!(text, "{name:<width$} = \"/{name}\"");
                text
            }) + from
        };
        let param = self.param();
        format!(
            r#"# What may leave. Remove the lines of what nobody outside needs, here and in the contract.
[get]
row = "find"
params = {{ {param} = "/{param}" }}
faults.none = {{ code = "NOT_FOUND", message = "there is nothing of this key" }}

[get.answer]
{}
[list]
rows = "page"
params = {{ after = "/after" }}
page = {{ size = {{ from = "/page_size", default = 50 }}, param = "rows", next = "/{param}" }}

[list.answer]
next = "/next"
items.each = "/rows"

[list.answer.items.item]
{}"#,
            fields(""),
            fields("")
        )
    }

    fn contract(&self) -> String {
        let (name, param) = (self.name, self.param());
        let required = self.columns().filter(|column| !column.nullable).map(|column| field(&column.name));
        let required = required.collect::<Vec<_>>().join(", ");
        let properties = self
            .columns()
            .map(|column| format!("        {}: {}\n", field(&column.name), schema(column.scalar)));
        let properties = properties.collect::<String>();
        let key = schema(self.key.scalar);
        format!(
            r##"openapi: 3.1.0
info:
  title: {name}
  version: 0.1.0
paths:
  /{name}/{{{param}}}:
    get:
      operationId: get
      summary: The row of a key
      parameters:
        - {{ name: {param}, in: path, required: true, schema: {{ $ref: "#/components/schemas/Key" }} }}
      responses:
        "200":
          description: The row
          content:
            application/json:
              schema: {{ $ref: "#/components/schemas/Row" }}
        "404":
          description: There is none
          content:
            application/problem+json:
              schema:
                type: object
                required: [code]
                properties:
                  code: {{ type: string, enum: [NOT_FOUND] }}
  /{name}:
    get:
      operationId: list
      summary: All rows by pages, ordered by key
      parameters:
        - {{ name: page_size, in: query, description: 50 unless given, schema: {{ type: integer, minimum: 1, maximum: 200 }} }}
        - {{ name: after, in: query, description: The `next` of the page before, schema: {{ $ref: "#/components/schemas/Key" }} }}
      responses:
        "200":
          description: One page
          content:
            application/json:
              schema:
                type: object
                additionalProperties: false
                required: [items]
                properties:
                  items:
                    type: array
                    maxItems: 200
                    items: {{ $ref: "#/components/schemas/Row" }}
                  next: {{ $ref: "#/components/schemas/Key" }}
components:
  schemas:
    Key: {key}
    Row:
      type: object
      additionalProperties: false
      required: [{required}]
      properties:
{properties}"##
        )
    }

    fn fixture(&self) -> String {
        let key = match self.key.scalar {
            Scalar::Integer | Scalar::Decimal | Scalar::Float => serde_json::json!(0),
            Scalar::Uuid => serde_json::json!("00000000-0000-0000-0000-000000000000"),
            Scalar::Date => serde_json::json!("1900-01-01"),
            _ => serde_json::json!("0"),
        };
        let request = serde_json::json!({ self.param(): key });
        let fixture = serde_json::json!({
            "operation": "get",
            "request": request,
            "sql": [{ "statement": "find", "params": request, "rows": [] }],
            "fault": { "kind": "not-found", "code": "NOT_FOUND" },
        });
        format!("{fixture:#}\n")
    }
}

/// A column's name as manifest, mapping and contract write it.
fn field(name: &str) -> String {
    let plain: String =
        name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if plain.starts_with(|first: char| first.is_ascii_digit()) { format!("_{plain}") } else { plain }
}

/// A type as the contract writes it.
fn schema(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Boolean => "{ type: boolean }",
        Scalar::Integer => "{ type: integer }",
        Scalar::Float | Scalar::Decimal => "{ type: number }",
        Scalar::Date => "{ type: string, format: date }",
        Scalar::Time => "{ type: string, format: time }",
        Scalar::Timestamp => "{ type: string, format: date-time }",
        Scalar::Uuid => "{ type: string, format: uuid }",
        Scalar::Text | Scalar::Bytes => "{ type: string }",
        Scalar::Json => "{}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: &[&str]) -> Table {
        let column = |name: &str| Column {
            name: name.to_owned(),
            scalar: Scalar::Text,
            nullable: false,
            in_primary_key: keys.contains(&name),
        };
        Table { name: "people".into(), columns: ["pin", "Order"].map(column).into() }
    }

    #[track_caller]
    fn code(failure: Failure, code: &str) {
        assert!(format!("{failure:?}").contains(code), "{failure:?}");
    }

    #[test]
    fn names_the_tables_if_there_are_several() {
        let tables = [table(&[]), table(&[])];
        code(chosen(&tables, None).expect_err("two tables"), "adapter.table_unnamed");
        code(chosen(&tables, Some("x")).expect_err("no such table"), "adapter.table_unknown");
    }

    #[test]
    fn refuses_a_table_without_a_key_of_one_column() {
        code(key_of(&table(&[]), None).expect_err("no key"), "adapter.key_unknown");
        code(key_of(&table(&["pin", "Order"]), None).expect_err("two columns"), "adapter.key_unknown");
        assert!(key_of(&table(&[]), Some("pin")).is_ok());
    }

    #[test]
    fn quotes_what_is_not_plain() {
        let table = table(&["pin"]);
        let key = key_of(&table, None).expect("a key");
        let draft = Draft { name: "people", engine: Engine::Mariadb, table: &table, key };
        assert_eq!(
            draft.sql("WHERE {key} = :{param}"),
            "SELECT pin, `Order` AS Order\nFROM people\nWHERE pin = :pin\n"
        );
    }

    #[test]
    fn types_of_databases_become_those_of_the_manifest() {
        let cases = [
            ("bigint", Scalar::Integer),
            ("character varying", Scalar::Text),
            ("timestamp with time zone", Scalar::Timestamp),
            ("numeric(12,2)", Scalar::Decimal),
            ("interval", Scalar::Text),
            ("bytea", Scalar::Bytes),
            ("", Scalar::Text),
        ];
        for (r#type, expected) in cases {
            assert_eq!(scalar(r#type), expected, "{type}", r#type = r#type);
        }
    }
}
