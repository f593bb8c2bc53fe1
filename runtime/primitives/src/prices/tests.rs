//! The built-in table, resolution of names, user prices, money.

use proptest::prelude::*;

use super::*;
use crate::tokens::TokenBounds;

/// What a refresh of the table has to change with it.
const COUNTS: &str = "\
rows: 4674\n\
with tiers above a number of tokens: 368\n\
batch: 588\n\
flex: 312\n\
priority: 432\n\
cached input: 1905\n\
cache writes: 552\n\
reasoning: 84\n\
embeddings: 154\n\
rerank: 41\n\
images made: 405\n\
audio tokens: 134\n\
by the image: 346\n\
by the second: 139\n\
by the query: 50\n\
by the page: 18\n\
by the request: 4\n\
retired: 488\n\
";

const SMALL: &str = "#policy-prices 2\n\
    a-model\tacme\tchat\t\t\t\t\tstandard:1,2\n\
    by-name-only\tacme\tchat\n\
    by-name-only-2024-01-01\tacme\tchat\t\t\t\t\tstandard:1,1\n\
    drawn\tacme\timage_generation\t\t\t\t\tstandard:1,1\toutput_image=40000\n\
    fee\tacme\tchat\t\t\t\t\tstandard:1,1\tinput_request=5000\n\
    free\tacme\tchat\t\t\t\t\tstandard:0,0\n\
    gpt-4\topenai\tchat\t\t\t\t\tstandard:30,60\n\
    gpt-4o\topenai\tchat\t128000\t16384\t\t\tstandard:2.5,10,1.25,3.125,5;batch:1.25,5;flex:2,8;priority:4.25,17,2.125\n\
    ranked\tacme\trerank\t\t\t\t\tstandard:0,0\tinput_query=2000\n\
    thinks\tacme\tchat\t\t1000\t\t\tstandard:1,2,,,,,8\n\
    tiered\tacme\tchat\t1000000\t64000\t2027-01-31\t2026-05-01\tstandard:1.25,10,0.3125;standard>1000:2.5,15,0.625;standard>2000:0.5,1;priority:3,20;priority>1000:5,30\n";

fn small() -> PriceTable {
    PriceTable::parse(SMALL).unwrap()
}

fn name(resolution: Resolution<'_>) -> Option<(String, How)> {
    match resolution {
        Resolution::Known { entry, how, .. } => Some((entry.name.to_string(), how)),
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
fn every_tier_of_the_published_map_is_there() {
    let table = PriceTable::builtin();
    let listed = || table.entries().iter().filter(|entry| entry.last_listed.is_none());
    let count = |wanted: &dyn Fn(&Entry) -> bool| listed().filter(|entry| wanted(entry)).count();
    let of = |service: ServiceTier| count(&|entry| entry.tiers.iter().any(|tier| tier.service == service));
    let above = |entry: &Entry| entry.tiers.iter().any(|tier| tier.above_input_tokens > 0);
    let counts = [
        ("rows", count(&|_| true)),
        ("with tiers above a number of tokens", count(&above)),
        ("batch", of(ServiceTier::Batch)),
        ("flex", of(ServiceTier::Flex)),
        ("priority", of(ServiceTier::Priority)),
        (
            "cached input",
            count(&|entry| entry.rates().is_some_and(|rates| rates.cached_input.is_some())),
        ),
        (
            "cache writes",
            count(&|entry| entry.rates().is_some_and(|rates| rates.cache_write.is_some())),
        ),
        (
            "reasoning",
            count(&|entry| entry.rates().is_some_and(|rates| rates.reasoning.is_some())),
        ),
        ("embeddings", count(&|entry| entry.mode == Mode::Embedding)),
        ("rerank", count(&|entry| entry.mode == Mode::Rerank)),
        ("images made", count(&|entry| entry.mode == Mode::ImageGeneration)),
        (
            "audio tokens",
            count(&|entry| entry.unit("input_audio_token").is_some()),
        ),
        (
            "by the image",
            count(&|entry| entry.unit("output_image").is_some()),
        ),
        (
            "by the second",
            count(&|entry| entry.unit("input_second").is_some()),
        ),
        (
            "by the query",
            count(&|entry| entry.unit("input_query").is_some()),
        ),
        ("by the page", count(&|entry| entry.unit("ocr_page").is_some())),
        (
            "by the request",
            count(&|entry| entry.unit("input_request").is_some()),
        ),
        ("retired", table.entries().len() - count(&|_| true)),
    ];
    let text: String = counts.iter().map(|(what, n)| format!("{what}: {n}\n")).collect();
    assert_eq!(text, COUNTS);
}

#[test]
fn tiers_and_services_are_what_is_published() {
    let rates = |model: &str, service, tokens: u64| {
        let entry = entry(PriceTable::builtin(), model);
        let tiers = entry.tiers_of(service).iter().rev();
        let tier = tiers
            .clone()
            .find(|tier| tokens > tier.above_input_tokens)
            .unwrap();
        (tier.rates.input.to_string(), tier.rates.output.to_string())
    };
    use ServiceTier::{Batch, Flex, Priority, Standard};
    for (model, service, tokens, input, output) in [
        ("gemini/gemini-2.5-pro", Standard, 200_000, "1.25", "10"),
        ("gemini/gemini-2.5-pro", Standard, 200_001, "2.5", "15"),
        ("gemini/gemini-2.5-pro", Batch, 1, "0.625", "5"),
        ("gemini/gemini-2.5-pro", Batch, 200_001, "1.25", "7.5"),
        ("gemini/gemini-2.5-pro", Priority, 200_001, "4.5", "27"),
        ("gpt-4o", Standard, 1, "2.5", "10"),
        ("gpt-4o", Batch, 1, "1.25", "5"),
        ("gpt-4o", Priority, 1, "4.25", "17"),
        // No flex: the standard service.
        ("gpt-4o", Flex, 1, "2.5", "10"),
        ("gpt-5.4", Flex, 1, "1.25", "7.5"),
        ("gpt-5.4", Standard, 272_001, "5", "22.5"),
        // No price for long requests is published: the dearer of the two.
        ("gpt-5.4", Priority, 272_001, "5", "30"),
        ("dashscope/qwen3-max", Standard, 32_000, "1.2", "6"),
        ("dashscope/qwen3-max", Standard, 32_001, "2.4", "12"),
        ("dashscope/qwen3-max", Standard, 128_001, "3", "15"),
        ("claude-3-opus-20240229", Standard, 1, "15", "75"),
        ("text-embedding-3-small", Standard, 1, "0.02", "0"),
    ] {
        assert_eq!(
            rates(model, service, tokens),
            (input.to_owned(), output.to_owned()),
            "{model} {service:?} {tokens}"
        );
    }
}

#[test]
fn retired_models_keep_their_last_price_and_its_day() {
    let table = PriceTable::builtin();
    let today = table.listed().unwrap();
    for (model, input, output) in [
        ("claude-3-opus-20240229", "15", "75"),
        ("claude-3-5-sonnet-20241022", "3", "15"),
        ("claude-3-haiku-20240307", "0.25", "1.25"),
        ("gemini-1.5-pro-002", "1.25", "5"),
        ("gemini/gemini-1.5-flash", "0.075", "0.3"),
        ("gpt-4-32k", "60", "120"),
    ] {
        let entry = entry(table, model);
        let rates = entry.rates().unwrap();
        assert_eq!(
            (rates.input.to_string(), rates.output.to_string()),
            (input.to_owned(), output.to_owned()),
            "{model}"
        );
        assert!(entry.last_listed.is_some_and(|day| day < today), "{model}");
    }
    for entry in table.entries() {
        assert!(entry.last_listed.is_none() || !entry.is_free(), "{}", entry.name);
    }
}

#[test]
fn cached_tokens_have_their_prices() {
    let claude = entry(PriceTable::builtin(), "claude-sonnet-4-5");
    let cost = |request| claude.estimate(request).unwrap().0;
    let all = CostInput {
        input_tokens: 1000,
        ..CostInput::default()
    };
    assert_eq!(cost(all), 1000 * 3000);
    assert_eq!(
        cost(CostInput {
            cached_input_tokens: 1000,
            ..all
        }),
        1000 * 300
    );
    assert_eq!(
        cost(CostInput {
            cache_write_tokens: 1000,
            ..all
        }),
        1000 * 3750
    );
    assert_eq!(
        cost(CostInput {
            cache_write_1h_tokens: 1000,
            ..all
        }),
        1000 * 6000
    );
    let mixed = CostInput {
        cached_input_tokens: 600,
        cache_write_tokens: 300,
        cache_write_1h_tokens: 50,
        ..all
    };
    assert_eq!(cost(mixed), 600 * 300 + 300 * 3750 + 50 * 6000 + 50 * 3000);
    // More than there are count as all, in order.
    let more = CostInput {
        cached_input_tokens: 900,
        cache_write_tokens: 300,
        ..all
    };
    assert_eq!(cost(more), 900 * 300 + 100 * 3750);
}

#[test]
fn what_is_paid_for_otherwise_has_no_cost_by_tokens() {
    let table = small();
    let cost = |model| entry(&table, model).estimated_cost(1000, Some(10));
    assert_eq!(cost("drawn"), None);
    assert_eq!(cost("ranked"), None);
    assert_eq!(
        cost("fee"),
        Some(NanoDollars(5_000_000 + 1000 * 1000 + 10 * 1000))
    );
    let table = PriceTable::builtin();
    for model in [
        "gpt-image-1",
        "whisper-1",
        "tts-1",
        "rerank-v3.5",
        "mistral/mistral-ocr-latest",
        // Answers that may be video.
        "gemini/gemini-omni-flash-preview",
        // Searches as often as it likes.
        "perplexity/sonar-deep-research",
    ] {
        let entry = entry(table, model);
        assert!(entry.has_price(), "{model}");
        assert_eq!(entry.estimated_cost(1000, Some(10)), None, "{model}");
    }
    assert_eq!(
        entry(table, "text-embedding-3-small").estimated_cost(1_000_000, Some(10)),
        Some(NanoDollars(20_000_000))
    );
}

#[test]
fn models_that_always_search_cost_the_search() {
    let table = PriceTable::builtin();
    for model in [
        "perplexity/sonar-pro",
        "gpt-4o-search-preview",
        "gpt-5-search-api",
    ] {
        let entry = entry(table, model);
        let dearest = entry.unit("search_context_query_high").unwrap();
        let fee = entry.estimated_cost(0, Some(0)).unwrap();
        assert_eq!(u128::from(dearest.0), fee.0 * 1_000_000, "{model}");
    }
    // It searches when it is asked to.
    assert_eq!(
        entry(table, "claude-sonnet-4-5").estimated_cost(0, Some(0)),
        Some(NanoDollars(0))
    );
}

#[test]
fn reasoning_is_output_at_its_own_price() {
    let table = small();
    let thinks = entry(&table, "thinks");
    let request = CostInput {
        output_tokens: 100,
        reasoning_tokens: 60,
        ..CostInput::default()
    };
    assert_eq!(thinks.estimate(request), Some(NanoDollars(60 * 8000 + 40 * 2000)));
    assert_eq!(thinks.estimated_cost(0, Some(100)), Some(NanoDollars(100 * 2000)));
    assert_eq!(thinks.max_cost(0, None), Some(NanoDollars(1000 * 8000)));
}

#[test]
fn a_market_gives_some_models_away() {
    let table = PriceTable::builtin();
    for (provider, model) in [
        (Some("openrouter"), "deepseek/deepseek-r1:free"),
        (None, "openrouter/meta-llama/llama-3.3-70b-instruct:free"),
    ] {
        match table.resolve(provider, model) {
            Resolution::Known { entry, .. } => {
                assert_eq!(
                    entry.estimated_cost(1_000_000, None),
                    Some(NanoDollars(0)),
                    "{model}"
                );
                assert_eq!(entry.max_cost(1_000_000, None), Some(NanoDollars(0)), "{model}");
            }
            Resolution::Unknown => panic!("{model} costs nothing"),
        }
    }
    // Nobody else's `:free` is known to cost nothing, and no market has no maker.
    for (provider, model) in [
        (None, "deepseek/deepseek-r1:free"),
        (Some("openai"), "gpt-4o:free"),
        (Some("openrouter"), "gpt-4o:free"),
    ] {
        assert_eq!(table.resolve(provider, model), Resolution::Unknown, "{model}");
    }
    let searched = |model| match table.resolve(Some("openrouter"), model) {
        Resolution::Known { surcharge, .. } => surcharge,
        Resolution::Unknown => panic!("{model} has a price"),
    };
    assert_eq!(searched("openai/gpt-4o:online"), NanoDollars(20_000_000));
    assert_eq!(searched("openai/gpt-4o"), NanoDollars(0));
}

#[test]
fn a_model_is_identified_in_every_spelling() {
    let table = PriceTable::builtin();
    for (provider, model, canonical) in [
        (None, "gpt-4o-2099-01-01", "gpt-4o"),
        (None, "azure/swedencentral/gpt-4o", "gpt-4o"),
        (Some("acme"), "gpt-4o", "gpt-4o"),
        (
            Some("openrouter"),
            "anthropic/claude-3.5-sonnet:beta",
            "claude-3-5-sonnet",
        ),
        (None, "claude-sonnet-4.5", "claude-sonnet-4-5"),
        (None, "claude-4.5-sonnet", "claude-sonnet-4-5"),
        (Some("openrouter"), "openai/gpt-4o:free", "gpt-4o"),
        (None, "ca.amazon.nova-pro-v1:0", "nova-pro"),
        (None, "gemini-2.5-pro-preview-12-31", "gemini-2.5-pro"),
        (None, "gpt-image-1", "gpt-image-1"),
    ] {
        let entry = table
            .identify(provider, model)
            .unwrap_or_else(|| panic!("{model}"));
        let mut name = String::new();
        canonical_name(entry, &mut name);
        assert_eq!(name, canonical, "{model}");
    }
    for model in [
        "",
        "/",
        "gpt",
        "gpt-4oo",
        "claude",
        "nobody-knows",
        "acme/openai-gpt-4o",
    ] {
        assert_eq!(table.identify(None, model), None, "{model}");
    }
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
#[cfg(feature = "price-files")]
fn a_price_file_adds_and_replaces() {
    let yaml = "models:\n  My-Model: {provider: Acme, input_per_million: 1.5, output_per_million: 2e0}\n  gpt-4o:\n    \
                provider: openai\n    input_per_million: 1\n    output_per_million: 0.000000001\n    \
                tiers: [{above_input_tokens: 10, input_per_million: 3, output_per_million: 4}]\n";
    let json = r#"{"$schema": "prices.schema.json", "models": {
        "My-Model": {"provider": "Acme", "input_per_million": 1.5, "output_per_million": 2e0},
        "gpt-4o": {"provider": "openai", "input_per_million": 1, "output_per_million": 0.000000001,
            "tiers": [{"above_input_tokens": 10, "input_per_million": 3, "output_per_million": 4}]}
    }}"#;
    let table = small().with_file("prices.yaml", yaml).unwrap();
    assert_eq!(small().with_file("prices.json", json).unwrap(), table);
    assert_eq!(small().with_file("prices", json).unwrap(), table);
    assert_eq!(table.entries().len(), small().entries().len() + 1);
    assert_eq!(table.listed(), small().listed());
    let mine = entry(&table, "MY-model");
    assert_eq!(mine.rates().unwrap().input, Price(1_500_000_000));
    assert_eq!((&*mine.provider, mine.mode), ("acme", Mode::Chat));
    let replaced = entry(&table, "gpt-4o");
    assert_eq!(replaced.rates().unwrap().output, Price(1));
    assert_eq!(replaced.max_output_tokens, None);
    assert_eq!(replaced.tiers.len(), 2);
    assert_eq!(PriceTable::parse(&table.to_text()).unwrap(), table);
    // Nothing else counts.
    let only = small()
        .with_file("prices.yaml", &format!("replace: true\n{yaml}"))
        .unwrap();
    let names: Vec<&str> = only.entries().iter().map(|row| &*row.name).collect();
    assert_eq!((names, only.listed()), (vec!["gpt-4o", "my-model"], None));
    assert_eq!(
        small()
            .with_file("prices.yaml", &format!("replace: false\n{yaml}"))
            .unwrap(),
        table
    );
    assert_eq!(small().with_file("prices.yaml", "models: {}").unwrap(), small());
}

#[test]
#[cfg(feature = "price-files")]
fn a_price_file_says_all_that_a_row_holds() {
    let text = "\
models:
  all:
    provider: acme
    mode: responses
    input_per_million: 10
    output_per_million: 20
    cached_input_per_million: 1
    cache_write_per_million: 11
    cache_write_1h_per_million: 12
    cache_write_12h_per_million: 13
    reasoning_per_million: 21
    batch_input_per_million: 5
    batch_output_per_million: 6
    batch_cached_input_per_million: 0.5
    flex_input_per_million: 7
    flex_output_per_million: 8
    priority_input_per_million: 100
    priority_output_per_million: 200
    units_each: { output_image: 0.04, input_request: 0.005 }
    units_per_million: { input_audio_token: 40 }
    batch_units_each: { output_image: 0.02 }
    max_input_tokens: 1000
    max_output_tokens: 500
    deprecation_date: 2028-02-29
    tiers:
      - above_input_tokens: 100
        input_per_million: 30
        output_per_million: 40
        batch_input_per_million: 15
        batch_output_per_million: 16
        units_each: { output_image: 0.08 }
  image:
    provider: acme
    mode: image_generation
    units_each: { output_image: 0.04 }
";
    let table = small().with_file("p.yaml", text).unwrap();
    let printed = table.to_text();
    let rows: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with("all\t") || line.starts_with("image\t"))
        .collect();
    assert_eq!(
        rows,
        [
            "all\tacme\tresponses\t1000\t500\t2028-02-29\t\t\
             standard:10,20,1,11,12,13,21;standard>100:30,40,,30,30,30,40;\
             batch:5,6,0.5,11,12,13,21;batch>100:15,16,,30,30,30,40;\
             flex:7,8,,11,12,13,21;flex>100:30,40,,30,30,30,40;\
             priority:100,200,,100,100,100,200\t\
             input_audio_token=40;input_request=5000;output_image=40000;output_image@standard>100=80000;\
             output_image@batch=20000",
            "image\tacme\timage_generation\t\t\t\t\t\toutput_image=40000",
        ]
    );
    assert_eq!(PriceTable::parse(&printed).unwrap(), table);
    // Every key of a price is one that a file may hold.
    let words = PriceTable::file_words();
    assert_eq!(words.prices.len(), 7 * 9);
    for key in words.prices {
        let value = if key.contains("units") {
            "{input_second: 1}"
        } else {
            "1"
        };
        let both = match key.strip_suffix("input_per_million") {
            Some(prefix) if !prefix.ends_with("cached_") => format!("{prefix}output_per_million: 1"),
            _ => String::new(),
        };
        let text = format!("models:\n  m:\n    provider: p\n    {key}: {value}\n    {both}\n");
        match small().with_file("p.yaml", &text) {
            Ok(_) => {}
            Err(error) => assert!(
                matches!(error.kind, PriceErrorKind::HalfPriced | PriceErrorKind::NoPrice),
                "{key}: {error}"
            ),
        }
    }
}

#[test]
#[cfg(feature = "price-files")]
fn mistakes_in_a_price_file_are_placed() {
    use PriceErrorKind::*;
    let prices = "input_per_million: 1, output_per_million: 2";
    for (body, place, kind) in [
        (
            "input_per_million: -1, output_per_million: 2",
            "-1",
            NegativePrice,
        ),
        ("input_per_million: '1', output_per_million: 2", "'1'", BadNumber),
        (
            "input_per_million: 1e-10, output_per_million: 2",
            "1e-10",
            InexactPrice,
        ),
        (
            "input_per_million: 1000001, output_per_million: 2",
            "1000001",
            TooHigh,
        ),
        ("input_per_million: 1e30, output_per_million: 2", "1e30", TooHigh),
        (
            "input_per_million: 99999999999999999999999, output_per_million: 2",
            "99999999999999999999999",
            TooHigh,
        ),
        ("units_each: {output_image: 1001}", "1001", TooHigh),
        ("units_each: {output_image: -0.1}", "-0.1", NegativePrice),
        ("units_per_million: {output_image: ~}", "~", BadNumber),
        ("{P}, mode: image", "image", BadMode),
        ("{P}, deprecation_date: soon", "soon", BadDate),
        ("{P}, deprecation_date: 2027-02-29", "2027-02-29", BadDate),
        ("{P}, max_input_tokens: -1", "-1", BadTokens),
        ("{P}, max_output_tokens: 0", "0}", BadTokens),
        ("{P}, max_output_tokens: 1.5", "1.5", BadTokens),
        (
            "{P}, tiers: [{above_input_tokens: 0, {P}}]",
            "0, input",
            BadTokens,
        ),
        (
            "{P}, tiers: [{above_input_tokens: 9, {P}}, {above_input_tokens: 8, {P}}]",
            "8, input",
            BadTiers,
        ),
        ("{P}, tiers: [{above_input_tokens: 9}]", "{above", NoPrice),
        (
            "{P}, tiers: [{above_input_tokens: 9, input_per_million: 1}]",
            "{above",
            HalfPriced,
        ),
        ("input_per_million: 1", "m:", HalfPriced),
        ("{P}, flex_input_per_million: 1", "m:", HalfPriced),
        (
            "batch_input_per_million: 1, batch_output_per_million: 1",
            "m:",
            NoPrice,
        ),
        ("max_input_tokens: 9", "m:", NoPrice),
    ] {
        let text = format!("models:\n  m: {{provider: p, {}}}\n", body.replace("{P}", prices));
        let line = text.lines().nth(1).unwrap();
        let error = PriceError {
            line: 2,
            column: line.rfind(place).unwrap() + 1,
            kind,
        };
        // The border of a name is found from the left.
        let error = if place == "m:" {
            PriceError { column: 3, ..error }
        } else {
            error
        };
        assert_eq!(small().with_file("p.yaml", &text), Err(error), "{text}");
    }
}

#[test]
#[cfg(feature = "price-files")]
fn what_is_no_price_file_is_refused_in_words() {
    let prices = "provider: p, input_per_million: 1, output_per_million: 2";
    let model = |body: &str| format!("models:\n  m: {{{body}}}\n");
    for (text, says) in [
        (String::new(), "line 1, column 1: the file is empty"),
        (
            "[]".to_owned(),
            "line 1, column 1: a price file must be a mapping",
        ),
        ("{}".to_owned(), "line 1, column 1: a price file needs `models`"),
        (
            "models: []".to_owned(),
            "line 1, column 9: `models` must be a mapping",
        ),
        (
            "models: {}\nmodles: {}".to_owned(),
            "line 2, column 1: a price file has no key `modles`; did you mean `models`?",
        ),
        (
            "replace: yes please\nmodels: {}".to_owned(),
            "line 1, column 10: `replace` must be `true` or `false`",
        ),
        (
            "$schema: 1\nmodels: {}".to_owned(),
            "line 1, column 10: `$schema` must be a text",
        ),
        (
            "models: {}\n---\nmodels: {}".to_owned(),
            "line 3, column 1: the file holds more than one document",
        ),
        (
            model(&format!("{prices}, inptu: 1")),
            "line 2, column 65: a model has no key `inptu`",
        ),
        (
            model(&format!("{prices}, batch_inputs_per_million: 1")),
            "a model has no key `batch_inputs_per_million`; did you mean `batch_input_per_million`?",
        ),
        (
            model("provider: p, units_each: {output_imag: 1}"),
            "there is no unit `output_imag`; did you mean `output_image`?",
        ),
        (
            model("provider: p, units_each: {output_image: 1}, units_per_million: {output_image: 1}"),
            "the unit `output_image` has a price already",
        ),
        (
            model("input_per_million: 1, output_per_million: 2"),
            "line 2, column 3: the model `m` needs a `provider`",
        ),
        (model(&format!("{prices}, provider: q")), "line 2"),
        (
            model("provider: p, input_per_million: .nan, output_per_million: 2"),
            "`.nan` is not a finite number",
        ),
        (
            model("provider: p, input_per_million: .inf, output_per_million: 2"),
            "`.inf` is not a finite number",
        ),
        (
            format!("models:\n  m: {{{prices}}}\n  M: {{{prices}}}\n"),
            "line 3, column 3: the model `m` is there twice",
        ),
        (
            format!("models:\n  m: {{{prices}}}\n  m: {{{prices}}}\n"),
            "line 3, column 3: ",
        ),
        (
            format!("models:\n  m m: {{{prices}}}\n"),
            "line 2, column 3: a model's name must be printable",
        ),
        (
            small().to_text(),
            "line 1, column 1: a table separated by tabs is no price file: write YAML or JSON such as `models: {my-model:",
        ),
        (
            format!("\u{feff}{}", small().to_text()),
            "a table separated by tabs is no price file",
        ),
    ] {
        let error = small().with_file("p.yaml", &text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let json = "{\"models\": {\n  \"m\": {\"provider\": }}}";
    let error = small().with_file("p.json", json).unwrap_err();
    assert_eq!(error.line, 2, "{error}");
}

#[test]
fn mistakes_in_a_table_are_placed() {
    use PriceErrorKind::*;
    for (line, column, kind) in [
        ("m\tp\tchat\t\t\t\t\tstandard:1", 14, HalfPriced),
        ("m\tp\tvideo", 5, BadMode),
        ("m\tp\tchat\t\t\t\t\tstandard:x,1", 14, BadNumber),
        ("m\tp\tchat\t\t\t\t\tstandard:1,0.0000000001", 14, InexactPrice),
        ("m m\tp\tchat", 1, BadName),
        ("m\t\tchat", 3, BadProvider),
        ("m\tp\tchat\t1k", 10, BadTokens),
        ("m\tp\tchat\t\t\t2026-13-01", 12, BadDate),
        ("m\tp\tchat\t\t\t\tsoon", 13, BadDate),
        ("m\tp\tchat\t\t\t\t\tstandard>5:1,1", 14, BadTiers),
        ("m\tp\tchat\t\t\t\t\tbatch:1,1", 14, BadTiers),
        (
            "m\tp\tchat\t\t\t\t\tstandard:1,1;standard>5:1,1;standard>5:1,1",
            14,
            BadTiers,
        ),
        ("m\tp\tchat\t\t\t\t\tstandard:1,1;batch>5:1,1", 14, BadTiers),
        ("m\tp\tchat\t\t\t\t\tslow:1,1", 14, BadTiers),
        ("m\tp\tchat\t\t\t\t\tstandard:1,1,1,1,1,1,1,1", 14, BadTiers),
        ("m\tp\tchat\t\t\t\t\t\tinput_image", 15, BadUnits),
        ("m\tp\tchat\t\t\t\t\t\tb=1;a=1", 15, BadUnits),
        ("m\tp\tchat\t\t\t\t\t\ta@slow=1", 15, BadUnits),
        ("m\tp\tchat\t\t\t\t\t\t\tx", 16, FieldCount),
    ] {
        let text = format!("#policy-prices 2\n# comment\n{line}\n");
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
    assert_eq!(PriceTable::parse("#policy-prices 1\n"), Err(unknown.clone()));
    assert_eq!(PriceTable::parse(""), Err(unknown));
    let twice = PriceTable::parse("#policy-prices 2\nm\tp\tchat\nx\tp\tchat\nM\tp\tchat\n");
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
        ..CostInput::default()
    };
    assert_eq!(
        gpt.estimate(request),
        Some(NanoDollars(600 * 2500 + 400 * 1250 + 10 * 10_000))
    );
    let batch = CostInput {
        service: ServiceTier::Batch,
        cached_input_tokens: 0,
        ..request
    };
    assert_eq!(gpt.estimate(batch), Some(NanoDollars(1000 * 1250 + 10 * 5000)));
    let priority = CostInput {
        service: ServiceTier::asked("Priority"),
        ..request
    };
    assert_eq!(
        gpt.estimate(priority),
        Some(NanoDollars(600 * 4250 + 400 * 2125 + 10 * 17_000))
    );
    let default = CostInput {
        service: ServiceTier::asked("auto"),
        ..request
    };
    assert_eq!(gpt.estimate(default), gpt.estimate(request));
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
        ..CostInput::default()
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
    let first = |input_tokens| {
        let request = CostInput {
            input_tokens,
            service: ServiceTier::Priority,
            ..CostInput::default()
        };
        tiered.estimate(request).unwrap().0
    };
    assert_eq!(first(1000), 1000 * 3000);
    assert_eq!(first(2001), 2001 * 5000);
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
        low in 0u64..3000, width in 0u64..3000, at in 0.0..=1.0, out in 0u64..100, cached in 0u64..2000, priority: bool,
    ) {
        let table = small();
        let input = TokenBounds { lower: low, upper: low + width };
        let output = TokenBounds { lower: out / 2, upper: out };
        let input_tokens = low + (width as f64 * at) as u64;
        let output_tokens = out / 2 + ((out - out / 2) as f64 * at) as u64;
        let service = if priority { ServiceTier::Priority } else { ServiceTier::Standard };
        let request = CostInput { input_tokens, cached_input_tokens: cached, output_tokens, service, ..CostInput::default() };
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
        if let Ok(table) = PriceTable::parse(&format!("#policy-prices 2\n{text}")) {
            prop_assert_eq!(PriceTable::parse(&table.to_text()), Ok(table));
        }
        #[cfg(feature = "price-files")]
        prop_assert!(small().with_file("p", &text).is_err());
    }
}

#[test]
#[cfg(feature = "refresh")]
fn the_published_map_becomes_a_table() {
    let before = PriceTable::parse(
        "#policy-prices 2\n#listed 2026-01-01\n\
        given\tgem\tchat\t\t\t\t\tstandard:0,0\n\
        gone\tgem\tchat\t\t\t\t\tstandard:3,4\n\
        long-gone\tgem\tchat\t\t\t\t2025-05-05\tstandard:3,4\n\
        orphan\tgone\tchat\t\t\t\t\tstandard:3,4\n\
        pro\tgem\tchat\t\t\t\t\tstandard:9,9\n",
    )
    .unwrap();
    let table = refresh::update(
        &before,
        r#"{
            "sample_spec": {"mode": "one of ..."},
            "Pro": {"litellm_provider": "gem", "mode": "chat", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
                "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05,
                "cache_read_input_token_cost": 1.25e-07, "cache_read_input_token_cost_above_200k_tokens": 2.5e-07,
                "cache_creation_input_token_cost": 2e-06, "cache_creation_input_token_cost_above_1hr": 3e-06,
                "input_cost_per_token_batches": 6e-07, "output_cost_per_token_batches": 5e-06,
                "input_cost_per_token_above_200k_tokens_priority": 9e-06, "output_cost_per_token_above_128k_tokens": 1.2e-05,
                "input_cost_per_audio_token": 1e-06, "input_cost_per_audio_token_above_200k_tokens_batches": 2e-06,
                "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.02},
                "max_input_tokens": 1048576.0, "max_output_tokens": 65536, "deprecation_date": "2026-12-31"},
            "qwen": {"litellm_provider": "dash", "mode": "chat", "max_output_tokens": null, "tiered_pricing": [
                {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
                {"range": [32000.0, 128000.0], "input_cost_per_token": 2.0000000000000003e-06, "output_cost_per_token": 4e-06,
                 "output_cost_per_reasoning_token": 5e-06}]},
            "half": {"litellm_provider": "x", "mode": "responses", "input_cost_per_token": 0},
            "vector": {"litellm_provider": "x", "mode": "embedding", "input_cost_per_token": 1e-06},
            "image": {"litellm_provider": "x", "mode": "image_generation", "output_cost_per_image_1K": 0.04,
                "input_dbu_cost_per_token": 1},
            "size class": {"litellm_provider": "x", "input_cost_per_token": 1}
        }"#,
        "2026-02-02",
    )
    .unwrap();
    let text = table.to_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "#policy-prices 2",
            "#listed 2026-02-02",
            "#name\tprovider\tmode\tmax_input\tmax_output\tdeprecated\tlisted\tprices\tunits",
            "gone\tgem\tchat\t\t\t\t2026-01-01\tstandard:3,4",
            "half\tx\tresponses\t\t\t\t\t\tinput_token=0",
            "image\tx\timage_generation\t\t\t\t\t\toutput_image_1k=40000",
            "long-gone\tgem\tchat\t\t\t\t2025-05-05\tstandard:3,4",
            "pro\tgem\tchat\t1048576\t65536\t2026-12-31\t\tstandard:1.25,10,0.125,2,3;standard>128000:1.25,12,,2,3;\
             standard>200000:2.5,15,0.25,2.5,3;batch:0.6,5,,2,3;batch>128000:1.25,12,,2,3;batch>200000:2.5,15,2.5,2.5,3;\
             priority:1.25,10,0.125,2,3;priority>128000:1.25,12,1.25,2,3;priority>200000:9,15,,9,9\t\
             input_audio_token=1;input_audio_token@batch>200000=2;search_context_query_high=20000;search_context_query_low=10000",
            "qwen\tdash\tchat\t\t\t\t\tstandard:1,2;standard>32000:2,4,,,,,5",
            "vector\tx\tembedding\t\t\t\t\tstandard:1,0",
        ]
    );
    assert_eq!(PriceTable::parse(&text), Ok(table.clone()));
    let same_day = refresh::update(&table, "{}", "2026-02-02");
    assert_eq!(same_day, Err(refresh::RefreshError::Day));
    let bad = r#"{"m": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1.5e-16}}"#;
    let error = refresh::update(&PriceTable::default(), bad, "2026-01-01").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`input_cost_per_token` of `m`: a price must be a multiple of 0.000000001 dollars per million tokens"
    );
}
