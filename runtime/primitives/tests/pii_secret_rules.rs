//! Our detectors of service keys against a public rule set: strings drawn from its patterns must be found.
//!
//! Reads `secrets/gitleaks.toml` under `$POLICY_TEST_DATA`, else under `../shared/data` beside the workspace; skipped,
//! by name, without it. Nothing of that file is part of the product: formats are facts, and the detectors are our own.

use std::path::PathBuf;

use policy_primitives::pii::{PiiType, PiiTypeSet, types_in};
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Rules whose keys we claim to find.
const CLAIMED: &[&str] = &[
    "aws-access-token",
    "anthropic-admin-api-key",
    "anthropic-api-key",
    "databricks-api-token",
    "digitalocean-access-token",
    "digitalocean-pat",
    "gcp-api-key",
    "github-app-token",
    "github-fine-grained-pat",
    "github-oauth",
    "github-pat",
    "github-refresh-token",
    "gitlab-deploy-token",
    "gitlab-pat",
    "gitlab-ptt",
    "huggingface-access-token",
    "linear-api-key",
    "npm-access-token",
    "perplexity-api-key",
    "postman-api-token",
    "pulumi-api-token",
    "pypi-upload-token",
    "rubygems-api-token",
    "sendgrid-api-token",
    "shopify-access-token",
    "slack-bot-token",
    "slack-user-token",
    "stripe-access-token",
    "twilio-api-key",
];

/// Strings drawn from each pattern.
const SAMPLES: usize = 200;

/// The id and pattern of each rule. The file is regular enough to be read by line.
fn rules(toml: &str) -> Vec<(String, String)> {
    let mut id = String::new();
    let mut rules = Vec::new();
    for line in toml.lines() {
        if let Some(rest) = line.strip_prefix("id = \"") {
            id = rest.trim_end_matches('"').to_owned();
        } else if let Some(rest) = line.strip_prefix("regex = '''") {
            rules.push((id.clone(), rest.trim_end_matches("'''").to_owned()));
        }
    }
    rules
}

/// A pattern that strings can be drawn from: no word boundaries, and nothing of what must follow the key.
fn drawable(pattern: &str) -> String {
    let pattern = pattern
        .replace("(?i)", "")
        .replace("(?i:", "(?:")
        .replace(r"\b", "")
        .replace(r"[\s\S-]", "[a-zA-Z0-9+/]")
        .replace(r"[\w-]", "[0-9A-Za-z_-]");
    let pattern = pattern.replace(r"\w", "[0-9A-Za-z_]");
    match pattern.rfind(r"(?:[\x60'") {
        Some(end) => pattern[..end].to_owned(),
        None => pattern,
    }
}

#[test]
fn strings_drawn_from_public_rules_are_found() {
    let root = std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(toml) = std::fs::read_to_string(root.join("secrets/gitleaks.toml")) else {
        println!("skipped: secrets/gitleaks.toml (no test data)");
        return;
    };
    let secrets = PiiTypeSet::EMPTY
        .with(PiiType::ApiKey)
        .with(PiiType::PrivateKey)
        .with(PiiType::Jwt);
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(7),
        ..Config::default()
    });
    let (mut drawn, mut covered) = (0, 0);
    let mut missing = Vec::new();
    for (id, pattern) in rules(&toml) {
        let Ok(strategy) = string_regex(&drawable(&pattern)) else {
            continue;
        };
        let found = (0..SAMPLES)
            .filter(|_| {
                let key = strategy.new_tree(&mut runner).unwrap().current();
                types_in(&format!("x = \"{key}\"\n"))
                    .iter()
                    .any(|kind| secrets.contains(kind))
            })
            .count();
        drawn += 1;
        covered += usize::from(found * 10 >= SAMPLES * 9);
        println!("{id:<45} {:>3} %", found * 100 / SAMPLES);
        if CLAIMED.contains(&id.as_str()) && found * 100 < SAMPLES * 95 {
            missing.push((id, found));
        }
    }
    println!("{covered} of {drawn} rules covered");
    assert!(missing.is_empty(), "found too few of {SAMPLES}: {missing:?}");
}
