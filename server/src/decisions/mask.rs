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
use keys::{Key, Keys, Label};
use paths::{Paths, State};
use redact::Finder;
use std::borrow::Cow;

pub use json::compact;
pub(super) use json::push_string;

/// What stands in place of a masked value.
pub const MASKED: &str = "[masked]";

/// [`MASKED`] as JSON.
const MASKED_JSON: &str = "\"[masked]\"";

/// Objects and arrays in each other, at most. More than any request that is evaluated may have.
const MAX_DEPTH: usize = 1024;

/// Numbers with this many digits may be cards, accounts, or numbers of people.
const LONG_NUMBER: usize = 9;

/// A hidden text shorter than this is not searched for in reasons: it would be found in ordinary words.
const SHORTEST_HIDDEN: usize = 3;

/// Why a context could not be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// It is not JSON in UTF-8.
    #[error("the context is not JSON")]
    NotJson,
    /// It nests deeper than any request may.
    #[error("the context nests too deeply")]
    TooDeep,
}

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
    /// Whether its [`Label`] is.
    silent: bool,
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
        self.mask_into(context, String::new())
    }

    /// As [`Masker::mask`], in the memory of a text that is not needed any more.
    ///
    /// # Errors
    ///
    /// As [`Masker::mask`].
    pub fn mask_into<'c>(&mut self, context: &'c [u8], memory: String) -> Result<Masked<'c>, MaskError> {
        let text = std::str::from_utf8(context).map_err(|_| MaskError::NotJson)?;
        match self.walk(text, memory) {
            // The rest was not looked at.
            Err(MaskError::TooDeep) => json::validated(context).and(Err(MaskError::TooDeep)),
            done => done,
        }
    }

    fn walk<'c>(&mut self, text: &'c str, mut memory: String) -> Result<Masked<'c>, MaskError> {
        let Self {
            paths,
            finder,
            keys,
            unlabelled,
            open,
        } = self;
        keys.begin();
        open.clear();
        memory.clear();
        memory.reserve(text.len());
        let mut out = Copied {
            text,
            at: 0,
            out: memory,
            hidden: Vec::new(),
        };
        let bytes = text.as_bytes();
        let mut at = out.token(bytes, 0);
        let (mut state, mut key, mut mark) = (paths.root(), Key::None, 0);
        let (mut secret, mut silent) = (false, true);
        // Every turn reads one value, of an object or an array only the beginning.
        loop {
            let mut fresh = false;
            if secret || paths.end(&state) {
                at = out.mask(at)?;
                keys.close(mark);
            } else {
                let first = json::byte_at(bytes, at);
                if first == b'"' {
                    at = match redact::short_word_end(bytes, at + 1) {
                        Some(close) => close + 1,
                        None => out.string(at, silent, key, keys, finder, unlabelled)?,
                    };
                    keys.close(mark);
                } else if matches!(first, b'{' | b'[') {
                    if open.len() == MAX_DEPTH {
                        return Err(MaskError::TooDeep);
                    }
                    open.push(Open {
                        object: first == b'{',
                        state,
                        key,
                        silent,
                        index: 0,
                        mark,
                    });
                    fresh = true;
                    at += 1;
                } else {
                    at = out.scalar(at, key, keys, finder, unlabelled)?;
                    keys.close(mark);
                }
            }
            // Closing brackets, and the key of the next value.
            loop {
                at = out.token(bytes, at);
                let Some(top) = open.last_mut() else {
                    return match at == text.len() {
                        true => Ok(out.done()),
                        false => Err(MaskError::NotJson),
                    };
                };
                let byte = json::byte_at(bytes, at);
                if byte == b',' && !fresh {
                    at = out.token(bytes, at + 1);
                } else if byte == if top.object { b'}' } else { b']' } {
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
                    (key, secret, silent) = (top.key, false, top.silent);
                    top.index += 1;
                    break;
                }
                if let Some((known, facts, end)) = keys.expected(top.key, bytes, at) {
                    state = Paths::member(&top.state, &facts.matches);
                    (key, secret, silent) = (known, facts.secret, facts.label.silent);
                    at = out.token(bytes, end);
                    break;
                }
                let (raw, end) = Raw::read(text, at)?;
                let colon = |out: &mut Copied<'_>| {
                    let colon = out.token(bytes, end);
                    if json::byte(text, colon) != b':' {
                        return Err(MaskError::NotJson);
                    }
                    Ok(out.token(bytes, colon + 1))
                };
                let Some(name) = raw.text() else {
                    // A key that is no text cannot be looked at, so neither it nor its value is shown.
                    out.replace(at, end, MASKED);
                    at = colon(&mut out)?;
                    at = out.mask(at)?;
                    continue;
                };
                key = keys.key(&name, top.key, paths, finder);
                if let Some(facts) = keys.facts(key) {
                    match facts.shown.as_deref() {
                        Some(shown) => out.replace(at, end, shown),
                        None if raw.escaped => out.replace(at, end, &name),
                        None => {}
                    }
                    state = Paths::member(&top.state, &facts.matches);
                    (secret, silent) = (facts.secret, facts.label.silent);
                } else {
                    // Nothing is known of it: it is not shown.
                    debug_assert!(false, "a key that was just read is not known");
                    state = top.state.clone();
                    secret = true;
                }
                at = colon(&mut out)?;
                break;
            }
        }
    }

    /// Masks a reason that was rendered from a context.
    #[must_use]
    pub fn reason(&mut self, reason: &str, masked: Option<&Masked<'_>>) -> String {
        let shown = self.changed_reason(reason, masked);
        shown.unwrap_or_else(|| reason.to_owned())
    }

    /// As [`Masker::reason`]; `None` where it stays as it is.
    pub(super) fn changed_reason(&mut self, reason: &str, masked: Option<&Masked<'_>>) -> Option<String> {
        let mut texts: Vec<Cow<'_, str>> = Vec::new();
        for value in masked.iter().flat_map(|masked| &masked.hidden) {
            // No escape is longer than six times its text, so this one is longer than the reason.
            if value.starts_with('"') && (value.len() - 1) / 6 > reason.len() {
                continue;
            }
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
        self.finder.redact(&text, &self.unlabelled).or(match text {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        })
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
    fn token(&mut self, bytes: &[u8], at: usize) -> usize {
        if json::byte_at(bytes, at) > b' ' {
            return at;
        }
        self.blank(at)
    }

    #[cold]
    #[inline(never)]
    fn blank(&mut self, at: usize) -> usize {
        let next = json::token(self.text, at);
        self.leave_out(at, next);
        next
    }

    #[inline(never)]
    fn leave_out(&mut self, start: usize, end: usize) {
        self.out.push_str(self.text.get(self.at..start).unwrap_or(""));
        self.at = end;
    }

    /// Reads the string at `at`, the value of a key. Returns where it ends.
    fn string(
        &mut self,
        at: usize,
        silent: bool,
        key: Key,
        keys: &mut Keys,
        finder: &mut Finder,
        unlabelled: &Label,
    ) -> Result<usize, MaskError> {
        let bytes = self.text.as_bytes();
        let close = json::plain_end(bytes, at + 1);
        if json::byte_at(bytes, close) != b'"' {
            return self.escaped(at, keys.label(key).unwrap_or(unlabelled), finder);
        }
        let inside = bytes.get(at + 1..close).unwrap_or(&[]);
        if silent && redact::is_harmless(inside) || keys.is_clean(key, inside) {
            return Ok(close + 1);
        }
        let label = keys.label(key).unwrap_or(unlabelled);
        let text = self.text.get(at + 1..close).unwrap_or("");
        match finder.redact(text, label) {
            Some(shown) => self.replace(at, close + 1, &shown),
            None => keys.found_clean(key, inside),
        }
        Ok(close + 1)
    }

    /// As [`Copied::string`], where it has escapes, or is none.
    #[cold]
    #[inline(never)]
    fn escaped(&mut self, at: usize, label: &Label, finder: &mut Finder) -> Result<usize, MaskError> {
        let (raw, end) = Raw::read(self.text, at)?;
        match raw.text() {
            Some(text) => match finder.redact(&text, label) {
                Some(shown) => self.replace(at, end, &shown),
                None => self.replace(at, end, &text),
            },
            None => self.replace(at, end, MASKED),
        }
        Ok(end)
    }

    /// Reads the number, `true`, `false` or `null` at `at`, the value of a key. Returns where it ends.
    #[inline]
    fn scalar(
        &mut self,
        at: usize,
        key: Key,
        keys: &Keys,
        finder: &mut Finder,
        unlabelled: &Label,
    ) -> Result<usize, MaskError> {
        let end = json::scalar_end(self.text, at)?;
        if end - at >= LONG_NUMBER {
            let token = self.text.get(at..end).unwrap_or("");
            if token.bytes().filter(u8::is_ascii_digit).count() >= LONG_NUMBER
                && let Some(shown) = finder.redact(token, keys.label(key).unwrap_or(unlabelled))
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
