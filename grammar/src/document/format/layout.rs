//! The layout of a whole document: canonical order of keys, one style of quotes, two spaces a level, long flow style
//! turned into block style; comments stay with what they stand at.
//!
//! Reads the events of a text into a tree that keeps how scalars were written and where comments stood (`read`,
//! `comments`), orders it (`role`) and prints it anew (`print`). Knows nothing of meaning but the names of keys. Where a text
//! holds what this tree does not (anchors, tags, explicit keys, comments inside flow style, …), there is no layout, and
//! the caller falls back to re-indenting. The caller also compares what both texts mean.

mod comments;
mod print;
mod read;
mod role;

use print::{Printer, json_value};
use read::{documents, quote};
use role::{Role, order};

/// A line that belongs to what follows it, or to the end of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Blank,
    Comment(String),
}

#[derive(Debug)]
enum Kind {
    /// As written; of a block scalar the header and its lines without their indentation.
    Scalar(String),
    Block(String, Vec<String>),
    List(Vec<Child>),
    Map(Vec<Child>),
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    flow: bool,
    /// First byte; of a list in block style its first dash.
    start: usize,
    end: usize,
}

/// An item of a list or an entry of a mapping.
#[derive(Debug)]
struct Child {
    lead: Vec<Line>,
    /// Of an entry.
    key: Option<(String, String)>,
    value: Node,
    /// Where the key or the dash stands.
    start: usize,
    /// At the end of its first line, or of the line where a scalar ends.
    comment: Option<String>,
    /// Lines behind its last child.
    foot: Vec<Line>,
}

struct Document {
    head: Vec<Line>,
    explicit: bool,
    /// Holds the root; has no key and no dash.
    root: Child,
}

/// The text in canonical layout; `None` where it holds what this layout cannot.
pub(super) fn yaml(text: &str) -> Option<String> {
    let mut out = Printer::default();
    let documents = documents(text, quote)?;
    for (i, mut document) in documents.into_iter().enumerate() {
        let role = Role::of_document(&document.root.value);
        order(&mut document.root.value, role);
        if i > 0 || document.explicit {
            out.line(0, "---");
        }
        out.lines(0, &document.head);
        out.root(&document.root);
    }
    Some(out.text)
}

/// JSON with its keys in canonical order; tokens as written.
pub(super) fn json(text: &str) -> Option<String> {
    // JSON has one kind of quotes.
    let mut documents = documents(text, |written, _, _| written.to_owned())?;
    let mut document = documents.pop().filter(|_| documents.is_empty())?;
    match &mut document.root.value.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| {
            let role = Role::of_document(&item.value);
            order(&mut item.value, role);
        }),
        _ => {
            let role = Role::of_document(&document.root.value);
            order(&mut document.root.value, role);
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    json_value(&document.root.value, 0, &mut out);
    out.push('\n');
    Some(out)
}

// ----- comments -------------------------------------------------------------------------------------------------

// ----- printing -------------------------------------------------------------------------------------------------
