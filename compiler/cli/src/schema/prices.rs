//! The JSON Schema of price files, over the tables of their reader.

use policy_grammar::SCHEMA_KEY;
use policy_runtime::primitives::prices::{Mode, PriceTable};
use serde_json::{Map, Value, json};

/// What is allowed above a dollar for a token, and above a thousand dollars for anything else.
const HIGHEST: u64 = 1_000_000;

pub(super) fn schema() -> Value {
    let words = PriceTable::file_words();
    let prices: Map<String, Value> = words
        .prices
        .iter()
        .map(|key| (key.clone(), price(key, &words.units)))
        .collect();
    let mut model = prices.clone();
    let modes: Vec<&str> = Mode::names().collect();
    for (key, schema) in [
        (
            "provider",
            json!({
                "type": "string",
                "description": "Who sells it. A request that names another provider does not get this price.",
                "pattern": NAME,
                "examples": ["openai", "anthropic", "azure"],
            }),
        ),
        (
            "mode",
            json!({ "description": "What the model is called through. Default: chat.", "enum": modes }),
        ),
        (
            "max_input_tokens",
            tokens("The longest prompt that the model takes, in tokens."),
        ),
        (
            "max_output_tokens",
            tokens(
                "The longest answer that the model gives, in tokens: what `llm.maxCost` counts without `llm.maxTokens`.",
            ),
        ),
        (
            "deprecation_date",
            json!({
                "type": "string",
                "description": "The day from which the provider no longer serves the model: `2027-06-30`.",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            }),
        ),
        (
            "tiers",
            json!({
                "type": "array",
                "description": "Prices of long requests, by rising border. They apply to all tokens of the request.",
                "items": { "$ref": "#/$defs/tier" },
            }),
        ),
    ] {
        model.insert(key.to_owned(), schema);
    }
    let mut tier = prices;
    tier.insert(
        "above_input_tokens".to_owned(),
        tokens("These prices apply to requests with more input tokens than this."),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "prices.schema.json",
        "title": "Prices of models",
        "description": "Prices that are added to the built-in table, in US dollars.",
        "type": "object",
        "properties": {
            "$schema": { "type": "string", "description": SCHEMA_KEY },
            "replace": {
                "type": "boolean",
                "description": "Whether only the prices of this file count. Default: false, they are added to the built-in table.",
            },
            "models": {
                "type": "object",
                "description": "Models by name. One replaces the built-in row of that name completely. Case does not matter.",
                "propertyNames": { "pattern": NAME },
                "additionalProperties": { "$ref": "#/$defs/model" },
            },
        },
        "required": ["models"],
        "additionalProperties": false,
        "$defs": {
            "model": {
                "type": "object",
                "description": "What a model costs.",
                "properties": model,
                "required": ["provider"],
                "anyOf": [
                    { "required": ["input_per_million", "output_per_million"] },
                    { "required": ["units_each"] },
                    { "required": ["units_per_million"] },
                ],
                "dependentRequired": pairs(words.prices),
                "additionalProperties": false,
            },
            "tier": {
                "type": "object",
                "description": "What a long request costs.",
                "properties": tier,
                "required": ["above_input_tokens"],
                "minProperties": 2,
                "dependentRequired": pairs(words.prices),
                "additionalProperties": false,
            },
        },
    })
}

/// Printable ASCII without spaces.
const NAME: &str = "^[!-~]+$";

/// Prices of tokens need those of input and output of the same service.
fn pairs(prices: &[String]) -> Value {
    let both = prices.iter().filter_map(|key| {
        let service = services()
            .find(|service| key.starts_with(service))
            .unwrap_or_default();
        if key.contains("units") {
            return None;
        }
        let pair = ["input", "output"].map(|what| format!("{service}{what}_per_million"));
        Some((key.clone(), json!(pair)))
    });
    Value::Object(both.collect())
}

/// What stands before the prices of a service.
fn services() -> impl Iterator<Item = &'static str> {
    [
        "batch_",
        "flex_",
        "priority_",
        "balanced_",
        "ultrafast_",
        "decisions_",
    ]
    .into_iter()
}

fn tokens(description: &str) -> Value {
    json!({ "type": "integer", "description": description, "minimum": 1 })
}

fn price(key: &str, units: &[&'static str]) -> Value {
    let service = services().find(|service| key.starts_with(service));
    let (kind, of) = match service {
        Some(service) => (
            key.strip_prefix(service).unwrap_or(key),
            format!(" of service tier `{}`", service.trim_end_matches('_')),
        ),
        None => (key, String::new()),
    };
    let tokens = |what: &str| {
        json!({
            "type": "number",
            "description": format!("US dollars for a million {what}{of}."),
            "minimum": 0,
            "maximum": HIGHEST,
        })
    };
    let units = |each: &str, highest: u64| {
        let properties: Map<String, Value> = units
            .iter()
            .map(|unit| {
                let description = format!("US dollars for {each} `{unit}`{of}.");
                let schema = json!({
                    "type": "number",
                    "description": description,
                    "minimum": 0,
                    "maximum": highest,
                });
                ((*unit).to_owned(), schema)
            })
            .collect();
        json!({
            "type": "object",
            "description": format!("US dollars for {each} of what is no token of text{of}: images, seconds, pages, searches."),
            "properties": properties,
            "additionalProperties": false,
        })
    };
    match kind {
        "input_per_million" => tokens("input tokens"),
        "output_per_million" => tokens("output tokens"),
        "cached_input_per_million" => {
            tokens("input tokens that are read from the provider's cache; default: as input")
        }
        "cache_write_per_million" => {
            tokens("input tokens that are written to the provider's cache; default: as input")
        }
        "cache_write_1h_per_million" => {
            tokens("input tokens that are written to the cache for an hour; default: as any cache write")
        }
        "cache_write_12h_per_million" => {
            tokens("input tokens that are written to the cache for twelve hours; default: as for an hour")
        }
        "reasoning_per_million" => tokens("output tokens of reasoning; default: as output"),
        "units_each" => units("one", 1000),
        "units_per_million" => units("a million", 1000 * HIGHEST),
        _ => Value::Bool(true),
    }
}
