//! Policies: write, list, read, activate, roll back.
//!
//! A write is compiled together with everything that is active before it is stored, and stored only if nothing else
//! became active meanwhile; otherwise it is done again on the new state. So the store never holds active policies that do
//! not compile together, whatever several servers do at once.
//!
//! # Namespaces
//!
//! A policy is identified by its namespace and id. Callers name it by its id alone, where what they see makes the namespace clear
//! (`Service::locate`); no answer depends on policies of namespaces that they do not see.

use super::approvals::Waiting;
use super::simulate::{end_of_document, key_of, only};
use super::{Call, Service, Wrote};
use crate::active::{self, Ground, State};
use crate::clock::now_ms;
use crate::config::Origin;
use crate::document::{self, Format, Sight, file_name};
use crate::error::{Code, Problem, Result, ServiceError};
use crate::heavy::Stop;
use crate::identity::{GLOBAL, Scope};
use crate::storage::model::{
    Activate, Approval, Expected, IdPlace, Page, PolicyFilter, PolicyKey, PolicyRecord, PolicyStatus,
    PolicyVersion, PolicyWrite, Slice,
};
use crate::storage::{PLACES, StoreError};
use crate::telemetry::request::{self, About};
use policy_bytecode::manifest::PolicyInfo;
use policy_compiler::{Compiler, Resource};
use policy_grammar::{SourceFile, SourceMap, parse_source, without_imports};
use policy_runtime::Policies;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How often a write is done again when others come first.
const TRIES: usize = 16;

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

/// A version of a policy as a caller sees it.
#[derive(Debug, Clone)]
pub struct SeenVersion {
    /// The version.
    pub version: PolicyVersion,
    /// Whether it decides.
    pub active: bool,
    /// What it waits for, where it does.
    pub waiting: Option<Waiting>,
}

/// Which policies to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'w> {
    /// Only of this namespace.
    pub namespace: Option<&'w str>,
    /// Only where the newest version has this status.
    pub status: Option<PolicyStatus>,
    /// Only where this became of the newest version.
    pub approval: Option<Approval>,
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

/// A change to be stored.
struct Change<'w> {
    key: &'w PolicyKey,
    expected: Expected,
    version: Option<PolicyVersion>,
    activate: Activate,
    approved_by: Option<String>,
    action: &'w str,
    detail: serde_json::Value,
}

/// The error where an id alone does not say which policy is meant. Names only namespaces of the caller.
fn ambiguous(id: &str, namespaces: &[String]) -> ServiceError {
    let names = namespaces.join(", ");
    let more = if namespaces.len() < PLACES {
        ""
    } else {
        " and more"
    };
    ServiceError::new(
        Code::AmbiguousPolicy,
        format!("the namespaces {names}{more} have or had a policy `{id}`: name one with `namespace`"),
    )
}

/// Whether a namespace may take what it takes of the ceilings of the compiler, of which each is for all policies that decide:
/// who fills one fails the next write of everybody else. `global` is the operators' own, and may take all of it.
///
/// # Errors
///
/// [`Code::QuotaExceeded`] where it is more than so many percent of a ceiling, and more than before.
fn within_share(namespace: &str, percent: u8, before: &Compiler, after: &Compiler) -> Result<()> {
    if percent == 0 || namespace == GLOBAL {
        return Ok(());
    }
    let own = |compiler: &Compiler| compiler.usage().remove(namespace).unwrap_or_default();
    let limits = &after.options().compile_limits;
    let (now, mut known) = (own(after), None);
    for resource in Resource::ALL.iter().copied() {
        let ceiling = limits.of(resource);
        let most = ceiling.saturating_mul(usize::from(percent)) / 100;
        let used = now.of(resource);
        if used <= most || used <= known.get_or_insert_with(|| own(before)).of(resource) {
            continue;
        }
        let what = resource.as_str();
        return Err(ServiceError::new(
            Code::QuotaExceeded,
            format!(
                "the policies of the namespace `{namespace}` that decide would take {used} {what}, and may take {most}: \
                 {percent} % of the {ceiling} that all namespaces have together"
            ),
        ));
    }
    Ok(())
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
        let (version, warnings) = self.check(call, source, format).await?;
        let put = self.put(call, version, &warnings, Expected::Nothing, "policy.create");
        let policy = put.await?;
        Ok(Written { policy, warnings })
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
        let (version, warnings) = self.check(call, source, format).await?;
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
        let put = self.put(call, version, &warnings, expected, "policy.update");
        let policy = put.await?;
        Ok(Written { policy, warnings })
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
        let format = Format::of_name(&old.format);
        let (mut version, warnings) = self.check(call, old.source, format).await?;
        version.status = old.status;
        let expected = expected.map_or(Expected::Any, Expected::Version);
        let put = self.put(call, version, &warnings, expected, "policy.rollback");
        let policy = put.await?;
        Ok(Written { policy, warnings })
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
        mut version: PolicyVersion,
        warnings: &[Problem],
        expected: Expected,
        action: &'static str,
    ) -> Result<Seen> {
        let key = version.key();
        let meant = match expected {
            Expected::Version(number) => Some(number),
            Expected::Nothing | Expected::Any => None,
        };
        call.is_about(action, (&key.id, Some(&key.namespace)), meant);
        call.require_namespace(&key.namespace)?;
        self.within_warnings(warnings)?;
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
                activate,
                approved_by: None,
                action,
                detail,
            },
        );
        let record = record.await?;
        let warned = document::warnings_of(&key, warnings);
        warned.iter().for_each(document::Warning::log);
        // What was read before the write: now that it is done, nothing may fail.
        let waiting = record.pending_approval.then(|| Waiting {
            since_ms: record.latest.created_ms,
            scope: self.activating_scope(),
            authors: authors.into_iter().collect(),
            may_approve: false,
        });
        Ok(Seen { record, waiting })
    }

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
        if status == PolicyStatus::Active && self.strict {
            let format = Format::of_name(&latest.format);
            let (_, warnings) = self.check(call, Arc::clone(&latest.source), format).await?;
            self.within_warnings(&warnings)?;
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

    /// # Errors
    ///
    /// [`Code::PolicyInvalid`] where the compiler warns of something, and that is an error here.
    fn within_warnings(&self, warnings: &[Problem]) -> Result<()> {
        if !self.strict || warnings.is_empty() {
            return Ok(());
        }
        Err(document::warned(warnings.to_vec()))
    }

    /// # Errors
    ///
    /// [`Code::SelfApproval`] where the caller wrote any version with this text: writing it down again, as a rollback does,
    /// does not make it somebody else's.
    async fn not_own_text(&self, call: Call<'_>, text: &PolicyVersion) -> Result<()> {
        let approver = self.person(&call.identity.subject).await?;
        for (author, number) in self.store.authors(&text.key(), &text.digest).await? {
            if self.person(&author).await?.is(&approver) {
                let detail = format!(
                    "`{author}` wrote version {number} of `{}`, which has this text",
                    text.id
                );
                return Err(Self::self_approval(call, &author, detail));
            }
        }
        Ok(())
    }

    /// The error of somebody who approves without saying what.
    pub(super) fn unnamed(detail: &str) -> ServiceError {
        ServiceError::new(Code::PreconditionRequired, detail)
    }

    /// The error of somebody who approves what is their own, with what makes it so.
    pub(super) fn self_approval(call: Call<'_>, author: &str, detail: String) -> ServiceError {
        let subject = &call.identity.subject;
        let detail = if author == &**subject {
            detail
        } else {
            format!(
                "{detail}; `{subject}` counts as the same person, because a key counts as who made it and as who \
                 rotated it"
            )
        };
        ServiceError::new(Code::SelfApproval, detail)
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
            let compiled = self.compile_with(call, &ground, &key, None).await?;
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

    async fn write(&self, call: Call<'_>, change: Change<'_>) -> Result<PolicyRecord> {
        let key = change.key;
        let audit = call.audit(change.action, &key.id, &key.namespace, &change.detail);
        let mut write = PolicyWrite {
            key: key.clone(),
            expected: change.expected,
            base: 0,
            version: change.version,
            activate: change.activate,
            approved_by: change.approved_by,
            quota: self.limits.quota,
        };
        for _ in 0..TRIES {
            let (mut state, ground) = self.changeable(call, key).await?;
            let compiled = match write.activate {
                Activate::Unchanged => None,
                Activate::None => self.compile_with(call, &ground, key, None).await?,
                Activate::Latest => {
                    let latest = match &write.version {
                        Some(version) => version.clone(),
                        None => self.latest(key).await?,
                    };
                    self.compile_with(call, &ground, key, Some(&latest)).await?
                }
            };
            if let Some((_, policies)) = &compiled {
                self.within_quota(&key.namespace, policies)?;
            }
            write.base = ground.revision;
            match self.store.write_policy(&write, &audit).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok(record) => {
                    call.wrote(&Wrote::policy(change.action, key, &record));
                    self.adopt(&mut state, &ground, compiled, record.revision).await;
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

    /// The state to change, following the store, and what a change of this policy is checked against; an error where it cannot
    /// be changed here. A policy whose text was changed in the store can be: that is how an operator puts it right.
    async fn changeable(&self, call: Call<'_>, key: &PolicyKey) -> Result<(active::Change<'_>, Ground)> {
        let mut state = self.active.change_for(call.work()).await?;
        // What is wrong with what is stored may be wrong with anybody's policies.
        let what = "this server cannot run what is stored";
        let bound = call.identity.namespaces.is_some();
        let followed = self.active.follow_locked(&*self.store, &mut state).await;
        let is_torn = followed
            .as_ref()
            .is_err_and(|error| error.code == Code::TextChanged);
        if is_torn && let Some(ground) = state.repair(key) {
            self.active.takes_sources()?;
            return Ok((state, ground));
        }
        followed.map_err(|error| match error.code {
            Code::PolicyInvalid | Code::TextChanged | Code::InvalidBundle | Code::UntrustedBundle
                if bound =>
            {
                ServiceError::new(Code::NotReady, what)
            }
            _other => error,
        })?;
        if let Some(failure) = &self.active.info().failure {
            // Only another version of this program can have stored it, and only that can tell what fits to it.
            return Err(ServiceError::new(
                Code::NotReady,
                if bound {
                    what.to_owned()
                } else {
                    format!("{what}: {failure}")
                },
            ));
        }
        if state.bundle {
            return Err(ServiceError::new(
                Code::ReadOnly,
                "a bundle is active; end it with `DELETE /api/v1/bundle` (`policyc delete --bundle`) to change the stored policies",
            ));
        }
        let ground = self.active.ground(&state);
        Ok((state, ground))
    }

    /// The active set with another version of one policy, or without it; `None` when that changes nothing.
    ///
    /// # Errors
    ///
    /// As [`active::build`], [`within_share`] and [`Heavy::run`](crate::heavy::Heavy::run).
    async fn compile_with(
        &self,
        call: Call<'_>,
        ground: &Ground,
        key: &PolicyKey,
        version: Option<&PolicyVersion>,
    ) -> Result<Option<(Compiler, Policies)>> {
        let mut compiler = Compiler::clone(&ground.compiler);
        let keep = version.map(|version| file_name(key, &version.format));
        let mut changed = false;
        for format in [Format::Yaml, Format::Json] {
            let name = file_name(key, format.as_str());
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
        let (sight, before) = (Sight::stored(call.identity), Arc::clone(&ground.compiler));
        let (namespace, percent) = (key.namespace.clone(), self.limits.quota.share);
        let job = move |stop: &Stop| {
            let built = active::build(compiler, &sight, stop)?;
            within_share(&namespace, percent, &before, &built.0)?;
            Ok(built)
        };
        self.heavy.run(call.work(), job).await?.map(Some)
    }

    /// Makes a change here that was stored.
    async fn adopt(
        &self,
        state: &mut State,
        ground: &Ground,
        compiled: Option<(Compiler, Policies)>,
        revision: u64,
    ) {
        match compiled {
            // What runs and what is stored differ in more than this change. What is wrong with the rest is noted, and no error of
            // the caller's.
            Some(_) | None if !ground.is_whole => {
                drop(self.active.follow_locked(&*self.store, state).await);
            }
            Some((compiler, policies)) => self.active.adopt_sources(state, compiler, policies, revision),
            None => self.active.note_revision(revision),
        }
    }

    async fn latest(&self, key: &PolicyKey) -> Result<PolicyVersion> {
        let record = self.store.policy(key).await?;
        record
            .map(|record| record.latest)
            .ok_or_else(|| ServiceError::not_found("policy", &key.id))
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

    /// Which policy a caller means: the one in the namespace that they name; else the one of their own namespaces; else that of
    /// `global`. Policies that are there come before those of which only versions are left, unless a version is `numbered`:
    /// numbers count in each namespace by themselves, so that one who looked at a policy that is gone by now must not mean
    /// another one of its id and number.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`] for a namespace that is not theirs to read, [`Code::NotFound`], [`Code::AmbiguousPolicy`] where
    /// several of their own namespaces have the id, or ever had it where a version is numbered.
    pub(super) async fn locate(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        numbered: bool,
    ) -> Result<PolicyKey> {
        let id = name.id;
        if let Some(namespace) = name.namespace {
            if !call.identity.may_read(namespace) {
                call.require_namespace(namespace)?;
            }
            return Ok(PolicyKey::new(namespace, id));
        }
        let among = call.identity.readable();
        let places = match self.origin {
            Origin::Store => self.store.places(id, among.as_deref()).await?,
            Origin::Directory(_) | Origin::BundleFile(_) | Origin::BundleUrl(_) => {
                let policies = self.active.engine()?.policies();
                let named = policies.manifest().policies.iter().filter(|p| p.id == id);
                let namespaces = named.map(|p| &p.namespace);
                namespaces
                    .filter(|n| call.identity.may_read(n))
                    .map(|n| IdPlace {
                        namespace: n.clone(),
                        exists: true,
                    })
                    .collect()
            }
        };
        let own = |places: &mut dyn Iterator<Item = &IdPlace>| -> Vec<String> {
            places
                .map(|place| &place.namespace)
                .filter(|namespace| call.identity.may_touch(namespace))
                .cloned()
                .collect()
        };
        if numbered && let several @ [_, _, ..] = own(&mut places.iter()).as_slice() {
            return Err(ambiguous(id, several));
        }
        for exists in [true, false] {
            let there = || places.iter().filter(|place| place.exists == exists);
            match own(&mut there()).as_slice() {
                [] => {}
                [only] => return Ok(PolicyKey::new(only, id)),
                several => return Err(ambiguous(id, several)),
            }
            if there().any(|place| place.namespace == GLOBAL) {
                return Ok(PolicyKey::new(GLOBAL, id));
            }
        }
        Err(ServiceError::not_found("policy", id))
    }

    /// A policy that the caller may read; otherwise there is none.
    async fn readable(&self, call: Call<'_>, name: PolicyName<'_>, numbered: bool) -> Result<PolicyRecord> {
        let key = self.locate(call, name, numbered).await?;
        let record = match self.origin {
            Origin::Store => self.store.policy(&key).await?.map(|record| self.deciding(record)),
            Origin::Directory(_) | Origin::BundleFile(_) | Origin::BundleUrl(_) => self
                .loaded(
                    |policy| policy.namespace == key.namespace && policy.id == key.id,
                    1,
                )?
                .pop(),
        };
        let record = record.ok_or_else(|| ServiceError::not_found("policy", name.id))?;
        self.alone(call, record).await
    }

    /// A policy without the others that its file holds, for whoever is bound to namespaces: they may be of any. Of files that it
    /// imports, the constants that it uses stand in its text.
    async fn alone(&self, call: Call<'_>, mut record: PolicyRecord) -> Result<PolicyRecord> {
        if call.identity.namespaces.is_none() || !matches!(self.origin, Origin::Directory(_)) {
            return Ok(record);
        }
        let (key, sources) = (record.latest.key(), self.active.sources());
        // What is loaded has its file where others have their author.
        let name = record.latest.author.clone();
        let own = move |_: &_| own_text(&sources.compiler.sources(), &name, &key);
        let source = self.heavy.run(call.work(), own).await?.ok_or_else(|| {
            ServiceError::new(
                Code::Conflict,
                format!(
                    "the text of policy `{}` cannot be told from that of its file now",
                    record.latest.id
                ),
            )
        })?;
        record.latest.digest = document::digest(&source);
        record.latest.source = source.into();
        Ok(record)
    }

    /// A stored policy as it takes part in decisions: while a bundle decides, no version of it does.
    pub(super) fn deciding(&self, record: PolicyRecord) -> PolicyRecord {
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
    pub async fn policy(&self, call: Call<'_>, name: PolicyName<'_>) -> Result<Seen> {
        call.require(Scope::Read)?;
        let record = self.readable(call, name, false).await?;
        self.seen(call, record).await
    }

    /// Policies, in the order of their ids, then of their namespaces.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], [`Code::MalformedRequest`] for a cursor that no page gave, store errors.
    pub async fn policies(&self, call: Call<'_>, wanted: Wanted<'_>, page: &Page) -> Result<Slice<Seen>> {
        call.require(Scope::Read)?;
        let namespaces = match (wanted.namespace, call.identity.namespaces.as_deref()) {
            (Some(one), _) if call.identity.may_read(one) => Some(vec![one.to_owned()]),
            (Some(one), _) => {
                call.require_namespace(one)?;
                None
            }
            (None, None) => None,
            (None, Some(_)) => call.identity.readable(),
        };
        let after = page.after.as_ref().map(|cursor| {
            PolicyKey::of_cursor(cursor).ok_or_else(|| {
                ServiceError::new(
                    Code::MalformedRequest,
                    format!("`cursor` is the `next` of the page before, not `{cursor}`"),
                )
            })
        });
        let after = after.transpose()?;
        let filter = PolicyFilter {
            namespaces,
            status: wanted.status,
            approval: wanted.approval,
        };
        if self.origin == Origin::Store {
            let slice = self.store.policies(&filter, page).await?;
            let records = slice.items.into_iter().map(|record| self.deciding(record));
            return Ok(Slice {
                items: self.all_seen(call, records.collect()).await?,
                next: slice.next,
            });
        }
        let most = page.limit as usize;
        // What decides is active.
        let wanted = |policy: &PolicyInfo| {
            let own = filter.namespaces.as_ref();
            own.is_none_or(|own| own.contains(&policy.namespace))
                && filter.status.is_none_or(|status| status == PolicyStatus::Active)
                && filter.approval.is_none()
                && after
                    .as_ref()
                    .is_none_or(|after| (policy.id.as_str(), policy.namespace.as_str()) > after.place())
        };
        let mut items = self.loaded(wanted, most.saturating_add(1))?;
        let more = items.len() > most;
        items.truncate(most);
        let next = items.last().filter(|_| more).map(|r| r.latest.key().cursor());
        Ok(Slice {
            items: self.all_seen(call, items).await?,
            next,
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
        found.sort_unstable_by(|a, b| (&a.id, &a.namespace).cmp(&(&b.id, &b.namespace)));
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
                rejection: None,
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
        name: PolicyName<'_>,
        page: &Page,
    ) -> Result<Slice<SeenVersion>> {
        call.require(Scope::Read)?;
        if self.origin != Origin::Store {
            let only = self.readable(call, name, false).await?;
            let seen = page.after.is_some();
            return Ok(Slice {
                items: if seen {
                    Vec::new()
                } else {
                    vec![Self::loaded_version(only)]
                },
                next: None,
            });
        }
        let key = self.locate(call, name, false).await?;
        let slice = self.store.versions(&key, page).await?;
        if slice.items.is_empty() && page.after.is_none() {
            return Err(ServiceError::not_found("policy", name.id));
        }
        Ok(Slice {
            items: self.seen_versions(call, &key, slice.items).await?,
            next: slice.next,
        })
    }

    /// The only version of a policy that comes from elsewhere than the store: it decides.
    fn loaded_version(record: PolicyRecord) -> SeenVersion {
        SeenVersion {
            version: record.latest,
            active: true,
            waiting: None,
        }
    }

    /// Versions of a policy, and what each is to it now. One that was removed has none that decides or waits.
    async fn seen_versions(
        &self,
        call: Call<'_>,
        key: &PolicyKey,
        versions: Vec<PolicyVersion>,
    ) -> Result<Vec<SeenVersion>> {
        let policy = match self.store.policy_without_text(key).await? {
            Some(record) => Some(self.seen(call, self.deciding(record)).await?),
            None => None,
        };
        let seen = |version: PolicyVersion| {
            let of_policy = policy.as_ref();
            let newest = of_policy.filter(|policy| policy.record.latest.version == version.version);
            SeenVersion {
                active: of_policy.is_some_and(|p| p.record.active_version == Some(version.version)),
                waiting: newest.and_then(|policy| policy.waiting.clone()),
                version,
            }
        };
        Ok(versions.into_iter().map(seen).collect())
    }

    /// One version of a policy.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`], [`Code::Forbidden`], store errors.
    pub async fn policy_version(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        version: u64,
    ) -> Result<SeenVersion> {
        call.require(Scope::Read)?;
        let found = match self.origin {
            Origin::Store => {
                let key = self.locate(call, name, false).await?;
                let found = self.store.version(&key, version).await?;
                self.seen_versions(call, &key, found.into_iter().collect())
                    .await?
                    .pop()
            }
            Origin::Directory(_) | Origin::BundleFile(_) | Origin::BundleUrl(_) => {
                let only = Self::loaded_version(self.readable(call, name, false).await?);
                Some(only).filter(|only| only.version.version == version)
            }
        };
        found.ok_or_else(|| ServiceError::not_found("version", &format!("{}/{version}", name.id)))
    }

    /// What the compiler says about a document, stored nowhere.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], [`Code::Overloaded`]; a document with errors is an answer, not an error.
    pub async fn validate_policy(&self, call: Call<'_>, source: String, format: Format) -> Result<Validated> {
        call.require(Scope::Read)?;
        let problems = match self.check(call, source, format).await {
            Ok((_, warnings)) => {
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

/// The text of one policy of a file: without the other documents of the file, and with the constants that it imports in its
/// `let`. `None` where the file holds no such policy, or its imports cannot be written into it.
fn own_text(sources: &SourceMap, name: &str, key: &PolicyKey) -> Option<String> {
    let (id, file) = sources.iter().find(|(_, file)| file.name() == name)?;
    let text = match parse_source(sources, id).imports.is_empty() {
        true => file.text().to_owned(),
        false => without_imports(sources, id)?,
    };
    let mut map = SourceMap::new();
    let id = map.add(SourceFile::new(name, text.as_str()));
    let policies = parse_source(&map, id).policies;
    let policy = policies.iter().find(|policy| key_of(policy) == *key)?;
    let is_json = name.ends_with(".json");
    // Definitions are documents, too, and may be meant for others.
    let shared = policies.len() > 1
        || match is_json {
            true => text.trim_start().starts_with('['),
            false => end_of_document(&text).is_some(),
        };
    match shared {
        true => Some(only(map.file(id)?, policy, is_json).trim().to_owned() + "\n"),
        false => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::within_share;
    use crate::error::Code;
    use policy_compiler::{CompileLimits, Compiler, Options};

    /// A set with these policies, each of a namespace and with so many values, where 100 are the ceiling.
    fn set(policies: &[(&str, usize)]) -> Compiler {
        let mut compiler = Compiler::new(Options {
            compile_limits: CompileLimits {
                constants: 100,
                ..CompileLimits::default()
            },
            ..Options::default()
        });
        for (i, (namespace, values)) in policies.iter().enumerate() {
            // The list is a value too.
            let list: Vec<String> = (1..*values).map(|n| format!("v{n}")).collect();
            let text = format!(
                "metadata: {{id: p{i}, name: P, namespace: {namespace}}}\nrules:\n- id: r\n  condition: {{operator: in, field: \
                 llm.model, value: [{}]}}\n  action: {{decision: deny}}\n",
                list.join(", ")
            );
            compiler.set(format!("{i}.yaml"), text);
        }
        compiler.build().unwrap();
        compiler
    }

    #[test]
    fn a_namespace_takes_no_more_than_its_share_unless_it_took_more_before() {
        let within = |namespace: &str, percent, before: &[(&str, usize)], after: &[(&str, usize)]| {
            within_share(namespace, percent, &set(before), &set(after))
        };
        let others = ("other", 60);
        within("team", 30, &[others], &[others, ("team", 30)]).unwrap();
        let refused = within("team", 30, &[others], &[others, ("team", 31)]).unwrap_err();
        assert_eq!(refused.code, Code::QuotaExceeded);
        assert_eq!(
            refused.detail,
            "the policies of the namespace `team` that decide would take 31 values, and may take 30: 30 % of the 100 that all \
             namespaces have together"
        );
        // All of its policies together.
        within("team", 30, &[("team", 16)], &[("team", 16), ("team", 15)]).unwrap_err();
        within("team", 0, &[], &[("team", 90)]).unwrap();
        within("global", 30, &[], &[("global", 90)]).unwrap();
        // What is there already may stay and become less, and grow again to its share only.
        within("team", 30, &[("team", 50)], &[("team", 50)]).unwrap();
        within("team", 30, &[("team", 50)], &[("team", 40)]).unwrap();
        within("team", 30, &[("team", 50)], &[]).unwrap();
        within("team", 30, &[("team", 50)], &[("team", 51)]).unwrap_err();
        // Who stands above a share is nobody else's concern.
        within("other", 30, &[("team", 50)], &[("team", 50), ("other", 30)]).unwrap();
    }
}
