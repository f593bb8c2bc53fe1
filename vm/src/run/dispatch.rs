//! Instructions: calls, straight code without a frame, and everything else.
//!
//! Code was verified when it was loaded, so operands are in range, registers are written before they are read, and
//! calls do not recurse without bound.

use super::Evaluation;
use super::frame::{Builder, Frame, Iterator, Return, Stack, advance, set_iterator};
use crate::host::Host;
use crate::predicate::Comparison;
use crate::query::Trap;
use crate::value::{Array, Object, Set, Value};
use crate::verified::broken;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::instr::{Dst, Src};
use policy_bytecode::number::Arith;
use policy_bytecode::{BuilderIdx, FuncIdx, Instr, Label, Number, Outcome};

/// State of a memo cell whose function returned a value.
const KEPT_VALUE: u8 = 4;

impl<'a, H: Host> Evaluation<'a, H> {
    /// Runs a function whose arguments are the first registers of `stack`. Straight code is paid for on entry, loops
    /// when they jump back.
    pub(super) fn call(
        &mut self,
        function: FuncIdx,
        stack: Stack<'_, 'a>,
        in_loop: bool,
    ) -> Result<Return<'a>, Trap> {
        let module = self.module;
        let Some(shape) = module.functions.get(function.index()) else {
            broken(8);
            return Ok(Return::Outcome(Outcome::Error));
        };
        if let Some(cell) = shape.memo {
            if let Some(outcome) = self.memo.outcome(cell) {
                return Ok(Return::Outcome(outcome));
            }
            if self.memo.get(cell) == KEPT_VALUE {
                return Ok(Return::Value(self.result(cell)));
            }
        }
        self.burn(u64::from(shape.len))?;
        let code = module
            .code
            .get(shape.start as usize..shape.start as usize + shape.len as usize)
            .unwrap_or(&[]);
        let mut frame = stack.frame(shape, in_loop);
        let end = self.run(code, &mut frame)?;
        if let Some(cell) = shape.memo {
            match &end {
                Return::Outcome(outcome) => self.keep(cell, *outcome),
                Return::Value(value) => {
                    self.memo.set(cell, KEPT_VALUE);
                    self.keep_result(cell, *value);
                }
            }
        }
        Ok(end)
    }

    pub(super) fn result(&self, cell: u32) -> Value<'a> {
        let position = cell.checked_sub(self.module.first_function_cell);
        position
            .and_then(|at| self.results.get(at as usize))
            .copied()
            .unwrap_or(Value::Unknown)
    }

    pub(super) fn keep_result(&mut self, cell: u32, value: Value<'a>) {
        if self.results.is_empty() {
            let functions = self
                .module
                .memo_cells()
                .saturating_sub(self.module.first_function_cell as usize);
            self.results = self.bump.alloc_slice_fill_copy(functions, Value::Undefined);
        }
        let position = cell.checked_sub(self.module.first_function_cell);
        if let Some(slot) = position.and_then(|at| self.results.get_mut(at as usize)) {
            *slot = value;
        }
    }

    /// Runs code that needs no frame: most conditions are nothing else. Ends, because it only jumps ahead.
    pub(super) fn run_bare(&mut self, code: &'a [Instr]) -> Outcome {
        let module = self.module;
        let mut flags = 0u64;
        let mut pc = 0usize;
        // Verified: no path runs past the end (V11), and operands are in range (V8).
        while let Some(instr) = code.get(pc) {
            pc += 1;
            if cfg!(debug_assertions) {
                self.tally.instructions += 1;
            }
            match *instr {
                Instr::Test {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test(predicate);
                    if outcome as u8 == u8::from(sense.0) {
                        pc = target.index();
                    } else if outcome == Outcome::Error {
                        flags |= 1 << flag.0;
                    }
                }
                Instr::TestMemo {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test_memo(predicate);
                    if outcome as u8 == u8::from(sense.0) {
                        pc = target.index();
                    } else if outcome == Outcome::Error {
                        flags |= 1 << flag.0;
                    }
                }
                Instr::RetTest { pred, sense } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test(predicate);
                    return if sense.0 { outcome } else { outcome.negate() };
                }
                Instr::RetTestMemo { pred, sense } => {
                    let Some(predicate) = module.predicates.get(pred.index()) else {
                        break;
                    };
                    let outcome = self.test_memo(predicate);
                    return if sense.0 { outcome } else { outcome.negate() };
                }
                Instr::BrFlag { flag, target } => {
                    if flags >> flag.0 & 1 == 1 {
                        pc = target.index();
                    }
                }
                Instr::RaiseFlag { flag } => flags |= 1 << flag.0,
                Instr::ClearFlag { flag } => flags &= !(1 << flag.0),
                Instr::Jump { target } => pc = target.index(),
                Instr::RetTrue {} => return Outcome::True,
                Instr::RetFalse {} => return Outcome::False,
                Instr::RetError {} => return Outcome::Error,
                // `module::load::is_bare` lets nothing else through.
                Instr::LoadConst { .. }
                | Instr::LoadField { .. }
                | Instr::Mov { .. }
                | Instr::LoadUndefined { .. }
                | Instr::LoadBool { .. }
                | Instr::Get { .. }
                | Instr::GetConst { .. }
                | Instr::Len { .. }
                | Instr::Eq { .. }
                | Instr::Lt { .. }
                | Instr::Lte { .. }
                | Instr::Add { .. }
                | Instr::Sub { .. }
                | Instr::Mul { .. }
                | Instr::Div { .. }
                | Instr::Rem { .. }
                | Instr::BrIf { .. }
                | Instr::BrUnless { .. }
                | Instr::BrUndefined { .. }
                | Instr::Ret { .. }
                | Instr::IterBegin { .. }
                | Instr::IterNext { .. }
                | Instr::BuildArray { .. }
                | Instr::BuildObject { .. }
                | Instr::BuildSet { .. }
                | Instr::BuildPush { .. }
                | Instr::BuildInsert { .. }
                | Instr::BuildEnd { .. }
                | Instr::Call { .. } => return Outcome::Error,
            }
        }
        Outcome::Error
    }

    pub(super) fn run(&mut self, code: &'a [Instr], frame: &mut Frame<'_, 'a>) -> Result<Return<'a>, Trap> {
        let module = self.module;
        let mut pc = 0usize;
        loop {
            // Verified: no path runs past the end (V11).
            let Some(instr) = code.get(pc) else {
                broken(11);
                return Ok(Return::Outcome(Outcome::Error));
            };
            pc += 1;
            if cfg!(debug_assertions) {
                self.tally.instructions += 1;
            }
            match *instr {
                Instr::Test {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => {
                            if frame.in_loop {
                                self.weigh_predicate(p)?;
                            }
                            self.test(p)
                        }
                        None => Outcome::Error,
                    };
                    if outcome as u8 == u8::from(sense.0) {
                        self.jump(target, &mut pc)?;
                    } else if outcome == Outcome::Error {
                        frame.flags |= 1 << flag.0;
                    }
                }
                Instr::TestMemo {
                    pred,
                    sense,
                    flag,
                    target,
                } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => self.test_memo(p),
                        None => Outcome::Error,
                    };
                    if outcome as u8 == u8::from(sense.0) {
                        self.jump(target, &mut pc)?;
                    } else if outcome == Outcome::Error {
                        frame.flags |= 1 << flag.0;
                    }
                }
                Instr::RetTest { pred, sense } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => {
                            if frame.in_loop {
                                self.weigh_predicate(p)?;
                            }
                            self.test(p)
                        }
                        None => Outcome::Error,
                    };
                    return Ok(Return::Outcome(if sense.0 { outcome } else { outcome.negate() }));
                }
                Instr::RetTestMemo { pred, sense } => {
                    let outcome = match module.predicates.get(pred.index()) {
                        Some(p) => self.test_memo(p),
                        None => Outcome::Error,
                    };
                    return Ok(Return::Outcome(if sense.0 { outcome } else { outcome.negate() }));
                }
                Instr::BrFlag { flag, target } => {
                    if frame.flags >> flag.0 & 1 == 1 {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::RaiseFlag { flag } => frame.flags |= 1 << flag.0,
                Instr::ClearFlag { flag } => frame.flags &= !(1 << flag.0),
                Instr::RetTrue {} => return Ok(Return::Outcome(Outcome::True)),
                Instr::RetFalse {} => return Ok(Return::Outcome(Outcome::False)),
                Instr::RetError {} => return Ok(Return::Outcome(Outcome::Error)),
                Instr::Ret { value } => return Ok(Return::Value(frame.read(value))),
                Instr::Jump { target } => self.jump(target, &mut pc)?,
                Instr::BrIf { cond, target } => {
                    if matches!(frame.read(cond), Value::Bool(true)) {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::BrUnless { cond, target } => {
                    if !matches!(frame.read(cond), Value::Bool(true)) {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::BrUndefined { src, target } => {
                    if !frame.read(src).is_present() {
                        self.jump(target, &mut pc)?;
                    }
                }
                Instr::LoadConst { dst, k } => {
                    frame.write(dst, module.constant(k));
                }
                Instr::LoadField { dst, field } => {
                    let value = self.field(field);
                    frame.write(dst, value);
                }
                Instr::Mov { dst, src } => frame.write(dst, frame.read(src)),
                Instr::LoadUndefined { dst } => frame.write(dst, Value::Undefined),
                Instr::LoadBool { dst, value } => frame.write(dst, Value::Bool(value.0)),
                Instr::Get { dst, object, key } => {
                    let (object, key) = (frame.read(object), frame.read(key));
                    self.weigh(&key)?;
                    frame.write(dst, element(&object, &key));
                }
                Instr::GetConst { dst, object, k } => {
                    frame.write(dst, element(&frame.read(object), &module.constant(k)));
                }
                Instr::Len { dst, src } => {
                    let value = frame.read(src);
                    if let Value::Str(text) = value {
                        self.burn(text.len() as u64 / 64)?;
                    }
                    frame.write(dst, length(&value));
                }
                Instr::Eq { dst, lhs, rhs } => {
                    let (a, b) = (frame.read(lhs), frame.read(rhs));
                    self.weigh(&a)?;
                    let value = missing(&a, &b).unwrap_or_else(|| Value::Bool(a.equals(&b)));
                    frame.write(dst, value);
                }
                Instr::Lt { dst, lhs, rhs } => {
                    let (a, b) = (frame.read(lhs), frame.read(rhs));
                    self.weigh(&a)?;
                    frame.write(dst, ordered(Comparison::Lt, &a, &b));
                }
                Instr::Lte { dst, lhs, rhs } => {
                    let (a, b) = (frame.read(lhs), frame.read(rhs));
                    self.weigh(&a)?;
                    frame.write(dst, ordered(Comparison::Lte, &a, &b));
                }
                Instr::Add { dst, lhs, rhs } => arithmetic(Arith::Add, dst, lhs, rhs, frame),
                Instr::Sub { dst, lhs, rhs } => arithmetic(Arith::Sub, dst, lhs, rhs, frame),
                Instr::Mul { dst, lhs, rhs } => arithmetic(Arith::Mul, dst, lhs, rhs, frame),
                Instr::Div { dst, lhs, rhs } => arithmetic(Arith::Div, dst, lhs, rhs, frame),
                Instr::Rem { dst, lhs, rhs } => arithmetic(Arith::Rem, dst, lhs, rhs, frame),
                Instr::IterBegin { iter, src } => {
                    let state = match frame.read(src) {
                        Value::Array(items) => Iterator::Array(items, 0),
                        Value::Object(members) => Iterator::Object(members, 0),
                        Value::Set(items) => Iterator::Set(items, 0),
                        Value::Undefined
                        | Value::Unknown
                        | Value::Pending
                        | Value::Null
                        | Value::Bool(_)
                        | Value::Number(_)
                        | Value::Decimal(_)
                        | Value::Str(_) => Iterator::Done,
                    };
                    set_iterator(frame, iter, state);
                }
                Instr::IterNext {
                    iter,
                    key,
                    value,
                    done,
                } => match advance(frame, iter) {
                    Some((k, v)) => {
                        frame.write(key, k);
                        frame.write(value, v);
                    }
                    None => self.jump(done, &mut pc)?,
                },
                Instr::BuildArray { builder } => {
                    self.build(frame, builder, Builder::Array(BumpVec::new_in(self.bump)))
                }
                Instr::BuildObject { builder } => {
                    self.build(frame, builder, Builder::Object(BumpVec::new_in(self.bump)));
                }
                Instr::BuildSet { builder } => {
                    self.build(frame, builder, Builder::Set(BumpVec::new_in(self.bump)))
                }
                Instr::BuildPush { builder, value } => {
                    let value = frame.read(value);
                    self.check_arena(0)?;
                    if value.is_present()
                        && let Some(Builder::Array(items) | Builder::Set(items)) =
                            frame.builders.get_mut(builder.index())
                    {
                        items.push(value);
                    }
                }
                Instr::BuildInsert { builder, key, value } => {
                    let (key, value) = (frame.read(key), frame.read(value));
                    self.check_arena(0)?;
                    if let (Value::Str(key), true) = (key, value.is_present())
                        && let Some(Builder::Object(members)) = frame.builders.get_mut(builder.index())
                    {
                        members.push((key, value));
                    }
                }
                Instr::BuildEnd { dst, builder } => {
                    let value = self.finish(frame, builder)?;
                    frame.write(dst, value);
                }
                Instr::Call { dst, f, args } => {
                    let first = args.first.index();
                    let passed = frame.registers.get(first..first + usize::from(args.count));
                    for (to, from) in frame.rest.registers.iter_mut().zip(passed.unwrap_or(&[])) {
                        *to = *from;
                    }
                    let value = match self.call(f, frame.rest.reborrow(), frame.in_loop)? {
                        Return::Value(value) => value,
                        Return::Outcome(Outcome::True) => Value::Bool(true),
                        Return::Outcome(Outcome::False) => Value::Bool(false),
                        Return::Outcome(Outcome::Error) => Value::Unknown,
                    };
                    frame.write(dst, value);
                }
            }
        }
    }

    /// Continues at `target`; a jump back pays for the code that runs again.
    #[inline]
    pub(super) fn jump(&mut self, target: Label, pc: &mut usize) -> Result<(), Trap> {
        let to = target.index();
        if to < *pc {
            self.burn((*pc - to) as u64)?;
        }
        *pc = to;
        Ok(())
    }

    pub(super) fn build(&self, frame: &mut Frame<'_, 'a>, builder: BuilderIdx, empty: Builder<'a>) {
        if let Some(slot) = frame.builders.get_mut(builder.index()) {
            *slot = empty;
        }
    }

    pub(super) fn finish(
        &mut self,
        frame: &mut Frame<'_, 'a>,
        builder: BuilderIdx,
    ) -> Result<Value<'a>, Trap> {
        let Some(slot) = frame.builders.get_mut(builder.index()) else {
            return Ok(Value::Undefined);
        };
        let value = match std::mem::replace(slot, Builder::Array(BumpVec::new_in(self.bump))) {
            Builder::Array(items) => Value::Array(Array::new_in(items.into_bump_slice(), self.bump)),
            Builder::Set(mut items) => {
                // Before sorting compares them.
                for item in &items {
                    self.weigh(item)?;
                }
                items.sort_unstable_by(Value::total_cmp);
                items.dedup_by(|a, b| a.equals(b));
                Value::Set(Set::new_in(items.into_bump_slice(), self.bump))
            }
            Builder::Object(members) => {
                // Two copies below; a stable sort would not need them, but takes memory from the heap.
                self.check_arena(3 * size_of_val::<[_]>(&members) as u64)?;
                // The last of a key wins: order by key, later first, then keep the first of each.
                let mut ordered: BumpVec<'a, (usize, (&'a str, Value<'a>))> =
                    BumpVec::from_iter_in(members.into_iter().enumerate(), self.bump);
                ordered.sort_unstable_by(|(i, a), (j, b)| a.0.as_bytes().cmp(b.0.as_bytes()).then(j.cmp(i)));
                ordered.dedup_by(|a, b| a.1.0 == b.1.0);
                let members = BumpVec::from_iter_in(ordered.into_iter().map(|(_, m)| m), self.bump);
                Value::Object(Object::new_in(members.into_bump_slice(), self.bump))
            }
        };
        self.weigh(&value)?;
        Ok(value)
    }
}

/// What an operator gives when an operand is not there: unknown where one is unknown, so that a condition that rests on
/// it is an error, else undefined.
fn missing<'a>(a: &Value<'a>, b: &Value<'a>) -> Option<Value<'a>> {
    if matches!(a, Value::Unknown) || matches!(b, Value::Unknown) {
        Some(Value::Unknown)
    } else if a.is_present() && b.is_present() {
        None
    } else {
        Some(Value::Undefined)
    }
}

fn arithmetic(op: Arith, dst: Dst, lhs: Src, rhs: Src, frame: &mut Frame<'_, '_>) {
    let value = match (frame.read(lhs), frame.read(rhs)) {
        (Value::Number(a), Value::Number(b)) => a.arith(op, b).map_or(Value::Undefined, Value::Number),
        (a, b) => missing(&a, &b).unwrap_or(Value::Undefined),
    };
    frame.write(dst, value);
}

fn ordered<'a>(comparison: Comparison, a: &Value<'a>, b: &Value<'a>) -> Value<'a> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Value::Bool(comparison.accepts(a.compare(*b))),
        (a, b) if a.exact().is_some() && b.exact().is_some() => {
            Value::Bool(comparison.accepts(a.total_cmp(b)))
        }
        (Value::Str(a), Value::Str(b)) => Value::Bool(comparison.accepts(a.as_bytes().cmp(b.as_bytes()))),
        (a, b) => missing(a, b).unwrap_or(Value::Undefined),
    }
}

fn length<'a>(value: &Value<'a>) -> Value<'a> {
    let count = match value {
        Value::Str(s) => s.chars().count(),
        Value::Array(items) => items.len(),
        Value::Set(items) => items.len(),
        Value::Object(members) => members.len(),
        Value::Undefined
        | Value::Unknown
        | Value::Pending
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Decimal(_) => {
            return Value::Undefined;
        }
    };
    Value::Number(Number::from_u64(count as u64))
}

fn element<'a>(object: &Value<'a>, key: &Value<'a>) -> Value<'a> {
    match (object, key) {
        (Value::Object(_), Value::Str(key)) => object.get(key),
        (Value::Array(items), Value::Number(Number::Int(n))) => usize::try_from(*n)
            .ok()
            .and_then(|n| items.get(n))
            .unwrap_or(Value::Undefined),
        (Value::Set(items), key) if items.contains(key) => *key,
        _other => Value::Undefined,
    }
}
