//! Records to a file.

use crate::record::{DecisionRecord, Key};
use crate::schema::{self, Column};
use crate::{Error, Result};
use bytes::BytesMut;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

/// Rows of a group at most: what is looked through when statistics and filters rule it in.
const ROWS: usize = 32 << 10;

/// Bytes of contexts and reasons of a group, about, before they are compressed.
const BYTES: usize = 16 << 20;

/// Writes decisions, in the order of their keys, each key once; gives `out` back.
///
/// # Errors
///
/// [`Error::Io`], and [`Error::Format`] where the decisions are not in order.
pub fn write<W: Write + Send>(records: &[DecisionRecord], out: W) -> Result<W> {
    let in_order = records
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if Key::of(a) < Key::of(b)));
    if !in_order {
        return Err(Error::Format("the decisions are not in their order".to_owned()));
    }
    let properties = Arc::new(schema::properties()?);
    let mut file = SerializedFileWriter::new(out, schema::schema()?, properties)?;
    let mut texts = Texts::default();
    let mut rest = records;
    while !rest.is_empty() {
        let (group, after) = rest.split_at(group(rest));
        let mut writer = file.next_row_group()?;
        write_group(&mut writer, group, &mut texts)?;
        writer.close()?;
        rest = after;
    }
    Ok(file.into_inner()?)
}

/// How many of the records make the next group: one at least.
fn group(records: &[DecisionRecord]) -> usize {
    let mut bytes = 0;
    let full = records.iter().take(ROWS).position(|record| {
        let fits = bytes < BYTES;
        bytes += text(record.context.as_ref()) + text(record.reason.as_ref());
        !fits
    });
    full.unwrap_or(records.len().min(ROWS))
}

fn text(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn write_group<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    records: &[DecisionRecord],
    texts: &mut Texts,
) -> Result<()> {
    use Column as C;
    let columns = [
        C::Id,
        C::Timestamp,
        C::RequestId,
        C::Namespace,
        C::Subject,
        C::Decision,
        C::Reason,
        C::MatchedRules,
        C::MatchedPolicies,
        C::Errors,
        C::Revision,
        C::EvaluationTime,
        C::Cached,
        C::Context,
    ];
    for column in columns {
        match column {
            C::Id => ids(group, records, texts)?,
            C::Timestamp => each::<Int64Type, W>(group, records, |r| r.at_ms)?,
            C::RequestId => strings(group, records, texts, |r| &r.request_id)?,
            C::Namespace => strings(group, records, texts, |r| &r.namespace)?,
            C::Subject => strings(group, records, texts, |r| &r.subject)?,
            C::Decision => strings(group, records, texts, |r| &r.decision)?,
            C::Reason => optional(group, records, texts, |r| r.reason.as_ref())?,
            C::MatchedRules => lists(group, records, texts, |r| &r.matched_rules)?,
            C::MatchedPolicies => lists(group, records, texts, |r| &r.matched_policies)?,
            C::Errors => each::<Int64Type, W>(group, records, |r| i64::from(r.errors))?,
            C::Revision => strings(group, records, texts, |r| &r.revision)?,
            C::EvaluationTime => each::<DoubleType, W>(group, records, |r| milliseconds(r.duration_ns))?,
            C::Cached => each::<BoolType, W>(group, records, |r| r.cached)?,
            C::Context => optional(group, records, texts, |r| r.context.as_ref())?,
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact for evaluations of less than ten days"
)]
fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    defined: Option<&[i16]>,
    repeated: Option<&[i16]>,
) -> Result<()> {
    let Some(mut column) = group.next_column()? else {
        return Err(Error::Format(
            "the file has fewer columns than a decision".to_owned(),
        ));
    };
    column.typed::<T>().write_batch(values, defined, repeated)?;
    Ok(column.close()?)
}

fn each<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    records: &[DecisionRecord],
    value: impl Fn(&DecisionRecord) -> T::T,
) -> Result<()> {
    let values: Vec<_> = records.iter().map(value).collect();
    column::<T, W>(group, &values, None, None)
}

/// Texts of a column, in one piece of memory, which the next column gets once they are written.
#[derive(Default)]
struct Texts {
    bytes: BytesMut,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end();
    }

    /// Ends a text whose bytes are there.
    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn take(&mut self) -> Vec<ByteArray> {
        let bytes = self.bytes.split().freeze();
        let mut from = 0;
        let slice = |end: usize| ByteArray::from(bytes.slice(std::mem::replace(&mut from, end)..end));
        self.ends.drain(..).map(slice).collect()
    }
}

fn ids<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    records: &[DecisionRecord],
    texts: &mut Texts,
) -> Result<()> {
    for record in records {
        // Writing to memory does not fail.
        write!(texts.bytes, "{}", record.id()).map_err(|error| Error::Format(error.to_string()))?;
        texts.end();
    }
    column::<ByteArrayType, W>(group, &texts.take(), None, None)
}

fn strings<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    records: &[DecisionRecord],
    texts: &mut Texts,
    value: impl Fn(&DecisionRecord) -> &String,
) -> Result<()> {
    records.iter().for_each(|record| texts.push(value(record)));
    column::<ByteArrayType, W>(group, &texts.take(), None, None)
}

fn optional<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    records: &[DecisionRecord],
    texts: &mut Texts,
    value: impl Fn(&DecisionRecord) -> Option<&String>,
) -> Result<()> {
    let mut defined = Vec::with_capacity(records.len());
    for record in records {
        let text = value(record);
        defined.push(i16::from(text.is_some()));
        text.into_iter().for_each(|text| texts.push(text));
    }
    column::<ByteArrayType, W>(group, &texts.take(), Some(&defined), None)
}

fn lists<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    records: &[DecisionRecord],
    texts: &mut Texts,
    value: impl Fn(&DecisionRecord) -> &Vec<String>,
) -> Result<()> {
    let (mut defined, mut repeated) = (Vec::new(), Vec::new());
    for record in records {
        let list = value(record);
        if list.is_empty() {
            defined.push(0);
            repeated.push(0);
        }
        for (at, text) in list.iter().enumerate() {
            defined.push(1);
            repeated.push(i16::from(at > 0));
            texts.push(text);
        }
    }
    column::<ByteArrayType, W>(group, &texts.take(), Some(&defined), Some(&repeated))
}
