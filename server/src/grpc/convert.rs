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

mod definition;
mod json;
mod response;

pub use definition::{definition, definition_json};
pub use json::write_context;
pub use response::{response, response_of_text};

use crate::document::Format;
use crate::error::{Code, Problem, Result, ServiceError};
use crate::service::approvals::Waiting;
use crate::service::policies::Seen;
use crate::storage::model::{Approval, DecisionRecord, PolicyStatus, PolicyVersion};
use policy_grammar::ast;
use policy_proto::v1;
use prost_types::Timestamp;

fn malformed(detail: impl Into<String>) -> ServiceError {
    ServiceError::new(Code::MalformedRequest, detail)
}

/// The decision of this spelling.
fn verb(text: &str) -> Result<v1::Decision> {
    ast::Decision::ALL
        .iter()
        .find(|decision| decision.as_str() == text)
        .map(|decision| decision_message(*decision))
        .ok_or_else(|| ServiceError::internal(format!("the engine decided `{text}`")))
}

fn decision_message(decision: ast::Decision) -> v1::Decision {
    match decision {
        ast::Decision::Allow => v1::Decision::Allow,
        ast::Decision::Warn => v1::Decision::Warn,
        ast::Decision::Modify => v1::Decision::Modify,
        ast::Decision::Deny => v1::Decision::Deny,
    }
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

#[cfg(test)]
mod tests;
