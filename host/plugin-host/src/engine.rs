use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::api_0_1;
use crate::compiler::Compiler;
use crate::instance::CallState;
use crate::slots::WaitingLimits;
use crate::turns::Background;

/// How often the epoch moves, and so the grain in which a guest's computing time is counted: what a call computes
/// beyond one tick, it computes aside.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(1);

/// After as many ticks without a guest, the epoch rests: an idle server wakes for nothing.
const IDLE_TICKS_MAX: u32 = 100;

/// The largest linear memory any plugin can be given.
pub const MEMORY_BYTES_LIMIT: u64 = 256 << 20;

/// Core instances, memories and tables that one component may consist of. Python's need 38 for all interfaces; measured,
/// with room.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;

/// Memories reckoned for an instance: one of its own, and room for the larger ones of interpreted languages.
pub(crate) const MEMORIES_PER_INSTANCE: u32 = 4;

/// Settings of the engine, fixed at start.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Instances that may live at once, over all plugins.
    pub instances_max: u32,
    /// Calls that wait for a place at their plugin.
    pub waiting: WaitingLimits,
    /// Components compiled at once; each takes a core.
    pub compilations_max: u32,
    /// Who compiles.
    pub compiler: Compiler,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            instances_max: 256,
            waiting: WaitingLimits::default(),
            compilations_max: 1,
            compiler: Compiler::default(),
        }
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The machine does not give the address space or features that the pool needs.
    #[error("cannot reserve the pool for {instances} instances: {reason}")]
    Pool {
        /// Instances asked for.
        instances: u32,
        /// wasmtime's reason.
        reason: String,
    },
    /// The threads for long calls could not be started.
    #[error("cannot start the threads for long calls")]
    Background(#[source] std::io::Error),
    /// The epoch's thread could not be started.
    #[error("cannot start the epoch thread")]
    EpochThread(#[source] std::io::Error),
}

/// The one Wasm engine of the process: compiler, instance pool, host functions and the epoch that interrupts guests.
///
/// One engine only, because objects of two engines in one store have been a way out of the sandbox
/// (GHSA-hgjw, GHSA-2hw9).
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Linker<CallState>,
    /// One permit per memory of the pool, so that a full pool makes calls wait, in order, instead of fail.
    pub(crate) memories: Arc<Semaphore>,
    /// One permit per memory that idle instances may keep: a quarter of the pool, so that calls never want for it.
    pub(crate) idle_memories: Arc<Semaphore>,
    pub(crate) compilations: Semaphore,
    pub(crate) waiting: WaitingLimits,
    /// Where calls go on that compute for long.
    pub(crate) background: Arc<Background>,
    pub(crate) compiler: Compiler,
    pub(crate) epoch: Epoch,
}

impl Engine {
    /// Reserves the pool, links the host's interfaces and starts the epoch.
    ///
    /// # Errors
    /// [`EngineError`] says what the machine did not give.
    pub fn new(config: EngineConfig) -> Result<Arc<Self>, EngineError> {
        let pool = |error: wasmtime::Error| EngineError::Pool {
            instances: config.instances_max,
            reason: format!("{error:#}"),
        };
        let wasmtime = wasmtime::Engine::new(&wasmtime_config(config.instances_max)).map_err(pool)?;
        let mut linker = Linker::new(&wasmtime);
        api_0_1::link(&mut linker).map_err(pool)?;
        // WASI answers with nothing in it: no files, no arguments, no sockets. Toolchains import it without asking.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(pool)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(pool)?;
        Ok(Arc::new(Self {
            epoch: Epoch::start(wasmtime.clone()).map_err(EngineError::EpochThread)?,
            memories: Arc::new(Semaphore::new(memories(config.instances_max) as usize)),
            idle_memories: Arc::new(Semaphore::new(memories(config.instances_max) as usize / 4)),
            compilations: Semaphore::new(config.compilations_max as usize),
            background: Background::start().map_err(EngineError::Background)?,
            compiler: config.compiler,
            waiting: config.waiting,
            linker,
            wasmtime,
        }))
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<CallState> {
        &self.linker
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// An engine whose code [`Engine`] loads, in a process that only compiles: with the same settings and the least of pools.
pub(crate) fn for_compiling() -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&wasmtime_config(1))
}

fn wasmtime_config(instances_max: u32) -> Config {
    let mut settings = Config::new();
    // Each feature that is on is code that guests can reach; vetted languages need none of these.
    settings
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        // Calls between the parts of a component copy from memory to memory. In what the parts are made of,
        // `component.rs` refuses it.
        .wasm_multi_memory(true)
        .concurrency_support(false)
        .wasm_backtrace_max_frames(None)
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances_max)));
    settings
}

/// Memories in the pool: what most components need, for all instances; those with more wait for more permits.
fn memories(instances_max: u32) -> u32 {
    instances_max.saturating_mul(MEMORIES_PER_INSTANCE).max(CORE_INSTANCES_PER_COMPONENT)
}

fn pool(instances_max: u32) -> PoolingAllocationConfig {
    // Core instances and tables are cheap to have in reserve; memories are what calls wait for.
    let parts = instances_max.saturating_mul(CORE_INSTANCES_PER_COMPONENT);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances_max)
        .total_stacks(instances_max)
        .total_core_instances(parts)
        .total_memories(memories(instances_max))
        .total_tables(parts)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_tables_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memory_size(MEMORY_BYTES_LIMIT as usize)
        .table_elements(20_000)
        .max_unused_warm_slots(64)
        // What stays resident is cleared by hand instead of by the kernel. Measured: 128 KiB holds a Rust adapter's
        // whole heap; a megabyte and more made calls slower once many were in flight.
        .linear_memory_keep_resident(128 << 10)
        .async_stack_keep_resident(32 << 10)
        .table_keep_resident(4 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Moves the epoch while guests run, from a thread of its own: a runtime whose workers are all inside guests could not.
pub(crate) struct Epoch {
    clock: Arc<Clock>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clock {
    guests: AtomicUsize,
    /// Whether its thread rests until a guest comes.
    rests: AtomicBool,
    stop: AtomicBool,
}

impl Epoch {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let clock = Arc::new(Clock::default());
        let own = Arc::clone(&clock);
        let thread = std::thread::Builder::new().name("uuk-epoch".into()).spawn(move || {
            let mut idle_ticks = 0;
            while !own.stop.load(SeqCst) {
                std::thread::sleep(EPOCH_TICK);
                engine.increment_epoch();
                idle_ticks = if own.guests.load(SeqCst) == 0 { idle_ticks + 1 } else { 0 };
                if idle_ticks == IDLE_TICKS_MAX {
                    own.rest();
                    idle_ticks = 0;
                }
            }
        })?;
        Ok(Self { clock, thread: Some(thread) })
    }

    /// Moves on at least until the guard is dropped.
    pub(crate) fn attend(&self) -> impl Drop + Send {
        self.clock.guests.fetch_add(1, SeqCst);
        if self.clock.rests.load(SeqCst) {
            self.wake();
        }
        Attended(&self.clock)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Clock {
    /// Returns when there is a guest, or it is to stop. Who comes after `rests` was set wakes the thread; who came before
    /// is seen here.
    fn rest(&self) {
        self.rests.store(true, SeqCst);
        while self.guests.load(SeqCst) == 0 && !self.stop.load(SeqCst) {
            std::thread::park();
        }
        self.rests.store(false, SeqCst);
    }
}

/// A guest that the epoch is moved for.
struct Attended<'a>(&'a Clock);

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, SeqCst);
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.clock.stop.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A thread that only sleeps and counts ends within one tick.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Epoch")
    }
}

/// A resource table for one call: a guest that hoards handles meets this bound, not the host's memory.
pub(crate) fn resource_table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(256);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_rests_while_there_is_no_guest() {
        let epoch = Epoch::start(for_compiling().unwrap()).unwrap();
        let until = |rests| {
            while epoch.clock.rests.load(SeqCst) != rests {
                std::thread::sleep(EPOCH_TICK);
            }
        };
        until(true);
        let guest = epoch.attend();
        until(false);
        drop(guest);
        until(true);
    }
}
