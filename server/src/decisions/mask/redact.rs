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

/// Whether [`Finder::redact`] finds nothing, told by a short look. `false` is no answer.
#[inline]
pub(super) fn is_harmless(text: &[u8], label: &Label) -> bool {
    is_short_word(text) || label.silent && pii::is_bare(text)
}

/// Names of models, teams and the like: nothing personal and no secret is that short and has no digit.
#[inline]
fn is_short_word(text: &[u8]) -> bool {
    // Two words that meet or overlap hold all bytes.
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return text.len() <= SHORT_WORD
            && are_lower(u64::from_le_bytes(*first))
            && are_lower(u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return are_lower(u64::from(first) << 32 | u64::from(last));
    }
    text.iter().all(|b| b.is_ascii_lowercase() || *b == b'-')
}

/// Whether each of eight bytes is a lower-case letter or a dash.
#[inline]
fn are_lower(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    // No sum of two bytes below 0x80 reaches the next one.
    let low = word & !HIGH;
    let from = |least: u8| low + ONES * u64::from(0x80 - least);
    let letters = from(b'a') & !from(b'z' + 1);
    let dashes = !((low ^ (ONES * u64::from(b'-'))) + ONES * 0x7F);
    (letters | dashes) & !word & HIGH == HIGH
}
