//! API keys: `lpk_<id>_<secret>`, made here and checked here.
//!
//! The id (16 hexadecimal digits) is public and finds the record; the secret (64 hexadecimal digits, 32 random bytes) is
//! shown once, when it is made, and kept nowhere: the store has its SHA-256. `Keys::verify` is called by
//! [`super::Authenticator`] for every request, so records stay in memory for `TTL`.
//!
//! # Invariants
//!
//! - Hashes are compared in constant time, and all of them always.
//! - What is said about a key beyond "not valid" is said only to who has its secret.
//! - A record is never used more than `TTL` after it was read: a revoked key dies within five seconds on every server.
//! - When the store cannot be asked, that is an error, never a pass.

use super::AuthError;
use crate::error::{Code, ServiceError};
use crate::identity::{Identity, Owner, Proof};
use crate::storage::model::ApiKey;
use crate::storage::{Store, StoreError};
use crate::{clock, hex};
use async_trait::async_trait;
use quick_cache::sync::Cache;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// What every key begins with.
pub const PREFIX: &str = "lpk_";

/// How long a record, or its absence, is believed. Less than the five seconds that are promised: reading takes time too.
const TTL: Duration = Duration::from_secs(4);

/// Longest wait for the store.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Records in memory at most, and ids that are known to be nobody's.
const CACHED: usize = 10_000;

/// Locks that keep requests with one key from asking the store at the same time.
const LOCKS: usize = 64;

const ID_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 64;

/// Why a key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not written as a key is, there is none of its id, or its secret is wrong. Whoever has the right secret is told more.
    #[error("the API key is not valid: it may be mistyped, or of another server")]
    Invalid,
    /// It was rotated, and the time of its old secret is over.
    #[error("the API key was replaced by a new one")]
    Rotated,
    /// It has expired.
    #[error("the API key has expired")]
    Expired,
    /// It was revoked.
    #[error("the API key was revoked")]
    Revoked,
}

/// A key that was just made.
#[derive(Debug)]
pub struct Generated {
    /// Public part.
    pub id: String,
    /// The whole key, for its user.
    pub secret: SecretString,
    /// What the store keeps.
    pub hash: [u8; 32],
}

/// Makes a key.
///
/// # Errors
///
/// [`AuthError::Random`] when the system gives no random bytes.
pub fn generate() -> Result<Generated, AuthError> {
    let mut bytes = [0; ID_DIGITS / 2];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| AuthError::Random)?;
    let mut id = String::with_capacity(ID_DIGITS);
    hex::push(&bytes, &mut id);
    generate_for(&id)
}

/// Makes a new secret for the key of this id.
///
/// # Errors
///
/// [`AuthError::Random`] when the system gives no random bytes.
pub fn generate_for(id: &str) -> Result<Generated, AuthError> {
    let mut bytes = Zeroizing::new([0; SECRET_DIGITS / 2]);
    SystemRandom::new()
        .fill(bytes.as_mut())
        .map_err(|_| AuthError::Random)?;
    let mut digits = Zeroizing::new(String::with_capacity(SECRET_DIGITS));
    // Into room that is there: no secret stays behind in freed memory.
    hex::push(bytes.as_ref(), &mut digits);
    let mut whole = String::with_capacity(PREFIX.len() + id.len() + 1 + SECRET_DIGITS);
    for part in [PREFIX, id, "_", &digits] {
        whole.push_str(part);
    }
    Ok(Generated {
        id: id.to_owned(),
        hash: hash(&digits),
        secret: SecretString::from(whole),
    })
}

/// What the store keeps of a secret.
fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Id and secret of a key, if it is written as one.
fn parts(key: &str) -> Option<(&str, &str)> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    (is_hex(id, ID_DIGITS) && is_hex(secret, SECRET_DIGITS)).then_some((id, secret))
}

/// The subject of whoever comes with a key. Names need not be unique, and who wrote a policy must not pass for somebody
/// else.
fn subject(name: &str, id: &str) -> String {
    format!("{name} (key {id})")
}

/// The id of the key in a subject, if it is that of a key.
#[must_use]
pub fn id_in_subject(subject: &str) -> Option<&str> {
    let id = subject.strip_suffix(')')?.rsplit_once(" (key ")?.1;
    is_hex(id, ID_DIGITS).then_some(id)
}

fn is_hex(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a key is good at a time, in milliseconds since the epoch.
fn check(record: &ApiKey, secret: &str, now_ms: i64) -> Result<(), KeyError> {
    let given = hash(secret);
    let current = given.ct_eq(&record.hash);
    let (previous, until_ms) = match &record.previous {
        Some((hash, until_ms)) => (given.ct_eq(hash), *until_ms),
        None => (Choice::from(0), i64::MIN),
    };
    if !bool::from(current | previous) {
        return Err(KeyError::Invalid);
    }
    if record.revoked_ms.is_some() {
        return Err(KeyError::Revoked);
    }
    if record.expires_ms.is_some_and(|expires| expires <= now_ms) {
        return Err(KeyError::Expired);
    }
    if !bool::from(current) && until_ms <= now_ms {
        return Err(KeyError::Rotated);
    }
    Ok(())
}

/// Where records are: the one thing that this module asks of a store.
#[async_trait]
trait Records: fmt::Debug + Send + Sync {
    /// The record of an id.
    async fn record(&self, id: &str) -> Result<Option<ApiKey>, StoreError>;
}

#[async_trait]
impl Records for Arc<dyn Store> {
    async fn record(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        self.key(id).await
    }
}

/// A record, or that there is none, and when it was asked for.
#[derive(Debug, Clone)]
struct Known {
    at: Instant,
    record: Option<Arc<Record>>,
}

/// A record with the identity that it gives.
#[derive(Debug)]
struct Record {
    key: ApiKey,
    identity: Identity,
}

/// Checks keys.
#[derive(Debug)]
pub(super) struct Keys {
    records: Box<dyn Records>,
    /// Apart, so that guessed ids cannot push the records of real keys out.
    present: Cache<String, Known>,
    absent: Cache<String, Known>,
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Keys {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self::over(Box::new(store))
    }

    fn over(records: Box<dyn Records>) -> Self {
        Self {
            records,
            present: Cache::new(CACHED),
            absent: Cache::new(CACHED),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Who a key speaks for.
    pub(super) async fn verify(&self, key: &str) -> Result<Identity, ServiceError> {
        let refuse = |why: KeyError| ServiceError::new(Code::Unauthenticated, why.to_string());
        let (id, secret) = parts(key).ok_or_else(|| refuse(KeyError::Invalid))?;
        let record = match self.cached(id) {
            Some(known) => known,
            None => tokio::time::timeout(LOOKUP_TIMEOUT, self.look_up(id))
                .await
                .map_err(|_| {
                    tracing::warn!("the store did not answer the question for an API key in time");
                    ServiceError::new(Code::StoreUnavailable, "the database did not answer in time")
                        .retry_after(Duration::from_secs(1))
                })??,
        };
        let record = record.ok_or_else(|| refuse(KeyError::Invalid))?;
        check(&record.key, secret, clock::now_ms()).map_err(refuse)?;
        Ok(record.identity.clone())
    }

    /// Whether there is, or was a moment ago, a key of this id.
    pub(super) fn is_known(&self, key: &str) -> bool {
        parts(key).is_some_and(|(id, _)| self.present.get(id).is_some())
    }

    /// Forgets what is known about a key, so that a change on this server shows at once.
    pub(super) fn forget(&self, id: &str) {
        self.present.remove(id);
        self.absent.remove(id);
    }

    /// What memory says about an id, if that is fresh.
    fn cached(&self, id: &str) -> Option<Option<Arc<Record>>> {
        [&self.present, &self.absent]
            .into_iter()
            .filter_map(|cache| cache.get(id))
            .find(|known| known.at.elapsed() < TTL)
            .map(|known| known.record)
    }

    async fn look_up(&self, id: &str) -> Result<Option<Arc<Record>>, ServiceError> {
        let turn = usize::try_from(self.hasher.hash_one(id) % LOCKS as u64).unwrap_or_default();
        let _turn = match self.locks.get(turn) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        if let Some(known) = self.cached(id) {
            return Ok(known);
        }
        // The age counts from the question: the answer may be that old.
        let at = Instant::now();
        let record = self.records.record(id).await?.map(|key| {
            Arc::new(Record {
                identity: Identity {
                    subject: Arc::from(subject(&key.name, &key.id)),
                    proof: Proof::Key,
                    scopes: key.scopes,
                    namespaces: key.namespaces.clone().map(Arc::from),
                    owner: Some(match &key.owner {
                        Some(owner) => Owner::named(owner),
                        None => Owner::key(&key.id),
                    }),
                    key_ends_ms: key.expires_ms,
                },
                key,
            })
        });
        let known = Known {
            at,
            record: record.clone(),
        };
        let (into, out_of) = match record {
            Some(_) => (&self.present, &self.absent),
            None => (&self.absent, &self.present),
        };
        out_of.remove(id);
        into.insert(id.to_owned(), known);
        Ok(record)
    }
}

#[cfg(test)]
mod tests;
