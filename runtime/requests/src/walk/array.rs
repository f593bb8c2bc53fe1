//! Lists: turns of a conversation, parts of content, ids of tokens, and lists of anything else.

use super::visit::Visit;
use super::{Context, Flow, Walker};
use crate::node::{Node, Number, View};
use crate::piece::{Piece, UnreadKind};
use crate::slots;
use crate::slots::Slot;
use std::ops::ControlFlow::Continue;

/// Token ids are below this; a larger integer is a number like any other.
const TOKEN_IDS: u64 = 1 << 24;

impl<'v, V> Walker<'v, V> {
    pub(super) fn array<'a, N: Node<'a>>(
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
pub(super) fn is_part<'a, N: Node<'a>>(node: N) -> bool {
    node.get("type")
        .and_then(Node::as_str)
        .is_some_and(slots::is_part)
}
