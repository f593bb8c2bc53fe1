//! The one instruction table. Opcode numbers, encoder, decoder, verifier operand checks, disassembler, assembler and
//! `docs/isa.md` are expansions of [`crate::for_each_instr!`]; what an operand means follows from its type alone.
//!
//! Numbers are explicit because bundles outlive binaries: renumbering must be visible in a diff.

use crate::ids::{BuilderIdx, ConstIdx, FieldIdx, FlagIdx, FuncIdx, IterIdx, Label, PredIdx, Reg};
use crate::wire::{DecodeError, Reader, Writer};
use std::fmt;

/// Calls `$consumer!` once with every instruction, in opcode order. `docs/isa.md` is the manual this generates.
#[macro_export]
macro_rules! for_each_instr {
    ($consumer:ident) => {
        $consumer! {
            /// `dst = consts[k]`.
            0x01 load_const => LoadConst { dst: Dst, k: ConstIdx } [];
            /// `dst = slots[field]`; undefined when the request does not hold it. Computes a derived field on first use.
            0x02 load_field => LoadField { dst: Dst, field: FieldIdx } [];
            /// `dst = src`.
            0x03 mov => Mov { dst: Dst, src: Src } [];
            /// `dst = undefined`.
            0x04 load_undefined => LoadUndefined { dst: Dst } [];
            /// `dst = true` or `false`.
            0x05 load_bool => LoadBool { dst: Dst, value: Flag01 } [];

            /// `dst = object[key]`: array element, object member, or set member; undefined when absent.
            0x10 get => Get { dst: Dst, object: Src, key: Src } [];
            /// `dst = object[consts[k]]`.
            0x11 get_const => GetConst { dst: Dst, object: Src, k: ConstIdx } [];
            /// `dst` = number of elements, members or characters; undefined for other kinds.
            0x12 len => Len { dst: Dst, src: Src } [];

            /// `dst = (lhs == rhs)`, deeply; undefined when either side is undefined.
            0x20 eq => Eq { dst: Dst, lhs: Src, rhs: Src } [];
            /// `dst = (lhs < rhs)` for two numbers or two strings; undefined for other kinds.
            0x21 lt => Lt { dst: Dst, lhs: Src, rhs: Src } [];
            /// `dst = (lhs <= rhs)` for two numbers or two strings; undefined for other kinds.
            0x22 lte => Lte { dst: Dst, lhs: Src, rhs: Src } [];
            /// `dst = lhs + rhs`; undefined unless both are numbers.
            0x28 add => Add { dst: Dst, lhs: Src, rhs: Src } [];
            /// `dst = lhs - rhs`; undefined unless both are numbers.
            0x29 sub => Sub { dst: Dst, lhs: Src, rhs: Src } [];
            /// `dst = lhs * rhs`; undefined unless both are numbers.
            0x2a mul => Mul { dst: Dst, lhs: Src, rhs: Src } [];
            /// `dst = lhs / rhs`; undefined unless both are numbers, or for a divisor of zero.
            0x2b div => Div { dst: Dst, lhs: Src, rhs: Src } [];
            /// `dst = lhs % rhs`; undefined unless both are integers, or for a divisor of zero.
            0x2c rem => Rem { dst: Dst, lhs: Src, rhs: Src } [];

            /// Continue at `target`.
            0x40 jump => Jump { target: Label } [terminator];
            /// Continue at `target` if `cond` is exactly `true`.
            0x41 br_if => BrIf { cond: Src, target: Label } [];
            /// Continue at `target` unless `cond` is exactly `true`.
            0x42 br_unless => BrUnless { cond: Src, target: Label } [];
            /// Continue at `target` if `src` is undefined.
            0x43 br_undefined => BrUndefined { src: Src, target: Label } [];
            /// Evaluate `pred`; continue at `target` if its outcome is `sense`; on an error raise `flag` and go on.
            0x44 test => Test { pred: PredIdx, sense: Flag01, flag: FlagIdx, target: Label } [];
            /// As `test`, but the outcome is kept in the predicate's memo cell and never computed twice.
            0x45 test_memo => TestMemo { pred: PredIdx, sense: Flag01, flag: FlagIdx, target: Label } [];
            /// Continue at `target` if `flag` is raised.
            0x46 br_flag => BrFlag { flag: FlagIdx, target: Label } [];
            /// Raise `flag`.
            0x47 raise_flag => RaiseFlag { flag: FlagIdx } [];
            /// Lower `flag`.
            0x48 clear_flag => ClearFlag { flag: FlagIdx } [];
            /// Leave the function with `value`.
            0x4c ret => Ret { value: Src } [terminator];
            /// Leave the function with the outcome true.
            0x4d ret_true => RetTrue {} [terminator];
            /// Leave the function with the outcome false.
            0x4e ret_false => RetFalse {} [terminator];
            /// Leave the function with the outcome error.
            0x4f ret_error => RetError {} [terminator];
            /// Leave the function with the outcome of `pred`, negated when `sense` is 0.
            0x50 ret_test => RetTest { pred: PredIdx, sense: Flag01 } [terminator];
            /// As `ret_test`, through the predicate's memo cell.
            0x51 ret_test_memo => RetTestMemo { pred: PredIdx, sense: Flag01 } [terminator];

            /// Start `iter` over the elements of `src`; an undefined or scalar `src` has none.
            0x58 iter_begin => IterBegin { iter: IterIdx, src: Src } [];
            /// Next key and value of `iter`, or continue at `done` when there is none.
            0x59 iter_next => IterNext { iter: IterIdx, key: Dst, value: Dst, done: Label } [];

            /// Start an empty array in `builder`.
            0x60 build_array => BuildArray { builder: BuilderIdx } [];
            /// Start an empty object in `builder`.
            0x61 build_object => BuildObject { builder: BuilderIdx } [];
            /// Start an empty set in `builder`.
            0x62 build_set => BuildSet { builder: BuilderIdx } [];
            /// Append to the array, or add to the set, in `builder`; an undefined `value` is left out.
            0x63 build_push => BuildPush { builder: BuilderIdx, value: Src } [];
            /// Put a member into the object in `builder`; the last one of a key wins; undefined is left out.
            0x64 build_insert => BuildInsert { builder: BuilderIdx, key: Src, value: Src } [];
            /// `dst` = the finished collection; sets and object keys are in order.
            0x65 build_end => BuildEnd { dst: Dst, builder: BuilderIdx } [];

            /// `dst = functions[f](args…)`; `args` are consecutive registers.
            0x68 call => Call { dst: Dst, f: FuncIdx, args: SrcRange } [];
        }
    };
}

/// A register that an instruction writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dst(pub Reg);

/// A register that an instruction reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Src(pub Reg);

/// Consecutive registers that an instruction reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SrcRange {
    /// The first.
    pub first: Reg,
    /// How many.
    pub count: u8,
}

/// An immediate 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flag01(pub bool);

/// What an operand does, for verification and analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Writes a register.
    Def(Reg),
    /// Reads consecutive registers.
    Use(SrcRange),
    /// May continue there.
    Jump(Label),
    /// Names a constant.
    Const(ConstIdx),
    /// Names a field.
    Field(FieldIdx),
    /// Names a predicate.
    Pred(PredIdx),
    /// Names a function.
    Func(FuncIdx),
    /// Names an error flag.
    Flag(FlagIdx),
    /// Names an iterator.
    Iter(IterIdx),
    /// Names a builder.
    Builder(BuilderIdx),
    /// A plain value.
    Immediate,
}

/// A field of an instruction. Its type alone decides its width, its check, its role and its spelling.
pub trait Operand: Copy + fmt::Debug {
    /// What `docs/isa.md` calls it.
    const KIND: &'static str;
    /// Appends the wire form.
    fn encode(self, out: &mut Writer);
    /// Reads the wire form.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`] of reading an integer, or a value out of the operand's range.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
    /// What it does.
    fn role(self) -> Role;
    /// Text form, as the assembler reads it.
    fn text(self) -> String;
    /// Reads the text form.
    fn parse(text: &str) -> Option<Self>;
    /// The operand, with the label that it is replaced by what `map` says.
    #[must_use]
    fn map_label(self, _map: &mut impl FnMut(Label) -> Label) -> Self {
        self
    }
}

fn narrow<T: TryFrom<u32>>(reader: &mut Reader<'_>, what: &'static str) -> Result<T, DecodeError> {
    let offset = reader.offset();
    T::try_from(reader.varint()?).map_err(|_| DecodeError::BadValue { offset, what })
}

macro_rules! index_operands {
    ($( $name:ident, $kind:literal, $role:ident; )*) => { $(
        impl Operand for $name {
            const KIND: &'static str = $kind;
            fn encode(self, out: &mut Writer) { out.varint(u32::from(self.0)); }
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> { narrow(reader, $kind).map(Self) }
            fn role(self) -> Role { Role::$role(self) }
            fn text(self) -> String { self.to_string() }
            fn parse(text: &str) -> Option<Self> {
                text.strip_prefix(Self::PREFIX).and_then(|n| n.parse().ok()).map(Self)
            }
        }
    )* };
}

index_operands! {
    ConstIdx, "constant", Const;
    FieldIdx, "field", Field;
    PredIdx, "predicate", Pred;
    FuncIdx, "function", Func;
    FlagIdx, "flag", Flag;
    IterIdx, "iterator", Iter;
    BuilderIdx, "builder", Builder;
}

impl Operand for Label {
    const KIND: &'static str = "label";
    fn encode(self, out: &mut Writer) {
        out.varint(self.0);
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        narrow(reader, Self::KIND).map(Self)
    }
    fn role(self) -> Role {
        Role::Jump(self)
    }
    fn text(self) -> String {
        self.to_string()
    }
    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(Self::PREFIX)
            .and_then(|n| n.parse().ok())
            .map(Self)
    }
    fn map_label(self, map: &mut impl FnMut(Self) -> Self) -> Self {
        map(self)
    }
}

macro_rules! register_operands {
    ($( $name:ident, $kind:literal, $role:expr; )*) => { $(
        impl Operand for $name {
            const KIND: &'static str = $kind;
            fn encode(self, out: &mut Writer) { out.varint(u32::from(self.0.0)); }
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                narrow(reader, "register").map(|n| Self(Reg(n)))
            }
            fn role(self) -> Role { $role(self.0) }
            fn text(self) -> String { self.0.to_string() }
            fn parse(text: &str) -> Option<Self> {
                text.strip_prefix(Reg::PREFIX).and_then(|n| n.parse().ok()).map(|n| Self(Reg(n)))
            }
        }
    )* };
}

register_operands! {
    Dst, "register (written)", Role::Def;
    Src, "register (read)", |first| Role::Use(SrcRange { first, count: 1 });
}

impl Operand for SrcRange {
    const KIND: &'static str = "registers (read)";
    fn encode(self, out: &mut Writer) {
        out.varint(u32::from(self.first.0));
        out.varint(u32::from(self.count));
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            first: Reg(narrow(reader, "register")?),
            count: narrow(reader, "register count")?,
        })
    }
    fn role(self) -> Role {
        Role::Use(self)
    }
    fn text(self) -> String {
        format!("{}+{}", self.first, self.count)
    }
    fn parse(text: &str) -> Option<Self> {
        let (first, count) = text.split_once('+')?;
        let Src(first) = Src::parse(first)?;
        Some(Self {
            first,
            count: count.parse().ok()?,
        })
    }
}

impl Operand for Flag01 {
    const KIND: &'static str = "0 or 1";
    fn encode(self, out: &mut Writer) {
        out.byte(u8::from(self.0));
    }
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        match reader.byte()? {
            0 => Ok(Self(false)),
            1 => Ok(Self(true)),
            _ => Err(DecodeError::BadValue { offset, what: "flag" }),
        }
    }
    fn role(self) -> Role {
        Role::Immediate
    }
    fn text(self) -> String {
        u8::from(self.0).to_string()
    }
    fn parse(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self(false)),
            "1" => Some(Self(true)),
            _ => None,
        }
    }
}

macro_rules! expand_instructions {
    ($(
        $(#[doc = $doc:literal])+
        $number:literal $mnemonic:ident => $name:ident { $( $operand:ident : $ty:ident ),* } [ $( $flag:ident ),* ];
    )*) => {
        /// Number of an instruction.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Opcode { $( $(#[doc = $doc])+ $name = $number, )* }

        /// One instruction.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Instr { $( $(#[doc = $doc])+ $name { $(
            #[doc = concat!("Operand `", stringify!($operand), "`.")] $operand: $ty, )* }, )* }

        impl Opcode {
            /// Every opcode, in table order.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// Name in text forms.
            #[must_use]
            pub fn mnemonic(self) -> &'static str { match self { $( Self::$name => stringify!($mnemonic), )* } }

            /// The opcode of a number.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $( $number => Some(Self::$name), )* _ => None }
            }

            /// What it does, for the manual.
            #[must_use]
            pub fn doc(self) -> &'static str { match self { $( Self::$name => concat!($($doc),+), )* } }

            /// Names and kinds of its operands, for the manual.
            #[must_use]
            pub fn operands(self) -> &'static [(&'static str, &'static str)] {
                match self { $( Self::$name => &[ $( (stringify!($operand), <$ty as Operand>::KIND), )* ], )* }
            }

            /// Whether control never goes on to the next instruction.
            #[must_use]
            pub fn is_terminator(self) -> bool {
                match self { $( Self::$name => [ $( stringify!($flag) ),* ].contains(&"terminator"), )* }
            }
        }

        impl Instr {
            /// Its opcode.
            #[must_use]
            pub fn opcode(&self) -> Opcode { match self { $( Self::$name { .. } => Opcode::$name, )* } }

            /// Appends the wire form: opcode, then operands in table order.
            pub fn encode(self, out: &mut Writer) {
                out.byte(self.opcode() as u8);
                match self { $( Self::$name { $( $operand, )* } => { $( Operand::encode($operand, out); )* } )* }
            }

            /// Reads the wire form.
            ///
            /// # Errors
            ///
            /// [`DecodeError::BadValue`] for an unknown opcode or operand, [`DecodeError::Truncated`] at the end.
            pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let offset = reader.offset();
                let opcode = Opcode::from_number(reader.byte()?)
                    .ok_or(DecodeError::BadValue { offset, what: "opcode" })?;
                match opcode {
                    $( Opcode::$name => Ok(Self::$name { $( $operand: <$ty as Operand>::decode(reader)?, )* }), )*
                }
            }

            /// Calls `visit` with the role of each operand, in table order.
            pub fn roles(self, mut visit: impl FnMut(Role)) {
                match self {
                    $( Self::$name { $( $operand, )* } => {
                        $( visit(Operand::role($operand)); )*
                        #[allow(unreachable_code, unused_must_use, reason = "instructions without operands visit nothing")]
                        { let _unused = &mut visit; }
                    } )*
                }
            }

            /// The instruction, with each label that it names replaced by what `map` says.
            #[must_use]
            pub fn map_labels(self, mut map: impl FnMut(Label) -> Label) -> Self {
                let _unused = &mut map;
                match self {
                    $( Self::$name { $( $operand, )* } => Self::$name { $( $operand: Operand::map_label($operand, &mut map), )* }, )*
                }
            }

            /// Text form: mnemonic and operands, comma separated.
            #[must_use]
            pub fn text(self) -> String {
                match self { $( Self::$name { $( $operand, )* } => {
                    let operands: Vec<String> = vec![ $( Operand::text($operand), )* ];
                    if operands.is_empty() { stringify!($mnemonic).to_owned() }
                    else { format!("{} {}", stringify!($mnemonic), operands.join(", ")) }
                } )* }
            }

            /// Reads the text form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let (mnemonic, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
                let mut operands = rest.split(',').map(str::trim).filter(|o| !o.is_empty());
                let instr = match mnemonic {
                    $( stringify!($mnemonic) => Self::$name { $( $operand: <$ty as Operand>::parse(operands.next()?)?, )* }, )*
                    _ => return None,
                };
                if operands.next().is_some() { None } else { Some(instr) }
            }
        }
    };
}

for_each_instr!(expand_instructions);

impl Instr {
    /// The function that it calls.
    #[must_use]
    pub fn callee(&self) -> Option<FuncIdx> {
        let mut callee = None;
        self.roles(|role| {
            if let Role::Func(f) = role {
                callee = Some(f);
            }
        });
        callee
    }

    /// The predicate that it evaluates.
    #[must_use]
    pub fn predicate(&self) -> Option<PredIdx> {
        let mut predicate = None;
        self.roles(|role| {
            if let Role::Pred(pred) = role {
                predicate = Some(pred);
            }
        });
        predicate
    }
}

impl fmt::Display for Instr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::{Instr, Opcode};
    use crate::wire::Reader;
    use proptest::prelude::*;

    /// Silent renumbering shows here; a retired number stays listed as reserved.
    #[test]
    fn opcode_numbers_are_stable() {
        let listing: Vec<String> = Opcode::ALL
            .iter()
            .map(|op| format!("{:#04x} {} /{}", *op as u8, op.mnemonic(), op.operands().len()))
            .collect();
        insta::assert_snapshot!("opcodes", listing.join("\n"));
    }

    proptest! {
        #[test]
        fn wire_and_text_forms_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(instr) = Instr::decode(&mut reader) {
                let mut out = crate::wire::Writer::new();
                instr.encode(&mut out);
                let wire = out.into_bytes();
                prop_assert_eq!(Instr::decode(&mut Reader::new(&wire)).unwrap(), instr);
                prop_assert_eq!(Instr::parse(&instr.text()), Some(instr));
            }
        }
    }
}
