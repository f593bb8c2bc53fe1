//! The reader of requests against its reference, on thousands of bodies, and the promise that no place hides a text.
//!
//! `REQUEST_BODIES` sets how many bodies (default 6,000), `DIFF_SEED` where to start.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use policy_conformance::bodies;
use policy_conformance::reference::{asked, requests as reference};
use policy_conformance::rng::Rng;
use policy_requests::{Count, Field, ImageSource, JsonEditor, Number, Piece, Place, Role, Step};
use reference::What;
use serde_json::{Value, json};
use std::ops::ControlFlow;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What the reader finds, in the reference's words.
fn found(llm: &Value) -> reference::Found {
    let mut found = Vec::new();
    let mut sink = |piece: Piece<'_, &Value>, place: Place| {
        found.push((what(&piece), at(place)));
        ControlFlow::Continue(())
    };
    if policy_requests::read(llm, &mut sink).is_break() {
        panic!("the sink never ends the reading");
    }
    found
}

fn what(piece: &Piece<'_, &Value>) -> What {
    match piece {
        Piece::Message { named } => What::Message { named: *named },
        Piece::Role(role) => What::Role((*role).to_owned()),
        Piece::Name(name) => What::Name((*name).to_owned()),
        Piece::Text(text) => What::Text((*text).to_owned()),
        Piece::Number(Number::Int(n)) => What::Number(json!(n)),
        Piece::Number(Number::UInt(n)) => What::Number(json!(n)),
        Piece::Number(Number::Float(x)) => What::Number(json!(x)),
        Piece::Number(Number::Text(text)) => panic!("serde_json has no number {text}"),
        Piece::Bool(truth) => What::Bool(*truth),
        Piece::TokenIds(count) => What::TokenIds(*count),
        Piece::Image(image) => {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let (base64, url) = match image.source {
                ImageSource::Base64(data) => (Some(data), None),
                ImageSource::Url(url) => (None, Some(url)),
                ImageSource::Stored => (None, None),
            };
            What::Image {
                base64: owned(base64),
                url: owned(url),
                media_type: owned(image.media_type),
                detail: owned(image.detail),
            }
        }
        Piece::Tool(tool) => What::Tool((*tool).clone()),
        Piece::Unread(kind) => What::Unread(kind.name()),
    }
}

fn at(place: Place) -> reference::Place {
    reference::Place {
        field: match place.field {
            Field::System => "system",
            Field::Instructions => "instructions",
            Field::Prompt => "prompt",
            Field::Messages => "messages",
            Field::Input => "input",
            Field::Contents => "contents",
            Field::Message => "message",
            Field::Tools => "tools",
            Field::Other => "other",
        },
        turn: usize::try_from(place.turn).unwrap_or(usize::MAX),
        role: match place.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
            Role::Tool => "tool",
            Role::Unknown => "unknown",
        },
    }
}

/// An edit that changes about half of the texts, some to the same.
fn edit(text: &str) -> Option<String> {
    match text.len() % 4 {
        0 => Some("[GONE]".to_owned()),
        1 => Some(format!("{text} changed")),
        _ => None,
    }
}

fn rewritten(value: &Value, path: &[reference::Step]) -> Value {
    let steps: Vec<Step<'_>> = path
        .iter()
        .map(|step| match step {
            reference::Step::Key(name) => Step::Key(name),
            reference::Step::Index(index) => Step::Index(*index),
        })
        .collect();
    let mut editor = JsonEditor(|text: &str, _place: Place| edit(text));
    policy_requests::rewrite(value, &steps, &mut editor).unwrap_or_else(|| value.clone())
}

/// Both readers on one body: reading, rewriting whole, rewriting what stands at each path.
fn compare(llm: &Value) {
    assert_eq!(found(llm), reference::read(llm), "{llm}");
    let mut paths = vec![(vec![reference::Step::Key("llm".to_owned())], llm)];
    let mut next = 0;
    while let Some((path, value)) = paths.get(next).cloned() {
        next += 1;
        let expected = reference::rewrite(value, &path, &mut edit);
        assert_eq!(rewritten(value, &path), expected, "{path:?} {value} of {llm}");
        if path.len() > 5 {
            continue;
        }
        let mut below = |step, value| {
            let mut path = path.clone();
            path.push(step);
            paths.push((path, value));
        };
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate().take(3) {
                    below(reference::Step::Index(i64::try_from(index).unwrap_or(0)), item);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    below(reference::Step::Key(name.clone()), member);
                }
            }
            _ => {}
        }
    }
    let outside = [reference::Step::Key("metadata".to_owned())];
    assert_eq!(
        rewritten(llm, &outside),
        reference::rewrite(llm, &outside, &mut edit),
        "{llm}"
    );
}

#[test]
fn the_reader_agrees_with_its_reference() {
    let bodies = variable("REQUEST_BODIES").unwrap_or(6_000);
    let seed = variable("DIFF_SEED").unwrap_or(1);
    for index in 0..bodies {
        compare(&bodies::llm(&mut Rng::seeded(
            seed.wrapping_mul(1_000_003).wrapping_add(index),
        )));
    }
}

#[test]
fn the_reader_agrees_on_every_shape() {
    for body in bodies::shapes() {
        compare(&body);
        for value in [
            json!("a text"),
            json!("id_1"),
            json!(5),
            json!(null),
            json!([1, 2]),
            json!({"x": "y z"}),
            json!(true),
        ] {
            for changed in bodies::with_each_replaced(&body, &value) {
                compare(&changed);
            }
        }
    }
}

/// A text that stands anywhere in a request is found, whatever is around it. The text is long because short ones may
/// stand in `stop` and `metadata`, which no model reads.
#[test]
fn no_place_hides_a_text() {
    let secret = format!("card 4111 1111 1111 1111 {}", "and more words ".repeat(40));
    let is_found = |llm: &Value| {
        found(llm)
            .iter()
            .any(|(what, _)| matches!(what, What::Text(text) if *text == secret))
    };
    let mut random: Vec<Value> = (0..200).map(|seed| bodies::llm(&mut Rng::seeded(seed))).collect();
    random.extend(bodies::shapes());
    for body in random {
        for value in [
            json!(secret),
            json!([secret]),
            json!({"text": secret}),
            json!({"id": secret}),
            json!({"data": [secret]}),
        ] {
            for changed in bodies::with_each_replaced(&body, &value) {
                assert!(is_found(&changed), "{changed}");
            }
        }
    }
}

/// What is asked for, in trees of options under every name that holds some.
#[test]
fn the_counts_agree_with_their_reference() {
    const NAMES: &str = "options parameters generationConfig extra_body config textGenerationConfig someConfig body params requests \
        additionalModelRequestFields reasoning thinking thinkingConfig n best_of numResults candidateCount max_tokens maxTokens \
        maxOutputTokens max_gen_len num_predict n_predict maxTokenCount max_response_output_tokens budget_tokens thinkingBudget prompt \
        inputs instances unheard";
    fn tree(rng: &mut Rng, names: &[&str], depth: usize) -> Value {
        match rng.below(if depth == 0 { 6 } else { 16 }) {
            0 => json!(-1),
            1 => json!([-2.0, 2.5, 0.0][rng.below(3)]),
            2 => Value::Null,
            3 if rng.chance(20) => json!("inf"),
            4 if rng.chance(20) => json!("a text"),
            3..=5 => json!(rng.below(1000)),
            6 => (0..rng.below(4)).map(|_| tree(rng, names, depth - 1)).collect(),
            _ => {
                let members =
                    (0..rng.below(4)).map(|_| ((*rng.pick(names)).to_owned(), tree(rng, names, depth - 1)));
                Value::Object(members.collect())
            }
        }
    }
    let names: Vec<&str> = NAMES.split_whitespace().collect();
    let known = |count| match count {
        Count::Absent => Some(0),
        Count::Known(n) => Some(n),
        Count::Unlimited => Some(u64::MAX),
        Count::Invalid => None,
    };
    let mut understood = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::seeded(seed);
        let members = (0..=rng.below(4)).map(|_| ((*rng.pick(&names)).to_owned(), tree(&mut rng, &names, 7)));
        let llm = Value::Object(members.collect());
        assert_eq!(policy_requests::choices(&llm), asked::choices(&llm), "{llm}");
        assert_eq!(
            known(policy_requests::extra(&llm)),
            asked::reasoning(&llm),
            "{llm}"
        );
        let limit = asked::limits(&llm).map(|limits| match limits {
            asked::Limits::Of(limits) => limits.into_iter().max().unwrap_or(0),
            asked::Limits::None => u64::MAX,
        });
        understood += u32::from(limit.is_some_and(|limit| limit > 0));
        assert_eq!(known(policy_requests::limit(&llm)), limit, "{llm}");
    }
    assert!(understood > 1000, "{understood}");
}
