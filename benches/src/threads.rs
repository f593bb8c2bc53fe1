//! How much more two threads do than one, when they share one engine.
//!
//! A round runs one thread alone and then two at once, each as often as the first did; two cores that are free do twice the
//! work. Whether they are free is what the control tells: arithmetic in registers, which shares nothing at all. On a
//! machine with other work, or whose two processors are one core, the control stays below 2 as well, and what is to be
//! read is the engine's number divided by the control's. A control near 1 means that the two threads took turns on one
//! processor (schedulers share out time by session, however many threads it has): then nothing ran at once, and the
//! measurement says nothing.

use policy_runtime::{EvaluateOptions, PolicyEngine, Worker};
use serde::Serialize;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::measure::median;

/// What is expected of two free cores.
pub const TARGET: f64 = 1.95;

/// A control from here on had two cores to itself.
const FREE: f64 = 1.9;

/// So many such rounds are enough to look at them alone.
const ENOUGH: usize = 5;

/// Work of two threads as a multiple of the work of one: medians over the rounds in which both cores were free, or over all
/// where those are too few.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Two threads that decide with one engine.
    pub engine: f64,
    /// Two threads that share nothing.
    pub control: f64,
    /// `engine / control`, round by round: what sharing the engine costs, on a busy machine too.
    pub relative: f64,
    /// Rounds in which both cores were free.
    pub free_rounds: usize,
}

impl Scaling {
    /// How to read it, in a word.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        if self.engine >= TARGET {
            "reached"
        } else if self.control < 1.5 {
            "says nothing: the threads took turns"
        } else if self.relative >= TARGET / 2.0 {
            "the machine was busy: as good as nothing shared"
        } else {
            "**below the target**"
        }
    }
}

/// Measures `rounds` rounds on the requests `contexts`; `None` on a machine with one core.
#[must_use]
pub fn scaling(engine: &PolicyEngine, contexts: &[Vec<u8>], rounds: usize) -> Option<Scaling> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return None;
    }
    let decide = |worker: &mut Worker| {
        for body in contexts {
            let options = EvaluateOptions::default();
            black_box(engine.evaluate_into(worker, black_box(body), &options).is_ok());
        }
    };
    let mut deciding = Pair::new([Worker::new(), Worker::new()], decide);
    let mut computing = Pair::new([1, 2], |state: &mut u64| {
        for _ in 0..10_000 {
            *state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).rotate_left(17));
        }
    });
    let samples: Vec<[f64; 2]> = (0..rounds)
        .map(|_| [deciding.round(), computing.round()])
        .collect();
    let free: Vec<[f64; 2]> = samples
        .iter()
        .copied()
        .filter(|[_, control]| *control >= FREE)
        .collect();
    let used = if free.len() >= ENOUGH { &free } else { &samples };
    let middle = |value: fn(&[f64; 2]) -> f64| median(&used.iter().map(value).collect::<Vec<_>>());
    Some(Scaling {
        engine: middle(|[engine, _]| *engine),
        control: middle(|[_, control]| *control),
        relative: middle(|[engine, control]| engine / control),
        free_rounds: free.len(),
    })
}

/// A state on cache lines of its own: neighbours would slow each other down, and that is not what is asked.
#[repr(align(128))]
struct Apart<W>(W);

/// Two threads' states and what each does with its own.
struct Pair<W, F> {
    states: [Apart<W>; 2],
    step: F,
    /// Calls of `step` in a round: about ten milliseconds.
    calls: u32,
}

impl<W: Send, F: Fn(&mut W) + Sync> Pair<W, F> {
    fn new(states: [W; 2], step: F) -> Self {
        let mut states = states.map(Apart);
        for Apart(state) in &mut states {
            (0..3).for_each(|_| step(state));
        }
        let start = Instant::now();
        step(&mut states[0].0);
        let once = start.elapsed().as_nanos().max(1);
        let calls = Duration::from_millis(10).as_nanos() / once;
        Self {
            states,
            step,
            calls: u32::try_from(calls).unwrap_or(u32::MAX).max(1),
        }
    }

    /// Work of two threads at once as a multiple of the work of one.
    fn round(&mut self) -> f64 {
        let [Apart(first), Apart(second)] = &mut self.states;
        let alone = elapsed(&self.step, self.calls, [first]);
        let both = elapsed(&self.step, self.calls, [first, second]);
        2.0 * alone.as_secs_f64() / both.as_secs_f64()
    }
}

/// From the first thread's start to the last one's end.
fn elapsed<W: Send, const N: usize>(
    step: &(impl Fn(&mut W) + Sync),
    calls: u32,
    states: [&mut W; N],
) -> Duration {
    let ready = Barrier::new(N);
    let spans: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
        let threads = states.map(|state| {
            let ready = &ready;
            scope.spawn(move || {
                step(state);
                ready.wait();
                let start = Instant::now();
                (0..calls).for_each(|_| step(state));
                (start, Instant::now())
            })
        });
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let start = spans.iter().map(|(start, _)| *start).min();
    let end = spans.iter().map(|(_, end)| *end).max();
    start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start)
}

#[cfg(test)]
mod tests {
    use super::Scaling;

    #[test]
    fn a_busy_machine_is_no_verdict_on_the_engine() {
        let of = |engine: f64, control: f64| {
            Scaling {
                engine,
                control,
                relative: engine / control,
                free_rounds: 0,
            }
            .verdict()
        };
        assert_eq!(of(1.96, 1.99), "reached");
        assert_eq!(of(1.0, 1.0), "says nothing: the threads took turns");
        assert_eq!(of(1.79, 1.8), "the machine was busy: as good as nothing shared");
        assert_eq!(of(1.5, 1.98), "**below the target**");
    }
}
