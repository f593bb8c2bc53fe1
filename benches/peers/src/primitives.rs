//! Tokens, personal data and patterns: ours beside crates that do the same.

use crate::markdown::{self, digits, time};
use crate::versions;
use policy_benches::machine::Machine;
use policy_benches::measure::{self, Batch, ROUNDS};
use policy_benches::ours::{self, Projection};
use policy_benches::scan::Scanner;
use policy_benches::{texts, workloads};
use policy_primitives::pii;
use policy_primitives::tokens::{self, TokenScratch};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one of them runs in a round, and over all rounds.
const SLICE: Duration = Duration::from_millis(1);
const BUDGET: Duration = Duration::from_secs(1);

pub(crate) fn run() -> Result<Value, String> {
    let machine = Machine::here();
    markdown::machine(&machine, ROUNDS);
    let tokens = token_counts()?;
    let personal_data = personal_data();
    let mut patterns = vec![patterns("different prompts of 4 KB", &texts::prompts())?];
    match texts::real_prompts() {
        Some(prompts) => patterns.push(self::patterns("real prompts", &prompts)?),
        None => println!("Skipped: real prompts, which are not part of the repository.\n"),
    }
    Ok(json!({
        "machine": machine, "rounds": ROUNDS, "tokens": tokens, "personalData": personal_data, "patterns": patterns,
    }))
}

fn token_counts() -> Result<Vec<Value>, String> {
    println!(
        "| tokens | ours | tiktoken-rs ({}) | bpe-openai ({}) | ours ÷ the faster |",
        versions::of("tiktoken-rs"),
        versions::of("bpe-openai")
    );
    println!("|---|--:|--:|--:|--:|");
    let encodings = [
        (
            "o200k",
            "gpt-4o",
            tiktoken_rs::o200k_base_singleton(),
            bpe_openai::o200k_base(),
        ),
        (
            "cl100k",
            "gpt-4-0613",
            tiktoken_rs::cl100k_base_singleton(),
            bpe_openai::cl100k_base(),
        ),
    ];
    let mut rows = Vec::new();
    for (encoding, model, tiktoken, bpe) in encodings {
        let family = tokens::family_for(model);
        let mut scratch = TokenScratch::new();
        for (name, text) in texts::for_tokens() {
            let text = text.as_str();
            let counts = [
                usize::try_from(tokens::count(text, family, &mut scratch).tokens).unwrap_or(usize::MAX),
                tiktoken.count_ordinary(text),
                bpe.count(text),
            ];
            if counts.iter().any(|count| *count != counts[0]) {
                return Err(format!("{encoding}, {name}: counts differ: {counts:?}"));
            }
            let mut batches: Vec<Batch<'_>> = vec![
                Box::new(|| {
                    black_box(tokens::count(black_box(text), family, &mut scratch).tokens);
                }),
                Box::new(|| {
                    black_box(tiktoken.count_ordinary(black_box(text)));
                }),
                Box::new(|| {
                    black_box(bpe.count(black_box(text)));
                }),
            ];
            let samples = measure::interleave_within(ROUNDS, SLICE, BUDGET, &mut batches);
            let [ours, tiktoken, bpe] = [0, 1, 2].map(|i| measure::median(&samples[i]));
            let ratio = ours / tiktoken.min(bpe);
            println!(
                "| {encoding}: {name} | {} | {} | {} | {} |",
                time(ours),
                time(tiktoken),
                time(bpe),
                digits(ratio)
            );
            rows.push(json!({
                "encoding": encoding, "text": name, "tokens": counts[0],
                "ours": ours, "tiktoken-rs": tiktoken, "bpe-openai": bpe, "ratioToFaster": ratio,
            }));
        }
    }
    println!();
    Ok(rows)
}

fn personal_data() -> Vec<Value> {
    println!("| personal data, all types | time | MB/s |");
    println!("|---|--:|--:|");
    let mut rows = Vec::new();
    for (name, text) in texts::for_personal_data() {
        let mut batches: Vec<Batch<'_>> = vec![Box::new(|| {
            black_box(pii::types_in(black_box(&text)));
        })];
        let samples = measure::interleave_within(ROUNDS, SLICE, BUDGET, &mut batches);
        let ns = measure::median(&samples[0]);
        let rate = text.len() as f64 / ns * 1e3;
        println!("| {name} | {} | {rate:.0} |", time(ns));
        rows.push(json!({"text": name, "bytes": text.len(), "ns": ns, "megabytesPerSecond": rate}));
    }
    println!();
    rows
}

/// The scanners, by name.
type Scanners = Vec<(&'static str, Scanner)>;

fn patterns(kind: &str, prompts: &[String]) -> Result<Value, String> {
    let policy = workloads::prompt_scan_100().policy;
    let requests: Vec<Vec<u8>> = prompts.iter().map(|prompt| texts::request(prompt)).collect();
    println!(
        "| 100 patterns, {} {kind} | first pass, a prompt | later passes, a prompt | × ours |",
        requests.len()
    );
    println!("|---|--:|--:|--:|");
    let mut scanners: Scanners = vec![
        ("ours: verdict", Scanner::ours(&policy)?),
        ("one `RegexSet`", Scanner::set(&policy)?),
        ("one `Regex` after another", Scanner::separate(&policy)?),
    ];
    agree(&mut scanners, &requests)?;
    // Agreeing has warmed them: the first pass is that of new ones.
    let mut cold: Scanners = vec![
        ("", Scanner::ours(&policy)?),
        ("", Scanner::set(&policy)?),
        ("", Scanner::separate(&policy)?),
    ];
    let count = requests.len() as f64;
    let first: Vec<f64> = cold
        .iter_mut()
        .map(|(_, scanner)| {
            let start = Instant::now();
            pass(scanner, &requests);
            start.elapsed().as_nanos() as f64 / count
        })
        .collect();
    let mut projection = Projection::of_bundle(&ours::bundle(&policy)?)?;
    let mut names: Vec<&str> = scanners.iter().map(|(name, _)| *name).collect();
    let mut batches: Vec<Batch<'_>> = scanners
        .iter_mut()
        .map(|(_, scanner)| -> Batch<'_> { Box::new(|| pass(scanner, &requests)) })
        .collect();
    names.push("of ours: reading the request");
    batches.push(Box::new(|| {
        for body in &requests {
            black_box(projection.run(black_box(body)));
        }
    }));
    let budget = BUDGET * 20;
    let samples = measure::interleave_within(ROUNDS, SLICE, budget, &mut batches);
    let later: Vec<f64> = samples
        .iter()
        .map(|rounds| measure::median(rounds) / count)
        .collect();
    let rows: Vec<Value> = names
        .iter()
        .zip(&later)
        .enumerate()
        .map(|(i, (name, later_ns))| {
            let first = first.get(i);
            println!(
                "| {name} | {} | {} | {} |",
                first.map_or("–".to_owned(), |ns| time(*ns)),
                time(*later_ns),
                digits(later_ns / later[0])
            );
            json!({"name": name, "firstPassNs": first, "laterPassNs": later_ns})
        })
        .collect();
    println!();
    Ok(json!({"prompts": kind, "count": requests.len(), "rows": rows}))
}

fn pass(scanner: &mut Scanner, requests: &[Vec<u8>]) {
    for body in requests {
        black_box(scanner.first(black_box(body)).is_ok());
    }
}

/// Every prompt gets the same answer from all.
fn agree(scanners: &mut Scanners, requests: &[Vec<u8>]) -> Result<(), String> {
    for (i, body) in requests.iter().enumerate() {
        let mut answers = Vec::new();
        for (name, scanner) in &mut *scanners {
            let answer = scanner.first(body).map_err(|e| format!("{name}: {e}"))?;
            answers.push(answer.map(str::to_owned));
        }
        if answers.iter().any(|answer| *answer != answers[0]) {
            return Err(format!("prompt {i}: the first pattern is {answers:?}"));
        }
    }
    Ok(())
}
