//! The soak: load for a long time while a bundle is replaced every second by one that decides everything otherwise. Not one
//! answer may be missing or wrong, and memory must not grow with time.

use crate::generator::{Swapper, Tally, Target, drive};
use crate::process::Policyd;
use crate::traffic::Traffic;
use anyhow::bail;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a line is printed.
const LINE: Duration = Duration::from_secs(30);

const MEGABYTE: f64 = (1 << 20) as f64;

/// Runs; fails on any wrong or missing answer.
pub(crate) async fn run(
    policyd: &Policyd,
    target: Target,
    traffic: &Arc<Traffic>,
    connections: usize,
    time: Duration,
) -> anyhow::Result<()> {
    let swapper = Swapper::start(policyd.rest, Arc::clone(traffic), Duration::from_secs(1));
    let begin = Instant::now();
    let before = policyd.memory()?;
    println!("| seconds | requests | requests/s | p99 ms | bundles | wrong or missing | memory MB |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    let mut all = Tally::default();
    // Memory after the first part: caches, pools and queues are as large as they get.
    let mut warm = None;
    while begin.elapsed() < time {
        let part = LINE.min(time.saturating_sub(begin.elapsed()));
        let tally = drive(target, traffic, connections, part).await?;
        let memory = policyd.memory()?;
        warm.get_or_insert(memory);
        println!(
            "| {:.0} | {} | {:.0} | {:.2} | {} | {} | {:.1} |",
            begin.elapsed().as_secs_f64(),
            tally.times.total(),
            tally.rate(),
            tally.times.quantile(0.99) as f64 / 1e6,
            swapper.done(),
            tally.wrong,
            memory as f64 / MEGABYTE
        );
        all.add(tally);
    }
    let swaps = swapper.finish().await?;
    println!(
        "\n{} requests in {:.0} s, {swaps} bundles deployed, {} wrong or missing; memory {:.1} MB at the start, {:.1} MB after the \
         first part, {:.1} MB at the end",
        all.times.total(),
        begin.elapsed().as_secs_f64(),
        all.wrong,
        before as f64 / MEGABYTE,
        warm.unwrap_or(before) as f64 / MEGABYTE,
        policyd.memory()? as f64 / MEGABYTE
    );
    match all.first_wrong {
        Some(first) => bail!("the first wrong or missing answer: {first}"),
        None => Ok(()),
    }
}
