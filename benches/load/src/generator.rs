//! The load: so many connections, each with one request under way, for a while. Every answer is checked.
//!
//! The same code drives every server, so that what it costs is the same for all of them. It runs on the threads of the
//! caller's runtime and shares the processors with the server.

use crate::histogram::Histogram;
use crate::http::{Answer, Connection, request};
use crate::traffic::{Seen, Traffic};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use policy_proto::v1;
use policy_proto::v1::evaluate_policy_request::Input;
use policy_proto::v1::policy_service_client::PolicyServiceClient;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// REST over HTTP/1.1.
    Rest,
    /// gRPC.
    Grpc,
}

/// Where load goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) times: Histogram,
    pub(crate) cached: u64,
    /// Requests that got no answer, or a wrong one.
    pub(crate) wrong: u64,
    /// The first of them.
    pub(crate) first_wrong: Option<String>,
    pub(crate) elapsed: Duration,
}

impl Tally {
    /// Right answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.total() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.times.add(&other.times);
        self.cached += other.cached;
        self.wrong += other.wrong;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
        self.elapsed += other.elapsed;
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.wrong += 1;
        self.first_wrong.get_or_insert_with(|| format!("{error:#}"));
    }
}

/// Drives a server until `stop`, and at most for `time`.
pub(crate) async fn drive(
    target: Target,
    traffic: &Arc<Traffic>,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Tally> {
    let begin = Instant::now();
    let end = begin + time;
    let requests = match target.protocol {
        Protocol::Rest => traffic
            .bodies
            .iter()
            .map(|body| request("POST", "/api/v1/evaluate", "application/json", body))
            .collect(),
        Protocol::Grpc => Vec::new(),
    };
    let requests = Arc::new(requests);
    let mut tasks = JoinSet::new();
    for i in 0..connections {
        let (traffic, requests) = (Arc::clone(traffic), Arc::clone(&requests));
        // Connections start at different requests.
        let state = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        match target.protocol {
            Protocol::Rest => tasks.spawn(rest(target.address, traffic, requests, state, end)),
            Protocol::Grpc => tasks.spawn(grpc(target.address, traffic, state, end)),
        };
    }
    let mut tally = Tally::default();
    while let Some(done) = tasks.join_next().await {
        tally.add(done?);
    }
    tally.elapsed = begin.elapsed();
    Ok(tally)
}

async fn rest(
    address: SocketAddr,
    traffic: Arc<Traffic>,
    requests: Arc<Vec<Vec<u8>>>,
    mut state: u64,
    end: Instant,
) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while Instant::now() < end {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(address).await {
                Ok(open) => open,
                Err(error) => {
                    tally.fail(&error);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        let which = traffic.next(&mut state);
        let since = traffic.generation.acknowledged.load(Ordering::SeqCst);
        let start = Instant::now();
        let result = match open.exchange(&requests[which]).await {
            Ok(answer) => {
                let took = start.elapsed();
                let checked = judge(&traffic, which, since, answer);
                let shown = || String::from_utf8_lossy(answer.body).into_owned();
                let checked = checked.with_context(shown);
                connection = Some(open);
                checked.map(|cached| (took, cached))
            }
            Err(error) => Err(error),
        };
        tally.note(result);
    }
    tally
}

fn judge(traffic: &Traffic, which: usize, since: u64, answer: Answer<'_>) -> anyhow::Result<bool> {
    if answer.status != 200 {
        bail!("status {}", answer.status);
    }
    let seen = Seen::in_json(answer.body)?;
    traffic.check(which, since, &seen)?;
    Ok(seen.cached)
}

impl Tally {
    fn note(&mut self, result: anyhow::Result<(Duration, bool)>) {
        match result {
            Ok((took, cached)) => {
                self.times
                    .record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
                self.cached += u64::from(cached);
            }
            Err(error) => self.fail(&error),
        }
    }
}

async fn grpc(address: SocketAddr, traffic: Arc<Traffic>, mut state: u64, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let contexts: Vec<Bytes> = traffic
        .bodies
        .iter()
        .map(|body| Bytes::copy_from_slice(&body["{\"context\":".len()..body.len() - 1]))
        .collect();
    let channel = match tonic::transport::Endpoint::from_shared(format!("http://{address}")) {
        Ok(endpoint) => endpoint.connect().await,
        Err(error) => Err(error),
    };
    let mut client = match channel {
        Ok(channel) => PolicyServiceClient::new(channel),
        Err(error) => {
            tally.fail(&error.into());
            return tally;
        }
    };
    while Instant::now() < end {
        let which = traffic.next(&mut state);
        let since = traffic.generation.acknowledged.load(Ordering::SeqCst);
        let request = v1::EvaluatePolicyRequest {
            input: Some(Input::ContextJson(contexts[which].clone())),
            ..v1::EvaluatePolicyRequest::default()
        };
        let start = Instant::now();
        let result = match client.evaluate_policy(request).await {
            Ok(answer) => {
                let took = start.elapsed();
                let answer = answer.into_inner();
                let decision = match answer.decision() {
                    v1::Decision::Deny => "deny",
                    v1::Decision::Allow => "allow",
                    v1::Decision::Warn => "warn",
                    v1::Decision::Modify => "modify",
                    v1::Decision::Unspecified => "unspecified",
                };
                let seen = Seen {
                    revision: answer.bundle_revision.as_bytes(),
                    decision: decision.as_bytes(),
                    rule: answer.matched_rules.first().map(|r| r.as_bytes()),
                    cached: answer.cached,
                };
                traffic.check(which, since, &seen).map(|()| (took, seen.cached))
            }
            Err(status) => Err(anyhow::anyhow!("{status}")),
        };
        tally.note(result);
    }
    tally
}

/// Deploys the bundles in turn.
#[derive(Debug)]
pub(crate) struct Swapper {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

/// Deploys the next bundle.
pub(crate) async fn deploy(address: SocketAddr, traffic: &Traffic) -> anyhow::Result<()> {
    let generation = traffic.generation.begun.fetch_add(1, Ordering::SeqCst) + 1;
    let bundle = &traffic.bundles[(generation % 2) as usize];
    let request = request("PUT", "/api/v1/bundle", "application/octet-stream", bundle);
    let mut connection = Connection::open(address).await?;
    let answer = connection.exchange(&request).await?;
    if answer.status != 200 {
        bail!(
            "the bundle was refused with {}: {}",
            answer.status,
            String::from_utf8_lossy(answer.body)
        );
    }
    traffic
        .generation
        .acknowledged
        .store(generation, Ordering::SeqCst);
    Ok(())
}

impl Swapper {
    /// Starts a task that deploys the next bundle again and again.
    pub(crate) fn start(address: SocketAddr, traffic: Arc<Traffic>, every: Duration) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&done));
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(every);
            tick.tick().await;
            loop {
                tick.tick().await;
                if stopped.load(Ordering::SeqCst) {
                    return Ok(());
                }
                deploy(address, &traffic).await?;
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { stop, done, task }
    }

    /// Swaps so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Ends; the swaps that were made.
    pub(crate) async fn finish(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await??;
        Ok(self.done.load(Ordering::SeqCst))
    }
}
