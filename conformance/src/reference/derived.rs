//! Derived fields (1.2, 1.6): what they are computed from, and when.
//!
//! Counting, pricing and detecting are the primitives' own; there is no second source of truth for them. What stands
//! here is the page's text around them: which text, which model, which of the caller's value and ours.

use super::{Found, Request, sent};
use policy_grammar::ast::Segment;
use policy_primitives::prices::{PriceTable, Resolution};
use policy_primitives::{pii, tokens};
use serde_json::Value;

/// Engine setting `derive` (1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Derive {
    /// Nothing is computed.
    Never,
    /// Only what the caller did not send.
    Missing,
    /// Wherever there is text to compute from.
    #[default]
    Always,
}

/// A derived field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    EstimatedTokens,
    EstimatedCost,
    MaxCost,
    ContainsPii,
    PiiTypes,
}

impl Field {
    /// The derived field of this canonical name below `llm`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "estimatedTokens" => Self::EstimatedTokens,
            "estimatedCost" => Self::EstimatedCost,
            "maxCost" => Self::MaxCost,
            "containsPII" => Self::ContainsPii,
            "piiTypes" => Self::PiiTypes,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::EstimatedTokens => "estimatedTokens",
            Self::EstimatedCost => "estimatedCost",
            Self::MaxCost => "maxCost",
            Self::ContainsPii => "containsPII",
            Self::PiiTypes => "piiTypes",
        }
    }
}

/// 1.2: "`always` (default) replaces what the caller sent wherever there is text to compute from, and lets the caller's
/// value stand where there is none; `missing` computes only what the caller did not send; `never` computes nothing".
pub(crate) fn value(field: Field, request: &Request<'_>) -> Found {
    let by_caller = llm(field.name(), request);
    let compute = match request.derive {
        Derive::Never => false,
        Derive::Missing => by_caller == Found::Missing,
        Derive::Always => true,
    };
    if !compute {
        return by_caller;
    }
    match text_of(request) {
        Some(text) => compute_from(field, &text, request),
        None => by_caller,
    }
}

/// The text of a request, in parts that are never joined.
enum Text {
    /// `llm.prompt`.
    Prompt(String),
    /// `llm.messages`.
    Messages(Vec<Message>),
}

/// One chat message.
struct Message {
    role: Option<String>,
    name: Option<String>,
    parts: Vec<String>,
}

impl Text {
    fn parts(&self) -> Vec<&str> {
        match self {
            Self::Prompt(prompt) => vec![prompt],
            Self::Messages(messages) => messages
                .iter()
                .flat_map(|m| m.parts.iter().map(String::as_str))
                .collect(),
        }
    }
}

/// 1.2: "computed from `llm.prompt`, or from the text parts of `llm.messages` when there is no prompt". Ruling: an empty
/// prompt is none, because otherwise it would hide the messages; and where all parts are empty there is no text.
fn text_of(request: &Request<'_>) -> Option<Text> {
    if let Some(prompt) = llm_text("prompt", request).filter(|prompt| !prompt.is_empty()) {
        return Some(Text::Prompt(prompt));
    }
    let Found::Present(Value::Array(messages)) = llm("messages", request) else {
        return None;
    };
    let text = Text::Messages(messages.iter().map(message).collect());
    if text.parts().iter().all(|part| part.is_empty()) {
        None
    } else {
        Some(text)
    }
}

/// The content of a message is a text, or a list of parts some of which hold text. Ruling: a message or a part that is a
/// bare string is its own text, because a model would read it.
fn message(value: &Value) -> Message {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let content = if value.is_string() {
        Some(value)
    } else {
        value.get("content")
    };
    let parts = match content {
        Some(Value::String(content)) => vec![content.clone()],
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.as_str().or_else(|| part.get("text").and_then(Value::as_str)))
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    Message {
        role: text("role"),
        name: text("name"),
        parts,
    }
}

fn llm(name: &str, request: &Request<'_>) -> Found {
    sent(
        &[Segment::Key("llm".to_owned()), Segment::Key(name.to_owned())],
        request.context,
    )
}

fn llm_text(name: &str, request: &Request<'_>) -> Option<String> {
    match llm(name, request) {
        Found::Present(Value::String(text)) => Some(text),
        Found::Present(_) | Found::Missing | Found::Unknown => None,
    }
}

fn compute_from(field: Field, text: &Text, request: &Request<'_>) -> Found {
    match field {
        Field::EstimatedTokens => Found::Present(Value::from(count(text, request))),
        Field::EstimatedCost => cost(text, request, false),
        Field::MaxCost => cost(text, request, true),
        Field::ContainsPii => {
            Found::Present(Value::Bool(text.parts().iter().any(|part| pii::contains(part))))
        }
        Field::PiiTypes => {
            let types = text
                .parts()
                .iter()
                .fold(pii::PiiTypeSet::EMPTY, |set, part| set.union(pii::types_in(part)));
            Found::Present(types.names().map(Value::from).collect())
        }
    }
}

/// 1.6 Tokens: by the model's family, "and chat overhead for messages".
fn count(text: &Text, request: &Request<'_>) -> u64 {
    let family = tokens::family_for(&llm_text("model", request).unwrap_or_default());
    let mut scratch = tokens::TokenScratch::new();
    let mut counter = tokens::Counter::new(family, &mut scratch);
    match text {
        Text::Prompt(prompt) => {
            counter.text(prompt);
            counter.finish().tokens
        }
        Text::Messages(messages) => {
            for message in messages {
                counter.message();
                if let Some(role) = &message.role {
                    counter.text(role);
                }
                if let Some(name) = &message.name {
                    counter.name(name);
                }
                for part in &message.parts {
                    counter.text(part);
                }
            }
            counter.finish_chat().tokens
        }
    }
}

/// 1.6 Cost: "`estimatedCost` = prompt + `maxTokens` (default 500) completion; `maxCost` uses the model's own limit
/// when `maxTokens` is absent"; unknown is a state, never 0.
fn cost(text: &Text, request: &Request<'_>, max: bool) -> Found {
    let Some(model) = llm_text("model", request) else {
        return Found::Unknown;
    };
    let provider = llm_text("provider", request);
    let Resolution::Known { entry, .. } = PriceTable::builtin().resolve(provider.as_deref(), &model) else {
        return Found::Unknown;
    };
    // Ruling: a limit that is no number of tokens makes the cost unknown; null is no limit.
    let max_tokens = match llm("maxTokens", request) {
        Found::Missing | Found::Unknown | Found::Present(Value::Null) => None,
        Found::Present(value) => match whole_tokens(&value) {
            Some(tokens) => Some(tokens),
            None => return Found::Unknown,
        },
    };
    let tokens = count(text, request);
    let cost = if max {
        entry.max_cost(tokens, max_tokens)
    } else {
        entry.estimated_cost(tokens, max_tokens)
    };
    cost.map_or(Found::Unknown, |cost| {
        Found::Present(Value::from(cost.to_dollars_f64()))
    })
}

/// A number of tokens. Ruling: a fraction is the next whole token.
fn whole_tokens(value: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "inside the range of 63 bits"
    )]
    let ceiling = |x: f64| x.ceil() as u64;
    value.as_u64().or_else(|| {
        value
            .as_f64()
            .filter(|x| *x >= 0.0 && *x < 9.2e18 && value.is_f64())
            .map(ceiling)
    })
}
