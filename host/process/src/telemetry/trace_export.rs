/// Where traces go: a collector that takes OTLP in protobuf over plain HTTP, such as one on this machine.
///
/// Set by OpenTelemetry's standard variables. Endpoint, protocol and service name are read here; headers, sampling,
/// batches and attributes (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`,
/// `OTEL_RESOURCE_ATTRIBUTES`) by its library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceExport {
    endpoint: String,
    service_name: String,
}

/// Why traces cannot go where the variables say.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "telemetry.")]
#[non_exhaustive]
pub enum TraceExportError {
    /// A collector elsewhere is reached through one on this machine, which has the certificates.
    #[error("collector `{endpoint}` is not an address that begins with `http://`")]
    Endpoint {
        /// As written.
        endpoint: String,
    },
    /// Another form of OTLP.
    #[error("traces are sent by the protocol `http/protobuf`, not by `{protocol}`")]
    Protocol {
        /// As written.
        protocol: String,
    },
}

impl TraceExportError {
    /// The stable code: `telemetry.endpoint`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl TraceExport {
    /// Reads the variables by `variable`; absent if they name no endpoint or switch traces off.
    ///
    /// # Errors
    /// [`TraceExportError`].
    ///
    /// # Source
    /// OpenTelemetry, Environment Variable Specification and OTLP Exporter Configuration.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, TraceExportError> {
        // A variable that is set to nothing counts as not set.
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let own = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let shared = || {
            let base = variable("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            Some(format!("{}/v1/traces", base.trim_end_matches('/')))
        };
        let Some(endpoint) = own.or_else(shared).filter(|_| !disabled) else { return Ok(None) };

        let protocol = variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"))
            .filter(|protocol| protocol != "http/protobuf");
        if let Some(protocol) = protocol {
            return Err(TraceExportError::Protocol { protocol });
        }
        if !endpoint.starts_with("http://") {
            return Err(TraceExportError::Endpoint { endpoint });
        }
        let service_name = variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "uuk".into());
        Ok(Some(Self { endpoint, service_name }))
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn service_name(&self) -> &str {
        &self.service_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TraceExport>, TraceExportError> {
        TraceExport::from_variables(|name| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).unwrap().map(|export| export.endpoint)
    }

    const SHARED: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/");

    #[test]
    fn exports_nothing_unless_told_where() {
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
        assert_eq!(endpoint(&[SHARED, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(endpoint(&[SHARED, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn puts_traces_below_the_shared_endpoint_and_at_their_own() {
        assert_eq!(endpoint(&[SHARED]).unwrap(), "http://127.0.0.1:4318/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/traces");
        assert_eq!(endpoint(&[SHARED, own]).unwrap(), "http://127.0.0.1:9/traces");
    }

    #[test]
    fn refuses_another_protocol() {
        let error = read(&[SHARED, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert_eq!(error.code(), "telemetry.protocol");
    }

    #[test]
    fn refuses_an_endpoint_it_cannot_speak_to() {
        let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector")]).unwrap_err();
        assert_eq!(error.code(), "telemetry.endpoint");
    }
}
