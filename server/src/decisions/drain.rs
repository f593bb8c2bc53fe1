//! Empties a spool: gives what waits in it, segment by segment, to whoever brings it where it belongs.
//!
//! # Invariants
//!
//! - A segment stays on disk until [`Drain::done`]: what was given out and not brought there comes again after the next start.
//! - A segment that cannot be read is tried again, and after a few times it lets the others pass first.
//! - What is damaged, torn, or removed by somebody else is counted and said.

use super::Failing;
use super::replay::Pause;
use super::spool::{Decoded, Segment, Spool};
use super::thread::Thread;
use crate::storage::model::DecisionRecord;
use crate::telemetry::metrics::{Dropped, LogMetrics};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How often a segment that cannot be read is tried again before the others.
const READS: u32 = 6;

/// What is read of a spool, by one at a time.
pub(crate) struct Drain {
    spool: Arc<Spool>,
    /// Not the thread of the writer: reading must not hold up what has to be masked and kept.
    thread: Thread,
    /// What waits, for the server's own log.
    what: &'static str,
    metrics: LogMetrics,
    /// Between attempts to read.
    reading: Pause,
    /// How often the segment at hand could not be read.
    unread: u32,
}

/// A segment that was read and is not done with.
pub(crate) struct Waiting {
    number: u64,
    path: PathBuf,
    found: Decoded,
}

impl Waiting {
    /// Its decisions, in their order.
    pub(crate) fn records(&self) -> &[DecisionRecord] {
        &self.found.records
    }
}

impl Drain {
    /// Of `what`, in a spool that readiness calls `label`.
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub(crate) fn start(
        spool: &Arc<Spool>,
        (label, what): (&'static str, &'static str),
        metrics: &LogMetrics,
        failing: &Arc<Failing>,
    ) -> io::Result<Self> {
        Ok(Self {
            spool: Arc::clone(spool),
            thread: Thread::start(&label.replace(' ', "-"))?,
            what,
            metrics: metrics.clone(),
            reading: Pause::new(label, failing),
            unread: 0,
        })
    }

    /// Waits for the oldest segment. `None` is the end: `last` is cancelled, and nothing waits, or it cannot be read.
    pub(crate) async fn next(&mut self, last: &CancellationToken) -> Option<Waiting> {
        loop {
            while self.spool.is_empty() {
                if last.is_cancelled() {
                    return None;
                }
                tokio::select! {
                    () = self.spool.filled.notified() => {}
                    () = last.cancelled() => {}
                }
            }
            let spool = Arc::clone(&self.spool);
            let error = match self.thread.run(move || spool.oldest()).await {
                Ok(None) => continue,
                Ok(Some(Segment { number, path, found })) => match found {
                    Ok(found) => {
                        self.unread = 0;
                        self.reading.over();
                        return Some(Waiting { number, path, found });
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let what = self.what;
                        tracing::error!(file = %path.display(), "{what} that waited on disk were removed by somebody else");
                        self.metrics.dropped(Dropped::Damaged).inc();
                        self.spool.forget(number);
                        continue;
                    }
                    Err(error) => {
                        self.unread += 1;
                        if self.unread.is_multiple_of(READS) {
                            let what = self.what;
                            tracing::error!(file = %path.display(), %error, "{what} that wait on disk cannot be read; tried again later");
                            self.spool.put_behind(number);
                        }
                        error
                    }
                },
                Err(error) => error,
            };
            tokio::select! {
                () = self.reading.after(&error) => {}
                () = last.cancelled() => return None,
            }
        }
    }

    /// All of a segment is where it belongs: removes it, and counts what could not be read of it.
    pub(crate) async fn done(&self, segment: Waiting) {
        let Waiting { number, path, found } = segment;
        let (file, what) = (path.display(), self.what);
        if found.damaged > 0 {
            let stretches = found.damaged;
            tracing::error!(%file, stretches, "{what} that waited on disk were damaged there; they are lost");
            self.metrics.dropped(Dropped::Damaged).inc_by(stretches);
        }
        if found.torn > 0 {
            let bytes = found.torn;
            tracing::warn!(%file, bytes, "the last of the {what} that were written to disk before a stop is not whole; it is lost");
            self.metrics.dropped(Dropped::Torn).inc();
        }
        let spool = Arc::clone(&self.spool);
        let removed = self.thread.run(move || spool.remove(number)).await;
        if let Err(error) = removed.and_then(|removed| removed) {
            tracing::warn!(%file, %error, "a file of {what} that are done with cannot be removed");
        }
    }
}
