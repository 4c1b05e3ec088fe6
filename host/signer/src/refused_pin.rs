use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use aws_lc_rs::{pbkdf2, rand};
use uuk_process::write_whole;

use crate::error::TokenError;
use crate::pin::Pin;

/// Name of the file in a token's folder: a salt, then a digest.
const FILE: &str = "refused-pin";
const SALT_BYTES: usize = 16;
const DIGEST_BYTES: usize = 64;
/// A refused PIN may be the right one but for a slip. A guess at it costs what OWASP's password storage recommendations
/// ask of PBKDF2 with SHA-512.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(210_000).unwrap();

/// The PIN of a file that a device has refused. It stays refused over restarts: devices block themselves after a few wrong
/// PINs, and a supervisor that starts the server again and again would try them all.
pub(crate) struct RefusedPin(PathBuf);

impl RefusedPin {
    /// That of the token in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    pub(crate) fn is(&self, pin: &Pin) -> bool {
        let kept = std::fs::read(&self.0).unwrap_or_default();
        kept.split_first_chunk::<SALT_BYTES>().is_some_and(|(salt, digest)| {
            let pin = pin.expose().as_bytes();
            pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA512, ITERATIONS, salt, pin, digest).is_ok()
        })
    }

    pub(crate) fn keep(&self, pin: &Pin) -> Result<(), TokenError> {
        let (mut salt, mut digest) = ([0; SALT_BYTES], [0; DIGEST_BYTES]);
        rand::fill(&mut salt).map_err(|_| TokenError::NoRandomness)?;
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ITERATIONS, &salt, pin.expose().as_bytes(), &mut digest);
        let written = write_whole(&self.0, &[&salt[..], &digest].concat());
        written.map_err(|source| TokenError::Write { path: self.0.clone(), source })
    }

    /// Whatever was refused may be tried again.
    pub(crate) fn forget(&self) {
        // If it stays, it is not the PIN that opens the token now.
        let _ = std::fs::remove_file(&self.0);
    }
}
