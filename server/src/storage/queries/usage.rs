//! What a namespace holds, counted with each write of a policy.

use super::super::super::model::{PolicyKey, PolicyVersion, Quota};
use super::super::super::rows::{Head, UsageRow, clean, signed};
use super::super::super::{Result, StoreError};
use super::super::Db;
use super::transaction::{Connection, query_as};
use crate::audit;
use crate::document;

/// What changes in what a namespace holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) policies: i64,
    pub(super) bytes: i64,
    pub(super) history: i64,
}

/// A text that a write replaces or removes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replaced {
    version: u64,
    pub(super) bytes: i64,
    /// It is not the one that was stored.
    pub(super) changed: bool,
}

impl Replaced {
    /// What the record of the write says of it.
    pub(super) fn told(replaced: Option<Self>) -> Option<(&'static str, serde_json::Value)> {
        let changed = replaced.filter(|text| text.changed)?;
        Some((audit::TEXT_CHANGED, changed.version.into()))
    }
}

/// The newest text of a policy.
pub(super) async fn newest_text(
    connection: &mut Connection,
    key: &PolicyKey,
    head: &Head,
) -> Result<Replaced> {
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
pub(super) async fn count(connection: &mut Connection, namespace: &str, more: Counted) -> Result<UsageRow> {
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
pub(super) async fn recount(connection: &mut Connection, namespace: &str) -> Result<UsageRow> {
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
pub(super) async fn count_version(
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
