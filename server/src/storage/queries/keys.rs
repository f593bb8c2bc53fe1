//! API keys: made, changed, read.

use super::super::super::model::{ApiKey, KeyChange, NewAudit, Page, Slice};
use super::super::super::rows::{KeyHead, KeyRow, clean, json, list, scope_names, signed};
use super::super::super::{Result, StoreError, within};
use super::super::{Db, Handle};
use super::SHORT;
use super::pages::{clean_list, limit, slice};
use super::transaction::{Connection, query, query_as, query_scalar};

macro_rules! select_keys {
    () => {
        "SELECT id, name, hash, previous_hash, previous_until_ms, scopes, namespaces, author, rotated_by, owner, \
         created_ms, expires_ms, revoked_ms FROM api_keys"
    };
}

pub(super) const KEY: &str = concat!(select_keys!(), " WHERE id = $1");

pub(super) fn key_name(id: &str) -> String {
    format!("key `{id}`")
}

pub(super) async fn key(handle: &Handle, id: &str) -> Result<Option<ApiKey>> {
    within(SHORT, async {
        query_as::<Db, KeyRow>(KEY)
            .bind(clean(id))
            .fetch_optional(handle.reader().await?.connection()?)
            .await?
            .map(ApiKey::try_from)
            .transpose()
    })
    .await
}

pub(super) async fn keys(handle: &Handle, page: &Page) -> Result<Slice<ApiKey>> {
    within(SHORT, async {
        // Every text but the empty one, which is no id, comes after it.
        let rows = query_as::<Db, KeyRow>(concat!(select_keys!(), " WHERE id > $1 ORDER BY id LIMIT $2"))
            .bind(clean(page.after.as_deref().unwrap_or_default()))
            .bind(limit(page))
            .fetch_all(handle.reader().await?.connection()?)
            .await?;
        slice(rows, page, |row| row.id.clone(), ApiKey::try_from)
    })
    .await
}

pub(super) async fn change_key(handle: &Handle, change: &KeyChange, audit: &NewAudit) -> Result<ApiKey> {
    handle.writing(SHORT, async {
        let mut write = handle.write().await?;
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
        write.commit(handle, audit).await?;
        Ok(key)
    })
    .await
}

pub(super) async fn create_key(connection: &mut Connection, key: &ApiKey) -> Result<()> {
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
pub(super) async fn count_keys(
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
pub(super) async fn key_head(connection: &mut Connection, id: &str) -> Result<KeyHead> {
    query_as::<Db, KeyHead>(
        "SELECT author, rotated_by, owner, expires_ms, revoked_ms FROM api_keys WHERE id = $1",
    )
    .bind(clean(id))
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| StoreError::Missing(key_name(id)))
}
