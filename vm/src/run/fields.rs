//! Values of fields: as the request holds them, or computed on first use.

use super::Evaluation;
use crate::host::{Host, Inputs};
use crate::predicate::{LoadedPredicate, Test};
use crate::value::Value;
use policy_bytecode::context::Derived;
use policy_bytecode::module::PathSegment;
use policy_bytecode::{FieldIdx, Outcome};

impl<'a, H: Host> Evaluation<'a, H> {
    /// Value of a field; computes it when it is derived and was not needed so far. Unknown for one that the module does not have.
    #[inline]
    pub fn field(&mut self, field: FieldIdx) -> Value<'a> {
        match self.slots.get(field.index()) {
            Some(Value::Pending) => self.derive(field),
            Some(value) => *value,
            None => Value::Unknown,
        }
    }

    #[cold]
    pub(super) fn derive(&mut self, field: FieldIdx) -> Value<'a> {
        let Some((what, sent)) = self.pending(field) else {
            let value = self.inside_derived(field);
            if let Some(slot) = self.slots.get_mut(field.index()) {
                *slot = value;
            }
            return value;
        };
        let inputs = self.inputs();
        let value = self.host.derive(what, sent, &inputs, self.bump);
        // A host has no business with this state; taken over, it would be computed again and again.
        let value = if matches!(value, Value::Pending) {
            Value::Undefined
        } else {
            value
        };
        if let Some(slot) = self.slots.get_mut(field.index()) {
            *slot = value;
        }
        value
    }

    /// Value of a field inside a derived one.
    pub(super) fn inside_derived(&mut self, field: FieldIdx) -> Value<'a> {
        let module = self.module;
        let found = module.inside_derived.iter().find(|(f, _)| *f == field);
        let Some((_, parent)) = found else {
            return Value::Undefined;
        };
        let whole = self.field(*parent);
        let path = |f: FieldIdx| module.fields.get(f.index()).map_or(&[][..], Vec::as_slice);
        let rest = path(field).get(path(*parent).len()..).unwrap_or(&[]);
        let bump = self.bump;
        rest.iter().fold(whole, |value, step| match (value, step) {
            // What cannot be known holds nothing that can.
            (Value::Unknown, _) => Value::Unknown,
            (Value::Array(items), PathSegment::Index(n)) => {
                items.get(*n as usize).unwrap_or(Value::Undefined)
            }
            (Value::Array(items), PathSegment::FromEnd(n)) => {
                items.from_end(*n as usize).unwrap_or(Value::Undefined)
            }
            (_, PathSegment::FromEnd(_)) => Value::Undefined,
            (value, PathSegment::Key { name, .. }) => value.get(name),
            (value, PathSegment::Index(n)) => value.get(&bumpalo::format!(in bump, "{}", n)),
        })
    }

    pub(super) fn pending(&self, field: FieldIdx) -> Option<(Derived, Value<'a>)> {
        let found = self
            .module
            .derived
            .iter()
            .zip(self.sent)
            .find(|((_, f), _)| *f == field);
        found.map(|((what, _), sent)| (*what, *sent))
    }

    /// What derived fields are computed from.
    pub fn inputs(&self) -> Inputs<'a> {
        let input = |slot: Option<FieldIdx>| {
            slot.and_then(|f| self.slots.get(f.index()))
                .copied()
                .unwrap_or(Value::Undefined)
        };
        let slots = &self.module.inputs;
        Inputs {
            llm: input(slots.llm),
            model: input(slots.model),
            provider: input(slots.provider),
            max_tokens: input(slots.max_tokens),
            service_tier: input(slots.service_tier),
        }
    }

    /// Answers a comparison of a derived field with a number from bounds, where they decide it.
    #[cold]
    pub(super) fn compare_early(&mut self, predicate: &LoadedPredicate) -> Option<Outcome> {
        let (Some(_), Test::CompareNumber(comparison, constant)) = (predicate.derived, &predicate.test)
        else {
            return None;
        };
        let (what, sent) = self.pending(predicate.field)?;
        let inputs = self.inputs();
        self.host
            .compare(what, *comparison, *constant, sent, &inputs, self.bump)
    }
}
