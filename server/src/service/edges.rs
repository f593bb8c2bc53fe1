//! Edge servers: what they report, and who runs what.

use super::{Call, Service};
use crate::clock::now_ms;
use crate::edges::{self, Edge, Report};
use crate::error::{Code, Result, ServiceError};
use crate::identity::Scope;
use crate::storage::model::{Page, Slice};

impl Service {
    /// Takes the report of an edge server.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], [`Code::MalformedRequest`], [`Code::QuotaExceeded`] where too many edges are known.
    pub fn report_edge(&self, call: Call<'_>, id: &str, report: Report) -> Result<()> {
        call.require(Scope::Status)?;
        Self::spans_namespaces(call)?;
        if !edges::is_id(id) {
            return Err(ServiceError::new(Code::MalformedRequest, edges::ID));
        }
        report.check()?;
        self.edges.take(id, &call.identity.subject, report, now_ms())
    }

    /// Edge servers, by their ids; and the digest of the bundle that decides here, where one does.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`].
    pub fn edges(&self, call: Call<'_>, page: &Page) -> Result<(Slice<Edge>, Option<String>)> {
        call.require(Scope::Read)?;
        Self::spans_namespaces(call)?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let (items, more) = self.edges.list(page.after.as_deref(), limit);
        let next = items.last().filter(|_| more).map(|edge| edge.id.clone());
        let digest = self.active.info().digest.clone();
        Ok((Slice { items, next }, digest))
    }
}
