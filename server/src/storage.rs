//! Storage: policies with every version, bundles, API keys, the decision log and the audit trail.
//!
//! One trait in the words of the domain, no SQL types in it. Two implementations, [`sqlite`] and [`postgres`], held to the
//! same behaviour by `tests/storage.rs`.
//!
//! # Invariants
//!
//! - Every change of what is active raises the **revision** by one, in the transaction of the change, together with its
//!   record in the audit trail. Two writers never get the same revision. Active is: which version of each stored policy
//!   decides, and which bundle is deployed. Drafts, keys and activations of what is active keep the revision.
//! - A write that raises the revision names the one that it was checked against ([`Base`]); if another came first, it fails
//!   with [`StoreError::Conflict`] and changes nothing. So what was never compiled together is never active together. A write
//!   that keeps the revision is not compared with its base, because there is nothing that it could contradict.
//! - Every write, also one that keeps the revision, has one record in the audit trail, whose numbers have no gaps.
//! - What a method acknowledged survives a crash of the process and of the database.
//! - An error means that nothing was changed, but for [`StoreError::Unavailable`] on a write, where the answer was lost: the
//!   caller reads again.
//! - Each operation ends within a minute, whatever the database does.
//!
//! What comes from requests (decisions, audit entries) may hold U+0000, which PostgreSQL cannot store: it becomes U+FFFD.
//! Request ids and namespaces of decisions are cut at 512 bytes.

pub mod config;
mod failure;
pub mod model;
pub mod postgres;
mod rows;
mod signal;
pub mod sqlite;
mod writes;

use async_trait::async_trait;
pub use config::{Config, Database};
use model::{
    ActiveSet, ApiKey, AuditRecord, BundleRecord, DecisionFilter, DecisionRecord, DecisionStats, IdPlace,
    KeyChange, NewAudit, NewBundle, Page, PolicyFilter, PolicyKey, PolicyRecord, PolicyVersion, PolicyWrite,
    Rejection, Slice,
};
pub use postgres::Login;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Why a storage operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What was to be changed is not there.
    #[error("{0} does not exist")]
    Missing(String),
    /// What was to be created is there.
    #[error("{0} exists already")]
    Exists(String),
    /// The version that the caller expected is not the current one.
    #[error("the current version is {current}")]
    VersionMismatch {
        /// The current version.
        current: u64,
    },
    /// Another write came first; read again and retry.
    #[error("another write came first")]
    Conflict,
    /// This version of a policy does not wait for approval.
    #[error("{0} does not wait for approval")]
    NotWaiting(String),
    /// This version of a policy was rejected, and does not become active any more.
    #[error("{0} was rejected")]
    Rejected(String),
    /// The namespace would hold more than it may.
    #[error("{0}")]
    Quota(String),
    /// The database cannot be reached, did not answer in time, or can write nothing now: its disk is full, read-only or
    /// fails, another program has it locked. It may do so later.
    #[error("the database cannot be used now: {0}")]
    Unavailable(String),
    /// The database will never take this value: its form, its size, what it contradicts.
    #[error("the database refuses a value: {0}")]
    Refused(String),
    /// A text or a bundle in the database is not the one that was stored: its digest is another.
    #[error("{0} was changed in the database: its digest is not that of what was stored")]
    Changed(String),
    /// The database holds what this program did not write.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
}

/// Result of a storage operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The revision that a write was checked against.
pub type Base = u64;

/// Namespaces of one id that are told at most.
pub const PLACES: usize = 16;

/// Bytes of contexts and reasons in one page of decisions at most, but for one that is larger by itself.
pub const PAGE_BYTES: u64 = 16 << 20;

/// Storage of a server.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// `sqlite` or `postgres`.
    fn backend(&self) -> &'static str;

    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Whether the database takes writes: makes one that changes nothing, unless one succeeded within `fresh` and none
    /// failed since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] with the reason.
    async fn check_writes(&self, fresh: Duration) -> Result<()>;

    /// Number of the last change of what is active; 0 at the beginning.
    async fn revision(&self) -> Result<u64>;

    /// What is active, with its revision, read at one moment. A policy whose text is not the one that was stored stands apart
    /// ([`ActiveSet::changed`]); bytes of bundles are not looked at.
    async fn active(&self) -> Result<ActiveSet>;

    /// Resolves when something may have changed: a hint, which may come late, twice, or never. PostgreSQL tells of changes by
    /// every server, SQLite of those through this handle. A hint while nobody waits is kept for one who does.
    async fn changed(&self);

    /// The current state of a policy.
    ///
    /// # Errors
    ///
    /// [`StoreError::Changed`] when its text is not the one that was stored.
    async fn policy(&self, key: &PolicyKey) -> Result<Option<PolicyRecord>>;

    /// The current state of a policy without its text, also where that was changed.
    async fn policy_without_text(&self, key: &PolicyKey) -> Result<Option<PolicyRecord>>;

    /// The namespaces in which an id was ever used, of these if any are given: at most [`PLACES`], those with a policy first.
    async fn places(&self, id: &str, among: Option<&[String]>) -> Result<Vec<IdPlace>>;

    /// Policies in the order of their ids, then of their namespaces, from after `page.after`, a [`PolicyKey::cursor`];
    /// without their texts.
    async fn policies(&self, filter: &PolicyFilter, page: &Page) -> Result<Slice<PolicyRecord>>;

    /// Versions of a policy, newest first; without their texts. `page.after` is the number of the last one seen.
    async fn versions(&self, key: &PolicyKey, page: &Page) -> Result<Slice<PolicyVersion>>;

    /// One version of a policy.
    ///
    /// # Errors
    ///
    /// [`StoreError::Changed`] when its text is not the one that was stored.
    async fn version(&self, key: &PolicyKey, version: u64) -> Result<Option<PolicyVersion>>;

    /// Who wrote versions of a policy with the text of this digest, also before it was last removed, each once and with the
    /// number of the first of these versions. Costs as much as there are authors, however many versions there are.
    async fn authors(&self, key: &PolicyKey, digest: &str) -> Result<Vec<(String, u64)>>;

    /// Every version of every policy, also of those that were removed, in the order of namespaces, ids and numbers, from
    /// after this one, with their texts. These are not compared with their digests, so that one that was changed does not hide
    /// the others.
    async fn all_versions(&self, after: Option<(&PolicyKey, u64)>, limit: u32) -> Result<Vec<PolicyVersion>>;

    /// Writes a version of a policy, or activates or retires one. The record in the audit trail says in its detail which
    /// version is the newest then (`latest`) and which decides (`active`), and where the version that was the newest before has
    /// not the text that was stored, which one that is (`textChanged`).
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`], [`StoreError::Missing`] and [`StoreError::VersionMismatch`] as `write.expected` says;
    /// [`StoreError::VersionMismatch`] also when it activates the newest version, brings none and does not expect one by its
    /// number: the version that was checked has to be named. [`StoreError::Rejected`] when it activates a version that was
    /// rejected. [`StoreError::Conflict`] when it changes what is active and
    /// `write.base` is not the current revision. [`StoreError::Quota`] when it brings a version that the namespace has no room
    /// for.
    async fn write_policy(&self, write: &PolicyWrite, audit: &NewAudit) -> Result<PolicyRecord>;

    /// Rejects the newest version of a policy, which waits for approval: it does not become active any more. What is active stays.
    /// Returns the policy without its text. The record in the audit trail says in its detail what that of
    /// [`Store::write_policy`] says.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`]; [`StoreError::NotWaiting`] where another version is the newest, or this one decides, is no version
    /// that is to decide, or was rejected before.
    async fn reject_policy(
        &self,
        key: &PolicyKey,
        version: u64,
        rejection: &Rejection,
        audit: &NewAudit,
    ) -> Result<PolicyRecord>;

    /// Removes a policy; its versions stay readable, and a policy that is created again counts on from them. Returns the
    /// revision. The record in the audit trail says in its detail which version was the newest (`version`), and `textChanged` as
    /// for [`Store::write_policy`].
    ///
    /// # Errors
    ///
    /// As [`Store::write_policy`].
    async fn delete_policy(
        &self,
        key: &PolicyKey,
        expected: Option<u64>,
        base: Base,
        audit: &NewAudit,
    ) -> Result<u64>;

    /// Stores a bundle; activates it as well when `bundle.activate`. A bundle of the same digest that is there already is
    /// not stored twice. Returns its record and the revision.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when it changes what is active and `base` is not the current revision.
    async fn put_bundle(
        &self,
        bundle: &NewBundle,
        base: Base,
        audit: &NewAudit,
    ) -> Result<(BundleRecord, u64)>;

    /// Makes a stored bundle the active one, or with `None` the stored policies. Returns the revision.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] when there is no such bundle; [`StoreError::Conflict`] when it changes what is active and
    /// `base` is not the current revision.
    async fn activate_bundle(&self, digest: Option<&str>, base: Base, audit: &NewAudit) -> Result<u64>;

    /// Bundles, newest deployment first; without their bytes.
    async fn bundles(&self, page: &Page) -> Result<Slice<BundleRecord>>;

    /// The record of a bundle; without its bytes.
    async fn bundle(&self, digest: &str) -> Result<Option<BundleRecord>>;

    /// The record of the bundle that is active; `None` while the stored policies are.
    async fn active_bundle(&self) -> Result<Option<BundleRecord>>;

    /// The bytes of a bundle.
    async fn bundle_bytes(&self, digest: &str) -> Result<Option<Vec<u8>>>;

    /// An API key by its public part.
    async fn key(&self, id: &str) -> Result<Option<ApiKey>>;

    /// API keys, in the order of their ids.
    async fn keys(&self, page: &Page) -> Result<Slice<ApiKey>>;

    /// Creates, rotates or revokes a key. A key that is revoked again stays revoked since the first time. Keys are live, at the
    /// time of the audit record, until they expire or are revoked. Returns the key as it is then.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] and [`StoreError::Missing`]; [`StoreError::Conflict`] when a key is to be rotated that is revoked,
    /// or whose life is over; [`StoreError::Quota`] when more keys of an owner would be live than before, and than may be.
    async fn change_key(&self, change: &KeyChange, audit: &NewAudit) -> Result<ApiKey>;

    /// Appends decisions; one that is there already, by its request id and its own, is not stored twice.
    async fn append_decisions(&self, decisions: &[DecisionRecord]) -> Result<()>;

    /// Decisions on a request id that fit a filter, newest first; `page.after` is the id of the last one seen. A page ends
    /// early where its texts would be longer than [`PAGE_BYTES`].
    async fn decision(
        &self,
        request_id: &str,
        filter: &DecisionFilter,
        page: &Page,
    ) -> Result<Slice<DecisionRecord>>;

    /// Decisions, newest first; `page.after` is the `seq` of the last one seen. A page ends early where its texts would be
    /// longer than [`PAGE_BYTES`].
    async fn decisions(&self, filter: &DecisionFilter, page: &Page) -> Result<Slice<DecisionRecord>>;

    /// Counts of decisions.
    async fn decision_stats(&self, filter: &DecisionFilter) -> Result<DecisionStats>;

    /// Removes decisions older than this, at most `limit` of them; returns how many.
    async fn prune_decisions(&self, before_ms: i64, limit: u32) -> Result<u64>;

    /// Appends a record to the audit trail that belongs to no other change.
    async fn append_audit(&self, audit: &NewAudit) -> Result<AuditRecord>;

    /// Audit records in their order, from after sequence number `after`.
    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRecord>>;

    /// The end of the audit trail: the sequence number of the last record and its hash. Without it, records that are missing
    /// at the end would not show.
    async fn audit_head(&self) -> Result<(u64, [u8; 32])>;

    /// Ends connections; what was acknowledged is on disk.
    async fn close(&self);
}

/// Opens the store that the configuration names. A file is opened, and created, before this returns; PostgreSQL may be away
/// for now, which [`Store::ping`] tells.
///
/// # Errors
///
/// [`StoreError::Unavailable`] when a file cannot be opened or the settings are not valid, [`StoreError::Corrupt`] when a
/// file holds something else.
pub async fn open(config: &Config) -> Result<Arc<dyn Store>> {
    open_with_login(config).await.map(|(store, _)| store)
}

/// As [`open`], and with it what changes user and password of its connections, where it has any.
///
/// # Errors
///
/// As [`open`].
pub async fn open_with_login(config: &Config) -> Result<(Arc<dyn Store>, Option<Login>)> {
    Ok(match &config.database {
        Database::SqliteFile(path) => (Arc::new(sqlite::Sqlite::open(path, config.pool).await?), None),
        Database::SqliteMemory => (Arc::new(sqlite::Sqlite::in_memory().await?), None),
        Database::Postgres(settings) => {
            let store = postgres::Postgres::connect(settings, config.pool)?;
            let login = store.login();
            (Arc::new(store), Some(login))
        }
    })
}

/// Gives up on an operation after a time, so that a database that hangs does not take its callers with it.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {limit:?}"))),
    }
}
