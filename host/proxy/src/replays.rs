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

/// Enough of a digest: who finds two requests with the same one can only have his own refused.
type Fingerprint = [u8; 16];

/// Requests that were accepted, by what their sender signed.
///
/// A request can be told from another by its bytes and the time at which it was signed, to the millisecond; the request
/// identifier in the bytes of a REST message is unique by itself. How the signature is written down does not count, since
/// others can change that. It has to be remembered as long as the OCSP answers in the signature are fresh: afterwards, the
/// signature is refused because of them. Memory is bounded by forgetting in generations, sooner if requests are many: under
/// 100 a second, the usual hour is covered whole. A restart forgets as well.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Fingerprint>,
    old: HashSet<Fingerprint>,
    young_since: Timestamp,
}

impl Replays {
    /// Whether this request, of which the signature is verified, comes for the first time.
    pub(crate) fn is_first(&self, message: &Bytes, signed: Signed) -> bool {
        let fingerprint = fingerprint(message, signed.at);
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn_over(signed.verified_at, signed.counts_for);
        !generations.old.contains(&fingerprint) && generations.young.insert(fingerprint)
    }
}

impl Generations {
    fn turn_over(&mut self, now: Timestamp, lifetime: Duration) {
        let age = now.duration_since(self.young_since);
        if age.unsigned_abs() >= lifetime || self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_since = now;
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

    fn signed(at: i64, verified_at: i64) -> Signed {
        let time = |second| Timestamp::from_second(1_790_000_000 + second).unwrap();
        Signed { at: time(at), verified_at: time(verified_at), counts_for: Duration::from_secs(3600) }
    }

    #[test]
    fn a_request_is_first_once_for_as_long_as_its_signature_counts() {
        let replays = Replays::default();
        let message = Bytes::from_static(b"GET");
        for (now, is_first) in [(0, true), (1, false), (3_599, false), (3_601, false)] {
            assert_eq!(replays.is_first(&message, signed(0, now)), is_first, "{now}");
        }
        assert!(replays.is_first(&message, signed(1, 3_601)), "signed again");
    }

    #[test]
    fn forgets_so_that_memory_is_bounded() {
        let replays = Replays::default();
        for number in 0..2 * GENERATION_MAX + 2 {
            assert!(replays.is_first(&number.to_be_bytes().to_vec().into(), signed(0, 1)));
        }
        let generations = replays.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_MAX);
    }
}
