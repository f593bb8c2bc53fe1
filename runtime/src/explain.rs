//! Explanations: why a condition came out as it did, read off the manifest's condition trees and the predicates.
//!
//! The hot path keeps nothing for this: a predicate's outcome is looked up in its memo cell or computed again, on the
//! slots that the evaluation still holds. The trees are the conditions as written, whatever the optimiser made of them.

use crate::response::ErrorView;
use crate::snapshot::Policies;
use crate::template::text;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::manifest::CondNode;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::{Outcome, PredIdx, RuleIdx};
use policy_vm::{Evaluation, Host, Trap, Value};
use serde::Serialize;

/// Every rule in scope, with the outcome of each of its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// In evaluation order.
    pub rules: Vec<RuleTrace>,
    /// The same rules for the request as it was modified, where that is denied: then they decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_look: Option<Vec<RuleTrace>>,
}

/// One rule of a [`Trace`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleTrace {
    /// Id of its policy.
    pub policy: String,
    /// Its id.
    pub rule: String,
    /// What it decides when it fires.
    pub decision: &'static str,
    /// `true`, `false` or `error`.
    pub outcome: &'static str,
    /// Whether it fired.
    pub fired: bool,
    /// Its condition.
    pub condition: ConditionTrace,
}

/// One node of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionTrace {
    /// `and`, `or`, `not`, `const`, or the comparison's operator.
    pub operator: String,
    /// `true`, `false` or `error`.
    pub outcome: &'static str,
    /// The field that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stood there; absent when it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<serde_json::Value>,
    /// What it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// The field that it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<String>,
    /// Operands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionTrace>,
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::False => "false",
        Outcome::True => "true",
        Outcome::Error => "error",
    }
}

/// Outcome of a condition tree, every node looked at. Recursion is bounded by the manifest's depth check.
pub(crate) fn outcome<H: Host>(policies: &Policies, node: u32, eval: &mut Evaluation<'_, H>) -> Outcome {
    match policies.manifest.conditions.get(node as usize) {
        Some(CondNode::Const(value)) => Outcome::from(*value),
        Some(CondNode::And(children)) => children
            .iter()
            .fold(Outcome::True, |all, c| all.and(outcome(policies, *c, eval))),
        Some(CondNode::Or(children)) => children
            .iter()
            .fold(Outcome::False, |any, c| any.or(outcome(policies, *c, eval))),
        Some(CondNode::Not(child)) => outcome(policies, *child, eval).negate(),
        Some(CondNode::Test { pred, negated }) => {
            let outcome = eval.predicate(*pred);
            if *negated { outcome.negate() } else { outcome }
        }
        None => Outcome::Error,
    }
}

/// What the errors of one rule are attributed to.
#[derive(Clone, Copy)]
pub(crate) struct Blame<'a> {
    pub(crate) policy: &'a str,
    pub(crate) rule: &'a str,
}

/// Appends the comparisons that make a condition an error, in document order: those in error below a node in error.
pub(crate) fn errors<'a, H: Host>(
    policies: &'a Policies,
    node: u32,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, H>,
    out: &mut BumpVec<'a, ErrorView<'a>>,
) {
    match policies.manifest.conditions.get(node as usize) {
        Some(CondNode::And(children) | CondNode::Or(children)) => {
            for child in children {
                if outcome(policies, *child, eval) == Outcome::Error {
                    errors(policies, *child, blame, eval, out);
                }
            }
        }
        Some(CondNode::Not(child)) => errors(policies, *child, blame, eval, out),
        Some(CondNode::Test { pred, .. }) => out.push(comparison_error(policies, *pred, blame, eval)),
        Some(CondNode::Const(_)) | None => {}
    }
}

/// The error of a rule whose evaluation broke off.
pub(crate) fn trap_error<'a>(trap: Trap, blame: Blame<'a>) -> ErrorView<'a> {
    ErrorView {
        policy: blame.policy,
        rule: blame.rule,
        field: "",
        found: "a limit was exceeded",
        expected: "an evaluation within the module's limits",
        message: trap.as_str(),
    }
}

fn comparison_error<'a, H: Host>(
    policies: &'a Policies,
    pred: PredIdx,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, H>,
) -> ErrorView<'a> {
    let module = eval.module();
    let Some(predicate) = module.predicate(pred) else {
        return trap_error(Trap::OutOfFuel, blame);
    };
    let field_name =
        |f: policy_bytecode::FieldIdx| policies.field_names.get(f.index()).map_or("", String::as_str);
    let field = field_name(predicate.field);
    let value = eval.field(predicate.field);
    let bump = eval.bump();
    let right = match predicate.operand {
        PredOperand::Field(f) => Some((field_name(f), eval.field(f))),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) => None,
    };
    if let Some((name, Value::Unknown)) = right {
        return unknown(name, blame, bump);
    }
    if matches!(value, Value::Unknown) {
        return unknown(field, blame, bump);
    }
    let op = predicate.op;
    let (field, found, expected) = match (op, right) {
        (PredOp::In, Some((name, right))) => (name, right.type_name(), "array"),
        (PredOp::Gt | PredOp::Gte | PredOp::Lt | PredOp::Lte, Some((name, right))) => {
            match (&value, &right) {
                (Value::Number(_) | Value::Str(_), right) => (name, right.type_name(), value.type_name()),
                (left, Value::Number(_) | Value::Str(_)) => (field, left.type_name(), right.type_name()),
                (left, _) => (field, left.type_name(), "number or string"),
            }
        }
        (PredOp::Gt | PredOp::Gte | PredOp::Lt | PredOp::Lte, None) => {
            let constant = match predicate.operand {
                PredOperand::Const(k) => module.constant(k, bump).type_name(),
                PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) => "number or string",
            };
            (field, value.type_name(), constant)
        }
        (PredOp::Contains | PredOp::StartsWith | PredOp::EndsWith, Some((name, right)))
            if matches!(value, Value::Str(_)) =>
        {
            (name, right.type_name(), "string")
        }
        (PredOp::Contains, right) => {
            let text = match (right, predicate.operand) {
                (Some((_, Value::Str(_))), _) => true,
                (None, PredOperand::Const(k)) => matches!(module.constant(k, bump), Value::Str(_)),
                (Some(_), _)
                | (None, PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_)) => false,
            };
            (
                field,
                value.type_name(),
                if text { "string or array" } else { "array" },
            )
        }
        (PredOp::StartsWith | PredOp::EndsWith | PredOp::Matches, _) => (field, value.type_name(), "string"),
        (PredOp::Eq | PredOp::In | PredOp::Exists, _) => {
            (field, value.type_name(), "a value that can be told")
        }
    };
    let message = text(
        bump,
        format_args!("`{}` on `{field}` needs {expected}, found {found}", op.as_str()),
    );
    ErrorView {
        policy: blame.policy,
        rule: blame.rule,
        field,
        found,
        expected,
        message,
    }
}

/// The error of a derived field that cannot be computed.
pub(crate) fn unknown<'a>(field: &'a str, blame: Blame<'a>, bump: &'a policy_vm::Bump) -> ErrorView<'a> {
    ErrorView {
        policy: blame.policy,
        rule: blame.rule,
        field,
        found: "unknown",
        expected: "a model with a known price, and a number as `llm.maxTokens`",
        message: text(
            bump,
            format_args!("`{field}` cannot be computed for this request"),
        ),
    }
}

/// The trace of the rules in scope.
pub(crate) fn rules<H: Host>(
    policies: &Policies,
    in_scope: impl Fn(usize) -> bool,
    eval: &mut Evaluation<'_, H>,
) -> Vec<RuleTrace> {
    let mut rules = Vec::new();
    for (index, info) in policies.manifest.rules.iter().enumerate() {
        let Some(rule) = eval.module().rule(index).copied() else {
            continue;
        };
        if !in_scope(rule.policy.index()) {
            continue;
        }
        let hit = eval.hits().iter().find(|h| h.rule.index() == index).copied();
        let condition = condition(policies, info.condition, eval);
        rules.push(RuleTrace {
            policy: policies
                .manifest
                .policies
                .get(rule.policy.index())
                .map(|p| p.id.clone())
                .unwrap_or_default(),
            rule: info.id.clone(),
            decision: rule.decision.as_str(),
            outcome: match hit {
                Some(h) if h.error => "error",
                Some(_) => "true",
                None => "false",
            },
            fired: hit.is_some_and(|h| h.fired),
            condition,
        });
    }
    rules
}

fn condition<H: Host>(policies: &Policies, node: u32, eval: &mut Evaluation<'_, H>) -> ConditionTrace {
    let outcome = name(outcome(policies, node, eval));
    let branch = |operator: &str, conditions| ConditionTrace {
        operator: operator.to_owned(),
        outcome,
        field: None,
        actual: None,
        value: None,
        value_from: None,
        conditions,
    };
    match policies.manifest.conditions.get(node as usize) {
        Some(CondNode::And(children)) => branch(
            "and",
            children.iter().map(|c| condition(policies, *c, eval)).collect(),
        ),
        Some(CondNode::Or(children)) => branch(
            "or",
            children.iter().map(|c| condition(policies, *c, eval)).collect(),
        ),
        Some(CondNode::Not(child)) => branch("not", vec![condition(policies, *child, eval)]),
        Some(CondNode::Test { pred, negated }) => test(policies, *pred, *negated, outcome, eval),
        Some(CondNode::Const(_)) | None => branch("const", Vec::new()),
    }
}

/// Texts longer than this are cut in traces: a prompt belongs into the request, not into its explanation.
const MAX_TRACE_TEXT: usize = 200;

fn test<H: Host>(
    policies: &Policies,
    pred: PredIdx,
    negated: bool,
    outcome: &'static str,
    eval: &mut Evaluation<'_, H>,
) -> ConditionTrace {
    let module = eval.module();
    let predicate = module.predicate(pred).copied();
    let field_name = |f: policy_bytecode::FieldIdx| policies.field_names.get(f.index()).cloned();
    let operator = predicate.map_or("?", |p| operator(p.op, negated)).to_owned();
    let actual = predicate
        .map(|p| eval.field(p.field))
        .filter(Value::is_present)
        .map(|v| cut(crate::response::to_json(&v)));
    let value = predicate.and_then(|p| match p.operand {
        PredOperand::Const(k) => Some(crate::response::to_json(&module.constant(k, eval.bump()))),
        PredOperand::Pattern(x) => module.pattern_source(x).map(serde_json::Value::from),
        PredOperand::None => negated.then_some(serde_json::Value::Bool(false)),
        PredOperand::Field(_) => None,
    });
    let value_from = predicate.and_then(|p| match p.operand {
        PredOperand::Field(f) => field_name(f),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) => None,
    });
    ConditionTrace {
        operator,
        outcome,
        field: predicate.and_then(|p| field_name(p.field)),
        actual,
        value,
        value_from,
        conditions: Vec::new(),
    }
}

/// Spelling of a predicate in documents.
pub(crate) fn operator(op: PredOp, negated: bool) -> &'static str {
    match (op, negated) {
        (PredOp::Eq, true) => "ne",
        (PredOp::In, true) => "not_in",
        (PredOp::Contains, true) => "not_contains",
        (op, _) => op.as_str(),
    }
}

fn cut(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) if text.len() > MAX_TRACE_TEXT => {
            let mut end = MAX_TRACE_TEXT;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            serde_json::Value::String(format!(
                "{}… ({} bytes)",
                text.get(..end).unwrap_or(""),
                text.len()
            ))
        }
        other => other,
    }
}

/// Used where a rule is named by index.
pub(crate) fn blame(policies: &Policies, rule: RuleIdx, policy: usize) -> Blame<'_> {
    Blame {
        policy: policies
            .manifest
            .policies
            .get(policy)
            .map_or("", |p| p.id.as_str()),
        rule: policies
            .manifest
            .rules
            .get(rule.index())
            .map_or("", |r| r.id.as_str()),
    }
}
