//! Rows of the tables, and how they become what the domain speaks of. Shared by both backends.
//!
//! Numbers are signed in SQL; one that is negative where it cannot be, a status or a scope that nobody wrote, or a hash of
//! another length is [`StoreError::Corrupt`], never a default.

use super::StoreError;
use super::model::{
    ApiKey, AuditRecord, BundleRecord, DecisionId, DecisionRecord, IdPlace, NewAudit, PolicyKey,
    PolicyRecord, PolicyStatus, PolicyVersion, Rejection,
};
use crate::document;
use crate::identity::{Scope, Scopes};
use sqlx::FromRow;

/// The one row that every write locks.
#[derive(Debug, FromRow)]
pub(super) struct State {
    #[sqlx(try_from = "i64")]
    pub(super) revision: u64,
    #[sqlx(try_from = "i64")]
    pub(super) audit_seq: u64,
    pub(super) audit_hash: Vec<u8>,
    pub(super) bundle: Option<String>,
    pub(super) changed_ms: i64,
}

/// A version of a policy.
#[derive(Debug, FromRow)]
pub(super) struct VersionRow {
    id: String,
    #[sqlx(try_from = "i64")]
    pub(super) version: u64,
    namespace: String,
    name: String,
    document_version: String,
    status: String,
    source: String,
    format: String,
    digest: String,
    author: String,
    created_ms: i64,
    rejected_by: Option<String>,
    rejected_why: Option<String>,
    rejected_ms: Option<i64>,
}

impl TryFrom<VersionRow> for PolicyVersion {
    type Error = StoreError;

    fn try_from(row: VersionRow) -> Result<Self, StoreError> {
        let status = PolicyStatus::parse(&row.status)
            .ok_or_else(|| StoreError::Corrupt(format!("policy `{}` has status `{}`", row.id, row.status)))?;
        // All three come from one row, or none does.
        let rejection = match (row.rejected_by, row.rejected_why, row.rejected_ms) {
            (Some(by), Some(comment), Some(at_ms)) => Some(Rejection { by, comment, at_ms }),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            version: row.version,
            namespace: row.namespace,
            name: row.name,
            document_version: row.document_version,
            status,
            source: row.source.into(),
            format: row.format,
            digest: row.digest,
            author: row.author,
            created_ms: row.created_ms,
            rejection,
        })
    }
}

/// Whether the text of a version is the one that was stored.
pub(super) fn is_unchanged(version: &PolicyVersion) -> bool {
    document::digest(&version.source) == version.digest
}

/// The version, if its text is the one that was stored: what decides or is written anew must be what somebody wrote.
pub(super) fn unchanged(version: PolicyVersion) -> Result<PolicyVersion, StoreError> {
    if is_unchanged(&version) {
        return Ok(version);
    }
    Err(StoreError::Changed(version.named()))
}

/// A policy with its newest version.
#[derive(Debug, FromRow)]
pub(super) struct PolicyRow {
    #[sqlx(flatten)]
    pub(super) latest: VersionRow,
    active: Option<i64>,
    approved_by: Option<String>,
    first_ms: i64,
    updated_ms: i64,
    #[sqlx(try_from = "i64")]
    revision: u64,
}

impl PolicyRow {
    /// Where a list goes on after this policy.
    pub(super) fn cursor(&self) -> String {
        PolicyKey::new(&self.latest.namespace, &self.latest.id).cursor()
    }
}

/// Whether the newest version of a policy waits for approval. [`Approval::Waiting`](super::model::Approval) in SQL is the same.
pub(super) fn waits(latest: &PolicyVersion, active: Option<u64>) -> bool {
    latest.status == PolicyStatus::Active && active != Some(latest.version) && latest.rejection.is_none()
}

impl TryFrom<PolicyRow> for PolicyRecord {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<Self, StoreError> {
        let latest = PolicyVersion::try_from(row.latest)?;
        let active_version = row.active.map(unsigned).transpose()?;
        Ok(Self {
            pending_approval: waits(&latest, active_version),
            latest,
            active_version,
            approved_by: row.approved_by,
            created_ms: row.first_ms,
            updated_ms: row.updated_ms,
            revision: row.revision,
        })
    }
}

/// Who wrote a text, and in which version first.
#[derive(Debug, FromRow)]
pub(super) struct AuthorRow {
    pub(super) author: String,
    #[sqlx(try_from = "i64")]
    pub(super) version: u64,
}

/// A namespace with an id.
#[derive(Debug, FromRow)]
pub(super) struct PlaceRow {
    namespace: String,
    #[sqlx(rename = "live")]
    exists: bool,
}

impl From<PlaceRow> for IdPlace {
    fn from(row: PlaceRow) -> Self {
        Self {
            namespace: row.namespace,
            exists: row.exists,
        }
    }
}

/// What a write has to know of a policy.
#[derive(Debug, FromRow)]
pub(super) struct Head {
    #[sqlx(try_from = "i64")]
    pub(super) latest: u64,
    pub(super) active: Option<i64>,
    pub(super) approved_by: Option<String>,
    pub(super) created_ms: i64,
}

/// A bundle without its bytes.
#[derive(Debug, FromRow)]
pub(super) struct BundleRow {
    digest: String,
    revision: String,
    #[sqlx(try_from = "i64")]
    policies: u32,
    #[sqlx(try_from = "i64")]
    rules: u32,
    #[sqlx(try_from = "i64")]
    size: u64,
    author: String,
    created_ms: i64,
    activated_ms: Option<i64>,
    active: bool,
    pub(super) deployed: i64,
}

impl From<BundleRow> for BundleRecord {
    fn from(row: BundleRow) -> Self {
        Self {
            digest: row.digest,
            revision: row.revision,
            policies: row.policies,
            rules: row.rules,
            size: row.size,
            author: row.author,
            created_ms: row.created_ms,
            activated_ms: row.activated_ms,
            active: row.active,
        }
    }
}

/// An API key.
#[derive(Debug, FromRow)]
pub(super) struct KeyRow {
    pub(super) id: String,
    name: String,
    hash: Vec<u8>,
    previous_hash: Option<Vec<u8>>,
    previous_until_ms: Option<i64>,
    scopes: String,
    namespaces: Option<String>,
    author: String,
    rotated_by: String,
    owner: Option<String>,
    created_ms: i64,
    expires_ms: Option<i64>,
    revoked_ms: Option<i64>,
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let previous = match (row.previous_hash, row.previous_until_ms) {
            (Some(hash), Some(until)) => Some((hash32(&hash)?, until)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(StoreError::Corrupt(format!("key `{}` is half rotated", row.id)));
            }
        };
        Ok(Self {
            hash: hash32(&row.hash)?,
            previous,
            scopes: scopes(&row.scopes)?,
            namespaces: row.namespaces.as_deref().map(list).transpose()?,
            rotated_by: list(&row.rotated_by)?,
            id: row.id,
            name: row.name,
            author: row.author,
            owner: row.owner,
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            revoked_ms: row.revoked_ms,
        })
    }
}

/// A decision.
#[derive(Debug, FromRow)]
pub(super) struct DecisionRow {
    #[sqlx(try_from = "i64")]
    pub(super) seq: u64,
    pub(super) id: Vec<u8>,
    request_id: String,
    at_ms: i64,
    namespace: String,
    subject: String,
    decision: String,
    reason: Option<String>,
    matched_rules: String,
    matched_policies: String,
    #[sqlx(try_from = "i64")]
    errors: u32,
    revision: String,
    #[sqlx(try_from = "i64")]
    duration_ns: u64,
    cached: bool,
    context: Option<String>,
}

impl TryFrom<DecisionRow> for DecisionRecord {
    type Error = StoreError;

    fn try_from(row: DecisionRow) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.seq,
            id: Some(decision_id(&row.id)?),
            request_id: row.request_id,
            at_ms: row.at_ms,
            namespace: row.namespace,
            subject: row.subject,
            decision: row.decision,
            reason: row.reason,
            matched_rules: list(&row.matched_rules)?,
            matched_policies: list(&row.matched_policies)?,
            errors: row.errors,
            revision: row.revision,
            duration_ns: row.duration_ns,
            cached: row.cached,
            context: row.context,
        })
    }
}

/// How long the texts of a decision are.
#[derive(Debug, FromRow)]
pub(super) struct SizeRow {
    #[sqlx(try_from = "i64")]
    pub(super) bytes: u64,
}

/// What a namespace holds.
#[derive(Debug, FromRow)]
pub(super) struct UsageRow {
    #[sqlx(try_from = "i64")]
    pub(super) policies: u64,
    #[sqlx(try_from = "i64")]
    pub(super) bytes: u64,
    #[sqlx(try_from = "i64")]
    pub(super) history: u64,
}

/// Decisions of one outcome.
#[derive(Debug, FromRow)]
pub(super) struct OutcomeRow {
    pub(super) decision: String,
    #[sqlx(try_from = "i64")]
    pub(super) count: u64,
    #[sqlx(try_from = "i64")]
    pub(super) cached: u64,
    pub(super) duration_ns: f64,
}

/// What a change of a key has to know of it.
#[derive(Debug, FromRow)]
pub(super) struct KeyHead {
    pub(super) author: String,
    pub(super) rotated_by: String,
    pub(super) owner: Option<String>,
    pub(super) expires_ms: Option<i64>,
    pub(super) revoked_ms: Option<i64>,
}

/// How often a rule fired.
#[derive(Debug, FromRow)]
pub(super) struct RuleRow {
    pub(super) rule: String,
    #[sqlx(try_from = "i64")]
    pub(super) count: u64,
}

/// A record of the audit trail.
#[derive(Debug, FromRow)]
pub(super) struct AuditRow {
    #[sqlx(try_from = "i64")]
    seq: u64,
    at_ms: i64,
    actor: String,
    action: String,
    target: String,
    namespace: String,
    request_id: String,
    detail: String,
    #[sqlx(try_from = "i64")]
    revision: u64,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

impl TryFrom<AuditRow> for AuditRecord {
    type Error = StoreError;

    fn try_from(row: AuditRow) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.seq,
            entry: NewAudit {
                at_ms: row.at_ms,
                actor: row.actor,
                action: row.action,
                target: row.target,
                namespace: row.namespace,
                request_id: row.request_id,
                detail: row.detail,
            },
            revision: row.revision,
            previous: hash32(&row.previous)?,
            hash: hash32(&row.hash)?,
        })
    }
}

/// The id of a decision.
pub(super) fn decision_id(bytes: &[u8]) -> Result<DecisionId, StoreError> {
    DecisionId::try_from(bytes)
        .map_err(|_| StoreError::Corrupt(format!("an id of a decision of {} bytes", bytes.len())))
}

/// A SHA-256.
pub(super) fn hash32(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt(format!("a hash of {} bytes", bytes.len())))
}

/// A number that is never negative.
fn unsigned(n: i64) -> Result<u64, StoreError> {
    u64::try_from(n).map_err(|_| StoreError::Corrupt(format!("a negative number, {n}")))
}

/// As SQL counts. What is larger than any stored number stays larger.
pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Texts as a JSON array.
pub(super) fn json(texts: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(texts).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(super) fn list(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("a list of texts: {error}")))
}

/// Scopes by their names, with spaces between.
pub(super) fn scope_names(scopes: Scopes) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

fn scopes(text: &str) -> Result<Scopes, StoreError> {
    text.split_ascii_whitespace()
        .map(|name| {
            Scope::parse(name).ok_or_else(|| StoreError::Corrupt(format!("a key has scope `{name}`")))
        })
        .collect()
}

/// [`clean`] text that an index of the decision log holds, cut at [`KEY_BYTES`]: PostgreSQL refuses a row with a longer
/// one, and with it every other row of its batch. What is looked for is cut alike, and so found.
pub(super) fn clean_key(text: &str) -> String {
    let mut text = clean(text);
    text.truncate(text.floor_char_boundary(KEY_BYTES));
    text
}

/// See [`clean_key`].
const KEY_BYTES: usize = 512;

/// Text that both databases take: PostgreSQL knows no U+0000, so that it becomes U+FFFD. For what comes from requests; a
/// record with one must neither be lost nor hold up the others.
pub(super) fn clean(text: &str) -> String {
    if text.contains('\0') {
        return text.replace('\0', "\u{fffd}");
    }
    text.to_owned()
}
