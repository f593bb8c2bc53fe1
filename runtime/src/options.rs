//! What a host sets once, and what a caller says of one request.

use crate::derive::DeriveMode;
use crate::snapshot::Policies;
use policy_bytecode::Stop;
use policy_bytecode::bundle::PublicKey;
use policy_bytecode::intrinsics::{IntrinsicId, Llm};
use policy_bytecode::module::Decision as Verb;
use policy_primitives::prices::PriceTable;
use policy_vm::{Mode, Scope};
use std::borrow::Cow;
use std::sync::Arc;

/// How derived fields are filled, for [`Settings`].
pub(crate) const DEFAULT_DERIVE: DeriveMode = DeriveMode::Always;

/// Decision where no rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultDecision {
    /// Let it pass.
    #[default]
    Allow,
    /// Refuse it.
    Deny,
}

impl DefaultDecision {
    pub(crate) fn verb(self) -> Verb {
        match self {
            Self::Allow => Verb::Allow,
            Self::Deny => Verb::Deny,
        }
    }
}

/// What does not change while an engine lives.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) derive: DeriveMode,
    pub(crate) default_decision: DefaultDecision,
    pub(crate) unknown_namespace: UnknownNamespace,
    /// `None` is the built-in table, read when the first policies come that ask for prices.
    pub(crate) prices: Option<Arc<PriceTable>>,
    /// Digest of the price table, made when a cache first needs it.
    #[cfg(feature = "cache")]
    pub(crate) price_identity: std::sync::OnceLock<[u8; 32]>,
    pub(crate) trusted: Vec<PublicKey>,
}

impl Settings {
    /// Reads what the first decision under these policies would have to wait for.
    pub(crate) fn prepare(&self, policies: &Policies) {
        let asks = self.derive != DeriveMode::Never && policies.module.host_intrinsics().any(asks_prices);
        if asks && self.prices.is_none() {
            PriceTable::builtin();
        }
    }
}

/// Whether an intrinsic asks the price table.
pub(crate) fn asks_prices(id: IntrinsicId) -> bool {
    match Llm::of(id) {
        Some(Llm::EstimatedCost | Llm::MaxCost | Llm::CanonicalModel | Llm::ModelFamily) => true,
        Some(
            Llm::Text
            | Llm::NormalizedText
            | Llm::LastUserText
            | Llm::UnreadContent
            | Llm::EstimatedTokens
            | Llm::ContainsPii
            | Llm::PiiTypes
            | Llm::InjectionSignals
            | Llm::InjectionScore,
        )
        | None => false,
    }
}

/// What becomes of a request that names a namespace without active policies. Names are compared letter for letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownNamespace {
    /// It gets [`EvaluateError::UnknownNamespace`](crate::EvaluateError::UnknownNamespace): a mistyped name must not mean that nothing is checked.
    #[default]
    Error,
    /// The policies of `global` decide; an error as well where there are none.
    Global,
}

/// Per-request choices. The default asks every loaded policy and stops at the first deny.
#[derive(Debug, Clone)]
pub struct EvaluateOptions<'o> {
    /// Echoed in the response; generated when absent.
    pub request_id: Option<&'o str>,
    /// Only policies of this namespace and of `global`; one without an active policy is an error, unless the engine
    /// was told otherwise ([`EngineBuilder::unknown_namespace`](crate::EngineBuilder::unknown_namespace)).
    pub namespace: Option<&'o str>,
    /// Only these policies: of each id every one that the request sees. An id that it does not see or that is named twice is
    /// an error, and so is an empty list.
    pub policies: Option<&'o [Cow<'o, str>]>,
    /// What [`PolicyEngine::choose`](crate::PolicyEngine::choose) made of `namespace` and `policies`, for whoever asks several times: these are not looked
    /// for again, and the set that they were found in decides, also where another one is active by now.
    pub chosen: Option<&'o Chosen>,
    /// Whether to stop at the first deny.
    pub mode: Mode,
    /// Adds the outcome of every rule and condition to the response; implies [`Mode::All`].
    pub trace: bool,
    /// Whether anybody still waits. Looked at between rules and before a long text is searched, and once more at the end; where it
    /// says stop, there is no decision.
    pub stop: Option<&'o Stop>,
}

impl Default for EvaluateOptions<'_> {
    fn default() -> Self {
        Self {
            request_id: None,
            namespace: None,
            policies: None,
            chosen: None,
            mode: Mode::FirstDeny,
            trace: false,
            stop: None,
        }
    }
}

/// Policies that were chosen once, to be asked several times.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub(crate) policies: Arc<Policies>,
    pub(crate) choice: Choice,
}

/// As [`Scope`], with what it borrows.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    All,
    Group(u32),
    Only(Vec<bool>),
}

impl Chosen {
    /// Whether one of these policies reads what a scanner says of a request, `shield` or anything in it.
    #[must_use]
    pub fn reads_shield(&self) -> bool {
        let scope = self.scope();
        let mut asking = self.policies.asking.iter().enumerate();
        asking.any(|(policy, asks)| *asks && scope.holds(policy))
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        match &self.choice {
            Choice::All => Scope::All,
            Choice::Group(own) => Scope::Group {
                of: &self.policies.namespace_of,
                own: *own,
            },
            Choice::Only(mask) => Scope::Only(mask),
        }
    }
}
