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

pub mod config;
pub mod redis;
mod response;
mod stats;

use self::redis::{RedisCache, RedisOptions};
pub use response::{Layer, Response, ResponseParts};

use crate::redis_client::{Managed, Unusable};
use crate::seal::Sealer;
use crate::telemetry::request::{part, traced};
use policy_runtime::{
    Answer, CacheOptions, EvaluateError, EvaluateOptions, LocalCache, LookUp, Origin, PolicyEngine, Worker,
    Worth,
};
pub use stats::CacheStats;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use thread_local::ThreadLocal;
use tracing::Span;

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
    pub fn build(config: &config::Config, sealer: Option<Arc<Sealer>>) -> Result<Self, Unusable> {
        Self::with_worth(config, Worth::default(), sealer)
    }

    /// As [`DecisionCache::build`], with another notion of when looking is worth it. For tests and measurements.
    ///
    /// # Errors
    ///
    /// As [`DecisionCache::build`].
    pub fn with_worth(
        config: &config::Config,
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
    ) -> Result<Response, EvaluateError> {
        let Some((local, shared)) = self.both() else {
            return self.evaluate_now(engine, context, options);
        };
        let span = part!("cache", decision, cache);
        let found = traced(span.clone(), self.ask(engine, (local, shared), context, options)).await?;
        if let Some(response) = found {
            note(&span, &response);
            return Ok(response);
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
    ) -> Result<Option<Response>, EvaluateError> {
        let start = Instant::now();
        let key = self.with_worker(|worker| match engine.look_up(worker, local, context, options)? {
            LookUp::Answered(answer) => Ok(Err(decided(&answer))),
            LookUp::Absent { key } => Ok(Ok(key.to_vec())),
        })?;
        let key = match key {
            Ok(key) => key,
            Err(response) => return Ok(Some(response)),
        };
        // In memory of its own, so that requests without it are not as large.
        let Some(found) = Box::pin(shared.get(&key)).await else {
            return Ok(None);
        };
        let found = Arc::new(found);
        local.adopt(&key, Arc::clone(&found));
        let response = self.with_worker(|worker| {
            let answer = found.answer(worker, options, start);
            Response::of(&answer, Layer::Shared)
        });
        self.l2_hits.fetch_add(1, Ordering::Relaxed);
        let saved = found.cost_ns().saturating_sub(response.duration_ns);
        self.l2_saved_ns.fetch_add(saved, Ordering::Relaxed);
        Ok(Some(response))
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
    ) -> Result<Response, EvaluateError> {
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
                let response = decided(&answer);
                if let Some(fresh) = fresh {
                    shared.put(fresh.key, fresh.decision);
                }
                Ok(response)
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
    ) -> Result<Response, EvaluateError> {
        evaluating(|| self.with_worker(|worker| Ok(decided(&engine.answer(worker, context, options)?))))
    }
}

/// Decides in a span of the request's trace. Where no spans are sent, that is nothing but the work.
fn evaluating(work: impl FnOnce() -> Result<Response, EvaluateError>) -> Result<Response, EvaluateError> {
    let span = part!("evaluate", decision, cache, errors);
    if span.is_disabled() {
        return work();
    }
    let response = span.in_scope(work);
    if let Ok(response) = &response {
        note(&span, response);
    }
    response
}

/// Notes in a span what was decided, and by which cache.
fn note(span: &Span, response: &Response) {
    span.record("decision", response.verb.as_str());
    span.record("cache", response.layer.as_str());
    span.record("errors", response.errors);
}

/// The response of an answer that did not come from Redis.
fn decided(answer: &Answer<'_>) -> Response {
    let layer = match answer.origin {
        Origin::Decided => Layer::Decided,
        Origin::Missed => Layer::Missed,
        Origin::Cached => Layer::Local,
    };
    Response::of(answer, layer)
}
