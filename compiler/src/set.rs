//! The set: what can only be said of all policies together.
//!
//! Runs before `link`, over the heads of the policies in file order. Reports duplicate policy ids, and policies that
//! never take part in a decision, where nothing else is wrong.

use crate::unit::Head;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, Span};
use std::collections::HashMap;

/// A head, and the number that its file has in this set.
pub(crate) type Placed<'a> = (FileId, &'a Head);

/// Checks the set. `diagnostics` holds what was said of its parts.
pub(crate) fn check<'a>(heads: impl Iterator<Item = Placed<'a>> + Clone, diagnostics: &mut Vec<Diagnostic>) {
    duplicates(heads.clone(), diagnostics);
    if !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.extend(heads.filter_map(|(file, head)| {
            let d = head.never_fires.as_ref()?;
            Some(moved(d, file))
        }));
    }
}

/// Two policies of one bundle must not share an id: responses and `policies: [ids]` name them by it.
fn duplicates<'a>(heads: impl Iterator<Item = Placed<'a>>, diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&str, Span, foldhash::fast::RandomState> = HashMap::default();
    for (file, head) in heads.filter(|(_, head)| head.live) {
        let span = in_file(head.id_span, file);
        let first = *seen.entry(&head.id).or_insert(span);
        if first != span {
            diagnostics.push(
                Diagnostic::new(
                    Code::DuplicatePolicyId,
                    span,
                    format!("two policies have the id `{}`", head.id),
                )
                .label("used again here")
                .also(first, "first used here"),
            );
        }
    }
}

/// The same place of the same file under another number.
pub(crate) fn in_file(span: Span, file: FileId) -> Span {
    Span { file, ..span }
}

/// A diagnostic about one file, with every place in `file`.
pub(crate) fn moved(diagnostic: &Diagnostic, file: FileId) -> Diagnostic {
    let mut d = diagnostic.clone();
    let labels = d.secondary.iter_mut().chain([&mut d.primary]);
    let spans = labels.map(|label| &mut label.span);
    for span in spans.chain(d.fix.as_mut().map(|fix| &mut fix.span)) {
        *span = in_file(*span, file);
    }
    d
}
