//! The global allocator of `policyc`: the one that the program names as `Inner`, with a counter per thread.
//!
//! `policyc bench` reports allocations per evaluation with it. One addition to a thread-local integer per allocation
//! cannot be measured beside the allocation itself, so it is always on. This is the only module with `unsafe` code.

#![allow(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; every method forwards to `Inner`"
)]

use super::{INNER, Inner};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    // Constant and without a destructor: reading it never allocates and works until the thread is gone.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Allocations and reallocations that this thread has made so far.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.try_with(Cell::get).unwrap_or(0)
}

fn count() {
    ALLOCATIONS
        .try_with(|n| n.set(n.get().wrapping_add(1)))
        .unwrap_or(());
}

struct Counting(Inner);

#[global_allocator]
static GLOBAL: Counting = Counting(INNER);

// SAFETY: every method passes its arguments on to `Inner` unchanged and returns what it returned; the counter does not
// allocate and does not touch the memory that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is the one that `Inner` asks for.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as in `alloc`.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: `ptr` came from this allocator, so from `Inner`, with `layout`; `new_size` is the caller's promise.
        unsafe { self.0.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from this allocator, so from `Inner`, with `layout`.
        unsafe { self.0.dealloc(ptr, layout) }
    }
}
