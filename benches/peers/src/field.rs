//! All engines on one workload: loaded, held against every expected decision, then timed in turns.

use crate::contender::{Contender, Engine, Unable, check, failed};
use policy_benches::measure::{self, Batch};
use policy_benches::workloads::Workload;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long a contender runs in one round, where its requests do not take longer.
const SLICE: Duration = Duration::from_millis(1);

/// How long a contender runs over all rounds of a workload. Slow ones get fewer rounds, and fewer requests a round.
const BUDGET: Duration = Duration::from_secs(1);

/// How many requests an engine answers before it is timed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Check {
    /// Every one.
    All,
    /// As many as it answers in half a second.
    Some,
}

/// What one engine did.
pub(crate) enum Outcome {
    Timed(Timed),
    Out(Unable),
}

/// The time of one engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    /// Nanoseconds per decision: the median over rounds.
    pub(crate) ns: f64,
    /// Seconds to load the policy, and to compile it where the engine does.
    pub(crate) load: f64,
    /// Rounds and requests a round.
    pub(crate) rounds: usize,
    pub(crate) requests: usize,
}

/// What the engine is asked for in a round.
struct Entrant {
    contender: Box<dyn Contender>,
    load: f64,
    requests: Vec<usize>,
}

/// Runs `engines` on a workload; the outcomes are parallel to them.
pub(crate) fn run(workload: &Workload, engines: &[&Engine], rounds: usize, checked: Check) -> Vec<Outcome> {
    let mut entrants: Vec<Result<Entrant, Unable>> = engines
        .iter()
        .map(|engine| {
            eprint!("{}: {} …", workload.name, engine.name);
            let entrant = enter(engine, workload, checked);
            match &entrant {
                Ok(entrant) => eprintln!(" loaded in {:.3} s", entrant.load),
                Err(unable) => eprintln!(" {unable}"),
            }
            entrant
        })
        .collect();
    let mut batches: Vec<Batch<'_>> = entrants
        .iter_mut()
        .flatten()
        .map(
            |Entrant {
                 contender, requests, ..
             }|
             -> Batch<'_> {
                Box::new(|| {
                    for &i in &*requests {
                        black_box(contender.decide(black_box(&workload.contexts[i])).is_ok());
                    }
                })
            },
        )
        .collect();
    let samples = measure::interleave_within(rounds, SLICE, BUDGET, &mut batches);
    drop(batches);
    let mut samples = samples.iter();
    entrants
        .into_iter()
        .map(|entrant| match entrant {
            Err(unable) => Outcome::Out(unable),
            Ok(Entrant { load, requests, .. }) => {
                let samples = samples.next().map(Vec::as_slice).unwrap_or_default();
                Outcome::Timed(Timed {
                    ns: measure::median(samples) / requests.len() as f64,
                    load,
                    rounds: samples.len(),
                    requests: requests.len(),
                })
            }
        })
        .collect()
}

fn enter(engine: &Engine, workload: &Workload, checked: Check) -> Result<Entrant, Unable> {
    let start = Instant::now();
    let mut contender = (engine.load)(workload)?;
    let load = start.elapsed().as_secs_f64();
    // Twice: the first decision may compile what later ones find ready.
    check(&mut *contender, workload, &[0]).map_err(failed)?;
    let start = Instant::now();
    check(&mut *contender, workload, &[0]).map_err(failed)?;
    let once = start.elapsed();
    let all = workload.contexts.len();
    let within = |time: Duration| {
        let fit = time.as_nanos() / once.as_nanos().max(1);
        spread(all, usize::try_from(fit).unwrap_or(all).clamp(1, all))
    };
    let to_check = match checked {
        Check::All => spread(all, all),
        Check::Some => within(Duration::from_millis(500)),
    };
    check(&mut *contender, workload, &to_check).map_err(failed)?;
    Ok(Entrant {
        contender,
        load,
        // Leaves time for a handful of rounds.
        requests: within(BUDGET / 8),
    })
}

/// `count` of `all` indices, evenly spread.
fn spread(all: usize, count: usize) -> Vec<usize> {
    (0..count).map(|i| i * all / count).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn requests_are_spread_evenly() {
        assert_eq!(spread(4, 4), [0, 1, 2, 3]);
        assert_eq!(spread(256, 4), [0, 64, 128, 192]);
        assert_eq!(spread(5, 1), [0]);
    }
}
