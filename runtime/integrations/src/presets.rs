//! Events and requests made of decisions and usage: plain functions, which a sink calls.
//!
//! # Invariants
//!
//! - What is not known is left out. A cost that is unknown is not 0, and a cost of 0 is written.
//! - The same decision makes the same event, with the same id, so that a receiver tells doubles apart.
//! - No text of a prompt is in an event: there is no field for one.

use crate::event::CloudEvent;
use crate::failure::Failure;
use serde_json::{Map, Value};

/// The type of the event of a decision.
pub const DECISION: &str = "dev.llm-policy-engine.decision.v1";

/// The type of the event of a record of the audit trail.
pub const AUDIT: &str = "dev.llm-policy-engine.audit.v1";

/// The type of the event of usage.
pub const USAGE: &str = "dev.llm-policy-engine.usage.v1";

/// A decision, as far as it goes out. The fields are those of a logged decision of `policyd`, without its context, how long it took,
/// and whether it came from a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The id of the logged decision.
    pub id: String,
    /// The id of the request, as its caller chose it.
    pub request_id: Option<String>,
    /// When it was made, as RFC 3339 writes it.
    pub timestamp: String,
    /// What was decided: `allow`, `deny`, `warn` or `modify`.
    pub decision: String,
    /// Why, in the policy's words.
    pub reason: Option<String>,
    /// The policies that fired, in evaluation order.
    pub matched_policies: Vec<String>,
    /// The rules that fired, in evaluation order.
    pub matched_rules: Vec<String>,
    /// The namespace of the request.
    pub namespace: Option<String>,
    /// Who sent the request, where that is known.
    pub subject: Option<String>,
    /// Which policies decided.
    pub revision: Option<String>,
    /// Conditions that could not be evaluated.
    pub errors: u64,
}

/// A record of the audit trail. The fields are those of `GET /api/v1/audit` of `policyd`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Tells this record from all others, also of another trail.
    pub id: String,
    /// Its number in the trail.
    pub seq: u64,
    /// When, as RFC 3339 writes it.
    pub at: String,
    /// Who did it.
    pub actor: String,
    /// What was done, such as `policy.update`.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// Namespace of the target.
    pub namespace: String,
    /// The id of the request.
    pub request_id: String,
    /// Revision of the store after it.
    pub revision: u64,
    /// What else is recorded of it.
    pub detail: Value,
    /// Hash of the record before, in hexadecimal digits.
    pub previous: String,
    /// Hash of this record.
    pub hash: String,
}

/// Usage and its cost, as far as they go out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Tells this usage from all others.
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
    /// What it cost in US dollars; `None` where that is not known.
    pub cost_usd: Option<f64>,
    /// For which project.
    pub project: Option<String>,
    /// Of which user.
    pub user: Option<String>,
}

fn known(fields: &[(&str, Option<&String>)]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in fields {
        if let Some(value) = value {
            object.insert((*name).to_owned(), Value::String((*value).clone()));
        }
    }
    object
}

/// The event of a decision, for audit and SIEM.
///
/// # Errors
///
/// [`Failure::InvalidRequest`] where the decision has no id, or the source is empty.
pub fn decision_event(decision: &Decision, source: &str) -> Result<CloudEvent, Failure> {
    let mut event = CloudEvent::new(&decision.id, source, DECISION)?;
    event.time = Some(decision.timestamp.clone());
    event.subject = decision.matched_policies.first().cloned();
    event.data = known(&[
        ("requestId", decision.request_id.as_ref()),
        ("decision", Some(&decision.decision)),
        ("reason", decision.reason.as_ref()),
        ("namespace", decision.namespace.as_ref()),
        ("subject", decision.subject.as_ref()),
        ("revision", decision.revision.as_ref()),
    ]);
    let list = |texts: &[String]| Value::from(texts.to_vec());
    event
        .data
        .insert("matchedPolicies".to_owned(), list(&decision.matched_policies));
    event
        .data
        .insert("matchedRules".to_owned(), list(&decision.matched_rules));
    event.data.insert("errors".to_owned(), decision.errors.into());
    Ok(event)
}

/// The event of a record of the audit trail. No field is left out, so that who has all of them can check the chain.
///
/// # Errors
///
/// [`Failure::InvalidRequest`] where the record has no id, or the source is empty.
pub fn audit_event(audit: &Audit, source: &str) -> Result<CloudEvent, Failure> {
    let mut event = CloudEvent::new(&audit.id, source, AUDIT)?;
    event.time = Some(audit.at.clone());
    event.subject = Some(audit.target.clone()).filter(|target| !target.is_empty());
    event.data = known(&[
        ("at", Some(&audit.at)),
        ("actor", Some(&audit.actor)),
        ("action", Some(&audit.action)),
        ("target", Some(&audit.target)),
        ("namespace", Some(&audit.namespace)),
        ("requestId", Some(&audit.request_id)),
        ("previous", Some(&audit.previous)),
        ("hash", Some(&audit.hash)),
    ]);
    for (name, value) in [
        ("seq", audit.seq.into()),
        ("revision", audit.revision.into()),
        ("detail", audit.detail.clone()),
    ] {
        event.data.insert(name.to_owned(), value);
    }
    Ok(event)
}

/// The event of usage and its cost.
///
/// # Errors
///
/// [`Failure::InvalidRequest`] where the usage has no id, the source is empty, or the cost is negative or no number.
pub fn cost_event(cost: &Cost, source: &str) -> Result<CloudEvent, Failure> {
    let mut event = CloudEvent::new(&cost.id, source, USAGE)?;
    event.time = Some(cost.timestamp.clone());
    event.data = known(&[
        ("organization", Some(&cost.organization)),
        ("provider", Some(&cost.provider)),
        ("model", Some(&cost.model)),
        ("project", cost.project.as_ref()),
        ("user", cost.user.as_ref()),
    ]);
    event
        .data
        .insert("inputTokens".to_owned(), cost.input_tokens.into());
    event
        .data
        .insert("outputTokens".to_owned(), cost.output_tokens.into());
    if let Some(usd) = cost.cost_usd {
        if !usd.is_finite() || usd < 0.0 {
            return Err(Failure::InvalidRequest(
                "the cost is negative or no number".to_owned(),
            ));
        }
        event.data.insert("costUsd".to_owned(), usd.into());
    }
    Ok(event)
}

/// The entry of a decision for [`GovernanceClient`](crate::GovernanceClient).
///
/// # Errors
///
/// As [`decision_event`].
#[cfg(feature = "governance")]
pub fn decision_entry(decision: &Decision, source: &str) -> Result<crate::AuditEntry, Failure> {
    let event = decision_event(decision, source)?;
    let action = format!("policy.{}", decision.decision);
    let (kind, about) = match decision.matched_policies.first() {
        Some(policy) => ("policy", policy),
        None => ("decision", &decision.id),
    };
    let mut entry = crate::AuditEntry::new(&decision.id, action, kind, about);
    entry.details = event.data;
    entry
        .details
        .insert("timestamp".to_owned(), Value::String(decision.timestamp.clone()));
    entry
        .details
        .insert("source".to_owned(), Value::String(event.source));
    Ok(entry)
}

/// The entry of a record of the audit trail for [`GovernanceClient`](crate::GovernanceClient). The resource is of the kind that the action
/// names: a policy, a bundle, a key.
///
/// # Errors
///
/// As [`audit_event`].
#[cfg(feature = "governance")]
pub fn audit_entry(audit: &Audit, source: &str) -> Result<crate::AuditEntry, Failure> {
    let event = audit_event(audit, source)?;
    let (kind, about) = match audit.action.split_once('.') {
        Some((kind, _)) if !kind.is_empty() && !audit.target.is_empty() => (kind, &audit.target),
        Some(_) | None => ("audit", &audit.id),
    };
    let mut entry = crate::AuditEntry::new(&audit.id, &audit.action, kind, about);
    entry.details = event.data;
    entry
        .details
        .insert("timestamp".to_owned(), Value::String(audit.at.clone()));
    entry
        .details
        .insert("source".to_owned(), Value::String(event.source));
    Ok(entry)
}

/// The usage of a [`Cost`] for [`CostOpsClient`](crate::CostOpsClient), which computes costs by itself.
#[cfg(feature = "costops")]
#[must_use]
pub fn usage(cost: &Cost) -> crate::Usage {
    crate::Usage {
        id: cost.id.clone(),
        timestamp: cost.timestamp.clone(),
        organization: cost.organization.clone(),
        provider: cost.provider.clone(),
        model: cost.model.clone(),
        input_tokens: cost.input_tokens,
        output_tokens: cost.output_tokens,
        project: cost.project.clone(),
        user: cost.user.clone(),
    }
}
