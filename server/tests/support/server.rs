//! A whole server in the process of the test: everything that `policyd` runs, on free loopback ports and a database in
//! memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

use policy_server::config::{Config, Raw};
use policy_server::identity::Identity;
use policy_server::server::{Addresses, Cut, Server};
use policy_server::service::keys::{NewKey, make_key};
use policy_server::state::App;
use policy_server::telemetry::Metrics;
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server that serves until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) app: App,
    pub(crate) addresses: Addresses,
    pub(crate) stop: CancellationToken,
    served: JoinHandle<anyhow::Result<Cut>>,
    _data: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    /// Starts a server with these settings besides those of a test.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        let directory = data.path().to_str().unwrap().to_owned();
        let flag = |name: &str| {
            let own = settings.iter().find(|(key, _)| *key == name);
            match (own, name) {
                (Some((_, value)), _) => Some((*value).to_owned()),
                (None, "PORT" | "GRPC_PORT" | "METRICS_PORT") => Some("0".to_owned()),
                (None, "DATABASE_URL") => Some("sqlite::memory:".to_owned()),
                (None, "DATA_DIR") => Some(directory.clone()),
                (None, "SHUTDOWN_GRACE") => Some("5s".to_owned()),
                (None, _) => None,
            }
        };
        let config = Config::parse(&Raw::collect(None, |_| None, flag)).unwrap();
        let server = Server::build(config, Arc::new(Metrics::new()), None)
            .await
            .unwrap();
        let (app, addresses) = (server.app(), server.addresses());
        let stop = CancellationToken::new();
        let served = tokio::spawn(server.run(stop.clone()));
        while !app.service.active.info().ready {
            assert!(!served.is_finished(), "the server ended");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Self {
            app,
            addresses,
            stop,
            served,
            _data: data,
        }
    }

    /// Makes a key as the command line does, and returns it: one that nobody else stands behind.
    pub(crate) async fn key(&self, name: &str, roles: &[&str]) -> String {
        let new = NewKey {
            name: name.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..NewKey::default()
        };
        let made = make_key(&*self.app.service.store, &Identity::operator(), "test", new, 0).await;
        made.unwrap().1.expose_secret().to_owned()
    }

    /// Stops the server and says what it did not get done.
    pub(crate) async fn stopped(mut self) -> Cut {
        self.stop.cancel();
        (&mut self.served).await.unwrap().unwrap()
    }
}
