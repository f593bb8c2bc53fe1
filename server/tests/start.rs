//! How `policyd` starts, what it refuses to start with, and what it says meanwhile: processes as they are shipped.
//!
//! What has to hold: every problem with the settings is told before anything is made, and no credential is told ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/process.rs"]
mod process;

use process::{Client, Policyd, command, finished, until};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

const POLICY: &str = "metadata: {id: p, name: P, namespace: team}\nrules:\n- id: r\n  condition: {operator: eq, \
                      field: llm.model, value: bad}\n  action: {decision: deny}\n";

fn model(name: &str) -> Value {
    json!({"llm": {"model": name}})
}

fn reasons(policyd: &Policyd) -> Vec<String> {
    let ready = policyd.admin.ready();
    let reasons = ready["reasons"].as_array().unwrap().iter();
    reasons.map(|r| r.as_str().unwrap().to_owned()).collect()
}

/// A web server that answers everything with this, and what it was sent so far.
fn web(answer: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            for line in head.take_while(|line| !line.is_empty()) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
            // Whoever asked may be gone.
            (&stream).write_all(answer.as_bytes()).unwrap_or_default();
        }
    });
    (port, sent)
}

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const NO_BUNDLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

#[test]
fn help_shows_what_its_command_reads() {
    let directory = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| {
        let (code, stdout, stderr) = finished(&[], arguments, directory.path());
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    for (arguments, shows, hides) in [
        (
            &["--help"][..],
            &["--port", "--cache-size", "--jwt-issuer", "completions", "man"][..],
            &["--subject"][..],
        ),
        (
            &["run", "--help"],
            &["--port", "--cache-size", "--dev"],
            &["--subject"],
        ),
        (
            &["check-config", "--help"],
            &["--port", "--prices-file"],
            &["--subject"],
        ),
        (
            &["token", "--help"],
            &["--subject", "--roles", "--jwt-issuer", "--config"],
            &["--port", "--data-dir", "--dev"],
        ),
        (
            &["key", "--help"],
            &["--name", "--roles", "--data-dir"],
            &["--port", "--jwt-issuer"],
        ),
        (
            &["decisions", "export", "--help"],
            &["--decision", "--output", "--data-dir"],
            &["--port", "--jwt-issuer"],
        ),
        (
            &["decisions", "migrate", "--help"],
            &["--remove", "--data-dir", "--decision-log-segments"],
            &["--port", "--jwt-issuer"],
        ),
        (
            &["audit", "verify", "--help"],
            &["--data-dir", "--database-host"],
            &["--port"],
        ),
        (
            &["health", "--help"],
            &["--url", "--metrics-host", "--metrics-port"],
            &["--port", "--data-dir"],
        ),
        (
            &["call", "--help"],
            &["--server", "--context"],
            &["--port", "--data-dir"],
        ),
        (&["audit", "--help"], &["verify"], &["--port", "--data-dir"]),
        (&["man", "--help"], &["--output"], &["--port"]),
    ] {
        let text = help(arguments);
        // A flag at the beginning of its line: texts name others.
        let has = |flag: &&str| {
            text.lines().any(|line| {
                let line = line.trim_start();
                let line = line
                    .split_once(", ")
                    .map_or(line, |(short, rest)| if short.len() == 2 { rest } else { line });
                line.strip_prefix(*flag)
                    .is_some_and(|rest| rest.starts_with([' ', '[']) || rest.is_empty())
            })
        };
        assert!(shows.iter().all(has), "{arguments:?}: {text}");
        assert!(!hides.iter().any(has), "{arguments:?}: {text}");
    }
    // What is hidden is read all the same, before and behind the command.
    for arguments in [
        &["--port", "x", "token", "--subject", "a"][..],
        &["token", "--subject", "a", "--port", "x"],
    ] {
        let (code, _, stderr) = finished(&[], arguments, directory.path());
        assert!(
            code == 78 && stderr.contains("--port (command line)"),
            "{code} {stderr}"
        );
    }
}

#[test]
fn manual_pages_and_completions_are_of_the_whole_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let (code, stdout, stderr) = finished(&[], arguments, directory.path());
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    for (shell, mark) in [
        ("bash", "complete -F _policyd"),
        ("zsh", "#compdef policyd"),
        ("fish", "complete -c policyd"),
        ("elvish", "edit:completion:arg-completer[policyd]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = run(&["completions", shell]);
        assert!(script.contains(mark) && script.contains("prices-file"), "{shell}");
    }
    let page = run(&["man"]);
    assert!(
        page.contains(".TH policyd 1") && page.contains("prices\\-file"),
        "{page}"
    );
    run(&["man", "-o", "pages"]);
    let mut names: Vec<String> = std::fs::read_dir(directory.path().join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "policyd-audit-verify.1",
            "policyd-audit.1",
            "policyd-call.1",
            "policyd-check-config.1",
            "policyd-check-sealed.1",
            "policyd-completions.1",
            "policyd-decisions-export.1",
            "policyd-decisions-migrate.1",
            "policyd-decisions.1",
            "policyd-health.1",
            "policyd-key.1",
            "policyd-man.1",
            "policyd-run.1",
            "policyd-seal.1",
            "policyd-token.1",
            "policyd-unseal.1",
            "policyd.1",
        ]
    );
    let token = std::fs::read_to_string(directory.path().join("pages/policyd-token.1")).unwrap();
    assert!(
        token.contains(".TH policyd-token 1") && token.contains("subject") && !token.contains("prices"),
        "{token}"
    );
    // No settings are needed for either.
    let (code, ..) = finished(&[("PORT", "many")], &["completions", "bash"], directory.path());
    assert_eq!(code, 0);
}

/// As `policyc` says it: there is one reader.
#[test]
fn a_price_file_that_cannot_be_read_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    for (text, says) in [
        (
            "models:\n  m: {provider: p, input_per_milion: 1}\n",
            "line 2, column 20: a model has no key `input_per_milion`; did you mean `input_per_million`?",
        ),
        (
            "models:\n  m: {provider: p, input_per_million: -1, output_per_million: 1}\n",
            "line 2, column 39: a price cannot be negative",
        ),
        (
            "#policy-prices 2\nm\tp\tchat\t\t\t\t\tstandard:1,2\n",
            "line 1, column 1: a table separated by tabs is no price file: write YAML or JSON such as `models:",
        ),
    ] {
        std::fs::write(directory.path().join("prices.yaml"), text).unwrap();
        let settings = [("PRICES_FILE", "prices.yaml")];
        let (code, _, stderr) = finished(&settings, &["check-config"], directory.path());
        assert_eq!(code, 78, "{stderr}");
        assert!(stderr.contains(&format!("prices.yaml: {says}")), "{stderr}");
    }
}

/// Settings, and those of them that must be named.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn what_cannot_work_is_found_before_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let keys = format!("a:{key},a:{key}");
    std::fs::write(directory.path().join("junk"), "junk").unwrap();
    for (name, text) in [
        ("prices.yaml", "models: {}\nmodles: {}\n"),
        (
            "prices.tsv",
            "#policy-prices 2\nm\tp\tchat\t\t\t\t\tstandard:1,2\n",
        ),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let cases: &[Case<'_>] = &[
        (&[("LOG_LEVEL", "loud")], &["LOG_LEVEL"]),
        (&[("PRICES_FILE", "/nope3")], &["PRICES_FILE"]),
        (&[("PRICES_FILE", "junk")], &["PRICES_FILE"]),
        (&[("PRICES_FILE", "prices.yaml")], &["PRICES_FILE"]),
        (&[("PRICES_FILE", "prices.tsv")], &["PRICES_FILE"]),
        (&[("BUNDLE_KEYS", "/nope")], &["BUNDLE_KEYS"]),
        (&[("BUNDLE_KEYS", "junk,/nope")], &["BUNDLE_KEYS", "BUNDLE_KEYS"]),
        (
            &[("TLS_CERT", "/nope"), ("TLS_KEY", "/nope2")],
            &["TLS_CERT", "TLS_KEY"],
        ),
        (
            &[
                ("TLS_CERT", "junk"),
                ("TLS_KEY", "junk"),
                ("TLS_CLIENT_CA", "/no"),
            ],
            &["TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"],
        ),
        (
            &[("JWT_PUBLIC_KEY", "/nope"), ("JWT_ALGORITHM", "RS256")],
            &["JWT_PUBLIC_KEY"],
        ),
        (
            &[("JWT_JWKS", "/nope"), ("JWT_ALGORITHM", "RS256")],
            &["JWT_JWKS"],
        ),
        (&[("JWT_JWKS", "ftp://u:hunter2@host/x")], &["JWT_JWKS"]),
        (&[("DECISION_LOG", "file:/nope/x")], &["DECISION_LOG"]),
        (&[("DECISION_LOG", "store,off")], &["DECISION_LOG"]),
        (&[("DECISION_LOG", "stdout,stdout")], &["DECISION_LOG"]),
        (&[("DECISION_LOG", ",")], &["DECISION_LOG"]),
        (
            &[("OTLP_ENDPOINT", "bogus"), ("TRACE_ENABLED", "true")],
            &["OTLP_ENDPOINT"],
        ),
        (
            &[
                ("OTLP_ENDPOINT", "https://u:hunter2@host"),
                ("TRACE_ENABLED", "true"),
            ],
            &["OTLP_ENDPOINT"],
        ),
        (&[("DATABASE_SSL_MODE", "bogus")], &["DATABASE_SSL_MODE"]),
        (
            &[("DATABASE_URL", "postgres://u:hunter2@host:port/d")],
            &["DATABASE_URL"],
        ),
        (&[("DATABASE_URL", "sqlite:junk/d.db")], &["DATABASE_URL"]),
        (&[("DATA_DIR", "junk"), ("BUNDLE", "x.bundle")], &["DATA_DIR"]),
        (
            &[("DATA_DIR", "junk"), ("DATABASE_URL", "sqlite:junk/d.db")],
            &["DATA_DIR"],
        ),
        (
            &[("POLICIES", "/nope"), ("BUNDLE", "x.bundle")],
            &["BUNDLE", "POLICIES"],
        ),
        (&[("ENCRYPTION_KEYS", &keys)], &["ENCRYPTION_KEYS"]),
        (&[("MAX_BODY", "0")], &["MAX_BODY"]),
        (&[("POLL_INTERVAL", "0s")], &["POLL_INTERVAL"]),
        (&[("POLICIES", "/nope")], &["POLICIES"]),
        (&[("POLICIES", "junk")], &["POLICIES"]),
        (&[("BUNDLE", "http://u:hunter2/x@host")], &["BUNDLE"]),
        (
            &[("REDIS_URL", "rediss://:hunter2@host"), ("REDIS_TLS_CA", "/nope")],
            &["REDIS_TLS_CA"],
        ),
        (&[("REDIS_URL", "redis://:hunter2@host:port")], &["REDIS_URL"]),
        (&[("REDIS_HOST", "no host")], &["REDIS_HOST"]),
        (&[("METRICS_HOST", "0.0.0.0")], &["METRICS_HOST"]),
        // What is wrong with a value hides nothing that is wrong with a file.
        (
            &[("PORT", "many"), ("PRICES_FILE", "/nope"), ("LOG_LEVEL", "loud")],
            &["PORT", "LOG_LEVEL", "PRICES_FILE"],
        ),
    ];
    for (settings, expected) in cases {
        let (code, stdout, stderr) = finished(settings, &["check-config"], directory.path());
        assert_eq!(code, 78, "{settings:?}: {stdout}{stderr}");
        let named: Vec<&str> = stderr
            .lines()
            .filter_map(|line| line.trim().split_once(" (environment): "))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(named, *expected, "{settings:?}: {stderr}");
        assert_eq!(stderr.lines().count(), expected.len() + 1, "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
        let start = finished(settings, &[], directory.path());
        assert_eq!(start, (code, stdout, stderr));
    }
    for arguments in [
        ["--max-body", "0"],
        ["--rate-limit", "-1"],
        ["--policies", "/nope"],
    ] {
        let (code, _, stderr) = finished(&[], &arguments, directory.path());
        let place = format!("{} (command line): ", arguments[0]);
        assert!(code == 78 && stderr.contains(&place), "{code}: {stderr}");
    }
    // What can work is fine, and nothing was made on the way.
    let fine = [
        ("DECISION_LOG", "store,file:log.jsonl"),
        ("DATABASE_URL", "sqlite:d/d.db"),
    ];
    let (code, _, stderr) = finished(&fine, &["check-config"], directory.path());
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn credentials_in_urls_are_used_and_not_shown() {
    let (port, sent) = web(NOT_FOUND);
    let url = |path: &str| format!("http://user:pa55w0rd@127.0.0.1:{port}/{path}?sig=S3CRETSIG");
    let shown = |path: &str| format!("http://127.0.0.1:{port}/{path}?sig=***");
    let policyd = Policyd::launch(&[("BUNDLE", &url("x.bundle")), ("LOG_LEVEL", "trace")]);
    until("the bundle was asked for", || reasons(&policyd).len() > 1);
    let said = [
        policyd.admin.ready().to_string(),
        policyd.client.get("/api/v1/bundle").expect(200)["origin"].to_string(),
    ];
    for text in &said {
        assert!(text.contains(&shown("x.bundle")), "{text}");
    }
    let refused = policyd.client.json("POST", "/api/v1/policies", &json!({}));
    let mut all = said.concat() + &refused.body.to_string() + &policyd.logged();
    assert!(
        policyd
            .logged()
            .contains(&format!("\"value\":\"{}\"", shown("x.bundle")))
    );

    let policyd = Policyd::launch(&[("JWT_JWKS", &url("jwks")), ("LOG_LEVEL", "trace")]);
    until("the keys were asked for", || {
        policyd.logged().contains("cannot read the keys")
    });
    assert!(policyd.logged().contains(&shown("jwks")), "{}", policyd.logged());
    all.push_str(&policyd.logged());

    for secret in ["pa55w0rd", "S3CRETSIG", "user:"] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    let sent = sent.lock().unwrap().to_ascii_lowercase();
    for path in ["x.bundle", "jwks"] {
        assert!(sent.contains(&format!("get /{path}?sig=s3cretsig ")), "{sent}");
    }
    // `user:pa55w0rd`, as HTTP has it.
    let basic = "authorization: basic dxnlcjpwytu1dzbyza==";
    assert_eq!(
        sent.matches(basic).count(),
        sent.matches("get /").count(),
        "{sent}"
    );
}

#[test]
fn the_log_level_is_changed_from_this_machine_only() {
    let put = |policyd: &Policyd| {
        policyd
            .admin
            .try_send("PUT", "/loglevel", "text/plain", "debug")
            .unwrap()
    };
    let near = Policyd::start(&[]);
    put(&near).expect(204);
    let far = Policyd::start(&[("METRICS_HOST", "0.0.0.0"), ("INSECURE_NO_AUTH", "true")]);
    put(&far).expect(403);
    far.admin.get("/metrics").expect(200);
}

#[test]
fn a_hangup_ends_nothing() {
    let mut policyd = Policyd::start(&[]);
    for _ in 0..2 {
        policyd.signal("HUP");
    }
    until("the log says why", || {
        policyd.logged().contains("nothing to reload")
    });
    // It still answers.
    let ready = policyd.client.ready();
    assert_eq!(
        ready["reasons"],
        json!(["no policy is active, so nothing is decided"])
    );
    policyd.terminate();
    let (status, log) = policyd.ended();
    assert!(status.success() && log.contains("stopping"), "{status}: {log}");
}

#[test]
fn an_empty_directory_allows_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.yaml");
    let policyd = Policyd::launch(&[("POLICIES", directory.path().to_str().unwrap())]);
    let empty = || {
        reasons(&policyd)
            .iter()
            .any(|r| r.contains("no policy in the directory"))
    };
    until("it says why", empty);
    let ready = policyd.client.get("/readyz");
    assert_eq!((ready.status, &ready.body["status"]), (503, &json!("unready")));
    let body = json!({"context": model("good")});
    policyd.client.json("POST", "/api/v1/evaluate", &body).expect(503);

    std::fs::write(&file, POLICY).unwrap();
    until("it is ready", || policyd.client.is("ready"));
    assert_eq!(policyd.client.decide(&model("bad")), "deny");

    std::fs::remove_file(&file).unwrap();
    until("it says why", empty);
    assert!(policyd.client.is("degraded"));
    assert_eq!(policyd.client.decide(&model("bad")), "deny");

    std::fs::write(&file, POLICY).unwrap();
    until("it is ready", || policyd.client.is("ready"));
    std::fs::write(directory.path().join("q.yaml"), POLICY).unwrap();
    until("both files are named", || {
        reasons(&policyd)
            .iter()
            .any(|r| r.contains("p.yaml:1:") && r.contains("q.yaml:1:"))
    });
}

#[test]
fn a_refused_bundle_is_told_once_wherever_it_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.bundle");
    std::fs::write(&file, "hello").unwrap();
    let (port, _) = web(NO_BUNDLE);
    let answers = [
        file.to_str().unwrap(),
        &format!("http://127.0.0.1:{port}/x.bundle"),
    ]
    .map(|bundle| {
        let mut settings = vec![("BUNDLE", bundle)];
        if bundle.starts_with("http") {
            settings.push(("BUNDLE_POLL", "50ms"));
        }
        let policyd = Policyd::launch(&settings);
        until("it was refused", || reasons(&policyd).len() > 1);
        // What is said goes on to be said.
        std::thread::sleep(std::time::Duration::from_millis(200));
        policyd.admin.ready()
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0]["dependencies"]["bundle"], "up");
    assert_eq!(answers[0]["reasons"].as_array().unwrap().len(), 2);
}

#[test]
fn strict_is_a_flag() {
    let directory = tempfile::tempdir().unwrap();
    for flag in ["--strict", "--policy-strict"] {
        let (code, _, stderr) = finished(&[], &[flag, "check-config"], directory.path());
        assert_eq!(code, 0, "{stderr}");
    }
}

/// Whoever is refused a thousand times fills no disk with it.
#[test]
fn a_flood_of_refusals_is_no_flood_of_lines() {
    let policyd = Policyd::start(&[("RATE_LIMIT_ROUTES", "policies=1"), ("RATE_LIMIT_BURST", "1")]);
    let begin = std::time::Instant::now();
    let refused = (0..300)
        .filter(|_| policyd.client.get("/api/v1/policies").status == 429)
        .count();
    // Ten a second, from each second that begins.
    let most = 10 * (usize::try_from(begin.elapsed().as_secs()).unwrap() + 1);
    assert!(refused > 100, "{refused}");
    let told = || {
        let log = policyd.logged();
        let lines = log
            .lines()
            .filter(|line| line.contains("policy_server::refusals"));
        lines.count()
    };
    until("it is told", || told() > 0);
    assert!(told() <= most, "{} lines, {most} may be", told());
}

/// What `policyd call` ends with.
fn call(policyd: &Policyd, context: &Value, directory: &Path) -> i32 {
    let server = format!("http://{}", policyd.grpc);
    let context = context.to_string();
    finished(
        &[],
        &["call", "--server", &server, "--context", &context],
        directory,
    )
    .0
}

#[test]
fn a_call_tells_a_refusal_from_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.yaml"), POLICY).unwrap();
    let at = directory.path();
    let policies = ("POLICIES", at.to_str().unwrap());
    let policyd = Policyd::start(&[policies]);
    assert_eq!(call(&policyd, &model("good"), at), 0);
    assert_eq!(call(&policyd, &model("bad"), at), 1);
    assert_eq!(call(&policyd, &json!("no context"), at), 2);
    let closed = Policyd::start(&[policies, ("API_KEYS_ENABLED", "true")]);
    assert_eq!(call(&closed, &model("good"), at), 2);
    let (code, _, said) = finished(
        &[],
        &["call", "--server", "http://127.0.0.1:1", "--context", "{}"],
        at,
    );
    assert_eq!(code, 2, "{said}");
}

/// A web server that sends everybody who asks for `/here` on to this place, and answers everything else with 404.
fn sends_on(to: String) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
            kept.lock().unwrap().push_str(&(head.join("\n") + "\n"));
            let is_here = head.first().is_some_and(|line| line.contains(" /here"));
            let answer = if is_here {
                format!(
                    "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
            } else {
                NOT_FOUND.to_owned()
            };
            // Whoever asked may be gone.
            (&stream).write_all(answer.as_bytes()).unwrap_or_default();
        }
    });
    (port, sent)
}

#[test]
fn nobody_sends_the_server_on_to_another_one() {
    let (other, asked) = web(NOT_FOUND);
    let (port, _) = sends_on(format!("http://127.0.0.1:{other}/elsewhere"));
    let url = format!("http://user:pa55w0rd@127.0.0.1:{port}/here");
    let bundle = Policyd::launch(&[("BUNDLE", &url), ("BUNDLE_POLL", "50ms")]);
    until("it says why", || {
        reasons(&bundle)
            .iter()
            .any(|reason| reason.contains("another server and not followed"))
    });
    let keys = Policyd::launch(&[("JWT_JWKS", &url)]);
    until("it says why", || {
        keys.logged().contains("another server and not followed")
    });
    assert_eq!(*asked.lock().unwrap(), "", "the other server was asked");
    assert!(!keys.logged().contains("pa55w0rd") && !bundle.logged().contains("pa55w0rd"));

    // Nor to give it what is for the other one.
    let (other, asked) = web(NOT_FOUND);
    let (port, sent) = sends_on(format!("http://127.0.0.1:{other}/elsewhere"));
    let url = format!("http://127.0.0.1:{port}/here");
    let bundle = Policyd::launch(&[
        ("BUNDLE", &url),
        ("BUNDLE_POLL", "50ms"),
        ("BUNDLE_TOKEN", "a-token-of-the-tests"),
    ]);
    until("it says why", || {
        reasons(&bundle)
            .iter()
            .any(|reason| reason.contains("another server and not followed"))
    });
    let head = sent.lock().unwrap().to_ascii_lowercase();
    assert!(
        head.contains("authorization: bearer a-token-of-the-tests"),
        "{head}"
    );
    assert_eq!(*asked.lock().unwrap(), "", "the other server was asked");
    assert!(!bundle.logged().contains("a-token-of-the-tests"));
    drop(bundle);

    // To itself, it may.
    let (port, asked) = sends_on("/there".to_owned());
    let bundle = Policyd::launch(&[("BUNDLE", &format!("http://127.0.0.1:{port}/here"))]);
    until("it is followed", || asked.lock().unwrap().contains("GET /there "));
    drop(bundle);
}

#[test]
fn a_report_whose_reader_has_gone_ends_as_if_it_were_read() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, settings) in [
        (&["check-config"][..], &[][..]),
        (&["audit", "verify"], &[("DATABASE_URL", "sqlite::memory:")]),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(settings)
            .args(arguments)
            .current_dir(directory.path())
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert_eq!(stderr, "", "{arguments:?}");
    }
}

#[test]
fn names_that_look_like_settings_are_told_and_secrets_without_value_refused() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("JWT_SECRT", "hunter2hunter2hunter2hunter2hunter2"),
        ("HOME", "/"),
    ];
    let (code, stdout, stderr) = finished(&settings, &["check-config"], directory.path());
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(
        stderr.contains("JWT_SECRT is no setting") && stderr.contains("did you mean JWT_SECRET?"),
        "{stderr}"
    );
    assert!(
        !stderr.contains("hunter2") && !stderr.contains("HOME"),
        "{stderr}"
    );
    let policyd = Policyd::launch(&settings);
    assert!(
        policyd.logged().contains("JWT_SECRT is no setting"),
        "{}",
        policyd.logged()
    );
    assert!(!policyd.logged().contains("hunter2"), "{}", policyd.logged());
    for name in [
        "JWT_SECRET",
        "ENCRYPTION_KEYS",
        "DATABASE_PASSWORD",
        "REDIS_PASSWORD",
        "DATABASE_URL",
        "REDIS_URL",
    ] {
        let (code, stdout, stderr) = finished(&[(name, "")], &[], directory.path());
        assert_eq!(code, 78, "{name}: {stdout}{stderr}");
        assert!(
            stderr.contains(&format!("{name} (environment): is empty")),
            "{stderr}"
        );
    }
}

#[test]
fn health_is_what_the_server_says_of_itself() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("p.yaml"), POLICY).unwrap();
    let health = |settings: &[(&str, &str)], arguments: &[&str]| {
        let (code, said, errors) = finished(settings, &[&["health"], arguments].concat(), at);
        assert_eq!((said.lines().count(), &*errors), (1, ""), "{said}");
        (code, said.trim().to_owned())
    };
    let policyd = Policyd::start(&[("POLICIES", at.to_str().unwrap())]);
    let port = policyd.admin_address.port().to_string();
    let url = format!("http://{}", policyd.admin_address);
    assert_eq!(health(&[("METRICS_PORT", &port)], &[]), (0, "ready".to_owned()));
    // By the settings of a container, whatever else is wrong with them.
    let container = [
        ("METRICS_HOST", "0.0.0.0"),
        ("METRICS_PORT", port.as_str()),
        ("JWT_SECRET", ""),
    ];
    assert_eq!(health(&container, &[]).0, 0);
    assert_eq!(health(&[], &["--url", &url]), (0, "ready".to_owned()));
    assert_eq!(health(&[], &["--url", &format!("{url}/readyz")]).0, 0);
    let (code, said) = health(&[], &["--url", &format!("{url}/nothing")]);
    assert!(code == 1 && said.contains("404"), "{said}");

    // Degraded is ready.
    std::fs::write(at.join("q.yaml"), "rules: 7").unwrap();
    until("it is degraded", || policyd.client.is("degraded"));
    let (code, said) = health(&[], &["--url", &url]);
    assert!(code == 0 && said.starts_with("degraded: "), "{said}");
    drop(policyd);
    let (code, said) = health(&[], &["--url", &url]);
    assert!(code == 1 && said.starts_with(&url), "{said}");

    let empty = Policyd::launch(&[]);
    let (code, said) = health(&[], &["--url", &format!("http://{}", empty.admin_address)]);
    assert!(code == 1 && said.starts_with("unready: no polic"), "{said}");

    for (settings, url, says) in [
        (
            &[("METRICS_PORT", "many")] as &[_],
            None,
            "METRICS_PORT (environment): expected a port",
        ),
        (&[("METRICS_PORT", "0")], None, "only --url can say where"),
        (&[], Some("ftp://u:pa55@host/x"), "is no URL of http or https"),
    ] {
        let arguments: Vec<&str> = url.into_iter().flat_map(|url| ["--url", url]).collect();
        let (code, said) = health(settings, &arguments);
        assert!(
            code == 1 && said.contains(says) && !said.contains("pa55"),
            "{said}"
        );
    }
}

#[test]
fn secrets_in_files_start_a_server_and_are_told_when_they_cannot() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let secret = "0123456789abcdef0123456789abcdef";
    std::fs::write(at.join("secret"), format!("{secret}\n")).unwrap();
    std::fs::write(at.join("policyd.toml"), "jwt_secret_file = \"secret\"").unwrap();
    for (settings, arguments) in [
        (
            &[("JWT_SECRET_FILE", "secret"), ("HOST", "0.0.0.0")] as &[(&str, &str)],
            &["check-config"][..],
        ),
        (
            &[("HOST", "0.0.0.0")],
            &["check-config", "--jwt-secret-file", "secret"],
        ),
        (&[("HOST", "0.0.0.0")], &["check-config"]),
        (&[], &["token", "--subject", "ann"]),
    ] {
        let (code, said, errors) = finished(settings, arguments, at);
        assert_eq!(code, 0, "{settings:?} {arguments:?}: {said}{errors}");
        assert!(!said.contains(secret) && !errors.contains(secret));
    }
    let (code, _, said) = finished(&[("JWT_SECRET_FILE", "nowhere")], &[], at);
    assert_eq!(code, 78, "{said}");
    assert!(
        said.contains("JWT_SECRET_FILE (environment): cannot read nowhere: "),
        "{said}"
    );
    let path = at.join("secret");
    let policyd = Policyd::launch(&[("JWT_SECRET_FILE", path.to_str().unwrap())]);
    let log = policyd.logged();
    assert!(log.contains("JWT_SECRET_FILE") && !log.contains(secret), "{log}");
    assert_eq!(policyd.client.get("/api/v1/policies").status, 401);
}

/// As the first lines of the example say it.
#[test]
fn a_copy_of_the_example_is_an_environment_for_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../.env.example")).unwrap();
    let in_a_shell = |text: &str| {
        std::fs::write(directory.path().join(".env"), text).unwrap();
        let policyd = command(&[]);
        let output = std::process::Command::new("sh")
            .args(["-c", "set -a; . ./.env; set +a; exec \"$0\" check-config"])
            .arg(policyd.get_program())
            .env_clear()
            .current_dir(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    };
    assert_eq!(in_a_shell(&example), (0, String::new()));
    // With the defaults written out, but for those that mean nothing without another setting.
    let mut text = example.clone();
    let mut count = 0;
    for setting in policy_server::config::table::SETTINGS {
        if let (Some(default), []) = (setting.default, setting.needs) {
            let line = format!("\n#{}={default}\n", setting.name);
            assert!(text.contains(&line), "{line}");
            text = text.replace(&line, &line.replace('#', ""));
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
    assert_eq!(in_a_shell(&text), (0, String::new()));
    // A value that is changed there arrives.
    let (code, said) = in_a_shell(&example.replace("\n#SHUTDOWN_GRACE=20s\n", "\nSHUTDOWN_GRACE=banana\n"));
    assert!(
        code == 78 && said.contains("SHUTDOWN_GRACE (environment): expected a time such as"),
        "{said}"
    );
}

#[test]
fn variables_of_the_earlier_implementation_are_named_once_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("NODE_ENV", "production"),
        ("JAEGER_ENDPOINT", "http://jaeger.example/api/traces"),
    ];
    let (code, stdout, stderr) = finished(&settings, &["check-config"], directory.path());
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stderr.contains("NODE_ENV (nothing"), "{stderr}");
    let policyd = Policyd::launch(&settings);
    let logged = policyd.logged();
    let lines: Vec<_> = logged
        .lines()
        .filter(|l| l.contains("earlier implementation"))
        .collect();
    assert_eq!(lines.len(), 1, "{logged}");
    assert!(
        lines[0].to_lowercase().contains("warn")
            && lines[0].contains("NODE_ENV")
            && lines[0].contains("JAEGER_ENDPOINT (OTLP_ENDPOINT"),
        "{logged}"
    );
    // Nothing of their values: they may hold credentials.
    assert!(!logged.contains("jaeger.example"), "{logged}");
}

/// What a program that reads standard output and goes does not change.
#[test]
fn a_call_whose_reader_has_gone_ends_as_it_was_decided() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.yaml"), POLICY).unwrap();
    let policyd = Policyd::start(&[("POLICIES", directory.path().to_str().unwrap())]);
    let server = format!("http://{}", policyd.grpc);
    for (name, code) in [("good", 0), ("bad", 1)] {
        let context = model(name).to_string();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(&[])
            .args(["call", "--server", &server, "--context", &context])
            .stdout(writer)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(code), ""));
    }
}

#[test]
fn a_port_of_the_other_kind_is_told() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.yaml"), POLICY).unwrap();
    let policyd = Policyd::start(&[("POLICIES", directory.path().to_str().unwrap())]);
    let rest = format!("http://{}", policyd.rest);
    let (code, _, said) = finished(
        &[],
        &["call", "--server", &rest, "--context", "{}"],
        directory.path(),
    );
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("does not answer as the gRPC port of policyd does (GRPC_PORT, 50051 by default)"),
        "{said}"
    );
    let answer = Client::new(policyd.grpc).get("/api/v1/policies");
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.as_str().unwrap().contains("this is the gRPC port"),
        "{}",
        answer.body
    );
}

#[test]
fn a_first_start_without_good_policies_says_that_none_is_active_and_all_that_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.yaml"), [b'a', 0xff]).unwrap();
    std::fs::write(directory.path().join("b.yaml"), b"b: \xfe").unwrap();
    std::fs::write(directory.path().join("c.yaml"), "rules: 7").unwrap();
    let policyd = Policyd::launch(&[("POLICIES", directory.path().to_str().unwrap())]);
    until("it is told", || {
        policyd.logged().contains("no policies are active")
    });
    let logged = policyd.logged();
    assert!(!logged.contains("last good ones"), "{logged}");
    for part in [
        "a.yaml:1:2: the file is not valid UTF-8: byte 0xff at offset 1",
        "b.yaml:1:4: the file is not valid UTF-8",
        "c.yaml:1:",
    ] {
        assert!(logged.contains(part), "{part}: {logged}");
    }
    // Once some are, they stay.
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        std::fs::remove_file(directory.path().join(name)).unwrap();
    }
    std::fs::write(directory.path().join("p.yaml"), POLICY).unwrap();
    until("it is ready", || policyd.client.is("ready"));
    std::fs::write(directory.path().join("c.yaml"), [0xff]).unwrap();
    until("it is told", || {
        policyd.logged().contains("the last good ones stay active")
    });
}

#[test]
fn decisions_in_the_database_are_told_and_moved_to_segments() {
    let data = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", data.path().join("policyd.db").display());
    let settings = |log: &'static str| {
        [
            ("DATABASE_URL", url.as_str()),
            ("DATA_DIR", data.path().to_str().unwrap()),
            ("DECISION_LOG", log),
        ]
    };
    let moved = |settings: &[(&str, &str)], more: &[&str]| {
        let (code, stdout, stderr) =
            finished(settings, &[&["decisions", "migrate"], more].concat(), data.path());
        (code, stdout + &stderr)
    };
    let policyd = Policyd::start(&settings("store"));
    policyd
        .client
        .try_send("POST", "/api/v1/policies", "application/yaml", POLICY)
        .unwrap()
        .expect(201);
    for n in 0..7 {
        let body = json!({"requestId": format!("early-{n}"), "context": model("bad"), "namespace": "team"});
        policyd.client.json("POST", "/api/v1/evaluate", &body).expect(200);
    }
    until("they are stored", || {
        policyd.metric("llm_policy_decision_log_queue") == 0
    });
    drop(policyd);
    let (code, said) = moved(&settings("store"), &[]);
    assert!(
        code != 0 && said.contains("DECISION_LOG does not name `segments`"),
        "{said}"
    );
    let (code, said) = moved(&settings("segments,store"), &["--remove"]);
    assert!(code != 0 && said.contains("would be removed"), "{said}");

    let policyd = Policyd::launch(&settings("segments"));
    until("the log says that there are some", || {
        policyd.logged().contains("policyd decisions migrate")
    });
    until("the server is ready", || policyd.client.is("ready"));
    let body = json!({"requestId": "late", "context": model("bad"), "namespace": "team"});
    policyd.client.json("POST", "/api/v1/evaluate", &body).expect(200);
    let listed = || {
        let found = policyd.client.get("/api/v1/decisions").expect(200);
        found["items"].as_array().unwrap().len()
    };
    until("the new one is there", || listed() == 1);
    // While the server runs, and again.
    for counts in [
        "7 decisions copied, 0 were there",
        "0 decisions copied, 7 were there",
    ] {
        let (code, said) = moved(&settings("segments"), &[]);
        assert!(code == 0 && said.contains(counts), "{said}");
    }
    let (code, said) = moved(&settings("segments"), &["--remove"]);
    assert!(code == 0 && said.contains("7 decisions removed"), "{said}");
    drop(policyd);
    let policyd = Policyd::launch(&settings("segments"));
    until("the server is ready", || policyd.client.is("ready"));
    let found = policyd.client.get("/api/v1/decisions?decision=deny").expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 8, "{found}");
    let one = policyd.client.get("/api/v1/decisions/early-3").expect(200);
    assert_eq!(one["items"][0]["namespace"], "team", "{one}");
    assert!(!policyd.logged().contains("policyd decisions migrate"));
}

#[test]
fn a_second_server_on_one_database_is_told_and_starts() {
    let directory = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", directory.path().join("policyd.db").display());
    let settings = [("DATABASE_URL", database.as_str())];
    let words = "another policyd uses this SQLite database";
    let first = Policyd::launch(&settings);
    assert!(!first.logged().contains(words), "{}", first.logged());
    let second = Policyd::launch(&settings);
    until("it is told", || second.logged().contains(words));
    // Ended without notice, none is left that holds the database.
    first.kill();
    second.kill();
    let third = Policyd::launch(&settings);
    assert!(!third.logged().contains(words), "{}", third.logged());
}

#[test]
fn a_key_lives_for_a_span_and_is_used_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("p.yaml"), POLICY).unwrap();
    let database = format!("sqlite:{}", at.join("policyd.db").display());
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("API_KEYS_ENABLED", "true"),
        ("POLICIES", at.to_str().unwrap()),
    ];
    let key = |span: &str| {
        finished(
            &[("DATABASE_URL", database.as_str())],
            &["key", "--name", "gateway", "--expires-in", span],
            at,
        )
    };
    for span in ["3600", "12h", "90d", "2w"] {
        let (code, secret, said) = key(span);
        assert_eq!(code, 0, "{said}");
        std::fs::write(at.join("key"), secret).unwrap();
    }
    let (code, _, said) = key("soon");
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("is not a span of time such as 12h or 90d"),
        "{said}"
    );

    let policyd = Policyd::start(&settings);
    let server = format!("http://{}", policyd.grpc);
    let context = model("good").to_string();
    let call = [
        "call",
        "--server",
        &server,
        "--context",
        &context,
        "--api-key-file",
        "key",
    ];
    let (code, _, said) = finished(&[], &call, at);
    assert_eq!(code, 0, "{said}");

    let secret = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");
    let token = ["token", "--subject", "ann", "--roles", "author"];
    let (code, _, said) = finished(&[secret], &token, at);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("no role `author`; roles are admin, policy.author, policy.approver"),
        "{said}"
    );
}
