//! Disks that fail, for tests: a small one that can be filled, and a library that is loaded before `policyd` and makes what it
//! writes below a folder fail as a full, a failing or a read-only disk does.
//!
//! The small disk is a file system in memory, which only root may mount; the library is compiled with `cc`. Where one of them
//! is not to be had, [`missing`] says so on the real stderr, past the capture of the test harness.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Notes that a test was not run.
pub(crate) fn missing(test: &str, what: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped: {test} ({what})").unwrap();
}

/// A file system of its own, of a few megabytes. Gone with the value.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// `None` where nothing can be mounted.
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "policyd-test"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self { directory })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes every byte that is free. Whoever uses the disk may free some afterwards.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.filler())
            .unwrap();
        for block in [1 << 20, 1 << 12, 1] {
            let block = vec![b'x'; block];
            // Until it fails, which is what it is for.
            while file.write_all(&block).is_ok() {}
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).output());
    }
}

/// How a disk fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// No space is left.
    Full,
    /// What was written cannot be brought to the disk.
    Sync,
    /// Writing fails.
    Io,
    /// It was mounted read-only.
    ReadOnly,
}

/// A folder whose disk fails on demand, for the program that is started with [`BadDisk::settings`].
#[derive(Debug)]
pub(crate) struct BadDisk {
    directory: TempDir,
    root: String,
    control: String,
    library: String,
}

impl BadDisk {
    /// `None` where the library cannot be compiled.
    pub(crate) fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (source, library) = (at("disk.c"), at("disk.so"));
        std::fs::write(&source, SOURCE).unwrap();
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", &library, &source, "-ldl"])
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !compiled {
            return None;
        }
        let (root, control) = (at("disk"), at("control"));
        std::fs::create_dir(&root).unwrap();
        Some(Self {
            directory,
            root,
            control,
            library,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.root)
    }

    /// What makes the disk fail in a program.
    pub(crate) fn settings(&self) -> [(&str, &str); 3] {
        [
            ("LD_PRELOAD", &self.library),
            ("DISK_ROOT", &self.root),
            ("DISK_CONTROL", &self.control),
        ]
    }

    /// From now on it fails.
    pub(crate) fn fail(&self, fault: Fault) {
        let letter = match fault {
            Fault::Full => "f",
            Fault::Sync => "s",
            Fault::Io => "i",
            Fault::ReadOnly => "r",
        };
        std::fs::write(&self.control, letter).unwrap();
    }

    /// From now on it works.
    pub(crate) fn mend(&self) {
        std::fs::write(&self.control, "").unwrap();
    }
}

/// The library. What it does is said by the first letter of the control file, at every call.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char fault(void) {
    int before = errno;
    char letter = 0;
    const char *control = getenv("DISK_CONTROL");
    if (control) {
        int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (syscall(SYS_read, fd, &letter, 1) != 1) letter = 0;
            syscall(SYS_close, fd);
        }
    }
    errno = before;
    return letter;
}

static int below(const char *path) {
    const char *root = getenv("DISK_ROOT");
    return root && strncmp(path, root, strlen(root)) == 0;
}

static int on_disk(int fd) {
    int before = errno;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int fails(char letter) {
    errno = letter == 'f' ? ENOSPC : letter == 'r' ? EROFS : EIO;
    return -1;
}

static int writes_fail(int fd) {
    char letter = fault();
    return letter && letter != 's' && on_disk(fd) ? fails(letter) : 0;
}

#define NEXT(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t n) {
    return writes_fail(fd) ? -1 : NEXT(write)(fd, bytes, n);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    return writes_fail(fd) ? -1 : NEXT(writev)(fd, parts, n);
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    return writes_fail(fd) ? -1 : NEXT(pwrite)(fd, bytes, n, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    return writes_fail(fd) ? -1 : NEXT(pwrite64)(fd, bytes, n, at);
}

static int syncs_fail(int fd) {
    char letter = fault();
    return (letter == 's' || letter == 'i') && on_disk(fd) ? fails(letter) : 0;
}
int fsync(int fd) { return syncs_fail(fd) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return syncs_fail(fd) ? -1 : NEXT(fdatasync)(fd); }

static int length_fails(int fd, off64_t length) {
    char letter = fault();
    struct stat now;
    if (!letter || letter == 's' || !on_disk(fd)) return 0;
    if (letter == 'f' && fstat(fd, &now) == 0 && length <= now.st_size) return 0;
    return fails(letter);
}
int ftruncate(int fd, off_t length) {
    return length_fails(fd, length) ? -1 : NEXT(ftruncate)(fd, length);
}
int ftruncate64(int fd, off64_t length) {
    return length_fails(fd, length) ? -1 : NEXT(ftruncate64)(fd, length);
}

static int open_fails(const char *path, int flags) {
    char letter = fault();
    struct stat there;
    if (!letter || !below(path)) return 0;
    int writing = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    if (letter == 'r' && writing) return fails(letter);
    if (letter == 'f' && (flags & O_CREAT) && stat(path, &there) != 0) return fails(letter);
    return 0;
}
#define OPENS(name)                                              \
    int name(const char *path, int flags, ...) {                 \
        va_list rest;                                            \
        va_start(rest, flags);                                   \
        mode_t mode = va_arg(rest, mode_t);                      \
        va_end(rest);                                            \
        return open_fails(path, flags) ? -1 : NEXT(name)(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)
#define OPENS_AT(name)                                           \
    int name(int folder, const char *path, int flags, ...) {     \
        va_list rest;                                            \
        va_start(rest, flags);                                   \
        mode_t mode = va_arg(rest, mode_t);                      \
        va_end(rest);                                            \
        return open_fails(path, flags) ? -1 : NEXT(name)(folder, path, flags, mode); \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

int unlink(const char *path) {
    return fault() == 'r' && below(path) ? fails('r') : NEXT(unlink)(path);
}
int rename(const char *from, const char *to) {
    return fault() == 'r' && below(to) ? fails('r') : NEXT(rename)(from, to);
}
"#;
