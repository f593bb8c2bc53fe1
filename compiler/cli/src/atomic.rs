//! Writing files whole or not at all: a temporary file in the same directory, then a rename. What is no regular file
//! (a device, a pipe, standard output) is written to; a rename would put a file in its place.

use anyhow::Context as _;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Whether a path stands for standard output: `-`, and the names that systems give it.
pub(crate) fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .iter()
        .any(|name| path == Path::new(name))
}

/// How a path that is written to is shown.
pub(crate) fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    if is_stdout(path) {
        "<stdout>".into()
    } else {
        path.to_string_lossy()
    }
}

/// Replaces or makes `path` with `bytes`. Readers see the old file or the new one, never a part; permissions of an
/// existing file stay. A symbolic link is followed, not replaced. Standard output and other things that are no regular
/// files are written to.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if is_stdout(path) {
        let mut out = io::stdout().lock();
        return out
            .write_all(bytes)
            .and_then(|()| out.flush())
            .context("cannot write to standard output");
    }
    put(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = target(path)?;
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(io::Error::other("it is a directory")),
        Ok(metadata) if !metadata.is_file() => {
            // Appending, because a pipe or a terminal has no other place.
            return OpenOptions::new().append(true).open(path)?.write_all(bytes);
        }
        // What cannot be looked at is made, or fails to be.
        Ok(_) | Err(_) => {}
    }
    let temporary = beside(&target);
    let result = fill(&temporary, bytes, &target).and_then(|()| fs::rename(&temporary, &target));
    if result.is_err() {
        // The first error is the one to tell.
        fs::remove_file(&temporary).unwrap_or(());
    }
    result
}

/// What a path leads to in the end, whether that is there or not yet.
fn target(path: &Path) -> io::Result<PathBuf> {
    const MAX_LINKS: usize = 40;
    if let Ok(target) = fs::canonicalize(path) {
        return Ok(target);
    }
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&at) {
            // A relative link starts where it stands; `join` keeps an absolute one.
            Ok(next) => at = at.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::other("its links lead in circles"))
}

fn fill(temporary: &Path, bytes: &[u8], target: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    file.write_all(bytes)?;
    if let Ok(present) = fs::metadata(target) {
        file.set_permissions(present.permissions())?;
    }
    file.sync_all()
}

fn beside(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    target.with_file_name(name)
}

/// Makes a new file with `bytes`, readable by its owner only when `secret`. Refuses to touch an existing one; leaves none
/// where it could not be written whole.
pub(crate) fn create(path: &Path, bytes: &[u8], secret: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _: bool = secret;
    let mut file: File = options.open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one to tell.
        fs::remove_file(path).unwrap_or(());
    }
    written
}
