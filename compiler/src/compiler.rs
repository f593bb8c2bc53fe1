//! The compiler as a thing that stays: a set of files that is edited and built again and again.
//!
//! Holds each file with its [`Unit`], so that a build compiles only the files that changed since the last one and links
//! the rest. A unit lives exactly as long as its file stays, so nothing has to be evicted. A compiler is `Send` and is
//! not shared: whoever edits from several threads puts it behind a lock. A clone shares texts and units, and is the
//! cheap way to try an edit.
//!
//! **Invariant.** A build gives what [`crate::compile`] gives for the same files in order of their names: the same
//! bytes and the same diagnostics, whatever was set, removed or built before.

use crate::limits::{self, Room, Usage};
use crate::options::{Compiled, Failed, Options};
use crate::unit::{self, Automata, Unit};
use crate::{pipeline, set};
use policy_bytecode::Stop;
use policy_grammar::{Diagnostic, FileId, SourceFile, SourceMap};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module documentation.
///
/// ```
/// use policy_compiler::{Compiler, Options};
///
/// let policy = |id: &str, model: &str| format!(
///     "metadata: {{id: {id}, name: {id}}}\nrules:\n- id: model\n  \
///      condition: {{operator: eq, field: llm.model, value: {model}}}\n  action: {{decision: deny}}\n"
/// );
/// let mut compiler = Compiler::new(Options::default());
/// compiler.set("a.yaml", policy("a", "gpt-4o"));
/// compiler.set("b.yaml", policy("b", "o1"));
/// let first = compiler.build()?;
/// compiler.set("b.yaml", policy("b", "o3")); // `a.yaml` is not compiled again
/// assert_ne!(compiler.build()?.manifest.revision, first.manifest.revision);
/// # Ok::<(), policy_compiler::Failed>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Compiler {
    options: Options,
    files: BTreeMap<Arc<str>, File>,
    automata: Automata,
}

#[derive(Debug, Clone)]
struct File {
    source: Arc<SourceFile>,
    /// `None` until the next build.
    unit: Option<Arc<Unit>>,
}

impl Compiler {
    /// An empty set.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            files: BTreeMap::new(),
            automata: Automata::default(),
        }
    }

    /// Compiles with other options from now on: everything is compiled again.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
        self.automata = Automata::default();
        self.files.values_mut().for_each(|file| file.unit = None);
    }

    /// What builds are made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// From now on builds end when `stop` is asked to, with a [`Failed`] that [says so](Failed::is_stopped). Nothing that
    /// was made before has to be made again.
    pub fn set_stop(&mut self, stop: Stop) {
        self.options.stop = stop;
    }

    /// What ends builds.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.options.stop
    }

    /// Adds or replaces the file of this name. The ending of the name tells the language. A file that is replaced by
    /// an equal text is not compiled again.
    pub fn set(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.set_file(SourceFile::new(name, text));
    }

    /// Adds or replaces a file under the name that it has.
    pub fn set_file(&mut self, source: impl Into<Arc<SourceFile>>) {
        let source = source.into();
        match self.files.get_mut(source.name()) {
            Some(known) if known.source.text() == source.text() => {}
            Some(known) => *known = File { source, unit: None },
            None => {
                self.files
                    .insert(source.name().into(), File { source, unit: None });
            }
        }
    }

    /// Removes a file; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.files.remove(name).is_some()
    }

    /// The file of this name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Arc<SourceFile>> {
        self.files.get(name).map(|file| &file.source)
    }

    /// Number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files in order of their names, numbered as the spans in the diagnostics of [`Compiler::build`] say.
    #[must_use]
    pub fn sources(&self) -> SourceMap {
        let mut sources = SourceMap::new();
        for file in self.files.values() {
            sources.add(Arc::clone(&file.source));
        }
        sources
    }

    /// Compiles the files that changed since the last build, and links all of them.
    ///
    /// # Errors
    ///
    /// [`Failed`] with everything that was found, when at least one problem is an error. The files stay as they are.
    pub fn build(&mut self) -> Result<Compiled, Failed> {
        let sources = self.sources();
        let mut room = Room::new(&self.options);
        let mut units: Vec<(FileId, &Unit)> = Vec::with_capacity(self.files.len());
        for ((id, source), file) in sources.iter().zip(self.files.values_mut()) {
            if file
                .unit
                .as_ref()
                .is_some_and(|unit| !unit.imports_stand(&sources))
            {
                file.unit = None;
            }
            let counted = match &file.unit {
                Some(unit) => room.source(id, source).and_then(|()| unit.again(id, &mut room)),
                None => unit::of_file(&sources, id, &self.options, &mut self.automata, &mut room)
                    .map(|unit| file.unit = Some(Arc::new(unit))),
            };
            match (counted, &file.unit) {
                (Ok(()), Some(unit)) => units.push((id, unit)),
                // Made above where there was none.
                (Ok(()), None) => {}
                (Err(why), _) => return Err(pipeline::ended(&units, *why, &self.options)),
            }
        }
        let built = pipeline::finish(&sources, &units, &self.options);
        if let Ok(compiled) = &built {
            self.automata.trim(compiled.module.patterns.len());
        }
        built
    }

    /// What the policies of each namespace take of [`CompileLimits`](crate::CompileLimits), as [`Compiled::usage`] says of the
    /// same files. Files that were not compiled since they were set do not count: after a build that succeeded, all do.
    #[must_use]
    pub fn usage(&self) -> BTreeMap<String, Usage> {
        let files = (0..).map(FileId).zip(self.files.values());
        limits::by_namespace(files.filter_map(|(id, file)| {
            let unit = file.unit.as_deref()?;
            Some((id, file.source.text().len(), unit))
        }))
    }

    /// What is wrong with one file on its own, compiled now if it was not yet; `None` when there is no such file. The
    /// spans are those of [`Compiler::sources`]. What only shows in the whole set is reported by [`Compiler::build`].
    pub fn problems(&mut self, name: &str) -> Option<Vec<Diagnostic>> {
        let all = self.sources();
        let file = self.files.get_mut(name)?;
        let mut why = None;
        let known = file.unit.as_ref().filter(|unit| unit.imports_stand(&all));
        let unit = match known {
            Some(unit) => Some(Arc::clone(unit)),
            None => {
                let mut sources = all;
                let only = sources.add(Arc::clone(&file.source));
                let mut room = Room::new(&self.options);
                match unit::of_file(&sources, only, &self.options, &mut self.automata, &mut room) {
                    Ok(unit) => {
                        let unit = Arc::new(unit);
                        file.unit = Some(Arc::clone(&unit));
                        Some(unit)
                    }
                    Err(ended) => {
                        why = Some(*ended);
                        None
                    }
                }
            }
        };
        if why.is_none() && unit.as_ref().is_some_and(|unit| unit.diagnostics.is_empty()) {
            return Some(Vec::new());
        }
        let position = self.files.keys().position(|known| &**known == name)?;
        let id = FileId(u32::try_from(position).unwrap_or(u32::MAX));
        let said = unit
            .map(|unit| pipeline::said(&[(id, &*unit)]))
            .unwrap_or_default();
        Some(said.into_iter().chain(why.map(|d| set::moved(&d, id))).collect())
    }
}
