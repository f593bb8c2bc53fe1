//! What is written is read back, whatever it is; a search finds what looking at every decision finds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytes::Bytes;
use policy_segments::{
    Asked, DecisionFilter, DecisionId, DecisionRecord, Error, Found, Key, Place, ReadAt, Result, Segment,
    Source, Tally, fetch, write,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A decision of a small world, in which filters find something.
fn record(number: u64) -> DecisionRecord {
    DecisionRecord {
        seq: 0,
        id: Some(id(number)),
        request_id: format!("request-{}", number % 1000),
        at_ms: 1_700_000_000_000 + i64::try_from(number).unwrap(),
        namespace: format!("team-{}", number % 7),
        subject: format!("user-{}", number % 13),
        decision: ["allow", "deny", "warn", "modify"][usize::try_from(number % 4).unwrap()].to_owned(),
        reason: (number % 4 == 1).then(|| format!("because of {number}")),
        matched_rules: (0..number % 3)
            .map(|at| format!("rule-{}", (number + at) % 11))
            .collect(),
        matched_policies: (0..number % 2)
            .map(|_| format!("policy-{}", number % 5))
            .collect(),
        errors: u32::try_from(number % 2).unwrap(),
        revision: format!("{:x}", number / 100_000),
        duration_ns: 1_000 + number % 50_000,
        cached: number.is_multiple_of(5),
        context: (!number.is_multiple_of(6)).then(|| format!("{{\"llm\":{{\"model\":\"m-{number}\"}}}}")),
    }
}

fn id(number: u64) -> DecisionId {
    let mut bytes = [0x11; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    DecisionId::try_from(bytes.as_slice()).unwrap()
}

fn segment(records: &[DecisionRecord]) -> Segment {
    let bytes = write(records, Vec::new()).unwrap();
    Segment::open(Arc::new(Bytes::from(bytes))).unwrap()
}

fn find(sources: &[Source], asked: &Asked<'_>, most: usize) -> Result<Found> {
    let mut found = Found::new(most);
    for (number, source) in sources.iter().enumerate() {
        found.search(number, source, asked)?;
    }
    Ok(found)
}

/// All decisions that are found, newest first.
fn found(sources: &[Source], asked: &Asked<'_>, most: usize) -> Vec<DecisionRecord> {
    let found = find(sources, asked, most).unwrap();
    let places: Vec<Place> = found.newest().map(|(_, place)| place).collect();
    let records = fetch(sources, &places).unwrap();
    let keys: Vec<Key> = found.newest().map(|(key, _)| key.clone()).collect();
    assert_eq!(records.iter().map(Key::of).collect::<Vec<_>>(), keys);
    records
}

fn expected(all: &[DecisionRecord], asked: &Asked<'_>, most: usize) -> Vec<DecisionRecord> {
    let by_key: BTreeMap<Key, &DecisionRecord> = all.iter().map(|record| (Key::of(record), record)).collect();
    let newest = by_key.into_values().rev();
    newest
        .filter(|record| asked.matches(record))
        .take(most)
        .cloned()
        .collect()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,8}", any::<String>()]
}

fn records() -> impl Strategy<Value = Vec<DecisionRecord>> {
    let one = (
        (any::<[u8; 2]>(), texts(), any::<i64>(), texts(), texts()),
        (
            texts(),
            prop::option::of(texts()),
            prop::collection::vec(texts(), 0..4),
        ),
        (prop::collection::vec(texts(), 0..3), any::<u32>(), texts()),
        (0..1_u64 << 49, any::<bool>(), prop::option::of(texts())),
    );
    let one = one.prop_map(|((id, request_id, at_ms, namespace, subject), b, c, d)| {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&id);
        DecisionRecord {
            seq: 0,
            id: Some(DecisionId::try_from(bytes.as_slice()).unwrap()),
            request_id,
            at_ms,
            namespace,
            subject,
            decision: b.0,
            reason: b.1,
            matched_rules: b.2,
            matched_policies: c.0,
            errors: c.1,
            revision: c.2,
            duration_ns: d.0,
            cached: d.1,
            context: d.2,
        }
    });
    prop::collection::vec(one, 1..40).prop_map(|mut all| {
        all.sort_by_key(Key::of);
        all.dedup_by_key(|record| Key::of(record));
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn everything_comes_back_as_it_was(all in records()) {
        let sources = [Source::File(segment(&all))];
        let filter = DecisionFilter::default();
        let asked = Asked { filter: &filter, request_id: None, below: None };
        prop_assert_eq!(found(&sources, &asked, 1000), expected(&all, &asked, 1000));
    }

    #[test]
    fn a_search_finds_what_looking_at_each_finds(
        all in records(),
        cut in 0..40_usize,
        picked in 0..40_usize,
        on in any::<[bool; 9]>(),
        most in 1..12_usize,
    ) {
        let picked = &all[picked % all.len()];
        let cut = cut % all.len();
        // Every second decision in memory, and the rest in two files.
        let (old, new) = all.split_at(cut);
        let memory: Vec<_> = all.iter().step_by(2).cloned().collect();
        let mut sources = vec![Source::Memory(Arc::new(memory))];
        for part in [new, old] {
            let part: Vec<_> = part.to_vec();
            if !part.is_empty() {
                sources.push(Source::File(segment(&part)));
            }
        }
        let filter = DecisionFilter {
            namespaces: on[0].then(|| vec![picked.namespace.clone(), "nobody's".to_owned()]),
            decision: on[1].then(|| picked.decision.clone()),
            subject: on[2].then(|| picked.subject.clone()),
            rule: picked.matched_rules.last().cloned().filter(|_| on[3]),
            policy: picked.matched_policies.first().cloned().filter(|_| on[4]),
            from_ms: on[5].then_some(picked.at_ms),
            to_ms: on[6].then(|| picked.at_ms.saturating_add(1)),
            until: None,
        };
        let below = Key::of(&all[all.len() / 2]);
        let asked = Asked {
            filter: &filter,
            request_id: on[7].then_some(picked.request_id.as_str()),
            below: on[8].then_some(&below),
        };
        prop_assert_eq!(found(&sources, &asked, most), expected(&all, &asked, most));

        let mut tally = Tally::default();
        for source in &sources[1..] {
            tally.count(source, &asked).unwrap();
        }
        let mut one_by_one = Tally::default();
        one_by_one.count(&Source::Memory(Arc::new(all.clone())), &asked).unwrap();
        prop_assert_eq!(tally.by_decision, one_by_one.by_decision);
        prop_assert_eq!(tally.by_rule, one_by_one.by_rule);
        prop_assert_eq!(tally.cached, one_by_one.cached);
    }

    /// Whatever is in a file: an answer or an error, and no panic that leaves the crate.
    #[test]
    fn damage_is_an_error(all in records(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = write(&all, Vec::new()).unwrap();
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = to,
        }
        let Ok(segment) = Segment::open(Arc::new(Bytes::from(bytes))) else {
            return Ok(());
        };
        let sources = [Source::File(segment)];
        let filter = DecisionFilter { namespaces: Some(vec![all[0].namespace.clone()]), ..Default::default() };
        let asked = Asked { filter: &filter, request_id: None, below: None };
        if let Ok(found) = find(&sources, &asked, 100) {
            let places: Vec<Place> = found.newest().map(|(_, place)| place).collect();
            drop(fetch(&sources, &places));
        }
    }

    #[test]
    fn a_cursor_is_its_key(all in records()) {
        for record in &all {
            let key = Key::of(record);
            prop_assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        }
    }
}

/// A file that counts what is read of it.
#[derive(Debug)]
struct Counted(Bytes, Arc<AtomicU64>);

impl ReadAt for Counted {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read_at(&self, from: u64, length: usize) -> io::Result<Bytes> {
        self.1.fetch_add(length as u64, Ordering::Relaxed);
        self.0.read_at(from, length)
    }
}

/// Many row groups, and searches that read little of them.
#[test]
fn statistics_and_filters_rule_out_what_is_not_asked_for() {
    let all: Vec<_> = (0..100_000).map(record).collect();
    let bytes = Bytes::from(write(&all, Vec::new()).unwrap());
    let read = Arc::new(AtomicU64::new(0));
    let segment = Segment::open(Arc::new(Counted(bytes.clone(), Arc::clone(&read)))).unwrap();
    assert_eq!(segment.rows(), 100_000);
    assert_eq!(segment.ids(), (id(0), id(99_999)));
    let sources = [Source::File(segment)];
    let total = bytes.len() as u64;
    let cost = |filter: &DecisionFilter, request_id: Option<&str>, share: u64| {
        read.store(0, Ordering::Relaxed);
        let asked = Asked {
            filter,
            request_id,
            below: None,
        };
        assert_eq!(found(&sources, &asked, 50), expected(&all, &asked, 50));
        let read = read.load(Ordering::Relaxed);
        assert!(read < total / share, "{read} of {total} bytes for {asked:?}");
    };
    let all_of_them = DecisionFilter::default();
    // The newest ones, those of a millisecond, nobody's.
    cost(&all_of_them, None, 3);
    let at = 1_700_000_000_000 + 50_000;
    let moment = DecisionFilter {
        from_ms: Some(at),
        to_ms: Some(at + 1),
        ..Default::default()
    };
    cost(&moment, None, 2);
    for filter in [
        DecisionFilter {
            rule: Some("no such rule".to_owned()),
            ..Default::default()
        },
        DecisionFilter {
            policy: Some("no such policy".to_owned()),
            ..Default::default()
        },
        DecisionFilter {
            namespaces: Some(vec!["nobody's".to_owned()]),
            ..Default::default()
        },
    ] {
        cost(&filter, None, 20);
    }
    cost(&all_of_them, Some("no such request"), 10);
}

#[test]
fn who_does_not_wait_is_not_worked_for() {
    let all: Vec<_> = (0..100).map(record).collect();
    let sources = [Source::File(segment(&all))];
    let filter = DecisionFilter {
        until: Some(Instant::now()),
        ..Default::default()
    };
    let asked = Asked {
        filter: &filter,
        request_id: None,
        below: None,
    };
    assert!(matches!(find(&sources, &asked, 10), Err(Error::Stopped)));
    assert!(matches!(
        Tally::default().count(&sources[0], &asked),
        Err(Error::Stopped)
    ));
}

#[test]
fn what_is_not_in_order_is_not_written() {
    let twice = [record(1), record(1)];
    let back = [record(2), record(1)];
    for records in [&twice, &back] {
        assert!(matches!(write(records, Vec::new()), Err(Error::Format(_))));
    }
}

#[test]
fn other_files_are_refused() {
    for bytes in [
        &b""[..],
        b"PAR1",
        b"PAR1PAR1",
        b"{\"decision\":\"allow\"}\n",
        &[0; 4096],
    ] {
        let opened = Segment::open(Arc::new(Bytes::copy_from_slice(bytes)));
        assert!(opened.is_err(), "{bytes:?}");
    }
}
