//! The one table of settings. Flags, environment variables, keys of `policyd.toml` and the reference page are expansions
//! of it: `PORT` is `--port`, the variable `PORT`, and `port = …` in the file. So are the rules of what a setting needs beside
//! it and what it contradicts: no setting that was given is silently without effect.
//!
//! A switch that is given as off, and what it switches off, contradict nothing: that is what it is for.

mod authentication;
mod cache;
mod limits;
mod log;
mod network;
mod pages;
mod policies;
mod services;
mod storage;
mod telemetry;

pub(crate) use pages::any_of;
pub use pages::{env_example, markdown};

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Name of the environment variable; the flag and the key in the file are spelled after it.
    pub name: &'static str,
    /// Value when nothing is given; `None` is no value.
    pub default: Option<&'static str>,
    /// What a value looks like, with its unit.
    pub value: &'static str,
    /// Whether the value is never shown.
    pub secret: bool,
    /// Whether `NAME_FILE`, which names a file that holds the value, may stand in its place.
    pub in_file: bool,
    /// Heading on the reference page.
    pub group: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What has to be given beside it, or it would do nothing: of each list, one.
    pub needs: &'static [&'static [Other]],
    /// What must not be given beside it: one of the two would do nothing.
    pub contradicts: &'static [Other],
}

/// Another setting, as `NAME` where it is given at all, `NAME=TEXT` where its value begins with this text (`on` is any way to
/// say yes), or `NAME~TEXT` where its list holds this (with `:` at its end, something that begins with it).
pub type Other = &'static str;

impl Setting {
    const fn needs(mut self, needs: &'static [&'static [Other]]) -> Self {
        self.needs = needs;
        self
    }

    const fn contradicts(mut self, contradicts: &'static [Other]) -> Self {
        self.contradicts = contradicts;
        self
    }

    /// Lets a file hold the value, as one does of every secret.
    const fn or_in_file(mut self) -> Self {
        self.in_file = true;
        self
    }

    /// The environment variable that names a file with the value; `None` where there is no such form.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        self.in_file.then(|| format!("{}{FILE_SUFFIX}", self.name))
    }

    /// Whether its value is yes or no.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.value == "BOOL"
    }

    /// The command line flag, without dashes in front.
    #[must_use]
    pub fn flag(&self) -> String {
        flag_of(self.name)
    }

    /// The key in the file.
    #[must_use]
    pub fn key(&self) -> String {
        key_of(self.name)
    }
}

/// What the name of a setting has at its end where a file holds the value.
pub const FILE_SUFFIX: &str = "_FILE";

/// The flag that goes with the name of an environment variable, without dashes in front.
#[must_use]
pub fn flag_of(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The key in the file that goes with the name of an environment variable.
#[must_use]
pub fn key_of(name: &str) -> String {
    name.to_ascii_lowercase()
}

const fn of(
    group: &'static str,
    name: &'static str,
    default: &'static str,
    value: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        default: if default.is_empty() { None } else { Some(default) },
        value,
        secret: false,
        in_file: false,
        group,
        help,
        needs: &[],
        contradicts: &[],
    }
}

const fn secret(group: &'static str, name: &'static str, value: &'static str, help: &'static str) -> Setting {
    Setting {
        name,
        default: None,
        value,
        secret: true,
        in_file: true,
        group,
        help,
        needs: &[],
        contradicts: &[],
    }
}

/// What turns authentication on.
const AUTHENTICATION: &[Other] = &["JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS", "API_KEYS_ENABLED=on"];
/// What makes PostgreSQL the database.
pub(super) const POSTGRES: &[Other] = &["DATABASE_HOST", "DATABASE_URL=postgres"];

/// What makes a Redis known.
const REDIS: &[Other] = &["REDIS_HOST", "REDIS_URL"];

/// The rows of every heading, in the order of the reference page.
const GROUPS: [&[Setting]; 9] = [
    network::ROWS,
    policies::ROWS,
    storage::ROWS,
    cache::ROWS,
    authentication::ROWS,
    limits::ROWS,
    log::ROWS,
    telemetry::ROWS,
    services::ROWS,
];

/// Every setting, in the order of the reference page.
pub const SETTINGS: &[Setting] = &joined::<{ count() }>();

const fn count() -> usize {
    let (mut group, mut count) = (0, 0);
    while group < GROUPS.len() {
        count += GROUPS[group].len();
        group += 1;
    }
    count
}

const fn joined<const N: usize>() -> [Setting; N] {
    let mut all = [GROUPS[0][0]; N];
    let (mut group, mut at) = (0, 0);
    while group < GROUPS.len() {
        let mut row = 0;
        while row < GROUPS[group].len() {
            all[at] = GROUPS[group][row];
            row += 1;
            at += 1;
        }
        group += 1;
    }
    all
}

/// The row of a setting.
pub(super) fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
