//! The bounds against the vocabularies, limits against full counts, chat overhead.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

const FAMILIES: [&str; 11] = [
    "gpt-4o",
    "gpt-4",
    "text-davinci-003",
    "claude-3-5-sonnet",
    "claude-opus-4-7",
    "gemini-2.5-pro",
    "llama-3.3-70b",
    "mixtral-8x7b",
    "deepseek-chat",
    "qwen3-max",
    "who-knows",
];

fn full(parts: &[&str], family: Family, overhead: u64) -> u64 {
    let mut scratch = TokenScratch::new();
    let mut counter = Counter::new(family, &mut scratch);
    for part in parts {
        counter.text(part);
    }
    counter.finish().tokens + overhead
}

#[test]
#[cfg(feature = "tokenizers")]
fn the_longest_token_is_what_the_lower_bound_says() {
    for encoding in [Encoding::O200k, Encoding::Cl100k] {
        let vocabulary = vocabulary::Vocabulary::of(encoding);
        let longest = vocabulary.all_tokens().map(<[u8]>::len).max().unwrap();
        assert_eq!(longest as u64, LONGEST_TOKEN_BYTES);
        assert!(vocabulary.all_tokens().all(|token| !token.is_empty()));
        let mut scratch = vocabulary::Scratch::default();
        for byte in 0..=u8::MAX {
            assert_eq!(vocabulary.count(&[byte], &mut scratch), 1);
        }
    }
}

#[test]
fn chat_overhead_follows_openai() {
    let family = Family::O200K;
    let mut scratch = TokenScratch::new();
    let texts = full(&["system", "Be brief.", "user", "bob", "Hello"], family, 0);
    let mut chat = Counter::new(family, &mut scratch);
    chat.message();
    chat.text("system");
    chat.text("Be brief.");
    chat.message();
    chat.text("user");
    chat.name("bob");
    chat.text("Hello");
    assert_eq!(chat.finish_chat().tokens, texts + 3 + 3 + 1 + 3);
    assert_eq!(ChatOverhead::default().tokens(2, 1), 3 + 3 + 1 + 3);
}

#[test]
fn estimates_round_up_once_over_all_parts() {
    let family = family_for("claude-3-opus");
    let mut scratch = TokenScratch::new();
    let parts = ["word", "word", "word"];
    let thousandths: u64 = parts.iter().map(|part| encoded(part, family, &mut scratch)).sum();
    assert_ne!(thousandths % THOUSANDTHS, 0);
    assert_eq!(full(&parts, family, 0), thousandths.div_ceil(THOUSANDTHS));
    let mut scratch = TokenScratch::new();
    assert_eq!(count("a", family, &mut scratch).method, Method::Estimate);
    let method = count("a", Family::O200K, &mut scratch).method;
    assert_eq!(method == Method::Exact, cfg!(feature = "tokenizers"));
}

#[test]
fn lengths_alone_decide_the_far_cases() {
    let mut scratch = TokenScratch::new();
    let text = "x".repeat(1_000_000);
    assert!(!at_most([text.as_str()], Family::O200K, 0, 100, &mut scratch));
    assert!(at_most(
        [text.as_str()],
        Family::O200K,
        0,
        1_000_000,
        &mut scratch
    ));
    assert!(!at_most([], Family::O200K, 5, 4, &mut scratch));
    assert!(at_most([], Family::O200K, 4, 4, &mut scratch));
    assert!(at_most(["abc"], Family::O200K, 0, u64::MAX, &mut scratch));
}

#[test]
fn an_overhead_at_the_limit_leaves_room_for_nothing() {
    let mut scratch = TokenScratch::new();
    assert_eq!(
        compare_limit([""], Family::O200K, 7, 7, &mut scratch),
        Ordering::Equal
    );
    assert_eq!(
        compare_limit(["a"], Family::O200K, 7, 7, &mut scratch),
        Ordering::Greater
    );
    assert_eq!(
        compare_limit(["a"], Family::O200K, 7, 9, &mut scratch),
        Ordering::Less
    );
}

proptest! {
    #[test]
    fn limits_agree_with_full_counts(
        parts in prop::collection::vec("(\\PC{0,20}|[a-z ]{0,60}|[ \\n=]{0,200})", 0..4),
        overhead in 0u64..12,
        delta in -6i64..6,
        family in prop::sample::select(&FAMILIES[..]),
    ) {
        let family = family_for(family);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let tokens = full(&parts, family, overhead);
        let limit = tokens.saturating_add_signed(delta);
        let mut scratch = TokenScratch::new();
        let order = compare_limit(parts.iter().copied(), family, overhead, limit, &mut scratch);
        prop_assert_eq!(order, tokens.cmp(&limit));
        let fits = at_most(parts.iter().copied(), family, overhead, limit, &mut scratch);
        prop_assert_eq!(fits, tokens <= limit);
        let bounds = bounds(parts.iter().copied(), family, overhead);
        prop_assert!(bounds.lower <= tokens && tokens <= bounds.upper);
    }

    #[test]
    fn the_heuristic_keeps_the_bounds(text in "\\PC{0,300}") {
        let bounds = encoded_bounds(&text);
        for family in FAMILIES {
            let tokens = heuristic::count(&text, weights::of(family_for(family).name)).div_ceil(THOUSANDTHS);
            prop_assert!(bounds.lower <= tokens && tokens <= bounds.upper);
        }
    }
}
