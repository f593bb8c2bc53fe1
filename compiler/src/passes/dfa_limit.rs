//! Keeps automata, in table order, as long as they fit the limit for all of them together.
//!
//! ```text
//! x0 "^gpt-4"    dfa, 3 MiB              x0 "^gpt-4"    dfa, 3 MiB
//! x1 "secret"    dfa, 2 MiB         =>   x1 "secret"    source: does not fit the 4 MiB for all automata
//! x2 "^o1"       dfa, 1 MiB              x2 "^o1"       dfa, 1 MiB
//! ```
//!
//! The IR text does not show engines; the build report and `inspect` do.

use super::{OptLevel, Options, Pass, Program};
use policy_bytecode::module::PatternEngine;

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
        for pattern in &mut program.patterns {
            let PatternEngine::Dfa { bytes, .. } = &pattern.engine else {
                continue;
            };
            let size = bytes.len();
            if let Some(rest) = left.checked_sub(size) {
                left = rest;
                continue;
            }
            pattern.engine = PatternEngine::Source {
                reason: format!(
                    "its automaton of {size} bytes does not fit the {} bytes for all automata",
                    options.dfa_total_limit_bytes
                ),
            };
            changes += 1;
        }
        changes
    }
}
