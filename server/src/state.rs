//! What requests of all transports share.

use crate::answer::Answers;
use crate::auth::{Authenticator, Credentials};
use crate::body::Bodies;
use crate::cache::CacheStats;
use crate::decisions::associated_data;
use crate::error::{Code, Result};
use crate::gate::Gate;
use crate::health::Health;
use crate::hosts::Hosts;
use crate::http::routes::Routes;
use crate::identity::{Identity, Proof};
use crate::limits::Route;
use crate::seal::{self, Sealer};
use crate::service::Service;
use crate::shares::{Address, Shares};
use crate::storage::model::DecisionRecord;
use crate::telemetry::request::{self, part, traced};
use crate::telemetry::{LevelHandle, Metrics};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The running server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// Its parts.
#[derive(Debug)]
pub struct Parts {
    /// The operations.
    pub service: Arc<Service>,
    /// Who is asking.
    pub auth: Authenticator,
    /// How many at once.
    pub gate: Gate,
    /// How bodies are read.
    pub bodies: Bodies,
    /// Memory of answers.
    pub answers: Answers,
    /// How long a stream may wait for a request.
    pub idle: Duration,
    /// Places for connections of REST and gRPC.
    pub connections: Shares,
    /// Names that the server is asked under; none where callers prove who they are, and names do not matter.
    pub hosts: Option<Hosts>,
    /// Liveness and readiness.
    pub health: Arc<Health>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// REST routes with their counters.
    pub routes: Routes,
    /// Log level of the running server; none in tests that set up no logs.
    pub log_level: Option<LevelHandle>,
    /// Opens what the decision log sealed.
    pub sealer: Option<Arc<Sealer>>,
    /// What the caches had counted when the metrics were last asked for.
    pub counted: Mutex<CacheStats>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Lets a caller in: who it is, and whether it comes too often. `address` is where it calls from, which counts where
    /// nobody is asked who they are.
    ///
    /// # Errors
    ///
    /// Those of [`App::identify`], and [`Code::RateLimited`].
    pub async fn admit(&self, credentials: &Credentials, address: Address, route: Route) -> Result<Identity> {
        let identity = self.identify(credentials, address).await?;
        self.service
            .limiter
            .check(&identity, route)
            .await
            .inspect_err(|_| {
                self.metrics.rate_limited(route.as_str());
            })?;
        Ok(identity)
    }

    /// Who calls from an address. Counts nothing but failures.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthenticated`], [`Code::RateLimited`] for an address that failed too often, [`Code::StoreUnavailable`],
    /// [`Code::NotReady`].
    pub async fn identify(&self, credentials: &Credentials, address: Address) -> Result<Identity> {
        let identity = traced(part!("authenticate"), self.auth.identify(credentials, address))
            .await
            .inspect_err(|error| {
                if error.code == Code::Unauthenticated {
                    let given = credentials.is_given();
                    self.metrics
                        .auth_failed(if given { "invalid" } else { "missing" });
                } else if error.code == Code::RateLimited {
                    self.metrics.auth_failed("limited");
                }
            })?;
        let identity = match identity.proof {
            Proof::None(_) => Identity {
                proof: Proof::None(Some(address)),
                ..identity
            },
            Proof::Token | Proof::Key => identity,
        };
        request::is_by(&identity.subject);
        Ok(identity)
    }

    /// The context of a logged decision as JSON; `None` where it is sealed with a key that this server does not have.
    #[must_use]
    pub fn open(&self, decision: &DecisionRecord) -> Option<String> {
        let kept = decision.context.as_ref()?;
        if !kept.starts_with(seal::PREFIX) {
            return Some(kept.clone());
        }
        let opened = self.sealer.as_ref()?.open(kept, &associated_data(decision));
        opened
            .inspect_err(|error| tracing::warn!(%error, "a stored context cannot be opened"))
            .ok()
    }

    /// The metrics, with what is only asked for now.
    #[must_use]
    pub fn scrape(&self) -> String {
        let info = self.service.active.info();
        self.metrics.store_revision(info.store_revision);
        self.metrics.connections(self.connections.taken());
        if info.ready {
            let digest = info.digest.as_deref().unwrap_or_default();
            self.metrics.activated(
                info.policies,
                info.rules,
                &info.revision,
                digest,
                info.activated_ms,
            );
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.service.cache.stats();
        now.count_since(&counted, self.metrics.cache());
        *counted = now;
        drop(counted);
        for (name, up) in self.health.dependencies() {
            self.metrics.dependency(name, up);
        }
        self.metrics.encode()
    }
}
