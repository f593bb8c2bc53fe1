//! `policyc eval --contexts`: one context a line in, one response a line out, in order, in the memory of one line.
//!
//! A line that names a request id (a request of the REST API, a decision of a log) gets a response of the same id, so that whoever
//! feeds several of these programs can put together what belongs together.
//!
//! Lines are read into one buffer, evaluated with one worker and written through one buffer. Output is flushed whenever
//! the next line has yet to arrive, so that a program at the other end of two pipes can converse line by line.

use crate::args::Format;
use crate::contexts::{self, Masked};
use crate::engine::Parts;
use crate::exit::Exit;
use crate::{output, project};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use policy_runtime::{EvaluateOptions, PolicyEngine, Worker};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const READ_BYTES: usize = 256 << 10;
/// A progress bar appears when work takes longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines between two looks at the clock.
const PROGRESS_LINES: u64 = 1024;

pub(super) fn run(
    engine: &PolicyEngine,
    parts: &Parts,
    path: &Path,
    options: &EvaluateOptions<'_>,
    format: Format,
) -> anyhow::Result<Exit> {
    // What no line could be decided with is said before the first is read.
    let chosen = engine.choose(options).context("no decision")?;
    let options = &EvaluateOptions {
        chosen: Some(&chosen),
        ..options.clone()
    };
    if path.as_os_str() == "-" {
        let input = BufReader::with_capacity(READ_BYTES, io::stdin().lock());
        return lines(engine, parts, input, options, format, None);
    }
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let length = file.metadata().map(|m| m.len()).ok();
    lines(
        engine,
        parts,
        BufReader::with_capacity(READ_BYTES, file),
        options,
        format,
        length,
    )
    .with_context(|| format!("while reading `{}`", path.display()))
}

fn lines<R: Read>(
    engine: &PolicyEngine,
    parts: &Parts,
    mut input: BufReader<R>,
    options: &EvaluateOptions<'_>,
    format: Format,
    length: Option<u64>,
) -> anyhow::Result<Exit> {
    let mut worker = Worker::new();
    let mut out = output::machine();
    let mut line = Vec::new();
    let mut number = 0u64;
    let mut progress = Progress::new(length);
    let mut masked = Masked::default();
    let mut refused = 0u64;
    loop {
        if input.buffer().is_empty() {
            out.flush()?;
        }
        // What was decided so far is all that is known, and nobody reads more.
        if out.get_ref().is_closed() {
            break;
        }
        line.clear();
        // One byte more than a line may have, so that a longer one shows.
        let read = Read::take(&mut input, output::MAX_BYTES + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        number += 1;
        if read as u64 > output::MAX_BYTES {
            return Err(output::endless()).with_context(|| format!("in line {number}"));
        }
        // Files that were put together may have a mark in the middle.
        let line = output::unmarked(&line).trim_ascii_end();
        let (answer, id) = match contexts::read(line) {
            Err(undecided) => (
                Err(("no_context", undecided.message.to_owned())),
                undecided.request_id,
            ),
            Ok(line) => {
                masked.add(line.context);
                let named = options
                    .namespace
                    .or(line.namespace.as_deref())
                    .or(project::namespace());
                let options = EvaluateOptions {
                    request_id: line.request_id.as_deref(),
                    namespace: named,
                    chosen: options.chosen.filter(|_| named == options.namespace),
                    ..options.clone()
                };
                let answer = engine
                    .evaluate_into(&mut worker, line.context, &options)
                    .map_err(|error| (error.code(), error.to_string()));
                (answer, line.request_id)
            }
        };
        match (answer, format) {
            (Ok(evaluated), Format::Json) => {
                out.write_all(evaluated.json.as_bytes())?;
                out.write_all(b"\n")?;
            }
            (Ok(evaluated), Format::Text) => writeln!(out, "{number}: {}", evaluated.decision.as_str())?,
            (Err((code, message)), format) => {
                refused += 1;
                match format {
                    Format::Json => malformed(&mut out, code, &message, number, id.as_deref())?,
                    Format::Text => writeln!(out, "{number}: error: {}", output::shown(&message))?,
                }
            }
        }
        progress.advance(read as u64, number);
    }
    out.flush()?;
    progress.finish();
    masked.mention(&[parts]);
    if refused > 0 {
        output::error(&format!(
            "{} could not be decided",
            output::count(usize::try_from(refused).unwrap_or(usize::MAX), "line", "lines")
        ));
        return Ok(Exit::Usage);
    }
    Ok(Exit::Ok)
}

fn malformed(
    out: &mut impl Write,
    code: &str,
    message: &str,
    line: u64,
    request_id: Option<&str>,
) -> io::Result<()> {
    let mut object = serde_json::json!({
        "error": { "code": code, "message": message },
        "line": line,
    });
    if let Some(id) = request_id {
        object["requestId"] = id.into();
    }
    writeln!(out, "{object}")
}

/// A bar on stderr for long work in front of a person; otherwise nothing.
struct Progress {
    length: Option<u64>,
    done: u64,
    start: Instant,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(length: Option<u64>) -> Self {
        Self {
            length,
            done: 0,
            start: Instant::now(),
            // Responses on the same terminal would tear the bar apart.
            wanted: output::volume() > output::Volume::Quiet
                && length.is_some()
                && io::stderr().is_terminal()
                && !io::stdout().is_terminal(),
            bar: None,
        }
    }

    fn advance(&mut self, bytes: u64, lines: u64) {
        self.done += bytes;
        if !self.wanted || !lines.is_multiple_of(PROGRESS_LINES) {
            return;
        }
        if self.bar.is_none() && self.start.elapsed() >= PATIENCE {
            let style = ProgressStyle::with_template("{bar:40} {percent}% {msg} {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar = self
                .length
                .map(|length| ProgressBar::new(length).with_style(style));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.set_message(format!("{lines} contexts"));
        }
    }

    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
