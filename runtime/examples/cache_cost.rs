//! What a hit costs beside a decision: the measurement behind the defaults of `policy_runtime::Worth`.
//!
//! `cargo run --release -p policy-runtime --features cache --example cache_cost` prints one row for each policy and length
//! of prompt: nanoseconds to decide, to answer from the cache, and to look in vain and keep the answer. Medians of rounds
//! that take turns.

use policy_runtime::{CacheOptions, EvaluateOptions, LocalCache, PolicyEngine, Worker, Worth};
use std::time::{Duration, Instant};

const POLICIES: &[(&str, &str)] = &[
    (
        "one comparison",
        "
metadata: { id: p, name: P }
rules:
  - id: models
    condition: { operator: not_in, field: llm.model, value: [gpt-4o, gpt-4o-mini] }
    action: { decision: deny, reason: 'model {{ llm.model }}' }
  - id: echo
    condition: { operator: eq, field: llm.prompt, value: nothing }
    action: { decision: deny }
",
    ),
    (
        "patterns",
        "
metadata: { id: p, name: P }
rules:
  - id: secrets
    condition: { operator: matches, field: llm.prompt, value: '(?i)api[_-]?key\\s*[:=]' }
    action: { decision: deny, reason: secrets }
  - id: internal
    condition: { operator: contains, field: llm.prompt, value: project-nightfall }
    action: { decision: deny, reason: internal }
  - id: injection
    condition: { operator: matches, field: llm.prompt, value: 'ignore (all|any|the) (previous|prior) instructions' }
    action: { decision: deny, reason: injection }
",
    ),
    (
        "tokens, personal data, patterns",
        "
metadata: { id: p, name: P }
rules:
  - id: secrets
    condition: { operator: matches, field: llm.prompt, value: '(?i)api[_-]?key\\s*[:=]' }
    action: { decision: deny, reason: secrets }
  - id: mail
    condition: { operator: contains, field: llm.piiTypes, value: email }
    action: { decision: warn, reason: mail }
  - id: budget
    condition: { operator: exists, field: llm.model }
    action: { decision: modify, modifications: { metadata.tokens: '{{ llm.estimatedTokens }}' } }
",
    ),
];

const ROUNDS: usize = 31;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("policy | prompt | decide | hit | miss and keep | decide ÷ hit");
    for (name, policies) in POLICIES {
        let engine = PolicyEngine::builder().policies_from_yaml(policies)?.build()?;
        for bytes in [200, 2_000, 20_000, 200_000] {
            let bodies: Vec<String> = (0..8).map(|n| body(n, bytes)).collect();
            let cache = always();
            let mut worker = Worker::new();
            let repeat = (2_000_000 / bytes).clamp(8, 400);
            let options = EvaluateOptions::default();
            for body in &bodies {
                engine.evaluate_cached(&mut worker, &cache, body.as_bytes(), &options)?;
            }
            let (mut decide, mut hit, mut miss) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                let start = Instant::now();
                for n in 0..repeat {
                    let body = bodies.get(n % bodies.len()).map_or("", String::as_str);
                    engine.answer(&mut worker, body.as_bytes(), &options)?;
                }
                decide.push(start.elapsed() / u32::try_from(repeat)?);
                let start = Instant::now();
                for n in 0..repeat {
                    let body = bodies.get(n % bodies.len()).map_or("", String::as_str);
                    engine.evaluate_cached(&mut worker, &cache, body.as_bytes(), &options)?;
                }
                hit.push(start.elapsed() / u32::try_from(repeat)?);
                let (empty, fresh) = (always(), body(100 + round, bytes));
                let start = Instant::now();
                engine.evaluate_cached(&mut worker, &empty, fresh.as_bytes(), &options)?;
                miss.push(start.elapsed());
            }
            let [decide, hit, miss] = [decide, hit, miss].map(median);
            let ratio = decide.as_nanos() as f64 / hit.as_nanos().max(1) as f64;
            println!("{name} | {bytes} B | {decide:?} | {hit:?} | {miss:?} | {ratio:.2}");
        }
    }
    Ok(())
}

fn always() -> LocalCache {
    LocalCache::new(CacheOptions {
        worth: Worth::ALWAYS,
        ..CacheOptions::default()
    })
}

/// Prose of so many bytes, different for each `n`.
fn body(n: usize, bytes: usize) -> String {
    let words = [
        "please",
        "summarise",
        "the",
        "following",
        "report",
        "about",
        "quarterly",
        "revenue",
        "of",
        "our",
        "customers",
        "in",
        "Europe,",
        "and",
        "list",
        "open",
        "questions.",
        "Thanks!",
    ];
    let mut prompt = format!("Request {n}: ");
    let mut i = n;
    while prompt.len() < bytes {
        prompt.push_str(words.get(i * i % words.len()).unwrap_or(&""));
        prompt.push(' ');
        i += 1;
    }
    format!(
        r#"{{"llm": {{"model": "gpt-4o", "provider": "openai", "maxTokens": 200, "prompt": "{prompt}"}}}}"#
    )
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
