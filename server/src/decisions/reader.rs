//! Where logged decisions are read: the database, or segments.

use super::Segments;
use crate::storage::model::{DecisionFilter, DecisionRecord, DecisionStats, Page, Slice};
use crate::storage::{Result, Store, StoreError};
use std::sync::Arc;

/// Reads the decision log. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Reader {
    /// From the database.
    Store(Arc<dyn Store>),
    /// From segments.
    Segments(Arc<Segments>),
}

/// Does work that waits for disks.
async fn blocking<T: Send + 'static>(
    segments: &Arc<Segments>,
    work: impl FnOnce(&Segments) -> Result<T> + Send + 'static,
) -> Result<T> {
    let segments = Arc::clone(segments);
    let done = tokio::task::spawn_blocking(move || work(&segments)).await;
    done.unwrap_or_else(|error| Err(StoreError::Corrupt(format!("the decision log: {error}"))))
}

impl Reader {
    /// Decisions, newest first; `page.after` is the `next` of the part before.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn decisions(&self, filter: &DecisionFilter, page: &Page) -> Result<Slice<DecisionRecord>> {
        match self {
            Self::Store(store) => store.decisions(filter, page).await,
            Self::Segments(segments) => {
                let (filter, page) = (filter.clone(), page.clone());
                blocking(segments, move |segments| segments.decisions(&filter, None, &page)).await
            }
        }
    }

    /// Decisions on a request id, newest first.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn decision(
        &self,
        request_id: &str,
        filter: &DecisionFilter,
        page: &Page,
    ) -> Result<Slice<DecisionRecord>> {
        match self {
            Self::Store(store) => store.decision(request_id, filter, page).await,
            Self::Segments(segments) => {
                let (id, filter, page) = (request_id.to_owned(), filter.clone(), page.clone());
                blocking(segments, move |segments| {
                    segments.decisions(&filter, Some(&id), &page)
                })
                .await
            }
        }
    }

    /// Counts of decisions.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn decision_stats(&self, filter: &DecisionFilter) -> Result<DecisionStats> {
        match self {
            Self::Store(store) => store.decision_stats(filter).await,
            Self::Segments(segments) => {
                let filter = filter.clone();
                blocking(segments, move |segments| segments.stats(&filter)).await
            }
        }
    }
}
