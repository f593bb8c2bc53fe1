//! Entries of tables, and instructions.

use super::AsmError;
use super::cursor::Cursor;
use crate::consts::Const;
use crate::disasm::is_bare_key;
use crate::ids::{BodyIdx, ConstIdx, FieldIdx, FuncIdx, Label, MemoIdx, PatternIdx, PolicyIdx, PredIdx};
use crate::instr::{Instr, Opcode, Operand};
use crate::module::{Decision, DecisionRule, Function, Limits, PathSegment, Pattern, PatternEngine};
use crate::number::Number;
use crate::predicate::{PredOp, PredOperand, Predicate};
use std::collections::HashMap;

impl Cursor<'_> {
    pub(super) fn limits(&mut self, limits: &mut Limits) -> Result<(), AsmError> {
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

    pub(super) fn function(&mut self) -> Result<Function, AsmError> {
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

    pub(super) fn key(&mut self) -> Result<String, AsmError> {
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

    /// `item` and the steps below it, where it stands here.
    pub(super) fn item(&mut self) -> Result<Option<Vec<PathSegment>>, AsmError> {
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

    pub(super) fn constant(&mut self) -> Result<Const, AsmError> {
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

    pub(super) fn pattern(&mut self) -> Result<Pattern, AsmError> {
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

    pub(super) fn predicate(&mut self) -> Result<Predicate, AsmError> {
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

    pub(super) fn op(&mut self) -> Result<PredOp, AsmError> {
        self.skip_space();
        let start = self.at;
        let name = self.word();
        let found = PredOp::ALL.iter().copied().find(|op| op.as_str() == name);
        found.ok_or_else(|| self.error_at(start, "unknown operator"))
    }

    pub(super) fn operand(&mut self) -> Result<PredOperand, AsmError> {
        Ok(match self.peek() {
            Some('k') => PredOperand::Const(ConstIdx(self.index(ConstIdx::PREFIX)?)),
            Some('x') => PredOperand::Pattern(PatternIdx(self.index(PatternIdx::PREFIX)?)),
            Some('f') => PredOperand::Field(FieldIdx(self.index(FieldIdx::PREFIX)?)),
            Some('q') => PredOperand::Body(BodyIdx(self.index(BodyIdx::PREFIX)?)),
            Some(_) | None => PredOperand::None,
        })
    }

    pub(super) fn rule(&mut self) -> Result<DecisionRule, AsmError> {
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
        Ok(DecisionRule {
            condition,
            policy,
            decision,
            fires_on_error,
        })
    }

    /// An instruction whose label operands may be names.
    pub(super) fn instruction(&mut self, labels: &HashMap<&str, usize>) -> Result<Instr, AsmError> {
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
