//! Constants of a module as values: laid out when it is loaded, then used in place by every evaluation.
//!
//! Flat: one node for each constant, one row for the elements of all arrays, one for the members of all objects, and one
//! text for all strings and keys. An evaluation borrows; nothing is copied, however large a constant is.

use crate::module::LoadError;
use crate::value::{Array, Object, Value};
use crate::verified::broken;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use policy_bytecode::{Const, ConstIdx, Number};
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// Members from which on an object has a hash table. Below, a binary search is as quick.
const TABLE: usize = 9;

/// All constants of a module.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// Strings, decimals and keys, one after another.
    text: Box<str>,
    /// By constant.
    nodes: Box<[Node]>,
    /// Elements of all arrays.
    items: Box<[ConstIdx]>,
    /// Members of all objects, keys strictly ascending within each.
    members: Box<[Member]>,
    /// Of the larger objects, where members are: positions in `members`.
    tables: Box<[HashTable<u32>]>,
}

/// Part of one of the rows.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Decimal(Span),
    Str(Span),
    Array(Span),
    /// Few members.
    Object(Span),
    /// Members, and which table finds them.
    Table(Span, u32),
}

const _: () = assert!(size_of::<Node>() == 16);

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    key: Span,
    value: ConstIdx,
}

/// Seeded, so that a table of the same keys is the same in every process.
fn hash(text: &str) -> u64 {
    FixedState::with_seed(0x51_7c_c1_b7).hash_one(text)
}

/// What is laid out so far.
#[derive(Default)]
struct Layout<'c> {
    text: String,
    items: Vec<ConstIdx>,
    members: Vec<Member>,
    tables: Vec<HashTable<u32>>,
    /// Keys that were seen: objects of one list have the same ones.
    keys: HashMap<&'c str, Span, FixedState>,
}

fn span(start: usize, end: usize) -> Result<Span, LoadError> {
    // The end fits, so that positions of elements do.
    let end = u32::try_from(end).map_err(|_| LoadError::TooLarge)?;
    let start = u32::try_from(start).map_err(|_| LoadError::TooLarge)?;
    Ok(Span {
        start,
        len: end - start,
    })
}

fn cut<T>(row: &[T], span: Span) -> &[T] {
    let start = span.start as usize;
    row.get(start..start + span.len as usize).unwrap_or_default()
}

impl<'c> Layout<'c> {
    fn put(&mut self, text: &str) -> Result<Span, LoadError> {
        let start = self.text.len();
        self.text.push_str(text);
        span(start, self.text.len())
    }

    fn key(&mut self, key: &'c str) -> Result<Span, LoadError> {
        if let Some(known) = self.keys.get(key) {
            return Ok(*known);
        }
        let new = self.put(key)?;
        self.keys.insert(key, new);
        Ok(new)
    }

    fn object(&mut self, members: &'c [(String, ConstIdx)]) -> Result<Node, LoadError> {
        let start = self.members.len();
        for (key, value) in members {
            let key = self.key(key)?;
            self.members.push(Member { key, value: *value });
        }
        let span = span(start, self.members.len())?;
        if members.len() < TABLE {
            return Ok(Node::Object(span));
        }
        let mut table = HashTable::with_capacity(members.len());
        let hash_of = |at: &u32| {
            let at = (*at - span.start) as usize;
            members.get(at).map_or(0, |(key, _)| hash(key))
        };
        for (position, (key, _)) in (span.start..).zip(members) {
            table.insert_unique(hash(key), position, hash_of);
        }
        self.tables.push(table);
        let table = u32::try_from(self.tables.len() - 1).map_err(|_| LoadError::TooLarge)?;
        Ok(Node::Table(span, table))
    }
}

impl Frozen {
    /// Lays out the constants of a verified module. O(size of the constants).
    ///
    /// # Errors
    ///
    /// [`LoadError::TooLarge`] for 4 GiB of text, elements or members.
    pub(crate) fn new(consts: &[Const]) -> Result<Self, LoadError> {
        let mut layout = Layout::default();
        let mut nodes = Vec::with_capacity(consts.len());
        for value in consts {
            nodes.push(match value {
                Const::Null => Node::Null,
                Const::Bool(b) => Node::Bool(*b),
                Const::Number(Number::Int(n)) => Node::Int(*n),
                Const::Number(Number::UInt(n)) => Node::UInt(*n),
                Const::Number(Number::Float(x)) => Node::Float(*x),
                Const::Decimal(text) => Node::Decimal(layout.put(text)?),
                Const::Str(text) => Node::Str(layout.put(text)?),
                Const::Array(items) => {
                    let start = layout.items.len();
                    layout.items.extend_from_slice(items);
                    Node::Array(span(start, layout.items.len())?)
                }
                Const::Object(members) => layout.object(members)?,
            });
        }
        Ok(Self {
            text: layout.text.into(),
            nodes: nodes.into(),
            items: layout.items.into(),
            members: layout.members.into(),
            tables: layout.tables.into(),
        })
    }

    /// The constant at `at`; unknown where there is none, which no verified module names (V4, V5, V8).
    #[inline]
    pub(crate) fn value(&self, at: ConstIdx) -> Value<'_> {
        match self.nodes.get(at.index()) {
            None => {
                broken(8);
                Value::Unknown
            }
            Some(Node::Null) => Value::Null,
            Some(Node::Bool(b)) => Value::Bool(*b),
            Some(Node::Int(n)) => Value::Number(Number::Int(*n)),
            Some(Node::UInt(n)) => Value::Number(Number::UInt(*n)),
            Some(Node::Float(x)) => Value::Number(Number::Float(*x)),
            Some(Node::Decimal(span)) => Value::Decimal(self.text(*span)),
            Some(Node::Str(span)) => Value::Str(self.text(*span)),
            Some(Node::Array(_)) => Value::Array(Array::frozen(self, at)),
            Some(Node::Object(_) | Node::Table(..)) => Value::Object(Object::frozen(self, at)),
        }
    }

    #[inline]
    fn text(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.text
            .get(start..start + span.len as usize)
            .unwrap_or_default()
    }

    /// The text of a string.
    #[inline]
    fn string(&self, at: ConstIdx) -> Option<&str> {
        let Some(Node::Str(span)) = self.nodes.get(at.index()) else {
            return None;
        };
        Some(self.text(*span))
    }

    /// Elements of an array.
    #[inline]
    pub(crate) fn items(&self, at: ConstIdx) -> &[ConstIdx] {
        let Some(Node::Array(span)) = self.nodes.get(at.index()) else {
            return &[];
        };
        cut(&self.items, *span)
    }

    /// Members of an object, in the order of their keys.
    #[inline]
    pub(crate) fn members(&self, at: ConstIdx) -> &[Member] {
        let Some(Node::Object(span) | Node::Table(span, _)) = self.nodes.get(at.index()) else {
            return &[];
        };
        cut(&self.members, *span)
    }

    /// Key and value of a member.
    #[inline]
    pub(crate) fn entry(&self, member: &Member) -> (&str, Value<'_>) {
        (self.text(member.key), self.value(member.value))
    }

    /// The value of a key of an object.
    pub(crate) fn member(&self, at: ConstIdx, key: &str) -> Option<Value<'_>> {
        let found = if let Some(Node::Table(_, table)) = self.nodes.get(at.index()) {
            let is_key = |position: &u32| {
                let member = self.members.get(*position as usize);
                member.is_some_and(|member| self.text(member.key) == key)
            };
            let position = self.tables.get(*table as usize)?.find(hash(key), is_key)?;
            self.members.get(*position as usize)?
        } else {
            let members = self.members(at);
            let order = |member: &Member| self.text(member.key).as_bytes().cmp(key.as_bytes());
            members.get(members.binary_search_by(order).ok()?)?
        };
        Some(self.value(found.value))
    }
}

/// One constant of a module, for those that ask for it in every evaluation.
#[derive(Debug, Clone)]
pub(crate) struct FrozenConst {
    heap: Arc<Frozen>,
    at: ConstIdx,
}

impl FrozenConst {
    pub(crate) fn new(heap: &Arc<Frozen>, at: ConstIdx) -> Self {
        Self {
            heap: Arc::clone(heap),
            at,
        }
    }

    #[inline]
    pub(crate) fn value(&self) -> Value<'_> {
        self.heap.value(self.at)
    }
}

/// Strings of a constant list, found by hash.
#[derive(Debug)]
pub(crate) struct Texts {
    heap: Arc<Frozen>,
    table: HashTable<ConstIdx>,
}

impl Texts {
    /// The strings among the elements of the array constant at `list`.
    pub(crate) fn of(heap: &Arc<Frozen>, list: ConstIdx) -> Self {
        let strings = heap
            .items(list)
            .iter()
            .filter_map(|item| Some((*item, heap.string(*item)?)));
        let mut table = HashTable::with_capacity(strings.clone().count());
        for (item, text) in strings {
            let is_it = |known: &ConstIdx| heap.string(*known) == Some(text);
            if table.find(hash(text), is_it).is_none() {
                table.insert_unique(hash(text), item, |item| heap.string(*item).map_or(0, hash));
            }
        }
        Self {
            heap: Arc::clone(heap),
            table,
        }
    }

    /// No strings.
    pub(crate) fn none(heap: &Arc<Frozen>) -> Self {
        Self {
            heap: Arc::clone(heap),
            table: HashTable::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn contains(&self, text: &str) -> bool {
        let is_it = |item: &ConstIdx| self.heap.string(*item) == Some(text);
        self.table.find(hash(text), is_it).is_some()
    }
}
