//! How much answer a request asks for: completions, reasoning, limits in other places than `llm.maxTokens`.

use crate::node::{Node, Number, View};

/// A number of tokens or completions that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Nothing is asked for.
    Absent,
    /// This many; a fraction counts as the next whole number.
    Known(u64),
    /// Something that is no count was sent: a text, a negative number. What rests on it is unknown.
    Invalid,
}

impl Count {
    /// The larger of two; `Invalid` beats all.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        match (self, other) {
            (Self::Invalid, _) | (_, Self::Invalid) => Self::Invalid,
            (Self::Absent, count) | (count, Self::Absent) => count,
            (Self::Known(a), Self::Known(b)) => Self::Known(a.max(b)),
        }
    }

    fn of<'a, N: Node<'a>>(node: Option<N>) -> Self {
        let Some(node) = node else {
            return Self::Absent;
        };
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
}

/// How many completions are asked for: the prompts in a list of prompts, times the largest of `n`, `best_of`,
/// `candidateCount` and their other names, at the top or among the options. At least 1; `None` where one of them is no
/// count.
#[must_use]
pub fn choices<'a, N: Node<'a>>(llm: N) -> Option<u64> {
    const NAMES: &[&str] = &[
        "n",
        "bestOf",
        "best_of",
        "candidateCount",
        "candidate_count",
        "sampleCount",
        "num_generations",
        "num_return_sequences",
    ];
    let each = match largest(llm, NAMES) {
        Count::Absent => 1,
        Count::Known(n) => n.max(1),
        Count::Invalid => return None,
    };
    Some(each.saturating_mul(prompts(llm)))
}

/// How many prompts a request holds.
fn prompts<'a, N: Node<'a>>(llm: N) -> u64 {
    let Some(View::Array(items)) = llm.get("prompt").map(Node::view) else {
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
}

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
    const HOLDERS: &[&str] = &[
        "thinking",
        "reasoning",
        "thinkingConfig",
        "thinking_config",
        "reasoning_config",
        "reasoningConfig",
    ];
    let mut most = Count::Absent;
    for place in places(llm) {
        for holder in HOLDERS.iter().filter_map(|name| place.get(name)) {
            for budget in NAMES.iter().filter_map(|name| holder.get(name)) {
                let model_decides = matches!(budget.view(), View::Number(Number::Int(-1)));
                if !model_decides {
                    most = most.max(Count::of(Some(budget)));
                }
            }
        }
    }
    most
}

/// The largest limit of a completion that stands among the options: `generationConfig.maxOutputTokens` (Gemini),
/// `inferenceConfig.maxTokens` (Bedrock), `options.num_predict` (Ollama), `parameters.max_new_tokens`, and
/// `max_new_tokens` at the top. `llm.maxTokens` and its spellings at the top are not looked at. Absent where the model
/// decides (-1).
#[must_use]
pub fn limit<'a, N: Node<'a>>(llm: N) -> Count {
    const NAMES: &[&str] = &[
        "maxOutputTokens",
        "max_output_tokens",
        "maxTokens",
        "max_tokens",
        "maxCompletionTokens",
        "max_completion_tokens",
        "maxNewTokens",
        "max_new_tokens",
        "maxTokenCount",
        "max_tokens_to_sample",
        "num_predict",
    ];
    const AT_TOP: &[&str] = &[
        "maxNewTokens",
        "max_new_tokens",
        "maxTokenCount",
        "max_tokens_to_sample",
        "num_predict",
    ];
    let count = |holder: N, names: &[&str]| {
        names
            .iter()
            .filter_map(|name| holder.get(name))
            .filter(|limit| !matches!(limit.view(), View::Number(Number::Int(-1))))
            .fold(Count::Absent, |most, limit| most.max(Count::of(Some(limit))))
    };
    places(llm)
        .skip(1)
        .fold(count(llm, AT_TOP), |most, holder| most.max(count(holder, NAMES)))
}

/// `llm` and the objects of options in it.
fn places<'a, N: Node<'a>>(llm: N) -> impl Iterator<Item = N> {
    const OPTIONS: &[&str] = &[
        "generationConfig",
        "generation_config",
        "inferenceConfig",
        "inference_config",
        "parameters",
        "options",
        "additionalModelRequestFields",
        "extra_body",
    ];
    std::iter::once(llm).chain(OPTIONS.iter().filter_map(move |name| llm.get(name)))
}

fn largest<'a, N: Node<'a>>(llm: N, names: &[&str]) -> Count {
    places(llm)
        .flat_map(|place| names.iter().filter_map(move |name| place.get(name)))
        .fold(Count::Absent, |most, count| most.max(Count::of(Some(count))))
}
