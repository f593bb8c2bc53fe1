//! Every secret of a running server is replaced, while callers ask for decisions and change policies: `policyd` as it is
//! shipped, a PostgreSQL that asks for passwords, a Redis with users, TLS, secrets in files as Kubernetes mounts them.
//!
//! What has to hold: no decision fails and none is missing in the log, new secrets work, and what is withdrawn is refused.
//!
//! Without PostgreSQL or Redis the tests that need it say that they are skipped, and fail where `REQUIRE_SERVERS` is set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/mounted.rs"]
mod mounted;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;
#[path = "support/tls.rs"]
mod tls;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mounted::Mounted;
use process::{Policyd, Redis, command, until};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tls::{Authority, Files};
use tokio::runtime::Runtime;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const SECRET_1: &str = "the first secret of tokens, of 32 bytes and more";
const SECRET_2: &str = "the second secret of tokens, of 32 bytes and more";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// PostgreSQL, asked as its owner.
struct Owner {
    runtime: Runtime,
    connection: PgConnection,
}

impl Owner {
    fn of(url: &str) -> Self {
        let runtime = runtime();
        let connection = runtime.block_on(PgConnection::connect(url)).unwrap();
        Self { runtime, connection }
    }

    fn run(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        self.runtime.block_on(self.connection.execute(sql)).unwrap();
    }

    fn text(&mut self, sql: &str) -> String {
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        self.runtime
            .block_on(query.fetch_one(&mut self.connection))
            .unwrap()
    }

    fn number(&mut self, sql: &str) -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        self.runtime
            .block_on(query.fetch_one(&mut self.connection))
            .unwrap()
    }

    /// Connections that a role has open to the database of the server.
    fn sessions(&mut self, role: &str) -> i64 {
        self.number(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND datname = 'policies'"
        ))
    }
}

/// A token that `policyd` makes with a secret.
fn token(secret: &str, role: &str) -> String {
    let output = command(&[("JWT_SECRET", secret)])
        .args(["token", "--subject", "ann", "--roles", role])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Asks one server over TLS.
#[derive(Clone)]
struct Caller {
    agent: ureq::Agent,
    base: String,
}

impl Caller {
    /// One that keeps connections open, or opens one for each request.
    fn new(address: SocketAddr, trusts: &Authority, keeps: bool) -> Self {
        let certificate = Certificate::from_der(trusts.0.der()).to_owned();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .max_idle_connections(if keeps { 4 } else { 0 })
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::new_with_certs(&[certificate]))
                    .build(),
            )
            .build();
        Self {
            agent: config.into(),
            base: format!("https://localhost:{}", address.port()),
        }
    }

    fn send(&self, method: &str, path: &str, credential: &str, body: &Value) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {credential}"))
            .header("content-type", "application/json");
        let mut response = if body.is_null() {
            self.agent.run(request.body(()).unwrap()).unwrap()
        } else {
            self.agent.run(request.body(body.to_string()).unwrap()).unwrap()
        };
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    #[track_caller]
    fn expect(&self, status: u16, method: &str, path: &str, credential: &str, body: &Value) -> Value {
        let (found, answer) = self.send(method, path, credential, body);
        assert_eq!(found, status, "{method} {path}: {answer}");
        answer
    }
}

fn policy(number: u64) -> Value {
    json!({
        "metadata": {"id": "limit", "name": "limit"},
        "rules": [
            {
                "id": "weight",
                "condition": {"operator": "gt", "field": "metadata.weight", "value": 10},
                "action": {"decision": "deny", "reason": format!("number {number}")},
            },
            {
                "id": "pii",
                "condition": {"operator": "eq", "field": "llm.containsPII", "value": true},
                "action": {"decision": "deny", "reason": "personal data"},
            },
        ],
    })
}

/// What callers prove themselves with at the moment.
#[derive(Clone)]
struct Credentials {
    token: Arc<Mutex<String>>,
    key: Arc<Mutex<String>>,
    admin: Arc<Mutex<String>>,
}

/// Authenticated decisions and changes of a policy that go on while something else happens. Every answer must be right.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<u64>>,
}

impl Load {
    fn start(address: SocketAddr, authority: &Authority, credentials: &Credentials) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let mut threads: Vec<JoinHandle<u64>> = (0..2)
            .map(|thread| {
                // Old connections, and handshakes with whatever the server shows by then.
                let caller = Caller::new(address, authority, thread == 0);
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                let credentials = credentials.clone();
                let text = "the quarterly report of the platform team is late again ".repeat(100);
                std::thread::spawn(move || {
                    let mut request = 0;
                    while !stop.load(Ordering::SeqCst) {
                        let weight = if request % 2 == 0 { 9 } else { 11 };
                        let credential = if request % 3 == 0 {
                            &credentials.key
                        } else {
                            &credentials.token
                        };
                        let credential = credential.lock().unwrap().clone();
                        // Some contexts repeat, so that caches have them.
                        let body = json!({
                            "requestId": format!("rot-{thread}-{request}"),
                            "context": {
                                "llm": {"model": "gpt-4o", "prompt": format!("{} {text}", request % 7)},
                                "metadata": {"weight": weight},
                            },
                        });
                        let answer = caller.expect(200, "POST", "/api/v1/evaluate", &credential, &body);
                        let decision = &answer["decision"]["decision"];
                        assert_eq!(decision, if weight > 10 { "deny" } else { "allow" }, "{answer}");
                        request += 1;
                        answered.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    request
                })
            })
            .collect();
        let caller = Caller::new(address, authority, true);
        let (until_then, credentials) = (Arc::clone(&stop), credentials.clone());
        threads.push(std::thread::spawn(move || {
            let mut number = 1;
            while !until_then.load(Ordering::SeqCst) {
                number += 1;
                let credential = credentials.admin.lock().unwrap().clone();
                caller.expect(200, "PUT", "/api/v1/policies/limit", &credential, &policy(number));
                std::thread::sleep(Duration::from_millis(100));
            }
            0
        }));
        let load = Self {
            stop,
            answered,
            threads,
        };
        load.goes_on("the load has begun");
        load
    }

    #[track_caller]
    fn goes_on(&self, when: &str) {
        let before = self.answered.load(Ordering::SeqCst);
        until(when, || {
            self.answered.load(Ordering::SeqCst) > before + 30
                || self.threads.iter().any(JoinHandle::is_finished)
        });
        assert!(
            !self.threads.iter().any(JoinHandle::is_finished),
            "{when}: a request failed"
        );
    }

    /// Ends it; fails where an answer was missing or wrong. Says how many decisions were made.
    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let decisions = self.threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        decisions.sum()
    }
}

/// How often the log says that new values of these settings were taken.
fn taken(policyd: &Policyd, setting: &str) -> usize {
    let log = policyd.logged();
    let lines = log
        .lines()
        .filter(|line| line.contains("took the new values") && line.contains(setting));
    lines.count()
}

fn key(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

#[test]
fn every_secret_is_replaced_under_load_without_a_failed_decision_or_a_lost_row() {
    const TEST: &str = "every_secret_is_replaced_under_load_without_a_failed_decision_or_a_lost_row";
    let Some(server) = postgres::Server::start() else {
        return postgres::missing(TEST);
    };
    let Some(redis) = Redis::start(TEST) else {
        return;
    };
    server.ask_for_passwords();
    let mut owner = Owner::of(&server.url("postgres"));
    // Two roles in turns act as a third one, which owns the tables and never logs in.
    owner.run("CREATE ROLE policies NOLOGIN");
    owner.run("CREATE DATABASE policies OWNER policies");
    let role = |owner: &mut Owner, name: &str, password: &str| {
        owner.run(&format!(
            "CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE policies"
        ));
        owner.run(&format!("ALTER ROLE {name} SET role TO policies"));
    };
    role(&mut owner, "app_a", "pass-a");
    let redis_client = redis::Client::open(redis.url()).unwrap();
    let mut acl = redis_client.get_connection().unwrap();
    let mut acl = |words: &str| -> redis::Value {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut acl).unwrap()
    };
    acl("ACL SETUSER policyd on >redis-1 ~* +@all");
    let (redis_host, redis_port) = redis
        .url()
        .trim_start_matches("redis://")
        .trim_end_matches("/0")
        .split_once(':')
        .map(|(host, port)| (host.to_owned(), port.to_owned()))
        .unwrap();

    let authority = Authority::new("ours");
    let first = authority.leaf("localhost");
    let certificates = Files::new(&first);
    let database = Mounted::new(&[("username", "app_a\n"), ("password", "pass-a\n")]);
    let cache = Mounted::new(&[("username", "policyd"), ("password", "redis-1")]);
    let jwt = Mounted::new(&[("secret", SECRET_1), ("previous-secret", "")]);
    let encryption = Mounted::new(&[("keys", &key("one", 1))]);
    let url = format!("postgres://127.0.0.1:{}/policies", server.port());
    let files = [
        ("DATABASE_USERNAME_FILE", database.path("username")),
        ("DATABASE_PASSWORD_FILE", database.path("password")),
        ("REDIS_USERNAME_FILE", cache.path("username")),
        ("REDIS_PASSWORD_FILE", cache.path("password")),
        ("JWT_SECRET_FILE", jwt.path("secret")),
        ("JWT_SECRET_PREVIOUS_FILE", jwt.path("previous-secret")),
        ("ENCRYPTION_KEYS_FILE", encryption.path("keys")),
        ("TLS_CERT", certificates.text("cert.pem")),
        ("TLS_KEY", certificates.text("key.pem")),
    ];
    let mut settings = vec![
        ("DATABASE_URL", url.as_str()),
        ("REDIS_HOST", &redis_host),
        ("REDIS_PORT", &redis_port),
        ("API_KEYS_ENABLED", "true"),
        // The test asks with tokens that are not good yet, and no longer.
        ("AUTH_FAILURES", "0"),
        // So that each decision asks Redis.
        ("RATE_LIMIT", "1000000"),
        ("RATE_LIMIT_SHARED", "true"),
        ("DECISION_LOG_CONTEXT", "full"),
    ];
    settings.extend(files.iter().map(|(name, path)| (*name, path.as_str())));
    let mut policyd = Policyd::launch(&settings);
    let ready = |policyd: &Policyd| {
        let ready = policyd.admin.ready();
        ready["status"] == "ready" && ready["dependencies"]["redis"] == "up"
    };
    let caller = Caller::new(policyd.rest, &authority, true);
    let admin = token(SECRET_1, "admin");
    until("the database is ready", || {
        caller.send("POST", "/api/v1/policies", &admin, &policy(1)).0 == 201
    });
    until("everything is there", || ready(&policyd));
    let body = json!({"name": "gateway", "roles": ["evaluator"]});
    let made = caller.expect(201, "POST", "/api/v1/keys", &admin, &body);
    let credentials = Credentials {
        token: Arc::new(Mutex::new(token(SECRET_1, "evaluator"))),
        key: Arc::new(Mutex::new(made["key"].as_str().unwrap().to_owned())),
        admin: Arc::new(Mutex::new(admin.clone())),
    };
    let load = Load::start(policyd.rest, &authority, &credentials);
    let evaluate = |credential: &str| {
        let body = json!({"context": {"llm": {"model": "gpt-4o"}}, "dryRun": true});
        caller.send("POST", "/api/v1/evaluate", credential, &body).0
    };

    // PostgreSQL: another role, which is there before its password is mounted. Then the first role is dropped.
    role(&mut owner, "app_b", "pass-b");
    database.put(&[("username", "app_b\n"), ("password", "pass-b\n")]);
    until("all connections are those of the new role", || {
        owner.sessions("app_a") == 0 && owner.sessions("app_b") > 1
    });
    owner.run("DROP ROLE app_a");
    load.goes_on("decisions go on after the first role is gone");
    // A pair that does not fit replaces nothing, and does not stick.
    database.put(&[("username", "app_a\n"), ("password", "pass-b\n")]);
    until("it is told", || {
        policyd.logged().contains("the last good ones stay")
    });
    until("readiness says it", || {
        policyd.admin.ready()["dependencies"]["secret files"] == "down"
    });
    load.goes_on("decisions go on with the last good role");
    // A role without the tables: let in, and still of no use.
    owner.run("CREATE ROLE stranger LOGIN PASSWORD 'pass-s'");
    database.put(&[("username", "stranger"), ("password", "pass-s")]);
    until("it is told", || {
        policyd.logged().contains("may not read and write the tables")
    });
    load.goes_on("decisions go on with the last good role");
    role(&mut owner, "app_c", "pass-c");
    database.put(&[("username", "app_c"), ("password", "pass-c")]);
    until("all connections are those of the third role", || {
        owner.sessions("app_b") == 0 && owner.sessions("app_c") > 1
    });
    owner.run("DROP ROLE app_b");
    load.goes_on("decisions go on after the second role is gone");
    // Where every connection is lost, the new ones are of the new role.
    assert_eq!(taken(&policyd, "DATABASE_PASSWORD"), 2, "{}", policyd.logged());

    // Whether Redis is asked and answers: on a busy machine it may be late now and then, and each server counts by itself.
    let counts = || {
        let before = policyd.metric("llm_policy_rate_limit_fallbacks_total");
        load.goes_on("decisions go on with Redis");
        policyd.metric("llm_policy_rate_limit_fallbacks_total") == before
    };
    until("Redis counts", counts);
    // Redis: a second password for the user, then the first is taken away, and every connection with it.
    // Mounted before Redis knows it: the old one stays until then.
    cache.put(&[("username", "policyd"), ("password", "redis-2")]);
    until("it is told", || {
        let log = policyd.logged();
        log.lines()
            .any(|line| line.contains("the last good ones stay") && line.contains("REDIS_PASSWORD"))
    });
    until("Redis counts", counts);
    assert_eq!(taken(&policyd, "REDIS_PASSWORD"), 0);
    acl("ACL SETUSER policyd >redis-2");
    until("Redis is asked with the new password", || {
        taken(&policyd, "REDIS_PASSWORD") == 1
    });
    acl("ACL SETUSER policyd <redis-1");
    load.goes_on("decisions go on with the new password");
    until("Redis counts", counts);
    acl("CLIENT KILL USER policyd");
    load.goes_on("decisions go on after all connections to Redis were lost");
    until("Redis is used again", || ready(&policyd));
    until("Redis counts", counts);

    // Tokens: the new secret, the old one still good; then the old one is gone.
    let old = credentials.token.lock().unwrap().clone();
    let new = token(SECRET_2, "evaluator");
    assert_eq!((evaluate(&old), evaluate(&new)), (200, 401));
    jwt.put(&[("secret", SECRET_2), ("previous-secret", SECRET_1)]);
    until("both are good", || evaluate(&new) == 200);
    assert_eq!(evaluate(&old), 200);
    credentials.token.lock().unwrap().clone_from(&new);
    *credentials.admin.lock().unwrap() = token(SECRET_2, "admin");
    load.goes_on("decisions go on with tokens of the new secret");
    // A secret that is no good replaces nothing.
    jwt.put(&[("secret", "short"), ("previous-secret", "")]);
    until("it is told", || policyd.logged().contains("5 bytes are too few"));
    assert_eq!((evaluate(&old), evaluate(&new)), (200, 200));
    // Callers read their new token before the old secret goes: what was on its way has arrived by now.
    jwt.put(&[("secret", SECRET_2), ("previous-secret", "")]);
    until("tokens of the old secret are refused", || evaluate(&old) == 401);
    assert_eq!(evaluate(&new), 200);
    load.goes_on("decisions go on without the old secret");

    // Stored contexts: a new key in front.
    let sealed_with = |owner: &mut Owner, id: &str| {
        owner.number(&format!(
            "SELECT count(*) FROM decisions WHERE context LIKE 'enc:v1:{id}:%'"
        ))
    };
    encryption.put(&[("keys", &format!("{},{}", key("two", 2), key("one", 1)))]);
    let mut tables = Owner::of(&server.url("policies"));
    until("contexts are sealed with the new key", || {
        sealed_with(&mut tables, "two") > 0
    });
    assert!(sealed_with(&mut tables, "one") > 0);
    load.goes_on("decisions go on with the new key");
    let admin = credentials.admin.lock().unwrap().clone();
    for id in ["one", "two"] {
        let sql = format!("SELECT request_id FROM decisions WHERE context LIKE 'enc:v1:{id}:%' LIMIT 1");
        let path = format!("/api/v1/decisions/{}", tables.text(&sql));
        let found = caller.expect(200, "GET", &path, &admin, &Value::Null);
        let opened = &found["items"][0]["context"]["llm"]["model"];
        assert_eq!(opened, "gpt-4o", "sealed with {id}: {found}");
    }

    // An API key: both secrets are good for a while.
    let (id, before) = (
        made["id"].as_str().unwrap(),
        credentials.key.lock().unwrap().clone(),
    );
    let body = json!({"overlap": 3600});
    let rotated = caller.expect(200, "POST", &format!("/api/v1/keys/{id}/rotate"), &admin, &body);
    let after = rotated["key"].as_str().unwrap().to_owned();
    assert_eq!((evaluate(&before), evaluate(&after)), (200, 200));
    credentials.key.lock().unwrap().clone_from(&after);
    load.goes_on("decisions go on with the new key");

    // The certificate.
    let second = authority.leaf("localhost");
    certificates.put("key.pem", &second.key_pem);
    certificates.put("cert.pem", &second.cert_pem);
    until("the new certificate is shown", || {
        policyd.logged().contains("took the new TLS files")
    });
    load.goes_on("decisions go on with the new certificate");

    let decisions = load.finish();
    assert!(ready(&policyd), "{}", policyd.admin.ready());
    policyd.terminate();
    let (status, log) = policyd.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    let rows = tables.number("SELECT count(*) FROM decisions WHERE request_id LIKE 'rot-%'");
    let ids = tables.number("SELECT count(DISTINCT request_id) FROM decisions WHERE request_id LIKE 'rot-%'");
    assert_eq!((rows, ids), (i64::try_from(decisions).unwrap(), rows));
    println!("{decisions} decisions, each in the log once");
    for secret in [
        "pass-a",
        "pass-b",
        "pass-c",
        "redis-1",
        "redis-2",
        SECRET_1,
        SECRET_2,
        &key("one", 1)[4..],
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn a_password_that_comes_late_is_taken_and_another_database_is_not() {
    let Some(server) = postgres::Server::start() else {
        return postgres::missing("a_password_that_comes_late_is_taken_and_another_database_is_not");
    };
    server.ask_for_passwords();
    let mut owner = Owner::of(&server.url("postgres"));
    owner.run("CREATE ROLE app LOGIN PASSWORD 'pass-1'");
    for name in ["policies", "others"] {
        owner.run(&format!("CREATE DATABASE {name} OWNER app"));
    }
    let url = |password: &str, database: &str| {
        format!(
            "postgres://app:{password}@127.0.0.1:{}/{database}\n",
            server.port()
        )
    };
    let secrets = Mounted::new(&[("url", &url("pass-0", "policies"))]);
    let policyd = Policyd::launch(&[("DATABASE_URL_FILE", &secrets.path("url"))]);
    let reasons = || policyd.admin.ready().to_string();
    until("the database refuses the password", || {
        policyd.logged().contains("password authentication failed")
    });
    // Before the tables are made as well.
    secrets.put(&[("url", &url("pass-1", "policies"))]);
    until("the new password is taken", || {
        taken(&policyd, "DATABASE_URL") == 1
    });
    let create = || policyd.client.json("POST", "/api/v1/policies", &policy(1)).status;
    until("policies can be written", || create() == 201);

    // The place stays, whatever the file says: policies would be of two databases.
    secrets.put(&[("url", &url("pass-1", "others"))]);
    until("it is told", || {
        policyd.logged().contains("only user and password can change")
    });
    assert_eq!(policyd.client.get("/api/v1/policies/limit").status, 200);
    until("readiness says it", || reasons().contains("secret files"));

    // The server of a password that is changed at both ends goes on, as soon as both ends have it.
    owner.run("ALTER ROLE app PASSWORD 'pass-2'");
    owner.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    secrets.put(&[("url", &url("pass-2", "policies"))]);
    until("the new password is taken", || {
        taken(&policyd, "DATABASE_URL") == 2
    });
    until("it is ready", || policyd.admin.ready()["status"] == "ready");
    assert_eq!(policyd.admin.ready()["dependencies"]["secret files"], "up");
    assert_eq!(policyd.client.get("/api/v1/policies/limit").status, 200);
    let log = policyd.logged();
    assert!(!log.contains("pass-"), "{log}");
}

/// As a folder of another machine that is away: a lease has everybody who opens the file wait for its holder, for 45 seconds.
#[test]
fn a_file_that_does_not_answer_is_told_and_holds_up_no_stop() {
    const HOLD: &str = "$SIG{IO} = 'IGNORE'; open(my $file, '+<', $ARGV[0]) or die; \
         for (my $n = 0; !fcntl($file, 1024, 1); $n++) { die 'no lease' if $n > 1000; select(undef, undef, undef, 0.01) } \
         $| = 1; print 'held'; sleep 60";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, SECRET_1).unwrap();
    let mut policyd = Policyd::launch(&[("JWT_SECRET_FILE", path.to_str().unwrap())]);
    until("it runs", || {
        policyd.admin.ready()["dependencies"]["store"] == "up"
    });
    let mut holder = std::process::Command::new("perl")
        .args(["-e", HOLD])
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("perl is needed for this test");
    let mut held = [0; 4];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut held).unwrap();
    until("readiness says it", || {
        policyd.admin.ready().to_string().contains("takes too long")
    });
    policyd.terminate();
    let stopped = std::time::Instant::now();
    let (status, log) = policyd.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        stopped.elapsed() < Duration::from_secs(15),
        "{:?}",
        stopped.elapsed()
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_bundle_is_followed_with_a_token_that_is_replaced() {
    let central = Policyd::start(&[("API_KEYS_ENABLED", "true"), ("JWT_SECRET", SECRET_1)]);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let admin = token(SECRET_1, "admin");
    let send = |method: &str, path: &str, body: &Value| -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", central.rest))
            .header("authorization", format!("Bearer {admin}"))
            .header("content-type", "application/json");
        let mut response = agent.run(request.body(body.to_string()).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or_default(),
        )
    };
    let deploy = |most: u32| {
        let policy = json!({
            "metadata": {"id": "weight", "name": "weight"},
            "rules": [{
                "id": "weight",
                "condition": {"operator": "gt", "field": "metadata.weight", "value": most},
                "action": {"decision": "deny"},
            }],
        });
        let mut compiler = policy_compiler::Compiler::new(policy_compiler::Options::default());
        compiler.set("p.json", policy.to_string());
        let request = ureq::http::Request::builder()
            .method("PUT")
            .uri(format!("http://{}/api/v1/bundle", central.rest))
            .header("authorization", format!("Bearer {admin}"))
            .header("content-type", "application/octet-stream");
        let bytes = compiler.build().unwrap().to_bundle().unwrap();
        let response = agent.run(request.body(bytes).unwrap()).unwrap();
        assert_eq!(response.status().as_u16(), 200);
    };
    deploy(10);
    let new_key = || {
        let body = json!({"name": "edge", "roles": ["policy.viewer"]});
        let (status, key) = send("POST", "/api/v1/keys", &body);
        assert_eq!(status, 201, "{key}");
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    };
    let (first, second) = (new_key(), new_key());
    let secrets = Mounted::new(&[("token", &first.1)]);
    let url = format!("http://{}/api/v1/bundle", central.rest);
    // A proxy is for other machines: this one would read the token.
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let proxied = format!("http://{}", proxy.local_addr().unwrap());
    let edge = Policyd::start(&[
        ("HTTP_PROXY", &proxied),
        ("ALL_PROXY", &proxied),
        ("BUNDLE", &url),
        ("BUNDLE_POLL", "50ms"),
        ("BUNDLE_TOKEN_FILE", &secrets.path("token")),
    ]);
    let context = |weight: u32| json!({"metadata": {"weight": weight}});
    until("the bundle is there", || edge.client.ready()["status"] == "ready");
    assert_eq!(edge.client.decide(&context(11)), "deny");

    secrets.put(&[("token", &second.1)]);
    until("the new token is taken", || taken(&edge, "BUNDLE_TOKEN") == 1);
    assert_eq!(
        send("DELETE", &format!("/api/v1/keys/{}", first.0), &Value::Null).0,
        204
    );
    // Servers know within five seconds that a key is revoked; the token is none of it any more.
    deploy(20);
    until("the change arrives", || {
        edge.client.decide(&context(11)) == "allow"
    });
    assert!(edge.client.is("ready"), "{}", edge.admin.ready());

    // Without a token that is good, the last good bundle stays, and the reason is told.
    assert_eq!(
        send("DELETE", &format!("/api/v1/keys/{}", second.0), &Value::Null).0,
        204
    );
    until("it is told", || edge.client.is("degraded"));
    assert_eq!(edge.client.decide(&context(21)), "deny");
    assert!(proxy.accept().is_err(), "the proxy was asked");
    for key in [&first.1, &second.1] {
        assert!(!edge.logged().contains(key.as_str()));
    }
}
