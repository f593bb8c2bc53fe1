//! Ceilings of one compilation, and what is counted against them.
//!
//! Whoever compiles policies of others must know what it takes before it takes it. Each ceiling bounds one thing that
//! work grows with; all of it is counted on the syntax tree, which costs next to nothing, before anything is made of it.
//! What exceeds a ceiling is a diagnostic with its place, and ends the compilation: the rest of the set is not looked
//! at. Ceilings are for the whole set, so what was compiled before and is kept counts as what is new does.
//!
//! Beyond them stand the limits of single files ([`policy_grammar::Limits`]), which the parser holds, and those of the
//! format, which the verifier holds.

use crate::options::Options;
use policy_bytecode::Stopped;
use policy_grammar::ast::{
    Condition, FieldPath, Literal, Operand, Operator, Policy, Segment, Template, TemplatePart, Verb,
};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, FileId, SourceFile, Span};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::HashMap;

/// What one compilation may take. The defaults are those of somebody who compiles policies of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileLimits {
    /// Of each file: size, nesting, keys and values, aliases, problems (`E0002`).
    pub file: policy_grammar::Limits,
    /// Bytes of all files together (`E0401`). Default 256 MiB.
    pub source_bytes: usize,
    /// Rules of the set, disabled ones and those of drafts included (`E0402`). Default 1,000,000.
    pub rules: usize,
    /// Conditions of the set: `and`, `or`, `not`, and every comparison (`E0403`). Default 4,000,000.
    pub conditions: usize,
    /// Levels that a condition may nest (`E0404`). Default 120, which the format allows.
    pub depth: usize,
    /// Values in conditions and actions, each item of a list and member of a mapping one more (`E0405`). Default
    /// 8,000,000.
    pub constants: usize,
    /// Bytes of one pattern (`E0406`). Default 64 KiB.
    pub pattern_bytes: usize,
    /// Bytes that the programs and automata of all different patterns take, as [`pattern_size`] reckons (`E0407`).
    /// Default 512 MiB.
    pub automata_bytes: usize,
    /// `{{ … }}` placeholders of the set (`E0408`). Default 1,000,000.
    pub placeholders: usize,
    /// Bytes of an id, a name, a namespace, a version or a path (`E0409`). Default 4 KiB.
    pub name_bytes: usize,
    /// Problems that are reported, errors before warnings; one more says how many were left out (`E0410`). Default
    /// 1,000.
    pub diagnostics: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            file: policy_grammar::Limits::default(),
            source_bytes: 256 << 20,
            rules: 1_000_000,
            conditions: 4_000_000,
            depth: 120,
            constants: 8_000_000,
            pattern_bytes: 64 << 10,
            automata_bytes: 512 << 20,
            placeholders: 1_000_000,
            name_bytes: 4 << 10,
            diagnostics: 1_000,
        }
    }
}

/// What parts of a set take. Patterns are counted apart, because equal ones count once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) source_bytes: usize,
    rules: usize,
    conditions: usize,
    constants: usize,
    placeholders: usize,
}

/// What is left of the ceilings of one compilation.
#[derive(Debug)]
pub(crate) struct Room<'o> {
    options: &'o Options,
    used: Used,
    /// Sizes of the patterns so far.
    patterns: HashMap<String, usize, foldhash::fast::RandomState>,
    automata_bytes: usize,
    /// Near words that may still be looked for.
    suggestions: usize,
}

/// Why a compilation ends before anything can be said of the rest.
pub(crate) type Ended = Box<Diagnostic>;

impl<'o> Room<'o> {
    pub(crate) fn new(options: &'o Options) -> Self {
        Self {
            options,
            used: Used::default(),
            patterns: HashMap::default(),
            automata_bytes: 0,
            suggestions: options.compile_limits.diagnostics,
        }
    }

    /// Whether to look for the word among many that another one most likely stands for. That takes a while, so it is done
    /// for no more problems than are reported.
    pub(crate) fn suggests(&mut self) -> bool {
        let left = self.suggestions.checked_sub(1);
        self.suggestions = left.unwrap_or(0);
        left.is_some()
    }

    fn limits(&self) -> &'o CompileLimits {
        &self.options.compile_limits
    }

    /// Counts a file.
    pub(crate) fn source(&mut self, file: FileId, source: &SourceFile) -> Result<(), Ended> {
        self.used.source_bytes = self.used.source_bytes.saturating_add(source.text().len());
        self.within(Code::TooMuchSource, Span::new(file, 0, 0))
    }

    /// Counts a policy, with what it takes.
    pub(crate) fn policy(&mut self, policy: &Policy) -> Result<Used, Ended> {
        let before = self.used;
        Meter { room: self }.policy(policy)?;
        let now = self.used;
        Ok(Used {
            source_bytes: 0,
            rules: now.rules - before.rules,
            conditions: now.conditions - before.conditions,
            constants: now.constants - before.constants,
            placeholders: now.placeholders - before.placeholders,
        })
    }

    /// Counts what was counted in another compilation.
    pub(crate) fn again(&mut self, used: Used, at: Span) -> Result<(), Ended> {
        let sum = &mut self.used;
        for (sum, more) in [
            (&mut sum.rules, used.rules),
            (&mut sum.conditions, used.conditions),
            (&mut sum.constants, used.constants),
            (&mut sum.placeholders, used.placeholders),
        ] {
            *sum = sum.saturating_add(more);
        }
        for code in [
            Code::TooManyRules,
            Code::TooManyConditions,
            Code::TooManyConstants,
            Code::TooManyPlaceholders,
        ] {
            self.within(code, at)?;
        }
        Ok(())
    }

    /// Counts a pattern of this size, once however often it stands in the set.
    pub(crate) fn pattern(&mut self, source: &str, size: usize, at: Span) -> Result<(), Ended> {
        if self.patterns.contains_key(source) {
            return Ok(());
        }
        self.patterns.insert(source.to_owned(), size);
        self.automata_bytes = self.automata_bytes.saturating_add(size);
        self.within(Code::LargePatterns, at)
    }

    /// Whether what the code is about is within its ceiling; reported at `at` where it is not.
    fn within(&self, code: Code, at: Span) -> Result<(), Ended> {
        let limits = self.limits();
        let (used, limit, what, help) = match code {
            Code::TooMuchSource => (
                self.used.source_bytes,
                limits.source_bytes,
                "bytes of source",
                "split the set",
            ),
            Code::TooManyRules => (
                self.used.rules,
                limits.rules,
                "rules",
                "write one rule with a list where many differ in a value only, or split the set",
            ),
            Code::TooManyConditions => (
                self.used.conditions,
                limits.conditions,
                "conditions",
                "write `in` with a list where many conditions compare one field, or split the set",
            ),
            Code::TooManyConstants => (
                self.used.constants,
                limits.constants,
                "values",
                "keep long lists out of policies, or split the set",
            ),
            Code::TooManyPlaceholders => (
                self.used.placeholders,
                limits.placeholders,
                "placeholders",
                "name a value once in a text, or split the set",
            ),
            _patterns => (
                self.automata_bytes,
                limits.automata_bytes,
                "bytes of compiled patterns",
                "shorten repetitions and classes, and use `contains` where there is nothing to match",
            ),
        };
        if used <= limit {
            return Ok(());
        }
        Err(Box::new(
            Diagnostic::new(
                code,
                at,
                format!("the policies have more than {limit} {what} together"),
            )
            .label("the limit is exceeded here")
            .help(help),
        ))
    }
}

/// The diagnostic of a compilation that was stopped. It speaks of no place, so it points at the start of the first file.
pub(crate) fn stopped(_: Stopped) -> Ended {
    Box::new(Diagnostic::new(
        Code::Stopped,
        Span::new(FileId(0), 0, 0),
        "the compilation was stopped before it was done: its time is over, or nobody waits for it",
    ))
}

/// The problems that are reported: the first errors, then the first warnings, in the order in which they stand. One more
/// says how many were left out.
pub(crate) fn reported(diagnostics: &mut Vec<Diagnostic>, limit: usize) {
    let Some(left_out) = diagnostics.len().checked_sub(limit).filter(|more| *more > 0) else {
        return;
    };
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let (mut of_errors, mut of_warnings) = (limit.min(errors), limit.saturating_sub(errors));
    diagnostics.retain(|d| {
        let left = if d.is_error() {
            &mut of_errors
        } else {
            &mut of_warnings
        };
        let kept = left.checked_sub(1);
        *left = kept.unwrap_or(0);
        kept.is_some()
    });
    let mut more = Diagnostic::new(
        Code::MoreProblems,
        Span::new(FileId(0), 0, 0),
        format!("{left_out} more problems are not shown"),
    );
    if errors == 0 {
        more.severity = policy_grammar::Severity::Warning;
    }
    diagnostics.push(more);
}

/// Walks over a policy, counting. Recursion is bounded by the nesting of the document.
struct Meter<'r, 'o> {
    room: &'r mut Room<'o>,
}

impl Meter<'_, '_> {
    fn policy(&mut self, policy: &Policy) -> Result<(), Ended> {
        let metadata = &policy.metadata;
        for (name, what) in [
            (&metadata.id, "the id of a policy"),
            (&metadata.name, "the name of a policy"),
            (&metadata.namespace, "a namespace"),
            (&metadata.version, "a version"),
        ] {
            self.name(name.value.len(), name.span, what)?;
        }
        for rule in &policy.rules {
            self.room.used.rules += 1;
            self.room.within(Code::TooManyRules, rule.id.span)?;
            self.name(rule.id.value.len(), rule.id.span, "the id of a rule")?;
            if let Some(name) = &rule.name {
                self.name(name.value.len(), name.span, "the name of a rule")?;
            }
            self.condition(&rule.condition, 1)?;
            let action = &rule.action;
            if let Some(reason) = &action.reason {
                self.text(&reason.value, reason.span)?;
            }
            for (_, value) in &action.metadata {
                self.literal(&value.value, value.span, true)?;
            }
            for modification in &action.modifications {
                self.path(&modification.path)?;
                match &modification.verb {
                    Verb::Set(value) | Verb::Default(value) | Verb::Append(value) => {
                        self.literal(value, modification.span, true)?;
                    }
                    Verb::Cap(_) | Verb::Floor(_) | Verb::Remove => self.value(modification.span)?,
                    Verb::Redact(types) => {
                        for ty in types {
                            self.value(ty.span)?;
                            self.name(ty.value.len(), ty.span, "a type of personal data")?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn condition(&mut self, condition: &Condition, depth: usize) -> Result<(), Ended> {
        self.room.used.conditions += 1;
        self.room.within(Code::TooManyConditions, condition.span())?;
        let limit = self.room.limits().depth;
        if depth > limit {
            return Err(Box::new(
                Diagnostic::new(
                    Code::DeepCondition,
                    condition.span(),
                    format!("the condition nests deeper than {limit} levels"),
                )
                .help("write nested `and`s and `or`s of one kind as one list"),
            ));
        }
        match condition {
            Condition::And { operands, .. } | Condition::Or { operands, .. } => operands
                .iter()
                .try_for_each(|operand| self.condition(operand, depth + 1)),
            Condition::Not { operand, .. } => self.condition(operand, depth + 1),
            Condition::Test(test) => {
                self.path(&test.field)?;
                match &test.operand {
                    Operand::Value(value) => {
                        if matches!(test.operator.value, Operator::Matches | Operator::NotMatches) {
                            self.matched(value)?;
                        }
                        self.literal(&value.value, value.span, false)
                    }
                    Operand::Path(path) => self.path(path),
                    Operand::Condition(body) => self.condition(body, depth + 1),
                }
            }
        }
    }

    fn matched(&mut self, value: &Spanned<Literal>) -> Result<(), Ended> {
        let limit = self.room.limits().pattern_bytes;
        match &value.value {
            Literal::String(source) if source.len() > limit => Err(Box::new(
                Diagnostic::new(
                    Code::LongPattern,
                    value.span,
                    format!(
                        "the pattern has {} bytes, more than the {limit} allowed",
                        source.len()
                    ),
                )
                .help("use `contains` for words, and several rules for what has nothing in common"),
            )),
            _other => Ok(()),
        }
    }

    /// `templates`: strings may hold placeholders.
    fn literal(&mut self, literal: &Literal, at: Span, templates: bool) -> Result<(), Ended> {
        self.value(at)?;
        match literal {
            Literal::String(text) if templates => self.text(text, at),
            Literal::Null | Literal::Bool(_) | Literal::Number(_) | Literal::String(_) => Ok(()),
            Literal::Array(items) => items
                .iter()
                .try_for_each(|item| self.literal(&item.value, item.span, templates)),
            Literal::Object(members) => members
                .iter()
                .try_for_each(|(_, value)| self.literal(&value.value, value.span, templates)),
        }
    }

    fn value(&mut self, at: Span) -> Result<(), Ended> {
        self.room.used.constants += 1;
        self.room.within(Code::TooManyConstants, at)
    }

    fn text(&mut self, text: &str, at: Span) -> Result<(), Ended> {
        // What is no template was reported by the parser.
        if !text.contains("{{") {
            return Ok(());
        }
        let Ok(template) = Template::parse(text) else {
            return Ok(());
        };
        for part in &template.parts {
            if let TemplatePart::Path(path) = part {
                self.room.used.placeholders += 1;
                self.room.within(Code::TooManyPlaceholders, at)?;
                self.name(length(path), at, "a path")?;
            }
        }
        Ok(())
    }

    fn path(&mut self, path: &Spanned<FieldPath>) -> Result<(), Ended> {
        self.name(length(&path.value), path.span, "a path")
    }

    fn name(&self, bytes: usize, at: Span, what: &str) -> Result<(), Ended> {
        let limit = self.room.limits().name_bytes;
        if bytes <= limit {
            return Ok(());
        }
        Err(Box::new(
            Diagnostic::new(
                Code::LongName,
                at,
                format!("{what} has {bytes} bytes, more than the {limit} allowed"),
            )
            .help("long texts belong into `description`"),
        ))
    }
}

/// Bytes of the keys of a path.
fn length(path: &FieldPath) -> usize {
    let steps = path.segments.iter().map(|segment| match segment {
        Segment::Key(key) => key.len() + 1,
        Segment::Index(_) | Segment::FromEnd(_) => 1,
    });
    steps.sum()
}

/// Bytes that trying an automaton for a pattern takes at the least, whatever the pattern.
const PATTERN: usize = 8 << 10;

/// About how many bytes a pattern takes once it is compiled, given in the engine's syntax; never much less than it does.
///
/// A repetition is as large as its copies, a class as the ranges of its characters. Takes time linear in the syntax tree,
/// not in what comes out, so it can be asked before anything is made.
#[must_use]
pub fn pattern_size(translated: &str) -> usize {
    match regex_syntax::parse(translated) {
        Ok(hir) => PATTERN.saturating_add(program_size(&hir)),
        // The parser has said so already.
        Err(_malformed) => PATTERN,
    }
}

/// Not recursive without bound: the parser refuses patterns that nest deeply.
fn program_size(hir: &Hir) -> usize {
    /// Bytes of one state, with what determinising keeps of it.
    const STATE: usize = 64;
    /// States of a range of characters beyond ASCII.
    const RANGE: usize = 4;
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => STATE,
        HirKind::Literal(literal) => STATE.saturating_mul(literal.0.len()),
        HirKind::Class(Class::Bytes(class)) => STATE.saturating_mul(1 + class.ranges().len() / 4),
        HirKind::Class(Class::Unicode(class)) => {
            if class.is_ascii() {
                STATE.saturating_mul(1 + class.ranges().len() / 4)
            } else {
                STATE.saturating_mul(RANGE.saturating_mul(class.ranges().len()))
            }
        }
        HirKind::Capture(capture) => program_size(&capture.sub).saturating_add(2 * STATE),
        HirKind::Repetition(repetition) => {
            // What has no upper bound loops in its last copy.
            let copies = repetition.max.unwrap_or(repetition.min.saturating_add(1));
            let copies = usize::try_from(copies.max(1)).unwrap_or(usize::MAX);
            program_size(&repetition.sub)
                .saturating_add(STATE)
                .saturating_mul(copies)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts
            .iter()
            .map(program_size)
            .fold(STATE, usize::saturating_add),
    }
}
