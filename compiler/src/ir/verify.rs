//! The IR verifier: run after lowering and after each pass in debug and test builds.
//!
//! Checks what `emit` and the passes rely on: table entries exist, values are defined once and before their uses on
//! every path, operands are of the kind that their instruction takes, jumps hand over what blocks ask for, and rules
//! have conditions without parameters that return outcomes.

use crate::ir::{Block, BlockId, Function, Inst, Kind, Negated, Program, Ref, Terminator, ValueId};
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::quantifier::{ItemOperand, Subject};
use std::fmt;

/// What is wrong with a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IrError {
    /// Index of the function, when it is one.
    pub function: Option<usize>,
    /// What was found.
    pub detail: &'static str,
}

impl fmt::Display for IrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            Some(function) => write!(f, "function {function}: {}", self.detail),
            None => f.write_str(self.detail),
        }
    }
}

impl std::error::Error for IrError {}

/// Checks a program.
///
/// # Errors
///
/// The first problem found.
pub fn verify(program: &Program) -> Result<(), IrError> {
    let fail = |detail| {
        Err(IrError {
            function: None,
            detail,
        })
    };
    for p in &program.predicates {
        let operand_ok = match p.operand {
            PredOperand::None => true,
            PredOperand::Const(k) => k.index() < program.consts.len(),
            PredOperand::Pattern(x) => x.index() < program.patterns.len(),
            PredOperand::Field(f) => f.index() < program.fields.len(),
            PredOperand::Body(q) => q.index() < program.bodies.len(),
        };
        if !operand_ok || p.field.index() >= program.fields.len() {
            return fail("a comparison names an entry that does not exist");
        }
    }
    if !program
        .bodies
        .iter()
        .enumerate()
        .all(|(i, body)| check_body(program, i, body))
    {
        return fail("a body names an entry that does not exist");
    }
    let kept = program.kept();
    if program
        .predicates
        .iter()
        .zip(kept)
        .any(|(p, kept)| kept && !p.shared)
    {
        return fail("a comparison that bodies share is not kept");
    }
    for (i, function) in program.functions.iter().enumerate() {
        check_function(program, function).map_err(|detail| IrError {
            function: Some(i),
            detail,
        })?;
    }
    if !program.condition_locs.is_empty() && program.condition_locs.len() != program.manifest.conditions.len()
    {
        return fail("there are not as many places as nodes of conditions");
    }
    let mut policy = 0;
    for rule in &program.rules {
        let Some(function) = program.functions.get(rule.condition.index()) else {
            return fail("a rule's condition does not exist");
        };
        if function.blocks.first().is_none_or(|b| !b.params.is_empty()) {
            return fail("a rule's condition has parameters");
        }
        if !returns(function, Kind::Outcome) {
            return fail("a rule's condition does not return an outcome");
        }
        if rule.policy < policy || rule.policy as usize >= program.policies.len() {
            return fail("rules are not in the order of their policies");
        }
        policy = rule.policy;
    }
    Ok(())
}

/// Whether a body names what there is. Its shape is for the verifier of the module.
fn check_body(program: &Program, index: usize, body: &policy_bytecode::quantifier::Body) -> bool {
    let mut ok = true;
    body.preds(|pred| ok &= pred.index() < program.predicates.len());
    ok && body.tests().all(|test| {
        let left = match test.subject {
            Subject::Item(_) => true,
            Subject::Field(f) => f.index() < program.fields.len(),
        };
        left && match test.operand {
            ItemOperand::Item(_) | ItemOperand::Plain(PredOperand::None) => true,
            ItemOperand::Plain(PredOperand::Const(k)) => k.index() < program.consts.len(),
            ItemOperand::Plain(PredOperand::Pattern(x)) => x.index() < program.patterns.len(),
            ItemOperand::Plain(PredOperand::Field(f)) => f.index() < program.fields.len(),
            ItemOperand::Plain(PredOperand::Body(q)) => q.index() < index,
        }
    })
}

fn returns(function: &Function, kind: Kind) -> bool {
    function.blocks.iter().all(|b| match b.end {
        Terminator::Ret(v) => function.value(v).is_some_and(|inst| inst.kind() == kind),
        Terminator::Jump { .. }
        | Terminator::Split { .. }
        | Terminator::Defined { .. }
        | Terminator::IterNext { .. } => true,
    })
}

fn check_function(program: &Program, function: &Function) -> Result<(), &'static str> {
    if function.blocks.is_empty() {
        return Err("a function without blocks");
    }
    let params = function.blocks.first().map_or(0, |b| b.params.len());
    if function.shared && params > 0 {
        return Err("a function with parameters keeps its result");
    }
    if function.locs.len() > function.values.len() {
        return Err("a place of a value that does not exist");
    }
    if function.locs.known().any(|loc| loc.start > loc.end) {
        return Err("a place that ends before it starts");
    }
    let mut defined = vec![false; function.values.len()];
    for block in &function.blocks {
        for (ids, is_param) in [(&block.params, true), (&block.insts, false)] {
            for id in ids {
                let Some(seen) = defined.get_mut(id.index()) else {
                    return Err("a value does not exist");
                };
                if std::mem::replace(seen, true) {
                    return Err("a value is defined twice");
                }
                if matches!(function.value(*id), Some(Inst::Param {})) != is_param {
                    return Err("a parameter stands among instructions, or the other way round");
                }
            }
        }
        check_terminator(function, &block.end)?;
    }
    for block in &function.blocks {
        for id in &block.insts {
            if let Some(inst) = function.value(*id) {
                check_inst(program, function, inst)?;
            }
        }
    }
    for test in function.guards.iter().flatten() {
        if !matches!(
            function.value(*test),
            Some(Inst::Test {
                negated: Negated(false),
                ..
            })
        ) {
            return Err("a guard names something else than a plain test");
        }
    }
    check_definitions(function)
}

fn kind(function: &Function, id: ValueId) -> Option<Kind> {
    function.value(id).map(Inst::kind)
}

fn check_inst(program: &Program, function: &Function, inst: &Inst) -> Result<(), &'static str> {
    if let Inst::And { operands } | Inst::Or { operands } = inst
        && operands.is_empty()
    {
        return Err("an operator without operands");
    }
    let (mut kinds, mut exists) = (true, true);
    inst.refs(|named| match named {
        Ref::Value(v) => kinds &= kind(function, v) == Some(inst.takes()),
        Ref::Pred(pred) => exists &= pred.index() < program.predicates.len(),
        Ref::Field(field) => exists &= field.index() < program.fields.len(),
        Ref::Const(k) => exists &= k.index() < program.consts.len(),
        Ref::Func(callee) => exists &= callee.index() < program.functions.len(),
        // A frame has as many as its code names.
        Ref::Iter(_) | Ref::Builder(_) => {}
    });
    if !kinds {
        return Err("an operand is not of the kind that its instruction takes");
    }
    if let Inst::Call { function, args } = inst {
        let callee = program.functions.get(function.index());
        let params = callee.and_then(|f| f.blocks.first()).map(|b| b.params.len());
        exists &= params == Some(args.len());
    }
    if exists {
        Ok(())
    } else {
        Err("an instruction names an entry that does not exist, or calls with the wrong number of arguments")
    }
}

fn check_terminator(function: &Function, end: &Terminator) -> Result<(), &'static str> {
    let params = |b: &BlockId| function.blocks.get(b.index()).map(|b| b.params.len());
    let fits = match end {
        Terminator::Ret(v) => matches!(kind(function, *v), Some(Kind::Outcome | Kind::Data)),
        Terminator::Jump { target, args } => {
            params(target) == Some(args.len()) && args.iter().all(|a| kind(function, *a) == Some(Kind::Data))
        }
        Terminator::Split {
            cond,
            on_true,
            on_false,
            on_error,
        } => {
            kind(function, *cond) == Some(Kind::Outcome)
                && [on_true, on_false, on_error]
                    .into_iter()
                    .all(|b| params(b) == Some(0))
        }
        Terminator::Defined {
            src,
            defined,
            undefined,
        } => {
            kind(function, *src) == Some(Kind::Data)
                && [defined, undefined].into_iter().all(|b| params(b) == Some(0))
        }
        Terminator::IterNext { body, done, .. } => params(body) == Some(2) && params(done) == Some(0),
    };
    if fits {
        Ok(())
    } else {
        Err("a terminator has an operand of the wrong kind, or a block takes other values")
    }
}

/// Every use is reached by its definition on all paths: forward data flow over blocks, join by intersection.
fn check_definitions(function: &Function) -> Result<(), &'static str> {
    let mut at_start: Vec<Option<Vec<bool>>> = vec![None; function.blocks.len()];
    let mut work = vec![(0usize, vec![false; function.values.len()])];
    while let Some((at, incoming)) = work.pop() {
        let (Some(state), Some(block)) = (at_start.get_mut(at), function.blocks.get(at)) else {
            return Err("a block does not exist");
        };
        let mut known = match state {
            None => state.insert(incoming).clone(),
            Some(old) => {
                let mut changed = false;
                for (o, n) in old.iter_mut().zip(&incoming) {
                    changed |= *o && !n;
                    *o &= n;
                }
                if !changed {
                    continue;
                }
                old.clone()
            }
        };
        walk_block(function, block, &mut known)?;
        block
            .end
            .targets(|target| work.push((target.index(), known.clone())));
    }
    Ok(())
}

fn walk_block(function: &Function, block: &Block, known: &mut [bool]) -> Result<(), &'static str> {
    let mut ok = true;
    for id in block.params.iter().chain(&block.insts) {
        if let Some(inst) = function.value(*id) {
            inst.operands(|v| ok &= known.get(v.index()).copied().unwrap_or(false));
        }
        if let Some(place) = known.get_mut(id.index()) {
            *place = true;
        }
    }
    block
        .end
        .operands(|v| ok &= known.get(v.index()).copied().unwrap_or(false));
    if ok {
        Ok(())
    } else {
        Err("a value is used before it is defined")
    }
}
