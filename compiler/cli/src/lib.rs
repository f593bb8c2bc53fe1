//! The command line: check, build, test, evaluate and explain policies.
//!
//! One file per subcommand, each with its arguments and a `run` that returns an [`Exit`]. `walk` searches directories,
//! `inputs` finds and compiles policies, `project` reads the settings of a repository, `fix` applies replacements,
//! `engine` builds the engine from the flags that several commands share, `render` shows diagnostics, `output` knows the
//! terminal, `remote` calls a server.
//!
//! **Invariants.** Machine output goes to stdout, everything else to stderr. Exit codes come from the one table in
//! [`Exit`]. A closed pipe on stdout is not an error and changes no exit code; a panic ends with [`Exit::Internal`]. Files are written whole or
//! not at all. Nothing is started before it is needed: evaluating one rule takes a few milliseconds.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod activate;
mod approvals;
mod args;
mod atomic;
mod bench;
mod build;
mod check;
mod completions;
mod contexts;
mod decisions;
mod delete;
mod diff;
mod edges;
mod engine;
mod eval;
mod exit;
mod explain;
mod fix;
mod fmt;
mod get;
mod history;
mod inputs;
mod inspect;
mod keygen;
mod keys;
mod list;
mod man;
mod output;
mod project;
mod push;
mod reference;
mod reject;
mod remote;
mod render;
mod rollback;
mod schema;
mod sign;
mod span;
mod test;
mod verify;
mod walk;

pub use exit::Exit;
pub use project::project_keys;
pub use reference::reference;
pub use schema::{policy_schema, prices_schema, test_schema};

use args::Cli;
use clap::{CommandFactory as _, Parser as _};
use exit::{Bug, Shown};
use std::io::{self, Write as _};
use std::process::ExitCode;

/// What the program lends to the commands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host {
    /// Allocations that the calling thread has made so far.
    pub(crate) allocations: fn() -> u64,
}

/// The command line as `clap` knows it, for documentation.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program. `allocations` counts the allocations of the calling thread.
#[must_use]
pub fn main(allocations: fn() -> u64) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        let message = panic.payload_as_str().unwrap_or("no message");
        report_bug(&format!("{message}{place}"));
    }));
    let host = Host { allocations };
    let exit = std::panic::catch_unwind(move || run(host)).unwrap_or(Exit::Internal);
    ExitCode::from(exit.code())
}

fn run(host: Host) -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // Nobody is left to tell when this cannot be written.
            return error.print().map_or(exit, |()| exit);
        }
    };
    cli.color.apply();
    output::set_volume(if cli.quiet {
        output::Volume::Quiet
    } else if cli.verbose {
        output::Volume::Verbose
    } else {
        output::Volume::Normal
    });
    let settings = match (cli.no_config, &cli.config) {
        (false, Some(path)) => project::load(Some(path)),
        (false, None) if cli.command.has_settings() => project::load(None),
        (false, None) | (true, _) => Ok(()),
    };
    match settings.and_then(|()| cli.command.run(host)) {
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> Exit {
    if let Some(Shown(exit)) = error.downcast_ref() {
        return *exit;
    }
    if let Some(Bug(message)) = error.downcast_ref() {
        report_bug(message);
        return Exit::Internal;
    }
    output::error(&output::chain(error));
    Exit::Usage
}

fn report_bug(message: &str) {
    let text = format!(
        "policyc {}: internal error: {message}\n\
         This is a mistake in policyc, not in your policies. Please report it with the command and the files \
         that caused it.\n",
        env!("CARGO_PKG_VERSION")
    );
    // Nobody is left to tell when stderr is closed.
    io::stderr().write_all(text.as_bytes()).unwrap_or(());
}
