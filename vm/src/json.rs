//! The JSON reader below projection: a strict, non-recursive validator that skips, and a bounded materialiser.
//!
//! Reads RFC 8259 JSON as `serde_json` does: the same grammar, the same errors for lone surrogates and control characters
//! in strings. Numbers of any size are read, each as what it is; only an exponent beyond 64 bits is refused. Input is UTF-8 that was validated as a whole before. Skipping keeps its
//! nesting in a fixed bit stack, so that hostile nesting costs an error and not the thread's stack; materialising
//! recurses at most as deep as the module's depth limit.
//!
//! Made for speed in two ways that shape every signature here. Positions are passed in and returned, so that they stay in
//! registers; a position in the reader would be written to memory and read back for every token. For the same reason
//! results carry no error: what failed, and where, is noted in the reader. And texts are scanned by the word.

mod error;
mod number;

pub(crate) use error::utf8;
pub use error::{JsonError, JsonErrorKind};

use crate::plain::plain_end;
use crate::value::{Array, Object, Value};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

/// Deepest nesting that any module may allow; the verifier's host limit.
pub(crate) const MAX_DEPTH: u32 = 1024;

/// What was read, or that the reader noted why it could not be. Small, so that it is returned in registers.
pub(crate) type Result<T> = std::result::Result<T, Failed>;

/// The reader knows more: see [`Reader::error`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed;

/// A key as it stands in the body, without its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
    /// Behind its colon.
    pub(crate) after: usize,
}

/// Reads the body, at positions that its callers hold.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    depth: u32,
    max_depth: u32,
    bump: &'a Bump,
    /// Bytes of the arena that may still be used for values.
    arena_left: usize,
    /// Elements of the arrays that are open, and members of the objects: collections are copied into the arena once
    /// their size is known, so that they take what they hold and no more.
    elements: BumpVec<'a, Value<'a>>,
    members: BumpVec<'a, Member<'a>>,
    /// Kinds of the containers that are open while skipping, from the outermost on, 64 a word. In the arena, and only
    /// when there are more than 64.
    outer_kinds: Option<&'a mut [u64; KIND_WORDS]>,
    error: JsonError,
}

type Member<'a> = (&'a str, Value<'a>);

const KIND_WORDS: usize = (MAX_DEPTH as usize).div_ceil(64);

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, bump: &'a Bump, max_depth: u32, arena_bytes: usize) -> Self {
        Self {
            text,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            bump,
            arena_left: arena_bytes,
            elements: BumpVec::new_in(bump),
            members: BumpVec::new_in(bump),
            outer_kinds: None,
            error: JsonError {
                kind: JsonErrorKind::UnexpectedByte,
                offset: 0,
            },
        }
    }

    pub(crate) fn bump(&self) -> &'a Bump {
        self.bump
    }

    /// Why something was [`Failed`].
    pub(crate) fn error(&self) -> JsonError {
        self.error.clone()
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn fail<T>(&mut self, kind: JsonErrorKind, offset: usize) -> Result<T> {
        self.error = JsonError { kind, offset };
        Err(Failed)
    }

    /// Fails on the byte at `at`, which is not white space.
    #[cold]
    #[inline(never)]
    pub(crate) fn unexpected<T>(&mut self, at: usize) -> Result<T> {
        let kind = if at >= self.text.len() {
            JsonErrorKind::UnexpectedEnd
        } else {
            JsonErrorKind::UnexpectedByte
        };
        self.fail(kind, at)
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        // NUL is no valid JSON outside strings, so it can stand for the end.
        self.bytes().get(at).copied().unwrap_or(0)
    }

    /// The first byte that is not white space from `at` on, NUL at the end, and its position.
    #[inline(always)]
    pub(crate) fn token(&self, at: usize) -> (u8, usize) {
        let byte = self.byte(at);
        if byte > b' ' {
            return (byte, at);
        }
        // One space behind each comma and colon is what many clients write.
        let next = self.byte(at + 1);
        if byte == b' ' && next > b' ' {
            return (next, at + 1);
        }
        let at = self.after_space(at);
        (self.byte(at), at)
    }

    #[inline(never)]
    fn after_space(&self, at: usize) -> usize {
        let rest = self.bytes().get(at..).unwrap_or(&[]);
        let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        at + rest.iter().position(|byte| !space(byte)).unwrap_or(rest.len())
    }

    /// Enters the container whose opening bracket is at `at`.
    #[inline]
    pub(crate) fn enter(&mut self, at: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > self.max_depth {
            return self.fail(JsonErrorKind::TooDeep, at + 1);
        }
        Ok(())
    }

    /// Leaves a container.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// After the document: only white space may follow.
    pub(crate) fn end(&mut self, at: usize) -> Result<()> {
        let (_, at) = self.token(at);
        if at < self.text.len() {
            return self.fail(JsonErrorKind::TrailingBytes, at);
        }
        Ok(())
    }

    /// The key whose opening quote is `byte` at `at`, and its colon.
    #[inline(always)]
    pub(crate) fn key(&mut self, byte: u8, at: usize) -> Result<Key> {
        if byte != b'"' {
            return self.unexpected(at);
        }
        let start = at + 1;
        let mut end = plain_end(self.bytes(), start);
        let escaped = self.byte(end) != b'"';
        if escaped {
            end = self.rest_of_str(end)?;
        }
        let (byte, at) = self.token(end + 1);
        if byte != b':' {
            return self.unexpected(at);
        }
        Ok(Key {
            start,
            end,
            escaped,
            after: at + 1,
        })
    }

    /// Closing quote of a string, from its first byte on that is not plain. Escapes are validated, not decoded.
    #[cold]
    #[inline(never)]
    fn rest_of_str(&mut self, mut at: usize) -> Result<usize> {
        loop {
            match self.bytes().get(at) {
                Some(b'"') => return Ok(at),
                // A surrogate pair is one escape.
                Some(b'\\') => match decode_escape(self.bytes().get(at..).unwrap_or(&[])) {
                    Some((_, length)) => at += length,
                    None => return self.fail(JsonErrorKind::BadEscape, at),
                },
                Some(_control) => return self.fail(JsonErrorKind::ControlCharacter, at),
                None => return self.fail(JsonErrorKind::UnexpectedEnd, at),
            }
            at = plain_end(self.bytes(), at);
        }
    }

    /// The text between two positions, both of which are beside an ASCII character.
    #[inline]
    pub(crate) fn text(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or("")
    }

    /// The text of a string with escapes, decoded into the arena. `at` is where to report that there is no room.
    #[cold]
    #[inline(never)]
    pub(crate) fn decode(&mut self, start: usize, end: usize, at: usize) -> Result<&'a str> {
        let text = self.text(start, end);
        self.charge(text.len(), at)?;
        let mut out = bumpalo::collections::String::with_capacity_in(text.len(), self.bump);
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            out.push_str(rest.get(..at).unwrap_or(""));
            // Validated when it was read.
            let Some((c, length)) = decode_escape(rest.as_bytes().get(at..).unwrap_or(&[])) else {
                return self.fail(JsonErrorKind::BadEscape, start);
            };
            out.push(c);
            rest = rest.get(at + length..).unwrap_or("");
        }
        out.push_str(rest);
        Ok(out.into_bump_str())
    }

    fn charge(&mut self, bytes: usize, at: usize) -> Result<()> {
        match self.arena_left.checked_sub(bytes) {
            Some(left) => {
                self.arena_left = left;
                Ok(())
            }
            None => self.fail(JsonErrorKind::TooLarge, at),
        }
    }

    #[inline]
    fn literal(&mut self, word: &[u8], at: usize) -> Result<usize> {
        let end = at + word.len();
        if self.bytes().get(at..end) == Some(word) {
            return Ok(end);
        }
        self.unexpected(at)
    }

    #[inline(always)]
    fn skip_str(&mut self, start: usize) -> Result<usize> {
        let mut end = plain_end(self.bytes(), start);
        if self.byte(end) != b'"' {
            end = self.rest_of_str(end)?;
        }
        Ok(end + 1)
    }

    /// Validates the value that starts with `byte` at `at` and returns where it ends. Does not recurse.
    #[inline]
    pub(crate) fn skip(&mut self, byte: u8, at: usize) -> Result<usize> {
        if byte == b'"' {
            return self.skip_str(at + 1);
        }
        self.skip_other(byte, at)
    }

    #[inline(never)]
    fn skip_other(&mut self, byte: u8, at: usize) -> Result<usize> {
        match byte {
            b't' => self.literal(b"true", at),
            b'f' => self.literal(b"false", at),
            b'n' => self.literal(b"null", at),
            b'-' | b'0'..=b'9' => self.number_end(at),
            b'{' | b'[' => self.skip_container(at),
            _other => self.unexpected(at),
        }
    }

    /// Validates the container that opens at `at`.
    fn skip_container(&mut self, mut at: usize) -> Result<usize> {
        // Kinds of the innermost containers that are open, the innermost in the lowest bit: 1 for an object.
        let mut kinds = 0u64;
        let mut level: u32 = 0;
        let levels = self.max_depth.saturating_sub(self.depth);
        loop {
            // A value is next.
            let (byte, here) = self.token(at);
            at = match byte {
                b'"' => self.skip_str(here + 1)?,
                b'{' | b'[' => {
                    if level >= levels {
                        return self.fail(JsonErrorKind::TooDeep, here + 1);
                    }
                    let object = byte == b'{';
                    let (first, inside) = self.token(here + 1);
                    if first == closing(object) {
                        inside + 1
                    } else {
                        if level.is_multiple_of(64) {
                            self.put_kinds(level, kinds);
                        }
                        level += 1;
                        kinds = kinds << 1 | u64::from(object);
                        at = if object {
                            self.key(first, inside)?.after
                        } else {
                            inside
                        };
                        continue;
                    }
                }
                b't' => self.literal(b"true", here)?,
                b'f' => self.literal(b"false", here)?,
                b'n' => self.literal(b"null", here)?,
                b'-' | b'0'..=b'9' => self.number_end(here)?,
                _other => return self.unexpected(here),
            };
            // A value ended: close containers until another value follows.
            loop {
                if level == 0 {
                    return Ok(at);
                }
                let object = kinds & 1 == 1;
                let (byte, here) = self.token(at);
                at = here + 1;
                if byte == b',' {
                    if object {
                        let (byte, here) = self.token(at);
                        at = self.key(byte, here)?.after;
                    }
                    break;
                }
                if byte != closing(object) {
                    return self.unexpected(here);
                }
                level -= 1;
                kinds >>= 1;
                if level.is_multiple_of(64) {
                    kinds = self.outer_kinds(level);
                }
            }
        }
    }

    /// Keeps the kinds of the containers below `level`, a multiple of 64, while more are open.
    fn put_kinds(&mut self, level: u32, kinds: u64) {
        if level == 0 {
            return;
        }
        let bump = self.bump;
        let words = self
            .outer_kinds
            .get_or_insert_with(|| bump.alloc([0; KIND_WORDS]));
        if let Some(word) = words.get_mut(level as usize / 64 - 1) {
            *word = kinds;
        }
    }

    fn outer_kinds(&self, level: u32) -> u64 {
        let words = self.outer_kinds.as_deref();
        (level as usize / 64)
            .checked_sub(1)
            .and_then(|word| words?.get(word).copied())
            .unwrap_or(0)
    }

    /// Reads the value that starts with `byte` at `at` into `out`, collections into the arena. Returns where it ends.
    #[inline(always)]
    pub(crate) fn value(&mut self, byte: u8, at: usize, out: &mut Value<'a>) -> Result<usize> {
        if byte == b'"' {
            let start = at + 1;
            let end = plain_end(self.bytes(), start);
            if self.byte(end) == b'"' {
                *out = Value::Str(self.text(start, end));
                return Ok(end + 1);
            }
            return self.escaped_str(start, end, out);
        }
        self.other_value(byte, at, out)
    }

    /// The string from `start` on, whose first byte that is not plain is at `stop`.
    #[cold]
    #[inline(never)]
    fn escaped_str(&mut self, start: usize, stop: usize, out: &mut Value<'a>) -> Result<usize> {
        let end = self.rest_of_str(stop)?;
        *out = Value::Str(self.decode(start, end, end + 1)?);
        Ok(end + 1)
    }

    /// As [`Reader::value`], for what is no string.
    #[inline(never)]
    fn other_value(&mut self, byte: u8, at: usize, out: &mut Value<'a>) -> Result<usize> {
        let (value, end) = match byte {
            b'-' | b'0'..=b'9' => return self.number(at, out),
            b't' => (Value::Bool(true), self.literal(b"true", at)?),
            b'f' => (Value::Bool(false), self.literal(b"false", at)?),
            b'n' => (Value::Null, self.literal(b"null", at)?),
            b'[' => return self.array(at, out),
            b'{' => return self.object(at, out),
            _other => return self.unexpected(at),
        };
        *out = value;
        Ok(end)
    }

    /// As [`Reader::value`], inside a collection. Few and small frames a level, so that all levels fit the stack.
    #[inline(always)]
    fn nested(&mut self, byte: u8, at: usize, out: &mut Value<'a>) -> Result<usize> {
        match byte {
            b'[' => self.array(at, out),
            b'{' => self.object(at, out),
            _scalar => self.scalar(byte, at, out),
        }
    }

    #[inline(never)]
    fn scalar(&mut self, byte: u8, at: usize, out: &mut Value<'a>) -> Result<usize> {
        self.value(byte, at, out)
    }

    /// As [`Reader::key`] with [`Reader::key_text`]; also where the value is looked for.
    #[inline(never)]
    fn member_key(&mut self, byte: u8, at: usize) -> Result<(&'a str, usize)> {
        let key = self.key(byte, at)?;
        Ok((self.key_text(key)?, key.after))
    }

    fn array(&mut self, at: usize, out: &mut Value<'a>) -> Result<usize> {
        self.enter(at)?;
        let (mut byte, mut at) = self.token(at + 1);
        if byte == b']' {
            self.leave();
            *out = Value::Array(Array::EMPTY);
            return Ok(at + 1);
        }
        let first = self.elements.len();
        loop {
            let mut value = Value::Null;
            at = self.nested(byte, at, &mut value)?;
            self.room(
                self.elements.len(),
                self.elements.capacity(),
                size_of::<Value<'_>>(),
                at,
            )?;
            self.elements.push(value);
            (byte, at) = self.token(at);
            match byte {
                b',' => (byte, at) = self.token(at + 1),
                b']' => break,
                _other => return self.unexpected(at),
            }
        }
        self.leave();
        let items = self.elements.get(first..).unwrap_or(&[]);
        let bytes = size_of_val(items) + size_of::<&[Value<'_>]>();
        let items: &[Value<'a>] = self.bump.alloc_slice_copy(items);
        self.elements.truncate(first);
        self.charge(bytes, at + 1)?;
        *out = Value::Array(Array::new_in(items, self.bump));
        Ok(at + 1)
    }

    fn object(&mut self, at: usize, out: &mut Value<'a>) -> Result<usize> {
        let start = at;
        self.enter(at)?;
        let first = self.members.len();
        let (mut byte, mut at) = self.token(at + 1);
        while byte != b'}' {
            let (name, after) = self.member_key(byte, at)?;
            let (byte_of_value, at_value) = self.token(after);
            let mut value = Value::Null;
            at = self.nested(byte_of_value, at_value, &mut value)?;
            self.room(
                self.members.len(),
                self.members.capacity(),
                size_of::<Member<'_>>(),
                at,
            )?;
            self.members.push((name, value));
            (byte, at) = self.token(at);
            match byte {
                b',' => {
                    (byte, at) = self.token(at + 1);
                    if byte != b'"' {
                        return self.unexpected(at);
                    }
                }
                b'}' => {}
                _other => return self.unexpected(at),
            }
        }
        self.leave();
        let members = self.members.get(first..).unwrap_or(&[]);
        let bytes = size_of_val(members) + size_of::<&[Member<'_>]>();
        let members: &mut [Member<'a>] = self.bump.alloc_slice_copy(members);
        self.members.truncate(first);
        self.charge(bytes, at + 1)?;
        members.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        if members
            .iter()
            .zip(members.iter().skip(1))
            .any(|(a, b)| a.0 == b.0)
        {
            return self.fail(JsonErrorKind::DuplicateKey, start);
        }
        *out = Value::Object(Object::new_in(members, self.bump));
        Ok(at + 1)
    }

    /// The text of a key: borrowed from the body, or decoded into the arena.
    #[inline]
    pub(crate) fn key_text(&mut self, key: Key) -> Result<&'a str> {
        if key.escaped {
            return self.decode(key.start, key.end, key.after);
        }
        Ok(self.text(key.start, key.end))
    }

    /// Charges for the growth of a list that is full: what it will take, and what it leaves behind.
    #[inline]
    fn room(&mut self, length: usize, capacity: usize, size: usize, at: usize) -> Result<()> {
        if length < capacity {
            return Ok(());
        }
        self.charge(capacity.max(4).saturating_mul(2 * size), at)
    }
}

fn closing(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// The character of the escape that `bytes` start with, and its length in bytes.
fn decode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex4(bytes.get(2..6)?)?;
            if !(0xD800..0xE000).contains(&first) {
                return char::from_u32(first).map(|c| (c, 6));
            }
            if first >= 0xDC00 || bytes.get(6..8)? != b"\\u" {
                return None;
            }
            let second = hex4(bytes.get(8..12)?)?;
            if !(0xDC00..0xE000).contains(&second) {
                return None;
            }
            return char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).map(|c| (c, 12));
        }
        _unknown => return None,
    };
    Some((simple, 2))
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    bytes
        .iter()
        .try_fold(0u32, |n, b| char::from(*b).to_digit(16).map(|d| n << 4 | d))
}

#[cfg(test)]
mod tests;
