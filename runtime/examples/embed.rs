//! A gateway in one process: decides about a request, writes what the policies modify into it, and takes new policies while it runs.
//!
//! `cargo run -p policy-runtime --example embed`

use policy_grammar::ast::{FieldPath, Segment};
use policy_runtime::{Compiler, Policies, PolicyEngine};
use serde_json::{Map, Value, json};
use std::error::Error;

const CAP: &str = "
metadata: { id: limits, name: Limits }
rules:
  - id: cap-answers
    condition: { operator: gt, field: llm.maxTokens, value: 1000 }
    action:
      decision: modify
      reason: answers are limited to 1000 tokens
      modifications: { llm.maxTokens: { $cap: 1000 } }
  - id: no-mail-addresses
    condition: { operator: contains, field: llm.piiTypes, value: email }
    action: { decision: modify, modifications: { llm.messages: { $redact: [email] } } }
";

const STRICT: &str = "
metadata: { id: limits, name: Limits }
rules:
  - id: no-long-answers
    condition: { operator: gt, field: llm.maxTokens, value: 1000 }
    action: { decision: deny, reason: answers of more than 1000 tokens are not allowed }
";

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut compiler = Compiler::default();
    compiler.set("limits.yaml", CAP.to_owned());
    let engine = PolicyEngine::builder()
        .policies(Policies::from_sources(&mut compiler)?)
        .build()?;

    // As its client wrote it: the spelling `max_tokens` is read as `llm.maxTokens`.
    let mut context = json!({
        "llm": {
            "model": "gpt-4o",
            "max_tokens": 8000,
            "messages": [{"role": "user", "content": "Answer ann@example.com at length"}],
        },
        "user": {"id": "u-1"},
    });
    let decision = engine.evaluate(&context)?.decision;
    println!("{}: {:?}", decision.decision.as_str(), decision.reason);
    assert!(decision.allowed);
    for (path, value) in decision.modifications {
        write(&mut context, &path, value)?;
    }
    // What goes to the provider is `llm`.
    println!("{}", context["llm"]);
    assert_eq!(context["llm"]["max_tokens"], 1000);
    assert_eq!(
        context["llm"]["messages"][0]["content"],
        "Answer [EMAIL] at length"
    );
    assert!(
        context["llm"].get("maxTokens").is_none(),
        "one field, one spelling"
    );

    // From here on other policies decide, for every clone of the engine.
    compiler.set("limits.yaml", STRICT.to_owned());
    engine.activate_sources(&mut compiler)?;
    let asked = json!({"llm": {"model": "gpt-4o", "max_tokens": 8000}});
    let decision = engine.evaluate(&asked)?.decision;
    println!("{}: {:?}", decision.decision.as_str(), decision.reason);
    assert!(!decision.allowed);
    Ok(())
}

/// Writes a value to a path; `null` takes the field out. What is missing on the way is made.
fn write(context: &mut Value, path: &str, value: Value) -> Result<(), Box<dyn Error>> {
    let path = FieldPath::parse(path).map_err(|error| error.message)?;
    let Some((last, way)) = path.segments.split_last() else {
        return Err("a modification without a path".into());
    };
    let mut place = context;
    for step in way {
        place = match step {
            Segment::Key(key) => {
                let object = object(place)?;
                let key = spelled(object, key);
                object.entry(key).or_insert_with(|| json!({}))
            }
            Segment::Index(_) | Segment::FromEnd(_) => element(place, step)?,
        };
    }
    match (last, value) {
        (Segment::Key(key), Value::Null) => {
            let object = object(place)?;
            let key = spelled(object, key);
            object.remove(&key);
        }
        (Segment::Key(key), value) => {
            let object = object(place)?;
            let key = spelled(object, key);
            object.insert(key, value);
        }
        (Segment::Index(_) | Segment::FromEnd(_), value) => *element(place, last)? = value,
    }
    Ok(())
}

fn object(place: &mut Value) -> Result<&mut Map<String, Value>, &'static str> {
    place
        .as_object_mut()
        .ok_or("a modification leads into something that is no object")
}

fn element<'v>(place: &'v mut Value, step: &Segment) -> Result<&'v mut Value, &'static str> {
    let list = place
        .as_array_mut()
        .ok_or("a modification leads into something that is no list")?;
    let at = match step {
        Segment::Index(n) => usize::try_from(*n).ok(),
        Segment::FromEnd(n) => usize::try_from(*n).ok().and_then(|n| list.len().checked_sub(n)),
        Segment::Key(_) => None,
    };
    let at = at
        .filter(|at| *at <= list.len())
        .ok_or("a modification leads beyond a list")?;
    if at == list.len() {
        list.push(Value::Null);
    }
    list.get_mut(at).ok_or("a modification leads beyond a list")
}

/// The spelling that the request has for a key: `maxTokens` may stand there as `max_tokens`. Two spellings of one field would be
/// refused, and the provider reads one of them only.
fn spelled(object: &Map<String, Value>, key: &str) -> String {
    let letters = |text: &str| text.replace('_', "").to_lowercase();
    let others: &[&str] = match key {
        "maxTokens" => &[
            "max_completion_tokens",
            "max_output_tokens",
            "maxCompletionTokens",
            "maxOutputTokens",
        ],
        _ => &[],
    };
    let found = object
        .keys()
        .find(|k| letters(k) == letters(key) || others.contains(&k.as_str()));
    found.cloned().unwrap_or_else(|| key.to_owned())
}
