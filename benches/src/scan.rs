//! A hundred patterns over a prompt: the engine beside the two ways to do it with the crate `regex`.
//!
//! All three start from the bytes of a request and end with the first pattern, in the policy's order, that matches.

use crate::hand_written;
use crate::ours;
use policy_runtime::{EvaluateOptions, PolicyEngine, Worker};
use regex::{Regex, RegexSet};

/// A policy that consists of patterns on the prompt, in one of its forms.
#[derive(Debug)]
pub struct Scanner {
    rules: Vec<String>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Engine(Box<(PolicyEngine, Worker)>),
    Set(RegexSet),
    Separate(Vec<Regex>),
}

impl Scanner {
    /// By this repository's engine.
    ///
    /// # Errors
    ///
    /// One line, when the policy does not compile.
    pub fn ours(policy: &str) -> Result<Self, String> {
        let engine = ours::engine(&ours::bundle(policy)?)?;
        Ok(Self::new(policy, Form::Engine(Box::new((engine, Worker::new())))))
    }

    /// By one `RegexSet` with its default settings.
    ///
    /// # Errors
    ///
    /// What `regex` says of the patterns.
    pub fn set(policy: &str) -> Result<Self, String> {
        let set = RegexSet::new(texts(policy)).map_err(|e| e.to_string())?;
        Ok(Self::new(policy, Form::Set(set)))
    }

    /// By one `Regex` after another.
    ///
    /// # Errors
    ///
    /// What `regex` says of the patterns.
    pub fn separate(policy: &str) -> Result<Self, String> {
        let all: Result<_, _> = texts(policy).iter().map(|text| Regex::new(text)).collect();
        Ok(Self::new(policy, Form::Separate(all.map_err(|e| e.to_string())?)))
    }

    fn new(policy: &str, form: Form) -> Self {
        let rules = hand_written::patterns(policy)
            .into_iter()
            .map(|(rule, _)| rule)
            .collect();
        Self { rules, form }
    }

    /// The first rule whose pattern is in the prompt.
    ///
    /// # Errors
    ///
    /// One line, when the request cannot be read.
    pub fn first(&mut self, body: &[u8]) -> Result<Option<&str>, String> {
        let prompt = || hand_written::prompt(body).map_err(|e| e.to_string());
        let index = match &mut self.form {
            Form::Engine(boxed) => {
                let (engine, worker) = &mut **boxed;
                let verdict = engine
                    .decide(worker, body, &EvaluateOptions::default())
                    .map_err(|e| e.to_string())?;
                return Ok(verdict.rule);
            }
            Form::Set(set) => set.matches(&prompt()?).iter().next(),
            Form::Separate(all) => {
                let prompt = prompt()?;
                all.iter().position(|regex| regex.is_match(&prompt))
            }
        };
        Ok(index.and_then(|i| self.rules.get(i)).map(String::as_str))
    }
}

/// In the engine's syntax; what is no pattern stays what it is, and is refused by the engine.
fn texts(policy: &str) -> Vec<String> {
    hand_written::patterns(policy)
        .into_iter()
        .map(|(_, pattern)| policy_grammar::text::pattern::translate(&pattern).unwrap_or(pattern))
        .collect()
}
