//! What requests and evaluations are counted with, by the interface that they came through.

use super::families::Families;
use super::latency::Latency;
use policy_runtime::Verb;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The interface that a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// REST.
    Rest,
    /// gRPC.
    Grpc,
}

impl Transport {
    /// Every interface.
    pub const ALL: [Self; 2] = [Self::Rest, Self::Grpc];

    /// As labels spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With this HTTP status.
    Http(u16),
    /// With this gRPC status.
    Grpc(tonic::Code),
}

/// HTTP statuses that have a series of their own, rising; all others are `other`.
pub(super) const HTTP_STATUSES: &[(u16, &str)] = &[
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (409, "409"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (422, "422"),
    (428, "428"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (504, "504"),
];

/// gRPC statuses by their number.
pub(super) const GRPC_STATUSES: &[&str] = &[
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

impl Status {
    /// Place in the list of series of a route, and the label. HTTP first, then gRPC, then what is in no list.
    fn place(self) -> (usize, &'static str) {
        const OTHER: usize = HTTP_STATUSES.len() + GRPC_STATUSES.len();
        match self {
            Self::Http(status) => HTTP_STATUSES
                .binary_search_by_key(&status, |(known, _)| *known)
                .ok()
                .and_then(|i| HTTP_STATUSES.get(i).map(|(_, label)| (i, *label)))
                .unwrap_or((OTHER, "other")),
            Self::Grpc(code) => usize::try_from(i32::from(code))
                .ok()
                .and_then(|i| {
                    GRPC_STATUSES
                        .get(i)
                        .map(|label| (HTTP_STATUSES.len() + i, *label))
                })
                .unwrap_or((OTHER, "other")),
        }
    }
}

/// Counts evaluations that came through one interface. Cheap to clone; made once, used for every evaluation.
#[derive(Debug, Clone)]
pub struct EvaluationMetrics {
    allow: Counter,
    warn: Counter,
    modify: Counter,
    deny: Counter,
    duration: Latency,
    errors: Counter,
}

impl EvaluationMetrics {
    /// Of one interface.
    pub(super) fn of(families: &Families, transport: Transport) -> Self {
        let counter = |verb: Verb| families.evaluations.with([verb.as_str(), transport.as_str()]);
        Self {
            allow: counter(Verb::Allow),
            warn: counter(Verb::Warn),
            modify: counter(Verb::Modify),
            deny: counter(Verb::Deny),
            duration: families.evaluation_duration.0.with([transport.as_str()]),
            errors: families.evaluation_errors.with([]),
        }
    }

    /// Counts one evaluation: its outcome, its time, and the conditions that could not be evaluated.
    pub fn record(&self, decision: Verb, duration: Duration, errors: usize) {
        match decision {
            Verb::Allow => &self.allow,
            Verb::Warn => &self.warn,
            Verb::Modify => &self.modify,
            Verb::Deny => &self.deny,
        }
        .inc();
        self.duration.observe(duration);
        if errors > 0 {
            self.errors.inc_by(errors as u64);
        }
    }
}

/// Counts requests of one route. Cheap to clone; made once for every route.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    transport: Transport,
    route: &'static str,
    families: Arc<Families>,
    duration: Latency,
    in_flight: Gauge<f64, AtomicU64>,
    /// By [`Status::place`]; made when a status is seen first, so that what never happens is no series.
    statuses: Arc<[OnceLock<Counter>]>,
}

impl RouteMetrics {
    /// Of one route.
    pub(super) fn of(families: &Arc<Families>, transport: Transport, route: &'static str) -> Self {
        Self {
            transport,
            route,
            families: Arc::clone(families),
            duration: families.request_duration.0.with([transport.as_str(), route]),
            in_flight: families.requests_in_flight.with([]),
            statuses: (0..=HTTP_STATUSES.len() + GRPC_STATUSES.len())
                .map(|_| OnceLock::new())
                .collect(),
        }
    }

    /// Counts a request as under way until the guard is dropped.
    #[must_use]
    pub fn start(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }

    /// Counts an answered request.
    pub fn record(&self, status: Status, duration: Duration) {
        let (place, label) = status.place();
        if let Some(cell) = self.statuses.get(place) {
            cell.get_or_init(|| {
                self.families
                    .requests
                    .with([self.transport.as_str(), self.route, label])
            })
            .inc();
        }
        self.duration.observe(duration);
    }
}

/// A request under way.
#[derive(Debug)]
pub struct InFlight<'m>(&'m Gauge<f64, AtomicU64>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
