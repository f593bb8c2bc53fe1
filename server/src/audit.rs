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

mod told;

use self::told::Told;
use crate::storage::model::{AuditRecord, NewAudit};
use crate::storage::{self, Store};
use sha2::{Digest as _, Sha256};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The content of this record is not what was hashed.
    #[error("audit record {seq} was changed")]
    Changed {
        /// Sequence number of the record.
        seq: u64,
    },
    /// The record before this one, or the link to it, is not the one that was there when this one was written.
    #[error("what audit record {seq} follows was replaced")]
    Replaced {
        /// Sequence number of the record whose link does not fit.
        seq: u64,
    },
    /// This record is not there.
    #[error("audit record {seq} is missing")]
    Missing {
        /// Sequence number of the record.
        seq: u64,
    },
    /// A record stands where an earlier one belongs.
    #[error("audit record {seq} is out of order")]
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

#[cfg(test)]
mod tests;
