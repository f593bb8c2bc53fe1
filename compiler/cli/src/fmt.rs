//! `policyc fmt`: one layout for all policies.

use crate::exit::Exit;
use crate::{Host, atomic, fix, inputs, output, project, render};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Format policies in the standard layout
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys stand in the order of the documentation, strings in double quotes, levels are two spaces deep, and \
lists and mappings in `[…]` and `{…}` that go beyond column 120 are written over several lines. Comments stay, and the \
meaning is checked to be the same. Files with errors are not touched.\n\n\
Example:\n  policyc fmt --check policies/"
)]
pub(crate) struct Args {
    /// Policy files or directories; `-` reads standard input and writes standard output [default: `paths` of policyc.toml]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Change nothing; list the files that would change and end with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Change nothing; show what would change, as `diff -u` does, and end with 1 if anything would
    #[arg(long)]
    diff: bool,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let sources = inputs::read_sources(&project::paths(&args.paths)?)?;
    let mut exit = Exit::Ok;
    let mut changed = 0;
    let mut out = output::machine();
    if !sources.problems.is_empty() {
        output::stderr(&render::text(&sources.map, &sources.problems));
        exit = Exit::Usage;
    }
    for (id, file) in sources.used() {
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
            if args.check || args.diff {
                exit = exit.max(Exit::No);
                if args.diff {
                    write!(out, "{}", fix::diff(file.name(), file.text(), &text))?;
                } else {
                    writeln!(out, "{}", file.name())?;
                }
            } else if !stdin {
                atomic::write(Path::new(file.name()), text.as_bytes())?;
            }
        }
        if stdin && !args.check && !args.diff {
            out.write_all(text.as_bytes())?;
        }
    }
    out.flush()?;
    let verb = if args.check || args.diff {
        "would change"
    } else {
        "changed"
    };
    let files = output::count(sources.files(), "file", "files");
    output::summary(&format!("{changed} of {files} {verb}"));
    Ok(exit)
}
