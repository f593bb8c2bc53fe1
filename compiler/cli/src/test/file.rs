//! Test files: from text to tests, with every problem at its place.
//!
//! Read as plain data by the reader of policies, so that a scalar means the same in both, then walked key by key. What a test
//! sends stands in `context`.

mod context;

use crate::engine::Derive;
use context::json;
pub(super) use context::{body, exact};
use policy_grammar::ast::Literal;
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, FileId, SourceMap, Span, near};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A test file.
pub(crate) struct TestFile {
    /// Paths of policy files or directories, relative to the test file; `None` when left to its name.
    pub(crate) policies: Option<Vec<Spanned<String>>>,
    /// In file order.
    pub(crate) tests: Vec<Test>,
    /// What is probably not meant so.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// One test on one context.
pub(crate) struct Test {
    /// With the context's name in brackets where the test has several.
    pub(crate) name: Spanned<String>,
    /// After `set` and `unset`.
    pub(crate) context: Value,
    pub(crate) namespace: Option<String>,
    pub(crate) derive: Derive,
    pub(crate) expect: Expect,
}

/// What a test expects. What is `None` is not compared.
#[derive(Clone, Default)]
pub(crate) struct Expect {
    pub(crate) decision: Option<String>,
    pub(crate) reason: Option<Value>,
    pub(crate) matched_rules: Option<Value>,
    pub(crate) matched_policies: Option<Value>,
    pub(crate) modifications: Option<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) errors: Option<Vec<Value>>,
}

/// Keys of a test file; `$schema` is for editors.
pub(crate) const FILE_KEYS: &[&str] = &["policies", "import", "let", "contexts", "tests", "$schema"];
/// Keys of a test.
pub(crate) const TEST_KEYS: &[&str] = &[
    "name",
    "context",
    "contexts",
    "set",
    "unset",
    "namespace",
    "derive",
    "expect",
];
/// Keys of what a test expects.
pub(crate) const EXPECT_KEYS: &[&str] = &[
    "decision",
    "reason",
    "matchedRules",
    "matchedPolicies",
    "modifications",
    "metadata",
    "errors",
];
/// Keys of an error that a test expects.
pub(crate) const ERROR_KEYS: &[&str] = &["policy", "rule", "field", "found", "expected", "message"];
/// Decisions that a test may expect.
pub(crate) const DECISIONS: &[&str] = &["allow", "deny", "warn", "modify"];

/// Reads a test file.
pub(crate) fn parse(map: &SourceMap, file: FileId) -> Result<TestFile, Vec<Diagnostic>> {
    let (root, warnings) = policy_grammar::parse_data_with_constants(map, file)?;
    let mut reader = Reader {
        warnings,
        ..Reader::default()
    };
    let parsed = reader.file(&root);
    match parsed {
        Some(parsed) if reader.problems.is_empty() => Ok(TestFile {
            warnings: reader.warnings,
            ..parsed
        }),
        Some(_) | None => Err(reader.problems),
    }
}

type Entries<'l> = BTreeMap<&'l str, (Span, &'l Spanned<Literal>)>;

/// The contexts of a file by name, and where each stands.
type Contexts<'l> = BTreeMap<&'l str, (Span, Value)>;

#[derive(Default)]
struct Reader {
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Names of contexts that tests use.
    used: BTreeSet<String>,
}

impl Reader {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    fn wrong_type(&mut self, value: &Spanned<Literal>, what: &str, wanted: &str) {
        let message = format!(
            "{what} must be {wanted}, found {}",
            article(value.value.type_name())
        );
        self.report(Diagnostic::new(Code::WrongType, value.span, message));
    }

    fn file(&mut self, root: &Spanned<Literal>) -> Option<TestFile> {
        let entries = self.mapping(root, "a test file", FILE_KEYS)?;
        if let Some((_, value)) = entries.get("$schema") {
            self.text(value, "`$schema`");
        }
        let policies = entries
            .get("policies")
            .map(|(_, value)| self.texts(value, "`policies`"));
        let mut contexts = BTreeMap::new();
        if let Some((_, value)) = entries.get("contexts") {
            match &value.value {
                Literal::Object(members) => {
                    for (name, context) in members {
                        if let Some(context) = self.context(context) {
                            contexts.insert(name.value.as_str(), (name.span, context));
                        }
                    }
                }
                _ => self.wrong_type(value, "`contexts`", "a mapping of names to contexts"),
            }
        }
        let mut tests = Vec::new();
        match entries.get("tests") {
            Some((_, value)) => match &value.value {
                Literal::Array(items) if !items.is_empty() => {
                    for item in items {
                        self.test(item, &contexts, &mut tests);
                    }
                }
                _ => self.wrong_type(value, "`tests`", "a list with at least one test"),
            },
            None => self.report(
                Diagnostic::new(Code::MissingKey, head(root.span), "a test file needs `tests`")
                    .help("see `policyc test --help` for the format"),
            ),
        }
        for (name, (span, _)) in &contexts {
            if !self.used.contains(*name) {
                let message = format!("no test uses the context `{name}`");
                self.warn(Diagnostic::new(Code::UnusedContext, *span, message));
            }
        }
        let mut names: BTreeMap<&str, Span> = BTreeMap::new();
        for test in &tests {
            let name = &test.name;
            match names.insert(&name.value, name.span) {
                Some(first) if first != name.span => {
                    let message = format!("two tests are named `{}`", name.value);
                    let diagnostic = Diagnostic::new(Code::DuplicateTest, name.span, message);
                    self.report(diagnostic.also(first, "first named here"));
                }
                Some(_) | None => {}
            }
        }
        Some(TestFile {
            policies,
            tests,
            warnings: Vec::new(),
        })
    }

    fn test(&mut self, item: &Spanned<Literal>, contexts: &Contexts<'_>, tests: &mut Vec<Test>) {
        let Some(entries) = self.mapping(item, "a test", TEST_KEYS) else {
            return;
        };
        let name = match entries.get("name") {
            Some((_, value)) => self
                .text(value, "`name`")
                .map(|text| Spanned::new(text, value.span)),
            None => {
                self.report(Diagnostic::new(
                    Code::MissingKey,
                    head(item.span),
                    "a test needs a `name`",
                ));
                None
            }
        };
        let bases = self.bases(&entries, contexts);
        let namespace = entries
            .get("namespace")
            .and_then(|(_, v)| self.text(v, "`namespace`"));
        let derive = match entries.get("derive") {
            Some((_, value)) => self.derive(value),
            None => Derive::Missing,
        };
        let expect = match entries.get("expect") {
            Some((_, value)) => self.expect(value),
            None => {
                self.report(Diagnostic::new(
                    Code::MissingKey,
                    head(item.span),
                    "a test needs `expect`",
                ));
                None
            }
        };
        let (Some(name), Some(expect)) = (name, expect) else {
            return;
        };
        let several = bases.len() > 1;
        for (label, mut context) in bases {
            self.set(&entries, &mut context);
            self.unset(&entries, &mut context);
            let text = match label {
                Some(label) if several => format!("{} [{label}]", name.value),
                Some(_) | None => name.value.clone(),
            };
            tests.push(Test {
                name: Spanned::new(text, name.span),
                context,
                namespace: namespace.clone(),
                derive,
                expect: expect.clone(),
            });
        }
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        if !self.warnings.contains(&diagnostic) {
            self.warnings.push(diagnostic);
        }
    }

    fn derive(&mut self, value: &Spanned<Literal>) -> Derive {
        match &value.value {
            Literal::String(s) if s == "always" => Derive::Always,
            Literal::String(s) if s == "missing" => Derive::Missing,
            Literal::String(s) if s == "never" => Derive::Never,
            _ => {
                let message = "`derive` is `always`, `missing` or `never`";
                self.report(Diagnostic::new(Code::InvalidValue, value.span, message));
                Derive::Missing
            }
        }
    }

    fn expect(&mut self, value: &Spanned<Literal>) -> Option<Expect> {
        let entries = self.mapping(value, "`expect`", EXPECT_KEYS)?;
        if entries.is_empty() {
            self.report(Diagnostic::new(
                Code::MissingKey,
                value.span,
                "`expect` says nothing",
            ));
            return None;
        }
        let mut expect = Expect::default();
        if let Some((_, value)) = entries.get("decision") {
            expect.decision = self.text(value, "`decision`");
            if let Some(text) = expect.decision.as_deref().filter(|t| !DECISIONS.contains(t)) {
                let diagnostic = Diagnostic::new(
                    Code::InvalidValue,
                    value.span,
                    format!("there is no decision `{text}`"),
                );
                let diagnostic = match near(text, DECISIONS.iter().copied()) {
                    Some(near) => diagnostic
                        .help(format!("did you mean `{near}`?"))
                        .fix(value.span, near),
                    None => diagnostic.help("the decisions are allow, deny, warn and modify"),
                };
                self.report(diagnostic);
            }
        }
        if let Some((_, value)) = entries.get("reason") {
            match &value.value {
                Literal::String(_) | Literal::Null => expect.reason = Some(json(&value.value)),
                _ => self.wrong_type(value, "`reason`", "a text, or null for none"),
            }
        }
        for (key, slot) in [
            ("matchedRules", &mut expect.matched_rules),
            ("matchedPolicies", &mut expect.matched_policies),
        ] {
            if let Some((_, value)) = entries.get(key) {
                let texts = self.texts(value, &format!("`{key}`"));
                *slot = Some(texts.into_iter().map(|t| Value::String(t.value)).collect());
            }
        }
        for (key, slot) in [
            ("modifications", &mut expect.modifications),
            ("metadata", &mut expect.metadata),
        ] {
            if let Some((_, value)) = entries.get(key) {
                match &value.value {
                    Literal::Object(_) => *slot = Some(json(&value.value)),
                    _ => self.wrong_type(value, &format!("`{key}`"), "a mapping"),
                }
            }
        }
        if let Some((_, value)) = entries.get("errors") {
            match &value.value {
                Literal::Array(items) => {
                    for item in items {
                        self.mapping(item, "an expected error", ERROR_KEYS);
                    }
                    expect.errors = Some(items.iter().map(|item| json(&item.value)).collect());
                }
                _ => self.wrong_type(value, "`errors`", "a list of mappings"),
            }
        }
        Some(expect)
    }

    /// The entries of a mapping that knows its keys.
    fn mapping<'l>(&mut self, value: &'l Spanned<Literal>, what: &str, keys: &[&str]) -> Option<Entries<'l>> {
        let Literal::Object(members) = &value.value else {
            self.wrong_type(value, what, "a mapping");
            return None;
        };
        let mut entries = BTreeMap::new();
        for (key, member) in members {
            if keys.contains(&key.value.as_str()) {
                entries.insert(key.value.as_str(), (key.span, member));
                continue;
            }
            let diagnostic = Diagnostic::new(
                Code::UnknownKey,
                key.span,
                format!("{what} has no key `{}`", key.value),
            );
            self.report(match near(&key.value, keys.iter().copied()) {
                Some(near) => diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .fix(key.span, near),
                None => diagnostic.help(format!("the keys are {}", keys.join(", "))),
            });
        }
        Some(entries)
    }

    fn text(&mut self, value: &Spanned<Literal>, what: &str) -> Option<String> {
        match &value.value {
            Literal::String(text) => Some(text.clone()),
            _ => {
                self.wrong_type(value, what, "a text");
                None
            }
        }
    }

    /// A list of texts, or one text.
    fn texts(&mut self, value: &Spanned<Literal>, what: &str) -> Vec<Spanned<String>> {
        match &value.value {
            Literal::String(text) => vec![Spanned::new(text.clone(), value.span)],
            Literal::Array(items) => items
                .iter()
                .filter_map(|item| {
                    let text = self.text(item, &format!("an item of {what}"))?;
                    Some(Spanned::new(text, item.span))
                })
                .collect(),
            _ => {
                self.wrong_type(value, what, "a list of texts");
                Vec::new()
            }
        }
    }
}

/// The first character of a collection, which is what its problems are shown at.
fn head(span: Span) -> Span {
    Span::new(span.file, span.start, span.end.min(span.start.saturating_add(1)))
}

fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    if type_name == "null" {
        "nothing".to_owned()
    } else {
        format!("{article} {type_name}")
    }
}
