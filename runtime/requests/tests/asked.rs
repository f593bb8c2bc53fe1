//! How much answer a request asks for.

use policy_requests::{Count, choices, extra, limit, provider_tools};
use serde_json::json;

#[test]
fn completions() {
    for (llm, expected) in [
        (json!({}), Some(1)),
        (json!({"n": 3}), Some(3)),
        (json!({"n": 0}), Some(1)),
        (json!({"n": null}), Some(1)),
        (json!({"n": 2.5}), Some(3)),
        (json!({"n": "3"}), None),
        (json!({"n": -1}), None),
        (json!({"n": 2, "best_of": 5}), Some(5)),
        (json!({"candidateCount": 4}), Some(4)),
        (json!({"generationConfig": {"candidateCount": 4}}), Some(4)),
        (json!({"n": 2, "prompt": ["a", "b", "c"]}), Some(6)),
        (json!({"prompt": [1, 2, 3]}), Some(1)),
        (json!({"prompt": [[1, 2], [3]]}), Some(2)),
        (json!({"prompt": []}), Some(1)),
        (json!({"prompt": "a"}), Some(1)),
        (json!({"inputs": ["a", "b", "c"], "n": 2}), Some(6)),
        (json!({"inputs": [1, 2, 3]}), Some(1)),
        (json!({"instances": [{"prompt": "a"}, {"prompt": "b"}]}), Some(2)),
        (
            json!({"extra_body": {"prompt": ["a", "b"]}, "prompt": "a"}),
            Some(2),
        ),
        (
            json!({"requests": [{"params": {"n": 2}}, {"params": {}}, {}]}),
            Some(6),
        ),
        (json!({"numResults": 100}), Some(100)),
        (json!({"parameters": "n: 5"}), None),
        (
            json!({"n": 18_446_744_073_709_551_615_u64, "prompt": ["a", "b"]}),
            Some(u64::MAX),
        ),
    ] {
        assert_eq!(choices(&llm), expected, "{llm}");
    }
}

#[test]
fn tools_of_the_provider() {
    for (llm, expected) in [
        (json!({}), false),
        (json!({"tools": []}), false),
        (
            json!({"tools": [{"type": "function", "function": {"name": "web_search"}}]}),
            false,
        ),
        (
            json!({"tools": [{"functionDeclarations": [{"name": "google_search"}]}]}),
            false,
        ),
        (
            json!({"tools": [{"name": "file_search", "input_schema": {}}]}),
            false,
        ),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            true,
        ),
        (json!({"tools": [{"type": "web_search_preview"}]}), true),
        (json!({"tools": [{"type": "code_interpreter"}]}), true),
        (json!({"tools": [{"type": "mcp", "server_label": "x"}]}), true),
        (json!({"tools": [{"googleSearch": {}}]}), true),
        (json!({"config": {"tools": [{"url_context": {}}]}}), true),
        (
            json!({"requests": [{"params": {"tools": [{"type": "file_search"}]}}]}),
            true,
        ),
        (json!({"web_search_options": {}}), true),
        (json!({"plugins": [{"id": "web"}]}), true),
        (json!({"plugins": [], "web_search_options": null}), false),
    ] {
        assert_eq!(provider_tools(&llm), expected, "{llm}");
    }
}

#[test]
fn reasoning() {
    for (llm, expected) in [
        (json!({"reasoning": {"effort": "high"}}), Count::Absent),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 8000}}),
            Count::Known(8000),
        ),
        (
            json!({"thinkingConfig": {"thinkingBudget": 100}}),
            Count::Known(100),
        ),
        (
            json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 100}}}),
            Count::Known(100),
        ),
        (
            json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}),
            Count::Absent,
        ),
        (json!({"reasoning": {"max_tokens": 100}}), Count::Known(100)),
        (json!({"thinking": {"budget_tokens": "many"}}), Count::Invalid),
        (
            json!({"thinking": {"budget_tokens": 5}, "reasoning": {"max_tokens": 9}}),
            Count::Known(9),
        ),
    ] {
        assert_eq!(extra(&llm), expected, "{llm}");
    }
}

#[test]
fn limits_among_options() {
    for (llm, expected) in [
        (json!({"maxTokens": 5}), Count::Absent),
        (
            json!({"generationConfig": {"maxOutputTokens": 100}}),
            Count::Known(100),
        ),
        (
            json!({"generation_config": {"max_output_tokens": 100}}),
            Count::Known(100),
        ),
        (json!({"inferenceConfig": {"maxTokens": 7}}), Count::Known(7)),
        (json!({"options": {"num_predict": 9}}), Count::Known(9)),
        (json!({"options": {"num_predict": -1}}), Count::Unlimited),
        (
            json!({"max_new_tokens": 1, "options": {"num_predict": -1}}),
            Count::Unlimited,
        ),
        (
            json!({"options": {"num_predict": -1.0}, "n_predict": "x"}),
            Count::Invalid,
        ),
        (json!({"max_response_output_tokens": "inf"}), Count::Unlimited),
        (json!({"max_gen_len": 9}), Count::Known(9)),
        (json!({"n_predict": 9}), Count::Known(9)),
        (
            json!({"textGenerationConfig": {"maxTokenCount": 9}}),
            Count::Known(9),
        ),
        (json!({"config": {"maxOutputTokens": 9}}), Count::Known(9)),
        (
            json!({"extra_body": {"generation_config": {"max_output_tokens": 9}}}),
            Count::Known(9),
        ),
        (
            json!({"additionalModelRequestFields": {"inferenceConfig": {"maxTokens": 9}}}),
            Count::Known(9),
        ),
        (
            json!({"requests": [{"custom_id": "a", "params": {"max_tokens": 5}}, {"body": {"max_tokens": 9}}]}),
            Count::Known(9),
        ),
        // A budget for reasoning, and what a tool gets, is no limit.
        (
            json!({"extra_body": {"reasoning": {"max_tokens": 9}, "tools": {"max_tokens": 9}}}),
            Count::Absent,
        ),
        (
            json!({"options": {"options": {"options": {"options": {"options": {"num_predict": 9}}}}}}),
            Count::Known(9),
        ),
        (
            json!({"options": {"options": {"options": {"options": {"options": {"options": {"num_predict": 9}}}}}}}),
            Count::Absent,
        ),
        (json!({"options": [{"num_predict": 9}]}), Count::Invalid),
        (json!({"generationConfig": "{}"}), Count::Invalid),
        (json!({"extra_body": {"generation_config": []}}), Count::Invalid),
        (json!({"options": null, "response": "a text"}), Count::Absent),
        (
            json!({"max_new_tokens": 9, "parameters": {"max_new_tokens": 11}}),
            Count::Known(11),
        ),
        (
            json!({"generationConfig": {"maxOutputTokens": "x"}}),
            Count::Invalid,
        ),
    ] {
        assert_eq!(limit(&llm), expected, "{llm}");
    }
}
