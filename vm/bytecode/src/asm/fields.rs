//! Fields, what computes them, and what is known of requests.

use super::AsmError;
use super::cursor::Cursor;
use crate::context::{Holds, Known};
use crate::ids::FieldIdx;
use crate::intrinsics::{self, IntrinsicId};
use crate::module::{Derived, Field, PathSegment};

impl Cursor<'_> {
    pub(super) fn field(&mut self) -> Result<Field, AsmError> {
        let mut path = Vec::new();
        if !self.eat("()") {
            self.skip_space();
            self.steps(&mut path)?;
        }
        let mut derived = None;
        if self.eat("=") {
            derived = Some(self.derived()?);
        }
        Ok(Field { path, derived })
    }

    /// What computes a field: an intrinsic by name, or by number behind `#`, and the fields that it is applied to.
    fn derived(&mut self) -> Result<Derived, AsmError> {
        self.skip_space();
        let start = self.at;
        let intrinsic = if self.eat("#") {
            IntrinsicId(self.integer()?)
        } else {
            let name = self.while_matching(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
            let row = intrinsics::named(name);
            row.ok_or_else(|| self.error_at(start, "no intrinsic has this name"))?
                .id
        };
        self.expect("(")?;
        let mut args = Vec::new();
        if !self.eat(")") {
            loop {
                args.push(FieldIdx(self.index(FieldIdx::PREFIX)?));
                if self.eat(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        Ok(Derived { intrinsic, args })
    }

    /// What is known of a place: its keys, what it holds, and whether a service says so.
    pub(super) fn known(&mut self) -> Result<Known, AsmError> {
        let mut path = Vec::new();
        if !self.eat("()") {
            self.skip_space();
            loop {
                path.push(self.key()?);
                if !self.rest().starts_with('.') {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(":")?;
        self.skip_space();
        let start = self.at;
        let word = self.word();
        let holds = Holds::ALL.iter().copied().find(|holds| holds.as_str() == word);
        let holds = holds.ok_or_else(|| self.error_at(start, "any, scalar, list or object is expected"))?;
        let answered = !self.at_end();
        if answered {
            self.expect("answered")?;
        }
        Ok(Known {
            path,
            holds,
            answered,
        })
    }

    /// The steps of a path, at least one.
    pub(super) fn steps(&mut self, path: &mut Vec<PathSegment>) -> Result<(), AsmError> {
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
}
