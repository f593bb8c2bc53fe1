//! The task behind the queue: gathers decisions into batches, prepares them, and writes each batch to every sink.
//!
//! # Invariants
//!
//! - A batch leaves only when every sink has it. While one is away the batch is repeated, the queue fills, and what
//!   `DECISION_LOG_OVERFLOW` says begins. So nothing is lost, and every sink has the same decisions in the same order.
//! - Masking and disks have a thread of their own; the task itself never blocks, and needs no thread that may be waiting
//!   for it.
//! - A record that the database refuses for what it is does not hold up the others: it is found by halving the batch,
//!   tried again a few times, counted and left out.

use super::record::{Entry, Outcome, Preparer, push_prepared, stripped};
use super::sinks::{Output, write_file, write_stdout};
use super::thread::Thread;
use super::{Queued, Shared};
use crate::storage::model::DecisionRecord;
use crate::storage::{Store, StoreError};
use crate::telemetry::metrics::{Dropped, LogMetrics, Withheld};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// Decisions written at once, at the most.
const BATCH: usize = 500;

/// How long a decision waits for others to be written with.
const GATHER: Duration = Duration::from_millis(50);

/// First and longest pause between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often a record that the database refuses is tried again. About 3 seconds.
const REFUSALS: u32 = 6;

/// Decisions removed at once, and how often is looked for old ones.
const PRUNE_BATCH: u32 = 1000;
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// The writer, to be run by the server.
#[derive(Debug)]
pub struct LogTask {
    pub(crate) queue: mpsc::Receiver<Queued>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) preparer: Arc<Mutex<Preparer>>,
    pub(crate) thread: Thread,
    pub(crate) pruner: Option<Pruner>,
    /// Dropped when the task ends, which [`super::Log::flush`] waits for.
    pub(crate) finished: tokio::sync::watch::Sender<()>,
}

impl LogTask {
    /// Runs until [`super::Log::flush`] is called and what was queued is written, or the time for that is over.
    pub async fn run(self) {
        let Self {
            mut queue,
            shared,
            outputs,
            preparer,
            thread,
            pruner,
            finished,
        } = self;
        let mut sinks: Vec<Writing> = outputs
            .into_iter()
            .map(|output| Writing::new(output, &shared.metrics))
            .collect();
        let off = sinks.is_empty();
        let in_lines = sinks.iter().any(|sink| match sink.output {
            Output::Stdout | Output::File(_) => true,
            Output::Store(_) => false,
        });
        let write = async {
            if off {
                // There may still be something to prune.
                shared.closing.cancelled().await;
            }
            loop {
                let batch = gather(&mut queue, &shared).await;
                if batch.is_empty() {
                    break;
                }
                let (batch, places): (Vec<Entry>, Vec<_>) = batch
                    .into_iter()
                    .map(|queued| (queued.entry, queued.place))
                    .unzip();
                let prepared = prepare(&thread, &preparer, Arc::new(batch), &shared.metrics, in_lines).await;
                for sink in &mut sinks {
                    sink.write(&thread, &prepared).await;
                }
                shared.written(prepared.records.len());
                drop(places);
            }
        };
        let prune = async {
            match pruner {
                Some(pruner) => pruner.run(&shared.metrics).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = write => {}
            () = prune => {}
            () = shared.abandon.cancelled() => {}
        }
        drop(finished);
    }
}

/// The next batch; empty when the queue is closed and drained.
async fn gather(queue: &mut mpsc::Receiver<Queued>, shared: &Shared) -> Vec<Queued> {
    let mut batch = Vec::new();
    tokio::select! {
        _ = queue.recv_many(&mut batch, BATCH) => {}
        () = shared.closing.cancelled(), if !queue.is_closed() => queue.close(),
    }
    if queue.is_closed() {
        // At the end nobody waits for company.
        let room = BATCH - batch.len();
        if room > 0 {
            queue.recv_many(&mut batch, room).await;
        }
        return batch;
    }
    let until = Instant::now() + GATHER;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        tokio::select! {
            more = timeout_at(until, queue.recv_many(&mut batch, room)) => match more {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            },
            () = shared.closing.cancelled() => {
                queue.close();
                break;
            }
        }
    }
    batch
}

/// A batch as the sinks take it.
struct Prepared {
    records: Vec<DecisionRecord>,
    lines: Arc<str>,
}

/// Masks and seals a batch.
async fn prepare(
    thread: &Thread,
    preparer: &Arc<Mutex<Preparer>>,
    batch: Arc<Vec<Entry>>,
    metrics: &LogMetrics,
    in_lines: bool,
) -> Prepared {
    let (worker, entries) = (Arc::clone(preparer), Arc::clone(&batch));
    let work = move || {
        let mut preparer = worker.lock().unwrap_or_else(PoisonError::into_inner);
        preparer.next_batch();
        entries
            .iter()
            .map(|entry| preparer.prepare(entry))
            .collect::<Vec<_>>()
    };
    let done = match thread.run(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "contexts could not be masked and are left out");
            let withheld = |entry| (stripped(entry), Outcome::Withheld(Withheld::Mask));
            batch.iter().map(withheld).collect()
        }
    };
    let mut lines = String::new();
    let mut records = Vec::with_capacity(done.len());
    for (record, outcome) in done {
        match outcome {
            Outcome::Done => {}
            Outcome::Withheld(why) => drop(metrics.withheld(why).inc()),
        }
        if in_lines {
            push_prepared(&record, &mut lines);
        }
        records.push(record);
    }
    Prepared {
        records,
        lines: Arc::from(lines),
    }
}

/// A sink with what it is counted with.
struct Writing {
    output: Output,
    written: prometheus_client::metrics::counter::Counter,
    errors: prometheus_client::metrics::counter::Counter,
    refused: prometheus_client::metrics::counter::Counter,
    pause: Pause,
}

impl Writing {
    fn new(output: Output, metrics: &LogMetrics) -> Self {
        Self {
            written: metrics.written(output.label()),
            errors: metrics.errors(output.label()),
            refused: metrics.dropped(Dropped::Refused),
            pause: Pause::new(output.label()),
            output,
        }
    }

    /// Writes a batch, however often it takes.
    async fn write(&mut self, thread: &Thread, batch: &Prepared) {
        match self.output.clone() {
            Output::Store(store) => self.append(store.as_ref(), &batch.records).await,
            Output::Stdout => {
                self.repeat(batch, |lines| write_stdout(thread, lines)).await;
            }
            Output::File(path) => {
                self.repeat(batch, |lines| write_file(thread, path.clone(), lines))
                    .await;
            }
        }
    }

    async fn repeat<F>(&mut self, batch: &Prepared, attempt: impl Fn(Arc<str>) -> F)
    where
        F: Future<Output = io::Result<()>>,
    {
        while let Err(error) = attempt(Arc::clone(&batch.lines)).await {
            self.errors.inc();
            self.pause.after(&error).await;
        }
        self.pause.over();
        self.written.inc_by(batch.records.len() as u64);
    }

    /// Appends records to the database. What it has already it does not store twice, so a lost answer does no harm.
    async fn append(&mut self, store: &dyn Store, records: &[DecisionRecord]) {
        let mut parts: Vec<&[DecisionRecord]> = vec![records];
        let mut refusals = 0;
        while let Some(part) = parts.pop() {
            match store.append_decisions(part).await {
                Ok(()) => {
                    self.written.inc_by(part.len() as u64);
                    self.pause.over();
                }
                Err(error @ (StoreError::Unavailable(_) | StoreError::Conflict)) => {
                    self.errors.inc();
                    parts.push(part);
                    self.pause.after(&error).await;
                }
                Err(
                    error @ (StoreError::Missing(_)
                    | StoreError::Exists(_)
                    | StoreError::VersionMismatch { .. }
                    | StoreError::Corrupt(_)),
                ) => {
                    self.errors.inc();
                    if let (first, second @ [_, ..]) = part.split_at(part.len() / 2)
                        && !first.is_empty()
                    {
                        parts.push(second);
                        parts.push(first);
                    } else if refusals < REFUSALS {
                        refusals += 1;
                        parts.push(part);
                        self.pause.after(&error).await;
                    } else {
                        let request_id = part.first().map(|record| record.request_id.as_str());
                        tracing::error!(request_id, %error, "the database refuses a decision; it is not in the log");
                        self.refused.inc_by(part.len() as u64);
                    }
                }
            }
        }
    }
}

/// The time between attempts, which grows, and the two lines about it in the server's own log.
struct Pause {
    sink: &'static str,
    next: Duration,
}

impl Pause {
    fn new(sink: &'static str) -> Self {
        Self {
            sink,
            next: BACKOFF.0,
        }
    }

    async fn after(&mut self, error: &impl std::fmt::Display) {
        if self.next == BACKOFF.0 {
            tracing::warn!(sink = self.sink, %error, "decisions cannot be written; they wait");
        }
        sleep(self.next).await;
        self.next = (self.next * 2).min(BACKOFF.1);
    }

    fn over(&mut self) {
        if self.next != BACKOFF.0 {
            tracing::info!(sink = self.sink, "decisions are written again");
            self.next = BACKOFF.0;
        }
    }
}

/// Removes decisions that were kept long enough.
#[derive(Debug)]
pub(crate) struct Pruner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) retention: Duration,
}

impl Pruner {
    async fn run(self, metrics: &LogMetrics) {
        // Short retentions are looked after as often as they deserve.
        let every = (self.retention / 10).clamp(Duration::from_millis(100), PRUNE_EVERY);
        loop {
            let before = jiff::Timestamp::now()
                .as_millisecond()
                .saturating_sub(i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX));
            match self.store.prune_decisions(before, PRUNE_BATCH).await {
                Ok(pruned) => {
                    metrics.pruned.inc_by(pruned);
                    // More of them: go on at once, but let writers in between.
                    if pruned >= u64::from(PRUNE_BATCH) {
                        sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                }
                Err(error) => tracing::warn!(%error, "old decisions could not be removed; tried again later"),
            }
            sleep(every).await;
        }
    }
}
