//! IR → text. See [`super`] for the form.

use super::{Names, inline_functions, terminator_name};
use crate::ir::{FuncId, Function, Kind, Predicate, Program, Terminator, ValueId};
use policy_bytecode::module::{Field, PathSegment};
use policy_bytecode::predicate::PredOperand;
use policy_bytecode::quantifier::{ItemOperand, Node, Subject};
use policy_bytecode::{BodyIdx, BuilderIdx, Const, ConstIdx, FieldIdx, IterIdx, PredIdx};
use policy_grammar::ast::{FieldPath, ITEM, Segment};
use std::fmt::Write as _;

/// The text form of a program.
#[must_use]
pub fn print(program: &Program) -> String {
    dump(program, false)
}

/// As [`print()`], with the place of each instruction before it.
#[must_use]
pub fn print_with_places(program: &Program) -> String {
    dump(program, true)
}

/// The text form, with places or without.
pub(crate) fn dump(program: &Program, places: bool) -> String {
    let inline = inline_functions(program);
    let mut numbers = vec![None; program.functions.len()];
    let mut next = 0u32;
    for (number, inline) in numbers.iter_mut().zip(&inline) {
        if !inline {
            *number = Some(next);
            next += 1;
        }
    }
    let mut shared = vec![None; program.predicates.len()];
    let mut next = 0u32;
    for (number, predicate) in shared.iter_mut().zip(&program.predicates) {
        if predicate.shared {
            *number = Some(next);
            next += 1;
        }
    }
    let mut cx = Printer {
        program,
        places,
        functions: numbers,
        shared,
        out: String::new(),
    };
    cx.program(&inline);
    cx.out
}

struct Printer<'a> {
    program: &'a Program,
    /// Whether places are written.
    places: bool,
    /// Number of each function that is written on its own.
    functions: Vec<Option<u32>>,
    /// Number of each shared comparison.
    shared: Vec<Option<u32>>,
    out: String,
}

impl Printer<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn program(&mut self, inline: &[bool]) {
        let program = self.program;
        for (number, predicate) in self.shared.clone().iter().zip(&program.predicates) {
            if let Some(number) = number {
                let text = self.comparison(predicate);
                self.line(&format!("pred p{number} = {text}"));
            }
        }
        for (i, function) in program.functions.iter().enumerate() {
            if inline.get(i).copied().unwrap_or(false) {
                continue;
            }
            let shared = if function.shared { " shared" } else { "" };
            self.separate();
            let name = self.function_name(FuncId::from_index(i));
            self.line(&format!("function {name}{shared} {{"));
            self.function(function);
            self.line("}");
        }
        let mut rules = program.rules.iter().peekable();
        for (policy, index) in program.policies.iter().zip(0u32..) {
            self.separate();
            self.line(&format!("policy {}", quote(policy)));
            while let Some(rule) = rules.next_if(|r| r.policy == index) {
                let on_error = if rule.fires_on_error { "match" } else { "skip" };
                let head = format!(
                    "rule {} {} on_error={on_error}",
                    quote(&rule.name),
                    rule.decision.as_str()
                );
                let own = inline.get(rule.condition.index()).copied().unwrap_or(false);
                match program.functions.get(rule.condition.index()) {
                    Some(function) if own => {
                        self.line(&format!("{head} {{"));
                        self.function(function);
                        self.line("}");
                    }
                    Some(_) | None => {
                        let name = self.function_name(rule.condition);
                        self.line(&format!("{head} = {name}"));
                    }
                }
            }
        }
    }

    fn separate(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn function_name(&self, f: FuncId) -> String {
        match self.functions.get(f.index()).copied().flatten() {
            Some(number) => format!("fn{number}"),
            None => "?".to_owned(),
        }
    }

    fn function(&mut self, function: &Function) {
        let text = self.function_text(function);
        self.out.push_str(&text);
    }

    fn function_text(&self, function: &Function) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        let mut names = vec![None; function.values.len()];
        let mut next = 0u32;
        let defined = function
            .blocks
            .iter()
            .flat_map(|b| b.params.iter().chain(&b.insts));
        for id in defined {
            let effect = function.value(*id).is_none_or(|inst| inst.kind() == Kind::Effect);
            if let Some(place) = names.get_mut(id.index())
                && !effect
            {
                *place = Some(next);
                next += 1;
            }
        }
        let named = Named {
            printer: self,
            values: &names,
        };
        let v = |id: ValueId| named.value(id);
        let list = |ids: &[ValueId]| ids.iter().map(|id| v(*id)).collect::<Vec<_>>().join(", ");
        for (i, block) in function.blocks.iter().enumerate() {
            if block.params.is_empty() {
                line(format!("b{i}:"));
            } else {
                line(format!("b{i}({}):", list(&block.params)));
            }
            for id in &block.insts {
                let Some(inst) = function.value(*id) else { continue };
                let text = inst.print(&named);
                let place = function.loc(*id).filter(|_| self.places);
                let place = place.map_or_else(String::new, |loc| format!("{loc} "));
                match inst.kind() {
                    Kind::Effect => line(format!("  {place}{text}")),
                    Kind::Outcome | Kind::Data => {
                        line(format!("  {place}{} = {text}", v(*id)));
                    }
                }
            }
            let name = terminator_name(&block.end);
            let operands = match &block.end {
                Terminator::Ret(value) => v(*value),
                Terminator::Jump { target, args } if args.is_empty() => target.to_string(),
                Terminator::Jump { target, args } => format!("{target}({})", list(args)),
                Terminator::Split {
                    cond,
                    on_true,
                    on_false,
                    on_error,
                } => format!("{}, {on_true}, {on_false}, {on_error}", v(*cond)),
                Terminator::Defined {
                    src,
                    defined,
                    undefined,
                } => format!("{}, {defined}, {undefined}", v(*src)),
                Terminator::IterNext { iter, body, done } => format!("{iter}, {body}, {done}"),
            };
            line(format!("  {name} {operands}"));
        }
        for guard in &function.guards {
            line(format!("guard {}", list(guard)));
        }
        out
    }

    fn pred(&self, pred: PredIdx) -> String {
        match self.shared.get(pred.index()).copied().flatten() {
            Some(number) => format!("p{number}"),
            None => self
                .program
                .predicates
                .get(pred.index())
                .map_or_else(|| "?".to_owned(), |p| self.comparison(p)),
        }
    }

    fn comparison(&self, predicate: &Predicate) -> String {
        let left = field(self.program.fields.get(predicate.field.index()));
        let op = predicate.op.as_str();
        match predicate.operand {
            PredOperand::None => format!("{left} {op}"),
            PredOperand::Const(k) => format!("{left} {op} {}", self.constant(k)),
            PredOperand::Pattern(x) => {
                let source = self
                    .program
                    .patterns
                    .get(x.index())
                    .map_or("?", |p| p.source.as_str());
                format!("{left} {op} {}", quote(source))
            }
            PredOperand::Field(f) => {
                format!("{left} {op} field {}", field(self.program.fields.get(f.index())))
            }
            PredOperand::Body(q) => format!("{left} {op} {}", self.body(q)),
        }
    }

    fn body(&self, q: BodyIdx) -> String {
        let body = self.program.bodies.get(q.index());
        let mut texts: Vec<String> = Vec::new();
        for node in body.map_or(&[][..], |body| &body.nodes) {
            let list = |word: &str, nodes: &[u32]| {
                let parts = nodes
                    .iter()
                    .map(|n| texts.get(*n as usize).map_or("?", String::as_str));
                format!("({word} {})", parts.collect::<Vec<_>>().join(" "))
            };
            let not = |negated: bool| if negated { "_not" } else { "" };
            let text = match node {
                Node::And(nodes) => list("and", nodes),
                Node::Or(nodes) => list("or", nodes),
                Node::Not(n) => list("not", &[*n]),
                Node::Pred { pred, negated } => format!("(pred{} {})", not(*negated), self.pred(*pred)),
                Node::Test(test) => {
                    let left = match &test.subject {
                        Subject::Item(steps) => item(steps),
                        Subject::Field(f) => field(self.program.fields.get(f.index())),
                    };
                    let right = match &test.operand {
                        ItemOperand::Item(steps) => format!(" field {}", item(steps)),
                        ItemOperand::Plain(PredOperand::None) => String::new(),
                        ItemOperand::Plain(PredOperand::Const(k)) => format!(" {}", self.constant(*k)),
                        ItemOperand::Plain(PredOperand::Pattern(x)) => {
                            let pattern = self.program.patterns.get(x.index());
                            format!(" {}", quote(pattern.map_or("?", |p| p.source.as_str())))
                        }
                        ItemOperand::Plain(PredOperand::Field(f)) => {
                            format!(" field {}", field(self.program.fields.get(f.index())))
                        }
                        ItemOperand::Plain(PredOperand::Body(q)) => format!(" {}", self.body(*q)),
                    };
                    format!("(test{} {left} {}{right})", not(test.negated), test.op.as_str())
                }
            };
            texts.push(text);
        }
        texts.pop().unwrap_or_else(|| "?".to_owned())
    }

    fn constant(&self, k: ConstIdx) -> String {
        let mut out = String::new();
        constant(&mut out, &self.program.consts, k);
        out
    }
}

/// What the instructions of one function name, with the numbers that its values have in the text.
struct Named<'a> {
    printer: &'a Printer<'a>,
    /// By value; effects have none.
    values: &'a [Option<u32>],
}

impl Names for Named<'_> {
    fn value(&self, id: ValueId) -> String {
        match self.values.get(id.index()).copied().flatten() {
            Some(n) => format!("v{n}"),
            None => "?".to_owned(),
        }
    }

    fn pred(&self, pred: PredIdx) -> String {
        self.printer.pred(pred)
    }

    fn field(&self, f: FieldIdx) -> String {
        field(self.printer.program.fields.get(f.index()))
    }

    fn constant(&self, k: ConstIdx) -> String {
        self.printer.constant(k)
    }

    fn function(&self, f: FuncId) -> String {
        self.printer.function_name(f)
    }

    fn iterator(&self, iter: IterIdx) -> String {
        iter.to_string()
    }

    fn builder(&self, builder: BuilderIdx) -> String {
        builder.to_string()
    }
}

/// Constants are at most as deep as the resolver lets them be.
fn constant(out: &mut String, consts: &[Const], k: ConstIdx) {
    match consts.get(k.index()) {
        None => out.push('?'),
        Some(Const::Null) => out.push_str("null"),
        Some(Const::Bool(b)) => out.push_str(if *b { "true" } else { "false" }),
        // Writing to a string cannot fail.
        Some(Const::Number(n)) => drop(write!(out, "{n}")),
        Some(Const::Decimal(text)) => out.push_str(text),
        Some(Const::Str(s)) => out.push_str(&quote(s)),
        Some(Const::Array(items)) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                constant(out, consts, *item);
            }
            out.push(']');
        }
        Some(Const::Object(members)) => {
            out.push('{');
            for (i, (key, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                out.push_str(&quote(key));
                out.push_str(": ");
                constant(out, consts, *value);
            }
            out.push('}');
        }
    }
}

pub(super) fn quote(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// Spelling of a path into an element.
fn item(steps: &[PathSegment]) -> String {
    let mut path = vec![PathSegment::Key {
        name: ITEM.to_owned(),
        aliases: Vec::new(),
    }];
    path.extend_from_slice(steps);
    spelled(&path)
}

/// Spelling of a field's path.
pub(super) fn field(field: Option<&Field>) -> String {
    field.map_or_else(|| "?".to_owned(), |field| spelled(&field.path))
}

fn spelled(path: &[PathSegment]) -> String {
    let segments = path
        .iter()
        .map(|s| match s {
            PathSegment::Key { name, .. } => Segment::Key(name.clone()),
            PathSegment::Index(n) => Segment::Index(*n),
            PathSegment::FromEnd(n) => Segment::FromEnd(*n),
        })
        .collect();
    FieldPath { segments }.to_string()
}
