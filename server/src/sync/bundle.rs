//! A bundle from a file or a URL: loaded at the start, followed, the last good one kept on disk.
//!
//! A URL is asked with the `ETag` of what is active, and with the token of the settings; redirects to other servers are not
//! followed, so that no other one gets it. What cannot be reached, decoded, trusted or verified replaces nothing.
//! The last good bundle of a URL stands in `DATA_DIR`, so that a restart needs no network.
//!
//! Anti-rollback: a bundle that was active here and was replaced does not come back through the same URL or file, because
//! who can replay an old signed bundle could bring back an old hole. Digests of replaced bundles are kept in `DATA_DIR`;
//! removing `bundle-replaced.json` there allows going back on purpose.

use crate::error::{Code, Result, ServiceError};
use crate::fetch;
use crate::heavy::Work;
use crate::settings::{Url, scrubbed};
use crate::state::App;
use arc_swap::ArcSwapOption;
use policy_runtime::Policies;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Bundles larger than this are not fetched.
const MAX_BYTES: u64 = 256 << 20;
/// How long a fetch may take.
const FETCH: Duration = Duration::from_secs(30);
/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where the bundle is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// A URL, and how often it is asked.
    Url(Url, Duration),
}

/// What the server of a URL is sent to prove who asks; may be replaced. Cheap to clone; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Token(Arc<ArcSwapOption<SecretString>>);

impl Token {
    /// Sends this from now on.
    pub fn replace(&self, token: Option<SecretString>) {
        self.0.store(token.map(Arc::new));
    }

    /// What is sent now.
    pub(super) fn current(&self) -> Option<Arc<SecretString>> {
        self.0.load_full()
    }
}

/// What was seen last, so that it is not loaded twice.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Stamp(u64, Option<SystemTime>),
    Tag(String),
    Nothing,
}

/// Follows one bundle.
#[derive(Debug)]
pub struct Follower {
    location: Location,
    token: Token,
    kept: PathBuf,
    replaced_file: PathBuf,
    replaced: BTreeSet<String>,
    active: Option<String>,
    seen: Seen,
}

fn failed(detail: impl std::fmt::Display) -> ServiceError {
    ServiceError::new(Code::NotReady, detail.to_string())
}

/// Whether a bundle was there and was refused: the same bytes would be refused again.
fn is_refusal(error: &ServiceError) -> bool {
    matches!(
        error.code,
        Code::InvalidBundle | Code::UntrustedBundle | Code::PolicyInvalid
    )
}

impl Follower {
    /// Nothing loaded yet.
    ///
    /// # Errors
    ///
    /// When the list of replaced bundles is there and cannot be read: it must not be forgotten.
    pub fn new(location: Location, data_dir: &Path) -> Result<Self> {
        let replaced_file = data_dir.join("bundle-replaced.json");
        let replaced = match std::fs::read(&replaced_file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| failed(format!("{}: {error}", replaced_file.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(failed(format!("{}: {error}", replaced_file.display()))),
        };
        Ok(Self {
            location,
            token: Token::default(),
            kept: data_dir.join("bundle-last-good"),
            replaced_file,
            replaced,
            active: None,
            seen: Seen::Nothing,
        })
    }

    /// The same, that sends this token to a URL.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    /// Looks whether there is a new bundle, and activates it. `Ok(false)` is nothing new.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being active; the last good one stays.
    pub async fn look(&mut self, app: &App) -> Result<bool> {
        let (bytes, seen) = match &self.location {
            Location::File(path) => {
                let meta = tokio::fs::metadata(path)
                    .await
                    .map_err(|error| failed(format!("{}: {error}", path.display())))?;
                let seen = Seen::Stamp(meta.len(), meta.modified().ok());
                if seen == self.seen {
                    return Ok(false);
                }
                let bytes = tokio::fs::read(path)
                    .await
                    .map_err(|error| failed(format!("{}: {error}", path.display())))?;
                (bytes, seen)
            }
            Location::Url(url, _) => {
                let tag = match &self.seen {
                    Seen::Tag(tag) => Some(tag.clone()),
                    Seen::Stamp(..) | Seen::Nothing => None,
                };
                let (url, token) = (url.clone(), self.token.0.load_full());
                let fetched =
                    tokio::task::spawn_blocking(move || download(&url, tag.as_deref(), token.as_deref()))
                        .await
                        .map_err(ServiceError::internal)??;
                match fetched {
                    None => {
                        // The tag is that of the active one.
                        app.service.active.forget_failure();
                        return Ok(false);
                    }
                    Some((bytes, tag)) => (bytes, tag.map_or(Seen::Nothing, Seen::Tag)),
                }
            }
        };
        let result = self.adopt(app, bytes).await;
        // What is broken is broken until it changes; what has no tag is asked for again, and so is what could not be kept.
        let refused = result.as_ref().is_err_and(is_refusal);
        if result.is_ok() || refused && matches!(seen, Seen::Stamp(..)) {
            self.seen = seen;
        }
        result
    }

    async fn adopt(&mut self, app: &App, bytes: Vec<u8>) -> Result<bool> {
        let bytes: Arc<[u8]> = Arc::from(bytes);
        let policies = app.service.active.load(Arc::clone(&bytes), Work::SERVER).await?;
        let digest = digest(&policies);
        if self.active.as_ref() == Some(&digest) {
            app.service.active.forget_failure();
            return Ok(false);
        }
        app.service.without_warnings(policies.manifest())?;
        if self.replaced.contains(&digest) {
            return Err(ServiceError::new(
                Code::UntrustedBundle,
                format!("{digest} was replaced before and does not come back"),
            ));
        }
        if let Some(before) = &self.active {
            let mut replaced = self.replaced.clone();
            replaced.insert(before.clone());
            let json = serde_json::to_vec(&replaced).map_err(ServiceError::internal)?;
            write(&self.replaced_file, &json)?;
            self.replaced = replaced;
        }
        write(&self.kept, &bytes)?;
        let mut state = app.service.active.change().await;
        app.service.active.adopt_bundle(&mut state, policies, 0);
        self.active = Some(digest);
        Ok(true)
    }

    /// Activates the last good bundle from disk, where there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read, trusted or verified.
    pub async fn restore(&mut self, app: &App) -> Result<bool> {
        let bytes = match tokio::fs::read(&self.kept).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(format!("{}: {error}", self.kept.display()))),
        };
        let policies = app.service.active.load(Arc::from(bytes), Work::SERVER).await?;
        let digest = digest(&policies);
        let mut state = app.service.active.change().await;
        app.service.active.adopt_bundle(&mut state, policies, 0);
        self.active = Some(digest);
        Ok(true)
    }

    /// Runs until cancelled.
    pub async fn run(mut self, app: App, stop: CancellationToken) {
        if let Err(error) = self.restore(&app).await {
            tracing::warn!(%error, "the last good bundle cannot be used");
        }
        let wait = match &self.location {
            Location::File(_) => LOOK,
            Location::Url(_, poll) => *poll,
        };
        loop {
            match self.look(&app).await {
                Ok(_) => {
                    app.health.note("bundle", None);
                }
                Err(error) => {
                    app.metrics.reload_failed(app.service.origin.label());
                    // Its place could be reached; that is what the dependency stands for.
                    let refused = is_refusal(&error);
                    app.health
                        .note("bundle", (!refused).then(|| error.detail.clone()));
                    if refused {
                        app.service.active.note_failure(error.detail);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

fn digest(policies: &Policies) -> String {
    policies
        .digest()
        .map(|digest| digest.to_string())
        .unwrap_or_default()
}

/// Writes a file as a whole or not at all, for its owner only.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let attempt = || -> std::io::Result<()> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let part = path.with_extension("part");
        // One that a crash left may be open to others.
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&part)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            drop(std::fs::remove_file(&part));
            return Err(error);
        }
        std::fs::rename(&part, path)
    };
    attempt().map_err(|error| failed(format!("{}: {error}", path.display())))
}

/// Bytes and `ETag` of what stands at a URL; `None` where it is what the caller has.
fn download(
    url: &Url,
    tag: Option<&str>,
    token: Option<&SecretString>,
) -> Result<Option<(Vec<u8>, Option<String>)>> {
    let token = token.map(|token| Zeroizing::new(format!("Bearer {}", token.expose_secret())));
    let mut headers = vec![("Accept", "application/octet-stream")];
    headers.extend(token.iter().map(|token| ("Authorization", token.as_str())));
    headers.extend(tag.map(|tag| ("If-None-Match", tag)));
    let unfetched = |error: String| failed(format!("{url}: {error}"));
    let mut response = fetch::get(url, &headers, FETCH).map_err(unfetched)?;
    if response.status() == 304 {
        return Ok(None);
    }
    let tag = response
        .headers()
        .get("etag")
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let bytes = response
        .body_mut()
        .with_config()
        .limit(MAX_BYTES)
        .read_to_vec()
        .map_err(|error| unfetched(scrubbed(&error.to_string())))?;
    Ok(Some((bytes, tag)))
}

#[cfg(test)]
mod tests {
    use super::write;

    #[cfg(unix)]
    #[test]
    fn what_is_kept_is_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle-last-good");
        let open_to_all = |path: &std::path::Path| {
            std::fs::write(path, "before").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        };
        open_to_all(&path);
        open_to_all(&path.with_extension("part"));
        write(&path, b"bytes").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
