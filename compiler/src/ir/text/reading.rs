//! The operands of one instruction, read from left to right.

use super::parse::{Parser, Res, iterator, value};
use crate::ir::{FuncId, ValueId};
use policy_bytecode::{BuilderIdx, ConstIdx, FieldIdx, IterIdx, PredIdx};
use std::collections::HashMap;

/// The operands of one instruction, read from left to right.
pub(in crate::ir) struct Reading<'p, 'a> {
    pub(super) parser: &'p mut Parser<'a>,
    /// Values above.
    pub(super) names: &'p HashMap<String, ValueId>,
    /// What is not read yet, without the comma in front of it.
    pub(super) rest: &'p str,
    /// The spelling ended in [`Reading::NOT`], which no operand has taken yet.
    pub(super) negated: bool,
}

impl<'p> Reading<'p, '_> {
    /// Ends the spelling of what is negated.
    pub(in crate::ir) const NOT: &'static str = "_not";

    pub(in crate::ir) fn is_at_end(&self) -> bool {
        self.rest.trim().is_empty()
    }

    pub(in crate::ir) fn take_negation(&mut self) -> bool {
        std::mem::take(&mut self.negated)
    }

    /// The text up to the next comma.
    pub(in crate::ir) fn word(&mut self) -> Res<&'p str> {
        let (word, rest) = self.rest.split_once(',').unwrap_or((self.rest, ""));
        self.rest = rest;
        match word.trim() {
            "" => Err("an operand is missing".to_owned()),
            word => Ok(word),
        }
    }

    pub(in crate::ir) fn value(&mut self) -> Res<ValueId> {
        value(self.word()?, self.names)
    }

    /// A comparison holds commas, so nothing stands behind it.
    pub(in crate::ir) fn pred(&mut self) -> Res<PredIdx> {
        let text = std::mem::take(&mut self.rest).trim();
        match self.parser.shared.get(text) {
            Some(pred) => Ok(*pred),
            None => self.parser.comparison(text, false),
        }
    }

    /// A path may hold a comma in quotes, so nothing stands behind it.
    pub(in crate::ir) fn field(&mut self) -> Res<FieldIdx> {
        let text = std::mem::take(&mut self.rest).trim();
        self.parser.field(text)
    }

    pub(in crate::ir) fn constant(&mut self) -> Res<ConstIdx> {
        let (k, rest) = self.parser.constant(self.rest)?;
        let rest = rest.trim_start();
        self.rest = rest.strip_prefix(',').unwrap_or(rest);
        Ok(k)
    }

    pub(in crate::ir) fn function(&mut self) -> Res<FuncId> {
        let name = self.word()?;
        let known = self.parser.functions.get(name).copied();
        known.ok_or_else(|| format!("`{name}` is not a function above"))
    }

    pub(in crate::ir) fn iterator(&mut self) -> Res<IterIdx> {
        iterator(self.word()?)
    }

    pub(in crate::ir) fn builder(&mut self) -> Res<BuilderIdx> {
        let name = self.word()?;
        name.strip_prefix(BuilderIdx::PREFIX)
            .and_then(|n| n.parse().ok())
            .map(BuilderIdx)
            .ok_or_else(|| format!("`{name}` is not a builder"))
    }
}
