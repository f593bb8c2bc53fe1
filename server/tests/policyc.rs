//! The client commands of `policyc` against a whole server: the real program, real connections.
//!
//! The program is another package's, so it is built here first, which costs a moment when it is there already.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

#[path = "support/server.rs"]
mod server;
#[path = "support/tls.rs"]
mod tls;

use policy_server::edges::Report;
use policy_server::identity::{Identity, Role};
use policy_server::service::Call;
use policy_server::service::keys::NewKey;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use server::Running;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use tls::{Authority, Files};

const ONE: &str = "# about one\nmetadata: { id: one, name: One, namespace: production }\nrules:\n  - id: r\n    \
                   condition: { operator: gt, field: llm.maxTokens, value: 100 }\n    action: { decision: deny, reason: too many }\n";
const TWO: &str = "metadata: { id: two, name: Two }\nrules:\n  - id: s\n    condition: { operator: eq, field: a, value: 1 }\n    \
                   action: { decision: warn }\nstatus: draft\n";

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--offline",
                // As a whole, so that dependencies have the features that they were built with before.
                "--workspace",
                "--bin",
                "policyc",
            ])
            .args(["--message-format", "json"])
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let text = String::from_utf8(built.stdout).unwrap();
        let executable = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["target"]["name"] == "policyc")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from));
        executable.unwrap()
    })
}

/// A directory to run in, and the server to talk to.
struct Shell {
    dir: TempDir,
    url: String,
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// Whether a line of the output has these words in this order.
    #[track_caller]
    fn says(&self, words: &[&str]) -> &Self {
        let found = self.out.lines().any(|line| {
            let mut given = line.split_whitespace();
            words.iter().all(|word| given.any(|g| g == *word))
        });
        assert!(found, "{words:?} not in: {}", self.out);
        self
    }
}

impl Shell {
    fn new(server: &Running) -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            url: format!("http://{}", server.addresses.http),
        }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("POLICY_SERVER", &self.url)
            .env_remove("POLICY_TOKEN")
            .env_remove("POLICY_API_KEY");
        for (name, value) in variables {
            command.env(name, value);
        }
        let output = command.output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_pushed_listed_activated_and_rolled_back() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    shell.write("both.yaml", format!("{ONE}---\n{TWO}"));
    let first = shell.run(&["push", "both.yaml"]).exits(0);
    first
        .says(&["one", "1", "active", "created"])
        .says(&["two", "1", "draft", "created"]);
    // Nothing changed, so nothing is written.
    shell
        .run(&["push", "both.yaml"])
        .exits(0)
        .says(&["one", "1", "active", "unchanged"]);
    shell.write("one.yaml", ONE.replace("100", "50"));
    let updated = shell
        .run(&["push", "one.yaml", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        (&updated[0]["result"], &updated[0]["version"]),
        (&"updated".into(), &2.into())
    );

    // Another version than the one that is there.
    shell.write("one.yaml", ONE.replace("100", "60"));
    let stale = shell.run(&["push", "one.yaml", "--if-match", "1"]).exits(1);
    assert!(stale.err.contains("version_mismatch"), "{}", stale.err);
    shell.run(&["push", "one.yaml", "--if-match", "2"]).exits(0);
    shell.write("one.yaml", ONE.replace("100", "70"));
    shell
        .run(&["push", "one.yaml", "--force"])
        .exits(0)
        .says(&["one", "4", "active", "updated"]);

    let list = shell.run(&["list"]).exits(0);
    list.says(&["one", "production", "4", "4", "active"])
        .says(&["two", "default", "1", "draft"]);
    let drafts = shell
        .run(&["list", "--status", "draft", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(drafts.as_array().unwrap().len(), 1);
    let namespace = shell
        .run(&["list", "--namespace", "production", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        (namespace.as_array().unwrap().len(), &namespace[0]["id"]),
        (1, &"one".into())
    );

    let unnamed = shell.run(&["activate", "two"]).exits(2);
    assert!(unnamed.err.contains("--if-match N"), "{}", unnamed.err);
    shell
        .run(&["activate", "two", "--if-match", "1"])
        .exits(0)
        .says(&["two", "active"]);
    shell.run(&["activate", "two", "--if-match", "1"]).exits(1);
    shell
        .run(&["activate", "two", "--status", "deprecated"])
        .exits(0)
        .says(&["two", "deprecated"]);

    let history = shell.run(&["history", "one", "--format", "json"]).exits(0).json();
    let versions: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].clone())
        .collect();
    assert_eq!(versions, [4, 3, 2, 1]);
    let short = shell
        .run(&["history", "one", "--limit", "2", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(short.as_array().unwrap().len(), 2);
    shell
        .run(&["rollback", "one", "--to", "1"])
        .exits(0)
        .says(&["one", "5", "5", "active"]);
    assert_eq!(shell.run(&["get", "one"]).exits(0).out, ONE);
    let fourth = shell.run(&["get", "one", "--version", "4"]).exits(0).out;
    assert_ne!(fourth, ONE);
    // Without a version, to the one before.
    shell
        .run(&["rollback", "one"])
        .exits(0)
        .says(&["one", "6", "6", "active"]);
    assert_eq!(shell.run(&["get", "one"]).exits(0).out, fourth);
    shell
        .run(&["rollback", "one"])
        .exits(0)
        .says(&["one", "7", "7", "active"]);
    let first = shell.run(&["rollback", "two"]).exits(2);
    assert!(first.err.contains("decides"), "{}", first.err);
    // The text is that of the first version again.
    shell.write("one.yaml", ONE);
    shell
        .run(&["push", "one.yaml"])
        .exits(0)
        .says(&["one", "7", "active", "updated"].map(|w| if w == "updated" { "unchanged" } else { w }));

    let denied = shell
        .run(&[
            "eval",
            "--server",
            &shell.url,
            "-c",
            r#"{"llm":{"maxTokens":101}}"#,
        ])
        .exits(1);
    assert!(denied.out.starts_with("DENY  too many\n"), "{}", denied.out);
    let allowed = shell
        .run(&[
            "eval",
            "--server",
            &shell.url,
            "-c",
            r#"{"llm":{"maxTokens":100}}"#,
            "--format",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(allowed["decision"]["allowed"], true);
    shell.run(&["delete", "two", "--if-match", "7"]).exits(1);
    shell.run(&["delete", "two"]).exits(0);
    shell.run(&["get", "two"]).exits(2);
    let kept = shell.run(&["get", "two", "--version", "1"]).exits(0).out;
    assert!(kept.ends_with(TWO), "{kept}");
    let traced = shell
        .run(&[
            "eval",
            "--server",
            &shell.url,
            "-c",
            r#"{"llm":{"maxTokens":"x"}}"#,
            "--trace",
        ])
        .exits(1);
    assert!(
        traced.out.contains("error") && traced.out.contains("llm.maxTokens gt 100"),
        "{}",
        traced.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compiler_warns_of_is_shown_and_stops_a_strict_push() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    let warned = ONE.replace("llm.maxTokens", "llm.maxToken");
    shell.write("one.yaml", &warned);
    shell.write("two.yaml", TWO);
    let place = "one.yaml:5:39";
    let refused = shell.run(&["push", "two.yaml", "one.yaml", "--strict"]).exits(1);
    assert!(
        refused.err.contains("W0002")
            && refused.err.contains(place)
            && refused.err.contains("nothing was sent"),
        "{}",
        refused.err
    );
    let report = shell
        .run(&["push", "two.yaml", "one.yaml", "--strict", "--format", "json"])
        .exits(1)
        .json();
    assert_eq!(
        (
            &report[1]["result"],
            &report[0]["result"],
            &report[0]["diagnostics"][0]["code"]
        ),
        (&"unsent".into(), &"refused".into(), &"W0002".into())
    );
    let list = shell.run(&["list", "--format", "json"]).exits(0).json();
    assert_eq!(list, Value::Array(Vec::new()), "nothing was sent");

    let pushed = shell.run(&["push", "one.yaml", "two.yaml"]).exits(0);
    pushed.says(&["one", "1", "active", "created"]);
    assert!(
        pushed.err.contains("W0002") && pushed.err.contains(place),
        "{}",
        pushed.err
    );
    shell.write("one.yaml", format!("# again\n{warned}"));
    let report = shell
        .run(&["push", "one.yaml", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        (
            &report[0]["warnings"][0]["code"],
            &report[0]["warnings"][0]["line"]
        ),
        (&"W0002".into(), &6.into())
    );
    shell
        .run(&["push", "two.yaml", "--strict"])
        .exits(0)
        .says(&["two", "unchanged"]);

    // A server may be strict itself.
    let strict = Running::start(&[("POLICY_STRICT", "true")]).await;
    let shell = Shell::new(&strict);
    shell.write("one.yaml", &warned);
    let refused = shell.run(&["push", "one.yaml"]).exits(2);
    assert!(
        refused.err.contains("W0002")
            && refused.err.contains(place)
            && refused.err.contains("(policy_invalid)"),
        "{}",
        refused.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_is_shown_approved_and_rejected() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let shell = Shell::new(&server);
    let [ann, bob] = [
        server.key("ann", &[Role::Author.as_str()]).await,
        server.key("bob", &[Role::Approver.as_str()]).await,
    ];
    let as_ann = |arguments: &[&str]| shell.run_with(arguments, &[("POLICY_API_KEY", &ann)]);
    let as_bob = |arguments: &[&str]| shell.run_with(arguments, &[("POLICY_API_KEY", &bob)]);
    shell.write("one.yaml", ONE);
    let pushed = as_ann(&["push", "one.yaml"]).exits(0);
    pushed.says(&[
        "one", "1", "none", "active,", "waits", "for", "approval", "created",
    ]);
    let note = "one (production): version 1 waits for approval since 20";
    assert!(
        pushed.out.contains(note)
            && pushed.out.contains("; no version decides")
            && pushed
                .out
                .contains("can be approved by anyone with policy:approve, except: ann (key ")
            && !pushed.out.contains("you may:")
            && pushed.out.contains("you may not: you lack policy:approve"),
        "{}",
        pushed.out
    );
    let waiting = as_bob(&["approvals", "--format", "json"]).exits(0).json();
    assert_eq!(
        (
            &waiting[0]["id"],
            &waiting[0]["version"],
            &waiting[0]["activeVersion"]
        ),
        (&"one".into(), &1.into(), &Value::Null)
    );
    let table = as_bob(&["approvals", "--namespace", "production"]).exits(0);
    table.says(&["one", "production", "1", "none", "ann", "yes"]);
    assert!(
        table
            .out
            .contains("you may: policyc activate one --namespace production --if-match 1"),
        "{}",
        table.out
    );
    as_ann(&["approvals"])
        .exits(0)
        .says(&["one", "production", "1", "none", "no"]);
    let none = as_bob(&["approvals", "--namespace", "other"]).exits(0);
    assert_eq!(
        (none.out.as_str(), none.err.contains("nothing waits")),
        ("", true),
        "{}",
        none.err
    );
    as_bob(&["approve", "one", "--if-match", "1"])
        .exits(0)
        .says(&["one", "1", "1", "active"]);

    shell.write("one.yaml", ONE.replace("100", "50"));
    let report = as_ann(&["push", "one.yaml", "--format", "json"]).exits(0).json();
    assert_eq!(
        (
            &report[0]["activeVersion"],
            &report[0]["version"],
            &report[0]["approval"]["mayApprove"]
        ),
        (&1.into(), &2.into(), &false.into())
    );
    let list = as_bob(&["list"]).exits(0);
    list.says(&["one", "production", "2", "1", "active,", "waits"]);
    assert!(list.out.contains("; version 1 decides"), "{}", list.out);
    let history = as_bob(&["history", "one"]).exits(0);
    history
        .says(&["2", "active", "waits", "for", "approval"])
        .says(&["1", "active", "decides"]);
    assert!(
        history.out.contains("version 2 waits for approval since"),
        "{}",
        history.out
    );

    let reject = |version: &'static str, comment: &'static str| {
        ["reject", "one", "--version", version, "--comment", comment]
    };
    let wrong = as_bob(&reject("1", "no")).exits(1);
    assert!(wrong.err.contains("not_waiting"), "{}", wrong.err);
    as_bob(&reject("2", "")).exits(2);
    as_bob(&reject("2", "two\nlines")).exits(2);
    let rejected = as_bob(&reject("2", "fifty is too few")).exits(0);
    rejected.says(&["one", "2", "1", "active,", "rejected"]);
    let history = as_ann(&["history", "one"]).exits(0);
    history
        .says(&["2", "active", "rejected"])
        .says(&["1", "active", "decides"]);
    assert!(
        history.out.contains("version 2 was rejected by bob (key ")
            && history.out.contains("  fifty is too few\n"),
        "{}",
        history.out
    );
    let told = as_ann(&["history", "one", "--format", "json"]).exits(0).json();
    assert_eq!(told[0]["rejection"]["comment"], "fifty is too few");
    let refused = as_bob(&["activate", "one", "--if-match", "2"]).exits(1);
    assert!(refused.err.contains("(rejected)"), "{}", refused.err);

    // A text that was rejected is not sent again by accident.
    let again = as_ann(&["push", "one.yaml"]).exits(1);
    again.says(&["one", "2", "rejected", "unchanged"]);
    assert!(again.err.contains("submit it anew with --force"), "{}", again.err);
    as_ann(&["push", "one.yaml", "--force"])
        .exits(0)
        .says(&["one", "3", "1", "waits", "updated"]);
    as_bob(&["activate", "one", "--if-match", "3"]).exits(0);
    // The version before the one that decides, and not the one that was rejected.
    as_ann(&["rollback", "one"])
        .exits(0)
        .says(&["one", "4", "3", "waits"]);
    let text = as_ann(&["get", "one"]).exits(0);
    assert_eq!(text.out, ONE);
}

/// A dry run says what a push would do, and a push does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_push_would_do_and_writes_nothing() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let shell = Shell::new(&server);
    let author = server.key("ann", &["policy.author"]).await;
    let approver = server.key("bob", &["policy.approver"]).await;
    let as_author = |arguments: &[&str]| shell.run_with(arguments, &[("POLICY_API_KEY", &author)]);
    shell.write("one.yaml", ONE);
    shell.write("two.yaml", TWO);
    let dry = as_author(&["push", "--dry-run", "one.yaml", "two.yaml"]).exits(0);
    dry.says(&["one", "production", "none", "none", "would", "be", "created"])
        .says(&["two", "default", "none", "none", "would", "be", "created"]);
    assert!(
        dry.err.contains("would wait for approval: one (production)\n"),
        "{}",
        dry.err
    );
    assert!(dry.err.contains("nothing was sent (--dry-run)"), "{}", dry.err);
    let listed = as_author(&["list", "--format", "json"]).exits(0).json();
    assert_eq!(listed, serde_json::json!([]));

    as_author(&["push", "one.yaml"]).exits(0);
    as_author(&["push", "--dry-run", "one.yaml"]).exits(0).says(&[
        "one",
        "production",
        "1",
        "none",
        "unchanged",
    ]);
    shell.write("one.yaml", ONE.replace("100", "200"));
    let dry = as_author(&["push", "--dry-run", "--format", "json", "one.yaml"])
        .exits(0)
        .json();
    let told = |key: &str| &dry[0][key];
    assert_eq!(
        (
            told("result"),
            told("version"),
            told("activeVersion"),
            told("wouldWaitForApproval")
        ),
        (&"update".into(), &1.into(), &Value::Null, &true.into()),
        "{dry}"
    );
    // Another version than expected, a text that was rejected, one that the compiler warns of, one that it refuses.
    let stale = as_author(&["push", "--dry-run", "--if-match", "7", "one.yaml"]).exits(1);
    assert!(
        stale.err.contains("one (production): the current version is 1"),
        "{}",
        stale.err
    );
    as_author(&["push", "--dry-run", "--if-match", "1", "one.yaml"])
        .exits(0)
        .says(&["one", "would", "be", "updated"]);
    shell.write("one.yaml", ONE);
    let reject = ["reject", "one", "--version", "1", "--comment", "no"];
    shell.run_with(&reject, &[("POLICY_API_KEY", &approver)]).exits(0);
    let rejected = as_author(&["push", "--dry-run", "one.yaml"]).exits(1);
    assert!(
        rejected.err.contains("somebody rejected this text"),
        "{}",
        rejected.err
    );
    as_author(&["push", "--dry-run", "--force", "one.yaml"])
        .exits(0)
        .says(&["one", "would", "be", "updated"]);
    shell.write("one.yaml", ONE.replace("llm.maxTokens", "llm.maxTokns"));
    let warned = as_author(&["push", "--dry-run", "one.yaml"]).exits(0);
    assert!(warned.err.contains("W0002"), "{}", warned.err);
    as_author(&["push", "--dry-run", "--strict", "one.yaml"])
        .exits(1)
        .says(&["one", "would", "be", "refused"]);
    // Nothing of all this changed anything.
    let history = as_author(&["history", "one", "--format", "json"]).exits(0).json();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
}

/// Without credentials, one answer is enough: the same ones would be sent with each policy.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_without_credentials_ends_with_the_first_policy() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let shell = Shell::new(&server);
    shell.write("one.yaml", ONE);
    shell.write("two.yaml", TWO);
    for arguments in [
        &["push", "one.yaml", "two.yaml"][..],
        &["push", "--dry-run", "one.yaml", "two.yaml"],
    ] {
        let refused = shell.run(arguments).exits(2);
        assert_eq!(
            refused.err.matches("(unauthenticated)").count(),
            1,
            "{}",
            refused.err
        );
        assert!(
            refused
                .err
                .contains("error: one (production): give a token or an API key"),
            "{}",
            refused.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_one_id_are_told_by_their_namespaces() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    let staging = ONE.replace("production", "staging");
    shell.write("both.yaml", format!("{ONE}---\n{staging}"));
    for expected in ["created", "unchanged"] {
        let report = shell
            .run(&["push", "both.yaml", "--format", "json"])
            .exits(0)
            .json();
        let told: Vec<_> = report
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (p["namespace"].as_str().unwrap(), p["result"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [("production", expected), ("staging", expected)]);
    }
    for arguments in [
        &["history", "one"][..],
        &["rollback", "one", "--to", "1"],
        &["activate", "one", "--if-match", "2"],
    ] {
        let which = shell.run(arguments).exits(1);
        assert!(
            which.err.contains("ambiguous_policy") && which.err.contains("--namespace NAME"),
            "{}",
            which.err
        );
        let named = [arguments, &["--namespace", "staging"]].concat();
        shell.run(&named).exits(0);
    }
    let list = shell.run(&["list"]).exits(0);
    list.says(&["one", "production", "1", "1"])
        .says(&["one", "staging", "2", "2"]);
    // The server says where two do not go together, in the file that was pushed.
    let places = |id: &str, place: &str| {
        format!(
            "metadata: {{ id: {id}, name: N, namespace: a/b }}\nrules:\n  - id: r\n    condition: {{ operator: exists, field: \
             x }}\n    action: {{ decision: modify, modifications: {{ 'metadata.list{place}': 1 }} }}\n"
        )
    };
    shell.write("first.yaml", places("first", "[0]"));
    shell.run(&["push", "first.yaml"]).exits(0);
    shell.write("second.yaml", places("second", "[-1]"));
    let refused = shell.run(&["push", "second.yaml"]).exits(2);
    assert!(
        refused.err.contains("second.yaml:5:") && refused.err.contains("a%2Fb/first.yaml"),
        "{}",
        refused.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_is_wrong_and_where() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    // Parses, but does not compile: the server says so, with its place in the file.
    let broken = TWO.replace(
        "decision: warn",
        "decision: modify, modifications: { llm.estimatedCost: 1 }",
    );
    shell.write("both.yaml", format!("{ONE}---\n{broken}"));
    let refused = shell.run(&["push", "both.yaml"]).exits(2);
    refused.says(&["one", "1", "active", "created"]);
    assert!(refused.err.contains("both.yaml:12:"), "{}", refused.err);
    assert!(refused.err.contains("policy_invalid"), "{}", refused.err);
    let report = shell
        .run(&["push", "both.yaml", "--format", "json"])
        .exits(2)
        .json();
    assert_eq!(
        (&report[0]["result"], &report[1]["result"]),
        (&"unchanged".into(), &"refused".into())
    );
    assert_eq!(report[1]["problem"]["code"], "policy_invalid");
    assert!(report[1]["problem"]["diagnostics"][0]["line"].is_number());

    // Does not parse: nothing is sent.
    shell.write("bad.yaml", format!("{TWO}---\nrules: [\n"));
    shell.run(&["push", "bad.yaml"]).exits(2);
    shell.run(&["history", "two"]).exits(2);
    shell.write("twice.yaml", format!("{ONE}---\n{ONE}"));
    shell.run(&["push", "twice.yaml"]).exits(2);
    let many = shell.run(&["push", "both.yaml", "--if-match", "1"]).exits(2);
    assert!(many.err.contains("for one policy"), "{}", many.err);
    let context = shell
        .run(&["eval", "--server", &shell.url, "-c", r#"{}, "trace": true"#])
        .exits(2);
    assert!(context.err.contains("not JSON"), "{}", context.err);
    shell.run(&["eval", "--server", &shell.url, "-c", "[]"]).exits(2);
    let local = shell
        .run(&["eval", "--server", &shell.url, "-c", "{}", "--all"])
        .exits(2);
    assert!(local.err.contains("--all is not for --server"), "{}", local.err);
    shell.run(&["rollback", "one", "--to", "soon"]).exits(2);
    let gone = shell.run(&["list", "--server", "http://127.0.0.1:1"]).exits(2);
    assert!(
        gone.err.contains("no answer from http://127.0.0.1:1"),
        "{}",
        gone.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_pushed_and_rolled_back() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    shell.write("one.yaml", ONE);
    shell.run(&["build", "one.yaml", "-o", "a.bundle"]).exits(0);
    shell.write("one.yaml", ONE.replace("100", "7"));
    shell.run(&["build", "one.yaml", "-o", "b.bundle"]).exits(0);
    let a = shell
        .run(&["push", "--bundle", "a.bundle", "--format", "json"])
        .exits(0)
        .json();
    shell
        .run(&["push", "--bundle", "b.bundle"])
        .exits(0)
        .says(&["active"]);
    let digest = a["digest"].as_str().unwrap();
    let eight = [
        "eval",
        "--server",
        shell.url.as_str(),
        "-c",
        r#"{"llm":{"maxTokens":8}}"#,
    ];
    shell.run(&eight).exits(1);
    shell.run(&["rollback", "--bundle"]).exits(0).says(&[digest]);
    shell.run(&eight).exits(0);
    let history = shell
        .run(&["history", "--bundle", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(history.as_array().unwrap().len(), 2);
    let other = history
        .as_array()
        .unwrap()
        .iter()
        .find(|b| b["digest"] != digest)
        .unwrap()["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    shell
        .run(&["activate", "--bundle", &other])
        .exits(0)
        .says(&[other.as_str()]);
    shell.run(&eight).exits(1);
    shell.run(&["rollback", "--bundle", "--to", digest]).exits(0);
    // While a bundle decides, policies cannot be changed.
    let read_only = shell.run(&["push", "one.yaml"]).exits(1);
    assert!(
        read_only.err.contains("read_only") && read_only.err.contains("policyc delete --bundle"),
        "{}",
        read_only.err
    );
    shell.write("none.bundle", "text");
    shell.run(&["push", "--bundle", "none.bundle"]).exits(2);
    let mut cut = std::fs::read(shell.dir.path().join("a.bundle")).unwrap();
    cut.truncate(cut.len() / 2);
    shell.write("cut.bundle", cut);
    let refused = shell.run(&["push", "--bundle", "cut.bundle"]).exits(2);
    assert!(refused.err.contains("invalid_bundle"), "{}", refused.err);
    // The bundle ends by its digest, and then they can.
    let end = |tag: &str| shell.run(&["delete", "--bundle", "--if-match", tag]);
    assert_ne!(end(&other).code, 0);
    shell.run(&["push", "one.yaml"]).exits(1);
    end(digest).exits(0);
    shell.run(&["push", "one.yaml"]).exits(0);
    shell.run(&["delete", "one", "--if-match", "x"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_waits_is_listed_and_says_how_it_is_approved() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true"), ("APPROVAL_REQUIRED", "true")]).await;
    let shell = Shell::new(&server);
    let [ann, bob] = [
        server.key("ann", &[Role::Author.as_str()]).await,
        server.key("bob", &[Role::Approver.as_str()]).await,
    ];
    let as_ann = |arguments: &[&str]| shell.run_with(arguments, &[("POLICY_API_KEY", &ann)]);
    let as_bob = |arguments: &[&str]| shell.run_with(arguments, &[("POLICY_API_KEY", &bob)]);
    shell.write("one.yaml", ONE);
    shell.run(&["build", "one.yaml", "-o", "a.bundle"]).exits(0);
    let pushed = as_ann(&["push", "--bundle", "a.bundle"]).exits(0);
    let next = "policyc activate --bundle sha256:";
    assert!(pushed.err.contains(next), "{}", pushed.err);
    let history = as_ann(&["history", "--bundle", "--format", "json"])
        .exits(0)
        .json();
    let digest = history[0]["digest"].as_str().unwrap();
    let listed = as_bob(&["approvals"]).exits(0);
    listed.says(&[digest, "ann"]);
    as_bob(&["activate", "--bundle", digest]).exits(0);
    let none = as_bob(&["approvals"]).exits(0);
    assert!(none.err.contains("nothing waits"), "{}", none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_from_files_and_the_environment_and_are_never_shown() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let shell = Shell::new(&server);
    let key = async |role: Role| {
        let admin = Identity::anonymous();
        let call = Call {
            identity: &admin,
            request_id: "test",
            until: None,
        };
        let new = NewKey {
            name: role.as_str().to_owned(),
            roles: vec![role.as_str().to_owned()],
            ..NewKey::default()
        };
        let (_, secret) = server.app.service.create_key(call, new).await.unwrap();
        secret.expose_secret().to_owned()
    };
    let (author, viewer) = (key(Role::Author).await, key(Role::Viewer).await);
    shell.write("one.yaml", ONE);
    let nobody = shell.run(&["push", "one.yaml"]).exits(2);
    assert!(
        nobody.err.contains("unauthenticated") && nobody.err.contains("--token-file"),
        "{}",
        nobody.err
    );
    shell.write("viewer", format!("{viewer}\n"));
    let weak = shell
        .run(&["push", "one.yaml", "--api-key-file", "viewer"])
        .exits(1);
    assert!(weak.err.contains("forbidden"), "{}", weak.err);
    assert!(!weak.err.contains(&viewer));
    shell
        .run_with(&["push", "one.yaml"], &[("POLICY_API_KEY", &author)])
        .exits(0);
    shell.run_with(&["list"], &[("POLICY_TOKEN", &viewer)]).exits(0);
    // A file wins over the environment.
    shell
        .run_with(
            &["list", "--api-key-file", "viewer"],
            &[("POLICY_API_KEY", "wrong")],
        )
        .exits(0);
    let both = shell
        .run_with(
            &["list"],
            &[("POLICY_API_KEY", &author), ("POLICY_TOKEN", &author)],
        )
        .exits(2);
    assert!(
        both.err.contains("set one") && !both.err.contains(&author),
        "{}",
        both.err
    );
    let odd = shell
        .run_with(&["list"], &[("POLICY_TOKEN", "a\nb-secret")])
        .exits(2);
    assert!(!odd.err.contains("b-secret"), "{}", odd.err);
    shell.write("empty", "\n");
    shell.run(&["list", "--token-file", "empty"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_is_trusted_by_the_given_authority_only() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&authority.leaf("127.0.0.1"));
    files.put("ca.pem", &authority.0.pem());
    files.put("other.pem", &stranger.0.pem());
    let (cert, key) = (files.text("cert.pem"), files.text("key.pem"));
    let server = Running::start(&[("TLS_CERT", &cert), ("TLS_KEY", &key)]).await;
    let mut shell = Shell::new(&server);
    let (ca, other) = (files.text("ca.pem"), files.text("other.pem"));
    let plain = shell.run(&["list", "--ca", &ca]).exits(2);
    assert!(plain.err.contains("--ca is for https"), "{}", plain.err);
    shell.url = format!("https://{}", server.addresses.http);
    shell.write("one.yaml", ONE);
    shell
        .run(&["push", "one.yaml", "--ca", &ca])
        .exits(0)
        .says(&["one", "1", "active", "created"]);
    shell
        .run(&["list", "--ca", &ca])
        .exits(0)
        .says(&["one", "production"]);
    let eval = [
        "eval",
        "--server",
        shell.url.as_str(),
        "-c",
        r#"{"llm":{"maxTokens":101}}"#,
    ];
    let denied = shell.run(&[&eval[..], &["--ca", &ca]].concat()).exits(1);
    assert!(denied.out.starts_with("DENY  too many\n"), "{}", denied.out);

    // Neither another authority nor the public ones vouch for it, and a certificate for another host does not count.
    let elsewhere = format!("https://localhost:{}", server.addresses.http.port());
    let cases: [(&[&str], &str); 6] = [
        (&["push", "one.yaml", "--ca", &other], "UnknownIssuer"),
        (&["list", "--ca", &other], "UnknownIssuer"),
        (&[&eval[..], &["--ca", &other]].concat(), "UnknownIssuer"),
        (&["list"], "UnknownIssuer"),
        (
            &["list", "--server", &elsewhere, "--ca", &ca],
            "not valid for name",
        ),
        (&["list", "--ca", &key], "holds something other than certificates"),
    ];
    for (arguments, reason) in cases {
        let refused = shell.run(arguments).exits(2);
        assert!(refused.err.contains(reason), "{arguments:?}: {}", refused.err);
        assert!(
            refused.err.contains("no answer from https://") || reason.starts_with("holds"),
            "{arguments:?}: {}",
            refused.err
        );
    }
}

/// A server has no files to import: what a policy uses of them comes with it.
#[tokio::test(flavor = "multi_thread")]
async fn imported_constants_are_pushed_with_the_policy() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    let policy = "# mine\nmetadata: {id: capped, name: Capped}\nimport: [shared.yaml] # theirs\nrules:\n- id: cap\n  \
                  condition: {operator: gt, field: llm.maxTokens, valueFrom: let.limit}\n  action: {decision: deny, \
                  reason: 'over {{ let.limit }}'}\n";
    shell.write("shared.yaml", "kind: definitions\nlet: {limit: 100, other: 1}\n");
    shell.write("capped.yaml", policy);
    shell
        .run(&["push", "."])
        .exits(0)
        .says(&["capped", "1", "active", "created"]);
    let stored = shell.run(&["get", "capped"]).exits(0).out;
    assert_eq!(
        stored,
        policy.replace("import: [shared.yaml]", "let: {\"limit\": 100}")
    );
    let denied = shell
        .run(&[
            "eval",
            "--server",
            &shell.url,
            "-c",
            r#"{"llm":{"maxTokens":101},"let":{"limit":500}}"#,
        ])
        .exits(1);
    assert!(denied.out.contains("over 100"), "{}", denied.out);
    // Nothing else changed, so nothing is written.
    shell
        .run(&["push", "."])
        .exits(0)
        .says(&["capped", "1", "active", "unchanged"]);

    let answer = shell.run(&["push", "shared.yaml"]).exits(2);
    assert!(answer.err.contains("definitions and no policy"), "{}", answer.err);
}

/// A directory holds the files that its policies import, and a change of one is followed.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_policies_holds_their_definitions() {
    let policies = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(policies.path().join(name), text).unwrap();
    write("shared.yaml", "kind: definitions\nlet: {limit: 100}\n");
    write(
        "capped.yaml",
        "metadata: {id: capped, name: Capped}\nimport: [shared.yaml]\nrules:\n- id: cap\n  condition: {operator: gt, \
         field: llm.maxTokens, valueFrom: let.limit}\n  action: {decision: deny}\n",
    );
    let server = Running::start(&[("POLICIES", policies.path().to_str().unwrap())]).await;
    let shell = Shell::new(&server);
    let decides = |tokens: u32| {
        let context = format!(r#"{{"llm":{{"maxTokens":{tokens}}}}}"#);
        shell.run(&["eval", "--server", &shell.url, "-c", &context]).code
    };
    assert_eq!((decides(100), decides(101)), (0, 1));
    write("shared.yaml", "kind: definitions\nlet: {limit: 200}\n");
    let begin = std::time::Instant::now();
    while decides(101) != 0 {
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(20),
            "the change is not followed"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(decides(201), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_rotated_and_revoked_and_shown_once() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let shell = Shell::new(&server);
    let admin = server.key("admin", &["admin"]).await;
    let as_admin = |arguments: &[&str]| shell.run_with(arguments, &[("POLICY_API_KEY", &admin)]);
    let made = as_admin(&[
        "keys",
        "create",
        "--name",
        "gateway",
        "--roles",
        "evaluator",
        "--scopes",
        "audit:read",
        "--namespaces",
        "production,staging",
        "--expires-in",
        "90d",
    ])
    .exits(0);
    // The key alone on stdout, so that it can go into a file; nothing of it anywhere else.
    let key = made.out.strip_suffix('\n').unwrap().to_owned();
    assert!(
        key.starts_with("lpk_") && !key.contains(char::is_whitespace),
        "{key}"
    );
    let (id, secret) = key.strip_prefix("lpk_").unwrap().split_once('_').unwrap();
    assert!(
        made.err.contains(id) && made.err.contains("gateway"),
        "{}",
        made.err
    );
    assert!(!made.err.contains(secret), "{}", made.err);
    let list = as_admin(&["keys", "list"]).exits(0);
    list.says(&[id, "gateway", "production,staging"]);
    assert!(!list.out.contains(secret), "{}", list.out);
    let listed = as_admin(&["keys", "list", "--format", "json"]).exits(0).json();
    let ours = listed.as_array().unwrap().iter().find(|k| k["id"] == id).unwrap();
    assert_eq!(
        ours["scopes"],
        serde_json::json!(["policy:evaluate", "audit:read"])
    );
    assert_eq!(ours["namespaces"], serde_json::json!(["production", "staging"]));
    let life = |key: &Value, end: &str| {
        let at = |name: &str| key[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        // The end is reckoned a moment before the key is made.
        (at(end).duration_since(at("createdAt")).as_millis() + 500) / 1000
    };
    assert_eq!(life(ours, "expiresAt"), 90 * 24 * 3600);
    assert_eq!(
        as_admin(&["keys", "list", "--limit", "1", "--format", "json"])
            .exits(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // It does what it was made for, and no more.
    shell
        .run_with(&["decisions"], &[("POLICY_API_KEY", &key)])
        .exits(0);
    shell.run_with(&["list"], &[("POLICY_API_KEY", &key)]).exits(1);
    shell
        .run_with(&["keys", "list"], &[("POLICY_API_KEY", &key)])
        .exits(1);

    let rotated = as_admin(&["keys", "rotate", id, "--overlap", "0s", "--format", "json"]).exits(0);
    let answer = rotated.json();
    let new = answer["key"].as_str().unwrap();
    assert_eq!((answer["id"].as_str().unwrap(), new == key), (id, false));
    assert!(
        !rotated.err.contains(new.rsplit('_').next().unwrap()),
        "{}",
        rotated.err
    );
    shell
        .run_with(&["decisions"], &[("POLICY_API_KEY", new)])
        .exits(0);
    shell
        .run_with(&["decisions"], &[("POLICY_API_KEY", &key)])
        .exits(2);
    let text = as_admin(&["keys", "rotate", id, "--expires-in", "1h"]).exits(0);
    assert!(
        text.err.contains("the secret before it is good until"),
        "{}",
        text.err
    );
    assert!(
        text.out.starts_with(&format!("lpk_{id}_")) && text.out.lines().count() == 1,
        "{}",
        text.out
    );

    let revoked = as_admin(&["keys", "revoke", id]).exits(0);
    assert_eq!(revoked.out, "");
    shell
        .run_with(&["decisions"], &[("POLICY_API_KEY", text.out.trim())])
        .exits(2);
    as_admin(&["keys", "revoke", id]).exits(2);
    as_admin(&["keys", "list"]).exits(0).says(&[id, "revoked"]);

    // What is wrong is said before anything is sent, and a whole key is no id: it would be in the log of requests.
    let whole = as_admin(&["keys", "revoke", &key]).exits(2);
    assert!(
        whole.err.contains("not the id of a key") && !whole.err.contains(secret),
        "{}",
        whole.err
    );
    for arguments in [
        &["keys", "create", "--name", "x"][..],
        &["keys", "create", "--roles", "evaluator"],
        &[
            "keys",
            "create",
            "--name",
            "x",
            "--roles",
            "evaluator",
            "--expires-in",
            "90",
        ],
        &["keys", "rotate", "../policies"],
        &["keys"],
    ] {
        as_admin(arguments).exits(2);
    }
    let role = as_admin(&["keys", "create", "--name", "x", "--roles", "king"]).exits(2);
    assert!(role.err.contains("there is no role `king`"), "{}", role.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_shown_filtered_and_decided_again() {
    let server = Running::start(&[("DECISION_LOG_CONTEXT", "full")]).await;
    let shell = Shell::new(&server);
    shell.write("one.yaml", ONE);
    shell.write("two.yaml", TWO.replace("draft", "active"));
    shell.run(&["push", "one.yaml", "two.yaml"]).exits(0);
    let eval = |context: &str, code: i32| {
        shell
            .run(&["eval", "--server", &shell.url, "-c", context, "--format", "json"])
            .exits(code)
    };
    // More than a page, of which a few were denied.
    for n in 0..230 {
        let (tokens, a, code) = (if n % 100 == 7 { 101 } else { 5 }, n % 2, i32::from(n % 100 == 7));
        eval(
            &format!(r#"{{"llm":{{"maxTokens":{tokens}}},"a":{a},"n":12345678901234567890123}}"#),
            code,
        );
    }
    let count = |arguments: &[&str]| {
        let ran = shell
            .run(&[&["decisions", "--format", "json"][..], arguments].concat())
            .exits(0);
        (ran.out.lines().count(), ran)
    };
    while count(&["--limit", "all"]).0 < 230 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (shown, ran) = count(&[]);
    assert_eq!(shown, 100);
    assert!(ran.err.contains("--limit"), "{}", ran.err);
    let (all, ran) = count(&["--limit", "230"]);
    assert_eq!((all, ran.err.as_str()), (230, ""));
    for (arguments, expected) in [
        (&["--decision", "deny"][..], 3),
        (&["--rule", "r"], 3),
        (&["--rule", "s", "--limit", "all"], 112),
        (&["--policy", "two", "--limit", "110"], 110),
        (&["--policy", "two", "--rule", "r"], 0),
        (&["--policy", "two", "--decision", "warn", "--limit", "all"], 112),
        (&["--policy", "none"], 0),
        (&["--since", "1h", "--decision", "deny"], 3),
        (&["--until", "1h"], 0),
        (
            &[
                "--since",
                "2000-01-01T00:00:00Z",
                "--until",
                "2000-01-02T00:00:00Z",
            ],
            0,
        ),
        (&["--namespace", "production"], 0),
        (&["--subject", "nobody"], 0),
    ] {
        let (found, _) = count(arguments);
        assert_eq!(found, expected, "{}", arguments.join(" "));
    }
    let table = shell.run(&["decisions", "--decision", "deny"]).exits(0);
    table
        .says(&["TIME", "DECISION", "RULES", "REASON"])
        .says(&["deny", "r", "too", "many"]);
    assert_eq!(table.out.lines().count(), 4);

    // What the log holds can be decided again, exactly.
    let log = shell
        .run(&["decisions", "--limit", "all", "--format", "json"])
        .exits(0)
        .out;
    assert!(
        log.contains("12345678901234567890123"),
        "{}",
        log.lines().next().unwrap()
    );
    shell.write("log.jsonl", &log);
    let again = shell
        .run(&["eval", "one.yaml", "--contexts", "log.jsonl"])
        .exits(0);
    assert_eq!(
        again.out.matches(r#""decision":"deny""#).count(),
        6,
        "decision and matched of each"
    );
    shell.write("strict.yaml", ONE.replace("100", "4"));
    let differs = shell
        .run(&[
            "diff",
            "one.yaml",
            "strict.yaml",
            "--contexts",
            "log.jsonl",
            "--format",
            "json",
        ])
        .exits(1)
        .json();
    assert_eq!(differs["decisions"].as_array().unwrap().len(), 227);
    for arguments in [
        &["decisions", "--since", "yesterday"][..],
        &["decisions", "--since", "2026-11-29"],
        &["decisions", "--limit", "0"],
        &["decisions", "--decision", "maybe"],
    ] {
        shell.run(arguments).exits(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_log_is_for_who_may_audit() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let shell = Shell::new(&server);
    let admin = server.key("admin", &["admin"]).await;
    for (role, code) in [("auditor", 0), ("evaluator", 1), ("policy.author", 1)] {
        let made = shell
            .run_with(
                &["keys", "create", "--name", role, "--roles", role],
                &[("POLICY_API_KEY", &admin)],
            )
            .exits(0);
        shell
            .run_with(&["decisions"], &[("POLICY_API_KEY", made.out.trim())])
            .exits(code);
    }
    let nobody = shell.run(&["decisions"]).exits(2);
    assert!(nobody.err.contains("unauthenticated"), "{}", nobody.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_compared_with_what_decides_on_a_server() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    let diff = |arguments: &[&str]| shell.run(&[&["diff", "--server", &shell.url][..], arguments].concat());
    shell.write("one.yaml", ONE);
    shell.write("both.yaml", format!("{ONE}---\n{TWO}"));
    // Nothing decides: everything is new.
    let new = diff(&["one.yaml"]).exits(1);
    assert!(new.out.contains("+ policy one"), "{}", new.out);
    shell.run(&["push", "both.yaml"]).exits(0);
    // The draft does not decide, here nor there, and layout is no difference.
    diff(&["both.yaml"]).exits(0);
    diff(&["one.yaml"]).exits(0);
    shell.write("one.json", r#"{"metadata":{"id":"one","name":"One","namespace":"production"},"rules":[{"id":"r",
        "condition":{"operator":"gt","field":"llm.maxTokens","value":100},"action":{"decision":"deny","reason":"too many"}}]}"#);
    diff(&["one.json"]).exits(0);
    // A draft that was activated decides, whatever its text says.
    shell.run(&["activate", "two", "--if-match", "1"]).exits(0);
    let missing = diff(&["one.yaml"]).exits(1);
    assert!(missing.out.contains("- policy two"), "{}", missing.out);
    shell.write(
        "active.yaml",
        format!("{}---\n{}", ONE, TWO.replace("status: draft", "status: active")),
    );
    diff(&["active.yaml"]).exits(0);
    shell.write(
        "changed.yaml",
        format!(
            "{}---\n{}",
            ONE.replace("100", "50"),
            TWO.replace("status: draft", "status: active")
        ),
    );
    let changed = diff(&["changed.yaml", "--format", "json"]).exits(1).json();
    assert_eq!(changed["policies"][0]["id"], "one/r");
    shell.write(
        "requests.jsonl",
        "{\"llm\":{\"maxTokens\":10}}\n{\"llm\":{\"maxTokens\":60}}\n",
    );
    let decided = diff(&["changed.yaml", "--contexts", "requests.jsonl", "--format", "json"])
        .exits(1)
        .json();
    assert_eq!(decided["decisions"][0]["line"], 2);
    shell.write("few.jsonl", "{\"llm\":{\"maxTokens\":10}}\n");
    diff(&["changed.yaml", "--contexts", "few.jsonl"]).exits(0);

    // A bundle that was deployed decides instead.
    shell.run(&["build", "changed.yaml", "-o", "c.bundle"]).exits(0);
    shell.run(&["push", "--bundle", "c.bundle"]).exits(0);
    diff(&["changed.yaml"]).exits(0);
    diff(&["c.bundle"]).exits(0);
    diff(&["active.yaml"]).exits(1);

    let both = shell
        .run(&["diff", "one.yaml", "both.yaml", "--server", &shell.url])
        .exits(2);
    assert!(both.err.contains("--server"), "{}", both.err);
    shell.run(&["diff", "one.yaml"]).exits(2);
    shell
        .run(&["diff", "one.yaml", "both.yaml", "--token-file", "t"])
        .exits(2);
    shell.write("bad.yaml", "rules: [\n");
    diff(&["bad.yaml"]).exits(2);
    shell
        .run(&["diff", "one.yaml", "--server", "http://127.0.0.1:1"])
        .exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_compared_with_what_a_directory_or_a_team_decides() {
    let dir = TempDir::new().unwrap();
    std::fs::write(
        dir.path().join("all.yaml"),
        format!("{ONE}---\n{TWO}---\n{}", ONE.replace("production", "staging")),
    )
    .unwrap();
    let from_directory = Running::start(&[("POLICIES", dir.path().to_str().unwrap())]).await;
    let shell = Shell::new(&from_directory);
    let path = dir.path().to_str().unwrap();
    shell.run(&["diff", path, "--server", &shell.url]).exits(0);
    shell.write("one.yaml", ONE);
    let removed = shell.run(&["diff", "one.yaml", "--server", &shell.url]).exits(1);
    assert!(removed.out.contains("staging"), "{}", removed.out);

    // Who is bound to a namespace compares what they may read: theirs and `global`.
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let shell = Shell::new(&server);
    let admin = server.key("admin", &["admin"]).await;
    let as_admin = |arguments: &[&str]| shell.run_with(arguments, &[("POLICY_API_KEY", &admin)]);
    shell.write(
        "all.yaml",
        format!("{ONE}---\n{}", ONE.replace("production", "staging")),
    );
    as_admin(&["push", "all.yaml"]).exits(0);
    let made = as_admin(&[
        "keys",
        "create",
        "--name",
        "team",
        "--roles",
        "policy.viewer",
        "--namespaces",
        "production",
    ])
    .exits(0);
    shell.write("one.yaml", ONE);
    let theirs = [("POLICY_API_KEY", made.out.trim())];
    shell
        .run_with(&["diff", "one.yaml", "--server", &shell.url], &theirs)
        .exits(0);
    shell
        .run_with(&["diff", "all.yaml", "--server", &shell.url], &theirs)
        .exits(1);
    let evaluator = as_admin(&["keys", "create", "--name", "gateway", "--roles", "evaluator"]).exits(0);
    shell
        .run_with(
            &["diff", "one.yaml", "--server", &shell.url],
            &[("POLICY_API_KEY", evaluator.out.trim())],
        )
        .exits(1);
}

/// A bundle holds no source text, but what the compiler warned of when it was made, and nothing that a comment allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_carries_the_warnings_of_its_policies() {
    let server = Running::start(&[]).await;
    let shell = Shell::new(&server);
    shell.write("odd.yaml", ONE.replace("id: one,", "id: one, version: first,"));
    shell.run(&["build", "odd.yaml", "-o", "odd.bundle"]).exits(0);
    let inspected = shell.run(&["inspect", "odd.bundle"]).exits(0);
    inspected.says(&["W0001", "odd.yaml:2:31"]);
    let pushed = shell.run(&["push", "--bundle", "odd.bundle"]).exits(0);
    assert!(
        pushed.err.contains("odd.yaml:2:31: warning[W0001]"),
        "{}",
        pushed.err
    );
    assert_eq!(server.app.service.active.info().warnings[0].code, "W0001");

    let strict = Running::start(&[("POLICY_STRICT", "true")]).await;
    let shell = Shell::new(&strict);
    shell.write("odd.yaml", ONE.replace("id: one,", "id: one, version: first,"));
    shell.run(&["build", "odd.yaml", "-o", "odd.bundle"]).exits(0);
    let refused = shell.run(&["push", "--bundle", "odd.bundle"]).exits(2);
    assert!(refused.err.contains("policy_invalid"), "{}", refused.err);
    let unsent = shell
        .run(&["push", "--strict", "--bundle", "odd.bundle"])
        .exits(1);
    assert!(
        unsent.err.contains("1 warning when it made the bundle"),
        "{}",
        unsent.err
    );
    shell.write(
        "odd.yaml",
        format!(
            "# policyc: allow W0001 -- the version of the team's handbook\n{}",
            ONE.replace("id: one,", "id: one, version: first,")
        ),
    );
    shell.run(&["build", "odd.yaml", "-o", "odd.bundle"]).exits(0);
    shell
        .run(&["push", "--strict", "--bundle", "odd.bundle"])
        .exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn edge_servers_are_listed_with_what_they_run() {
    let server = Running::start(&[("API_KEYS_ENABLED", "true")]).await;
    let shell = Shell::new(&server);
    let key = |role: &'static str| {
        let server = &server;
        async move { server.key(role, &[role]).await }
    };
    let (viewer, evaluator) = (key("policy.viewer").await, key("evaluator").await);
    let edges = |key: &str, more: &[&str]| {
        shell.run_with(&[&["edges"][..], more].concat(), &[("POLICY_API_KEY", key)])
    };
    let none = edges(&viewer, &[]).exits(0);
    assert!(none.err.contains("no edge server has reported"), "{}", none.err);
    for (id, errors) in [
        ("edge-1", Vec::new()),
        ("edge-2", vec!["store: is full\u{1b}[1m".to_owned()]),
    ] {
        let report = Report {
            revision: Some("7".to_owned()),
            digest: None,
            since: Some("2025-11-30T12:00:00Z".to_owned()),
            errors,
            version: Some("0.1.0".to_owned()),
        };
        let identity = Identity::operator();
        let call = Call {
            identity: &identity,
            request_id: "test",
            until: None,
        };
        server.app.service.report_edge(call, id, report).unwrap();
    }
    let table = edges(&viewer, &[]).exits(0);
    table
        .says(&[
            "EDGE", "REVISION", "CURRENT", "SINCE", "SEEN", "VERSION", "ERRORS",
        ])
        .says(&["edge-1", "7", "2025-11-30T12:00:00Z", "0.1.0", "0"])
        .says(&["edge-2", "1"]);
    assert!(table.out.contains("edge-2: store: is full"), "{}", table.out);
    assert!(!table.out.contains('\u{1b}'), "nothing that a terminal obeys");
    let list = edges(&viewer, &["--format", "json", "--limit", "1"])
        .exits(0)
        .json();
    assert_eq!(
        (list[0]["id"].as_str(), list.as_array().map(Vec::len)),
        (Some("edge-1"), Some(1))
    );
    edges(&evaluator, &[]).exits(1);
}
