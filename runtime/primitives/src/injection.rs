//! Prompt injection: which kinds of phrases a text holds that try to take a model over, and how much they weigh.
//!
//! Called by `policy-runtime` when a rule that can fire reads `injectionSignals` or `injectionScore`. Input is a text that
//! [`crate::normalize`] made; output is a set of categories and a score ([`Injection`]).
//!
//! # Flow
//!
//! One pass over the words of the text (`scan`). A word is looked up in a table of about two thousand (`tables`, made by
//! `build/phrases.rs` from `data/injection.txt`, which is the place to add phrases), and takes the steps of phrases that wait
//! for it. A phrase is a sequence of sets of words, each within some words of the one before: `ignore … previous …
//! instructions`, in any of the languages of the table. The end of a sentence counts as several words.
//!
//! Three disguises beyond those of `normalize` are undone: accents, digits for letters inside of words, and words that
//! are spelled letter by letter or written without blanks (`unspaced`).
//!
//! A phrase that is denied (`never reveal …`) counts for nothing; one that is quoted or told (`attackers write …`) weighs no
//! more than a hint. What counts as which is in `data/injection.txt` under `%`.
//!
//! # Invariants
//!
//! - Time is linear in the text for any input: a word takes as many steps as it has places in phrases, which the build
//!   script bounds. `injection/tests.rs` counts the steps.
//! - Nothing is allocated.
//! - There are signals if and only if the score is [`THRESHOLD`] or more.
//!
//! # Not done here
//!
//! This finds phrases, not intentions: what is worded otherwise, in another language, in a code, or over many messages
//! passes. `docs/policy-language.md` says what was measured.

mod context;
pub(crate) mod letters;
mod scan;
mod tables;
mod types;

#[cfg(test)]
mod tests;

pub use scan::detect;
pub use types::{Injection, InjectionSignal, SignalSet, THRESHOLD};
