//! What was written comes back; what was cut, flipped or mixed up does not come back as something else.
//!
//! The decoder has properties here and no target among those of `conformance/fuzz`: these see the language and the engine, and
//! a server with its databases and transports would be built for one function that takes bytes.

use super::{Decoded, HEAD, MARK, Sums, decode, push};
use crate::storage::model::DecisionRecord;
use proptest::prelude::*;

const SEGMENT: u64 = 7;

fn record(n: u64) -> DecisionRecord {
    DecisionRecord {
        seq: 0,
        id: None,
        request_id: format!("request-{n}"),
        at_ms: 1_700_000_000_000 + (n % 1000) as i64,
        namespace: "global".to_owned(),
        subject: "gateway \u{1}\u{fffd} é".to_owned(),
        decision: "deny".to_owned(),
        reason: n.is_multiple_of(2).then(|| "a \"reason\"\n".to_owned()),
        matched_rules: vec!["p/r".to_owned(); (n % 3) as usize],
        matched_policies: vec!["p".to_owned()],
        errors: u32::MAX,
        revision: "sha256:aa".to_owned(),
        duration_ns: u64::MAX - n,
        cached: n % 2 == 1,
        context: Some(r#"{"llm":{"prompt":"[masked]"}}"#.to_owned()),
    }
}

/// A segment of these records, and where each frame ends.
fn segment(records: &[DecisionRecord]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for record in records {
        push(record, SEGMENT, bytes.len() as u64, &mut bytes).unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn whole(records: &[DecisionRecord]) -> Decoded {
    Decoded {
        records: records.to_vec(),
        damaged: 0,
        torn: 0,
    }
}

#[test]
fn what_was_written_comes_back() {
    let records: Vec<_> = (0..20).map(record).collect();
    assert_eq!(decode(Sums::Xxh3, SEGMENT, &segment(&records).0), whole(&records));
    assert_eq!(decode(Sums::Xxh3, SEGMENT, &[]), Decoded::default());
}

/// A frame as version 1 wrote it.
const VERSION_1: (u128, &str) = (
    0xff64_6cfe_4b01_0000_d9dd_4f2d_3d42_3fd7,
    r#"{"seq":0,"request_id":"request-1","at_ms":1700000000001,"namespace":"global","subject":"gateway \u0001� é","decision":"deny","reason":null,"matched_rules":["p/r"],"matched_policies":["p"],"errors":4294967295,"revision":"sha256:aa","duration_ns":18446744073709551614,"cached":true,"context":"{\"llm\":{\"prompt\":\"[masked]\"}}"}"#,
);

/// The head of a frame of version 2 with the record of version 3.
const VERSION_2: u128 = 0xff64_6cfe_6e00_0000_5d1a_0cc3_f241_cb2a;

/// The sum of a frame as version 3 writes it.
const VERSION_3: u64 = 0xdece_4e8e_7343_2fda;

#[test]
fn earlier_versions_are_read_and_version_3_stays_as_it_is() {
    // What a server wrote before an update is read by the one after it.
    let mut bytes = VERSION_1.0.to_be_bytes().to_vec();
    bytes.extend(VERSION_1.1.as_bytes());
    assert_eq!(decode(Sums::Sha256, SEGMENT, &bytes), whole(&[record(1)]));
    // A change here is another `VERSION`.
    let (bytes, _) = segment(&[record(1)]);
    let (head, body) = bytes.split_at(HEAD);
    let mut expected = Vec::new();
    crate::decisions::push_binary(&record(1), &mut expected);
    assert_eq!(body, expected);
    assert_eq!(head[..4], MARK);
    assert_eq!(head[4..8], u32::try_from(body.len()).unwrap().to_le_bytes());
    assert_eq!(
        head[8..],
        VERSION_3.to_be_bytes(),
        "{:#x}",
        u64::from_be_bytes(head[8..].try_into().unwrap())
    );
    let mut earlier = VERSION_2.to_be_bytes().to_vec();
    earlier.extend(body);
    assert_eq!(decode(Sums::Sha256, SEGMENT, &earlier), whole(&[record(1)]));
    // The sums of one version are not those of another.
    assert_eq!(decode(Sums::Xxh3, SEGMENT, &earlier).records, []);
    assert_eq!(decode(Sums::Sha256, SEGMENT, &bytes).records, []);
}

#[test]
fn torn_at_any_byte_the_whole_records_before_are_there() {
    let records: Vec<_> = (0..4).map(record).collect();
    let (bytes, ends) = segment(&records);
    for cut in 0..bytes.len() {
        let there = ends.iter().filter(|end| **end <= cut).count();
        let begin = ends[..there].last().copied().unwrap_or(0);
        let expected = Decoded {
            torn: cut - begin,
            ..whole(&records[..there])
        };
        assert_eq!(
            decode(Sums::Xxh3, SEGMENT, &bytes[..cut]),
            expected,
            "cut at {cut}"
        );
        // As a file looks whose length reached the disk before its bytes.
        let mut zeros = bytes.clone();
        zeros[cut..].fill(0);
        let found = decode(Sums::Xxh3, SEGMENT, &zeros);
        assert_eq!(found.records, records[..there], "zeros from {cut}");
        assert_eq!((found.damaged, found.torn), (0, bytes.len() - begin));
    }
}

#[test]
fn a_flipped_bit_costs_one_decision_and_is_told() {
    let records: Vec<_> = (0..3).map(record).collect();
    let (bytes, ends) = segment(&records);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let hit = ends.iter().filter(|end| **end <= at).count();
            let found = decode(Sums::Xxh3, SEGMENT, &flipped);
            let mut left = records.clone();
            left.remove(hit);
            assert_eq!(found.records, left, "bit {bit} of byte {at}");
            let last = hit == records.len() - 1;
            assert_eq!(
                (found.damaged, found.torn > 0),
                (u64::from(!last), last),
                "bit {bit} of byte {at}"
            );
        }
    }
}

#[test]
fn a_frame_counts_only_where_it_was_written() {
    let records: Vec<_> = (0..3).map(record).collect();
    let (bytes, ends) = segment(&records);
    assert_eq!(decode(Sums::Xxh3, SEGMENT + 1, &bytes).records, []);
    // The second frame over the first: as long as that, and not of that place.
    let mut moved = bytes.clone();
    moved.drain(..ends[0]);
    assert_eq!(decode(Sums::Xxh3, SEGMENT, &moved).records, []);
    // A frame that holds no record of this version, though its sum is right.
    let mut other = Vec::new();
    push(&records[0], SEGMENT, 0, &mut other).unwrap();
    let json = b"{\"requestId\":7}";
    other.extend(super::MARK);
    other.extend((json.len() as u32).to_le_bytes());
    other.extend(Sums::Xxh3.of(SEGMENT, ends[0] as u64, json));
    other.extend(json);
    let expected = Decoded {
        damaged: 1,
        ..whole(&records[..1])
    };
    assert_eq!(decode(Sums::Xxh3, SEGMENT, &other), expected);
}

#[test]
fn a_length_beyond_the_end_is_no_reason_to_take_memory() {
    let mut bytes = super::MARK.to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    bytes.extend([0; 8]);
    assert_eq!(bytes.len(), HEAD);
    assert_eq!(decode(Sums::Xxh3, SEGMENT, &bytes).torn, HEAD);
}

/// What may happen to a file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Double(usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = 0..4000_usize;
    let some = 1..400_usize;
    prop_oneof![
        (place.clone(), 1..=u8::MAX).prop_map(|(at, mask)| Harm::Flip(at, mask)),
        place.clone().prop_map(Harm::Cut),
        (place.clone(), some.clone()).prop_map(|(at, n)| Harm::Remove(at, n)),
        (place.clone(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        (place, some).prop_map(|(at, n)| Harm::Double(at, n)),
    ]
}

fn suffer(bytes: &mut Vec<u8>, harm: Harm) {
    let length = bytes.len();
    let within = |at: usize| at % (length + 1);
    match harm {
        Harm::Flip(at, mask) => {
            if let Some(byte) = bytes.get_mut(within(at)) {
                *byte ^= mask;
            }
        }
        Harm::Cut(at) => bytes.truncate(within(at)),
        Harm::Remove(at, n) => drop(bytes.drain(within(at)..(within(at) + n).min(length))),
        Harm::Insert(at, new) => drop(bytes.splice(within(at)..within(at), new)),
        Harm::Double(at, n) => {
            let part = bytes[within(at)..(within(at) + n).min(length)].to_vec();
            drop(bytes.splice(within(at)..within(at), part));
        }
    }
}

proptest! {
    /// The fuzz target of the decoder, on stable: bytes that look like frames more often than chance would have it.
    #[test]
    fn any_bytes_are_read_without_a_panic(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                Just(super::MARK.to_vec()),
                (0..64_u32).prop_map(|n| n.to_le_bytes().to_vec()),
            ],
            0..20,
        ),
    ) {
        let bytes = parts.concat();
        let found = decode(Sums::Xxh3, SEGMENT, &bytes);
        prop_assert!(found.torn <= bytes.len());
        prop_assert_eq!(found.records, []);
    }

    /// Whatever happens to a segment, what comes back was written, in that order, and each at most once.
    #[test]
    fn a_damaged_segment_gives_back_only_what_was_written(
        count in 0..12_u64,
        harms in prop::collection::vec(harm(), 1..4),
    ) {
        let records: Vec<_> = (0..count).map(record).collect();
        let (mut bytes, _) = segment(&records);
        let before = bytes.clone();
        for harm in harms {
            suffer(&mut bytes, harm);
        }
        let found = decode(Sums::Xxh3, SEGMENT, &bytes);
        let mut rest = records.iter();
        for record in &found.records {
            prop_assert!(rest.any(|written| written == record), "{:?} is not of this place", record.request_id);
        }
        if found.records.len() < records.len() && bytes.len() == before.len() {
            prop_assert!(found.damaged > 0 || found.torn > 0);
        }
    }

    /// Records of any texts come back as they were.
    #[test]
    fn records_of_any_text_come_back(
        texts in prop::collection::vec(any::<String>(), 0..8),
        at_ms in any::<i64>(),
        n in any::<u64>(),
    ) {
        let records: Vec<_> = texts
            .iter()
            .map(|text| DecisionRecord {
                at_ms,
                request_id: text.clone(),
                reason: Some(text.clone()),
                matched_rules: vec![text.clone(), String::new()],
                context: Some(text.clone()),
                ..record(n >> 1)
            })
            .collect();
        prop_assert_eq!(decode(Sums::Xxh3, SEGMENT, &segment(&records).0), whole(&records));
    }
}
