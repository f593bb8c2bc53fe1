//! Bundles: deploy, history, activate, roll back, go back to stored policies.

use super::{Call, Service, Wrote};
use crate::active::Info;
use crate::active::Origin;
use crate::clock::now_ms;
use crate::document;
use crate::error::{Code, Problem, Result, ServiceError};
use crate::identity::Scope;
use crate::storage::StoreError;
use crate::storage::model::{BundleRecord, NewBundle, Page, Slice};
use crate::telemetry::request::{self, About};
use policy_bytecode::bundle::Bundle;
use policy_bytecode::manifest::Manifest;
use serde_json::json;
use std::sync::Arc;

/// How often a change is done again when others come first.
const TRIES: usize = 16;

/// What is to decide.
#[derive(Debug, Clone, Copy)]
enum To<'d> {
    /// The bundle of this digest.
    Bundle(&'d str),
    /// The bundle that was active before the one that is.
    Earlier,
    /// The stored policies.
    Policies,
}

impl Service {
    /// A bundle holds policies of any namespace: who is bound to some may neither read nor write one, nor see when it came.
    pub(super) fn spans_namespaces(call: Call<'_>) -> Result<()> {
        if call.identity.namespaces.is_none() {
            return Ok(());
        }
        Err(ServiceError::new(
            Code::Forbidden,
            "bundles span namespaces; this identity is bound to some",
        ))
    }

    fn may_deploy(
        &self,
        call: Call<'_>,
        scope: Scope,
        action: &'static str,
        digest: Option<&str>,
    ) -> Result<()> {
        request::is_about(About {
            action,
            bundle: digest.map(str::to_owned),
            ..About::default()
        });
        call.require(scope)?;
        Self::spans_namespaces(call)?;
        if self.origin != Origin::Store {
            return Err(ServiceError::new(
                Code::ReadOnly,
                format!("the policies come from {}", self.origin.describe()),
            ));
        }
        Ok(())
    }

    /// Deploys a bundle. Where approval is configured it is stored, and active once somebody else activates it. Also returns what the
    /// compiler warned of when it was made.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidBundle`], [`Code::UntrustedBundle`], [`Code::VersionMismatch`] when `expected` is not the digest of
    /// the active bundle, [`Code::Forbidden`], [`Code::ReadOnly`], store errors.
    pub async fn deploy_bundle(
        &self,
        call: Call<'_>,
        bytes: Arc<[u8]>,
        expected: Option<&str>,
    ) -> Result<(BundleRecord, Vec<Problem>)> {
        self.may_deploy(call, Scope::Write, "bundle.deploy", None)?;
        for _ in 0..TRIES {
            let mut state = self.active.change_for(call.work()).await?;
            self.catch_up(&mut state).await?;
            let info = self.active.info();
            Self::is_active(&info, expected)?;
            let policies = self.active.load(Arc::clone(&bytes), call.work()).await?;
            let digest = policies.digest().map(|d| d.to_string()).unwrap_or_default();
            let manifest = policies.manifest();
            self.without_warnings(manifest)?;
            let warnings = document::warnings_of_bundle(manifest).into_iter();
            let warnings = warnings.map(|warning| warning.problem).collect();
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            let new = NewBundle {
                digest: digest.clone(),
                revision: policies.revision().to_owned(),
                policies: count(manifest.policies.len()),
                rules: count(manifest.rules.len()),
                author: call.identity.subject.to_string(),
                created_ms: now_ms(),
                activate: !self.approval,
                quota: self.limits.quota.history,
                bytes: Arc::clone(&bytes),
            };
            let audit = call.audit("bundle.deploy", &digest, "", &json!({"active": new.activate}));
            match self.store.put_bundle(&new, info.store_revision, &audit).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok((record, revision)) => {
                    call.wrote(&Wrote {
                        action: "bundle.deploy",
                        bundle: Some(&digest),
                        revision: Some(revision),
                        ..Wrote::default()
                    });
                    if new.activate {
                        self.active.adopt_bundle(&mut state, policies, revision);
                    } else {
                        self.active.note_revision(revision);
                    }
                    return Ok((record, warnings));
                }
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Refuses a bundle that the compiler warned of, where warnings are errors.
    ///
    /// # Errors
    ///
    /// [`Code::PolicyInvalid`] with the warnings.
    pub fn without_warnings(&self, manifest: &Manifest) -> Result<()> {
        if !self.strict || manifest.warnings.is_empty() {
            return Ok(());
        }
        let warnings = document::warnings_of_bundle(manifest).into_iter();
        Err(document::warned(
            warnings.map(|warning| warning.problem).collect(),
        ))
    }

    /// Makes a stored bundle the active one. `expected` is the digest of the bundle that it takes the place of.
    ///
    /// # Errors
    ///
    /// As [`Service::deploy_bundle`], and [`Code::NotFound`], [`Code::SelfApproval`].
    pub async fn activate_bundle(
        &self,
        call: Call<'_>,
        digest: &str,
        expected: Option<&str>,
    ) -> Result<BundleRecord> {
        self.may_deploy(call, self.activating_scope(), "bundle.activate", Some(digest))?;
        self.switch(call, To::Bundle(digest), expected, "bundle.activate")
            .await?;
        self.bundle_record(digest).await
    }

    /// Makes an earlier bundle the active one: the one of this digest, or the one that was active before. `expected` is as in
    /// [`Service::activate_bundle`].
    ///
    /// # Errors
    ///
    /// As [`Service::activate_bundle`], and [`Code::PreconditionRequired`] without a digest where approval is configured.
    pub async fn rollback_bundle(
        &self,
        call: Call<'_>,
        digest: Option<&str>,
        expected: Option<&str>,
    ) -> Result<BundleRecord> {
        self.may_deploy(call, self.activating_scope(), "bundle.rollback", digest)?;
        let to = match digest {
            Some(digest) => To::Bundle(digest),
            None if self.approval => {
                return Err(Self::unnamed("name the bundle that was reviewed by its `digest`"));
            }
            None => To::Earlier,
        };
        let Some(digest) = self.switch(call, to, expected, "bundle.rollback").await? else {
            return Err(ServiceError::new(Code::NotFound, "no bundle was active before"));
        };
        self.bundle_record(&digest).await
    }

    /// The digest of the bundle that was active before the one that is.
    async fn earlier_bundle(&self) -> Result<Option<String>> {
        let mut page = Page {
            limit: 500,
            after: None,
        };
        loop {
            // The last one that became active comes first.
            let slice = self.store.bundles(&page).await?;
            let mut earlier = slice.items.into_iter();
            if let Some(found) = earlier.find(|bundle| !bundle.active && bundle.activated_ms.is_some()) {
                return Ok(Some(found.digest));
            }
            match slice.next {
                Some(next) => page.after = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// Goes back to the stored policies. `expected` is the digest of the bundle that ends.
    ///
    /// # Errors
    ///
    /// As [`Service::activate_bundle`], [`Code::VersionMismatch`] when `expected` is not the digest of the active bundle, and
    /// [`Code::PreconditionRequired`] without it where approval is configured.
    pub async fn remove_bundle(&self, call: Call<'_>, expected: Option<&str>) -> Result<()> {
        self.may_deploy(call, self.activating_scope(), "bundle.remove", None)?;
        self.active.takes_sources()?;
        if self.approval && expected.is_none() {
            return Err(Self::unnamed(
                "going back to the stored policies needs `If-Match` with the digest of the bundle that ends",
            ));
        }
        self.switch(call, To::Policies, expected, "bundle.remove").await?;
        Ok(())
    }

    /// Makes something else decide than what does, and says which bundle that is; none where the stored policies do, or where
    /// there is no earlier bundle, and then nothing is changed.
    async fn switch(
        &self,
        call: Call<'_>,
        to: To<'_>,
        expected: Option<&str>,
        action: &str,
    ) -> Result<Option<String>> {
        for _ in 0..TRIES {
            let mut state = self.active.change_for(call.work()).await?;
            self.catch_up(&mut state).await?;
            Self::is_active(&self.active.info(), expected)?;
            let base = self.active.info().store_revision;
            let digest = match to {
                To::Bundle(digest) => Some(digest.to_owned()),
                // Which one that is, is known only as long as nothing else becomes active.
                To::Earlier => match self.earlier_bundle().await? {
                    None => return Ok(None),
                    found => found,
                },
                To::Policies => None,
            };
            if let Some(digest) = &digest {
                let record = self.bundle_record(digest).await?;
                if self.approval {
                    let author = self.person(&record.author).await?;
                    if author.is(&self.person(&call.identity.subject).await?) {
                        let detail = format!("`{}` deployed this bundle", record.author);
                        return Err(Self::self_approval(call, &record.author, detail));
                    }
                }
                let bytes = self
                    .store
                    .bundle_bytes(digest)
                    .await?
                    .ok_or_else(|| ServiceError::not_found("bundle", digest))?;
                // A bundle that this server cannot run, or does not trust any more, is not switched to.
                self.active
                    .load_stored(digest, Arc::from(bytes), call.work())
                    .await?;
            }
            let audit = call.audit(action, digest.as_deref().unwrap_or("policies"), "", &json!({}));
            match self.store.activate_bundle(digest.as_deref(), base, &audit).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok(revision) => {
                    call.wrote(&Wrote {
                        action,
                        bundle: digest.as_deref(),
                        revision: Some(revision),
                        ..Wrote::default()
                    });
                    self.active.follow_locked(&*self.store, &mut state).await?;
                    return Ok(digest);
                }
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// # Errors
    ///
    /// [`Code::VersionMismatch`] where another bundle is active than a caller expects.
    fn is_active(info: &Info, expected: Option<&str>) -> Result<()> {
        match expected {
            Some(expected) if info.digest.as_deref() != Some(expected) => Err(ServiceError::new(
                Code::VersionMismatch,
                format!("the active bundle is not {expected}"),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Follows the store before a change. What is active there may be what this server cannot run; the change is the way out.
    async fn catch_up(&self, state: &mut crate::active::State) -> Result<()> {
        match self.active.follow_locked(&*self.store, state).await {
            Ok(()) => Ok(()),
            Err(error) if error.code == Code::StoreUnavailable => Err(error),
            Err(_noted) => {
                self.active.note_revision(self.store.revision().await?);
                Ok(())
            }
        }
    }

    async fn bundle_record(&self, digest: &str) -> Result<BundleRecord> {
        let record = self.store.bundle(digest).await?;
        record.ok_or_else(|| ServiceError::not_found("bundle", digest))
    }

    /// What is active.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], also for whoever is bound to namespaces: what is active is what all of them do.
    pub fn bundle_status(&self, call: Call<'_>) -> Result<Arc<Info>> {
        call.require(Scope::Read)?;
        Self::spans_namespaces(call)?;
        Ok(self.active.info())
    }

    /// The active bundle: its record and its bytes.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`] where no bundle of the store is active, [`Code::Forbidden`], store errors.
    pub async fn active_bundle(&self, call: Call<'_>) -> Result<(BundleRecord, Vec<u8>)> {
        call.require(Scope::Read)?;
        Self::spans_namespaces(call)?;
        let record = self
            .store
            .active_bundle()
            .await?
            .ok_or_else(|| ServiceError::new(Code::NotFound, "no deployed bundle is active"))?;
        let bytes = self
            .store
            .bundle_bytes(&record.digest)
            .await?
            .ok_or_else(|| ServiceError::not_found("bundle", &record.digest))?;
        // Other servers may follow this answer.
        let digest = record.digest.clone();
        let (same, bytes) = self
            .heavy
            .run(call.work(), move |_| {
                let same = Bundle::decode(&bytes).is_ok_and(|bundle| bundle.digest.to_string() == digest);
                (same, bytes)
            })
            .await?;
        if !same {
            return Err(StoreError::Changed(format!("bundle `{}`", record.digest)).into());
        }
        Ok((record, bytes))
    }

    /// Bundles, newest deployment first.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`], store errors.
    pub async fn bundle_history(&self, call: Call<'_>, page: &Page) -> Result<Slice<BundleRecord>> {
        call.require(Scope::Read)?;
        Self::spans_namespaces(call)?;
        Ok(self.store.bundles(page).await?)
    }
}
