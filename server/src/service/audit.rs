//! The audit trail, read.

use super::{Call, Service};
use crate::error::Result;
use crate::identity::Scope;
use crate::storage::model::AuditRecord;

impl Service {
    /// Records in their order, from after a sequence number, and the number to go on from when there may be more. A caller
    /// that is bound to namespaces sees theirs only.
    ///
    /// # Errors
    ///
    /// `forbidden`, store errors.
    pub async fn audit(
        &self,
        call: Call<'_>,
        after: u64,
        limit: u32,
    ) -> Result<(Vec<AuditRecord>, Option<u64>)> {
        call.require(Scope::Audit)?;
        let mut records = self.store.audit(after, limit).await?;
        let full = u32::try_from(records.len()).is_ok_and(|n| n >= limit);
        let next = records.last().filter(|_| full).map(|record| record.seq);
        records.retain(|record| call.identity.may_touch(&record.entry.namespace));
        Ok((records, next))
    }
}
