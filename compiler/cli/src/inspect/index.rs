//! `policyc inspect --index`: how each rule is reached.

use crate::output;
use owo_colors::OwoColorize as _;
use policy_bytecode::PredIdx;
use policy_bytecode::bundle::Bundle;
use policy_bytecode::disasm;
use policy_bytecode::guard::Prover;
use policy_bytecode::instr::Instr;
use policy_bytecode::module::Function;
use serde_json::{Value, json};
use std::io::Write as _;

/// How a rule is reached.
enum Reach {
    /// By looking up each of these lists; a request has to pass them all.
    LookUp(Vec<Vec<String>>),
    /// Always looked at, for this reason.
    Always(&'static str),
}

/// Prints how each rule is reached.
pub(super) fn show(bundle: &Bundle, json: bool) -> anyhow::Result<()> {
    let (module, manifest) = (&bundle.module, &bundle.manifest);
    let mut prover = Prover::new(module);
    let mut rows = Vec::new();
    for (rule, info) in module.rules.iter().zip(&manifest.rules) {
        let reach = match module.functions.get(rule.condition.index()) {
            Some(function) => reach(bundle, function, &mut prover),
            None => Reach::Always("its condition does not exist"),
        };
        let policy = manifest
            .policies
            .get(rule.policy.index())
            .map_or("", |p| p.id.as_str());
        rows.push((policy, info.id.as_str(), reach));
    }
    if json {
        return output::json(&document(&rows));
    }
    let looked_up = rows
        .iter()
        .filter(|(_, _, reach)| matches!(reach, Reach::LookUp(_)))
        .count();
    let mut out = output::stdout();
    writeln!(
        out,
        "{}",
        format!(
            "{looked_up} of {} found by lookup",
            output::count(rows.len(), "rule", "rules")
        )
        .bold()
    )?;
    for (policy, rule, reach) in &rows {
        match reach {
            Reach::LookUp(guards) => {
                let guards: Vec<String> = guards.iter().map(|guard| guard.join(" or ")).collect();
                let line = format!("{policy}/{rule}  {}", guards.join(", then "));
                writeln!(out, "  {}", output::shown(&line))?;
            }
            Reach::Always(reason) => {
                let rule = format!("{policy}/{rule}");
                let rule = output::shown(&rule);
                writeln!(out, "  {rule}  {}", format!("always: {reason}").dimmed())?
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn document(rows: &[(&str, &str, Reach)]) -> Value {
    let rules = rows.iter().map(|(policy, rule, reach)| match reach {
        Reach::LookUp(guards) => json!({ "policy": policy, "rule": rule, "guards": guards }),
        Reach::Always(reason) => json!({ "policy": policy, "rule": rule, "always": reason }),
    });
    json!({ "rules": rules.collect::<Vec<_>>() })
}

fn reach(bundle: &Bundle, function: &Function, prover: &mut Prover<'_>) -> Reach {
    let module = &bundle.module;
    if !function.guards.is_empty() {
        let spelled = |pred: &PredIdx| {
            let predicate = module.predicates.get(pred.index());
            predicate.map_or_else(|| "?".to_owned(), |p| disasm::predicate_text(module, p))
        };
        let guards = function.guards.iter();
        return Reach::LookUp(guards.map(|guard| guard.iter().map(spelled).collect()).collect());
    }
    if bundle.manifest.opt_level < 2 {
        return Reach::Always("the bundle was built without the index (-O2)");
    }
    let asked = function.code.iter().filter_map(Instr::predicate);
    let asked: Vec<PredIdx> = asked.filter(|pred| prover.indexable(*pred)).collect();
    if !asked.is_empty() && prover.proves(function, &asked) {
        Reach::Always("running it costs less than looking it up")
    } else {
        Reach::Always("no comparison of a request field with a constant has to hold for it to fire")
    }
}
