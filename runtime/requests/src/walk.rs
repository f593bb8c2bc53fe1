//! The walk: one set of rules for reading and for rewriting.
//!
//! [`Walker`] goes through a value, knows by [`Slot`] and [`Context`] what every value in it means, and hands what it
//! finds to a [`Visit`]: the reader passes pieces on to a sink, the rewriter changes texts and puts the value back
//! together. A value that a visit leaves as it is costs nothing but the visit.

use crate::looks;
use crate::node::{Node, Number, View};
use crate::piece::{Field, Image, ImageSource, Piece, Place, Role, Sink, UnreadKind};
use crate::slots::{self, Slot};
use std::ops::ControlFlow::{self, Continue};

/// Levels of nesting that are read by the rules of their place; what is below is read as tool data.
pub const WALKED_LEVELS: u32 = 48;
/// Levels of nesting that are read at all; what is below is [`UnreadKind::Unknown`].
pub const READ_LEVELS: u32 = 1024;

/// Longest text, in bytes, that is not read where no model reads it.
const FREE: usize = 512;
/// Shortest string that counts as encoded data where nothing says what it encodes, in bytes.
const ENCODED: usize = 64;
/// Token ids are below this; a larger integer is a number like any other.
const TOKEN_IDS: u64 = 1 << 24;

/// Reads an `llm` object: every piece goes to `sink`, in the order of the [crate's documentation](crate).
///
/// A value that is no object is read as content. Returns `Break` when the sink did.
pub fn read<'a, N: Node<'a>>(llm: N, sink: &mut impl Sink<'a, N>) -> ControlFlow<()> {
    let mut visit = Reading(sink);
    Walker::new(&mut visit).root(llm)?;
    Continue(())
}

/// What a walk is for.
pub(crate) trait Visit<'a, N: Node<'a>> {
    /// A value in place of one that was there.
    type Out;
    /// A name in place of one that was there.
    type Name;
    /// A copy of an array, with places to put.
    type List;
    /// A copy of an object, with places to put.
    type Map;

    /// One piece; a value to put in its place.
    fn piece(&mut self, piece: Piece<'a, N>, place: Place) -> ControlFlow<(), Option<Self::Out>>;
    /// The name of a member that is a text; a name to put in its place.
    fn name(&mut self, name: &'a str, place: Place) -> ControlFlow<(), Option<Self::Name>>;
    fn list(&mut self, original: N) -> Self::List;
    fn put(&mut self, list: &mut Self::List, index: usize, value: Self::Out);
    fn close_list(&mut self, list: Self::List) -> Self::Out;
    fn map(&mut self, original: N) -> Self::Map;
    fn put_member(&mut self, map: &mut Self::Map, index: usize, value: Self::Out);
    fn rename(&mut self, map: &mut Self::Map, index: usize, name: Self::Name);
    fn close_map(&mut self, map: Self::Map) -> Self::Out;
}

/// Reading: pieces go to a sink, and nothing changes.
struct Reading<'s, S>(&'s mut S);

impl<'a, N: Node<'a>, S: Sink<'a, N>> Visit<'a, N> for Reading<'_, S> {
    type Out = ();
    type Name = ();
    type List = ();
    type Map = ();

    #[inline]
    fn piece(&mut self, piece: Piece<'a, N>, place: Place) -> ControlFlow<(), Option<()>> {
        self.0.piece(piece, place)?;
        Continue(None)
    }
    #[inline]
    fn name(&mut self, name: &'a str, place: Place) -> ControlFlow<(), Option<()>> {
        self.0.piece(Piece::Text(name), place)?;
        Continue(None)
    }
    fn list(&mut self, _original: N) {}
    fn put(&mut self, _list: &mut (), _index: usize, _value: ()) {}
    fn close_list(&mut self, _list: ()) {}
    fn map(&mut self, _original: N) {}
    fn put_member(&mut self, _map: &mut (), _index: usize, _value: ()) {}
    fn rename(&mut self, _map: &mut (), _index: usize, _name: ()) {}
    fn close_map(&mut self, _map: ()) {}
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

/// The members that an object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Content and what stands around it.
    Inside,
    /// A message with a role.
    Message,
    /// A tool definition, or a server of tools.
    Tool,
    /// A schema.
    Schema,
    /// Where the provider runs code.
    Container,
    /// Options of the call.
    Options,
    /// All members alike.
    All(Slot),
}

impl Family {
    /// What a member means, and whether its name is one that an API has.
    pub(crate) fn member(self, name: &str) -> (Slot, bool) {
        match (self, name) {
            (Self::Message, "role") => (Slot::Role, true),
            (Self::Message, "name") => (Slot::Name, true),
            (Self::Message | Self::Inside, _) => slots::inside(name),
            (Self::Tool, _) => (slots::in_tool(name), false),
            (Self::Schema, _) => (slots::in_schema(name), false),
            (Self::Container, _) => (slots::in_container(name), true),
            (Self::Options, _) => (slots::in_options(name), true),
            (Self::All(slot), _) => (slot, slot == Slot::Free),
        }
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

    fn number<'a, N: Node<'a>>(&mut self, number: Number<'a>, slot: Slot, at: &Context<'a>) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        if matches!(slot, Slot::Turns | Slot::Turn) {
            self.bare_message(at)?;
        }
        self.found += 1;
        self.visit.piece(Piece::Number(number), at.place)
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

    fn string<'a, N: Node<'a>>(&mut self, text: &'a str, slot: Slot, at: &Context<'a>) -> Flow<V::Out>
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

    fn text<'a, N: Node<'a>>(&mut self, text: &'a str, at: &Context<'a>) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        self.found += 1;
        if text.is_empty() {
            return Continue(None);
        }
        self.visit.piece(Piece::Text(text), at.place)
    }

    fn unread<'a, N: Node<'a>>(
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

    fn array<'a, N: Node<'a>>(
        &mut self,
        node: N,
        items: N::Items,
        slot: Slot,
        at: &Context<'a>,
    ) -> Flow<V::Out>
    where
        V: Visit<'a, N>,
    {
        if matches!(slot, Slot::Input | Slot::Prompt | Slot::TokenIds)
            && let Some(ids) = token_ids::<N>(items.clone())
        {
            self.found += 1;
            return self.visit.piece(Piece::TokenIds(ids), at.place);
        }
        let mut inner = at.deeper();
        let (each, turns) = match slot {
            Slot::Turns if !at.in_turn => (Slot::Turn, true),
            Slot::Input => (Slot::Turn, true),
            Slot::Prompt => (Slot::Prompt, false),
            Slot::Turns | Slot::Turn | Slot::Content | Slot::Part | Slot::TextOrFormat | Slot::Variables => {
                (Slot::Part, false)
            }
            Slot::Output if !items.clone().all(is_part) => return self.data(node, at.place, at.level),
            Slot::Output => (Slot::Output, false),
            Slot::Documents => (Slot::Documents, false),
            Slot::Data => return self.data(node, at.place, at.level),
            Slot::Tools | Slot::Tool => (Slot::Tool, false),
            Slot::Schemas => (Slot::Schema, false),
            Slot::TokenIds => (Slot::Content, false),
            Slot::AudioOrVoice => (Slot::Media(UnreadKind::Audio), false),
            Slot::Plain
            | Slot::Role
            | Slot::Name
            | Slot::Id
            | Slot::Signature
            | Slot::Names
            | Slot::Url(_)
            | Slot::Encoded
            | Slot::Media(_)
            | Slot::Document
            | Slot::Source
            | Slot::FileRef
            | Slot::Sealed
            | Slot::Reference
            | Slot::Container
            | Slot::Servers
            | Slot::Mentions
            | Slot::Cache
            | Slot::Schema
            | Slot::Options
            | Slot::Free => (slot, false),
        };
        let mut copy = None;
        for (index, item) in items.enumerate() {
            if turns {
                inner.place.turn = u32::try_from(index).unwrap_or(u32::MAX);
            }
            // Lists of token ids stand in lists: several prompts in one request.
            let each = match slot {
                Slot::Input if matches!(item.view(), View::Array(_)) => Slot::Prompt,
                Slot::TokenIds if matches!(item.view(), View::Array(_)) => Slot::TokenIds,
                _ => each,
            };
            if let Some(new) = self.value(item, each, &inner)? {
                let list = copy.get_or_insert_with(|| self.visit.list(node));
                self.visit.put(list, index, new);
            }
        }
        Continue(copy.map(|list| self.visit.close_list(list)))
    }

    fn object<'a, N: Node<'a>>(
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
    fn turn<'a, N: Node<'a>>(&mut self, node: N, members: N::Members, at: &Context<'a>) -> Flow<V::Out>
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
    fn tool_begins<'a, N: Node<'a>>(&mut self, node: N, at: &Context<'a>) -> ControlFlow<(), Context<'a>>
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

/// How many token ids an array holds; `None` where it holds anything else, or nothing.
fn token_ids<'a, N: Node<'a>>(items: N::Items) -> Option<u64> {
    let mut count = 0;
    for item in items {
        let View::Number(number) = item.view() else {
            return None;
        };
        let is_id = match number {
            Number::Int(n) => u64::try_from(n).is_ok_and(|n| n < TOKEN_IDS),
            Number::UInt(n) => n < TOKEN_IDS,
            Number::Float(x) => (0.0..16_777_216.0).contains(&x) && x.fract() == 0.0,
            Number::Text(_) => false,
        };
        if !is_id {
            return None;
        }
        count += 1;
    }
    (count > 0).then_some(count)
}

/// Whether a tool's result is a part of content.
fn is_part<'a, N: Node<'a>>(node: N) -> bool {
    node.get("type")
        .and_then(Node::as_str)
        .is_some_and(slots::is_part)
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
