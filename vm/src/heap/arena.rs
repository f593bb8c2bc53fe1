//! How much of an arena is used.

use bumpalo::Bump;

/// Bytes of an arena that are in use. What is left of its newest chunk is not: a chunk that an earlier evaluation made
/// large is no burden of this one.
pub(crate) fn arena_used(bump: &Bump) -> usize {
    bump.allocated_bytes().saturating_sub(bump.chunk_capacity())
}
