//! A kept decision: the text of a response without what differs from request to request.
//!
//! ```text
//! ,"decision":{…,"evaluationTimeMs": ‖ …},"timestamp": ‖ ,"cached":true,"bundle":{"revision":…}}
//! ```
//!
//! An answer from it is a request id, these three pieces, and two numbers between them. [`KeptDecision::encode`] writes it
//! together with its key for a cache outside of the process; [`KeptDecision::decode`] gives back only what was written,
//! unharmed and for the same key.

use super::key::FORMAT;
use crate::options::EvaluateOptions;
use crate::response::{Part, Parts, push_digits, push_milliseconds, push_request_id};
use crate::worker::{Answer, Now, Origin, Worker};
use policy_bytecode::module::Decision as Verb;
use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CHECKSUM: usize = 32;

/// A decision that can answer every request of its key. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDecision {
    verb: Verb,
    /// The three pieces.
    text: Box<str>,
    /// Where the second piece begins.
    time: usize,
    /// Where the third piece begins.
    timestamp: usize,
    reason: Part,
    policies: Part,
    rules: Part,
    matched: Part,
    revision: Part,
    /// What it took to decide, in nanoseconds.
    pub(super) cost_ns: u64,
    /// When it was decided, in milliseconds since the epoch.
    created_ms: u64,
}

impl KeptDecision {
    /// Keeps an answer that was decided just now. `None` where its text is not laid out as the answer says.
    pub(super) fn of(answer: &Answer<'_>) -> Option<Self> {
        let Answer { json, parts, .. } = answer;
        let start = parts.decision;
        let first = json.get(start..parts.time.start)?;
        let second = json.get(parts.time.end..parts.timestamp.start)?;
        let third = json.get(parts.timestamp.end..parts.cached.start)?;
        let fourth = json.get(parts.cached.end..)?;
        let text = [first, second, third, "true", fourth].concat();
        let timestamp = first.len() + second.len();
        let back = |part: Part, by: usize| {
            Some(Part {
                start: part.start.checked_sub(by)?,
                end: part.end.checked_sub(by)?,
            })
        };
        let behind = json.len().checked_sub(parts.revision.end)?;
        let end = text.len().checked_sub(behind)?;
        let revision = Part {
            start: end.checked_sub(parts.revision.end - parts.revision.start)?,
            end,
        };
        let reason = match parts.reason.start {
            0 => Part::default(),
            _there => back(parts.reason, start)?,
        };
        Some(Self {
            verb: answer.decision,
            time: first.len(),
            timestamp,
            reason,
            policies: back(parts.policies, start)?,
            rules: back(parts.rules, start)?,
            matched: back(parts.matched, start)?,
            revision,
            text: text.into_boxed_str(),
            cost_ns: answer.evaluation_time_ns,
            created_ms: answer.timestamp_ms,
        })
    }

    /// The answer to a request that began at `start`, in the worker's buffer.
    pub fn answer<'w>(
        &self,
        worker: &'w mut Worker,
        options: &EvaluateOptions<'_>,
        start: Instant,
    ) -> Answer<'w> {
        self.write(options.request_id, start, &mut worker.out)
    }

    /// Allocates only where `out` has to grow.
    pub(super) fn write<'o>(&self, id: Option<&str>, start: Instant, out: &'o mut String) -> Answer<'o> {
        let now = Now::since(start);
        let mut buffer = uuid::Uuid::encode_buffer();
        let piece = |from: usize, to: usize| self.text.get(from..to).unwrap_or("");
        out.clear();
        push_request_id(now.request_id(id, &mut buffer), out);
        let decision = out.len();
        out.push_str(piece(0, self.time));
        let time = out.len();
        push_milliseconds(now.evaluation_time_ns, out);
        let time = Part {
            start: time,
            end: out.len(),
        };
        out.push_str(piece(self.time, self.timestamp));
        let timestamp = out.len();
        push_digits(now.timestamp_ms(), 1, out);
        let timestamp = Part {
            start: timestamp,
            end: out.len(),
        };
        out.push_str(piece(self.timestamp, self.text.len()));
        let reason = match self.reason.end {
            0 => Part::default(),
            _there => self.reason.moved(decision),
        };
        let cached = timestamp.end + ",\"cached\":".len();
        let parts = Parts {
            decision,
            reason,
            policies: self.policies.moved(decision),
            rules: self.rules.moved(decision),
            matched: self.matched.moved(decision),
            time,
            timestamp,
            cached: Part {
                start: cached,
                end: cached + "true".len(),
            },
            revision: self.revision.moved(timestamp.end.saturating_sub(self.timestamp)),
        };
        Answer {
            decision: self.verb,
            json: out,
            parts,
            origin: Origin::Cached,
            errors: 0,
            reusable: true,
            timestamp_ms: now.timestamp_ms(),
            evaluation_time_ns: now.evaluation_time_ns,
        }
    }

    /// What it took to decide, in nanoseconds.
    #[must_use]
    pub fn cost_ns(&self) -> u64 {
        self.cost_ns
    }

    /// Time since it was decided, by the clocks of the machines that are involved; zero for a time to come.
    #[must_use]
    pub fn age(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(Duration::from_millis(self.created_ms))
    }

    /// Bytes of memory that it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }

    /// The wire form, with the key that it answers. Holds what the key and the response hold, prompts among it.
    #[must_use]
    pub fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(CHECKSUM + 128 + key.len() + self.text.len());
        out.extend_from_slice(&[0; CHECKSUM]);
        out.push(FORMAT);
        out.push(match self.verb {
            Verb::Allow => 0,
            Verb::Warn => 1,
            Verb::Modify => 2,
            Verb::Deny => 3,
        });
        let places = [self.time, self.timestamp].into_iter();
        let parts = [
            self.reason,
            self.policies,
            self.rules,
            self.matched,
            self.revision,
        ];
        let places = places.chain(parts.into_iter().flat_map(|part| [part.start, part.end]));
        let places = places.chain([key.len(), self.text.len()]);
        let numbers = [self.cost_ns, self.created_ms].into_iter();
        for number in numbers.chain(places.map(|place| place as u64)) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(key);
        out.extend_from_slice(self.text.as_bytes());
        let checksum = Sha256::digest(out.get(CHECKSUM..).unwrap_or(&[]));
        if let Some(place) = out.get_mut(..CHECKSUM) {
            place.copy_from_slice(&checksum);
        }
        out
    }

    /// Reads the wire form. `None` for bytes of another format, for damaged ones, and for a decision of another key.
    #[must_use]
    pub fn decode(bytes: &[u8], key: &[u8]) -> Option<Self> {
        let (checksum, rest) = bytes.split_at_checked(CHECKSUM)?;
        if Sha256::digest(rest).as_slice() != checksum {
            return None;
        }
        let (head, rest) = rest.split_at_checked(2)?;
        let verb = match head {
            [FORMAT, 0] => Verb::Allow,
            [FORMAT, 1] => Verb::Warn,
            [FORMAT, 2] => Verb::Modify,
            [FORMAT, 3] => Verb::Deny,
            _other_format => return None,
        };
        let mut rest = rest;
        let mut number = || {
            let (first, behind) = rest.split_first_chunk::<8>()?;
            rest = behind;
            Some(u64::from_le_bytes(*first))
        };
        let (cost_ns, created_ms) = (number()?, number()?);
        let mut place = || usize::try_from(number()?).ok();
        let (time, timestamp) = (place()?, place()?);
        let mut part = || {
            Some(Part {
                start: place()?,
                end: place()?,
            })
        };
        let (reason, policies, rules, matched, revision) = (part()?, part()?, part()?, part()?, part()?);
        let (key_length, text_length) = (place()?, place()?);
        let (own_key, text) = rest.split_at_checked(key_length)?;
        if own_key != key || text.len() != text_length {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let pieces = [
            text.get(..time),
            text.get(time..timestamp),
            text.get(timestamp..),
            reason.of(text),
            policies.of(text),
            rules.of(text),
            matched.of(text),
            revision.of(text),
        ];
        pieces.iter().all(Option::is_some).then(|| Self {
            verb,
            text: text.into(),
            time,
            timestamp,
            reason,
            policies,
            rules,
            matched,
            revision,
            cost_ns,
            created_ms,
        })
    }
}
