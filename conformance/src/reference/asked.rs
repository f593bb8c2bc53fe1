//! How much answer a request asks for (1.6, Cost), in the words of the APIs. `None` everywhere for what is no count.

use serde_json::Value;

/// A number of tokens or completions. Ruling: a fraction is the next whole number.
#[must_use]
pub fn whole(value: &Value) -> Option<u64> {
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

/// Members that hold options of the call; anything but an object there cannot be understood.
const OPTIONS: &str = "generationConfig generation_config inferenceConfig inference_config textGenerationConfig \
    text_generation_config config parameters modelParameters model_parameters model_kwargs modelKwargs sampling_params \
    samplingParams options provider_options providerOptions extra_body extraBody additionalModelRequestFields \
    additional_model_request_fields";
/// Members that hold options or a whole request, if they are objects.
const WRAPPERS: &str = "body params request response session settings kwargs llm";
/// Members that hold a budget for reasoning.
const REASONING: &str = "thinking reasoning thinkingConfig thinking_config reasoning_config reasoningConfig";

fn is_one_of(name: &str, names: &str) -> bool {
    names.split_whitespace().any(|one| one == name)
}

/// Whether the provider is asked to run tools of its own. Ruling: what they cost cannot be counted, so the cost is unknown.
#[must_use]
pub fn provider_tools(llm: &Value) -> bool {
    const SWITCHES: &str = "plugins search_parameters searchParameters web_search_options webSearchOptions";
    const TYPES: &str = "code_execution code_interpreter file_search google_search image_generation mcp retrieval web_fetch \
        web_search x_search";
    const MEMBERS: &str = "codeExecution code_execution enterpriseWebSearch enterprise_web_search fileSearch file_search \
        googleMaps google_maps googleSearch google_search googleSearchRetrieval google_search_retrieval urlContext url_context";
    let own = |tool: &Value| {
        tool["type"]
            .as_str()
            .is_some_and(|name| TYPES.split_whitespace().any(|own| name.starts_with(own)))
            || MEMBERS.split_whitespace().any(|name| tool[name].is_object())
    };
    places(llm).unwrap_or_default().into_iter().any(|place| {
        let switched = SWITCHES
            .split_whitespace()
            .map(|name| &place[name])
            .any(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
        switched
            || place["tools"]
                .as_array()
                .is_some_and(|tools| tools.iter().any(own))
    })
}

/// `llm`, the requests of a batch, and the objects of options in them, five in one another at most. `None` where something
/// else stands in place of options.
fn places(llm: &Value) -> Option<Vec<&Value>> {
    let mut all = vec![llm];
    let mut level = vec![llm];
    for _ in 0..5 {
        let mut next = Vec::new();
        for (name, value) in level.iter().filter_map(|place| place.as_object()).flatten() {
            let ending = ["onfig", "ptions", "arams", "arameters", "ettings"]
                .iter()
                .any(|end| name.ends_with(end));
            let holds_options = is_one_of(name, OPTIONS);
            let may_hold_some = is_one_of(name, WRAPPERS) || ending && !is_one_of(name, REASONING);
            match value {
                Value::Null => {}
                Value::Object(_) if holds_options || may_hold_some => next.push(value),
                Value::Array(requests) if name == "requests" => {
                    next.extend(requests.iter().filter(|request| request.is_object()));
                }
                Value::Object(_) => {}
                _ if holds_options => return None,
                _ => {}
            }
        }
        all.extend(next.iter());
        level = next;
    }
    // The same once more, only to see what is no object.
    let wrong = level
        .iter()
        .filter_map(|place| place.as_object())
        .flatten()
        .any(|(name, value)| is_one_of(name, OPTIONS) && !value.is_null() && !value.is_object());
    (!wrong).then_some(all)
}

/// The values of these members that are there and not null.
fn members<'v>(of: &'v Value, names: &[&str]) -> Vec<&'v Value> {
    let values = names.iter().filter_map(|name| of.get(name));
    values.filter(|value| !value.is_null()).collect()
}

/// Completions for which is paid: one for each prompt of a list, times the largest of `n` and its like, at least 1.
#[must_use]
pub fn choices(llm: &Value) -> Option<u64> {
    let names = [
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
    let mut each = 1;
    let mut most_prompts = 1;
    for place in places(llm)? {
        for list in members(place, &["prompt", "prompts", "inputs", "instances"]) {
            // Token ids are one prompt.
            if let Value::Array(items) = list
                && !items.iter().all(Value::is_number)
            {
                most_prompts = most_prompts.max(items.len() as u64);
            }
        }
        for value in members(place, &names) {
            each = each.max(whole(value)?);
        }
    }
    let batch = llm.get("requests").and_then(Value::as_array);
    let requests = batch.map_or(1, |requests| requests.len().max(1) as u64);
    Some(each.saturating_mul(most_prompts).saturating_mul(requests))
}

/// Tokens of reasoning that are asked for; -1 leaves it to the model.
#[must_use]
pub fn reasoning(llm: &Value) -> Option<u64> {
    let names = [
        "budget_tokens",
        "budgetTokens",
        "thinkingBudget",
        "thinking_budget",
        "token_budget",
        "max_tokens",
        "maxTokens",
    ];
    let holders: Vec<&str> = REASONING.split(' ').collect();
    let mut most = 0;
    for place in places(llm)? {
        for holder in members(place, &holders) {
            if holder.is_array() {
                return None;
            }
            for value in members(holder, &names)
                .into_iter()
                .filter(|v| v.as_i64() != Some(-1))
            {
                most = most.max(whole(value)?);
            }
        }
    }
    Some(most)
}

/// The kinds of answer that are asked for, in lower case; `Some(None)` where nothing is said of them.
#[must_use]
pub fn modalities(llm: &Value) -> Option<Option<Vec<String>>> {
    let names = [
        "modalities",
        "outputModalities",
        "output_modalities",
        "responseModalities",
        "response_modalities",
    ];
    let mut kinds = None;
    for place in places(llm)? {
        for value in members(place, &names) {
            let all = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            for kind in all {
                let kind = kind.as_str()?.to_ascii_lowercase();
                if !is_one_of(&kind, "text audio image") {
                    return None;
                }
                kinds.get_or_insert_with(Vec::new).push(kind);
            }
        }
    }
    Some(kinds)
}

/// What the options of a request limit its completion to, in other places than `llm.maxTokens`.
#[derive(Debug)]
pub enum Limits {
    /// The limits.
    Of(Vec<u64>),
    /// One of them says that there is none: a number below zero, `inf`.
    None,
}

/// Limits in other places than `llm.maxTokens`.
#[must_use]
pub fn limits(llm: &Value) -> Option<Limits> {
    let names = "maxNewTokens max_new_tokens maxTokenCount max_token_count max_tokens_to_sample maxTokensToSample max_gen_len \
        maxGenLen max_response_output_tokens maxResponseOutputTokens num_predict numPredict n_predict nPredict";
    // At the top, these are `llm.maxTokens`.
    let inside =
        "maxTokens max_tokens maxCompletionTokens max_completion_tokens maxOutputTokens max_output_tokens";
    let mut found = Vec::new();
    for (index, place) in places(llm)?.into_iter().enumerate() {
        let inside = if index == 0 { "" } else { inside };
        let names: Vec<&str> = names
            .split_whitespace()
            .chain(inside.split_whitespace())
            .collect();
        found.extend(members(place, &names));
    }
    let is_none = |value: &&Value| value.as_f64().is_some_and(|x| x < 0.0) || **value == "inf";
    let (none, some): (Vec<&Value>, Vec<&Value>) = found.into_iter().partition(is_none);
    let some = some.into_iter().map(whole).collect::<Option<Vec<u64>>>()?;
    Some(if none.is_empty() {
        Limits::Of(some)
    } else {
        Limits::None
    })
}
