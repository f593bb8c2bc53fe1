//! What storage holds, in the words of the domain. Times are milliseconds since the epoch.

use crate::config::Quota;
use crate::identity::Scopes;
use policy_grammar::names;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;
use utoipa::ToSchema;

/// Part of a long list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Entries at the most.
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

/// Status of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PolicyStatus {
    /// It decides.
    Active,
    /// It does not decide yet.
    Draft,
    /// It does not decide any more.
    Deprecated,
}

impl PolicyStatus {
    /// As documents spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draft => "draft",
            Self::Deprecated => "deprecated",
        }
    }

    /// The status of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Draft, Self::Deprecated]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// Which policy. Ids are unique in their namespace, and namespaces know nothing of each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    /// Namespace in the document.
    pub namespace: String,
    /// Id in the document.
    pub id: String,
}

impl PolicyKey {
    /// The policy of this id in this namespace.
    #[must_use]
    pub fn new(namespace: &str, id: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            id: id.to_owned(),
        }
    }

    /// Where a list of policies goes on after this one.
    #[must_use]
    pub fn cursor(&self) -> String {
        names::stored_in(&self.namespace) + &self.id
    }

    /// The policy of a cursor; `None` for a text that is none.
    #[must_use]
    pub fn of_cursor(cursor: &str) -> Option<Self> {
        let (namespace, id) = cursor.split_once('/')?;
        Some(Self {
            namespace: namespace.replace("%2F", "/").replace("%25", "%"),
            id: id.to_owned(),
        })
    }

    /// Its place in a list: by id, then by namespace.
    #[must_use]
    pub fn place(&self) -> (&str, &str) {
        (&self.id, &self.namespace)
    }
}

/// A namespace in which an id was ever used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPlace {
    /// The namespace.
    pub namespace: String,
    /// Whether there is a policy now, and not only versions of one that was removed.
    pub exists: bool,
}

/// That a version was rejected instead of approved. Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Who rejected it.
    pub by: String,
    /// Why.
    pub comment: String,
    /// When.
    pub at_ms: i64,
}

/// What became of the newest version of a policy where it needs approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// It waits.
    Waiting,
    /// It was rejected.
    Rejected,
}

/// One version of a policy. Never changes, but for being rejected once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Id of the policy.
    pub id: String,
    /// From 1.
    pub version: u64,
    /// Namespace in the document.
    pub namespace: String,
    /// Name in the document.
    pub name: String,
    /// Version in the document's metadata.
    pub document_version: String,
    /// Status in the document.
    pub status: PolicyStatus,
    /// The document as it was written. Shared: sets of thousands are copied about.
    pub source: Arc<str>,
    /// `yaml` or `json`: the ending of the document's name.
    pub format: String,
    /// SHA-256 of the document, in hexadecimal.
    pub digest: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub created_ms: i64,
    /// Who rejected it, where somebody did. Given by [`Store::reject_policy`](super::Store::reject_policy) only.
    pub rejection: Option<Rejection>,
}

impl PolicyVersion {
    /// The policy that it is a version of.
    #[must_use]
    pub fn key(&self) -> PolicyKey {
        PolicyKey::new(&self.namespace, &self.id)
    }

    /// What people call it.
    #[must_use]
    pub fn named(&self) -> String {
        format!("version {} of policy `{}`", self.version, self.id)
    }
}

/// A policy: its newest version, and the one that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    /// The newest version.
    pub latest: PolicyVersion,
    /// The version that decides; `None` when none does. Older than the newest while that waits for approval.
    pub active_version: Option<u64>,
    /// Whether the newest version waits for approval. One that was rejected does not.
    pub pending_approval: bool,
    /// Who approved the active version, where that is not its author.
    pub approved_by: Option<String>,
    /// When the first version was written, since the policy was last deleted.
    pub created_ms: i64,
    /// When anything last changed.
    pub updated_ms: i64,
    /// Revision of the last change.
    pub revision: u64,
}

/// Which policies to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyFilter {
    /// Only of these namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Only where the newest version has this status.
    pub status: Option<PolicyStatus>,
    /// Only where this became of the newest version.
    pub approval: Option<Approval>,
}

/// A change of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWrite {
    /// The policy.
    pub key: PolicyKey,
    /// What the caller expects to find.
    pub expected: Expected,
    /// Revision that the change was checked against; compared when the change alters what is active.
    pub base: u64,
    /// A new version, of the namespace and id of `key`; its number is given by the store. `None` leaves the newest version as it is.
    pub version: Option<PolicyVersion>,
    /// Which version decides afterwards.
    pub activate: Activate,
    /// Who approved, when the change activates what somebody else wrote.
    pub approved_by: Option<String>,
    /// What the namespace of a new version may hold; the rules are not the store's to count.
    pub quota: Quota,
}

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No policy of this id in its namespace.
    Nothing,
    /// A policy, in whatever version. Not enough to activate a version that the write does not bring along.
    Any,
    /// A policy whose newest version has this number.
    Version(u64),
}

/// Which version decides after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activate {
    /// The newest one.
    Latest,
    /// None.
    None,
    /// The one that did before.
    Unchanged,
}

/// What decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveSet {
    /// Number of the last change.
    pub revision: u64,
    /// Time of the last change.
    pub changed_ms: i64,
    /// What is deployed, but for what was changed.
    pub deployment: Deployment,
    /// Active versions whose text is not the one that was stored, without it.
    pub changed: Vec<PolicyVersion>,
}

/// Where the active policies come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployment {
    /// The active versions of the stored policies, in the order of their ids, then of their namespaces. All of them only
    /// where none was changed ([`ActiveSet::changed`]).
    Policies(Vec<PolicyVersion>),
    /// A bundle.
    Bundle {
        /// Its digest.
        digest: String,
        /// Its bytes.
        bytes: Arc<[u8]>,
    },
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
    /// When.
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
    /// When.
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

/// What tells a decision from all others. Made by the server, and in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DecisionId([u8; 16]);

impl DecisionId {
    /// Bytes of an id that say when it was made.
    const TIME: usize = 6;

    /// One that was not there before.
    #[must_use]
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }

    /// That of a decision of an earlier version, which told those of one request apart by their times.
    #[must_use]
    pub fn of_time(at_ms: i64) -> Self {
        let mut bytes = [0; 16];
        let time = at_ms.to_be_bytes();
        for (to, from) in bytes.iter_mut().take(Self::TIME).zip(time.iter().skip(2)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Whether it is that of an earlier version.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        self.0.iter().skip(Self::TIME).all(|byte| *byte == 0)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for DecisionId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).simple().fmt(f)
    }
}

/// What is no id of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDecisionId;

impl fmt::Display for NoDecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id of a decision has 32 hexadecimal digits")
    }
}

impl std::error::Error for NoDecisionId {}

impl FromStr for DecisionId {
    type Err = NoDecisionId;

    fn from_str(text: &str) -> Result<Self, NoDecisionId> {
        // Uuids have other spellings as well; as a cursor there is one.
        if text.len() != 32 {
            return Err(NoDecisionId);
        }
        let id = uuid::Uuid::try_parse(text).map_err(|_| NoDecisionId)?;
        Ok(Self(id.into_bytes()))
    }
}

impl TryFrom<String> for DecisionId {
    type Error = NoDecisionId;

    fn try_from(text: String) -> Result<Self, NoDecisionId> {
        text.parse()
    }
}

impl TryFrom<&[u8]> for DecisionId {
    type Error = NoDecisionId;

    fn try_from(bytes: &[u8]) -> Result<Self, NoDecisionId> {
        bytes.try_into().map(Self).map_err(|_| NoDecisionId)
    }
}

impl From<DecisionId> for String {
    fn from(id: DecisionId) -> Self {
        id.to_string()
    }
}

/// One decision in the log. Its serialisation is what the spool of the decision log holds: a change of it is a version of
/// that, unless what was written before is still read, and means the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Order in the log, given by the store; 0 before it is stored.
    pub seq: u64,
    /// What tells it from all others; `None` before it is prepared, and in spools of earlier versions. Then it is its time
    /// that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DecisionId>,
    /// Of the request.
    pub request_id: String,
    /// When it was decided.
    pub at_ms: i64,
    /// Of the request; empty when it named none.
    pub namespace: String,
    /// Who asked.
    pub subject: String,
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: String,
    /// Why.
    pub reason: Option<String>,
    /// Rules that fired.
    pub matched_rules: Vec<String>,
    /// Policies that fired.
    pub matched_policies: Vec<String>,
    /// How many conditions could not be evaluated.
    pub errors: u32,
    /// Which policies decided.
    pub revision: String,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// Whether it came from a cache.
    pub cached: bool,
    /// The masked context as JSON, or encrypted (`enc:v1:` in front); `None` where contexts are not kept.
    pub context: Option<String>,
}

impl DecisionRecord {
    /// What tells it from all others.
    #[must_use]
    pub fn id(&self) -> DecisionId {
        self.id.unwrap_or_else(|| DecisionId::of_time(self.at_ms))
    }
}

/// Which decisions to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Only of these namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Only with this outcome.
    pub decision: Option<String>,
    /// Only asked by this one.
    pub subject: Option<String>,
    /// Only where this rule fired, named as decisions name it.
    pub rule: Option<String>,
    /// Only where a rule of this policy fired, named as decisions name it.
    pub policy: Option<String>,
    /// From this time on.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub to_ms: Option<i64>,
    /// Until when the answer is of use: the database stops looking then. `None` is as long as a query may take.
    pub until: Option<Instant>,
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
    /// When.
    pub at_ms: i64,
    /// Who.
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
