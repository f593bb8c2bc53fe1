//! The operations of the server, whatever the transport: REST and gRPC call the same functions with the same rules.
//!
//! Each checks what the caller may do, does it, and answers with domain types or a [`ServiceError`]. Nothing here knows
//! of HTTP or gRPC.

pub mod approvals;
pub mod audit;
pub mod bundles;
pub mod decisions;
mod edges;
pub mod evaluate;
pub mod keys;
mod persons;
pub mod policies;
pub mod simulate;

use crate::active::Active;
use crate::active::Origin;
use crate::cache::DecisionCache;
use crate::clock::now_ms;
use crate::decisions::Log;
use crate::document::MAX_TEXT;
use crate::edges::Edges;
use crate::enrich::Enricher;
use crate::error::{Code, Result, ServiceError};
use crate::heavy::{Heavy, Work};
use crate::identity::{Identity, Scope};
use crate::limits::RateLimiter;
use crate::storage::Store;
use crate::storage::model::{NewAudit, Page, PolicyKey, PolicyRecord};
use crate::telemetry::metrics::Transport;
use crate::telemetry::request::{self, About};
use crate::telemetry::{self, Metrics};
use crate::turns::{Owner, Turns};
use std::sync::Arc;
use std::time::Instant;

/// Everything that operations need. Shared by all transports.
#[derive(Debug)]
pub struct Service {
    /// What decides.
    pub active: Arc<Active>,
    /// Storage.
    pub store: Arc<dyn Store>,
    /// Where policies come from.
    pub origin: Origin,
    /// Whether somebody other than the author has to approve.
    pub approval: bool,
    /// Whether what the compiler warns of is an error.
    pub strict: bool,
    /// For what takes long.
    pub heavy: Heavy,
    /// Limits of requests.
    pub limits: crate::limits::config::Config,
    /// Decisions that were made before.
    pub cache: DecisionCache,
    /// Who is asked about requests before they are decided, where somebody is.
    pub enricher: Option<Enricher>,
    /// Where decisions are written.
    pub log: Log,
    /// Turns at reading them.
    pub log_reads: Turns,
    /// How often callers may ask.
    pub limiter: RateLimiter,
    /// What edge servers reported.
    pub edges: Edges,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Who calls, in which request, through which interface. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who calls.
    pub identity: Identity,
    /// In which request.
    pub request_id: Arc<str>,
    /// Through which interface.
    pub transport: Transport,
    /// Until when it waits for the answer; `None` is as long as it takes.
    pub until: Option<Instant>,
}

impl Caller {
    /// For operations.
    #[must_use]
    pub fn call(&self) -> Call<'_> {
        Call {
            identity: &self.identity,
            request_id: &self.request_id,
            until: self.until,
        }
    }
}

/// Who calls, in which request, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Who calls.
    pub identity: &'c Identity,
    /// In which request.
    pub request_id: &'c str,
    /// Until when it waits for the answer; `None` is as long as it takes.
    pub until: Option<Instant>,
}

impl Call<'_> {
    /// For what is done in its name.
    #[must_use]
    pub fn work(&self) -> Work {
        Work {
            owner: Owner::of(self.identity),
            until: self.until,
        }
    }

    /// # Errors
    ///
    /// [`Code::Forbidden`] without the scope.
    pub fn require(&self, scope: Scope) -> Result<()> {
        if self.identity.scopes.has(scope) {
            return Ok(());
        }
        Err(ServiceError::new(
            Code::Forbidden,
            format!("`{}` lacks the scope `{}`", self.identity.subject, scope.as_str()),
        ))
    }

    /// # Errors
    ///
    /// [`Code::Forbidden`] for a namespace that is not the caller's.
    pub fn require_namespace(&self, namespace: &str) -> Result<()> {
        if self.identity.may_touch(namespace) {
            return Ok(());
        }
        let own = self.identity.namespaces.as_deref().unwrap_or_default();
        let may = match own {
            [] => "it may use none".to_owned(),
            own => format!("it may use: {}", own.join(", ")),
        };
        Err(ServiceError::new(
            Code::Forbidden,
            format!(
                "`{}` may not use the namespace `{namespace}`; {may}",
                self.identity.subject
            ),
        ))
    }

    /// The namespace that a request is about: the one that it names, or the caller's only one.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`] for one that is not the caller's, or where several are and none is named.
    pub fn namespace<'n>(&'n self, named: Option<&'n str>) -> Result<Option<&'n str>> {
        match (named, self.identity.namespaces.as_deref()) {
            (Some(named), _) => {
                self.require_namespace(named)?;
                Ok(Some(named))
            }
            (None, None) => Ok(None),
            (None, Some([only, again @ ..])) if again.iter().all(|name| name == only) => Ok(Some(only)),
            (None, Some([])) => Err(ServiceError::new(
                Code::Forbidden,
                format!("`{}` may use no namespace at all", self.identity.subject),
            )),
            (None, Some(own)) => Err(ServiceError::new(
                Code::Forbidden,
                format!("name one of your namespaces: {}", own.join(", ")),
            )),
        }
    }

    /// Notes for the log what the request is to do with a policy.
    fn is_about(&self, action: &'static str, name: (&str, Option<&str>), version: Option<u64>) {
        let (id, namespace) = name;
        // No policy has a longer one.
        let cut = |text: &str| {
            text.get(..text.floor_char_boundary(MAX_TEXT))
                .unwrap_or_default()
                .to_owned()
        };
        request::is_about(About {
            action,
            policy: Some(cut(id)),
            namespace: namespace.map(cut),
            version,
            ..About::default()
        });
    }

    /// Says in the log that something was changed: what stands in the audit trail, as far as people look for it.
    fn wrote(&self, done: &Wrote<'_>) {
        tracing::info!(
            target: telemetry::WRITES,
            subject = &*self.identity.subject,
            action = done.action,
            policy = done.policy.map(|key| key.id.as_str()),
            namespace = done.policy.map(|key| key.namespace.as_str()),
            bundle = done.bundle,
            key = done.key,
            version = done.version,
            active = done.active,
            revision = done.revision,
            "changed"
        );
    }

    fn audit(&self, action: &str, target: &str, namespace: &str, detail: &serde_json::Value) -> NewAudit {
        NewAudit {
            at_ms: now_ms(),
            actor: self.identity.subject.to_string(),
            action: action.to_owned(),
            target: target.to_owned(),
            namespace: namespace.to_owned(),
            request_id: self.request_id.to_owned(),
            detail: detail.to_string(),
        }
    }
}

/// A change that was made, for the log.
#[derive(Debug, Default)]
struct Wrote<'w> {
    /// As in the audit trail.
    action: &'w str,
    policy: Option<&'w PolicyKey>,
    /// Digest of a bundle.
    bundle: Option<&'w str>,
    /// Id of an API key.
    key: Option<&'w str>,
    /// The newest version of the policy.
    version: Option<u64>,
    /// The version that decides.
    active: Option<u64>,
    /// Of the store, after it.
    revision: Option<u64>,
}

impl<'w> Wrote<'w> {
    /// A change of a policy.
    fn policy(action: &'w str, key: &'w PolicyKey, record: &PolicyRecord) -> Self {
        Self {
            action,
            policy: Some(key),
            version: Some(record.latest.version),
            active: record.active_version,
            revision: Some(record.revision),
            ..Self::default()
        }
    }
}

/// Entries of a list when the caller does not say.
const PAGE: u32 = 50;
/// Entries of a list at most.
const LARGEST_PAGE: u32 = 500;

/// A page as callers ask for it.
///
/// # Errors
///
/// [`Code::MalformedRequest`] for a limit of 0 or more than 500.
pub fn page(limit: Option<u32>, cursor: Option<String>) -> Result<Page> {
    let limit = limit.unwrap_or(PAGE);
    if limit == 0 || limit > LARGEST_PAGE {
        return Err(ServiceError::new(
            Code::MalformedRequest,
            format!("`limit` is 1 to {LARGEST_PAGE}, not {limit}"),
        ));
    }
    Ok(Page { limit, after: cursor })
}

/// A page of a list whose cursors are numbers.
///
/// # Errors
///
/// As [`page`], and for a cursor that no page gave.
pub fn numbered_page(limit: Option<u32>, cursor: Option<String>) -> Result<Page> {
    let page = page(limit, cursor)?;
    number(page.after.as_deref())?;
    Ok(page)
}

/// The number that a cursor is.
///
/// # Errors
///
/// [`Code::MalformedRequest`] for a cursor that no page gave.
pub fn number(cursor: Option<&str>) -> Result<Option<u64>> {
    let parsed = |cursor: &str| cursor.parse().map_err(|_| no_cursor(cursor));
    cursor.map(parsed).transpose()
}

/// What is said of a cursor that no page gave.
fn no_cursor(cursor: &str) -> ServiceError {
    ServiceError::new(
        Code::MalformedRequest,
        format!("`cursor` is the `next` of the page before, not `{cursor}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::{LARGEST_PAGE, PAGE};

    #[test]
    fn the_proto_says_how_large_pages_are() {
        let proto = include_str!("../../proto/policy.proto");
        let said = format!("Number of policies, 1 to {LARGEST_PAGE}; 0 is {PAGE}.");
        assert!(proto.contains(&said), "{said}");
    }
}
