//! Policies from a directory: compiled at the start and again when a file changes. What does not compile replaces nothing.
//!
//! The directory is asked for changes by events and, since events get lost on some file systems (mounted volumes of clusters
//! among them), every few seconds by a look at names, sizes and times. A set is compiled only once it stood still for a
//! moment: an editor or `git checkout` writes file by file.

use crate::active;
use crate::document::{self, Sight};
use crate::error::{Code, Problem, Result, ServiceError};
use crate::heavy::{Stop, Work};
use crate::state::App;
use notify::{RecursiveMode, Watcher as _};
use policy_compiler::{Compiler, Options};
use policy_grammar::{Diagnostic, SourceMap, load_bytes, names};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often the directory is looked at without an event.
const LOOK: Duration = Duration::from_secs(2);
/// How long it has to stand still.
const STILL: Duration = Duration::from_millis(100);
/// Directories below each other at most; a link that leads back ends there.
const DEPTH: usize = 16;

/// Names, sizes and times of the policy files.
type Stamp = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

fn io(path: &Path, error: &std::io::Error) -> ServiceError {
    ServiceError::new(Code::NotReady, format!("{}: {error}", path.display()))
}

fn look(directory: &Path, depth: usize, stamp: &mut Stamp) -> Result<()> {
    let entries = std::fs::read_dir(directory).map_err(|error| io(directory, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| io(directory, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if names::is_hidden(&name) {
            continue;
        }
        let wanted = names::is_policy_file(&name);
        let meta = std::fs::metadata(&path).map_err(|error| io(&path, &error))?;
        if meta.is_dir() {
            if depth < DEPTH {
                look(&path, depth + 1, stamp)?;
            }
            continue;
        }
        if wanted {
            stamp.insert(path, (meta.len(), meta.modified().ok()));
        }
    }
    Ok(())
}

fn stamp(directory: &Path) -> Result<Stamp> {
    let mut stamp = Stamp::new();
    look(directory, 0, &mut stamp)?;
    Ok(stamp)
}

/// A compiler with the files of the directory, and the problems of those that are not UTF-8, which are left out. What `before` has
/// is not compiled again.
fn read(directory: &Path, stamp: &Stamp, before: &Compiler) -> Result<(Compiler, Vec<Problem>)> {
    let mut compiler = before.clone();
    let mut names = Vec::with_capacity(stamp.len());
    let mut problems = Vec::new();
    for path in stamp.keys() {
        let bytes = std::fs::read(path).map_err(|error| io(path, &error))?;
        let name = path.strip_prefix(directory).unwrap_or(path).display().to_string();
        match String::from_utf8(bytes) {
            Ok(text) => {
                compiler.set(&name, text);
                names.push(name);
            }
            Err(error) => {
                let mut map = SourceMap::new();
                let loaded = load_bytes(&mut map, name, error.into_bytes());
                let found: Vec<Diagnostic> = loaded.diagnostic.into_iter().collect();
                problems.extend(document::problems(&map, &found, &Sight::whole()));
            }
        }
    }
    let gone: Vec<String> = before
        .sources()
        .iter()
        .map(|(_, file)| file.name().to_owned())
        .filter(|name| !names.contains(name))
        .collect();
    for name in gone {
        compiler.remove(&name);
    }
    Ok((compiler, problems))
}

/// Compiles and activates what the directory holds now.
///
/// # Errors
///
/// [`Code::NotReady`] when files cannot be read or there are none, [`Code::PolicyInvalid`] when they do not compile, or the
/// compiler warns of them and that is an error here. Nothing is replaced.
async fn load(app: &App, directory: &Path, files: &Stamp) -> Result<()> {
    // A volume that is not mounted looks like this; nobody means it to allow everything.
    if files.is_empty() {
        let detail = format!("{}: no policy in the directory", directory.display());
        return Err(ServiceError::new(Code::NotReady, detail));
    }
    let active = &app.service.active;
    let mut state = active.change().await;
    let before = Arc::clone(&state.compiler);
    let (directory, files) = (directory.to_owned(), files.clone());
    let (compiler, mut problems) = app
        .service
        .heavy
        .run(Work::SERVER, move |_| read(&directory, &files, &before))
        .await??;
    let strict = app.service.strict;
    let built = move |stop: &Stop| active::build_warned(compiler, strict, stop);
    let built = app.service.heavy.run(Work::SERVER, built).await?;
    if !problems.is_empty() {
        // All that is wrong is told at once. Without the files that cannot be read, the others are not activated.
        if let Err(error) = built {
            problems.extend(error.diagnostics);
        }
        let detail = "the directory holds files that are not UTF-8";
        return Err(ServiceError::new(Code::PolicyInvalid, detail).with_diagnostics(problems));
    }
    let built = built?;
    active.adopt_sources(&mut state, built.compiler, built.policies, 0);
    active.note_warnings(built.warnings, built.more);
    Ok(())
}

/// Why a load failed, with places: those of errors, or of warnings where these are what is wrong.
fn reasons(error: &ServiceError) -> String {
    let is_error = |d: &&Problem| d.severity == "error";
    let has_errors = error.diagnostics.iter().any(|d| is_error(&d));
    let places = error.diagnostics.iter().filter(|d| is_error(d) || !has_errors);
    let places: Vec<String> = places
        .map(|d| format!("{}:{}:{}: {}", d.file, d.line, d.column, d.message))
        .collect();
    match (places.is_empty(), has_errors) {
        (true, _) => error.detail.clone(),
        (false, true) => places.join("; "),
        (false, false) => format!("{}: {}", error.detail, places.join("; ")),
    }
}

/// Makes the compiler start empty, with the options of directories: what documents say of their status counts.
pub async fn prepare(app: &App) {
    app.service.active.change().await.compiler = Arc::new(Compiler::new(Options::default()));
}

/// Runs until cancelled.
pub async fn run(app: App, directory: PathBuf, stop: CancellationToken) {
    prepare(&app).await;
    let event = Arc::new(Notify::new());
    let woken = Arc::clone(&event);
    let mut watcher = notify::recommended_watcher(move |_| woken.notify_one()).ok();
    let mut watched = false;
    let mut loaded: Option<Stamp> = None;
    loop {
        if let Some(watcher) = watcher.as_mut().filter(|_| !watched) {
            watched = watcher.watch(&directory, RecursiveMode::Recursive).is_ok();
        }
        let found = stamp(&directory);
        let changed = match &found {
            Ok(found) => loaded.as_ref() != Some(found),
            Err(_) => true,
        };
        if changed {
            let result = match &found {
                Ok(found) => load(&app, &directory, found).await,
                Err(error) => Err(error.clone()),
            };
            if let Err(error) = &result {
                app.metrics.reload_failed(app.service.origin.label());
                app.service.active.note_failure(reasons(error));
            }
            // What failed is tried again when it changed, or could not even be looked at.
            loaded = found.ok();
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            () = event.notified() => tokio::time::sleep(STILL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::stamp;

    #[test]
    fn only_policy_files_count() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "a.yaml",
            "a_test.yaml",
            "b.json",
            ".hidden.yaml",
            "note.txt",
            "sub/c.yml",
            "..data/d.yaml",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let found: Vec<String> = stamp(dir.path())
            .unwrap()
            .keys()
            .map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(found, ["a.yaml", "b.json", "sub/c.yml"]);
        assert!(stamp(&dir.path().join("nowhere")).is_err());
    }
}
