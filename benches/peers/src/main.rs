//! Other policy engines beside ours, on the same workloads, in one process.
//!
//! ```text
//! policy-peers [table] [WORKLOAD…]     decisions of every engine on every workload
//! policy-peers growth [RULES…]         nanoseconds per decision against the number of rules, and the plot of it
//! policy-peers primitives              tokens, personal data and patterns beside crates that do the same
//!     --json FILE                      and the numbers as JSON
//!     --svg FILE                       (growth) the plot
//! ```
//!
//! Markdown goes to standard output, progress to standard error. The journey of a number: `contender` says what an engine
//! is to the harness, `contenders/` has one file for each, `translations` gives them their policies, `field` loads them,
//! checks every decision and times them in turns, `table`, `growth` and `primitives` say what is asked and print it.
//! Workloads, rounds and the hand-written bound come from `policy-benches`.

#![forbid(unsafe_code)]

mod contender;
mod contenders;
mod field;
mod growth;
mod markdown;
mod plot;
mod primitives;
mod table;
mod translations;
mod versions;

use std::process::ExitCode;

/// What the command line says.
#[derive(Debug, Default)]
struct Args {
    names: Vec<String>,
    json: Option<String>,
    svg: Option<String>,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("policy-peers: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: impl Iterator<Item = String>) -> Result<(), String> {
    let mut parsed = Args::default();
    let mut args = args.peekable();
    let command = args
        .next_if(|arg| ["table", "growth", "primitives"].contains(&arg.as_str()))
        .unwrap_or_else(|| "table".to_owned());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => parsed.json = Some(args.next().ok_or("--json needs a file")?),
            "--svg" => parsed.svg = Some(args.next().ok_or("--svg needs a file")?),
            flag if flag.starts_with('-') => return Err(format!("unknown flag {flag}")),
            _name => parsed.names.push(arg),
        }
    }
    let report = match command.as_str() {
        "growth" => growth::run(&parsed.names, parsed.svg.as_deref())?,
        "primitives" => primitives::run()?,
        _table => table::run(&parsed.names)?,
    };
    match parsed.json {
        Some(path) => {
            let text = serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?;
            std::fs::write(&path, text + "\n").map_err(|e| format!("{path}: {e}"))
        }
        None => Ok(()),
    }
}
