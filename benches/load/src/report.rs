//! What is printed: tables for people on stdout as Markdown, everything as JSON where a file is named.

use crate::generator::Tally;
use serde::Serialize;

/// One side of a comparison: medians over its rounds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) requests: u64,
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// Microseconds of processor time of the server for each request.
    pub(crate) processor_us: f64,
    /// Share of answers from a cache.
    pub(crate) cached: f64,
    /// Rate of each round.
    pub(crate) rates: Vec<f64>,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Side {
    pub(crate) fn of(name: &str, rounds: &[Tally], processor_seconds: f64) -> Self {
        let over = |f: &dyn Fn(&Tally) -> f64| median(rounds.iter().map(f).collect());
        let quantile = |share: f64| over(&|tally| tally.times.quantile(share) as f64 / 1e6);
        let requests: u64 = rounds.iter().map(|tally| tally.times.total()).sum();
        let cached: u64 = rounds.iter().map(|tally| tally.cached).sum();
        Self {
            name: name.to_owned(),
            requests,
            rate: over(&Tally::rate),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            p999_ms: quantile(0.999),
            processor_us: processor_seconds * 1e6 / requests.max(1) as f64,
            cached: cached as f64 / requests.max(1) as f64,
            rates: rounds.iter().map(Tally::rate).collect(),
        }
    }
}

/// policyd beside a constant server, over one protocol.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    pub(crate) protocol: &'static str,
    pub(crate) policyd: Side,
    pub(crate) constant: Side,
    /// Median over rounds of the ratio of the rates in a round.
    pub(crate) rate_ratio: f64,
    /// As `rate_ratio`, of the 99th percentiles.
    pub(crate) p99_ratio: f64,
    /// What the ratio of the rates should reach.
    pub(crate) rate_target: f64,
    /// What the ratio of the percentiles should not exceed.
    pub(crate) p99_target: Option<f64>,
}

impl Comparison {
    pub(crate) fn of(
        protocol: &'static str,
        policyd: (&[Tally], f64),
        constant: (&[Tally], f64),
        rate_target: f64,
        p99_target: Option<f64>,
    ) -> Self {
        let pairs = || policyd.0.iter().zip(constant.0);
        Self {
            protocol,
            policyd: Side::of("policyd", policyd.0, policyd.1),
            constant: Side::of("constant", constant.0, constant.1),
            rate_ratio: median(
                pairs()
                    .map(|(ours, theirs)| ours.rate() / theirs.rate())
                    .collect(),
            ),
            p99_ratio: median(
                pairs()
                    .map(|(ours, theirs)| {
                        ours.times.quantile(0.99) as f64 / theirs.times.quantile(0.99) as f64
                    })
                    .collect(),
            ),
            rate_target,
            p99_target,
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "\n### {}\n\n| server | requests/s | p50 ms | p99 ms | p99.9 ms | server µs/request | from cache |\n\
             |---|---:|---:|---:|---:|---:|---:|\n",
            self.protocol
        );
        for side in [&self.policyd, &self.constant] {
            out.push_str(&format!(
                "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} | {:.0} % |\n",
                side.name,
                side.rate,
                side.p50_ms,
                side.p99_ms,
                side.p999_ms,
                side.processor_us,
                side.cached * 100.0
            ));
        }
        let said = |met: bool| if met { "met" } else { "MISSED" };
        out.push_str(&format!(
            "\nrate {:.2} of the constant server's (target ≥ {:.2}, {})",
            self.rate_ratio,
            self.rate_target,
            said(self.rate_ratio >= self.rate_target)
        ));
        match self.p99_target {
            Some(target) => out.push_str(&format!(
                "; p99 {:.2} of its p99 (target ≤ {target:.2}, {})\n",
                self.p99_ratio,
                said(self.p99_ratio <= target)
            )),
            None => out.push_str(&format!("; p99 {:.2} of its p99\n", self.p99_ratio)),
        }
        out
    }
}

/// Everything of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) machine: String,
    /// What was run, as on the command line.
    pub(crate) command: String,
    pub(crate) workload: String,
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds_per_round: f64,
    pub(crate) body_bytes: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) decision_log: String,
    /// Bundles deployed while load ran.
    pub(crate) swaps: u64,
    pub(crate) comparisons: Vec<Comparison>,
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "`{}`, bodies of {} B, answers of {} B, {} connections, {} rounds of {} s each, decision log {}, {} bundles \
             deployed meanwhile. {}.\n",
            self.workload,
            self.body_bytes,
            self.answer_bytes,
            self.connections,
            self.rounds,
            self.seconds_per_round,
            self.decision_log,
            self.swaps,
            self.machine
        );
        for comparison in &self.comparisons {
            out.push_str(&comparison.markdown());
        }
        out
    }
}
