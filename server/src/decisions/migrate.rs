//! Decisions out of the database into segments.

use super::{Reader, Segments};
use crate::storage::model::{DecisionFilter, DecisionRecord, Page};
use crate::storage::{Store, StoreError};
use std::io;
use std::sync::Arc;

/// Decisions read at once.
const PAGE: u32 = 500;

/// Decisions, and bytes of their texts, that make a segment.
const ROWS: usize = 200_000;
const BYTES: usize = 128 << 20;

/// Removed from the database at once.
const REMOVED: u32 = 1000;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Decisions that are in segments now, and were not before.
    pub moved: u64,
    /// Decisions that were there already.
    pub there: u64,
    /// The newest one.
    newest_ms: Option<i64>,
}

/// Why it stopped. What was moved before stays; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database failed.
    #[error("{0}")]
    Store(StoreError),
    /// The segments failed.
    #[error("segments cannot be written: {0}")]
    Segments(io::Error),
}

/// Copies the decisions in the database that are not in segments yet.
///
/// # Errors
///
/// As they say.
pub async fn migrate(store: &Arc<dyn Store>, segments: &Arc<Segments>) -> Result<Migrated, MigrateError> {
    let (log, filter) = (Reader::Store(Arc::clone(store)), DecisionFilter::default());
    let mut page = Page {
        limit: PAGE,
        after: None,
    };
    let mut done = Migrated::default();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        let slice = log.decisions(&filter, &page).await.map_err(MigrateError::Store)?;
        for record in slice.items {
            done.newest_ms = done.newest_ms.max(Some(record.at_ms));
            bytes += record.context.as_ref().map_or(0, String::len);
            batch.push(record);
        }
        let last = slice.next.is_none();
        if last || batch.len() >= ROWS || bytes >= BYTES {
            import(segments, std::mem::take(&mut batch), &mut done).await?;
            bytes = 0;
        }
        if last {
            return Ok(done);
        }
        page.after = slice.next;
    }
}

async fn import(
    segments: &Arc<Segments>,
    batch: Vec<DecisionRecord>,
    done: &mut Migrated,
) -> Result<(), MigrateError> {
    let all = batch.len() as u64;
    let segments = Arc::clone(segments);
    let imported = tokio::task::spawn_blocking(move || segments.import(batch)).await;
    let moved = imported
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(MigrateError::Segments)?;
    done.moved += moved;
    done.there += all - moved;
    Ok(())
}

impl Migrated {
    /// Removes from the database what was copied; says how many decisions.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn remove(&self, store: &dyn Store) -> Result<u64, StoreError> {
        let Some(newest) = self.newest_ms else {
            return Ok(0);
        };
        let (all, mut removed) = (self.moved + self.there, 0);
        while removed < all {
            let most = u32::try_from(all - removed).unwrap_or(REMOVED).min(REMOVED);
            match store.prune_decisions(newest.saturating_add(1), most).await? {
                0 => break,
                some => removed += some,
            }
        }
        Ok(removed)
    }
}
