//! zen-engine: a decision table, compiled beforehand; tenants have a column for each field, which it indexes.

use crate::contender::{Contender, Decision, Engine, Unable, failed};
use crate::translations::{self, Language};
use std::sync::Arc;
use tokio::runtime::Runtime;
use zen_engine::Variable;
use zen_engine::model::DecisionContent;

pub(crate) const ENGINE: Engine = Engine {
    name: "zen-engine",
    package: Some("zen-engine"),
    load: |workload| {
        let source =
            translations::of(workload, Language::Zen).ok_or(Unable::Inexpressible("not translated"))?;
        let content: DecisionContent = serde_json::from_str(&source).map_err(failed)?;
        let mut decision = zen_engine::DecisionEngine::default()
            .create_decision(Arc::new(content))
            .map_err(failed)?;
        decision.compile();
        Ok(Box::new(Zen {
            decision,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .map_err(failed)?,
        }))
    },
};

struct Zen {
    decision: zen_engine::Decision,
    runtime: Runtime,
}

impl Contender for Zen {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let request: Variable = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let response = self
            .runtime
            .block_on(self.decision.evaluate(request))
            .map_err(|e| e.to_string())?;
        let rule = response.result.dot("rule");
        match rule.as_ref().and_then(Variable::as_str) {
            Some("allow") => Ok(Decision::Allow),
            Some(rule) => Ok(Decision::Deny(rule.to_owned().into())),
            None => Err(format!("no decision: {}", response.result)),
        }
    }
}
