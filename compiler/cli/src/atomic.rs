//! Writing files whole or not at all: a temporary file in the same directory, then a rename.

use anyhow::Context as _;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Replaces or makes `path` with `bytes`. Readers see the old file or the new one, never a part; permissions of an
/// existing file stay. A symbolic link is followed, not replaced.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = beside(&target);
    let result = fill(&temporary, bytes, &target).and_then(|()| fs::rename(&temporary, &target));
    if result.is_err() {
        // The first error is the one to tell.
        fs::remove_file(&temporary).unwrap_or(());
    }
    result.with_context(|| format!("cannot write `{}`", path.display()))
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

/// Makes a new file with `bytes`, readable by its owner only when `secret`. Refuses to touch an existing one.
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
    file.write_all(bytes)?;
    file.sync_all()
}
