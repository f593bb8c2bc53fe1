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
    pub(super) fn redact(&mut self, text: &str, label: &Label) -> Option<String> {
        // Most texts hold nothing, and looking does not copy.
        let any = |text: &str, min| pii::contains_any(text, PiiTypeSet::ALL, min);
        let alone = any(text, Confidence::Low);
        if !alone && label.silent || is_short_word(text) {
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

/// Names of models, teams and the like: nothing personal and no secret is that short and has no digit.
fn is_short_word(text: &str) -> bool {
    text.len() <= SHORT_WORD && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}
