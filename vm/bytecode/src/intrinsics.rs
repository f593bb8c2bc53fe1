//! The intrinsics: functions that the machine calls and that are not made of instructions, as one table.
//!
//! A row says what everybody has to know of an intrinsic without running it. The compiler chooses intrinsics by it, the verifier
//! checks what modules name, the certificate adds up costs, the disassembler spells names. What an intrinsic does stands where it
//! is called: a host intrinsic ([`Flags`]) in whoever embeds the machine.
//!
//! Rows stand in families, a file each below `intrinsics/`. A family is an enumeration as well, so that whoever calls its
//! intrinsics is told by the compiler of a new one.
//!
//! **Invariants.** Bundles outlive binaries: numbers and names are never changed and never used twice; a snapshot holds them.

mod llm;

pub use llm::Llm;

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of an intrinsic in a module. It may be that of none: what is decoded is not checked before it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IntrinsicId(pub u16);

/// What a value is, as far as a signature says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// Any value, or none.
    Any,
    /// A boolean.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array of these.
    Array(&'static Type),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("boolean"),
            Self::Number => f.write_str("number"),
            Self::Text => f.write_str("string"),
            Self::Array(items) => write!(f, "array[{items}]"),
        }
    }
}

/// An argument of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Param {
    /// What it is called, for people.
    pub name: &'static str,
    /// What it may be.
    pub ty: Type,
}

/// What an intrinsic takes, and what it gives where it gives anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    /// In order; at most [`MAX_ARITY`].
    pub params: &'static [Param],
    /// The type of a value that is neither undefined nor unknown.
    pub result: Type,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (n, param) in self.params.iter().enumerate() {
            let separator = if n > 0 { ", " } else { "" };
            write!(f, "{separator}{}: {}", param.name, param.ty)?;
        }
        write!(f, ") -> {}", self.result)
    }
}

/// What else is so of an intrinsic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// Its value follows from its arguments and from what the host was set up with: it asks no clock, counter or chance.
    pub pure: bool,
    /// It may be unknown: it has arguments for which nobody can tell its value.
    pub fallible: bool,
    /// The host computes it, not the machine.
    pub host: bool,
}

impl Flags {
    const NONE: Self = Self {
        pure: false,
        fallible: false,
        host: false,
    };

    const fn pure(mut self) -> Self {
        self.pure = true;
        self
    }

    const fn fallible(mut self) -> Self {
        self.fallible = true;
        self
    }

    const fn host(mut self) -> Self {
        self.host = true;
        self
    }
}

/// What a call costs at most: a fixed part, and a part that grows with the text of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Units of roughly a nanosecond, whatever the arguments.
    pub fixed: u64,
    /// The same for each kilobyte of text.
    pub per_text_kb: u64,
    /// Passes over the text.
    pub scans: u64,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Intrinsic {
    /// Its number in modules.
    pub id: IntrinsicId,
    /// Its name in listings: its family, a dot, and words in lower case.
    pub name: &'static str,
    /// What it takes and gives.
    pub signature: Signature,
    /// What else is so of it.
    pub flags: Flags,
    /// What calling it costs.
    pub cost: Cost,
    /// The version of the instruction set that it came with.
    pub since: u16,
    /// What its value is, in one sentence.
    pub doc: &'static str,
}

/// Arguments of a call, at most.
pub const MAX_ARITY: usize = 8;

/// Every family, by the numbers of its intrinsics. A new one gets the next free number, whatever its family.
pub const FAMILIES: &[&[Intrinsic]] = &[Llm::ROWS];

impl IntrinsicId {
    /// Its row; `None` where this build knows none.
    #[must_use]
    pub fn row(self) -> Option<&'static Intrinsic> {
        all().find(|row| row.id == self)
    }
}

/// Every row, family by family.
pub fn all() -> impl Iterator<Item = &'static Intrinsic> {
    FAMILIES.iter().copied().flatten()
}

/// The intrinsic of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Intrinsic> {
    all().find(|row| row.name == name)
}

/// Makes a family: an enumeration with a variant for each row, and its rows. A row is
/// `number Variant = "name", (param: Type, …) => Type, [flags], cost(fixed, per kilobyte of text, passes), since(version);`.
macro_rules! family {
    ($(#[$about:meta])* $family:ident { $(
        #[doc = $doc:literal]
        $id:literal $variant:ident = $name:literal, ( $($param:ident: $ty:expr),* ) => $result:expr,
            [ $($flag:ident)* ], cost($fixed:literal, $per_text_kb:literal, $scans:literal), since($since:literal);
    )+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum $family { $( #[doc = $doc] $variant = $id, )+ }

        impl $family {
            /// Every intrinsic of the family, by number.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The rows of the family, by number.
            pub const ROWS: &'static [$crate::intrinsics::Intrinsic] = &[ $( Self::$variant.row(), )+ ];

            /// Its number in modules.
            #[must_use]
            pub const fn id(self) -> $crate::intrinsics::IntrinsicId {
                match self { $( Self::$variant => $crate::intrinsics::IntrinsicId($id), )+ }
            }

            /// The intrinsic of this number, where it is of this family.
            #[must_use]
            pub const fn of(id: $crate::intrinsics::IntrinsicId) -> Option<Self> {
                match id.0 { $( $id => Some(Self::$variant), )+ _other => None }
            }

            /// Its row in the table.
            #[must_use]
            pub const fn row(self) -> $crate::intrinsics::Intrinsic {
                match self { $( Self::$variant => $crate::intrinsics::Intrinsic {
                    id: $crate::intrinsics::IntrinsicId($id),
                    name: $name,
                    signature: $crate::intrinsics::Signature {
                        params: &[ $( $crate::intrinsics::Param { name: stringify!($param), ty: $ty }, )* ],
                        result: $result,
                    },
                    flags: $crate::intrinsics::Flags::NONE $( .$flag() )*,
                    cost: $crate::intrinsics::Cost { fixed: $fixed, per_text_kb: $per_text_kb, scans: $scans },
                    since: $since,
                    doc: $doc.trim_ascii(),
                }, )+ }
            }
        }
    };
}

pub(crate) use family;

#[cfg(test)]
mod tests {
    use super::{Llm, MAX_ARITY, all, named};
    use crate::module::ISA_VERSION;
    use std::collections::BTreeSet;

    #[test]
    fn rows_are_well_formed_and_told_apart_by_number_and_name() {
        let mut ids = BTreeSet::new();
        let mut names = BTreeSet::new();
        for row in all() {
            assert!(ids.insert(row.id), "{} has the number of another", row.name);
            assert!(names.insert(row.name), "{} is there twice", row.name);
            assert_eq!(row.id.row(), Some(row));
            assert_eq!(named(row.name), Some(row));
            assert!(row.signature.params.len() <= MAX_ARITY, "{}", row.name);
            assert!(row.since <= ISA_VERSION, "{}", row.name);
            assert!(row.doc.ends_with('.') && !row.doc.starts_with(' '), "{}", row.doc);
            let bare = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
            assert!(
                row.name.contains('.') && row.name.chars().all(bare),
                "{}",
                row.name
            );
        }
        for llm in Llm::ALL {
            assert_eq!(Llm::of(llm.id()), Some(*llm));
            assert_eq!(llm.row().id, llm.id());
        }
    }

    /// Silent renumbering and renaming show here.
    #[test]
    fn numbers_and_names_are_stable() {
        let mut rows: Vec<_> = all().collect();
        rows.sort_by_key(|row| row.id);
        let listing: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {}{}", row.id.0, row.name, row.signature))
            .collect();
        insta::assert_snapshot!("intrinsics", listing.join("\n"));
    }
}
