//! The decision log in segments: a journal on the disk of this server, sealed into Parquet files that everybody reads.
//!
//! ```text
//! writer ─► journal ─► seal ─► staged ─► publish ─► archive ─► prune
//!           spool.rs   sealer.rs, staged.rs         archive.rs, bucket.rs
//!              └────────────┴───── queries ────────────┘  policy_segments
//! ```
//!
//! # Invariants
//!
//! - A decision is in one of journal, staged and archive, and a query sees it once: they change hands under one lock, and a
//!   query whose files move meanwhile begins again.
//! - What cannot be read is an error: a query that leaves decisions out does not pass for a whole one.
//! - Segments of other servers in the same archive are seen once they are there, [`REFRESH`] later at the latest; their
//!   journals are not.
//!
//! # Not done here
//!
//! Merging small segments into larger ones. Masking and encryption: what gets here is masked and sealed already.

mod archive;
mod bucket;
mod name;
mod sealer;
mod staged;

use super::config;
pub use super::spool::OpenError;
use super::spool::{self, Spool};
use crate::storage::model::{
    DecisionFilter, DecisionId, DecisionKey, DecisionRecord, DecisionStats, Page, RuleCount, Slice,
};
use crate::storage::{PAGE_BYTES, StoreError};
use archive::{Archive, Folder, LocalFile};
use bucket::Bucket;
pub(crate) use bucket::check as check_bucket;
use name::Name;
use policy_segments::{Asked, Error, Found, Place, Segment, Source, Tally};
use quick_cache::sync::Cache;
use staged::Staged;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use sealer::Sealing;

/// How old the list of the archive's segments may be.
const REFRESH: Duration = Duration::from_secs(10);

/// How long the answer of an archive that could not be listed stands for all who ask: who waits for one that does not answer holds
/// a thread.
const AWAY: Duration = Duration::from_secs(5);

/// Segments whose metadata stay in memory, some 20 KB each.
const OPENED: usize = 512;

/// How often a query begins again because files moved, and how long after the first time.
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(5);

/// Rules that counts name.
const TOP_RULES: usize = 20;

/// The log in segments, read and sealed.
#[derive(Debug)]
pub struct Segments {
    journal: Journal,
    directory: PathBuf,
    archive: Box<dyn Archive>,
    index: Mutex<Index>,
    /// Held by the one who lists the archive.
    listing: Mutex<()>,
    opened: Cache<Name, Segment>,
    /// Files of the archive that are none of ours were said.
    others_said: std::sync::atomic::AtomicBool,
}

/// The journal of this process, or one that another process writes.
#[derive(Debug)]
enum Journal {
    Own(Arc<Spool>),
    Others,
}

/// Where segments are.
#[derive(Debug, Default)]
struct Index {
    /// Whole, and not in the archive yet.
    staged: BTreeMap<Name, PathBuf>,
    archived: HashSet<Name>,
    /// Moved to the archive since listing it began.
    moved: Vec<Name>,
    listed: Option<Instant>,
    /// The last list could not be had.
    failed: Option<(Instant, ErrorKind, String)>,
    /// What is in ended files of the journal.
    ended: HashMap<u64, Arc<Summary>>,
}

/// What is in a file of the journal, without reading it.
#[derive(Debug)]
struct Summary {
    last: Option<DecisionId>,
    first_ms: i64,
    last_ms: i64,
    /// Hashes of request ids, in their order.
    requests: Box<[u64]>,
}

fn hash(text: &str) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::fast::FixedState::default().hash_one(text)
}

impl Summary {
    fn of(records: &[DecisionRecord]) -> Self {
        let mut requests: Box<[u64]> = records.iter().map(|record| hash(&record.request_id)).collect();
        requests.sort_unstable();
        Self {
            last: records.iter().map(DecisionRecord::id).max(),
            first_ms: records
                .iter()
                .map(|record| record.at_ms)
                .min()
                .unwrap_or(i64::MAX),
            last_ms: records
                .iter()
                .map(|record| record.at_ms)
                .max()
                .unwrap_or(i64::MIN),
            requests,
        }
    }

    fn may_hold(&self, asked: &Asked<'_>) -> bool {
        let filter = asked.filter;
        filter.from_ms.is_none_or(|from| self.last_ms >= from)
            && filter.to_ms.is_none_or(|to| self.first_ms < to)
            && asked
                .request_id
                .is_none_or(|id| self.requests.binary_search(&hash(id)).is_ok())
    }
}

/// Everything there is at one moment.
struct Snapshot {
    /// Files of the journal: number, bytes, whether nothing more is written to it.
    journal: Vec<(u64, u64, bool)>,
    /// Segments, with their files where they are staged.
    segments: Vec<(Name, Option<PathBuf>)>,
}

impl Segments {
    /// Opens journal and archive. What an earlier process left goes on where it stopped.
    ///
    /// # Errors
    ///
    /// Another process has the journal; a folder cannot be made or read.
    pub fn open(config: &config::Segments) -> Result<Self, OpenError> {
        let directory = &config.journal;
        let spool = Spool::open(directory, config.bytes)?;
        staged::clean(directory)?;
        let mut index = Index::default();
        for staged in Staged::all(directory)? {
            for number in staged.numbers()? {
                if let Err(error) = spool.remove(number)
                    && error.kind() != ErrorKind::NotFound
                {
                    return Err(error.into());
                }
            }
            super::disk::sync_directory(directory)?;
            staged.journal_is_gone()?;
            index.staged.extend(staged.files);
        }
        let archive = archive(&config.archive)?;
        Ok(Self::new(
            Journal::Own(Arc::new(spool)),
            directory,
            archive,
            index,
        ))
    }

    /// As [`Segments::open`], to read only, also while another process writes.
    ///
    /// # Errors
    ///
    /// A folder cannot be read.
    pub fn look(config: &config::Segments) -> io::Result<Self> {
        let archive = archive(&config.archive)?;
        Ok(Self::new(
            Journal::Others,
            &config.journal,
            archive,
            Index::default(),
        ))
    }

    fn new(journal: Journal, directory: &Path, archive: Box<dyn Archive>, index: Index) -> Self {
        Self {
            journal,
            directory: directory.to_owned(),
            archive,
            index: Mutex::new(index),
            listing: Mutex::new(()),
            opened: Cache::new(OPENED),
            others_said: std::sync::atomic::AtomicBool::new(false),
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal, where it is ours.
    pub(crate) fn journal(&self) -> Option<&Arc<Spool>> {
        match &self.journal {
            Journal::Own(spool) => Some(spool),
            Journal::Others => None,
        }
    }

    /// Lists the archive again, where that was not done a moment ago.
    fn refresh(&self, fresh: Duration) -> io::Result<()> {
        // One after the other: the older list must not replace the newer one.
        let _listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = self.index();
        if index.listed.is_some_and(|at| at.elapsed() < fresh) {
            return Ok(());
        }
        if let Some((at, kind, why)) = &index.failed
            && !fresh.is_zero()
            && at.elapsed() < AWAY
        {
            return Err(io::Error::new(*kind, why.clone()));
        }
        index.moved.clear();
        drop(index);
        let now = Instant::now();
        let list = self.archive.list();
        let failed = list.as_ref().err();
        self.index().failed = failed.map(|error| (Instant::now(), error.kind(), error.to_string()));
        let (names, others) = list?;
        if let Some(other) = others.first()
            && !self.others_said.swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            tracing::warn!(
                file = other,
                files = others.len(),
                "files among the segments of the decision log have names that none has, and are not read"
            );
        }
        let mut index = self.index();
        index.archived = names.into_iter().collect();
        // What was moved there meanwhile may not be on the list.
        let moved = std::mem::take(&mut index.moved);
        index.archived.extend(moved);
        index.listed = Some(now);
        Ok(())
    }

    fn snapshot(&self) -> io::Result<Snapshot> {
        match &self.journal {
            Journal::Own(spool) => {
                self.refresh(REFRESH)?;
                let index = self.index();
                let staged = index.staged.iter();
                let staged = staged.map(|(name, path)| (name.clone(), Some(path.clone())));
                let archived = index
                    .archived
                    .iter()
                    .filter(|name| !index.staged.contains_key(name));
                let archived = archived.map(|name| (name.clone(), None));
                Ok(Snapshot {
                    journal: spool.segments(),
                    segments: staged.chain(archived).collect(),
                })
            }
            Journal::Others => self.look_around(),
        }
    }

    /// What there is while another process writes: read in the direction in which decisions go, so that none is missed, and
    /// those that are seen twice are known by their keys and names.
    fn look_around(&self) -> io::Result<Snapshot> {
        let none = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => Ok(Vec::new()),
            _ => Err(error),
        };
        let journal = spool::look(&self.directory).or_else(none)?;
        let staged = Staged::all(&self.directory).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(Vec::new()),
            _ => Err(error),
        })?;
        let (archived, _) = self.archive.list()?;
        let mut handed_over = HashSet::new();
        let mut segments: BTreeMap<Name, Option<PathBuf>> = BTreeMap::new();
        for staged in staged {
            handed_over.extend(staged.numbers()?);
            segments.extend(staged.files.into_iter().map(|(name, path)| (name, Some(path))));
        }
        segments.extend(archived.into_iter().map(|name| (name, None)));
        let journal = journal
            .into_iter()
            .filter(|(number, _)| !handed_over.contains(number))
            .map(|(number, size)| (number, size, false))
            .collect();
        Ok(Snapshot {
            journal,
            segments: segments.into_iter().collect(),
        })
    }

    /// A segment, from memory where it was opened before.
    fn segment(&self, name: &Name, staged: Option<&Path>) -> Result<Segment, Error> {
        if let Some(segment) = self.opened.get(name) {
            return Ok(segment);
        }
        let input = match staged {
            // It may have been moved a moment ago.
            Some(path) => LocalFile::open(path).or_else(|error| match error.kind() {
                ErrorKind::NotFound => self.archive.open(name),
                _ => Err(error),
            })?,
            None => self.archive.open(name)?,
        };
        let segment = Segment::open(input).map_err(|error| match error {
            Error::Format(why) => Error::Format(format!("{name}: {why}")),
            other @ (Error::Io(_) | Error::Stopped) => other,
        })?;
        let segment = segment.named(&name.to_string());
        if staged.is_none() {
            self.opened.insert(name.clone(), segment.clone());
        }
        Ok(segment)
    }

    /// The decisions in a file of the journal.
    fn read_journal(&self, (number, size, ended): (u64, u64, bool)) -> io::Result<Vec<DecisionRecord>> {
        let records = spool::read(&self.directory, number, size, &mut Vec::new())?.records;
        if ended {
            let summary = Arc::new(Summary::of(&records));
            self.index().ended.insert(number, summary);
        }
        Ok(records)
    }

    fn summary(&self, number: u64) -> Option<Arc<Summary>> {
        self.index().ended.get(&number).cloned()
    }

    /// Does work on a snapshot, again where files moved meanwhile.
    fn with_snapshot<T>(&self, work: impl Fn(Snapshot) -> Result<T, Error>) -> Result<T, StoreError> {
        let mut attempt = 1;
        loop {
            match self.snapshot().map_err(Error::from).and_then(&work) {
                Ok(done) => return Ok(done),
                Err(Error::Io(error)) if error.kind() == ErrorKind::NotFound && attempt < ATTEMPTS => {
                    std::thread::sleep(PAUSE * attempt);
                    attempt += 1;
                    self.index().listed = None;
                    self.opened.clear();
                }
                Err(Error::Io(error)) => {
                    return Err(StoreError::Unavailable(format!(
                        "a segment of the decision log cannot be read: {error}"
                    )));
                }
                Err(Error::Format(why)) => {
                    return Err(StoreError::Corrupt(format!(
                        "a segment of the decision log: {why}"
                    )));
                }
                Err(Error::Stopped) => {
                    return Err(StoreError::Unavailable(
                        "the decision log has more than could be read in time".to_owned(),
                    ));
                }
            }
        }
    }

    /// Decisions that fit, newest first; only on this request, where one is given.
    pub(crate) fn decisions(
        &self,
        filter: &DecisionFilter,
        request_id: Option<&str>,
        page: &Page,
    ) -> Result<Slice<DecisionRecord>, StoreError> {
        let below = page.after.as_deref().map(str::parse::<DecisionKey>).transpose();
        let below = below.map_err(|error| StoreError::Missing(format!("cursor: {error}")))?;
        let asked = Asked {
            filter,
            request_id,
            below: below.as_ref(),
        };
        let most = usize::try_from(page.limit).unwrap_or(usize::MAX);
        self.with_snapshot(|snapshot| {
            let (sources, found) = self.find(snapshot, &asked, most.saturating_add(1))?;
            let mut newest: Vec<(DecisionKey, Place)> =
                found.newest().map(|(key, place)| (key.clone(), place)).collect();
            let mut more = newest.len() > most;
            newest.truncate(most);
            let items = fetch(&sources, &newest)?;
            more |= items.len() < newest.len();
            let next = items
                .last()
                .filter(|_| more)
                .map(|record| DecisionKey::of(record).to_string());
            Ok(Slice { items, next })
        })
    }

    fn find(
        &self,
        snapshot: Snapshot,
        asked: &Asked<'_>,
        most: usize,
    ) -> Result<(Vec<Source>, Found), Error> {
        let mut found = Found::new(most);
        let mut sources = Vec::new();
        for file in snapshot.journal.into_iter().rev() {
            let summary = self.summary(file.0).filter(|_| file.2);
            let nothing_new = |summary: &Arc<Summary>| {
                !summary.may_hold(asked) || summary.last.is_none_or(|last| !found.needs(last))
            };
            if summary.as_ref().is_some_and(nothing_new) {
                continue;
            }
            let mut records = self.read_journal(file)?;
            // Nothing stays in memory that is not shown.
            records.retain(|record| asked.matches(record));
            records.sort_by_cached_key(DecisionKey::of);
            records.drain(..records.len().saturating_sub(most));
            let source = Source::Memory(Arc::new(records));
            found.search(sources.len(), &source, asked)?;
            sources.push(source);
        }
        let mut segments = snapshot.segments;
        segments.sort_unstable_by_key(|(name, _)| std::cmp::Reverse(name.last));
        for (name, staged) in segments {
            let filter = asked.filter;
            let apart = filter.from_ms.is_some_and(|from| name.last_ms < from)
                || filter.to_ms.is_some_and(|to| name.first_ms >= to)
                || asked.below.is_some_and(|below| name.first > below.id);
            if apart || !found.needs(name.last) {
                continue;
            }
            let source = Source::File(self.segment(&name, staged.as_deref())?);
            found.search(sources.len(), &source, asked)?;
            sources.push(source);
        }
        Ok((sources, found))
    }

    /// Counts of decisions that fit.
    pub(crate) fn stats(&self, filter: &DecisionFilter) -> Result<DecisionStats, StoreError> {
        let asked = Asked {
            filter,
            request_id: None,
            below: None,
        };
        let tally = self.with_snapshot(|snapshot| {
            let mut tally = Tally::default();
            for file in snapshot.journal {
                let summary = self.summary(file.0).filter(|_| file.2);
                if summary.is_some_and(|summary| !summary.may_hold(&asked)) {
                    continue;
                }
                let records = Arc::new(self.read_journal(file)?);
                tally.count(&Source::Memory(records), &asked)?;
            }
            for (name, staged) in snapshot.segments {
                let apart = filter.from_ms.is_some_and(|from| name.last_ms < from)
                    || filter.to_ms.is_some_and(|to| name.first_ms >= to);
                if !apart {
                    let segment = self.segment(&name, staged.as_deref())?;
                    tally.count(&Source::File(segment), &asked)?;
                }
            }
            Ok(tally)
        })?;
        Ok(stats(tally))
    }
}

/// Opens the archive of the settings.
fn archive(config: &config::Archive) -> io::Result<Box<dyn Archive>> {
    Ok(match config {
        config::Archive::Folder(path) => Box::new(Folder::open(path)?),
        config::Archive::Bucket(config) => Box::new(Bucket::open(config)?),
    })
}

/// As many of the decisions as make a page, from the first on.
fn fetch(sources: &[Source], newest: &[(DecisionKey, Place)]) -> Result<Vec<DecisionRecord>, Error> {
    let mut items: Vec<DecisionRecord> = Vec::new();
    let mut bytes = 0;
    // How long texts are shows once they are read: few at first, more where they are short.
    let mut step = 8;
    while let Some(rest) = newest.get(items.len()..).filter(|rest| !rest.is_empty()) {
        let places: Vec<Place> = rest.iter().take(step).map(|(_, place)| *place).collect();
        let before = bytes;
        for record in policy_segments::fetch(sources, &places)? {
            let texts = [&record.context, &record.reason];
            bytes += texts
                .into_iter()
                .flatten()
                .map(|text| text.len() as u64)
                .sum::<u64>();
            if bytes > PAGE_BYTES && !items.is_empty() {
                return Ok(items);
            }
            items.push(record);
        }
        if bytes - before < PAGE_BYTES / 16 {
            step *= 2;
        }
    }
    Ok(items)
}

#[expect(clippy::cast_precision_loss, reason = "means and shares, not counts")]
fn stats(tally: Tally) -> DecisionStats {
    let mut by_decision: BTreeMap<String, u64> = ["allow", "deny", "modify", "warn"]
        .map(|outcome| (outcome.to_owned(), 0))
        .into();
    by_decision.extend(tally.by_decision);
    let total: u64 = by_decision.values().sum();
    let mean = |sum: f64| if total == 0 { 0.0 } else { sum / total as f64 };
    let rules = tally.by_rule.into_iter();
    let mut top_rules: Vec<RuleCount> = rules.map(|(rule, count)| RuleCount { rule, count }).collect();
    top_rules.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.rule.cmp(&b.rule)));
    top_rules.truncate(TOP_RULES);
    DecisionStats {
        total,
        by_decision,
        top_rules,
        mean_evaluation_time_ms: mean(tally.duration_ns / 1e6),
        cached_ratio: mean(tally.cached as f64),
    }
}
