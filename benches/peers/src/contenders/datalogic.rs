//! datalogic-rs: JSONLogic, one `if` with all rules in order.
//!
//! JSONLogic has no regular expressions; `matches` is an operator of our own, with its patterns compiled once.

use crate::contender::{Contender, Decision, Engine, Unable, failed};
use crate::translations::{self, Language};
use datalogic_rs::bumpalo::Bump;
use datalogic_rs::operator::EvalContext;
use datalogic_rs::{ArenaExt, CustomOperator, DataValue, Error, Logic, Session};
use regex::Regex;
use std::collections::HashMap;

pub(crate) const ENGINE: Engine = Engine {
    name: "datalogic-rs",
    package: Some("datalogic-rs"),
    load: |workload| {
        let source =
            translations::of(workload, Language::JsonLogic).ok_or(Unable::Inexpressible("not translated"))?;
        let patterns = patterns(&serde_json::from_str(&source).map_err(failed)?)?;
        let engine = datalogic_rs::Engine::builder()
            .add_operator("matches", Matches(patterns))
            .build();
        // Lives as long as the session that borrows it: to the end of the program.
        let engine: &'static datalogic_rs::Engine = Box::leak(Box::new(engine));
        Ok(Box::new(DataLogic {
            logic: engine.compile(&*source).map_err(failed)?,
            session: engine.session(),
        }))
    },
};

struct DataLogic {
    logic: Logic,
    session: Session<'static>,
}

impl Contender for DataLogic {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
        self.session.reset();
        let result = self
            .session
            .eval_borrowed(&self.logic, text)
            .map_err(|e| e.to_string())?;
        match result.as_str() {
            Some("allow") => Ok(Decision::Allow),
            // The result may borrow from the request.
            Some(rule) => Ok(Decision::Deny(rule.to_owned().into())),
            None => Err(format!("no decision: {result}")),
        }
    }
}

/// `{"matches": [text, pattern]}`, by the pattern's text.
struct Matches(HashMap<String, Regex>);

impl CustomOperator for Matches {
    fn evaluate<'a>(
        &self,
        args: &[&'a DataValue<'a>],
        _context: &mut EvalContext<'_, 'a>,
        arena: &'a Bump,
    ) -> datalogic_rs::Result<&'a DataValue<'a>> {
        let [text, pattern] = args else {
            return Err(Error::invalid_arguments("matches takes a text and a pattern"));
        };
        let regex = pattern.as_str().and_then(|pattern| self.0.get(pattern));
        let regex = regex.ok_or_else(|| Error::invalid_arguments("matches takes a known pattern"))?;
        Ok(arena.bool(text.as_str().is_some_and(|text| regex.is_match(text))))
    }
}

/// Every pattern that stands second below `matches`.
fn patterns(logic: &serde_json::Value) -> Result<HashMap<String, Regex>, Unable> {
    let mut found = HashMap::new();
    let mut left = vec![logic];
    while let Some(value) = left.pop() {
        if let Some(pattern) = value.get("matches").and_then(|args| args.get(1)?.as_str()) {
            found.insert(pattern.to_owned(), Regex::new(pattern).map_err(failed)?);
        }
        match value {
            serde_json::Value::Array(items) => left.extend(items),
            serde_json::Value::Object(fields) => left.extend(fields.values()),
            _leaf => {}
        }
    }
    Ok(found)
}
