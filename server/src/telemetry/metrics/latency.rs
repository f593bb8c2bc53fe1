//! Histograms of durations that threads do not queue for.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// A histogram of durations without a lock: the library's takes one for every observation, which threads would queue for.
#[derive(Debug, Clone)]
pub(super) struct Latency(Arc<LatencyInner>);

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
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        Self(Arc::new(LatencyInner {
            bounds,
            stripes: std::array::from_fn(|_| Stripe {
                counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
                sum: AtomicU64::new(0),
            }),
        }))
    }

    pub(super) fn observe(&self, duration: Duration) {
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
