//! What asking a scanner is counted with.

use super::families::Families;
use super::latency::Latency;
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use std::time::Duration;

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
    /// By every outcome.
    pub(super) fn of<const N: usize>(families: &Arc<Families>, reasons: [&'static str; N]) -> Self {
        let outcomes = ["safe", "unsafe"].into_iter().chain(reasons);
        let counter = |outcome| (outcome, families.enrichments.with([SHIELD, outcome]));
        let metrics = Self {
            outcomes: outcomes.map(counter).collect(),
            duration: families.enrich_duration.0.with([SHIELD]),
            families: Arc::clone(families),
        };
        metrics.is_up(true);
        metrics
    }

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
