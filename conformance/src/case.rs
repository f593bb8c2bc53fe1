//! Case files: their format, how they are read, and how one case is run on one engine.
//!
//! `cases/<area>/<file>.yaml`; the name of a case is `<area>/<file>/<its own name>`. One file holds cases of one
//! subject in one or both of two forms:
//!
//! ```yaml
//! note: why this file exists
//! context: {s: hello}            # shared by all cases without their own
//! settings: {derive: never}      # likewise; also `default: deny`, `unknownNamespace: global`
//! bytes: true                    # only for engines that read bodies byte by byte, so not for the reference
//!
//! conditions:                    # one row per condition and its three-valued outcome
//! - {name: equal text, if: {operator: eq, field: s, value: hello}, is: true}
//! - {name: no order, if: {operator: gt, field: s, value: 1}, is: error}
//!
//! cases:                         # whole decisions
//! - name: deny stops
//!   note: why this case exists
//!   policies: |                  # text of a policy file; or a list of documents
//!     metadata: {id: p, name: P}
//!     …
//!   context: {…}                 # or `body:` with the bytes as they are sent, for what YAML cannot say;
//!   body: '{"a":1,"a":2}'        # or `repeat: [[text, times], …]`, pieces of a body
//!   request: {namespace: x, policies: [p], mode: all}
//!   want: {decision: deny, reason: …, matchedRules: […], matchedPolicies: […], matched: […], modifications: {…}, metadata: {…},
//!          errors: [{policy: p, rule: r, field: s, found: string}]}
//!   wantRefusal: malformed       # or emptyPolicies, unknownPolicy, unknownNamespace, nothingActive
//!   wantDiagnostics: [E0101]     # exact list of the compiler's errors, each `CODE` or `CODE line:column`
//! ```
//!
//! In `want`, `decision` is required; `reason`, `modifications`, `metadata`, `errors` and `matchedRules` are
//! compared also when absent (nothing is expected then); `matchedPolicies` and `matched` only when present. Numbers of results are
//! compared with their spelling (`1` is not `1.0`); one that YAML would round is written `{$number: "1e400"}`. A condition row also passes through `not`: its negation must have
//! the negated outcome.

use crate::engine::{Engine, LoadFailure, Refusal, RequestOptions, Settings, reference_answer};
use crate::generate::{Pair, write_documents};
use crate::reference::{Derive, Mode, RefMatch, RefResponse, numbers};
use anyhow::{Context as _, bail, ensure};
use policy_grammar::ast::Decision;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// A file of cases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    note: String,
    #[serde(default)]
    context: Option<Value>,
    #[serde(default)]
    settings: Option<CaseSettings>,
    #[serde(default)]
    policies: Option<Policies>,
    /// About the bytes of bodies, which a parsed value no longer shows: not for the reference.
    #[serde(default)]
    bytes: bool,
    #[serde(default)]
    conditions: Vec<Row>,
    #[serde(default)]
    cases: Vec<Written>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    r#if: Value,
    #[serde(default)]
    context: Option<Value>,
    is: Value,
    /// What the earlier product answered, where it was asked.
    #[serde(default, rename = "original")]
    _original: Option<Value>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseSettings {
    #[serde(default)]
    derive: Option<DeriveName>,
    #[serde(default)]
    default: Option<DefaultName>,
    #[serde(default, rename = "unknownNamespace")]
    unknown_namespace: Option<UnknownNamespaceName>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DeriveName {
    Never,
    Missing,
    Always,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DefaultName {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownNamespaceName {
    Error,
    Global,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Policies {
    Text(String),
    Documents(Vec<Value>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    name: String,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    #[serde(default)]
    policies: Option<Policies>,
    #[serde(default)]
    context: Option<Value>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    repeat: Option<Vec<(String, usize)>>,
    #[serde(default)]
    settings: Option<CaseSettings>,
    #[serde(default)]
    request: Option<CaseRequest>,
    #[serde(default)]
    want: Option<Want>,
    #[serde(default)]
    want_refusal: Option<RefusalName>,
    #[serde(default)]
    want_diagnostics: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseRequest {
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    policies: Option<Vec<String>>,
    #[serde(default)]
    mode: Option<ModeName>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ModeName {
    FirstDeny,
    All,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RefusalName {
    Malformed,
    EmptyPolicies,
    UnknownPolicy,
    DuplicatePolicy,
    UnknownNamespace,
    NothingActive,
    ModificationsTooLarge,
}

/// What an answer must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Want {
    decision: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    matched_policies: Option<Vec<String>>,
    #[serde(default)]
    matched_rules: Vec<String>,
    /// As responses have it.
    #[serde(default)]
    matched: Option<Vec<Value>>,
    #[serde(default)]
    modifications: Map<String, Value>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    errors: Vec<WantError>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantError {
    policy: String,
    rule: String,
    field: String,
    #[serde(default)]
    found: Option<String>,
}

/// One case, ready to run.
#[derive(Debug, Clone)]
pub struct Case {
    /// `<area>/<file>/<own name>`.
    pub name: String,
    policies: String,
    body: String,
    settings: Settings,
    request: RequestOptions,
    bytes: bool,
    expectation: Expectation,
}

#[derive(Debug, Clone)]
enum Expectation {
    Answer(Want),
    Outcome(Outcome),
    Refusal(Refusal),
    Diagnostics(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    True,
    False,
    Error,
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// As expected.
    Passed,
    /// The engine does not take part in this kind of case.
    NotApplicable,
    /// Not as expected, and why.
    Failed(String),
}

/// All cases below `directory`, in order of file names.
///
/// # Errors
///
/// Files that cannot be read or are not case files; the message names the file.
pub fn load_all(directory: &Path) -> anyhow::Result<Vec<Case>> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let area = path.strip_prefix(directory)?.with_extension("");
        let area = area.to_string_lossy().replace('\\', "/");
        read(&area, &text, &mut cases).with_context(|| path.display().to_string())?;
    }
    let mut names: Vec<&str> = cases.iter().map(|c| c.name.as_str()).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        ensure!(pair[0] != pair[1], "two cases are called {}", pair[0]);
    }
    Ok(cases)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}

fn read(area: &str, text: &str, cases: &mut Vec<Case>) -> anyhow::Result<()> {
    let file: File = serde_yaml::from_str(text)?;
    ensure!(!file.note.trim().is_empty(), "a case file says why it exists");
    for row in &file.conditions {
        let context = row
            .context
            .as_ref()
            .or(file.context.as_ref())
            .context("no context")?;
        let outcome = match &row.is {
            Value::Bool(true) => Outcome::True,
            Value::Bool(false) => Outcome::False,
            Value::String(s) if s == "error" => Outcome::Error,
            other => bail!("{}: `is` is true, false or error, not {other}", row.name),
        };
        let negated = match outcome {
            Outcome::True => Outcome::False,
            Outcome::False => Outcome::True,
            Outcome::Error => Outcome::Error,
        };
        let not = json!({"operator": "not", "conditions": [row.r#if]});
        for (name, condition, outcome) in [
            (row.name.clone(), &row.r#if, outcome),
            (format!("not {}", row.name), &not, negated),
        ] {
            cases.push(Case {
                name: format!("{area}/{name}"),
                policies: numbers::write(&condition_policies(condition)),
                body: numbers::write(context),
                settings: settings(None, file.settings),
                request: RequestOptions::default(),
                bytes: file.bytes,
                expectation: Expectation::Outcome(outcome),
            });
        }
    }
    for written in file.cases {
        let name = format!("{area}/{}", written.name);
        let policies = match written.policies.or_else(|| file.policies.clone()) {
            Some(Policies::Text(text)) => text,
            Some(Policies::Documents(documents)) => write_documents(&documents, true),
            None => bail!("{name}: no policies"),
        };
        let body = match (
            written.body,
            written.repeat,
            written.context.or_else(|| file.context.clone()),
        ) {
            (Some(body), None, _) => body,
            (None, Some(pieces), _) => pieces.iter().map(|(text, times)| text.repeat(*times)).collect(),
            (None, None, Some(context)) => numbers::write(&context),
            (None, None, None) if written.want_diagnostics.is_some() => String::new(),
            _ => bail!("{name}: one of `context`, `body`, `repeat`"),
        };
        let expectation = match (written.want, written.want_refusal, written.want_diagnostics) {
            (Some(want), None, None) => Expectation::Answer(want),
            (None, Some(refusal), None) => Expectation::Refusal(match refusal {
                RefusalName::Malformed => Refusal::Malformed,
                RefusalName::EmptyPolicies => Refusal::EmptyPolicies,
                RefusalName::UnknownPolicy => Refusal::UnknownPolicy,
                RefusalName::DuplicatePolicy => Refusal::DuplicatePolicy,
                RefusalName::UnknownNamespace => Refusal::UnknownNamespace,
                RefusalName::NothingActive => Refusal::NothingActive,
                RefusalName::ModificationsTooLarge => Refusal::ModificationsTooLarge,
            }),
            (None, None, Some(codes)) => Expectation::Diagnostics(codes),
            _ => bail!("{name}: one of `want`, `wantRefusal`, `wantDiagnostics`"),
        };
        let request = written.request.unwrap_or_default();
        cases.push(Case {
            name,
            policies,
            body,
            settings: settings(written.settings, file.settings),
            request: RequestOptions {
                namespace: request.namespace,
                policies: request.policies,
                mode: match request.mode {
                    Some(ModeName::All) => Mode::All,
                    Some(ModeName::FirstDeny) | None => Mode::FirstDeny,
                },
            },
            bytes: file.bytes,
            expectation,
        });
    }
    Ok(())
}

fn settings(own: Option<CaseSettings>, shared: Option<CaseSettings>) -> Settings {
    let (own, shared) = (own.unwrap_or_default(), shared.unwrap_or_default());
    Settings {
        derive: match own.derive.or(shared.derive) {
            Some(DeriveName::Never) => Derive::Never,
            Some(DeriveName::Missing) => Derive::Missing,
            Some(DeriveName::Always) | None => Derive::Always,
        },
        default_decision: match own.default.or(shared.default) {
            Some(DefaultName::Deny) => Decision::Deny,
            Some(DefaultName::Allow) | None => Decision::Allow,
        },
        global_for_unknown: own.unknown_namespace.or(shared.unknown_namespace)
            == Some(UnknownNamespaceName::Global),
    }
}

/// Two policies with the condition: one fires when it is true, the other also when it is an error.
fn condition_policies(condition: &Value) -> Value {
    let policy = |id: &str| {
        json!({
            "metadata": {"id": id, "name": "P"},
            "onError": id,
            "rules": [{"id": id, "condition": condition, "action": {"decision": "warn"}}],
        })
    };
    json!([policy("match"), policy("skip")])
}

impl Case {
    /// Runs the case.
    pub fn run(&self, engine: &dyn Engine) -> Run {
        match self.try_run(engine) {
            Ok(run) => run,
            Err(error) => Run::Failed(format!("{error:#}")),
        }
    }

    fn try_run(&self, engine: &dyn Engine) -> anyhow::Result<Run> {
        if self.bytes && !engine.reads_bytes() {
            return Ok(Run::NotApplicable);
        }
        let loaded = engine.load(&self.policies, self.settings);
        if let Expectation::Diagnostics(wanted) = &self.expectation {
            if !engine.checks_meaning() {
                return Ok(Run::NotApplicable);
            }
            return match loaded {
                Ok(_) => bail!("loaded, though {wanted:?} was expected"),
                Err(LoadFailure::Other(error)) => bail!(error),
                Err(LoadFailure::Refused(found)) => {
                    let same = found.len() == wanted.len()
                        && found
                            .iter()
                            .zip(wanted)
                            .all(|(f, w)| f.starts_with(&format!("{w} ")));
                    ensure!(same, "wanted {wanted:?}, found {found:?}");
                    Ok(Run::Passed)
                }
            };
        }
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(failure) => bail!("not loaded: {failure:?}"),
        };
        let answer = loaded.evaluate(self.body.as_bytes(), &self.request);
        match (&self.expectation, answer) {
            (Expectation::Refusal(wanted), Err(found)) => {
                ensure!(*wanted == found, "wanted {wanted:?}, found {found:?}");
            }
            (Expectation::Refusal(wanted), Ok(found)) => bail!("wanted {wanted:?}, found {found:?}"),
            (_, Err(found)) => bail!("refused: {found:?}"),
            (Expectation::Outcome(wanted), Ok(found)) => {
                let fired: Vec<&str> = found.matched_rules.iter().map(String::as_str).collect();
                let outcome = match (fired.as_slice(), found.errors.is_empty()) {
                    (["match", "skip"], true) => Outcome::True,
                    ([], true) => Outcome::False,
                    (["match"], false) => Outcome::Error,
                    _ => bail!("neither true nor false nor an error: {found:?}"),
                };
                ensure!(*wanted == outcome, "wanted {wanted:?}, found {outcome:?}");
            }
            (Expectation::Answer(wanted), Ok(found)) => check(wanted, &found)?,
            (Expectation::Diagnostics(_), Ok(_)) => unreachable!("handled above"),
        }
        Ok(Run::Passed)
    }
}

fn check(want: &Want, found: &RefResponse) -> anyhow::Result<()> {
    ensure!(
        want.decision == found.decision.as_str(),
        "decision: wanted {}, found {found:?}",
        want.decision
    );
    ensure!(
        want.reason == found.reason,
        "reason: wanted {:?}, found {:?}",
        want.reason,
        found.reason
    );
    ensure!(
        want.matched_rules == found.matched_rules,
        "matchedRules: wanted {:?}, found {:?}",
        want.matched_rules,
        found.matched_rules
    );
    if let Some(wanted) = &want.matched_policies {
        let found = &found.matched_policies;
        ensure!(
            wanted == found,
            "matchedPolicies: wanted {wanted:?}, found {found:?}"
        );
    }
    if let Some(wanted) = &want.matched {
        let found: Vec<Value> = found.matched.iter().map(fired).collect();
        ensure!(*wanted == found, "matched: wanted {wanted:?}, found {found:?}");
    }
    for (what, wanted, found) in [
        ("modifications", &want.modifications, &found.modifications),
        ("metadata", &want.metadata, &found.metadata),
    ] {
        let (wanted, found) = (Value::Object(wanted.clone()), Value::Object(found.clone()));
        ensure!(wanted == found, "{what}: wanted {wanted}, found {found}");
    }
    let same = want.errors.len() == found.errors.len()
        && want.errors.iter().zip(&found.errors).all(|(w, f)| {
            w.policy == f.policy
                && w.rule == f.rule
                && w.field == f.field
                && w.found.as_ref().is_none_or(|found| *found == f.found)
        });
    ensure!(same, "errors: wanted {:?}, found {:?}", want.errors, found.errors);
    Ok(())
}

/// A generated pair as the text of a case file that expects what the reference says.
#[must_use]
pub fn render(name: &str, note: &str, pair: &Pair) -> String {
    let mut case = json!({
        "name": name,
        "policies": pair.policies_text(),
        "body": pair.body(),
        "settings": {
            "derive": match pair.settings.derive {
                Derive::Never => "never",
                Derive::Missing => "missing",
                Derive::Always => "always",
            },
            "default": pair.settings.default_decision.as_str(),
            "unknownNamespace": if pair.settings.global_for_unknown { "global" } else { "error" },
        },
    });
    let mut request = Map::new();
    if let Some(namespace) = &pair.request.namespace {
        request.insert("namespace".to_owned(), json!(namespace));
    }
    if let Some(policies) = &pair.request.policies {
        request.insert("policies".to_owned(), json!(policies));
    }
    if pair.request.mode == Mode::All {
        request.insert("mode".to_owned(), json!("all"));
    }
    if !request.is_empty() {
        case["request"] = Value::Object(request);
    }
    let answer = crate::engine::parse(&pair.policies_text())
        .ok()
        .map(|policies| reference_answer(&policies, &pair.context, pair.settings, &pair.request));
    match answer {
        Some(Ok(answer)) => case["want"] = want(&answer),
        Some(Err(refusal)) => {
            case["wantRefusal"] = json!(match refusal {
                Refusal::Malformed | Refusal::Other(_) => "malformed",
                Refusal::EmptyPolicies => "emptyPolicies",
                Refusal::UnknownPolicy => "unknownPolicy",
                Refusal::DuplicatePolicy => "duplicatePolicy",
                Refusal::UnknownNamespace => "unknownNamespace",
                Refusal::NothingActive => "nothingActive",
                Refusal::ModificationsTooLarge => "modificationsTooLarge",
            });
        }
        None => case["wantDiagnostics"] = json!([]),
    }
    let file = json!({"note": note, "cases": [case]});
    // JSON is YAML.
    serde_yaml::to_string(&file).unwrap_or_else(|_| file.to_string())
}

fn fired(rule: &RefMatch) -> Value {
    let mut fired = json!({"policy": rule.policy, "rule": rule.rule, "decision": rule.decision.as_str()});
    if let Some(reason) = &rule.reason {
        fired["reason"] = json!(reason);
    }
    fired
}

/// An answer as `want`.
#[must_use]
pub fn want(answer: &RefResponse) -> Value {
    let mut want = json!({
        "decision": answer.decision.as_str(),
        "matchedRules": answer.matched_rules,
        "matchedPolicies": answer.matched_policies,
        "matched": answer.matched.iter().map(fired).collect::<Vec<_>>(),
    });
    if let Some(reason) = &answer.reason {
        want["reason"] = json!(reason);
    }
    if !answer.modifications.is_empty() {
        want["modifications"] = Value::Object(answer.modifications.clone());
    }
    if !answer.metadata.is_empty() {
        want["metadata"] = Value::Object(answer.metadata.clone());
    }
    if !answer.errors.is_empty() {
        want["errors"] = answer
            .errors
            .iter()
            .map(|e| json!({"policy": e.policy, "rule": e.rule, "field": e.field, "found": e.found}))
            .collect();
    }
    want
}
