//! Comparing answers, shrinking a disagreement, and keeping it as a case.

use crate::case;
use crate::engine::{Engine, LoadFailure, Loaded, Refusal, RequestOptions, reference_answer};
use crate::generate::Pair;
use crate::reference::RefResponse;
use policy_grammar::ast::Policy;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An answer or a refusal.
pub type Answer = Result<RefResponse, Refusal>;

/// What differs between two answers, one line per difference; empty when they agree.
#[must_use]
pub fn differences(left: &Answer, right: &Answer) -> Vec<String> {
    let (left, right) = match (left, right) {
        (Ok(left), Ok(right)) => (left, right),
        (Err(left), Err(right)) if left == right => return Vec::new(),
        (left, right) => return vec![format!("answer: {} | {}", brief(left), brief(right))],
    };
    let mut out = Vec::new();
    let mut check = |what: &str, l: String, r: String| {
        if l != r {
            out.push(format!("{what}: {l} | {r}"));
        }
    };
    check(
        "decision",
        left.decision.as_str().to_owned(),
        right.decision.as_str().to_owned(),
    );
    check(
        "reason",
        format!("{:?}", left.reason),
        format!("{:?}", right.reason),
    );
    check(
        "matchedPolicies",
        format!("{:?}", left.matched_policies),
        format!("{:?}", right.matched_policies),
    );
    check(
        "matchedRules",
        format!("{:?}", left.matched_rules),
        format!("{:?}", right.matched_rules),
    );
    check(
        "matched",
        format!("{:?}", left.matched),
        format!("{:?}", right.matched),
    );
    if let (Some(left), Some(right)) = (left.overruled, right.overruled) {
        check("second look", left.to_string(), right.to_string());
    }
    check(
        "modifications",
        Value::Object(left.modifications.clone()).to_string(),
        Value::Object(right.modifications.clone()).to_string(),
    );
    check(
        "metadata",
        Value::Object(left.metadata.clone()).to_string(),
        Value::Object(right.metadata.clone()).to_string(),
    );
    check(
        "errors",
        format!("{:?}", left.errors),
        format!("{:?}", right.errors),
    );
    out
}

fn brief(answer: &Answer) -> String {
    match answer {
        Ok(response) => format!("{} {:?}", response.decision.as_str(), response.matched_rules),
        Err(refusal) => format!("{refusal:?}"),
    }
}

/// What became of a generated pair on one engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Reference and engine agree.
    Agree(Answer),
    /// The engine's compiler refuses the policies, which the reference does not check.
    Refused(Vec<String>),
    /// They disagree, or something broke.
    Disagree(Vec<String>),
}

/// Runs a pair on the reference and on `engine`, with the context written as `body`.
#[must_use]
pub fn judge(engine: &dyn Engine, pair: &Pair, body: &str) -> Verdict {
    let text = pair.policies_text();
    let loaded = match engine.load(&text, pair.settings) {
        Ok(loaded) => loaded,
        Err(LoadFailure::Refused(errors)) => return Verdict::Refused(errors),
        Err(LoadFailure::Other(error)) => return Verdict::Disagree(vec![format!("load: {error}")]),
    };
    judge_loaded(loaded.as_ref(), pair, &text, body)
}

/// Like [`judge`], with the policies loaded before.
#[must_use]
pub fn judge_loaded(loaded: &dyn Loaded, pair: &Pair, text: &str, body: &str) -> Verdict {
    match crate::engine::parse(text) {
        Ok(policies) => judge_parsed(loaded, &policies, pair, body),
        Err(error) => Verdict::Disagree(vec![format!(
            "the engine loads what the parser refuses: {error:?}"
        )]),
    }
}

/// Like [`judge`], with the policies loaded and parsed before.
#[must_use]
pub fn judge_parsed(loaded: &dyn Loaded, policies: &[Policy], pair: &Pair, body: &str) -> Verdict {
    let expected = match crate::reference::numbers::read(body) {
        Ok(context) => reference_answer(policies, &context, pair.settings, &pair.request),
        Err(_) => Err(Refusal::Malformed),
    };
    let actual = loaded.evaluate(body.as_bytes(), &pair.request);
    let differences = differences(&expected, &actual);
    if differences.is_empty() {
        Verdict::Agree(actual)
    } else {
        Verdict::Disagree(differences)
    }
}

/// Makes a disagreeing pair smaller while `disagrees` holds: drops policies, rules, operands, action parts and context
/// members, one at a time, until nothing more can go.
#[must_use]
pub fn shrink(pair: &Pair, disagrees: &dyn Fn(&Pair) -> bool) -> Pair {
    let mut best = pair.clone();
    let mut budget = 3_000;
    loop {
        let mut progress = false;
        for candidate in candidates(&best) {
            if budget == 0 {
                return best;
            }
            budget -= 1;
            if disagrees(&candidate) {
                best = candidate;
                progress = true;
                break;
            }
        }
        if !progress {
            return best;
        }
    }
}

fn candidates(pair: &Pair) -> Vec<Pair> {
    let mut out = Vec::new();
    for i in 0..pair.documents.len() {
        if pair.documents.len() > 1 {
            let mut smaller = pair.clone();
            smaller.documents.remove(i);
            out.push(smaller);
        }
    }
    for i in 0..pair.documents.len() {
        for document in smaller_values(&pair.documents[i]) {
            let mut smaller = pair.clone();
            smaller.documents[i] = document;
            out.push(smaller);
        }
    }
    for context in smaller_values(&pair.context) {
        let mut smaller = pair.clone();
        smaller.context = context;
        out.push(smaller);
    }
    if pair.request != RequestOptions::default() {
        let mut smaller = pair.clone();
        smaller.request = RequestOptions::default();
        out.push(smaller);
    }
    if pair.json {
        let mut smaller = pair.clone();
        smaller.json = false;
        out.push(smaller);
    }
    out
}

/// Every value with one member or element less, and every condition replaced by one of its operands.
fn smaller_values(value: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    match value {
        Value::Array(items) => {
            for i in 0..items.len() {
                let mut fewer = items.clone();
                fewer.remove(i);
                out.push(Value::Array(fewer));
            }
            for (i, item) in items.iter().enumerate() {
                for smaller in smaller_values(item) {
                    let mut changed = items.clone();
                    changed[i] = smaller;
                    out.push(Value::Array(changed));
                }
            }
        }
        Value::Object(members) => {
            if let Some(Value::Array(operands)) = members.get("conditions") {
                out.extend(operands.iter().cloned());
            }
            for key in members.keys() {
                let mut fewer = members.clone();
                fewer.remove(key);
                out.push(Value::Object(fewer));
            }
            for (key, member) in members {
                for smaller in smaller_values(member) {
                    let mut changed = members.clone();
                    changed.insert(key.clone(), smaller);
                    out.push(Value::Object(changed));
                }
            }
        }
        Value::String(text) if text.chars().count() > 12 && !text.contains("{{") => {
            out.push(Value::String(
                text.chars().take(text.chars().count() / 2).collect(),
            ));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    out
}

/// Writes a finding as a case file into `directory` and returns its path. What the case expects is what the reference
/// says, so that it fails until the engine (or the reference) is mended.
///
/// # Errors
///
/// Whatever writing files returns.
pub fn dump(directory: &Path, name: &str, note: &str, pair: &Pair) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!("{name}.yaml"));
    std::fs::write(&path, case::render(name, note, pair))?;
    Ok(path)
}

/// The pair and what differs, for a failing test's message.
#[must_use]
pub fn report(engine: &str, pair: &Pair, differences: &[String]) -> String {
    format!(
        "reference | {engine}\n  {}\nsettings: {:?}\nrequest: {:?}\ncontext: {}\npolicies:\n{}",
        differences.join("\n  "),
        pair.settings,
        pair.request,
        pair.body(),
        pair.policies_text()
    )
}
