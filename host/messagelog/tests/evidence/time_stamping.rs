//! Records become evidence by a time-stamp; while there is none, messages go on only for so long.

use std::time::Duration;

use tokio::task::JoinSet;
use uuk_asic::Outcome;
use uuk_messagelog::{Disproof, Query, RecordId, Report};
use uuk_testkit::network::{Fault, Stamping};
use uuk_transport::UpstreamConfig;

use crate::on_each_database;
use crate::world::{Database, Running, World, until};

on_each_database! {
    stamps_one_inside_its_signature
    stamps_many_with_one_token
    goes_on_in_rounds
}

async fn append(world: &World, running: &Running, count: usize) -> Vec<RecordId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(running.log.append(world.record(&format!("id {number}"), b"body")).await.unwrap());
    }
    ids
}

async fn unstamped(running: &Running) -> usize {
    let query = Query { unstamped_only: true, ..Query::default() };
    running.log.find(&query, 1000).await.unwrap().len()
}

async fn stamps_one_inside_its_signature(world: World) {
    let running = world.run().await;
    let ids = append(&world, &running, 1).await;
    assert_eq!(running.log.time_stamp().await.unwrap(), 1);
    assert_eq!(running.log.time_stamp().await.unwrap(), 0);
    let exported = running.log.export(ids[0], false).await.unwrap();
    let container = uuk_asic::MessageContainer::read(&exported.bytes).unwrap();
    assert!(container.time_stamp.is_none());
    let report = world.verify(&exported.bytes, None);
    assert!(report.is_valid(), "{report:#?}");
    running.stop().await;
}

async fn stamps_many_with_one_token(world: World) {
    let running = world.run().await;
    let ids = append(&world, &running, 5).await;
    let requests = world.instance.time_stamping.requests();
    assert_eq!(running.log.time_stamp().await.unwrap(), 5);
    assert_eq!(world.instance.time_stamping.requests(), requests + 1);
    for id in ids {
        let exported = running.log.export(id, false).await.unwrap();
        let container = uuk_asic::MessageContainer::read(&exported.bytes).unwrap();
        assert!(container.time_stamp.is_some());
        let report = world.verify(&exported.bytes, None);
        assert!(report.is_valid(), "{report:#?}");
    }
    let found = running.log.find(&Query::default(), 10).await.unwrap();
    assert!(found.iter().all(|found| found.stamped_at == Some(world.clock.now())));
    running.stop().await;
}

async fn goes_on_in_rounds(mut world: World) {
    world.config.time_stamping.records_max = 2;
    let log = world.build().await;
    // Nothing is stamped before the log runs.
    let running = world.run().await;
    append(&world, &running, 5).await;
    running.stop().await;
    drop(log);
    let running = world.run().await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while unstamped(&running).await > 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn asks_the_next_authority_if_one_does_not_stamp() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    world.config.time_stamping.authorities.insert(0, UpstreamConfig::new("http://127.0.0.1:1/tsa"));
    let running = world.run().await;
    append(&world, &running, 2).await;
    assert_eq!(running.log.time_stamp().await.unwrap(), 2);
    assert_eq!(running.log.health().time_stamping_failing_since, None);
    running.stop().await;
}

#[tokio::test]
async fn stamps_before_a_message_leaves_if_told_to() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    world.config.time_stamping.immediately = true;
    let running = world.run().await;
    let mut appending = JoinSet::new();
    for number in 0..20 {
        let (log, record) = (running.log.clone(), world.record(&format!("id {number}"), b""));
        appending.spawn(async move {
            let id = log.append(record).await.unwrap();
            log.export(id, false).await.unwrap();
        });
    }
    while let Some(appended) = appending.join_next().await {
        appended.unwrap();
    }
    world.instance.time_stamping.fail(Fault::Unavailable);
    let error = running.log.append(world.record("late", b"")).await.unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("message_log.not_stamped", "timestamping_failed"));
    running.stop().await;
}

#[tokio::test]
async fn refuses_time_stamps_that_do_not_count() {
    let world = World::new(Database::Sqlite).await.unwrap();
    let running = world.run().await;
    append(&world, &running, 2).await;
    let stamping = &world.instance.time_stamping;
    let mut codes = Vec::new();
    for refused in [Stamping::Refusing, Stamping::AsStranger] {
        stamping.stamp(refused);
        codes.push(running.log.time_stamp().await.unwrap_err().code());
    }
    stamping.stamp(Stamping::Granting);
    for fault in [Fault::Garbage, Fault::Unavailable, Fault::Down] {
        stamping.fail(fault);
        codes.push(running.log.time_stamp().await.unwrap_err().code());
    }
    assert_eq!(
        codes,
        [
            "message_log.answer_refused",
            "message_log.answer_refused",
            "message_log.answer_refused",
            "message_log.authority_status",
            "message_log.authority_unreachable",
        ]
    );
    assert_eq!(unstamped(&running).await, 2);
    running.stop().await;
}

#[tokio::test]
async fn refuses_messages_when_stamping_has_failed_for_too_long() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    world.config.time_stamping.acceptable_failure_period = Duration::from_secs(60);
    let running = world.run().await;
    append(&world, &running, 1).await;
    world.instance.time_stamping.fail(Fault::Down);
    let failed_at = world.clock.now();
    running.log.time_stamp().await.unwrap_err();
    assert_eq!(running.log.health().time_stamping_failing_since, Some(failed_at));
    world.clock.advance(Duration::from_secs(59));
    append(&world, &running, 1).await;

    // Neither another failure nor a restart begins the period anew.
    running.log.time_stamp().await.unwrap_err();
    running.stop().await;
    let running = world.run().await;
    world.clock.advance(Duration::from_secs(1));
    let error = running.log.append(world.record("late", b"")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.xroad_code()),
        ("message_log.time_stamping_failed", "timestamping_failed")
    );

    world.instance.time_stamping.fail(Fault::None);
    running.log.time_stamp().await.unwrap();
    append(&world, &running, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn never_refuses_messages_if_told_so() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    world.config.time_stamping.acceptable_failure_period = Duration::ZERO;
    let running = world.run().await;
    append(&world, &running, 1).await;
    world.instance.time_stamping.fail(Fault::Down);
    running.log.time_stamp().await.unwrap_err();
    world.clock.advance(Duration::from_secs(1_000_000));
    append(&world, &running, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn finds_out_by_itself_that_stamping_works_again() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    world.config.time_stamping.interval = Some(Duration::from_millis(10));
    world.config.time_stamping.retry_delay = Duration::from_millis(10);
    world.instance.time_stamping.fail(Fault::Down);
    let running = world.run().await;
    append(&world, &running, 3).await;
    until(|| running.log.health().time_stamping_failing_since.is_some()).await;
    world.instance.time_stamping.fail(Fault::None);
    until(|| running.log.health().time_stamping_failing_since.is_none()).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while unstamped(&running).await > 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
}

/// A record whose message was signed `answer_age` after its OCSP answer, and time-stamped `outage` after that.
async fn stamped_late(answer_age: Duration, outage: Duration) -> (World, Vec<u8>) {
    let world = World::new(Database::Sqlite).await.unwrap();
    let running = world.run().await;
    world.clock.advance(answer_age);
    let id = append(&world, &running, 1).await.remove(0);
    world.clock.advance(outage);
    running.log.time_stamp().await.unwrap();
    let exported = running.log.export(id, false).await.unwrap();
    running.stop().await;
    (world, exported.bytes)
}

fn verdict(report: &Report) -> &'static str {
    report.containers[0].verdict.as_ref().map_or_else(Disproof::code, |_| "proven")
}

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn messages_accepted_while_nobody_stamped_are_evidence_all_the_same() {
    let (world, file) = stamped_late(HOUR, 4 * HOUR).await;
    let report = world.verify(&file, None);
    assert_eq!(verdict(&report), "proven", "{report:#?}");
    let evidence = report.containers[0].verdict.as_ref().unwrap();
    assert_eq!(evidence.time, world.clock.now());
    assert_eq!(evidence.certificate_judged_at, evidence.message.claimed_time());
    let words = "issued by an approved authority, valid and not revoked when the signature says that it was made, \
                 4h before the time-stamp";
    let last = report.containers[0].steps.last().unwrap();
    assert_eq!(last.outcome, Outcome::Passed(words.to_owned()));
    // Whoever believes time-stamps only, as X-Road does, judges as X-Road does.
    assert_eq!(verdict(&world.verify_stamped_within(&file, Duration::ZERO)), "ocsp.stale");
}

#[tokio::test]
async fn refuses_a_time_stamp_that_is_too_late_for_the_ocsp_answer() {
    let (world, file) = stamped_late(Duration::ZERO, 4 * HOUR + SECOND).await;
    assert_eq!(verdict(&world.verify(&file, None)), "ocsp.stale");
    assert_eq!(verdict(&world.verify_stamped_within(&file, 5 * HOUR)), "proven");
}

#[tokio::test]
async fn refuses_an_ocsp_answer_that_was_too_old_for_the_signature() {
    let (world, file) = stamped_late(HOUR + SECOND, HOUR).await;
    assert_eq!(verdict(&world.verify(&file, None)), "ocsp.stale");
}

#[tokio::test]
async fn refuses_messages_without_any_authority() {
    let mut world = World::new(Database::Sqlite).await.unwrap();
    world.config.time_stamping.authorities.clear();
    let running = world.run().await;
    let error = running.log.append(world.record("one", b"")).await.unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("message_log.no_authority", "timestamping_failed"));
    running.stop().await;
}

#[tokio::test]
async fn refuses_to_stamp_without_a_global_configuration() {
    let world = World::new(Database::Sqlite).await.unwrap();
    world.configuration.send_replace(None);
    let running = world.run().await;
    append(&world, &running, 1).await;
    let error = running.log.time_stamp().await.unwrap_err();
    assert_eq!(error.code(), "message_log.no_global_configuration");
    running.stop().await;
}

#[tokio::test]
async fn refuses_to_export_what_is_not_stamped_unless_told_to_stamp() {
    let world = World::new(Database::Sqlite).await.unwrap();
    let running = world.run().await;
    let ids = append(&world, &running, 1).await;
    let error = running.log.export(ids[0], false).await.unwrap_err();
    assert_eq!(error.code(), "message_log.not_stamped_yet");
    let exported = running.log.export(ids[0], true).await.unwrap();
    assert!(world.verify(&exported.bytes, None).is_valid());
    let error = running.log.export(RecordId(ids[0].0 + 1), false).await.unwrap_err();
    assert_eq!(error.code(), "message_log.not_found");
    running.stop().await;
}
