//! The members that an object has: a table of slots for each family of objects.

use crate::slots;
use crate::slots::Slot;

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
