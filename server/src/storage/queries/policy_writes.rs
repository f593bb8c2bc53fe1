//! Policies: what changes them.

use super::super::super::model::{
    Activate, Expected, NewAudit, PolicyKey, PolicyRecord, PolicyVersion, PolicyWrite, Rejection,
};
use super::super::super::rows::{Head, PolicyRow, clean, signed};
use super::super::super::{Base, Result, StoreError};
use super::super::{Db, Handle};
use super::SHORT;
use super::policies::{POLICY, POLICY_WITHOUT_TEXT, intact};
use super::transaction::{Connection, detailed, query, query_as, query_scalar};
use super::usage::{Counted, Replaced, count, count_version, newest_text, recount};
use crate::audit;

pub(super) async fn head(connection: &mut Connection, key: &PolicyKey) -> Result<Option<Head>> {
    Ok(query_as::<Db, Head>(
        "SELECT latest, active, approved_by, created_ms FROM policies WHERE namespace = $1 AND id = $2",
    )
    .bind(clean(&key.namespace))
    .bind(clean(&key.id))
    .fetch_optional(connection)
    .await?)
}

/// Whether a policy is as the caller expects it.
pub(super) fn check(key: &PolicyKey, expected: Expected, head: Option<&Head>) -> Result<()> {
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

pub(super) fn policy_name(id: &str) -> String {
    format!("policy `{id}`")
}

pub(super) fn version_name(id: &str, version: u64) -> String {
    format!("version {version} of policy `{id}`")
}

/// Whether somebody rejected a version.
pub(super) async fn is_rejected(connection: &mut Connection, key: &PolicyKey, version: u64) -> Result<bool> {
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

/// Appends a version with the next number, which counts on over a deletion. Returns the number.
pub(super) async fn insert_version(
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

pub(super) async fn write_policy(
    handle: &Handle,
    write: &PolicyWrite,
    audit: &NewAudit,
) -> Result<PolicyRecord> {
    handle.writing(SHORT, async {
        let key = &write.key;
        let mut change = handle.write().await?;
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
        change.commit(handle, &audit).await?;
        Ok(record)
    })
    .await
}

pub(super) async fn reject_policy(
    handle: &Handle,
    key: &PolicyKey,
    version: u64,
    rejection: &Rejection,
    audit: &NewAudit,
) -> Result<PolicyRecord> {
    handle
        .writing(SHORT, async {
            let mut change = handle.write().await?;
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
            change.commit(handle, &audit).await?;
            Ok(record)
        })
        .await
}

pub(super) async fn delete_policy(
    handle: &Handle,
    key: &PolicyKey,
    expected: Option<u64>,
    base: Base,
    audit: &NewAudit,
) -> Result<u64> {
    handle
        .writing(SHORT, async {
            let mut change = handle.write().await?;
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
            Ok(change.commit(handle, &audit).await?.revision)
        })
        .await
}
