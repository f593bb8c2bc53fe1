//! The audit trail.

use super::super::super::model::{AuditRecord, NewAudit};
use super::super::super::rows::{AuditRow, hash32, signed};
use super::super::super::{Result, within};
use super::super::{Db, Handle};
use super::SHORT;
use super::transaction::{READ_STATE, query_as, state};

pub(super) async fn append_audit(handle: &Handle, audit: &NewAudit) -> Result<AuditRecord> {
    handle
        .writing(SHORT, async { handle.write().await?.commit(handle, audit).await })
        .await
}

pub(super) async fn audit(handle: &Handle, after: u64, limit: u32) -> Result<Vec<AuditRecord>> {
    within(SHORT, async {
        query_as::<Db, AuditRow>(
            "SELECT seq, at_ms, actor, action, target, namespace, request_id, detail, revision, previous, hash \
             FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(signed(after))
        .bind(i64::from(limit))
        .fetch_all(handle.reader().await?.connection()?)
        .await?
        .into_iter()
        .map(AuditRecord::try_from)
        .collect()
    })
    .await
}

pub(super) async fn audit_head(handle: &Handle) -> Result<(u64, [u8; 32])> {
    within(SHORT, async {
        let mut read = handle.reader().await?;
        let state = state(READ_STATE, read.connection()?).await?;
        Ok((state.audit_seq, hash32(&state.audit_hash)?))
    })
    .await
}
