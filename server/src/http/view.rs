//! How policies, bundles and the rest look in REST: names of the contract, times in RFC 3339.

use crate::active::Info;
use crate::edges;
use crate::error::Problem;
use crate::service::approvals;
use crate::service::policies::{Seen, SeenVersion, Written};
use crate::storage::model::{self, ApiKey, AuditRecord, BundleRecord, DecisionRecord, PolicyStatus, Slice};
use serde::Serialize;
use utoipa::ToSchema;

/// A time as RFC 3339 with milliseconds.
pub(super) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| format!("{t:.3}"))
}

/// Part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    /// The entries.
    pub items: Vec<T>,
    /// `cursor` of the next part; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> List<T> {
    pub(super) fn of<U>(slice: Slice<U>, view: impl FnMut(U) -> T) -> Self {
        Self {
            items: slice.items.into_iter().map(view).collect(),
            next: slice.next,
        }
    }
}

/// What a version waits for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Waiting {
    /// Since when.
    pub since: String,
    /// The scope of those who may approve it.
    pub scope: &'static str,
    /// Who wrote its text, in any version: none of them may approve it.
    pub authors: Vec<String>,
    /// Whether the one who asks may approve it.
    pub may_approve: bool,
}

impl From<approvals::Waiting> for Waiting {
    fn from(waiting: approvals::Waiting) -> Self {
        Self {
            since: time(waiting.since_ms),
            scope: waiting.scope.as_str(),
            authors: waiting.authors,
            may_approve: waiting.may_approve,
        }
    }
}

/// Who rejected a version, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rejection {
    /// The name of the key or token that rejected it.
    pub by: String,
    /// When it was rejected, in RFC 3339.
    pub at: String,
    /// The reason that was given.
    pub comment: String,
}

impl From<model::Rejection> for Rejection {
    fn from(rejection: model::Rejection) -> Self {
        Self {
            by: rejection.by,
            at: time(rejection.at_ms),
            comment: rejection.comment,
        }
    }
}

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Policy {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Number of the newest version; the `ETag` holds it.
    pub version: u64,
    /// Number of the version that decides; null when none does, as while a bundle decides.
    pub active_version: Option<u64>,
    /// Version in the document's metadata.
    pub document_version: String,
    /// Status of the newest version.
    pub status: PolicyStatus,
    /// Whether the newest version waits for somebody other than its author.
    pub pending_approval: bool,
    /// What it waits for, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Waiting, required = false)]
    pub approval: Option<Waiting>,
    /// Who rejected the newest version, where somebody did: it does not become active any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Rejection, required = false)]
    pub rejection: Option<Rejection>,
    /// SHA-256 of the document; absent where that is not known, as for policies of a bundle.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub digest: String,
    /// Who wrote the document of the newest version.
    pub author: String,
    /// Who approved the active version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When the first version was written.
    pub created_at: String,
    /// When anything last changed.
    pub updated_at: String,
    /// Revision of the store after the last change.
    pub revision: u64,
    /// `yaml` or `json`.
    pub format: String,
    /// The document; left out in lists, and where somebody changes a policy who may not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the compiler warns of; after writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

impl Policy {
    pub(super) fn of(seen: Seen, with_source: bool) -> Self {
        let Seen { record, waiting } = seen;
        let latest = record.latest;
        Self {
            pending_approval: record.pending_approval,
            approval: waiting.map(Waiting::from),
            rejection: latest.rejection.map(Rejection::from),
            id: latest.id,
            name: latest.name,
            namespace: latest.namespace,
            version: latest.version,
            active_version: record.active_version,
            document_version: latest.document_version,
            status: latest.status,
            digest: latest.digest,
            author: latest.author,
            approved_by: record.approved_by,
            created_at: time(record.created_ms),
            updated_at: time(record.updated_ms),
            revision: record.revision,
            format: latest.format,
            source: with_source.then(|| latest.source.to_string()),
            warnings: Vec::new(),
        }
    }

    pub(super) fn written(written: Written) -> Self {
        Self {
            warnings: written.warnings,
            ..Self::of(written.policy, true)
        }
    }
}

/// A version of a policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    /// The policy.
    pub id: String,
    /// Its namespace.
    pub namespace: String,
    /// From 1.
    pub version: u64,
    /// Version in the document's metadata.
    pub document_version: String,
    /// Its status.
    pub status: PolicyStatus,
    /// Whether it decides.
    pub active: bool,
    /// Whether it waits for somebody other than its author.
    pub pending_approval: bool,
    /// What it waits for, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Waiting, required = false)]
    pub approval: Option<Waiting>,
    /// Who rejected it, where somebody did: it does not become active any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Rejection, required = false)]
    pub rejection: Option<Rejection>,
    /// SHA-256 of the document; absent where that is not known, as for policies of a bundle.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub digest: String,
    /// Who wrote it.
    pub author: String,
    /// When it was written, in RFC 3339.
    pub created_at: String,
    /// `yaml` or `json`.
    pub format: String,
    /// The document; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Version {
    pub(super) fn of(seen: SeenVersion, with_source: bool) -> Self {
        let version = seen.version;
        Self {
            active: seen.active,
            pending_approval: seen.waiting.is_some(),
            approval: seen.waiting.map(Waiting::from),
            rejection: version.rejection.map(Rejection::from),
            id: version.id,
            namespace: version.namespace,
            version: version.version,
            document_version: version.document_version,
            status: version.status,
            digest: version.digest,
            author: version.author,
            created_at: time(version.created_ms),
            format: version.format,
            source: with_source.then(|| version.source.to_string()),
        }
    }
}

/// A bundle.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    /// Its digest; the `ETag` holds it. Absent where policies are compiled from source text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Revision that decisions report.
    pub revision: String,
    /// Where it came from.
    pub origin: String,
    /// Policies in it.
    pub policies: usize,
    /// Rules in it.
    pub rules: usize,
    /// Size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Who deployed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it last became active; absent while it waits for approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<String>,
    /// Whether it is the one that decides.
    pub active: bool,
    /// Revision of the store that is active here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_revision: Option<u64>,
    /// Why something newer is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Versions of policies that decide as they were stored, and whose texts in the database were changed since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub changed: Vec<String>,
    /// What the compiler warns of, where the policies come from a directory, and what it warned of when the bundle was made: the
    /// first 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub warnings: Vec<Problem>,
}

impl Bundle {
    pub(super) fn of(record: BundleRecord) -> Self {
        Self {
            digest: Some(record.digest),
            revision: record.revision,
            origin: "api".to_owned(),
            policies: record.policies as usize,
            rules: record.rules as usize,
            size: Some(record.size),
            author: Some(record.author),
            created_at: Some(time(record.created_ms)),
            activated_at: record.activated_ms.map(time),
            active: record.active,
            store_revision: None,
            failure: None,
            changed: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn active(info: &Info, origin: String) -> Self {
        Self {
            digest: info.digest.clone(),
            revision: info.revision.clone(),
            origin,
            policies: info.policies,
            rules: info.rules,
            size: None,
            author: None,
            created_at: None,
            activated_at: info.ready.then(|| time(info.activated_ms)),
            active: info.ready,
            store_revision: Some(info.store_revision),
            failure: info.failure.clone(),
            changed: info.changed.clone(),
            warnings: info.warnings.clone(),
        }
    }
}

/// A decision in the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoggedDecision {
    /// Of this decision: no other one has it.
    pub id: String,
    /// When it was decided, RFC 3339.
    pub timestamp: String,
    /// Of the request, as its caller chose it.
    pub request_id: String,
    /// Of the request.
    pub namespace: String,
    /// Who asked.
    pub subject: String,
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: String,
    /// The reason that the caller was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Policies that fired.
    pub matched_policies: Vec<String>,
    /// Rules that fired.
    pub matched_rules: Vec<String>,
    /// Conditions that could not be evaluated.
    pub errors: u32,
    /// Which policies decided.
    pub revision: String,
    /// Time from request bytes to decision, in milliseconds.
    pub evaluation_time_ms: f64,
    /// Whether it came from a cache.
    pub cached: bool,
    /// The context, as far as it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub context: Option<Box<serde_json::value::RawValue>>,
}

impl LoggedDecision {
    /// `context` is what was kept, opened where it was sealed.
    pub(super) fn of(record: DecisionRecord, context: Option<String>) -> Self {
        Self {
            id: record.id().to_string(),
            timestamp: time(record.at_ms),
            request_id: record.request_id,
            namespace: record.namespace,
            subject: record.subject,
            decision: record.decision,
            reason: record.reason,
            matched_policies: record.matched_policies,
            matched_rules: record.matched_rules,
            errors: record.errors,
            revision: record.revision,
            evaluation_time_ms: record.duration_ns as f64 / 1e6,
            cached: record.cached,
            context: context.and_then(|text| serde_json::value::RawValue::from_string(text).ok()),
        }
    }
}

/// A record of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Audit {
    /// From 1, without gaps.
    pub seq: u64,
    /// When it happened, in RFC 3339.
    pub at: String,
    /// Who did it.
    pub actor: String,
    /// What was done, such as `policy.update`.
    pub action: String,
    /// What it was done to, such as the id of a policy.
    pub target: String,
    /// Namespace of the target.
    pub namespace: String,
    /// Request id.
    pub request_id: String,
    /// Revision of the store after it.
    pub revision: u64,
    /// What else is known of it, by action.
    #[schema(value_type = Object)]
    pub detail: Option<Box<serde_json::value::RawValue>>,
    /// Hash of the record before.
    pub previous: String,
    /// Hash of this record.
    pub hash: String,
}

impl Audit {
    pub(super) fn of(record: AuditRecord) -> Self {
        Self {
            seq: record.seq,
            at: time(record.entry.at_ms),
            actor: record.entry.actor,
            action: record.entry.action,
            target: record.entry.target,
            namespace: record.entry.namespace,
            request_id: record.entry.request_id,
            revision: record.revision,
            detail: serde_json::value::RawValue::from_string(record.entry.detail).ok(),
            previous: crate::hex::of(&record.previous),
            hash: crate::hex::of(&record.hash),
        }
    }
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    /// Public part.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<&'static str>,
    /// The namespaces that it may touch; null is all.
    pub namespaces: Option<Vec<String>>,
    /// Who made it.
    pub author: String,
    /// Who else counts as its holder, because they rotated it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub rotated_by: Vec<String>,
    /// When it was made, in RFC 3339.
    pub created_at: String,
    /// Until when it is good; null is for ever.
    pub expires_at: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// Until when the secret before the last rotation is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<String>,
    /// The whole key. Shown once, and stored nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Key {
    pub(super) fn of(key: ApiKey, secret: Option<String>) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes.iter().map(crate::identity::Scope::as_str).collect(),
            namespaces: key.namespaces,
            author: key.author,
            rotated_by: key.rotated_by,
            created_at: time(key.created_ms),
            expires_at: key.expires_ms.map(time),
            revoked_at: key.revoked_ms.map(time),
            previous_until: key.previous.map(|(_, until)| time(until)),
            key: secret,
        }
    }
}

/// An edge server.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Edge {
    /// What it calls itself.
    pub id: String,
    /// The revision that decides there; null where none does.
    pub revision: Option<String>,
    /// The digest of the bundle that decides there; null where none does.
    pub digest: Option<String>,
    /// Since when it decides there.
    pub since: Option<String>,
    /// What goes wrong there.
    pub errors: Vec<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// Whether it runs the bundle that decides here; null where no bundle decides here.
    pub current: Option<bool>,
    /// Who reported it.
    pub reported_by: String,
    /// When this server first heard of it.
    pub first_seen: String,
    /// When this server last heard of it.
    pub last_seen: String,
}

impl Edge {
    /// `digest` is that of the bundle that decides here.
    pub(super) fn of(edge: edges::Edge, digest: Option<&str>) -> Self {
        let edges::Edge {
            id,
            report,
            reporter,
            first_ms,
            last_ms,
        } = edge;
        Self {
            id,
            current: digest.map(|digest| report.digest.as_deref() == Some(digest)),
            revision: report.revision,
            digest: report.digest,
            since: report.since,
            errors: report.errors,
            version: report.version,
            reported_by: reporter,
            first_seen: time(first_ms),
            last_seen: time(last_ms),
        }
    }
}
