//! What the engine and its builder take of source text.

use super::lines;
use crate::engine::{EngineBuilder, PolicyEngine};
use crate::error::BuildError;
use crate::options::Settings;
use crate::snapshot::Policies;
use policy_compiler::{Compiler, Options};
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, SourceFile, SourceMap};
use std::sync::Arc;

impl Settings {
    /// Whether policies may come from source text.
    pub(crate) fn takes_sources(&self) -> Result<(), BuildError> {
        if self.trusted.is_empty() {
            return Ok(());
        }
        Err(BuildError::Source(
            "policies from source text are not signed, but trusted keys were given",
        ))
    }
}

impl PolicyEngine {
    /// Builds the files of a compiler and activates them; on an error the active policies stay. The work of compiling
    /// is that of the files that changed since the last build, however many there are.
    ///
    /// ```
    /// use policy_runtime::{Compiler, PolicyEngine, Policies};
    ///
    /// let policy = |model: &str| format!(
    ///     "metadata: {{id: models, name: Models}}\nrules:\n- id: only\n  \
    ///      condition: {{operator: ne, field: llm.model, value: {model}}}\n  action: {{decision: deny}}\n"
    /// );
    /// let mut compiler = Compiler::default();
    /// compiler.set("models.yaml", policy("gpt-4o"));
    /// let engine = PolicyEngine::builder().policies(Policies::from_sources(&mut compiler)?).build()?;
    /// assert!(!engine.evaluate_json(br#"{"llm": {"model": "o3"}}"#)?.decision.allowed);
    ///
    /// compiler.set("models.yaml", policy("o3"));
    /// engine.activate_sources(&mut compiler)?;
    /// assert!(engine.evaluate_json(br#"{"llm": {"model": "o3"}}"#)?.decision.allowed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Policies::from_sources`], and [`BuildError::Source`] when the engine trusts signed bundles only.
    pub fn activate_sources(&self, compiler: &mut Compiler) -> Result<(), BuildError> {
        self.shared.settings.takes_sources()?;
        self.activate(Policies::from_sources(compiler)?);
        Ok(())
    }
}

impl EngineBuilder {
    /// Adds policies from YAML text (or JSON, which is YAML). May be called several times.
    ///
    /// # Errors
    ///
    /// [`BuildError::Policies`] with every problem of the text. What only shows in the whole set is reported by
    /// [`EngineBuilder::build`]. [`BuildError::Stopped`] where the compiler's options say so.
    pub fn policies_from_yaml(self, text: &str) -> Result<Self, BuildError> {
        let name = format!("policies-{}.yaml", self.sources.compiler.len() + 1);
        self.policies_from_source(&name, text)
    }

    /// Adds policies from strict JSON text.
    ///
    /// # Errors
    ///
    /// As [`EngineBuilder::policies_from_yaml`].
    pub fn policies_from_json(self, text: &str) -> Result<Self, BuildError> {
        let name = format!("policies-{}.json", self.sources.compiler.len() + 1);
        self.policies_from_source(&name, text)
    }

    /// Adds policies from text under a display name, whose ending tells its language.
    ///
    /// # Errors
    ///
    /// As [`EngineBuilder::policies_from_yaml`], and [`BuildError::Source`] when another source has the name.
    pub fn policies_from_source(mut self, name: &str, text: &str) -> Result<Self, BuildError> {
        self.sources.add(Arc::new(SourceFile::new(name, text)))?;
        let compiler = &mut self.sources.compiler;
        let problems = compiler.problems(name).unwrap_or_default();
        if problems.iter().any(|d| d.code == Code::Stopped) {
            return Err(BuildError::Stopped);
        }
        if problems.iter().any(Diagnostic::is_error) {
            return Err(BuildError::Policies(lines(&compiler.sources(), &problems)));
        }
        Ok(self)
    }

    /// Adds all files of a source map that was read elsewhere. Two files of one name are an error of
    /// [`EngineBuilder::build`].
    #[must_use]
    pub fn policies_from_sources(mut self, sources: SourceMap) -> Self {
        for (_, file) in sources.iter() {
            // A clash is kept, and reported by `build`.
            drop(self.sources.add(Arc::clone(file)));
        }
        self
    }

    /// Compiler options: optimisation level, revision, limits.
    #[must_use]
    pub fn compiler_options(mut self, options: Options) -> Self {
        self.sources.compiler.set_options(options);
        self
    }
}
