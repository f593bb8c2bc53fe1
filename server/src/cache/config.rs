//! Settings of the caches: `CACHE_…`, and the Redis behind them.

use crate::redis_client;
use crate::settings::{Parser, value};
use std::time::Duration;

/// Caches.
#[derive(Debug)]
pub struct Config {
    /// Whether decisions are kept.
    pub enabled: bool,
    /// For how long.
    pub ttl: Duration,
    /// Bytes in process.
    pub bytes: u64,
    /// Redis, where there is one.
    pub redis: Option<redis_client::Config>,
}

pub(crate) fn read(p: &mut Parser<'_>) -> Config {
    let redis = redis_client::config::read(p);
    Config {
        enabled: p.flag("CACHE_ENABLED"),
        ttl: p.duration("CACHE_TTL"),
        bytes: p.value("CACHE_SIZE", 0, value::bytes),
        redis,
    }
}
