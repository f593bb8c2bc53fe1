//! Patterns that are looked for together decide as each of them does alone, in the `regex` crate.
//!
//! Patterns are made of pieces, each with a text that it matches, so that many texts match and many almost do. Where the
//! test data are, the same is asked of public rules for secrets and of real prompts. `SCAN_CASES` sets how many sets of
//! patterns (default 150), `SCAN_SEED` where to start.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use policy_compiler::{OptLevel, Options, compile};
use policy_conformance::data;
use policy_conformance::rng::Rng;
use policy_grammar::text::pattern as dialect;
use policy_grammar::{SourceFile, SourceMap};
use policy_runtime::{DeriveMode, EvaluateOptions, Mode, Policies, PolicyEngine};
use regex::Regex;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// What a rule asks of the prompt.
#[derive(Debug, Clone)]
enum Ask {
    Matches(String),
    Contains(String),
    ContainsIgnoringCase(String),
}

impl Ask {
    fn holds(&self, regex: Option<&Regex>, text: &str) -> bool {
        match self {
            Self::Matches(_) | Self::ContainsIgnoringCase(_) => regex.unwrap().is_match(text),
            Self::Contains(needle) => text.contains(needle),
        }
    }
}

/// An engine with one warning for each.
fn engine(asks: &[Ask], level: OptLevel) -> (PolicyEngine, usize) {
    let rules: Vec<_> = asks
        .iter()
        .enumerate()
        .map(|(i, ask)| {
            let (operator, value) = match ask {
                Ask::Matches(pattern) => ("matches", pattern),
                Ask::Contains(needle) | Ask::ContainsIgnoringCase(needle) => ("contains", needle),
            };
            let ignore_case = matches!(ask, Ask::ContainsIgnoringCase(_));
            let mut condition = json!({ "operator": operator, "field": "llm.prompt", "value": value });
            if ignore_case {
                condition["ignoreCase"] = json!(true);
            }
            json!({
                "id": format!("r{i}"), "action": { "decision": "warn", "reason": "found" },
                "condition": condition,
            })
        })
        .collect();
    let policy = json!({ "metadata": { "id": "p", "name": "p" }, "rules": rules });
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.json", policy.to_string()));
    let options = Options {
        opt_level: level,
        ..Options::default()
    };
    let compiled = compile(&sources, &options).unwrap_or_else(|e| panic!("{e}: {asks:?}"));
    let scanned = compiled
        .module
        .scans
        .iter()
        .map(|scan| scan.predicates.len())
        .sum();
    let bytes = compiled.to_bundle().unwrap();
    let engine = PolicyEngine::builder()
        .policies(Policies::from_bundle(&bytes, &[]).unwrap())
        .derive(DeriveMode::Never)
        .build();
    (engine.unwrap(), scanned)
}

/// Rules that fire on a prompt.
fn fired(engine: &PolicyEngine, text: &str) -> BTreeSet<usize> {
    let body = json!({ "llm": { "prompt": text } }).to_string();
    let options = EvaluateOptions {
        mode: Mode::All,
        ..EvaluateOptions::default()
    };
    let response = engine.evaluate_json_with(body.as_bytes(), &options).unwrap();
    let matched = &response.decision.matched_rules;
    matched
        .iter()
        .map(|rule| rule.trim_start_matches('r').parse().unwrap())
        .collect()
}

/// Every engine fires what the patterns alone say; returns how many did.
fn agree(asks: &[Ask], engines: &[(&str, &PolicyEngine)], texts: &[String]) -> usize {
    let regexes: Vec<Option<Regex>> = asks
        .iter()
        .map(|ask| match ask {
            Ask::Matches(pattern) => Some(Regex::new(&dialect::translate(pattern).unwrap()).unwrap()),
            Ask::ContainsIgnoringCase(needle) => {
                Some(Regex::new(&format!("(?i){}", regex::escape(needle))).unwrap())
            }
            Ask::Contains(_) => None,
        })
        .collect();
    let mut hits = 0;
    for text in texts {
        let holds = |i: &usize| asks[*i].holds(regexes[*i].as_ref(), text);
        let expected: BTreeSet<usize> = (0..asks.len()).filter(holds).collect();
        for (name, engine) in engines {
            let found = fired(engine, text);
            let wrong: Vec<&Ask> = found.symmetric_difference(&expected).map(|i| &asks[*i]).collect();
            assert!(wrong.is_empty(), "{name} disagrees about {wrong:?} on {text:?}");
        }
        hits += expected.len();
    }
    hits
}

const WORDS: &[&str] = &[
    "secret", "Key", "pass", "k", "S", "sk-", "AKIA", "4", "12", "é", "ß", "Straße", "-", "@", "::", "κ",
    "你好", "or ", "a b", "KISS", "id", "##", "\u{212a}", "\u{17f}", "٣", "_", "the ",
];
/// Classes and a member of each.
const CLASSES: &[(&str, &[&str])] = &[
    (r"\d", &["0", "7", "٣", "９"]),
    ("[a-c]", &["a", "c"]),
    ("[A-Z]", &["K", "Q"]),
    (r"\w", &["k", "é", "9", "_"]),
    (r"\s", &[" ", "\n", "\u{a0}"]),
    ("[0-9a-f]", &["4", "d"]),
    ("[^x]", &["y", "好", "\u{212a}"]),
    (".", &["-", "s"]),
    ("[ks]", &["k", "s"]),
    ("[ -]?", &["", "-"]),
    (r"[\d-]", &["-", "5"]),
    ("[A-Fa-f]", &["A", "e"]),
    (r"[^\W\d]", &["b", "_"]),
    (r"\b", &[""]),
    (r"\B", &[""]),
    (r"\Qa.b\E", &["a.b"]),
    ("^", &[""]),
    ("$", &[""]),
    ("(?m)^", &[""]),
];

/// A pattern and a text that it may match.
fn piece(random: &mut Rng, depth: usize, folded: bool) -> (String, String) {
    match random.weighted(&[30, 25, if depth == 0 { 0 } else { 45 }]) {
        0 => {
            let word = *random.pick(WORDS);
            (regex::escape(word), respelled(random, word, folded))
        }
        1 => {
            let (class, members) = random.pick(CLASSES);
            let member = *random.pick(members);
            ((*class).to_owned(), respelled(random, member, folded))
        }
        _more => match random.below(5) {
            0 | 1 => (0..=1 + random.below(3))
                .map(|_| piece(random, depth - 1, folded))
                .fold((String::new(), String::new()), |(pattern, text), (p, t)| {
                    (pattern + &p, text + &t)
                }),
            2 => {
                let branches: Vec<_> = (0..=random.below(4))
                    .map(|_| piece(random, depth - 1, folded))
                    .collect();
                let text = random.pick(&branches).1.clone();
                let patterns: Vec<String> = branches.into_iter().map(|(pattern, _)| pattern).collect();
                (format!("(?:{})", patterns.join("|")), text)
            }
            3 => {
                let (pattern, text) = piece(random, depth - 1, folded);
                let (count, times) = *random.pick(&[
                    ("?", 1),
                    ("*", 2),
                    ("+", 1),
                    ("{2}", 2),
                    ("{1,3}", 2),
                    ("{3,}", 3),
                    ("{0}", 0),
                    ("+?", 2),
                ]);
                (format!("(?:{pattern}){count}"), text.repeat(times))
            }
            _fold => {
                let (pattern, text) = piece(random, depth - 1, true);
                (format!("(?i:{pattern})"), text)
            }
        },
    }
}

/// Another spelling of a text that a pattern without case takes for the same.
fn respelled(random: &mut Rng, text: &str, folded: bool) -> String {
    if !folded {
        return text.to_owned();
    }
    text.chars()
        .map(|c| match (c, random.below(4)) {
            ('k' | 'K', 0) => '\u{212a}',
            ('s' | 'S', 0) => '\u{17f}',
            (c, 1) if c.is_ascii_alphabetic() => c.to_ascii_uppercase(),
            (c, 2) if c.is_ascii_alphabetic() => c.to_ascii_lowercase(),
            (c, _) => c,
        })
        .collect()
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn made_patterns_are_found_together_as_alone() {
    let (mut scanned, mut asked, mut hits) = (0, 0, 0);
    let first = variable("SCAN_SEED", 1);
    for seed in first..first + variable("SCAN_CASES", 150) {
        let mut random = Rng::seeded(seed);
        let mut asks = Vec::new();
        let mut samples = Vec::new();
        for _ in 0..4 + random.below(20) {
            let (pattern, sample) = piece(&mut random, 3, false);
            if random.chance(25) && !sample.is_empty() {
                asks.push(if random.chance(50) {
                    Ask::Contains(sample.clone())
                } else {
                    Ask::ContainsIgnoringCase(sample.clone())
                });
            } else {
                asks.push(Ask::Matches(pattern));
            }
            samples.push(sample);
        }
        let texts: Vec<String> = (0..12).map(|_| text(&mut random, &samples)).collect();
        let (whole, count) = engine(&asks, OptLevel::O2);
        let (plain, none) = engine(&asks, OptLevel::O0);
        assert_eq!(none, 0);
        hits += agree(&asks, &[("-O2", &whole), ("-O0", &plain)], &texts);
        scanned += count;
        asked += asks.len();
    }
    println!("{scanned} of {asked} predicates scanned, {hits} hits");
    assert!(scanned * 5 > asked && hits > asked);
}

/// Samples, some of them damaged, between other things.
fn text(random: &mut Rng, samples: &[String]) -> String {
    const BETWEEN: &[&str] = &[
        "",
        " ",
        "x",
        "\n",
        ". ",
        "some longer text before it ",
        "é",
        "K",
        "0",
    ];
    let mut text = String::new();
    for _ in 0..random.below(8) {
        text += *random.pick(BETWEEN);
        let sample: Vec<char> = random.pick(samples).chars().collect();
        let lost = if random.chance(30) {
            random.below(sample.len().max(1))
        } else {
            usize::MAX
        };
        text.extend(
            sample
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != lost)
                .map(|(_, c)| c),
        );
    }
    text += *random.pick(BETWEEN);
    text
}

/// The patterns of a list of rules, which is regular enough to be read by line.
fn patterns(text: &str) -> Vec<Ask> {
    let quoted = text
        .lines()
        .filter_map(|line| line.strip_prefix("regex = '''")?.strip_suffix("'''"));
    let usable = |pattern: &&str| dialect::translate(pattern).is_ok_and(|text| Regex::new(&text).is_ok());
    quoted
        .filter(usable)
        .map(|pattern| Ask::Matches(pattern.to_owned()))
        .collect()
}

fn prompts(text: &str) -> Vec<String> {
    let texts = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    texts
        .map(|value| value["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn public_rules_for_secrets_are_found_together_as_alone() {
    let name = "public rules for secrets";
    let (Some(rules), Some(benign)) = (
        data::read(name, "secrets/gitleaks.toml"),
        data::read(name, "prompts/benign_dev.jsonl"),
    ) else {
        return;
    };
    let asks = patterns(&rules);
    let mut random = Rng::seeded(3);
    // Keywords of the rules, with what may follow them, so that patterns are tried and some match.
    let keywords: Vec<&str> = rules
        .lines()
        .filter(|line| line.contains("keywords"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .collect();
    // Every fourth: each is run against every pattern alone.
    let mut texts: Vec<String> = prompts(&benign).into_iter().step_by(4).collect();
    for text in texts.iter_mut().step_by(2) {
        for _ in 0..4 {
            let filler: String = (0..20 + random.below(60))
                .map(|_| *random.pick(&['a', '7', 'F', 'x', '0']))
                .collect();
            *text += &format!(
                "\n{}{} = '{filler}' ",
                random.pick(&keywords),
                random.pick(&["", "_key", "-secret"])
            );
        }
    }
    let (engine, scanned) = engine(&asks, OptLevel::O2);
    let hits = agree(&asks, &[("-O2", &engine)], &texts);
    println!("{scanned} of {} rules scanned, {hits} hits", asks.len());
    assert!(scanned * 10 > asks.len() * 8);
}

/// The patterns of the benchmark, on its own prompts and, where they are, on real ones.
#[test]
fn the_patterns_of_the_benchmark_are_found_together_as_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/workloads/prompt-scan-100");
    let policy = std::fs::read_to_string(folder.join("policy.yaml")).unwrap();
    let policy: serde_json::Value = serde_yaml::from_str(&policy).unwrap();
    let rules = policy["rules"].as_array().unwrap();
    let pattern = |rule: &serde_json::Value| rule["condition"]["value"].as_str().unwrap().to_owned();
    let asks: Vec<Ask> = rules.iter().map(|rule| Ask::Matches(pattern(rule))).collect();
    let contexts = std::fs::read_to_string(folder.join("contexts.jsonl")).unwrap();
    let mut texts: Vec<String> = contexts
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|body| body["llm"]["prompt"].as_str().unwrap().to_owned())
        .collect();
    let real = data::read(
        "the patterns of the benchmark on real prompts",
        "prompts/benign_dev.jsonl",
    );
    texts.extend(real.iter().flat_map(|text| prompts(text)).step_by(4));
    let (engine, scanned) = engine(&asks, OptLevel::O2);
    assert_eq!(scanned, asks.len(), "every one of them has literals");
    assert!(agree(&asks, &[("-O2", &engine)], &texts) >= 16);
}
