//! How the cost of a decision grows with the number of rules, of which one at most can fire.
//!
//! A contender stops where the next size would take too long, judged by how its last step grew, and the table says so.

use crate::contender::Engine;
use crate::contenders;
use crate::field::{self, Check, Outcome, Timed};
use crate::markdown::{self, time};
use crate::plot::{self, Line};
use crate::versions;
use policy_benches::machine::Machine;
use policy_benches::workloads;
use serde_json::{Value, json};

/// Rounds of each size: fewer than in the table, as the differences are not small.
const ROUNDS: usize = 15;

/// Numbers of rules.
const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Seconds that one decision and loading the policy may take.
const SLOWEST_DECISION: f64 = 0.05;
const SLOWEST_LOAD: f64 = 20.0;

/// One contender over the sizes, until it stopped.
struct Curve {
    engine: &'static Engine,
    points: Vec<(usize, Timed)>,
    stopped: Option<String>,
}

impl Curve {
    /// Why the next size should not be tried.
    fn forecast(&self, size: usize) -> Option<String> {
        let &(last, timed) = self.points.last()?;
        // At least in proportion; more where the last step grew by more.
        let steps = match self.points.len() {
            0 | 1 => None,
            n => Some(self.points[n - 2]),
        };
        let growth = |value: fn(&Timed) -> f64| {
            let linear = size as f64 / last as f64;
            let before = steps.map_or(1.0, |(_, before)| value(&timed) / value(&before));
            value(&timed) * before.max(1.0).min(linear * linear)
        };
        let (load, decision) = (growth(|t| t.load), growth(|t| t.ns / 1e9));
        if load > SLOWEST_LOAD {
            Some(format!("loading {size} rules would take about {load:.0} s"))
        } else if decision > SLOWEST_DECISION {
            Some(format!(
                "a decision among {size} rules would take about {}",
                time(decision * 1e9)
            ))
        } else {
            None
        }
    }
}

pub(crate) fn run(sizes: &[String], svg: Option<&str>) -> Result<Value, String> {
    let sizes: Vec<usize> = match sizes {
        [] => SIZES.to_vec(),
        sizes => sizes
            .iter()
            .map(|size| size.parse().map_err(|_| format!("{size} is no number of rules")))
            .collect::<Result<_, _>>()?,
    };
    let machine = Machine::here();
    let mut curves: Vec<Curve> = contenders::in_growth()
        .map(|engine| Curve {
            engine,
            points: Vec::new(),
            stopped: None,
        })
        .collect();
    for &size in &sizes {
        for curve in &mut curves {
            if curve.stopped.is_none() {
                curve.stopped = curve.forecast(size);
            }
        }
        let workload = workloads::tenants(&format!("tenants-{size}"), size);
        let mut running: Vec<&mut Curve> = curves.iter_mut().filter(|c| c.stopped.is_none()).collect();
        let engines: Vec<&Engine> = running.iter().map(|curve| curve.engine).collect();
        let outcomes = field::run(&workload, &engines, ROUNDS, Check::Some);
        for (curve, outcome) in running.iter_mut().zip(outcomes) {
            match outcome {
                Outcome::Timed(timed) => curve.points.push((size, timed)),
                Outcome::Out(unable) => curve.stopped = Some(format!("{size} rules: {unable}")),
            }
        }
    }
    print(&machine, &sizes, &curves);
    if let Some(path) = svg {
        let lines: Vec<Line<'_>> = curves
            .iter()
            .map(|curve| Line {
                name: curve.engine.name,
                points: curve
                    .points
                    .iter()
                    .map(|(size, timed)| (*size as f64, timed.ns))
                    .collect(),
                bold: curve.engine.package.is_none(),
            })
            .collect();
        std::fs::write(path, plot::svg(&lines)).map_err(|e| format!("{path}: {e}"))?;
    }
    Ok(report(&machine, &curves))
}

fn print(machine: &Machine, sizes: &[usize], curves: &[Curve]) {
    markdown::machine(machine, ROUNDS);
    let head: Vec<String> = sizes.iter().map(|size| format!("{size} rules")).collect();
    println!("| one decision | {} |", head.join(" | "));
    println!("|---|{}", "--:|".repeat(sizes.len()));
    for curve in curves {
        let cells: Vec<String> = sizes
            .iter()
            .map(|size| match curve.points.iter().find(|(at, _)| at == size) {
                Some((_, timed)) => time(timed.ns),
                None => "–".to_owned(),
            })
            .collect();
        println!("| {} | {} |", curve.engine.name, cells.join(" | "));
    }
    println!();
    for curve in curves {
        if let Some(why) = &curve.stopped {
            println!("- {} stopped: {why}.", curve.engine.name);
        }
    }
}

fn report(machine: &Machine, curves: &[Curve]) -> Value {
    let curves: Vec<Value> = curves
        .iter()
        .map(|curve| {
            let points: Vec<Value> = curve
                .points
                .iter()
                .map(|(size, timed)| {
                    json!({"rules": size, "nsPerDecision": timed.ns, "loadMs": timed.load * 1e3})
                })
                .collect();
            json!({
                "name": curve.engine.name,
                "version": curve.engine.package.map(versions::of),
                "points": points,
                "stopped": curve.stopped,
            })
        })
        .collect();
    json!({"machine": machine, "rounds": ROUNDS, "curves": curves})
}
