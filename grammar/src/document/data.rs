//! Plain data in the syntax of policy documents: one value with the span of every key and item.
//!
//! For files that stand beside policies, such as test files. They are read by the same readers, so a scalar means here
//! what it means in a policy, and duplicate keys, aliases and limits are treated alike.

use super::constants::Files;
use super::problems::Problems;
use super::tree::{Kind, NodeId, Tree};
use super::walk::Walk;
use super::{Format, json, scalar, yaml};
use crate::ast::Literal;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::source::{FileId, SourceMap, Spanned};

/// Reads the one document of a YAML or JSON file as plain data.
///
/// # Errors
///
/// Every problem of the file, in the order of their places.
pub fn parse_data(map: &SourceMap, file: FileId) -> Result<Spanned<Literal>, Vec<Diagnostic>> {
    read(map, file, |walk, root| walk.literal(root, false)).map(|(value, _)| value)
}

/// As [`parse_data`], for a mapping that may have `let` and `import` as a policy has: they are taken out of it, and
/// `{{ let.name }}` in its texts stands for the constant; a text that is one such placeholder is the constant itself. Where
/// the mapping has neither, such a placeholder names no constant, which is an error. Also returns what is to be warned of.
///
/// # Errors
///
/// As [`parse_data`], and those of constants.
pub fn parse_data_with_constants(
    map: &SourceMap,
    file: FileId,
) -> Result<(Spanned<Literal>, Vec<Diagnostic>), Vec<Diagnostic>> {
    read(map, file, |walk, root| walk.data_with_constants(root))
}

fn read(
    map: &SourceMap,
    file: FileId,
    value: impl Fn(&mut Walk<'_, '_>, NodeId) -> Option<Spanned<Literal>>,
) -> Result<(Spanned<Literal>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let limits = Limits::default();
    let mut problems = Problems::new(file, &limits, None);
    let start = problems.span(0, 0);
    let Some(source) = map.file(file) else {
        return Err(Vec::new());
    };
    let text = source.text();
    if text.len() > limits.max_bytes.min(u32::MAX as usize) {
        return Err(vec![Diagnostic::new(
            Code::Limit,
            start,
            format!(
                "the file has {} bytes, more than the {} allowed",
                text.len(),
                limits.max_bytes
            ),
        )]);
    }
    let mut found = None;
    let mut one = |tree: &Tree<'_>, root: NodeId, problems: &mut Problems| {
        if found.is_some() {
            let span = problems.span(tree.node(root).start, tree.node(root).head);
            problems.report(
                Diagnostic::new(Code::InvalidValue, span, "the file holds more than one document")
                    .help("write a file for each"),
            );
            return;
        }
        let files = Files {
            map,
            file,
            limits: &limits,
        };
        found = value(&mut Walk::new(tree, text, problems, Some(files)), root);
    };
    match Format::of(source) {
        Format::Json => json::read(text, &limits, &mut problems, one),
        Format::Yaml | Format::Rego => yaml::read(text, &limits, &mut problems, |tree, root, _, problems| {
            if !matches!(tree.node(root).kind, Kind::Scalar(_, scalar::Scalar::Null)) {
                one(tree, root, problems);
            }
        }),
    }
    match found {
        Some(value) if problems.errors() == 0 => Ok((value, problems.into_sorted())),
        Some(_) | None => {
            if problems.errors() == 0 {
                problems.report(Diagnostic::new(Code::EmptyDocument, start, "the file is empty"));
            }
            Err(problems.into_sorted())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_data;
    use crate::ast::Literal;
    use crate::source::{SourceFile, SourceMap};

    fn read(text: &str) -> Result<Literal, Vec<String>> {
        let mut map = SourceMap::new();
        let file = map.add(SourceFile::new("data.yaml", text));
        parse_data(&map, file)
            .map(|v| v.value)
            .map_err(|list| list.into_iter().map(|d| d.message).collect())
    }

    #[test]
    fn reads_one_document_with_places() {
        let mut map = SourceMap::new();
        let file = map.add(SourceFile::new("data.yaml", "a: 1\nb: [x, '2']\n"));
        let value = parse_data(&map, file).unwrap();
        let Literal::Object(entries) = value.value else {
            panic!("a mapping")
        };
        let source = map.file(file).unwrap();
        assert_eq!(source.slice(entries[1].0.span), "b");
        assert_eq!(source.slice(entries[1].1.span), "[x, '2']");
    }

    #[test]
    fn refuses_duplicates_emptiness_and_a_second_document() {
        assert_eq!(read("# nothing\n").unwrap_err(), ["the file is empty"]);
        assert_eq!(
            read("a: 1\n---\nb: 2\n").unwrap_err(),
            ["the file holds more than one document"]
        );
        assert_eq!(read("a: 1\na: 2\n").unwrap_err().len(), 1);
    }
}
