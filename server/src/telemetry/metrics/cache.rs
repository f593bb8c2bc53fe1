//! What the caches are counted with.

use super::families::Families;
use prometheus_client::metrics::counter::Counter;
use std::sync::atomic::AtomicU64;

/// What one level of the cache is counted with.
#[derive(Debug)]
pub struct LayerMetrics {
    /// Decisions that were found.
    pub hits: Counter,
    /// Decisions that were looked for and not found.
    pub misses: Counter,
}

/// What the caches are counted with.
#[derive(Debug)]
pub struct CacheMetrics {
    /// Memory of this process.
    pub process: LayerMetrics,
    /// Redis.
    pub redis: LayerMetrics,
    /// Evaluations that were cheaper than a lookup.
    pub bypassed: Counter,
    /// Evaluation time that the caches saved, in seconds.
    pub saved: Counter<f64, AtomicU64>,
}

impl CacheMetrics {
    pub(super) fn of(families: &Families) -> Self {
        let layer = |layer| LayerMetrics {
            hits: families.cache_hits.with([layer]),
            misses: families.cache_misses.with([layer]),
        };
        Self {
            process: layer("process"),
            redis: layer("redis"),
            bypassed: families.cache_bypassed.with([]),
            saved: families.cache_saved.with([]),
        }
    }
}
