//! The passes over the IR, in the order in which they run, and their runner.
//!
//! A pass is one file: a function of the program, idempotent, that says in its module documentation what it turns into
//! what. It neither times, prints nor verifies; that is the runner's business. No pass changes what any rule decides,
//! for any request: level 0 runs none of them and decides exactly as level 2 does.

mod const_fold;
mod cse;
mod dce;
mod normalise;
mod order;
pub(crate) mod patterns;
pub(crate) mod regex_dfa;
mod rewrite;
mod simplify;

use crate::ir::{Program, text, verify};
use crate::options::{BuildReport, DumpPoint, IrDump, OptLevel, Options, PassReport};
use crate::pipeline::internal;
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;
use policy_grammar::{FileId, Span};
use std::fmt;
use std::time::Instant;

/// One pass.
pub trait Pass: fmt::Debug + Sync {
    /// Its name: of its file, in `--time-passes`, `--dump-ir` and `--stop-after`.
    fn name(&self) -> &'static str;
    /// The lowest level that runs it.
    fn level(&self) -> OptLevel;
    /// Rewrites the program and returns how many places it changed.
    fn run(&self, program: &mut Program, options: &Options) -> usize;
}

/// All passes, in the order in which they run.
pub const ALL: &[&dyn Pass] = &[
    &normalise::Normalise, // first: without negated operators inside, the next two see operators of one kind nested
    &const_fold::ConstFold, // before simplify: what it folds leaves operators of one operand
    &simplify::Simplify,   // before cse: flat operators without repetitions are equal more often
    &cse::Cse,             // before order: a shared comparison costs less
    &patterns::Patterns,   // before regex_dfa: patterns that a scan looks for need no automaton
    &regex_dfa::RegexDfa,  // before order: an automaton costs less than a pattern built from its source
    &order::Order,         // after everything that changes what operands cost
    &dce::Dce,             // last: every pass above may leave something that nobody uses
];

/// The pass of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Pass> {
    ALL.iter().copied().find(|pass| pass.name() == name)
}

/// Runs the passes of the chosen level.
///
/// # Errors
///
/// A diagnostic when `stop_after` or `dump_ir` names no pass, or (in debug builds) when a pass broke the program.
pub(crate) fn run(
    program: &mut Program,
    options: &Options,
    report: &mut BuildReport,
) -> Result<(), Box<Diagnostic>> {
    let wanted = options.dump_ir.iter().filter_map(|point| match point {
        DumpPoint::After(name) => Some(name),
        DumpPoint::Lowered | DumpPoint::All => None,
    });
    for name in wanted.chain(&options.stop_after) {
        if by_name(name).is_none() {
            return Err(Box::new(unknown_pass(name)));
        }
    }
    if options
        .dump_ir
        .iter()
        .any(|point| matches!(point, DumpPoint::Lowered | DumpPoint::All))
    {
        report.dumps.push(IrDump {
            after: "lowered",
            text: text::print(program),
        });
    }
    verified(program, "lower")?;
    for pass in ALL.iter().filter(|pass| pass.level() <= options.opt_level) {
        let start = options.time_passes.then(Instant::now);
        let changes = pass.run(program, options);
        report.passes.push(PassReport {
            name: pass.name(),
            changes,
            time: start.map(|start| start.elapsed()),
        });
        verified(program, pass.name())?;
        let asked = |point: &DumpPoint| match point {
            DumpPoint::After(name) => name == pass.name(),
            DumpPoint::All => true,
            DumpPoint::Lowered => false,
        };
        if options.dump_ir.iter().any(asked) {
            report.dumps.push(IrDump {
                after: pass.name(),
                text: text::print(program),
            });
        }
        if options.stop_after.as_deref() == Some(pass.name()) {
            break;
        }
    }
    Ok(())
}

/// In debug and test builds, whether the program is still well-formed.
fn verified(program: &Program, after: &str) -> Result<(), Box<Diagnostic>> {
    if cfg!(debug_assertions)
        && let Err(error) = verify::verify(program)
    {
        return Err(Box::new(internal(format!(
            "`{after}` left a malformed program: {error}"
        ))));
    }
    Ok(())
}

fn unknown_pass(name: &str) -> Diagnostic {
    let names: Vec<&str> = ALL.iter().map(|pass| pass.name()).collect();
    Diagnostic::new(
        Code::InvalidValue,
        Span::new(FileId(0), 0, 0),
        format!("`{name}` is not a pass"),
    )
    .help(format!("the passes are {}", names.join(", ")))
}
