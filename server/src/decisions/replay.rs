//! Appending to the database until it has everything, and doing so with what waits in the spool.
//!
//! # Invariants
//!
//! - Only a record that the database refuses for what it is, is ever left out: it is found by halving the batch, tried again a
//!   few times, counted and written to the server's own log instead. Whatever else fails is tried again for as long as it takes.
//! - A segment is removed when every decision in it that can be read is stored or counted. Stopped before, all of them come
//!   again: the store tells them apart by their ids, so each is there once.
//! - What is damaged is counted and said. A segment that cannot be read is tried again, behind the others.

use super::record::push_prepared;
use super::spool::{Segment, Spool};
use super::thread::Thread;
use super::{Failing, SPOOL};
use crate::storage::model::DecisionRecord;
use crate::storage::{Store, StoreError};
use crate::telemetry::metrics::{Dropped, LogMetrics, sink_label};
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Decisions given to the database at once, at the most.
pub(crate) const BATCH: usize = 500;

/// First and longest pause between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often a record that the database refuses, or a segment that cannot be read before the others, is tried again. About 3
/// seconds.
const REFUSALS: u32 = 6;

/// How long the database is waited for, where nothing is lost if it does not answer before the end.
const LAST: Duration = Duration::from_secs(2);

pub(super) async fn no_answer(last: &CancellationToken) {
    last.cancelled().await;
    sleep(LAST).await;
}

/// Writes to the database, however often it takes.
pub(crate) struct Appender {
    store: Arc<dyn Store>,
    written: Counter,
    errors: Counter,
    refused: Counter,
    pause: Pause,
}

impl Appender {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: &LogMetrics, failing: &Arc<Failing>) -> Self {
        let label = sink_label(&crate::config::Sink::Store);
        Self {
            store,
            written: metrics.written(label),
            errors: metrics.errors(label),
            refused: metrics.dropped(Dropped::Refused),
            pause: Pause::new(label, failing),
        }
    }

    /// Appends records; what the database has already it does not store twice, so a lost answer does no harm. `done` is how
    /// many of them, from the first on, are stored or refused for good: right also where this is dropped half way.
    ///
    /// Once `last` is cancelled, the first failure is the end. Says whether all are done.
    pub(crate) async fn append(
        &mut self,
        records: &[DecisionRecord],
        done: &mut usize,
        last: &CancellationToken,
    ) -> bool {
        let mut parts: Vec<&[DecisionRecord]> = vec![records];
        let mut refusals = 0;
        while let Some(part) = parts.pop() {
            let result = tokio::select! {
                result = self.store.append_decisions(part) => result,
                // It failed a moment ago, and there is no time to wait for another answer of that kind.
                () = last.cancelled(), if self.pause.is_failing() => return false,
            };
            let error = match result {
                Ok(()) => {
                    self.written.inc_by(part.len() as u64);
                    *done += part.len();
                    self.pause.over();
                    continue;
                }
                Err(error) => error,
            };
            self.errors.inc();
            if last.is_cancelled() {
                return false;
            }
            match &error {
                StoreError::Refused(_) => {
                    if let (first, second @ [_, ..]) = part.split_at(part.len() / 2)
                        && !first.is_empty()
                    {
                        parts.push(second);
                        parts.push(first);
                        continue;
                    }
                    if refusals >= REFUSALS {
                        self.give_up(part, &error);
                        *done += part.len();
                        continue;
                    }
                    refusals += 1;
                    parts.push(part);
                }
                // Nothing that is wrong with the decisions: they wait for as long as it takes.
                StoreError::Unavailable(_)
                | StoreError::Conflict
                | StoreError::NotWaiting(_)
                | StoreError::Rejected(_)
                | StoreError::Missing(_)
                | StoreError::Exists(_)
                | StoreError::VersionMismatch { .. }
                | StoreError::Quota(_)
                | StoreError::Changed(_)
                | StoreError::Corrupt(_) => parts.push(part),
            }
            tokio::select! {
                () = self.pause.after(&error) => {}
                () = last.cancelled() => return false,
            }
        }
        true
    }

    /// Leaves out what the database will never take. It stands in the server's own log then, masked and sealed as it was to
    /// be stored.
    fn give_up(&self, records: &[DecisionRecord], error: &StoreError) {
        for record in records {
            let mut line = String::new();
            push_prepared(record, &mut line);
            tracing::error!(
                request_id = record.request_id.as_str(), decision = line.trim_end(), %error,
                "the database refuses a decision; it is here and not in the decision log"
            );
        }
        self.refused.inc_by(records.len() as u64);
    }
}

/// The time between attempts, which grows, the two lines about it in the server's own log, and what readiness says.
pub(crate) struct Pause {
    sink: &'static str,
    next: Duration,
    failing: Arc<Failing>,
}

impl Pause {
    pub(crate) fn new(sink: &'static str, failing: &Arc<Failing>) -> Self {
        Self {
            sink,
            next: BACKOFF.0,
            failing: Arc::clone(failing),
        }
    }

    pub(crate) async fn after(&mut self, error: &impl std::fmt::Display) {
        if !self.is_failing() {
            tracing::warn!(sink = self.sink, %error, "decisions cannot be written; they wait");
        }
        self.failing.note(self.sink, Some(error.to_string()));
        let now = self.next;
        self.next = (now * 2).min(BACKOFF.1);
        sleep(now).await;
    }

    /// Whether the last attempt failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.next != BACKOFF.0
    }

    pub(crate) fn over(&mut self) {
        if self.is_failing() {
            tracing::info!(sink = self.sink, "decisions are written again");
            self.failing.note(self.sink, None);
            self.next = BACKOFF.0;
        }
    }
}

/// Gives the database what waits in the spool.
pub(crate) struct Replayer {
    spool: Arc<Spool>,
    appender: Appender,
    metrics: LogMetrics,
    /// Between attempts to read.
    reading: Pause,
    /// How often the segment at hand could not be read.
    unread: u32,
}

impl Replayer {
    pub(crate) fn new(
        spool: Arc<Spool>,
        store: Arc<dyn Store>,
        metrics: &LogMetrics,
        failing: &Arc<Failing>,
    ) -> Self {
        Self {
            spool,
            appender: Appender::new(store, metrics, failing),
            metrics: metrics.clone(),
            reading: Pause::new(SPOOL, failing),
            unread: 0,
        }
    }

    /// Runs until `last` is cancelled, and from then on for as long as there is something and the database takes it.
    pub(crate) async fn run(mut self, last: &CancellationToken) {
        // Not the thread of the writer: reading must not hold up what has to be masked and kept.
        let thread = match Thread::start("decision-spool") {
            Ok(thread) => thread,
            Err(error) => {
                tracing::error!(%error, "the spool has no thread; what is in it waits for the next start");
                return last.cancelled().await;
            }
        };
        loop {
            while self.spool.is_empty() {
                if last.is_cancelled() {
                    return;
                }
                tokio::select! {
                    () = self.spool.filled.notified() => {}
                    () = last.cancelled() => {}
                }
            }
            if !self.replay(&thread, last).await {
                return;
            }
            self.metrics.spool.set(self.spool.bytes() as f64);
            if self.spool.is_empty() {
                tracing::info!("no decisions wait on disk any more");
            }
        }
    }

    /// Gives the database the oldest segment, and removes it. Says whether to go on.
    async fn replay(&mut self, thread: &Thread, last: &CancellationToken) -> bool {
        let spool = Arc::clone(&self.spool);
        let segment = match thread.run(move || spool.oldest()).await {
            Ok(Some(segment)) => segment,
            Ok(None) => return true,
            Err(error) => return self.wait(&error, last).await,
        };
        let Segment { number, path, found } = segment;
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.unreadable(number, &path, &error, last).await,
        };
        self.unread = 0;
        self.reading.over();
        for part in found.records.chunks(BATCH) {
            let mut done = 0;
            let all = tokio::select! {
                all = self.appender.append(part, &mut done, last) => all,
                () = no_answer(last) => false,
            };
            if !all {
                return false;
            }
            self.metrics.replayed.inc_by(part.len() as u64);
        }
        if found.damaged > 0 {
            let stretches = found.damaged;
            tracing::error!(file = %path.display(), stretches, "decisions that waited on disk were damaged there; they are lost");
            self.metrics.dropped(Dropped::Damaged).inc_by(stretches);
        }
        if found.torn > 0 {
            let bytes = found.torn;
            tracing::warn!(file = %path.display(), bytes, "the last decision that was written to disk before a stop is not whole; it is lost");
            self.metrics.dropped(Dropped::Torn).inc();
        }
        let spool = Arc::clone(&self.spool);
        let removed = thread.run(move || spool.remove(number)).await;
        if let Err(error) = removed.and_then(|removed| removed) {
            tracing::warn!(file = %path.display(), %error, "a file of decisions that are stored cannot be removed");
        }
        true
    }

    /// What cannot be read is tried again, and after a few times it lets the others pass first. What is not there any more
    /// is counted. Says whether to go on.
    async fn unreadable(
        &mut self,
        number: u64,
        path: &Path,
        error: &io::Error,
        last: &CancellationToken,
    ) -> bool {
        if error.kind() == io::ErrorKind::NotFound {
            tracing::error!(file = %path.display(), "decisions that waited on disk were removed by somebody else");
            self.metrics.dropped(Dropped::Damaged).inc();
            self.spool.forget(number);
            return true;
        }
        self.unread += 1;
        if self.unread.is_multiple_of(REFUSALS) {
            tracing::error!(file = %path.display(), %error, "decisions that wait on disk cannot be read; tried again later");
            self.spool.put_behind(number);
        }
        self.wait(error, last).await
    }

    async fn wait(&mut self, error: &io::Error, last: &CancellationToken) -> bool {
        tokio::select! {
            () = self.reading.after(error) => true,
            () = last.cancelled() => false,
        }
    }
}
