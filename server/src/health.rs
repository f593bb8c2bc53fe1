//! Liveness and readiness. Liveness depends on nothing but the process; readiness says what is missing and what is merely
//! degraded: evaluation goes on from the last good policies while a database or Redis is away.

use crate::active::Info;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// State of what the server depends on.
#[derive(Debug, Default)]
pub struct Health {
    draining: AtomicBool,
    stopping: AtomicBool,
    /// By name: `None` is up, else why not.
    dependencies: RwLock<BTreeMap<&'static str, Option<String>>>,
}

/// Answer to `/readyz` for everybody: texts of errors name policies and addresses, and are not for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// `ready`, `degraded` or `unready`.
    pub status: &'static str,
    /// Which parts are missing or degraded, each in words that do not depend on why.
    pub reasons: Vec<String>,
    /// Whether each dependency can be reached.
    pub dependencies: BTreeMap<&'static str, &'static str>,
}

/// Answer to `/readyz` for operators.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// `ready`, `degraded` or `unready`.
    pub status: &'static str,
    /// What is missing or degraded, and why.
    pub reasons: Vec<String>,
    /// Whether each dependency can be reached.
    pub dependencies: BTreeMap<&'static str, &'static str>,
    /// Revision that decisions report.
    pub revision: String,
    /// Revision of the store that is active here.
    pub store_revision: u64,
    /// Policies that decide.
    pub policies: usize,
    /// What everybody is told.
    #[serde(skip)]
    pub outline: Outline,
}

impl Health {
    /// From now on the server is not ready: it is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the server is about to stop. It may go on answering for a while.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// From now on the server stops: what has no end by itself is to end.
    pub fn stop(&self) {
        self.draining.store(true, Ordering::Release);
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Notes whether a dependency can be reached. Says whether that is news.
    pub fn note(&self, name: &'static str, down: Option<String>) -> bool {
        let mut dependencies = self.dependencies.write().unwrap_or_else(PoisonError::into_inner);
        let news = dependencies.get(name).map(Option::is_some) != Some(down.is_some());
        if news {
            match &down {
                Some(reason) => tracing::warn!(dependency = name, %reason, "dependency is down"),
                None => tracing::info!(dependency = name, "dependency is up"),
            }
        }
        dependencies.insert(name, down);
        news
    }

    /// Names of dependencies and whether they are up.
    pub fn dependencies(&self) -> Vec<(&'static str, bool)> {
        let dependencies = self.dependencies.read().unwrap_or_else(PoisonError::into_inner);
        dependencies
            .iter()
            .map(|(name, down)| (*name, down.is_none()))
            .collect()
    }

    /// Whether requests should come here, and why not.
    pub fn readiness(&self, info: &Info) -> Readiness {
        // Each for everybody, and for operators.
        let mut missing: Vec<(String, String)> = Vec::new();
        let mut miss = |what: &str| missing.push((what.to_owned(), what.to_owned()));
        if self.is_draining() {
            miss("the server is about to stop");
        }
        if !info.ready {
            miss("no policies are loaded yet");
        } else if info.policies == 0 {
            miss("no policy is active, so nothing is decided");
        }
        let mut degraded: Vec<(String, String)> = Vec::new();
        if let Some(failure) = &info.failure {
            degraded.push(("newer policies cannot be activated".to_owned(), failure.clone()));
        }
        if !info.changed.is_empty() {
            degraded.push((
                "texts of policies were changed in the database".to_owned(),
                format!(
                    "{} was changed in the database; the stored text stays active",
                    info.changed.join(", ")
                ),
            ));
        }
        let mut up = BTreeMap::new();
        let dependencies = self.dependencies.read().unwrap_or_else(PoisonError::into_inner);
        for (name, down) in dependencies.iter() {
            up.insert(*name, if down.is_none() { "up" } else { "down" });
            if let Some(reason) = down {
                degraded.push((format!("{name} is down"), format!("{name}: {reason}")));
            }
        }
        let status = match (missing.is_empty(), degraded.is_empty()) {
            (false, _) => "unready",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        missing.append(&mut degraded);
        let (outline, reasons) = missing.into_iter().unzip();
        Readiness {
            status,
            reasons,
            outline: Outline {
                status,
                reasons: outline,
                dependencies: up.clone(),
            },
            dependencies: up,
            revision: info.revision.clone(),
            store_revision: info.store_revision,
            policies: info.policies,
        }
    }
}
