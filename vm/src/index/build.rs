//! From the guards of a module to its index.

use super::{Affixes, Keys, Mask, Node, RuleIndex, Search, Switch, Target, Thresholds};
use crate::heap::Frozen;
use crate::predicate::LoadedPredicate;
use crate::value::Value;
use foldhash::fast::FixedState;
use policy_bytecode::context::Shape;
use policy_bytecode::guard::MAX_GUARDS;
use policy_bytecode::predicate::{Lookup, PredOp, PredOperand, Predicate};
use policy_bytecode::{FieldIdx, Number, PredIdx, VerifiedModule};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Rules below one predicate from which a second guard is worth a node.
const SPLIT: usize = 16;
/// Entries that all nodes may have together, for each predicate named by a guard: rules that hang on many keys and have
/// several guards would otherwise be listed many times.
const ENTRIES_PER_GUARD: usize = 8;
/// Items of an `in` list that become keys. A rule of a longer list runs wherever its field is there: its list is hashed
/// already, and keys would be a second copy of it.
const LISTED: usize = 4096;

impl RuleIndex {
    /// `None` when no rule has a guard. O(guards).
    pub(crate) fn new(
        module: &VerifiedModule,
        consts: &Frozen,
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
}

struct Builder<'m> {
    /// By rule.
    guards: Vec<&'m [Vec<PredIdx>]>,
    predicates: &'m [Predicate],
    consts: &'m Frozen,
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
    fn add(&mut self, key: Value<'_>, target: Target) {
        match key {
            Value::Str(s) => match self.strings.get_mut(s) {
                Some(targets) => targets.push(target),
                None => drop(self.strings.insert(s.into(), vec![target])),
            },
            Value::Number(n) => self.numbers.push((n, target)),
            Value::Bool(true) => self.truth.push(target),
            Value::Bool(false) => self.falsehood.push(target),
            Value::Null => self.null.push(target),
            // Verified: V22.
            Value::Undefined
            | Value::Unknown
            | Value::Pending
            | Value::Decimal(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Set(_) => {}
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
            PredOperand::Const(k) => Some(self.consts.value(k)),
            PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => {
                None
            }
        };
        let bound = match constant {
            Some(Value::Number(n)) => Some((n, target)),
            _other => None,
        };
        let text = match constant {
            Some(Value::Str(s)) => Some(Arc::from(s)),
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
                if let Some(Value::Array(items)) = constant {
                    if items.len() > LISTED {
                        draft.present.push(target);
                        draft.scalars.null.push(target);
                        return;
                    }
                    for item in items {
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
        match predicate.op.lookup() {
            Lookup::Threshold => draft.ordered.push(target),
            Lookup::Affix => draft.affixed.push(target),
            Lookup::Key | Lookup::Keys | Lookup::Element | Lookup::Presence | Lookup::No => {}
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
