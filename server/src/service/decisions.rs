//! The decision log, read.

use super::{Call, Service};
use crate::error::{Result, ServiceError};
use crate::identity::Scope;
use crate::storage::model::{DecisionFilter, DecisionRecord, DecisionStats, Page, Slice};

impl Service {
    /// The part of the log that the caller may see.
    fn visible(call: Call<'_>, mut filter: DecisionFilter) -> Result<DecisionFilter> {
        call.require(Scope::Audit)?;
        match (&filter.namespaces, call.identity.namespaces.as_deref()) {
            (Some(named), _) => named.iter().try_for_each(|n| call.require_namespace(n))?,
            (None, Some(own)) => filter.namespaces = Some(own.to_vec()),
            (None, None) => {}
        }
        Ok(filter)
    }

    /// Decisions, newest first.
    ///
    /// # Errors
    ///
    /// `forbidden`, store errors.
    pub async fn decisions(
        &self,
        call: Call<'_>,
        filter: DecisionFilter,
        page: &Page,
    ) -> Result<Slice<DecisionRecord>> {
        let filter = Self::visible(call, filter)?;
        Ok(self.store.decisions(&filter, page).await?)
    }

    /// Decisions on a request id, newest first.
    ///
    /// # Errors
    ///
    /// `not_found`, `forbidden`, store errors.
    pub async fn decision(&self, call: Call<'_>, request_id: &str) -> Result<Vec<DecisionRecord>> {
        call.require(Scope::Audit)?;
        let mut found = self.store.decision(request_id).await?;
        found.retain(|decision| call.identity.may_touch(&decision.namespace));
        if found.is_empty() {
            return Err(ServiceError::not_found("decision", request_id));
        }
        Ok(found)
    }

    /// Counts of decisions.
    ///
    /// # Errors
    ///
    /// `forbidden`, store errors.
    pub async fn decision_stats(&self, call: Call<'_>, filter: DecisionFilter) -> Result<DecisionStats> {
        let filter = Self::visible(call, filter)?;
        Ok(self.store.decision_stats(&filter).await?)
    }
}
