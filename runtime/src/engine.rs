//! The engine: settings, the active policies behind an atomic pointer, and a worker per thread.

use crate::derive::DeriveMode;
use crate::error::{BuildError, EvaluateError, LoadError};
use crate::options::{
    Choice, Chosen, DEFAULT_DERIVE, DefaultDecision, EvaluateOptions, Settings, UnknownNamespace,
};
use crate::response::Response;
use crate::snapshot::Policies;
use crate::worker::{Answer, Evaluated, Verdict, Worker};
use arc_swap::ArcSwap;
use policy_bytecode::bundle::PublicKey;
use policy_primitives::prices::PriceTable;
use policy_vm::Scope;
use serde::Serialize;
use std::cell::RefCell;
use std::sync::Arc;
use thread_local::ThreadLocal;

/// Evaluates requests against the active policies. `Send + Sync`; clones share everything.
#[derive(Clone)]
pub struct PolicyEngine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) active: ArcSwap<Policies>,
    workers: ThreadLocal<RefCell<Worker>>,
}

impl std::fmt::Debug for PolicyEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyEngine")
            .field("revision", &self.policies().revision())
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Does something with the policies that were chosen, or with those that are active now.
    #[inline]
    pub(crate) fn with_policies<R>(
        &self,
        options: &EvaluateOptions<'_>,
        work: impl FnOnce(&Policies) -> R,
    ) -> R {
        match options.chosen {
            Some(chosen) => work(&chosen.policies),
            None => work(&self.active.load()),
        }
    }
}

impl PolicyEngine {
    /// Starts an engine.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Evaluates a context given as JSON text.
    ///
    /// # Errors
    ///
    /// [`EvaluateError::Context`] when it is not a JSON object, holds a key twice where it is read, or is too large,
    /// [`EvaluateError::Modified`] when modifications make it so, [`EvaluateError::ModificationsTooLarge`] when they are
    /// larger than a request may be, [`EvaluateError::NothingActive`] without policies.
    pub fn evaluate_json(&self, context: impl AsRef<[u8]>) -> Result<Response, EvaluateError> {
        self.evaluate_json_with(context.as_ref(), &EvaluateOptions::default())
    }

    /// Evaluates a context given as JSON text, with options.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json`], [`EvaluateError::UnknownPolicy`] and [`EvaluateError::NoPolicies`] for a list
    /// of policies that cannot be asked, [`EvaluateError::UnknownNamespace`] for a namespace without policies.
    pub fn evaluate_json_with(
        &self,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Response, EvaluateError> {
        self.shared.with_policies(options, |policies| {
            self.with_worker(|worker| {
                worker.evaluate_owned(policies, &self.shared.settings, context, options)
            })
        })
    }

    /// Finds the policies that the options name, for whoever is about to ask several times ([`EvaluateOptions::chosen`]).
    ///
    /// # Errors
    ///
    /// [`EvaluateError::UnknownPolicy`], [`EvaluateError::DuplicatePolicy`], [`EvaluateError::NoPolicies`],
    /// [`EvaluateError::UnknownNamespace`] and [`EvaluateError::NothingActive`].
    pub fn choose(&self, options: &EvaluateOptions<'_>) -> Result<Chosen, EvaluateError> {
        let policies = self.policies();
        let choice = match crate::worker::scope(&policies, &self.shared.settings, options, &mut Vec::new())? {
            Scope::All => Choice::All,
            Scope::Group { own, .. } => Choice::Group(own),
            Scope::Only(mask) => Choice::Only(mask.to_vec()),
        };
        Ok(Chosen { policies, choice })
    }

    /// Evaluates any value that serialises to a JSON object.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json`], and [`EvaluateError::Serialize`].
    pub fn evaluate(&self, context: &impl Serialize) -> Result<Response, EvaluateError> {
        let json = serde_json::to_vec(context).map_err(|e| EvaluateError::Serialize(e.to_string()))?;
        self.evaluate_json(json)
    }

    /// Evaluates with memory of the caller's, and returns the response as JSON text in it. Allocates nothing once the
    /// worker has grown to the size of the traffic (but for `trace`).
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub fn evaluate_into<'w>(
        &self,
        worker: &'w mut Worker,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Evaluated<'w>, EvaluateError> {
        let answer = self.answer(worker, context, options)?;
        Ok(Evaluated {
            decision: answer.decision,
            json: answer.json,
        })
    }

    /// As [`PolicyEngine::evaluate_into`], and says more about the response, for those who log decisions.
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    pub fn answer<'w>(
        &self,
        worker: &'w mut Worker,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Answer<'w>, EvaluateError> {
        self.shared.with_policies(options, |policies| {
            worker.evaluate_json(policies, &self.shared.settings, context, options)
        })
    }

    /// Decides with memory of the caller's, without making a response: no reason, request id, time, JSON or trace. The
    /// fastest path for callers in the same process that only ask whether to go on. Allocates nothing once the worker
    /// has grown to the size of the traffic.
    ///
    /// ```
    /// # #[cfg(feature = "compile")] {
    /// # use policy_runtime::{EvaluateOptions, PolicyEngine, Verb, Worker};
    /// # let engine = PolicyEngine::builder()
    /// #     .policies_from_yaml("
    /// # metadata: { id: models, name: Models }
    /// # rules:
    /// #   - id: allow-list
    /// #     condition: { operator: ne, field: llm.model, value: gpt-4o }
    /// #     action: { decision: deny, reason: no }
    /// # ")?
    /// #     .build()?;
    /// let mut worker = Worker::new();
    /// let verdict = engine.decide(&mut worker, br#"{"llm": {"model": "other"}}"#, &EvaluateOptions::default())?;
    /// assert_eq!((verdict.decision, verdict.rule), (Verb::Deny, Some("allow-list")));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PolicyEngine::evaluate_json_with`].
    #[inline]
    pub fn decide<'w>(
        &self,
        worker: &'w mut Worker,
        context: &[u8],
        options: &EvaluateOptions<'_>,
    ) -> Result<Verdict<'w>, EvaluateError> {
        self.shared.with_policies(options, |policies| {
            worker.decide(policies, &self.shared.settings, context, options)
        })
    }

    fn with_worker<R>(&self, f: impl FnOnce(&mut Worker) -> R) -> R {
        let cell = self.shared.workers.get_or_default();
        match cell.try_borrow_mut() {
            Ok(mut worker) => f(&mut worker),
            // Re-entered on one thread, from a `Serialize` implementation say.
            Err(_busy) => f(&mut Worker::new()),
        }
    }

    /// The active policies.
    #[must_use]
    pub fn policies(&self) -> Arc<Policies> {
        self.shared.active.load_full()
    }

    /// Replaces the active policies. Requests under way end with those that they started with.
    pub fn activate(&self, policies: Policies) {
        self.shared.settings.prepare(&policies);
        self.shared.active.store(Arc::new(policies));
    }

    /// Loads a bundle and activates it; on an error the active policies stay.
    ///
    /// # Errors
    ///
    /// As [`Policies::from_bundle`], with the keys that the engine was built with.
    pub fn activate_bundle(&self, bytes: &[u8]) -> Result<(), LoadError> {
        self.activate(Policies::from_bundle(bytes, &self.shared.settings.trusted)?);
        Ok(())
    }
}

/// Builds a [`PolicyEngine`].
#[derive(Debug)]
pub struct EngineBuilder {
    settings: Settings,
    bundle: Option<Vec<u8>>,
    policies: Option<Policies>,
    #[cfg(feature = "compile")]
    pub(crate) sources: crate::sources::Sources,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            settings: Settings {
                derive: DEFAULT_DERIVE,
                default_decision: DefaultDecision::default(),
                unknown_namespace: UnknownNamespace::default(),
                prices: None,
                #[cfg(feature = "cache")]
                price_identity: std::sync::OnceLock::new(),
                trusted: Vec::new(),
            },
            bundle: None,
            policies: None,
            #[cfg(feature = "compile")]
            sources: crate::sources::Sources::default(),
        }
    }
}

impl EngineBuilder {
    /// Policies from a bundle, as `policyc build` makes it.
    #[must_use]
    pub fn bundle(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.bundle = Some(bytes.into());
        self
    }

    /// Policies that were loaded before.
    #[must_use]
    pub fn policies(mut self, policies: Policies) -> Self {
        self.policies = Some(policies);
        self
    }

    /// Accepts only bundles signed by one of these keys.
    #[must_use]
    pub fn trusted_keys(mut self, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        self.settings.trusted.extend(keys);
        self
    }

    /// How derived fields are filled. Default [`DeriveMode::Always`].
    #[must_use]
    pub fn derive(mut self, mode: DeriveMode) -> Self {
        self.settings.derive = mode;
        self
    }

    /// Decision where no rule fires. Default allow.
    #[must_use]
    pub fn default_decision(mut self, decision: DefaultDecision) -> Self {
        self.settings.default_decision = decision;
        self
    }

    /// What becomes of a namespace without an active policy. Default [`UnknownNamespace::Error`].
    #[must_use]
    pub fn unknown_namespace(mut self, unknown: UnknownNamespace) -> Self {
        self.settings.unknown_namespace = unknown;
        self
    }

    /// Prices to use instead of the built-in table.
    #[must_use]
    pub fn prices(mut self, prices: Arc<PriceTable>) -> Self {
        self.settings.prices = Some(prices);
        self
    }

    /// The engine.
    ///
    /// # Errors
    ///
    /// [`BuildError::Policies`] when policies do not compile, [`BuildError::Load`] when a bundle cannot be loaded,
    /// [`BuildError::Source`] when there is not exactly one source of policies.
    pub fn build(self) -> Result<PolicyEngine, BuildError> {
        let settings = self.settings.clone();
        let policies = self.load()?;
        settings.prepare(&policies);
        Ok(PolicyEngine {
            shared: Arc::new(Shared {
                settings,
                active: ArcSwap::from_pointee(policies),
                workers: ThreadLocal::new(),
            }),
        })
    }

    #[cfg(not(feature = "compile"))]
    fn load(self) -> Result<Policies, BuildError> {
        self.load_ready()
    }

    #[cfg(feature = "compile")]
    fn load(self) -> Result<Policies, BuildError> {
        if self.sources.is_empty() {
            return self.load_ready();
        }
        if self.bundle.is_some() || self.policies.is_some() {
            return Err(BuildError::Source("give either policies or a bundle, not both"));
        }
        self.settings.takes_sources()?;
        self.sources.load()
    }

    fn load_ready(self) -> Result<Policies, BuildError> {
        match (self.bundle, self.policies) {
            (Some(bytes), None) => Ok(Policies::from_bundle(&bytes, &self.settings.trusted)?),
            (None, Some(policies)) => Ok(policies),
            (Some(_), Some(_)) => Err(BuildError::Source("give either policies or a bundle, not both")),
            (None, None) => Err(BuildError::Source("no policies were given")),
        }
    }
}
