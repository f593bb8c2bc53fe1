//! Configuration: from defaults, a file, the environment and flags (the later wins) to one typed value.
//!
//! Settings stand in [`table`]. [`Raw::collect`] gathers their texts with where each came from, [`Config::parse`] checks all
//! of them and reports every problem at once. Of the files that settings name only those are read here that hold a value
//! ([`files`]); [`crate::check`] reads the others.
//!
//! # Invariants
//!
//! - Secrets are [`SecretString`]s and print nowhere. A [`Url`] prints without what may be a credential.

mod bucket;
pub mod earlier;
pub mod files;
mod status;
pub mod table;
mod url;
mod value;
mod webhook;

pub(crate) use value::duration;

pub use self::bucket::{Archive, Bucket, Cloud};
pub use self::status::Status;
pub use self::url::{Url, scrubbed};
pub(crate) use self::webhook::SPOOL as WEBHOOK_SPOOL;
pub use self::webhook::{Webhook, WebhookAudit, WebhookFormat};
use crate::hosts;
use crate::seal::{SealError, Sealer};
use crate::telemetry::logs;
use files::{FromFile, SecretFiles};
use policy_runtime::{DefaultDecision, DeriveMode, UnknownNamespace};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use table::{FILE_SUFFIX, Other, POSTGRES, SETTINGS, Setting, flag_of, key_of};

/// The environment variable that names the file of settings.
pub const CONFIG_FILE: &str = "CONFIG";

/// Where the text of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The table.
    Default,
    /// The file of this name.
    File(String),
    /// What `--dev` stands for.
    Dev,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) => f.write_str(name),
            Self::Dev => f.write_str("--dev"),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as its source spells it.
    pub setting: String,
    /// Where it came from.
    pub source: Source,
    /// What is wrong; holds no secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.setting, self.source, self.message)
    }
}

/// Problems in one line.
#[must_use]
pub fn in_one_line(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// The texts of all settings that have one.
#[derive(Clone, Default)]
pub struct Raw {
    values: BTreeMap<&'static str, (String, Source)>,
    /// Settings whose value stands in a file.
    files: BTreeMap<&'static str, FromFile>,
    problems: Vec<Problem>,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.shown().map(|(name, text, _)| (name, text));
        f.debug_map().entries(given).finish()
    }
}

impl Raw {
    /// Gathers settings. `file` is name and text of the file, `env` and `flag` look up a setting by its name. Blocks for the
    /// reading of files that hold a value.
    pub fn collect(
        file: Option<(&str, &str)>,
        env: impl Fn(&str) -> Option<String>,
        flag: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut raw = Self::default();
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                raw.values
                    .insert(setting.name, (default.to_owned(), Source::Default));
            }
        }
        if let Some((name, text)) = file {
            raw.read_file(name, text);
        }
        for setting in SETTINGS {
            for (text, source) in [
                (env(setting.name), Source::Environment),
                (flag(setting.name), Source::Flag),
            ] {
                // Deployments set variables to nothing to unset them. A secret that is empty is one that did not arrive.
                if let Some(text) = text.filter(|t| setting.secret || !t.is_empty()) {
                    raw.values.insert(setting.name, (text, source));
                }
            }
            let Some(name) = setting.file_name() else {
                continue;
            };
            for (path, source) in [(env(&name), Source::Environment), (flag(&name), Source::Flag)] {
                if let Some(path) = path.filter(|path| !path.is_empty()) {
                    raw.name_file(setting, path, source);
                }
            }
        }
        raw.read_files();
        raw
    }

    /// Notes the file that holds the value of a setting.
    fn name_file(&mut self, setting: &'static Setting, path: String, source: Source) {
        let file = FromFile {
            path: PathBuf::from(path),
            source,
            failure: None,
            lasts: true,
        };
        self.files.insert(setting.name, file);
    }

    fn read_file(&mut self, name: &str, text: &str) {
        let source = Source::File(name.to_owned());
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| {
                    text.get(..span.start).unwrap_or(text).matches('\n').count() + 1
                });
                self.problems.push(Problem {
                    setting: format!("line {line}"),
                    source,
                    message: error.message().to_owned(),
                });
                return;
            }
        };
        for (key, value) in table {
            if let Some(setting) = SETTINGS
                .iter()
                .find(|s| s.file_name().is_some_and(|name| key_of(&name) == key))
            {
                match value {
                    toml::Value::String(path) if path.is_empty() => {}
                    toml::Value::String(path) => self.name_file(setting, path, source.clone()),
                    _ => self.problems.push(Problem {
                        setting: key,
                        source: source.clone(),
                        message: "expected FILE".to_owned(),
                    }),
                }
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|s| s.key() == key) else {
                let near = nearest(&key.to_ascii_uppercase()).filter(|(distance, _)| *distance <= 3);
                let help = near.map_or(String::new(), |(_, near)| {
                    format!("; did you mean `{}`?", near.to_ascii_lowercase())
                });
                self.problems.push(Problem {
                    setting: key,
                    source: source.clone(),
                    message: format!("there is no such setting{help}"),
                });
                continue;
            };
            let text = match &value {
                toml::Value::Array(items) => items
                    .iter()
                    .map(scalar)
                    .collect::<Option<Vec<_>>>()
                    .map(|t| t.join(",")),
                value => scalar(value),
            };
            match text {
                Some(text) => drop(self.values.insert(setting.name, (text, source.clone()))),
                None => self.problems.push(Problem {
                    setting: key,
                    source: source.clone(),
                    message: format!("expected {}", in_words(setting.value)),
                }),
            }
        }
    }

    /// Problems with secrets without a value.
    fn empty_secrets(&self) -> impl Iterator<Item = Problem> {
        self.values
            .iter()
            .filter(|(name, (text, _))| setting(name).is_some_and(|s| s.secret) && text.trim().is_empty())
            // What is wrong with a file is said by itself.
            .filter(|(name, _)| !self.files.contains_key(*name))
            .map(|(name, _)| self.problem(name, "is empty: give it a value, or take it away"))
    }

    /// What is probably meant to be a setting and is none, among the names of environment variables, a line each; and in one line
    /// those of the [earlier implementation](earlier).
    pub fn strangers(names: impl Iterator<Item = String>) -> Vec<String> {
        let names: Vec<String> = names.collect();
        let others = names.iter().filter(|name| !earlier::is_one(name));
        let strangers = others.filter_map(|name| stranger(name));
        strangers.chain(earlier::notice(&names)).collect()
    }

    /// Settings for trying out, as `--dev` asks for them: nothing is kept, logs are for people. The environment and the
    /// command line go before them, the file does not.
    pub fn try_out(&mut self) {
        let chosen = |raw: &Self, name: &str| {
            raw.values
                .get(name)
                .is_some_and(|(_, source)| matches!(source, Source::Environment | Source::Flag))
        };
        if !chosen(self, "DATABASE_URL") && !chosen(self, "DATABASE_HOST") {
            // Nor how to reach the one of the file.
            for setting in SETTINGS
                .iter()
                .filter(|setting| setting.needs.contains(&POSTGRES))
            {
                if !chosen(self, setting.name) {
                    self.unset(setting);
                }
            }
            self.values.remove("DATABASE_HOST");
            self.files.remove("DATABASE_URL");
            self.values
                .insert("DATABASE_URL", ("sqlite::memory:".to_owned(), Source::Dev));
        }
        if !chosen(self, "LOG_FORMAT") {
            self.values.insert("LOG_FORMAT", ("text".to_owned(), Source::Dev));
        }
    }

    /// Makes a setting as if nobody had given it.
    fn unset(&mut self, setting: &Setting) {
        self.files.remove(setting.name);
        match setting.default {
            Some(default) => drop(
                self.values
                    .insert(setting.name, (default.to_owned(), Source::Default)),
            ),
            None => drop(self.values.remove(setting.name)),
        }
    }

    /// Setting, text and source of everything that is not a default, for the log; without secrets. Of a value that stands in a
    /// file, the name of the file.
    pub fn shown(&self) -> impl Iterator<Item = (String, String, &Source)> {
        let values = self
            .values
            .iter()
            .filter(|(name, (_, source))| *source != Source::Default && !self.files.contains_key(*name))
            .map(|(name, (text, source))| ((*name).to_owned(), shown(name, text), source));
        let files = self.files.iter().map(|(name, file)| {
            let name = format!("{name}{FILE_SUFFIX}");
            (name, file.path.display().to_string(), &file.source)
        });
        values.chain(files)
    }

    /// Text and source of a setting that somebody gave.
    fn given(&self, name: &str) -> Option<(&str, &Source)> {
        let (text, source) = self.values.get(name)?;
        (*source != Source::Default).then_some((text.as_str(), source))
    }

    /// Whether another setting is as a rule of the table says it.
    fn is(&self, other: Other) -> bool {
        let text = |name: &str| self.values.get(name).map_or("", |(text, _)| text.as_str());
        if let Some((name, wanted)) = other.split_once('=') {
            return if setting(name).is_some_and(Setting::is_switch) {
                value::boolean(text(name)) == value::boolean(wanted)
            } else {
                text(name).to_ascii_lowercase().starts_with(wanted)
            };
        }
        match other.split_once('~') {
            Some((name, wanted)) => text(name).split(',').any(|item| {
                let item = item.trim();
                item == wanted || wanted.ends_with(':') && item.starts_with(wanted)
            }),
            None => self.given(other).is_some(),
        }
    }

    /// A problem for every setting that was given, is not off, and lacks what it needs or stands beside what it contradicts.
    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for setting in SETTINGS {
            let Some((text, _)) = self.given(setting.name) else {
                continue;
            };
            let off = if setting.is_switch() {
                value::boolean(text) == Some(false)
            } else {
                setting.value == "BYTES" && value::bytes(text) == Some(0)
            };
            // That a secret is empty is a problem of its own.
            if off || (setting.secret && text.trim().is_empty()) {
                continue;
            }
            for needed in setting
                .needs
                .iter()
                .filter(|needed| !needed.iter().any(|other| self.is(other)))
            {
                let hint = service_link(setting.name, text);
                problems.push(self.problem(setting.name, format!("needs {}{hint}", table::any_of(needed))));
            }
            for other in setting.contradicts.iter().filter(|other| self.is(other)) {
                let (name, wanted) = other
                    .split_once('=')
                    .map_or((*other, ""), |(name, wanted)| (name, wanted));
                let Problem {
                    setting: place,
                    source,
                    ..
                } = self.problem(name, "");
                let how = match wanted {
                    "" | "on" => String::new(),
                    wanted => format!(", which is `{wanted}`"),
                };
                problems.push(self.problem(setting.name, format!("contradicts {place} ({source}){how}")));
            }
        }
        problems
    }

    /// Whether a setting has a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A problem with a setting, under the name that its source has for it.
    pub(crate) fn problem(&self, name: &str, message: impl Into<String>) -> Problem {
        self.problem_at(name, self.files.get(name), message)
    }

    /// A problem with the value of a setting, or with the file that holds it.
    fn problem_at(&self, name: &str, file: Option<&FromFile>, message: impl Into<String>) -> Problem {
        let (name, source) = match file {
            Some(file) => (format!("{name}{FILE_SUFFIX}"), Some(file.source.clone())),
            None => (
                name.to_owned(),
                self.values.get(name).map(|(_, source)| source.clone()),
            ),
        };
        let source = source.unwrap_or(Source::Default);
        let setting = match &source {
            Source::File(_) => key_of(&name),
            Source::Flag => format!("--{}", flag_of(&name)),
            Source::Default | Source::Dev | Source::Environment => name,
        };
        Problem {
            setting,
            source,
            message: message.into(),
        }
    }
}

/// Every name that a setting has in the environment.
fn names() -> impl Iterator<Item = String> {
    SETTINGS
        .iter()
        .flat_map(|setting| std::iter::once(setting.name.to_owned()).chain(setting.file_name()))
}

/// The name of a setting that is the nearest to this one, and how many letters differ.
fn nearest(name: &str) -> Option<(usize, String)> {
    names()
        .map(|of| (strsim::damerau_levenshtein(&of, name), of))
        .min()
}

/// What to say of an environment variable that is no setting and looks like one.
fn stranger(name: &str) -> Option<String> {
    let spelled = name.to_ascii_uppercase().replace('-', "_");
    if let Some(setting) = spelled.strip_suffix(FILE_SUFFIX).and_then(setting)
        && setting.file_name().is_none()
    {
        let is_path = ["FILE", "DIR"].iter().any(|what| setting.value.starts_with(what));
        let instead = if is_path {
            format!("{} itself names the file", setting.name)
        } else {
            format!("the value of {} cannot stand in a file", setting.name)
        };
        return Some(format!(
            "the environment variable {name} is no setting and has no effect; {instead}"
        ));
    }
    let (distance, near) = nearest(&spelled)?;
    // Short names are near to each other by chance: `HOME` is no `HOST`.
    let most = match near.len() {
        ..8 => 1,
        8..14 => 2,
        14.. => 3,
    };
    let is_one = name == near.as_str() || CONFIG_FILE == name;
    (distance <= most && !is_one).then(|| {
        format!("the environment variable {name} is no setting and has no effect; did you mean {near}?")
    })
}

/// What to say more of a variable that is one of those that containers of Kubernetes get for each Service:
/// `REDIS_PORT=tcp://10.0.0.1:6379`.
fn service_link(name: &str, text: &str) -> String {
    let is_link = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let Some(service) = name.strip_suffix("_PORT").filter(|_| is_link) else {
        return String::new();
    };
    format!(
        "; Kubernetes gives containers this variable where there is a Service `{}`: say `enableServiceLinks: false` in the pod, \
         or give {name} a value there",
        service.to_ascii_lowercase().replace('_', "-")
    )
}

/// What a setting takes, where its placeholder does not say it.
fn in_words(placeholder: &'static str) -> &'static str {
    match placeholder {
        "PORT" => "a port, from 0 to 65535",
        "NUMBER" => "a whole number",
        "BOOL" => "true or false",
        "DURATION" => "a time such as 500ms, 30s or 5m",
        "BYTES" => "a size such as 64KB or 1MB",
        other => other,
    }
}

/// The text of a setting as anybody may read it.
fn shown(name: &str, text: &str) -> String {
    if setting(name).is_some_and(|s| s.secret) {
        return "***".to_owned();
    }
    if text.contains("://") {
        return url::redacted(text);
    }
    text.to_owned()
}

/// Text of a value that is not a list or a table.
fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.name == name)
}

/// Everything a server is told.
#[derive(Debug)]
pub struct Config {
    /// Listeners.
    pub net: Net,
    /// Where policies come from and how they decide.
    pub policies: Policies,
    /// Storage.
    pub store: StoreConfig,
    /// Caches.
    pub cache: Cache,
    /// Authentication.
    pub auth: Auth,
    /// Limits.
    pub limits: Limits,
    /// Decision log.
    pub log: DecisionLog,
    /// Where this server reports what it runs.
    pub status: Option<Status>,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// The scanner that is asked, where one is.
    pub shield: Option<Shield>,
    /// Files that hold values, where there are some.
    pub secret_files: Option<SecretFiles>,
    /// What is no problem and should be known all the same.
    pub notes: Vec<Problem>,
}

/// Listeners.
#[derive(Debug, Clone)]
pub struct Net {
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// TLS of REST and gRPC.
    pub tls: Option<Tls>,
    /// More names that it is asked under.
    pub allowed_hosts: Vec<String>,
    /// Connections of REST and gRPC at the most.
    pub connections: usize,
    /// From one address; `None` is half of them.
    pub connections_per_address: Option<usize>,
    /// Time for the first request of a connection, and for heads.
    pub header_timeout: Duration,
    /// Time in which nothing happens.
    pub idle_timeout: Duration,
    /// Time for requests under way after a signal.
    pub shutdown_grace: Duration,
    /// Time after a signal in which the server goes on as before, with readiness off.
    pub shutdown_delay: Duration,
    /// Age at which connections with HTTP/2 end; `None` is no limit.
    pub connection_age: Option<Duration>,
}

/// TLS of REST and gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificate chain.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM certificates of those who sign clients' certificates.
    pub client_ca: Option<PathBuf>,
}

/// Where the active policies come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The store, written through the API.
    Store,
    /// A directory.
    Directory(PathBuf),
    /// A bundle in a file.
    BundleFile(PathBuf),
    /// A bundle at a URL.
    BundleUrl(Url),
}

impl Origin {
    /// In a word, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Store => "the store".to_owned(),
            Self::Directory(path) => format!("the directory {}", path.display()),
            Self::BundleFile(path) => format!("the bundle {}", path.display()),
            Self::BundleUrl(url) => format!("the bundle at {url}"),
        }
    }
}

/// Where policies come from and how they decide.
#[derive(Debug, Clone)]
pub struct Policies {
    /// Where they come from.
    pub origin: Origin,
    /// How often a URL is asked.
    pub poll: Duration,
    /// What the server of the URL is sent to prove who asks.
    pub token: Option<SecretString>,
    /// Files of public keys.
    pub keys: Vec<PathBuf>,
    /// Derived fields.
    pub derive: DeriveMode,
    /// Decision where no rule fires.
    pub default_decision: DefaultDecision,
    /// What becomes of a namespace without active policies.
    pub unknown_namespace: UnknownNamespace,
    /// Prices instead of the built-in ones.
    pub prices: Option<PathBuf>,
    /// Whether somebody other than the author has to approve.
    pub approval: bool,
    /// Whether warnings are errors.
    pub strict: bool,
}

/// Storage.
#[derive(Debug)]
pub struct StoreConfig {
    /// Which database.
    pub database: Database,
    /// Where files are kept.
    pub data_dir: PathBuf,
    /// Connections at the most.
    pub pool: u32,
    /// How often the revision is asked for.
    pub poll: Duration,
}

/// Which database.
#[derive(Debug)]
pub enum Database {
    /// SQLite in this file.
    SqliteFile(PathBuf),
    /// SQLite in memory.
    SqliteMemory,
    /// PostgreSQL.
    Postgres(Postgres),
}

/// How to reach PostgreSQL: by URL, by parts, or by a URL and the parts that it leaves open. What is `None` in all of them is
/// as PostgreSQL's own clients have it.
#[derive(Debug, Default)]
pub struct Postgres {
    /// URL.
    pub url: Option<SecretString>,
    /// Host.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretString>,
    /// Database.
    pub database: Option<String>,
    /// One of libpq's modes.
    pub ssl_mode: Option<String>,
    /// Certificates that are trusted besides the public ones.
    pub ssl_root_cert: Option<PathBuf>,
    /// A pooler between gives away connections for a transaction only.
    pub pooled: bool,
}

impl Postgres {
    /// What a URL says, and nothing else.
    #[must_use]
    pub fn by_url(url: SecretString) -> Self {
        Self {
            url: Some(url),
            ..Self::default()
        }
    }
}

/// Caches.
#[derive(Debug)]
pub struct Cache {
    /// Whether decisions are kept.
    pub enabled: bool,
    /// For how long.
    pub ttl: Duration,
    /// Bytes in process.
    pub bytes: u64,
    /// Redis, where there is one.
    pub redis: Option<Redis>,
}

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct Redis {
    /// `redis://` or `rediss://` URL.
    pub url: SecretString,
    /// Certificates that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
}

impl From<SecretString> for Redis {
    fn from(url: SecretString) -> Self {
        Self { url, ca: None }
    }
}

/// Authentication.
#[derive(Debug)]
pub struct Auth {
    /// Keys of tokens; `None` accepts no tokens.
    pub jwt: Option<Jwt>,
    /// Whether API keys are accepted.
    pub api_keys: bool,
}

impl Auth {
    /// Whether callers must prove who they are.
    #[must_use]
    pub fn required(&self) -> bool {
        self.jwt.is_some() || self.api_keys
    }
}

/// Tokens.
#[derive(Debug)]
pub struct Jwt {
    /// The only algorithm, when it is fixed; a key set may hold keys of several.
    pub algorithm: Option<Algorithm>,
    /// Where keys are.
    pub keys: JwtKeys,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Longest life.
    pub life: Duration,
    /// Whether every token has to say which namespaces it is for.
    pub require_namespaces: bool,
}

/// Algorithms of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSA PKCS #1 1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// Where the keys of tokens are.
#[derive(Debug)]
pub enum JwtKeys {
    /// A shared secret.
    Secret {
        /// The one that tokens are made with.
        current: SecretString,
        /// Another one, whose tokens are accepted too.
        previous: Option<SecretString>,
    },
    /// A PEM file.
    PublicKey(PathBuf),
    /// A key set in a file.
    JwksFile(PathBuf),
    /// A key set at a URL.
    JwksUrl(Url),
}

/// Limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Time for a body to arrive.
    pub body_timeout: Duration,
    /// Bytes of all large bodies.
    pub body_memory: usize,
    /// Failed attempts to prove who one is, a minute and address; 0 is no limit.
    pub auth_failures: u32,
    /// Contexts of a batch.
    pub batch: usize,
    /// Bytes of the results of a batch.
    pub results: usize,
    /// Time of a request.
    pub timeout: Duration,
    /// Requests at once.
    pub concurrency: usize,
    /// Threads for what takes long.
    pub heavy_workers: usize,
    /// Requests a second of an identity; `None` is no limit.
    pub rate: Rate,
    /// What a namespace may hold.
    pub quota: Quota,
    /// Live keys of one owner; 0 is no limit.
    pub keys: u64,
}

/// What a namespace may hold; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Stored policies.
    pub policies: u64,
    /// Rules that decide.
    pub rules: u64,
    /// Bytes of the newest versions of stored policies.
    pub bytes: u64,
    /// Bytes of all versions, also of removed policies.
    pub history: u64,
    /// Percent of each ceiling of the compiler ([`CompileLimits`](policy_compiler::CompileLimits)) that the policies that decide
    /// take; 0 to 100. `global` may take all.
    pub share: u8,
}

/// Rate limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rate {
    /// A second; 0 is no limit.
    pub per_second: u32,
    /// At once; 0 is `per_second`.
    pub burst: u32,
    /// Limits of routes that differ.
    pub routes: Vec<(String, u32)>,
    /// Whether servers on one Redis share them.
    pub shared: bool,
}

/// Where decisions are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// The database.
    Store,
    /// Standard output.
    Stdout,
    /// A file, as JSON lines.
    File(PathBuf),
    /// Parquet files.
    Segments,
    /// The receiver of [`DecisionLog::webhook`].
    Webhook,
}

/// What is kept of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    None,
    /// All but what masks replace.
    Masked,
    /// All.
    Full,
}

/// The decision log.
#[derive(Debug)]
pub struct DecisionLog {
    /// Where to; empty is off.
    pub sinks: Vec<Sink>,
    /// What is kept of contexts.
    pub context: Kept,
    /// Paths that are masked.
    pub masks: Vec<String>,
    /// Decisions that may wait.
    pub queue: usize,
    /// Whether to wait when the queue is full.
    pub block: bool,
    /// Where decisions wait on disk for a database that is away; `None` where the store is no sink, or never away.
    pub spool: Option<Spool>,
    /// Where segments are; `None` where they are no sink.
    pub segments: Option<Segments>,
    /// The receiver of webhooks, where that is a sink.
    pub webhook: Option<Webhook>,
    /// How long decisions are kept; zero is for ever.
    pub retention: Duration,
    /// Keys of stored contexts: id and 32 bytes; the first encrypts.
    pub keys: Vec<(String, secrecy::SecretBox<[u8; 32]>)>,
}

/// Decisions that wait on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// The folder.
    pub directory: PathBuf,
    /// Bytes at the most; 0 is off.
    pub bytes: u64,
    /// Whether it was asked for, and a server that cannot have it must not start.
    pub required: bool,
}

/// Segments of decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// The folder of the journal.
    pub journal: PathBuf,
    /// Bytes of it at the most.
    pub bytes: u64,
    /// Where segments are kept.
    pub archive: Archive,
    /// Bytes of the journal that are sealed.
    pub seal_bytes: u64,
    /// When fewer are.
    pub seal_after: Duration,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Logs and traces.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Filter directives.
    pub level: String,
    /// How logs look.
    pub format: LogFormat,
    /// Where traces go; `None` is nowhere.
    pub otlp: Option<String>,
    /// Share of traces.
    pub sample: f64,
}

/// The scanner that is asked about the texts of a request.
#[derive(Debug, Clone)]
pub struct Shield {
    /// Its address.
    pub url: String,
    /// How long one request waits for it.
    pub timeout: Duration,
    /// What it is sent to prove who asks.
    pub token: Option<SecretString>,
    /// Certificates that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
}

/// Reads settings and gathers problems.
struct Parser<'r> {
    raw: &'r Raw,
    problems: Vec<Problem>,
    notes: Vec<Problem>,
}

impl Parser<'_> {
    /// The text of a setting. A secret that is empty is a problem already, and none.
    fn text(&self, name: &str) -> Option<&str> {
        let (text, _) = self.raw.values.get(name)?;
        let is_missing = text.trim().is_empty() && setting(name).is_some_and(|s| s.secret);
        (!is_missing).then_some(text)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let items = self.text(name).unwrap_or_default().split(',');
        items
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    fn problem(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(self.raw.problem(name, message));
    }

    fn note(&mut self, name: &str, message: impl Into<String>) {
        self.notes.push(self.raw.problem(name, message));
    }

    /// Whether the URL of a server means this machine, by the name `localhost`, and its parts mean another one. That is an
    /// example or a setting for development that was left in place: the parts are meant, and it is said.
    fn is_elsewhere(&mut self, url: &str, host: &str, said: &url::Said) -> bool {
        let Some((part, _)) = self.raw.given(host) else {
            return false;
        };
        if said.get(host).is_none_or(|said| said != "localhost") || part == "localhost" {
            return false;
        }
        let (part, other) = (part.to_owned(), self.raw.problem(host, ""));
        let message = format!(
            "names `localhost`, and {} ({}) names `{part}`: the parts are used, and nothing of the URL",
            other.setting, other.source
        );
        self.notes.push(self.raw.problem(url, message));
        true
    }

    /// A part that was given and that the URL leaves open; notes a problem where the URL says something else.
    fn left_open(&mut self, url: &str, name: &str, said: &url::Said) -> Option<String> {
        let (part, _) = self.raw.given(name)?;
        let Some(said) = said.get(name) else {
            return Some(part.to_owned());
        };
        let setting = setting(name)?;
        let same = if setting.is_switch() {
            value::boolean(part) == value::boolean(said)
        } else if let (Ok(part), Ok(said)) = (part.parse::<u64>(), said.parse::<u64>()) {
            part == said
        } else {
            part == said || setting.value == "HOST" && part.eq_ignore_ascii_case(said)
        };
        if !same {
            let other = self.raw.problem(url, "");
            let (place, source) = (other.setting, other.source);
            let message = if setting.secret {
                format!("is not what {place} ({source}) says")
            } else {
                format!("is `{part}`, and {place} ({source}) says `{said}`")
            };
            self.problem(name, message);
        }
        None
    }

    /// Reads a value; on a problem notes it and goes on with `fallback`, which no server will ever run with.
    fn value<T>(&mut self, name: &str, fallback: T, read: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.text(name) else {
            return fallback;
        };
        match read(text) {
            Some(value) => value,
            None => {
                let secret = setting(name).is_some_and(|s| s.secret);
                let expected = setting(name).map_or("a value", |s| in_words(s.value));
                let mut found = if secret {
                    String::new()
                } else {
                    format!(", found `{}`", shown(name, text))
                };
                found.push_str(&service_link(name, text));
                self.problem(name, format!("expected {expected}{found}"));
                fallback
            }
        }
    }

    fn flag(&mut self, name: &str) -> bool {
        self.value(name, false, value::boolean)
    }

    fn number<T: std::str::FromStr + Default>(&mut self, name: &str) -> T {
        self.value(name, T::default(), |text| text.parse().ok())
    }

    fn duration(&mut self, name: &str) -> Duration {
        self.value(name, Duration::ZERO, value::duration)
    }

    /// An address to listen on.
    fn address(&mut self, name: &str) -> IpAddr {
        let local = IpAddr::from([127, 0, 0, 1]);
        self.value(name, local, |text| match text {
            "localhost" => Some(local),
            text => text.parse().ok(),
        })
    }

    /// A number of things of which there must be one.
    fn at_least_one(&mut self, name: &str) -> usize {
        let n = self.value(name, 1, |text| text.parse::<usize>().ok());
        if n == 0 {
            self.problem(name, "must be at least 1");
        }
        n
    }

    /// A number of bytes of which there must be one.
    fn size(&mut self, name: &str) -> usize {
        let bytes = self.value(name, 1, value::bytes);
        if bytes == 0 {
            self.problem(name, "must be at least 1");
        }
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// A time that is waited for again and again; without it there would be no pause at all.
    fn pause(&mut self, name: &str) -> Duration {
        let before = self.problems.len();
        let pause = self.duration(name);
        if pause.is_zero() && self.problems.len() == before {
            self.problem(name, "must be longer than 0");
        }
        pause
    }

    /// A URL of http or https; notes a problem where it is none.
    fn url(&mut self, name: &str) -> Option<Url> {
        let url = self.text(name).and_then(Url::parse);
        if url.is_none() {
            let found = shown(name, self.text(name).unwrap_or_default());
            self.problem(name, format!("expected http://… or https://…, found `{found}`"));
        }
        url
    }
}

impl Config {
    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// Every problem, in the order of the table.
    pub fn parse(raw: &Raw) -> Result<Self, Vec<Problem>> {
        match Self::read(raw) {
            (config, problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// Where the admin listener is, whatever else is wrong with the settings.
    ///
    /// # Errors
    ///
    /// What is wrong with the two settings that say it.
    pub fn admin(raw: &Raw) -> Result<SocketAddr, Vec<Problem>> {
        let mut parser = Parser {
            raw,
            problems: Vec::new(),
            notes: Vec::new(),
        };
        let address = SocketAddr::new(parser.address("METRICS_HOST"), parser.number("METRICS_PORT"));
        if parser.problems.is_empty() {
            Ok(address)
        } else {
            Err(parser.problems)
        }
    }

    /// What could be understood of the settings, and every problem. With problems no server may run with it; it is there to
    /// look for more of them.
    pub(crate) fn read(raw: &Raw) -> (Self, Vec<Problem>) {
        let mut problems = raw.problems.clone();
        problems.extend(raw.empty_secrets());
        problems.extend(raw.unread());
        let mut parser = Parser {
            raw,
            problems,
            notes: Vec::new(),
        };
        let p = &mut parser;
        let store = store(p);
        let config = Self {
            net: net(p),
            policies: policies(p),
            cache: cache(p),
            auth: auth(p),
            limits: limits(p),
            log: decision_log(p, &store),
            status: status::read(p),
            store,
            telemetry: telemetry(p),
            shield: shield(p),
            secret_files: SecretFiles::of(raw),
            notes: std::mem::take(&mut p.notes),
        };
        p.problems.extend(raw.contradictions());
        for (name, addr) in [("HOST", config.net.http), ("METRICS_HOST", config.net.admin)] {
            if !addr.ip().is_loopback() && !config.auth.required() && !p.flag("INSECURE_NO_AUTH") {
                p.problem(
                    name,
                    format!(
                        "refusing to listen on {} without authentication; set JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS or \
                         API_KEYS_ENABLED, or INSECURE_NO_AUTH=true (--insecure-no-auth) to let everybody in",
                        addr.ip()
                    ),
                );
            }
        }
        (config, parser.problems)
    }
}

fn net(p: &mut Parser<'_>) -> Net {
    let host = p.address("HOST");
    let admin = p.address("METRICS_HOST");
    let tls = match (p.path("TLS_CERT"), p.path("TLS_KEY")) {
        (Some(cert), Some(key)) => Some(Tls {
            cert,
            key,
            client_ca: p.path("TLS_CLIENT_CA"),
        }),
        _ => None,
    };
    let net = Net {
        http: SocketAddr::new(host, p.number("PORT")),
        grpc: SocketAddr::new(host, p.number("GRPC_PORT")),
        admin: SocketAddr::new(admin, p.number("METRICS_PORT")),
        tls,
        allowed_hosts: p.list("ALLOWED_HOSTS"),
        connections: p.at_least_one("MAX_CONNECTIONS"),
        connections_per_address: match p.number("MAX_CONNECTIONS_PER_ADDRESS") {
            0 => None,
            most => Some(most),
        },
        header_timeout: p.pause("HEADER_TIMEOUT"),
        idle_timeout: p.pause("IDLE_TIMEOUT"),
        shutdown_grace: p.duration("SHUTDOWN_GRACE"),
        shutdown_delay: p.duration("SHUTDOWN_DELAY"),
        connection_age: Some(p.duration("GRPC_MAX_CONNECTION_AGE")).filter(|age| !age.is_zero()),
    };
    for name in &net.allowed_hosts {
        if !hosts::is_name(name) {
            p.problem(
                "ALLOWED_HOSTS",
                format!("expected names without ports, such as policy.internal, found `{name}`"),
            );
        }
    }
    let mut seen: Vec<(u16, &str)> = Vec::new();
    for (addr, name) in [
        (net.http, "PORT"),
        (net.grpc, "GRPC_PORT"),
        (net.admin, "METRICS_PORT"),
    ] {
        if addr.port() != 0 {
            if let Some((_, other)) = seen.iter().find(|(port, _)| *port == addr.port()) {
                p.problem(name, format!("port {} is that of {other}", addr.port()));
            }
            seen.push((addr.port(), name));
        }
    }
    net
}

fn policies(p: &mut Parser<'_>) -> Policies {
    let origin = match (p.path("POLICIES"), p.text("BUNDLE").map(str::to_owned)) {
        (Some(dir), _) => Origin::Directory(dir),
        (None, Some(text)) if text.contains("://") => {
            p.url("BUNDLE").map_or(Origin::Store, Origin::BundleUrl)
        }
        (None, Some(file)) => Origin::BundleFile(PathBuf::from(file)),
        (None, None) => Origin::Store,
    };
    let token = p.secret("BUNDLE_TOKEN");
    if let (Some(token), Origin::BundleUrl(url)) = (&token, &origin) {
        bundle_token(p, token, url);
    }
    let keys: Vec<PathBuf> = p.list("BUNDLE_KEYS").into_iter().map(PathBuf::from).collect();
    Policies {
        origin,
        poll: p.pause("BUNDLE_POLL"),
        token,
        keys,
        derive: p.value("DERIVE", DeriveMode::Always, |text| match text {
            "always" => Some(DeriveMode::Always),
            "missing" => Some(DeriveMode::Missing),
            "never" => Some(DeriveMode::Never),
            _ => None,
        }),
        default_decision: p.value("DEFAULT_DECISION", DefaultDecision::Allow, |text| match text {
            "allow" => Some(DefaultDecision::Allow),
            "deny" => Some(DefaultDecision::Deny),
            _ => None,
        }),
        unknown_namespace: p.value("UNKNOWN_NAMESPACE", UnknownNamespace::Error, |text| match text {
            "error" => Some(UnknownNamespace::Error),
            "global" => Some(UnknownNamespace::Global),
            _ => None,
        }),
        prices: p.path("PRICES_FILE"),
        approval: p.flag("APPROVAL_REQUIRED"),
        strict: p.flag("POLICY_STRICT"),
    }
}

/// Checks that a token can be sent to the server of a bundle, and that only this server reads it.
fn bundle_token(p: &mut Parser<'_>, token: &SecretString, url: &Url) {
    if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        p.problem("BUNDLE_TOKEN", "holds characters that a token cannot have");
    }
    if url.has_credentials() {
        p.problem(
            "BUNDLE_TOKEN",
            "contradicts the user and password in BUNDLE: a request proves who asks in one way",
        );
    }
    if !url.is_encrypted() && !url.is_local() {
        p.problem(
            "BUNDLE_TOKEN",
            format!("would be sent without TLS to {url}: only https and loopback addresses get a token"),
        );
    }
}

/// The scanner; what is wrong with its address is found where its client is made ([`crate::check`]).
fn shield(p: &mut Parser<'_>) -> Option<Shield> {
    let () = p.value("SHIELD_ON_FAILURE", (), |text| (text == "unknown").then_some(()));
    let timeout = p.pause("SHIELD_TIMEOUT");
    let (token, ca) = (p.secret("SHIELD_TOKEN"), p.path("SHIELD_CA_FILE"));
    p.text("SHIELD_URL")?;
    let url = p.url("SHIELD_URL")?;
    Some(Shield {
        url: url.expose().to_owned(),
        timeout,
        token,
        ca,
    })
}

const SSL_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

fn store(p: &mut Parser<'_>) -> StoreConfig {
    let data_dir = p.path("DATA_DIR").unwrap_or_default();
    let url = p.text("DATABASE_URL").map(str::to_owned);
    let database = match (url.as_deref(), p.text("DATABASE_HOST")) {
        (Some(url), _) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Database::Postgres(postgres_by_url(p, url))
        }
        (Some("sqlite::memory:"), _) => Database::SqliteMemory,
        (Some(url), _) if url.starts_with("sqlite:") => Database::SqliteFile(PathBuf::from(
            url.trim_start_matches("sqlite:").trim_start_matches("//"),
        )),
        (Some(_), _) => {
            p.problem("DATABASE_URL", "expected postgresql://… or sqlite:…");
            Database::SqliteMemory
        }
        (None, Some(_)) => Database::Postgres(postgres_by_parts(p)),
        (None, None) => Database::SqliteFile(data_dir.join("policyd.db")),
    };
    StoreConfig {
        database,
        data_dir,
        pool: p.number::<u32>("DATABASE_POOL").max(1),
        poll: p.pause("POLL_INTERVAL"),
    }
}

/// Checks those parts of PostgreSQL's settings that are not any text.
fn postgres_parts(p: &mut Parser<'_>) -> (u16, String) {
    let port = p.number("DATABASE_PORT");
    let ssl_mode = p.value("DATABASE_SSL_MODE", String::new(), |text| {
        SSL_MODES.contains(&text).then(|| text.to_owned())
    });
    (port, ssl_mode)
}

/// Whether a pooler gives away connections for a transaction only.
fn pooled(p: &mut Parser<'_>) -> bool {
    p.value("DATABASE_POOL_MODE", false, |text| match text {
        "session" => Some(false),
        "transaction" => Some(true),
        _ => None,
    })
}

fn postgres_by_parts(p: &mut Parser<'_>) -> Postgres {
    let (port, ssl_mode) = postgres_parts(p);
    let pooled = pooled(p);
    let text = |name: &str| p.text(name).map(str::to_owned);
    Postgres {
        url: None,
        host: text("DATABASE_HOST"),
        port: Some(port),
        user: text("DATABASE_USERNAME"),
        password: p.secret("DATABASE_PASSWORD"),
        database: text("DATABASE_NAME"),
        ssl_mode: Some(ssl_mode),
        ssl_root_cert: p.path("DATABASE_SSL_ROOT_CERT"),
        pooled,
    }
}

/// The URL and what it leaves open.
fn postgres_by_url(p: &mut Parser<'_>, url: &str) -> Postgres {
    let (port, _) = postgres_parts(p);
    // What is no URL is said by whoever opens it.
    let said = url::postgres_says(url).unwrap_or_default();
    let tls = ["DATABASE_SSL_MODE", "DATABASE_SSL_ROOT_CERT"];
    if p.is_elsewhere("DATABASE_URL", "DATABASE_HOST", &said)
        && !tls.iter().any(|name| said.contains_key(name))
    {
        return postgres_by_parts(p);
    }
    let pooled = pooled(p);
    let mut open = |name| p.left_open("DATABASE_URL", name, &said);
    Postgres {
        url: Some(SecretString::from(url)),
        host: open("DATABASE_HOST"),
        port: open("DATABASE_PORT").map(|_| port),
        user: open("DATABASE_USERNAME"),
        password: open("DATABASE_PASSWORD").map(SecretString::from),
        database: open("DATABASE_NAME"),
        ssl_mode: open("DATABASE_SSL_MODE"),
        ssl_root_cert: open("DATABASE_SSL_ROOT_CERT").map(PathBuf::from),
        pooled,
    }
}

/// Redis logs nobody in by the name alone.
const NO_PASSWORD: &str = "needs REDIS_PASSWORD: Redis logs nobody in without one";

fn redis_by_parts(p: &mut Parser<'_>) -> SecretString {
    let host = p.text("REDIS_HOST").unwrap_or_default().to_owned();
    let scheme = if p.flag("REDIS_TLS_ENABLED") {
        "rediss"
    } else {
        "redis"
    };
    let user = p
        .text("REDIS_USERNAME")
        .map_or(String::new(), value::percent_encoded);
    let password = p.text("REDIS_PASSWORD").map_or(String::new(), |password| {
        format!("{user}:{}@", value::percent_encoded(password))
    });
    if !user.is_empty() && p.raw.given("REDIS_PASSWORD").is_none() {
        p.problem("REDIS_USERNAME", NO_PASSWORD);
    }
    let (port, db) = (p.number::<u16>("REDIS_PORT"), p.number::<u32>("REDIS_DB"));
    SecretString::from(format!("{scheme}://{password}{host}:{port}/{db}"))
}

/// The URL with what it leaves open.
fn redis_by_url(p: &mut Parser<'_>, url: &str) -> SecretString {
    // What is no URL is said by whoever opens it.
    let said = url::redis_says(url).unwrap_or_default();
    let encrypted = said.get("REDIS_TLS_ENABLED").is_some_and(|text| text == "true");
    if p.is_elsewhere("REDIS_URL", "REDIS_HOST", &said) && !encrypted {
        return redis_by_parts(p);
    }
    let before = p.problems.len();
    p.number::<u16>("REDIS_PORT");
    p.number::<u32>("REDIS_DB");
    p.flag("REDIS_TLS_ENABLED");
    let mut open = url::Said::new();
    for name in [
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_USERNAME",
        "REDIS_PASSWORD",
        "REDIS_DB",
        "REDIS_TLS_ENABLED",
    ] {
        if let Some(text) = p.left_open("REDIS_URL", name, &said) {
            open.insert(name, text);
        }
    }
    let has_password = p.raw.given("REDIS_PASSWORD").is_some() || said.contains_key("REDIS_PASSWORD");
    if open.contains_key("REDIS_USERNAME") && !has_password {
        p.problem("REDIS_USERNAME", NO_PASSWORD);
    }
    if open.is_empty() || p.problems.len() > before {
        return SecretString::from(url);
    }
    SecretString::from(url::redis_with(url, &open).unwrap_or_else(|| url.to_owned()))
}

fn cache(p: &mut Parser<'_>) -> Cache {
    let url = p.text("REDIS_URL").map(str::to_owned);
    let redis = match (url.as_deref(), p.text("REDIS_HOST")) {
        (Some(url), _) if url.starts_with("redis://") || url.starts_with("rediss://") => {
            Some(redis_by_url(p, url))
        }
        (Some(_), _) => {
            p.problem("REDIS_URL", "expected redis://… or rediss://…");
            None
        }
        (None, Some(_)) => Some(redis_by_parts(p)),
        (None, None) => None,
    };
    let ca = p.path("REDIS_TLS_CA");
    let redis = redis.map(|url| Redis { url, ca });
    Cache {
        enabled: p.flag("CACHE_ENABLED"),
        ttl: p.duration("CACHE_TTL"),
        bytes: p.value("CACHE_SIZE", 0, value::bytes),
        redis,
    }
}

fn auth(p: &mut Parser<'_>) -> Auth {
    let algorithm = p.value("JWT_ALGORITHM", None, |text| match text {
        "HS256" => Some(Some(Algorithm::Hs256)),
        "RS256" => Some(Some(Algorithm::Rs256)),
        "ES256" => Some(Some(Algorithm::Es256)),
        "EdDSA" => Some(Some(Algorithm::EdDsa)),
        _ => None,
    });
    let secret = p
        .text("JWT_SECRET")
        .map(|secret| (secret.len(), SecretString::from(secret)));
    let jwks = p.text("JWT_JWKS").map(str::to_owned);
    let keys = match (secret, p.path("JWT_PUBLIC_KEY"), jwks) {
        (Some((length, secret)), ..) => {
            let too_few = |length| format!("{length} bytes are too few, at least 32 are needed");
            if length < 32 {
                p.problem("JWT_SECRET", too_few(length));
            }
            let previous = p.secret("JWT_SECRET_PREVIOUS");
            if let Some(previous) = &previous {
                let length = previous.expose_secret().len();
                if length < 32 {
                    p.problem("JWT_SECRET_PREVIOUS", too_few(length));
                }
                if previous.expose_secret() == secret.expose_secret() {
                    p.note(
                        "JWT_SECRET_PREVIOUS",
                        "is the same as JWT_SECRET, so it does nothing",
                    );
                }
            }
            if algorithm.is_some_and(|a| a != Algorithm::Hs256) {
                p.problem(
                    "JWT_ALGORITHM",
                    "a secret is for HS256; other algorithms need JWT_PUBLIC_KEY or JWT_JWKS",
                );
            }
            Some(JwtKeys::Secret {
                current: secret,
                previous,
            })
        }
        (None, Some(file), _) => Some(JwtKeys::PublicKey(file)),
        (None, None, Some(text)) if text.contains("://") => p.url("JWT_JWKS").map(JwtKeys::JwksUrl),
        (None, None, Some(file)) => Some(JwtKeys::JwksFile(PathBuf::from(file))),
        (None, None, None) => None,
    };
    if algorithm == Some(Algorithm::Hs256) && matches!(keys, Some(JwtKeys::PublicKey(_))) {
        p.problem("JWT_ALGORITHM", "a public key cannot check HS256");
    }
    let algorithm = match keys {
        Some(JwtKeys::Secret { .. }) => Some(Algorithm::Hs256),
        Some(JwtKeys::PublicKey(_)) => algorithm.or(Some(Algorithm::Rs256)),
        _ => algorithm,
    };
    let require_namespaces = p.flag("JWT_REQUIRE_NAMESPACES");
    let text = |p: &Parser<'_>, name: &str| p.text(name).unwrap_or_default().to_owned();
    Auth {
        jwt: keys.map(|keys| Jwt {
            algorithm,
            keys,
            issuer: text(p, "JWT_ISSUER"),
            audience: text(p, "JWT_AUDIENCE"),
            life: p.duration("JWT_EXPIRES_IN"),
            require_namespaces,
        }),
        api_keys: p.flag("API_KEYS_ENABLED"),
    }
}

fn limits(p: &mut Parser<'_>) -> Limits {
    let routes = p.list("RATE_LIMIT_ROUTES");
    let mut limits = Vec::new();
    for route in &routes {
        let known = ["evaluate", "policies", "bundle", "decisions", "audit", "keys"];
        match route
            .split_once('=')
            .map(|(name, n)| (name.trim(), n.trim().parse::<u32>()))
        {
            Some((name, Ok(limit))) if known.contains(&name) => limits.push((name.to_owned(), limit)),
            _ => p.problem(
                "RATE_LIMIT_ROUTES",
                format!(
                    "expected ROUTE=NUMBER with a route of {}, found `{route}`",
                    known.join(", ")
                ),
            ),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (body, body_memory) = (p.size("MAX_BODY"), p.size("BODY_MEMORY"));
    if body_memory < body {
        p.problem(
            "BODY_MEMORY",
            "is less than MAX_BODY: such a body would never be taken",
        );
    }
    Limits {
        body,
        body_memory,
        body_timeout: p.pause("BODY_TIMEOUT"),
        auth_failures: p.number("AUTH_FAILURES"),
        batch: p.at_least_one("MAX_BATCH"),
        results: p.size("MAX_RESULTS"),
        timeout: p.pause("REQUEST_TIMEOUT"),
        concurrency: p.at_least_one("MAX_CONCURRENCY"),
        heavy_workers: match p.number::<usize>("HEAVY_WORKERS") {
            0 => cores,
            n => n,
        },
        rate: Rate {
            per_second: p.number("RATE_LIMIT"),
            burst: p.number("RATE_LIMIT_BURST"),
            routes: limits,
            shared: p.flag("RATE_LIMIT_SHARED"),
        },
        quota: Quota {
            policies: p.number("QUOTA_POLICIES"),
            rules: p.number("QUOTA_RULES"),
            bytes: p.value("QUOTA_BYTES", 0, value::bytes),
            history: p.value("QUOTA_HISTORY", 0, value::bytes),
            share: p.value("QUOTA_SHARE", 0, |text| {
                text.parse().ok().filter(|percent| *percent <= 100)
            }),
        },
        keys: p.number("QUOTA_KEYS"),
    }
}

/// The least that a spool may hold: less is a number that was given without its unit.
const LEAST_SPOOL: u64 = 1 << 20;

fn spool(p: &mut Parser<'_>, store: &StoreConfig) -> Option<Spool> {
    let name = "DECISION_LOG_SPOOL";
    let bytes = p.value(name, 0, value::bytes);
    if (1..LEAST_SPOOL).contains(&bytes) {
        p.problem(name, "must be at least 1MB, or 0 for none");
    }
    let required = p
        .raw
        .values
        .get(name)
        .is_some_and(|(_, source)| *source != Source::Default);
    match &store.database {
        Database::Postgres(_) => Some(Spool {
            directory: store.data_dir.join("decisions-spool"),
            bytes,
            required,
        }),
        // A file of this machine: where it cannot be written, neither could a spool. What is in memory is never away.
        Database::SqliteFile(_) | Database::SqliteMemory => None,
    }
}

/// The least that is sealed at once: smaller segments are more files than anybody wants to read.
const LEAST_SEAL: u64 = 1 << 20;

fn segments(p: &mut Parser<'_>, store: &StoreConfig) -> Option<Segments> {
    let name = "DECISION_LOG_SEAL_BYTES";
    let seal_bytes = p.value(name, 64 << 20, value::bytes);
    if seal_bytes < LEAST_SEAL {
        p.problem(name, "must be at least 1MB");
    }
    // The journal goes on while what is in it is sealed.
    let bytes = p.value("DECISION_LOG_SPOOL", 0, value::bytes);
    if p.list("DECISION_LOG").iter().any(|sink| sink == "segments") && bytes < seal_bytes.saturating_mul(2) {
        p.problem(
            "DECISION_LOG_SPOOL",
            "must be at least twice DECISION_LOG_SEAL_BYTES with DECISION_LOG=segments",
        );
    }
    let name = "DECISION_LOG_SEGMENTS";
    let ca = p.path("DECISION_LOG_SEGMENTS_TLS_CA");
    let archive = p.path(name);
    let archive = match archive.as_ref().and_then(|path| path.to_str()) {
        Some(url) if url.contains("://") => match Bucket::parse(url) {
            Ok(bucket) => Archive::Bucket(Bucket { ca, ..bucket }),
            Err(problem) => {
                p.problem(name, problem);
                return None;
            }
        },
        _ => {
            if ca.is_some() {
                let problem = "is for a bucket, and DECISION_LOG_SEGMENTS names a folder";
                p.problem("DECISION_LOG_SEGMENTS_TLS_CA", problem);
            }
            Archive::Folder(archive.unwrap_or_else(|| store.data_dir.join("decisions")))
        }
    };
    Some(Segments {
        journal: store.data_dir.join("decisions-journal"),
        bytes,
        archive,
        seal_bytes,
        seal_after: p.duration("DECISION_LOG_SEAL_AFTER"),
    })
}

fn decision_log(p: &mut Parser<'_>, store: &StoreConfig) -> DecisionLog {
    let mut sinks = Vec::new();
    let mut webhook = None;
    let named = p.list("DECISION_LOG");
    if named.is_empty() {
        p.problem("DECISION_LOG", "names nothing; `off` writes no decisions");
    }
    for (i, sink) in named.iter().enumerate() {
        if named[..i].contains(sink) {
            p.problem("DECISION_LOG", format!("`{sink}` is given twice"));
            continue;
        }
        match sink.as_str() {
            "off" if named.len() > 1 => {
                p.problem("DECISION_LOG", "`off` does not go with places to write to");
            }
            "off" => {}
            "store" => sinks.push(Sink::Store),
            "stdout" => sinks.push(Sink::Stdout),
            "segments" => sinks.push(Sink::Segments),
            other if other.starts_with("webhook:") && webhook.is_some() => {
                p.problem(
                    "DECISION_LOG",
                    "names two receivers of webhooks; there can be one",
                );
            }
            other if other.starts_with("webhook:") => {
                webhook = webhook::read(p, store, other);
                sinks.extend(webhook.as_ref().map(|_| Sink::Webhook));
            }
            other => match other.strip_prefix("file:").filter(|path| !path.is_empty()) {
                Some(path) => sinks.push(Sink::File(PathBuf::from(path))),
                None => {
                    let message = format!(
                        "expected off, store, segments, stdout, file:FILE or webhook:URL, found `{other}`"
                    );
                    p.problem("DECISION_LOG", message);
                }
            },
        }
    }
    let mut keys = Vec::new();
    if p.text("ENCRYPTION_KEYS").is_some() && p.list("ENCRYPTION_KEYS").is_empty() {
        p.problem("ENCRYPTION_KEYS", "names no key");
    }
    for (i, entry) in p.list("ENCRYPTION_KEYS").iter().enumerate() {
        match value::encryption_key(entry) {
            Some(key) => keys.push(key),
            None => p.problem(
                "ENCRYPTION_KEYS",
                format!("entry {} is not ID:BASE64 with a key of 32 bytes", i + 1),
            ),
        }
    }
    if let Err(error @ SealError::DuplicateKey(_)) = Sealer::new(&keys) {
        p.problem("ENCRYPTION_KEYS", error.to_string());
    }
    let segments = segments(p, store).filter(|_| sinks.contains(&Sink::Segments));
    let spool = spool(p, store).filter(|_| sinks.contains(&Sink::Store));
    DecisionLog {
        sinks,
        spool,
        segments,
        webhook,
        context: p.value("DECISION_LOG_CONTEXT", Kept::Masked, |text| match text {
            "none" => Some(Kept::None),
            "masked" => Some(Kept::Masked),
            "full" => Some(Kept::Full),
            _ => None,
        }),
        masks: p.list("DECISION_LOG_MASK"),
        queue: p.number::<usize>("DECISION_LOG_QUEUE").max(1),
        block: p.value("DECISION_LOG_OVERFLOW", true, |text| match text {
            "block" => Some(true),
            "drop" => Some(false),
            _ => None,
        }),
        retention: p.duration("DECISION_LOG_RETENTION"),
        keys,
    }
}

fn telemetry(p: &mut Parser<'_>) -> Telemetry {
    use std::io::IsTerminal as _;
    let auto = if std::io::stderr().is_terminal() {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let sample = p.value("TRACE_SAMPLE", 0.0, |text| {
        text.parse::<f64>()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
    });
    let level = p.text("LOG_LEVEL").unwrap_or("info").to_owned();
    if let Err(error) = logs::filter(&level) {
        p.problem("LOG_LEVEL", error.to_string());
    }
    let otlp = p.url("OTLP_ENDPOINT");
    if otlp.as_ref().is_some_and(Url::is_encrypted) {
        p.problem(
            "OTLP_ENDPOINT",
            "only http:// is taken: spans are sent without TLS; let a collector on this machine send them on",
        );
    }
    Telemetry {
        level,
        format: p.value("LOG_FORMAT", auto, |text| match text {
            "auto" => Some(auto),
            "json" => Some(LogFormat::Json),
            "text" => Some(LogFormat::Text),
            _ => None,
        }),
        otlp: otlp
            .filter(|_| p.flag("TRACE_ENABLED"))
            .map(|url| url.expose().to_owned()),
        sample,
    }
}

#[cfg(test)]
mod tests;
