//! Modifications: from the verbs of all fired rules to the values that the caller has to use.
//!
//! Changes of one path are composed so that no rule weakens another: of plain values the first in order wins, then come
//! `$default`, `$append`, `$redact`, `$floor`, `$cap` and `$remove`, each for all rules together. Paths at or below one
//! another are composed on one value: what makes comes from the outermost path inwards, what bounds and hides from the
//! innermost outwards, so that an outer path has the last word about everything below it.
//!
//! A verb that meets a value of the wrong type never lets it pass as it is where the policy wanted a bound: `$cap` and
//! `$floor` then give their own number, and the response lists an error.
//!
//! Values with placeholders repeat parts of the request. What all modifications give is no larger than a request may be
//! (the module's `body_bytes`), and making it takes no more than twice the arena that an evaluation may take; beyond
//! that nothing is composed, and the request gets no decision: a change that is not made whole must not look as if it
//! were.

use crate::derive::DeriveHost;
use crate::error::EvaluateError;
use crate::explain::{self, Blame};
use crate::names::View;
use crate::redact::redact;
use crate::response::ErrorView;
use crate::snapshot::Policies;
use crate::target::Target;
use crate::template::{self, Room};
use bumpalo::collections::Vec as BumpVec;
use policy_bytecode::ConstIdx;
use policy_bytecode::manifest::{Manifest, ModificationInfo, ValueNode, VerbInfo};
use policy_primitives::pii::{PiiType, PiiTypeSet};
use policy_vm::place::{self, Change, Step};
use policy_vm::{Array, Bump, Evaluation, Hit, Value};
use std::cmp::Ordering;

/// A modification of a fired rule.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// Position among all modifications of the fired rules.
    order: usize,
    target: &'a Target,
    info: &'a ModificationInfo,
    blame: Blame<'a>,
}

/// What the modifications of all fired rules come to.
#[derive(Clone, Copy)]
pub(crate) struct Composed<'a> {
    /// New values by path, in the order in which rules name the paths.
    pub(crate) entries: &'a [(&'a str, Value<'a>)],
    /// The outermost places, in the order of their steps; none where all values are those of the request.
    pub(crate) changes: &'a [Change<'a>],
    /// Whether a condition looks at one of them.
    pub(crate) read: bool,
    /// Whether what the changes do depends on parts of the request that no field holds: how long a list is.
    pub(crate) in_lists: bool,
}

/// Whether anything but the modified values themselves depends on the modifications of the fired rules among `hits`: they
/// change what a condition looks at, or may be larger than they may be.
pub(crate) fn matters(policies: &Policies, hits: &[Hit]) -> bool {
    let fired = hits.iter().filter(|hit| hit.fired);
    let rules = fired.filter_map(|hit| policies.manifest.rules.get(hit.rule.index()));
    let mut modifications = rules.flat_map(|rule| &rule.modifications);
    modifications.any(|info| {
        let target = policies.targets.get(info.field.index());
        let read = target.is_some_and(|target| target.as_ref().is_some_and(|target| target.read));
        read || match info.verb {
            VerbInfo::Set(value) | VerbInfo::Default(value) | VerbInfo::Append(value) => {
                let value = policies.manifest.values.get(value as usize);
                !matches!(value, Some(ValueNode::Const(_)))
            }
            VerbInfo::Cap(_) | VerbInfo::Floor(_) | VerbInfo::Remove | VerbInfo::Redact(_) => false,
        }
    })
}

/// Composes the modifications of the fired rules among `hits`, which are in order.
///
/// # Errors
///
/// [`EvaluateError::ModificationsTooLarge`].
pub(crate) fn compose<'a>(
    policies: &'a Policies,
    names: View<'a>,
    hits: &[Hit],
    eval: &mut Evaluation<'a, DeriveHost<'_>>,
    errors: &mut BumpVec<'a, ErrorView<'a>>,
) -> Result<Composed<'a>, EvaluateError> {
    let bump = eval.bump();
    let mut asked: BumpVec<'a, Asked<'a>> = BumpVec::new_in(bump);
    for hit in hits.iter().filter(|hit| hit.fired) {
        let Some(rule) = policies.manifest.rules.get(hit.rule.index()) else {
            continue;
        };
        let policy = eval.policy_of(hit.rule).map_or(usize::MAX, |p| p.index());
        let blame: Blame<'a> = explain::blame(names, hit.rule, policy);
        for info in &rule.modifications {
            if let Some(Some(target)) = policies.targets.get(info.field.index()) {
                asked.push(Asked {
                    order: asked.len(),
                    target,
                    info,
                    blame,
                });
            }
        }
    }
    asked.sort_unstable_by_key(|a| (a.target.rank, a.order));

    let limits = eval.module().limits();
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let mut out = Out {
        entries: BumpVec::new_in(bump),
        errors: BumpVec::new_in(bump),
        room: Room::new(bytes(limits.body_bytes)),
        arena: bytes(limits.arena_bytes).saturating_mul(2),
    };
    let mut changes: BumpVec<'a, Change<'a>> = BumpVec::new_in(bump);
    let (mut any, mut read, mut in_lists) = (false, false, false);
    let mut rest: &[Asked<'a>] = asked.into_bump_slice();
    while let Some(first) = rest.first() {
        let below = |a: &Asked<'a>| a.target.is_at_or_below(first.target);
        let (own, more) = rest.split_at(rest.partition_point(below));
        rest = more;
        let before = eval.field(first.info.field);
        let before = if before.is_present() {
            before
        } else {
            Value::Undefined
        };
        let after = Tree::new(own, before, bump)
            .compose(policies, eval, &mut out)
            .ok_or(EvaluateError::ModificationsTooLarge)?;
        let changed = !same(&before, &after);
        any |= changed;
        read |= changed && first.target.read;
        in_lists |= first.target.steps.iter().any(Step::is_index);
        // What stays as it is as well: another change may take away what it stands in, such as a list that gives way.
        changes.push(Change {
            steps: &first.target.steps,
            value: after,
        });
    }
    if !any {
        changes.clear();
        in_lists = false;
    }
    // A path is named by the rule that is first in order, whatever others do to it.
    out.entries.sort_unstable_by_key(|(order, _)| *order);
    out.errors.sort_unstable_by_key(|(order, _)| *order);
    errors.extend(out.errors.iter().map(|(_, error)| *error));
    let entries = bump.alloc_slice_fill_iter(out.entries.iter().map(|(_, entry)| *entry));
    Ok(Composed {
        entries,
        changes: changes.into_bump_slice(),
        read,
        in_lists,
    })
}

/// What is composed, each with its place in the order of all modifications.
struct Out<'a> {
    entries: BumpVec<'a, (usize, (&'a str, Value<'a>))>,
    errors: BumpVec<'a, (usize, ErrorView<'a>)>,
    /// For the values that rules give.
    room: Room,
    /// Bytes of the arena that may be in use.
    arena: usize,
}

/// One path, and what rules want of it.
struct Spot<'a> {
    asked: &'a [Asked<'a>],
    /// From the outermost path of the tree on.
    steps: &'a [Step],
    /// The nearest spot that this one is below.
    above: Option<usize>,
    /// Some verb has given it a value.
    touched: bool,
    removed: bool,
    /// Type of what a bound was put in place of.
    wrong: Option<&'static str>,
}

/// A path and all below it that are modified, and the value at the outermost one.
struct Tree<'a> {
    value: Value<'a>,
    spots: BumpVec<'a, Spot<'a>>,
    bump: &'a Bump,
}

impl<'a> Tree<'a> {
    /// `asked` is ordered by place; the first is the outermost.
    fn new(asked: &'a [Asked<'a>], value: Value<'a>, bump: &'a Bump) -> Self {
        let mut spots = BumpVec::new_in(bump);
        let outermost = asked.first().map_or(0, |a| a.target.steps.len());
        let mut rest = asked;
        // The spots that the last one is below, and itself: what is below it comes directly behind.
        let mut open: BumpVec<'a, (usize, &'a [Step])> = BumpVec::new_in(bump);
        while let Some(first) = rest.first() {
            let here = |a: &Asked<'a>| a.target.rank == first.target.rank;
            let (own, more) = rest.split_at(rest.partition_point(here));
            rest = more;
            let steps = first.target.steps.get(outermost..).unwrap_or(&[]);
            while open.last().is_some_and(|(_, outer)| !steps.starts_with(outer)) {
                open.pop();
            }
            let above = open.last().map(|(spot, _)| *spot);
            open.push((spots.len(), steps));
            spots.push(Spot {
                asked: own,
                steps,
                above,
                touched: false,
                removed: false,
                wrong: None,
            });
        }
        Self { value, spots, bump }
    }

    fn compose(
        mut self,
        policies: &'a Policies,
        eval: &mut Evaluation<'a, DeriveHost<'_>>,
        out: &mut Out<'a>,
    ) -> Option<Value<'a>> {
        let manifest = &policies.manifest;
        let arena = out.arena;
        let fits = |eval: &Evaluation<'a, DeriveHost<'_>>| (eval.arena_used() <= arena).then_some(());
        let count = self.spots.len();
        for spot in 0..count {
            self.set(spot, manifest, eval, &mut out.room)?;
            fits(eval)?;
        }
        for spot in 0..count {
            self.append(spot, manifest, eval, &mut out.room)?;
            fits(eval)?;
        }
        for spot in (0..count).rev() {
            self.redact(spot, eval);
            fits(eval)?;
        }
        for spot in (0..count).rev() {
            self.bound(spot, eval);
            fits(eval)?;
        }
        for spot in 0..count {
            self.remove(spot);
            fits(eval)?;
        }
        for spot in &self.spots {
            let Some(first) = spot.asked.first() else { continue };
            let value = match place::get(self.value, spot.steps) {
                _ if spot.removed => Some(Value::Null),
                // Gone with a path above.
                Value::Undefined => None,
                value => spot.touched.then_some(value),
            };
            if let Some(value) = value {
                out.entries.push((first.order, (&first.info.path, value)));
            }
            for asked in spot.asked {
                let bounds = matches!(asked.info.verb, VerbInfo::Cap(_) | VerbInfo::Floor(_));
                if let Some(found) = spot.wrong.filter(|_| bounds) {
                    let error = wrong_type(asked.info, found, asked.blame, self.bump);
                    out.errors.push((asked.order, error));
                }
            }
        }
        Some(self.value)
    }

    fn current(&self, spot: usize) -> Value<'a> {
        let steps = self.spots.get(spot).map_or(&[][..], |spot| spot.steps);
        place::get(self.value, steps)
    }

    /// What rules want of a spot by one verb, in order.
    fn wanted<T>(&self, spot: usize, verb: impl Fn(&'a VerbInfo) -> Option<T>) -> &'a [T] {
        let asked = self.spots.get(spot).map_or(&[][..], |spot| spot.asked);
        let mut out = BumpVec::new_in(self.bump);
        out.extend(asked.iter().filter_map(|a| verb(&a.info.verb)));
        out.into_bump_slice()
    }

    fn write(&mut self, spot: usize, value: Value<'a>) {
        let Some(spot) = self.spots.get_mut(spot) else {
            return;
        };
        if let Some(whole) = place::put(self.value, spot.steps, value, self.bump) {
            self.value = whole;
            spot.touched = true;
        }
    }

    /// The first plain value, or where nothing is the first default. `None` where there is no room for it.
    fn set(
        &mut self,
        spot: usize,
        manifest: &'a Manifest,
        eval: &mut Evaluation<'a, DeriveHost<'_>>,
        room: &mut Room,
    ) -> Option<()> {
        let plain = self.wanted(spot, |verb| match verb {
            VerbInfo::Set(v) => Some(*v),
            _other => None,
        });
        let default = self.wanted(spot, |verb| match verb {
            VerbInfo::Default(v) => Some(*v),
            _other => None,
        });
        let missing = !self.current(spot).is_present();
        let default = default.first().filter(|_| missing);
        if let Some(v) = plain.first().or(default) {
            let value = template::build(manifest, *v, eval, room)?;
            self.write(spot, value);
        }
        Some(())
    }

    /// Everything that is to be appended, in order. What is no list becomes the first element of one. `None` where there
    /// is no room for it.
    fn append(
        &mut self,
        spot: usize,
        manifest: &'a Manifest,
        eval: &mut Evaluation<'a, DeriveHost<'_>>,
        room: &mut Room,
    ) -> Option<()> {
        let more = self.wanted(spot, |verb| match verb {
            VerbInfo::Append(v) => Some(*v),
            _other => None,
        });
        if more.is_empty() {
            return Some(());
        }
        let mut items = BumpVec::new_in(self.bump);
        match self.current(spot) {
            Value::Array(list) => items.extend(list),
            Value::Null | Value::Undefined | Value::Unknown => {}
            other => items.push(other),
        }
        for v in more {
            items.push(template::build(manifest, *v, eval, room)?);
        }
        self.write(
            spot,
            Value::Array(Array::new_in(items.into_bump_slice(), self.bump)),
        );
        Some(())
    }

    /// Redacts the types that any rule names for this spot or for one above it: what is in two detections at once is
    /// then taken out as a whole.
    fn redact(&mut self, spot: usize, eval: &mut Evaluation<'a, DeriveHost<'_>>) {
        let types = |spot: usize| {
            self.wanted(spot, |verb| match verb {
                VerbInfo::Redact(names) => Some(wanted(names)),
                _other => None,
            })
            .iter()
            .copied()
            .reduce(PiiTypeSet::union)
        };
        let Some(own) = types(spot) else { return };
        let outer = |spot: &usize| self.spots.get(*spot)?.above;
        let above = std::iter::successors(outer(&spot), outer);
        let all = above.filter_map(types).fold(own, PiiTypeSet::union);
        let current = self.current(spot);
        if current.is_present() {
            let first = self.spots.get(spot).and_then(|spot| spot.asked.first());
            let path = first.and_then(|asked| eval.module().field_path(asked.info.field));
            let redacted = redact(current, path.unwrap_or(&[]), all, eval.host(), self.bump);
            self.write(spot, redacted);
        }
    }

    /// The present number between the largest floor and the smallest cap; the cap where they cross.
    fn bound(&mut self, spot: usize, eval: &mut Evaluation<'a, DeriveHost<'_>>) {
        let constants = |verb: fn(&VerbInfo) -> Option<ConstIdx>, beyond: Ordering| {
            let constants = self.wanted(spot, verb).iter();
            let values = constants.map(|k| eval.module().constant(*k));
            values.reduce(|best, value| {
                if compare(&value, &best) == Some(beyond) {
                    value
                } else {
                    best
                }
            })
        };
        let floor = |verb: &VerbInfo| match verb {
            VerbInfo::Floor(k) => Some(*k),
            _other => None,
        };
        let cap = |verb: &VerbInfo| match verb {
            VerbInfo::Cap(k) => Some(*k),
            _other => None,
        };
        let (floor, cap) = (
            constants(floor, Ordering::Greater),
            constants(cap, Ordering::Less),
        );
        let Some(bound) = floor.or(cap) else { return };
        let current = self.current(spot);
        let number = compare(&current, &current).is_some();
        let mut value = if number { current } else { bound };
        if let Some(floor) = floor.filter(|floor| compare(&value, floor) == Some(Ordering::Less)) {
            value = floor;
        }
        if let Some(cap) = cap.filter(|cap| compare(&value, cap) == Some(Ordering::Greater)) {
            value = cap;
        }
        self.write(spot, value);
        if let Some(spot) = self
            .spots
            .get_mut(spot)
            .filter(|_| !number && current.is_present())
        {
            spot.wrong = Some(current.type_name());
        }
    }

    fn remove(&mut self, spot: usize) {
        let asked = self.wanted(spot, |verb| matches!(verb, VerbInfo::Remove).then_some(()));
        let there = !asked.is_empty() && self.current(spot).is_present();
        if let Some(spot) = self.spots.get_mut(spot).filter(|_| there) {
            self.value = place::take(self.value, spot.steps, self.bump);
            spot.removed = true;
        }
    }
}

/// Order of two numbers; `None` where one is something else.
fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    Some(a.exact()?.compare(b.exact()?))
}

/// Whether two values are the same letter for letter: `1` and `1.0` are not.
fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Undefined, Value::Undefined) => true,
        (Value::Number(x), Value::Number(y)) => {
            std::mem::discriminant(x) == std::mem::discriminant(y) && a.equals(b)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.is(b) || a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(&a, &b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let equal = |((k, a), (l, b)): ((&str, Value<'_>), (&str, Value<'_>))| k == l && same(&a, &b);
            a.is(b) || a.len() == b.len() && a.iter().zip(b.iter()).all(equal)
        }
        (a, b) => a.equals(b),
    }
}

fn wrong_type<'a>(
    modification: &'a ModificationInfo,
    found: &'a str,
    blame: Blame<'a>,
    bump: &'a Bump,
) -> ErrorView<'a> {
    let path = modification.path.as_str();
    let expected = "number";
    let message = template::text(
        bump,
        format_args!("the modification of `{path}` needs {expected}, found {found}"),
    );
    ErrorView {
        policy: blame.policy,
        rule: blame.rule,
        field: path,
        found,
        expected,
        message,
    }
}

/// No names mean all types.
fn wanted(names: &[String]) -> PiiTypeSet {
    if names.is_empty() {
        return PiiTypeSet::ALL;
    }
    // Names were checked when the policy was compiled; one that this build does not know redacts everything, because
    // leaving something in is the worse mistake.
    let mut types = PiiTypeSet::EMPTY;
    for name in names {
        match name.parse::<PiiType>() {
            Ok(kind) => types.insert(kind),
            Err(_unknown) => return PiiTypeSet::ALL,
        }
    }
    types
}
