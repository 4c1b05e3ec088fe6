//! The capability `sql` against real databases: the same behaviour on each, by its own protocol and by ODBC, and what
//! only one of them has.

#![expect(clippy::panic, clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

mod fixture;
mod grants;
mod limits;
#[cfg(feature = "odbc")]
mod odbc;
mod outages;
mod rows;
mod types;
mod writing;

/// Makes a test of each function for each engine, in modules of that name. The function is given a [`fixture::Fixture`].
macro_rules! on_every_engine {
    ($($behaviour:ident)*) => {
        crate::on_every_engine_that_stops!($($behaviour)*);
        #[cfg(feature = "odbc")]
        crate::on_every_engine_that_stops!(@ odbc_sqlite by_odbc Sqlite $($behaviour)*);
    };
}
pub(crate) use on_every_engine;

/// Likewise, without SQLite by ODBC, whose driver nothing interrupts.
macro_rules! on_every_engine_that_stops {
    (@ $module:ident $made:ident $engine:ident $($behaviour:ident)*) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let fixture = crate::fixture::Fixture::$made(uuk_bundle::Engine::$engine).await;
                    if let Some(fixture) = fixture {
                        super::$behaviour(fixture).await;
                    }
                }
            )*
        }
    };
    ($($behaviour:ident)*) => {
        crate::on_every_engine_that_stops!(@ sqlite new Sqlite $($behaviour)*);
        crate::on_every_engine_that_stops!(@ postgres new Postgres $($behaviour)*);
        crate::on_every_engine_that_stops!(@ mariadb new Mariadb $($behaviour)*);
        #[cfg(feature = "odbc")]
        crate::on_every_engine_that_stops!(@ odbc_postgres by_odbc Postgres $($behaviour)*);
        #[cfg(feature = "odbc")]
        crate::on_every_engine_that_stops!(@ odbc_mariadb by_odbc Mariadb $($behaviour)*);
    };
}
pub(crate) use on_every_engine_that_stops;
