//! `cargo xtask tidy`: rules of the tree that no compiler checks.
//!
//! - every Rust file starts with a `//!` header;
//! - every library forbids unsafe code;
//! - crates depend on each other only as the architecture says, and the runtime without its `compile` feature links no
//!   front end;
//! - files of the machine and of the runtime do not import each other in a circle, the IR knows no front end, and settings no subsystem;
//! - no file of product code is longer than somebody reads;
//! - no unfinished code, no paths of somebody's machine.

mod imports;
mod lengths;

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each crate may depend on, of ours. A crate that is not listed may not exist; `*` is everything.
const EDGES: &[(&str, &[&str])] = &[
    ("policy-grammar", &[]),
    ("policy-bytecode", &[]),
    ("policy-vm", &["policy-bytecode"]),
    (
        "policy-compiler",
        &["policy-grammar", "policy-bytecode", "policy-primitives"],
    ),
    ("policy-primitives", &["policy-grammar"]),
    ("policy-requests", &[]),
    ("policy-integrations", &[]),
    ("policy-segments", &[]),
    (
        "policy-runtime",
        &[
            "policy-vm",
            "policy-bytecode",
            "policy-primitives",
            "policy-requests",
            "policy-compiler",
            "policy-grammar",
        ],
    ),
    (
        "policyc",
        &[
            "policy-compiler",
            "policy-runtime",
            "policy-grammar",
            "policy-bytecode",
        ],
    ),
    ("policy-proto", &[]),
    (
        "policy-server",
        &[
            "policy-integrations",
            "policy-proto",
            "policy-segments",
            "policy-runtime",
            "policy-compiler",
            "policy-grammar",
            "policy-bytecode",
            "policy-primitives",
        ],
    ),
    ("policy-image", &["policy-server", "policyc"]),
    ("policy-conformance", &["*"]),
    ("policy-benches", &["*"]),
    ("policy-load", &["*"]),
    ("xtask", &["*"]),
];

/// Dependencies that exist only under a feature.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("policy-runtime", &["policy-compiler", "policy-grammar"]),
    ("policy-primitives", &["policy-grammar"]),
];

/// Libraries that cannot forbid unsafe code as a whole, each with an audited module of its own.
const UNSAFE_LIBRARIES: &[&str] = &[];

/// What no file of ours may hold, and why. Written in two parts so that this file does not hold it.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("todo", "!(", "unfinished code"),
    ("unimplemented", "!(", "unfinished code"),
    ("dbg", "!(", "left over from debugging"),
    ("/work", "/", "a path of somebody's machine"),
    ("/ho", "me/", "a path of somebody's machine"),
    ("<<<<", "<<<", "an unresolved conflict"),
];

/// Endings of the files that are searched for forbidden words.
const TEXT: &[&str] = &["rs", "toml", "md", "yaml", "yml", "json", "sh"];

pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    let mut texts: Vec<(String, String)> = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    for path in &files {
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        if name.ends_with(".rs") {
            headers(&name, &text, &mut problems);
        }
        words(&name, &text, &mut problems);
        texts.push((name, text));
    }
    lengths::check(&texts, &mut problems);
    imports::check(&texts, &mut problems);
    edges(root, &mut problems)?;
    lean_runtime(root, &mut problems)?;
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    bail!("{} problems", problems.len())
}

/// Text files of the tree, without what builds leave and what is hidden.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        if name.starts_with('.')
            || name == "target"
            || name == "data" && directory.join("Cargo.toml").is_file()
        {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| TEXT.iter().any(|t| e == *t)) {
            files.push(path);
        }
    }
    Ok(())
}

fn headers(name: &str, text: &str, problems: &mut Vec<String>) {
    let first = text.lines().find(|line| {
        !line.trim().is_empty() && !line.starts_with("#![") && !line.starts_with("// @generated")
    });
    if !first.is_some_and(|line| line.starts_with("//!")) {
        problems.push(format!("{name}:1: the file does not start with a `//!` header"));
    }
    let library = name.ends_with("src/lib.rs") && !UNSAFE_LIBRARIES.contains(&name);
    if library && !text.contains("#![forbid(unsafe_code)]") {
        problems.push(format!(
            "{name}:1: the library does not say `#![forbid(unsafe_code)]`"
        ));
    }
}

fn words(name: &str, text: &str, problems: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        for (head, tail, why) in FORBIDDEN {
            if line.contains(&format!("{head}{tail}")) {
                problems.push(format!("{name}:{}: `{head}{tail}` is {why}", number + 1));
            }
        }
    }
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root)
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "cargo {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

/// Dependencies between our crates, tests left out.
fn edges(root: &Path, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let output = cargo(
        root,
        &["metadata", "--format-version", "1", "--no-deps", "--offline"],
    )?;
    let metadata: Value = serde_json::from_slice(&output)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = list(&metadata["packages"]);
    let ours: BTreeSet<String> = packages.iter().map(|p| text(&p["name"])).collect();
    for package in &packages {
        let name = text(&package["name"]);
        let Some((_, allowed)) = EDGES.iter().find(|(n, _)| *n == name) else {
            problems.push(format!(
                "crate {name}: not in the table of dependencies in xtask/src/tidy.rs"
            ));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let to = text(&dependency["name"]);
            if dependency["kind"] == "dev" || !ours.contains(&to) {
                continue;
            }
            if !allowed.contains(&"*") && !allowed.contains(&to.as_str()) {
                problems.push(format!("crate {name}: may not depend on {to}"));
            }
            let optional = OPTIONAL
                .iter()
                .any(|(n, list)| *n == name && list.contains(&to.as_str()));
            if optional && dependency["optional"] != true {
                problems.push(format!("crate {name}: may depend on {to} only under a feature"));
            }
        }
    }
    Ok(())
}

/// A server that only loads bundles must not link the front end.
fn lean_runtime(root: &Path, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let arguments = [
        "tree",
        "-p",
        "policy-runtime",
        "--no-default-features",
        "-e",
        "normal",
        "--prefix",
        "none",
        "--offline",
    ];
    let tree = String::from_utf8_lossy(&cargo(root, &arguments)?).into_owned();
    for front_end in ["policy-compiler", "policy-grammar"] {
        if tree.lines().any(|line| line.split(' ').next() == Some(front_end)) {
            problems.push(format!(
                "crate policy-runtime: links {front_end} without the feature `compile`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{headers, words};

    fn header(name: &str, text: &str) -> usize {
        let mut problems = Vec::new();
        headers(name, text, &mut problems);
        problems.len()
    }

    #[test]
    fn headers_come_first_and_libraries_forbid_unsafe_code() {
        assert_eq!(header("a/src/x.rs", "//! About x.\n"), 0);
        assert_eq!(header("a/src/x.rs", "#![allow(x)]\n//! About x.\n"), 0);
        assert_eq!(header("a/src/x.rs", "use x;\n//! Late.\n"), 1);
        assert_eq!(header("a/src/x.rs", ""), 1);
        assert_eq!(header("a/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n"), 0);
        assert_eq!(header("a/src/lib.rs", "//! A.\n"), 1);
    }

    #[test]
    fn forbidden_words_are_found_with_their_line() {
        let mut problems = Vec::new();
        words(
            "x.rs",
            &format!("fn f() {{}}\n{}{}()\n", "todo", "!"),
            &mut problems,
        );
        assert_eq!(problems.len(), 1);
        assert!(problems.iter().all(|p| p.starts_with("x.rs:2: ")));
    }
}
