//! `policyc eval --server`: the decision of a server.
//!
//! The context goes into the request byte for byte, and the answer comes out byte for byte with `--format json`. Only an
//! answer that says `allowed: true` ends with 0.

use super::headline;
use crate::args::Format;
use crate::exit::Exit;
use crate::output;
use crate::remote::{self, Call, Content, ServerArgs};
use anyhow::Context as _;
use owo_colors::OwoColorize as _;
use policy_runtime::Verb;
use serde_json::{Value, json};
use std::io::Write;
use ureq::http::Method;

/// What is asked besides the context.
pub(super) struct Question<'a> {
    /// Only of this namespace and of `global`.
    pub(super) namespace: Option<&'a str>,
    /// Only these policies.
    pub(super) policies: Option<&'a [String]>,
    /// With the outcome of every rule and condition.
    pub(super) trace: bool,
}

pub(super) fn run(
    server: &ServerArgs,
    context: &[u8],
    question: &Question<'_>,
    format: Format,
) -> anyhow::Result<Exit> {
    // A text that is more than one JSON value could add members to the request around it.
    serde_json::from_slice::<serde::de::IgnoredAny>(context).context("the context is not JSON")?;
    let mut body = b"{\"context\":".to_vec();
    body.extend_from_slice(context);
    let others = [
        ("namespace", question.namespace.map(|n| json!(n))),
        ("policies", question.policies.map(|p| json!(p))),
        ("trace", question.trace.then_some(Value::Bool(true))),
    ];
    for (key, value) in others {
        if let Some(value) = value {
            write!(body, ",\"{key}\":{value}")?;
        }
    }
    body.push(b'}');
    let answer = server
        .connect()?
        .call(Call {
            method: &Method::POST,
            path: "/api/v1/evaluate",
            if_match: None,
            body: Some(Content {
                kind: "application/json",
                bytes: &body,
            }),
        })?
        .accepted()?;
    let response: Value = answer.json()?;
    let decision = response
        .get("decision")
        .context("the server's answer is no decision")?;
    let allowed = decision
        .get("allowed")
        .and_then(Value::as_bool)
        .context("the server's answer does not say whether the request is allowed")?;
    match format {
        Format::Json => {
            let mut out = output::machine();
            out.write_all(answer.body())?;
            writeln!(out)?;
            out.flush()?;
        }
        Format::Text => {
            let mut out = output::stdout();
            verdict(&mut out, decision)?;
            out.flush()?;
        }
    }
    Ok(if allowed { Exit::Ok } else { Exit::No })
}

/// A decision for people.
fn verdict(out: &mut impl Write, decision: &Value) -> anyhow::Result<()> {
    let name = remote::cell(decision, "decision");
    let verb = [Verb::Allow, Verb::Warn, Verb::Modify, Verb::Deny]
        .into_iter()
        .find(|verb| verb.as_str() == name)
        .with_context(|| format!("the server decided `{name}`, which is no decision"))?;
    let rules = list(decision, "matchedRules");
    write!(out, "{}", headline(verb))?;
    match decision.get("reason") {
        Some(_) => writeln!(out, "  {}", remote::cell(decision, "reason"))?,
        None if rules.is_empty() => writeln!(out, "  no rule fired")?,
        None => writeln!(out)?,
    }
    if !rules.is_empty() {
        writeln!(out, "\n{}", "matched rules".bold())?;
    }
    for rule in rules {
        writeln!(out, "  {}", rule.as_str().map(remote::clean).unwrap_or_default())?;
    }
    for key in ["modifications", "metadata"] {
        let Some(Value::Object(map)) = decision.get(key) else {
            continue;
        };
        writeln!(out, "\n{}", key.bold())?;
        for (path, value) in map {
            writeln!(
                out,
                "  {} = {}",
                remote::clean(path),
                remote::clean(&value.to_string())
            )?;
        }
    }
    let errors = list(decision, "errors");
    if !errors.is_empty() {
        writeln!(out, "\n{}", "errors".bold())?;
    }
    for error in errors {
        let [policy, rule, message] = ["policy", "rule", "message"].map(|key| remote::cell(error, key));
        writeln!(out, "  {policy}/{rule}: {message}")?;
    }
    let trace = decision.get("trace").into_iter();
    let titles = [
        ("rules", "trace"),
        ("secondLook", "trace of the modified request, which is denied"),
    ];
    let traces = trace.flat_map(|trace| titles.map(|(key, title)| (trace, key, title)));
    for (trace, key, title) in traces.filter(|(trace, key, _)| trace.get(key).is_some()) {
        writeln!(out, "\n{}", title.bold())?;
        for rule in list(trace, key) {
            let fired = if rule.get("fired") == Some(&Value::Bool(true)) {
                "fired"
            } else {
                "did not fire"
            };
            let [outcome, policy, id, verb] =
                ["outcome", "policy", "rule", "decision"].map(|key| remote::cell(rule, key));
            writeln!(out, "  {outcome:<5} {policy}/{id} ({verb}) {fired}")?;
            if let Some(node) = rule.get("condition") {
                condition(out, node, 2)?;
            }
        }
    }
    Ok(())
}

/// One line per node of a condition. The reader of JSON bounds the depth.
fn condition(out: &mut impl Write, node: &Value, depth: usize) -> anyhow::Result<()> {
    let [outcome, operator, field, from] =
        ["outcome", "operator", "field", "valueFrom"].map(|key| remote::cell(node, key));
    let shown = |key: &str| node.get(key).map(|v| remote::clean(&v.to_string()));
    let text = if field.is_empty() {
        operator
    } else {
        let operand = if from.is_empty() {
            shown("value").unwrap_or_default()
        } else {
            from
        };
        let ignoring = if node.get("ignoreCase") == Some(&Value::Bool(true)) {
            super::IGNORING_CASE
        } else {
            ""
        };
        let actual = shown("actual").unwrap_or_else(|| "missing".to_owned());
        format!("{field} {operator} {operand}{ignoring}  ({actual})")
    };
    writeln!(out, "{}{outcome:<5} {text}", "  ".repeat(depth))?;
    for child in list(node, "conditions") {
        condition(out, child, depth + 1)?;
    }
    Ok(())
}

fn list<'v>(object: &'v Value, key: &str) -> &'v [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
