//! The compiler as a thing that stays: a set of files that is edited and built again and again.
//!
//! Holds each file with its [`Unit`], so that a build compiles only the files that changed since the last one and links
//! the rest. A unit lives exactly as long as its file stays, so nothing has to be evicted. A compiler is `Send` and is
//! not shared: whoever edits from several threads puts it behind a lock. A clone shares texts and units, and is the
//! cheap way to try an edit. Who compiles a file alone before it becomes part of a set looks at what was parsed
//! ([`Compiler::parse`]) and hands the unit on ([`Compiler::adopt`]), so that a text is parsed and compiled once.
//!
//! **Invariant.** A build gives what [`crate::compile`] gives for the same files in order of their names: the same
//! bytes and the same diagnostics, whatever was set, removed or built before.

use crate::limits::{self, Ended, Room, Usage};
use crate::options::{Compiled, Failed, Options};
use crate::unit::{self, Automata, Parsed, Unit};
use crate::{pipeline, set};
use policy_bytecode::Stop;
use policy_grammar::{Diagnostic, FileId, Format, ParseOutput, SourceFile, SourceMap};
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
    work: Work,
}

/// What a compiler did since it was made; a clone goes on counting where the other one stood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Files that were parsed, each time.
    pub parsed: usize,
    /// Files that were compiled, each time. Those whose units were kept or adopted do not count.
    pub compiled: usize,
}

#[derive(Debug, Clone)]
struct File {
    source: Arc<SourceFile>,
    made: Made,
}

/// How far a file is.
#[derive(Debug, Clone)]
enum Made {
    Nothing,
    Parsed(Parsed),
    /// By another compiler; not counted against the limits of this one yet.
    Adopted(Arc<Unit>),
    Unit(Arc<Unit>),
}

impl File {
    fn new(source: Arc<SourceFile>) -> Self {
        Self {
            source,
            made: Made::Nothing,
        }
    }

    fn unit(&self) -> Option<&Unit> {
        match &self.made {
            Made::Unit(unit) => Some(unit),
            Made::Nothing | Made::Parsed(_) | Made::Adopted(_) => None,
        }
    }

    /// Makes the unit.
    fn compile(
        &mut self,
        sources: &SourceMap,
        id: FileId,
        options: &Options,
        automata: &mut Automata,
        room: &mut Room<'_>,
        work: &mut Work,
    ) -> Result<(), Ended> {
        let known = match std::mem::replace(&mut self.made, Made::Nothing) {
            Made::Parsed(parsed) => Some(parsed),
            Made::Nothing | Made::Adopted(_) | Made::Unit(_) => None,
        };
        work.parsed += usize::from(known.is_none());
        work.compiled += 1;
        let unit = unit::of_file(sources, id, known, options, automata, room)?;
        self.made = Made::Unit(Arc::new(unit));
        Ok(())
    }

    /// Forgets what does not stand in this set, where the file has this number.
    fn refresh(&mut self, sources: &SourceMap, id: FileId) {
        let stands = match &self.made {
            Made::Nothing => true,
            Made::Parsed(parsed) => parsed.stands(sources, id),
            Made::Adopted(unit) | Made::Unit(unit) => unit.imports.stand(sources),
        };
        if !stands {
            self.made = Made::Nothing;
        }
    }
}

impl Compiler {
    /// An empty set.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            files: BTreeMap::new(),
            automata: Automata::default(),
            work: Work::default(),
        }
    }

    /// Compiles with other options from now on: everything is compiled again.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
        self.automata = Automata::default();
        self.files.values_mut().for_each(|file| file.made = Made::Nothing);
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
            Some(known) => *known = File::new(source),
            None => {
                self.files.insert(source.name().into(), File::new(source));
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

    /// What was done so far.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }

    /// What a file says, parsed now if it was not yet; the next build does not parse it again. The spans are those of
    /// [`Compiler::sources`]. `None` when there is no such file, and when the compiler is [to stop](Compiler::set_stop).
    pub fn parse(&mut self, name: &str) -> Option<Arc<ParseOutput>> {
        self.options.stop.check().ok()?;
        let sources = self.sources();
        let id = self.number(name)?;
        let file = self.files.get_mut(name)?;
        file.refresh(&sources, id);
        if let Made::Parsed(parsed) = &file.made {
            return Some(Arc::clone(&parsed.output));
        }
        let parsed = unit::parse(&sources, id, &self.options).ok()?;
        self.work.parsed += 1;
        let output = Arc::clone(&parsed.output);
        if matches!(file.made, Made::Nothing) {
            file.made = Made::Parsed(parsed);
        }
        Some(output)
    }

    /// Takes what another compiler made of its file `theirs` for the file `name`, so that the next build need not make it
    /// again. Says whether it was taken: only where `name` has the same text in the same language and was not compiled yet,
    /// the text imports nothing, because imports go by the names of files, it holds no error, and both compilers have the
    /// same options. Of [`CompileLimits`](crate::CompileLimits), the other one may have had less.
    pub fn adopt(&mut self, other: &Self, theirs: &str, name: &str) -> bool {
        let (Some(from), Some(to)) = (other.files.get(theirs), self.files.get_mut(name)) else {
            return false;
        };
        let (Made::Unit(unit), Made::Nothing | Made::Parsed(_)) = (&from.made, &to.made) else {
            return false;
        };
        let is_same = from.source.text() == to.source.text()
            && Format::of(&from.source) == Format::of(&to.source)
            && unit.imports.is_empty()
            && !unit.diagnostics.iter().any(Diagnostic::is_error)
            && other.options.make_what_those_do(&self.options);
        if is_same {
            to.made = Made::Adopted(Arc::clone(unit));
        }
        is_same
    }

    /// The number of a file among [`Compiler::sources`].
    fn number(&self, name: &str) -> Option<FileId> {
        let position = self.files.keys().position(|known| &**known == name)?;
        Some(FileId(u32::try_from(position).unwrap_or(u32::MAX)))
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
            file.refresh(&sources, id);
            let counted = match &file.made {
                Made::Unit(unit) | Made::Adopted(unit) => {
                    room.source(id, source).and_then(|()| unit.again(id, &mut room))
                }
                Made::Nothing | Made::Parsed(_) => file.compile(
                    &sources,
                    id,
                    &self.options,
                    &mut self.automata,
                    &mut room,
                    &mut self.work,
                ),
            };
            if let Made::Adopted(unit) = &file.made {
                if counted.is_err() {
                    // Which place exceeds a limit of this set is known only to who compiles the text in it.
                    file.made = Made::Nothing;
                    return self.build();
                }
                self.automata.keep_those_of(unit);
                file.made = Made::Unit(Arc::clone(unit));
            }
            match (counted, file.unit()) {
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
            let unit = file.unit()?;
            Some((id, file.source.text().len(), unit))
        }))
    }

    /// What is wrong with one file on its own, compiled now if it was not yet; `None` when there is no such file. The
    /// spans are those of [`Compiler::sources`]. What only shows in the whole set is reported by [`Compiler::build`].
    pub fn problems(&mut self, name: &str) -> Option<Vec<Diagnostic>> {
        let sources = self.sources();
        let id = self.number(name)?;
        let file = self.files.get_mut(name)?;
        file.refresh(&sources, id);
        let ended = match &file.made {
            Made::Unit(_) | Made::Adopted(_) => None,
            Made::Nothing | Made::Parsed(_) => file
                .compile(
                    &sources,
                    id,
                    &self.options,
                    &mut self.automata,
                    &mut Room::new(&self.options),
                    &mut self.work,
                )
                .err(),
        };
        let said = match &file.made {
            Made::Unit(unit) | Made::Adopted(unit) => pipeline::said(&[(id, &**unit)]),
            Made::Nothing | Made::Parsed(_) => Vec::new(),
        };
        let why = ended.map(|why| set::moved(&why, id));
        Some(said.into_iter().chain(why).collect())
    }
}
