//! From a configuration to a running server, and down again.
//!
//! [`Server::build`] makes every part in the order in which they need each other and binds the sockets, so that whatever
//! can fail at the start fails there. [`Server::run`] starts the tasks and serves until it is told to stop; then it turns
//! readiness off, goes on for as long as others may need to see that, stops accepting, waits for requests under way, and
//! writes out what waits to be written.
//!
//! Metrics and health have a port, a thread, a runtime and files of their own: they answer however busy the others are, and
//! however many connect there. What listeners refuse and close is said in [`crate::listen`].

use crate::active::Origin;
use crate::active::{Active, Settings};
use crate::answer::Answers;
use crate::auth::Authenticator;
use crate::body::Bodies;
use crate::cache::DecisionCache;
use crate::config::Config;
use crate::decisions::{Log, LogTask, Seal};
use crate::edges::Edges;
use crate::enrich::Enricher;
use crate::gate::Gate;
use crate::health::Health;
use crate::heavy::Heavy;
use crate::hosts::Hosts;
use crate::http::routes::Routes;
use crate::limits::RateLimiter;
use crate::listen::{Age, Deadlines, Listener, Stop};
use crate::rotation::Rotation;
use crate::seal::Sealer;
use crate::service::Service;
use crate::shares::Shares;
use crate::state::{App, Parts};
use crate::storage::Store;
use crate::storage::model::{DecisionFilter, Page};
use crate::sync::bundle::{Follower, Location, Token};
use crate::sync::status::Reporter;
use crate::telemetry::{LevelHandle, Metrics};
use crate::tls::{self, Tls};
use crate::turns::{Refused, Shape, Turns};
use crate::{admin, decisions, descriptors, grpc, instance, storage, sync};
use anyhow::Context as _;
use policy_primitives::prices::PriceTable;
use policy_runtime::PublicKey;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections of the admin port at most, and those of one address.
const ADMINS: usize = 64;
const ADMINS_OF_ONE: usize = ADMINS / 2;

/// Connections of REST and gRPC for which there have to be files.
const LEAST: usize = 16;

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
}

/// What a server did not get done before it stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Connections that were closed with a request under way.
    pub connections: usize,
    /// Decisions that were not written to the log.
    pub decisions: usize,
}

/// A server with its sockets bound, not serving yet.
#[derive(Debug)]
pub struct Server {
    app: App,
    http: TcpListener,
    grpc: TcpListener,
    admin: TcpListener,
    tls: Option<Tls>,
    addresses: Addresses,
    deadlines: Deadlines,
    age: Option<Age>,
    admin_hosts: Option<Hosts>,
    grace: Duration,
    delay: Duration,
    poll: Duration,
    rotation: Option<Rotation>,
    log_task: LogTask,
    follower: Option<Follower>,
    reporter: Option<Reporter>,
    directory: Option<PathBuf>,
    /// Held until the server is gone.
    _lock: Option<File>,
}

fn bind(address: SocketAddr, what: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("{what}: cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Says that the database has decisions, where they are read in segments.
async fn look_for_decisions_in(store: &dyn Store) {
    let page = Page {
        limit: 1,
        after: None,
    };
    // Where the database is away, others say so.
    let found = store.decisions(&DecisionFilter::default(), &page).await;
    if found.is_ok_and(|found| !found.items.is_empty()) {
        tracing::warn!(
            "the database has decisions, and queries read those in segments; `policyd decisions migrate` copies them there"
        );
    }
}

/// Places for connections of REST and gRPC: as many as are wanted and can be.
fn places(net: &crate::listen::config::Config, pool: u32) -> anyhow::Result<Shares> {
    let wanted = net.connections;
    let possible = descriptors::for_connections(pool, ADMINS).unwrap_or(usize::MAX);
    if possible < LEAST {
        anyhow::bail!("the process may open too few files to serve anybody; raise the limit (ulimit -n)");
    }
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            "the process may not open files for MAX_CONNECTIONS; raise the limit (ulimit -n)"
        );
    }
    let all = wanted.min(possible);
    let each = net.connections_per_address.unwrap_or(all.div_ceil(2));
    Ok(Shares::new(all, each.min(all)))
}

impl Server {
    /// Makes every part and binds the sockets. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Whatever cannot be read, opened or bound, with what it was for.
    pub async fn build(
        config: Config,
        metrics: Arc<Metrics>,
        log_level: Option<LevelHandle>,
    ) -> anyhow::Result<Self> {
        tls::install_provider();
        let (http, http_addr) = bind(config.net.http, "PORT")?;
        let (grpc, grpc_addr) = bind(config.net.grpc, "GRPC_PORT")?;
        let (admin, admin_addr) = bind(config.net.admin, "METRICS_PORT")?;
        let tls = config.net.tls.as_ref().map(Tls::build).transpose()?;

        let heavy = Heavy::new(config.limits.heavy_workers, &metrics);
        let settings = Settings {
            derive: config.policies.derive,
            default_decision: config.policies.default_decision,
            unknown_namespace: config.policies.unknown_namespace,
            prices: config
                .policies
                .prices
                .as_deref()
                .map(prices)
                .transpose()
                .context("PRICES_FILE")?,
            trusted: config
                .policies
                .keys
                .iter()
                .map(|path| key(path))
                .collect::<anyhow::Result<_>>()
                .context("BUNDLE_KEYS")?,
        };
        let active = Arc::new(Active::new(settings, heavy.clone())?);
        let (store, login) = storage::open_with_login(&config.store)
            .await
            .context("the database cannot be opened")?;
        let lock = instance::lock(&config.store.database);
        let auth = Authenticator::build(&config.auth, Arc::clone(&store))
            .await?
            .with_most_failures(config.limits.auth_failures);
        let limiter = RateLimiter::build(&config.limits.rate, config.cache.redis.as_ref(), &metrics)?;
        let sealer = match config.log.keys.as_slice() {
            [] => None,
            keys => Some(Arc::new(Sealer::new(keys)?)),
        };
        let seal = sealer.as_ref().map(|sealer| -> Seal {
            let sealer = Arc::clone(sealer);
            Arc::new(move |text: &str, bound: &str| {
                sealer.seal(text, bound).map_err(|error| error.to_string())
            })
        });
        if config.log.webhook.is_none() {
            decisions::look_for_left_behind(&config.store.data_dir);
        }
        let (log, mut log_task) = Log::start(&config.log, Some(Arc::clone(&store)), &metrics, seal)?;
        log_task.begin().await;
        if log.segments().is_some() {
            look_for_decisions_in(&*store).await;
        }
        let cache = DecisionCache::build(&config.cache, sealer.clone())?;
        let token = Token::default();
        token.replace(config.policies.token.clone());
        let status_token = Token::default();
        status_token.replace(config.status.as_ref().and_then(|status| status.token.clone()));
        let enricher = config
            .shield
            .as_ref()
            .map(|shield| Enricher::build(shield, &metrics))
            .transpose()?;
        let data_dir = &config.store.data_dir;
        let (follower, directory) = match &config.policies.origin {
            Origin::Store => (None, None),
            Origin::Directory(path) => (None, Some(path.clone())),
            Origin::BundleFile(path) => (Some(Follower::new(Location::File(path.clone()), data_dir)?), None),
            Origin::BundleUrl(url) => {
                let location = Location::Url(url.clone(), config.policies.poll);
                let follower = Follower::new(location, data_dir)?.with_token(token.clone());
                (Some(follower), None)
            }
        };
        let rotation = config.secret_files.map(|files| Rotation {
            files,
            login,
            token,
            status: status_token.clone(),
        });
        let reporter = config
            .status
            .as_ref()
            .map(|status| Reporter::new(status, status_token));
        let hosts = |listens_on: SocketAddr| Hosts::of(listens_on.ip(), &config.net.allowed_hosts);
        let asks_nobody = !config.auth.required();
        let connections = places(&config.net, config.store.pool)?;
        let answers = Answers::new(config.limits.body_memory, Arc::clone(&metrics));
        let app = App::new(Parts {
            bodies: Bodies::new(
                config.limits.body,
                config.limits.body_timeout,
                config.limits.body_memory,
            ),
            answers,
            connections,
            hosts: asks_nobody.then(|| hosts(http_addr)),
            idle: config.net.idle_timeout,
            gate: Gate::new(config.limits.concurrency),
            service: Arc::new(Service {
                active,
                store,
                origin: config.policies.origin,
                approval: config.policies.approval,
                strict: config.policies.strict,
                heavy,
                limits: config.limits,
                cache,
                enricher,
                log,
                log_reads: Turns::new(
                    "queries of the decision log",
                    Shape::of_queries(config.store.pool),
                    Refused::of(&metrics),
                ),
                limiter,
                edges: Edges::default(),
                metrics: Arc::clone(&metrics),
            }),
            auth,
            health: Arc::new(Health::default()),
            routes: Routes::new(&metrics),
            metrics,
            log_level,
            sealer,
            counted: Mutex::default(),
        });
        Ok(Self {
            app,
            http,
            grpc,
            admin,
            tls,
            addresses: Addresses {
                http: http_addr,
                grpc: grpc_addr,
                admin: admin_addr,
            },
            deadlines: Deadlines {
                head: config.net.header_timeout,
                idle: config.net.idle_timeout,
            },
            age: config.net.connection_age.map(|most| Age {
                most,
                grace: config.net.shutdown_grace,
            }),
            admin_hosts: (asks_nobody || admin_addr.ip().is_loopback()).then(|| hosts(admin_addr)),
            grace: config.net.shutdown_grace,
            delay: config.net.shutdown_delay,
            poll: config.store.poll,
            rotation,
            log_task,
            follower,
            reporter,
            directory,
            _lock: lock,
        })
    }

    /// Where it listens, with the ports that were given.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The parts that requests share.
    #[must_use]
    pub fn app(&self) -> App {
        self.app.clone()
    }

    /// Serves until `stop` is cancelled, then drains.
    ///
    /// # Errors
    ///
    /// When a listener fails.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<Cut> {
        self.run_until(stop, CancellationToken::new()).await
    }

    /// As [`Server::run`]. Between `stop` and the draining it goes on as before, with readiness off, for `SHUTDOWN_DELAY` or
    /// until `hurry` is cancelled; it cancels `hurry` itself once it drains.
    ///
    /// # Errors
    ///
    /// When a listener fails.
    pub async fn run_until(self, stop: CancellationToken, hurry: CancellationToken) -> anyhow::Result<Cut> {
        let app = self.app;
        // Background work goes on while requests drain.
        let background = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let log_task = tokio::spawn(self.log_task.run());
        tasks.spawn(sync::store::run(app.clone(), self.poll, background.clone()));
        if let Some(follower) = self.follower {
            tasks.spawn(follower.run(app.clone(), background.clone()));
        }
        if let Some(reporter) = self.reporter {
            tasks.spawn(reporter.run(app.clone(), background.clone()));
        }
        if let Some(directory) = self.directory {
            tasks.spawn(sync::directory::run(app.clone(), directory, background.clone()));
        }
        if let Some(rotation) = self.rotation {
            tasks.spawn(rotation.run(app.clone(), background.clone()));
        }
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        if let Some(tls) = self.tls {
            let ended = background.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = tls.watch(tls::POLL) => {}
                }
            });
        }
        let listener = |socket, tls, places: &Shares, age| Listener {
            socket,
            tls,
            places: places.clone(),
            deadlines: self.deadlines,
            age,
            answers: app.answers.clone(),
            metrics: Arc::clone(&app.metrics),
        };
        let admin_stop = Stop::default();
        let admin = admin_thread(
            listener(self.admin, None, &Shares::new(ADMINS, ADMINS_OF_ONE), None),
            admin::Front::new(app.clone(), self.addresses.admin, self.admin_hosts),
            admin_stop.clone(),
        )?;

        let stopping = Stop::default();
        let rest = listener(self.http, acceptor.clone(), &app.connections, self.age)
            .run(crate::http::service(app.clone()), &stopping);
        let rpc = listener(self.grpc, acceptor, &app.connections, self.age)
            .run(grpc::service(app.clone())?, &stopping);
        let drain = async {
            stop.cancelled().await;
            app.health.drain();
            stopping.soon();
            if !self.delay.is_zero() {
                tracing::info!(delay = ?self.delay, "about to stop: readiness is off, requests are answered as before");
                tokio::select! {
                    () = tokio::time::sleep(self.delay) => {}
                    () = hurry.cancelled() => {}
                }
            }
            hurry.cancel();
            tracing::info!("stopping: readiness is off, requests under way are finished");
            app.health.stop();
            stopping.gently();
            tokio::time::sleep(self.grace).await;
            stopping.at_once()
        };
        let serving = async { tokio::try_join!(rest, rpc) };
        tokio::pin!(drain, serving);
        let mut cut = Cut::default();
        tokio::select! {
            result = &mut serving => { result?; }
            connections = &mut drain => {
                cut.connections = connections;
                serving.await?;
            }
        }
        let unwritten = app.service.log.flush(self.grace).await;
        cut.decisions = usize::try_from(unwritten).unwrap_or(usize::MAX);
        if let Err(error) = log_task.await {
            tracing::error!(%error, "the decision log ended early");
        }
        background.cancel();
        while tasks.join_next().await.is_some() {}
        app.service.store.close().await;
        // What is left there is asked by who looks on, and not waited for.
        admin_stop.at_once();
        if admin.join().is_err() {
            tracing::error!("the admin listener panicked");
        }
        Ok(cut)
    }
}

fn admin_thread(
    listener: Listener,
    front: admin::Front,
    stop: Stop,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(listener.run(front, &stop)) {
                tracing::error!(%error, "the admin listener stopped");
            }
        })?;
    Ok(thread)
}

/// The built-in price table with those of a price file. Blocks for the reading.
///
/// # Errors
///
/// When the file cannot be read or is no price file.
pub(crate) fn prices(path: &Path) -> anyhow::Result<Arc<PriceTable>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let table = PriceTable::builtin()
        .with_file(&path.to_string_lossy(), &text)
        .with_context(|| path.display().to_string())?;
    Ok(Arc::new(table))
}

/// A public key from a file. Blocks for the reading.
///
/// # Errors
///
/// When the file cannot be read or holds no key.
pub(crate) fn key(path: &Path) -> anyhow::Result<PublicKey> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    PublicKey::from_pem(&text).with_context(|| path.display().to_string())
}
