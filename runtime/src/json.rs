//! Values of the VM as the reader of requests walks them.

use policy_bytecode::Number;
use policy_requests::{Node, Number as Count, View};
use policy_vm::Value;

/// A value of the VM as the reader walks it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a>(pub(crate) Value<'a>);

/// Elements of a value.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a>(policy_vm::Iter<'a>);

/// Members of a value.
#[derive(Debug, Clone)]
pub(crate) struct Members<'a>(policy_vm::Members<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    #[inline]
    fn next(&mut self) -> Option<Json<'a>> {
        self.0.next().map(Json)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Json<'a>);

    #[inline]
    fn next(&mut self) -> Option<(&'a str, Json<'a>)> {
        self.0.next().map(|(key, value)| (key, Json(value)))
    }
}

impl<'a> Node<'a> for Json<'a> {
    type Items = Items<'a>;
    type Members = Members<'a>;

    #[inline]
    fn view(self) -> View<'a, Self> {
        match self.0 {
            Value::Undefined | Value::Unknown | Value::Pending | Value::Null => View::Null,
            Value::Bool(b) => View::Bool(b),
            Value::Number(n) => View::Number(match n {
                Number::Int(n) => Count::Int(n),
                Number::UInt(n) => Count::UInt(n),
                Number::Float(x) => Count::Float(x),
            }),
            Value::Decimal(text) => View::Number(Count::Text(text)),
            Value::Str(text) => View::Str(text),
            Value::Array(items) => View::Array(Items(items.iter())),
            Value::Set(items) => View::Array(Items(items.iter())),
            Value::Object(members) => View::Object(Members(members.iter())),
        }
    }

    #[inline]
    fn get(self, name: &str) -> Option<Self> {
        match self.0.get(name) {
            Value::Undefined => None,
            value => Some(Json(value)),
        }
    }
}
