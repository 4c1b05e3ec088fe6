//! The tables, and all SQL. Every statement is the same text for SQLite and PostgreSQL.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, Postgres, SqlSafeStr, Sqlite, SqlitePool};
use uuk_pki::Sha256;
use uuk_process::Secret;

use crate::audit::{AuditRow, Head};
use crate::catalog;
use crate::letters::LetterRow;
use crate::registry::{DamagedRow, Edit, Registry};

const MIGRATIONS: [(i64, &str, &str); 6] = [
    (1, "registry", include_str!("../migrations/0001_registry.sql")),
    (2, "records", include_str!("../migrations/0002_records.sql")),
    (3, "catalog", include_str!("../migrations/0003_catalog.sql")),
    (4, "files", include_str!("../migrations/0004_files.sql")),
    (5, "catalog_search", include_str!("../migrations/0005_catalog_search.sql")),
    (6, "letters", include_str!("../migrations/0006_letters.sql")),
];

/// An operator and a publisher need few.
const CONNECTIONS_MAX: u32 = 4;
/// Waiting for a connection, or for another process that writes the same file.
const ACQUIRE_TIME_MAX: Duration = Duration::from_secs(15);
/// Who reads while others write tries again; each change takes milliseconds.
const READ_ATTEMPTS_MAX: u32 = 20;

const KEEP: &str = "INSERT INTO record (kind, id, content) VALUES ($1, $2, $3) \
                    ON CONFLICT (kind, id) DO UPDATE SET content = $3";
const DROP: &str = "DELETE FROM record WHERE kind = $1 AND id = $2";
const WRITE_LETTER: &str = "INSERT INTO letter (name, person, notice, state, due_at, attempts) \
                            VALUES ($1, $2, $3, 'waiting', $4, 0) ON CONFLICT (name) DO NOTHING";

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "central_database.")]
#[non_exhaustive]
pub enum StoreError {
    /// The address is none of those known.
    #[error("the database of the central server is neither `sqlite:PATH` nor `postgres://HOST/DATABASE`")]
    Address,
    /// The address holds a password, which belongs into a file.
    #[error("the address of the central server's database holds a password")]
    PasswordInAddress,
    /// There is no connection, or it broke.
    #[error("the central server's database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The tables cannot be made or brought up to date.
    #[error("the central server's tables cannot be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A statement failed: the disk is full, the file is damaged, a right is missing.
    #[error("the central server's database refuses")]
    Refused(#[source] sqlx::Error),
    /// A row is not what was written.
    #[error("the central server's database is damaged")]
    Damaged(#[from] DamagedRow),
    /// Others write faster than this one reads.
    #[error("the central server's database changes all the time")]
    Busy,
}

impl StoreError {
    /// The stable code: `central_database.unreachable`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Refused(error)
            }
            other => Self::Unreachable(other),
        }
    }
}

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs code on whichever database it is; the code can name its type `Db`.
macro_rules! on {
    ($store:expr, |$connections:ident| $code:expr) => {
        match &$store.pool {
            Pool::Sqlite($connections) => {
                #[allow(dead_code, reason = "not all code names it")]
                type Db = Sqlite;
                $code
            }
            Pool::Postgres($connections) => {
                #[allow(dead_code, reason = "not all code names it")]
                type Db = Postgres;
                $code
            }
        }
    };
}

/// Something that is kept beside the registry, in JSON.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    /// Nothing if it goes.
    pub(crate) content: Option<String>,
}

/// What becomes of a file together with a record.
#[derive(Debug, Clone)]
pub(crate) enum FileEdit {
    /// It is kept under its digest; one that is there is the same.
    Keep(Sha256, Bytes),
    /// Nobody needs it any more.
    Drop(Sha256),
}

/// All that becomes different at once.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    pub(crate) edits: &'a [Edit],
    pub(crate) records: &'a [Record],
    pub(crate) files: &'a [FileEdit],
    pub(crate) letters: &'a [LetterRow],
}

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: Pool,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    pub(crate) async fn open(url: &str, password: Option<&Secret<String>>) -> Result<Self, StoreError> {
        let pool = match url.split_once(':') {
            Some(("sqlite", _)) => open_sqlite(url).await?,
            Some(("postgres" | "postgresql", _)) => open_postgres(url, password).await?,
            _ => return Err(StoreError::Address),
        };
        let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        // A newer release may have been here: its tables still fit this one.
        migrator.set_ignore_missing(true);
        let store = Self { pool };
        on!(store, |pool| migrator.run(pool).await).map_err(StoreError::Migration)?;
        Ok(store)
    }

    /// The end of the audit log, which moves with every change.
    pub(crate) async fn head(&self) -> Result<Head, StoreError> {
        const SQL: &str = "SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1";
        let row: Option<(i64, Vec<u8>)> = on!(self, |pool| sqlx::query_as(SQL).fetch_optional(pool).await?);
        Ok(row.map_or_else(Head::start, |(number, digest)| Head { number, digest }))
    }

    /// All that is registered, as of the head that is returned; `None` before there is an instance.
    pub(crate) async fn load(&self) -> Result<(Head, Option<Registry>), StoreError> {
        const SQL: &str = "SELECT kind, id, content FROM registered";
        for _ in 0..READ_ATTEMPTS_MAX {
            let head = self.head().await?;
            let rows = on!(self, |pool| sqlx::query_as(SQL).fetch_all(pool).await?);
            if self.head().await? == head {
                return Ok((head, Registry::from_rows(rows)?));
            }
        }
        Err(StoreError::Busy)
    }

    /// Makes a change and notes it, all or nothing. False if another change has taken its number.
    pub(crate) async fn commit(&self, row: &AuditRow, change: &Change<'_>) -> Result<bool, StoreError> {
        const KEEP_FILE: &str =
            "INSERT INTO file (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
        const DROP_FILE: &str = "DELETE FROM file WHERE digest = $1";
        const NOTE: &str = "INSERT INTO audit (number, content, digest) VALUES ($1, $2, $3) \
                            ON CONFLICT (number) DO NOTHING";
        const SET: &str = "INSERT INTO registered (kind, id, content) VALUES ($1, $2, $3) \
                           ON CONFLICT (kind, id) DO UPDATE SET content = $3";
        const REMOVE: &str = "DELETE FROM registered WHERE kind = $1 AND id = $2";
        const FORGET_WORDS: &str = "DELETE FROM catalog_word WHERE service = $1";
        const ADD_WORD: &str = "INSERT INTO catalog_word (word, service) VALUES ($1, $2)";
        on!(self, |pool| {
            let mut transaction = pool.begin_with(Db::BEGIN).await?;
            let note = sqlx::query(NOTE).bind(row.number).bind(&row.content).bind(&row.digest);
            if note.execute(&mut *transaction).await?.rows_affected() == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            for Edit { kind, id, after, .. } in change.edits {
                match after {
                    Some(after) => sqlx::query(SET).bind(kind).bind(id).bind(after.to_string()),
                    None => sqlx::query(REMOVE).bind(kind).bind(id),
                }
                .execute(&mut *transaction)
                .await?;
                if kind == catalog::SERVICE {
                    sqlx::query(FORGET_WORDS).bind(id).execute(&mut *transaction).await?;
                    for word in catalog::words_of_service(after.as_ref()) {
                        let word = word.into_bytes();
                        sqlx::query(ADD_WORD).bind(word).bind(id).execute(&mut *transaction).await?;
                    }
                }
            }
            for Record { kind, id, content } in change.records {
                match content {
                    Some(content) => sqlx::query(KEEP).bind(kind).bind(id).bind(content),
                    None => sqlx::query(DROP).bind(kind).bind(id),
                }
                .execute(&mut *transaction)
                .await?;
            }
            for file in change.files {
                match file {
                    FileEdit::Keep(digest, content) => {
                        sqlx::query(KEEP_FILE).bind(digest.to_string()).bind(content.to_vec())
                    }
                    FileEdit::Drop(digest) => sqlx::query(DROP_FILE).bind(digest.to_string()),
                }
                .execute(&mut *transaction)
                .await?;
            }
            for LetterRow { name, person, notice, due_at, .. } in change.letters {
                let letter = sqlx::query(WRITE_LETTER).bind(name).bind(person).bind(notice).bind(due_at);
                letter.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(true)
    }

    /// Keeps letters that no change brings; those that were written before stay as they are.
    pub(crate) async fn write_letters(&self, letters: &[LetterRow]) -> Result<(), StoreError> {
        on!(self, |pool| {
            for LetterRow { name, person, notice, due_at, .. } in letters {
                let letter = sqlx::query(WRITE_LETTER).bind(name).bind(person).bind(notice).bind(due_at);
                letter.execute(pool).await?;
            }
        });
        Ok(())
    }

    /// The letter that has waited longest by `now`, of which no other hears until `until`.
    pub(crate) async fn take_letter(&self, now: i64, until: i64) -> Result<Option<LetterRow>, StoreError> {
        const NEXT: &str = "SELECT name, person, notice, due_at, attempts FROM letter \
                            WHERE state = 'waiting' AND due_at <= $1 ORDER BY due_at, name LIMIT 1";
        const TAKE: &str = "UPDATE letter SET due_at = $1, attempts = attempts + 1 \
                            WHERE name = $2 AND due_at = $3 AND state = 'waiting'";
        loop {
            let row: Option<(String, String, String, i64, i64)> =
                on!(self, |pool| sqlx::query_as(NEXT).bind(now).fetch_optional(pool).await?);
            let Some((name, person, notice, due_at, attempts)) = row else { return Ok(None) };
            let taken = on!(self, |pool| {
                let take = sqlx::query(TAKE).bind(until).bind(&name).bind(due_at);
                take.execute(pool).await?.rows_affected()
            });
            // Otherwise another was faster.
            if taken == 1 {
                let attempts = attempts + 1;
                return Ok(Some(LetterRow { name, person, notice, due_at, attempts, hindrance: None }));
            }
        }
    }

    /// Says what became of a letter, and when it is tried again.
    pub(crate) async fn settle_letter(
        &self,
        name: &str,
        state: &str,
        due_at: Option<i64>,
        hindrance: Option<String>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE letter SET state = $1, due_at = COALESCE($2, due_at), hindrance = $3 \
                           WHERE name = $4";
        on!(self, |pool| {
            sqlx::query(SQL).bind(state).bind(due_at).bind(hindrance).bind(name).execute(pool).await?;
        });
        Ok(())
    }

    /// The letters that are not sent, the newest first; whether each waits.
    pub(crate) async fn unsent_letters(
        &self,
        letters_max: u32,
    ) -> Result<Vec<(bool, LetterRow)>, StoreError> {
        const SQL: &str = "SELECT name, person, notice, state, due_at, attempts, hindrance FROM letter \
                           WHERE state <> 'sent' ORDER BY due_at DESC, name LIMIT $1";
        type Row = (String, String, String, String, i64, i64, Option<String>);
        let rows: Vec<Row> =
            on!(self, |pool| sqlx::query_as(SQL).bind(i64::from(letters_max)).fetch_all(pool).await?);
        let letter = |(name, person, notice, state, due_at, attempts, hindrance): Row| {
            (state == "waiting", LetterRow { name, person, notice, due_at, attempts, hindrance })
        };
        Ok(rows.into_iter().map(letter).collect())
    }

    /// Forgets letters that are done with since before `moment`.
    pub(crate) async fn forget_letters(&self, moment: i64) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM letter WHERE state <> 'waiting' AND due_at < $1";
        on!(self, |pool| {
            sqlx::query(SQL).bind(moment).execute(pool).await?;
        });
        Ok(())
    }

    /// Keeps or drops a record without noting it: what happens all the time and decides nothing.
    pub(crate) async fn keep(&self, record: &Record) -> Result<(), StoreError> {
        let Record { kind, id, content } = record;
        on!(self, |pool| {
            match content {
                Some(content) => sqlx::query(KEEP).bind(kind).bind(id).bind(content),
                None => sqlx::query(DROP).bind(kind).bind(id),
            }
            .execute(pool)
            .await?;
        });
        Ok(())
    }

    /// Gives a record that is there another content.
    pub(crate) async fn renew(&self, kind: &str, id: &str, content: &str) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE record SET content = $3 WHERE kind = $1 AND id = $2";
        on!(self, |pool| {
            sqlx::query(SQL).bind(kind).bind(id).bind(content).execute(pool).await?;
        });
        Ok(())
    }

    /// The content of a record.
    pub(crate) async fn record(&self, kind: &str, id: &str) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT content FROM record WHERE kind = $1 AND id = $2";
        Ok(on!(self, |pool| sqlx::query_scalar(SQL).bind(kind).bind(id).fetch_optional(pool).await?))
    }

    /// The names and contents of all records of a kind.
    pub(crate) async fn records(&self, kind: &str) -> Result<Vec<(String, String)>, StoreError> {
        const SQL: &str = "SELECT id, content FROM record WHERE kind = $1";
        Ok(on!(self, |pool| sqlx::query_as(SQL).bind(kind).fetch_all(pool).await?))
    }

    /// A file by its digest.
    pub(crate) async fn file(&self, digest: &Sha256) -> Result<Option<Bytes>, StoreError> {
        const SQL: &str = "SELECT content FROM file WHERE digest = $1";
        let digest = digest.to_string();
        let row: Option<Vec<u8>> =
            on!(self, |pool| sqlx::query_scalar(SQL).bind(digest).fetch_optional(pool).await?);
        Ok(row.map(Bytes::from))
    }

    /// Services that have, for each of `words`, a word that begins with it: the first `services_max` that are found, by
    /// name.
    pub(crate) async fn search_catalog(
        &self,
        words: &[String],
        services_max: u32,
    ) -> Result<Vec<String>, StoreError> {
        let range = |table: &str, number: usize| {
            let (from, to) = (2 * number + 1, 2 * number + 2);
            format!("{table}.word >= ${from} AND {table}.word < ${to}")
        };
        let has = |number| {
            let range = range("other", number);
            format!(
                " AND EXISTS (SELECT 1 FROM catalog_word other WHERE other.service = one.service AND {range})"
            )
        };
        // The longest finds the fewest, and the others are looked up with those. Sorting here and not there lets the
        // database stop once it has enough: a beginning of two letters may find nearly all.
        let mut words: Vec<_> = words.iter().collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let others: String = (1..words.len()).map(has).collect();
        let range = range("one", 0);
        let sql = format!(
            "SELECT DISTINCT service FROM catalog_word one WHERE {range}{others} LIMIT {services_max}"
        );
        let rows: Vec<(String,)> = on!(self, |pool| {
            // Made of numbers alone.
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for word in words {
                // No UTF-8 has this byte.
                let after = [word.as_bytes(), &[0xff]].concat();
                query = query.bind(word.as_bytes().to_vec()).bind(after);
            }
            query.fetch_all(pool).await?
        });
        let mut services: Vec<_> = rows.into_iter().map(|(service,)| service).collect();
        services.sort();
        Ok(services)
    }

    /// Entries of the audit log after one, at most `entries_max`.
    pub(crate) async fn audit(&self, after: i64, entries_max: u32) -> Result<Vec<AuditRow>, StoreError> {
        const SQL: &str =
            "SELECT number, content, digest FROM audit WHERE number > $1 ORDER BY number LIMIT $2";
        let rows: Vec<(i64, String, Vec<u8>)> = on!(self, |pool| {
            sqlx::query_as(SQL).bind(after).bind(i64::from(entries_max)).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(AuditRow::from).collect())
    }

    /// Entries of the audit log from one number to below another, newest first, at most `entries_max` of those that have a
    /// text in them.
    pub(crate) async fn audit_between(
        &self,
        from: i64,
        before: i64,
        contains: &str,
        entries_max: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        // Unlike `LIKE`, the same in both databases, and without signs that mean others.
        const SQL: &str = "SELECT number, content, digest FROM audit WHERE number >= $1 AND number < $2 \
                           AND ($3 = '' OR replace(content, $3, '') <> content) ORDER BY number DESC LIMIT $4";
        let rows: Vec<(i64, String, Vec<u8>)> = on!(self, |pool| {
            let query = sqlx::query_as(SQL).bind(from).bind(before).bind(contains);
            query.bind(i64::from(entries_max)).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(AuditRow::from).collect())
    }
}

async fn open_sqlite(url: &str) -> Result<Pool, StoreError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| StoreError::Address)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit returns once the log of changes is on the disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(ACQUIRE_TIME_MAX)
        .thread_name(|number| format!("central-database-{number}"))
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIME_MAX);
    pool.connect_with(options).await.map(Pool::Sqlite).map_err(StoreError::Unreachable)
}

async fn open_postgres(url: &str, password: Option<&Secret<String>>) -> Result<Pool, StoreError> {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next();
    let user_info = authority.and_then(|authority| authority.rsplit_once('@')).map_or("", |(user, _)| user);
    if user_info.contains(':') || url.contains("password=") {
        return Err(StoreError::PasswordInAddress);
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Address)?;
    let is_here = options.get_socket().is_some()
        || matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
    let options = match is_here || url.contains("sslmode=") {
        true => options,
        false => options.ssl_mode(PgSslMode::VerifyFull),
    };
    let options = options
        // Given even if empty: otherwise the driver looks for one in the environment.
        .password(password.map_or("", |password| password.expose()))
        .application_name("uuk-central")
        // Whatever the server's own default is: a commit returns once it is on the disk.
        .options([("synchronous_commit", "on")])
        .disable_statement_logging();
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIME_MAX);
    pool.connect_with(options).await.map(Pool::Postgres).map_err(StoreError::Unreachable)
}

/// How a transaction begins that will write.
trait Begin {
    const BEGIN: &'static str;
}

impl Begin for Sqlite {
    /// Taking the lock at once avoids the deadlock of two readers that both want to write.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
}

impl Begin for Postgres {
    const BEGIN: &'static str = "BEGIN";
}
