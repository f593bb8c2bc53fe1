//! V12, V19: nothing in a frame is read before it is written, and builders are used as what they were started as.
//!
//! Fifth of the checkers; assumes that operands and control flow are well-formed (V8–V11, V15).
//!
//! # Method
//!
//! Forward data flow over basic blocks. The state of a block is the set of frame places written on *every* path to its
//! start; the join is intersection, so sets only shrink and the iteration ends. Registers and iterators are one bit
//! each, a builder three: started, started as a list (array or set), started as an object. Functions that use none of
//! them (all conditions of documents) are skipped.
//!
//! Blocks are visited in code order, for which compilers lay out definitions before uses: one pass is the rule. Hostile
//! code can make a fixed point as slow as blocks × places, and the states of a long function with a wide frame large;
//! both are bounded by [`MAX_PASSES`] and [`MAX_STATE_WORDS`], and code that needs more is refused.
//!
//! # Not done here
//!
//! Value kinds are not tracked: comparing an array with a number is legal bytecode and gives undefined. Code that no
//! path reaches is not looked at.

use super::VerifyError;
use crate::ids::{BuilderIdx, IterIdx};
use crate::instr::{Instr, Opcode, Role};
use crate::module::{Function, Module};
use crate::stop::Stop;
use std::collections::BTreeSet;

/// Passes over a function after which the proof is given up.
const MAX_PASSES: usize = 64;
/// Words that the states of a function's blocks may take: 128 MiB.
const MAX_STATE_WORDS: usize = 1 << 24;

pub(super) fn check(module: &Module, stop: &Stop) -> Result<(), VerifyError> {
    for (f, function) in module.functions.iter().enumerate() {
        if function.registers > 0 || function.iterators > 0 || function.builders > 0 {
            check_function(f, function, stop)?;
        }
    }
    Ok(())
}

/// A set of frame places.
#[derive(Clone)]
struct Places(Vec<u64>);

impl Places {
    fn new(words: usize) -> Self {
        Self(vec![0; words])
    }

    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn remove(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
        }
    }

    fn contains(&self, place: usize) -> bool {
        self.0
            .get(place / 64)
            .is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Keeps what both hold; says whether anything was dropped.
    fn intersect(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            changed |= *a & *b != *a;
            *a &= *b;
        }
        changed
    }
}

/// Which bit stands for what.
struct Layout {
    registers: usize,
    iterators: usize,
    words: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Started = 0,
    List = 1,
    Object = 2,
}

/// What an instruction does with its builder.
enum Building {
    Starts(Kind),
    Adds(Kind),
    Ends,
    /// It has none.
    Nothing,
}

impl Opcode {
    fn building(self) -> Building {
        match self {
            Self::BuildArray | Self::BuildSet => Building::Starts(Kind::List),
            Self::BuildObject => Building::Starts(Kind::Object),
            Self::BuildPush => Building::Adds(Kind::List),
            Self::BuildInsert => Building::Adds(Kind::Object),
            Self::BuildEnd => Building::Ends,
            Self::LoadConst
            | Self::LoadField
            | Self::Mov
            | Self::LoadUndefined
            | Self::LoadBool
            | Self::Get
            | Self::GetConst
            | Self::Len
            | Self::Eq
            | Self::Lt
            | Self::Lte
            | Self::Add
            | Self::Sub
            | Self::Mul
            | Self::Div
            | Self::Rem
            | Self::Jump
            | Self::BrIf
            | Self::BrUnless
            | Self::BrUndefined
            | Self::Test
            | Self::TestMemo
            | Self::BrFlag
            | Self::RaiseFlag
            | Self::ClearFlag
            | Self::Ret
            | Self::RetTrue
            | Self::RetFalse
            | Self::RetError
            | Self::RetTest
            | Self::RetTestMemo
            | Self::IterBegin
            | Self::IterNext
            | Self::Call => Building::Nothing,
        }
    }
}

impl Layout {
    fn of(function: &Function) -> Self {
        let registers = usize::from(function.registers);
        let iterators = usize::from(function.iterators);
        let places = registers + iterators + 3 * usize::from(function.builders);
        Self {
            registers,
            iterators,
            words: places.div_ceil(64),
        }
    }

    fn iterator(&self, iter: IterIdx) -> usize {
        self.registers + iter.index()
    }

    fn builder(&self, builder: BuilderIdx, kind: Kind) -> usize {
        self.registers + self.iterators + 3 * builder.index() + kind as usize
    }
}

fn check_function(f: usize, function: &Function, stop: &Stop) -> Result<(), VerifyError> {
    let layout = Layout::of(function);
    let starts = block_starts(function);
    if starts.len().saturating_mul(layout.words) > MAX_STATE_WORDS {
        return Err(VerifyError::function(
            12,
            f,
            "the function is too long for so wide a frame",
        ));
    }
    let mut budget = (function.code.len() + starts.len() * layout.words).saturating_mul(MAX_PASSES);
    let mut states: Vec<Option<Places>> = vec![None; starts.len()];
    let mut entry = Places::new(layout.words);
    (0..usize::from(function.params)).for_each(|p| entry.insert(p));
    if let Some(first) = states.first_mut() {
        *first = Some(entry);
    }
    let mut changed: BTreeSet<usize> = BTreeSet::from([0]);
    while let Some(block) = changed.pop_first() {
        stop.check()?;
        let (Some(&start), Some(Some(state))) = (starts.get(block), states.get(block)) else {
            continue;
        };
        let mut state = state.clone();
        let end = starts.get(block + 1).copied().unwrap_or(function.code.len());
        let code = function.code.get(start..end).unwrap_or(&[]);
        match budget.checked_sub(code.len() + layout.words) {
            Some(left) => budget = left,
            None => {
                return Err(VerifyError::function(
                    12,
                    f,
                    "what is written takes too many passes to find out",
                ));
            }
        }
        let mut reach = |target: usize, incoming: &Places| {
            if let Ok(block) = starts.binary_search(&target)
                && let Some(slot) = states.get_mut(block)
            {
                let news = match slot {
                    None => {
                        *slot = Some(incoming.clone());
                        true
                    }
                    Some(known) => known.intersect(incoming),
                };
                if news {
                    changed.insert(block);
                }
            }
        };
        for (offset, instr) in code.iter().enumerate() {
            check_reads(*instr, &layout, &state)
                .map_err(|(rule, detail)| VerifyError::code(rule, f, start + offset, detail))?;
            // What `iter_next` writes is not there on the `done` edge, so targets come before writes.
            instr.roles(|role| {
                if let Role::Jump(target) = role {
                    reach(target.index(), &state);
                }
            });
            write(*instr, &layout, &mut state);
        }
        if code.last().is_some_and(|last| !last.opcode().is_terminator()) {
            reach(end, &state);
        }
    }
    Ok(())
}

/// Indexes of the instructions that start a basic block, ascending.
fn block_starts(function: &Function) -> Vec<usize> {
    let mut starts = vec![0];
    for (i, instr) in function.code.iter().enumerate() {
        let mut ends = instr.opcode().is_terminator();
        instr.roles(|role| {
            if let Role::Jump(target) = role {
                starts.push(target.index());
                ends = true;
            }
        });
        if ends && i + 1 < function.code.len() {
            starts.push(i + 1);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Whether all that an instruction reads is there; else the broken rule.
fn check_reads(instr: Instr, layout: &Layout, state: &Places) -> Result<(), (u8, &'static str)> {
    let mut result = Ok(());
    let mut need = |present: bool, rule: u8, detail: &'static str| {
        if !present && result.is_ok() {
            result = Err((rule, detail));
        }
    };
    const UNWRITTEN: &str = "something is read that is not written on every path";
    instr.roles(|role| match role {
        Role::Use(range) => {
            let first = range.first.index();
            let all = (first..first + usize::from(range.count)).all(|r| state.contains(r));
            need(all, 12, UNWRITTEN);
        }
        Role::Iter(iter) => {
            let starts = matches!(instr, Instr::IterBegin { .. });
            need(starts || state.contains(layout.iterator(iter)), 12, UNWRITTEN);
        }
        Role::Builder(b) => {
            let has = |kind| state.contains(layout.builder(b, kind));
            let (started, fits) = match instr.opcode().building() {
                Building::Starts(_) => (true, true),
                Building::Adds(kind) => (has(Kind::Started), has(kind)),
                Building::Ends => (has(Kind::Started), true),
                Building::Nothing => (false, false),
            };
            need(started, 12, "a builder is used that is not started on every path");
            need(fits, 19, "a builder is used as what it was not started as");
        }
        Role::Def(_)
        | Role::Jump(_)
        | Role::Const(_)
        | Role::Field(_)
        | Role::Pred(_)
        | Role::Func(_)
        | Role::Flag(_)
        | Role::Immediate => {}
    });
    result
}

/// The state after an instruction that goes on to the next one.
fn write(instr: Instr, layout: &Layout, state: &mut Places) {
    instr.roles(|role| match role {
        Role::Def(r) => state.insert(r.index()),
        Role::Iter(iter) => state.insert(layout.iterator(iter)),
        Role::Builder(b) => {
            let kind = match instr.opcode().building() {
                Building::Starts(kind) => Some(kind),
                Building::Ends => None,
                Building::Adds(_) | Building::Nothing => return,
            };
            for place in [Kind::Started, Kind::List, Kind::Object] {
                state.remove(layout.builder(b, place));
            }
            if let Some(kind) = kind {
                state.insert(layout.builder(b, Kind::Started));
                state.insert(layout.builder(b, kind));
            }
        }
        Role::Use(_)
        | Role::Jump(_)
        | Role::Const(_)
        | Role::Field(_)
        | Role::Pred(_)
        | Role::Func(_)
        | Role::Flag(_)
        | Role::Immediate => {}
    });
}
