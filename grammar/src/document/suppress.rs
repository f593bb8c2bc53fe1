//! Comments that allow one warning at one place: `# policyc: allow W0112 -- the gateway sends one spelling`.
//!
//! A comment at the end of a line speaks of that line; one on a line of its own of the next line that holds anything but
//! comments. Several codes are separated by commas. The reason is required, and only warnings can be allowed: what would
//! have no effect is a warning itself, and so is an allowed warning that is not there. JSON has no comments, so that
//! nothing can be allowed in it.

use crate::codes::Code;
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Format;
use crate::source::{FileId, SourceFile, SourceMap, Span};
use granit_parser::{Event, Parser};

/// What a comment for us begins with.
const MARK: &str = "policyc:";

/// Diagnostics about comments of all files together at most.
const MOST: usize = 200;

/// Whether a comment is for us.
pub(crate) fn is_instruction(comment: &str) -> bool {
    comment.trim_start_matches('#').trim_start().starts_with(MARK)
}

/// A warning that is allowed where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressed {
    /// The warning, as it would have been reported.
    pub diagnostic: Diagnostic,
    /// Why it is allowed.
    pub reason: String,
}

/// Diagnostics, parted by the comments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// Those that are left, and those of the comments.
    pub diagnostics: Vec<Diagnostic>,
    /// Those that are allowed.
    pub suppressed: Vec<Suppressed>,
}

/// One code of one comment.
struct Allowance {
    code: Code,
    span: Span,
    file: FileId,
    line: u32,
    reason: String,
    used: bool,
}

/// Parts diagnostics by the comments of the files in `map`. `looked_for` says of which codes it is known that every
/// warning is among the diagnostics: where an allowed one is not, the comment is of no use, and that is a warning.
#[must_use]
pub fn review(map: &SourceMap, diagnostics: Vec<Diagnostic>, looked_for: impl Fn(Code) -> bool) -> Reviewed {
    let mut allowances = Vec::new();
    let mut reviewed = Reviewed::default();
    let mut problems = Vec::new();
    for (id, file) in map.iter() {
        if file.text().contains(MARK) && Format::of(file) == Format::Yaml {
            read(id, file, &mut allowances, &mut problems);
        }
    }
    if allowances.is_empty() && problems.is_empty() {
        reviewed.diagnostics = diagnostics;
        return reviewed;
    }
    // With an error, not everything was looked at.
    let complete = !diagnostics.iter().any(Diagnostic::is_error);
    for diagnostic in diagnostics {
        let at = diagnostic.primary.span;
        let line = map.file(at.file).map(|file| file.line_column(at.start).0);
        let allowance = allowances
            .iter_mut()
            .find(|a| a.code == diagnostic.code && a.file == at.file && Some(a.line) == line);
        match allowance {
            Some(allowance) if diagnostic.severity == Severity::Warning => {
                allowance.used = true;
                reviewed.suppressed.push(Suppressed {
                    diagnostic,
                    reason: allowance.reason.clone(),
                });
            }
            Some(_) | None => reviewed.diagnostics.push(diagnostic),
        }
    }
    for allowance in allowances {
        if complete && !allowance.used && looked_for(allowance.code) {
            let code = allowance.code.as_str();
            problems.push(
                Diagnostic::new(
                    Code::UnusedSuppression,
                    allowance.span,
                    format!("there is no warning {code} on line {} to allow", allowance.line),
                )
                .help("remove the comment; it stands at the end of the line of the warning, or on the line above"),
            );
        }
    }
    problems.truncate(MOST);
    reviewed.diagnostics.extend(problems);
    reviewed.diagnostics.sort_by_key(|d| (d.primary.span, d.code));
    reviewed
}

/// The comments of a file, as far as it can be read.
fn read(id: FileId, file: &SourceFile, allowances: &mut Vec<Allowance>, problems: &mut Vec<Diagnostic>) {
    let text = file.text();
    let options = granit_parser::options! { max_buffered_comment_events: usize::MAX };
    let mut comments: Vec<(usize, usize)> = Parser::new_from_str_with_options(text, options)
        .map_while(Result::ok)
        .filter(|(event, _)| matches!(event, Event::Comment(..)))
        .filter_map(|(_, span)| span.byte_range())
        .map(|range| (range.start, range.end))
        .collect();
    comments.sort_unstable();
    comments.dedup();
    let contents = contents(text);
    for (start, end) in comments {
        let Some(written) = text.get(start..end) else {
            continue;
        };
        let body = written.trim_start_matches('#').trim_start();
        let Some(instruction) = body.strip_prefix(MARK) else {
            continue;
        };
        let at = |from: usize, length: usize| Span::new(id, offset(from), offset(from + length));
        let whole = at(start, written.trim_end().len());
        let bad = |message: &str| {
            Diagnostic::new(Code::BadSuppression, whole, message)
                .help("write `# policyc: allow W0112 -- reason`, with the codes to allow and why")
        };
        let Some(rest) = instruction.trim_start().strip_prefix("allow") else {
            problems.push(bad("this comment is no instruction: only `allow` is known"));
            continue;
        };
        let (codes, reason) = match rest.split_once("--") {
            Some((codes, reason)) if !reason.trim().is_empty() => (codes, reason.trim()),
            Some(_) | None => {
                problems.push(bad("this comment allows nothing, because it gives no reason"));
                continue;
            }
        };
        let base = start + written.len() - rest.len();
        let words = codes.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let mut named = false;
        for word in words {
            named = true;
            let from = base + (word.as_ptr() as usize).saturating_sub(rest.as_ptr() as usize);
            let span = at(from, word.len());
            let known = Code::ALL.iter().find(|code| code.as_str() == word);
            let why = match known {
                None => "there is no warning",
                Some(code) if code.severity() != Severity::Warning => "only warnings can be allowed, not",
                Some(code) => {
                    allowances.push(Allowance {
                        code: *code,
                        span,
                        file: id,
                        line: usize::try_from(file.line_column(offset(start)).0)
                            .ok()
                            .and_then(|line| contents.get(line.checked_sub(1)?).copied())
                            .unwrap_or(u32::MAX),
                        reason: reason.to_owned(),
                        used: false,
                    });
                    continue;
                }
            };
            let problem = Diagnostic::new(Code::BadSuppression, span, format!("{why} `{}`", shorten(word)));
            problems.push(
                problem.help("the codes stand in brackets in the output of `policyc check`, such as `W0112`"),
            );
        }
        if !named {
            problems.push(bad("this comment allows nothing, because it names no code"));
        }
    }
}

fn shorten(word: &str) -> String {
    word.chars().take(20).collect()
}

/// For each line, counted from 1, the first one from there on that holds anything but comments.
fn contents(text: &str) -> Vec<u32> {
    let mut next = u32::MAX;
    let mut lines: Vec<u32> = text
        .lines()
        .zip(1..)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .map(|(line, number)| {
            let line = line.trim_start();
            if !line.is_empty() && !line.starts_with('#') {
                next = number;
            }
            next
        })
        .collect();
    lines.reverse();
    lines
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code and line of each.
    type Left = Vec<(&'static str, u32)>;

    /// Warnings `W0001` at the given lines of a file, and what is left of them.
    fn reviewed(text: &str, lines: &[u32]) -> (Left, Vec<(u32, String)>) {
        let mut map = SourceMap::new();
        let id = map.add(SourceFile::new("a.yaml", text));
        let file = map.file(id).unwrap().clone();
        let start = |line: u32| {
            let before = text.split_inclusive('\n').take(line as usize - 1);
            offset(before.map(str::len).sum())
        };
        let given = lines
            .iter()
            .map(|line| Diagnostic::new(Code::NotSemver, Span::new(id, start(*line), start(*line)), "x"))
            .collect();
        let line = |d: &Diagnostic| file.line_column(d.primary.span.start).0;
        let found = review(&map, given, |_| true);
        (
            found
                .diagnostics
                .iter()
                .map(|d| (d.code.as_str(), line(d)))
                .collect(),
            found
                .suppressed
                .iter()
                .map(|s| (line(&s.diagnostic), s.reason.clone()))
                .collect(),
        )
    }

    #[test]
    fn a_comment_allows_on_its_line_or_the_next() {
        let text = "a: 1 # policyc: allow W0001 -- here\n# policyc: allow W0001, W0002 -- below\n\n# more\nb: 2\nc: 3\n";
        assert_eq!(
            reviewed(text, &[1, 5, 6]),
            (
                vec![("W0206", 2), ("W0001", 6)],
                vec![(1, "here".to_owned()), (5, "below".to_owned())]
            )
        );
    }

    #[test]
    fn what_has_no_effect_is_a_warning() {
        for (text, expected) in [
            ("a: 1 # policyc: allow W0001\n", "W0205"),
            ("a: 1 # policyc: allow W0001 -- \n", "W0205"),
            ("a: 1 # policyc: allow -- reason\n", "W0205"),
            ("a: 1 # policyc: allow W9999 -- reason\n", "W0205"),
            ("a: 1 # policyc: allow E0004 -- reason\n", "W0205"),
            ("a: 1 # policyc: ignore W0001 -- reason\n", "W0205"),
            ("a: 1 # policyc: allow W0002 -- another\n", "W0206"),
        ] {
            let (left, suppressed) = reviewed(text, &[1]);
            assert!(suppressed.is_empty(), "{text}");
            let codes: Vec<_> = left.iter().map(|(code, _)| *code).collect();
            assert!(
                codes.contains(&"W0001") && codes.contains(&expected) && codes.len() == 2,
                "{text}: {codes:?}"
            );
        }
        // Text is no comment.
        let text = "a: |\n  # policyc: allow W0001 -- text\nb: '# policyc: allow W0001 -- text'\n";
        assert_eq!(reviewed(text, &[3]).0, [("W0001", 3)]);
    }

    #[test]
    fn errors_are_never_allowed() {
        let mut map = SourceMap::new();
        let id = map.add(SourceFile::new("a.yaml", "a: 1 # policyc: allow W0001 -- x\n"));
        let mut raised = Diagnostic::new(Code::NotSemver, Span::new(id, 0, 1), "x");
        raised.severity = Severity::Error;
        let found = review(&map, vec![raised.clone()], |_| true);
        assert_eq!((found.diagnostics, found.suppressed), (vec![raised], Vec::new()));
    }
}
