//! The generic node tree between the text formats and the AST: mappings, lists and scalars with byte-exact places.
//!
//! Built by the YAML and JSON readers through [`Builder`], read by the walk. Nodes live in one arena and refer to
//! their children by index, so an alias costs one node however much it stands for. The builder holds the ceilings on
//! nodes, nesting and alias expansion and reports duplicate keys; it gives no meaning to any key.

use super::problems::Problems;
use super::scalar::Scalar;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::source::Span;
use std::borrow::Cow;
use std::collections::HashMap;

/// Index of a node in its [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

/// How a node was written; decides how an offset in its value maps to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A plain scalar.
    Plain,
    /// `'…'`.
    Single,
    /// `"…"`, in YAML or JSON.
    Double,
    /// `|` block.
    Literal,
    /// `>` block.
    Folded,
    /// A block list or mapping.
    Block,
    /// `[…]` or `{…}`.
    Flow,
    /// `*name`: the place is that of the alias.
    Alias,
}

/// Children of a list or mapping: a range of [`Tree::children`]. Mappings alternate key and value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Children {
    start: u32,
    end: u32,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Kind<'s> {
    /// A scalar: its text after unescaping, and what it stands for.
    Scalar(Cow<'s, str>, Scalar),
    /// A list.
    Sequence(Children),
    /// A mapping.
    Mapping(Children),
    /// Something already reported; the walk passes over it in silence.
    Broken,
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Node<'s> {
    /// First byte.
    pub(crate) start: u32,
    /// One past the last byte of the whole node.
    pub(crate) end: u32,
    /// One past the first token: of a collection the opening bracket or the first key or item.
    pub(crate) head: u32,
    /// How it was written.
    pub(crate) style: Style,
    /// What it is.
    pub(crate) kind: Kind<'s>,
    /// Nodes that it stands for, itself included, with aliases expanded.
    weight: u32,
    /// Bytes of text in them.
    bytes: u32,
    /// Levels below it.
    height: u16,
}

/// All nodes of one document.
#[derive(Debug, Default)]
pub(crate) struct Tree<'s> {
    nodes: Vec<Node<'s>>,
    children: Vec<NodeId>,
}

impl<'s> Tree<'s> {
    /// The node of `id`. Ids come from this tree, so the fallback is never seen.
    pub(crate) fn node(&self, id: NodeId) -> &Node<'s> {
        const NOTHING: &Node<'static> = &Node {
            start: 0,
            end: 0,
            head: 0,
            style: Style::Plain,
            kind: Kind::Broken,
            weight: 1,
            bytes: 0,
            height: 0,
        };
        self.nodes.get(id.0 as usize).unwrap_or(NOTHING)
    }

    /// The children of a list, or the alternating keys and values of a mapping.
    pub(crate) fn children(&self, children: Children) -> &[NodeId] {
        self.children
            .get(children.start as usize..children.end as usize)
            .unwrap_or(&[])
    }

    /// Keys and values of a mapping.
    pub(crate) fn pairs(&self, children: Children) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.children(children)
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [key, value] => Some((*key, *value)),
                _ => None,
            })
    }
}

/// Why a document was given up.
#[derive(Debug)]
pub(crate) enum Abort {
    /// The rest of this document cannot be used; later documents can.
    Document(Box<Diagnostic>),
    /// The whole file is refused.
    File(Box<Diagnostic>),
}

struct Open {
    /// Where its children begin in [`Builder::pending`].
    first: usize,
    start: u32,
    head: u32,
    style: Style,
    mapping: bool,
    anchor: usize,
}

/// Builds [`Tree`]s from a stream of starts, ends and scalars.
pub(crate) struct Builder<'s, 'l> {
    tree: Tree<'s>,
    open: Vec<Open>,
    /// Finished nodes whose parent is still open.
    pending: Vec<NodeId>,
    anchors: HashMap<usize, NodeId>,
    limits: &'l Limits,
    nodes_of_file: usize,
    alias_nodes: usize,
    alias_bytes: usize,
}

impl<'s, 'l> Builder<'s, 'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self {
            tree: Tree::default(),
            open: Vec::new(),
            pending: Vec::new(),
            anchors: HashMap::new(),
            limits,
            nodes_of_file: 0,
            alias_nodes: 0,
            alias_bytes: 0,
        }
    }

    /// Forgets an unfinished document.
    pub(crate) fn abandon(&mut self) {
        self.open.clear();
        self.pending.clear();
        self.anchors.clear();
        self.tree = Tree::default();
    }

    /// The finished document: its tree and root, if it has one. The builder is ready for the next document.
    pub(crate) fn finish(&mut self) -> (Tree<'s>, Option<NodeId>) {
        let root = self.pending.first().copied();
        let tree = std::mem::take(&mut self.tree);
        self.abandon();
        (tree, root)
    }

    pub(crate) fn scalar(
        &mut self,
        span: Span,
        style: Style,
        text: Cow<'s, str>,
        value: Scalar,
        anchor: usize,
    ) -> Result<(), Abort> {
        self.push(
            Node {
                start: span.start,
                end: span.end,
                head: span.end,
                style,
                bytes: index(text.len()),
                kind: Kind::Scalar(text, value),
                weight: 1,
                height: 0,
            },
            span,
            anchor,
        )
    }

    /// A node that was already reported.
    pub(crate) fn broken(&mut self, span: Span) -> Result<(), Abort> {
        self.push(
            Node {
                start: span.start,
                end: span.end,
                head: span.end,
                style: Style::Alias,
                kind: Kind::Broken,
                weight: 1,
                bytes: 0,
                height: 0,
            },
            span,
            0,
        )
    }

    /// `*name`, where `anchor` is the anchor's id.
    pub(crate) fn alias(&mut self, span: Span, anchor: usize, problems: &mut Problems) -> Result<(), Abort> {
        let Some(target) = self.anchors.get(&anchor).copied() else {
            problems.report(
                Diagnostic::new(
                    Code::Syntax,
                    span,
                    "an alias cannot stand inside the value that it refers to",
                )
                .help("move the anchor to a value that is complete before the alias"),
            );
            return self.broken(span);
        };
        let target = self.tree.node(target);
        self.alias_nodes = self.alias_nodes.saturating_add(target.weight as usize);
        self.alias_bytes = self.alias_bytes.saturating_add(target.bytes as usize);
        for (stood_for, limit, what) in [
            (self.alias_nodes, self.limits.max_alias_nodes, "nodes"),
            (self.alias_bytes, self.limits.max_alias_bytes, "bytes of text"),
        ] {
            if stood_for > limit {
                return Err(Abort::File(Box::new(
                    Diagnostic::new(
                        Code::Limit,
                        span,
                        format!("the aliases of this file stand for more than {limit} {what}"),
                    )
                    .label("this alias exceeds the limit")
                    .help("write the values out, or split the file"),
                )));
            }
        }
        // Copied only now that the sum of all copies is known to be bounded.
        let target = target.clone();
        if self.open.len() + usize::from(target.height) >= self.limits.max_depth {
            return Err(Abort::Document(Box::new(self.too_deep(span))));
        }
        self.push(
            Node {
                start: span.start,
                end: span.end,
                head: span.end,
                style: Style::Alias,
                ..target
            },
            span,
            0,
        )
    }

    pub(crate) fn start(
        &mut self,
        span: Span,
        style: Style,
        mapping: bool,
        anchor: usize,
    ) -> Result<(), Abort> {
        if self.open.len() >= self.limits.max_depth {
            return Err(Abort::Document(Box::new(self.too_deep(span))));
        }
        self.open.push(Open {
            first: self.pending.len(),
            start: span.start,
            head: span.end,
            style,
            mapping,
            anchor,
        });
        Ok(())
    }

    /// Closes the innermost list or mapping. `end` is one past its last byte if it has a closing bracket.
    pub(crate) fn end(&mut self, end: Span, problems: &mut Problems) -> Result<(), Abort> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let items = self.pending.split_off(open.first);
        let (mut start, mut head, mut stop) = (open.start, open.head, end.end);
        if open.style == Style::Block {
            // The events of block collections have no extent of their own.
            if let (Some(first), Some(last)) = (items.first(), items.last()) {
                let (first, last) = (self.tree.node(*first), self.tree.node(*last));
                (start, head, stop) = (first.start, first.head, last.end.max(first.end));
            }
        }
        let (mut weight, mut bytes, mut height) = (1u32, 0u32, 0u16);
        for item in &items {
            let node = self.tree.node(*item);
            weight = weight.saturating_add(node.weight);
            bytes = bytes.saturating_add(node.bytes);
            height = height.max(node.height.saturating_add(1));
        }
        if open.mapping {
            self.report_duplicate_keys(&items, end, problems);
        }
        let from = index(self.tree.children.len());
        self.tree.children.extend_from_slice(&items);
        let children = Children {
            start: from,
            end: index(self.tree.children.len()),
        };
        self.push(
            Node {
                start,
                end: stop,
                head,
                style: open.style,
                kind: if open.mapping {
                    Kind::Mapping(children)
                } else {
                    Kind::Sequence(children)
                },
                weight,
                bytes,
                height,
            },
            Span::new(end.file, start, head),
            open.anchor,
        )
    }

    fn push(&mut self, node: Node<'s>, span: Span, anchor: usize) -> Result<(), Abort> {
        self.nodes_of_file += 1;
        if self.nodes_of_file > self.limits.max_nodes {
            return Err(Abort::File(Box::new(
                Diagnostic::new(
                    Code::Limit,
                    span,
                    format!("the file has more than {} keys and values", self.limits.max_nodes),
                )
                .help("split the policies over several files"),
            )));
        }
        let id = NodeId(index(self.tree.nodes.len()));
        self.tree.nodes.push(node);
        self.pending.push(id);
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        Ok(())
    }

    fn too_deep(&self, span: Span) -> Diagnostic {
        too_deep(span, self.limits)
    }

    fn report_duplicate_keys(&self, items: &[NodeId], end: Span, problems: &mut Problems) {
        let keys = items.iter().step_by(2).filter_map(|id| {
            let node = self.tree.node(*id);
            match &node.kind {
                Kind::Scalar(text, _) => Some((text.as_ref(), node)),
                Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => None,
            }
        });
        let mut report = |text: &str, first: &Node<'_>, again: &Node<'_>| {
            problems.report(
                Diagnostic::new(
                    Code::DuplicateKey,
                    Span::new(end.file, again.start, again.end),
                    format!("the key `{text}` occurs twice in one mapping"),
                )
                .label("again here")
                .also(Span::new(end.file, first.start, first.end), "first here")
                .help("keep one of the two"),
            );
        };
        if items.len() <= 32 {
            let keys: Vec<_> = keys.collect();
            for (i, (text, again)) in keys.iter().enumerate() {
                if let Some((_, first)) = keys.iter().take(i).find(|(other, _)| other == text) {
                    report(text, first, again);
                }
            }
        } else {
            let mut seen: HashMap<&str, &Node<'_>> = HashMap::with_capacity(items.len() / 2);
            for (text, node) in keys {
                match seen.get(text) {
                    Some(first) => report(text, first, node),
                    None => {
                        seen.insert(text, node);
                    }
                }
            }
        }
    }
}

/// The diagnostic for nesting beyond the limit.
pub(crate) fn too_deep(span: Span, limits: &Limits) -> Diagnostic {
    Diagnostic::new(
        Code::Limit,
        span,
        format!(
            "lists and mappings are nested more than {} deep",
            limits.max_depth
        ),
    )
    .help("flatten the document: nested `and`/`or` of the same kind can be written as one list")
}

/// Arena indices fit 32 bits: the file does, and each node takes at least a byte of it or counts as an alias.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
