//! V12: nothing in a frame is read before it is written.
//!
//! Fifth of the checkers; assumes that operands and control flow are well-formed (V8–V11, V15).
//!
//! # Method
//!
//! Forward data flow over instructions. The state of an instruction is the set of frame places written on *every* path
//! to it; the join is intersection, so sets only shrink and the iteration ends. Registers, iterators and builders share
//! one bit vector. Functions that use none of them (all conditions of documents) are skipped.
//!
//! # Not done here
//!
//! Value kinds are not tracked: comparing an array with a number is legal bytecode and gives undefined.

use super::VerifyError;
use crate::instr::{Instr, Role};
use crate::module::{Function, Module};

pub(super) fn check(module: &Module) -> Result<(), VerifyError> {
    for (f, function) in module.functions.iter().enumerate() {
        if function.registers > 0 || function.iterators > 0 || function.builders > 0 {
            check_function(f, function)?;
        }
    }
    Ok(())
}

#[derive(Clone, PartialEq)]
struct Places(Vec<u64>);

impl Places {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
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

fn check_function(f: usize, function: &Function) -> Result<(), VerifyError> {
    let registers = usize::from(function.registers);
    let iterators = registers + usize::from(function.iterators);
    let count = iterators + usize::from(function.builders);
    let iter_place = |it: crate::IterIdx| registers + it.index();
    let builder_place = |b: crate::BuilderIdx| iterators + b.index();

    let mut states: Vec<Option<Places>> = vec![None; function.code.len()];
    let mut entry = Places::new(count);
    (0..usize::from(function.params)).for_each(|p| entry.insert(p));
    let mut work: Vec<(usize, Places)> = vec![(0, entry)];
    while let Some((at, incoming)) = work.pop() {
        let Some(slot) = states.get_mut(at) else { continue };
        let mut state = match slot {
            None => slot.insert(incoming).clone(),
            Some(known) => {
                if !known.intersect(&incoming) {
                    continue;
                }
                known.clone()
            }
        };
        let Some(instr) = function.code.get(at) else {
            continue;
        };
        let mut unwritten = false;
        let mut targets: Vec<usize> = Vec::new();
        let mut defs: Vec<usize> = Vec::new();
        instr.roles(|role| match role {
            Role::Use(range) => {
                let first = range.first.index();
                unwritten |= (first..first + usize::from(range.count)).any(|r| !state.contains(r));
            }
            Role::Def(r) => defs.push(r.index()),
            Role::Jump(target) => targets.push(target.index()),
            Role::Iter(it) => match instr {
                Instr::IterBegin { .. } => defs.push(iter_place(it)),
                _other => unwritten |= !state.contains(iter_place(it)),
            },
            Role::Builder(b) => match instr {
                Instr::BuildArray { .. } | Instr::BuildObject { .. } | Instr::BuildSet { .. } => {
                    defs.push(builder_place(b));
                }
                _other => unwritten |= !state.contains(builder_place(b)),
            },
            Role::Const(_)
            | Role::Field(_)
            | Role::Pred(_)
            | Role::Func(_)
            | Role::Flag(_)
            | Role::Immediate => {}
        });
        if unwritten {
            return Err(VerifyError::code(
                12,
                f,
                at,
                "something is read that is not written on every path",
            ));
        }
        // What `iter_next` writes is not there on the `done` edge.
        let on_jump = state.clone();
        defs.into_iter().for_each(|place| state.insert(place));
        work.extend(targets.into_iter().map(|target| (target, on_jump.clone())));
        if !instr.opcode().is_terminator() {
            work.push((at + 1, state));
        }
    }
    Ok(())
}
