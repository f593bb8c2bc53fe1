//! Settings below the heading "Limits".

use super::{Other, REDIS, Setting, of};

const GROUP: &str = "Limits";

/// What limits rates.
const RATES: &[Other] = &["RATE_LIMIT", "RATE_LIMIT_ROUTES"];

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(GROUP, "MAX_BODY", "4MB", "BYTES", "Largest body of a request."),
    of(
        GROUP,
        "BODY_MEMORY",
        "256MB",
        "BYTES",
        "Memory for request bodies over 64 KB, at most half of it for one address; the same amount again for answers over 64 KB until the client has read them. At least MAX_BODY.",
    ),
    of(
        GROUP,
        "MAX_BATCH",
        "1000",
        "NUMBER",
        "Highest number of contexts in a batch.",
    ),
    of(
        GROUP,
        "MAX_RESULTS",
        "16MB",
        "BYTES",
        "Largest answer to a batch or a simulation, all results together.",
    ),
    of(
        GROUP,
        "REQUEST_TIMEOUT",
        "10s",
        "DURATION",
        "Longest time for one request and all its work. What is not finished by then stops.",
    ),
    of(
        GROUP,
        "MAX_CONCURRENCY",
        "4096",
        "NUMBER",
        "Requests at once; more are refused with 503.",
    ),
    of(
        GROUP,
        "HEAVY_WORKERS",
        "0",
        "NUMBER",
        "Threads for compiling and for long evaluations of one caller (an identity and its keys, or an address without authentication). Half as many more are for other callers. 0 is one thread for each processor.",
    ),
    of(
        GROUP,
        "RATE_LIMIT",
        "0",
        "NUMBER",
        "Requests a second of one identity and its keys, or of one address without authentication; each context of a batch or a simulation counts. 0 is no limit.",
    ),
    of(
        GROUP,
        "RATE_LIMIT_BURST",
        "0",
        "NUMBER",
        "Most requests at once (burst); 0 is RATE_LIMIT.",
    )
    .needs(&[RATES]),
    of(
        GROUP,
        "RATE_LIMIT_ROUTES",
        "",
        "ROUTE=NUMBER,…",
        "Other limits for routes: evaluate, policies, bundle, decisions, audit, keys.",
    ),
    of(
        GROUP,
        "RATE_LIMIT_SHARED",
        "false",
        "BOOL",
        "Whether all servers on one Redis share the rate limits.",
    )
    .needs(&[REDIS, RATES]),
    of(
        GROUP,
        "QUOTA_POLICIES",
        "5000",
        "NUMBER",
        "Highest number of stored policies of a namespace; 0 is no limit.",
    ),
    of(
        GROUP,
        "QUOTA_RULES",
        "50000",
        "NUMBER",
        "Highest number of active rules of a namespace; 0 is no limit.",
    ),
    of(
        GROUP,
        "QUOTA_BYTES",
        "32MB",
        "BYTES",
        "Largest size of the newest versions of all stored policies of a namespace; 0 is no limit.",
    ),
    of(
        GROUP,
        "QUOTA_HISTORY",
        "1GB",
        "BYTES",
        "Text of all versions of one namespace that are kept, also of policies that were removed; 0 is no limit.",
    ),
    of(
        GROUP,
        "QUOTA_SHARE",
        "10",
        "0…100",
        "Most percent of each compiler limit (texts, rules, conditions, values, patterns, placeholders of all active policies) that one namespace may use; `global` has no such limit. 0 is no limit.",
    ),
    of(
        GROUP,
        "QUOTA_KEYS",
        "1000",
        "NUMBER",
        "Highest number of live API keys that an identity and its keys made; 0 is no limit.",
    ),
];
