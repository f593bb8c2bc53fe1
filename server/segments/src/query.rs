//! Searching: the newest decisions that fit, and how many there are.
//!
//! [`Found::search`] looks for keys alone, and passes over what is older than all that it has and full. [`fetch`] then
//! reads only the rows that are shown.

use crate::read::{Group, Segment};
use crate::record::{DecisionFilter, DecisionId, DecisionRecord, Key};
use crate::schema::Column;
use crate::{Error, Result};
use parquet::data_type::ByteArray;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// What is asked.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Which decisions.
    pub filter: &'a DecisionFilter,
    /// Only on this request.
    pub request_id: Option<&'a str>,
    /// Only before this one.
    pub below: Option<&'a Key>,
}

impl Asked<'_> {
    /// Whether a decision is one of those.
    #[must_use]
    pub fn matches(&self, record: &DecisionRecord) -> bool {
        self.request_id.is_none_or(|id| id == record.request_id)
            && self.below.is_none_or(|below| Key::of(record) < *below)
            && self.filter.matches(record)
    }

    /// That the answer is still of use.
    fn go_on(&self) -> Result<()> {
        match self.filter.until {
            Some(until) if std::time::Instant::now() >= until => Err(Error::Stopped),
            _ => Ok(()),
        }
    }
}

/// Where decisions are.
#[derive(Debug, Clone)]
pub enum Source {
    /// In memory, in any order.
    Memory(Arc<Vec<DecisionRecord>>),
    /// In a file.
    File(Segment),
}

/// A row: source, row group, row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    source: usize,
    group: usize,
    row: usize,
}

/// The newest decisions that were found, each once.
#[derive(Debug)]
pub struct Found {
    most: usize,
    keys: BTreeMap<Key, Place>,
}

impl Found {
    fn push(&mut self, key: Key, place: Place) {
        if self.is_full()
            && self
                .keys
                .first_key_value()
                .is_some_and(|(oldest, _)| *oldest > key)
        {
            return;
        }
        self.keys.insert(key, place);
        if self.keys.len() > self.most {
            self.keys.pop_first();
        }
    }

    fn is_full(&self) -> bool {
        self.keys.len() >= self.most
    }

    /// Keys and places, newest first.
    pub fn newest(&self) -> impl Iterator<Item = (&Key, Place)> {
        self.keys.iter().rev().map(|(key, place)| (key, *place))
    }
}

impl Found {
    /// Nothing yet; at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            keys: BTreeMap::new(),
        }
    }

    /// Whether a source whose newest decision has this id may hold something newer than what was found.
    #[must_use]
    pub fn needs(&self, newest: DecisionId) -> bool {
        !self.is_full()
            || self
                .keys
                .first_key_value()
                .is_none_or(|(oldest, _)| newest >= oldest.id)
    }

    /// Looks into a source, which has this number among all. A decision that is in several of them is found once.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] once the answer is of no use; those of reading.
    pub fn search(&mut self, number: usize, source: &Source, asked: &Asked<'_>) -> Result<()> {
        asked.go_on()?;
        match source {
            Source::Memory(records) => {
                for (row, record) in records.iter().enumerate() {
                    if asked.matches(record) {
                        let place = Place {
                            source: number,
                            group: 0,
                            row,
                        };
                        self.push(Key::of(record), place);
                    }
                }
                Ok(())
            }
            Source::File(segment) => self
                .search_file(number, segment, asked)
                .map_err(|error| segment.of_this(error)),
        }
    }

    fn search_file(&mut self, source: usize, segment: &Segment, asked: &Asked<'_>) -> Result<()> {
        for at in (0..segment.groups()).rev() {
            let group = segment.group(at);
            // Groups before one that has nothing new have older ones only.
            if group.last_id().is_some_and(|last| !self.needs(last)) {
                return Ok(());
            }
            asked.go_on()?;
            let Some(rows) = matching(&group, asked)? else {
                continue;
            };
            // The newest ones are at the end.
            let newest = rows
                .get(rows.len().saturating_sub(self.most)..)
                .unwrap_or_default();
            let runs = runs(newest);
            let ids = group.texts(Column::Id, &runs)?;
            let requests = group.texts(Column::RequestId, &runs)?;
            for ((row, id), request) in newest.iter().zip(ids).zip(requests) {
                let key = key(&id, &request)?;
                let place = Place {
                    source,
                    group: at,
                    row: *row,
                };
                self.push(key, place);
            }
        }
        Ok(())
    }
}

fn key(id: &ByteArray, request: &ByteArray) -> Result<Key> {
    let damaged = || Error::Format("it holds a decision without an id".to_owned());
    let text = |bytes: &ByteArray| String::from_utf8(bytes.data().to_vec()).map_err(|_| damaged());
    Ok(Key {
        id: text(id)?.parse().map_err(|_| damaged())?,
        request_id: text(request)?,
    })
}

impl Segment {
    /// The keys of all its decisions, in their order.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn keys(&self) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        for at in 0..self.groups() {
            let group = self.group(at);
            let all = 0..group.rows()?;
            let all = std::slice::from_ref(&all);
            let ids = group.texts(Column::Id, all)?;
            let requests = group.texts(Column::RequestId, all)?;
            for (id, request) in ids.iter().zip(&requests) {
                keys.push(key(id, request)?);
            }
        }
        Ok(keys)
    }
}

/// Rows one behind the other, as ranges.
fn runs(rows: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some(run) if run.end == *row => run.end += 1,
            _ => runs.push(*row..row + 1),
        }
    }
    runs
}

/// The rows of a group that are asked for; `None` where there are none.
fn matching(group: &Group<'_>, asked: &Asked<'_>) -> Result<Option<Vec<usize>>> {
    // All fields by name: a new one does not compile until it narrows.
    let DecisionFilter {
        namespaces,
        decision,
        subject,
        rule,
        policy,
        from_ms,
        to_ms,
        until: _,
    } = asked.filter;
    let times = from_ms.unwrap_or(i64::MIN)..to_ms.unwrap_or(i64::MAX);
    let bounds = group.bounds(Column::Timestamp);
    let within = bounds.is_some_and(|(first, last)| {
        from_ms.is_none_or(|from| first >= from) && to_ms.is_none_or(|to| last < to)
    });
    if bounds.is_some_and(|(first, last)| last < times.start || to_ms.is_some_and(|to| first >= to)) {
        return Ok(None);
    }
    let one = [
        (Column::RequestId, asked.request_id),
        (Column::Subject, subject.as_deref()),
        (Column::MatchedRules, rule.as_deref()),
        (Column::MatchedPolicies, policy.as_deref()),
    ];
    for (column, value) in one {
        if let Some(value) = value
            && !group.may_hold(column, std::iter::once(value))?
        {
            return Ok(None);
        }
    }
    if let Some(namespaces) = namespaces
        && !group.may_hold(Column::Namespace, namespaces.iter().map(String::as_str))?
    {
        return Ok(None);
    }
    let mut rows: Vec<usize> = (0..group.rows()?).collect();
    let all = |rows: &[usize]| runs(rows);
    // Each narrows what the next one reads.
    for (column, value) in [
        (Column::RequestId, asked.request_id),
        (Column::Decision, decision.as_deref()),
        (Column::Subject, subject.as_deref()),
    ] {
        if let Some(value) = value {
            let texts = group.texts(column, &all(&rows))?;
            keep(&mut rows, texts, |text| text.data() == value.as_bytes());
        }
    }
    if let Some(namespaces) = namespaces {
        let texts = group.texts(Column::Namespace, &all(&rows))?;
        let among = |text: ByteArray| namespaces.iter().any(|one| one.as_bytes() == text.data());
        keep(&mut rows, texts, among);
    }
    for (column, value) in [(Column::MatchedRules, rule), (Column::MatchedPolicies, policy)] {
        if let Some(value) = value {
            let lists = group.lists(column, &all(&rows))?;
            let holds = |list: Vec<ByteArray>| list.iter().any(|one| one.data() == value.as_bytes());
            keep(&mut rows, lists, holds);
        }
    }
    if !within && (from_ms.is_some() || to_ms.is_some()) {
        let numbers = group.numbers(Column::Timestamp, &all(&rows))?;
        let inside = |at: i64| from_ms.is_none_or(|from| at >= from) && to_ms.is_none_or(|to| at < to);
        keep(&mut rows, numbers, inside);
    }
    if let Some(below) = asked.below {
        let runs = all(&rows);
        let ids = group.texts(Column::Id, &runs)?;
        let requests = group.texts(Column::RequestId, &runs)?;
        let below = (below.id.to_string(), &below.request_id);
        let before = |(id, request): (ByteArray, ByteArray)| {
            (id.data(), request.data()) < (below.0.as_bytes(), below.1.as_bytes())
        };
        keep(&mut rows, ids.into_iter().zip(requests), before);
    }
    Ok(Some(rows).filter(|rows| !rows.is_empty()))
}

fn keep<T>(rows: &mut Vec<usize>, values: impl IntoIterator<Item = T>, test: impl Fn(T) -> bool) {
    let mut values = values.into_iter();
    rows.retain(|_| values.next().is_some_and(&test));
}

/// The decisions at these places, in the order of the places.
///
/// # Errors
///
/// Those of reading.
pub fn fetch(sources: &[Source], places: &[Place]) -> Result<Vec<DecisionRecord>> {
    let mut by_group: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for place in places {
        by_group
            .entry((place.source, place.group))
            .or_default()
            .push(place.row);
    }
    let lost = || Error::Format("a decision is not where it was".to_owned());
    let mut read: HashMap<Place, DecisionRecord> = HashMap::new();
    for ((source, group), mut rows) in by_group {
        rows.sort_unstable();
        rows.dedup();
        let records = match sources.get(source).ok_or_else(lost)? {
            Source::Memory(records) => rows
                .iter()
                .map(|row| records.get(*row).cloned().ok_or_else(lost))
                .collect::<Result<Vec<_>>>()?,
            Source::File(segment) => segment
                .group(group)
                .records(&runs(&rows))
                .map_err(|error| segment.of_this(error))?,
        };
        for (row, record) in rows.into_iter().zip(records) {
            let place = Place { source, group, row };
            read.insert(place, record);
        }
    }
    places
        .iter()
        .map(|place| read.remove(place).ok_or_else(lost))
        .collect()
}

/// Counts of decisions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// By outcome.
    pub by_decision: BTreeMap<String, u64>,
    /// By rule that fired.
    pub by_rule: HashMap<String, u64>,
    /// Nanoseconds of all together.
    pub duration_ns: f64,
    /// Those from a cache.
    pub cached: u64,
}

impl Tally {
    fn add(&mut self, record: &DecisionRecord) {
        bump(&mut self.by_decision, &record.decision);
        for rule in &record.matched_rules {
            *self.by_rule.entry(rule.clone()).or_default() += 1;
        }
        self.duration(record.duration_ns);
        self.cached += u64::from(record.cached);
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    fn duration(&mut self, ns: u64) {
        self.duration_ns += ns as f64;
    }

    /// Counts the decisions of one source.
    ///
    /// # Errors
    ///
    /// As [`Found::search`].
    pub fn count(&mut self, source: &Source, asked: &Asked<'_>) -> Result<()> {
        asked.go_on()?;
        match source {
            Source::Memory(records) => {
                records
                    .iter()
                    .filter(|record| asked.matches(record))
                    .for_each(|record| self.add(record));
                Ok(())
            }
            Source::File(segment) => {
                for at in 0..segment.groups() {
                    asked.go_on()?;
                    self.count_group(&segment.group(at), asked)
                        .map_err(|error| segment.of_this(error))?;
                }
                Ok(())
            }
        }
    }

    fn count_group(&mut self, group: &Group<'_>, asked: &Asked<'_>) -> Result<()> {
        let Some(rows) = matching(group, asked)? else {
            return Ok(());
        };
        let runs = runs(&rows);
        let not_utf8 = |_| Error::Format("it holds texts that are not UTF-8".to_owned());
        // Few different ones: each is looked at once.
        let mut outcomes: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for text in group.texts(Column::Decision, &runs)? {
            match outcomes.get_mut(text.data()) {
                Some(count) => *count += 1,
                None => drop(outcomes.insert(text.data().to_vec(), 1)),
            }
        }
        for (outcome, count) in outcomes {
            let outcome = String::from_utf8(outcome).map_err(not_utf8)?;
            *self.by_decision.entry(outcome).or_default() += count;
        }
        for list in group.lists(Column::MatchedRules, &runs)? {
            for rule in list {
                let rule = std::str::from_utf8(rule.data())
                    .map_err(|_| Error::Format("it holds texts that are not UTF-8".to_owned()))?;
                match self.by_rule.get_mut(rule) {
                    Some(count) => *count += 1,
                    None => drop(self.by_rule.insert(rule.to_owned(), 1)),
                }
            }
        }
        group
            .durations(&runs)?
            .into_iter()
            .for_each(|ns| self.duration(ns));
        let cached = group.cached(&runs)?;
        self.cached += cached.into_iter().filter(|cached| *cached).count() as u64;
        Ok(())
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}
