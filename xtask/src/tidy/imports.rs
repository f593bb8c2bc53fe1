//! Files of one crate that import each other in a circle: then none of them can be read, tested or moved without the others. And
//! folders that know nothing of what is around them.
//!
//! What counts is a path that begins with `crate::` or `super::` and names a module that has a file of its own. `mod` lines do not
//! count, nor do comments and tests: a module may hold what its submodules are parts of, but what it says itself may not need what
//! they import.

use std::collections::{BTreeMap, BTreeSet};

/// Crates whose files must not.
const CRATES: &[&str] = &["vm/src", "runtime/src"];

/// Folders whose files name none of these, and what else begins so.
const STRANGERS: &[(&str, &[&str], &str)] = &[
    // The text form spells paths and patterns as policies do.
    ("compiler/src/ir", &["compiler/src/ir/text/"], "policy_grammar"),
];

/// Folders, each a module of its crate, whose files name no other module of it.
const ALONE: &[&str] = &["server/src/settings"];

/// A module's path in its crate; empty for the crate itself.
type Module = Vec<String>;

type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// Looks at the Rust files among these, each with its text.
pub(super) fn check(files: &[(String, String)], problems: &mut Vec<String>) {
    for name in CRATES {
        let texts = files
            .iter()
            .filter_map(|(file, text)| Some((module(file.strip_prefix(name)?)?, text.as_str())))
            .collect();
        if let Some(circle) = circle(&imports(&texts)) {
            let files: Vec<String> = circle.iter().map(|module| module.join("/")).collect();
            problems.push(format!(
                "{name}: files import each other in a circle: {}",
                files.join(" → ")
            ));
        }
    }
    for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".rs")) {
        let code = code(text);
        for (folder, except, stranger) in STRANGERS {
            let holds = file.starts_with(folder) && !except.iter().any(|except| file.starts_with(except));
            if holds && code.contains(stranger) {
                problems.push(format!(
                    "{file}: names `{stranger}`, which nothing in {folder} may know"
                ));
            }
        }
        for folder in ALONE.iter().filter(|folder| file.starts_with(**folder)) {
            let own = folder.rsplit('/').next();
            let others = paths(&code)
                .into_iter()
                .filter(|path| path.first().is_some_and(|first| first == "crate"))
                .filter_map(|path| path.into_iter().nth(1))
                .filter(|step| own != Some(step));
            for other in others {
                problems.push(format!("{file}: names `{other}`, and {folder} stands alone"));
            }
        }
    }
}

/// The module that a file below `src` is; `None` for files of tests.
fn module(file: &str) -> Option<Module> {
    let path = file.strip_prefix('/')?.strip_suffix(".rs")?;
    if path == "lib" {
        return Some(Module::new());
    }
    let module: Module = path.split('/').map(str::to_owned).collect();
    (module.last()? != "tests").then_some(module)
}

/// Which modules each module names.
fn imports(texts: &BTreeMap<Module, &str>) -> Imports {
    let mut out = Imports::new();
    for (module, text) in texts {
        let mut named = BTreeSet::new();
        for path in paths(&code(text)) {
            let mut at = match path.first().map(String::as_str) {
                Some("crate") => Module::new(),
                _super => module
                    .iter()
                    .take(module.len().saturating_sub(1))
                    .cloned()
                    .collect(),
            };
            for step in path.iter().skip(1) {
                match step.as_str() {
                    "super" => drop(at.pop()),
                    step => at.push(step.to_owned()),
                }
            }
            // The longest part that is a file; what follows are its items.
            while !at.is_empty() && !texts.contains_key(&at) {
                at.pop();
            }
            if !at.is_empty() && at != *module {
                named.insert(at);
            }
        }
        out.insert(module.clone(), named);
    }
    out
}

/// A text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let tests = lines
            .peek()
            .is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if line.trim() == "#[cfg(test)]" && tests {
            break;
        }
        out.push_str(line.split("//").next().unwrap_or_default());
        out.push('\n');
    }
    out
}

/// The paths in a text that begin with `crate` or `super`, those in braces written out to their first step.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code.get(..at).unwrap_or_default();
            let inside = before.ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric());
            if !inside {
                expand(code.get(at..).unwrap_or_default(), &[], &mut out);
            }
        }
    }
    out
}

/// The path that `code` begins with, below `above`.
fn expand(code: &str, above: &[String], out: &mut Vec<Vec<String>>) {
    let mut path = above.to_vec();
    let mut rest = code.trim_start();
    loop {
        let end = rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let (step, after) = rest.split_at(end);
        if !step.is_empty() {
            path.push(step.to_owned());
        }
        let Some(after) = after.strip_prefix("::").filter(|_| !step.is_empty()) else {
            break;
        };
        rest = after.trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut from = 0;
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    ',' | '}' if depth == 0 => {
                        expand(group.get(from..at).unwrap_or_default(), &path, out);
                        from = at + 1;
                        if c == '}' {
                            break;
                        }
                    }
                    '}' => depth -= 1,
                    _other => {}
                }
            }
            return;
        }
    }
    out.push(path);
}

/// Modules of which each names the next, and the last the first; the first one is repeated.
fn circle(imports: &Imports) -> Option<Vec<Module>> {
    let mut done = BTreeSet::new();
    for start in imports.keys() {
        let mut way = Vec::new();
        if let Some(found) = walk(start, imports, &mut way, &mut done) {
            return Some(found);
        }
    }
    None
}

fn walk(
    at: &Module,
    imports: &Imports,
    way: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<Vec<Module>> {
    if let Some(first) = way.iter().position(|module| module == at) {
        let mut found = way.split_off(first);
        found.push(at.clone());
        return Some(found);
    }
    if done.contains(at) {
        return None;
    }
    way.push(at.clone());
    for next in imports.get(at).into_iter().flatten() {
        if let Some(found) = walk(next, imports, way, done) {
            return Some(found);
        }
    }
    way.pop();
    done.insert(at.clone());
    None
}

#[cfg(test)]
mod tests {
    use super::check;

    /// The circle in a crate of these modules, each with its text.
    fn found(files: &[(&str, &str)]) -> Option<String> {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(name, text)| (format!("vm/src/{name}.rs"), (*text).to_owned()))
            .collect();
        let mut problems = Vec::new();
        check(&files, &mut problems);
        let (_, circle) = problems.first()?.rsplit_once(": ")?;
        Some(circle.replace(" →", ""))
    }

    #[test]
    fn circles_are_found_however_a_path_is_written() {
        let circle = Some("a b a".to_owned());
        assert_eq!(
            found(&[("a", "use crate::b::B;\n"), ("b", "use super::a::A;\n")]),
            circle
        );
        assert_eq!(
            found(&[
                ("a", "fn f() { crate::b::g() }\n"),
                ("b", "use crate::{c::C, a};\n"),
                ("c", "")
            ]),
            circle
        );
        assert_eq!(
            found(&[
                ("a", "use crate::x::Y;\n"),
                ("x", "use crate::{y::{Z, W}, a::{self, A}};\n"),
                ("y", "")
            ]),
            Some("a x a".to_owned())
        );
        assert_eq!(
            found(&[
                ("a", "use crate::b::c::C;\n"),
                ("b", ""),
                ("b/c", "use super::super::a::A;\n")
            ]),
            Some("a b/c a".to_owned())
        );
    }

    #[test]
    fn parts_may_import_their_whole_and_comments_and_tests_do_not_count() {
        assert_eq!(found(&[("a", "mod b;\n"), ("a/b", "use super::A;\n")]), None);
        assert_eq!(
            found(&[
                ("a", "// crate::b\nuse mycrate::b;\n"),
                ("b", "use crate::a::A;\n")
            ]),
            None
        );
        assert_eq!(
            found(&[
                ("a/tests", "use crate::b::B;\n"),
                ("b", "use crate::a::tests::T;\n"),
                ("a", "")
            ]),
            None
        );
        let tests = "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n";
        assert_eq!(found(&[("a", tests), ("b", "use crate::a::A;\n")]), None);
    }

    #[test]
    fn folders_that_stand_alone_name_nothing_else() {
        let problems = |name: &str, text: &str| {
            let mut problems = Vec::new();
            check(&[(name.to_owned(), text.to_owned())], &mut problems);
            problems.len()
        };
        let grammar = "use policy_grammar::Span;\n";
        assert_eq!(problems("compiler/src/ir/loc.rs", grammar), 1);
        assert_eq!(problems("compiler/src/ir/text/parse.rs", grammar), 0);
        assert_eq!(problems("compiler/src/lower.rs", grammar), 0);
        let own = "use crate::settings::{Parser, table};\n// crate::cache\n";
        assert_eq!(problems("server/src/settings/files.rs", own), 0);
        assert_eq!(
            problems("server/src/settings/files.rs", "use crate::{settings, cache};\n"),
            1
        );
        assert_eq!(
            problems("server/src/settings.rs", "fn f() { crate::cache::of() }\n"),
            1
        );
        assert_eq!(problems("server/src/cache.rs", "use crate::listen::Place;\n"), 0);
    }
}
