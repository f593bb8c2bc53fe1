//! The terminal: where output goes, when it has colours, how messages look.
//!
//! Styled text is always written with its escapes; the streams made here drop them where they do not belong.

use anstream::AutoStream;
use anyhow::Context as _;
use owo_colors::OwoColorize as _;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

/// Standard output for people: colours only on a terminal. Flush it at the end.
pub(crate) fn stdout() -> BufWriter<AutoStream<StdoutLock<'static>>> {
    BufWriter::new(AutoStream::auto(io::stdout().lock()))
}

/// Standard output for machines: bytes as they are. Flush it at the end.
pub(crate) fn machine() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
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

/// Writes an error message.
pub(crate) fn error(text: &str) {
    note(&format!("{} {text}", "error:".bright_red().bold()));
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

/// Reads a whole file, or standard input for `-`.
pub(crate) fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Reads a text file, or standard input for `-`.
pub(crate) fn read_text(path: &std::path::Path) -> anyhow::Result<String> {
    String::from_utf8(read(path)?)
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
