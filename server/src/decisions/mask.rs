//! Masking: a context as JSON text without what its owner keeps private.
//!
//! The writer of the decision log hands every context through [`Masker::mask`] before anything else sees it. Three things
//! are taken out, each in favour of hiding too much:
//!
//! - values at configured paths, whole, as `"[masked]"`. A path is compared without regard to case, `_` and `-`, so that
//!   `request.ipAddress` is `request.ip_address` as well. Elements of an array stand at the path of the array; `*` is any
//!   one key or element.
//! - values of keys that name a secret (`apiKey`, `password`, `authorization`, …), whole.
//! - personal data and secrets that [`policy_primitives::pii`] finds, in every other string, key and long number. The words
//!   of a key count as context of its value: `{"passport": "…"}`.
//!
//! # Invariants
//!
//! - What is not JSON is an error, never a text that went through unmasked.
//! - Everything else stays as it is: order, duplicate keys, the digits of numbers. Whitespace between tokens goes, so the
//!   result is one line. Strings with escapes are written as `serde_json` writes them.
//! - No recursion; time is linear in the context times the number of keys in all paths.
//!
//! # Method
//!
//! One walk over the text checks that it is JSON (`mask/json.rs`), follows the paths (`mask/paths.rs`), looks through the texts
//! (`mask/redact.rs`) and copies what stays, in pieces as long as nothing comes between. What a key means is worked out once
//! (`mask/keys.rs`). `mask/reference.rs` says the same slowly, and the tests hold both against each other.
//!
//! # Not done here
//!
//! Encodings (base64, URL escapes) are not undone, and a secret that is spread over several strings is not put together.

mod json;
mod keys;
mod paths;
mod redact;

use json::Raw;
use keys::{Facts, Key, Keys, Label};
use paths::{Paths, State};
use redact::Finder;
use std::borrow::Cow;
use std::fmt;

pub use json::compact;
pub(super) use json::push_string;

/// What stands in place of a masked value.
pub const MASKED: &str = "[masked]";

/// [`MASKED`] as JSON.
const MASKED_JSON: &str = "\"[masked]\"";

/// Objects and arrays in each other, at the most. More than any request that is evaluated may have.
const MAX_DEPTH: usize = 1024;

/// Numbers with this many digits may be cards, accounts, or numbers of people.
const LONG_NUMBER: usize = 9;

/// A hidden text shorter than this is not searched for in reasons: it would be found in ordinary words.
const SHORTEST_HIDDEN: usize = 3;

/// Why a context could not be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskError {
    /// It is not JSON in UTF-8.
    NotJson,
    /// It nests deeper than any request may.
    TooDeep,
}

impl fmt::Display for MaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "the context is not JSON",
            Self::TooDeep => "the context nests too deeply",
        })
    }
}

impl std::error::Error for MaskError {}

/// A masked context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked<'c> {
    /// JSON in one line.
    pub json: String,
    /// The values that were masked whole, as they stood in the context: a reason may have quoted them.
    hidden: Vec<&'c str>,
}

/// Masks contexts and reasons. Keeps its memory between them.
#[derive(Debug)]
pub struct Masker {
    paths: Paths,
    finder: Finder,
    keys: Keys,
    /// The label of what has no key.
    unlabelled: Label,
    open: Vec<Open>,
}

/// An object or array that is open.
#[derive(Debug)]
struct Open {
    object: bool,
    state: State,
    /// The key of the value.
    key: Key,
    /// Number of the next element of an array.
    index: usize,
    /// Where [`Keys`] were before it.
    mark: usize,
}

impl Masker {
    /// A masker of these paths: keys with dots between.
    #[must_use]
    pub fn new(paths: &[String]) -> Self {
        Self {
            paths: Paths::new(paths),
            finder: Finder::default(),
            keys: Keys::default(),
            unlabelled: Label::none(),
            open: Vec::new(),
        }
    }

    /// Masks a context.
    ///
    /// # Errors
    ///
    /// - [`MaskError::NotJson`] — nothing of it may be written then.
    /// - [`MaskError::TooDeep`] — likewise.
    pub fn mask<'c>(&mut self, context: &'c [u8]) -> Result<Masked<'c>, MaskError> {
        let text = std::str::from_utf8(context).map_err(|_| MaskError::NotJson)?;
        match self.walk(text) {
            // The rest was not looked at.
            Err(MaskError::TooDeep) => json::validated(context).and(Err(MaskError::TooDeep)),
            done => done,
        }
    }

    fn walk<'c>(&mut self, text: &'c str) -> Result<Masked<'c>, MaskError> {
        let Self {
            paths,
            finder,
            keys,
            unlabelled,
            open,
        } = self;
        keys.begin();
        open.clear();
        let mut out = Copied {
            text,
            at: 0,
            out: String::with_capacity(text.len()),
            hidden: Vec::new(),
        };
        let mut at = out.token(0);
        let (mut state, mut key, mut mark) = (paths.root(), Key::None, 0);
        // Every turn reads one value, of an object or an array only the beginning.
        loop {
            let facts = keys.facts(key);
            let mut fresh = false;
            if facts.is_some_and(|facts| facts.secret) || paths.end(&state) {
                at = out.mask(at)?;
                keys.close(mark);
            } else {
                let label = facts.map_or(&*unlabelled, |facts| &facts.label);
                match json::byte(text, at) {
                    b'"' => {
                        at = out.string(at, finder, label)?;
                        keys.close(mark);
                    }
                    bracket @ (b'{' | b'[') => {
                        if open.len() == MAX_DEPTH {
                            return Err(MaskError::TooDeep);
                        }
                        open.push(Open {
                            object: bracket == b'{',
                            state,
                            key,
                            index: 0,
                            mark,
                        });
                        fresh = true;
                        at += 1;
                    }
                    _ => {
                        at = out.scalar(at, finder, label)?;
                        keys.close(mark);
                    }
                }
            }
            // Closing brackets, and the key of the next value.
            loop {
                at = out.token(at);
                let Some(top) = open.last_mut() else {
                    return match at == text.len() {
                        true => Ok(out.done()),
                        false => Err(MaskError::NotJson),
                    };
                };
                let close = if top.object { b'}' } else { b']' };
                let byte = json::byte(text, at);
                if byte == b',' && !fresh {
                    at = out.token(at + 1);
                } else if byte == close {
                    at += 1;
                    keys.close(top.mark);
                    open.pop();
                    fresh = false;
                    continue;
                } else if !fresh {
                    return Err(MaskError::NotJson);
                }
                fresh = false;
                mark = keys.mark();
                if !top.object {
                    state = paths.element(&top.state, top.index);
                    key = top.key;
                    top.index += 1;
                    break;
                }
                if let Some((known, facts, end)) = keys.expected(top.key, text.as_bytes(), at) {
                    key = known;
                    state = paths.member(&top.state, &facts.matches);
                    at = out.token(end);
                    break;
                }
                let (raw, end) = Raw::read(text, at)?;
                let colon = |out: &mut Copied<'_>| {
                    let colon = out.token(end);
                    if json::byte(text, colon) != b':' {
                        return Err(MaskError::NotJson);
                    }
                    Ok(out.token(colon + 1))
                };
                let Some(name) = raw.text() else {
                    // A key that is no text cannot be looked at, so neither it nor its value is shown.
                    out.replace(at, end, MASKED);
                    at = colon(&mut out)?;
                    at = out.mask(at)?;
                    continue;
                };
                key = keys.key(&name, top.key, paths, finder);
                let facts = keys.facts(key);
                match facts.and_then(|facts| facts.shown.as_deref()) {
                    Some(shown) => out.replace(at, end, shown),
                    None if raw.escaped => out.replace(at, end, &name),
                    None => {}
                }
                let matches = facts.map_or(&[][..], |facts: &Facts| &facts.matches);
                state = paths.member(&top.state, matches);
                at = colon(&mut out)?;
                break;
            }
        }
    }

    /// Masks a reason that was rendered from a context.
    #[must_use]
    pub fn reason(&mut self, reason: &str, masked: Option<&Masked<'_>>) -> String {
        let mut texts: Vec<Cow<'_, str>> = Vec::new();
        for value in masked.iter().flat_map(|masked| &masked.hidden) {
            json::texts(value, |text| {
                if text.len() >= SHORTEST_HIDDEN && text.len() <= reason.len() {
                    texts.push(text);
                }
            });
        }
        let mut hidden: Vec<&str> = texts.iter().map(|text| &**text).collect();
        // The longest first: it may hold shorter ones.
        hidden.sort_unstable_by_key(|hidden| std::cmp::Reverse(hidden.len()));
        hidden.dedup();
        let mut text = Cow::Borrowed(reason);
        for hidden in hidden {
            if text.contains(hidden) {
                text = Cow::Owned(text.replace(hidden, MASKED));
            }
        }
        self.finder
            .redact(&text, &self.unlabelled)
            .unwrap_or_else(|| text.into_owned())
    }
}

/// The context as far as it was read, without what is masked.
struct Copied<'c> {
    text: &'c str,
    /// Up to here the text is in `out`, or was left out.
    at: usize,
    out: String,
    hidden: Vec<&'c str>,
}

impl<'c> Copied<'c> {
    /// Where the next token starts. Whitespace before it is left out.
    #[inline]
    fn token(&mut self, at: usize) -> usize {
        if json::byte(self.text, at) > b' ' {
            return at;
        }
        let next = json::token(self.text, at);
        self.leave_out(at, next);
        next
    }

    #[inline(never)]
    fn leave_out(&mut self, start: usize, end: usize) {
        self.out.push_str(self.text.get(self.at..start).unwrap_or(""));
        self.at = end;
    }

    /// Reads the string at `at`. Returns where it ends.
    #[inline]
    fn string(&mut self, at: usize, finder: &mut Finder, label: &Label) -> Result<usize, MaskError> {
        let bytes = self.text.as_bytes();
        let close = json::plain_end(bytes, at + 1);
        if json::byte(self.text, close) == b'"' {
            let inside = bytes.get(at + 1..close).unwrap_or(&[]);
            if redact::is_harmless(inside, label) {
                return Ok(close + 1);
            }
        }
        self.suspicious(at, finder, label)
    }

    /// As [`Copied::string`].
    #[inline(never)]
    fn suspicious(&mut self, at: usize, finder: &mut Finder, label: &Label) -> Result<usize, MaskError> {
        let (raw, end) = Raw::read(self.text, at)?;
        match raw.text() {
            Some(text) => match finder.redact(&text, label) {
                Some(shown) => self.replace(at, end, &shown),
                None if raw.escaped => self.replace(at, end, &text),
                None => {}
            },
            None => self.replace(at, end, MASKED),
        }
        Ok(end)
    }

    /// Reads the number, `true`, `false` or `null` at `at`. Returns where it ends.
    #[inline]
    fn scalar(&mut self, at: usize, finder: &mut Finder, label: &Label) -> Result<usize, MaskError> {
        let end = json::scalar_end(self.text, at)?;
        if end - at >= LONG_NUMBER {
            let token = self.text.get(at..end).unwrap_or("");
            if token.bytes().filter(u8::is_ascii_digit).count() >= LONG_NUMBER
                && let Some(shown) = finder.redact(token, label)
                && shown != token
            {
                self.replace(at, end, &shown);
            }
        }
        Ok(end)
    }

    /// Puts a text in the place of a token.
    #[inline(never)]
    fn replace(&mut self, start: usize, end: usize, text: &str) {
        self.leave_out(start, end);
        push_string(text, &mut self.out);
    }

    /// Masks the value at `at`. Returns where it ends.
    #[inline(never)]
    fn mask(&mut self, at: usize) -> Result<usize, MaskError> {
        let end = json::value_end(self.text, at)?;
        self.hidden.extend(self.text.get(at..end));
        self.leave_out(at, end);
        self.out.push_str(MASKED_JSON);
        Ok(end)
    }

    fn done(mut self) -> Masked<'c> {
        self.leave_out(self.text.len(), self.text.len());
        Masked {
            json: self.out,
            hidden: self.hidden,
        }
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
