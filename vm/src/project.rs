//! Projection: one pass over the request body that puts the fields which the module reads into slots.
//!
//! Field paths form a trie. Objects on a path are walked key by key; a key that leads nowhere is skipped (validated,
//! not decoded). Strings are borrowed from the body unless they hold escapes. A key that occurs twice in an object on
//! a path is refused: the model behind us might read the other one. So are two spellings of one key with different
//! values, unless one of them is null, and a known object at the top ([`context::root`]) that is something else.
//!
//! What lies below a known list that is no list cannot be known: its slots are [`Value::Unknown`]. Nor can what a service would
//! have answered, where the request does not hold it ([`context::ANSWERED`]).
//!
//! Clients write their keys in the same order every time. So each worker remembers which key came after which, and looks
//! whether it stands there again before it looks for the key's end and then for the key ([`Hints`]). That is a guess about
//! speed and nothing else: keys are compared in full.
//!
//! A node whose value is itself read, or whose keys are ambiguous, is materialised as a whole and its children are
//! looked up in the value.

use crate::json::{Failed, JsonError, JsonErrorKind, Key, Reader, Result, plain_prefix, word};
use crate::load::LoadedModule;
use crate::value::Value;
use bumpalo::Bump;
use foldhash::fast::FixedState;
use policy_bytecode::FieldIdx;
use policy_bytecode::context::{self, Derived, Shape};
use policy_bytecode::module::{Field, PathSegment};
use std::collections::HashMap;

/// The paths of a module's fields.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// Places that [`Hints`] need.
    hints: usize,
    /// Slots that are unknown until the request says what stands there ([`context::ANSWERED`]).
    answered: Vec<u32>,
}

#[derive(Debug, Default)]
struct Node {
    /// The slot of a field that ends here.
    slot: Option<u32>,
    /// Keys that lead on, each with its own node.
    keys: Vec<Entry>,
    /// Array elements that lead on.
    elements: Vec<(u32, u32)>,
    /// Array elements that lead on, counted from the end.
    from_end: Vec<(u32, u32)>,
    /// Finds keys.
    index: Index,
    /// Where the hints for its keys begin.
    hints: usize,
    /// Has to be materialised as a whole: it is read itself, elements are counted from its end, or two entries share a
    /// spelling.
    whole: bool,
    /// A known object at the top, and its name: anything else there is refused.
    root: Option<&'static str>,
    /// A known list: below anything else there, nothing can be known.
    list: bool,
    /// What a service answers: where nothing stands, nothing is known.
    answer: bool,
}

#[derive(Debug)]
struct Entry {
    key: Box<str>,
    print: Fingerprint,
    quoted: Quoted,
    node: u32,
    /// The slot of a field that ends here and leads no further; [`PASSED_OVER`] where nothing is read, and [`NO_SLOT`]
    /// where it leads on.
    slot: u32,
    spelling: Spelling,
    /// Entries that are other spellings of it, as bits of [`Seen::first`]; any, where they are beyond those. None where
    /// there are no others.
    others: u64,
}

const NO_SLOT: u32 = u32::MAX;
const PASSED_OVER: u32 = NO_SLOT - 1;

/// Whether a key has other spellings, and at which positions all of them are; the canonical one is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Only,
    OneOf { first: u32, count: u32 },
}

impl Spelling {
    fn all(self) -> std::ops::Range<usize> {
        match self {
            Self::Only => 0..0,
            Self::OneOf { first, count } => first as usize..first as usize + count as usize,
        }
    }

    fn mask(self) -> u64 {
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
        derived: &[(Derived, FieldIdx)],
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
                    let way = field.path.get(..=depth).unwrap_or(&[]);
                    nodes.push(Node {
                        root: context::root(way),
                        list: Shape::of(way) == Shape::List,
                        answer: context::is_answer(way),
                        ..Node::default()
                    });
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
                let sent = derived.iter().position(|(_, f)| f.index() == index);
                let slot = sent.map_or(index, |position| fields.len() + position);
                node.slot = u32::try_from(slot).ok();
                answered.extend(node.slot.filter(|_| context::is_answered(&field.path)));
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

    fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }
}

impl Node {
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

    fn is_leaf(&self) -> bool {
        self.keys.is_empty() && self.elements.is_empty() && self.from_end.is_empty()
    }

    #[inline]
    fn find(&self, key: &[u8], print: Fingerprint) -> Option<(usize, &Entry)> {
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

    /// Of the key between `start` and `end`, by the words of the body that it lies in.
    #[inline(always)]
    fn within(body: &[u8], start: usize, end: usize) -> Self {
        let length = end - start;
        match word(body, start) {
            Some(head) if length < 8 => Self {
                head: head & !(u64::MAX << (8 * length)),
                tail: 0,
                length,
            },
            Some(head) => Self {
                head,
                tail: word(body, end - 8).unwrap_or(0),
                length,
            },
            None => Self::of(body.get(start..end).unwrap_or(&[])),
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

/// A key as it stands in most bodies: behind its opening quote, with the closing quote and a colon.
#[derive(Debug)]
struct Quoted {
    /// The first eight bytes, and those of them that there are.
    head: u64,
    mask: u64,
    /// The last eight; all of them again where there are less.
    tail: u64,
    tail_at: usize,
    text: Box<[u8]>,
}

impl Quoted {
    fn new(key: &str) -> Self {
        let mut text = key.as_bytes().to_vec();
        text.extend_from_slice(b"\":");
        // Such keys are never written as they are, and this byte never stands in UTF-8.
        if plain_prefix(key.as_bytes()) < key.len() {
            text = vec![u8::MAX];
        }
        let mut padded = text.clone();
        padded.resize(text.len().max(8), 0);
        let tail_at = text.len().saturating_sub(8);
        Self {
            head: word(&padded, 0).unwrap_or(0),
            mask: u64::MAX >> (64 - 8 * text.len().min(8)),
            tail: word(&padded, tail_at).unwrap_or(0),
            tail_at,
            text: text.into(),
        }
    }

    /// Whether it stands at `at`. It may be missed in the last few bytes of a body.
    #[inline(always)]
    fn is_at(&self, at: usize, body: &[u8]) -> bool {
        let (Some(head), Some(tail)) = (word(body, at), word(body, at + self.tail_at)) else {
            return false;
        };
        ((head ^ self.head) | (tail ^ self.tail)) & self.mask == 0
            && (self.text.len() <= 16 || body.get(at..at + self.text.len()) == Some(&*self.text))
    }
}

/// Which key came after which, in the requests that one worker has seen.
///
/// For each key of a node, and for the beginning of an object, two places: what came directly after it, and what came
/// after a key that is not read. The second outlives runs of such keys.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    next: Vec<u16>,
    module: u64,
    computes: bool,
}

const NO_HINT: u16 = u16::MAX;

impl Hints {
    fn places(keys: usize) -> usize {
        2 * (keys + 1)
    }

    fn reset(&mut self, module: &LoadedModule, computes: bool) {
        if (self.module, self.computes) != (module.identity(), computes) {
            self.module = module.identity();
            self.computes = computes;
            self.next.clear();
            self.next.resize(module.trie(computes).hints, NO_HINT);
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

/// Which entries of one object were seen. Objects with more than 64 entries keep the rest in the arena.
struct Seen<'a> {
    first: u64,
    rest: &'a mut [u64],
}

impl<'a> Seen<'a> {
    #[inline]
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

    /// Adds an entry; whether it was there.
    #[inline]
    fn put(&mut self, entry: usize) -> bool {
        let word = match entry.checked_sub(64) {
            None => &mut self.first,
            Some(entry) => match self.rest.get_mut(entry / 64) {
                Some(word) => word,
                None => return false,
            },
        };
        let bit = 1 << (entry % 64);
        let was = *word & bit != 0;
        *word |= bit;
        was
    }
}

/// Reads `body` into one slot per field of the module, and behind those one per derived field for what was sent in its
/// place. Missing fields stay [`Value::Undefined`], or [`Value::Unknown`] where a service answers them.
pub(crate) fn project<'a>(
    module: &LoadedModule,
    body: &'a [u8],
    bump: &'a Bump,
    hints: &mut Hints,
    computes: bool,
) -> std::result::Result<&'a mut [Value<'a>], JsonError> {
    hints.reset(module, computes);
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
    let slots = bump.alloc_slice_fill_copy(module.field_count + module.derived.len(), Value::Undefined);
    let arena = usize::try_from(module.limits.arena_bytes).unwrap_or(usize::MAX);
    let trie = module.trie(computes);
    for slot in &trie.answered {
        if let Some(slot) = slots.get_mut(*slot as usize) {
            *slot = Value::Unknown;
        }
    }
    let mut projection = Projection {
        trie,
        reader: Reader::new(text, bump, module.limits.depth, arena),
        slots: &mut *slots,
        hints: &mut hints.next,
    };
    match projection.document() {
        Ok(()) => Ok(slots),
        Err(Failed) => Err(projection.reader.error()),
    }
}

struct Projection<'t, 'a> {
    trie: &'t Trie,
    reader: Reader<'a>,
    slots: &'t mut [Value<'a>],
    hints: &'t mut [u16],
}

/// What a value is that begins so and is neither an object nor null.
fn kind_of(byte: u8) -> &'static str {
    match byte {
        b'"' => "a string",
        b'[' => "an array",
        b't' | b'f' => "a boolean",
        _number => "a number",
    }
}

impl<'t, 'a> Projection<'t, 'a> {
    fn document(&mut self) -> Result<()> {
        let (byte, at) = self.reader.token(0);
        if byte != b'{' {
            // Tell malformed documents from well-formed ones of another kind.
            let at = self.reader.skip(byte, at)?;
            self.reader.end(at)?;
            return self.reader.fail(JsonErrorKind::NotAnObject, 0);
        }
        let at = self.node(0, byte, at)?;
        self.reader.end(at)
    }

    /// Reads the value of a node, which starts with `byte` at `at`: into its slot, into its children's slots, or past
    /// it. Returns where it ends.
    /// Recursion is as deep as the trie, and the trie as deep as the verifier allows paths to be.
    fn node(&mut self, index: u32, byte: u8, at: usize) -> Result<usize> {
        let trie: &'t Trie = self.trie;
        let Some(node) = trie.node(index) else {
            return self.reader.skip(byte, at);
        };
        // A null there is as good as nothing.
        if let Some(root) = node.root
            && byte != b'{'
            && byte != b'n'
        {
            let end = self.reader.skip(byte, at)?;
            let found = kind_of(byte);
            return self
                .reader
                .fail(JsonErrorKind::RootNotAnObject { root, found }, end.min(at));
        }
        if node.whole || node.is_leaf() {
            if node.slot.is_none() && node.is_leaf() {
                return self.reader.skip(byte, at);
            }
            let mut value = Value::Undefined;
            let end = self.reader.value(byte, at, &mut value)?;
            self.assign(index, value, at)?;
            return Ok(end);
        }
        if node.answer && byte != b'n' {
            self.fill_below(node, Value::Undefined);
        }
        match byte {
            b'[' if !node.elements.is_empty() => self.array(node, at),
            b'n' | b'[' => self.reader.skip(byte, at),
            _no_list if node.list => {
                self.fill_below(node, Value::Unknown);
                self.reader.skip(byte, at)
            }
            b'{' => self.object(node, at),
            _scalar => self.reader.skip(byte, at),
        }
    }

    #[inline(always)]
    fn object(&mut self, node: &'t Node, at: usize) -> Result<usize> {
        let open = at;
        self.reader.enter(at)?;
        let mut seen = Seen::new(node.keys.len(), self.reader.bump());
        let (mut byte, mut at) = self.reader.token(at + 1);
        if byte == b'}' {
            self.reader.leave();
            return Ok(at + 1);
        }
        let mut place = node.hints;
        loop {
            let hint = self.hints.get(place).copied().unwrap_or(NO_HINT);
            let guess = node.keys.get(usize::from(hint));
            at = match guess {
                Some(entry) if byte == b'"' && entry.quoted.is_at(at + 1, self.reader.bytes()) => {
                    let after = at + 1 + entry.quoted.text.len();
                    place = node.hints + Hints::places(usize::from(hint));
                    self.member((node, open), entry, usize::from(hint), at + 1, after, &mut seen)?
                }
                Some(_) | None => {
                    let key = self.reader.key(byte, at)?;
                    match self.find(node, key)? {
                        Some((position, entry)) => {
                            if let Some(hint) = self.hints.get_mut(place) {
                                *hint = u16::try_from(position).unwrap_or(NO_HINT);
                            }
                            place = node.hints + Hints::places(position);
                            self.member((node, open), entry, position, key.start, key.after, &mut seen)?
                        }
                        None => {
                            let first_unread = place.is_multiple_of(2);
                            if let Some(hint) = self.hints.get_mut(place).filter(|_| first_unread) {
                                *hint = NO_HINT;
                            }
                            place |= 1;
                            let (byte, at) = self.reader.token(key.after);
                            self.reader.skip(byte, at)?
                        }
                    }
                }
            };
            (byte, at) = self.reader.token(at);
            match byte {
                b',' => (byte, at) = self.reader.token(at + 1),
                b'}' => {
                    self.reader.leave();
                    return Ok(at + 1);
                }
                _other => return self.reader.unexpected(at),
            }
        }
    }

    /// The entry of a key.
    #[inline(always)]
    fn find(&mut self, node: &'t Node, key: Key) -> Result<Option<(usize, &'t Entry)>> {
        if key.escaped {
            let text = self.reader.key_text(key)?.as_bytes();
            return Ok(node.find(text, Fingerprint::of(text)));
        }
        let body = self.reader.bytes();
        let print = Fingerprint::within(body, key.start, key.end);
        Ok(node.find(body.get(key.start..key.end).unwrap_or(&[]), print))
    }

    /// Reads the value behind the key of an entry; the key begins at `start`, and `after` is behind its colon.
    #[inline(always)]
    fn member(
        &mut self,
        object: (&'t Node, usize),
        entry: &Entry,
        position: usize,
        start: usize,
        after: usize,
        seen: &mut Seen<'_>,
    ) -> Result<usize> {
        let (byte, at) = self.reader.token(after);
        let before = seen.first;
        if seen.put(position) {
            return self.reader.fail(JsonErrorKind::DuplicateKey, start);
        }
        if before & entry.others != 0
            && entry
                .spelling
                .all()
                .any(|other| other != position && seen.get(other))
            && self.is_said(object, entry, start, (byte, at))?
        {
            return self.reader.skip(byte, at);
        }
        match self.slots.get_mut(entry.slot as usize) {
            Some(slot) => self.reader.value(byte, at, slot),
            None if entry.slot == PASSED_OVER => self.reader.skip(byte, at),
            None => self.node(entry.node, byte, at),
        }
    }

    /// Compares the value at `at`, behind a key that begins at `start`, with those of the key's other spellings, which
    /// stand before it in the object: whether its slots have been filled already.
    #[cold]
    #[inline(never)]
    fn is_said(
        &mut self,
        (node, open): (&'t Node, usize),
        entry: &Entry,
        start: usize,
        (byte, at): (u8, usize),
    ) -> Result<bool> {
        let mut value = Value::Undefined;
        self.reader.value(byte, at, &mut value)?;
        if matches!(value, Value::Null) {
            return Ok(true);
        }
        let (mut byte, mut at) = self.reader.token(open + 1);
        loop {
            let key = self.reader.key(byte, at)?;
            if key.start >= start {
                return Ok(false);
            }
            let other = self.find(node, key)?;
            (byte, at) = self.reader.token(key.after);
            if other.is_some_and(|(position, _)| entry.spelling.all().contains(&position)) {
                let mut before = Value::Undefined;
                at = self.reader.value(byte, at, &mut before)?;
                if !matches!(before, Value::Null) {
                    return if before.equals(&value) {
                        Ok(true)
                    } else {
                        self.reader.fail(JsonErrorKind::ConflictingKeys, start)
                    };
                }
            } else {
                at = self.reader.skip(byte, at)?;
            }
            // The object was read up to `start` before: a comma follows.
            (byte, at) = self.reader.token(at);
            (byte, at) = self.reader.token(at + usize::from(byte == b','));
        }
    }

    /// Puts the same into all slots below a node: that it cannot be known, or that nothing stands there.
    fn fill_below(&mut self, node: &'t Node, value: Value<'a>) {
        let below = node.keys.iter().map(|entry| entry.node);
        let below = below.chain(
            node.elements
                .iter()
                .chain(&node.from_end)
                .map(|(_, child)| *child),
        );
        for child in below {
            let Some(child) = self.trie.node(child) else {
                continue;
            };
            if let Some(slot) = child.slot.and_then(|s| self.slots.get_mut(s as usize)) {
                *slot = value;
            }
            self.fill_below(child, value);
        }
    }

    fn array(&mut self, node: &'t Node, at: usize) -> Result<usize> {
        self.reader.enter(at)?;
        let (mut byte, mut at) = self.reader.token(at + 1);
        if byte == b']' {
            self.reader.leave();
            return Ok(at + 1);
        }
        let mut wanted = node.elements.iter().peekable();
        let mut position: u32 = 0;
        loop {
            at = match wanted.peek() {
                Some((n, child)) if *n == position => {
                    wanted.next();
                    self.node(*child, byte, at)?
                }
                Some(_) | None => self.reader.skip(byte, at)?,
            };
            position = position.saturating_add(1);
            (byte, at) = self.reader.token(at);
            match byte {
                b',' => (byte, at) = self.reader.token(at + 1),
                b']' => {
                    self.reader.leave();
                    return Ok(at + 1);
                }
                _other => return self.reader.unexpected(at),
            }
        }
    }

    /// Puts a materialised value, which begins at `at`, into the slots of a node and of everything below it.
    fn assign(&mut self, index: u32, value: Value<'a>, at: usize) -> Result<()> {
        let trie: &'t Trie = self.trie;
        let Some(node) = trie.node(index) else {
            return Ok(());
        };
        let missing = node.answer && matches!(value, Value::Undefined | Value::Null);
        if let Some(slot) = node.slot.and_then(|s| self.slots.get_mut(s as usize)) {
            *slot = if missing { Value::Unknown } else { value };
        }
        if missing {
            self.fill_below(node, Value::Unknown);
            return Ok(());
        }
        if node.list && !matches!(value, Value::Array(_) | Value::Null | Value::Undefined) {
            self.fill_below(node, Value::Unknown);
            return Ok(());
        }
        for (position, entry) in node.keys.iter().enumerate() {
            let spellings = entry.spelling.all();
            if position > spellings.start && spellings.contains(&position) {
                // Done with the first.
                continue;
            }
            let mut child = value.get(&entry.key);
            for other in node.keys.get(spellings).into_iter().flatten().skip(1) {
                match (child, value.get(&other.key)) {
                    (_, Value::Undefined) => {}
                    (Value::Undefined | Value::Null, other) => child = other,
                    (_, Value::Null) => {}
                    (child, other) if child.equals(&other) => {}
                    _different => return self.reader.fail(JsonErrorKind::ConflictingKeys, at),
                }
            }
            self.assign(entry.node, child, at)?;
        }
        let items = match value {
            Value::Array(items) => items,
            // Only objects have members by the spelling of an index; see above.
            _other => return Ok(()),
        };
        for (n, child) in &node.elements {
            let item = items.get(*n as usize).copied().unwrap_or(Value::Undefined);
            self.assign(*child, item, at)?;
        }
        for (n, child) in &node.from_end {
            let item = items.len().checked_sub(*n as usize).and_then(|at| items.get(at));
            self.assign(*child, item.copied().unwrap_or(Value::Undefined), at)?;
        }
        Ok(())
    }
}
