//! Explanations: why a condition came out as it did, read off the manifest's condition trees and the predicates.
//!
//! The hot path keeps nothing for this: a predicate's outcome is looked up in its memo cell or computed again, on the
//! slots that the evaluation still holds. The trees are the conditions as written, whatever the optimiser made of them.

use crate::names::View;
use crate::response::{ErrorView, to_json};
use crate::snapshot::{Policies, path_text};
use crate::template::{CUT, text};
use crate::trace::{ConditionTrace, RuleTrace};
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::context::Shape;
use policy_bytecode::manifest::{CondNode, ItemConstant};
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOp, PredOperand, Reads, Takes};
use policy_bytecode::quantifier::{ItemOperand, ItemTest, Node, Subject};
use policy_bytecode::{BodyIdx, ConstIdx, Outcome, PredIdx, RuleIdx};
use policy_vm::{Evaluation, Host, Iter, LoadedModule, Trap, Value, in_element, is_readable};

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::False => "false",
        Outcome::True => "true",
        Outcome::Error => "error",
    }
}

fn test_outcome<H: Host>(pred: PredIdx, negated: bool, eval: &mut Evaluation<'_, H>) -> Outcome {
    let outcome = eval.predicate(pred);
    if negated { outcome.negate() } else { outcome }
}

/// What the errors of one rule are attributed to.
#[derive(Clone, Copy)]
pub(crate) struct Blame<'a> {
    pub(crate) policy: &'a str,
    pub(crate) rule: &'a str,
}

/// Appends the comparisons that make a condition an error, in document order: those in error below a node in error. Every
/// node is looked at once. Recursion is bounded by the manifest's depth check.
pub(crate) fn errors<'a, H: Host>(
    policies: &'a Policies,
    node: u32,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, H>,
    out: &mut BumpVec<'a, ErrorView<'a>>,
) -> Outcome {
    let known = out.len();
    let outcome = match policies.manifest.conditions.get(node as usize) {
        Some(CondNode::Const(value)) => Outcome::from(*value),
        Some(CondNode::And(children)) => children.iter().fold(Outcome::True, |all, child| {
            all.and(errors(policies, *child, blame, eval, out))
        }),
        Some(CondNode::Or(children)) => children.iter().fold(Outcome::False, |any, child| {
            any.or(errors(policies, *child, blame, eval, out))
        }),
        Some(CondNode::Not(child)) => errors(policies, *child, blame, eval, out).negate(),
        Some(CondNode::Test { pred, negated, .. }) => {
            let outcome = test_outcome(*pred, *negated, eval);
            if outcome == Outcome::Error {
                out.push(comparison_error(policies, *pred, blame, eval));
            }
            outcome
        }
        None => Outcome::Error,
    };
    if outcome != Outcome::Error {
        // Something else decided, so they are the errors of nothing.
        out.truncate(known);
    }
    outcome
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

/// What `before`, `after` and `time_between` read.
const INSTANT: &str = "an RFC 3339 time with an offset, or epoch milliseconds";

fn comparison_error<'a, H: Host>(
    policies: &'a Policies,
    pred: PredIdx,
    blame: Blame<'a>,
    eval: &mut Evaluation<'a, H>,
) -> ErrorView<'a> {
    let module = eval.module();
    let Some(predicate) = module.predicate(pred) else {
        return ErrorView {
            policy: blame.policy,
            rule: blame.rule,
            field: "",
            found: "a comparison that the module does not have",
            expected: "a comparison of the module",
            message: "the engine has a defect: the explanation does not fit the module",
        };
    };
    let field_name =
        |f: policy_bytecode::FieldIdx| policies.field_names.get(f.index()).map_or("", String::as_str);
    let field = field_name(predicate.field);
    let value = eval.field(predicate.field);
    let bump = eval.bump();
    let right = match predicate.operand {
        PredOperand::Field(f) => Some((field_name(f), eval.field(f))),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Body(_) => None,
    };
    if let Some((name, Value::Unknown)) = right {
        return unknown(name, blame, bump);
    }
    if matches!(value, Value::Unknown) {
        return unknown(field, blame, bump);
    }
    let mismatch = |name: &'a str, f: policy_bytecode::FieldIdx, value: Value<'a>| {
        let expected = match module.shape(f) {
            Shape::List => "array",
            Shape::Scalar | Shape::Any => "a single value",
        };
        policy_vm::mismatches(module.shape(f), &value).then(|| (name, value.type_name(), expected))
    };
    let mismatched = mismatch(field, predicate.field, value).or_else(|| {
        let PredOperand::Field(f) = predicate.operand else {
            return None;
        };
        right.and_then(|(name, value)| mismatch(name, f, value))
    });
    let op = predicate.op;
    let (field, found, expected) = match (op.takes(), op.reads(), right) {
        _known_field if mismatched.is_some() => mismatched.unwrap_or_default(),
        (Takes::List, _, Some((name, right))) => (name, right.type_name(), "array"),
        (Takes::Ordered, _, Some((name, right))) => match (&value, &right) {
            (Value::Number(_) | Value::Decimal(_) | Value::Str(_), right) => {
                (name, right.type_name(), value.type_name())
            }
            (left, Value::Number(_) | Value::Decimal(_) | Value::Str(_)) => {
                (field, left.type_name(), right.type_name())
            }
            (left, _) => (field, left.type_name(), "number or string"),
        },
        (Takes::Ordered, _, None) => {
            let constant = match predicate.operand {
                PredOperand::Const(k) => module.constant(k).type_name(),
                PredOperand::None
                | PredOperand::Pattern(_)
                | PredOperand::Field(_)
                | PredOperand::Body(_) => "number or string",
            };
            (field, value.type_name(), constant)
        }
        (Takes::Networks, _, Some((name, right))) if is_readable(op, &value) => {
            (name, right.type_name(), "a network or a list of networks")
        }
        (Takes::Instant, _, Some((name, right))) if is_readable(op, &value) => {
            (name, right.type_name(), INSTANT)
        }
        (_, Reads::Address, _) => (field, value.type_name(), "an IP address"),
        (_, Reads::Instant, _) => (field, value.type_name(), INSTANT),
        (_, Reads::Text | Reads::TextOrList, Some((name, right))) if matches!(value, Value::Str(_)) => {
            (name, right.type_name(), "string")
        }
        (_, Reads::TextOrList, right) => {
            let text = match (right, predicate.operand) {
                (Some((_, Value::Str(_))), _) => true,
                (None, PredOperand::Const(k)) => matches!(module.constant(k), Value::Str(_)),
                (Some(_), _)
                | (
                    None,
                    PredOperand::None
                    | PredOperand::Pattern(_)
                    | PredOperand::Field(_)
                    | PredOperand::Body(_),
                ) => false,
            };
            (
                field,
                value.type_name(),
                if text { "string or array" } else { "array" },
            )
        }
        (_, Reads::Text, _) => (field, value.type_name(), "string"),
        (_, Reads::Anything | Reads::Ordered, _) => (field, value.type_name(), "a value that can be told"),
        // A list is at fault for what is in it.
        (_, Reads::List, _) if matches!(value, Value::Array(_)) => {
            (field, "array", "elements that its condition takes")
        }
        (_, Reads::List, _) => (field, value.type_name(), "array"),
    };
    let message = text(
        bump,
        format_args!(
            "`{}` on `{field}` needs {expected}, found {found}",
            operator(op, false)
        ),
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
        expected: if field.starts_with("llm.estimated") || field.starts_with("llm.maxCost") {
            "a model with a known price, numbers as limits, and content that can be counted"
        } else if field.starts_with("shield.") {
            "the answer of a scanner"
        } else {
            "a value that can be read"
        },
        message: if field.starts_with("shield.") {
            text(bump, format_args!("`{field}` is not known: no scanner says it"))
        } else {
            text(
                bump,
                format_args!("`{field}` cannot be computed for this request"),
            )
        },
    }
}

/// The trace of the rules in scope.
pub(crate) fn rules<H: Host>(
    policies: &Policies,
    names: View<'_>,
    in_scope: impl Fn(usize) -> bool,
    eval: &mut Evaluation<'_, H>,
) -> Vec<RuleTrace> {
    let mut rules = Vec::new();
    let mut room = TraceRoom {
        left: MAX_TRACE_VALUES,
        built: MAX_TRACE_VALUES,
    };
    for (index, info) in policies.manifest.rules.iter().enumerate() {
        let Some(rule) = eval.module().rule(index).copied() else {
            continue;
        };
        if !in_scope(rule.policy.index()) {
            continue;
        }
        // They are in the order of rules.
        let hit = eval.hits().binary_search_by_key(&index, |hit| hit.rule.index());
        let hit = hit.ok().and_then(|at| eval.hits().get(at)).copied();
        let (_, condition) = condition(policies, info.condition, eval, &mut room);
        rules.push(RuleTrace {
            index,
            policy: names.policy(rule.policy.index()).to_owned(),
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

/// A node and what it comes out as; every node is looked at once.
fn condition<H: Host>(
    policies: &Policies,
    node: u32,
    eval: &mut Evaluation<'_, H>,
    room: &mut TraceRoom,
) -> (Outcome, ConditionTrace) {
    let mut all = |children: &[u32], eval: &mut Evaluation<'_, H>| -> Vec<(Outcome, ConditionTrace)> {
        children
            .iter()
            .map(|child| condition(policies, *child, eval, room))
            .collect()
    };
    let (operator, outcome, children) = match policies.manifest.conditions.get(node as usize) {
        Some(CondNode::And(children)) => {
            let children = all(children, eval);
            let outcome = children.iter().fold(Outcome::True, |all, (own, _)| all.and(*own));
            ("and", outcome, children)
        }
        Some(CondNode::Or(children)) => {
            let children = all(children, eval);
            let outcome = children.iter().fold(Outcome::False, |any, (own, _)| any.or(*own));
            ("or", outcome, children)
        }
        Some(CondNode::Not(child)) => {
            let children = all(&[*child], eval);
            let inner = children.first().map_or(Outcome::Error, |(own, _)| *own);
            ("not", inner.negate(), children)
        }
        Some(CondNode::Test {
            pred,
            negated,
            constant,
            items,
        }) => {
            let outcome = test_outcome(*pred, *negated, eval);
            let trace = ConditionTrace {
                constant: constant.clone(),
                ..test(
                    policies,
                    *pred,
                    *negated,
                    name(outcome),
                    &Names::of(items),
                    eval,
                    room,
                )
            };
            return (outcome, trace);
        }
        Some(CondNode::Const(value)) => ("const", Outcome::from(*value), Vec::new()),
        None => ("const", Outcome::Error, Vec::new()),
    };
    let trace = ConditionTrace {
        operator: operator.to_owned(),
        outcome: name(outcome),
        field: None,
        actual: None,
        value: None,
        value_from: None,
        constant: None,
        ignore_case: false,
        conditions: children.into_iter().map(|(_, trace)| trace).collect(),
        element: None,
        condition: None,
    };
    (outcome, trace)
}

/// Named constants below a place of a condition: the nodes that lead to each, and its name.
struct Names<'m>(Vec<(&'m [u32], &'m str)>);

impl<'m> Names<'m> {
    fn of(items: &'m [ItemConstant]) -> Self {
        Self(items.iter().map(|item| (&*item.way, &*item.name)).collect())
    }

    /// Those of one node, and below it.
    fn below(&self, node: u32) -> Self {
        let below = self.0.iter().filter_map(|(way, name)| match way.split_first() {
            Some((first, rest)) if *first == node => Some((rest, *name)),
            _ => None,
        });
        Self(below.collect())
    }

    /// That of the comparison itself.
    fn own(&self) -> Option<String> {
        let own = self.0.iter().find(|(way, _)| way.is_empty());
        own.map(|(_, name)| (*name).to_owned())
    }
}

/// Texts longer than this are cut in traces: a prompt belongs into the request, not into its explanation.
const MAX_TRACE_TEXT: usize = 200;
/// Values shown of one list or object in a trace, those inside of it included.
const MAX_TRACE_NODES: usize = 1000;
/// What all values of a trace take together, by one for each and the bytes of its text.
const MAX_TRACE_VALUES: usize = 4 << 20;

/// What values of a trace may still take: every comparison shows what it found, and many may look at one large value.
struct TraceRoom {
    left: usize,
    /// For constants, which are built before it is known how much of them is shown.
    built: usize,
}

impl TraceRoom {
    /// A value as JSON, as far as there is room for it: `…` stands for the rest.
    fn show(&mut self, value: &Value<'_>, longest: usize) -> serde_json::Value {
        let mut nodes = MAX_TRACE_NODES;
        self.show_some(value, longest, &mut nodes)
    }

    fn show_some(&mut self, value: &Value<'_>, longest: usize, nodes: &mut usize) -> serde_json::Value {
        use serde_json::Value as Json;
        if self.left == 0 || *nodes == 0 {
            return Json::from(CUT);
        }
        self.left -= 1;
        *nodes -= 1;
        match value {
            Value::Str(text) => Json::String(self.text(text, longest)),
            Value::Array(items) => self.show_items(items.iter(), longest, nodes),
            Value::Set(items) => self.show_items(items.iter(), longest, nodes),
            Value::Object(members) => {
                let mut shown = serde_json::Map::new();
                for (key, value) in members.iter() {
                    if self.left == 0 || *nodes == 0 {
                        shown.insert(CUT.to_owned(), Json::from(CUT));
                        break;
                    }
                    let key = self.text(key, longest);
                    shown.insert(key, self.show_some(&value, longest, nodes));
                }
                Json::Object(shown)
            }
            scalar => to_json(scalar),
        }
    }

    fn show_items(&mut self, items: Iter<'_>, longest: usize, nodes: &mut usize) -> serde_json::Value {
        let mut shown = Vec::new();
        for item in items {
            let whole = self.left > 0 && *nodes > 0;
            shown.push(self.show_some(&item, longest, nodes));
            if !whole {
                break;
            }
        }
        serde_json::Value::Array(shown)
    }

    fn text(&mut self, text: &str, longest: usize) -> String {
        let end = text.floor_char_boundary(longest.min(self.left));
        self.left -= end;
        if end == text.len() {
            return text.to_owned();
        }
        format!("{}{CUT} ({} bytes)", text.get(..end).unwrap_or(""), text.len())
    }

    fn constant(&mut self, module: &LoadedModule, k: ConstIdx) -> serde_json::Value {
        match module.constant_within(k, &mut self.built) {
            Some(value) => self.show(&value, usize::MAX),
            None => serde_json::Value::from(CUT),
        }
    }

    fn found(&mut self, value: &Value<'_>) -> serde_json::Value {
        self.show(value, MAX_TRACE_TEXT)
    }

    fn pattern(&mut self, source: &str) -> serde_json::Value {
        serde_json::Value::String(self.text(source, usize::MAX))
    }
}

fn test<H: Host>(
    policies: &Policies,
    pred: PredIdx,
    negated: bool,
    outcome: &'static str,
    names: &Names<'_>,
    eval: &mut Evaluation<'_, H>,
    room: &mut TraceRoom,
) -> ConditionTrace {
    let module = eval.module();
    let predicate = module.predicate(pred).copied();
    let field_name = |f: policy_bytecode::FieldIdx| policies.field_names.get(f.index()).cloned();
    let operator = predicate.map_or("?", |p| operator(p.op, negated)).to_owned();
    let actual = predicate
        .map(|p| eval.field(p.field))
        .filter(Value::is_present)
        .map(|v| room.found(&v));
    let value = predicate.and_then(|p| match p.operand {
        PredOperand::Const(k) => Some(room.constant(module, k)),
        PredOperand::Pattern(x) => module.pattern_source(x).map(|source| room.pattern(source)),
        PredOperand::None => negated.then_some(serde_json::Value::Bool(false)),
        PredOperand::Field(_) | PredOperand::Body(_) => None,
    });
    let value_from = predicate.and_then(|p| match p.operand {
        PredOperand::Field(f) => field_name(f),
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Body(_) => None,
    });
    let element = predicate.and_then(|p| match p.operand {
        PredOperand::Body(body) => {
            let list = eval.field(p.field);
            deciding(policies, (p.op, body), list, names, eval, room)
        }
        PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Field(_) => None,
    });
    let (element, condition) = element.unzip();
    ConditionTrace {
        operator,
        outcome,
        field: predicate.and_then(|p| field_name(p.field)),
        actual,
        value,
        value_from,
        constant: None,
        ignore_case: predicate.is_some_and(|p| p.op.unfolded().1),
        conditions: Vec::new(),
        element,
        condition: condition.map(Box::new),
    }
}

/// The element of `list` that decided `op`, and the body for it: the first for which it came out as it did, else the
/// first for which it is an error.
fn deciding<'a, H: Host>(
    policies: &Policies,
    (op, body): (PredOp, BodyIdx),
    list: Value<'a>,
    names: &Names<'_>,
    eval: &mut Evaluation<'a, H>,
    room: &mut TraceRoom,
) -> Option<(usize, ConditionTrace)> {
    let Value::Array(items) = list else {
        return None;
    };
    let root = u32::try_from(eval.module().body(body)?.nodes.len().checked_sub(1)?).ok()?;
    let decides = Outcome::from(op == PredOp::Any);
    let mut found = None;
    for (position, item) in items.iter().enumerate() {
        let outcome = eval.body_outcome(body, root, item);
        if outcome == decides {
            found = Some((position, item));
            break;
        }
        if outcome == Outcome::Error && found.is_none() {
            found = Some((position, item));
        }
    }
    let (position, item) = found?;
    Some((position, node(policies, (body, root), item, names, eval, room)))
}

/// A node of a body for one element. Recursion is bounded by the verifier (V27).
fn node<'a, H: Host>(
    policies: &Policies,
    (body, at): (BodyIdx, u32),
    item: Value<'a>,
    names: &Names<'_>,
    eval: &mut Evaluation<'a, H>,
    room: &mut TraceRoom,
) -> ConditionTrace {
    let outcome = name(eval.body_outcome(body, at, item));
    let branch = |operator: &str, conditions| ConditionTrace {
        operator: operator.to_owned(),
        outcome,
        field: None,
        actual: None,
        value: None,
        value_from: None,
        constant: None,
        ignore_case: false,
        conditions,
        element: None,
        condition: None,
    };
    let module = eval.module();
    let all = |nodes: &[u32], eval: &mut Evaluation<'a, H>, room: &mut TraceRoom| {
        nodes
            .iter()
            .map(|n| node(policies, (body, *n), item, names, eval, room))
            .collect()
    };
    match module.body(body).and_then(|body| body.nodes.get(at as usize)) {
        Some(Node::And(nodes)) => branch("and", all(nodes, eval, room)),
        Some(Node::Or(nodes)) => branch("or", all(nodes, eval, room)),
        Some(Node::Not(inner)) => branch("not", all(&[*inner], eval, room)),
        Some(Node::Pred { pred, negated }) => {
            let names = names.below(at);
            ConditionTrace {
                constant: names.own(),
                ..test(policies, *pred, *negated, outcome, &names, eval, room)
            }
        }
        Some(Node::Test(test)) => {
            let names = names.below(at);
            item_test(policies, test, item, outcome, &names, eval, room)
        }
        None => branch("const", Vec::new()),
    }
}

fn item_test<'a, H: Host>(
    policies: &Policies,
    test: &ItemTest,
    item: Value<'a>,
    outcome: &'static str,
    names: &Names<'_>,
    eval: &mut Evaluation<'a, H>,
    room: &mut TraceRoom,
) -> ConditionTrace {
    let module = eval.module();
    let field_name = |f: policy_bytecode::FieldIdx| policies.field_names.get(f.index()).cloned();
    let (field, found) = match &test.subject {
        Subject::Item(path) => (Some(item_name(path)), in_element(item, path)),
        Subject::Field(f) => (field_name(*f), eval.field(*f)),
    };
    let (value, value_from) = match &test.operand {
        ItemOperand::Item(path) => (None, Some(item_name(path))),
        ItemOperand::Plain(PredOperand::None) => {
            (test.negated.then_some(serde_json::Value::Bool(false)), None)
        }
        ItemOperand::Plain(PredOperand::Const(k)) => (Some(room.constant(module, *k)), None),
        ItemOperand::Plain(PredOperand::Pattern(x)) => {
            (module.pattern_source(*x).map(|source| room.pattern(source)), None)
        }
        ItemOperand::Plain(PredOperand::Field(f)) => (None, field_name(*f)),
        ItemOperand::Plain(PredOperand::Body(_)) => (None, None),
    };
    let below = test
        .body()
        .and_then(|body| deciding(policies, (test.op, body), found, names, eval, room));
    let (element, condition) = below.unzip();
    ConditionTrace {
        operator: operator(test.op, test.negated).to_owned(),
        outcome,
        field,
        actual: Some(found).filter(Value::is_present).map(|v| room.found(&v)),
        value,
        value_from,
        constant: names.own(),
        ignore_case: test.op.unfolded().1,
        conditions: Vec::new(),
        element,
        condition: condition.map(Box::new),
    }
}

/// Spelling of a path into an element.
fn item_name(path: &[PathSegment]) -> String {
    let mut steps = vec![PathSegment::Key {
        name: "item".to_owned(),
        aliases: Vec::new(),
    }];
    steps.extend_from_slice(path);
    path_text(&steps)
}

/// Spelling of a predicate in documents.
pub(crate) fn operator(op: PredOp, negated: bool) -> &'static str {
    match (op.unfolded().0, negated) {
        (PredOp::Eq, true) => "ne",
        (PredOp::In, true) => "not_in",
        (PredOp::Contains, true) => "not_contains",
        (PredOp::StartsWith, true) => "not_starts_with",
        (PredOp::EndsWith, true) => "not_ends_with",
        (PredOp::Matches, true) => "not_matches",
        (op, _) => op.as_str(),
    }
}

/// Used where a rule is named by index.
pub(crate) fn blame(names: View<'_>, rule: RuleIdx, policy: usize) -> Blame<'_> {
    Blame {
        policy: names.policy(policy),
        rule: names
            .manifest
            .rules
            .get(rule.index())
            .map_or("", |r| r.id.as_str()),
    }
}
