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
    /// Who asked.
    pub subject: Option<String>,
    /// Which policies decided.
    pub revision: Option<String>,
    /// Conditions that could not be evaluated.
    pub errors: u64,
}

/// Usage and its cost, as far as they go out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Tells this usage from all others.
    pub id: String,
    /// When, as RFC 3339 writes it.
    pub timestamp: String,
    /// Whose.
    pub organization: String,
    /// Whose model.
    pub provider: String,
    /// Which model.
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
