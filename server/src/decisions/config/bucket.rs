//! A bucket of `DECISION_LOG_SEGMENTS`, by its URL.
//!
//! Who may use the bucket is not said here: each cloud has environment variables for that, which are read where it is opened.

use object_store::path::Path as Prefix;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// A bucket, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose it is.
    pub cloud: Cloud,
    /// As it was given, without anything secret.
    pub url: String,
    /// What all keys begin with; may be empty.
    pub prefix: Prefix,
    /// Certificates that are trusted instead of the public ones.
    pub ca: Option<PathBuf>,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Bucket {
    /// The bucket of a URL. No message repeats the URL: somebody may have put a key into it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "is a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX";
        let url = Url::parse(text).map_err(|_| FORM)?;
        let cloud = match url.scheme() {
            "s3" | "s3a" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" | "abfs" | "abfss" => Cloud::Azure,
            _ => return Err(FORM),
        };
        // `abfss://CONTAINER@ACCOUNT…` names no user.
        let with_account = url.scheme().starts_with("abfs");
        if url.password().is_some() || !(url.username().is_empty() || with_account) {
            return Err(
                "holds a user or a password; buckets take those from the environment variables of their cloud",
            );
        }
        if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
            return Err("has a port, a query or a fragment, which URLs of buckets have not");
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(FORM);
        }
        let prefix = Prefix::from_url_path(url.path())
            .map_err(|_| "has a prefix that keys of objects cannot begin with")?;
        Ok(Self {
            cloud,
            url: text.trim_end_matches('/').to_owned(),
            prefix,
            ca: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Cloud};

    #[test]
    fn urls_name_a_bucket_and_a_prefix() {
        for (url, cloud, prefix) in [
            ("s3://bucket", Cloud::S3, ""),
            ("s3://bucket/", Cloud::S3, ""),
            ("s3://my.bucket/a/b/", Cloud::S3, "a/b"),
            ("gs://bucket/log", Cloud::Google, "log"),
            ("az://container/log", Cloud::Azure, "log"),
            (
                "abfss://container@account.dfs.core.windows.net/log",
                Cloud::Azure,
                "log",
            ),
        ] {
            let bucket = Bucket::parse(url).unwrap();
            assert_eq!((bucket.cloud, bucket.prefix.as_ref()), (cloud, prefix), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_what_may_be_a_key() {
        for url in [
            "s3://",
            "http://bucket/log",
            "file:///log",
            "s3://AKIAKEY:S3CRET@bucket/log",
            "s3://S3CRET@bucket/log",
            "az://c/log?sig=S3CRET",
            "s3://bucket/log#S3CRET",
            "s3://bucket:9000/log",
            "s3://bucket//log//x",
        ] {
            let problem = Bucket::parse(url).unwrap_err();
            assert!(!problem.contains("S3CRET"), "{problem}");
        }
    }
}
