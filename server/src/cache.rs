//! Decisions that were made before: a cache in process, and one in Redis that servers share.
//!
//! Called by the service layer for every evaluation. [`DecisionCache::evaluate`] asks the cache in process
//! ([`policy_runtime::LocalCache`], which says what a key is and when looking is worth it), then [`redis`] where deciding
//! would take longer than asking, then decides. It returns the response and what the decision log wants to know.
//!
//! **Invariants.** A fault of Redis is a miss, never an error of the request, and never makes one wait for longer than
//! [`redis::RedisOptions::timeout`]. Worker memory belongs to a thread and is not held while waiting. What was decided
//! under other policies, prices or settings is never found: they are in the key.
//!
//! Not done here: dry runs and simulations, which must leave no trace and call [`DecisionCache::evaluate_uncached`].

pub mod redis;

use self::redis::{RedisCache, RedisOptions};
use crate::config;
use crate::redis_client::{Managed, Unusable};
use crate::seal::Sealer;
use crate::telemetry::request::{part, traced};
use bytes::Bytes;
use policy_runtime::{
    Answer, CacheOptions, EvaluateError, EvaluateOptions, LocalCache, LookUp, Origin, Parts, PolicyEngine,
    Verb, Worker, Worth,
};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use thread_local::ThreadLocal;
use tracing::Span;

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// It was decided, and no cache was asked.
    Decided,
    /// It was decided, because no cache had it.
    Missed,
    /// The cache in process had it.
    Local,
    /// Redis had it.
    Shared,
}

impl Layer {
    /// For logs and traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "not asked",
            Self::Missed => "miss",
            Self::Local => "hit",
            Self::Shared => "hit in Redis",
        }
    }
}

/// An answer, and what the decision log wants to know about it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The response as JSON.
    pub json: Bytes,
    /// `allow`, `deny`, `warn` or `modify`.
    pub decision: Verb,
    /// Where it comes from.
    pub layer: Layer,
    /// Entries of the decision's `errors`.
    pub errors: u32,
    /// When it was decided, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    parts: Parts,
}

impl Outcome {
    fn of(answer: &Answer<'_>, layer: Layer) -> Self {
        Self {
            json: Bytes::copy_from_slice(answer.json.as_bytes()),
            decision: answer.decision,
            layer,
            errors: u32::try_from(answer.errors).unwrap_or(u32::MAX),
            at_ms: i64::try_from(answer.timestamp_ms).unwrap_or(i64::MAX),
            duration_ns: answer.evaluation_time_ns,
            parts: answer.parts,
        }
    }

    /// Whether a cache had it.
    #[must_use]
    pub fn cached(&self) -> bool {
        match self.layer {
            Layer::Local | Layer::Shared => true,
            Layer::Decided | Layer::Missed => false,
        }
    }

    /// Whether it has a reason.
    #[must_use]
    pub fn has_reason(&self) -> bool {
        self.parts.has_reason()
    }

    /// What it says.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        Told {
            // Copied from a text.
            text: std::str::from_utf8(&self.json).unwrap_or_default(),
            parts: &self.parts,
        }
    }
}

/// The parts of an answer, each read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    text: &'a str,
    parts: &'a Parts,
}

impl<'a> Told<'a> {
    /// Why it was decided so.
    #[must_use]
    pub fn reason(self) -> Option<String> {
        self.parts.reason(self.text).map(string)
    }

    /// The request id, the reason, rules and policies that fired, and the revision, in the memory of others.
    pub fn read_into(
        self,
        (request_id, reason, revision): (&mut String, &mut Option<String>, &mut String),
        (rules, policies): (&mut Vec<String>, &mut Vec<String>),
    ) {
        string_into(self.parts.request_id(self.text), request_id);
        string_into(self.parts.revision(self.text), revision);
        match self.parts.reason(self.text) {
            Some(part) => string_into(part, reason.get_or_insert_default()),
            None => *reason = None,
        }
        strings_into(self.parts.matched_rules(self.text), rules);
        strings_into(self.parts.matched_policies(self.text), policies);
    }

    /// Rules that fired, in order.
    #[must_use]
    pub fn matched_rules(self) -> Vec<String> {
        strings(self.parts.matched_rules(self.text))
    }

    /// Policies with fired rules, in order.
    #[must_use]
    pub fn matched_policies(self) -> Vec<String> {
        strings(self.parts.matched_policies(self.text))
    }

    /// The fired rules, each with its policy, what it decides and why: a list in JSON.
    #[must_use]
    pub fn matched(self) -> &'a str {
        self.parts.matched(self.text)
    }

    /// As given, or generated.
    #[must_use]
    pub fn request_id(self) -> String {
        string(self.parts.request_id(self.text))
    }

    /// Modifications, metadata, errors and trace as members behind commas; empty for most.
    #[must_use]
    pub fn more(self) -> &'a str {
        self.parts.more(self.text)
    }

    /// Revision of the policies that decided.
    #[must_use]
    pub fn revision(self) -> String {
        string(self.parts.revision(self.text))
    }
}

/// A part of a response that is a text.
fn string(part: &str) -> String {
    let mut text = String::new();
    string_into(part, &mut text);
    text
}

fn string_into(part: &str, text: &mut String) {
    let between = part.strip_prefix('"').and_then(|part| part.strip_suffix('"'));
    match between {
        Some(plain) if !plain.contains('\\') => {
            text.clear();
            text.push_str(plain);
        }
        _ => *text = read(part),
    }
}

/// A part of a response that is a list of texts.
fn strings(part: &str) -> Vec<String> {
    let mut list = Vec::new();
    strings_into(part, &mut list);
    list
}

fn strings_into(part: &str, list: &mut Vec<String>) {
    if plain_strings(part, list).is_none() {
        *list = read(part);
    }
}

/// Reads a list that has no escapes and no blanks between its texts; `None` where it has, or is none.
fn plain_strings(part: &str, list: &mut Vec<String>) -> Option<()> {
    let inside = part.strip_prefix('[')?.strip_suffix(']')?;
    if inside.is_empty() {
        list.clear();
        return Some(());
    }
    if inside.contains('\\') {
        return None;
    }
    let mut count = 0;
    // Without escapes every quotation mark begins or ends a text.
    for text in inside.strip_prefix('"')?.strip_suffix('"')?.split("\",\"") {
        if text.contains('"') {
            return None;
        }
        match list.get_mut(count) {
            Some(old) => {
                old.clear();
                old.push_str(text);
            }
            None => list.push(text.to_owned()),
        }
        count += 1;
    }
    list.truncate(count);
    Some(())
}

/// A part of a response that the runtime wrote as JSON of this type.
fn read<T: serde::de::DeserializeOwned + Default>(part: &str) -> T {
    let value = serde_json::from_str(part);
    debug_assert!(value.is_ok(), "a part of a response is not what it should be");
    value.unwrap_or_default()
}

/// Counters of both caches, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Answers from the cache in process.
    pub l1_hits: u64,
    /// Answers from Redis.
    pub l2_hits: u64,
    /// Decisions that were looked for and had to be made.
    pub misses: u64,
    /// Requests that were not looked for: those that cost less than looking, and those with a trace.
    pub bypassed: u64,
    /// Decisions that were put into the cache in process.
    pub stored: u64,
    /// What hits would have taken to decide, less what they took, in nanoseconds.
    pub saved_ns: u64,
    /// Operations on Redis that failed or took too long.
    pub redis_errors: u64,
    /// Decisions that were not written to Redis: too many at once, or it is not there.
    pub dropped: u64,
    /// Decisions in the cache in process.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

impl CacheStats {
    /// Share of lookups that found something, 0 … 1; 0 before the first.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let hits = self.l1_hits + self.l2_hits;
        match hits + self.misses {
            0 => 0.0,
            asked => hits as f64 / asked as f64,
        }
    }
}

/// Both caches, and the memory in which each thread evaluates.
#[derive(Debug)]
pub struct DecisionCache {
    local: Option<LocalCache>,
    shared: Option<RedisCache>,
    workers: ThreadLocal<RefCell<Worker>>,
    l2_hits: AtomicU64,
    l2_saved_ns: AtomicU64,
}

impl DecisionCache {
    /// The caches that a server is configured to have. Needs a Tokio runtime where there is a Redis; does not wait for it.
    ///
    /// # Errors
    ///
    /// When Redis cannot be used as it is configured. One that cannot be reached is no error.
    pub fn build(config: &config::Cache, sealer: Option<Arc<Sealer>>) -> Result<Self, Unusable> {
        Self::with_worth(config, Worth::default(), sealer)
    }

    /// As [`DecisionCache::build`], with another notion of when looking is worth it. For tests and measurements.
    ///
    /// # Errors
    ///
    /// As [`DecisionCache::build`].
    pub fn with_worth(
        config: &config::Cache,
        worth: Worth,
        sealer: Option<Arc<Sealer>>,
    ) -> Result<Self, Unusable> {
        let shared = match &config.redis {
            Some(redis) if config.enabled => Some(RedisCache::connect(
                redis,
                config.ttl,
                RedisOptions::default(),
                sealer,
            )?),
            Some(_) | None => None,
        };
        Ok(Self::new(
            config.enabled.then_some(CacheOptions {
                bytes: config.bytes,
                ttl: config.ttl,
                worth,
            }),
            shared,
        ))
    }

    /// Caches made elsewhere. Without options nothing is kept.
    #[must_use]
    pub fn new(local: Option<CacheOptions>, shared: Option<RedisCache>) -> Self {
        Self {
            local: local.map(LocalCache::new),
            shared,
            workers: ThreadLocal::new(),
            l2_hits: AtomicU64::new(0),
            l2_saved_ns: AtomicU64::new(0),
        }
    }

    /// The connection to Redis, where decisions are shared.
    #[must_use]
    pub fn redis(&self) -> Option<&Managed> {
        self.shared.as_ref().map(RedisCache::connection)
    }

    /// Counters, for telemetry.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let mut stats = CacheStats {
            l2_hits: self.l2_hits.load(Ordering::Relaxed),
            saved_ns: self.l2_saved_ns.load(Ordering::Relaxed),
            ..CacheStats::default()
        };
        if let Some(local) = &self.local {
            let own = local.stats();
            stats.l1_hits = own.hits();
            stats.misses = own.misses();
            stats.bypassed = own.bypassed();
            stats.stored = own.stored();
            stats.saved_ns += own.saved_ns();
            stats.entries = local.len() as u64;
            stats.bytes = local.bytes();
        }
        if let Some(shared) = &self.shared {
            stats.redis_errors = shared.errors();
            stats.dropped = shared.dropped();
        }
        stats
    }

    /// Whether Redis answers; `None` where there is none. For readiness, which it only degrades.
    #[must_use]
    pub fn shared_is_up(&self) -> Option<bool> {
        self.shared.as_ref().map(RedisCache::is_up)
    }

    /// Lends the calling thread its worker. A call within a call gets a new one.
    pub fn with_worker<R>(&self, f: impl FnOnce(&mut Worker) -> R) -> R {
        match self.workers.get_or_default().try_borrow_mut() {
            Ok(mut worker) => f(&mut worker),
            Err(_busy) => f(&mut Worker::new()),
        }
    }

    /// Both caches, where Redis answers.
    fn both(&self) -> Option<(&LocalCache, &RedisCache)> {
        let shared = self.shared.as_ref().filter(|shared| shared.is_up());
        self.local.as_ref().zip(shared)
    }

    /// Whether [`DecisionCache::evaluate`] may wait. Where not, it is [`DecisionCache::evaluate_now`].
    #[must_use]
    pub fn waits(&self) -> bool {
        self.both().is_some()
    }

    /// Evaluates, through both caches where that is worth it. Waits for nothing but Redis, and for that not long.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub async fn evaluate(
        &self,
        engine: &PolicyEngine,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Outcome, EvaluateError> {
        let Some((local, shared)) = self.both() else {
            return self.evaluate_now(engine, context, options);
        };
        let span = part!("cache", decision, cache);
        let found = traced(span.clone(), self.ask(engine, (local, shared), context, options)).await?;
        if let Some(outcome) = found {
            note(&span, &outcome);
            return Ok(outcome);
        }
        drop(span);
        self.evaluate_now(engine, context, options)
    }

    /// Asks both caches, or decides at once where that takes less; `None` where neither has it.
    async fn ask(
        &self,
        engine: &PolicyEngine,
        (local, shared): (&LocalCache, &RedisCache),
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Option<Outcome>, EvaluateError> {
        let start = Instant::now();
        let key = self.with_worker(|worker| match engine.look_up(worker, local, context, options)? {
            LookUp::Answered(answer) => Ok(Err(decided(&answer))),
            LookUp::Absent { key } => Ok(Ok(key.to_vec())),
        })?;
        let key = match key {
            Ok(key) => key,
            Err(outcome) => return Ok(Some(outcome)),
        };
        // In memory of its own, so that requests without it are not as large.
        let Some(found) = Box::pin(shared.get(&key)).await else {
            return Ok(None);
        };
        let found = Arc::new(found);
        local.adopt(&key, Arc::clone(&found));
        let outcome = self.with_worker(|worker| {
            let answer = found.answer(worker, options, start);
            Outcome::of(&answer, Layer::Shared)
        });
        self.l2_hits.fetch_add(1, Ordering::Relaxed);
        let saved = found.cost_ns().saturating_sub(outcome.duration_ns);
        self.l2_saved_ns.fetch_add(saved, Ordering::Relaxed);
        Ok(Some(outcome))
    }

    /// Evaluates without waiting: asks the cache in process only. For batches, and where there is no Redis. Allocates
    /// the copy of the response and nothing else, once the worker has grown to the size of the traffic.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub fn evaluate_now(
        &self,
        engine: &PolicyEngine,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Outcome, EvaluateError> {
        let Some(local) = &self.local else {
            return self.evaluate_uncached(engine, context, options);
        };
        evaluating(|| {
            self.with_worker(|worker| {
                let Some(shared) = &self.shared else {
                    let answer = engine.evaluate_cached(worker, local, context, options)?;
                    return Ok(decided(&answer));
                };
                let (answer, fresh) = engine.decide_absent(worker, local, context, options)?;
                let outcome = decided(&answer);
                if let Some(fresh) = fresh {
                    shared.put(fresh.key, fresh.decision);
                }
                Ok(outcome)
            })
        })
    }

    /// Evaluates without looking, keeping or counting anything.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub fn evaluate_uncached(
        &self,
        engine: &PolicyEngine,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Outcome, EvaluateError> {
        evaluating(|| self.with_worker(|worker| Ok(decided(&engine.answer(worker, context, options)?))))
    }
}

/// Decides in a span of the request's trace. Where no spans are sent, that is nothing but the work.
fn evaluating(work: impl FnOnce() -> Result<Outcome, EvaluateError>) -> Result<Outcome, EvaluateError> {
    let span = part!("evaluate", decision, cache, errors);
    if span.is_disabled() {
        return work();
    }
    let outcome = span.in_scope(work);
    if let Ok(outcome) = &outcome {
        note(&span, outcome);
    }
    outcome
}

/// Notes in a span what was decided, and by which cache.
fn note(span: &Span, outcome: &Outcome) {
    span.record("decision", outcome.decision.as_str());
    span.record("cache", outcome.layer.as_str());
    span.record("errors", outcome.errors);
}

/// The outcome of an answer that did not come from Redis.
fn decided(answer: &Answer<'_>) -> Outcome {
    let layer = match answer.origin {
        Origin::Decided => Layer::Decided,
        Origin::Missed => Layer::Missed,
        Origin::Cached => Layer::Local,
    };
    Outcome::of(answer, layer)
}

#[cfg(test)]
mod tests {
    use super::{read, string, string_into, strings, strings_into};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_is_what_serde_json_reads(list in prop::collection::vec("[a-z/\\[\\], ä]{0,8}|\\PC{0,8}|[\\x00-\\x7f]{0,4}", 0..4)) {
            let part = serde_json::to_string(&list).unwrap();
            prop_assert_eq!(&strings(&part), &list);
            let mut other = vec!["before".to_owned(), String::new()];
            strings_into(&part, &mut other);
            prop_assert_eq!(other, list);
            let spaced = part.replace(',', " , ");
            prop_assert_eq!(strings(&spaced), read::<Vec<String>>(&spaced));
        }

        #[test]
        fn a_text_is_what_serde_json_reads(text in "\\PC{0,8}|[\\x00-\\x7f]{0,4}") {
            let part = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(&string(&part), &text);
            let mut other = "before".to_owned();
            string_into(&part, &mut other);
            prop_assert_eq!(other, text);
        }
    }
}
