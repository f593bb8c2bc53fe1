//! This repository's engine: with the whole response, and with the verdict only.

use crate::contender::{Contender, Decision, Engine, Unable, failed};
use policy_benches::ours;
use policy_benches::workloads::Workload;
use policy_runtime::{EvaluateOptions, PolicyEngine, Worker};
use std::hint::black_box;

/// Request bytes to the bytes of the JSON response.
pub(crate) const RESPONSE: Engine = Engine {
    name: "ours: response JSON",
    package: None,
    load: |workload| {
        let loaded = load(workload)?;
        // The rule in the bytes of every response is compared here: parsing them below would be timed.
        ours::check(&loaded.engine, workload).map_err(failed)?;
        Ok(Box::new(Response(loaded)))
    },
};

/// Request bytes to decision and rule, for callers in the same process.
pub(crate) const VERDICT: Engine = Engine {
    name: "ours: verdict only",
    package: None,
    load: |workload| Ok(Box::new(Verdict(load(workload)?))),
};

struct Loaded {
    engine: PolicyEngine,
    worker: Worker,
}

fn load(workload: &Workload) -> Result<Loaded, Unable> {
    let bundle = ours::bundle(&workload.policy).map_err(failed)?;
    Ok(Loaded {
        engine: ours::engine(&bundle).map_err(failed)?,
        worker: Worker::new(),
    })
}

struct Response(Loaded);

impl Contender for Response {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let Loaded { engine, worker } = &mut self.0;
        let evaluated = engine
            .evaluate_into(worker, body, &EvaluateOptions::default())
            .map_err(|e| e.to_string())?;
        black_box(evaluated.json);
        Ok(match evaluated.decision.as_str() {
            "deny" => Decision::DenyUnnamed,
            _other => Decision::Allow,
        })
    }
}

struct Verdict(Loaded);

impl Contender for Verdict {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let Loaded { engine, worker } = &mut self.0;
        let verdict = engine
            .decide(worker, body, &EvaluateOptions::default())
            .map_err(|e| e.to_string())?;
        Ok(match (verdict.decision.as_str(), verdict.rule) {
            ("deny", Some(rule)) => Decision::Deny(rule.into()),
            ("deny", None) => Decision::DenyUnnamed,
            _other => Decision::Allow,
        })
    }
}
