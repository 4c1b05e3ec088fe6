//! Runs adapters: engine, components, instances, capabilities, reload.
