use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use uuk_process::Secret;

use super::PeopleError;

pub(super) const CHARS_MIN: usize = 12;
pub(super) const BYTES_MAX: usize = 1024;
/// Each takes 19 MiB and some tens of milliseconds of a core: the least of OWASP's recommendations.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);
const AT_ONCE_MAX: usize = 2;
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Hashes passwords on threads of their own, few at once, so that nobody fills the memory by signing in.
#[derive(Debug, Clone)]
pub(crate) struct PasswordHashers(Arc<Semaphore>);

impl Default for PasswordHashers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE_MAX)))
    }
}

impl PasswordHashers {
    /// The hash of a password that may be one, with salt and parameters.
    pub(super) async fn hash(&self, password: Secret<String>) -> Result<String, PeopleError> {
        let text = password.expose();
        if text.chars().count() < CHARS_MIN || text.len() > BYTES_MAX {
            return Err(PeopleError::Password);
        }
        let hashed = self.run(move || hash(password.expose())).await?;
        hashed.ok_or(PeopleError::Password)
    }

    /// Whether a password is the one that was hashed. Without a hash it takes as long and is not.
    pub(super) async fn verify(
        &self,
        password: Secret<String>,
        hashed: Option<String>,
    ) -> Result<bool, PeopleError> {
        if password.expose().len() > BYTES_MAX {
            return Ok(false);
        }
        self.run(move || match hashed {
            Some(hashed) => PasswordHash::new(&hashed)
                .is_ok_and(|hashed| argon2().verify_password(password.expose().as_bytes(), &hashed).is_ok()),
            None => {
                hash(password.expose());
                false
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PeopleError> {
        let permit = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(PeopleError::Busy) };
        let worked = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        worked.await.map_err(|_| PeopleError::Busy)
    }
}

fn hash(password: &str) -> Option<String> {
    argon2().hash_password(password.as_bytes()).ok().map(|hashed| hashed.to_string())
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
}
