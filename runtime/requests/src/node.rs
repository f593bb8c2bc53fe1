//! What the reader needs of a JSON value, so that it works on the VM's values and on anybody's.

/// A number of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number<'a> {
    /// An integer that fits `i64`.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A double.
    Float(f64),
    /// Any other number, as it was written.
    Text(&'a str),
}

/// One JSON value and a way into what it holds.
#[derive(Debug, Clone)]
pub enum View<'a, N: Node<'a>> {
    /// `null`, and whatever is not there.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number<'a>),
    /// A string.
    Str(&'a str),
    /// An array.
    Array(N::Items),
    /// An object.
    Object(N::Members),
}

/// A JSON value that can be walked. Names of members are distinct: a body that says one twice is refused before.
pub trait Node<'a>: Copy {
    /// Elements of an array, in order.
    type Items: Iterator<Item = Self> + Clone;
    /// Members of an object, always in the same order.
    type Members: Iterator<Item = (&'a str, Self)> + Clone;

    /// The value, one level of it.
    fn view(self) -> View<'a, Self>;

    /// The member of an object; `None` where there is none, or no object.
    fn get(self, name: &str) -> Option<Self>;

    /// The text of a string.
    fn as_str(self) -> Option<&'a str> {
        match self.view() {
            View::Str(text) => Some(text),
            View::Null | View::Bool(_) | View::Number(_) | View::Array(_) | View::Object(_) => None,
        }
    }
}
