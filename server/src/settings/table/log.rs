//! Settings below the heading "Decision log and audit".

use super::{Other, Setting, of, secret};

const GROUP: &str = "Decision log and audit";

/// What keeps decisions on disk for a while.
const SPOOLING: &[Other] = &["DATABASE_HOST", "DATABASE_URL=postgres", "DECISION_LOG~segments"];

/// What sends webhooks.
const WEBHOOK: &[Other] = &["DECISION_LOG~webhook:"];

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(
        GROUP,
        "DECISION_LOG",
        "store",
        "off|store|segments|stdout|file:FILE|webhook:URL,…",
        "Where decisions are written. `segments` are Parquet files.",
    ),
    of(
        GROUP,
        "DECISION_LOG_CONTEXT",
        "masked",
        "none|masked|full",
        "What is kept of a context.",
    ),
    of(
        GROUP,
        "DECISION_LOG_MASK",
        "llm.prompt,llm.messages,llm.tools,user.email,request.ipAddress",
        "PATH,…",
        "Paths that `masked` replaces.",
    ).contradicts(&["DECISION_LOG_CONTEXT=full"]),
    of(
        GROUP,
        "DECISION_LOG_QUEUE",
        "20000",
        "NUMBER",
        "Highest number of decisions that wait to be written; one caller has at most half of the places.",
    ),
    of(
        GROUP,
        "DECISION_LOG_OVERFLOW",
        "block",
        "block|drop",
        "What happens when the queue, or a caller's half of it, is full: `block` makes requests wait, `drop` drops decisions and counts them.",
    ),
    of(
        GROUP,
        "DECISION_LOG_SPOOL",
        "1GB",
        "BYTES",
        "Disk space under DATA_DIR for decisions that wait while PostgreSQL is away, or to be sealed; 0 is none. If set, a server that cannot write there does not start.",
    ).needs(&[SPOOLING, &["DECISION_LOG~store", "DECISION_LOG~segments"]]),
    of(
        GROUP,
        "DECISION_LOG_SEGMENTS",
        "",
        "DIR|URL",
        "Folder of the Parquet files, or a bucket: `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `abfss://…`; `decisions` under DATA_DIR when empty. Servers can share one. The credentials of buckets come from the variables of their clouds (docs/segments.md).",
    ).needs(&[&["DECISION_LOG~segments"]]),
    of(
        GROUP,
        "DECISION_LOG_SEGMENTS_TLS_CA",
        "",
        "FILE",
        "PEM certificates of authorities to trust for the bucket, instead of the public ones.",
    ).needs(&[&["DECISION_LOG_SEGMENTS"]]),
    of(
        GROUP,
        "DECISION_LOG_SEAL_BYTES",
        "64MB",
        "BYTES",
        "Decisions on disk that are sealed into a Parquet file.",
    ).needs(&[&["DECISION_LOG~segments"]]),
    of(
        GROUP,
        "DECISION_LOG_SEAL_AFTER",
        "15m",
        "DURATION",
        "Age of a decision at which fewer are sealed.",
    ).needs(&[&["DECISION_LOG~segments"]]),
    of(
        GROUP,
        "DECISION_LOG_RETENTION",
        "30d",
        "DURATION",
        "How long decisions are kept in the database and in segments; 0s is for ever.",
    ),
    secret(
        GROUP,
        "WEBHOOK_SECRET",
        "whsec_BASE64,…",
        "Secrets that webhooks are signed with (Standard Webhooks): `whsec_` and the base64 of 24 to 64 bytes. Each signs, so that receivers can change theirs.",
    ).needs(&[WEBHOOK]),
    secret(
        GROUP,
        "WEBHOOK_TOKEN",
        "TEXT",
        "Token that is sent as `Authorization: Bearer` to the receiver of webhooks. The URL must be https or on this machine.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_FORMAT",
        "cloudevents",
        "cloudevents|governance|costops",
        "What webhooks hold: CloudEvents, entries for LLM Governance (one a request), or usage for LLM CostOps.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_AUDIT",
        "new",
        "new|all|off",
        "Whether the audit trail is sent as well. The first time it is sent from its end on, or with `all` from its first record on. `costops` sends none.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_SOURCE",
        "/policyd",
        "URI",
        "`source` of events: which server they are of.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_BATCH",
        "100",
        "NUMBER",
        "Most events in a request; with 1, a request holds an event and no list.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_BATCH_BYTES",
        "256KB",
        "BYTES",
        "Largest body of a request with more than one event.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_TIMEOUT",
        "10s",
        "DURATION",
        "How long the receiver may take for a request.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_BACKOFF",
        "1m",
        "DURATION",
        "Longest pause between attempts, which begin with half a second. `Retry-After` of the receiver may ask for more, up to an hour.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_SPOOL",
        "1GB",
        "BYTES",
        "Disk space under DATA_DIR for events that wait for the receiver. When it is full, the queue fills: see DECISION_LOG_OVERFLOW.",
    ).needs(&[WEBHOOK]),
    of(
        GROUP,
        "WEBHOOK_TLS_CA",
        "",
        "FILE",
        "PEM certificates of authorities to trust for the receiver, instead of the public ones.",
    ).needs(&[WEBHOOK]),
    secret(
        GROUP,
        "ENCRYPTION_KEYS",
        "ID:BASE64,…",
        "AES-256-GCM keys for stored contexts; the first encrypts, all decrypt.",
    ),
];
