//! The `policyd` program: sets the allocator and hands over to the library, which holds everything else.

/// A fifth of the time of a logged decision went into the allocator of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    policy_server::program::main()
}
