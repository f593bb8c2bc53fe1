//! One decision on its way: as the hot path hands it over, as it is stored, and as a line of JSON.
//!
//! [`Preparer`] stands between queue and sinks: it masks and seals, so that no sink ever sees more than may be kept.
//!
//! # Invariants
//!
//! - Where contexts are to be masked or sealed and cannot be, the decision is written without its context.
//! - Every decision gets an id of the server's own, by which the store tells decisions apart: callers choose request ids, and
//!   one that is used twice, or a million times, neither hides a decision nor moves its time.
//! - A line is one JSON object and holds no line break.

mod binary;
mod ids;
mod text;

use super::mask::{self, Masked, Masker, push_string};
use crate::decisions::config::Kept;
use crate::storage::model::DecisionRecord;
use crate::telemetry::metrics::Withheld;
use crate::telemetry::request::of_callers;
use bytes::Bytes;
use ids::Ids;
use serde::de::IgnoredAny;
use std::fmt;
use std::sync::Arc;
use text::{push_hex, push_milliseconds, push_number, push_time};

pub use binary::{BinaryError, push_binary, read_binary};

/// What sealed contexts begin with.
pub const SEALED: &str = "enc:v1:";

/// Longest request id and namespace that an index of the store holds, in bytes.
const LONGEST_KEY: usize = 512;

/// Bytes of a line without its context, usually.
const LINE: usize = 512;

/// Seals a text: plaintext and associated data to what is stored, or why it cannot be. What is stored begins with [`SEALED`].
pub type Seal = Arc<dyn Fn(&str, &str) -> Result<String, String> + Send + Sync>;

/// A decision that was made and is read when it is written, on a thread that has time for it.
pub trait Unread: Send + Sync {
    /// What was decided; its `context`, `seq` and `id` are not looked at.
    fn read(&self) -> DecisionRecord;

    /// The same, in the memory of a record that is not needed any more; its `context` stays.
    fn read_into(&self, record: &mut DecisionRecord) {
        let context = record.context.take();
        *record = DecisionRecord {
            context,
            ..self.read()
        };
    }

    /// Bytes that it takes while it waits.
    fn bytes(&self) -> usize;

    /// Whether it has a reason, which may quote the context.
    fn has_reason(&self) -> bool;
}

impl Unread for DecisionRecord {
    fn read(&self) -> DecisionRecord {
        self.clone()
    }

    fn bytes(&self) -> usize {
        self.reason.as_ref().map_or(0, String::len)
    }

    fn has_reason(&self) -> bool {
        self.reason.is_some()
    }
}

/// A decision to be written.
pub struct Entry {
    /// The decision.
    pub record: Box<dyn Unread>,
    /// The context exactly as it came: JSON.
    pub context: Option<Bytes>,
    /// Whose part of the queue it takes: [`Identity::fingerprint`](crate::identity::Identity::fingerprint) of who asked.
    pub owner: [u8; 32],
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the context nor a reason that quotes it.
        f.debug_struct("Entry")
            .field("bytes", &self.context.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// What a sealed context is bound to: opened beside another decision, it does not open.
#[must_use]
pub fn associated_data(record: &DecisionRecord) -> String {
    let bound = format!("decision:{}:{}", record.request_id, record.at_ms);
    let id = record.id();
    if id.is_of_time() {
        // Sealed by a version that had no ids.
        return bound;
    }
    format!("{bound}:{id}")
}

/// Makes what may be kept of decisions.
pub struct Preparer {
    kept: Kept,
    masker: Masker,
    seal: Option<Seal>,
    ids: Ids,
}

/// What became of the context of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextFate {
    /// It is as it should be.
    Done,
    /// It was left out.
    Withheld(Withheld),
}

impl Preparer {
    /// Keeps this of contexts: without what is at `masks` where they are masked, and sealed where there is a seal.
    #[must_use]
    pub fn new(kept: Kept, masks: &[String], seal: Option<Seal>) -> Self {
        Self {
            kept,
            masker: Masker::new(masks),
            seal,
            ids: Ids::default(),
        }
    }

    /// The record to store, and whether its context is in it as it should be.
    pub fn prepare(&mut self, entry: &Entry) -> (DecisionRecord, ContextFate) {
        let mut record = DecisionRecord::default();
        let outcome = self.prepare_into(entry, &mut record);
        (record, outcome)
    }

    /// As [`Preparer::prepare`], in the memory of a record that is not needed any more: for who keeps no records and writes
    /// each where it goes.
    pub fn prepare_into(&mut self, entry: &Entry, record: &mut DecisionRecord) -> ContextFate {
        bare(entry, &mut self.ids, record);
        let memory = record.context.take().unwrap_or_default();
        let context = entry.context.as_deref();
        let (kept, outcome) = match self.kept {
            Kept::Full => match context.map(mask::compact).transpose() {
                Ok(context) => (context, ContextFate::Done),
                Err(error) => withheld(record, &error),
            },
            Kept::Masked | Kept::None => match context
                .map(|text| self.masker.mask_into(text, memory))
                .transpose()
            {
                Ok(masked) => {
                    self.mask_reason(record, masked.as_ref());
                    let kept = masked.filter(|_| self.kept == Kept::Masked);
                    (kept.map(|masked| masked.json), ContextFate::Done)
                }
                Err(error) => {
                    self.mask_reason(record, None);
                    match self.kept {
                        // Nothing was to be kept, so nothing is missing.
                        Kept::None => (None, ContextFate::Done),
                        Kept::Masked | Kept::Full => withheld(record, &error),
                    }
                }
            },
        };
        let (Some(text), Some(seal)) = (&kept, &self.seal) else {
            record.context = kept;
            return outcome;
        };
        match seal(text, &associated_data(record)) {
            Ok(sealed) => {
                record.context = Some(sealed);
                outcome
            }
            Err(error) => {
                of_callers(|| {
                    tracing::error!(request_id = record.request_id, %error, "a context could not be encrypted and is left out");
                });
                ContextFate::Withheld(Withheld::Seal)
            }
        }
    }

    fn mask_reason(&mut self, record: &mut DecisionRecord, masked: Option<&Masked<'_>>) {
        if let Some(reason) = &mut record.reason
            && let Some(shown) = self.masker.changed_reason(reason, masked)
        {
            *reason = shown;
        }
    }
}

fn withheld(record: &DecisionRecord, error: &mask::MaskError) -> (Option<String>, ContextFate) {
    of_callers(|| {
        tracing::warn!(request_id = record.request_id, %error, "a context could not be masked and is left out");
    });
    (None, ContextFate::Withheld(Withheld::Mask))
}

/// The record, in texts that every database takes; its context is not touched.
fn bare(entry: &Entry, ids: &mut Ids, record: &mut DecisionRecord) {
    entry.record.read_into(record);
    record.seq = 0;
    record.id = Some(ids.next());
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
}

/// The record with nothing that came from the context: what is written where preparing it broke.
pub(crate) fn stripped(entry: &Entry) -> DecisionRecord {
    let mut record = DecisionRecord::default();
    bare(entry, &mut Ids::default(), &mut record);
    record.reason = None;
    record
}

/// Appends a record as one line of JSON, in the names of `GET /api/v1/decisions`. A context is an object in it; a sealed one is a string.
pub fn push_line(record: &DecisionRecord, out: &mut String) {
    let json = |context: &str| {
        !context.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(context).is_ok()
    };
    push(record, json, out);
}

/// As [`push_line`], for what [`Preparer::prepare`] made: its contexts are JSON in one line, unless they were sealed.
pub fn push_prepared(record: &DecisionRecord, out: &mut String) {
    push(record, |context| !context.starts_with(SEALED), out);
}

fn push(record: &DecisionRecord, is_json: impl Fn(&str) -> bool, out: &mut String) {
    let context = record.context.as_deref();
    out.reserve(context.map_or(0, str::len) + LINE);
    out.push('{');
    out.push_str("\"id\":\"");
    push_hex(record.id().as_bytes(), out);
    out.push_str("\",\"timestamp\":\"");
    push_time(record.at_ms, out);
    out.push('"');
    for (name, text) in [
        (",\"requestId\":", Some(&record.request_id)),
        (",\"namespace\":", Some(&record.namespace)),
        (",\"subject\":", Some(&record.subject)),
        (",\"decision\":", Some(&record.decision)),
        (",\"reason\":", record.reason.as_ref()),
    ] {
        if let Some(text) = text {
            out.push_str(name);
            push_string(text, out);
        }
    }
    for (name, list) in [
        (",\"matchedRules\":[", &record.matched_rules),
        (",\"matchedPolicies\":[", &record.matched_policies),
    ] {
        out.push_str(name);
        for (at, text) in list.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            push_string(text, out);
        }
        out.push(']');
    }
    out.push_str(",\"errors\":");
    push_number(u64::from(record.errors), out);
    out.push_str(",\"revision\":");
    push_string(&record.revision, out);
    // As answers and `GET /api/v1/decisions` say it.
    out.push_str(",\"evaluationTimeMs\":");
    push_milliseconds(record.duration_ns, out);
    out.push_str(if record.cached {
        ",\"cached\":true"
    } else {
        ",\"cached\":false"
    });
    if let Some(context) = context {
        out.push_str(",\"context\":");
        if is_json(context) {
            out.push_str(context);
        } else {
            push_string(context, out);
        }
    }
    out.push_str("}\n");
}

#[cfg(test)]
mod tests;
