//! How long queries of the decision log in segments take.
//!
//! ```text
//! cargo run --release -p policy-server --example log_search -- 10000000
//! ```
//!
//! Writes so many decisions, a thousand a second, into segments of 150,000 in a temporary folder, and asks for some of them: the first time with
//! nothing in memory but the pages of the system, then again. Needs about 100 bytes of disk a decision.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a program for people"
)]

use policy_server::decisions::config;
use policy_server::decisions::{Reader, Segments};
use policy_server::storage::model::{DecisionFilter, DecisionId, DecisionRecord, Page};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SEGMENT: u64 = 150_000;
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000;

fn record(number: u64) -> DecisionRecord {
    // Any number, the same each time.
    let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let at_ms = NEW_YEAR + i64::try_from(number).unwrap();
    let mut id = [0; 16];
    id[..6].copy_from_slice(&at_ms.to_be_bytes()[2..]);
    id[6..14].copy_from_slice(&hash.to_be_bytes());
    id[6] = 0x70;
    let rule = match number % 100_000 {
        77_777 => "costs/rare".to_owned(),
        _ => format!("costs/rule-{}", hash % 40),
    };
    let fired = hash.is_multiple_of(10) || number % 100_000 == 77_777;
    DecisionRecord {
        seq: 0,
        id: Some(DecisionId::try_from(id.as_slice()).unwrap()),
        request_id: format!("{hash:011x}-{number:08x}"),
        at_ms,
        namespace: format!("team-{}", hash % 50),
        subject: format!("gateway-{}", hash % 8),
        decision: if fired { "deny" } else { "allow" }.to_owned(),
        reason: fired.then(|| "the request costs more than the team may spend".to_owned()),
        matched_policies: if fired {
            vec!["costs".to_owned()]
        } else {
            Vec::new()
        },
        matched_rules: if fired { vec![rule] } else { Vec::new() },
        errors: 0,
        revision: "sha256:43fbc17a8859".to_owned(),
        duration_ns: 1000 + hash % 9000,
        cached: false,
        context: Some(format!(
            "{{\"llm\":{{\"model\":\"gpt-4o\",\"provider\":\"openai\",\"prompt\":\"[masked]\",\"maxTokens\":{}}},\
             \"user\":{{\"id\":\"user-{}\",\"email\":\"[masked]\"}},\"metadata\":{{\"trace\":\"{hash:x}\"}}}}",
            hash % 4096,
            hash % 9999
        )),
    }
}

#[tokio::main]
async fn main() {
    let count: u64 = std::env::args()
        .nth(1)
        .map_or(1_000_000, |count| count.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let place = config::Segments {
        journal: directory.path().join("journal"),
        bytes: 1 << 30,
        archive: config::Archive::Folder(directory.path().join("archive")),
        seal_bytes: 64 << 20,
        seal_after: Duration::from_secs(900),
    };
    let begin = Instant::now();
    let writer = Segments::open(&place).unwrap();
    let mut from = 0;
    while from < count {
        let to = (from + SEGMENT).min(count);
        writer.import((from..to).map(record).collect()).unwrap();
        from = to;
    }
    drop(writer);
    let bytes: u64 = walk(&directory.path().join("archive"));
    println!(
        "{count} decisions, {:.1} bytes each, written in {:.1} s",
        bytes as f64 / count as f64,
        begin.elapsed().as_secs_f64()
    );
    println!("\n| query | found | first time | again |\n|---|--:|--:|--:|");
    let all = DecisionFilter::default();
    let some = i64::try_from(count / 3).unwrap();
    let hour = DecisionFilter {
        from_ms: Some(NEW_YEAR + some),
        to_ms: Some(NEW_YEAR + some + 3_600_000),
        ..all.clone()
    };
    let rule = |rule: &str| DecisionFilter {
        rule: Some(rule.to_owned()),
        ..all.clone()
    };
    let policy = DecisionFilter {
        policy: Some("costs".to_owned()),
        namespaces: Some(vec!["team-7".to_owned()]),
        ..hour.clone()
    };
    let known = record(count / 2).request_id;
    let queries = [
        ("the newest 50", None, all.clone()),
        ("one request id", Some(known.as_str()), all.clone()),
        ("a request id that is not there", Some("nobody"), all.clone()),
        (
            "50 of a rule that fires once in 100,000",
            None,
            rule("costs/rare"),
        ),
        ("50 of a rule that never fired", None, rule("costs/never")),
        ("50 of a policy, in an hour, of a team", None, policy),
        ("the newest 50 of an hour", None, hour.clone()),
    ];
    for (name, id, filter) in queries {
        let reader = Reader::Segments(Arc::new(Segments::look(&place).unwrap()));
        let page = Page {
            limit: 50,
            after: None,
        };
        let ask = async || {
            let begin = Instant::now();
            let found = match id {
                Some(id) => reader.decision(id, &filter, &page).await,
                None => reader.decisions(&filter, &page).await,
            };
            (found.unwrap().items.len(), begin.elapsed())
        };
        let (found, first) = ask().await;
        let (_, again) = ask().await;
        println!("| {name} | {found} | {} | {} |", ms(first), ms(again));
    }
    for (name, filter) in [("counts of an hour", hour), ("counts of everything", all)] {
        let reader = Reader::Segments(Arc::new(Segments::look(&place).unwrap()));
        let ask = async || {
            let begin = Instant::now();
            (
                reader.decision_stats(&filter).await.unwrap().total,
                begin.elapsed(),
            )
        };
        let (found, first) = ask().await;
        let (_, again) = ask().await;
        println!("| {name} | {found} | {} | {} |", ms(first), ms(again));
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn walk(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| match entry.path().is_dir() {
        true => walk(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}
