//! The disassembler: a module as text, for people (`policyc inspect --disasm`, golden tests) and for the assembler.
//!
//! Two forms share one layout. The reading form spells predicates as they were written and leaves automata out, so that
//! the listings of two optimisation levels can be compared side by side; nothing in it depends on the position of an
//! instruction but the labels. The full form is lossless: [`crate::asm::assemble`] gives back an equal module. The
//! grammar of the full form stands in [`crate::asm`].
//!
//! Works on any decoded module, verified or not: what points outside its table is shown as `?`, and comments stop after
//! a fixed number of characters, so that constants that share items (or name each other in a circle) cannot blow up.

mod comment;
mod fields;
mod places;
mod text;

pub use places::Places;
pub(crate) use text::{is_bare_key, quote};

use crate::consts::Const;
use crate::ids::{BodyIdx, FuncIdx};
use crate::instr::Role;
use crate::module::{Field, Function, ISA_VERSION, Module, PathSegment, PatternEngine};
use crate::predicate::{PredOperand, Predicate};
use crate::scan::OnHit;
use comment::Comment;
use std::collections::BTreeSet;
use text::{Aliases, node_line, number, path, regex, rule_line, separate, steps};

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
    listing(module, *options, None)
}

/// As [`disassemble`], with the place of each instruction at the end of its comment: `at policies/a.yaml:6:9`.
#[must_use]
pub fn disassemble_with_places(module: &Module, options: &DisasmOptions, places: Places<'_>) -> String {
    listing(module, *options, Some(places))
}

fn listing(module: &Module, options: DisasmOptions, places: Option<Places<'_>>) -> String {
    let mut out = Listing {
        module,
        full: options.full,
        places,
        text: String::new(),
    };
    out.header();
    out.fields();
    out.known();
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
    places: Option<Places<'m>>,
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
            self.code(FuncIdx::from_index(i), function);
        }
    }

    fn code(&mut self, id: Option<FuncIdx>, function: &Function) {
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
            let mut comment = Comment::of(self.module, *instr);
            let place = self.places.zip(id).and_then(|(places, id)| places.text(id, i));
            if let Some(place) = place {
                comment.push_str(if comment.is_empty() { "at " } else { "  at " });
                comment.push_str(&place);
            }
            self.commented(format!("    {instr}"), &comment);
        }
        if targets.contains(&function.code.len()) {
            self.line(&format!(" L{}:", function.code.len()));
        }
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
