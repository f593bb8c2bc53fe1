//! Environment variables that the earlier implementation read and this one does not. They stand in deployments still, and
//! whoever set one should know that it does nothing: [`Raw::strangers`](super::Raw::strangers) says so in one line when the server
//! starts. `docs/migrating.md` has the same table, which a test holds to this one.

/// A variable that is not read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// Its name.
    pub name: &'static str,
    /// What takes its place, in the words of the page.
    pub instead: &'static str,
}

const fn of(name: &'static str, instead: &'static str) -> Earlier {
    Earlier { name, instead }
}

/// What an integration has for an address: nothing is called.
const NO_CLIENT: &str = "nothing: no such service is asked for a decision";
/// Who signs tokens.
const TOKENS: &str = "`JWT_JWKS` or `JWT_PUBLIC_KEY`, with `JWT_ISSUER` and `JWT_AUDIENCE`";

/// Every such variable.
pub const EARLIER: &[Earlier] = &[
    of(
        "NODE_ENV",
        "nothing: there is one mode; `--dev` is for trying out",
    ),
    of("DATABASE_SSL", "`DATABASE_SSL_MODE`"),
    of(
        "DATABASE_POOL_MIN",
        "nothing: connections are opened when they are needed",
    ),
    of("DATABASE_POOL_MAX", "`DATABASE_POOL`"),
    of(
        "REDIS_KEY_PREFIX",
        "nothing: keys begin with `lpe:` or `policyd:`; `REDIS_DB` separates more",
    ),
    of("CACHE_MAX_SIZE", "`CACHE_SIZE`, in bytes instead of entries"),
    of("API_KEY_HEADER", "nothing: the header is `X-API-Key`"),
    of(
        "RATE_LIMIT_WINDOW_MS",
        "`RATE_LIMIT`, requests per second, and `RATE_LIMIT_BURST`",
    ),
    of(
        "RATE_LIMIT_MAX_REQUESTS",
        "`RATE_LIMIT`, requests per second, and `RATE_LIMIT_BURST`",
    ),
    of(
        "METRICS_PATH",
        "nothing: the path is `/metrics`, on `METRICS_PORT`",
    ),
    of("JAEGER_ENDPOINT", "`OTLP_ENDPOINT`, which Jaeger takes too"),
    of(
        "MAX_POLICY_SIZE_MB",
        "`MAX_BODY`, and `QUOTA_BYTES` of a namespace",
    ),
    of(
        "MAX_EVALUATION_TIME_MS",
        "`REQUEST_TIMEOUT`; the work of a decision is bounded when policies are compiled",
    ),
    of("ENABLE_PARALLEL_EVALUATION", "nothing"),
    of(
        "LLM_SHIELD_URL",
        "`SHIELD_URL`, which is asked where a rule reads `shield`",
    ),
    of("LLM_COSTOPS_URL", NO_CLIENT),
    of("LLM_GOVERNANCE_URL", NO_CLIENT),
    of("LLM_EDGE_AGENT_URL", NO_CLIENT),
    of("LLM_SCHEMA_REGISTRY_URL", NO_CLIENT),
    of("LLM_CONFIG_MANAGER_URL", NO_CLIENT),
    of("LLM_OBSERVATORY_URL", NO_CLIENT),
    of("RUVECTOR_SERVICE_URL", NO_CLIENT),
    of("AGENTICS_ISSUER", TOKENS),
    of("AGENTICS_AUDIENCE", TOKENS),
    of("AGENTICS_PUBLIC_KEY", TOKENS),
    of("AGENTICS_API_TOKEN", NO_CLIENT),
];

/// Whether a variable is one of these.
pub(super) fn is_one(name: &str) -> bool {
    EARLIER.iter().any(|earlier| earlier.name == name)
}

/// One line about those of these names that are set; `None` where none is.
pub(super) fn notice(names: &[String]) -> Option<String> {
    let set: Vec<String> = EARLIER
        .iter()
        .filter(|earlier| names.iter().any(|name| name == earlier.name))
        .map(|earlier| format!("{} ({})", earlier.name, earlier.instead.replace('`', "")))
        .collect();
    (!set.is_empty()).then(|| {
        format!(
            "these environment variables are of the earlier implementation and have no effect (what takes their place): {}; see \
             docs/migrating.md",
            set.join(", ")
        )
    })
}
