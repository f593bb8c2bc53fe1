//! Settings of limits: of one request, of one caller, of one namespace.

use crate::settings::{Parser, value};
use crate::storage::model::Quota;
use std::time::Duration;

/// Limits.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes of a body.
    pub body: usize,
    /// Time for a body to arrive.
    pub body_timeout: Duration,
    /// Bytes of all large bodies.
    pub body_memory: usize,
    /// Failed attempts to prove who one is, a minute and address; 0 is no limit.
    pub auth_failures: u32,
    /// Contexts of a batch.
    pub batch: usize,
    /// Bytes of the results of a batch.
    pub results: usize,
    /// Time of a request.
    pub timeout: Duration,
    /// Requests at once.
    pub concurrency: usize,
    /// Threads for what takes long.
    pub heavy_workers: usize,
    /// Requests a second of an identity; `None` is no limit.
    pub rate: Rate,
    /// What a namespace may hold.
    pub quota: Quota,
    /// Live keys of one owner; 0 is no limit.
    pub keys: u64,
}

/// Rate limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rate {
    /// A second; 0 is no limit.
    pub per_second: u32,
    /// At once; 0 is `per_second`.
    pub burst: u32,
    /// Limits of routes that differ.
    pub routes: Vec<(String, u32)>,
    /// Whether servers on one Redis share them.
    pub shared: bool,
}

pub(crate) fn read(p: &mut Parser<'_>) -> Config {
    let routes = p.list("RATE_LIMIT_ROUTES");
    let mut limits = Vec::new();
    for route in &routes {
        let known = ["evaluate", "policies", "bundle", "decisions", "audit", "keys"];
        match route
            .split_once('=')
            .map(|(name, n)| (name.trim(), n.trim().parse::<u32>()))
        {
            Some((name, Ok(limit))) if known.contains(&name) => limits.push((name.to_owned(), limit)),
            _ => p.problem(
                "RATE_LIMIT_ROUTES",
                format!(
                    "expected ROUTE=NUMBER with a route of {}, found `{route}`",
                    known.join(", ")
                ),
            ),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (body, body_memory) = (p.size("MAX_BODY"), p.size("BODY_MEMORY"));
    if body_memory < body {
        p.problem(
            "BODY_MEMORY",
            "is less than MAX_BODY: such a body would never be taken",
        );
    }
    Config {
        body,
        body_memory,
        body_timeout: p.pause("BODY_TIMEOUT"),
        auth_failures: p.number("AUTH_FAILURES"),
        batch: p.at_least_one("MAX_BATCH"),
        results: p.size("MAX_RESULTS"),
        timeout: p.pause("REQUEST_TIMEOUT"),
        concurrency: p.at_least_one("MAX_CONCURRENCY"),
        heavy_workers: match p.number::<usize>("HEAVY_WORKERS") {
            0 => cores,
            n => n,
        },
        rate: Rate {
            per_second: p.number("RATE_LIMIT"),
            burst: p.number("RATE_LIMIT_BURST"),
            routes: limits,
            shared: p.flag("RATE_LIMIT_SHARED"),
        },
        quota: Quota {
            policies: p.number("QUOTA_POLICIES"),
            rules: p.number("QUOTA_RULES"),
            bytes: p.value("QUOTA_BYTES", 0, value::bytes),
            history: p.value("QUOTA_HISTORY", 0, value::bytes),
            share: p.value("QUOTA_SHARE", 0, |text| {
                text.parse().ok().filter(|percent| *percent <= 100)
            }),
        },
        keys: p.number("QUOTA_KEYS"),
    }
}
