//! Traces: spans to an OTLP collector, and the trace that a caller began carried on.
//!
//! The span of a request is made from its headers (`traceparent`, `tracestate`: W3C Trace Context) by
//! [`super::request::Request`]; what is called onwards gets them with [`inject`]. [`Traces`] is the exporter behind.
//!
//! # Invariants
//!
//! - The caller's decision to sample is followed; where the caller made none, `TRACE_SAMPLE` is the share that is kept.
//! - A thread of its own sends. Its queue is bounded; spans that do not fit, or that the collector does not take, are
//!   dropped. No request waits for a collector.
//! - Spans of libraries are not sent, those of the exporter's own connection least of all.
//!
//! # Not done here
//!
//! Contexts, prompts and reasons are not attributes: traces leave the house.

use super::{TelemetryError, request};
use crate::settings::scrubbed;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Target of the spans of requests, which are for traces only.
pub(super) const SPANS: &str = "policyd::request";

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Longest time of one attempt to send.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long spans are gathered before they are sent.
const EXPORT_DELAY: Duration = Duration::from_secs(1);

/// Spans that may wait to be sent.
const QUEUE: usize = 4096;

/// A running exporter of spans.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Starts an exporter to a collector. Call it inside a tokio runtime. Does not wait for a connection.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Exporter`] when the endpoint is no address.
    pub fn start(endpoint: &str, sample: f64) -> Result<Self, TelemetryError> {
        // Given nothing, the library would take an endpoint of its own.
        if endpoint.is_empty() {
            return Err(TelemetryError::Exporter("it is empty".to_owned()));
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| TelemetryError::Exporter(scrubbed(&error.to_string())))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_scheduled_delay(EXPORT_DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(Reporting {
            exporter,
            down: AtomicBool::new(false),
        })
        .with_batch_config(batches)
        .build();
        let resource = Resource::builder()
            .with_service_name("policyd")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample))))
            .with_resource(resource)
            .build();
        Ok(Self { provider })
    }

    /// The layer that makes spans of ours into spans to send.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("policyd"))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(|meta| {
                meta.target().starts_with("policy") && *meta.level() <= Level::INFO
            }))
    }

    /// Sends what waits, for at most `deadline`, and stops. Says whether all of it was handed over in time.
    pub async fn shutdown(self, deadline: Duration) -> bool {
        // It blocks until the sending thread has answered.
        let stopped =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(deadline)).await;
        matches!(stopped, Ok(Ok(())))
    }
}

/// Says once in the log that the collector is away, and once that it is back.
#[derive(Debug)]
struct Reporting {
    exporter: opentelemetry_otlp::SpanExporter,
    down: AtomicBool,
}

impl SpanExporter for Reporting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        let was_down = self.down.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_down => {
                let error = scrubbed(&error.to_string());
                tracing::warn!(%error, spans, "spans cannot be sent and are dropped until the collector is back");
            }
            Ok(()) if was_down => tracing::info!("spans are sent again"),
            Ok(()) | Err(_) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

struct Incoming<'h>(&'h HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key)?.to_str().ok()?;
        // The library takes ids of fewer digits than the standard demands.
        let lengths = value.split('-').map(str::len).take(4);
        (key != TRACEPARENT.as_str() || lengths.eq([2, 32, 16, 2])).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'h>(&'h mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::try_from(key);
        let value = HeaderValue::try_from(value);
        if let (Ok(name), Ok(value)) = (name, value)
            // An empty `tracestate` says nothing.
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

/// The trace that a request belongs to, from its headers; `None` where there is none, or none that is well formed. The
/// metadata of a gRPC request are headers as well: `extract(metadata.as_ref())`.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Option<Context> {
    // Most requests of most clients have none.
    if !headers.contains_key(TRACEPARENT) {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Incoming(headers));
    let known = context.span().span_context().is_valid();
    known.then_some(context)
}

/// Writes the trace of a span into the headers of a request to somebody else.
pub fn inject(span: &Span, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&span.context(), &mut Outgoing(headers));
}

/// Writes the trace of a span into the metadata of a gRPC request to somebody else.
pub fn inject_metadata(span: &Span, metadata: &mut tonic::metadata::MetadataMap) {
    let mut headers = std::mem::take(metadata).into_headers();
    inject(span, &mut headers);
    *metadata = tonic::metadata::MetadataMap::from_headers(headers);
}

/// The span of one request, under the trace that its headers name, and the id of that trace. Disabled, and next to free,
/// where no spans are sent: [`super::logs`] does not ask for it.
pub(super) fn request_span(
    headers: &HeaderMap,
    route: &'static str,
    request_id: &str,
) -> (Span, Option<Arc<str>>) {
    let parent = extract(headers);
    let known = parent
        .as_ref()
        .map(|parent| parent.span().span_context().trace_id());
    let known = known.map(|id| Arc::from(id.to_string()));
    // The level of errors: a span of a lesser level is off when only errors are sent, and so would be its fields.
    let span = tracing::error_span!(
        target: SPANS,
        parent: None,
        "request",
        otel.name = route,
        otel.kind = "server",
        request_id,
        trace_id = known.as_deref(),
        route,
        status = tracing::field::Empty,
    );
    if span.is_disabled() {
        return (span, known);
    }
    // Refused only where the span is not sent.
    let exported = span.set_parent(parent.unwrap_or_default()).is_ok();
    if !exported || known.is_some() {
        return (span, known);
    }
    let own = request::trace_of(&span);
    span.record("trace_id", own.as_deref());
    (span, own)
}

#[cfg(test)]
mod tests;
