//! The set: what can only be said of all policies together.
//!
//! Runs before `link`, over the heads of the policies in file order. Reports policy ids that occur twice in a namespace, sets that mix the
//! namespace `default` with others, and policies that never take part in a decision, where nothing else is wrong.

use crate::unit::Head;
use policy_grammar::ast::{FieldPath, Segment};
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, Span};
use std::collections::{HashMap, HashSet};

/// A head, and the number that its file has in this set.
pub(crate) type Placed<'a> = (FileId, &'a Head);

/// Checks the set. `diagnostics` holds what was said of its parts.
pub(crate) fn check<'a>(heads: impl Iterator<Item = Placed<'a>> + Clone, diagnostics: &mut Vec<Diagnostic>) {
    duplicates(heads.clone(), diagnostics);
    ambiguous(heads.clone(), diagnostics);
    diagnostics.extend(mixed(heads.clone()));
    if !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.extend(heads.filter_map(|(file, head)| {
            let d = head.never_fires.as_ref()?;
            Some(moved(d, file))
        }));
    }
}

/// Two policies of one namespace must not share an id: responses name them by both. Namespaces do not know of each other, so
/// that no tenant can take an id from another one.
fn duplicates<'a>(heads: impl Iterator<Item = Placed<'a>>, diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<(&str, &str), Span, foldhash::fast::RandomState> = HashMap::default();
    for (file, head) in heads.filter(|(_, head)| head.live) {
        let span = in_file(head.id_span, file);
        let first = *seen.entry((&head.namespace, &head.id)).or_insert(span);
        if first != span {
            diagnostics.push(
                Diagnostic::new(
                    Code::DuplicatePolicyId,
                    span,
                    format!(
                        "two policies of the namespace `{}` have the id `{}`",
                        head.namespace, head.id
                    ),
                )
                .label("used again here")
                .also(first, "first used here"),
            );
        }
    }
}

/// Modifications are composed by their paths, so two paths that may be one place in some request must not meet.
fn ambiguous<'a>(heads: impl Iterator<Item = Placed<'a>> + Clone, diagnostics: &mut Vec<Diagnostic>) {
    let all = || {
        let live = heads.clone().filter(|(_, head)| head.live);
        live.flat_map(|(file, head)| head.elements.iter().map(move |path| (file, head, path)))
    };
    let from_end = |path: &FieldPath| path.segments.iter().any(|s| matches!(s, Segment::FromEnd(_)));
    let mut seen: HashSet<&FieldPath> = HashSet::new();
    for (file, head, path) in all().filter(|(_, _, path)| from_end(&path.value)) {
        if !seen.insert(&path.value) {
            continue;
        }
        let together = |other: &Head| {
            head.namespace == other.namespace
                || [&head.namespace, &other.namespace].iter().any(|n| *n == "global")
        };
        let other = all().find(|(_, other, also)| together(other) && may_coincide(&path.value, &also.value));
        if let Some((other_file, _, other)) = other {
            diagnostics.push(
                Diagnostic::new(
                    Code::AmbiguousElement,
                    in_file(path.span, file),
                    format!("`{}` may be the same element as `{}`", path.value, other.value),
                )
                .label("counted from the end here")
                .also(in_file(other.span, other_file), "and counted otherwise here")
                .help("name the elements in one way, or modify the list as a whole"),
            );
        }
    }
}

/// Whether two paths part at a step of which one counts from the end of a list, and the other one does not or does to
/// another place.
fn may_coincide(a: &FieldPath, b: &FieldPath) -> bool {
    let parts = a.segments.iter().zip(&b.segments).find(|(a, b)| a != b);
    parts.is_some_and(|(a, b)| {
        let from_end = |segment: &Segment| matches!(segment, Segment::FromEnd(_));
        (from_end(a) || from_end(b)) && a.is_element() && b.is_element()
    })
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
