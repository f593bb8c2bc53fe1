//! The active policies: the engine that decides, where its policies come from, and how it follows changes.
//!
//! Every origin ends here: the store (`sync/store.rs` and the writes of the service layer), a directory
//! (`sync/directory.rs`), bundles from a file, a URL (`sync/bundle.rs`) or the API. Requests read the engine and
//! [`Info`] without a lock; changes are made one after another.
//!
//! # Invariants
//!
//! - What does not compile or load replaces nothing: the last good policies stay active, and [`Info::failure`] says so.
//! - Until something was loaded, [`Active::engine`] gives `not_ready`, never a decision; and so does its engine while no
//!   policy is active.
//! - With trusted keys nothing runs that they did not sign.
//! - Nothing of the store runs whose digest is not the one that it was stored with. A policy whose text was changed in the
//!   store is not left out either: it goes on deciding with the text that was stored, as long as that is known here, and else the
//!   last good policies do.

mod build;
pub mod config;
mod follow;

use crate::clock::now_ms;
use crate::document::{self, Sight, Warning};
use crate::error::{Code, Problem, Result, ServiceError};
use crate::heavy::{Heavy, Stop, Work};
use crate::storage::StoreError;
use crate::storage::model::{PolicyKey, PolicyVersion};
use crate::turns::Turn;
use arc_swap::ArcSwap;
pub(crate) use build::{build, build_warned};
pub use config::Origin;
use follow::with_versions;
use policy_compiler::Compiler;
use policy_primitives::prices::PriceTable;
use policy_runtime::{
    BuildError, DefaultDecision, DeriveMode, Policies, PolicyEngine, PublicKey, UnknownNamespace,
};
use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// How decisions are made, whatever the policies.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Derived fields.
    pub derive: DeriveMode,
    /// Decision where no rule fires.
    pub default_decision: DefaultDecision,
    /// What becomes of a namespace without active policies.
    pub unknown_namespace: UnknownNamespace,
    /// Prices instead of the built-in ones.
    pub prices: Option<Arc<PriceTable>>,
    /// Keys of which one must have signed a bundle.
    pub trusted: Vec<PublicKey>,
}

impl Settings {
    /// An engine that decides with these policies.
    ///
    /// # Errors
    ///
    /// As [`policy_runtime::EngineBuilder::build`].
    pub fn engine(&self, policies: Policies) -> Result<PolicyEngine, BuildError> {
        let builder = PolicyEngine::builder()
            .policies(policies)
            .derive(self.derive)
            .default_decision(self.default_decision)
            .unknown_namespace(self.unknown_namespace);
        match &self.prices {
            Some(prices) => builder.prices(Arc::clone(prices)),
            None => builder,
        }
        .build()
    }
}

/// What is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Whether anything was ever loaded.
    pub ready: bool,
    /// Revision that decisions report.
    pub revision: String,
    /// Digest, where a bundle is active.
    pub digest: Option<String>,
    /// Revision of the store that is active here.
    pub store_revision: u64,
    /// Policies.
    pub policies: usize,
    /// Rules.
    pub rules: usize,
    /// Since when, in milliseconds since the epoch.
    pub activated_ms: i64,
    /// Why something newer is not active.
    pub failure: Option<String>,
    /// Versions that decide here as they were stored, and whose texts in the store are others.
    pub changed: Vec<String>,
    /// What the compiler warns of, of policies that come from a directory, and what it warned of when the bundle was made: the
    /// first [`SHOWN`].
    pub warnings: Vec<Problem>,
}

/// Warnings that are shown and logged at most, each time that a directory is loaded.
pub const SHOWN: usize = 100;

/// What the active policies are compiled from, for those who only read.
#[derive(Debug)]
pub struct Sources {
    /// As in [`State`].
    pub compiler: Arc<Compiler>,
    /// As in [`State`].
    pub bundle: bool,
}

/// What changes are made on.
#[derive(Debug)]
pub struct State {
    /// The stored policies that are active; empty while a bundle is.
    pub compiler: Arc<Compiler>,
    /// Whether a bundle is active.
    pub bundle: bool,
    /// Revision of the store that could not be activated; it is not tried again.
    failed: Option<u64>,
    /// What the store holds, where that cannot be activated because of texts that were changed there.
    torn: Option<Torn>,
}

/// The active policies of a store, but for some whose texts were changed there and are known nowhere else.
#[derive(Debug)]
struct Torn {
    /// Those whose texts are known.
    versions: Vec<PolicyVersion>,
    /// Those whose texts are not.
    lost: BTreeSet<PolicyKey>,
    /// Revision of the store.
    revision: u64,
}

/// What a change of a policy is checked against.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The policies that are active in the store, with whatever of them can be known.
    pub compiler: Arc<Compiler>,
    /// The revision of the store.
    pub revision: u64,
    /// Whether they decide here and stand like that in the store, so that the change is the only one to make here as well.
    pub is_whole: bool,
}

impl State {
    /// What a change of this policy is checked against, where what the store holds cannot run because its text was changed; `None`
    /// where that has other reasons, or none.
    #[must_use]
    pub fn repair(&self, key: &PolicyKey) -> Option<Ground> {
        let torn = self.torn.as_ref().filter(|torn| torn.lost.contains(key))?;
        Some(Ground {
            compiler: Arc::new(with_versions(&self.compiler, &torn.versions)),
            revision: torn.revision,
            is_whole: false,
        })
    }
}

/// A change that a caller makes, in turn with other callers.
#[derive(Debug)]
pub struct Change<'a> {
    state: MutexGuard<'a, State>,
    _turn: Turn,
}

impl Deref for Change<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

/// The active policies.
#[derive(Debug)]
pub struct Active {
    engine: PolicyEngine,
    settings: Settings,
    info: ArcSwap<Info>,
    sources: ArcSwap<Sources>,
    state: Mutex<State>,
    heavy: Heavy,
}

impl Active {
    /// Nothing active yet.
    ///
    /// # Errors
    ///
    /// When an engine cannot be made at all.
    pub fn new(settings: Settings, heavy: Heavy) -> Result<Self, BuildError> {
        let mut compiler = Compiler::new(document::options());
        let engine = settings.engine(Policies::from_sources(&mut compiler)?)?;
        let compiler = Arc::new(compiler);
        Ok(Self {
            engine,
            settings,
            info: ArcSwap::from_pointee(Info {
                ready: false,
                revision: String::new(),
                digest: None,
                store_revision: 0,
                policies: 0,
                rules: 0,
                activated_ms: 0,
                failure: None,
                changed: Vec::new(),
                warnings: Vec::new(),
            }),
            sources: ArcSwap::from_pointee(Sources {
                compiler: Arc::clone(&compiler),
                bundle: false,
            }),
            state: Mutex::new(State {
                compiler,
                bundle: false,
                failed: None,
                torn: None,
            }),
            heavy,
        })
    }

    /// The engine.
    ///
    /// # Errors
    ///
    /// [`Code::NotReady`] until policies were loaded.
    pub fn engine(&self) -> Result<&PolicyEngine> {
        if self.info.load().ready {
            Ok(&self.engine)
        } else {
            Err(ServiceError::new(Code::NotReady, "no policies are loaded yet"))
        }
    }

    /// How decisions are made.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is active.
    #[must_use]
    pub fn info(&self) -> Arc<Info> {
        self.info.load_full()
    }

    /// What the active policies are compiled from. Waits for no change.
    #[must_use]
    pub fn sources(&self) -> Arc<Sources> {
        self.sources.load_full()
    }

    /// For a change by the server itself: nobody else makes one meanwhile.
    pub async fn change(&self) -> MutexGuard<'_, State> {
        self.state.lock().await
    }

    /// For a change by a caller: nobody else makes one meanwhile, and callers take turns.
    ///
    /// # Errors
    ///
    /// As [`Heavy::turn_to_change`].
    pub async fn change_for(&self, work: Work) -> Result<Change<'_>> {
        let turn = self.heavy.turn_to_change(work).await?;
        Ok(Change {
            state: self.state.lock().await,
            _turn: turn,
        })
    }

    /// What a change of a policy is checked against while all is well.
    #[must_use]
    pub fn ground(&self, state: &State) -> Ground {
        let info = self.info.load();
        Ground {
            compiler: Arc::clone(&state.compiler),
            revision: info.store_revision,
            is_whole: info.changed.is_empty(),
        }
    }

    fn activate(&self, policies: Policies, store_revision: u64, changed: Vec<String>) {
        let manifest = policies.manifest();
        let info = Info {
            ready: true,
            revision: policies.revision().to_owned(),
            digest: policies.digest().map(|digest| digest.to_string()),
            store_revision,
            policies: manifest.policies.len(),
            rules: manifest.rules.len(),
            activated_ms: now_ms(),
            failure: None,
            changed,
            warnings: Vec::new(),
        };
        tracing::info!(
            revision = info.revision,
            store_revision,
            policies = info.policies,
            rules = info.rules,
            "policies activated"
        );
        self.engine.activate(policies);
        self.info.store(Arc::new(info));
    }

    /// Notes that the store is at a later revision with the same active policies.
    pub fn note_revision(&self, store_revision: u64) {
        let info = self.info.load_full();
        if info.store_revision != store_revision {
            self.info.store(Arc::new(Info {
                store_revision,
                ..(*info).clone()
            }));
        }
    }

    /// Notes that something newer could not be activated.
    pub fn note_failure(&self, failure: String) {
        let info = self.info.load_full();
        if info.failure.as_ref() != Some(&failure) {
            if info.policies == 0 {
                tracing::error!(%failure, "no policies are active");
            } else {
                tracing::error!(%failure, "policies not activated; the last good ones stay active");
            }
            self.info.store(Arc::new(Info {
                failure: Some(failure),
                ..(*info).clone()
            }));
        }
    }

    /// Notes that there is nothing newer than what is active any more.
    pub fn forget_failure(&self) {
        let info = self.info.load_full();
        if info.failure.is_some() {
            self.info.store(Arc::new(Info {
                failure: None,
                ..(*info).clone()
            }));
        }
    }

    /// Notes which versions decide as they were stored, though their texts in the store are others.
    fn note_changed(&self, changed: Vec<String>) {
        let info = self.info.load_full();
        if info.changed != changed {
            if !changed.is_empty() {
                tracing::error!(
                    versions = changed.join(", "),
                    "texts were changed in the database; the stored text stays active"
                );
            }
            self.info.store(Arc::new(Info {
                changed,
                ..(*info).clone()
            }));
        }
    }

    /// Notes what the compiler warns of in the policies that became active, and logs it.
    pub fn note_warnings(&self, warnings: Vec<Warning>, more: usize) {
        warnings.iter().for_each(Warning::log);
        if more > 0 {
            tracing::warn!(
                more,
                "more warnings of the compiler are not shown; `policyc check` shows all"
            );
        }
        let info = self.info.load_full();
        self.info.store(Arc::new(Info {
            warnings: warnings.into_iter().map(|warning| warning.problem).collect(),
            ..(*info).clone()
        }));
    }

    /// Compiles a set. Its problems are told as far as somebody sees them.
    ///
    /// # Errors
    ///
    /// [`Code::PolicyInvalid`] with every problem, and those of [`Heavy::run`].
    pub async fn compile(
        &self,
        compiler: Compiler,
        sight: Sight,
        work: Work,
    ) -> Result<(Compiler, Policies)> {
        self.heavy
            .run(work, move |stop| build(compiler, &sight, stop))
            .await?
    }

    /// Decodes, checks the signature of, verifies and loads a bundle.
    ///
    /// # Errors
    ///
    /// [`Code::UntrustedBundle`], [`Code::InvalidBundle`], and those of [`Heavy::run`].
    pub async fn load(&self, bytes: Arc<[u8]>, work: Work) -> Result<Policies> {
        let trusted = self.settings.trusted.clone();
        self.heavy
            .run(work, move |stop| {
                use policy_bytecode::bundle::BundleError as B;
                use policy_runtime::LoadError as L;
                Policies::from_bundle_until(&bytes, &trusted, stop.handle()).map_err(|error| {
                    if matches!(error, L::Stopped) {
                        return Stop::stopped();
                    }
                    let untrusted = matches!(&error, L::Bundle(B::Untrusted { .. }));
                    let code = if untrusted {
                        Code::UntrustedBundle
                    } else {
                        Code::InvalidBundle
                    };
                    ServiceError::new(code, error.to_string())
                })
            })
            .await?
    }

    /// Loads a bundle of the store.
    ///
    /// # Errors
    ///
    /// As [`Active::load`], and [`Code::TextChanged`] when it is not the one that was stored under this digest.
    pub async fn load_stored(&self, digest: &str, bytes: Arc<[u8]>, work: Work) -> Result<Policies> {
        let policies = self.load(bytes, work).await?;
        if policies.digest().is_some_and(|own| own.to_string() == digest) {
            return Ok(policies);
        }
        Err(StoreError::Changed(format!("bundle `{digest}`")).into())
    }

    /// Makes compiled sources active.
    pub fn adopt_sources(
        &self,
        state: &mut State,
        compiler: Compiler,
        policies: Policies,
        store_revision: u64,
    ) {
        self.compiled_from(state, compiler, false);
        self.activate(policies, store_revision, self.info.load().changed.clone());
    }

    /// Makes a loaded bundle active.
    pub fn adopt_bundle(&self, state: &mut State, policies: Policies, store_revision: u64) {
        self.compiled_from(state, Compiler::new(document::options()), true);
        let warnings = document::warnings_of_bundle(policies.manifest());
        let more = policies.manifest().more_warnings as usize;
        self.activate(policies, store_revision, Vec::new());
        if !warnings.is_empty() {
            self.note_warnings(warnings, more);
        }
    }

    fn compiled_from(&self, state: &mut State, compiler: Compiler, bundle: bool) {
        state.compiler = Arc::new(compiler);
        state.bundle = bundle;
        self.sources.store(Arc::new(Sources {
            compiler: Arc::clone(&state.compiler),
            bundle,
        }));
    }

    /// Whether policies from source text may run.
    ///
    /// # Errors
    ///
    /// [`Code::ReadOnly`] when only signed bundles may.
    pub fn takes_sources(&self) -> Result<()> {
        if self.settings.trusted.is_empty() {
            return Ok(());
        }
        Err(ServiceError::new(
            Code::ReadOnly,
            "this server runs signed bundles only; policies from source text are not signed",
        ))
    }
}
