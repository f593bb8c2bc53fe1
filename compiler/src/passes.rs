//! The passes over the IR, in the order in which they run, and their runner.
//!
//! A pass is one file: a function of the program, idempotent, that says in its module documentation what it turns into
//! what. It neither times, prints nor verifies; that is the runner's business. No pass changes what any rule decides,
//! for any request: level 0 runs none of them and decides exactly as level 2 does.
//!
//! A pass is local when it looks at one policy at a time: it runs once for each policy, before linking. The others are
//! global and run on the linked program.

mod const_fold;
mod cse;
mod dce;
mod dfa_limit;
mod index;
mod normalise;
mod order;
pub(crate) mod patterns;
pub(crate) mod regex_dfa;
mod rewrite;
mod simplify;

pub(crate) use regex_dfa::untried;

use crate::ir::{Program, text, verify};
use crate::limits::{Ended, stopped};
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
    /// Rewrites the program and returns how many places it changed. Leaves off as soon as [`Options::stop`] is asked to,
    /// whatever state that leaves the program in: then nothing more is made of it.
    fn run(&self, program: &mut Program, options: &Options) -> usize;
}

/// Passes that look at one policy. Their results are kept as long as the policy stays.
pub const LOCAL: &[&dyn Pass] = &[
    &normalise::Normalise, // first: without negated operators inside, the next two see operators of one kind nested
    &const_fold::ConstFold, // before simplify: what it folds leaves operators of one operand
    &simplify::Simplify,   // before cse: flat operators without repetitions are equal more often
    &regex_dfa::RegexDfa,  // before order: an automaton costs less than a pattern built from its source
    &order::Order,         // after everything that changes what operands cost
];

/// Passes that look at the whole set. They run again for each change of the set, so they must be cheap where nothing is
/// to do.
pub const GLOBAL: &[&dyn Pass] = &[
    &cse::Cse,            // first: sees every condition in its final form
    &patterns::Patterns,  // before dfa_limit: patterns that a scan looks for need no automaton
    &dfa_limit::DfaLimit, // after linking: equal patterns are one entry
    &dce::Dce,            // every pass above may leave something that nobody uses
    &index::Index,        // last: guards rest on the code as it will be emitted
];

/// All passes, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static dyn Pass> {
    LOCAL.iter().chain(GLOBAL).copied()
}

/// The pass of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Pass> {
    all().find(|pass| pass.name() == name)
}

/// Whether every pass that the options name exists.
///
/// # Errors
///
/// A diagnostic when `stop_after` or `dump_ir` names no pass.
pub(crate) fn known(options: &Options) -> Result<(), Box<Diagnostic>> {
    let dumped = options.dump_ir.iter().filter_map(|point| match point {
        DumpPoint::After(name) => Some(name),
        DumpPoint::Lowered | DumpPoint::All => None,
    });
    match dumped
        .chain(&options.stop_after)
        .find(|name| by_name(name).is_none())
    {
        Some(name) => Err(Box::new(unknown_pass(name))),
        None => Ok(()),
    }
}

/// Runs those of `passes` that the chosen level has.
///
/// # Errors
///
/// A diagnostic when the compilation is to stop, and (in debug builds) when a pass broke the program.
pub(crate) fn run(
    passes: &[&dyn Pass],
    program: &mut Program,
    options: &Options,
    report: &mut BuildReport,
) -> Result<(), Ended> {
    options.stop.check().map_err(stopped)?;
    verified(program, "lower")?;
    let last = options.stop_after.as_deref();
    for pass in passes.iter().filter(|pass| pass.level() <= options.opt_level) {
        let start = options.time_passes.then(Instant::now);
        let changes = pass.run(program, options);
        // A pass that was stopped leaves the program in any state.
        options.stop.check().map_err(stopped)?;
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
            let mut text = if knows_automata(*pass, options) {
                text::comments::automata(program)
            } else {
                String::new()
            };
            text.push_str(&text::dump(program, options.dump_places));
            report.dumps.push(IrDump {
                after: pass.name(),
                text,
            });
        }
        if last == Some(pass.name()) {
            break;
        }
    }
    Ok(())
}

/// Whether automata were made where they can be, when this pass has run. Before that, patterns of an earlier compilation have some
/// and others do not, which says nothing of the program.
fn knows_automata(pass: &dyn Pass, options: &Options) -> bool {
    let made = &regex_dfa::RegexDfa;
    made.level() <= options.opt_level
        && all()
            .skip_while(|p| p.name() != made.name())
            .any(|p| p.name() == pass.name())
}

/// A warning for each rule that has to be looked at for every request.
pub(crate) fn unindexed(program: &Program) -> Vec<Diagnostic> {
    let rules = index::out_of_reach(program).into_iter();
    rules
        .map(|rule| {
            Diagnostic::new(
                Code::UnindexedRule,
                rule.loc.map_or(Span::new(FileId(0), 0, 0), crate::lower::span),
                format!("`{}` has to be looked at for every request", rule.name),
            )
            .help(
                "a rule is found by lookup when it cannot fire unless some field equals, is in, starts with or exceeds a \
                 constant; add such a condition with `and`",
            )
        })
        .collect()
}

/// Whether the last pass to run is a local one, so that no global pass runs.
pub(crate) fn stops_locally(options: &Options) -> bool {
    LOCAL
        .iter()
        .any(|pass| pass.level() <= options.opt_level && options.stop_after.as_deref() == Some(pass.name()))
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
    let names: Vec<&str> = all().map(|pass| pass.name()).collect();
    Diagnostic::new(
        Code::InvalidValue,
        Span::new(FileId(0), 0, 0),
        format!("`{name}` is not a pass"),
    )
    .help(format!("the passes are {}", names.join(", ")))
}
