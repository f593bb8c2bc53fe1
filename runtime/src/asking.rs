//! Which policies read what a service answers about a request ([`SERVICE`]), so that nobody is asked for nothing.
//!
//! A policy counts where one of its rules reads that object or anything in it, in its condition, reason, metadata or modifications.
//! Where it cannot be told which policies do, all of them count.

use policy_bytecode::instr::Role;
use policy_bytecode::manifest::{Manifest, TemplatePart};
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOperand, Predicate};
use policy_bytecode::quantifier::{Body, ItemTest};
use policy_bytecode::{FieldIdx, Module};
use std::collections::HashSet;

/// The object at the top of a request that holds what a service answers about it.
pub const SERVICE: &str = "shield";

/// By policy; empty where none does. O(fields) then, else O(size of the module).
pub(crate) fn policies(module: &Module, manifest: &Manifest) -> Vec<bool> {
    let is_asked: Vec<bool> = module
        .fields
        .iter()
        .map(|field| matches!(field.path.first(), Some(PathSegment::Key { name, .. }) if name == SERVICE))
        .collect();
    if !is_asked.contains(&true) {
        return Vec::new();
    }
    let asked = |field: FieldIdx| is_asked.get(field.index()).copied().unwrap_or(true);
    let functions = functions(module, asked);
    let templates: Vec<bool> = manifest
        .templates
        .iter()
        .map(|parts| {
            let mut parts = parts.iter();
            parts.any(|part| matches!(part, TemplatePart::Field(field) if asked(*field)))
        })
        .collect();
    let reasons: HashSet<usize> = manifest
        .rules
        .iter()
        .filter_map(|rule| rule.reason)
        .map(|template| template as usize)
        .collect();
    // What is no reason stands in metadata, or in a value that modifies.
    let elsewhere = templates
        .iter()
        .enumerate()
        .any(|(template, asks)| *asks && !reasons.contains(&template));
    let mut asking = vec![elsewhere; manifest.policies.len()];
    for (rule, info) in module.rules.iter().zip(&manifest.rules) {
        let shown = |template: u32| templates.get(template as usize).copied().unwrap_or(true);
        let asks = functions.get(rule.condition.index()).copied().unwrap_or(true)
            || info.reason.is_some_and(shown)
            || info
                .modifications
                .iter()
                .any(|modification| asked(modification.field));
        if let Some(policy) = asking.get_mut(rule.policy.index()).filter(|_| asks) {
            *policy = true;
        }
    }
    asking
}

/// The functions that read such a field, or call one that does.
fn functions(module: &Module, asked: impl Fn(FieldIdx) -> bool) -> Vec<bool> {
    let of_body = |body: &Body| body.tests().flat_map(ItemTest::fields).any(&asked);
    // Bodies name bodies; it is enough to know whether any of them asks.
    let any_body = module.bodies.iter().any(of_body);
    let of_predicate = |predicate: &Predicate| {
        predicate.fields().any(&asked) || (any_body && matches!(predicate.operand, PredOperand::Body(_)))
    };
    let predicates: Vec<bool> = module.predicates.iter().map(of_predicate).collect();
    let mut callers: Vec<Vec<usize>> = vec![Vec::new(); module.functions.len()];
    let mut found = Vec::new();
    for (index, function) in module.functions.iter().enumerate() {
        let mut asks = false;
        for instruction in &function.code {
            instruction.roles(|role| match role {
                Role::Field(field) => asks |= asked(field),
                Role::Pred(pred) => asks |= predicates.get(pred.index()).copied().unwrap_or(true),
                Role::Func(callee) => {
                    if let Some(callers) = callers.get_mut(callee.index()) {
                        callers.push(index);
                    }
                }
                Role::Def(_)
                | Role::Use(_)
                | Role::Jump(_)
                | Role::Const(_)
                | Role::Flag(_)
                | Role::Iter(_)
                | Role::Builder(_)
                | Role::Immediate => {}
            });
        }
        if asks {
            found.push(index);
        }
    }
    let mut functions = vec![false; module.functions.len()];
    while let Some(index) = found.pop() {
        if let Some(asks) = functions.get_mut(index).filter(|asks| !**asks) {
            *asks = true;
            found.extend(callers.get(index).into_iter().flatten());
        }
    }
    functions
}

#[cfg(test)]
#[cfg(feature = "compile")]
mod tests {
    use crate::{EvaluateOptions, PolicyEngine};

    /// Whether a request in this namespace is asked about.
    fn asks(engine: &PolicyEngine, namespace: &str) -> bool {
        let options = EvaluateOptions {
            namespace: Some(namespace),
            ..EvaluateOptions::default()
        };
        engine.choose(&options).unwrap().reads_shield()
    }

    fn engine(rule: &str) -> PolicyEngine {
        PolicyEngine::builder()
            .policies_from_yaml(&format!(
                "
metadata: {{ id: asks, name: Asks, namespace: asks }}
rules:
  - {rule}
---
metadata: {{ id: plain, name: Plain, namespace: plain }}
rules:
  - id: model
    condition: {{ operator: eq, field: llm.model, value: gpt-4o }}
    action: {{ decision: deny, reason: 'not {{{{ llm.model }}}}' }}
"
            ))
            .unwrap()
            .build()
            .unwrap()
    }

    #[test]
    fn a_policy_asks_by_its_condition_its_reason_or_what_it_modifies() {
        let deny = "action: { decision: deny, reason: no }";
        let model = "condition: { operator: eq, field: llm.model, value: m }";
        for rule in [
            format!("{{ id: r, condition: {{ operator: ne, field: shield.safe, value: true }}, {deny} }}"),
            format!("{{ id: r, condition: {{ operator: exists, field: shield }}, {deny} }}"),
            format!(
                "{{ id: r, condition: {{ operator: eq, field: llm.model, valueFrom: shield.verdict }}, {deny} }}"
            ),
            format!(
                "{{ id: r, condition: {{ operator: any, field: shield.threats, \
                 condition: {{ operator: eq, field: item.type, value: x }} }}, {deny} }}"
            ),
            format!(
                "{{ id: r, condition: {{ operator: any, field: llm.messages, \
                 condition: {{ operator: eq, field: item.role, valueFrom: shield.verdict }} }}, {deny} }}"
            ),
            format!("{{ id: r, {model}, action: {{ decision: deny, reason: '{{{{ shield.reason }}}}' }} }}"),
        ] {
            let engine = engine(&rule);
            assert!(asks(&engine, "asks"), "{rule}");
            assert!(!asks(&engine, "plain"), "{rule}");
        }
        // Where it stands in metadata, all policies count.
        let metadata = format!(
            "{{ id: r, {model}, action: {{ decision: deny, reason: no, metadata: {{ why: '{{{{ shield.reason }}}}' }} }} }}"
        );
        assert!(asks(&engine(&metadata), "asks"));
        let plain = format!("{{ id: r, {model}, {deny} }}");
        assert!(!asks(&engine(&plain), "asks"));
    }
}
