//! The reader of requests: what a model would read of an `llm` object, in whatever shape a provider's API has it.
//!
//! [`read`] walks the object and hands [`Piece`]s to a [`Sink`]: texts with their [`Place`], roles and names, images,
//! token ids, tool definitions, and kinds of content that hold no readable text. Derived fields, tokens, cost and
//! personal data rest on it; gateways can use it on their own bodies. [`rewrite`](fn@rewrite) walks with the same
//! rules and gives a value back in its own shape, with other texts. [`choices`], [`extra`] and [`limit`] read how much
//! answer is asked for, and [`tools::render`] writes a tool definition as a model sees it.
//!
//! # The rule
//!
//! Every string is a text that a model may read, wherever it stands, known or unknown, unless one of these holds:
//!
//! - It stands where an API has an identifier, a type, a role, a URL or encoded data (`slots.rs` has the tables), and
//!   looks like one (`looks.rs`). A sentence under `id` is a text; so is one under `data`.
//! - It is an option of the call (`model`, `user`, `serviceTier` …) and looks like an identifier, or is one of the
//!   short texts that no model reads (`stop`, `metadata`).
//!
//! In what tools were given and gave back ([`Piece::Number`], [`Piece::Bool`]) and where content stands directly
//! (`content: 42`), numbers are read too. Names of members are texts where they do not look like names.
//!
//! What holds no text is never silent: an image is a [`Piece::Image`], and audio, files, video, encrypted content,
//! references to what a provider stores, and parts in which nothing was found are [`Piece::Unread`].
//!
//! # Order
//!
//! `system`, `instructions`, `prompt`, `messages`, `input`, `contents`, then other members, then `tools` and
//! `functions`; inside, the order of the document, members in the order in which the node gives them.
//!
//! # Invariants
//!
//! - Nothing is allocated here; texts are borrowed and never joined.
//! - Time is linear in the size of the value, and long texts are not looked at, apart from those that may be encoded.
//! - Nesting is bounded: [`WALKED_LEVELS`] levels are read by these rules, everything below is read as tool data, and
//!   what nests deeper than [`READ_LEVELS`] is [`UnreadKind::Unknown`].
//!
//! Not done here: decoding base64, fetching URLs, parsing JSON inside strings, counting.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod asked;
#[cfg(feature = "serde_json")]
mod json;
mod looks;
mod node;
mod piece;
mod rewrite;
mod slots;
pub mod tools;
mod walk;

pub use asked::{Count, Media, choices, extra, limit, media, provider_tools};
#[cfg(feature = "serde_json")]
pub use json::JsonEditor;
pub use node::{Node, Number, View};
pub use piece::{Field, Image, ImageSource, Piece, Place, Role, Sink, UnreadKind};
pub use rewrite::{Editor, Step, rewrite};
pub use walk::{READ_LEVELS, WALKED_LEVELS, read};
