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
//!   f2: a.number = llm.max_cost(f0, f1, f1, f1, f1)   ; computed by an intrinsic, from other fields; `#7(…)` by number
//! .known
//!   metadata: object                      ; any, scalar, list or object; `answered` where a service says what stands there
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

mod bodies;
mod cursor;
mod entries;
mod fields;

use crate::disasm::is_bare_key;
use crate::ids::{ConstIdx, FieldIdx, FuncIdx, Label, PatternIdx, PolicyIdx, RuleIdx};
use crate::instr::Operand;
use crate::module::{Function, Limits, Module, PolicyRange};
use std::collections::HashMap;

use cursor::Cursor;

/// Why a text is not a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct AsmError {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// What was expected or found.
    pub message: String,
}

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
    Known,
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
            Section::Known => {
                let known = cursor.known()?;
                self.module.known.push(known);
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
            "known" => Section::Known,
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
