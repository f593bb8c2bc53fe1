//! Policies and their versions: everything that is read of them.

use super::super::super::model::{
    ActiveSet, Approval, Deployment, IdPlace, Page, PolicyFilter, PolicyKey, PolicyRecord, PolicyStatus,
    PolicyVersion, Slice,
};
use super::super::super::rows::{
    AuthorRow, PlaceRow, PolicyRow, VersionRow, clean, is_unchanged, signed, unchanged,
};
use super::super::super::{PLACES, Result, StoreError, within};
use super::super::{Db, Handle, is_kept};
use super::SHORT;
use super::bundles::bundle_name;
use super::pages::{among, below, limit, no_cursor, slice};
use super::transaction::{READ_STATE, query_as, query_scalar, state};
use sqlx::QueryBuilder;
use std::sync::Arc;

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

pub(super) const POLICY: &str = concat!(
    select_policies!("v.source"),
    " WHERE p.namespace = $1 AND p.id = $2"
);

pub(super) const POLICY_WITHOUT_TEXT: &str =
    concat!(select_policies!("''"), " WHERE p.namespace = $1 AND p.id = $2");

/// Authors of a text, each found by a search for the next one in an index: their versions are not gone through.
pub(super) const AUTHORS: &str = "WITH RECURSIVE found (author) AS (\
     SELECT (SELECT v.author FROM policy_versions v WHERE v.namespace = $1 AND v.id = $2 AND v.digest = $3 \
     ORDER BY v.author LIMIT 1) \
     UNION ALL \
     SELECT (SELECT v.author FROM policy_versions v WHERE v.namespace = $1 AND v.id = $2 AND v.digest = $3 \
     AND v.author > f.author ORDER BY v.author LIMIT 1) FROM found f WHERE f.author IS NOT NULL) \
     SELECT f.author, (SELECT v.version FROM policy_versions v WHERE v.namespace = $1 AND v.id = $2 AND v.digest = $3 \
     AND v.author = f.author ORDER BY v.version LIMIT 1) AS version FROM found f WHERE f.author IS NOT NULL";

/// A policy whose newest text is the one that was stored.
pub(super) fn intact(row: PolicyRow) -> Result<PolicyRecord> {
    let record = PolicyRecord::try_from(row)?;
    Ok(PolicyRecord {
        latest: unchanged(record.latest)?,
        ..record
    })
}

pub(super) async fn active(handle: &Handle) -> Result<ActiveSet> {
    within(SHORT, async {
        let mut read = handle.begin_read().await?;
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

pub(super) async fn policy(handle: &Handle, key: &PolicyKey) -> Result<Option<PolicyRecord>> {
    within(SHORT, async {
        query_as::<Db, PolicyRow>(POLICY)
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .fetch_optional(handle.reader().await?.connection()?)
            .await?
            .map(intact)
            .transpose()
    })
    .await
}

pub(super) async fn policy_without_text(handle: &Handle, key: &PolicyKey) -> Result<Option<PolicyRecord>> {
    within(SHORT, async {
        query_as::<Db, PolicyRow>(POLICY_WITHOUT_TEXT)
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .fetch_optional(handle.reader().await?.connection()?)
            .await?
            .map(PolicyRecord::try_from)
            .transpose()
    })
    .await
}

pub(super) async fn places(handle: &Handle, id: &str, among: Option<&[String]>) -> Result<Vec<IdPlace>> {
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
            .fetch_all(handle.reader().await?.connection()?)
            .await?;
        Ok(rows.into_iter().map(IdPlace::from).collect())
    })
    .await
}

pub(super) async fn policies(
    handle: &Handle,
    filter: &PolicyFilter,
    page: &Page,
) -> Result<Slice<PolicyRecord>> {
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
                sql.push(
                    " AND r.version IS NULL AND (p.active IS NULL OR p.active <> p.latest) AND v.status = ",
                )
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
            .fetch_all(handle.reader().await?.connection()?)
            .await?;
        slice(rows, page, PolicyRow::cursor, PolicyRecord::try_from)
    })
    .await
}

pub(super) async fn versions(handle: &Handle, key: &PolicyKey, page: &Page) -> Result<Slice<PolicyVersion>> {
    within(SHORT, async {
        let rows = query_as::<Db, VersionRow>(concat!(
            select_versions!("''"),
            " WHERE v.namespace = $1 AND v.id = $2 AND v.version < $3 ORDER BY v.version DESC LIMIT $4"
        ))
        .bind(clean(&key.namespace))
        .bind(clean(&key.id))
        .bind(below(page)?)
        .bind(limit(page))
        .fetch_all(handle.reader().await?.connection()?)
        .await?;
        slice(rows, page, |row| row.version.to_string(), PolicyVersion::try_from)
    })
    .await
}

pub(super) async fn version(handle: &Handle, key: &PolicyKey, version: u64) -> Result<Option<PolicyVersion>> {
    within(SHORT, async {
        query_as::<Db, VersionRow>(concat!(
            select_versions!("v.source"),
            " WHERE v.namespace = $1 AND v.id = $2 AND v.version = $3"
        ))
        .bind(clean(&key.namespace))
        .bind(clean(&key.id))
        .bind(signed(version))
        .fetch_optional(handle.reader().await?.connection()?)
        .await?
        .map(|row| unchanged(row.try_into()?))
        .transpose()
    })
    .await
}

pub(super) async fn authors(handle: &Handle, key: &PolicyKey, digest: &str) -> Result<Vec<(String, u64)>> {
    within(SHORT, async {
        let rows = query_as::<Db, AuthorRow>(AUTHORS)
            .bind(clean(&key.namespace))
            .bind(clean(&key.id))
            .bind(clean(digest))
            .fetch_all(handle.reader().await?.connection()?)
            .await?;
        Ok(rows.into_iter().map(|row| (row.author, row.version)).collect())
    })
    .await
}

pub(super) async fn all_versions(
    handle: &Handle,
    after: Option<(&PolicyKey, u64)>,
    limit: u32,
) -> Result<Vec<PolicyVersion>> {
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
        .fetch_all(handle.reader().await?.connection()?)
        .await?
        .into_iter()
        .map(PolicyVersion::try_from)
        .collect()
    })
    .await
}
