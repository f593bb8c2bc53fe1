//! The whole journey on one screen: parse → resolve → check → lower → passes → emit → verify.
//!
//! Each line of [`compile_policies`] is one stage and returns a named type; between stages the journey ends when an
//! error has been reported. The stages themselves are the modules of the same names.

use crate::options::{BuildReport, Compiled, Failed, Options};
use crate::{check as checks, emit, lower, passes, resolve};
use policy_bytecode::verify::{HostLimits, verify};
use policy_grammar::ast::Policy;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, SourceMap, Span};

/// Compiles every file of `sources`.
///
/// # Errors
///
/// [`Failed`] with everything that was found, when at least one problem is an error.
pub fn compile(sources: &SourceMap, options: &Options) -> Result<Compiled, Failed> {
    let (policies, diagnostics) = parse(sources);
    run(sources, &policies, options, diagnostics)
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
    run(sources, &policies, options, Vec::new())
}

/// Every diagnostic of `sources`, without making anything. Checks what parsed even when other parts did not.
#[must_use]
pub fn check(sources: &SourceMap, options: &Options) -> Vec<Diagnostic> {
    let (policies, mut diagnostics) = parse(sources);
    let resolved = resolve::resolve(&policies, options, &mut diagnostics);
    checks::check(&resolved, &mut diagnostics);
    sort(&mut diagnostics);
    diagnostics
}

fn parse(sources: &SourceMap) -> (Vec<Policy>, Vec<Diagnostic>) {
    let mut policies = Vec::new();
    let mut diagnostics = Vec::new();
    for (id, _) in sources.iter() {
        let output = policy_grammar::parse_source(sources, id);
        policies.extend(output.policies);
        diagnostics.extend(output.diagnostics);
    }
    (policies, diagnostics)
}

fn run(
    sources: &SourceMap,
    policies: &[Policy],
    options: &Options,
    mut diagnostics: Vec<Diagnostic>,
) -> Result<Compiled, Failed> {
    let resolved = resolve::resolve(policies, options, &mut diagnostics);
    checks::check(&resolved, &mut diagnostics);
    gate(&mut diagnostics)?;

    let mut report = BuildReport::default();
    let mut program = lower::lower(&resolved.live, sources, options);
    passes::run(&mut program, options, &mut report).map_err(|e| failed(diagnostics.clone(), *e))?;
    if options.warn_unindexed {
        diagnostics.extend(passes::unindexed(&program));
        sort(&mut diagnostics);
    }
    let emitted = emit::emit(program, sources, options).map_err(|e| failed(diagnostics.clone(), *e))?;
    let module = verify(emitted.module, &HostLimits::default()).map_err(|e| {
        failed(
            diagnostics.clone(),
            internal(format!("the emitted module breaks {e}")),
        )
    })?;
    emitted.manifest.check(&module).map_err(|e| {
        failed(
            diagnostics.clone(),
            internal(format!("the manifest is wrong: {e}")),
        )
    })?;

    report.stats = emit::stats(&module);
    report.patterns = emit::pattern_reports(&module);
    Ok(Compiled {
        module,
        manifest: emitted.manifest,
        source_map: emitted.source_map,
        certificate: emitted.certificate,
        diagnostics,
        report,
    })
}

/// Ends the journey when an error has been reported.
fn gate(diagnostics: &mut Vec<Diagnostic>) -> Result<(), Failed> {
    sort(diagnostics);
    if diagnostics.iter().any(Diagnostic::is_error) {
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

fn failed(mut diagnostics: Vec<Diagnostic>, last: Diagnostic) -> Failed {
    diagnostics.push(last);
    Failed { diagnostics }
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
