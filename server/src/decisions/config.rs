//! Settings of the decision log: `DECISION_LOG…`, `ENCRYPTION_KEYS`, and in [`webhook`](self) `WEBHOOK_…`.

mod bucket;
mod segments;
mod webhook;

pub use self::bucket::{Bucket, Cloud};
pub use self::segments::{Archive, Segments};
pub(crate) use self::webhook::SPOOL as WEBHOOK_SPOOL;
pub use self::webhook::{Webhook, WebhookAudit, WebhookFormat};
use crate::seal::{SealError, Sealer};
use crate::settings::{Parser, value};
use crate::storage::{self, Database};
use std::path::PathBuf;
use std::time::Duration;

/// Where decisions are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// The database.
    Store,
    /// Standard output.
    Stdout,
    /// A file, as JSON lines.
    File(PathBuf),
    /// Parquet files.
    Segments,
    /// The receiver of [`Config::webhook`].
    Webhook,
}

impl Sink {
    /// As metrics and logs call it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Stdout => "stdout",
            Self::File(_) => "file",
            Self::Segments => "segments",
            Self::Webhook => "webhook",
        }
    }
}

/// What is kept of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    None,
    /// All but what masks replace.
    Masked,
    /// All.
    Full,
}

/// The decision log.
#[derive(Debug)]
pub struct Config {
    /// Where to; empty is off.
    pub sinks: Vec<Sink>,
    /// What is kept of contexts.
    pub context: Kept,
    /// Paths that are masked.
    pub masks: Vec<String>,
    /// Decisions that may wait.
    pub queue: usize,
    /// Whether to wait when the queue is full.
    pub block: bool,
    /// Where decisions wait on disk for a database that is away; `None` where the store is no sink, or never away.
    pub spool: Option<Spool>,
    /// Where segments are; `None` where they are no sink.
    pub segments: Option<Segments>,
    /// The receiver of webhooks, where that is a sink.
    pub webhook: Option<Webhook>,
    /// How long decisions are kept; zero is for ever.
    pub retention: Duration,
    /// Keys of stored contexts: id and 32 bytes; the first encrypts.
    pub keys: Vec<(String, secrecy::SecretBox<[u8; 32]>)>,
}

/// Decisions that wait on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// The folder.
    pub directory: PathBuf,
    /// Bytes at most; 0 is off.
    pub bytes: u64,
    /// Whether it was asked for, and a server that cannot have it must not start.
    pub required: bool,
}

/// The least that a spool may hold: less is a number that was given without its unit.
pub(super) const LEAST_SPOOL: u64 = 1 << 20;

fn spool(p: &mut Parser<'_>, store: &storage::Config) -> Option<Spool> {
    let name = "DECISION_LOG_SPOOL";
    let bytes = p.value(name, 0, value::bytes);
    if (1..LEAST_SPOOL).contains(&bytes) {
        p.problem(name, "must be at least 1MB, or 0 for none");
    }
    let required = p.raw.given(name).is_some();
    match &store.database {
        Database::Postgres(_) => Some(Spool {
            directory: store.data_dir.join("decisions-spool"),
            bytes,
            required,
        }),
        // A file of this machine: where it cannot be written, neither could a spool. What is in memory is never away.
        Database::SqliteFile(_) | Database::SqliteMemory => None,
    }
}

pub(crate) fn read(p: &mut Parser<'_>, store: &storage::Config) -> Config {
    let mut sinks = Vec::new();
    let mut webhook = None;
    let named = p.list("DECISION_LOG");
    if named.is_empty() {
        p.problem("DECISION_LOG", "names nothing; `off` writes no decisions");
    }
    for (i, sink) in named.iter().enumerate() {
        if named[..i].contains(sink) {
            p.problem("DECISION_LOG", format!("`{sink}` is given twice"));
            continue;
        }
        match sink.as_str() {
            "off" if named.len() > 1 => {
                p.problem("DECISION_LOG", "`off` does not go with places to write to");
            }
            "off" => {}
            "store" => sinks.push(Sink::Store),
            "stdout" => sinks.push(Sink::Stdout),
            "segments" => sinks.push(Sink::Segments),
            other if other.starts_with("webhook:") && webhook.is_some() => {
                p.problem(
                    "DECISION_LOG",
                    "names two receivers of webhooks; there can be one",
                );
            }
            other if other.starts_with("webhook:") => {
                webhook = webhook::read(p, store, other);
                sinks.extend(webhook.as_ref().map(|_| Sink::Webhook));
            }
            other => match other.strip_prefix("file:").filter(|path| !path.is_empty()) {
                Some(path) => sinks.push(Sink::File(PathBuf::from(path))),
                None => {
                    let message = format!(
                        "expected off, store, segments, stdout, file:FILE or webhook:URL, found `{other}`"
                    );
                    p.problem("DECISION_LOG", message);
                }
            },
        }
    }
    let mut keys = Vec::new();
    if p.text("ENCRYPTION_KEYS").is_some() && p.list("ENCRYPTION_KEYS").is_empty() {
        p.problem("ENCRYPTION_KEYS", "names no key");
    }
    for (i, entry) in p.list("ENCRYPTION_KEYS").iter().enumerate() {
        match value::encryption_key(entry) {
            Some(key) => keys.push(key),
            None => p.problem(
                "ENCRYPTION_KEYS",
                format!("entry {} is not ID:BASE64 with a key of 32 bytes", i + 1),
            ),
        }
    }
    if let Err(error @ SealError::DuplicateKey(_)) = Sealer::new(&keys) {
        p.problem("ENCRYPTION_KEYS", error.to_string());
    }
    let segments = segments::read(p, store).filter(|_| sinks.contains(&Sink::Segments));
    let spool = spool(p, store).filter(|_| sinks.contains(&Sink::Store));
    Config {
        sinks,
        spool,
        segments,
        webhook,
        context: p.value("DECISION_LOG_CONTEXT", Kept::Masked, |text| match text {
            "none" => Some(Kept::None),
            "masked" => Some(Kept::Masked),
            "full" => Some(Kept::Full),
            _ => None,
        }),
        masks: p.list("DECISION_LOG_MASK"),
        queue: p.number::<usize>("DECISION_LOG_QUEUE").max(1),
        block: p.value("DECISION_LOG_OVERFLOW", true, |text| match text {
            "block" => Some(true),
            "drop" => Some(false),
            _ => None,
        }),
        retention: p.duration("DECISION_LOG_RETENTION"),
        keys,
    }
}
