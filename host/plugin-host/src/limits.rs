use std::time::Duration;

use uuk_bundle::Limits;

/// What one call of a plugin may use: what the manifest asks for, within what this server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Linear memory of the instance.
    pub memory_bytes_max: u64,
    /// Time the guest itself computes.
    pub guest_time_max: Duration,
    /// Time of the whole call, host calls included.
    pub wall_time_max: Duration,
    /// Answer document.
    pub response_bytes_max: u64,
    /// SQL and HTTP calls together.
    pub host_calls_max: u32,
    /// Calls in progress at once; how many more may wait, [`WaitingLimits`](crate::WaitingLimits) say.
    pub concurrency_max: u32,
    /// Log lines of one call.
    pub log_lines_max: u32,
    /// Bytes of one log line.
    pub log_line_bytes_max: usize,
    /// Bytes that pass from guest to host in one host call.
    pub host_call_bytes_max: usize,
}

impl CallLimits {
    /// The most this server gives to any plugin.
    pub const CEILING: Self = Self {
        memory_bytes_max: crate::engine::MEMORY_BYTES_LIMIT,
        guest_time_max: Duration::from_secs(10),
        wall_time_max: Duration::from_secs(60),
        response_bytes_max: 16 << 20,
        host_calls_max: 200,
        concurrency_max: 128,
        log_lines_max: 500,
        log_line_bytes_max: 4 << 10,
        host_call_bytes_max: 32 << 20,
    };

    /// The manifest's wishes, clamped to [`CallLimits::CEILING`].
    pub fn of(asked: &Limits) -> Self {
        let ceiling = Self::CEILING;
        Self {
            memory_bytes_max: asked.memory_bytes_max.min(ceiling.memory_bytes_max),
            guest_time_max: asked.guest_time_max.min(ceiling.guest_time_max),
            wall_time_max: asked.wall_time_max.min(ceiling.wall_time_max),
            response_bytes_max: asked.response_bytes_max.min(ceiling.response_bytes_max),
            host_calls_max: asked.host_calls_max.min(ceiling.host_calls_max),
            concurrency_max: asked.concurrency_max.clamp(1, ceiling.concurrency_max),
            // An answer passes to the host in one piece; anything else a guest says is smaller.
            host_call_bytes_max: (8usize << 20)
                .max(usize::try_from(asked.response_bytes_max).unwrap_or(usize::MAX).saturating_mul(2))
                .min(ceiling.host_call_bytes_max),
            ..ceiling
        }
    }
}
