//! Where things stand in the policies: the source map and the debug section of a bundle.
//!
//! The source map has a place for each comparison. The debug section has one for each instruction and for each node of the
//! condition trees: coverage and listings show places, and nobody has to parse policies again. Its code part lists runs:
//!
//! ```text
//! fn0   0: test p0, 0, e0, L3        runs    0 → a.yaml:6:9
//!       1: test p1, 0, e0, L3                1 → a.yaml:7:9
//!       2: ret_true                          2 → a.yaml:5:7
//!       3: ret_false
//! ```
//!
//! Both are for people. No evaluation reads them, and a bundle without a debug section decides and explains the same.
//! Passes merge equal comparisons, and rules of equal conditions share a function: an instruction has the place that was
//! written first. Nodes of condition trees all have their own.

use crate::ids::FuncIdx;
use crate::manifest::{Manifest, ManifestError};
use crate::module::Module;
use serde::{Deserialize, Serialize};

/// A place in a source file, 1-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourcePlace {
    /// Index into [`Manifest::files`].
    pub file: u32,
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

/// From comparisons to source places, for messages and listings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceMapSection {
    /// Parallel to [`Module::predicates`], or empty when stripped: file, line and column of the first place that asks.
    pub predicates: Vec<SourcePlace>,
}

/// From instructions and conditions to source places. See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DebugSection {
    /// Parallel to [`Module::functions`], or empty: the runs of each function, ascending.
    pub code: Vec<Vec<CodeRun>>,
    /// Parallel to [`Manifest::conditions`], or empty: where each node was written.
    pub conditions: Vec<SourcePlace>,
}

/// Instructions that were written at one place: from `first` up to the next run, or to the end of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRun {
    /// The first instruction of the run.
    pub first: u32,
    /// Where they were written; `None` where that is not known.
    pub place: Option<SourcePlace>,
}

const FILE: &str = "it names a file that does not exist";

fn fail(table: &'static str, index: usize, detail: &'static str) -> Result<(), ManifestError> {
    Err(ManifestError { table, index, detail })
}

impl SourceMapSection {
    /// Checks that it fits the module and the manifest.
    ///
    /// # Errors
    ///
    /// The first entry that does not.
    pub fn check(&self, module: &Module, manifest: &Manifest) -> Result<(), ManifestError> {
        if !self.predicates.is_empty() && self.predicates.len() != module.predicates.len() {
            return fail(
                "source map",
                self.predicates.len(),
                "there are not as many entries as predicates",
            );
        }
        let outside = |place: &SourcePlace| place.file as usize >= manifest.files.len();
        match self.predicates.iter().position(outside) {
            Some(index) => fail("source map", index, FILE),
            None => Ok(()),
        }
    }
}

impl DebugSection {
    /// Where an instruction was written.
    #[must_use]
    pub fn instruction(&self, function: FuncIdx, index: usize) -> Option<SourcePlace> {
        let runs = self.code.get(function.index())?;
        let run = runs
            .partition_point(|run| run.first as usize <= index)
            .checked_sub(1)?;
        runs.get(run)?.place
    }

    /// Where a node of the condition trees was written.
    #[must_use]
    pub fn condition(&self, node: u32) -> Option<SourcePlace> {
        self.conditions.get(node as usize).copied()
    }

    /// Checks that it fits the module and the manifest, so that readers need not.
    ///
    /// # Errors
    ///
    /// The first entry that does not: a table of another length, a run that begins outside its function or not behind the
    /// run before, a file that does not exist, a line or a column 0.
    pub fn check(&self, module: &Module, manifest: &Manifest) -> Result<(), ManifestError> {
        if !self.code.is_empty() && self.code.len() != module.functions.len() {
            return fail(
                "places of code",
                self.code.len(),
                "there are not as many entries as functions",
            );
        }
        if !self.conditions.is_empty() && self.conditions.len() != manifest.conditions.len() {
            return fail(
                "places of conditions",
                self.conditions.len(),
                "there are not as many entries as conditions",
            );
        }
        for (i, (runs, function)) in self.code.iter().zip(&module.functions).enumerate() {
            let mut next = 0;
            for run in runs {
                let first = run.first as usize;
                if first < next || first >= function.code.len() {
                    return fail(
                        "places of code",
                        i,
                        "a run begins outside its function, or not behind the run before",
                    );
                }
                next = first + 1;
                if let Some(place) = run.place {
                    check_place("places of code", i, place, manifest)?;
                }
            }
        }
        for (i, place) in self.conditions.iter().enumerate() {
            check_place("places of conditions", i, *place, manifest)?;
        }
        Ok(())
    }
}

fn check_place(
    table: &'static str,
    index: usize,
    place: SourcePlace,
    manifest: &Manifest,
) -> Result<(), ManifestError> {
    if place.file as usize >= manifest.files.len() {
        return fail(table, index, FILE);
    }
    if place.line == 0 || place.column == 0 {
        return fail(table, index, "it names line 0 or column 0");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CodeRun, DebugSection, SourcePlace};
    use crate::ids::FuncIdx;

    fn place(line: u32) -> SourcePlace {
        SourcePlace {
            file: 0,
            line,
            column: 1,
        }
    }

    #[test]
    fn an_instruction_has_the_place_of_the_run_that_it_lies_in() {
        let run = |first, place| CodeRun { first, place };
        let debug = DebugSection {
            code: vec![
                vec![],
                vec![run(1, Some(place(7))), run(2, None), run(4, Some(place(9)))],
            ],
            conditions: vec![place(3)],
        };
        let lines = |function| {
            let line = |i| debug.instruction(FuncIdx(function), i).map(|place| place.line);
            (0..6).map(line).collect::<Vec<_>>()
        };
        assert_eq!(lines(1), [None, Some(7), None, None, Some(9), Some(9)]);
        assert_eq!(lines(0), [None; 6]);
        assert_eq!(lines(2), [None; 6]);
        assert_eq!(debug.condition(0), Some(place(3)));
        assert_eq!(debug.condition(1), None);
    }
}
