//! Compacts the tables of a program: marks what is used, drops the rest, renumbers every reference.

use crate::ir::{FuncId, Inst, Program};
use policy_bytecode::manifest::{CondNode, TemplatePart, ValueNode, VerbInfo};
use policy_bytecode::module::{Field, PathSegment};
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::scan::Scanned;
use policy_bytecode::{Const, ConstIdx, FieldIdx, PatternIdx, PredIdx};
use std::collections::HashMap;

/// Which entries of each table are used.
struct Marks {
    functions: Vec<bool>,
    predicates: Vec<bool>,
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
        function.each_inst(|_, inst| match inst {
            Inst::Test { pred, .. } => {
                mark(&mut marks.predicates, pred.index());
            }
            Inst::LoadField(field) => {
                mark(&mut marks.fields, field.index());
            }
            Inst::LoadConst(k) => consts.push(*k),
            Inst::Call { function, .. } => work.push(*function),
            _other => {}
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
    for (predicate, used) in program.predicates.iter().zip(&marks.predicates) {
        if !used {
            continue;
        }
        mark(&mut marks.fields, predicate.field.index());
        match predicate.operand {
            PredOperand::None => {}
            PredOperand::Const(k) => consts.push(k),
            PredOperand::Pattern(x) => {
                mark(&mut marks.patterns, x.index());
            }
            PredOperand::Field(field) => {
                mark(&mut marks.fields, field.index());
            }
        }
    }
    while let Some(k) = consts.pop() {
        if !mark(&mut marks.consts, k.index()) {
            continue;
        }
        match program.consts.get(k.index()) {
            Some(Const::Array(items)) => consts.extend(items),
            Some(Const::Object(members)) => consts.extend(members.iter().map(|(_, k)| *k)),
            Some(Const::Null | Const::Bool(_) | Const::Number(_) | Const::Str(_)) | None => {}
        }
    }
    mark_inputs(program, &mut marks.fields);
    marks
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
            |other: &Field| other.path.len() > field.path.len() && other.path.starts_with(&field.path);
        if program
            .fields
            .iter()
            .zip(fields.iter())
            .any(|(other, used)| *used && inside(other))
        {
            mark(fields, i);
        }
    }
    let derived: Vec<_> = program
        .fields
        .iter()
        .zip(fields.iter())
        .filter(|(_, used)| **used)
        .filter_map(|(field, _)| field.derived)
        .collect();
    if derived.is_empty() {
        return;
    }
    let by_path: HashMap<String, usize> = program
        .fields
        .iter()
        .enumerate()
        .filter_map(|(i, field)| dotted(field).map(|path| (path, i)))
        .collect();
    for input in derived.into_iter().flat_map(|d| d.inputs()) {
        if let Some(i) = by_path.get(*input) {
            mark(fields, *i);
        }
    }
}

/// Dotted spelling of a path of keys only.
fn dotted(field: &Field) -> Option<String> {
    field
        .path
        .iter()
        .map(|s| match s {
            PathSegment::Key { name, .. } => Some(name.as_str()),
            PathSegment::Index(_) => None,
        })
        .collect::<Option<Vec<_>>>()
        .map(|keys| keys.join("."))
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
    let functions = numbers(&marks.functions);
    let predicates = numbers(&marks.predicates);
    let patterns = numbers(&marks.patterns);
    let consts = numbers(&marks.consts);
    let fields = numbers(&marks.fields);
    let new = |table: &[u32], old: usize| table.get(old).copied().unwrap_or(u32::MAX);
    let field = |f: &mut FieldIdx| f.0 = new(&fields, f.index());
    let constant = |k: &mut ConstIdx| k.0 = new(&consts, k.index());
    let pred = |p: &mut PredIdx| p.0 = new(&predicates, p.index());
    let pattern = |x: &mut PatternIdx| x.0 = new(&patterns, x.index());
    let function = |f: &mut FuncId| f.0 = new(&functions, f.index());

    keep(&mut program.functions, &marks.functions);
    keep(&mut program.predicates, &marks.predicates);
    keep(&mut program.patterns, &marks.patterns);
    keep(&mut program.consts, &marks.consts);
    keep(&mut program.fields, &marks.fields);

    for inst in program.functions.iter_mut().flat_map(|f| &mut f.values) {
        match inst {
            Inst::Test { pred: p, .. } => pred(p),
            Inst::LoadField(f) => field(f),
            Inst::LoadConst(k) => constant(k),
            Inst::Call { function: f, .. } => function(f),
            _other => {}
        }
    }
    for rule in &mut program.rules {
        function(&mut rule.condition);
    }
    for predicate in &mut program.predicates {
        field(&mut predicate.field);
        match &mut predicate.operand {
            PredOperand::None => {}
            PredOperand::Const(k) => constant(k),
            PredOperand::Pattern(x) => pattern(x),
            PredOperand::Field(f) => field(f),
        }
    }
    let used = |scanned: &Scanned| {
        marks
            .predicates
            .get(scanned.predicate.index())
            .copied()
            .unwrap_or(true)
    };
    for scan in &mut program.scans {
        scan.predicates.retain(used);
    }
    program.scans.retain(|scan| !scan.predicates.is_empty());
    for scan in &mut program.scans {
        field(&mut scan.field);
        scan.predicates
            .iter_mut()
            .for_each(|scanned| pred(&mut scanned.predicate));
    }
    for value in &mut program.consts {
        match value {
            Const::Array(items) => items.iter_mut().for_each(constant),
            Const::Object(members) => members.iter_mut().for_each(|(_, k)| constant(k)),
            Const::Null | Const::Bool(_) | Const::Number(_) | Const::Str(_) => {}
        }
    }
    let manifest = &mut program.manifest;
    for node in &mut manifest.conditions {
        if let CondNode::Test { pred: p, .. } = node {
            pred(p);
        }
    }
    for part in manifest.templates.iter_mut().flatten() {
        if let TemplatePart::Field(f) = part {
            field(f);
        }
    }
    for value in &mut manifest.values {
        if let ValueNode::Const(k) = value {
            constant(k);
        }
    }
    for modification in manifest.rules.iter_mut().flat_map(|r| &mut r.modifications) {
        field(&mut modification.field);
        if let VerbInfo::Cap(k) | VerbInfo::Floor(k) = &mut modification.verb {
            constant(k);
        }
    }
}
