//! One change of what is stored: compiled together with everything that is active before it is stored, and stored only if nothing
//! else became active meanwhile; otherwise it is done again on the new state. So the store never holds active policies that do
//! not compile together, whatever several servers do at once.

use crate::active::{self, Ground, State};
use crate::document::{Alone, Format, Sight, file_name};
use crate::error::{Code, Result, ServiceError};
use crate::heavy::Stop;
use crate::identity::GLOBAL;
use crate::service::{Call, Service, Wrote};
use crate::storage::StoreError;
use crate::storage::model::{Activate, Expected, PolicyKey, PolicyRecord, PolicyVersion, PolicyWrite};
use policy_compiler::{Compiler, Resource};
use policy_runtime::Policies;
use std::sync::Arc;

/// How often a write is done again when others come first.
pub(super) const TRIES: usize = 16;

/// A change to be stored.
pub(super) struct Change<'w> {
    pub(super) key: &'w PolicyKey,
    pub(super) expected: Expected,
    pub(super) version: Option<PolicyVersion>,
    /// What the text that becomes active was compiled with alone, where it was.
    pub(super) alone: Option<Alone>,
    pub(super) activate: Activate,
    pub(super) approved_by: Option<String>,
    pub(super) action: &'w str,
    pub(super) detail: serde_json::Value,
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
    pub(super) async fn write(&self, call: Call<'_>, change: Change<'_>) -> Result<PolicyRecord> {
        let (key, alone) = (change.key, change.alone);
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
                Activate::None => self.compile_with(call, &ground, key, None, None).await?,
                Activate::Latest => {
                    let latest = match &write.version {
                        Some(version) => version.clone(),
                        None => self.latest(key).await?,
                    };
                    self.compile_with(call, &ground, key, Some(&latest), alone.as_ref())
                        .await?
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
    pub(super) async fn changeable(
        &self,
        call: Call<'_>,
        key: &PolicyKey,
    ) -> Result<(active::Change<'_>, Ground)> {
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

    /// The active set with another version of one policy, or without it; `None` when that changes nothing. Where the version was
    /// compiled alone, the set takes what was made of it.
    ///
    /// # Errors
    ///
    /// As [`active::build`], [`within_share`] and [`Heavy::run`](crate::heavy::Heavy::run).
    pub(super) async fn compile_with(
        &self,
        call: Call<'_>,
        ground: &Ground,
        key: &PolicyKey,
        version: Option<&PolicyVersion>,
        alone: Option<&Alone>,
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
            Format::of_version(version)?;
            changed |= compiler
                .file(&name)
                .is_none_or(|file| file.text() != &*version.source);
            compiler.set(&name, &*version.source);
            if let Some(alone) = alone {
                alone.give(&mut compiler, &name);
            }
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
    pub(super) async fn adopt(
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
}

#[cfg(test)]
mod tests;
