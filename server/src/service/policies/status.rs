//! Activating the newest version of a policy, and ending that any is active.

use super::super::{Call, Service};
use super::change::Change;
use super::{PolicyName, Seen};
use crate::clock::now_ms;
use crate::document::Format;
#[cfg(doc)]
use crate::error::Code;
use crate::error::Result;
use crate::identity::Scope;
use crate::storage::StoreError;
use crate::storage::model::{Activate, Expected, PolicyStatus, PolicyVersion};
use serde_json::json;
use std::sync::Arc;

impl Service {
    /// Activates the newest version of a policy, or ends that any is active.
    ///
    /// # Errors
    ///
    /// As [`Service::update_policy`]. Where approval is configured, [`Code::PreconditionRequired`] when an activation does
    /// not name the version that was reviewed, and [`Code::SelfApproval`] when the caller is the author. [`Code::Rejected`] where
    /// that version was rejected.
    pub async fn set_policy_status(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        status: PolicyStatus,
        expected: Option<u64>,
    ) -> Result<Seen> {
        let approves = self.approval && status == PolicyStatus::Active;
        call.is_about("policy.status", (name.id, name.namespace), expected);
        call.require(if approves { Scope::Approve } else { Scope::Write })?;
        self.writable()?;
        let current = self.readable(call, name, expected.is_some()).await?;
        let latest = &current.latest;
        let key = latest.key();
        call.is_about("policy.status", (&key.id, Some(&key.namespace)), expected);
        call.require_namespace(&key.namespace)?;
        if approves {
            // What is approved is what was looked at, not what came after it.
            let reviewed = expected.ok_or_else(|| {
                Self::unnamed(
                    "activating a policy needs `If-Match` with the version that was reviewed, such as \"3\"",
                )
            })?;
            if reviewed != latest.version {
                return Err(StoreError::VersionMismatch {
                    current: latest.version,
                }
                .into());
            }
            if latest.rejection.is_some() {
                return Err(StoreError::Rejected(latest.named()).into());
            }
            self.not_own_text(call, latest).await?;
        }
        let mut alone = None;
        if status == PolicyStatus::Active && self.strict {
            let format = Format::of_version(latest)?;
            let checked = self.check(call, Arc::clone(&latest.source), format).await?;
            self.within_warnings(&checked.warnings)?;
            alone = Some(checked.alone);
        }
        // Whoever wrote the text stays its author; who changed the status stands in the audit trail.
        let version = (latest.status != status).then(|| PolicyVersion {
            status,
            created_ms: now_ms(),
            rejection: None,
            ..latest.clone()
        });
        // What is activated is what was compiled.
        let expected = Expected::Version(expected.unwrap_or(latest.version));
        let change = Change {
            key: &key,
            expected,
            version,
            alone,
            activate: if status == PolicyStatus::Active {
                Activate::Latest
            } else {
                Activate::None
            },
            approved_by: approves.then(|| call.identity.subject.to_string()),
            action: "policy.status",
            detail: json!({"status": status.as_str(), "version": latest.version}),
        };
        let record = self.write(call, change).await?;
        Ok(Seen {
            record,
            waiting: None,
        })
    }
}
