//! The project file: where it is found, what it sets, what it cannot do in silence.

mod support;

use support::{Dir, QUICKSTART, command};

/// With the warning `W0001`.
fn warns() -> String {
    QUICKSTART.replace("version: 1.0.0", "version: '1.0'")
}

#[test]
fn the_nearest_file_up_to_the_root_of_the_repository_is_used() {
    let dir = Dir::with(&[
        ("policyc.toml", "nonsense = 1\n"),
        ("repo/.git/HEAD", ""),
        ("repo/policyc.toml", "paths = [\"policies\"]\nstrict = true\n"),
        ("repo/policies/p.yaml", &warns()),
        ("repo/deep/er/x", ""),
        ("alone/p.yaml", &warns()),
    ]);
    let run = |place: &str, arguments: &[&str]| {
        let mut command = command(arguments);
        support::Ran::from(command.current_dir(dir.0.join(place)).output().unwrap())
    };
    let ran = run("repo", &["check", "-v"]).exits(1);
    assert!(ran.err.starts_with("settings of `policyc.toml`\n"), "{}", ran.err);
    let ran = run("repo/deep/er", &["check", "-v"]).exits(1);
    assert!(
        ran.err.starts_with("settings of `../../policyc.toml`\n")
            && ran.err.contains("../../policies/p.yaml:4:12"),
        "{}",
        ran.err
    );
    // The command line says otherwise.
    run("repo", &["check", "--no-strict"]).exits(0);
    run("repo", &["check", "--no-config"]).exits(2);
    run("repo", &["check", "--no-config", "policies"]).exits(0);
    run("repo", &["build", "-o", "p.bundle"]).exits(0);
    // Files above the repository, and above a directory without one, are other people's.
    run("alone", &["check", "p.yaml"]).exits(0);
    let ran = run("alone", &["check", "--config", "../repo/policyc.toml"]).exits(1);
    assert!(ran.err.contains("../repo/policies/p.yaml"), "{}", ran.err);
    run("alone", &["check", "--config", "none.toml", "p.yaml"]).exits(2);
    let ran = run(".", &["check", "alone/p.yaml"]).exits(2);
    assert!(
        ran.err.contains("unknown key `nonsense`") && ran.err.contains("policyc.toml:1:1"),
        "{}",
        ran.err
    );
    // Commands that it says nothing to do not fail for it.
    run(".", &["schema"]).exits(0);
}

#[test]
fn mistakes_have_their_place() {
    for (text, place, says) in [
        ("strct = true\n", "1:1", "did you mean `strict`?"),
        ("min_coverage = 1\n", "1:1", "did you mean `min-coverage`?"),
        ("strict = 1\n", "1:10", "`strict` takes `true` or `false`"),
        ("paths = \"a\"\n", "1:9", "`paths` takes a list of paths"),
        ("paths = [1]\n", "1:10", "`paths` takes a list of paths"),
        ("paths = []\n", "1:9", "`paths` is empty"),
        ("exclude = [\"a{\"]\n", "1:12", "not a pattern"),
        (
            "min-coverage = 101\n",
            "1:16",
            "`min-coverage` takes a number from 0 to 100",
        ),
        ("\n\nschema = \"\"\n", "3:10", "`schema` takes a path"),
        (
            "[warnings]\nW9999 = \"allow\"\n",
            "2:1",
            "there is no warning `W9999`",
        ),
        (
            "[warnings]\nE0004 = \"allow\"\n",
            "2:1",
            "`E0004` is an error, and only warnings can be set",
        ),
        (
            "[warnings]\nW0001 = \"off\"\n",
            "2:9",
            "a warning takes \"error\", \"warn\" or \"allow\"",
        ),
        ("strict = \n", "1:10", "not TOML"),
        ("api-key = \"x\"\n", "1:1", "this file holds no secrets"),
        ("POLICY_TOKEN = \"x\"\n", "1:1", "this file holds no secrets"),
        ("server = \"https://a:b@c\"\n", "1:10", "no user and no password"),
    ] {
        let dir = Dir::with(&[("policyc.toml", text), ("p.yaml", QUICKSTART)]);
        let ran = dir.run(&["check", "p.yaml"]).exits(2);
        let at = format!("policyc.toml:{place}\n");
        assert!(
            ran.err.contains(says) && ran.err.contains(&at),
            "{text}: {}",
            ran.err
        );
    }
}

#[test]
fn warnings_weigh_what_the_file_says_and_what_is_allowed_is_counted() {
    let dir = Dir::with(&[("p.yaml", &warns())]);
    let set = |level: &str| {
        dir.write(
            "policyc.toml",
            format!("[warnings]\nW0001 = \"{level}\"\n").as_bytes(),
        )
    };
    set("error");
    let ran = dir.run(&["check", "p.yaml"]).exits(2);
    assert!(ran.err.contains("error[W0001]"), "{}", ran.err);
    dir.run(&["build", "p.yaml", "-o", "p.bundle"]).exits(2);
    dir.run(&["eval", "p.yaml", "-c", "{}"]).exits(2);
    assert!(!dir.exists("p.bundle"));
    set("warn");
    dir.run(&["check", "p.yaml"]).exits(0);
    set("allow");
    let counted = "1 warning is allowed by `policyc.toml`: W0001 1\n";
    for arguments in [
        &["check", "--strict", "p.yaml"][..],
        &["check", "-q", "p.yaml"],
        &["check", "--format", "github", "p.yaml"],
        &["build", "-q", "p.yaml", "-o", "p.bundle"],
    ] {
        let ran = dir.run(arguments).exits(0);
        assert!(ran.err.ends_with(counted), "{arguments:?}: {}", ran.err);
    }
    let list = dir.run(&["check", "--format", "json", "p.yaml"]).exits(0).json();
    assert_eq!(list[0]["suppressed"]["by"], "project");
    let log = dir.run(&["check", "--format", "sarif", "p.yaml"]).exits(0).json();
    assert_eq!(
        log["runs"][0]["results"][0]["suppressions"][0]["kind"],
        "external"
    );
}

#[test]
fn every_other_setting_takes_effect() {
    let schema = r#"{"properties": {"order": {"properties": {"total": {"type": "string"}}, "additionalProperties": false}}}"#;
    let prices = r#"{"models": {"house": {"provider": "acme", "mode": "chat", "input_per_million": 0, "output_per_million": 0}}}"#;
    let house =
        r#"{"llm": {"model": "house", "prompt": "hi there", "maxTokens": 200000}, "team": {"tier": "free"}}"#;
    let test = "tests:\n  - name: t\n    context: {}\n    expect: { decision: allow }\n";
    let dir = Dir::with(&[
        ("set/schema.json", schema),
        ("set/prices.json", prices),
        (
            "set/policyc.toml",
            "exclude = [\"drafts\", \"/x.yaml\"]\nschema = \"schema.json\"\nprices = \"prices.json\"\nmin-coverage = 100\nnamespace = \"production\"\n",
        ),
        ("set/p.yaml", QUICKSTART),
        ("set/p_test.yaml", test),
        ("set/drafts/b.yaml", "rule: 1\n"),
        ("set/x.yaml", "rule: 1\n"),
        ("order.yaml", &QUICKSTART.replace("team.tier", "order.totl")),
        (
            "other.yaml",
            &QUICKSTART.replace("namespace: production", "namespace: other"),
        ),
    ]);
    let with = |arguments: &[&str]| dir.run(&[arguments, &["--config", "set/policyc.toml"][..]].concat());
    with(&["check", "set"]).exits(0);
    with(&["check", "--strict", "order.yaml"]).exits(1);
    dir.run(&["check", "--strict", "order.yaml"]).exits(0);
    // Without its price, what the model costs cannot be told.
    with(&["eval", "set/p.yaml", "-c", house]).exits(0);
    dir.run(&["eval", "set/p.yaml", "-c", house]).exits(1);
    let ran = with(&["test", "set"]).exits(1);
    assert!(ran.out.contains("below the minimum of 100 %"), "{}", ran.out);
    with(&["test", "set", "--min-coverage", "0"]).exits(0);
    with(&["test", "set", "--filter", "t"]).exits(0);
    // The namespace of the file is that of requests, unless the command line names one.
    let dear = house.replace("house", "gpt-4");
    let both = [
        "eval",
        "set/p.yaml",
        "other.yaml",
        "--all",
        "--format",
        "json",
        "-c",
        &dear,
    ];
    let rules = |ran: support::Ran| ran.json()["decision"]["matchedRules"].as_array().unwrap().len();
    assert_eq!(rules(with(&both).exits(1)), 1);
    let named = [&both[..], &["--namespace", "nowhere"]].concat();
    with(&named).exits(2);
}

#[test]
fn the_new_side_of_a_comparison_is_the_policies_of_the_file() {
    let dir = Dir::with(&[
        ("policyc.toml", "paths = [\"policies\"]\n"),
        ("policies/p.yaml", QUICKSTART),
        ("old.yaml", &QUICKSTART.replace("1.0\n", "2.0\n")),
    ]);
    let ran = dir.run(&["diff", "old.yaml"]).exits(1);
    assert!(ran.out.contains("+ (llm.estimatedCost gt 1.0"), "{}", ran.out);
    let ran = dir.run(&["diff", "old.yaml", "--no-config"]).exits(2);
    assert!(ran.err.contains("give a PATH, or set `paths`"), "{}", ran.err);
    // Nothing listens there: the files were read before.
    let ran = dir.run(&["diff", "--server", "http://127.0.0.1:9"]).exits(2);
    assert!(ran.err.contains("no answer from"), "{}", ran.err);
}

/// The file comes with a repository: it must not send anybody's token to a server of its own.
#[test]
fn tokens_of_the_environment_are_not_sent_to_a_server_that_only_the_file_names() {
    let dir = Dir::with(&[
        ("policyc.toml", "server = \"http://127.0.0.1:9\"\n"),
        ("key", "secret\n"),
    ]);
    let run = |variable: Option<&str>, arguments: &[&str]| {
        let mut command = command(arguments);
        for name in ["POLICY_TOKEN", "POLICY_API_KEY", "POLICY_SERVER"] {
            command.env_remove(name);
        }
        if let Some(name) = variable {
            command.env(name, "secret");
        }
        support::Ran::from(command.current_dir(&dir.0).output().unwrap())
            .exits(2)
            .err
    };
    for name in ["POLICY_TOKEN", "POLICY_API_KEY"] {
        let said = run(Some(name), &["list"]);
        assert!(
            said.contains(&format!("{name} is not sent to `http://127.0.0.1:9`")),
            "{said}"
        );
        let said = run(Some(name), &["list", "--server", "http://127.0.0.1:9"]);
        assert!(!said.contains("is not sent"), "{said}");
    }
    // It is asked without, and with what is given for it.
    let said = run(None, &["list"]);
    assert!(
        said.contains("127.0.0.1:9") && !said.contains("is not sent"),
        "{said}"
    );
    let said = run(Some("POLICY_TOKEN"), &["list", "--api-key-file", "key"]);
    assert!(!said.contains("is not sent"), "{said}");
}

/// The page and the program know the same keys.
#[test]
fn the_documentation_has_every_key() {
    let page = std::fs::read_to_string(support::repository("docs/project-file.md")).unwrap();
    assert!(
        page.contains(&policyc::project_keys()),
        "docs/project-file.md lacks:\n{}",
        policyc::project_keys()
    );
}
