//! Requests that were accepted before: who sends one twice wants it done twice.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use uuk_pki::DigestAlgorithm;

use crate::trust::Signed;

/// Requests of one generation: at most 32 MiB of memory for both.
const GENERATION_MAX: usize = 400_000;
/// The clocks of security servers, which all follow the same time, differ by less.
pub(crate) const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// Enough of a digest: who finds two requests with the same one can only have his own refused.
type Fingerprint = [u8; 16];

/// Requests that were accepted, by what their sender signed.
///
/// A request can be told from another by its bytes and the time at which it was signed, to the millisecond; the request
/// identifier in the bytes of a REST message is unique by itself. How the signature is written down does not count, since
/// others can change that. It has to be remembered as long as the OCSP answers in the signature are fresh: afterwards, the
/// signature is refused because of them. Memory is bounded by forgetting in generations, sooner if requests are many: under
/// 100 a second, the usual hour is covered whole. What it forgot, also in a restart, is in the message log.
#[derive(Debug)]
pub(crate) struct Replays(Mutex<Generations>);

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Never,
    Before,
    /// Perhaps, before memory begins.
    Perhaps,
}

#[derive(Debug)]
struct Generations {
    young: HashSet<Fingerprint>,
    old: HashSet<Fingerprint>,
    young_since: Timestamp,
    /// What was accepted later is in one of the two.
    reaches_back: Timestamp,
}

impl Replays {
    /// Nothing is remembered yet, at `now`. What was accepted before this start is in the message log, whose newest record
    /// is of `recorded_at`.
    pub(crate) fn new(now: Timestamp, recorded_at: Option<Timestamp>) -> Self {
        Self(Mutex::new(Generations {
            young: HashSet::new(),
            old: HashSet::new(),
            young_since: now,
            reaches_back: recorded_at.unwrap_or(Timestamp::MIN),
        }))
    }

    /// Whether this request, of which the signature is verified, came before. From now on, it did.
    pub(crate) fn look(&self, message: &Bytes, signed: Signed) -> Seen {
        let fingerprint = fingerprint(message, signed.at);
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn_over(signed.verified_at, signed.counts_for);
        if generations.old.contains(&fingerprint) || !generations.young.insert(fingerprint) {
            return Seen::Before;
        }
        match signed.at.saturating_sub(CLOCKS_DIFFER).is_ok_and(|at| at > generations.reaches_back) {
            true => Seen::Never,
            false => Seen::Perhaps,
        }
    }
}

impl Generations {
    fn turn_over(&mut self, now: Timestamp, lifetime: Duration) {
        let age = now.duration_since(self.young_since);
        if age.unsigned_abs() >= lifetime || self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
            self.reaches_back = std::mem::replace(&mut self.young_since, now);
        }
    }
}

fn fingerprint(message: &Bytes, signed_at: Timestamp) -> Fingerprint {
    let mut signed = DigestAlgorithm::Sha256.digest(message).as_bytes().to_vec();
    signed.extend_from_slice(&signed_at.as_nanosecond().to_be_bytes());
    let mut fingerprint = Fingerprint::default();
    let digest = DigestAlgorithm::Sha256.digest(&signed);
    fingerprint.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn signed(at: i64, verified_at: i64) -> Signed {
        Signed { at: time(at), verified_at: time(verified_at), counts_for: Duration::from_secs(3600) }
    }

    #[test]
    fn a_request_is_first_once_for_as_long_as_its_signature_counts() {
        let replays = Replays::new(time(0), None);
        let message = Bytes::from_static(b"GET");
        for (now, seen) in [(0, Seen::Never), (1, Seen::Before), (3_599, Seen::Before), (3_601, Seen::Before)]
        {
            assert_eq!(replays.look(&message, signed(0, now)), seen, "{now}");
        }
        assert_eq!(replays.look(&message, signed(3_600, 3_601)), Seen::Never, "signed again");
    }

    #[test]
    fn what_was_signed_before_the_last_record_may_have_come_before_the_start() {
        let replays = Replays::new(time(1_000), Some(time(900)));
        let look = |message: &'static [u8], at| replays.look(&Bytes::from_static(message), signed(at, 1_001));
        assert_eq!(look(b"1", 800), Seen::Perhaps);
        assert_eq!(look(b"2", 960), Seen::Perhaps, "another server's clock may be ahead");
        assert_eq!(look(b"3", 961), Seen::Never);
        assert_eq!(look(b"1", 800), Seen::Before);
    }

    #[test]
    fn forgets_so_that_memory_is_bounded_and_knows_it() {
        let replays = Replays::new(time(0), None);
        for number in 0..2 * GENERATION_MAX + 2 {
            let message = number.to_be_bytes().to_vec().into();
            assert_ne!(replays.look(&message, signed(100, 100)), Seen::Before);
        }
        assert_eq!(replays.look(&0_usize.to_be_bytes().to_vec().into(), signed(100, 100)), Seen::Perhaps);
        let generations = replays.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_MAX);
    }
}
