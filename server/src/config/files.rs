//! Settings whose value stands in a file: `NAME_FILE` in place of `NAME`, and what becomes of it when the file changes.
//!
//! [`Raw::collect`](super::Raw::collect) reads the files for the start, [`SecretFiles::look`] again and again for
//! [`crate::rotation`].
//!
//! # Invariants
//!
//! - What cannot be read, is not UTF-8 or is empty is a problem and no value; while a server runs, the last good value stays.
//! - The files of one [`Part`] are taken together. They are read until two readings agree, so that a mounted secret that is
//!   replaced meanwhile gives all of the old files or all of the new ones.
//! - No text of a file is printed.
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

/// Readings of the files of a part before a look is put off to the next one.
const READINGS: usize = 5;

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
    if !text.trim().is_empty() {
        return Ok(Some(Zeroizing::new(text.to_owned())));
    }
    if setting.name == MAY_BE_EMPTY {
        return Ok(None);
    }
    Err(format!("{} is empty", path.display()))
}

impl Raw {
    /// Reads the files that settings name in place of their values. Blocks.
    pub(super) fn read_files(&mut self) {
        for setting in SETTINGS {
            let Some(file) = self.files.get(setting.name) else {
                continue;
            };
            let reading = if self.given(setting.name).is_some() {
                let Problem {
                    setting: place,
                    source,
                    ..
                } = self.problem_at(setting.name, None, "");
                Err(format!("contradicts {place} ({source}): give one of the two"))
            } else {
                read(setting, &file.path)
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
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 5] = [
        Self::Tokens,
        Self::Database,
        Self::Redis,
        Self::Encryption,
        Self::Bundle,
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
    /// Files that changed while they were read, each time; another look will tell.
    Unsettled,
    /// Something else.
    Other {
        /// The new values, or everything that is wrong with them.
        candidate: Result<Box<Candidate>, Vec<Problem>>,
        /// Whether it is not what the look before found.
        news: bool,
    },
}

/// The files that hold values of settings, and what of them is in use.
#[derive(Clone)]
pub struct SecretFiles {
    raw: Raw,
    /// What the last look found, where that is not in use.
    seen: BTreeMap<Part, Texts>,
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
        let Some(texts) = self.settled(part) else {
            return Look::Unsettled;
        };
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
        let mut raw = self.raw.clone();
        for setting in SETTINGS {
            if let Some(reading) = texts.get(setting.name) {
                raw.set_from_file(setting, reading.clone());
            }
        }
        let candidate = Config::parse(&raw).map(|config| Box::new(Candidate { part, raw, config }));
        let news = self.seen.get(&part) != Some(&texts);
        self.seen.insert(part, texts);
        Look::Other { candidate, news }
    }

    /// What the files of a part hold, once two readings agree; `None` where they go on changing.
    fn settled(&self, part: Part) -> Option<Texts> {
        let reading = || -> Texts {
            let of = SETTINGS
                .iter()
                .filter(|setting| part.settings().contains(&setting.name));
            of.filter_map(|setting| {
                let file = self.raw.files.get(setting.name)?;
                Some((setting.name, read(setting, &file.path)))
            })
            .collect()
        };
        let mut before = reading();
        for _ in 0..READINGS {
            let again = reading();
            if again == before {
                return Some(again);
            }
            before = again;
        }
        None
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
