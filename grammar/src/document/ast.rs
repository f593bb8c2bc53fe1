//! The AST of policy documents, with the span of everything a later stage may want to point at.
//!
//! Made by the document parser; read by the compiler, the formatter and the reference evaluator. What stands here is
//! well-formed in the sense of the language's document rules (known operators with the operands that they need,
//! non-empty `and`/`or`, valid paths and patterns); what fields and values mean is checked by the compiler.

use crate::source::{Span, Spanned};
use std::fmt;

/// One policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The whole document's first token (collections have no useful end in YAML).
    pub span: Span,
    /// Who it is.
    pub metadata: Metadata,
    /// In document order.
    pub rules: Vec<Rule>,
    /// Only active policies take part in decisions.
    pub status: Status,
    /// What a condition that cannot be evaluated does.
    pub on_error: OnError,
}

/// `metadata:` of a policy, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// Unique in a bundle.
    pub id: Spanned<String>,
    /// Display name, not empty.
    pub name: Spanned<String>,
    /// Semantic version of the policy's text; `1.0.0` where the document says none.
    pub version: Spanned<String>,
    /// Whose policy it is; `default` where the document says none.
    pub namespace: Spanned<String>,
    /// Text for people; no meaning.
    pub description: Option<Spanned<String>>,
    /// Labels of the author's own, in document order; no meaning.
    pub tags: Vec<Spanned<String>>,
    /// Higher is evaluated earlier; default 0.
    pub priority: Spanned<i64>,
}

/// Life-cycle state of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Takes part in decisions.
    Active,
    /// Being written; ignored by decisions.
    Draft,
    /// No longer used; ignored by decisions.
    Deprecated,
}

impl Status {
    /// Every status, in document spelling order.
    pub const ALL: &'static [Self] = &[Self::Active, Self::Draft, Self::Deprecated];

    /// Spelling in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draft => "draft",
            Self::Deprecated => "deprecated",
        }
    }
}

/// What happens to a rule (other than `allow`) whose condition cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnError {
    /// The rule fires: a deny rule that cannot be evaluated must not turn into an allow.
    Match,
    /// The rule does not fire.
    Skip,
}

impl OnError {
    /// Every choice.
    pub const ALL: &'static [Self] = &[Self::Match, Self::Skip];

    /// Spelling in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Skip => "skip",
        }
    }
}

/// One rule of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// First token of the rule.
    pub span: Span,
    /// Unique in its policy.
    pub id: Spanned<String>,
    /// Display name; the id when absent.
    pub name: Option<Spanned<String>>,
    /// Text for people; no meaning.
    pub description: Option<Spanned<String>>,
    /// A disabled rule never fires.
    pub enabled: bool,
    /// When it fires.
    pub condition: Condition,
    /// What it does then.
    pub action: Action,
}

/// A condition tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Three-valued conjunction; never empty.
    And {
        /// The operator's place.
        span: Span,
        /// At least one.
        operands: Vec<Condition>,
    },
    /// Three-valued disjunction; never empty.
    Or {
        /// The operator's place.
        span: Span,
        /// At least one.
        operands: Vec<Condition>,
    },
    /// Three-valued negation.
    Not {
        /// The operator's place.
        span: Span,
        /// The only operand.
        operand: Box<Condition>,
    },
    /// One comparison.
    Test(Test),
}

impl Condition {
    /// Where the condition was written.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::And { span, .. } | Self::Or { span, .. } | Self::Not { span, .. } => *span,
            Self::Test(test) => test.span,
        }
    }
}

/// A comparison of a field with a constant or with another field.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Place of the whole comparison.
    pub span: Span,
    /// What is looked at.
    pub field: Spanned<FieldPath>,
    /// How the field is compared with the operand.
    pub operator: Spanned<Operator>,
    /// What the field is compared with.
    pub operand: Operand,
    /// The named constant that the operand is the value of, as `let.limit`: `valueFrom` named it.
    pub constant: Option<Spanned<String>>,
    /// `ignoreCase: true`: texts are compared by simple case folding.
    pub ignore_case: bool,
}

/// Right-hand side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// `value:`; for `exists` without a value, `true`.
    Value(Spanned<Literal>),
    /// `valueFrom:`, a field of the request.
    Path(Spanned<FieldPath>),
    /// `condition:` of `any` and `all`. In it, paths whose first step is the key [`ITEM`] are of the element at hand.
    Condition(Box<Condition>),
}

/// First step of the paths that lead into an element, in the condition of `any` and `all`.
pub const ITEM: &str = "item";

/// First step of the paths that name a constant of the policy. No path of a request begins with it.
pub const LET: &str = "let";

macro_rules! operators {
    ($( $variant:ident = $name:literal, $doc:literal; )*) => {
        /// A comparison operator.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operator { $( #[doc = $doc] $variant, )* }

        impl Operator {
            /// Every comparison operator, in documentation order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// Spelling in documents.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $( Self::$variant => $name, )* } }
        }
    };
}

operators! {
    Eq = "eq", "Same type and equal.";
    Ne = "ne", "Not `eq`.";
    Gt = "gt", "Greater: numbers by value, strings by code point.";
    Gte = "gte", "Greater or equal.";
    Lt = "lt", "Less.";
    Lte = "lte", "Less or equal.";
    In = "in", "Some item of the list equals the field, or one of its elements.";
    NotIn = "not_in", "Not `in`.";
    Contains = "contains", "Substring of a string, or element of an array.";
    NotContains = "not_contains", "Not `contains`.";
    StartsWith = "starts_with", "Prefix of a string.";
    NotStartsWith = "not_starts_with", "Not `starts_with`.";
    EndsWith = "ends_with", "Suffix of a string.";
    NotEndsWith = "not_ends_with", "Not `ends_with`.";
    Matches = "matches", "A regular expression is found in a string.";
    NotMatches = "not_matches", "Not `matches`.";
    Exists = "exists", "Present and not null.";
    Any = "any", "The condition holds for some element of a list.";
    All = "all", "The condition holds for every element of a list.";
    InCidr = "in_cidr", "An IP address in one of the networks.";
    Before = "before", "An earlier instant.";
    After = "after", "A later instant.";
    TimeBetween = "time_between", "An instant between two times of day, on some days, in a time zone.";
}

impl Operator {
    /// Whether it takes `ignoreCase`.
    #[must_use]
    pub fn takes_ignore_case(self) -> bool {
        match self {
            Self::Eq
            | Self::Ne
            | Self::In
            | Self::NotIn
            | Self::Contains
            | Self::NotContains
            | Self::StartsWith
            | Self::NotStartsWith
            | Self::EndsWith
            | Self::NotEndsWith => true,
            Self::Gt
            | Self::Gte
            | Self::Lt
            | Self::Lte
            | Self::Matches
            | Self::NotMatches
            | Self::Exists
            | Self::InCidr
            | Self::Before
            | Self::After
            | Self::TimeBetween
            | Self::Any
            | Self::All => false,
        }
    }
}

/// A field path such as `llm.model`, `list[0].id`, `llm.messages[-1]` or `metadata["a.b"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    /// At least one; the first is always a key.
    pub segments: Vec<Segment>,
}

/// One step of a [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of an object.
    Key(String),
    /// `[0]` or `.0`: an element of an array, or the object key of that spelling.
    Index(u32),
    /// `[-1]`: an element of an array, counted from its end; 1 is the last one.
    FromEnd(u32),
}

impl FieldPath {
    /// Whether it names a constant of the policy, and no place in the request.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        matches!(self.segments.first(), Some(Segment::Key(first)) if first == LET)
    }
}

impl Segment {
    /// Whether it may name an element of a list: an index, or a key of digits, which is the same place.
    #[must_use]
    pub fn is_element(&self) -> bool {
        match self {
            Self::Key(key) => key.parse::<u32>().is_ok_and(|n| n.to_string() == *key),
            Self::Index(_) | Self::FromEnd(_) => true,
        }
    }
}

impl fmt::Display for FieldPath {
    /// Canonical spelling: dots and `[n]` where possible, `["…"]` (JSON string escapes) for keys that need it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Index(n) => write!(f, "[{n}]")?,
                Segment::FromEnd(n) => write!(f, "[-{n}]")?,
                Segment::Key(key) if is_plain_key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Segment::Key(key) => {
                    write!(f, "[{}]", serde_json::Value::String(key.clone()))?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a key can be written without quotes in a path: a letter or `_` first, then letters, digits, `_`, `-`.
#[must_use]
pub fn is_plain_key(key: &str) -> bool {
    let mut chars = key.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// A constant of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Spanned<Literal>>),
    /// A mapping, keys in document order, without duplicates.
    Object(Vec<(Spanned<String>, Spanned<Literal>)>),
}

impl Literal {
    /// Name of the type, as used in messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// A number as written, exactly.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// An integer that fits `i64`.
    Int(i64),
    /// An integer above `i64::MAX` that fits `u64`.
    UInt(u64),
    /// A finite double that says what was written: the shortest text of the double is the same number.
    Float(f64),
    /// Any other number: what was written, in the grammar of JSON.
    Decimal(Box<str>),
}

/// What a rule does when it fires.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Place of the action.
    pub span: Span,
    /// The decision.
    pub decision: Spanned<Decision>,
    /// Shown to the caller; may hold `{{ path }}`.
    pub reason: Option<Spanned<String>>,
    /// Returned to the caller; string values may hold `{{ path }}`.
    pub metadata: Vec<(Spanned<String>, Spanned<Literal>)>,
    /// Only for [`Decision::Modify`], then at least one.
    pub modifications: Vec<Modification>,
}

/// The four decisions. Their order here is from weakest to strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Let it pass.
    Allow,
    /// Let it pass, with a reason.
    Warn,
    /// Let it pass changed.
    Modify,
    /// Refuse it.
    Deny,
}

impl Decision {
    /// Every decision, in document spelling order.
    pub const ALL: &'static [Self] = &[Self::Allow, Self::Deny, Self::Warn, Self::Modify];

    /// Spelling in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Modify => "modify",
        }
    }
}

/// One entry of `modifications`.
#[derive(Debug, Clone, PartialEq)]
pub struct Modification {
    /// What is changed.
    pub path: Spanned<FieldPath>,
    /// What is done to the value at `path`, with its operand.
    pub verb: Verb,
    /// Place of the verb and its operand.
    pub span: Span,
}

/// How a modification changes the value at its path.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// A plain value: replaces. Strings in it may hold `{{ path }}`.
    Set(Literal),
    /// `$cap`: the smaller of the present number and this one; this one when missing.
    Cap(Number),
    /// `$floor`: the larger of the present number and this one; this one when missing.
    Floor(Number),
    /// `$default`: only when missing.
    Default(Literal),
    /// `$append`: one more element at the end of the array; what is no array becomes the first element of one.
    Append(Literal),
    /// `$remove`: the value is dropped.
    Remove,
    /// `$redact`: PII of these types is replaced by placeholders. Empty means all types.
    Redact(Vec<Spanned<String>>),
}

impl Verb {
    /// Spelling of the verbs with `$`, in documentation order.
    pub const NAMES: &'static [&'static str] =
        &["$cap", "$floor", "$default", "$append", "$remove", "$redact"];
}

/// A parsed `{{ path }}` template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Literal text and placeholders, alternating as written.
    pub parts: Vec<TemplatePart>,
}

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Copied as it is.
    Text(String),
    /// Replaced by the value at the path.
    Path(FieldPath),
}
