//! `policyd` and `policyc` in one program, which is the one that it is called by. The image has it under both names: what the two
//! share, most of all the tables of tokens, is in the image once.

#[path = "../../../compiler/cli/src/alloc.rs"]
mod alloc;

use std::path::Path;
use std::process::ExitCode;

/// The allocator of `policyd`, below the counter of `policyc`.
type Inner = mimalloc::MiMalloc;
const INNER: Inner = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    match Path::new(&called).file_name().and_then(|name| name.to_str()) {
        Some("policyd") => policy_server::program::main(),
        Some("policyc") => policyc::main(alloc::allocations),
        _ => {
            eprintln!(
                "this program is `policyd` or `policyc`, by the name of its file; link it under one of them"
            );
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::alloc::allocations;

    #[test]
    fn allocations_of_the_allocator_below_are_counted() {
        let before = allocations();
        let text = std::hint::black_box("text".repeat(3));
        assert!(allocations() > before, "{text}");
    }
}
