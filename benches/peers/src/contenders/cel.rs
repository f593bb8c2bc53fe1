//! cel: one expression for each rule, in order, until one is true.

use crate::contender::{Contender, Decision, Engine, Unable, failed};
use crate::translations::{self, Language};
use cel::{Context, Program, Value};
use serde_json::{Map, Value as Json};

pub(crate) const ENGINE: Engine = Engine {
    name: "cel",
    package: Some("cel"),
    load: |workload| {
        let source =
            translations::of(workload, Language::Cel).ok_or(Unable::Inexpressible("not translated"))?;
        let rules: Vec<(String, String)> = serde_json::from_str(&source).map_err(failed)?;
        let rules: Result<Vec<_>, Unable> = rules
            .into_iter()
            .map(|(rule, expression)| Ok((rule, Program::compile(&expression).map_err(failed)?)))
            .collect();
        Ok(Box::new(Cel {
            rules: rules?,
            root: Context::default(),
        }))
    },
};

struct Cel {
    rules: Vec<(String, Program)>,
    /// Functions of the standard library.
    root: Context<'static, 'static>,
}

impl Contender for Cel {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let request: Map<String, Json> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let mut context = self.root.new_inner_scope();
        for (key, value) in request {
            context.add_variable(key, value).map_err(|e| e.to_string())?;
        }
        for (rule, program) in &self.rules {
            match program.execute(&context).map_err(|e| e.to_string())? {
                Value::Bool(true) => return Ok(Decision::Deny(rule.into())),
                Value::Bool(false) => {}
                other => return Err(format!("{rule}: no boolean: {other:?}")),
            }
        }
        Ok(Decision::Allow)
    }
}
