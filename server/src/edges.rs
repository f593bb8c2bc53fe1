//! What edge servers say that they run. Kept in memory, by the id that each gives itself.
//!
//! # Invariants
//!
//! - No more than [`MOST`] edges, and of each no more than its last report, whose texts are bounded: whoever may report fills no
//!   memory. A new edge takes the place of one that was not heard of for [`FORGET`], and no other's.
//! - A report replaces the one before it as a whole.
//!
//! # Not done here
//!
//! Keeping reports beyond the process, and sharing them among servers: edges report again soon.

use crate::error::{Code, Result, ServiceError};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Edges that are known at once.
pub const MOST: usize = 10_000;

/// After this time without a report an edge may be forgotten for another.
pub const FORGET: Duration = Duration::from_secs(24 * 3600);

/// Longest id of an edge, in bytes.
pub const LONGEST_ID: usize = 128;

/// Longest of the other texts, in bytes.
pub const LONGEST_TEXT: usize = 512;

/// Errors of a report.
pub const MOST_ERRORS: usize = 16;

/// What an edge says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The revision that decides there; `None` where none does.
    pub revision: Option<String>,
    /// The digest of the bundle that decides there; `None` where none does.
    pub digest: Option<String>,
    /// Since when, as RFC 3339 writes it.
    pub since: Option<String>,
    /// What goes wrong there.
    pub errors: Vec<String>,
    /// The version of its program.
    pub version: Option<String>,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// What it calls itself.
    pub id: String,
    /// Its last report.
    pub report: Report,
    /// Who sent that.
    pub reporter: String,
    /// When the first report came, as far as this server knows.
    pub first_ms: i64,
    /// When the last one came.
    pub last_ms: i64,
}

/// All edges.
#[derive(Debug, Default)]
pub struct Edges(Mutex<BTreeMap<String, Edge>>);

/// Whether an edge may call itself this: letters, digits, `.`, `_` and `-`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(plain)
}

/// What an id may be, for people.
pub const ID: &str = "an id of an edge is 1 to 128 letters, digits, `.`, `_` and `-`";

impl Report {
    /// # Errors
    ///
    /// [`Code::MalformedRequest`] for texts that are too long, too many errors, and a time that is none.
    pub fn check(&self) -> Result<()> {
        let malformed = |detail: String| Err(ServiceError::new(Code::MalformedRequest, detail));
        let texts = [&self.revision, &self.digest, &self.since, &self.version];
        let mut texts = texts.into_iter().flatten().chain(&self.errors);
        if texts.any(|text| text.len() > LONGEST_TEXT) {
            return malformed(format!("a text of a report has at most {LONGEST_TEXT} bytes"));
        }
        if self.errors.len() > MOST_ERRORS {
            return malformed(format!("a report has at most {MOST_ERRORS} errors"));
        }
        if let Some(since) = &self.since
            && since.parse::<jiff::Timestamp>().is_err()
        {
            return malformed("`since` is a time as RFC 3339 writes it".to_owned());
        }
        Ok(())
    }
}

impl Edges {
    /// Takes a report that was checked.
    ///
    /// # Errors
    ///
    /// [`Code::QuotaExceeded`] where there is no place for another edge.
    pub fn take(&self, id: &str, reporter: &str, report: Report, now_ms: i64) -> Result<()> {
        let mut edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first_ms = edges.get(id).map(|edge| edge.first_ms);
        if first_ms.is_none() && edges.len() >= MOST {
            let oldest = edges.values().min_by_key(|edge| edge.last_ms);
            let forget = i64::try_from(FORGET.as_millis()).unwrap_or(i64::MAX);
            match oldest.filter(|edge| now_ms.saturating_sub(edge.last_ms) > forget) {
                Some(oldest) => {
                    let oldest = oldest.id.clone();
                    edges.remove(&oldest);
                }
                None => {
                    let detail = format!("{MOST} edges are known, and all of them reported lately");
                    return Err(ServiceError::new(Code::QuotaExceeded, detail));
                }
            }
        }
        let edge = Edge {
            id: id.to_owned(),
            report,
            reporter: reporter.to_owned(),
            first_ms: first_ms.unwrap_or(now_ms),
            last_ms: now_ms,
        };
        edges.insert(id.to_owned(), edge);
        Ok(())
    }

    /// Edges by their ids, from the one behind `after` on, and whether there are more.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize) -> (Vec<Edge>, bool) {
        let edges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = edges
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(_, edge)| edge);
        let some = rest.by_ref().take(limit).cloned().collect();
        (some, rest.next().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::{Edges, FORGET, LONGEST_TEXT, MOST, MOST_ERRORS, Report, is_id};
    use crate::error::Code;

    fn report(revision: &str) -> Report {
        Report {
            revision: Some(revision.to_owned()),
            digest: None,
            since: Some("2025-11-30T12:00:00Z".to_owned()),
            errors: Vec::new(),
            version: None,
        }
    }

    #[test]
    fn the_last_report_counts_and_lists_have_pages() {
        let edges = Edges::default();
        for (id, revision, at) in [("b", "1", 10), ("a", "1", 11), ("b", "2", 12), ("c", "1", 13)] {
            edges.take(id, "ann", report(revision), at).unwrap();
        }
        let (first, more) = edges.list(None, 2);
        assert!(more);
        let seen: Vec<_> = first
            .iter()
            .map(|edge| {
                (
                    &*edge.id,
                    edge.report.revision.as_deref(),
                    edge.first_ms,
                    edge.last_ms,
                )
            })
            .collect();
        assert_eq!(seen, [("a", Some("1"), 11, 11), ("b", Some("2"), 10, 12)]);
        let (rest, more) = edges.list(Some("b"), 2);
        assert_eq!((rest.len(), &*rest[0].id, more), (1, "c", false));
    }

    #[test]
    fn a_new_edge_takes_only_the_place_of_one_that_is_gone() {
        let edges = Edges::default();
        for n in 0..MOST {
            edges
                .take(&format!("e{n}"), "ann", report("1"), n as i64)
                .unwrap();
        }
        let forget = FORGET.as_millis() as i64;
        let error = edges.take("new", "ann", report("1"), forget).unwrap_err();
        assert_eq!(error.code, Code::QuotaExceeded);
        edges.take("e0", "ann", report("2"), forget).unwrap();
        edges.take("new", "ann", report("1"), forget + 2).unwrap();
        let (all, _) = edges.list(None, MOST + 1);
        assert_eq!(all.len(), MOST);
        assert!(all.iter().any(|edge| edge.id == "e0") && !all.iter().any(|edge| edge.id == "e1"));
    }

    #[test]
    fn reports_and_ids_are_bounded() {
        assert!(report("1").check().is_ok());
        let long = "x".repeat(LONGEST_TEXT + 1);
        assert!(report(&long).check().is_err());
        let times = ["", "today", "2025-11-30"];
        for since in times {
            let since = Some(since.to_owned());
            assert!(Report { since, ..report("1") }.check().is_err());
        }
        let errors = vec!["x".to_owned(); MOST_ERRORS + 1];
        assert!(
            Report {
                errors,
                ..report("1")
            }
            .check()
            .is_err()
        );
        assert!(is_id("edge-1.eu_2") && is_id(&"x".repeat(128)));
        for id in ["", "a b", "a/b", "ä", &"x".repeat(129)] {
            assert!(!is_id(id), "{id}");
        }
    }
}
