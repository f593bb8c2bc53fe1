//! The set: what can only be said of all policies together.
//!
//! Runs before `link`, over the heads of the policies in file order. Reports duplicate policy ids, sets that mix the
//! namespace `default` with others, and policies that never take part in a decision, where nothing else is wrong.

use crate::unit::Head;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, Span};
use std::collections::HashMap;

/// A head, and the number that its file has in this set.
pub(crate) type Placed<'a> = (FileId, &'a Head);

/// Checks the set. `diagnostics` holds what was said of its parts.
pub(crate) fn check<'a>(heads: impl Iterator<Item = Placed<'a>> + Clone, diagnostics: &mut Vec<Diagnostic>) {
    duplicates(heads.clone(), diagnostics);
    diagnostics.extend(mixed(heads.clone()));
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

/// A request that names a namespace meets the policies of that one and of `global`, so that in a set with other
/// namespaces those of `default` are easily thought to apply where they do not.
fn mixed<'a>(heads: impl Iterator<Item = Placed<'a>> + Clone) -> Option<Diagnostic> {
    let live = || heads.clone().filter(|(_, head)| head.live);
    let of_default = |head: &Head| head.namespace == "default";
    let (file, first) = live().find(|(_, head)| of_default(head))?;
    let (other_file, other) = live().find(|(_, head)| !of_default(head) && head.namespace != "global")?;
    let (count, of) = (
        live().filter(|(_, head)| of_default(head)).count(),
        live().count(),
    );
    Some(
        Diagnostic::new(
            Code::MixedNamespaces,
            in_file(first.id_span, file),
            format!(
                "{count} of the {of} policies are in the namespace `default`, which requests that name another one pass by"
            ),
        )
        .label("the first of them")
        .also(
            in_file(other.id_span, other_file),
            format!("in the namespace `{}`", other.namespace),
        )
        .help("say `namespace: global` where a policy is for every request, and name a namespace where it is not"),
    )
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
