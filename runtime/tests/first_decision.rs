//! The first decision waits for nothing that could be read before: a binary of its own, because what one test reads is there
//! for all others of its process.

#![cfg(feature = "compile")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use policy_runtime::PolicyEngine;

#[test]
fn prices_are_read_with_the_policies_that_ask_for_them() {
    const RULE: &str = "
metadata: { id: p, name: P }
rules:
  - { id: dear, condition: { operator: gt, field: llm.maxCost, value: 1 }, action: { decision: deny } }
";
    let mut engine = None;
    let loading = allocation_counter::measure(|| {
        engine = PolicyEngine::builder()
            .policies_from_yaml(RULE)
            .unwrap()
            .build()
            .ok();
    });
    let engine = engine.unwrap();
    let context = br#"{"llm": {"model": "gpt-4o", "prompt": "Hello"}}"#;
    let deciding = allocation_counter::measure(|| {
        assert!(engine.evaluate_json(context).unwrap().decision.allowed);
    });
    // The table takes more than a megabyte.
    const TABLE: u64 = 1 << 20;
    assert!(loading.bytes_total > TABLE, "{loading:?}");
    assert!(deciding.bytes_total < TABLE, "{deciding:?}");
}
