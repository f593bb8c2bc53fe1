//! What is known of keys. Requests have the same keys again and again, mostly in the same order.
//!
//! # Invariants
//!
//! - At most [`KNOWN_KEYS`] keys of at most [`LONGEST_KNOWN_KEY`] bytes are remembered: keys that come once must not fill the
//!   memory. Of the others no more is kept than are open at once.
//! - While a context is read nothing known is forgotten: what is open points here.

use super::paths::{Paths, State, plain};
use super::redact::Finder;
use policy_primitives::pii;
use std::collections::HashMap;

/// Keys that are remembered.
const KNOWN_KEYS: usize = 2048;
/// Bytes of a key that is remembered.
const LONGEST_KNOWN_KEY: usize = 64;

/// What is known of a key.
#[derive(Debug)]
pub(super) struct Facts {
    name: Box<str>,
    /// Without personal data, where it has some.
    pub(super) shown: Option<Box<str>>,
    /// What paths compare with.
    pub(super) matches: Vec<State>,
    pub(super) label: Label,
    /// Whether it names a secret.
    pub(super) secret: bool,
    /// The known key that came after it the last time.
    next: usize,
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

/// A key of the context that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Known(usize),
    Loose(usize),
}

/// The keys that were seen.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: Vec<Facts>,
    by_name: HashMap<Box<str>, usize>,
    /// The known key that came last.
    last: usize,
    /// Keys that are not remembered, from the outermost that is open on.
    loose: Vec<Facts>,
}

impl Keys {
    /// Another context begins.
    pub(super) fn begin(&mut self) {
        self.loose.clear();
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
        self.loose.truncate(mark);
    }

    /// What is known of a key.
    #[inline]
    pub(super) fn facts(&self, key: Key) -> Option<&Facts> {
        match key {
            Key::Known(at) => self.known.get(at),
            Key::Loose(at) => self.loose.get(at),
        }
    }

    /// The key of this name.
    #[inline]
    pub(super) fn key(&mut self, name: &str, paths: &Paths, finder: &mut Finder) -> Key {
        let next = self.known.get(self.last).map_or(0, |last| last.next);
        let expected = self.known.get(next).is_some_and(|facts| *facts.name == *name);
        if expected {
            self.last = next;
            return Key::Known(next);
        }
        self.unexpected(name, paths, finder)
    }

    #[inline(never)]
    fn unexpected(&mut self, name: &str, paths: &Paths, finder: &mut Finder) -> Key {
        let known = self.by_name.get(name).copied();
        let at = known.unwrap_or(self.known.len());
        if known.is_none() {
            let facts = Facts {
                name: name.into(),
                shown: finder.redact(name, &Label::none()).map(Into::into),
                matches: paths.matches(name),
                label: Label::of(name),
                secret: names_a_secret(name),
                next: 0,
            };
            if name.len() > LONGEST_KNOWN_KEY || at == KNOWN_KEYS {
                self.loose.push(facts);
                return Key::Loose(self.loose.len() - 1);
            }
            self.known.push(facts);
            self.by_name.insert(name.into(), at);
        }
        if let Some(last) = self.known.get_mut(self.last) {
            last.next = at;
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
