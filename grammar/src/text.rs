//! The small languages inside strings: field paths, templates and patterns.
//!
//! They are the same whatever language a policy is written in. Nothing here knows of documents, spans or fields: places are
//! byte offsets into the text at hand.

pub mod path;
pub mod pattern;
pub mod template;
