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

use crate::load::LoadedConst;
use crate::predicate::LoadedPredicate;
use crate::value::{Value, mismatches};
use foldhash::fast::FixedState;
use policy_bytecode::context::Shape;
use policy_bytecode::guard::MAX_GUARDS;
use policy_bytecode::predicate::{PredOp, PredOperand, Predicate};
use policy_bytecode::{Exact, FieldIdx, Number, PredIdx, VerifiedModule};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Rules below one predicate from which a second guard is worth a node.
const SPLIT: usize = 16;
/// Entries that all nodes may have together, for each predicate named by a guard: rules that hang on many keys and have
/// several guards would otherwise be listed many times.
const ENTRIES_PER_GUARD: usize = 8;

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
    /// `None` when no rule has a guard. O(guards).
    pub(crate) fn new(
        module: &VerifiedModule,
        consts: &[LoadedConst],
        loaded: &[LoadedPredicate],
        shapes: &[Shape],
    ) -> Option<Self> {
        let guards: Vec<&[Vec<PredIdx>]> = module
            .rules
            .iter()
            .map(|rule| {
                module
                    .functions
                    .get(rule.condition.index())
                    .map_or(&[][..], |f| f.guards.as_slice())
            })
            .collect();
        if guards.iter().all(|g| g.is_empty()) {
            return None;
        }
        let named = guards.iter().flat_map(|g| g.iter()).map(Vec::len).sum::<usize>();
        let mut builder = Builder {
            guards,
            predicates: &module.predicates,
            consts,
            loaded,
            shapes,
            entries_left: named.saturating_mul(ENTRIES_PER_GUARD),
            index: Self {
                nodes: Vec::new(),
                lists: Vec::new(),
                groups: Vec::new(),
                searches: Vec::new(),
                rules: u32::try_from(module.rules.len()).unwrap_or(u32::MAX),
            },
        };
        let mut searched: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut others = Vec::with_capacity(module.rules.len());
        for rule in (0u32..).take(module.rules.len()) {
            match builder.scan_of(rule) {
                Some(scan) => searched.entry(scan).or_default().push(rule),
                None => others.push(rule),
            }
        }
        builder.node(&others, 0);
        builder.searches(searched, module);
        Some(builder.index)
    }

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
            Target::Node(node) => {
                if let Some(node) = self.nodes.get(node as usize) {
                    self.visit(node, slots, found);
                }
            }
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
            .unwrap_or(Value::Undefined);
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
                    take(switch.elements.get(item));
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

/// Rules to run: a bit for each, and a bit for each word that has any, so that taking them out in order costs what is
/// in, not what could be.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    words: Vec<u64>,
    summary: Vec<u64>,
}

/// A position in [`Candidates`].
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// Bits of the current word that are left, and its number.
    bits: u64,
    word: usize,
    /// The current word of the summary.
    at: usize,
}

impl Candidates {
    /// None, of so many rules.
    pub(crate) fn of(rules: usize) -> Self {
        let words = rules.div_ceil(64);
        Self {
            words: vec![0; words],
            summary: vec![0; words.div_ceil(64)],
        }
    }

    fn clear(&mut self) {
        for (at, summary) in self.summary.iter_mut().enumerate() {
            while *summary != 0 {
                let bit = summary.trailing_zeros() as usize;
                *summary &= *summary - 1;
                if let Some(word) = self.words.get_mut(at * 64 + bit) {
                    *word = 0;
                }
            }
        }
    }

    #[inline]
    fn add(&mut self, word: u32, bits: u64) {
        let place = word as usize;
        if let (Some(word), Some(summary)) = (self.words.get_mut(place), self.summary.get_mut(place / 64)) {
            *word |= bits;
            *summary |= 1 << (place % 64);
        }
    }

    #[cold]
    fn add_all(&mut self, rules: u32) {
        for word in 0..rules.div_ceil(64) {
            let rest = rules - 64 * word;
            self.add(word, if rest >= 64 { u64::MAX } else { (1 << rest) - 1 });
        }
    }

    /// Takes up what was added to the word of `rule`, which was taken out last. Only what stands behind it counts.
    pub(crate) fn refill(&mut self, cursor: &mut Cursor, rule: u32) {
        if let Some(word) = self.words.get_mut(cursor.word) {
            let behind = u64::MAX.checked_shl(rule % 64 + 1).unwrap_or(0);
            cursor.bits |= std::mem::take(word) & behind;
        }
    }

    /// Takes the next rule out, in ascending order.
    #[inline]
    pub(crate) fn next(&mut self, cursor: &mut Cursor) -> Option<u32> {
        while cursor.bits == 0 {
            let summary = self.summary.get_mut(cursor.at)?;
            if *summary == 0 {
                cursor.at += 1;
                continue;
            }
            cursor.word = cursor.at * 64 + summary.trailing_zeros() as usize;
            *summary &= *summary - 1;
            cursor.bits = std::mem::take(self.words.get_mut(cursor.word)?);
        }
        let bit = cursor.bits.trailing_zeros();
        cursor.bits &= cursor.bits - 1;
        u32::try_from(cursor.word).ok().map(|word| word * 64 + bit)
    }
}

struct Builder<'m> {
    /// By rule.
    guards: Vec<&'m [Vec<PredIdx>]>,
    predicates: &'m [Predicate],
    consts: &'m [LoadedConst],
    loaded: &'m [LoadedPredicate],
    shapes: &'m [Shape],
    entries_left: usize,
    index: RuleIndex,
}

/// A switch before its lists are laid out.
#[derive(Default)]
struct Draft {
    scalars: DraftKeys,
    elements: DraftKeys,
    above: Vec<(Number, Target)>,
    at_or_above: Vec<(Number, Target)>,
    below: Vec<(Number, Target)>,
    at_or_below: Vec<(Number, Target)>,
    prefixes: BTreeMap<Arc<str>, Vec<Target>>,
    suffixes: BTreeMap<Arc<str>, Vec<Target>>,
    contains: Vec<Target>,
    ordered: Vec<Target>,
    affixed: Vec<Target>,
    present: Vec<Target>,
}

#[derive(Default)]
struct DraftKeys {
    strings: HashMap<Arc<str>, Vec<Target>, FixedState>,
    numbers: Vec<(Number, Target)>,
    falsehood: Vec<Target>,
    truth: Vec<Target>,
    null: Vec<Target>,
}

impl DraftKeys {
    fn add(&mut self, key: &LoadedConst, target: Target) {
        match key {
            LoadedConst::Str(s) => self.strings.entry(Arc::clone(s)).or_default().push(target),
            LoadedConst::Number(n) => self.numbers.push((*n, target)),
            LoadedConst::Bool(true) => self.truth.push(target),
            LoadedConst::Bool(false) => self.falsehood.push(target),
            LoadedConst::Null => self.null.push(target),
            // Verified: V22.
            LoadedConst::Array(_) | LoadedConst::Object(_) | LoadedConst::Decimal(_) => {}
        }
    }
}

impl Builder<'_> {
    /// Builds the node of `rules` by their guards at `level`, and those below it. Returns its number.
    fn node(&mut self, rules: &[u32], level: usize) -> u32 {
        let mut always = Vec::new();
        let mut asking: BTreeMap<PredIdx, Vec<u32>> = BTreeMap::new();
        for rule in rules {
            match self.guard(*rule, level) {
                None => always.push(*rule),
                Some(guard) => {
                    for pred in guard {
                        let list = asking.entry(*pred).or_default();
                        // A predicate may be named twice.
                        if list.last() != Some(rule) {
                            list.push(*rule);
                        }
                    }
                }
            }
        }
        let mut drafts: BTreeMap<FieldIdx, Draft> = BTreeMap::new();
        for (pred, rules) in asking {
            let target = self.target(&rules, level);
            if let Some(predicate) = self.predicates.get(pred.index()) {
                let draft = drafts.entry(predicate.field).or_default();
                self.add(draft, predicate, target);
            }
        }
        let always = self.rules(&always);
        let switches = drafts
            .into_iter()
            .map(|(field, draft)| self.switch(field, draft))
            .collect();
        self.index.nodes.push(Node { always, switches });
        u32::try_from(self.index.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    /// The scan that the guard of a rule rests on.
    fn scan_of(&self, rule: u32) -> Option<u32> {
        let [guard] = self.guards.get(rule as usize)? else {
            return None;
        };
        let scan = |pred: &PredIdx| Some(self.loaded.get(pred.index())?.scan?.scan);
        let first = guard.first().and_then(scan)?;
        guard
            .iter()
            .all(|pred| scan(pred) == Some(first))
            .then_some(first)
    }

    /// Hangs rules on their scans.
    fn searches(&mut self, by_scan: BTreeMap<u32, Vec<u32>>, module: &VerifiedModule) {
        for (scan, rules) in by_scan {
            let (Some(first), Some(own)) = (rules.first(), module.scans.get(scan as usize)) else {
                continue;
            };
            let mut asking: Vec<Vec<u32>> = vec![Vec::new(); own.predicates.len()];
            for rule in &rules {
                for pred in self.guard(*rule, 0).into_iter().flatten() {
                    let place = self.loaded.get(pred.index()).and_then(|p| p.scan);
                    let list = place.and_then(|place| asking.get_mut(place.answer as usize));
                    // A predicate may be named twice.
                    if let Some(list) = list.filter(|list| list.last() != Some(rule)) {
                        list.push(*rule);
                    }
                }
            }
            let search = Search {
                scan,
                field: own.field,
                shape: self.shape(own.field),
                first: *first,
                answers: asking.iter().map(|rules| self.rules(rules)).collect(),
                all: self.rules(&rules),
            };
            self.index.searches.push(search);
        }
        self.index.searches.sort_by_key(Search::first);
    }

    fn shape(&self, field: FieldIdx) -> Shape {
        self.shapes.get(field.index()).copied().unwrap_or(Shape::Any)
    }

    fn guard(&self, rule: u32, level: usize) -> Option<&[PredIdx]> {
        let own = self.guards.get(rule as usize)?.get(level)?;
        Some(own)
    }

    /// What stands below a predicate: its rules, or a node where their next guard tells them apart.
    fn target(&mut self, rules: &[u32], level: usize) -> Target {
        self.entries_left = self.entries_left.saturating_sub(rules.len());
        let guarded = rules
            .iter()
            .filter(|rule| self.guard(**rule, level + 1).is_some())
            .count();
        if rules.len() > SPLIT
            && level + 1 < MAX_GUARDS
            && 2 * guarded > rules.len()
            && self.entries_left >= rules.len()
        {
            return Target::Node(self.node(rules, level + 1));
        }
        self.rules(rules)
    }

    fn rules(&mut self, rules: &[u32]) -> Target {
        match rules {
            [] => Target::Nothing,
            [rule] => Target::Rule(*rule),
            several => {
                let mut masks: Vec<Mask> = Vec::new();
                for rule in several {
                    let (word, bit) = (rule / 64, 1u64 << (rule % 64));
                    match masks.last_mut() {
                        Some(mask) if mask.word == word => mask.bits |= bit,
                        Some(_) | None => masks.push(Mask { word, bits: bit }),
                    }
                }
                self.index.lists.push(masks.into());
                Target::Rules(u32::try_from(self.index.lists.len() - 1).unwrap_or(u32::MAX))
            }
        }
    }

    fn group(&mut self, mut targets: Vec<Target>) -> Target {
        targets.dedup();
        match targets.as_slice() {
            [] => Target::Nothing,
            [target] => *target,
            _several => {
                self.index.groups.push(targets.into());
                Target::Group(u32::try_from(self.index.groups.len() - 1).unwrap_or(u32::MAX))
            }
        }
    }

    /// Where a predicate may be anything but false. The table of operators in `predicate.rs`, read backwards.
    fn add(&self, draft: &mut Draft, predicate: &Predicate, target: Target) {
        let constant = match predicate.operand {
            PredOperand::Const(k) => self.consts.get(k.index()),
            PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => {
                None
            }
        };
        let bound = match constant {
            Some(LoadedConst::Number(n)) => Some((*n, target)),
            _other => None,
        };
        let text = match constant {
            Some(LoadedConst::Str(s)) => Some(Arc::clone(s)),
            _other => None,
        };
        match predicate.op {
            PredOp::Exists => draft.present.push(target),
            PredOp::Eq => {
                if let Some(key) = constant {
                    draft.scalars.add(key, target);
                }
            }
            PredOp::In => {
                if let Some(LoadedConst::Array(items)) = constant {
                    for item in items.iter() {
                        draft.scalars.add(item, target);
                        draft.elements.add(item, target);
                    }
                }
            }
            PredOp::Contains => {
                if let Some(key) = constant {
                    draft.elements.add(key, target);
                }
                draft.contains.push(target);
            }
            PredOp::Gt => draft.above.extend(bound),
            PredOp::Gte => draft.at_or_above.extend(bound),
            PredOp::Lt => draft.below.extend(bound),
            PredOp::Lte => draft.at_or_below.extend(bound),
            PredOp::StartsWith => {
                if let Some(text) = text {
                    draft.prefixes.entry(text).or_default().push(target);
                }
            }
            PredOp::EndsWith => {
                if let Some(text) = text {
                    draft.suffixes.entry(text).or_default().push(target);
                }
            }
            // Verified: V22.
            PredOp::Matches
            | PredOp::EqFold
            | PredOp::InFold
            | PredOp::ContainsFold
            | PredOp::StartsWithFold
            | PredOp::EndsWithFold
            | PredOp::InCidr
            | PredOp::Before
            | PredOp::After
            | PredOp::TimeBetween
            | PredOp::Any
            | PredOp::All => {}
        }
        match predicate.op {
            PredOp::Gt | PredOp::Gte | PredOp::Lt | PredOp::Lte => draft.ordered.push(target),
            PredOp::StartsWith | PredOp::EndsWith => draft.affixed.push(target),
            PredOp::Eq
            | PredOp::In
            | PredOp::Contains
            | PredOp::Matches
            | PredOp::Exists
            | PredOp::EqFold
            | PredOp::InFold
            | PredOp::ContainsFold
            | PredOp::StartsWithFold
            | PredOp::EndsWithFold
            | PredOp::InCidr
            | PredOp::Before
            | PredOp::After
            | PredOp::TimeBetween
            | PredOp::Any
            | PredOp::All => {}
        }
    }

    fn switch(&mut self, field: FieldIdx, draft: Draft) -> Switch {
        Switch {
            field,
            shape: self.shape(field),
            scalars: self.keys(draft.scalars),
            elements: self.keys(draft.elements),
            above: self.thresholds(draft.above),
            at_or_above: self.thresholds(draft.at_or_above),
            below: self.thresholds(draft.below),
            at_or_below: self.thresholds(draft.at_or_below),
            prefixes: self.affixes(draft.prefixes),
            suffixes: self.affixes(draft.suffixes),
            contains: self.group(draft.contains),
            ordered: self.group(draft.ordered),
            affixed: self.group(draft.affixed),
            present: self.group(draft.present),
        }
    }

    fn keys(&mut self, draft: DraftKeys) -> Keys {
        let strings = draft.strings.into_iter();
        Keys {
            strings: strings.map(|(key, targets)| (key, self.group(targets))).collect(),
            numbers: self.thresholds(draft.numbers),
            falsehood: self.group(draft.falsehood),
            truth: self.group(draft.truth),
            null: self.group(draft.null),
        }
    }

    /// In ascending order, equal numbers as one.
    fn thresholds(&mut self, mut bounds: Vec<(Number, Target)>) -> Thresholds {
        bounds.sort_by(|(a, _), (b, _)| a.compare(*b));
        let equal = bounds.chunk_by(|(a, _), (b, _)| a.compare(*b).is_eq());
        equal
            .filter_map(|equal| {
                let (bound, _) = equal.first()?;
                let targets = equal.iter().map(|(_, target)| *target).collect();
                Some((*bound, self.group(targets)))
            })
            .collect()
    }

    fn affixes(&mut self, drafts: BTreeMap<Arc<str>, Vec<Target>>) -> Affixes {
        let mut lengths: Vec<usize> = drafts.keys().map(|text| text.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Affixes {
            lengths: lengths.into(),
            texts: drafts
                .into_iter()
                .map(|(text, targets)| (text.as_bytes().into(), self.group(targets)))
                .collect(),
        }
    }
}
