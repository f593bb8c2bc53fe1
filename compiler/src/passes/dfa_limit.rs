//! Keeps automata, in table order, as long as they fit the limit for all of them together. Patterns that only scans ask
//! for ([`super::patterns`]) need none: they seldom run.
//!
//! ```text
//! x0 "^gpt-4"    dfa, 3 MiB              x0 "^gpt-4"    dfa, 3 MiB
//! x1 "secret"    dfa, 2 MiB         =>   x1 "secret"    source: does not fit the 4 MiB for all automata
//! x2 "^o1"       dfa, 1 MiB              x2 "^o1"       dfa, 1 MiB
//! ```
//!
//! The IR text has no place for automata; dumps show them as comments, the build report and `inspect` in full.

use super::{OptLevel, Options, Pass, Program};
use crate::ir::{Engine, Reason};
use policy_bytecode::PredIdx;
use policy_bytecode::predicate::PredOperand;
use std::collections::HashSet;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct DfaLimit;

impl Pass for DfaLimit {
    fn name(&self) -> &'static str {
        "dfa_limit"
    }

    fn level(&self) -> OptLevel {
        OptLevel::O2
    }

    fn run(&self, program: &mut Program, options: &Options) -> usize {
        let mut left = options.dfa_total_limit_bytes;
        let mut changes = 0;
        let scanned = scanned(program);
        for (pattern, scanned) in program.patterns.iter_mut().zip(scanned) {
            if scanned {
                let scanned = Engine::Source(Reason::Scanned);
                changes += usize::from(pattern.engine != scanned);
                pattern.engine = scanned;
                continue;
            }
            let Engine::Dfa { bytes, .. } = &pattern.engine else {
                continue;
            };
            let size = bytes.len();
            if let Some(rest) = left.checked_sub(size) {
                left = rest;
                continue;
            }
            pattern.engine = Engine::Source(Reason::Refused(format!(
                "its automaton of {size} bytes does not fit the {} bytes for all automata",
                options.dfa_total_limit_bytes
            )));
            changes += 1;
        }
        changes
    }
}

/// By pattern: whether scans answer every comparison with it.
fn scanned(program: &Program) -> Vec<bool> {
    let answered = program.scans.iter().flat_map(|scan| &scan.predicates);
    let answered: HashSet<PredIdx> = answered.map(|scanned| scanned.predicate).collect();
    let mut scanned = vec![!answered.is_empty(); program.patterns.len()];
    for (predicate, index) in program.predicates.iter().zip(0..) {
        if let PredOperand::Pattern(x) = predicate.operand
            && !answered.contains(&PredIdx(index))
            && let Some(scanned) = scanned.get_mut(x.index())
        {
            *scanned = false;
        }
    }
    for x in crate::emit::in_elements(&program.bodies) {
        if let Some(scanned) = scanned.get_mut(x.index()) {
            *scanned = false;
        }
    }
    scanned
}
