//! Policies: write, list, read, activate, roll back.
//!
//! A write is compiled together with everything that is active before it is stored, and stored only if nothing else
//! became active meanwhile; otherwise it is done again on the new state. So the store never holds active policies that do
//! not compile together, whatever several servers do at once.

use super::{Call, Service};
use crate::active::{self, State};
use crate::clock::now_ms;
use crate::config::Origin;
use crate::document::{self, Format, file_name};
use crate::error::{Code, Problem, Result, ServiceError};
use crate::identity::Scope;
use crate::storage::StoreError;
use crate::storage::model::{
    Activate, Expected, Page, PolicyFilter, PolicyRecord, PolicyStatus, PolicyVersion, PolicyWrite, Slice,
};
use policy_bytecode::manifest::PolicyInfo;
use policy_compiler::Compiler;
use policy_runtime::Policies;
use serde_json::json;
use std::collections::BTreeSet;

/// How often a write is done again when others come first.
const TRIES: usize = 16;

/// Versions that are looked at at once.
const VERSIONS: u32 = 50;

/// A policy after a write, and what the compiler warns of.
#[derive(Debug, Clone)]
pub struct Written {
    /// The policy.
    pub record: PolicyRecord,
    /// Warnings.
    pub warnings: Vec<Problem>,
}

/// A change to be stored.
struct Change<'w> {
    id: &'w str,
    expected: Expected,
    version: Option<PolicyVersion>,
    activate: Activate,
    approved_by: Option<String>,
    action: &'w str,
    namespace: &'w str,
    detail: serde_json::Value,
}

impl Service {
    /// Stores a policy that was not there.
    ///
    /// # Errors
    ///
    /// [`Code::PolicyInvalid`], [`Code::AlreadyExists`], [`Code::Forbidden`], [`Code::ReadOnly`], store errors.
    pub async fn create_policy(&self, call: Call<'_>, source: String, format: Format) -> Result<Written> {
        self.may_write(call)?;
        let (version, warnings) = self.check(call, source, format).await?;
        let id = version.id.clone();
        let record = self
            .put(call, &id, version, Expected::Nothing, "policy.create")
            .await?;
        Ok(Written { record, warnings })
    }

    /// Stores a new version of a policy.
    ///
    /// # Errors
    ///
    /// As [`Service::create_policy`], and [`Code::NotFound`], [`Code::VersionMismatch`].
    pub async fn update_policy(
        &self,
        call: Call<'_>,
        id: &str,
        source: String,
        format: Format,
        expected: Option<u64>,
    ) -> Result<Written> {
        self.may_write(call)?;
        let (version, warnings) = self.check(call, source, format).await?;
        if version.id != id {
            return Err(ServiceError::new(
                Code::MalformedRequest,
                format!("the document is the policy `{}`, not `{id}`", version.id),
            ));
        }
        let current = self.readable(call, id).await?;
        call.require_namespace(&current.latest.namespace)?;
        let expected = expected.map_or(Expected::Any, Expected::Version);
        let record = self.put(call, id, version, expected, "policy.update").await?;
        Ok(Written { record, warnings })
    }

    /// Makes an older version the newest one.
    ///
    /// # Errors
    ///
    /// As [`Service::update_policy`].
    pub async fn rollback_policy(
        &self,
        call: Call<'_>,
        id: &str,
        to: u64,
        expected: Option<u64>,
    ) -> Result<Written> {
        self.may_write(call)?;
        let current = self.readable(call, id).await?;
        call.require_namespace(&current.latest.namespace)?;
        let old = self
            .store
            .version(id, to)
            .await?
            .ok_or_else(|| ServiceError::not_found("version", &format!("{id}/{to}")))?;
        let format = if old.format == "json" {
            Format::Json
        } else {
            Format::Yaml
        };
        let (mut version, warnings) = self.check(call, old.source, format).await?;
        version.status = old.status;
        let expected = expected.map_or(Expected::Any, Expected::Version);
        let record = self.put(call, id, version, expected, "policy.rollback").await?;
        Ok(Written { record, warnings })
    }

    /// Reads and compiles one document, in the pool: how long that takes is the caller's choice, and it must not be at the
    /// cost of the decisions that this thread serves.
    pub(super) async fn check(
        &self,
        call: Call<'_>,
        source: impl AsRef<str> + Send + 'static,
        format: Format,
    ) -> Result<(PolicyVersion, Vec<Problem>)> {
        self.heavy
            .run(call.work(), move |stop| {
                document::check(source.as_ref(), format, stop)
            })
            .await?
    }

    async fn put(
        &self,
        call: Call<'_>,
        id: &str,
        mut version: PolicyVersion,
        expected: Expected,
        action: &str,
    ) -> Result<PolicyRecord> {
        call.require_namespace(&version.namespace)?;
        version.author = call.identity.subject.to_string();
        version.created_ms = now_ms();
        let activate = match (version.status, self.approval) {
            (_, true) => Activate::Unchanged,
            (PolicyStatus::Active, false) => Activate::Latest,
            (PolicyStatus::Draft | PolicyStatus::Deprecated, false) => Activate::None,
        };
        let detail = json!({"digest": version.digest, "status": version.status.as_str()});
        let namespace = version.namespace.clone();
        self.write(
            call,
            Change {
                id,
                expected,
                version: Some(version),
                activate,
                approved_by: None,
                action,
                namespace: &namespace,
                detail,
            },
        )
        .await
    }

    /// Activates the newest version of a policy, or ends that any is active.
    ///
    /// # Errors
    ///
    /// As [`Service::update_policy`]; [`Code::SelfApproval`] where approval is configured and the caller is the author.
    pub async fn set_policy_status(
        &self,
        call: Call<'_>,
        id: &str,
        status: PolicyStatus,
        expected: Option<u64>,
    ) -> Result<PolicyRecord> {
        let approves = self.approval && status == PolicyStatus::Active;
        call.require(if approves { Scope::Approve } else { Scope::Write })?;
        self.writable()?;
        let current = self.readable(call, id).await?;
        let latest = &current.latest;
        call.require_namespace(&latest.namespace)?;
        if approves {
            self.not_own_text(call, latest).await?;
        }
        // Whoever wrote the text stays its author; who changed the status stands in the audit trail.
        let version = (latest.status != status).then(|| PolicyVersion {
            status,
            created_ms: now_ms(),
            ..latest.clone()
        });
        // What is approved is what was looked at.
        let expected = Expected::Version(expected.unwrap_or(latest.version));
        let change = Change {
            id,
            expected,
            version,
            activate: if status == PolicyStatus::Active {
                Activate::Latest
            } else {
                Activate::None
            },
            approved_by: approves.then(|| call.identity.subject.to_string()),
            action: "policy.status",
            namespace: &latest.namespace,
            detail: json!({"status": status.as_str(), "version": latest.version}),
        };
        self.write(call, change).await
    }

    /// # Errors
    ///
    /// [`Code::SelfApproval`] where the caller wrote any version with this text: writing it down again, as a rollback does,
    /// does not make it somebody else's.
    async fn not_own_text(&self, call: Call<'_>, text: &PolicyVersion) -> Result<()> {
        let approver = self.person(&call.identity.subject).await?;
        let mut authors = BTreeSet::new();
        let mut page = Page {
            limit: VERSIONS,
            after: None,
        };
        loop {
            let slice = self.store.versions(&text.id, &page).await?;
            for version in slice.items.into_iter().filter(|v| v.digest == text.digest) {
                if !authors.insert(version.author.clone()) {
                    continue;
                }
                if self.person(&version.author).await?.is(&approver) {
                    let (author, number, id) = (&version.author, version.version, &version.id);
                    let detail = format!("`{author}` wrote version {number} of `{id}`, which has this text");
                    return Err(Self::self_approval(call, author, detail));
                }
            }
            match slice.next {
                Some(next) => page.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The error of somebody who approves what is their own, with what makes it so.
    pub(super) fn self_approval(call: Call<'_>, author: &str, detail: String) -> ServiceError {
        let subject = &call.identity.subject;
        let detail = if author == &**subject {
            detail
        } else {
            format!("{detail}; `{subject}` counts as the same person, because a key counts as who made it")
        };
        ServiceError::new(Code::SelfApproval, detail)
    }

    /// Removes a policy.
    ///
    /// # Errors
    ///
    /// As [`Service::update_policy`].
    pub async fn delete_policy(&self, call: Call<'_>, id: &str, expected: Option<u64>) -> Result<()> {
        self.may_write(call)?;
        let current = self.readable(call, id).await?;
        let namespace = &current.latest.namespace;
        call.require_namespace(namespace)?;
        let audit = call.audit(
            "policy.delete",
            id,
            namespace,
            &json!({"version": current.latest.version}),
        );
        for _ in 0..TRIES {
            let mut state = self.changeable(call).await?;
            let compiled = self.compile_with(call, &state, id, None).await?;
            let base = self.active.info().store_revision;
            match self.store.delete_policy(id, expected, base, &audit).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok(revision) => {
                    self.adopt(&mut state, compiled, revision);
                    return Ok(());
                }
            }
        }
        Err(StoreError::Conflict.into())
    }

    async fn write(&self, call: Call<'_>, change: Change<'_>) -> Result<PolicyRecord> {
        let audit = call.audit(change.action, change.id, change.namespace, &change.detail);
        let mut write = PolicyWrite {
            id: change.id.to_owned(),
            expected: change.expected,
            base: 0,
            version: change.version,
            activate: change.activate,
            approved_by: change.approved_by,
            quota: self.limits.quota,
        };
        for _ in 0..TRIES {
            let mut state = self.changeable(call).await?;
            let compiled = match write.activate {
                Activate::Unchanged => None,
                Activate::None => self.compile_with(call, &state, change.id, None).await?,
                Activate::Latest => {
                    let latest = match &write.version {
                        Some(version) => version.clone(),
                        None => self.latest(change.id).await?,
                    };
                    self.compile_with(call, &state, change.id, Some(&latest)).await?
                }
            };
            if let Some((_, policies)) = &compiled {
                self.within_quota(change.namespace, policies)?;
            }
            write.base = self.active.info().store_revision;
            match self.store.write_policy(&write, &audit).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok(record) => {
                    self.adopt(&mut state, compiled, record.revision);
                    return Ok(record);
                }
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Whether as many rules of a namespace may decide as would with these policies.
    ///
    /// # Errors
    ///
    /// [`Code::QuotaExceeded`] where they are more than may, and more than before.
    fn within_quota(&self, namespace: &str, policies: &Policies) -> Result<()> {
        let (most, now) = (self.limits.quota.rules, policies.rules_in(namespace) as u64);
        let before = || {
            self.active
                .engine()
                .map_or(0, |engine| engine.policies().rules_in(namespace) as u64)
        };
        if most == 0 || now <= most || now <= before() {
            return Ok(());
        }
        Err(ServiceError::new(
            Code::QuotaExceeded,
            format!("{now} rules of the namespace `{namespace}` would decide, and {most} may"),
        ))
    }

    /// The state to change, following the store; an error where policies cannot be changed here.
    async fn changeable(&self, call: Call<'_>) -> Result<active::Change<'_>> {
        let mut state = self.active.change_for(call.work()).await?;
        self.active.follow_locked(&*self.store, &mut state).await?;
        if let Some(failure) = &self.active.info().failure {
            // Only another version of this program can have stored it, and only that can tell what fits to it.
            return Err(ServiceError::new(
                Code::NotReady,
                format!("this server cannot run what is stored: {failure}"),
            ));
        }
        if state.bundle {
            return Err(ServiceError::new(
                Code::ReadOnly,
                "a bundle is active; `DELETE /api/v1/bundle` goes back to the stored policies",
            ));
        }
        Ok(state)
    }

    /// The active set with another version of one policy, or without it; `None` when that changes nothing.
    async fn compile_with(
        &self,
        call: Call<'_>,
        state: &State,
        id: &str,
        version: Option<&PolicyVersion>,
    ) -> Result<Option<(Compiler, Policies)>> {
        let mut compiler = Compiler::clone(&state.compiler);
        let keep = version.map(|version| file_name(id, &version.format));
        let mut changed = false;
        for format in [Format::Yaml, Format::Json] {
            let name = file_name(id, format.as_str());
            if Some(&name) != keep.as_ref() {
                changed |= compiler.remove(&name);
            }
        }
        if let (Some(name), Some(version)) = (keep, version) {
            changed |= compiler
                .file(&name)
                .is_none_or(|file| file.text() != &*version.source);
            compiler.set(name, &*version.source);
        }
        if !changed {
            return Ok(None);
        }
        Ok(Some(self.active.compile(compiler, call.work()).await?))
    }

    fn adopt(&self, state: &mut State, compiled: Option<(Compiler, Policies)>, revision: u64) {
        match compiled {
            Some((compiler, policies)) => self.active.adopt_sources(state, compiler, policies, revision),
            None => self.active.note_revision(revision),
        }
    }

    async fn latest(&self, id: &str) -> Result<PolicyVersion> {
        let record = self.store.policy(id).await?;
        record
            .map(|record| record.latest)
            .ok_or_else(|| ServiceError::not_found("policy", id))
    }

    fn may_write(&self, call: Call<'_>) -> Result<()> {
        call.require(Scope::Write)?;
        self.writable()
    }

    /// # Errors
    ///
    /// [`Code::ReadOnly`] where the policies come from elsewhere.
    fn writable(&self) -> Result<()> {
        if self.origin != Origin::Store {
            return Err(ServiceError::new(
                Code::ReadOnly,
                format!("the policies come from {}", self.origin.describe()),
            ));
        }
        self.active.takes_sources()
    }

    /// A policy that the caller may read; otherwise there is none.
    async fn readable(&self, call: Call<'_>, id: &str) -> Result<PolicyRecord> {
        let record = match self.origin {
            Origin::Store => self.store.policy(id).await?.map(|record| self.deciding(record)),
            Origin::Directory(_) | Origin::BundleFile(_) | Origin::BundleUrl(_) => {
                self.loaded(|policy| policy.id == id, 1)?.pop()
            }
        };
        record
            .filter(|record| call.identity.may_read(&record.latest.namespace))
            .ok_or_else(|| ServiceError::not_found("policy", id))
    }

    /// A stored policy as it takes part in decisions: while a bundle decides, no version of it does.
    fn deciding(&self, record: PolicyRecord) -> PolicyRecord {
        if self.active.info().digest.is_none() {
            return record;
        }
        PolicyRecord {
            active_version: None,
            approved_by: None,
            ..record
        }
    }

    /// One policy.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`], [`Code::Forbidden`], store errors.
    pub async fn policy(&self, call: Call<'_>, id: &str) -> Result<PolicyRecord> {
        call.require(Scope::Read)?;
        self.readable(call, id).await
    }

    /// Policies, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], store errors.
    pub async fn policies(
        &self,
        call: Call<'_>,
        namespace: Option<&str>,
        status: Option<PolicyStatus>,
        page: &Page,
    ) -> Result<Slice<PolicyRecord>> {
        call.require(Scope::Read)?;
        let namespaces = match (namespace, call.identity.namespaces.as_deref()) {
            (Some(one), _) if call.identity.may_read(one) => Some(vec![one.to_owned()]),
            (Some(one), _) => {
                call.require_namespace(one)?;
                None
            }
            (None, None) => None,
            (None, Some(own)) => Some(own.iter().cloned().chain(["global".to_owned()]).collect()),
        };
        let filter = PolicyFilter { namespaces, status };
        if self.origin == Origin::Store {
            let mut slice = self.store.policies(&filter, page).await?;
            slice.items = slice
                .items
                .into_iter()
                .map(|record| self.deciding(record))
                .collect();
            return Ok(slice);
        }
        let most = page.limit as usize;
        // What decides is active.
        let wanted = |policy: &PolicyInfo| {
            let own = filter.namespaces.as_ref();
            own.is_none_or(|own| own.contains(&policy.namespace))
                && filter.status.is_none_or(|status| status == PolicyStatus::Active)
                && page.after.as_ref().is_none_or(|after| policy.id > *after)
        };
        let mut items = self.loaded(wanted, most.saturating_add(1))?;
        let next =
            (items.len() > most).then(|| items.get(most.saturating_sub(1)).map(|r| r.latest.id.clone()));
        items.truncate(most);
        Ok(Slice {
            items,
            next: next.flatten(),
        })
    }

    /// Policies that decide, where they do not come from the store, each in its only version: the first `most` that are wanted,
    /// in the order of their ids.
    fn loaded(&self, wanted: impl Fn(&PolicyInfo) -> bool, most: usize) -> Result<Vec<PolicyRecord>> {
        let sources = self.active.sources();
        let info = self.active.info();
        let policies = self.active.engine()?.policies();
        let manifest = policies.manifest();
        let mut found: Vec<&PolicyInfo> = manifest.policies.iter().filter(|policy| wanted(policy)).collect();
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        found.truncate(most);
        let record = |policy: &PolicyInfo| {
            let name = manifest
                .files
                .get(policy.file as usize)
                .map_or("", String::as_str);
            // Bundles hold no source text, and no digest of it.
            let file = sources.compiler.file(name);
            let source = file.map_or("", |file| file.text());
            let digest = file.map_or_else(String::new, |_| document::digest(source));
            let version = PolicyVersion {
                id: policy.id.clone(),
                version: 1,
                namespace: policy.namespace.clone(),
                name: policy.name.clone(),
                document_version: policy.version.clone(),
                status: PolicyStatus::Active,
                source: source.into(),
                format: if name.ends_with(".json") { "json" } else { "yaml" }.to_owned(),
                digest,
                author: name.to_owned(),
                created_ms: info.activated_ms,
            };
            PolicyRecord {
                latest: version,
                active_version: Some(1),
                pending_approval: false,
                approved_by: None,
                created_ms: info.activated_ms,
                updated_ms: info.activated_ms,
                revision: 0,
            }
        };
        Ok(found.into_iter().map(record).collect())
    }

    /// Versions of a policy, newest first. They stay when the policy is removed.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`], [`Code::Forbidden`], store errors.
    pub async fn policy_versions(
        &self,
        call: Call<'_>,
        id: &str,
        page: &Page,
    ) -> Result<Slice<PolicyVersion>> {
        call.require(Scope::Read)?;
        if self.origin != Origin::Store {
            let only = self.readable(call, id).await?.latest;
            let seen = page.after.is_some();
            return Ok(Slice {
                items: if seen { Vec::new() } else { vec![only] },
                next: None,
            });
        }
        let slice = self.store.versions(id, page).await?;
        let hidden = |version: &PolicyVersion| !call.identity.may_read(&version.namespace);
        if (slice.items.is_empty() && page.after.is_none()) || slice.items.iter().any(hidden) {
            return Err(ServiceError::not_found("policy", id));
        }
        Ok(slice)
    }

    /// One version of a policy.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`], [`Code::Forbidden`], store errors.
    pub async fn policy_version(&self, call: Call<'_>, id: &str, version: u64) -> Result<PolicyVersion> {
        call.require(Scope::Read)?;
        let found = match self.origin {
            Origin::Store => self.store.version(id, version).await?,
            Origin::Directory(_) | Origin::BundleFile(_) | Origin::BundleUrl(_) => {
                Some(self.readable(call, id).await?.latest).filter(|only| only.version == version)
            }
        };
        found
            .filter(|version| call.identity.may_read(&version.namespace))
            .ok_or_else(|| ServiceError::not_found("version", &format!("{id}/{version}")))
    }

    /// What the compiler says about a document, stored nowhere.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], [`Code::Overloaded`]; a document with errors is an answer, not an error.
    pub async fn validate_policy(
        &self,
        call: Call<'_>,
        source: String,
        format: Format,
    ) -> Result<Vec<Problem>> {
        call.require(Scope::Read)?;
        match self.check(call, source, format).await {
            Ok((_, warnings)) => Ok(warnings),
            Err(error) if error.code != Code::PolicyInvalid => Err(error),
            Err(error) if error.diagnostics.is_empty() => Ok(vec![Problem {
                severity: "error".to_owned(),
                code: error.code.as_str().to_owned(),
                message: error.detail,
                file: String::new(),
                line: 1,
                column: 1,
                help: Vec::new(),
            }]),
            Err(error) => Ok(error.diagnostics),
        }
    }
}
