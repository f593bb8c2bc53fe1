//! The task behind the queue: gathers decisions into batches, prepares them, and writes each batch to every sink.
//!
//! # Invariants
//!
//! - A batch leaves only when every sink has it. While one is away the batch is repeated, the queue fills, and what
//!   `DECISION_LOG_OVERFLOW` says begins. So nothing is lost, and every sink has the same decisions in the same order.
//! - With a spool, the store has a batch when the database took it or when it is on disk in the spool. The database is
//!   asked at all only while the spool is empty: what comes later never overtakes what waits.
//! - A database that refuses, hangs or is away holds the task up for [`PATIENCE`] at most, and not at all once
//!   something waits in the spool.
//! - Masking and disks have a thread of their own each; the task itself never blocks, and needs no thread that may be
//!   waiting for it.

use super::record::{ContextFate, Entry, Preparer, push_prepared, stripped};
use super::replay::{Appender, BATCH, Pause, Replayer};
use super::segments::{Sealing, Segments};
use super::sinks::{Output, write_file, write_stdout};
use super::spool::{Pushed, Spool};
use super::thread::Thread;
use super::webhook::{self, Webhook};
use super::{Queued, SPOOL, STOP, Shared, Taken};
use crate::decisions::config::Sink;
use crate::storage::Store;
use crate::storage::model::DecisionRecord;
use crate::telemetry::metrics::{LogMetrics, Withheld};
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Put on disk at once, at most: to wait for the disk takes as long for many as for few.
const SPOOL_BATCH: usize = 4000;

/// How long a decision waits for others to be written with.
const GATHER: Duration = Duration::from_millis(50);

/// How long the database may take for a batch before the spool gets it. Longer than any batch takes that goes well; and
/// half of the queue, as it is by default, holds the 5,000 decisions that come meanwhile on a busy machine, all from one caller.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long is waited, or the database asked instead, where the spool takes nothing; then that is tried again.
const RETRY: Duration = Duration::from_secs(5);

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
    /// Masks and seals.
    pub(crate) thread: Thread,
    /// Waits for disks.
    pub(crate) disk: Thread,
    pub(crate) spool: Option<Arc<Spool>>,
    pub(crate) webhook: Option<Arc<Webhook>>,
    pub(crate) trail: Option<webhook::Follower>,
    pub(crate) pruner: Option<Pruner>,
    pub(crate) sealing: Option<Sealing>,
    /// Dropped when the task ends, which [`super::Log::flush`] waits for.
    pub(crate) finished: Option<tokio::sync::watch::Sender<()>>,
}

impl LogTask {
    /// To be called before anything is changed through this server: the audit trail is sent by webhook from here on, where it never was
    /// before. Asks the database once.
    pub async fn begin(&mut self) {
        if let Some(trail) = &mut self.trail {
            trail.begin().await;
        }
    }

    /// Runs until [`super::Log::flush`] is called and what was queued is written, or the time for that is over.
    pub async fn run(mut self) {
        // Dropped last: whoever waits for it finds the folder of the spool free.
        let finished = self.finished.take();
        self.work().await;
        drop(finished);
    }

    async fn work(self) {
        let Self {
            mut queue,
            shared,
            outputs,
            preparer,
            thread,
            disk,
            spool,
            webhook,
            trail,
            pruner,
            sealing,
            finished: _,
        } = self;
        let replayer = spool.as_ref().and_then(|spool| {
            let store = outputs.iter().find_map(Output::store)?;
            Some(Replayer::new(
                Arc::clone(spool),
                store,
                &shared.metrics,
                &shared.failing,
            ))
        });
        let sender = webhook
            .as_ref()
            .map(|webhook| webhook::Sender::new(Arc::clone(webhook), &shared));
        let mut sinks: Vec<Writing> = outputs
            .into_iter()
            .map(|output| Writing::new(output, spool.as_ref(), &shared))
            .collect();
        let off = sinks.is_empty();
        let in_lines = sinks.iter().any(|sink| match sink {
            Writing::Lines(_) => true,
            Writing::Store(_) | Writing::Spooled(_) | Writing::Journal(_) | Writing::Webhook(_) => false,
        });
        // One batch is prepared while the one before it is written.
        let (ready, mut written) = mpsc::channel(1);
        let make = async {
            if off {
                // There may still be something to prune.
                shared.closing.cancelled().await;
            }
            // Not before there is a place for it: decisions wait in the queue, where they are counted.
            while let Ok(slot) = ready.reserve().await {
                let in_use = spool.as_ref().is_some_and(|spool| !spool.is_empty());
                let most = if in_use { SPOOL_BATCH } else { BATCH };
                let batch = gather(&mut queue, &shared, most).await;
                if batch.is_empty() {
                    break;
                }
                // Out of the queue, they take memory and no place.
                let (batch, memory) = Taken::out_of_the_queue(batch);
                let prepared = prepare(&thread, &preparer, Arc::new(batch), &shared.metrics, in_lines).await;
                slot.send((prepared, memory));
            }
            drop(ready);
        };
        let write = async {
            while let Some((prepared, memory)) = written.recv().await {
                for sink in &mut sinks {
                    sink.write(&disk, &prepared).await;
                }
                shared.written(prepared.records.len());
                drop(memory);
            }
        };
        let last = CancellationToken::new();
        let replay = async {
            match replayer {
                Some(replayer) => replayer.run(&last).await,
                None => last.cancelled().await,
            }
        };
        let send = async {
            match sender {
                Some(sender) => sender.run(&last).await,
                None => last.cancelled().await,
            }
        };
        let send_trail = async {
            match trail {
                Some(trail) => trail.run(&last).await,
                None => last.cancelled().await,
            }
        };
        let write = async {
            tokio::join!(make, write);
            // What waits in the spool is safe there. While the database takes it, it is given it all the same: a
            // container may be gone with its disk.
            last.cancel();
        };
        let seal = async {
            match sealing {
                Some(sealing) => sealing.run(&last).await,
                None => last.cancelled().await,
            }
        };
        let work = async { tokio::join!(write, replay, seal, send, send_trail) };
        let prune = async {
            match pruner {
                Some(pruner) => pruner.run(&shared.metrics).await,
                None => std::future::pending().await,
            }
        };
        let over = async {
            shared.abandon.cancelled().await;
            if spool.is_some() || webhook.is_some() {
                // From then on the writer asks no database: what is queued is on disk in no time.
                sleep(STOP / 2).await;
            }
        };
        tokio::select! {
            _ = work => {}
            () = prune => {}
            () = over => {}
        }
        if let Some(spool) = spool.filter(|spool| !spool.is_empty()) {
            tracing::warn!(
                bytes = spool.bytes(),
                directory = %spool.directory().display(),
                "decisions are kept on disk, and are written to the database after the next start"
            );
        }
        if let Some(webhook) = webhook {
            webhook.say_what_is_left();
        }
    }
}

/// The next batch; empty when the queue is closed and drained.
async fn gather(queue: &mut mpsc::Receiver<Queued>, shared: &Shared, most: usize) -> Vec<Queued> {
    let mut batch = Vec::new();
    tokio::select! {
        _ = queue.recv_many(&mut batch, most) => {}
        () = shared.closing.cancelled(), if !queue.is_closed() => queue.close(),
    }
    if queue.is_closed() {
        // At the end nobody waits for company.
        let room = most - batch.len();
        if room > 0 {
            queue.recv_many(&mut batch, room).await;
        }
        return batch;
    }
    let until = Instant::now() + GATHER;
    while batch.len() < most {
        let room = most - batch.len();
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
    records: Arc<Vec<DecisionRecord>>,
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
        entries
            .iter()
            .map(|entry| preparer.prepare(entry))
            .collect::<Vec<_>>()
    };
    let done = match thread.run(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "contexts could not be masked and are left out");
            let withheld = |entry| (stripped(entry), ContextFate::Withheld(Withheld::Mask));
            batch.iter().map(withheld).collect()
        }
    };
    let mut lines = String::new();
    let mut records = Vec::with_capacity(done.len());
    for (record, outcome) in done {
        match outcome {
            ContextFate::Done => {}
            ContextFate::Withheld(why) => drop(metrics.withheld(why).inc()),
        }
        if in_lines {
            push_prepared(&record, &mut lines);
        }
        records.push(record);
    }
    Prepared {
        records: Arc::new(records),
        lines: Arc::from(lines),
    }
}

/// A sink with what it is counted with.
enum Writing {
    /// Text, to standard output or a file.
    Lines(Lines),
    /// The database, which has a batch when it has stored it.
    Store(Appender),
    /// The database with a spool in front of it.
    Spooled(Spooled),
    /// The journal of segments.
    Journal(Journaled),
    /// The spool of the receiver of webhooks.
    Webhook(webhook::Writer),
}

impl Writing {
    fn new(output: Output, spool: Option<&Arc<Spool>>, shared: &Arc<Shared>) -> Self {
        match (output, spool) {
            (Output::Store(store), Some(spool)) => Self::Spooled(Spooled {
                store,
                spool: Arc::clone(spool),
                shared: Arc::clone(shared),
                in_use: false,
                stuck: Stuck::default(),
            }),
            (Output::Store(store), None) => {
                Self::Store(Appender::new(store, &shared.metrics, &shared.failing))
            }
            (Output::Segments(segments), _) => Self::Journal(Journaled {
                segments,
                shared: Arc::clone(shared),
                stuck: Stuck::default(),
            }),
            (Output::Webhook(webhook), _) => Self::Webhook(webhook::Writer::new(webhook, shared)),
            (output @ (Output::Stdout | Output::File(_)), _) => Self::Lines(Lines {
                written: shared.metrics.written(output.label()),
                errors: shared.metrics.errors(output.label()),
                pause: Pause::new(output.label(), &shared.failing),
                output,
            }),
        }
    }

    /// Writes a batch, however often it takes.
    async fn write(&mut self, thread: &Thread, batch: &Prepared) {
        match self {
            Self::Lines(lines) => lines.write(thread, batch).await,
            Self::Store(appender) => {
                // Never told to give up: whoever has no time any more drops this.
                let never = CancellationToken::new();
                appender.append(&batch.records, &mut 0, &never).await;
            }
            Self::Spooled(spooled) => spooled.write(thread, &batch.records).await,
            Self::Journal(journal) => journal.write(thread, &batch.records).await,
            Self::Webhook(webhook) => webhook.write(thread, &batch.records).await,
        }
    }
}

/// A sink of text.
struct Lines {
    output: Output,
    written: Counter,
    errors: Counter,
    pause: Pause,
}

impl Lines {
    async fn write(&mut self, thread: &Thread, batch: &Prepared) {
        while let Err(error) = self.attempt(thread, Arc::clone(&batch.lines)).await {
            self.errors.inc();
            self.pause.after(&error).await;
        }
        self.pause.over();
        self.written.inc_by(batch.records.len() as u64);
    }

    async fn attempt(&self, thread: &Thread, lines: Arc<str>) -> io::Result<()> {
        match &self.output {
            Output::Stdout => write_stdout(thread, lines).await,
            Output::File(path) => write_file(thread, path.clone(), lines).await,
            Output::Store(_) | Output::Segments(_) | Output::Webhook(_) => {
                Err(io::Error::other("it takes no lines"))
            }
        }
    }
}

/// The database with a spool in front of it.
struct Spooled {
    store: Arc<dyn Store>,
    spool: Arc<Spool>,
    shared: Arc<Shared>,
    /// It was said that decisions wait on disk.
    in_use: bool,
    stuck: Stuck,
}

impl Spooled {
    /// Gives a batch to the database, or to the spool where that does not take it at once.
    async fn write(&mut self, thread: &Thread, records: &Arc<Vec<DecisionRecord>>) {
        if self.spool.is_empty() && self.store_at_once(records).await {
            self.in_use = false;
            return;
        }
        let mut done = 0;
        loop {
            let pushed = push(thread, &self.spool, records, done).await;
            done += pushed.kept;
            self.shared.metrics.spooled.inc_by(pushed.kept as u64);
            self.shared.metrics.spool.set(self.spool.bytes() as f64);
            let Some(rest) = records.get(done..).filter(|rest| !rest.is_empty()) else {
                self.stuck.over(&self.shared);
                return;
            };
            self.stuck.say(&self.shared, &self.spool, pushed.failed);
            if self.spool.is_empty() {
                // A broken disk, or a decision larger than the spool: as if there were no spool, for a while.
                done += self.store_without(rest).await;
            } else {
                // The replayer makes room. What others remove from a full disk nobody tells, so the wait has an end.
                drop(timeout(RETRY, self.spool.room.notified()).await);
            }
        }
    }

    /// One attempt with little patience. Whatever else goes wrong than that it takes long, the replayer looks into.
    async fn store_at_once(&mut self, records: &[DecisionRecord]) -> bool {
        let attempt = tokio::select! {
            attempt = timeout(PATIENCE, self.store.append_decisions(records)) => attempt,
            // No time for answers; what was stored all the same is not stored twice.
            () = self.shared.abandon.cancelled() => return false,
        };
        let label = Sink::Store.label();
        let error = match attempt {
            Ok(Ok(())) => {
                self.shared.metrics.written(label).inc_by(records.len() as u64);
                self.shared.failing.note(label, None);
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} ms", PATIENCE.as_millis()),
        };
        self.shared.metrics.errors(label).inc();
        if !std::mem::replace(&mut self.in_use, true) {
            tracing::warn!(%error, "the database does not take decisions; they wait on disk");
        }
        false
    }

    /// Attempts until the first failure after some time. Says how many, from the first on, are done.
    async fn store_without(&self, records: &[DecisionRecord]) -> usize {
        let (mut done, last) = (0, CancellationToken::new());
        let shared = &self.shared;
        let mut appender = Appender::new(Arc::clone(&self.store), &shared.metrics, &shared.failing);
        {
            let append = appender.append(records, &mut done, &last);
            tokio::pin!(append);
            let all = match timeout(RETRY, &mut append).await {
                Ok(all) => all,
                Err(_) => {
                    last.cancel();
                    append.await
                }
            };
            if all {
                shared.failing.note(Sink::Store.label(), None);
            }
        }
        done
    }
}

/// Whether it was said that the disk takes nothing more.
#[derive(Debug, Default)]
struct Stuck(bool);

impl Stuck {
    fn over(&mut self, shared: &Shared) {
        self.0 = false;
        shared.failing.note(SPOOL, None);
    }

    fn say(&mut self, shared: &Shared, spool: &Spool, failed: Option<io::Error>) {
        let news = !std::mem::replace(&mut self.0, true);
        let directory = spool.directory().display();
        match failed {
            Some(error) => {
                shared.metrics.errors(SPOOL).inc();
                shared.failing.note(SPOOL, Some(error.to_string()));
                if news {
                    tracing::error!(%error, %directory, "decisions cannot be kept on disk; they wait in the queue");
                }
            }
            None if news => {
                shared.failing.note(SPOOL, Some("it is full".to_owned()));
                let most = spool.most();
                tracing::error!(most, %directory, "the spool of the decision log is full; decisions wait in the queue");
            }
            None => {}
        }
    }
}

/// The journal of segments: on disk there, a batch is written.
struct Journaled {
    segments: Arc<Segments>,
    shared: Arc<Shared>,
    stuck: Stuck,
}

impl Journaled {
    async fn write(&mut self, thread: &Thread, records: &Arc<Vec<DecisionRecord>>) {
        let Some(journal) = self.segments.journal() else {
            return;
        };
        let mut done = 0;
        loop {
            let pushed = push(thread, journal, records, done).await;
            done += pushed.kept;
            self.shared.metrics.spool.set(journal.bytes() as f64);
            if done >= records.len() {
                self.stuck.over(&self.shared);
                self.shared
                    .metrics
                    .written(Sink::Segments.label())
                    .inc_by(records.len() as u64);
                return;
            }
            self.stuck.say(&self.shared, journal, pushed.failed);
            // Sealing makes room. What others remove from a full disk nobody tells, so the wait has an end.
            drop(timeout(RETRY, journal.room.notified()).await);
        }
    }
}

/// Puts decisions into the spool, from the one with this number on.
pub(super) async fn push(
    thread: &Thread,
    spool: &Arc<Spool>,
    records: &Arc<Vec<DecisionRecord>>,
    from: usize,
) -> Pushed {
    let (spool, records) = (Arc::clone(spool), Arc::clone(records));
    let job = move || spool.push(records.get(from..).unwrap_or_default());
    thread.run(job).await.unwrap_or_else(|error| Pushed {
        kept: 0,
        failed: Some(error),
    })
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
