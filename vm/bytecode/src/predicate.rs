//! Predicates: the atoms of conditions. One entry of the predicate table is one comparison of a field with a constant,
//! a pattern or another field, or of the elements of a field with a body.
//!
//! Predicates are data, not code, so that one comparison that occurs in many policies is evaluated once, an index can
//! be built over them, and explanations can name them.

use crate::ids::{BodyIdx, ConstIdx, FieldIdx, MemoIdx, PatternIdx};
use serde::{Deserialize, Serialize};

macro_rules! pred_ops {
    ($( $variant:ident = $name:literal, $doc:literal; )*) => {
        /// What a predicate asks of its field. Negated operators of the surface language are these with the other
        /// branch sense.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum PredOp { $( #[doc = $doc] $variant, )* }

        impl PredOp {
            /// Every operator.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// Name in text forms.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $( Self::$variant => $name, )* } }

            /// When it is true, for the manual.
            #[must_use]
            pub fn doc(self) -> &'static str { match self { $( Self::$variant => $doc, )* } }
        }
    };
}

pred_ops! {
    Eq = "eq", "Same type and equal.";
    Gt = "gt", "Greater.";
    Gte = "gte", "Greater or equal.";
    Lt = "lt", "Less.";
    Lte = "lte", "Less or equal.";
    In = "in", "Some item of the list equals the field, or one of its elements.";
    Contains = "contains", "Substring of a string, or element of an array.";
    StartsWith = "starts_with", "Prefix of a string.";
    EndsWith = "ends_with", "Suffix of a string.";
    Matches = "matches", "The pattern is found in a string.";
    Exists = "exists", "Present and not null.";
    Any = "any", "The body holds for some element.";
    All = "all", "The body holds for every element.";
    EqFold = "eq_fold", "Same type and equal, texts folded.";
    InFold = "in_fold", "Some item of the list equals the field, or one of its elements, texts folded.";
    ContainsFold = "contains_fold", "Substring of a string, or element of an array, texts folded.";
    StartsWithFold = "starts_with_fold", "Prefix of a string, both folded.";
    EndsWithFold = "ends_with_fold", "Suffix of a string, both folded.";
    InCidr = "in_cidr", "An address in one of the networks.";
    Before = "before", "An earlier instant.";
    After = "after", "A later instant.";
    TimeBetween = "time_between", "An instant inside a window of local time.";
}

impl PredOp {
    /// Whether it can be an error on a present field of the request, with a constant or a pattern as its operand. With
    /// a field as the operand, or on a derived field, any operator but `exists` can be one.
    #[must_use]
    pub fn fallible(self) -> bool {
        match self {
            Self::Gt
            | Self::Gte
            | Self::Lt
            | Self::Lte
            | Self::Contains
            | Self::StartsWith
            | Self::EndsWith
            | Self::Matches
            | Self::ContainsFold
            | Self::StartsWithFold
            | Self::EndsWithFold
            | Self::InCidr
            | Self::Before
            | Self::After
            | Self::TimeBetween
            | Self::Any
            | Self::All => true,
            Self::Eq | Self::In | Self::Exists | Self::EqFold | Self::InFold => false,
        }
    }

    /// The operator that compares with folded texts what this one compares as it is: `ignoreCase` of the language.
    #[must_use]
    pub fn folded(self) -> Option<Self> {
        match self {
            Self::Eq => Some(Self::EqFold),
            Self::In => Some(Self::InFold),
            Self::Contains => Some(Self::ContainsFold),
            Self::StartsWith => Some(Self::StartsWithFold),
            Self::EndsWith => Some(Self::EndsWithFold),
            Self::Gt
            | Self::Gte
            | Self::Lt
            | Self::Lte
            | Self::Matches
            | Self::Exists
            | Self::EqFold
            | Self::InFold
            | Self::ContainsFold
            | Self::StartsWithFold
            | Self::EndsWithFold
            | Self::InCidr
            | Self::Before
            | Self::After
            | Self::TimeBetween
            | Self::Any
            | Self::All => None,
        }
    }

    /// What the operator is without [`PredOp::folded`], and whether it is folded.
    #[must_use]
    pub fn unfolded(self) -> (Self, bool) {
        match self {
            Self::EqFold => (Self::Eq, true),
            Self::InFold => (Self::In, true),
            Self::ContainsFold => (Self::Contains, true),
            Self::StartsWithFold => (Self::StartsWith, true),
            Self::EndsWithFold => (Self::EndsWith, true),
            Self::Eq
            | Self::Gt
            | Self::Gte
            | Self::Lt
            | Self::Lte
            | Self::In
            | Self::Contains
            | Self::StartsWith
            | Self::EndsWith
            | Self::Matches
            | Self::Exists
            | Self::InCidr
            | Self::Before
            | Self::After
            | Self::TimeBetween
            | Self::Any
            | Self::All => (self, false),
        }
    }

    /// Its outcome where the field is missing, and where a field operand is.
    #[must_use]
    #[inline]
    pub fn of_missing(self) -> bool {
        matches!(self, Self::All)
    }
}

/// What a predicate compares its field with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PredOperand {
    /// Nothing: `exists`.
    None,
    /// A constant.
    Const(ConstIdx),
    /// A pattern: `matches`.
    Pattern(PatternIdx),
    /// Another field, read at run time.
    Field(FieldIdx),
    /// What is asked of each element: `any` and `all`.
    Body(BodyIdx),
}

/// One entry of the predicate table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Predicate {
    /// What is asked.
    pub op: PredOp,
    /// Of which field.
    pub field: FieldIdx,
    /// Compared with what.
    pub operand: PredOperand,
    /// Where its outcome is kept once known, when several places ask for it.
    pub memo: Option<MemoIdx>,
}

impl Predicate {
    /// The fields that it looks at.
    pub fn fields(&self) -> impl Iterator<Item = FieldIdx> {
        let other = match self.operand {
            PredOperand::Field(field) => Some(field),
            PredOperand::None | PredOperand::Const(_) | PredOperand::Pattern(_) | PredOperand::Body(_) => {
                None
            }
        };
        std::iter::once(self.field).chain(other)
    }
}
