//! Rate limits: how many requests a second an identity may make, by class of route.
//!
//! Transports call [`RateLimiter::check`] after authentication and before any work; whoever asks for several decisions at once
//! is counted for the others by [`RateLimiter::check_many`]. Each pair of owner ([`Identity::fingerprint`]) and [`Route`] has
//! a bucket of its own, filled evenly (GCRA). Buckets are in process, or in Redis for all servers on it.
//!
//! # Invariants
//!
//! - Redis is never waited for longer than [`REDIS_TIMEOUT`]. While it does not answer, the buckets in process count instead:
//!   each server then allows the whole limit. It is asked again once every [`REDIS_PAUSE`].
//! - Memory is bounded by the requests of the last moments: full buckets are thrown away.
//! - Redis sees a hash of the owner, never a name or an address.
//!
//! Without authentication, each address has a bucket of its own. Concurrency and bodies are limited elsewhere.

pub mod config;

use crate::error::{Code, ServiceError};
use crate::hex;
use crate::identity::Identity;
use crate::redis_client::{self, Managed, Unusable};
use crate::telemetry::Metrics;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use prometheus_client::metrics::counter::Counter;
use redis::aio::ConnectionManagerConfig;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Longest wait for Redis.
pub const REDIS_TIMEOUT: Duration = Duration::from_millis(50);

/// How long Redis is left alone after it failed.
pub const REDIS_PAUSE: Duration = Duration::from_secs(1);

/// How often full buckets are thrown away.
const CLEAN: Duration = Duration::from_secs(30);

/// Calls `$consumer!` once with every class of routes.
macro_rules! for_each_route {
    ($consumer:ident) => {
        $consumer! {
            /// Decisions, one or many.
            Evaluate, "evaluate";
            /// Policies and their versions, validation, simulation.
            Policies, "policies";
            /// Bundles.
            Bundle, "bundle";
            /// The decision log.
            Decisions, "decisions";
            /// The audit trail.
            Audit, "audit";
            /// API keys.
            Keys, "keys";
        }
    };
}

macro_rules! declare_routes {
    ($($(#[doc = $doc:literal])+ $name:ident, $text:literal;)+) => {
        /// A class of routes that share a limit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Route {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Route {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The class as `RATE_LIMIT_ROUTES` spells it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}
for_each_route!(declare_routes);

/// Why limits could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is no class of routes of this name.
    #[error("there is no class of routes `{0}`")]
    UnknownRoute(String),
    /// Limits are to be shared, and there is no Redis.
    #[error("shared rate limits need Redis")]
    NoRedis,
    /// Redis cannot be used as it is configured.
    #[error("{0}")]
    Redis(Unusable),
}

/// [`Identity::fingerprint`].
type Bucket = [u8; 32];

/// The limit of one class of routes.
#[derive(Debug)]
struct Limit {
    route: Route,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    local: DefaultKeyedRateLimiter<Bucket>,
}

/// Limits requests. Cheap to clone; clones share the buckets.
#[derive(Debug, Clone)]
pub struct RateLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Vec<Limit>,
    shared: Option<Shared>,
    clock: DefaultClock,
    fallbacks: Counter,
}

impl RateLimiter {
    /// Sets up the limits of the configuration. Needs a Tokio runtime. Redis need not be up.
    ///
    /// # Errors
    ///
    /// See [`LimitError`].
    pub fn build(
        rate: &config::Rate,
        redis: Option<&redis_client::Config>,
        metrics: &Metrics,
    ) -> Result<Self, LimitError> {
        for (name, _) in &rate.routes {
            if !Route::ALL.iter().any(|route| route.as_str() == name) {
                return Err(LimitError::UnknownRoute(name.clone()));
            }
        }
        let mut limits = Vec::new();
        for route in Route::ALL.iter().copied() {
            let own = rate.routes.iter().rfind(|(name, _)| name == route.as_str());
            let per_second = own.map_or(rate.per_second, |(_, limit)| *limit);
            // 0 is no limit.
            let Some(per_second) = NonZeroU32::new(per_second) else {
                continue;
            };
            let burst = NonZeroU32::new(rate.burst).unwrap_or(per_second);
            limits.push(Limit {
                route,
                per_second,
                burst,
                local: DefaultKeyedRateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)),
            });
        }
        let shared = match (rate.shared && !limits.is_empty(), redis) {
            (false, _) => None,
            (true, None) => return Err(LimitError::NoRedis),
            (true, Some(redis)) => Some(Shared::build(redis)?),
        };
        let inner = Arc::new(Inner {
            limits,
            shared,
            clock: DefaultClock::default(),
            fallbacks: metrics.rate_limit_fallbacks(),
        });
        if !inner.limits.is_empty() {
            tokio::spawn(clean(Arc::downgrade(&inner)));
        }
        Ok(Self(inner))
    }

    /// Counts a request.
    ///
    /// # Errors
    ///
    /// [`Code::RateLimited`], with the time after which one more is allowed. A refused request does not count.
    pub async fn check(&self, identity: &Identity, route: Route) -> Result<(), ServiceError> {
        self.check_many(identity, route, NonZeroU32::MIN).await
    }

    /// Counts as much as so many requests, all of them or none.
    ///
    /// # Errors
    ///
    /// [`Code::RateLimited`], with the time after which so many are allowed, and [`Code::TooLarge`] where so many never are
    /// at once.
    pub async fn check_many(
        &self,
        identity: &Identity,
        route: Route,
        many: NonZeroU32,
    ) -> Result<(), ServiceError> {
        let Some(limit) = self.0.limits.iter().find(|limit| limit.route == route) else {
            return Ok(());
        };
        if many > limit.burst {
            return Err(never(limit, many));
        }
        let bucket = identity.fingerprint();
        if let Some(shared) = &self.0.shared {
            match Box::pin(shared.take(limit, &bucket, many)).await {
                Some(Ok(())) => return Ok(()),
                Some(Err(wait)) => return Err(limited(limit, wait)),
                None => self.0.fallbacks.inc(),
            };
        }
        match limit.local.check_key_n(&bucket, many) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(limited(limit, until.wait_time_from(self.0.clock.now()))),
            Err(_capacity) => Err(never(limit, many)),
        }
    }

    /// The connection to Redis, where buckets are shared.
    #[must_use]
    pub fn redis(&self) -> Option<&Managed> {
        self.0.shared.as_ref().map(|shared| &shared.connection)
    }

    /// How many requests were counted in process because Redis did not answer, since the start.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.0.fallbacks.get()
    }
}

fn never(limit: &Limit, many: NonZeroU32) -> ServiceError {
    ServiceError::new(
        Code::TooLarge,
        format!(
            "{many} requests to {} at once; the rate limit lets {} through at once, ask for fewer",
            limit.route.as_str(),
            limit.burst
        ),
    )
}

fn limited(limit: &Limit, wait: Duration) -> ServiceError {
    ServiceError::new(
        Code::RateLimited,
        format!(
            "more than {} requests a second to {}",
            limit.per_second,
            limit.route.as_str()
        ),
    )
    .retry_after(wait.max(Duration::from_millis(1)))
}

/// Throws full buckets away, as long as somebody has the limiter.
async fn clean(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(CLEAN).await;
        let Some(inner) = inner.upgrade() else { return };
        for limit in &inner.limits {
            limit.local.retain_recent();
            limit.local.shrink_to_fit();
        }
    }
}

/// GCRA in one step. The key holds the time, by the clock of Redis in microseconds, at which the bucket is full again. A
/// time further ahead than a bucket can be empty means that the clock was put back: the bucket then counts as empty.
///
/// KEYS: bucket. ARGV: microseconds between requests, microseconds that a bucket lasts, requests to count, no more than that
/// are. Returns microseconds to wait.
const SCRIPT: &str = r"
local interval, lasts, many = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = tonumber(redis.call('GET', KEYS[1]) or '') or now
full = math.min(math.max(full, now), now + lasts)
local wait = full + interval * many - lasts - now
if wait > 0.5 then
  return math.ceil(wait)
end
redis.call('SET', KEYS[1], string.format('%.2f', full + interval * many), 'PX', math.ceil((full + interval * many - now) / 1000) + 1)
return 0
";

/// Buckets in Redis.
struct Shared {
    connection: Managed,
    script: redis::Script,
    start: Instant,
    /// Milliseconds after `start` before which Redis is left alone.
    paused_until: AtomicU64,
    down: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connection knows the password.
        f.debug_struct("Shared")
            .field("down", &self.down)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn build(redis: &redis_client::Config) -> Result<Self, LimitError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_max_delay(Duration::from_secs(1))
            .set_number_of_retries(2);
        let connection = Managed::new(redis, config).map_err(LimitError::Redis)?;
        // Connecting takes longer than a request may wait, so it is done beside the requests.
        let mut first = connection.get();
        tokio::spawn(async move {
            if let Err(error) = redis::cmd("PING").query_async::<()>(&mut first).await {
                tracing::warn!(kind = ?error.kind(), "Redis does not answer yet; each server limits by itself");
            }
        });
        Ok(Self {
            connection,
            script: redis::Script::new(SCRIPT),
            start: Instant::now(),
            paused_until: AtomicU64::new(0),
            down: AtomicBool::new(false),
        })
    }

    /// Takes so many requests out of a bucket: done, or to wait that long. `None` when Redis does not say.
    async fn take(&self, limit: &Limit, bucket: &Bucket, many: NonZeroU32) -> Option<Result<(), Duration>> {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let paused_until = self.paused_until.load(Ordering::Acquire);
        if now < paused_until {
            return None;
        }
        let pause = now.saturating_add(u64::try_from(REDIS_PAUSE.as_millis()).unwrap_or(u64::MAX));
        if self.down.load(Ordering::Acquire) {
            // One request tries, the others go on without.
            self.paused_until
                .compare_exchange(paused_until, pause, Ordering::AcqRel, Ordering::Acquire)
                .ok()?;
        }
        let interval = 1e6 / f64::from(limit.per_second.get());
        let mut key = format!("policyd:rate:{}:", limit.route.as_str());
        hex::push(&Sha256::digest(bucket), &mut key);
        let mut call = self.script.prepare_invoke();
        call.key(key)
            .arg(interval)
            .arg(interval * f64::from(limit.burst.get()))
            .arg(many.get());
        let mut connection = self.connection.get();
        let answer = tokio::time::timeout(REDIS_TIMEOUT, call.invoke_async::<u64>(&mut connection)).await;
        let failure = match answer {
            Ok(Ok(wait)) => {
                if self.down.swap(false, Ordering::AcqRel) {
                    tracing::info!("Redis answers again; servers share the rate limits");
                    self.paused_until.store(0, Ordering::Release);
                }
                return Some(match wait {
                    0 => Ok(()),
                    wait => Err(Duration::from_micros(wait)),
                });
            }
            Ok(Err(error)) => format!("{:?}", error.kind()),
            Err(_) => "timeout".to_owned(),
        };
        self.paused_until.store(pause, Ordering::Release);
        if !self.down.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                reason = failure,
                "Redis does not answer; each server limits by itself"
            );
        }
        None
    }
}

#[cfg(test)]
mod tests;
