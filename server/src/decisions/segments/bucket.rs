//! The archive in a bucket: S3, Google Cloud Storage, Azure Blob Storage. Keys are the names that files have in a folder.
//!
//! # Invariants
//!
//! - A segment is removed from this machine when the bucket has it whole. The same segment has the same key and the same bytes
//!   whenever it is uploaded: to do so again, after a stop at any moment, changes nothing.
//! - Every question to the bucket has an end, and is answered or an error.
//! - No credential is in what is said of an error.
//!
//! # Not done here
//!
//! Pieces of uploads that a stop left are not seen by anybody, and not removed: buckets have lifecycle rules for that.

mod object;
mod transport;

use super::archive::Archive;
use super::name::{ENDING, Name};
use crate::decisions::config::{self, Cloud};
use crate::settings::scrubbed;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object::{Blocks, Object, blocks};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientConfigKey, Error as StoreError, ObjectStore, ObjectStoreExt as _, PutPayload,
    RetryConfig,
};
use policy_integrations::Anywhere;
use policy_segments::ReadAt;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::{self, ErrorKind, Read as _};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The longest that a question for a segment, or to remove one, takes.
const ASKED: Duration = Duration::from_secs(30);

/// The longest that a list takes.
const LISTED: Duration = Duration::from_secs(60);

/// The longest that an upload takes: what is slower is not waited for at once, but tried again.
const SENT: Duration = Duration::from_secs(1800);

/// The longest that a connection takes.
const CONNECT: Duration = Duration::from_secs(5);

/// Days that are listed at once.
const DAYS: usize = 16;

/// Bytes that are sent at once; what is larger is sent in parts of so many. S3 takes no smaller parts than 5 MB.
const PART: usize = 8 << 20;

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    remote: Arc<Remote>,
    prefix: Key,
}

/// The way to it.
pub(super) struct Remote {
    /// Of its own: who waits for a bucket is no task of the server, and the server's may all be busy.
    runtime: Option<Runtime>,
    store: Arc<dyn ObjectStore>,
    url: String,
    blocks: Blocks,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for its threads is not for the task that drops this.
            runtime.shutdown_background();
        }
    }
}

/// The store of the settings and of the environment. Asks nobody yet.
fn store(config: &config::Bucket) -> Result<Arc<dyn ObjectStore>, String> {
    let ca = match &config.ca {
        Some(path) => Some(
            std::fs::read(path)
                .map_err(|error| format!("DECISION_LOG_SEGMENTS_TLS_CA: {}: {error}", path.display()))?,
        ),
        None => None,
    };
    let anywhere = Anywhere::new(ca.as_deref(), CONNECT)
        .map_err(|error| format!("DECISION_LOG_SEGMENTS_TLS_CA: {error}"))?;
    let connect = transport::Connect(anywhere);
    let retry = RetryConfig {
        backoff: BackoffConfig {
            max_backoff: Duration::from_secs(1),
            ..BackoffConfig::default()
        },
        max_retries: 2,
        retry_timeout: Duration::from_secs(20),
    };
    let plain = |endpoint: Option<String>, allowed: Option<String>| {
        let plain = endpoint.is_some_and(|endpoint| endpoint.to_ascii_lowercase().starts_with("http://"));
        match plain && !transport::is_on(allowed.as_deref()) {
            true => Err(format!("the endpoint: {}", transport::PLAIN)),
            false => Ok(()),
        }
    };
    let wrong = |error: StoreError| scrubbed(&error.to_string());
    Ok(match config.cloud {
        Cloud::S3 => {
            use AmazonS3ConfigKey::{Client, Endpoint, S3Endpoint};
            let builder = AmazonS3Builder::from_env();
            let endpoint = builder
                .get_config_value(&S3Endpoint)
                .or_else(|| builder.get_config_value(&Endpoint));
            plain(
                endpoint,
                builder.get_config_value(&Client(ClientConfigKey::AllowHttp)),
            )?;
            let builder = builder
                .with_url(&config.url)
                .with_retry(retry)
                .with_http_connector(connect);
            Arc::new(builder.build().map_err(wrong)?)
        }
        Cloud::Google => {
            use GoogleConfigKey::{BaseUrl, Client};
            // It would be allowed without being asked for.
            let allow = std::env::var("GOOGLE_ALLOW_HTTP").unwrap_or_else(|_| "false".to_owned());
            let builder =
                GoogleCloudStorageBuilder::from_env().with_config(Client(ClientConfigKey::AllowHttp), allow);
            plain(
                builder.get_config_value(&BaseUrl),
                builder.get_config_value(&Client(ClientConfigKey::AllowHttp)),
            )?;
            let builder = builder
                .with_url(&config.url)
                .with_retry(retry)
                .with_http_connector(connect);
            Arc::new(builder.build().map_err(wrong)?)
        }
        Cloud::Azure => {
            use AzureConfigKey::{Client, Endpoint};
            let builder = MicrosoftAzureBuilder::from_env();
            plain(
                builder.get_config_value(&Endpoint),
                builder.get_config_value(&Client(ClientConfigKey::AllowHttp)),
            )?;
            let builder = builder
                .with_url(&config.url)
                .with_retry(retry)
                .with_http_connector(connect);
            Arc::new(builder.build().map_err(wrong)?)
        }
    })
}

/// What is wrong with a bucket, or with the environment that is to say who may use it. Asks nobody.
///
/// # Errors
///
/// What is wrong.
pub(crate) fn check(config: &config::Bucket) -> Result<(), String> {
    store(config).map(drop)
}

/// What an error of the store says, without what may be a credential.
fn told(error: &StoreError) -> io::Error {
    let kind = match error {
        StoreError::NotFound { .. } => ErrorKind::NotFound,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, scrubbed(&error.to_string()))
}

/// Nothing that is gone: what is missing is the bucket itself.
fn no_bucket(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::NotFound => io::Error::other(error.to_string()),
        _ => error,
    }
}

impl Remote {
    /// Waits for an answer, so long at most. Also on a thread of a runtime.
    fn wait<T: Send + 'static>(
        &self,
        longest: Duration,
        answer: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let runtime = self.runtime.as_ref().ok_or(ErrorKind::NotConnected)?;
        let (send, receive) = sync_channel(1);
        let task = runtime.spawn(async move { drop(send.send(answer.await)) });
        match receive.recv_timeout(longest) {
            Ok(answer) => answer.map_err(|error| told(&error)),
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                let message = format!("{}: no answer in {} s", self.url, longest.as_secs());
                Err(io::Error::new(ErrorKind::TimedOut, message))
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other(format!(
                "{}: the question was not asked to its end",
                self.url
            ))),
        }
    }

    /// Bytes of an object.
    fn range(&self, key: &Key, range: Range<u64>) -> io::Result<Bytes> {
        let (store, key) = (Arc::clone(&self.store), key.clone());
        self.wait(ASKED, async move { store.get_range(&key, range).await })
    }

    /// How long an object is.
    fn length(&self, key: &Key) -> io::Result<u64> {
        let (store, key) = (Arc::clone(&self.store), key.clone());
        self.wait(ASKED, async move { Ok(store.head(&key).await?.size) })
    }
}

/// Sends a file in parts. What was sent is seen once it is whole.
async fn send(store: &dyn ObjectStore, key: &Key, mut file: File, length: u64) -> object_store::Result<()> {
    let unread = |error: io::Error| StoreError::Generic {
        store: "staged",
        source: Box::new(error),
    };
    let mut next = move || -> object_store::Result<PutPayload> {
        let mut part = Vec::new();
        (&mut file)
            .take(PART as u64)
            .read_to_end(&mut part)
            .map_err(unread)?;
        Ok(part.into())
    };
    if length <= PART as u64 {
        store.put(key, next()?).await?;
        return Ok(());
    }
    let mut upload = store.put_multipart(key).await?;
    let sent = async {
        loop {
            let part = next()?;
            if part.content_length() == 0 {
                break;
            }
            upload.put_part(part).await?;
        }
        upload.complete().await
    };
    if let Err(error) = sent.await {
        // What cannot be taken back either, is for the lifecycle rules of the bucket.
        drop(upload.abort().await);
        return Err(error);
    }
    Ok(())
}

impl Bucket {
    /// Opens it, and asks nobody yet.
    pub(super) fn open(config: &config::Bucket) -> io::Result<Self> {
        let told = |why: String| io::Error::new(ErrorKind::InvalidInput, format!("{config}: {why}"));
        let store = store(config).map_err(told)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("decision-bucket")
            .enable_all()
            .build()?;
        let remote = Remote {
            runtime: Some(runtime),
            store,
            url: config.url.clone(),
            blocks: blocks(),
        };
        Ok(Self {
            remote: Arc::new(remote),
            prefix: config.prefix.clone(),
        })
    }

    /// The key of a segment.
    fn key(&self, name: &Name) -> io::Result<Key> {
        let key = match self.prefix.as_ref() {
            "" => name.to_string(),
            prefix => format!("{prefix}/{name}"),
        };
        Key::parse(key).map_err(io::Error::other)
    }
}

impl Archive for Bucket {
    fn list(&self) -> io::Result<(Vec<Name>, Vec<String>)> {
        let (store, prefix) = (Arc::clone(&self.remote.store), self.prefix.clone());
        let keys = self.remote.wait(LISTED, async move {
            let top = store.list_with_delimiter(Some(&prefix)).await?;
            let days = top.common_prefixes.into_iter();
            let days = days.filter(|day| day.filename().is_some_and(|day| day.starts_with("day=")));
            let mut keys: Vec<String> = Vec::new();
            let mut lists = futures_util::stream::iter(days)
                .map(|day| {
                    let store = Arc::clone(&store);
                    async move {
                        let objects = store.list(Some(&day));
                        objects
                            .map_ok(|object| object.location.to_string())
                            .try_collect::<Vec<String>>()
                            .await
                    }
                })
                .buffer_unordered(DAYS);
            while let Some(list) = lists.try_next().await? {
                keys.extend(list);
            }
            Ok(keys)
        });
        let (mut names, mut others) = (Vec::new(), Vec::new());
        for key in keys.map_err(no_bucket)? {
            let text = match self.prefix.as_ref() {
                "" => Some(key.as_str()),
                prefix => key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')),
            };
            match text.map(str::parse::<Name>) {
                Some(Ok(name)) => names.push(name),
                _ if key.ends_with(ENDING) => others.push(key),
                _ => {}
            }
        }
        Ok((names, others))
    }

    fn publish(&self, file: &Path, name: &Name) -> io::Result<()> {
        let key = self.key(name)?;
        let open = match File::open(file) {
            Ok(open) => open,
            // Uploaded before an earlier stop, and removed.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return self.remote.length(&key).map(drop).map_err(no_bucket);
            }
            Err(error) => return Err(error),
        };
        let length = open.metadata()?.len();
        let store = Arc::clone(&self.remote.store);
        let to = key.clone();
        let sent = self
            .remote
            .wait(SENT, async move { send(&*store, &to, open, length).await });
        sent.map_err(no_bucket)?;
        // The only other copy is about to go.
        let there = self.remote.length(&key)?;
        if there != length {
            let message = format!("{key}: the bucket has {there} bytes of {length} that were sent");
            return Err(io::Error::other(message));
        }
        std::fs::remove_file(file)
    }

    fn remove(&self, name: &Name) -> io::Result<()> {
        let (store, key) = (Arc::clone(&self.remote.store), self.key(name)?);
        let removed = self.remote.wait(ASKED, async move { store.delete(&key).await });
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn open(&self, name: &Name) -> io::Result<Arc<dyn ReadAt>> {
        let key = self.key(name)?;
        let length = self.remote.length(&key)?;
        Ok(Arc::new(Object::new(Arc::clone(&self.remote), key, length)))
    }

    fn is_remote(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
