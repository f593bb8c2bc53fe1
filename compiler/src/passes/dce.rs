//! Dead code elimination: drops what neither code nor manifest uses, and renumbers the rest.
//!
//! ```text
//! b0:                               b0:
//!   v0 = load_const 1                 v0 = const true
//!   v1 = const true         =>        ret v0
//!   ret v1
//! b1:
//!   …
//! ```
//!
//! In functions: blocks that no path reaches, data without effect whose value nobody reads, outcomes that nobody asks
//! for. In tables: functions, comparisons, patterns, constants and fields. The manifest keeps what it names: condition
//! trees show the source, so every comparison written in a live rule stays in its table even when no code asks for it.
//! Fields that a derived field is computed from stay with it.

mod tables;

use super::rewrite::{Copy, is_copy, rebuild};
use super::{OptLevel, Options, Pass, Program};
use crate::ir::{Block, BlockId, Function, Inst, Terminator, ValueId};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Dce;

impl Pass for Dce {
    fn name(&self) -> &'static str {
        "dce"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O1
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let mut changes = 0;
        let go_on = program
            .functions
            .iter_mut()
            .take_while(|_| !options.stop.is_asked());
        for function in go_on.filter(|f| !is_copy(f)) {
            let unreachable = drop_blocks(function);
            let dead = drop_data(function);
            let new = rebuild(function, &Copy);
            let outcomes = new != *function;
            *function = new;
            changes += usize::from(unreachable || dead || outcomes);
        }
        changes + tables::compact(program)
    }
}

/// Drops blocks that no path reaches; says whether there were any.
fn drop_blocks(function: &mut Function) -> bool {
    if function.blocks.len() <= 1 {
        return false;
    }
    let mut reached = vec![false; function.blocks.len()];
    let mut work = vec![BlockId(0)];
    while let Some(id) = work.pop() {
        let Some(seen) = reached.get_mut(id.index()) else {
            continue;
        };
        if !std::mem::replace(seen, true)
            && let Some(block) = function.blocks.get(id.index())
        {
            block.end.targets(|target| work.push(target));
        }
    }
    if reached.iter().all(|r| *r) {
        return false;
    }
    let mut numbers = Vec::with_capacity(reached.len());
    let mut next = 0;
    for reached in &reached {
        numbers.push(BlockId(next));
        next += u32::from(*reached);
    }
    let number = |id: &mut BlockId| {
        if let Some(new) = numbers.get(id.index()) {
            *id = *new;
        }
    };
    let blocks = std::mem::take(&mut function.blocks);
    for (mut block, _) in blocks.into_iter().zip(reached).filter(|(_, reached)| *reached) {
        match &mut block.end {
            Terminator::Ret(_) => {}
            Terminator::Jump { target, .. } => number(target),
            Terminator::Split {
                on_true,
                on_false,
                on_error,
                ..
            } => [on_true, on_false, on_error].into_iter().for_each(number),
            Terminator::Defined {
                defined, undefined, ..
            } => [defined, undefined].into_iter().for_each(number),
            Terminator::IterNext { body, done, .. } => [body, done].into_iter().for_each(number),
        }
        function.blocks.push(block);
    }
    true
}

/// Drops data that are never read; says whether there were any. Effects stay, and what they read.
fn drop_data(function: &mut Function) -> bool {
    let mut needed = vec![false; function.values.len()];
    let mut work: Vec<ValueId> = Vec::new();
    for block in &function.blocks {
        block.end.operands(|v| work.push(v));
        work.extend(block.insts.iter().copied().filter(|id| {
            // The end of a collection is an effect too: it frees the builder.
            function.value(*id).is_some_and(Inst::is_kept)
        }));
    }
    while let Some(id) = work.pop() {
        let Some(seen) = needed.get_mut(id.index()) else {
            continue;
        };
        if !std::mem::replace(seen, true)
            && let Some(inst) = function.value(id)
        {
            inst.operands(|v| work.push(v));
        }
    }
    let before: usize = function.blocks.iter().map(|b| b.insts.len()).sum();
    for Block { insts, .. } in &mut function.blocks {
        insts.retain(|id| needed.get(id.index()).copied().unwrap_or(false));
    }
    function.blocks.iter().map(|b| b.insts.len()).sum::<usize>() != before
}
