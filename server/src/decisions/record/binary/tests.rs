//! Records come back as they were written, and any other bytes are refused without harm.

use super::{BinaryError, push_binary, read_binary};
use crate::storage::model::{DecisionId, DecisionRecord};
use proptest::prelude::*;

fn records() -> impl Strategy<Value = DecisionRecord> {
    let text = || prop_oneof!["[a-z/]{0,12}", "\\PC{0,40}", "[\\x00-\\x7f]{120,140}"];
    let list = || prop::collection::vec(text(), 0..4);
    let numbers = (
        prop_oneof![Just(0), any::<u64>()],
        prop_oneof![1_700_000_000_000..1_900_000_000_000_i64, any::<i64>()],
        prop_oneof![Just(0), any::<u32>()],
        prop_oneof![0..10_000_u64, any::<u64>()],
        any::<bool>(),
    );
    let texts = (text(), text(), text(), text(), text());
    let rest = (
        prop::option::of(any::<[u8; 16]>()),
        prop::option::of(text()),
        list(),
        list(),
        prop::option::of(text()),
    );
    (numbers, texts, rest).prop_map(|(numbers, texts, rest)| {
        let (seq, at_ms, errors, duration_ns, cached) = numbers;
        let (request_id, namespace, subject, decision, revision) = texts;
        let (id, reason, matched_rules, matched_policies, context) = rest;
        DecisionRecord {
            seq,
            id: id.map(|id| DecisionId::try_from(&id[..]).unwrap()),
            request_id,
            at_ms,
            namespace,
            subject,
            decision,
            reason,
            matched_rules,
            matched_policies,
            errors,
            revision,
            duration_ns,
            cached,
            context,
        }
    })
}

fn bytes_of(record: &DecisionRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_binary(record, &mut bytes);
    bytes
}

/// What is taken is written back byte for byte.
fn taken_or_refused(bytes: &[u8]) {
    if let Ok(record) = read_binary(bytes) {
        assert_eq!(bytes_of(&record), bytes);
    }
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_written(record in records(), before in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut bytes = before.clone();
        push_binary(&record, &mut bytes);
        let (kept, bytes) = bytes.split_at(before.len());
        prop_assert_eq!(kept, before);
        prop_assert_eq!(read_binary(bytes), Ok(record));
    }

    #[test]
    fn a_record_that_is_cut_or_followed_by_something_is_refused(record in records()) {
        let mut bytes = bytes_of(&record);
        for end in 0..bytes.len() {
            prop_assert_eq!(read_binary(&bytes[..end]), Err(BinaryError::Short));
        }
        bytes.push(0);
        prop_assert_eq!(read_binary(&bytes), Err(BinaryError::Malformed));
    }

    #[test]
    fn changed_bytes_are_refused_or_another_record(
        record in records(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes_of(&record);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        taken_or_refused(&bytes);
    }

    #[test]
    fn any_bytes_are_refused_or_a_record(bytes in prop::collection::vec(any::<u8>(), 0..300), flags in 0..16_u8) {
        taken_or_refused(&bytes);
        taken_or_refused(&[&[1, flags], &*bytes].concat());
    }
}

/// Journals outlive programs: whoever changes this changes the version, and goes on to read the old one.
#[test]
fn version_1_looks_like_this() {
    let record = DecisionRecord {
        seq: 0,
        id: Some(DecisionId::of_time(0x0102_0304_0506)),
        request_id: "r".to_owned(),
        at_ms: 1000,
        namespace: String::new(),
        subject: "ä".to_owned(),
        decision: "deny".to_owned(),
        reason: Some("no".to_owned()),
        matched_rules: vec!["p/a".to_owned(), "p/b".to_owned()],
        matched_policies: vec!["p".to_owned()],
        errors: 1,
        revision: "7".to_owned(),
        duration_ns: 128,
        cached: true,
        context: Some("{}".to_owned()),
    };
    let mut want = vec![1, 0b1111, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    want.extend([0, 0xd0, 0x0f, 1, 0x80, 0x01]);
    want.extend(b"\x01r\x00\x02\xc3\xa4\x04deny\x017\x02no\x02\x03p/a\x03p/b\x01\x01p\x02{}");
    assert_eq!(bytes_of(&record), want);
    assert_eq!(read_binary(&want), Ok(record));
}

#[test]
fn what_no_version_writes_is_refused() {
    let head = |rest: &[u8]| [&[1, 0], rest].concat();
    // A version and a flag that there are not.
    assert_eq!(read_binary(&[2, 0, 0]), Err(BinaryError::Version(2)));
    assert_eq!(read_binary(&[1, 0x10, 0]), Err(BinaryError::Malformed));
    // A number with a zero in front, one of 65 bits, one without an end, and too many errors.
    assert_eq!(read_binary(&head(&[0x80, 0])), Err(BinaryError::Malformed));
    let large = [[0xff; 9].as_slice(), &[2]].concat();
    assert_eq!(read_binary(&head(&large)), Err(BinaryError::Malformed));
    assert_eq!(read_binary(&head(&[0x80; 20])), Err(BinaryError::Malformed));
    let errors = [0, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0];
    assert_eq!(read_binary(&head(&errors)), Err(BinaryError::Malformed));
    // No UTF-8.
    assert_eq!(
        read_binary(&head(&[0, 0, 0, 0, 1, 0xff])),
        Err(BinaryError::Malformed)
    );
}

#[test]
fn lengths_that_are_not_there_cost_no_memory() {
    // 2^63 bytes of a text, and as many texts.
    let large = [[0x80; 9].as_slice(), &[1]].concat();
    let text = [&[1, 0, 0, 0, 0, 0], &*large].concat();
    assert_eq!(read_binary(&text), Err(BinaryError::Short));
    let list = [&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &*large].concat();
    assert_eq!(read_binary(&list), Err(BinaryError::Short));
}
