//! How much answer a request asks for (1.6, Cost), in the words of the APIs. `None` everywhere for what is no count.

use serde_json::Value;

/// A number of tokens or completions. Ruling: a fraction is the next whole number.
pub(super) fn whole(value: &Value) -> Option<u64> {
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

/// `llm` and the objects of options in it.
fn places(llm: &Value) -> Vec<&Value> {
    let options = [
        "generationConfig",
        "generation_config",
        "inferenceConfig",
        "inference_config",
        "parameters",
        "options",
        "additionalModelRequestFields",
        "extra_body",
    ];
    let inside = options.iter().filter_map(|name| llm.get(name));
    std::iter::once(llm).chain(inside).collect()
}

/// The values of these members that are there and not null.
fn members<'v>(of: &'v Value, names: &[&str]) -> Vec<&'v Value> {
    let values = names.iter().filter_map(|name| of.get(name));
    values.filter(|value| !value.is_null()).collect()
}

/// Completions for which is paid: one for each prompt of a list, times the largest of `n` and its like, at least 1.
pub(super) fn choices(llm: &Value) -> Option<u64> {
    let names = [
        "n",
        "bestOf",
        "best_of",
        "candidateCount",
        "candidate_count",
        "sampleCount",
        "num_generations",
        "num_return_sequences",
    ];
    let mut each = 1;
    for place in places(llm) {
        for value in members(place, &names) {
            each = each.max(whole(value)?);
        }
    }
    let prompts = match llm.get("prompt") {
        // Token ids are one prompt.
        Some(Value::Array(items)) if !items.iter().all(Value::is_number) => items.len() as u64,
        _ => 1,
    };
    Some(each.saturating_mul(prompts))
}

/// Tokens of reasoning that are asked for; -1 leaves it to the model.
pub(super) fn reasoning(llm: &Value) -> Option<u64> {
    let holders = [
        "thinking",
        "reasoning",
        "thinkingConfig",
        "thinking_config",
        "reasoning_config",
        "reasoningConfig",
    ];
    let names = [
        "budget_tokens",
        "budgetTokens",
        "thinkingBudget",
        "thinking_budget",
        "token_budget",
        "max_tokens",
        "maxTokens",
    ];
    let mut most = 0;
    for place in places(llm) {
        for holder in members(place, &holders) {
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

/// Limits of the completion in other places than `llm.maxTokens`; -1 is none.
pub(super) fn limits(llm: &Value) -> Option<Vec<u64>> {
    let at_top = [
        "maxNewTokens",
        "max_new_tokens",
        "maxTokenCount",
        "max_tokens_to_sample",
        "num_predict",
    ];
    let inside = [
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
    let all = places(llm);
    let mut found = members(llm, &at_top);
    found.extend(all.iter().skip(1).flat_map(|place| members(place, &inside)));
    found
        .into_iter()
        .filter(|value| value.as_i64() != Some(-1))
        .map(whole)
        .collect()
}
