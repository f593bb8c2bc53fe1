//! Settings whose value stands in a file: `NAME_FILE` in place of `NAME`, and what becomes of it when the file changes.
//!
//! [`Raw::collect`](super::Raw::collect) reads the files for the start, [`SecretFiles::look`] again and again for
//! [`crate::rotation`].
//!
//! # Invariants
//!
//! - What cannot be read, is not UTF-8 or is empty is a problem and no value; while a server runs, the last good value stays.
//! - The files of one [`Part`] are taken together, once two looks in a row found the same in them: a mounted secret that is
//!   replaced meanwhile gives all of the old files or all of the new ones, and a file that somebody empties and writes anew gives
//!   neither nothing nor its first half.
//! - No text of a file is printed.
//! - What was no file at the start, such as a pipe that a shell made, is read once: there may be nothing more to come, and nobody
//!   to wait for.
//!
//! # Not done here
//!
//! Telling whether a server takes the new values: user and password that PostgreSQL refuses are good as far as this goes.

use super::table::{SETTINGS, Setting};
use super::{Config, Problem, Raw, Source};
use std::collections::BTreeMap;
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
pub(super) struct FromFile {
    /// The file.
    pub(super) path: PathBuf,
    /// What names it.
    pub(super) source: Source,
    /// Why there is no value.
    pub(super) failure: Option<String>,
    /// Whether it can be read again, which a pipe cannot.
    pub(super) lasts: bool,
}

/// A text, `None` where an empty file says that there is none, or why it cannot be had.
type Reading = Result<Option<Zeroizing<String>>, String>;

/// The text in a file, without one line feed at its end. Blocks.
fn read(setting: &Setting, path: &Path) -> Reading {
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
fn is_lasting(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    // What is missing is missed when it is read.
    !std::fs::metadata(path).is_ok_and(|meta| {
        let kind = meta.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_socket()
    })
}

impl Raw {
    /// Reads the files that settings name in place of their values. Blocks.
    pub(super) fn read_files(&mut self) {
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
    fn set_from_file(&mut self, setting: &'static Setting, reading: Reading) {
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
    pub(super) fn unread(&self) -> impl Iterator<Item = Problem> {
        self.files.iter().filter_map(|(name, file)| {
            let reason = file.failure.clone()?;
            Some(self.problem(name, reason))
        })
    }
}

/// Settings that are taken together when one of their files changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Secrets of tokens.
    Tokens,
    /// Whom connections to PostgreSQL log in as.
    Database,
    /// Whom connections to Redis log in as, and where it is.
    Redis,
    /// Keys of stored contexts.
    Encryption,
    /// The token for a bundle at a URL.
    Bundle,
    /// What webhooks are signed with, and the token for their receiver.
    Webhook,
    /// The token for reports of an edge server.
    Status,
    /// The token for a scanner.
    Shield,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 8] = [
        Self::Tokens,
        Self::Database,
        Self::Redis,
        Self::Encryption,
        Self::Bundle,
        Self::Webhook,
        Self::Status,
        Self::Shield,
    ];

    /// Its settings.
    #[must_use]
    pub fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Tokens => &["JWT_SECRET", "JWT_SECRET_PREVIOUS"],
            Self::Database => &["DATABASE_URL", "DATABASE_USERNAME", "DATABASE_PASSWORD"],
            Self::Redis => &["REDIS_URL", "REDIS_USERNAME", "REDIS_PASSWORD"],
            Self::Encryption => &["ENCRYPTION_KEYS"],
            Self::Bundle => &["BUNDLE_TOKEN"],
            Self::Status => &["STATUS_TOKEN"],
            Self::Webhook => &["WEBHOOK_SECRET", "WEBHOOK_TOKEN"],
            Self::Shield => &["SHIELD_TOKEN"],
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.settings().join(", "))
    }
}

/// What the files of a part hold.
type Texts = BTreeMap<&'static str, Reading>;

/// New values of a part, good as far as settings go.
#[derive(Debug)]
pub struct Candidate {
    part: Part,
    raw: Raw,
    /// The whole configuration with them.
    pub config: Config,
}

/// What a look at the files of a part found.
#[derive(Debug)]
pub enum Look {
    /// What is in use.
    Same,
    /// Something else than the look before; another look will tell whether somebody writes.
    Unsettled,
    /// Something else.
    Other {
        /// The new values, or everything that is wrong with them.
        candidate: Result<Box<Candidate>, Vec<Problem>>,
        /// Whether no look said so yet.
        news: bool,
    },
}

/// The files that hold values of settings, and what of them is in use.
#[derive(Clone)]
pub struct SecretFiles {
    raw: Raw,
    /// What the last look found, where that is not in use.
    seen: BTreeMap<Part, Seen>,
}

/// What a look found.
#[derive(Clone)]
struct Seen {
    texts: Texts,
    /// Whether another look found the same.
    is_settled: bool,
}

impl fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.raw.files.iter().map(|(name, file)| (name, &file.path)))
            .finish()
    }
}

impl SecretFiles {
    /// The files of these settings; `None` where every value stands in the settings themselves.
    pub(super) fn of(raw: &Raw) -> Option<Self> {
        (!raw.files.is_empty()).then(|| Self {
            raw: raw.clone(),
            seen: BTreeMap::new(),
        })
    }

    /// The parts with a file.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let has_file = |part: &Part| {
            let mut settings = part.settings().iter();
            settings.any(|name| self.raw.files.contains_key(name))
        };
        Part::ALL.into_iter().filter(has_file).collect()
    }

    /// Looks at the files of a part. Blocks.
    pub fn look(&mut self, part: Part) -> Look {
        let texts = self.texts(part);
        let in_use = |(name, reading): (&&'static str, &Reading)| match reading {
            Ok(text) => {
                let value = self.raw.values.get(name).map(|(text, _)| text.as_str());
                value == text.as_deref().map(String::as_str)
            }
            Err(_) => false,
        };
        if texts.iter().all(in_use) {
            self.seen.remove(&part);
            return Look::Same;
        }
        let news = match self.seen.get_mut(&part) {
            Some(seen) if seen.texts == texts => !std::mem::replace(&mut seen.is_settled, true),
            Some(_) | None => {
                let is_settled = false;
                self.seen.insert(part, Seen { texts, is_settled });
                return Look::Unsettled;
            }
        };
        let mut raw = self.raw.clone();
        for setting in SETTINGS {
            if let Some(reading) = texts.get(setting.name) {
                raw.set_from_file(setting, reading.clone());
            }
        }
        let candidate = Config::parse(&raw).map(|config| Box::new(Candidate { part, raw, config }));
        Look::Other { candidate, news }
    }

    /// What the files of a part hold.
    fn texts(&self, part: Part) -> Texts {
        let of = SETTINGS
            .iter()
            .filter(|setting| part.settings().contains(&setting.name));
        of.filter_map(|setting| {
            let file = self.raw.files.get(setting.name)?;
            if !file.lasts {
                return None;
            }
            let reading = if is_lasting(&file.path) {
                read(setting, &file.path)
            } else {
                Err(format!("{} is no file any more", file.path.display()))
            };
            Some((setting.name, reading))
        })
        .collect()
    }

    /// From now on, these values are those in use.
    pub fn take(&mut self, candidate: Candidate) {
        let Candidate { part, raw, .. } = candidate;
        for name in part.settings() {
            match raw.values.get(name) {
                Some(value) => drop(self.raw.values.insert(name, value.clone())),
                None => drop(self.raw.values.remove(name)),
            }
        }
        self.seen.remove(&part);
    }
}
