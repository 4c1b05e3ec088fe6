use std::fmt::{self, Write};
use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use strum::IntoStaticStr;
use uuk_bundle::{Engine, ValueType};

use super::lexer::{Lexer, Token, TokenKind};

/// Longer SQL text is refused. A statement of this length is a program, and nobody can review it.
pub const SQL_BYTES_MAX: usize = 64 << 10;

/// What a statement may begin with: whatever reads or changes rows. The rest (`SET`, `PRAGMA`, `ATTACH`, `COPY`,
/// `COMMIT`, …) changes the session that later calls share, or reaches past the database.
///
/// This is a check for the reviewer's sake; that a reading statement only reads, the database itself enforces.
const LEADING_KEYWORDS: [&str; 9] =
    ["SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"];

/// Words of which at least one is in every statement that changes rows or tables, except `REPLACE`, which is also a
/// function. `INTO` makes a table in PostgreSQL and a file in MariaDB.
const WRITING_WORDS: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "MERGE", "INTO"];

/// Words that begin another statement of SQL Server, which needs no semicolon before it.
const BATCH_WORDS: [&str; 29] = [
    "ALTER",
    "BACKUP",
    "BEGIN",
    "BULK",
    "CHECKPOINT",
    "COMMIT",
    "CREATE",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DENY",
    "DROP",
    "EXEC",
    "EXECUTE",
    "GRANT",
    "IF",
    "KILL",
    "PRINT",
    "RAISERROR",
    "RECONFIGURE",
    "RESTORE",
    "REVERT",
    "REVOKE",
    "ROLLBACK",
    "SHUTDOWN",
    "TRUNCATE",
    "USE",
    "WAITFOR",
    "WHILE",
];

/// How the values of a statement are marked in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// As the engine's own protocol has it.
    Own,
    /// `?` for each. Drivers look for these themselves, not all of them past comments, so comments are left out.
    Odbc,
}

/// SQL text of exactly one statement, its parameters in the engine's own notation.
#[derive(Debug, Clone)]
pub(super) struct SqlText {
    pub(super) sql: SqlStr,
    /// For each value that the database expects, in its order: the index of the parameter that gives it.
    pub(super) bindings: Vec<usize>,
    /// Whether no word of it changes rows or tables. A function that it calls still may.
    pub(super) only_reads: bool,
}

/// A place in SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why SQL text is not a statement that may run. Names in it come from the text and are not longer than it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "sql_text.")]
#[non_exhaustive]
pub enum SqlTextError {
    /// Longer than [`SQL_BYTES_MAX`].
    #[error("text is longer than {SQL_BYTES_MAX} bytes")]
    TooLong,
    /// A NUL character, where some databases stop reading and others do not.
    #[error("{at}: NUL character")]
    Nul {
        /// Where it is.
        at: Position,
    },
    /// A string, quoted name or comment without end.
    #[error("{at}: {what} is not closed")]
    Unterminated {
        /// What is not closed.
        what: &'static str,
        /// Where it begins.
        at: Position,
    },
    /// MariaDB runs what is inside `/*! … */`, although it reads as a comment.
    #[error("{at}: comment that MariaDB would execute")]
    ExecutableComment {
        /// Where it begins.
        at: Position,
    },
    /// No statement at all.
    #[error("there is no statement")]
    Empty,
    /// More than one statement.
    #[error("{at}: a second statement begins here; each needs a file of its own")]
    SecondStatement {
        /// Where it begins.
        at: Position,
    },
    /// The statement does something else than reading or changing rows.
    #[error("{at}: a statement may not begin with `{keyword}`")]
    Keyword {
        /// How it begins.
        keyword: String,
        /// Where it begins.
        at: Position,
    },
    /// `set_config` would let one call change the session of the next.
    #[error("{at}: `set_config` changes the session, which other calls share")]
    SessionFunction {
        /// Where it is called.
        at: Position,
    },
    /// `SELECT *` reads what the reviewer cannot see. It also gives other columns once the tables change, which
    /// SQLite's driver would read under the names of before.
    #[error("{at}: `*` stands for whatever columns there are at the time; name those that are needed")]
    Wildcard {
        /// Where it is.
        at: Position,
    },
    /// A placeholder in a notation that does not belong here.
    #[error("{at}: `{placeholder}` is not how a parameter is written here")]
    Placeholder {
        /// As written.
        placeholder: String,
        /// Where it is.
        at: Position,
    },
    /// A parameter that is used but not declared.
    #[error("{at}: parameter `{name}` is not declared in the manifest")]
    UndeclaredParameter {
        /// Its name, without the colon.
        name: String,
        /// Where it is used.
        at: Position,
    },
    /// A parameter that is declared but not used.
    #[error("parameter `{name}` is declared in the manifest but not used")]
    UnusedParameter {
        /// Its name.
        name: String,
    },
    /// Free SQL expects another number of values than it was given.
    #[error("the text expects {expected} values and was given {given}")]
    ValueCount {
        /// How many the text has placeholders for.
        expected: usize,
        /// How many came.
        given: usize,
    },
}

impl SqlTextError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl SqlText {
    /// Reads a statement of a manifest, whose parameters are written `:name`. The `heading`, a comment, is put first.
    pub(super) fn named(
        engine: Engine,
        notation: Notation,
        heading: &str,
        text: &str,
        parameters: &[(String, ValueType)],
    ) -> Result<Self, SqlTextError> {
        let mut scanner = Scanner::new(engine, notation, text)?;
        let mut sql = heading.to_owned();
        let mut bindings = Vec::new();
        while let Some(token) = scanner.next()? {
            match token.kind {
                TokenKind::Parameter => {
                    let name = token.text.trim_start_matches(':');
                    let declared = parameters.iter().position(|(declared, _)| declared == name);
                    let Some(index) = declared else {
                        let at = scanner.lexer.position(token.offset);
                        return Err(SqlTextError::UndeclaredParameter { name: name.to_owned(), at });
                    };
                    sql.push_str(scanner.blanks_before(&token));
                    push_placeholder(&mut sql, engine, notation, index, &mut bindings);
                }
                TokenKind::Placeholder => {
                    let at = scanner.lexer.position(token.offset);
                    return Err(SqlTextError::Placeholder { placeholder: token.text.to_owned(), at });
                }
                _ => {
                    sql.push_str(scanner.blanks_before(&token));
                    sql.push_str(token.text);
                }
            }
        }
        if let Some(offset) = scanner.wildcard {
            return Err(SqlTextError::Wildcard { at: scanner.lexer.position(offset) });
        }
        let unused = parameters.iter().enumerate().find(|(index, _)| !bindings.contains(index));
        match unused {
            Some((_, (name, _))) => Err(SqlTextError::UnusedParameter { name: name.clone() }),
            None => Ok(Self { sql: shared(&sql), bindings, only_reads: scanner.only_reads }),
        }
    }

    /// Reads free SQL that comes with `given` values: `$1` in PostgreSQL's own notation, `?` elsewhere.
    pub(super) fn positional(
        engine: Engine,
        notation: Notation,
        text: &str,
        given: usize,
    ) -> Result<Self, SqlTextError> {
        let mut scanner = Scanner::new(engine, notation, text)?;
        let mut sql = String::with_capacity(text.len());
        let mut expected = 0usize;
        while let Some(token) = scanner.next()? {
            if matches!(token.kind, TokenKind::Parameter | TokenKind::Placeholder) {
                expected = match (engine, token.text.split_at(1)) {
                    (Engine::Postgres, ("$", number)) if notation == Notation::Own => {
                        number.parse().ok().map(|n| expected.max(n))
                    }
                    (_, ("?", "")) => Some(expected + 1),
                    _ => None,
                }
                .ok_or_else(|| SqlTextError::Placeholder {
                    placeholder: token.text.to_owned(),
                    at: scanner.lexer.position(token.offset),
                })?;
            }
            sql.push_str(scanner.blanks_before(&token));
            sql.push_str(token.text);
        }
        if expected != given {
            return Err(SqlTextError::ValueCount { expected, given });
        }
        Ok(Self { sql: shared(&sql), bindings: (0..given).collect(), only_reads: scanner.only_reads })
    }
}

/// The text comes from the signed manifest or an adapter granted free SQL; values never become part of it. Shared,
/// because each run hands it to the driver again.
fn shared(sql: &str) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

/// Writes the engine's notation for the parameter `index`, and remembers which value it needs.
fn push_placeholder(
    sql: &mut String,
    engine: Engine,
    notation: Notation,
    index: usize,
    bindings: &mut Vec<usize>,
) {
    let sign = match (engine, notation) {
        (Engine::Postgres, Notation::Own) => '$',
        (Engine::Sqlite, Notation::Own) => '?',
        _ => {
            sql.push('?');
            return bindings.push(index);
        }
    };
    let known = bindings.iter().position(|bound| *bound == index);
    let slot = known.unwrap_or_else(|| {
        bindings.push(index);
        bindings.len() - 1
    });
    // Writing to a string does not fail.
    let _ = write!(sql, "{sign}{}", slot + 1);
}

/// The tokens of a single statement that may run; a semicolon at its end is left out.
struct Scanner<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    engine: Engine,
    notation: Notation,
    /// Where the previous token ended.
    done: usize,
    begun: bool,
    only_reads: bool,
    /// Parentheses open.
    depth: usize,
    /// The previous token's text.
    previous: &'a str,
    /// Where the first `*` stands that means columns of the result.
    wildcard: Option<usize>,
}

impl<'a> Scanner<'a> {
    fn new(engine: Engine, notation: Notation, text: &'a str) -> Result<Self, SqlTextError> {
        if text.len() > SQL_BYTES_MAX {
            return Err(SqlTextError::TooLong);
        }
        let lexer = Lexer::new(engine, notation, text);
        match text.find('\0') {
            Some(offset) => Err(SqlTextError::Nul { at: lexer.position(offset) }),
            None => Ok(Self {
                text,
                lexer,
                engine,
                notation,
                done: 0,
                begun: false,
                only_reads: true,
                depth: 0,
                previous: "",
                wildcard: None,
            }),
        }
    }

    fn next(&mut self) -> Result<Option<Token<'a>>, SqlTextError> {
        let Some(token) = self.lexer.next()? else {
            return if self.begun { Ok(None) } else { Err(SqlTextError::Empty) };
        };
        if token.kind == TokenKind::Word && self.writes(token.text) {
            self.only_reads = false;
        }
        match token.kind {
            TokenKind::Semicolon => return self.end(&token),
            TokenKind::Word if !self.begun => self.check_keyword(&token)?,
            // A query may stand in parentheses.
            _ if !self.begun && token.text != "(" => {
                return Err(SqlTextError::Keyword {
                    keyword: token.text.chars().take(20).collect(),
                    at: self.lexer.position(token.offset),
                });
            }
            TokenKind::Word | TokenKind::Quoted if self.engine == Engine::Postgres => {
                self.check_function(&token)?;
            }
            TokenKind::Word if self.engine == Engine::Sqlserver => self.check_batch(&token)?,
            TokenKind::Symbol => self.follow(&token),
            _ => {}
        }
        self.previous = token.text;
        Ok(Some(token))
    }

    fn writes(&self, word: &str) -> bool {
        WRITING_WORDS.iter().any(|writing| writing.eq_ignore_ascii_case(word))
            || (!self.begun && word.eq_ignore_ascii_case("REPLACE"))
    }

    /// After a semicolon, only blanks and comments may follow.
    fn end(&mut self, semicolon: &Token<'a>) -> Result<Option<Token<'a>>, SqlTextError> {
        match self.lexer.next()? {
            None if self.begun => Ok(None),
            None => Err(SqlTextError::Empty),
            Some(second) => {
                let first = if self.begun { &second } else { semicolon };
                Err(SqlTextError::SecondStatement { at: self.lexer.position(first.offset) })
            }
        }
    }

    fn check_keyword(&mut self, token: &Token<'a>) -> Result<(), SqlTextError> {
        self.begun = LEADING_KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(token.text));
        if self.begun {
            return Ok(());
        }
        Err(SqlTextError::Keyword {
            keyword: token.text.chars().take(20).collect(),
            at: self.lexer.position(token.offset),
        })
    }

    /// Notes where a `*` stands for columns of the result. Elsewhere it multiplies, counts, or belongs to a query
    /// within the statement.
    fn follow(&mut self, symbol: &Token<'a>) {
        match symbol.text {
            // Parentheses around the whole statement do not count.
            "(" if self.begun => self.depth += 1,
            ")" => self.depth = self.depth.saturating_sub(1),
            "*" if self.depth == 0 => {
                let before_columns = ["SELECT", "DISTINCT", "ALL", "RETURNING", ",", "."];
                if before_columns.iter().any(|word| word.eq_ignore_ascii_case(self.previous)) {
                    self.wildcard.get_or_insert(symbol.offset);
                }
            }
            _ => {}
        }
    }

    fn check_function(&self, token: &Token<'a>) -> Result<(), SqlTextError> {
        if token.text.trim_matches('"').eq_ignore_ascii_case("set_config") {
            return Err(SqlTextError::SessionFunction { at: self.lexer.position(token.offset) });
        }
        Ok(())
    }

    fn check_batch(&self, token: &Token<'a>) -> Result<(), SqlTextError> {
        if BATCH_WORDS.iter().any(|word| word.eq_ignore_ascii_case(token.text)) {
            return Err(SqlTextError::SecondStatement { at: self.lexer.position(token.offset) });
        }
        Ok(())
    }

    /// What stands between the previous token and this one; the token counts as written from here on.
    fn blanks_before(&mut self, token: &Token<'a>) -> &'a str {
        let blanks = self.text.get(self.done..token.offset).unwrap_or_default();
        self.done = token.offset + token.text.len();
        if self.notation == Notation::Odbc && !blanks.is_empty() { " " } else { blanks }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;
    use uuk_bundle::Scalar;

    use super::*;

    fn named(engine: Engine, text: &str, parameters: &[&str]) -> Result<SqlText, SqlTextError> {
        let integer = ValueType { scalar: Scalar::Integer, nullable: false };
        let parameters: Vec<_> = parameters.iter().map(|name| ((*name).to_owned(), integer)).collect();
        SqlText::named(engine, Notation::Own, "/* it */ ", text, &parameters)
    }

    #[track_caller]
    fn refuses(engine: Engine, text: &str, parameters: &[&str], message: &str) {
        let error = named(engine, text, parameters).unwrap_err();
        assert_eq!(error.to_string(), message, "{engine}: {text}");
    }

    #[test]
    fn writes_parameters_in_the_engines_notation() {
        let text = "SELECT c FROM t\nWHERE a = :a AND b = :b OR :a IS NULL -- :c\n;";
        let (sqlite, postgres, mariadb) = (
            "/* it */ SELECT c FROM t\nWHERE a = ?1 AND b = ?2 OR ?1 IS NULL",
            "/* it */ SELECT c FROM t\nWHERE a = $1 AND b = $2 OR $1 IS NULL",
            "/* it */ SELECT c FROM t\nWHERE a = ? AND b = ? OR ? IS NULL",
        );
        for (engine, sql, bindings) in [
            (Engine::Sqlite, sqlite, vec![1, 0]),
            (Engine::Postgres, postgres, vec![1, 0]),
            (Engine::Mariadb, mariadb, vec![1, 0, 1]),
        ] {
            let statement = named(engine, text, &["b", "a"]).unwrap();
            assert_eq!(statement.sql.as_str(), sql);
            assert_eq!(statement.bindings, bindings);
        }
    }

    #[test]
    fn writes_parameters_for_odbc_without_comments_that_a_driver_could_misread() {
        let text = "SELECT c /* why? */ FROM t -- it's\nWHERE a = :a AND ':b?' <> :a";
        for &engine in Engine::VARIANTS {
            let integer = ValueType { scalar: Scalar::Integer, nullable: false };
            let statement =
                SqlText::named(engine, Notation::Odbc, "", text, &[("a".into(), integer)]).unwrap();
            assert_eq!(statement.sql.as_str(), "SELECT c FROM t WHERE a = ? AND ':b?' <> ?");
            assert_eq!(statement.bindings, [0, 0]);
        }
    }

    #[test]
    fn refuses_question_mark_that_a_driver_would_take_for_a_parameter() {
        let text = "SELECT a FROM t WHERE data ? 'b'";
        assert!(SqlText::named(Engine::Postgres, Notation::Own, "", text, &[]).is_ok());
        let error = SqlText::named(Engine::Postgres, Notation::Odbc, "", text, &[]).unwrap_err();
        assert_eq!(error.code(), "sql_text.placeholder");
    }

    #[test]
    fn refuses_second_statement_of_sql_server_without_a_semicolon() {
        for text in ["SELECT 1 EXEC f", "SELECT 1\nCOMMIT", "SELECT a FROM t drop TABLE t"] {
            let error = named(Engine::Sqlserver, text, &[]).unwrap_err();
            assert_eq!(error.code(), "sql_text.second_statement", "{text}");
        }
        named(Engine::Sqlserver, "SELECT [if], 'exec', \"drop\" FROM t -- commit", &[]).unwrap();
    }

    #[test]
    fn accepts_a_query_in_parentheses() {
        named(Engine::Postgres, "(SELECT 1) UNION (SELECT 2)", &[]).unwrap();
    }

    #[test]
    fn tells_reading_from_writing() {
        for text in [
            "SELECT replace(a, 'x', 'y'), 'DELETE', \"update\" FROM t -- INSERT",
            "WITH r AS (SELECT a FROM t) SELECT a FROM r",
            "(VALUES (1))",
        ] {
            assert!(named(Engine::Postgres, text, &[]).unwrap().only_reads, "{text}");
        }
        for text in [
            "delete FROM t",
            "WITH gone AS (DELETE FROM t RETURNING a) SELECT a FROM gone",
            "SELECT a INTO copy FROM t",
            "REPLACE t VALUES (1)",
            "(WITH r AS (SELECT 1) UPDATE t SET a = 2)",
            "SELECT a FROM t FOR UPDATE",
        ] {
            assert!(!named(Engine::Postgres, text, &[]).unwrap().only_reads, "{text}");
        }
    }

    #[test]
    fn refuses_wildcard_for_columns() {
        for (text, column) in [
            ("SELECT * FROM t", 8),
            ("select a, t.* FROM t", 13),
            ("(SELECT DISTINCT /* all */ * FROM t) UNION (SELECT 1)", 28),
            ("DELETE FROM t RETURNING *", 25),
        ] {
            let at = Position { line: 1, column };
            assert_eq!(
                named(Engine::Sqlite, text, &[]).unwrap_err(),
                SqlTextError::Wildcard { at },
                "{text}"
            );
        }
    }

    #[test]
    fn accepts_asterisks_that_are_no_wildcard() {
        for text in [
            "SELECT count(*), 2 * 3, '*' FROM t",
            "SELECT a FROM (SELECT * FROM t) WHERE EXISTS (SELECT * FROM u)",
        ] {
            named(Engine::Sqlite, text, &[]).unwrap();
        }
    }

    #[test]
    fn reads_long_text_in_short_time() {
        let text = format!("SELECT {}1", "1,".repeat(SQL_BYTES_MAX / 2 - 10));
        let started = std::time::Instant::now();
        named(Engine::Postgres, &text, &[]).unwrap();
        assert!(started.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn refuses_second_statement() {
        for &engine in Engine::VARIANTS {
            refuses(
                engine,
                "SELECT 1;\n  DELETE FROM t",
                &[],
                "2:3: a second statement begins here; each needs a file of its own",
            );
            refuses(
                engine,
                "; SELECT 1",
                &[],
                "1:1: a second statement begins here; each needs a file of its own",
            );
        }
    }

    #[test]
    fn refuses_undeclared_parameter() {
        for &engine in Engine::VARIANTS {
            refuses(engine, "SELECT :a, :b", &["a"], "1:12: parameter `b` is not declared in the manifest");
        }
    }

    #[test]
    fn refuses_unused_parameter() {
        refuses(
            Engine::Sqlite,
            "SELECT ':b', :a",
            &["a", "b"],
            "parameter `b` is declared in the manifest but not used",
        );
    }

    #[test]
    fn refuses_placeholder_of_the_engine_in_a_named_statement() {
        refuses(Engine::Postgres, "SELECT $1", &[], "1:8: `$1` is not how a parameter is written here");
        refuses(Engine::Sqlite, "SELECT ?", &[], "1:8: `?` is not how a parameter is written here");
        refuses(Engine::Sqlite, "SELECT @a", &[], "1:8: `@a` is not how a parameter is written here");
        refuses(Engine::Mariadb, "SELECT\n?", &[], "2:1: `?` is not how a parameter is written here");
    }

    #[test]
    fn refuses_unterminated_string() {
        refuses(Engine::Sqlite, "SELECT 'a", &[], "1:8: string is not closed");
        refuses(Engine::Postgres, "SELECT $q$ a $$", &[], "1:8: string is not closed");
        refuses(Engine::Postgres, r"SELECT E'a\'", &[], "1:9: string is not closed");
        refuses(Engine::Mariadb, r#"SELECT "a\""#, &[], "1:8: string is not closed");
    }

    #[test]
    fn refuses_unterminated_quoted_name() {
        refuses(Engine::Sqlite, "SELECT [a", &[], "1:8: quoted name is not closed");
        refuses(Engine::Postgres, "SELECT \"a", &[], "1:8: quoted name is not closed");
        refuses(Engine::Mariadb, "SELECT `a", &[], "1:8: quoted name is not closed");
    }

    #[test]
    fn refuses_unterminated_comment() {
        refuses(Engine::Postgres, "SELECT 1 /* /* */", &[], "1:10: comment is not closed");
        refuses(Engine::Sqlite, "SELECT 1 /*/", &[], "1:10: comment is not closed");
    }

    #[test]
    fn refuses_comment_that_mariadb_executes() {
        for comment in ["/*!50000 DELETE */", "/*M! DELETE */"] {
            refuses(
                Engine::Mariadb,
                &format!("SELECT 1 {comment}"),
                &[],
                "1:10: comment that MariaDB would execute",
            );
        }
    }

    #[test]
    fn refuses_text_without_statement() {
        for text in ["", " -- nothing\n", ";", "/* */ ;"] {
            refuses(Engine::Sqlite, text, &[], "there is no statement");
        }
    }

    #[test]
    fn refuses_statement_that_changes_the_session() {
        for (engine, text) in [
            (Engine::Sqlite, "PRAGMA query_only = 0"),
            (Engine::Sqlite, "attach database 'x' as y"),
            (Engine::Postgres, "SET default_transaction_read_only = off"),
            (Engine::Postgres, "COMMIT"),
            (Engine::Postgres, "COPY t TO PROGRAM 'sh'"),
            (Engine::Mariadb, "SET SESSION TRANSACTION READ WRITE"),
        ] {
            let error = named(engine, text, &[]).unwrap_err();
            assert_eq!(error.code(), "sql_text.keyword", "{text}");
        }
        refuses(Engine::Sqlite, "\n (VACUUM)", &[], "2:3: a statement may not begin with `VACUUM`");
        refuses(Engine::Sqlite, "'a'", &[], "1:1: a statement may not begin with `'a'`");
    }

    #[test]
    fn refuses_function_that_changes_the_session() {
        for text in ["SELECT set_config('a', 'b', false)", "SELECT \"set_config\"('a', 'b', false)"] {
            let error = named(Engine::Postgres, text, &[]).unwrap_err();
            assert_eq!(error, SqlTextError::SessionFunction { at: Position { line: 1, column: 8 } });
        }
    }

    #[test]
    fn refuses_nul_character() {
        refuses(Engine::Sqlite, "SELECT 1;\0 DELETE FROM t", &[], "1:10: NUL character");
    }

    #[test]
    fn refuses_text_beyond_the_limit() {
        let text = format!("SELECT '{}'", "a".repeat(SQL_BYTES_MAX));
        refuses(Engine::Sqlite, &text, &[], "text is longer than 65536 bytes");
    }

    #[test]
    fn counts_the_values_of_free_sql() {
        for (engine, text, given) in [
            (Engine::Sqlite, "SELECT ?, ?", 2),
            (Engine::Mariadb, "SELECT ?, '?'", 1),
            (Engine::Postgres, "SELECT $2, $1, $2", 2),
        ] {
            assert_eq!(
                SqlText::positional(engine, Notation::Own, text, given).unwrap().bindings.len(),
                given
            );
            assert_eq!(
                SqlText::positional(engine, Notation::Own, text, 0).unwrap_err(),
                SqlTextError::ValueCount { expected: given, given: 0 }
            );
        }
    }

    #[test]
    fn refuses_other_placeholders_in_free_sql() {
        for (engine, text) in [
            (Engine::Sqlite, "SELECT ?0"),
            (Engine::Sqlite, "SELECT $0"),
            (Engine::Sqlite, "SELECT @a"),
            (Engine::Sqlite, "SELECT :a"),
            (Engine::Mariadb, "SELECT :a"),
            (Engine::Postgres, "SELECT :a"),
            (Engine::Postgres, "SELECT $a"),
        ] {
            let error = SqlText::positional(engine, Notation::Own, text, 0).unwrap_err();
            assert_eq!(error.code(), "sql_text.placeholder", "{engine}: {text}");
        }
    }
}
