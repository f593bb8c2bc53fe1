//! What the measurements and their tests share: workloads, contenders, a way to time them side by side.
//!
//! | module | what |
//! |---|---|
//! | [`workloads`] | policies, contexts and expected decisions; those of tenants are generated |
//! | [`hand_written`] | each policy as Rust on a borrowed struct: the bound that we measure against |
//! | [`ours`] | the engine on a workload, and its stages alone |
//! | [`texts`] | texts for the primitives: prose, code, CJK, hostile ones, and 475 different prompts |
//! | [`scan`] | a hundred patterns over a prompt: ours, one set, one after another |
//! | [`requests`] | bodies of every provider's shape in any size |
//! | [`measure`] | interleaved rounds in one process, medians, percentiles |
//! | [`threads`] | how much more two threads do than one |
//! | [`machine`] | what a number was measured on |
//!
//! Entry points: `cargo run --release -p policy-benches` prints the table of `docs/performance.md`,
//! `cargo bench -p policy-benches` runs the criterion groups, `benches/callgrind.sh` counts instructions. Contenders of
//! other projects go into `benches/peers`, a workspace of its own that takes its workloads and rounds from this crate.

#![forbid(unsafe_code)]

pub mod hand_written;
pub mod machine;
pub mod measure;
pub mod ours;
mod random;
pub mod requests;
pub mod scan;
pub mod texts;
pub mod threads;
pub mod workloads;
