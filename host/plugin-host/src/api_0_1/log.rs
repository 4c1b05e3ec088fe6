use crate::bindings::uuk::adapter::log;
use crate::capabilities::log::{Field, Level};
use crate::instance::CallState;

impl log::Host for CallState {
    fn emit(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<(String, log::FieldValue)>,
    ) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        let fields = fields.into_iter().map(|(name, value)| (name, field(value)));
        self.environment.log.emit(&mut self.log, &self.context.exchange_id, level, &message, fields);
        Ok(())
    }
}

fn field(value: log::FieldValue) -> Field {
    match value {
        log::FieldValue::Text(text) => Field::Text(text),
        log::FieldValue::Integer(integer) => Field::Text(integer.to_string()),
        log::FieldValue::Float(float) => Field::Text(float.to_string()),
        log::FieldValue::Boolean(boolean) => Field::Text(boolean.to_string()),
        log::FieldValue::Personal(value) => Field::Personal(value),
    }
}
