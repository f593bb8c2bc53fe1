//! The module: only what is on disk, as typed tables. No resolved pointers, no caches.

mod field;

pub use field::{Derived, Field, PathSegment, is_at_or_below};

use crate::consts::Const;
use crate::context::Known;
use crate::ids::{FieldIdx, FuncIdx, PolicyIdx, PredIdx};
use crate::instr::{Instr, Role};
use crate::predicate::Predicate;
use crate::quantifier::{Body, ItemTest};
use crate::scan::Scan;
use crate::wire::{DecodeError, Reader, Writer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Version of the instruction set. Additions keep it; a changed or retired instruction raises it.
pub const ISA_VERSION: u16 = 4;

/// A compiled policy set: tables and code.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Module {
    /// Bounds of every evaluation.
    pub limits: Limits,
    /// Request fields that the module reads; their values land in the slots of the same index.
    pub fields: Vec<Field>,
    /// What is known of every request, whatever fields are read.
    pub known: Vec<Known>,
    /// Constants.
    pub consts: Vec<Const>,
    /// Regular expressions.
    pub patterns: Vec<Pattern>,
    /// Comparisons.
    pub predicates: Vec<Predicate>,
    /// What the predicates `any` and `all` ask of each element.
    pub bodies: Vec<Body>,
    /// Predicates that are answered together by one pass over a text.
    pub scans: Vec<Scan>,
    /// Number of memo cells that the predicates use.
    pub memo_cells: u32,
    /// Code.
    pub functions: Vec<Function>,
    /// Rules in evaluation order.
    pub rules: Vec<DecisionRule>,
    /// Policies in evaluation order; their rules are consecutive.
    pub policies: Vec<PolicyRange>,
}

impl Module {
    /// The fields that conditions look at; the others serve templates and modifications, or derived fields. A field may
    /// come up several times.
    pub fn fields_read(&self) -> impl Iterator<Item = FieldIdx> {
        let tested = self.predicates.iter().flat_map(Predicate::fields);
        let instructions = self.functions.iter().flat_map(|function| &function.code);
        let loaded = instructions.filter_map(|instruction| {
            let mut loaded = None;
            instruction.roles(|role| {
                if let Role::Field(field) = role {
                    loaded = Some(field);
                }
            });
            loaded
        });
        let asked = self
            .bodies
            .iter()
            .flat_map(Body::tests)
            .flat_map(ItemTest::fields);
        tested.chain(asked).chain(loaded)
    }
}

/// Bounds of one evaluation. Exceeding one makes the rule at hand an error, never an allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Instructions.
    pub fuel: u64,
    /// Bytes of the request body.
    pub body_bytes: u64,
    /// Nesting depth of the request body.
    pub depth: u32,
    /// Bytes of the evaluation arena.
    pub arena_bytes: u64,
    /// Nested calls.
    pub call_depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 4_000_000,
            body_bytes: 16 << 20,
            depth: 128,
            arena_bytes: 64 << 20,
            call_depth: 64,
        }
    }
}

/// One regular expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// As written in the policy; for people.
    pub source: String,
    /// The same in the engine's syntax, which is what runs: the policy language has a dialect of its own.
    pub translated: String,
    /// How it is run.
    pub engine: PatternEngine,
}

/// How a pattern is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatternEngine {
    /// A dense automaton, serialised little-endian.
    Dfa {
        /// The automaton; shared, so that a table is cheap to copy.
        #[serde(with = "bytes")]
        bytes: Arc<[u8]>,
        /// It gives up on non-ASCII text, where the pattern is run from its source instead: for word boundaries of
        /// Unicode, which patterns of policies have none of.
        ascii_only: bool,
    },
    /// Built from its source when the module is loaded, because of this.
    Source {
        /// Why no automaton is stored.
        reason: String,
    },
}

/// One function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Function {
    /// Registers `r0…` that hold the arguments on entry.
    pub params: u16,
    /// Registers of a frame, parameters included.
    pub registers: u16,
    /// Error flags of a frame, at most 64.
    pub flags: u8,
    /// Iterators of a frame.
    pub iterators: u8,
    /// Builders of a frame.
    pub builders: u8,
    /// Result is kept and reused within one evaluation; only for functions without parameters.
    pub memoised: bool,
    /// What has to be so for the result to be anything but false: where every predicate of one of these lists is false,
    /// so is the function (V21 proves it). The rule index reaches a rule through them; the first list narrows best.
    pub guards: Vec<Vec<PredIdx>>,
    /// Instructions.
    pub code: Vec<Instr>,
}

impl Function {
    /// Whether some of its code may run again: it jumps back.
    #[must_use]
    pub fn loops(&self) -> bool {
        self.code.iter().enumerate().any(|(at, instr)| {
            let mut back = false;
            instr.roles(|role| back |= matches!(role, Role::Jump(target) if target.index() <= at));
            back
        })
    }

    /// What it calls, at every place that does.
    pub fn callees(&self) -> impl Iterator<Item = FuncIdx> {
        self.code.iter().filter_map(Instr::callee)
    }
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRule {
    /// Its condition: a function without parameters that returns an outcome.
    pub condition: FuncIdx,
    /// Its policy.
    pub policy: PolicyIdx,
    /// What it decides.
    pub decision: Decision,
    /// Whether it fires when its condition is an error.
    pub fires_on_error: bool,
}

/// The four decisions, from weakest to strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// Let it pass.
    Allow,
    /// Let it pass, with a reason.
    Warn,
    /// Let it pass changed.
    Modify,
    /// Refuse it.
    Deny,
}

impl Decision {
    /// Spelling in documents and responses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Modify => "modify",
            Self::Deny => "deny",
        }
    }
}

/// The rules of one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRange {
    /// First rule.
    pub first_rule: u32,
    /// Number of rules.
    pub rule_count: u32,
}

/// Byte strings take one length and their bytes, instead of one integer per byte.
mod bytes {
    use serde::{Deserializer, Serializer, de};
    use std::fmt;
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Arc<[u8]>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Arc<[u8]>, E> {
                Ok(bytes.into())
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// A function as stored: everything but the code, which has its own encoding.
#[derive(Serialize, Deserialize)]
struct WireFunction<'a> {
    params: u16,
    registers: u16,
    flags: u8,
    iterators: u8,
    builders: u8,
    memoised: bool,
    guards: Cow<'a, [Vec<PredIdx>]>,
    instructions: u32,
    #[serde(borrow)]
    code: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct WireModule<'a> {
    isa_version: u16,
    limits: Limits,
    fields: Cow<'a, [Field]>,
    known: Cow<'a, [Known]>,
    consts: Cow<'a, [Const]>,
    patterns: Cow<'a, [Pattern]>,
    predicates: Cow<'a, [Predicate]>,
    bodies: Cow<'a, [Body]>,
    scans: Cow<'a, [Scan]>,
    memo_cells: u32,
    #[serde(borrow)]
    functions: Vec<WireFunction<'a>>,
    rules: Cow<'a, [DecisionRule]>,
    policies: Cow<'a, [PolicyRange]>,
}

impl Module {
    /// The wire form. Equal modules give equal bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::LimitExceeded`] when a function is too long for the format.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let mut codes = Vec::with_capacity(self.functions.len());
        for function in &self.functions {
            let mut writer = Writer::new();
            for instr in &function.code {
                instr.encode(&mut writer);
            }
            codes.push(writer.into_bytes());
        }
        let mut functions = Vec::with_capacity(codes.len());
        for (function, code) in self.functions.iter().zip(&codes) {
            let instructions =
                u32::try_from(function.code.len()).map_err(|_| DecodeError::LimitExceeded {
                    what: "instructions of a function",
                    limit: u32::MAX as usize,
                    actual: function.code.len(),
                })?;
            functions.push(WireFunction {
                params: function.params,
                registers: function.registers,
                flags: function.flags,
                iterators: function.iterators,
                builders: function.builders,
                memoised: function.memoised,
                guards: Cow::Borrowed(&function.guards),
                instructions,
                code,
            });
        }
        let wire = WireModule {
            isa_version: ISA_VERSION,
            limits: self.limits,
            fields: (&self.fields).into(),
            known: (&self.known).into(),
            consts: (&self.consts).into(),
            patterns: (&self.patterns).into(),
            predicates: (&self.predicates).into(),
            bodies: (&self.bodies).into(),
            scans: (&self.scans).into(),
            memo_cells: self.memo_cells,
            functions,
            rules: (&self.rules).into(),
            policies: (&self.policies).into(),
        };
        postcard::to_stdvec(&wire).map_err(|_| DecodeError::BadTable { section: "module" })
    }

    /// Reads the wire form. Checks shape only; call [`crate::verify::verify`] before running anything.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; never panics, for any bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bad = |_| DecodeError::BadTable { section: "module" };
        // The version stands first so that a newer module is refused by version, not by shape.
        let (found, _) = postcard::take_from_bytes::<u16>(bytes).map_err(bad)?;
        if found != ISA_VERSION {
            return Err(DecodeError::UnsupportedVersion {
                what: "instruction set",
                found,
                supported: ISA_VERSION,
            });
        }
        let (wire, rest) = postcard::take_from_bytes::<WireModule<'_>>(bytes).map_err(bad)?;
        if !rest.is_empty() {
            return Err(DecodeError::TrailingBytes {
                offset: bytes.len() - rest.len(),
            });
        }
        let mut functions = Vec::with_capacity(wire.functions.len().min(bytes.len()));
        for function in wire.functions {
            let mut reader = Reader::new(function.code);
            let mut code = Vec::with_capacity(function.code.len().min(function.instructions as usize));
            while !reader.is_empty() {
                code.push(Instr::decode(&mut reader)?);
            }
            if code.len() != function.instructions as usize {
                return Err(DecodeError::BadTable { section: "code" });
            }
            functions.push(Function {
                params: function.params,
                registers: function.registers,
                flags: function.flags,
                iterators: function.iterators,
                builders: function.builders,
                memoised: function.memoised,
                guards: function.guards.into_owned(),
                code,
            });
        }
        Ok(Self {
            limits: wire.limits,
            fields: wire.fields.into_owned(),
            known: wire.known.into_owned(),
            consts: wire.consts.into_owned(),
            patterns: wire.patterns.into_owned(),
            predicates: wire.predicates.into_owned(),
            bodies: wire.bodies.into_owned(),
            scans: wire.scans.into_owned(),
            memo_cells: wire.memo_cells,
            functions,
            rules: wire.rules.into_owned(),
            policies: wire.policies.into_owned(),
        })
    }
}
