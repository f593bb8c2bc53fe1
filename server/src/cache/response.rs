//! An answer of the engine or of a cache, and its parts, each read when it is asked for.

use bytes::Bytes;
use policy_runtime::{Answer, Parts, Verb};

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// It was decided, and no cache was asked.
    Decided,
    /// It was decided, because no cache had it.
    Missed,
    /// The cache in process had it.
    Local,
    /// Redis had it.
    Shared,
}

impl Layer {
    /// For logs and traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "not asked",
            Self::Missed => "miss",
            Self::Local => "hit",
            Self::Shared => "hit in Redis",
        }
    }
}

/// An answer, and what the decision log wants to know about it.
#[derive(Debug, Clone)]
pub struct Response {
    /// The response as JSON.
    pub json: Bytes,
    /// `allow`, `deny`, `warn` or `modify`.
    pub verb: Verb,
    /// Where it comes from.
    pub layer: Layer,
    /// Entries of the decision's `errors`.
    pub errors: u32,
    /// When it was decided, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    pub(super) parts: Parts,
}

impl Response {
    pub(super) fn of(answer: &Answer<'_>, layer: Layer) -> Self {
        Self {
            json: Bytes::copy_from_slice(answer.json.as_bytes()),
            verb: answer.decision,
            layer,
            errors: u32::try_from(answer.errors).unwrap_or(u32::MAX),
            at_ms: i64::try_from(answer.timestamp_ms).unwrap_or(i64::MAX),
            duration_ns: answer.evaluation_time_ns,
            parts: answer.parts,
        }
    }

    /// Whether a cache had it.
    #[must_use]
    pub fn cached(&self) -> bool {
        match self.layer {
            Layer::Local | Layer::Shared => true,
            Layer::Decided | Layer::Missed => false,
        }
    }

    /// Whether it has a reason.
    #[must_use]
    pub fn has_reason(&self) -> bool {
        self.parts.has_reason()
    }

    /// What it says.
    #[must_use]
    pub fn told(&self) -> ResponseParts<'_> {
        ResponseParts {
            // Copied from a text.
            text: std::str::from_utf8(&self.json).unwrap_or_default(),
            parts: &self.parts,
        }
    }
}

/// The parts of an answer, each read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ResponseParts<'a> {
    text: &'a str,
    parts: &'a Parts,
}

impl<'a> ResponseParts<'a> {
    /// Why it was decided so.
    #[must_use]
    pub fn reason(self) -> Option<String> {
        self.parts.reason(self.text).map(string)
    }

    /// The request id, the reason, rules and policies that fired, and the revision, in the memory of others.
    pub fn read_into(
        self,
        (request_id, reason, revision): (&mut String, &mut Option<String>, &mut String),
        (rules, policies): (&mut Vec<String>, &mut Vec<String>),
    ) {
        string_into(self.parts.request_id(self.text), request_id);
        string_into(self.parts.revision(self.text), revision);
        match self.parts.reason(self.text) {
            Some(part) => string_into(part, reason.get_or_insert_default()),
            None => *reason = None,
        }
        strings_into(self.parts.matched_rules(self.text), rules);
        strings_into(self.parts.matched_policies(self.text), policies);
    }

    /// Rules that fired, in order.
    #[must_use]
    pub fn matched_rules(self) -> Vec<String> {
        strings(self.parts.matched_rules(self.text))
    }

    /// Policies with fired rules, in order.
    #[must_use]
    pub fn matched_policies(self) -> Vec<String> {
        strings(self.parts.matched_policies(self.text))
    }

    /// The fired rules, each with its policy, what it decides and why: a list in JSON.
    #[must_use]
    pub fn matched(self) -> &'a str {
        self.parts.matched(self.text)
    }

    /// As given, or generated.
    #[must_use]
    pub fn request_id(self) -> String {
        string(self.parts.request_id(self.text))
    }

    /// Modifications, metadata, errors and trace as members behind commas; empty for most.
    #[must_use]
    pub fn more(self) -> &'a str {
        self.parts.more(self.text)
    }

    /// Revision of the policies that decided.
    #[must_use]
    pub fn revision(self) -> String {
        string(self.parts.revision(self.text))
    }
}

/// A part of a response that is a text.
pub(super) fn string(part: &str) -> String {
    let mut text = String::new();
    string_into(part, &mut text);
    text
}

fn string_into(part: &str, text: &mut String) {
    let between = part.strip_prefix('"').and_then(|part| part.strip_suffix('"'));
    match between {
        Some(plain) if !plain.contains('\\') => {
            text.clear();
            text.push_str(plain);
        }
        _ => *text = read(part),
    }
}

/// A part of a response that is a list of texts.
pub(super) fn strings(part: &str) -> Vec<String> {
    let mut list = Vec::new();
    strings_into(part, &mut list);
    list
}

fn strings_into(part: &str, list: &mut Vec<String>) {
    if plain_strings(part, list).is_none() {
        *list = read(part);
    }
}

/// Reads a list that has no escapes and no blanks between its texts; `None` where it has, or is none.
fn plain_strings(part: &str, list: &mut Vec<String>) -> Option<()> {
    let inside = part.strip_prefix('[')?.strip_suffix(']')?;
    if inside.is_empty() {
        list.clear();
        return Some(());
    }
    if inside.contains('\\') {
        return None;
    }
    let mut count = 0;
    // Without escapes every quotation mark begins or ends a text.
    for text in inside.strip_prefix('"')?.strip_suffix('"')?.split("\",\"") {
        if text.contains('"') {
            return None;
        }
        match list.get_mut(count) {
            Some(old) => {
                old.clear();
                old.push_str(text);
            }
            None => list.push(text.to_owned()),
        }
        count += 1;
    }
    list.truncate(count);
    Some(())
}

/// A part of a response that the runtime wrote as JSON of this type.
fn read<T: serde::de::DeserializeOwned + Default>(part: &str) -> T {
    let value = serde_json::from_str(part);
    debug_assert!(value.is_ok(), "a part of a response is not what it should be");
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests;
