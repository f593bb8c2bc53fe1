//! The project file `policyc.toml`: settings of a repository, so that people and CI run the same checks.
//!
//! Found in the working directory or above it, up to the root of the git repository; without a repository in the working
//! directory only, so that nobody else's file is used. Read once, before the command runs. Relative paths in it are
//! relative to it. What is said on the command line overrides it.
//!
//! **Trust.** The file comes with the repository, so it must not be able to do harm in silence: codes that it allows are
//! counted in the report of a check, it holds no secrets, and tokens of the environment are not sent to a server that
//! only the file names (see `remote`). What it cannot hold is an error with its place, never passed over.

use crate::exit::{Exit, Shown};
use crate::{output, render, walk};
use anyhow::{Context as _, bail};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use policy_compiler::ContextSchema;
use policy_grammar::codes::Code;
use policy_grammar::{Diagnostic, FileId, Severity, SourceFile, SourceMap, Span};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the file.
pub(crate) const FILE: &str = "policyc.toml";

macro_rules! keys {
    ($( $variant:ident = $name:literal, $takes:literal, $explanation:literal; )*) => {
        /// What the file may set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Key { $( $variant, )* }

        impl Key {
            /// Name, what it takes, what it does; in the order of the documentation.
            const ALL: &'static [(Self, &'static str, &'static str, &'static str)] =
                &[ $( (Self::$variant, $name, $takes, $explanation), )* ];
        }
    };
}

keys! {
    Paths = "paths", "a list of paths", "policies of `check`, `build`, `test`, `fmt`, `eval`, `explain`, `bench` and `push`, and the new side of `diff`, where the command line names none";
    Exclude = "exclude", "a list of patterns", "files and directories that searches leave out, as patterns of `.gitignore` relative to the file";
    Strict = "strict", "`true` or `false`", "`--strict` of `check` and `test`; `--no-strict` overrides it";
    Schema = "schema", "a path", "`--schema` of `check` and `build`";
    Prices = "prices", "a path", "`--prices`";
    MinCoverage = "min-coverage", "a number from 0 to 100", "`--min-coverage` of `test`, but for runs with `--filter`";
    Server = "server", "a URL", "`--server` of the commands that talk to one, after the variable `POLICY_SERVER`; tokens of the environment are not sent to it";
    Namespace = "namespace", "a text", "`--namespace` of the commands that evaluate";
    Warnings = "warnings", "a table", "how much a code weighs: `\"error\"`, `\"warn\"` or `\"allow\"`; what is allowed is counted in the summary, and errors cannot be changed";
}

/// What is done with a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// It is an error.
    Error,
    /// It is a warning.
    Warn,
    /// It is counted.
    Allow,
}

/// The settings.
#[derive(Debug, Default)]
pub(crate) struct Project {
    /// Where they stand.
    pub(crate) file: PathBuf,
    /// Policies.
    pub(crate) paths: Vec<PathBuf>,
    /// What searches leave out.
    pub(crate) exclude: Option<Gitignore>,
    /// Whether a warning is a failure.
    pub(crate) strict: bool,
    /// Schema of the context.
    pub(crate) schema: Option<PathBuf>,
    /// Prices of models.
    pub(crate) prices: Option<PathBuf>,
    /// Coverage that tests must reach.
    pub(crate) min_coverage: Option<u8>,
    /// Where the policies are used.
    pub(crate) server: Option<String>,
    /// Namespace of requests.
    pub(crate) namespace: Option<String>,
    /// Codes that do not weigh what they usually do.
    pub(crate) levels: BTreeMap<Code, Level>,
}

static PROJECT: OnceLock<Project> = OnceLock::new();

/// The settings, where there are any.
pub(crate) fn get() -> Option<&'static Project> {
    PROJECT.get()
}

/// Finds and reads the file: the named one, or that of the working directory.
pub(crate) fn load(named: Option<&Path>) -> anyhow::Result<()> {
    let directory = std::env::current_dir().context("the working directory cannot be told")?;
    let path = match named {
        Some(path) => path.to_owned(),
        None => match find(&directory) {
            Some(path) => path,
            None => return Ok(()),
        },
    };
    let text = output::read_text(&path)?;
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new(path.display().to_string(), text.as_str()));
    match parse(&text, file, &path, &directory) {
        Ok(project) => {
            output::detail(&format!(
                "settings of `{}`",
                output::shown(&path.display().to_string())
            ));
            // Loaded once; a second value would be a mistake of ours without harm.
            PROJECT.set(project).unwrap_or(());
            Ok(())
        }
        Err(diagnostics) => {
            output::stderr(&render::text(&map, &diagnostics));
            Err(Shown(Exit::Usage).into())
        }
    }
}

/// The nearest file in the working directory or above, as far as the repository goes; relative where that is short.
fn find(directory: &Path) -> Option<PathBuf> {
    let root = walk::git_root(directory).unwrap_or(directory);
    directory
        .ancestors()
        .take_while(|above| above.starts_with(root))
        .find(|above| above.join(FILE).is_file())
        .map(|above| relative(above, directory).join(FILE))
}

/// `above` as seen from `directory`, which is in it.
fn relative(above: &Path, directory: &Path) -> PathBuf {
    match directory.strip_prefix(above) {
        Ok(rest) => rest.components().map(|_| "..").collect(),
        Err(_) => above.to_owned(),
    }
}

/// The paths of a command: those given, else those of the file.
pub(crate) fn paths(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    match get() {
        Some(project) if !project.paths.is_empty() => Ok(project.paths.clone()),
        Some(project) => bail!("give a PATH, or set `paths` in `{}`", project.file.display()),
        None => bail!("give a PATH, or set `paths` in a {FILE} (see --help)"),
    }
}

/// Whether a warning is a failure, by the flags or the file.
pub(crate) fn strict(strict: bool, no_strict: bool) -> bool {
    strict || (!no_strict && get().is_some_and(|project| project.strict))
}

/// The schema given, else that of the file.
pub(crate) fn schema(given: Option<&Path>) -> anyhow::Result<Option<ContextSchema>> {
    let path = given.or_else(|| get()?.schema.as_deref());
    path.map(crate::check::schema).transpose()
}

/// What warnings weigh; nothing for those of their usual weight.
pub(crate) fn level(code: Code) -> Option<Level> {
    get()?.levels.get(&code).copied()
}

/// The namespace of requests that name none.
pub(crate) fn namespace() -> Option<&'static str> {
    get()?.namespace.as_deref()
}

struct Reader<'a> {
    file: FileId,
    /// Directory of the file, as paths begin with it.
    base: &'a Path,
    /// The same without links.
    real: &'a Path,
    problems: Vec<Diagnostic>,
}

fn parse(text: &str, file: FileId, path: &Path, directory: &Path) -> Result<Project, Vec<Diagnostic>> {
    let base = path.parent().unwrap_or(Path::new(""));
    let real = directory.join(base);
    let real = real.canonicalize().unwrap_or(real);
    let mut reader = Reader {
        file,
        base,
        real: &real,
        problems: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = reader.span(error.span().unwrap_or(0..0));
        let problem = Diagnostic::new(
            Code::Syntax,
            span,
            format!("not TOML: {}", error.message().trim()),
        );
        reader.problems.push(problem);
    }
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    let mut project = Project {
        file: path.to_owned(),
        ..Project::default()
    };
    for (name, value) in table.get_ref() {
        reader.entry(&mut project, name.get_ref(), name.span(), value);
    }
    let mut problems = reader.problems;
    problems.sort_by_key(|d| d.primary.span.start);
    if problems.is_empty() {
        Ok(project)
    } else {
        Err(problems)
    }
}

/// Words in names of keys that hold secrets.
const SECRETS: [&str; 6] = ["token", "secret", "password", "passwd", "credential", "apikey"];

impl Reader<'_> {
    fn span(&self, range: Range<usize>) -> Span {
        let at = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Span::new(self.file, at(range.start), at(range.end))
    }

    fn report(&mut self, code: Code, range: Range<usize>, message: String, help: &str) {
        let diagnostic = Diagnostic::new(code, self.span(range), message);
        self.problems.push(if help.is_empty() {
            diagnostic
        } else {
            diagnostic.help(help)
        });
    }

    fn entry(&mut self, project: &mut Project, name: &str, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let Some((key, ..)) = Key::ALL.iter().find(|(_, known, ..)| *known == name) else {
            self.unknown(name, at);
            return;
        };
        match key {
            Key::Paths => {
                let list = self.texts(*key, value);
                if list.is_empty() && value.get_ref().is_array() {
                    self.report(
                        Code::InvalidValue,
                        value.span(),
                        "`paths` is empty".to_owned(),
                        "leave it out",
                    );
                }
                project.paths = list.into_iter().map(|(path, _)| self.path(&path)).collect();
            }
            Key::Exclude => {
                let mut builder = GitignoreBuilder::new(self.real);
                for (pattern, range) in self.texts(*key, value) {
                    if let Err(error) = builder.add_line(None, &pattern) {
                        self.report(Code::InvalidValue, range, format!("not a pattern: {error}"), "");
                    }
                }
                match builder.build() {
                    Ok(patterns) => project.exclude = Some(patterns),
                    Err(error) => {
                        self.report(
                            Code::InvalidValue,
                            value.span(),
                            format!("not patterns: {error}"),
                            "",
                        );
                    }
                }
            }
            Key::Strict => match value.get_ref().as_bool() {
                Some(strict) => project.strict = strict,
                None => self.wrong(*key, value),
            },
            Key::Schema => project.schema = self.text(*key, value).map(|path| self.path(&path)),
            Key::Prices => project.prices = self.text(*key, value).map(|path| self.path(&path)),
            Key::MinCoverage => {
                let number = value.get_ref().as_integer();
                let number = number.and_then(|n| u8::from_str_radix(n.as_str(), n.radix()).ok());
                match number.filter(|n| *n <= 100) {
                    Some(percent) => project.min_coverage = Some(percent),
                    None => self.wrong(*key, value),
                }
            }
            Key::Server => {
                let server = self.text(*key, value);
                if server.as_ref().is_some_and(|server| server.contains('@')) {
                    self.report(
                        Code::InvalidValue,
                        value.span(),
                        "the URL of a server has no user and no password".to_owned(),
                        NO_SECRETS,
                    );
                }
                project.server = server;
            }
            Key::Namespace => project.namespace = self.text(*key, value),
            Key::Warnings => match value.get_ref().as_table() {
                Some(table) => project.levels = self.levels(table),
                None => self.wrong(*key, value),
            },
        }
    }

    fn unknown(&mut self, name: &str, at: Range<usize>) {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase();
        if SECRETS.iter().any(|word| plain.contains(word)) {
            self.report(
                Code::UnknownKey,
                at,
                format!("`{name}` cannot be set here: this file holds no secrets"),
                NO_SECRETS,
            );
            return;
        }
        let names = Key::ALL.iter().map(|(_, name, ..)| *name);
        let help = match policy_grammar::near(&name.replace('_', "-"), names.clone()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("the keys are {}", names.collect::<Vec<_>>().join(", ")),
        };
        self.report(Code::UnknownKey, at, format!("unknown key `{name}`"), &help);
    }

    fn wrong(&mut self, key: Key, value: &Spanned<DeValue<'_>>) {
        let (name, takes) = Key::ALL
            .iter()
            .find(|(known, ..)| *known == key)
            .map_or(("", ""), |(_, name, takes, _)| (*name, *takes));
        self.report(
            Code::WrongType,
            value.span(),
            format!("`{name}` takes {takes}"),
            "",
        );
    }

    /// A text with something in it.
    fn text(&mut self, key: Key, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.wrong(key, value);
        }
        text.map(str::to_owned)
    }

    fn texts(&mut self, key: Key, value: &Spanned<DeValue<'_>>) -> Vec<(String, Range<usize>)> {
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(key, value);
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| Some((self.text(key, item)?, item.span())))
            .collect()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    fn levels(&mut self, table: &DeTable<'_>) -> BTreeMap<Code, Level> {
        let mut levels = BTreeMap::new();
        for (name, value) in table {
            let text: &str = name.get_ref();
            let known = Code::ALL.iter().find(|code| code.as_str() == text);
            let level = match value.get_ref().as_str() {
                Some("error") => Some(Level::Error),
                Some("warn") => Some(Level::Warn),
                Some("allow") => Some(Level::Allow),
                Some(_) | None => None,
            };
            match (known, level) {
                (None, _) => self.report(
                    Code::UnknownKey,
                    name.span(),
                    format!("there is no warning `{text}`"),
                    "the codes stand in brackets in the output of `policyc check`, such as `W0112`",
                ),
                (Some(code), _) if code.severity() != Severity::Warning => self.report(
                    Code::InvalidValue,
                    name.span(),
                    format!("`{text}` is an error, and only warnings can be set"),
                    "",
                ),
                (Some(_), None) => self.report(
                    Code::InvalidValue,
                    value.span(),
                    "a warning takes \"error\", \"warn\" or \"allow\"".to_owned(),
                    "",
                ),
                (Some(code), Some(level)) => {
                    levels.insert(*code, level);
                }
            }
        }
        levels
    }
}

const NO_SECRETS: &str =
    "use the variables POLICY_TOKEN and POLICY_API_KEY, or the flags --token-file and --api-key-file";

/// The keys as a table in Markdown, for the documentation.
#[must_use]
pub fn project_keys() -> String {
    let mut out = String::from("| key | takes | what it sets |\n|---|---|---|\n");
    for (_, name, takes, explanation) in Key::ALL {
        out.push_str(&format!("| `{name}` | {takes} | {explanation} |\n"));
    }
    out
}
