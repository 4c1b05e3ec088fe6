//! The thread's side: everything here waits for the driver.

use std::sync::Arc;
use std::time::Duration;

use odbc_api::handles::StatementImpl;
use odbc_api::parameter::InputParameter;
use odbc_api::{Connection, ConnectionOptions, Cursor, CursorImpl, Error, ResultSetMetadata, environment};
use sqlx::{Either, SqlStr};
use tokio::sync::mpsc;
use uuk_bundle::Engine;

use super::super::session::Ending;
use super::value::{self, Kind};
use super::{Answer, Column, OdbcOptions, OdbcRow, Order, Work, dialect};

/// Longer attempts to log in are given up by drivers that can.
const LOGIN_TIME_MAX_SECONDS: u32 = 5;

/// A connection, and who works on it.
pub(super) struct Worker {
    connection: Connection<'static>,
    engine: Engine,
    /// Rows that the server was told to send at most.
    rows_max: Option<u64>,
}

impl Worker {
    /// Connects, and sets what holds for the session. Gives the server's number of it, if it has one.
    pub(super) fn open(options: &OdbcOptions) -> Result<(Self, Option<String>), Error> {
        let login = ConnectionOptions { login_timeout_sec: Some(LOGIN_TIME_MAX_SECONDS), packet_size: None };
        let connection =
            environment()?.connect_with_connection_string(options.connection_string.expose(), login)?;
        let mut version = String::new();
        let mut number = None;
        if let Some(question) = dialect::who_are_you(options.engine)
            && let Some(mut cursor) = connection.execute(question, (), None)?
            && let Some(mut row) = cursor.next_row()?
        {
            version = value::text(&mut row, 1, u64::MAX)?.unwrap_or_default();
            number = value::text(&mut row, 2, u64::MAX)?;
        }
        let rules = dialect::session_rules(
            options.engine,
            &version,
            options.statement_time_max,
            &options.application_name,
        );
        for rule in
            rules.iter().map(String::as_str).chain(dialect::read_only_session(options.engine, options.access))
        {
            connection.execute(rule, (), None)?;
        }
        Ok((Self { connection, engine: options.engine, rows_max: None }, number))
    }

    /// Does `work`; its rows go to `answers`, as long as somebody takes them.
    pub(super) fn work(&mut self, work: Work, answers: &mpsc::Sender<Answer>) -> Result<(), Error> {
        let connection = &self.connection;
        let send = |sql: Option<&str>| sql.map_or(Ok(()), |sql| connection.execute(sql, (), None).map(drop));
        match work {
            Work::Run(order) => self.run(order, answers),
            Work::Begin(first) => {
                connection.set_autocommit(false)?;
                send(first)
            }
            Work::End(ending, last) => {
                match ending {
                    Ending::Commit => connection.commit()?,
                    Ending::Rollback => connection.rollback()?,
                }
                connection.set_autocommit(true)?;
                send(last)
            }
        }
    }

    fn run(&mut self, order: Order, answers: &mpsc::Sender<Answer>) -> Result<(), Error> {
        let Order { sql, arguments, time_max, rows_max, bytes_max } = order;
        let (connection, engine) = (&self.connection, self.engine);
        if self.rows_max.replace(rows_max) != Some(rows_max)
            && let Some(rule) = dialect::rows_rule(engine, rows_max)
        {
            connection.execute(&rule, (), None)?;
        }
        let parameters: Vec<Box<dyn InputParameter>> =
            arguments.into_iter().map(|argument| value::parameter(argument, engine)).collect();
        let mut statement = connection.preallocate()?;
        // A driver may have no such limit; the documentation says for which that matters.
        let _ = statement.set_query_timeout_sec(whole_seconds(time_max));
        let Some(mut cursor) = statement.into_cursor(SqlStr::as_str(&sql), parameters.as_slice())? else {
            return Ok(());
        };
        let (columns, kinds) = described(&mut cursor, engine)?;
        while let Some(mut row) = cursor.next_row()? {
            let mut values = Vec::with_capacity(kinds.len());
            for (number, kind) in (1..).zip(&kinds) {
                values.push(value::read(&mut row, number, *kind, bytes_max)?);
            }
            let row = OdbcRow { columns: Arc::clone(&columns), values };
            if answers.blocking_send(Ok(Either::Right(row))).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Never zero, which would mean for ever.
fn whole_seconds(time: Duration) -> usize {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    usize::try_from(seconds.max(1)).unwrap_or(usize::MAX)
}

fn described(
    cursor: &mut CursorImpl<StatementImpl<'_>>,
    engine: Engine,
) -> Result<(Arc<[Column]>, Vec<Kind>), Error> {
    let mut columns = Vec::new();
    let mut kinds = Vec::new();
    for number in 1..=u16::try_from(cursor.num_result_cols()?).unwrap_or_default() {
        let data_type = cursor.col_data_type(number)?;
        let db_type = format!("{data_type:?}").split([' ', '{']).next().unwrap_or_default().to_lowercase();
        columns.push(Column { name: cursor.col_name(number)?, db_type, nullable: None });
        kinds.push(Kind::of(data_type, engine));
    }
    Ok((columns.into(), kinds))
}
