//! Policies, their versions, and which of them decide.

use policy_grammar::names;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

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
    /// The reason that was given.
    pub comment: String,
    /// When it was rejected, in milliseconds since the epoch.
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
    /// When it was written, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Who rejected it, where somebody did. Given by [`Store::reject_policy`](crate::storage::Store::reject_policy) only.
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

/// What a namespace may hold; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Stored policies.
    pub policies: u64,
    /// Rules that decide.
    pub rules: u64,
    /// Bytes of the newest versions of stored policies.
    pub bytes: u64,
    /// Bytes of all versions, also of removed policies.
    pub history: u64,
    /// Percent of each ceiling of the compiler ([`CompileLimits`](policy_compiler::CompileLimits)) that the policies that decide
    /// take; 0 to 100. `global` may take all.
    pub share: u8,
}
