//! Strings and numbers: texts, encoded data, links, names of media and ids of tokens.
//!
//! What is read, and what is named as content that cannot be read, counts in [`Walker::found`].

use super::visit::Visit;
use super::{Context, Flow, Walker};
use crate::node::{Node, Number};
use crate::piece::{Image, ImageSource, Piece, UnreadKind};
use crate::slots::Slot;
use crate::{looks, slots};
use std::ops::ControlFlow::Continue;

/// Longest text, in bytes, that is not read where no model reads it.
const FREE: usize = 512;
/// Shortest string that counts as encoded data where nothing says what it encodes, in bytes.
const ENCODED: usize = 64;

/// What a string may carry instead of text, besides `data:` URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    /// A URL.
    Url,
    /// Encoded data; a URL where the kind is known.
    Data,
    /// Either.
    Both,
}

impl<'v, V> Walker<'v, V> {
    pub(super) fn number<'a, N: Node<'a>>(
        &mut self,
        number: Number<'a>,
        slot: Slot,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        if matches!(slot, Slot::Turns | Slot::Turn) {
            self.bare_message(at)?;
        }
        self.found += 1;
        self.visit.piece(Piece::Number(number), at.place)
    }

    pub(super) fn string<'a, N: Node<'a>>(
        &mut self,
        text: &'a str,
        slot: Slot,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        match slot {
            Slot::Id | Slot::Options | Slot::Cache if looks::identifier(text) => Continue(None),
            Slot::Signature if looks::identifier(text) || looks::base64(text) => Continue(None),
            Slot::Names if looks::name(text) => Continue(None),
            Slot::Role if looks::name(text) => self.visit.piece(Piece::Role(text), at.place),
            Slot::Name if looks::name(text) => self.visit.piece(Piece::Name(text), at.place),
            Slot::Free if text.len() <= FREE => Continue(None),
            Slot::Url(kind) => self.carrier(text, at.kind.or(kind), Carries::Url, at.kind.or(kind), at),
            Slot::Encoded if !at.plain_data => self.carrier(text, at.kind, Carries::Data, None, at),
            Slot::Media(kind) => self.carrier(text, Some(kind), Carries::Both, Some(kind), at),
            Slot::Document => self.carrier(text, Some(UnreadKind::File), Carries::Url, None, at),
            Slot::AudioOrVoice => {
                let audio = Some(UnreadKind::Audio);
                self.carrier(text, audio, Carries::Both, audio, at)
            }
            Slot::Source if at.kind.is_some() => {
                let carries = if text.len() >= ENCODED {
                    Carries::Both
                } else {
                    Carries::Url
                };
                self.carrier(text, at.kind, carries, None, at)
            }
            // What a tool that makes images gave.
            Slot::Output if at.kind == Some(UnreadKind::Image) => {
                self.carrier(text, at.kind, Carries::Both, None, at)
            }
            Slot::FileRef if !text.is_empty() && looks::identifier(text) => match at.kind {
                None if at.mentioned => Continue(None),
                kind => self.unread(kind.unwrap_or(UnreadKind::File), ImageSource::Stored, at),
            },
            Slot::Sealed if !text.is_empty() && (looks::identifier(text) || looks::base64(text)) => {
                self.unread(UnreadKind::Encrypted, ImageSource::Stored, at)
            }
            Slot::Reference | Slot::Container if !text.is_empty() => {
                self.unread(UnreadKind::Unknown, ImageSource::Stored, at)?;
                if looks::identifier(text) {
                    return Continue(None);
                }
                self.text(text, at)
            }
            Slot::Turns | Slot::Turn => {
                self.bare_message(at)?;
                self.text(text, at)
            }
            Slot::Id
            | Slot::Options
            | Slot::Cache
            | Slot::Signature
            | Slot::Names
            | Slot::Role
            | Slot::Name
            | Slot::Free
            | Slot::Encoded
            | Slot::Source
            | Slot::Output
            | Slot::FileRef
            | Slot::Sealed
            | Slot::Reference
            | Slot::Container
            | Slot::Servers
            | Slot::TokenIds
            | Slot::Input
            | Slot::Prompt
            | Slot::Content
            | Slot::Part
            | Slot::Plain
            | Slot::Data
            | Slot::Documents
            | Slot::Variables
            | Slot::Mentions
            | Slot::Tools
            | Slot::Tool
            | Slot::Schema
            | Slot::Schemas
            | Slot::TextOrFormat => self.text(text, at),
        }
    }

    /// A string that may be a URL or encoded data; else it is a text, and where it stands in place of content of the kind
    /// `names` and looks like an identifier, that content cannot be read.
    fn carrier<'a, N: Node<'a>>(
        &mut self,
        text: &'a str,
        kind: Option<UnreadKind>,
        carries: Carries,
        names: Option<UnreadKind>,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        if let Some((media_type, payload)) = looks::data_url(text) {
            let kind = at
                .held
                .or_else(|| slots::kind_of_media(media_type))
                .or(kind)
                .unwrap_or(UnreadKind::File);
            let mut inner = *at;
            if !media_type.is_empty() {
                inner.media_type = Some(media_type);
            }
            return self.unread(kind, ImageSource::Base64(payload), &inner);
        }
        let known = kind.is_some();
        if (carries == Carries::Url || known) && looks::url(text) {
            return match kind {
                Some(kind) => self.unread(kind, ImageSource::Url(text), at),
                None => Continue(None),
            };
        }
        if carries != Carries::Url && (known || text.len() >= ENCODED) && looks::base64(text) {
            let kind = kind.unwrap_or(UnreadKind::Unknown);
            return self.unread(kind, ImageSource::Base64(text), at);
        }
        // No data and no URL, but perhaps the name of something that only the provider has.
        if let Some(kind) = names
            && !text.is_empty()
            && looks::identifier(text)
        {
            self.unread(kind, ImageSource::Stored, at)?;
        }
        self.text(text, at)
    }

    pub(super) fn text<'a, N: Node<'a>>(&mut self, text: &'a str, at: &Context<'a>) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        self.found += 1;
        if text.is_empty() {
            return Continue(None);
        }
        self.visit.piece(Piece::Text(text), at.place)
    }

    pub(super) fn unread<'a, N: Node<'a>>(
        &mut self,
        kind: UnreadKind,
        source: ImageSource<'a>,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        self.found += 1;
        let piece = match kind {
            UnreadKind::Image => Piece::Image(Image {
                source,
                media_type: at.media_type,
                detail: at.detail,
            }),
            UnreadKind::Audio
            | UnreadKind::File
            | UnreadKind::Video
            | UnreadKind::Encrypted
            | UnreadKind::Unknown => Piece::Unread(kind),
        };
        self.visit.piece(piece, at.place)
    }
}
