//! Metrics: one table of families, and the handles that the parts of the server count with.
//!
//! `for_each_family` is the table. The fields of [`Metrics`], their registration, [`FAMILIES`] (which the checks of the
//! dashboards and the page `docs/observability.md` read) and the name constants in [`names`] are expansions of it.
//!
//! # Invariants
//!
//! - A registry of its own in every [`Metrics`]; no global state.
//! - Label values come from enums, from `&'static str`, or from a closed list; only `bundle_info` has values from outside,
//!   and it has one label set at a time. So the number of series is bounded by the code.
//! - What is counted for every evaluation is a handle resolved beforehand: a few atomic additions, no lock, no allocation.
//!
//! # Not done here
//!
//! Serving: the admin listener answers `/metrics` with [`Metrics::encode`] as [`CONTENT_TYPE`].

use crate::cache::CacheStats;
use crate::clock;
use crate::config::{Origin, Sink};
use crate::shares::Full;
use crate::turns::Refused;
use policy_runtime::Verb;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Calls `$consumer!` once with every family: field, constant, kind, name as scraped, labels, help.
///
/// Durations are in seconds, times in seconds since the epoch.
macro_rules! for_each_family {
    ($consumer:ident) => {
        $consumer! {
            evaluations EVALUATIONS: Counters, "llm_policy_evaluations_total", ["decision", "transport"],
                "Decisions made, by outcome and by the interface that asked";
            evaluation_duration EVALUATION_DURATION: Evaluations, "llm_policy_evaluation_duration_seconds", ["transport"],
                "Time of one evaluation, from context to decision";
            evaluation_errors EVALUATION_ERRORS: Counters, "llm_policy_evaluation_errors_total", [],
                "Conditions that could not be evaluated";
            cache_hits CACHE_HITS: Counters, "llm_policy_cache_hits_total", ["layer"],
                "Decisions found in a cache";
            cache_misses CACHE_MISSES: Counters, "llm_policy_cache_misses_total", ["layer"],
                "Decisions looked for in a cache and not found";
            cache_bypassed CACHE_BYPASSED: Counters, "llm_policy_cache_bypassed_total", [],
                "Evaluations that were cheaper than a lookup";
            cache_saved CACHE_SAVED: Times, "llm_policy_cache_saved_seconds_total", [],
                "Evaluation time that the caches saved";
            active_policies ACTIVE_POLICIES: Gauges, "llm_policy_active_policies", [],
                "Policies that decide";
            active_rules ACTIVE_RULES: Gauges, "llm_policy_active_rules", [],
                "Rules that decide";
            bundle_info BUNDLE_INFO: BundleInfo, "llm_policy_bundle_info", ["revision", "digest"],
                "What decides; always 1";
            bundle_activated BUNDLE_ACTIVATED: Gauges, "llm_policy_bundle_activated_timestamp_seconds", [],
                "When the active policies became active";
            bundle_age BUNDLE_AGE: Gauges, "llm_policy_bundle_age_seconds", [],
                "For how long the active policies have been active";
            store_revision STORE_REVISION: Gauges, "llm_policy_store_revision", [],
                "Revision of the store that is active";
            reload_failures RELOAD_FAILURES: Counters, "llm_policy_reload_failures_total", ["origin"],
                "Policies or bundles that were refused; the ones before stay active";
            requests REQUESTS: Counters, "llm_policy_requests_total", ["transport", "route", "status"],
                "Requests answered";
            request_duration REQUEST_DURATION: Requests, "llm_policy_request_duration_seconds", ["transport", "route"],
                "Time of one request, from its headers to the end of the response";
            requests_in_flight REQUESTS_IN_FLIGHT: Gauges, "llm_policy_requests_in_flight", [],
                "Requests under way";
            connections CONNECTIONS: Gauges, "llm_policy_connections", [],
                "Connections of REST and gRPC that are open";
            connections_refused CONNECTIONS_REFUSED: Counters, "llm_policy_connections_refused_total", ["reason"],
                "Connections closed at once because all of MAX_CONNECTIONS were open, or those of one address";
            connections_closed CONNECTIONS_CLOSED: Counters, "llm_policy_connections_closed_total", ["reason"],
                "Connections closed because the head of a request did not come in time, or because they were idle or too old (`GRPC_MAX_CONNECTION_AGE`), and streams reset because their answers were not taken (unread)";
            shed SHED: Counters, "llm_policy_shed_total", ["reason"],
                "Requests refused because the server was busy";
            rate_limited RATE_LIMITED: Counters, "llm_policy_rate_limited_total", ["route"],
                "Requests refused because the caller sent too many";
            rate_limit_fallbacks RATE_LIMIT_FALLBACKS: Counters, "llm_policy_rate_limit_fallbacks_total", [],
                "Requests counted by this server alone, though RATE_LIMIT_SHARED, because Redis did not answer";
            auth_failures AUTH_FAILURES: Counters, "llm_policy_auth_failures_total", ["reason"],
                "Requests without a valid token or key";
            log_queue DECISION_LOG_QUEUE: Gauges, "llm_policy_decision_log_queue", [],
                "Decisions accepted and not written yet";
            log_capacity DECISION_LOG_CAPACITY: Gauges, "llm_policy_decision_log_capacity", [],
                "Decisions that may wait to be written; 0 where the log is off";
            log_written DECISION_LOG_WRITTEN: Counters, "llm_policy_decision_log_written_total", ["sink"],
                "Decisions written";
            log_dropped DECISION_LOG_DROPPED: Counters, "llm_policy_decision_log_dropped_total", ["reason"],
                "Decisions that are not in the log";
            log_spool DECISION_LOG_SPOOL: Gauges, "llm_policy_decision_log_spool_bytes", [],
                "Bytes of decisions that wait on disk for the database, or to be sealed";
            log_spool_capacity DECISION_LOG_SPOOL_CAPACITY: Gauges, "llm_policy_decision_log_spool_capacity_bytes", [],
                "Bytes of decisions that may wait on disk; 0 where none may";
            log_spooled DECISION_LOG_SPOOLED: Counters, "llm_policy_decision_log_spooled_total", [],
                "Decisions put on disk because the database did not take them at once";
            log_replayed DECISION_LOG_REPLAYED: Counters, "llm_policy_decision_log_replayed_total", [],
                "Decisions that waited on disk and are done with: the database has them, or refused them for good";
            log_errors DECISION_LOG_ERRORS: Counters, "llm_policy_decision_log_errors_total", ["sink"],
                "Failed attempts to write; they are repeated";
            log_withheld DECISION_LOG_WITHHELD: Counters, "llm_policy_decision_log_contexts_withheld_total", ["reason"],
                "Contexts left out of the log because they could not be masked or encrypted";
            log_pruned DECISION_LOG_PRUNED: Counters, "llm_policy_decision_log_pruned_total", [],
                "Decisions removed after their retention";
            log_sealed DECISION_LOG_SEALED: Counters, "llm_policy_decision_log_sealed_total", [],
                "Decisions moved from the journal to Parquet files";
            webhook_spool WEBHOOK_SPOOL: Gauges, "llm_policy_webhook_spool_bytes", [],
                "Bytes of events that wait on disk for the receiver of webhooks";
            webhook_spool_capacity WEBHOOK_SPOOL_CAPACITY: Gauges, "llm_policy_webhook_spool_capacity_bytes", [],
                "Bytes of events that may wait on disk for the receiver of webhooks; 0 where there is none";
            webhook_lag WEBHOOK_LAG: Gauges, "llm_policy_webhook_lag_seconds", [],
                "How old the oldest event was that waited, at the last attempt to send it";
            webhook_answers WEBHOOK_ANSWERS: Counters, "llm_policy_webhook_answers_total", ["status"],
                "Webhooks sent, by the answer: `2xx`, `3xx`, `4xx`, `5xx`, or `none`";
            webhook_skipped WEBHOOK_SKIPPED: Counters, "llm_policy_webhook_skipped_total", [],
                "Decisions without usage in their context, which `WEBHOOK_FORMAT=costops` does not send";
            webhook_audit_sent WEBHOOK_AUDIT_SENT: Counters, "llm_policy_webhook_audit_sent_total", [],
                "Audit records that the receiver of webhooks has";
            webhook_audit_lag WEBHOOK_AUDIT_LAG: Gauges, "llm_policy_webhook_audit_lag_seconds", [],
                "How old the oldest audit record was that waited for the receiver of webhooks, at the last attempt to send it";
            webhook_audit_missing WEBHOOK_AUDIT_MISSING: Counters, "llm_policy_webhook_audit_missing_total", [],
                "Audit records that were missing in the trail when they were to be sent, or can be no event";
            enrichments ENRICHMENTS: Counters, "llm_policy_enrich_requests_total", ["service", "outcome"],
                "Contexts that a service was to be asked about, by what is known then: safe, unsafe, or why nothing is";
            enrich_duration ENRICH_DURATION: Requests, "llm_policy_enrich_duration_seconds", ["service"],
                "Time that a service was waited for before a decision";
            dependency_up DEPENDENCY_UP: Gauges, "llm_policy_dependency_up", ["dependency"],
                "Whether a dependency answers: 1 or 0";
        }
    };
}

macro_rules! declare_families {
    ($($field:ident $constant:ident: $kind:ident, $name:literal, [$($label:literal),*], $help:literal;)+) => {
        /// Names of the families, as a scrape shows them.
        pub mod names {
            $(#[doc = $help] pub const $constant: &str = $name;)+
        }

        /// Every family, in the order of the table.
        pub const FAMILIES: &[FamilyInfo] = &[
            $(FamilyInfo { name: $name, kind: <$kind as Kind>::TYPE, labels: &[$($label),*], help: $help },)+
        ];

        #[derive(Debug)]
        struct Families {
            $($field: $kind,)+
        }

        impl Families {
            fn register(registry: &mut Registry) -> Self {
                Self {
                    $($field: <$kind as Kind>::register(registry, $name, $help, &[$($label),*]),)+
                }
            }
        }
    };
}
for_each_family!(declare_families);

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyInfo {
    /// Name as a scrape shows it, with unit and suffix.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

/// The table of families as the page about observability shows it.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from("| Metric | Type | Labels | What it says |\n|---|---|---|---|\n");
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            family.name,
            family.kind,
            labels.join(", "),
            family.help
        ));
    }
    page
}

/// Labels of one series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Labels {
    names: &'static [&'static str],
    values: Vec<Cow<'static, str>>,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.names.iter().zip(&self.values) {
            (*name, value.as_ref()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// A kind of family: how it is registered.
trait Kind: Sized {
    /// As the exposition calls it.
    const TYPE: &'static str;
    fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self;
}

/// Series of one family by their label values.
#[derive(Debug)]
struct Series<M: 'static> {
    labels: &'static [&'static str],
    family: Family<Labels, M, fn() -> M>,
    /// The one series of a family without labels.
    single: M,
}

impl<M: Clone> Series<M> {
    /// The series with these label values, in the order of the table. Takes a lock: not for the hot path.
    fn with<const N: usize>(&self, values: [&'static str; N]) -> M {
        debug_assert_eq!(N, self.labels.len());
        if N == 0 {
            return self.single.clone();
        }
        self.family.get_or_create_owned(&Labels {
            names: self.labels,
            values: values.map(Cow::Borrowed).to_vec(),
        })
    }
}

type Counters = Series<Counter>;
type Times = Series<Counter<f64, AtomicU64>>;
type Gauges = Series<Gauge<f64, AtomicU64>>;

impl Kind for Counters {
    const TYPE: &'static str = "counter";
    fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        series(registry, name, help, labels, Counter::default)
    }
}

impl Kind for Times {
    const TYPE: &'static str = "counter";
    fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        series(registry, name, help, labels, Counter::default)
    }
}

impl Kind for Gauges {
    const TYPE: &'static str = "gauge";
    fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        series(registry, name, help, labels, Gauge::default)
    }
}

fn series<M>(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    make: fn() -> M,
) -> Series<M>
where
    M: Clone + EncodeMetric + TypedMetric + fmt::Debug + Send + Sync + 'static,
{
    let family = Family::new_with_constructor(make);
    let single = make();
    // The encoder appends `_total` to counters itself.
    let bare = name.strip_suffix("_total").unwrap_or(name);
    if labels.is_empty() {
        registry.register(bare, help, single.clone());
    } else {
        registry.register(bare, help, family.clone());
    }
    Series {
        labels,
        family,
        single,
    }
}

/// Times of evaluations.
#[derive(Debug)]
struct Evaluations(Series<Latency>);

/// Times of requests.
#[derive(Debug)]
struct Requests(Series<Latency>);

/// Nanoseconds: 1 µs to 1 s.
const EVALUATION_BUCKETS: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    1_000_000_000,
];

/// Nanoseconds: 50 µs to 10 s.
const REQUEST_BUCKETS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
];

impl Kind for Evaluations {
    const TYPE: &'static str = "histogram";
    fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self(series(registry, name, help, labels, || {
            Latency::new(EVALUATION_BUCKETS)
        }))
    }
}

impl Kind for Requests {
    const TYPE: &'static str = "histogram";
    fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self(series(registry, name, help, labels, || {
            Latency::new(REQUEST_BUCKETS)
        }))
    }
}

/// A histogram of durations without a lock: the library's takes one for every observation, which threads would queue for.
#[derive(Debug, Clone)]
struct Latency(Arc<LatencyInner>);

#[derive(Debug)]
struct LatencyInner {
    /// Upper bounds in nanoseconds, rising.
    bounds: &'static [u64],
    stripes: [Stripe; STRIPES],
}

/// Threads that count without moving memory between their processors.
const STRIPES: usize = 8;

/// What some threads have counted, in memory of their own.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe {
    /// One for every bound, and one for what is longer than all of them.
    counts: Box<[AtomicU64]>,
    /// Nanoseconds; overflows after 584 years.
    sum: AtomicU64,
}

impl Stripe {
    /// The number of this thread's.
    fn own() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
        }
        OWN.with(|own| *own)
    }
}

impl Latency {
    fn new(bounds: &'static [u64]) -> Self {
        Self(Arc::new(LatencyInner {
            bounds,
            stripes: std::array::from_fn(|_| Stripe {
                counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
                sum: AtomicU64::new(0),
            }),
        }))
    }

    fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.0.bounds.partition_point(|bound| *bound < nanos);
        let Some(stripe) = self.0.stripes.get(Stripe::own()) else {
            return;
        };
        if let Some(count) = stripe.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        stripe.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    fn count(&self, bucket: usize) -> u64 {
        let counts = self
            .0
            .stripes
            .iter()
            .filter_map(|stripe| stripe.counts.get(bucket));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl TypedMetric for Latency {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Latency {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.0.bounds.iter().map(|bound| seconds(*bound));
        let buckets: Vec<(f64, u64)> = bounds
            .chain([f64::INFINITY])
            .enumerate()
            .map(|(bucket, bound)| (bound, self.count(bucket)))
            .collect();
        // The count is the sum of the buckets, so that a scrape between two additions is consistent.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sums = self
            .0
            .stripes
            .iter()
            .map(|stripe| stripe.sum.load(Ordering::Relaxed));
        let sum = seconds(sums.sum());
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// What decides, as one series of labels. A change replaces the labels: old revisions do not pile up.
#[derive(Debug, Clone)]
struct BundleInfo {
    name: &'static str,
    help: String,
    names: &'static [&'static str],
    /// Revision and digest; `None` before anything is active.
    current: Arc<Mutex<Option<(String, String)>>>,
}

impl Kind for BundleInfo {
    const TYPE: &'static str = "gauge";
    fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        let info = Self {
            name,
            // Other families get their full stop from the registry.
            help: format!("{help}."),
            names: labels,
            current: Arc::default(),
        };
        registry.register_collector(Box::new(info.clone()));
        info
    }
}

impl BundleInfo {
    fn set(&self, revision: &str, digest: &str) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some((revision.to_owned(), digest.to_owned()));
    }
}

impl Collector for BundleInfo {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let current = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some((revision, digest)) = current else {
            return Ok(());
        };
        let labels = Labels {
            names: self.names,
            values: vec![Cow::Owned(revision), Cow::Owned(digest)],
        };
        encoder
            .encode_descriptor(self.name, &self.help, None, MetricType::Gauge)?
            .encode_family(&labels)?
            .encode_gauge(&1_i64)
    }
}

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

/// A level of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Memory of this process.
    Process,
    /// Redis.
    Redis,
}

impl Layer {
    /// As labels spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Redis => "redis",
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
const HTTP_STATUSES: &[(u16, &str)] = &[
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
const GRPC_STATUSES: &[&str] = &[
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

/// What the decision log counts with.
#[derive(Debug, Clone)]
pub(crate) struct LogMetrics {
    pub(crate) queue: Gauge<f64, AtomicU64>,
    pub(crate) pruned: Counter,
    /// Bytes on disk.
    pub(crate) spool: Gauge<f64, AtomicU64>,
    pub(crate) spooled: Counter,
    pub(crate) replayed: Counter,
    pub(crate) sealed: Counter,
    families: Arc<Families>,
}

/// Why a decision is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The queue was full, and `DECISION_LOG_OVERFLOW` is `drop`.
    Overflow,
    /// It came after the log was closed.
    Closed,
    /// A sink refused it for what it is.
    Refused,
    /// The time to write it at the end was over.
    Shutdown,
    /// It waited on disk, and was damaged there.
    Damaged,
    /// It was being put on disk when the process ended.
    Torn,
}

impl Dropped {
    pub(crate) const ALL: [Self; 6] = [
        Self::Overflow,
        Self::Closed,
        Self::Refused,
        Self::Shutdown,
        Self::Damaged,
        Self::Torn,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
            Self::Damaged => "damaged",
            Self::Torn => "torn",
        }
    }
}

/// Why a decision is in the log without its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// It could not be masked.
    Mask,
    /// It could not be encrypted.
    Seal,
}

impl Withheld {
    pub(crate) const ALL: [Self; 2] = [Self::Mask, Self::Seal];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Seal => "seal",
        }
    }
}

/// Label of a sink.
pub(crate) fn sink_label(sink: &Sink) -> &'static str {
    match sink {
        Sink::Store => "store",
        Sink::Stdout => "stdout",
        Sink::File(_) => "file",
        Sink::Segments => "segments",
        Sink::Webhook => "webhook",
    }
}

/// What webhooks are counted with.
#[derive(Debug, Clone)]
pub(crate) struct WebhookMetrics {
    /// Bytes on disk.
    pub(crate) spool: Gauge<f64, AtomicU64>,
    pub(crate) lag: Gauge<f64, AtomicU64>,
    pub(crate) skipped: Counter,
    pub(crate) audit_sent: Counter,
    pub(crate) audit_lag: Gauge<f64, AtomicU64>,
    pub(crate) audit_missing: Counter,
    families: Arc<Families>,
}

impl WebhookMetrics {
    /// A request was answered with this status, or not at all.
    pub(crate) fn answered(&self, status: Option<u16>) {
        let label = match status.map(|status| status / 100) {
            Some(2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(5) => "5xx",
            Some(_) | None => "none",
        };
        self.families.webhook_answers.with([label]).inc();
    }
}

impl LogMetrics {
    pub(crate) fn written(&self, sink: &'static str) -> Counter {
        self.families.log_written.with([sink])
    }

    pub(crate) fn errors(&self, sink: &'static str) -> Counter {
        self.families.log_errors.with([sink])
    }

    pub(crate) fn dropped(&self, why: Dropped) -> Counter {
        self.families.log_dropped.with([why.as_str()])
    }

    pub(crate) fn withheld(&self, why: Withheld) -> Counter {
        self.families.log_withheld.with([why.as_str()])
    }
}

/// What asking a scanner is counted with.
#[derive(Debug)]
pub struct EnrichMetrics {
    outcomes: Vec<(&'static str, Counter)>,
    duration: Latency,
    families: Arc<Families>,
}

/// Label of the scanner.
const SHIELD: &str = "shield";

impl EnrichMetrics {
    /// A context that nobody was asked about.
    pub(crate) fn unasked(&self, outcome: &'static str) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(own, _)| *own == outcome) {
            counter.inc();
        }
    }

    /// A context that the scanner was asked about, for so long.
    pub(crate) fn asked(&self, outcome: &'static str, waited: Duration) {
        self.unasked(outcome);
        self.duration.observe(waited);
    }

    /// Whether the scanner answers.
    pub(crate) fn is_up(&self, up: bool) {
        let gauge = self.families.dependency_up.with([SHIELD]);
        gauge.set(if up { 1.0 } else { 0.0 });
    }
}

/// All metrics of a server. Shared as `Arc<Metrics>`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    rest: EvaluationMetrics,
    grpc: EvaluationMetrics,
    process_cache: (Counter, Counter),
    redis_cache: (Counter, Counter),
    cache_bypassed: Counter,
    cache_saved: Counter<f64, AtomicU64>,
    /// Milliseconds; 0 before anything is active.
    activated_ms: AtomicI64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics of a server, all at zero, in a registry of their own.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let families = Arc::new(Families::register(&mut registry));
        let evaluations = |transport: Transport| {
            let counter = |verb: Verb| families.evaluations.with([verb.as_str(), transport.as_str()]);
            EvaluationMetrics {
                allow: counter(Verb::Allow),
                warn: counter(Verb::Warn),
                modify: counter(Verb::Modify),
                deny: counter(Verb::Deny),
                duration: families.evaluation_duration.0.with([transport.as_str()]),
                errors: families.evaluation_errors.with([]),
            }
        };
        let cache = |layer: Layer| {
            (
                families.cache_hits.with([layer.as_str()]),
                families.cache_misses.with([layer.as_str()]),
            )
        };
        // Series that alerts look at are there from the start: a rate needs a first sample.
        for why in Dropped::ALL {
            families.log_dropped.with([why.as_str()]);
        }
        for why in Withheld::ALL {
            families.log_withheld.with([why.as_str()]);
        }
        for origin in ORIGINS {
            families.reload_failures.with([origin]);
        }
        Self {
            rest: evaluations(Transport::Rest),
            grpc: evaluations(Transport::Grpc),
            process_cache: cache(Layer::Process),
            redis_cache: cache(Layer::Redis),
            cache_bypassed: families.cache_bypassed.with([]),
            cache_saved: families.cache_saved.with([]),
            activated_ms: AtomicI64::new(0),
            registry,
            families,
        }
    }

    /// What evaluations of an interface are counted with.
    #[must_use]
    pub fn evaluations(&self, transport: Transport) -> &EvaluationMetrics {
        match transport {
            Transport::Rest => &self.rest,
            Transport::Grpc => &self.grpc,
        }
    }

    /// What requests of a route are counted with. `route` is the pattern, never the path of a request.
    #[must_use]
    pub fn route(&self, transport: Transport, route: &'static str) -> RouteMetrics {
        RouteMetrics {
            transport,
            route,
            families: Arc::clone(&self.families),
            duration: self.families.request_duration.0.with([transport.as_str(), route]),
            in_flight: self.families.requests_in_flight.with([]),
            statuses: (0..=HTTP_STATUSES.len() + GRPC_STATUSES.len())
                .map(|_| OnceLock::new())
                .collect(),
        }
    }

    /// What the caches counted between two looks.
    pub fn cache_counted(&self, before: &CacheStats, now: &CacheStats) {
        let (local_hits, local_misses) = self.cache(Layer::Process);
        let (shared_hits, shared_misses) = self.cache(Layer::Redis);
        let found_there = now.l2_hits.saturating_sub(before.l2_hits);
        let missed = now.misses.saturating_sub(before.misses);
        local_hits.inc_by(now.l1_hits.saturating_sub(before.l1_hits));
        local_misses.inc_by(missed + found_there);
        shared_hits.inc_by(found_there);
        if now.l2_hits > 0 {
            shared_misses.inc_by(missed);
        }
        self.cache_bypassed
            .inc_by(now.bypassed.saturating_sub(before.bypassed));
        let saved = Duration::from_nanos(now.saved_ns.saturating_sub(before.saved_ns));
        self.cache_saved.inc_by(saved.as_secs_f64());
    }

    fn cache(&self, layer: Layer) -> &(Counter, Counter) {
        match layer {
            Layer::Process => &self.process_cache,
            Layer::Redis => &self.redis_cache,
        }
    }

    /// Other policies decide from now on.
    pub fn activated(&self, policies: usize, rules: usize, revision: &str, digest: &str, at_ms: i64) {
        self.families.active_policies.with([]).set(float(policies));
        self.families.active_rules.with([]).set(float(rules));
        self.families.bundle_info.set(revision, digest);
        self.activated_ms.store(at_ms, Ordering::Relaxed);
        self.families.bundle_activated.with([]).set(millis(at_ms));
    }

    /// The revision of the store that is active.
    pub fn store_revision(&self, revision: u64) {
        self.families
            .store_revision
            .with([])
            .set(float(usize::try_from(revision).unwrap_or(usize::MAX)));
    }

    /// Policies or a bundle were refused, and what decided before goes on.
    pub fn reload_failed(&self, origin: &Origin) {
        let label = match origin {
            Origin::Store => "store",
            Origin::Directory(_) => "directory",
            Origin::BundleFile(_) => "bundle_file",
            Origin::BundleUrl(_) => "bundle_url",
        };
        self.families.reload_failures.with([label]).inc();
    }

    /// So many connections are open.
    pub fn connections(&self, open: usize) {
        self.families.connections.with([]).set(float(open));
    }

    /// A connection was refused.
    pub fn connection_refused(&self, why: Full) {
        self.families.connections_refused.with([why.as_str()]).inc();
    }

    /// A connection was closed because nothing came of it, or a stream of one was reset.
    pub fn connection_closed(&self, why: &'static str) {
        self.families.connections_closed.with([why]).inc();
    }

    /// A request was refused because the server was busy.
    pub fn shed(&self, reason: &'static str) {
        self.families.shed.with([reason]).inc();
    }

    /// Requests refused because their caller had its share of what is scarce, or because too many wait for it; there from now
    /// on.
    #[must_use]
    pub fn refused(&self) -> Refused {
        Refused {
            share: self.families.shed.with(["share"]),
            queue: self.families.shed.with(["queue"]),
        }
    }

    /// Requests that could not be counted for all servers together; there from now on.
    #[must_use]
    pub fn rate_limit_fallbacks(&self) -> Counter {
        self.families.rate_limit_fallbacks.with([])
    }

    /// A request was refused because its caller sent too many.
    pub fn rate_limited(&self, route: &'static str) {
        self.families.rate_limited.with([route]).inc();
    }

    /// A request had no valid token or key.
    pub fn auth_failed(&self, reason: &'static str) {
        self.families.auth_failures.with([reason]).inc();
    }

    /// Whether a dependency answers.
    pub fn dependency(&self, dependency: &'static str, up: bool) {
        self.families
            .dependency_up
            .with([dependency])
            .set(if up { 1.0 } else { 0.0 });
    }

    /// What asking a scanner is counted with; there from now on, by every outcome.
    pub(crate) fn enrich<const N: usize>(&self, reasons: [&'static str; N]) -> EnrichMetrics {
        let outcomes = ["safe", "unsafe"].into_iter().chain(reasons);
        let counter = |outcome| (outcome, self.families.enrichments.with([SHIELD, outcome]));
        let metrics = EnrichMetrics {
            outcomes: outcomes.map(counter).collect(),
            duration: self.families.enrich_duration.0.with([SHIELD]),
            families: Arc::clone(&self.families),
        };
        metrics.is_up(true);
        metrics
    }

    /// What the decision log counts with; `capacity` is how many decisions may wait, `spool` how many bytes on disk.
    pub(crate) fn decision_log(&self, capacity: usize, spool: u64) -> LogMetrics {
        self.families.log_capacity.with([]).set(float(capacity));
        self.families.log_spool_capacity.with([]).set(spool as f64);
        LogMetrics {
            queue: self.families.log_queue.with([]),
            pruned: self.families.log_pruned.with([]),
            spool: self.families.log_spool.with([]),
            spooled: self.families.log_spooled.with([]),
            replayed: self.families.log_replayed.with([]),
            sealed: self.families.log_sealed.with([]),
            families: Arc::clone(&self.families),
        }
    }

    /// What webhooks are counted with; `spool` is how many bytes may wait on disk.
    pub(crate) fn webhook(&self, spool: u64) -> WebhookMetrics {
        self.families.webhook_spool_capacity.with([]).set(spool as f64);
        WebhookMetrics {
            spool: self.families.webhook_spool.with([]),
            lag: self.families.webhook_lag.with([]),
            skipped: self.families.webhook_skipped.with([]),
            audit_sent: self.families.webhook_audit_sent.with([]),
            audit_lag: self.families.webhook_audit_lag.with([]),
            audit_missing: self.families.webhook_audit_missing.with([]),
            families: Arc::clone(&self.families),
        }
    }

    /// Everything, in the OpenMetrics text format. Ends with `# EOF`; a text that does not is refused by scrapers.
    #[must_use]
    pub fn encode(&self) -> String {
        let activated = self.activated_ms.load(Ordering::Relaxed);
        if activated > 0 {
            let now = clock::since_epoch().as_secs_f64();
            let age = (now - millis(activated)).max(0.0);
            self.families.bundle_age.with([]).set(age);
        }
        let mut text = String::with_capacity(16 * 1024);
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("the metrics could not be encoded; the scrape is cut short");
        }
        text
    }
}

/// Labels of [`Metrics::reload_failed`].
const ORIGINS: [&str; 4] = ["store", "directory", "bundle_file", "bundle_url"];

fn float(n: usize) -> f64 {
    n as f64
}

fn millis(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod boards;
#[cfg(test)]
mod tests;
