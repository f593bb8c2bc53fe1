//! The number that each variant has in a bundle. Bundles outlive binaries, so numbers are promised here and not taken from the order in
//! which variants happen to be declared: a test compares every one with what encoding writes.
//!
//! A new variant gets the next number at the end of its enumeration; a number is never used twice. Opcodes have numbers of their own in
//! [`crate::for_each_instr!`], intrinsics in [`crate::intrinsics`], and sections in [`crate::bundle`].

use crate::consts::Const;
use crate::context::Holds;
use crate::manifest::{CondNode, TemplatePart, ValueNode, VerbInfo};
use crate::module::{Decision, PathSegment, PatternEngine};
use crate::number::Number;
use crate::predicate::{PredOp, PredOperand};
use crate::quantifier::{ItemOperand, Node, Subject};
use crate::scan::OnHit;

/// An enumeration whose variants have numbers in a bundle.
pub trait Numbered {
    /// Every number, ascending, with the variant that has it.
    const NUMBERS: &'static [(u8, &'static str)];

    /// The number of this variant: the first byte that is written of it.
    fn number(&self) -> u8;
}

macro_rules! numbered {
    ($( $ty:ident { $( $number:literal $variant:ident, )+ } )+) => {
        $( impl Numbered for $ty {
            const NUMBERS: &'static [(u8, &'static str)] = &[ $( ($number, stringify!($variant)), )+ ];

            fn number(&self) -> u8 {
                match self { $( Self::$variant { .. } => $number, )+ }
            }
        } )+

        /// Every enumeration with its numbers, for the manual.
        pub const TABLES: &[(&str, &[(u8, &str)])] = &[ $( (stringify!($ty), $ty::NUMBERS), )+ ];
    };
}

numbered! {
    Number { 0 Int, 1 UInt, 2 Float, }
    Const { 0 Null, 1 Bool, 2 Number, 3 Str, 4 Array, 5 Object, 6 Decimal, }
    PathSegment { 0 Key, 1 Index, 2 FromEnd, }
    PatternEngine { 0 Dfa, 1 Source, }
    Decision { 0 Allow, 1 Warn, 2 Modify, 3 Deny, }
    Holds { 0 Any, 1 Scalar, 2 List, 3 Object, }
    PredOp {
        0 Eq, 1 Gt, 2 Gte, 3 Lt, 4 Lte, 5 In, 6 Contains, 7 StartsWith, 8 EndsWith, 9 Matches, 10 Exists, 11 Any, 12 All, 13 EqFold,
        14 InFold, 15 ContainsFold, 16 StartsWithFold, 17 EndsWithFold, 18 InCidr, 19 Before, 20 After, 21 TimeBetween,
    }
    PredOperand { 0 None, 1 Const, 2 Pattern, 3 Field, 4 Body, }
    Node { 0 And, 1 Or, 2 Not, 3 Pred, 4 Test, }
    Subject { 0 Item, 1 Field, }
    ItemOperand { 0 Plain, 1 Item, }
    OnHit { 0 True, 1 Search, 2 Near, }
    VerbInfo { 0 Set, 1 Cap, 2 Floor, 3 Default, 4 Append, 5 Remove, 6 Redact, }
    CondNode { 0 Const, 1 And, 2 Or, 3 Not, 4 Test, }
    TemplatePart { 0 Text, 1 Field, }
    ValueNode { 0 Const, 1 Template, 2 Array, 3 Object, }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BodyIdx, ConstIdx, FieldIdx, PatternIdx, PredIdx};
    use crate::quantifier::ItemTest;
    use serde::Serialize;
    use std::collections::BTreeSet;

    /// Compares what is written of each sample with its number; the samples have to show every number.
    fn check<T: Numbered + Serialize>(samples: &[T]) {
        let mut shown = BTreeSet::new();
        for sample in samples {
            let bytes = postcard::to_allocvec(sample).unwrap();
            assert_eq!(bytes[0], sample.number());
            shown.insert(sample.number());
        }
        let shown: Vec<u8> = shown.into_iter().collect();
        let promised: Vec<u8> = T::NUMBERS.iter().map(|(number, _)| *number).collect();
        assert_eq!(shown, promised, "numbers are distinct, ascending, and all shown");
    }

    #[test]
    fn what_is_written_is_what_the_table_promises() {
        let (k, f, q) = (ConstIdx(0), FieldIdx(0), BodyIdx(0));
        check(&[Number::Int(1), Number::UInt(u64::MAX), Number::Float(0.5)]);
        check(&[
            Const::Null,
            Const::Bool(true),
            Const::Number(Number::Int(1)),
            Const::Str(String::new()),
            Const::Array(Vec::new()),
            Const::Object(Vec::new()),
            Const::Decimal(String::new()),
        ]);
        let key = PathSegment::Key {
            name: String::new(),
            aliases: Vec::new(),
        };
        check(&[key, PathSegment::Index(0), PathSegment::FromEnd(1)]);
        let dfa = PatternEngine::Dfa {
            bytes: Vec::new().into(),
            ascii_only: false,
        };
        let source = PatternEngine::Source {
            reason: String::new(),
        };
        check(&[dfa, source]);
        check(&[Decision::Allow, Decision::Warn, Decision::Modify, Decision::Deny]);
        check(Holds::ALL);
        check(PredOp::ALL);
        let operands = [
            PredOperand::None,
            PredOperand::Const(k),
            PredOperand::Pattern(PatternIdx(0)),
            PredOperand::Field(f),
            PredOperand::Body(q),
        ];
        check(&operands);
        let test = ItemTest {
            op: PredOp::Exists,
            subject: Subject::Field(f),
            operand: ItemOperand::Plain(PredOperand::None),
            negated: false,
        };
        check(&[
            Node::And(Vec::new()),
            Node::Or(Vec::new()),
            Node::Not(0),
            Node::Pred {
                pred: PredIdx(0),
                negated: false,
            },
            Node::Test(test),
        ]);
        check(&[Subject::Item(Vec::new()), Subject::Field(f)]);
        check(&[
            ItemOperand::Plain(PredOperand::None),
            ItemOperand::Item(Vec::new()),
        ]);
        check(&[OnHit::True, OnHit::Search, OnHit::Near { min: 0, max: 0 }]);
        check(&[
            VerbInfo::Set(0),
            VerbInfo::Cap(k),
            VerbInfo::Floor(k),
            VerbInfo::Default(0),
            VerbInfo::Append(0),
            VerbInfo::Remove,
            VerbInfo::Redact(Vec::new()),
        ]);
        check(&[
            CondNode::Const(true),
            CondNode::And(Vec::new()),
            CondNode::Or(Vec::new()),
            CondNode::Not(0),
            CondNode::Test {
                pred: PredIdx(0),
                negated: false,
                constant: None,
                items: Vec::new(),
            },
        ]);
        check(&[TemplatePart::Text(String::new()), TemplatePart::Field(f)]);
        check(&[
            ValueNode::Const(k),
            ValueNode::Template(0),
            ValueNode::Array(Vec::new()),
            ValueNode::Object(Vec::new()),
        ]);
    }

    /// Silent renumbering shows here.
    #[test]
    fn numbers_are_stable() {
        let listing: Vec<String> = TABLES
            .iter()
            .map(|(name, numbers)| {
                let numbers: Vec<String> = numbers
                    .iter()
                    .map(|(n, variant)| format!("{n} {variant}"))
                    .collect();
                format!("{name}: {}", numbers.join(", "))
            })
            .collect();
        insta::assert_snapshot!("numbers", listing.join("\n"));
    }
}
