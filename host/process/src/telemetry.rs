//! The log on standard error, and the export of traces. Start with [`Telemetry`].

use std::collections::HashMap;
use std::io::IsTerminal;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::dispatcher::SetGlobalDefaultError;
use tracing::{Dispatch, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use collector::CollectorClient;
pub use trace_export::{TraceExport, TraceExportError};

mod collector;
mod trace_export;

/// The log on standard error, and traces on their way to a collector.
#[derive(Debug)]
pub struct Telemetry {
    dispatch: Dispatch,
    traces: Option<SdkTracerProvider>,
}

/// Why nothing can be logged or traced as asked.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "telemetry.")]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log filter `{filter}` is not valid")]
    Filter {
        /// As given.
        filter: String,
        /// Why.
        #[source]
        source: ParseError,
    },
    /// One of the standard variables has a value that the exporter does not take.
    #[error("traces cannot be exported as asked")]
    Export(#[source] ExporterBuildError),
    /// Another part of the process has started logging.
    #[error("logging is set up already")]
    Twice(#[source] SetGlobalDefaultError),
}

impl TelemetryError {
    /// The stable code: `telemetry.filter`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Telemetry {
    /// Starts logging to standard error, without traces.
    ///
    /// # Errors
    /// [`TelemetryError`] if `filter` is not a list of levels, or logging was started before.
    pub fn start(json: bool, filter: &str) -> Result<Self, TelemetryError> {
        let telemetry = Self::build(json, filter, None)?;
        telemetry.install()?;
        Ok(telemetry)
    }

    /// Prepares logging to standard error, one line per event for people or one JSON object, and the export of traces.
    /// What `filter` leaves out is in neither.
    ///
    /// With an `export`, call it within the tokio runtime that is to send the traces.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn build(json: bool, filter: &str, export: Option<&TraceExport>) -> Result<Self, TelemetryError> {
        Self::build_to(std::io::stderr, json, filter, export)
    }

    /// As [`Telemetry::build`], with the log going to `writer`.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn build_to<W>(
        writer: W,
        json: bool,
        filter: &str,
        export: Option<&TraceExport>,
    ) -> Result<Self, TelemetryError>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let levels = EnvFilter::try_new(filter)
            .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
        let lines = tracing_subscriber::fmt::layer().with_writer(writer);
        let lines = if json {
            lines.json().flatten_event(true).boxed()
        } else {
            lines.with_ansi(std::io::stderr().is_terminal()).boxed()
        };
        let traces = export.map(trace_provider).transpose()?;
        let spans =
            traces.as_ref().map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("uuk")));
        // A line has all it needs in its own fields: without a collector nobody sees a span.
        let is_exported = traces.is_some();
        let seen = filter_fn(move |metadata| is_exported || metadata.is_event());
        let subscriber = tracing_subscriber::registry().with(lines).with(spans).with(levels).with(seen);
        Ok(Self { dispatch: Dispatch::new(subscriber), traces })
    }

    /// Makes everything in this process speak to it.
    ///
    /// # Errors
    /// [`TelemetryError::Twice`] if logging was started before.
    pub fn install(&self) -> Result<(), TelemetryError> {
        tracing::dispatcher::set_global_default(self.dispatch.clone()).map_err(TelemetryError::Twice)
    }

    /// Where spans and events go, for a scope of one's own.
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Sends the traces that still wait, for a few seconds at most.
    pub async fn shut_down(self) {
        let Some(traces) = self.traces else { return };
        // It waits for an answer that this runtime brings, so it must not wait on this runtime's threads.
        let ended = tokio::task::spawn_blocking(move || traces.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "The last traces could not be sent");
        }
    }
}

fn trace_provider(export: &TraceExport) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(CollectorClient::new(Handle::current()))
        .with_endpoint(export.endpoint())
        .build()
        .map_err(TelemetryError::Export)?;
    let resource = Resource::builder().with_service_name(export.service_name().to_owned()).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// Makes `span` part of the trace that `traceparent` names (W3C Trace Context); of none if that is malformed.
pub fn continue_trace(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    // Fails only where there is no export, and then there is no trace to be part of.
    let _ = span.set_parent(TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier));
}

/// The `traceparent` by which others continue the trace of `span`; absent where traces are not exported.
pub fn traceparent(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove("traceparent")
}
