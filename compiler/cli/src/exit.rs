//! The one table of exit codes, and the two errors that carry one.

macro_rules! exits {
    ($( $variant:ident = $code:literal, $meaning:literal; )*) => {
        /// How a command ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Exit { $( #[doc = $meaning] $variant = $code, )* }

        impl Exit {
            /// Every exit, in order of its code.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The code that the process ends with.
            #[must_use]
            pub fn code(self) -> u8 { self as u8 }

            /// What it means.
            #[must_use]
            pub fn meaning(self) -> &'static str { match self { $( Self::$variant => $meaning, )* } }
        }
    };
}

exits! {
    Ok = 0, "Done; the request is allowed.";
    No = 1, "A policy says no: denied, a failed check, a failing test, a difference.";
    Usage = 2, "Wrong usage, a file that cannot be read or written, or a policy or bundle that is refused.";
    Internal = 3, "A mistake in this program; please report it.";
}

/// The reason was already shown; only the exit code is left to say.
#[derive(Debug, thiserror::Error)]
#[error("see above")]
pub(crate) struct Shown(pub(crate) Exit);

/// A mistake of ours that was noticed before it did harm.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Bug(pub(crate) String);
