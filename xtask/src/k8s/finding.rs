//! What a rule finds.

use super::objects::Object;
use std::fmt;

/// One mistake: where it is, what it is and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Name of the rule.
    pub(crate) rule: &'static str,
    /// File of the object.
    pub(crate) file: String,
    /// `Kind/name`.
    pub(crate) object: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {} [{}]\n  help: {}",
            self.file, self.object, self.message, self.rule, self.help
        )
    }
}

/// Where a rule puts what it finds.
#[derive(Debug)]
pub(crate) struct Findings {
    rule: &'static str,
    found: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(rule: &'static str) -> Self {
        Self {
            rule,
            found: Vec::new(),
        }
    }

    /// Something is wrong with this object.
    pub(crate) fn at(&mut self, object: &Object, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Finding {
            rule: self.rule,
            file: object.file.clone(),
            object: object.label(),
            message: message.into(),
            help: help.into(),
        });
    }

    /// Something is wrong with this file.
    pub(crate) fn file(&mut self, file: &str, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Finding {
            rule: self.rule,
            file: file.to_owned(),
            object: "-".to_owned(),
            message: message.into(),
            help: help.into(),
        });
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.found
    }
}
