//! Token counts and the search for personal data, on prose and on text made to hurt.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use policy_primitives::pii;
use policy_primitives::tokens::{self, TokenScratch};
use std::hint::black_box;

const SENTENCE: &str = "Please summarise the quarterly incident report for the platform team, list the open risks by \
                        owner with dates, and draft an email that explains the outage in plain language. ";

/// What is measured: a name and a text.
fn texts() -> Vec<(&'static str, String)> {
    let prose = |bytes: usize| SENTENCE.chars().cycle().take(bytes).collect::<String>();
    vec![
        ("prose-2k", prose(2_000)),
        ("prose-100k", prose(100_000)),
        ("letters-100k", "a".repeat(100_000)),
        ("digits-100k", "1-".repeat(50_000)),
        ("at-signs-100k", "a@".repeat(50_000)),
        ("equals-100k", "=".repeat(100_000)),
    ]
}

fn count(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tokens");
    group.sample_size(20);
    for (encoding, model) in [("o200k", "gpt-4o"), ("cl100k", "gpt-4-0613")] {
        let family = tokens::family_for(model);
        let mut scratch = TokenScratch::new();
        for (name, text) in texts() {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_with_input(BenchmarkId::new(encoding, name), &text, |bencher, text| {
                bencher.iter(|| tokens::count(black_box(text), family, &mut scratch).tokens);
            });
        }
        // The question that a rule asks: a limit that the length alone does not decide.
        let text = SENTENCE.repeat(500);
        group.throughput(Throughput::Elements(1));
        group.bench_with_input(
            BenchmarkId::new(encoding, "limit-64-of-85k"),
            &text,
            |bencher, text| {
                bencher.iter(|| tokens::at_most([black_box(text.as_str())], family, 0, 64, &mut scratch));
            },
        );
    }
    group.finish();
}

fn personal_data(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pii");
    group.sample_size(20);
    for (name, text) in texts() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(name, &text, |bencher, text| {
            bencher.iter(|| pii::types_in(black_box(text)))
        });
    }
    group.finish();
}

criterion_group!(benches, count, personal_data);
criterion_main!(benches);
