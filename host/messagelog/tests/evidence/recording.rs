//! What is recorded is there, once and whole, and is found.

use std::io::{BufRead, BufReader};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::task::JoinSet;
use uuk_messagelog::{Direction, LargerAttachments, LogReader, LoggedAttachment, NewRecord, Query, RecordId};
use uuk_testkit::disk::Disk;

use crate::on_each_database;
use crate::world::{CLIENT, World, until};

on_each_database! {
    finds_what_was_recorded
    records_many_at_once_each_one_time
    keeps_what_was_recorded_when_it_is_killed
    commits_what_waits_when_it_stops
    does_not_bring_its_tables_up_to_date_twice
    brings_tables_with_a_signature_in_each_record_up_to_date
    records_together_what_has_many_attachments
    refuses_tables_that_a_newer_release_has_changed
    keeps_a_signature_once_for_those_that_were_signed_together
    shows_its_records_to_a_reader_beside_it
    refuses_a_record_whose_number_is_taken
    tells_after_a_restart_what_was_recorded_before_it
}

async fn finds_what_was_recorded(world: World) {
    let running = world.run().await;
    let log = &running.log;
    let request = world.record("one", b"body");
    let response = NewRecord { direction: Direction::Response, ..request.clone() };
    let member = NewRecord { party: "KG/GOV/70000002".parse().unwrap(), ..world.record("two", b"") };
    let first = log.append(request).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(60));
    let second = log.append(response).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(60));
    let third = log.append(member).await.unwrap();

    let all = log.find(&Query::default(), 10).await.unwrap();
    assert_eq!(all.iter().map(|found| found.id).collect::<Vec<_>>(), [first, second, third]);
    assert_eq!((all[0].query_id.as_str(), all[0].request_id.as_str()), ("one", "exchange"));
    assert_eq!(all[0].recorded_at, crate::world::time("2026-11-22T12:00:00Z"));
    assert_eq!((all[0].stamped_at, all[0].archive.as_ref()), (None, None));
    let find = async |query: Query| {
        let found = log.find(&query, 10).await.unwrap();
        found.into_iter().map(|found| found.id).collect::<Vec<_>>()
    };
    let party = |text: &str| Some(text.parse().unwrap());
    let minute = |minute| Some(crate::world::time(&format!("2026-11-22T12:0{minute}:00Z")));
    let any = Query::default;
    assert_eq!(find(Query { query_id: Some("one".into()), ..any() }).await, [first, second]);
    assert_eq!(find(Query { party: party(CLIENT), ..any() }).await, [first, second]);
    assert_eq!(find(Query { party: party("KG/GOV/70000002"), ..any() }).await, [third]);
    assert_eq!(find(Query { direction: Some(Direction::Response), ..any() }).await, [second]);
    assert_eq!(find(Query { from: minute(1), until: minute(2), ..any() }).await, [second]);
    assert_eq!(find(Query { after: Some(second), ..any() }).await, [third]);
    assert_eq!(log.find(&any(), 1).await.unwrap().len(), 1);
    running.stop().await;
}

async fn tells_after_a_restart_what_was_recorded_before_it(world: World) {
    let running = world.run().await;
    assert_eq!(running.log.last_recorded_before(), None, "nothing was");
    let record = world.record("one", b"body");
    let id = running.log.append(record.clone()).await.unwrap();
    running.stop().await;
    world.clock.advance(std::time::Duration::from_secs(60));

    let running = world.run().await;
    assert_eq!(running.log.last_recorded_before(), Some(crate::world::time("2026-11-22T12:00:00Z")));
    let (message, signature) = running.log.message(id).await.unwrap().unwrap();
    assert_eq!((message, signature), (record.message.to_vec(), record.signature));
    assert!(running.log.message(RecordId(id.0 + 1)).await.unwrap().is_none(), "there is no other");
    running.stop().await;
}

async fn shows_its_records_to_a_reader_beside_it(world: World) {
    let error = LogReader::open(&world.config).await;
    let running = world.run().await;
    let id = running.log.append(world.record("one", b"body")).await.unwrap();
    running.log.time_stamp().await.unwrap();
    let reader = LogReader::open(&world.config).await.unwrap();
    assert_eq!(reader.find(&Query::default(), 10).await.unwrap()[0].id, id);
    let exported = reader.export(id).await.unwrap();
    assert!(world.verify(&exported.bytes, None).is_valid());
    running.stop().await;
    // Of SQLite, it makes no file.
    if world.config.database.starts_with("sqlite:") {
        assert_eq!(error.unwrap_err().code(), "message_log.unreachable");
    }
}

async fn refuses_a_record_whose_number_is_taken(world: World) {
    let running = world.run().await;
    let id = running.log.append(world.record("first", b"")).await.unwrap();
    running.log.time_stamp().await.unwrap();
    running.stop().await;
    assert_eq!(world.sql("UPDATE number SET next = 1").await, 1);

    let running = world.run().await;
    let error = running.log.append(world.record("second", b"body")).await.unwrap_err();
    assert_eq!(error.code(), "message_log.refused");
    let exported = running.log.export(id, false).await.unwrap();
    assert!(world.verify(&exported.bytes, None).is_valid());
    running.stop().await;
}

async fn records_many_at_once_each_one_time(world: World) {
    let running = world.run().await;
    let record = world.record("many", b"body");
    let mut appending = JoinSet::new();
    for number in 0..300 {
        let (log, record) = (running.log.clone(), record.clone());
        let record = NewRecord { query_id: format!("id {number}"), ..record };
        appending.spawn(async move { (number, log.append(record).await.unwrap()) });
    }
    let mut ids = std::collections::BTreeMap::new();
    while let Some(appended) = appending.join_next().await {
        let (number, id) = appended.unwrap();
        assert_eq!(ids.insert(id, format!("id {number}")), None);
    }
    let found = running.log.find(&Query::default(), 1000).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|found| (found.id, found.query_id)).collect();
    assert_eq!(found, ids.into_iter().collect::<Vec<_>>());
    running.stop().await;
}

async fn keeps_what_was_recorded_when_it_is_killed(world: World) {
    let running = world.run().await;
    let record = world.record("kept", b"body");
    let mut appending = JoinSet::new();
    for number in 0..200 {
        let (log, record) = (running.log.clone(), record.clone());
        let record = NewRecord { query_id: number.to_string(), ..record };
        appending.spawn(async move { log.append(record).await.ok().map(|id| (id, number.to_string())) });
    }
    let mut promised = Vec::new();
    promised.extend(appending.join_next().await.unwrap().unwrap());
    running.kill().await;
    while let Some(appended) = appending.join_next().await {
        promised.extend(appended.unwrap());
    }

    let running = world.run().await;
    let found = running.log.find(&Query::default(), 1000).await.unwrap();
    for (id, query_id) in &promised {
        assert!(found.iter().any(|found| found.id == *id && found.query_id == *query_id), "{query_id}");
    }
    // Those of which nobody heard are whole, or not there at all.
    running.log.time_stamp().await.unwrap();
    for found in &found {
        running.log.export(found.id, false).await.unwrap();
    }
    let again = running.log.append(record).await.unwrap();
    assert!(found.iter().all(|found| found.id < again));
    running.stop().await;
}

#[tokio::test]
async fn moves_what_it_recorded_out_of_the_log_of_changes() {
    let world = sqlite().await;
    let running = world.run().await;
    let megabytes = |file: &str| std::fs::metadata(world.folder.path().join(file)).unwrap().len() >> 20;
    for _ in 0..100 {
        running.log.append(world.record("large", &[7; 1 << 20])).await.unwrap();
    }
    // What is moved while others write is less than all, but the log of changes begins anew again and again.
    until(|| megabytes("log.db") >= 50).await;
    assert!(megabytes("log.db-wal") < 70, "{} MiB", megabytes("log.db-wal"));
    running.stop().await;
}

/// A world whose log is on a disk that can be full.
async fn on_a_disk() -> Option<(World, Disk)> {
    let mut world = sqlite().await;
    let folder = world.folder.path().join("disk");
    let Some(disk) = Disk::mount(&folder).unwrap() else {
        eprintln!("skipped: this user may not mount a file system that can be full");
        return None;
    };
    world.config.database = format!("sqlite:{}", folder.join("log.db").display());
    Some((world, disk))
}

/// Numbers are taken in blocks, and here one is taken while nothing can be written.
#[tokio::test]
async fn gives_no_number_twice_after_a_full_disk() {
    let Some((world, disk)) = on_a_disk().await else { return };
    let running = world.run().await;
    disk.fill_up().unwrap();
    let mut recorded = Vec::new();
    for _ in 0..1_500 {
        recorded.extend(running.log.append(world.record("full", b"")).await);
    }
    disk.make_room().unwrap();
    recorded.push(running.log.append(world.record("room", b"")).await.unwrap());
    running.stop().await;

    let running = world.run().await;
    for _ in 0..1_500 {
        recorded.push(running.log.append(world.record("restarted", b"body")).await.unwrap());
    }
    let found = running.log.find(&Query::default(), 10_000).await.unwrap();
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), recorded);
    running.stop().await;
}

#[tokio::test]
async fn records_again_when_a_full_disk_has_room() {
    let Some((world, disk)) = on_a_disk().await else { return };
    let running = world.run().await;
    let append = async |query_id: &str, body: &[u8]| running.log.append(world.record(query_id, body)).await;
    let mut recorded = vec![append("before", b"").await.unwrap()];
    for _ in 0..3 {
        disk.fill_up().unwrap();
        let mut refusal = None;
        while refusal.is_none() {
            // What is free in the files of the database is used up first.
            assert!(recorded.len() < 1_000, "the disk is not full");
            match append("full", &[0; 64 << 10]).await {
                Ok(id) => recorded.push(id),
                Err(error) => refusal = Some(error),
            }
        }
        assert_eq!(refusal.unwrap().code(), "message_log.refused");
        disk.make_room().unwrap();
        recorded.push(append("after", b"").await.unwrap());
    }

    let found = running.log.find(&Query::default(), 1_000).await.unwrap();
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), recorded);
    running.log.time_stamp().await.unwrap();
    for id in recorded {
        let exported = running.log.export(id, false).await.unwrap();
        assert!(world.verify(&exported.bytes, None).is_valid());
    }
    running.stop().await;
}

/// What [`loses_nothing_it_promised_when_the_process_is_killed`] starts anew in a process of its own: appends to the
/// database that the variable names, and says each number that was promised.
#[tokio::test]
async fn child_that_is_killed() {
    let Ok(database) = std::env::var(CHILD) else { return };
    let mut world = sqlite().await;
    world.config.database = database;
    let running = world.run().await;
    let record = world.record("promised", b"body");
    let mut appending = JoinSet::new();
    for _ in 0..8 {
        let (log, record) = (running.log.clone(), record.clone());
        appending.spawn(async move {
            loop {
                println!("promised {}", log.append(record.clone()).await.unwrap());
            }
        });
    }
    appending.join_next().await;
}

const CHILD: &str = "UUK_TEST_CHILD_DATABASE";

#[tokio::test]
async fn loses_nothing_it_promised_when_the_process_is_killed() {
    let world = sqlite().await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["recording::child_that_is_killed", "--exact", "--nocapture"])
        .env(CHILD, &world.config.database)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut promised = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines {
        if let Some(id) = line.unwrap().strip_prefix("promised ") {
            promised.extend(id.parse::<i64>());
        }
        if promised.len() == 200 {
            // SIGKILL, in the middle of whatever it does.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(promised.len() >= 200);

    let running = world.run().await;
    let found = running.log.find(&Query::default(), 10_000).await.unwrap();
    let ids: std::collections::BTreeSet<_> = found.iter().map(|found| found.id.0).collect();
    assert!(promised.iter().all(|id| ids.contains(id)));
    running.log.time_stamp().await.unwrap();
    for found in &found {
        assert_eq!(found.query_id, "promised");
        let exported = running.log.export(found.id, false).await.unwrap();
        assert_eq!(uuk_asic::MessageContainer::read(&exported.bytes).unwrap().attachments.len(), 1);
    }
    running.stop().await;
}

async fn commits_what_waits_when_it_stops(world: World) {
    let running = world.run().await;
    let record = world.record("last", b"body");
    let mut appending = JoinSet::new();
    for _ in 0..50 {
        let (log, record) = (running.log.clone(), record.clone());
        appending.spawn(async move { log.append(record).await });
    }
    tokio::task::yield_now().await;
    let log = running.log.clone();
    running.stop().await;
    let mut recorded = 0;
    while let Some(appended) = appending.join_next().await {
        match appended.unwrap() {
            Ok(_) => recorded += 1,
            Err(error) => assert_eq!(error.code(), "message_log.stopped"),
        }
    }
    assert_eq!(log.find(&Query::default(), 100).await.unwrap().len(), recorded);
    let error = log.append(record).await.unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("message_log.stopped", "logging_failed"));
}

async fn does_not_bring_its_tables_up_to_date_twice(world: World) {
    let running = world.run().await;
    running.log.append(world.record("one", b"")).await.unwrap();
    running.stop().await;
    let running = world.run().await;
    assert_eq!(running.log.find(&Query::default(), 10).await.unwrap().len(), 1);
    running.stop().await;
}

async fn brings_tables_with_a_signature_in_each_record_up_to_date(world: World) {
    let running = world.run().await;
    let record = running.log.append(world.record("one", b"body")).await.unwrap();
    let exported = running.log.export(record, true).await.unwrap().bytes;
    running.stop().await;
    // As the first release had them.
    for sql in [
        "ALTER TABLE content ADD COLUMN signatures BYTEA",
        "UPDATE content SET signatures = (SELECT document FROM signature WHERE id = signature_id)",
        "DROP INDEX content_by_shared_signature",
        "DROP INDEX record_to_archive",
        "ALTER TABLE content DROP COLUMN signature_id",
        "DROP TABLE signature",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
    ] {
        world.sql(sql).await;
    }
    let running = world.run().await;
    assert_eq!(running.log.export(record, false).await.unwrap().bytes, exported);
    running.log.append(world.record("two", b"body")).await.unwrap();
    running.stop().await;
}

async fn refuses_tables_that_a_newer_release_has_changed(world: World) {
    world.run().await.stop().await;
    world.sql("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 2").await;
    let error = world.try_build().await.unwrap_err();
    assert_eq!(error.code(), "message_log.migration");
}

async fn records_together_what_has_many_attachments(world: World) {
    let running = world.run().await;
    let records = (0..90).map(|number| {
        let attachment = LoggedAttachment::Content(Bytes::from_static(b"attachment"));
        let record = world.record(&format!("many-{number}"), b"");
        NewRecord { attachments: vec![attachment; 100], ..record }
    });
    try_join_all(records.map(|record| running.log.append(record))).await.unwrap();
    assert_eq!(world.sql("DELETE FROM attachment WHERE number = 100").await, 90);
    running.stop().await;
}

async fn keeps_a_signature_once_for_those_that_were_signed_together(mut world: World) {
    world.config.archive.keep_days = 2;
    let running = world.run().await;
    let appended =
        world.records(&["one", "two"], b"body").into_iter().map(|record| running.log.append(record));
    let ids = try_join_all(appended).await.unwrap();
    assert_eq!(world.sql("UPDATE signature SET id = id").await, 1, "there is one");
    running.log.time_stamp().await.unwrap();
    let exported = running.log.export(ids[1], false).await.unwrap().bytes;
    for id in &ids {
        let exported = running.log.export(*id, false).await.unwrap();
        assert!(world.verify(&exported.bytes, None).is_valid());
    }
    // One of them goes before the other.
    world.sql("UPDATE record SET recorded_at = 0 WHERE query_id = 'one'").await;
    running.log.archive().await.unwrap();
    assert_eq!(running.log.find(&Query::default(), 10).await.unwrap().len(), 1);
    assert_eq!(running.log.export(ids[1], false).await.unwrap().bytes, exported);
    running.stop().await;
}

async fn sqlite() -> World {
    World::new(crate::world::Database::Sqlite).await.unwrap()
}

#[tokio::test]
async fn refuses_attachments_that_are_too_large() {
    let mut world = sqlite().await;
    world.config.attachment_bytes_max = 3;
    world.config.larger_attachments = LargerAttachments::Refuse;
    let running = world.run().await;
    let error = running.log.append(world.record("one", b"four")).await.unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("message_log.attachment_too_large", "logging_failed"));
    running.log.append(world.record("one", b"one")).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn refuses_attachments_that_together_are_too_large() {
    let mut world = sqlite().await;
    world.config.attachment_bytes_max = usize::MAX;
    world.config.larger_attachments = LargerAttachments::Refuse;
    let running = world.run().await;
    let half = LoggedAttachment::Content(Bytes::from(vec![0; 25 << 20]));
    let record = NewRecord { attachments: vec![half.clone(), half], ..world.record("one", b"") };
    let error = running.log.append(record).await.unwrap_err();
    assert_eq!(error.code(), "message_log.attachment_too_large");
    assert!(error.to_string().starts_with("attachment 2 "), "{error}");
    running.stop().await;
}

#[tokio::test]
async fn refuses_identifiers_that_no_database_takes() {
    let world = sqlite().await;
    let running = world.run().await;
    for query_id in ["a\0b".to_owned(), "a".repeat(1025)] {
        let record = NewRecord { query_id, ..world.record("one", b"") };
        assert_eq!(running.log.append(record).await.unwrap_err().code(), "message_log.identifier");
    }
    running.stop().await;
}

#[tokio::test]
async fn refuses_more_attachments_than_a_record_can_have() {
    let world = sqlite().await;
    let running = world.run().await;
    let attachments = vec![LoggedAttachment::Content(Bytes::new()); 101];
    let record = NewRecord { attachments, ..world.record("one", b"") };
    assert_eq!(running.log.append(record).await.unwrap_err().code(), "message_log.too_many_attachments");
    running.stop().await;
}

#[tokio::test]
async fn refuses_when_more_wait_than_the_disk_takes() {
    let world = sqlite().await;
    // Nobody writes.
    let log = world.build().await;
    let record = world.record("one", b"");
    let mut appending = JoinSet::new();
    for _ in 0..5000 {
        let (log, record) = (log.clone(), record.clone());
        appending.spawn(async move { log.append(record).await.unwrap_err().code() });
    }
    assert_eq!(appending.join_next().await.unwrap().unwrap(), "message_log.overloaded");
}

#[tokio::test]
async fn refuses_addresses_that_are_none() {
    for (database, code) in [
        ("mysql://127.0.0.1/log", "message_log.address"),
        ("messages.db", "message_log.address"),
        ("postgres://uuk:secret@127.0.0.1/log", "message_log.password_in_address"),
        ("postgres://127.0.0.1:1/log", "message_log.unreachable"),
        ("sqlite:/nowhere/at/all.db", "message_log.unreachable"),
    ] {
        let mut world = sqlite().await;
        world.config.database = database.to_owned();
        assert_eq!(world.try_build().await.unwrap_err().code(), code, "{database}");
    }
}
