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
    /// Positions in `keys`, where there are too many to look through.
    by_key: HashMap<Box<str>, usize, FixedState>,
    /// Has to be materialised as a whole: it is read itself, or two entries share a spelling.
    whole: bool,
}

#[derive(Debug)]
struct Entry {
    key: Box<str>,
    /// First eight bytes of `key`, zero-padded: most lookups end here.
    head: u64,
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
                head: head(key.as_bytes()),
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
                        head: head(alias.as_bytes()),
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
        if self.keys.len() > FEW_KEYS {
            let entries = self.keys.iter().enumerate();
            self.by_key = entries.rev().map(|(i, e)| (e.key.clone(), i)).collect();
        }
    }

    fn is_leaf(&self) -> bool {
        self.keys.is_empty() && self.elements.is_empty()
    }

    #[inline]
    fn find(&self, key: &str) -> Option<(usize, &Entry)> {
        if !self.by_key.is_empty() {
            let position = *self.by_key.get(key)?;
            return self.keys.get(position).map(|entry| (position, entry));
        }
        let wanted = head(key.as_bytes());
        self.keys
            .iter()
            .enumerate()
            .find(|(_, e)| e.head == wanted && e.key.len() == key.len() && (key.len() <= 8 || *e.key == *key))
    }
}

/// Keys of a node that are looked through one by one.
const FEW_KEYS: usize = 16;

/// First eight bytes, little-endian, zero-padded.
#[inline]
fn head(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk::<8>() {
        return u64::from_le_bytes(*first);
    }
    // Two overlapping halves: what both hold agrees.
    match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(low), Some(high)) => {
            let shift = 8 * (key.len() - 4);
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << shift
        }
        _short => key.iter().rev().fold(0, |h, b| h << 8 | u64::from(*b)),
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
        if node.is_leaf() || node.whole {
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
