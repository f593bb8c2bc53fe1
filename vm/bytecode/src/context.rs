//! The one table of known context fields: canonical names, accepted aliases, types, derived fields.
//!
//! The compiler resolves and type-checks paths with it, the projection accepts the aliases, the runtime computes the
//! derived fields, and `docs/context.md` is generated from it.

use crate::module::PathSegment;
use serde::{Deserialize, Serialize};

/// Type of a context field, as far as it is known when compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// A string.
    String,
    /// A number.
    Number,
    /// A boolean.
    Bool,
    /// An array of strings.
    StringArray,
    /// An array of anything.
    Array,
    /// An object.
    Object,
    /// Anything.
    Any,
}

impl FieldType {
    /// Name used in messages and documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Bool => "boolean",
            Self::StringArray => "array of strings",
            Self::Array => "array",
            Self::Object => "object",
            Self::Any => "any",
        }
    }
}

macro_rules! derived {
    ($( $variant:ident = $name:literal, [$($input:literal),*], $doc:literal; )*) => {
        /// A field that the engine computes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Derived { $( #[doc = $doc] $variant, )* }

        impl Derived {
            /// Every derived field.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// Canonical path.
            #[must_use]
            pub fn path(self) -> &'static str { match self { $( Self::$variant => $name, )* } }

            /// Canonical paths of the fields that it is computed from; a module that reads it reads these too.
            #[must_use]
            pub fn inputs(self) -> &'static [&'static str] { match self { $( Self::$variant => &[$($input),*], )* } }
        }
    };
}

derived! {
    Text = "llm.text", ["llm"],
        "Every text of the request in reading order, one a line.";
    NormalizedText = "llm.normalizedText", ["llm"],
        "`llm.text` without what hides words: NFKC, no invisible characters, look-alikes as ASCII, case folded, white space as one space.";
    LastUserText = "llm.lastUserText", ["llm"],
        "Text of the last message of the user.";
    UnreadContent = "llm.unreadContent", ["llm"],
        "Kinds of content that hold no readable text.";
    CanonicalModel = "llm.canonicalModel", ["llm.model", "llm.provider"],
        "The model's name without seller, region, date and version.";
    ModelFamily = "llm.modelFamily", ["llm.model", "llm.provider"],
        "The family that the model belongs to.";
    EstimatedTokens = "llm.estimatedTokens", ["llm", "llm.model"],
        "Tokens of everything that the model reads: texts, chat format, tools, token ids, images.";
    EstimatedCost = "llm.estimatedCost",
        ["llm", "llm.model", "llm.provider", "llm.maxTokens", "llm.serviceTier"],
        "Dollars for the input and `n` completions of `maxTokens` (default 500) tokens.";
    MaxCost = "llm.maxCost", ["llm", "llm.model", "llm.provider", "llm.maxTokens", "llm.serviceTier"],
        "Dollars for the input and `n` of the longest completions that the request allows.";
    ContainsPii = "llm.containsPII", ["llm"],
        "Whether personal data is found with confidence medium or above.";
    PiiTypes = "llm.piiTypes", ["llm"],
        "Types of the personal data found.";
    InjectionSignals = "llm.injectionSignals", ["llm"],
        "Categories of the phrases of prompt injection found in `llm.normalizedText`.";
    InjectionScore = "llm.injectionScore", ["llm"],
        "What the phrases of prompt injection weigh together, from 0 to 1.";
}

impl Derived {
    /// Whether its value is a text, where it can be computed.
    #[must_use]
    pub fn is_text(self) -> bool {
        match self {
            Self::Text
            | Self::NormalizedText
            | Self::LastUserText
            | Self::CanonicalModel
            | Self::ModelFamily => true,
            Self::UnreadContent
            | Self::EstimatedTokens
            | Self::EstimatedCost
            | Self::MaxCost
            | Self::ContainsPii
            | Self::PiiTypes
            | Self::InjectionSignals
            | Self::InjectionScore => false,
        }
    }
}

/// One known context field.
#[derive(Debug, Clone, Copy)]
pub struct ContextField {
    /// Canonical path, dots between keys.
    pub path: &'static str,
    /// Accepted other spellings of the last key on input.
    pub aliases: &'static [&'static str],
    /// Its type.
    pub ty: FieldType,
    /// Computed by the engine.
    pub derived: Option<Derived>,
    /// What it is, for the generated documentation.
    pub doc: &'static str,
}

/// Rows of the table: `path, [other spellings], type, "what it is"`; computed fields name what computes them.
macro_rules! fields {
    ($( $path:literal, [$($alias:literal),*], $ty:ident $(, $derived:ident)?, $doc:literal; )*) => {
        /// Every known field. Objects stand before what they hold.
        pub const FIELDS: &[ContextField] = &[ $( ContextField {
            path: $path,
            aliases: &[$($alias),*],
            ty: FieldType::$ty,
            derived: fields!(@derived $($derived)?),
            doc: $doc,
        }, )* ];
    };
    (@derived) => { None };
    (@derived $derived:ident) => { Some(Derived::$derived) };
}

fields! {
    "llm", [], Object, "The model call that is being decided.";
    "llm.provider", [], String, "Provider, such as `openai`.";
    "llm.model", [], String, "Model name as sent to the provider.";
    "llm.prompt", [], Any, "Prompt: a text, a list of texts, or token ids.";
    "llm.messages", [], Array, "Chat messages with `role` and `content`.";
    "llm.system", [], Any, "System prompt beside the messages: a text or a list of blocks.";
    "llm.input", [], Any, "Input of responses and embeddings: a text, a list of items, or token ids.";
    "llm.instructions", [], Any, "Instructions beside the input.";
    "llm.contents", [], Array, "Messages in Gemini's form, with `role` and `parts`.";
    "llm.tools", [], Array, "Tool definitions offered to the model.";
    "llm.toolChoice", ["tool_choice"], Any, "Which tool the model has to call: a word, or an object that names one.";
    "llm.maxTokens",
        ["max_tokens", "max_completion_tokens", "max_output_tokens", "maxCompletionTokens", "maxOutputTokens"],
        Number, "Completion limit that the caller asks for.";
    "llm.n", [], Number, "Number of completions.";
    "llm.temperature", [], Number, "Sampling temperature.";
    "llm.topP", ["top_p"], Number, "Nucleus sampling: share of the probability mass.";
    "llm.seed", [], Number, "Seed of the sampling.";
    "llm.stop", [], Any, "Where to stop: a text or a list of texts.";
    "llm.stream", [], Bool, "Whether the answer is streamed.";
    "llm.store", [], Bool, "Whether the provider keeps the answer.";
    "llm.responseFormat", ["response_format"], Any, "Form of the answer, such as a JSON schema.";
    "llm.reasoningEffort", ["reasoning_effort"], String, "How long the model may think, such as `low`.";
    "llm.serviceTier", ["service_tier"], String, "Service tier, such as `flex` or `priority`.";
    "llm.user", [], String, "End user, as the provider is told.";
    "llm.region", [], String, "Region in which the call is processed.";
    "llm.text", [], String, Text, "Derived: every text of the request in reading order, one a line.";
    "llm.normalizedText", ["normalized_text"], String, NormalizedText,
        "Derived: `llm.text` in NFKC, without invisible characters, look-alikes as ASCII, case folded, white space as one space.";
    "llm.lastUserText", ["last_user_text"], String, LastUserText,
        "Derived: text of the last message of the user; missing where there is none.";
    "llm.unreadContent", ["unread_content"], StringArray, UnreadContent,
        "Derived: kinds of content that hold no readable text: `image`, `audio`, `file`, `video`, `encrypted`, `unknown`.";
    "llm.canonicalModel", ["canonical_model"], String, CanonicalModel,
        "Derived: the model's name without seller, region, date and version, such as `gpt-4o`; missing where the price table has no such model.";
    "llm.modelFamily", ["model_family"], String, ModelFamily,
        "Derived: the family of the model, such as `gpt` for `gpt-4o-mini`; missing where the price table has no such model.";
    "llm.estimatedTokens", ["estimated_tokens"], Number, EstimatedTokens,
        "Derived: tokens of everything that the model reads: texts, chat format, tool definitions, token ids, images.";
    "llm.estimatedCost", ["estimated_cost"], Number, EstimatedCost,
        "Derived: dollars for the input and `n` completions of `maxTokens` (default 500) tokens.";
    "llm.maxCost", ["max_cost"], Number, MaxCost,
        "Derived: dollars for the input and `n` of the longest completions that the request allows.";
    "llm.containsPII", ["contains_pii"], Bool, ContainsPii,
        "Derived: whether personal data is found with confidence medium or above.";
    "llm.piiTypes", ["pii_types"], StringArray, PiiTypes,
        "Derived: types of the personal data found.";
    "llm.injectionSignals", ["injection_signals"], StringArray, InjectionSignals,
        "Derived: categories of the phrases of prompt injection found in `llm.normalizedText`; unknown where that is.";
    "llm.injectionScore", ["injection_score"], Number, InjectionScore,
        "Derived: what the phrases of prompt injection weigh together, from 0 to 1; there are signals from 0.5 on; unknown where `llm.normalizedText` is.";
    "user", [], Object, "Who calls.";
    "user.id", [], String, "Id of the user.";
    "user.email", [], String, "E-mail address of the user.";
    "user.roles", [], StringArray, "Roles of the user.";
    "user.permissions", [], StringArray, "Permissions of the user.";
    "team", [], Object, "The team that pays.";
    "team.id", [], String, "Id of the team.";
    "team.name", [], String, "Name of the team.";
    "team.tier", [], String, "Subscription tier of the team.";
    "project", [], Object, "The project that the call belongs to.";
    "project.id", [], String, "Id of the project.";
    "project.name", [], String, "Name of the project.";
    "project.environment", [], String, "Deployment environment, such as `production`.";
    "request", [], Object, "The request itself.";
    "request.id", [], String, "Id of the request.";
    "request.timestamp", [], Any, "When it was made: epoch milliseconds or an RFC 3339 text.";
    "request.ipAddress", ["ip_address"], String, "Address of the client.";
    "request.userAgent", ["user_agent"], String, "User agent of the client.";
    "metadata", [], Object, "Anything else that the gateway knows; any keys.";
    "budget", [], Object, "What is left to spend, where the gateway knows it; any keys.";
    "shield", [], Object, "What a scanner says of the texts of the request; see docs/integrations.md.";
    "shield.safe", [], Bool, "Whether scanners looked and found nothing; unknown where nobody says.";
    "shield.riskScore", ["risk_score"], Number,
        "The highest risk that a scanner sees, from 0 (none) to 1; unknown where nobody says.";
    "shield.threats", [], Array,
        "What was found: objects with `type` and `scanner`; empty where scanners found nothing, unknown where nobody says.";
    "shield.verdict", [], String, "`safe`, `unsafe` or `unknown`; unknown where nobody says even that.";
    "shield.reason", [], String, "Why the verdict is `unknown`; missing where it is not.";
}

/// The object at the top of a request that holds what a service answers.
pub const SERVICE: &str = "shield";

/// Known fields that a service answers. Where a request does not hold one, or holds null, it is unknown and not missing: every
/// operator but `exists` is an error there, so that no answer is never taken for one that is fine.
pub const ANSWERED: &[&str] = &[
    "shield.safe",
    "shield.riskScore",
    "shield.threats",
    "shield.verdict",
];

/// Whether `path` is a field that a service answers ([`ANSWERED`]).
#[must_use]
pub fn is_answer(path: &[PathSegment]) -> bool {
    field_at(path).is_some_and(|field| ANSWERED.contains(&field.path))
}

/// Whether `path` is a field that a service answers, or leads into one.
#[must_use]
pub fn is_answered(path: &[PathSegment]) -> bool {
    path.get(..2).is_some_and(is_answer)
}

/// The known field of a canonical dotted path.
#[must_use]
pub fn known(path: &str) -> Option<&'static ContextField> {
    FIELDS.iter().find(|f| f.path == path)
}

/// What a known field may hold; everything else there is a mistake of the caller, on which every operator is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Any,
    /// Neither an array nor an object.
    Scalar,
    /// An array, or null.
    List,
}

impl Shape {
    /// The shape of what stands at a path of a request. Computed fields are what the engine computes, so they have none.
    #[must_use]
    pub fn of(path: &[PathSegment]) -> Self {
        match field_at(path) {
            Some(field) if field.derived.is_none() => match field.ty {
                FieldType::String | FieldType::Number | FieldType::Bool => Self::Scalar,
                FieldType::StringArray | FieldType::Array => Self::List,
                FieldType::Object | FieldType::Any => Self::Any,
            },
            Some(_) | None => Self::Any,
        }
    }

    /// Whether a comparison of this field can be an error because of what the request holds, whatever the operator.
    #[must_use]
    pub fn can_mismatch(path: &[PathSegment]) -> bool {
        Self::of(path) != Self::Any
            || (1..path.len()).any(|steps| path.get(..steps).map(Self::of) == Some(Self::List))
    }
}

/// The name of the known object at the top of a request that `path` is; one that is something else there makes the request
/// malformed.
#[must_use]
pub fn root(path: &[PathSegment]) -> Option<&'static str> {
    field_at(path).filter(|_| path.len() == 1).map(|field| field.path)
}

/// Whether `path` is a known object at the top of a request ([`root`]).
#[must_use]
pub fn is_root(path: &[PathSegment]) -> bool {
    root(path).is_some()
}

/// The known field at a canonical path.
fn field_at(path: &[PathSegment]) -> Option<&'static ContextField> {
    // Known fields lie at most two steps deep.
    let key = |at: usize| match path.get(at) {
        Some(PathSegment::Key { name, .. }) => Some(name.as_str()),
        Some(PathSegment::Index(_) | PathSegment::FromEnd(_)) | None => None,
    };
    let (first, second) = (key(0)?, key(1));
    if path.len() > 2 || (path.len() == 2 && second.is_none()) {
        return None;
    }
    FIELDS.iter().find(|field| {
        let mut keys = field.path.split('.');
        keys.next() == Some(first) && keys.next() == second
    })
}

/// Top-level objects whose keys are all known: a path below one of them that is not in the table is suspicious.
pub const CLOSED_OBJECTS: &[&str] = &["llm", "user", "team", "project", "request", "shield"];

/// Types of personal data, as `llm.piiTypes` and `$redact` spell them, in the order of the detectors' table.
pub const PII_TYPES: &[&str] = &[
    "email",
    "phone",
    "ssn",
    "credit_card",
    "iban",
    "ip_address",
    "address",
    "date_of_birth",
    "api_key",
    "private_key",
    "jwt",
    "mac_address",
    "crypto_wallet",
    "us_itin",
    "uk_nino",
    "uk_nhs",
    "ca_sin",
    "in_aadhaar",
    "br_cpf",
    "driver_license",
    "passport",
];

/// Categories of prompt injection, as `llm.injectionSignals` spells them, in the order of the detectors' table.
pub const INJECTION_SIGNALS: &[&str] = &[
    "override",
    "persona",
    "extraction",
    "delimiters",
    "forced_prefix",
    "authority",
    "tool_orders",
];
