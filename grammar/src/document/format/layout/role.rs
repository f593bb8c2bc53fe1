//! What a mapping of a document describes, and the order of its keys that follows.

use super::{Child, Kind, Line, Node};
use crate::document::schema_tables::{
    ACTION_KEYS, CONDITION_KEYS, DEFINITIONS_KEYS, METADATA_KEYS, POLICY_KEYS, RULE_KEYS,
};

/// What a mapping describes, which decides on the order of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Definitions,
    Policy,
    Metadata,
    Rules,
    Rule,
    Conditions,
    Condition,
    Action,
    /// Data of people's own: its order stays.
    Data,
}

impl Role {
    /// Of the root of a document.
    pub(super) fn of_document(root: &Node) -> Self {
        let is_kind = |child: &Child| child.key.as_ref().is_some_and(|(key, _)| key == "kind");
        match &root.kind {
            Kind::Map(children) if children.iter().any(is_kind) => Self::Definitions,
            _ => Self::Policy,
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Definitions => &DEFINITIONS_KEYS,
            Self::Policy => &POLICY_KEYS,
            Self::Metadata => &METADATA_KEYS,
            Self::Rule => &RULE_KEYS,
            Self::Condition => &CONDITION_KEYS,
            Self::Action => &ACTION_KEYS,
            Self::Rules | Self::Conditions | Self::Data => &[],
        }
    }

    fn of(self, key: &str) -> Self {
        match (self, key) {
            (Self::Policy, "metadata") => Self::Metadata,
            (Self::Policy, "rules") => Self::Rules,
            (Self::Rule | Self::Condition, "condition") => Self::Condition,
            (Self::Rule, "action") => Self::Action,
            (Self::Condition, "conditions") => Self::Conditions,
            _ => Self::Data,
        }
    }

    fn item(self) -> Self {
        match self {
            Self::Rules => Self::Rule,
            Self::Conditions => Self::Condition,
            _ => Self::Data,
        }
    }
}

pub(super) fn order(node: &mut Node, role: Role) {
    let flow = node.flow;
    match &mut node.kind {
        Kind::Scalar(_) | Kind::Block(..) => {}
        Kind::List(items) => items
            .iter_mut()
            .for_each(|item| order(&mut item.value, role.item())),
        Kind::Map(entries) => {
            let keys = role.keys();
            let place = |child: &Child| {
                let name = child.key.as_ref().map_or("", |(name, _)| name.as_str());
                keys.iter().position(|key| *key == name).unwrap_or(keys.len())
            };
            let sorted = entries.is_sorted_by_key(place);
            if !sorted {
                entries.sort_by_key(place);
                if let Some(first) = entries.first_mut().filter(|_| !flow)
                    && first.lead.first() == Some(&Line::Blank)
                {
                    first.lead.remove(0);
                }
            }
            for entry in entries.iter_mut() {
                let name = entry.key.as_ref().map_or("", |(name, _)| name.as_str());
                let role = role.of(name);
                order(&mut entry.value, role);
            }
        }
    }
    if let Kind::List(items) = &mut node.kind {
        for item in items {
            // What moved to the front of an item takes its comments before the dash.
            if !item.value.flow
                && let Kind::Map(inner) = &mut item.value.kind
                && let Some(first) = inner.first_mut()
            {
                item.lead.append(&mut first.lead);
            }
        }
    }
}
