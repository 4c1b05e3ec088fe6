use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Calls looked back on.
const WINDOW: Duration = Duration::from_secs(60);
/// Failures within the window that quarantine a version, however many calls succeeded meanwhile: a hostile adapter
/// that behaves most of the time is still hostile.
const FAILURES_MAX: usize = 5;

/// How a call ended, as far as the plugin is to blame or to praise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A valid answer or a declared fault.
    Good,
    /// Trap, limit, invalid answer or undeclared fault.
    Bad,
}

/// The recent record of one version of a plugin, on which rollback and quarantine rest.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failures: Mutex<VecDeque<Instant>>,
}

impl Health {
    /// Counts a call; true when this failure is one too many.
    pub(crate) fn record(&self, verdict: Verdict, now: Instant) -> bool {
        if verdict == Verdict::Good {
            return false;
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        while failures.front().is_some_and(|failure| now.duration_since(*failure) > WINDOW) {
            failures.pop_front();
        }
        failures.push_back(now);
        if failures.len() > FAILURES_MAX {
            failures.pop_front();
        }
        failures.len() >= FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_within_a_minute_are_too_many() {
        let (health, now) = (Health::default(), Instant::now());
        let verdicts: Vec<bool> = (0..5).map(|_| health.record(Verdict::Bad, now)).collect();
        assert_eq!(verdicts, [false, false, false, false, true]);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (health, now) = (Health::default(), Instant::now());
        for minute in 0..20 {
            assert!(!health.record(Verdict::Bad, now + Duration::from_secs(20 * minute)));
        }
    }

    #[test]
    fn the_latest_failures_are_those_that_count() {
        let (health, now) = (Health::default(), Instant::now());
        for second in [0, 0, 0, 0, 0, 50, 50, 50, 50] {
            health.record(Verdict::Bad, now + Duration::from_secs(second));
        }
        assert!(health.record(Verdict::Bad, now + Duration::from_secs(70)));
    }

    #[test]
    fn good_calls_do_not_count() {
        let health = Health::default();
        assert!((0..100).all(|_| !health.record(Verdict::Good, Instant::now())));
    }
}
