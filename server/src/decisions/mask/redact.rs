//! Personal data and secrets in one text, with what the key of the text says of it.

use super::keys::Label;
use policy_primitives::pii::{self, Confidence, PiiType, PiiTypeSet, Redactor};

/// Bytes of a word in lower case that is nothing to look for.
const SHORT_WORD: usize = 16;

/// Looks through texts. Keeps its memory between them.
#[derive(Debug, Default)]
pub(super) struct Finder {
    redactor: Redactor,
    buffer: String,
    labelled: String,
}

impl Finder {
    /// The text without personal data and secrets, where it has any.
    #[inline(never)]
    pub(super) fn redact(&mut self, text: &str, label: &Label) -> Option<String> {
        // Most texts hold nothing, and looking does not copy.
        let any = |text: &str, min| pii::contains_any(text, PiiTypeSet::ALL, min);
        let alone = any(text, Confidence::Low);
        if !alone && label.silent || is_short_word(text.as_bytes()) {
            return None;
        }
        self.labelled.clear();
        self.labelled.push_str(&label.text);
        self.labelled.push_str(text);
        if !alone && !any(&self.labelled, Confidence::Medium) {
            return None;
        }
        let mut shown = text.to_owned();
        if !label.text.is_empty() {
            self.redactor.redact(
                &self.labelled,
                PiiTypeSet::ALL,
                Confidence::Medium,
                &mut self.buffer,
            );
            // Where the label was changed as well, the text alone decides.
            if let Some(rest) = self.buffer.strip_prefix(&*label.text) {
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
        Some(shown)
    }
}

/// Whether [`Finder::redact`] finds nothing behind a silent label, told by a short look. `false` is no answer.
#[inline]
pub(super) fn is_harmless(text: &[u8]) -> bool {
    pii::is_bare(text)
}

/// Names of models, teams and the like: nothing personal and no secret is that short and has no digit.
fn is_short_word(text: &[u8]) -> bool {
    text.len() <= SHORT_WORD && text.iter().all(|b| b.is_ascii_lowercase() || *b == b'-')
}

/// The closing quote of the string that begins behind `start`, if it is [such a word](is_short_word). `None` is no answer.
#[inline(always)]
pub(super) fn short_word_end(bytes: &[u8], start: usize) -> Option<usize> {
    const _: () = assert!(SHORT_WORD == 2 * size_of::<u64>(), "two words are looked at");
    let mut at = start;
    for _ in 0..2 {
        let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        let others = others(word);
        if others != 0 {
            at += others.trailing_zeros() as usize / 8;
            break;
        }
        at += 8;
    }
    (bytes.get(at) == Some(&b'"')).then_some(at)
}

/// The highest bit of each of eight bytes that is neither a lower-case letter nor a dash.
#[inline(always)]
fn others(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    // No sum of two bytes below 0x80 reaches the next one.
    let low = word & !HIGH;
    let from = |least: u8| low + ONES * u64::from(0x80 - least);
    let letters = from(b'a') & !from(b'z' + 1);
    let dashes = !((low ^ (ONES * u64::from(b'-'))) + ONES * 0x7F);
    !((letters | dashes) & !word) & HIGH
}
