//! The one table of settings. Flags, environment variables, keys of `policyd.toml` and the reference page are expansions
//! of it: `PORT` is `--port`, the variable `PORT`, and `port = …` in the file. So are the rules of what a setting needs beside
//! it and what it contradicts: no setting that was given is silently without effect.
//!
//! A switch that is given as off, and what it switches off, contradict nothing: that is what it is for.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Name of the environment variable; the flag and the key in the file are spelled after it.
    pub name: &'static str,
    /// Value when nothing is given; `None` is no value.
    pub default: Option<&'static str>,
    /// What a value looks like, with its unit.
    pub value: &'static str,
    /// Whether the value is never shown.
    pub secret: bool,
    /// Whether `NAME_FILE`, which names a file that holds the value, may stand in its place.
    pub in_file: bool,
    /// Heading on the reference page.
    pub group: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What has to be given beside it, or it would do nothing: of each list, one.
    pub needs: &'static [&'static [Other]],
    /// What must not be given beside it: one of the two would do nothing.
    pub contradicts: &'static [Other],
}

/// Another setting, as `NAME` where it is given at all, `NAME=TEXT` where its value begins with this text (`on` is any way to
/// say yes), or `NAME~TEXT` where its list holds this (with `:` at its end, something that begins with it).
pub type Other = &'static str;

impl Setting {
    const fn needs(mut self, needs: &'static [&'static [Other]]) -> Self {
        self.needs = needs;
        self
    }

    const fn contradicts(mut self, contradicts: &'static [Other]) -> Self {
        self.contradicts = contradicts;
        self
    }

    /// Lets a file hold the value, as one does of every secret.
    const fn or_in_file(mut self) -> Self {
        self.in_file = true;
        self
    }

    /// The environment variable that names a file with the value; `None` where there is no such form.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        self.in_file.then(|| format!("{}{FILE_SUFFIX}", self.name))
    }

    /// Whether its value is yes or no.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.value == "BOOL"
    }

    /// The command line flag, without dashes in front.
    #[must_use]
    pub fn flag(&self) -> String {
        flag_of(self.name)
    }

    /// The key in the file.
    #[must_use]
    pub fn key(&self) -> String {
        key_of(self.name)
    }
}

/// What the name of a setting has at its end where a file holds the value.
pub const FILE_SUFFIX: &str = "_FILE";

/// The flag that goes with the name of an environment variable, without dashes in front.
#[must_use]
pub fn flag_of(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The key in the file that goes with the name of an environment variable.
#[must_use]
pub fn key_of(name: &str) -> String {
    name.to_ascii_lowercase()
}

const fn of(
    group: &'static str,
    name: &'static str,
    default: &'static str,
    value: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        default: if default.is_empty() { None } else { Some(default) },
        value,
        secret: false,
        in_file: false,
        group,
        help,
        needs: &[],
        contradicts: &[],
    }
}

const fn secret(group: &'static str, name: &'static str, value: &'static str, help: &'static str) -> Setting {
    Setting {
        name,
        default: None,
        value,
        secret: true,
        in_file: true,
        group,
        help,
        needs: &[],
        contradicts: &[],
    }
}

/// What turns tokens on.
const TOKENS: &[Other] = &["JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS"];
/// What turns authentication on.
const AUTHENTICATION: &[Other] = &["JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS", "API_KEYS_ENABLED=on"];
/// What makes PostgreSQL the database.
pub(super) const POSTGRES: &[Other] = &["DATABASE_HOST", "DATABASE_URL=postgres"];

/// What keeps decisions on disk for a while.
const SPOOLING: &[Other] = &["DATABASE_HOST", "DATABASE_URL=postgres", "DECISION_LOG~segments"];
/// What makes a Redis known.
const REDIS: &[Other] = &["REDIS_HOST", "REDIS_URL"];
/// What sends webhooks.
const WEBHOOK: &[Other] = &["DECISION_LOG~webhook:"];
/// What limits rates.
const RATES: &[Other] = &["RATE_LIMIT", "RATE_LIMIT_ROUTES"];

const NET: &str = "Network";
const POLICIES: &str = "Policies";
const STORE: &str = "Storage";
const CACHE: &str = "Cache";
const AUTH: &str = "Authentication";
const LIMITS: &str = "Limits";
const LOG: &str = "Decision log and audit";
const TELEMETRY: &str = "Telemetry";
const SERVICES: &str = "Other services";

/// Every setting, in the order of the reference page.
pub const SETTINGS: &[Setting] = &[
    of(
        NET,
        "HOST",
        "127.0.0.1",
        "ADDRESS",
        "Address of the REST and gRPC listeners. Anything but loopback needs authentication.",
    ),
    of(NET, "PORT", "3000", "PORT", "REST port; 0 takes a free one."),
    of(
        NET,
        "GRPC_PORT",
        "50051",
        "PORT",
        "gRPC port; 0 takes a free one.",
    ),
    of(
        NET,
        "METRICS_HOST",
        "127.0.0.1",
        "ADDRESS",
        "Address of the admin listener: metrics, health and, on loopback only, the log level. It has no authentication; any address but loopback needs authentication of the other listeners, or INSECURE_NO_AUTH.",
    ),
    of(
        NET,
        "METRICS_PORT",
        "9090",
        "PORT",
        "Port of the admin listener; 0 takes a free one.",
    ),
    of(
        NET,
        "TLS_CERT",
        "",
        "FILE",
        "PEM certificate chain for both ports; read again when it changes.",
    ).needs(&[&["TLS_KEY"]]),
    of(NET, "TLS_KEY", "", "FILE", "PEM private key of TLS_CERT.").needs(&[&["TLS_CERT"]]),
    of(
        NET,
        "TLS_CLIENT_CA",
        "",
        "FILE",
        "PEM certificates; only clients with a certificate signed by one of them are let in (mTLS).",
    ).needs(&[&["TLS_CERT"]]),
    of(
        NET,
        "ALLOWED_HOSTS",
        "",
        "NAME,…",
        "Other host names, without ports, under which clients and web pages may call a server without authentication. `localhost`, loopback addresses and the address of the listener are always allowed.",
    ),
    of(
        NET,
        "MAX_CONNECTIONS",
        "10000",
        "NUMBER",
        "Most connections of REST and gRPC together; fewer if the process may not open enough files. Connections over the limit are closed at once.",
    ),
    of(
        NET,
        "MAX_CONNECTIONS_PER_ADDRESS",
        "0",
        "NUMBER",
        "Most connections from one IPv4 address or one IPv6 /64 network; 0 is half of MAX_CONNECTIONS.",
    ),
    of(
        NET,
        "HEADER_TIMEOUT",
        "10s",
        "DURATION",
        "How long the head of a request may take, from its first byte on; for the first request of a connection from the connect on, TLS included.",
    ),
    of(
        NET,
        "IDLE_TIMEOUT",
        "2m",
        "DURATION",
        "How long a connection may be idle between requests, and a stream between messages, before it is closed. Also how long a client may take to read 32 KB of an answer over HTTP/2 before its stream is reset.",
    ),
    of(
        NET,
        "BODY_TIMEOUT",
        "10s",
        "DURATION",
        "How long the body of a request may take to arrive.",
    ),
    of(
        NET,
        "SHUTDOWN_GRACE",
        "20s",
        "DURATION",
        "How long requests under way may take after a signal to stop.",
    ),
    of(
        NET,
        "SHUTDOWN_DELAY",
        "0s",
        "DURATION",
        "How long the server goes on accepting and answering after a signal to stop, with readiness off, before SHUTDOWN_GRACE begins: the time that load balancers need to stop sending requests here.",
    ),
    of(
        NET,
        "GRPC_MAX_CONNECTION_AGE",
        "0s",
        "DURATION",
        "Age, give or take 10 %, at which clients with HTTP/2 (gRPC and REST) are told to open another connection. Calls under way go on for SHUTDOWN_GRACE. 0s is no limit.",
    ),
    of(
        POLICIES,
        "POLICIES",
        "",
        "DIR",
        "Directory of policies. It must exist and is watched for changes. The API cannot change policies then.",
    ),
    of(
        POLICIES,
        "BUNDLE",
        "",
        "FILE|URL",
        "Bundle to run. A file is watched, a URL is polled. The API cannot change policies then. User, password and query values of a URL are never shown.",
    ).contradicts(&["POLICIES"]),
    of(
        POLICIES,
        "BUNDLE_POLL",
        "10s",
        "DURATION",
        "How often a BUNDLE at a URL is asked for.",
    ).needs(&[&["BUNDLE=http"]]),
    secret(
        POLICIES,
        "BUNDLE_TOKEN",
        "TEXT",
        "Token or API key that is sent as `Authorization: Bearer` to the server of a BUNDLE at a URL, and to no other. The URL must be https or on this machine, and must hold no user and password.",
    ).needs(&[&["BUNDLE=http"]]),
    of(
        POLICIES,
        "STATUS_URL",
        "",
        "URL",
        "Central policyd that this server, an edge, reports to what it runs, as EDGE_ID.",
    ).needs(&[&["EDGE_ID"]]),
    secret(
        POLICIES,
        "STATUS_TOKEN",
        "TEXT",
        "Token or API key that is sent as `Authorization: Bearer` with reports; it needs `status:write`. The URL must be https or on this machine.",
    ).needs(&[&["STATUS_URL"]]),
    of(
        POLICIES,
        "STATUS_INTERVAL",
        "30s",
        "DURATION",
        "How often is reported; also at once when other policies decide.",
    ).needs(&[&["STATUS_URL"]]),
    of(
        POLICIES,
        "EDGE_ID",
        "",
        "NAME",
        "What this server calls itself in reports: letters, digits, `.`, `_` and `-`. Each edge needs its own.",
    ).needs(&[&["STATUS_URL"]]),
    of(
        POLICIES,
        "BUNDLE_KEYS",
        "",
        "FILE,…",
        "Public keys. If set, only bundles signed by one of them are active, and no policies from source text.",
    ).contradicts(&["POLICIES"]),
    of(
        POLICIES,
        "DERIVE",
        "always",
        "always|missing|never",
        "Which derived fields are computed.",
    ),
    of(
        POLICIES,
        "DEFAULT_DECISION",
        "allow",
        "allow|deny",
        "Decision where no rule fires.",
    ),
    of(
        POLICIES,
        "UNKNOWN_NAMESPACE",
        "error",
        "error|global",
        "What happens to a request that names a namespace without active policies: `error` refuses it, `global` lets the policies of `global` decide, if there are any.",
    ),
    of(
        POLICIES,
        "PRICES_FILE",
        "",
        "FILE",
        "Prices of models, YAML or JSON: added to the built-in table, or instead of it with `replace: true`.",
    ).contradicts(&["DERIVE=never"]),
    of(
        POLICIES,
        "APPROVAL_REQUIRED",
        "false",
        "BOOL",
        "Whether a version becomes active only after somebody other than its author approved it.",
    ).needs(&[AUTHENTICATION])
    .contradicts(&["POLICIES", "BUNDLE"]),
    of(
        POLICIES,
        "POLICY_STRICT",
        "false",
        "BOOL",
        "Treat compiler warnings as errors: in policies that are written or activated, in a directory, and in a bundle that was built with warnings. `--strict` for short.",
    ),
    of(
        STORE,
        "DATA_DIR",
        "./data",
        "DIR",
        "Directory for SQLite, the last good bundle, and decisions that wait for PostgreSQL. Each server needs its own.",
    ),
    secret(
        STORE,
        "DATABASE_URL",
        "URL",
        "`postgresql://…` or `sqlite:FILE` or `sqlite::memory:`; SQLite under DATA_DIR when neither this nor DATABASE_HOST is given.",
    ),
    of(
        STORE,
        "DATABASE_HOST",
        "",
        "HOST",
        "PostgreSQL host. This and the settings below fill in what DATABASE_URL does not set. If both set a value, they must agree.",
    ).contradicts(&["DATABASE_URL=sqlite"]),
    of(STORE, "DATABASE_PORT", "5432", "PORT", "PostgreSQL port.").needs(&[POSTGRES]),
    of(
        STORE,
        "DATABASE_USERNAME",
        "llm_policy_engine",
        "NAME",
        "PostgreSQL user.",
    ).or_in_file().needs(&[POSTGRES]),
    secret(STORE, "DATABASE_PASSWORD", "TEXT", "PostgreSQL password.").needs(&[POSTGRES]),
    of(
        STORE,
        "DATABASE_NAME",
        "llm_policy_engine",
        "NAME",
        "PostgreSQL database.",
    ).needs(&[POSTGRES]),
    of(
        STORE,
        "DATABASE_SSL_MODE",
        "prefer",
        "disable|prefer|require|verify-ca|verify-full",
        "TLS to PostgreSQL.",
    ).needs(&[POSTGRES]),
    of(
        STORE,
        "DATABASE_SSL_ROOT_CERT",
        "",
        "FILE",
        "PEM certificates of authorities to trust for PostgreSQL, in addition to the public ones, with verify-ca and verify-full.",
    ).needs(&[POSTGRES]),
    of(
        STORE,
        "DATABASE_POOL",
        "10",
        "NUMBER",
        "Highest number of connections to the database.",
    ),
    of(
        STORE,
        "DATABASE_POOL_MODE",
        "session",
        "session|transaction",
        "How long a pooler between `policyd` and PostgreSQL, such as PgBouncer, gives away a connection. With `transaction`, changes of other servers are found by asking every POLL_INTERVAL, and not by listening.",
    ).needs(&[POSTGRES]),
    of(
        STORE,
        "POLL_INTERVAL",
        "250ms",
        "DURATION",
        "How often the database is asked whether another server changed something.",
    ),
    of(
        CACHE,
        "CACHE_ENABLED",
        "true",
        "BOOL",
        "Whether decisions that cost more than a lookup are kept.",
    ),
    of(
        CACHE,
        "CACHE_TTL",
        "300s",
        "DURATION",
        "How long a decision is kept.",
    ),
    of(
        CACHE,
        "CACHE_SIZE",
        "64MB",
        "BYTES",
        "Memory of the cache in process.",
    ),
    secret(
        CACHE,
        "REDIS_URL",
        "URL",
        "Redis, shared by several servers: second cache level and rate limits.",
    ),
    of(
        CACHE,
        "REDIS_HOST",
        "",
        "HOST",
        "Redis host. This and the settings below fill in what REDIS_URL does not set. If both set a value, they must agree.",
    ),
    of(CACHE, "REDIS_PORT", "6379", "PORT", "Redis port.").needs(&[REDIS]),
    of(
        CACHE,
        "REDIS_USERNAME",
        "",
        "NAME",
        "Redis user (ACL), with REDIS_PASSWORD; without it, the password is that of the user `default`.",
    ).or_in_file().needs(&[REDIS]),
    secret(CACHE, "REDIS_PASSWORD", "TEXT", "Redis password.").needs(&[REDIS]),
    of(CACHE, "REDIS_DB", "0", "NUMBER", "Redis database.").needs(&[REDIS]),
    of(CACHE, "REDIS_TLS_ENABLED", "false", "BOOL", "TLS to Redis.").needs(&[REDIS]),
    of(
        CACHE,
        "REDIS_TLS_CA",
        "",
        "FILE",
        "PEM certificates of authorities to trust for Redis, instead of the public ones.",
    ).needs(&[&["REDIS_TLS_ENABLED=on", "REDIS_URL=rediss:"]]),
    secret(
        AUTH,
        "JWT_SECRET",
        "TEXT",
        "Secret of HS256 tokens, at least 32 bytes. Turns authentication on.",
    ),
    secret(
        AUTH,
        "JWT_SECRET_PREVIOUS",
        "TEXT",
        "A second secret of HS256 tokens, at least 32 bytes: tokens of both are accepted, and none is made with this one. For changing JWT_SECRET.",
    ).needs(&[&["JWT_SECRET"]]),
    of(
        AUTH,
        "JWT_ALGORITHM",
        "",
        "HS256|RS256|ES256|EdDSA",
        "The only algorithm accepted; HS256 with JWT_SECRET, RS256 with a key.",
    ).needs(&[TOKENS]),
    of(
        AUTH,
        "JWT_PUBLIC_KEY",
        "",
        "FILE",
        "PEM public key of RS256, ES256 or EdDSA tokens. Turns authentication on.",
    ).contradicts(&["JWT_SECRET"]),
    of(
        AUTH,
        "JWT_JWKS",
        "",
        "FILE|URL",
        "Key set of tokens, read again when it changes. Turns authentication on.",
    ).contradicts(&["JWT_SECRET", "JWT_PUBLIC_KEY"]),
    of(
        AUTH,
        "JWT_ISSUER",
        "llm-policy-engine",
        "TEXT",
        "`iss` that tokens must have.",
    ).needs(&[TOKENS]),
    of(
        AUTH,
        "JWT_AUDIENCE",
        "llm-policy-engine-api",
        "TEXT",
        "`aud` that tokens must have.",
    ).needs(&[TOKENS]),
    of(
        AUTH,
        "JWT_EXPIRES_IN",
        "1h",
        "DURATION",
        "Life of the tokens that `policyd token` makes, and the longest that is accepted of any token with an `iat`.",
    ).needs(&[TOKENS]),
    of(
        AUTH,
        "JWT_REQUIRE_NAMESPACES",
        "false",
        "BOOL",
        "Whether tokens without a claim `namespaces`, `namespace` or `tenant` are refused; otherwise they are for all namespaces. To use all namespaces then, use an API key.",
    ).needs(&[TOKENS]),
    of(
        AUTH,
        "API_KEYS_ENABLED",
        "false",
        "BOOL",
        "Whether API keys are accepted. Turns authentication on.",
    ),
    of(
        AUTH,
        "INSECURE_NO_AUTH",
        "false",
        "BOOL",
        "Listen on other addresses than loopback without authentication, with HOST and METRICS_HOST.",
    ).contradicts(AUTHENTICATION),
    of(
        AUTH,
        "AUTH_FAILURES",
        "120",
        "NUMBER",
        "Most wrong tokens and keys a minute, also at once, from one IPv4 address or one IPv6 /64 network; over the limit, requests get 429. Credentials that were valid before still work. 0 is no limit.",
    ),
    of(LIMITS, "MAX_BODY", "4MB", "BYTES", "Largest body of a request."),
    of(
        LIMITS,
        "BODY_MEMORY",
        "256MB",
        "BYTES",
        "Memory for request bodies over 64 KB, at most half of it for one address; the same amount again for answers over 64 KB until the client has read them. At least MAX_BODY.",
    ),
    of(
        LIMITS,
        "MAX_BATCH",
        "1000",
        "NUMBER",
        "Highest number of contexts in a batch.",
    ),
    of(
        LIMITS,
        "MAX_RESULTS",
        "16MB",
        "BYTES",
        "Largest answer to a batch or a simulation, all results together.",
    ),
    of(
        LIMITS,
        "REQUEST_TIMEOUT",
        "10s",
        "DURATION",
        "Longest time for one request and all its work. What is not finished by then stops.",
    ),
    of(
        LIMITS,
        "MAX_CONCURRENCY",
        "4096",
        "NUMBER",
        "Requests at once; more are refused with 503.",
    ),
    of(
        LIMITS,
        "HEAVY_WORKERS",
        "0",
        "NUMBER",
        "Threads for compiling and for long evaluations of one caller (an identity and its keys, or an address without authentication). Half as many more are for other callers. 0 is one thread for each processor.",
    ),
    of(
        LIMITS,
        "RATE_LIMIT",
        "0",
        "NUMBER",
        "Requests a second of one identity and its keys, or of one address without authentication; each context of a batch or a simulation counts. 0 is no limit.",
    ),
    of(
        LIMITS,
        "RATE_LIMIT_BURST",
        "0",
        "NUMBER",
        "Most requests at once (burst); 0 is RATE_LIMIT.",
    ).needs(&[RATES]),
    of(
        LIMITS,
        "RATE_LIMIT_ROUTES",
        "",
        "ROUTE=NUMBER,…",
        "Other limits for routes: evaluate, policies, bundle, decisions, audit, keys.",
    ),
    of(
        LIMITS,
        "RATE_LIMIT_SHARED",
        "false",
        "BOOL",
        "Whether all servers on one Redis share the rate limits.",
    ).needs(&[REDIS, RATES]),
    of(
        LIMITS,
        "QUOTA_POLICIES",
        "5000",
        "NUMBER",
        "Highest number of stored policies of a namespace; 0 is no limit.",
    ),
    of(
        LIMITS,
        "QUOTA_RULES",
        "50000",
        "NUMBER",
        "Highest number of active rules of a namespace; 0 is no limit.",
    ),
    of(
        LIMITS,
        "QUOTA_BYTES",
        "32MB",
        "BYTES",
        "Largest size of the newest versions of all stored policies of a namespace; 0 is no limit.",
    ),
    of(
        LIMITS,
        "QUOTA_HISTORY",
        "1GB",
        "BYTES",
        "Text of all versions of one namespace that are kept, also of policies that were removed; 0 is no limit.",
    ),
    of(
        LIMITS,
        "QUOTA_SHARE",
        "10",
        "0…100",
        "Most percent of each compiler limit (texts, rules, conditions, values, patterns, placeholders of all active policies) that one namespace may use; `global` has no such limit. 0 is no limit.",
    ),
    of(
        LIMITS,
        "QUOTA_KEYS",
        "1000",
        "NUMBER",
        "Highest number of live API keys that an identity and its keys made; 0 is no limit.",
    ),
    of(
        LOG,
        "DECISION_LOG",
        "store",
        "off|store|segments|stdout|file:FILE|webhook:URL,…",
        "Where decisions are written. `segments` are Parquet files.",
    ),
    of(
        LOG,
        "DECISION_LOG_CONTEXT",
        "masked",
        "none|masked|full",
        "What is kept of a context.",
    ),
    of(
        LOG,
        "DECISION_LOG_MASK",
        "llm.prompt,llm.messages,llm.tools,user.email,request.ipAddress",
        "PATH,…",
        "Paths that `masked` replaces.",
    ).contradicts(&["DECISION_LOG_CONTEXT=full"]),
    of(
        LOG,
        "DECISION_LOG_QUEUE",
        "20000",
        "NUMBER",
        "Highest number of decisions that wait to be written; one caller has at most half of the places.",
    ),
    of(
        LOG,
        "DECISION_LOG_OVERFLOW",
        "block",
        "block|drop",
        "What happens when the queue, or a caller's half of it, is full: `block` makes requests wait, `drop` drops decisions and counts them.",
    ),
    of(
        LOG,
        "DECISION_LOG_SPOOL",
        "1GB",
        "BYTES",
        "Disk space under DATA_DIR for decisions that wait while PostgreSQL is away, or to be sealed; 0 is none. If set, a server that cannot write there does not start.",
    ).needs(&[SPOOLING, &["DECISION_LOG~store", "DECISION_LOG~segments"]]),
    of(
        LOG,
        "DECISION_LOG_SEGMENTS",
        "",
        "DIR|URL",
        "Folder of the Parquet files, or a bucket: `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `abfss://…`; `decisions` under DATA_DIR when empty. Servers can share one. The credentials of buckets come from the variables of their clouds (docs/segments.md).",
    ).needs(&[&["DECISION_LOG~segments"]]),
    of(
        LOG,
        "DECISION_LOG_SEGMENTS_TLS_CA",
        "",
        "FILE",
        "PEM certificates of authorities to trust for the bucket, instead of the public ones.",
    ).needs(&[&["DECISION_LOG_SEGMENTS"]]),
    of(
        LOG,
        "DECISION_LOG_SEAL_BYTES",
        "64MB",
        "BYTES",
        "Decisions on disk that are sealed into a Parquet file.",
    ).needs(&[&["DECISION_LOG~segments"]]),
    of(
        LOG,
        "DECISION_LOG_SEAL_AFTER",
        "15m",
        "DURATION",
        "Age of a decision at which fewer are sealed.",
    ).needs(&[&["DECISION_LOG~segments"]]),
    of(
        LOG,
        "DECISION_LOG_RETENTION",
        "30d",
        "DURATION",
        "How long decisions are kept in the database and in segments; 0s is for ever.",
    ),
    secret(
        LOG,
        "WEBHOOK_SECRET",
        "whsec_BASE64,…",
        "Secrets that webhooks are signed with (Standard Webhooks): `whsec_` and the base64 of 24 to 64 bytes. Each signs, so that receivers can change theirs.",
    ).needs(&[WEBHOOK]),
    secret(
        LOG,
        "WEBHOOK_TOKEN",
        "TEXT",
        "Token that is sent as `Authorization: Bearer` to the receiver of webhooks. The URL must be https or on this machine.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_FORMAT",
        "cloudevents",
        "cloudevents|governance|costops",
        "What webhooks hold: CloudEvents, entries for LLM Governance (one a request), or usage for LLM CostOps.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_AUDIT",
        "new",
        "new|all|off",
        "Whether the audit trail is sent as well. The first time it is sent from its end on, or with `all` from its first record on. `costops` sends none.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_SOURCE",
        "/policyd",
        "URI",
        "`source` of events: which server they are of.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_BATCH",
        "100",
        "NUMBER",
        "Most events in a request; with 1, a request holds an event and no list.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_BATCH_BYTES",
        "256KB",
        "BYTES",
        "Largest body of a request with more than one event.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_TIMEOUT",
        "10s",
        "DURATION",
        "How long the receiver may take for a request.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_BACKOFF",
        "1m",
        "DURATION",
        "Longest pause between attempts, which begin with half a second. `Retry-After` of the receiver may ask for more, up to an hour.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_SPOOL",
        "1GB",
        "BYTES",
        "Disk space under DATA_DIR for events that wait for the receiver. When it is full, the queue fills: see DECISION_LOG_OVERFLOW.",
    ).needs(&[WEBHOOK]),
    of(
        LOG,
        "WEBHOOK_TLS_CA",
        "",
        "FILE",
        "PEM certificates of authorities to trust for the receiver, instead of the public ones.",
    ).needs(&[WEBHOOK]),
    secret(
        LOG,
        "ENCRYPTION_KEYS",
        "ID:BASE64,…",
        "AES-256-GCM keys for stored contexts; the first encrypts, all decrypt.",
    ),
    of(
        TELEMETRY,
        "LOG_LEVEL",
        "info",
        "error|warn|info|debug|trace",
        "What is logged, to stderr; directives like `policy_server=debug` work.",
    ),
    of(
        TELEMETRY,
        "LOG_FORMAT",
        "auto",
        "auto|json|text",
        "`auto` is text on a terminal, else JSON.",
    ),
    of(
        TELEMETRY,
        "TRACE_ENABLED",
        "false",
        "BOOL",
        "Whether traces are sent to OTLP_ENDPOINT.",
    ),
    of(
        TELEMETRY,
        "OTLP_ENDPOINT",
        "http://127.0.0.1:4317",
        "URL",
        "OTLP collector (gRPC without TLS: `http://…` only).",
    ).needs(&[&["TRACE_ENABLED"]]),
    of(
        TELEMETRY,
        "TRACE_SAMPLE",
        "0.1",
        "0…1",
        "Share of traces kept, from 0 to 1, for requests whose caller did not decide it.",
    ).needs(&[&["TRACE_ENABLED"]]),
    of(
        SERVICES,
        "SHIELD_URL",
        "",
        "URL",
        "LLM Shield, which is asked about the texts of a request before it is decided, where a rule reads `shield`. It must hold no user, password or query. Without it nobody is asked.",
    ),
    of(
        SERVICES,
        "SHIELD_TIMEOUT",
        "150ms",
        "DURATION",
        "Longest time that one request waits for Shield, all attempts together. What is not known then stays unknown.",
    ).needs(&[&["SHIELD_URL"]]),
    of(
        SERVICES,
        "SHIELD_ON_FAILURE",
        "unknown",
        "unknown",
        "What rules see where Shield gives no answer: `unknown`, on which rules that deny fire. There is no other way.",
    ).needs(&[&["SHIELD_URL"]]),
    secret(
        SERVICES,
        "SHIELD_TOKEN",
        "TEXT",
        "Token that is sent as `Authorization: Bearer` to SHIELD_URL, which must be https or on this machine.",
    ).needs(&[&["SHIELD_URL"]]),
    of(
        SERVICES,
        "SHIELD_CA_FILE",
        "",
        "FILE",
        "PEM certificates of authorities to trust for SHIELD_URL, instead of the public ones.",
    ).needs(&[&["SHIELD_URL=https"]]),
];

/// One of several, for people.
pub(super) fn any_of(others: &[Other]) -> String {
    let names: Vec<String> = others.iter().map(|other| described(other)).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

fn described(other: Other) -> String {
    if let Some((name, text)) = other.split_once('=') {
        return match SETTINGS.iter().find(|setting| setting.name == name) {
            Some(setting) if setting.is_switch() => name.to_owned(),
            Some(setting) if setting.value.starts_with(char::is_lowercase) => format!("{name} as `{text}`"),
            _ => format!("{name} that begins with `{text}`"),
        };
    }
    match other.split_once('~') {
        Some((name, text)) => format!("`{text}` in {name}"),
        None => other.to_owned(),
    }
}

/// What a setting needs and contradicts.
fn beside(setting: &Setting) -> String {
    let mut out = String::new();
    for needed in setting.needs {
        out.push_str(&format!(" Needs {}.", any_of(needed)));
    }
    if !setting.contradicts.is_empty() {
        out.push_str(&format!(" Not with {}.", any_of(setting.contradicts)));
    }
    out
}

/// What stands above the settings in `.env.example`.
const ENV_HEADER: &str = "\
# Settings of policyd, each with its default. Copy this file to `.env` and take the `#` away from the lines that you change.
# policyd does not read `.env` itself. Give it the variables in one of these ways:
#
#   set -a; . ./.env; set +a; policyd              a shell
#   docker run --env-file .env …                   Docker and Podman
#   env_file: .env                                 a service in docker-compose.yml
#
# A value is everything behind `=`: write no quotes, blanks or characters that a shell reads ($ ` \\ \" ' & ; | < > # and
# brackets). A secret that has such characters belongs in a file: NAME_FILE names it. Keep `.env` out of git.
# docs/configuration.md says more about each setting; `policyd check-config` says what is wrong with them.
";

/// `.env.example`: every setting as a comment, below what it does.
#[must_use]
pub fn env_example() -> String {
    let mut out =
        String::from("# Generated by `cargo xtask gen` from server/src/config/table.rs. Do not edit.\n");
    out.push_str(ENV_HEADER);
    let mut group = "";
    for setting in SETTINGS {
        if setting.group != group {
            group = setting.group;
            out.push_str(&format!("\n# ---- {group} ----\n"));
        }
        let (help, _) = setting.help.split_once(". ").unwrap_or((setting.help, ""));
        let default = setting.default.unwrap_or_default();
        out.push_str(&format!(
            "\n# {} ({})\n#{}={default}\n",
            help.trim_end_matches('.'),
            setting.value,
            setting.name
        ));
        if let Some(name) = setting.file_name() {
            out.push_str(&format!("#{name}=\n"));
        }
    }
    out
}

/// The table of settings for `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    let mut group = "";
    for setting in SETTINGS {
        if setting.group != group {
            group = setting.group;
            out.push_str(&format!(
                "\n## {group}\n\n| variable | flag | key | value | default | |\n|---|---|---|---|---|---|\n"
            ));
        }
        let default = setting.default.map_or(String::new(), |d| format!("`{d}`"));
        let mut names = vec![setting.name.to_owned()];
        names.extend(setting.file_name());
        let listed = |of: &dyn Fn(&str) -> String| {
            let all: Vec<String> = names.iter().map(|name| format!("`{}`", of(name))).collect();
            all.join("<br>")
        };
        // Everybody on a machine can read command lines.
        let flags = match setting.file_name() {
            Some(name) if setting.secret => format!("`--{}`", flag_of(&name)),
            _ => listed(&|name| format!("--{}", flag_of(name))),
        };
        out.push_str(&format!(
            "| {} | {flags} | {} | {} | {default} | {}{} |\n",
            listed(&str::to_owned),
            listed(&key_of),
            setting.value.replace('|', "\\|"),
            setting.help,
            beside(setting)
        ));
    }
    out
}
