//! Common subexpressions, across all policies: what several rules ask is answered once.
//!
//! ```text
//! rule "a/r1" deny … {              pred p0 = team.tier eq "free"
//! b0:                               function fn0 shared {
//!   v0 = test team.tier eq "free"   b0:
//!   ret v0                            v0 = test p0
//! }                           =>      ret v0
//! rule "b/r7" warn … {              }
//! b0:                               rule "a/r1" deny … = fn0
//!   v0 = test team.tier eq "free"   rule "b/r7" warn … = fn0
//!   ret v0
//! }
//! ```
//!
//! Rules with equal conditions share a function that keeps its result; conditions are equal when they differ in the
//! order of operands only. Comparisons that stand in more than one place of the code get a memo cell.
//!
//! Leaves behind: functions that nobody uses, for `dce`.

use super::rewrite::copy_all;
use super::{OptLevel, Options, Pass, Program};
use crate::ir::{FuncId, Function, Inst, Negated, ValueId, no_outcome};
use policy_bytecode::Stop;
use std::collections::HashMap;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Cse;

impl Pass for Cse {
    fn name(&self) -> &'static str {
        "cse"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O2
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let mut changes = copy_all(&mut program.functions, &options.stop);
        changes += share_functions(program, &options.stop);
        changes += share_predicates(program);
        changes
    }
}

/// What makes two conditions equal.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    /// One block that returns an outcome: the tree, operands in a canonical order.
    Tree(Vec<u32>),
    /// Anything else, as it stands.
    Code(&'a Function),
}

fn share_functions(program: &mut Program, stop: &Stop) -> usize {
    let mut first: HashMap<Key<'_>, FuncId> = HashMap::with_capacity(program.functions.len());
    let mut uses: Vec<u32> = vec![0; program.functions.len()];
    let mut representative: Vec<Option<FuncId>> = vec![None; program.functions.len()];
    let mut targets = Vec::with_capacity(program.rules.len());
    for rule in program.rules.iter().take_while(|_| !stop.is_asked()) {
        let id = match representative.get(rule.condition.index()).copied().flatten() {
            Some(known) => known,
            None => {
                let Some(function) = program.functions.get(rule.condition.index()) else {
                    targets.push(rule.condition);
                    continue;
                };
                let key = match function.single_outcome().and_then(|root| tree(function, root)) {
                    Some(tree) => Key::Tree(tree),
                    None => Key::Code(function),
                };
                let id = *first.entry(key).or_insert(rule.condition);
                if let Some(place) = representative.get_mut(rule.condition.index()) {
                    *place = Some(id);
                }
                id
            }
        };
        if let Some(n) = uses.get_mut(id.index()) {
            *n += 1;
        }
        targets.push(id);
    }
    let mut changes = 0;
    for (rule, target) in program.rules.iter_mut().zip(targets) {
        changes += usize::from(rule.condition != target);
        rule.condition = target;
    }
    for (function, uses) in program.functions.iter_mut().zip(uses) {
        if uses > 1 && !function.shared {
            function.shared = true;
            changes += 1;
        }
    }
    changes
}

/// The outcome as numbers: kind, then operands. Operators list their operands in ascending order, because theirs does
/// not matter. `None` for outcomes of data.
fn tree(function: &Function, id: ValueId) -> Option<Vec<u32>> {
    const TEST: u32 = 0;
    const TEST_NOT: u32 = 1;
    const CONST: u32 = 2;
    const AND: u32 = 3;
    const OR: u32 = 4;
    const NOT: u32 = 5;
    Some(match function.value(id)? {
        Inst::Test {
            pred,
            negated: Negated(negated),
        } => vec![if *negated { TEST_NOT } else { TEST }, pred.0],
        Inst::Const { value } => vec![CONST, u32::from(*value)],
        inst @ (Inst::And { operands } | Inst::Or { operands }) => {
            let mut parts = operands
                .iter()
                .map(|v| tree(function, *v))
                .collect::<Option<Vec<_>>>()?;
            parts.sort_unstable();
            let count = u32::try_from(parts.len()).ok()?;
            let kind = if matches!(inst, Inst::And { .. }) { AND } else { OR };
            let mut out = vec![kind, count];
            out.extend(parts.into_iter().flatten());
            out
        }
        Inst::Not { operand: inner } => {
            let mut out = vec![NOT];
            out.extend(tree(function, *inner)?);
            out
        }
        Inst::Truth { .. } | no_outcome!() => return None,
    })
}

/// In how many places of the code each value stands: an outcome that two operators ask for is evaluated in two places.
fn asked(function: &Function) -> Vec<u32> {
    let mut asked = vec![0u32; function.values.len()];
    for block in function.blocks.iter().rev() {
        block.end.operands(|v| add(&mut asked, v, 1));
        // Operands stand before what uses them, so each is complete when its turn comes.
        for id in block.insts.iter().rev() {
            let times = asked.get(id.index()).copied().unwrap_or(0);
            let Some(inst) = function.value(*id) else { continue };
            // What is done for its effect is there although nobody asks for it.
            inst.operands(|v| add(&mut asked, v, times.max(1)));
        }
    }
    asked
}

fn add(counts: &mut [u32], value: ValueId, times: u32) {
    if let Some(n) = counts.get_mut(value.index()) {
        *n = n.saturating_add(times);
    }
}

fn share_predicates(program: &mut Program) -> usize {
    let mut live = vec![false; program.functions.len()];
    for rule in &program.rules {
        if let Some(place) = live.get_mut(rule.condition.index()) {
            *place = true;
        }
    }
    for function in &program.functions {
        function.each_inst(|_, inst| {
            if let Inst::Call { function, .. } = inst
                && let Some(place) = live.get_mut(function.index())
            {
                *place = true;
            }
        });
    }
    let mut uses = vec![0u32; program.predicates.len()];
    for (function, _) in program.functions.iter().zip(live).filter(|(_, live)| *live) {
        for (inst, asked) in function.values.iter().zip(asked(function)) {
            if let Inst::Test { pred, .. } = inst
                && let Some(n) = uses.get_mut(pred.index())
            {
                *n = n.saturating_add(asked);
            }
        }
    }
    let mut changes = 0;
    let kept = program.kept();
    for ((predicate, uses), kept) in program.predicates.iter_mut().zip(uses).zip(kept) {
        let shared = uses > 1 || kept;
        changes += usize::from(predicate.shared != shared);
        predicate.shared = shared;
    }
    changes
}
