//! Text → IR. See [`super`] for the form. Line by line, because the form is.

use super::reading::Reading;
use crate::fields::{derived_above, describe};
use crate::ir::{
    Block, BlockId, Engine, FuncId, Function, Inst, Loc, Pattern, Predicate, Program, Reason, Rule,
    Terminator, ValueId,
};
use crate::passes::patterns::search;
use policy_bytecode::module::{Decision, Field};
use policy_bytecode::predicate::{PredOp, PredOperand};
use policy_bytecode::quantifier::{Body, ItemOperand, ItemTest, Node, Subject};
use policy_bytecode::{BodyIdx, Const, ConstIdx, ConstPool, Exact, FieldIdx, IterIdx, PatternIdx, PredIdx};
use policy_grammar::ast::{FieldPath, ITEM, Segment};
use policy_grammar::text::pattern::{self, Translated};
use std::collections::HashMap;
use std::str::Lines;
use std::sync::Arc;

/// Why a text is not IR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TextError {
    /// 1-based.
    pub line: usize,
    /// One sentence.
    pub message: String,
}

/// Reads the text form. Lines that start with `#` are comments.
///
/// # Errors
///
/// [`TextError`] with the first line that is not understood. Whether the program makes sense is for
/// [`crate::ir::verify`] to say.
pub fn parse(text: &str) -> Result<Program, TextError> {
    let mut parser = Parser {
        lines: text.lines(),
        line: 0,
        program: Program::default(),
        consts: ConstPool::new(),
        shared: HashMap::new(),
        functions: HashMap::new(),
    };
    match parser.program() {
        Ok(()) => {
            parser.program.consts = parser.consts.into_entries();
            Ok(parser.program)
        }
        Err(message) => Err(TextError {
            line: parser.line,
            message,
        }),
    }
}

pub(in crate::ir) type Res<T> = Result<T, String>;

pub(super) struct Parser<'a> {
    lines: Lines<'a>,
    line: usize,
    program: Program,
    consts: ConstPool,
    pub(super) shared: HashMap<String, PredIdx>,
    pub(super) functions: HashMap<String, FuncId>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        loop {
            let line = self.lines.next()?.trim();
            self.line += 1;
            if !line.is_empty() && !line.starts_with('#') {
                return Some(line);
            }
        }
    }

    fn program(&mut self) -> Res<()> {
        while let Some(line) = self.next() {
            let (word, rest) = split_word(line);
            match word {
                "pred" => {
                    let (name, text) = rest.split_once('=').ok_or("expected `=`")?;
                    let pred = self.comparison(text.trim(), true)?;
                    self.shared.insert(name.trim().to_owned(), pred);
                }
                "function" => {
                    let head = rest.strip_suffix('{').ok_or("expected `{`")?.trim();
                    let (name, attributes) = split_word(head);
                    let shared = match attributes {
                        "shared" => true,
                        "" => false,
                        other => return Err(format!("`{other}` is not an attribute of functions")),
                    };
                    let mut function = self.function()?;
                    function.shared = shared;
                    let id = FuncId::from_index(self.program.functions.len());
                    self.functions.insert(name.to_owned(), id);
                    self.program.functions.push(function);
                }
                "policy" => {
                    let (id, rest) = string(rest)?;
                    expect_end(rest)?;
                    self.program.policies.push(id);
                }
                "rule" => self.rule(rest)?,
                other => return Err(format!("`{other}` does not start a declaration")),
            }
        }
        Ok(())
    }

    fn rule(&mut self, text: &str) -> Res<()> {
        let (name, rest) = string(text)?;
        let (decision, rest) = split_word(rest);
        let decision = match decision {
            "allow" => Decision::Allow,
            "warn" => Decision::Warn,
            "modify" => Decision::Modify,
            "deny" => Decision::Deny,
            other => return Err(format!("`{other}` is not a decision")),
        };
        let (on_error, rest) = split_word(rest);
        let fires_on_error = match on_error {
            "on_error=match" => true,
            "on_error=skip" => false,
            other => {
                return Err(format!(
                    "expected `on_error=match` or `on_error=skip`, not `{other}`"
                ));
            }
        };
        let policy = self
            .program
            .policies
            .len()
            .checked_sub(1)
            .ok_or("a rule before its policy")?;
        let condition = match rest.strip_prefix('=') {
            Some(name) => *self
                .functions
                .get(name.trim())
                .ok_or_else(|| format!("`{}` is not a function", name.trim()))?,
            None if rest == "{" => {
                let function = self.function()?;
                self.program.functions.push(function);
                FuncId::from_index(self.program.functions.len() - 1)
            }
            None => return Err("expected `{` or `=`".to_owned()),
        };
        self.program.rules.push(Rule {
            name,
            policy: u32::try_from(policy).map_err(|e| e.to_string())?,
            condition,
            decision,
            fires_on_error,
            loc: None,
        });
        Ok(())
    }

    fn function(&mut self) -> Res<Function> {
        let mut function = Function::default();
        let mut names: HashMap<String, ValueId> = HashMap::new();
        let mut open: Option<Block> = None;
        while let Some(line) = self.next() {
            if line == "}" {
                return match open {
                    None if !function.blocks.is_empty() => Ok(function),
                    None => Err("a function without blocks".to_owned()),
                    Some(_) => Err("the block has no terminator".to_owned()),
                };
            }
            if let Some(head) = line.strip_suffix(':') {
                if open.is_some() {
                    return Err("the block before has no terminator".to_owned());
                }
                let (name, params) = match head.strip_suffix(')').and_then(|h| h.split_once('(')) {
                    Some((name, params)) => (name, params),
                    None => (head, ""),
                };
                if block_id(name)?.index() != function.blocks.len() {
                    return Err(format!("expected block b{}", function.blocks.len()));
                }
                let mut ids = Vec::new();
                for param in params.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                    ids.push(define(&mut function, &mut names, param, Inst::Param {}, None)?);
                }
                open = Some(Block {
                    params: ids,
                    insts: Vec::new(),
                    end: Terminator::Ret(ValueId(u32::MAX)),
                });
                continue;
            }
            if let Some(guard) = line.strip_prefix("guard ")
                && open.is_none()
            {
                let tests = guard.split(',').map(|name| value(name.trim(), &names));
                function.guards.push(tests.collect::<Res<_>>()?);
                continue;
            }
            let mut block = open.take().ok_or("expected a block such as `b0:`")?;
            let (loc, line) = place(line)?;
            if let Some(end) = terminator(line, &names)? {
                if loc.is_some() {
                    return Err("what ends a block has no place of its own".to_owned());
                }
                block.end = end;
                function.blocks.push(block);
                continue;
            }
            let (name, text) = match line.split_once(" = ") {
                Some((name, text)) if name.starts_with('v') && !name.contains(' ') => (Some(name), text),
                Some(_) | None => (None, line),
            };
            let inst = self.inst(text, &names)?;
            let id = match name {
                Some(name) => define(&mut function, &mut names, name, inst, loc)?,
                None => function.add(inst, loc),
            };
            block.insts.push(id);
            open = Some(block);
        }
        Err("expected `}`".to_owned())
    }

    fn inst(&mut self, text: &str, names: &HashMap<String, ValueId>) -> Res<Inst> {
        let (word, rest) = split_word(text);
        let mut reading = Reading {
            parser: self,
            names,
            rest,
            negated: false,
        };
        let inst = match Inst::parse(word, &mut reading)? {
            Some(inst) => Some(inst),
            None => match word.strip_suffix(Reading::NOT) {
                Some(plain) => {
                    reading.negated = true;
                    Inst::parse(plain, &mut reading)?
                }
                None => None,
            },
        };
        let (rest, negated) = (reading.rest, reading.negated);
        let inst = inst
            .filter(|_| !negated)
            .ok_or_else(|| format!("`{word}` is not an instruction"))?;
        expect_end(rest)?;
        Ok(inst)
    }

    pub(super) fn comparison(&mut self, text: &str, shared: bool) -> Res<PredIdx> {
        let end = path_end(text);
        let (path, rest) = (
            text.get(..end).unwrap_or(""),
            text.get(end..).unwrap_or("").trim(),
        );
        let field = self.field(path)?;
        let (op, rest) = split_word(rest);
        let op = *PredOp::ALL
            .iter()
            .find(|o| o.as_str() == op)
            .ok_or_else(|| format!("`{op}` is not a comparison"))?;
        let operand = if op == PredOp::Exists {
            expect_end(rest)?;
            PredOperand::None
        } else if op == PredOp::Matches {
            let (source, rest) = string(rest)?;
            expect_end(rest)?;
            PredOperand::Pattern(self.pattern(source)?)
        } else if let Some(path) = rest.strip_prefix("field ") {
            PredOperand::Field(self.field(path.trim())?)
        } else if matches!(op, PredOp::Any | PredOp::All) {
            let (body, rest) = self.body(rest)?;
            expect_end(rest)?;
            PredOperand::Body(body)
        } else {
            let (k, rest) = self.constant(rest)?;
            expect_end(rest)?;
            PredOperand::Const(k)
        };
        let predicate = Predicate {
            op,
            field,
            operand,
            shared,
            loc: None,
        };
        let known = self.program.predicates.iter().position(|p| *p == predicate);
        let index = known.unwrap_or_else(|| {
            self.program.predicates.push(predicate);
            self.program.predicates.len() - 1
        });
        PredIdx::from_index(index).ok_or_else(|| "too many comparisons".to_owned())
    }

    /// A body at the start of `text`, and what follows it.
    fn body<'t>(&mut self, text: &'t str) -> Res<(BodyIdx, &'t str)> {
        let mut body = Body::default();
        let rest = self.node(text, &mut body)?;
        let known = self.program.bodies.iter().position(|b| *b == body);
        let index = known.unwrap_or_else(|| {
            self.program.bodies.push(body);
            self.program.bodies.len() - 1
        });
        let id = BodyIdx::from_index(index).ok_or("too many bodies")?;
        Ok((id, rest))
    }

    /// Appends the nodes of a tree; returns what follows it.
    fn node<'t>(&mut self, text: &'t str, body: &mut Body) -> Res<&'t str> {
        let text = text.trim_start().strip_prefix('(').ok_or("expected `(`")?;
        let end = text
            .find(|c: char| c.is_whitespace() || c == ')')
            .unwrap_or(text.len());
        let (word, mut rest) = text.split_at(end);
        let node = match word {
            "and" | "or" | "not" => {
                let mut nodes = Vec::new();
                while !rest.trim_start().starts_with(')') {
                    rest = self.node(rest, body)?;
                    nodes.push(u32::try_from(body.nodes.len() - 1).map_err(|e| e.to_string())?);
                }
                match (word, nodes.as_slice()) {
                    ("and", _) => Node::And(nodes),
                    ("or", _) => Node::Or(nodes),
                    (_, [inner]) => Node::Not(*inner),
                    (_, _) => return Err("`not` takes one operand".to_owned()),
                }
            }
            "pred" | "pred_not" => {
                let end = rest.find(')').ok_or("expected `)`")?;
                let (name, after) = rest.split_at(end);
                rest = after;
                let pred = self.shared.get(name.trim()).ok_or("not a comparison above")?;
                Node::Pred {
                    pred: *pred,
                    negated: word == "pred_not",
                }
            }
            "test" | "test_not" => {
                let (test, after) = self.item_test(rest, word == "test_not")?;
                rest = after;
                Node::Test(test)
            }
            other => return Err(format!("`{other}` is no node of a body")),
        };
        body.nodes.push(node);
        rest.trim_start()
            .strip_prefix(')')
            .ok_or_else(|| "expected `)`".to_owned())
    }

    fn item_test<'t>(&mut self, text: &'t str, negated: bool) -> Res<(ItemTest, &'t str)> {
        let text = text.trim_start();
        let (path, rest) = text.split_at(path_end(text));
        let subject = match element(path)? {
            Some(steps) => Subject::Item(steps),
            None => Subject::Field(self.field(path)?),
        };
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| c.is_whitespace() || c == ')')
            .unwrap_or(rest.len());
        let (op, rest) = rest.split_at(end);
        let op = *PredOp::ALL
            .iter()
            .find(|o| o.as_str() == op)
            .ok_or_else(|| format!("`{op}` is not a comparison"))?;
        let rest = rest.trim_start();
        let (operand, rest) = if op == PredOp::Exists {
            (ItemOperand::Plain(PredOperand::None), rest)
        } else if op == PredOp::Matches {
            let (source, rest) = string(rest)?;
            (
                ItemOperand::Plain(PredOperand::Pattern(self.pattern(source)?)),
                rest,
            )
        } else if matches!(op, PredOp::Any | PredOp::All) {
            let (body, rest) = self.body(rest)?;
            (ItemOperand::Plain(PredOperand::Body(body)), rest)
        } else if let Some(text) = rest.strip_prefix("field ") {
            let text = text.trim_start();
            let (path, rest) = text.split_at(path_end(text));
            let operand = match element(path)? {
                Some(steps) => ItemOperand::Item(steps),
                None => ItemOperand::Plain(PredOperand::Field(self.field(path)?)),
            };
            (operand, rest)
        } else {
            let (k, rest) = self.constant(rest)?;
            (ItemOperand::Plain(PredOperand::Const(k)), rest)
        };
        let test = ItemTest {
            op,
            subject,
            operand,
            negated,
        };
        Ok((test, rest))
    }

    pub(super) fn field(&mut self, text: &str) -> Res<FieldIdx> {
        let path = FieldPath::parse(text).map_err(|e| e.message)?;
        let info = describe(&path, None);
        let above = derived_above(&info.path);
        let computed = info.computed;
        let index = self.intern_field(info.field)?;
        if let Some(above) = above {
            self.field(&above.to_string())?;
        }
        if let Some(computed) = computed {
            let mut args = Vec::new();
            for arg in computed.args {
                let path = FieldPath::parse(arg).map_err(|e| e.message)?;
                args.push(self.intern_field(describe(&path, None).field)?);
            }
            let derived = self.program.fields.get_mut(index.index());
            if let Some(derived) = derived.and_then(|field| field.derived.as_mut()) {
                derived.args = args;
            }
        }
        Ok(index)
    }

    fn intern_field(&mut self, field: Field) -> Res<FieldIdx> {
        let known = self.program.fields.iter().position(|f| f.path == field.path);
        let index = known.unwrap_or_else(|| {
            self.program.fields.push(field);
            self.program.fields.len() - 1
        });
        FieldIdx::from_index(index).ok_or_else(|| "too many fields".to_owned())
    }

    fn pattern(&mut self, source: String) -> Res<PatternIdx> {
        let known = self.program.patterns.iter().position(|p| p.source == source);
        let Translated { text, tree } = pattern::read(&source).map_err(|e| e.message)?;
        let index = known.unwrap_or_else(|| {
            self.program.patterns.push(Pattern {
                source,
                translated: text,
                search: Arc::new(search(&tree)),
                made: None,
                engine: Engine::Source(Reason::Untried),
            });
            self.program.patterns.len() - 1
        });
        Ok(PatternIdx::from_index(index).unwrap_or(PatternIdx(u32::MAX)))
    }

    /// A constant at the start of `text`, and what follows it.
    pub(super) fn constant<'t>(&mut self, text: &'t str) -> Res<(ConstIdx, &'t str)> {
        let text = text.trim_start();
        let (value, rest) = if text.starts_with('"') {
            let (s, rest) = string(text)?;
            (Const::Str(s), rest)
        } else if let Some(mut rest) = text.strip_prefix('[') {
            let mut items = Vec::new();
            while !rest.trim_start().starts_with(']') {
                let (item, after) = self.constant(rest)?;
                items.push(item);
                rest = separator(after, ']')?;
            }
            (Const::Array(items), after_close(rest))
        } else if let Some(mut rest) = text.strip_prefix('{') {
            let mut members = Vec::new();
            while !rest.trim_start().starts_with('}') {
                let (key, after) = string(rest.trim_start())?;
                let after = after.trim_start().strip_prefix(':').ok_or("expected `:`")?;
                let (item, after) = self.constant(after)?;
                members.push((key, item));
                rest = separator(after, '}')?;
            }
            (Const::Object(members), after_close(rest))
        } else {
            let end = text
                .find(|c: char| matches!(c, ',' | ']' | '}' | ')') || c.is_whitespace())
                .unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            (scalar(word)?, rest)
        };
        Ok((self.consts.intern(value), rest))
    }
}

fn scalar(word: &str) -> Res<Const> {
    Ok(match word {
        "null" => Const::Null,
        "true" => Const::Bool(true),
        "false" => Const::Bool(false),
        word => {
            let number = Exact::read(word).ok_or_else(|| format!("`{word}` is not a constant"))?;
            Const::from(number)
        }
    })
}

/// What follows an item: after a comma, or at the closing bracket.
fn separator(text: &str, close: char) -> Res<&str> {
    let text = text.trim_start();
    match text.strip_prefix(',') {
        Some(rest) => Ok(rest),
        None if text.starts_with(close) => Ok(text),
        None => Err(format!("expected `,` or `{close}`")),
    }
}

fn after_close(text: &str) -> &str {
    text.trim_start().get(1..).unwrap_or("")
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

fn expect_end(rest: &str) -> Res<()> {
    if rest.trim().is_empty() {
        Ok(())
    } else {
        Err(format!("unexpected `{}`", rest.trim()))
    }
}

/// A JSON string at the start of `text`, and what follows it.
fn string(text: &str) -> Res<(String, &str)> {
    let text = text.trim_start();
    let end = string_end(text).ok_or("expected a string")?;
    let (literal, rest) = text.split_at(end);
    let value = serde_json::from_str(literal).map_err(|e| format!("not a string: {e}"))?;
    Ok((value, rest))
}

/// One past the closing quote of the string that `text` starts with.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if text.starts_with('"') => return Some(i + 1),
            _ => {}
        }
    }
    None
}

/// The steps of a path into an element; `None` for a path of the request.
fn element(text: &str) -> Res<Option<Vec<policy_bytecode::module::PathSegment>>> {
    let path = FieldPath::parse(text).map_err(|e| e.message)?;
    let inside = matches!(path.segments.first(), Some(Segment::Key(key)) if key == ITEM);
    Ok(inside.then(|| describe(&path, None).field.path.into_iter().skip(1).collect()))
}

/// Where the path at the start of `text` ends: at white space outside quotes, or the end of a tree.
fn path_end(text: &str) -> usize {
    let mut i = 0;
    while let Some(rest) = text.get(i..) {
        match rest.chars().next() {
            None => break,
            Some('"') => match string_end(rest) {
                Some(n) => i += n,
                None => break,
            },
            Some(c) if c.is_whitespace() || c == ')' => break,
            Some(c) => i += c.len_utf8(),
        }
    }
    i.min(text.len())
}

/// The place before an instruction, where there is one, and the rest of the line.
fn place(line: &str) -> Res<(Option<Loc>, &str)> {
    if !line.starts_with(Loc::MARK) {
        return Ok((None, line));
    }
    let (text, rest) = split_word(line);
    match Loc::parse(text) {
        Some(loc) => Ok((Some(loc), rest)),
        None => Err(format!("`{text}` is not a place such as `@0:12..34`")),
    }
}

fn define(
    function: &mut Function,
    names: &mut HashMap<String, ValueId>,
    name: &str,
    inst: Inst,
    loc: Option<Loc>,
) -> Res<ValueId> {
    let id = function.add(inst, loc);
    if names.insert(name.to_owned(), id).is_some() {
        return Err(format!("`{name}` is defined twice"));
    }
    Ok(id)
}

pub(super) fn value(name: &str, names: &HashMap<String, ValueId>) -> Res<ValueId> {
    names
        .get(name)
        .copied()
        .ok_or_else(|| format!("`{name}` is not a value above"))
}

fn block_id(name: &str) -> Res<BlockId> {
    name.strip_prefix(BlockId::PREFIX)
        .and_then(|n| n.parse().ok())
        .map(BlockId)
        .ok_or_else(|| format!("`{name}` is not a block"))
}

pub(super) fn iterator(name: &str) -> Res<IterIdx> {
    name.strip_prefix(IterIdx::PREFIX)
        .and_then(|n| n.parse().ok())
        .map(IterIdx)
        .ok_or_else(|| format!("`{name}` is not an iterator"))
}

/// `None` when the line is not a terminator.
fn terminator(line: &str, names: &HashMap<String, ValueId>) -> Res<Option<Terminator>> {
    let (word, rest) = split_word(line);
    let parts: Vec<&str> = rest.split(',').map(str::trim).collect();
    Ok(Some(match (word, parts.as_slice()) {
        ("ret", [v]) => Terminator::Ret(value(v, names)?),
        ("jump", _) => {
            let (target, args) = match rest.strip_suffix(')').and_then(|r| r.split_once('(')) {
                Some((target, args)) => (target, args),
                None => (rest, ""),
            };
            Terminator::Jump {
                target: block_id(target)?,
                args: args
                    .split(',')
                    .map(str::trim)
                    .filter(|a| !a.is_empty())
                    .map(|a| value(a, names))
                    .collect::<Res<_>>()?,
            }
        }
        ("split", [cond, t, f, e]) => Terminator::Split {
            cond: value(cond, names)?,
            on_true: block_id(t)?,
            on_false: block_id(f)?,
            on_error: block_id(e)?,
        },
        ("defined", [src, d, u]) => Terminator::Defined {
            src: value(src, names)?,
            defined: block_id(d)?,
            undefined: block_id(u)?,
        },
        ("iter_next", [iter, body, done]) => Terminator::IterNext {
            iter: iterator(iter)?,
            body: block_id(body)?,
            done: block_id(done)?,
        },
        ("ret" | "split" | "defined" | "iter_next", _) => {
            return Err(format!("wrong number of operands for `{word}`"));
        }
        _ => return Ok(None),
    }))
}
