//! The interpreter alone, on slots that are filled: time for each predicate that has to run.
//!
//! A thousand rules of one comparison each, none of which is true, guarded by nothing, so that every one runs. Criterion
//! reports elements a second: one element is one predicate, with the rule around it.

#![expect(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy_bytecode::asm::assemble;
use policy_bytecode::verify::{HostLimits, verify};
use policy_vm::{AsSent, LoadedModule, Mode, Scope, Scratch};
use std::fmt::Write as _;
use std::hint::black_box;

const RULES: usize = 1000;

/// Rules that ask `predicate` of their own constant; `#` stands for the number of the rule.
fn module(constant: &str, predicate: &str) -> LoadedModule {
    let mut text = String::from(".fields\n f0: team.id\n f1: llm.maxTokens\n f2: user.roles\n.constants\n");
    let numbered = |line: &str, i: usize| line.replace('#', &i.to_string());
    for i in 0..RULES {
        writeln!(text, " k{i}: {}", numbered(constant, i)).unwrap();
    }
    text.push_str(".predicates\n");
    for i in 0..RULES {
        writeln!(text, " p{i}: {predicate} k{i}").unwrap();
    }
    for i in 0..RULES {
        writeln!(text, ".function fn{i}\n ret_test p{i}, 1").unwrap();
    }
    text.push_str(".rules\n");
    for i in 0..RULES {
        writeln!(text, " rule{i}: policy0 deny fn{i} fires_on_error").unwrap();
    }
    writeln!(text, ".policies\n policy0: rule0+{RULES}").unwrap();
    let verified = verify(assemble(&text).unwrap(), &HostLimits::default()).unwrap();
    LoadedModule::new(&verified).unwrap()
}

fn vm(criterion: &mut Criterion) {
    let body = br#"{"team": {"id": "team-x"}, "llm": {"maxTokens": 100}, "user": {"roles": ["employee"]}}"#;
    let mut group = criterion.benchmark_group("vm");
    group.throughput(Throughput::Elements(RULES as u64));
    for (name, constant, predicate) in [
        ("eq", "\"team-#\"", "f0 eq"),
        ("gt", "1000#", "f1 gt"),
        ("contains", "\"role-#\"", "f2 contains"),
        ("starts_with", "\"group-#\"", "f0 starts_with"),
    ] {
        let module = module(constant, predicate);
        let (mut scratch, mut host) = (Scratch::new(), AsSent);
        let mut evaluation = module.begin(&mut scratch, &mut host, body).unwrap();
        assert!(evaluation.decide(Scope::All, Mode::All).is_empty());
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(evaluation.decide(Scope::All, Mode::All).len()));
        });
    }
    group.finish();
}

criterion_group!(benches, vm);
criterion_main!(benches);
