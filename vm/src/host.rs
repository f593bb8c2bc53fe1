//! What the machine asks of its host: the values that a request does not hold.

use crate::predicate::Comparison;
use crate::value::Value;
use bumpalo::Bump;
use policy_bytecode::context::Derived;
use policy_bytecode::{Number, Outcome};

/// Computes derived fields. Called at most once per field and evaluation, and only when a rule that runs needs it.
pub trait Host {
    /// The value of `what`. `sent` is what the request holds at that path; `bump` is where new text and lists go.
    /// [`Value::Unknown`] when it cannot be computed.
    fn derive<'a>(
        &mut self,
        what: Derived,
        sent: Value<'a>,
        inputs: &Inputs<'a>,
        bump: &'a Bump,
    ) -> Value<'a>;

    /// Answers `what <comparison> constant` without computing `what`, where bounds decide it. `None` to compute.
    fn compare<'a>(
        &mut self,
        what: Derived,
        comparison: Comparison,
        constant: Number,
        sent: Value<'a>,
        inputs: &Inputs<'a>,
        bump: &'a Bump,
    ) -> Option<Outcome>;

    /// Whether it computes anything. Where it does not, what the request holds is the value, and is not asked for.
    fn computes(&self) -> bool {
        true
    }
}

/// What derived fields are computed from, as the request holds it.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `llm`, whole.
    pub llm: Value<'a>,
    /// `llm.model`.
    pub model: Value<'a>,
    /// `llm.provider`.
    pub provider: Value<'a>,
    /// `llm.maxTokens`.
    pub max_tokens: Value<'a>,
    /// `llm.serviceTier`.
    pub service_tier: Value<'a>,
}
