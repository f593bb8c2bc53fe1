//! Request bytes to decision: ours with and without the response, beside hand-written Rust.
//!
//! Criterion measures one contender after another; for ratios use `cargo run --release -p policy-benches`, which lets
//! them take turns.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy_benches::hand_written::HandWritten;
use policy_benches::{ours, workloads};
use policy_runtime::{EvaluateOptions, Worker};
use std::hint::black_box;

fn end_to_end(criterion: &mut Criterion) {
    for workload in workloads::all() {
        let engine = ours::engine(&ours::bundle(&workload.policy).unwrap()).unwrap();
        ours::check(&engine, &workload).unwrap();
        let by_hand = HandWritten::of(&workload).unwrap();
        let options = EvaluateOptions::default();
        let mut group = criterion.benchmark_group(format!("end_to_end/{}", workload.name));
        group.throughput(Throughput::Elements(workload.contexts.len() as u64));
        group.bench_function("response", |bencher| {
            let mut worker = Worker::new();
            bencher.iter(|| {
                for body in &workload.contexts {
                    black_box(
                        engine
                            .evaluate_into(&mut worker, black_box(body), &options)
                            .is_ok(),
                    );
                }
            });
        });
        group.bench_function("verdict", |bencher| {
            let mut worker = Worker::new();
            bencher.iter(|| {
                for body in &workload.contexts {
                    black_box(engine.decide(&mut worker, black_box(body), &options).is_ok());
                }
            });
        });
        group.bench_function("hand-written", |bencher| {
            bencher.iter(|| {
                for body in &workload.contexts {
                    black_box(by_hand.decide(black_box(body)).is_ok());
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
