//! How much more two threads do than one, when they share one engine.
//!
//! A round runs one thread alone and then two at once, each as often as the first did; two cores that are free do twice the
//! work. Whether they are free is what the control tells: the same requests, where each thread has an engine of its own
//! that it loaded itself, so that nothing is shared. On a machine with other work, or whose two processors are two threads
//! of one core (virtual machines do not tell), the control stays below 2 as well, and what is to be read is the engine's
//! number divided by the control's. A control near 1 means that the two threads took turns on one processor (schedulers
//! share out time by session, however many threads it has): then nothing ran at once, and the measurement says nothing.

use policy_runtime::{EvaluateOptions, PolicyEngine, Worker};
use serde::Serialize;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::measure::percentile;

/// What is expected of two free cores.
pub const TARGET: f64 = 1.95;

/// The part of all rounds that counts as undisturbed.
const UNDISTURBED: f64 = 0.1;

/// Work of two threads as a multiple of the work of one: the fastest run of one thread against the fastest tenth of those of
/// two, so that neither can be above 2, and rounds in which something else had a processor do not count.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Two threads that decide with one engine.
    pub engine: f64,
    /// Two threads that share nothing.
    pub control: f64,
    /// `engine / control`: what sharing the engine costs, on a busy machine too.
    pub relative: f64,
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

/// Measures `rounds` rounds on the requests `contexts`, with two engines that were loaded apart and hold the same
/// policies; `None` on a machine with one core.
#[must_use]
pub fn scaling<'e>(engines: [&'e PolicyEngine; 2], contexts: &[Vec<u8>], rounds: usize) -> Option<Scaling> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return None;
    }
    let decide = |(engine, worker): &mut (&'e PolicyEngine, Worker)| {
        for body in contexts {
            let options = EvaluateOptions::default();
            black_box(engine.evaluate_into(worker, black_box(body), &options).is_ok());
        }
    };
    let [first, second] = engines;
    let pair = |engines: [&'e PolicyEngine; 2]| engines.map(|engine| (engine, Worker::new()));
    let calls = calls(&decide, pair([first, second]));
    let mut sharing = Pair::new(pair([first, first]), &decide, calls);
    let mut apart = Pair::new(pair([first, second]), &decide, calls);
    let (mut one, mut shared, mut own) = (f64::INFINITY, Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (pair, both) in [(&mut sharing, &mut shared), (&mut apart, &mut own)] {
            let round = pair.round();
            one = one.min(round[0]);
            both.push(round[1]);
        }
    }
    let [engine, control] = [shared, own].map(|both| 2.0 * one / percentile(&both, UNDISTURBED));
    Some(Scaling {
        engine,
        control,
        relative: engine / control,
    })
}

/// A state on cache lines of its own: neighbours would slow each other down, and that is not what is asked.
#[repr(align(128))]
struct Apart<W>(W);

/// So many calls that a thread has about ten milliseconds of work.
fn calls<W>(step: &impl Fn(&mut W), [mut state, _]: [W; 2]) -> u32 {
    (0..3).for_each(|_| step(&mut state));
    let start = Instant::now();
    step(&mut state);
    let once = start.elapsed().as_nanos().max(1);
    let calls = Duration::from_millis(10).as_nanos() / once;
    u32::try_from(calls).unwrap_or(u32::MAX).max(1)
}

/// Two threads' states and what each does with its own.
struct Pair<'s, W, F> {
    states: [Apart<W>; 2],
    step: &'s F,
    /// Calls of `step` in a round.
    calls: u32,
}

impl<'s, W: Send, F: Fn(&mut W) + Sync> Pair<'s, W, F> {
    fn new(states: [W; 2], step: &'s F, calls: u32) -> Self {
        Self {
            states: states.map(Apart),
            step,
            calls,
        }
    }

    /// Seconds of one thread alone, and of two at once.
    fn round(&mut self) -> [f64; 2] {
        let [Apart(first), Apart(second)] = &mut self.states;
        let alone = elapsed(self.step, self.calls, [first]);
        let both = elapsed(self.step, self.calls, [first, second]);
        [alone, both].map(|time| time.as_secs_f64())
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
            }
            .verdict()
        };
        assert_eq!(of(1.96, 1.99), "reached");
        assert_eq!(of(1.0, 1.0), "says nothing: the threads took turns");
        assert_eq!(of(1.79, 1.8), "the machine was busy: as good as nothing shared");
        assert_eq!(of(1.5, 1.98), "**below the target**");
    }
}
