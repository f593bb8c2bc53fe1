//! The paths of a module's fields as a trie, how a key is found in it, and which key is likely to come next.

use super::key::{Fingerprint, Quoted};
use foldhash::fast::FixedState;
use policy_bytecode::FieldIdx;
use policy_bytecode::context::{Holds, Knowledge, Known};
use policy_bytecode::module::{Field, Limits, PathSegment};
use std::collections::HashMap;
use std::sync::Arc;

/// The paths of a module's fields.
#[derive(Debug)]
pub(crate) struct Trie {
    pub(super) nodes: Vec<Node>,
    /// Places that [`Hints`] need.
    pub(super) hints: usize,
    /// Slots that are unknown until the request says what stands there ([`Known::answered`]).
    pub(super) answered: Vec<u32>,
}

/// What projection reads of a module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Projected<'m> {
    pub(crate) trie: &'m Trie,
    /// Distinguishes tries, so that what was learned of one is not said of another.
    pub(crate) identity: (u64, bool),
    /// One for each field of the module, and one for each derived field.
    pub(crate) slots: usize,
    pub(crate) limits: &'m Limits,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// The slot of a field that ends here.
    pub(super) slot: Option<u32>,
    /// Keys that lead on, each with its own node.
    pub(super) keys: Vec<Entry>,
    /// Array elements that lead on.
    pub(super) elements: Vec<(u32, u32)>,
    /// Array elements that lead on, counted from the end.
    pub(super) from_end: Vec<(u32, u32)>,
    /// Finds keys.
    index: Index,
    /// Where the hints for its keys begin.
    pub(super) hints: usize,
    /// Has to be materialised as a whole: it is read itself, elements are counted from its end, or two entries share a
    /// spelling.
    pub(super) whole: bool,
    /// An object stands here: its keys with dots between them. Anything else is refused.
    pub(super) root: Option<Arc<str>>,
    /// A known list: below anything else there, nothing can be known.
    pub(super) list: bool,
    /// What a service answers: where nothing stands, nothing is known.
    pub(super) answer: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<str>,
    pub(super) print: Fingerprint,
    pub(super) quoted: Quoted,
    pub(super) node: u32,
    /// The slot of a field that ends here and leads no further; [`PASSED_OVER`] where nothing is read, and [`NO_SLOT`]
    /// where it leads on.
    pub(super) slot: u32,
    pub(super) spelling: Spelling,
    /// Entries that are other spellings of it, as bits of [`Seen::first`]; any, where they are beyond those. None where
    /// there are no others.
    pub(super) others: u64,
}

pub(super) const NO_SLOT: u32 = u32::MAX;
pub(super) const PASSED_OVER: u32 = NO_SLOT - 1;

/// Whether a key has other spellings, and at which positions all of them are; the canonical one is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Only,
    OneOf { first: u32, count: u32 },
}

impl Spelling {
    #[inline]
    pub(super) fn all(self) -> std::ops::Range<usize> {
        match self {
            Self::Only => 0..0,
            Self::OneOf { first, count } => first as usize..first as usize + count as usize,
        }
    }

    #[inline]
    pub(super) fn mask(self) -> u64 {
        let all = self.all();
        match all.len() {
            0 => 0,
            count if all.end <= 64 => u64::MAX >> (64 - count) << all.start,
            _beyond => u64::MAX,
        }
    }
}

/// A child before entries are built: what the step is, and its node.
struct Child<'a> {
    step: Step<'a>,
    aliases: &'a [String],
    node: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Step<'a> {
    Key(&'a str),
    Index(u32),
    FromEnd(u32),
}

impl Trie {
    /// What the request holds at the paths of derived fields goes into slots of its own, behind those of all fields.
    /// Fields that are not `wanted` stay missing.
    pub(crate) fn build(
        fields: &[Field],
        derived: &[FieldIdx],
        knowledge: &Knowledge<'_>,
        wanted: impl Fn(usize) -> bool,
    ) -> Self {
        let mut nodes = vec![Node::default()];
        let mut children: Vec<Vec<Child<'_>>> = vec![Vec::new()];
        // Where each step from a node leads: its place among the node's children.
        let mut known: HashMap<(usize, Step<'_>), usize> = HashMap::new();
        let mut answered = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let wanted = wanted(index);
            // Keys that are known and passed over cost less than others, and mean the same whatever is computed.
            if !wanted && field.path.len() < 2 {
                continue;
            }
            let mut at = 0;
            for (depth, segment) in field.path.iter().enumerate() {
                let (step, aliases) = match segment {
                    PathSegment::Key { name, aliases } => (Step::Key(name), aliases.as_slice()),
                    PathSegment::Index(n) => (Step::Index(*n), &[][..]),
                    PathSegment::FromEnd(n) => (Step::FromEnd(*n), &[][..]),
                };
                let Some(own) = children.get_mut(at) else { break };
                let place = *known.entry((at, step)).or_insert_with(|| {
                    own.push(Child {
                        step,
                        aliases: &[],
                        node: nodes.len(),
                    });
                    let known = field.path.get(..=depth).and_then(|way| knowledge.at(way));
                    nodes.push(known.map(Node::of).unwrap_or_default());
                    own.len() - 1
                });
                let Some(child) = own.get_mut(place) else { break };
                if child.aliases.is_empty() {
                    child.aliases = aliases;
                }
                at = child.node;
                if at == children.len() {
                    children.push(Vec::new());
                }
            }
            if let Some(node) = nodes.get_mut(at).filter(|_| wanted) {
                let sent = derived.iter().position(|field| field.index() == index);
                let slot = sent.map_or(index, |position| fields.len() + position);
                node.slot = u32::try_from(slot).ok();
                answered.extend(node.slot.filter(|_| knowledge.is_answered(&field.path)));
            }
        }
        let mut hints = 0;
        // From the last on: children stand behind their parents, and must be complete when they are added.
        for index in (0..nodes.len()).rev() {
            let mut node = nodes.get_mut(index).map(std::mem::take).unwrap_or_default();
            for child in children.get(index).into_iter().flatten() {
                let leaf = nodes
                    .get(child.node)
                    .filter(|n| n.is_leaf() && n.root.is_none() && !n.answer);
                node.add(child, leaf.map_or(NO_SLOT, |n| n.slot.unwrap_or(PASSED_OVER)));
            }
            node.finish();
            node.hints = hints;
            hints += Hints::places(node.keys.len());
            if let Some(place) = nodes.get_mut(index) {
                *place = node;
            }
        }
        Self {
            nodes,
            hints,
            answered,
        }
    }

    #[inline]
    pub(super) fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }
}

impl Node {
    /// A node of which only this is known.
    fn of(known: &Known) -> Self {
        Self {
            root: (known.holds == Holds::Object).then(|| known.path.join(".").into()),
            list: known.holds == Holds::List,
            answer: known.answered,
            ..Self::default()
        }
    }

    fn add(&mut self, child: &Child<'_>, slot: u32) {
        let node = u32::try_from(child.node).unwrap_or(u32::MAX);
        let first = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let mut entry = |key: &str, spelling: Spelling| {
            self.keys.push(Entry {
                key: key.into(),
                print: Fingerprint::of(key.as_bytes()),
                quoted: Quoted::new(key),
                node,
                slot,
                spelling,
                others: spelling.mask(),
            });
        };
        match child.step {
            Step::Key(name) => {
                let mut spellings = vec![name];
                for alias in child.aliases {
                    if !spellings.contains(&alias.as_str()) {
                        spellings.push(alias);
                    }
                }
                let spelling = match u32::try_from(spellings.len()) {
                    Ok(1) | Err(_) => Spelling::Only,
                    Ok(count) => Spelling::OneOf { first, count },
                };
                for key in spellings {
                    entry(key, spelling);
                }
            }
            Step::Index(n) => {
                entry(&n.to_string(), Spelling::Only);
                self.elements.push((n, node));
            }
            Step::FromEnd(n) => self.from_end.push((n, node)),
        }
    }

    fn finish(&mut self) {
        let mut spellings: Vec<&str> = self.keys.iter().map(|e| &*e.key).collect();
        spellings.sort_unstable();
        let ambiguous = spellings
            .iter()
            .zip(spellings.iter().skip(1))
            .any(|(a, b)| a == b);
        self.whole = (self.slot.is_some() && !self.is_leaf()) || !self.from_end.is_empty() || ambiguous;
        self.elements.sort_unstable();
        self.index = Index::new(&self.keys);
    }

    #[inline]
    pub(super) fn is_leaf(&self) -> bool {
        self.keys.is_empty() && self.elements.is_empty() && self.from_end.is_empty()
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8], print: Fingerprint) -> Option<(usize, &Entry)> {
        let position = match &self.index {
            Index::Slots { factor, positions } => {
                let slot = Index::slot(print, *factor);
                usize::from(*positions.get(slot)?)
            }
            Index::Map(positions) => *positions.get(key)?,
        };
        let entry = self.keys.get(position)?;
        let same = entry.print == print && (key.len() <= Fingerprint::WHOLE || entry.key.as_bytes() == key);
        same.then_some((position, entry))
    }
}

/// Which key came after which, in the requests that one worker has seen.
///
/// For each key of a node, and for the beginning of an object, two places: what came directly after it, and what came
/// after a key that is not read. The second outlives runs of such keys.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    pub(super) next: Vec<u16>,
    /// Whose these are.
    pub(super) of: (u64, bool),
}

pub(super) const NO_HINT: u16 = u16::MAX;

impl Hints {
    #[inline]
    pub(super) fn places(keys: usize) -> usize {
        2 * (keys + 1)
    }

    #[inline]
    pub(super) fn reset(&mut self, of: (u64, bool), trie: &Trie) {
        if self.of != of {
            self.of = of;
            self.next.clear();
            self.next.resize(trie.hints, NO_HINT);
        }
    }
}

/// From a key to its position in a node's list of keys.
#[derive(Debug)]
enum Index {
    /// A table without collisions, for nodes with few keys. The position of no key stands where no key belongs.
    Slots {
        factor: u64,
        positions: Box<[u8; SLOTS]>,
    },
    /// For nodes with many keys, and for keys that are too much alike.
    Map(HashMap<Box<[u8]>, usize, FixedState>),
}

const SLOTS: usize = 64;
/// Keys for which a factor without collisions is soon found.
const FEW_KEYS: usize = 16;
/// Factors that are tried. One in seven serves sixteen keys, nearly every one serves a few.
const ATTEMPTS: u64 = 256;

impl Default for Index {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Index {
    fn new(keys: &[Entry]) -> Self {
        // Where a spelling occurs twice, the first entry stands for it.
        let map = || {
            Self::Map(
                keys.iter()
                    .enumerate()
                    .rev()
                    .map(|(i, e)| (e.key.as_bytes().into(), i))
                    .collect(),
            )
        };
        let mut mixed: Vec<u64> = keys.iter().map(|e| e.print.mixed()).collect();
        mixed.sort_unstable();
        if keys.len() > FEW_KEYS || mixed.iter().zip(mixed.iter().skip(1)).any(|(a, b)| a == b) {
            return map();
        }
        // Odd multiples of the golden ratio: any odd factor would do, these spread well.
        let factors = (0..ATTEMPTS).map(|n| 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * n + 1));
        factors
            .filter_map(|factor| {
                let mut positions = Box::new([u8::MAX; SLOTS]);
                for (position, entry) in keys.iter().enumerate() {
                    let slot = positions.get_mut(Self::slot(entry.print, factor))?;
                    if *slot != u8::MAX {
                        return None;
                    }
                    *slot = u8::try_from(position).ok()?;
                }
                Some(Self::Slots { factor, positions })
            })
            .next()
            .unwrap_or_else(map)
    }

    #[inline]
    fn slot(print: Fingerprint, factor: u64) -> usize {
        (print.mixed().wrapping_mul(factor) >> (u64::BITS - SLOTS.ilog2())) as usize
    }
}
