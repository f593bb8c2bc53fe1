//! `policyc completions`: completion scripts for shells.

use crate::exit::Exit;
use crate::{Host, command, output};
use clap_complete::Shell;
use std::io::Write as _;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  policyc completions bash > ~/.local/share/bash-completion/completions/policyc"
)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "policyc", &mut script);
    let mut out = output::machine();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Ok)
}
