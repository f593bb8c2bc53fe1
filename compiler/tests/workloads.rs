//! Every workload and seed example compiles, at every level, to the same bytes each time.
//!
//! The files live outside the repository (`$POLICY_TEST_DATA`, or `shared/data` beside the workspace); a missing file
//! skips its test by name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_compiler::{OptLevel, Options, compile};
use policy_grammar::{SourceFile, SourceMap};
use std::path::PathBuf;

fn data(path: &str) -> Option<SourceMap> {
    let root = std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(root.join(path)) else {
        eprintln!("skipped: {path} is not there");
        return None;
    };
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new(path, text));
    Some(sources)
}

fn options(opt_level: OptLevel) -> Options {
    Options {
        opt_level,
        ..Options::default()
    }
}

fn compiles(path: &str, rules: usize) {
    let Some(sources) = data(path) else { return };
    for level in OptLevel::ALL {
        let compiled =
            compile(&sources, &options(*level)).unwrap_or_else(|e| panic!("{path} at {level:?}: {e}"));
        assert_eq!(compiled.module.rules.len(), rules, "{path} at {level:?}");
        let bytes = compiled.to_bundle().unwrap();
        if *level == OptLevel::O2 {
            let again = compile(&sources, &options(*level)).unwrap().to_bundle().unwrap();
            assert!(bytes == again, "{path} is not reproducible");
        }
        let bundle = policy_bytecode::bundle::Bundle::decode(&bytes).unwrap();
        assert_eq!(&bundle.module, &*compiled.module);
    }
}

/// The goal of the performance page is two seconds for everything; the stages after the parser are the smaller part.
/// Debug builds are an order of magnitude slower, so only release builds are held to it.
#[test]
fn ten_thousand_rules_compile_in_two_seconds() {
    let Some(sources) = data("workloads/tenants-10k/policy.yaml") else {
        return;
    };
    let start = std::time::Instant::now();
    let compiled = compile(
        &sources,
        &Options {
            time_passes: true,
            ..Options::default()
        },
    )
    .unwrap();
    let all = start.elapsed();
    let start = std::time::Instant::now();
    let mut policies = Vec::new();
    for (id, _) in sources.iter() {
        policies.extend(policy_grammar::parse_source(&sources, id).policies);
    }
    let parsed = start.elapsed();
    eprintln!("compile {all:?}, of which the parser {parsed:?}");
    for pass in &compiled.report.passes {
        eprintln!(
            "  {}: {} changes, {:?}",
            pass.name,
            pass.changes,
            pass.time.unwrap()
        );
    }
    eprintln!("  {:?}", compiled.report.stats);
    if !cfg!(debug_assertions) {
        assert!(all.as_secs_f64() < 2.0, "{all:?}");
    }
}

#[test]
fn quickstart() {
    compiles("workloads/quickstart/policy.json", 1);
}

#[test]
fn gateway_20() {
    compiles("workloads/gateway-20/policy.json", 20);
}

#[test]
fn prompt_scan_100() {
    compiles("workloads/prompt-scan-100/policy.json", 100);
}

#[test]
fn tenants_1k() {
    compiles("workloads/tenants-1k/policy.json", 1_000);
}

#[test]
fn tenants_10k() {
    compiles("workloads/tenants-10k/policy.yaml", 10_000);
}

#[test]
fn seed_cost_policy() {
    compiles("seed-examples/cost-policy.yaml", 4);
}
