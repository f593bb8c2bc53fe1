//! The `policyc` program: sets the counting allocator and hands over to the library, which holds everything else.

mod alloc;

fn main() -> std::process::ExitCode {
    policyc::main(alloc::allocations)
}
