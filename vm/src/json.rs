//! The JSON reader below projection: a strict, non-recursive validator that skips, and a bounded materialiser.
//!
//! Reads RFC 8259 JSON as `serde_json` does: the same grammar, the same errors for lone surrogates, control characters
//! in strings and numbers beyond a double. Input is UTF-8 that was validated as a whole before. Skipping keeps its
//! nesting in a fixed bit stack, so that hostile nesting costs an error and not the thread's stack; materialising
//! recurses at most as deep as the module's depth limit.

use crate::value::Value;
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::Number;
use std::fmt;

/// Deepest nesting that any module may allow; the verifier's host limit.
pub(crate) const MAX_DEPTH: u32 = 1024;

/// Why a request body is refused, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset in the body.
    pub offset: usize,
}

/// What is wrong with a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Not UTF-8.
    NotUtf8,
    /// The body ends too early.
    UnexpectedEnd,
    /// Not JSON.
    UnexpectedByte,
    /// A control character inside a string.
    ControlCharacter,
    /// An escape that does not exist, or half of a surrogate pair.
    BadEscape,
    /// A malformed number, or one beyond a double.
    BadNumber,
    /// Something after the document.
    TrailingBytes,
    /// The same key twice in one object that is read.
    DuplicateKey,
    /// The document is not an object.
    NotAnObject,
    /// Nested too deeply.
    TooDeep,
    /// Larger than allowed.
    TooLarge,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the body is not valid UTF-8",
            Self::UnexpectedEnd => "the JSON document ends too early",
            Self::UnexpectedByte => "unexpected character in the JSON document",
            Self::ControlCharacter => "control character inside a JSON string",
            Self::BadEscape => "invalid escape in a JSON string",
            Self::BadNumber => "invalid JSON number",
            Self::TrailingBytes => "unexpected characters after the JSON document",
            Self::DuplicateKey => "the same key occurs twice in one object",
            Self::NotAnObject => "the context is not a JSON object",
            Self::TooDeep => "the JSON document is nested too deeply",
            Self::TooLarge => "the request exceeds a size limit",
        })
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for JsonError {}

pub(crate) type Result<T> = std::result::Result<T, JsonError>;

/// A string as it stands in the body: without its quotes, and whether it holds escapes.
#[derive(Clone, Copy)]
pub(crate) struct RawStr<'a> {
    pub(crate) text: &'a str,
    pub(crate) escaped: bool,
    pub(crate) offset: usize,
}

/// A cursor over the body.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    pos: usize,
    depth: u32,
    max_depth: u32,
    bump: &'a Bump,
    /// Bytes of the arena that may still be used for values.
    arena_left: usize,
    /// Elements of the arrays that are open, and members of the objects: collections are copied into the arena once
    /// their size is known, so that they take what they hold and no more.
    elements: BumpVec<'a, Value<'a>>,
    members: BumpVec<'a, Member<'a>>,
}

type Member<'a> = (&'a str, Value<'a>);

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, bump: &'a Bump, max_depth: u32, arena_bytes: usize) -> Self {
        Self {
            text,
            pos: 0,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            bump,
            arena_left: arena_bytes,
            elements: BumpVec::new_in(bump),
            members: BumpVec::new_in(bump),
        }
    }

    pub(crate) fn bump(&self) -> &'a Bump {
        self.bump
    }

    #[cold]
    pub(crate) fn fail<T>(&self, kind: JsonErrorKind) -> Result<T> {
        Err(JsonError {
            kind,
            offset: self.pos,
        })
    }

    #[cold]
    fn unexpected<T>(&self) -> Result<T> {
        self.fail(if self.pos >= self.text.len() {
            JsonErrorKind::UnexpectedEnd
        } else {
            JsonErrorKind::UnexpectedByte
        })
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline]
    fn peek_raw(&self) -> u8 {
        // NUL is no valid JSON outside strings, so it can stand for the end.
        self.bytes().get(self.pos).copied().unwrap_or(0)
    }

    /// Skips white space and returns the next byte, NUL at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let byte = self.peek_raw();
        if byte > b' ' {
            byte
        } else {
            self.peek_after_space()
        }
    }

    fn peek_after_space(&mut self) -> u8 {
        loop {
            match self.peek_raw() {
                b' ' | b'\n' | b'\r' | b'\t' => self.pos += 1,
                byte => return byte,
            }
        }
    }

    /// Enters a container whose opening bracket is next.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<()> {
        self.pos += 1;
        self.depth += 1;
        if self.depth > self.max_depth {
            self.fail(JsonErrorKind::TooDeep)
        } else {
            Ok(())
        }
    }

    /// Leaves a container whose closing bracket was read.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// After the document: only white space may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.peek();
        if self.pos < self.text.len() {
            self.fail(JsonErrorKind::TrailingBytes)
        } else {
            Ok(())
        }
    }

    /// First key of an object that was just entered, or `None` for `{}`.
    #[inline]
    pub(crate) fn first_key(&mut self) -> Result<Option<RawStr<'a>>> {
        match self.peek() {
            b'"' => self.key().map(Some),
            b'}' => {
                self.pos += 1;
                self.leave();
                Ok(None)
            }
            _other => self.unexpected(),
        }
    }

    /// Next key of an object after a member, or `None` at its end.
    #[inline]
    pub(crate) fn next_key(&mut self) -> Result<Option<RawStr<'a>>> {
        match self.peek() {
            b',' => {
                self.pos += 1;
                if self.peek() == b'"' {
                    self.key().map(Some)
                } else {
                    self.unexpected()
                }
            }
            b'}' => {
                self.pos += 1;
                self.leave();
                Ok(None)
            }
            _other => self.unexpected(),
        }
    }

    /// A key and its colon; the opening quote is next.
    #[inline]
    fn key(&mut self) -> Result<RawStr<'a>> {
        let key = self.raw_str()?;
        if self.peek() != b':' {
            return self.unexpected();
        }
        self.pos += 1;
        Ok(key)
    }

    /// Whether an array that was just entered has a first element; leaves it if not.
    #[inline]
    pub(crate) fn first_element(&mut self) -> bool {
        if self.peek() == b']' {
            self.pos += 1;
            self.leave();
            return false;
        }
        true
    }

    /// Whether another element follows; leaves the array if not.
    #[inline]
    pub(crate) fn next_element(&mut self) -> Result<bool> {
        match self.peek() {
            b',' => {
                self.pos += 1;
                Ok(true)
            }
            b']' => {
                self.pos += 1;
                self.leave();
                Ok(false)
            }
            _other => self.unexpected(),
        }
    }

    /// A string; its opening quote is next. Escapes are validated, not decoded.
    #[inline]
    fn raw_str(&mut self) -> Result<RawStr<'a>> {
        let start = self.pos + 1;
        let rest = self.bytes().get(start..).unwrap_or(&[]);
        let end = start + plain_prefix(rest);
        self.pos = end;
        if self.peek_raw() != b'"' {
            return self.rest_of_str(start);
        }
        self.pos = end + 1;
        Ok(RawStr {
            text: self.text.get(start..end).unwrap_or(""),
            escaped: false,
            offset: start,
        })
    }

    /// As [`Reader::raw_str`], from the first byte on that is not plain.
    #[cold]
    fn rest_of_str(&mut self, start: usize) -> Result<RawStr<'a>> {
        loop {
            match self.bytes().get(self.pos) {
                Some(b'"') => {
                    let text = self.text.get(start..self.pos).unwrap_or("");
                    self.pos += 1;
                    return Ok(RawStr {
                        text,
                        escaped: true,
                        offset: start,
                    });
                }
                Some(b'\\') => self.escape()?,
                Some(_control) => return self.fail(JsonErrorKind::ControlCharacter),
                None => return self.fail(JsonErrorKind::UnexpectedEnd),
            }
            self.pos += plain_prefix(self.bytes().get(self.pos..).unwrap_or(&[]));
        }
    }

    /// Validates one escape sequence (a surrogate pair is one) and moves past it.
    fn escape(&mut self) -> Result<()> {
        match decode_escape(self.bytes().get(self.pos..).unwrap_or(&[])) {
            Some((_, length)) => {
                self.pos += length;
                Ok(())
            }
            None => self.fail(JsonErrorKind::BadEscape),
        }
    }

    /// The text of a raw string: borrowed from the body, or decoded into the arena.
    pub(crate) fn decode(&mut self, raw: RawStr<'a>) -> Result<&'a str> {
        if !raw.escaped {
            return Ok(raw.text);
        }
        self.charge(raw.text.len())?;
        let mut out = bumpalo::collections::String::with_capacity_in(raw.text.len(), self.bump);
        let mut rest = raw.text;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            out.push_str(rest.get(..at).unwrap_or(""));
            // Validated when it was read.
            let Some((c, length)) = decode_escape(rest.as_bytes().get(at..).unwrap_or(&[])) else {
                return Err(JsonError {
                    kind: JsonErrorKind::BadEscape,
                    offset: raw.offset,
                });
            };
            out.push(c);
            rest = rest.get(at + length..).unwrap_or("");
        }
        out.push_str(rest);
        Ok(out.into_bump_str())
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.arena_left.checked_sub(bytes) {
            Some(left) => {
                self.arena_left = left;
                Ok(())
            }
            None => self.fail(JsonErrorKind::TooLarge),
        }
    }

    fn literal(&mut self, word: &str) -> Result<()> {
        if self
            .bytes()
            .get(self.pos..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        {
            self.pos += word.len();
            return Ok(());
        }
        self.unexpected()
    }

    /// Span of a number's text; its first character is next. Also whether it has a fraction or exponent.
    #[inline]
    fn number_text(&mut self) -> Result<(&'a str, bool)> {
        let bytes = self.bytes();
        let start = self.pos;
        let mut pos = self.pos;
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        if bytes.get(pos) == Some(&b'-') {
            pos += 1;
        }
        let whole = digits(pos);
        let leading_zero = bytes.get(pos) == Some(&b'0') && whole > pos + 1;
        if whole == pos || leading_zero {
            self.pos = pos;
            return self.fail(JsonErrorKind::BadNumber);
        }
        pos = whole;
        let mut float = false;
        if bytes.get(pos) == Some(&b'.') {
            float = true;
            let end = digits(pos + 1);
            if end == pos + 1 {
                self.pos = pos;
                return self.fail(JsonErrorKind::BadNumber);
            }
            pos = end;
        }
        if matches!(bytes.get(pos), Some(b'e' | b'E')) {
            float = true;
            pos += 1;
            if matches!(bytes.get(pos), Some(b'+' | b'-')) {
                pos += 1;
            }
            let end = digits(pos);
            if end == pos {
                self.pos = pos;
                return self.fail(JsonErrorKind::BadNumber);
            }
            pos = end;
        }
        self.pos = pos;
        Ok((self.text.get(start..pos).unwrap_or(""), float))
    }

    fn number(&mut self) -> Result<Number> {
        let start = self.pos;
        let (text, float) = self.number_text()?;
        if !float && text.len() <= 20 {
            // `-0` is a double in JSON implementations; keep its sign.
            if text == "-0" {
                return Ok(Number::Float(-0.0));
            }
            if let Ok(n) = text.parse::<i64>() {
                return Ok(Number::Int(n));
            }
            if let Ok(n) = text.parse::<u64>() {
                return Ok(Number::from_u64(n));
            }
        }
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Number::Float(x)),
            Ok(_) | Err(_) => Err(JsonError {
                kind: JsonErrorKind::BadNumber,
                offset: start,
            }),
        }
    }

    /// Validates a number without converting it, unless only conversion tells whether it fits a double.
    fn skip_number(&mut self) -> Result<()> {
        let start = self.pos;
        let (text, float) = self.number_text()?;
        if (float && text.bytes().any(|b| matches!(b, b'e' | b'E'))) || text.len() > 300 {
            match text.parse::<f64>() {
                Ok(x) if x.is_finite() => {}
                Ok(_) | Err(_) => {
                    return Err(JsonError {
                        kind: JsonErrorKind::BadNumber,
                        offset: start,
                    });
                }
            }
        }
        Ok(())
    }

    /// Validates one value and moves past it. Does not recurse.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<()> {
        match self.peek() {
            b'"' => self.raw_str().map(|_| ()),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.skip_number(),
            _container => self.skip_container(),
        }
    }

    fn skip_container(&mut self) -> Result<()> {
        // One bit a level: 1 for an object. `base` is the depth at which we started.
        let mut kinds = [0u64; (MAX_DEPTH as usize).div_ceil(64)];
        let base = self.depth;
        loop {
            // A value is next.
            match self.peek() {
                b'"' => {
                    self.raw_str()?;
                }
                b'{' => {
                    self.enter()?;
                    if self.first_key()?.is_some() {
                        set_bit(&mut kinds, self.depth, true);
                        continue;
                    }
                }
                b'[' => {
                    self.enter()?;
                    if self.first_element() {
                        set_bit(&mut kinds, self.depth, false);
                        continue;
                    }
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                b'-' | b'0'..=b'9' => self.skip_number()?,
                _other => return self.unexpected(),
            }
            // A value ended: close containers until another value follows.
            loop {
                if self.depth == base {
                    return Ok(());
                }
                let more = if get_bit(&kinds, self.depth) {
                    self.next_key()?.is_some()
                } else {
                    self.next_element()?
                };
                if more {
                    break;
                }
            }
        }
    }

    /// Reads one value into the arena.
    pub(crate) fn value(&mut self) -> Result<Value<'a>> {
        match self.peek() {
            b'"' => {
                let raw = self.raw_str()?;
                if !raw.escaped {
                    return Ok(Value::Str(raw.text));
                }
                self.decode(raw).map(Value::Str)
            }
            b'{' => self.object(),
            b'[' => self.array(),
            b't' => self.literal("true").map(|()| Value::Bool(true)),
            b'f' => self.literal("false").map(|()| Value::Bool(false)),
            b'n' => self.literal("null").map(|()| Value::Null),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            _other => self.unexpected(),
        }
    }

    fn array(&mut self) -> Result<Value<'a>> {
        self.enter()?;
        if !self.first_element() {
            return Ok(Value::Array(&[]));
        }
        let first = self.elements.len();
        loop {
            let value = self.value()?;
            self.room(
                self.elements.len(),
                self.elements.capacity(),
                size_of::<Value<'_>>(),
            )?;
            self.elements.push(value);
            if !self.next_element()? {
                break;
            }
        }
        let items = self.elements.get(first..).unwrap_or(&[]);
        let bytes = size_of_val(items);
        let items: &[Value<'a>] = self.bump.alloc_slice_copy(items);
        self.elements.truncate(first);
        self.charge(bytes)?;
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Result<Value<'a>> {
        let start = self.pos;
        self.enter()?;
        let first = self.members.len();
        let mut next = self.first_key()?;
        while let Some(raw) = next {
            let key = self.decode(raw)?;
            let value = self.value()?;
            self.room(
                self.members.len(),
                self.members.capacity(),
                size_of::<Member<'_>>(),
            )?;
            self.members.push((key, value));
            next = self.next_key()?;
        }
        let members = self.members.get(first..).unwrap_or(&[]);
        let bytes = size_of_val(members);
        let members: &mut [Member<'a>] = self.bump.alloc_slice_copy(members);
        self.members.truncate(first);
        self.charge(bytes)?;
        members.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        if members
            .iter()
            .zip(members.iter().skip(1))
            .any(|(a, b)| a.0 == b.0)
        {
            return Err(JsonError {
                kind: JsonErrorKind::DuplicateKey,
                offset: start,
            });
        }
        Ok(Value::Object(members))
    }

    /// Charges for the growth of a list that is full: what it will take, and what it leaves behind.
    #[inline]
    fn room(&mut self, length: usize, capacity: usize, size: usize) -> Result<()> {
        if length < capacity {
            return Ok(());
        }
        self.charge(capacity.max(4).saturating_mul(2 * size))
    }
}

#[inline]
fn set_bit(bits: &mut [u64], at: u32, on: bool) {
    if let Some(word) = bits.get_mut((at as usize - 1) / 64) {
        let mask = 1u64 << ((at - 1) % 64);
        *word = if on { *word | mask } else { *word & !mask };
    }
}

#[inline]
fn get_bit(bits: &[u64], at: u32) -> bool {
    bits.get((at as usize - 1) / 64)
        .is_some_and(|word| word >> ((at - 1) % 64) & 1 == 1)
}

/// Bytes before the first quote, backslash or control character: eight at a time, long texts in blocks.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let stops = stops(*word);
        if stops != 0 {
            return at + stops.trailing_zeros() as usize / 8;
        }
        at += 8;
        if at == SHORT {
            return at + plain_blocks(bytes.get(at..).unwrap_or(&[]));
        }
    }
    let tail = bytes.get(at..).unwrap_or(&[]);
    at + tail.iter().position(|b| is_stop(*b)).unwrap_or(tail.len())
}

/// Bytes after which a text counts as long.
const SHORT: usize = 32;

/// As [`plain_prefix`], in blocks of a size that compilers turn into vector instructions.
fn plain_blocks(bytes: &[u8]) -> usize {
    let (blocks, tail) = bytes.as_chunks::<32>();
    let mut at = 0;
    for block in blocks {
        if block.iter().fold(false, |any, b| any | is_stop(*b)) {
            break;
        }
        at += 32;
    }
    let rest = if at / 32 < blocks.len() {
        bytes.get(at..at + 32).unwrap_or(&[])
    } else {
        tail
    };
    let (words, tail) = rest.as_chunks::<8>();
    for word in words {
        let stops = stops(*word);
        if stops != 0 {
            return at + stops.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + tail.iter().position(|b| is_stop(*b)).unwrap_or(tail.len())
}

#[inline]
fn is_stop(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// The high bit of each byte that is a stop; exact for the lowest, which is all that is used.
#[inline]
fn stops(word: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(word);
    // With its second bit flipped, a quote follows directly on the control characters, and a space no longer does.
    let low = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = word ^ (ONES * b'\\' as u64);
    (low & !word | backslash.wrapping_sub(ONES) & !backslash) & HIGH
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
