use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::api_0_1;
use crate::bindings::exports::uuk::adapter::handler;
use crate::call::{Call, CallContext, CallError, Outcome, Usage};
use crate::capabilities::log::LogBudget;
use crate::component::{Entry, bounded, reason};
use crate::engine::resource_table;
use crate::environment::Environment;
use crate::host_calls::HostCalls;
use crate::limits::CallLimits;
use crate::turns::Pace;
use crate::wasi_http::{self, HttpDoor, ResponseTooLong};

/// An instance with more memory is dropped where its call computed.
const HOME_BYTES_MAX: u64 = 1 << 20;
/// Random bytes that a guest is given at once: making them is the host's work.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// What one instance can see and use during a call: the data of its store. Made for the call, and replaced as a whole
/// before the next one, if there is one.
pub(crate) struct CallState {
    pub(crate) environment: Arc<Environment>,
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
    wasi: Option<Box<WasiCtx>>,
    pub(crate) http_door: Option<HttpDoor>,
}

impl CallState {
    fn new(environment: &Arc<Environment>, context: Arc<CallContext>, deadline: Instant, pace: Pace) -> Self {
        let limits = environment.limits;
        Self {
            environment: Arc::clone(environment),
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
        let ctx = self
            .wasi
            .get_or_insert_with(|| Box::new(WasiCtx::builder().max_random_size(RANDOM_BYTES_MAX).build()));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

/// Keeps an instance within its memory.
#[derive(Debug, Default)]
struct MemoryMeter {
    bytes_max: u64,
    bytes: u64,
    /// Of the instance when it was new.
    bytes_at_start: u64,
    bytes_peak: u64,
    refused: bool,
}

impl MemoryMeter {
    /// Whether half of what a new instance could grow by is left.
    fn has_room(&self) -> bool {
        let could_grow = self.bytes_max.saturating_sub(self.bytes_at_start);
        !self.refused && self.bytes_max.saturating_sub(self.bytes) >= could_grow / 2
    }
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

/// What an instance is for.
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

/// What an errand begins with.
pub(crate) enum Start {
    /// Its part of the pool that all plugins use, for a new instance.
    New(OwnedSemaphorePermit),
    /// An instance that has answered calls.
    Kept(Instance),
}

/// A component at work.
pub(crate) struct Instance {
    store: Store<CallState>,
    /// Taken while it runs and put back only when it returns, so that every other end leaves none to enter.
    handler: Option<handler::Guest>,
    calls: u32,
    /// Its part of the pool that all plugins use.
    _share: OwnedSemaphorePermit,
}

impl Instance {
    fn begin(start: Start, mut state: CallState) -> Self {
        let mut instance = match start {
            Start::New(share) => Self { store: store(state), handler: None, calls: 0, _share: share },
            Start::Kept(mut instance) => {
                let before = instance.store.data_mut();
                // The memory is the instance's; all else is the call's.
                state.memory = std::mem::take(&mut before.memory);
                *before = state;
                instance
            }
        };
        instance.calls += 1;
        instance.store.set_epoch_deadline(1);
        instance
    }

    /// Whether it may answer another call after one that ended well. Whatever it still holds of the host would be of this
    /// call in the next.
    fn may_go_on(&self) -> bool {
        let state = self.store.data();
        let has_calls_left = state.environment.reuse.is_some_and(|reuse| self.calls < reuse.calls_max);
        has_calls_left && self.handler.is_some() && state.table.is_empty() && state.memory.has_room()
    }
}

/// What became of an errand.
pub(crate) struct Ended {
    pub(crate) result: Result<Errands, CallError>,
    pub(crate) usage: Usage,
    /// The instance, if it may answer another call.
    pub(crate) instance: Option<Instance>,
}

impl Ended {
    /// Before there was an instance.
    pub(crate) fn early(error: CallError) -> Self {
        Self { result: Err(error), usage: Usage::default(), instance: None }
    }
}

/// Runs one errand within the plugin's limits.
///
/// # Cancellation
/// Dropping the future stops the guest where it is and drops its store; host calls in progress are cancelled on
/// the server by their own guards.
pub(crate) async fn run(environment: &Arc<Environment>, start: Start, errand: Errand, pace: Pace) -> Ended {
    let started = Instant::now();
    let (context, asked_deadline) = match &errand {
        Errand::Handle(call) => (Arc::clone(&call.context), call.deadline),
        Errand::Probe { deadline, .. } => (Arc::default(), *deadline),
    };
    let limits = &environment.limits;
    let own_deadline = started + limits.wall_time_max;
    let deadline = asked_deadline.min(own_deadline);
    if deadline <= started {
        return Ended::early(CallError::WallTime { wall_time_max: Duration::ZERO });
    }
    let _ticking = environment.engine.epoch.attend();
    let state = CallState::new(environment, context, deadline, pace.clone());
    let mut instance = Instance::begin(start, state);

    // The clock of tokio surrounds everything, because epochs do not reach a guest that waits in a host call.
    let ended = {
        // Pinned here, so that what surrounds it moves a pointer and not the state of a whole instance.
        let work = pin!(AssertUnwindSafe(enter(&mut instance, environment, errand, &pace)).catch_unwind());
        tokio::time::timeout_at(deadline.into(), work).await
    };
    // Giving back much memory takes as long as computing.
    if instance.store.data().memory.bytes_peak <= HOME_BYTES_MAX {
        pace.come_back().await;
    }
    let state = instance.store.data();
    let mut result = match ended {
        Err(_) => Err(out_of_time(state, deadline - started, deadline == own_deadline)),
        Ok(Err(_panic)) => {
            tracing::error!(plugin.name = %environment.manifest.plugin.id, "The host panicked inside a call");
            Err(CallError::Host)
        }
        Ok(Ok(Err(error))) => Err(classify(&error, state)),
        // Made of what a host call said at the very end: nobody waits for it any more.
        Ok(Ok(Ok(_))) if Instant::now() >= deadline => {
            Err(out_of_time(state, deadline - started, deadline == own_deadline))
        }
        Ok(Ok(Ok(errands))) => Ok(errands),
    };
    let mut usage = state.usage(started);
    if let Ok(Errands::Handled(Outcome::Answer(answer))) = &result {
        usage.response_bytes = answer.data.len() as u64;
        if usage.response_bytes > limits.response_bytes_max {
            result = Err(CallError::Response { response_bytes_max: limits.response_bytes_max });
        }
    }
    let ended_well = match &result {
        Ok(Errands::Handled(Outcome::Answer(_))) => true,
        Ok(Errands::Handled(Outcome::Fault(fault))) => !fault.kind.is_technical(),
        Ok(Errands::Probed(_)) | Err(_) => false,
    };
    let instance = Some(instance).filter(|instance| ended_well && instance.may_go_on());
    Ended { result, usage, instance }
}

fn store(state: CallState) -> Store<CallState> {
    let environment = Arc::clone(&state.environment);
    let mut store = Store::new(environment.engine.wasmtime(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(environment.limits.host_call_bytes_max);
    // Called when the epoch has moved, which it also does while a call waits or another thread has the processor.
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        let computed = state.pace.computed();
        if computed >= state.limits.guest_time_max {
            return Err(GuestTimeUsedUp.into());
        }
        Ok(match state.pace.is_computing() {
            true => UpdateDeadline::YieldCustom(1, state.pace.next_turn(&state.environment.turns)),
            false => UpdateDeadline::Continue(1),
        })
    });
    store
}

async fn enter(
    instance: &mut Instance,
    environment: &Environment,
    errand: Errand,
    pace: &Pace,
) -> wasmtime::Result<Errands> {
    let Instance { store, handler, .. } = instance;
    match (&environment.entry, errand) {
        (Entry::Adapter(entry), Errand::Handle(call)) => {
            let entered = match handler.take() {
                Some(kept) => kept,
                None => {
                    let instance = entry.component.instantiate_async(&mut *store).await?;
                    let memory = &mut store.data_mut().memory;
                    memory.bytes_at_start = memory.bytes;
                    entry.handler.load(&mut *store, &instance)?
                }
            };
            pace.before_guest(&environment.turns).await;
            let outcome = api_0_1::handle(store, &entered, &call).await?;
            *handler = Some(entered);
            Ok(Errands::Handled(outcome))
        }
        (Entry::Adapter(entry), Errand::Probe { deep, .. }) => {
            let instance = entry.component.instantiate_async(&mut *store).await?;
            let probe = entry.probe.load(&mut *store, &instance)?;
            pace.before_guest(&environment.turns).await;
            api_0_1::probe(store, &probe, deep).await.map(Errands::Probed)
        }
        (Entry::Http(pre), Errand::Handle(call)) => {
            let proxy = pre.instantiate_async(&mut *store).await?;
            pace.before_guest(&environment.turns).await;
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
