//! What the trail tells of policies and bundles, and whether the store holds it.

use super::{ACTIVE, COMMENT, DIGEST, LATEST, REJECT, Report};
use crate::document;
use crate::storage::model::{
    BundleRecord, NewAudit, Page, PolicyFilter, PolicyKey, PolicyVersion, Rejection,
};
use crate::storage::{self, Store};
use policy_bytecode::bundle::Bundle;
use std::collections::{BTreeMap, BTreeSet};

/// A policy, for people.
fn named(key: &PolicyKey) -> String {
    format!("policy `{}` of namespace `{}`", key.id, key.namespace)
}

/// What the records of a trail say that the store holds.
#[derive(Debug, Default)]
pub(super) struct Told {
    policies: BTreeMap<PolicyKey, Policy>,
    bundles: BTreeSet<String>,
    /// Digest of the bundle that decides.
    bundle: Option<String>,
}

#[derive(Debug, Default)]
struct Policy {
    versions: BTreeMap<u64, Version>,
    /// Digests of texts whose versions no record numbers.
    unnumbered: BTreeSet<String>,
    /// As the last record left it.
    now: Now,
}

#[derive(Debug)]
struct Version {
    digest: String,
    /// Whoever wrote it, where the record is that of a text.
    author: Option<String>,
    /// Whoever rejected it, and why.
    rejected: Option<(String, String)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Now {
    #[default]
    Unknown,
    Removed,
    There {
        latest: u64,
        active: Option<u64>,
    },
}

impl Told {
    pub(super) fn take(&mut self, entry: &NewAudit) {
        let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap_or_default();
        let policy = || PolicyKey::new(&entry.namespace, &entry.target);
        match entry.action.as_str() {
            "policy.delete" => self.policies.entry(policy()).or_default().now = Now::Removed,
            action if action.starts_with("policy.") => {
                let policy = self.policies.entry(policy()).or_default();
                let digest = detail.get(DIGEST).and_then(|digest| digest.as_str());
                let latest = detail.get(LATEST).and_then(serde_json::Value::as_u64);
                policy.now = Now::Unknown;
                match (latest, digest) {
                    (Some(latest), Some(digest)) => {
                        let active = detail.get(ACTIVE).and_then(serde_json::Value::as_u64);
                        policy.now = Now::There { latest, active };
                        let of_text = !matches!(action, "policy.status" | REJECT);
                        let version = policy.versions.entry(latest).or_insert_with(|| Version {
                            digest: digest.to_owned(),
                            author: of_text.then(|| entry.actor.clone()),
                            rejected: None,
                        });
                        if action == REJECT {
                            let why = detail.get(COMMENT).and_then(|why| why.as_str());
                            version.rejected =
                                Some((entry.actor.clone(), why.unwrap_or_default().to_owned()));
                        }
                    }
                    (None, Some(digest)) => drop(policy.unnumbered.insert(digest.to_owned())),
                    (_, None) => {}
                }
            }
            "bundle.deploy" => {
                self.bundles.insert(entry.target.clone());
                if detail.get(ACTIVE).and_then(serde_json::Value::as_bool) == Some(true) {
                    self.bundle = Some(entry.target.clone());
                }
            }
            "bundle.activate" | "bundle.rollback" => self.bundle = Some(entry.target.clone()),
            "bundle.remove" => self.bundle = None,
            _ => {}
        }
    }

    /// Compares a store with what was told of it.
    pub(super) async fn compare(
        mut self,
        store: &dyn Store,
        part: u32,
        head: (u64, [u8; 32]),
    ) -> storage::Result<Report> {
        let mut report = Report {
            head,
            versions: 0,
            bundles: 0,
            changed: Vec::new(),
        };
        let mut last: Option<(PolicyKey, u64)> = None;
        loop {
            let after = last.as_ref().map(|(key, version)| (key, *version));
            let found = store.all_versions(after, part).await?;
            let Some(end) = found.last() else { break };
            last = Some((end.key(), end.version));
            report.versions += found.len();
            for version in &found {
                report.changed.extend(self.version(version));
            }
        }
        for (key, policy) in &self.policies {
            for number in policy.versions.keys() {
                report
                    .changed
                    .push(format!("version {number} of {} is gone", named(key)));
            }
        }
        self.policies(store, part, &mut report.changed).await?;
        self.stored_bundles(store, part, &mut report).await?;
        Ok(report)
    }

    /// What is wrong with a version. It is not looked for again.
    fn version(&mut self, version: &PolicyVersion) -> Option<String> {
        let key = version.key();
        let name = format!("version {} of {}", version.version, named(&key));
        let known = self.policies.get_mut(&key);
        let unnumbered = known
            .as_ref()
            .is_some_and(|policy| policy.unnumbered.contains(&version.digest));
        let told = known.and_then(|policy| policy.versions.remove(&version.version));
        if document::digest(&version.source) != version.digest {
            return Some(format!("the text of {name} was changed: its digest is another"));
        }
        let Some(told) = told else {
            return (!unnumbered).then(|| format!("no record tells of {name} with the text that it has"));
        };
        let of_another = [
            ("text", told.digest == version.digest),
            (
                "author",
                told.author
                    .as_ref()
                    .is_none_or(|author| *author == version.author),
            ),
            (
                "rejection",
                told.rejected
                    == version
                        .rejection
                        .as_ref()
                        .map(|Rejection { by, comment, .. }| (by.clone(), comment.clone())),
            ),
        ];
        let of_another: Vec<&str> = of_another
            .into_iter()
            .filter(|(_, same)| !same)
            .map(|(what, _)| what)
            .collect();
        (!of_another.is_empty()).then(|| {
            format!(
                "the {} of {name} is not the one that was recorded",
                of_another.join(" and the ")
            )
        })
    }

    /// Compares which policies there are, and which version of each decides.
    async fn policies(
        &mut self,
        store: &dyn Store,
        part: u32,
        changed: &mut Vec<String>,
    ) -> storage::Result<()> {
        let mut page = Page {
            limit: part,
            after: None,
        };
        loop {
            let slice = store.policies(&PolicyFilter::default(), &page).await?;
            for record in slice.items {
                let key = record.latest.key();
                let name = named(&key);
                let now = self
                    .policies
                    .get_mut(&key)
                    .map(|policy| std::mem::replace(&mut policy.now, Now::Removed));
                let number =
                    |version: Option<u64>| version.map_or("none".to_owned(), |v| format!("version {v}"));
                match now {
                    None | Some(Now::Removed) => {
                        changed.push(format!("{name} is there, and the trail does not say so"));
                    }
                    Some(Now::Unknown) => {}
                    Some(Now::There { latest, active }) => {
                        if latest != record.latest.version {
                            changed.push(format!(
                                "the newest version of {name} is {}, and the trail says {latest}",
                                record.latest.version
                            ));
                        }
                        if active != record.active_version {
                            changed.push(format!(
                                "{} of {name} decides, and the trail says {}",
                                number(record.active_version),
                                number(active)
                            ));
                        }
                    }
                }
            }
            match slice.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        for (key, policy) in &self.policies {
            if matches!(policy.now, Now::There { .. }) {
                changed.push(format!("{} is gone, and the trail does not say so", named(key)));
            }
        }
        Ok(())
    }

    async fn stored_bundles(
        &mut self,
        store: &dyn Store,
        part: u32,
        report: &mut Report,
    ) -> storage::Result<()> {
        let mut page = Page {
            limit: part,
            after: None,
        };
        loop {
            let slice = store.bundles(&page).await?;
            for BundleRecord { digest, .. } in slice.items {
                report.bundles += 1;
                if !self.bundles.remove(&digest) {
                    report
                        .changed
                        .push(format!("no record tells of bundle `{digest}`"));
                }
                let bytes = store.bundle_bytes(&digest).await?.unwrap_or_default();
                let same = Bundle::decode(&bytes).is_ok_and(|bundle| bundle.digest.to_string() == digest);
                if !same {
                    report.changed.push(format!(
                        "the bytes of bundle `{digest}` were changed: their digest is another"
                    ));
                }
            }
            match slice.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        for digest in &self.bundles {
            report.changed.push(format!("bundle `{digest}` is gone"));
        }
        let active = store.active_bundle().await?.map(|bundle| bundle.digest);
        if active != self.bundle {
            let name = |digest: Option<&String>| {
                digest.map_or("no bundle".to_owned(), |digest| format!("bundle `{digest}`"))
            };
            report.changed.push(format!(
                "{} decides, and the trail says {}",
                name(active.as_ref()),
                name(self.bundle.as_ref())
            ));
        }
        Ok(())
    }
}
