//! The workloads are what they claim, and every engine configuration gives the decisions that they expect.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use policy_benches::hand_written::HandWritten;
use policy_benches::ours;
use policy_benches::workloads::{self, Workload};
use policy_compiler::OptLevel;
use policy_runtime::{DeriveMode, EvaluateOptions, Policies, PolicyEngine, Worker};

/// An engine on freshly compiled code, which never was bytes.
fn compiled(workload: &Workload, level: OptLevel) -> PolicyEngine {
    let compiled = ours::compile(&workload.policy, level).unwrap();
    let policies = Policies::from_compiled(compiled).unwrap();
    PolicyEngine::builder()
        .policies(policies)
        .derive(DeriveMode::Never)
        .build()
        .unwrap()
}

fn everywhere(name: &str) {
    let workload = workloads::by_name(name).unwrap();
    for level in [OptLevel::O0, OptLevel::O2] {
        ours::check(&compiled(&workload, level), &workload).unwrap();
    }
    let decoded = ours::engine(&ours::bundle(&workload.policy).unwrap()).unwrap();
    ours::check(&decoded, &workload).unwrap();

    let by_hand = HandWritten::of(&workload).unwrap();
    let mut worker = Worker::new();
    for (body, expected) in workload.contexts.iter().zip(&workload.expected) {
        assert_eq!(by_hand.decide(body).unwrap(), expected.rule.as_deref());
        let verdict = decoded
            .decide(&mut worker, body, &EvaluateOptions::default())
            .unwrap();
        assert_eq!(verdict.decision.as_str(), expected.decision);
        assert_eq!(verdict.rule, expected.rule.as_deref());
        assert!(!verdict.errors);
    }
}

#[test]
fn quickstart_decides_as_expected_everywhere() {
    everywhere("quickstart");
}

#[test]
fn gateway_20_decides_as_expected_everywhere() {
    everywhere("gateway-20");
}

#[test]
fn tenants_1k_decides_as_expected_everywhere() {
    everywhere("tenants-1k");
}

#[test]
fn tenants_10k_decides_as_expected_everywhere() {
    everywhere("tenants-10k");
}

#[test]
fn prompt_scan_100_decides_as_expected_everywhere() {
    everywhere("prompt-scan-100");
}

#[test]
fn workloads_are_complete() {
    let shape = |w: &Workload| (w.contexts.len(), w.expected.len());
    let shapes: Vec<_> = workloads::all().iter().map(shape).collect();
    assert_eq!(shapes, [(4, 4), (64, 64), (256, 256), (256, 256), (32, 32)]);
    for workload in workloads::all() {
        let denied = workload.expected.iter().filter(|e| e.rule.is_some()).count();
        assert!(
            denied > 0 && denied < workload.expected.len(),
            "{}: both decisions occur",
            workload.name
        );
    }
    assert!(workloads::by_name("tenants-0").is_none());
    assert!(workloads::by_name("nothing").is_none());
}

/// Fails when the generator changes, so that numbers of different days stay comparable.
#[test]
fn generated_workloads_are_the_same_bytes_everywhere() {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let digest = |name: &str| {
        let workload = workloads::by_name(name).unwrap();
        let parts =
            std::iter::once(workload.policy.as_bytes()).chain(workload.contexts.iter().map(Vec::as_slice));
        parts.flatten().fold(0xcbf2_9ce4_8422_2325, fnv)
    };
    assert_eq!(digest("tenants-1k"), 0x0e5d_b01c_4857_704f);
    assert_eq!(digest("tenants-10k"), 0x5fd9_b5ea_3f35_b9b9);
}

#[test]
fn workloads_are_those_of_the_shared_data() {
    let folder = workloads::data_folder().join("workloads");
    for workload in workloads::all() {
        let read = |file: &str| std::fs::read_to_string(folder.join(&workload.name).join(file));
        let (Ok(policy), Ok(contexts), Ok(expected)) = (
            read("policy.yaml"),
            read("contexts.jsonl"),
            read("expected.jsonl"),
        ) else {
            println!("skipped: {} is not in {}", workload.name, folder.display());
            continue;
        };
        assert!(policy == workload.policy, "{}: the policy differs", workload.name);
        let lines: Vec<&[u8]> = contexts.lines().map(str::as_bytes).collect();
        assert!(
            lines == workload.contexts,
            "{}: the requests differ",
            workload.name
        );
        let expected: Vec<workloads::Expected> = expected
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(
            expected == workload.expected,
            "{}: the expected decisions differ",
            workload.name
        );
    }
}
