//! How much answer a request asks for: completions, reasoning, limits in other places than `llm.maxTokens`.

use crate::node::{Node, Number, View};

/// A number of tokens or completions that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Nothing is asked for.
    Absent,
    /// This many; a fraction counts as the next whole number.
    Known(u64),
    /// No limit is asked for: the model's own counts, whatever other limits say.
    Unlimited,
    /// Something that is no count was sent: a text, a negative number. What rests on it is unknown.
    Invalid,
}

impl Count {
    /// The larger of two; `Invalid` beats all, then `Unlimited`.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        match (self, other) {
            (Self::Invalid, _) | (_, Self::Invalid) => Self::Invalid,
            (Self::Unlimited, _) | (_, Self::Unlimited) => Self::Unlimited,
            (Self::Absent, count) | (count, Self::Absent) => count,
            (Self::Known(a), Self::Known(b)) => Self::Known(a.max(b)),
        }
    }

    fn of<'a, N: Node<'a>>(node: N) -> Self {
        match node.view() {
            View::Null => Self::Absent,
            View::Number(Number::Int(n)) => u64::try_from(n).map_or(Self::Invalid, Self::Known),
            View::Number(Number::UInt(n)) => Self::Known(n),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 <= x < 2^63 is checked"
            )]
            View::Number(Number::Float(x)) if (0.0..9.2e18).contains(&x) => Self::Known(x.ceil() as u64),
            View::Number(Number::Float(_) | Number::Text(_))
            | View::Bool(_)
            | View::Str(_)
            | View::Array(_)
            | View::Object(_) => Self::Invalid,
        }
    }

    /// As [`Self::of`], where a number below zero and `inf` say that there is no limit.
    fn of_limit<'a, N: Node<'a>>(node: N) -> Self {
        match node.view() {
            View::Number(Number::Int(n)) if n < 0 => Self::Unlimited,
            View::Number(Number::Float(x)) if x < 0.0 => Self::Unlimited,
            View::Str("inf") => Self::Unlimited,
            _ => Self::of(node),
        }
    }
}

/// Levels of options in options that are looked at, below the first.
const LEVELS: u32 = 4;

/// How many completions are asked for: the prompts in a list of prompts, of inputs or instances, times the largest of `n`,
/// `best_of`, `candidateCount` and their other names, at the top or among the options. At least 1; `None` where one of
/// them is no count, or where something else stands in place of options.
#[must_use]
pub fn choices<'a, N: Node<'a>>(llm: N) -> Option<u64> {
    const NAMES: &[&str] = &[
        "n",
        "bestOf",
        "best_of",
        "candidateCount",
        "candidate_count",
        "sampleCount",
        "sample_count",
        "numResults",
        "num_results",
        "numOutputs",
        "num_outputs",
        "num_generations",
        "num_return_sequences",
    ];
    let mut each = Count::Absent;
    let mut lists = 1;
    places(llm, &mut |place, _| match place {
        Some(place) => {
            lists = lists.max(prompts(place));
            for count in NAMES.iter().filter_map(|name| place.get(name)) {
                each = each.max(Count::of(count));
            }
        }
        None => each = Count::Invalid,
    });
    let each = match each {
        Count::Absent => 1,
        Count::Known(n) => n.max(1),
        Count::Unlimited | Count::Invalid => return None,
    };
    Some(each.saturating_mul(lists).saturating_mul(requests(llm)))
}

/// Whether the provider is asked to run tools of its own: searches, its interpreter, servers of tools. What they cost and what
/// the model then reads is known to nobody before.
#[must_use]
pub fn provider_tools<'a, N: Node<'a>>(llm: N) -> bool {
    const MEMBERS: [&str; 5] = [
        "plugins",
        "search_parameters",
        "searchParameters",
        "web_search_options",
        "webSearchOptions",
    ];
    let mut found = false;
    places(llm, &mut |place, _| {
        let Some(place) = place else { return };
        found |= MEMBERS
            .iter()
            .filter_map(|name| place.get(name))
            .any(|value| match value.view() {
                View::Null => false,
                View::Array(mut items) => items.next().is_some(),
                View::Object(_) | View::Str(_) | View::Number(_) | View::Bool(_) => true,
            });
        if let Some(View::Array(mut items)) = place.get("tools").map(Node::view) {
            found |= items.any(is_run_by_provider);
        }
    });
    found
}

/// Whether a tool is one of the provider's own, by its type or, in Gemini's form, by its only member.
fn is_run_by_provider<'a, N: Node<'a>>(tool: N) -> bool {
    const TYPES: [&str; 10] = [
        "code_execution",
        "code_interpreter",
        "file_search",
        "google_search",
        "image_generation",
        "mcp",
        "retrieval",
        "web_fetch",
        "web_search",
        "x_search",
    ];
    const MEMBERS: [&str; 14] = [
        "codeExecution",
        "code_execution",
        "enterpriseWebSearch",
        "enterprise_web_search",
        "fileSearch",
        "file_search",
        "googleMaps",
        "google_maps",
        "googleSearch",
        "google_search",
        "googleSearchRetrieval",
        "google_search_retrieval",
        "urlContext",
        "url_context",
    ];
    // Types carry versions and stages: `web_search_20250305`, `web_search_preview`.
    let typed = tool
        .get("type")
        .and_then(Node::as_str)
        .is_some_and(|name| TYPES.iter().any(|own| name.starts_with(own)));
    let held = |name: &&str| matches!(tool.get(name).map(Node::view), Some(View::Object(_)));
    typed || MEMBERS.iter().any(held)
}

/// How many requests a batch holds.
fn requests<'a, N: Node<'a>>(llm: N) -> u64 {
    match llm.get("requests").map(Node::view) {
        Some(View::Array(items)) => items.map(|_| 1).sum::<u64>().max(1),
        _ => 1,
    }
}

/// How many prompts an object holds.
fn prompts<'a, N: Node<'a>>(place: N) -> u64 {
    let in_list = |name: &&str| {
        let Some(View::Array(items)) = place.get(name).map(Node::view) else {
            return 1;
        };
        let mut count = 0u64;
        let mut ids = true;
        for item in items {
            count += 1;
            ids &= matches!(item.view(), View::Number(_));
        }
        // An array of token ids is one prompt.
        if ids { 1 } else { count.max(1) }
    };
    ["prompt", "prompts", "inputs", "instances"]
        .iter()
        .map(in_list)
        .max()
        .unwrap_or(1)
}

/// What holds a budget for reasoning.
const REASONING: &[&str] = &[
    "thinking",
    "reasoning",
    "thinkingConfig",
    "thinking_config",
    "reasoning_config",
    "reasoningConfig",
];

/// Tokens of reasoning that are asked for, by the names that the APIs have for such a budget. Absent where the model
/// decides (-1 in Gemini's API). Where the completion has a limit, the APIs count reasoning within it.
#[must_use]
pub fn extra<'a, N: Node<'a>>(llm: N) -> Count {
    const NAMES: &[&str] = &[
        "budget_tokens",
        "budgetTokens",
        "thinkingBudget",
        "thinking_budget",
        "token_budget",
        "max_tokens",
        "maxTokens",
    ];
    let mut most = Count::Absent;
    places(llm, &mut |place, _| {
        let Some(place) = place else {
            most = Count::Invalid;
            return;
        };
        for holder in REASONING.iter().filter_map(|name| place.get(name)) {
            if matches!(holder.view(), View::Array(_)) {
                most = Count::Invalid;
            }
            for budget in NAMES.iter().filter_map(|name| holder.get(name)) {
                let model_decides = matches!(budget.view(), View::Number(Number::Int(-1)));
                if !model_decides {
                    most = most.max(Count::of(budget));
                }
            }
        }
    });
    most
}

/// What an answer may hold beside text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Media {
    /// It may hold sound.
    pub audio: bool,
    /// It may hold images.
    pub image: bool,
}

/// What a request says that its answer is to hold, by the names that the APIs have for it, in any case. `None` where that is
/// something else than text, sound and images; `Some(None)` where it says nothing, and the model decides.
#[must_use]
pub fn media<'a, N: Node<'a>>(llm: N) -> Option<Option<Media>> {
    const NAMES: &[&str] = &[
        "modalities",
        "outputModalities",
        "output_modalities",
        "responseModalities",
        "response_modalities",
    ];
    let mut said: Option<Media> = None;
    let mut understood = true;
    let mut add = |name: N| {
        let media = said.get_or_insert_default();
        match name.view() {
            View::Str(name) if name.eq_ignore_ascii_case("text") => {}
            View::Str(name) if name.eq_ignore_ascii_case("audio") => media.audio = true,
            View::Str(name) if name.eq_ignore_ascii_case("image") => media.image = true,
            _ => understood = false,
        }
    };
    let mut lost = false;
    places(llm, &mut |place, _| {
        let Some(place) = place else {
            lost = true;
            return;
        };
        for asked in NAMES.iter().filter_map(|name| place.get(name)) {
            match asked.view() {
                View::Null => {}
                View::Array(names) => names.for_each(&mut add),
                _ => add(asked),
            }
        }
    });
    (understood && !lost).then_some(said)
}

/// The largest limit of a completion that stands among the options: `generationConfig.maxOutputTokens` (Gemini),
/// `inferenceConfig.maxTokens` (Bedrock), `options.num_predict` (Ollama), `parameters.max_new_tokens`, and
/// `max_new_tokens` and others at the top. `llm.maxTokens` and its spellings at the top are not looked at.
/// [`Count::Unlimited`] where one of them says that there is no limit (-1).
#[must_use]
pub fn limit<'a, N: Node<'a>>(llm: N) -> Count {
    /// Spellings of `llm.maxTokens`.
    const KNOWN_FIELD: &[&str] = &[
        "maxTokens",
        "max_tokens",
        "maxCompletionTokens",
        "max_completion_tokens",
        "maxOutputTokens",
        "max_output_tokens",
    ];
    const OTHERS: &[&str] = &[
        "maxNewTokens",
        "max_new_tokens",
        "maxTokenCount",
        "max_token_count",
        "max_tokens_to_sample",
        "maxTokensToSample",
        "max_gen_len",
        "maxGenLen",
        "max_response_output_tokens",
        "maxResponseOutputTokens",
        "num_predict",
        "numPredict",
        "n_predict",
        "nPredict",
    ];
    let mut most = Count::Absent;
    places(llm, &mut |place, top| {
        let Some(place) = place else {
            most = Count::Invalid;
            return;
        };
        let known = if top { &[] } else { KNOWN_FIELD };
        for limit in OTHERS.iter().chain(known).filter_map(|name| place.get(name)) {
            most = most.max(Count::of_limit(limit));
        }
    });
    most
}

/// `llm` (with `true`), the requests of a batch, and the objects of options in them. `None` for what stands in place of
/// options and is no object.
fn places<'a, N: Node<'a>>(llm: N, found: &mut impl FnMut(Option<N>, bool)) {
    found(Some(llm), true);
    below(llm, 0, found);
}

fn below<'a, N: Node<'a>>(place: N, level: u32, found: &mut impl FnMut(Option<N>, bool)) {
    let View::Object(members) = place.view() else {
        return;
    };
    for (name, value) in members {
        let holds = Holds::by(name);
        match value.view() {
            View::Object(_) if level > LEVELS => {}
            View::Object(_) if holds != Holds::Content => {
                found(Some(value), false);
                below(value, level + 1, found);
            }
            View::Array(items) if name == "requests" && level <= LEVELS => {
                for item in items.filter(|item| matches!(item.view(), View::Object(_))) {
                    found(Some(item), false);
                    below(item, level + 1, found);
                }
            }
            View::Null | View::Object(_) => {}
            View::Array(_) | View::Str(_) | View::Number(_) | View::Bool(_) => {
                if holds == Holds::Options {
                    found(None, false);
                }
            }
        }
    }
}

/// What a member holds that may be an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Options, and nothing else.
    Options,
    /// Options or a request, or something else if it is no object.
    Perhaps,
    /// Anything else.
    Content,
}

impl Holds {
    fn by(name: &str) -> Self {
        match name {
            "generationConfig"
            | "generation_config"
            | "inferenceConfig"
            | "inference_config"
            | "parameters"
            | "options"
            | "additionalModelRequestFields"
            | "additional_model_request_fields"
            | "extra_body"
            | "extraBody"
            | "textGenerationConfig"
            | "text_generation_config"
            | "config"
            | "modelParameters"
            | "model_parameters"
            | "model_kwargs"
            | "modelKwargs"
            | "sampling_params"
            | "samplingParams"
            | "provider_options"
            | "providerOptions" => Self::Options,
            "body" | "params" | "request" | "response" | "session" | "settings" | "kwargs" | "llm" => {
                Self::Perhaps
            }
            _ if REASONING.contains(&name) => Self::Content,
            _ if ["onfig", "ptions", "arams", "arameters", "ettings"]
                .iter()
                .any(|end| name.ends_with(end)) =>
            {
                Self::Perhaps
            }
            _ => Self::Content,
        }
    }
}
