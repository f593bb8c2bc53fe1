//! What storage holds, in the words of the domain. Times are milliseconds since the epoch.

mod policies;

use crate::identity::Scopes;
pub use policies::{
    Activate, ActiveSet, Approval, Deployment, Expected, IdPlace, PolicyFilter, PolicyKey, PolicyRecord,
    PolicyStatus, PolicyVersion, PolicyWrite, Quota, Rejection,
};
pub use policy_segments::{DecisionFilter, DecisionId, DecisionRecord, Key as DecisionKey, NoDecisionId};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Part of a long list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Entries at most.
    pub limit: u32,
    /// Cursor of the last entry seen, as the list defines it.
    pub after: Option<String>,
}

/// Entries of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Cursor to go on with; `None` at the end.
    pub next: Option<String>,
}

/// A bundle to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBundle {
    /// `sha256:` and hexadecimal digits.
    pub digest: String,
    /// Revision in its manifest.
    pub revision: String,
    /// Policies in it.
    pub policies: u32,
    /// Rules in it.
    pub rules: u32,
    /// Who deployed it.
    pub author: String,
    /// When it was deployed, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Whether it becomes active at once.
    pub activate: bool,
    /// Bytes that all stored bundles may take together; 0 is no limit.
    pub quota: u64,
    /// The bundle.
    pub bytes: Arc<[u8]>,
}

/// A stored bundle, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRecord {
    /// `sha256:` and hexadecimal digits.
    pub digest: String,
    /// Revision in its manifest.
    pub revision: String,
    /// Policies in it.
    pub policies: u32,
    /// Rules in it.
    pub rules: u32,
    /// Size in bytes.
    pub size: u64,
    /// Who deployed it first.
    pub author: String,
    /// When it was stored.
    pub created_ms: i64,
    /// When it last became active; `None` while it waits for approval.
    pub activated_ms: Option<i64>,
    /// Whether it is the active one.
    pub active: bool,
}

/// An API key. The secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Public part, by which it is found.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the secret part: random, so a slow hash adds nothing.
    pub hash: [u8; 32],
    /// SHA-256 of the secret before the last rotation, and until when it is still good.
    pub previous: Option<([u8; 32], i64)>,
    /// What it may do.
    pub scopes: Scopes,
    /// The namespaces that it may touch; `None` is all.
    pub namespaces: Option<Vec<String>>,
    /// Who made it.
    pub author: String,
    /// Who else has seen a secret of it, because they rotated it: each once, in the order of their first time.
    pub rotated_by: Vec<String>,
    /// Whom limits and shares count it as, by [`Owner::name`](crate::identity::Owner::name); `None` is itself.
    pub owner: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Until when it is good; `None` is for ever.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// A change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// A new key.
    Create {
        /// The key.
        key: ApiKey,
        /// Live keys that may count as one owner, this one included; 0 is no limit.
        most: u64,
    },
    /// A new secret; the old one stays good until `previous_until_ms`.
    Rotate {
        /// The key.
        id: String,
        /// Hash of the new secret.
        hash: [u8; 32],
        /// Until when the old secret is good.
        previous_until_ms: i64,
        /// A new end of the life of the key; `None` leaves the one that it has when this is written.
        expires_ms: Option<i64>,
        /// When: a key whose life is over by then, with its new end if it gets one, is not rotated.
        at_ms: i64,
        /// Who sees the new secret.
        by: String,
        /// Whom the key counts as from then on, if not as before.
        owner: Option<String>,
        /// As for a new key.
        most: u64,
    },
    /// No longer good.
    Revoke {
        /// The key.
        id: String,
        /// Since when.
        at_ms: i64,
    },
}

/// Counts of decisions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionStats {
    /// Of all outcomes.
    pub total: u64,
    /// By outcome, in the order `allow`, `deny`, `modify`, `warn`.
    pub by_decision: std::collections::BTreeMap<String, u64>,
    /// The rules that fired most often, at most 20.
    pub top_rules: Vec<RuleCount>,
    /// Mean time of a decision, in milliseconds; 0 without decisions.
    pub mean_evaluation_time_ms: f64,
    /// Share of decisions from the cache, 0 … 1.
    pub cached_ratio: f64,
}

/// How often a rule fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleCount {
    /// The rule.
    pub rule: String,
    /// How often.
    pub count: u64,
}

/// A change to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    /// When it happened, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Who did it.
    pub actor: String,
    /// What was done, such as `policy.update`.
    pub action: String,
    /// To what, such as the id of a policy.
    pub target: String,
    /// Namespace of the target; empty where it has none.
    pub namespace: String,
    /// Request id.
    pub request_id: String,
    /// More, as a JSON object: versions, digests.
    pub detail: String,
}

/// A record of the audit trail. `hash` covers every other field and the hash of the record before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// From 1, without gaps.
    pub seq: u64,
    /// The change.
    pub entry: NewAudit,
    /// Revision after the change.
    pub revision: u64,
    /// Hash of the record before; zeros for the first.
    pub previous: [u8; 32],
    /// Hash of this record.
    pub hash: [u8; 32],
}
