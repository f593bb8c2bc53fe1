//! Asks a scanner about the texts of a request before it is decided, and puts the answer into its context, as `shield`.
//!
//! ```text
//! context ─► TextReader ─► Inquiry ─► ask (LLM Shield) ─► Answer ─► context with `shield` ─► evaluation, cache, decision log
//! ```
//!
//! Evaluation stays pure: what was answered is a part of the context like any other, so that the key of the cache and the decision
//! log hold it, and a logged context gives the same decision again.
//!
//! # Invariants
//!
//! - Nobody is asked where no policy that the request sees reads `shield` ([`policy_runtime::Chosen::reads_shield`]), and nothing is
//!   done where no scanner is configured.
//! - What a caller wrote at `shield` itself never passes for the answer: it is taken out.
//! - Only an answer in the shape of the contract is one. Everything else is `verdict: unknown` with a reason, and leaves the other
//!   fields out, which makes them unknown to rules ([`policy_bytecode::context::Known::answered`]): a deny that looks at them denies.
//! - The answer holds words and numbers of the scanner, and no text of the request: what is no plain word is left out, and what
//!   was left out is unknown.
//! - Asking ends within `SHIELD_TIMEOUT` and the time of the request, whatever the scanner does. Whether it answers has no part in
//!   readiness.
//!
//! Not done here: simulations, which take `shield` from the context that they are given.

pub mod config;

use crate::error::{Code, Result, ServiceError};
use crate::json_text::explain;
use crate::telemetry::metrics::{EnrichMetrics, Metrics};
use crate::telemetry::request::{part, traced};
use arc_swap::ArcSwap;
use bytes::Bytes;
use policy_integrations::{Failure, Report, ScanRequest, Settings, ShieldClient, Verdict};
use policy_runtime::{EvaluateError, LoadError, TextReader};
use secrecy::SecretString;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The key of the answer in a context.
const KEY: &str = policy_runtime::SERVICE;

/// Bytes that a text of [`ShieldClient::MAX_TEXT`] characters has at most.
const MAX_BYTES: usize = 4 * ShieldClient::MAX_TEXT;

/// Threats that are told at most; of more, nothing is.
const MAX_THREATS: usize = 64;

/// Characters of the name of a scanner, or of a type of threat, at most.
const LONGEST_WORD: usize = 64;

/// Contexts of a batch that are asked about at once.
pub const AT_ONCE: usize = 16;

/// Asks a scanner.
#[derive(Debug)]
pub struct Enricher {
    client: ArcSwap<ShieldClient>,
    texts: TextReader,
    metrics: EnrichMetrics,
    /// Whether the last who was asked gave no answer.
    is_failing: AtomicBool,
}

/// What a scanner is to be asked about a context.
#[derive(Debug)]
pub struct Inquiry {
    /// The text, or why there is nothing to ask.
    text: Result<String, Reason>,
    /// Whether that is all that the model reads.
    is_all: bool,
}

/// What is known of a context: the value of `shield`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(String);

/// Why nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The request has no text.
    NoText,
    /// The text is longer than the scanner takes.
    TooLong,
    /// The text is safe, and there is more that a model reads: images, files, token ids.
    UnreadContent,
    /// Too many calls failed one after the other, and nobody was asked.
    CircuitOpen,
    /// No connection.
    Connect,
    /// The certificate of the scanner is not accepted.
    Tls,
    /// The connection ended before the whole answer was there.
    Broken,
    /// No whole answer in time.
    Deadline,
    /// A status that is no answer.
    Status,
    /// The scanner sends the caller elsewhere.
    Redirect,
    /// The answer is too large.
    AnswerTooLarge,
    /// The answer is not in the shape of the contract, or contradicts itself.
    OddAnswer,
    /// The call could not be made.
    NotSent,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::NoText,
        Self::TooLong,
        Self::UnreadContent,
        Self::CircuitOpen,
        Self::Connect,
        Self::Tls,
        Self::Broken,
        Self::Deadline,
        Self::Status,
        Self::Redirect,
        Self::AnswerTooLarge,
        Self::OddAnswer,
        Self::NotSent,
    ];

    /// As `shield.reason` and the labels of metrics spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoText => "no_text",
            Self::TooLong => "too_long",
            Self::UnreadContent => "unread_content",
            Self::CircuitOpen => "circuit_open",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Broken => "broken",
            Self::Deadline => "deadline",
            Self::Status => "status",
            Self::Redirect => "redirect",
            Self::AnswerTooLarge => "answer_too_large",
            Self::OddAnswer => "odd_answer",
            Self::NotSent => "not_sent",
        }
    }

    fn of(failure: &Failure) -> Self {
        match failure {
            Failure::CircuitOpen { .. } => Self::CircuitOpen,
            Failure::Connect(_) => Self::Connect,
            Failure::Tls(_) => Self::Tls,
            Failure::Broken(_) => Self::Broken,
            Failure::Deadline(_) => Self::Deadline,
            Failure::Status { .. } => Self::Status,
            Failure::Redirect => Self::Redirect,
            Failure::TooLarge { .. } => Self::AnswerTooLarge,
            Failure::OddAnswer(_) => Self::OddAnswer,
            // Without an address there is no enricher. What is to come is no answer either.
            _not_sent => Self::NotSent,
        }
    }
}

/// `shield` as it stands in a context.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shield<'a> {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    safe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threats: Option<Vec<Threat<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Threat<'a> {
    r#type: &'a str,
    scanner: &'a str,
}

impl Shield<'_> {
    fn unknown(reason: Reason) -> Self {
        Self {
            verdict: "unknown",
            safe: None,
            risk_score: None,
            threats: None,
            reason: Some(reason.as_str()),
        }
    }
}

/// What the scanners that object to a text name; `None` where they name nothing, too much, or what is no plain word.
fn threats(report: &Report) -> Option<Vec<Threat<'_>>> {
    let mut found = BTreeSet::new();
    for scanner in report.scanners.iter().filter(|scanner| !scanner.is_valid) {
        let mut types: Vec<&str> = scanner
            .entities
            .iter()
            .map(|entity| entity.entity_type.as_str())
            .collect();
        if types.is_empty() {
            types.push(&scanner.scanner);
        }
        for r#type in types {
            if !is_word(r#type) || !is_word(&scanner.scanner) {
                return None;
            }
            let scanner = scanner.scanner.as_str();
            found.insert(Threat { r#type, scanner });
        }
    }
    (1..=MAX_THREATS)
        .contains(&found.len())
        .then(|| found.into_iter().collect())
}

/// Whether a text is a plain word, which a piece of a prompt hardly is.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':' | b'/');
    (1..=LONGEST_WORD).contains(&text.len()) && text.bytes().all(plain)
}

/// A client with these settings.
///
/// # Errors
///
/// The setting, and what is wrong with it.
pub fn client(shield: &config::Config) -> Result<ShieldClient, (&'static str, String)> {
    let of = |setting| move |error: policy_integrations::SettingsError| (setting, error.to_string());
    let mut settings = Settings::new(&shield.url)
        .map_err(of("SHIELD_URL"))?
        .attempt_timeout(shield.timeout)
        .total_timeout(shield.timeout);
    if let Some(path) = &shield.ca {
        let pem = read(path).map_err(|reason| ("SHIELD_CA_FILE", reason))?;
        settings = settings.ca_pem(&pem).map_err(of("SHIELD_CA_FILE"))?;
    }
    let setting = if let Some(token) = &shield.token {
        settings = settings.bearer(SecretString::clone(token));
        "SHIELD_TOKEN"
    } else {
        "SHIELD_URL"
    };
    ShieldClient::from_settings(settings).map_err(of(setting))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl Enricher {
    /// Asks nobody yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    pub fn build(shield: &config::Config, metrics: &Metrics) -> anyhow::Result<Self> {
        let client = client(shield).map_err(|(setting, reason)| anyhow::anyhow!("{setting}: {reason}"))?;
        Ok(Self {
            client: ArcSwap::from_pointee(client),
            texts: TextReader::new().map_err(|error: LoadError| anyhow::anyhow!("{error}"))?,
            metrics: metrics.enrich(Reason::ALL.map(Reason::as_str)),
            is_failing: AtomicBool::new(false),
        })
    }

    /// Asks with other credentials from now on.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings; those of before stay.
    pub fn replace(&self, shield: &config::Config) -> Result<(), String> {
        let client = client(shield).map_err(|(setting, reason)| format!("{setting}: {reason}"))?;
        self.client.store(Arc::new(client));
        Ok(())
    }

    /// What is to be asked about a context. Linear in its length.
    ///
    /// # Errors
    ///
    /// As an evaluation that reads `llm`.
    pub fn inquiry(&self, context: &[u8]) -> Result<Inquiry, EvaluateError> {
        let said = self.texts.read(context, MAX_BYTES)?;
        let text = match said.text {
            None => Err(Reason::TooLong),
            Some(text) if text.is_empty() && said.is_all => Err(Reason::NoText),
            Some(text) if text.is_empty() => Err(Reason::UnreadContent),
            Some(text) if text.chars().nth(ShieldClient::MAX_TEXT).is_some() => Err(Reason::TooLong),
            Some(text) => Ok(text),
        };
        Ok(Inquiry {
            text,
            is_all: said.is_all,
        })
    }

    /// What is known then. `until` is the end of the request.
    pub async fn ask(&self, inquiry: Inquiry, until: Option<Instant>) -> Answer {
        let span = part!("enrich", outcome);
        let (answer, outcome) = traced(span.clone(), self.answer(inquiry, until)).await;
        span.record("outcome", outcome);
        answer
    }

    /// The answer, and its verdict or reason in a word.
    async fn answer(&self, inquiry: Inquiry, until: Option<Instant>) -> (Answer, &'static str) {
        let text = match inquiry.text {
            Ok(text) => text,
            Err(reason) => {
                self.metrics.unasked(reason.as_str());
                return (json(&Shield::unknown(reason)), reason.as_str());
            }
        };
        let begin = Instant::now();
        let verdict = self.scan(text, until).await;
        let shield = match &verdict {
            Verdict::Safe(report) if inquiry.is_all => Shield {
                verdict: "safe",
                safe: Some(true),
                risk_score: Some(report.risk_score),
                threats: Some(Vec::new()),
                reason: None,
            },
            Verdict::Safe(_) => Shield::unknown(Reason::UnreadContent),
            Verdict::Unsafe(report) => Shield {
                verdict: "unsafe",
                safe: Some(false),
                risk_score: Some(report.risk_score),
                threats: threats(report),
                reason: None,
            },
            Verdict::Unknown(failure) => Shield::unknown(Reason::of(failure)),
        };
        let outcome = shield.reason.unwrap_or(shield.verdict);
        self.metrics.asked(outcome, begin.elapsed());
        self.note(&verdict);
        (json(&shield), outcome)
    }

    async fn scan(&self, text: String, until: Option<Instant>) -> Verdict {
        let client = self.client.load_full();
        let request = ScanRequest::prompt(text);
        let scan = client.scan(&request);
        match until {
            None => scan.await,
            Some(until) => tokio::time::timeout_at(until.into(), scan)
                .await
                .unwrap_or(Verdict::Unknown(Failure::Deadline(
                    policy_integrations::Deadline::Total,
                ))),
        }
    }

    /// Says in the log and in the metrics when the scanner begins to fail, and when it answers again.
    fn note(&self, verdict: &Verdict) {
        let failure = match verdict {
            Verdict::Safe(_) | Verdict::Unsafe(_) => None,
            Verdict::Unknown(failure) => Some(failure),
        };
        let fails = failure.is_some();
        if self.is_failing.load(Ordering::Relaxed) == fails
            || self.is_failing.swap(fails, Ordering::Relaxed) == fails
        {
            return;
        }
        self.metrics.is_up(!fails);
        match failure {
            Some(failure) => {
                tracing::warn!(%failure, "the scanner gives no answer; what it would say is unknown to rules");
            }
            None => tracing::info!("the scanner answers again"),
        }
    }
}

fn json(shield: &Shield<'_>) -> Answer {
    let text = serde_json::to_string(shield);
    debug_assert!(text.is_ok(), "words and numbers are JSON");
    // Without an answer nothing is known.
    Answer(text.unwrap_or_else(|_| r#"{"verdict":"unknown","reason":"odd_answer"}"#.to_owned()))
}

/// The members of a context as they stand there, but for `shield`.
struct Others<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Others<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;

        /// A key; borrowed where it stands without escapes.
        struct Key<'a>(Cow<'a, str>);

        impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                struct Text;

                impl<'de> Visitor<'de> for Text {
                    type Value = Cow<'de, str>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a key")
                    }

                    fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Self::Value, E> {
                        Ok(Cow::Borrowed(text))
                    }

                    fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
                        Ok(Cow::Owned(text.to_owned()))
                    }
                }

                deserializer.deserialize_str(Text).map(Key)
            }
        }

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if key != KEY {
                        members.push((key, value));
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Others)
    }
}

impl Answer {
    /// The context with this answer, and with nothing that a caller wrote in its place.
    ///
    /// # Errors
    ///
    /// [`Code::MalformedContext`] for what is no JSON object.
    pub fn put_into(&self, context: &[u8]) -> Result<Bytes> {
        let failed = |error: &serde_json::Error| {
            ServiceError::new(Code::MalformedContext, explain(error, "the context"))
        };
        let Others(members) = serde_json::from_slice(context).map_err(|error| failed(&error))?;
        let mut out = Vec::with_capacity(context.len() + KEY.len() + self.0.len() + 8);
        out.push(b'{');
        for (key, value) in &members {
            serde_json::to_writer(&mut out, key).map_err(|error| failed(&error))?;
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{KEY}\":{}}}", self.0).as_bytes());
        Ok(out.into())
    }

    /// The value of `shield`.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
