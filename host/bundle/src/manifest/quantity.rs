//! Sizes and durations as people write them, each with its bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{Statement, Upstream};

const MIB: u64 = 1 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);

pub(super) fn rows<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    count(input, 1..=Statement::ROWS_MAX)
}

pub(super) fn statement_bytes<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    size(input, 1..=Statement::BYTES_MAX)
}

pub(super) fn statement_timeout<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    duration(input, Statement::TIMEOUT_MAX)
}

pub(super) fn upstream_response<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    size(input, 1..=Upstream::RESPONSE_BYTES_MAX)
}

pub(super) fn memory<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    size(input, MIB..=1024 * MIB)
}

pub(super) fn guest_time<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    duration(input, Duration::from_secs(10))
}

pub(super) fn wall_time<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    duration(input, Duration::from_secs(60))
}

pub(super) fn response<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    size(input, 1..=16 * MIB)
}

pub(super) fn host_calls<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    count(input, 0..=1000)
}

pub(super) fn concurrency<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    count(input, 1..=1024)
}

pub(super) fn calls<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    count(input, 2..=10_000)
}

pub(super) fn idle_time<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    duration(input, Duration::from_secs(300))
}

fn count<'de, D: Deserializer<'de>>(input: D, bounds: RangeInclusive<u32>) -> Result<u32, D::Error> {
    let count = u32::deserialize(input)?;
    if bounds.contains(&count) {
        return Ok(count);
    }
    Err(D::Error::custom(format_args!("{count} is not between {} and {}", bounds.start(), bounds.end())))
}

/// A whole number and its unit: `B`, `KiB`, `MiB` or `GiB`.
fn size<'de, D: Deserializer<'de>>(input: D, bounds: RangeInclusive<u64>) -> Result<u64, D::Error> {
    let text = String::deserialize(input)?;
    let units = [("KiB", 1 << 10), ("MiB", MIB), ("GiB", 1 << 30), ("B", 1)];
    let bytes = parse(&text, &units).ok_or_else(|| {
        D::Error::custom("a size is a whole number with `B`, `KiB`, `MiB` or `GiB`: \"64KiB\"")
    })?;
    if bounds.contains(&bytes) {
        return Ok(bytes);
    }
    Err(D::Error::custom(format_args!(
        "{bytes} bytes is not between {} and {} bytes",
        bounds.start(),
        bounds.end()
    )))
}

/// A whole number and its unit: `ms`, `s` or `m`.
fn duration<'de, D: Deserializer<'de>>(input: D, max: Duration) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let duration = parse(&text, &units)
        .map(Duration::from_millis)
        .ok_or_else(|| D::Error::custom("a duration is a whole number with `ms`, `s` or `m`: \"250ms\""))?;
    if (MILLISECOND..=max).contains(&duration) {
        return Ok(duration);
    }
    Err(D::Error::custom(format_args!("the duration is not between 1 ms and {} ms", max.as_millis())))
}

/// The number in front of the first unit that ends `text`, times that unit.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))?;
    // `parse` alone would take `+5`.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(factor)
}
