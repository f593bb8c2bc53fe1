//! What a walk hands its findings to, and the visit that only reads.

use crate::node::Node;
use crate::piece::{Piece, Place, Sink};
use std::ops::ControlFlow;
use std::ops::ControlFlow::Continue;

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
pub(super) struct Reading<'s, S>(pub(super) &'s mut S);

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
