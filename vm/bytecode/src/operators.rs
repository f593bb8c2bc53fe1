//! The one table of comparison operators. What an operator takes, reads and says is in its row; verifier, checks, index,
//! manual and messages ask the row.

use serde::{Deserialize, Serialize};

/// What an operator compares its field with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// No operand.
    Nothing,
    /// Any JSON value.
    Json,
    /// A list of JSON values.
    List,
    /// A text.
    Text,
    /// A number or a text.
    Ordered,
    /// A network, or a list of at least one ([`crate::consts::networks`]).
    Networks,
    /// An instant ([`crate::consts::instant`]).
    Instant,
    /// A window of local time ([`crate::consts::window`]).
    Window,
    /// A pattern.
    Pattern,
    /// What is asked of each element.
    Body,
}

impl Takes {
    /// Whether another field of the request may stand for the constant.
    #[must_use]
    pub fn field(self) -> bool {
        match self {
            Self::Json | Self::List | Self::Text | Self::Ordered | Self::Networks | Self::Instant => true,
            // Patterns and windows are read when a policy is compiled.
            Self::Nothing | Self::Window | Self::Pattern | Self::Body => false,
        }
    }

    /// What a policy has to write, with its article.
    #[must_use]
    pub fn expected(self) -> &'static str {
        match self {
            Self::Nothing => "a boolean",
            Self::Json => "a value",
            Self::List => "a list",
            Self::Text | Self::Pattern => "a string",
            Self::Ordered | Self::Instant => "a number or a string",
            Self::Networks => "a network or a list of networks",
            Self::Window => "an object",
            Self::Body => "a condition",
        }
    }
}

/// Values of its field that an operator can be asked of. All others are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Every value.
    Anything,
    /// Numbers and texts, each compared with its own kind.
    Ordered,
    /// Texts and lists.
    TextOrList,
    /// Texts.
    Text,
    /// Texts that are addresses.
    Address,
    /// Texts and numbers that are instants.
    Instant,
    /// Lists.
    List,
}

/// How rules are found by what an operator says of a field ([`crate::guard`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// By the value, which is its constant.
    Key,
    /// By the value or its elements, one of which is in its list.
    Keys,
    /// By an element, which is its constant.
    Element,
    /// By where a number stands in an order.
    Threshold,
    /// By how a text begins or ends.
    Affix,
    /// By whether there is a value.
    Presence,
    /// Not at all.
    No,
}

macro_rules! pred_ops {
    ($(
        $variant:ident = $name:literal [$takes:ident, $reads:ident, $lookup:ident $(, folded $folded:ident)?] $doc:literal $note:literal;
    )*) => {
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

            /// How it compares, for the manual.
            #[must_use]
            pub fn note(self) -> &'static str { match self { $( Self::$variant => $note, )* } }

            /// What it compares its field with.
            #[must_use]
            #[inline]
            pub fn takes(self) -> Takes { match self { $( Self::$variant => Takes::$takes, )* } }

            /// Of which values it can be asked.
            #[must_use]
            #[inline]
            pub fn reads(self) -> Reads { match self { $( Self::$variant => Reads::$reads, )* } }

            /// How its rules are found.
            #[must_use]
            #[inline]
            pub fn lookup(self) -> Lookup { match self { $( Self::$variant => Lookup::$lookup, )* } }

            /// The operator that compares with folded texts what this one compares as it is: `ignoreCase` of the language.
            #[must_use]
            pub fn folded(self) -> Option<Self> {
                match self { $( Self::$variant => [$( Self::$folded )?].first().copied(), )* }
            }

            /// What the operator is without [`PredOp::folded`], and whether it is folded.
            #[must_use]
            pub fn unfolded(self) -> (Self, bool) {
                $( $( if self == Self::$folded { return (Self::$variant, true); } )? )*
                (self, false)
            }
        }
    };
}

pred_ops! {
    Eq = "eq" [Json, Anything, Key, folded EqFold] "Same type and equal."
        "numbers by value, arrays and objects deeply";
    Gt = "gt" [Ordered, Ordered, Threshold] "Greater."
        "numbers exactly, strings by code point; two kinds do not compare";
    Gte = "gte" [Ordered, Ordered, Threshold] "Greater or equal."
        "numbers exactly, strings by code point; two kinds do not compare";
    Lt = "lt" [Ordered, Ordered, Threshold] "Less."
        "numbers exactly, strings by code point; two kinds do not compare";
    Lte = "lte" [Ordered, Ordered, Threshold] "Less or equal."
        "numbers exactly, strings by code point; two kinds do not compare";
    In = "in" [List, Anything, Keys, folded InFold] "Some item of the list equals the field, or one of its elements."
        "a field operand that is no list is an error";
    Contains = "contains" [Json, TextOrList, Element, folded ContainsFold] "Substring of a string, or element of an array."
        "a string holds strings, an array anything";
    StartsWith = "starts_with" [Text, Text, Affix, folded StartsWithFold] "Prefix of a string."
        "by bytes of the text";
    EndsWith = "ends_with" [Text, Text, Affix, folded EndsWithFold] "Suffix of a string."
        "by bytes of the text";
    Matches = "matches" [Pattern, Text, No] "The pattern is found in a string."
        "unanchored";
    Exists = "exists" [Nothing, Anything, Presence] "Present and not null."
        "null does not exist";
    Any = "any" [Body, List, No] "The body holds for some element."
        "a disjunction over the elements of a list: false when it is empty";
    All = "all" [Body, List, No] "The body holds for every element."
        "a conjunction over the elements of a list: true when it is empty";
    EqFold = "eq_fold" [Json, Anything, No] "Same type and equal, texts folded."
        "as `eq`, strings at any depth folded, keys not";
    InFold = "in_fold" [List, Anything, No] "Some item of the list equals the field, or one of its elements, texts folded."
        "as `in`, likewise";
    ContainsFold = "contains_fold" [Json, TextOrList, No] "Substring of a string, or element of an array, texts folded."
        "as `contains`, likewise";
    StartsWithFold = "starts_with_fold" [Text, Text, No] "Prefix of a string, both folded."
        "by folded characters";
    EndsWithFold = "ends_with_fold" [Text, Text, No] "Suffix of a string, both folded."
        "by folded characters";
    InCidr = "in_cidr" [Networks, Address, No] "An address in one of the networks."
        "text that is no address, and what is no network, are errors; a mapped IPv6 address is an IPv4 address";
    Before = "before" [Instant, Instant, No] "An earlier instant."
        "RFC 3339 text with an offset, or epoch milliseconds; all else is an error; strictly";
    After = "after" [Instant, Instant, No] "A later instant."
        "RFC 3339 text with an offset, or epoch milliseconds; all else is an error; strictly";
    TimeBetween = "time_between" [Window, Instant, No] "An instant inside a window of local time."
        "on the clock of the time zone; start included, end not; over midnight it belongs to the day of its start";
}

impl PredOp {
    /// Whether it can be an error on a present field of the request, with a constant or a pattern as its operand. With
    /// a field as the operand, or on a derived field, any operator but `exists` can be one.
    #[must_use]
    pub fn fallible(self) -> bool {
        self.reads() != Reads::Anything
    }

    /// Its outcome where the field is missing, and where a field operand is.
    #[must_use]
    #[inline]
    pub fn of_missing(self) -> bool {
        matches!(self, Self::All)
    }
}
