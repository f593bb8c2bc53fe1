//! `policyc fmt`: one layout for all policies.

use crate::exit::Exit;
use crate::{Host, atomic, inputs, output, render};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Lay policies out in the standard way
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Comments stay, and the meaning is checked to be the same. Files with errors are not touched.\n\n\
                        Example:\n  policyc fmt --check policies/"
)]
pub(crate) struct Args {
    /// Policy files or directories; `-` reads standard input and writes standard output
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Change nothing; list the files that would change and end with 1 if there are any
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let sources = inputs::read_sources(&args.paths)?;
    let mut exit = Exit::Ok;
    let mut changed = 0;
    let mut out = output::machine();
    if !sources.problems.is_empty() {
        output::stderr(&render::text(&sources.map, &sources.problems));
        exit = Exit::Usage;
    }
    for (id, file) in sources.map.iter() {
        if sources.problems.iter().any(|p| p.primary.span.file == id) {
            continue;
        }
        let text = match policy_grammar::format_source(&sources.map, id) {
            Ok(text) => text,
            Err(diagnostics) => {
                output::stderr(&render::text(&sources.map, &diagnostics));
                exit = exit.max(inputs::refusal(&diagnostics));
                continue;
            }
        };
        // What is no file, such as a pipe, cannot be replaced.
        let stdin = file.name() == "<stdin>" || !Path::new(file.name()).is_file();
        if text != file.text() {
            changed += 1;
            if args.check {
                writeln!(out, "{}", file.name())?;
                exit = exit.max(Exit::No);
            } else if !stdin {
                atomic::write(Path::new(file.name()), text.as_bytes())?;
            }
        }
        if stdin && !args.check {
            out.write_all(text.as_bytes())?;
        }
    }
    out.flush()?;
    let verb = if args.check { "would change" } else { "changed" };
    let files = output::count(sources.map.iter().count(), "file", "files");
    output::note(&format!("{changed} of {files} {verb}"));
    Ok(exit)
}
