use std::time::Duration;

use fastrand::Rng;
use strum::{EnumIter, IntoEnumIterator};

/// Something that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, EnumIter)]
pub(crate) enum Fault {
    #[strum(to_string = "the client's server is killed")]
    ConsumerKilled,
    #[strum(to_string = "the provider's server is killed")]
    ProviderKilled,
    #[strum(to_string = "the way between the servers is cut off")]
    LinkCut,
    #[strum(to_string = "the way between the servers stalls")]
    LinkStalled,
    /// Of the client's server, whose log is in SQLite.
    #[strum(to_string = "the disk of the client's log is full")]
    DiskFull,
    /// Of the provider's server, whose log is in PostgreSQL.
    #[strum(to_string = "the database of the provider's log is killed")]
    DatabaseKilled,
    #[strum(to_string = "the time-stamping authority is down")]
    StampingDown,
    #[strum(to_string = "the time-stamping authority stalls")]
    StampingStalled,
    #[strum(to_string = "the time-stamping authority talks nonsense")]
    StampingGarbage,
    #[strum(to_string = "the OCSP responder is down")]
    OcspDown,
    #[strum(to_string = "the OCSP responder stalls")]
    OcspStalled,
    /// So little that nobody need mind.
    #[strum(to_string = "the clock of the client's server is 20 s ahead")]
    ConsumerClockAhead,
    #[strum(to_string = "the clock of the client's server is 2 h behind")]
    ConsumerClockBehind,
    #[strum(to_string = "the clock of the provider's server is 2 h ahead")]
    ProviderClockAhead,
    #[strum(to_string = "the clock of the provider's server is 20 s behind")]
    ProviderClockBehind,
}

impl Fault {
    /// What it strikes: one thing does not fail in two ways at once.
    fn target(self) -> u8 {
        match self {
            Self::ConsumerKilled => 0,
            Self::ProviderKilled => 1,
            Self::LinkCut | Self::LinkStalled => 2,
            Self::DiskFull => 3,
            Self::DatabaseKilled => 4,
            Self::StampingDown | Self::StampingStalled | Self::StampingGarbage => 5,
            Self::OcspDown | Self::OcspStalled => 6,
            Self::ConsumerClockAhead | Self::ConsumerClockBehind => 7,
            Self::ProviderClockAhead | Self::ProviderClockBehind => 8,
        }
    }
}

/// What fails at one moment, and is mended at another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// How long nothing fails before.
    pub(crate) pause: Duration,
    /// One thing, or two at once.
    pub(crate) faults: Vec<Fault>,
    /// How long it lasts.
    pub(crate) hold: Duration,
}

/// All that fails in a run; the same seed gives the same plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) events: Vec<Event>,
}

impl Plan {
    pub(crate) fn new(seed: u64, events: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        // Each fault comes before any comes again, so that even a short run meets different ones.
        let mut deck = Vec::new();
        let events = (0..events).map(|_| {
            if deck.is_empty() {
                deck = Fault::iter().collect();
                rng.shuffle(&mut deck);
            }
            let mut faults: Vec<Fault> = deck.pop().into_iter().collect();
            if rng.u8(..3) == 0 {
                let others =
                    Fault::iter().filter(|other| faults.iter().all(|one| one.target() != other.target()));
                faults.extend(rng.choice(others.collect::<Vec<_>>()));
            }
            let mut between = |from, to| Duration::from_millis(rng.u64(from..to));
            Event { pause: between(200, 1_500), faults, hold: between(100, 3_000) }
        });
        Self { seed, events: events.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        assert_eq!(Plan::new(7, 100).events, Plan::new(7, 100).events);
        assert_ne!(Plan::new(7, 100).events, Plan::new(8, 100).events);
    }

    #[test]
    fn everything_fails_before_anything_fails_again_and_nothing_twice_at_once() {
        let plan = Plan::new(1, Fault::iter().count());
        for fault in Fault::iter() {
            assert!(plan.events.iter().any(|event| event.faults.contains(&fault)), "{fault}");
        }
        for event in Plan::new(1, 1_000).events {
            if let [one, other] = event.faults.as_slice() {
                assert_ne!(one.target(), other.target(), "{one} and {other}");
            }
        }
    }
}
