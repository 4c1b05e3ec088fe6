//! What a call used, each thing beside its limit: locally the limits are those of a server.

use std::fmt;

use serde::Serialize;
use uuk_plugin_host::{CallLimits, Usage};

use super::project::Project;

/// From this share of a limit on, a line says so.
const NEAR: f64 = 0.8;

/// What one call used of what it may use.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Budget(Vec<Line>);

#[derive(Debug, Serialize)]
struct Line {
    what: &'static str,
    used: f64,
    limit: f64,
    unit: &'static str,
}

impl Budget {
    pub(super) fn new(usage: &Usage, project: &Project) -> Self {
        let limits = CallLimits::of(&project.manifest.limits);
        let line = |what, used, limit, unit| Line { what, used, limit, unit };
        let milliseconds = |microseconds: u64| microseconds as f64 / 1_000.0;
        let (mebi, kibi) = (f64::from(1 << 20), f64::from(1 << 10));
        let wall_ms = limits.wall_time_max.as_secs_f64() * 1_000.0;
        let guest_us = usage.wall_us.saturating_sub(usage.host_us);
        Self(vec![
            line("guest", milliseconds(guest_us), limits.guest_time_max.as_secs_f64() * 1_000.0, "ms"),
            line(reached(project), milliseconds(usage.host_us), wall_ms, "ms"),
            line("whole call", milliseconds(usage.wall_us), wall_ms, "ms"),
            line("host calls", usage.host_calls.into(), limits.host_calls_max.into(), ""),
            line("memory", usage.memory_bytes as f64 / mebi, limits.memory_bytes_max as f64 / mebi, "MiB"),
            line(
                "answer",
                usage.response_bytes as f64 / kibi,
                limits.response_bytes_max as f64 / kibi,
                "KiB",
            ),
        ])
    }

    /// In one line, for a log of calls.
    pub(super) fn brief(&self) -> String {
        let brief = self.0.iter().filter(|line| line.what != "whole call").map(|line| {
            let Line { what, used, limit, unit } = line;
            let precision = usize::from(!unit.is_empty());
            format!("{what} {used:.precision$}/{limit:.0} {unit}").trim_end().to_owned()
        });
        brief.collect::<Vec<_>>().join(" · ")
    }
}

/// What host calls reach, as the manifest asks.
fn reached(project: &Project) -> &'static str {
    match (project.manifest.datasources.is_empty(), project.manifest.upstreams.is_empty()) {
        (false, true) => "database",
        (true, false) => "upstream",
        _ => "database, upstream",
    }
}

/// A table: what, used, limit.
impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<20} {:>12} {:>12}", "", "used", "limit")?;
        for Line { what, used, limit, unit } in &self.0 {
            let precision = usize::from(!unit.is_empty());
            let remark = match used / limit {
                share if share > 1.0 => "  over the limit",
                share if share >= NEAR => "  near the limit",
                _ => "",
            };
            let used = format!("{used:.precision$} {unit}");
            let limit = format!("{limit:.0} {unit}");
            writeln!(formatter, "{what:<20} {:>12} {:>12}{remark}", used.trim_end(), limit.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::project::ProjectOptions;
    use super::*;

    #[test]
    fn shows_each_thing_beside_its_limit_and_says_what_is_near_it() {
        let folder = format!("{}/../../examples/people", env!("CARGO_MANIFEST_DIR"));
        let project = Project::open(&ProjectOptions::at(folder)).expect("the example is sound");
        let usage = Usage {
            wall_us: 32_400,
            host_us: 32_000,
            host_calls: 2,
            memory_bytes: 17 << 20,
            response_bytes: 300,
        };
        let table = Budget::new(&usage, &project).to_string();
        let line = |what: &str| {
            let line = table.lines().find(|line| line.starts_with(what)).expect(what);
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("guest"), "guest 0.4 ms 100 ms");
        assert_eq!(line("database"), "database 32.0 ms 5000 ms");
        assert_eq!(line("host calls"), "host calls 2 2 near the limit");
        assert_eq!(line("memory"), "memory 17.0 MiB 16 MiB over the limit");
        assert_eq!(line("answer"), "answer 0.3 KiB 256 KiB");
    }
}
