//! Timing several contenders side by side in one process.
//!
//! Machines drift: other processes, clock frequency, caches. So contenders take turns within each round, each round
//! starts with another one, and what is reported is the median over rounds, to be read as ratios of one run.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of a reported measurement.
pub const ROUNDS: usize = 31;

/// Something that decides a batch of requests, once per call.
pub type Batch<'a> = Box<dyn FnMut() + 'a>;

/// Times `batches` in turns; returns the nanoseconds of one call of each, one entry per round.
pub fn interleave(rounds: usize, slice: Duration, batches: &mut [Batch<'_>]) -> Vec<Vec<f64>> {
    let repeats: Vec<u32> = batches.iter_mut().map(|batch| calibrate(slice, batch)).collect();
    let mut samples = vec![Vec::with_capacity(rounds); batches.len()];
    for round in 0..rounds {
        for turn in 0..batches.len() {
            let who = (round + turn) % batches.len();
            let start = Instant::now();
            for _ in 0..repeats[who] {
                batches[who]();
            }
            samples[who].push(start.elapsed().as_nanos() as f64 / f64::from(repeats[who]));
        }
    }
    samples
}

/// How often to call `batch` to fill `slice`. Warms it up.
fn calibrate(slice: Duration, batch: &mut Batch<'_>) -> u32 {
    for _ in 0..3 {
        batch();
    }
    let start = Instant::now();
    batch();
    let once = start.elapsed().max(Duration::from_nanos(1));
    u32::try_from(slice.as_nanos() / once.as_nanos())
        .unwrap_or(u32::MAX)
        .max(1)
}

/// The middle value.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The value that this part of all values does not exceed.
#[must_use]
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 <= part <= 1, lengths are small"
    )]
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Nanoseconds of single calls: `call(i)` for every `i` below `count`, `times` times over, without the clock's cost.
pub fn singles(count: usize, times: usize, mut call: impl FnMut(usize)) -> Vec<f64> {
    let clock = median(&(0..1001).map(|_| lap(|| ())).collect::<Vec<_>>());
    let mut samples = Vec::with_capacity(count * times);
    for _ in 0..times {
        for i in 0..count {
            samples.push((lap(|| call(i)) - clock).max(0.0));
        }
    }
    samples
}

fn lap(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    black_box(());
    start.elapsed().as_nanos() as f64
}
