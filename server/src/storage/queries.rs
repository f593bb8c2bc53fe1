//! Every query, for both databases: `sqlite.rs` and `postgres.rs` each compile this file with their own `Db` (the driver),
//! `Handle` (the type that implements [`Store`]) and the few fragments of SQL that differ.
//!
//! # Writes
//!
//! Each mutation is one transaction: [`Handle::write`] begins it and locks the one row of `state`; the method checks and
//! changes; [`Write::commit`] appends the audit record, notes the new end of the chain and the revision in the locked row,
//! and commits. So writers of all servers come one after the other, and nobody sees a revision without its change.
//!
//! A write that changes what is active goes through [`Write::raise`], which compares the revision that the caller checked
//! against and counts up. What is active: which version of each stored policy decides, and which bundle is deployed. The
//! former counts also while a bundle is deployed, because the stored policies come back as they are when it goes. A write
//! that changes neither (a draft, an activation of what is active) keeps the revision and needs no comparison.
//!
//! # Input
//!
//! Values reach SQL as bound parameters only; what is pushed onto a [`QueryBuilder`] is text of this file.

use super::super::model::{
    Activate, ActiveSet, ApiKey, Approval, AuditRecord, BundleRecord, DecisionFilter, DecisionId,
    DecisionRecord, DecisionStats, Deployment, Expected, IdPlace, KeyChange, NewAudit, NewBundle, Page,
    PolicyFilter, PolicyKey, PolicyRecord, PolicyStatus, PolicyVersion, PolicyWrite, Rejection, RuleCount,
    Slice,
};
use super::super::rows::{
    AuditRow, AuthorRow, BundleRow, DecisionRow, Head, KeyHead, KeyRow, OutcomeRow, PlaceRow, PolicyRow,
    RuleRow, SizeRow, State, UsageRow, VersionRow, clean, clean_key, decision_id, hash32, is_unchanged, json,
    list, scope_names, signed, unchanged,
};
use super::super::{Base, PAGE_BYTES, PLACES, Result, Store, StoreError, within};
use super::{
    BYTES, Bound, Db, Handle, LOCK_STATE, MATCHED, NAME, POLICY_FIRED, RULE_FIRED, RULES, bound, is_kept,
};
use crate::audit;
use crate::config::Quota;
use crate::document;
use async_trait::async_trait;
use sqlx::database::HasStatementCache;
use sqlx::pool::PoolConnection;
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{Database, FromRow, QueryBuilder, SqlSafeStr, raw_sql};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an operation may take that touches a few rows.
const SHORT: Duration = Duration::from_secs(10);
/// How long an operation may take that reads the decision log.
const LONG: Duration = Duration::from_secs(60);
/// Decisions in one statement: 14 parameters each, and databases allow 32766.
const ROWS: usize = 500;
/// Rules in statistics.
const TOP_RULES: i64 = 20;
/// Outcomes that statistics always name.
const OUTCOMES: [&str; 4] = ["allow", "deny", "modify", "warn"];

/// `source` is the text, or what stands in its place.
macro_rules! version_columns {
    ($source:literal) => {
        concat!(
            "v.namespace, v.id, v.version, v.name, v.document_version, v.status, ",
            $source,
            " AS source, v.format, v.digest, v.author, v.created_ms, r.author AS rejected_by, r.comment AS rejected_why, \
             r.at_ms AS rejected_ms"
        )
    };
}

/// Who rejected a version, beside it.
macro_rules! with_rejections {
    () => {
        " LEFT JOIN policy_rejections r ON r.namespace = v.namespace AND r.id = v.id AND r.version = v.version"
    };
}

macro_rules! select_policies {
    ($source:literal) => {
        concat!(
            "SELECT ",
            version_columns!($source),
            ", p.active, p.approved_by, p.created_ms AS first_ms, p.updated_ms, p.revision \
             FROM policies p JOIN policy_versions v ON v.namespace = p.namespace AND v.id = p.id AND v.version = p.latest",
            with_rejections!()
        )
    };
}

macro_rules! select_versions {
    ($source:literal) => {
        concat!(
            "SELECT ",
            version_columns!($source),
            " FROM policy_versions v",
            with_rejections!()
        )
    };
}

macro_rules! select_bundles {
    () => {
        "SELECT b.digest, b.revision, b.policies, b.rules, CAST(length(b.bytes) AS BIGINT) AS size, b.author, \
         b.created_ms, b.activated_ms, EXISTS (SELECT 1 FROM state s WHERE s.bundle = b.digest) AS active, b.deployed \
         FROM bundles b"
    };
}

macro_rules! select_keys {
    () => {
        "SELECT id, name, hash, previous_hash, previous_until_ms, scopes, namespaces, author, rotated_by, owner, \
         created_ms, expires_ms, revoked_ms FROM api_keys"
    };
}

macro_rules! select_decisions {
    () => {
        "SELECT d.seq, d.id, d.request_id, d.at_ms, d.namespace, d.subject, d.decision, d.reason, d.matched_rules, \
         d.matched_policies, d.errors, d.revision, d.duration_ns, d.cached, d.context"
    };
}

const READ_STATE: &str = "SELECT revision, audit_seq, audit_hash, bundle, changed_ms FROM state WHERE id = 1";
/// How long the texts of decisions are, without reading them.
const SIZES: &str = "SELECT CAST(COALESCE(octet_length(d.context), 0) + COALESCE(octet_length(d.reason), 0) \
                     + octet_length(d.matched_rules) + octet_length(d.matched_policies) AS BIGINT) AS bytes";
const POLICY: &str = concat!(
    select_policies!("v.source"),
    " WHERE p.namespace = $1 AND p.id = $2"
);
const POLICY_WITHOUT_TEXT: &str = concat!(select_policies!("''"), " WHERE p.namespace = $1 AND p.id = $2");
const BUNDLE: &str = concat!(select_bundles!(), " WHERE b.digest = $1");
const KEY: &str = concat!(select_keys!(), " WHERE id = $1");
const ACTIVE_BUNDLE: &str = concat!(
    select_bundles!(),
    " WHERE b.digest = (SELECT bundle FROM state WHERE id = 1)"
);

/// Authors of a text, each found by a search for the next one in an index: their versions are not gone through.
const AUTHORS: &str = "WITH RECURSIVE found (author) AS (\
     SELECT (SELECT v.author FROM policy_versions v WHERE v.namespace = $1 AND v.id = $2 AND v.digest = $3 \
     ORDER BY v.author LIMIT 1) \
     UNION ALL \
     SELECT (SELECT v.author FROM policy_versions v WHERE v.namespace = $1 AND v.id = $2 AND v.digest = $3 \
     AND v.author > f.author ORDER BY v.author LIMIT 1) FROM found f WHERE f.author IS NOT NULL) \
     SELECT f.author, (SELECT v.version FROM policy_versions v WHERE v.namespace = $1 AND v.id = $2 AND v.digest = $3 \
     AND v.author = f.author ORDER BY v.version LIMIT 1) AS version FROM found f WHERE f.author IS NOT NULL";

type Connection = <Db as Database>::Connection;
type Row = <Db as Database>::Row;

/// As sqlx has it, but for statements that connections do not keep.
fn query<'q, D: Database + HasStatementCache>(sql: impl SqlSafeStr) -> Query<'q, D, D::Arguments> {
    sqlx::query::<D>(sql).persistent(is_kept())
}

fn query_as<'q, D, T>(sql: impl SqlSafeStr) -> QueryAs<'q, D, T, D::Arguments>
where
    D: Database<Row = Row> + HasStatementCache,
    T: for<'r> FromRow<'r, Row>,
{
    sqlx::query_as::<D, T>(sql).persistent(is_kept())
}

fn query_scalar<'q, D, T>(sql: impl SqlSafeStr) -> QueryScalar<'q, D, T, D::Arguments>
where
    D: Database<Row = Row> + HasStatementCache,
    (T,): for<'r> FromRow<'r, Row>,
{
    sqlx::query_scalar::<D, T>(sql).persistent(is_kept())
}

/// A transaction, rolled back when it is dropped; or a connection for one statement, which needs none.
///
/// # Invariants
///
/// - A connection on which a transaction could not be begun, committed or rolled back never serves again: nobody knows in
///   which state it is. SQLite, where the disk is full, rolls back by itself; whoever believes that the transaction goes on
///   could begin no other one for ever.
/// - The one connection of a database in memory is kept whatever happens, because the data live in it. What is not certain
///   there is rolled back, which does nothing where the transaction had ended.
pub(super) struct Transaction {
    /// Gone with the end.
    connection: Option<PoolConnection<Db>>,
    /// Its beginning or its end is under way, or failed.
    doubtful: bool,
    /// The data live elsewhere than in the connection.
    replaceable: bool,
    /// It was begun.
    begun: bool,
}

impl Transaction {
    async fn begin(connection: PoolConnection<Db>, sql: &'static str, replaceable: bool) -> Result<Self> {
        let mut transaction = Self {
            connection: Some(connection),
            doubtful: true,
            replaceable,
            begun: true,
        };
        raw_sql(sql).execute(transaction.connection()?).await?;
        transaction.doubtful = false;
        Ok(transaction)
    }

    /// # Errors
    ///
    /// [`StoreError::Unavailable`] once it has ended, which nobody sees who has to give it away for that.
    pub(super) fn connection(&mut self) -> Result<&mut Connection> {
        let ended = || StoreError::Unavailable("the transaction has ended".to_owned());
        Ok(&mut **self.connection.as_mut().ok_or_else(ended)?)
    }

    pub(super) async fn commit(mut self) -> Result<()> {
        self.doubtful = true;
        raw_sql("COMMIT").execute(self.connection()?).await?;
        self.connection = None;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if !self.begun {
            return;
        }
        let replaceable = self.replaceable;
        if self.doubtful && replaceable {
            return connection.close_on_drop();
        }
        // Without a runtime nothing is under way any more, and the end of the process ends the transaction.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() && replaceable {
                    connection.close_on_drop();
                }
            });
        }
    }
}

/// A transaction that holds the lock on the state.
pub(super) struct Write {
    pub(super) transaction: Transaction,
    state: State,
}

impl Write {
    /// Counts a change of what is active.
    fn raise(&mut self, base: Base, at_ms: i64) -> Result<()> {
        if self.state.revision != base {
            return Err(StoreError::Conflict);
        }
        self.state.revision += 1;
        self.state.changed_ms = at_ms;
        Ok(())
    }

    /// Sequence number of the audit record that this write will have.
    fn seq(&self) -> i64 {
        signed(self.state.audit_seq + 1)
    }

    /// Records the change and makes it last.
    async fn commit(mut self, handle: &Handle, entry: &NewAudit) -> Result<AuditRecord> {
        let entry = NewAudit {
            at_ms: entry.at_ms,
            actor: clean(&entry.actor),
            action: clean(&entry.action),
            target: clean(&entry.target),
            namespace: clean(&entry.namespace),
            request_id: clean(&entry.request_id),
            detail: clean(&entry.detail),
        };
        let (seq, revision) = (self.state.audit_seq + 1, self.state.revision);
        let previous = hash32(&self.state.audit_hash)?;
        let hash = audit::hash(&previous, seq, revision, &entry);
        let connection = self.transaction.connection()?;
        query::<Db>(
            "INSERT INTO audit (seq, at_ms, actor, action, target, namespace, request_id, detail, revision, previous, \
             hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(signed(seq))
        .bind(entry.at_ms)
        .bind(&entry.actor)
        .bind(&entry.action)
        .bind(&entry.target)
        .bind(&entry.namespace)
        .bind(&entry.request_id)
        .bind(&entry.detail)
        .bind(signed(revision))
        .bind(&previous[..])
        .bind(&hash[..])
        .execute(&mut *connection)
        .await?;
        query::<Db>(
            "UPDATE state SET revision = $1, audit_seq = $2, audit_hash = $3, bundle = $4, changed_ms = $5 WHERE id = 1",
        )
        .bind(signed(revision))
        .bind(signed(seq))
        .bind(&hash[..])
        .bind(self.state.bundle.as_deref())
        .bind(self.state.changed_ms)
        .execute(&mut *connection)
        .await?;
        handle.announce(connection, revision).await?;
        self.transaction.commit().await?;
        handle.signal.raise();
        Ok(AuditRecord {
            seq,
            entry,
            revision,
            previous,
            hash,
        })
    }
}

impl Handle {
    /// Begins a transaction of reads, which see one moment.
    async fn begin_read(&self) -> Result<Transaction> {
        let connection = self.readers().await?.acquire().await?;
        Transaction::begin(connection, self.begins_read(), self.replaceable()).await
    }

    /// A connection for one statement that reads.
    async fn reader(&self) -> Result<Transaction> {
        if self.only_transactions() {
            return self.begin_read().await;
        }
        Ok(Transaction {
            connection: Some(self.readers().await?.acquire().await?),
            doubtful: false,
            replaceable: self.replaceable(),
            begun: false,
        })
    }

    /// Begins a transaction that reads the decision log, and ends at `until`, as long as the second part of the answer lives.
    async fn read_log(&self, until: Option<Instant>) -> Result<(Transaction, Option<Bound>)> {
        let mut read = self.begin_read().await?;
        let bound = match until {
            Some(until) => Some(bound(read.connection()?, until).await?),
            None => None,
        };
        Ok((read, bound))
    }

    /// As many of the decisions that `matching` asks for as make a page, and whether there are more. Sizes first, so that no
    /// text is read that does not fit.
    async fn page_of_log(
        &self,
        filter: &DecisionFilter,
        page: &Page,
        matching: impl Fn(&mut QueryBuilder<Db>, i64),
    ) -> Result<(Vec<DecisionRow>, bool)> {
        let (mut read, _bound) = self.read_log(filter.until).await?;
        let mut sql = QueryBuilder::<Db>::new(SIZES);
        matching(&mut sql, limit(page));
        let sizes = sql
            .build_query_as::<SizeRow>()
            .persistent(is_kept())
            .fetch_all(read.connection()?)
            .await?;
        let mut items = Vec::new();
        let fits = fitting(&sizes, page);
        if !sizes.is_empty() {
            let mut sql = QueryBuilder::<Db>::new(select_decisions!());
            matching(&mut sql, i64::try_from(fits).unwrap_or(i64::MAX));
            items = sql
                .build_query_as::<DecisionRow>()
                .persistent(is_kept())
                .fetch_all(read.connection()?)
                .await?;
        }
        read.commit().await?;
        Ok((items, sizes.len() > fits))
    }

    /// Begins a transaction of writes.
    async fn begin_write(&self) -> Result<Transaction> {
        let connection = self.writers().await?.acquire().await?;
        Transaction::begin(connection, self.begins_write(), self.replaceable()).await
    }

    pub(super) async fn write(&self) -> Result<Write> {
        let mut transaction = self.begin_write().await?;
        let state = state(LOCK_STATE, transaction.connection()?).await?;
        Ok(Write { transaction, state })
    }

    /// Does a write within a time, and notes what became of it for [`Store::check_writes`].
    async fn writing<T>(&self, limit: Duration, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let result = within(limit, work).await;
        self.writes.note(&result);
        result
    }
}

async fn state(sql: &'static str, connection: &mut Connection) -> Result<State> {
    query_as::<Db, State>(sql)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::Corrupt("the row of the state is gone".to_owned()))
}

/// The detail of an audit record with what the write found and did. What the tables say can be compared with it later
/// ([`audit::verify`]).
fn detailed(detail: &str, more: &[(&str, serde_json::Value)]) -> Result<String> {
    let refused =
        |error: serde_json::Error| StoreError::Refused(format!("the detail of an audit record: {error}"));
    let mut detail: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(detail).map_err(refused)?;
    detail.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    serde_json::to_string(&detail).map_err(refused)
}

/// A policy whose newest text is the one that was stored.
fn intact(row: PolicyRow) -> Result<PolicyRecord> {
    let record = PolicyRecord::try_from(row)?;
    Ok(PolicyRecord {
        latest: unchanged(record.latest)?,
        ..record
    })
}

async fn head(connection: &mut Connection, key: &PolicyKey) -> Result<Option<Head>> {
    Ok(query_as::<Db, Head>(
        "SELECT latest, active, approved_by, created_ms FROM policies WHERE namespace = $1 AND id = $2",
    )
    .bind(clean(&key.namespace))
    .bind(clean(&key.id))
    .fetch_optional(connection)
    .await?)
}

/// Whether a policy is as the caller expects it.
fn check(key: &PolicyKey, expected: Expected, head: Option<&Head>) -> Result<()> {
    match (expected, head) {
        (Expected::Nothing, None) | (Expected::Any, Some(_)) => Ok(()),
        (Expected::Nothing, Some(_)) => Err(StoreError::Exists(format!(
            "{} of namespace `{}`",
            policy_name(&key.id),
            key.namespace
        ))),
        (Expected::Any | Expected::Version(_), None) => Err(StoreError::Missing(policy_name(&key.id))),
        (Expected::Version(version), Some(head)) if head.latest == version => Ok(()),
        (Expected::Version(_), Some(head)) => Err(StoreError::VersionMismatch { current: head.latest }),
    }
}

fn policy_name(id: &str) -> String {
    format!("policy `{id}`")
}

fn version_name(id: &str, version: u64) -> String {
    format!("version {version} of policy `{id}`")
}

/// Whether somebody rejected a version.
async fn is_rejected(connection: &mut Connection, key: &PolicyKey, version: u64) -> Result<bool> {
    let found: i64 = query_scalar::<Db, i64>(
        "SELECT COUNT(*) FROM policy_rejections WHERE namespace = $1 AND id = $2 AND version = $3",
    )
    .bind(clean(&key.namespace))
    .bind(clean(&key.id))
    .bind(signed(version))
    .fetch_one(connection)
    .await?;
    Ok(found > 0)
}

fn bundle_name(digest: &str) -> String {
    format!("bundle `{digest}`")
}

fn key_name(id: &str) -> String {
    format!("key `{id}`")
}

/// Appends a version with the next number, which counts on over a deletion. Returns the number.
async fn insert_version(
    connection: &mut Connection,
    key: &PolicyKey,
    version: &PolicyVersion,
) -> Result<u64> {
    let last: i64 = query_scalar::<Db, i64>(
        "SELECT COALESCE(MAX(version), 0) FROM policy_versions WHERE namespace = $1 AND id = $2",
    )
    .bind(clean(&key.namespace))
    .bind(clean(&key.id))
    .fetch_one(&mut *connection)
    .await?;
    let number = u64::try_from(last)
        .map_err(|_| StoreError::Corrupt(format!("{} has version {last}", policy_name(&key.id))))?
        + 1;
    query::<Db>(
        "INSERT INTO policy_versions (namespace, id, version, name, document_version, status, source, format, digest, \
         author, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(clean(&key.namespace))
    .bind(clean(&key.id))
    .bind(signed(number))
    .bind(clean(&version.name))
    .bind(clean(&version.document_version))
    .bind(version.status.as_str())
    .bind(&*version.source)
    .bind(&version.format)
    .bind(&version.digest)
    .bind(clean(&version.author))
    .bind(version.created_ms)
    .execute(connection)
    .await?;
    Ok(number)
}

/// What changes in what a namespace holds.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    policies: i64,
    bytes: i64,
    history: i64,
}

/// A text that a write replaces or removes.
#[derive(Debug, Clone, Copy)]
struct Replaced {
    version: u64,
    bytes: i64,
    /// It is not the one that was stored.
    changed: bool,
}

impl Replaced {
    /// What the record of the write says of it.
    fn told(replaced: Option<Self>) -> Option<(&'static str, serde_json::Value)> {
        let changed = replaced.filter(|text| text.changed)?;
        Some((audit::TEXT_CHANGED, changed.version.into()))
    }
}

/// The newest text of a policy.
async fn newest_text(connection: &mut Connection, key: &PolicyKey, head: &Head) -> Result<Replaced> {
    let (source, digest) = query_as::<Db, (String, String)>(
        "SELECT source, digest FROM policy_versions WHERE namespace = $1 AND id = $2 AND version = $3",
    )
    .bind(clean(&key.namespace))
    .bind(clean(&key.id))
    .bind(signed(head.latest))
    .fetch_one(connection)
    .await?;
    Ok(Replaced {
        version: head.latest,
        bytes: i64::try_from(source.len()).unwrap_or(i64::MAX),
        changed: document::digest(&source) != digest,
    })
}

/// Notes a change of what a namespace holds, and says what it holds now.
async fn count(connection: &mut Connection, namespace: &str, more: Counted) -> Result<UsageRow> {
    Ok(query_as::<Db, UsageRow>(
        "INSERT INTO namespace_usage (namespace, policies, bytes, history) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (namespace) DO UPDATE SET policies = namespace_usage.policies + excluded.policies, \
         bytes = namespace_usage.bytes + excluded.bytes, history = namespace_usage.history + excluded.history \
         RETURNING policies, bytes, history",
    )
    .bind(clean(namespace))
    .bind(more.policies)
    .bind(more.bytes)
    .bind(more.history)
    .fetch_one(connection)
    .await?)
}

/// Counts anew what a namespace holds: how long a text was that somebody changed is not known.
async fn recount(connection: &mut Connection, namespace: &str) -> Result<UsageRow> {
    Ok(query_as::<Db, UsageRow>(
        "UPDATE namespace_usage SET \
         policies = (SELECT COUNT(*) FROM policies p WHERE p.namespace = $1), \
         bytes = (SELECT CAST(COALESCE(SUM(octet_length(v.source)), 0) AS BIGINT) FROM policies p \
         JOIN policy_versions v ON v.namespace = p.namespace AND v.id = p.id AND v.version = p.latest \
         WHERE p.namespace = $1), \
         history = (SELECT CAST(COALESCE(SUM(octet_length(v.source)), 0) AS BIGINT) FROM policy_versions v \
         WHERE v.namespace = $1) \
         WHERE namespace = $1 RETURNING policies, bytes, history",
    )
    .bind(clean(namespace))
    .fetch_one(connection)
    .await?)
}

/// Counts a new version of a policy, which took the place of another one if there was one.
///
/// # Errors
///
/// [`StoreError::Quota`] where its namespace would hold more than it may, and more than before.
async fn count_version(
    connection: &mut Connection,
    key: &PolicyKey,
    replaced: Option<Replaced>,
    version: &PolicyVersion,
    quota: Quota,
) -> Result<()> {
    let bytes = i64::try_from(version.source.len()).unwrap_or(i64::MAX);
    let more = Counted {
        policies: i64::from(replaced.is_none()),
        bytes: bytes.saturating_sub(replaced.map_or(0, |text| text.bytes)),
        history: bytes,
    };
    let used = match replaced {
        Some(text) if text.changed => recount(connection, &key.namespace).await?,
        Some(_) | None => count(connection, &key.namespace, more).await?,
    };
    for (what, grows, used, most) in [
        ("policies", more.policies > 0, used.policies, quota.policies),
        ("bytes of policies", more.bytes > 0, used.bytes, quota.bytes),
        ("bytes of versions", more.history > 0, used.history, quota.history),
    ] {
        if grows && most > 0 && used > most {
            return Err(StoreError::Quota(format!(
                "the namespace `{}` would hold {used} {what}, and may hold {most}",
                version.namespace
            )));
        }
    }
    Ok(())
}

/// How many of these decisions make a page, the newest first.
fn fitting(sizes: &[SizeRow], page: &Page) -> usize {
    let most = usize::try_from(page.limit.max(1)).unwrap_or(usize::MAX);
    let mut left = PAGE_BYTES;
    let fits = |row: &&SizeRow| match left.checked_sub(row.bytes) {
        Some(less) => {
            left = less;
            true
        }
        None => false,
    };
    // One that is too long for any page is a page of its own.
    sizes.iter().take(most).take_while(fits).count().max(1)
}

/// The part of a list that was asked for. `rows` has one more than the page when the list goes on.
fn slice<R, T>(
    mut rows: Vec<R>,
    page: &Page,
    cursor: impl Fn(&R) -> String,
    convert: impl Fn(R) -> Result<T>,
) -> Result<Slice<T>> {
    let limit = usize::try_from(page.limit.max(1)).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    let items = rows.into_iter().map(convert).collect::<Result<_>>()?;
    Ok(Slice { items, next })
}

/// One row more than a page, to see whether the list goes on.
fn limit(page: &Page) -> i64 {
    i64::from(page.limit.max(1)) + 1
}

/// A cursor that is a number. Lists with such a cursor run downwards, so without one they begin above every number.
fn below(page: &Page) -> Result<i64> {
    match &page.after {
        None => Ok(i64::MAX),
        Some(text) => text.parse::<u64>().map(signed).map_err(|_| no_cursor(text)),
    }
}

fn no_cursor(text: &str) -> StoreError {
    StoreError::Missing(format!("cursor `{text}`"))
}

/// Adds ` AND column IN (…)`; an empty list fits nothing.
fn among(sql: &mut QueryBuilder<Db>, column: &'static str, values: Vec<String>) {
    if values.is_empty() {
        sql.push(" AND 1 = 0");
        return;
    }
    sql.push(" AND ").push(column).push(" IN (");
    let mut list = sql.separated(", ");
    for value in values {
        list.push_bind(clean(&value));
    }
    sql.push(")");
}

/// Adds where the decisions of a filter are looked for, as `d`; returns the column that numbers them there.
fn from_log(sql: &mut QueryBuilder<Db>, filter: &DecisionFilter) -> &'static str {
    let rule = filter.rule.as_deref().map(|name| (0_i64, name));
    let named = rule.or_else(|| filter.policy.as_deref().map(|name| (1, name)));
    match MATCHED.zip(named) {
        Some((matched, (kind, name))) => {
            sql.push(matched).push_bind(kind);
            sql.push(" AND m.name = ").push_bind(clean(name));
            "m.seq"
        }
        None => {
            sql.push(" FROM decisions d");
            "d.seq"
        }
    }
}

/// Adds the conditions of a filter on `decisions d`.
fn narrow(sql: &mut QueryBuilder<Db>, filter: &DecisionFilter) {
    // All fields by name: a new one does not compile until it narrows.
    let DecisionFilter {
        namespaces,
        decision,
        subject,
        rule,
        policy,
        from_ms,
        to_ms,
        until: _,
    } = filter;
    if let Some(namespaces) = namespaces {
        among(
            sql,
            "d.namespace",
            namespaces.iter().map(|name| clean_key(name)).collect(),
        );
    }
    if let Some(decision) = decision {
        sql.push(" AND d.decision = ").push_bind(clean_key(decision));
    }
    if let Some(subject) = subject {
        sql.push(" AND d.subject = ").push_bind(clean(subject));
    }
    if let Some(rule) = rule {
        sql.push(RULE_FIRED).push_bind(clean(rule)).push(")");
    }
    if let Some(policy) = policy {
        sql.push(POLICY_FIRED).push_bind(clean(policy)).push(")");
    }
    if let Some(from) = from_ms {
        sql.push(" AND d.at_ms >= ").push_bind(*from);
    }
    if let Some(to) = to_ms {
        sql.push(" AND d.at_ms < ").push_bind(*to);
    }
}

#[async_trait]
impl Store for Handle {
    fn backend(&self) -> &'static str {
        NAME
    }

    async fn ping(&self) -> Result<()> {
        self.revision().await.map(|_| ())
    }

    async fn check_writes(&self, fresh: Duration) -> Result<()> {
        if self.writes.succeeded_within(fresh) {
            return Ok(());
        }
        self.writing(SHORT, async {
            let mut transaction = self.begin_write().await?;
            // Forth and back: what changes nothing from the beginning is not written at all.
            for sql in [
                "UPDATE state SET changed_ms = changed_ms + 1 WHERE id = 1",
                "UPDATE state SET changed_ms = changed_ms - 1 WHERE id = 1",
            ] {
                query::<Db>(sql).execute(transaction.connection()?).await?;
            }
            transaction.commit().await
        })
        .await
    }

    async fn revision(&self) -> Result<u64> {
        within(SHORT, async {
            let mut read = self.reader().await?;
            Ok(state(READ_STATE, read.connection()?).await?.revision)
        })
        .await
    }

    async fn active(&self) -> Result<ActiveSet> {
        within(SHORT, async {
            let mut read = self.begin_read().await?;
            let state = state(READ_STATE, read.connection()?).await?;
            let mut changed = Vec::new();
            let deployment = match state.bundle {
                Some(digest) => {
                    let bytes = query_scalar::<Db, Vec<u8>>("SELECT bytes FROM bundles WHERE digest = $1")
                        .bind(&digest)
                        .fetch_optional(read.connection()?)
                        .await?
                        .ok_or_else(|| {
                            StoreError::Corrupt(format!("the active {} is gone", bundle_name(&digest)))
                        })?;
                    Deployment::Bundle {
                        digest,
                        bytes: Arc::from(bytes),
                    }
                }
                None => {
                    // Policies first: they are fewer than versions.
                    let rows = query_as::<Db, VersionRow>(concat!(
                        "SELECT ",
                        version_columns!("v.source"),
                        " FROM policies p JOIN policy_versions v ON v.namespace = p.namespace AND v.id = p.id \
                         AND v.version = p.active",
                        with_rejections!(),
                        " ORDER BY v.id, v.namespace"
                    ))
                    .fetch_all(read.connection()?)
                    .await?;
                    let mut versions = Vec::with_capacity(rows.len());
                    for row in rows {
                        let version = PolicyVersion::try_from(row)?;
                        if is_unchanged(&version) {
                            versions.push(version);
                        } else {
                            changed.push(PolicyVersion {
                                source: "".into(),
                                ..version
                            });
                        }
                    }
                    Deployment::Policies(versions)
                }
            };
            read.commit().await?;
            Ok(ActiveSet {
                revision: state.revision,
                changed_ms: state.changed_ms,
                deployment,
                changed,
            })
        })
        .await
    }

    async fn changed(&self) {
        self.signal.wait().await;
    }

    async fn policy(&self, key: &PolicyKey) -> Result<Option<PolicyRecord>> {
        within(SHORT, async {
            query_as::<Db, PolicyRow>(POLICY)
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .fetch_optional(self.reader().await?.connection()?)
                .await?
                .map(intact)
                .transpose()
        })
        .await
    }

    async fn policy_without_text(&self, key: &PolicyKey) -> Result<Option<PolicyRecord>> {
        within(SHORT, async {
            query_as::<Db, PolicyRow>(POLICY_WITHOUT_TEXT)
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .fetch_optional(self.reader().await?.connection()?)
                .await?
                .map(PolicyRecord::try_from)
                .transpose()
        })
        .await
    }

    async fn places(&self, id: &str, among: Option<&[String]>) -> Result<Vec<IdPlace>> {
        within(SHORT, async {
            let mut sql = QueryBuilder::<Db>::new(
                "SELECT v.namespace, EXISTS (SELECT 1 FROM policies p WHERE p.namespace = v.namespace AND p.id = v.id) \
                 AS live FROM policy_versions v WHERE v.id = ",
            );
            sql.push_bind(clean(id));
            if let Some(namespaces) = among {
                self::among(&mut sql, "v.namespace", namespaces.to_vec());
            }
            sql.push(" GROUP BY v.namespace, v.id ORDER BY live DESC, v.namespace LIMIT ")
                .push_bind(i64::try_from(PLACES).unwrap_or(i64::MAX));
            let rows = sql
                .build_query_as::<PlaceRow>()
                .persistent(is_kept())
                .fetch_all(self.reader().await?.connection()?)
                .await?;
            Ok(rows.into_iter().map(IdPlace::from).collect())
        })
        .await
    }

    async fn policies(&self, filter: &PolicyFilter, page: &Page) -> Result<Slice<PolicyRecord>> {
        within(SHORT, async {
            let PolicyFilter {
                namespaces,
                status,
                approval,
            } = filter;
            let mut sql = QueryBuilder::<Db>::new(concat!(select_policies!("''"), " WHERE 1 = 1"));
            if let Some(after) = &page.after {
                let key = PolicyKey::of_cursor(after).ok_or_else(|| no_cursor(after))?;
                sql.push(" AND (p.id, p.namespace) > (")
                    .push_bind(clean(&key.id))
                    .push(", ")
                    .push_bind(clean(&key.namespace))
                    .push(")");
            }
            if let Some(namespaces) = namespaces {
                among(&mut sql, "p.namespace", namespaces.clone());
            }
            if let Some(status) = status {
                sql.push(" AND v.status = ").push_bind(status.as_str());
            }
            match approval {
                Some(Approval::Waiting) => {
                    sql.push(" AND r.version IS NULL AND (p.active IS NULL OR p.active <> p.latest) AND v.status = ")
                        .push_bind(PolicyStatus::Active.as_str());
                }
                Some(Approval::Rejected) => {
                    sql.push(" AND r.version IS NOT NULL");
                }
                None => {}
            }
            sql.push(" ORDER BY p.id, p.namespace LIMIT ")
                .push_bind(limit(page));
            let rows = sql
                .build_query_as::<PolicyRow>()
                .persistent(is_kept())
                .fetch_all(self.reader().await?.connection()?)
                .await?;
            slice(rows, page, PolicyRow::cursor, PolicyRecord::try_from)
        })
        .await
    }

    async fn versions(&self, key: &PolicyKey, page: &Page) -> Result<Slice<PolicyVersion>> {
        within(SHORT, async {
            let rows = query_as::<Db, VersionRow>(concat!(
                select_versions!("''"),
                " WHERE v.namespace = $1 AND v.id = $2 AND v.version < $3 ORDER BY v.version DESC LIMIT $4"
            ))
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .bind(below(page)?)
            .bind(limit(page))
            .fetch_all(self.reader().await?.connection()?)
            .await?;
            slice(rows, page, |row| row.version.to_string(), PolicyVersion::try_from)
        })
        .await
    }

    async fn version(&self, key: &PolicyKey, version: u64) -> Result<Option<PolicyVersion>> {
        within(SHORT, async {
            query_as::<Db, VersionRow>(concat!(
                select_versions!("v.source"),
                " WHERE v.namespace = $1 AND v.id = $2 AND v.version = $3"
            ))
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .bind(signed(version))
            .fetch_optional(self.reader().await?.connection()?)
            .await?
            .map(|row| unchanged(row.try_into()?))
            .transpose()
        })
        .await
    }

    async fn authors(&self, key: &PolicyKey, digest: &str) -> Result<Vec<(String, u64)>> {
        within(SHORT, async {
            let rows = query_as::<Db, AuthorRow>(AUTHORS)
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .bind(clean(digest))
                .fetch_all(self.reader().await?.connection()?)
                .await?;
            Ok(rows.into_iter().map(|row| (row.author, row.version)).collect())
        })
        .await
    }

    async fn all_versions(&self, after: Option<(&PolicyKey, u64)>, limit: u32) -> Result<Vec<PolicyVersion>> {
        within(SHORT, async {
            let first = PolicyKey::default();
            let (key, version) = after.unwrap_or((&first, 0));
            query_as::<Db, VersionRow>(concat!(
                select_versions!("v.source"),
                " WHERE (v.namespace, v.id, v.version) > ($1, $2, $3) \
                 ORDER BY v.namespace, v.id, v.version LIMIT $4"
            ))
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .bind(signed(version))
            .bind(i64::from(limit))
            .fetch_all(self.reader().await?.connection()?)
            .await?
            .into_iter()
            .map(PolicyVersion::try_from)
            .collect()
        })
        .await
    }

    async fn write_policy(&self, write: &PolicyWrite, audit: &NewAudit) -> Result<PolicyRecord> {
        self.writing(SHORT, async {
            let key = &write.key;
            let mut change = self.write().await?;
            let head = head(change.transaction.connection()?, key).await?;
            check(key, write.expected, head.as_ref())?;
            let latest = match (&write.version, &head) {
                (Some(version), _) => insert_version(change.transaction.connection()?, key, version).await?,
                (None, None) => return Err(StoreError::Missing(policy_name(&key.id))),
                // A newer draft does not raise the revision, so that the base does not say which version was checked.
                (None, Some(head))
                    if write.activate == Activate::Latest && write.expected == Expected::Any =>
                {
                    return Err(StoreError::VersionMismatch { current: head.latest });
                }
                (None, Some(head)) => {
                    // Somebody said no to it, maybe since the caller looked.
                    if write.activate == Activate::Latest
                        && is_rejected(change.transaction.connection()?, key, head.latest).await?
                    {
                        return Err(StoreError::Rejected(version_name(&key.id, head.latest)));
                    }
                    head.latest
                }
            };
            let replaced = match &head {
                Some(head) if write.version.is_some() => {
                    Some(newest_text(change.transaction.connection()?, key, head).await?)
                }
                Some(_) | None => None,
            };
            let before = head.as_ref().and_then(|head| head.active);
            let (active, approved_by) = match write.activate {
                Activate::Latest => (Some(signed(latest)), write.approved_by.clone()),
                Activate::None => (None, None),
                Activate::Unchanged => (before, head.as_ref().and_then(|head| head.approved_by.clone())),
            };
            if active != before {
                change.raise(write.base, audit.at_ms)?;
            }
            let created_ms = match (&head, &write.version) {
                (Some(head), _) => head.created_ms,
                (None, Some(version)) => version.created_ms,
                (None, None) => audit.at_ms,
            };
            query::<Db>(
                "INSERT INTO policies (namespace, id, latest, active, approved_by, created_ms, updated_ms, revision) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (namespace, id) DO UPDATE SET \
                 latest = excluded.latest, active = excluded.active, approved_by = excluded.approved_by, \
                 updated_ms = excluded.updated_ms, revision = excluded.revision",
            )
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .bind(signed(latest))
            .bind(active)
            .bind(approved_by.map(|who| clean(&who)))
            .bind(created_ms)
            .bind(audit.at_ms)
            .bind(signed(change.state.revision))
            .execute(change.transaction.connection()?)
            .await?;
            if let Some(version) = &write.version {
                count_version(change.transaction.connection()?, key, replaced, version, write.quota).await?;
            }
            let record = query_as::<Db, PolicyRow>(POLICY)
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .fetch_one(change.transaction.connection()?)
                .await?;
            let record = intact(record)?;
            // What the policy is from now on.
            let mut more = vec![
                (audit::LATEST, record.latest.version.into()),
                (audit::DIGEST, record.latest.digest.clone().into()),
                (audit::ACTIVE, record.active_version.into()),
            ];
            more.extend(Replaced::told(replaced));
            let audit = NewAudit {
                detail: detailed(&audit.detail, &more)?,
                ..audit.clone()
            };
            change.commit(self, &audit).await?;
            Ok(record)
        })
        .await
    }

    async fn reject_policy(
        &self,
        key: &PolicyKey,
        version: u64,
        rejection: &Rejection,
        audit: &NewAudit,
    ) -> Result<PolicyRecord> {
        self.writing(SHORT, async {
            let mut change = self.write().await?;
            let row = query_as::<Db, PolicyRow>(POLICY_WITHOUT_TEXT)
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .fetch_optional(change.transaction.connection()?)
                .await?;
            let row = row.ok_or_else(|| StoreError::Missing(policy_name(&key.id)))?;
            let before = PolicyRecord::try_from(row)?;
            if before.latest.version != version || !before.pending_approval {
                return Err(StoreError::NotWaiting(version_name(&key.id, version)));
            }
            query::<Db>(
                "INSERT INTO policy_rejections (namespace, id, version, author, comment, at_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .bind(signed(version))
            .bind(clean(&rejection.by))
            .bind(clean(&rejection.comment))
            .bind(rejection.at_ms)
            .execute(change.transaction.connection()?)
            .await?;
            query::<Db>("UPDATE policies SET updated_ms = $1 WHERE namespace = $2 AND id = $3")
                .bind(audit.at_ms)
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .execute(change.transaction.connection()?)
                .await?;
            let record = query_as::<Db, PolicyRow>(POLICY_WITHOUT_TEXT)
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .fetch_one(change.transaction.connection()?)
                .await?;
            let record = PolicyRecord::try_from(record)?;
            let more = [
                (audit::LATEST, record.latest.version.into()),
                (audit::DIGEST, record.latest.digest.clone().into()),
                (audit::ACTIVE, record.active_version.into()),
            ];
            let audit = NewAudit {
                detail: detailed(&audit.detail, &more)?,
                ..audit.clone()
            };
            change.commit(self, &audit).await?;
            Ok(record)
        })
        .await
    }

    async fn delete_policy(
        &self,
        key: &PolicyKey,
        expected: Option<u64>,
        base: Base,
        audit: &NewAudit,
    ) -> Result<u64> {
        self.writing(SHORT, async {
            let mut change = self.write().await?;
            let head = head(change.transaction.connection()?, key).await?;
            check(
                key,
                expected.map_or(Expected::Any, Expected::Version),
                head.as_ref(),
            )?;
            let head = head.ok_or_else(|| StoreError::Missing(policy_name(&key.id)))?;
            if head.active.is_some() {
                change.raise(base, audit.at_ms)?;
            }
            let removed = newest_text(change.transaction.connection()?, key, &head).await?;
            query::<Db>("DELETE FROM policies WHERE namespace = $1 AND id = $2")
                .bind(clean(&key.namespace))
                .bind(clean(&key.id))
                .execute(change.transaction.connection()?)
                .await?;
            if removed.changed {
                recount(change.transaction.connection()?, &key.namespace).await?;
            } else {
                let less = Counted {
                    policies: -1,
                    bytes: -removed.bytes,
                    history: 0,
                };
                count(change.transaction.connection()?, &key.namespace, less).await?;
            }
            let mut more = vec![(audit::VERSION, head.latest.into())];
            more.extend(Replaced::told(Some(removed)));
            let audit = NewAudit {
                detail: detailed(&audit.detail, &more)?,
                ..audit.clone()
            };
            Ok(change.commit(self, &audit).await?.revision)
        })
        .await
    }

    async fn put_bundle(
        &self,
        bundle: &NewBundle,
        base: Base,
        audit: &NewAudit,
    ) -> Result<(BundleRecord, u64)> {
        self.writing(SHORT, async {
            let mut change = self.write().await?;
            let done = query::<Db>(
                "INSERT INTO bundles (digest, revision, policies, rules, author, created_ms, activated_ms, deployed, \
                 bytes) VALUES ($1, $2, $3, $4, $5, $6, NULL, $7, $8) ON CONFLICT (digest) DO NOTHING",
            )
            .bind(&bundle.digest)
            .bind(clean(&bundle.revision))
            .bind(i64::from(bundle.policies))
            .bind(i64::from(bundle.rules))
            .bind(clean(&bundle.author))
            .bind(bundle.created_ms)
            .bind(change.seq())
            .bind(&bundle.bytes[..])
            .execute(change.transaction.connection()?)
            .await?;
            let kept: i64 = query_scalar::<Db, i64>(
                "SELECT CAST(COALESCE(SUM(length(bytes)), 0) AS BIGINT) FROM bundles",
            )
            .fetch_one(change.transaction.connection()?)
            .await?;
            if done.rows_affected() > 0 && bundle.quota > 0 && kept > signed(bundle.quota) {
                return Err(StoreError::Quota(format!(
                    "the bundles that are kept would take {kept} bytes, and may take {}",
                    bundle.quota
                )));
            }
            if bundle.activate {
                deploy(&mut change, &bundle.digest, base, audit.at_ms).await?;
            }
            // The answer has to say what is active after this write, so the state is written before it is read.
            query::<Db>("UPDATE state SET bundle = $1 WHERE id = 1")
                .bind(change.state.bundle.as_deref())
                .execute(change.transaction.connection()?)
                .await?;
            let record = query_as::<Db, BundleRow>(BUNDLE)
                .bind(&bundle.digest)
                .fetch_one(change.transaction.connection()?)
                .await?
                .into();
            let revision = change.commit(self, audit).await?.revision;
            Ok((record, revision))
        })
        .await
    }

    async fn activate_bundle(&self, digest: Option<&str>, base: Base, audit: &NewAudit) -> Result<u64> {
        self.writing(SHORT, async {
            let mut change = self.write().await?;
            match digest {
                Some(digest) => deploy(&mut change, digest, base, audit.at_ms).await?,
                None if change.state.bundle.is_some() => {
                    change.raise(base, audit.at_ms)?;
                    change.state.bundle = None;
                }
                None => {}
            }
            Ok(change.commit(self, audit).await?.revision)
        })
        .await
    }

    async fn bundles(&self, page: &Page) -> Result<Slice<BundleRecord>> {
        within(SHORT, async {
            let rows = query_as::<Db, BundleRow>(concat!(
                select_bundles!(),
                " WHERE b.deployed < $1 ORDER BY b.deployed DESC LIMIT $2"
            ))
            .bind(below(page)?)
            .bind(limit(page))
            .fetch_all(self.reader().await?.connection()?)
            .await?;
            slice(rows, page, |row| row.deployed.to_string(), |row| Ok(row.into()))
        })
        .await
    }

    async fn bundle(&self, digest: &str) -> Result<Option<BundleRecord>> {
        within(SHORT, async {
            let row = query_as::<Db, BundleRow>(BUNDLE)
                .bind(clean(digest))
                .fetch_optional(self.reader().await?.connection()?)
                .await?;
            Ok(row.map(BundleRecord::from))
        })
        .await
    }

    async fn active_bundle(&self) -> Result<Option<BundleRecord>> {
        within(SHORT, async {
            let row = query_as::<Db, BundleRow>(ACTIVE_BUNDLE)
                .fetch_optional(self.reader().await?.connection()?)
                .await?;
            Ok(row.map(BundleRecord::from))
        })
        .await
    }

    async fn bundle_bytes(&self, digest: &str) -> Result<Option<Vec<u8>>> {
        within(SHORT, async {
            Ok(
                query_scalar::<Db, Vec<u8>>("SELECT bytes FROM bundles WHERE digest = $1")
                    .bind(clean(digest))
                    .fetch_optional(self.reader().await?.connection()?)
                    .await?,
            )
        })
        .await
    }

    async fn key(&self, id: &str) -> Result<Option<ApiKey>> {
        within(SHORT, async {
            query_as::<Db, KeyRow>(KEY)
                .bind(clean(id))
                .fetch_optional(self.reader().await?.connection()?)
                .await?
                .map(ApiKey::try_from)
                .transpose()
        })
        .await
    }

    async fn keys(&self, page: &Page) -> Result<Slice<ApiKey>> {
        within(SHORT, async {
            // Every text but the empty one, which is no id, comes after it.
            let rows = query_as::<Db, KeyRow>(concat!(select_keys!(), " WHERE id > $1 ORDER BY id LIMIT $2"))
                .bind(clean(page.after.as_deref().unwrap_or_default()))
                .bind(limit(page))
                .fetch_all(self.reader().await?.connection()?)
                .await?;
            slice(rows, page, |row| row.id.clone(), ApiKey::try_from)
        })
        .await
    }

    async fn change_key(&self, change: &KeyChange, audit: &NewAudit) -> Result<ApiKey> {
        self.writing(SHORT, async {
            let mut write = self.write().await?;
            let id = match change {
                KeyChange::Create { key, most } => {
                    let connection = write.transaction.connection()?;
                    create_key(connection, key).await?;
                    count_keys(connection, &key.author, key.owner.as_deref(), *most, audit.at_ms).await?;
                    &key.id
                }
                KeyChange::Rotate {
                    id,
                    hash,
                    previous_until_ms,
                    expires_ms,
                    at_ms,
                    by,
                    owner,
                    most,
                } => {
                    let head = key_head(write.transaction.connection()?, id).await?;
                    // Not what the caller read: another rotation may have made the life shorter since.
                    let expires_ms = expires_ms.or(head.expires_ms);
                    // Revoked is for ever, and the caller has not seen it yet.
                    if head.revoked_ms.is_some() || expires_ms.is_some_and(|expires| expires <= *at_ms) {
                        return Err(StoreError::Conflict);
                    }
                    let by = clean(by);
                    let mut rotated_by = list(&head.rotated_by)?;
                    if by != head.author && !rotated_by.contains(&by) {
                        rotated_by.push(by);
                    }
                    let owner = owner.clone().or_else(|| head.owner.clone());
                    query::<Db>(
                        "UPDATE api_keys SET previous_hash = hash, previous_until_ms = $1, hash = $2, expires_ms = $3, \
                         rotated_by = $4, owner = $5 WHERE id = $6",
                    )
                    .bind(previous_until_ms)
                    .bind(&hash[..])
                    .bind(expires_ms)
                    .bind(json(&rotated_by)?)
                    .bind(&owner)
                    .bind(clean(id))
                    .execute(write.transaction.connection()?)
                    .await?;
                    // One that was live and counts as before is none more.
                    let ended = head.expires_ms.is_some_and(|expires| expires <= audit.at_ms);
                    if ended || owner != head.owner {
                        let connection = write.transaction.connection()?;
                        count_keys(connection, &head.author, owner.as_deref(), *most, audit.at_ms).await?;
                    }
                    id
                }
                KeyChange::Revoke { id, at_ms } => {
                    // The first time counts: it says from when on the key was of no use.
                    if key_head(write.transaction.connection()?, id).await?.revoked_ms.is_none() {
                        query::<Db>("UPDATE api_keys SET revoked_ms = $1 WHERE id = $2")
                            .bind(at_ms)
                            .bind(clean(id))
                            .execute(write.transaction.connection()?)
                            .await?;
                    }
                    id
                }
            };
            let key = query_as::<Db, KeyRow>(KEY)
                .bind(clean(id))
                .fetch_one(write.transaction.connection()?)
                .await?
                .try_into()?;
            write.commit(self, audit).await?;
            Ok(key)
        })
        .await
    }

    async fn append_decisions(&self, decisions: &[DecisionRecord]) -> Result<()> {
        if decisions.is_empty() {
            return Ok(());
        }
        self.writing(LONG, async {
            let mut transaction = self.begin_write().await?;
            for rows in decisions.chunks(ROWS) {
                let mut lists = Vec::with_capacity(rows.len());
                for row in rows {
                    lists.push((clean_list(&row.matched_rules)?, clean_list(&row.matched_policies)?));
                }
                let mut sql = QueryBuilder::<Db>::new(
                    "INSERT INTO decisions (id, request_id, at_ms, namespace, subject, decision, reason, matched_rules, \
                     matched_policies, errors, revision, duration_ns, cached, context) ",
                );
                sql.push_values(rows.iter().zip(lists), |mut values, (row, (rules, policies))| {
                    values
                        .push_bind(row.id().as_bytes().to_vec())
                        .push_bind(clean_key(&row.request_id))
                        .push_bind(row.at_ms)
                        .push_bind(clean_key(&row.namespace))
                        .push_bind(clean(&row.subject))
                        .push_bind(clean_key(&row.decision))
                        .push_bind(row.reason.as_deref().map(clean))
                        .push_bind(rules)
                        .push_bind(policies)
                        .push_bind(i64::from(row.errors))
                        .push_bind(clean(&row.revision))
                        .push_bind(signed(row.duration_ns))
                        .push_bind(row.cached)
                        .push_bind(row.context.as_deref().map(clean));
                });
                sql.push(" ON CONFLICT (request_id, id) DO NOTHING");
                // Only a full chunk comes again often enough to keep its statement.
                sql.build()
                    .persistent(is_kept() && rows.len() == ROWS)
                    .execute(transaction.connection()?)
                    .await?;
            }
            transaction.commit().await
        })
        .await
    }

    async fn decision(
        &self,
        request_id: &str,
        filter: &DecisionFilter,
        page: &Page,
    ) -> Result<Slice<DecisionRecord>> {
        within(LONG, async {
            let after = page.after.as_deref().map(str::parse::<DecisionId>).transpose();
            let after = after.map_err(|error| StoreError::Missing(format!("cursor: {error}")))?;
            let matching = |sql: &mut QueryBuilder<Db>, limit: i64| {
                sql.push(" FROM decisions d WHERE d.request_id = ")
                    .push_bind(clean_key(request_id));
                if let Some(after) = after {
                    sql.push(" AND d.id < ").push_bind(after.as_bytes().to_vec());
                }
                narrow(sql, filter);
                sql.push(" ORDER BY d.id DESC LIMIT ").push_bind(limit);
            };
            let (items, more) = self.page_of_log(filter, page, matching).await?;
            let last = items.last().filter(|_| more);
            let next = last.map(|row| decision_id(&row.id)).transpose()?;
            Ok(Slice {
                items: items
                    .into_iter()
                    .map(DecisionRecord::try_from)
                    .collect::<Result<_>>()?,
                next: next.map(|id| id.to_string()),
            })
        })
        .await
    }

    async fn decisions(&self, filter: &DecisionFilter, page: &Page) -> Result<Slice<DecisionRecord>> {
        within(LONG, async {
            let below = below(page)?;
            let matching = |sql: &mut QueryBuilder<Db>, limit: i64| {
                let seq = from_log(sql, filter);
                sql.push(" WHERE ").push(seq).push(" < ").push_bind(below);
                narrow(sql, filter);
                sql.push(" ORDER BY ")
                    .push(seq)
                    .push(" DESC LIMIT ")
                    .push_bind(limit);
            };
            let (items, more) = self.page_of_log(filter, page, matching).await?;
            let next = items.last().filter(|_| more).map(|row| row.seq.to_string());
            Ok(Slice {
                items: items
                    .into_iter()
                    .map(DecisionRecord::try_from)
                    .collect::<Result<_>>()?,
                next,
            })
        })
        .await
    }

    async fn decision_stats(&self, filter: &DecisionFilter) -> Result<DecisionStats> {
        within(LONG, async {
            let (mut read, _bound) = self.read_log(filter.until).await?;
            let mut sql = QueryBuilder::<Db>::new(
                "SELECT d.decision, COUNT(*) AS count, SUM(CASE WHEN d.cached THEN 1 ELSE 0 END) AS cached, \
                 CAST(SUM(CAST(d.duration_ns AS DOUBLE PRECISION)) AS DOUBLE PRECISION) AS duration_ns",
            );
            from_log(&mut sql, filter);
            sql.push(" WHERE 1 = 1");
            narrow(&mut sql, filter);
            sql.push(" GROUP BY d.decision");
            let outcomes = sql
                .build_query_as::<OutcomeRow>()
                .persistent(is_kept())
                .fetch_all(read.connection()?)
                .await?;
            let mut sql = QueryBuilder::<Db>::new("SELECT r.value AS rule, COUNT(*) AS count");
            from_log(&mut sql, filter);
            sql.push(" ").push(RULES).push(" WHERE 1 = 1");
            narrow(&mut sql, filter);
            sql.push(" GROUP BY r.value ORDER BY COUNT(*) DESC, r.value ")
                .push(BYTES)
                .push(" LIMIT ")
                .push_bind(TOP_RULES);
            let rules = sql
                .build_query_as::<RuleRow>()
                .persistent(is_kept())
                .fetch_all(read.connection()?)
                .await?;
            read.commit().await?;
            Ok(stats(&outcomes, rules))
        })
        .await
    }

    async fn prune_decisions(&self, before_ms: i64, limit: u32) -> Result<u64> {
        self.writing(LONG, async {
            let mut transaction = self.begin_write().await?;
            let done = query::<Db>(
                "DELETE FROM decisions WHERE seq IN (SELECT seq FROM decisions WHERE at_ms < $1 ORDER BY at_ms LIMIT $2)",
            )
            .bind(before_ms)
            .bind(i64::from(limit))
            .execute(transaction.connection()?)
            .await?;
            transaction.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }

    async fn append_audit(&self, audit: &NewAudit) -> Result<AuditRecord> {
        self.writing(SHORT, async { self.write().await?.commit(self, audit).await })
            .await
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRecord>> {
        within(SHORT, async {
            query_as::<Db, AuditRow>(
                "SELECT seq, at_ms, actor, action, target, namespace, request_id, detail, revision, previous, hash \
                 FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
            )
            .bind(signed(after))
            .bind(i64::from(limit))
            .fetch_all(self.reader().await?.connection()?)
            .await?
            .into_iter()
            .map(AuditRecord::try_from)
            .collect()
        })
        .await
    }

    async fn audit_head(&self) -> Result<(u64, [u8; 32])> {
        within(SHORT, async {
            let mut read = self.reader().await?;
            let state = state(READ_STATE, read.connection()?).await?;
            Ok((state.audit_seq, hash32(&state.audit_hash)?))
        })
        .await
    }

    async fn close(&self) {
        self.shut().await;
    }
}

/// Makes a stored bundle the active one.
async fn deploy(change: &mut Write, digest: &str, base: Base, at_ms: i64) -> Result<()> {
    if change.state.bundle.as_deref() == Some(digest) {
        return Ok(());
    }
    let done = query::<Db>("UPDATE bundles SET activated_ms = $1, deployed = $2 WHERE digest = $3")
        .bind(at_ms)
        .bind(change.seq())
        .bind(clean(digest))
        .execute(change.transaction.connection()?)
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Missing(bundle_name(digest)));
    }
    change.raise(base, at_ms)?;
    change.state.bundle = Some(digest.to_owned());
    Ok(())
}

async fn create_key(connection: &mut Connection, key: &ApiKey) -> Result<()> {
    let (previous, until) = key
        .previous
        .map_or((None, None), |(hash, until)| (Some(hash), Some(until)));
    let done = query::<Db>(
        "INSERT INTO api_keys (id, name, hash, previous_hash, previous_until_ms, scopes, namespaces, author, rotated_by, \
         owner, created_ms, expires_ms, revoked_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(&key.id)
    .bind(clean(&key.name))
    .bind(&key.hash[..])
    .bind(previous.as_ref().map(|hash| &hash[..]))
    .bind(until)
    .bind(scope_names(key.scopes))
    .bind(key.namespaces.as_deref().map(json).transpose()?)
    .bind(clean(&key.author))
    .bind(clean_list(&key.rotated_by)?)
    .bind(&key.owner)
    .bind(key.created_ms)
    .bind(key.expires_ms)
    .bind(key.revoked_ms)
    .execute(connection)
    .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Exists(key_name(&key.id)));
    }
    Ok(())
}

/// Counts the live keys of one owner, after there is one more: those that count as the same, or, of keys that count as themselves,
/// those of one author.
///
/// # Errors
///
/// [`StoreError::Quota`] where they are more than may be.
async fn count_keys(
    connection: &mut Connection,
    author: &str,
    owner: Option<&str>,
    most: u64,
    now_ms: i64,
) -> Result<()> {
    if most == 0 {
        return Ok(());
    }
    let (sql, whose) = match owner {
        Some(owner) => (
            "SELECT COUNT(*) FROM api_keys WHERE owner = $1 AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $2)",
            owner.to_owned(),
        ),
        None => (
            "SELECT COUNT(*) FROM api_keys WHERE author = $1 AND owner IS NULL AND revoked_ms IS NULL \
             AND (expires_ms IS NULL OR expires_ms > $2)",
            clean(author),
        ),
    };
    let live: i64 = query_scalar::<Db, i64>(sql)
        .bind(whose)
        .bind(now_ms)
        .fetch_one(connection)
        .await?;
    if live > signed(most) {
        return Err(StoreError::Quota(format!(
            "{live} keys of the same owner would be live, and {most} may be: revoke those that nobody needs"
        )));
    }
    Ok(())
}

/// A key as a change of it finds it.
async fn key_head(connection: &mut Connection, id: &str) -> Result<KeyHead> {
    query_as::<Db, KeyHead>(
        "SELECT author, rotated_by, owner, expires_ms, revoked_ms FROM api_keys WHERE id = $1",
    )
    .bind(clean(id))
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| StoreError::Missing(key_name(id)))
}

fn clean_list(texts: &[String]) -> Result<String> {
    json(&texts.iter().map(|text| clean(text)).collect::<Vec<_>>())
}

#[expect(clippy::cast_precision_loss, reason = "means and shares, not counts")]
fn stats(outcomes: &[OutcomeRow], rules: Vec<RuleRow>) -> DecisionStats {
    let mut by_decision: BTreeMap<String, u64> =
        OUTCOMES.iter().map(|name| ((*name).to_owned(), 0)).collect();
    by_decision.extend(outcomes.iter().map(|row| (row.decision.clone(), row.count)));
    let total: u64 = outcomes.iter().map(|row| row.count).sum();
    let cached: u64 = outcomes.iter().map(|row| row.cached).sum();
    let duration_ns: f64 = outcomes.iter().map(|row| row.duration_ns).sum();
    let mean = |sum: f64| if total == 0 { 0.0 } else { sum / total as f64 };
    DecisionStats {
        total,
        by_decision,
        top_rules: rules
            .into_iter()
            .map(|row| RuleCount {
                rule: row.rule,
                count: row.count,
            })
            .collect(),
        mean_evaluation_time_ms: mean(duration_ns / 1e6),
        cached_ratio: mean(cached as f64),
    }
}
