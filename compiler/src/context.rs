//! The one table of known fields of a request: canonical names, accepted aliases, types, and what computes them.
//!
//! Paths are resolved and type-checked with it, and `docs/context.md` is generated from it. Into modules goes what holds for the
//! requests of its fields ([`known_places`]) and what its derived fields are computed from; nobody behind the compiler knows a field
//! by name.

use policy_bytecode::context::{Holds, Known, Shape};
use policy_bytecode::intrinsics::Llm;
use policy_bytecode::module::{Field, PathSegment};
use std::collections::BTreeSet;

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

/// What computes a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Computed {
    /// The intrinsic.
    pub intrinsic: Llm,
    /// Canonical paths of the fields that are its arguments, in order; a module that reads the field names these too.
    pub args: &'static [&'static str],
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
    pub derived: Option<Computed>,
    /// What it is, for the generated documentation.
    pub doc: &'static str,
}

/// Rows of the table: `path, [other spellings], type, "what it is"`; computed fields name the intrinsic that computes them, and what it
/// is applied to.
macro_rules! fields {
    ($( $path:literal, [$($alias:literal),*], $ty:ident $(, $derived:ident($($arg:literal),*))?, $doc:literal; )*) => {
        /// Every known field. Objects stand before what they hold.
        pub const FIELDS: &[ContextField] = &[ $( ContextField {
            path: $path,
            aliases: &[$($alias),*],
            ty: FieldType::$ty,
            derived: fields!(@derived $($derived $($arg)*)?),
            doc: $doc,
        }, )* ];
    };
    (@derived) => { None };
    (@derived $derived:ident $($arg:literal)*) => { Some(Computed { intrinsic: Llm::$derived, args: &[$($arg),*] }) };
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
    "llm.text", [], String, Text("llm"), "Derived: every text of the request in reading order, one a line.";
    "llm.normalizedText", ["normalized_text"], String, NormalizedText("llm"),
        "Derived: `llm.text` in NFKC, without invisible characters, look-alikes as ASCII, case folded, white space as one space.";
    "llm.lastUserText", ["last_user_text"], String, LastUserText("llm"),
        "Derived: text of the last message of the user; missing where there is none.";
    "llm.unreadContent", ["unread_content"], StringArray, UnreadContent("llm"),
        "Derived: kinds of content that hold no readable text: `image`, `audio`, `file`, `video`, `encrypted`, `unknown`.";
    "llm.canonicalModel", ["canonical_model"], String, CanonicalModel("llm.model", "llm.provider"),
        "Derived: the model's name without seller, region, date and version, such as `gpt-4o`; missing where the price table has no such model.";
    "llm.modelFamily", ["model_family"], String, ModelFamily("llm.model", "llm.provider"),
        "Derived: the family of the model, such as `gpt` for `gpt-4o-mini`; missing where the price table has no such model.";
    "llm.estimatedTokens", ["estimated_tokens"], Number, EstimatedTokens("llm", "llm.model"),
        "Derived: tokens of everything that the model reads: texts, chat format, tool definitions, token ids, images.";
    "llm.estimatedCost", ["estimated_cost"], Number, EstimatedCost("llm", "llm.model", "llm.provider", "llm.maxTokens", "llm.serviceTier"),
        "Derived: dollars for the input and `n` completions of `maxTokens` (default 500) tokens.";
    "llm.maxCost", ["max_cost"], Number, MaxCost("llm", "llm.model", "llm.provider", "llm.maxTokens", "llm.serviceTier"),
        "Derived: dollars for the input and `n` of the longest completions that the request allows.";
    "llm.containsPII", ["contains_pii"], Bool, ContainsPii("llm"),
        "Derived: whether personal data is found with confidence medium or above.";
    "llm.piiTypes", ["pii_types"], StringArray, PiiTypes("llm"),
        "Derived: types of the personal data found.";
    "llm.injectionSignals", ["injection_signals"], StringArray, InjectionSignals("llm"),
        "Derived: categories of the phrases of prompt injection found in `llm.normalizedText`; unknown where that is.";
    "llm.injectionScore", ["injection_score"], Number, InjectionScore("llm"),
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

/// Known fields that a service answers ([`Known::answered`]).
pub const ANSWERED: &[&str] = &[
    "shield.safe",
    "shield.riskScore",
    "shield.threats",
    "shield.verdict",
];

/// Top-level objects whose keys are all known: a path below one of them that is not in the table is suspicious.
pub const CLOSED_OBJECTS: &[&str] = &["llm", "user", "team", "project", "request", "shield"];

/// The known field of a canonical dotted path.
#[must_use]
pub fn known(path: &str) -> Option<&'static ContextField> {
    FIELDS.iter().find(|f| f.path == path)
}

impl ContextField {
    /// What a request may hold there. Computed fields are what the engine computes, so requests may hold anything in their place.
    #[must_use]
    pub fn holds(&self) -> Holds {
        if self.derived.is_some() {
            return Holds::Any;
        }
        match self.ty {
            FieldType::Object if !self.path.contains('.') => Holds::Object,
            FieldType::String | FieldType::Number | FieldType::Bool => Holds::Scalar,
            FieldType::StringArray | FieldType::Array => Holds::List,
            FieldType::Object | FieldType::Any => Holds::Any,
        }
    }

    fn is_answered(&self) -> bool {
        ANSWERED.contains(&self.path)
    }
}

/// Whether a comparison of the field at `path` can be an error because of what the request holds, whatever the operator. As
/// [`Knowledge::can_mismatch`](policy_bytecode::context::Knowledge::can_mismatch) says of the module.
#[must_use]
pub fn can_mismatch(path: &[PathSegment]) -> bool {
    let mut above = (1..path.len()).filter_map(|steps| field_at(path.get(..steps)?));
    field_at(path).is_some_and(|field| field.holds().shape() != Shape::Any || field.is_answered())
        || above.any(|field| field.holds() == Holds::List || field.is_answered())
}

/// Whether `path` is a known object at the top of a request: one that is something else there makes the request malformed.
#[must_use]
pub fn is_root(path: &[PathSegment]) -> bool {
    field_at(path).is_some_and(|field| field.holds() == Holds::Object)
}

/// What is known of requests at the fields of a module and above them, in the order of the fields.
#[must_use]
pub fn known_places(fields: &[Field]) -> Vec<Known> {
    let mut seen = BTreeSet::new();
    let ways = fields
        .iter()
        .flat_map(|field| (1..=field.path.len()).filter_map(|steps| field.path.get(..steps)));
    ways.filter_map(field_at)
        .filter(|field| field.holds() != Holds::Any || field.is_answered())
        .filter(|field| seen.insert(field.path))
        .map(|field| Known {
            path: field.path.split('.').map(str::to_owned).collect(),
            holds: field.holds(),
            answered: field.is_answered(),
        })
        .collect()
}

/// Steps of the longest known path.
const DEEPEST: usize = 2;

/// The known field at a canonical path.
fn field_at(path: &[PathSegment]) -> Option<&'static ContextField> {
    let key = |at: usize| match path.get(at) {
        Some(PathSegment::Key { name, .. }) => Some(name.as_str()),
        Some(PathSegment::Index(_) | PathSegment::FromEnd(_)) | None => None,
    };
    let (first, second) = (key(0)?, key(1));
    if path.len() > DEEPEST || (path.len() == DEEPEST && second.is_none()) {
        return None;
    }
    FIELDS.iter().find(|field| {
        let mut keys = field.path.split('.');
        keys.next() == Some(first) && keys.next() == second
    })
}

#[cfg(test)]
mod tests {
    use super::{ANSWERED, CLOSED_OBJECTS, DEEPEST, FIELDS, can_mismatch, known, known_places};
    use crate::fields::describe;
    use policy_bytecode::context::Knowledge;
    use policy_grammar::ast::FieldPath;

    #[test]
    fn the_table_is_about_fields_that_it_has() {
        for field in FIELDS {
            assert!(field.path.split('.').count() <= DEEPEST, "{}", field.path);
            let Some(computed) = field.derived else { continue };
            assert_eq!(
                computed.args.len(),
                computed.intrinsic.row().signature.params.len(),
                "{}",
                field.path
            );
            for arg in computed.args {
                assert!(known(arg).is_some_and(|arg| arg.derived.is_none()), "{arg}");
            }
        }
        for path in ANSWERED.iter().chain(CLOSED_OBJECTS) {
            assert!(known(path).is_some(), "{path}");
        }
    }

    /// What the compiler takes for granted is what the module says.
    #[test]
    fn modules_say_what_the_compiler_knows() {
        let mut fields = Vec::new();
        for field in FIELDS {
            for below in ["", "[0]", ".x", "[0].x"] {
                let path = FieldPath::parse(&format!("{}{below}", field.path)).unwrap();
                fields.push(describe(&path, None).field);
            }
        }
        let places = known_places(&fields);
        let knowledge = Knowledge::new(&places);
        for field in &fields {
            assert_eq!(
                can_mismatch(&field.path),
                knowledge.can_mismatch(&field.path),
                "{:?}",
                field.path
            );
        }
    }
}
