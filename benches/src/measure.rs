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
    interleave_within(rounds, slice, Duration::MAX, batches)
}

/// As [`interleave`], where a contender that would take longer than `budget` over all rounds sits some of them out.
/// Every one has at least three turns, spread evenly.
pub fn interleave_within(
    rounds: usize,
    slice: Duration,
    budget: Duration,
    batches: &mut [Batch<'_>],
) -> Vec<Vec<f64>> {
    let pace: Vec<(u32, usize)> = batches
        .iter_mut()
        .map(|batch| {
            let once = calibrate(batch);
            let repeats = whole(slice, once).max(1);
            let turns = usize::try_from(whole(budget, once * repeats)).unwrap_or(usize::MAX);
            (repeats, turns.clamp(3, rounds.max(3)).min(rounds))
        })
        .collect();
    let mut samples = vec![Vec::with_capacity(rounds); batches.len()];
    for round in 0..rounds {
        for turn in 0..batches.len() {
            let who = (round + turn) % batches.len();
            let (repeats, turns) = pace[who];
            if round * turns / rounds == (round + 1) * turns / rounds {
                continue;
            }
            let start = Instant::now();
            for _ in 0..repeats {
                batches[who]();
            }
            samples[who].push(start.elapsed().as_nanos() as f64 / f64::from(repeats));
        }
    }
    samples
}

/// What one call of `batch` takes once it is warm.
fn calibrate(batch: &mut Batch<'_>) -> Duration {
    let begin = Instant::now();
    for _ in 0..3 {
        batch();
        if begin.elapsed() > Duration::from_millis(200) {
            break;
        }
    }
    let start = Instant::now();
    batch();
    start.elapsed().max(Duration::from_nanos(1))
}

/// How often `part` fits into `time`.
fn whole(time: Duration, part: Duration) -> u32 {
    u32::try_from(time.as_nanos() / part.as_nanos().max(1)).unwrap_or(u32::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_contender_has_fewer_turns() {
        let mut batches: Vec<Batch<'_>> = vec![
            Box::new(|| {
                black_box(());
            }),
            Box::new(|| std::thread::sleep(Duration::from_millis(2))),
        ];
        let budget = Duration::from_millis(10);
        let samples = interleave_within(31, Duration::from_micros(10), budget, &mut batches);
        assert_eq!(samples[0].len(), 31);
        assert!((3..=5).contains(&samples[1].len()), "{}", samples[1].len());
    }
}
