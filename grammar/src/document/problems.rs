//! The list of diagnostics of one file, with a ceiling and without repetitions.
//!
//! Every part of the document parser reports here. A value that is used through several aliases is walked several
//! times; its problems are kept once.

use super::constants::Spent;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::source::{FileId, Span};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Asks whether to go on reading.
pub(crate) type Ask = Arc<dyn Fn() -> bool + Send + Sync>;

/// Collects the diagnostics of one file, and knows whether anybody waits for them.
pub(crate) struct Problems {
    file: FileId,
    limit: usize,
    list: Vec<Diagnostic>,
    seen: HashSet<(Code, Span, String)>,
    suppressed: usize,
    errors: usize,
    /// Says that nobody waits; `None` where somebody always does.
    stop: Option<Ask>,
    steps: u32,
    stopped: bool,
    max_pattern_bytes: usize,
    max_pattern_classes: usize,
    /// Classes in the patterns so far.
    pattern_classes: usize,
    /// What stands for the names of constants so far.
    pub(crate) spent: Spent,
    /// Normalised names of the files that documents import, found or not, those that these import included.
    pub(crate) reached: BTreeSet<String>,
    /// What writes imported constants into the text, where somebody wants it: places, and what is to stand there.
    pub(crate) edits: Option<Vec<(Span, String)>>,
}

/// Steps of a reader after which it asks whether to go on. A step takes less than a microsecond.
const STEPS: u32 = 1024;

impl Problems {
    /// For reading that ends when `stop` says so.
    pub(crate) fn new(file: FileId, limits: &Limits, stop: Option<Ask>) -> Self {
        Self {
            max_pattern_bytes: limits.max_pattern_bytes,
            max_pattern_classes: limits.max_pattern_classes,
            pattern_classes: 0,
            spent: Spent::default(),
            reached: BTreeSet::new(),
            edits: None,
            limit: limits.max_diagnostics,
            stop,
            steps: 0,
            stopped: false,
            file,
            list: Vec::new(),
            seen: HashSet::new(),
            suppressed: 0,
            errors: 0,
        }
    }

    /// Adds a diagnostic, unless the same one is there already.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        if diagnostic.is_error() {
            self.errors += 1;
        }
        if self.list.len() >= self.limit {
            self.suppressed += 1;
            return;
        }
        if self.seen.insert((
            diagnostic.code,
            diagnostic.primary.span,
            diagnostic.message.clone(),
        )) {
            self.list.push(diagnostic);
        }
    }

    /// What is wrong with the size of a pattern, which is told before anything is made of it.
    pub(crate) fn pattern(&mut self, pattern: &str, at: Span) -> Option<Diagnostic> {
        let (bytes, limit) = (pattern.len(), self.max_pattern_bytes);
        if bytes > limit {
            return Some(
                Diagnostic::new(
                    Code::LongPattern,
                    at,
                    format!("the pattern has {bytes} bytes, more than the {limit} allowed"),
                )
                .help("use `contains` for words, and several rules for what has nothing in common"),
            );
        }
        // Also counts some that are none, behind a backslash that is escaped itself.
        self.pattern_classes += pattern.matches("\\p").count() + pattern.matches("\\P").count();
        (self.pattern_classes > self.max_pattern_classes).then(|| {
            Diagnostic::new(
                Code::Limit,
                at,
                format!(
                    "the patterns of this file name more than {} classes of characters",
                    self.max_pattern_classes
                ),
            )
            .help("repeat a class with `{…}` instead of writing it again, or split the file")
        })
    }

    /// Whether to stop: asked between things that take a while each.
    pub(crate) fn is_stopped(&mut self) -> bool {
        if let Some(stop) = self.stop.as_ref().filter(|_| !self.stopped) {
            self.stopped = stop();
        }
        self.stopped
    }

    /// As [`Self::is_stopped`], for things that take next to no time: looks at every thousandth.
    pub(crate) fn step(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        if self.stop.is_some() && self.steps.is_multiple_of(STEPS) {
            return self.is_stopped();
        }
        self.stopped
    }

    /// How many errors were reported, repetitions included.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether an error was reported for a place in a range of bytes; yes if some were left out.
    pub(crate) fn has_error_in(&self, start: u32, end: u32) -> bool {
        self.suppressed > 0
            || (self.errors > 0
                && self.list.iter().any(|d| {
                    let at = d.primary.span.start;
                    d.is_error() && start <= at && at <= end
                }))
    }

    /// A span of the file.
    pub(crate) fn span(&self, start: u32, end: u32) -> Span {
        Span::new(self.file, start, end)
    }

    /// All diagnostics in the order of their places.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list
            .sort_by_key(|d| (d.primary.span.start, d.primary.span.end, d.code));
        if self.suppressed > 0 {
            self.list.push(Diagnostic::new(
                Code::Limit,
                Span::new(self.file, 0, 0),
                format!("{} more problems of this file are not shown", self.suppressed),
            ));
        }
        self.list
    }
}
