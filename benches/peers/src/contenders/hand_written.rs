//! The bound: each policy as Rust on a struct that borrows from the request (`policy_benches::hand_written`).

use crate::contender::{Contender, Decision, Engine, Unable};
use policy_benches::hand_written::HandWritten;

pub(crate) const ENGINE: Engine = Engine {
    name: "hand-written Rust",
    package: None,
    load: |workload| match HandWritten::of(workload) {
        Some(policy) => Ok(Box::new(ByHand(policy))),
        None => Err(Unable::Inexpressible("not written")),
    },
};

struct ByHand(HandWritten);

impl Contender for ByHand {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        let rule = self.0.decide(body).map_err(|e| e.to_string())?;
        Ok(rule.map_or(Decision::Allow, |rule| Decision::Deny(rule.into())))
    }
}
