//! LLM Governance: audit entries go out.
//!
//! Contract as of commit a363eac of `LLM-Dev-Ops/governance-dashboard`, its audit service: `POST /api/v1/audit/logs` and
//! `GET /api/v1/audit/logs/{id}/verify`; fixtures in `tests/fixtures/governance/`. The service keeps each entry that it is sent, also
//! twice: `details.event_id` tells doubles apart.

use crate::failure::Failure;
use crate::json::{object, read_json, write_json};
use crate::settings::{Settings, SettingsError};
use crate::transport::{Call, Repeat, Transport};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A client of the audit service of LLM Governance. Cheap to clone.
///
/// ```no_run
/// use policy_integrations::{AuditEntry, GovernanceClient};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let governance = GovernanceClient::new("https://governance.example.org")?;
/// let entry = AuditEntry::new("0193a0b0-0000-7000-8000-000000000001", "policy.deny", "policy", "limit-cost");
/// let receipt = governance.record(&entry).await?;
/// println!("kept as {}", receipt.id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GovernanceClient {
    transport: Transport,
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Tells this entry from all others: the `Idempotency-Key`, and `details.event_id`.
    pub event_id: String,
    /// What was done.
    pub action: String,
    /// The kind of thing that it was done to.
    pub resource_type: String,
    /// The id of the thing, unique in its kind.
    pub resource_id: String,
    /// All else. `event_id` in it is replaced.
    pub details: Map<String, Value>,
}

/// The service kept an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReceipt {
    /// What the service calls it.
    pub id: String,
    /// Its checksum over the entry, in the service's own way.
    pub checksum: String,
}

/// What the service says of an entry that it kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Integrity {
    /// Its checksum fits.
    Intact,
    /// Its checksum does not fit: it was changed.
    Changed,
}

#[derive(Serialize)]
struct EntryBody<'a> {
    action: &'a str,
    resource_type: &'a str,
    resource_id: &'a str,
    details: &'a Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Envelope<T> {
    success: bool,
    #[serde(deserialize_with = "object")]
    data: T,
}

#[derive(Deserialize)]
struct Kept {
    id: String,
    action: String,
    resource_type: String,
    resource_id: String,
    checksum: String,
}

#[derive(Deserialize)]
struct Checked {
    log_id: String,
    is_valid: bool,
    stored_checksum: String,
    calculated_checksum: String,
}

impl AuditEntry {
    /// An entry without details.
    #[must_use]
    pub fn new(
        event_id: impl Into<String>,
        action: impl Into<String>,
        resource_type: impl Into<String>,
        resource_id: impl Into<String>,
    ) -> Self {
        Self {
            event_id: event_id.into(),
            action: action.into(),
            resource_type: resource_type.into(),
            resource_id: resource_id.into(),
            details: Map::new(),
        }
    }

    /// The entry as the service takes it.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidRequest`] where id, action or resource are empty.
    pub fn to_json(&self) -> Result<Vec<u8>, Failure> {
        let named = [
            &self.event_id,
            &self.action,
            &self.resource_type,
            &self.resource_id,
        ];
        if named.iter().any(|text| text.is_empty()) {
            return Err(Failure::InvalidRequest(
                "an entry has an id, an action, and a resource with a type and an id".to_owned(),
            ));
        }
        let mut details = self.details.clone();
        details.insert("event_id".to_owned(), Value::String(self.event_id.clone()));
        write_json(&EntryBody {
            action: &self.action,
            resource_type: &self.resource_type,
            resource_id: &self.resource_id,
            details: &details,
        })
    }
}

impl GovernanceClient {
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

    /// No service: every call is [`Failure::Disabled`].
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

    /// Sends an entry, again where it is not known what became of it: it is kept at least once, or an error.
    ///
    /// # Errors
    ///
    /// Why it is not known that it was kept.
    pub async fn record(&self, entry: &AuditEntry) -> Result<AuditReceipt, Failure> {
        let call = Call::post(
            "/api/v1/audit/logs",
            "application/json",
            Bytes::from(entry.to_json()?),
        )
        .header("accept", "application/json")?
        .repeat(Repeat::Key(entry.event_id.clone()))
        .expect(&[StatusCode::CREATED]);
        let kept: Kept = self.ask(&call).await?;
        let sent = (&entry.action, &entry.resource_type, &entry.resource_id);
        if (&kept.action, &kept.resource_type, &kept.resource_id) != sent {
            return Err(Failure::OddAnswer("it kept something else".to_owned()));
        }
        if kept.id.is_empty() || kept.checksum.is_empty() {
            return Err(Failure::OddAnswer(
                "what it kept has no id or no checksum".to_owned(),
            ));
        }
        Ok(AuditReceipt {
            id: kept.id,
            checksum: kept.checksum,
        })
    }

    /// Asks whether an entry is what the service kept.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    pub async fn verify(&self, id: &str) -> Result<Integrity, Failure> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if id.is_empty() || !id.bytes().all(plain) {
            return Err(Failure::InvalidRequest(
                "ids are letters, digits and `-`".to_owned(),
            ));
        }
        let call =
            Call::get(&format!("/api/v1/audit/logs/{id}/verify")).header("accept", "application/json")?;
        let checked: Checked = self.ask(&call).await?;
        // Two empty checksums are the same, and say nothing.
        if checked.stored_checksum.is_empty() || checked.calculated_checksum.is_empty() {
            return Err(Failure::OddAnswer("a checksum is empty".to_owned()));
        }
        let fits = checked.stored_checksum == checked.calculated_checksum;
        if !checked.log_id.eq_ignore_ascii_case(id) || checked.is_valid != fits {
            return Err(Failure::OddAnswer(
                "it is about another entry, or contradicts itself".to_owned(),
            ));
        }
        Ok(if checked.is_valid {
            Integrity::Intact
        } else {
            Integrity::Changed
        })
    }

    async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let answer = self.transport.call(call).await?;
        let envelope: Envelope<T> = read_json(&answer.body)?;
        if !envelope.success {
            return Err(Failure::OddAnswer("it says that it did not succeed".to_owned()));
        }
        Ok(envelope.data)
    }
}
