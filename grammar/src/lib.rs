//! Surface syntax of policies: YAML and JSON documents with the span of every key and value, the AST they become,
//! diagnostics, and the printer.
//!
//! First stage of the compile-time journey (see `ARCHITECTURE.md`). Parsing never fails as a whole: [`parse_source`]
//! returns what it understood together with every problem it found. Nothing here knows of fields, types or bytecode;
//! that is the business of `policy-compiler`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod codes;
pub mod diagnostic;
pub mod names;
pub mod source;
pub mod text;

mod document;
mod limits;
mod load;
mod span;
mod suggest;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use document::ast;
pub use document::{
    Format, Holds, PATH_PATTERN, ParseOutput, Reviewed, SCHEMA_KEY, Suppressed, Vocabulary,
    duplicate_policy_ids, format_source, holds, imports, json_schema, parse_data, parse_data_with_constants,
    parse_source, parse_source_until, parse_source_with, review, to_json, to_yaml, without_imports,
};
pub use limits::Limits;
pub use load::{Loaded, load_bytes, parse_bytes};
pub use source::{SourceFile, SourceMap};
pub use span::{FileId, Span};
pub use suggest::near;
