//! The cost certificate: an upper bound of what one evaluation can cost, whatever the request.
//!
//! Instructions: the longest path of each rule's condition, functions that keep their result counted once. Code with
//! loops has no such path and is charged the module's fuel. Comparisons: every place of the code that asks for one, those
//! with a memo cell once, and so for what the bodies of `any` and `all` ask. What these ask of elements grows with the
//! request and is part of the cost of its text, where it is not bounded by the fuel alone. Responses: every placeholder of
//! every rule repeats at most the whole request, and every modification copies what it changes. Weights come from
//! [`crate::cost`].

use crate::cost::{self, Cost};
use crate::fields::dotted;
use crate::ir::Program;
use crate::options::Options;
use policy_bytecode::bundle::CostCertificate;
use policy_bytecode::instr::{Instr, Role};
use policy_bytecode::manifest::{TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::Function;
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::quantifier::ItemTest;
use policy_bytecode::scan::{OnHit, TRIES};
use policy_bytecode::{BodyIdx, PredIdx};

pub(super) fn certificate(program: &Program, functions: &[Function], options: &Options) -> CostCertificate {
    // Iterations of a loop follow the size of a value of the request: no bound but the fuel.
    let fuel = options.limits.fuel;
    let paths: Vec<Option<u64>> = functions.iter().map(longest_path).collect();
    let mut seen = vec![false; functions.len()];
    let mut out = CostCertificate::default();
    let mut total = Cost::default();
    let mut shared_seen = vec![false; program.predicates.len()];
    for rule in &program.rules {
        let f = rule.condition.index();
        let shared = program.functions.get(f).is_some_and(|f| f.shared);
        if shared && std::mem::replace(seen.get_mut(f).unwrap_or(&mut false), true) {
            continue;
        }
        let path = paths.get(f).copied().flatten();
        out.instructions = out.instructions.saturating_add(path.unwrap_or(fuel));
        if path.is_none() {
            out.predicates = out.predicates.saturating_add(fuel);
        }
        let mut asked: Vec<PredIdx> = functions
            .get(f)
            .into_iter()
            .flat_map(|f| &f.code)
            .filter_map(asks)
            .collect();
        while let Some(pred) = asked.pop() {
            let Some(predicate) = program.predicates.get(pred.index()) else {
                continue;
            };
            let counted = shared_seen.get_mut(pred.index());
            if predicate.shared && std::mem::replace(counted.unwrap_or(&mut false), true) {
                continue;
            }
            out.predicates = out.predicates.saturating_add(1);
            add(&mut total, cost::predicate(program, predicate));
            if let PredOperand::Body(q) = predicate.operand {
                below(program, q, &mut asked);
                if cost::crosses(program, q) {
                    total.fixed = total.fixed.saturating_add(fuel);
                }
            }
        }
    }
    for scan in &program.scans {
        add(&mut total, cost::SCAN);
        let tried = scan
            .predicates
            .iter()
            .filter(|s| matches!(s.on_hit, OnHit::Near { .. }));
        total.scans = total
            .scans
            .saturating_add(u64::from(TRIES).saturating_mul(tried.count() as u64));
    }
    // Each field is computed at most once. Templates may ask for fields that no condition reads.
    let derived = program
        .fields
        .iter()
        .filter_map(|f| Some((f.derived.as_ref()?.intrinsic, f)));
    let mut derived: Vec<_> = derived.collect();
    derived.sort_by_key(|(intrinsic, _)| *intrinsic);
    for (intrinsic, field) in derived {
        out.derived.extend(dotted(field));
        add(&mut total, cost::intrinsic(intrinsic));
    }
    for action in responses(program) {
        add(&mut total, action);
    }
    out.scans_per_text_byte = total.scans;
    out.fixed_cost = total
        .fixed
        .saturating_add(out.instructions.saturating_mul(cost::INSTRUCTION));
    out.cost_per_text_kb = total.per_text_kb;
    out
}

/// What rendering reasons, metadata and modifications costs when every rule fires, rule by rule.
fn responses(program: &Program) -> impl Iterator<Item = Cost> + '_ {
    let manifest = &program.manifest;
    let in_text = |parts: &Vec<TemplatePart>| {
        let fields = parts.iter().filter(|part| matches!(part, TemplatePart::Field(_)));
        fields.count() as u64
    };
    let texts: Vec<u64> = manifest.templates.iter().map(in_text).collect();
    let text = move |t: u32| texts.get(t as usize).copied().unwrap_or(0);
    // Children stand before their parents.
    let mut values: Vec<u64> = Vec::with_capacity(manifest.values.len());
    for node in &manifest.values {
        let below = |v: &u32| values.get(*v as usize).copied().unwrap_or(0);
        values.push(match node {
            ValueNode::Const(_) => 0,
            ValueNode::Template(t) => text(*t),
            ValueNode::Array(items) => items.iter().map(below).fold(0, u64::saturating_add),
            ValueNode::Object(members) => members.iter().map(|(_, v)| below(v)).fold(0, u64::saturating_add),
        });
    }
    manifest.rules.iter().map(move |rule| {
        let value = |v: u32| values.get(v as usize).copied().unwrap_or(0);
        let mut placeholders = rule.reason.map_or(0, &text);
        let mut total = Cost::default();
        for (_, v) in &rule.metadata {
            placeholders = placeholders.saturating_add(value(*v));
        }
        for modification in &rule.modifications {
            add(&mut total, cost::modification(&modification.verb));
            if let VerbInfo::Set(v) | VerbInfo::Default(v) | VerbInfo::Append(v) = &modification.verb {
                placeholders = placeholders.saturating_add(value(*v));
            }
        }
        add(&mut total, cost::placeholders(placeholders));
        total
    })
}

/// Comparisons that a body and those below it ask once.
fn below(program: &Program, q: BodyIdx, asked: &mut Vec<PredIdx>) {
    let mut work = vec![q];
    while let Some(q) = work.pop() {
        if let Some(body) = program.bodies.get(q.index()) {
            body.preds(|pred| asked.push(pred));
            work.extend(body.tests().filter_map(ItemTest::body));
        }
    }
}

fn add(total: &mut Cost, more: Cost) {
    total.fixed = total.fixed.saturating_add(more.fixed);
    total.per_text_kb = total.per_text_kb.saturating_add(more.per_text_kb);
    total.scans = total.scans.saturating_add(more.scans);
}

/// The comparison that an instruction evaluates.
fn asks(instr: &Instr) -> Option<PredIdx> {
    let mut asked = None;
    instr.roles(|role| {
        if let Role::Pred(pred) = role {
            asked = Some(pred);
        }
    });
    asked
}

/// Instructions of the longest path, `None` when the code loops or calls (a callee's own path is not known here).
fn longest_path(function: &Function) -> Option<u64> {
    let mut longest = vec![0u64; function.code.len()];
    for (i, instr) in function.code.iter().enumerate().rev() {
        if matches!(instr, Instr::Call { .. }) {
            return None;
        }
        let mut best = 0;
        let mut backward = false;
        instr.roles(|role| {
            if let Role::Jump(target) = role {
                backward |= target.index() <= i;
                best = best.max(longest.get(target.index()).copied().unwrap_or(0));
            }
        });
        if backward {
            return None;
        }
        if !instr.opcode().is_terminator() {
            best = best.max(longest.get(i + 1).copied().unwrap_or(0));
        }
        if let Some(place) = longest.get_mut(i) {
            *place = best + 1;
        }
    }
    longest.first().copied()
}
