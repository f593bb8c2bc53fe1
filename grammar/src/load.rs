//! Bytes to source files: the door through which files of unknown encoding come in.
//!
//! A file that is not UTF-8 is still added to the map, with replacement characters, so that the diagnostic can be
//! shown with its line; nothing of it is parsed.

use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::{ParseOutput, parse_source};
use crate::source::{FileId, SourceFile, SourceMap, Span};

/// A file in the map, and what was wrong with its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The file; its text has replacement characters if it was not UTF-8.
    pub file: FileId,
    /// The place at which it stops being UTF-8.
    pub diagnostic: Option<Diagnostic>,
}

/// Adds a file to the map, checking that it is UTF-8.
#[must_use]
pub fn load_bytes(map: &mut SourceMap, name: impl Into<String>, bytes: Vec<u8>) -> Loaded {
    match String::from_utf8(bytes) {
        Ok(text) => Loaded {
            file: map.add(SourceFile::new(name, text)),
            diagnostic: None,
        },
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(valid).copied().unwrap_or(0);
            let wide =
                error.as_bytes().starts_with(&[0xFF, 0xFE]) || error.as_bytes().starts_with(&[0xFE, 0xFF]);
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let file = map.add(SourceFile::new(name, text));
            let start = u32::try_from(valid).unwrap_or(u32::MAX);
            let end =
                start.saturating_add(u32::try_from(char::REPLACEMENT_CHARACTER.len_utf8()).unwrap_or(0));
            let diagnostic = Diagnostic::new(
                Code::NotUtf8,
                Span::new(file, start, end),
                format!("the file is not valid UTF-8: byte 0x{byte:02x} at offset {valid}"),
            )
            .help(if wide {
                "the file looks like UTF-16; save it as UTF-8"
            } else {
                "save the file as UTF-8"
            });
            Loaded {
                file,
                diagnostic: Some(diagnostic),
            }
        }
    }
}

/// Adds a file to the map and parses it; see [`load_bytes`] and [`parse_source`].
#[must_use]
pub fn parse_bytes(map: &mut SourceMap, name: impl Into<String>, bytes: Vec<u8>) -> (FileId, ParseOutput) {
    let loaded = load_bytes(map, name, bytes);
    let output = match loaded.diagnostic {
        None => parse_source(map, loaded.file),
        Some(diagnostic) => ParseOutput {
            policies: Vec::new(),
            imports: Vec::new(),
            diagnostics: vec![diagnostic],
        },
    };
    (loaded.file, output)
}
