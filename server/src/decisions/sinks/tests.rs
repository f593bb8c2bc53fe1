//! Appending to files that were left in any state.

use super::append;
use std::fs;

#[test]
fn an_unfinished_line_is_ended_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.jsonl");
    append(&path, b"{\"n\":1}\n").unwrap();
    fs::write(&path, "{\"n\":1}\n{\"n\":").unwrap();
    append(&path, b"{\"n\":3}\n").unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"n\":1}\n{\"n\":\n{\"n\":3}\n"
    );
}

#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("d.jsonl");
    append(&path, b"x\n").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_directory_is_no_file() {
    let directory = tempfile::tempdir().unwrap();
    assert!(append(directory.path(), b"x\n").is_err());
    assert!(append(&directory.path().join("missing/d.jsonl"), b"x\n").is_err());
}
