//! One-time passwords by the clock, and codes for the day on which the telephone is lost.
//!
//! Source: RFC 6238 with SHA-1, six digits and thirty seconds, which is what every app knows.

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuk_pki::Sha256;
use uuk_process::Secret;

use super::{PeopleError, Person};
use crate::audit::Actor;
use crate::central::Central;

const STEP_SECONDS: i64 = 30;
/// A clock may be so many steps fast or slow.
const STEPS_ASIDE: i64 = 1;
/// As RFC 4226 recommends.
const KEY_BYTES: usize = 20;
const RECOVERY_CODES: usize = 8;
const RECOVERY_BYTES: usize = 10;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What somebody shows beside their password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SecondFactor {
    key: [u8; KEY_BYTES],
    /// Nothing is asked before somebody has shown that their app has the key.
    pub(super) is_confirmed: bool,
    /// Of the last password that was accepted: none counts twice.
    last_step: i64,
    /// Digests of the codes that are left.
    recovery: BTreeSet<Sha256>,
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor").field("is_confirmed", &self.is_confirmed).finish_non_exhaustive()
    }
}

impl SecondFactor {
    fn new() -> Result<Self, PeopleError> {
        Ok(Self { key: random()?, is_confirmed: false, last_step: 0, recovery: BTreeSet::new() })
    }

    /// Whether a code is the one of this moment, or one for recovery; it does not count again.
    pub(super) fn accept(&mut self, code: &str, now: Timestamp) -> bool {
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
        if self.recovery.remove(&Sha256::of(code.as_bytes())) {
            return true;
        }
        let step = now.as_second() / STEP_SECONDS;
        let mut steps = step - STEPS_ASIDE..=step + STEPS_ASIDE;
        let found = steps.find(|step| *step > self.last_step && one_time_password(&self.key, *step) == code);
        self.last_step = found.unwrap_or(self.last_step);
        found.is_some()
    }
}

/// The password of a step (RFC 4226, section 5.3).
fn one_time_password(key: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = tag.as_ref().last().map_or(0, |last| usize::from(last & 0xf));
    let picked = tag.as_ref().iter().skip(offset).take(4);
    let number = picked.fold(0, |number: u32, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// RFC 4648, section 6, of a length that needs no padding.
fn base32(bytes: &[u8]) -> String {
    let bit = |index: usize| bytes.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1);
    let five =
        |start: usize| (start..start + 5).fold(0, |number, index| number << 1 | usize::from(bit(index)));
    let letters = (0..bytes.len() * 8).step_by(5).filter_map(|start| BASE32.get(five(start)));
    letters.map(|letter| char::from(*letter)).collect()
}

fn random<const N: usize>() -> Result<[u8; N], PeopleError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| PeopleError::NoRandomness)?;
    Ok(bytes)
}

impl Central {
    /// Gives somebody a key for their app, in Base32. It counts once [`Central::confirm_second_factor`] has seen a code of
    /// it.
    ///
    /// # Errors
    /// [`PeopleError::SecondFactor`] if there is one already, or if the database cannot be used.
    pub async fn begin_second_factor(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<Secret<String>, PeopleError> {
        let begun = SecondFactor::new()?;
        self.change_person(actor, "begin-second-factor", name, |person| {
            if person.has_second_factor() {
                return Err(PeopleError::SecondFactor);
            }
            person.second_factor = Some(begun.clone());
            Ok(())
        })
        .await?;
        Ok(Secret::new(base32(&begun.key)))
    }

    /// Asks for codes from now on, and gives those for recovery, each of which counts once.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`], [`PeopleError::Locked`], [`PeopleError::SecondFactor`] if nothing was begun, or if the
    /// database cannot be used.
    pub async fn confirm_second_factor(
        &self,
        actor: &Actor,
        name: &str,
        code: &str,
    ) -> Result<Vec<Secret<String>>, PeopleError> {
        let codes = (0..RECOVERY_CODES).map(|_| Ok(hex::encode(random::<RECOVERY_BYTES>()?)));
        let codes = codes.collect::<Result<Vec<_>, PeopleError>>()?;
        self.with_code(actor, "confirm-second-factor", name, code, |person| {
            let begun = person.second_factor.as_mut().filter(|begun| !begun.is_confirmed);
            let begun = begun.ok_or(PeopleError::SecondFactor)?;
            begun.is_confirmed = true;
            begun.recovery = codes.iter().map(|code| Sha256::of(code.as_bytes())).collect();
            Ok(())
        })
        .await?;
        Ok(codes.into_iter().map(Secret::new).collect())
    }

    /// Asks for no codes any more.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`], [`PeopleError::Locked`], [`PeopleError::SecondFactor`] if there is none, or if the database
    /// cannot be used.
    pub async fn remove_second_factor(
        &self,
        actor: &Actor,
        name: &str,
        code: &str,
    ) -> Result<(), PeopleError> {
        self.with_code(actor, "remove-second-factor", name, code, |person| {
            person.second_factor = None;
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Changes somebody who shows a code; a wrong one counts as a wrong password does.
    pub(super) async fn with_code(
        &self,
        actor: &Actor,
        act: &str,
        name: &str,
        code: &str,
        mut change: impl FnMut(&mut Person) -> Result<(), PeopleError>,
    ) -> Result<Person, PeopleError> {
        let now = self.clock().now();
        let _counting = self.counting().await;
        let failures = self.failures(name, now).await?;
        let changed = self.change_person(actor, act, name, |person| {
            let factor = person.second_factor.as_mut().ok_or(PeopleError::SecondFactor)?;
            if !factor.accept(code, now) {
                return Err(PeopleError::Wrong);
            }
            change(person)
        });
        let changed = changed.await;
        if let Err(PeopleError::Wrong) = changed {
            self.note_failure(name, failures, now).await?;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_the_standard() {
        // RFC 6238, appendix B, of which the last six digits.
        let key = b"12345678901234567890";
        for (seconds, password) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(one_time_password(key, seconds / STEP_SECONDS), password, "{seconds}");
        }
        assert_eq!(base32(key), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_counts_once_and_for_a_minute_and_a_half() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let key = *b"12345678901234567890";
        let fresh = SecondFactor { key, is_confirmed: true, last_step: 0, recovery: BTreeSet::new() };
        for (seconds, counts) in [(29, false), (30, true), (59, true), (119, true), (120, false)] {
            // The code of the step from 60 to 89.
            let accepted = fresh.clone().accept(&one_time_password(&key, 2), at(seconds));
            assert_eq!(accepted, counts, "{seconds}");
        }
        let mut used = fresh;
        assert!(used.accept(&one_time_password(&key, 2), at(60)));
        assert!(!used.accept(&one_time_password(&key, 2), at(61)), "nobody uses it again");
    }
}
