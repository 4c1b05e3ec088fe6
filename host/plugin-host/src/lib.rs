//! Runs adapters: WebAssembly components in instances that live for one call, unless author and agency want more.
//!
//! The host is called with values ([`Call`]) and answers with values ([`Outcome`]); it holds no keys and no message
//! log, so that it can run in a process of its own. It does not know what a contract says or who may call.
//!
//! Start with [`Plugin`], then `instance.rs` for one call and `reload.rs` for how a file becomes a plugin.
//! What an adapter may reach is decided in `capabilities/`, one file each; `api_0_1/` only converts.

#![warn(missing_docs)]

mod api_0_1;
mod bindings;
mod call;
pub mod capabilities;
mod compiled_cache;
mod compiler;
mod component;
mod engine;
mod environment;
mod grant;
mod health;
mod host_call_log;
mod host_calls;
mod idle_instances;
mod instance;
mod limits;
mod meter;
mod plugin;
mod registry;
pub mod reload;
mod slots;
mod turns;
mod wasi_http;

pub use call::{Call, CallContext, CallError, Fault, FaultKind, FieldProblem, Outcome, Payload, Usage};
pub use compiled_cache::{CacheError, CompiledCache};
pub use compiler::{Compiler, compile_standard_input};
pub use component::{COMPONENT_BYTES_MAX, ComponentError, check_bytes, check_import};
pub use engine::{Engine, EngineConfig, EngineError, MEMORY_BYTES_LIMIT};
pub use grant::{Grant, Resources, ResourcesError};
pub use health::Verdict;
pub use host_call_log::{HostCall, HostCallLog};
pub use instance::Finding;
pub use limits::CallLimits;
pub use meter::RequestMeter;
pub use plugin::{LoadError, Plugin};
pub use registry::{Arm, Registry, Route, RoutingTable, Share};
pub use slots::WaitingLimits;

/// The version of the contract with adapters that this host speaks: package `uuk:adapter`.
pub const API_VERSION: &str = "0.1";
