//! Searches of whole repositories: what is taken for policies, what is skipped and said, and that nothing broken is skipped.

mod support;

use support::{Dir, QUICKSTART};

const BROKEN: &str = "metadata: {id: b, name: B}\nrule: []\n";
const MANIFEST: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n";

fn policy(id: &str) -> String {
    QUICKSTART.replace("cost-limit-policy", id)
}

/// A repository of a program that has a few policies.
fn repository() -> Dir {
    let dir = Dir::with(&[
        (".git/HEAD", "ref: refs/heads/main\n"),
        (".git/x.yaml", BROKEN),
        (".github/workflows/ci.yaml", BROKEN),
        ("policies/a.yaml", &policy("a")),
        ("policies/a_test.yaml", "tests: []\n"),
        ("deploy/service.yaml", MANIFEST),
        ("ci.yml", "name: ci\non: [push]\njobs: {}\n"),
        ("compose.yaml", "services: {web: {image: x}}\n"),
        (
            "package.json",
            "{\"name\": \"x\", \"version\": \"1\", \"dependencies\": {}}",
        ),
        ("config.yaml", "port: 8080\n"),
        ("Cargo.toml", ""),
        ("go.mod", ""),
        ("target/b.yaml", BROKEN),
        ("vendor/b.yaml", BROKEN),
        ("node_modules/x/b.yaml", BROKEN),
    ]);
    dir.write("README.md", b"# Program\n");
    dir
}

#[test]
fn a_whole_repository_can_be_checked() {
    let dir = repository();
    for command in ["check", "fmt"] {
        let ran = dir.run(&[command, "."]).exits(0);
        let said: Vec<&str> = ran.err.lines().collect();
        assert_eq!(
            said[..2],
            [
                "not entered, because a tool made it: `node_modules`, `target`, `vendor`",
                "skipped 5 files that are no policies (-v lists them)",
            ],
            "{command}"
        );
    }
    let ran = dir.run(&["check", "."]).exits(0);
    assert!(ran.err.ends_with("1 file: no problems\n"), "{}", ran.err);
    let ran = dir.run(&["check", "-v", "."]).exits(0);
    for line in [
        "not entered, because it is hidden: `.git`, `.github`",
        "`deploy/service.yaml` is no policy: a Kubernetes manifest",
        "`ci.yml` is no policy: a workflow of GitHub",
        "`compose.yaml` is no policy: a Compose file",
        "`package.json` is no policy: a package manifest",
        "`config.yaml` is no policy: none of its keys is one of a policy",
    ] {
        assert!(ran.err.lines().any(|said| said == line), "{line}: {}", ran.err);
    }
    let ran = dir.run(&["check", "-q", "."]).exits(0);
    assert_eq!(ran.err, "");
    dir.run(&["build", ".", "-o", "p.bundle"]).exits(0);
    dir.run(&["eval", ".", "-c", "{}"]).exits(0);
    dir.run(&["explain", ".", "-c", "{}"]).exits(0);
    // What a file is named for is always done.
    dir.run(&["check", "deploy/service.yaml"]).exits(2);
    dir.run(&["check", ".", "deploy/service.yaml"]).exits(2);
    dir.run(&["check", "config.yaml"]).exits(2);
    dir.run(&["check", "target"]).exits(2);
    dir.run(&["check", "target/b.yaml"]).exits(2);
}

/// Each of these is a broken policy; none may make a green check of a directory.
#[test]
fn a_broken_policy_is_never_skipped() {
    for (name, text) in [
        ("b.yaml", BROKEN),
        ("b.yaml", "metadata: {id: b, name: B}\nRules: []\n"),
        ("b.yaml", "metdata: {id: b}\nruls: []\n"),
        ("b.yaml", "rule: {id: b}\n"),
        ("b.yaml", "metadata: {id: b, name: B\nrules: []\n"),
        ("b.yaml", "policy: {id: b}\n"),
        (
            "b.yaml",
            "apiVersion: x/v1\nkind: Policy\nmetadata: {name: b}\nspec: {}\n",
        ),
        ("b.yaml", "- id: r\n  condition: {}\n  action: {}\n"),
        ("b.yaml", "a:\n  - {operater: eq, field: x}\n"),
        ("b.yaml", "# nothing yet\n"),
        ("b.yaml", ""),
        (
            "b.yaml",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        ),
        ("b.json", "{\"metadata\": {\"id\": \"b\"}, \"rule\": [}"),
        ("b.json", "{}"),
        // Names that tools use, where no tool made them.
        ("vendor/b.yaml", BROKEN),
        ("target/b.yaml", BROKEN),
        // Behind a document that is none.
        ("b.yaml", &format!("{MANIFEST}---\n{BROKEN}")),
    ] {
        let dir = Dir::with(&[(".git/HEAD", ""), ("p/a.yaml", &policy("a"))]);
        dir.write(&format!("p/{name}"), text.as_bytes());
        for path in [".", "p"] {
            let ran = dir.run(&["check", path]).exits(2);
            assert!(ran.err.contains(&format!("p/{name}")), "{text}: {}", ran.err);
            dir.run(&["build", path, "-o", "p.bundle"]).exits(2);
            dir.run(&["eval", path, "-c", "{}"]).exits(2);
        }
    }
    // Bytes that are no text.
    let dir = Dir::with(&[("p/a.yaml", &policy("a"))]);
    dir.write("p/b.yaml", b"metadata: {id: caf\xe9}\n");
    dir.run(&["check", "p"]).exits(2);
}

/// A check of nothing is not a green check.
#[test]
fn where_nothing_is_left_there_is_an_error() {
    let dir = Dir::with(&[
        (".git/HEAD", ""),
        ("a/service.yaml", MANIFEST),
        ("b/a.yaml", &policy("a")),
        (".gitignore", "b/*.yaml\n"),
        ("c/a.yaml", &policy("a")),
        (".policycignore", "c/\n"),
        ("d/a.yaml", &policy("d")),
    ]);
    let ran = dir.run(&["check", "a"]).exits(2);
    assert!(
        ran.err
            .contains("`a` holds no policies: 1 file is of another kind (-v lists them)"),
        "{}",
        ran.err
    );
    dir.run(&["check", "d", "a"]).exits(2);
    let ran = dir.run(&["check", "b"]).exits(2);
    assert!(ran.err.contains("but for 1 file in .gitignore"), "{}", ran.err);
    // A directory that is named is searched, whatever is said of it elsewhere.
    dir.run(&["check", "c"]).exits(0);
    dir.run(&["check", "."]).exits(0);
}

#[test]
fn ignore_files_are_respected() {
    let dir = Dir::with(&[
        (".git/HEAD", ""),
        ("a.yaml", &policy("a")),
        ("drafts/b.yaml", BROKEN),
        ("drafts/deep/keep.yaml", BROKEN),
        ("old.yaml", BROKEN),
        (".policycignore", "drafts/\nold.yaml\n"),
    ]);
    let ran = dir.run(&["check", "."]).exits(0);
    assert_eq!(
        ran.err,
        "left out by .policycignore or the project file: `drafts`, `old.yaml`\n1 file: no problems\n"
    );
    // Also from below, and nearer files come first.
    dir.write("sub/x.yaml", policy("x").as_bytes());
    dir.write("sub/old.yaml", policy("old").as_bytes());
    let ran = dir.run(&["check", "sub"]).exits(0);
    assert!(ran.err.ends_with("1 file: no problems\n"), "{}", ran.err);
    dir.write("sub/.policycignore", b"!old.yaml\n");
    let ran = dir.run(&["check", "sub"]).exits(0);
    assert!(ran.err.ends_with("2 files: no problems\n"), "{}", ran.err);
    // A pattern that cannot be read would leave out something else.
    dir.write(".policycignore", b"a{\n");
    let ran = dir.run(&["check", "."]).exits(2);
    assert!(ran.err.contains(".policycignore"), "{}", ran.err);
}

/// `.gitignore` is not about policies: what it hides is said, and fails a strict check.
#[test]
fn a_policy_that_git_ignores_is_a_warning() {
    let dir = Dir::with(&[
        (".git/HEAD", ""),
        (".gitignore", "*.local.yaml\n/out/\n"),
        ("a.yaml", &policy("a")),
        ("b.local.yaml", BROKEN),
        ("c.local.yaml", MANIFEST),
        ("out/d.yaml", BROKEN),
    ]);
    let ran = dir.run(&["check", "."]).exits(0);
    assert!(
        ran.err.contains("W0204") && ran.err.ends_with("1 file: 0 errors, 2 warnings\n"),
        "{}",
        ran.err
    );
    let list = dir.run(&["check", "--format", "json", "."]).exits(0).json();
    let files: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["file"].as_str().unwrap())
        .collect();
    assert_eq!(files, ["b.local.yaml", "out/d.yaml"]);
    dir.run(&["check", "--strict", "."]).exits(1);
    let built = dir.run(&["build", ".", "-o", "p.bundle"]).exits(0);
    assert!(built.err.contains("W0204"), "{}", built.err);
    // Who evaluates or sends the rest is told as well, and the file is not read for its mistakes.
    for arguments in [
        &["eval", ".", "-c", "{}"][..],
        &["push", ".", "--server", "http://127.0.0.1:9"],
    ] {
        let ran = dir.run(arguments);
        assert!(
            ran.err.contains("warning[W0204]") && !ran.err.contains("E0004"),
            "{}",
            ran.err
        );
    }
    dir.run(&["check", "b.local.yaml"]).exits(2);
    // Of what is large, the beginning says it.
    let large = format!("{}{}", policy("large"), "# more\n".repeat(50_000));
    dir.write("out/large.yaml", large.as_bytes());
    dir.write(
        "out/data.json",
        format!("[{}0]", "0, ".repeat(200_000)).as_bytes(),
    );
    let list = dir.run(&["check", "--format", "json", "."]).exits(0).json();
    assert_eq!(list.as_array().unwrap().len(), 3, "{list}");
    // Saying it for policies ends it.
    dir.write(".policycignore", b"*.local.yaml\nout/\n");
    dir.run(&["check", "--strict", "."]).exits(0);
    // Without a repository, .gitignore says nothing.
    let dir = Dir::with(&[
        (".gitignore", "b.yaml\n"),
        ("a.yaml", &policy("a")),
        ("b.yaml", BROKEN),
    ]);
    dir.run(&["check", "."]).exits(2);
}

#[test]
fn tests_are_searched_in_the_same_way() {
    let test = "tests:\n  - name: t\n    context: {}\n    expect: { decision: allow }\n";
    let failing = test.replace("allow", "deny");
    let dir = Dir::with(&[
        (".git/HEAD", ""),
        ("p/a.yaml", &policy("a")),
        ("p/a_test.yaml", test),
        ("p/service.yaml", MANIFEST),
        ("old/b.yaml", &policy("b")),
        ("old/b_test.yaml", &failing),
        ("node_modules/c_test.yaml", &failing),
        (".policycignore", "old/\n"),
    ]);
    let ran = dir.run(&["test", ".", "--coverage"]).exits(0);
    assert!(ran.out.contains("1 passed, 0 failed"), "{}", ran.out);
    dir.write(".policycignore", b"");
    dir.run(&["test", "."]).exits(1);
}
