//! The request that is being served, as log lines and traces name it.
//!
//! Every transport begins a [`Request`] and runs its work inside. Log lines take ids and route from the task, not from a span:
//! a span is made only where spans are sent, because it costs more than deciding.
//!
//! Who calls and what the request is about is not known at its beginning: `is_by` and `is_about` note it in the task, and
//! `refused` says it where the request is refused.

use super::REFUSALS;
use super::traces::{SPANS, request_span};
use crate::error::ServiceError;
use http::HeaderMap;
use opentelemetry::trace::TraceContextExt as _;
use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
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
    known: Known,
}

/// What turns out about a request while it is served. A clone begins anew: it is another thread's.
#[derive(Debug, Default)]
struct Known(Mutex<Facts>);

#[derive(Debug, Default)]
struct Facts {
    subject: Option<Arc<str>>,
    about: Option<Box<About>>,
}

impl Clone for Known {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What a request is to do, and to what.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// As in the audit trail, such as `policy.update`.
    pub(crate) action: &'static str,
    /// The id of a policy.
    pub(crate) policy: Option<String>,
    /// The digest of a bundle.
    pub(crate) bundle: Option<String>,
    /// The id of a key.
    pub(crate) key: Option<String>,
    /// The namespace of the policy.
    pub(crate) namespace: Option<String>,
    /// The version that is meant.
    pub(crate) version: Option<u64>,
}

/// Notes who calls.
pub(crate) fn is_by(subject: &Arc<str>) {
    note(|facts| facts.subject = Some(Arc::clone(subject)));
}

/// Notes what the request is about, in place of what was noted before.
pub(crate) fn is_about(about: About) {
    note(|facts| facts.about = Some(Box::new(about)));
}

/// Nothing is noted outside of requests.
fn note(change: impl FnOnce(&mut Facts)) {
    CURRENT
        .try_with(|names| change(&mut names.known.0.lock().unwrap_or_else(PoisonError::into_inner)))
        .unwrap_or_default();
}

/// Whether a refusal is a line of the log: those for who calls and for what is there, and not those for what was sent.
fn is_told(status: u16) -> bool {
    matches!(status, 401 | 403 | 409 | 412 | 422 | 428 | 429)
}

/// Says in the log that the request is refused, where that is for who calls or for what is there.
pub(crate) fn refused(error: &ServiceError) {
    let status = error.code.http();
    if !is_told(status) {
        return;
    }
    let (subject, about) = CURRENT
        .try_with(|names| {
            let known = names.known.0.lock().unwrap_or_else(PoisonError::into_inner);
            (known.subject.clone(), known.about.clone().unwrap_or_default())
        })
        .unwrap_or_default();
    tracing::info!(
        target: REFUSALS,
        status,
        code = error.code.as_str(),
        subject = subject.as_deref(),
        action = Some(about.action).filter(|action| !action.is_empty()),
        policy = about.policy,
        bundle = about.bundle,
        key = about.key,
        namespace = about.namespace,
        version = about.version,
        "request refused"
    );
}

/// The same for one request of a stream, which is no task of its own.
pub(crate) fn refused_in_stream(error: &ServiceError, request_id: &str, subject: &str) {
    let status = error.code.http();
    if is_told(status) {
        let code = error.code.as_str();
        of_callers(|| tracing::info!(target: REFUSALS, status, code, request_id, subject, "request refused"));
    }
}

/// Does work in a span of the request's trace. Where no spans are sent, the span is disabled, and this is nothing but the work.
pub(crate) async fn traced<T>(span: Span, work: impl Future<Output = T>) -> T {
    let work = pin!(work);
    if span.is_disabled() {
        work.await
    } else {
        work.instrument(span).await
    }
}

/// A span of a part of a request, for [`traced`] or `in_scope`. Only traces ask for it.
macro_rules! part {
    ($name:literal $(, $field:ident)* $(,)?) => {
        tracing::error_span!(
            target: $crate::telemetry::request::PARTS,
            $name
            $(, $field = tracing::field::Empty)*
        )
    };
}
pub(crate) use part;

/// Target of these spans.
pub(crate) const PARTS: &str = SPANS;

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
            known: Known::default(),
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
