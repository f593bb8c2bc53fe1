//! The request that is being served, as log lines and traces name it.
//!
//! Every transport begins a [`Request`] and runs its work inside. Log lines take ids and route from the task, not from a span:
//! a span is made only where spans are sent, because it costs more than deciding.

use super::traces::request_span;
use http::HeaderMap;
use opentelemetry::trace::TraceContextExt as _;
use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

tokio::task_local! {
    static CURRENT: Names;
}

/// What log lines say of a request.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) request_id: Arc<str>,
    pub(super) route: &'static str,
    pub(super) trace_id: Option<Arc<str>>,
}

/// A request that is being served.
#[derive(Debug)]
pub struct Request {
    names: Names,
    /// Disabled where no spans are sent.
    span: Span,
}

impl Request {
    /// Begins, under the trace that the headers name. `route` is the pattern of the route or the name of the method, never
    /// the path.
    #[must_use]
    pub fn begin(headers: &HeaderMap, route: &'static str, request_id: Arc<str>) -> Self {
        let (span, trace_id) = request_span(headers, route, &request_id);
        let names = Names {
            request_id,
            route,
            trace_id,
        };
        Self { names, span }
    }

    /// Runs work of the request.
    pub async fn run<T>(&self, work: Pin<&mut (impl Future<Output = T> + Send)>) -> T {
        let work = CURRENT.scope(self.names.clone(), work);
        if self.span.is_disabled() {
            work.await
        } else {
            work.instrument(self.span.clone()).await
        }
    }

    /// Runs work of the request that does not wait.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.names.clone(), || self.span.in_scope(work))
    }

    /// Notes in the span how it ended.
    pub fn ended(&self, status: i64) {
        self.span.record("status", status);
    }

    /// The span, for whoever is called onwards.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }
}

/// Takes the request along to another thread, for what is logged there.
pub(crate) fn carry<T>(work: impl FnOnce() -> T + Send) -> impl FnOnce() -> T + Send {
    let names = CURRENT.try_with(Clone::clone).ok();
    let span = Span::current();
    move || {
        span.in_scope(|| match names {
            Some(names) => CURRENT.sync_scope(names, work),
            None => work(),
        })
    }
}

thread_local! {
    static OF_CALLERS: Cell<bool> = const { Cell::new(false) };
}

/// Logs what a caller brought about, outside of their request: as within it, few lines a second are written.
pub(crate) fn of_callers<T>(log: impl FnOnce() -> T) -> T {
    let before = OF_CALLERS.replace(true);
    let logged = log();
    OF_CALLERS.set(before);
    logged
}

/// Whether callers can bring about the line that is being written.
pub(super) fn is_of_callers() -> bool {
    OF_CALLERS.get() || CURRENT.try_with(|_| ()).is_ok()
}

/// What the line that is being written belongs to.
pub(super) fn current<T>(read: impl FnOnce(&Names) -> T) -> Option<T> {
    CURRENT.try_with(read).ok()
}

/// The id of a span's trace; none where it is not sent.
pub(super) fn trace_of(span: &Span) -> Option<Arc<str>> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context
        .is_valid()
        .then(|| Arc::from(context.trace_id().to_string()))
}
