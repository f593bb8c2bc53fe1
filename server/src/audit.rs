//! The audit trail as a chain of hashes: how a record is hashed, and how a chain is checked.
//!
//! Storage calls [`hash`] in the transaction of each change; whoever reads the trail (the API, an auditor with an export)
//! gives its records to a [`Verifier`] in their order.
//!
//! # The hash of a record
//!
//! SHA-256 over, in this order: the bytes of [`DOMAIN`]; the hash of the record before (32 bytes, zeros for the first); the
//! sequence number, the revision and the time in milliseconds (8 bytes each, most significant first, the time in two's
//! complement); then actor, action, target, namespace, request id and detail, each as its length in bytes (8 bytes) and its
//! UTF-8 bytes. Every part has a fixed or a written length, so that two different records never encode alike.
//!
//! # What it proves
//!
//! Whoever changes, removes or reorders records has to recompute every later hash, and then the end of the chain differs
//! from the one noted elsewhere. Nobody can be kept from rewriting the whole trail who may write the database: compare
//! with an exported end of the chain for that. Records that are missing at the end show against the end that the store has
//! written down beside them, or one that was noted elsewhere ([`Verifier::end`]).
//!
//! Policies and bundles stand in other tables. Records name their digests and numbers, so that a text, a bundle or a choice
//! of a version that somebody changed beside the trail shows as well ([`verify`]). Keys and decisions are not compared.

use crate::document;
use crate::storage::model::{
    AuditRecord, BundleRecord, NewAudit, Page, PolicyFilter, PolicyKey, PolicyVersion, Rejection,
};
use crate::storage::{self, Store};
use policy_bytecode::bundle::Bundle;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the hashed bytes begin with: names the purpose and the version of the encoding.
pub const DOMAIN: &[u8] = b"llm-policy-engine audit 1\n";

/// The hash before the first record.
pub const GENESIS: [u8; 32] = [0; 32];

/// Hash of a record, see the description of the module.
#[must_use]
pub fn hash(previous: &[u8; 32], seq: u64, revision: u64, entry: &NewAudit) -> [u8; 32] {
    // All fields by name: a new field of the record does not compile until it is hashed.
    let NewAudit {
        at_ms,
        actor,
        action,
        target,
        namespace,
        request_id,
        detail,
    } = entry;
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(previous);
    hasher.update(seq.to_be_bytes());
    hasher.update(revision.to_be_bytes());
    hasher.update(at_ms.to_be_bytes());
    for text in [actor, action, target, namespace, request_id, detail] {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}

/// The first place where a chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The content of this record is not what was hashed.
    Changed {
        /// Sequence number of the record.
        seq: u64,
    },
    /// The record before this one, or the link to it, is not the one that was there when this one was written.
    Replaced {
        /// Sequence number of the record whose link does not fit.
        seq: u64,
    },
    /// This record is not there.
    Missing {
        /// Sequence number of the record.
        seq: u64,
    },
    /// A record stands where an earlier one belongs.
    Reordered {
        /// Sequence number of the record that came too late or twice.
        seq: u64,
    },
}

impl Broken {
    /// Sequence number of the first record that does not hold.
    #[must_use]
    pub fn seq(self) -> u64 {
        match self {
            Self::Changed { seq }
            | Self::Replaced { seq }
            | Self::Missing { seq }
            | Self::Reordered { seq } => seq,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { seq } => write!(f, "audit record {seq} was changed"),
            Self::Replaced { seq } => write!(f, "what audit record {seq} follows was replaced"),
            Self::Missing { seq } => write!(f, "audit record {seq} is missing"),
            Self::Reordered { seq } => write!(f, "audit record {seq} is out of order"),
        }
    }
}

impl std::error::Error for Broken {}

/// Checks records one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    seq: u64,
    hash: [u8; 32],
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Verifier {
    /// From the first record on.
    #[must_use]
    pub fn new() -> Self {
        Self::after(0, GENESIS)
    }

    /// From after a record that is known to be good.
    #[must_use]
    pub fn after(seq: u64, hash: [u8; 32]) -> Self {
        Self { seq, hash }
    }

    /// The last record that held: its sequence number and its hash.
    #[must_use]
    pub fn head(&self) -> (u64, [u8; 32]) {
        (self.seq, self.hash)
    }

    /// Takes the next record.
    ///
    /// # Errors
    ///
    /// Says what does not hold; the verifier then stays where it was.
    pub fn push(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        let seq = self.seq.saturating_add(1);
        match record.seq.cmp(&seq) {
            std::cmp::Ordering::Less => return Err(Broken::Reordered { seq: record.seq }),
            std::cmp::Ordering::Greater => return Err(Broken::Missing { seq }),
            std::cmp::Ordering::Equal => {}
        }
        if record.previous != self.hash {
            return Err(Broken::Replaced { seq });
        }
        if hash(&self.hash, seq, record.revision, &record.entry) != record.hash {
            return Err(Broken::Changed { seq });
        }
        (self.seq, self.hash) = (seq, record.hash);
        Ok(())
    }

    /// Compares with the end of the chain as it was noted elsewhere.
    ///
    /// # Errors
    ///
    /// [`Broken::Missing`] where records are missing at the end, [`Broken::Replaced`] where the chain has another end.
    pub fn end(&self, seq: u64, hash: [u8; 32]) -> Result<(), Broken> {
        if self.seq < seq {
            return Err(Broken::Missing {
                seq: self.seq.saturating_add(1),
            });
        }
        if self.seq != seq || self.hash != hash {
            return Err(Broken::Replaced { seq: self.seq });
        }
        Ok(())
    }
}

/// In the detail of a record about a policy: the number of its newest version after the change.
pub(crate) const LATEST: &str = "latest";
/// There: the digest of the text of that version.
pub(crate) const DIGEST: &str = "digest";
/// There: the number of the version that decides after the change, or null.
pub(crate) const ACTIVE: &str = "active";
/// In the detail of a record about a policy that was removed: the number of its newest version.
pub(crate) const VERSION: &str = "version";
/// In the detail of a record about a policy: the number of the version that was the newest before the change, where its text was
/// not the one that was stored. Whoever replaces or removes it did not read it.
pub(crate) const TEXT_CHANGED: &str = "textChanged";

/// In the detail of a record about a version that was rejected: why.
pub(crate) const COMMENT: &str = "comment";
/// A version was rejected.
pub(crate) const REJECT: &str = "policy.reject";

/// How often everything is looked at again where the store changed meanwhile.
const TRIES: usize = 5;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The end of the trail: how many records, and the hash of the last one.
    pub head: (u64, [u8; 32]),
    /// Versions of policies that were compared with it.
    pub versions: usize,
    /// Bundles that were.
    pub bundles: usize,
    /// Everything that is not as it was stored, or not as the trail says, for people.
    pub changed: Vec<String>,
}

/// Checks the whole trail of a store up to the end that the store has written down, and then whether the store holds what
/// the trail tells of: the text, the author, the namespace and the rejection of every version of every policy, the bytes of every
/// bundle, and what is active. `part` records, versions or bundles at a time.
///
/// Records of earlier versions of this program do not say the number of a version. A version that only such a record can
/// tell of is compared by its digest alone, and what such a record was the last to activate is not compared.
///
/// # Errors
///
/// Those of the store. What does not hold is no error but the answer.
pub async fn verify(store: &dyn Store, part: u32) -> storage::Result<Result<Report, Broken>> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (head, told) = match trail(store, part).await? {
            Ok(whole) => whole,
            Err(broken) => return Ok(Err(broken)),
        };
        let report = told.compare(store, part, head).await?;
        // What was written meanwhile looks like what nobody told of.
        let moved = store.audit_head().await? != head;
        if report.changed.is_empty() || !moved || tries == TRIES {
            return Ok(Ok(report));
        }
    }
}

/// The end of a trail that holds, and what it tells of.
async fn trail(store: &dyn Store, part: u32) -> storage::Result<Result<((u64, [u8; 32]), Told), Broken>> {
    let mut verifier = Verifier::new();
    let mut told = Told::default();
    let mut before = None;
    loop {
        loop {
            let records = store.audit(verifier.seq, part).await?;
            if records.is_empty() {
                break;
            }
            for record in &records {
                if let Err(broken) = verifier.push(record) {
                    return Ok(Err(broken));
                }
                told.take(&record.entry);
            }
        }
        let end = store.audit_head().await?;
        match verifier.end(end.0, end.1) {
            Ok(()) => return Ok(Ok((end, told))),
            // Something may have been added since the records were read; with the same end as before, it was not.
            Err(broken) if before == Some(end) => return Ok(Err(broken)),
            Err(_) => before = Some(end),
        }
    }
}

/// A policy, for people.
fn named(key: &PolicyKey) -> String {
    format!("policy `{}` of namespace `{}`", key.id, key.namespace)
}

/// What the records of a trail say that the store holds.
#[derive(Debug, Default)]
struct Told {
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
    fn take(&mut self, entry: &NewAudit) {
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
    async fn compare(
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(actor: &str, action: &str) -> NewAudit {
        NewAudit {
            at_ms: 5,
            actor: actor.into(),
            action: action.into(),
            target: "t".into(),
            namespace: String::new(),
            request_id: "r".into(),
            detail: "{}".into(),
        }
    }

    fn chain(length: u64) -> Vec<AuditRecord> {
        let mut previous = GENESIS;
        (1..=length)
            .map(|seq| {
                let entry = entry("ann", &format!("change {seq}"));
                let own = hash(&previous, seq, seq, &entry);
                let record = AuditRecord {
                    seq,
                    entry,
                    revision: seq,
                    previous,
                    hash: own,
                };
                previous = own;
                record
            })
            .collect()
    }

    fn verify(records: &[AuditRecord]) -> Result<Verifier, Broken> {
        let mut verifier = Verifier::new();
        records.iter().try_for_each(|record| verifier.push(record))?;
        Ok(verifier)
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        // SHA-256 of the bytes written out by hand: an export stays checkable by other programs.
        let mut bytes = DOMAIN.to_vec();
        bytes.extend([0; 32]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 5]);
        for text in ["ann", "x", "t", "", "r", "{}"] {
            bytes.extend([0, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()]);
            bytes.extend(text.as_bytes());
        }
        let want: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(hash(&GENESIS, 1, 2, &entry("ann", "x")), want);
    }

    #[test]
    fn text_that_moves_between_fields_changes_the_hash() {
        let one = hash(&GENESIS, 1, 1, &entry("ab", "c"));
        assert_ne!(one, hash(&GENESIS, 1, 1, &entry("a", "bc")));
        assert_ne!(one, hash(&GENESIS, 1, 1, &entry("abc", "")));
    }

    #[test]
    fn whole_chains_hold() {
        let records = chain(5);
        let last = records.last().unwrap();
        let verifier = verify(&records).unwrap();
        assert_eq!(verifier.end(5, last.hash), Ok(()));
        let mut rest = Verifier::after(2, records[1].hash);
        assert_eq!(records[2..].iter().try_for_each(|r| rest.push(r)), Ok(()));
    }

    #[test]
    fn every_changed_field_is_found() {
        let changes: [fn(&mut AuditRecord); 9] = [
            |r| r.entry.at_ms += 1,
            |r| r.entry.actor.push('x'),
            |r| r.entry.action.push('x'),
            |r| r.entry.target.push('x'),
            |r| r.entry.namespace.push('x'),
            |r| r.entry.request_id.push('x'),
            |r| r.entry.detail.push('x'),
            |r| r.revision += 1,
            |r| r.hash[0] ^= 1,
        ];
        for change in changes {
            let mut records = chain(4);
            change(&mut records[1]);
            assert_eq!(verify(&records).unwrap_err(), Broken::Changed { seq: 2 });
        }
        // With its own hash recomputed, the record after it tells.
        let mut records = chain(4);
        records[1].entry.actor.push('x');
        records[1].hash = hash(&records[1].previous, 2, 2, &records[1].entry);
        assert_eq!(verify(&records).unwrap_err(), Broken::Replaced { seq: 3 });
    }

    #[test]
    fn missing_and_reordered_records_are_found() {
        let mut records = chain(5);
        records.remove(2);
        assert_eq!(verify(&records).unwrap_err(), Broken::Missing { seq: 3 });

        let mut records = chain(5);
        records.swap(1, 2);
        assert_eq!(verify(&records).unwrap_err(), Broken::Missing { seq: 2 });

        let mut records = chain(3);
        records.push(records[1].clone());
        assert_eq!(verify(&records).unwrap_err(), Broken::Reordered { seq: 2 });

        let records = chain(5);
        let cut = verify(&records[..3]).unwrap();
        assert_eq!(cut.end(5, records[4].hash), Err(Broken::Missing { seq: 4 }));
        assert_eq!(cut.end(3, [7; 32]), Err(Broken::Replaced { seq: 3 }));
    }
}
