//! Compacts the tables of a program: marks what is used, drops the rest, renumbers every reference.

use crate::ir::renumber::{Numbers, Table};
use crate::ir::{FuncId, Program, Ref};
use policy_bytecode::manifest::{CondNode, TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::{Field, is_at_or_below};
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::quantifier::{ItemOperand, Subject};
use policy_bytecode::scan::Scanned;
use policy_bytecode::{Const, ConstIdx};

/// Which entries of each table are used.
struct Marks {
    functions: Vec<bool>,
    predicates: Vec<bool>,
    bodies: Vec<bool>,
    patterns: Vec<bool>,
    consts: Vec<bool>,
    fields: Vec<bool>,
}

fn mark(marks: &mut [bool], index: usize) -> bool {
    marks
        .get_mut(index)
        .is_some_and(|place| !std::mem::replace(place, true))
}

/// Drops unused entries and returns how many.
pub(super) fn compact(program: &mut Program) -> usize {
    let marks = marks(program);
    let dropped = [
        &marks.functions,
        &marks.predicates,
        &marks.bodies,
        &marks.patterns,
        &marks.consts,
        &marks.fields,
    ]
    .into_iter()
    .flatten()
    .filter(|used| !**used)
    .count();
    if dropped > 0 {
        renumber(program, &marks);
    }
    dropped
}

fn marks(program: &Program) -> Marks {
    let mut marks = Marks {
        functions: vec![false; program.functions.len()],
        predicates: vec![false; program.predicates.len()],
        bodies: vec![false; program.bodies.len()],
        patterns: vec![false; program.patterns.len()],
        consts: vec![false; program.consts.len()],
        fields: vec![false; program.fields.len()],
    };
    let mut consts: Vec<ConstIdx> = Vec::new();
    let mut work: Vec<FuncId> = program.rules.iter().map(|r| r.condition).collect();
    while let Some(f) = work.pop() {
        if !mark(&mut marks.functions, f.index()) {
            continue;
        }
        let Some(function) = program.functions.get(f.index()) else {
            continue;
        };
        function.each_inst(|_, inst| {
            inst.refs(|named| match named {
                Ref::Pred(pred) => {
                    mark(&mut marks.predicates, pred.index());
                }
                Ref::Field(field) => {
                    mark(&mut marks.fields, field.index());
                }
                Ref::Const(k) => consts.push(k),
                Ref::Func(function) => work.push(function),
                Ref::Value(_) | Ref::Iter(_) | Ref::Builder(_) => {}
            });
        });
    }
    let manifest = &program.manifest;
    for node in &manifest.conditions {
        if let CondNode::Test { pred, .. } = node {
            mark(&mut marks.predicates, pred.index());
        }
    }
    for part in manifest.templates.iter().flatten() {
        if let TemplatePart::Field(field) = part {
            mark(&mut marks.fields, field.index());
        }
    }
    for value in &manifest.values {
        if let ValueNode::Const(k) = value {
            consts.push(*k);
        }
    }
    for modification in manifest.rules.iter().flat_map(|r| &r.modifications) {
        mark(&mut marks.fields, modification.field.index());
        if let VerbInfo::Cap(k) | VerbInfo::Floor(k) = modification.verb {
            consts.push(k);
        }
    }
    // From the last on: bodies name comparisons that stand before those that have them.
    for (index, predicate) in program.predicates.iter().enumerate().rev() {
        if !marks.predicates.get(index).copied().unwrap_or(false) {
            continue;
        }
        mark(&mut marks.fields, predicate.field.index());
        mark_operand(program, predicate.operand, &mut marks, &mut consts);
    }
    while let Some(k) = consts.pop() {
        if !mark(&mut marks.consts, k.index()) {
            continue;
        }
        match program.consts.get(k.index()) {
            Some(Const::Array(items)) => consts.extend(items),
            Some(Const::Object(members)) => consts.extend(members.iter().map(|(_, k)| *k)),
            Some(Const::Null | Const::Bool(_) | Const::Number(_) | Const::Str(_) | Const::Decimal(_))
            | None => {}
        }
    }
    mark_inputs(program, &mut marks.fields);
    marks
}

/// Marks what an operand names, and what its body names.
fn mark_operand(program: &Program, operand: PredOperand, marks: &mut Marks, consts: &mut Vec<ConstIdx>) {
    let mut work = vec![operand];
    while let Some(operand) = work.pop() {
        match operand {
            PredOperand::None => {}
            PredOperand::Const(k) => consts.push(k),
            PredOperand::Pattern(x) => {
                mark(&mut marks.patterns, x.index());
            }
            PredOperand::Field(field) => {
                mark(&mut marks.fields, field.index());
            }
            PredOperand::Body(q) => {
                let Some(body) = program.bodies.get(q.index()) else {
                    continue;
                };
                if !mark(&mut marks.bodies, q.index()) {
                    continue;
                }
                body.preds(|pred| {
                    mark(&mut marks.predicates, pred.index());
                });
                for test in body.tests() {
                    if let Subject::Field(field) = test.subject {
                        mark(&mut marks.fields, field.index());
                    }
                    if let ItemOperand::Plain(operand) = test.operand {
                        work.push(operand);
                    }
                }
            }
        }
    }
}

/// Derived fields that used fields lie in, and fields that used derived fields are computed from.
fn mark_inputs(program: &Program, fields: &mut [bool]) {
    for (i, field) in program
        .fields
        .iter()
        .enumerate()
        .filter(|(_, f)| f.derived.is_some())
    {
        let inside =
            |other: &Field| other.path.len() > field.path.len() && is_at_or_below(&other.path, &field.path);
        if program
            .fields
            .iter()
            .zip(fields.iter())
            .any(|(other, used)| *used && inside(other))
        {
            mark(fields, i);
        }
    }
    for (i, field) in program.fields.iter().enumerate() {
        if fields.get(i).copied().unwrap_or(false) {
            let args = field.derived.iter().flat_map(|derived| &derived.args);
            args.for_each(|arg| {
                mark(fields, arg.index());
            });
        }
    }
}

/// New number of each used entry.
fn numbers(used: &[bool]) -> Vec<u32> {
    let mut next = 0;
    used.iter()
        .map(|used| {
            let own = next;
            next += u32::from(*used);
            own
        })
        .collect()
}

fn keep<T>(table: &mut Vec<T>, used: &[bool]) {
    let mut used = used.iter();
    table.retain(|_| used.next().copied().unwrap_or(true));
}

fn renumber(program: &mut Program, marks: &Marks) {
    let table = |used: &[bool]| Table::To(numbers(used));
    let new = Numbers {
        functions: table(&marks.functions),
        predicates: table(&marks.predicates),
        bodies: table(&marks.bodies),
        patterns: table(&marks.patterns),
        consts: table(&marks.consts),
        fields: table(&marks.fields),
        ..Numbers::default()
    };

    keep(&mut program.functions, &marks.functions);
    keep(&mut program.predicates, &marks.predicates);
    keep(&mut program.bodies, &marks.bodies);
    keep(&mut program.patterns, &marks.patterns);
    keep(&mut program.consts, &marks.consts);
    keep(&mut program.fields, &marks.fields);

    program.fields.iter_mut().for_each(|f| new.derived(f));
    program.functions.iter_mut().for_each(|f| new.function(f));
    program.rules.iter_mut().for_each(|r| new.rule(r));
    program.predicates.iter_mut().for_each(|p| new.predicate(p));
    program.bodies.iter_mut().for_each(|body| new.body(body));
    let used = |scanned: &Scanned| {
        let mark = marks.predicates.get(scanned.predicate.index());
        mark.copied().unwrap_or(true)
    };
    for scan in &mut program.scans {
        scan.predicates.retain(used);
    }
    program.scans.retain(|scan| !scan.predicates.is_empty());
    program.scans.iter_mut().for_each(|s| new.scan(s));
    program.consts.iter_mut().for_each(|k| new.items(k));
    let manifest = &mut program.manifest;
    manifest.conditions.iter_mut().for_each(|c| new.condition(c));
    let parts = manifest.templates.iter_mut().flatten();
    parts.for_each(|part| new.template_part(part));
    manifest.values.iter_mut().for_each(|v| new.value(v));
    manifest.rules.iter_mut().for_each(|r| new.rule_info(r));
}
