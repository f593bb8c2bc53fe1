//! From records of decisions and of the audit trail to events, and from events to the bodies of requests.
//!
//! # Invariants
//!
//! - The same events make the same request, with the same id: that of its one event, or a hash of the ids of all.
//! - A body holds no more events and bytes than the settings say, but always one event.
//! - What is not known is left out. A decision whose context does not say which tokens were used is no usage.

use crate::decisions::config::{self, WebhookFormat};
use crate::hex;
use crate::storage::model::{AuditRecord, DecisionRecord};
use bytes::Bytes;
use policy_integrations::presets::{
    self, Audit, Cost, Decision, audit_entry, audit_event, decision_entry, decision_event,
};
use policy_integrations::{Failure, Usage, costops, event};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What stands for a value that was masked.
const MASKED: &str = "[masked]";

/// Bytes around and between the events of a body, each.
const BETWEEN: usize = 1;

/// How decisions become events.
#[derive(Debug, Clone)]
pub(super) struct Events {
    format: WebhookFormat,
    source: String,
    most: usize,
    most_bytes: usize,
}

/// An event as it stands in a body.
#[derive(Debug)]
pub(super) struct Event {
    /// The id of the decision, or of the audit record.
    pub(super) id: String,
    /// When that was.
    pub(super) at_ms: i64,
    json: Vec<u8>,
}

/// A request without its signature.
#[derive(Debug)]
pub(super) struct Request {
    /// `webhook-id`.
    pub(super) id: String,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

/// What is kept of a context that says which tokens were used.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    organization: String,
    provider: String,
    model: String,
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

impl Used {
    /// `None` where the context does not say all that usage has.
    fn of(context: &str) -> Option<Self> {
        let context: Value = serde_json::from_str(context).ok()?;
        let text = |path: &str| {
            let text = context.pointer(path)?.as_str()?;
            (!text.is_empty() && text != MASKED).then(|| text.to_owned())
        };
        let number = |path: &str| context.pointer(path)?.as_u64();
        Some(Self {
            organization: text("/team/id")?,
            provider: text("/llm/provider")?,
            model: text("/llm/model")?,
            input_tokens: number("/metadata/inputTokens")?,
            output_tokens: number("/metadata/outputTokens")?,
            project: text("/project/id"),
            user: text("/user/id"),
        })
    }

    fn usage(self, record: &DecisionRecord) -> Usage {
        presets::usage(&Cost {
            id: record.id().to_string(),
            timestamp: time(record.at_ms).unwrap_or_default(),
            organization: self.organization,
            provider: self.provider,
            model: self.model,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_usd: None,
            project: self.project,
            user: self.user,
        })
    }
}

/// A time as RFC 3339 writes it; `None` where the calendar ends.
fn time(at_ms: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at_ms).ok()?;
    Some(format!("{at:.3}"))
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn decision(record: &DecisionRecord) -> Decision {
    Decision {
        id: record.id().to_string(),
        request_id: known(&record.request_id),
        timestamp: time(record.at_ms).unwrap_or_else(|| record.at_ms.to_string()),
        decision: record.decision.clone(),
        reason: record.reason.clone(),
        matched_policies: record.matched_policies.clone(),
        matched_rules: record.matched_rules.clone(),
        namespace: known(&record.namespace),
        subject: known(&record.subject),
        revision: known(&record.revision),
        errors: u64::from(record.errors),
    }
}

/// What tells an audit record from all others: its number, and the front half of its hash, which covers all that is before it. So
/// the records of two trails have different ids where the trails differ, and the same where one is a copy.
pub(super) fn audit_id(record: &AuditRecord) -> String {
    let (half, _) = record.hash.split_at(16);
    format!("{}-{}", record.seq, hex::of(half))
}

fn audit(record: &AuditRecord) -> Audit {
    let entry = &record.entry;
    Audit {
        id: audit_id(record),
        seq: record.seq,
        at: time(entry.at_ms).unwrap_or_else(|| entry.at_ms.to_string()),
        actor: entry.actor.clone(),
        action: entry.action.clone(),
        target: entry.target.clone(),
        namespace: entry.namespace.clone(),
        request_id: entry.request_id.clone(),
        revision: record.revision,
        // What is no JSON goes out as the text that it is.
        detail: serde_json::from_str(&entry.detail).unwrap_or_else(|_| entry.detail.clone().into()),
        previous: hex::of(&record.previous),
        hash: hex::of(&record.hash),
    }
}

impl Events {
    pub(super) fn of(config: &config::Webhook) -> Self {
        Self {
            format: config.format,
            source: config.source.clone(),
            most: match config.format {
                // Its route takes one.
                WebhookFormat::Governance => 1,
                WebhookFormat::CloudEvents | WebhookFormat::CostOps => config.batch.max(1),
            },
            most_bytes: config.batch_bytes,
        }
    }

    /// What of a record goes out; `None` where nothing does.
    pub(super) fn keep(&self, record: &DecisionRecord) -> Option<DecisionRecord> {
        let context = match self.format {
            WebhookFormat::CloudEvents | WebhookFormat::Governance => None,
            WebhookFormat::CostOps => {
                let used = Used::of(record.context.as_deref()?)?;
                let context = serde_json::to_string(&used).ok()?;
                // What CostOps takes in no case is no usage either.
                used.usage(record).to_record_json().ok()?;
                Some(context)
            }
        };
        Some(DecisionRecord {
            context,
            ..record.clone()
        })
    }

    /// The event of a record.
    pub(super) fn event(&self, record: &DecisionRecord) -> Result<Event, Failure> {
        let json = match self.format {
            WebhookFormat::CloudEvents => {
                let mut event = decision_event(&decision(record), &self.source)?;
                event.time = time(record.at_ms);
                event.to_json()?
            }
            WebhookFormat::Governance => decision_entry(&decision(record), &self.source)?.to_json()?,
            WebhookFormat::CostOps => {
                let used: Option<Used> = record
                    .context
                    .as_deref()
                    .and_then(|context| serde_json::from_str(context).ok());
                let used = used.ok_or_else(|| Failure::InvalidRequest("it holds no usage".to_owned()))?;
                used.usage(record).to_record_json()?
            }
        };
        Ok(Event {
            id: record.id().to_string(),
            at_ms: record.at_ms,
            json,
        })
    }

    /// The event of an audit record.
    pub(super) fn audit(&self, record: &AuditRecord) -> Result<Event, Failure> {
        let json = match self.format {
            WebhookFormat::CloudEvents => {
                let mut event = audit_event(&audit(record), &self.source)?;
                event.time = time(record.entry.at_ms);
                event.to_json()?
            }
            WebhookFormat::Governance => audit_entry(&audit(record), &self.source)?.to_json()?,
            WebhookFormat::CostOps => {
                return Err(Failure::InvalidRequest("an audit record is no usage".to_owned()));
            }
        };
        Ok(Event {
            id: audit_id(record),
            at_ms: record.entry.at_ms,
            json,
        })
    }

    /// Events in the parts that requests hold, in their order.
    pub(super) fn parts<'e>(&self, events: &'e [Event]) -> Vec<&'e [Event]> {
        let mut parts = Vec::new();
        let (mut from, mut bytes) = (0, BETWEEN);
        for (at, event) in events.iter().enumerate() {
            let more = event.json.len() + BETWEEN;
            if at > from && (at - from >= self.most || bytes + more > self.most_bytes) {
                parts.extend(events.get(from..at));
                (from, bytes) = (at, BETWEEN);
            }
            bytes += more;
        }
        parts.extend(events.get(from..).filter(|rest| !rest.is_empty()));
        parts
    }

    /// The request that holds these events.
    pub(super) fn request(&self, events: &[Event]) -> Result<Request, Failure> {
        let json: Vec<&[u8]> = events.iter().map(|event| event.json.as_slice()).collect();
        let hash = hash(events);
        let id = match events {
            [only] => only.id.clone(),
            _ => format!("msg_{}", hash.simple()),
        };
        let (content_type, body) = match (self.format, json.as_slice()) {
            (WebhookFormat::Governance, [only]) => ("application/json", only.to_vec()),
            (WebhookFormat::CloudEvents, [only]) if self.most == 1 => (event::CONTENT_TYPE, only.to_vec()),
            (WebhookFormat::CloudEvents, all) => {
                let body = [b"[".as_slice(), &all.join(b",".as_slice()), b"]"].concat();
                (event::BATCH_CONTENT_TYPE, body)
            }
            (WebhookFormat::CostOps, all) => (
                "application/json",
                costops::batch_json(&hash.hyphenated().to_string(), all)?,
            ),
            (WebhookFormat::Governance, _) => {
                return Err(Failure::InvalidRequest("a request holds one entry".to_owned()));
            }
        };
        Ok(Request {
            id,
            content_type,
            body: Bytes::from(body),
        })
    }
}

/// What tells these events from all others.
fn hash(events: &[Event]) -> uuid::Uuid {
    let mut hash = Sha256::new();
    for event in events {
        hash.update(event.id.as_bytes());
        hash.update(b"\n");
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests;
