//! PostgreSQL for tests: the server that `TEST_POSTGRES_URL` names, or one of our own on a free loopback port, with a fresh
//! database for each test.
//!
//! A server of our own belongs to a watcher process that reads from a pipe of the test: when the test ends, in whatever
//! way, the pipe closes, and the watcher stops the server and removes its directory.
//!
//! Without a server and without its programs there is nothing to test against. [`missing`] says so on the real stderr, past
//! the capture of the test harness, and fails where `REQUIRE_SERVERS` is set.

#![allow(dead_code, reason = "each test program uses the part that it needs")]

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Notes that a test was not run; fails where it has to be.
pub(crate) fn missing(test: &str) {
    assert!(
        std::env::var_os("REQUIRE_SERVERS").is_none(),
        "{test} needs PostgreSQL, and REQUIRE_SERVERS is set"
    );
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: {test} (no PostgreSQL)").unwrap();
}

/// Where the programs of the server are.
pub(crate) fn programs() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("TEST_POSTGRES_BIN") {
        return Some(PathBuf::from(path));
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    found.sort();
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    found
        .into_iter()
        .rev()
        .chain(on_path)
        .find(|path| path.join("initdb").is_file())
}

/// A server of our own.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    // Closing its pipe ends the server.
    watcher: Child,
}

/// What the watcher does when the test is gone. `$1` is the directory, the rest starts `pg_ctl`.
const WATCHER: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
directory=$1
shift
"$@" -D "$directory/data" -m immediate -w stop >/dev/null 2>&1
rm -rf "$directory"
"#;

impl Server {
    /// A new server, which runs; `None` without the programs.
    pub(crate) fn start() -> Option<Self> {
        let programs = programs()?;
        let directory = tempfile::Builder::new()
            .prefix("policyd-postgres-")
            .tempdir()
            .unwrap()
            .keep();
        if root() {
            let nobody = |what| {
                let output = Command::new("id").args([what, "nobody"]).output().unwrap();
                String::from_utf8(output.stdout)
                    .unwrap()
                    .trim()
                    .parse::<u32>()
                    .unwrap()
            };
            std::os::unix::fs::chown(&directory, Some(nobody("-u")), Some(nobody("-g"))).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "watcher"])
            .arg(&directory)
            .args(as_server(&programs.join("pg_ctl")))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            programs,
            directory,
            port,
            watcher,
        };
        let data = server.directory.join("data");
        server.run(
            "initdb",
            &[
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-sync",
                "-D",
                data.to_str().unwrap(),
            ],
        );
        server.resume();
        Some(server)
    }

    /// Starts it after [`Server::crash`].
    pub(crate) fn resume(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off -c max_connections=200",
            self.port,
            self.directory.display()
        );
        let log = self.directory.join("log");
        self.run(
            "pg_ctl",
            &[
                "-D",
                self.data().to_str().unwrap(),
                "-l",
                log.to_str().unwrap(),
                "-o",
                &options,
                "-w",
                "start",
            ],
        );
    }

    /// Stops it as a crash would: nothing is flushed, connections are cut.
    pub(crate) fn crash(&self) {
        self.run(
            "pg_ctl",
            &[
                "-D",
                self.data().to_str().unwrap(),
                "-m",
                "immediate",
                "-w",
                "stop",
            ],
        );
    }

    /// Stops all of its processes where they stand, as on a machine that hangs, until what it gives back is dropped:
    /// connections stay open, and nobody answers.
    pub(crate) fn freeze(&self) -> Frozen {
        let lock = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let first: u32 = lock.lines().next().unwrap().parse().unwrap();
        let mut frozen = Frozen {
            processes: Vec::new(),
        };
        // The first one begins the others: once it stands, there are no new ones.
        frozen.stop(first);
        for entry in std::fs::read_dir("/proc").unwrap() {
            let name = entry.unwrap().file_name();
            let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process may end before it is looked at.
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let parent = stat
                .rsplit_once(')')
                .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
            if parent == Some(first) {
                frozen.stop(process);
            }
        }
        frozen
    }

    /// Makes it speak TLS, and take no connection over TCP without.
    pub(crate) fn secure(&self, cert_pem: &str, key_pem: &str) {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        self.crash();
        let owner = std::fs::metadata(self.data()).unwrap();
        for (name, text) in [("server.crt", cert_pem), ("server.key", key_pem)] {
            let path = self.data().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let settings = self.data().join("postgresql.conf");
        let before = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(settings, before + "ssl = on\n").unwrap();
        std::fs::write(
            self.data().join("pg_hba.conf"),
            "hostssl all all 127.0.0.1/32 trust\n",
        )
        .unwrap();
        self.resume();
    }

    /// Makes it ask everybody but `postgres` for a password.
    pub(crate) fn ask_for_passwords(&self) {
        std::fs::write(
            self.data().join("pg_hba.conf"),
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
        self.run("pg_ctl", &["-D", self.data().to_str().unwrap(), "reload"]);
    }

    /// Its address, without a database.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let words = as_server(&self.programs.join(program));
        let output = Command::new(&words[0])
            .args(&words[1..])
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            // Not a pipe: the server would keep it open, and reading it would not end.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        assert!(output.success(), "{program} {arguments:?} failed: {log}");
    }

    /// Where to connect to.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        self.watcher.wait().unwrap();
    }
}

/// Processes that stand still; they go on when this is dropped.
#[derive(Debug)]
pub(crate) struct Frozen {
    processes: Vec<u32>,
}

impl Frozen {
    /// Stops a process too.
    pub(crate) fn stop(&mut self, process: u32) {
        signal("STOP", process);
        self.processes.push(process);
    }

    /// Nothing yet.
    pub(crate) fn nothing() -> Self {
        Self {
            processes: Vec::new(),
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in &self.processes {
            signal("CONT", *process);
        }
    }
}

fn signal(name: &str, process: u32) {
    Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status()
        .unwrap();
}

/// PostgreSQL refuses to run as root.
fn as_server(program: &Path) -> Vec<String> {
    let program = program.to_str().unwrap().to_owned();
    if root() {
        ["runuser", "-u", "nobody", "--"]
            .map(str::to_owned)
            .into_iter()
            .chain([program])
            .collect()
    } else {
        vec![program]
    }
}

fn root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| Command::new("id").arg("-u").output().unwrap().stdout == b"0\n")
}

/// The server that all tests of this process share.
fn shared() -> Option<&'static str> {
    static SHARED: OnceLock<Option<(Option<Server>, String)>> = OnceLock::new();
    SHARED
        .get_or_init(|| match std::env::var("TEST_POSTGRES_URL") {
            Ok(url) => Some((None, url)),
            Err(_) => Server::start().map(|server| {
                let url = server.url("postgres");
                (Some(server), url)
            }),
        })
        .as_ref()
        .map(|(_, url)| url.as_str())
}

/// A database of its own for one test.
#[derive(Debug)]
pub(crate) struct Database {
    admin: &'static str,
    name: String,
}

impl Database {
    /// A fresh database; `None` without a server.
    pub(crate) async fn create() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let admin = tokio::task::spawn_blocking(shared).await.unwrap()?;
        let name = format!(
            "policyd_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut connection = PgConnection::connect(admin).await.unwrap();
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        connection.close().await.unwrap();
        Some(Self { admin, name })
    }

    /// Where to connect to.
    pub(crate) fn url(&self) -> String {
        let (address, parameters) = match self.admin.split_once('?') {
            Some((address, parameters)) => (address, format!("?{parameters}")),
            None => (self.admin, String::new()),
        };
        let (server, _) = address.rsplit_once('/').unwrap();
        format!("{server}/{}{parameters}", self.name)
    }

    /// Removes it.
    pub(crate) async fn remove(self) {
        let mut connection = PgConnection::connect(self.admin).await.unwrap();
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        connection.close().await.unwrap();
    }
}
