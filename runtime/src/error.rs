//! Errors of building an engine, loading policies and evaluating requests.

use policy_bytecode::Stopped;
use policy_bytecode::bundle::BundleError;
use policy_bytecode::verify::VerifyError;
use policy_vm::JsonError;

/// Why policies cannot be loaded from a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are not a usable bundle, or no trusted key signed it.
    #[error("invalid bundle: {0}")]
    Bundle(#[from] BundleError),
    /// The module breaks a verification rule.
    #[error("the bundle's module is refused: {0}")]
    Verify(#[source] VerifyError),
    /// The module cannot be prepared for running.
    #[error("the bundle's module cannot be loaded: {0}")]
    Vm(#[source] policy_vm::LoadError),
    /// Loading was [stopped](policy_bytecode::Stop) before it was done.
    #[error("{Stopped}")]
    Stopped,
}

impl From<Stopped> for LoadError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The policies do not compile; one line per problem, `file:line:column: severity[code]: message`.
    #[error("{}", .0.join("\n"))]
    Policies(Vec<String>),
    /// A bundle cannot be loaded.
    #[error("{0}")]
    Load(#[source] LoadError),
    /// Neither policies nor a bundle were given, or both.
    #[error("{0}")]
    Source(&'static str),
    /// Compiling or loading was [stopped](policy_bytecode::Stop) before it was done.
    #[error("{Stopped}")]
    Stopped,
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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The context is malformed.
    #[error("malformed context: {0}")]
    Context(#[source] JsonError),
    /// A requested policy is not loaded (or not in the requested namespace).
    #[error("policy `{0}` is not active, or is of another namespace")]
    UnknownPolicy(String),
    /// A requested policy is named twice.
    #[error("policy `{0}` is named twice")]
    DuplicatePolicy(String),
    /// The list of requested policies is empty.
    #[error("the list of policies is empty")]
    NoPolicies,
    /// No loaded policy is of the requested namespace.
    #[error("namespace `{0}` has no active policy")]
    UnknownNamespace(String),
    /// There are no policies to ask: nobody has said what may pass.
    #[error("no policy is active, so nothing can be decided")]
    NothingActive,
    /// The context as the policies modify it can no longer be evaluated.
    #[error("malformed context after the policies' modifications: {0}")]
    Modified(#[source] JsonError),
    /// The policies' modifications are larger than a request may be, so they cannot be applied as they are meant.
    #[error("the policies' modifications of this context are larger than a context may be")]
    ModificationsTooLarge,
    /// A context given as a Rust value does not serialise.
    #[error("the context does not serialise: {0}")]
    Serialize(String),
    /// It was told to stop ([`crate::EvaluateOptions::stop`]).
    #[error("{Stopped}")]
    Stopped,
    /// A defect of the engine.
    #[error("the engine has a defect: {0}")]
    Internal(&'static str),
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
            Self::Internal(_) => "internal",
        }
    }
}
