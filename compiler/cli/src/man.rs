//! `policyc man`: manual pages.

use crate::exit::Exit;
use crate::{Host, atomic, command, output};
use anyhow::Context as _;
use clap_mangen::Man;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Print the manual page, or write the pages of all commands
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  policyc man -o ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Write a page for each command into this directory
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let mut command = command();
    command.build();
    let Some(directory) = args.output else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        let mut out = output::machine();
        out.write_all(&page)?;
        out.flush()?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
    write(&directory, "policyc", &command)?;
    Ok(Exit::Ok)
}

/// The page of a command, and those of the commands below it.
fn write(directory: &Path, name: &str, command: &clap::Command) -> anyhow::Result<()> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    atomic::write(&directory.join(format!("{name}.1")), &page)?;
    for subcommand in command.get_subcommands().filter(|c| c.get_name() != "help") {
        write(
            directory,
            &format!("{name}-{}", subcommand.get_name()),
            subcommand,
        )?;
    }
    Ok(())
}
