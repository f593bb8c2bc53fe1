//! Source files: what every [`Span`] points into.
//!
//! Offsets are bytes into the file as it was read; lines and columns are computed at the edge, when something is
//! shown. Lines and columns are 1-based, columns count characters.

use crate::document::Definitions;
pub use crate::span::{FileId, Span, Spanned};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// One source file: its display name and its text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    text: String,
    /// Byte offset of the first byte of each line.
    lines: Vec<u32>,
    /// Characters before each multiple of [`STRIDE`] bytes, so that no column is counted over a long line.
    characters: Vec<u32>,
    /// What it defines for others, once somebody has asked: a file is imported more often than it is written.
    pub(crate) definitions: OnceLock<Arc<Definitions>>,
}

/// Bytes of a text between two places whose characters are counted beforehand: what a column costs at most.
const STRIDE: usize = 256;

impl SourceFile {
    /// Reads `text` under the display name `name` (usually the path as the user gave it).
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| u32::try_from(i + 1).unwrap_or(u32::MAX)),
        );
        let mut characters = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut count = 0u32;
        for stride in text.as_bytes().chunks(STRIDE) {
            characters.push(count);
            count = count.saturating_add(starts(stride));
        }
        Self {
            name: name.into(),
            text,
            lines,
            characters,
            definitions: OnceLock::new(),
        }
    }

    /// The display name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of `span`, or the empty string when it does not lie on character boundaries of this file.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// Characters before a byte offset: those that are known, and the bytes in which the rest is to be counted. These are
    /// fewer than [`STRIDE`], however long the lines are.
    fn before(&self, offset: usize) -> (u32, &[u8]) {
        let stride = (offset / STRIDE).min(self.characters.len().saturating_sub(1));
        let known = self.characters.get(stride).copied().unwrap_or(0);
        let rest = self.text.as_bytes().get(stride * STRIDE..offset);
        (known, rest.unwrap_or(&[]))
    }

    fn characters_before(&self, offset: usize) -> u32 {
        let (known, rest) = self.before(offset);
        known.saturating_add(starts(rest))
    }

    /// Line and column of a byte offset: 1-based, the column in characters, a byte order mark not counted. Offsets past
    /// the end give the end. Takes time that does not grow with the length of the line.
    #[must_use]
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let line = self
            .lines
            .partition_point(|&start| start <= offset)
            .saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0) as usize;
        let end = (offset as usize).min(self.text.len());
        let column = self
            .characters_before(end)
            .saturating_sub(self.characters_before(start));
        let marked = start == 0 && end > 0 && self.text.starts_with('\u{feff}');
        let column = column - u32::from(marked && column > 0);
        (
            u32::try_from(line + 1).unwrap_or(u32::MAX),
            column.saturating_add(1),
        )
    }
}

/// Characters that start in these bytes of a text.
fn starts(bytes: &[u8]) -> u32 {
    let starts = bytes.iter().filter(|b| (**b & 0xC0) != 0x80).count();
    u32::try_from(starts).unwrap_or(u32::MAX)
}

/// All files of one compilation. Files are added once and never change; clones share them.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<Arc<SourceFile>>,
    /// By normalised name, once somebody has asked; the first of two.
    names: OnceLock<HashMap<String, FileId>>,
}

impl SourceMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file and returns its id.
    pub fn add(&mut self, file: impl Into<Arc<SourceFile>>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(file.into());
        self.names.take();
        id
    }

    /// The first file of this name, where `a/./b` and `a/c/../b` are one name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<FileId> {
        let names = self.names.get_or_init(|| {
            let mut names = HashMap::with_capacity(self.files.len());
            for (id, file) in self.iter() {
                names.entry(normalised(file.name())).or_insert(id);
            }
            names
        });
        names.get(&normalised(name)).copied()
    }

    /// The file of `id`; `None` for an id of another map.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize).map(Arc::as_ref)
    }

    /// The file of `id`, shared.
    #[must_use]
    pub fn shared(&self, id: FileId) -> Option<&Arc<SourceFile>> {
        self.files.get(id.0 as usize)
    }

    /// All files with their ids, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &Arc<SourceFile>)> {
        self.files
            .iter()
            .enumerate()
            .map(|(i, f)| (FileId(u32::try_from(i).unwrap_or(u32::MAX)), f))
    }
}

/// A path without `.` and, as far as they lead back to something, `..`. Nothing is asked of a file system.
#[must_use]
pub fn normalised(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if absolute { format!("/{joined}") } else { joined }
}

/// The path that `path` means in the file of this name: relative to the directory that the file is in.
#[must_use]
pub fn beside(name: &str, path: &str) -> String {
    match name.rsplit_once('/') {
        Some((directory, _)) => normalised(&format!("{directory}/{path}")),
        None => normalised(path),
    }
}

#[cfg(test)]
mod tests {
    use super::{STRIDE, SourceFile, SourceMap, beside, normalised};

    #[test]
    fn paths_are_told_by_where_they_lead() {
        for (path, expected) in [
            ("a.yaml", "a.yaml"),
            ("./a/./b//c.yaml", "a/b/c.yaml"),
            ("a/../b.yaml", "b.yaml"),
            ("../a/../../b.yaml", "../../b.yaml"),
            ("/a/../../b.yaml", "/b.yaml"),
            ("", ""),
        ] {
            assert_eq!(normalised(path), expected, "{path}");
        }
        assert_eq!(beside("a/b/p.yaml", "../shared.yaml"), "a/shared.yaml");
        assert_eq!(beside("p.yaml", "shared.yaml"), "shared.yaml");
        assert_eq!(beside("/p.yaml", "shared.yaml"), "/shared.yaml");
        let mut map = SourceMap::new();
        let first = map.add(SourceFile::new("x/../a.yaml", ""));
        assert_eq!(map.named("a.yaml"), Some(first));
        assert_eq!(map.named("b.yaml"), None);
        let second = map.add(SourceFile::new("b.yaml", ""));
        assert_eq!(map.named("./b.yaml"), Some(second));
    }

    /// The definition, counted from the start of the line.
    fn counted(text: &str, offset: usize) -> (u32, u32) {
        let offset = offset.min(text.len());
        let before = &text.as_bytes()[..offset];
        let line = before.iter().filter(|b| **b == b'\n').count();
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let column = before[start..].iter().filter(|b| (**b & 0xC0) != 0x80).count();
        let marked = start == 0 && offset > 0 && text.starts_with('\u{feff}');
        let column = column - usize::from(marked && column > 0);
        (
            u32::try_from(line + 1).unwrap(),
            u32::try_from(column + 1).unwrap(),
        )
    }

    #[test]
    fn columns_are_those_that_counting_gives() {
        let texts = [
            String::new(),
            "a".to_owned(),
            "\u{feff}abc\nd".to_owned(),
            "é😀x\n".repeat(200),
            "é".repeat(STRIDE),
            format!("{}\n{}", "x".repeat(STRIDE - 1), "😀".repeat(STRIDE)),
            format!("\u{feff}{}", "ab\n".repeat(STRIDE)),
            "y".repeat(2 * STRIDE),
        ];
        for text in &texts {
            let file = SourceFile::new("f", text.as_str());
            for offset in 0..text.len() + 3 {
                let found = file.line_column(u32::try_from(offset).unwrap());
                assert_eq!(found, counted(text, offset), "{offset} in {} bytes", text.len());
            }
        }
    }

    /// Work, not time: what is looked at for one column does not grow with the line.
    #[test]
    fn a_column_of_a_long_line_costs_no_more_than_one_of_a_short_line() {
        let text = "é".repeat(1 << 20);
        let file = SourceFile::new("f", text.as_str());
        let most = (0..=text.len())
            .step_by(97)
            .map(|at| file.before(at).1.len())
            .max();
        assert!(most.is_some_and(|most| most <= STRIDE), "{most:?}");
        assert_eq!(
            file.line_column(u32::try_from(text.len()).unwrap()),
            (1, (1 << 20) + 1)
        );
    }
}
