//! cedar-policy: one `forbid` for each rule, the request as context.
//!
//! Numbers with a fraction have no type in Cedar; they become its `decimal`, as its documentation advises. Cedar evaluates
//! every policy and returns the set of those that fired.

use crate::contender::{Contender, Decision, Engine, Unable, failed};
use crate::translations::{self, Language};
use cedar_policy::{
    Authorizer, Context, Decision as Outcome, Entities, EntityUid, PolicyId, PolicySet, Request,
    RestrictedExpression,
};
use serde_json::Value;
use std::collections::HashMap;

pub(crate) const ENGINE: Engine = Engine {
    name: "cedar-policy",
    package: Some("cedar-policy"),
    load: |workload| {
        let source = translations::of(workload, Language::Cedar)
            .ok_or(Unable::Inexpressible("Cedar has no regular expressions"))?;
        let policies: PolicySet = source.parse().map_err(failed)?;
        let rules = policies
            .policies()
            .filter_map(|policy| Some((policy.id().clone(), policy.annotation("id")?.to_owned())))
            .collect();
        let entity = |text: &str| text.parse::<EntityUid>().map_err(failed);
        Ok(Box::new(Cedar {
            policies,
            rules,
            principal: entity("User::\"caller\"")?,
            action: entity("Action::\"call\"")?,
            resource: entity("Model::\"model\"")?,
            entities: Entities::empty(),
            authorizer: Authorizer::new(),
        }))
    },
};

struct Cedar {
    policies: PolicySet,
    /// The annotation `@id` of each policy.
    rules: HashMap<PolicyId, String>,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    entities: Entities,
    authorizer: Authorizer,
}

impl Contender for Cedar {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let Value::Object(fields) = serde_json::from_slice(body).map_err(|e| e.to_string())? else {
            return Err("not an object".to_owned());
        };
        let pairs: Result<Vec<_>, String> = fields
            .into_iter()
            .map(|(key, value)| Ok((key, expression(value)?)))
            .collect();
        let context = Context::from_pairs(pairs?).map_err(|e| e.to_string())?;
        let request = Request::new(
            self.principal.clone(),
            self.action.clone(),
            self.resource.clone(),
            context,
            None,
        )
        .map_err(|e| e.to_string())?;
        let response = self
            .authorizer
            .is_authorized(&request, &self.policies, &self.entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string());
        }
        if response.decision() == Outcome::Allow {
            return Ok(Decision::Allow);
        }
        // A set: the first of the policy is the one with the smallest name.
        let fired = response.diagnostics().reason();
        let first = fired.filter_map(|id| self.rules.get(id)).min();
        Ok(first.map_or(Decision::DenyUnnamed, |rule| Decision::Deny(rule.into())))
    }
}

fn expression(value: Value) -> Result<RestrictedExpression, String> {
    Ok(match value {
        Value::Null => return Err("Cedar has no null".to_owned()),
        Value::Bool(value) => RestrictedExpression::new_bool(value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => RestrictedExpression::new_long(integer),
            None => RestrictedExpression::new_decimal(format!("{:.4}", number.as_f64().unwrap_or(0.0))),
        },
        Value::String(text) => RestrictedExpression::new_string(text),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(expression).collect();
            RestrictedExpression::new_set(items?)
        }
        Value::Object(fields) => {
            let fields: Result<Vec<_>, String> = fields
                .into_iter()
                .map(|(key, value)| Ok((key, expression(value)?)))
                .collect();
            RestrictedExpression::new_record(fields?).map_err(|e| e.to_string())?
        }
    })
}
