//! Places for people: the source map and the debug section.

use crate::ir::{Loc, Program};
use crate::lower;
use policy_bytecode::debug::{CodeRun, DebugSection, SourceMapSection, SourcePlace};
use policy_grammar::SourceMap;

/// Where each comparison was written first.
pub(super) fn source_map(program: &Program, sources: &SourceMap) -> SourceMapSection {
    SourceMapSection {
        predicates: program
            .predicates
            .iter()
            .map(|p| p.loc.map(|loc| place(loc, sources)).unwrap_or_default())
            .collect(),
    }
}

/// Where each instruction and each node of the condition trees was written; `code` has a place for each instruction of each
/// function.
pub(super) fn section(program: &Program, code: &[Vec<Option<Loc>>], sources: &SourceMap) -> DebugSection {
    DebugSection {
        code: code.iter().map(|locs| runs(locs, sources)).collect(),
        conditions: program
            .condition_locs
            .iter()
            .map(|loc| place(*loc, sources))
            .collect(),
    }
}

/// Instructions of one place that stand side by side as one run. Those before the first that has a place have none.
fn runs(locs: &[Option<Loc>], sources: &SourceMap) -> Vec<CodeRun> {
    let mut runs = Vec::new();
    let mut last = None;
    for (loc, first) in locs.iter().zip(0u32..) {
        if *loc != last {
            last = *loc;
            runs.push(CodeRun {
                first,
                place: loc.map(|loc| place(loc, sources)),
            });
        }
    }
    runs
}

fn place(loc: Loc, sources: &SourceMap) -> SourcePlace {
    let span = lower::span(loc);
    let (line, column) = sources
        .file(span.file)
        .map_or((0, 0), |file| file.line_column(span.start));
    SourcePlace {
        file: span.file.0,
        line,
        column,
    }
}

#[cfg(test)]
mod tests {
    use super::{Loc, runs};
    use policy_bytecode::debug::{CodeRun, SourcePlace};
    use policy_grammar::{SourceFile, SourceMap};

    #[test]
    fn instructions_of_one_place_are_one_run() {
        let mut sources = SourceMap::new();
        sources.add(SourceFile::new("a.yaml", "one\n  two\n"));
        let at = |start| {
            Some(Loc {
                file: 0,
                start,
                end: start + 3,
            })
        };
        let run = |first, line_column: Option<(u32, u32)>| CodeRun {
            first,
            place: line_column.map(|(line, column)| SourcePlace {
                file: 0,
                line,
                column,
            }),
        };
        let locs = [None, at(0), at(0), at(6), None, None, at(6)];
        let expected = [
            run(1, Some((1, 1))),
            run(3, Some((2, 3))),
            run(4, None),
            run(6, Some((2, 3))),
        ];
        assert_eq!(runs(&locs, &sources), expected);
        assert_eq!(runs(&[None, None], &sources), []);
    }
}
