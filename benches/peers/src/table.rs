//! The table: every engine on every workload, with ratios to ours and to the bound.

use crate::contender::Engine;
use crate::contenders;
use crate::field::{self, Check, Outcome};
use crate::markdown::{self, digits, time};
use crate::versions;
use policy_benches::machine::Machine;
use policy_benches::measure::ROUNDS;
use policy_benches::workloads;
use serde_json::{Value, json};

/// Ratios are taken to these rows of [`contenders::ALL`].
const OURS: usize = 0;
const BOUND: usize = 1;

struct Column {
    workload: String,
    rules: usize,
    outcomes: Vec<Outcome>,
}

impl Column {
    fn ns(&self, row: usize) -> f64 {
        match &self.outcomes[row] {
            Outcome::Timed(timed) => timed.ns,
            Outcome::Out(_) => f64::NAN,
        }
    }
}

pub(crate) fn run(names: &[String]) -> Result<Value, String> {
    let machine = Machine::here();
    let all: Vec<String> = workloads::NAMES.map(str::to_owned).to_vec();
    let names = if names.is_empty() { &all } else { names };
    let engines: Vec<&Engine> = contenders::ALL.iter().collect();
    let mut columns = Vec::new();
    for name in names {
        let workload = workloads::by_name(name).ok_or_else(|| format!("there is no workload {name}"))?;
        let outcomes = field::run(&workload, &engines, ROUNDS, Check::All);
        columns.push(Column {
            workload: workload.name.clone(),
            rules: workload.rules(),
            outcomes,
        });
    }
    print(&machine, &columns);
    Ok(report(&machine, &columns))
}

fn print(machine: &Machine, columns: &[Column]) {
    markdown::machine(machine, ROUNDS);
    let head = |first: &str| {
        let names: Vec<String> = columns.iter().map(|c| format!("`{}`", c.workload)).collect();
        println!("| {first} | {} |", names.join(" | "));
        println!("|---|{}", "--:|".repeat(columns.len()));
    };
    let mut notes: Vec<String> = Vec::new();
    let mut row = |name: &str, cells: &mut dyn FnMut(&Column) -> Result<String, String>| {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                cells(column).unwrap_or_else(|why| {
                    let known = notes.iter().position(|note| *note == why);
                    let at = known.unwrap_or_else(|| {
                        notes.push(why);
                        notes.len() - 1
                    });
                    format!("– ({})", at + 1)
                })
            })
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    };

    head("one decision: time, × ours, × hand-written");
    for (i, engine) in contenders::ALL.iter().enumerate() {
        row(&title(engine), &mut |column| match &column.outcomes[i] {
            Outcome::Out(unable) => Err(unable.to_string()),
            Outcome::Timed(timed) => Ok(format!(
                "{} · {} · {}",
                time(timed.ns),
                digits(timed.ns / column.ns(OURS)),
                digits(timed.ns / column.ns(BOUND))
            )),
        });
    }
    println!();
    head("loading the policy");
    for (i, engine) in contenders::ALL.iter().enumerate() {
        row(&title(engine), &mut |column| match &column.outcomes[i] {
            Outcome::Out(unable) => Err(unable.to_string()),
            Outcome::Timed(timed) => Ok(time(timed.load * 1e9)),
        });
    }
    println!();
    for (i, note) in notes.iter().enumerate() {
        println!("({}) {note}.  ", i + 1);
    }
}

fn title(engine: &Engine) -> String {
    match engine.package {
        Some(package) => format!("{} ({})", engine.name, versions::of(package)),
        None => engine.name.to_owned(),
    }
}

fn report(machine: &Machine, columns: &[Column]) -> Value {
    let contenders = |column: &Column| -> Vec<Value> {
        contenders::ALL
            .iter()
            .zip(&column.outcomes)
            .map(|(engine, outcome)| {
                let version = engine.package.map(versions::of);
                match outcome {
                    Outcome::Out(unable) => json!({
                        "name": engine.name, "version": version, "unable": unable.to_string(),
                    }),
                    Outcome::Timed(timed) => json!({
                        "name": engine.name,
                        "version": version,
                        "nsPerDecision": timed.ns,
                        "ratioToOurs": timed.ns / column.ns(OURS),
                        "ratioToHandWritten": timed.ns / column.ns(BOUND),
                        "loadMs": timed.load * 1e3,
                        "rounds": timed.rounds,
                        "requests": timed.requests,
                    }),
                }
            })
            .collect()
    };
    let workloads: Vec<Value> = columns
        .iter()
        .map(|column| {
            json!({"workload": column.workload, "rules": column.rules, "contenders": contenders(column)})
        })
        .collect();
    json!({"machine": machine, "rounds": ROUNDS, "workloads": workloads})
}
