use serde::{Deserialize, Serialize};
use uuk_bundle::{Access, Manifest};

/// How closely bundles are reviewed: for how long an approval counts, and what a bundle of the tier may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Days from the signature until the vetting runs out.
    pub valid_days: u32,
    /// Memory of one call at most, in MiB.
    pub memory_mib_max: u32,
    /// Computing time of one call at most, in milliseconds.
    pub guest_time_ms_max: u32,
    /// Whether it may write into databases.
    pub may_write: bool,
}

/// A bundle asks for more than its tier gives.
#[derive(Debug, thiserror::Error)]
#[error("the tier does not allow what the bundle asks for: {what}")]
pub struct BeyondTier {
    what: &'static str,
}

impl Tier {
    /// Longer, nobody remembers what was reviewed.
    pub const VALID_DAYS_MAX: u32 = 3 * 366;
    /// The name of the tier that there is as long as the operator has set none.
    pub const STANDARD: &str = "standard";

    /// What most adapters ask for.
    pub fn standard() -> Self {
        Self { valid_days: 365, memory_mib_max: 256, guest_time_ms_max: 1000, may_write: true }
    }

    pub(crate) fn check(&self, asked: &Manifest) -> Result<(), BeyondTier> {
        let limits = &asked.limits;
        let writes = asked.datasources.values().any(|datasource| datasource.access == Access::Write);
        let beyond = [
            ("memory", limits.memory_bytes_max > u64::from(self.memory_mib_max) << 20),
            ("computing time", limits.guest_time_max.as_millis() > u128::from(self.guest_time_ms_max)),
            ("writing into a database", writes && !self.may_write),
        ];
        match beyond.into_iter().find(|(_, is_beyond)| *is_beyond) {
            Some((what, _)) => Err(BeyondTier { what }),
            None => Ok(()),
        }
    }
}
