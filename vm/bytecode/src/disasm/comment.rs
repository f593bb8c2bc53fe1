//! What the operands of an instruction stand for, in a few words beside it.

use super::text::{head, number, quote, regex, step};
use crate::consts::Const;
use crate::ids::{BodyIdx, ConstIdx, FieldIdx, PatternIdx, PredIdx};
use crate::instr::{Instr, Role};
use crate::module::{Module, PathSegment};
use crate::predicate::{PredOperand, Predicate};
use crate::quantifier::{ItemOperand, Node, Subject};

/// Characters after which a comment is cut.
const COMMENT_CHARS: usize = 96;
/// Nesting that is spelled out in a comment.
const COMMENT_DEPTH: usize = 4;

/// Text of bounded length that explains an operand.
pub(super) struct Comment<'m> {
    module: &'m Module,
    pub(super) text: String,
    left: usize,
}

impl<'m> Comment<'m> {
    pub(super) fn new(module: &'m Module) -> Self {
        Self {
            module,
            text: String::new(),
            left: COMMENT_CHARS,
        }
    }

    /// What the operands of an instruction stand for; empty when its text says everything.
    pub(super) fn of(module: &'m Module, instr: Instr) -> String {
        let mut out = Self::new(module);
        if let Instr::Test { pred, sense, .. } | Instr::TestMemo { pred, sense, .. } = instr {
            out.push(if sense.0 { "if " } else { "unless " });
            out.pred(pred);
        } else if let Instr::RetTest { pred, sense } | Instr::RetTestMemo { pred, sense } = instr {
            out.push(if sense.0 { "" } else { "not " });
            out.pred(pred);
        } else {
            // Whatever an instruction is, its table operands get explained.
            instr.roles(|role| match role {
                Role::Pred(p) => out.pred(p),
                Role::Const(k) => out.constant(k, 0),
                Role::Field(f) => out.field(f),
                Role::Func(f) => match module.functions.get(f.index()) {
                    None => out.push("?"),
                    Some(callee) if callee.memoised => out.push("memoised"),
                    Some(_) => {}
                },
                Role::Def(_)
                | Role::Use(_)
                | Role::Jump(_)
                | Role::Flag(_)
                | Role::Iter(_)
                | Role::Builder(_)
                | Role::Immediate => {}
            });
        }
        out.text
    }

    /// Appends what fits; the first piece that does not is cut and marked.
    pub(super) fn push(&mut self, text: &str) {
        for c in text.chars() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.text.push(if self.left == 0 { '…' } else { c });
        }
    }

    /// Appends a quoted text, looking at no more of it than fits.
    pub(super) fn quoted(&mut self, text: &str) {
        let mut spelled = String::new();
        quote(&mut spelled, head(text, self.left));
        self.push(&spelled);
    }

    pub(super) fn pred(&mut self, pred: PredIdx) {
        match self.module.predicates.get(pred.index()) {
            Some(predicate) => self.predicate(predicate),
            None => self.push("?"),
        }
    }

    pub(super) fn predicate(&mut self, predicate: &Predicate) {
        self.field(predicate.field);
        self.push(" ");
        self.push(predicate.op.as_str());
        match predicate.operand {
            PredOperand::None => {}
            PredOperand::Const(k) => {
                self.push(" ");
                self.constant(k, 0);
            }
            PredOperand::Pattern(x) => {
                self.push(" ");
                self.pattern(x);
            }
            PredOperand::Field(f) => {
                self.push(" ");
                self.field(f);
            }
            PredOperand::Body(q) => {
                self.push(" ");
                self.body(q, 0);
            }
        }
    }

    /// Recurses at most [`COMMENT_DEPTH`] deep: what a body names may be a circle.
    pub(super) fn body(&mut self, body: BodyIdx, depth: usize) {
        match self.module.bodies.get(body.index()) {
            Some(found) => match found.nodes.len().checked_sub(1) {
                Some(root) => {
                    self.push("(");
                    self.node(body, root, depth);
                    self.push(")");
                }
                None => self.push("()"),
            },
            None => self.push("?"),
        }
    }

    pub(super) fn node(&mut self, body: BodyIdx, at: usize, depth: usize) {
        let node = self.module.bodies.get(body.index()).and_then(|b| b.nodes.get(at));
        if depth >= COMMENT_DEPTH || self.left == 0 {
            self.push("…");
            return;
        }
        match node {
            None => self.push("?"),
            Some(Node::And(nodes)) => self.nodes(body, nodes, " and ", depth),
            Some(Node::Or(nodes)) => self.nodes(body, nodes, " or ", depth),
            Some(Node::Not(n)) => {
                self.push("not ");
                self.nodes(body, &[*n], "", depth);
            }
            Some(Node::Pred { pred, negated }) => {
                self.push(if *negated { "not " } else { "" });
                match self.module.predicates.get(pred.index()) {
                    // Its own body is left out: it stands in its own line.
                    Some(predicate) if matches!(predicate.operand, PredOperand::Body(_)) => {
                        self.push(&pred.to_string());
                    }
                    Some(predicate) => self.predicate(predicate),
                    None => self.push("?"),
                }
            }
            Some(Node::Test(test)) => {
                self.push(if test.negated { "not " } else { "" });
                match &test.subject {
                    Subject::Item(path) => self.item(path),
                    Subject::Field(f) => self.field(*f),
                }
                self.push(" ");
                self.push(test.op.as_str());
                self.push(if matches!(test.operand, ItemOperand::Plain(PredOperand::None)) {
                    ""
                } else {
                    " "
                });
                match &test.operand {
                    ItemOperand::Item(path) => self.item(path),
                    ItemOperand::Plain(PredOperand::None) => {}
                    ItemOperand::Plain(PredOperand::Const(k)) => self.constant(*k, 0),
                    ItemOperand::Plain(PredOperand::Pattern(x)) => self.pattern(*x),
                    ItemOperand::Plain(PredOperand::Field(f)) => self.field(*f),
                    ItemOperand::Plain(PredOperand::Body(q)) => self.body(*q, depth + 1),
                }
            }
        }
    }

    pub(super) fn nodes(&mut self, body: BodyIdx, nodes: &[u32], between: &str, depth: usize) {
        self.push(if depth > 0 || between.is_empty() { "(" } else { "" });
        for (i, n) in nodes.iter().enumerate() {
            if self.left == 0 {
                return;
            }
            self.push(if i > 0 { between } else { "" });
            self.node(body, *n as usize, depth + 1);
        }
        self.push(if depth > 0 || between.is_empty() { ")" } else { "" });
    }

    pub(super) fn item(&mut self, segments: &[PathSegment]) {
        self.push("item");
        self.segments(segments, 1);
    }

    pub(super) fn pattern(&mut self, pattern: PatternIdx) {
        match self.module.patterns.get(pattern.index()) {
            Some(pattern) => {
                let mut spelled = String::new();
                regex(&mut spelled, head(&pattern.source, self.left));
                self.push(&spelled);
            }
            None => self.push("?"),
        }
    }

    pub(super) fn field(&mut self, field: FieldIdx) {
        match self.module.fields.get(field.index()) {
            Some(field) => self.segments(&field.path, 0),
            None => self.push("?"),
        }
    }

    /// Steps of a path, the first of which stands at `position`.
    pub(super) fn segments(&mut self, segments: &[PathSegment], position: usize) {
        for (i, segment) in segments.iter().enumerate() {
            if self.left == 0 {
                return;
            }
            let mut spelled = String::new();
            match segment {
                PathSegment::Key { name, .. } => step(&mut spelled, position + i, head(name, self.left)),
                PathSegment::Index(n) => spelled = format!("[{n}]"),
                PathSegment::FromEnd(n) => spelled = format!("[-{n}]"),
            }
            self.push(&spelled);
        }
    }

    pub(super) fn constant(&mut self, k: ConstIdx, depth: usize) {
        match self.module.consts.get(k.index()) {
            Some(value) => self.value(value, depth),
            None => self.push("?"),
        }
    }

    /// Recurses at most [`COMMENT_DEPTH`] deep, and every step of a loop uses up a character.
    pub(super) fn value(&mut self, value: &Const, depth: usize) {
        match value {
            Const::Null => self.push("null"),
            Const::Bool(b) => self.push(if *b { "true" } else { "false" }),
            Const::Number(n) => {
                let mut spelled = String::new();
                number(&mut spelled, *n);
                self.push(&spelled);
            }
            Const::Str(s) => self.quoted(s),
            // Not verified, it may be any text.
            Const::Decimal(text) if text.bytes().all(|b| b.is_ascii_graphic()) => {
                self.push(head(text, self.left));
            }
            Const::Decimal(text) => self.quoted(text),
            Const::Array(_) | Const::Object(_) if depth >= COMMENT_DEPTH => self.push("…"),
            Const::Array(items) => {
                self.push("[");
                for (n, item) in items.iter().enumerate() {
                    if self.left == 0 {
                        return;
                    }
                    self.push(if n == 0 { "" } else { ", " });
                    self.constant(*item, depth + 1);
                }
                self.push("]");
            }
            Const::Object(members) => {
                self.push("{");
                for (n, (key, item)) in members.iter().enumerate() {
                    if self.left == 0 {
                        return;
                    }
                    self.push(if n == 0 { "" } else { ", " });
                    self.quoted(key);
                    self.push(": ");
                    self.constant(*item, depth + 1);
                }
                self.push("}");
            }
        }
    }
}
