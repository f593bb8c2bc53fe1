//! Ceilings of one compilation, and what is counted against them.
//!
//! Whoever compiles policies of others must know what it takes before it takes it. Each ceiling bounds one thing that
//! work grows with; all of it is counted on the syntax tree, which costs next to nothing, before anything is made of it.
//! What exceeds a ceiling is a diagnostic with its place, and ends the compilation: the rest of the set is not looked
//! at. Ceilings are for the whole set, so what was compiled before and is kept counts as what is new does. What policies of
//! one namespace take of them is told as well ([`Usage`]): whoever compiles policies of several tenants gives each a part.
//!
//! Beyond them stand the limits of single files ([`policy_grammar::Limits`]), which the parser holds, and those of the
//! format, which the verifier holds.

use crate::options::Options;
use crate::unit::Unit;
use policy_bytecode::Stopped;
use policy_grammar::ast::{
    Condition, FieldPath, Literal, Number, Operand, Operator, Policy, Segment, Template, TemplatePart, Verb,
};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, FileId, SourceFile, Span};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::{BTreeMap, HashSet};

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
    /// What these values take when each is written out in full: 1 for every value, and the bytes of its texts, numbers and
    /// keys; in a list or a mapping once more for each that it stands in (`E0412`). Default 100 MiB, which leaves room for
    /// what passes add below what [`HostLimits`](policy_bytecode::verify::HostLimits) allow.
    pub constant_bytes: usize,
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
            constant_bytes: 100 << 20,
            pattern_bytes: 64 << 10,
            automata_bytes: 512 << 20,
            placeholders: 1_000_000,
            name_bytes: 4 << 10,
            diagnostics: 1_000,
        }
    }
}

impl CompileLimits {
    /// Whether a file that holds no error within these limits is compiled to the same within `others`: no ceiling is higher
    /// here, and what files and lists of problems are cut off at is the same.
    pub(crate) fn are_within(&self, others: &Self) -> bool {
        let Self {
            file,
            source_bytes,
            rules,
            conditions,
            depth,
            constants,
            constant_bytes,
            pattern_bytes,
            automata_bytes,
            placeholders,
            name_bytes,
            diagnostics,
        } = self;
        *file == others.file
            && *diagnostics == others.diagnostics
            && *source_bytes <= others.source_bytes
            && *rules <= others.rules
            && *conditions <= others.conditions
            && *depth <= others.depth
            && *constants <= others.constants
            && *constant_bytes <= others.constant_bytes
            && *pattern_bytes <= others.pattern_bytes
            && *automata_bytes <= others.automata_bytes
            && *placeholders <= others.placeholders
            && *name_bytes <= others.name_bytes
    }
}

/// Calls `$consumer!` once with everything of which a set has a ceiling: the field in [`Usage`] and in [`CompileLimits`], its
/// name for people, the code of what exceeds it, and what helps.
macro_rules! for_each_resource {
    ($consumer:ident) => {
        $consumer! {
            /// Bytes of text.
            Source, source_bytes, "bytes of source", TooMuchSource, "split the set";
            /// Rules.
            Rules, rules, "rules", TooManyRules,
                "write one rule with a list where many differ in a value only, or split the set";
            /// Conditions.
            Conditions, conditions, "conditions", TooManyConditions,
                "write `in` with a list where many conditions compare one field, or split the set";
            /// Values.
            Constants, constants, "values", TooManyConstants, "keep long lists out of policies, or split the set";
            /// Bytes of values.
            ConstantBytes, constant_bytes, "bytes of values", LargeConstants,
                "keep long texts out of policies, and do not nest lists deeply, or split the set";
            /// Bytes of patterns.
            Automata, automata_bytes, "bytes of compiled patterns", LargePatterns,
                "shorten repetitions and classes, and use `contains` where there is nothing to match";
            /// Placeholders.
            Placeholders, placeholders, "placeholders", TooManyPlaceholders,
                "name a value once in a text, or split the set";
        }
    };
}

macro_rules! declare_resources {
    ($($(#[doc = $doc:literal])+ $name:ident, $field:ident, $what:literal, $code:ident, $help:literal;)+) => {
        /// One thing of which a set has a ceiling.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Resource {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Resource {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name for people, in the plural.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $what,)+ }
            }

            fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)+ }
            }

            fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }

        /// What policies take of the ceilings of a set: each field is counted as the field of its name in [`CompileLimits`] says.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Usage {
            $(
                #[doc = concat!("As in [`CompileLimits::", stringify!($field), "`].")]
                pub $field: usize,
            )+
        }

        impl Usage {
            /// How much of something it is.
            #[must_use]
            pub fn of(&self, resource: Resource) -> usize {
                match resource { $(Resource::$name => self.$field,)+ }
            }

            fn add(&mut self, more: &Self) {
                $(self.$field = self.$field.saturating_add(more.$field);)+
            }

            fn since(&self, before: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(before.$field),)+ }
            }
        }

        impl CompileLimits {
            /// The ceiling of something.
            #[must_use]
            pub fn of(&self, resource: Resource) -> usize {
                match resource { $(Resource::$name => self.$field,)+ }
            }
        }
    };
}
for_each_resource!(declare_resources);

/// What the policies of each namespace take, from units with their files and the bytes of these. The text of a file counts for every
/// namespace that has a policy in it, and a pattern once for every namespace that has it: what namespaces take may be more
/// together than the set does.
pub(crate) fn by_namespace<'u>(
    units: impl Iterator<Item = (FileId, usize, &'u Unit)>,
) -> BTreeMap<String, Usage> {
    #[derive(Default)]
    struct Taken<'u> {
        usage: Usage,
        files: HashSet<FileId, foldhash::fast::RandomState>,
        patterns: HashSet<&'u str, foldhash::fast::RandomState>,
    }
    let mut taken: BTreeMap<&str, Taken<'_>> = BTreeMap::new();
    for (file, bytes, unit) in units {
        for head in unit.policies.iter().map(|policy| &policy.head) {
            let own = taken.entry(&head.namespace).or_default();
            own.usage.add(&head.used);
            if own.files.insert(file) {
                own.usage.source_bytes = own.usage.source_bytes.saturating_add(bytes);
            }
            for (source, size) in &head.patterns {
                if own.patterns.insert(source) {
                    own.usage.automata_bytes = own.usage.automata_bytes.saturating_add(*size);
                }
            }
        }
    }
    let named = |(namespace, taken): (&str, Taken<'_>)| (namespace.to_owned(), taken.usage);
    taken.into_iter().map(named).collect()
}

/// What is left of the ceilings of one compilation.
#[derive(Debug)]
pub(crate) struct Room<'o> {
    options: &'o Options,
    used: Usage,
    /// The patterns so far.
    patterns: HashSet<String, foldhash::fast::RandomState>,
    /// Near words that may still be looked for.
    suggestions: usize,
}

/// Why a compilation ends before anything can be said of the rest.
pub(crate) type Ended = Box<Diagnostic>;

impl<'o> Room<'o> {
    pub(crate) fn new(options: &'o Options) -> Self {
        Self {
            options,
            used: Usage::default(),
            patterns: HashSet::default(),
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
        self.within(Resource::Source, Span::new(file, 0, 0))
    }

    /// Counts a policy, with what it takes. Texts of files and patterns are counted apart: they may be shared.
    pub(crate) fn policy(&mut self, policy: &Policy) -> Result<Usage, Ended> {
        let before = self.used;
        Meter { room: self }.policy(policy)?;
        Ok(self.used.since(&before))
    }

    /// Counts what was counted in another compilation.
    pub(crate) fn again(&mut self, used: &Usage, at: Span) -> Result<(), Ended> {
        self.used.add(used);
        Resource::ALL
            .iter()
            .try_for_each(|resource| self.within(*resource, at))
    }

    /// Counts a pattern of this size, once however often it stands in the set.
    pub(crate) fn pattern(&mut self, source: &str, size: usize, at: Span) -> Result<(), Ended> {
        if self.patterns.contains(source) {
            return Ok(());
        }
        self.patterns.insert(source.to_owned());
        self.used.automata_bytes = self.used.automata_bytes.saturating_add(size);
        self.within(Resource::Automata, at)
    }

    /// Whether a resource is within its ceiling; reported at `at` where it is not.
    fn within(&self, resource: Resource, at: Span) -> Result<(), Ended> {
        let limit = self.limits().of(resource);
        if self.used.of(resource) <= limit {
            return Ok(());
        }
        Err(Box::new(
            Diagnostic::new(
                resource.code(),
                at,
                format!(
                    "the policies have more than {limit} {} together",
                    resource.as_str()
                ),
            )
            .label("the limit is exceeded here")
            .help(resource.help()),
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
            self.room.within(Resource::Rules, rule.id.span)?;
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
                    Verb::Cap(number) | Verb::Floor(number) => {
                        self.value(digits(number), 1, modification.span)?;
                    }
                    Verb::Remove => self.value(0, 1, modification.span)?,
                    Verb::Redact(types) => {
                        for ty in types {
                            self.value(ty.value.len(), 1, ty.span)?;
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
        self.room.within(Resource::Conditions, condition.span())?;
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
        if let Literal::String(source) = &value.value
            && source.len() > limit
        {
            return Err(Box::new(
                Diagnostic::new(
                    Code::LongPattern,
                    value.span,
                    format!(
                        "the pattern has {} bytes, more than the {limit} allowed",
                        source.len()
                    ),
                )
                .help("use `contains` for words, and several rules for what has nothing in common"),
            ));
        }
        Ok(())
    }

    /// `templates`: strings may hold placeholders.
    fn literal(&mut self, literal: &Literal, at: Span, templates: bool) -> Result<(), Ended> {
        self.nested(literal, at, templates, 1)
    }

    /// `copies`: how often the value is written out, which it is once for itself and once for each value that it stands in.
    fn nested(&mut self, literal: &Literal, at: Span, templates: bool, copies: usize) -> Result<(), Ended> {
        let bytes = match literal {
            Literal::Null | Literal::Bool(_) | Literal::Array(_) => 0,
            Literal::Number(number) => digits(number),
            Literal::String(text) => text.len(),
            Literal::Object(members) => members.iter().map(|(key, _)| key.value.len()).sum(),
        };
        self.value(bytes, copies, at)?;
        match literal {
            Literal::String(text) if templates => self.text(text, at),
            Literal::Null | Literal::Bool(_) | Literal::Number(_) | Literal::String(_) => Ok(()),
            Literal::Array(items) => items
                .iter()
                .try_for_each(|item| self.nested(&item.value, item.span, templates, copies + 1)),
            Literal::Object(members) => members
                .iter()
                .try_for_each(|(_, value)| self.nested(&value.value, value.span, templates, copies + 1)),
        }
    }

    fn value(&mut self, bytes: usize, copies: usize, at: Span) -> Result<(), Ended> {
        let used = &mut self.room.used;
        used.constants += 1;
        let written = bytes.saturating_add(1).saturating_mul(copies);
        used.constant_bytes = used.constant_bytes.saturating_add(written);
        self.room.within(Resource::Constants, at)?;
        self.room.within(Resource::ConstantBytes, at)
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
                self.room.within(Resource::Placeholders, at)?;
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

/// Bytes of a number that is kept as its text.
fn digits(number: &Number) -> usize {
    match number {
        Number::Decimal(text) => text.len(),
        Number::Int(_) | Number::UInt(_) | Number::Float(_) => 0,
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

/// Bytes that trying an automaton for a pattern takes at least, whatever the pattern.
const PATTERN: usize = 8 << 10;

/// About how many bytes a pattern takes once it is compiled; never much less than it does.
///
/// A repetition is as large as its copies, a class as the ranges of its characters. Takes time linear in the syntax tree,
/// not in what comes out, so it can be asked before anything is made.
#[must_use]
pub fn pattern_size(tree: &Hir) -> usize {
    PATTERN.saturating_add(program_size(tree))
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
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(program_size).fold(STATE, usize::saturating_add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PATTERN, pattern_size};
    use regex_automata::nfa::thompson::{self, WhichCaptures};

    /// What the engine makes of a pattern takes no more than was reckoned, and not so much less that patterns of people are
    /// refused for nothing.
    #[test]
    fn sizes_are_near_those_of_programs() {
        let patterns = [
            "abc",
            "(?i)ignore (all )?previous",
            "[a-z]{20,}",
            "[0-9A-Za-z_]{1,99}",
            r"\pL{50}",
            r"\pL",
            r"(?i)\p{Greek}{9}",
            "(?:a{9}){9}",
            "[^a]{100}",
            "(?:[a-z]+|[0-9]+){5,10}",
            r"(?-u:\b)AKIA[0-9A-Z]{16}(?-u:\b)",
            ".{64}",
            "(a|b|c|d)*x",
            r"\p{Han}{20}|\p{Cyrillic}{20}",
            "x{1000}",
        ];
        for pattern in patterns {
            let config = thompson::Config::new().which_captures(WhichCaptures::None);
            let program = thompson::Compiler::new()
                .configure(config)
                .build(pattern)
                .unwrap();
            let (reckoned, real) = (
                pattern_size(&regex_syntax::parse(pattern).unwrap()),
                program.memory_usage(),
            );
            assert!(
                reckoned >= real && reckoned <= PATTERN + 16 * real,
                "{pattern}: {reckoned} reckoned, {real} real"
            );
        }
    }
}
