//! Tables of the primitives' quality: personal data on labelled texts, token counts against another implementation,
//! and what well-known models cost.

use crate::data;
use anyhow::Context as _;
use comfy_table::{Table, presets};
use policy_primitives::pii::{Confidence, Findings, Match, PiiType, contains, scan};
use policy_primitives::prices::{PriceTable, Resolution};
use policy_primitives::tokens::{Family, Method, TokenScratch, count};
use serde_json::Value;

/// Labels of the data, and the types that correspond to them.
const LABELS: &[(&str, PiiType)] = &[
    ("CREDIT_CARD", PiiType::CreditCard),
    ("US_SSN", PiiType::Ssn),
    ("IBAN_CODE", PiiType::Iban),
    ("EMAIL_ADDRESS", PiiType::Email),
    ("IP_ADDRESS", PiiType::IpAddress),
    ("PHONE_NUMBER", PiiType::Phone),
    ("ADDRESS", PiiType::Address),
    ("US_DRIVER_LICENSE", PiiType::DriverLicense),
];

/// Precision and recall of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Labels in the data.
    pub labels: usize,
    /// Labels that one finding covers as a whole, so that redaction would leave nothing.
    pub covered: usize,
    /// Findings with confidence medium or above.
    pub findings: usize,
    /// Findings that overlap a label of their type.
    pub right: usize,
}

impl Score {
    /// Share of findings that are right; 1 without findings.
    #[must_use]
    pub fn precision(self) -> f64 {
        share(self.right, self.findings)
    }

    /// Share of labels that are found; 1 without labels.
    #[must_use]
    pub fn recall(self) -> f64 {
        share(self.covered, self.labels)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

/// Scores on labelled texts: a JSON list of `{text, spans: [{type, start, end}]}`, offsets in characters.
///
/// # Errors
///
/// Texts that are not such a list.
pub fn pii_scores(labelled: &str) -> anyhow::Result<Vec<(PiiType, Score)>> {
    let records: Vec<Value> = serde_json::from_str(labelled)?;
    let mut scores: Vec<(PiiType, Score)> =
        LABELS.iter().map(|(_, kind)| (*kind, Score::default())).collect();
    let mut findings = Findings::new();
    for record in &records {
        let text = record["text"]
            .as_str()
            .or_else(|| record["full_text"].as_str())
            .context("no text")?;
        let spans = record["spans"].as_array().context("no spans")?;
        scan(text, &mut findings);
        for ((label, kind), (_, score)) in LABELS.iter().zip(&mut scores) {
            let labels: Vec<(usize, usize)> = spans
                .iter()
                .filter(|s| text_of(s, "type", "entity_type") == *label)
                .map(|s| bytes(text, s))
                .collect();
            let found: Vec<&Match> = findings
                .iter()
                .filter(|f| f.kind == *kind && f.confidence >= Confidence::Medium)
                .collect();
            score.labels += labels.len();
            score.findings += found.len();
            score.covered += labels
                .iter()
                .filter(|(start, end)| found.iter().any(|f| f.start <= *start && f.end >= *end))
                .count();
            score.right += found
                .iter()
                .filter(|f| labels.iter().any(|(start, end)| f.start < *end && f.end > *start))
                .count();
        }
    }
    Ok(scores)
}

fn text_of<'v>(value: &'v Value, name: &str, other: &str) -> &'v str {
    value[name]
        .as_str()
        .or_else(|| value[other].as_str())
        .unwrap_or_default()
}

/// Byte offsets of a span given in characters.
fn bytes(text: &str, span: &Value) -> (usize, usize) {
    let offset = |name: &str, other: &str| {
        let chars = span[name]
            .as_u64()
            .or_else(|| span[other].as_u64())
            .unwrap_or_default();
        let chars = usize::try_from(chars).unwrap_or(usize::MAX);
        text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
    };
    (offset("start", "start_position"), offset("end", "end_position"))
}

/// Texts of a file of prompts, one JSON object with `text` per line.
///
/// # Errors
///
/// Lines that are no such object.
pub fn prompts(lines: &str) -> anyhow::Result<Vec<String>> {
    lines
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line)?;
            Ok(value["text"].as_str().context("no text")?.to_owned())
        })
        .collect()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    table
}

/// A share as the table shows it: a dash where there was nothing to measure.
fn measured(share: f64, of: usize) -> String {
    if of == 0 {
        "–".to_owned()
    } else {
        format!("{share:.3}")
    }
}

/// Prints precision and recall per type, and which harmless prompts are flagged.
///
/// # Errors
///
/// Data that cannot be read as what it should be.
pub fn print_pii(verbose: bool) -> anyhow::Result<()> {
    if let Some(labelled) = data::read("precision and recall", "pii/labelled_dev.json") {
        let mut table = table(&["type", "labels", "findings", "precision", "recall"]);
        for (kind, score) in pii_scores(&labelled)? {
            table.add_row([
                kind.name().to_owned(),
                score.labels.to_string(),
                score.findings.to_string(),
                measured(score.precision(), score.findings),
                measured(score.recall(), score.labels),
            ]);
        }
        println!("pii/labelled_dev.json\n{table}");
        println!("right: overlaps a label of its type; found: one finding covers the whole label");
    }
    if let Some(lines) = data::read("flagged prompts", "prompts/benign_dev.jsonl") {
        let prompts = prompts(&lines)?;
        let flagged: Vec<&String> = prompts.iter().filter(|text| contains(text)).collect();
        println!(
            "prompts/benign_dev.jsonl: {} of {} prompts flagged ({:.2} %)",
            flagged.len(),
            prompts.len(),
            100.0 * share(flagged.len(), prompts.len())
        );
        if verbose {
            let mut findings = Findings::new();
            for text in flagged {
                scan(text, &mut findings);
                for found in findings.iter().filter(|f| f.confidence >= Confidence::Medium) {
                    println!("  {} {:?}", found.kind, &text[found.start..found.end]);
                }
            }
        }
    }
    Ok(())
}

/// Prompts whose count differs from tiktoken's, per encoding: name, prompts, tokens, differing prompts.
///
/// # Errors
///
/// None at present; the signature leaves room for encodings that have to be loaded.
pub fn token_differences(prompts: &[String]) -> anyhow::Result<Vec<(&'static str, u64, usize)>> {
    let encodings = [
        ("o200k_base", Family::O200K, tiktoken_rs::o200k_base_singleton()),
        (
            "cl100k_base",
            Family::CL100K,
            tiktoken_rs::cl100k_base_singleton(),
        ),
    ];
    let mut scratch = TokenScratch::new();
    let mut rows = Vec::new();
    for (name, family, oracle) in encodings {
        let (mut total, mut differing) = (0, 0);
        for text in prompts {
            let ours = count(text, family, &mut scratch);
            total += ours.tokens;
            let same = ours.method == Method::Exact && ours.tokens == oracle.count_ordinary(text) as u64;
            differing += usize::from(!same);
        }
        rows.push((name, total, differing));
    }
    Ok(rows)
}

/// Prints how many token counts differ from another implementation's.
///
/// # Errors
///
/// Data that cannot be read as what it should be.
pub fn print_tokens() -> anyhow::Result<()> {
    let Some(lines) = data::read("token exactness", "prompts/benign_dev.jsonl") else {
        return Ok(());
    };
    let prompts = prompts(&lines)?;
    let mut table = table(&["encoding", "prompts", "tokens", "different from tiktoken"]);
    for (name, tokens, differing) in token_differences(&prompts)? {
        table.add_row([
            name.to_owned(),
            prompts.len().to_string(),
            tokens.to_string(),
            differing.to_string(),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Provider and name of well-known models.
const MODELS: &[(&str, &str)] = &[
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4.1"),
    ("openai", "gpt-4.1-mini"),
    ("openai", "gpt-4-turbo"),
    ("openai", "gpt-4"),
    ("openai", "gpt-3.5-turbo"),
    ("openai", "o3"),
    ("openai", "o4-mini"),
    ("openai", "gpt-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("anthropic", "claude-opus-4-7"),
    ("anthropic", "claude-sonnet-4-6"),
    ("bedrock", "eu.anthropic.claude-opus-4-6-v1"),
    ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("gemini", "gemini-2.5-pro"),
    ("gemini", "gemini-2.5-flash"),
    ("azure", "gpt-4o"),
    ("mistral", "mistral-large-latest"),
    ("deepseek", "deepseek-chat"),
];

/// Prints what 1,000 tokens of prompt with 500 of completion cost, by model, in dollars.
pub fn print_prices() {
    let prices = PriceTable::builtin();
    let mut table = table(&[
        "provider",
        "model",
        "found as",
        "how",
        "1,000 in + 500 out",
        "1,000 in + longest out",
    ]);
    for (provider, model) in MODELS {
        let row = match prices.resolve(Some(provider), model) {
            Resolution::Known { entry, how, .. } => {
                let dollars = |cost: Option<policy_primitives::prices::NanoDollars>| {
                    cost.map_or_else(|| "unknown".to_owned(), |c| c.to_string())
                };
                [
                    entry.name.to_string(),
                    format!("{how:?}"),
                    dollars(entry.estimated_cost(1000, Some(500))),
                    dollars(entry.max_cost(1000, None)),
                ]
            }
            Resolution::Unknown => [
                "-".to_owned(),
                "-".to_owned(),
                "unknown".to_owned(),
                "unknown".to_owned(),
            ],
        };
        table.add_row(
            [(*provider).to_owned(), (*model).to_owned()]
                .into_iter()
                .chain(row),
        );
    }
    println!("{} models in the table\n{table}", prices.entries().len());
}
