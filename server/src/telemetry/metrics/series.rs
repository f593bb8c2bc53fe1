//! What kinds of families there are, and the series of each by their labels.

use super::latency::Latency;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, EncodeMetric, LabelSetEncoder,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

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
pub(super) trait Kind: Sized {
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
pub(super) struct Series<M: 'static> {
    labels: &'static [&'static str],
    family: Family<Labels, M, fn() -> M>,
    /// The one series of a family without labels.
    single: M,
}

impl<M: Clone> Series<M> {
    /// The series with these label values, in the order of the table. Takes a lock: not for the hot path.
    pub(super) fn with<const N: usize>(&self, values: [&'static str; N]) -> M {
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

pub(super) type Counters = Series<Counter>;

pub(super) type Times = Series<Counter<f64, AtomicU64>>;

pub(super) type Gauges = Series<Gauge<f64, AtomicU64>>;

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
pub(super) struct Evaluations(pub(super) Series<Latency>);

/// Times of requests.
#[derive(Debug)]
pub(super) struct Requests(pub(super) Series<Latency>);

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

/// What decides, as one series of labels. A change replaces the labels: old revisions do not pile up.
#[derive(Debug, Clone)]
pub(super) struct BundleInfo {
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
    pub(super) fn set(&self, revision: &str, digest: &str) {
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
