//! Many servers as one: three `policyd` behind a real Envoy with the configuration that is shipped (`examples/envoy`), under
//! load over REST and gRPC while servers are restarted one after the other, killed, and while PostgreSQL, Redis or the server
//! of the bundle stand still.
//!
//! What has to hold: every request gets an answer, without a retry of the client; each answer is right for the revision that
//! it names, and names no revision older than what all servers had taken over when it was asked for; each answered decision is in
//! the decision log once. Two things are let through, and counted: a request that Envoy sent twice may be logged twice,
//! and what a server answered in the last moment before `kill -9` may be missing.
//!
//! `ci/many.sh` runs this with `ENVOY` and `PGBOUNCER`, the paths of both programs. Without them the tests say that they are
//! skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;

use policy_proto::v1;
use policy_proto::v1::policy_service_client::PolicyServiceClient;
use postgres::Frozen;
use process::{Client, Policyd, Redis, until};
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How many servers there are.
const SERVERS: usize = 3;
/// Longer than a client waits for an answer, whatever happens.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long before `kill -9` an answer may have come that is not in the log. docs/operations.md promises 0.3 seconds where the
/// disk keeps up; the machine of a test may have other things to do.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// The program that an environment variable names. Without it, the test is skipped.
fn program(name: &str, test: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).map(PathBuf::from);
    if path.is_none() {
        // Past the capture of the test harness.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: {test} (no {name})").unwrap();
    }
    path
}

fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Change number `n` of the policy: what weighs more than a limit is denied. The limit is another one in every other version.
fn policy(n: u64) -> Value {
    json!({
        "metadata": {"id": "limit", "name": "limit"},
        "rules": [{
            "id": "weight",
            "condition": {"operator": "gt", "field": "metadata.weight", "value": limit(n)},
            "action": {"decision": "deny", "reason": format!("number {n}")},
        }],
    })
}

fn limit(n: u64) -> u32 {
    if n.is_multiple_of(2) { 10 } else { 20 }
}

/// Allowed by all, by every other one, by none.
const WEIGHTS: [u32; 3] = [5, 15, 25];

fn context(weight: u32) -> Value {
    json!({"llm": {"model": "gpt-4o", "prompt": "hello"}, "metadata": {"weight": weight}})
}

fn number(reason: &str) -> u64 {
    reason.strip_prefix("number ").unwrap().parse().unwrap()
}

/// Envoy with the shipped configuration; only ports are others.
#[derive(Debug)]
struct Envoy {
    child: Child,
    address: SocketAddr,
    admin: Client,
    directory: TempDir,
}

impl Envoy {
    fn start(program: &Path, ports: &[[u16; 3]; SERVERS]) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/envoy/envoy.yaml");
        let mut text = std::fs::read_to_string(shipped).unwrap();
        let [admin, listener] = free_ports();
        let mut others = vec![(9901, admin), (8080, listener)];
        for (server, [rest, grpc, _]) in ports.iter().enumerate() {
            let server = u16::try_from(server).unwrap();
            others.extend([(3001 + server, *rest), (50051 + server, *grpc)]);
        }
        for (shipped, ours) in others {
            let shipped = format!("port_value: {shipped}}}");
            assert!(text.contains(&shipped), "no {shipped}");
            text = text.replace(&shipped, &format!("port_value: {ours} }}"));
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("envoy.yaml");
        std::fs::write(&path, text).unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(&path)
            // One worker: the machine has other things to do.
            .args([
                "--disable-hot-restart",
                "--concurrency",
                "1",
                "--log-level",
                "warning",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let envoy = Self {
            child,
            address: local(listener),
            admin: Client::new(local(admin)),
            directory,
        };
        until("Envoy runs", || {
            envoy
                .admin
                .try_send("GET", "/ready", "", "")
                .is_ok_and(|answer| answer.status == 200)
        });
        envoy
    }

    /// How many of the servers Envoy sends requests to, of both protocols.
    fn healthy(&self) -> usize {
        let text = self.admin.get("/clusters").body;
        let lines = text.as_str().unwrap().lines();
        lines
            .filter(|line| line.ends_with("::health_flags::healthy"))
            .count()
    }

    fn waits_for(&self, servers: usize) {
        until("Envoy sends requests to the servers", || {
            self.healthy() == 2 * servers
        });
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            eprintln!("Envoy logged:\n{}", log.unwrap_or_default());
        }
    }
}

/// An answer to a request of the load.
#[derive(Debug)]
struct Got {
    decision: String,
    /// The number of the policy, where it denied.
    number: Option<u64>,
    revision: String,
    /// How often Envoy sent the request.
    attempts: u32,
    server: SocketAddr,
}

/// A request of the load.
#[derive(Debug)]
struct Asked {
    id: String,
    weight: u32,
    sent: Instant,
    took: Duration,
    /// The answer, or what came in its place.
    answer: Result<Got, String>,
}

impl Asked {
    fn answered(&self) -> Instant {
        self.sent + self.took
    }
}

/// Requests that are sent one after the other on each of four connections, two of them gRPC, until it is told to stop. Nothing
/// is sent again.
#[derive(Debug)]
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<Mutex<BTreeMap<SocketAddr, u64>>>,
    threads: Vec<JoinHandle<Vec<Asked>>>,
}

impl Load {
    fn start(envoy: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(Mutex::new(BTreeMap::new()));
        let threads = (0..4).map(|client| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || match client {
                0 | 1 => drive(client, &stop, &answered, rest(envoy)),
                _ => drive(client, &stop, &answered, grpc(envoy)),
            })
        });
        let threads = threads.collect();
        Self {
            stop,
            answered,
            threads,
        }
    }

    /// Answers so far of any server.
    fn count(&self) -> u64 {
        self.answered.lock().unwrap().values().sum()
    }

    /// Waits for more answers.
    fn goes_on(&self, what: &str) {
        let before = self.count();
        until(what, || self.count() >= before + 100);
    }

    /// Waits until this server answers.
    fn reaches(&self, server: SocketAddr) {
        let of = || {
            let answered = self.answered.lock().unwrap();
            answered.get(&server).copied().unwrap_or_default()
        };
        let before = of();
        until("requests get to each server", || of() > before);
    }

    fn finish(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::SeqCst);
        let asked = self.threads.into_iter().flat_map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        asked.collect()
    }
}

fn drive(
    client: u32,
    stop: &AtomicBool,
    answered: &Mutex<BTreeMap<SocketAddr, u64>>,
    mut ask: impl FnMut(&str, u32) -> Result<Got, String>,
) -> Vec<Asked> {
    let mut all = Vec::new();
    for (n, weight) in WEIGHTS.into_iter().cycle().enumerate() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("many-{client}-{n}");
        let sent = Instant::now();
        let answer = ask(&id, weight);
        if let Ok(got) = &answer {
            *answered.lock().unwrap().entry(got.server).or_default() += 1;
        }
        all.push(Asked {
            id,
            weight,
            sent,
            took: sent.elapsed(),
            answer,
        });
        std::thread::sleep(Duration::from_millis(4));
    }
    all
}

fn rest(envoy: SocketAddr) -> impl FnMut(&str, u32) -> Result<Got, String> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build();
    let agent: ureq::Agent = config.into();
    move |id, weight| {
        let body = json!({"requestId": id, "context": context(weight)}).to_string();
        let mut response = agent
            .post(format!("http://{envoy}/api/v1/evaluate"))
            .header("content-type", "application/json")
            .send(&body)
            .map_err(|error| error.to_string())?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let (attempts, server) = (header("x-envoy-attempt-count"), header("x-policyd"));
        let status = response.status();
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("{status}: {text}"));
        }
        let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        assert_eq!(answer["requestId"], id);
        Ok(Got {
            decision: answer["decision"]["decision"].as_str().unwrap().to_owned(),
            number: answer["decision"]["reason"].as_str().map(number),
            revision: answer["bundle"]["revision"].as_str().unwrap().to_owned(),
            attempts: attempts.unwrap().parse().unwrap(),
            server: server.unwrap().parse().unwrap(),
        })
    }
}

fn grpc(envoy: SocketAddr) -> impl FnMut(&str, u32) -> Result<Got, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{envoy}")).unwrap();
    let mut client = runtime.block_on(async { PolicyServiceClient::new(endpoint.connect_lazy()) });
    move |id, weight| {
        let request = v1::EvaluatePolicyRequest {
            request_id: id.to_owned(),
            input: Some(v1::evaluate_policy_request::Input::ContextJson(
                context(weight).to_string().into(),
            )),
            ..v1::EvaluatePolicyRequest::default()
        };
        let response = runtime.block_on(async {
            let call = tokio::time::timeout(PATIENCE, client.evaluate_policy(request));
            call.await
                .map_err(|_elapsed| "no answer in time".to_owned())?
                .map_err(|status| status.to_string())
        })?;
        let header = |name: &str| {
            response
                .metadata()
                .get(name)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        let (attempts, server) = (header("x-envoy-attempt-count"), header("x-policyd"));
        let answer = response.into_inner();
        assert_eq!(answer.request_id, id);
        Ok(Got {
            decision: match answer.decision() {
                v1::Decision::Allow => "allow",
                v1::Decision::Deny => "deny",
                other => panic!("{other:?}"),
            }
            .to_owned(),
            number: answer.reason.as_deref().map(number),
            revision: answer.bundle_revision,
            attempts: attempts.parse().unwrap(),
            server: server.parse().unwrap(),
        })
    }
}

/// A change that all servers follow.
#[derive(Debug)]
struct Change {
    n: u64,
    /// Before this, nobody knew of it.
    begun: Instant,
    /// From then on, every server decides by it.
    followed: Instant,
}

/// What became of a server of ours.
#[derive(Debug)]
struct Killed {
    /// Its addresses: REST, gRPC.
    addresses: [SocketAddr; 2],
    at: Instant,
}

/// How policies reach the servers.
enum Way {
    /// Through the API, by way of Envoy.
    Api,
    /// With a bundle that is put to another server, which they ask for it.
    Url(Client),
    /// With a bundle in a file that they watch.
    File(PathBuf),
}

/// All of it.
struct Site {
    envoy: Envoy,
    load: Load,
    servers: Vec<Option<Policyd>>,
    settings: Vec<Vec<(String, String)>>,
    ports: [[u16; 3]; SERVERS],
    way: Way,
    revisions: BTreeMap<String, u64>,
    changes: Vec<Change>,
    killed: Vec<Killed>,
    report: Vec<String>,
    directory: TempDir,
}

fn bundle(n: u64) -> Vec<u8> {
    let mut compiler = policy_compiler::Compiler::new(policy_compiler::Options::default());
    compiler.set("limit.json", policy(n).to_string());
    compiler.build().unwrap().to_bundle().unwrap()
}

impl Site {
    /// Starts the servers at once, gives them the first policy, and begins the load. `of_server` are settings of each server,
    /// by its directory.
    fn start(
        envoy: &Path,
        common: &[(&str, &str)],
        way: Way,
        of_server: impl Fn(&Path) -> Vec<(String, String)>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let numbers: [u16; 3 * SERVERS] = free_ports();
        let ports: [[u16; 3]; SERVERS] =
            std::array::from_fn(|server| std::array::from_fn(|kind| numbers[3 * server + kind]));
        let settings: Vec<Vec<(String, String)>> = ports
            .iter()
            .enumerate()
            .map(|(server, [rest, grpc, admin])| {
                let data = directory.path().join(server.to_string());
                std::fs::create_dir(&data).unwrap();
                let mut settings: Vec<(String, String)> = common
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
                settings.extend(of_server(&data));
                for (name, value) in [
                    ("PORT", rest.to_string()),
                    ("GRPC_PORT", grpc.to_string()),
                    ("METRICS_PORT", admin.to_string()),
                    ("DATA_DIR", data.to_str().unwrap().to_owned()),
                    ("SHUTDOWN_DELAY", "5s".to_owned()),
                ] {
                    settings.push((name.to_owned(), value));
                }
                settings
            })
            .collect();
        let starting: Vec<JoinHandle<Policyd>> = settings
            .iter()
            .cloned()
            .map(|settings| std::thread::spawn(move || start(&settings)))
            .collect();
        let servers: Vec<Option<Policyd>> = starting
            .into_iter()
            .map(|thread| Some(thread.join().unwrap()))
            .collect();
        if let Way::Api = &way {
            // Envoy sends nothing to a server without a policy: it is not ready.
            let first = servers[0].as_ref().unwrap();
            first
                .client
                .json("POST", "/api/v1/policies", &policy(0))
                .expect(201);
        }
        let envoy = Envoy::start(envoy, &ports);
        envoy.waits_for(SERVERS);
        let load = Load::start(envoy.address);
        let mut site = Self {
            envoy,
            load,
            servers,
            settings,
            ports,
            way,
            revisions: BTreeMap::new(),
            changes: Vec::new(),
            killed: Vec::new(),
            report: Vec::new(),
            directory,
        };
        site.follows(0, Instant::now(), Instant::now());
        for server in 0..SERVERS {
            for address in site.addresses(server) {
                site.load.reaches(address);
            }
        }
        site
    }

    fn addresses(&self, server: usize) -> [SocketAddr; 2] {
        let [rest, grpc, _] = self.ports[server];
        [local(rest), local(grpc)]
    }

    fn note(&mut self, text: String) {
        println!("{text}");
        self.report.push(text);
    }

    /// Changes the policy, and waits until every server decides by it.
    fn change(&mut self, when: &str) -> [Duration; SERVERS] {
        let n = self.changes.last().map_or(0, |change| change.n) + 1;
        let begun = Instant::now();
        match &self.way {
            Way::Api => {
                let envoy = Client::new(self.envoy.address);
                envoy
                    .json("PUT", "/api/v1/policies/limit", &policy(n))
                    .expect(200);
            }
            Way::Url(central) => central.put_bytes("/api/v1/bundle", &bundle(n)),
            Way::File(path) => {
                let new = path.with_extension("new");
                std::fs::write(&new, bundle(n)).unwrap();
                std::fs::rename(new, path).unwrap();
            }
        }
        let acknowledged = Instant::now();
        let took = self.follows(n, begun, acknowledged);
        let took_ms = took.map(|took| format!("{} ms", took.as_millis()));
        self.note(format!(
            "change {n}, {when}: answered after {} ms; followed {} later",
            acknowledged.duration_since(begun).as_millis(),
            took_ms.join(", ")
        ));
        took
    }

    /// Asks every server itself until it decides by this change.
    fn follows(&mut self, n: u64, begun: Instant, acknowledged: Instant) -> [Duration; SERVERS] {
        let asking: Vec<JoinHandle<(Duration, String)>> = self
            .servers
            .iter()
            .map(|server| {
                let client = server.as_ref().unwrap().client.clone();
                let body = json!({"context": context(WEIGHTS[2]), "dryRun": true});
                std::thread::spawn(move || {
                    let mut revision = String::new();
                    until("every server follows the change", || {
                        let answer = client.json("POST", "/api/v1/evaluate", &body).expect(200);
                        answer["bundle"]["revision"]
                            .as_str()
                            .unwrap()
                            .clone_into(&mut revision);
                        number(answer["decision"]["reason"].as_str().unwrap()) == n
                    });
                    (acknowledged.elapsed(), revision)
                })
            })
            .collect();
        let mut took = Vec::new();
        for thread in asking {
            let (time, revision) = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let before = self.revisions.insert(revision.clone(), n);
            assert!(
                before.is_none_or(|before| before == n),
                "{revision} is of {before:?} and of {n}"
            );
            took.push(time);
        }
        self.changes.push(Change {
            n,
            begun,
            followed: Instant::now(),
        });
        took.try_into().unwrap()
    }

    /// Restarts one server after the other, as a rollout does.
    fn rolling_restart(&mut self) {
        let begin = Instant::now();
        for server in 0..SERVERS {
            let mut old = self.servers[server].take().unwrap();
            old.terminate();
            let (status, log) = old.ended();
            assert_eq!(status.code(), Some(0), "{log}");
            self.comes_back(server);
        }
        self.note(format!(
            "rolling restart of {SERVERS} servers: {} s, every one ended with 0",
            begin.elapsed().as_secs()
        ));
    }

    /// Kills a server, goes on without it for a while, and starts it again.
    fn kill_and_restart(&mut self, server: usize) {
        let old = self.servers[server].take().unwrap();
        let at = Instant::now();
        old.kill();
        self.killed.push(Killed {
            addresses: self.addresses(server),
            at,
        });
        self.envoy.waits_for(SERVERS - 1);
        let noticed = at.elapsed();
        self.load.goes_on("the others answer");
        self.comes_back(server);
        self.note(format!(
            "kill -9 of server {server}: Envoy sends it nothing after {} ms",
            noticed.as_millis()
        ));
    }

    fn comes_back(&mut self, server: usize) {
        self.servers[server] = Some(start(&self.settings[server]));
        self.envoy.waits_for(SERVERS);
        for address in self.addresses(server) {
            self.load.reaches(address);
        }
    }

    /// Ends the load, and waits until every decision is where it is logged.
    fn finish(self) -> Finished {
        let asked = self.load.finish();
        for server in self.servers.iter().flatten() {
            until("every decision is in the log", || {
                server.metric("llm_policy_decision_log_queue") == 0
                    && (!matches!(self.way, Way::Api)
                        || server.metric("llm_policy_decision_log_spool_bytes") == 0)
            });
        }
        let mut servers = self.servers;
        for server in servers.iter().flatten() {
            server.terminate();
        }
        for server in servers.iter_mut().flatten() {
            let (status, log) = server.ended();
            assert_eq!(status.code(), Some(0), "{log}");
        }
        Finished {
            asked,
            revisions: self.revisions,
            changes: self.changes,
            killed: self.killed,
            directory: self.directory,
        }
    }
}

fn start(settings: &[(String, String)]) -> Policyd {
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    Policyd::start(&settings)
}

/// What there is to be checked afterwards.
struct Finished {
    asked: Vec<Asked>,
    revisions: BTreeMap<String, u64>,
    changes: Vec<Change>,
    killed: Vec<Killed>,
    directory: TempDir,
}

impl Finished {
    /// `logged` are the request ids in the decision log, each as often as it is there.
    fn check(&self, logged: &[String]) {
        let lost: Vec<String> = self
            .asked
            .iter()
            .filter_map(|asked| {
                let why = asked.answer.as_ref().err()?;
                Some(format!("{} after {:?}: {why}", asked.id, asked.took))
            })
            .collect();
        assert!(
            lost.is_empty(),
            "{} of {} requests got no answer: {lost:#?}",
            lost.len(),
            self.asked.len()
        );
        let answers: Vec<(&Asked, &Got)> = self
            .asked
            .iter()
            .filter_map(|asked| Some((asked, asked.answer.as_ref().ok()?)))
            .collect();
        for (asked, got) in &answers {
            let Some(n) = self.revisions.get(&got.revision).copied() else {
                panic!("no server was seen with this revision: {asked:?}");
            };
            let expected = if asked.weight > limit(n) { "deny" } else { "allow" };
            assert_eq!(got.decision, expected, "of policy {n}: {asked:?}");
            assert_eq!(got.number, (expected == "deny").then_some(n), "{asked:?}");
            for change in &self.changes {
                assert!(
                    n >= change.n || asked.sent < change.followed,
                    "every server followed change {} before: {asked:?}",
                    change.n
                );
                assert!(
                    n != change.n || change.n == 0 || asked.answered() > change.begun,
                    "change {} was not made yet: {asked:?}",
                    change.n
                );
            }
        }

        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for id in logged {
            *times.entry(id).or_default() += 1;
        }
        let (mut twice, mut missing) = (0, Vec::new());
        for (asked, got) in &answers {
            match times.get(asked.id.as_str()).copied().unwrap_or_default() {
                1 => {}
                0 => {
                    let before = self.killed.iter().find_map(|killed| {
                        let is_its = killed.addresses.contains(&got.server);
                        let before = killed.at.saturating_duration_since(asked.answered());
                        (is_its && before < LAST_MOMENT).then_some(before)
                    });
                    missing.push(before.unwrap_or_else(|| panic!("not in the log: {asked:?}")));
                }
                more => {
                    assert!(
                        u64::from(got.attempts) >= more,
                        "{more} times in the log: {asked:?}"
                    );
                    twice += 1;
                }
            }
        }
        let mut took: Vec<Duration> = answers.iter().map(|(asked, _)| asked.took).collect();
        took.sort();
        let again = answers.iter().filter(|(_, got)| got.attempts > 1).count();
        let servers: BTreeSet<SocketAddr> = answers.iter().map(|(_, got)| got.server).collect();
        println!(
            "{} requests (half of them gRPC), every one answered rightly by {} addresses, without a retry of the client; \
             Envoy tried {again} more than once; median {:?}, 99.9 % {:?}, slowest {:?}",
            answers.len(),
            servers.len(),
            took[took.len() / 2],
            took[took.len() * 999 / 1000],
            took[took.len() - 1],
        );
        println!(
            "in the log once: {}; twice, as they were tried twice: {twice}; missing after kill -9: {}{}",
            answers.len() - missing.len() - twice,
            missing.len(),
            missing.iter().max().map_or_else(String::new, |first| format!(
                ", the first answered {first:?} before"
            ))
        );
    }
}

/// Request ids of the load in the database, each as often as it is there.
fn in_database(url: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar("SELECT request_id FROM decisions WHERE request_id LIKE 'many-%'")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    })
}

#[test]
fn three_servers_on_one_postgresql_and_redis() {
    let test = "three_servers_on_one_postgresql_and_redis";
    let Some(envoy) = program("ENVOY", test) else {
        return;
    };
    let Some(server) = postgres::Server::start() else {
        return postgres::missing(test);
    };
    let Some(redis) = Redis::start(test) else { return };
    let (url, shared) = (server.url("postgres"), redis.url());
    let mut site = Site::start(
        &envoy,
        &[
            ("DATABASE_URL", &url),
            ("REDIS_URL", &shared),
            // Every request asks Redis.
            ("RATE_LIMIT", "1000000"),
            ("RATE_LIMIT_SHARED", "true"),
        ],
        Way::Api,
        |_| Vec::new(),
    );
    for _ in 0..5 {
        site.change("with nothing the matter");
    }
    site.rolling_restart();
    site.change("after the rolling restart");
    site.kill_and_restart(1);
    site.change("after kill -9");

    let frozen = server.freeze();
    let begin = Instant::now();
    site.load.goes_on("decisions go on while PostgreSQL stands still");
    for policyd in site.servers.iter().flatten() {
        until("each server says that it is degraded", || {
            policyd.client.is("degraded")
        });
    }
    site.load.goes_on("decisions go on on degraded servers");
    let via_envoy = Client::new(site.envoy.address);
    let refused = via_envoy.json("PUT", "/api/v1/policies/limit", &policy(999));
    assert_eq!(refused.status, 503, "{}", refused.body);
    site.load.goes_on("decisions go on after a refused change");
    site.note(format!(
        "PostgreSQL stands still for {} s",
        begin.elapsed().as_secs()
    ));
    drop(frozen);
    let begin = Instant::now();
    for policyd in site.servers.iter().flatten() {
        until("each server is ready again", || policyd.client.is("ready"));
    }
    site.note(format!(
        "all servers are ready {} ms after PostgreSQL goes on",
        begin.elapsed().as_millis()
    ));
    site.change("after PostgreSQL stood still");

    let mut frozen = Frozen::nothing();
    frozen.stop(redis.id().unwrap());
    let begin = Instant::now();
    for policyd in site.servers.iter().flatten() {
        until("each server says that Redis is away", || {
            policyd.client.is("degraded")
        });
    }
    site.load.goes_on("decisions go on while Redis stands still");
    site.change("while Redis stands still");
    site.rolling_restart();
    site.note(format!("Redis stands still for {} s", begin.elapsed().as_secs()));
    drop(frozen);
    for policyd in site.servers.iter().flatten() {
        until("each server is ready again", || policyd.client.is("ready"));
    }
    site.change("after Redis stood still");
    site.finish().check(&in_database(&url));
}

/// PgBouncer in front of a PostgreSQL, which gives away connections for a transaction.
#[derive(Debug)]
struct PgBouncer {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl PgBouncer {
    fn start(program: &Path, postgres: u16, mode: &str, connections: usize) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        use std::os::unix::process::CommandExt as _;
        let directory = tempfile::tempdir().unwrap();
        // It does not run as root, and reads these.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let [port] = free_ports();
        let users = directory.path().join("users");
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = directory.path().join("pgbouncer.ini");
        std::fs::write(
            &settings,
            format!(
                "[databases]\n* = host=127.0.0.1 port={postgres}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
                 pool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 200\n",
                users.display()
            ),
        )
        .unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command
            .arg(&settings)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let id = |what| {
            let output = Command::new("id").args([what, "nobody"]).output().unwrap();
            String::from_utf8(output.stdout)
                .unwrap()
                .trim()
                .parse::<u32>()
                .unwrap()
        };
        if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n" {
            command.uid(id("-u")).gid(id("-g"));
        }
        let bouncer = Self {
            child: command.spawn().unwrap(),
            port,
            directory,
        };
        until("PgBouncer listens", || {
            std::net::TcpStream::connect(local(port)).is_ok()
        });
        bouncer
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            eprintln!("PgBouncer logged:\n{}", log.unwrap_or_default());
        }
    }
}

#[test]
fn three_servers_through_pgbouncer() {
    let test = "three_servers_through_pgbouncer";
    let (Some(envoy), Some(pgbouncer)) = (program("ENVOY", test), program("PGBOUNCER", test)) else {
        return;
    };
    let Some(server) = postgres::Server::start() else {
        return postgres::missing(test);
    };
    // Fewer connections than the servers have together, so that they really share them.
    let bouncer = PgBouncer::start(&pgbouncer, server.port(), "transaction", 4);
    let url = bouncer.url();
    let mut site = Site::start(
        &envoy,
        &[("DATABASE_URL", &url), ("DATABASE_POOL_MODE", "transaction")],
        Way::Api,
        |_| Vec::new(),
    );
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let took = site.change("through PgBouncer");
        slowest = slowest.max(took.into_iter().max().unwrap());
    }
    site.note(format!(
        "through PgBouncer the slowest server followed after {slowest:?}"
    ));
    site.rolling_restart();
    site.kill_and_restart(2);
    site.change("after kill -9");

    // All the other things that are asked of a database.
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("DATABASE_POOL_MODE", "transaction"),
    ];
    let run = |arguments: &[&str]| {
        let (code, out, errors) = process::finished(&settings, arguments, Path::new("."));
        assert_eq!(code, 0, "{arguments:?}: {errors}");
        out
    };
    run(&["audit", "verify"]);
    let exported = run(&["decisions", "export"]);
    let lines = exported.lines().filter(|line| line.contains("\"many-")).count();
    assert!(lines > 100, "{lines} decisions were exported");
    let first = &site.servers[0].as_ref().unwrap().client;
    assert_eq!(
        first.get("/api/v1/policies/limit/versions").expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        12
    );
    let page = first.get("/api/v1/decisions?limit=5").expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 5, "{page}");

    // A pooler that goes is a database that is away.
    let mut frozen = Frozen::nothing();
    frozen.stop(bouncer.child.id());
    for policyd in site.servers.iter().flatten() {
        until("each server says that it is degraded", || {
            policyd.client.is("degraded")
        });
    }
    site.load.goes_on("decisions go on while PgBouncer stands still");
    drop(frozen);
    for policyd in site.servers.iter().flatten() {
        until("each server is ready again", || policyd.client.is("ready"));
    }
    site.change("after PgBouncer stood still");
    site.finish().check(&in_database(&server.url("postgres")));
}

#[test]
fn pgbouncer_without_its_setting_is_said() {
    let test = "pgbouncer_without_its_setting_is_said";
    let Some(pgbouncer) = program("PGBOUNCER", test) else {
        return;
    };
    let Some(server) = postgres::Server::start() else {
        return postgres::missing(test);
    };
    // One connection for everybody: names of statements meet at once.
    let bouncer = PgBouncer::start(&pgbouncer, server.port(), "transaction", 1);
    let url = bouncer.url();
    let policyd = Policyd::launch(&[("DATABASE_URL", &url)]);
    until("the server says what to set", || {
        policyd
            .admin
            .ready()
            .to_string()
            .contains("DATABASE_POOL_MODE=transaction")
            || policyd.logged().contains("DATABASE_POOL_MODE=transaction")
    });
    assert_eq!(policyd.client.get("/readyz").status, 503);
    drop(policyd);
    // With it, the same database serves.
    let policyd = Policyd::start(&[("DATABASE_URL", &url), ("DATABASE_POOL_MODE", "transaction")]);
    policyd
        .client
        .json("POST", "/api/v1/policies", &policy(0))
        .expect(201);
    assert_eq!(policyd.client.decide(&context(25)), "deny");
    drop(policyd);
    // And without a pooler in between.
    let direct = server.url("postgres");
    let policyd = Policyd::start(&[("DATABASE_URL", &direct)]);
    assert_eq!(policyd.client.decide(&context(25)), "deny");
}

#[test]
fn pgbouncer_that_gives_away_sessions_needs_no_setting() {
    let test = "pgbouncer_that_gives_away_sessions_needs_no_setting";
    let Some(pgbouncer) = program("PGBOUNCER", test) else {
        return;
    };
    let Some(server) = postgres::Server::start() else {
        return postgres::missing(test);
    };
    let bouncer = PgBouncer::start(&pgbouncer, server.port(), "session", 40);
    let url = bouncer.url();
    // Too seldom for anything to be found by asking.
    let settings = [("DATABASE_URL", url.as_str()), ("POLL_INTERVAL", "1h")];
    let (one, other) = (Policyd::start(&settings), Policyd::start(&settings));
    one.client
        .json("POST", "/api/v1/policies", &policy(0))
        .expect(201);
    let body = json!({"context": context(25)});
    let took = until("the other server is told of the change", || {
        other.client.json("POST", "/api/v1/evaluate", &body).status == 200
    });
    println!(
        "through PgBouncer in session mode, told after {} ms",
        took.as_millis()
    );
    assert_eq!(other.client.decide(&context(25)), "deny");
}

/// Request ids of the load in the decision files of all servers.
fn in_files(directory: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    for server in 0..SERVERS {
        let path = directory.join(server.to_string()).join("decisions.jsonl");
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let id = line["requestId"].as_str().unwrap();
            if id.starts_with("many-") {
                ids.push(id.to_owned());
            }
        }
    }
    ids
}

/// No database but one in memory, which holds keys and the audit trail, and here nothing.
fn of_bundles(data: &Path) -> Vec<(String, String)> {
    let file = format!("file:{}", data.join("decisions.jsonl").display());
    vec![
        ("DECISION_LOG".to_owned(), file),
        ("DATABASE_URL".to_owned(), "sqlite::memory:".to_owned()),
    ]
}

#[test]
fn three_servers_of_a_bundle_without_a_database() {
    let test = "three_servers_of_a_bundle_without_a_database";
    let Some(envoy) = program("ENVOY", test) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let central_settings = [
        ("PORT".to_owned(), port.to_string()),
        (
            "DATABASE_URL".to_owned(),
            format!("sqlite:{}", home.path().join("policyd.db").display()),
        ),
        ("DATA_DIR".to_owned(), home.path().to_str().unwrap().to_owned()),
    ];
    let central = start(&central_settings);
    central.client.put_bytes("/api/v1/bundle", &bundle(0));
    let from = format!("http://127.0.0.1:{port}/api/v1/bundle");
    let mut site = Site::start(
        &envoy,
        &[("BUNDLE", &from), ("BUNDLE_POLL", "500ms")],
        Way::Url(central.client.clone()),
        of_bundles,
    );
    for _ in 0..3 {
        site.change("by URL");
    }
    site.rolling_restart();
    site.kill_and_restart(0);
    site.change("after kill -9");

    // The server of the bundle is gone: servers go on, and start, with the last good one.
    central.kill();
    site.load
        .goes_on("decisions go on without the server of the bundle");
    site.rolling_restart();
    site.kill_and_restart(2);
    let central = start(&central_settings);
    site.way = Way::Url(central.client.clone());
    site.change("after the server of the bundle came back");
    let finished = site.finish();
    finished.check(&in_files(finished.directory.path()));
}

#[test]
fn three_servers_of_a_bundle_in_a_file() {
    let test = "three_servers_of_a_bundle_in_a_file";
    let Some(envoy) = program("ENVOY", test) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("policies.bundle");
    std::fs::write(&path, bundle(0)).unwrap();
    let from = path.to_str().unwrap().to_owned();
    let mut site = Site::start(&envoy, &[("BUNDLE", &from)], Way::File(path), of_bundles);
    for _ in 0..3 {
        site.change("by file");
    }
    site.rolling_restart();
    site.kill_and_restart(1);
    site.change("after kill -9");
    let finished = site.finish();
    finished.check(&in_files(finished.directory.path()));
}
