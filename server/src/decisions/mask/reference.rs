//! Masking as it is meant, without regard to time: what [`super::Masker`] must agree with, byte for byte.
//!
//! The text is checked first and walked then; every string is decoded, looked through alone and behind its key, and written
//! again; places in paths are lists that are copied for each value.

use super::{LONG_NUMBER, MASKED, MAX_DEPTH, MaskError, SHORTEST_HIDDEN};
use policy_primitives::pii::{self, Confidence, PiiType, PiiTypeSet, Redactor};
use serde::de::IgnoredAny;

/// Bytes of a word in lower case that is nothing to look for.
const SHORT_WORD: usize = 16;

/// A masked context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Masked {
    pub(super) json: String,
    /// The texts that stood where a whole value was masked.
    hidden: Vec<String>,
}

/// How far each path has been followed: path and number of its keys matched.
type Places = Vec<(usize, usize)>;

/// Masks contexts and reasons.
pub(super) struct Masker {
    /// Paths as lists of [`plain`] keys; `*` is any key.
    paths: Vec<Vec<String>>,
    redactor: Redactor,
    buffer: String,
    labelled: String,
}

/// What is known of a key.
struct Facts {
    /// Without personal data.
    shown: String,
    /// What paths compare with.
    parts: Vec<String>,
    words: String,
    /// Whether it names a secret.
    secret: bool,
}

/// An object or array that is open.
struct Open {
    object: bool,
    places: Places,
    /// The key of the value, in words.
    words: String,
    /// Number of the next element of an array.
    index: usize,
}

impl Masker {
    /// A masker of these paths: keys with dots between.
    pub(super) fn new(paths: &[String]) -> Self {
        let paths = paths.iter().map(|path| path.split('.').map(plain).collect());
        Self {
            paths: paths.collect(),
            redactor: Redactor::new(),
            buffer: String::new(),
            labelled: String::new(),
        }
    }

    /// Masks a context.
    ///
    /// # Errors
    ///
    /// - [`MaskError::NotJson`] — nothing of it may be written then.
    /// - [`MaskError::TooDeep`] — likewise.
    pub(super) fn mask(&mut self, context: &[u8]) -> Result<Masked, MaskError> {
        let text = validated(context)?;
        let mut scan = Scan { text, at: 0 };
        let mut out = String::with_capacity(text.len());
        let mut hidden = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        let root: Places = (0..self.paths.len()).map(|path| (path, 0)).collect();
        self.value(
            &mut scan,
            root,
            String::new(),
            false,
            &mut open,
            &mut hidden,
            &mut out,
        )?;
        // Every turn reads one key with its value, one element, or one closing bracket.
        while let Some(top) = open.last_mut() {
            match scan.peek() {
                Some(close @ (b'}' | b']')) => {
                    scan.at += 1;
                    out.push(char::from(close));
                    open.pop();
                    continue;
                }
                Some(b',') => {
                    scan.at += 1;
                    out.push(',');
                }
                Some(_) => {}
                None => return Err(MaskError::NotJson),
            }
            let (places, words, secret) = if top.object {
                let places = top.places.clone();
                let key = scan.string()?;
                scan.past(b':')?;
                // A key that is no text cannot be looked at, so neither it nor its value is shown.
                let Some(key) = key else {
                    push_string(MASKED, &mut out);
                    out.push(':');
                    push_string(MASKED, &mut out);
                    scan.skip(&mut hidden)?;
                    continue;
                };
                let facts = self.facts(&key);
                push_string(&facts.shown, &mut out);
                out.push(':');
                let parts = facts.parts.iter();
                let places = parts.fold(places, |places, part| self.step(&places, part));
                (places, facts.words.clone(), facts.secret)
            } else {
                let mut places = top.places.clone();
                places.extend(self.step(&top.places, &top.index.to_string()));
                top.index += 1;
                (places, top.words.clone(), false)
            };
            self.value(&mut scan, places, words, secret, &mut open, &mut hidden, &mut out)?;
        }
        Ok(Masked { json: out, hidden })
    }

    /// Masks a reason that was rendered from a context.
    pub(super) fn reason(&mut self, reason: &str, masked: Option<&Masked>) -> String {
        let mut text = reason.to_owned();
        let mut hidden: Vec<&str> = masked
            .iter()
            .flat_map(|masked| &masked.hidden)
            .map(String::as_str)
            .filter(|hidden| hidden.len() >= SHORTEST_HIDDEN && hidden.len() <= reason.len())
            .collect();
        // The longest first: it may hold shorter ones.
        hidden.sort_unstable_by_key(|hidden| std::cmp::Reverse(hidden.len()));
        hidden.dedup();
        for hidden in hidden {
            if text.contains(hidden) {
                text = text.replace(hidden, MASKED);
            }
        }
        self.redact(&text, "")
    }

    fn facts(&mut self, key: &str) -> Facts {
        Facts {
            shown: self.redact(key, ""),
            parts: key.split('.').map(plain).collect(),
            words: words(key),
            secret: names_a_secret(key),
        }
    }

    /// The places of a value under the next key.
    fn step(&self, places: &Places, key: &str) -> Places {
        places
            .iter()
            .filter_map(|&(path, done)| {
                let next = self.paths.get(path)?.get(done)?;
                (next == "*" || next == key).then_some((path, done + 1))
            })
            .collect()
    }

    /// Whether a path ends here.
    fn ends(&self, places: &Places) -> bool {
        places
            .iter()
            .any(|&(path, done)| self.paths.get(path).is_some_and(|path| path.len() == done))
    }

    /// Reads a value; of an object or an array only the beginning.
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one walk, which borrows from several places"
    )]
    fn value(
        &mut self,
        scan: &mut Scan<'_>,
        places: Places,
        words: String,
        secret: bool,
        open: &mut Vec<Open>,
        hidden: &mut Vec<String>,
        out: &mut String,
    ) -> Result<(), MaskError> {
        if secret || self.ends(&places) {
            push_string(MASKED, out);
            return scan.skip(hidden);
        }
        match scan.peek() {
            Some(bracket @ (b'{' | b'[')) => {
                if open.len() == MAX_DEPTH {
                    return Err(MaskError::TooDeep);
                }
                scan.at += 1;
                out.push(char::from(bracket));
                open.push(Open {
                    object: bracket == b'{',
                    places,
                    words,
                    index: 0,
                });
            }
            Some(b'"') => match scan.string()? {
                Some(text) => {
                    let shown = self.redact(&text, &words);
                    push_string(&shown, out);
                }
                None => push_string(MASKED, out),
            },
            Some(_) => {
                let token = scan.token();
                let digits = token.bytes().filter(u8::is_ascii_digit).count();
                if digits < LONG_NUMBER {
                    out.push_str(token);
                } else {
                    let shown = self.redact(token, &words);
                    if shown == token {
                        out.push_str(token);
                    } else {
                        push_string(&shown, out);
                    }
                }
            }
            None => return Err(MaskError::NotJson),
        }
        Ok(())
    }

    /// A text without personal data and secrets; `words` say what it is.
    fn redact(&mut self, text: &str, words: &str) -> String {
        // Names of models, teams and the like: nothing personal and no secret is that short and has no digit.
        if text.len() <= SHORT_WORD && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            return text.to_owned();
        }
        self.labelled.clear();
        if !words.is_empty() {
            self.labelled.push_str(words);
            self.labelled.push_str(": ");
        }
        let label = self.labelled.len();
        self.labelled.push_str(text);
        // Most texts hold nothing, and looking does not copy.
        let any = |text: &str, min| pii::contains_any(text, PiiTypeSet::ALL, min);
        if !any(text, Confidence::Low) && (label == 0 || !any(&self.labelled, Confidence::Medium)) {
            return text.to_owned();
        }
        let mut shown = text.to_owned();
        if label > 0 {
            self.redactor.redact(
                &self.labelled,
                PiiTypeSet::ALL,
                Confidence::Medium,
                &mut self.buffer,
            );
            // Where the label was changed as well, the text alone decides.
            let unchanged = self
                .labelled
                .get(..label)
                .and_then(|label| self.buffer.strip_prefix(label));
            if let Some(rest) = unchanged {
                shown.clear();
                shown.push_str(rest);
            }
        }
        // Alone as well: words before it can make a text look harmless (`version: 10.0.0.1`).
        self.redactor
            .redact(&shown, PiiTypeSet::ALL, Confidence::Medium, &mut self.buffer);
        std::mem::swap(&mut shown, &mut self.buffer);
        // A secret must not be missed; a text that only looks like one is no loss.
        let secrets = PiiTypeSet::EMPTY
            .with(PiiType::ApiKey)
            .with(PiiType::PrivateKey)
            .with(PiiType::Jwt);
        self.redactor
            .redact(&shown, secrets, Confidence::Low, &mut self.buffer);
        std::mem::swap(&mut shown, &mut self.buffer);
        shown
    }
}

/// The context in one line, otherwise as it is.
///
/// # Errors
///
/// [`MaskError::NotJson`].
pub(super) fn compact(context: &[u8]) -> Result<String, MaskError> {
    let text = validated(context)?;
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside {
            inside = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            out.push(c);
        } else if !c.is_ascii_whitespace() {
            inside = c == '"';
            out.push(c);
        }
    }
    Ok(out)
}

/// The context as text that is known to be JSON, however deep.
fn validated(context: &[u8]) -> Result<&str, MaskError> {
    let text = std::str::from_utf8(context).map_err(|_| MaskError::NotJson)?;
    // Skips values without recursion.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| MaskError::NotJson)?;
    Ok(text)
}

/// Walks over valid JSON.
struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    /// The next byte that is not whitespace.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Goes past a byte.
    fn past(&mut self, byte: u8) -> Result<(), MaskError> {
        if self.peek() != Some(byte) {
            return Err(MaskError::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// A string; `None` when its escapes are no text (half of a surrogate pair).
    fn string(&mut self) -> Result<Option<String>, MaskError> {
        if self.peek() != Some(b'"') {
            return Err(MaskError::NotJson);
        }
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
                None => return Err(MaskError::NotJson),
            }
        }
        self.at += 1;
        let raw = self.text.get(start..self.at).ok_or(MaskError::NotJson)?;
        Ok(serde_json::from_str(raw).ok())
    }

    /// A number, `true`, `false` or `null`.
    fn token(&mut self) -> &'t str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|b| {
            !b.is_ascii_whitespace() && !matches!(b, b',' | b'}' | b']' | b':' | b'{' | b'[' | b'"')
        }) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Goes past a value and keeps the texts in it.
    fn skip(&mut self, texts: &mut Vec<String>) -> Result<(), MaskError> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.checked_sub(1).ok_or(MaskError::NotJson)?;
                    self.at += 1;
                }
                Some(b',' | b':') => self.at += 1,
                Some(b'"') => texts.extend(self.string()?),
                Some(_) => {
                    let token = self.token();
                    if token.is_empty() {
                        return Err(MaskError::NotJson);
                    }
                    // A masked number may have been quoted as well.
                    if token.len() > SHORTEST_HIDDEN && token.bytes().all(|b| b.is_ascii_digit()) {
                        texts.push(token.to_owned());
                    }
                }
                None => return Err(MaskError::NotJson),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Appends a text as a JSON string.
fn push_string(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    // Writing to a `String` cannot fail.
    if write!(out, "{}", serde_json::Value::from(text)).is_err() {
        out.push_str("\"\"");
    }
}

/// A key without case, `_` and `-`.
fn plain(key: &str) -> String {
    key.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
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
