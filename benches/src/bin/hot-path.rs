//! One contender on one workload, a fixed number of times: what an instruction counter or a profiler wants to run.
//!
//! ```text
//! hot-path bundles DIR                                writes DIR/<workload>.bundle for every workload
//! hot-path run DIR/<workload>.bundle WORKLOAD STAGE PASSES
//! ```
//!
//! `STAGE` is `response` (request to response JSON), `decide` (request to verdict), `projection` or `hand-written`; one
//! pass is every request of the workload once. Everything before the passes is done outside [`measured`], the
//! function that `callgrind.sh` counts in.

use policy_benches::hand_written::HandWritten;
use policy_benches::ours::{self, Projection};
use policy_benches::workloads;
use policy_runtime::{EvaluateOptions, Worker};
use std::hint::black_box;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["bundles", folder] => bundles(folder),
        ["run", bundle, workload, stage, times] => run(bundle, workload, stage, times),
        _other => Err("usage: hot-path bundles DIR | hot-path run BUNDLE WORKLOAD STAGE PASSES".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hot-path: {message}");
            ExitCode::FAILURE
        }
    }
}

fn bundles(folder: &str) -> Result<(), String> {
    for workload in workloads::all() {
        let path = format!("{folder}/{}.bundle", workload.name);
        std::fs::write(&path, ours::bundle(&workload.policy)?).map_err(|e| format!("{path}: {e}"))?;
    }
    Ok(())
}

fn run(bundle: &str, workload: &str, stage: &str, times: &str) -> Result<(), String> {
    let workload = workloads::by_name(workload).ok_or("there is no such workload")?;
    let times: usize = times.parse().map_err(|_| "PASSES is a number")?;
    let bytes = std::fs::read(bundle).map_err(|e| format!("{bundle}: {e}"))?;
    let contexts = &workload.contexts;
    match stage {
        "response" => {
            let (engine, mut worker) = (ours::engine(&bytes)?, Worker::new());
            let options = EvaluateOptions::default();
            passes(times, contexts, |body| {
                engine.evaluate_into(&mut worker, body, &options).is_ok()
            });
        }
        "decide" => {
            let (engine, mut worker) = (ours::engine(&bytes)?, Worker::new());
            let options = EvaluateOptions::default();
            passes(times, contexts, |body| {
                engine.decide(&mut worker, body, &options).is_ok()
            });
        }
        "projection" => {
            let mut projection = Projection::of_bundle(&bytes)?;
            passes(times, contexts, |body| projection.run(body));
        }
        "hand-written" => {
            let policy = HandWritten::of(&workload).ok_or("there is no hand-written form")?;
            passes(times, contexts, |body| policy.decide(body).is_ok());
        }
        _other => return Err("STAGE is response, decide, projection or hand-written".to_owned()),
    }
    // The divisor of the count.
    println!("{}", times * contexts.len());
    Ok(())
}

/// Two passes to warm up, then those that count.
fn passes(times: usize, contexts: &[Vec<u8>], mut decide: impl FnMut(&[u8]) -> bool) {
    all(2, contexts, &mut decide);
    measured(times, contexts, &mut decide);
}

/// What `callgrind.sh` switches the counter on for.
#[inline(never)]
fn measured(times: usize, contexts: &[Vec<u8>], decide: &mut dyn FnMut(&[u8]) -> bool) {
    all(times, contexts, decide);
}

fn all(times: usize, contexts: &[Vec<u8>], decide: &mut dyn FnMut(&[u8]) -> bool) {
    for _ in 0..times {
        for body in contexts {
            black_box(decide(black_box(body)));
        }
    }
}
