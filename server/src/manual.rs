//! `policyd man` and `policyd completions`: manual pages and completion scripts, made of the command line itself.

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::Write as _;
use std::path::Path;

/// Name of the program.
const NAME: &str = "policyd";

/// Adds the commands.
#[must_use]
pub fn commands(command: Command) -> Command {
    command
        .subcommand(
            Command::new("completions")
                .about("Print a completion script for a shell")
                .after_help(
                    "Example:\n  policyd completions bash > ~/.local/share/bash-completion/completions/policyd",
                )
                .arg(
                    Arg::new("shell")
                        .value_name("SHELL")
                        .required(true)
                        .value_parser(clap::value_parser!(Shell))
                        .help("The shell"),
                ),
        )
        .subcommand(
            Command::new("man")
                .about("Print the manual page, or write the pages of all commands")
                .after_help("Example:\n  policyd man -o ~/.local/share/man/man1")
                .arg(
                    Arg::new("output")
                        .long("output")
                        .short('o')
                        .value_name("DIR")
                        .help("Write a page for each command into this directory"),
                ),
        )
}

/// Runs one of them, where `matches` asks for one. `command` is the whole command line.
///
/// # Errors
///
/// What could not be written.
pub fn run(matches: &ArgMatches, mut command: Command) -> Option<anyhow::Result<()>> {
    match matches.subcommand()? {
        ("completions", own) => {
            let shell = own.get_one::<Shell>("shell").copied()?;
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, NAME, &mut script);
            Some(print(&script))
        }
        ("man", own) => Some(man(command, own.get_one::<String>("output").map(Path::new))),
        _ => None,
    }
}

fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn man(mut command: Command, directory: Option<&Path>) -> anyhow::Result<()> {
    command.build();
    let Some(directory) = directory else {
        return print(&page(command)?);
    };
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
    let mut open = vec![(NAME.to_owned(), command)];
    while let Some((name, command)) = open.pop() {
        let below = command.get_subcommands().filter(|c| c.get_name() != "help");
        open.extend(below.map(|c| (format!("{name}-{}", c.get_name()), c.clone())));
        let path = directory.join(format!("{name}.1"));
        std::fs::write(&path, page(command.name(name))?)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}
