//! What a large constant costs: reading the module that holds it, keeping it, looking things up in it.
//!
//! ```text
//! constants [ENTRIES]
//! ```

use allocation_counter::measure as count;
use policy_benches::measure::median;
use policy_bytecode::asm;
use policy_bytecode::module::Module;
use policy_bytecode::verify::{HostLimits, verify};
use policy_vm::{AsSent, LoadedModule, Mode, Scope, Scratch};
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

/// Keys that one request looks up.
const KEYS: usize = 1000;
/// Requests with keys of their own.
const BODIES: usize = 101;
/// Requests that a time is the median of.
const ROUNDS: usize = 201;

fn main() -> ExitCode {
    let entries = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let entries = entries.unwrap_or(1_000_000);
    println!(
        "| constant | entries | JSON | module | decode | verify | load | kept | times the JSON | a lookup | allocations | arena |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for sample in [list, object] {
        if let Err(message) = show(entries, sample) {
            eprintln!("constants: {message}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn key(i: usize) -> String {
    format!("account-{i:08}")
}

/// A module in text form, and how many bytes its large constant has as JSON.
struct Sample {
    name: &'static str,
    text: String,
    json: usize,
    /// What makes a key one that is not there.
    missing: usize,
}

const RULE: &str = "\n.rules\n rule0: policy0 deny fn0 fires_on_error\n.policies\n policy0: rule0+1\n";

/// A rule that asks whether one of the keys of a request is in a list.
fn list(entries: usize) -> Result<Sample, std::fmt::Error> {
    let mut text = String::from(".fields\n f0: keys\n.constants\n");
    for i in 0..entries {
        writeln!(text, " k{i}: \"{}\"", key(i))?;
    }
    write!(text, " k{entries}: [")?;
    for i in 0..entries {
        write!(text, "{}k{i}", if i > 0 { ", " } else { "" })?;
    }
    write!(
        text,
        "]\n.predicates\n p0: f0 in k{entries}\n.function fn0\n ret_test p0, 1{RULE}"
    )?;
    Ok(Sample {
        name: "`in` list",
        text,
        json: entries * (key(0).len() + 3),
        missing: entries,
    })
}

/// A rule that gets each key of a request from an object.
fn object(entries: usize) -> Result<Sample, std::fmt::Error> {
    let mut text = String::from(".fields\n f0: keys\n.constants\n k0: true\n k1: {");
    for i in 0..entries {
        write!(text, "{}\"{}\": k0", if i > 0 { ", " } else { "" }, key(i))?;
    }
    write!(
        text,
        "}}\n.function fn0 registers=5 iterators=1\n load_const r0, k1\n load_field r1, f0\n iter_begin it0, r1\n next:\n \
         iter_next it0, r2, r3, done\n get r4, r0, r3\n br_undefined r4, missing\n jump next\n missing:\n ret_true\n done:\n ret_false{RULE}"
    )?;
    Ok(Sample {
        name: "object",
        text,
        json: entries * (key(0).len() + 8),
        missing: 0,
    })
}

fn show(entries: usize, sample: fn(usize) -> Result<Sample, std::fmt::Error>) -> Result<(), String> {
    let large = sample(entries).map_err(|e| e.to_string())?;
    let bytes = encoded(&large)?;
    let start = Instant::now();
    let module = Module::decode(&bytes).map_err(|e| e.to_string())?;
    let decode = start.elapsed();
    let start = Instant::now();
    let verified = verify(module, &HostLimits::default()).map_err(|e| e.to_string())?;
    let verifying = start.elapsed();
    let mut loaded = None;
    let mut load = std::time::Duration::ZERO;
    let kept = count(|| {
        let start = Instant::now();
        loaded = Some(LoadedModule::new(&verified));
        load = start.elapsed();
    });
    drop(verified);
    let loaded = loaded.ok_or("not loaded")?.map_err(|e| e.to_string())?;
    // Other keys in each request, all over the constant; a list is searched to the end for keys that it has not.
    let bodies: Vec<String> = (0..BODIES)
        .map(|n| {
            let scattered = |i: usize| (n * KEYS + i).wrapping_mul(2_654_435_761) % entries.max(1);
            let mut keys = (0..KEYS).map(|i| key(scattered(i) + large.missing));
            let first = keys.next().unwrap_or_default();
            keys.fold(format!("{{\"keys\":[\"{first}\""), |text, key| {
                format!("{text},\"{key}\"")
            }) + "]}"
        })
        .collect();
    let (time, allocations, arena) = evaluate(&loaded, &bodies)?;
    let mb = |bytes: f64| bytes / 1e6;
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    let (json, encoded, kept) = (large.json as f64, bytes.len() as f64, kept.bytes_current as f64);
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let lookup = time / KEYS as f64;
    println!(
        "| {} | {entries} | {:.1} MB | {:.1} MB | {:.0} ms | {:.0} ms | {:.0} ms | {:.1} MB | {:.2} | {lookup:.0} ns | {allocations} | {arena} B |",
        large.name,
        mb(json),
        mb(encoded),
        decode.as_secs_f64() * 1e3,
        verifying.as_secs_f64() * 1e3,
        load.as_secs_f64() * 1e3,
        mb(kept),
        kept / json,
    );
    Ok(())
}

fn encoded(sample: &Sample) -> Result<Vec<u8>, String> {
    let module = asm::assemble(&sample.text).map_err(|e| e.to_string())?;
    module.encode().map_err(|e| e.to_string())
}

/// Nanoseconds of one evaluation, then its allocations and what it takes of the arena, both in steady state.
fn evaluate(module: &LoadedModule, bodies: &[String]) -> Result<(f64, u64, usize), String> {
    let mut scratch = Scratch::new();
    let mut arena = 0;
    let mut bodies = bodies.iter().cycle();
    let mut once = |arena: &mut usize| -> Result<f64, String> {
        let body = bodies.next().ok_or("no request")?;
        let mut host = AsSent;
        let mut eval = module
            .begin(&mut scratch, &mut host, body.as_bytes())
            .map_err(|e| e.to_string())?;
        let before = eval.arena_used();
        let start = Instant::now();
        black_box(eval.decide(Scope::All, Mode::All));
        let time = start.elapsed();
        *arena = eval.arena_used() - before;
        Ok(time.as_secs_f64() * 1e9)
    };
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        times.push(once(&mut arena)?);
    }
    let mut last = Ok(0.0);
    let counted = count(|| last = once(&mut arena));
    last?;
    Ok((median(&times), counted.count_total, arena))
}
