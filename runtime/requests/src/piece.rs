//! What reading gives: pieces and their places.

use crate::node::{Node, Number};
use std::ops::ControlFlow;

/// Where in a request a piece stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The member of `llm`.
    pub field: Field,
    /// The position in a list of messages, inputs or contents; 0 elsewhere.
    pub turn: u32,
    /// Who says it.
    pub role: Role,
}

/// The member of `llm` that a piece stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `system`, `systemInstruction`, `system_instruction`.
    System,
    /// `instructions`.
    Instructions,
    /// `prompt`.
    Prompt,
    /// `messages`.
    Messages,
    /// `input`.
    Input,
    /// `contents`.
    Contents,
    /// `message`.
    Message,
    /// `tools`, `functions`, and definitions of tools that stand elsewhere.
    Tools,
    /// Any other member.
    Other,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A user, also where no role is given: `prompt`, a message that is a bare string.
    User,
    /// The model.
    Assistant,
    /// `system` and `developer`.
    System,
    /// A tool: messages of role `tool` or `function`, and results inside messages of any role.
    Tool,
    /// A role that no API has, and members that belong to nobody.
    Unknown,
}

/// Kinds of content that hold no readable text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnreadKind {
    /// Images. Reading gives [`Piece::Image`] for them, never [`Piece::Unread`].
    Image,
    /// Sound.
    Audio,
    /// Files and documents.
    File,
    /// Video.
    Video,
    /// What only the provider can decrypt.
    Encrypted,
    /// References to what a provider stores, and parts that are not understood.
    Unknown,
}

impl UnreadKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Image,
        Self::Audio,
        Self::File,
        Self::Video,
        Self::Encrypted,
        Self::Unknown,
    ];

    /// The kind's name in `llm.unreadContent`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::File => "file",
            Self::Video => "video",
            Self::Encrypted => "encrypted",
            Self::Unknown => "unknown",
        }
    }
}

/// Where the bytes of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSource<'a> {
    /// In the request, as base64, without a `data:` head.
    Base64(&'a str),
    /// A URL from which the provider fetches it.
    Url(&'a str),
    /// With the provider, or nobody knows where.
    Stored,
}

/// An image, as far as the request describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// Where its bytes are.
    pub source: ImageSource<'a>,
    /// Its media type as sent, such as `image/png`.
    pub media_type: Option<&'a str>,
    /// The detail that is asked for: `low`, `high`, `auto`, `original`.
    pub detail: Option<&'a str>,
}

/// One thing that a model reads, or that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Piece<'a, N> {
    /// A message begins; what follows with the same field and turn belongs to it.
    Message {
        /// Whether it carries a name.
        named: bool,
    },
    /// The role of a message, where it looks like a name; else it is a [`Piece::Text`].
    Role(&'a str),
    /// The name of a message, where it looks like a name; else it is a [`Piece::Text`].
    Name(&'a str),
    /// A text; never empty.
    Text(&'a str),
    /// A number that a model reads: in tool data, or in place of a text.
    Number(Number<'a>),
    /// A boolean in tool data.
    Bool(bool),
    /// An array of this many token ids.
    TokenIds(u64),
    /// An image.
    Image(Image<'a>),
    /// The definition of a tool. Its texts follow as pieces of [`Field::Tools`]; count either, not both.
    Tool(N),
    /// Content that cannot be read.
    Unread(UnreadKind),
}

/// Takes what is read.
pub trait Sink<'a, N: Node<'a>> {
    /// Takes one piece. `Break` ends the reading.
    fn piece(&mut self, piece: Piece<'a, N>, place: Place) -> ControlFlow<()>;
}

impl<'a, N: Node<'a>, F: FnMut(Piece<'a, N>, Place) -> ControlFlow<()>> Sink<'a, N> for F {
    fn piece(&mut self, piece: Piece<'a, N>, place: Place) -> ControlFlow<()> {
        self(piece, place)
    }
}
