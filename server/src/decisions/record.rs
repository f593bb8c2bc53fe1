//! One decision on its way: as the hot path hands it over, as it is stored, and as a line of JSON.
//!
//! [`Preparer`] stands between queue and sinks: it masks and seals, so that no sink ever sees more than may be kept.
//!
//! # Invariants
//!
//! - Where contexts are to be masked or sealed and cannot be, the decision is written without its context.
//! - No two decisions have the same request id and time, by which the store tells decisions apart: callers choose ids, and
//!   one that is used twice must not hide a decision. The later one is put a millisecond later.
//! - A line is one JSON object and holds no line break.

use super::mask::{self, Masked, Masker};
use crate::config::Kept;
use crate::storage::model::DecisionRecord;
use crate::telemetry::metrics::Withheld;
use bytes::Bytes;
use serde::Serialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What sealed contexts begin with.
pub const SEALED: &str = "enc:v1:";

/// Longest request id and namespace that an index of the store holds, in bytes.
const LONGEST_KEY: usize = 512;

/// Seals a text: plaintext and associated data to what is stored, or why it cannot be.
pub type Seal = Arc<dyn Fn(&str, &str) -> Result<String, String> + Send + Sync>;

/// A decision to be written. Cheap to make: the context is shared with the request.
#[derive(Clone)]
pub struct Entry {
    /// The decision; its `context` and `seq` are not looked at.
    pub record: DecisionRecord,
    /// The context exactly as it came: JSON.
    pub context: Option<Bytes>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the context nor a reason that quotes it.
        f.debug_struct("Entry")
            .field("request_id", &self.record.request_id)
            .field("decision", &self.record.decision)
            .finish_non_exhaustive()
    }
}

/// What a sealed context is bound to: opened beside another decision, it does not open.
#[must_use]
pub fn associated_data(record: &DecisionRecord) -> String {
    format!("decision:{}:{}", record.request_id, record.at_ms)
}

/// Makes what may be kept of decisions.
pub(crate) struct Preparer {
    kept: Kept,
    masker: Masker,
    seal: Option<Seal>,
    /// Last time of each request id, in this batch and in the one before.
    times: [HashMap<String, i64>; 2],
}

/// What became of the context of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is as it should be.
    Done,
    /// It was left out.
    Withheld(Withheld),
}

impl Preparer {
    pub(crate) fn new(kept: Kept, masks: &[String], seal: Option<Seal>) -> Self {
        Self {
            kept,
            masker: Masker::new(masks),
            seal,
            times: [HashMap::new(), HashMap::new()],
        }
    }

    /// Another batch begins.
    pub(crate) fn next_batch(&mut self) {
        self.times.swap(0, 1);
        let [current, _] = &mut self.times;
        current.clear();
    }

    /// Moves the time of a record behind that of the last one of its request.
    fn tell_apart(&mut self, record: &mut DecisionRecord) {
        let [current, before] = &mut self.times;
        let last = current
            .get(&record.request_id)
            .or_else(|| before.get(&record.request_id));
        if let Some(last) = last {
            record.at_ms = record.at_ms.max(last.saturating_add(1));
        }
        current.insert(record.request_id.clone(), record.at_ms);
    }

    /// The record to store.
    pub(crate) fn prepare(&mut self, entry: &Entry) -> (DecisionRecord, Outcome) {
        let mut record = bare(entry);
        self.tell_apart(&mut record);
        let context = entry.context.as_deref();
        let (kept, outcome) = match self.kept {
            Kept::Full => match context.map(mask::compact).transpose() {
                Ok(context) => (context, Outcome::Done),
                Err(error) => withheld(&record, &error),
            },
            Kept::Masked | Kept::None => match context.map(|text| self.masker.mask(text)).transpose() {
                Ok(masked) => {
                    self.mask_reason(&mut record, masked.as_ref());
                    let kept = masked.filter(|_| self.kept == Kept::Masked);
                    (kept.map(|masked| masked.json), Outcome::Done)
                }
                Err(error) => {
                    self.mask_reason(&mut record, None);
                    match self.kept {
                        // Nothing was to be kept, so nothing is missing.
                        Kept::None => (None, Outcome::Done),
                        Kept::Masked | Kept::Full => withheld(&record, &error),
                    }
                }
            },
        };
        let (Some(text), Some(seal)) = (&kept, &self.seal) else {
            record.context = kept;
            return (record, outcome);
        };
        match seal(text, &associated_data(&record)) {
            Ok(sealed) => {
                record.context = Some(sealed);
                (record, outcome)
            }
            Err(error) => {
                tracing::error!(request_id = record.request_id, %error, "a context could not be encrypted and is left out");
                (record, Outcome::Withheld(Withheld::Seal))
            }
        }
    }

    fn mask_reason(&mut self, record: &mut DecisionRecord, masked: Option<&Masked<'_>>) {
        if let Some(reason) = &mut record.reason {
            *reason = self.masker.reason(reason, masked);
        }
    }
}

fn withheld(record: &DecisionRecord, error: &mask::MaskError) -> (Option<String>, Outcome) {
    tracing::warn!(request_id = record.request_id, %error, "a context could not be masked and is left out");
    (None, Outcome::Withheld(Withheld::Mask))
}

/// The record without its context, in texts that every database takes.
fn bare(entry: &Entry) -> DecisionRecord {
    let mut record = entry.record.clone();
    record.seq = 0;
    record.context = None;
    let texts = [
        &mut record.request_id,
        &mut record.namespace,
        &mut record.subject,
        &mut record.decision,
        &mut record.revision,
    ];
    let lists = record
        .matched_rules
        .iter_mut()
        .chain(&mut record.matched_policies);
    for text in texts.into_iter().chain(record.reason.as_mut()).chain(lists) {
        // PostgreSQL has no NUL in texts, and one bad record must not hold up all others.
        if text.contains('\0') {
            *text = text.replace('\0', "\u{fffd}");
        }
    }
    // The store would cut them as well, but then a sealed context would be bound to what is not stored.
    for key in [
        &mut record.request_id,
        &mut record.namespace,
        &mut record.decision,
    ] {
        key.truncate(key.floor_char_boundary(LONGEST_KEY));
    }
    record
}

/// The record with nothing that came from the context: what is written where preparing it broke.
pub(crate) fn stripped(entry: &Entry) -> DecisionRecord {
    let mut record = bare(entry);
    record.reason = None;
    record
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'r> {
    #[serde(skip_serializing_if = "is_zero")]
    seq: u64,
    timestamp: String,
    request_id: &'r str,
    namespace: &'r str,
    subject: &'r str,
    decision: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'r str>,
    matched_rules: &'r [String],
    matched_policies: &'r [String],
    errors: u32,
    revision: &'r str,
    duration_ns: u64,
    cached: bool,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Appends a record as one line of JSON. A context is an object in it; a sealed one is a string.
pub fn push_line(record: &DecisionRecord, out: &mut String) {
    let timestamp = jiff::Timestamp::from_millisecond(record.at_ms)
        .map_or_else(|_| record.at_ms.to_string(), |at| format!("{at:.3}"));
    let line = Line {
        seq: record.seq,
        timestamp,
        request_id: &record.request_id,
        namespace: &record.namespace,
        subject: &record.subject,
        decision: &record.decision,
        reason: record.reason.as_deref(),
        matched_rules: &record.matched_rules,
        matched_policies: &record.matched_policies,
        errors: record.errors,
        revision: &record.revision,
        duration_ns: record.duration_ns,
        cached: record.cached,
    };
    match serde_json::to_string(&line) {
        // Open again, for the context.
        Ok(text) => out.push_str(text.strip_suffix('}').unwrap_or(&text)),
        // Strings and numbers always serialise.
        Err(error) => {
            tracing::error!(request_id = record.request_id, %error, "a decision could not be written as JSON");
            return;
        }
    }
    if let Some(context) = &record.context {
        out.push_str(",\"context\":");
        let json = !context.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(context).is_ok();
        if json {
            out.push_str(context);
        } else {
            out.push_str(&serde_json::Value::from(context.as_str()).to_string());
        }
    }
    out.push_str("}\n");
}

#[cfg(test)]
mod tests;
