//! Memory that values lie in: frozen with the loaded module, or the arena of one evaluation.

mod arena;
mod frozen;

pub(crate) use arena::arena_used;
pub(crate) use frozen::{Frozen, FrozenConst, Member, Texts};
