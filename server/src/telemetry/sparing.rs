//! Lines of the log that callers can bring about at will, or crates of others do: few of each kind are written, and how many were
//! not. Otherwise whoever floods a server floods its log as well, and hides what else stands there. Metrics count all.
//!
//! # Invariants
//!
//! - The first line of a kind is always written, and the first after a second without one. A kind is a place in the code, and
//!   the status that the line names: refusals hide no failures.
//! - Lines below information are all written: they are asked for, and stand for single requests.
//! - What the server says by itself is not counted: each line of that is written.
//! - Memory is bounded by the places in the code and the statuses that there are.

use super::{REFUSALS, WARNINGS, request};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// In which so many lines of a kind are written.
const SPAN: Duration = Duration::from_secs(1);

/// Warnings of a kind.
const WARNS: u32 = 1;

/// Errors of a kind: callers are told to look for them in the log.
const ERRORS: u32 = 10;

/// Refusals of one status.
const REFUSED: u32 = 10;

/// What the compiler warns of: a policy may have several mistakes.
const MISTAKES: u32 = 20;

/// Other information: a change is work, and few make as many.
const INFORMATION: u32 = 100;

/// What was written of each kind.
#[derive(Debug, Default)]
pub(super) struct Sparing(Mutex<HashMap<(Identifier, u64), Said>>);

#[derive(Debug)]
struct Said {
    /// When the first of these lines was written.
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Sparing {
    /// Whether to write an event, and how many of its kind were left out since the last that was written.
    pub(super) fn admits(&self, event: &Event<'_>) -> Option<u64> {
        let meta = event.metadata();
        // The library and the program.
        let own = meta.target().starts_with("policy");
        let most = match (*meta.level(), meta.target()) {
            (Level::ERROR, _) => ERRORS,
            (Level::WARN, WARNINGS) => MISTAKES,
            (Level::WARN, _) => WARNS,
            (Level::INFO, REFUSALS) => REFUSED,
            (Level::INFO, _) if own => INFORMATION,
            _ => return Some(0),
        };
        if own && !request::is_of_callers() {
            return Some(0);
        }
        let mut status = Status(0);
        event.record(&mut status);
        self.counted((meta.callsite(), status.0), most, Instant::now())
    }

    fn counted(&self, kind: (Identifier, u64), most: u32, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = kinds.entry(kind).or_insert(Said {
            since: now,
            lines: 0,
            left_out: 0,
        });
        if now.saturating_duration_since(said.since) >= SPAN {
            (said.since, said.lines) = (now, 0);
        }
        if said.lines >= most {
            said.left_out += 1;
            return None;
        }
        said.lines += 1;
        Some(std::mem::take(&mut said.left_out))
    }
}

/// Reads the status that an event names.
struct Status(u64);

impl Visit for Status {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.0 = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
