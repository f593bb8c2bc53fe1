//! Whether a file changed: what `auth` and `tls` ask before they take keys from it again.
//!
//! The content counts, not the time of the last change: file systems tell times as coarsely as a second, a new key is often
//! as long as the old one, and a key that was replaced twice within a second must not be missed. The files are small and
//! looked at every few seconds. Links are followed, so a mounted secret that is replaced by switching a link is seen.

use ring::digest;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes that are looked at. Whoever reads the file refuses long before.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// SHA-256 of the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp([u8; 32]);

impl FileStamp {
    /// The stamp of a file as it is now. Take it before reading the file: a change in between is then seen next time.
    /// Blocks.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?.take(MAX_BYTES);
        let mut hash = digest::Context::new(&digest::SHA256);
        // Private keys pass through here.
        let mut buffer = Zeroizing::new([0; 4096]);
        loop {
            let read = file.read(buffer.as_mut())?;
            match buffer.get(..read) {
                None | Some([]) => break,
                Some(bytes) => hash.update(bytes),
            }
        }
        let mut stamp = [0; 32];
        stamp.copy_from_slice(hash.finish().as_ref());
        Ok(Self(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_though_time_and_length_stay() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            let time = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            File::options()
                .write(true)
                .open(file.path())
                .unwrap()
                .set_times(time)
                .unwrap();
            FileStamp::of(file.path()).unwrap()
        };
        let (one, two, again) = (write("one"), write("two"), write("one"));
        assert!(one != two && one == again);
        assert!(write(&"x".repeat(5000)) != write(&format!("{}y", "x".repeat(4999))));
        assert!(FileStamp::of(Path::new("nowhere")).is_err());
    }
}
