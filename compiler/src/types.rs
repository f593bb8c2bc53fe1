//! Sets of JSON types, as far as they are known when compiled. Used by the schema and by the type checks.

use crate::context::FieldType;
use policy_bytecode::Const;
use std::fmt;

/// A set of JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeSet(u8);

impl TypeSet {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOL: Self = Self(2);
    pub(crate) const NUMBER: Self = Self(4);
    pub(crate) const STRING: Self = Self(8);
    pub(crate) const ARRAY: Self = Self(16);
    pub(crate) const OBJECT: Self = Self(32);
    pub(crate) const ANY: Self = Self(63);
    pub(crate) const NONE: Self = Self(0);

    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::NULL, "null"),
        (Self::BOOL, "boolean"),
        (Self::NUMBER, "number"),
        (Self::STRING, "string"),
        (Self::ARRAY, "array"),
        (Self::OBJECT, "object"),
    ];

    pub(crate) fn of_field(ty: FieldType) -> Self {
        match ty {
            FieldType::String => Self::STRING,
            FieldType::Number => Self::NUMBER,
            FieldType::Bool => Self::BOOL,
            FieldType::StringArray | FieldType::Array => Self::ARRAY,
            FieldType::Object => Self::OBJECT,
            FieldType::Any => Self::ANY,
        }
    }

    pub(crate) fn of_const(value: &Const) -> Self {
        match value {
            Const::Null => Self::NULL,
            Const::Bool(_) => Self::BOOL,
            Const::Number(_) | Const::Decimal(_) => Self::NUMBER,
            Const::Str(_) => Self::STRING,
            Const::Array(_) => Self::ARRAY,
            Const::Object(_) => Self::OBJECT,
        }
    }

    /// The type of this JSON Schema name.
    pub(crate) fn of_schema_name(name: &str) -> Option<Self> {
        match name {
            "integer" => Some(Self::NUMBER),
            name => Self::NAMES.iter().find(|(_, n)| *n == name).map(|(t, _)| *t),
        }
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether a value can hold others.
    pub(crate) fn has_parts(self) -> bool {
        self.meets(Self::ARRAY.union(Self::OBJECT))
    }

    pub(crate) fn is_any(self) -> bool {
        self == Self::ANY
    }
}

impl fmt::Display for TypeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return f.write_str("any type");
        }
        let mut first = true;
        for (ty, name) in Self::NAMES {
            if self.meets(*ty) {
                if !first {
                    f.write_str(" or ")?;
                }
                first = false;
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}
