//! The built-in table, resolution of names, user prices, money.

use proptest::prelude::*;

use super::*;
use crate::tokens::TokenBounds;

const SMALL: &str = "#policy-prices 1\n\
    a-model\tacme\tchat\t1\t2\n\
    by-name-only\tacme\tchat\n\
    by-name-only-2024-01-01\tacme\tchat\t1\t1\n\
    free\tacme\tchat\t0\t0\n\
    gpt-4\topenai\tchat\t30\t60\n\
    gpt-4o\topenai\tchat\t2.5\t10\t1.25\t1.25\t5\t128000\t16384\n\
    tiered\tacme\tchat\t1.25\t10\t0.3125\t\t\t1000000\t64000\t2027-01-31\t1000:2.5,15,0.625;2000:0.5,1\n";

fn small() -> PriceTable {
    PriceTable::parse(SMALL).unwrap()
}

fn name(resolution: Resolution<'_>) -> Option<(String, How)> {
    match resolution {
        Resolution::Known { entry, how } => Some((entry.name.to_string(), how)),
        Resolution::Unknown => None,
    }
}

#[track_caller]
fn assert_resolves(table: &PriceTable, provider: Option<&str>, model: &str, expected: Option<(&str, How)>) {
    let found = name(table.resolve(provider, model));
    assert_eq!(
        found,
        expected.map(|(name, how)| (name.to_owned(), how)),
        "{provider:?} {model}"
    );
}

fn entry<'t>(table: &'t PriceTable, model: &str) -> &'t Entry {
    match table.resolve(None, model) {
        Resolution::Known { entry, .. } => entry,
        Resolution::Unknown => unreachable!("{model} is in the table"),
    }
}

#[test]
fn the_builtin_table_reads_and_prints_back() {
    let text = include_str!("../../data/prices.tsv");
    let table = PriceTable::parse(text).unwrap();
    assert_eq!(&table, PriceTable::builtin());
    assert!(table.entries().len() > 3000);
    assert_eq!(table.to_text(), text);
}

#[test]
fn well_known_models_resolve() {
    use How::*;
    let table = PriceTable::builtin();
    for (model, expected) in [
        ("gpt-4o", Some(("gpt-4o", Exact))),
        ("GPT-4o", Some(("gpt-4o", Exact))),
        ("gpt-4o-2024-08-06", Some(("gpt-4o-2024-08-06", Exact))),
        ("gpt-4o-2099-01-01", Some(("gpt-4o", Stripped))),
        ("openai/gpt-4o", Some(("gpt-4o", ProviderQualified))),
        ("azure/gpt-4o", Some(("azure/gpt-4o", Exact))),
        ("azure/swedencentral/gpt-4o", Some(("azure/gpt-4o", Stripped))),
        ("azure/gpt-4o-2099-01-01", Some(("azure/gpt-4o", Stripped))),
        ("openrouter/openai/gpt-4", Some(("gpt-4", ProviderQualified))),
        (
            "openrouter/google/gemini-2.5-pro",
            Some(("gemini/gemini-2.5-pro", ProviderQualified)),
        ),
        (
            "openrouter/anthropic/claude-opus-4-7",
            Some(("claude-opus-4-7", ProviderQualified)),
        ),
        (
            "ft:gpt-4o-2024-08-06:acme::7p4lURel",
            Some(("ft:gpt-4o-2024-08-06", Exact)),
        ),
        ("ft:gpt-4o:acme", Some(("ft:gpt-4o-2024-11-20", Family))),
        ("gpt-4-0314", Some(("gpt-4", Stripped))),
        ("gpt-4-turbo-preview", Some(("gpt-4-turbo", Family))),
        ("o1-preview", Some(("o1", Family))),
        ("claude-sonnet-4-5-latest", Some(("claude-sonnet-4-5", Family))),
        (
            "claude-sonnet-4-5@20250929",
            Some(("claude-sonnet-4-5", Stripped)),
        ),
        (
            "vertex_ai/claude-sonnet-4-5@20250929",
            Some(("vertex_ai/claude-sonnet-4-5@20250929", Exact)),
        ),
        (
            "vertex_ai/claude-sonnet-4-5@20990101",
            Some(("vertex_ai/claude-sonnet-4-5", Stripped)),
        ),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Some(("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Exact)),
        ),
        (
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Some(("us.anthropic.claude-sonnet-4-5-20250929-v1:0", ProviderQualified)),
        ),
        (
            "ca.amazon.nova-pro-v1:0",
            Some(("amazon.nova-pro-v1:0", Stripped)),
        ),
        (
            "bedrock/eu-south-9/amazon.nova-pro-v1:0",
            Some(("amazon.nova-pro-v1:0", Stripped)),
        ),
        ("gemini-2.5-pro-preview-06-05", Some(("gemini-2.5-pro", Family))),
        (
            "mistral/mistral-large-latest",
            Some(("mistral/mistral-large-latest", Exact)),
        ),
        ("deepseek/deepseek-chat", Some(("deepseek/deepseek-chat", Exact))),
    ] {
        assert_resolves(table, None, model, expected);
    }
}

#[test]
fn a_relative_is_never_taken_for_the_model() {
    let table = PriceTable::builtin();
    for model in [
        "",
        "/",
        "gpt",
        "gpt-4oo",
        "gpt-4-32k-ultra",
        "gpt-4o-audio",
        "gpt-4o-vision-preview",
        "gpt-4o-mini-ultra",
        "o1-9",
        "claude-sonnet-4-99",
        "claude",
        "acme/gpt-4o",
        "acme/openai-gpt-4o",
        "gemini-2.5",
        "2024-01-01",
        "ft:gpt-4o-nano-x",
        "us.gpt-4o",
        "azure/deployment-of-mine",
    ] {
        assert_resolves(table, None, model, None);
    }
    let small = small();
    for model in [
        "gpt-4o-1",
        "gpt-4.1",
        "gpt-4-turbo",
        "gpt-4o-2",
        "a-model-v123",
        "a-model-thinking",
    ] {
        assert_resolves(&small, None, model, None);
    }
}

#[test]
fn the_provider_of_the_request_counts() {
    use How::*;
    let table = PriceTable::builtin();
    assert_resolves(table, Some("openai"), "gpt-4o", Some(("gpt-4o", Exact)));
    assert_resolves(
        table,
        Some("azure"),
        "gpt-4o",
        Some(("azure/gpt-4o", ProviderQualified)),
    );
    assert_resolves(
        table,
        Some("Azure-OpenAI"),
        "gpt-4o",
        Some(("azure/gpt-4o", ProviderQualified)),
    );
    assert_resolves(
        table,
        Some("azure"),
        "azure/gpt-4o",
        Some(("azure/gpt-4o", Exact)),
    );
    assert_resolves(
        table,
        Some("openrouter"),
        "openai/gpt-4o",
        Some(("gpt-4o", ProviderQualified)),
    );
    assert_resolves(
        table,
        Some("google"),
        "gemini-2.5-pro",
        Some(("gemini/gemini-2.5-pro", ProviderQualified)),
    );
    assert_resolves(
        table,
        Some("vertex_ai"),
        "gemini-2.5-pro",
        Some(("gemini-2.5-pro", Exact)),
    );
    assert_resolves(
        table,
        Some("bedrock"),
        "amazon.nova-pro-v1:0",
        Some(("amazon.nova-pro-v1:0", Exact)),
    );
    assert_resolves(table, Some("acme"), "gpt-4o", Some(("gpt-4o", ProviderQualified)));
    assert_resolves(table, Some(" "), "gpt-4o", Some(("gpt-4o", Exact)));
    assert_resolves(table, Some("acme"), "nobody-knows", None);
}

#[test]
fn unknown_is_not_free() {
    let table = small();
    assert_resolves(&table, None, "by-name-only", None);
    assert_resolves(&table, None, "by-name-only-2025-01-01", None);
    assert_resolves(&table, None, "free", Some(("free", How::Exact)));
    assert_eq!(
        entry(&table, "free").estimated_cost(1000, None),
        Some(NanoDollars(0))
    );
}

#[test]
fn user_prices_add_and_replace() {
    let table = small()
        .with_overrides(
            r#"{"models": {
                "My-Model": {"provider": "acme", "input_per_million": 1.5, "output_per_million": 2e0},
                "gpt-4o": {"provider": "openai", "input_per_million": 1, "output_per_million": 0.000000001,
                    "tiers": [{"above_input_tokens": 10, "input_per_million": 3, "output_per_million": 4}]}
            }}"#,
        )
        .unwrap();
    assert_eq!(table.entries().len(), small().entries().len() + 1);
    let mine = entry(&table, "MY-model-2026-01-01");
    assert_eq!(mine.rates.unwrap().input, Price(1_500_000_000));
    let replaced = entry(&table, "gpt-4o");
    assert_eq!(replaced.rates.unwrap().output, Price(1));
    assert_eq!(replaced.max_output_tokens, None);
    assert_eq!(replaced.tiers.len(), 1);
    assert_eq!(PriceTable::parse(&table.to_text()).unwrap(), table);
}

#[test]
fn mistakes_in_user_prices_are_placed() {
    use PriceErrorKind::*;
    let model = |body: &str| format!("{{\"models\": {{\n\"m\": {{\"provider\": \"p\", {body}}}}}}}");
    let prices = "\"input_per_million\": 1, \"output_per_million\": 2";
    let other = "\"output_per_million\": 2";
    for (body, place, kind) in [
        (format!("\"input_per_million\": -1, {other}"), "-1", NegativePrice),
        (
            format!("\"input_per_million\": \"1\", {other}"),
            "\"1\"",
            BadNumber,
        ),
        (
            format!("\"input_per_million\": 1e-10, {other}"),
            "1e-10",
            InexactPrice,
        ),
        (format!("{prices}, \"mode\": \"image\""), "\"image\"", BadMode),
        (
            format!("{prices}, \"deprecation_date\": \"soon\""),
            "\"soon\"",
            BadDate,
        ),
    ] {
        let text = model(&body);
        let column = text.lines().nth(1).unwrap().find(place).unwrap() + 1;
        assert_eq!(
            small().with_overrides(&text),
            Err(PriceError {
                line: 2,
                column,
                kind
            }),
            "{text}"
        );
    }
    let twice = format!(
        "{{\"models\": {{\"m\": {{\"provider\": \"p\", {prices}}},\n \"M\": {{\"provider\": \"p\", {prices}}}}}}}"
    );
    let error = PriceError {
        line: 2,
        column: 2,
        kind: Duplicate("m".into()),
    };
    assert_eq!(small().with_overrides(&twice), Err(error));
    for text in [
        "",
        "[]",
        "{}",
        "{\"models\": []}",
        "{\"models\": {}, \"modles\": {}}",
        &model(&format!("{prices}, \"inptu\": 1")),
        &model("\"input_per_million\": 1"),
        &model(&format!("{prices}, \"max_input_tokens\": -1")),
        &model(&format!("{prices}, {prices}")),
    ] {
        let error = small().with_overrides(text).unwrap_err();
        assert!(matches!(error.kind, Json(_)), "{text}: {error}");
        assert!(!error.kind.to_string().contains(" at line "), "{error}");
    }
}

#[test]
fn mistakes_in_a_table_are_placed() {
    use PriceErrorKind::*;
    for (line, column, kind) in [
        ("m\tp\tchat\t1", 12, HalfPriced),
        ("m\tp\tvideo\t1\t1", 5, BadMode),
        ("m\tp\tchat\tx\t1", 10, BadNumber),
        ("m\tp\tchat\t1\t0.0000000001", 12, InexactPrice),
        ("m m\tp\tchat", 1, BadName),
        ("m\t\tchat", 3, BadProvider),
        ("m\tp\tchat\t1\t1\t\t\t\t1k", 17, BadTokens),
        ("m\tp\tchat\t1\t1\t\t\t\t\t\t2026-13-01", 19, BadDate),
        ("m\tp\tchat\t1\t1\t\t\t\t\t\t\t5:1,1;5:1,1", 20, BadTiers),
        ("m\tp\tchat\t1\t1\t\t\t\t\t\t\t5:1", 20, BadTiers),
        ("m\tp\tchat\t1\t1\t\t\t\t\t\t\t\tx", 21, FieldCount),
    ] {
        let text = format!("#policy-prices 1\n# comment\n{line}\n");
        assert_eq!(
            PriceTable::parse(&text),
            Err(PriceError {
                line: 3,
                column,
                kind
            }),
            "{line}"
        );
    }
    let unknown = PriceError {
        line: 1,
        column: 1,
        kind: UnknownFormat,
    };
    assert_eq!(PriceTable::parse("#policy-prices 2\n"), Err(unknown.clone()));
    assert_eq!(PriceTable::parse(""), Err(unknown));
    let twice = PriceTable::parse("#policy-prices 1\nm\tp\tchat\nx\tp\tchat\nM\tp\tchat\n");
    assert_eq!(
        twice,
        Err(PriceError {
            line: 4,
            column: 1,
            kind: Duplicate("m".into())
        })
    );
}

#[test]
fn costs_are_exact_and_rounded_up_once() {
    let table = small();
    let gpt = entry(&table, "gpt-4o");
    // 1,000 × $2.5/M + 500 × $10/M = $0.0075
    assert_eq!(gpt.estimated_cost(1000, None), Some(NanoDollars(7_500_000)));
    assert_eq!(gpt.estimated_cost(1000, Some(0)), Some(NanoDollars(2_500_000)));
    assert_eq!(
        gpt.max_cost(1000, None),
        Some(NanoDollars(2_500_000 + 163_840_000))
    );
    assert_eq!(gpt.max_cost(1000, Some(100)), Some(NanoDollars(3_500_000)));
    assert_eq!(entry(&table, "a-model").max_cost(1000, None), None);
    let request = CostInput {
        input_tokens: 1000,
        cached_input_tokens: 400,
        output_tokens: 10,
        batch: false,
    };
    assert_eq!(
        gpt.estimate(request),
        Some(NanoDollars(600 * 2500 + 400 * 1250 + 10 * 10_000))
    );
    let batch = CostInput {
        batch: true,
        cached_input_tokens: 0,
        ..request
    };
    assert_eq!(gpt.estimate(batch), Some(NanoDollars(1000 * 1250 + 10 * 5000)));
    let all_cached = CostInput {
        cached_input_tokens: u64::MAX,
        ..request
    };
    assert_eq!(
        gpt.estimate(all_cached),
        Some(NanoDollars(1000 * 1250 + 10 * 10_000))
    );
    // 1 × $0.3125/M is 312.5 nano-dollars.
    let one = CostInput {
        input_tokens: 1,
        cached_input_tokens: 1,
        output_tokens: 0,
        batch: false,
    };
    assert_eq!(entry(&table, "tiered").estimate(one), Some(NanoDollars(313)));
}

#[test]
fn the_tier_holds_for_the_whole_request() {
    let table = small();
    let tiered = entry(&table, "tiered");
    let cost = |input| tiered.estimated_cost(input, Some(0)).unwrap().0;
    assert_eq!(cost(1000), 1000 * 1250);
    assert_eq!(cost(1001), 1001 * 2500);
    assert_eq!(cost(2000), 2000 * 2500);
    assert_eq!(cost(2001), 2001 * 500);
}

#[test]
fn dollars_are_correctly_rounded() {
    for (nano, dollars) in [
        (0, 0.0),
        (1, 1e-9),
        (7_500_000, 0.0075),
        (1_000_000_000, 1.0),
        ((1 << 53) + 1, 9007199.254740993),
        (123_456_789_012_345_678_901, 123_456_789_012.345_67),
    ] {
        assert_eq!(NanoDollars(nano).to_dollars_f64(), dollars);
    }
    assert_eq!(NanoDollars(u128::MAX).to_dollars_f64(), 3.402_823_669_209_385e29);
    assert_eq!(NanoDollars(1_250_000).to_string(), "0.001250000");
}

proptest! {
    #[test]
    fn dollars_agree_with_decimal_reading(nano in any::<u128>(), shift in 0u32..128) {
        let nano = NanoDollars(nano >> shift);
        let read: f64 = nano.to_string().parse().unwrap();
        prop_assert_eq!(nano.to_dollars_f64(), read);
    }

    #[test]
    fn bounds_hold_in_every_tier(
        low in 0u64..3000, width in 0u64..3000, at in 0.0..=1.0, out in 0u64..100, cached in 0u64..2000, batch: bool,
    ) {
        let table = small();
        let input = TokenBounds { lower: low, upper: low + width };
        let output = TokenBounds { lower: out / 2, upper: out };
        let input_tokens = low + (width as f64 * at) as u64;
        let output_tokens = out / 2 + ((out - out / 2) as f64 * at) as u64;
        let request = CostInput { input_tokens, cached_input_tokens: cached, output_tokens, batch };
        for model in ["tiered", "gpt-4o", "free"] {
            let entry = entry(&table, model);
            let bounds = entry.bounds(input, output, request).unwrap();
            let cost = entry.estimate(request).unwrap();
            prop_assert!(bounds.lower <= cost && cost <= bounds.upper, "{model} {bounds:?} {cost:?}");
        }
    }

    #[test]
    fn any_name_can_be_looked_up(provider in prop::option::of("\\PC{0,8}"), model in "(\\PC|[a-z0-9./:@_-]){0,40}") {
        PriceTable::builtin().resolve(provider.as_deref(), &model);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[\\t\\n,:;0-9])*") {
        if let Ok(table) = PriceTable::parse(&format!("#policy-prices 1\n{text}")) {
            prop_assert_eq!(PriceTable::parse(&table.to_text()), Ok(table));
        }
        prop_assert!(small().with_overrides(&text).is_err());
    }
}

#[test]
#[cfg(feature = "refresh")]
fn the_published_map_becomes_a_table() {
    let text = refresh::from_litellm_json(
        r#"{
            "sample_spec": {"mode": "one of ..."},
            "Pro": {"litellm_provider": "gem", "mode": "chat", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
                "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05,
                "cache_read_input_token_cost": 1.25e-07, "cache_read_input_token_cost_above_200k_tokens": 2.5e-07,
                "input_cost_per_token_above_200k_tokens_priority": 9e-06, "output_cost_per_token_above_128k_tokens": 1.2e-05,
                "max_input_tokens": 1048576.0, "max_output_tokens": 65536, "deprecation_date": "2026-12-31"},
            "qwen": {"litellm_provider": "dash", "mode": "chat", "max_output_tokens": null, "tiered_pricing": [
                {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
                {"range": [32000.0, 128000.0], "input_cost_per_token": 2.0000000000000003e-06, "output_cost_per_token": 4e-06}]},
            "half": {"litellm_provider": "x", "mode": "responses", "input_cost_per_token": 0},
            "image": {"litellm_provider": "x", "mode": "image_generation"}
        }"#,
    )
    .unwrap();
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "half\tx\tresponses",
            "pro\tgem\tchat\t1.25\t10\t0.125\t\t\t1048576\t65536\t2026-12-31\t128000:1.25,12;200000:2.5,15,0.25",
            "qwen\tdash\tchat\t1\t2\t\t\t\t\t\t\t32000:2,4",
        ]
    );
    assert!(PriceTable::parse(&text).is_ok());
    let bad = r#"{"m": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1.5e-16}}"#;
    let error = refresh::from_litellm_json(bad).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`input_cost_per_token` of `m`: a price must be a multiple of 0.000000001 dollars per million tokens"
    );
}
