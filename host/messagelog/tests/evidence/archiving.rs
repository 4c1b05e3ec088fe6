//! Archives continue one another, whatever happens in between, and nothing is deleted that is in none.

use std::time::Duration;

use futures_util::future::try_join_all;
use uuk_messagelog::{Grouping, Query, WrittenArchive};
use uuk_process::Clock;

use crate::on_each_database;
use crate::world::{Database, Running, World};

on_each_database! {
    archives_continue_one_another
    archives_go_on_after_a_crash_where_they_were
    keeps_records_apart_by_group
    deletes_what_was_archived_and_kept_long_enough
}

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn append(world: &World, running: &Running, ids: &[&str]) {
    for id in ids {
        running.log.append(world.record(id, b"body")).await.unwrap();
    }
    running.log.time_stamp().await.unwrap();
}

fn read(world: &World, archive: &WrittenArchive) -> Vec<u8> {
    std::fs::read(world.archive_folder().join(&archive.file_name)).unwrap()
}

/// Verifies an archive that continues the one that ended with `previous`; answers its own last digest.
#[track_caller]
fn verify(world: &World, archive: &WrittenArchive, previous: &str) -> String {
    let report = world.verify(&read(world, archive), Some(previous));
    assert!(report.is_valid(), "{report:#?}");
    assert_eq!(report.containers.len(), archive.records);
    report.archive.unwrap().unwrap().last_digest
}

async fn archives_continue_one_another(mut world: World) {
    // Closed after each record.
    world.config.archive.bytes_max = 1;
    let running = world.run().await;
    append(&world, &running, &["one", "two"]).await;
    running.log.append(world.record("not stamped", b"")).await.unwrap();
    let written = running.log.archive().await.unwrap();
    assert_eq!(written.iter().map(|archive| archive.records).collect::<Vec<_>>(), [1, 1]);
    running.log.time_stamp().await.unwrap();
    let more = running.log.archive().await.unwrap();
    assert_eq!(running.log.archive().await.unwrap(), []);

    let mut last_digest = String::new();
    for archive in written.iter().chain(&more) {
        last_digest = verify(&world, archive, &last_digest);
        assert!(archive.file_name.starts_with("mlog-20261122"), "{}", archive.file_name);
        assert!(
            archive.file_name.ends_with(&format!("-{}.zip", &last_digest[..16])),
            "{}",
            archive.file_name
        );
    }
    let found = running.log.find(&Query::default(), 10).await.unwrap();
    let archives: Vec<_> = found.into_iter().map(|found| found.archive.unwrap()).collect();
    assert_eq!(archives, written.iter().chain(&more).map(|one| one.file_name.clone()).collect::<Vec<_>>());
    running.stop().await;
}

async fn archives_go_on_after_a_crash_where_they_were(world: World) {
    let running = world.run().await;
    append(&world, &running, &["one", "two"]).await;
    let written = running.log.archive().await.unwrap();
    let file = read(&world, &written[0]);
    running.kill().await;
    // As if the crash had come before the file was there.
    std::fs::remove_file(world.archive_folder().join(&written[0].file_name)).unwrap();
    assert_eq!(world.sql("UPDATE archive SET written_at = NULL").await, 1);

    let running = world.run().await;
    append(&world, &running, &["three"]).await;
    let again = running.log.archive().await.unwrap();
    assert_eq!(again[0], written[0]);
    assert_eq!(read(&world, &again[0]), file);
    let last_digest = verify(&world, &again[0], "");
    verify(&world, &again[1], &last_digest);
    running.kill().await;

    // As if it had come after the file was there, and before that was noted.
    assert_eq!(world.sql("UPDATE archive SET written_at = NULL WHERE position = 2").await, 1);
    let running = world.run().await;
    assert_eq!(running.log.archive().await.unwrap(), again[1..]);
    assert_eq!(world.archives().len(), 2);
    running.stop().await;
}

async fn keeps_records_apart_by_group(mut world: World) {
    world.config.archive.grouping = Grouping::Subsystem;
    let running = world.run().await;
    let mut expected = Vec::new();
    for party in ["KG/GOV/70000002", "KG/GOV/70000002/portal", "KG/GOV/70000003/portal"] {
        for id in ["one", "two"] {
            let mut record = world.record(id, b"");
            record.party = party.parse().unwrap();
            running.log.append(record).await.unwrap();
        }
        expected.push(format!("mlog-{}-", party.replace('/', "_")));
    }
    running.log.time_stamp().await.unwrap();
    let written = running.log.archive().await.unwrap();
    for (archive, prefix) in written.iter().zip(&expected) {
        let rest = archive.file_name.strip_prefix(prefix.as_str());
        assert!(rest.is_some_and(|rest| rest.starts_with("2026")), "{}", archive.file_name);
        assert_eq!(archive.records, 2);
        // Each group begins a chain of its own.
        verify(&world, archive, "");
    }
    assert_eq!(written.len(), 3);
    running.stop().await;
}

async fn deletes_what_was_archived_and_kept_long_enough(mut world: World) {
    world.config.archive.keep_days = 2;
    let running = world.run().await;
    let together = world.records(&["archived", "archived too"], b"body").into_iter();
    try_join_all(together.map(|record| running.log.append(record))).await.unwrap();
    running.log.time_stamp().await.unwrap();
    running.log.archive().await.unwrap();
    append(&world, &running, &["stamped"]).await;
    running.log.append(world.record("recorded", b"")).await.unwrap();
    let left = async || {
        let found = running.log.find(&Query::default(), 10).await.unwrap();
        found.into_iter().map(|found| found.query_id).collect::<Vec<_>>()
    };
    world.clock.advance(DAY * 2);
    // The one that is archived now is old enough to go at once.
    std::fs::remove_dir(world.archive_folder()).unwrap_err();
    running.log.archive().await.unwrap();
    assert_eq!(left().await, ["archived", "archived too", "stamped", "recorded"]);
    world.clock.advance(Duration::from_millis(1));
    running.log.archive().await.unwrap();
    assert_eq!(left().await, ["recorded"]);
    for sql in ["DELETE FROM content", "DELETE FROM attachment", "DELETE FROM signature"] {
        assert_eq!(world.sql(sql).await, 1, "{sql}");
    }
    assert_eq!(world.sql("DELETE FROM time_stamp").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn raises_an_alarm_when_a_period_is_missed() {
    let world = World::new(Database::Sqlite).await.unwrap();
    let running = world.run().await;
    append(&world, &running, &["one"]).await;
    running.log.archive_if_due().await;
    assert!(world.archives().is_empty());

    world.clock.advance(Duration::from_secs(6 * 3600));
    let due = world.clock.now();
    // Where the folder was is a file now: not even root can write into it.
    std::fs::remove_dir(world.archive_folder()).unwrap();
    std::fs::write(world.archive_folder(), "").unwrap();
    world.clock.advance(Duration::from_secs(60));
    running.log.archive_if_due().await;
    assert_eq!(running.log.health().archiving_overdue_since, Some(due));
    let error = running.log.archive().await.unwrap_err();
    assert_eq!(error.code(), "archive_place.folder");

    std::fs::remove_file(world.archive_folder()).unwrap();
    std::fs::create_dir(world.archive_folder()).unwrap();
    running.log.archive_if_due().await;
    assert_eq!(running.log.health().archiving_overdue_since, None);
    assert_eq!(world.archives().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn goes_on_archiving_when_the_clock_is_set_back() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    let running = world.run().await;
    running.log.archive_if_due().await;
    running.stop().await;
    world.clock = Clock::set_to(world.clock.now() - Duration::from_secs(3600));
    let running = world.run().await;
    append(&world, &running, &["one"]).await;
    running.log.archive_if_due().await;
    world.clock.advance(Duration::from_secs(6 * 3600));
    running.log.archive_if_due().await;
    assert_eq!(world.archives().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn refuses_to_write_a_planned_archive_whose_records_have_changed() {
    let world = World::new(Database::Sqlite).await.unwrap();
    let running = world.run().await;
    append(&world, &running, &["one", "two"]).await;
    let written = running.log.archive().await.unwrap();
    world.sql("UPDATE archive SET written_at = NULL").await;
    world.sql("UPDATE content SET message = x'00' WHERE record_id = (SELECT MIN(id) FROM record)").await;
    let error = running.log.archive().await.unwrap_err();
    assert_eq!(error.code(), "message_log.archive_changed");
    // And nothing of it is deleted.
    world.clock.advance(DAY * 365);
    running.log.archive().await.unwrap_err();
    assert_eq!(running.log.find(&Query::default(), 10).await.unwrap().len(), written[0].records);
    running.stop().await;
}
