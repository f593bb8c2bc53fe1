//! The policies that users and benchmarks bring: they are outside the repository, and each test says so when they are
//! not there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::PathBuf;
use support::{parse, render};

fn data(path: &str) -> Option<String> {
    let root = std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(path);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(_) => {
            eprintln!("skipped: {} is not there", path.display());
            None
        }
    }
}

#[test]
fn workloads_parse_clean() {
    for (path, rules) in [
        ("workloads/gateway-20/policy.yaml", 20),
        ("workloads/gateway-20/policy.json", 20),
        ("workloads/prompt-scan-100/policy.yaml", 100),
        ("workloads/prompt-scan-100/policy.json", 100),
        ("workloads/quickstart/policy.yaml", 1),
        ("workloads/quickstart/policy.json", 1),
        ("workloads/tenants-1k/policy.yaml", 1_000),
        ("workloads/tenants-1k/policy.json", 1_000),
        ("workloads/tenants-10k/policy.yaml", 10_000),
    ] {
        let Some(text) = data(path) else { continue };
        let (map, output) = parse(path, &text);
        assert_eq!(render(&map, &output.diagnostics), "", "{path}");
        assert_eq!(
            output.policies.iter().map(|p| p.rules.len()).sum::<usize>(),
            rules,
            "{path}"
        );
    }
}

#[test]
fn seed_cost_policy_parses_clean() {
    let Some(text) = data("seed-examples/cost-policy.yaml") else {
        return;
    };
    let (map, output) = parse("cost-policy.yaml", &text);
    assert_eq!(render(&map, &output.diagnostics), "");
    assert_eq!(output.policies[0].metadata.id.value, "cost-001");
}

#[test]
fn other_seed_policies_get_one_helpful_diagnostic() {
    for name in ["budget", "governance", "security"] {
        let Some(text) = data(&format!("seed-examples/{name}-policy.yaml")) else {
            continue;
        };
        let (map, output) = parse(name, &text);
        let rendered = render(&map, &output.diagnostics);
        println!("{rendered}");
        assert_eq!(output.diagnostics.len(), 1, "{rendered}");
        assert_eq!(output.diagnostics[0].code.as_str(), "E0009");
        assert!(output.diagnostics[0].help.len() >= 3);
    }
}
