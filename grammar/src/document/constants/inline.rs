//! A file without its imports: the edits after which imported constants stand in the document's own `let`.

use super::{Known, Origin};
use crate::ast::LET;
use crate::document::print::json_text;
use crate::document::tree::{Children, Kind, NodeId, Style};
use crate::document::walk::{Entry, Walk};
use crate::source::Span;

impl Walk<'_, '_> {
    /// Notes the edits after which the constants that are imported and used stand in `let`, and nothing is imported.
    pub(crate) fn write_imports(&mut self, root: Children, import: Entry, constants: Option<Entry>) {
        let used: Vec<(&String, &Known)> = self
            .scope
            .known
            .iter()
            .filter(|(_, known)| known.used && matches!(known.origin, Origin::Imported(..)))
            .collect();
        let written: Vec<(String, String)> = used
            .into_iter()
            .map(|(name, known)| (name.clone(), json_text(&known.value)))
            .collect();
        let flow: Vec<String> = written
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        let mut edits = Vec::new();
        let tree = self.tree;
        let key = tree.node(import.key);
        let last = match tree.node(import.value).kind {
            Kind::Sequence(items) if tree.node(import.value).style == Style::Block => {
                tree.children(items).last().copied().unwrap_or(import.value)
            }
            Kind::Scalar(..) | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => import.value,
        };
        let end = tree.node(last).end;
        match self.present(constants) {
            None if !written.is_empty() => {
                let name = if key.style == Style::Double {
                    "\"let\""
                } else {
                    LET
                };
                let text = format!("{name}: {{{}}}", flow.join(", "));
                edits.push((self.problems.span(key.start, end), text));
                // A `let:` without anything would be a second one.
                if let Some(empty) = constants {
                    edits.push((
                        self.whole_entry(root, empty, tree.node(empty.value).end),
                        String::new(),
                    ));
                }
            }
            None => edits.push((self.whole_entry(root, import, end), String::new())),
            Some(own) => {
                edits.push((self.whole_entry(root, import, end), String::new()));
                let value = tree.node(own.value);
                let first = match value.kind {
                    Kind::Mapping(children) => {
                        tree.pairs(children).next().map(|(key, _)| tree.node(key).start)
                    }
                    Kind::Scalar(..) | Kind::Sequence(_) | Kind::Broken => None,
                };
                let (at, text) = match (value.style, first) {
                    (Style::Block, Some(first)) => {
                        let line = self.text.get(..first as usize).unwrap_or("");
                        let indent = line.rsplit('\n').next().unwrap_or("");
                        let lines = written
                            .iter()
                            .map(|(name, value)| format!("{name}: {value}\n{indent}"));
                        (first, lines.collect::<String>())
                    }
                    (_, Some(first)) => (
                        first,
                        flow.iter().map(|entry| format!("{entry}, ")).collect::<String>(),
                    ),
                    // `{}`: behind its bracket.
                    (_, None) => (value.head, flow.join(", ")),
                };
                edits.push((self.problems.span(at, at), text));
            }
        }
        if let Some(all) = &mut self.problems.edits {
            all.extend(edits);
        }
    }

    /// An entry of the document with what separates it from its neighbours; its value ends at `end`.
    fn whole_entry(&self, root: Children, entry: Entry, end: u32) -> Span {
        let start = self.tree.node(entry.key).start;
        let pairs: Vec<(NodeId, NodeId)> = self.tree.pairs(root).collect();
        let at = pairs.iter().position(|(key, _)| *key == entry.key);
        // In a flow mapping a comma stands before the next entry, or behind the one before.
        let rest = self.text.get(end as usize..).unwrap_or("");
        let line = rest.split_inclusive('\n').next().unwrap_or("");
        let alone = line.trim_start().is_empty() || line.trim_start().starts_with('#');
        let before = self.text.get(..start as usize).unwrap_or("");
        if alone
            && before
                .rsplit('\n')
                .next()
                .is_some_and(|head| head.trim().is_empty())
        {
            let length = u32::try_from(line.len()).unwrap_or(0);
            return self.problems.span(start, end.saturating_add(length));
        }
        match at {
            Some(at) => match (pairs.get(at + 1), at.checked_sub(1).and_then(|at| pairs.get(at))) {
                (Some((next, _)), _) => self.problems.span(start, self.tree.node(*next).start),
                (None, Some((_, previous))) => self.problems.span(self.tree.node(*previous).end, end),
                (None, None) => self.problems.span(start, end),
            },
            None => self.problems.span(start, end),
        }
    }
}
