//! The columns of a segment.
//!
//! A change of them is a new version of the files: [`check`] takes only this one.

use crate::{Error, Result};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, SchemaDescriptor, TypePtr};
use std::sync::Arc;

/// As a line of the decision log calls them.
const SCHEMA: &str = "
message decision {
  required binary id (STRING);
  required int64 timestamp (TIMESTAMP(MILLIS,true));
  required binary requestId (STRING);
  required binary namespace (STRING);
  required binary subject (STRING);
  required binary decision (STRING);
  optional binary reason (STRING);
  required group matchedRules (LIST) { repeated group list { required binary element (STRING); } }
  required group matchedPolicies (LIST) { repeated group list { required binary element (STRING); } }
  required int64 errors;
  required binary revision (STRING);
  required double evaluationTimeMs;
  required boolean cached;
  optional binary context (STRING);
}";

/// A column, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Column {
    Id,
    Timestamp,
    RequestId,
    Namespace,
    Subject,
    Decision,
    Reason,
    MatchedRules,
    MatchedPolicies,
    Errors,
    Revision,
    EvaluationTime,
    Cached,
    Context,
}

/// Paths of the columns, in their order.
const PATHS: [&[&str]; 14] = [
    &["id"],
    &["timestamp"],
    &["requestId"],
    &["namespace"],
    &["subject"],
    &["decision"],
    &["reason"],
    &["matchedRules", "list", "element"],
    &["matchedPolicies", "list", "element"],
    &["errors"],
    &["revision"],
    &["evaluationTimeMs"],
    &["cached"],
    &["context"],
];

/// Bytes of a page, before it is compressed: what is read for one context.
const PAGE: usize = 64 << 10;

fn path(column: Column) -> ColumnPath {
    ColumnPath::new(
        PATHS
            .get(column as usize)
            .into_iter()
            .flat_map(|path| path.iter().map(|part| (*part).to_owned()))
            .collect(),
    )
}

pub(crate) fn schema() -> Result<TypePtr> {
    Ok(Arc::new(parse_message_type(SCHEMA)?))
}

/// How files are written.
pub(crate) fn properties() -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("llm-policy-engine ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(true)
        .set_data_page_size_limit(PAGE)
        .set_data_page_row_count_limit(4096)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(path(Column::Context), EnabledStatistics::None)
        .set_column_statistics_enabled(path(Column::Reason), EnabledStatistics::None)
        .set_column_dictionary_enabled(path(Column::EvaluationTime), false)
        .set_column_dictionary_enabled(path(Column::Timestamp), false)
        .set_column_encoding(path(Column::Timestamp), Encoding::DELTA_BINARY_PACKED);
    // Different in every row.
    for column in [Column::Id, Column::RequestId] {
        properties = properties
            .set_column_dictionary_enabled(path(column), false)
            .set_column_encoding(path(column), Encoding::DELTA_BYTE_ARRAY);
    }
    properties = properties.set_column_dictionary_enabled(path(Column::Context), false);
    for column in SEARCHED {
        properties = properties
            .set_column_bloom_filter_enabled(path(column), true)
            .set_column_bloom_filter_fpp(path(column), 0.01);
    }
    Ok(properties.build())
}

/// Columns with a Bloom filter.
pub(crate) const SEARCHED: [Column; 5] = [
    Column::RequestId,
    Column::Namespace,
    Column::Subject,
    Column::MatchedRules,
    Column::MatchedPolicies,
];

/// Whether a file has these columns.
pub(crate) fn check(found: &SchemaDescriptor) -> Result<()> {
    let expected = SchemaDescriptor::new(schema()?);
    let same = found.num_columns() == expected.num_columns()
        && (0..expected.num_columns()).all(|at| {
            let (found, expected) = (found.column(at), expected.column(at));
            found.path() == expected.path()
                && found.physical_type() == expected.physical_type()
                && found.max_def_level() == expected.max_def_level()
                && found.max_rep_level() == expected.max_rep_level()
        });
    match same {
        true => Ok(()),
        false => Err(Error::Format(
            "it has not the columns of decisions of this version".to_owned(),
        )),
    }
}
