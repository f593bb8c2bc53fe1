//! What settings need beside them and what they contradict, as the table says it.

use super::names::service_link;
use super::table::{Other, SETTINGS, Setting, any_of, setting};
use super::{Problem, Raw, value};

impl Raw {
    /// Whether another setting is as a rule of the table says it.
    fn is(&self, other: Other) -> bool {
        let text = |name: &str| self.values.get(name).map_or("", |(text, _)| text.as_str());
        if let Some((name, wanted)) = other.split_once('=') {
            return if setting(name).is_some_and(Setting::is_switch) {
                value::boolean(text(name)) == value::boolean(wanted)
            } else {
                text(name).to_ascii_lowercase().starts_with(wanted)
            };
        }
        match other.split_once('~') {
            Some((name, wanted)) => text(name).split(',').any(|item| {
                let item = item.trim();
                item == wanted || wanted.ends_with(':') && item.starts_with(wanted)
            }),
            None => self.given(other).is_some(),
        }
    }

    /// A problem for every setting that was given, is not off, and lacks what it needs or stands beside what it contradicts.
    pub(crate) fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for setting in SETTINGS {
            let Some((text, _)) = self.given(setting.name) else {
                continue;
            };
            let off = if setting.is_switch() {
                value::boolean(text) == Some(false)
            } else {
                setting.value == "BYTES" && value::bytes(text) == Some(0)
            };
            // That a secret is empty is a problem of its own.
            if off || (setting.secret && text.trim().is_empty()) {
                continue;
            }
            for needed in setting
                .needs
                .iter()
                .filter(|needed| !needed.iter().any(|other| self.is(other)))
            {
                let hint = service_link(setting.name, text);
                problems.push(self.problem(setting.name, format!("needs {}{hint}", any_of(needed))));
            }
            for other in setting.contradicts.iter().filter(|other| self.is(other)) {
                let (name, wanted) = other
                    .split_once('=')
                    .map_or((*other, ""), |(name, wanted)| (name, wanted));
                let Problem {
                    setting: place,
                    source,
                    ..
                } = self.problem(name, "");
                let how = match wanted {
                    "" | "on" => String::new(),
                    wanted => format!(", which is `{wanted}`"),
                };
                problems.push(self.problem(setting.name, format!("contradicts {place} ({source}){how}")));
            }
        }
        problems
    }

    /// Problems with secrets without a value.
    pub(crate) fn empty_secrets(&self) -> impl Iterator<Item = Problem> {
        self.values
            .iter()
            .filter(|(name, (text, _))| setting(name).is_some_and(|s| s.secret) && text.trim().is_empty())
            // What is wrong with a file is said by itself.
            .filter(|(name, _)| !self.files.contains_key(*name))
            .map(|(name, _)| self.problem(name, "is empty: give it a value, or take it away"))
    }
}
