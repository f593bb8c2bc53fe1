//! The decision log, read.
//!
//! Queries of it may take long, and each keeps a connection of the database busy. So callers take turns, and a query ends with
//! the request that it is for; until it has, its turn is not given to another one, also where the caller is gone.

use super::{Call, Service};
use crate::decisions::Reader;
use crate::error::{Result, ServiceError};
use crate::identity::Scope;
use crate::storage;
use crate::storage::model::{
    DecisionFilter, DecisionId, DecisionKey, DecisionRecord, DecisionStats, Page, Slice,
};
use std::future::Future;
use std::sync::Arc;

impl Service {
    /// The part of the log that the caller may see.
    fn visible(call: Call<'_>, mut filter: DecisionFilter) -> Result<DecisionFilter> {
        call.require(Scope::Audit)?;
        match (&filter.namespaces, call.identity.namespaces.as_deref()) {
            (Some(named), _) => named.iter().try_for_each(|n| call.require_namespace(n))?,
            (None, Some(own)) => filter.namespaces = Some(own.to_vec()),
            (None, None) => {}
        }
        filter.until = call.until;
        Ok(filter)
    }

    /// Where the log is read.
    fn log_reader(&self) -> Reader {
        match self.log.segments() {
            Some(segments) => Reader::Segments(Arc::clone(segments)),
            None => Reader::Store(Arc::clone(&self.store)),
        }
    }

    /// A page of the log. Its cursors are those of where it is read: numbers of the database, keys in segments.
    ///
    /// # Errors
    ///
    /// As [`super::page`], and for a cursor that no page gave.
    pub fn log_page(&self, limit: Option<u32>, cursor: Option<String>) -> Result<Page> {
        self.page_with(limit, cursor, |cursor| cursor.parse::<u64>().is_ok())
    }

    /// A page of the decisions on a request, as [`Service::log_page`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn request_page(&self, limit: Option<u32>, cursor: Option<String>) -> Result<Page> {
        self.page_with(limit, cursor, |cursor| cursor.parse::<DecisionId>().is_ok())
    }

    fn page_with(
        &self,
        limit: Option<u32>,
        cursor: Option<String>,
        of_store: impl Fn(&str) -> bool,
    ) -> Result<Page> {
        let page = super::page(limit, cursor)?;
        let is_one = |cursor: &str| match self.log.segments() {
            Some(_) => cursor.parse::<DecisionKey>().is_ok(),
            None => of_store(cursor),
        };
        match page.after.as_deref().filter(|cursor| !is_one(cursor)) {
            Some(cursor) => Err(super::no_cursor(cursor)),
            None => Ok(page),
        }
    }

    /// Asks the log in the caller's turn.
    async fn ask_log<T, F>(&self, call: Call<'_>, ask: impl FnOnce(Reader) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = storage::Result<T>> + Send,
    {
        let turn = self.log_reads.take(call.work().owner).await?;
        let reader = self.log_reader();
        let asked = tokio::spawn(async move {
            let answer = ask(reader).await;
            drop(turn);
            answer
        });
        Ok(asked.await.map_err(ServiceError::internal)??)
    }

    /// Decisions, newest first.
    ///
    /// # Errors
    ///
    /// `forbidden`, store errors, and those of [`Turns::take`](crate::turns::Turns::take).
    pub async fn decisions(
        &self,
        call: Call<'_>,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Slice<DecisionRecord>> {
        let filter = Self::visible(call, filter)?;
        self.ask_log(call, |log| async move { log.decisions(&filter, &page).await })
            .await
    }

    /// Decisions on a request id, newest first. Callers choose these ids, so there may be many on one.
    ///
    /// # Errors
    ///
    /// As [`Service::decisions`]; `not_found` where there is none at all.
    pub async fn decision(
        &self,
        call: Call<'_>,
        request_id: &str,
        page: Page,
    ) -> Result<Slice<DecisionRecord>> {
        let filter = Self::visible(call, DecisionFilter::default())?;
        let (id, first) = (request_id.to_owned(), page.after.is_none());
        let ask = |log: Reader| async move { log.decision(&id, &filter, &page).await };
        let found = self.ask_log(call, ask).await?;
        if first && found.items.is_empty() {
            return Err(ServiceError::not_found("decision", request_id));
        }
        Ok(found)
    }

    /// Counts of decisions.
    ///
    /// # Errors
    ///
    /// As [`Service::decisions`].
    pub async fn decision_stats(&self, call: Call<'_>, filter: DecisionFilter) -> Result<DecisionStats> {
        let filter = Self::visible(call, filter)?;
        self.ask_log(call, |log| async move { log.decision_stats(&filter).await })
            .await
    }
}
