//! What is wrong with policies, or may be, as far as somebody may hear of it.

use crate::error::{Code, Problem, ServiceError};
use crate::identity::Identity;
use crate::storage::model::PolicyKey;
use crate::telemetry;
use policy_bytecode::manifest::{Manifest, WarningInfo};
use policy_grammar::ast::Policy;
use policy_grammar::{Diagnostic, FileId, Severity, SourceFile, SourceMap, names, parse_source};
use std::collections::BTreeMap;

/// Which files of a set somebody may hear of, when the set does not compile: it holds the policies of everybody.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// How the names of all these files begin; `None` is every file.
    within: Option<Vec<String>>,
    /// The names of others.
    beside: Vec<String>,
}

impl Sight {
    /// Every file.
    #[must_use]
    pub fn whole() -> Self {
        Self::default()
    }

    /// The stored policies that an identity may read.
    #[must_use]
    pub fn stored(identity: &Identity) -> Self {
        Self {
            within: identity
                .readable()
                .map(|namespaces| namespaces.iter().map(|n| names::stored_in(n)).collect()),
            beside: Vec::new(),
        }
    }

    /// These files, and every other one only for who is not bound to namespaces: what a file of a directory holds is of any
    /// namespace.
    #[must_use]
    pub fn files(identity: &Identity, names: Vec<String>) -> Self {
        Self {
            within: identity.namespaces.as_ref().map(|_| Vec::new()),
            beside: names,
        }
    }

    fn sees(&self, file: &str) -> bool {
        let within = |starts: &Vec<String>| starts.iter().any(|start| file.starts_with(start.as_str()));
        self.within.as_ref().is_none_or(within) || self.beside.iter().any(|name| name == file)
    }
}

/// Diagnostics as the API shows them to somebody. Of an error in a file that they do not see they hear that it is there.
#[must_use]
pub fn problems(map: &SourceMap, diagnostics: &[Diagnostic], sight: &Sight) -> Vec<Problem> {
    let name = |file| map.file(file).map_or("", |file: &SourceFile| file.name());
    // Who is shown one place only has to be told of the other file.
    let elsewhere = |d: &Diagnostic| -> String {
        let others = d
            .secondary
            .iter()
            .filter(|l| l.span.file != d.primary.span.file && sight.sees(name(l.span.file)));
        let told = others.filter_map(|label| {
            let file = map.file(label.span.file)?;
            let (line, column) = file.line_column(label.span.start);
            Some(format!("; {} in {}:{line}:{column}", label.message, file.name()))
        });
        told.collect()
    };
    let problem = |d: &Diagnostic| {
        let file = map.file(d.primary.span.file);
        let (line, column) = file.map_or((1, 1), |file| file.line_column(d.primary.span.start));
        Problem {
            severity: d.severity.as_str().to_owned(),
            code: d.code.as_str().to_owned(),
            message: d.message.clone() + &elsewhere(d),
            file: file.map_or(String::new(), |file| file.name().to_owned()),
            line: line as usize,
            column: column as usize,
            help: d.help.clone(),
        }
    };
    let hidden = |d: &Diagnostic| Problem {
        severity: d.severity.as_str().to_owned(),
        code: d.code.as_str().to_owned(),
        message: "it does not compile together with a policy of a namespace that you may not read".to_owned(),
        file: String::new(),
        line: 1,
        column: 1,
        help: Vec::new(),
    };
    // What is said of the whole set, such as how many policies it has, is not for who sees a part of it.
    let of_the_set = |d: &&Diagnostic| d.code == policy_grammar::codes::Code::MixedNamespaces;
    let diagnostics = diagnostics
        .iter()
        .filter(|d| sight.within.is_none() || !of_the_set(d));
    let told = diagnostics.filter_map(|d| {
        if sight.sees(name(d.primary.span.file)) {
            Some(problem(d))
        } else {
            d.is_error().then(|| hidden(d))
        }
    });
    told.collect()
}

/// The error of policies that do not compile, as somebody may hear of it.
#[must_use]
pub fn invalid(map: &SourceMap, diagnostics: &[Diagnostic], sight: &Sight) -> ServiceError {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let detail = match errors {
        1 => "the policy has an error".to_owned(),
        n => format!("the policy has {n} errors"),
    };
    ServiceError::new(Code::PolicyInvalid, detail).with_diagnostics(problems(map, diagnostics, sight))
}

/// What the compiler warns of, and in which policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The policy; empty where it is not known.
    pub policy: PolicyKey,
    /// What it is.
    pub problem: Problem,
}

impl Warning {
    /// Says it in the log.
    pub fn log(&self) {
        let problem = &self.problem;
        tracing::warn!(
            target: telemetry::WARNINGS,
            policy = self.policy.id,
            namespace = self.policy.namespace,
            code = problem.code,
            file = problem.file,
            line = problem.line,
            warning = problem.message,
            "the compiler warns of a policy"
        );
    }
}

/// What the compiler warned of when it made a bundle. Of which policy, the place says.
#[must_use]
pub fn warnings_of_bundle(manifest: &Manifest) -> Vec<Warning> {
    let warning = |warning: &WarningInfo| Warning {
        policy: PolicyKey::default(),
        problem: Problem {
            severity: Severity::Warning.as_str().to_owned(),
            code: warning.code.clone(),
            message: warning.message.clone(),
            file: warning.file.clone(),
            line: warning.line as usize,
            column: warning.column as usize,
            help: warning.help.clone(),
        },
    };
    manifest.warnings.iter().map(warning).collect()
}

/// The warnings among the problems of one policy.
#[must_use]
pub fn warnings_of(policy: &PolicyKey, problems: &[Problem]) -> Vec<Warning> {
    let warning = |problem: &Problem| Warning {
        policy: policy.clone(),
        problem: problem.clone(),
    };
    problems.iter().map(warning).collect()
}

/// What the compiler warned of in a set of files, the first `most` of it, each with its policy.
#[must_use]
pub fn warnings_in(map: &SourceMap, diagnostics: &[Diagnostic], most: usize) -> Vec<Warning> {
    let mut parsed: BTreeMap<FileId, Vec<(u32, PolicyKey)>> = BTreeMap::new();
    let mut policy_at = |file: FileId, at: u32| {
        let policies = parsed.entry(file).or_insert_with(|| {
            let policies = parse_source(map, file).policies;
            let head = |policy: &Policy| {
                let (id, namespace) = (&policy.metadata.id.value, &policy.metadata.namespace.value);
                (policy.span.start, PolicyKey::new(namespace, id))
            };
            policies.iter().map(head).collect()
        });
        // A policy goes on until the next one begins.
        let own = policies
            .iter()
            .rfind(|(start, _)| *start <= at)
            .or(policies.first());
        own.map(|(_, key)| key.clone()).unwrap_or_default()
    };
    let first = diagnostics.get(..most).unwrap_or(diagnostics);
    let problems = problems(map, first, &Sight::whole());
    first
        .iter()
        .zip(problems)
        .map(|(diagnostic, problem)| Warning {
            policy: policy_at(diagnostic.primary.span.file, diagnostic.primary.span.start),
            problem,
        })
        .collect()
}

/// The error of policies that the compiler warns of, where that is one.
#[must_use]
pub fn warned(warnings: Vec<Problem>) -> ServiceError {
    let detail = match warnings.len() {
        1 => "the policy has a warning, and this server takes warnings for errors (POLICY_STRICT)".to_owned(),
        n => {
            format!("the policy has {n} warnings, and this server takes warnings for errors (POLICY_STRICT)")
        }
    };
    ServiceError::new(Code::PolicyInvalid, detail).with_diagnostics(warnings)
}
