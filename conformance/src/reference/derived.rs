//! Derived fields (1.2, 1.6): what they are computed from, and when.
//!
//! Counting, pricing, normalising, detecting and writing tools as a model sees them are the product's own; there is no
//! second source of truth for them. What a request says is read by [`super::requests`], which shares nothing with it. What stands here is the
//! page's text around them: which text, which model, which of the caller's value and ours.

use super::requests::{self, What};
use super::{Found, Request, sent};
use super::{asked, numbers};
use policy_grammar::ast::{FieldPath, Segment};
use policy_primitives::prices::{
    CostInput, DEFAULT_COMPLETION_TOKENS, Entry, PriceTable, Resolution, ServiceTier, canonical_name,
    family_name,
};
use policy_primitives::{escapes, injection, normalize, pii, tokens};
use policy_requests::{Node, Number, View};
use serde_json::Value;

/// Engine setting `derive` (1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Derive {
    /// Nothing is computed.
    Never,
    /// Only what the caller did not send.
    Missing,
    /// Whatever the caller sent.
    #[default]
    Always,
}

/// A derived field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Text,
    NormalizedText,
    LastUserText,
    UnreadContent,
    CanonicalModel,
    ModelFamily,
    EstimatedTokens,
    EstimatedCost,
    MaxCost,
    ContainsPii,
    PiiTypes,
    InjectionSignals,
    InjectionScore,
}

impl Field {
    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Text, "text"),
        (Self::NormalizedText, "normalizedText"),
        (Self::LastUserText, "lastUserText"),
        (Self::UnreadContent, "unreadContent"),
        (Self::CanonicalModel, "canonicalModel"),
        (Self::ModelFamily, "modelFamily"),
        (Self::EstimatedTokens, "estimatedTokens"),
        (Self::EstimatedCost, "estimatedCost"),
        (Self::MaxCost, "maxCost"),
        (Self::ContainsPii, "containsPII"),
        (Self::PiiTypes, "piiTypes"),
        (Self::InjectionSignals, "injectionSignals"),
        (Self::InjectionScore, "injectionScore"),
    ];

    /// The derived field of this canonical name below `llm`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, own)| *own == name)
            .map(|(field, _)| *field)
    }

    fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(field, _)| *field == self)
            .map_or("", |(_, name)| name)
    }

    /// What it is computed from; reading it reads that.
    pub(crate) fn inputs(self) -> Vec<FieldPath> {
        let paths: &[&str] = match self {
            Self::CanonicalModel | Self::ModelFamily => &["llm.model", "llm.provider"],
            Self::EstimatedCost | Self::MaxCost => &[
                "llm",
                "llm.model",
                "llm.provider",
                "llm.maxTokens",
                "llm.serviceTier",
            ],
            Self::EstimatedTokens => &["llm", "llm.model"],
            Self::Text
            | Self::NormalizedText
            | Self::LastUserText
            | Self::UnreadContent
            | Self::ContainsPii
            | Self::PiiTypes
            | Self::InjectionSignals
            | Self::InjectionScore => &["llm"],
        };
        let path = |text: &&str| FieldPath {
            segments: text.split('.').map(|key| Segment::Key(key.to_owned())).collect(),
        };
        paths.iter().map(path).collect()
    }
}

/// 1.2: "`always` (default) replaces what the caller sent, also where there is no text; `missing` computes only what the
/// caller did not send; `never` computes nothing".
pub(crate) fn value(field: Field, request: &Request<'_>) -> Found {
    let by_caller = llm(field.name(), request);
    match request.derive {
        Derive::Never => by_caller,
        Derive::Missing if by_caller != Found::Missing => by_caller,
        Derive::Missing | Derive::Always => compute(field, request),
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

/// A value whose numbers of any size are numbers for the product's rendering of tools.
#[derive(Debug, Clone, Copy)]
struct Exact<'v>(&'v Value);

#[derive(Debug, Clone)]
struct Elements<'v>(std::slice::Iter<'v, Value>);

impl<'v> Iterator for Elements<'v> {
    type Item = Exact<'v>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Exact)
    }
}

#[derive(Debug, Clone)]
struct Members<'v>(serde_json::map::Iter<'v>);

impl<'v> Iterator for Members<'v> {
    type Item = (&'v str, Exact<'v>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), Exact(value)))
    }
}

impl<'v> Node<'v> for Exact<'v> {
    type Items = Elements<'v>;
    type Members = Members<'v>;

    fn view(self) -> View<'v, Self> {
        match (numbers::mark_of(self.0), self.0) {
            (Some(text), _) => View::Number(Number::Text(text)),
            (None, Value::Array(items)) => View::Array(Elements(items.iter())),
            (None, Value::Object(members)) => View::Object(Members(members.iter())),
            (None, Value::Null) => View::Null,
            (None, Value::Bool(value)) => View::Bool(*value),
            (None, Value::String(text)) => View::Str(text),
            (None, Value::Number(n)) => View::Number(match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), ..) => Number::Int(n),
                (None, Some(n), _) => Number::UInt(n),
                (None, None, x) => Number::Float(x.unwrap_or(f64::NAN)),
            }),
        }
    }

    fn get(self, name: &str) -> Option<Self> {
        self.0.as_object()?.get(name).map(Exact)
    }
}

/// A text with its escapes undone, if it has any.
pub(super) fn undone(text: &str) -> Option<String> {
    let mut out = String::new();
    let any = escapes::undo(text, &mut out).expect("a string takes every text");
    any.then_some(out)
}

/// Whether a text is an object, a list or a string of JSON.
pub(super) fn is_json(text: &str) -> bool {
    matches!(text.trim_start().chars().next(), Some('{' | '[' | '"'))
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// What a request says, by kind.
#[derive(Default)]
struct Read {
    /// What people and tools wrote: the text, the member of `llm`, the position in it, and who says it.
    texts: Vec<Said>,
    /// Roles and names of messages.
    labels: Vec<String>,
    messages: u64,
    names: u64,
    token_ids: u64,
    /// Detail and base64 of each image.
    images: Vec<(Option<String>, Option<String>)>,
    tools: Vec<Value>,
    unread: Vec<&'static str>,
}

struct Said {
    sent: String,
    undone: Option<String>,
    text: String,
    member: &'static str,
    turn: usize,
    role: &'static str,
}

impl Read {
    fn new(llm: &Value) -> Self {
        let mut read = Self::default();
        for (what, place) in requests::read(llm) {
            let mut say = |sent: String| {
                // "whatever the shape": JSON in a text reads as what it says.
                let undone = undone(&sent);
                let text = undone
                    .clone()
                    .filter(|_| is_json(&sent))
                    .unwrap_or_else(|| sent.clone());
                read.texts.push(Said {
                    sent,
                    undone,
                    text,
                    member: place.field,
                    turn: place.turn,
                    role: place.role,
                });
            };
            match what {
                What::Message { named } => {
                    read.messages += 1;
                    read.names += u64::from(named);
                }
                What::Role(label) | What::Name(label) => read.labels.push(label),
                What::Text(text) => say(text),
                // As JSON writes it.
                What::Number(number) => say(super::json_text(&number)),
                What::Bool(value) => say(value.to_string()),
                What::TokenIds(n) => read.token_ids += n,
                What::Image { detail, base64, .. } => {
                    read.images.push((detail, base64));
                    read.unread.push("image");
                }
                What::Tool(tool) => read.tools.push(tool),
                What::Unread(kind) => read.unread.push(kind),
            }
        }
        read
    }

    fn is_empty(&self) -> bool {
        self.texts.is_empty()
            && self.labels.is_empty()
            && self.token_ids == 0
            && self.tools.is_empty()
            && self.unread.is_empty()
    }
}

fn compute(field: Field, request: &Request<'_>) -> Found {
    let read = Read::new(request.context.get("llm").unwrap_or(&Value::Null));
    let texts: Vec<&str> = read.texts.iter().map(|said| said.text.as_str()).collect();
    // Personal data shows in one spelling or the other.
    let spelled = || {
        let both = read
            .texts
            .iter()
            .map(|said| [Some(said.sent.as_str()), said.undone.as_deref()]);
        both.flatten().flatten()
    };
    match field {
        // "every text of the request in order, one a line". Ruling: "" where there is none.
        Field::Text => Found::Present(Value::from(texts.join("\n"))),
        Field::NormalizedText => match normalized(&texts) {
            Some(text) => Found::Present(Value::from(text)),
            None => Found::Unknown,
        },
        Field::LastUserText => {
            last_user_text(&read).map_or(Found::Missing, |text| Found::Present(Value::from(text)))
        }
        Field::UnreadContent => {
            let order = ["image", "audio", "file", "video", "encrypted", "unknown"];
            let kinds = order.into_iter().filter(|kind| read.unread.contains(kind));
            Found::Present(kinds.map(Value::from).collect())
        }
        Field::CanonicalModel | Field::ModelFamily => model_name(field, request),
        Field::EstimatedTokens => {
            count(&read, request).map_or(Found::Unknown, |n| Found::Present(Value::from(n)))
        }
        Field::EstimatedCost => cost(&read, request, false),
        Field::MaxCost => cost(&read, request, true),
        Field::ContainsPii => Found::Present(Value::Bool(spelled().any(pii::contains))),
        Field::PiiTypes => {
            let types = spelled().fold(pii::PiiTypeSet::EMPTY, |set, text| set.union(pii::types_in(text)));
            Found::Present(types.names().map(Value::from).collect())
        }
        // "categories of injection phrases found in `llm.normalizedText`". Ruling: unknown where that is.
        Field::InjectionSignals => match normalized(&texts) {
            Some(text) => {
                let names = injection::detect(&text)
                    .signals
                    .iter()
                    .map(|signal| signal.name());
                Found::Present(names.map(Value::from).collect())
            }
            None => Found::Unknown,
        },
        Field::InjectionScore => match normalized(&texts) {
            Some(text) => Found::Present(Value::from(injection::detect(&text).score)),
            None => Found::Unknown,
        },
    }
}

fn normalized(texts: &[&str]) -> Option<String> {
    let text = texts.join("\n");
    let mut out = String::new();
    normalize::normalize(&text, &mut out);
    // Ruling: what becomes more than twice as long, beyond a mebibyte, is disguise, and unknown.
    (out.len() <= (1 << 20).max(2 * text.len())).then_some(out)
}

/// "text of the last user message". Ruling: of each place that can hold one, because nobody knows which one a model
/// reads; missing where there is none.
fn last_user_text(read: &Read) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for member in ["prompt", "messages", "input", "contents", "message"] {
        let mine: Vec<_> = read
            .texts
            .iter()
            .filter(|said| said.member == member && said.role == "user")
            .collect();
        let last = mine.iter().map(|said| said.turn).max();
        parts.extend(
            mine.iter()
                .filter(|said| Some(said.turn) == last)
                .map(|said| said.text.as_str()),
        );
    }
    if parts.is_empty() {
        None
    } else {
        Some(parts.join("\n"))
    }
}

/// "the name that the price lookup resolves to, and its family; missing when nothing resolves".
fn model_name(field: Field, request: &Request<'_>) -> Found {
    let model = match llm("model", request) {
        Found::Present(Value::String(model)) => model,
        Found::Present(Value::Null) | Found::Missing => return Found::Missing,
        Found::Present(_) | Found::Unknown => return Found::Unknown,
    };
    let provider = llm_text("provider", request);
    // Ruling: a model is known by its name whether its price is known or not.
    match PriceTable::builtin().identify(provider.as_deref(), &model) {
        Some(entry) => {
            let mut name = String::new();
            canonical_name(entry, &mut name);
            Found::Present(Value::from(match field {
                Field::ModelFamily => family_name(&name).to_owned(),
                _ => name,
            }))
        }
        None => Found::Missing,
    }
}

/// 1.6 Tokens: by the model's family, "with the chat's overhead, names, tool definitions and tool calls", token ids and
/// images. `None` where something cannot be counted.
fn count(read: &Read, request: &Request<'_>) -> Option<u64> {
    // Ruling: images can be counted, nothing else that cannot be read.
    if read.unread.iter().any(|kind| *kind != "image") {
        return None;
    }
    let model = llm_text("model", request).unwrap_or_default();
    let family = tokens::family_for(&model);
    let chat = tokens::ChatOverhead::default();
    let mut total = 0;
    let mut scratch = tokens::TokenScratch::new();
    let mut counter = tokens::Counter::new(family, &mut scratch);
    let mut tools = String::new();
    for tool in &read.tools {
        policy_requests::tools::render(Exact(tool), &mut tools);
    }
    let said = read.texts.iter().filter(|said| said.member != "tools");
    said.for_each(|said| counter.text(&said.sent));
    read.labels.iter().for_each(|label| counter.text(label));
    counter.text(&tools);
    total += counter.finish().tokens;
    total += read.token_ids;
    if read.messages > 0 {
        total += chat.tokens(read.messages, read.names);
        for member in ["system", "instructions"] {
            if read.texts.iter().any(|said| said.member == member) {
                total += chat.per_message;
            }
        }
    }
    if !read.tools.is_empty() {
        let system = read.texts.iter().any(|said| said.role == "system");
        total += tokens::tool_overhead(family, system);
    }
    // Ruling: each call of a tool takes tokens beside its name and arguments.
    total += tokens::call_overhead(family) * calls(request.context.get("llm").unwrap_or(&Value::Null));
    for (detail, base64) in &read.images {
        let size = base64.as_deref().and_then(tokens::image_size);
        total += tokens::image(&model, detail.as_deref(), size).tokens;
    }
    Some(total)
}

/// The calls of tools in messages, inputs and contents, in each API's shape.
fn calls(llm: &Value) -> u64 {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let is_call = |value: &Value| {
        let types = "function_call custom_tool_call mcp_call tool_use server_tool_use mcp_tool_use";
        let typed = value["type"]
            .as_str()
            .is_some_and(|name| types.split(' ').any(|t| t == name));
        let holds = |name: &str| value[name].is_object() && numbers::mark_of(&value[name]).is_none();
        typed || holds("functionCall") || holds("function_call") || holds("toolUse")
    };
    let mut count = 0;
    for name in ["messages", "input", "contents"] {
        for message in list(llm, name) {
            count += list(&message, "tool_calls").len();
            let mut parts = list(&message, "content");
            parts.extend(list(&message, "parts"));
            count += std::iter::once(&message)
                .chain(&parts)
                .filter(|part| is_call(part))
                .count();
        }
    }
    count as u64
}

/// 1.6 Cost: "`estimatedCost` = input + `n` × `maxTokens` (default 500) output; `maxCost` uses the model's own limit when
/// `maxTokens` is absent"; unknown is a state, never 0.
fn cost(read: &Read, request: &Request<'_>, max: bool) -> Found {
    let model = llm("model", request);
    // Ruling: missing only where there is neither a model nor anything for one to read.
    if matches!(model, Found::Missing | Found::Present(Value::Null)) && read.is_empty() {
        return Found::Missing;
    }
    match known_cost(&model, read, request, max) {
        Some(dollars) => Found::Present(Value::from(dollars)),
        None => Found::Unknown,
    }
}

fn known_cost(model: &Found, read: &Read, request: &Request<'_>, max: bool) -> Option<f64> {
    let Found::Present(Value::String(model)) = model else {
        return None;
    };
    let provider = llm_text("provider", request);
    let Resolution::Known { entry, surcharge, .. } =
        PriceTable::builtin().resolve(provider.as_deref(), model)
    else {
        return None;
    };
    let context = request.context.get("llm").unwrap_or(&Value::Null);
    if asked::provider_tools(context) && !entry.is_free() {
        return None;
    }
    let input_tokens = count(read, request)?;
    let each = completion(entry, context, request, max)?;
    let choices = asked::choices(context)?;
    // Ruling: what is asked to be reasoning is priced as such, and all of it for the most that a request can cost.
    let reasoning = if max && entry.reasoning_is_dearer() {
        each
    } else {
        asked::reasoning(context)?.min(each)
    };
    // Ruling: every token of an answer that may be sound or an image costs what the dearest of them costs.
    let kinds = asked::modalities(context)?.unwrap_or_else(|| {
        let images = entry.output_of("image").map(|_| "image".to_owned());
        let sound = entry.speaks().then(|| "audio".to_owned());
        images.into_iter().chain(sound).collect()
    });
    let prices = kinds
        .iter()
        .filter(|kind| *kind != "text")
        .map(|kind| entry.output_of(kind))
        .collect::<Option<Vec<_>>>()?;
    let cost = entry.estimate(CostInput {
        output_price: prices.into_iter().max(),
        input_tokens,
        output_tokens: each.saturating_mul(choices),
        reasoning_tokens: reasoning.saturating_mul(choices),
        service: llm_text("serviceTier", request)
            .map_or(ServiceTier::Standard, |tier| ServiceTier::asked(&tier)),
        surcharge,
        ..CostInput::default()
    })?;
    Some(cost.to_dollars_f64())
}

/// Tokens of one completion. Ruling: a limit that is no number of tokens makes the cost unknown; null is no limit; of
/// several limits the largest counts; a budget for reasoning adds to the default only, since the APIs count it within a
/// limit.
fn completion(entry: &Entry, llm_object: &Value, request: &Request<'_>, max: bool) -> Option<u64> {
    let (mut limits, none) = match asked::limits(llm_object)? {
        asked::Limits::Of(limits) => (limits, false),
        asked::Limits::None => (Vec::new(), true),
    };
    match llm("maxTokens", request) {
        Found::Missing | Found::Present(Value::Null) => {}
        Found::Present(value) => limits.push(asked::whole(&value)?),
        Found::Unknown => return None,
    }
    let reasoning = asked::reasoning(llm_object)?;
    match limits.into_iter().max() {
        Some(limit) if !none => Some(limit),
        _ if max => entry.longest_completion(),
        _ => Some(DEFAULT_COMPLETION_TOKENS + reasoning),
    }
}
