//! LLM Shield: scanners for prompts and answers.
//!
//! Contract as of commit ff0fc18 of `LLM-Dev-Ops/shield`: `POST /v1/scan/prompt`, `/v1/scan/output` and `/v1/scan/batch`, fixtures in
//! `tests/fixtures/shield/`. The program that is shipped there mounts only a stub (`POST /api/v1/scan`, 202, scans nothing).
//!
//! # Invariants
//!
//! - A verdict comes of status 200 and a body in which nothing is missing: `result.isValid`, a risk between 0 and 1, at least one
//!   scanner, each scanner that was asked for, and in `execution` the id of this very request. Repeated keys, and lists in place of
//!   objects, are refused.
//! - `isValid: true` beside a scanner that says `false` contradicts itself: unknown.
//! - A batch whose answers cannot be told apart (the service leaves out items that failed) is unknown as a whole.
//! - `sanitizedText` is not read: the service puts the name of a scanner there. Nor are the texts that scanners found.

use crate::failure::Failure;
use crate::json::{object, objects, read_json};
use crate::settings::{Settings, SettingsError};
use crate::sign::random_id;
use crate::transport::{Call, Repeat, Transport};
use crate::verdict::{Report, ScannerReport, Verdict};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Texts in a batch that Shield takes at most.
const MAX_BATCH: usize = 100;

/// A client of LLM Shield. Cheap to clone; keep one, since connections and the circuit breaker belong to it.
///
/// ```no_run
/// use policy_integrations::{Settings, ShieldClient, Verdict};
/// use std::time::Duration;
///
/// # async fn example(prompt: &str) -> Result<(), policy_integrations::SettingsError> {
/// let settings = Settings::new("https://shield.example.org")?
///     .attempt_timeout(Duration::from_millis(150))
///     .total_timeout(Duration::from_millis(400));
/// let shield = ShieldClient::from_settings(settings)?;
/// match shield.validate_prompt(prompt).await {
///     Verdict::Safe(report) => println!("safe, risk {}", report.risk_score),
///     Verdict::Unsafe(report) => println!("unsafe, risk {}", report.risk_score),
///     Verdict::Unknown(why) => println!("unknown, so denied: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ShieldClient {
    transport: Transport,
}

/// A text to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRequest {
    prompt: String,
    output: Option<String>,
    scanners: Vec<String>,
    cache: bool,
    execution_id: Option<String>,
    parent_span_id: Option<String>,
}

impl ScanRequest {
    /// A prompt, for all scanners of prompts.
    #[must_use]
    pub fn prompt(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            output: None,
            scanners: Vec::new(),
            cache: false,
            execution_id: None,
            parent_span_id: None,
        }
    }

    /// What a model answered to a prompt, for all scanners of answers.
    #[must_use]
    pub fn output(prompt: impl Into<String>, output: impl Into<String>) -> Self {
        Self {
            output: Some(output.into()),
            ..Self::prompt(prompt)
        }
    }

    /// Only these scanners. A verdict then needs the word of each of them.
    #[must_use]
    pub fn scanners<T: Into<String>>(mut self, scanners: impl IntoIterator<Item = T>) -> Self {
        self.scanners = scanners.into_iter().map(Into::into).collect();
        self
    }

    /// Whether the service may answer from its cache; it may not by default.
    #[must_use]
    pub fn cache(mut self, allowed: bool) -> Self {
        self.cache = allowed;
        self
    }

    /// Under which ids the service notes the scan. Random ones where nothing is said.
    #[must_use]
    pub fn trace(mut self, execution_id: impl Into<String>, parent_span_id: impl Into<String>) -> Self {
        self.execution_id = Some(execution_id.into());
        self.parent_span_id = Some(parent_span_id.into());
        self
    }

    fn check(&self) -> Result<(), Failure> {
        for text in [Some(&self.prompt), self.output.as_ref()].into_iter().flatten() {
            let length = text.chars().count();
            if length == 0 || length > ShieldClient::MAX_TEXT {
                return Err(Failure::InvalidRequest(format!(
                    "Shield takes texts of 1 to {} characters, this one has {length}",
                    ShieldClient::MAX_TEXT
                )));
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScanBody<'a> {
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    scanners: &'a [String],
    cache_enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchBody<'a> {
    items: Vec<ScanBody<'a>>,
    max_concurrent: usize,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Envelope<T> {
    #[serde(deserialize_with = "object")]
    result: T,
    #[serde(deserialize_with = "object")]
    execution: Execution,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    execution_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scanned {
    is_valid: bool,
    risk_score: f64,
    #[serde(deserialize_with = "objects")]
    scanner_results: Vec<ScannerReport>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScannedBatch {
    #[serde(deserialize_with = "objects")]
    results: Vec<Scanned>,
    success_count: usize,
    failure_count: usize,
}

impl ShieldClient {
    /// Characters of a text that Shield takes at most.
    pub const MAX_TEXT: usize = 100_000;

    /// A client with the usual settings.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL.
    pub fn new(url: &str) -> Result<Self, SettingsError> {
        Self::from_settings(Settings::new(url)?)
    }

    /// A client with these settings.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_settings(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            transport: Transport::new(settings)?,
        })
    }

    /// No service: every verdict is [`Verdict::Unknown`] of [`Failure::Disabled`].
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            transport: Transport::disabled(),
        }
    }

    /// The way to the service, for the state of its circuit breaker.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What all scanners of prompts say of this prompt.
    pub async fn validate_prompt(&self, prompt: &str) -> Verdict {
        self.scan(&ScanRequest::prompt(prompt)).await
    }

    /// What scanners say of a prompt or an answer. Scanning changes nothing, so that it may be asked again.
    pub async fn scan(&self, request: &ScanRequest) -> Verdict {
        match self.try_scan(request).await {
            Ok(verdict) => verdict,
            Err(failure) => Verdict::Unknown(failure),
        }
    }

    async fn try_scan(&self, request: &ScanRequest) -> Result<Verdict, Failure> {
        request.check()?;
        let path = if request.output.is_some() {
            "/v1/scan/output"
        } else {
            "/v1/scan/prompt"
        };
        let scanned: Scanned = self.ask(path, &body(request), request).await?;
        verdict(scanned, &request.scanners)
    }

    /// What scanners say of several prompts: as many verdicts as requests, in their order. At most 100; answers of models are not
    /// scanned in batches. The ids of the first request stand for all.
    pub async fn scan_batch(&self, requests: &[ScanRequest]) -> Vec<Verdict> {
        match self.try_scan_batch(requests).await {
            Ok(verdicts) => verdicts,
            Err(failure) => vec![Verdict::Unknown(failure); requests.len()],
        }
    }

    async fn try_scan_batch(&self, requests: &[ScanRequest]) -> Result<Vec<Verdict>, Failure> {
        let Some(first) = requests.first() else {
            return Ok(Vec::new());
        };
        if requests.len() > MAX_BATCH {
            return Err(Failure::InvalidRequest(format!(
                "a batch has at most {MAX_BATCH} texts"
            )));
        }
        for request in requests {
            request.check()?;
            if request.output.is_some() {
                return Err(Failure::InvalidRequest("a batch takes prompts only".to_owned()));
            }
        }
        let batch = BatchBody {
            items: requests.iter().map(body).collect(),
            max_concurrent: 5,
        };
        let answer: ScannedBatch = self.ask("/v1/scan/batch", &batch, first).await?;
        let counts = (answer.results.len(), answer.success_count, answer.failure_count);
        if counts != (requests.len(), requests.len(), 0) {
            return Err(Failure::OddAnswer(format!(
                "{} of {} texts were scanned, and which is not said",
                answer.results.len(),
                requests.len()
            )));
        }
        let verdicts = answer
            .results
            .into_iter()
            .zip(requests)
            .map(|(scanned, request)| verdict(scanned, &request.scanners).unwrap_or_else(Verdict::Unknown));
        Ok(verdicts.collect())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        request: &ScanRequest,
    ) -> Result<T, Failure> {
        let execution = match &request.execution_id {
            Some(id) => id.clone(),
            None => random_id()?,
        };
        let parent = match &request.parent_span_id {
            Some(id) => id.clone(),
            None => random_id()?,
        };
        let call = Call::json(path, body)?
            .repeat(Repeat::Idempotent)
            .header("x-execution-id", &execution)?
            .header("x-parent-span-id", &parent)?;
        let answer = self.transport.call(&call).await?;
        let envelope: Envelope<T> = read_json(&answer.body)?;
        if envelope.execution.execution_id != execution {
            return Err(Failure::OddAnswer("it answers another request".to_owned()));
        }
        Ok(envelope.result)
    }
}

fn body(request: &ScanRequest) -> ScanBody<'_> {
    ScanBody {
        prompt: &request.prompt,
        output: request.output.as_deref(),
        scanners: &request.scanners,
        cache_enabled: request.cache,
    }
}

/// The verdict of a body that has the shape of the contract.
fn verdict(scanned: Scanned, asked: &[String]) -> Result<Verdict, Failure> {
    let odd = |why: &str| Err(Failure::OddAnswer(why.to_owned()));
    let in_range = |score: f64| (0.0..=1.0).contains(&score);
    if !in_range(scanned.risk_score) || !scanned.scanner_results.iter().all(|one| in_range(one.risk_score)) {
        return odd("a risk that is not between 0 and 1");
    }
    if scanned.scanner_results.is_empty() {
        return odd("no scanner looked at the text");
    }
    let missing = asked
        .iter()
        .any(|name| !scanned.scanner_results.iter().any(|one| one.scanner == *name));
    if missing {
        return odd("a scanner that was asked for says nothing");
    }
    if scanned.is_valid && scanned.scanner_results.iter().any(|one| !one.is_valid) {
        return odd("valid as a whole, and not valid for one of the scanners");
    }
    let report = Report {
        risk_score: scanned.risk_score,
        scanners: scanned.scanner_results,
    };
    Ok(if scanned.is_valid {
        Verdict::Safe(report)
    } else {
        Verdict::Unsafe(report)
    })
}
