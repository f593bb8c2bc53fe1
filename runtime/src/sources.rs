//! Policies from source text: what an engine with the feature `compile` has beside bundles.
//!
//! The builder compiles once. A host whose policies change keeps a [`Compiler`], edits it and hands it to
//! [`PolicyEngine::activate_sources`](crate::PolicyEngine::activate_sources): only what changed is compiled, and the engine itself keeps no source text.

mod engine;

use crate::error::BuildError;
use crate::snapshot::Policies;
use policy_compiler::{Compiler, Options};
use policy_grammar::{Diagnostic, SourceFile, SourceMap};
use std::sync::Arc;

/// What a builder was given.
#[derive(Debug)]
pub(crate) struct Sources {
    compiler: Compiler,
    /// Two sources have one name.
    clash: bool,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            compiler: Compiler::new(Options::default()),
            clash: false,
        }
    }
}

impl Sources {
    pub(crate) fn is_empty(&self) -> bool {
        self.compiler.is_empty()
    }

    fn add(&mut self, source: Arc<SourceFile>) -> Result<(), BuildError> {
        if self.compiler.file(source.name()).is_some() {
            self.clash = true;
            return Err(CLASH);
        }
        self.compiler.set_file(source);
        Ok(())
    }

    pub(crate) fn load(mut self) -> Result<Policies, BuildError> {
        if self.clash {
            return Err(CLASH);
        }
        Policies::from_sources(&mut self.compiler)
    }
}

const CLASH: BuildError = BuildError::Source("two sources of policies have the same name");

impl Policies {
    /// Builds and loads the files of a compiler. Only those that changed since its last build are compiled.
    ///
    /// # Errors
    ///
    /// [`BuildError::Policies`] when they do not compile, [`BuildError::Load`] for patterns that cannot be run,
    /// [`BuildError::Stopped`] when the compiler's [`Stop`](policy_bytecode::Stop) was asked to.
    pub fn from_sources(compiler: &mut Compiler) -> Result<Self, BuildError> {
        let compiled = compiler.build().map_err(|failed| {
            if failed.is_stopped() {
                return BuildError::Stopped;
            }
            BuildError::Policies(lines(&compiler.sources(), &failed.diagnostics))
        })?;
        Ok(Self::from_compiled_until(compiled, compiler.stop())?)
    }
}

/// One line per problem.
fn lines(sources: &SourceMap, diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .map(|d| {
            let file = sources.file(d.primary.span.file);
            let (line, column) = file.map_or((1, 1), |f| f.line_column(d.primary.span.start));
            let name = file.map_or("?", |f| f.name());
            let severity = d.severity.as_str();
            let mut text = format!(
                "{name}:{line}:{column}: {severity}[{}]: {}",
                d.code.as_str(),
                d.message
            );
            for help in &d.help {
                text.push_str("\n  help: ");
                text.push_str(help);
            }
            text
        })
        .collect()
}
