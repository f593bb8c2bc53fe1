//! `flood`: what a normal caller sees while somebody else floods `policyd`.
//!
//! Each flood is a row of [`FLOODS`] and runs against a `policyd` of its own, from another address of this machine than the
//! caller: limits by address then tell them apart, as they would tell two clients. A row of the table says what the server
//! used meanwhile and what the caller saw.
//!
//! To add one, write a function that floods until it is dropped, and a row.

use crate::generator;
use crate::histogram::Histogram;
use crate::http::{Connection, request};
use crate::process::{DecisionLog, Policyd};
use crate::traffic::Traffic;
use anyhow::{Context as _, bail};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

/// Where floods come from.
const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Connections of the caller, and the pause between two requests on one.
const CALLERS: usize = 8;
const PACE: Duration = Duration::from_millis(100);
/// After so many requests, the caller comes with a new connection.
const REQUESTS: usize = 20;
/// Longer than that, the caller does not wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sockets of a flood of sockets.
const SOCKETS: usize = 4000;

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
struct Ports {
    rest: SocketAddr,
    grpc: SocketAddr,
}

/// A flood that goes on until it is dropped.
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One kind of flood.
struct Flood {
    name: &'static str,
    /// As the table says it.
    what: &'static str,
    /// Whether a stored policy decides, which others may be put beside, or a bundle.
    stored: bool,
    run: fn(Ports) -> Running,
}

/// Every flood, in the order of the table.
const FLOODS: &[Flood] = &[
    Flood {
        name: "none",
        what: "none",
        stored: false,
        run: |_| Box::pin(std::future::pending()),
    },
    Flood {
        name: "idle-sockets",
        what: "4,000 sockets to both ports, opened again when closed, that send one byte",
        stored: false,
        run: |ports| sockets(ports, b"P"),
    },
    Flood {
        name: "slow-heads",
        what: "4,000 sockets that send the head of a request and not its end",
        stored: false,
        run: |ports| sockets(ports, b"POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\n"),
    },
    Flood {
        name: "slow-bodies",
        what: "4,000 sockets with requests of which one byte of the body comes",
        stored: false,
        run: |ports| {
            sockets(
                ports,
                b"POST /api/v1/evaluate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: \
                  100000\r\n\r\n{",
            )
        },
    },
    Flood {
        name: "large-bodies",
        what: "500 sockets with bodies of 4 MB that never end",
        stored: false,
        run: large_bodies,
    },
    Flood {
        name: "connecting",
        what: "64 callers that connect, send nothing and go, as fast as they can",
        stored: false,
        run: connecting,
    },
    Flood {
        name: "duplicate-ids",
        what: "16 callers with batches of 1,000 contexts and a policy that is named 100,000 times",
        stored: true,
        run: |ports| asking(ports, 16, |_| duplicate_ids()),
    },
    Flood {
        name: "batches",
        what: "32 callers with batches of 1,000 contexts of 3 KB",
        stored: true,
        run: |ports| asking(ports, 32, |_| batch()),
    },
    Flood {
        name: "compile-storm",
        what: "32 callers that have policies of 33,000 rules in one line checked",
        stored: true,
        run: |ports| asking(ports, 32, |_| compile_storm()),
    },
    Flood {
        name: "templates",
        what: "16 callers that simulate a policy with 10,000 placeholders for a text of 100 KB",
        stored: true,
        run: |ports| asking(ports, 16, |_| templates()),
    },
    Flood {
        name: "quotas",
        what: "16 callers that store new policies, each of 100 KB",
        stored: true,
        run: |ports| asking(ports, 16, quotas),
    },
];

/// The policy that decides where no bundle does.
const STORED: &str = "metadata: {id: stored, name: Stored}\nrules:\n- id: refuse\n  condition: {operator: eq, field: \
                      llm.model, value: nobody-asks-for-this}\n  action: {decision: deny}\n";

/// Stores [`STORED`].
async fn store(to: SocketAddr) -> anyhow::Result<()> {
    let request = request("POST", "/api/v1/policies", "application/yaml", STORED.as_bytes());
    let mut connection = Connection::open(to).await?;
    let answer = connection.exchange(&request).await?;
    if answer.status != 201 {
        bail!(
            "the policy was refused with {}: {}",
            answer.status,
            String::from_utf8_lossy(answer.body)
        );
    }
    Ok(())
}

/// Callers who each ask, wait for the answer and ask again. `make` makes the requests, by a number that goes up.
fn asking(ports: Ports, callers: usize, make: fn(u64) -> Vec<u8>) -> Running {
    let number = Arc::new(AtomicU64::new(0));
    let caller = move |_| {
        let number = Arc::clone(&number);
        async move {
            loop {
                let question = make(number.fetch_add(1, Ordering::Relaxed));
                let ask = async {
                    let mut connection = Connection::over(open(ports.rest).await?)?;
                    connection.exchange(&question).await?;
                    anyhow::Ok(())
                };
                // Who is refused before all was sent comes again.
                if ask.await.is_err() {
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
    };
    Box::pin(all((0..callers).map(caller)))
}

fn duplicate_ids() -> Vec<u8> {
    let body = format!(
        "{{\"contexts\":[{}{{}}],\"policies\":[{}\"stored\"]}}",
        "{},".repeat(999),
        "\"stored\",".repeat(99_999)
    );
    request(
        "POST",
        "/api/v1/evaluate/batch",
        "application/json",
        body.as_bytes(),
    )
}

fn batch() -> Vec<u8> {
    let context = format!(
        "{{\"llm\":{{\"model\":\"m\",\"prompt\":\"{}\"}}}}",
        "a word ".repeat(430)
    );
    let body = format!("{{\"contexts\":[{}]}}", vec![context; 1000].join(","));
    request(
        "POST",
        "/api/v1/evaluate/batch",
        "application/json",
        body.as_bytes(),
    )
}

fn compile_storm() -> Vec<u8> {
    let rule = |n: u32| {
        format!(
            "{{\"id\":\"r{n}\",\"condition\":{{\"operator\":\"eq\",\"field\":\"a\",\"value\":\"{n}\"}},\"action\":{{\"decision\":\
             \"deny\"}}}}"
        )
    };
    let rules: Vec<String> = (0..33_000).map(rule).collect();
    let body = format!(
        "{{\"metadata\":{{\"id\":\"p\",\"name\":\"P\"}},\"rules\":[{}]}}",
        rules.join(",")
    );
    request(
        "POST",
        "/api/v1/policies/validate",
        "application/json",
        body.as_bytes(),
    )
}

fn templates() -> Vec<u8> {
    let draft = format!(
        "metadata: {{id: t, name: T}}\\nrules: [{{id: r, condition: {{operator: exists, field: metadata.x}}, action: {{decision: \
         deny, reason: '{}'}}}}]",
        "{{ metadata.x }}".repeat(10_000)
    );
    let body = format!(
        "{{\"context\":{{\"metadata\":{{\"x\":\"{}\"}}}},\"drafts\":[\"{draft}\"],\"policies\":[\"t\"]}}",
        "x".repeat(100_000)
    );
    request("POST", "/api/v1/simulate", "application/json", body.as_bytes())
}

fn quotas(number: u64) -> Vec<u8> {
    let body = format!(
        "# {}\n{}",
        "x".repeat(100_000),
        STORED.replace("id: stored,", &format!("id: p{number}, namespace: flood,"))
    );
    request("POST", "/api/v1/policies", "application/yaml", body.as_bytes())
}

async fn open(to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Closed at once and without a trace: ports that wait for their end would soon be all there are.
    socket.set_zero_linger()?;
    socket.bind((FLOODER, 0).into())?;
    socket.connect(to).await
}

/// A socket that sends this and then waits until it is closed, again and again.
async fn hold(to: SocketAddr, begin: Arc<[u8]>) {
    loop {
        if let Ok(mut stream) = open(to).await
            && stream.write_all(&begin).await.is_ok()
        {
            let mut ignored = [0; 1024];
            while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
        }
        // Who is refused comes again.
        sleep(Duration::from_millis(200)).await;
    }
}

async fn all(tasks: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let mut set: JoinSet<()> = tasks.into_iter().collect();
    while set.join_next().await.is_some() {}
}

fn sockets(ports: Ports, begin: &'static [u8]) -> Running {
    let begin: Arc<[u8]> = begin.into();
    Box::pin(all((0..SOCKETS).map(move |i| {
        let to = if i % 2 == 0 { ports.rest } else { ports.grpc };
        hold(to, Arc::clone(&begin))
    })))
}

fn large_bodies(ports: Ports) -> Running {
    let size = 4 << 20;
    let mut begin = request("POST", "/api/v1/evaluate", "application/json", &vec![b' '; size]);
    begin.pop();
    let begin: Arc<[u8]> = begin.into();
    Box::pin(all((0..500).map(move |_| hold(ports.rest, Arc::clone(&begin)))))
}

fn connecting(ports: Ports) -> Running {
    Box::pin(all((0..64).map(move |i| async move {
        let to = if i % 2 == 0 { ports.rest } else { ports.grpc };
        loop {
            if open(to).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        }
    })))
}

/// A flood that runs until this is dropped, on a thread of its own: what it needs is not taken from the caller's turns.
struct Flooding(Option<tokio::runtime::Runtime>);

impl Flooding {
    fn start(flood: &Flood, ports: Ports) -> anyhow::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        let running = flood.run;
        runtime.spawn(async move { running(ports).await });
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Flooding {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the caller saw.
#[derive(Debug, Default)]
struct Seen {
    times: Histogram,
    errors: u64,
    first_error: Option<String>,
}

/// Asks at its pace, for a while.
async fn caller(to: SocketAddr, question: Arc<[u8]>, time: Duration) -> Seen {
    let mut seen = Seen::default();
    let end = Instant::now() + time;
    let mut pace = interval(PACE);
    let mut connection: Option<(Connection, usize)> = None;
    while Instant::now() < end {
        pace.tick().await;
        let begin = Instant::now();
        let ask = async {
            let (mut open, asked) = match connection.take() {
                Some(kept) if kept.1 < REQUESTS => kept,
                Some(_) | None => (Connection::open(to).await?, 0),
            };
            let answer = open.exchange(&question).await?;
            if answer.status != 200 {
                bail!(
                    "status {}: {}",
                    answer.status,
                    String::from_utf8_lossy(answer.body)
                );
            }
            connection = Some((open, asked + 1));
            Ok(())
        };
        match timeout(PATIENCE, ask).await {
            Ok(Ok(())) => {
                let took = begin.elapsed().as_nanos();
                seen.times.record(u64::try_from(took).unwrap_or(u64::MAX));
            }
            Ok(Err(error)) => seen.fail(format!("{error:#}")),
            Err(_elapsed) => seen.fail(format!("no answer in {PATIENCE:?}")),
        }
    }
    seen
}

impl Seen {
    fn fail(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }
}

/// The largest memory of a process, looked at again and again until this is dropped.
async fn largest(policyd: &Policyd, largest: &mut u64) -> anyhow::Result<()> {
    let mut look = interval(Duration::from_millis(200));
    loop {
        look.tick().await;
        *largest = policyd.memory()?.max(*largest);
    }
}

/// Runs these floods, or all of them, each for a while, and prints a row for each.
pub(crate) async fn run(
    names: &[String],
    program: &Path,
    settings: &[(String, String)],
    time: Duration,
) -> anyhow::Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| FLOODS.iter().all(|flood| flood.name != **name))
    {
        let known: Vec<&str> = FLOODS.iter().map(|flood| flood.name).collect();
        bail!("there is no flood `{unknown}`; floods are {}", known.join(", "));
    }
    println!("| flood | processor | memory | answered a second | p99 | errors |");
    println!("|---|--:|--:|--:|--:|--:|");
    let wanted = |flood: &&Flood| names.is_empty() || names.iter().any(|name| name == flood.name);
    for flood in FLOODS.iter().filter(wanted) {
        println!("{}", row(flood, program, settings, time).await?);
    }
    Ok(())
}

async fn row(
    flood: &Flood,
    program: &Path,
    settings: &[(String, String)],
    time: Duration,
) -> anyhow::Result<String> {
    let traffic = Traffic::named("gateway-20")?;
    // What is refused is no news here.
    let quiet = [("LOG_LEVEL".to_owned(), "policyd=info,error".to_owned())];
    let policyd = Policyd::start(program, DecisionLog::Off, &[&quiet[..], settings].concat())?;
    if flood.stored {
        store(policyd.rest).await?;
    } else {
        generator::deploy(policyd.rest, &traffic).await?;
    }
    let body = traffic.bodies.first().context("the workload has no requests")?;
    let question: Arc<[u8]> = request("POST", "/api/v1/evaluate", "application/json", body).into();
    let flooding = Flooding::start(
        flood,
        Ports {
            rest: policyd.rest,
            grpc: policyd.grpc,
        },
    )?;
    // It has begun before anything is counted.
    sleep(Duration::from_secs(2)).await;
    let before = policyd.processor_seconds()?;
    let begin = Instant::now();
    let mut memory = 0;
    let mut callers: JoinSet<Seen> = (0..CALLERS)
        .map(|_| caller(policyd.rest, Arc::clone(&question), time))
        .collect();
    let mut all = Seen::default();
    let seen = async {
        while let Some(seen) = callers.join_next().await {
            let seen = seen?;
            all.times.add(&seen.times);
            all.errors += seen.errors;
            all.first_error = all.first_error.take().or(seen.first_error);
        }
        anyhow::Ok(())
    };
    tokio::select! {
        done = seen => done?,
        failed = largest(&policyd, &mut memory) => failed?,
    }
    let elapsed = begin.elapsed().as_secs_f64();
    let processor = (policyd.processor_seconds()? - before) / elapsed;
    drop(flooding);
    if let Some(error) = &all.first_error {
        eprintln!("{}: the first error of the caller: {error}", flood.name);
    }
    Ok(format!(
        "| {} | {:.0} % | {} MB | {:.0} | {:.1} ms | {} |",
        flood.what,
        processor * 100.0,
        memory >> 20,
        all.times.total() as f64 / elapsed,
        all.times.quantile(0.99) as f64 / 1e6,
        all.errors
    ))
}
