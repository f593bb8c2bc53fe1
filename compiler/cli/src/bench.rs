//! `policyc bench`: how long decisions take on this machine, and what they allocate.
//!
//! Three measurements on one worker: a loop without a clock in it gives the mean and the allocations, once with the
//! response and once with the verdict only; then each evaluation is timed alone, for the percentiles, with the cost of
//! reading the clock taken off.

use crate::args::Format;
use crate::engine::{EngineArgs, RequestArgs};
use crate::exit::Exit;
use crate::{Host, output, project};
use anyhow::{Context as _, bail};
use policy_runtime::{EvaluateOptions, PolicyEngine, Worker};
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Most samples that are kept for the percentiles.
const MAX_SAMPLES: usize = 1 << 20;

/// Measure decisions on a file of contexts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The contexts are read beforehand and evaluated in turn by one thread. Response ids are given, not \
                        generated.\n\nExample:\n  policyc bench policies.bundle --contexts requests.jsonl --format json"
)]
pub(crate) struct Args {
    /// Policy files, directories, or one bundle [default: `paths` of policyc.toml]
    #[arg(value_name = "PATH|BUNDLE")]
    paths: Vec<PathBuf>,
    /// A file with one context a line, or - for standard input
    #[arg(long, value_name = "FILE|-")]
    contexts: PathBuf,
    /// Seconds that each of the three measurements takes
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    time: f64,
    /// Output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(crate) fn run(args: Args, host: Host) -> anyhow::Result<Exit> {
    if !(args.time.is_finite() && args.time > 0.0 && args.time <= 3600.0) {
        bail!("--time takes a number of seconds above 0, at most 3600");
    }
    let time = Duration::from_secs_f64(args.time);
    let text = output::read(&args.contexts)?;
    let contexts: Vec<&[u8]> = text
        .split(|b| *b == b'\n')
        .map(|line| output::unmarked(line).trim_ascii())
        .filter(|line| !line.is_empty())
        .collect();
    if contexts.is_empty() {
        bail!("`{}` holds no contexts", args.contexts.display());
    }
    let start = Instant::now();
    let engine = args.engine.load(&project::paths(&args.paths)?)?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    let options = args.request.options().or_project();
    let options = EvaluateOptions {
        request_id: Some("bench"),
        ..options.evaluate(false)
    };
    let mut worker = Worker::new();
    check(&engine, &mut worker, &contexts, &options, &args.contexts)?;

    // Warm: buffers have grown, caches are filled, the clock speed is up.
    let mut respond = |context: &[u8]| once(&engine, &mut worker, context, &options);
    rate(&contexts, time / 5, host, &mut respond);
    let rate = self::rate(&contexts, time, host, &mut respond);
    let samples = samples(&contexts, time, &mut respond);
    let verdict = self::rate(&contexts, time, host, &mut |context| {
        if let Ok(verdict) = engine.decide(&mut worker, black_box(context), &options) {
            black_box(verdict);
        }
    });
    let percentile = |per_mille| percentile(&samples, per_mille);
    let (p50, p99, p999) = (percentile(500), percentile(990), percentile(999));

    match args.format {
        Format::Json => output::json(&serde_json::json!({
            "contexts": contexts.len(),
            "loadMs": load_ms,
            "evaluations": rate.evaluations,
            "nsPerDecision": {
                "mean": rate.nanoseconds().round(),
                "verdictOnly": verdict.nanoseconds().round(),
                "p50": p50,
                "p99": p99,
                "p999": p999,
            },
            "evaluationsPerSecond": rate.per_second().round(),
            "allocationsPerEvaluation": rate.allocations_per_evaluation(),
            "revision": engine.policies().revision(),
        }))?,
        Format::Text => {
            let mut out = output::stdout();
            writeln!(out, "contexts                        {:>14}", contexts.len())?;
            writeln!(out, "ms to load the policies         {load_ms:>14.3}")?;
            writeln!(out, "evaluations                     {:>14}", rate.evaluations)?;
            writeln!(
                out,
                "ns per decision, mean           {:>14.0}",
                rate.nanoseconds()
            )?;
            writeln!(
                out,
                "  of it up to the verdict       {:>14.0}",
                verdict.nanoseconds()
            )?;
            writeln!(out, "ns per decision, p50            {p50:>14}")?;
            writeln!(out, "ns per decision, p99            {p99:>14}")?;
            writeln!(out, "ns per decision, p99.9          {p999:>14}")?;
            writeln!(out, "evaluations per second          {:>14.0}", rate.per_second())?;
            writeln!(
                out,
                "allocations per evaluation      {:>14.3}",
                rate.allocations_per_evaluation()
            )?;
            out.flush()?;
        }
    }
    Ok(Exit::Ok)
}

/// Evaluates each context once: errors are found here, and buffers grow to their size.
fn check(
    engine: &PolicyEngine,
    worker: &mut Worker,
    contexts: &[&[u8]],
    options: &EvaluateOptions<'_>,
    path: &Path,
) -> anyhow::Result<()> {
    for (i, context) in contexts.iter().enumerate() {
        engine
            .evaluate_into(worker, context, options)
            .with_context(|| format!("context {} of `{}`", i + 1, path.display()))?;
    }
    Ok(())
}

/// One evaluation whose result the optimiser must believe to be used.
fn once(engine: &PolicyEngine, worker: &mut Worker, context: &[u8], options: &EvaluateOptions<'_>) {
    if let Ok(evaluated) = engine.evaluate_into(worker, black_box(context), options) {
        black_box(evaluated.json);
    }
}

struct Rate {
    evaluations: u64,
    elapsed: Duration,
    allocations: u64,
}

impl Rate {
    fn nanoseconds(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e9 / self.evaluations as f64
    }

    fn per_second(&self) -> f64 {
        self.evaluations as f64 / self.elapsed.as_secs_f64()
    }

    fn allocations_per_evaluation(&self) -> f64 {
        self.allocations as f64 / self.evaluations as f64
    }
}

/// Rounds over all contexts until `time` is over.
fn rate(contexts: &[&[u8]], time: Duration, host: Host, evaluate: &mut impl FnMut(&[u8])) -> Rate {
    let before = (host.allocations)();
    let start = Instant::now();
    let mut evaluations = 0;
    loop {
        for context in contexts {
            evaluate(context);
        }
        evaluations += contexts.len() as u64;
        if start.elapsed() >= time {
            break;
        }
    }
    Rate {
        evaluations,
        elapsed: start.elapsed(),
        allocations: (host.allocations)() - before,
    }
}

/// Nanoseconds of single evaluations, sorted.
fn samples(contexts: &[&[u8]], time: Duration, evaluate: &mut impl FnMut(&[u8])) -> Vec<u64> {
    let mut clock: Vec<u64> = (0..1001).map(|_| nanoseconds(Instant::now().elapsed())).collect();
    clock.sort_unstable();
    let clock = percentile(&clock, 500);
    let mut samples = Vec::with_capacity(MAX_SAMPLES.min(1 << 16));
    let start = Instant::now();
    'measure: loop {
        for context in contexts {
            let begin = Instant::now();
            evaluate(context);
            samples.push(nanoseconds(begin.elapsed()).saturating_sub(clock));
            if samples.len() >= MAX_SAMPLES {
                break 'measure;
            }
        }
        if start.elapsed() >= time {
            break;
        }
    }
    samples.sort_unstable();
    samples
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nearest rank of sorted samples.
fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let samples: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&samples, 500), 50);
        assert_eq!(percentile(&samples, 990), 99);
        assert_eq!(percentile(&[7], 990), 7);
        assert_eq!(percentile(&[], 500), 0);
    }
}
