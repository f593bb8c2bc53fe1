//! Surface syntax of policies: YAML and JSON documents with the span of every key and value, the AST they become,
//! diagnostics, and the printer.
//!
//! First stage of the compile-time journey (see `ARCHITECTURE.md`). Parsing never fails as a whole: [`parse_source`]
//! returns what it understood together with every problem it found. Nothing here knows of fields, types or bytecode;
//! that is the business of `policy-compiler`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ast;
pub mod codes;
pub mod diagnostic;
pub mod source;

mod document;
mod format;
mod limits;
mod load;
pub mod names;
mod number;
pub mod path;
mod print;
pub mod regex;
mod schema;
mod spans;
mod suppress;
pub mod template;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use document::{
    Format, Holds, ParseOutput, duplicate_policy_ids, holds, imports, near, parse_data,
    parse_data_with_constants, parse_source, parse_source_until, parse_source_with, without_imports,
};
pub use format::format_source;
pub use limits::Limits;
pub use load::{Loaded, load_bytes, parse_bytes};
pub use print::{to_json, to_yaml};
pub use schema::{PATH_PATTERN, SCHEMA_KEY, Vocabulary, json_schema};
pub use source::{FileId, SourceFile, SourceMap, Span};
pub use suppress::{Reviewed, Suppressed, review};
