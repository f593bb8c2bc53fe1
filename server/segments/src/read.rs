//! One file, read: its metadata once, then columns of row groups, whole or some rows of them.

use crate::record::{DecisionId, DecisionRecord};
use crate::schema::{self, Column};
use crate::{Error, Result};
use bytes::{Buf as _, Bytes};
use parquet::bloom_filter::Sbbf;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length, RowGroupReader as _};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Bytes that can be read at any place: a file, or an object in a bucket.
pub trait ReadAt: fmt::Debug + Send + Sync {
    /// How many there are.
    fn length(&self) -> u64;

    /// These bytes, all of them.
    ///
    /// # Errors
    ///
    /// Those of the disk or the network; [`io::ErrorKind::UnexpectedEof`] beyond the end.
    fn read_at(&self, from: u64, length: usize) -> io::Result<Bytes>;
}

impl ReadAt for Bytes {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, from: u64, length: usize) -> io::Result<Bytes> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let range = from.checked_add(length).map(|to| from..to);
        match range.filter(|range| range.end <= self.len()) {
            Some(range) => Ok(self.slice(range)),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What the reader of Parquet reads from.
#[derive(Debug, Clone)]
struct Input(Arc<dyn ReadAt>);

/// An error of the input. Those that decoders make of what they read are errors of I/O as well, and mean that it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unread(io::Error);

impl Unread {
    /// What an error is that came through the reader of Parquet.
    pub(crate) fn find(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
        let error = match error.downcast::<io::Error>() {
            Ok(error) if error.get_ref().is_some_and(|inner| inner.is::<Self>()) => {
                match error.into_inner() {
                    Some(inner) => inner,
                    None => return Error::Format("it is damaged".to_owned()),
                }
            }
            Ok(error) => error,
            Err(other) => other,
        };
        match error.downcast::<Self>() {
            Ok(unread) => Error::Io(unread.0),
            Err(other) => Error::Format(other.to_string()),
        }
    }
}

/// Read ahead by those who do not say how much they need.
const AHEAD: usize = 64 << 10;

impl Length for Input {
    fn len(&self) -> u64 {
        self.0.length()
    }
}

impl ChunkReader for Input {
    type T = Ahead;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Ahead> {
        Ok(Ahead {
            input: self.clone(),
            at: start,
            read: Bytes::new(),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let read = self.0.read_at(start, length);
        read.map_err(|error| parquet::errors::ParquetError::External(Box::new(Unread(error))))
    }
}

/// Bytes in their order, from some place on.
struct Ahead {
    input: Input,
    at: u64,
    read: Bytes,
}

impl Read for Ahead {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.read.is_empty() {
            let left = self.input.len().saturating_sub(self.at);
            let length = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(AHEAD.max(to.len()));
            let read = self.input.0.read_at(self.at, length);
            self.read = read.map_err(|error| io::Error::new(error.kind(), Unread(error)))?;
            self.at += length as u64;
        }
        let length = to.len().min(self.read.len());
        if let Some(to) = to.get_mut(..length) {
            self.read.copy_to_slice(to);
        }
        Ok(length)
    }
}

/// A file of decisions.
#[derive(Debug, Clone)]
pub struct Segment {
    input: Arc<Input>,
    metadata: Arc<ParquetMetaData>,
    ids: (DecisionId, DecisionId),
    /// What errors call it.
    name: Option<Arc<str>>,
}

/// Work of the reader of Parquet, which trusts its files more than we do.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Format("it is damaged".to_owned())))
}

impl Segment {
    /// Reads what a file says of itself.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Format`] where it is no file of decisions.
    pub fn open(input: Arc<dyn ReadAt>) -> Result<Self> {
        let input = Input(input);
        guarded(|| {
            let metadata = ParquetMetaDataReader::new()
                .with_column_index_policy(PageIndexPolicy::Skip)
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .parse_and_finish(&input)?;
            schema::check(metadata.file_metadata().schema_descr())?;
            let groups = metadata.row_groups();
            let id = |group: Option<&RowGroupMetaData>, last: bool| -> Option<DecisionId> {
                let statistics = group?.column(Column::Id as usize).statistics()?;
                let bytes = match last {
                    true => statistics.max_bytes_opt(),
                    false => statistics.min_bytes_opt(),
                };
                std::str::from_utf8(bytes?).ok()?.parse().ok()
            };
            let ids = id(groups.first(), false).zip(id(groups.last(), true));
            let ids =
                ids.ok_or_else(|| Error::Format("it does not say which decisions it holds".to_owned()))?;
            Ok(Self {
                input: Arc::new(input),
                metadata: Arc::new(metadata),
                ids,
                name: None,
            })
        })
    }

    /// The same, with a name that [`Error::Format`] of reading it begins with.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    /// An error, with the name.
    pub(crate) fn of_this(&self, error: Error) -> Error {
        match (&self.name, error) {
            (Some(name), Error::Format(why)) => Error::Format(format!("{name}: {why}")),
            (_, other) => other,
        }
    }

    /// The first and the last id in it.
    #[must_use]
    pub fn ids(&self) -> (DecisionId, DecisionId) {
        self.ids
    }

    /// How many decisions it holds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.file_metadata().num_rows()).unwrap_or(0)
    }

    /// Row groups.
    pub(crate) fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// A row group, in the order of its rows.
    pub(crate) fn group(&self, at: usize) -> Group<'_> {
        Group { segment: self, at }
    }
}

/// A row group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'s> {
    segment: &'s Segment,
    at: usize,
}

/// Values of a column, with the levels that say where they belong.
struct Values<T> {
    values: Vec<T>,
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

impl Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.segment.metadata.row_group(self.at)
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> Result<usize> {
        usize::try_from(self.metadata().num_rows()).map_err(|_| Error::Format("it is damaged".to_owned()))
    }

    /// Least and greatest value of a column of numbers, where they are known.
    pub(crate) fn bounds(&self, column: Column) -> Option<(i64, i64)> {
        let statistics = self.metadata().column(column as usize).statistics()?;
        let number = |bytes: Option<&[u8]>| Some(i64::from_le_bytes(bytes?.try_into().ok()?));
        Some((
            number(statistics.min_bytes_opt())?,
            number(statistics.max_bytes_opt())?,
        ))
    }

    /// The greatest id in it.
    pub(crate) fn last_id(&self) -> Option<DecisionId> {
        let statistics = self.metadata().column(Column::Id as usize).statistics()?;
        std::str::from_utf8(statistics.max_bytes_opt()?)
            .ok()?
            .parse()
            .ok()
    }

    /// Whether a column may hold one of these values. Where there is no filter, it may.
    pub(crate) fn may_hold<'v>(
        &self,
        column: Column,
        mut values: impl Iterator<Item = &'v str>,
    ) -> Result<bool> {
        guarded(|| {
            let chunk = self.metadata().column(column as usize);
            let filter = Sbbf::read_from_column_chunk(chunk, self.segment.input.as_ref())?;
            Ok(filter.is_none_or(|filter| values.any(|value| filter.check(value.as_bytes()))))
        })
    }

    fn read<T: DataType>(&self, column: Column, runs: &[Range<usize>]) -> Result<Values<T::T>> {
        guarded(|| {
            let group = SerializedRowGroupReader::new(
                Arc::clone(&self.segment.input),
                self.metadata(),
                self.segment.metadata.page_index_for_row_group(self.at),
                Arc::new(ReaderProperties::builder().build()),
            )?;
            let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column as usize)?);
            let mut values = Values {
                values: Vec::new(),
                defined: Vec::new(),
                repeated: Vec::new(),
            };
            let short = || Error::Format("it has fewer rows than it says".to_owned());
            let mut at = 0;
            for run in runs {
                let gap = run.start - at;
                if gap > 0 && reader.skip_records(gap)? != gap {
                    return Err(short());
                }
                let mut wanted = run.len();
                while wanted > 0 {
                    let (read, _, _) = reader.read_records(
                        wanted,
                        Some(&mut values.defined),
                        Some(&mut values.repeated),
                        &mut values.values,
                    )?;
                    if read == 0 {
                        return Err(short());
                    }
                    wanted -= read;
                }
                at = run.end;
            }
            Ok(values)
        })
    }

    /// Values of a column that every row has.
    fn each<T: DataType>(&self, column: Column, runs: &[Range<usize>]) -> Result<Vec<T::T>> {
        Ok(self.read::<T>(column, runs)?.values)
    }

    /// Numbers of these rows.
    pub(crate) fn numbers(&self, column: Column, runs: &[Range<usize>]) -> Result<Vec<i64>> {
        self.each::<Int64Type>(column, runs)
    }

    /// Texts of these rows.
    pub(crate) fn texts(&self, column: Column, runs: &[Range<usize>]) -> Result<Vec<ByteArray>> {
        self.each::<ByteArrayType>(column, runs)
    }

    /// How long these decisions took, in nanoseconds.
    pub(crate) fn durations(&self, runs: &[Range<usize>]) -> Result<Vec<u64>> {
        let times = self.each::<DoubleType>(Column::EvaluationTime, runs)?;
        Ok(times.into_iter().map(nanoseconds).collect())
    }

    /// Which of these came from a cache.
    pub(crate) fn cached(&self, runs: &[Range<usize>]) -> Result<Vec<bool>> {
        self.each::<BoolType>(Column::Cached, runs)
    }

    /// Texts that not every row has.
    fn optional(&self, column: Column, runs: &[Range<usize>]) -> Result<Vec<Option<String>>> {
        let read = self.read::<ByteArrayType>(column, runs)?;
        let mut values = read.values.iter();
        let of = |defined: i16| match defined {
            0 => Ok(None),
            _ => string(values.next()).map(Some),
        };
        read.defined.into_iter().map(of).collect()
    }

    /// Lists of texts of these rows.
    pub(crate) fn lists(&self, column: Column, runs: &[Range<usize>]) -> Result<Vec<Vec<ByteArray>>> {
        let read = self.read::<ByteArrayType>(column, runs)?;
        let mut values = read.values.into_iter();
        let mut lists: Vec<Vec<ByteArray>> = Vec::new();
        for (defined, repeated) in read.defined.into_iter().zip(read.repeated) {
            if repeated == 0 {
                lists.push(Vec::new());
            }
            if defined > 0 {
                let value = values.next();
                let list = lists.last_mut().zip(value);
                let (list, value) = list.ok_or_else(|| Error::Format("it is damaged".to_owned()))?;
                list.push(value);
            }
        }
        Ok(lists)
    }

    /// These rows, whole.
    pub(crate) fn records(&self, runs: &[Range<usize>]) -> Result<Vec<DecisionRecord>> {
        let mut ids = self.texts(Column::Id, runs)?.into_iter();
        let mut times = self.numbers(Column::Timestamp, runs)?.into_iter();
        let mut requests = self.texts(Column::RequestId, runs)?.into_iter();
        let mut namespaces = self.texts(Column::Namespace, runs)?.into_iter();
        let mut subjects = self.texts(Column::Subject, runs)?.into_iter();
        let mut decisions = self.texts(Column::Decision, runs)?.into_iter();
        let mut reasons = self.optional(Column::Reason, runs)?.into_iter();
        let mut rules = self.lists(Column::MatchedRules, runs)?.into_iter();
        let mut policies = self.lists(Column::MatchedPolicies, runs)?.into_iter();
        let mut errors = self.numbers(Column::Errors, runs)?.into_iter();
        let mut revisions = self.texts(Column::Revision, runs)?.into_iter();
        let mut durations = self.durations(runs)?.into_iter();
        let mut cached = self.cached(runs)?.into_iter();
        let mut contexts = self.optional(Column::Context, runs)?.into_iter();
        let short = || Error::Format("its columns differ in length".to_owned());
        let id = |text: ByteArray| -> Result<DecisionId> {
            let id = std::str::from_utf8(text.data())
                .ok()
                .and_then(|text| text.parse().ok());
            id.ok_or_else(|| Error::Format("it holds a decision without an id".to_owned()))
        };
        let list = |list: Vec<ByteArray>| -> Result<Vec<String>> {
            list.iter().map(|text| string(Some(text))).collect()
        };
        (0..runs.iter().map(Range::len).sum())
            .map(|_| {
                Ok(DecisionRecord {
                    seq: 0,
                    id: Some(id(ids.next().ok_or_else(short)?)?),
                    at_ms: times.next().ok_or_else(short)?,
                    request_id: string(requests.next().as_ref())?,
                    namespace: string(namespaces.next().as_ref())?,
                    subject: string(subjects.next().as_ref())?,
                    decision: string(decisions.next().as_ref())?,
                    reason: reasons.next().ok_or_else(short)?,
                    matched_rules: list(rules.next().ok_or_else(short)?)?,
                    matched_policies: list(policies.next().ok_or_else(short)?)?,
                    errors: u32::try_from(errors.next().ok_or_else(short)?).unwrap_or(u32::MAX),
                    revision: string(revisions.next().as_ref())?,
                    duration_ns: durations.next().ok_or_else(short)?,
                    cached: cached.next().ok_or_else(short)?,
                    context: contexts.next().ok_or_else(short)?,
                })
            })
            .collect()
    }
}

fn string(text: Option<&ByteArray>) -> Result<String> {
    let text = text.ok_or_else(|| Error::Format("its columns differ in length".to_owned()))?;
    match std::str::from_utf8(text.data()) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Error::Format("it holds texts that are not UTF-8".to_owned())),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is never negative"
)]
fn nanoseconds(milliseconds: f64) -> u64 {
    (milliseconds * 1e6).round() as u64
}
