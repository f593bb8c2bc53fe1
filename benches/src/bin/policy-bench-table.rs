//! The table of `docs/performance.md`: every workload, ours beside hand-written Rust, in one run of one process.
//!
//! ```text
//! cargo run --release -p policy-benches                    the table as Markdown
//! cargo run --release -p policy-benches -- --json FILE     and the numbers as JSON
//! cargo run --release -p policy-benches -- quickstart      only these workloads
//! ```
//!
//! Every expected decision is checked before anything is timed. The third table is the work of two threads as a multiple
//! of the work of one; how to read it on a busy machine is said in `policy_benches::threads`.

use policy_benches::hand_written::HandWritten;
use policy_benches::machine::{self, Machine};
use policy_benches::measure::{self, Batch, ROUNDS};
use policy_benches::ours::{self, Projection};
use policy_benches::threads::{self, Scaling};
use policy_benches::workloads::{self, Workload};
use policy_runtime::{EvaluateOptions, Worker};
use serde::Serialize;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How long a contender runs in one round, where one pass over the requests does not take longer. Shorter than the turns
/// that systems give to processes, so that most slices are not cut in two when the machine has other work.
const SLICE: Duration = Duration::from_millis(1);

/// One workload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    workload: String,
    rules: usize,
    requests: usize,
    mean_bytes: usize,
    /// Request to response JSON; nanoseconds, as all times here that do not say otherwise.
    ours: f64,
    ours_p50: f64,
    ours_p99: f64,
    /// As `ours_p50`: single requests are short, so their median hardly feels what else the machine does.
    hand_written_p50: f64,
    ratio_p50: f64,
    /// Request to verdict, without a response.
    decide: f64,
    /// Reading the request alone.
    projection: f64,
    hand_written: f64,
    ratio: f64,
    decide_ratio: f64,
    allocations: f64,
    hand_written_allocations: f64,
    bundle_bytes: usize,
    bundle_bytes_per_rule: f64,
    loaded_bytes_per_rule: f64,
    compile_ms: f64,
    load_ms: f64,
    /// Of a process that loaded this bundle and decided every request.
    resident_bytes: Option<u64>,
    /// Two threads on one engine; `None` on one core.
    threads: Option<Scaling>,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    machine: Machine,
    caveat: Option<String>,
    rounds: usize,
    rows: Vec<Row>,
    start_up_ms: Option<f64>,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("policy-bench-table: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<(), String> {
    let mut json = None;
    let mut names = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => json = Some(args.next().ok_or("--json needs a file")?),
            "--resident" => return resident(&args.next().ok_or("--resident needs a workload")?),
            name if workloads::by_name(name).is_some() => names.push(arg),
            other => {
                return Err(format!(
                    "unknown argument {other}; arguments are --json FILE and names of workloads"
                ));
            }
        }
    }
    if names.is_empty() {
        names = workloads::NAMES.map(str::to_owned).to_vec();
    }
    let machine = Machine::here();
    let caveat = machine.caveat();
    let mut rows = Vec::new();
    for name in names {
        eprintln!("measuring {name} …");
        rows.push(row(&workloads::by_name(&name).ok_or("no such workload")?)?);
    }
    let report = Report {
        machine,
        caveat,
        rounds: ROUNDS,
        rows,
        start_up_ms: start_up(),
    };
    print(&report);
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?;
        std::fs::write(&path, text + "\n").map_err(|e| format!("{path}: {e}"))?;
    }
    Ok(())
}

fn row(workload: &Workload) -> Result<Row, String> {
    let contexts = &workload.contexts;
    let options = EvaluateOptions::default();

    let (compile_ms, bundle) = timed(|| ours::bundle(&workload.policy));
    let bundle = bundle?;
    let (load_ms, engine) = timed(|| ours::engine(&bundle));
    let engine = engine?;
    ours::check(&engine, workload)?;
    let hand_written = HandWritten::of(workload).ok_or("no hand-written form")?;
    for (body, expected) in contexts.iter().zip(&workload.expected) {
        let found = hand_written.decide(body).map_err(|e| e.to_string())?;
        if found != expected.rule.as_deref() {
            return Err(format!(
                "{}: hand-written gives {found:?} instead of {expected:?}",
                workload.name
            ));
        }
    }

    let (mut responding, mut deciding) = (Worker::new(), Worker::new());
    let mut projection = Projection::of_bundle(&bundle)?;
    let mut batches: Vec<Batch<'_>> = vec![
        Box::new(|| {
            for body in contexts {
                black_box(
                    engine
                        .evaluate_into(&mut responding, black_box(body), &options)
                        .is_ok(),
                );
            }
        }),
        Box::new(|| {
            for body in contexts {
                black_box(hand_written.decide(black_box(body)).is_ok());
            }
        }),
        Box::new(|| {
            for body in contexts {
                black_box(engine.decide(&mut deciding, black_box(body), &options).is_ok());
            }
        }),
        Box::new(|| {
            for body in contexts {
                black_box(projection.run(black_box(body)));
            }
        }),
    ];
    let samples = measure::interleave(ROUNDS, SLICE, &mut batches);
    drop(batches);
    let count = contexts.len() as f64;
    let mut medians = samples.iter().map(|rounds| measure::median(rounds) / count);
    let mut next = || medians.next().unwrap_or(f64::NAN);
    let (ours, by_hand, decide, read) = (next(), next(), next(), next());

    let times = 20_000 / contexts.len() + 1;
    let singles = measure::singles(contexts.len(), times, |i| {
        black_box(
            engine
                .evaluate_into(&mut responding, black_box(&contexts[i]), &options)
                .is_ok(),
        );
    });
    let by_hand_singles = measure::singles(contexts.len(), times, |i| {
        black_box(hand_written.decide(black_box(&contexts[i])).is_ok());
    });
    let (ours_p50, hand_written_p50) = (measure::median(&singles), measure::median(&by_hand_singles));
    let rules = engine.policies().manifest().rules.len();
    let loading = allocation_counter::measure(|| {
        black_box(std::mem::ManuallyDrop::new(
            policy_runtime::Policies::from_bundle(&bundle, &[]),
        ));
    });
    let allocations = |decide: &mut dyn FnMut(&[u8])| {
        let counted = allocation_counter::measure(|| contexts.iter().for_each(|body| decide(body)));
        counted.count_total as f64 / count
    };
    Ok(Row {
        workload: workload.name.clone(),
        rules,
        requests: contexts.len(),
        mean_bytes: workload.mean_bytes(),
        ours,
        ours_p50,
        ours_p99: measure::percentile(&singles, 0.99),
        hand_written_p50,
        ratio_p50: ours_p50 / hand_written_p50,
        decide,
        projection: read,
        hand_written: by_hand,
        ratio: ours / by_hand,
        decide_ratio: decide / by_hand,
        allocations: allocations(&mut |body| {
            black_box(engine.evaluate_into(&mut responding, body, &options).is_ok());
        }),
        hand_written_allocations: allocations(&mut |body| {
            black_box(hand_written.decide(body).is_ok());
        }),
        bundle_bytes: bundle.len(),
        bundle_bytes_per_rule: bundle.len() as f64 / rules as f64,
        loaded_bytes_per_rule: loading.bytes_current as f64 / rules as f64,
        compile_ms,
        load_ms,
        resident_bytes: resident_of(&workload.name, &bundle),
        threads: threads::scaling([&engine, &ours::engine(&bundle)?], contexts, 2 * ROUNDS),
    })
}

/// Milliseconds of the fastest of up to five runs (fewer where one takes long), and the last result.
fn timed<T>(mut f: impl FnMut() -> T) -> (f64, T) {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    loop {
        let start = Instant::now();
        let result = f();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        if begin.elapsed() > Duration::from_millis(500) {
            return (best, result);
        }
    }
}

/// Resident memory of a fresh process that loads the bundle and decides every request.
fn resident_of(name: &str, bundle: &[u8]) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().ok()?)
        .args(["--resident", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    std::io::Write::write_all(&mut child.stdin.take()?, bundle).ok()?;
    let output = child.wait_with_output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The process of [`resident_of`]: bundle on standard input, bytes on standard output.
fn resident(name: &str) -> Result<(), String> {
    let mut bundle = Vec::new();
    std::io::Read::read_to_end(&mut std::io::stdin(), &mut bundle).map_err(|e| e.to_string())?;
    let engine = ours::engine(&bundle)?;
    drop(bundle);
    // The generator of the tenants workloads would count too, so only its requests are made.
    let mut workload = workloads::by_name(name).ok_or("no such workload")?;
    workload.policy = "".into();
    let mut worker = Worker::new();
    for body in &workload.contexts {
        engine
            .evaluate_into(&mut worker, body, &EvaluateOptions::default())
            .map_err(|e| e.to_string())?;
    }
    println!(
        "{}",
        machine::resident_bytes().ok_or("this system does not tell")?
    );
    Ok(())
}

/// Median of 20 runs of `policyc eval` from start to exit in milliseconds; `None` where there is no `policyc`, neither
/// beside this program nor where the variable `POLICYC` points.
fn start_up() -> Option<f64> {
    let policyc = match std::env::var_os("POLICYC") {
        Some(path) => path.into(),
        None => std::env::current_exe()
            .ok()?
            .with_file_name(format!("policyc{}", std::env::consts::EXE_SUFFIX)),
    };
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/quickstart/policy.yaml");
    let request = String::from_utf8(workloads::quickstart().contexts.first()?.clone()).ok()?;
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut command = Command::new(&policyc);
        command
            .arg("eval")
            .arg(&policy)
            .args(["--derive", "never", "--context", &request]);
        let start = Instant::now();
        let status = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        // The request is denied; anything else is a mistake.
        if status.code() != Some(1) {
            return None;
        }
    }
    Some(measure::median(&times))
}

fn print(report: &Report) {
    let Machine {
        cpu,
        cores,
        system,
        rustc,
        ..
    } = &report.machine;
    println!(
        "{cpu}, {cores} cores, {system}; {rustc}; medians of {} interleaved rounds, one thread.",
        report.rounds
    );
    if let Some(caveat) = &report.caveat {
        println!("\n**{caveat}.**");
    }
    println!(
        "\n| workload | rules | request | ours: response JSON | p50 / p99 | ours: verdict only | of it reading the \
         request | hand-written | ratio (verdict) | ratio of p50 | allocations ours / hand-written |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for row in &report.rows {
        println!(
            "| `{}` | {} | {} B | {} | {} / {} | {} | {} | {} | **{:.2}** ({:.2}) | {:.2} | {:.1} / {:.1} |",
            row.workload,
            row.rules,
            row.mean_bytes,
            time(row.ours),
            time(row.ours_p50),
            time(row.ours_p99),
            time(row.decide),
            time(row.projection),
            time(row.hand_written),
            row.ratio,
            row.decide_ratio,
            row.ratio_p50,
            row.allocations,
            row.hand_written_allocations,
        );
    }
    println!("\n| workload | bundle | a rule | loaded, a rule | compile | load | memory of the process |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for row in &report.rows {
        println!(
            "| `{}` | {:.1} KB | {:.0} B | {:.0} B | {:.1} ms | {:.2} ms | {} |",
            row.workload,
            row.bundle_bytes as f64 / 1e3,
            row.bundle_bytes_per_rule,
            row.loaded_bytes_per_rule,
            row.compile_ms,
            row.load_ms,
            row.resident_bytes
                .map_or("not told".to_owned(), |b| format!("{:.1} MB", b as f64 / 1e6)),
        );
    }
    println!("\n| workload | two threads, one engine | two engines, a thread each | of it | reading |");
    println!("|---|--:|--:|--:|--:|---|");
    for row in &report.rows {
        match row.threads {
            Some(scaling) => println!(
                "| `{}` | {:.2} × | {:.2} × | {:.2} | {} |",
                row.workload,
                scaling.engine,
                scaling.control,
                scaling.relative,
                scaling.verdict()
            ),
            None => println!("| `{}` | – | – | – | one core |", row.workload),
        }
    }
    match report.start_up_ms {
        Some(ms) => println!("\n`policyc eval` of `quickstart`, start to exit, median of 20: {ms:.1} ms."),
        None => println!("\n`policyc` is not built beside this program: its start-up was not measured."),
    }
}

fn time(ns: f64) -> String {
    if ns < 1e3 {
        format!("{ns:.0} ns")
    } else {
        format!("{:.2} µs", ns / 1e3)
    }
}
