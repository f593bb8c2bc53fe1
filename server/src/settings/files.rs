//! Settings whose value stands in a file: `NAME_FILE` in place of `NAME`.
//!
//! [`Raw::collect`](super::Raw::collect) reads the files for the start. What becomes of it when a file changes while a server runs is
//! said in [`crate::config::secret_files`].
//!
//! # Invariants
//!
//! - What cannot be read, is not UTF-8 or is empty is a problem and no value.
//! - No text of a file is printed.
//! - What was no file at the start, such as a pipe that a shell made, is read once: there may be nothing more to come, and nobody
//!   to wait for.

use super::table::{SETTINGS, Setting};
use super::{Problem, Raw, Source};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The only setting whose file may be empty, which means that there is no value.
const MAY_BE_EMPTY: &str = "JWT_SECRET_PREVIOUS";

/// The file that holds the value of a setting.
#[derive(Debug, Clone)]
pub(crate) struct FromFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// What names it.
    pub(crate) source: Source,
    /// Why there is no value.
    pub(crate) failure: Option<String>,
    /// Whether it can be read again, which a pipe cannot.
    pub(crate) lasts: bool,
}

/// A text, `None` where an empty file says that there is none, or why it cannot be had.
pub(crate) type Reading = Result<Option<Zeroizing<String>>, String>;

/// The text in a file, without one line feed at its end. Blocks.
pub(crate) fn read(setting: &Setting, path: &Path) -> Reading {
    let failed = |reason: &dyn fmt::Display| Err(format!("cannot read {}: {reason}", path.display()));
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return failed(&error);
    }
    if bytes.len() as u64 > MAX_BYTES {
        return failed(&format_args!("it has more than {MAX_BYTES} bytes"));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return failed(&"it is not UTF-8");
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    // What editors and shells of Windows add, and nobody sees: it would be a part of the secret.
    for (unseen, what) in [
        ('\r', "a carriage return"),
        ('\u{feff}', "a byte order mark"),
        ('\0', "a NUL"),
    ] {
        if text.contains(unseen) {
            return failed(&format_args!("it holds {what}"));
        }
    }
    if !text.trim().is_empty() {
        return Ok(Some(Zeroizing::new(text.to_owned())));
    }
    if setting.name == MAY_BE_EMPTY {
        return Ok(None);
    }
    Err(format!("{} is empty", path.display()))
}

/// Whether a file can be read again.
pub(crate) fn is_lasting(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    // What is missing is missed when it is read.
    !std::fs::metadata(path).is_ok_and(|meta| {
        let kind = meta.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_socket()
    })
}

impl Raw {
    /// Reads the files that settings name in place of their values. Blocks.
    pub(crate) fn read_files(&mut self) {
        for setting in SETTINGS {
            let Some(file) = self.files.get_mut(setting.name) else {
                continue;
            };
            file.lasts = is_lasting(&file.path);
            let path = file.path.clone();
            let reading = if self.given(setting.name).is_some() {
                let Problem {
                    setting: place,
                    source,
                    ..
                } = self.problem_at(setting.name, None, "");
                Err(format!("contradicts {place} ({source}): give one of the two"))
            } else {
                read(setting, &path)
            };
            self.set_from_file(setting, reading);
        }
    }

    /// Takes what a file holds for the value of a setting.
    pub(crate) fn set_from_file(&mut self, setting: &'static Setting, reading: Reading) {
        let Some(file) = self.files.get_mut(setting.name) else {
            return;
        };
        let (text, failure) = match reading {
            Ok(Some(text)) => (text.to_string(), None),
            Ok(None) => {
                file.failure = None;
                self.values.remove(setting.name);
                return;
            }
            // A secret that was given and cannot be had is not as if nobody had given it.
            Err(reason) if setting.secret => (String::new(), Some(reason)),
            Err(reason) => {
                file.failure = Some(reason);
                return;
            }
        };
        file.failure = failure;
        let source = file.source.clone();
        self.values.insert(setting.name, (text, source));
    }

    /// Problems with files that hold no value.
    pub(crate) fn unread(&self) -> impl Iterator<Item = Problem> {
        self.files.iter().filter_map(|(name, file)| {
            let reason = file.failure.clone()?;
            Some(self.problem(name, reason))
        })
    }
}
