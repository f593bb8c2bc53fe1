//! Metrics: one table of families, and the handles that the parts of the server count with.
//!
//! `for_each_family` in `metrics/families.rs` is the table. The fields of [`Metrics`], their registration, [`FAMILIES`] (which the checks of the
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

mod cache;
mod decision_log;
mod enrich;
mod families;
mod latency;
mod requests;
mod series;

pub use cache::{CacheMetrics, LayerMetrics};
pub use decision_log::Withheld;
pub(crate) use decision_log::{Dropped, LogMetrics, WebhookMetrics};
pub use enrich::EnrichMetrics;
pub use families::{FAMILIES, FamilyInfo, markdown, names};
pub use requests::{EvaluationMetrics, InFlight, RouteMetrics, Status, Transport};

use crate::clock;
use crate::shares::Full;
use families::Families;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a server. Shared as `Arc<Metrics>`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    rest: EvaluationMetrics,
    grpc: EvaluationMetrics,
    cache: CacheMetrics,
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
            rest: EvaluationMetrics::of(&families, Transport::Rest),
            grpc: EvaluationMetrics::of(&families, Transport::Grpc),
            cache: CacheMetrics::of(&families),
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
        RouteMetrics::of(&self.families, transport, route)
    }

    /// What the caches are counted with.
    #[must_use]
    pub fn cache(&self) -> &CacheMetrics {
        &self.cache
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

    /// Policies or a bundle were refused, and what decided before goes on. `origin` is one of [`ORIGINS`].
    pub fn reload_failed(&self, origin: &'static str) {
        self.families.reload_failures.with([origin]).inc();
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

    /// Requests refused because the server was busy, for this reason; there from now on.
    #[must_use]
    pub fn sheds(&self, reason: &'static str) -> Counter {
        self.families.shed.with([reason])
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
        EnrichMetrics::of(&self.families, reasons)
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

/// Where policies can come from, as labels of [`Metrics::reload_failed`]: those of [`crate::active::Origin::label`].
pub const ORIGINS: [&str; 4] = ["store", "directory", "bundle_file", "bundle_url"];

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
