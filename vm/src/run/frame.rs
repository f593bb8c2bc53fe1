//! Frames: the registers, iterators and builders of calls, cut from one stack.

use crate::module::{FrameSize, FunctionShape};
use crate::value::{Array, Object, Set, Value};
use crate::verified::broken;
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::instr::{Dst, Src};
use policy_bytecode::{IterIdx, Number, Outcome};

/// How a function ended.
pub(super) enum Return<'a> {
    Outcome(Outcome),
    Value(Value<'a>),
}

impl Return<'_> {
    /// A condition's outcome; a value is true when it is exactly `true`, and an error when it cannot be known.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Outcome(outcome) => *outcome,
            Self::Value(Value::Unknown) => Outcome::Error,
            Self::Value(value) => matches!(value, Value::Bool(true)).into(),
        }
    }
}

/// A position in a collection.
#[derive(Clone, Copy)]
pub(super) enum Iterator<'a> {
    Done,
    Array(Array<'a>, usize),
    Object(Object<'a>, usize),
    Set(Set<'a>, usize),
}

/// A collection under construction.
pub(super) enum Builder<'a> {
    Array(BumpVec<'a, Value<'a>>),
    Object(BumpVec<'a, (&'a str, Value<'a>)>),
    Set(BumpVec<'a, Value<'a>>),
}

/// Memory that frames are cut from: a call takes its part from the front and hands on the rest.
///
/// Frames are not cleared. Verified: nothing in a frame is read before it was written (V12).
#[derive(Default)]
pub(super) struct Stack<'s, 'a> {
    pub(super) registers: &'s mut [Value<'a>],
    pub(super) iterators: &'s mut [Iterator<'a>],
    pub(super) builders: &'s mut [Builder<'a>],
}

impl<'a> Stack<'a, 'a> {
    #[inline]
    pub(super) fn new(size: FrameSize, bump: &'a Bump) -> Self {
        if size == FrameSize::default() {
            return Self::default();
        }
        Self {
            registers: bump.alloc_slice_fill_copy(size.registers, Value::Undefined),
            iterators: bump.alloc_slice_fill_copy(size.iterators, Iterator::Done),
            builders: bump.alloc_slice_fill_with(size.builders, |_| Builder::Array(BumpVec::new_in(bump))),
        }
    }
}

impl<'s, 'a> Stack<'s, 'a> {
    pub(super) fn reborrow(&mut self) -> Stack<'_, 'a> {
        Stack {
            registers: &mut *self.registers,
            iterators: &mut *self.iterators,
            builders: &mut *self.builders,
        }
    }

    /// Cuts a frame off. The stack is as large as the widest chain of calls, so the parts are there.
    pub(super) fn frame(self, shape: &FunctionShape, in_loop: bool) -> Frame<'s, 'a> {
        fn cut<T>(memory: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
            memory.split_at_mut_checked(at).unwrap_or_else(|| {
                // The frames of a chain of calls are as large as the widest chain.
                broken(20);
                Default::default()
            })
        }
        let (registers, more_registers) = cut(self.registers, usize::from(shape.registers));
        let (iterators, more_iterators) = cut(self.iterators, usize::from(shape.iterators));
        let (builders, more_builders) = cut(self.builders, usize::from(shape.builders));
        Frame {
            registers,
            iterators,
            builders,
            flags: 0,
            in_loop: in_loop || shape.loops,
            rest: Stack {
                registers: more_registers,
                iterators: more_iterators,
                builders: more_builders,
            },
        }
    }
}

/// Registers, iterators and builders of one call.
pub(super) struct Frame<'f, 'a> {
    pub(super) registers: &'f mut [Value<'a>],
    pub(super) iterators: &'f mut [Iterator<'a>],
    pub(super) builders: &'f mut [Builder<'a>],
    pub(super) flags: u64,
    /// This code may run again: then work that grows with the request is paid for, not instructions alone.
    pub(super) in_loop: bool,
    /// Memory for the frames of calls from here.
    pub(super) rest: Stack<'f, 'a>,
}

impl<'a> Frame<'_, 'a> {
    #[inline]
    pub(super) fn read(&self, Src(r): Src) -> Value<'a> {
        match self.registers.get(r.index()) {
            Some(value) => *value,
            None => {
                broken(8);
                Value::Unknown
            }
        }
    }

    #[inline]
    pub(super) fn write(&mut self, Dst(r): Dst, value: Value<'a>) {
        match self.registers.get_mut(r.index()) {
            Some(register) => *register = value,
            None => broken(8),
        }
    }
}

pub(super) fn set_iterator<'a>(frame: &mut Frame<'_, 'a>, iter: IterIdx, state: Iterator<'a>) {
    if let Some(slot) = frame.iterators.get_mut(iter.index()) {
        *slot = state;
    }
}

/// Key and value of the next element; the index of an array, the element itself of a set.
pub(super) fn advance<'a>(frame: &mut Frame<'_, 'a>, iter: IterIdx) -> Option<(Value<'a>, Value<'a>)> {
    let slot = frame.iterators.get_mut(iter.index())?;
    match slot {
        Iterator::Done => None,
        Iterator::Array(items, at) => {
            let value = items.get(*at)?;
            let key = Value::Number(Number::from_u64(*at as u64));
            *at += 1;
            Some((key, value))
        }
        Iterator::Object(members, at) => {
            let (key, value) = members.member(*at)?;
            *at += 1;
            Some((Value::Str(key), value))
        }
        Iterator::Set(items, at) => {
            let value = items.get(*at)?;
            *at += 1;
            Some((value, value))
        }
    }
}
