//! Values given back in their own shape, with other texts: what redaction needs.
//!
//! [`rewrite`] walks with the rules of [`read`](crate::read()) and changes nothing but what reading calls text or
//! number: identifiers, URLs, encoded data, token ids, nulls and the order of everything stay.

use crate::node::{Node, Number, View};
use crate::piece::{Field, Piece, Place, Role};
use crate::slots::{self, Slot};
use crate::walk::{Context, Family, Visit, Walker};
use std::ops::ControlFlow::{self, Continue};

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'p> {
    /// A member of an object.
    Key(&'p str),
    /// An element of an array; negative ones count from the end.
    Index(i64),
}

/// Says what to put in place of texts, and builds the values.
///
/// A value is built only where something below it changed, from a copy of the original.
pub trait Editor<'a, N: Node<'a>> {
    /// A new value.
    type Out;
    /// A new name of a member.
    type Name;
    /// A copy of an array that is being changed.
    type List;
    /// A copy of an object that is being changed.
    type Map;

    /// What to put in place of a text; `None` leaves it.
    fn text(&mut self, text: &'a str, place: Place) -> Option<Self::Out>;
    /// What to put in place of a number; `None` leaves it.
    fn number(&mut self, number: Number<'a>, place: Place) -> Option<Self::Out>;
    /// What to put in place of the name of a member that is a text; `None` leaves it.
    fn name(&mut self, name: &'a str, place: Place) -> Option<Self::Name>;

    /// A copy of an array.
    fn list(&mut self, original: N) -> Self::List;
    /// Puts a value in place of an element. `index` is that of the original.
    fn put(&mut self, list: &mut Self::List, index: usize, value: Self::Out);
    /// The array.
    fn close_list(&mut self, list: Self::List) -> Self::Out;
    /// A copy of an object.
    fn map(&mut self, original: N) -> Self::Map;
    /// Puts a value in place of a member's. `index` is its position among the members of the original.
    fn put_member(&mut self, map: &mut Self::Map, index: usize, value: Self::Out);
    /// Gives a member another name. `index` is its position among the members of the original. Two members may end up
    /// with one name; the editor has to keep both.
    fn rename(&mut self, map: &mut Self::Map, index: usize, name: Self::Name);
    /// The object.
    fn close_map(&mut self, map: Self::Map) -> Self::Out;
}

/// Changes the texts of the value at `path` of a context, such as `llm`, `llm.messages` or `llm.messages[0].content`.
/// `None` when nothing changes.
///
/// The rules are those of the value's place in an `llm` object; outside of one, everything is read. A value that is
/// itself a string is a text wherever it stands, and one that is itself a number is a number that is read.
pub fn rewrite<'a, N, E>(value: N, path: &[Step<'_>], editor: &mut E) -> Option<E::Out>
where
    N: Node<'a>,
    E: Editor<'a, N>,
{
    let mut visit = Rewriting(editor);
    let mut walker = Walker::new(&mut visit);
    let changed = match path {
        [Step::Key("llm")] => walker.root(value),
        [Step::Key("llm"), Step::Key(name), rest @ ..] => {
            let (slot, at) = place(name, rest);
            match value.view() {
                View::Str(_) | View::Number(_) => walker.data(value, at.place, 0),
                View::Null | View::Bool(_) | View::Array(_) | View::Object(_) => {
                    walker.value(value, slot, &at)
                }
            }
        }
        _ => walker.data(value, Context::new(Field::Other, Role::Unknown).place, 0),
    };
    match changed {
        Continue(changed) => changed,
        // An editor never ends a walk.
        ControlFlow::Break(()) => None,
    }
}

/// What stands at a path below `llm`.
fn place<'a>(name: &str, rest: &[Step<'_>]) -> (Slot, Context<'a>) {
    let (mut slot, field, role) = slots::top(name);
    let mut at = Context::new(field, role);
    for step in rest {
        slot = match step {
            Step::Index(index) => {
                if matches!(slot, Slot::Turns | Slot::Input) {
                    at = at.at_turn(usize::try_from(*index).unwrap_or(0));
                }
                match slot {
                    Slot::Turns | Slot::Input => Slot::Turn,
                    Slot::Content | Slot::Variables | Slot::TextOrFormat => Slot::Part,
                    Slot::Tools => Slot::Tool,
                    Slot::Schemas => Slot::Schema,
                    other => other,
                }
            }
            Step::Key(name) => {
                let family = match slot {
                    Slot::Turn | Slot::Turns => {
                        at.enter_turn();
                        Family::Message
                    }
                    Slot::Data => Family::All(Slot::Data),
                    Slot::Documents | Slot::Encoded if !slots::MEDIA.contains(name) => {
                        Family::All(Slot::Data)
                    }
                    Slot::Variables => Family::All(Slot::Content),
                    Slot::Schemas => Family::All(Slot::Schema),
                    Slot::Free => Family::All(Slot::Free),
                    Slot::Tools | Slot::Tool | Slot::Servers => Family::Tool,
                    Slot::Schema | Slot::Names | Slot::TextOrFormat => Family::Schema,
                    Slot::Container => Family::Container,
                    Slot::Options | Slot::AudioOrVoice | Slot::Cache => Family::Options,
                    Slot::Output => Family::All(Slot::Output),
                    Slot::Media(kind) => {
                        at.enter_media(kind);
                        Family::Inside
                    }
                    Slot::Input
                    | Slot::Prompt
                    | Slot::TokenIds
                    | Slot::Content
                    | Slot::Part
                    | Slot::Plain
                    | Slot::Role
                    | Slot::Name
                    | Slot::Id
                    | Slot::Signature
                    | Slot::Url(_)
                    | Slot::Encoded
                    | Slot::Documents
                    | Slot::Document
                    | Slot::Source
                    | Slot::FileRef
                    | Slot::Sealed
                    | Slot::Reference
                    | Slot::Mentions => Family::Inside,
                };
                family.member(name).0
            }
        };
    }
    (slot, at)
}

/// Rewriting: pieces that are texts or numbers go to an editor.
struct Rewriting<'e, E>(&'e mut E);

impl<'a, N: Node<'a>, E: Editor<'a, N>> Visit<'a, N> for Rewriting<'_, E> {
    type Out = E::Out;
    type Name = E::Name;
    type List = E::List;
    type Map = E::Map;

    fn piece(&mut self, piece: Piece<'a, N>, place: Place) -> ControlFlow<(), Option<E::Out>> {
        Continue(match piece {
            Piece::Text(text) => self.0.text(text, place),
            Piece::Number(number) => self.0.number(number, place),
            Piece::Message { .. }
            | Piece::Role(_)
            | Piece::Name(_)
            | Piece::Bool(_)
            | Piece::TokenIds(_)
            | Piece::Image(_)
            | Piece::Tool(_)
            | Piece::Unread(_) => None,
        })
    }
    fn name(&mut self, name: &'a str, place: Place) -> ControlFlow<(), Option<E::Name>> {
        Continue(self.0.name(name, place))
    }
    fn list(&mut self, original: N) -> E::List {
        self.0.list(original)
    }
    fn put(&mut self, list: &mut E::List, index: usize, value: E::Out) {
        self.0.put(list, index, value);
    }
    fn close_list(&mut self, list: E::List) -> E::Out {
        self.0.close_list(list)
    }
    fn map(&mut self, original: N) -> E::Map {
        self.0.map(original)
    }
    fn put_member(&mut self, map: &mut E::Map, index: usize, value: E::Out) {
        self.0.put_member(map, index, value);
    }
    fn rename(&mut self, map: &mut E::Map, index: usize, name: E::Name) {
        self.0.rename(map, index, name);
    }
    fn close_map(&mut self, map: E::Map) -> E::Out {
        self.0.close_map(map)
    }
}
