//! Rebuilding a function with other outcomes: the part that all passes over conditions share.
//!
//! Data, effects and control flow are copied. Outcomes are made anew, from the terminators that ask for them down to
//! the comparisons, as the pass says; equal outcomes of a block become one value. What nobody asks for disappears. An outcome
//! has the place of the one that it is made for, so that no pass has to think of places.

use crate::ir::{Block, BlockId, Function, Inst, Kind, Loc, Locs, Terminator, ValueId};
use policy_bytecode::Stop;
use std::collections::HashMap;

/// A pass over outcomes.
pub(super) trait Rewrite {
    /// Makes the outcome `id` of the old function, negated when `negate`, in the new one. Operands are asked for with
    /// [`Rebuild::outcome`], results made with [`Rebuild::make`].
    fn outcome(&self, cx: &mut Rebuild<'_>, id: ValueId, negate: bool) -> ValueId;
}

/// A function being rebuilt.
pub(super) struct Rebuild<'a> {
    old: &'a Function,
    new: Function,
    block: Block,
    /// Old data value → new.
    data: Vec<Option<ValueId>>,
    /// Old outcome → new, plain and negated, in the current block.
    done: HashMap<(ValueId, bool), ValueId>,
    /// Outcomes of the current block.
    made: HashMap<Inst, ValueId>,
    /// Where the outcome that is being made anew was written.
    at: Option<Loc>,
    pass: &'a dyn Rewrite,
}

/// The function with its outcomes rewritten by `pass`.
pub(super) fn rebuild(old: &Function, pass: &dyn Rewrite) -> Function {
    let mut cx = Rebuild {
        old,
        new: Function {
            values: Vec::with_capacity(old.values.len()),
            locs: Locs::default(),
            blocks: Vec::with_capacity(old.blocks.len()),
            shared: old.shared,
            guards: Vec::new(),
        },
        block: empty_block(),
        data: vec![None; old.values.len()],
        done: HashMap::new(),
        made: HashMap::new(),
        at: None,
        pass,
    };
    // Data first, so that blocks may use what later blocks in the list define.
    for block in &old.blocks {
        for id in block.params.iter().chain(&block.insts) {
            if let Some(inst) = old.value(*id)
                && inst.kind() != Kind::Outcome
            {
                let new = cx.new.add(inst.clone(), old.loc(*id));
                if let Some(place) = cx.data.get_mut(id.index()) {
                    *place = Some(new);
                }
            }
        }
    }
    for block in &old.blocks {
        cx.done.clear();
        cx.made.clear();
        cx.block.params = block.params.iter().map(|p| cx.data(*p)).collect();
        for id in &block.insts {
            if old.value(*id).is_some_and(|inst| inst.kind() != Kind::Outcome) {
                let new = cx.data(*id);
                cx.block.insts.push(new);
            }
        }
        let mut end = block.end.clone();
        end.map_operands(|v| cx.any(v));
        let mut finished = std::mem::replace(&mut cx.block, empty_block());
        finished.end = end;
        cx.new.blocks.push(finished);
    }
    let data = std::mem::take(&mut cx.data);
    let map = |v: ValueId| data.get(v.index()).copied().flatten().unwrap_or(v);
    // Outcomes already speak of new values; data were copied with their old operands.
    let copied: Vec<ValueId> = data.iter().copied().flatten().collect();
    for id in copied {
        if let Some(inst) = cx.new.values.get_mut(id.index()) {
            inst.map_operands(map);
        }
    }
    cx.new
}

fn empty_block() -> Block {
    Block {
        params: Vec::new(),
        insts: Vec::new(),
        end: Terminator::Jump {
            target: BlockId(0),
            args: Vec::new(),
        },
    }
}

impl Rebuild<'_> {
    /// The instruction of an old value.
    pub(super) fn old(&self, id: ValueId) -> &Inst {
        // INVARIANT: ids come from the old function itself; the constant is never seen.
        self.old.value(id).unwrap_or(&Inst::Const { value: false })
    }

    /// The instruction of a new value.
    pub(super) fn new_inst(&self, id: ValueId) -> &Inst {
        self.new.value(id).unwrap_or(&Inst::Const { value: false })
    }

    /// The new value of the old outcome `id`, negated when `negate`.
    pub(super) fn outcome(&mut self, id: ValueId, negate: bool) -> ValueId {
        if let Some(known) = self.done.get(&(id, negate)) {
            return *known;
        }
        let pass = self.pass;
        let around = std::mem::replace(&mut self.at, self.old.loc(id));
        let new = pass.outcome(self, id, negate);
        self.at = around;
        self.done.insert((id, negate), new);
        new
    }

    /// The new value of old data.
    pub(super) fn data(&self, id: ValueId) -> ValueId {
        self.data.get(id.index()).copied().flatten().unwrap_or(id)
    }

    fn any(&mut self, id: ValueId) -> ValueId {
        match self.old(id).kind() {
            Kind::Outcome => self.outcome(id, false),
            Kind::Data | Kind::Effect => self.data(id),
        }
    }

    /// An outcome of the new function, at the place of the old one that it is made for; an equal one of the same block is used
    /// again, at the place where it was asked for first.
    pub(super) fn make(&mut self, inst: Inst) -> ValueId {
        if let Some(known) = self.made.get(&inst) {
            return *known;
        }
        let id = self.new.add(inst.clone(), self.at);
        self.block.insts.push(id);
        self.made.insert(inst, id);
        id
    }

    /// The outcome `id` of the old function with each operand rewritten, and nothing else changed.
    pub(super) fn copy(&mut self, id: ValueId) -> ValueId {
        let mut inst = self.old(id).clone();
        let takes = inst.takes();
        inst.map_operands(|v| match takes {
            Kind::Outcome => self.outcome(v, false),
            Kind::Data | Kind::Effect => self.data(v),
        });
        self.make(inst)
    }
}

/// Rebuilds every function and counts those that changed; no more of them once `stop` is asked to.
pub(super) fn rebuild_all(functions: &mut [Function], pass: &dyn Rewrite, stop: &Stop) -> usize {
    let mut changed = 0;
    for function in functions.iter_mut().take_while(|_| !stop.is_asked()) {
        let new = rebuild(function, pass);
        if new != *function {
            changed += 1;
            // Parts that the pass made and then did without are gone from the copy.
            *function = rebuild(&new, &Copy);
        }
    }
    changed
}

/// Rebuilds with [`Copy`] the functions that it would change, and counts them.
pub(super) fn copy_all(functions: &mut [Function], stop: &Stop) -> usize {
    let mut changed = 0;
    let go_on = functions.iter_mut().take_while(|_| !stop.is_asked());
    for function in go_on.filter(|f| !is_copy(f)) {
        let new = rebuild(function, &Copy);
        changed += usize::from(new != *function);
        *function = new;
    }
    changed
}

/// Whether [`Copy`] leaves a function as it is, told without making anything: one block of few outcomes, all different,
/// in the order in which they are asked for. `false` where that takes more than a look.
pub(super) fn is_copy(function: &Function) -> bool {
    const FEW: usize = 16;
    let [block] = function.blocks.as_slice() else {
        return false;
    };
    let values = &function.values;
    let Terminator::Ret(root) = block.end else {
        return false;
    };
    let listed = block.insts.iter().enumerate();
    values.len() <= FEW
        && block.params.is_empty()
        && block.insts.len() == values.len()
        && listed.into_iter().all(|(i, id)| id.index() == i)
        && values
            .iter()
            .all(|inst| inst.kind() == Kind::Outcome && !matches!(inst, Inst::Truth { .. }))
        && asked_in_order(values, root, &mut 0)
        && root.index() + 1 == values.len()
        && values
            .iter()
            .enumerate()
            .all(|(i, inst)| !values.iter().skip(i + 1).any(|other| other == inst))
}

/// Walks the outcomes as a rebuilding does, depth first; `next` is the number that the next new one gets.
fn asked_in_order(values: &[Inst], id: ValueId, next: &mut usize) -> bool {
    if id.index() < *next {
        return true;
    }
    let Some(inst) = values.get(id.index()) else {
        return false;
    };
    let mut ok = true;
    inst.operands(|operand| {
        // Operands stand before what uses them; anything else is not well-formed and might never end.
        ok = ok && operand < id && asked_in_order(values, operand, next);
    });
    ok &= id.index() == *next;
    *next += 1;
    ok
}

/// Changes nothing: equal outcomes of a block become one, those that nobody asks for disappear.
#[derive(Debug)]
pub(super) struct Copy;

impl Rewrite for Copy {
    fn outcome(&self, cx: &mut Rebuild<'_>, id: ValueId, _negate: bool) -> ValueId {
        cx.copy(id)
    }
}

#[cfg(test)]
mod tests {
    use super::{Copy, Function, Inst, ValueId, is_copy, rebuild};
    use crate::ir::{BlockId, Negated, Terminator};
    use policy_bytecode::PredIdx;
    use proptest::prelude::*;

    /// A function of one block over few comparisons, so that many are equal; values may be dead or out of order.
    fn function() -> impl Strategy<Value = Function> {
        let inst = (
            0u32..6,
            0u32..4,
            prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        );
        (prop::collection::vec(inst, 1..8), any::<prop::sample::Index>()).prop_map(|(insts, root)| {
            let mut function = Function::new();
            for (i, (kind, pred, operands)) in insts.into_iter().enumerate() {
                let operands: Vec<ValueId> = operands
                    .into_iter()
                    .filter(|_| i > 0)
                    .map(|o| ValueId::from_index(o.index(i.max(1))))
                    .collect();
                function.push(
                    BlockId(0),
                    match (kind, operands.first()) {
                        (0, Some(_)) => Inst::And { operands },
                        (1, Some(_)) => Inst::Or { operands },
                        (2, Some(first)) => Inst::Not { operand: *first },
                        (3, _) => Inst::Const { value: pred % 2 == 0 },
                        _test => Inst::Test {
                            pred: PredIdx(pred),
                            negated: Negated(false),
                        },
                    },
                    None,
                );
            }
            let root = if function.values.len().is_multiple_of(3) {
                root.index(function.values.len())
            } else {
                function.values.len() - 1
            };
            function.blocks[0].end = Terminator::Ret(ValueId::from_index(root));
            function
        })
    }

    proptest! {
        #[test]
        fn a_look_tells_what_copying_would_do(function in function()) {
            let copied = rebuild(&function, &Copy);
            prop_assert_eq!(is_copy(&function), copied == function);
            prop_assert!(is_copy(&copied));
        }
    }
}
