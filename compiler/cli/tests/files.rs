//! Files: which ones are read, how far, and what is never replaced.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails as tests do")]

mod support;

use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;
use std::process::Command;
use support::{Dir, QUICKSTART, Ran, command};

const MARK: &str = "\u{feff}";
const DENIED: &str =
    r#"{"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 200000}, "team": {"tier": "free"}}"#;

fn policy(id: &str) -> String {
    QUICKSTART.replace("cost-limit-policy", id)
}

#[test]
fn endings_in_capitals_count() {
    let dir = Dir::with(&[
        ("p/A.YAML", &policy("a")),
        ("p/b.Yml", &policy("b")),
        (
            "p/C.JSON",
            r#"{"metadata": {"id": "c", "name": "C", "namespace": "production"}, "rules": []}"#,
        ),
    ]);
    let ran = dir.run(&["check", "p"]).exits(0);
    assert!(ran.err.ends_with("3 files: 0 errors, 1 warning\n"), "{}", ran.err);
    dir.run(&["eval", "p", "-c", DENIED]).exits(1);

    let test = "tests:\n  - name: t\n    context: {}\n    expect: { decision: allow }\n";
    dir.write("q/A.YAML", policy("a").as_bytes());
    dir.write("q/A_test.YAML", test.as_bytes());
    let ran = dir.run(&["test", "q"]).exits(0);
    assert!(ran.out.contains("1 passed"), "{}", ran.out);
    dir.run(&["test", "q/A.YAML"]).exits(0);
}

#[test]
fn what_is_passed_over_although_it_looks_like_policies_is_named() {
    let dir = Dir::with(&[
        ("p/a.yaml", &policy("a")),
        ("p/b.yaml.bak", &policy("b")),
        ("p/.c.yaml", &policy("c")),
        ("p/d", &policy("d")),
        ("p/e_test.yaml", &policy("e")),
        ("p/f.rego", "package f\n"),
        ("p/.hidden/g.yaml", &policy("g")),
        ("p/README.md", "# metadata: and rules: stand in policies\n"),
        ("p/h_test.yaml", "tests: []\n"),
        ("elsewhere/i.yaml", &policy("i")),
        ("nothing/j.txt", "j"),
    ]);
    symlink("../elsewhere", dir.0.join("p/linked")).unwrap();
    symlink("../nothing", dir.0.join("p/empty")).unwrap();
    symlink("../elsewhere", dir.0.join("p/..data")).unwrap();
    symlink("away", dir.0.join("p/gone")).unwrap();
    let ran = dir.run(&["check", "p"]).exits(0);
    let notes: Vec<&str> = ran.err.lines().collect();
    assert_eq!(
        notes,
        [
            "`p/.c.yaml` is passed over: its name starts with a dot",
            "`p/b.yaml.bak` is passed over: its name does not end in .yaml, .yml or .json",
            "`p/d` is passed over: its name does not end in .yaml, .yml or .json",
            "`p/e_test.yaml` is passed over: its name says that it holds tests (see `policyc test`), but it looks like a policy",
            "`p/f.rego` is passed over: its name does not end in .yaml, .yml or .json",
            "`p/linked` is passed over: links to directories are not followed",
            "1 file: no problems",
        ]
    );
    // Other commands say so as well, and not where their output goes.
    let ran = dir.run(&["eval", "p", "-c", "{}", "--format", "json"]).exits(0);
    assert_eq!(ran.err.lines().count(), 6, "{}", ran.err);
    assert_eq!(ran.json()["decision"]["decision"], "allow");

    for i in 0..12 {
        dir.write(&format!("many/{i}.txt"), policy("x").as_bytes());
    }
    dir.write("many/a.yaml", policy("a").as_bytes());
    let ran = dir.run(&["check", "many"]).exits(0);
    assert_eq!(ran.err.lines().count(), 12, "{}", ran.err);
    assert!(
        ran.err
            .contains("\n2 more files that look like policies passed over\n"),
        "{}",
        ran.err
    );
}

#[test]
fn reading_ends_where_files_do_not() {
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    let says = |ran: Ran| {
        assert!(
            ran.err.contains("it holds more than 256 MiB, or never ends"),
            "{}",
            ran.err
        );
    };
    says(dir.run(&["check", "/dev/zero"]).exits(2));
    says(dir.run(&["eval", "p.yaml", "-c", "@/dev/zero"]).exits(2));
    says(dir.run(&["eval", "p.yaml", "--contexts", "/dev/zero"]).exits(2));
    says(dir.run(&["inspect", "/dev/zero"]).exits(2));
    let mut endless = command(&["check", "-"]);
    endless.stdin(std::fs::File::open("/dev/zero").unwrap());
    says(Ran::from(endless.current_dir(&dir.0).output().unwrap()).exits(2));
}

/// A pipe that lies in a directory would be waited for without end.
#[test]
fn pipes_in_directories_are_not_opened() {
    let dir = Dir::with(&[("p/a.yaml", QUICKSTART), ("t/a.yaml", QUICKSTART)]);
    fifo(&dir.0.join("t/a_test.yaml"));
    let ran = dir.run(&["test", "t"]).exits(2);
    assert!(
        ran.err
            .contains("cannot read `t/a_test.yaml`: it is no regular file"),
        "{}",
        ran.err
    );
    fifo(&dir.0.join("p/b.yaml"));
    let ran = dir.run(&["check", "p"]).exits(2);
    assert!(
        ran.err
            .contains("error[E0014]: the file cannot be read: it is no regular file\n--> p/b.yaml"),
        "{}",
        ran.err
    );
}

#[test]
fn byte_order_marks_are_no_content() {
    let json = r#"{"metadata": {"id": "c", "name": "C"}, "rules": []}"#;
    let prices =
        r#"{"models": {"house": {"provider": "acme", "input_per_million": 1, "output_per_million": 1}}}"#;
    let dir = Dir::with(&[
        ("p.yaml", &format!("{MARK}{QUICKSTART}")),
        ("p.json", &format!("{MARK}{json}")),
        ("c.json", &format!("{MARK}{DENIED}")),
        ("c.jsonl", &format!("{MARK}{DENIED}\r\n{MARK}{DENIED}\n{{}}\n")),
        ("prices.json", &format!("{MARK}{prices}")),
        ("schema.json", &format!("{MARK}{{}}")),
        (
            "p_test.yaml",
            &format!("{MARK}tests:\n  - name: t\n    context: {{}}\n    expect: {{ decision: allow }}\n"),
        ),
    ]);
    dir.run(&["check", "--schema", "schema.json", "p.yaml"]).exits(0);
    dir.run(&["check", "p.json"]).exits(0);
    dir.run(&["eval", "p.yaml", "-c", "@c.json"]).exits(1);
    dir.run(&["eval", "p.yaml", "-c", "@c.json", "--prices", "prices.json"])
        .exits(1);
    dir.run(&["eval", "p.yaml", "-c", &format!("{MARK}{DENIED}")])
        .exits(1);
    dir.run_with(
        &["eval", "p.yaml", "-c", "-"],
        format!("{MARK}{DENIED}").as_bytes(),
    )
    .exits(1);
    let stream = dir
        .run(&["eval", "p.yaml", "--contexts", "c.jsonl", "--format", "text"])
        .exits(0);
    assert_eq!(stream.out, "1: deny\n2: deny\n3: allow\n");
    dir.run(&["diff", "p.yaml", "p.yaml", "--contexts", "c.jsonl"])
        .exits(0);
    dir.run(&["test", "p_test.yaml"]).exits(0);
    dir.run(&["fmt", "p.yaml"]).exits(0);
    dir.run(&["check", "p.yaml"]).exits(0);
}

/// `-o` used to put a file in the place of whatever was there.
#[test]
fn only_regular_files_are_replaced() {
    let dir = Dir::with(&[("p.yaml", QUICKSTART), ("old", "old")]);
    dir.run(&["build", "p.yaml", "-o", "p.bundle"]).exits(0);
    let bundle = dir.read("p.bundle");
    assert_eq!(to_stdout(&dir, "-"), bundle);
    assert_eq!(to_stdout(&dir, "/dev/stdout"), bundle);
    assert!(!dir.exists("-"));

    let ran = dir.run(&["build", "p.yaml", "-o", "/dev/null"]).exits(0);
    assert!(ran.err.starts_with("/dev/null: 1 policy"), "{}", ran.err);
    assert!(
        std::fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );

    fifo(&dir.0.join("pipe"));
    symlink("pipe", dir.0.join("to-pipe")).unwrap();
    for name in ["pipe", "to-pipe"] {
        let path = dir.0.join(name);
        let reader = std::thread::spawn(move || std::fs::read(path).unwrap());
        dir.run(&["build", "p.yaml", "-o", name]).exits(0);
        assert_eq!(reader.join().unwrap(), bundle);
    }
    assert!(
        std::fs::symlink_metadata(dir.0.join("pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );

    symlink("old", dir.0.join("to-old")).unwrap();
    symlink("new", dir.0.join("to-new")).unwrap();
    symlink("circle", dir.0.join("circle")).unwrap();
    for name in ["to-old", "to-new"] {
        dir.run(&["build", "p.yaml", "-o", name]).exits(0);
        assert!(dir.0.join(name).is_symlink());
    }
    assert_eq!(
        (dir.read("old"), dir.read("new")),
        (bundle.clone(), bundle.clone())
    );
    let circle = dir.run(&["build", "p.yaml", "-o", "circle"]).exits(2);
    assert!(circle.err.contains("circle"), "{}", circle.err);
    let directory = dir.run(&["build", "p.yaml", "-o", "."]).exits(2);
    assert!(directory.err.contains("it is a directory"), "{}", directory.err);

    let both = dir.run(&["build", "p.yaml", "-o", "-", "--dump-ir"]).exits(2);
    assert!(both.err.contains("--dump-ir"), "{}", both.err);
}

#[test]
fn signed_bundles_go_through_pipes_too() {
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    dir.run(&["keygen", "-o", "team"]).exits(0);
    let sign = |arguments: &[&str]| {
        let mut command = command(&[&["sign", "--key", "team.pem"], arguments].concat());
        command.stdin(std::fs::File::open(dir.0.join("p.bundle")).unwrap());
        command.current_dir(&dir.0).output().unwrap()
    };
    dir.run(&["build", "p.yaml", "-o", "p.bundle"]).exits(0);
    let signed = sign(&["-"]);
    assert!(signed.status.success());
    dir.write("signed", &signed.stdout);
    dir.run(&["verify", "signed", "--public-key", "team.pub.pem"])
        .exits(0);
    assert!(!dir.exists("-"));
}

fn to_stdout(dir: &Dir, name: &str) -> Vec<u8> {
    let output = command(&["build", "p.yaml", "-o", name])
        .current_dir(&dir.0)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stderr.starts_with(b"<stdout>: 1 policy"));
    output.stdout
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}
