//! Objects: messages, parts of content, media, tools and what has members of its own.

use super::array::is_part;
use super::family::Family;
use super::visit::Visit;
use super::{About, Context, Flow, Walker};
use crate::node::{Node, View};
use crate::piece::{Field, ImageSource, Piece, Role, UnreadKind};
use crate::slots::Slot;
use crate::{looks, slots};
use std::ops::ControlFlow;
use std::ops::ControlFlow::Continue;

impl<'v, V> Walker<'v, V> {
    pub(super) fn object<'a, N: Node<'a>>(
        &mut self,
        node: N,
        members: N::Members,
        slot: Slot,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        match slot {
            Slot::Turns | Slot::Input | Slot::Turn if !at.in_turn => self.turn(node, members, at),
            Slot::Turns | Slot::Input | Slot::Turn | Slot::Content | Slot::Part => {
                self.part(node, members, at)
            }
            Slot::Prompt => {
                let reference = node.get("id").and_then(Node::as_str);
                if reference.is_none_or(str::is_empty) {
                    return self.part(node, members, at);
                }
                self.unread(UnreadKind::Unknown, ImageSource::Stored, at)?;
                self.members(node, members, Family::Inside, &at.deeper())
            }
            Slot::Data => self.data(node, at.place, at.level),
            Slot::Output if is_part(node) => {
                let mut result = *at;
                result.only = Some(&[]);
                self.part(node, members, &result)
            }
            Slot::Documents | Slot::Encoded => {
                let mut inner = at.deeper();
                inner.only = Some(slots::MEDIA);
                self.members(node, members, Family::Inside, &inner)
            }
            Slot::Output => self.data(node, at.place, at.level),
            // Files that a media type describes can be of any kind.
            Slot::Media(UnreadKind::File) | Slot::Url(Some(UnreadKind::File)) => {
                self.media(node, members, UnreadKind::File, at)
            }
            Slot::Media(kind) | Slot::Url(Some(kind)) => {
                let mut inner = *at;
                inner.held = Some(kind).filter(|kind| *kind != UnreadKind::Image);
                self.media(node, members, kind, &inner)
            }
            Slot::Document => {
                let mut inner = *at;
                inner.held = Some(UnreadKind::File);
                self.media(node, members, UnreadKind::File, &inner)
            }
            Slot::Reference => {
                self.unread(UnreadKind::Unknown, ImageSource::Stored, at)?;
                self.members(node, members, Family::Inside, &at.deeper())
            }
            Slot::Variables => self.members(node, members, Family::All(Slot::Content), &at.deeper()),
            Slot::Mentions => {
                let mut inner = *at;
                inner.mentioned = true;
                inner.kind = None;
                inner.held = None;
                self.plain(node, members, &inner)
            }
            Slot::Cache => {
                self.found += 1;
                self.members(node, members, Family::Options, &at.deeper())
            }
            Slot::Options | Slot::AudioOrVoice => self.members(node, members, Family::Options, &at.deeper()),
            Slot::Free => self.members(node, members, Family::All(Slot::Free), &at.deeper()),
            Slot::Tools | Slot::Tool => self.tool(node, members, at),
            Slot::Servers => self.members(node, members, Family::Tool, &at.deeper()),
            Slot::Container => self.members(node, members, Family::Container, &at.deeper()),
            Slot::Schema | Slot::Names | Slot::TextOrFormat => {
                self.members(node, members, Family::Schema, &at.deeper())
            }
            Slot::Schemas => self.members(node, members, Family::All(Slot::Schema), &at.deeper()),
            Slot::Plain
            | Slot::Role
            | Slot::Name
            | Slot::Id
            | Slot::Signature
            | Slot::Url(None)
            | Slot::TokenIds
            | Slot::Source
            | Slot::FileRef
            | Slot::Sealed => self.plain(node, members, at),
        }
    }

    /// A message, or an item between messages.
    pub(super) fn turn<'a, N: Node<'a>>(
        &mut self,
        node: N,
        members: N::Members,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        let about = About::of::<N>(members.clone());
        let mut inner = at.with(&about);
        inner.in_turn = true;
        inner.place.role = match about.role {
            Some(role) => slots::role(role),
            None => slots::role_of_item(about.type_name),
        };
        let family = if about.role.is_some() {
            Family::Message
        } else {
            Family::Inside
        };
        let named = about.named && about.role.is_some();
        self.visit.piece(Piece::Message { named }, inner.place)?;
        let before = self.found;
        let out = self.members(node, members.clone(), family, &inner)?;
        if about.role.is_none() {
            self.nothing_found(before, members, &about, &inner)?;
        }
        Continue(out)
    }

    /// A part of content: it holds something, or is not understood.
    fn part<'a, N: Node<'a>>(&mut self, node: N, members: N::Members, at: &Context<'a>) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        let about = About::of::<N>(members.clone());
        let mut inner = at.with(&about);
        if at.only.is_some() || at.place.role == Role::Tool {
            inner.only = slots::of_result(about.type_name);
        }
        let before = self.found;
        let out = self.members(node, members.clone(), Family::Inside, &inner)?;
        self.nothing_found(before, members, &about, &inner)?;
        Continue(out)
    }

    /// Says that nothing was found since `before`, unless there is nothing to find.
    fn nothing_found<'a, N: Node<'a>>(
        &mut self,
        before: u64,
        mut members: N::Members,
        about: &About<'a>,
        at: &Context<'a>,
    ) -> ControlFlow<()>
    where
        V: Visit<'a, N>,
    {
        if self.found == before
            && !about.type_name.is_some_and(slots::is_understood)
            && !members.all(|(_, value)| is_empty(value))
        {
            let kind = about
                .kind
                .map_or(UnreadKind::Unknown, |kind| at.held.unwrap_or(kind));
            self.unread(kind, ImageSource::Stored, at)?;
        }
        Continue(())
    }

    /// An object that holds or names content of a kind.
    fn media<'a, N: Node<'a>>(
        &mut self,
        node: N,
        members: N::Members,
        kind: UnreadKind,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        let about = About::of::<N>(members.clone());
        let outer = Context {
            kind: Some(kind),
            ..*at
        };
        let mut inner = outer.with(&about);
        inner.detail = about.detail;
        let before = self.found;
        let out = self.members(node, members.clone(), Family::Inside, &inner)?;
        if self.found == before && !members.clone().all(|(_, value)| is_empty(value)) {
            let kind = inner.held.or(about.kind).unwrap_or(kind);
            self.unread(kind, ImageSource::Stored, &inner)?;
        }
        Continue(out)
    }

    /// Any other object inside content.
    fn plain<'a, N: Node<'a>>(&mut self, node: N, members: N::Members, at: &Context<'a>) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        let about = About::of::<N>(members.clone());
        if about.role.is_some() && !at.in_turn {
            return self.turn(node, members, at);
        }
        let inner = at.with(&about);
        let before = self.found;
        let out = self.members(node, members.clone(), Family::Inside, &inner)?;
        if about.kind.is_some() {
            self.nothing_found(before, members, &about, &inner)?;
        }
        Continue(out)
    }

    /// A tool definition, or a group of them.
    fn tool<'a, N: Node<'a>>(&mut self, node: N, members: N::Members, at: &Context<'a>) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        let inner = self.tool_begins(node, at)?;
        self.members(node, members, Family::Tool, &inner)
    }

    /// Gives a definition as a whole, unless what it stands in was given.
    pub(super) fn tool_begins<'a, N: Node<'a>>(
        &mut self,
        node: N,
        at: &Context<'a>,
    ) -> ControlFlow<(), Context<'a>>
    where
        V: Visit<'a, N>,
    {
        let mut inner = at.deeper();
        inner.place.field = Field::Tools;
        inner.kind = None;
        inner.held = None;
        if !at.in_tool && !is_empty(node) {
            inner.in_tool = true;
            self.found += 1;
            self.visit.piece(Piece::Tool(node), inner.place)?;
        }
        Continue(inner)
    }

    fn members<'a, N: Node<'a>>(
        &mut self,
        node: N,
        members: N::Members,
        family: Family,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        let mut copy = None;
        for (index, (name, value)) in members.enumerate() {
            let (slot, known) = match at.only {
                Some(only) if family == Family::Inside && !only.contains(&name) => (Slot::Data, false),
                _ => family.member(name),
            };
            if !known && !looks::name(name) {
                self.member_name(node, index, name, at.place, &mut copy)?;
            }
            let is_result = matches!(family, Family::Inside | Family::Message) && slots::holds_result(name);
            let out = if is_result || at.only.is_some() {
                let mut inner = *at;
                if at.only.is_some() {
                    inner.only = slots::of_result_member(name);
                }
                if is_result {
                    inner.place.role = Role::Tool;
                }
                self.value(value, slot, &inner)?
            } else {
                self.value(value, slot, at)?
            };
            if let Some(new) = out {
                let map = copy.get_or_insert_with(|| self.visit.map(node));
                self.visit.put_member(map, index, new);
            }
        }
        Continue(copy.map(|map| self.visit.close_map(map)))
    }
}

fn is_empty<'a, N: Node<'a>>(node: N) -> bool {
    match node.view() {
        View::Null => true,
        View::Str(text) => text.is_empty(),
        View::Array(mut items) => items.next().is_none(),
        View::Object(mut members) => members.next().is_none(),
        View::Bool(_) | View::Number(_) => false,
    }
}
