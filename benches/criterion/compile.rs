//! Policy text to the bytes of a bundle.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy_benches::{ours, workloads};
use std::hint::black_box;

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for name in ["gateway-20", "tenants-1k", "tenants-10k"] {
        let policy = workloads::by_name(name).unwrap().policy;
        group.throughput(Throughput::Bytes(policy.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| ours::bundle(black_box(&policy)).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, compile);
criterion_main!(benches);
