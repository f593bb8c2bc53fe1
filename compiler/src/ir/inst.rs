//! The one table of IR instructions. Kinds, operands, references to tables, text form and checks are expansions of
//! [`for_each_inst!`]: what an operand means follows from its type alone.
//!
//! A row reads: spelling, name, operands in the order of the text form, `[takes -> makes]`. `takes` is the [`Kind`] of every value
//! among the operands, `makes` the kind of the instruction's own value. The flag `kept` is for what must stay although nobody asks
//! for its value.

use super::{FuncId, ValueId};
use crate::ir::text::{Names, Reading, Res};
use policy_bytecode::number::Arith;
use policy_bytecode::{BuilderIdx, ConstIdx, FieldIdx, IterIdx, PredIdx};

/// Calls `$consumer!` once with every instruction.
macro_rules! for_each_inst {
    ($consumer:ident) => {
        $consumer! {
            /// A parameter of a block.
            param => Param {} [Data -> Data];
            /// A comparison, negated where the spelling is `test_not`.
            test => Test { pred: PredIdx, negated: Negated } [Data -> Outcome];
            /// A constant outcome.
            const => Const { value: bool } [Data -> Outcome];
            /// Three-valued conjunction of at least one operand.
            and => And { operands: Operands } [Outcome -> Outcome];
            /// Three-valued disjunction of at least one operand.
            or => Or { operands: Operands } [Outcome -> Outcome];
            /// Negation of an outcome.
            not => Not { operand: ValueId } [Outcome -> Outcome];
            /// True for exactly the value `true`, else false.
            truth => Truth { value: ValueId } [Data -> Outcome];
            /// A request field.
            load_field => LoadField { field: FieldIdx } [Data -> Data];
            /// An entry of the table of constants.
            load_const => LoadConst { k: ConstIdx } [Data -> Data];
            /// No value.
            undefined => Undefined {} [Data -> Data];
            /// An element or member of `object`.
            get => Get { object: ValueId, key: ValueId } [Data -> Data];
            /// Number of elements, members or characters.
            len => Len { src: ValueId } [Data -> Data];
            /// Deep equality.
            eq => Eq { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// Less.
            lt => Lt { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// Less or equal.
            lte => Lte { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// Sum of two numbers.
            add => Add { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// Difference of two numbers.
            sub => Sub { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// Product of two numbers.
            mul => Mul { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// Quotient of two numbers.
            div => Div { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// Remainder of two integers.
            rem => Rem { lhs: ValueId, rhs: ValueId } [Data -> Data];
            /// The result of a function, given as many arguments as it has parameters.
            call => Call { function: FuncId, args: Operands } [Data -> Data];
            /// Starts an iterator over `src`.
            iter_begin => IterBegin { iter: IterIdx, src: ValueId } [Data -> Effect; kept];
            /// Starts an array.
            build_array => BuildArray { builder: BuilderIdx } [Data -> Effect; kept];
            /// Starts an object.
            build_object => BuildObject { builder: BuilderIdx } [Data -> Effect; kept];
            /// Starts a set.
            build_set => BuildSet { builder: BuilderIdx } [Data -> Effect; kept];
            /// Adds an element to an array or a set.
            build_push => BuildPush { builder: BuilderIdx, value: ValueId } [Data -> Effect; kept];
            /// Adds a member to an object.
            build_insert => BuildInsert { builder: BuilderIdx, key: ValueId, value: ValueId } [Data -> Effect; kept];
            /// The finished collection.
            build_end => BuildEnd { builder: BuilderIdx } [Data -> Data; kept];
        }
    };
}

/// The pattern of every instruction that makes no outcome. Passes over outcomes treat these alike: they copy them.
macro_rules! no_outcome {
    () => {
        $crate::ir::Inst::Param { .. }
            | $crate::ir::Inst::LoadField { .. }
            | $crate::ir::Inst::LoadConst { .. }
            | $crate::ir::Inst::Undefined { .. }
            | $crate::ir::Inst::Get { .. }
            | $crate::ir::Inst::Len { .. }
            | $crate::ir::Inst::Eq { .. }
            | $crate::ir::Inst::Lt { .. }
            | $crate::ir::Inst::Lte { .. }
            | $crate::ir::Inst::Add { .. }
            | $crate::ir::Inst::Sub { .. }
            | $crate::ir::Inst::Mul { .. }
            | $crate::ir::Inst::Div { .. }
            | $crate::ir::Inst::Rem { .. }
            | $crate::ir::Inst::Call { .. }
            | $crate::ir::Inst::IterBegin { .. }
            | $crate::ir::Inst::BuildArray { .. }
            | $crate::ir::Inst::BuildObject { .. }
            | $crate::ir::Inst::BuildSet { .. }
            | $crate::ir::Inst::BuildPush { .. }
            | $crate::ir::Inst::BuildInsert { .. }
            | $crate::ir::Inst::BuildEnd { .. }
    };
}
pub(crate) use no_outcome;

/// Operands of an operator or a call.
pub type Operands = Vec<ValueId>;

/// Whether an outcome is negated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Negated(pub bool);

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True, false or error; evaluated lazily.
    Outcome,
    /// JSON or undefined; in a register.
    Data,
    /// Nothing: done for its effect.
    Effect,
}

/// One thing that an instruction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ref {
    /// A value of the same function.
    Value(ValueId),
    /// A comparison.
    Pred(PredIdx),
    /// A request field.
    Field(FieldIdx),
    /// A constant.
    Const(ConstIdx),
    /// A function.
    Func(FuncId),
    /// An iterator of the frame.
    Iter(IterIdx),
    /// A builder of the frame.
    Builder(BuilderIdx),
}

/// As [`Ref`], to be changed.
#[derive(Debug)]
pub enum RefMut<'a> {
    /// A value of the same function.
    Value(&'a mut ValueId),
    /// A comparison.
    Pred(&'a mut PredIdx),
    /// A request field.
    Field(&'a mut FieldIdx),
    /// A constant.
    Const(&'a mut ConstIdx),
    /// A function.
    Func(&'a mut FuncId),
    /// An iterator of the frame.
    Iter(&'a mut IterIdx),
    /// A builder of the frame.
    Builder(&'a mut BuilderIdx),
}

/// A field of an instruction. Its type alone decides what it names and how it is spelled.
trait Operand: Sized {
    fn refs(&self, visit: &mut impl FnMut(Ref));
    fn refs_mut(&mut self, visit: &mut impl FnMut(RefMut<'_>));
    /// What it adds to the spelling of its instruction.
    fn suffix(&self) -> &'static str {
        ""
    }
    /// Its text, where it is one of the operands that are written.
    fn print(&self, names: &dyn Names) -> Option<String>;
    fn parse(reading: &mut Reading<'_, '_>) -> Res<Self>;
}

macro_rules! references {
    ($( $ty:ident $role:ident $print:ident; )*) => { $(
        impl Operand for $ty {
            fn refs(&self, visit: &mut impl FnMut(Ref)) {
                visit(Ref::$role(*self));
            }
            fn refs_mut(&mut self, visit: &mut impl FnMut(RefMut<'_>)) {
                visit(RefMut::$role(self));
            }
            fn print(&self, names: &dyn Names) -> Option<String> {
                Some(names.$print(*self))
            }
            fn parse(reading: &mut Reading<'_, '_>) -> Res<Self> {
                reading.$print()
            }
        }
    )* };
}

references! {
    ValueId Value value;
    PredIdx Pred pred;
    FieldIdx Field field;
    ConstIdx Const constant;
    FuncId Func function;
    IterIdx Iter iterator;
    BuilderIdx Builder builder;
}

impl Operand for Operands {
    fn refs(&self, visit: &mut impl FnMut(Ref)) {
        self.iter().for_each(|v| visit(Ref::Value(*v)));
    }
    fn refs_mut(&mut self, visit: &mut impl FnMut(RefMut<'_>)) {
        self.iter_mut().for_each(|v| visit(RefMut::Value(v)));
    }
    fn print(&self, names: &dyn Names) -> Option<String> {
        let texts: Vec<String> = self.iter().map(|v| names.value(*v)).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }
    fn parse(reading: &mut Reading<'_, '_>) -> Res<Self> {
        let mut values = Vec::new();
        while !reading.is_at_end() {
            values.push(reading.value()?);
        }
        Ok(values)
    }
}

impl Operand for bool {
    fn refs(&self, _visit: &mut impl FnMut(Ref)) {}
    fn refs_mut(&mut self, _visit: &mut impl FnMut(RefMut<'_>)) {}
    fn print(&self, _names: &dyn Names) -> Option<String> {
        Some(self.to_string())
    }
    fn parse(reading: &mut Reading<'_, '_>) -> Res<Self> {
        match reading.word()? {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("`{other}` is not an outcome")),
        }
    }
}

impl Operand for Negated {
    fn refs(&self, _visit: &mut impl FnMut(Ref)) {}
    fn refs_mut(&mut self, _visit: &mut impl FnMut(RefMut<'_>)) {}
    fn suffix(&self) -> &'static str {
        if self.0 { Reading::NOT } else { "" }
    }
    fn print(&self, _names: &dyn Names) -> Option<String> {
        None
    }
    fn parse(reading: &mut Reading<'_, '_>) -> Res<Self> {
        Ok(Self(reading.take_negation()))
    }
}

macro_rules! expand_insts {
    ($(
        $(#[doc = $doc:literal])+
        $mnemonic:ident => $name:ident { $( $operand:ident : $ty:ident ),* } [$takes:ident -> $makes:ident $(; $kept:ident)?];
    )*) => {
        /// An instruction, which defines a value, or is done for its effect.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Inst { $( $(#[doc = $doc])+ $name { $(
            #[doc = concat!("Operand `", stringify!($operand), "`.")] $operand: $ty, )* }, )* }

        impl Inst {
            /// What it makes.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $( Self::$name { .. } => Kind::$makes, )* }
            }

            /// What its operands are.
            #[must_use]
            pub fn takes(&self) -> Kind {
                match self { $( Self::$name { .. } => Kind::$takes, )* }
            }

            /// Whether it stays although nobody asks for its value.
            #[must_use]
            pub fn is_kept(&self) -> bool {
                match self { $( Self::$name { .. } => [ $( stringify!($kept) )? ].contains(&"kept"), )* }
            }

            /// Calls `visit` with everything that it names, in the order of its operands.
            pub fn refs(&self, mut visit: impl FnMut(Ref)) {
                let visit = &mut visit;
                match self { $( Self::$name { $( $operand, )* } => { $( Operand::refs($operand, visit); )* } )* }
            }

            /// As [`Inst::refs`], to be changed.
            pub fn refs_mut(&mut self, mut visit: impl FnMut(RefMut<'_>)) {
                let visit = &mut visit;
                match self { $( Self::$name { $( $operand, )* } => { $( Operand::refs_mut($operand, visit); )* } )* }
            }

            /// Its text: spelling, then operands, comma separated.
            pub(super) fn print(&self, names: &dyn Names) -> String {
                match self { $( Self::$name { $( $operand, )* } => {
                    let operands: Vec<Option<String>> = vec![ $( Operand::print($operand, names), )* ];
                    let operands: Vec<String> = operands.into_iter().flatten().collect();
                    let suffix = [ "", $( Operand::suffix($operand), )* ].concat();
                    let space = if operands.is_empty() { "" } else { " " };
                    format!("{}{suffix}{space}{}", stringify!($mnemonic), operands.join(", "))
                } )* }
            }

            /// Reads the operands of the instruction that is spelled `word`; `None` where there is none.
            pub(super) fn parse(word: &str, reading: &mut Reading<'_, '_>) -> Res<Option<Self>> {
                Ok(Some(match word {
                    $( stringify!($mnemonic) => Self::$name { $( $operand: Operand::parse(reading)?, )* }, )*
                    _unknown => return Ok(None),
                }))
            }
        }
    };
}

for_each_inst!(expand_insts);

impl Inst {
    /// Calls `visit` with each value that it reads, in order.
    pub fn operands(&self, mut visit: impl FnMut(ValueId)) {
        self.refs(|named| {
            if let Ref::Value(value) = named {
                visit(value);
            }
        });
    }

    /// Replaces each value that it reads by what `map` says.
    pub fn map_operands(&mut self, mut map: impl FnMut(ValueId) -> ValueId) {
        self.refs_mut(|named| {
            if let RefMut::Value(value) = named {
                *value = map(*value);
            }
        });
    }

    /// The arithmetic that it does, and of what.
    #[must_use]
    pub fn arith(&self) -> Option<(Arith, ValueId, ValueId)> {
        // The operators of `Arith` are the list here, so the rest is none of them.
        let arith = |op, lhs: &ValueId, rhs: &ValueId| Some((op, *lhs, *rhs));
        if let Self::Add { lhs, rhs } = self {
            arith(Arith::Add, lhs, rhs)
        } else if let Self::Sub { lhs, rhs } = self {
            arith(Arith::Sub, lhs, rhs)
        } else if let Self::Mul { lhs, rhs } = self {
            arith(Arith::Mul, lhs, rhs)
        } else if let Self::Div { lhs, rhs } = self {
            arith(Arith::Div, lhs, rhs)
        } else if let Self::Rem { lhs, rhs } = self {
            arith(Arith::Rem, lhs, rhs)
        } else {
            None
        }
    }
}
