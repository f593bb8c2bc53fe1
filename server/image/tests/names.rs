//! The program of the image is what its file is called.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_policy-engine");

/// Runs the program under a name.
fn run(name: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join(name);
    symlink(PROGRAM, &link).unwrap();
    Command::new(&link)
        .args(arguments)
        .env_clear()
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn it_is_policyd_and_policyc_by_name() {
    for name in ["policyd", "policyc"] {
        let output = run(name, &["--version"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            text(&output.stdout),
            format!("{name} {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn under_another_name_it_is_neither() {
    let output = run("policy-engine", &["--version"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(
        text(&output.stderr).contains("`policyd` or `policyc`"),
        "{output:?}"
    );
}
