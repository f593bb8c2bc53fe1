//! What is left of the diagnostics of a compilation when comments and `policyc.toml` have allowed some.

use crate::exit::Exit;
use crate::project::Level;
use crate::{fix, output, project};
use policy_compiler::Options;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, Severity, SourceMap};
use std::collections::BTreeMap;

/// Diagnostics after comments in the files and the project file had their say.
#[derive(Debug, Default)]
pub(crate) struct Review {
    /// What is reported.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Warnings that are not reported, and why.
    pub(crate) silenced: Vec<Silenced>,
}

/// A warning that is not reported as one.
#[derive(Debug)]
pub(crate) struct Silenced {
    /// The warning, as it would have been reported.
    pub(crate) diagnostic: Diagnostic,
    /// What silences it.
    pub(crate) by: By,
}

/// What silences a warning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A comment, with this reason.
    Comment(String),
    /// The project file.
    Project,
}

impl Review {
    pub(super) fn of(map: &SourceMap, diagnostics: Vec<Diagnostic>, options: &Options) -> Self {
        let looked_for = |code| match code {
            Code::UnindexedRule => options.warn_unindexed,
            Code::UnusedContext => false,
            // With the schema that is missing here, they may be there.
            Code::UnknownField | Code::UnknownTemplateField | Code::TypeMismatch | Code::UnknownWord => {
                options.schema.is_some()
            }
            // Depends on the other files, which need not be here.
            Code::MixedNamespaces => false,
            _ => true,
        };
        let diagnostics = diagnostics.into_iter().map(|d| fix::in_style(map, d)).collect();
        let reviewed = policy_grammar::review(map, diagnostics, looked_for);
        let comment = |s: policy_grammar::Suppressed| Silenced {
            diagnostic: s.diagnostic,
            by: By::Comment(s.reason),
        };
        let mut review = Self {
            diagnostics: Vec::new(),
            silenced: reviewed.suppressed.into_iter().map(comment).collect(),
        };
        for mut diagnostic in reviewed.diagnostics {
            match project::level(diagnostic.code) {
                Some(Level::Allow) if diagnostic.severity == Severity::Warning => {
                    let by = By::Project;
                    review.silenced.push(Silenced { diagnostic, by });
                    continue;
                }
                Some(Level::Error) => diagnostic.severity = diagnostic.severity.max(Severity::Error),
                Some(Level::Warn | Level::Allow) | None => {}
            }
            review.diagnostics.push(diagnostic);
        }
        review
    }

    /// How many warnings comments allow.
    pub(crate) fn suppressed(&self) -> usize {
        let comment = |s: &&Silenced| matches!(s.by, By::Comment(_));
        self.silenced.iter().filter(comment).count()
    }

    /// Says what the project file allows, whatever else is said: it must not make a check pass in silence.
    pub(crate) fn mention_allowed(&self) {
        let Some(project) = project::get() else { return };
        let mut codes: BTreeMap<Code, usize> = BTreeMap::new();
        for silenced in self.silenced.iter().filter(|s| s.by == By::Project) {
            *codes.entry(silenced.diagnostic.code).or_default() += 1;
        }
        if codes.is_empty() {
            return;
        }
        let each: Vec<String> = codes
            .iter()
            .map(|(code, n)| format!("{} {n}", code.as_str()))
            .collect();
        output::note(&format!(
            "{} allowed by `{}`: {}",
            output::count(codes.values().sum(), "warning is", "warnings are"),
            output::shown(&project.file.display().to_string()),
            each.join(", ")
        ));
    }
}

/// The exit of a command whose policies do not compile.
pub(crate) fn refusal(diagnostics: &[Diagnostic]) -> Exit {
    if diagnostics.iter().any(|d| d.code == Code::Internal) {
        Exit::Internal
    } else {
        Exit::Usage
    }
}
