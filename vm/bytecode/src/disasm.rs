//! The disassembler: a module as text, for people (`policyc inspect --disasm`, golden tests) and for the assembler.
//!
//! Two forms share one layout. The reading form spells predicates as they were written and leaves automata out, so that
//! the listings of two optimisation levels can be compared side by side; nothing in it depends on the position of an
//! instruction but the labels. The full form is lossless: [`crate::asm::assemble`] gives back an equal module. The
//! grammar of the full form stands in [`crate::asm`].
//!
//! Works on any decoded module, verified or not: what points outside its table is shown as `?`, and comments stop after
//! a fixed number of characters, so that constants that share items (or name each other in a circle) cannot blow up.

use crate::consts::Const;
use crate::ids::{BodyIdx, ConstIdx, FieldIdx, PatternIdx, PredIdx};
use crate::instr::{Instr, Role};
use crate::module::{Field, Function, ISA_VERSION, Module, PathSegment, PatternEngine, Rule};
use crate::number::Number;
use crate::predicate::{PredOperand, Predicate};
use crate::quantifier::{ItemOperand, Node, Subject};
use crate::scan::OnHit;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Characters after which a comment is cut.
const COMMENT_CHARS: usize = 96;
/// Nesting that is spelled out in a comment.
const COMMENT_DEPTH: usize = 4;
/// Column at which comments of instructions start.
const COMMENT_COLUMN: usize = 36;
/// Rules that are named above a function.
const RULES_NAMED: usize = 4;

/// How a module is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DisasmOptions {
    /// Lossless: everything that the assembler needs, automata as hexadecimal digits. Otherwise the reading form.
    pub full: bool,
}

/// Writes a module as text. Takes time linear in the size of the module.
#[must_use]
pub fn disassemble(module: &Module, options: &DisasmOptions) -> String {
    let mut out = Listing {
        module,
        full: options.full,
        text: String::new(),
    };
    out.header();
    out.fields();
    out.consts();
    out.patterns();
    out.predicates();
    out.bodies();
    out.scans();
    out.functions();
    out.rules();
    out.policies();
    out.text
}

/// A field's path as the listings spell it: `llm.maxTokens`, without aliases.
#[must_use]
pub fn field_path(field: &Field) -> String {
    let mut out = String::new();
    path(&mut out, field, Aliases::Left);
    out
}

/// A path as the listings spell it, without aliases.
#[must_use]
pub fn path_text(segments: &[PathSegment]) -> String {
    let mut out = String::new();
    steps(&mut out, segments, Aliases::Left, 0);
    out
}

/// A predicate as it was written: `llm.model matches /^gpt-4/`. Long operands are cut.
#[must_use]
pub fn predicate_text(module: &Module, predicate: &Predicate) -> String {
    let mut out = Comment::new(module);
    out.predicate(predicate);
    out.text
}

struct Listing<'m> {
    module: &'m Module,
    full: bool,
    text: String,
}

impl Listing<'_> {
    /// One line. Writing to a `String` cannot fail.
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn section(&mut self, name: &str, entries: usize) {
        if entries > 0 {
            self.text.push('\n');
            self.line(name);
        }
    }

    /// One line with a comment that starts at the usual column.
    fn commented(&mut self, mut line: String, comment: &str) {
        if !comment.is_empty() {
            let used = line.chars().count();
            let pad = COMMENT_COLUMN.saturating_sub(used).max(1);
            line.extend(std::iter::repeat_n(' ', pad));
            line.push_str("; ");
            line.push_str(comment);
        }
        self.line(&line);
    }

    fn header(&mut self) {
        self.line(&format!("; policy module, instruction set {ISA_VERSION}"));
        let limits = &self.module.limits;
        let line = format!(
            ".limits fuel={} body_bytes={} depth={} arena_bytes={} call_depth={}",
            limits.fuel, limits.body_bytes, limits.depth, limits.arena_bytes, limits.call_depth
        );
        self.line(&line);
        self.line(&format!(".memo_cells {}", self.module.memo_cells));
    }

    fn fields(&mut self) {
        self.section(".fields", self.module.fields.len());
        for (i, field) in self.module.fields.iter().enumerate() {
            let mut line = format!("  f{i}: ");
            path(&mut line, field, Aliases::Written);
            if let Some(derived) = field.derived {
                line.push_str(" derived ");
                line.push_str(derived.path());
            }
            self.line(&line);
        }
    }

    fn consts(&mut self) {
        self.section(".constants", self.module.consts.len());
        for (i, value) in self.module.consts.iter().enumerate() {
            let mut line = format!("  k{i}: ");
            let mut comment = Comment::new(self.module);
            match value {
                Const::Null => line.push_str("null"),
                Const::Bool(b) => line.push_str(if *b { "true" } else { "false" }),
                Const::Number(n) => number(&mut line, *n),
                Const::Str(s) => quote(&mut line, s),
                Const::Decimal(text) => {
                    line.push_str("decimal ");
                    quote(&mut line, text);
                }
                Const::Array(items) => {
                    line.push('[');
                    for (n, item) in items.iter().enumerate() {
                        separate(&mut line, n);
                        line.push_str(&item.to_string());
                    }
                    line.push(']');
                    comment.value(value, 0);
                }
                Const::Object(members) => {
                    line.push('{');
                    for (n, (key, item)) in members.iter().enumerate() {
                        separate(&mut line, n);
                        quote(&mut line, key);
                        line.push_str(": ");
                        line.push_str(&item.to_string());
                    }
                    line.push('}');
                    comment.value(value, 0);
                }
            }
            self.commented(line, &comment.text);
        }
    }

    fn patterns(&mut self) {
        self.section(".patterns", self.module.patterns.len());
        for (i, pattern) in self.module.patterns.iter().enumerate() {
            let mut line = format!("  x{i}: ");
            regex(&mut line, &pattern.source);
            if self.full && pattern.translated != pattern.source {
                line.push_str(" as ");
                quote(&mut line, &pattern.translated);
            }
            match &pattern.engine {
                PatternEngine::Dfa { bytes, ascii_only } => {
                    line.push_str(" dfa");
                    if *ascii_only {
                        line.push_str(" ascii_only");
                    }
                    if self.full {
                        line.push_str(" hex ");
                        for byte in bytes.iter() {
                            for nibble in [byte >> 4, byte & 15] {
                                line.extend(char::from_digit(u32::from(nibble), 16));
                            }
                        }
                    } else {
                        line.push_str(&format!(" {} bytes", bytes.len()));
                    }
                }
                PatternEngine::Source { reason } => {
                    line.push_str(" source ");
                    quote(&mut line, reason);
                }
            }
            self.line(&line);
        }
    }

    fn predicates(&mut self) {
        self.section(".predicates", self.module.predicates.len());
        for (i, predicate) in self.module.predicates.iter().enumerate() {
            let spelled = predicate_text(self.module, predicate);
            let memo = predicate.memo.map_or_else(String::new, |m| format!(" memo {m}"));
            if self.full {
                let operand = match predicate.operand {
                    PredOperand::None => String::new(),
                    PredOperand::Const(k) => format!(" {k}"),
                    PredOperand::Pattern(x) => format!(" {x}"),
                    PredOperand::Field(f) => format!(" {f}"),
                    PredOperand::Body(q) => format!(" {q}"),
                };
                let line = format!(
                    "  p{i}: {} {}{operand}{memo}",
                    predicate.field,
                    predicate.op.as_str()
                );
                self.commented(line, &spelled);
            } else {
                self.line(&format!("  p{i}: {spelled}{memo}"));
            }
        }
    }

    fn bodies(&mut self) {
        self.section(".bodies", self.module.bodies.len());
        for (i, body) in self.module.bodies.iter().enumerate() {
            let mut comment = Comment::new(self.module);
            if let Some(id) = BodyIdx::from_index(i) {
                comment.body(id, 0);
            }
            self.commented(format!("  q{i}:"), &comment.text);
            for (n, node) in body.nodes.iter().enumerate() {
                let line = format!("    {}", node_line(node));
                self.commented(line, &format!("n{n}"));
            }
        }
    }

    fn scans(&mut self) {
        self.section(".scans", self.module.scans.len());
        for (i, scan) in self.module.scans.iter().enumerate() {
            let mut comment = Comment::new(self.module);
            comment.field(scan.field);
            self.commented(format!("  s{i}: {}", scan.field), &comment.text);
            for (n, literal) in scan.literals.iter().enumerate() {
                let mut line = String::from("    literal ");
                quote(&mut line, &literal.folded);
                if !literal.exact.is_empty() {
                    line.push_str(" exact ");
                    quote(&mut line, &literal.exact);
                }
                self.commented(line, &format!("l{n}"));
            }
            for scanned in &scan.predicates {
                let on_hit = match scanned.on_hit {
                    OnHit::True => "true".to_owned(),
                    OnHit::Search => "search".to_owned(),
                    OnHit::Near { min, max } => format!("near {min} {max}"),
                };
                let mut line = format!("    predicate {} {on_hit}", scanned.predicate);
                for literal in &scanned.literals {
                    line.push_str(&format!(" l{literal}"));
                }
                let mut comment = Comment::new(self.module);
                comment.pred(scanned.predicate);
                self.commented(line, &comment.text);
            }
        }
    }

    fn functions(&mut self) {
        let mut conditions: Vec<Vec<usize>> = vec![Vec::new(); self.module.functions.len()];
        for (i, rule) in self.module.rules.iter().enumerate() {
            if let Some(users) = conditions.get_mut(rule.condition.index()) {
                users.push(i);
            }
        }
        for (i, function) in self.module.functions.iter().enumerate() {
            let mut line = format!(".function fn{i}");
            for (name, value) in [
                ("params", function.params),
                ("registers", function.registers),
                ("flags", u16::from(function.flags)),
                ("iterators", u16::from(function.iterators)),
                ("builders", u16::from(function.builders)),
            ] {
                if value != 0 {
                    line.push_str(&format!(" {name}={value}"));
                }
            }
            if function.memoised {
                line.push_str(" memoised");
            }
            for guard in &function.guards {
                let preds: Vec<String> = guard.iter().map(ToString::to_string).collect();
                line.push_str(&format!(" guard={}", preds.join("|")));
            }
            let users = conditions.get(i).map_or(&[][..], Vec::as_slice);
            let mut comment = String::new();
            for (n, rule) in users.iter().take(RULES_NAMED).enumerate() {
                comment.push_str(if n == 0 { "condition of " } else { ", " });
                comment.push_str(&format!("rule{rule}"));
            }
            if users.len() > RULES_NAMED {
                comment.push_str(&format!(" and {} more", users.len() - RULES_NAMED));
            }
            self.text.push('\n');
            self.commented(line, &comment);
            self.code(function);
        }
    }

    fn code(&mut self, function: &Function) {
        let mut targets = BTreeSet::new();
        for instr in &function.code {
            instr.roles(|role| {
                if let Role::Jump(target) = role {
                    targets.insert(target.index());
                }
            });
        }
        for (i, instr) in function.code.iter().enumerate() {
            if targets.contains(&i) {
                self.line(&format!(" L{i}:"));
            }
            let comment = self.explain(*instr);
            self.commented(format!("    {instr}"), &comment);
        }
        if targets.contains(&function.code.len()) {
            self.line(&format!(" L{}:", function.code.len()));
        }
    }

    /// What the operands of an instruction stand for; empty when its text says everything.
    fn explain(&self, instr: Instr) -> String {
        let mut out = Comment::new(self.module);
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
                Role::Func(f) => match self.module.functions.get(f.index()) {
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

    fn rules(&mut self) {
        self.section(".rules", self.module.rules.len());
        for (i, rule) in self.module.rules.iter().enumerate() {
            let line = rule_line(i, rule);
            self.line(&line);
        }
    }

    fn policies(&mut self) {
        self.section(".policies", self.module.policies.len());
        for (i, policy) in self.module.policies.iter().enumerate() {
            self.line(&format!(
                "  policy{i}: rule{}+{}",
                policy.first_rule, policy.rule_count
            ));
        }
    }
}

/// A node as the assembler reads it.
fn node_line(node: &Node) -> String {
    let list = |word: &str, nodes: &[u32]| {
        let mut line = word.to_owned();
        for n in nodes {
            line.push_str(&format!(" n{n}"));
        }
        line
    };
    let not = |negated: bool| if negated { "not " } else { "" };
    match node {
        Node::And(nodes) => list("and", nodes),
        Node::Or(nodes) => list("or", nodes),
        Node::Not(n) => format!("not n{n}"),
        Node::Pred { pred, negated } => format!("pred {}{pred}", not(*negated)),
        Node::Test(test) => {
            let mut line = format!("test {}", not(test.negated));
            match &test.subject {
                Subject::Item(steps) => item_path(&mut line, steps, Aliases::Written),
                Subject::Field(f) => line.push_str(&f.to_string()),
            }
            line.push(' ');
            line.push_str(test.op.as_str());
            match &test.operand {
                ItemOperand::Item(steps) => {
                    line.push(' ');
                    item_path(&mut line, steps, Aliases::Written);
                }
                ItemOperand::Plain(PredOperand::None) => {}
                ItemOperand::Plain(PredOperand::Const(k)) => line.push_str(&format!(" {k}")),
                ItemOperand::Plain(PredOperand::Pattern(x)) => line.push_str(&format!(" {x}")),
                ItemOperand::Plain(PredOperand::Field(f)) => line.push_str(&format!(" {f}")),
                ItemOperand::Plain(PredOperand::Body(q)) => line.push_str(&format!(" {q}")),
            }
            line
        }
    }
}

/// The path of what lies in an element.
fn item_path(out: &mut String, segments: &[PathSegment], aliases: Aliases) {
    out.push_str("item");
    steps(out, segments, aliases, 1);
}

fn rule_line(index: usize, rule: &Rule) -> String {
    let tail = if rule.fires_on_error {
        " fires_on_error"
    } else {
        ""
    };
    format!(
        "  rule{index}: {} {} {}{tail}",
        rule.policy,
        rule.decision.as_str(),
        rule.condition
    )
}

/// Text of bounded length that explains an operand.
struct Comment<'m> {
    module: &'m Module,
    text: String,
    left: usize,
}

impl<'m> Comment<'m> {
    fn new(module: &'m Module) -> Self {
        Self {
            module,
            text: String::new(),
            left: COMMENT_CHARS,
        }
    }

    /// Appends what fits; the first piece that does not is cut and marked.
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.text.push(if self.left == 0 { '…' } else { c });
        }
    }

    /// Appends a quoted text, looking at no more of it than fits.
    fn quoted(&mut self, text: &str) {
        let mut spelled = String::new();
        quote(&mut spelled, head(text, self.left));
        self.push(&spelled);
    }

    fn pred(&mut self, pred: PredIdx) {
        match self.module.predicates.get(pred.index()) {
            Some(predicate) => self.predicate(predicate),
            None => self.push("?"),
        }
    }

    fn predicate(&mut self, predicate: &Predicate) {
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
    fn body(&mut self, body: BodyIdx, depth: usize) {
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

    fn node(&mut self, body: BodyIdx, at: usize, depth: usize) {
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

    fn nodes(&mut self, body: BodyIdx, nodes: &[u32], between: &str, depth: usize) {
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

    fn item(&mut self, segments: &[PathSegment]) {
        self.push("item");
        self.segments(segments, 1);
    }

    fn pattern(&mut self, pattern: PatternIdx) {
        match self.module.patterns.get(pattern.index()) {
            Some(pattern) => {
                let mut spelled = String::new();
                regex(&mut spelled, head(&pattern.source, self.left));
                self.push(&spelled);
            }
            None => self.push("?"),
        }
    }

    fn field(&mut self, field: FieldIdx) {
        match self.module.fields.get(field.index()) {
            Some(field) => self.segments(&field.path, 0),
            None => self.push("?"),
        }
    }

    /// Steps of a path, the first of which stands at `position`.
    fn segments(&mut self, segments: &[PathSegment], position: usize) {
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

    fn constant(&mut self, k: ConstIdx, depth: usize) {
        match self.module.consts.get(k.index()) {
            Some(value) => self.value(value, depth),
            None => self.push("?"),
        }
    }

    /// Recurses at most [`COMMENT_DEPTH`] deep, and every step of a loop uses up a character.
    fn value(&mut self, value: &Const, depth: usize) {
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

/// The first `chars` characters of a text.
fn head(text: &str, chars: usize) -> &str {
    text.char_indices()
        .nth(chars)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

fn separate(line: &mut String, position: usize) {
    if position > 0 {
        line.push_str(", ");
    }
}

/// Whether a key may stand in a path without quotes.
pub(crate) fn is_bare_key(key: &str) -> bool {
    let mut chars = key.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn key(out: &mut String, text: &str) {
    if is_bare_key(text) {
        out.push_str(text);
    } else {
        quote(out, text);
    }
}

/// One key of a path, with the dot before it where it is not the first.
fn step(out: &mut String, position: usize, name: &str) {
    if position > 0 {
        out.push('.');
    }
    key(out, name);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Aliases {
    Left,
    Written,
}

fn path(out: &mut String, field: &Field, aliases: Aliases) {
    if field.path.is_empty() {
        out.push_str("()");
    }
    steps(out, &field.path, aliases, 0);
}

/// Steps of a path, the first of which stands at `position`.
fn steps(out: &mut String, segments: &[PathSegment], aliases: Aliases, position: usize) {
    for (i, segment) in segments.iter().enumerate() {
        match segment {
            PathSegment::Key {
                name,
                aliases: others,
            } => {
                step(out, position + i, name);
                if aliases == Aliases::Written {
                    for alias in others {
                        out.push('|');
                        key(out, alias);
                    }
                }
            }
            PathSegment::Index(n) => out.push_str(&format!("[{n}]")),
            PathSegment::FromEnd(n) => out.push_str(&format!("[-{n}]")),
        }
    }
}

/// A number so that reading it gives the same variant and bits, canonical or not.
fn number(out: &mut String, value: Number) {
    let spelled = match value {
        Number::Int(n) => n.to_string(),
        Number::UInt(n) if i64::try_from(n).is_ok() => format!("{n}u"),
        Number::UInt(n) => n.to_string(),
        Number::Float(x) if x.is_nan() => format!("nan:{:016x}", x.to_bits()),
        Number::Float(x) => format!("{x:?}"),
    };
    out.push_str(&spelled);
}

/// A text in double quotes, on one line; characters that do not show are escaped.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if c == '\'' {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out.push('"');
}

/// A pattern between slashes where it has none and every character of it shows, else in quotes.
fn regex(out: &mut String, source: &str) {
    let plain = |c: char| matches!(c, '\\' | '"' | '\'') || c.escape_debug().len() == 1;
    if !source.contains('/') && source.chars().all(plain) {
        let _infallible = write!(out, "/{source}/");
    } else {
        quote(out, source);
    }
}
