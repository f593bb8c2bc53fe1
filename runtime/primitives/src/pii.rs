//! Personal data and secrets in text: which types occur, where, how sure we are, and the text without them.
//!
//! Called by `policy-runtime` when a rule that can fire reads `containsPII` or `piiTypes`, and by the `$redact`
//! verb. Input is one `&str`; output is a set of types, a list of [`Match`]es, or the redacted text.
//!
//! # Flow
//!
//! One left-to-right pass ([`scan`](fn@scan)) looks at 64 bytes at once for marks (digits and a few signs), and stops
//! only at these:
//!
//! | trigger | goes to | finds |
//! | --- | --- | --- |
//! | digit, `+`, and `(` before them | `number` | IP v4, dates of birth, cards, SSN and other national numbers, phones, addresses |
//! | word with a digit or `_`, or before `-` `.` `/` `+` | `secrets`, `iban`, `national`, `wallet` | keys, accounts |
//! | word with ten capitals in a row | `secrets` | key ids of AWS without a digit |
//! | `@`, `%40` | `email` | e-mail addresses |
//! | `:` | `secrets`, `ip` | values of names, IP v6, MAC |
//! | `=`, `>` | `secrets` | values of names |
//! | `-----BEGIN`, `--name` | `secrets` | private keys, values of flags |
//!
//! Short texts that lack what every detector needs are left before that (`short`). Where characters are disguised (digits of
//! other scripts, full-width letters, characters without width, letters of other alphabets inside of words), the text around
//! them is spelled plainly and scanned once more (`disguise`).
//!
//! A detector decides by format, checksum, the few words before the candidate (`context`) and the name of the column where
//! it stands in a table (`table`), never by a regular expression.
//!
//! # Invariants
//!
//! - Time is linear in the text for any input: every look behind or ahead is bounded by a constant or consumes what
//!   it read. `pii/tests.rs` counts the steps.
//! - Offsets are bytes and always character boundaries.
//! - Nothing is allocated once a [`Findings`] or [`Redactor`] has grown to its working size; [`contains`] and
//!   [`types_in`] never allocate.
//! - What is found never depends on which types the caller wants: a card is a card even when only phones are asked
//!   for.
//! - Redaction is idempotent, and what it returns holds no match that it was asked to remove.
//!
//! # Not done here
//!
//! Free-form names, organisations and places are not claimed: their form does not identify them. Street addresses are known
//! in the forms of `address`, mostly English ones. Encodings (base64, escapes but for those of `@`) are not undone.

mod address;
mod bytes;
mod cards;
mod checksum;
mod context;
mod dates;
mod dictionary;
mod disguise;
mod email;
mod iban;
mod ip;
mod national;
mod number;
mod phone;
mod redact;
mod scan;
mod secrets;
mod short;
mod table;
mod types;
mod wallet;

#[cfg(test)]
mod tests;

pub use context::is_silent;
pub use redact::{Redactor, redact};
pub use scan::{Findings, contains, contains_any, is_bare, scan, types_in, visit};
pub use types::{Confidence, Match, PiiType, PiiTypeSet, PiiTypes, UnknownPiiType};
