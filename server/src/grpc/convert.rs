//! Messages of the gRPC interface to and from the types of the service layer.
//!
//! Contexts become JSON bytes and decisions become messages without a tree of JSON values in between. Typed policies
//! become JSON documents, which are then compiled like any other, so that every form of a policy gives the same
//! diagnostics.
//!
//! # Invariants
//!
//! - Nothing is rounded silently where a policy is concerned: an integer that a double cannot hold for certain is refused
//!   in both directions. Contexts and decisions have an exact way beside the messages (`context_json`, `response_json`).
//! - A number that JSON does not have (NaN, an infinity) and a `Value` of no kind are refused.
//! - An enum number that this server does not know is refused, never read as the default.
//!
//! Recursion follows the nesting of messages, which the decoder bounds, and of documents, which the parser bounds.

use crate::cache::Outcome;
use crate::document::Format;
use crate::error::{Code, Problem, Result, ServiceError};
use crate::service::approvals::Waiting;
use crate::service::policies::Seen;
use crate::storage::model::{Approval, DecisionRecord, PolicyStatus, PolicyVersion};
use policy_grammar::ast;
use policy_grammar::{SourceFile, SourceMap};
use policy_proto::v1;
use policy_runtime::Verb;
use prost_types::{Struct, Timestamp, Value, value::Kind};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The largest integer that is the only one to become its double: 2^53 − 1.
const SAFE: f64 = 9_007_199_254_740_991.0;

fn malformed(detail: impl Into<String>) -> ServiceError {
    ServiceError::new(Code::MalformedRequest, detail)
}

/// A context as the JSON text that the engine takes. Appends to `out`; on an error `out` holds an unfinished text.
///
/// # Errors
///
/// `malformed_request` for a number that JSON does not have, and for a value of no kind.
pub fn write_context(context: &Struct, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, &AsJson(context)).map_err(|e| malformed(format!("context: {e}")))
}

/// What serialises as the JSON that a message stands for.
struct AsJson<'a, T>(&'a T);

impl Serialize for AsJson<'_, Struct> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields.len()))?;
        for (key, value) in &self.0.fields {
            map.serialize_entry(key, &AsJson(value))?;
        }
        map.end()
    }
}

impl Serialize for AsJson<'_, Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(b)) => serializer.serialize_bool(*b),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::NumberValue(n)) => number(*n, serializer),
            Some(Kind::ListValue(list)) => serializer.collect_seq(list.values.iter().map(AsJson)),
            Some(Kind::StructValue(object)) => AsJson(object).serialize(serializer),
            None => Err(S::Error::custom("a google.protobuf.Value has no kind")),
        }
    }
}

/// A number; whole numbers within 64 bits as integers, which is what callers mean by them.
fn number<S: Serializer>(n: f64, serializer: S) -> Result<S::Ok, S::Error> {
    // 2^63 as a double; every whole double below it is exactly an `i64`.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if !n.is_finite() {
        return Err(S::Error::custom(format!("{n} is not a JSON number")));
    }
    if n.fract() == 0.0 && (-END..END).contains(&n) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        return serializer.serialize_i64(n as i64);
    }
    serializer.serialize_f64(n)
}

/// A message read from the JSON that it stands for.
#[derive(Debug, Clone, PartialEq, Default)]
struct FromJson<T>(T);

impl<'de> Deserialize<'de> for FromJson<Value> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for FromJson<Struct> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StructVisitor).map(Self)
    }
}

struct ValueVisitor;

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(value(Kind::NullValue(0)))
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(value(Kind::BoolValue(b)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double, as the interface says"
    )]
    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(n as f64)))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double, as the interface says"
    )]
    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(n as f64)))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
        Ok(value(Kind::NumberValue(n)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(value(Kind::StringValue(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(value(Kind::StringValue(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(FromJson(item)) = seq.next_element()? {
            values.push(item);
        }
        Ok(value(Kind::ListValue(prost_types::ListValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        Ok(value(Kind::StructValue(StructVisitor.visit_map(map)?)))
    }
}

struct StructVisitor;

impl<'de> Visitor<'de> for StructVisitor {
    type Value = Struct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Struct, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((key, FromJson(value))) = map.next_entry::<String, _>()? {
            if let Some(_earlier) = fields.insert(key, value) {
                return Err(de::Error::custom("a key occurs twice"));
            }
        }
        Ok(Struct { fields })
    }
}

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
pub fn response(text: bytes::Bytes, as_json: bool) -> Result<v1::EvaluatePolicyResponse> {
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

/// An outcome as a message; as [`response`] of its text, which is read only where it has to be.
///
/// # Errors
///
/// `internal` when the text is not that of a response.
pub fn outcome(outcome: Outcome, as_json: bool) -> Result<v1::EvaluatePolicyResponse> {
    let broken = |e: serde_json::Error| ServiceError::internal(format!("response of the engine: {e}"));
    let told = outcome.told();
    let mut response = v1::EvaluatePolicyResponse {
        request_id: told.request_id(),
        decision: decided(outcome.decision).into(),
        allowed: outcome.decision != Verb::Deny,
        reason: told.reason(),
        matched_policies: told.matched_policies(),
        matched_rules: told.matched_rules(),
        matched: matched(serde_json::from_str(told.matched()).map_err(broken)?)?,
        evaluation_time_ns: i64::try_from(outcome.duration_ns).unwrap_or(i64::MAX),
        timestamp: Some(timestamp(outcome.at_ms)),
        cached: outcome.cached(),
        bundle_revision: told.revision(),
        ..Default::default()
    };
    if as_json {
        response.response_json = outcome.json;
    } else if let Some(more) = told.more().strip_prefix(',') {
        let more: MoreText = in_doubles(format!("{{{more}}}").as_bytes()).map_err(broken)?;
        more.put(&mut response);
    }
    Ok(response)
}

/// Reads JSON of the engine. Numbers beyond all doubles, which messages have no place for, are read as texts.
fn in_doubles<T: serde::de::DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(&huge_numbers_quoted(text)),
        Err(_) => Err(error),
    })
}

/// JSON with quotes around the numbers that are beyond all doubles.
fn huge_numbers_quoted(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 16);
    let mut rest = json;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' if in_string => rest.chars().take(2).map(char::len_utf8).sum(),
            '"' => {
                in_string = !in_string;
                1
            }
            '-' | '0'..='9' if !in_string => {
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
                end.unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        let (token, more) = rest.split_at(length);
        if !in_string && token.parse::<f64>().is_ok_and(f64::is_infinite) {
            out.push('"');
            out.push_str(token);
            out.push('"');
        } else {
            out.push_str(token);
        }
        rest = more;
    }
    out
}

/// The decision of this spelling.
fn verb(text: &str) -> Result<v1::Decision> {
    ast::Decision::ALL
        .iter()
        .find(|decision| decision.as_str() == text)
        .map(|decision| decision_message(*decision))
        .ok_or_else(|| ServiceError::internal(format!("the engine decided `{text}`")))
}

fn decided(verb: Verb) -> v1::Decision {
    match verb {
        Verb::Allow => v1::Decision::Allow,
        Verb::Warn => v1::Decision::Warn,
        Verb::Modify => v1::Decision::Modify,
        Verb::Deny => v1::Decision::Deny,
    }
}

fn decision_message(decision: ast::Decision) -> v1::Decision {
    match decision {
        ast::Decision::Allow => v1::Decision::Allow,
        ast::Decision::Warn => v1::Decision::Warn,
        ast::Decision::Modify => v1::Decision::Modify,
        ast::Decision::Deny => v1::Decision::Deny,
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

/// Milliseconds since the epoch as a timestamp.
#[must_use]
pub fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp {
        seconds: milliseconds.div_euclid(1000),
        nanos: i32::try_from(milliseconds.rem_euclid(1000) * 1_000_000).unwrap_or(0),
    }
}

/// A time of a message in milliseconds since the epoch.
///
/// # Errors
///
/// `malformed_request` for one that no calendar has.
pub fn moment(name: &str, at: Option<Timestamp>) -> Result<Option<i64>> {
    let milliseconds = |at: Timestamp| {
        let within = jiff::Timestamp::new(at.seconds, at.nanos).ok()?;
        (0..1_000_000_000)
            .contains(&at.nanos)
            .then(|| within.as_millisecond())
    };
    at.map(|at| milliseconds(at).ok_or_else(|| malformed(format!("`{name}` is no time"))))
        .transpose()
}

/// The outcome that a list of decisions is asked for, as the log spells it; `None` is any.
///
/// # Errors
///
/// `malformed_request` for a number that is no decision.
pub fn decision_filter(number: i32) -> Result<Option<&'static str>> {
    let wanted = v1::Decision::try_from(number).map_err(|_| malformed(format!("{number} is no decision")))?;
    Ok(ast::Decision::ALL
        .iter()
        .find(|decision| decision_message(**decision) == wanted)
        .map(|decision| decision.as_str()))
}

/// A decision of the log as a message; `context` is what was kept, opened where it was sealed.
///
/// # Errors
///
/// `internal` for an outcome that there is not.
pub fn logged(record: DecisionRecord, context: Option<String>) -> Result<v1::LoggedDecision> {
    Ok(v1::LoggedDecision {
        id: record.id().to_string(),
        at: Some(timestamp(record.at_ms)),
        decision: verb(&record.decision)?.into(),
        request_id: record.request_id,
        namespace: record.namespace,
        subject: record.subject,
        reason: record.reason,
        matched_policies: record.matched_policies,
        matched_rules: record.matched_rules,
        errors: record.errors,
        revision: record.revision,
        duration_ns: record.duration_ns,
        cached: record.cached,
        context_json: context.map(String::into_bytes),
    })
}

/// A status as messages spell it.
#[must_use]
pub fn status_message(status: PolicyStatus) -> v1::PolicyStatus {
    match status {
        PolicyStatus::Active => v1::PolicyStatus::Active,
        PolicyStatus::Draft => v1::PolicyStatus::Draft,
        PolicyStatus::Deprecated => v1::PolicyStatus::Deprecated,
    }
}

/// The status that a list is asked for; `None` is any.
///
/// # Errors
///
/// `malformed_request` for a number that is no status.
pub fn status_filter(number: i32) -> Result<Option<PolicyStatus>> {
    match v1::PolicyStatus::try_from(number) {
        Ok(v1::PolicyStatus::Unspecified) => Ok(None),
        Ok(v1::PolicyStatus::Active) => Ok(Some(PolicyStatus::Active)),
        Ok(v1::PolicyStatus::Draft) => Ok(Some(PolicyStatus::Draft)),
        Ok(v1::PolicyStatus::Deprecated) => Ok(Some(PolicyStatus::Deprecated)),
        Err(_) => Err(malformed(format!("status: there is no PolicyStatus {number}"))),
    }
}

/// What a list asks for of approvals; `None` is any.
///
/// # Errors
///
/// `malformed_request` for a number that is none.
pub fn approval_filter(number: i32) -> Result<Option<Approval>> {
    match v1::Approval::try_from(number) {
        Ok(v1::Approval::Unspecified) => Ok(None),
        Ok(v1::Approval::Waiting) => Ok(Some(Approval::Waiting)),
        Ok(v1::Approval::Rejected) => Ok(Some(Approval::Rejected)),
        Err(_) => Err(malformed(format!("approval: there is no Approval {number}"))),
    }
}

/// A problem as a message.
#[must_use]
pub fn diagnostic(problem: &Problem) -> v1::Diagnostic {
    v1::Diagnostic {
        severity: problem.severity.clone(),
        code: problem.code.clone(),
        message: problem.message.clone(),
        line: u32::try_from(problem.line).unwrap_or(u32::MAX),
        column: u32::try_from(problem.column).unwrap_or(u32::MAX),
        help: problem.help.clone(),
        file: problem.file.clone(),
    }
}

/// What a version waits for, as a message.
#[must_use]
pub fn waiting(waiting: Waiting) -> v1::Waiting {
    v1::Waiting {
        since: Some(timestamp(waiting.since_ms)),
        scope: waiting.scope.as_str().to_owned(),
        authors: waiting.authors,
        may_approve: waiting.may_approve,
    }
}

/// A stored policy as a message, without its document.
#[must_use]
pub fn policy(seen: Seen) -> v1::Policy {
    let Seen { record, waiting } = seen;
    let latest = record.latest;
    v1::Policy {
        pending_approval: record.pending_approval,
        approval: waiting.map(self::waiting),
        active_version: record.active_version,
        approved_by: record.approved_by,
        created_at: Some(timestamp(record.created_ms)),
        updated_at: Some(timestamp(record.updated_ms)),
        revision: record.revision,
        ..version(&latest)
    }
}

/// One version of a policy as a message, without its document.
#[must_use]
pub fn version(version: &PolicyVersion) -> v1::Policy {
    v1::Policy {
        id: version.id.clone(),
        name: version.name.clone(),
        namespace: version.namespace.clone(),
        version: version.version,
        document_version: version.document_version.clone(),
        status: status_message(version.status).into(),
        digest: version.digest.clone(),
        author: version.author.clone(),
        rejection: version.rejection.as_ref().map(|rejection| v1::Rejection {
            by: rejection.by.clone(),
            at: Some(timestamp(rejection.at_ms)),
            comment: rejection.comment.clone(),
        }),
        created_at: Some(timestamp(version.created_ms)),
        updated_at: Some(timestamp(version.created_ms)),
        format: version.format.clone(),
        ..Default::default()
    }
}

/// A policy as source text, and its language.
///
/// # Errors
///
/// `malformed_request` when there is none, or a typed one holds what a document cannot hold.
pub fn document(document: Option<v1::PolicyDocument>) -> Result<(String, Format)> {
    use v1::policy_document::Document as D;
    match document.and_then(|d| d.document) {
        Some(D::Yaml(text)) => Ok((text, Format::Yaml)),
        Some(D::Json(text)) => Ok((text, Format::Json)),
        Some(D::Definition(definition)) => Ok((definition_json(&definition)?, Format::Json)),
        None => Err(malformed("policy: give one of definition, yaml and json")),
    }
}

/// A typed policy as a JSON document. What is not given is left out, so that the compiler fills in, or misses, the same as in
/// any other document.
///
/// # Errors
///
/// `malformed_request` for an enum number that is not known, and for numbers that are not certain or not JSON.
pub fn definition_json(definition: &v1::PolicyDefinition) -> Result<String> {
    let document = DefinitionJson {
        metadata: definition.metadata.as_ref().map(metadata_json),
        rules: definition
            .rules
            .iter()
            .enumerate()
            .map(|(i, rule)| rule_json(rule).map_err(|e| malformed(format!("rules[{i}]: {}", e.detail))))
            .collect::<Result<_>>()?,
        status: status_filter(definition.status)?.map(PolicyStatus::as_str),
        on_error: match v1::OnError::try_from(definition.on_error) {
            Ok(v1::OnError::Unspecified) => None,
            Ok(v1::OnError::Match) => Some(ast::OnError::Match.as_str()),
            Ok(v1::OnError::Skip) => Some(ast::OnError::Skip.as_str()),
            Err(_) => {
                return Err(malformed(format!(
                    "on_error: there is no OnError {}",
                    definition.on_error
                )));
            }
        },
    };
    serde_json::to_string_pretty(&document).map_err(|e| malformed(format!("policy: {e}")))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DefinitionJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<MetadataJson<'a>>,
    rules: Vec<RuleJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_error: Option<&'static str>,
}

#[derive(Serialize)]
struct MetadataJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<ConditionJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConditionJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    operator: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<AsJson<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conditions: Option<Vec<ConditionJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Box<ConditionJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_case: Option<bool>,
}

#[derive(Serialize)]
struct ActionJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<AsJson<'a, Struct>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modifications: Option<AsJson<'a, Struct>>,
}

fn metadata_json(metadata: &v1::PolicyMetadata) -> MetadataJson<'_> {
    MetadataJson {
        id: &metadata.id,
        name: &metadata.name,
        version: metadata.version.as_deref(),
        namespace: metadata.namespace.as_deref(),
        description: metadata.description.as_deref(),
        tags: &metadata.tags,
        priority: metadata.priority,
    }
}

fn rule_json(rule: &v1::Rule) -> Result<RuleJson<'_>> {
    Ok(RuleJson {
        id: &rule.id,
        name: rule.name.as_deref(),
        description: rule.description.as_deref(),
        enabled: rule.enabled,
        condition: rule.condition.as_ref().map(condition_json).transpose()?,
        action: rule.action.as_ref().map(action_json).transpose()?,
    })
}

fn condition_json(condition: &v1::Condition) -> Result<ConditionJson<'_>> {
    if let Some(value) = &condition.value {
        certain(value)?;
    }
    // proto3 cannot tell an empty list from none; `and` of nothing has to be one, for the compiler to refuse.
    let logic = matches!(condition.operator.as_str(), "and" | "or" | "not");
    let conditions = condition
        .conditions
        .iter()
        .map(condition_json)
        .collect::<Result<Vec<_>>>()?;
    Ok(ConditionJson {
        operator: &condition.operator,
        field: condition.field.as_deref(),
        value: condition.value.as_ref().map(AsJson),
        value_from: condition.value_from.as_deref(),
        conditions: (logic || !conditions.is_empty()).then_some(conditions),
        condition: match &condition.condition {
            Some(body) => Some(Box::new(condition_json(body)?)),
            None => None,
        },
        ignore_case: condition.ignore_case,
    })
}

fn action_json(action: &v1::Action) -> Result<ActionJson<'_>> {
    for map in [&action.metadata, &action.modifications].into_iter().flatten() {
        map.fields.values().try_for_each(certain)?;
    }
    let decision = match v1::Decision::try_from(action.decision) {
        Ok(v1::Decision::Unspecified) => None,
        Ok(v1::Decision::Allow) => Some(ast::Decision::Allow.as_str()),
        Ok(v1::Decision::Deny) => Some(ast::Decision::Deny.as_str()),
        Ok(v1::Decision::Warn) => Some(ast::Decision::Warn.as_str()),
        Ok(v1::Decision::Modify) => Some(ast::Decision::Modify.as_str()),
        Err(_) => {
            return Err(malformed(format!(
                "action: there is no Decision {}",
                action.decision
            )));
        }
    };
    Ok(ActionJson {
        decision,
        reason: action.reason.as_deref(),
        metadata: action.metadata.as_ref().map(AsJson),
        modifications: action.modifications.as_ref().map(AsJson),
    })
}

/// Refuses whole numbers that may have been another number before they became a double.
fn certain(value: &Value) -> Result<()> {
    match &value.kind {
        Some(Kind::NumberValue(n)) => certain_number(*n),
        Some(Kind::ListValue(list)) => list.values.iter().try_for_each(certain),
        Some(Kind::StructValue(object)) => object.fields.values().try_for_each(certain),
        // What has no kind is refused where it is written.
        Some(Kind::NullValue(_) | Kind::BoolValue(_) | Kind::StringValue(_)) | None => Ok(()),
    }
}

fn certain_number(n: f64) -> Result<()> {
    if n.fract() == 0.0 && n.abs() > SAFE {
        return Err(malformed(format!(
            "{n} is beyond 2^53, where google.protobuf.Value is not exact; use the policy's source text"
        )));
    }
    Ok(())
}

/// A stored document as messages.
///
/// # Errors
///
/// `malformed_request` when the document holds integers that messages cannot carry for certain; `internal` when it is not
/// one well-formed policy.
pub fn definition(source: &str, format: &str) -> Result<v1::PolicyDefinition> {
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new(format!("policy.{format}"), source));
    let parsed = policy_grammar::parse_source(&map, file);
    match (parsed.has_errors(), parsed.policies.as_slice()) {
        (false, [policy]) => policy_message(policy),
        _ => Err(ServiceError::internal("a stored policy does not parse")),
    }
}

fn policy_message(policy: &ast::Policy) -> Result<v1::PolicyDefinition> {
    let metadata = &policy.metadata;
    Ok(v1::PolicyDefinition {
        metadata: Some(v1::PolicyMetadata {
            id: metadata.id.value.clone(),
            name: metadata.name.value.clone(),
            version: Some(metadata.version.value.clone()),
            namespace: Some(metadata.namespace.value.clone()),
            description: metadata.description.as_ref().map(|d| d.value.clone()),
            tags: metadata.tags.iter().map(|t| t.value.clone()).collect(),
            priority: Some(metadata.priority.value),
        }),
        rules: policy.rules.iter().map(rule_message).collect::<Result<_>>()?,
        status: match policy.status {
            ast::Status::Active => v1::PolicyStatus::Active,
            ast::Status::Draft => v1::PolicyStatus::Draft,
            ast::Status::Deprecated => v1::PolicyStatus::Deprecated,
        }
        .into(),
        on_error: match policy.on_error {
            ast::OnError::Match => v1::OnError::Match,
            ast::OnError::Skip => v1::OnError::Skip,
        }
        .into(),
    })
}

fn rule_message(rule: &ast::Rule) -> Result<v1::Rule> {
    let action = &rule.action;
    let mut modifications = BTreeMap::new();
    for modification in &action.modifications {
        modifications.insert(
            modification.path.value.to_string(),
            modification_message(&modification.verb)?,
        );
    }
    Ok(v1::Rule {
        id: rule.id.value.clone(),
        name: rule.name.as_ref().map(|n| n.value.clone()),
        description: rule.description.as_ref().map(|d| d.value.clone()),
        enabled: Some(rule.enabled),
        condition: Some(condition_message(&rule.condition)?),
        action: Some(v1::Action {
            decision: decision_message(action.decision.value).into(),
            reason: action.reason.as_ref().map(|r| r.value.clone()),
            metadata: some(members(&action.metadata)?),
            modifications: some(modifications),
        }),
    })
}

fn some(fields: BTreeMap<String, Value>) -> Option<Struct> {
    (!fields.is_empty()).then_some(Struct { fields })
}

fn condition_message(condition: &ast::Condition) -> Result<v1::Condition> {
    let logic = |operator: &str, operands: &[ast::Condition]| -> Result<v1::Condition> {
        Ok(v1::Condition {
            operator: operator.to_owned(),
            conditions: operands.iter().map(condition_message).collect::<Result<_>>()?,
            ..Default::default()
        })
    };
    match condition {
        ast::Condition::And { operands, .. } => logic("and", operands),
        ast::Condition::Or { operands, .. } => logic("or", operands),
        ast::Condition::Not { operand, .. } => logic("not", std::slice::from_ref(&**operand)),
        ast::Condition::Test(test) => {
            let (value, value_from, body) = match &test.operand {
                ast::Operand::Value(literal) => (Some(literal_message(&literal.value)?), None, None),
                ast::Operand::Path(path) => (None, Some(path.value.to_string()), None),
                ast::Operand::Condition(body) => (None, None, Some(Box::new(condition_message(body)?))),
            };
            Ok(v1::Condition {
                operator: test.operator.value.as_str().to_owned(),
                field: Some(test.field.value.to_string()),
                value,
                value_from,
                conditions: Vec::new(),
                condition: body,
                ignore_case: test.ignore_case.then_some(true),
            })
        }
    }
}

fn modification_message(verb: &ast::Verb) -> Result<Value> {
    let (name, operand) = match verb {
        ast::Verb::Set(literal) => return literal_message(literal),
        ast::Verb::Cap(n) => ("$cap", number_message(n)?),
        ast::Verb::Floor(n) => ("$floor", number_message(n)?),
        ast::Verb::Default(literal) => ("$default", literal_message(literal)?),
        ast::Verb::Append(literal) => ("$append", literal_message(literal)?),
        ast::Verb::Remove => ("$remove", value(Kind::BoolValue(true))),
        ast::Verb::Redact(types) if types.is_empty() => {
            ("$redact", value(Kind::StringValue("all".to_owned())))
        }
        ast::Verb::Redact(types) => {
            let values = types
                .iter()
                .map(|t| value(Kind::StringValue(t.value.clone())))
                .collect();
            (
                "$redact",
                value(Kind::ListValue(prost_types::ListValue { values })),
            )
        }
    };
    Ok(value(Kind::StructValue(Struct {
        fields: BTreeMap::from([(name.to_owned(), operand)]),
    })))
}

type Member = (
    policy_grammar::source::Spanned<String>,
    policy_grammar::source::Spanned<ast::Literal>,
);

fn members(list: &[Member]) -> Result<BTreeMap<String, Value>> {
    list.iter()
        .map(|(key, literal)| Ok((key.value.clone(), literal_message(&literal.value)?)))
        .collect()
}

fn literal_message(literal: &ast::Literal) -> Result<Value> {
    Ok(match literal {
        ast::Literal::Null => value(Kind::NullValue(0)),
        ast::Literal::Bool(b) => value(Kind::BoolValue(*b)),
        ast::Literal::Number(n) => number_message(n)?,
        ast::Literal::String(text) => value(Kind::StringValue(text.clone())),
        ast::Literal::Array(items) => value(Kind::ListValue(prost_types::ListValue {
            values: items
                .iter()
                .map(|item| literal_message(&item.value))
                .collect::<Result<_>>()?,
        })),
        ast::Literal::Object(list) => value(Kind::StructValue(Struct {
            fields: members(list)?,
        })),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is not exact is refused in the next line"
)]
fn number_message(n: &ast::Number) -> Result<Value> {
    let double = match n {
        ast::Number::Int(n) => *n as f64,
        ast::Number::UInt(n) => *n as f64,
        ast::Number::Float(n) => *n,
        ast::Number::Decimal(text) => {
            return Err(malformed(format!(
                "{text} is no double, so google.protobuf.Value does not hold it; use the policy's source text"
            )));
        }
    };
    certain_number(double)?;
    Ok(value(Kind::NumberValue(double)))
}

#[cfg(test)]
mod tests;
