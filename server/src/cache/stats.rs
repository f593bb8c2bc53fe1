//! What both caches count, from the start of the server on.

use crate::telemetry::metrics::CacheMetrics;
use std::time::Duration;

/// Counters of both caches, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Answers from the cache in process.
    pub l1_hits: u64,
    /// Answers from Redis.
    pub l2_hits: u64,
    /// Decisions that were looked for and had to be made.
    pub misses: u64,
    /// Requests that were not looked for: those that cost less than looking, and those with a trace.
    pub bypassed: u64,
    /// Decisions that were put into the cache in process.
    pub stored: u64,
    /// What hits would have taken to decide, less what they took, in nanoseconds.
    pub saved_ns: u64,
    /// Operations on Redis that failed or took too long.
    pub redis_errors: u64,
    /// Decisions that were not written to Redis: too many at once, or it is not there.
    pub dropped: u64,
    /// Decisions in the cache in process.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

impl CacheStats {
    /// Share of lookups that found something, 0 … 1; 0 before the first.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let hits = self.l1_hits + self.l2_hits;
        match hits + self.misses {
            0 => 0.0,
            asked => hits as f64 / asked as f64,
        }
    }

    /// Counts what came since `before`.
    pub(crate) fn count_since(&self, before: &Self, metrics: &CacheMetrics) {
        let found_there = self.l2_hits.saturating_sub(before.l2_hits);
        let missed = self.misses.saturating_sub(before.misses);
        let (process, redis) = (&metrics.process, &metrics.redis);
        process.hits.inc_by(self.l1_hits.saturating_sub(before.l1_hits));
        process.misses.inc_by(missed + found_there);
        redis.hits.inc_by(found_there);
        if self.l2_hits > 0 {
            redis.misses.inc_by(missed);
        }
        metrics
            .bypassed
            .inc_by(self.bypassed.saturating_sub(before.bypassed));
        let saved = Duration::from_nanos(self.saved_ns.saturating_sub(before.saved_ns));
        metrics.saved.inc_by(saved.as_secs_f64());
    }
}
