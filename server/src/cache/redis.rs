//! Decisions in Redis, shared by the servers that use it.
//!
//! A decision stands under `lpe:d:` and the SHA-256 of its key in hexadecimal, for as long as decisions are kept. The
//! value holds the full key again and a checksum ([`KeptDecision::encode`]): what is damaged, of another format or of
//! another key is a miss. So prompts are in Redis for that long; it has to be trusted like the database.
//!
//! Reading waits for [`RedisOptions::timeout`] at most. Writing is done by a task of its own, which takes decisions
//! from a bounded queue; what does not fit is dropped and counted. After [`FAILURES`] failures in a row Redis is left
//! alone for [`RedisOptions::pause`], then a task asks whether it is back; until then nobody waits for it.

use crate::hex;
use crate::redis_client;
use crate::redis_client::{Managed, Unusable};
use crate::seal::Sealer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use policy_runtime::KeptDecision;
use redis::aio::ConnectionManagerConfig;
use redis::{AsyncCommands as _, RedisError, RedisResult};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Failures in a row after which Redis is left alone.
pub const FAILURES: u32 = 3;

/// Bytes of the largest value that is written. Larger ones take longer to move than they save.
const MAX_VALUE: usize = 1 << 20;

/// How Redis is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisOptions {
    /// How long a request waits for a decision.
    pub timeout: Duration,
    /// How long Redis is left alone after it failed.
    pub pause: Duration,
    /// Decisions that may wait to be written.
    pub queue: usize,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(20),
            pause: Duration::from_secs(1),
            queue: 256,
        }
    }
}

/// Longest life of a value in Redis, in milliseconds: a year. It refuses numbers that it cannot add to its clock.
const LONGEST_MS: u64 = 366 * 86_400_000;

/// Time for what no request waits for: connecting, writing, asking whether it is back.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether Redis answers, and what it failed to do.
#[derive(Debug, Default)]
struct State {
    up: AtomicBool,
    failures: AtomicU32,
    errors: AtomicU64,
    dropped: AtomicU64,
}

impl State {
    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    fn failed(&self, what: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= FAILURES && self.up.swap(false, Ordering::Relaxed) {
            tracing::warn!(what, "the shared cache does not answer; going on without it");
        }
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A decision to write.
struct Put {
    key: Vec<u8>,
    decision: Arc<KeptDecision>,
}

/// Decisions in one Redis.
pub struct RedisCache {
    connection: Arc<Managed>,
    ttl: Duration,
    options: RedisOptions,
    state: Arc<State>,
    sealer: Option<Arc<Sealer>>,
    puts: mpsc::Sender<Put>,
    /// Ends with the cache.
    _tasks: JoinSet<()>,
}

impl fmt::Debug for RedisCache {
    /// Without the address, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache")
            .field("ttl", &self.ttl)
            .field("options", &self.options)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl RedisCache {
    /// Begins to connect, in the background. Needs a Tokio runtime. With a `sealer`, values are encrypted, and what was not
    /// written with one of its keys is never taken for a decision.
    ///
    /// # Errors
    ///
    /// When it cannot be used as it is configured. One that does not answer is no error.
    pub fn connect(
        redis: &redis_client::Config,
        ttl: Duration,
        options: RedisOptions,
        sealer: Option<Arc<Sealer>>,
    ) -> Result<Self, Unusable> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let connection = Arc::new(Managed::new(redis, config)?);
        let state = Arc::new(State::default());
        let (puts, queue) = mpsc::channel(options.queue.max(1));
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(Arc::clone(&connection), Arc::clone(&state), options.pause));
        tasks.spawn(write(
            Arc::clone(&connection),
            Arc::clone(&state),
            queue,
            ttl,
            sealer.clone(),
        ));
        Ok(Self {
            connection,
            ttl,
            options,
            state,
            sealer,
            puts,
            _tasks: tasks,
        })
    }

    /// Its connection.
    #[must_use]
    pub fn connection(&self) -> &Managed {
        &self.connection
    }

    /// Whether Redis answers. False from the start until it did, and after failures until it does again.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state.is_up()
    }

    /// Operations that failed or took too long.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.state.errors.load(Ordering::Relaxed)
    }

    /// Decisions that were not written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    /// The decision of a key. `None` when there is none, or none that is whole and still good, or Redis fails.
    pub async fn get(&self, key: &[u8]) -> Option<KeptDecision> {
        if !self.is_up() {
            return None;
        }
        let name = name(key);
        let mut connection = self.connection.get();
        let answer: Result<RedisResult<Option<Vec<u8>>>, _> =
            tokio::time::timeout(self.options.timeout, connection.get(&name)).await;
        match answer {
            Ok(Ok(value)) => {
                self.state.succeeded();
                let value = opened(self.sealer.as_deref(), &name, value?)?;
                KeptDecision::decode(&value, key).filter(|decision| decision.age() < self.ttl)
            }
            Ok(Err(error)) => {
                self.state.failed(&kind(&error));
                None
            }
            Err(_elapsed) => {
                self.state.failed("time out");
                None
            }
        }
    }

    /// Has a decision written, if there is room in the queue. Returns at once.
    pub fn put(&self, key: &[u8], decision: Arc<KeptDecision>) {
        let put = || Put {
            key: key.to_vec(),
            decision,
        };
        match self.puts.try_reserve() {
            Ok(place) if self.is_up() => place.send(put()),
            Ok(_) | Err(_) => self.state.drop_one(),
        }
    }
}

/// What went wrong, without what an error may quote.
fn kind(error: &RedisError) -> String {
    format!("{:?}", error.kind())
}

/// Where the decision of a key stands.
fn name(key: &[u8]) -> String {
    let mut name = String::with_capacity(6 + 64);
    name.push_str("lpe:d:");
    hex::push(&Sha256::digest(key), &mut name);
    name
}

/// A value as it is written: bound to its name, so that it is no decision under another one.
fn sealed(sealer: Option<&Sealer>, name: &str, value: Vec<u8>) -> Option<Vec<u8>> {
    let Some(sealer) = sealer else {
        return Some(value);
    };
    let text = STANDARD_NO_PAD.encode(value);
    sealer.seal(&text, name).ok().map(String::into_bytes)
}

/// Undoes [`sealed`]; `None` for anything else.
fn opened(sealer: Option<&Sealer>, name: &str, value: Vec<u8>) -> Option<Vec<u8>> {
    let Some(sealer) = sealer else {
        return Some(value);
    };
    let text = sealer.open(std::str::from_utf8(&value).ok()?, name).ok()?;
    STANDARD_NO_PAD.decode(text).ok()
}

/// Asks whether Redis is there, again and again.
async fn watch(connection: Arc<Managed>, state: Arc<State>, pause: Duration) {
    loop {
        let mut connection = connection.get();
        let answer: Result<RedisResult<()>, _> = tokio::time::timeout(PATIENCE, connection.ping()).await;
        if let Ok(Ok(())) = answer {
            state.succeeded();
            if !state.up.swap(true, Ordering::Relaxed) {
                tracing::info!("the shared cache answers");
            }
        } else {
            // Requests that never reach Redis would not notice that it is away; readiness has to.
            state.failed("no answer to a ping");
        }
        // A failure just now does not hurry the next ping: Redis is given the pause.
        tokio::time::sleep(pause).await;
    }
}

/// Writes what is in the queue, one after the other.
async fn write(
    connection: Arc<Managed>,
    state: Arc<State>,
    mut queue: mpsc::Receiver<Put>,
    ttl: Duration,
    sealer: Option<Arc<Sealer>>,
) {
    while let Some(Put { key, decision }) = queue.recv().await {
        let left = ttl.saturating_sub(decision.age());
        let left = u64::try_from(left.as_millis()).map_or(LONGEST_MS, |left| left.min(LONGEST_MS));
        if left == 0 || !state.is_up() {
            state.drop_one();
            continue;
        }
        let name = name(&key);
        let value = sealed(sealer.as_deref(), &name, decision.encode(&key));
        let Some(value) = value.filter(|value| value.len() <= MAX_VALUE) else {
            state.drop_one();
            continue;
        };
        let answer: RedisResult<()> = connection.get().pset_ex(name, value, left).await;
        match answer {
            Ok(()) => state.succeeded(),
            Err(error) => state.failed(&kind(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{name, opened, sealed};
    use crate::seal::Sealer;
    use secrecy::SecretBox;

    #[test]
    fn sealed_values_open_under_their_name_and_key_only() {
        let sealer = |byte| Sealer::new(&[("k".to_owned(), SecretBox::new(Box::new([byte; 32])))]).unwrap();
        let (own, other) = (sealer(1), sealer(2));
        let value = b"a prompt \xff".to_vec();
        let kept = sealed(Some(&own), "n", value.clone()).unwrap();
        assert!(!kept.windows(6).any(|w| w == b"prompt"));
        assert_eq!(opened(Some(&own), "n", kept.clone()), Some(value.clone()));
        assert_eq!(opened(Some(&own), "m", kept.clone()), None);
        assert_eq!(opened(Some(&other), "n", kept), None);
        assert_eq!(opened(Some(&own), "n", value.clone()), None);
        assert_eq!(
            opened(None, "n", sealed(None, "n", value.clone()).unwrap()),
            Some(value)
        );
    }

    #[test]
    fn names_are_hashes_of_keys() {
        assert_eq!(
            name(b"abc"),
            "lpe:d:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
