//! V2–V7, V16–V18: fields, constants, predicates, rules and policies name entries that exist and fit.
//!
//! Second of the checkers; assumes V1.

use super::{HostLimits, MAX_PATH, VerifyError};
use crate::consts::{Const, instant, networks, window, written_sizes};
use crate::decimal::is_decimal;
use crate::guard::plain_fields;
use crate::ids::{ConstIdx, FieldIdx, MemoIdx};
use crate::module::{Field, Module, PathSegment, is_at_or_below};
use crate::predicate::{PredOp, PredOperand, Takes};
use std::collections::{HashMap, HashSet};

const MAX_CONST_DEPTH: usize = 128;
/// Derived fields. Whoever tells them from others goes over all of them for each field.
const MAX_DERIVED: usize = 64;

pub(super) fn check(module: &Module, host: &HostLimits) -> Result<(), VerifyError> {
    fields(module)?;
    consts(module, host)?;
    predicates(module)?;
    rules(module)
}

fn fields(module: &Module) -> Result<(), VerifyError> {
    let mut seen: HashSet<Vec<(Option<&str>, i64)>> = HashSet::with_capacity(module.fields.len());
    for (i, field) in module.fields.iter().enumerate() {
        if field.path.is_empty() || field.path.len() > MAX_PATH {
            return Err(VerifyError::table(2, i, "a field path is empty or too long"));
        }
        if !matches!(field.path.first(), Some(PathSegment::Key { .. })) {
            return Err(VerifyError::table(2, i, "a field path does not start with a key"));
        }
        let spelling = field.path.iter().map(|s| match s {
            PathSegment::Key { name, .. } => (Some(name.as_str()), 0),
            PathSegment::Index(n) => (None, i64::from(*n)),
            PathSegment::FromEnd(n) => (None, -1 - i64::from(*n)),
        });
        if !seen.insert(spelling.collect()) {
            return Err(VerifyError::table(2, i, "two fields have the same path"));
        }
    }
    derived(module)
}

fn derived(module: &Module) -> Result<(), VerifyError> {
    let fields = &module.fields;
    let computed = || {
        fields
            .iter()
            .enumerate()
            .filter_map(|(i, field)| Some((i, field, field.derived.as_ref()?)))
    };
    if computed().next().is_none() {
        return Ok(());
    }
    if let Some((i, ..)) = computed().nth(MAX_DERIVED) {
        return Err(VerifyError::table(3, i, "more than 64 fields are derived"));
    }
    let plain = plain_fields(fields);
    for (i, field, derived) in computed() {
        let refuse = |detail| Err(VerifyError::table(3, i, detail));
        let Some(row) = derived.intrinsic.row().filter(|row| row.flags.host) else {
            return refuse("a derived field names an intrinsic that the host does not have");
        };
        if derived.args.len() != row.signature.params.len() {
            return refuse("a derived field has more or fewer arguments than its intrinsic takes");
        }
        let is_plain = |arg: &FieldIdx| plain.get(arg.index()).copied().unwrap_or(false);
        if !derived.args.iter().all(is_plain) {
            return refuse("an argument of a derived field does not exist, or is computed itself");
        }
        let above =
            |other: &Field| field.path.len() > other.path.len() && is_at_or_below(&field.path, &other.path);
        if computed().any(|(_, other, _)| above(other)) {
            return refuse("a derived field lies in another one");
        }
    }
    Ok(())
}

fn consts(module: &Module, host: &HostLimits) -> Result<(), VerifyError> {
    let mut depths: Vec<usize> = Vec::with_capacity(module.consts.len());
    for (i, value) in module.consts.iter().enumerate() {
        let mut depth = 0;
        let mut earlier =
            |k: crate::ConstIdx| depths.get(k.index()).map(|d| depth = depth.max(d + 1)).is_some();
        let ok = match value {
            Const::Null | Const::Bool(_) | Const::Number(_) | Const::Str(_) | Const::Decimal(_) => true,
            Const::Array(items) => items.iter().all(|k| earlier(*k)),
            Const::Object(members) => {
                members.iter().all(|(_, k)| earlier(*k))
                    && members
                        .iter()
                        .zip(members.iter().skip(1))
                        .all(|((a, _), (b, _))| a.as_bytes() < b.as_bytes())
            }
        };
        if !ok {
            return Err(VerifyError::table(
                4,
                i,
                "a constant names a later constant, or its keys are not in order",
            ));
        }
        if depth > MAX_CONST_DEPTH {
            return Err(VerifyError::table(4, i, "a constant nests too deeply"));
        }
        if matches!(value, Const::Number(n) if !n.is_canonical()) {
            return Err(VerifyError::table(16, i, "a number is not in canonical form"));
        }
        if matches!(value, Const::Decimal(text) if !is_decimal(text)) {
            return Err(VerifyError::table(
                16,
                i,
                "a decimal is none, or another kind of number",
            ));
        }
        depths.push(depth);
    }
    // Items may be shared, so a pool of a few hundred bytes can be more than memory holds once it is written out.
    let mut written: u64 = 0;
    for (i, size) in written_sizes(&module.consts).into_iter().enumerate() {
        written = written.saturating_add(size);
        if written > host.constant_size {
            return Err(VerifyError::table(
                17,
                i,
                "the constants are larger than the host allows when written out",
            ));
        }
    }
    Ok(())
}

fn predicates(module: &Module) -> Result<(), VerifyError> {
    let mut cells: HashSet<MemoIdx> = HashSet::new();
    let mut operands = Operands::new(&module.consts);
    for (i, predicate) in module.predicates.iter().enumerate() {
        if predicate.field.index() >= module.fields.len() {
            return Err(VerifyError::table(
                5,
                i,
                "a predicate names a field that does not exist",
            ));
        }
        if predicate.memo.is_some_and(|m| m.0 >= module.memo_cells) {
            return Err(VerifyError::table(
                5,
                i,
                "a predicate names a memo cell that does not exist",
            ));
        }
        if predicate.memo.is_some_and(|m| !cells.insert(m)) {
            return Err(VerifyError::table(18, i, "two predicates share a memo cell"));
        }
        let constant = match predicate.operand {
            PredOperand::Const(k) => match module.consts.get(k.index()) {
                Some(value) => Some(value),
                None => {
                    return Err(VerifyError::table(
                        5,
                        i,
                        "a predicate names a constant that does not exist",
                    ));
                }
            },
            PredOperand::Pattern(x) if x.index() >= module.patterns.len() => {
                return Err(VerifyError::table(
                    5,
                    i,
                    "a predicate names a pattern that does not exist",
                ));
            }
            PredOperand::Field(f) if f.index() >= module.fields.len() => {
                return Err(VerifyError::table(
                    5,
                    i,
                    "a predicate names a field that does not exist",
                ));
            }
            PredOperand::Body(q) if q.index() >= module.bodies.len() => {
                return Err(VerifyError::table(
                    5,
                    i,
                    "a predicate names a body that does not exist",
                ));
            }
            PredOperand::None | PredOperand::Pattern(_) | PredOperand::Field(_) | PredOperand::Body(_) => {
                None
            }
        };
        if !operands.fit(predicate.op, predicate.operand, constant) {
            return Err(VerifyError::table(
                5,
                i,
                "a predicate has an operand that its operator does not take",
            ));
        }
    }
    Ok(())
}

/// Says which operands fit. Remembers what constants read as, because many predicates may name one long list.
pub(super) struct Operands<'m> {
    consts: &'m [Const],
    read: HashMap<(PredOp, ConstIdx), bool>,
}

impl<'m> Operands<'m> {
    pub(super) fn new(consts: &'m [Const]) -> Self {
        Self {
            consts,
            read: HashMap::new(),
        }
    }

    /// Whether an operator takes an operand; `constant` is the one that it names.
    pub(super) fn fit(&mut self, op: PredOp, operand: PredOperand, constant: Option<&Const>) -> bool {
        let consts = self.consts;
        let k = match (op.takes(), operand) {
            (Takes::Nothing, PredOperand::None)
            | (Takes::Pattern, PredOperand::Pattern(_))
            | (Takes::Body, PredOperand::Body(_)) => return true,
            (takes, PredOperand::Field(_)) => return takes.field(),
            (_, PredOperand::Const(k)) => k,
            (_, PredOperand::None | PredOperand::Pattern(_) | PredOperand::Body(_)) => return false,
        };
        match op.takes() {
            Takes::Nothing | Takes::Pattern | Takes::Body => false,
            Takes::Json => true,
            Takes::List => matches!(constant, Some(Const::Array(_))),
            Takes::Text => matches!(constant, Some(Const::Str(_))),
            Takes::Ordered => matches!(
                constant,
                Some(Const::Number(_) | Const::Decimal(_) | Const::Str(_))
            ),
            Takes::Instant => constant.and_then(instant).is_some(),
            Takes::Networks => *self
                .read
                .entry((op, k))
                .or_insert_with(|| networks(consts, k).is_some()),
            Takes::Window => *self
                .read
                .entry((op, k))
                .or_insert_with(|| window(consts, k).is_some()),
        }
    }
}

fn rules(module: &Module) -> Result<(), VerifyError> {
    let mut next: u64 = 0;
    for (i, policy) in module.policies.iter().enumerate() {
        if u64::from(policy.first_rule) != next {
            return Err(VerifyError::table(
                6,
                i,
                "the rules of the policies are not consecutive",
            ));
        }
        let end = next + u64::from(policy.rule_count);
        let own = usize::try_from(next)
            .ok()
            .zip(usize::try_from(end).ok())
            .and_then(|(a, b)| module.rules.get(a..b));
        if !own.is_some_and(|rules| rules.iter().all(|r| r.policy.index() == i)) {
            return Err(VerifyError::table(
                6,
                i,
                "a policy claims rules that are not its own",
            ));
        }
        next = end;
    }
    if next != module.rules.len() as u64 {
        return Err(VerifyError {
            rule: 6,
            function: None,
            index: None,
            detail: "a rule belongs to no policy",
        });
    }
    for (i, rule) in module.rules.iter().enumerate() {
        if module
            .functions
            .get(rule.condition.index())
            .is_none_or(|f| f.params != 0)
        {
            return Err(VerifyError::table(
                7,
                i,
                "a rule's condition is not a function without parameters",
            ));
        }
    }
    Ok(())
}
