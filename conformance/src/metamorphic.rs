//! Changes of a pair with a known effect, for tests that need no reference.

use crate::generate::Pair;
use crate::reference::{ALIASES, Mode, RefResponse};
use crate::rng::Rng;
use serde_json::{Value, json};

/// The pair with the operands of every `and` and `or` in another order.
#[must_use]
pub fn shuffle_operands(rng: &mut Rng, pair: &Pair) -> Pair {
    change_conditions(pair, &mut |condition| {
        if let Some(Value::Array(operands)) = condition.get_mut("conditions") {
            rng.shuffle(operands);
        }
    })
}

/// The pair with `not not` around every comparison.
#[must_use]
pub fn negate_twice(pair: &Pair) -> Pair {
    change_conditions(pair, &mut |condition| {
        if condition.get("field").is_some() {
            let once = json!({"operator": "not", "conditions": [condition.take()]});
            *condition = json!({"operator": "not", "conditions": [once]});
        }
    })
}

/// The pair with the rules of every policy in another order.
#[must_use]
pub fn shuffle_rules(rng: &mut Rng, pair: &Pair) -> Pair {
    let mut pair = pair.clone();
    for document in &mut pair.documents {
        if let Some(Value::Array(rules)) = document.get_mut("rules") {
            rng.shuffle(rules);
        }
    }
    pair
}

/// The pair with its documents in another order.
#[must_use]
pub fn shuffle_documents(rng: &mut Rng, pair: &Pair) -> Pair {
    let mut pair = pair.clone();
    rng.shuffle(&mut pair.documents);
    pair
}

/// The pair with the other mode.
#[must_use]
pub fn other_mode(pair: &Pair) -> Pair {
    let mut pair = pair.clone();
    pair.request.mode = match pair.request.mode {
        Mode::FirstDeny => Mode::All,
        Mode::All => Mode::FirstDeny,
    };
    pair
}

/// The pair with one more rule, whose condition is an error for this request.
#[must_use]
pub fn add_failing_rule(rng: &mut Rng, pair: &Pair) -> Pair {
    let mut pair = pair.clone();
    pair.context["failing"] = json!("text");
    let decision = *rng.pick(&["allow", "warn", "deny"]);
    let rule = json!({
        "id": "failing",
        "condition": {"operator": "gt", "field": "failing", "value": 1},
        "action": {"decision": decision},
    });
    let count = pair.documents.len();
    let document = &mut pair.documents[rng.below(count)];
    if let Some(Value::Array(rules)) = document.get_mut("rules") {
        let at = rng.below(rules.len() + 1);
        rules.insert(at, rule);
    }
    pair
}

/// The pair with one more policy, which reads other fields and some of the same and never fires.
#[must_use]
pub fn add_silent_policy(rng: &mut Rng, pair: &Pair) -> Pair {
    let mut pair = pair.clone();
    let policy = json!({
        "metadata": {"id": "silent", "name": "S", "namespace": "global", "priority": rng.pick(&[-100, 0, 100])},
        "rules": [
            {"id": "silent-1", "condition": {"operator": "eq", "field": "never.there", "value": 1},
             "action": {"decision": "deny"}},
            {"id": "silent-2", "condition": {"operator": "and", "conditions": [
                {"operator": "exists", "field": "metadata.text"},
                {"operator": "eq", "field": "metadata.number", "value": 424_242}]},
             "action": {"decision": "deny"}},
        ],
    });
    let at = rng.below(pair.documents.len() + 1);
    pair.documents.insert(at, policy);
    pair
}

/// The pair with every known field that has several spellings in another one, in the conditions of the policies.
#[must_use]
pub fn respell_policies(pair: &Pair) -> Pair {
    change_conditions(pair, &mut |condition| {
        for key in ["field", "valueFrom"] {
            if let Some(Value::String(path)) = condition.get_mut(key) {
                for (object, camel, others) in ALIASES {
                    let spellings: Vec<&str> =
                        std::iter::once(*camel).chain(others.iter().copied()).collect();
                    // Each becomes the next one.
                    for (from, to) in spellings.iter().zip(spellings.iter().cycle().skip(1)) {
                        if *path == format!("{object}.{from}") {
                            *path = format!("{object}.{to}");
                            return;
                        }
                    }
                }
            }
        }
    })
}

/// The pair with every known field that has several spellings, but occurs in one, in another one; `None` when nothing
/// changes. Generated policies read no object that holds such fields as a whole.
#[must_use]
pub fn respell_context(pair: &Pair) -> Option<Pair> {
    let mut changed = pair.clone();
    for (object, camel, others) in ALIASES {
        let Some(Value::Object(members)) = changed.context.get_mut(*object) else {
            continue;
        };
        let spellings: Vec<&str> = std::iter::once(*camel).chain(others.iter().copied()).collect();
        let present: Vec<usize> = (0..spellings.len())
            .filter(|at| members.contains_key(spellings[*at]))
            .collect();
        if let [at] = present.as_slice()
            && let Some(value) = members.remove(spellings[*at])
        {
            members.insert(spellings[(at + 1) % spellings.len()].to_owned(), value);
        }
    }
    (changed != *pair).then_some(changed)
}

/// The pair without the rules that neither fired nor failed, as far as evaluation got; `None` when there are none.
#[must_use]
pub fn disable_silent_rules(pair: &Pair, answer: &RefResponse) -> Option<Pair> {
    let mut changed = pair.clone();
    for document in &mut changed.documents {
        let policy = document["metadata"]["id"].as_str().unwrap_or_default().to_owned();
        let namespace = document["metadata"]["namespace"]
            .as_str()
            .unwrap_or("default")
            .to_owned();
        let Some(Value::Array(rules)) = document.get_mut("rules") else {
            continue;
        };
        for rule in rules {
            let id = rule["id"].as_str().unwrap_or_default().to_owned();
            let named = |name: &String| {
                [
                    id.clone(),
                    format!("{policy}/{id}"),
                    format!("{namespace}/{policy}/{id}"),
                ]
                .contains(name)
            };
            if !answer.matched_rules.iter().any(named) {
                rule["enabled"] = json!(false);
            }
        }
    }
    (changed != *pair).then_some(changed)
}

/// The pair with policies of a namespace that the request does not see: with the ids of those that it does see, and rules
/// of their ids that always deny. `None` where the request names no namespace.
#[must_use]
pub fn add_foreign_policies(pair: &Pair) -> Option<Pair> {
    pair.request.namespace.as_ref()?;
    let mut pair = pair.clone();
    let mut ids: Vec<Value> = Vec::new();
    let mut foreign = Vec::new();
    for document in &pair.documents {
        let id = document["metadata"]["id"].clone();
        if ids.contains(&id) || !id.is_string() {
            continue;
        }
        ids.push(id.clone());
        let rules = document["rules"].as_array().into_iter().flatten();
        let rules: Vec<Value> = rules
            .map(|rule| {
                json!({
                    "id": rule["id"],
                    "condition": {"operator": "exists", "field": "never.there", "value": false},
                    "action": {"decision": "deny", "reason": "foreign"},
                })
            })
            .collect();
        foreign.push(json!({
            "metadata": {"id": id, "name": "F", "namespace": "foreign", "priority": 1000},
            "rules": rules,
        }));
    }
    pair.documents.extend(foreign);
    Some(pair)
}

/// A context as JSON text with the keys of every object in another order.
#[must_use]
pub fn shuffled_body(rng: &mut Rng, value: &Value) -> String {
    let mut out = String::new();
    write_shuffled(rng, value, &mut out);
    out
}

fn write_shuffled(rng: &mut Rng, value: &Value, out: &mut String) {
    if let Some(number) = crate::reference::numbers::mark_of(value) {
        out.push_str(number);
        return;
    }
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_shuffled(rng, item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            rng.shuffle(&mut members);
            out.push('{');
            for (i, (key, member)) in members.into_iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { " " });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_shuffled(rng, member, out);
            }
            out.push('}');
        }
        scalar => {
            out.push_str(&scalar.to_string());
        }
    }
}

/// Applies `change` to every condition, operands before the node that holds them.
fn change_conditions(pair: &Pair, change: &mut dyn FnMut(&mut Value)) -> Pair {
    let mut pair = pair.clone();
    for document in &mut pair.documents {
        let Some(Value::Array(rules)) = document.get_mut("rules") else {
            continue;
        };
        for condition in rules.iter_mut().filter_map(|rule| rule.get_mut("condition")) {
            visit(condition, change);
        }
    }
    pair
}

fn visit(condition: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    if let Some(Value::Array(operands)) = condition.get_mut("conditions") {
        operands.iter_mut().for_each(|operand| visit(operand, change));
    }
    if let Some(body) = condition.get_mut("condition") {
        visit(body, change);
    }
    change(condition);
}
