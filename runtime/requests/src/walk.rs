//! The walk: one set of rules for reading and for rewriting.
//!
//! [`Walker`] goes through a value, knows by [`Slot`] and [`Context`] what every value in it means, and hands what it
//! finds to a [`Visit`]: the reader passes pieces on to a sink, the rewriter changes texts and puts the value back
//! together. A value that a visit leaves as it is costs nothing but the visit.
//!
//! Strings, lists and objects have a file each; what nests too deeply for the rules of its place is read here, as data.

mod array;
mod family;
mod object;
mod string;
mod visit;

use crate::looks;
use crate::node::{Node, View};
use crate::piece::{Field, ImageSource, Piece, Place, Role, Sink, UnreadKind};
use crate::slots::{self, Slot};
pub(crate) use family::Family;
use std::ops::ControlFlow::{self, Continue};
use visit::Reading;
pub(crate) use visit::Visit;

/// Levels of nesting that are read by the rules of their place; what is below is read as tool data.
pub const WALKED_LEVELS: u32 = 48;
/// Levels of nesting that are read at all; what is below is [`UnreadKind::Unknown`].
pub const READ_LEVELS: u32 = 1024;

/// Reads an `llm` object: every piece goes to `sink`, in the order of the [crate's documentation](crate).
///
/// A value that is no object is read as content. Returns `Break` when the sink did.
pub fn read<'a, N: Node<'a>>(llm: N, sink: &mut impl Sink<'a, N>) -> ControlFlow<()> {
    let mut visit = Reading(sink);
    Walker::new(&mut visit).root(llm)?;
    Continue(())
}

/// What is known of a value from what it stands in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) place: Place,
    /// The kind of content that encoded data and URLs here are.
    kind: Option<UnreadKind>,
    /// Inside a document, sound or video by its type: no media type makes an image of what is in it.
    held: Option<UnreadKind>,
    media_type: Option<&'a str>,
    detail: Option<&'a str>,
    /// Arrays and objects around it.
    level: u32,
    /// Inside a message: a role here is not a message's.
    in_turn: bool,
    /// Among mentions of sources: the files that they name are not content.
    mentioned: bool,
    /// Beside `type: text`: encoded data here is text.
    plain_data: bool,
    /// Inside a tool definition that was given as a whole.
    in_tool: bool,
    /// In what a tool gave, and in documents: the members that mean what their names say. All others are data.
    only: Option<&'static [&'static str]>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(field: Field, role: Role) -> Self {
        Self {
            place: Place { field, turn: 0, role },
            kind: None,
            held: None,
            media_type: None,
            detail: None,
            level: 1,
            in_turn: false,
            mentioned: false,
            plain_data: false,
            in_tool: false,
            only: None,
        }
    }

    pub(crate) fn at_turn(self, index: usize) -> Self {
        let mut inner = self;
        inner.place.turn = u32::try_from(index).unwrap_or(u32::MAX);
        inner
    }

    /// The members of a message.
    pub(crate) fn enter_turn(&mut self) {
        self.in_turn = true;
    }

    /// What stands in an object of this kind.
    pub(crate) fn enter_media(&mut self, kind: UnreadKind) {
        self.kind = Some(kind);
    }

    fn deeper(self) -> Self {
        Self {
            level: self.level + 1,
            ..self
        }
    }

    /// What the members of an object stand in, from what the object says of itself.
    fn with(self, about: &About<'a>) -> Self {
        let mut inner = self.deeper();
        // `source: {type: file}` says where an image is, not what it is.
        let says_where = about.type_name == Some("file") && self.kind.is_some();
        if let Some(kind) = about.type_kind
            && !says_where
        {
            inner.held = Some(kind).filter(|kind| *kind != UnreadKind::Image);
        }
        inner.kind = match inner.held {
            Some(held) => Some(held),
            None if says_where => self.kind,
            None => about.kind.or(self.kind),
        };
        inner.media_type = about.media_type.or(self.media_type);
        // Only Responses' images have it beside them; those of a chat have it inside.
        inner.detail = about.detail.filter(|_| about.type_name == Some("input_image"));
        inner.plain_data = about.type_name == Some("text");
        if about.type_name.is_some_and(slots::is_result) && inner.place.field != Field::System {
            inner.place.role = Role::Tool;
        }
        inner
    }
}

/// What an object says of itself.
#[derive(Debug, Default)]
struct About<'a> {
    type_name: Option<&'a str>,
    role: Option<&'a str>,
    named: bool,
    media_type: Option<&'a str>,
    detail: Option<&'a str>,
    type_kind: Option<UnreadKind>,
    /// By media type, else by type.
    kind: Option<UnreadKind>,
}

impl<'a> About<'a> {
    fn of<N: Node<'a>>(members: N::Members) -> Self {
        let mut about = Self::default();
        for (name, value) in members {
            match name.as_bytes() {
                b"type" => about.type_name = value.as_str(),
                b"role" => about.role = value.as_str(),
                b"name" => about.named = value.as_str().is_some(),
                b"media_type" | b"mediaType" | b"mime_type" | b"mimeType" => {
                    about.media_type = about.media_type.or(value.as_str());
                }
                b"detail" => about.detail = value.as_str(),
                _ => {}
            }
        }
        about.type_kind = about.type_name.and_then(slots::kind_of_type);
        about.kind = about
            .media_type
            .and_then(slots::kind_of_media)
            .or(about.type_kind);
        about
    }
}

type Flow<O> = ControlFlow<(), Option<O>>;

/// Goes through a value for a [`Visit`].
pub(crate) struct Walker<'v, V> {
    visit: &'v mut V,
    /// Pieces that hold content, so that what holds none is noticed.
    found: u64,
}

impl<'v, V> Walker<'v, V> {
    pub(crate) fn new(visit: &'v mut V) -> Self {
        Self { visit, found: 0 }
    }

    /// An `llm` object.
    pub(crate) fn root<'a, N: Node<'a>>(&mut self, node: N) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        let View::Object(members) = node.view() else {
            return self.value(node, Slot::Content, &Context::new(Field::Other, Role::User));
        };
        let mut ranked: [Option<(usize, &'a str, N)>; slots::RANKS] = [None; slots::RANKS];
        for (index, (name, value)) in members.clone().enumerate() {
            if let Some(place) = slots::rank(name).and_then(|rank| ranked.get_mut(rank)) {
                *place = Some((index, name, value));
            }
        }
        let mut copy = None;
        let (first, last) = ranked.split_at(slots::TOOLS_RANK);
        for (index, name, value) in first.iter().flatten() {
            self.top(node, *index, name, *value, &mut copy)?;
        }
        for (index, (name, value)) in members.enumerate() {
            if slots::rank(name).is_none() {
                if !looks::name(name) {
                    let place = Context::new(Field::Other, Role::Unknown).place;
                    self.member_name(node, index, name, place, &mut copy)?;
                }
                self.top(node, index, name, value, &mut copy)?;
            }
        }
        for (index, name, value) in last.iter().flatten() {
            self.top(node, *index, name, *value, &mut copy)?;
        }
        Continue(copy.map(|map| self.visit.close_map(map)))
    }

    fn top<'a, N: Node<'a>>(
        &mut self,
        parent: N,
        index: usize,
        name: &'a str,
        value: N,
        copy: &mut Option<V::Map>,
    ) -> ControlFlow<()>
    where
        V: Visit<'a, N>,
    {
        let (slot, field, role) = slots::top(name);
        if let Some(new) = self.value(value, slot, &Context::new(field, role))? {
            let map = copy.get_or_insert_with(|| self.visit.map(parent));
            self.visit.put_member(map, index, new);
        }
        Continue(())
    }

    fn member_name<'a, N: Node<'a>>(
        &mut self,
        parent: N,
        index: usize,
        name: &'a str,
        place: Place,
        copy: &mut Option<V::Map>,
    ) -> ControlFlow<()>
    where
        V: Visit<'a, N>,
    {
        if name.is_empty() {
            return Continue(());
        }
        self.found += 1;
        if let Some(new) = self.visit.name(name, place)? {
            let map = copy.get_or_insert_with(|| self.visit.map(parent));
            self.visit.rename(map, index, new);
        }
        Continue(())
    }

    /// Any value, by what it means.
    pub(crate) fn value<'a, N: Node<'a>>(&mut self, node: N, slot: Slot, at: &Context<'a>) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        match node.view() {
            View::Null => Continue(None),
            View::Str(text) if matches!(slot, Slot::Tools | Slot::Tool) => {
                let inner = self.tool_begins(node, at)?;
                self.text(text, &inner)
            }
            View::Str(text) => self.string(text, slot, at),
            View::Number(number) if slot.reads_numbers() || at.only.is_some() => {
                self.number(number, slot, at)
            }
            View::Bool(truth) if matches!(slot, Slot::Data | Slot::Output | Slot::Documents) => {
                self.found += 1;
                self.visit.piece(Piece::Bool(truth), at.place)
            }
            View::Number(_) if slot == Slot::Reference => {
                self.unread(UnreadKind::Unknown, ImageSource::Stored, at)
            }
            View::Number(_) | View::Bool(_) => Continue(None),
            View::Array(_) | View::Object(_) if at.level >= WALKED_LEVELS => {
                self.data(node, at.place, at.level)
            }
            View::Array(items) => self.array(node, items, slot, at),
            View::Object(members) => self.object(node, members, slot, at),
        }
    }

    /// A message that is no object.
    fn bare_message<'a, N: Node<'a>>(&mut self, at: &Context<'a>) -> ControlFlow<()>
    where
        V: Visit<'a, N>,
    {
        if at.place.field != Field::Input && !at.in_turn {
            self.visit.piece(Piece::Message { named: false }, at.place)?;
        }
        Continue(())
    }

    /// Everything in it is read. Also what nests so deeply that no API has a shape for it: one frame for each level.
    pub(crate) fn data<'a, N: Node<'a>>(&mut self, node: N, place: Place, level: u32) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        match node.view() {
            View::Null => Continue(None),
            View::Str("") => {
                self.found += 1;
                Continue(None)
            }
            View::Str(text) => {
                self.found += 1;
                self.visit.piece(Piece::Text(text), place)
            }
            View::Number(number) => {
                self.found += 1;
                self.visit.piece(Piece::Number(number), place)
            }
            View::Bool(truth) => {
                self.found += 1;
                self.visit.piece(Piece::Bool(truth), place)
            }
            View::Array(_) | View::Object(_) if level >= READ_LEVELS => {
                self.found += 1;
                self.visit.piece(Piece::Unread(UnreadKind::Unknown), place)
            }
            View::Array(items) => {
                let mut copy = None;
                for (index, item) in items.enumerate() {
                    if let Some(new) = self.data(item, place, level + 1)? {
                        let list = copy.get_or_insert_with(|| self.visit.list(node));
                        self.visit.put(list, index, new);
                    }
                }
                Continue(copy.map(|list| self.visit.close_list(list)))
            }
            View::Object(members) => {
                let mut copy = None;
                for (index, (name, value)) in members.enumerate() {
                    if !looks::name(name) {
                        self.member_name(node, index, name, place, &mut copy)?;
                    }
                    if let Some(new) = self.data(value, place, level + 1)? {
                        let map = copy.get_or_insert_with(|| self.visit.map(node));
                        self.visit.put_member(map, index, new);
                    }
                }
                Continue(copy.map(|map| self.visit.close_map(map)))
            }
        }
    }
}
