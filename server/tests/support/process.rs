//! Real processes for tests: `policyd` as it is shipped, and a Redis that can be stopped, on free loopback ports.
//!
//! A test talks to them as a customer would, over HTTP. They end with the value that stands for them; what `policyd` logged
//! is printed when a test fails.

#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that has to happen; generous, because machines are busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begin.elapsed()
}

/// `policyd` with these settings, not started: no setting of the caller's environment gets in.
pub(crate) fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_policyd"));
    command
        .env_clear()
        .envs([
            ("PORT", "0"),
            ("GRPC_PORT", "0"),
            ("METRICS_PORT", "0"),
            ("LOG_FORMAT", "json"),
            // Nothing else decides about names of settings than the table, not even a file of the developer.
            ("DATABASE_URL", "sqlite::memory:"),
        ])
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    if settings.iter().any(|(name, _)| *name == "DATABASE_URL_FILE") {
        command.env_remove("DATABASE_URL");
    }
    command
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The body, where the status is the expected one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

/// Speaks to one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// One with connections of its own.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.into(),
            base: format!("http://{address}"),
        }
    }

    /// An answer, or why none came.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", kind);
        self.run(request, body)
    }

    fn run(&self, request: ureq::http::request::Builder, body: &str) -> Result<Answer, ureq::Error> {
        let mut response = if body.is_empty() {
            self.agent.run(request.body(())?)?
        } else {
            self.agent.run(request.body(body.to_owned())?)?
        };
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, body })
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_send("GET", path, "application/json", "").unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, "application/json", &body.to_string())
            .unwrap()
    }

    /// Asks for bytes. The body is there where the answer is none.
    #[track_caller]
    pub(crate) fn get_bytes(&self, path: &str) -> Answer {
        let request = ureq::http::Request::builder()
            .method("GET")
            .uri(format!("{}{path}", self.base))
            .header("accept", "application/octet-stream");
        self.run(request, "").unwrap()
    }

    /// Puts bytes, which must be taken.
    #[track_caller]
    pub(crate) fn put_bytes(&self, path: &str, bytes: &[u8]) {
        let request = ureq::http::Request::builder()
            .method("PUT")
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/octet-stream");
        let response = self.agent.run(request.body(bytes.to_vec()).unwrap()).unwrap();
        assert_eq!(response.status().as_u16(), 200);
    }

    /// As [`Client::json`], if the version is still this one.
    #[track_caller]
    pub(crate) fn json_if(&self, method: &str, path: &str, version: &str, body: &Value) -> Answer {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("if-match", format!("\"{version}\""));
        self.run(request, &body.to_string()).unwrap()
    }

    /// Decides on a context.
    #[track_caller]
    pub(crate) fn decide(&self, context: &Value) -> String {
        let body = json!({ "context": context });
        let body = self.json("POST", "/api/v1/evaluate", &body).expect(200);
        body["decision"]["decision"].as_str().unwrap().to_owned()
    }

    /// What `/readyz` says: why, where this is the admin port.
    #[track_caller]
    pub(crate) fn ready(&self) -> Value {
        self.get("/readyz").body
    }

    /// Whether the server is in this state.
    pub(crate) fn is(&self, status: &str) -> bool {
        self.ready()["status"] == status
    }
}

/// A running `policyd`.
#[derive(Debug)]
pub(crate) struct Policyd {
    child: Child,
    pub(crate) client: Client,
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    /// The admin listener.
    pub(crate) admin: Client,
    pub(crate) admin_address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    _directory: TempDir,
}

impl Policyd {
    /// Starts one, and waits until it is ready, or would be if a policy were active.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let policyd = Self::launch(settings);
        policyd.wait_until_ready();
        policyd
    }

    fn wait_until_ready(&self) {
        until("policyd is ready", || {
            let ready = self.client.ready();
            ready["status"] != "unready"
                || ready["reasons"][0]
                    .as_str()
                    .is_some_and(|reason| reason.starts_with("no policy is active"))
        });
    }

    /// As [`Policyd::start`], with this mask of permissions.
    pub(crate) fn start_with_umask(umask: &str, settings: &[(&str, &str)]) -> Self {
        let policyd = command(settings);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("umask {umask} && exec \"$0\"")])
            .arg(policyd.get_program())
            .env_clear()
            .envs(
                policyd
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null());
        let policyd = Self::launched(shell);
        policyd.wait_until_ready();
        policyd
    }

    /// Starts one, and waits until it listens.
    pub(crate) fn launch(settings: &[(&str, &str)]) -> Self {
        Self::launched(command(settings))
    }

    /// As [`Policyd::launch`], with a process that may have so many files open, and ready.
    pub(crate) fn with_files(files: usize, settings: &[(&str, &str)]) -> Self {
        let policyd = command(settings);
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().stdin(Stdio::null());
        for (name, value) in policyd.get_envs() {
            shell.env(name, value.unwrap());
        }
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\"")]);
        shell.arg(policyd.get_program());
        let policyd = Self::launched(shell);
        until("policyd is ready", || policyd.client.is("ready"));
        policyd
    }

    fn launched(mut command: Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = command
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let (rest, grpc, admin) = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("policyd did not start: {}", log.lock().unwrap());
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let address = |name: &str| event[name].as_str()?.parse::<SocketAddr>().ok();
            if let (Some(rest), Some(grpc), Some(admin)) =
                (address("rest"), address("grpc"), address("admin"))
            {
                break (rest, grpc, admin);
            }
            log.lock().unwrap().push_str(&format!("{line}\n"));
        };
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            child,
            client: Client::new(rest),
            rest,
            grpc,
            admin: Client::new(admin),
            admin_address: admin,
            log,
            reader: Some(reader),
            _directory: directory,
        }
    }

    /// Value of a metric; of one with labels also where there was nothing to count yet.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.admin.get("/metrics").body;
        let value = text
            .as_str()
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        assert!(value.is_some() || name.contains('{'), "no {name} in {text}");
        value.unwrap_or_default() as u64
    }

    /// Ends it as the system does that runs out of memory: at once, with nothing written that was not yet.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// What it logged so far.
    pub(crate) fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its exit status, and what it logged.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        let mut status = None;
        until("policyd ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status.unwrap(), self.log.lock().unwrap().clone())
    }
}

impl Drop for Policyd {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        if std::thread::panicking() {
            eprintln!("policyd logged:\n{}", self.log.lock().unwrap());
        }
    }
}

/// Evaluations that go on while something else happens; every one must be answered, and rightly.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    slowest_ms: Arc<AtomicU64>,
    /// Each gives back how many it got answered.
    threads: Vec<JoinHandle<usize>>,
}

/// What a load got.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) count: u64,
    pub(crate) slowest: Duration,
    /// Request ids, in the order of the requests, of each of those who asked.
    pub(crate) ids: Vec<Vec<String>>,
}

impl std::fmt::Display for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} evaluations, the slowest took {:?}",
            self.count, self.slowest
        )
    }
}

fn load_id(thread: usize, request: usize) -> String {
    format!("load-{thread}-{request}")
}

impl Load {
    /// `cases` are contexts and the decision that each must get. `%n%` in a context becomes a number that no other request
    /// has.
    pub(crate) fn start(client: &Client, cases: &[(Value, &str)]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let slowest_ms = Arc::new(AtomicU64::new(0));
        let cases: Vec<(String, String)> = cases
            .iter()
            .map(|(context, decision)| {
                let body = json!({"requestId": "%id%", "context": context});
                (body.to_string(), (*decision).to_owned())
            })
            .collect();
        let number = Arc::new(AtomicU64::new(0));
        let threads = (0..2)
            .map(|thread| {
                let (client, cases) = (client.clone(), cases.clone());
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                let (slowest_ms, number) = (Arc::clone(&slowest_ms), Arc::clone(&number));
                std::thread::spawn(move || {
                    for (request, (body, expected)) in cases.iter().cycle().enumerate() {
                        if stop.load(Ordering::SeqCst) {
                            return request;
                        }
                        let body = body
                            .replace("%n%", &number.fetch_add(1, Ordering::SeqCst).to_string())
                            .replace("%id%", &load_id(thread, request));
                        let begin = Instant::now();
                        let answer = client
                            .try_send("POST", "/api/v1/evaluate", "application/json", &body)
                            .unwrap()
                            .expect(200);
                        assert_eq!(answer["decision"]["decision"], **expected, "{answer}");
                        let took = begin.elapsed().as_millis() as u64;
                        slowest_ms.fetch_max(took, Ordering::SeqCst);
                        answered.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    unreachable!("a cycle has no end")
                })
            })
            .collect();
        let load = Self {
            stop,
            answered,
            slowest_ms,
            threads,
        };
        load.goes_on("the load has begun");
        load
    }

    /// Waits until more evaluations were answered.
    #[track_caller]
    pub(crate) fn goes_on(&self, when: &str) {
        let before = self.answered.load(Ordering::SeqCst);
        until(when, || {
            self.answered.load(Ordering::SeqCst) > before + 20
                || self.threads.iter().any(JoinHandle::is_finished)
        });
    }

    /// Ends it; fails where an answer was missing or wrong. Says what was answered.
    pub(crate) fn finish(self) -> Answered {
        self.stop.store(true, Ordering::SeqCst);
        let ids = self.threads.into_iter().enumerate().map(|(thread, handle)| {
            let requests = handle
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (0..requests).map(|request| load_id(thread, request)).collect()
        });
        Answered {
            ids: ids.collect(),
            count: self.answered.load(Ordering::SeqCst),
            slowest: Duration::from_millis(self.slowest_ms.load(Ordering::SeqCst)),
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A Redis that can be stopped and started. It keeps nothing on disk.
#[derive(Debug)]
pub(crate) struct Redis {
    port: u16,
    /// Certificate and key, where it speaks TLS and nothing else.
    tls: Option<(String, String)>,
    child: Option<Child>,
}

impl Redis {
    /// A new one; `None` without the program, which is said, and a failure where `REQUIRE_SERVERS` is set.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_with(test, None)
    }

    /// As [`Redis::start`], with TLS: the files of its certificate and its key.
    pub(crate) fn start_tls(test: &str, cert: String, key: String) -> Option<Self> {
        Self::start_with(test, Some((cert, key)))
    }

    fn start_with(test: &str, tls: Option<(String, String)>) -> Option<Self> {
        let mut redis = Self {
            port: free_port(),
            tls,
            child: None,
        };
        if redis.resume() {
            return Some(redis);
        }
        assert!(
            std::env::var_os("REQUIRE_SERVERS").is_none(),
            "{test} needs redis-server, and REQUIRE_SERVERS is set"
        );
        // Past the capture of the test harness.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: {test} (no redis-server)").unwrap();
        None
    }

    /// Starts it again. Says whether the program is there.
    pub(crate) fn resume(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        let port = self.port.to_string();
        match &self.tls {
            None => command.args(["--port", &port]),
            Some((cert, key)) => command
                .args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"])
                .args(["--tls-cert-file", cert, "--tls-key-file", key]),
        };
        let child = command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            return false;
        };
        self.child = Some(child);
        until("Redis answers", || {
            let pongs = |mut stream: TcpStream| {
                let mut answer = [0; 7];
                stream.write_all(b"PING\r\n")?;
                stream.read_exact(&mut answer)?;
                Ok::<_, std::io::Error>(&answer == b"+PONG\r\n")
            };
            // Who speaks TLS is not spoken to here; that it listens has to do.
            TcpStream::connect(("127.0.0.1", self.port))
                .is_ok_and(|stream| self.tls.is_some() || pongs(stream).unwrap_or(false))
        });
        true
    }

    /// Its process, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it at once.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Something between a server and what it depends on that can be cut. Connections go through until then.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    /// A wire to an address, `host:port`. Its threads end with the test process.
    pub(crate) fn to(target: &str) -> Self {
        let target = target.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(AtomicBool::new(false));
        let open = Arc::new(Mutex::new(Vec::new()));
        let (is_cut, all) = (Arc::clone(&cut), Arc::clone(&open));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(&*target)) else {
                    continue;
                };
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        // An end or a failure of one side ends the other.
                        drop(std::io::copy(&mut from, &mut to));
                        drop(to.shutdown(std::net::Shutdown::Both));
                    });
                }
                all.lock().unwrap().extend([near, far]);
            }
        });
        Self { address, cut, open }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts all connections; new ones are closed at once.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
    }

    /// New connections go through again.
    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

/// Runs `policyd` with a command that ends by itself: its exit code, stdout, stderr.
pub(crate) fn finished(
    settings: &[(&str, &str)],
    arguments: &[&str],
    directory: &Path,
) -> (i32, String, String) {
    let output = command(settings)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}
