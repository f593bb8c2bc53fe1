//! Projection: one pass over the request body that puts the fields which the module reads into slots.
//!
//! Field paths form a trie. Objects on a path are walked key by key; a key that leads nowhere is skipped (validated,
//! not decoded). Strings are borrowed from the body unless they hold escapes. A key that occurs twice in an object on
//! a path is refused: the model behind us might read the other one. So are two spellings of one key with different
//! values, unless one of them is null, and a place that is known to hold an object ([`Holds::Object`]) and holds something else.
//!
//! What lies below a known list that is no list cannot be known: its slots are [`Value::Unknown`]. Nor can what a service would
//! have answered, where the request does not hold it ([`Known::answered`]).
//!
//! Clients write their keys in the same order every time. So each worker remembers which key came after which, and looks
//! whether it stands there again before it looks for the key's end and then for the key ([`Hints`]). That is a guess about
//! speed and nothing else: keys are compared in full.
//!
//! A node whose value is itself read, or whose keys are ambiguous, is materialised as a whole and its children are
//! looked up in the value.

mod key;
mod seen;
mod trie;

use key::Fingerprint;
use seen::Seen;
use trie::{Entry, NO_HINT, Node, PASSED_OVER};
pub(crate) use trie::{Hints, Projected, Trie};

use crate::json::{Failed, JsonError, JsonErrorKind, Key, Reader, Result, utf8};
use crate::value::Value;
use bumpalo::Bump;

/// Reads `body` into one slot per field of the module, and behind those one per derived field for what was sent in its
/// place. Missing fields stay [`Value::Undefined`], or [`Value::Unknown`] where a service answers them.
pub(crate) fn project<'a>(
    fields: &Projected<'_>,
    body: &'a [u8],
    bump: &'a Bump,
    hints: &mut Hints,
) -> std::result::Result<&'a mut [Value<'a>], JsonError> {
    hints.reset(fields.identity, fields.trie);
    if body.len() as u64 > fields.limits.body_bytes {
        return Err(JsonError {
            kind: JsonErrorKind::TooLarge,
            offset: 0,
        });
    }
    let text = utf8(body)?;
    let slots = bump.alloc_slice_fill_copy(fields.slots, Value::Undefined);
    let arena = usize::try_from(fields.limits.arena_bytes).unwrap_or(usize::MAX);
    let trie = fields.trie;
    for slot in &trie.answered {
        if let Some(slot) = slots.get_mut(*slot as usize) {
            *slot = Value::Unknown;
        }
    }
    let mut projection = Projection {
        trie,
        reader: Reader::new(text, bump, fields.limits.depth, arena),
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
        if let Some(root) = &node.root
            && byte != b'{'
            && byte != b'n'
        {
            let end = self.reader.skip(byte, at)?;
            let (root, found) = (root.clone(), kind_of(byte));
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
        // Only objects have members by the spelling of an index; see above.
        let Some(items) = value.as_array() else {
            return Ok(());
        };
        for (n, child) in &node.elements {
            let item = items.get(*n as usize).unwrap_or(Value::Undefined);
            self.assign(*child, item, at)?;
        }
        for (n, child) in &node.from_end {
            let item = items.from_end(*n as usize).unwrap_or(Value::Undefined);
            self.assign(*child, item, at)?;
        }
        Ok(())
    }
}
