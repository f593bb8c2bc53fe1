//! How responses name policies and rules.
//!
//! Ids are unique in their namespace, those of rules in their policy. So a response says the id where the namespace of the
//! request sees one such thing, and more where it sees several: `namespace/id` for a policy, and for a rule the name of its
//! policy before its id. What the request does not see changes no name in its response: no tenant can make another one's
//! rules look different. The list `policies` of a request changes none either.
//!
//! Made once for a set. A namespace keeps only the names that differ from those that `global` has by itself, so that many
//! namespaces take no more room than their rules.

use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::PolicyRange;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Policies of this namespace apply to every request.
pub(crate) const GLOBAL: &str = "global";

/// Names that are not the ids, in the order of the indexes.
#[derive(Debug, Default)]
struct Renamed(Vec<(usize, Box<str>)>);

impl Renamed {
    fn get(&self, index: usize) -> Option<&str> {
        let at = self.0.binary_search_by_key(&index, |(i, _)| *i).ok()?;
        self.0.get(at).map(|(_, name)| &**name)
    }

    fn of(names: BTreeMap<usize, String>) -> Self {
        let names = names.into_iter();
        Self(
            names
                .map(|(index, name)| (index, name.into_boxed_str()))
                .collect(),
        )
    }
}

/// The names of one view that are not the ids.
#[derive(Debug, Default)]
pub(crate) struct Names {
    policies: Renamed,
    rules: Renamed,
}

impl Names {
    fn is_empty(&self) -> bool {
        self.policies.0.is_empty() && self.rules.0.is_empty()
    }
}

/// The names that a request sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'p> {
    pub(crate) manifest: &'p Manifest,
    pub(crate) own: &'p Names,
    /// What counts where `own` says nothing.
    pub(crate) otherwise: Option<&'p Names>,
}

impl<'p> View<'p> {
    /// The name of a policy.
    pub(crate) fn policy(self, index: usize) -> &'p str {
        let renamed = |names: &'p Names| names.policies.get(index);
        let id = || self.manifest.policies.get(index).map_or("", |p| p.id.as_str());
        renamed(self.own)
            .or_else(|| self.otherwise.and_then(renamed))
            .unwrap_or_else(id)
    }

    /// The name of a rule.
    #[inline]
    pub(crate) fn rule(self, index: usize) -> &'p str {
        let renamed = |names: &'p Names| names.rules.get(index);
        let id = || self.manifest.rules.get(index).map_or("", |r| r.id.as_str());
        renamed(self.own)
            .or_else(|| self.otherwise.and_then(renamed))
            .unwrap_or_else(id)
    }
}

/// The names of a set, for every view of it.
#[derive(Debug, Default)]
pub(crate) struct AllNames {
    /// Of a request that names no namespace.
    pub(crate) all: Names,
    /// Of a request that sees `global` alone.
    pub(crate) global: Names,
    /// What is different for a request that sees this namespace beside `global`, where anything is.
    pub(crate) beside_global: HashMap<String, Names>,
}

impl AllNames {
    /// `ranges` are the rules of each policy of the manifest.
    pub(crate) fn of(manifest: &Manifest, ranges: &[PolicyRange]) -> Self {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, policy) in manifest.policies.iter().enumerate() {
            groups.entry(&policy.namespace).or_default().push(index);
        }
        let everything: Vec<usize> = (0..manifest.policies.len()).collect();
        let set = Set { manifest, ranges };
        let none = Group::default();
        let all = set.group(&everything);
        let global = groups
            .remove(GLOBAL)
            .map_or_else(Group::default, |own| set.group(&own));
        Self {
            all: set.names(&all, &none),
            global: set.names(&global, &none),
            beside_global: groups
                .into_iter()
                .map(|(namespace, own)| (namespace.to_owned(), set.names(&set.group(&own), &global)))
                .filter(|(_, names)| !names.is_empty())
                .collect(),
        }
    }
}

#[derive(Clone, Copy)]
struct Set<'s> {
    manifest: &'s Manifest,
    ranges: &'s [PolicyRange],
}

/// Policies, and where their ids and those of their rules occur.
#[derive(Default)]
struct Group<'s> {
    policies: BTreeMap<&'s str, Vec<usize>>,
    /// Rules with their policies, by those ids that another policy of the set has as well.
    rules: BTreeMap<&'s str, Vec<(usize, usize)>>,
}

impl<'s> Set<'s> {
    /// The rules of a policy.
    fn rules(self, policy: usize) -> Range<usize> {
        self.ranges.get(policy).map_or(0..0, |range| {
            let first = range.first_rule as usize;
            first..first.saturating_add(range.rule_count as usize)
        })
    }

    fn group(self, policies: &[usize]) -> Group<'s> {
        let mut group = Group::default();
        for policy in policies {
            if let Some(info) = self.manifest.policies.get(*policy) {
                group.policies.entry(&info.id).or_default().push(*policy);
            }
            for rule in self.rules(*policy) {
                if let Some(info) = self.manifest.rules.get(rule).filter(|info| info.qualified) {
                    group.rules.entry(&info.id).or_default().push((rule, *policy));
                }
            }
        }
        group
    }

    /// The names that differ from the ids where `own` is seen beside `base`. Those of `base` are given where `own` changes
    /// them, and the work does not grow with the rest of it.
    fn names(self, own: &Group<'s>, base: &Group<'s>) -> Names {
        let mut policies: BTreeMap<usize, String> = BTreeMap::new();
        let mut of_base = Vec::new();
        for (id, indexes) in &own.policies {
            let others = base.policies.get(id).map_or(&[][..], Vec::as_slice);
            if indexes.len() + others.len() > 1 {
                of_base.extend_from_slice(others);
                for policy in indexes.iter().chain(others) {
                    let namespace = self.manifest.policies.get(*policy).map_or("", |p| &p.namespace);
                    policies.insert(*policy, format!("{namespace}/{id}"));
                }
            }
        }
        let mut rules: BTreeMap<usize, String> = BTreeMap::new();
        let mut name = |rule: usize, policy: usize, id: &str| {
            let of = policies.get(&policy).map(String::as_str);
            let of = of.or_else(|| self.manifest.policies.get(policy).map(|p| p.id.as_str()));
            rules.insert(rule, format!("{}/{id}", of.unwrap_or_default()));
        };
        for (id, places) in &own.rules {
            let others = base.rules.get(id).map_or(&[][..], Vec::as_slice);
            if places.len() + others.len() > 1 {
                // Several of the base have their names there.
                let alone = others.iter().take(if others.len() == 1 { 1 } else { 0 });
                for (rule, policy) in places.iter().chain(alone) {
                    name(*rule, *policy, id);
                }
            }
        }
        // A policy of the base that got another name takes it into the names of its rules.
        for policy in of_base {
            for rule in self.rules(policy) {
                let info = self.manifest.rules.get(rule);
                let shared = |id: &str| base.rules.get(id).is_some_and(|places| places.len() > 1);
                if let Some(info) = info.filter(|info| shared(&info.id)) {
                    name(rule, policy, &info.id);
                }
            }
        }
        Names {
            policies: Renamed::of(policies),
            rules: Renamed::of(rules),
        }
    }
}
