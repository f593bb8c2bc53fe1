//! Exact counts agree with an independent implementation, on real prompts, random Unicode and hostile texts.

#![cfg(feature = "tokenizers")]

use std::path::PathBuf;

use policy_primitives::tokens::{Family, Method, TokenScratch, count};
use proptest::prelude::*;
use tiktoken_rs::CoreBPE;

fn families() -> [(Family, &'static CoreBPE); 2] {
    [
        (Family::O200K, tiktoken_rs::o200k_base_singleton()),
        (Family::CL100K, tiktoken_rs::cl100k_base_singleton()),
    ]
}

/// The counts of `text` that differ: ours and the reference's.
fn difference(text: &str, scratch: &mut TokenScratch) -> Option<(Family, u64, usize)> {
    families().into_iter().find_map(|(family, reference)| {
        let ours = count(text, family, scratch);
        assert_eq!(ours.method, Method::Exact);
        let theirs = reference.count_ordinary(text);
        (ours.tokens != theirs as u64).then_some((family, ours.tokens, theirs))
    })
}

#[track_caller]
fn assert_same(text: &str, scratch: &mut TokenScratch) {
    assert_eq!(difference(text, scratch), None, "{text:?}");
}

/// A file of the shared test data, or `None` after saying that the test is skipped.
fn test_data(test: &str, file: &str) -> Option<String> {
    let folder = std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join(file)).ok();
    if text.is_none() {
        println!("skipped: {test} (no test data)");
    }
    text
}

#[test]
fn real_prompts() {
    let Some(lines) = test_data("real_prompts", "prompts/benign_dev.jsonl") else {
        return;
    };
    let mut scratch = TokenScratch::new();
    let mut prompts = 0;
    for line in lines.lines() {
        let prompt: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_same(prompt["text"].as_str().unwrap(), &mut scratch);
        prompts += 1;
    }
    assert!(prompts >= 500, "{prompts} prompts");
}

#[test]
fn corners_of_the_splitting_rules() {
    let mut scratch = TokenScratch::new();
    for text in [
        "",
        " ",
        "  ",
        "\n",
        "\r\n",
        "a\n  ",
        "\n  ",
        "  \n",
        " \n \n x",
        "a  b",
        "a \t b",
        "I'm don't WE'RE he'Ll 'sup '' 'S",
        "it'\u{17f} o'\u{212a}",
        "\u{301}ABC",
        "\u{301}Abc",
        "\u{301}\u{301}A",
        "!\u{301}A",
        "中ABC文x",
        "ABCdef",
        "ABCDEF've",
        " \u{301}",
        "\u{a0}\u{a0}x",
        "\u{3000}日本語のテキスト",
        "1234567 ١٢٣٤ ⅷ½²",
        "!!\n/\n/x",
        "http://a.b/c//\n\n",
        "😀😀 👩‍👩‍👧",
        "ǅabc ǅ",
        "ʰʰA",
        "<|endoftext|>",
        "\u{0}\u{1}\u{7f}",
        "\u{10ffff}",
        "\u{85}\u{2028}\u{2029}x",
        "   !",
        "\t!",
        "a\u{301}b",
        "'",
        "' s",
        "    fn main() {\n\n\t\tprintln!(\"{}\", x);\r\n    }\n",
        "\u{fe0f}\u{200d}",
        "x'\u{17f}",
        "'RE've'LL'd",
    ] {
        assert_same(text, &mut scratch);
    }
}

#[test]
fn long_runs() {
    let mut scratch = TokenScratch::new();
    for unit in [
        "a", " ", "=", "-", "ab", "\n", "é", "中", "\u{301}", "1", "A", "1-", " a", "\n ", "aA", "==-", "😀",
        "abc='",
    ] {
        assert_same(&unit.repeat(3000 / unit.len()), &mut scratch);
    }
}

/// Characters around which the rules branch, more often than chance would.
fn awkward() -> impl Strategy<Value = String> {
    let pool = "aAzZ sStTlLrReEvVmMdD''''\u{17f}\u{212a}019½٣ⅷ \t\u{a0}\r\n\u{85}\u{2028}\u{3000}!/.-=\u{301}\u{903}中あʰǅßÉ😀\u{200d}\u{fe0f}\u{0}";
    let pool: Vec<char> = pool.chars().collect();
    prop::collection::vec(prop::sample::select(pool), 0..40).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn random_unicode(text in prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter)) {
        prop_assert_eq!(difference(&text, &mut TokenScratch::new()), None);
    }

    #[test]
    fn random_awkward_characters(text in awkward()) {
        prop_assert_eq!(difference(&text, &mut TokenScratch::new()), None);
    }

    #[test]
    fn random_runs(runs in prop::collection::vec((prop::sample::select(vec!['-', '=', '*', '#', ' ', '\n', 'a', '中']), 1usize..200), 1..6)) {
        let text: String = runs.iter().flat_map(|&(c, length)| std::iter::repeat_n(c, length)).collect();
        prop_assert_eq!(difference(&text, &mut TokenScratch::new()), None);
    }

    #[test]
    fn random_words(text in "([a-zA-Z]{1,12}[ .,'_-]{0,2}|[\\p{L}\\p{M}]{1,6}|[0-9]{1,5}|[ \\n]{1,3}){0,20}") {
        prop_assert_eq!(difference(&text, &mut TokenScratch::new()), None);
    }
}

/// Random texts per property; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(2000)
}
