//! How long decisions have taken, by the size of their requests.

use policy_bytecode::bundle::CostCertificate;
use std::sync::atomic::{AtomicU64, Ordering};

/// What requests of each size have taken to decide, in nanoseconds. Belongs to one set of policies.
///
/// Sizes are powers of two of the bytes of text. A place is 0 until the first request of its size; then it is a mean in
/// which the last eight or so count. Threads that write at the same time lose a sample, which a mean can bear.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    means: [AtomicU64; 32],
}

impl Timings {
    /// Share of a new sample, as a power of two.
    const SHARE: u32 = 3;

    fn place(&self, text: usize) -> Option<&AtomicU64> {
        let size = (text | 1).ilog2() as usize;
        self.means.get(size.min(self.means.len() - 1))
    }

    /// What deciding should take, by the bound that the compiler stated and by what was measured.
    pub(crate) fn expected(&self, bound: &CostCertificate, text: usize) -> u64 {
        let texts = bound.cost_per_text_kb.saturating_mul(text as u64) / 1024;
        let bound = bound.fixed_cost.saturating_add(texts);
        match self.place(text).map_or(0, |mean| mean.load(Ordering::Relaxed)) {
            0 => bound,
            mean => mean.min(bound),
        }
    }

    pub(crate) fn add(&self, text: usize, nanoseconds: u64) {
        let Some(place) = self.place(text) else { return };
        let mean = match place.load(Ordering::Relaxed) {
            0 => nanoseconds,
            mean => mean - (mean >> Self::SHARE) + (nanoseconds >> Self::SHARE),
        };
        place.store(mean.max(1), Ordering::Relaxed);
    }
}
