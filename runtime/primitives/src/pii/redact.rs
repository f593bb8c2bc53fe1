//! Redaction: the text with every match of the wanted types replaced by its placeholder.
//!
//! Overlapping matches are replaced as one piece, from the first byte of the earliest to the last byte of the latest,
//! so that no digit of any of them is left. The piece takes the placeholder of the surest match, then of the longest,
//! then of the first.
//!
//! Taking text out can change what stands next to what, so the result is scanned again until nothing is found; nearly
//! always that is one more scan. It makes the two promises of the module hold by construction: nothing wanted is left,
//! and redacting twice changes nothing.

use super::scan::{Findings, scan};
use super::types::{Confidence, Match, PiiTypeSet};

/// Most scans of one text: a bound on the work for texts made to need many. Every scan but the last replaces at least
/// one match, and only what touched a replaced match can be found anew.
const MAX_ROUNDS: usize = 16;

/// Redacts texts with memory that is kept between them: nothing is allocated once it has grown to its working size.
#[derive(Debug, Default)]
pub struct Redactor {
    findings: Findings,
    scratch: String,
}

impl Redactor {
    /// A redactor with no memory yet.
    #[must_use]
    pub fn new() -> Redactor {
        Redactor::default()
    }

    /// Replaces the contents of `out` with `text`, in which every match of `types` with at least confidence `min` is
    /// replaced by its placeholder. Returns the types that were replaced.
    pub fn redact(&mut self, text: &str, types: PiiTypeSet, min: Confidence, out: &mut String) -> PiiTypeSet {
        out.clear();
        let mut replaced = PiiTypeSet::EMPTY;
        scan(text, &mut self.findings);
        replace(text, &self.findings, types, min, out, &mut replaced);
        for _ in 1..MAX_ROUNDS {
            if replaced.is_empty() {
                break;
            }
            scan(out, &mut self.findings);
            self.scratch.clear();
            let mut again = PiiTypeSet::EMPTY;
            replace(out, &self.findings, types, min, &mut self.scratch, &mut again);
            if again.is_empty() {
                break;
            }
            replaced = replaced.union(again);
            std::mem::swap(out, &mut self.scratch);
        }
        replaced
    }
}

/// Replaces the contents of `out` with `text` without the matches of `types` with confidence medium or high.
///
/// `My card 4111111111111111` becomes `My card [CREDIT_CARD]`. For many texts, and for other confidences, keep a
/// [`Redactor`].
pub fn redact(text: &str, types: PiiTypeSet, out: &mut String) {
    Redactor::new().redact(text, types, Confidence::Medium, out);
}

/// Appends `text` to `out` with the chosen findings replaced, and notes their types.
fn replace(
    text: &str,
    findings: &Findings,
    types: PiiTypeSet,
    min: Confidence,
    out: &mut String,
    replaced: &mut PiiTypeSet,
) {
    let mut chosen = findings
        .iter()
        .filter(|found| found.confidence >= min && types.contains(found.kind))
        .peekable();
    let mut copied = 0;
    while let Some(first) = chosen.next() {
        replaced.insert(first.kind);
        let mut label = *first;
        let mut end = first.end;
        while let Some(next) = chosen.next_if(|next| next.start < end) {
            replaced.insert(next.kind);
            end = end.max(next.end);
            if outranks(next, &label) {
                label = *next;
            }
        }
        out.push_str(text.get(copied..first.start).unwrap_or(""));
        out.push_str(label.kind.placeholder());
        copied = end;
    }
    out.push_str(text.get(copied..).unwrap_or(""));
}

/// Whether `a` names an overlap rather than `b`, which starts no later.
fn outranks(a: &Match, b: &Match) -> bool {
    (a.confidence, a.end - a.start) > (b.confidence, b.end - b.start)
}
