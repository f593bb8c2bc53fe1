//! Engines behind one small interface, so that a suite runs on every configuration without knowing any.

use crate::reference::{self, Derive, Mode, RefError, RefOptions, RefResponse};
use policy_grammar::ast::{Decision, Policy};
use policy_grammar::{Diagnostic, SourceFile, SourceMap, parse_source};
use serde_json::Value;

/// What is fixed when policies are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How derived fields come about.
    pub derive: Derive,
    /// Decision when no rule fires.
    pub default_decision: Decision,
    /// Whether the policies of `global` decide for a namespace without an active policy.
    pub global_for_unknown: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            derive: Derive::Always,
            default_decision: Decision::Allow,
            global_for_unknown: false,
        }
    }
}

/// What comes with a context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestOptions {
    /// Only this namespace and `global`.
    pub namespace: Option<String>,
    /// Only these policies.
    pub policies: Option<Vec<String>>,
    /// Whether to stop at the first deny.
    pub mode: Mode,
}

/// Why a request has no answer, as far as engines must agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The body is not a JSON object, repeats a key on a path that is read, or exceeds a limit.
    Malformed,
    /// `policies` names none.
    EmptyPolicies,
    /// `policies` names one that is not there.
    UnknownPolicy,
    /// `policies` names one twice.
    DuplicatePolicy,
    /// No active policy is of the namespace.
    UnknownNamespace,
    /// No policy is active.
    NothingActive,
    /// Modifications are larger than a request may be.
    ModificationsTooLarge,
    /// Anything else; never expected.
    Other(String),
}

/// Why policies were not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadFailure {
    /// The compiler refuses them: its errors, each as `CODE line:column message`.
    Refused(Vec<String>),
    /// Anything else; never expected.
    Other(String),
}

/// An engine in one configuration.
pub trait Engine {
    /// Name in reports.
    fn name(&self) -> &str;

    /// Whether policies are checked beyond their syntax, as a compiler does.
    fn checks_meaning(&self) -> bool {
        true
    }

    /// Whether bodies are read byte by byte, so that a key that occurs twice is seen.
    fn reads_bytes(&self) -> bool {
        true
    }

    /// Makes policies ready.
    ///
    /// # Errors
    ///
    /// [`LoadFailure`].
    fn load(&self, policies: &str, settings: Settings) -> Result<Box<dyn Loaded>, LoadFailure>;
}

/// Loaded policies.
pub trait Loaded {
    /// Decides one request.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    fn evaluate(&self, body: &[u8], request: &RequestOptions) -> Result<RefResponse, Refusal>;
}

/// Parses policies.
///
/// # Errors
///
/// [`LoadFailure::Refused`] with the parser's errors.
pub fn parse(policies: &str) -> Result<Vec<Policy>, LoadFailure> {
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new("policies", policies));
    let output = parse_source(&map, file);
    if output.has_errors() {
        return Err(LoadFailure::Refused(describe(&map, &output.diagnostics)));
    }
    Ok(output.policies)
}

/// Errors as `CODE line:column message`.
#[must_use]
pub fn describe(map: &SourceMap, diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(|d| {
            let (line, column) = map
                .file(d.primary.span.file)
                .map_or((0, 0), |f| f.line_column(d.primary.span.start));
            format!("{} {line}:{column} {}", d.code.as_str(), d.message)
        })
        .collect()
}

/// The reference evaluator as an engine.
#[derive(Debug, Clone, Copy)]
pub struct Reference;

impl Engine for Reference {
    fn name(&self) -> &str {
        "reference"
    }

    fn checks_meaning(&self) -> bool {
        false
    }

    fn reads_bytes(&self) -> bool {
        false
    }

    fn load(&self, policies: &str, settings: Settings) -> Result<Box<dyn Loaded>, LoadFailure> {
        Ok(Box::new(ReferenceLoaded {
            policies: parse(policies)?,
            settings,
        }))
    }
}

struct ReferenceLoaded {
    policies: Vec<Policy>,
    settings: Settings,
}

impl Loaded for ReferenceLoaded {
    fn evaluate(&self, body: &[u8], request: &RequestOptions) -> Result<RefResponse, Refusal> {
        let body = std::str::from_utf8(body).map_err(|_| Refusal::Malformed)?;
        let context = reference::numbers::read(body).map_err(|_| Refusal::Malformed)?;
        reference_answer(&self.policies, &context, self.settings, request)
    }
}

/// The reference's answer for parsed policies.
///
/// # Errors
///
/// [`Refusal`].
pub fn reference_answer(
    policies: &[Policy],
    context: &Value,
    settings: Settings,
    request: &RequestOptions,
) -> Result<RefResponse, Refusal> {
    let options = RefOptions {
        namespace: request.namespace.clone(),
        policies: request.policies.clone(),
        default_decision: settings.default_decision,
        mode: request.mode,
        derive: settings.derive,
        global_for_unknown: settings.global_for_unknown,
    };
    reference::evaluate(policies, context, &options).map_err(|error| match error {
        RefError::NotAnObject | RefError::Malformed => Refusal::Malformed,
        RefError::EmptyPolicies => Refusal::EmptyPolicies,
        RefError::UnknownPolicy(_) => Refusal::UnknownPolicy,
        RefError::DuplicatePolicy(_) => Refusal::DuplicatePolicy,
        RefError::UnknownNamespace(_) => Refusal::UnknownNamespace,
        RefError::NothingActive => Refusal::NothingActive,
        RefError::ModificationsTooLarge => Refusal::ModificationsTooLarge,
    })
}
