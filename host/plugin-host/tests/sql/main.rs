//! The capability `sql` against real databases: the same behaviour on each, and what only one of them has.

#![expect(clippy::panic, clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

mod fixture;
mod grants;
mod limits;
mod outages;
mod rows;
mod types;
mod writing;

/// Makes a test of each function for each engine, in modules of that name. The function is given a [`fixture::Fixture`].
macro_rules! on_every_engine {
    ($($behaviour:ident)*) => {
        on_every_engine!(@ sqlite Sqlite $($behaviour)*);
        on_every_engine!(@ postgres Postgres $($behaviour)*);
        on_every_engine!(@ mariadb Mariadb $($behaviour)*);
    };
    (@ $module:ident $engine:ident $($behaviour:ident)*) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    let fixture = crate::fixture::Fixture::new(uuk_bundle::Engine::$engine).await;
                    if let Some(fixture) = fixture {
                        super::$behaviour(fixture).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_every_engine;
