//! The decision log: who asked what and was answered how, written where `DECISION_LOG` says.
//!
//! ```text
//! evaluation ─► Log::record ─► queue ─► LogTask: batch ─► mask, seal ─► store, stdout, file
//!                  hot path    bounded      decisions/writer.rs       │    decisions/sinks.rs
//!                                                                     ▼
//!                                     │            spool on disk ─► replayer ─► store
//!                                     │        decisions/spool.rs   decisions/replay.rs
//!                                     └► journal on disk ─► Parquet, decisions/segments.rs
//! ```
//!
//! Webhooks have a spool and a sender of their own: `decisions/webhook.rs`.
//!
//! # Invariants
//!
//! - With `DECISION_LOG_OVERFLOW=block`, every decision that [`Log::record`] returned from is written, or counted by
//!   [`Log::flush`] as not written. With `drop`, every decision that is not written is counted. A sink that fails, for
//!   whatever reason, is tried again until it takes what waits; only what a database refuses for what it is (no such decision
//!   is known) stands in the server's own log instead.
//! - With a spool, a database that is away holds up nobody before the spool is full, and written includes what is on disk
//!   there; the next start goes on with it. A process that is killed loses what is in its queue and two
//!   batches: one that is prepared, and one that is written.
//! - The queue is bounded in decisions and in bytes of contexts and answers ([`MAX_BYTES`]): neither large requests nor large
//!   answers fill the memory while a database is away.
//! - No caller has more than half of either (`halves.rs`): what one asks for makes no other one wait, nor drops another one's
//!   decisions, as long as there are places.
//! - No sink sees a context before it is masked, where masking is on, and sealed, where keys are given.
//!
//! # Not done here
//!
//! The audit trail of changes is part of the store: it is written in the transaction of the change.

pub mod config;
mod disk;
mod drain;
mod export;
mod halves;
pub mod mask;
mod migrate;
mod reader;
mod record;
mod replay;
mod segments;
mod sinks;
mod spool;
mod thread;
mod webhook;
mod writer;

use crate::storage::Store;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Dropped, LogMetrics};
use config::{Kept, Sink};
use halves::{Halves, Own};
use segments::Sealing;
use sinks::Output;
use spool::{OpenError, Spool};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thread::Thread;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use webhook::{Follower, Webhook};
use writer::Pruner;

pub use export::{ExportError, Open, export};
pub use migrate::{MigrateError, Migrated, migrate};
pub use reader::Reader;
pub use record::{
    BinaryError, ContextFate, Entry, Preparer, SEALED, Seal, Unread, associated_data, push_binary, push_line,
    push_prepared, read_binary,
};
pub(crate) use segments::check_bucket;
pub use segments::{OpenError as SegmentsError, Segments};
pub use webhook::Secrets as WebhookSecrets;
pub(crate) use webhook::look_for_left_behind;
pub use writer::LogTask;

/// Bytes of contexts and answers that may wait to be written.
pub const MAX_BYTES: usize = 256 << 20;

/// Bytes are counted in pieces of this many.
const PIECE: usize = 1 << 10;

/// How long a writer that was told to stop is waited for.
const STOP: Duration = Duration::from_secs(1);

/// The spool as metrics and readiness call it.
const SPOOL: &str = "spool";

/// Why the decision log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It is to be written to the store, and there is none.
    #[error("DECISION_LOG names the store, and there is none")]
    NoStore,
    /// Keys are configured and nothing to encrypt with was given.
    #[error("ENCRYPTION_KEYS are given, and contexts would be stored in clear text")]
    NoSeal,
    /// The file cannot be written.
    #[error("DECISION_LOG: cannot write {path}: {1}", path = .0.display())]
    File(std::path::PathBuf, std::io::Error),
    /// The folder of the spool cannot be used, and why.
    #[error("DECISION_LOG_SPOOL: cannot keep decisions in {path}: {1}", path = .0.display())]
    Spool(std::path::PathBuf, String),
    /// Segments cannot be written, and why.
    #[error("DECISION_LOG: cannot write segments: {0}")]
    Segments(String),
    /// The receiver of webhooks cannot be one, or its spool cannot be used, and why.
    #[error("DECISION_LOG: webhook: {0}")]
    Webhook(String),
    /// The system has no thread for the writer.
    #[error("the decision log has no thread to write on: {0}")]
    Thread(std::io::Error),
}

/// Where evaluations leave their decisions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    /// `None` where the log is off.
    queue: Option<mpsc::Sender<Queued>>,
    shared: Arc<Shared>,
    spool: Option<Arc<Spool>>,
    segments: Option<Arc<Segments>>,
    webhook: Option<Arc<Webhook>>,
    finished: watch::Receiver<()>,
}

/// What the log and its writer share.
pub(crate) struct Shared {
    metrics: LogMetrics,
    /// Accepted and not written yet.
    pending: AtomicU64,
    /// Free pieces of [`MAX_BYTES`].
    bytes: Arc<Semaphore>,
    /// What each caller may have of the queue.
    halves: Halves,
    kept: Kept,
    block: bool,
    /// Nothing more is accepted; what is queued is written.
    closing: CancellationToken,
    /// The time for that is over.
    abandon: CancellationToken,
    failing: Arc<Failing>,
}

/// The sinks whose last attempt failed, and why.
#[derive(Debug, Default)]
pub(crate) struct Failing(Mutex<BTreeMap<&'static str, String>>);

impl Failing {
    pub(crate) fn note(&self, sink: &'static str, why: Option<String>) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => drop(failing.insert(sink, why)),
            None => drop(failing.remove(sink)),
        }
    }

    fn reasons(&self) -> Vec<String> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failing
            .iter()
            .map(|(sink, why)| match *sink {
                webhook::AUDIT => format!("the webhook takes no audit records: {why}"),
                sink => format!("{sink} takes no decisions: {why}"),
            })
            .collect()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("pending", &self.pending)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Preparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preparer")
    }
}

impl Shared {
    fn written(&self, decisions: usize) {
        // Saturates: `Log::flush` may have given up on them a moment ago.
        self.pending
            .update(Ordering::Relaxed, Ordering::Relaxed, |pending| {
                pending.saturating_sub(decisions as u64)
            });
        self.metrics.queue.dec_by(decisions as f64);
    }
}

/// A decision in the queue, with the place that it takes.
#[derive(Debug)]
pub(crate) struct Queued {
    entry: Entry,
    memory: Memory,
    /// Of its caller, until it leaves the queue.
    place: OwnedSemaphorePermit,
}

/// The memory that a decision takes until it is written, of its caller's and of all.
#[derive(Debug)]
struct Memory {
    own: Option<OwnedSemaphorePermit>,
    all: Option<OwnedSemaphorePermit>,
}

/// What the decisions of a batch take, each kind in one piece as far as it may be: given back at once, that is one look at
/// those who wait, and not one for each decision.
#[derive(Debug, Default)]
pub(crate) struct Taken(Vec<OwnedSemaphorePermit>);

impl Taken {
    fn add(&mut self, more: Option<OwnedSemaphorePermit>) {
        /// Callers of a batch whose permits are looked for, from the last one on.
        const NEAR: usize = 4;
        let Some(more) = more else { return };
        let mut near = self.0.iter_mut().rev().take(NEAR);
        match near.find(|taken| Arc::ptr_eq(taken.semaphore(), more.semaphore())) {
            Some(taken) => taken.merge(more),
            None => self.0.push(more),
        }
    }

    /// Takes a batch out of the queue: its decisions, and the memory that they take until they are written. Their places are
    /// free from then on.
    pub(crate) fn out_of_the_queue(batch: Vec<Queued>) -> (Vec<Entry>, Self) {
        let (mut places, mut memory) = (Self::default(), Self::default());
        let entries = batch.into_iter().map(|queued| {
            places.add(Some(queued.place));
            memory.add(queued.memory.own);
            memory.add(queued.memory.all);
            queued.entry
        });
        (entries.collect(), memory)
    }
}

impl Queued {
    fn new(entry: Entry, own: Own, all: Option<OwnedSemaphorePermit>) -> Self {
        let memory = Memory { own: own.pieces, all };
        Self {
            entry,
            memory,
            place: own.place,
        }
    }
}

/// Why there is no place for a decision.
enum NoPlace {
    Full(Entry),
    Closed,
}

impl Log {
    /// Makes the log and its writer, which the caller runs ([`LogTask::run`]). `seal` encrypts contexts; it is needed where
    /// `config.keys` are given. Old decisions are removed from `store` whether or not it is a sink.
    ///
    /// # Errors
    ///
    /// - [`LogError::NoStore`], [`LogError::NoSeal`] — what the configuration asks for was not passed.
    /// - [`LogError::File`] — a file cannot be opened for appending.
    /// - [`LogError::Spool`] — another process has the folder of the spool, or it was asked for and cannot be used.
    /// - [`LogError::Segments`] — another process has their journal, or a folder of theirs cannot be used.
    /// - [`LogError::Webhook`] — the receiver of webhooks cannot be one, or its spool cannot be used.
    /// - [`LogError::Thread`] — there is no thread left.
    pub fn start(
        config: &config::Config,
        store: Option<Arc<dyn Store>>,
        metrics: &Metrics,
        seal: Option<Seal>,
    ) -> Result<(Self, LogTask), LogError> {
        if seal.is_none() && !config.keys.is_empty() {
            return Err(LogError::NoSeal);
        }
        let segments = match &config.segments {
            Some(config) => Some(open_segments(config)?),
            None => None,
        };
        let webhook = match &config.webhook {
            Some(webhook) => Some(Arc::new(Webhook::open(webhook, metrics)?)),
            None => None,
        };
        let mut outputs = Vec::new();
        for sink in &config.sinks {
            if let Sink::File(path) = sink {
                sinks::check(path).map_err(|error| LogError::File(path.clone(), error))?;
            }
            let output = Output::of(sink, store.as_ref(), segments.as_ref(), webhook.as_ref());
            outputs.push(output.ok_or(LogError::NoStore)?);
        }
        let on = !outputs.is_empty();
        let spool = match &config.spool {
            Some(spool) => open(spool)?.map(Arc::new),
            None => None,
        };
        let shared = Arc::new(Shared {
            metrics: metrics.decision_log(
                if on { config.queue } else { 0 },
                spool.as_ref().map_or(0, |spool| spool.most())
                    + config.segments.as_ref().map_or(0, |segments| segments.bytes),
            ),
            pending: AtomicU64::new(0),
            bytes: Arc::new(Semaphore::new(MAX_BYTES / PIECE)),
            halves: Halves::of(config.queue.max(1), MAX_BYTES / PIECE),
            kept: config.context,
            block: config.block,
            closing: CancellationToken::new(),
            abandon: CancellationToken::new(),
            failing: Arc::default(),
        });
        if let Some(spool) = spool.as_ref().filter(|spool| !spool.is_empty()) {
            shared.metrics.spool.set(spool.bytes() as f64);
            tracing::info!(
                bytes = spool.bytes(),
                "decisions of an earlier run wait on disk for the database"
            );
        }
        let audit = config.webhook.as_ref().and_then(|webhook| webhook.audit.as_ref());
        let trail = match (&webhook, &store, audit) {
            (Some(webhook), Some(store), Some(audit)) => {
                let opened = Follower::open(webhook, Arc::clone(store), &shared, audit);
                let unusable = |error| {
                    let file = audit.cursor.display();
                    LogError::Webhook(format!("how far the audit trail was sent, {file}: {error}"))
                };
                Some(opened.map_err(unusable)?)
            }
            _ => None,
        };
        let (sender, receiver) = mpsc::channel(config.queue.max(1));
        let (running, finished) = watch::channel(());
        let pruner = store.filter(|_| !config.retention.is_zero()).map(|store| Pruner {
            store,
            retention: config.retention,
        });
        let retention = config.retention;
        let sealing = segments.as_ref().zip(config.segments.as_ref());
        let sealing = sealing.map(|(segments, config)| Sealing {
            segments: Arc::clone(segments),
            metrics: shared.metrics.clone(),
            failing: Arc::clone(&shared.failing),
            bytes: config.seal_bytes,
            after: config.seal_after,
            retention,
        });
        let task = LogTask {
            queue: receiver,
            shared: Arc::clone(&shared),
            outputs,
            preparer: Arc::new(Mutex::new(Preparer::new(config.context, &config.masks, seal))),
            thread: Thread::start("decision-log").map_err(LogError::Thread)?,
            disk: Thread::start("decision-disk").map_err(LogError::Thread)?,
            spool: spool.clone(),
            webhook: webhook.clone(),
            trail,
            pruner,
            sealing,
            finished: Some(running),
        };
        let log = Self {
            queue: Some(sender).filter(|_| on),
            shared,
            spool,
            segments,
            webhook,
            finished,
        };
        Ok((log, task))
    }

    /// Whether decisions are written anywhere. Where not, making an [`Entry`] is work for nothing.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether anybody will look at the context of a decision with or without a reason. Where not, it need not be kept.
    #[must_use]
    pub fn wants_context(&self, has_reason: bool) -> bool {
        self.shared.wants_context(has_reason)
    }

    /// Queues a decision. Waits for a free place, and one of its caller's, where `DECISION_LOG_OVERFLOW` is `block`; with `drop`, never.
    pub async fn record(&self, entry: Entry) {
        let Err(entry) = self.try_record(entry) else {
            return;
        };
        let Some(queue) = &self.queue else {
            return;
        };
        let entry = self.shared.trim(entry);
        let pieces = pieces(&entry);
        // Closed only with the process, as the memory is.
        let Some(own) = self.shared.halves.take(&entry.owner, pieces).await else {
            return self.shared.dropped(Dropped::Closed);
        };
        let all = match pieces {
            0 => None,
            pieces => Arc::clone(&self.shared.bytes)
                .acquire_many_owned(pieces)
                .await
                .ok(),
        };
        // Counted only once it is in: a caller who goes away while it waits takes its decision along.
        match queue.reserve().await {
            Ok(slot) => {
                self.shared.accepted();
                slot.send(Queued::new(entry, own, all));
            }
            Err(_) => self.shared.dropped(Dropped::Closed),
        }
    }

    /// Queues a decision without waiting.
    ///
    /// # Errors
    ///
    /// The decision, where it would have to wait: overflow is `block`, and the queue is full or its caller has half of it. It is
    /// not counted then.
    pub fn try_record(&self, entry: Entry) -> Result<(), Entry> {
        let Some(queue) = &self.queue else {
            return Ok(());
        };
        match self.shared.push(queue, self.shared.trim(entry)) {
            Ok(()) => {}
            Err(NoPlace::Closed) => self.shared.dropped(Dropped::Closed),
            Err(NoPlace::Full(entry)) if self.shared.block => return Err(entry),
            Err(NoPlace::Full(_)) => self.shared.dropped(Dropped::Overflow),
        }
        Ok(())
    }

    /// Decisions that may wait.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() as u64)
    }

    /// Decisions accepted and not written yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.shared.pending.load(Ordering::Relaxed)
    }

    /// The sinks that take nothing now, each with the reason.
    #[must_use]
    pub fn failing(&self) -> Vec<String> {
        self.shared.failing.reasons()
    }

    /// Bytes of decisions that wait on disk.
    #[must_use]
    pub fn on_disk(&self) -> u64 {
        self.spool.as_ref().map_or(0, |spool| spool.bytes())
    }

    /// Where decisions are read, where they are written to segments.
    #[must_use]
    pub fn segments(&self) -> Option<&Arc<Segments>> {
        self.segments.as_ref()
    }

    /// What webhooks are signed with, where there are any.
    #[must_use]
    pub fn webhook(&self) -> Option<&WebhookSecrets> {
        self.webhook.as_deref().map(Webhook::secrets)
    }

    /// Accepts nothing more, and waits until everything queued is written, for at most `deadline`. Returns how many were
    /// not; they are counted as dropped. The writer ends.
    ///
    /// What is on disk in the spool is written. While the database takes it, it is waited for as well; for a database that
    /// is away it is not.
    pub async fn flush(&self, deadline: Duration) -> u64 {
        self.shared.closing.cancel();
        if !self.ended_within(deadline).await {
            self.shared.abandon.cancel();
            // Until then it may still be counting what it wrote; it stops where it waits next.
            self.ended_within(STOP).await;
        }
        let left = self.shared.pending.swap(0, Ordering::Relaxed);
        if left > 0 {
            self.shared.metrics.dropped(Dropped::Shutdown).inc_by(left);
            tracing::error!(
                decisions = left,
                "the decision log could not be written to the end in time"
            );
        }
        left
    }
}

impl Log {
    /// Whether the writer has ended, after at most this time.
    async fn ended_within(&self, time: Duration) -> bool {
        let mut finished = self.finished.clone();
        // Nothing is ever sent: an error says that the other side is gone.
        let ended = async { while finished.changed().await.is_ok() {} };
        tokio::time::timeout(time, ended).await.is_ok()
    }
}

impl Shared {
    fn wants_context(&self, has_reason: bool) -> bool {
        match self.kept {
            // It is needed to mask the reason, which may quote it.
            Kept::None => has_reason,
            Kept::Masked | Kept::Full => true,
        }
    }

    /// The decision without a context that nobody will look at.
    fn trim(&self, mut entry: Entry) -> Entry {
        if !self.wants_context(entry.record.has_reason()) {
            entry.context = None;
        }
        entry
    }

    fn push(&self, queue: &mpsc::Sender<Queued>, entry: Entry) -> Result<(), NoPlace> {
        let pieces = pieces(&entry);
        let Some(own) = self.halves.try_take(&entry.owner, pieces) else {
            return Err(match queue.is_closed() {
                true => NoPlace::Closed,
                false => NoPlace::Full(entry),
            });
        };
        let all = match pieces {
            0 => None,
            pieces => match Arc::clone(&self.bytes).try_acquire_many_owned(pieces) {
                Ok(all) => Some(all),
                Err(_) if queue.is_closed() => return Err(NoPlace::Closed),
                Err(_) => return Err(NoPlace::Full(entry)),
            },
        };
        match queue.try_reserve() {
            Ok(slot) => {
                self.accepted();
                slot.send(Queued::new(entry, own, all));
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(NoPlace::Full(entry)),
            Err(TrySendError::Closed(())) => Err(NoPlace::Closed),
        }
    }

    fn accepted(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.metrics.queue.inc();
    }

    fn dropped(&self, why: Dropped) {
        self.metrics.dropped(why).inc();
    }
}

/// Opens the journal and the archive of segments.
fn open_segments(config: &config::Segments) -> Result<Arc<Segments>, LogError> {
    let opened = Segments::open(config).map_err(|error| LogError::Segments(error.to_string()))?;
    Ok(Arc::new(opened))
}

/// Opens the spool. One that was not asked for, and that a system without a disk for it has no place for, is none: better
/// to decide without than not at all.
fn open(config: &config::Spool) -> Result<Option<Spool>, LogError> {
    let directory = &config.directory;
    if config.bytes == 0 {
        if spool::is_left_behind(directory) {
            let directory = directory.display();
            tracing::warn!(%directory, "decisions wait on disk, and nobody writes them while DECISION_LOG_SPOOL is 0");
        }
        return Ok(None);
    }
    match Spool::open(directory, config.bytes) {
        Ok(spool) => Ok(Some(spool)),
        Err(OpenError::Io(error)) if !config.required => {
            let directory = directory.display();
            tracing::warn!(
                %directory, %error,
                "there is no place on disk for decisions: they wait in the queue alone while the database is away"
            );
            Ok(None)
        }
        Err(error) => Err(LogError::Spool(directory.clone(), error.to_string())),
    }
}

/// Pieces of memory that a decision takes; at most all there are, so that every decision fits at last. A short answer
/// takes none: there are never more than the queue has places.
fn pieces(entry: &Entry) -> u32 {
    let context = entry.context.as_ref().map_or(0, bytes::Bytes::len);
    let answer = Some(entry.record.bytes()).filter(|bytes| *bytes > PIECE);
    let bytes = context.saturating_add(answer.unwrap_or(0));
    u32::try_from(bytes.div_ceil(PIECE).min(MAX_BYTES / PIECE)).unwrap_or(u32::MAX)
}
