//! A cache of decisions in the process, for requests that cost more to decide than to recognise.
//!
//! [`PolicyEngine::evaluate_cached`] projects the request, writes its key (`cache/key.rs`) and looks it up. A hit answers
//! with the kept text (`cache/kept.rs`), a miss decides what was projected already and keeps the answer. For a server
//! that shares decisions with others, [`PolicyEngine::look_up`] and [`PolicyEngine::decide_absent`] are the two halves
//! of the same, with a time to ask elsewhere between them.
//!
//! Whether to look at all follows from what the decision is expected to cost ([`Timings`](crate::timings::Timings)): at first the compiler's bound
//! for texts of that length, then the mean of what requests of that size took, never more than the bound. Cheaper
//! requests pass by.
//!
//! **Invariants.** The key holds everything that a decision depends on and is compared in full, so a change of policies,
//! prices or settings needs no clearing: old entries are never found again and leave in time. Decisions with errors
//! or a trace are never kept, nor those after a modification inside a list: what that makes depends on how long the list
//! is, which no field says. A hit has validated its request as a miss does. A hit allocates nothing.
//!
//! Not done here: sharing with other processes, and waiting for an equal request that is being decided.

mod kept;
mod key;

use crate::derive::DeriveHost;
use crate::engine::PolicyEngine;
use crate::error::EvaluateError;
use crate::options::{EvaluateOptions, Settings};
use crate::snapshot::Policies;
use crate::worker::{self, Answer, Origin, Request, Worker, nanoseconds};
pub use kept::KeptDecision;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a lookup is worth its cost. Times are what deciding is expected to take, reading the request aside: a lookup
/// reads it as well.
///
/// The defaults follow from `examples/cache_cost.rs` (AMD EPYC, two busy cores), of which this is a part:
///
/// | policy | prompt | decide | hit | miss and keep |
/// |---|--:|--:|--:|--:|
/// | one comparison | 200 B | 0.46 µs | 0.52 µs | 1.1 µs |
/// | one comparison | 20 KB | 1.8 µs | 4.2 µs | 6.8 µs |
/// | three patterns | 2 KB | 1.4 µs | 0.82 µs | 2.9 µs |
/// | three patterns | 20 KB | 8.8 µs | 4.2 µs | 14 µs |
/// | tokens, personal data, a pattern | 200 B | 2.2 µs | 0.57 µs | 5.0 µs |
/// | tokens, personal data, a pattern | 2 KB | 32 µs | 0.91 µs | 18 µs |
/// | tokens, personal data, a pattern | 20 KB | 270 µs | 4.4 µs | 120 µs |
/// | tokens, personal data, a pattern | 200 KB | 3.1 ms | 55 µs | 1.2 ms |
///
/// So a hit takes about 100 ns and 150 ns a kilobyte, and a miss about 650 ns and 230 ns a kilobyte, beside what deciding
/// takes without a cache. With the sum of both as the limit, looking pays where every other lookup finds something.
/// Asking Redis takes a round trip of 100 to 500 µs within a data centre, and work on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// Nanoseconds from which to look into the cache in process.
    pub local_ns: u64,
    /// As many more for each kilobyte of text: writing, hashing and comparing the key.
    pub local_ns_per_kb: u64,
    /// Nanoseconds from which to ask a cache outside of the process.
    pub shared_ns: u64,
}

impl Worth {
    /// Every request is looked up, everywhere. For tests.
    pub const ALWAYS: Self = Self {
        local_ns: 0,
        local_ns_per_kb: 0,
        shared_ns: 0,
    };
}

impl Default for Worth {
    fn default() -> Self {
        Self {
            local_ns: 750,
            local_ns_per_kb: 380,
            shared_ns: 250_000,
        }
    }
}

/// Settings of a [`LocalCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// Memory for keys and decisions, in bytes.
    pub bytes: u64,
    /// How long a decision is kept.
    pub ttl: Duration,
    /// When a lookup is worth its cost.
    pub worth: Worth,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            ttl: Duration::from_secs(300),
            worth: Worth::default(),
        }
    }
}

/// Counters of a [`LocalCache`], since it was made.
#[derive(Debug, Default)]
pub struct LocalStats {
    hits: AtomicU64,
    misses: AtomicU64,
    bypassed: AtomicU64,
    stored: AtomicU64,
    saved_ns: AtomicU64,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => { $(
        $(#[doc = $doc])+
        #[must_use]
        pub fn $name(&self) -> u64 {
            self.$name.load(Ordering::Relaxed)
        }
    )+ };
}

impl LocalStats {
    counters! {
        /// Answers from the cache.
        hits;
        /// Decisions that were looked for and had to be made.
        misses;
        /// Requests that were not looked for: cheap ones, and those with a trace.
        bypassed;
        /// Decisions that were put in.
        stored;
        /// What hits would have taken to decide, less what they took, in nanoseconds.
        saved_ns;
    }

    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// An entry, and when it ends.
#[derive(Debug, Clone)]
struct Entry {
    decision: Arc<KeptDecision>,
    expires: Instant,
}

/// Bytes of an entry beside its key and its decision: both allocations and its place in the table.
const OVERHEAD: usize = 160;

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Box<[u8]>, Entry> for Bytes {
    fn weight(&self, key: &Box<[u8]>, entry: &Entry) -> u64 {
        weight(key.len(), &entry.decision)
    }
}

fn weight(key: usize, decision: &KeptDecision) -> u64 {
    (OVERHEAD + key + decision.size()) as u64
}

type Entries = Cache<Box<[u8]>, Entry, Bytes, DefaultHashBuilder, DefaultLifecycle<Box<[u8]>, Entry>>;

/// Bytes of a part of the cache with a lock of its own. Large, because the largest decision has to fit into one.
const SHARD_BYTES: u64 = 4 << 20;
/// More parts than this never wait for each other in practice.
const MAX_SHARDS: u64 = 64;
/// Bytes that entries are expected to have. Sizes the tables of the cache, not its memory.
const EXPECTED_BYTES: u64 = 4 << 10;

/// Decisions by their keys. `Send + Sync`; may serve several engines.
pub struct LocalCache {
    entries: Entries,
    /// Bytes that one entry may have.
    largest: u64,
    options: CacheOptions,
    stats: LocalStats,
}

impl fmt::Debug for LocalCache {
    /// Without keys and decisions: they hold what requests hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCache")
            .field("entries", &self.entries.len())
            .field("options", &self.options)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl LocalCache {
    /// An empty cache. One of no bytes or no time keeps nothing.
    #[must_use]
    pub fn new(options: CacheOptions) -> Self {
        let shards = (options.bytes / SHARD_BYTES).clamp(1, MAX_SHARDS);
        let items = usize::try_from(options.bytes / EXPECTED_BYTES).unwrap_or(usize::MAX);
        let hasher = DefaultHashBuilder::default();
        let settings = OptionsBuilder::new()
            .shards(usize::try_from(shards).unwrap_or(1))
            .estimated_items_capacity(items)
            .weight_capacity(options.bytes)
            .build();
        let entries = match settings {
            Ok(settings) => Entries::with_options(settings, Bytes, hasher, DefaultLifecycle::default()),
            // Only for settings that were not given.
            Err(_missing) => Entries::with(items, options.bytes, Bytes, hasher, DefaultLifecycle::default()),
        };
        Self {
            largest: entries.shard_capacity(),
            entries,
            options,
            stats: LocalStats::default(),
        }
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> &LocalStats {
        &self.stats
    }

    /// Its settings.
    #[must_use]
    pub fn options(&self) -> &CacheOptions {
        &self.options
    }

    /// Bytes that keys and decisions take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Number of decisions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts in a decision that was made elsewhere, for what is left of its time. Whether it was taken.
    pub fn adopt(&self, key: &[u8], decision: Arc<KeptDecision>) -> bool {
        let left = self.options.ttl.saturating_sub(decision.age());
        self.insert(key, decision, left)
    }

    fn insert(&self, key: &[u8], decision: Arc<KeptDecision>, left: Duration) -> bool {
        let fits = weight(key.len(), &decision) <= self.largest;
        let Some(expires) = Instant::now()
            .checked_add(left)
            .filter(|_| fits && !left.is_zero())
        else {
            return false;
        };
        self.entries.insert(key.into(), Entry { decision, expires });
        LocalStats::add(&self.stats.stored, 1);
        true
    }

    fn get(&self, key: &[u8], now: Instant) -> Option<Arc<KeptDecision>> {
        let entry = self.entries.get(key)?;
        if entry.expires > now {
            return Some(entry.decision);
        }
        // Unless another thread has put in a new one meanwhile.
        self.entries.remove_if(key, |entry| entry.expires <= now);
        None
    }

    /// Whether a decision that should take `expected` nanoseconds is worth a lookup.
    fn is_worth(&self, expected: u64, text: usize) -> bool {
        let Worth {
            local_ns,
            local_ns_per_kb,
            ..
        } = self.options.worth;
        let text = text as u64;
        let cost = local_ns.saturating_add(local_ns_per_kb.saturating_mul(text) / 1024);
        expected >= cost && text < self.largest && !self.options.ttl.is_zero()
    }
}

/// What came of the first half of an evaluation with two caches.
#[derive(Debug)]
pub enum LookUp<'w> {
    /// It is answered: from the cache in process, or because asking further is not worth it.
    Answered(Answer<'w>),
    /// The cache in process does not have it. Ask elsewhere for this key, then [`PolicyEngine::decide_absent`].
    Absent {
        /// The key.
        key: &'w [u8],
    },
}

/// A decision that was made just now and may be kept elsewhere.
#[derive(Debug)]
pub struct Fresh<'w> {
    /// Its key.
    pub key: &'w [u8],
    /// The decision.
    pub decision: Arc<KeptDecision>,
}

/// Which part of the way to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To the end.
    Whole,
    /// Up to where another cache should be asked.
    BeforeShared,
    /// To the end, and hand over what the other cache should have.
    AfterShared,
}

/// How far it went.
enum Reached<'w> {
    Answer(Answer<'w>, Option<Fresh<'w>>),
    Absent(&'w [u8]),
}

impl PolicyEngine {
    /// Evaluates as [`PolicyEngine::answer`] does, or answers from the cache where that is cheaper. The response differs in
    /// `cached` and in nothing else but times and a generated request id.
    ///
    /// ```
    /// # #[cfg(feature = "compile")] {
    /// # use policy_runtime::{CacheOptions, EvaluateOptions, LocalCache, Origin, PolicyEngine, Worker};
    /// # let engine = PolicyEngine::builder()
    /// #     .policies_from_yaml("
    /// # metadata: { id: tokens, name: Tokens }
    /// # rules:
    /// #   - id: long
    /// #     condition: { operator: gt, field: llm.estimatedTokens, value: 500 }
    /// #     action: { decision: deny, reason: '{{ llm.estimatedTokens }} tokens' }
    /// # ")?
    /// #     .build()?;
    /// let cache = LocalCache::new(CacheOptions::default());
    /// let mut worker = Worker::new();
    /// let body = format!(r#"{{"llm": {{"model": "gpt-4o", "prompt": "{}"}}}}"#, "some words ".repeat(400));
    /// for origin in [Origin::Missed, Origin::Cached] {
    ///     let options = EvaluateOptions::default();
    ///     let answer = engine.evaluate_cached(&mut worker, &cache, body.as_bytes(), &options)?;
    ///     assert_eq!(answer.origin, origin);
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub fn evaluate_cached<'w>(
        &self,
        worker: &'w mut Worker,
        cache: &LocalCache,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Answer<'w>, EvaluateError> {
        match self.step(worker, cache, context, options, Step::Whole)? {
            Reached::Answer(answer, _) => Ok(answer),
            Reached::Absent(_) => Err(EvaluateError::Internal("no response was made")),
        }
    }

    /// The first half of [`PolicyEngine::evaluate_cached`] for two caches: stops where the other one should be asked.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub fn look_up<'w>(
        &self,
        worker: &'w mut Worker,
        cache: &LocalCache,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<LookUp<'w>, EvaluateError> {
        match self.step(worker, cache, context, options, Step::BeforeShared)? {
            Reached::Answer(answer, _) => Ok(LookUp::Answered(answer)),
            Reached::Absent(key) => Ok(LookUp::Absent { key }),
        }
    }

    /// The second half: starts anew, because the worker may have served others and the policies may have changed, and goes
    /// to the end. Also gives what the other cache should have.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub fn decide_absent<'w>(
        &self,
        worker: &'w mut Worker,
        cache: &LocalCache,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<(Answer<'w>, Option<Fresh<'w>>), EvaluateError> {
        match self.step(worker, cache, context, options, Step::AfterShared)? {
            Reached::Answer(answer, fresh) => Ok((answer, fresh)),
            Reached::Absent(_) => Err(EvaluateError::Internal("no response was made")),
        }
    }

    fn step<'w>(
        &self,
        worker: &'w mut Worker,
        cache: &LocalCache,
        context: &[u8],
        options: &EvaluateOptions<'_>,
        step: Step,
    ) -> Result<Reached<'w>, EvaluateError> {
        let settings = &self.shared.settings;
        self.shared.with_policies(options, |policies| {
            if options.trace || !policies.module.host_intrinsics().all(key::pure) {
                LocalStats::add(&cache.stats.bypassed, 1);
                let answer = worker.evaluate_json(policies, settings, context, options)?;
                return Ok(Reached::Answer(answer, None));
            }
            worker.step(policies, settings, cache, context, options, step)
        })
    }
}

/// Bytes of a worker's key that are kept for the next request. One hostile request must not cost each worker its size.
const KEPT_KEY: usize = 4 << 20;

impl Worker {
    fn step(
        &mut self,
        policies: &Policies,
        settings: &Settings,
        cache: &LocalCache,
        context: &[u8],
        options: &EvaluateOptions<'_>,
        step: Step,
    ) -> Result<Reached<'_>, EvaluateError> {
        let start = Instant::now();
        let Self {
            scratch,
            derive,
            mask,
            out,
            key,
            keyed,
            second,
            ..
        } = self;
        let scope = worker::scope(policies, settings, options, mask)?;
        let mut host = DeriveHost::new(settings.derive, settings.prices.as_ref(), derive);
        let mut eval = policies
            .module
            .begin(scratch, &mut host, context)
            .map_err(EvaluateError::Context)?;
        let request = Request {
            policies,
            settings,
            scope,
            context,
            options,
            start,
        };
        let stats = &cache.stats;
        if key.capacity() > KEPT_KEY {
            *key = Vec::new();
        }
        // Where the last request was worth a key, this one should be: one walk over the values writes it and counts them.
        let text = if *keyed {
            key::write(&request, eval.projected(), key)
        } else {
            eval.projected().map(key::text_bytes).sum()
        };
        let expected = policies.timings.expected(&policies.certificate, text);
        let worth = cache.is_worth(expected, text);
        let written = std::mem::replace(keyed, worth);
        if !worth {
            LocalStats::add(&stats.bypassed, 1);
            let projected = nanoseconds(start.elapsed());
            let answer = worker::write(request, &mut eval, second, out)?;
            let took = answer.evaluation_time_ns.saturating_sub(projected);
            policies.timings.add(text, took);
            return Ok(Reached::Answer(answer, None));
        }

        if !written {
            key::write(&request, eval.projected(), key);
        }
        if let Some(decision) = cache.get(key, start) {
            let answer = decision.write(options.request_id, start, out);
            LocalStats::add(&stats.hits, 1);
            let saved = decision.cost_ns.saturating_sub(answer.evaluation_time_ns);
            LocalStats::add(&stats.saved_ns, saved);
            return Ok(Reached::Answer(answer, None));
        }
        let shared = expected >= cache.options.worth.shared_ns;
        if shared && step == Step::BeforeShared {
            return Ok(Reached::Absent(key));
        }

        LocalStats::add(&stats.misses, 1);
        let looked = nanoseconds(start.elapsed());
        let mut answer = worker::write(request, &mut eval, second, out)?;
        answer.origin = Origin::Missed;
        let took = answer.evaluation_time_ns.saturating_sub(looked);
        policies.timings.add(text, took);
        if answer.errors > 0 || !answer.reusable {
            return Ok(Reached::Answer(answer, None));
        }
        let fresh = KeptDecision::of(&answer).map(Arc::new).and_then(|decision| {
            let taken = cache.insert(key, Arc::clone(&decision), cache.options.ttl);
            (taken && shared && step == Step::AfterShared).then_some(Fresh { key, decision })
        });
        Ok(Reached::Answer(answer, fresh))
    }
}

#[cfg(test)]
mod tests;
