//! Policy text to the bytes of a bundle, and one change of a large set to the engine that decides with it.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use policy_benches::{ours, workloads};
use policy_compiler::{Compiler, Options};
use policy_runtime::Policies;
use std::hint::black_box;

/// Policies of the large sets.
const MANY: usize = 10_000;

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

/// From nothing, and with one policy changed: each until the policies can be activated. A full compile of one document
/// of ten thousand rules stands beside ten thousand documents of one rule.
fn replace_one(criterion: &mut Criterion) {
    let load = |compiler: &mut Compiler| Policies::from_compiled(compiler.build().unwrap()).unwrap();
    let mut group = criterion.benchmark_group("set");
    group.sample_size(10);
    for (name, files) in sets() {
        let edited = |i: usize| {
            workloads::tenant_policy(
                MANY,
                workloads::Tenant {
                    provider: "openai",
                    limit: 1.0 + (i % 100) as f64,
                },
            )
        };
        let new = || {
            let mut compiler = Compiler::new(Options::default());
            for (name, text) in &files {
                compiler.set(name.as_str(), text.as_str());
            }
            compiler.set("edited.yaml", edited(0));
            compiler
        };
        group.bench_function(format!("{name}/all"), |bencher| {
            bencher.iter_batched(new, |mut compiler| load(&mut compiler), BatchSize::PerIteration)
        });
        let mut compiler = new();
        load(&mut compiler);
        let mut i = 0;
        group.bench_function(format!("{name}/replace-one"), |bencher| {
            bencher.iter(|| {
                i += 1;
                compiler.set("edited.yaml", edited(i));
                load(&mut compiler)
            })
        });
    }
    group.finish();
}

/// Files of policies: name and text.
type Files = Vec<(String, String)>;

fn sets() -> [(&'static str, Files); 2] {
    let one_file = workloads::by_name("tenants-10k").unwrap().policy.into_owned();
    [
        ("10k-policies", workloads::tenant_policies(MANY)),
        ("tenants-10k", vec![("tenants.yaml".to_owned(), one_file)]),
    ]
}

criterion_group!(benches, compile, replace_one);
criterion_main!(benches);
