//! What goes into the bundle beside the code: evaluation order, qualified ids, values, templates, places, cost,
//! revisions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_bytecode::manifest::{TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::Decision;
use policy_compiler::{Compiled, Options, compile};
use policy_grammar::{SourceFile, SourceMap};

const POLICIES: &str = "\
metadata: {id: b, name: B, priority: 1}
rules:
  - id: same
    condition: {operator: gt, field: llm.estimated_cost, value: 1}
    action: {decision: deny, reason: 'costs {{ llm.estimatedCost }} for {{ team.id }}'}
  - id: off
    enabled: false
    condition: {operator: eq, field: never.read, value: 1}
    action: {decision: deny}
onError: skip
---
metadata: {id: a, name: A, priority: 1}
rules:
  - id: same
    condition: {operator: eq, field: team.tier, value: free}
    action:
      decision: modify
      modifications: {llm.max_tokens: {$cap: 100}, metadata.note: 'by {{ team.id }}'}
      metadata: {z: 1, a: {k: ['{{ team.id }}', 2]}}
---
metadata: {id: first, name: First, priority: 2}
rules:
  - id: only
    condition: {operator: matches, field: llm.model, value: '^gpt'}
    action: {decision: allow}
";

fn built(options: &Options) -> Compiled {
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("policies.yaml", POLICIES));
    compile(&sources, options).unwrap()
}

#[test]
fn policies_stand_in_evaluation_order() {
    let compiled = built(&Options::default());
    let ids: Vec<&str> = compiled.manifest.policies.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["first", "a", "b"]);
    let rules: Vec<(&str, bool)> = compiled
        .manifest
        .rules
        .iter()
        .map(|r| (r.id.as_str(), r.qualified))
        .collect();
    assert_eq!(rules, [("only", false), ("same", true), ("same", true)]);
    let fires: Vec<(Decision, bool)> = compiled
        .module
        .rules
        .iter()
        .map(|r| (r.decision, r.fires_on_error))
        .collect();
    assert_eq!(
        fires,
        [
            (Decision::Allow, false),
            (Decision::Modify, true),
            (Decision::Deny, false)
        ]
    );
    let rule = &compiled.manifest.rules[2];
    assert_eq!((rule.line, rule.column), (3, 9));
}

#[test]
fn actions_keep_their_order_and_share_constants() {
    let Compiled { manifest, module, .. } = built(&Options::default());
    let rule = &manifest.rules[1];
    assert_eq!(
        rule.metadata.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(),
        ["z", "a"]
    );
    let ValueNode::Object(members) = &manifest.values[rule.metadata[1].1 as usize] else {
        panic!("an object is expected");
    };
    let ValueNode::Array(items) = &manifest.values[members[0].1 as usize] else {
        panic!("an array with a template is expected");
    };
    assert!(matches!(
        manifest.values[items[0] as usize],
        ValueNode::Template(_)
    ));
    assert_eq!(rule.modifications[0].path, "llm.maxTokens");
    assert!(matches!(rule.modifications[0].verb, VerbInfo::Cap(_)));
    let reason = &manifest.templates[manifest.rules[2].reason.unwrap() as usize];
    let TemplatePart::Field(field) = reason[1] else {
        panic!("{reason:?}");
    };
    assert!(module.fields[field.index()].derived.is_some());
    // What only a disabled rule reads is not projected.
    assert!(!format!("{:?}", module.fields).contains("never"));
}

#[test]
fn the_certificate_counts_what_can_happen() {
    let certificate = built(&Options::default()).certificate;
    assert_eq!(certificate.predicates, 3);
    assert_eq!(certificate.derived, ["llm.estimatedCost"]);
    assert_eq!(certificate.instructions, 3);
    // One pattern and the text of the prompt for its cost; two placeholders of a reason, one of a modification and one of
    // metadata.
    assert_eq!(certificate.scans_per_text_byte, 2 + 4);
    assert!(certificate.fixed_cost > 3 && certificate.cost_per_text_kb > 0);
}

#[test]
fn revisions_follow_the_contents_unless_given() {
    let options = Options::default();
    let revision = built(&options).manifest.revision;
    assert!(
        revision.starts_with("sha256:") && revision.len() == 7 + 12,
        "{revision}"
    );
    assert_eq!(revision, built(&options).manifest.revision);
    let named = Options {
        revision: Some("r1".to_owned()),
        ..Options::default()
    };
    assert_eq!(built(&named).manifest.revision, "r1");
    let limited = Options {
        limits: policy_bytecode::module::Limits {
            fuel: 1,
            ..Default::default()
        },
        ..Options::default()
    };
    assert_ne!(built(&limited).manifest.revision, revision);
}
