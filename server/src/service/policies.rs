//! Policies: write, activate, roll back, remove, validate. How they are read stands in `policies/read.rs`, how a change gets into
//! the store in `policies/change.rs`.

mod change;
mod locate;
mod read;
mod status;

pub use read::{SeenVersion, Wanted};

use super::approvals::Waiting;
use super::{Call, Service, Wrote};
use crate::active::Origin;
use crate::clock::now_ms;
use crate::document::{self, Checked, Format};
use crate::error::{Code, Problem, Result, ServiceError};
use crate::identity::Scope;
use crate::storage::StoreError;
use crate::storage::model::{Activate, Expected, PolicyKey, PolicyRecord, PolicyStatus};
use crate::telemetry::request::{self, About};
use change::{Change, TRIES};
use serde_json::json;
use std::collections::BTreeSet;

/// A policy as a caller names it.
#[derive(Debug, Clone, Copy)]
pub struct PolicyName<'n> {
    /// Its id.
    pub id: &'n str,
    /// Its namespace, where the caller says it.
    pub namespace: Option<&'n str>,
}

/// A policy as a caller sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The policy.
    pub record: PolicyRecord,
    /// What its newest version waits for, where it does.
    pub waiting: Option<Waiting>,
}

/// A policy after a write, and what the compiler warns of.
#[derive(Debug, Clone)]
pub struct Written {
    /// The policy.
    pub policy: Seen,
    /// Warnings.
    pub warnings: Vec<Problem>,
}

/// What the compiler says about a document.
#[derive(Debug, Clone)]
pub struct Validated {
    /// Whether it could be stored, as far as that follows from the document alone.
    pub valid: bool,
    /// Errors and warnings.
    pub problems: Vec<Problem>,
}

impl Service {
    /// Stores a policy that was not there.
    ///
    /// # Errors
    ///
    /// [`Code::PolicyInvalid`], [`Code::AlreadyExists`] where its namespace has a policy of its id, [`Code::Forbidden`],
    /// [`Code::ReadOnly`], store errors.
    pub async fn create_policy(&self, call: Call<'_>, source: String, format: Format) -> Result<Written> {
        request::is_about(About {
            action: "policy.create",
            ..About::default()
        });
        self.may_write(call)?;
        let checked = self.check(call, source, format).await?;
        let put = self.put(call, checked, Expected::Nothing, "policy.create");
        put.await
    }

    /// Stores a new version of a policy, whose namespace is that of the document.
    ///
    /// # Errors
    ///
    /// As [`Service::create_policy`], and [`Code::NotFound`], [`Code::VersionMismatch`].
    pub async fn update_policy(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        source: String,
        format: Format,
        expected: Option<u64>,
    ) -> Result<Written> {
        call.is_about("policy.update", (name.id, name.namespace), expected);
        self.may_write(call)?;
        let checked = self.check(call, source, format).await?;
        let version = &checked.version;
        if version.id != name.id {
            return Err(ServiceError::new(
                Code::MalformedRequest,
                format!("the document is the policy `{}`, not `{}`", version.id, name.id),
            ));
        }
        if let Some(namespace) = name.namespace.filter(|named| *named != version.namespace) {
            return Err(ServiceError::new(
                Code::MalformedRequest,
                format!(
                    "the document is of the namespace `{}`, not `{namespace}`; in another namespace it is another policy",
                    version.namespace
                ),
            ));
        }
        call.require_namespace(&version.namespace)?;
        self.stored(&version.key()).await?;
        let expected = expected.map_or(Expected::Any, Expected::Version);
        let put = self.put(call, checked, expected, "policy.update");
        put.await
    }

    /// Makes an older version the newest one.
    ///
    /// # Errors
    ///
    /// As [`Service::update_policy`].
    pub async fn rollback_policy(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        to: u64,
        expected: Option<u64>,
    ) -> Result<Written> {
        call.is_about("policy.rollback", (name.id, name.namespace), Some(to));
        self.may_write(call)?;
        let key = self.locate(call, name, expected.is_some()).await?;
        call.is_about("policy.rollback", (&key.id, Some(&key.namespace)), Some(to));
        self.stored(&key).await?;
        call.require_namespace(&key.namespace)?;
        let old = self
            .store
            .version(&key, to)
            .await?
            .ok_or_else(|| ServiceError::not_found("version", &format!("{}/{to}", key.id)))?;
        let format = Format::of_version(&old)?;
        let mut checked = self.check(call, old.source, format).await?;
        checked.version.status = old.status;
        let expected = expected.map_or(Expected::Any, Expected::Version);
        let put = self.put(call, checked, expected, "policy.rollback");
        put.await
    }

    /// Reads and compiles one document, in the pool: how long that takes is the caller's choice, and it must not be at the
    /// cost of the decisions that this thread serves.
    pub(super) async fn check(
        &self,
        call: Call<'_>,
        source: impl AsRef<str> + Send + 'static,
        format: Format,
    ) -> Result<Checked> {
        self.heavy
            .run(call.work(), move |stop| {
                document::check(source.as_ref(), format, stop)
            })
            .await?
    }

    async fn put(
        &self,
        call: Call<'_>,
        checked: Checked,
        expected: Expected,
        action: &'static str,
    ) -> Result<Written> {
        let Checked {
            mut version,
            warnings,
            alone,
        } = checked;
        let key = version.key();
        let meant = match expected {
            Expected::Version(number) => Some(number),
            Expected::Nothing | Expected::Any => None,
        };
        call.is_about(action, (&key.id, Some(&key.namespace)), meant);
        call.require_namespace(&key.namespace)?;
        self.within_warnings(&warnings)?;
        version.author = call.identity.subject.to_string();
        version.created_ms = now_ms();
        let activate = match (version.status, self.approval) {
            (_, true) => Activate::Unchanged,
            (PolicyStatus::Active, false) => Activate::Latest,
            (PolicyStatus::Draft | PolicyStatus::Deprecated, false) => Activate::None,
        };
        let authors = match version.status {
            // Whoever writes a text is one of its authors.
            PolicyStatus::Active if self.approval => {
                let before = self.store.authors(&key, &version.digest).await?;
                let before = before.into_iter().map(|(author, _)| author);
                before.chain([version.author.clone()]).collect()
            }
            _ => BTreeSet::new(),
        };
        let detail = json!({"digest": version.digest, "status": version.status.as_str()});
        let record = self.write(
            call,
            Change {
                key: &key,
                expected,
                version: Some(version),
                alone: Some(alone),
                activate,
                approved_by: None,
                action,
                detail,
            },
        );
        let record = record.await?;
        let warned = document::warnings_of(&key, &warnings);
        warned.iter().for_each(document::Warning::log);
        // What was read before the write: now that it is done, nothing may fail.
        let waiting = record.pending_approval.then(|| Waiting {
            since_ms: record.latest.created_ms,
            scope: self.activating_scope(),
            authors: authors.into_iter().collect(),
            may_approve: false,
        });
        Ok(Written {
            policy: Seen { record, waiting },
            warnings,
        })
    }

    /// # Errors
    ///
    /// [`Code::PolicyInvalid`] where the compiler warns of something, and that is an error here.
    pub(super) fn within_warnings(&self, warnings: &[Problem]) -> Result<()> {
        if !self.strict || warnings.is_empty() {
            return Ok(());
        }
        Err(document::warned(warnings.to_vec()))
    }

    /// Removes a policy.
    ///
    /// # Errors
    ///
    /// As [`Service::update_policy`].
    pub async fn delete_policy(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        expected: Option<u64>,
    ) -> Result<()> {
        call.is_about("policy.delete", (name.id, name.namespace), expected);
        self.may_write(call)?;
        let key = self.locate(call, name, expected.is_some()).await?;
        call.is_about("policy.delete", (&key.id, Some(&key.namespace)), expected);
        self.stored(&key).await?;
        call.require_namespace(&key.namespace)?;
        let audit = call.audit("policy.delete", &key.id, &key.namespace, &json!({}));
        for _ in 0..TRIES {
            let (mut state, ground) = self.changeable(call, &key).await?;
            let compiled = self.compile_with(call, &ground, &key, None, None).await?;
            match self
                .store
                .delete_policy(&key, expected, ground.revision, &audit)
                .await
            {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok(revision) => {
                    call.wrote(&Wrote {
                        action: "policy.delete",
                        policy: Some(&key),
                        revision: Some(revision),
                        ..Wrote::default()
                    });
                    self.adopt(&mut state, &ground, compiled, revision).await;
                    return Ok(());
                }
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// # Errors
    ///
    /// [`Code::NotFound`] where there is no such policy in the store, whatever became of its text.
    pub(super) async fn stored(&self, key: &PolicyKey) -> Result<()> {
        let record = self.store.policy_without_text(key).await?;
        record
            .map(drop)
            .ok_or_else(|| ServiceError::not_found("policy", &key.id))
    }

    fn may_write(&self, call: Call<'_>) -> Result<()> {
        call.require(Scope::Write)?;
        self.writable()
    }

    /// # Errors
    ///
    /// [`Code::ReadOnly`] where the policies come from elsewhere.
    pub(super) fn writable(&self) -> Result<()> {
        if self.origin != Origin::Store {
            return Err(ServiceError::new(
                Code::ReadOnly,
                format!("the policies come from {}", self.origin.describe()),
            ));
        }
        self.active.takes_sources()
    }

    /// What the compiler says about a document, stored nowhere.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], [`Code::Overloaded`]; a document with errors is an answer, not an error.
    pub async fn validate_policy(&self, call: Call<'_>, source: String, format: Format) -> Result<Validated> {
        call.require(Scope::Read)?;
        let problems = match self.check(call, source, format).await {
            Ok(Checked { warnings, .. }) => {
                return Ok(Validated {
                    valid: self.within_warnings(&warnings).is_ok(),
                    problems: warnings,
                });
            }
            Err(error) if error.code != Code::PolicyInvalid => return Err(error),
            Err(error) if error.diagnostics.is_empty() => vec![Problem {
                severity: "error".to_owned(),
                code: error.code.as_str().to_owned(),
                message: error.detail,
                file: String::new(),
                line: 1,
                column: 1,
                help: Vec::new(),
            }],
            Err(error) => error.diagnostics,
        };
        Ok(Validated {
            valid: false,
            problems,
        })
    }
}
