use std::time::Instant;

use crate::bindings::uuk::adapter::call;
use crate::capabilities;
use crate::instance::CallState;

impl call::Host for CallState {
    fn remaining_ms(&mut self) -> wasmtime::Result<u32> {
        Ok(super::milliseconds(self.deadline.saturating_duration_since(Instant::now())))
    }

    fn is_cancelled(&mut self) -> wasmtime::Result<bool> {
        // A call that nobody waits for is dropped, not told; what a guest can see is a deadline that has passed.
        Ok(Instant::now() >= self.deadline)
    }

    fn annotate(&mut self, key: String, value: String) -> wasmtime::Result<()> {
        capabilities::call::annotate(&mut self.annotations, &key, &value);
        Ok(())
    }
}
