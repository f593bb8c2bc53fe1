//! Load on `policyd` beside a server that answers a constant: `cargo run --release -p policy-load`.
//!
//! Both are processes of their own on loopback; one generator drives them in turns, checks every answer, and prints rate
//! and percentiles side by side. What counts are the ratios: times depend on the machine and on what else runs there.
//!
//! | module | what |
//! |---|---|
//! | [`traffic`] | requests, and what each bundle must decide on them |
//! | [`generator`] | connections that send them and check the answers; deployments meanwhile |
//! | [`http`] | one HTTP/1.1 connection |
//! | [`constant`] | the servers to compare with |
//! | [`process`] | starting and ending servers |
//! | [`histogram`] | times |
//! | [`report`] | what is printed |
//! | [`soak`] | `--soak`: for a long time, with a bundle replaced every second |
//! | [`flood`] | `flood`: what a caller sees while another one floods the server |

#![forbid(unsafe_code)]

mod constant;
mod flood;
mod generator;
mod histogram;
mod http;
mod process;
mod report;
mod soak;
mod traffic;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use constant::Constant;
use generator::{Protocol, Swapper, Tally, Target, drive};
use process::{ConstantServer, DecisionLog, Policyd};
use report::{Comparison, Report};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use traffic::{Seen, Traffic};

/// Share of the constant server's rate.
const RATE: f64 = 0.80;
/// Of its 99th percentile.
const P99: f64 = 1.25;

/// Load on policyd beside a server that answers a constant.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Special>,
    /// Folder of benches/workloads.
    #[arg(long, default_value = "gateway-20")]
    workload: String,
    /// Prompts of 4 KB that repeat, frequent ones often, searched for a hundred patterns: what the cache is for.
    #[arg(long, conflicts_with = "workload")]
    replay: bool,
    /// rest, grpc.
    #[arg(long, value_delimiter = ',', default_value = "rest")]
    protocols: Vec<String>,
    /// Where policyd writes decisions.
    #[arg(long, value_enum, default_value = "store")]
    decision_log: DecisionLog,
    /// Replace the bundle every second while load runs.
    #[arg(long)]
    swap: bool,
    /// Seconds of load on each server.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Turns that the servers take.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Threads of the generator.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Instead: load on policyd alone for so many seconds, with the bundle replaced every second.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "600")]
    soak: Option<u64>,
    /// Instead: load on policyd alone, for a profiler.
    #[arg(long)]
    alone: bool,
    /// A policyd that was built before; built when absent.
    #[arg(long)]
    policyd: Option<PathBuf>,
    /// More settings of policyd.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Where to write everything as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Special {
    /// The server that answers a constant; reads from stdin what.
    #[command(hide = true)]
    Constant,
    /// What a caller sees while another one floods policyd; prints a row for each flood.
    Flood {
        /// Which floods; all when absent.
        names: Vec<String>,
        /// Seconds of each.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    match arguments.command {
        // As many threads as policyd has.
        Some(Special::Constant) => runtime.enable_all().build()?.block_on(constant::run()),
        Some(Special::Flood { names, seconds }) => {
            let settings = settings(&arguments.settings)?;
            let program = program(arguments.policyd)?;
            let time = Duration::from_secs(seconds);
            let runtime = runtime.worker_threads(arguments.threads).enable_all().build()?;
            runtime.block_on(flood::run(&names, &program, &settings, time))
        }
        None => {
            let runtime = runtime.worker_threads(arguments.threads).enable_all().build()?;
            runtime.block_on(run(arguments))
        }
    }
}

fn protocol(name: &str) -> anyhow::Result<Protocol> {
    match name {
        "rest" => Ok(Protocol::Rest),
        "grpc" => Ok(Protocol::Grpc),
        other => bail!("there is no protocol `{other}`"),
    }
}

/// `NAME=VALUE` of the command line.
fn settings(given: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let pairs = given.iter().map(|setting| {
        let (name, value) = setting.split_once('=').context("--set NAME=VALUE")?;
        Ok((name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// The `policyd` that is meant.
fn program(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    given.map_or_else(process::build, Ok)
}

/// Fails where an answer was wrong: how fast wrong answers come is of no interest.
fn right(server: &str, tally: Tally) -> anyhow::Result<Tally> {
    match &tally.first_wrong {
        Some(first) => bail!(
            "{server}: {} wrong or missing answers; the first: {first}",
            tally.wrong
        ),
        None => Ok(tally),
    }
}

/// What the numbers were measured on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let cpu = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cpu}, {cores} cores shared with the generator, load of the machine before {load}")
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let machine = machine();
    let traffic = Arc::new(if arguments.replay {
        Traffic::replay()?
    } else {
        Traffic::named(&arguments.workload)?
    });
    let protocols: Vec<Protocol> = arguments
        .protocols
        .iter()
        .map(|name| protocol(name))
        .collect::<anyhow::Result<_>>()?;
    let settings = settings(&arguments.settings)?;
    let program = program(arguments.policyd)?;
    let policyd = Policyd::start(&program, arguments.decision_log, &settings)?;
    // Deployment 1 is the odd bundle; two of them leave the even one active.
    generator::deploy(policyd.rest, &traffic).await?;
    generator::deploy(policyd.rest, &traffic).await?;

    let time = Duration::from_secs_f64(arguments.seconds);
    let address = |protocol| match protocol {
        Protocol::Rest => policyd.rest,
        Protocol::Grpc => policyd.grpc,
    };
    let ours = |protocol| Target {
        address: address(protocol),
        protocol,
    };
    if let Some(seconds) = arguments.soak {
        let target = ours(protocols.first().copied().unwrap_or(Protocol::Rest));
        return soak::run(
            &policyd,
            target,
            &traffic,
            arguments.connections,
            Duration::from_secs(seconds),
        )
        .await;
    }
    if arguments.alone {
        println!("policyd is process {}", policyd.id());
        let target = ours(protocols.first().copied().unwrap_or(Protocol::Rest));
        let tally = right(
            "policyd",
            drive(target, &traffic, arguments.connections, time).await?,
        )?;
        println!("{:.0} requests/s", tally.rate());
        return Ok(());
    }

    // What the constant server answers is an answer of policyd to the first request; it is right for that one only.
    let body = traffic.bodies.first().context("the workload has no requests")?;
    let mut connection = http::Connection::open(policyd.rest).await?;
    let request = http::request("POST", "/api/v1/evaluate", "application/json", body);
    let answer = connection.exchange(&request).await?;
    let seen = Seen::in_json(answer.body)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let constant = Constant {
        body: text(answer.body),
        decision: text(seen.decision),
        rule: seen.rule.map(text),
        revision: text(seen.revision),
    };
    let same = Arc::new(traffic.always(&seen));
    let server = ConstantServer::start(&constant)?;

    let swapper = arguments
        .swap
        .then(|| Swapper::start(policyd.rest, Arc::clone(&traffic), Duration::from_secs(1)));
    let turn = time / u32::try_from(arguments.rounds.max(1))?;
    let mut comparisons = Vec::new();
    for protocol in protocols {
        let theirs = Target {
            address: match protocol {
                Protocol::Rest => server.rest,
                Protocol::Grpc => server.grpc,
            },
            protocol,
        };
        let (mut our_rounds, mut their_rounds) = (Vec::new(), Vec::new());
        let (mut our_time, mut their_time) = (0.0, 0.0);
        // The first round warms up.
        for round in 0..=arguments.rounds.max(1) {
            // Each round begins with the other server.
            for side in [round % 2, (round + 1) % 2] {
                if side == 0 {
                    let before = policyd.processor_seconds()?;
                    let tally = drive(ours(protocol), &traffic, arguments.connections, turn).await?;
                    let tally = right("policyd", tally)?;
                    if round > 0 {
                        our_time += policyd.processor_seconds()? - before;
                        our_rounds.push(tally);
                    }
                } else {
                    let before = server.processor_seconds()?;
                    let tally = drive(theirs, &same, arguments.connections, turn).await?;
                    let tally = right("the constant server", tally)?;
                    if round > 0 {
                        their_time += server.processor_seconds()? - before;
                        their_rounds.push(tally);
                    }
                }
            }
        }
        let (name, p99) = match protocol {
            Protocol::Rest => ("REST", Some(P99)),
            Protocol::Grpc => ("gRPC", None),
        };
        comparisons.push(Comparison::of(
            name,
            (&our_rounds, our_time),
            (&their_rounds, their_time),
            RATE,
            p99,
        ));
    }
    let swaps = match swapper {
        Some(swapper) => swapper.finish().await?,
        None => 0,
    };
    let report = Report {
        machine,
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        workload: if arguments.replay {
            "replay".to_owned()
        } else {
            arguments.workload
        },
        connections: arguments.connections,
        rounds: arguments.rounds,
        seconds_per_round: turn.as_secs_f64(),
        body_bytes: traffic.bodies.iter().map(Vec::len).sum::<usize>() / traffic.bodies.len(),
        answer_bytes: constant.body.len(),
        decision_log: format!("{:?}", arguments.decision_log).to_lowercase(),
        swaps,
        comparisons,
    };
    println!("{}", report.markdown());
    if let Some(path) = arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}
