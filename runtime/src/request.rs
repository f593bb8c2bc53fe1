//! The request as the reader of requests sees it: values of the VM in, pieces in the arena out.
//!
//! [`Read::new`] reads the `llm` object once for the derived field that needs it and notes what a model would read;
//! texts stay where they are.

use crate::json::Json;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use policy_primitives::escapes;
use policy_requests::{Field, Image, Number as Count, Piece, Place, Role, UnreadKind};
use policy_vm::{Bump, Value};
use std::fmt::Write as _;
use std::ops::ControlFlow;

/// A text that a model reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    /// As it was sent.
    text: &'a str,
    pub(crate) place: Place,
    /// It is a role or the name of a message: tokens, but nothing that anybody wrote.
    label: bool,
}

/// What a request holds for a model to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read<'a> {
    texts: &'a [Text<'a>],
    images: &'a [Image<'a>],
    tools: &'a [Json<'a>],
    unread: u8,
    pub(crate) messages: u64,
    pub(crate) names: u64,
    pub(crate) token_ids: u64,
}

impl<'a> Read<'a> {
    /// Reads `llm`. Numbers that a model reads are spelled into the arena; everything else is borrowed.
    pub(crate) fn new(llm: Value<'a>, bump: &'a Bump) -> Self {
        let mut texts = BumpVec::new_in(bump);
        let mut images = BumpVec::new_in(bump);
        let mut tools = BumpVec::new_in(bump);
        let mut read = Self {
            texts: &[],
            images: &[],
            tools: &[],
            unread: 0,
            messages: 0,
            names: 0,
            token_ids: 0,
        };
        let mut sink = |piece: Piece<'a, Json<'a>>, place: Place| {
            let mut push = |text: &'a str, label: bool| texts.push(Text { text, place, label });
            match piece {
                Piece::Message { named } => {
                    read.messages += 1;
                    read.names += u64::from(named);
                }
                Piece::Role(text) | Piece::Name(text) => push(text, true),
                Piece::Text(text) => push(text, false),
                Piece::Number(number) => push(spell(number, bump), false),
                Piece::Bool(value) => push(if value { "true" } else { "false" }, false),
                Piece::TokenIds(count) => read.token_ids = read.token_ids.saturating_add(count),
                Piece::Image(image) => images.push(image),
                Piece::Tool(tool) => tools.push(tool),
                Piece::Unread(kind) => read.unread |= bit(kind),
            }
            ControlFlow::Continue(())
        };
        // The sink never ends the reading.
        let (ControlFlow::Continue(()) | ControlFlow::Break(())) =
            policy_requests::read(Json(llm), &mut sink);
        if !images.is_empty() {
            read.unread |= bit(UnreadKind::Image);
        }
        read.texts = texts.into_bump_slice();
        read.images = images.into_bump_slice();
        read.tools = tools.into_bump_slice();
        read
    }

    /// What people and tools wrote, in reading order.
    pub(crate) fn texts(self) -> impl Iterator<Item = Text<'a>> + Clone {
        self.texts.iter().copied().filter(|text| !text.label)
    }

    /// What counts as tokens, one by one: the texts, roles and names, without those of tool definitions, which count as
    /// they are [rendered](Self::tools).
    pub(crate) fn counted(self) -> impl Iterator<Item = &'a str> + Clone {
        self.texts
            .iter()
            .filter(|text| text.place.field != Field::Tools)
            .map(|text| text.text)
    }

    /// What may hold personal data: every text, once more where it has escapes.
    pub(crate) fn searched(self, bump: &'a Bump) -> impl Iterator<Item = &'a str> {
        self.texts()
            .flat_map(move |text| std::iter::once(text.text).chain(undone(text.text, bump)))
    }

    pub(crate) fn images(self) -> &'a [Image<'a>] {
        self.images
    }

    pub(crate) fn tools(self) -> &'a [Json<'a>] {
        self.tools
    }

    /// Kinds of content that hold no readable text, in the order of the documentation.
    pub(crate) fn unread(self) -> impl Iterator<Item = UnreadKind> {
        UnreadKind::ALL
            .into_iter()
            .filter(move |kind| self.unread & bit(*kind) != 0)
    }

    /// Whether there is content whose tokens nobody can count. Images can be counted.
    pub(crate) fn is_uncountable(self) -> bool {
        self.unread & !bit(UnreadKind::Image) != 0
    }

    /// Whether there is anything for a model to read.
    pub(crate) fn is_empty(self) -> bool {
        self.texts.is_empty()
            && self.images.is_empty()
            && self.tools.is_empty()
            && self.unread == 0
            && self.token_ids == 0
    }

    /// Every text, one a line, in `out`.
    pub(crate) fn join(self, bump: &'a Bump, out: &mut String) {
        join(self.texts().map(|text| said(text.text, bump)), out);
    }

    /// As [`Read::join`], as long as that has no more bytes than this; says whether it is so.
    pub(crate) fn join_up_to(self, bump: &'a Bump, most: usize, out: &mut String) -> bool {
        out.clear();
        for (number, text) in self.texts().map(|text| said(text.text, bump)).enumerate() {
            let break_before = usize::from(number > 0);
            if out.len() + break_before + text.len() > most {
                return false;
            }
            out.push_str(if break_before > 0 { "\n" } else { "" });
            out.push_str(text);
        }
        true
    }

    /// The last text of the user, of each place where there can be one, in `out`. Says whether there is any.
    pub(crate) fn join_last_user(self, bump: &'a Bump, out: &mut String) -> bool {
        let places = [
            Field::Prompt,
            Field::Messages,
            Field::Input,
            Field::Contents,
            Field::Message,
        ];
        let mine = |text: &Text<'_>, field: Field| text.place.field == field && text.place.role == Role::User;
        let parts = places.into_iter().flat_map(|field| {
            let last = self
                .texts()
                .filter(|text| mine(text, field))
                .map(|text| text.place.turn)
                .max();
            self.texts()
                .filter(move |text| mine(text, field) && Some(text.place.turn) == last)
                .map(|text| said(text.text, bump))
        });
        join(parts, out)
    }
}

fn join<'t>(parts: impl Iterator<Item = &'t str>, out: &mut String) -> bool {
    out.clear();
    let mut first = true;
    for part in parts {
        if !first {
            out.push('\n');
        }
        first = false;
        out.push_str(part);
    }
    !first
}

/// The text with its escapes undone; `None` where it has none.
pub(crate) fn undone<'a>(text: &str, bump: &'a Bump) -> Option<&'a str> {
    if !text.contains('\\') {
        return None;
    }
    let mut out = BumpString::new_in(bump);
    // Writing to text never fails.
    let any = escapes::undo(text, &mut out).unwrap_or(false);
    any.then(|| out.into_bump_str())
}

/// The text as it reads: of JSON in a text, with its escapes undone.
fn said<'a>(text: &'a str, bump: &'a Bump) -> &'a str {
    undone(text, bump).filter(|_| is_json(text)).unwrap_or(text)
}

/// Whether a text is JSON, other than a number or a word.
pub(crate) fn is_json(text: &str) -> bool {
    let begins = text.trim_start().starts_with(['{', '[', '"']);
    begins && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn bit(kind: UnreadKind) -> u8 {
    match kind {
        UnreadKind::Image => 1,
        UnreadKind::Audio => 2,
        UnreadKind::File => 4,
        UnreadKind::Video => 8,
        UnreadKind::Encrypted => 16,
        UnreadKind::Unknown => 32,
    }
}

/// A number as it was written, or in the spelling that means the same.
pub(crate) fn spell<'a>(number: Count<'a>, bump: &'a Bump) -> &'a str {
    let mut out = BumpString::new_in(bump);
    // Writing to text never fails.
    let _infallible = match number {
        Count::Int(n) => write!(out, "{n}"),
        Count::UInt(n) => write!(out, "{n}"),
        Count::Float(x) => write!(out, "{x:?}"),
        Count::Text(text) => return text,
    };
    out.into_bump_str()
}
