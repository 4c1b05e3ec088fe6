use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Calls looked back on: those of this period and of the one before.
const PERIOD: Duration = Duration::from_secs(30);
/// Failures that condemn a version,
const FAILURES_MIN: u64 = 5;
/// if they are at least one in so many of its calls: a version that fails for one odd request in a hundred serves the
/// other ninety-nine, and whoever sends that request must not be able to stop it.
const CALLS_PER_FAILURE_MAX: u64 = 10;

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
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    /// When the present period began.
    since: Option<Instant>,
    present: Counts,
    before: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    calls: u64,
    failures: u64,
}

impl Health {
    /// Counts a call; true when this failure is one too many.
    pub(crate) fn record(&self, verdict: Verdict, now: Instant) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.turn(now);
        recent.present.calls += 1;
        if verdict == Verdict::Good {
            return false;
        }
        recent.present.failures += 1;
        let calls = recent.present.calls + recent.before.calls;
        let failures = recent.present.failures + recent.before.failures;
        failures >= FAILURES_MIN && failures * CALLS_PER_FAILURE_MAX >= calls
    }
}

impl Recent {
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(*self.since.get_or_insert(now));
        if age < PERIOD {
            return;
        }
        self.before = if age < 2 * PERIOD { self.present } else { Counts::default() };
        self.present = Counts::default();
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condemned(health: &Health, failures: usize, now: Instant) -> bool {
        (0..failures).any(|_| health.record(Verdict::Bad, now))
    }

    #[test]
    fn five_failures_within_half_a_minute_are_too_many() {
        let (health, now) = (Health::default(), Instant::now());
        assert!(!condemned(&health, 4, now));
        assert!(condemned(&health, 1, now));
    }

    #[test]
    fn failures_of_the_period_before_count() {
        let (health, now) = (Health::default(), Instant::now());
        assert!(!condemned(&health, 4, now));
        assert!(condemned(&health, 1, now + PERIOD));
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (health, now) = (Health::default(), Instant::now());
        for minute in 0..20 {
            assert!(!condemned(&health, 4, now + 60 * minute * Duration::from_secs(1)));
        }
    }

    #[test]
    fn rare_failures_among_many_calls_condemn_nobody() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..100 {
            (0..20).for_each(|_| assert!(!health.record(Verdict::Good, now)));
            assert!(!health.record(Verdict::Bad, now));
        }
    }

    #[test]
    fn every_tenth_call_is_too_often() {
        let (health, now) = (Health::default(), Instant::now());
        let outcomes = (1..=50).map(|call| if call % 10 == 0 { Verdict::Bad } else { Verdict::Good });
        let condemned: Vec<bool> = outcomes.map(|verdict| health.record(verdict, now)).collect();
        assert_eq!(condemned.iter().position(|one| *one), Some(49));
    }
}
