//! Transactions of both databases: how they begin and end, and what a write notes in the row of the state.
//!
//! # Writes
//!
//! Each mutation is one transaction: [`Handle::write`] begins it and locks the one row of `state`; the function checks and
//! changes; [`Write::commit`] appends the audit record, notes the new end of the chain and the revision in the locked row,
//! and commits. So writers of all servers come one after the other, and nobody sees a revision without its change.
//!
//! A write that changes what is active goes through [`Write::raise`], which compares the revision that the caller checked
//! against and counts up. What is active: which version of each stored policy decides, and which bundle is deployed. The
//! former counts also while a bundle is deployed, because the stored policies come back as they are when it goes. A write
//! that changes neither (a draft, an activation of what is active) keeps the revision and needs no comparison.

use super::super::super::model::{AuditRecord, NewAudit};
use super::super::super::rows::{State, clean, hash32, signed};
use super::super::super::{Base, Result, StoreError, within};
use super::super::{Db, Handle, LOCK_STATE, is_kept};
use super::SHORT;
use crate::audit;
use sqlx::Database;
use sqlx::FromRow;
use sqlx::SqlSafeStr;
use sqlx::database::HasStatementCache;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::query::QueryAs;
use sqlx::query::QueryScalar;
use sqlx::raw_sql;
use std::future::Future;
use std::time::Duration;

pub(super) const READ_STATE: &str =
    "SELECT revision, audit_seq, audit_hash, bundle, changed_ms FROM state WHERE id = 1";

pub(super) type Connection = <Db as Database>::Connection;

pub(super) type Row = <Db as Database>::Row;

/// As sqlx has it, but for statements that connections do not keep.
pub(super) fn query<'q, D: Database + HasStatementCache>(sql: impl SqlSafeStr) -> Query<'q, D, D::Arguments> {
    sqlx::query::<D>(sql).persistent(is_kept())
}

pub(super) fn query_as<'q, D, T>(sql: impl SqlSafeStr) -> QueryAs<'q, D, T, D::Arguments>
where
    D: Database<Row = Row> + HasStatementCache,
    T: for<'r> FromRow<'r, Row>,
{
    sqlx::query_as::<D, T>(sql).persistent(is_kept())
}

pub(super) fn query_scalar<'q, D, T>(sql: impl SqlSafeStr) -> QueryScalar<'q, D, T, D::Arguments>
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
pub(in crate::storage) struct Transaction {
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
    pub(in crate::storage) fn connection(&mut self) -> Result<&mut Connection> {
        let ended = || StoreError::Unavailable("the transaction has ended".to_owned());
        Ok(&mut **self.connection.as_mut().ok_or_else(ended)?)
    }

    pub(in crate::storage) async fn commit(mut self) -> Result<()> {
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
pub(in crate::storage) struct Write {
    pub(in crate::storage) transaction: Transaction,
    pub(super) state: State,
}

impl Write {
    /// Counts a change of what is active.
    pub(super) fn raise(&mut self, base: Base, at_ms: i64) -> Result<()> {
        if self.state.revision != base {
            return Err(StoreError::Conflict);
        }
        self.state.revision += 1;
        self.state.changed_ms = at_ms;
        Ok(())
    }

    /// Sequence number of the audit record that this write will have.
    pub(super) fn seq(&self) -> i64 {
        signed(self.state.audit_seq + 1)
    }

    /// Records the change and makes it last.
    pub(super) async fn commit(mut self, handle: &Handle, entry: &NewAudit) -> Result<AuditRecord> {
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
    pub(super) async fn begin_read(&self) -> Result<Transaction> {
        let connection = self.readers().await?.acquire().await?;
        Transaction::begin(connection, self.begins_read(), self.replaceable()).await
    }

    /// A connection for one statement that reads.
    pub(super) async fn reader(&self) -> Result<Transaction> {
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

    /// Begins a transaction of writes.
    pub(super) async fn begin_write(&self) -> Result<Transaction> {
        let connection = self.writers().await?.acquire().await?;
        Transaction::begin(connection, self.begins_write(), self.replaceable()).await
    }

    pub(in crate::storage) async fn write(&self) -> Result<Write> {
        let mut transaction = self.begin_write().await?;
        let state = state(LOCK_STATE, transaction.connection()?).await?;
        Ok(Write { transaction, state })
    }

    /// Does a write within a time, and notes what became of it for [`Store::check_writes`](crate::storage::Store::check_writes).
    pub(super) async fn writing<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let result = within(limit, work).await;
        self.writes.note(&result);
        result
    }
}

pub(super) async fn state(sql: &'static str, connection: &mut Connection) -> Result<State> {
    query_as::<Db, State>(sql)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::Corrupt("the row of the state is gone".to_owned()))
}

/// The detail of an audit record with what the write found and did. What the tables say can be compared with it later
/// ([`audit::verify`]).
pub(super) fn detailed(detail: &str, more: &[(&str, serde_json::Value)]) -> Result<String> {
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

pub(super) async fn check_writes(handle: &Handle, fresh: Duration) -> Result<()> {
    if handle.writes.succeeded_within(fresh) {
        return Ok(());
    }
    handle
        .writing(SHORT, async {
            let mut transaction = handle.begin_write().await?;
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

pub(super) async fn revision(handle: &Handle) -> Result<u64> {
    within(SHORT, async {
        let mut read = handle.reader().await?;
        Ok(state(READ_STATE, read.connection()?).await?.revision)
    })
    .await
}
