//! What the machine asks of its host: the values of intrinsics that the machine does not compute itself.

use crate::predicate::Comparison;
use crate::value::Value;
use bumpalo::Bump;
use policy_bytecode::intrinsics::IntrinsicId;
use policy_bytecode::{Number, Outcome};

/// Computes host intrinsics. A derived field is computed at most once in an evaluation, and only when a rule that runs needs it.
pub trait Host {
    /// The value of an intrinsic for these arguments, as many as its signature has (V3). [`Value::Undefined`] where there is none,
    /// [`Value::Unknown`] where nobody can tell.
    ///
    /// * `id` — an intrinsic of the host that this build knows.
    /// * `bump` — where new text and lists go.
    fn call<'a>(&mut self, id: IntrinsicId, args: &[Value<'a>], bump: &'a Bump) -> Value<'a>;

    /// Answers `id(args) <comparison> constant` without the value, where bounds of it decide: the answer is that of the value. `None`
    /// to compute it, which is what a host does that has no bounds.
    fn call_bounded<'a>(
        &mut self,
        _id: IntrinsicId,
        _args: &[Value<'a>],
        _comparison: Comparison,
        _constant: Number,
        _bump: &'a Bump,
    ) -> Option<Outcome> {
        None
    }

    /// What becomes of what a request holds in place of derived fields.
    fn sent(&self) -> Sent {
        Sent::Ignored
    }
}

/// What becomes of what a request holds in place of derived fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sent {
    /// Derived fields are computed, whatever the request holds there.
    #[default]
    Ignored,
    /// It is the value where it is there; else the field is computed.
    Preferred,
    /// It is the value; nothing is computed.
    Alone,
}

/// A host without intrinsics: what a request holds in place of derived fields is their value.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsSent;

impl Host for AsSent {
    fn call<'a>(&mut self, _id: IntrinsicId, _args: &[Value<'a>], _bump: &'a Bump) -> Value<'a> {
        Value::Unknown
    }

    fn sent(&self) -> Sent {
        Sent::Alone
    }
}
