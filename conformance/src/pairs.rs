//! The corpus for command-line runs: directories of generated policies with contexts, and the reference's answers.
//!
//! One directory per policy set:
//!
//! ```text
//! set-00000/
//!   policies/          one YAML or JSON file per policy
//!   contexts.jsonl     one context per line
//!   expected.jsonl     the reference's answer to each
//!   options.json       derive, default decision, namespace: what the command line is given
//! ```

use crate::case::want;
use crate::compare::differences;
use crate::engine::{Engine, LoadFailure, RequestOptions, parse, reference_answer};
use crate::generate::{Dials, contexts, write_documents};
use crate::product::Product;
use crate::reference::{Derive, Mode, RefMatch, RefResponse, numbers};
use crate::rng::Rng;
use anyhow::{Context as _, bail, ensure};
use policy_grammar::ast::Decision;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Contexts per policy set.
const CONTEXTS: usize = 20;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Policy sets.
    pub sets: usize,
    /// Pairs.
    pub pairs: usize,
    /// Generated sets that the compiler refuses, and which were left out.
    pub refused: usize,
}

/// Writes at least `count` pairs below `out`, generated from `seed`.
///
/// # Errors
///
/// Whatever writing files returns.
pub fn write(out: &Path, count: usize, seed: u64) -> anyhow::Result<Written> {
    let product = Product::bundle();
    let mut written = Written::default();
    let mut next = seed;
    while written.pairs < count {
        let mut rng = Rng::seeded(next);
        next = next.wrapping_add(1);
        let (pair, bodies) = contexts(&mut rng, &Dials::default(), CONTEXTS.min(count - written.pairs));
        let text = pair.policies_text();
        match product.load(&text, pair.settings) {
            Ok(_) => {}
            Err(LoadFailure::Refused(_)) => {
                written.refused += 1;
                continue;
            }
            Err(LoadFailure::Other(error)) => bail!("{error}\n{text}"),
        }
        let policies = match parse(&text) {
            Ok(policies) => policies,
            Err(error) => bail!("{error:?}\n{text}"),
        };
        let directory = out.join(format!("set-{:05}", written.sets));
        let folder = directory.join("policies");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let extension = if pair.json { "json" } else { "yaml" };
        for (i, document) in pair.documents.iter().enumerate() {
            let one = write_documents(std::slice::from_ref(document), pair.json);
            std::fs::write(folder.join(format!("policy-{i}.{extension}")), one)?;
        }
        let mut lines =
            std::fs::File::create(directory.join("contexts.jsonl")).map(std::io::BufWriter::new)?;
        let mut answers =
            std::fs::File::create(directory.join("expected.jsonl")).map(std::io::BufWriter::new)?;
        let request = RequestOptions {
            policies: None,
            mode: Mode::FirstDeny,
            ..pair.request.clone()
        };
        for context in &bodies {
            writeln!(lines, "{}", numbers::write(context))?;
            let answer = reference_answer(&policies, context, pair.settings, &request)
                .map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            // As the command line has them.
            writeln!(answers, "{}", numbers::rounded(&want(&answer)))?;
        }
        let options = json!({
            "derive": derive_name(pair.settings.derive),
            "default": pair.settings.default_decision.as_str(),
            "namespace": request.namespace,
        });
        std::fs::write(directory.join("options.json"), options.to_string())?;
        written.sets += 1;
        written.pairs += bodies.len();
    }
    Ok(written)
}

fn derive_name(derive: Derive) -> &'static str {
    match derive {
        Derive::Never => "never",
        Derive::Missing => "missing",
        Derive::Always => "always",
    }
}

/// Outcome of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// Pairs that were compared.
    pub pairs: usize,
    /// Disagreements, one line each.
    pub disagreements: Vec<String>,
}

/// Runs `policyc eval DIR --contexts FILE --format json` over every set below `corpus` and compares decision, reason,
/// matches, modifications, metadata and errors with the reference's answers.
///
/// # Errors
///
/// A corpus that cannot be read, or a command that cannot be started. Answers that cannot be read are disagreements.
pub fn compare(corpus: &Path, policyc: &Path) -> anyhow::Result<Compared> {
    let mut sets: Vec<PathBuf> = std::fs::read_dir(corpus)
        .with_context(|| corpus.display().to_string())?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    sets.retain(|path| path.join("expected.jsonl").is_file());
    sets.sort();
    ensure!(!sets.is_empty(), "{} holds no sets", corpus.display());
    let mut compared = Compared::default();
    for set in &sets {
        let name = set
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let expected = lines(&set.join("expected.jsonl"))?;
        compared.pairs += expected.len();
        match run(policyc, set) {
            Ok(answers) if answers.len() == expected.len() => {
                for (i, (expected, answer)) in expected.iter().zip(&answers).enumerate() {
                    let (expected, answer) = (response(expected)?, response(answer));
                    let found = match answer {
                        Ok(answer) => differences(&Ok(expected), &Ok(answer)),
                        Err(error) => vec![format!("{error:#}")],
                    };
                    compared
                        .disagreements
                        .extend(found.iter().map(|d| format!("{name} line {}: {d}", i + 1)));
                }
            }
            Ok(answers) => compared.disagreements.push(format!(
                "{name}: {} answers to {} contexts",
                answers.len(),
                expected.len()
            )),
            Err(error) => compared.disagreements.push(format!("{name}: {error:#}")),
        }
    }
    Ok(compared)
}

fn lines(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines()
        .map(|line| serde_json::from_str(line).context("not JSON"))
        .collect()
}

/// The answers of one run: one JSON value per line, or one array of them.
fn run(policyc: &Path, set: &Path) -> anyhow::Result<Vec<Value>> {
    let options: Value = serde_json::from_str(&std::fs::read_to_string(set.join("options.json"))?)?;
    let mut command = Command::new(policyc);
    command
        .arg("eval")
        .arg(set.join("policies"))
        .arg("--contexts")
        .arg(set.join("contexts.jsonl"))
        .args(["--format", "json"]);
    command.args(["--derive", options["derive"].as_str().unwrap_or("always")]);
    if options["default"] == "deny" {
        command.args(["--default-decision", "deny"]);
    }
    if let Some(namespace) = options["namespace"].as_str() {
        command.args(["--namespace", namespace]);
    }
    let output = command.output().with_context(|| policyc.display().to_string())?;
    let text = String::from_utf8(output.stdout)?;
    let answers = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Array(answers)) => Ok(answers),
        Ok(one) => Ok(vec![one]),
        Err(_) => text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<_>, _>>(),
    };
    answers.with_context(|| {
        format!(
            "{} and {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .next()
                .unwrap_or("")
        )
    })
}

fn named(decision: &str) -> anyhow::Result<Decision> {
    let known = Decision::ALL.iter().copied();
    let found = known.into_iter().find(|d| d.as_str() == decision);
    found.with_context(|| format!("`{decision}` is no decision"))
}

/// A response of the command line, or a `want` of the reference.
fn response(value: &Value) -> anyhow::Result<RefResponse> {
    let decision = if value["decision"].is_object() {
        &value["decision"]
    } else {
        value
    };
    let texts = |key: &str| -> anyhow::Result<Vec<String>> {
        let list = decision[key]
            .as_array()
            .with_context(|| format!("no `{key}` in {value}"))?;
        Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    let map = |key: &str| decision[key].as_object().cloned().unwrap_or_default();
    let name = decision["decision"].as_str().unwrap_or_default();
    let errors = decision["errors"].as_array().cloned().unwrap_or_default();
    Ok(RefResponse {
        decision: named(name)?,
        reason: decision["reason"].as_str().map(str::to_owned),
        matched_policies: texts("matchedPolicies")?,
        matched_rules: texts("matchedRules")?,
        matched: decision["matched"]
            .as_array()
            .with_context(|| format!("no `matched` in {value}"))?
            .iter()
            .map(|fired| {
                let text = |key: &str| fired[key].as_str().unwrap_or_default().to_owned();
                Ok(RefMatch {
                    policy: text("policy"),
                    rule: text("rule"),
                    decision: named(&text("decision"))?,
                    reason: fired["reason"].as_str().map(str::to_owned),
                })
            })
            .collect::<anyhow::Result<_>>()?,
        modifications: map("modifications"),
        metadata: map("metadata"),
        errors: errors
            .iter()
            .map(|e| {
                let text = |key: &str| e[key].as_str().unwrap_or_default().to_owned();
                crate::reference::RefRuleError {
                    policy: text("policy"),
                    rule: text("rule"),
                    field: text("field"),
                    found: text("found"),
                }
            })
            .collect(),
        overruled: None,
    })
}
