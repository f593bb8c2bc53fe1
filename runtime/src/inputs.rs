//! What the intrinsics of a request to a model are applied to: their arguments by name, and which arguments are the same.
//!
//! A module says what each intrinsic is applied to. What is kept of one call serves another only where both are applied to the same.

use policy_bytecode::intrinsics::Llm;
use policy_vm::Value;

/// Arguments of an intrinsic, by name; what it does not take is undefined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// The request, whole.
    pub(crate) llm: Value<'a>,
    pub(crate) model: Value<'a>,
    pub(crate) provider: Value<'a>,
    pub(crate) max_tokens: Value<'a>,
    pub(crate) service_tier: Value<'a>,
}

impl<'a> Inputs<'a> {
    /// As the signature of `what` orders them.
    pub(crate) fn of(what: Llm, args: &[Value<'a>]) -> Self {
        let arg = |position: usize| args.get(position).copied().unwrap_or(Value::Undefined);
        let none = Self {
            llm: Value::Undefined,
            model: Value::Undefined,
            provider: Value::Undefined,
            max_tokens: Value::Undefined,
            service_tier: Value::Undefined,
        };
        match what {
            Llm::Text
            | Llm::NormalizedText
            | Llm::LastUserText
            | Llm::UnreadContent
            | Llm::ContainsPii
            | Llm::PiiTypes
            | Llm::InjectionSignals
            | Llm::InjectionScore => Self { llm: arg(0), ..none },
            Llm::CanonicalModel | Llm::ModelFamily => Self {
                model: arg(0),
                provider: arg(1),
                ..none
            },
            Llm::EstimatedTokens => Self {
                llm: arg(0),
                model: arg(1),
                ..none
            },
            Llm::EstimatedCost | Llm::MaxCost => Self {
                llm: arg(0),
                model: arg(1),
                provider: arg(2),
                max_tokens: arg(3),
                service_tier: arg(4),
            },
        }
    }

    /// The request, and nothing else of it.
    pub(crate) fn request(&self) -> Option<Subject> {
        Some(Subject([Place::of(&self.llm)?, Place::Nowhere]))
    }

    /// What tokens are counted of.
    pub(crate) fn counted(&self) -> Option<Subject> {
        Some(Subject([Place::of(&self.llm)?, Place::of(&self.model)?]))
    }
}

/// What something was found of, for as long as one evaluation lasts. Equal subjects are the same values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject([Place; 2]);

/// Where a value stands in memory, and of which kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Null,
    /// Address and length.
    Text(usize, usize),
    Decimal(usize, usize),
    Array(policy_vm::Place),
    Set(policy_vm::Place),
    Object(policy_vm::Place),
}

impl Place {
    /// `None` for values that stand nowhere, and are seldom what anything is computed from.
    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Undefined => Some(Self::Nowhere),
            Value::Null => Some(Self::Null),
            Value::Str(text) => Some(Self::Text(text.as_ptr().addr(), text.len())),
            Value::Decimal(text) => Some(Self::Decimal(text.as_ptr().addr(), text.len())),
            Value::Array(items) => Some(Self::Array(items.place())),
            Value::Set(items) => Some(Self::Set(items.place())),
            Value::Object(members) => Some(Self::Object(members.place())),
            Value::Unknown | Value::Pending | Value::Bool(_) | Value::Number(_) => None,
        }
    }
}

/// What was found of one subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept<T>(Option<(Subject, T)>);

impl<T: Copy> Kept<T> {
    /// Nothing yet.
    pub(crate) const NOTHING: Self = Self(None);

    /// What was found of `subject`.
    pub(crate) fn get(&self, subject: Option<Subject>) -> Option<T> {
        let (kept, found) = self.0?;
        (Some(kept) == subject).then_some(found)
    }

    /// Keeps what was found of `subject`, if that can be told from others.
    pub(crate) fn put(&mut self, subject: Option<Subject>, found: T) {
        if let Some(subject) = subject {
            self.0 = Some((subject, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Inputs, Kept};
    use policy_bytecode::Number;
    use policy_bytecode::intrinsics::Llm;
    use policy_vm::Value;

    #[test]
    fn what_is_kept_of_one_subject_is_not_said_of_another() {
        let of = |llm, model| Inputs::of(Llm::EstimatedTokens, &[llm, model]);
        let (first, second) = (String::from("same"), String::from("same"));
        let model = Value::Str("m");
        let mut kept = Kept::NOTHING;
        let inputs = of(Value::Str(&first), model);
        kept.put(inputs.counted(), 7);
        assert_eq!(kept.get(inputs.counted()), Some(7));
        for other in [
            of(Value::Str(&second), model),
            of(Value::Decimal(&first), model),
            of(Value::Str(&first), Value::Undefined),
            of(Value::Undefined, model),
            of(Value::Null, model),
        ] {
            assert_eq!(kept.get(other.counted()), None, "{other:?}");
        }
        // What stands nowhere is found anew each time.
        let number = of(Value::Number(Number::Int(1)), model);
        kept.put(number.counted(), 8);
        assert_eq!(kept.get(number.counted()), None);
    }

    /// Every argument that a signature has is read, and under its own name.
    #[test]
    fn arguments_have_the_names_of_the_signatures() {
        let names = ["request", "model", "provider", "max_tokens", "service_tier"];
        for what in Llm::ALL {
            let params = what.row().signature.params;
            let args: Vec<Value<'_>> = params.iter().map(|param| Value::Str(param.name)).collect();
            let Inputs {
                llm,
                model,
                provider,
                max_tokens,
                service_tier,
            } = Inputs::of(*what, &args);
            for (name, value) in names.iter().zip([llm, model, provider, max_tokens, service_tier]) {
                let expected = params.iter().any(|param| param.name == *name).then_some(*name);
                assert_eq!(value.as_str(), expected, "{name} of {what:?}");
            }
        }
    }
}
