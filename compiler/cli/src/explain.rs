//! `policyc explain`: why a decision came out as it did, and what would have changed it.
//!
//! The text begins with what decided: the rules that fired and gave the decision, or, where none did, those that came
//! nearest. The others are counted, and shown with `--all`. JSON has every rule.
//!
//! Works on the trace of the response. What would have to change is computed on each rule's condition tree: the
//! smallest set of comparisons whose outcome would have to be another for the whole to be true, or false. Comparisons
//! are taken one by one; that two of them look at the same field is not considered.

use crate::args::Format;
use crate::engine::{self, EngineArgs, Parts, ScopeArgs};
use crate::eval::{condition, failure, headline, operand};
use crate::exit::Exit;
use crate::output::shown;
use crate::{Host, output, project};
use anyhow::Context as _;
use owo_colors::OwoColorize as _;
use policy_runtime::{ConditionTrace, Mode, Response, RuleTrace, Verb};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Explain a decision: what decided, and what would have to change
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every rule is evaluated. What decided is shown: the rules that gave the decision with their conditions, or, where \
no rule fired, the rule that came nearest. --all shows the other rules too; JSON always has all of them.\n\nEnds as `policyc eval` does: 0 when allowed, 1 when denied.\n\n\
                        Example:\n  policyc explain my-policy.yaml --context @request.json"
)]
pub(crate) struct Args {
    /// Policy files, directories, or one bundle; `-` is standard input [default: `paths` of policyc.toml]
    #[arg(value_name = "PATH|BUNDLE")]
    paths: Vec<PathBuf>,
    /// The context: JSON text, @FILE, or - for standard input
    #[arg(long, short = 'c', value_name = "JSON|@FILE|-")]
    context: String,
    /// Output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Show every rule, not only what decided
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    request: ScopeArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let context = engine::context(&args.context)?;
    let (engine, parts) = args.engine.load_with_parts(&project::paths(&args.paths)?)?;
    let options = args.request.options(Mode::FirstDeny).or_project();
    let response = engine
        .evaluate_json_with(&context, &options.evaluate(true))
        .context("no decision")?;
    match args.format {
        Format::Json => output::json(&document(&response, &parts))?,
        Format::Text => text(&response, &parts, Show::of(args.all))?,
    }
    Ok(if response.decision.allowed {
        Exit::Ok
    } else {
        Exit::No
    })
}

fn rules(response: &Response) -> &[RuleTrace] {
    response.decision.trace.as_ref().map_or(&[], |t| &t.rules)
}

/// The rules for the request as it was modified, where that is what decided.
fn second_look(response: &Response) -> Option<&[RuleTrace]> {
    response.decision.trace.as_ref()?.second_look.as_deref()
}

fn document(response: &Response, parts: &Parts) -> Value {
    let mut document = json!({
        "decision": response.decision.decision.as_str(),
        "allowed": response.decision.allowed,
        "reason": response.decision.reason,
        "errors": response.decision.errors,
        "rules": documents(rules(response), parts),
    });
    if let (Some(second), Value::Object(members)) = (second_look(response), &mut document) {
        members.insert("secondLook".to_owned(), documents(second, parts));
    }
    document
}

fn documents(rules: &[RuleTrace], parts: &Parts) -> Value {
    rules
        .iter()
        .map(|rule| {
            let changes: Option<Vec<Value>> = change(rule).map(|list| {
                list.iter()
                    .map(|c| json!({ "condition": c.node, "wanted": c.wanted, "text": c.text() }))
                    .collect()
            });
            let place = parts.rules().nth(rule.index);
            json!({
                "policy": rule.policy,
                "rule": rule.rule,
                "decision": rule.decision,
                "outcome": rule.outcome,
                "fired": rule.fired,
                "file": place.as_ref().map(|p| p.file),
                "line": place.as_ref().map(|p| p.line),
                "condition": rule.condition,
                (if rule.fired { "toNotFire" } else { "toFire" }): changes,
            })
        })
        .collect()
}

/// Which rules the text shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Deciding,
    Every,
}

impl Show {
    fn of(all: bool) -> Self {
        if all { Self::Every } else { Self::Deciding }
    }
}

/// Rules of a trace in groups, what decided first.
struct Groups<'t> {
    /// What gave the decision.
    decided: Vec<&'t RuleTrace>,
    /// Where no rule fired: the one that the fewest changes would make fire.
    nearest: Option<&'t RuleTrace>,
    /// What fired besides.
    fired: Vec<&'t RuleTrace>,
    /// What did not fire; the nearest one is not among them.
    quiet: Vec<&'t RuleTrace>,
}

/// A deny is the first rule that denies; of the other decisions, every rule that asks for it has a part in it.
fn group(rules: &[RuleTrace], decision: Verb) -> Groups<'_> {
    let (fired, mut quiet): (Vec<_>, Vec<_>) = rules.iter().partition(|r| r.fired);
    let (mut decided, mut others): (Vec<_>, Vec<_>) =
        fired.into_iter().partition(|r| r.decision == decision.as_str());
    if decision == Verb::Deny && decided.len() > 1 {
        let later = decided.split_off(1);
        others.extend(later);
        others.sort_by_key(|r| r.index);
    }
    let cost = |rule: &RuleTrace| change(rule).map(|list| list.len());
    let nearest = if decided.is_empty() && others.is_empty() {
        let position = quiet
            .iter()
            .enumerate()
            .filter_map(|(i, rule)| Some((cost(rule)?, i)))
            .min();
        position.map(|(_, i)| quiet.remove(i))
    } else {
        None
    };
    Groups {
        decided,
        nearest,
        fired: others,
        quiet,
    }
}

fn text(response: &Response, parts: &Parts, show: Show) -> anyhow::Result<()> {
    let mut out = output::stdout();
    let decision = &response.decision;
    writeln!(
        out,
        "{}  {}",
        headline(decision.decision),
        match &decision.reason {
            Some(reason) => shown(reason.trim_end()),
            None if decision.matched_rules.is_empty() => "no rule fired: the default decision".into(),
            None => "".into(),
        }
    )?;
    let second = second_look(response);
    let mut groups = group(rules(response), decision.decision);
    let mut by_second = Vec::new();
    if let Some(second) = second {
        // What the first look says fired as well, but did not decide.
        let first = std::mem::take(&mut groups.decided);
        groups.fired = [first, std::mem::take(&mut groups.fired)].concat();
        by_second = group(second, Verb::Deny).decided;
        writeln!(out, "\nthe modified request is denied, so this one is")?;
    }
    let nearest: Vec<_> = groups.nearest.into_iter().collect();
    let always = [
        ("fired for the modified request", by_second),
        ("decided", groups.decided),
        ("nearest to firing", nearest),
    ];
    for (title, rules) in &always {
        section(&mut out, title, rules, parts)?;
    }
    match show {
        Show::Every => {
            section(&mut out, "fired too", &groups.fired, parts)?;
            section(&mut out, "did not fire", &groups.quiet, parts)?;
        }
        Show::Deciding => {
            let counts = [
                (groups.fired.len(), "fired too"),
                (groups.quiet.len(), "did not fire"),
            ];
            let counts: Vec<String> = counts
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!("{} {what}", output::count(*n, "other rule", "other rules")))
                .collect();
            if !counts.is_empty() {
                writeln!(out, "\n{}; --all shows them", counts.join(", "))?;
            }
        }
    }
    if !decision.errors.is_empty() {
        writeln!(out, "\n{}", "errors".bold())?;
    }
    for error in &decision.errors {
        failure(&mut out, error)?;
    }
    out.flush()?;
    Ok(())
}

/// Some rules with their conditions.
fn section(out: &mut impl Write, title: &str, rules: &[&RuleTrace], parts: &Parts) -> anyhow::Result<()> {
    if !rules.is_empty() {
        writeln!(out, "\n{}", title.bold())?;
    }
    for rule in rules {
        let place = parts
            .rules()
            .nth(rule.index)
            .map(|r| r.place())
            .unwrap_or_default();
        writeln!(
            out,
            "\n  {}/{} ({})  {}",
            shown(&rule.policy).bold(),
            shown(&rule.rule).bold(),
            rule.decision,
            shown(&place).dimmed()
        )?;
        if rule.outcome == "error" {
            let then = if rule.fired {
                "so the rule fires"
            } else {
                "so the rule is skipped"
            };
            writeln!(out, "    its condition cannot be evaluated, {then}")?;
        }
        condition(out, &rule.condition, 2)?;
        advice(out, rule)?;
    }
    Ok(())
}

fn advice(out: &mut impl Write, rule: &RuleTrace) -> anyhow::Result<()> {
    let Some(changes) = change(rule) else {
        let always = if rule.fired {
            "always fires"
        } else {
            "can never fire"
        };
        writeln!(out, "    whatever the request, this rule {always}")?;
        return Ok(());
    };
    let what = match (rule.fired, changes.len()) {
        (true, 1) => "it would not fire if",
        (true, _) => "it would not fire if all of these held",
        (false, 1) => "held back by one condition; it would fire if",
        (false, _) => "held back; it would fire if all of these held",
    };
    writeln!(out, "    {}", format!("{what}:").italic())?;
    for change in &changes {
        writeln!(out, "      {}", shown(&change.text()))?;
    }
    Ok(())
}

/// A comparison that would have to come out otherwise.
struct Change<'t> {
    node: &'t ConditionTrace,
    wanted: bool,
}

impl Change<'_> {
    /// What would have to hold, and what does.
    fn text(&self) -> String {
        let node = self.node;
        let field = node.field.as_deref().unwrap_or("");
        let operand = operand(node);
        if node.operator == "exists" {
            let present = self.wanted == (node.value != Some(Value::Bool(false)));
            let verb = if present { "is there" } else { "is not there" };
            return format!("{field} {verb}");
        }
        match (node.operator.as_str(), self.wanted) {
            ("any", true) => return format!("some element of {field} met its condition"),
            ("any", false) => return format!("no element of {field} met its condition"),
            ("all", true) => return format!("every element of {field} met its condition"),
            ("all", false) => return format!("some element of {field} did not meet its condition"),
            _comparison => {}
        }
        let actual = match &node.actual {
            Some(value) => format!("it is {value}"),
            None => "it is missing".to_owned(),
        };
        if self.wanted {
            return format!("{field} {}{operand} ({actual})", node.operator);
        }
        match opposite(&node.operator) {
            Some(operator) => format!("{field} {operator}{operand} ({actual})"),
            None => format!("not {field} {}{operand} ({actual})", node.operator),
        }
    }
}

/// The operator that is true where another is false, for values of the right type.
fn opposite(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "eq" => "ne",
        "ne" => "eq",
        "gt" => "lte",
        "gte" => "lt",
        "lt" => "gte",
        "lte" => "gt",
        "in" => "not_in",
        "not_in" => "in",
        "contains" => "not_contains",
        "not_contains" => "contains",
        "starts_with" => "not_starts_with",
        "not_starts_with" => "starts_with",
        "ends_with" => "not_ends_with",
        "not_ends_with" => "ends_with",
        "matches" => "not_matches",
        "not_matches" => "matches",
        _ => return None,
    })
}

/// The fewest comparisons that would have to come out otherwise for a rule to fire, or not to; `None` if nothing can.
fn change(rule: &RuleTrace) -> Option<Vec<Change<'_>>> {
    flip(&rule.condition, !rule.fired)
}

/// The fewest comparisons below `node` that must change for it to be exactly `wanted`.
fn flip(node: &ConditionTrace, wanted: bool) -> Option<Vec<Change<'_>>> {
    if node.outcome == if wanted { "true" } else { "false" } {
        return Some(Vec::new());
    }
    let every = |wanted| -> Option<Vec<Change<'_>>> {
        let lists: Option<Vec<_>> = node.conditions.iter().map(|c| flip(c, wanted)).collect();
        Some(lists?.into_iter().flatten().collect())
    };
    let any = |wanted| {
        node.conditions
            .iter()
            .filter_map(|c| flip(c, wanted))
            .min_by_key(Vec::len)
    };
    match (node.operator.as_str(), wanted) {
        ("and", true) => every(true),
        ("and", false) => any(false),
        ("or", true) => any(true),
        ("or", false) => every(false),
        ("not", _) => flip(node.conditions.first()?, !wanted),
        ("const", _) => None,
        _ => Some(vec![Change { node, wanted }]),
    }
}

#[cfg(test)]
mod tests;
