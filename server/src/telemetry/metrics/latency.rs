//! Histograms of durations that threads do not queue for.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A histogram of durations without a lock: the library's takes one for every observation, which threads would queue for.
#[derive(Debug, Clone)]
pub(super) struct Latency(Arc<LatencyInner>);

#[derive(Debug)]
pub(super) struct LatencyInner {
    /// Upper bounds in nanoseconds, rising.
    bounds: &'static [u64],
    /// One for every bound, and one for what is longer than all of them.
    counts: Box<[AtomicU64]>,
    /// Nanoseconds; overflows after 584 years.
    sum: AtomicU64,
}

impl Latency {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        Self(Arc::new(LatencyInner {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.0.bounds.partition_point(|bound| *bound < nanos);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.sum.fetch_add(nanos, Ordering::Relaxed);
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
            .zip(&self.0.counts)
            .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
            .collect();
        // The count is the sum of the buckets, so that a scrape between two additions is consistent.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0.sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
