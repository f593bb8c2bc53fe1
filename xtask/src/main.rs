//! Repository chores: `cargo xtask tidy` checks what compilers do not, `cargo xtask gen` writes the generated pages and the
//! rendered manifests, `cargo xtask k8s` checks manifests.
//!
//! All read the working tree and the tables of the crates; none needs the network. `gen --check` changes nothing and
//! fails when a page is not what the tables say, which is what CI runs.

mod generate;
mod k8s;
mod pages;
mod tidy;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Repository chores.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check file headers, crate dependencies and forbidden words
    Tidy,
    /// Write the generated pages under docs/, and the rendered manifests
    Gen {
        /// Change nothing; fail when a page is out of date
        #[arg(long)]
        check: bool,
    },
    /// Check Kubernetes manifests for what validators do not see
    K8s(k8s::Arguments),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask stands in the repository")?
        .to_owned();
    match Cli::parse().command {
        Command::Tidy => tidy::run(&root),
        Command::Gen { check } => generate::run(&root, check),
        Command::K8s(arguments) => k8s::run(&root, &arguments),
    }
}
