//! Decisions as messages: from the text of a response, or from what a cache knows of it.

use super::json::{FromJson, in_doubles};
use super::{timestamp, verb};
use crate::cache::Response;
use crate::error::{Result, ServiceError};
use policy_proto::v1;
use policy_runtime::Verb;
use prost_types::Struct;
use serde::Deserialize;

/// The JSON text of a response, as far as it becomes messages.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseText {
    request_id: String,
    decision: DecisionText,
    timestamp: i64,
    cached: bool,
    bundle: BundleText,
}

#[derive(Deserialize)]
struct BundleText {
    revision: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecisionText {
    decision: String,
    allowed: bool,
    reason: Option<String>,
    matched_policies: Vec<String>,
    matched_rules: Vec<String>,
    matched: Vec<MatchText>,
    evaluation_time_ms: f64,
    #[serde(flatten)]
    more: MoreText,
}

/// What few decisions have.
#[derive(Default, Deserialize)]
struct MoreText {
    modifications: Option<FromJson<Struct>>,
    metadata: Option<FromJson<Struct>>,
    #[serde(default)]
    errors: Vec<ErrorText>,
    trace: Option<FromJson<Struct>>,
}

impl MoreText {
    fn put(self, response: &mut v1::EvaluatePolicyResponse) {
        response.modifications = self.modifications.map(|m| m.0);
        response.metadata = self.metadata.map(|m| m.0);
        response.trace = self.trace.map(|t| t.0);
        let errors = self.errors.into_iter().map(|e| v1::EvaluationError {
            policy: e.policy,
            rule: e.rule,
            field: e.field,
            found: e.found,
            expected: e.expected,
            message: e.message,
        });
        response.errors = errors.collect();
    }
}

#[derive(Deserialize)]
struct MatchText {
    policy: String,
    rule: String,
    decision: String,
    reason: Option<String>,
}

fn matched(list: Vec<MatchText>) -> Result<Vec<v1::MatchedRule>> {
    let one = |fired: MatchText| {
        Ok(v1::MatchedRule {
            policy: fired.policy,
            rule: fired.rule,
            decision: verb(&fired.decision)?.into(),
            reason: fired.reason,
        })
    };
    list.into_iter().map(one).collect()
}

#[derive(Deserialize)]
struct ErrorText {
    policy: String,
    rule: String,
    #[serde(default)]
    field: String,
    found: String,
    expected: String,
    message: String,
}

/// The part of the JSON text of a response that goes beside `response_json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutlineText {
    request_id: String,
    decision: DecisionOutline,
    timestamp: i64,
    cached: bool,
    bundle: BundleText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecisionOutline {
    decision: String,
    allowed: bool,
    reason: Option<String>,
    matched_policies: Vec<String>,
    matched_rules: Vec<String>,
    matched: Vec<MatchText>,
    evaluation_time_ms: f64,
}

/// A response of the engine, as its JSON text, as a message. With `as_json` the text itself goes into it, in place of the
/// members that hold values.
///
/// # Errors
///
/// `internal` when the text is not that of a response.
pub fn response_of_text(text: bytes::Bytes, as_json: bool) -> Result<v1::EvaluatePolicyResponse> {
    let broken = |e: serde_json::Error| ServiceError::internal(format!("response of the engine: {e}"));
    if as_json {
        let read: OutlineText = serde_json::from_slice(&text).map_err(broken)?;
        return Ok(v1::EvaluatePolicyResponse {
            request_id: read.request_id,
            decision: verb(&read.decision.decision)?.into(),
            allowed: read.decision.allowed,
            reason: read.decision.reason,
            matched_policies: read.decision.matched_policies,
            matched_rules: read.decision.matched_rules,
            matched: matched(read.decision.matched)?,
            evaluation_time_ns: nanoseconds(read.decision.evaluation_time_ms),
            timestamp: Some(timestamp(read.timestamp)),
            cached: read.cached,
            bundle_revision: read.bundle.revision,
            response_json: text,
            ..Default::default()
        });
    }
    let read: ResponseText = in_doubles(&text).map_err(broken)?;
    let decision = read.decision;
    let mut response = v1::EvaluatePolicyResponse {
        request_id: read.request_id,
        decision: verb(&decision.decision)?.into(),
        allowed: decision.allowed,
        reason: decision.reason,
        matched_policies: decision.matched_policies,
        matched_rules: decision.matched_rules,
        matched: matched(decision.matched)?,
        evaluation_time_ns: nanoseconds(decision.evaluation_time_ms),
        timestamp: Some(timestamp(read.timestamp)),
        cached: read.cached,
        bundle_revision: read.bundle.revision,
        ..Default::default()
    };
    decision.more.put(&mut response);
    Ok(response)
}

/// A response as a message; as [`response_of_text`] of its text, which is read only where it has to be.
///
/// # Errors
///
/// `internal` when the text is not that of a response.
pub fn response(from: Response, as_json: bool) -> Result<v1::EvaluatePolicyResponse> {
    let broken = |e: serde_json::Error| ServiceError::internal(format!("response of the engine: {e}"));
    let told = from.told();
    let mut response = v1::EvaluatePolicyResponse {
        request_id: told.request_id(),
        decision: decided(from.verb).into(),
        allowed: from.verb != Verb::Deny,
        reason: told.reason(),
        matched_policies: told.matched_policies(),
        matched_rules: told.matched_rules(),
        matched: matched(serde_json::from_str(told.matched()).map_err(broken)?)?,
        evaluation_time_ns: i64::try_from(from.duration_ns).unwrap_or(i64::MAX),
        timestamp: Some(timestamp(from.at_ms)),
        cached: from.cached(),
        bundle_revision: told.revision(),
        ..Default::default()
    };
    if as_json {
        response.response_json = from.json;
    } else if let Some(more) = told.more().strip_prefix(',') {
        let more: MoreText = in_doubles(format!("{{{more}}}").as_bytes()).map_err(broken)?;
        more.put(&mut response);
    }
    Ok(response)
}

fn decided(verb: Verb) -> v1::Decision {
    match verb {
        Verb::Allow => v1::Decision::Allow,
        Verb::Warn => v1::Decision::Warn,
        Verb::Modify => v1::Decision::Modify,
        Verb::Deny => v1::Decision::Deny,
    }
}

/// Milliseconds with a fraction, as responses have them, in whole nanoseconds.
fn nanoseconds(milliseconds: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "casting saturates, and a decision takes no 292 years"
    )]
    let whole = (milliseconds * 1e6).round() as i64;
    whole
}
