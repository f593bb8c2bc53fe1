//! Values of fields: as the request holds them, or computed on first use.

use super::Evaluation;
use crate::host::Host;
use crate::module::LoadedDerived;
use crate::predicate::{LoadedPredicate, Test};
use crate::value::Value;
use policy_bytecode::intrinsics::MAX_ARITY;
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
        let value = match self.derived(field) {
            Some(derived) => {
                let (args, count) = self.args(derived);
                let args = args.get(..count).unwrap_or(&args);
                self.host.call(derived.intrinsic, args, self.bump)
            }
            None => self.inside_derived(field),
        };
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
    fn inside_derived(&mut self, field: FieldIdx) -> Value<'a> {
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

    /// What computes a field, where it is derived.
    fn derived(&self, field: FieldIdx) -> Option<&'a LoadedDerived> {
        self.module.derived.iter().find(|derived| derived.field == field)
    }

    /// The arguments of what computes a field, and how many there are. They are fields of the request, which are never computed (V3).
    fn args(&self, derived: &LoadedDerived) -> ([Value<'a>; MAX_ARITY], usize) {
        let mut args = [Value::Undefined; MAX_ARITY];
        for (place, field) in args.iter_mut().zip(&derived.args) {
            if let Some(value) = self.slots.get(field.index()) {
                *place = *value;
            }
        }
        (args, derived.args.len())
    }

    /// Answers a comparison of a derived field with a number from bounds, where they decide it.
    #[cold]
    pub(super) fn compare_early(&mut self, predicate: &LoadedPredicate) -> Option<Outcome> {
        let (true, Test::CompareNumber(comparison, constant)) = (predicate.derived, &predicate.test) else {
            return None;
        };
        let derived = self.derived(predicate.field)?;
        let (args, count) = self.args(derived);
        let args = args.get(..count).unwrap_or(&args);
        self.host
            .call_bounded(derived.intrinsic, args, *comparison, *constant, self.bump)
    }
}
