//! `--schema`: what the caller knows about the context beyond the known fields, as a subset of JSON Schema.
//!
//! Read: `type` (a name or a list of names), `properties`, `additionalProperties` (`false` closes an object), `items`,
//! `enum`. Annotations (`title`, `description`, `$schema`, `required` …) are ignored, everything else is refused, so
//! that nobody believes a constraint to be checked that is not. Used by field resolution and by the type checks; the
//! known context fields keep their own types.

use crate::types::TypeSet;
use policy_grammar::ast::{FieldPath, Segment};
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, Span};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Keys that say nothing about types.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "required",
    "deprecated",
    "format",
];
const MAX_DEPTH: usize = 64;

/// A schema of the context.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextSchema {
    root: Node,
}

/// What is known about one place of the context.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) types: TypeSet,
    pub(crate) properties: BTreeMap<String, Node>,
    /// No other properties.
    pub(crate) closed: bool,
    pub(crate) items: Option<Box<Node>>,
    /// The only strings it can be, when that is known.
    pub(crate) strings: Option<Vec<String>>,
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// JSON pointer of the place, empty for the whole document.
    pub pointer: String,
    /// One sentence in the style of diagnostics.
    pub message: String,
}

impl SchemaError {
    /// As a diagnostic at `span`.
    #[must_use]
    pub fn diagnostic(&self, span: Span) -> Diagnostic {
        Diagnostic::new(Code::SchemaInvalid, span, self.to_string())
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            write!(f, "the context schema cannot be used: {}", self.message)
        } else {
            write!(
                f,
                "the context schema cannot be used: {} at `{}`",
                self.message, self.pointer
            )
        }
    }
}

impl std::error::Error for SchemaError {}

/// What a schema says about a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lookup<'a> {
    /// Described.
    Known(&'a Node),
    /// Not described, and the schema leaves room for it.
    Open,
    /// Ruled out: the object before it has no such key. The names of the keys it has.
    Absent(&'a Node),
}

impl ContextSchema {
    /// Reads a schema from JSON text.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when the text is not JSON, or the schema uses what is not supported.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let value: Value = serde_json::from_str(text).map_err(|e| SchemaError {
            pointer: String::new(),
            message: format!("it is not JSON ({e})"),
        })?;
        Ok(Self {
            root: node(&value, "", 0)?,
        })
    }

    pub(crate) fn lookup(&self, path: &FieldPath) -> Lookup<'_> {
        let mut at = &self.root;
        for segment in &path.segments {
            let next = match segment {
                Segment::Key(key) => at.properties.get(key.as_str()),
                Segment::Index(n) => at
                    .items
                    .as_deref()
                    .or_else(|| at.properties.get(n.to_string().as_str())),
                Segment::FromEnd(_) => at.items.as_deref(),
            };
            match next {
                Some(next) => at = next,
                None if at.closed && matches!(segment, Segment::Key(_)) => return Lookup::Absent(at),
                None => return Lookup::Open,
            }
        }
        Lookup::Known(at)
    }
}

fn node(value: &Value, pointer: &str, depth: usize) -> Result<Node, SchemaError> {
    let fail = |message: String| {
        Err(SchemaError {
            pointer: pointer.to_owned(),
            message,
        })
    };
    if depth > MAX_DEPTH {
        return fail(format!("it nests deeper than {MAX_DEPTH} levels"));
    }
    let mut out = Node {
        types: TypeSet::ANY,
        properties: BTreeMap::new(),
        closed: false,
        items: None,
        strings: None,
    };
    let members = match value {
        Value::Bool(true) => return Ok(out),
        Value::Object(members) => members,
        Value::Null | Value::Bool(false) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return fail("expected an object".to_owned());
        }
    };
    for (key, value) in members {
        match (key.as_str(), value) {
            ("type", Value::String(name)) => out.types = named(name, pointer)?,
            ("type", Value::Array(names)) => {
                out.types = TypeSet::NONE;
                for name in names {
                    let Value::String(name) = name else {
                        return fail("`type` takes names of types".to_owned());
                    };
                    out.types = out.types.union(named(name, pointer)?);
                }
            }
            ("properties", Value::Object(properties)) => {
                for (name, value) in properties {
                    let place = format!(
                        "{pointer}/properties/{}",
                        name.replace('~', "~0").replace('/', "~1")
                    );
                    out.properties
                        .insert(name.clone(), node(value, &place, depth + 1)?);
                }
            }
            ("additionalProperties", Value::Bool(open)) => out.closed = !open,
            ("items", items) => {
                out.items = Some(Box::new(node(items, &format!("{pointer}/items"), depth + 1)?));
            }
            ("enum", Value::Array(values)) => {
                out.strings = values
                    .iter()
                    .map(|v| v.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>();
            }
            (key, _) if ANNOTATIONS.contains(&key) => {}
            (key @ ("type" | "properties" | "additionalProperties" | "enum"), _) => {
                return fail(format!("`{key}` has a value of the wrong type"));
            }
            (key, _) => return fail(format!("`{key}` is not supported")),
        }
    }
    Ok(out)
}

fn named(name: &str, pointer: &str) -> Result<TypeSet, SchemaError> {
    TypeSet::of_schema_name(name).ok_or_else(|| SchemaError {
        pointer: pointer.to_owned(),
        message: format!("`{name}` is not a type"),
    })
}
