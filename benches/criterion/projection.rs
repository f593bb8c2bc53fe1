//! Reading requests: the fields of a policy out of a body, and nothing else.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy_benches::ours::{self, Projection};
use policy_benches::workloads;
use std::hint::black_box;

fn projection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("projection");
    for name in ["quickstart", "gateway-20", "tenants-1k", "prompt-scan-100"] {
        let workload = workloads::by_name(name).unwrap();
        let mut projection = Projection::of_bundle(&ours::bundle(&workload.policy).unwrap()).unwrap();
        let bytes: usize = workload.contexts.iter().map(Vec::len).sum();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for body in &workload.contexts {
                    black_box(projection.run(black_box(body)));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, projection);
criterion_main!(benches);
