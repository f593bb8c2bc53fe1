//! Typed indexes: no bare integer names a table entry outside the table's own accessor.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ids {
    ($( $(#[$doc:meta])* $name:ident($repr:ty) = $prefix:literal; )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $repr);

        impl $name {
            /// As an index into its table.
            #[must_use]
            #[inline]
            pub fn index(self) -> usize { self.0 as usize }

            /// From an index into its table; `None` past the format's range.
            #[must_use]
            pub fn from_index(index: usize) -> Option<Self> { <$repr>::try_from(index).ok().map(Self) }

            /// What its text form starts with.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}{}", $prefix, self.0) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}{}", $prefix, self.0) }
        }
    )* };
}

ids! {
    /// A register of a frame.
    Reg(u16) = "r";
    /// An entry of the field table; at run time, the slot that holds the field's value.
    FieldIdx(u32) = "f";
    /// An entry of the constant pool.
    ConstIdx(u32) = "k";
    /// An entry of the pattern table.
    PatternIdx(u32) = "x";
    /// An entry of the predicate table.
    PredIdx(u32) = "p";
    /// An entry of the body table: what `any` or `all` asks of each element.
    BodyIdx(u32) = "q";
    /// A memo cell shared by all uses of one predicate or function.
    MemoIdx(u32) = "m";
    /// An entry of the function table.
    FuncIdx(u32) = "fn";
    /// An instruction of the same function.
    Label(u32) = "L";
    /// An error flag of a frame.
    FlagIdx(u8) = "e";
    /// An iterator of a frame.
    IterIdx(u8) = "it";
    /// A collection under construction in a frame.
    BuilderIdx(u8) = "b";
    /// A rule, in evaluation order.
    RuleIdx(u32) = "rule";
    /// A policy, in evaluation order.
    PolicyIdx(u32) = "policy";
}
