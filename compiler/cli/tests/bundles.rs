//! `build`, `keygen`, `sign`, `verify`, `inspect`: the life of a bundle.

mod support;

use support::{Dir, QUICKSTART, repository};

const DEAR: &str =
    r#"{"llm": {"model": "gpt-4", "prompt": "hi", "maxTokens": 200000}, "team": {"tier": "free"}}"#;

fn dir() -> Dir {
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    dir.run(&["keygen", "-o", "team"]).exits(0);
    dir.run(&["keygen", "-o", "other"]).exits(0);
    dir.run(&["build", "p.yaml", "-o", "p.bundle", "--revision", "r7"])
        .exits(0);
    dir
}

#[test]
fn a_bundle_decides_as_its_sources_do() {
    let dir = dir();
    let bundle = dir
        .run(&["eval", "p.bundle", "-c", DEAR, "--format", "json"])
        .exits(1)
        .json();
    let source = dir
        .run(&["eval", "p.yaml", "-c", DEAR, "--format", "json"])
        .exits(1)
        .json();
    for key in ["decision", "reason", "matchedRules", "matchedPolicies", "allowed"] {
        assert_eq!(bundle["decision"][key], source["decision"][key]);
    }
    assert_eq!(bundle["bundle"]["revision"], "r7");
}

#[test]
fn builds_are_reproducible_and_independent_of_argument_order() {
    let dir = dir();
    dir.write("q.yaml", QUICKSTART.replace("cost-limit-policy", "q").as_bytes());
    dir.run(&["build", "p.yaml", "q.yaml", "-o", "1.bundle"]).exits(0);
    dir.run(&["build", "q.yaml", "p.yaml", "-o", "2.bundle"]).exits(0);
    assert_eq!(dir.read("1.bundle"), dir.read("2.bundle"));
    let left: Vec<_> = std::fs::read_dir(&dir.0)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        !left.iter().any(|n| n.to_string_lossy().contains("tmp")),
        "{left:?}"
    );
}

#[test]
fn a_failed_build_leaves_the_old_bundle() {
    let dir = dir();
    let before = dir.read("p.bundle");
    dir.write("p.yaml", b"nonsense");
    dir.run(&["build", "p.yaml", "-o", "p.bundle"]).exits(2);
    assert_eq!(dir.read("p.bundle"), before);
    dir.run(&["build", "p.yaml", "-o", "no/such/dir.bundle"]).exits(2);
}

#[test]
fn keys_are_secret_and_never_overwritten() {
    let dir = dir();
    let before = dir.read("team.pem");
    let again = dir.run(&["keygen", "-o", "team"]).exits(2);
    assert!(again.err.contains("exists"), "{}", again.err);
    assert_eq!(dir.read("team.pem"), before);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(dir.0.join("team.pem"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let public = String::from_utf8(dir.read("team.pub.pem")).unwrap();
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----"));
}

#[test]
fn only_bundles_signed_by_a_trusted_key_are_used() {
    let dir = dir();
    let verify = |bundle: &str, key: &str, code: i32| {
        dir.run(&["verify", bundle, "--public-key", key]).exits(code);
        let allowed = dir.run(&["eval", bundle, "-c", DEAR, "--public-key", key]);
        assert_eq!(allowed.code, if code == 0 { 1 } else { 2 }, "{}", allowed.err);
    };
    verify("p.bundle", "team.pub.pem", 2);
    dir.run(&["sign", "p.bundle", "--key", "team.pem", "-o", "signed.bundle"])
        .exits(0);
    verify("signed.bundle", "team.pub.pem", 0);
    verify("signed.bundle", "other.pub.pem", 2);
    verify("p.bundle", "team.pub.pem", 2);
    dir.run(&["sign", "signed.bundle", "--key", "other.pem"]).exits(0);
    verify("signed.bundle", "other.pub.pem", 0);
    verify("signed.bundle", "team.pub.pem", 0);
    dir.run(&["build", "p.yaml", "-o", "direct.bundle", "--sign", "team.pem"])
        .exits(0);
    verify("direct.bundle", "team.pub.pem", 0);
    dir.run(&["verify", "signed.bundle"]).exits(2);
    dir.run(&["verify", "signed.bundle", "--public-key", "team.pem"])
        .exits(2);
    let sources = dir
        .run(&["eval", "p.yaml", "-c", DEAR, "--public-key", "team.pub.pem"])
        .exits(2);
    assert!(sources.err.contains("policyc build --sign"), "{}", sources.err);
}

#[test]
fn any_flipped_byte_is_refused() {
    let dir = dir();
    dir.run(&["sign", "p.bundle", "--key", "team.pem"]).exits(0);
    let whole = dir.read("p.bundle");
    let step = (whole.len() / 24).max(1);
    for at in (8..whole.len()).step_by(step) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        dir.write("damaged.bundle", &damaged);
        for command in [
            &["eval", "damaged.bundle", "-c", DEAR][..],
            &["verify", "damaged.bundle", "--public-key", "team.pub.pem"],
            &["inspect", "damaged.bundle"],
        ] {
            let ran = dir.run(command);
            assert_eq!(ran.code, 2, "byte {at}: {} {}", ran.out, ran.err);
        }
    }
    dir.write("short.bundle", &whole[..whole.len() - 1]);
    dir.run(&["eval", "short.bundle", "-c", DEAR]).exits(2);
}

#[test]
fn inspect_tells_what_is_inside() {
    let dir = dir();
    dir.run(&["sign", "p.bundle", "--key", "team.pem"]).exits(0);
    let text = dir.run(&["inspect", "p.bundle"]).exits(0).out;
    for part in [
        "revision   r7",
        "sha256:",
        "llm.estimatedCost  computed",
        "team.tier",
        "cost of one evaluation",
        "limits",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = dir.run(&["inspect", "p.bundle", "--json"]).exits(0).json();
    assert_eq!(json["revision"], "r7");
    assert_eq!(json["policies"][0]["id"], "cost-limit-policy");
    assert_eq!(json["rules"][0]["line"], 9);
    assert_eq!(json["signatures"].as_array().unwrap().len(), 1);
    let sizes = json["sections"].as_array().unwrap();
    let sum: u64 = sizes.iter().map(|s| s["bytes"].as_u64().unwrap()).sum();
    assert!(sum > 0 && sum < json["bytes"].as_u64().unwrap());
    let listing = dir.run(&["inspect", "p.bundle", "--disasm"]).exits(0).out;
    assert!(
        listing.contains("llm.estimatedCost") && listing.contains(".fields"),
        "{listing}"
    );
    dir.run(&["inspect", "p.yaml"]).exits(2);
}

#[test]
fn listings_say_where_instructions_were_written() {
    let dir = dir();
    let listing = dir.run(&["inspect", "p.bundle", "--disasm"]).exits(0).out;
    let placed = dir
        .run(&["inspect", "p.bundle", "--disasm", "--places"])
        .exits(0)
        .out;
    let (test, rest) = placed
        .lines()
        .filter_map(|line| line.split_once("at p.yaml:"))
        .find(|(comment, _)| comment.contains("team.tier eq"))
        .unwrap_or_else(|| panic!("{placed}"));
    assert!(test.contains("test p") && rest == "17:11", "{test}{rest}");
    assert!(!listing.contains("p.yaml"), "{listing}");
    assert_eq!(listing.lines().count(), placed.lines().count());
    dir.run(&["inspect", "p.bundle", "--places"]).exits(2);
    // Bundles of earlier compilers do not say so.
    let earlier = repository("vm/bytecode/tests/formats/4.bundle");
    let earlier = earlier.to_str().unwrap();
    dir.run(&["inspect", earlier, "--disasm"]).exits(0);
    let refused = dir.run(&["inspect", earlier, "--disasm", "--places"]).exits(2);
    assert!(
        refused.err.contains("it has no section `debug`"),
        "{}",
        refused.err
    );

    let dump = &["build", "p.yaml", "-o", "x.bundle", "--dump-ir=lowered"];
    assert!(!dir.run(dump).exits(0).out.contains(" @0:"));
    let dump = dir.run(&[&dump[..], &["--places"]].concat()).exits(0).out;
    let line = dump.lines().find(|line| line.contains("team.tier eq")).unwrap();
    assert!(line.trim().starts_with("@0:"), "{dump}");
    dir.run(&["build", "p.yaml", "-o", "x.bundle", "--places"])
        .exits(2);
}

#[test]
fn builds_can_be_looked_into() {
    let dir = dir();
    let ran = dir
        .run(&[
            "build",
            "p.yaml",
            "-o",
            "x.bundle",
            "--dump-ir=lowered",
            "--time-passes",
        ])
        .exits(0);
    assert!(ran.out.starts_with("; after lowered\n"), "{}", ran.out);
    let unknown = dir
        .run(&["build", "p.yaml", "-o", "x.bundle", "--dump-ir=after=nonsense"])
        .exits(2);
    assert!(unknown.err.contains("nonsense"), "{}", unknown.err);
    dir.run(&["build", "p.yaml", "-o", "x.bundle", "--dump-ir=nonsense"])
        .exits(2);
    for level in ["-O0", "-O1", "-O2"] {
        dir.run(&["build", "p.yaml", "-o", "x.bundle", level]).exits(0);
        dir.run(&["eval", "x.bundle", "-c", DEAR]).exits(1);
    }
}

#[test]
fn the_index_says_how_each_rule_is_reached() {
    let dir = dir();
    let mut policy = String::from("metadata: { id: tenants, name: Tenants }\nrules:\n");
    for i in 0..5 {
        policy.push_str(&format!(
            "  - {{ id: t{i}, condition: {{ operator: eq, field: team.id, value: team-{i} }}, action: {{ decision: deny }} }}\n"
        ));
    }
    policy.push_str(
        "  - { id: cost, condition: { operator: gt, field: llm.maxCost, value: 1 }, action: { decision: warn } }\n",
    );
    dir.write("t.yaml", policy.as_bytes());
    dir.run(&["build", "t.yaml", "-o", "t.bundle"]).exits(0);
    let text = dir.run(&["inspect", "t.bundle", "--index"]).exits(0).out;
    for part in [
        "5 of 6 rules found by lookup",
        "tenants/t3  team.id eq \"team-3\"",
        "tenants/cost  always: no comparison of a request field",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = dir
        .run(&["inspect", "t.bundle", "--index", "--json"])
        .exits(0)
        .json();
    assert_eq!(json["rules"][3]["guards"][0][0], "team.id eq \"team-3\"");
    assert!(json["rules"][5]["always"].is_string());

    dir.run(&["build", "t.yaml", "-O0", "-o", "t0.bundle"]).exits(0);
    let text = dir.run(&["inspect", "t0.bundle", "--index"]).exits(0).out;
    assert!(text.contains("0 of 6 rules"), "{text}");
}

#[test]
fn what_is_no_usable_bundle_says_how_to_make_one() {
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    dir.run(&["build", "p.yaml", "-o", "p.bundle"]).exits(0);
    dir.run(&["keygen", "-o", "team"]).exits(0);
    let said = |arguments: &[&str]| dir.run(arguments).exits(2).err;
    let yaml = said(&["inspect", "p.yaml"]);
    assert!(
        yaml.contains("`p.yaml` is not a bundle; make one with `policyc build`"),
        "{yaml}"
    );
    for arguments in [
        &["verify", "p.bundle", "--public-key", "team.pub.pem"][..],
        &[
            "eval",
            "p.bundle",
            "--public-key",
            "team.pub.pem",
            "--context",
            "{}",
        ],
    ] {
        let unsigned = said(arguments);
        assert_eq!(
            unsigned,
            "error: `p.bundle` is refused: it is not signed; sign it with `policyc sign`\n"
        );
    }
    let mut bytes = dir.read("p.bundle");
    bytes[8] = bytes[8].wrapping_add(1);
    dir.write("old.bundle", &bytes);
    for arguments in [
        &["inspect", "old.bundle"][..],
        &["eval", "old.bundle", "--context", "{}"],
    ] {
        let old = said(arguments);
        assert!(
            old.contains("is not supported") && old.contains("; build it again with this version"),
            "{old}"
        );
    }
}
