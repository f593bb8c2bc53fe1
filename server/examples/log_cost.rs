//! What the decision log needs for one decision before it is written: masking its context, all of preparing it, its line; and
//! preparing it in memory that is used again, for a frame.
//!
//! `cargo run --release -p policy-server --example log_cost` prints nanoseconds a decision for the contexts of `gateway-20`,
//! which the load generator sends as well: the fastest round and the median, allocator and masks as in `policyd`.
//! `log_cost 5` makes five rounds only, for a tool that counts instructions.

use policy_server::decisions::config::Kept;
use policy_server::decisions::mask::Masker;
use policy_server::decisions::{Entry, Preparer, push_binary, push_prepared};
use policy_server::storage::model::DecisionRecord;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As `DECISION_LOG_MASK` is, unless it is set.
const MASKS: &[&str] = &[
    "llm.prompt",
    "llm.messages",
    "llm.tools",
    "user.email",
    "request.ipAddress",
];

const ROUNDS: usize = 400;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = std::env::args()
        .nth(1)
        .map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/workloads/gateway-20/contexts.jsonl");
    let contexts = std::fs::read_to_string(path)?;
    let masks: Vec<String> = MASKS.iter().map(|&path| path.to_owned()).collect();
    let mut masker = Masker::new(&masks);
    let mut preparer = Preparer::new(Kept::Masked, &masks, None);
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut record = DecisionRecord::default();
    for round in 0..rounds {
        let entries: Vec<Entry> = contexts
            .lines()
            .enumerate()
            .map(|(n, context)| entry(round * 1000 + n, context))
            .collect();
        let count = u32::try_from(entries.len())?;
        let [mask, prepare, line, frame] = &mut times;

        let start = Instant::now();
        for entry in &entries {
            black_box(masker.mask(entry.context.as_deref().unwrap_or_default()))?;
        }
        mask.push(start.elapsed() / count);

        let start = Instant::now();
        let prepared: Vec<_> = entries.iter().map(|entry| preparer.prepare(entry)).collect();
        prepare.push(start.elapsed() / count);

        let mut lines = String::new();
        let start = Instant::now();
        for (record, _) in &prepared {
            push_prepared(record, &mut lines);
        }
        line.push(start.elapsed() / count);
        black_box(lines);

        let mut frames = Vec::new();
        let start = Instant::now();
        for entry in &entries {
            preparer.prepare_into(entry, &mut record);
            push_binary(&record, &mut frames);
        }
        frame.push(start.elapsed() / count);
        black_box(frames);
    }
    for (name, mut times) in ["mask", "prepare", "line", "frame"].into_iter().zip(times) {
        times.sort_unstable();
        let (fastest, median) = (times.first(), times.get(times.len() / 2));
        println!(
            "{name:8} {:>6} ns at best, {:>6} ns median",
            fastest.map_or(0, Duration::as_nanos),
            median.map_or(0, Duration::as_nanos)
        );
    }
    Ok(())
}

/// A decision as `policyd` logs it; three of four deny.
fn entry(n: usize, context: &str) -> Entry {
    let deny = !n.is_multiple_of(4);
    let rule = |rule: &str| if deny { vec![rule.to_owned()] } else { Vec::new() };
    Entry {
        record: Box::new(DecisionRecord {
            seq: 0,
            id: None,
            request_id: format!("0199b3c2-8a5e-7d31-b5a4-{n:012x}"),
            at_ms: 1_767_225_600_000 + i64::try_from(n).unwrap_or(0),
            namespace: String::new(),
            subject: "gateway".to_owned(),
            decision: if deny { "deny" } else { "allow" }.to_owned(),
            reason: deny.then(|| "the request exceeds the risk budget of the team".to_owned()),
            matched_rules: rule("gateway/risk-budget"),
            matched_policies: rule("gateway"),
            errors: 0,
            revision: format!("sha256:{}", "0123456789abcdef".repeat(4)),
            duration_ns: 1500,
            cached: false,
            context: None,
        }),
        context: Some(context.to_owned().into()),
        owner: [0; 32],
    }
}
