//! Diagnostics as plain data: what is wrong, where, and what would help.
//!
//! Rendering (terminal, JSON, SARIF, GitHub annotations) is an adapter in the command line and in the server; nothing
//! here depends on a renderer. Message texts start in lower case, have no final full stop, are one sentence, and put
//! user text in backticks; advice goes into `help`. No text is longer than [`LONGEST`]: what it quotes may be.

use crate::codes::Code;
use crate::source::Span;

/// Bytes of one text of a diagnostic; more is cut and ends in `…`.
pub const LONGEST: usize = 2000;

fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST - '…'.len_utf8()));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Compiles, but is probably not what was meant.
    Warning,
    /// Does not compile.
    Error,
    /// Our fault: an internal error that asks for a report.
    Bug,
}

impl Severity {
    /// Lower-case name, as printed and as used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Bug => "bug",
        }
    }
}

/// A place with a note about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Bytes in the file that the note is about.
    pub span: Span,
    /// What is to be seen there; may be empty.
    pub message: String,
}

/// A replacement that would mend the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What to replace.
    pub span: Span,
    /// The text that replaces it; empty removes it.
    pub replacement: String,
}

/// One problem of a file, with its place and advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, never reused.
    pub code: Code,
    /// Usually the code's own severity.
    pub severity: Severity,
    /// One sentence that starts in lower case and has no full stop.
    pub message: String,
    /// The place to underline.
    pub primary: Label,
    /// Further places that belong to the problem, in any file.
    pub secondary: Vec<Label>,
    /// Advice, one sentence each.
    pub help: Vec<String>,
    /// A machine-applicable replacement, where one is near.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A diagnostic of `code` at `span`, with the code's own severity.
    #[must_use]
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: bounded(message.into()),
            primary: Label {
                span,
                message: String::new(),
            },
            secondary: Vec::new(),
            help: Vec::new(),
            fix: None,
        }
    }

    /// Adds a note under the primary place.
    #[must_use]
    pub fn label(mut self, message: impl Into<String>) -> Self {
        self.primary.message = bounded(message.into());
        self
    }

    /// Adds a further place.
    #[must_use]
    pub fn also(mut self, span: Span, message: impl Into<String>) -> Self {
        self.secondary.push(Label {
            span,
            message: bounded(message.into()),
        });
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn help(mut self, message: impl Into<String>) -> Self {
        self.help.push(bounded(message.into()));
        self
    }

    /// Adds a machine-applicable replacement.
    #[must_use]
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix {
            span,
            replacement: replacement.into(),
        });
        self
    }

    /// Whether it stops compilation.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity >= Severity::Error
    }
}
