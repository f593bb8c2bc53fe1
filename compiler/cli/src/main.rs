//! The `policyc` program: sets the counting allocator and hands over to the library, which holds everything else.

mod alloc;

/// The allocator below the counter.
type Inner = std::alloc::System;
const INNER: Inner = std::alloc::System;

fn main() -> std::process::ExitCode {
    policyc::main(alloc::allocations)
}
