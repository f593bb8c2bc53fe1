//! What the commands that talk to a server say, against a server that answers as told. Whole servers: `server/tests/policyc.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use support::{Dir, QUICKSTART, Ran, command};

/// Answers every call with what `answer` says of its method and path, as long as the test runs; returns its URL.
fn server(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut first = String::new();
            stream.read_line(&mut first).unwrap();
            let mut length = 0;
            loop {
                let mut header = String::new();
                stream.read_line(&mut header).unwrap();
                if header.trim().is_empty() {
                    break;
                }
                if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            let call = first.rsplit_once(' ').map_or("", |(call, _)| call);
            let (status, body) = answer(call);
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nETag: \"3\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.get_mut().write_all((head + &body).as_bytes()).unwrap();
        }
    });
    url
}

fn run(dir: &Dir, url: &str, arguments: &[&str]) -> Ran {
    let mut all = arguments.to_vec();
    all.extend(["--server", url]);
    dir.run(&all)
}

const STALE: &str = r#"{"status":412,"code":"version_mismatch","detail":"version 4 is the newest"}"#;

#[test]
fn a_stale_version_says_which_one_to_review() {
    let url = server(|call| match call {
        call if call.starts_with("GET /api/v1/policies/p") => (
            200,
            r#"{"id":"p","version":4,"source":"","format":"yaml"}"#.to_owned(),
        ),
        _ => (412, STALE.to_owned()),
    });
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    let review = "version 4 is newer: review it (`policyc get p --version 4`), then ";
    for (arguments, again) in [
        (&["activate", "p", "--if-match", "3"][..], "give --if-match 4"),
        (&["approve", "p", "--if-match", "3"], "give --if-match 4"),
        (
            &["rollback", "p", "--to", "1", "--if-match", "3"],
            "give --if-match 4",
        ),
        (&["rollback", "p", "--to", "1"], "run this again"),
    ] {
        let ran = run(&dir, &url, arguments).exits(1);
        assert!(ran.err.contains(&format!("{review}{again}\n")), "{}", ran.err);
        assert!(!ran.err.contains("push again"), "{}", ran.err);
    }
    let ran = run(&dir, &url, &["push", "p.yaml", "--if-match", "3"]).exits(1);
    let again = "look at `policyc history cost-limit-policy --namespace production`, then give the newest version to --if-match";
    assert!(ran.err.contains(again), "{}", ran.err);
}

#[test]
fn tables_of_changes_name_the_namespace() {
    let url = server(|call| match call {
        call if call.starts_with("GET ") => (404, r#"{"status":404,"code":"not_found"}"#.to_owned()),
        _ => (
            200,
            r#"{"id":"p","namespace":"production","version":4,"activeVersion":4,"status":"active"}"#
                .to_owned(),
        ),
    });
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    for arguments in [
        &["push", "p.yaml"][..],
        &["activate", "p", "--if-match", "4"],
        &["rollback", "p", "--to", "1"],
        &["reject", "p", "--version", "4", "--comment", "no"],
    ] {
        let ran = run(&dir, &url, arguments).exits(0);
        let words =
            |at: usize| -> Vec<&str> { ran.out.lines().nth(at).unwrap().split_whitespace().collect() };
        assert_eq!(
            (words(0)[1], words(1)[1]),
            ("NAMESPACE", "production"),
            "{}",
            ran.out
        );
    }
}

#[test]
fn a_rejected_text_is_submitted_anew_with_force_only() {
    let policy = serde_json::json!({
        "id": "cost-limit-policy", "namespace": "production", "version": 2, "activeVersion": 1, "status": "active",
        "source": QUICKSTART, "format": "yaml", "rejection": {"by": "bob", "at": "T", "comment": "no"},
    });
    let url = server(move |_| (200, policy.to_string()));
    // The paths of the project file, as for other commands.
    let dir = Dir::with(&[
        ("policies/p.yaml", QUICKSTART),
        ("policyc.toml", "paths = [\"policies\"]\n"),
    ]);
    let ran = run(&dir, &url, &["push"]).exits(1);
    assert!(
        ran.err.contains(
            "cost-limit-policy (production): somebody rejected this text: change it, or submit it anew with --force"
        ),
        "{}",
        ran.err
    );
    let forced = run(&dir, &url, &["push", "--force"]).exits(0);
    assert!(forced.out.contains("updated"), "{}", forced.out);
    let bare = run(&Dir::new(), &url, &["push"]).exits(2);
    assert!(
        bare.err.contains("give a PATH, or set `paths` in a policyc.toml"),
        "{}",
        bare.err
    );
}

#[test]
fn a_namespace_without_a_policy_is_mentioned() {
    let url = server(|call| {
        let known =
            call.contains("namespace=team") && !call.contains("status=") && !call.contains("approval=");
        let items = if known {
            r#"[{"id":"p","namespace":"team","version":1}]"#
        } else {
            "[]"
        };
        (200, format!("{{\"items\":{items},\"next\":null}}"))
    });
    let dir = Dir::new();
    for command in [&["list"][..], &["list", "--status", "draft"], &["approvals"]] {
        let said = |namespace: &[&str]| {
            let ran = run(&dir, &url, &[command, namespace].concat()).exits(0);
            ran.err.contains("note: the namespace `taem` has no policy\n")
        };
        assert!(said(&["--namespace", "taem"]), "{command:?}");
        assert!(!said(&["--namespace", "team"]) && !said(&[]), "{command:?}");
    }
}

/// The log goes on for ever, and nobody reads it.
#[test]
fn a_log_that_nobody_reads_is_not_asked_for_to_its_end() {
    let url = server(|_| (200, r#"{"items":[{"id":"1"}],"next":"more"}"#.to_owned()));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = command(&[
        "decisions",
        "--limit",
        "all",
        "--format",
        "json",
        "--server",
        &url,
    ])
    .stdout(writer)
    .status()
    .unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn what_is_no_server_of_ours_is_told() {
    let dir = Dir::new();
    // Nobody listens there any more.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&dir, &format!("http://{free}"), &["list"]).exits(2);
    assert!(
        ran.err
            .contains(&format!("no answer from http://{free}: Connection refused")),
        "{}",
        ran.err
    );
    for status in [200, 404] {
        let url = server(move |_| (status, "<html>welcome</html>".to_owned()));
        let ran = run(&dir, &url, &["list"]).exits(2);
        assert!(
            ran.err.contains("is not JSON: is this the REST port of policyd?"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn an_empty_log_says_that_nothing_fits() {
    let url = server(|_| (200, r#"{"items":[]}"#.to_owned()));
    let dir = Dir::new();
    let ran = run(&dir, &url, &["decisions", "--rule", "nowhere"]).exits(0);
    assert_eq!(ran.err, "no decision fits\n");
    // A rule is named by its id alone, most of the time.
    let ran = run(&dir, &url, &["decisions", "--rule", "policy/rule"]).exits(0);
    assert!(ran.err.contains("give --rule ID and --policy ID"), "{}", ran.err);
    let json = run(&dir, &url, &["decisions", "--format", "json"]).exits(0);
    assert_eq!((json.out.as_str(), json.err.as_str()), ("", ""));
}

/// What an earlier server does not say is unknown, and not "no".
#[test]
fn a_dry_run_does_not_guess_whether_a_version_waits() {
    let url = server(|call| match call {
        "POST /api/v1/policies/validate" => (200, r#"{"valid":true,"diagnostics":[]}"#.to_owned()),
        _ if call.starts_with("GET ") => (404, r#"{"status":404,"code":"not_found"}"#.to_owned()),
        other => panic!("{other} writes"),
    });
    let dir = Dir::with(&[("p.yaml", QUICKSTART)]);
    let ran = run(&dir, &url, &["push", "--dry-run", "p.yaml"]).exits(0);
    assert!(ran.out.contains("would be created"), "{}", ran.out);
    assert!(
        ran.err
            .contains("this server does not say whether versions wait for approval"),
        "{}",
        ran.err
    );
    let json = run(&dir, &url, &["push", "--dry-run", "--format", "json", "p.yaml"])
        .exits(0)
        .json();
    assert!(json[0]["wouldWaitForApproval"].is_null(), "{json}");
}

#[test]
fn what_holds_for_several_that_wait_is_said_once() {
    let waiting = |id: &str, author: &str| {
        format!(
            r#"{{"id":"{id}","namespace":"team","version":1,"activeVersion":null,"status":"active","pendingApproval":true,
                "approval":{{"since":"T","scope":"policy:approve","authors":["{author}"],"mayApprove":false}}}}"#
        )
    };
    let items = [waiting("a", "ann"), waiting("b", "ann"), waiting("c", "bob")].join(",");
    let url = server(move |call| match call.contains("/policies") {
        true => (200, format!(r#"{{"items":[{items}]}}"#)),
        false => (403, r#"{"status":403,"code":"forbidden"}"#.to_owned()),
    });
    let out = run(&Dir::new(), &url, &["approvals"]).exits(0).out;
    let below: Vec<&str> = out.lines().skip_while(|line| !line.is_empty()).skip(1).collect();
    let starts: Vec<&str> = below.iter().filter_map(|line| line.get(..10)).collect();
    assert_eq!(
        starts,
        [
            "a (team): ",
            "b (team): ",
            "  can be a",
            "  you may ",
            "c (team): ",
            "  can be a",
            "  you may "
        ],
        "{out}"
    );
}

#[test]
fn a_rollback_takes_the_version_as_a_rejection_does() {
    let url = server(|call| match call {
        "POST /api/v1/policies/p/rollback" => {
            (200, r#"{"id":"p","namespace":"team","version":3}"#.to_owned())
        }
        other => panic!("{other}"),
    });
    run(&Dir::new(), &url, &["rollback", "p", "--version", "1"]).exits(0);
}
