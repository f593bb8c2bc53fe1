//! Settings below the heading "Cache".

use super::{REDIS, Setting, of, secret};

const GROUP: &str = "Cache";

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(
        GROUP,
        "CACHE_ENABLED",
        "true",
        "BOOL",
        "Whether decisions that cost more than a lookup are kept.",
    ),
    of(
        GROUP,
        "CACHE_TTL",
        "300s",
        "DURATION",
        "How long a decision is kept.",
    ),
    of(
        GROUP,
        "CACHE_SIZE",
        "64MB",
        "BYTES",
        "Memory of the cache in process.",
    ),
    secret(
        GROUP,
        "REDIS_URL",
        "URL",
        "Redis, shared by several servers: second cache level and rate limits.",
    ),
    of(
        GROUP,
        "REDIS_HOST",
        "",
        "HOST",
        "Redis host. This and the settings below fill in what REDIS_URL does not set. If both set a value, they must agree.",
    ),
    of(GROUP, "REDIS_PORT", "6379", "PORT", "Redis port.").needs(&[REDIS]),
    of(
        GROUP,
        "REDIS_USERNAME",
        "",
        "NAME",
        "Redis user (ACL), with REDIS_PASSWORD; without it, the password is that of the user `default`.",
    )
    .or_in_file()
    .needs(&[REDIS]),
    secret(GROUP, "REDIS_PASSWORD", "TEXT", "Redis password.").needs(&[REDIS]),
    of(GROUP, "REDIS_DB", "0", "NUMBER", "Redis database.").needs(&[REDIS]),
    of(GROUP, "REDIS_TLS_ENABLED", "false", "BOOL", "TLS to Redis.").needs(&[REDIS]),
    of(
        GROUP,
        "REDIS_TLS_CA",
        "",
        "FILE",
        "PEM certificates of authorities to trust for Redis, instead of the public ones.",
    )
    .needs(&[&["REDIS_TLS_ENABLED=on", "REDIS_URL=rediss:"]]),
];
