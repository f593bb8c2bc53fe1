//! Throughput and hostile inputs, by the clock: run with `--release -- --ignored --nocapture`.
//!
//! Ignored by default because a shared machine has no reliable clock; the step counts beside the code guard the growth.

use std::hint::black_box;
use std::time::{Duration, Instant};

use policy_primitives::pii::{Findings, PiiTypeSet, contains, redact, scan};

/// The fastest of several runs.
fn best(mut run: impl FnMut()) -> Duration {
    (0..15)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

const PROSE: &str = "It was late in the autumn when the committee met again to discuss the proposal. Nobody had read \
the whole report, although everyone had an opinion about it; the chair asked for patience. In 1998 a similar plan had \
failed, mostly for lack of money, and 3 of the 12 members still remembered why. \"We should not repeat that,\" she said, \
and turned the page.\n";

#[test]
#[ignore = "measures time"]
fn throughput() {
    let prose = PROSE.repeat(3000);
    let mut findings = Findings::new();
    let time = best(|| {
        scan(black_box(&prose), &mut findings);
        black_box(findings.len());
    });
    println!("prose: {:.0} MB/s", prose.len() as f64 / time.as_secs_f64() / 1e6);
    let short = PROSE.repeat(5);
    let time = best(|| {
        for _ in 0..1000 {
            black_box(contains(black_box(&short)));
        }
    });
    println!(
        "contains, {} bytes: {:.2} µs",
        short.len(),
        time.as_secs_f64() * 1e3
    );
    let dense = "Call 415-555-2671 or write to ann@example.com, card 4111 1111 1111 1111. ".repeat(1000);
    let time = best(|| scan(black_box(&dense), &mut findings));
    println!(
        "dense: {:.0} MB/s, {} matches",
        dense.len() as f64 / time.as_secs_f64() / 1e6,
        findings.len()
    );
    let mut out = String::new();
    let time = best(|| redact(black_box(&dense), PiiTypeSet::ALL, &mut out));
    println!(
        "redact dense: {:.0} MB/s",
        dense.len() as f64 / time.as_secs_f64() / 1e6
    );
}

#[test]
#[ignore = "measures time"]
fn hostile_inputs() {
    let units = [
        "a",
        "1-",
        "@",
        "1 ",
        "+1",
        ":",
        "a@a.",
        "1.",
        "(1)",
        "a-",
        "call 1234567 ",
        "phone 12 34 56 ",
        "a1-",
        "eyJ.",
        "GB82 ",
        "1 Main ",
        "4111 1111 1111 1112 ",
        "key=a1B2",
        "-----BEGIN PRIVATE KEY-----",
        "a.a@",
        "1.1.1.1 ",
        "123-45-6789 ",
        "sk-a1",
        "://a:a@",
    ];
    let mut findings = Findings::new();
    for unit in units {
        let text = unit.repeat(100_000 / unit.len());
        let time = best(|| scan(black_box(&text), &mut findings));
        println!("{unit:<30?} {:>8.3} ms", time.as_secs_f64() * 1e3);
    }
}
