//! The changes between two sets of policies: added, removed and changed policies and rules, and their order.
//!
//! Both sides are compared as texts of what they mean, so that a change of layout is none.

use super::Change;
use super::meaning::Show;
use crate::engine::{Parts, RuleEntry};
use std::collections::{BTreeMap, BTreeSet};

/// How policies of both sides are named: by their ids, where no side has two of one id. So a policy that moves to another
/// namespace is still the same one.
struct Names {
    shared: BTreeSet<String>,
}

impl Names {
    fn of(sides: &[&Parts]) -> Self {
        let mut shared = BTreeSet::new();
        for parts in sides {
            let mut seen = BTreeSet::new();
            let ids = parts.manifest.policies.iter().map(|p| &p.id);
            shared.extend(ids.filter(|id| !seen.insert(*id)).cloned());
        }
        Self { shared }
    }

    fn policy(&self, namespace: &str, id: &str) -> String {
        if self.shared.contains(id) {
            format!("{namespace}/{id}")
        } else {
            id.to_owned()
        }
    }

    fn rule(&self, rule: &RuleEntry<'_>) -> String {
        format!("{}/{}", self.policy(rule.namespace, rule.policy), rule.rule)
    }
}

/// A policy or rule as comparable texts.
type Aspects = Vec<(String, String)>;

pub(super) fn changes(old: &Parts, new: &Parts) -> Vec<Change> {
    let mut changes = Vec::new();
    let names = Names::of(&[old, new]);
    pair(
        "policy",
        policies(old, &names),
        policies(new, &names),
        &mut changes,
    );
    pair("rule", rules(old, &names), rules(new, &names), &mut changes);
    let orders = (order(old, &names), order(new, &names));
    if changes.is_empty() && orders.0 != orders.1 {
        changes.push(Change {
            kind: "changed",
            what: "order",
            id: "of rules".to_owned(),
            aspects: vec![(
                "evaluation order".to_owned(),
                orders.0.join(", "),
                orders.1.join(", "),
            )],
        });
    }
    changes
}

fn pair(
    what: &'static str,
    old: BTreeMap<String, Aspects>,
    mut new: BTreeMap<String, Aspects>,
    changes: &mut Vec<Change>,
) {
    for (id, before) in old {
        let Some(after) = new.remove(&id) else {
            changes.push(Change {
                kind: "removed",
                what,
                id,
                aspects: Vec::new(),
            });
            continue;
        };
        let mut after: BTreeMap<String, String> = after.into_iter().collect();
        let mut aspects = Vec::new();
        for (name, before) in before {
            let after = after.remove(&name).unwrap_or_else(|| "none".to_owned());
            if before != after {
                aspects.push((name, before, after));
            }
        }
        aspects.extend(
            after
                .into_iter()
                .map(|(name, after)| (name, "none".to_owned(), after)),
        );
        if !aspects.is_empty() {
            changes.push(Change {
                kind: "changed",
                what,
                id,
                aspects,
            });
        }
    }
    for id in new.into_keys() {
        changes.push(Change {
            kind: "added",
            what,
            id,
            aspects: Vec::new(),
        });
    }
}

fn policies(parts: &Parts, names: &Names) -> BTreeMap<String, Aspects> {
    parts
        .manifest
        .policies
        .iter()
        .map(|p| {
            let aspects = vec![
                ("version".to_owned(), p.version.clone()),
                ("namespace".to_owned(), p.namespace.clone()),
                ("priority".to_owned(), p.priority.to_string()),
            ];
            (names.policy(&p.namespace, &p.id), aspects)
        })
        .collect()
}

fn rules(parts: &Parts, names: &Names) -> BTreeMap<String, Aspects> {
    let show = Show {
        module: &parts.module,
        manifest: &parts.manifest,
    };
    parts
        .rules()
        .zip(parts.manifest.rules.iter().zip(&parts.module.rules))
        .map(|(entry, (info, rule))| {
            let mut aspects = vec![
                ("decision".to_owned(), rule.decision.as_str().to_owned()),
                ("condition".to_owned(), show.condition(info.condition)),
                (
                    "on error".to_owned(),
                    if rule.fires_on_error {
                        "fires"
                    } else {
                        "is skipped"
                    }
                    .to_owned(),
                ),
            ];
            if let Some(reason) = info.reason {
                aspects.push(("reason".to_owned(), show.template(reason)));
            }
            for (key, value) in &info.metadata {
                aspects.push((format!("metadata {key}"), show.value(*value).to_string()));
            }
            for m in &info.modifications {
                aspects.push((format!("modification {}", m.path), show.verb(&m.verb)));
            }
            (names.rule(&entry), aspects)
        })
        .collect()
}

fn order(parts: &Parts, names: &Names) -> Vec<String> {
    parts.rules().map(|rule| names.rule(&rule)).collect()
}
