//! A folder of secrets as Kubernetes mounts one: files are links through `..data`, which is switched to replace all of them at
//! once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// Such a folder.
pub(crate) struct Mounted {
    folder: TempDir,
    version: AtomicU32,
}

impl Mounted {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let mounted = Self {
            folder: tempfile::tempdir().unwrap(),
            version: AtomicU32::new(0),
        };
        mounted.put(files);
        mounted
    }

    /// Replaces all files. Those that are not named are gone.
    pub(crate) fn put(&self, files: &[(&str, &str)]) {
        let at = |name: &str| self.folder.path().join(name);
        let before = self.version.fetch_add(1, Ordering::SeqCst);
        let version = format!("..{}", before + 1);
        std::fs::create_dir(at(&version)).unwrap();
        for (name, text) in files {
            std::fs::write(at(&version).join(name), text).unwrap();
            if std::fs::symlink_metadata(at(name)).is_err() {
                symlink(Path::new("..data").join(name), at(name)).unwrap();
            }
        }
        symlink(&version, at("..new")).unwrap();
        std::fs::rename(at("..new"), at("..data")).unwrap();
        if before > 0 {
            std::fs::remove_dir_all(at(&format!("..{before}"))).unwrap();
        }
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}
