//! The terminal: where output goes, when it has colours, how messages look.
//!
//! Styled text is always written with its escapes; the streams made here drop them where they do not belong.

use anstream::AutoStream;
use anyhow::Context as _;
use owo_colors::OwoColorize as _;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Read, StdoutLock, Write};
use std::path::Path;
use std::sync::OnceLock;

/// A stream whose reader may go away: what is written from then on is dropped, so that the command goes on to the exit code
/// that it would have ended with.
pub(crate) struct Pipe<W> {
    inner: W,
    closed: bool,
}

impl<W: Write> Pipe<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, closed: false }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn or_closed<T>(&mut self, done: io::Result<T>, dropped: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(dropped)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let done = self.inner.write(bytes);
        self.or_closed(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let done = self.inner.flush();
        self.or_closed(done, ())
    }
}

/// Standard output for people: colours only on a terminal. Flush it at the end.
pub(crate) fn stdout() -> BufWriter<Pipe<AutoStream<StdoutLock<'static>>>> {
    BufWriter::new(Pipe::new(AutoStream::auto(io::stdout().lock())))
}

/// Standard output for machines: bytes as they are. Flush it at the end.
pub(crate) fn machine() -> BufWriter<Pipe<StdoutLock<'static>>> {
    BufWriter::with_capacity(64 << 10, Pipe::new(io::stdout().lock()))
}

/// Writes one JSON value and a line end to standard output.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = machine();
    if io::stdout().is_terminal() {
        serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    } else {
        serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Writes the text of one JSON value in one line; over several lines on a terminal, where that loses nothing but digits
/// that doubles do not have.
pub(crate) fn json_text(text: &str) -> anyhow::Result<()> {
    if io::stdout().is_terminal()
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
    {
        return json(&value);
    }
    let mut out = machine();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Writes one JSON value over several lines, for documents that people read too.
pub(crate) fn json_pretty(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = machine();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Writes styled text to standard error. Nobody is left to tell when it is closed.
pub(crate) fn stderr(text: &str) {
    AutoStream::auto(io::stderr().lock())
        .write_all(text.as_bytes())
        .unwrap_or(());
}

/// Writes a line to standard error.
pub(crate) fn note(text: &str) {
    stderr(&format!("{text}\n"));
}

/// How much is said besides errors, warnings and results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volume {
    /// Nothing.
    Quiet,
    /// Summaries and progress.
    Normal,
    /// Also what was read and passed over.
    Verbose,
}

/// Set once, before the command runs.
static VOLUME: OnceLock<Volume> = OnceLock::new();

/// Says how much is wanted, once.
pub(crate) fn set_volume(volume: Volume) {
    // A second call would be a mistake of ours without harm: the first one stays.
    VOLUME.set(volume).unwrap_or(());
}

/// How much is wanted.
pub(crate) fn volume() -> Volume {
    VOLUME.get().copied().unwrap_or(Volume::Normal)
}

/// Writes a line that tells what was done, unless `--quiet` asks for none.
pub(crate) fn summary(text: &str) {
    if volume() >= Volume::Normal {
        note(text);
    }
}

/// Writes a line that `--verbose` asks for.
pub(crate) fn detail(text: &str) {
    if volume() >= Volume::Verbose {
        note(text);
    }
}

/// Writes an error message. It may speak of what somebody else wrote.
pub(crate) fn error(text: &str) {
    note(&format!("{} {}", "error:".bright_red().bold(), shown(text)));
}

/// An error and its causes, leaving out what the error before already said.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Text that somebody else wrote, on one line, without anything that a terminal would act on: line breaks, other control
/// characters and what turns the direction of writing are shown as escapes. Machine output is never passed through this.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if acts(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Bytes after which reading ends: no policy, bundle or context is larger, and some files have no end. Regular files are
/// as large as they say.
pub(crate) const MAX_BYTES: u64 = policy_bytecode::bundle::MAX_BYTES as u64;

/// The byte order mark that some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A text without the byte order mark that it may begin with.
pub(crate) fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Reads a whole file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        return whole(io::stdin().lock(), 0).context("cannot read standard input");
    }
    let read = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        whole(file, if metadata.is_file() { metadata.len() } else { 0 })
    };
    read().with_context(|| format!("cannot read `{}`", path.display()))
}

/// Reads to the end; `length` is what it says of itself.
fn whole(input: impl Read, length: u64) -> io::Result<Vec<u8>> {
    let limit = length.max(MAX_BYTES);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    input.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(endless());
    }
    Ok(bytes)
}

/// What is said of input that goes on for too long.
pub(crate) fn endless() -> io::Error {
    io::Error::other(format!(
        "it holds more than {} MiB, or never ends",
        MAX_BYTES >> 20
    ))
}

/// As [`read`], for texts; without a byte order mark.
pub(crate) fn read_unmarked(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = read(path)?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

/// Reads a text file, or standard input for `-`.
pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read_unmarked(path)?)
        .map_err(|_| anyhow::anyhow!("`{}` is not valid UTF-8; save it as UTF-8", path.display()))
}

/// `1 policy`, `2 policies`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A number of bytes for people.
pub(crate) fn bytes(n: usize) -> String {
    match n {
        0..=9_999 => format!("{n} B"),
        10_000..=9_999_999 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}
