//! Link: many programs with small tables → one program.
//!
//! Fifth stage. Policies are put in evaluation order (priority descending, then id and namespace by bytes) and their tables are
//! interned in that order, so that the result depends on the set alone: not on the order in which files came, nor on
//! which units were made just now. The work is linear in the size of the set and does nothing but copy and renumber.

use crate::ir::renumber::{Numbers, Table};
use crate::ir::{Loc, Predicate, Program};
use crate::options::Options;
use crate::unit::PolicyUnit;
use policy_bytecode::manifest::{Manifest, TemplatePart, ValueNode};
use policy_bytecode::module::PathSegment;
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::Body;
use policy_bytecode::{Const, ConstIdx, FieldIdx, Number};
use policy_grammar::{FileId, SourceMap};
use std::cmp::Reverse;
use std::collections::HashMap;

/// A policy, and the number that its file has in this set.
pub(crate) type Placed<'a> = (FileId, &'a PolicyUnit);

/// Tables are never iterated by hash, so a fast hasher with a random seed changes no output.
type Index<K> = HashMap<K, u32, foldhash::fast::RandomState>;

/// Links those of `policies`, in evaluation order, that take part in decisions; the others have no program.
pub(crate) fn link(policies: &[Placed<'_>], sources: &SourceMap, options: &Options) -> Program {
    let order: Vec<(FileId, &Program)> = policies
        .iter()
        .filter_map(|(file, unit)| Some((*file, unit.program.as_ref()?)))
        .collect();
    let mut linker = Linker::sized(&order);
    linker.out.manifest = Manifest {
        compiler: env!("CARGO_PKG_VERSION").to_owned(),
        opt_level: options.opt_level.number(),
        files: sources.iter().map(|(_, file)| file.name().to_owned()).collect(),
        ..std::mem::take(&mut linker.out.manifest)
    };
    for (file, program) in &order {
        linker.add(*file, program);
    }
    let mut out = linker.out;
    out.keep_what_bodies_share();
    qualify(&mut out);
    out
}

/// Policies in evaluation order.
pub(crate) fn in_order<'a>(policies: impl Iterator<Item = Placed<'a>>) -> Vec<Placed<'a>> {
    let mut order: Vec<Placed<'a>> = policies.collect();
    order.sort_by_key(|(_, unit)| {
        let head = &unit.head;
        (
            Reverse(head.priority),
            head.id.as_bytes(),
            head.namespace.as_bytes(),
        )
    });
    order
}

/// Rules whose ids occur in several policies may have to be shown with the name of their policy.
fn qualify(program: &mut Program) {
    let mut counts: Index<&str> = HashMap::default();
    for info in &program.manifest.rules {
        *counts.entry(&info.id).or_insert(0) += 1;
    }
    let shared: Vec<bool> = program
        .manifest
        .rules
        .iter()
        .map(|info| counts.get(info.id.as_str()).is_some_and(|n| *n > 1))
        .collect();
    for (info, shared) in program.manifest.rules.iter_mut().zip(shared) {
        info.qualified = shared;
    }
}

/// What makes two constants equal: integers and doubles of one value stay apart.
#[derive(PartialEq, Eq, Hash)]
enum ConstKey<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(u64),
    Str(&'a str),
    Decimal(&'a str),
    Array(Vec<ConstIdx>),
    Object(Vec<(&'a str, ConstIdx)>),
}

/// What makes two templates equal.
#[derive(PartialEq, Eq, Hash)]
enum Piece<'a> {
    Text(&'a str),
    Field(FieldIdx),
}

/// The program so far, and where each entry of its tables is found. Keys are borrowed from the units.
#[derive(Default)]
struct Linker<'a> {
    out: Program,
    /// By path: what else a field is follows from that.
    fields: Index<&'a [PathSegment]>,
    consts: Index<ConstKey<'a>>,
    patterns: Index<&'a str>,
    predicates: Index<(PredOp, FieldIdx, PredOperand)>,
    bodies: Index<Body>,
    templates: Index<Vec<Piece<'a>>>,
    /// Values that are plain constants.
    values: Index<ConstIdx>,
}

/// The number of the entry of `key`; a new one is the next of `table`.
fn intern<K: Eq + std::hash::Hash, T>(
    index: &mut Index<K>,
    table: &mut Vec<T>,
    key: K,
    make: impl FnOnce() -> T,
) -> u32 {
    *index.entry(key).or_insert_with(|| {
        table.push(make());
        number(table.len() - 1)
    })
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl<'a> Linker<'a> {
    /// With room for everything, as if nothing were shared where little is.
    fn sized(programs: &[(FileId, &Program)]) -> Self {
        let total = |count: fn(&Program) -> usize| programs.iter().map(|(_, p)| count(p)).sum::<usize>();
        let rules = total(|p| p.rules.len());
        let mut linker = Self::default();
        linker.out.functions.reserve_exact(total(|p| p.functions.len()));
        linker.out.rules.reserve_exact(rules);
        linker.out.policies.reserve_exact(programs.len());
        let manifest = &mut linker.out.manifest;
        manifest.policies.reserve_exact(programs.len());
        manifest.rules.reserve_exact(rules);
        let conditions = total(|p| p.manifest.conditions.len());
        manifest.conditions.reserve_exact(conditions);
        linker.out.condition_locs.reserve_exact(conditions);
        linker
    }

    fn add(&mut self, file: FileId, unit: &'a Program) {
        let new = self.tables(file, unit);
        let out = &mut self.out;
        let policy = number(out.policies.len());
        out.policies.extend_from_slice(&unit.policies);
        out.functions.extend(unit.functions.iter().map(|function| {
            let mut function = function.clone();
            new.function(&mut function);
            function.locs.move_to(file.0);
            function
        }));
        out.rules.extend(unit.rules.iter().map(|rule| {
            let mut rule = rule.clone();
            new.rule(&mut rule);
            rule.policy += policy;
            rule.loc = rule.loc.map(|loc| Loc { file: file.0, ..loc });
            rule
        }));
        let moved = |loc: &Loc| Loc { file: file.0, ..*loc };
        out.condition_locs.extend(unit.condition_locs.iter().map(moved));
        let manifest = &mut out.manifest;
        manifest
            .policies
            .extend(unit.manifest.policies.iter().map(|info| {
                let mut info = info.clone();
                info.file = file.0;
                info
            }));
        manifest.rules.extend(unit.manifest.rules.iter().map(|info| {
            let mut info = info.clone();
            new.rule_info(&mut info);
            info
        }));
        manifest
            .conditions
            .extend(unit.manifest.conditions.iter().map(|node| {
                let mut node = node.clone();
                new.condition(&mut node);
                node
            }));
    }

    /// Interns the tables of a program; says which numbers its entries have now. Each table names earlier ones only.
    fn tables(&mut self, file: FileId, unit: &'a Program) -> Numbers {
        let mut new = Numbers {
            functions: Table::Shift(number(self.out.functions.len())),
            conditions: Table::Shift(number(self.out.manifest.conditions.len())),
            ..Numbers::default()
        };
        let fields = unit.fields.iter();
        let before = self.out.fields.len();
        let fields = fields.map(|f| intern(&mut self.fields, &mut self.out.fields, &f.path, || f.clone()));
        new.fields = Table::To(fields.collect());
        // An argument may stand behind the field that is computed from it.
        let added = self.out.fields.iter_mut().skip(before);
        added.for_each(|field| new.derived(field));
        new.consts = Table::To(Vec::with_capacity(unit.consts.len()));
        for value in &unit.consts {
            let id = self.constant(value, &new);
            new.consts.push(id);
        }
        let patterns = unit.patterns.iter();
        let patterns = patterns.map(|p| {
            intern(
                &mut self.patterns,
                &mut self.out.patterns,
                p.source.as_str(),
                || p.clone(),
            )
        });
        new.patterns = Table::To(patterns.collect());
        new.predicates = Table::To(Vec::with_capacity(unit.predicates.len()));
        new.bodies = Table::To(Vec::with_capacity(unit.bodies.len()));
        let mut bodies = unit.bodies.iter().zip(0u32..).peekable();
        for p in &unit.predicates {
            // What a body names stands before the comparison that has it.
            while let PredOperand::Body(q) = p.operand
                && let Some((body, _)) = bodies.next_if(|(_, index)| *index <= q.0)
            {
                let mut own = body.clone();
                new.body(&mut own);
                let id = intern(&mut self.bodies, &mut self.out.bodies, own.clone(), || own);
                new.bodies.push(id);
            }
            let mut own = Predicate {
                loc: p.loc.map(|loc| Loc { file: file.0, ..loc }),
                ..*p
            };
            new.predicate(&mut own);
            let key = (own.op, own.field, own.operand);
            let id = intern(&mut self.predicates, &mut self.out.predicates, key, || own);
            new.predicates.push(id);
        }
        let templates = unit.manifest.templates.iter();
        let templates = templates.map(|parts| {
            let piece = |part: &'a TemplatePart| match part {
                TemplatePart::Text(text) => Piece::Text(text),
                TemplatePart::Field(field) => {
                    let mut field = *field;
                    new.field(&mut field);
                    Piece::Field(field)
                }
            };
            let key = parts.iter().map(piece).collect();
            intern(&mut self.templates, &mut self.out.manifest.templates, key, || {
                let mut parts = parts.clone();
                parts.iter_mut().for_each(|part| new.template_part(part));
                parts
            })
        });
        let templates = templates.collect();
        new.templates = Table::To(templates);
        new.values = Table::To(Vec::with_capacity(unit.manifest.values.len()));
        for value in &unit.manifest.values {
            let id = self.value(value, &new);
            new.values.push(id);
        }
        new
    }

    fn constant(&mut self, value: &'a Const, new: &Numbers) -> u32 {
        let mut items = |k: &ConstIdx| {
            let mut k = *k;
            new.constant(&mut k);
            k
        };
        let key = match value {
            Const::Null => ConstKey::Null,
            Const::Bool(b) => ConstKey::Bool(*b),
            Const::Number(Number::Int(n)) => ConstKey::Int(*n),
            Const::Number(Number::UInt(n)) => ConstKey::UInt(*n),
            Const::Number(Number::Float(x)) => ConstKey::Float(x.to_bits()),
            Const::Str(text) => ConstKey::Str(text),
            Const::Decimal(text) => ConstKey::Decimal(text),
            Const::Array(list) => ConstKey::Array(list.iter().map(&mut items).collect()),
            Const::Object(members) => {
                ConstKey::Object(members.iter().map(|(key, k)| (key.as_str(), items(k))).collect())
            }
        };
        intern(&mut self.consts, &mut self.out.consts, key, || {
            let mut value = value.clone();
            new.items(&mut value);
            value
        })
    }

    /// A value that is not a plain constant is never shared.
    fn value(&mut self, value: &ValueNode, new: &Numbers) -> u32 {
        let mut value = value.clone();
        new.value(&mut value);
        let table = &mut self.out.manifest.values;
        match value {
            ValueNode::Const(k) => intern(&mut self.values, table, k, || value),
            ValueNode::Template(_) | ValueNode::Array(_) | ValueNode::Object(_) => {
                table.push(value);
                number(table.len() - 1)
            }
        }
    }
}
