//! The one table of known context fields: canonical names, accepted aliases, types, derived fields.
//!
//! The compiler resolves and type-checks paths with it, the projection accepts the aliases, the runtime computes the
//! derived fields, and `docs/context.md` is generated from it.

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
    EstimatedTokens = "llm.estimatedTokens", ["llm.prompt", "llm.messages", "llm.model"],
        "Tokens of the prompt or of the text parts of the messages.";
    EstimatedCost = "llm.estimatedCost", ["llm.prompt", "llm.messages", "llm.model", "llm.provider", "llm.maxTokens"],
        "Dollars for the prompt and `maxTokens` (default 500) tokens of completion.";
    MaxCost = "llm.maxCost", ["llm.prompt", "llm.messages", "llm.model", "llm.provider", "llm.maxTokens"],
        "Dollars for the prompt and the longest completion that the request allows.";
    ContainsPii = "llm.containsPII", ["llm.prompt", "llm.messages"],
        "Whether personal data is found with confidence medium or above.";
    PiiTypes = "llm.piiTypes", ["llm.prompt", "llm.messages"],
        "Types of the personal data found.";
}

/// One known context field.
#[derive(Debug, Clone, Copy)]
pub struct ContextField {
    /// Canonical path, dots between keys.
    pub path: &'static str,
    /// Accepted other spelling of the last key on input, if any.
    pub alias: Option<&'static str>,
    /// Its type.
    pub ty: FieldType,
    /// Computed by the engine.
    pub derived: Option<Derived>,
    /// What it is, for the generated documentation.
    pub doc: &'static str,
}

const fn field(
    path: &'static str,
    alias: Option<&'static str>,
    ty: FieldType,
    doc: &'static str,
) -> ContextField {
    ContextField {
        path,
        alias,
        ty,
        derived: None,
        doc,
    }
}

const fn derived(
    path: &'static str,
    alias: &'static str,
    ty: FieldType,
    d: Derived,
    doc: &'static str,
) -> ContextField {
    ContextField {
        path,
        alias: Some(alias),
        ty,
        derived: Some(d),
        doc,
    }
}

/// Every known field. Objects stand before what they hold.
pub const FIELDS: &[ContextField] = &[
    field(
        "llm",
        None,
        FieldType::Object,
        "The model call that is being decided.",
    ),
    field(
        "llm.provider",
        None,
        FieldType::String,
        "Provider, such as `openai`.",
    ),
    field(
        "llm.model",
        None,
        FieldType::String,
        "Model name as sent to the provider.",
    ),
    field("llm.prompt", None, FieldType::String, "Prompt text."),
    field(
        "llm.messages",
        None,
        FieldType::Array,
        "Chat messages with `role` and `content`.",
    ),
    field(
        "llm.tools",
        None,
        FieldType::Array,
        "Tool definitions offered to the model.",
    ),
    field(
        "llm.maxTokens",
        Some("max_tokens"),
        FieldType::Number,
        "Completion limit that the caller asks for.",
    ),
    field(
        "llm.temperature",
        None,
        FieldType::Number,
        "Sampling temperature.",
    ),
    derived(
        "llm.estimatedTokens",
        "estimated_tokens",
        FieldType::Number,
        Derived::EstimatedTokens,
        "Derived: tokens of the prompt or of the text parts of the messages.",
    ),
    derived(
        "llm.estimatedCost",
        "estimated_cost",
        FieldType::Number,
        Derived::EstimatedCost,
        "Derived: dollars for the prompt and `maxTokens` (default 500) tokens of completion.",
    ),
    derived(
        "llm.maxCost",
        "max_cost",
        FieldType::Number,
        Derived::MaxCost,
        "Derived: dollars for the prompt and the longest completion that the request allows.",
    ),
    derived(
        "llm.containsPII",
        "contains_pii",
        FieldType::Bool,
        Derived::ContainsPii,
        "Derived: whether personal data is found with confidence medium or above.",
    ),
    derived(
        "llm.piiTypes",
        "pii_types",
        FieldType::StringArray,
        Derived::PiiTypes,
        "Derived: types of the personal data found.",
    ),
    field("user", None, FieldType::Object, "Who calls."),
    field("user.id", None, FieldType::String, "Id of the user."),
    field(
        "user.email",
        None,
        FieldType::String,
        "E-mail address of the user.",
    ),
    field("user.roles", None, FieldType::StringArray, "Roles of the user."),
    field(
        "user.permissions",
        None,
        FieldType::StringArray,
        "Permissions of the user.",
    ),
    field("team", None, FieldType::Object, "The team that pays."),
    field("team.id", None, FieldType::String, "Id of the team."),
    field("team.name", None, FieldType::String, "Name of the team."),
    field(
        "team.tier",
        None,
        FieldType::String,
        "Subscription tier of the team.",
    ),
    field(
        "project",
        None,
        FieldType::Object,
        "The project that the call belongs to.",
    ),
    field("project.id", None, FieldType::String, "Id of the project."),
    field("project.name", None, FieldType::String, "Name of the project."),
    field(
        "project.environment",
        None,
        FieldType::String,
        "Deployment environment, such as `production`.",
    ),
    field("request", None, FieldType::Object, "The request itself."),
    field("request.id", None, FieldType::String, "Id of the request."),
    field(
        "request.timestamp",
        None,
        FieldType::Any,
        "When it was made: epoch milliseconds or an RFC 3339 text.",
    ),
    field(
        "request.ipAddress",
        Some("ip_address"),
        FieldType::String,
        "Address of the client.",
    ),
    field(
        "request.userAgent",
        Some("user_agent"),
        FieldType::String,
        "User agent of the client.",
    ),
    field(
        "metadata",
        None,
        FieldType::Object,
        "Anything else that the gateway knows; any keys.",
    ),
];

/// The known field of a canonical dotted path.
#[must_use]
pub fn known(path: &str) -> Option<&'static ContextField> {
    FIELDS.iter().find(|f| f.path == path)
}

/// Top-level objects whose keys are all known: a path below one of them that is not in the table is suspicious.
pub const CLOSED_OBJECTS: &[&str] = &["llm", "user", "team", "project", "request"];

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
