//! The folder: order, bound, restarts, and what a broken file or a second process does.

use super::{LOCK, OpenError, SEGMENT, Spool, is_left_behind};
use crate::storage::model::DecisionRecord;
use std::fs;
use std::path::{Path, PathBuf};

const MOST: u64 = 64 << 20;

fn record(n: usize, bytes: usize) -> DecisionRecord {
    DecisionRecord {
        seq: 0,
        id: None,
        request_id: n.to_string(),
        at_ms: 1,
        namespace: String::new(),
        subject: String::new(),
        decision: "allow".to_owned(),
        reason: None,
        matched_rules: Vec::new(),
        matched_policies: Vec::new(),
        errors: 0,
        revision: String::new(),
        duration_ns: 0,
        cached: false,
        context: Some("x".repeat(bytes)),
    }
}

fn records(numbers: std::ops::Range<usize>) -> Vec<DecisionRecord> {
    numbers.map(|n| record(n, 10)).collect()
}

fn push(spool: &Spool, numbers: std::ops::Range<usize>) {
    let pushed = spool.push(&records(numbers.clone()));
    assert_eq!(pushed.kept, numbers.len(), "{:?}", pushed.failed);
}

fn ids(records: &[DecisionRecord]) -> Vec<usize> {
    records
        .iter()
        .map(|record| record.request_id.parse().unwrap())
        .collect()
}

/// Takes the oldest segment out.
fn take(spool: &Spool) -> Option<Vec<usize>> {
    let segment = spool.oldest()?;
    let found = segment.found.unwrap();
    spool.remove(segment.number).unwrap();
    Some(ids(&found.records))
}

fn drain(spool: &Spool) -> Vec<usize> {
    std::iter::from_fn(|| take(spool)).flatten().collect()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some())
        .collect();
    paths.sort();
    paths
}

fn on_disk(directory: &Path) -> u64 {
    let sizes = segments(directory).into_iter();
    sizes.map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[test]
fn what_goes_in_comes_out_in_order_also_while_more_goes_in() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MOST).unwrap();
    assert!(spool.is_empty() && spool.oldest().is_none());
    push(&spool, 0..3);
    push(&spool, 3..5);
    let first = spool.oldest().unwrap();
    // The one that was read is written to no more.
    push(&spool, 5..6);
    let found = first.found.unwrap();
    assert_eq!(ids(&found.records), [0, 1, 2, 3, 4]);
    assert_eq!(spool.oldest().unwrap().number, first.number, "not removed yet");
    assert_eq!(spool.bytes(), on_disk(folder.path()));
    spool.remove(first.number).unwrap();
    push(&spool, 6..8);
    assert_eq!(drain(&spool), [5, 6, 7]);
    assert!(spool.is_empty());
    assert_eq!(segments(folder.path()).len(), 0);
}

#[test]
fn a_restart_in_the_middle_of_a_replay_goes_on_where_nothing_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MOST).unwrap();
    push(&spool, 0..1);
    // Ends the segment: what comes now is in the next one.
    spool.oldest().unwrap();
    push(&spool, 1..6);
    assert_eq!(take(&spool), Some(vec![0]));
    drop(spool);
    let spool = Spool::open(folder.path(), MOST).unwrap();
    assert_eq!(spool.bytes(), on_disk(folder.path()));
    // Behind everything that was there.
    push(&spool, 6..7);
    assert_eq!(drain(&spool), [1, 2, 3, 4, 5, 6]);
    drop(spool);
    assert!(Spool::open(folder.path(), MOST).unwrap().is_empty());
}

#[test]
fn a_torn_end_costs_the_torn_decision_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    push(&Spool::open(folder.path(), MOST).unwrap(), 0..3);
    let path = segments(folder.path()).remove(0);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(length - 1).unwrap();
    let spool = Spool::open(folder.path(), MOST).unwrap();
    push(&spool, 3..4);
    let found = spool.oldest().unwrap().found.unwrap();
    assert_eq!(ids(&found.records), [0, 1]);
    assert_eq!((found.damaged, found.torn > 0), (0, true));
    assert_eq!(drain(&spool), [0, 1, 3]);
}

#[test]
fn files_that_hold_nothing_are_no_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let name = |n: u64| folder.path().join(format!("{n:020}.v2"));
    fs::write(name(3), "").unwrap();
    fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
    assert!(!is_left_behind(folder.path()));
    let spool = Spool::open(folder.path(), MOST).unwrap();
    assert!(spool.is_empty());
    assert!(!name(3).exists());
    push(&spool, 0..1);
    assert!(is_left_behind(folder.path()));
    assert_eq!(drain(&spool), [0]);
    assert!(folder.path().join("notes.txt").exists());
    assert!(!is_left_behind(&folder.path().join("nowhere")));
}

#[test]
fn the_bound_holds_and_room_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let most = 3000;
    let spool = Spool::open(folder.path(), most).unwrap();
    let pushed = spool.push(&records(0..100));
    assert!(pushed.failed.is_none());
    assert!((2..99).contains(&pushed.kept), "{pushed:?}");
    let again = spool.push(&records(pushed.kept..100));
    assert_eq!((again.kept, again.failed.is_none()), (0, true));
    assert!(on_disk(folder.path()) <= most && spool.bytes() == on_disk(folder.path()));
    assert_eq!(drain(&spool), (0..pushed.kept).collect::<Vec<_>>());
    // Room again; but never for what is larger than all of it.
    let large = spool.push(&[record(0, 10), record(1, 5000)]);
    assert_eq!((large.kept, large.failed.is_none()), (1, true));
    // A smaller bound than before keeps what is there, and takes nothing.
    drop(spool);
    let spool = Spool::open(folder.path(), 10).unwrap();
    assert_eq!(spool.push(&records(5..6)).kept, 0);
    assert_eq!(drain(&spool), [0]);
}

#[test]
fn segments_end_when_they_are_large_enough() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MOST).unwrap();
    let many: Vec<_> = (0..30).map(|n| record(n, SEGMENT as usize / 10)).collect();
    assert_eq!(spool.push(&many).kept, 30);
    assert_eq!(segments(folder.path()).len(), 3);
    for path in segments(folder.path()) {
        assert!(fs::metadata(path).unwrap().len() < SEGMENT + SEGMENT / 5);
    }
    assert_eq!(drain(&spool), (0..30).collect::<Vec<_>>());
}

#[test]
fn two_do_not_share_a_folder_and_no_version_touches_another() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MOST).unwrap();
    let second = Spool::open(folder.path(), MOST);
    assert!(matches!(second, Err(OpenError::Locked)), "{second:?}");
    drop(spool);
    drop(Spool::open(folder.path(), MOST).unwrap());
    let other = folder.path().join(format!("{:020}.v4", 0));
    fs::write(&other, "of the future").unwrap();
    match Spool::open(folder.path(), MOST) {
        Err(OpenError::Foreign(path)) => assert_eq!(path, other),
        result => panic!("{result:?}"),
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("data/decisions-spool");
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    for directory in [new, open] {
        let spool = Spool::open(&directory, MOST).unwrap();
        push(&spool, 0..1);
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join(LOCK)), 0o600);
        assert_eq!(mode(&segments(&directory)[0]), 0o600);
    }
}

#[test]
fn a_folder_that_fails_is_told_and_used_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (here, away) = (folder.path().join("spool"), folder.path().join("away"));
    let spool = Spool::open(&here, MOST).unwrap();
    push(&spool, 0..2);
    // Ends the segment, so that the next one needs a new file.
    spool.oldest().unwrap();
    fs::rename(&here, &away).unwrap();
    let pushed = spool.push(&records(2..4));
    assert_eq!((pushed.kept, pushed.failed.is_some()), (0, true));
    assert!(spool.oldest().unwrap().found.is_err());
    fs::rename(&away, &here).unwrap();
    push(&spool, 2..4);
    assert_eq!(drain(&spool), [0, 1, 2, 3]);
    // What cannot be read may be left where it is.
    push(&spool, 4..5);
    spool.forget(spool.oldest().unwrap().number);
    assert!(spool.is_empty());
    assert_eq!(segments(&here).len(), 1);
}

#[test]
fn a_segment_that_cannot_be_read_lets_the_others_pass_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MOST).unwrap();
    push(&spool, 0..3);
    let first = spool.oldest().unwrap();
    let aside = folder.path().join("aside");
    fs::rename(&first.path, &aside).unwrap();
    push(&spool, 3..5);
    assert!(spool.oldest().unwrap().found.is_err());
    let bytes = spool.bytes();
    spool.put_behind(first.number);
    assert_eq!(spool.bytes(), bytes, "it is not forgotten");
    // What comes later comes out later.
    push(&spool, 5..7);
    assert_eq!(take(&spool).unwrap(), [3, 4]);
    assert!(spool.oldest().unwrap().found.is_err());
    fs::rename(&aside, &first.path).unwrap();
    assert_eq!(drain(&spool), [0, 1, 2, 5, 6]);
    assert!(spool.is_empty());
    // One that is not there any more is no reason to stop.
    spool.put_behind(first.number);
    assert!(spool.oldest().is_none());
}
