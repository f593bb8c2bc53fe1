//! One policy document of a request: read, checked on its own, and made into a version that can be stored.

use crate::error::{Code, Problem, Result, ServiceError};
use crate::heavy::Stop;
use crate::hex;
use crate::identity::Identity;
use crate::storage::model::{PolicyKey, PolicyStatus, PolicyVersion};
use crate::telemetry;
use policy_bytecode::manifest::{Manifest, WarningInfo};
use policy_compiler::{CompileLimits, Compiled, Compiler, Options};
use policy_grammar::ast::{Policy, Status};
use policy_grammar::{
    Diagnostic, FileId, Severity, SourceFile, SourceMap, names, parse_source, parse_source_until,
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Language of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML.
    Yaml,
    /// Strict JSON.
    Json,
}

impl Format {
    /// Ending of file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }

    /// The format that a version is stored in.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        if name == "json" { Self::Json } else { Self::Yaml }
    }

    /// The format of a content type, without parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Some(Self::Json),
            "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Options that stored policies are compiled with: whether one is active is the store's business, not the document's.
#[must_use]
pub fn options() -> Options {
    Options {
        include_inactive: true,
        ..Options::default()
    }
}

/// Bytes of an id, a name, a namespace or a version that can be stored and looked up.
pub(crate) const MAX_TEXT: usize = 255;

/// Options that the document of a request is compiled with alone. What somebody sends is held to less than what is stored: that
/// may be from before, and goes on loading.
fn sent() -> Options {
    let options = options();
    Options {
        compile_limits: CompileLimits {
            pattern_bytes: 4 << 10,
            placeholders: 20_000,
            name_bytes: MAX_TEXT,
            ..options.compile_limits
        },
        ..options
    }
}

/// Name of the file that a policy is to the compiler.
#[must_use]
pub fn file_name(key: &PolicyKey, format: &str) -> String {
    names::stored(&key.namespace, &key.id, format)
}

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

/// Reads a document and compiles it alone.
///
/// # Errors
///
/// [`Code::PolicyInvalid`] with every problem, and where there is not exactly one policy; [`Code::DeadlineExceeded`] when told
/// to stop.
pub fn check(source: &str, format: Format, stop: &Stop) -> Result<(PolicyVersion, Vec<Problem>)> {
    let name = format!("policy.{}", format.as_str());
    let file = SourceFile::new(&name, source);
    let mut map = SourceMap::new();
    let id = map.add(file);
    let options = sent();
    let limits = options.compile_limits.file.clone();
    let handle = stop.handle().clone();
    let parsed =
        parse_source_until(&map, id, &limits, move || handle.is_asked()).ok_or_else(Stop::stopped)?;
    if parsed.has_errors() {
        return Err(invalid(&map, &parsed.diagnostics, &Sight::whole()));
    }
    let [policy] = parsed.policies.as_slice() else {
        let found = parsed.policies.len();
        return Err(ServiceError::new(
            Code::PolicyInvalid,
            format!("a request holds one policy, this one holds {found}"),
        ));
    };
    for (what, text) in [
        ("id", &policy.metadata.id.value),
        ("namespace", &policy.metadata.namespace.value),
        ("name", &policy.metadata.name.value),
        ("version", &policy.metadata.version.value),
    ] {
        if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            return Err(ServiceError::new(
                Code::PolicyInvalid,
                format!("`metadata.{what}` is longer than {MAX_TEXT} bytes or holds control characters"),
            ));
        }
    }
    let mut compiler = Compiler::new(options);
    compiler.set(&name, source);
    let compiled = compile(&mut compiler, &Sight::whole(), stop)?;
    let warnings = problems(&compiler.sources(), &compiled.diagnostics, &Sight::whole());
    let version = PolicyVersion {
        id: policy.metadata.id.value.clone(),
        version: 0,
        namespace: policy.metadata.namespace.value.clone(),
        name: policy.metadata.name.value.clone(),
        document_version: policy.metadata.version.value.clone(),
        status: match policy.status {
            Status::Active => PolicyStatus::Active,
            Status::Draft => PolicyStatus::Draft,
            Status::Deprecated => PolicyStatus::Deprecated,
        },
        source: Arc::from(source),
        format: format.as_str().to_owned(),
        digest: digest(source),
        author: String::new(),
        created_ms: 0,
        rejection: None,
    };
    Ok((version, warnings))
}

/// Compiles a set, unless told to stop. Its problems are told as far as somebody sees them.
///
/// # Errors
///
/// [`Code::PolicyInvalid`] with every problem, [`Code::DeadlineExceeded`].
pub fn compile(compiler: &mut Compiler, sight: &Sight, stop: &Stop) -> Result<Compiled> {
    compiler.set_stop(stop.handle().clone());
    let built = compiler.build();
    // Whoever compiles with it next has another time.
    compiler.set_stop(policy_bytecode::Stop::never());
    let mut compiled = built.map_err(|failed| match failed.is_stopped() {
        true => Stop::stopped(),
        false => invalid(&compiler.sources(), &failed.diagnostics, sight),
    })?;
    if !compiled.diagnostics.is_empty() {
        // What a comment allows, with its reason, `policyc check` does not warn of either. Comments that allow nothing are
        // left to it.
        let warnings = std::mem::take(&mut compiled.diagnostics);
        compiled.diagnostics = policy_grammar::review(&compiler.sources(), warnings, |_| false).diagnostics;
    }
    Ok(compiled)
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

/// SHA-256 of a document, in hexadecimal.
#[must_use]
pub fn digest(source: &str) -> String {
    hex::of(&Sha256::digest(source.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Format, MAX_TEXT, Problem, Result, check as check_until};
    use crate::error::Code;
    use crate::heavy::{Stop, Work};
    use crate::storage::model::PolicyVersion;

    fn check(source: &str, format: Format) -> Result<(PolicyVersion, Vec<Problem>)> {
        check_until(source, format, &Stop::of(Work::SERVER))
    }

    const POLICY: &str = "metadata: {id: p, name: P, namespace: team}\nrules:\n- id: r\n  condition: {operator: eq, \
                          field: llm.model, value: x}\n  action: {decision: deny}\nstatus: draft\n";

    #[test]
    fn a_draft_is_compiled_too() {
        let (version, warnings) = check(POLICY, Format::Yaml).unwrap();
        assert_eq!((version.id.as_str(), version.namespace.as_str()), ("p", "team"));
        assert_eq!(version.status.as_str(), "draft");
        assert_eq!(warnings, []);
        let broken = POLICY
            .replace("operator: eq", "operator: matches")
            .replace("value: x", "value: '('");
        let error = check(&broken, Format::Yaml).unwrap_err();
        assert_eq!(error.code, Code::PolicyInvalid);
        assert_eq!((error.diagnostics[0].line, error.diagnostics.len()), (4, 1));
    }

    #[test]
    fn the_proto_says_how_long_ids_may_be() {
        let proto = include_str!("../../proto/policy.proto");
        let said = format!("Unique in its namespace. At most {MAX_TEXT} bytes, without control characters");
        assert!(proto.contains(&said), "{said}");
    }

    #[test]
    fn one_request_holds_one_policy() {
        let two = format!("{POLICY}---\n{}", POLICY.replace("id: p", "id: q"));
        for text in ["", "[]", two.as_str()] {
            assert_eq!(
                check(text, Format::Yaml).unwrap_err().code,
                Code::PolicyInvalid,
                "{text}"
            );
        }
    }
}
