//! Projection: one pass over the request body that puts the fields which the module reads into slots.
//!
//! Field paths form a trie. Objects on a path are walked key by key; a key that leads nowhere is skipped (validated,
//! not decoded). Strings are borrowed from the body unless they hold escapes. A key that occurs twice in an object on
//! a path is refused: the model behind us might read the other one. An alias fills a slot only while the canonical
//! spelling has not been seen.
//!
//! A node whose value is itself read, or whose keys are ambiguous, is materialised as a whole and its children are
//! looked up in the value.

use crate::json::{JsonError, JsonErrorKind, RawStr, Reader, Result};
use crate::load::LoadedModule;
use crate::value::Value;
use bumpalo::Bump;
use foldhash::fast::FixedState;
use policy_bytecode::module::{Field, PathSegment};
use std::collections::HashMap;

/// The paths of a module's fields.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// The slot of a field that ends here.
    slot: Option<u32>,
    /// Keys that lead on, each with its own node.
    keys: Vec<Entry>,
    /// Array elements that lead on.
    elements: Vec<(u32, u32)>,
    /// Finds keys.
    index: Index,
    /// Has to be materialised as a whole: it is read itself, or two entries share a spelling.
    whole: bool,
}

#[derive(Debug)]
struct Entry {
    key: Box<str>,
    print: Fingerprint,
    node: u32,
    alias: bool,
    /// Position of the entry of the canonical spelling when this is an alias.
    canonical: usize,
}

/// A child before entries are built: what the step is, and its node.
struct Child<'a> {
    step: Step<'a>,
    alias: Option<&'a str>,
    node: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Step<'a> {
    Key(&'a str),
    Index(u32),
}

impl Trie {
    pub(crate) fn build(fields: &[Field]) -> Self {
        let mut nodes = vec![Node::default()];
        let mut children: Vec<Vec<Child<'_>>> = vec![Vec::new()];
        // Where each step from a node leads: its place among the node's children.
        let mut known: HashMap<(usize, Step<'_>), usize> = HashMap::new();
        for (slot, field) in fields.iter().enumerate() {
            let mut at = 0;
            for segment in &field.path {
                let (step, alias) = match segment {
                    PathSegment::Key { name, alias } => (Step::Key(name), alias.as_deref()),
                    PathSegment::Index(n) => (Step::Index(*n), None),
                };
                let Some(own) = children.get_mut(at) else { break };
                let place = *known.entry((at, step)).or_insert_with(|| {
                    own.push(Child {
                        step,
                        alias: None,
                        node: nodes.len(),
                    });
                    nodes.push(Node::default());
                    own.len() - 1
                });
                let Some(child) = own.get_mut(place) else { break };
                child.alias = child.alias.or(alias);
                at = child.node;
                if at == children.len() {
                    children.push(Vec::new());
                }
            }
            if let Some(node) = nodes.get_mut(at) {
                node.slot = u32::try_from(slot).ok();
            }
        }
        for (node, own) in nodes.iter_mut().zip(&children) {
            for child in own {
                node.add(child);
            }
            node.finish();
        }
        Self { nodes }
    }

    fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }
}

impl Node {
    fn add(&mut self, child: &Child<'_>) {
        let node = u32::try_from(child.node).unwrap_or(u32::MAX);
        let mut entry = |key: &str, alias: bool, canonical: usize| {
            self.keys.push(Entry {
                key: key.into(),
                print: Fingerprint::of(key.as_bytes()),
                node,
                alias,
                canonical,
            });
        };
        match child.step {
            Step::Key(name) => {
                entry(name, false, 0);
                if let Some(alias) = child.alias.filter(|a| *a != name) {
                    let canonical = self.keys.len() - 1;
                    self.keys.push(Entry {
                        key: alias.into(),
                        print: Fingerprint::of(alias.as_bytes()),
                        node,
                        alias: true,
                        canonical,
                    });
                }
            }
            Step::Index(n) => {
                entry(&n.to_string(), false, 0);
                self.elements.push((n, node));
            }
        }
    }

    fn finish(&mut self) {
        let mut spellings: Vec<&str> = self.keys.iter().map(|e| &*e.key).collect();
        spellings.sort_unstable();
        let ambiguous = spellings
            .iter()
            .zip(spellings.iter().skip(1))
            .any(|(a, b)| a == b);
        self.whole =
            (self.slot.is_some() && !(self.keys.is_empty() && self.elements.is_empty())) || ambiguous;
        self.elements.sort_unstable();
        self.index = Index::new(&self.keys);
    }

    fn is_leaf(&self) -> bool {
        self.keys.is_empty() && self.elements.is_empty()
    }

    #[inline]
    fn find(&self, key: &str) -> Option<(usize, &Entry)> {
        let print = Fingerprint::of(key.as_bytes());
        let position = match &self.index {
            Index::Slots { factor, positions } => {
                let slot = Index::slot(print, *factor);
                usize::from(*positions.get(slot)?)
            }
            Index::Map(positions) => *positions.get(key)?,
        };
        let entry = self.keys.get(position)?;
        let same = entry.print == print && (key.len() <= Fingerprint::WHOLE || *entry.key == *key);
        same.then_some((position, entry))
    }
}

/// What most keys differ in, and short ones always: the first eight bytes, the last eight, and the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Fingerprint {
    head: u64,
    tail: u64,
    length: usize,
}

impl Fingerprint {
    /// Longest key that is told from others by its fingerprint alone.
    const WHOLE: usize = 16;

    #[inline]
    fn of(key: &[u8]) -> Self {
        let (head, tail) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _short => (head(key), 0),
        };
        Self {
            head,
            tail,
            length: key.len(),
        }
    }

    #[inline]
    fn mixed(self) -> u64 {
        self.head ^ self.tail.rotate_left(23) ^ self.length as u64
    }
}

/// First bytes of a key of less than eight, little-endian, zero-padded.
#[inline]
fn head(key: &[u8]) -> u64 {
    // Two overlapping halves: what both hold agrees.
    match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(low), Some(high)) => {
            let shift = 8 * (key.len() - 4);
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << shift
        }
        _short => key.iter().rev().fold(0, |h, b| h << 8 | u64::from(*b)),
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
    Map(HashMap<Box<str>, usize, FixedState>),
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
                    .map(|(i, e)| (e.key.clone(), i))
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

/// Which entries of one object were seen. Objects with more than 64 entries keep the rest in the arena.
struct Seen<'a> {
    first: u64,
    rest: &'a mut [u64],
}

impl<'a> Seen<'a> {
    fn new(entries: usize, bump: &'a Bump) -> Self {
        let rest: &mut [u64] = if entries > 64 {
            bump.alloc_slice_fill_copy((entries - 64).div_ceil(64), 0)
        } else {
            &mut []
        };
        Self { first: 0, rest }
    }

    #[inline]
    fn get(&self, entry: usize) -> bool {
        if entry < 64 {
            return self.first >> entry & 1 == 1;
        }
        self.rest
            .get((entry - 64) / 64)
            .is_some_and(|w| w >> (entry % 64) & 1 == 1)
    }

    #[inline]
    fn set(&mut self, entry: usize) {
        if entry < 64 {
            self.first |= 1 << entry;
        } else if let Some(word) = self.rest.get_mut((entry - 64) / 64) {
            *word |= 1 << (entry % 64);
        }
    }
}

/// Reads `body` into one slot per field of the module. Missing fields stay [`Value::Undefined`].
pub(crate) fn project<'a>(
    module: &LoadedModule,
    body: &'a [u8],
    bump: &'a Bump,
) -> Result<&'a mut [Value<'a>]> {
    if body.len() as u64 > module.limits.body_bytes {
        return Err(JsonError {
            kind: JsonErrorKind::TooLarge,
            offset: 0,
        });
    }
    let text = std::str::from_utf8(body).map_err(|e| JsonError {
        kind: JsonErrorKind::NotUtf8,
        offset: e.valid_up_to(),
    })?;
    let slots = bump.alloc_slice_fill_copy(module.field_count, Value::Undefined);
    let arena = usize::try_from(module.limits.arena_bytes).unwrap_or(usize::MAX);
    let mut reader = Reader::new(text, bump, module.limits.depth, arena);
    if reader.peek() != b'{' {
        // Tell malformed documents from well-formed ones of another kind.
        reader.skip()?;
        reader.end()?;
        return Err(JsonError {
            kind: JsonErrorKind::NotAnObject,
            offset: 0,
        });
    }
    Projection {
        trie: &module.trie,
        reader: &mut reader,
        slots,
    }
    .node(0)?;
    reader.end()?;
    Ok(slots)
}

struct Projection<'t, 'r, 's, 'a> {
    trie: &'t Trie,
    reader: &'r mut Reader<'a>,
    slots: &'s mut [Value<'a>],
}

impl<'a> Projection<'_, '_, '_, 'a> {
    /// Reads the value of a node: into its slot, into its children's slots, or past it.
    /// Recursion is as deep as the trie, and the trie as deep as the verifier allows paths to be.
    fn node(&mut self, index: u32) -> Result<()> {
        let Some(node) = self.trie.node(index) else {
            return self.reader.skip();
        };
        if node.is_leaf() {
            let value = self.reader.value()?;
            if let Some(slot) = node.slot.and_then(|s| self.slots.get_mut(s as usize)) {
                *slot = value;
            }
            return Ok(());
        }
        if node.whole {
            let value = self.reader.value()?;
            self.assign(index, value);
            return Ok(());
        }
        match self.reader.peek() {
            b'{' => self.object(node),
            b'[' if !node.elements.is_empty() => self.array(node),
            _scalar_or_array => self.reader.skip(),
        }
    }

    fn object(&mut self, node: &Node) -> Result<()> {
        self.reader.enter()?;
        let mut seen = Seen::new(node.keys.len(), self.reader.bump());
        let mut next = self.reader.first_key()?;
        while let Some(raw) = next {
            self.member(node, raw, &mut seen)?;
            next = self.reader.next_key()?;
        }
        Ok(())
    }

    #[inline]
    fn member(&mut self, node: &Node, raw: RawStr<'a>, seen: &mut Seen<'_>) -> Result<()> {
        let key = if raw.escaped {
            self.reader.decode(raw)?
        } else {
            raw.text
        };
        let Some((position, entry)) = node.find(key) else {
            return self.reader.skip();
        };
        if seen.get(position) {
            return Err(JsonError {
                kind: JsonErrorKind::DuplicateKey,
                offset: raw.offset,
            });
        }
        seen.set(position);
        if entry.alias && seen.get(entry.canonical) {
            return self.reader.skip();
        }
        if !entry.alias && self.alias_seen(node, position, seen) {
            self.clear(entry.node);
        }
        self.node(entry.node)
    }

    /// Whether the alias of the canonical entry at `position` was read before it.
    fn alias_seen(&self, node: &Node, position: usize, seen: &Seen<'_>) -> bool {
        node.keys
            .get(position + 1)
            .is_some_and(|e| e.alias && e.canonical == position)
            && seen.get(position + 1)
    }

    fn array(&mut self, node: &Node) -> Result<()> {
        self.reader.enter()?;
        if !self.reader.first_element() {
            return Ok(());
        }
        let mut wanted = node.elements.iter().peekable();
        let mut position: u32 = 0;
        loop {
            match wanted.peek() {
                Some((n, child)) if *n == position => {
                    wanted.next();
                    self.node(*child)?;
                }
                Some(_) | None => self.reader.skip()?,
            }
            position = position.saturating_add(1);
            if !self.reader.next_element()? {
                return Ok(());
            }
        }
    }

    /// Forgets what an alias put below a node.
    fn clear(&mut self, index: u32) {
        self.assign(index, Value::Undefined);
    }

    /// Puts a materialised value into the slots of a node and of everything below it.
    fn assign(&mut self, index: u32, value: Value<'a>) {
        let Some(node) = self.trie.node(index) else { return };
        if let Some(slot) = node.slot.and_then(|s| self.slots.get_mut(s as usize)) {
            *slot = value;
        }
        for (position, entry) in node.keys.iter().enumerate() {
            if entry.alias {
                continue;
            }
            let mut child = value.get(&entry.key);
            if let (Value::Undefined, Some(alias)) = (child, node.keys.get(position + 1))
                && alias.alias
                && alias.canonical == position
            {
                child = value.get(&alias.key);
            }
            self.assign(entry.node, child);
        }
        if let Value::Array(items) = value {
            for (n, child) in &node.elements {
                self.assign(
                    *child,
                    items.get(*n as usize).copied().unwrap_or(Value::Undefined),
                );
            }
        }
    }
}
