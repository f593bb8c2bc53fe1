//! Settings as texts: from defaults, a file, the environment and flags (the later wins), each with where it came from.
//!
//! [`table`] is the one table of settings. [`Raw::collect`] gathers their texts, `Parser` reads typed values from them and gathers
//! what is wrong, a subsystem's `config.rs` says which settings it takes, and [`crate::config`] puts those together.
//!
//! # Invariants
//!
//! - Knows no subsystem: every `config.rs` uses this module, and this module none of them.
//! - Secrets are [`SecretString`](secrecy::SecretString)s once they are read, and print nowhere. A [`Url`] prints without what may
//!   be a credential.

pub mod earlier;
pub(crate) mod files;
pub(crate) mod names;
pub(crate) mod parser;
mod rules;
pub mod table;
pub(crate) mod url;
pub(crate) mod value;

pub use self::url::{Url, scrubbed};
pub(crate) use parser::Parser;
pub(crate) use value::duration;

use files::FromFile;
use names::{nearest, stranger};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use table::{FILE_SUFFIX, POSTGRES, SETTINGS, Setting, flag_of, key_of, setting};

/// The environment variable that names the file of settings.
pub const CONFIG_FILE: &str = "CONFIG";

/// Where the text of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The table.
    Default,
    /// The file of this name.
    File(String),
    /// What `--dev` stands for.
    Dev,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) => f.write_str(name),
            Self::Dev => f.write_str("--dev"),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as its source spells it.
    pub setting: String,
    /// Where it came from.
    pub source: Source,
    /// What is wrong; holds no secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.setting, self.source, self.message)
    }
}

/// Problems in one line.
#[must_use]
pub fn in_one_line(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// The texts of all settings that have one.
#[derive(Clone, Default)]
pub struct Raw {
    pub(crate) values: BTreeMap<&'static str, (String, Source)>,
    /// Settings whose value stands in a file.
    pub(crate) files: BTreeMap<&'static str, FromFile>,
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.shown().map(|(name, text, _)| (name, text));
        f.debug_map().entries(given).finish()
    }
}

impl Raw {
    /// Gathers settings. `file` is name and text of the file, `env` and `flag` look up a setting by its name. Blocks for the
    /// reading of files that hold a value.
    pub fn collect(
        file: Option<(&str, &str)>,
        env: impl Fn(&str) -> Option<String>,
        flag: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut raw = Self::default();
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                raw.values
                    .insert(setting.name, (default.to_owned(), Source::Default));
            }
        }
        if let Some((name, text)) = file {
            raw.read_file(name, text);
        }
        for setting in SETTINGS {
            for (text, source) in [
                (env(setting.name), Source::Environment),
                (flag(setting.name), Source::Flag),
            ] {
                // Deployments set variables to nothing to unset them. A secret that is empty is one that did not arrive.
                if let Some(text) = text.filter(|t| setting.secret || !t.is_empty()) {
                    raw.values.insert(setting.name, (text, source));
                }
            }
            let Some(name) = setting.file_name() else {
                continue;
            };
            for (path, source) in [(env(&name), Source::Environment), (flag(&name), Source::Flag)] {
                if let Some(path) = path.filter(|path| !path.is_empty()) {
                    raw.name_file(setting, path, source);
                }
            }
        }
        raw.read_files();
        raw
    }

    /// Notes the file that holds the value of a setting.
    fn name_file(&mut self, setting: &'static Setting, path: String, source: Source) {
        let file = FromFile {
            path: PathBuf::from(path),
            source,
            failure: None,
            lasts: true,
        };
        self.files.insert(setting.name, file);
    }

    fn read_file(&mut self, name: &str, text: &str) {
        let source = Source::File(name.to_owned());
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| {
                    text.get(..span.start).unwrap_or(text).matches('\n').count() + 1
                });
                self.problems.push(Problem {
                    setting: format!("line {line}"),
                    source,
                    message: error.message().to_owned(),
                });
                return;
            }
        };
        for (key, value) in table {
            if let Some(setting) = SETTINGS
                .iter()
                .find(|s| s.file_name().is_some_and(|name| key_of(&name) == key))
            {
                match value {
                    toml::Value::String(path) if path.is_empty() => {}
                    toml::Value::String(path) => self.name_file(setting, path, source.clone()),
                    _ => self.problems.push(Problem {
                        setting: key,
                        source: source.clone(),
                        message: "expected FILE".to_owned(),
                    }),
                }
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|s| s.key() == key) else {
                let near = nearest(&key.to_ascii_uppercase()).filter(|(distance, _)| *distance <= 3);
                let help = near.map_or(String::new(), |(_, near)| {
                    format!("; did you mean `{}`?", near.to_ascii_lowercase())
                });
                self.problems.push(Problem {
                    setting: key,
                    source: source.clone(),
                    message: format!("there is no such setting{help}"),
                });
                continue;
            };
            let text = match &value {
                toml::Value::Array(items) => items
                    .iter()
                    .map(scalar)
                    .collect::<Option<Vec<_>>>()
                    .map(|t| t.join(",")),
                value => scalar(value),
            };
            match text {
                Some(text) => drop(self.values.insert(setting.name, (text, source.clone()))),
                None => self.problems.push(Problem {
                    setting: key,
                    source: source.clone(),
                    message: format!("expected {}", in_words(setting.value)),
                }),
            }
        }
    }

    /// What is probably meant to be a setting and is none, among the names of environment variables, a line each; and in one line
    /// those of the [earlier implementation](earlier).
    pub fn strangers(names: impl Iterator<Item = String>) -> Vec<String> {
        let names: Vec<String> = names.collect();
        let others = names.iter().filter(|name| !earlier::is_one(name));
        let strangers = others.filter_map(|name| stranger(name));
        strangers.chain(earlier::notice(&names)).collect()
    }

    /// Settings for trying out, as `--dev` asks for them: nothing is kept, logs are for people. The environment and the
    /// command line go before them, the file does not.
    pub fn try_out(&mut self) {
        let chosen = |raw: &Self, name: &str| {
            raw.values
                .get(name)
                .is_some_and(|(_, source)| matches!(source, Source::Environment | Source::Flag))
        };
        if !chosen(self, "DATABASE_URL") && !chosen(self, "DATABASE_HOST") {
            // Nor how to reach the one of the file.
            for setting in SETTINGS
                .iter()
                .filter(|setting| setting.needs.contains(&POSTGRES))
            {
                if !chosen(self, setting.name) {
                    self.unset(setting);
                }
            }
            self.values.remove("DATABASE_HOST");
            self.files.remove("DATABASE_URL");
            self.values
                .insert("DATABASE_URL", ("sqlite::memory:".to_owned(), Source::Dev));
        }
        if !chosen(self, "LOG_FORMAT") {
            self.values.insert("LOG_FORMAT", ("text".to_owned(), Source::Dev));
        }
    }

    /// Makes a setting as if nobody had given it.
    fn unset(&mut self, setting: &Setting) {
        self.files.remove(setting.name);
        match setting.default {
            Some(default) => drop(
                self.values
                    .insert(setting.name, (default.to_owned(), Source::Default)),
            ),
            None => drop(self.values.remove(setting.name)),
        }
    }

    /// Setting, text and source of everything that is not a default, for the log; without secrets. Of a value that stands in a
    /// file, the name of the file.
    pub fn shown(&self) -> impl Iterator<Item = (String, String, &Source)> {
        let values = self
            .values
            .iter()
            .filter(|(name, (_, source))| *source != Source::Default && !self.files.contains_key(*name))
            .map(|(name, (text, source))| ((*name).to_owned(), shown(name, text), source));
        let files = self.files.iter().map(|(name, file)| {
            let name = format!("{name}{FILE_SUFFIX}");
            (name, file.path.display().to_string(), &file.source)
        });
        values.chain(files)
    }

    /// Text and source of a setting that somebody gave.
    pub(crate) fn given(&self, name: &str) -> Option<(&str, &Source)> {
        let (text, source) = self.values.get(name)?;
        (*source != Source::Default).then_some((text.as_str(), source))
    }

    /// Whether a setting has a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A problem with a setting, under the name that its source has for it.
    pub(crate) fn problem(&self, name: &str, message: impl Into<String>) -> Problem {
        self.problem_at(name, self.files.get(name), message)
    }

    /// A problem with the value of a setting, or with the file that holds it.
    fn problem_at(&self, name: &str, file: Option<&FromFile>, message: impl Into<String>) -> Problem {
        let (name, source) = match file {
            Some(file) => (format!("{name}{FILE_SUFFIX}"), Some(file.source.clone())),
            None => (
                name.to_owned(),
                self.values.get(name).map(|(_, source)| source.clone()),
            ),
        };
        let source = source.unwrap_or(Source::Default);
        let setting = match &source {
            Source::File(_) => key_of(&name),
            Source::Flag => format!("--{}", flag_of(&name)),
            Source::Default | Source::Dev | Source::Environment => name,
        };
        Problem {
            setting,
            source,
            message: message.into(),
        }
    }
}

/// What a setting takes, where its placeholder does not say it.
fn in_words(placeholder: &'static str) -> &'static str {
    match placeholder {
        "PORT" => "a port, from 0 to 65535",
        "NUMBER" => "a whole number",
        "BOOL" => "true or false",
        "DURATION" => "a time such as 500ms, 30s or 5m",
        "BYTES" => "a size such as 64KB or 1MB",
        other => other,
    }
}

/// The text of a setting as anybody may read it.
fn shown(name: &str, text: &str) -> String {
    if setting(name).is_some_and(|s| s.secret) {
        return "***".to_owned();
    }
    if text.contains("://") {
        return url::redacted(text);
    }
    text.to_owned()
}

/// Text of a value that is not a list or a table.
fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}
