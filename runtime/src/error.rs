//! Errors of building an engine, loading policies and evaluating requests.

use policy_bytecode::Stopped;
use policy_bytecode::bundle::BundleError;
use policy_bytecode::verify::VerifyError;
use policy_vm::JsonError;
use std::fmt;

/// Why policies cannot be loaded from a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are not a usable bundle, or no trusted key signed it.
    Bundle(BundleError),
    /// The module breaks a verification rule.
    Verify(VerifyError),
    /// The module cannot be prepared for running.
    Vm(policy_vm::LoadError),
    /// Loading was [stopped](policy_bytecode::Stop) before it was done.
    Stopped,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(e) => write!(f, "invalid bundle: {e}"),
            Self::Verify(e) => write!(f, "the bundle's module is refused: {e}"),
            Self::Vm(e) => write!(f, "the bundle's module cannot be loaded: {e}"),
            Self::Stopped => Stopped.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bundle(e) => Some(e),
            Self::Verify(e) => Some(e),
            Self::Vm(e) => Some(e),
            Self::Stopped => None,
        }
    }
}

impl From<Stopped> for LoadError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<BundleError> for LoadError {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

impl From<VerifyError> for LoadError {
    fn from(error: VerifyError) -> Self {
        if error.is_stopped() {
            return Self::Stopped;
        }
        Self::Verify(error)
    }
}

impl From<policy_vm::LoadError> for LoadError {
    fn from(error: policy_vm::LoadError) -> Self {
        match error {
            policy_vm::LoadError::Stopped => Self::Stopped,
            error => Self::Vm(error),
        }
    }
}

/// Why an engine cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The policies do not compile; one line per problem, `file:line:column: severity[code]: message`.
    Policies(Vec<String>),
    /// A bundle cannot be loaded.
    Load(LoadError),
    /// Neither policies nor a bundle were given, or both.
    Source(&'static str),
    /// Compiling or loading was [stopped](policy_bytecode::Stop) before it was done.
    Stopped,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policies(lines) => f.write_str(&lines.join("\n")),
            Self::Load(e) => fmt::Display::fmt(e, f),
            Self::Source(text) => f.write_str(text),
            Self::Stopped => Stopped.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Load(e) => Some(e),
            Self::Policies(_) | Self::Source(_) | Self::Stopped => None,
        }
    }
}

impl From<LoadError> for BuildError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Stopped => Self::Stopped,
            error => Self::Load(error),
        }
    }
}

/// Why a request gets no decision. Nothing was decided, and nothing may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The context is malformed.
    Context(JsonError),
    /// A requested policy is not loaded (or not in the requested namespace).
    UnknownPolicy(String),
    /// A requested policy is named twice.
    DuplicatePolicy(String),
    /// The list of requested policies is empty.
    NoPolicies,
    /// No loaded policy is of the requested namespace.
    UnknownNamespace(String),
    /// There are no policies to ask: nobody has said what may pass.
    NothingActive,
    /// The context as the policies modify it can no longer be evaluated.
    Modified(JsonError),
    /// The policies' modifications are larger than a request may be, so they cannot be applied as they are meant.
    ModificationsTooLarge,
    /// A context given as a Rust value does not serialise.
    Serialize(String),
    /// It was told to stop ([`crate::EvaluateOptions::stop`]).
    Stopped,
}

impl fmt::Display for EvaluateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(e) => write!(f, "malformed context: {e}"),
            Self::UnknownPolicy(id) => write!(f, "policy `{id}` is not active, or is of another namespace"),
            Self::DuplicatePolicy(id) => write!(f, "policy `{id}` is named twice"),
            Self::NoPolicies => f.write_str("the list of policies is empty"),
            Self::UnknownNamespace(namespace) => {
                write!(f, "namespace `{namespace}` has no active policy")
            }
            Self::NothingActive => f.write_str("no policy is active, so nothing can be decided"),
            Self::Modified(e) => write!(f, "malformed context after the policies' modifications: {e}"),
            Self::ModificationsTooLarge => {
                f.write_str("the policies' modifications of this context are larger than a context may be")
            }
            Self::Serialize(detail) => write!(f, "the context does not serialise: {detail}"),
            Self::Stopped => policy_bytecode::Stopped.fmt(f),
        }
    }
}

impl std::error::Error for EvaluateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Context(e) | Self::Modified(e) => Some(e),
            Self::UnknownPolicy(_)
            | Self::DuplicatePolicy(_)
            | Self::NoPolicies
            | Self::UnknownNamespace(_)
            | Self::NothingActive
            | Self::Stopped
            | Self::ModificationsTooLarge
            | Self::Serialize(_) => None,
        }
    }
}

impl EvaluateError {
    /// Stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Context(_) => "malformed_context",
            Self::UnknownPolicy(_) => "unknown_policy",
            Self::DuplicatePolicy(_) => "duplicate_policy",
            Self::NoPolicies => "no_policies",
            Self::UnknownNamespace(_) => "unknown_namespace",
            Self::NothingActive => "not_ready",
            Self::Modified(_) | Self::ModificationsTooLarge => "modification_refused",
            Self::Serialize(_) => "unserialisable_context",
            Self::Stopped => "stopped",
        }
    }
}
