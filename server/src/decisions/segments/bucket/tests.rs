//! The archive in a bucket, on a store in memory.

use super::{Archive as _, Bucket, Key, PART, Remote, Runtime, blocks};
use crate::decisions::segments::name::Name;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::io::ErrorKind;
use std::sync::Arc;

fn bucket(prefix: &str) -> (Bucket, Arc<InMemory>) {
    let store = Arc::new(InMemory::new());
    let remote = Remote {
        runtime: Some(Runtime::new().unwrap()),
        store: Arc::clone(&store) as Arc<dyn ObjectStore>,
        url: "s3://test".to_owned(),
        blocks: blocks(),
    };
    let bucket = Bucket {
        remote: Arc::new(remote),
        prefix: Key::parse(prefix).unwrap(),
    };
    (bucket, store)
}

fn name(at_ms: i64) -> Name {
    let id = "019b76daa80070008000000000000001".parse().unwrap();
    Name {
        first_ms: at_ms,
        last_ms: at_ms,
        rows: 1,
        first: id,
        last: id,
    }
}

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000;
const DAY: i64 = 86_400_000;

/// Bytes that no two places have alike.
fn bytes(length: usize) -> Vec<u8> {
    (0..length.div_ceil(8) as u64)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(length)
        .collect()
}

#[test]
fn segments_are_published_listed_and_removed_as_in_a_folder() {
    for prefix in ["", "log", "a/b c"] {
        let (bucket, store) = bucket(prefix);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        // At once, and in parts.
        let lengths = [1, PART, 2 * PART + 1];
        for (day, length) in (0..).zip(lengths) {
            let name = name(NEW_YEAR + day * DAY);
            for _again in 0..2 {
                std::fs::write(&file, bytes(length)).unwrap();
                bucket.publish(&file, &name).unwrap();
                assert!(!file.exists());
            }
            // It is there already.
            bucket.publish(&file, &name).unwrap();
            let read = bucket.open(&name).unwrap();
            assert_eq!(read.length(), length as u64);
            assert_eq!(read.read_at(0, length).unwrap(), bytes(length));
        }
        for key in [
            "day=2026-01-01/x.parquet",
            "day=2026-01-01/x.txt",
            "other/day.parquet",
        ] {
            let key = bucket.prefix.as_ref().to_owned() + "/" + key;
            let key = Key::parse(key.trim_start_matches('/')).unwrap();
            let stored = store.put(&key, "x".into());
            futures_util::FutureExt::now_or_never(stored).unwrap().unwrap();
            let (names, others) = bucket.list().unwrap();
            assert_eq!(names.len(), 3);
            assert_eq!(others.len(), 1);
        }
        let (mut names, _) = bucket.list().unwrap();
        names.sort_unstable();
        assert_eq!(names, [0, 1, 2].map(|day| name(NEW_YEAR + day * DAY)));
        for _again in 0..2 {
            bucket.remove(&names[0]).unwrap();
        }
        assert_eq!(bucket.list().unwrap().0.len(), 2);
        assert_eq!(bucket.open(&names[0]).unwrap_err().kind(), ErrorKind::NotFound);
        // Nothing to publish, and nothing that was.
        assert!(bucket.publish(&file, &names[0]).is_err());
    }
}

#[test]
fn every_part_of_an_object_can_be_read() {
    let (bucket, _) = bucket("log");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let all = bytes(5_000_003);
    std::fs::write(&file, &all).unwrap();
    let name = name(NEW_YEAR);
    bucket.publish(&file, &name).unwrap();
    let object = bucket.open(&name).unwrap();
    let check = |from: usize, length: usize| {
        let read = object.read_at(from as u64, length).unwrap();
        assert_eq!(read, all[from..from + length], "{from}, {length}");
    };
    // From the end, as readers of Parquet begin; page by page; all; here and there.
    check(all.len() - 8, 8);
    check(all.len() - 20_000, 20_000);
    for from in (0..all.len() - 64_000).step_by(64_000) {
        check(from, 64_000);
    }
    check(0, all.len());
    check(0, 0);
    for n in 0..500_usize {
        let from = n.wrapping_mul(2_654_435_761) % all.len();
        check(from, (n * 7919).min(all.len() - from));
    }
    for (from, length) in [(all.len() as u64, 1), (u64::MAX, 2), (0, all.len() + 1)] {
        let error = object.read_at(from, length).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn what_was_removed_meanwhile_is_not_found() {
    let (bucket, _) = bucket("log");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, bytes(1000)).unwrap();
    let name = name(NEW_YEAR);
    bucket.publish(&file, &name).unwrap();
    let object = bucket.open(&name).unwrap();
    bucket.remove(&name).unwrap();
    assert_eq!(object.read_at(0, 10).unwrap_err().kind(), ErrorKind::NotFound);
}
