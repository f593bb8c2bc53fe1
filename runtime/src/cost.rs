//! Cost of a request in dollars, from its model's price and from bounds of its tokens.
//!
//! Unknown is a state, never 0: a model without a price, a `llm.maxTokens` that is not a number, or a completion
//! without a limit give no cost, and comparisons with it are errors.

use policy_bytecode::Number;
use policy_bytecode::context::Derived;
use policy_primitives::prices::{CostInput, DEFAULT_COMPLETION_TOKENS, PriceTable, Resolution};
use policy_primitives::tokens::TokenBounds;
use policy_vm::{Inputs, Value};

/// Lower and upper bound in dollars; equal where the token bounds are. `None` where the cost is unknown.
pub(crate) fn cost(
    table: &PriceTable,
    what: Derived,
    inputs: &Inputs<'_>,
    tokens: TokenBounds,
) -> Option<(f64, f64)> {
    let Resolution::Known { entry, .. } = table.resolve(inputs.provider.as_str(), inputs.model.as_str()?)
    else {
        return None;
    };
    let asked = completion_limit(&inputs.max_tokens)?;
    let completion = match what {
        Derived::MaxCost => asked.or(entry.max_output_tokens)?,
        Derived::EstimatedCost | Derived::EstimatedTokens | Derived::ContainsPii | Derived::PiiTypes => {
            asked.unwrap_or(DEFAULT_COMPLETION_TOKENS)
        }
    };
    let completion = TokenBounds {
        lower: completion,
        upper: completion,
    };
    let bounds = entry.bounds(tokens, completion, CostInput::default())?;
    Some((bounds.lower.to_dollars_f64(), bounds.upper.to_dollars_f64()))
}

/// What the caller limits the completion to: `Some(None)` when nothing was sent, `None` when what was sent is no
/// number of tokens. A fraction counts as the next whole token.
fn completion_limit(sent: &Value<'_>) -> Option<Option<u64>> {
    match sent {
        Value::Undefined | Value::Null => Some(None),
        Value::Number(Number::Int(n)) => u64::try_from(*n).ok().map(Some),
        Value::Number(Number::UInt(n)) => Some(Some(*n)),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 <= x < 2^63 is checked"
        )]
        Value::Number(Number::Float(x)) if (0.0..9.2e18).contains(x) => Some(Some(x.ceil() as u64)),
        _no_count => None,
    }
}
