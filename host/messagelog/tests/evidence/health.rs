//! What the log says of itself.

use std::time::Duration;

use crate::on_each_database;
use crate::world::World;

on_each_database! {
    tells_how_many_records_wait_for_a_time_stamp
    tells_that_nothing_can_be_recorded_until_it_can
}

async fn tells_how_many_records_wait_for_a_time_stamp(world: World) {
    let running = world.run().await;
    assert_eq!(running.log.check().await.unwrap().oldest, None);
    let first = world.clock.now();
    running.log.append(world.record("one", b"")).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    running.log.append(world.record("two", b"")).await.unwrap();
    let waiting = running.log.check().await.unwrap();
    assert_eq!((waiting.count, waiting.oldest), (2, Some(first)));
    running.log.time_stamp().await.unwrap();
    assert_eq!(running.log.check().await.unwrap().count, 0);
    running.stop().await;
}

async fn tells_that_nothing_can_be_recorded_until_it_can(world: World) {
    let running = world.run().await;
    world.sql("ALTER TABLE content RENAME TO content_away").await;
    let refused = running.log.append(world.record("lost", b"")).await.unwrap_err();
    assert_eq!(refused.code(), "message_log.refused");
    // Reading works all the while.
    world.sql("ALTER TABLE remembered RENAME TO remembered_away").await;
    assert_eq!(running.log.check().await.unwrap_err().code(), "message_log.refused");
    world.sql("ALTER TABLE content_away RENAME TO content").await;
    world.sql("ALTER TABLE remembered_away RENAME TO remembered").await;
    running.log.check().await.unwrap();
    running.log.append(world.record("kept", b"")).await.unwrap();
    running.stop().await;
}
