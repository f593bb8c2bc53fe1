//! The text form of the IR: printed for people (`--dump-ir`) and for golden tests, and read back by the latter.
//!
//! ```text
//! pred p0 = team.tier eq "free"
//!
//! function fn0 shared {
//! b0:
//!   v0 = test p0
//!   ret v0
//! }
//!
//! policy "gateway-policy"
//! rule "gateway-policy/r03" deny on_error=match {
//! b0:
//!   v0 = test_not llm.model matches "^gpt-4"
//!   v1 = test p0
//!   v2 = and v0, v1
//!   ret v2
//! }
//! rule "gateway-policy/r04" warn on_error=skip = fn0
//! ```
//!
//! A line `guard v0, v1` after the blocks of a function is one of its guards. Shared comparisons are named in the header, the others are spelled out where they are used; constants are JSON;
//! another field as operand is `field team.limit`, what `any` and `all` ask of each element a tree in parentheses:
//! `llm.messages any (and (test item.role eq "user") (pred p0))`. A condition that only one rule uses stands in its rule.
//! Values, functions and shared comparisons are numbered in order of appearance. Not part of the text: the manifest,
//! automata, and table entries that no code uses.
//!
//! An instruction may stand behind its place, `@0:12..34 v0 = test p0`: the number of the file, the first byte and the one past
//! the last. [`print()`] leaves places out, [`print_with_places`] writes them.
//!
//! Lines that begin with `#` are comments. Dumps say in such lines what became of the patterns (`comments.rs`).
//!
//! Printing what was parsed gives the same text but for comments; parsing what was printed gives the same program up to the above.

pub(crate) mod comments;
mod parse;
mod print;
mod reading;

pub use parse::{TextError, parse};
pub(crate) use print::dump;
pub use print::{print, print_with_places};

use crate::ir::{Block, FuncId, Inst, Program, Terminator, ValueId};
use policy_bytecode::{BuilderIdx, ConstIdx, FieldIdx, IterIdx, PredIdx};

pub(super) use parse::Res;
pub(super) use reading::Reading;

/// How the printer writes what instructions name.
pub(super) trait Names {
    fn value(&self, id: ValueId) -> String;
    fn pred(&self, pred: PredIdx) -> String;
    fn field(&self, field: FieldIdx) -> String;
    fn constant(&self, k: ConstIdx) -> String;
    fn function(&self, f: FuncId) -> String;
    fn iterator(&self, iter: IterIdx) -> String;
    fn builder(&self, builder: BuilderIdx) -> String;
}

/// Whether a function is written in the rule that uses it: only one rule does, and no code calls it.
fn inline_functions(program: &Program) -> Vec<bool> {
    let mut uses = vec![0usize; program.functions.len()];
    let mut count = |f: FuncId, n: usize| {
        if let Some(u) = uses.get_mut(f.index()) {
            *u += n;
        }
    };
    for rule in &program.rules {
        count(rule.condition, 1);
    }
    for function in &program.functions {
        function.each_inst(|_, inst| {
            if let Inst::Call { function, .. } = inst {
                count(*function, 2);
            }
        });
    }
    let has_params = |b: Option<&Block>| b.is_some_and(|b| !b.params.is_empty());
    uses.iter()
        .zip(&program.functions)
        .map(|(n, f)| *n == 1 && !f.shared && !has_params(f.blocks.first()))
        .collect()
}

/// Mnemonic of a terminator.
fn terminator_name(end: &Terminator) -> &'static str {
    match end {
        Terminator::Ret(_) => "ret",
        Terminator::Jump { .. } => "jump",
        Terminator::Split { .. } => "split",
        Terminator::Defined { .. } => "defined",
        Terminator::IterNext { .. } => "iter_next",
    }
}
