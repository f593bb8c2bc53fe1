//! The table of categories, and what a scan gives.

use std::fmt;

/// The score from which on there are signals: the operating point that was measured.
pub const THRESHOLD: f64 = 0.5;

/// What a hint weighs, and a phrase that is only quoted or told. Two hints are more than [`THRESHOLD`].
pub(super) const HINT: u32 = 30;

macro_rules! signals {
    ($( $variant:ident, $name:literal, $weight:literal, $doc:literal; )*) => {
        /// A category of phrases, in table order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum InjectionSignal {
            $( #[doc = $doc] $variant, )*
        }

        impl InjectionSignal {
            /// Every category, in table order.
            pub const ALL: &'static [InjectionSignal] = &[ $( InjectionSignal::$variant, )* ];

            /// The names of all categories, in table order.
            pub const NAMES: &'static [&'static str] = &[ $( $name, )* ];

            /// The name as policies spell it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( InjectionSignal::$variant => $name, )* }
            }

            /// What a phrase of this category weighs, in hundredths.
            #[must_use]
            pub const fn weight(self) -> u32 {
                match self { $( InjectionSignal::$variant => $weight, )* }
            }

            /// One line for documentation and editors.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $( InjectionSignal::$variant => $doc, )* }
            }
        }
    };
}

signals! {
    Override, "override", 80, "Orders to ignore, forget or replace the instructions.";
    Persona, "persona", 70, "Another identity, one without rules.";
    Extraction, "extraction", 70, "Asking for the system prompt, the instructions or the secret.";
    Delimiters, "delimiters", 60, "Markup of chats and of documents that ends one part and begins another.";
    ForcedPrefix, "forced_prefix", 60, "How the answer has to begin, and that it must not refuse.";
    Authority, "authority", 60, "Claims of being in charge, with an order.";
    ToolOrders, "tool_orders", 70, "Orders of a text to use tools, to send data away, or to keep it from the user.";
}

impl fmt::Display for InjectionSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of categories; iterates in table order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SignalSet(u8);

impl SignalSet {
    /// The set without any category.
    pub const EMPTY: SignalSet = SignalSet(0);

    /// Adds a category.
    pub fn insert(&mut self, signal: InjectionSignal) {
        self.0 |= 1 << signal as u8;
    }

    /// Whether a category is in the set.
    #[must_use]
    pub const fn contains(self, signal: InjectionSignal) -> bool {
        self.0 & (1 << signal as u8) != 0
    }

    /// Whether no category is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many categories are in the set.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The categories, in table order.
    pub fn iter(self) -> impl Iterator<Item = InjectionSignal> {
        InjectionSignal::ALL
            .iter()
            .copied()
            .filter(move |signal| self.contains(*signal))
    }
}

/// What a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Injection {
    /// Categories with a phrase, and those of hints that stand together.
    pub signals: SignalSet,
    /// From 0 to 1, to two digits: `1 - Π (1 - weight)` over the categories with a phrase, and over the hints of other
    /// categories that stand together.
    pub score: f64,
}

/// What a word says about the phrase beside it.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Role {
    /// The phrase behind it is denied.
    Not,
    /// The phrase behind it is told.
    Told,
    /// The phrase behind it is told if it is in quotes.
    Quoting,
    /// The phrase before it is told.
    Named,
}

impl Role {
    pub(super) const fn is_in(self, roles: u8) -> bool {
        roles & (1 << self as u8) != 0
    }
}
