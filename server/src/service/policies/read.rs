//! Policies as callers see them: which one they mean, lists, versions, and texts.
//!
//! A policy is identified by its namespace and id. Callers name it by its id alone, where what they see makes the namespace clear
//! (`Service::locate`); no answer depends on policies of namespaces that they do not see.

use super::{PolicyName, Seen};
use crate::active::Origin;
use crate::document;
use crate::error::{Code, Result, ServiceError};
use crate::identity::Scope;
use crate::service::approvals::Waiting;
use crate::service::simulate::{end_of_document, key_of, only};
use crate::service::{Call, Service};
use crate::storage::model::{
    Approval, Page, PolicyFilter, PolicyKey, PolicyRecord, PolicyStatus, PolicyVersion, Slice,
};
use policy_bytecode::manifest::PolicyInfo;
use policy_grammar::{SourceFile, SourceMap, parse_source, without_imports};

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

impl Service {
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

    /// A policy that the caller may read; otherwise there is none.
    pub(super) async fn readable(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        numbered: bool,
    ) -> Result<PolicyRecord> {
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
    pub(in crate::service) fn deciding(&self, record: PolicyRecord) -> PolicyRecord {
        if self.active.info().digest.is_none() {
            return record;
        }
        PolicyRecord {
            active_version: None,
            approved_by: None,
            ..record
        }
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
