//! From the texts of settings to typed values.
//!
//! # Invariants
//!
//! - A problem ends nothing: reading goes on with a fallback, so that every problem is found at once. No server runs with one.

use super::names::service_link;
use super::table::setting;
use super::url::{self, Url};
use super::{Problem, Raw, in_words, shown, value};
use secrecy::SecretString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Reads settings and gathers problems.
pub(crate) struct Parser<'r> {
    pub(crate) raw: &'r Raw,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Problem>,
}

impl Parser<'_> {
    /// The text of a setting. A secret that is empty is a problem already, and none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (text, _) = self.raw.values.get(name)?;
        let is_missing = text.trim().is_empty() && setting(name).is_some_and(|s| s.secret);
        (!is_missing).then_some(text)
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let items = self.text(name).unwrap_or_default().split(',');
        items
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    pub(crate) fn problem(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(self.raw.problem(name, message));
    }

    pub(crate) fn note(&mut self, name: &str, message: impl Into<String>) {
        self.notes.push(self.raw.problem(name, message));
    }

    /// Whether the URL of a server means this machine, by the name `localhost`, and its parts mean another one. That is an
    /// example or a setting for development that was left in place: the parts are meant, and it is said.
    pub(crate) fn is_elsewhere(&mut self, url: &str, host: &str, said: &url::Said) -> bool {
        let Some((part, _)) = self.raw.given(host) else {
            return false;
        };
        if said.get(host).is_none_or(|said| said != "localhost") || part == "localhost" {
            return false;
        }
        let (part, other) = (part.to_owned(), self.raw.problem(host, ""));
        let message = format!(
            "names `localhost`, and {} ({}) names `{part}`: the parts are used, and nothing of the URL",
            other.setting, other.source
        );
        self.notes.push(self.raw.problem(url, message));
        true
    }

    /// A part that was given and that the URL leaves open; notes a problem where the URL says something else.
    pub(crate) fn left_open(&mut self, url: &str, name: &str, said: &url::Said) -> Option<String> {
        let (part, _) = self.raw.given(name)?;
        let Some(said) = said.get(name) else {
            return Some(part.to_owned());
        };
        let setting = setting(name)?;
        let same = if setting.is_switch() {
            value::boolean(part) == value::boolean(said)
        } else if let (Ok(part), Ok(said)) = (part.parse::<u64>(), said.parse::<u64>()) {
            part == said
        } else {
            part == said || setting.value == "HOST" && part.eq_ignore_ascii_case(said)
        };
        if !same {
            let other = self.raw.problem(url, "");
            let (place, source) = (other.setting, other.source);
            let message = if setting.secret {
                format!("is not what {place} ({source}) says")
            } else {
                format!("is `{part}`, and {place} ({source}) says `{said}`")
            };
            self.problem(name, message);
        }
        None
    }

    /// Reads a value; on a problem notes it and goes on with `fallback`, which no server will ever run with.
    pub(crate) fn value<T>(&mut self, name: &str, fallback: T, read: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.text(name) else {
            return fallback;
        };
        match read(text) {
            Some(value) => value,
            None => {
                let secret = setting(name).is_some_and(|s| s.secret);
                let expected = setting(name).map_or("a value", |s| in_words(s.value));
                let mut found = if secret {
                    String::new()
                } else {
                    format!(", found `{}`", shown(name, text))
                };
                found.push_str(&service_link(name, text));
                self.problem(name, format!("expected {expected}{found}"));
                fallback
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.value(name, false, value::boolean)
    }

    pub(crate) fn number<T: std::str::FromStr + Default>(&mut self, name: &str) -> T {
        self.value(name, T::default(), |text| text.parse().ok())
    }

    pub(crate) fn duration(&mut self, name: &str) -> Duration {
        self.value(name, Duration::ZERO, value::duration)
    }

    /// An address to listen on.
    pub(crate) fn address(&mut self, name: &str) -> IpAddr {
        let local = IpAddr::from([127, 0, 0, 1]);
        self.value(name, local, |text| match text {
            "localhost" => Some(local),
            text => text.parse().ok(),
        })
    }

    /// A number of things of which there must be one.
    pub(crate) fn at_least_one(&mut self, name: &str) -> usize {
        let n = self.value(name, 1, |text| text.parse::<usize>().ok());
        if n == 0 {
            self.problem(name, "must be at least 1");
        }
        n
    }

    /// A number of bytes of which there must be one.
    pub(crate) fn size(&mut self, name: &str) -> usize {
        let bytes = self.value(name, 1, value::bytes);
        if bytes == 0 {
            self.problem(name, "must be at least 1");
        }
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// A time that is waited for again and again; without it there would be no pause at all.
    pub(crate) fn pause(&mut self, name: &str) -> Duration {
        let before = self.problems.len();
        let pause = self.duration(name);
        if pause.is_zero() && self.problems.len() == before {
            self.problem(name, "must be longer than 0");
        }
        pause
    }

    /// A URL of http or https; notes a problem where it is none.
    pub(crate) fn url(&mut self, name: &str) -> Option<Url> {
        let url = self.text(name).and_then(Url::parse);
        if url.is_none() {
            let found = shown(name, self.text(name).unwrap_or_default());
            self.problem(name, format!("expected http://… or https://…, found `{found}`"));
        }
        url
    }
}
