//! The cost certificate: an upper bound of what one evaluation can cost, whatever the request.
//!
//! Instructions: the longest path of each rule's condition and of what it calls, conditions that keep their result counted
//! once. Code with loops has no such path and is charged the module's fuel. Comparisons: every place of the code that asks for one, those
//! with a memo cell once, and so for what the bodies of `any` and `all` ask. What these ask of elements grows with the
//! request and is part of the cost of its text, where it is not bounded by the fuel alone. Responses: every placeholder of
//! every rule repeats at most the whole request, and every modification copies what it changes. Weights come from
//! [`crate::cost`].

use crate::cost::{self, Cost};
use crate::fields::dotted;
use crate::ir::{Predicate, Program};
use crate::options::Options;
use policy_bytecode::bundle::CostCertificate;
use policy_bytecode::instr::{Instr, Role};
use policy_bytecode::manifest::{TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::Function;
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::quantifier::ItemTest;
use policy_bytecode::scan::{OnHit, TRIES};
use policy_bytecode::{BodyIdx, FuncIdx, PredIdx};

pub(super) fn certificate(program: &Program, functions: &[Function], options: &Options) -> CostCertificate {
    // Iterations of a loop follow the size of a value of the request: no bound but the fuel.
    let fuel = options.limits.fuel;
    let order = callees_first(functions);
    let paths = longest_paths(functions, &order);
    let asked = Asked::by_function(program, functions, &order, fuel);
    let mut seen = vec![false; functions.len()];
    let mut out = CostCertificate::default();
    let mut total = Cost::default();
    let mut reached = vec![false; functions.len()];
    for rule in &program.rules {
        let f = rule.condition.index();
        let shared = program.functions.get(f).is_some_and(|f| f.shared);
        if shared && std::mem::replace(seen.get_mut(f).unwrap_or(&mut false), true) {
            continue;
        }
        let path = paths.get(f).copied().flatten();
        out.instructions = out.instructions.saturating_add(path.unwrap_or(fuel));
        let own = asked.get(f).copied().unwrap_or_default();
        out.predicates = out.predicates.saturating_add(own.predicates);
        add(&mut total, own.cost);
        reach(functions, f, &mut reached);
    }
    // What keeps its outcome is asked once, by whichever rule comes first.
    let reached = functions
        .iter()
        .zip(reached)
        .filter_map(|(f, reached)| reached.then_some(f));
    let mut work: Vec<PredIdx> = reached
        .flat_map(|f| &f.code)
        .filter_map(Instr::predicate)
        .collect();
    let mut kept = vec![false; program.predicates.len()];
    while let Some(pred) = work.pop() {
        let Some(predicate) = program.predicates.get(pred.index()) else {
            continue;
        };
        if predicate.shared {
            if std::mem::replace(kept.get_mut(pred.index()).unwrap_or(&mut false), true) {
                continue;
            }
            out.predicates = out.predicates.saturating_add(1);
            add(&mut total, asking(program, predicate, fuel));
        }
        if let PredOperand::Body(q) = predicate.operand {
            below(program, q, &mut work);
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

/// What a comparison costs, with what a body that crosses lists may cost.
fn asking(program: &Program, predicate: &Predicate, fuel: u64) -> Cost {
    let mut cost = cost::predicate(program, predicate);
    if let PredOperand::Body(q) = predicate.operand
        && cost::crosses(program, q)
    {
        cost.fixed = cost.fixed.saturating_add(fuel);
    }
    cost
}

/// Comparisons that running a function asks for, but for those that keep their outcome.
#[derive(Clone, Copy, Default)]
struct Asked {
    predicates: u64,
    cost: Cost,
}

impl Asked {
    /// With those of what each function calls, at every place of its code that calls. Code with loops asks as often as the
    /// fuel allows.
    fn by_function(program: &Program, functions: &[Function], order: &[FuncIdx], fuel: u64) -> Vec<Self> {
        let mut all = vec![Self::default(); functions.len()];
        for f in order {
            let mut own = Self::default();
            for instr in functions.get(f.index()).into_iter().flat_map(|f| &f.code) {
                let asked = instr
                    .predicate()
                    .and_then(|pred| program.predicates.get(pred.index()));
                if let Some(predicate) = asked.filter(|predicate| !predicate.shared) {
                    own.predicates = own.predicates.saturating_add(1);
                    add(&mut own.cost, asking(program, predicate, fuel));
                }
                let callee = instr.callee().and_then(|callee| all.get(callee.index()));
                if let Some(callee) = callee.copied() {
                    own.predicates = own.predicates.saturating_add(callee.predicates);
                    add(&mut own.cost, callee.cost);
                }
            }
            if functions.get(f.index()).is_none_or(Function::loops) {
                own.predicates = own.predicates.saturating_add(fuel);
            }
            if let Some(place) = all.get_mut(f.index()) {
                *place = own;
            }
        }
        all
    }
}

/// Marks a function and all that it may call.
fn reach(functions: &[Function], root: usize, reached: &mut [bool]) {
    let mut work = vec![root];
    while let Some(f) = work.pop() {
        let Some(mark) = reached.get_mut(f).filter(|mark| !**mark) else {
            continue;
        };
        *mark = true;
        let callees = functions.get(f).into_iter().flat_map(Function::callees);
        work.extend(callees.map(FuncIdx::index));
    }
}

/// Every function after those that it calls. What calls itself, which the verifier refuses (V14), stands somewhere.
fn callees_first(functions: &[Function]) -> Vec<FuncIdx> {
    let mut order = Vec::with_capacity(functions.len());
    let mut opened = vec![false; functions.len()];
    for root in (0..functions.len()).filter_map(FuncIdx::from_index) {
        // A function is closed when it is met again, all that it calls having been opened above it.
        let mut work = vec![(root, false)];
        while let Some((f, closes)) = work.pop() {
            if closes {
                order.push(f);
                continue;
            }
            let Some(mark) = opened.get_mut(f.index()).filter(|mark| !**mark) else {
                continue;
            };
            *mark = true;
            work.push((f, true));
            let callees = functions.get(f.index()).into_iter().flat_map(Function::callees);
            work.extend(callees.map(|callee| (callee, false)));
        }
    }
    order
}

/// Instructions of the longest path of each function and of what it calls there; `None` where one of them loops.
fn longest_paths(functions: &[Function], order: &[FuncIdx]) -> Vec<Option<u64>> {
    let mut paths = vec![None; functions.len()];
    for f in order {
        let path = functions.get(f.index()).and_then(|f| longest_path(f, &paths));
        if let Some(place) = paths.get_mut(f.index()) {
            *place = path;
        }
    }
    paths
}

/// Instructions of the longest path through a function whose callees have these; `None` when the code loops.
fn longest_path(function: &Function, callees: &[Option<u64>]) -> Option<u64> {
    if function.loops() {
        return None;
    }
    let mut longest = vec![0u64; function.code.len()];
    for (i, instr) in function.code.iter().enumerate().rev() {
        let mut best = 0;
        instr.roles(|role| {
            if let Role::Jump(target) = role {
                best = best.max(longest.get(target.index()).copied().unwrap_or(0));
            }
        });
        if !instr.opcode().is_terminator() {
            best = best.max(longest.get(i + 1).copied().unwrap_or(0));
        }
        let own = match instr.callee() {
            Some(callee) => callees.get(callee.index()).copied().flatten()?.saturating_add(1),
            None => 1,
        };
        if let Some(place) = longest.get_mut(i) {
            *place = own.saturating_add(best);
        }
    }
    longest.first().copied()
}
