//! Pages of lists: their cursors, and the conditions that several lists have.

use super::super::super::model::{Page, Slice};
use super::super::super::rows::{clean, json, signed};
use super::super::super::{Result, StoreError};
use super::super::Db;
use sqlx::QueryBuilder;

/// The part of a list that was asked for. `rows` has one more than the page when the list goes on.
pub(super) fn slice<R, T>(
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
pub(super) fn limit(page: &Page) -> i64 {
    i64::from(page.limit.max(1)) + 1
}

/// A cursor that is a number. Lists with such a cursor run downwards, so without one they begin above every number.
pub(super) fn below(page: &Page) -> Result<i64> {
    match &page.after {
        None => Ok(i64::MAX),
        Some(text) => text.parse::<u64>().map(signed).map_err(|_| no_cursor(text)),
    }
}

pub(super) fn no_cursor(text: &str) -> StoreError {
    StoreError::Missing(format!("cursor `{text}`"))
}

/// Adds ` AND column IN (…)`; an empty list fits nothing.
pub(super) fn among(sql: &mut QueryBuilder<Db>, column: &'static str, values: Vec<String>) {
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

pub(super) fn clean_list(texts: &[String]) -> Result<String> {
    json(&texts.iter().map(|text| clean(text)).collect::<Vec<_>>())
}
