//! Sealing: what is in the journal becomes segments, which are moved to the archive and removed after their retention.
//!
//! # Invariants
//!
//! - Whatever fails is tried again, and the journal keeps what is not sealed: it fills, and what `DECISION_LOG_OVERFLOW` says
//!   begins. Nothing new is sealed before what is staged is in the archive, so the bound of the journal bounds the disk.
//! - What is damaged in the journal is counted and said, once.

use super::{Segments, Staged, staged};
use crate::clock::now_ms;
use crate::decisions::config::Sink;
use crate::decisions::replay::Pause;
use crate::decisions::spool::{self, Spool};
use crate::decisions::thread::Thread;
use crate::decisions::{Failing, disk};
use crate::storage::model::{DecisionKey, DecisionRecord};
use crate::telemetry::metrics::{Dropped, LogMetrics};
use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often the journal is looked at.
const TICK: Duration = Duration::from_millis(250);

/// How often the archive is looked through for old segments.
const PRUNE: Duration = Duration::from_secs(600);

/// How long segments are removed before something else has its turn: each takes a question to a bucket.
const PRUNING: Duration = Duration::from_secs(5);

/// How much the thread that seals lets others pass: a quarter of a processor that they want too.
const NICE: i32 = 5;

/// Seals and prunes, for as long as the server runs.
#[derive(Debug)]
pub(crate) struct Sealing {
    pub(crate) segments: Arc<Segments>,
    pub(crate) metrics: LogMetrics,
    pub(crate) failing: Arc<Failing>,
    /// Sealed when the journal has so many bytes,
    pub(crate) bytes: u64,
    /// or its first decision is so old.
    pub(crate) after: Duration,
    /// Zero is for ever.
    pub(crate) retention: Duration,
}

/// What was sealed at once.
#[derive(Debug, Default)]
struct Sealed {
    decisions: u64,
    damaged: u64,
    torn: u64,
}

impl Sealing {
    /// Runs until `last` is cancelled.
    pub(crate) async fn run(self, last: &CancellationToken) {
        let Some(journal) = self.segments.journal().cloned() else {
            return last.cancelled().await;
        };
        let thread = match Thread::start("decision-seal") {
            Ok(thread) => thread,
            Err(error) => {
                tracing::error!(%error, "decisions are not sealed: there is no thread for it; they stay in the journal");
                return last.cancelled().await;
            }
        };
        #[cfg(target_os = "linux")]
        drop(thread.run(|| rustix::process::nice(NICE)).await);
        let mut pause = Pause::new(Sink::Segments.label(), &self.failing);
        // What is left of an earlier run is sealed at once.
        let mut left_over = !journal.is_empty();
        let mut filled: Option<Instant> = None;
        let mut published = false;
        let mut pruned: Option<Instant> = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = last.cancelled() => {
                    // One that failed a moment ago is not waited for.
                    if self.segments.archive.is_remote() && !pause.is_failing() {
                        self.seal_all(&thread, &journal).await;
                    }
                    return;
                }
            }
            self.metrics.spool.set(journal.bytes() as f64);
            if journal.is_empty() {
                filled = None;
            } else if filled.is_none() {
                filled = Some(Instant::now());
            }
            let due = left_over
                || journal.bytes() >= self.bytes
                || filled.is_some_and(|since| since.elapsed() >= self.after);
            if due || !published {
                match self.seal(&thread, &journal, due).await {
                    Ok(()) => {
                        pause.over();
                        published = true;
                        left_over = false;
                        filled = None;
                    }
                    Err(error) => {
                        published = false;
                        self.metrics.errors(Sink::Segments.label()).inc();
                        tokio::select! {
                            () = pause.after(&error) => {}
                            () = last.cancelled() => return,
                        }
                    }
                }
            }
            // Short retentions are looked after as often as they deserve.
            let every = (self.retention / 10).clamp(Duration::from_millis(100), PRUNE);
            if !self.retention.is_zero() && pruned.is_none_or(|at| at.elapsed() >= every) {
                let all = self.prune(&thread).await;
                pruned = all.then(Instant::now);
            }
        }
    }

    /// Seals what there is at a stop, for as long as somebody waits for it: this machine may be gone with its disk.
    async fn seal_all(&self, thread: &Thread, journal: &Arc<Spool>) {
        let mut left = u64::MAX;
        // Nothing is written to it any more.
        while !journal.is_empty() && journal.bytes() < left {
            left = journal.bytes();
            if let Err(error) = self.seal(thread, journal, true).await {
                self.metrics.errors(Sink::Segments.label()).inc();
                tracing::warn!(
                    %error,
                    bytes = journal.bytes(),
                    "decisions could not be moved to the archive; they are kept on disk until the next start"
                );
                return;
            }
        }
    }

    /// Moves what is staged to the archive, and then seals what is in the journal.
    async fn seal(&self, thread: &Thread, journal: &Arc<Spool>, due: bool) -> io::Result<()> {
        let (segments, spool) = (Arc::clone(&self.segments), Arc::clone(journal));
        let most = self.bytes;
        let job = move || {
            segments.reach()?;
            segments.publish()?;
            if !due {
                return Ok(Sealed::default());
            }
            let sealed = segments.seal(&spool, most)?;
            segments.publish()?;
            Ok::<_, io::Error>(sealed)
        };
        let sealed = thread.run(job).await??;
        self.metrics.sealed.inc_by(sealed.decisions);
        if sealed.damaged > 0 {
            let stretches = sealed.damaged;
            tracing::error!(
                stretches,
                "decisions in the journal were damaged on disk; they are lost"
            );
            self.metrics.dropped(Dropped::Damaged).inc_by(stretches);
        }
        if sealed.torn > 0 {
            tracing::warn!(
                "the last decision that was written to the journal before a stop is not whole; it is lost"
            );
            self.metrics.dropped(Dropped::Torn).inc_by(sealed.torn);
        }
        Ok(())
    }

    /// Removes what is too old; says whether that was all, or is to be tried again later.
    async fn prune(&self, thread: &Thread) -> bool {
        let kept = i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX);
        let before = now_ms().saturating_sub(kept);
        let segments = Arc::clone(&self.segments);
        match thread
            .run(move || segments.prune(before))
            .await
            .and_then(|pruned| pruned)
        {
            Ok((pruned, all)) => {
                self.metrics.pruned.inc_by(pruned);
                all
            }
            Err(error) => {
                tracing::warn!(%error, "old decisions could not be removed; tried again later");
                true
            }
        }
    }
}

impl Segments {
    /// Finds out whether the archive can be used at all, once: a bucket that refuses is to be known before there is anything for it.
    fn reach(&self) -> io::Result<()> {
        let never = self.index().listed.is_none();
        match never && self.archive.is_remote() {
            true => self.refresh(Duration::ZERO),
            false => Ok(()),
        }
    }

    /// Makes segments of the oldest decisions in the journal, about so many bytes of them.
    fn seal(&self, journal: &Spool, most: u64) -> io::Result<Sealed> {
        journal.end();
        let (mut numbers, mut bytes) = (Vec::new(), 0);
        let (mut records, mut sealed) = (Vec::new(), Sealed::default());
        let mut memory = Vec::new();
        for (number, size, ended) in journal.segments() {
            if !ended || bytes >= most {
                break;
            }
            match spool::read(&self.directory, number, size, &mut memory) {
                Ok(found) => {
                    sealed.damaged += found.damaged;
                    sealed.torn += u64::from(found.torn > 0);
                    records.extend(found.records);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    tracing::error!(
                        number,
                        "a file of the journal of decisions was removed by somebody else"
                    );
                    sealed.damaged += 1;
                }
                Err(error) => return Err(error),
            }
            numbers.push(number);
            bytes += size;
        }
        drop(memory);
        if numbers.is_empty() {
            return Ok(sealed);
        }
        let staged = staged::stage(&self.directory, &numbers, records)?;
        sealed.decisions = staged.files.iter().map(|(name, _)| name.rows).sum();
        let mut index = self.index();
        for number in &numbers {
            journal.forget(*number);
            index.ended.remove(number);
        }
        index.staged.extend(staged.files.iter().cloned());
        drop(index);
        for number in &numbers {
            match journal.remove(*number) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        disk::sync_directory(&self.directory)?;
        staged.journal_is_gone()?;
        Ok(sealed)
    }

    /// Moves everything that is staged to the archive.
    fn publish(&self) -> io::Result<()> {
        for staged in Staged::all(&self.directory)? {
            // After a stop at the wrong moment, or an error.
            for number in staged.numbers()? {
                if let Some(journal) = self.journal() {
                    match journal.remove(number) {
                        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
            }
            disk::sync_directory(&self.directory)?;
            staged.journal_is_gone()?;
            for (name, path) in &staged.files {
                self.archive.publish(path, name)?;
                let mut index = self.index();
                index.staged.remove(name);
                index.archived.insert(name.clone());
                index.moved.push(name.clone());
            }
            staged.remove()?;
        }
        Ok(())
    }

    /// Adds decisions to the archive that are not there; says how many.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn import(&self, mut records: Vec<DecisionRecord>) -> io::Result<u64> {
        // What an earlier run has staged, first.
        self.publish()?;
        self.refresh(Duration::ZERO)?;
        let ids = records.iter().map(DecisionRecord::id);
        let (Some(first), Some(last)) = (ids.clone().min(), ids.max()) else {
            return Ok(0);
        };
        let index = self.index();
        let near = index.archived.iter();
        let near: Vec<_> = near
            .filter(|name| name.last >= first && name.first <= last)
            .cloned()
            .collect();
        drop(index);
        let mut there = HashSet::new();
        for name in near {
            let keys = self.segment(&name, None).and_then(|segment| segment.keys());
            there.extend(keys.map_err(|error| io::Error::other(format!("{name}: {error}")))?);
        }
        records.retain(|record| !there.contains(&DecisionKey::of(record)));
        if records.is_empty() {
            return Ok(0);
        }
        let staged = staged::stage(&self.directory, &[], records)?;
        self.publish()?;
        Ok(staged.files.iter().map(|(name, _)| name.rows).sum())
    }

    /// Removes segments all of whose decisions are older, for a while; says how many decisions, and whether that was all.
    fn prune(&self, before_ms: i64) -> io::Result<(u64, bool)> {
        let begin = Instant::now();
        self.refresh(Duration::ZERO)?;
        let index = self.index();
        let old = index.archived.iter().filter(|name| name.last_ms < before_ms);
        let old: Vec<_> = old.cloned().collect();
        drop(index);
        let mut pruned = 0;
        for name in old {
            if begin.elapsed() > PRUNING {
                return Ok((pruned, false));
            }
            self.archive.remove(&name)?;
            self.index().archived.remove(&name);
            pruned += name.rows;
        }
        Ok((pruned, true))
    }
}
