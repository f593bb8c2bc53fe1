//! Appending to the database until it has everything, and doing so with what waits in the spool.
//!
//! # Invariants
//!
//! - Only a record that the database refuses for what it is, is ever left out: it is found by halving the batch, tried again a
//!   few times, counted and written to the server's own log instead. Whatever else fails is tried again for as long as it takes.
//! - A segment is removed when every decision in it that can be read is stored or counted. Stopped before, all of them come
//!   again: the store tells them apart by their ids, so each is there once.

use super::drain::Drain;
use super::record::push_prepared;
use super::spool::Spool;
use super::{Failing, SPOOL};
use crate::storage::model::DecisionRecord;
use crate::storage::{Store, StoreError};
use crate::telemetry::metrics::{Dropped, LogMetrics};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Decisions given to the database at once, at most.
pub(crate) const BATCH: usize = 500;

/// First and longest pause between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often a record that the database refuses is tried again. About 3 seconds.
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
        let label = crate::decisions::config::Sink::Store.label();
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
    /// The two lines.
    lines: [&'static str; 2],
    next: Duration,
    failing: Arc<Failing>,
}

impl Pause {
    pub(crate) fn new(sink: &'static str, failing: &Arc<Failing>) -> Self {
        let lines = [
            "decisions cannot be written; they wait",
            "decisions are written again",
        ];
        Self::with_lines(sink, lines, failing)
    }

    pub(crate) fn with_lines(sink: &'static str, lines: [&'static str; 2], failing: &Arc<Failing>) -> Self {
        Self {
            sink,
            lines,
            next: BACKOFF.0,
            failing: Arc::clone(failing),
        }
    }

    pub(crate) async fn after(&mut self, error: &impl std::fmt::Display) {
        if !self.is_failing() {
            tracing::warn!(sink = self.sink, %error, "{}", self.lines[0]);
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
            tracing::info!(sink = self.sink, "{}", self.lines[1]);
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
    failing: Arc<Failing>,
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
            failing: Arc::clone(failing),
        }
    }

    /// Runs until `last` is cancelled, and from then on for as long as there is something and the database takes it.
    pub(crate) async fn run(mut self, last: &CancellationToken) {
        let names = (SPOOL, "decisions");
        let mut drain = match Drain::start(&self.spool, names, &self.metrics, &self.failing) {
            Ok(drain) => drain,
            Err(error) => {
                tracing::error!(%error, "the spool has no thread; what is in it waits for the next start");
                return last.cancelled().await;
            }
        };
        while let Some(segment) = drain.next(last).await {
            for part in segment.records().chunks(BATCH) {
                let mut done = 0;
                let all = tokio::select! {
                    all = self.appender.append(part, &mut done, last) => all,
                    () = no_answer(last) => false,
                };
                if !all {
                    return;
                }
                self.metrics.replayed.inc_by(part.len() as u64);
            }
            drain.done(segment).await;
            self.metrics.spool.set(self.spool.bytes() as f64);
            if self.spool.is_empty() {
                tracing::info!("no decisions wait on disk any more");
            }
        }
    }
}
