//! The message log against real databases and a real time-stamping authority: from recording to what a court would see.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

mod archiving;
mod bucket;
mod health;
mod recording;
mod time_stamping;
mod verifying;
mod world;

/// Makes a test of each function for each database, in modules of that name. The function is given a [`world::World`].
macro_rules! on_each_database {
    ($($behaviour:ident)*) => {
        on_each_database!(@ sqlite Sqlite $($behaviour)*);
        on_each_database!(@ postgres Postgres $($behaviour)*);
    };
    (@ $module:ident $database:ident $($behaviour:ident)*) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    if let Some(world) = crate::world::World::new(crate::world::Database::$database).await {
                        super::$behaviour(world).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_each_database;
