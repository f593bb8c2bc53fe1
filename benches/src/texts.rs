//! Texts for the primitives: prose, code and CJK of any length, text made to hurt, and many different prompts.
//!
//! All but [`real_prompts`] are made here, from words and a fixed seed, so that numbers of different days stay comparable and nobody's text is
//! copied. Code and prose look like what gateways see in shape: lengths of words, punctuation, indentation, numbers.

use crate::random::Twister;
use serde::Deserialize;
use std::fmt::Write as _;

/// What is measured: a name and a text.
pub type Named = (&'static str, String);

const WORDS: &str = "please review the migration plan of billing service and describe how team should move remaining workers \
                     to new queue without losing messages during weekend window include rollback steps metrics watch who \
                     approves each stage keep answer short use simple words because readers come from support finance legal \
                     many have never seen dashboards before summarise quarterly incident report list open risks by owner";

const NAMES: &str = "request response client server buffer index config handler worker token cache session result value \
                     parse encode decode connect retry timeout limit offset length error status update insert remove";

/// Common characters, so that neither tokenizer meets only rare ones.
const CJK: &str = "数据保护策略要求在发送之前删除所有个人信息我们的团队正在审查新系统安全性请总结这份报告并列出未解决问题以及负责人\
                   本日会議議事録要約重要決定事項教";

/// English sentences of `chars` characters.
#[must_use]
pub fn prose(chars: usize) -> String {
    take(chars, &mut Twister::new(1), sentence)
}

/// Source code of `chars` characters.
#[must_use]
pub fn code(chars: usize) -> String {
    take(chars, &mut Twister::new(2), function)
}

/// Chinese and Japanese of `chars` characters.
#[must_use]
pub fn cjk(chars: usize) -> String {
    take(chars, &mut Twister::new(3), cjk_sentence)
}

/// The texts that token counts are compared on.
#[must_use]
pub fn for_tokens() -> Vec<Named> {
    vec![
        ("prose, 2,000 characters", prose(2_000)),
        ("code, 2,000 characters", code(2_000)),
        ("CJK, 2,000 characters", cjk(2_000)),
        ("20,000 × \"a\"", "a".repeat(20_000)),
    ]
}

/// The texts that the search for personal data is measured on.
#[must_use]
pub fn for_personal_data() -> Vec<Named> {
    vec![
        ("prose, 2 KB", prose(2_000)),
        ("prose, 100 KB", prose(100_000)),
        ("code, 100 KB", code(100_000)),
        ("100 KB of \"a\"", "a".repeat(100_000)),
        ("100 KB of \"1-\"", "1-".repeat(50_000)),
        ("100 KB of \"a@\"", "a@".repeat(50_000)),
    ]
}

/// 475 different prompts of about 4 KB: 200 like a manual, 200 like code, 25 CJK, 25 base64, 25 made to hurt.
///
/// A set of patterns that is scanned by one lazy automaton does well on a prompt that repeats and badly on these.
#[must_use]
pub fn prompts() -> Vec<String> {
    const BYTES: usize = 4_000;
    let mut random = Twister::new(475);
    let mut prompts = Vec::with_capacity(475);
    let mut add = |count: usize, piece: fn(&mut Twister) -> String| {
        for _ in 0..count {
            prompts.push(take_bytes(BYTES, &mut random, piece));
        }
    };
    add(200, manual);
    add(200, function);
    add(25, cjk_sentence);
    add(25, base64);
    add(25, near_miss);
    prompts
}

/// Real prompts from the folder of test data, which is not part of the repository; `None` where it is not there.
#[must_use]
pub fn real_prompts() -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Line {
        text: String,
    }
    let file = crate::workloads::data_folder().join("prompts/benign_dev.jsonl");
    let lines = std::fs::read_to_string(file).ok()?;
    lines
        .lines()
        .map(|line| serde_json::from_str::<Line>(line).ok().map(|line| line.text))
        .collect()
}

/// A request with this prompt, as the workload `prompt-scan-100` has them.
#[must_use]
pub fn request(prompt: &str) -> Vec<u8> {
    let body = serde_json::json!({
        "llm": {"provider": "openai", "model": "gpt-5-mini", "prompt": prompt, "maxTokens": 512},
        "user": {"id": "user-1", "roles": ["employee"]},
        "team": {"id": "team-7", "tier": "pro"},
    });
    body.to_string().into_bytes()
}

fn take(chars: usize, random: &mut Twister, piece: fn(&mut Twister) -> String) -> String {
    let mut text = String::new();
    let mut count = 0;
    while count < chars {
        let piece = piece(random);
        count += piece.chars().count();
        text += &piece;
    }
    text.chars().take(chars).collect()
}

fn take_bytes(bytes: usize, random: &mut Twister, piece: fn(&mut Twister) -> String) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        text += &piece(random);
    }
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// A word: of the list, of the list with an ending, or one that is in no list.
fn word(random: &mut Twister, of: &'static str) -> String {
    const ENDINGS: [&str; 8] = ["s", "ed", "ing", "er", "ment", "ly", "able", "ness"];
    const SYLLABLES: [&str; 24] = [
        "ba", "cor", "del", "fi", "gra", "hen", "in", "jo", "kel", "lum", "mar", "nov", "or", "pre", "qui",
        "ras", "sto", "tan", "ul", "ver", "wil", "xen", "yor", "zet",
    ];
    let words: Vec<&str> = of.split_whitespace().collect();
    match random.below(10) {
        0..=5 => random.choice(&words).to_owned(),
        6 | 7 => random.choice(&words).to_owned() + random.choice(&ENDINGS),
        _made_up => (0..2 + random.below(3))
            .map(|_| random.choice(&SYLLABLES))
            .collect(),
    }
}

fn sentence(random: &mut Twister) -> String {
    let mut text = String::new();
    for i in 0..6 + random.below(14) {
        let word = word(random, WORDS);
        match i {
            0 => text.extend(
                word.chars()
                    .enumerate()
                    .map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c }),
            ),
            _rest => text = text + " " + &word,
        }
        if random.below(25) == 0 {
            push(&mut text, format_args!(" {}", random.below(2_030)));
        } else if random.below(12) == 0 {
            text.push(',');
        }
    }
    text + random.choice(&[". ", ". ", "? ", ".\n", ": "])
}

fn manual(random: &mut Twister) -> String {
    let name = word(random, NAMES);
    match random.below(8) {
        0 => format!("\n## {} {}\n\n", word(random, WORDS), 1 + random.below(9)),
        1 => format!("- `{name}_{}`: {}\n", word(random, NAMES), sentence(random)),
        2 => format!(
            "```sh\n$ {name} --{} {} --{}=0.{}\n```\n",
            word(random, NAMES),
            random.below(9_000),
            word(random, NAMES),
            random.below(99)
        ),
        3 => format!(
            "[{}](https://docs.example.com/{name}/{}.html)\n",
            word(random, WORDS),
            word(random, WORDS)
        ),
        4 => format!(
            "| {name} | {} | v{}.{} |\n",
            word(random, WORDS),
            random.below(9),
            random.below(30)
        ),
        _text => sentence(random),
    }
}

fn function(random: &mut Twister) -> String {
    let mut name = || word(random, NAMES);
    let (a, b, c, d) = (name(), name(), name(), name());
    let number = random.below(4_096);
    match random.below(5) {
        0 => format!("pub fn {a}_{b}({c}: &str, {d}: usize) -> Result<(), Error> {{\n"),
        1 => format!(
            "    if {a}.{b} > {number} && !{c}.is_empty() {{\n        return Err(Error::new(\"{d} {c}\"));\n    }}\n"
        ),
        2 => format!("    let {a} = self.{b}.{c}({number}, |{d}| {d} + 0x{number:x})?;\n"),
        3 => format!("    // {}\n", sentence(random).trim()),
        _end => format!("    {a}[{number}] = {b}({c}, \"{d}\");\n    Ok(())\n}}\n\n"),
    }
}

fn cjk_sentence(random: &mut Twister) -> String {
    let chars: Vec<char> = CJK.chars().filter(|c| !c.is_whitespace()).collect();
    let mut text: String = (0..8 + random.below(20)).map(|_| random.choice(&chars)).collect();
    text += random.choice(&["。", "，", "。\n", "？"]);
    text
}

fn base64(random: &mut Twister) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut line: String = (0..76).map(|_| char::from(random.choice(DIGITS))).collect();
    line.push('\n');
    line
}

/// Beginnings of secrets, personal data and injections that do not go on as such.
fn near_miss(random: &mut Twister) -> String {
    let digits = random.below(99_999);
    match random.below(8) {
        0 => format!("AKIA{digits} "),
        1 => format!("sk-{digits}-{} ", word(random, NAMES)),
        2 => "1-2-3-".repeat(1 + random.below(30)),
        3 => "a@b@c.".repeat(1 + random.below(20)),
        4 => format!("ghp_{} eyJ{digits}. ", word(random, NAMES)),
        5 => format!("ignore all {} instruction ", word(random, WORDS)),
        6 => format!("4111 {digits} 00.00.{digits} password = x "),
        _run => random
            .choice(&[
                "aaaaaaaaaaaaaaaa",
                "================",
                "((((((((",
                "../..",
                "0x0x0x0x",
            ])
            .to_owned(),
    }
}

fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    if out.write_fmt(args).is_err() {
        out.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn prompts_are_different_and_of_one_size() {
        let prompts = prompts();
        assert_eq!(prompts.len(), 475);
        assert_eq!(prompts.iter().collect::<HashSet<_>>().len(), 475);
        for prompt in &prompts {
            assert!((3_990..=4_000).contains(&prompt.len()), "{}", prompt.len());
        }
    }

    #[test]
    fn texts_are_as_long_as_they_say() {
        for text in [prose(2_000), code(2_000), cjk(2_000)] {
            assert_eq!(text.chars().count(), 2_000);
        }
        assert_eq!(prose(2_000), prose(2_000));
    }
}
