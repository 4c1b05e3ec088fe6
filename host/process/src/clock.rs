use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// The wall clock. Everything that compares with a date asks it, so that a test can say what time it is.
///
/// Deadlines and durations use [`std::time::Instant`]: they do not follow this clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    set: Option<Arc<Mutex<Timestamp>>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `now` until [`Clock::advance`] moves it; clones share it.
    pub fn set_to(now: Timestamp) -> Self {
        Self { set: Some(Arc::new(Mutex::new(now))) }
    }

    /// The current time, UTC.
    pub fn now(&self) -> Timestamp {
        match &self.set {
            None => Timestamp::now(),
            Some(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a set clock forward; the system's clock is not ours to move, and stays.
    pub fn advance(&self, by: Duration) {
        if let Some(time) = &self.set {
            let mut time = time.lock().unwrap_or_else(PoisonError::into_inner);
            *time = time.saturating_add(by).unwrap_or(Timestamp::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_set_clock_move_together() {
        let clock = Clock::set_to(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(Duration::from_secs(7));
        assert_eq!(other.now().as_second(), 7);
    }
}
