//! The bytes of a bundle to policies that can be asked: decoded, verified, prepared.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy_benches::{ours, workloads};
use policy_runtime::Policies;
use std::hint::black_box;

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(20);
    for workload in workloads::all() {
        let bundle = ours::bundle(&workload.policy).unwrap();
        group.throughput(Throughput::Bytes(bundle.len() as u64));
        group.bench_function(&workload.name, |bencher| {
            bencher.iter(|| Policies::from_bundle(black_box(&bundle), &[]).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, load);
criterion_main!(benches);
