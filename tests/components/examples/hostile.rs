//! Everything an adapter may do wrong in a call, chosen by the operation: see `hostile/contracts/hostile.yaml`.
//!
//! Where the host refuses something, the outcome is the refusal as the adapter sees it.

use std::fmt::Debug;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use uuk_adapter::handler::{Guest, Request, Response};
use uuk_adapter::log::{self, FieldValue, Level};
use uuk_adapter::sql::{self, Value};
use uuk_adapter::{Context, Fault, blobs, http};
use uuk_test_components::{integer, outcome, raw};

struct Hostile;

impl Guest for Hostile {
    fn handle(context: Context, request: Request) -> Result<Response, Fault> {
        match context.service.operation.as_str() {
            "loop-forever" => loop_forever(),
            "grow-memory" => Ok(grow_memory()),
            "recurse" => Ok(outcome(&recurse(1).to_string())),
            "flood-log" => Ok(flood_log()),
            "forge-log" => Ok(forge_log()),
            "answer-gigabyte" => Ok(raw(vec![b' '; 1 << 30])),
            "answer-megabytes" => Ok(outcome(&"a".repeat(8 << 20))),
            "answer-invalid-json" => Ok(raw(br#"{"outcome": "#.to_vec())),
            "answer-duplicate-keys" => Ok(raw(br#"{"outcome": "a", "outcome": "b"}"#.to_vec())),
            "answer-too-deep" => Ok(raw([vec![b'['; 1 << 17], vec![b']'; 1 << 17]].concat())),
            "answer-other-schema" => Ok(raw(br#"{"outcome": 1}"#.to_vec())),
            "fault-not-declared" => Err(Fault::not_found("NOBODY_DECLARED_THIS", "nothing here")),
            "trap-when-even" => Ok(trap_when_even(integer(&request, "n"))),
            "count-calls" => Ok(count_calls()),
            "run-unknown-statement" => Ok(refusal(sql::run("no-such-statement", &[]))),
            "run-with-unknown-parameter" => {
                Ok(refusal(sql::run("count-visits", &[sql::param("nobody", Value::Integer(1))])))
            }
            "write-through-read" => Ok(refusal(sql::run("delete-as-read", &[]))),
            "read-too-many-rows" => Ok(refusal(sql::run("numbers", &[]))),
            "run-slowly" => Ok(refusal(sql::run("slow", &[]))),
            "run-many" => Ok(run_many()),
            "send-to-unknown-upstream" => Ok(refusal(http::Request::get(&["v1"]).send("no-such-upstream"))),
            "send-outside-paths" => Ok(refusal(http::Request::get(&["admin"]).send("api"))),
            "send-elsewhere" => Ok(send_elsewhere()),
            "send-credentials" => Ok(refusal(
                http::Request::get(&["v1", "x"]).header("authorization", "Basic eDp5").send("api"),
            )),
            "send-many" => Ok(send_many()),
            "send-megabytes" => Ok(send_megabytes()),
            "open-resources" => Ok(open_resources()),
            "keep-writer" => Ok(keep_writer()),
            "keep-cursor" => Ok(keep_cursor()),
            "keep-megabytes" => Ok(keep_megabytes()),
            "hold-megabytes" => Ok(hold_megabytes()),
            "compute" => Ok(compute(integer(&request, "n"))),
            operation => Err(uuk_adapter::not_answered(operation)),
        }
    }
}

impl uuk_adapter::probe::Guest for Hostile {
    fn run(depth: uuk_adapter::probe::Depth) -> Vec<uuk_adapter::probe::Finding> {
        uuk_adapter::probe::nothing(depth)
    }
}

uuk_adapter::export!(Hostile);

fn loop_forever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes memory a MiB at a time, and uses it, until there is no more.
fn grow_memory() -> Response {
    let mut memory = Vec::new();
    loop {
        memory.push(black_box(vec![1_u8; 1 << 20]));
        if memory.len() >= 4096 {
            return outcome("4 GiB");
        }
    }
}

#[expect(unconditional_recursion, reason = "it is what this does wrong")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1))) + 1
}

fn flood_log() -> Response {
    let line = "all work and no play ".repeat(500);
    for number in 0..50_000 {
        log::emit(Level::Error, &line, &[("number".to_owned(), FieldValue::Integer(number))]);
    }
    outcome("flooded")
}

/// A line that looks like two, colours the terminal, and reads backwards.
fn forge_log() -> Response {
    let line = "done\n2026-01-01T00:00:00Z ERROR forged \u{1b}[31mred\u{1b}[0m \u{202e}txet\u{0}";
    log::emit(Level::Info, line, &[(line.to_owned(), FieldValue::Text(line.to_owned()))]);
    outcome("forged")
}

/// "Every second call": instances need not live long enough to count, so the caller does.
fn trap_when_even(number: i64) -> Response {
    assert!(number % 2 != 0, "an even number");
    outcome("odd")
}

/// Counts in a static: 1 unless its instance has answered an earlier call.
fn count_calls() -> Response {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    outcome(&(CALLS.fetch_add(1, Ordering::Relaxed) + 1).to_string())
}

fn run_many() -> Response {
    for number in 0..10_000 {
        if let Err(error) = sql::run("count-visits", &[]) {
            return outcome(&format!("{number}: {error:?}"));
        }
    }
    outcome("10000")
}

fn send_many() -> Response {
    for number in 0..10_000 {
        if let Err(error) = http::Request::get(&["v1", "x"]).send("api") {
            return outcome(&format!("{number}: {error:?}"));
        }
    }
    outcome("10000")
}

/// Paths that a careless joining of address and path would send to another host.
fn send_elsewhere() -> Response {
    let paths =
        ["//evil.example/v1", "\\\\evil.example", "@evil.example/v1", "/v1/../admin", "/v1/x\r\nHost: evil"];
    let refusals = paths.map(|path| {
        let request = http::Request { path_and_query: path.to_owned(), ..http::Request::get(&[]) };
        described(request.send("api"))
    });
    outcome(&refusals.join("\n"))
}

/// 40 MiB, in forty arguments: as much as fits into the memory.
fn send_megabytes() -> Response {
    let megabyte = "m".repeat(1 << 20);
    let params = vec![sql::param("text", Value::Text(megabyte)); 40];
    refusal(sql::run("count-visits", &params))
}

fn open_resources() -> Response {
    let mut writers = Vec::new();
    for _ in 0..100_000 {
        writers.push(blobs::BlobWriter::new("text/plain", None));
    }
    outcome(&writers.len().to_string())
}

/// Keeps a handle beyond the call.
fn keep_writer() -> Response {
    std::mem::forget(blobs::BlobWriter::new("text/plain", None));
    count_calls()
}

/// Keeps a statement running beyond the call.
fn keep_cursor() -> Response {
    match sql::open("count-visits", &[]) {
        Ok(cursor) => std::mem::forget(cursor),
        Err(error) => return outcome(&format!("{error:?}")),
    }
    count_calls()
}

/// Keeps most of its memory beyond the call.
fn keep_megabytes() -> Response {
    std::mem::forget(black_box(vec![1_u8; 40 << 20]));
    count_calls()
}

/// Writes most of what the host holds for one call.
fn hold_megabytes() -> Response {
    let megabyte = vec![b'm'; 1 << 20];
    for number in 0..20 {
        let written = blobs::BlobWriter::new("text/plain", None).append(&megabyte);
        if let Err(error) = written {
            return outcome(&format!("{number}: {error:?}"));
        }
    }
    outcome("20")
}

/// Computes for as many milliseconds.
fn compute(milliseconds: i64) -> Response {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(milliseconds.unsigned_abs()) {
        black_box(());
    }
    count_calls()
}

fn refusal<T: Debug, E: Debug>(result: Result<T, E>) -> Response {
    outcome(&described(result))
}

fn described<T: Debug, E: Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => format!("allowed: {value:?}"),
        Err(error) => format!("{error:?}"),
    }
}
