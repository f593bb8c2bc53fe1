//! Times of requests, in buckets that grow with the time: 64 to each doubling, so that a percentile is exact to 1.6 %.
//!
//! Filled by `generator`, read by `report`. Memory is constant however long a run takes.

/// Buckets to each doubling.
const STEPS: usize = 64;
/// Bits of a bucket within its doubling.
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// 64 doublings at most.
const BUCKETS: usize = STEPS * 64;

/// Counts of times.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS as u64 {
        return nanoseconds as usize;
    }
    let shift = nanoseconds.ilog2() - STEP_BITS;
    let within = (nanoseconds >> shift) as usize - STEPS;
    (shift as usize + 1) * STEPS + within
}

/// Where a bucket ends.
fn end(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let (shift, within) = (bucket / STEPS - 1, bucket % STEPS);
    (((STEPS + within + 1) as u128) << shift)
        .saturating_sub(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

impl Histogram {
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The time in nanoseconds that `share` of all did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (i, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return end(i);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, bucket, end};

    #[test]
    fn buckets_follow_each_other() {
        for i in 1..BUCKETS - 64 * 6 {
            assert_eq!(bucket(end(i)), i, "{i}");
            assert_eq!(bucket(end(i - 1) + 1), i, "{i}");
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_are_close() {
        let mut histogram = Histogram::default();
        for n in 1..=100_000 {
            histogram.record(n);
        }
        for (share, exact) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0)] {
            let found = histogram.quantile(share) as f64;
            assert!((exact..exact * 1.016).contains(&found), "{share}: {found}");
        }
        assert_eq!(histogram.total(), 100_000);
    }
}
