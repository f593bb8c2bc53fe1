//! The whole journey on one screen: parse → resolve → check → lower → local passes, for each file; then link →
//! global passes → emit → verify.
//!
//! The first half is `unit.rs`, whose results a [`crate::Compiler`] keeps; each line of `make` is one stage of the
//! second half and returns a named type. There is one path: compiling once is compiling with nothing kept. Between the
//! halves the journey ends when an error has been reported; anywhere when a limit of the set is exceeded (`Room`) or
//! when [`Options::stop`] says so.

use crate::limits::{self, Ended, Room, Usage};
use crate::options::{BuildReport, Compiled, Failed, Options};
use crate::unit::{Automata, Head, Unit};
use crate::{emit, link, passes, set, unit};
use policy_bytecode::Stopped;
use policy_bytecode::bundle::CostCertificate;
use policy_bytecode::verify::{HostLimits, verify_until};
use policy_grammar::ast::Policy;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, SourceMap, Span};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles every file of `sources`.
///
/// # Errors
///
/// [`Failed`] with everything that was found, when at least one problem is an error.
pub fn compile(sources: &SourceMap, options: &Options) -> Result<Compiled, Failed> {
    let mut automata = Automata::default();
    let mut room = Room::new(options);
    let mut units: Vec<(FileId, Unit)> = Vec::new();
    for (file, _) in sources.iter() {
        match unit::of_file(sources, file, None, options, &mut automata, &mut room) {
            Ok(unit) => units.push((file, unit)),
            Err(why) => return Err(ended(&units, *why, options)),
        }
    }
    finish(sources, &units, options)
}

/// Compiles policies that are already parsed. `sources` holds the files that their spans point into.
///
/// # Errors
///
/// [`Failed`] with everything that was found, when at least one problem is an error.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers hand over what they parsed; a borrow would tie them to how stages share it"
)]
pub fn compile_policies(
    sources: &SourceMap,
    policies: Vec<Policy>,
    options: &Options,
) -> Result<Compiled, Failed> {
    let mut automata = Automata::default();
    let mut room = Room::new(options);
    let mut units: Vec<(FileId, Unit)> = Vec::new();
    for policy in &policies {
        let file = policy.span.file;
        let policy = std::slice::from_ref(policy);
        match unit::of_policies(sources.file(file), policy, options, &mut automata, &mut room) {
            Ok(unit) => units.push((file, unit)),
            Err(why) => return Err(ended(&units, *why, options)),
        }
    }
    finish(sources, &units, options)
}

/// Every diagnostic of `sources`, without making anything. Checks what parsed even when other parts did not.
#[must_use]
pub fn check(sources: &SourceMap, options: &Options) -> Vec<Diagnostic> {
    let mut heads: Vec<(FileId, Head)> = Vec::new();
    let mut diagnostics = Vec::new();
    let mut room = Room::new(options);
    let mut all = || -> Result<(), Ended> {
        for (file, source) in sources.iter() {
            room.source(file, source)?;
            let parsed = Arc::unwrap_or_clone(unit::parse(sources, file, options)?.output);
            diagnostics.extend(parsed.diagnostics);
            for policy in &parsed.policies {
                let (head, _) = unit::examine(policy, options, &mut room, &mut diagnostics)?;
                heads.push((file, head));
            }
        }
        Ok(())
    };
    let whole = all();
    match whole {
        Ok(()) => set::check(heads.iter().map(|(file, head)| (*file, head)), &mut diagnostics),
        Err(why) => diagnostics.push(*why),
    }
    sort(&mut diagnostics);
    limits::reported(&mut diagnostics, options.compile_limits.diagnostics);
    diagnostics
}

/// Why a compilation that ended before its second half failed: what was said so far, and what ended it. Of one that was
/// stopped nothing is said: what was found is not all there is.
pub(crate) fn ended<U: Borrow<Unit>>(units: &[(FileId, U)], why: Diagnostic, options: &Options) -> Failed {
    let mut diagnostics = if why.code == Code::Stopped {
        Vec::new()
    } else {
        said(units)
    };
    diagnostics.push(why);
    sort(&mut diagnostics);
    limits::reported(&mut diagnostics, options.compile_limits.diagnostics);
    Failed { diagnostics }
}

/// From units, each with the number of its file in `sources`, to a verified module.
pub(crate) fn finish<U: Borrow<Unit>>(
    sources: &SourceMap,
    units: &[(FileId, U)],
    options: &Options,
) -> Result<Compiled, Failed> {
    let mut diagnostics = said(units);
    let policies = || {
        units
            .iter()
            .flat_map(|(file, unit)| unit.borrow().policies.iter().map(|policy| (*file, policy)))
    };
    set::check(
        policies().map(|(file, policy)| (file, &policy.head)),
        &mut diagnostics,
    );
    gate(&mut diagnostics, options)?;

    match make(&link::in_order(policies()), sources, options) {
        Ok(mut compiled) => {
            compiled.usage = usage(sources, units);
            compiled.diagnostics.append(&mut diagnostics);
            sort(&mut compiled.diagnostics);
            limits::reported(&mut compiled.diagnostics, options.compile_limits.diagnostics);
            Ok(compiled)
        }
        Err(last) if last.code == Code::Stopped => Err(ended(units, *last, options)),
        Err(last) => {
            diagnostics.push(*last);
            limits::reported(&mut diagnostics, options.compile_limits.diagnostics);
            Err(Failed { diagnostics })
        }
    }
}

/// The second half. `policies` are in evaluation order and hold no mistake.
fn make(
    policies: &[link::Placed<'_>],
    sources: &SourceMap,
    options: &Options,
) -> Result<Compiled, Box<Diagnostic>> {
    let go_on = || options.stop.check().map_err(limits::stopped);
    passes::known(options)?;
    let mut report = BuildReport::default();
    for (_, policy) in policies {
        report.absorb(&policy.report);
    }
    go_on()?;
    let mut program = link::link(policies, sources, options);
    if !passes::stops_locally(options) {
        passes::run(passes::GLOBAL, &mut program, options, &mut report)?;
    }
    let unindexed = if options.warn_unindexed {
        passes::unindexed(&program)
    } else {
        Vec::new()
    };
    go_on()?;
    let emitted = emit::emit(program, sources, options)?;
    affordable(&emitted.certificate, options)?;
    let module = verify_until(emitted.module, &HostLimits::default(), &options.stop).map_err(|e| {
        if e.is_stopped() {
            return limits::stopped(Stopped);
        }
        Box::new(internal(format!("the emitted module breaks {e}")))
    })?;
    emitted
        .manifest
        .check(&module)
        .map_err(|e| internal(format!("the manifest is wrong: {e}")))?;
    emitted
        .debug
        .check(&module, &emitted.manifest)
        .map_err(|e| internal(format!("the debug section is wrong: {e}")))?;

    report.stats = emit::stats(&module);
    report.patterns = emit::pattern_reports(&module);
    Ok(Compiled {
        module,
        manifest: emitted.manifest,
        source_map: emitted.source_map,
        certificate: emitted.certificate,
        debug: emitted.debug,
        diagnostics: unindexed,
        usage: BTreeMap::new(),
        report,
    })
}

/// What each namespace takes.
fn usage<U: Borrow<Unit>>(sources: &SourceMap, units: &[(FileId, U)]) -> BTreeMap<String, Usage> {
    let bytes = |file| sources.file(file).map_or(0, |source| source.text().len());
    limits::by_namespace(
        units
            .iter()
            .map(|(file, unit)| (*file, bytes(*file), unit.borrow())),
    )
}

/// Whether an evaluation can cost more than the options allow. That is a mistake of no single policy, so it is reported
/// at the start of the first file.
fn affordable(certificate: &CostCertificate, options: &Options) -> Result<(), Box<Diagnostic>> {
    let cost = certificate.fixed_cost;
    let Some(limit) = options.max_cost.filter(|limit| cost > *limit) else {
        return Ok(());
    };
    let message = format!("one evaluation may cost {cost} units, more than the {limit} allowed");
    Err(Box::new(
        Diagnostic::new(Code::TooExpensive, Span::new(FileId(0), 0, 0), message).help(format!(
            "the bound is for all policies together: {} instructions, {} comparisons, {}; a unit is roughly a nanosecond",
            certificate.instructions,
            certificate.predicates,
            match certificate.derived.as_slice() {
                [] => "nothing computed".to_owned(),
                derived => format!("and computing {}", derived.join(", ")),
            }
        )),
    ))
}

/// What was said of each file, with the numbers that the files have now.
pub(crate) fn said<U: Borrow<Unit>>(units: &[(FileId, U)]) -> Vec<Diagnostic> {
    units
        .iter()
        .flat_map(|(file, unit)| unit.borrow().diagnostics.iter().map(|d| set::moved(d, *file)))
        .collect()
}

/// Ends the journey when an error has been reported.
fn gate(diagnostics: &mut Vec<Diagnostic>, options: &Options) -> Result<(), Failed> {
    sort(diagnostics);
    if diagnostics.iter().any(Diagnostic::is_error) {
        limits::reported(diagnostics, options.compile_limits.diagnostics);
        return Err(Failed {
            diagnostics: std::mem::take(diagnostics),
        });
    }
    Ok(())
}

/// File order, then order in the file, so that stages do not show.
fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|d| (d.primary.span, d.code));
}

/// A mistake of ours. Speaks of no place in a policy, so it points at the start of the first file.
pub(crate) fn internal(message: String) -> Diagnostic {
    Diagnostic::new(
        Code::Internal,
        Span::new(FileId(0), 0, 0),
        format!("internal error: {message}"),
    )
    .help("please report this together with the policies that caused it")
}
