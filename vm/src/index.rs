//! The rule index: from the values in the slots to the rules that may be anything but false.
//!
//! Built when a module is loaded, from the guards of its functions: where every predicate of a guard is false, so is
//! the rule (verified: V21), and whether a predicate of a guard is false can be looked up (V22). So a guard of `eq` and
//! `in` becomes keys of a hash table, one of `gt` a threshold in order, one of `starts_with` a prefix by its length.
//! Rules without a guard are always candidates. Where many rules hang on one key and have another guard, that one is
//! the next node below the key: fields that do not narrow much alone do so together.
//!
//! Looking up never says less than the predicates would: an error counts as "may be", so a value of a type that an
//! operator cannot take selects every rule that asks that operator of it. It may say more, and running the rule puts
//! that right. The index changes what is looked at, never what is decided.
//!
//! Rules whose guard is searches of one text hang on the scan that answers these ([`crate::scan`]). The scan runs when the
//! first of them is reached, so that an earlier deny saves it, and then only those are run whose search may succeed.
//!
//! A lookup costs a few dozen nanoseconds for each field that has guards, whatever the number of rules, plus what it
//! finds.

mod build;
mod candidates;

pub(crate) use candidates::{Candidates, Cursor};

use crate::value::{Value, mismatches};
use foldhash::fast::FixedState;
use policy_bytecode::context::Shape;
use policy_bytecode::{Exact, FieldIdx, Number};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct RuleIndex {
    /// The last one is the root.
    nodes: Vec<Node>,
    lists: Vec<Box<[Mask]>>,
    groups: Vec<Box<[Target]>>,
    /// In the order of their first rules.
    searches: Vec<Search>,
    /// Rules of the module.
    rules: u32,
}

/// Rules that hang on a scan.
#[derive(Debug)]
pub(crate) struct Search {
    scan: u32,
    field: FieldIdx,
    shape: Shape,
    first: u32,
    /// By answer of the scan.
    answers: Box<[Target]>,
    all: Target,
}

impl Search {
    pub(crate) fn scan(&self) -> u32 {
        self.scan
    }

    pub(crate) fn field(&self) -> FieldIdx {
        self.field
    }

    /// The first rule.
    #[inline]
    pub(crate) fn first(&self) -> u32 {
        self.first
    }
}

#[derive(Debug)]
struct Node {
    always: Target,
    switches: Box<[Switch]>,
}

/// Up to 64 neighbouring rules.
#[derive(Debug, Clone, Copy)]
struct Mask {
    word: u32,
    bits: u64,
}

/// What a lookup finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Target {
    #[default]
    Nothing,
    /// One rule.
    Rule(u32),
    /// An entry of `lists`.
    Rules(u32),
    /// A node further down.
    Node(u32),
    /// An entry of `groups`: several of the above.
    Group(u32),
}

/// Lookups in one field.
#[derive(Debug)]
struct Switch {
    field: FieldIdx,
    shape: Shape,
    /// `eq`, `in`.
    scalars: Keys,
    /// `in`, `contains`: elements of an array.
    elements: Keys,
    above: Thresholds,
    at_or_above: Thresholds,
    below: Thresholds,
    at_or_below: Thresholds,
    prefixes: Affixes,
    suffixes: Affixes,
    /// All of an operator, for values on which it is an error or a substring might be found.
    contains: Target,
    ordered: Target,
    affixed: Target,
    /// `exists`.
    present: Target,
}

#[derive(Debug, Default)]
struct Keys {
    strings: HashMap<Arc<str>, Target, FixedState>,
    /// Ascending.
    numbers: Box<[(Number, Target)]>,
    falsehood: Target,
    truth: Target,
    null: Target,
}

impl Keys {
    #[inline]
    fn get(&self, value: &Value<'_>) -> Target {
        match value {
            Value::Str(s) => self.strings.get(*s).copied().unwrap_or_default(),
            Value::Number(n) => {
                let place = self.numbers.binary_search_by(|(key, _)| key.compare(*n));
                let found = place.ok().and_then(|at| self.numbers.get(at));
                found.map(|(_, target)| *target).unwrap_or_default()
            }
            Value::Bool(true) => self.truth,
            Value::Bool(false) => self.falsehood,
            Value::Null => self.null,
            Value::Undefined
            | Value::Unknown
            | Value::Pending
            // Guards name no decimal (V22), and no other number equals one.
            | Value::Decimal(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Set(_) => Target::Nothing,
        }
    }
}

/// Bounds in ascending order.
type Thresholds = Box<[(Number, Target)]>;

/// Prefixes, or suffixes.
#[derive(Debug, Default)]
struct Affixes {
    /// Lengths that occur, ascending.
    lengths: Box<[usize]>,
    texts: HashMap<Box<[u8]>, Target, FixedState>,
}

impl RuleIndex {
    /// In the order of their first rules.
    pub(crate) fn searches(&self) -> impl Iterator<Item = &Search> {
        self.searches.iter()
    }

    /// Adds the rules that an answer of a scan is asked by.
    pub(crate) fn take_answer(&self, search: &Search, answer: u32, found: &mut Candidates) {
        let target = search.answers.get(answer as usize).copied().unwrap_or(search.all);
        self.take(target, &[], found);
    }

    /// Adds all rules that hang on a scan.
    pub(crate) fn take_all(&self, search: &Search, found: &mut Candidates) {
        self.take(search.all, &[], found);
    }

    /// Puts every rule that may be anything but false into `found`.
    pub(crate) fn collect(&self, slots: &[Value<'_>], found: &mut Candidates) {
        found.clear();
        if let Some(root) = self.nodes.last() {
            self.visit(root, slots, found);
        }
        for search in &self.searches {
            match slots.get(search.field.index()) {
                // Every operator is false of what is missing.
                Some(Value::Undefined) | None => {}
                Some(value) if mismatches(search.shape, value) => self.take(search.all, slots, found),
                // Reaching the first makes the scan run, for a computed text once it is computed, and adds the others.
                Some(Value::Str(_) | Value::Pending) => self.take(Target::Rule(search.first), slots, found),
                // No text: an error, or an array that may have the element.
                Some(_other) => self.take(search.all, slots, found),
            }
        }
    }

    fn visit(&self, node: &Node, slots: &[Value<'_>], found: &mut Candidates) {
        self.take(node.always, slots, found);
        for switch in &node.switches {
            self.look_up(switch, slots, found);
        }
    }

    #[inline]
    fn take(&self, target: Target, slots: &[Value<'_>], found: &mut Candidates) {
        match target {
            Target::Nothing => {}
            Target::Rule(rule) => found.add(rule / 64, 1 << (rule % 64)),
            Target::Rules(list) => {
                for mask in self.lists.get(list as usize).into_iter().flatten() {
                    found.add(mask.word, mask.bits);
                }
            }
            // Nodes nest no deeper than a function has guards.
            Target::Node(node) => match self.nodes.get(node as usize) {
                Some(node) => self.visit(node, slots, found),
                None => found.add_all(self.rules),
            },
            Target::Group(group) => {
                for target in self.groups.get(group as usize).into_iter().flatten() {
                    self.take(*target, slots, found);
                }
            }
        }
    }

    fn look_up(&self, switch: &Switch, slots: &[Value<'_>], found: &mut Candidates) {
        let value = slots
            .get(switch.field.index())
            .copied()
            // Which rules may fire cannot be told then.
            .unwrap_or(Value::Unknown);
        let mut take = |target: Target| self.take(target, slots, found);
        match value {
            // Every operator is false of what is missing.
            Value::Undefined => return,
            // Every operator is an error: any rule may fire.
            Value::Unknown => return found.add_all(self.rules),
            value if mismatches(switch.shape, &value) => return found.add_all(self.rules),
            // Verified: guards name plain fields, which are never in this state (V22).
            Value::Pending => {}
            Value::Null => {
                take(switch.scalars.null);
                take(switch.contains);
                take(switch.ordered);
                take(switch.affixed);
                return;
            }
            Value::Str(text) => {
                take(switch.scalars.get(&value));
                take(switch.contains);
                take(switch.ordered);
                let text = text.as_bytes();
                for length in switch.prefixes.lengths_within(text) {
                    take(switch.prefixes.get(text.get(..length)));
                }
                for length in switch.suffixes.lengths_within(text) {
                    take(switch.suffixes.get(text.get(text.len() - length..)));
                }
            }
            Value::Number(n) => {
                take(switch.scalars.get(&value));
                take(switch.contains);
                take(switch.affixed);
                switch.satisfied(|bound| bound.compare(n), &mut take);
            }
            Value::Decimal(text) => {
                take(switch.contains);
                take(switch.affixed);
                switch.satisfied(
                    |bound| Exact::Number(bound).compare(Exact::Decimal(text)),
                    &mut take,
                );
            }
            Value::Bool(_) => {
                take(switch.scalars.get(&value));
                take(switch.contains);
                take(switch.ordered);
                take(switch.affixed);
            }
            Value::Array(items) => {
                for item in items {
                    take(switch.elements.get(&item));
                }
                take(switch.ordered);
                take(switch.affixed);
            }
            Value::Object(_) | Value::Set(_) => {
                take(switch.contains);
                take(switch.ordered);
                take(switch.affixed);
            }
        }
        take(switch.present);
    }
}

impl Switch {
    /// Takes what hangs on the bounds that a number satisfies; `order` is that of a bound to the number.
    #[inline]
    fn satisfied(&self, order: impl Fn(Number) -> Ordering, mut take: impl FnMut(Target)) {
        let less = |(bound, _): &(Number, Target)| order(*bound).is_lt();
        let up_to = |(bound, _): &(Number, Target)| order(*bound).is_le();
        let split = |bounds: &Thresholds, low: &dyn Fn(&(Number, Target)) -> bool| {
            bounds.partition_point(|bound| low(bound))
        };
        let satisfied = [
            self.above.get(..split(&self.above, &less)),
            self.at_or_above.get(..split(&self.at_or_above, &up_to)),
            self.below.get(split(&self.below, &up_to)..),
            self.at_or_below.get(split(&self.at_or_below, &less)..),
        ];
        for (_, target) in satisfied.into_iter().flatten().flatten() {
            take(*target);
        }
    }
}

impl Affixes {
    #[inline]
    fn get(&self, key: Option<&[u8]>) -> Target {
        let found = key.and_then(|key| self.texts.get(key));
        found.copied().unwrap_or_default()
    }

    /// Lengths that `text` is long enough for.
    #[inline]
    fn lengths_within(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        self.lengths
            .iter()
            .copied()
            .take_while(move |length| *length <= text.len())
    }
}
