//! What is known of keys. Requests have the same keys again and again, mostly in the same order.
//!
//! # Invariants
//!
//! - At most [`KNOWN_KEYS`] keys of at most [`LONGEST_KNOWN_KEY`] bytes are remembered: keys that come once must not fill the
//!   memory. Of the others no more is kept than are open at once.
//! - While a context is read nothing known is forgotten: what is open points here.

use super::json;
use super::paths::{Matches, Paths, plain};
use super::redact::Finder;
use policy_primitives::pii;
use std::collections::HashMap;

/// Keys that are remembered.
const KNOWN_KEYS: usize = 2048;
/// Bytes of a key that is remembered.
const LONGEST_KNOWN_KEY: usize = 64;

/// Bytes of a key that are compared at once.
const FRONT: usize = size_of::<u128>();
/// Places for what comes next. A key that finds its place taken is looked up by its name, and takes it.
const PLACES: usize = 1024;

/// Bytes of a value that is remembered, and how many others in a row end that.
const LONGEST_CLEAN: usize = 128;
const MISSES: u8 = 16;

/// What is known of a key.
#[derive(Debug)]
pub(super) struct Facts {
    /// The key as it stands before its value: with its quotes and the colon. Empty where it has escapes.
    quoted: Box<[u8]>,
    /// The first bytes of that, and which of them count.
    front: u128,
    mask: u128,
    /// Without personal data, where it has some.
    pub(super) shown: Option<Box<str>>,
    /// What paths compare with.
    pub(super) matches: Matches,
    pub(super) label: Label,
    /// Whether it names a secret.
    pub(super) secret: bool,
    /// A value in which nothing was found, and how many others came since.
    clean: Box<[u8]>,
    missed: u8,
}

impl Facts {
    fn of(name: &str, paths: &Paths, finder: &mut Finder) -> Self {
        let shown = finder.redact(name, &Label::none());
        // What is not written as it stands is never what comes next.
        let plain = shown.is_none() && json::plain_end(name.as_bytes(), 0) == name.len();
        let quoted = if plain {
            format!("\"{name}\":")
        } else {
            String::new()
        };
        let mut front = [0; FRONT];
        let mut mask = [0; FRONT];
        for ((front, mask), byte) in front.iter_mut().zip(&mut mask).zip(quoted.bytes()) {
            (*front, *mask) = (byte, u8::MAX);
        }
        Self {
            quoted: quoted.into_bytes().into(),
            front: u128::from_le_bytes(front),
            mask: u128::from_le_bytes(mask),
            shown: shown.map(Into::into),
            matches: paths.matches(name),
            label: Label::of(name),
            secret: names_a_secret(name),
            clean: Box::default(),
            missed: 0,
        }
    }

    /// Where the key ends that stands at `at`, if it is this one.
    #[inline(always)]
    fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let length = self.quoted.len();
        let rest = bytes.get(at..)?;
        let same = match rest.first_chunk::<FRONT>() {
            Some(front) if length <= FRONT => u128::from_le_bytes(*front) & self.mask == self.front,
            _ => rest.starts_with(&self.quoted),
        };
        (same && length > 0).then_some(at + length)
    }
}

/// What a key says of its value.
#[derive(Debug, Default)]
pub(super) struct Label {
    /// The key in words and `: `; empty where there are no words.
    pub(super) text: Box<str>,
    /// Whether it makes nothing suspicious that is not so alone.
    pub(super) silent: bool,
}

impl Label {
    fn of(key: &str) -> Self {
        let words = words(key);
        if words.is_empty() {
            return Self::none();
        }
        Self {
            silent: pii::is_silent(&words),
            text: format!("{words}: ").into(),
        }
    }

    /// The label of what has no key.
    pub(super) fn none() -> Self {
        Self {
            text: Box::default(),
            silent: true,
        }
    }
}

impl Facts {
    /// Whether a value is the one in which nothing was found before. User agents and the names of versions are the same again
    /// and again; ids are not, and after some of them nobody asks any more.
    #[inline]
    fn is_clean(&mut self, value: &[u8]) -> bool {
        if self.missed == MISSES {
            return false;
        }
        let same = !self.clean.is_empty() && *self.clean == *value;
        self.missed = if same { 0 } else { self.missed + 1 };
        same
    }
}

/// A key of the context that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// There is none.
    None,
    Known(u16),
    Loose(u32),
}

/// What came next, by [`Keys::place`].
#[derive(Debug)]
struct Places(Box<[u16; PLACES]>);

impl Default for Places {
    fn default() -> Self {
        Self(Box::new([0; PLACES]))
    }
}

/// The keys that were seen.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: Vec<Facts>,
    by_name: HashMap<Box<str>, u16>,
    /// The known key that came last.
    last: u16,
    /// What came next, by the key before it and that of the object.
    next: Places,
    /// Keys that are not remembered, from the outermost that is open on.
    loose: Vec<Facts>,
}

impl Keys {
    /// Another context begins.
    pub(super) fn begin(&mut self) {
        self.loose.clear();
        self.last = 0;
        if self.known.len() == KNOWN_KEYS {
            // Those that come again are soon back.
            self.known.clear();
            self.by_name.clear();
        }
    }

    /// How many keys are open that are not remembered; to [close](Keys::close) those that come from now on.
    #[inline]
    pub(super) fn mark(&self) -> usize {
        self.loose.len()
    }

    /// The values of the keys since the mark are read.
    #[inline]
    pub(super) fn close(&mut self, mark: usize) {
        if self.loose.len() > mark {
            self.loose.truncate(mark);
        }
    }

    /// What is known of a key.
    #[inline]
    pub(super) fn facts(&self, key: Key) -> Option<&Facts> {
        match key {
            Key::None => None,
            Key::Known(at) => self.known.get(usize::from(at)),
            Key::Loose(at) => self.loose.get(at as usize),
        }
    }

    /// What a key says of its value.
    pub(super) fn label(&self, key: Key) -> Option<&Label> {
        self.facts(key).map(|facts| &facts.label)
    }

    /// Whether nothing is in a value of this key, because nothing was in the same before.
    #[inline]
    pub(super) fn is_clean(&mut self, key: Key, value: &[u8]) -> bool {
        match key {
            Key::Known(at) => {
                (self.known.get_mut(usize::from(at))).is_some_and(|facts| facts.is_clean(value))
            }
            Key::None | Key::Loose(_) => false,
        }
    }

    /// Nothing was found in a value of this key.
    pub(super) fn found_clean(&mut self, key: Key, value: &[u8]) {
        if let Key::Known(at) = key
            && let Some(facts) = self.known.get_mut(usize::from(at))
            && facts.missed < MISSES
            && value.len() <= LONGEST_CLEAN
        {
            facts.clean = value.into();
        }
    }

    /// The place of what comes next in an object with this key.
    #[inline(always)]
    fn place(&self, object: Key) -> usize {
        let object = match object {
            Key::Known(at) => usize::from(at) + 1,
            Key::None | Key::Loose(_) => 0,
        };
        (usize::from(self.last) * 37 + object * 101) % PLACES
    }

    /// The key at `at` and its colon, and where they end, if it is the one that came next the last time, and is shown as it
    /// stands.
    #[inline(always)]
    pub(super) fn expected(&mut self, object: Key, bytes: &[u8], at: usize) -> Option<(Key, &Facts, usize)> {
        let next = *self.next.0.get(self.place(object))?;
        let facts = self.known.get(usize::from(next))?;
        let end = facts.end(bytes, at)?;
        self.last = next;
        Some((Key::Known(next), facts, end))
    }

    /// The key of this name.
    #[inline(never)]
    pub(super) fn key(&mut self, name: &str, object: Key, paths: &Paths, finder: &mut Finder) -> Key {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                let facts = Facts::of(name, paths, finder);
                let at = u16::try_from(self.known.len()).unwrap_or(u16::MAX);
                if name.len() > LONGEST_KNOWN_KEY || usize::from(at) >= KNOWN_KEYS {
                    self.loose.push(facts);
                    return Key::Loose(u32::try_from(self.loose.len() - 1).unwrap_or(u32::MAX));
                }
                self.known.push(facts);
                self.by_name.insert(name.into(), at);
                at
            }
        };
        let place = self.place(object);
        if let Some(next) = self.next.0.get_mut(place) {
            *next = at;
        }
        self.last = at;
        Key::Known(at)
    }
}

/// A key in words: `dateOfBirth` and `date_of_birth` are `date of birth`.
fn words(key: &str) -> String {
    let mut words = String::with_capacity(key.len() + 4);
    let mut lower = false;
    for c in key.chars() {
        if matches!(c, '_' | '-' | '.') {
            words.push(' ');
        } else {
            if lower && c.is_uppercase() {
                words.push(' ');
            }
            words.extend(c.to_lowercase());
        }
        lower = c.is_lowercase();
    }
    words
}

/// Whether a key says that its value is a secret.
fn names_a_secret(key: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "secrets",
        "apikey",
        "apikeys",
        "accesskey",
        "accesskeyid",
        "secretkey",
        "privatekey",
        "token",
        "authorization",
        "authheader",
        "credential",
        "credentials",
        "cookie",
        "cookies",
    ];
    let key = plain(key);
    ENDINGS.iter().any(|ending| key.ends_with(ending))
}
