//! The files that hold values of settings, while a server runs: what becomes of it when one of them changes.
//!
//! [`Raw::collect`] reads the files for the start, [`SecretFiles::look`] again and again for [`crate::rotation`].
//!
//! # Invariants
//!
//! - What cannot be read is no value; while a server runs, the last good value stays.
//! - The files of one [`Part`] are taken together, once two looks in a row found the same in them: a mounted secret that is
//!   replaced meanwhile gives all of the old files or all of the new ones, and a file that somebody empties and writes anew gives
//!   neither nothing nor its first half.
//! - No text of a file is printed.
//!
//! # Not done here
//!
//! Telling whether a server takes the new values: user and password that PostgreSQL refuses are good as far as this goes.

use super::Config;
use crate::settings::files::{Reading, is_lasting, read};
use crate::settings::table::SETTINGS;
use crate::settings::{Problem, Raw};
use std::collections::BTreeMap;
use std::fmt;

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
