//! A hit allocates nothing: a binary of its own, because the allocator of a process is counted.

#![cfg(all(feature = "cache", feature = "compile"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use policy_runtime::{CacheOptions, EvaluateOptions, LocalCache, Origin, PolicyEngine, Worker, Worth};

#[test]
fn a_hit_allocates_nothing() {
    let engine = PolicyEngine::builder()
        .policies_from_yaml(
            "
metadata: { id: p, name: P, namespace: team }
rules:
  - id: long
    condition: { operator: gt, field: llm.estimatedTokens, value: 10 }
    action: { decision: warn, reason: '{{ llm.estimatedTokens }} tokens', metadata: { user: '{{ user }}' } }
",
        )
        .unwrap()
        .build()
        .unwrap();
    let cache = LocalCache::new(CacheOptions {
        worth: Worth::ALWAYS,
        ..CacheOptions::default()
    });
    let mut worker = Worker::new();
    for id in [None, Some("a-request")] {
        for prompt in [20, 2_000, 200_000] {
            let prompt = "word \\n ".repeat(prompt / 8);
            let body = format!(
                r#"{{"llm": {{"model": "gpt-4o", "prompt": "{prompt}"}}, "user": {{"id": [1, 2.5]}}}}"#
            );
            let options = EvaluateOptions {
                request_id: id,
                namespace: Some("team"),
                ..EvaluateOptions::default()
            };
            let mut ask = || {
                let answer = engine.evaluate_cached(&mut worker, &cache, body.as_bytes(), &options);
                answer.unwrap().origin
            };
            for _ in 0..3 {
                ask();
            }
            let counted = allocation_counter::measure(|| assert_eq!(ask(), Origin::Cached));
            assert_eq!(counted.count_total, 0, "{} bytes", counted.bytes_total);
        }
    }
}
