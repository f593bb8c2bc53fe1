//! Counting tokens allocates nothing once its scratch has grown, for any text, model and limit.

use policy_primitives::tokens::{Counter, Family, TokenScratch, bounds, compare_limit, count, family_for};

/// Texts that take every path: prose, code, other scripts, and words that are no tokens, the longest one first.
fn texts() -> Vec<String> {
    vec![
        "supercalifragilistic".repeat(100),
        "The quick brown fox doesn't jump over 12,345 lazy dogs.\n\n".repeat(50),
        "    fn main() { println!(\"{}\", x.iter().sum::<u64>()); }\r\n".repeat(50),
        "日本語のテキスト、中文文本 и русский текст मानक हिन्दी 😀👩‍👩‍👧".repeat(20),
        "=".repeat(1000),
        " ".repeat(1000),
    ]
}

#[test]
fn nothing_is_allocated_in_steady_state() {
    let texts = texts();
    let families = [Family::O200K, Family::CL100K, family_for("claude-opus-4-7")];
    let mut scratch = TokenScratch::new();
    let mut run = || {
        let mut tokens = 0;
        for family in families {
            for text in &texts {
                tokens += count(text, family, &mut scratch).tokens;
                let parts = [text.as_str(), "and one more part"];
                let limit = bounds(parts, family, 7).upper / 4;
                tokens += compare_limit(parts, family, 7, limit, &mut scratch) as u64 & 1;
            }
            let mut chat = Counter::new(family, &mut scratch);
            for text in &texts {
                chat.message();
                chat.name("bob");
                chat.text(text);
            }
            tokens += chat.finish_chat().tokens;
        }
        tokens
    };
    let first = run();
    let mut second = 0;
    let allocations = allocation_counter::measure(|| second = run());
    assert_eq!(first, second);
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}

#[test]
fn the_model_name_is_looked_up_without_allocating() {
    let allocations = allocation_counter::measure(|| {
        for name in [
            "azure/GPT-4o",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "something else",
        ] {
            assert_eq!(family_for(name).is_exact(), name == "azure/GPT-4o");
        }
    });
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}
