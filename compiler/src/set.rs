//! The set: what can only be said of all policies together.
//!
//! Runs before `link`, over the heads of the policies in file order. Reports policy ids that occur twice in a namespace, sets that mix the
//! namespace `default` with others, and policies that never take part in a decision, where nothing else is wrong.

use crate::unit::Head;
use policy_grammar::ast::{FieldPath, Segment};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
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

/// Modifications are composed by their paths, so two paths that may be one place in some request must not meet: paths
/// that part at a step of which one counts from the end of a list, and the other one does not or does to another place.
///
/// Paths are looked up by the steps before an element, so the work is linear in the number of their steps.
fn ambiguous<'a>(heads: impl Iterator<Item = Placed<'a>> + Clone, diagnostics: &mut Vec<Diagnostic>) {
    let all = || {
        let live = heads.clone().filter(|(_, head)| head.live);
        let paths = live.flat_map(|(file, head)| {
            head.elements
                .iter()
                .map(move |path| Modified { file, head, path })
        });
        paths.enumerate()
    };
    let mut lists: HashMap<&[Segment], Elements<'a>, foldhash::fast::RandomState> = HashMap::default();
    for (order, modified) in all() {
        for (before, segment) in modified.elements() {
            let list = lists.entry(before).or_default();
            list.anywhere.add(order, segment, modified);
            let own = list.by_namespace.entry(&modified.head.namespace).or_default();
            own.add(order, segment, modified);
        }
    }
    let is_from_end = |segment: &Segment| matches!(segment, Segment::FromEnd(_));
    // A path meets other ones in each namespace, so what is known of it in one says nothing of the others.
    let mut seen: HashSet<(&str, &FieldPath)> = HashSet::new();
    for (_, modified) in all() {
        let path = &modified.path.value;
        let place = (modified.head.namespace.as_str(), path);
        if !path.segments.iter().any(is_from_end) || !seen.insert(place) {
            continue;
        }
        let parted = modified.elements().filter_map(|(before, segment)| {
            let list = lists.get(before)?;
            let namespace = modified.head.namespace.as_str();
            let others = match namespace {
                GLOBAL => [Some(&list.anywhere), None],
                own => [list.by_namespace.get(own), list.by_namespace.get(GLOBAL)],
            };
            let others = others.into_iter().flatten();
            others
                .filter_map(|others| others.parted_from(segment))
                .min_by_key(|(order, _)| *order)
        });
        if let Some((_, other)) = parted.min_by_key(|(order, _)| *order) {
            diagnostics.push(
                Diagnostic::new(
                    Code::AmbiguousElement,
                    in_file(modified.path.span, modified.file),
                    format!("`{path}` may be the same element as `{}`", other.path.value),
                )
                .label("counted from the end here")
                .also(in_file(other.path.span, other.file), "and counted otherwise here")
                .help("name the elements in one way, or modify the list as a whole"),
            );
        }
    }
}

/// Policies of this namespace are asked together with every other one.
const GLOBAL: &str = "global";

/// A path inside a list that a policy modifies.
#[derive(Clone, Copy)]
struct Modified<'a> {
    file: FileId,
    head: &'a Head,
    path: &'a Spanned<FieldPath>,
}

impl<'a> Modified<'a> {
    /// The steps that may name an element, each with those before it.
    fn elements(self) -> impl Iterator<Item = (&'a [Segment], &'a Segment)> {
        let segments = self.path.value.segments.as_slice();
        let steps = segments.iter().enumerate();
        let elements = steps.filter(|(_, segment)| segment.is_element());
        elements.filter_map(move |(at, segment)| Some((segments.get(..at)?, segment)))
    }
}

/// Who modifies elements of one list.
#[derive(Default)]
struct Elements<'a> {
    anywhere: Firsts<'a>,
    by_namespace: HashMap<&'a str, Firsts<'a>, foldhash::fast::RandomState>,
}

/// The first modifications of different elements: as many as it takes to know the first that differs from any other one.
#[derive(Default)]
struct Firsts<'a> {
    different: [Option<(usize, &'a Segment, Modified<'a>)>; 2],
    from_end: Option<(usize, Modified<'a>)>,
}

impl<'a> Firsts<'a> {
    fn add(&mut self, order: usize, segment: &'a Segment, modified: Modified<'a>) {
        let [first, second] = &mut self.different;
        match (&first, &second) {
            (None, _) => *first = Some((order, segment, modified)),
            (Some((_, known, _)), None) if *known != segment => *second = Some((order, segment, modified)),
            (Some(_), _) => {}
        }
        if matches!(segment, Segment::FromEnd(_)) && self.from_end.is_none() {
            self.from_end = Some((order, modified));
        }
    }

    /// The first that may be the same element as `segment` without being named alike.
    fn parted_from(&self, segment: &Segment) -> Option<(usize, Modified<'a>)> {
        match segment {
            Segment::FromEnd(_) => {
                let mut different = self.different.iter().flatten();
                different
                    .find(|(_, other, _)| *other != segment)
                    .map(|(order, _, modified)| (*order, *modified))
            }
            Segment::Index(_) | Segment::Key(_) => self.from_end,
        }
    }
}

/// A request that names a namespace meets the policies of that one and of `global`, so that in a set with other
/// namespaces those of `default` are easily thought to apply where they do not.
fn mixed<'a>(heads: impl Iterator<Item = Placed<'a>> + Clone) -> Option<Diagnostic> {
    let live = || heads.clone().filter(|(_, head)| head.live);
    let of_default = |head: &Head| head.namespace == "default";
    let (file, first) = live().find(|(_, head)| of_default(head))?;
    let (other_file, other) = live().find(|(_, head)| !of_default(head) && head.namespace != GLOBAL)?;
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
