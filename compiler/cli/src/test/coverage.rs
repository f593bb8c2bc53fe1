//! Coverage: which rules the tests made fire, and which comparisons they saw come out both ways.
//!
//! Counted over all test files of a run, and over the policies that lie in its directories and in no test; a policy that several of them load is one policy. Comparisons are told apart
//! by their position in the rule's condition, which traces list in document order; where they stand says the debug section.

use super::Of;
use policy_bytecode::disasm;
use policy_bytecode::manifest::{CondNode, RuleInfo};
use policy_bytecode::predicate::PredOp;
use policy_compiler::Compiled;
use policy_runtime::{ConditionTrace, Trace};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What was reached.
#[derive(Default)]
pub(crate) struct Coverage {
    /// By file, namespace, policy and rule.
    pub(super) rules: BTreeMap<Key, RuleCoverage>,
    /// Files of policies that are counted.
    pub(super) loaded: BTreeSet<PathBuf>,
    /// Those that no test file loads.
    pub(super) untested: BTreeSet<String>,
}

/// File, namespace, policy and rule.
type Key = (String, String, String, String);

/// What was reached of one rule.
#[derive(Default)]
pub(super) struct RuleCoverage {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) fired: bool,
    pub(super) quiet: bool,
    pub(super) leaves: Vec<LeafCoverage>,
}

/// What was reached of one comparison.
#[derive(Default)]
pub(super) struct LeafCoverage {
    pub(super) text: String,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) was_true: bool,
    pub(super) was_false: bool,
}

/// Something that the tests did not reach.
pub(super) struct Gap<'c> {
    pub(super) file: &'c str,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) text: String,
}

impl Coverage {
    /// Adds the policies of one test file and what its tests reached of them.
    pub(super) fn add(&mut self, compiled: &Compiled, traces: &[Trace]) {
        let manifest = &compiled.manifest;
        let mut keys: Vec<Option<Key>> = Vec::new();
        for (info, rule) in manifest.rules.iter().zip(&compiled.module.rules) {
            let Some(policy) = manifest.policies.get(rule.policy.index()) else {
                keys.push(None);
                continue;
            };
            let file = manifest
                .files
                .get(policy.file as usize)
                .cloned()
                .unwrap_or_default();
            let key: Key = (file, policy.namespace.clone(), policy.id.clone(), info.id.clone());
            keys.push(Some(key.clone()));
            let entry = self.rules.entry(key).or_insert_with(|| {
                let mut covered = RuleCoverage::default();
                leaves(compiled, info, info.condition, &mut covered.leaves);
                covered
            });
            entry.line = info.line;
            entry.column = info.column;
        }
        for rule in traces.iter().flat_map(|t| &t.rules) {
            let key = keys.get(rule.index).and_then(Option::as_ref);
            let Some(covered) = key.and_then(|key| self.rules.get_mut(key)) else {
                continue;
            };
            if rule.fired {
                covered.fired = true;
            } else {
                covered.quiet = true;
            }
            let mut leaves = covered.leaves.iter_mut();
            outcomes(&rule.condition, &mut |outcome| {
                if let Some(leaf) = leaves.next() {
                    leaf.was_true |= outcome == "true";
                    leaf.was_false |= outcome == "false";
                }
            });
        }
    }

    /// Reached and reachable.
    pub(super) fn totals(&self, of: Of) -> (usize, usize) {
        match of {
            Of::Rule => (self.rules.values().filter(|r| r.fired).count(), self.rules.len()),
            Of::Condition => {
                let leaves = self.rules.values().flat_map(|r| &r.leaves);
                leaves.fold((0, 0), |(reached, all), leaf| {
                    (
                        reached + usize::from(leaf.was_true) + usize::from(leaf.was_false),
                        all + 2,
                    )
                })
            }
        }
    }

    /// Per cent; everything when there is nothing to reach.
    pub(super) fn percent(&self, of: Of) -> f64 {
        match self.totals(of) {
            (_, 0) => 100.0,
            (reached, all) => 100.0 * reached as f64 / all as f64,
        }
    }

    /// What was not reached, by place.
    pub(super) fn gaps(&self, of: Of) -> Vec<Gap<'_>> {
        let mut gaps: Vec<Gap<'_>> = self
            .untested
            .iter()
            .map(|file| Gap {
                file,
                line: 1,
                column: 1,
                text: "no test file loads these policies".to_owned(),
            })
            .collect();
        for ((file, _, policy, rule), covered) in &self.rules {
            if !covered.fired {
                gaps.push(Gap {
                    file,
                    line: covered.line,
                    column: covered.column,
                    text: format!("{policy}/{rule} never fired"),
                });
            } else if !covered.quiet && of == Of::Rule {
                gaps.push(Gap {
                    file,
                    line: covered.line,
                    column: covered.column,
                    text: format!("{policy}/{rule} always fired"),
                });
            }
            if of == Of::Rule {
                continue;
            }
            for leaf in &covered.leaves {
                let missing = match (leaf.was_true, leaf.was_false) {
                    (true, true) => continue,
                    (true, false) => "never false",
                    (false, true) => "never true",
                    (false, false) => "never true and never false",
                };
                gaps.push(Gap {
                    file,
                    line: leaf.line,
                    column: leaf.column,
                    text: format!("{policy}/{rule}: `{}` was {missing}", leaf.text),
                });
            }
        }
        gaps.sort_by(|a, b| (a.file, a.line, a.column).cmp(&(b.file, b.line, b.column)));
        gaps
    }
}

/// Outcomes of the comparisons of a traced condition, in document order.
fn outcomes(node: &ConditionTrace, visit: &mut impl FnMut(&str)) {
    if node.field.is_some() {
        visit(node.outcome);
    }
    for child in &node.conditions {
        outcomes(child, visit);
    }
}

/// The comparisons of a condition of a rule, in document order. The manifest bounds how deep this goes.
fn leaves(compiled: &Compiled, rule: &RuleInfo, node: u32, found: &mut Vec<LeafCoverage>) {
    match compiled.manifest.conditions.get(node as usize) {
        Some(CondNode::And(children) | CondNode::Or(children)) => {
            for child in children {
                leaves(compiled, rule, *child, found);
            }
        }
        Some(CondNode::Not(child)) => leaves(compiled, rule, *child, found),
        Some(CondNode::Test { pred, negated, .. }) => {
            let predicate = compiled.module.predicates.get(pred.index());
            let place = compiled.debug.condition(node);
            let (line, column) = place.map_or((rule.line, rule.column), |place| (place.line, place.column));
            found.push(LeafCoverage {
                text: predicate.map_or_else(String::new, |p| {
                    spelled(p.op, *negated, &disasm::predicate_text(&compiled.module, p))
                }),
                line,
                column,
                ..LeafCoverage::default()
            });
        }
        Some(CondNode::Const(_)) | None => {}
    }
}

/// A comparison with its operator as policies spell it.
fn spelled(op: PredOp, negated: bool, text: &str) -> String {
    let (plain, folded) = op.unfolded();
    let text = if folded {
        let plain = text.replacen(&format!(" {} ", op.as_str()), &format!(" {} ", plain.as_str()), 1);
        format!("{plain} ignoring case")
    } else {
        text.to_owned()
    };
    if !negated {
        return text;
    }
    let negation = match plain {
        PredOp::Eq => "ne",
        PredOp::In => "not_in",
        PredOp::Contains => "not_contains",
        PredOp::StartsWith => "not_starts_with",
        PredOp::EndsWith => "not_ends_with",
        PredOp::Matches => "not_matches",
        _without_negation => return format!("not {text}"),
    };
    text.replacen(&format!(" {} ", plain.as_str()), &format!(" {negation} "), 1)
}
