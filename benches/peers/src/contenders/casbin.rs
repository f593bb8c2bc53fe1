//! casbin: a matcher over the request and one policy line for each rule.
//!
//! Its expressions know no fractions as it is built; `Cargo.toml` switches on decimals in its script engine, which is what
//! its users have to do as well. It answers with allow or deny and keeps the line to itself (its feature `explain` tells, for more).

use crate::contender::{Contender, Decision, Engine, Unable, failed};
use crate::translations::{self, Language};
use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi, Model};
use serde::Deserialize;
use serde_json::Value;

pub(crate) const ENGINE: Engine = Engine {
    name: "casbin",
    package: Some("casbin"),
    load: |workload| {
        let source =
            translations::of(workload, Language::Casbin).ok_or(Unable::Inexpressible("not translated"))?;
        let source: Source = serde_json::from_str(&source).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(failed)?;
        runtime.block_on(enforcer(source)).map(|enforcer| {
            let contender: Box<dyn Contender> = Box::new(Casbin(enforcer));
            contender
        })
    },
};

#[derive(Debug, Deserialize)]
struct Source {
    matcher: String,
    /// Names of the columns.
    p: String,
    rows: Vec<Vec<String>>,
}

async fn enforcer(source: Source) -> Result<Enforcer, Unable> {
    let Source { matcher, p, rows } = source;
    let mut model = DefaultModel::default();
    model.add_def("r", "r", "ctx");
    model.add_def("p", "p", &p);
    model.add_def("e", "e", "!some(where (p.eft == deny))");
    model.add_def("m", "m", &matcher);
    let mut enforcer = Enforcer::new(model, MemoryAdapter::default())
        .await
        .map_err(failed)?;
    enforcer.add_function("num", OperatorFunction::Arg1(number));
    enforcer.add_function("strContains", OperatorFunction::Arg2(contains));
    enforcer.add_policies(rows).await.map_err(failed)?;
    Ok(enforcer)
}

/// A column as a number: columns are texts.
fn number(text: Dynamic) -> Dynamic {
    Dynamic::from_decimal(dynamic_to_str(&text).parse().unwrap_or_default())
}

/// Whether a text holds another: its own functions do not include this one.
fn contains(text: Dynamic, part: Dynamic) -> Dynamic {
    dynamic_to_str(&text).contains(&*dynamic_to_str(&part)).into()
}

struct Casbin(Enforcer);

impl Contender for Casbin {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let request: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        let allowed = self.0.enforce((request,)).map_err(|e| e.to_string())?;
        Ok(if allowed {
            Decision::Allow
        } else {
            Decision::DenyUnnamed
        })
    }
}
