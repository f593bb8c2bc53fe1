//! The chain of hashes, and every way to break it.

use super::*;

fn entry(actor: &str, action: &str) -> NewAudit {
    NewAudit {
        at_ms: 5,
        actor: actor.into(),
        action: action.into(),
        target: "t".into(),
        namespace: String::new(),
        request_id: "r".into(),
        detail: "{}".into(),
    }
}

fn chain(length: u64) -> Vec<AuditRecord> {
    let mut previous = GENESIS;
    (1..=length)
        .map(|seq| {
            let entry = entry("ann", &format!("change {seq}"));
            let own = hash(&previous, seq, seq, &entry);
            let record = AuditRecord {
                seq,
                entry,
                revision: seq,
                previous,
                hash: own,
            };
            previous = own;
            record
        })
        .collect()
}

fn verify(records: &[AuditRecord]) -> Result<Verifier, Broken> {
    let mut verifier = Verifier::new();
    records.iter().try_for_each(|record| verifier.push(record))?;
    Ok(verifier)
}

#[test]
fn the_encoding_is_the_documented_one() {
    // SHA-256 of the bytes written out by hand: an export stays checkable by other programs.
    let mut bytes = DOMAIN.to_vec();
    bytes.extend([0; 32]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 2]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 5]);
    for text in ["ann", "x", "t", "", "r", "{}"] {
        bytes.extend([0, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()]);
        bytes.extend(text.as_bytes());
    }
    let want: [u8; 32] = Sha256::digest(&bytes).into();
    assert_eq!(hash(&GENESIS, 1, 2, &entry("ann", "x")), want);
}

#[test]
fn text_that_moves_between_fields_changes_the_hash() {
    let one = hash(&GENESIS, 1, 1, &entry("ab", "c"));
    assert_ne!(one, hash(&GENESIS, 1, 1, &entry("a", "bc")));
    assert_ne!(one, hash(&GENESIS, 1, 1, &entry("abc", "")));
}

#[test]
fn whole_chains_hold() {
    let records = chain(5);
    let last = records.last().unwrap();
    let verifier = verify(&records).unwrap();
    assert_eq!(verifier.end(5, last.hash), Ok(()));
    let mut rest = Verifier::after(2, records[1].hash);
    assert_eq!(records[2..].iter().try_for_each(|r| rest.push(r)), Ok(()));
}

#[test]
fn every_changed_field_is_found() {
    let changes: [fn(&mut AuditRecord); 9] = [
        |r| r.entry.at_ms += 1,
        |r| r.entry.actor.push('x'),
        |r| r.entry.action.push('x'),
        |r| r.entry.target.push('x'),
        |r| r.entry.namespace.push('x'),
        |r| r.entry.request_id.push('x'),
        |r| r.entry.detail.push('x'),
        |r| r.revision += 1,
        |r| r.hash[0] ^= 1,
    ];
    for change in changes {
        let mut records = chain(4);
        change(&mut records[1]);
        assert_eq!(verify(&records).unwrap_err(), Broken::Changed { seq: 2 });
    }
    // With its own hash recomputed, the record after it tells.
    let mut records = chain(4);
    records[1].entry.actor.push('x');
    records[1].hash = hash(&records[1].previous, 2, 2, &records[1].entry);
    assert_eq!(verify(&records).unwrap_err(), Broken::Replaced { seq: 3 });
}

#[test]
fn missing_and_reordered_records_are_found() {
    let mut records = chain(5);
    records.remove(2);
    assert_eq!(verify(&records).unwrap_err(), Broken::Missing { seq: 3 });

    let mut records = chain(5);
    records.swap(1, 2);
    assert_eq!(verify(&records).unwrap_err(), Broken::Missing { seq: 2 });

    let mut records = chain(3);
    records.push(records[1].clone());
    assert_eq!(verify(&records).unwrap_err(), Broken::Reordered { seq: 2 });

    let records = chain(5);
    let cut = verify(&records[..3]).unwrap();
    assert_eq!(cut.end(5, records[4].hash), Err(Broken::Missing { seq: 4 }));
    assert_eq!(cut.end(3, [7; 32]), Err(Broken::Replaced { seq: 3 }));
}
