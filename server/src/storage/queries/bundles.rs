//! Bundles: kept, deployed, read.

use super::super::super::model::{BundleRecord, NewAudit, NewBundle, Page, Slice};
use super::super::super::rows::{BundleRow, clean, signed};
use super::super::super::{Base, Result, StoreError, within};
use super::super::{Db, Handle};
use super::SHORT;
use super::pages::{below, limit, slice};
use super::transaction::{Write, query, query_as, query_scalar};

macro_rules! select_bundles {
    () => {
        "SELECT b.digest, b.revision, b.policies, b.rules, CAST(length(b.bytes) AS BIGINT) AS size, b.author, \
         b.created_ms, b.activated_ms, EXISTS (SELECT 1 FROM state s WHERE s.bundle = b.digest) AS active, b.deployed \
         FROM bundles b"
    };
}

pub(super) const BUNDLE: &str = concat!(select_bundles!(), " WHERE b.digest = $1");

pub(super) const ACTIVE_BUNDLE: &str = concat!(
    select_bundles!(),
    " WHERE b.digest = (SELECT bundle FROM state WHERE id = 1)"
);

pub(super) fn bundle_name(digest: &str) -> String {
    format!("bundle `{digest}`")
}

pub(super) async fn put_bundle(
    handle: &Handle,
    bundle: &NewBundle,
    base: Base,
    audit: &NewAudit,
) -> Result<(BundleRecord, u64)> {
    handle.writing(SHORT, async {
        let mut change = handle.write().await?;
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
        let revision = change.commit(handle, audit).await?.revision;
        Ok((record, revision))
    })
    .await
}

pub(super) async fn activate_bundle(
    handle: &Handle,
    digest: Option<&str>,
    base: Base,
    audit: &NewAudit,
) -> Result<u64> {
    handle
        .writing(SHORT, async {
            let mut change = handle.write().await?;
            match digest {
                Some(digest) => deploy(&mut change, digest, base, audit.at_ms).await?,
                None if change.state.bundle.is_some() => {
                    change.raise(base, audit.at_ms)?;
                    change.state.bundle = None;
                }
                None => {}
            }
            Ok(change.commit(handle, audit).await?.revision)
        })
        .await
}

pub(super) async fn bundles(handle: &Handle, page: &Page) -> Result<Slice<BundleRecord>> {
    within(SHORT, async {
        let rows = query_as::<Db, BundleRow>(concat!(
            select_bundles!(),
            " WHERE b.deployed < $1 ORDER BY b.deployed DESC LIMIT $2"
        ))
        .bind(below(page)?)
        .bind(limit(page))
        .fetch_all(handle.reader().await?.connection()?)
        .await?;
        slice(rows, page, |row| row.deployed.to_string(), |row| Ok(row.into()))
    })
    .await
}

pub(super) async fn bundle(handle: &Handle, digest: &str) -> Result<Option<BundleRecord>> {
    within(SHORT, async {
        let row = query_as::<Db, BundleRow>(BUNDLE)
            .bind(clean(digest))
            .fetch_optional(handle.reader().await?.connection()?)
            .await?;
        Ok(row.map(BundleRecord::from))
    })
    .await
}

pub(super) async fn active_bundle(handle: &Handle) -> Result<Option<BundleRecord>> {
    within(SHORT, async {
        let row = query_as::<Db, BundleRow>(ACTIVE_BUNDLE)
            .fetch_optional(handle.reader().await?.connection()?)
            .await?;
        Ok(row.map(BundleRecord::from))
    })
    .await
}

pub(super) async fn bundle_bytes(handle: &Handle, digest: &str) -> Result<Option<Vec<u8>>> {
    within(SHORT, async {
        Ok(
            query_scalar::<Db, Vec<u8>>("SELECT bytes FROM bundles WHERE digest = $1")
                .bind(clean(digest))
                .fetch_optional(handle.reader().await?.connection()?)
                .await?,
        )
    })
    .await
}

/// Makes a stored bundle the active one.
pub(super) async fn deploy(change: &mut Write, digest: &str, base: Base, at_ms: i64) -> Result<()> {
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
