use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::api_0_1;
use crate::call::{Call, CallContext, CallError, Outcome, Usage};
use crate::capabilities::log::LogBudget;
use crate::component::{Entry, bounded, reason};
use crate::engine::resource_table;
use crate::host_calls::HostCalls;
use crate::limits::CallLimits;
use crate::plugin::Plugin;
use crate::turns::Pace;
use crate::wasi_http::{self, HttpDoor, ResponseTooLong};

/// An instance with more memory is dropped where its call computed.
const HOME_BYTES_MAX: u64 = 1 << 20;
/// Random bytes that a guest is given at once: making them is the host's work.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// What one instance can see and use: the data of its store. Made for a call, dropped with it.
pub(crate) struct CallState {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) context: Arc<CallContext>,
    pub(crate) deadline: Instant,
    pub(crate) limits: CallLimits,
    pub(crate) table: ResourceTable,
    pub(crate) log: LogBudget,
    pub(crate) host_calls: HostCalls,
    /// Notes of the adapter, to stand beside the record of the message.
    pub(crate) annotations: Vec<(String, String)>,
    memory: MemoryMeter,
    pace: Pace,
    wasi: Option<WasiCtx>,
    pub(crate) http_door: Option<HttpDoor>,
}

impl CallState {
    fn new(plugin: &Arc<Plugin>, context: Arc<CallContext>, deadline: Instant, pace: Pace) -> Self {
        let limits = *plugin.limits();
        Self {
            plugin: Arc::clone(plugin),
            deadline,
            limits,
            table: resource_table(),
            log: LogBudget::of(&limits),
            host_calls: HostCalls::new(limits.host_calls_max),
            annotations: Vec::new(),
            memory: MemoryMeter { bytes_max: limits.memory_bytes_max, ..MemoryMeter::default() },
            pace,
            wasi: None,
            http_door: None,
            context,
        }
    }

    fn usage(&self, started: Instant) -> Usage {
        Usage {
            wall_us: started.elapsed().as_micros().try_into().unwrap_or(u64::MAX),
            host_us: self.host_calls.spent.as_micros().try_into().unwrap_or(u64::MAX),
            host_calls: self.host_calls.made + self.http_door.as_ref().map_or(0, HttpDoor::host_calls),
            memory_bytes: self.memory.bytes_peak,
            response_bytes: 0,
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Most adapters import WASI and never call it: its context is made when one does. It holds nothing: no
        // arguments, environment, files or sockets.
        let ctx =
            self.wasi.get_or_insert_with(|| WasiCtx::builder().max_random_size(RANDOM_BYTES_MAX).build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

/// Keeps an instance within its memory.
#[derive(Debug, Default)]
struct MemoryMeter {
    bytes_max: u64,
    bytes: u64,
    bytes_peak: u64,
    refused: bool,
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add((desired - current.min(desired)) as u64);
        if bytes > self.bytes_max {
            self.refused = true;
            return Ok(false);
        }
        self.bytes = bytes;
        self.bytes_peak = self.bytes_peak.max(bytes);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 20_000)
    }
}

/// The guest has computed for as long as it may.
#[derive(Debug, thiserror::Error)]
#[error("guest time is used up")]
struct GuestTimeUsedUp;

/// What an instance is made for.
pub(crate) enum Errand {
    /// Answer a call.
    Handle(Call),
    /// Say whether it could.
    Probe { deep: bool, deadline: Instant },
}

/// What an errand brought.
pub(crate) enum Errands {
    Handled(Outcome),
    Probed(Vec<Finding>),
}

/// One line of a probe's result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// Whether it is fine.
    pub ok: bool,
    /// For the operator.
    pub detail: String,
}

/// Runs one errand in an instance of its own, within the plugin's limits.
///
/// # Cancellation
/// Dropping the future stops the guest where it is and drops its store; host calls in progress are cancelled on
/// the server by their own guards.
pub(crate) async fn run(
    plugin: &Arc<Plugin>,
    errand: Errand,
    pace: Pace,
) -> (Result<Errands, CallError>, Usage) {
    let started = Instant::now();
    let (context, asked_deadline) = match &errand {
        Errand::Handle(call) => (Arc::clone(&call.context), call.deadline),
        Errand::Probe { deadline, .. } => (Arc::default(), *deadline),
    };
    let limits = plugin.limits();
    let own_deadline = started + limits.wall_time_max;
    let deadline = asked_deadline.min(own_deadline);
    if deadline <= started {
        return (Err(CallError::WallTime { wall_time_max: Duration::ZERO }), Usage::default());
    }
    let mut store = store(plugin, CallState::new(plugin, context, deadline, pace.clone()));

    // The clock of tokio surrounds everything, because epochs do not reach a guest that waits in a host call.
    let ended = {
        // Pinned here, so that what surrounds it moves a pointer and not the state of a whole instance.
        let work = pin!(AssertUnwindSafe(enter(&mut store, plugin, errand, &pace)).catch_unwind());
        tokio::time::timeout_at(deadline.into(), work).await
    };
    // Giving back much memory takes as long as computing.
    if store.data().memory.bytes_peak <= HOME_BYTES_MAX {
        pace.come_back().await;
    }
    let result = match ended {
        Err(_) => Err(out_of_time(store.data(), deadline - started, deadline == own_deadline)),
        Ok(Err(_panic)) => {
            tracing::error!(plugin.name = %plugin.manifest().plugin.id, "The host panicked inside a call");
            Err(CallError::Host)
        }
        Ok(Ok(Err(error))) => Err(classify(&error, store.data())),
        // Made of what a host call said at the very end: nobody waits for it any more.
        Ok(Ok(Ok(_))) if Instant::now() >= deadline => {
            Err(out_of_time(store.data(), deadline - started, deadline == own_deadline))
        }
        Ok(Ok(Ok(errands))) => Ok(errands),
    };
    let mut usage = store.data().usage(started);
    if let Ok(Errands::Handled(Outcome::Answer(answer))) = &result {
        usage.response_bytes = answer.data.len() as u64;
        if usage.response_bytes > limits.response_bytes_max {
            let response_bytes_max = limits.response_bytes_max;
            return (Err(CallError::Response { response_bytes_max }), usage);
        }
    }
    (result, usage)
}

fn store(plugin: &Plugin, state: CallState) -> Store<CallState> {
    let mut store = Store::new(plugin.engine().wasmtime(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(plugin.limits().host_call_bytes_max);
    store.set_epoch_deadline(1);
    // Called when the epoch has moved, which it also does while a call waits or another thread has the processor.
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        let computed = state.pace.computed();
        if computed >= state.limits.guest_time_max {
            return Err(GuestTimeUsedUp.into());
        }
        Ok(match state.pace.is_computing() {
            true => UpdateDeadline::YieldCustom(1, state.pace.next_turn(state.plugin.turns())),
            false => UpdateDeadline::Continue(1),
        })
    });
    store
}

async fn enter(
    store: &mut Store<CallState>,
    plugin: &Plugin,
    errand: Errand,
    pace: &Pace,
) -> wasmtime::Result<Errands> {
    match (plugin.entry(), errand) {
        (Entry::Adapter(entry), Errand::Handle(call)) => {
            let instance = entry.component.instantiate_async(&mut *store).await?;
            let handler = entry.handler.load(&mut *store, &instance)?;
            pace.before_guest(plugin.turns()).await;
            api_0_1::handle(store, &handler, &call).await.map(Errands::Handled)
        }
        (Entry::Adapter(entry), Errand::Probe { deep, .. }) => {
            let instance = entry.component.instantiate_async(&mut *store).await?;
            let probe = entry.probe.load(&mut *store, &instance)?;
            pace.before_guest(plugin.turns()).await;
            api_0_1::probe(store, &probe, deep).await.map(Errands::Probed)
        }
        (Entry::Http(pre), Errand::Handle(call)) => {
            let proxy = pre.instantiate_async(&mut *store).await?;
            pace.before_guest(plugin.turns()).await;
            wasi_http::handle(store, &proxy, &call).await.map(Errands::Handled)
        }
        (Entry::Http(pre), Errand::Probe { .. }) => {
            // This door has no probe: that it can be instantiated is all there is to know.
            pre.instantiate_async(&mut *store).await?;
            Ok(Errands::Probed(Vec::new()))
        }
    }
}

/// The deadline came: was the adapter computing, or waiting for a database or upstream that it can not help? A client
/// that left little time is no reason to blame it.
fn out_of_time(state: &CallState, wall_time_max: Duration, had_its_own_time: bool) -> CallError {
    let computed = state.pace.computed();
    // A call that computes also waits for its turns, so that a quarter of what it may compute is enough to tell.
    if had_its_own_time && computed >= (wall_time_max / 2).min(state.limits.guest_time_max / 4) {
        CallError::GuestTime { guest_time_max: computed.min(wall_time_max) }
    } else {
        CallError::WallTime { wall_time_max }
    }
}

fn classify(error: &wasmtime::Error, state: &CallState) -> CallError {
    let limits = &state.limits;
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return CallError::Busy { concurrency_max: limits.concurrency_max };
    }
    if error.is::<GuestTimeUsedUp>() || error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return CallError::GuestTime { guest_time_max: limits.guest_time_max };
    }
    if state.memory.refused {
        return CallError::Memory { memory_bytes_max: limits.memory_bytes_max };
    }
    let reason = reason(error);
    // wasmtime has no type for it; a test holds the text.
    if reason.contains("fuel allocated for hostcalls") {
        return CallError::HostCallBytes;
    }
    if error.is::<ResponseTooLong>() {
        return CallError::Response { response_bytes_max: limits.response_bytes_max };
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => CallError::Trap { reason: bounded(&trap.to_string()) },
        None => CallError::Misuse { reason },
    }
}
