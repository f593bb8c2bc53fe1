//! The bytecode format: the one table of instructions and everything that expands from it.
//!
//! This leaf crate owns what is on disk. The compiler makes a [`Module`] and the VM runs one, but only after
//! [`verify::verify`] turned it into a [`VerifiedModule`]: bundles arrive over networks, and unverified code cannot be
//! run because the type that the VM takes has no other constructor.
//!
//! | step | function | refuses |
//! |---|---|---|
//! | bytes → bundle | [`bundle::Bundle::decode`] | wrong magic, version, lengths, digest, signature |
//! | section → module | [`Module::decode`] | malformed tables and instructions |
//! | module → verified module | [`verify::verify`] | what rules V1… say, see `docs/isa.md` |
//!
//! **Invariants.** Decoding and verification never panic and never recurse on input, for any bytes. A module holds no
//! resolved pointers and no caches; the VM's loaded form is a type of its own. Nothing here knows a policy language.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
// A new instruction, comparison or constant must be looked at wherever one is told from another.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod asm;
pub mod bundle;
pub mod casefold;
pub mod cidr;
pub mod consts;
pub mod context;
pub mod debug;
pub mod decimal;
pub mod disasm;
pub mod fold;
pub mod guard;
pub mod ids;
pub mod instr;
pub mod intrinsics;
pub mod isa_doc;
pub mod manifest;
pub mod module;
pub mod number;
mod operators;
pub mod ops;
pub mod predicate;
pub mod quantifier;
pub mod scan;
pub mod stop;
pub mod time;
pub mod verify;
pub mod wire;

pub use consts::{Const, ConstPool};
pub use decimal::Exact;
pub use ids::{
    BodyIdx, BuilderIdx, ConstIdx, FieldIdx, FlagIdx, FuncIdx, IterIdx, Label, MemoIdx, PatternIdx,
    PolicyIdx, PredIdx, Reg, RuleIdx,
};
pub use instr::{Instr, Opcode};
pub use module::Module;
pub use number::Number;
pub use ops::Outcome;
pub use stop::{Stop, Stopped};
pub use verify::VerifiedModule;
