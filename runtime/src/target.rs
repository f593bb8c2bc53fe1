//! The places that a set of policies modifies, in order, and whether conditions look at them.

use policy_bytecode::FieldIdx;
use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::Module;
use policy_vm::place::Step;
use std::collections::BTreeSet;

/// A path that some rule modifies.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) steps: Vec<Step>,
    /// Place in the order of all steps. Spellings of one place have one rank, and what is below it comes directly behind.
    pub(crate) rank: u32,
    /// Whether a condition looks at what is there, above or below.
    pub(crate) read: bool,
}

impl Target {
    pub(crate) fn is_at_or_below(&self, above: &Self) -> bool {
        self.steps.starts_with(&above.steps)
    }
}

/// The targets of a set's modifications, by field.
pub(crate) fn targets(module: &Module, manifest: &Manifest) -> Vec<Option<Target>> {
    let path = |field: FieldIdx| module.fields.get(field.index()).map(|f| Step::path(&f.path));
    // A condition that reads a derived field looks at what that is computed from.
    let derived = module.fields.iter().filter_map(|field| field.derived.as_ref());
    let args = derived.flat_map(|derived| derived.args.iter().copied());
    let read: Vec<Vec<Step>> = module.fields_read().chain(args).filter_map(path).collect();
    let exact: BTreeSet<Vec<&str>> = read.iter().map(|steps| keys(steps)).collect();
    let mut above: BTreeSet<Vec<&str>> = BTreeSet::new();
    // Where a condition looks into a list: a key written there takes the place of the list.
    let mut lists: BTreeSet<Vec<&str>> = BTreeSet::new();
    for steps in &read {
        let keys = keys(steps);
        for (length, step) in steps.iter().enumerate() {
            let before = keys.get(..length).unwrap_or(&keys);
            above.insert(before.to_vec());
            if step.is_index() {
                lists.insert(before.to_vec());
            }
        }
        above.insert(keys);
    }
    let is_read = |steps: &[Step]| {
        let keys = keys(steps);
        let mut before = (0..keys.len()).filter_map(|length| keys.get(..length).zip(steps.get(length)));
        above.contains(&keys)
            || (1..=keys.len()).any(|length| keys.get(..length).is_some_and(|k| exact.contains(k)))
            || before.any(|(before, step)| !step.is_index() && lists.contains(before))
    };
    let mut targets: Vec<Option<Target>> = module.fields.iter().map(|_| None).collect();
    for info in manifest.rules.iter().flat_map(|rule| &rule.modifications) {
        if let (Some(place @ None), Some(steps)) = (targets.get_mut(info.field.index()), path(info.field)) {
            *place = Some(Target {
                rank: 0,
                read: is_read(&steps),
                steps,
            });
        }
    }
    let mut ordered: Vec<&mut Target> = targets.iter_mut().flatten().collect();
    ordered.sort_by(|a, b| a.steps.cmp(&b.steps));
    let mut rank = 0;
    let mut before: Option<&[Step]> = None;
    for target in ordered {
        rank += u32::from(before != Some(&target.steps));
        target.rank = rank;
        before = Some(&target.steps);
    }
    targets
}

/// The steps as keys, as far as it is known which ones they are.
fn keys(steps: &[Step]) -> Vec<&str> {
    let known = steps.iter().take_while(|step| !step.is_from_end());
    known.map(Step::key).collect()
}
