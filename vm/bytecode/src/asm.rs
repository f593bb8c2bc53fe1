//! The assembler: reads the full form of [`crate::disasm`] back into a module, and is how tests write modules that no
//! compiler would make.
//!
//! Checks spelling only. A module that the verifier refuses can be written, which is what the verifier's tests do;
//! nothing but the text's own length bounds what is built. Never panics, for any text.
//!
//! # Grammar
//!
//! One item a line; `;` starts a comment outside quotes and slashes. Sections come in any order, entries of a table in
//! ascending order from 0. What is left out is the default: limits, zeros, empty tables.
//!
//! ```text
//! .limits fuel=1000 call_depth=8
//! .memo_cells 1
//! .fields
//!   f0: llm.maxTokens|max_tokens            ; a second spelling after `|`
//!   f1: metadata."a key"[0]                 ; an index; a key that is no plain word; `()` is the empty path
//!   f2: llm.piiTypes derived llm.piiTypes
//! .constants
//!   k0: 4096                                ; null true false 1 1.5 -inf "text\n" [k0, k1] {"key": k0}
//!   k1: decimal "1e400"                     ; a number that is neither an integer of 64 bits nor a double
//! .patterns
//!   x0: /^gpt-4/ source "too large"         ; or: dfa hex 00ff, dfa ascii_only hex 00ff; "…" where it has a slash
//!   x1: /\d/ as "[0-9]" source "too large"   ; in the engine's syntax, where that differs
//! .predicates
//!   p0: f0 gt k0 memo m0                    ; operand: k…, x…, f…, q… or nothing
//! .bodies
//!   q0:                                     ; then a line for each node: n0, n1, …
//!   test not item.role eq k0                ; `item` and a path, or f…; then as a predicate, or `item` and a path
//!   pred p0                                 ; `not` in front of the operator or the predicate negates
//!   and n0 n1                               ; or: or n0 …, not n0
//! .scans
//!   s0: f0                                  ; its field, then a line for each literal and each predicate
//!   literal "akia" exact "AKIA"             ; `exact` where the fold does not decide everywhere
//!   predicate p0 near 0 1 l0 l1             ; or: true, search; then literals by number
//! .function fn0 params=0 registers=2 flags=1 iterators=0 builders=0 memoised guard=p0|p1
//!     test p0, 1, e0, done                  ; a label by name …
//!     ret_false
//!  done:                                    ; … or L and the instruction's index, checked where it is written
//!     ret_true
//! .rules
//!   rule0: policy0 deny fn0 fires_on_error
//! .policies
//!   policy0: rule0+1                        ; first rule and number of rules
//! ```

use crate::consts::Const;
use crate::context::Derived;
use crate::disasm::is_bare_key;
use crate::ids::{
    BodyIdx, ConstIdx, FieldIdx, FuncIdx, Label, MemoIdx, PatternIdx, PolicyIdx, PredIdx, RuleIdx,
};
use crate::instr::{Instr, Opcode, Operand};
use crate::module::{
    Decision, Field, Function, Limits, Module, PathSegment, Pattern, PatternEngine, PolicyRange, Rule,
};
use crate::number::Number;
use crate::predicate::{PredOp, PredOperand, Predicate};
use crate::quantifier::{Body as ItemBody, ItemOperand, ItemTest, Node, Subject};
use crate::scan::{Literal, OnHit, Scan, Scanned};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Why a text is not a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsmError {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// What was expected or found.
    pub message: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for AsmError {}

/// Reads a module from text; see the module documentation for the grammar.
///
/// # Errors
///
/// [`AsmError`] with the first line that is not understood, or the first use of a label that is not defined.
pub fn assemble(text: &str) -> Result<Module, AsmError> {
    let mut assembler = Assembler {
        module: Module {
            limits: Limits::default(),
            ..Module::default()
        },
        section: Section::None,
        body: None,
    };
    for (n, line) in text.lines().enumerate() {
        let mut cursor = Cursor {
            line: n + 1,
            text: line,
            at: 0,
        };
        if !cursor.at_end() {
            assembler.line(&mut cursor)?;
        }
    }
    assembler.finish_function()?;
    Ok(assembler.module)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Fields,
    Constants,
    Patterns,
    Predicates,
    Bodies,
    Scans,
    Code,
    Rules,
    Policies,
}

/// A function whose labels are not resolved yet.
struct Body<'a> {
    function: Function,
    labels: HashMap<&'a str, usize>,
    lines: Vec<Cursor<'a>>,
}

struct Assembler<'a> {
    module: Module,
    section: Section,
    body: Option<Body<'a>>,
}

impl<'a> Assembler<'a> {
    fn line(&mut self, cursor: &mut Cursor<'a>) -> Result<(), AsmError> {
        if cursor.eat(".") {
            self.finish_function()?;
            return self.directive(cursor);
        }
        match self.section {
            Section::None => Err(cursor.error("a section such as `.fields` is expected first")),
            Section::Code => self.code(cursor),
            Section::Fields => {
                cursor.entry(FieldIdx::PREFIX, self.module.fields.len())?;
                let field = cursor.field()?;
                self.module.fields.push(field);
                cursor.end()
            }
            Section::Constants => {
                cursor.entry(ConstIdx::PREFIX, self.module.consts.len())?;
                let value = cursor.constant()?;
                self.module.consts.push(value);
                cursor.end()
            }
            Section::Patterns => {
                cursor.entry(PatternIdx::PREFIX, self.module.patterns.len())?;
                let pattern = cursor.pattern()?;
                self.module.patterns.push(pattern);
                cursor.end()
            }
            Section::Predicates => {
                cursor.entry("p", self.module.predicates.len())?;
                let predicate = cursor.predicate()?;
                self.module.predicates.push(predicate);
                cursor.end()
            }
            Section::Bodies => cursor.body_line(&mut self.module.bodies),
            Section::Scans => cursor.scan_line(&mut self.module.scans),
            Section::Rules => {
                cursor.entry(RuleIdx::PREFIX, self.module.rules.len())?;
                let rule = cursor.rule()?;
                self.module.rules.push(rule);
                cursor.end()
            }
            Section::Policies => {
                cursor.entry(PolicyIdx::PREFIX, self.module.policies.len())?;
                let first_rule = cursor.index(RuleIdx::PREFIX)?;
                cursor.expect("+")?;
                let rule_count = cursor.integer()?;
                self.module.policies.push(PolicyRange {
                    first_rule,
                    rule_count,
                });
                cursor.end()
            }
        }
    }

    fn directive(&mut self, cursor: &mut Cursor<'a>) -> Result<(), AsmError> {
        let start = cursor.at;
        self.section = match cursor.word() {
            "limits" => {
                cursor.limits(&mut self.module.limits)?;
                Section::None
            }
            "memo_cells" => {
                self.module.memo_cells = cursor.integer()?;
                Section::None
            }
            "fields" => Section::Fields,
            "constants" => Section::Constants,
            "patterns" => Section::Patterns,
            "predicates" => Section::Predicates,
            "bodies" => Section::Bodies,
            "scans" => Section::Scans,
            "rules" => Section::Rules,
            "policies" => Section::Policies,
            "function" => {
                let place = cursor.at;
                let index: usize = cursor.index(FuncIdx::PREFIX)?;
                if index != self.module.functions.len() {
                    return Err(
                        cursor.error_at(place, &format!("fn{} is expected", self.module.functions.len()))
                    );
                }
                self.body = Some(Body {
                    function: cursor.function()?,
                    labels: HashMap::new(),
                    lines: Vec::new(),
                });
                Section::Code
            }
            _unknown => return Err(cursor.error_at(start, "unknown directive")),
        };
        cursor.end()
    }

    /// A label or an instruction; instructions are read when all labels are known.
    fn code(&mut self, cursor: &mut Cursor<'a>) -> Result<(), AsmError> {
        let Some(body) = &mut self.body else {
            return Err(cursor.error("code outside a function"));
        };
        let instruction = cursor.clone();
        let start = cursor.at;
        let name = cursor.word();
        if !cursor.eat(":") {
            body.lines.push(instruction);
            return Ok(());
        }
        if !is_bare_key(name) {
            return Err(cursor.error_at(start, "a label name is expected"));
        }
        let here = body.lines.len();
        if let Some(numbered) = Label::parse(name) {
            if numbered.index() != here {
                return Err(cursor.error_at(start, &format!("this label stands before instruction {here}")));
            }
        } else if body.labels.insert(name, here).is_some() {
            return Err(cursor.error_at(start, "this label is defined twice"));
        }
        cursor.end()
    }

    fn finish_function(&mut self) -> Result<(), AsmError> {
        let Some(mut body) = self.body.take() else {
            return Ok(());
        };
        for mut line in body.lines {
            let instr = line.instruction(&body.labels)?;
            body.function.code.push(instr);
        }
        self.module.functions.push(body.function);
        Ok(())
    }
}

/// A place in one line. Columns are counted only when an error is made.
#[derive(Clone)]
struct Cursor<'a> {
    line: usize,
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn error(&self, message: &str) -> AsmError {
        self.error_at(self.at, message)
    }

    fn error_at(&self, at: usize, message: &str) -> AsmError {
        AsmError {
            line: self.line,
            column: self.text.get(..at).unwrap_or(self.text).chars().count() + 1,
            message: message.to_owned(),
        }
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Whether nothing but a comment is left.
    fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty() || self.rest().starts_with(';')
    }

    fn end(&mut self) -> Result<(), AsmError> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.error("the end of the line is expected"))
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), AsmError> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.error(&format!("`{token}` is expected")))
        }
    }

    /// Letters, digits, `_` and `-`; empty when none stands here.
    fn word(&mut self) -> &'a str {
        self.skip_space();
        self.while_matching(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    }

    fn while_matching(&mut self, matching: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !matching(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or("")
    }

    fn integer<T: FromStr>(&mut self) -> Result<T, AsmError> {
        self.skip_space();
        let start = self.at;
        self.while_matching(|c| c.is_ascii_digit())
            .parse()
            .map_err(|_| self.error_at(start, "a number in range is expected"))
    }

    /// An index with its prefix: `k3`.
    fn index<T: FromStr>(&mut self, prefix: &str) -> Result<T, AsmError> {
        self.skip_space();
        let start = self.at;
        self.word()
            .strip_prefix(prefix)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| self.error_at(start, &format!("`{prefix}` and a number in range are expected")))
    }

    /// The start of a table entry, which has to be the next one.
    fn entry(&mut self, prefix: &str, next: usize) -> Result<(), AsmError> {
        self.skip_space();
        let start = self.at;
        let index: usize = self.index(prefix)?;
        if index != next {
            return Err(self.error_at(start, &format!("{prefix}{next} is expected")));
        }
        self.expect(":")
    }

    fn quoted(&mut self) -> Result<String, AsmError> {
        self.skip_space();
        let start = self.at;
        let bad = |cursor: &Self, what: &str| cursor.error_at(start, what);
        let mut chars = self.rest().char_indices();
        if chars.next().is_none_or(|(_, c)| c != '"') {
            return Err(bad(self, "a quoted text is expected"));
        }
        let mut out = String::new();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(out);
                }
                '\\' => {
                    let escaped = match chars.next().map(|(_, c)| c) {
                        Some('n') => Some('\n'),
                        Some('r') => Some('\r'),
                        Some('t') => Some('\t'),
                        Some('0') => Some('\0'),
                        Some(c @ ('"' | '\'' | '\\')) => Some(c),
                        Some('u') => unicode_escape(chars.by_ref().map(|(_, c)| c)),
                        Some(_) | None => None,
                    };
                    out.push(escaped.ok_or_else(|| bad(self, "an escape in this text is not understood"))?);
                }
                plain => out.push(plain),
            }
        }
        Err(bad(self, "this text has no closing quote"))
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    fn limits(&mut self, limits: &mut Limits) -> Result<(), AsmError> {
        while !self.at_end() {
            let start = self.at;
            let name = self.word();
            self.expect("=")?;
            match name {
                "fuel" => limits.fuel = self.integer()?,
                "body_bytes" => limits.body_bytes = self.integer()?,
                "depth" => limits.depth = self.integer()?,
                "arena_bytes" => limits.arena_bytes = self.integer()?,
                "call_depth" => limits.call_depth = self.integer()?,
                _unknown => return Err(self.error_at(start, "unknown limit")),
            }
        }
        Ok(())
    }

    fn function(&mut self) -> Result<Function, AsmError> {
        let mut function = Function::default();
        while !self.at_end() {
            let start = self.at;
            let name = self.word();
            if name == "memoised" {
                function.memoised = true;
                continue;
            }
            self.expect("=")?;
            match name {
                "params" => function.params = self.integer()?,
                "registers" => function.registers = self.integer()?,
                "flags" => function.flags = self.integer()?,
                "iterators" => function.iterators = self.integer()?,
                "builders" => function.builders = self.integer()?,
                "guard" => {
                    let mut guard = vec![PredIdx(self.index(PredIdx::PREFIX)?)];
                    while self.eat("|") {
                        guard.push(PredIdx(self.index(PredIdx::PREFIX)?));
                    }
                    function.guards.push(guard);
                }
                _unknown => return Err(self.error_at(start, "unknown property of a function")),
            }
        }
        Ok(function)
    }

    fn key(&mut self) -> Result<String, AsmError> {
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let start = self.at;
        let name = self.while_matching(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if is_bare_key(name) {
            Ok(name.to_owned())
        } else {
            Err(self.error_at(start, "a key is expected"))
        }
    }

    fn field(&mut self) -> Result<Field, AsmError> {
        let mut path = Vec::new();
        if !self.eat("()") {
            self.skip_space();
            self.steps(&mut path)?;
        }
        let mut derived = None;
        if !self.at_end() {
            let start = self.at;
            self.expect("derived")?;
            self.skip_space();
            let name = self.while_matching(|c| !c.is_whitespace() && c != ';');
            derived = Derived::ALL.iter().copied().find(|d| d.path() == name);
            if derived.is_none() {
                return Err(self.error_at(start, "no derived field has this path"));
            }
        }
        Ok(Field { path, derived })
    }

    /// The steps of a path, at least one.
    fn steps(&mut self, path: &mut Vec<PathSegment>) -> Result<(), AsmError> {
        loop {
            if self.rest().starts_with('[') {
                self.at += 1;
                path.push(if self.rest().starts_with('-') {
                    self.at += 1;
                    PathSegment::FromEnd(self.integer()?)
                } else {
                    PathSegment::Index(self.integer()?)
                });
                self.expect("]")?;
            } else {
                let dot = self.rest().starts_with('.');
                if dot {
                    self.at += 1;
                }
                if dot == path.is_empty() {
                    return Err(self.error("a key or an index is expected"));
                }
                let name = self.key()?;
                let mut aliases = Vec::new();
                while self.rest().starts_with('|') {
                    self.at += 1;
                    aliases.push(self.key()?);
                }
                path.push(PathSegment::Key { name, aliases });
            }
            if !self.rest().starts_with(['.', '[']) {
                return Ok(());
            }
        }
    }

    /// `item` and the steps below it, where it stands here.
    fn item(&mut self) -> Result<Option<Vec<PathSegment>>, AsmError> {
        self.skip_space();
        let start = self.at;
        if self.word() != "item" {
            self.at = start;
            return Ok(None);
        }
        let mut path = Vec::new();
        if self.rest().starts_with(['.', '[']) {
            // The first step needs something in front of its dot.
            path.push(PathSegment::Index(0));
            self.steps(&mut path)?;
            path.remove(0);
        }
        Ok(Some(path))
    }

    fn constant(&mut self) -> Result<Const, AsmError> {
        match self.peek() {
            Some('"') => self.quoted().map(Const::Str),
            Some('[') => {
                self.expect("[")?;
                let mut items = Vec::new();
                while !self.eat("]") {
                    if !items.is_empty() {
                        self.expect(",")?;
                    }
                    items.push(ConstIdx(self.index(ConstIdx::PREFIX)?));
                }
                Ok(Const::Array(items))
            }
            Some('{') => {
                self.expect("{")?;
                let mut members = Vec::new();
                while !self.eat("}") {
                    if !members.is_empty() {
                        self.expect(",")?;
                    }
                    let key = self.quoted()?;
                    self.expect(":")?;
                    members.push((key, ConstIdx(self.index(ConstIdx::PREFIX)?)));
                }
                Ok(Const::Object(members))
            }
            Some(_) | None => {
                let start = self.at;
                let word = self.while_matching(|c| !c.is_whitespace() && c != ';');
                match word {
                    "null" => Ok(Const::Null),
                    "true" => Ok(Const::Bool(true)),
                    "false" => Ok(Const::Bool(false)),
                    "decimal" => self.quoted().map(Const::Decimal),
                    _number => number(word)
                        .map(Const::Number)
                        .ok_or_else(|| self.error_at(start, "a constant is expected")),
                }
            }
        }
    }

    fn pattern(&mut self) -> Result<Pattern, AsmError> {
        let source = if self.peek() == Some('/') {
            let start = self.at;
            self.at += 1;
            let source = self.while_matching(|c| c != '/');
            if !self.rest().starts_with('/') {
                return Err(self.error_at(start, "this pattern has no closing slash"));
            }
            self.at += 1;
            source.to_owned()
        } else {
            self.quoted()?
        };
        let translated = if self.eat("as") {
            self.quoted()?
        } else {
            source.clone()
        };
        self.skip_space();
        let start = self.at;
        let engine = match self.word() {
            "dfa" => {
                let ascii_only = self.eat("ascii_only");
                if !self.eat("hex") {
                    return Err(self.error(
                        "`hex` and the automaton's bytes are expected; the reading form cannot be assembled",
                    ));
                }
                self.skip_space();
                let start = self.at;
                let digits = self.while_matching(|c| c.is_ascii_alphanumeric());
                let bytes = hex(digits)
                    .ok_or_else(|| self.error_at(start, "two hexadecimal digits a byte are expected"))?;
                PatternEngine::Dfa {
                    bytes: bytes.into(),
                    ascii_only,
                }
            }
            "source" => PatternEngine::Source {
                reason: self.quoted()?,
            },
            _unknown => return Err(self.error_at(start, "`dfa` or `source` is expected")),
        };
        Ok(Pattern {
            source,
            translated,
            engine,
        })
    }

    fn predicate(&mut self) -> Result<Predicate, AsmError> {
        let field = FieldIdx(self.index(FieldIdx::PREFIX)?);
        let op = self.op()?;
        let operand = self.operand()?;
        let memo = if self.eat("memo") {
            Some(MemoIdx(self.index(MemoIdx::PREFIX)?))
        } else {
            None
        };
        Ok(Predicate {
            op,
            field,
            operand,
            memo,
        })
    }

    fn op(&mut self) -> Result<PredOp, AsmError> {
        self.skip_space();
        let start = self.at;
        let name = self.word();
        let found = PredOp::ALL.iter().copied().find(|op| op.as_str() == name);
        found.ok_or_else(|| self.error_at(start, "unknown operator"))
    }

    fn operand(&mut self) -> Result<PredOperand, AsmError> {
        Ok(match self.peek() {
            Some('k') => PredOperand::Const(ConstIdx(self.index(ConstIdx::PREFIX)?)),
            Some('x') => PredOperand::Pattern(PatternIdx(self.index(PatternIdx::PREFIX)?)),
            Some('f') => PredOperand::Field(FieldIdx(self.index(FieldIdx::PREFIX)?)),
            Some('q') => PredOperand::Body(BodyIdx(self.index(BodyIdx::PREFIX)?)),
            Some(_) | None => PredOperand::None,
        })
    }

    /// A line of a body: its head, or a node.
    fn body_line(&mut self, bodies: &mut Vec<ItemBody>) -> Result<(), AsmError> {
        self.skip_space();
        let start = self.at;
        let word = self.word();
        let Some(body) = bodies.last_mut().filter(|_| !word.starts_with(BodyIdx::PREFIX)) else {
            self.at = start;
            self.entry(BodyIdx::PREFIX, bodies.len())?;
            bodies.push(ItemBody::default());
            return self.end();
        };
        let node = match word {
            "and" => Node::And(self.nodes()?),
            "or" => Node::Or(self.nodes()?),
            "not" => Node::Not(self.index("n")?),
            "pred" => {
                let negated = self.eat("not ");
                Node::Pred {
                    pred: PredIdx(self.index(PredIdx::PREFIX)?),
                    negated,
                }
            }
            "test" => {
                let negated = self.eat("not ");
                let subject = match self.item()? {
                    Some(path) => Subject::Item(path),
                    None => Subject::Field(FieldIdx(self.index(FieldIdx::PREFIX)?)),
                };
                let op = self.op()?;
                let operand = match self.item()? {
                    Some(path) => ItemOperand::Item(path),
                    None => ItemOperand::Plain(self.operand()?),
                };
                Node::Test(ItemTest {
                    op,
                    subject,
                    operand,
                    negated,
                })
            }
            _unknown => return Err(self.error_at(start, "`and`, `or`, `not`, `pred` or `test` is expected")),
        };
        body.nodes.push(node);
        self.end()
    }

    fn nodes(&mut self) -> Result<Vec<u32>, AsmError> {
        let mut nodes = Vec::new();
        while !self.at_end() {
            nodes.push(self.index("n")?);
        }
        Ok(nodes)
    }

    /// A line of a scan: its head, a literal, or a predicate.
    fn scan_line(&mut self, scans: &mut Vec<Scan>) -> Result<(), AsmError> {
        self.skip_space();
        let start = self.at;
        let word = self.word();
        match (word, scans.last_mut()) {
            ("literal", Some(scan)) => {
                let folded = self.quoted()?;
                let exact = if self.eat("exact") {
                    self.quoted()?
                } else {
                    String::new()
                };
                scan.literals.push(Literal { folded, exact });
            }
            ("predicate", Some(scan)) => {
                let scanned = self.scanned()?;
                scan.predicates.push(scanned);
            }
            _head => {
                self.at = start;
                self.entry("s", scans.len())?;
                scans.push(Scan {
                    field: FieldIdx(self.index(FieldIdx::PREFIX)?),
                    literals: Vec::new(),
                    predicates: Vec::new(),
                });
            }
        }
        self.end()
    }

    fn scanned(&mut self) -> Result<Scanned, AsmError> {
        let predicate = PredIdx(self.index(PredIdx::PREFIX)?);
        self.skip_space();
        let start = self.at;
        let on_hit = match self.word() {
            "true" => OnHit::True,
            "search" => OnHit::Search,
            "near" => OnHit::Near {
                min: self.integer()?,
                max: self.integer()?,
            },
            _unknown => return Err(self.error_at(start, "`true`, `search` or `near` is expected")),
        };
        let mut literals = Vec::new();
        while !self.at_end() {
            literals.push(self.index("l")?);
        }
        Ok(Scanned {
            predicate,
            literals,
            on_hit,
        })
    }

    fn rule(&mut self) -> Result<Rule, AsmError> {
        const DECISIONS: [Decision; 4] = [Decision::Allow, Decision::Warn, Decision::Modify, Decision::Deny];
        let policy = PolicyIdx(self.index(PolicyIdx::PREFIX)?);
        self.skip_space();
        let start = self.at;
        let name = self.word();
        let decision = DECISIONS
            .into_iter()
            .find(|d| d.as_str() == name)
            .ok_or_else(|| self.error_at(start, "unknown decision"))?;
        let condition = FuncIdx(self.index(FuncIdx::PREFIX)?);
        let fires_on_error = self.eat("fires_on_error");
        Ok(Rule {
            condition,
            policy,
            decision,
            fires_on_error,
        })
    }

    /// An instruction whose label operands may be names.
    fn instruction(&mut self, labels: &HashMap<&str, usize>) -> Result<Instr, AsmError> {
        self.skip_space();
        let start = self.at;
        let mnemonic = self.word();
        let Some(opcode) = Opcode::ALL.iter().copied().find(|op| op.mnemonic() == mnemonic) else {
            return Err(self.error_at(start, "unknown instruction"));
        };
        let mut text = mnemonic.to_owned();
        for (n, (name, kind)) in opcode.operands().iter().enumerate() {
            if n > 0 {
                self.expect(",")?;
            }
            self.skip_space();
            let place = self.at;
            let operand = self.while_matching(|c| !c.is_whitespace() && !matches!(c, ',' | ';'));
            text.push_str(if n == 0 { " " } else { ", " });
            if *kind != Label::KIND || Label::parse(operand).is_some() {
                text.push_str(operand);
            } else if let Some(target) = labels.get(operand) {
                text.push_str(&format!("{}{target}", Label::PREFIX));
            } else {
                return Err(self.error_at(place, "this label is not defined"));
            }
            if operand.is_empty() {
                return Err(self.error_at(place, &format!("the operand `{name}` ({kind}) is missing")));
            }
        }
        self.end()?;
        Instr::parse(&text).ok_or_else(|| {
            let kinds: Vec<&str> = opcode.operands().iter().map(|(_, kind)| *kind).collect();
            self.error_at(start, &format!("{mnemonic} takes: {}", kinds.join(", ")))
        })
    }
}

/// The rest of `\u{…}`.
fn unicode_escape(mut chars: impl Iterator<Item = char>) -> Option<char> {
    if chars.next() != Some('{') {
        return None;
    }
    let mut code: u32 = 0;
    for _ in 0..7 {
        match chars.next()? {
            '}' => return char::from_u32(code),
            digit => code = code.checked_mul(16)?.checked_add(digit.to_digit(16)?)?,
        }
    }
    None
}

/// A number in the spelling of the disassembler; a plain integer becomes its canonical variant.
fn number(text: &str) -> Option<Number> {
    if let Some(bits) = text.strip_prefix("nan:") {
        let value = f64::from_bits(u64::from_str_radix(bits, 16).ok()?);
        return value.is_nan().then_some(Number::Float(value));
    }
    if let Some(unsigned) = text.strip_suffix('u') {
        return unsigned.parse().ok().map(Number::UInt);
    }
    if let Ok(n) = text.parse::<i64>() {
        return Some(Number::Int(n));
    }
    if let Ok(n) = text.parse::<u64>() {
        return Some(Number::UInt(n));
    }
    let float = text.contains(['.', 'e', 'E']) || matches!(text, "inf" | "-inf");
    text.parse::<f64>()
        .ok()
        .filter(|x| float && !x.is_nan())
        .map(Number::Float)
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            pair.iter().try_fold(0u8, |byte, digit| {
                let digit = char::from(*digit).to_digit(16)?;
                Some(byte << 4 | u8::try_from(digit).ok()?)
            })
        })
        .collect()
}
