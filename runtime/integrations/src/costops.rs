//! LLM CostOps: usage goes out.
//!
//! Contract as of commit 8a37776 of `LLM-Dev-Ops/cost-ops`: `POST /api/v1/usage` of its server, and `POST /v1/usage/batch` of its
//! library for webhooks; fixtures in `tests/fixtures/costops/`. Both paths can be set.
//!
//! # What a receipt says, and what not
//!
//! A receipt says that the service answered as its contract says. Its server answers with constants (a cost of 0, for one), so that no
//! cost of an answer is given to anybody: 0 there does not mean that something was free. There is no route for budgets.

use crate::failure::Failure;
use crate::json::{object, objects, read_json, write_json};
use crate::settings::{Settings, SettingsError};
use crate::transport::{Call, Repeat, Transport};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Records in a batch that CostOps takes at most.
pub const MAX_BATCH: usize = 1000;

/// What batches say they are from.
const SOURCE: &str = "policy-engine";

/// A client of LLM CostOps. Cheap to clone.
///
/// ```no_run
/// use policy_integrations::{CostOpsClient, Usage};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let costops = CostOpsClient::new("https://costops.example.org")?;
/// let usage = Usage {
///     id: "0193a0b0-0000-7000-8000-000000000001".to_owned(),
///     timestamp: "2025-11-30T12:00:00Z".to_owned(),
///     organization: "example".to_owned(),
///     provider: "openai".to_owned(),
///     model: "gpt-4o".to_owned(),
///     input_tokens: 1200,
///     output_tokens: 300,
///     project: None,
///     user: None,
/// };
/// let receipt = costops.send_usage(&usage).await?;
/// println!("taken in as {}", receipt.usage_id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CostOpsClient {
    transport: Transport,
    usage_path: String,
    batch_path: String,
}

/// What one request to a model used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Tells this usage from all others, a UUID for batches: it is the `Idempotency-Key`, and the service is told it.
    pub id: String,
    /// When, as RFC 3339 writes it.
    pub timestamp: String,
    /// The organization that used it.
    pub organization: String,
    /// The provider of the model, such as `openai`.
    pub provider: String,
    /// The model, by the provider's name.
    pub model: String,
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// For which project.
    pub project: Option<String>,
    /// Of which user.
    pub user: Option<String>,
}

/// The service took a record in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReceipt {
    /// What the service calls it.
    pub usage_id: String,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchReceipt {
    /// Records that were taken in.
    pub accepted: usize,
    /// Records that were not; send them again after a look at `rejected_at`.
    pub rejected: usize,
    /// Which were not, where the service says so: in order, each once.
    pub rejected_at: Vec<usize>,
}

#[derive(Serialize)]
struct UsageBody<'a> {
    organization_id: &'a str,
    provider: &'a str,
    model_id: &'a str,
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    timestamp: &'a str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

#[derive(Serialize)]
struct BatchBody<'a> {
    batch_id: &'a str,
    source: &'static str,
    records: Vec<Record<'a>>,
}

#[derive(Serialize)]
struct Record<'a> {
    request_id: &'a str,
    timestamp: &'a str,
    provider: &'a str,
    model: Model<'a>,
    organization_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    usage: Tokens,
}

#[derive(Serialize)]
struct Model<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

#[derive(Deserialize)]
struct UsageAnswer {
    #[serde(deserialize_with = "object")]
    data: UsageData,
}

#[derive(Deserialize)]
struct UsageData {
    usage_id: String,
    organization_id: String,
}

#[derive(Deserialize)]
struct BatchAnswer {
    status: String,
    accepted: usize,
    rejected: usize,
    #[serde(default, deserialize_with = "objects")]
    errors: Vec<BatchError>,
}

#[derive(Deserialize)]
struct BatchError {
    index: Option<usize>,
}

impl Usage {
    fn total(&self) -> Result<u64, Failure> {
        let within = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
        if !within(&self.organization, 100) || !within(&self.model, 255) || !within(&self.provider, 255) {
            return Err(Failure::InvalidRequest(
                "CostOps takes an organization of 1 to 100 characters, and a provider and a model of 1 to 255".to_owned(),
            ));
        }
        if self.id.is_empty() {
            return Err(Failure::InvalidRequest("the usage has no id".to_owned()));
        }
        self.input_tokens
            .checked_add(self.output_tokens)
            .ok_or_else(|| Failure::InvalidRequest("more tokens than can be counted".to_owned()))
    }

    fn record(&self) -> Result<Record<'_>, Failure> {
        Ok(Record {
            request_id: &self.id,
            timestamp: &self.timestamp,
            provider: &self.provider,
            model: Model { name: &self.model },
            organization_id: &self.organization,
            project_id: self.project.as_deref(),
            user_id: self.user.as_deref(),
            usage: Tokens {
                prompt_tokens: self.input_tokens,
                completion_tokens: self.output_tokens,
                total_tokens: self.total()?,
            },
        })
    }
}

impl Usage {
    /// The usage as a record of a batch, for [`batch_json`].
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidRequest`] where CostOps takes no such usage.
    pub fn to_record_json(&self) -> Result<Vec<u8>, Failure> {
        write_json(&self.record()?)
    }
}

/// The body of a batch with these records, which [`Usage::to_record_json`] made; `batch_id` is a UUID.
///
/// # Errors
///
/// [`Failure::InvalidRequest`] for a batch without an id, or of no or too many records.
pub fn batch_json<R: AsRef<[u8]>>(batch_id: &str, records: &[R]) -> Result<Vec<u8>, Failure> {
    check_batch(batch_id, records.len())?;
    let head = write_json(&BatchBody {
        batch_id,
        source: SOURCE,
        records: Vec::new(),
    })?;
    let Some(head) = head.strip_suffix(b"]}") else {
        return Err(Failure::InvalidRequest("a batch has no end".to_owned()));
    };
    let mut body = head.to_vec();
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(record.as_ref());
    }
    body.extend_from_slice(b"]}");
    Ok(body)
}

fn check_batch(batch_id: &str, records: usize) -> Result<(), Failure> {
    if records == 0 || records > MAX_BATCH || batch_id.is_empty() {
        return Err(Failure::InvalidRequest(format!(
            "a batch has an id and 1 to {MAX_BATCH} records"
        )));
    }
    Ok(())
}

impl CostOpsClient {
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
        Ok(Self::over(Transport::new(settings)?))
    }

    /// No service: every call is [`Failure::Disabled`].
    #[must_use]
    pub fn disabled() -> Self {
        Self::over(Transport::disabled())
    }

    fn over(transport: Transport) -> Self {
        Self {
            transport,
            usage_path: "/api/v1/usage".to_owned(),
            batch_path: "/v1/usage/batch".to_owned(),
        }
    }

    /// Other paths than `/api/v1/usage` and `/v1/usage/batch`.
    #[must_use]
    pub fn paths(mut self, usage: impl Into<String>, batch: impl Into<String>) -> Self {
        self.usage_path = usage.into();
        self.batch_path = batch.into();
        self
    }

    /// The way to the service, for the state of its circuit breaker.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends one record, again with the same `Idempotency-Key` where it is not known what became of it. A service that does not heed
    /// the key may count it twice.
    ///
    /// # Errors
    ///
    /// Why it is not known that it was taken in.
    pub async fn send_usage(&self, usage: &Usage) -> Result<UsageReceipt, Failure> {
        let body = UsageBody {
            organization_id: &usage.organization,
            provider: &usage.provider,
            model_id: &usage.model,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            total_tokens: usage.total()?,
            timestamp: &usage.timestamp,
            metadata: Metadata {
                event_id: &usage.id,
                project_id: usage.project.as_deref(),
                user_id: usage.user.as_deref(),
            },
        };
        let expect = [StatusCode::OK, StatusCode::CREATED];
        let answer: UsageAnswer = self.ask(&self.usage_path, &body, &usage.id, &expect).await?;
        if answer.data.organization_id != usage.organization || answer.data.usage_id.is_empty() {
            return Err(Failure::OddAnswer("it answers another request".to_owned()));
        }
        Ok(UsageReceipt {
            usage_id: answer.data.usage_id,
        })
    }

    /// Sends up to 1000 records under an id of the batch, a UUID. A receipt may say that some were rejected.
    ///
    /// # Errors
    ///
    /// Why it is not known what became of them.
    pub async fn send_batch(&self, batch_id: &str, batch: &[Usage]) -> Result<BatchReceipt, Failure> {
        check_batch(batch_id, batch.len())?;
        let body = BatchBody {
            batch_id,
            source: SOURCE,
            records: batch.iter().map(Usage::record).collect::<Result<_, _>>()?,
        };
        let expect = [StatusCode::OK, StatusCode::CREATED, StatusCode::ACCEPTED];
        let answer: BatchAnswer = self.ask(&self.batch_path, &body, batch_id, &expect).await?;
        let adds_up = answer.accepted.checked_add(answer.rejected) == Some(batch.len());
        let fits = match answer.status.as_str() {
            "success" | "queued" => answer.rejected == 0,
            "partial" => answer.accepted > 0 && answer.rejected > 0,
            "failed" => answer.accepted == 0,
            _ => false,
        };
        let mut rejected_at: Vec<usize> = answer.errors.iter().filter_map(|error| error.index).collect();
        // Several errors may be of one record.
        rejected_at.sort_unstable();
        rejected_at.dedup();
        let exist = rejected_at.iter().all(|index| *index < batch.len());
        if !adds_up || !fits || !exist || rejected_at.len() > answer.rejected {
            return Err(Failure::OddAnswer("its numbers do not fit the batch".to_owned()));
        }
        Ok(BatchReceipt {
            accepted: answer.accepted,
            rejected: answer.rejected,
            rejected_at,
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: &str,
        expect: &[StatusCode],
    ) -> Result<T, Failure> {
        let call = Call::json(path, body)?
            .repeat(Repeat::Key(key.to_owned()))
            .expect(expect);
        let answer = self.transport.call(&call).await?;
        read_json(&answer.body)
    }
}

#[cfg(test)]
mod tests;
