use crate::bindings::uuk::adapter::config;
use crate::instance::CallState;

impl config::Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.environment.configuration.get(&key))
    }

    fn document(&mut self) -> wasmtime::Result<String> {
        Ok(self.environment.configuration.document().to_owned())
    }
}
