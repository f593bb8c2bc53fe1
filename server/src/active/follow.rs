//! Following the store: what is active there becomes active here.

use super::{Active, State, Torn};
use crate::document::{self, Sight};
use crate::error::{Code, Result};
use crate::heavy::Work;
use crate::storage::model::{ActiveSet, Deployment, PolicyVersion};
use crate::storage::{Store, StoreError};
use policy_compiler::Compiler;
use std::collections::BTreeSet;

impl Active {
    /// Follows the store: makes active what is active there, if that is not so already.
    ///
    /// # Errors
    ///
    /// What the store answers; what does not compile or load is noted as failure as well.
    pub async fn follow(&self, store: &dyn Store) -> Result<()> {
        let mut state = self.change().await;
        self.follow_locked(store, &mut state).await
    }

    /// As [`Active::follow`], for a caller that is making a change.
    ///
    /// # Errors
    ///
    /// As [`Active::follow`].
    pub async fn follow_locked(&self, store: &dyn Store, state: &mut State) -> Result<()> {
        let revision = store.revision().await?;
        let info = self.info.load_full();
        let known = info.ready
            && info.store_revision == revision
            && info.failure.is_none()
            && info.changed.is_empty();
        if known || state.failed == Some(revision) {
            return Ok(());
        }
        let set = match store.active().await {
            Ok(set) => set,
            Err(error) => {
                let unavailable = matches!(error, StoreError::Unavailable(_));
                if !unavailable {
                    self.note_failure(format!("revision {revision} of the store: {error}"));
                }
                return Err(error.into());
            }
        };
        let revision = set.revision;
        let result = self.adopt(state, set).await;
        if let Err(error) = &result {
            let places: Vec<String> = error
                .diagnostics
                .iter()
                .map(|d| format!("{}:{}: {}", d.line, d.column, d.message))
                .collect();
            // What may be otherwise the next time without another revision. A text is asked for each time: whoever puts it back
            // need not change anything else.
            let passing = matches!(
                error.code,
                Code::StoreUnavailable | Code::Overloaded | Code::TextChanged
            );
            if !passing {
                state.failed = Some(revision);
            }
            self.note_failure(format!(
                "revision {revision} of the store: {error} {}",
                places.join("; ")
            ));
        }
        result
    }

    async fn adopt(&self, state: &mut State, set: ActiveSet) -> Result<()> {
        state.torn = None;
        match set.deployment {
            Deployment::Policies(versions) => {
                if versions.is_empty() && set.changed.is_empty() && !self.settings.trusted.is_empty() {
                    // Nothing deployed yet; nothing may decide.
                    self.note_revision(set.revision);
                    return Ok(());
                }
                self.takes_sources()?;
                for version in versions.iter().chain(&set.changed) {
                    document::Format::of_version(version)?;
                }
                let changed: Vec<String> = set.changed.iter().map(PolicyVersion::named).collect();
                let versions = recovered(state, versions, set.changed, set.revision)?;
                let info = self.info.load_full();
                // Then only the texts in the store are others.
                let runs = info.ready
                    && info.failure.is_none()
                    && info.store_revision == set.revision
                    && !state.bundle;
                if !runs {
                    let compiler = with_versions(&state.compiler, &versions);
                    let (compiler, policies) = self.compile(compiler, Sight::whole(), Work::SERVER).await?;
                    self.adopt_sources(state, compiler, policies, set.revision);
                }
                self.note_changed(changed);
            }
            Deployment::Bundle { digest, bytes } => {
                let policies = self.load_stored(&digest, bytes, Work::SERVER).await?;
                self.adopt_bundle(state, policies, set.revision);
            }
        }
        Ok(())
    }
}

/// The active versions of a store, where those whose texts were changed there have the ones that were stored.
///
/// # Errors
///
/// [`Code::TextChanged`] where one of those is not known here any more; [`State::repair`] knows of it then.
fn recovered(
    state: &mut State,
    mut versions: Vec<PolicyVersion>,
    changed: Vec<PolicyVersion>,
    revision: u64,
) -> Result<Vec<PolicyVersion>> {
    let mut lost: Vec<PolicyVersion> = Vec::new();
    for version in changed {
        // By its digest, the text is the one that was stored, whatever it was compiled for.
        let file = state
            .compiler
            .file(&document::file_name(&version.key(), &version.format));
        match file.map(|file| file.text()) {
            Some(text) if document::digest(text) == version.digest => {
                let source = text.into();
                versions.push(PolicyVersion { source, ..version });
            }
            Some(_) | None => lost.push(version),
        }
    }
    if lost.is_empty() {
        return Ok(versions);
    }
    let names: Vec<String> = lost.iter().map(PolicyVersion::named).collect();
    state.torn = Some(Torn {
        versions,
        lost: lost.iter().map(PolicyVersion::key).collect(),
        revision,
    });
    Err(StoreError::Changed(names.join(", ")).into())
}

/// A compiler with exactly these policies; what it had before is not compiled again.
pub(super) fn with_versions(before: &Compiler, versions: &[PolicyVersion]) -> Compiler {
    let mut compiler = before.clone();
    let names: BTreeSet<String> = versions
        .iter()
        .map(|v| document::file_name(&v.key(), &v.format))
        .collect();
    let gone: Vec<String> = before
        .sources()
        .iter()
        .map(|(_, file)| file.name().to_owned())
        .filter(|name| !names.contains(name))
        .collect();
    for name in gone {
        compiler.remove(&name);
    }
    for version in versions {
        compiler.set(
            document::file_name(&version.key(), &version.format),
            &*version.source,
        );
    }
    compiler
}
